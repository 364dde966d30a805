//! The tables, where each has its rows, and the rows. In: how many shards. Out: configuration, SQL that says which
//! shard a row belongs to, and INSERT statements, the same in each run.

use std::fmt::Write;

/// Where the rows of a table are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    /// By PostgreSQL's hash: the key, its hash function, the helper table partitioned by that type, and what it is
    /// colocated with.
    Hash {
        key: &'static str,
        function: &'static str,
        helper: &'static str,
        with: &'static str,
    },
    /// By ranges of the key, as [`ranges`] has them.
    Range {
        key: &'static str,
    },
    /// By lists of the key, as [`LISTS`] has them.
    List {
        key: &'static str,
    },
    Unsharded,
    Reference,
}

pub struct Table {
    pub name: &'static str,
    pub home: Home,
}

const fn hash(name: &'static str, key: &'static str, of: &'static str, with: &'static str) -> Table {
    let (function, helper) = match of.as_bytes() {
        b"int2" => ("hashint2extended", "hash_int2"),
        b"int4" => ("hashint4extended", "hash_int4"),
        b"int8" => ("hashint8extended", "hash_int8"),
        b"text" => ("hashtextextended", "hash_text"),
        _ => ("uuid_hash_extended", "hash_uuid"),
    };
    Table { name, home: Home::Hash { key, function, helper, with } }
}

const fn unsharded(name: &'static str) -> Table {
    Table { name, home: Home::Unsharded }
}

/// In an order in which they can be loaded.
pub const TABLES: &[Table] = &[
    hash("users", "id", "int8", ""),
    hash("orders", "user_id", "int8", "users"),
    hash("order_items", "user_id", "int8", "users"),
    hash("scores", "user_id", "int8", "users"),
    hash("odds", "user_id", "int8", "users"),
    Table { name: "events", home: Home::Range { key: "created_at" } },
    Table { name: "days", home: Home::Range { key: "day" } },
    Table { name: "levels", home: Home::Range { key: "level" } },
    Table { name: "accounts", home: Home::List { key: "region" } },
    hash("docs", "id", "uuid", ""),
    hash("names", "name", "text", ""),
    hash("nicknames", "nick", "text", ""),
    hash("small2", "id", "int2", ""),
    hash("small4", "id", "int4", ""),
    hash("parents", "id", "int8", ""),
    hash("members", "id", "int8", ""),
    hash("tickets", "user_id", "int8", ""),
    hash("watched", "id", "int8", ""),
    hash("retouched", "id", "int8", ""),
    hash("counted", "id", "int8", ""),
    hash("guarded", "id", "int8", ""),
    hash("ruled", "id", "int8", ""),
    hash("stamped", "id", "int8", ""),
    hash("profiles", "id", "int8", ""),
    hash("passports", "id", "int8", "profiles"),
    unsharded("children"),
    Table { name: "products", home: Home::Reference },
    Table { name: "countries", home: Home::Reference },
    unsharded("settings"),
    unsharded("audit"),
    unsharded("\"Mixed Case\""),
    unsharded("other.users"),
    unsharded("other.things"),
];

/// What the home shard doesn't have: if a statement is sent to another shard for want of knowledge, it shows.
pub const POISON: &str = "
    INSERT INTO children VALUES (666, 'poison', 'poison');
    INSERT INTO settings VALUES ('poison', 'poison');
    INSERT INTO audit VALUES (666, 'poison');
    INSERT INTO \"Mixed Case\" VALUES (666, 'poison');
    INSERT INTO other.users VALUES (666, 'poison');
    INSERT INTO other.things VALUES (666, 'poison');
";

pub fn shard_name(shard: usize) -> char {
    char::from(b'a' + u8::try_from(shard).expect("the oracle has few shards"))
}

/// Upper bounds and shards, for each table of ranges. Some shards get nothing.
fn ranges(table: &str, shards: usize) -> Vec<(Option<&'static str>, usize)> {
    let bounds: &[&str] = match table {
        "events" => &["2025-12-01 00:00:00+00", "2026-01-01 00:00:00+00", "2026-02-01 12:00:00+00"],
        "days" => &["2026-01-11", "2026-02-01"],
        _ => &["-1", "10.5", "1000"],
    };
    let mut ranges: Vec<_> = bounds.iter().map(|bound| Some(*bound)).chain([None]).collect();
    ranges.drain(..ranges.len().saturating_sub(shards));
    // From the back, so that number and range don't agree.
    ranges.into_iter().enumerate().map(|(at, bound)| (bound, shards - 1 - at)).collect()
}

const LISTS: &[&[&str]] = &[&["eu", "uk"], &["us"], &["Ünited", "it''s"], &["asia", ""]];

fn list_shard(list: usize, shards: usize) -> usize {
    list % shards
}

