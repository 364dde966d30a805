//! Counts by names that aren't known beforehand: SQLSTATEs, reasons. Behind a lock, so for what isn't done for every
//! statement; bounded, so that nobody's statements fill it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::types::limits::TALLY_NAMES_MAX;

#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<BTreeMap<Box<str>, u64>>,
}

/// Stands for all names beyond the bound.
const OTHERS: &str = "other";

impl Tally {
    pub fn add(&self, name: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(name) {
            *count += 1;
            return;
        }
        let name = if counts.len() < TALLY_NAMES_MAX { name } else { OTHERS };
        *counts.entry(name.into()).or_insert(0) += 1;
    }

    pub fn read(&self) -> Vec<(Box<str>, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(name, count)| (name.clone(), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_one() {
        let tally = Tally::default();
        for number in 0..2 * TALLY_NAMES_MAX {
            tally.add(&number.to_string());
        }
        tally.add("0");
        let read = tally.read();
        assert_eq!(read.len(), TALLY_NAMES_MAX + 1);
        let of = |name: &str| read.iter().find(|(known, _)| &**known == name).map(|(_, count)| *count);
        assert_eq!((of("0"), of(OTHERS)), (Some(2), Some(TALLY_NAMES_MAX as u64)));
    }
}
