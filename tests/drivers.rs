//! Real drivers. Each script runs on a plain PostgreSQL, which proves the script.

mod support;

use std::sync::OnceLock;

use shardway::devcluster::Cluster;
use support::{DRIVER_SCHEMA, NodeEnv, PythonEnv, Shards, expect_success, psql, repository_file};

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
