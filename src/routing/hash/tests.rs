//! Keys with the bucket that PostgreSQL 15 gives them (`satisfies_hash_partition(..., 4096, bucket, key)`
//! is true for each). Texts are written as the hexadecimal digits of their bytes.

use super::*;
use crate::routing::key::from_text;
use crate::types::KeyType;

fn unhex(digits: &str) -> String {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    String::from_utf8((0..digits.len()).step_by(2).map(byte).collect()).expect("UTF-8")
}

/// The number of keys checked.
fn check(vectors: &str) -> usize {
    for line in vectors.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (key_type, text) = match fields[0] {
            "int2" => (KeyType::Int2, fields[1].to_owned()),
            "int4" => (KeyType::Int4, fields[1].to_owned()),
            "int8" => (KeyType::Int8, fields[1].to_owned()),
            "uuid" => (KeyType::Uuid, fields[1].to_owned()),
            "text" => (KeyType::Text, unhex(fields[1])),
            other => panic!("{other}"),
        };
        let key = from_text(key_type, &text).expect("a key");
        let found = bucket(&key).expect("a type that has hash placement").index();
        assert_eq!(found.to_string(), fields[2], "{line}");
    }
    vectors.lines().count()
}

#[test]
fn buckets_are_those_of_postgresql() {
    assert!(check(include_str!("vectors.tsv")) > 300);
}

#[test]
fn types_without_hash_placement_have_no_bucket() {
    for key in [KeyValue::Date(1), KeyValue::Timestamp(1), KeyValue::TimestampTz(1), KeyValue::Numeric(1.into())] {
        assert_eq!(bucket(&key), None);
    }
}
