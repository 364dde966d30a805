//! The record of the placement on the servers: made by `shardway setup`, and looked at before anything is served.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use shardway::devcluster::Cluster;
use support::{Proxy, Shards};
use wire::Client;

mod support;
#[allow(dead_code)]
#[path = "oracle/wire.rs"]
mod wire;

const SCHEMA: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, name text);
    CREATE TABLE regions (code text PRIMARY KEY);
    CREATE TABLE countries (code text PRIMARY KEY);
    CREATE TABLE notes (id int);
";

/// One server; a database is a shard.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let builder = Shards::builder().hba("host all all 127.0.0.1/32 trust");
        builder.start().unwrap_or_else(|error| panic!("{error}"))
    })
}

fn direct(database: &str) -> Client {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], cluster().primary(0).port()));
    Client::connect(address, cluster().user(), database).unwrap_or_else(|error| panic!("{database}: {error}"))
}

/// Empty databases with the tables.
fn databases(names: &[&str]) {
    for name in names {
        direct("postgres").rows(&format!("CREATE DATABASE {name}"));
        direct(name).rows(SCHEMA);
    }
}

const HEAD: &str = "[server]\nlisten = \"127.0.0.1:{port}\"\nauthentication = \"trust\"\n";

fn user() -> String {
    format!("\n[[user]]\nname = \"{}\"\npassword = \"{}\"\n", cluster().user(), cluster().password())
}

/// A database whose shards have these names and lie in these databases.
fn shards(name: &str, shards: &[(&str, &str)]) -> String {
    let port = cluster().primary(0).port();
    let mut text = format!("\n[database.{name}]\nhome = \"{}\"\n", shards[0].0);
    for (shard, database) in shards {
        text += &format!("[database.{name}.shard.{shard}]\nprimary = \"postgres://127.0.0.1:{port}/{database}\"\n");
    }
    text
}

fn tables(name: &str) -> String {
    format!("[database.{name}.table.users]\nkey = \"id\"\n[database.{name}.table.countries]\nreference = true\n")
}

fn whole(name: &str, of: &[(&str, &str)]) -> String {
    format!("{HEAD}{}{}{}", user(), shards(name, of), tables(name))
}

fn shardway(arguments: &[&str], config: &str) -> Output {
    let file = file(config);
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardway"));
    command.args(arguments).arg("--config").arg(&file).output().expect("the binary has been built")
}

fn file(config: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let path = cluster().directory().join(format!("placement-{}.toml", NEXT.fetch_add(1, Ordering::Relaxed)));
    std::fs::write(&path, config.replace("{port}", "6432")).expect("the cluster's directory can be written to");
    path
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn record(database: &str) -> Vec<Vec<String>> {
    direct(database).rows("SELECT kind, name, description FROM shardway.placement ORDER BY kind, name")
}

/// SQLSTATE, message and detail of what the first statement comes to; empty if it runs.
fn served(config: &str, database: &str) -> (String, String) {
    let proxy = Proxy::start(cluster(), config);
    let mut client = Client::connect(proxy.address(), cluster().user(), database)
        .unwrap_or_else(|error| panic!("{error}\n{}", proxy.log()));
    let turn = client.query("SELECT * FROM users WHERE id = 1").expect("answered");
    let code = turn.error().map(|report| report.code.clone()).unwrap_or_default();
    (code, proxy.log())
}

#[track_caller]
fn is_refused(config: &str, database: &str, saying: &str) {
    let (code, log) = served(config, database);
    assert_eq!(code, "F0000", "{log}");
    assert!(log.contains(saying), "no {saying:?} in {log}");
}

#[track_caller]
fn is_served(config: &str, database: &str) {
    let (code, log) = served(config, database);
    assert_eq!(code, "", "{log}");
}

#[test]
fn setup_records_the_placement_once() {
    databases(&["s_a", "s_b"]);
    let config = whole("shop", &[("a", "s_a"), ("b", "s_b")]);
    let said = succeeds(&shardway(&["setup"], &config));
    let said: Vec<_> = said.lines().collect();
    let [a, b, scratch] = said[..] else { panic!("{said:?}") };
    assert_eq!(a, "database shop, shard a: placement of 2 tables is recorded");
    assert_eq!(b, "database shop, shard b: placement of 2 tables is recorded");
    assert!(scratch.starts_with("database shop: scratch database shardway_scratch_s_a_"), "{scratch}");
    let before = (record("s_a"), record("s_b"));
    let rows: Vec<_> = before
        .1
        .iter()
        .map(|row| (row[0].as_str(), row[1].as_str(), row[2].lines().next().unwrap_or_default()))
        .collect();
    assert_eq!(
        rows,
        [
            ("shard", "b", "this server's shard"),
            ("table", "*", "home \"a\""),
            ("table", "public.countries", "reference"),
            ("table", "public.users", "hash of \"id\""),
        ]
    );
    succeeds(&shardway(&["setup"], &config));
    assert_eq!((record("s_a"), record("s_b")), before, "a second setup changes nothing");
    is_served(&config, "shop");
    // A setup that differs writes nothing anywhere.
    databases(&["s_c"]);
    let grown = whole("shop", &[("c", "s_c"), ("a", "s_a"), ("b", "s_b")]);
    let output = shardway(&["setup"], &grown);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        errors.contains("shard a: the file differs from what is recorded") && errors.contains("buckets recorded on"),
        "{errors}"
    );
    assert_eq!(direct("s_c").rows("SELECT to_regnamespace('shardway') IS NULL"), [["t"]]);
}

