//! What is made of what nodes were seen to be: which one leads, and which replicas are fit to be read. In: what was
//! seen. Out: verdicts. Knows no servers and no clock.

use std::time::{Duration, Instant};

use crate::pool::{Standing, Term};

/// What one look at a node found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sight {
    /// Nobody has looked.
    Unknown,
    Seen(Seen),
    /// No connection, or no answer.
    Away(String),
    /// It is there, but doesn't let the control plane look.
    Closed(String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub is_standby: bool,
    pub system: i64,
    pub timeline: i32,
    /// Written, or on a standby replayed; in bytes.
    pub position: u64,
    /// When it was asked, or before.
    pub at: Instant,
    pub details: Details,
}

/// What only those want to know who look at the nodes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Details {
    /// Of a primary: who streams from it, a line each, as in `name=sync`.
    pub streams: Option<String>,
    pub slots: Option<String>,
    /// The name by which it streams.
    pub name: Option<String>,
}

impl Details {
    /// How the primary counts the standby of that name.
    pub(super) fn sync_state_of(&self, name: &str) -> Option<String> {
        let lines = self.streams.as_deref()?.lines();
        lines
            .filter_map(|line| line.rsplit_once('='))
            .find(|(stream, _)| *stream == name)
            .map(|(_, state)| state.to_owned())
    }
}

impl Sight {
    pub(super) fn seen(&self) -> Option<&Seen> {
        match self {
            Self::Seen(seen) => Some(seen),
            Self::Unknown | Self::Away(_) | Self::Closed(_) => None,
        }
    }

    fn primary(&self) -> Option<&Seen> {
        self.seen().filter(|seen| !seen.is_standby)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Nothing can be said yet.
    Wait,
    Leads(usize),
    Nobody(String),
    /// Several would.
    Torn(String),
}

/// Who leads, by what is seen of a shard's nodes; `leader` does now, or did last. `term`: what is known of the cluster.
/// The second value is what is known of it now.
pub(super) fn elect(sights: &[Sight], leader: Option<usize>, term: Option<Term>) -> (Verdict, Option<Term>) {
    let primaries = || sights.iter().enumerate().filter_map(|(at, sight)| Some((at, sight.primary()?)));
    let system = match term {
        Some(term) => term.system,
        None => {
            let mut systems = primaries().map(|(_, seen)| seen.system);
            let first = systems.next();
            if systems.any(|system| Some(system) != first) {
                return (Verdict::Torn("servers of different clusters take writes".to_owned()), None);
            }
            match first {
                Some(system) => system,
                None => return (without_primary(sights, leader), None),
            }
        }
    };
    let ours = |seen: &&Seen| seen.system == system;
    let highest = sights.iter().filter_map(Sight::seen).filter(ours).map(|seen| seen.timeline).max();
    let timeline = highest.into_iter().chain(term.map(|term| term.timeline)).max().unwrap_or(0);
    let known = Some(Term { system, timeline });
    if term.is_none() && sights.contains(&Sight::Unknown) {
        return (Verdict::Wait, None);
    }
    let candidates: Vec<(usize, &Seen)> = primaries().filter(|(_, seen)| ours(seen)).collect();
    let newest: Vec<usize> =
        candidates.iter().filter(|(_, seen)| seen.timeline == timeline).map(|(at, _)| *at).collect();
    let verdict = match (newest.as_slice(), candidates.first()) {
        ([only], _) => Verdict::Leads(*only),
        ([_, ..], _) => {
            Verdict::Torn(format!("{} servers of one cluster take writes on timeline {timeline}", newest.len()))
        }
        ([], None) if leader.is_none() && primaries().next().is_some() => Verdict::Nobody(
            "the only server that takes writes belongs to another cluster than the shard's: if that is meant, take the shard \
             out of state_file"
                .to_owned(),
        ),
        // The one that led may be gone for a moment only; what it is needed for waits for it.
        ([], None) => without_primary(sights, leader),
        ([], Some((_, old))) => Verdict::Nobody(format!(
            "the only server that takes writes is on timeline {}, but the cluster has been on timeline {timeline}",
            old.timeline
        )),
    };
    (verdict, known)
}

/// The same where Patroni says who leads: the node has to be seen to do so, and nothing else counts.
pub(super) fn elect_named(
    sights: &[Sight],
    named: Option<usize>,
    leader: Option<usize>,
    term: Option<Term>,
) -> (Verdict, Option<Term>) {
    let Some(at) = named else { return (Verdict::Nobody("Patroni has no leader for it".to_owned()), term) };
    match sights.get(at).and_then(Sight::primary) {
        Some(seen) if term.is_some_and(|term| term.system != seen.system) => {
            (Verdict::Nobody("Patroni's leader belongs to another cluster".to_owned()), term)
        }
        Some(seen) => (Verdict::Leads(at), Some(Term { system: seen.system, timeline: seen.timeline })),
        None if leader == Some(at) => (without_primary(sights, leader), term),
        None if sights.get(at) == Some(&Sight::Unknown) => (Verdict::Wait, term),
        None => (Verdict::Nobody("Patroni's leader does not take writes yet".to_owned()), term),
    }
}

/// No node is seen to take writes.
fn without_primary(sights: &[Sight], leader: Option<usize>) -> Verdict {
    let of_leader = leader.and_then(|at| Some((at, sights.get(at)?)));
    match (of_leader, sights.first()) {
        (Some((at, Sight::Away(_) | Sight::Closed(_) | Sight::Unknown)), _) => Verdict::Leads(at),
        // What the file says has to do where nobody may look.
        (None, Some(Sight::Closed(_))) => Verdict::Leads(0),
        (None, _) if sights.contains(&Sight::Unknown) => Verdict::Wait,
        (Some((_, Sight::Seen(seen))), _) if seen.is_standby => {
            Verdict::Nobody("all of its servers are standbys".to_owned())
        }
        (Some(_), _) => Verdict::Nobody("the server that was its primary is another cluster's now".to_owned()),
        (None, _) => match sights.iter().all(|sight| matches!(sight, Sight::Away(_))) {
            true => Verdict::Nobody("none of its servers can be reached".to_owned()),
            false => Verdict::Nobody("none of its servers that can be reached takes writes".to_owned()),
        },
    }
}

/// Beyond what a replica isn't read.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Limits {
    pub lag: Option<Duration>,
    pub bytes: Option<u64>,
    /// It could not be looked at several times in a row.
    pub is_missing: bool,
}

