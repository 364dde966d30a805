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
    /// Nobody is there.
    Away(String),
    /// No answer in time, or it has no connection left for whoever looks.
    Silent(String),
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
    /// The server has answered with that SQLSTATE.
    pub(super) fn refused(sqlstate: &str, text: String) -> Self {
        match sqlstate {
            // It starts, or it stops.
            "57P01" | "57P02" | "57P03" => Self::Away(text),
            code if code.starts_with("53") || code == "57014" => Self::Silent(text),
            _ => Self::Closed(text),
        }
    }

    /// It could not be looked at, though it should have been.
    pub(super) fn is_missed(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Silent(_))
    }

    pub(super) fn seen(&self) -> Option<&Seen> {
        match self {
            Self::Seen(seen) => Some(seen),
            Self::Unknown | Self::Away(_) | Self::Silent(_) | Self::Closed(_) => None,
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
        (Some((at, Sight::Away(_) | Sight::Silent(_) | Sight::Closed(_) | Sight::Unknown)), _) => Verdict::Leads(at),
        // What the file says has to do where nobody may look.
        (None, Some(Sight::Closed(_))) => Verdict::Leads(0),
        (None, _) if sights.contains(&Sight::Unknown) => Verdict::Wait,
        (Some((_, Sight::Seen(seen))), _) if seen.is_standby => {
            Verdict::Nobody("all of its servers are standbys".to_owned())
        }
        (Some(_), _) => Verdict::Nobody("the server that was its primary is another cluster's now".to_owned()),
        (None, _) => match sights.iter().all(Sight::is_missed) {
            true => Verdict::Nobody("none of its servers can be reached".to_owned()),
            false => Verdict::Nobody("none of its servers that can be reached takes writes".to_owned()),
        },
    }
}

/// The same for a shard's only node: nobody can lead in its place, so it does, whatever it is, unless it is a standby and
/// statements may wait for it to be promoted. Another server may have come to its address: its own word counts.
pub(super) fn elect_only(sight: &Sight, term: Option<Term>, may_wait: bool) -> (Verdict, Option<Term>) {
    let Sight::Seen(seen) = sight else { return (Verdict::Leads(0), term) };
    let before = term.filter(|term| term.system == seen.system).map_or(0, |term| term.timeline);
    let known = Some(Term { system: seen.system, timeline: seen.timeline.max(before) });
    match seen.is_standby && may_wait {
        true => (Verdict::Nobody("its only server is a standby".to_owned()), known),
        false => (Verdict::Leads(0), known),
    }
}

/// Why a shard's only node isn't fit for its part.
pub(super) fn problem_of_only(seen: &Seen, term: Option<Term>) -> Option<String> {
    if seen.is_standby {
        return Some("it is a standby: nothing can be written".to_owned());
    }
    let newer = term.filter(|term| term.system == seen.system && term.timeline > seen.timeline)?;
    Some(format!(
        "it is on timeline {}, but the shard has been on timeline {}: it may be an old primary",
        seen.timeline, newer.timeline
    ))
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
        system: None,
        timeline: 0,
        lag: None,
        sync_state: None,
        slots: None,
        problem,
    };
    let seen = match sight {
        Sight::Seen(seen) => seen,
        Sight::Unknown => return None,
        // What can't be looked at may lag by anything. Without a limit its connections say whether it is there.
        Sight::Away(_) | Sight::Silent(_) | Sight::Closed(_) => {
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
    let system = Some(seen.system);
    Some(Standing {
        is_standby,
        system,
        timeline,
        lag: Some((lag_bytes, lag)),
        sync_state,
        slots: seen.details.slots.clone(),
        problem,
    })
}

#[cfg(test)]
mod tests;
