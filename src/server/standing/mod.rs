//! Looks at all nodes: which takes the writes of its shard, which are its standbys, of which cluster, and how far behind. In: the current databases. Out: each shard's [`Lead`] and each node's [`Standing`].
//!
//! What the configuration calls primary and replica is only where to look. Shardway follows, it doesn't lead: it
//! promotes nothing and stops nothing.

mod eye;
mod eyes;
mod judge;
mod patroni;
mod positions;

use std::sync::Arc;
use std::time::Duration;

use crate::net::timer::sleep;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::eye::{Eye, Watched};
use self::eyes::Eyes;
use self::judge::{Limits, Seen, Sight, Verdict, elect, elect_named, elect_only, judge, problem_of_only};
use self::patroni::{Said, watch_patroni};
use self::positions::Positions;
use super::Shared;
use super::each::for_each_database;
use crate::pool::{Lead, Node, Standing, Term};
use crate::session::database::Database;
use crate::types::limits::{NODE_LOOK_INTERVAL, NODE_LOOKS_MISSED_MAX};

/// One task for each shard, also for those that a reload brings.
pub(super) async fn watch_nodes(shared: Arc<Shared>) {
    let eyes = Arc::<Eyes>::default();
    for_each_database(Arc::clone(&shared), |name, database, tasks| {
        for lead in database.leads() {
            let watch = Watch::new(Arc::clone(database), Arc::clone(lead));
            tasks.spawn(watch.run(Arc::clone(&shared), Arc::clone(&eyes), name.to_owned()));
        }
    })
    .await;
}

struct Watch {
    database: Arc<Database>,
    lead: Arc<Lead>,
    /// What each node was last seen to be.
    sights: Vec<Sight>,
    /// Looks in a row that found nobody there.
    missed: Vec<u32>,
    /// Of the node that leads.
    positions: Positions,
    /// What Patroni says, where it is asked.
    said: Said,
    /// What the shard's only node was last seen to be, and whether it was a standby.
    only: Option<(Term, bool)>,
}

impl Watch {
    fn new(database: Arc<Database>, lead: Arc<Lead>) -> Self {
        let sights = vec![Sight::Unknown; lead.nodes().len()];
        let missed = vec![0; lead.nodes().len()];
        Self { database, lead, sights, missed, positions: Positions::default(), said: Said::Nothing, only: None }
    }

    /// Those who look at its nodes; nobody where no user of the database can log in alone.
    fn open_eyes(&self, eyes: &Arc<Eyes>, tell: &mpsc::UnboundedSender<(usize, Sight)>) -> Vec<Arc<Eye>> {
        let Some(login) = self.database.control_login() else { return Vec::new() };
        let watched = self.lead.nodes().iter().enumerate().map(|(position, node)| Watched {
            position,
            node: Arc::clone(node),
            gate: Arc::clone(&self.database.gate),
            tell: tell.clone(),
        });
        watched.map(|watched| eyes.watch(watched, login.clone())).collect()
    }

    async fn run(mut self, shared: Arc<Shared>, eyes: Arc<Eyes>, name: String) {
        let (tell, mut told) = mpsc::unbounded_channel();
        let eyes = self.open_eyes(&eyes, &tell);
        let mut wanted = self.lead.looks();
        let (say, mut heard) = mpsc::unbounded_channel();
        let shard = self.lead.node().shard;
        let shard_name = self.lead.node().shard_name.clone();
        if self.lead.term().is_none()
            && let Some(term) = shared.timelines.of(&name, &shard_name)
        {
            self.lead.note_term(term);
        }
        let urls =
            self.database.config.shards.get(shard.index()).map(|shard| shard.patroni.clone()).unwrap_or_default();
        let asks = !urls.is_empty() && self.sights.len() > 1;
        let mut has_heard = !asks;
        let _patroni = asks.then(|| {
            let interval = self.database.config.replication.patroni_interval;
            let mut asking = JoinSet::new();
            asking.spawn(watch_patroni(urls, interval, self.lead.looks(), say));
            asking
        });
        loop {
            let (position, sight) = tokio::select! {
                Some(told) = told.recv() => told,
                Ok(()) = wanted.changed() => {
                    eyes.iter().for_each(|eye| eye.want());
                    continue;
                }
                () = sleep(NODE_LOOK_INTERVAL), if eyes.is_empty() => {
                    (0..self.sights.len()).for_each(|position| drop(tell.send((position, nobody_may()))));
                    continue;
                }
                Some(said) = heard.recv(), if asks => {
                    has_heard = true;
                    self.hear(said);
                    continue;
                }
                else => return,
            };
            let current = shared.current.load();
            if !current.databases.get(&name).is_some_and(|now| Arc::ptr_eq(&now, &self.database)) {
                return;
            }
            if let (Some(place), Some(missed)) = (self.sights.get_mut(position), self.missed.get_mut(position)) {
                *missed = if sight.is_missed() { *missed + 1 } else { 0 };
                *place = sight;
            }
            if has_heard {
                self.decide(Some(position));
            }
            if let Some(term) = self.lead.term() {
                shared.timelines.note(&name, &shard_name, term);
            }
        }
    }

