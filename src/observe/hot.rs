//! Which buckets and keys are asked for most, by samples of the statements with a key.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::types::Bucket;
use crate::types::limits::HOT_KEYS_MAX;

/// One statement in so many is looked at: it stands for as many.
pub const SAMPLE_EVERY: u32 = 16;

thread_local! {
    static STATE: Cell<u32> = const { Cell::new(0x9e37_79b9) };
}

/// Whether the statement at hand is one of the sample. By xorshift: applications repeat themselves, and every
/// sixteenth statement could always be the same.
pub fn is_sampled() -> bool {
    let mut state = STATE.get();
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    STATE.set(state);
    state.is_multiple_of(SAMPLE_EVERY)
}

#[derive(Debug)]
pub struct Hot {
    buckets: Box<[AtomicU64]>,
    keys: Mutex<Vec<HotKey>>,
}

/// A key that is asked for often. The count may be too high by `error`: it took the place of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HotKey {
    /// `table.column`.
    pub column: Arc<str>,
    pub value: String,
    pub count: u64,
    pub error: u64,
}

impl Default for Hot {
    fn default() -> Self {
        let buckets = (0..Bucket::COUNT).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, keys: Mutex::new(Vec::new()) }
    }
}

impl Hot {
    /// Notes a sampled statement. The keys are the Space-Saving algorithm's: a key that isn't known takes the place
    /// of the least frequent one and its count, so that none that is frequent can be missed.
    pub fn note(&self, bucket: Option<Bucket>, column: &Arc<str>, value: String) {
        let weight = u64::from(SAMPLE_EVERY);
        if let Some(count) = bucket.and_then(|bucket| self.buckets.get(bucket.index())) {
            count.fetch_add(weight, Ordering::Relaxed);
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = keys.iter_mut().find(|key| key.value == value && key.column == *column) {
            known.count += weight;
        } else if keys.len() < HOT_KEYS_MAX {
            keys.push(HotKey { column: Arc::clone(column), value, count: weight, error: 0 });
        } else if let Some(least) = keys.iter_mut().min_by_key(|key| key.count) {
            let error = least.count;
            *least = HotKey { column: Arc::clone(column), value, count: error + weight, error };
        }
    }

    /// The statements for each bucket since the start, roughly.
    pub fn buckets(&self) -> Vec<u64> {
        self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// The most frequent keys first. Those of which nothing is certain are left out.
    pub fn keys(&self) -> Vec<HotKey> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
        keys.retain(|key| key.count > 2 * key.error);
        keys.sort_by_key(|key| std::cmp::Reverse(key.count));
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_one_in_so_many_and_follow_no_rhythm() {
        let taken: Vec<bool> = (0..16_000).map(|_| is_sampled()).collect();
        let of = |rest: usize| taken.iter().skip(rest).step_by(2).filter(|taken| **taken).count();
        assert!((400..600).contains(&of(0)) && (400..600).contains(&of(1)), "{} {}", of(0), of(1));
    }

    #[test]
    fn a_frequent_key_is_found_among_many() {
        let hot = Hot::default();
        let column: Arc<str> = "users.id".into();
        for number in 0..5_000_u32 {
            hot.note(Bucket::new(7), &column, number.to_string());
            if number % 10 == 0 {
                hot.note(None, &column, "hot".to_owned());
            }
        }
        let keys = hot.keys();
        assert_eq!(keys.first().map(|key| key.value.as_str()), Some("hot"));
        assert_eq!(hot.buckets()[7], 5_000 * u64::from(SAMPLE_EVERY));
    }
}
