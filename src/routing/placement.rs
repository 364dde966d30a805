//! The three placements and what they answer: the shard of one key, the shards of an interval.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Bound;

use thiserror::Error;

use super::hash;
use super::key::{compare, is_of};
use crate::types::{Bucket, KeyType, KeyValue, ShardId};

/// Where the rows of a group of colocated tables live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Placement {
    Hash(HashPlacement),
    Range(RangePlacement),
    List(ListPlacement),
}

/// Why a key has no shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NoPlace {
    #[error("the key is at or above the end of the last range")]
    AboveRanges,
    #[error("the key is in none of the lists")]
    NotListed,
    #[error("the value's type is not the shard key's")]
    OtherType,
}

/// 4,096 buckets, each on a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HashPlacement {
    buckets: Box<[ShardId]>,
    shards: Vec<ShardId>,
}

/// Ascending ranges; each begins where the one before ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangePlacement {
    key_type: KeyType,
    /// The key that ends each range, not part of it; `None` only in the last.
    parts: Vec<(Option<KeyValue>, ShardId)>,
    shards: Vec<ShardId>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListPlacement {
    key_type: KeyType,
    values: HashMap<KeyValue, ShardId>,
    shards: Vec<ShardId>,
}

impl Placement {
    /// The shard that holds rows with this key.
    ///
    /// # Errors
    /// [`NoPlace`] when no row can have that key: an error for a write; nothing to be found for a read.
    /// `OtherType` is neither: the value has to be converted first.
    pub fn shard_of(&self, key: &KeyValue) -> Result<ShardId, NoPlace> {
        match self {
            Self::Hash(placement) => placement.shard_of(key),
            Self::Range(placement) => placement.shard_of(key),
            Self::List(placement) => placement.shard_of(key),
        }
    }

    /// Every shard that may hold keys of the interval, ascending. None at all if no key with a place is in it;
    /// all of [`Placement::shards`] where it can't be told.
    pub fn shards_between(&self, low: Bound<&KeyValue>, high: Bound<&KeyValue>) -> Vec<ShardId> {
        if is_empty(low, high) {
            return Vec::new();
        }
        match self {
            Self::Hash(placement) => placement.shards_between(low, high),
            Self::Range(placement) => placement.shards_between(low, high),
            Self::List(placement) => placement.shards_between(low, high),
        }
    }

    /// Every shard that holds any keys, ascending: the shards a statement without a key goes to.
    pub fn shards(&self) -> &[ShardId] {
        match self {
            Self::Hash(placement) => &placement.shards,
            Self::Range(placement) => &placement.shards,
            Self::List(placement) => &placement.shards,
        }
    }
}

impl HashPlacement {
    /// Bucket b on the b-th of `buckets`. `None` unless there are exactly 4,096.
    pub(super) fn new(buckets: Vec<ShardId>) -> Option<Self> {
        let shards = distinct(buckets.iter().copied());
        (buckets.len() == usize::from(Bucket::COUNT)).then(|| Self { buckets: buckets.into(), shards })
    }

    pub fn shard_of_bucket(&self, bucket: Bucket) -> ShardId {
        *self.buckets.get(bucket.index()).expect("a placement has every bucket")
    }

    /// The shards of bucket 0, 1, ...
    pub fn buckets(&self) -> &[ShardId] {
        &self.buckets
    }

    fn shard_of(&self, key: &KeyValue) -> Result<ShardId, NoPlace> {
        hash::bucket(key).map(|bucket| self.shard_of_bucket(bucket)).ok_or(NoPlace::OtherType)
    }

    fn shards_between(&self, low: Bound<&KeyValue>, high: Bound<&KeyValue>) -> Vec<ShardId> {
        match (low, high) {
            (Bound::Included(low), Bound::Included(high)) if low == high => {
                self.shard_of(low).map_or_else(|_| self.shards.clone(), |shard| vec![shard])
            }
            _ => self.shards.clone(),
        }
    }
}

impl RangePlacement {
    /// Expects parts that ascend; `map` has checked them.
    pub(super) fn new(key_type: KeyType, parts: Vec<(Option<KeyValue>, ShardId)>) -> Self {
        let shards = distinct(parts.iter().map(|(_, shard)| *shard));
        Self { key_type, parts, shards }
    }