    fn hear(&mut self, said: Said) {
        if self.said != said {
            let shard = self.lead.node().shard_name.as_str();
            match &said {
                Said::Leader(host, port) => {
                    tracing::info!(shard, leader = format!("{host}:{port}"), "Patroni says who leads")
                }
                Said::Nobody => tracing::warn!(shard, "Patroni says that nobody leads"),
                Said::Nothing => tracing::warn!(shard, "Patroni doesn't answer: the nodes speak for themselves"),
            }
            self.said = said;
            // What was seen may be older than the change.
            self.lead.want_look();
        }
        self.decide(None);
    }

    /// By Patroni's word or, where there is none, by what is seen.
    fn elect(&self) -> (Verdict, Option<Term>) {
        let (leader, term) = (self.lead.found(), self.lead.term());
        if let [only] = self.sights.as_slice() {
            return elect_only(only, term, !self.lead.terms().wait_max.is_zero());
        }
        let is = |node: &Node, host: &str, port: u16| {
            let plain =
                |host: &str| if host == "localhost" { "127.0.0.1".to_owned() } else { host.to_ascii_lowercase() };
            node.config.port == port && plain(&node.config.host) == plain(host)
        };
        match &self.said {
            Said::Nothing => elect(&self.sights, leader, term),
            Said::Nobody => elect_named(&self.sights, None, leader, term),
            Said::Leader(host, port) => match self.lead.nodes().iter().position(|node| is(node, host, *port)) {
                Some(named) => elect_named(&self.sights, Some(named), leader, term),
                // Members may be known by other names here.
                None => elect(&self.sights, leader, term),
            },
        }
    }

    /// Whether another server is where the shard's only one was, such as after an upgrade, or behind an address that moves.
    fn note_only(&mut self) {
        let Some(seen) = self.sights.first().and_then(Sight::seen) else { return };
        let now = (Term { system: seen.system, timeline: seen.timeline }, seen.is_standby);
        let Some((before, was_standby)) = self.only.replace(now) else { return };
        // A standby tells the timeline that it receives, or while it receives nothing that of its last checkpoint.
        let follows = was_standby && (now.1 || before.timeline < now.0.timeline);
        if before == now.0 || (follows && before.system == now.0.system) {
            return;
        }
        let (node, before, now) = (self.lead.node().describe(), format!("{before:?}"), format!("{:?}", now.0));
        tracing::warn!(node, before, now, "another server is at the address of the shard's only node");
        self.positions = Positions::default();
        self.lead.renew();
        self.database.note_leader(&self.lead);
    }

