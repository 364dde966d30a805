//! What random SELECTs read: tables with the kinds of their columns, and what their rows are told apart by.

/// Types, as far as expressions are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Int,
    Big,
    Num,
    Float,
    Text,
    Bool,
    Time,
    Date,
    Mood,
    Ints,
    Texts,
    Json,
    Span,
    Bytes,
    Uuid,
}

use Kind::{Big, Bool, Bytes, Date, Float, Int, Ints, Json, Mood, Num, Span, Text, Texts, Time, Uuid};

pub const KINDS: &[Kind] = &[Int, Big, Num, Float, Text, Bool, Time, Date, Mood, Ints, Texts, Json, Span, Bytes, Uuid];

impl Kind {
    pub fn type_name(self) -> &'static str {
        match self {
            Int => "int4",
            Big => "int8",
            Num => "numeric",
            Float => "float8",
            Text => "text",
            Bool => "bool",
            Time => "timestamptz",
            Date => "date",
            Mood => "mood",
            Ints => "int4[]",
            Texts => "text[]",
            Json => "jsonb",
            Span => "int4range",
            Bytes => "bytea",
            Uuid => "uuid",
        }
    }

    /// Stands for any expression of the kind.
    pub fn plain(self) -> &'static str {
        match self {
            Int => "1",
            Big => "1::int8",
            Num => "1.5",
            Float => "1.5::float8",
            Text => "'a'::text",
            Bool => "true",
            Time => "'2026-01-01 00:00:00+00'::timestamptz",
            Date => "'2026-01-01'::date",
            Mood => "'ok'::mood",
            Ints => "'{1}'::int4[]",
            Texts => "'{a}'::text[]",
            Json => "'1'::jsonb",
            Span => "'[1,3)'::int4range",
            Bytes => "'\\x00'::bytea",
            Uuid => "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
        }
    }

    /// Some values, as literals without quotes.
    pub fn values(self) -> &'static [&'static str] {
        match self {
            Int => &["0", "1", "2", "3", "7", "30", "-1"],
            Big => &["1", "2", "3", "5", "8", "13", "21", "40", "0", "-1"],
            Num => &["0", "10.5", "-7", "1e30", "NaN", "0.1", "99.90", "161.25"],
            Float => &["0", "1.5", "NaN", "Infinity", "-0", "2.25"],
            Text => &["ann", "b", "B", "ä", "", "new", "paid", "nz", "eu", "kind1", "O'Neil", "v1", "a\\b"],
            Bool => &["true", "false"],
            Time => &["2026-01-10 00:00:00+00", "2026-01-01 00:00:00+00", "infinity", "2026-03-29 03:30:00+02"],
            Date => &["2026-01-11", "2026-02-01", "2024-02-29", "-infinity"],
            Mood => &["sad", "ok", "happy"],
            Ints => &["{}", "{1,2}", "{NULL,3}", "{{1},{2}}"],
            Texts => &["{a}", "{}", "{b,a}"],
            Json => &["1", "null", "[]", "{\"n\": 1}"],
            Span => &["empty", "[1,5)", "(,3)", "[3,8)"],
            Bytes => &["\\x00ff", "\\x"],
            Uuid => &["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
        }
    }
}

pub struct Table {
    /// As it stands in FROM.
    pub name: &'static str,
    pub columns: &'static [(&'static str, Kind)],
    /// Columns that together differ from row to row.
    pub unique: &'static [&'static str],
    /// By which it joins the users' tables.
    pub user: Option<&'static str>,
}

const fn table(
    name: &'static str,
    user: Option<&'static str>,
    unique: &'static [&'static str],
    columns: &'static [(&'static str, Kind)],
) -> Table {
    Table { name, columns, unique, user }
}

/// Tables of users first, then those with other keys, reference tables, tables of the home shard, and views.
pub static TABLES: &[Table] = &[
    table(
        "users",
        Some("id"),
        &["id"],
        &[("id", Big), ("name", Text), ("email", Text), ("age", Int), ("active", Bool), ("country", Text)],
    ),
    table(
        "orders",
        Some("user_id"),
        &["user_id", "id"],
        &[("user_id", Big), ("id", Big), ("amount", Num), ("status", Text), ("placed_at", Time)],
    ),
    table(
        "order_items",
        Some("user_id"),
        &["user_id", "order_id", "line"],
        &[("user_id", Big), ("order_id", Big), ("line", Int), ("product_id", Int), ("quantity", Int), ("price", Num)],
    ),
    table(
        "scores",
        Some("user_id"),
        &["user_id", "id"],
        &[("user_id", Big), ("id", Int), ("value", Float), ("tags", Texts), ("mood", Mood), ("part", Int)],
    ),
    table("odds", Some("user_id"), &["user_id", "id"], ODDS),
    table("odds", Some("user_id"), &["user_id", "id"], ODDS),
    table("names", None, &["name"], &[("name", Text), ("n", Int)]),
    table("small4", None, &["id"], &[("id", Int), ("v", Text)]),
    table("accounts", None, &["region", "id"], &[("region", Text), ("id", Int), ("balance", Num)]),
    table(
        "events",
        None,
        &["created_at", "id"],
        &[("created_at", Time), ("id", Int), ("kind", Text), ("payload", Json)],
    ),
    table("days", None, &["day"], &[("day", Date), ("visits", Int)]),
    table("levels", None, &["level"], &[("level", Num), ("label", Text)]),
    table("docs", None, &["id"], &[("id", Uuid), ("body", Json)]),
    table("products", None, &["id"], &[("id", Int), ("name", Text), ("price", Num)]),
    table("countries", None, &["code"], &[("code", Text), ("name", Text)]),
    table("settings", None, &["key"], &[("key", Text), ("value", Text)]),
    table("\"Mixed Case\"", None, &["\"Id\""], &[("\"Id\"", Int), ("\"select\"", Text)]),
    table("public.users", Some("id"), &["id"], &[("id", Big), ("name", Text), ("age", Int)]),
    table("other.things", None, &["id"], &[("id", Int), ("name", Text)]),
    table("active_users", Some("id"), &["id"], &[("id", Big), ("name", Text), ("age", Int)]),
    table("user_totals", Some("id"), &["id"], &[("id", Big), ("name", Text), ("orders", Big), ("total", Num)]),
    table("loud_settings", None, &["key"], &[("key", Text), ("value", Text)]),
];

const ODDS: &[(&str, Kind)] = &[
    ("user_id", Big),
    ("id", Int),
    ("f", Float),
    ("n", Num),
    ("t", Text),
    ("c", Text),
    ("k", Text),
    ("e", Mood),
    ("a", Ints),
    ("w", Texts),
    ("j", Json),
    ("r", Span),
    ("z", Time),
    ("d", Date),
    ("b", Bytes),
    ("u", Uuid),
    ("y", Text),
    ("o", Bool),
];

/// How many of them belong to users.
pub const OF_USERS: usize = 6;
