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

    pub(super) fn last(&self) -> u64 {
        self.samples.back().map_or(0, |sample| sample.position)
    }

    /// By how much, and since when, the primary has been further than that.
    pub(super) fn lag(&self, position: u64) -> (u64, Duration) {
        let first = self.samples.iter().find(|sample| sample.position > position);
        (self.last().saturating_sub(position), first.map_or(Duration::ZERO, |sample| sample.first.elapsed()))
    }

    /// When the primary was last seen to be no further than that: what has it isn't older.
    pub(super) fn fresh_at(&self, position: u64) -> Option<Instant> {
        self.samples.iter().rev().find(|sample| sample.position <= position).map(|sample| sample.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_positions_make_room_and_the_oldest_stays() {
        let mut positions = Positions::default();
        for position in 1..=2 * WAL_SAMPLES_MAX as u64 {
            positions.note(Instant::now(), position);
        }
        assert_eq!(positions.samples.len(), WAL_SAMPLES_MAX);
        assert_eq!(positions.samples.front().map(|sample| sample.position), Some(1));
        assert_eq!(positions.last(), 2 * WAL_SAMPLES_MAX as u64);
        assert_eq!(positions.lag(u64::MAX), (0, Duration::ZERO));
        assert!(positions.fresh_at(0).is_none());
        assert!(positions.fresh_at(1) < positions.fresh_at(u64::MAX));
    }
}