    /// Node number `position` was looked at, or Patroni heard.
    fn decide(&mut self, position: Option<usize>) {
        let (verdict, term) = self.elect();
        if let Some(term) = term {
            self.lead.note_term(term);
        }
        if self.sights.len() == 1 {
            self.note_only();
        }
        match verdict {
            Verdict::Wait => return,
            Verdict::Leads(leader) => {
                if self.lead.follow(leader) {
                    self.positions = Positions::default();
                    self.database.note_leader(&self.lead);
                }
            }
            Verdict::Nobody(problem) => drop(self.lead.lose(&problem, false)),
            Verdict::Torn(problem) => drop(self.lead.lose(&problem, true)),
        }
        let leader = self.lead.found();
        let seen = leader.and_then(|leader| self.sights.get(leader)).and_then(Sight::seen).cloned();
        if leader.is_some()
            && leader == position
            && let Some(seen) = &seen
        {
            self.positions.note(seen.at, seen.position);
            self.lead.note_position(seen.at, seen.position);
        }
        for at in 0..self.sights.len() {
            self.note_node(at, leader, seen.as_ref());
        }
    }

    /// `seen`: what the leader was seen to be.
    fn note_node(&self, at: usize, leader: Option<usize>, seen: Option<&Seen>) {
        let (Some(node), Some(sight)) = (self.lead.nodes().get(at), self.sights.get(at)) else { return };
        match sight {
            Sight::Away(reason) => node.note_absence(Some(reason)),
            Sight::Seen(_) | Sight::Closed(_) => node.note_absence(None),
            Sight::Silent(_) | Sight::Unknown => {}
        }
        let is_missing = self.missed.get(at).is_some_and(|missed| *missed >= NODE_LOOKS_MISSED_MAX);
        let standing = if leader == Some(at) || self.sights.len() == 1 {
            self.standing_of_leader(node, sight, is_missing)
        } else {
            let config = &self.database.config;
            let lag = sight.seen().map_or((0, Duration::ZERO), |seen| self.positions.lag(seen.position, seen.at));
            let limits = Limits { lag: config.max_replica_lag, bytes: config.replication.lag_bytes_max, is_missing };
            judge(seen, sight, lag, &limits)
        };
        if let (Some(found), Some(standing)) = (sight.seen(), &standing)
            && leader.is_some_and(|leader| leader != at)
        {
            // Of a server with other rows its position says nothing.
            let follows = found.is_standby
                && seen.is_some_and(|leader| leader.system == found.system && leader.timeline == found.timeline);
            let replayed = if follows { found.position } else { 0 };
            node.note_freshness(replayed, self.positions.fresh_at(replayed).filter(|_| standing.is_standby));
        }
        if let Some(standing) = standing {
            note(node, standing);
        }
    }

    /// Of the node that leads, or of the only one; `None`: nothing new is known.
    fn standing_of_leader(&self, node: &Node, sight: &Sight, is_missing: bool) -> Option<Standing> {
        let is_only = self.sights.len() == 1;
        match sight {
            Sight::Seen(seen) => {
                if is_only {
                    node.figures.note_role(seen.is_standby);
                }
                Some(Standing {
                    is_standby: seen.is_standby,
                    system: Some(seen.system),
                    timeline: seen.timeline,
                    lag: (!seen.is_standby).then_some((0, Duration::ZERO)),
                    sync_state: None,
                    slots: seen.details.slots.clone(),
                    problem: if is_only { problem_of_only(seen, self.lead.term()) } else { None },
                })
            }
            Sight::Silent(reason) if is_missing => {
                let known = node.standing().map(|standing| (*standing).clone());
                known.map(|known| Standing { problem: Some(format!("it can't be looked at: {reason}")), ..known })
            }
            Sight::Silent(_) | Sight::Away(_) | Sight::Closed(_) | Sight::Unknown => None,
        }
    }
}

fn nobody_may() -> Sight {
    Sight::Closed("no user may use the database".to_owned())
}

/// Says once when a node's fitness changes.
fn note(node: &Node, standing: Standing) {
    let before = node.standing().and_then(|before| before.problem.clone());
    let kind = |problem: &Option<String>| {
        problem.as_ref().map(|text| text.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default().to_owned())
    };
    if kind(&before) != kind(&standing.problem) {
        match &standing.problem {
            Some(problem) => tracing::warn!(node = %node.describe(), problem, "a node isn't fit for its part"),
            None => tracing::info!(node = %node.describe(), "a node is fit for its part again"),
        }
    }
    node.note_standing(standing);
}
