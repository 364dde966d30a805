//! What random statements may name: tables, their shard keys, and columns with their types.

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Big,
    Int,
    Text,
    Bool,
    Numeric,
    Time,
}

pub struct Source {
    pub table: &'static str,
    /// The shard key, if the table is sharded.
    pub key: Option<&'static str>,
    pub columns: &'static [(&'static str, Type)],
}

const fn source(table: &'static str, key: Option<&'static str>, columns: &'static [(&'static str, Type)]) -> Source {
    Source { table, key, columns }
}

use Type::{Big, Bool, Int, Numeric, Text, Time};

/// Colocated tables first.
pub static SOURCES: &[Source] = &[
    source("users", Some("id"), &[("id", Big), ("name", Text), ("age", Int), ("active", Bool), ("country", Text)]),
    source(
        "orders",
        Some("user_id"),
        &[("user_id", Big), ("id", Big), ("amount", Numeric), ("status", Text), ("placed_at", Time)],
    ),
    source("order_items", Some("user_id"), &[("user_id", Big), ("order_id", Big), ("line", Int), ("product_id", Int)]),
    source("scores", Some("user_id"), &[("user_id", Big), ("id", Int), ("part", Int)]),
    source("names", Some("name"), &[("name", Text), ("n", Int)]),
    source("small4", Some("id"), &[("id", Int), ("v", Text)]),
    source("accounts", Some("region"), &[("region", Text), ("id", Int), ("balance", Numeric)]),
    source("events", Some("created_at"), &[("created_at", Time), ("id", Int), ("kind", Text)]),
    source("levels", Some("level"), &[("level", Numeric), ("label", Text)]),
    source("products", None, &[("id", Int), ("name", Text), ("price", Numeric)]),
    source("countries", None, &[("code", Text), ("name", Text)]),
    source("settings", None, &[("key", Text), ("value", Text)]),
];
pub const COLOCATED: usize = 4;
pub const REFERENCE: std::ops::Range<usize> = 9..11;
