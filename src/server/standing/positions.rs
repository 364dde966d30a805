//! Where a primary's WAL was, and when: how old a replica's position is. A replica's own clock of its last
//! transaction ages while nothing is written; this doesn't.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::types::limits::WAL_SAMPLES_MAX;

#[derive(Debug, Default)]
pub(super) struct Positions {
    samples: VecDeque<(Instant, u64)>,
}

impl Positions {
    pub(super) fn note(&mut self, position: u64) {
        if self.last() == position {
            return;
        }
        if self.samples.len() >= WAL_SAMPLES_MAX {
            // The oldest stands for those that go, so that a long lag doesn't look shorter.
            self.samples.remove(1);
        }
        self.samples.push_back((Instant::now(), position));
    }

    pub(super) fn last(&self) -> u64 {
        self.samples.back().map_or(0, |(_, position)| *position)
    }

    /// By how much, and since when, the primary has been further than that.
    pub(super) fn lag(&self, position: u64) -> (u64, Duration) {
        let first = self.samples.iter().find(|(_, written)| *written > position);
        (self.last().saturating_sub(position), first.map_or(Duration::ZERO, |(at, _)| at.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_positions_make_room_and_the_oldest_stays() {
        let mut positions = Positions::default();
        for position in 1..=2 * WAL_SAMPLES_MAX as u64 {
            positions.note(position);
        }
        assert_eq!(positions.samples.len(), WAL_SAMPLES_MAX);
        assert_eq!(positions.samples.front().map(|(_, position)| *position), Some(1));
        assert_eq!(positions.last(), 2 * WAL_SAMPLES_MAX as u64);
        assert_eq!(positions.lag(u64::MAX), (0, Duration::ZERO));
    }
}
