//! Descriptions are canonical, and their differences are named.

use super::*;
use crate::config::PlacementConfig;
use crate::routing::map::tests::{build, database, lists, ranges, table};
use crate::types::KeyType;

fn described(shards: usize, key_type: KeyType, placement: PlacementConfig) -> String {
    let map = build(&database(shards, vec![table("t", "k", Some(key_type), 0, placement)])).expect("good");
    map.describe_placement("public", "t").expect("it is in the map")
}

fn hashed(shards: usize, buckets: Option<Vec<u16>>) -> String {
    let mut shop = database(shards, vec![table("t", "k", Some(KeyType::Int4), 0, PlacementConfig::Hash)]);
    shop.buckets = buckets.map(|buckets| buckets.into_iter().map(ShardId::new).collect());
    build(&shop).expect("good").describe_placement("public", "t").expect("it is in the map")
}

#[test]
fn hash() {
    let round = hashed(3, None);
    assert_eq!(round, "hash of \"k\"\nbuckets 4096 period 3\n0-0 \"a\"\n1-1 \"b\"\n2-2 \"c\"");
    assert_eq!(round, hashed(3, Some((0..4096).map(|bucket| bucket % 3).collect())));
    let halves = hashed(2, Some((0..4096).map(|bucket| bucket / 2048).collect()));
    assert_eq!(halves, "hash of \"k\"\nbuckets 4096 period 4096\n0-2047 \"a\"\n2048-4095 \"b\"");
    assert_eq!(hashed(1, None), "hash of \"k\"\nbuckets 4096 period 1\n0-0 \"a\"");
}

#[test]
fn range() {
    let placement = ranges(&[(Some("2025-01-01"), 0), (Some("2026-01-01 12:00:00.5"), 0), (None, 1)]);
    let text = described(2, KeyType::Timestamp, placement);
    assert_eq!(text, "range of \"k\"\nbelow timestamp 2026-01-01 12:00:00.500000 \"a\"\nelse \"b\"");
    let int4 = described(2, KeyType::Int4, ranges(&[(Some("10"), 0), (Some("20"), 1)]));
    assert_eq!(int4, described(2, KeyType::Int8, ranges(&[(Some("10"), 0), (Some("20"), 1)])));
    assert_eq!(int4, "range of \"k\"\nbelow int 10 \"a\"\nbelow int 20 \"b\"");
    let numeric = |bound| described(2, KeyType::Numeric, ranges(&[(Some(bound), 0), (None, 1)]));
    assert_eq!(numeric("100"), numeric("1.00e2"));
}

#[test]
fn list() {
    let text = described(2, KeyType::Text, lists(&[(&["uk", "e\"u"], 0), (&["us"], 1)]));
    assert_eq!(text, "list of \"k\"\ntext \"e\\\"u\" \"a\"\ntext \"uk\" \"a\"\ntext \"us\" \"b\"");
    assert_eq!(text, described(2, KeyType::Text, lists(&[(&["us"], 1), (&["e\"u"], 0), (&["uk"], 0)])));
}

#[test]
fn differences() {
    let (two, three) = (hashed(2, None), hashed(3, None));
    assert_eq!(differing_buckets(&two, &two), Some(vec![]));
    let differing = differing_buckets(&two, &three).expect("both are hashed");
    let expected: Vec<usize> = (0..4096).filter(|bucket| bucket % 2 != bucket % 3).collect();
    assert_eq!(differing.iter().map(|bucket| bucket.index()).collect::<Vec<_>>(), expected);
    assert_eq!(placement_differences(&two, &two), [""; 0]);
    let lines = placement_differences(&two, &three);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], "682 buckets recorded on \"a\" are configured on \"b\": 4, 10, 16, 22, 28, 34, 40, 46, ...");
    let ranged = described(2, KeyType::Int4, ranges(&[(Some("10"), 0), (None, 1)]));
    assert_eq!(differing_buckets(&two, &ranged), None);
    assert_eq!(placement_differences(&two, &ranged).len(), 1);
    let other = described(2, KeyType::Int4, ranges(&[(Some("11"), 0), (None, 1)]));
    assert_eq!(
        placement_differences(&ranged, &other),
        ["recorded: below int 10 \"a\"", "configured: below int 11 \"a\""]
    );
}

#[test]
fn descriptions_that_are_none() {
    for text in [
        "",
        "hash of \"k\"",
        "hash of \"k\"\nbuckets 4096 period 0",
        "hash of \"k\"\nbuckets 4096 period 2\n0-0 \"a\"",
        "hash of \"k\"\nbuckets 8 period 1\n0-0 \"a\"",
        "hash of \"k\"\nbuckets 4096 period 2\n0-99999999 \"a\"",
    ] {
        assert_eq!(differing_buckets(text, text), None, "{text}");
        assert!(!placement_differences(text, &hashed(2, None)).is_empty(), "{text}");
    }
}