/// SQL for the number of the shard that a row of this table belongs to; `None` where it isn't one.
pub fn belongs(table: &Table, shards: usize) -> Option<String> {
    let mut cases = String::from("CASE");
    match table.home {
        Home::Hash { key, function, .. } => {
            return Some(format!("((({function}({key}, 8816678312871386365) & 4095) + 2275) & 4095) % {shards}"));
        }
        Home::Range { key } => {
            for (bound, shard) in ranges(table.name, shards) {
                let condition = bound.map_or("true".to_owned(), |bound| format!("{key} < '{bound}'"));
                write!(cases, " WHEN {condition} THEN {shard}").expect("a String takes any text");
            }
        }
        Home::List { key } => {
            for (list, values) in LISTS.iter().enumerate() {
                let values = values.join("', '");
                write!(cases, " WHEN {key} IN ('{values}') THEN {}", list_shard(list, shards))
                    .expect("a String takes any text");
            }
        }
        Home::Unsharded | Home::Reference => return None,
    }
    Some(cases + " END")
}

/// The tables as a configuration file has them.
pub fn tables_toml(shards: usize) -> String {
    let mut text = String::new();
    for table in TABLES {
        let body = match table.home {
            Home::Unsharded => continue,
            Home::Reference => "reference = true".to_owned(),
            Home::Hash { key, with: "", .. } if table.name == "profiles" => {
                format!("key = \"{key}\"\nunique = [\"email\", \"tenant, number\"]")
            }
            Home::Hash { key, with: "", .. } => format!("key = \"{key}\""),
            Home::Hash { key, with, .. } => format!("key = \"{key}\"\ncolocate = \"{with}\""),
            Home::Range { key } => {
                let range = ranges(table.name, shards).into_iter().map(|(bound, shard)| {
                    let until = bound.map_or(String::new(), |bound| format!("until = \"{bound}\", "));
                    format!("{{ {until}shard = \"{}\" }}", shard_name(shard))
                });
                format!("key = \"{key}\"\nrange = [ {} ]", range.collect::<Vec<_>>().join(", "))
            }
            Home::List { key } => {
                let list = LISTS.iter().enumerate().map(|(list, values)| {
                    let values = values.join("\", \"").replace("''", "'");
                    let shard = shard_name(list_shard(list, shards));
                    format!("{{ values = [\"{values}\"], shard = \"{shard}\" }}")
                });
                format!("key = \"{key}\"\nlist = [ {} ]", list.collect::<Vec<_>>().join(", "))
            }
        };
        write!(text, "\n[database.shop.table.{}]\n{body}\n", table.name).expect("a String takes any text");
    }
    text
}

