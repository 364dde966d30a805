//! Real drivers. Each script runs on a plain PostgreSQL, which proves the script, and through Shardway on one
//! shard and on two, unchanged but for the URL.

mod support;
#[path = "drivers/tokio_postgres.rs"]
mod tokio_postgres_driver;

use std::sync::OnceLock;

use shardway::devcluster::Cluster;
use support::{DRIVER_SCHEMA, NodeEnv, Proxy, PythonEnv, Shards, driver_config, expect_success, psql, repository_file};

/// One server with everything: what the drivers do must work here first.
fn plain() -> &'static Cluster {
    static PLAIN: OnceLock<Cluster> = OnceLock::new();
    PLAIN.get_or_init(|| Shards::start(1, 0, DRIVER_SCHEMA))
}

/// What each driver must be able to do, wherever the URL leads.
fn psql_works(cluster: &Cluster, url: &str) {
    let script = repository_file("tests/drivers/psql.sql");
    let script = script.to_str().expect("the repository's path is UTF-8");
    let output = psql(cluster, url, &["-A", "-t", "-q", "-f", script]);
    let output = expect_success("psql", &output);
    let expected = std::fs::read_to_string(repository_file("tests/drivers/psql.expected"));
    assert_eq!(output, expected.expect("it is there"));
}

fn psycopg_works(url: &str) {
    PythonEnv::get().run("tests/drivers/psycopg_driver.py", &[url]);
}

fn asyncpg_works(url: &str) {
    PythonEnv::get().run("tests/drivers/asyncpg_driver.py", &[url]);
}

fn node_postgres_works(url: &str) {
    NodeEnv::get().run("tests/drivers/node_postgres.mjs", &[url]);
}

fn postgres_js_works(url: &str) {
    NodeEnv::get().run("tests/drivers/postgres_js.mjs", &[url]);
}

/// What it reads.
fn sqlalchemy_reads(url: &str) -> String {
    let python = PythonEnv::with("sqlalchemy", &["SQLAlchemy>=2,<3", "psycopg[binary]>=3.2,<4"]);
    python.run("tests/drivers/sqlalchemy_driver.py", &[url])
}

#[test]
fn sqlalchemy_reads_the_same_everywhere() {
    let expected = sqlalchemy_reads(&plain().primary(0).url());
    for (place, url) in [("one shard", one_shard().1), ("two shards", two_shards().1)] {
        let found = sqlalchemy_reads(&url);
        for (expected, found) in expected.lines().zip(found.lines()) {
            assert_eq!(found, expected, "through {place}");
        }
        assert_eq!(found.lines().count(), expected.lines().count(), "through {place}");
    }
}

#[test]
fn tokio_postgres_on_postgresql() {
    tokio_postgres_driver::works(&plain().primary(0).url());
}

#[test]
fn tokio_postgres_through_one_shard() {
    tokio_postgres_driver::works(&one_shard().1);
}

#[test]
fn tokio_postgres_through_two_shards() {
    tokio_postgres_driver::works(&two_shards().1);
}

#[test]
fn psql_on_postgresql() {
    psql_works(plain(), &plain().primary(0).url());
}

#[test]
fn psycopg_on_postgresql() {
    psycopg_works(&plain().primary(0).url());
}

#[test]
fn asyncpg_on_postgresql() {
    asyncpg_works(&plain().primary(0).url());
}

#[test]
fn node_postgres_on_postgresql() {
    node_postgres_works(&plain().primary(0).url());
}

#[test]
fn postgres_js_on_postgresql() {
    postgres_js_works(&plain().primary(0).url());
}

/// Shardway in front of one shard.
fn one_shard() -> (&'static Cluster, String) {
    static ONE: OnceLock<(Cluster, Proxy)> = OnceLock::new();
    through(&ONE, 1)
}

/// Shardway in front of two shards.
fn two_shards() -> (&'static Cluster, String) {
    static TWO: OnceLock<(Cluster, Proxy)> = OnceLock::new();
    through(&TWO, 2)
}

fn through(place: &'static OnceLock<(Cluster, Proxy)>, shards: usize) -> (&'static Cluster, String) {
    let (cluster, proxy) = place.get_or_init(|| {
        let cluster = Shards::builder().shards(shards).database("shop").schema(DRIVER_SCHEMA).start();
        let cluster = cluster.unwrap_or_else(|error| panic!("{error}"));
        let proxy = Proxy::start(&cluster, &driver_config(&cluster));
        (cluster, proxy)
    });
    (cluster, proxy.url_of(cluster))
}

#[test]
fn psql_through_one_shard() {
    let (cluster, url) = one_shard();
    psql_works(cluster, &url);
}

#[test]
fn psql_through_two_shards() {
    let (cluster, url) = two_shards();
    psql_works(cluster, &url);
}

#[test]
fn psycopg_through_one_shard() {
    psycopg_works(&one_shard().1);
}

#[test]
fn psycopg_through_two_shards() {
    psycopg_works(&two_shards().1);
}

#[test]
fn asyncpg_through_one_shard() {
    asyncpg_works(&one_shard().1);
}

#[test]
fn asyncpg_through_two_shards() {
    asyncpg_works(&two_shards().1);
}

#[test]
fn node_postgres_through_one_shard() {
    node_postgres_works(&one_shard().1);
}

#[test]
fn node_postgres_through_two_shards() {
    node_postgres_works(&two_shards().1);
}

#[test]
fn postgres_js_through_one_shard() {
    postgres_js_works(&one_shard().1);
}

#[test]
fn postgres_js_through_two_shards() {
    postgres_js_works(&two_shards().1);
}
