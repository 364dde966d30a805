//! What operators see of a running proxy before real servers: the console, the figures, what an administrator may do.

mod console;
mod http;
mod maps;
mod power;
mod programs;
#[path = "../support/mod.rs"]
mod support;
mod traces;
#[allow(dead_code)]
#[path = "../oracle/wire.rs"]
mod wire;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use shardway::devcluster::Cluster;
use support::{Proxy, Shards};
use wire::Client;

const SCHEMA: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, name text);
    CREATE TABLE orders (user_id bigint, id bigint, PRIMARY KEY (user_id, id));
    CREATE TABLE countries (code text PRIMARY KEY);
    CREATE TABLE events (at date PRIMARY KEY);
";

pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let builder = Shards::builder().shards(2).replicas(1).database("shop").schema(SCHEMA).max_connections(100);
        builder.start().unwrap_or_else(|error| panic!("{error}"))
    })
}

/// Users `app`, `ops` (admin) and `watch` (stats), who need no password; `server` and `more` are further lines.
pub fn config(server: &str, more: &str) -> String {
    let (user, password) = (cluster().user(), cluster().password());
    let each = |name: &str, may: &str| {
        format!(
            "[[user]]\nname = \"{name}\"\npassword = \"{name}-secret\"\nserver_user = \"{user}\"\n\
             server_password = \"{password}\"\n{may}\n"
        )
    };
    format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n{server}\n[pool]\nsize = 4\n\
         wait_timeout = \"10s\"\n{more}\n{}{}{}{}\n\
         [database.shop.table.users]\nkey = \"id\"\n[database.shop.table.orders]\nkey = \"user_id\"\ncolocate = \"users\"\n\
         [database.shop.table.countries]\nreference = true\n[database.shop.table.events]\nkey = \"at\"\n\
         range = [ {{ until = \"2026-01-01\", shard = \"a\" }}, {{ shard = \"b\" }} ]\n",
        each("app", ""),
        each("ops", "admin = true"),
        each("watch", "stats = true"),
        cluster().database_toml("shop")
    )
}

/// The proxy that the tests share which change nothing about it.
pub fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| Proxy::start(cluster(), &config("", "")))
}

#[track_caller]
pub fn connect(proxy: &Proxy, user: &str, database: &str) -> Client {
    let connected = Client::connect(proxy.address(), user, database);
    connected.unwrap_or_else(|error| panic!("{error}\n{}", proxy.log()))
}

#[track_caller]
pub fn becomes(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The one row whose cell of that column has that value, as column and value.
#[track_caller]
pub fn row_where(
    client: &mut Client,
    sql: &str,
    column: &str,
    value: &str,
) -> std::collections::BTreeMap<String, String> {
    let all = table(client, sql);
    let found = all.iter().find(|row| row.get(column).is_some_and(|cell| cell == value));
    found.cloned().unwrap_or_else(|| panic!("{sql}: no row with {column} = {value} in {all:#?}"))
}

/// Rows as column and value.
#[track_caller]
pub fn table(client: &mut Client, sql: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let turn = client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let names: Vec<String> = columns(&turn).iter().map(|column| column.name.clone()).collect();
    let rows = wire::texts(&turn, sql);
    rows.into_iter().map(|row| names.iter().cloned().zip(row).collect()).collect()
}

pub fn columns(turn: &wire::Turn) -> Vec<wire::Column> {
    let found = turn.events.iter().find_map(|event| match event {
        wire::Event::Columns(columns) => Some(columns.clone()),
        _ => None,
    });
    found.unwrap_or_default()
}