/// What a node that doesn't lead is good for; `None`: nothing new is known.
pub(super) fn judge(
    leader: Option<&Seen>,
    sight: &Sight,
    (lag_bytes, lag): (u64, Duration),
    limits: &Limits,
) -> Option<Standing> {
    let standing = |problem: Option<String>| Standing {
        is_standby: true,
        timeline: 0,
        lag_bytes: 0,
        lag: Duration::ZERO,
        sync_state: None,
        slots: None,
        problem,
    };
    let seen = match sight {
        Sight::Seen(seen) => seen,
        Sight::Unknown => return None,
        // What can't be looked at may lag by anything. Without a limit its connections say whether it is there.
        Sight::Away(_) | Sight::Closed(_) => {
            let text = "it can't be looked at, so nobody knows how far it is behind";
            let is_out = limits.lag.is_some() || limits.bytes.is_some() || limits.is_missing;
            return is_out.then(|| standing(Some(text.to_owned())));
        }
    };
    let problem = match leader {
        Some(leader) if leader.system != seen.system => {
            Some("it belongs to another cluster than the primary".to_owned())
        }
        Some(_) if !seen.is_standby => {
            Some("it is not a standby, and another server leads: it has other rows".to_owned())
        }
        None if !seen.is_standby => Some("it is not a standby, and nobody knows whether it leads".to_owned()),
        Some(leader) if seen.timeline < leader.timeline => {
            Some(format!("it is on an older timeline than the primary: {}", seen.timeline))
        }
        _ if limits.lag.is_some_and(|limit| lag > limit) => {
            Some(format!("it is {} ms behind, more than max_replica_lag", lag.as_millis()))
        }
        _ if limits.bytes.is_some_and(|limit| lag_bytes > limit) => {
            Some(format!("it is {lag_bytes} bytes behind, more than max_replica_lag_bytes"))
        }
        _ => None,
    };
    let (is_standby, timeline) = (seen.is_standby, seen.timeline);
    let name = seen.details.name.as_deref();
    let sync_state = leader.zip(name).and_then(|(leader, name)| leader.details.sync_state_of(name));
    Some(Standing { is_standby, timeline, lag_bytes, lag, sync_state, slots: seen.details.slots.clone(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(timeline: i32) -> Sight {
        Sight::Seen(Seen {
            is_standby: false,
            system: 1,
            timeline,
            position: 100,
            at: Instant::now(),
            details: Details::default(),
        })
    }

    fn standby(timeline: i32) -> Sight {
        Sight::Seen(Seen {
            is_standby: true,
            system: 1,
            timeline,
            position: 100,
            at: Instant::now(),
            details: Details::default(),
        })
    }

    fn stranger(is_standby: bool) -> Sight {
        Sight::Seen(Seen {
            is_standby,
            system: 2,
            timeline: 9,
            position: 100,
            at: Instant::now(),
            details: Details::default(),
        })
    }

    fn away() -> Sight {
        Sight::Away("gone".to_owned())
    }

    fn verdict(sights: &[Sight], leader: Option<usize>, timeline: Option<i32>) -> Verdict {
        elect(sights, leader, timeline.map(|timeline| Term { system: 1, timeline })).0
    }

    #[test]
    fn the_primary_is_found_wherever_it_is() {
        assert_eq!(verdict(&[primary(1), standby(1)], None, None), Verdict::Leads(0));
        assert_eq!(verdict(&[standby(2), primary(2)], None, None), Verdict::Leads(1));
        assert_eq!(verdict(&[away(), primary(2)], Some(0), Some(1)), Verdict::Leads(1));
        assert_eq!(elect(&[standby(1), primary(2)], None, None).1, Some(Term { system: 1, timeline: 2 }));
    }

    #[test]
    fn nobody_leads_before_all_were_looked_at() {
        assert_eq!(verdict(&[primary(1), Sight::Unknown], None, None), Verdict::Wait);
        assert_eq!(verdict(&[Sight::Unknown, standby(1)], None, None), Verdict::Wait);
        assert_eq!(verdict(&[primary(1), away()], None, None), Verdict::Leads(0));
    }

    #[test]
    fn of_two_primaries_the_higher_timeline_leads() {
        assert_eq!(verdict(&[primary(1), primary(2)], Some(0), Some(1)), Verdict::Leads(1));
        assert_eq!(verdict(&[primary(1), primary(2)], Some(1), Some(2)), Verdict::Leads(1));
        assert_eq!(verdict(&[primary(3), primary(2)], None, None), Verdict::Leads(0));
        assert!(matches!(verdict(&[primary(2), primary(2)], Some(1), Some(2)), Verdict::Torn(_)));
        assert!(matches!(verdict(&[primary(2), primary(2)], None, None), Verdict::Torn(_)));
    }

    #[test]
    fn an_old_primary_is_not_followed_while_the_new_one_is_away() {
        assert!(matches!(verdict(&[primary(1), away()], Some(1), Some(2)), Verdict::Nobody(_)));
        // A standby knows as well that there was a newer one.
        assert!(matches!(verdict(&[primary(1), away(), standby(2)], None, None), Verdict::Nobody(_)));
    }

    #[test]
    fn servers_of_another_cluster_never_lead() {
        assert_eq!(verdict(&[primary(1), stranger(false)], Some(0), Some(1)), Verdict::Leads(0));
        assert_eq!(verdict(&[primary(1), stranger(true)], None, None), Verdict::Leads(0));
        assert!(matches!(verdict(&[primary(1), stranger(false)], None, None), Verdict::Torn(_)));
        assert!(matches!(verdict(&[stranger(false), standby(1)], Some(0), Some(1)), Verdict::Nobody(_)));
    }

    #[test]
    fn one_that_is_away_leads_until_another_does() {
        assert_eq!(verdict(&[away(), standby(1)], Some(0), Some(1)), Verdict::Leads(0));
        assert!(matches!(verdict(&[standby(1), standby(1)], Some(0), Some(1)), Verdict::Nobody(_)));
        assert!(matches!(verdict(&[away(), standby(1)], None, None), Verdict::Nobody(_)));
        assert_eq!(verdict(&[Sight::Closed("no".to_owned()), standby(1)], None, None), Verdict::Leads(0));
    }

    #[test]
    fn where_patroni_speaks_its_leader_leads_once_it_takes_writes() {
        let term = Some(Term { system: 1, timeline: 2 });
        let verdict = |sights: &[Sight], named, leader| elect_named(sights, named, leader, term).0;
        assert_eq!(verdict(&[primary(2), primary(2)], Some(1), Some(0)), Verdict::Leads(1));
        assert_eq!(verdict(&[primary(2), primary(3)], Some(0), Some(0)), Verdict::Leads(0));
        assert!(matches!(verdict(&[primary(2), standby(2)], Some(1), Some(0)), Verdict::Nobody(_)));
        assert!(matches!(verdict(&[primary(2), standby(2)], None, Some(0)), Verdict::Nobody(_)));
        assert!(matches!(verdict(&[stranger(false), standby(2)], Some(0), Some(0)), Verdict::Nobody(_)));
        assert_eq!(verdict(&[away(), standby(2)], Some(0), Some(0)), Verdict::Leads(0));
        assert_eq!(verdict(&[Sight::Unknown, standby(2)], Some(0), None), Verdict::Wait);
    }

    #[test]
    fn a_standby_is_found_among_those_that_stream() {
        let streams = Some("a=sync\nb=c=async".to_owned());
        let details = Details { streams, ..Details::default() };
        assert_eq!(details.sync_state_of("a").as_deref(), Some("sync"));
        assert_eq!(details.sync_state_of("b=c").as_deref(), Some("async"));
        assert_eq!(details.sync_state_of("c"), None);
    }

    #[test]
    fn a_replica_is_judged_by_what_it_is() {
        let (none, second) = ((0, Duration::ZERO), Duration::from_secs(1));
        let leader = Seen {
            is_standby: false,
            system: 1,
            timeline: 1,
            position: 100,
            at: Instant::now(),
            details: Details::default(),
        };
        let problem = |leader: Option<&Seen>, sight: Sight, lag, limit| {
            judge(leader, &sight, lag, &Limits { lag: limit, ..Limits::default() })
                .and_then(|standing| standing.problem)
        };
        let leads = Some(&leader);
        assert_eq!(problem(leads, standby(1), (50, second), None), None);
        assert_eq!(problem(leads, standby(1), none, Some(Duration::ZERO)), None);
        let behind = problem(leads, standby(1), (50, second), Some(Duration::ZERO));
        assert!(behind.is_some_and(|text| text.contains("behind")));
        assert!(problem(leads, stranger(true), none, None).is_some_and(|text| text.contains("cluster")));
        assert!(problem(leads, primary(1), none, None).is_some_and(|text| text.contains("standby")));
        assert!(problem(leads, standby(0), none, None).is_some_and(|text| text.contains("timeline")));
        assert!(problem(None, primary(1), none, None).is_some_and(|text| text.contains("standby")));
        assert_eq!(problem(None, standby(1), none, None), None);
        assert!(problem(leads, away(), none, Some(Duration::ZERO)).is_some());
        let free = Limits::default();
        assert!(judge(leads, &away(), none, &free).is_none());
        assert!(judge(leads, &away(), none, &Limits { is_missing: true, ..free }).is_some());
        let bytes = Limits { bytes: Some(49), ..free };
        assert!(judge(leads, &standby(1), (50, second), &bytes).is_some_and(|standing| standing.problem.is_some()));
        assert_eq!(judge(leads, &standby(1), (50, second), &free).map(|standing| standing.lag_bytes), Some(50));
    }
}
