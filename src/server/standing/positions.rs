//! Where a primary's WAL was, and when: how old a replica's position is. A replica's own clock of its last
//! transaction ages while nothing is written; this doesn't.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::types::limits::WAL_SAMPLES_MAX;

#[derive(Debug)]
struct Sample {
    first: Instant,
    last: Instant,
    position: u64,
}

#[derive(Debug, Default)]
pub(super) struct Positions {
    /// When it was first and last seen there.
    samples: VecDeque<Sample>,
}

impl Positions {
    /// The primary's WAL was there at `at`, or further.
    pub(super) fn note(&mut self, at: Instant, position: u64) {
        if let Some(last) = self.samples.back_mut()
            && last.position == position
        {
            last.last = at;
            return;
        }
        if self.samples.len() >= WAL_SAMPLES_MAX {
            // The oldest stands for those that go, so that a long lag doesn't look shorter.
            self.samples.remove(1);
        }
        self.samples.push_back(Sample { first: at, last: at, position });
    }

    /// By how much, and since when, the primary had been further than where a replica was at `asked`: what it has replayed
    /// since then isn't known.
    pub(super) fn lag(&self, position: u64, asked: Instant) -> (u64, Duration) {
        let first = self.samples.iter().find(|sample| sample.position > position);
        let since = first.map_or(Duration::ZERO, |sample| asked.saturating_duration_since(sample.first));
        let known = self.samples.iter().rev().find(|sample| sample.first <= asked);
        (known.map_or(0, |sample| sample.position.saturating_sub(position)), since)
    }

    /// When the primary was last seen to be no further than that: what has it isn't older.
    pub(super) fn fresh_at(&self, position: u64) -> Option<Instant> {
        self.samples.iter().rev().find(|sample| sample.position <= position).map(|sample| sample.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes aren't looked at all at the same moment.
    #[test]
    fn a_replica_lags_as_of_when_it_was_looked_at() {
        let (mut positions, began) = (Positions::default(), Instant::now());
        let at = |millis| began + Duration::from_millis(millis);
        positions.note(at(0), 100);
        positions.note(at(1_000), 200);
        positions.note(at(2_000), 300);
        assert_eq!(positions.lag(100, at(900)), (0, Duration::ZERO));
        assert_eq!(positions.lag(100, at(1_900)), (100, Duration::from_millis(900)));
        assert_eq!(positions.lag(200, at(1_900)), (0, Duration::ZERO));
        assert_eq!(positions.lag(300, at(9_000)), (0, Duration::ZERO));
    }

    #[test]
    fn old_positions_make_room_and_the_oldest_stays() {
        let mut positions = Positions::default();
        for position in 1..=2 * WAL_SAMPLES_MAX as u64 {
            positions.note(Instant::now(), position);
        }
        assert_eq!(positions.samples.len(), WAL_SAMPLES_MAX);
        assert_eq!(positions.samples.front().map(|sample| sample.position), Some(1));
        assert_eq!(positions.lag(0, Instant::now()).0, 2 * WAL_SAMPLES_MAX as u64);
        assert_eq!(positions.lag(u64::MAX, Instant::now()), (0, Duration::ZERO));
        assert!(positions.fresh_at(0).is_none());
        assert!(positions.fresh_at(1) < positions.fresh_at(u64::MAX));
    }
}