#[test]
fn a_file_that_would_place_rows_differently_is_not_served() {
    databases(&["d_a", "d_b", "d_c", "d_other"]);
    let [a, b, c] = [("a", "d_a"), ("b", "d_b"), ("c", "d_c")];
    let good = whole("shop", &[a, b]);
    succeeds(&shardway(&["setup"], &good));
    is_served(&good, "shop");
    is_refused(&whole("shop", &[a, b, c]), "shop", "buckets recorded on");
    is_refused(&whole("shop", &[b, a]), "shop", "buckets recorded on");
    is_refused(
        &whole("shop", &[("a", "d_b"), ("b", "d_a")]),
        "shop",
        "the server is recorded as shard b, configured as shard a",
    );
    is_refused(&whole("shop", &[a]), "shop", "buckets recorded on");
    is_refused(&good.replace("home = \"a\"", "home = \"b\""), "shop", "unsharded tables: recorded as home");
    is_refused(
        &good.replace("[database.shop.table.users]\nkey = \"id\"\n", ""),
        "shop",
        "table public.users: recorded as hash of",
    );
    // The same placement in other words.
    let buckets: Vec<Vec<String>> =
        [0, 1].map(|odd| (0..4096).filter(|b| b % 2 == odd).map(|b| format!("\"{b}\"")).collect()).into();
    let spelled = format!("buckets = {{ a = [{}], b = [{}] }}\n", buckets[0].join(","), buckets[1].join(","));
    is_served(&good.replace("home = \"a\"\n", &format!("home = \"a\"\n{spelled}")), "shop");
    // Other databases of the file are served.
    let swapped = whole("shop", &[b, a]);
    let both = format!("{swapped}{}", shards("other", &[("x", "d_other")]));
    is_refused(&both, "shop", "buckets recorded on");
    is_served(&both, "other");
}

#[test]
fn an_empty_schema_is_filled_at_the_start() {
    databases(&["e_a", "e_b", "e_none"]);
    direct("e_a").rows("CREATE SCHEMA shardway");
    direct("e_b").rows("CREATE SCHEMA shardway");
    let config = whole("shop", &[("a", "e_a"), ("b", "e_b")]);
    let proxy = Proxy::start(cluster(), &config);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let recorded = |database| {
        direct(database).rows("SELECT to_regclass('shardway.placement') IS NOT NULL") == [["t"]]
            && record(database).len() == 4
    };
    while !(recorded("e_a") && recorded("e_b")) {
        assert!(std::time::Instant::now() < deadline, "{}", proxy.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    drop(proxy);
    is_refused(&whole("shop", &[("b", "e_b"), ("a", "e_a")]), "shop", "buckets recorded on");
    // Without the schema nothing is made.
    is_served(&whole("shop", &[("a", "e_none")]), "shop");
    assert_eq!(direct("e_none").rows("SELECT to_regnamespace('shardway') IS NULL"), [["t"]]);
}

#[test]
fn a_record_that_was_mended_is_served_after_a_reload() {
    databases(&["m_a", "m_b"]);
    succeeds(&shardway(&["setup"], &whole("shop", &[("a", "m_a"), ("b", "m_b")])));
    let swapped = whole("shop", &[("b", "m_b"), ("a", "m_a")]);
    let proxy = Proxy::start(cluster(), &swapped);
    let mut client = Client::connect(proxy.address(), cluster().user(), "shop").expect("admitted");
    let mut code = || {
        let turn = client.query("SELECT * FROM users WHERE id = 1").expect("answered");
        turn.error().map(|report| report.code.clone()).unwrap_or_default()
    };
    assert_eq!(code(), "F0000");
    proxy.rewrite_config(&whole("shop", &[("a", "m_a"), ("b", "m_b")]));
    proxy.process().signal(nix::sys::signal::Signal::SIGHUP).expect("it runs");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !code().is_empty() {
        assert!(std::time::Instant::now() < deadline, "{}", proxy.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn check_tells_of_a_placement_that_differs() {
    databases(&["k_a", "k_b"]);
    let good = whole("shop", &[("a", "k_a"), ("b", "k_b")]);
    succeeds(&shardway(&["setup"], &good));
    let output = shardway(&["check"], &whole("shop", &[("b", "k_b"), ("a", "k_a")]));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("buckets recorded on"), "{said}");
}
