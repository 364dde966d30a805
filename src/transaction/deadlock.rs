//! Deadlocks that no single server can see: who waits for whom on each shard, put together. In: the waits
//! as the servers show them, and which connections are one transaction. Out: whom to cancel. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// A transaction over several shards that waits somewhere. Later ones have larger numbers, up to a wrap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WaiterId(pub u32);

/// What the servers show.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Waits {
    /// Process `.1` on shard `.0` waits for these processes there.
    pub blocked: BTreeMap<(usize, u32), Vec<u32>>,
    /// Which transaction a process works for, if it is one over several shards that waits.
    pub works_for: BTreeMap<(usize, u32), WaiterId>,
}

/// A transaction over several shards, or a process by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Party {
    Spread(WaiterId),
    Process(usize, u32),
}

impl WaiterId {
    fn is_later_than(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0).cast_signed() > 0
    }
}

impl Waits {
    /// The youngest transaction of each cycle that goes over several shards; a cycle on one shard is for its
    /// server to find.
    pub fn victims(&self) -> BTreeSet<WaiterId> {
        let party = |shard: usize, process: u32| match self.works_for.get(&(shard, process)) {
            Some(waiter) => Party::Spread(*waiter),
            None => Party::Process(shard, process),
        };
        let mut edges: BTreeMap<Party, BTreeSet<Party>> = BTreeMap::new();
        for (&(shard, process), blockers) in &self.blocked {
            let blockers = blockers.iter().map(|&blocker| party(shard, blocker));
            edges.entry(party(shard, process)).or_default().extend(blockers);
        }
        let mut victims = BTreeSet::new();
        loop {
            let Some(cycle) = edges.keys().find_map(|&start| cycle_from(start, &edges)) else { return victims };
            let spread = cycle.iter().filter_map(|party| match party {
                Party::Spread(waiter) => Some(*waiter),
                Party::Process(..) => None,
            });
            let youngest = spread.reduce(|a, b| if b.is_later_than(a) { b } else { a });
            match youngest {
                Some(youngest) => {
                    victims.insert(youngest);
                    edges.remove(&Party::Spread(youngest));
                }
                None => cycle.iter().for_each(|party| drop(edges.remove(party))),
            }
        }
    }
}

/// The parties of a cycle that `start` is part of.
fn cycle_from(start: Party, edges: &BTreeMap<Party, BTreeSet<Party>>) -> Option<Vec<Party>> {
    let mut seen = BTreeSet::new();
    let mut path: Vec<(Party, Vec<Party>)> = vec![(start, edges.get(&start)?.iter().copied().collect())];
    while let Some((_, next)) = path.last_mut() {
        match next.pop() {
            Some(party) if party == start => return Some(path.into_iter().map(|(party, _)| party).collect()),
            Some(party) if seen.insert(party) => {
                path.push((party, edges.get(&party).into_iter().flatten().copied().collect()));
            }
            Some(_) => {}
            None => drop(path.pop()),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(blocked: &[(usize, u32, u32)], works_for: &[(usize, u32, u32)]) -> Waits {
        let mut waits = Waits::default();
        for &(shard, process, blocker) in blocked {
            waits.blocked.entry((shard, process)).or_default().push(blocker);
        }
        waits.works_for.extend(works_for.iter().map(|&(shard, process, id)| ((shard, process), WaiterId(id))));
        waits
    }

    fn victims(waits: &Waits) -> Vec<u32> {
        waits.victims().into_iter().map(|waiter| waiter.0).collect()
    }

    #[test]
    fn the_youngest_of_a_cycle_over_shards_is_chosen() {
        let members = [(0, 10, 1), (1, 11, 1), (0, 20, 2), (1, 21, 2)];
        assert_eq!(victims(&waits(&[(1, 11, 21), (0, 20, 10)], &members)), [2]);
        // A queue isn't a cycle.
        assert_eq!(victims(&waits(&[(1, 11, 21)], &members)), [0; 0]);
        assert_eq!(victims(&waits(&[(0, 20, 10), (1, 21, 11)], &members)), [0; 0]);
        // Numbers wrap.
        let wrapped = [(0, 10, u32::MAX), (1, 11, u32::MAX), (0, 20, 3), (1, 21, 3)];
        assert_eq!(victims(&waits(&[(1, 11, 21), (0, 20, 10)], &wrapped)), [3]);
    }

    #[test]
    fn a_cycle_may_go_over_three_shards_and_over_bystanders() {
        let members = [(0, 10, 1), (1, 11, 1), (1, 21, 2), (2, 22, 2), (2, 32, 3), (0, 30, 3)];
        let blocked = [(1, 11, 99), (1, 99, 21), (2, 22, 32), (0, 30, 10)];
        assert_eq!(victims(&waits(&blocked, &members)), [3]);
        assert_eq!(victims(&waits(&blocked[1..], &members)), [0; 0]);
        // Its own server breaks what is on one shard only; and two cycles have two victims.
        assert_eq!(victims(&waits(&[(0, 1, 2), (0, 2, 1)], &[])), [0; 0]);
        let two = [(1, 11, 21), (0, 20, 10), (1, 41, 51), (0, 50, 40)];
        let members = [(0, 10, 1), (1, 11, 1), (0, 20, 2), (1, 21, 2), (0, 40, 4), (1, 41, 4), (0, 50, 5), (1, 51, 5)];
        assert_eq!(victims(&waits(&two, &members)), [2, 5]);
    }
}