/// A row: its table and the INSERT.
pub type Insert = (&'static str, String);

/// Users and everything of theirs: user 1 has much, some have nothing.
fn users() -> Vec<Insert> {
    const NAMES: [&str; 8] = ["ann", "Bob", "Zoë", "O''Neil", "李雷", "", "100%", "a\\b"];
    const COUNTRIES: [&str; 5] = ["'nz'", "'pt'", "'is'", "'xx'", "NULL"];
    const VALUES: [&str; 7] = ["'NaN'", "'-0'", "0", "'Infinity'", "1.5", "NULL", "1e-300"];
    const STATUSES: [&str; 4] = ["'new'", "'paid'", "'sent'", "NULL"];
    let mut rows = Vec::new();
    for id in (1..=60_i64).chain([-1, 0, 2_147_483_648, i64::MAX, i64::MIN]) {
        let pick = usize::try_from(id.rem_euclid(840)).expect("a remainder is small");
        let name = NAMES[pick % 8];
        let email = if pick % 7 == 0 { "NULL".to_owned() } else { format!("'{}@example.com'", pick % 20) };
        let age = if pick % 9 == 0 { "NULL".to_owned() } else { (pick % 70).to_string() };
        let active = ["true", "false", "NULL"][pick % 3];
        rows.push(("users", format!("INSERT INTO users (id, name, email, age, active, country) VALUES ('{id}', '{name}', {email}, {age}, {active}, {})", COUNTRIES[pick % 5])));
        let orders = if id == 1 { 40 } else { pick % 4 };
        for order in 1..=orders {
            let amount = format!("{}.{:02}", (pick * order * 7) % 500, (order * 25) % 100);
            let placed = format!("'2026-01-{:02} {:02}:30:00+00'", 1 + (pick + order) % 28, order % 24);
            rows.push(("orders", format!("INSERT INTO orders (user_id, id, amount, status, placed_at) VALUES ('{id}', {order}, {amount}, {}, {placed})", STATUSES[(pick + order) % 4])));
            for line in 1..=order % 3 {
                rows.push((
                    "order_items",
                    format!(
                        "INSERT INTO order_items VALUES ('{id}', {order}, {line}, {}, {}, {}.50)",
                        1 + (pick + line) % 12,
                        line * 2,
                        order % 9
                    ),
                ));
            }
        }
        if pick % 2 == 1 {
            let mood = ["'sad'", "'ok'", "'happy'", "NULL"][pick % 4];
            let tags = ["'{}'", "'{a,b}'", "'{NULL,\"x y\"}'", "NULL"][(pick / 2) % 4];
            rows.push((
                "scores",
                format!(
                    "INSERT INTO scores VALUES ('{id}', {}, {}, {tags}, {mood}, {})",
                    pick % 5,
                    VALUES[pick % 7],
                    pick % 100
                ),
            ));
        }
    }
    rows
}

/// Values that are easily taken for others. Equal ones print alike, so that it doesn't matter which of them a group shows.
fn odds() -> Vec<Insert> {
    const COLUMNS: [&[&str]; 22] = [
        &["'NaN'", "'-0'", "'Infinity'", "1.5", "NULL", "'-Infinity'", "1e-300", "2.25"],
        &["NULL", "0.5", "'NaN'", "16777216", "'-0'"],
        &["'NaN'", "12345678901234567890.123456789", "0.1", "-7", "NULL", "1e30", "0.000000000000000000012", "99.90"],
        &["'b'", "'B'", "'ä'", "'a'", "''", "NULL", "'z '", "'Ünited'", "'a-b'", "'ab'"],
        &["'b'", "'B'", "'ä'", "'a'", "''", "NULL", "'_'", "'ab'", "'ÄB'"],
        &["'B'", "'b'", "'Ä'", "'a'", "NULL", "'ab'", "'a-b'", "''"],
        &["'happy'", "'sad'", "NULL", "'ok'"],
        &["'{}'", "'{1,2}'", "NULL", "'{NULL,3}'", "'{{1},{2}}'", "'[0:1]={5,6}'"],
        &["'{a}'", "NULL", "'{\"x y\",NULL,\"\"}'", "'{b,a}'", "'{}'"],
        &["'{\"n\": 1, \"t\": [1, 2]}'", "'null'", "NULL", "'[]'", "'{\"n\": null}'", "'\"text\"'", "'3'"],
        &["'{ \"a\" : 1, \"a\": 2}'", "NULL", "'[1,  2]'"],
        &["'empty'", "'[1,5)'", "NULL", "'(,3)'", "'[4,)'", "'[3,8)'"],
        &[
            "'infinity'",
            "'2026-03-29 01:30:00+00'",
            "NULL",
            "'-infinity'",
            "'2026-01-10 23:59:59.999999+00'",
            "'0044-03-15 12:00:00+00 BC'",
        ],
        &["'2026-03-29 02:30:00'", "NULL", "'infinity'", "'1999-12-31 23:59:59.5'"],
        &["'2026-01-31'", "NULL", "'-infinity'", "'2024-02-29'", "'0001-01-01 BC'"],
        &["'1 month'", "NULL", "'-3 days'", "'25:30:00.25'", "'1 year 2 days'"],
        &["'\\x00ff'", "NULL", "'\\x'", "'\\x5c78'"],
        &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "NULL", "'00000000-0000-0000-0000-000000000000'"],
        &["'ab'", "NULL", "''", "'ab c'", "'Ab'"],
        &["'ab'", "'ab '", "NULL", "''", "'AB'"],
        &["true", "false", "NULL"],
        &["'[1,2.5)'", "NULL", "'empty'", "'(,1]'"],
    ];
    let mut rows = Vec::new();
    for (number, user) in
        [1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 5, 5, 8, 13, 13, 21, 34, 55, 60, -1, 0, i64::MAX, i64::MIN].iter().enumerate()
    {
        // Strides without a common factor with the lists, so that values meet in many ways.
        let value = |(at, column): (usize, &&[&str])| column[(number * (at + 1) + at) % column.len()].to_owned();
        let values: Vec<_> = COLUMNS.iter().enumerate().map(value).collect();
        rows.push(("odds", format!("INSERT INTO odds VALUES ('{user}', {number}, {})", values.join(", "))));
    }
    rows
}

