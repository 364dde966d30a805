//! Keys and intervals in each of the placements.

use super::*;

fn shard(number: u16) -> ShardId {
    ShardId::new(number)
}

fn ids(shards: &[ShardId]) -> Vec<usize> {
    shards.iter().map(|shard| shard.index()).collect()
}

fn int(number: i64) -> KeyValue {
    KeyValue::Int(number)
}

fn text(value: &str) -> KeyValue {
    KeyValue::Text(value.into())
}

fn hashed() -> Placement {
    Placement::Hash(HashPlacement::new((0..4096).map(|bucket| shard(bucket % 3)).collect()).expect("4,096 buckets"))
}

/// Below 10 on shard 0, below 20 on 1, below 30 on 0, and with `open` the rest on 2.
fn ranged(open: bool) -> Placement {
    let mut parts = vec![(Some(int(10)), shard(0)), (Some(int(20)), shard(1)), (Some(int(30)), shard(0))];
    if open {
        parts.push((None, shard(2)));
    }
    Placement::Range(RangePlacement::new(KeyType::Int8, parts))
}

fn listed() -> Placement {
    let values = [("eu", 0), ("uk", 0), ("us", 1)].map(|(value, number)| (text(value), shard(number)));
    Placement::List(ListPlacement::new(KeyType::Text, values.into()))
}

#[test]
fn a_hash_placement_needs_every_bucket() {
    assert_eq!(HashPlacement::new(vec![shard(0); 4095]), None);
    assert_eq!(HashPlacement::new(vec![shard(0); 4097]), None);
}

#[test]
fn hash() {
    let placement = hashed();
    let bucket = hash::bucket(&int(42)).expect("integers are hashed");
    assert_eq!(placement.shard_of(&int(42)).map(|shard| shard.index()), Ok(bucket.index() % 3));
    assert_eq!(placement.shard_of(&KeyValue::Date(1)), Err(NoPlace::OtherType));
    let (low, high) = (int(1), int(2));
    let between = |low, high| ids(&placement.shards_between(low, high));
    assert_eq!(between(Bound::Included(&low), Bound::Included(&high)), [0, 1, 2]);
    assert_eq!(between(Bound::Included(&low), Bound::Included(&low)), ids(&[placement.shard_of(&low).unwrap()]));
    assert_eq!(between(Bound::Included(&low), Bound::Excluded(&low)), [0; 0]);
    assert_eq!(between(Bound::Included(&high), Bound::Included(&low)), [0; 0]);
    assert_eq!(between(Bound::Unbounded, Bound::Unbounded), [0, 1, 2]);
}

#[test]
fn ranges() {
    let placement = ranged(true);
    for (key, expected) in [(i64::MIN, 0), (9, 0), (10, 1), (19, 1), (20, 0), (29, 0), (30, 2), (i64::MAX, 2)] {
        assert_eq!(placement.shard_of(&int(key)), Ok(shard(expected)), "{key}");
    }
    assert_eq!(ranged(false).shard_of(&int(30)), Err(NoPlace::AboveRanges));
    assert_eq!(ranged(false).shard_of(&text("x")), Err(NoPlace::OtherType));
}

#[test]
fn intervals_of_ranges() {
    let between = |low: Bound<i64>, high: Bound<i64>, open| {
        ids(&ranged(open).shards_between(low.map(int).as_ref(), high.map(int).as_ref()))
    };
    use Bound::{Excluded, Included, Unbounded};
    assert_eq!(between(Unbounded, Unbounded, true), [0, 1, 2]);
    assert_eq!(between(Included(0), Included(9), true), [0]);
    assert_eq!(between(Included(0), Included(10), true), [0, 1]);
    assert_eq!(between(Included(0), Excluded(10), true), [0]);
    assert_eq!(between(Included(10), Excluded(20), true), [1]);
    assert_eq!(between(Excluded(9), Excluded(20), true), [0, 1]);
    assert_eq!(between(Included(30), Unbounded, true), [2]);
    assert_eq!(between(Included(30), Unbounded, false), [0; 0]);
    assert_eq!(between(Included(29), Unbounded, false), [0]);
    assert_eq!(between(Included(15), Included(12), true), [0; 0]);
    assert_eq!(between(Included(12), Included(12), true), [1]);
    let date = KeyValue::Date(0);
    assert_eq!(ids(&ranged(true).shards_between(Included(&date), Unbounded)), [0, 1, 2]);
}

#[test]
fn lists() {
    let placement = listed();
    assert_eq!(placement.shard_of(&text("uk")), Ok(shard(0)));
    assert_eq!(placement.shard_of(&text("US")), Err(NoPlace::NotListed));
    assert_eq!(placement.shard_of(&int(1)), Err(NoPlace::OtherType));
    let (eu, us, zz) = (text("eu"), text("us"), text("zz"));
    let between = |low, high| ids(&placement.shards_between(low, high));
    assert_eq!(between(Bound::Included(&eu), Bound::Included(&eu)), [0]);
    assert_eq!(between(Bound::Included(&eu), Bound::Excluded(&us)), [0]);
    assert_eq!(between(Bound::Included(&zz), Bound::Included(&eu)), [0, 1]);
    assert_eq!(between(Bound::Included(&zz), Bound::Included(&zz)), [0; 0]);
    let numbers = HashMap::from([(int(1), shard(0)), (int(5), shard(1))]);
    let placement = Placement::List(ListPlacement::new(KeyType::Int4, numbers));
    assert_eq!(ids(&placement.shards_between(Bound::Excluded(&int(1)), Bound::Unbounded)), [1]);
    assert_eq!(ids(&placement.shards_between(Bound::Included(&int(6)), Bound::Unbounded)), [0; 0]);
}

proptest::proptest! {
    /// No key of an interval is on a shard that the interval's answer leaves out.
    #[test]
    fn intervals_leave_no_key_out(low in 0_i64..40, high in 0_i64..40, key in 0_i64..40, inclusive: (bool, bool)) {
        let (low_key, high_key) = (int(low), int(high));
        let low_bound = if inclusive.0 { Bound::Included(&low_key) } else { Bound::Excluded(&low_key) };
        let high_bound = if inclusive.1 { Bound::Included(&high_key) } else { Bound::Excluded(&high_key) };
        let inside = (if inclusive.0 { key >= low } else { key > low }) && (if inclusive.1 { key <= high } else { key < high });
        let listed = (0..40).step_by(3).map(|number| (int(number), shard(u16::try_from(number % 4).expect("small")))).collect();
        let listed = Placement::List(ListPlacement::new(KeyType::Int4, listed));
        for placement in [hashed(), ranged(true), ranged(false), listed] {
            let shards = placement.shards_between(low_bound, high_bound);
            if inside && let Ok(shard) = placement.shard_of(&int(key)) {
                proptest::prop_assert!(shards.contains(&shard));
            }
        }
    }
}
