//! Buckets assigned by the file: each of the 4,096 exactly once.

use super::databases::ShardNames;
use crate::config::mistake::Notes;
use crate::config::raw::RawBuckets;
use crate::config::reader::Placed;
use crate::types::{Bucket, ShardId};

const LAST: u16 = Bucket::COUNT - 1;

pub(super) fn buckets(
    raw: &Placed<Vec<RawBuckets>>,
    shards: &ShardNames<'_>,
    notes: &mut Notes<'_>,
) -> Option<Vec<ShardId>> {
    let mut owners: Vec<Option<ShardId>> = vec![None; usize::from(Bucket::COUNT)];
    let mut is_good = true;
    for entry in raw.get_ref() {
        let Some(shard) = shards.find(&entry.shard, notes) else {
            is_good = false;
            continue;
        };
        for range in &entry.ranges {
            is_good &= assign(range, shard, &mut owners, shards, notes);
        }
    }
    let free = free_ranges(&owners);
    if is_good && !free.is_empty() {
        let what = format!("buckets {} belong to no shard", free.join(", "));
        notes.mistake(&raw.span(), what, format!("give every bucket from 0 to {LAST} to a shard"));
        is_good = false;
    }
    if is_good { owners.into_iter().collect() } else { None }
}

fn assign(
    range: &Placed<String>,
    shard: ShardId,
    owners: &mut [Option<ShardId>],
    shards: &ShardNames<'_>,
    notes: &mut Notes<'_>,
) -> bool {
    let Some((first, last)) = parse(range.get_ref()) else {
        let what = format!("{:?} is not a range of buckets from 0 to {LAST}", range.get_ref());
        notes.mistake(&range.span(), what, "write it as in \"0-2047\" or 17, the lower one first");
        return false;
    };
    let places = owners.get_mut(usize::from(first)..=usize::from(last)).unwrap_or_default();
    let taken = places.iter().flatten().next().copied();
    if let Some(owner) = taken {
        let what = format!("buckets of {:?} belong to shard {:?} already", range.get_ref(), shards.name(owner));
        notes.mistake(&range.span(), what, "give each bucket to one shard");
        return false;
    }
    places.fill(Some(shard));
    true
}

fn parse(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let first: u16 = first.trim().parse().ok()?;
    let last: u16 = last.trim().parse().ok()?;
    (first <= last && last <= LAST).then_some((first, last))
}

fn free_ranges(owners: &[Option<ShardId>]) -> Vec<String> {
    let mut ranges = Vec::new();
    let mut start = 0;
    for run in owners.chunk_by(|left, right| left.is_some() == right.is_some()) {
        let last = start + run.len() - 1;
        if run.first().is_some_and(Option::is_none) {
            ranges.push(if start == last { start.to_string() } else { format!("{start}-{last}") });
        }
        start += run.len();
    }
    ranges
}