fn ranged() -> Vec<Insert> {
    let mut rows = Vec::new();
    for id in 1..=40 {
        let (month, year) = if id % 4 == 0 { (11 + id % 2, 2025) } else { (1 + id % 3, 2026) };
        let payload = if id % 5 == 0 { "NULL".to_owned() } else { format!("'{{\"n\": {id}}}'") };
        rows.push((
            "events",
            format!(
                "INSERT INTO events VALUES ('{year}-{month:02}-{:02} 10:00:00+00', {id}, 'kind{}', {payload})",
                1 + id % 27,
                id % 3
            ),
        ));
    }
    rows.push(("events", "INSERT INTO events VALUES ('2026-01-01 00:00:00+00', 100, 'edge', '[]')".to_owned()));
    rows.push(("events", "INSERT INTO events VALUES ('2025-12-31 23:59:59.999999+00', 101, 'edge', '{}')".to_owned()));
    rows.push(("events", "INSERT INTO events VALUES ('infinity', 102, 'end', NULL)".to_owned()));
    rows.push(("events", "INSERT INTO events VALUES ('-infinity', 103, 'start', NULL)".to_owned()));
    for day in 1..=28 {
        rows.push(("days", format!("INSERT INTO days VALUES ('2026-01-{day:02}', {})", day * 3)));
        rows.push(("days", format!("INSERT INTO days VALUES ('2026-02-{day:02}', NULL)")));
    }
    for level in [
        "-5",
        "-1",
        "-0.5",
        "0",
        "0.00",
        "1.10",
        "10.4999",
        "10.5",
        "11",
        "999.99",
        "1000",
        "123456789012345678901234567890",
    ] {
        if level != "0.00" {
            rows.push(("levels", format!("INSERT INTO levels VALUES ({level}, 'level {level}')")));
        }
    }
    for id in 1..=24 {
        let region = ["eu", "uk", "us", "Ünited", "it''s", "asia", "", "eu"][id % 8];
        rows.push(("accounts", format!("INSERT INTO accounts VALUES ('{region}', {id}, {}.{:02})", id * 10, id)));
    }
    rows
}

fn others() -> Vec<Insert> {
    let mut rows = Vec::new();
    for n in 1..=24 {
        rows.push(("docs", format!("INSERT INTO docs VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd3800{n:02x}', '{{\"n\": {n}, \"tags\": [\"x\"]}}')")));
        rows.push(("small2", format!("INSERT INTO small2 VALUES ({}, 'v{}')", n * 7 - 60, n % 4)));
        rows.push(("small4", format!("INSERT INTO small4 VALUES ({}, 'v{}')", n * 7 - 60, n % 4)));
    }
    for (n, name) in [
        "ann",
        "Ann",
        "ANN",
        "Zoë",
        "李雷",
        "",
        " ",
        "o''neil",
        "a\\b",
        "NULL",
        "null",
        "1",
        "01",
        "a b",
        "tab\there",
        "naïve",
        "🦀",
    ]
    .iter()
    .enumerate()
    {
        rows.push(("names", format!("INSERT INTO names VALUES ('{name}', {n})")));
        // A varchar's trailing blanks are left to PostgreSQL to judge: such keys are refused.
        if !name.ends_with(' ') {
            rows.push(("nicknames", format!("INSERT INTO nicknames VALUES ('{name}', {n})")));
        }
    }
    rows
}

/// What isn't loaded through Shardway: tables of the home shard, reference tables on each shard, and a sharded table
/// that it refuses because of its inheritance child.
pub fn unsharded_rows() -> Vec<Insert> {
    let mut rows = Vec::new();
    for id in 1..=12 {
        let price = if id % 5 == 0 { "NULL".to_owned() } else { format!("{id}.99") };
        rows.push(("products", format!("INSERT INTO products VALUES ({id}, 'product {id}', {price})")));
    }
    for n in 1..=24 {
        rows.push(("parents", format!("INSERT INTO parents VALUES ({n}, 'p{n}')")));
    }
    for (code, name) in [("nz", "New Zealand"), ("pt", "Portugal"), ("is", "Ísland")] {
        rows.push(("countries", format!("INSERT INTO countries VALUES ('{code}', '{name}')")));
    }
    for (key, value) in [("theme", "'dark'"), ("limit", "'10'"), ("empty", "''"), ("none", "NULL")] {
        rows.push(("settings", format!("INSERT INTO settings VALUES ('{key}', {value})")));
    }
    for n in 1..=5 {
        rows.push(("audit", format!("INSERT INTO audit (what, at) VALUES ('what {n}', '2026-01-0{n}')")));
        rows.push(("\"Mixed Case\"", format!("INSERT INTO \"Mixed Case\" VALUES ({n}, 'row {n}')")));
        rows.push(("other.users", format!("INSERT INTO other.users VALUES ({n}, 'other {n}')")));
        rows.push(("other.things", format!("INSERT INTO other.things VALUES ({n}, 'thing {n}')")));
    }
    rows.push(("children", "INSERT INTO children VALUES (500, 'child', 'extra')".to_owned()));
    rows.push(("children", "INSERT INTO children VALUES (3, 'child of home', 'extra')".to_owned()));
    rows
}

/// The rows of the sharded tables.
pub fn sharded_rows() -> Vec<Insert> {
    [users(), odds(), ranged(), others()].concat()
}

pub fn table(name: &str) -> &'static Table {
    TABLES.iter().find(|table| table.name == name).expect("rows belong to a table of the list")
}
