//! The shop: its tables, its rows and its part of the configuration file. In: numbers. Out: text; the same
//! rows on every run. Knows no connections.

use std::fmt::Write;

/// Users are numbered from 1.
pub(super) const USERS: u64 = 1_000;
const PRODUCTS: u64 = 200;

/// Rows of the reference tables, on each shard.
pub(super) const REFERENCE_ROWS: u64 = PRODUCTS + COUNTRIES.len() as u64;

/// Foreign keys stay within a shard: colocated tables have the key, reference tables are everywhere.
pub const SCHEMA: &str = "
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
CREATE TABLE products (id bigint PRIMARY KEY, name text NOT NULL, price numeric(10, 2) NOT NULL);
CREATE TABLE users (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL,
    country text NOT NULL REFERENCES countries,
    joined_on date NOT NULL
);
CREATE TABLE orders (
    user_id bigint NOT NULL REFERENCES users,
    id bigint NOT NULL,
    placed_at timestamptz NOT NULL,
    status text NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE TABLE order_items (
    user_id bigint NOT NULL,
    order_id bigint NOT NULL,
    line int NOT NULL,
    product_id bigint NOT NULL REFERENCES products,
    quantity int NOT NULL,
    PRIMARY KEY (user_id, order_id, line),
    FOREIGN KEY (user_id, order_id) REFERENCES orders
);
";

const COUNTRIES: [(&str, &str); 16] = [
    ("ar", "Argentina"),
    ("ca", "Canada"),
    ("ch", "Switzerland"),
    ("cz", "Czechia"),
    ("fi", "Finland"),
    ("gh", "Ghana"),
    ("id", "Indonesia"),
    ("ie", "Ireland"),
    ("in", "India"),
    ("is", "Iceland"),
    ("jp", "Japan"),
    ("ke", "Kenya"),
    ("nz", "New Zealand"),
    ("pt", "Portugal"),
    ("uy", "Uruguay"),
    ("vn", "Vietnam"),
];

const FIRST_NAMES: [&str; 20] = [
    "Ada",
    "Alan",
    "Barbara",
    "Claude",
    "Edgar",
    "Edsger",
    "Frances",
    "Grace",
    "Hedy",
    "Jim",
    "John",
    "Karen",
    "Katherine",
    "Leslie",
    "Margaret",
    "Michael",
    "Niklaus",
    "Radia",
    "Shafi",
    "Tim",
];
const LAST_NAMES: [&str; 17] = [
    "Allen", "Bartik", "Clarke", "Dijkstra", "Easley", "Floyd", "Gray", "Hamilton", "Iverson", "Johnson", "Knuth",
    "Lamport", "Moore", "Naur", "Perlman", "Sammet", "Wirth",
];
const MATERIALS: [&str; 10] = ["Oak", "Steel", "Linen", "Copper", "Glass", "Wool", "Paper", "Clay", "Cork", "Slate"];
const THINGS: [&str; 20] = [
    "bowl", "brush", "candle", "chair", "clock", "cup", "frame", "hook", "jar", "kettle", "lamp", "mat", "pen",
    "plate", "ruler", "shelf", "stool", "table", "tray", "vase",
];
const STATES: [&str; 4] = ["new", "paid", "sent", "sent"];

/// The rows of the reference tables, as one INSERT each.
pub(super) fn reference_inserts() -> [String; 2] {
    let countries = values(COUNTRIES.iter(), |text, (code, name)| write!(text, "'{code}', '{name}'"));
    let products = values(1..=PRODUCTS, |text, id| {
        let material = pick(&MATERIALS, id / THINGS.len() as u64);
        let thing = pick(&THINGS, id);
        write!(text, "{id}, '{material} {thing}', {}.{:02}", 2 + id * 7 % 90, id * 5 % 100)
    });
    [
        format!("INSERT INTO countries (code, name) VALUES {countries}"),
        format!("INSERT INTO products (id, name, price) VALUES {products}"),
    ]
}

/// One user with all that belongs to it, and how many rows that is.
pub(super) struct UserRows {
    pub name: String,
    pub email: String,
    pub country: &'static str,
    pub joined_on: String,
    pub orders: String,
    pub items: String,
    pub rows: u64,
}

/// The rows of user number `id`.
pub(super) fn user_rows(id: u64) -> UserRows {
    // Neighbours should differ, and every run be the same.
    let seed = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let (first, last) = (pick(&FIRST_NAMES, seed), pick(&LAST_NAMES, seed / 20));
    let orders = 1 + seed % 5;
    let items = |order: u64| 1 + (seed + order) % 3;
    let lines = (1..=orders).flat_map(|order| (1..=items(order)).map(move |line| (order, line)));
    let rows = 1 + orders + (1..=orders).map(items).sum::<u64>();
    UserRows {
        name: format!("{first} {last}"),
        email: format!("{}.{id}@example.com", first.to_lowercase()),
        country: COUNTRIES[(seed / 340 % COUNTRIES.len() as u64) as usize].0,
        joined_on: day(seed),
        orders: format!(
            "INSERT INTO orders (user_id, id, placed_at, status) VALUES {}",
            values(1..=orders, |text, order| write!(
                text,
                "{id}, {order}, '{} {:02}:30:00+00', '{}'",
                day(seed + order * 31),
                8 + order,
                pick(&STATES, seed + order)
            ))
        ),
        items: format!(
            "INSERT INTO order_items (user_id, order_id, line, product_id, quantity) VALUES {}",
            values(lines, |text, (order, line)| {
                let product = 1 + (seed + order * 13 + line * 7) % PRODUCTS;
                write!(text, "{id}, {order}, {line}, {product}, {}", 1 + (seed + line) % 4)
            })
        ),
        rows,
    }
}

/// The whole configuration file. `database` is the part with the servers.
pub(super) fn config(port: u16, reads: &str, database: &str) -> String {
    let (head, shards) = database.split_once("\n\n").unwrap_or((database, ""));
    format!(
        "# Written by `shardway demo`.

[server]
listen = \"127.0.0.1:{port}\"
drain_timeout = \"3s\"

[[user]]
name = \"shop\"
password = \"shop\"

{head}
reads = \"{reads}\"

{shards}
[database.shop.table.users]
key = \"id\"

[database.shop.table.orders]
key = \"user_id\"
colocate = \"users\"

[database.shop.table.order_items]
key = \"user_id\"
colocate = \"users\"

[database.shop.table.products]
reference = true

[database.shop.table.countries]
reference = true
"
    )
}

fn pick<'a>(names: &[&'a str], number: u64) -> &'a str {
    names[(number % names.len() as u64) as usize]
}

/// A day in 2025.
fn day(number: u64) -> String {
    format!("2025-{:02}-{:02}", 1 + number / 28 % 12, 1 + number % 28)
}

/// `(...), (...)`, with the inside of each row by `write`.
fn values<T>(rows: impl Iterator<Item = T>, write: impl Fn(&mut String, T) -> std::fmt::Result) -> String {
    let mut text = String::new();
    for row in rows {
        text.push_str(if text.is_empty() { "(" } else { ", (" });
        write(&mut text, row).expect("a String takes any text");
        text.push(')');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_has_orders_and_each_run_has_the_same() {
        for id in 1..=USERS {
            let user = user_rows(id);
            assert!(user.rows >= 3);
            assert!(user.orders.contains(&format!("({id}, 1, '2025-")));
            assert_eq!(user.items, user_rows(id).items);
        }
    }

    #[test]
    fn the_configuration_names_the_policy_before_the_shards() {
        let text =
            config(6432, "primary", "[database.shop]\nhome = \"a\"\n\n[database.shop.shard.a]\nprimary = \"x\"\n");
        let (reads, shard) = (text.find("reads ="), text.find("shard.a]"));
        assert!(reads.is_some() && reads < shard);
    }
}
