//! Values of shard keys, in the form in which PostgreSQL compares and hashes them.

use bigdecimal::BigDecimal;

/// The types that a shard key may have. Range placement takes all of them but `Uuid`; hash
/// placement takes the integers, text, varchar and uuid (see `routing`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyType {
    Int2,
    Int4,
    Int8,
    /// text and varchar under a deterministic collation.
    Text,
    Uuid,
    Date,
    Timestamp,
    TimestampTz,
    Numeric,
}

/// One value of a shard key. Integers of all widths are one variant because PostgreSQL's
/// cross-width hash functions agree for equal numbers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum KeyValue {
    Int(i64),
    /// In the server's encoding, UTF-8.
    Text(Box<str>),
    Uuid([u8; 16]),
    /// Days since 2000-01-01, PostgreSQL's own representation; MIN and MAX are -infinity and infinity.
    Date(i32),
    /// Microseconds since 2000-01-01 00:00, without a time zone; MIN and MAX are the infinities.
    Timestamp(i64),
    /// Microseconds since 2000-01-01 00:00 UTC; MIN and MAX are the infinities.
    TimestampTz(i64),
    Numeric(BigDecimal),
}
