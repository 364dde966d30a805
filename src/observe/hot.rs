//! Which buckets and keys are asked for most, by samples of the statements with a key.

use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::types::limits::HOT_KEYS_MAX;
use crate::types::{Bucket, KeyValue};

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
    keys: Mutex<Keys>,
}

/// A key that is asked for often. The count may be too high by `error`: it took the place of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HotKey {
    /// `table.column`.
    pub column: Arc<str>,
    pub value: KeyValue,
    pub count: u64,
    pub error: u64,
}

/// What is looked through for each sample is by itself: numbers one after the other.
#[derive(Debug, Default)]
struct Keys {
    /// Of column and value.
    hashes: Vec<u64>,
    counts: Vec<u64>,
    /// With what each count may be too high by.
    keys: Vec<(Arc<str>, KeyValue, u64)>,
    /// No count is less.
    least: u64,
    /// Where the next one that is the least is looked for.
    next: usize,
}

impl Default for Hot {
    fn default() -> Self {
        let buckets = (0..Bucket::COUNT).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, keys: Mutex::default() }
    }
}

impl Hot {
    /// Notes a sampled statement. The keys are the Space-Saving algorithm's: a key that isn't known takes the place
    /// of the least frequent one and its count, so that none that is frequent can be missed.
    pub fn note(&self, bucket: Option<Bucket>, column: &Arc<str>, value: &KeyValue) {
        if let Some(count) = bucket.and_then(|bucket| self.buckets.get(bucket.index())) {
            count.fetch_add(u64::from(SAMPLE_EVERY), Ordering::Relaxed);
        }
        let mut hasher = DefaultHasher::new();
        (column, value).hash(&mut hasher);
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).note(hasher.finish(), column, value);
    }

    /// The statements for each bucket since the start, roughly.
    pub fn buckets(&self) -> Vec<u64> {
        self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// The most frequent keys first. Those of which nothing is certain are left out.
    pub fn keys(&self) -> Vec<HotKey> {
        let known = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let each = known.keys.iter().zip(&known.counts);
        let certain = each.filter(|((.., error), count)| **count > 2 * error);
        let mut keys: Vec<HotKey> = certain
            .map(|((column, value, error), count)| HotKey {
                column: Arc::clone(column),
                value: value.clone(),
                count: *count,
                error: *error,
            })
            .collect();
        drop(known);
        keys.sort_by_key(|key| std::cmp::Reverse(key.count));
        keys
    }
}

impl Keys {
    fn note(&mut self, hash: u64, column: &Arc<str>, value: &KeyValue) {
        const WEIGHT: u64 = SAMPLE_EVERY as u64;
        let found = self.hashes.iter().position(|known| *known == hash);
        if let Some(at) = found
            && let (Some(key), Some(count)) = (self.keys.get(at), self.counts.get_mut(at))
            && key.1 == *value
            && key.0 == *column
        {
            *count += WEIGHT;
        } else if self.keys.len() < HOT_KEYS_MAX {
            self.hashes.push(hash);
            self.counts.push(WEIGHT);
            self.keys.push((Arc::clone(column), value.clone(), 0));
        } else {
            let at = self.least_frequent();
            let (Some(known), Some(count), Some(key)) =
                (self.hashes.get_mut(at), self.counts.get_mut(at), self.keys.get_mut(at))
            else {
                return;
            };
            let error = *count;
            (*known, *count) = (hash, error + WEIGHT);
            if key.0 != *column {
                key.0 = Arc::clone(column);
            }
            (key.1, key.2) = (value.clone(), error);
        }
    }

    /// Counts only grow: those that were the least are looked through once before there is another least.
    fn least_frequent(&mut self) -> usize {
        let rest = self.counts.get(self.next..).unwrap_or_default();
        let at = match rest.iter().position(|count| *count == self.least) {
            Some(at) => self.next + at,
            None => {
                self.least = self.counts.iter().copied().min().unwrap_or(0);
                self.counts.iter().position(|count| *count == self.least).unwrap_or(0)
            }
        };
        self.next = at + 1;
        at
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

    /// Each takes the place of one that was counted least, as the algorithm has it.
    #[test]
    fn a_new_key_takes_the_place_of_one_that_is_the_least() {
        let (mut keys, column) = (Keys::default(), Arc::<str>::from("users.id"));
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = (state >> 33) % 300;
            let before = keys.counts.clone();
            let is_known = keys.hashes.contains(&number);
            keys.note(number, &column, &KeyValue::Int(i64::try_from(number).expect("it is small")));
            if before.len() == HOT_KEYS_MAX && !is_known {
                let changed = before.iter().zip(&keys.counts).find(|(before, now)| before != now);
                assert_eq!(changed.map(|(before, _)| before), before.iter().min());
            }
        }
        assert_eq!(keys.counts.iter().sum::<u64>(), 20_000 * u64::from(SAMPLE_EVERY));
    }

    #[test]
    fn a_frequent_key_is_found_among_many() {
        let hot = Hot::default();
        let column: Arc<str> = "users.id".into();
        for number in 0..5_000_u32 {
            hot.note(Bucket::new(7), &column, &KeyValue::Int(i64::from(number)));
            if number % 10 == 0 {
                hot.note(None, &column, &KeyValue::Text("hot".into()));
            }
        }
        let keys = hot.keys();
        assert_eq!(keys.first().map(|key| key.value.clone()), Some(KeyValue::Text("hot".into())));
        assert!(keys.iter().all(|key| key.count - key.error <= 500 * u64::from(SAMPLE_EVERY)), "{keys:?}");
        assert_eq!(hot.buckets()[7], 5_000 * u64::from(SAMPLE_EVERY));
    }
}