    /// The ends of the ranges, each not part of its range, and their shards.
    pub fn parts(&self) -> &[(Option<KeyValue>, ShardId)] {
        &self.parts
    }

    fn shard_of(&self, key: &KeyValue) -> Result<ShardId, NoPlace> {
        if !is_of(key, self.key_type) {
            return Err(NoPlace::OtherType);
        }
        let position = self.parts.partition_point(|(until, _)| until.as_ref().is_some_and(|until| !below(key, until)));
        self.parts.get(position).map(|(_, shard)| *shard).ok_or(NoPlace::AboveRanges)
    }

    fn shards_between(&self, low: Bound<&KeyValue>, high: Bound<&KeyValue>) -> Vec<ShardId> {
        if !bounds_are_of(self.key_type, low, high) {
            return self.shards.clone();
        }
        let mut begin = None;
        let mut found = Vec::new();
        for (until, shard) in &self.parts {
            let ends_before = match (low, until) {
                (Bound::Included(low) | Bound::Excluded(low), Some(until)) => !below(low, until),
                _ => false,
            };
            let begins_behind = match (high, begin) {
                (Bound::Included(high), Some(begin)) => below(high, begin),
                (Bound::Excluded(high), Some(begin)) => !below(begin, high),
                _ => false,
            };
            if !ends_before && !begins_behind {
                found.push(*shard);
            }
            begin = until.as_ref();
        }
        distinct(found)
    }
}

impl ListPlacement {
    pub(super) fn new(key_type: KeyType, values: HashMap<KeyValue, ShardId>) -> Self {
        let shards = distinct(values.values().copied());
        Self { key_type, values, shards }
    }

    /// The keys that have a place, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = (&KeyValue, ShardId)> {
        self.values.iter().map(|(value, shard)| (value, *shard))
    }

    fn shard_of(&self, key: &KeyValue) -> Result<ShardId, NoPlace> {
        if !is_of(key, self.key_type) {
            return Err(NoPlace::OtherType);
        }
        self.values.get(key).copied().ok_or(NoPlace::NotListed)
    }

    fn shards_between(&self, low: Bound<&KeyValue>, high: Bound<&KeyValue>) -> Vec<ShardId> {
        if !bounds_are_of(self.key_type, low, high) {
            return self.shards.clone();
        }
        // Texts have no order here: one that isn't known to be outside counts as inside.
        let inside =
            |value: &KeyValue| !is_empty(low, Bound::Included(value)) && !is_empty(Bound::Included(value), high);
        match (low, high) {
            (Bound::Included(low), Bound::Included(high)) if low == high => self.shard_of(low).into_iter().collect(),
            _ => distinct(self.values.iter().filter(|(value, _)| inside(value)).map(|(_, shard)| *shard)),
        }
    }
}

/// Known to be below. Only asked of values of one type that has an order.
fn below(one: &KeyValue, other: &KeyValue) -> bool {
    compare(one, other) == Some(Ordering::Less)
}

fn bounds_are_of(key_type: KeyType, low: Bound<&KeyValue>, high: Bound<&KeyValue>) -> bool {
    [low, high].into_iter().all(|bound| match bound {
        Bound::Included(value) | Bound::Excluded(value) => is_of(value, key_type),
        Bound::Unbounded => true,
    })
}

/// If no value can be in the interval.
fn is_empty(low: Bound<&KeyValue>, high: Bound<&KeyValue>) -> bool {
    let (lowest, highest, both_included) = match (low, high) {
        (Bound::Included(low), Bound::Included(high)) => (low, high, true),
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => {
            (low, high, false)
        }
        _ => return false,
    };
    match compare(lowest, highest) {
        Some(Ordering::Greater) => true,
        Some(Ordering::Equal) => !both_included,
        Some(Ordering::Less) | None => false,
    }
}

fn distinct(shards: impl IntoIterator<Item = ShardId>) -> Vec<ShardId> {
    let mut all: Vec<ShardId> = shards.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests;
