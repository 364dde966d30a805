//! Types of a user's own have other OIDs on each shard, and the OIDs of one shard mean other types on another. Drivers
//! that learn OIDs, declare them and read values in binary that hold them must not notice. Each script runs on a plain
//! PostgreSQL as well.

mod support;

use std::sync::OnceLock;

use shardway::devcluster::Cluster;
use support::{NodeEnv, Proxy, PythonEnv, Shards, driver_config, expect_success, psql};

const COLOR: &str = "CREATE TYPE color AS ENUM ('red', 'green', 'blue');";
const SIZE: &str = "CREATE TYPE size AS ENUM ('small', 'large', 'huge');";
const PAIR: &str = "CREATE TYPE pair AS (c color, n int, s size[]);";
const POSITIVE: &str = "CREATE DOMAIN positive AS int CHECK (VALUE > 0);";
const SPAN: &str = "CREATE TYPE span AS RANGE (subtype = color);";
const THINGS: &str = "CREATE TABLE things (id bigint PRIMARY KEY, c color, s size, cs color[], p pair, ps pair[], \
                      d positive, ds positive[], r span);";
/// The numbers of the columns differ from those of the others.
const THINGS_WITH_A_GAP: &str = "CREATE TABLE things (gone int, id bigint PRIMARY KEY, c color, s size, cs color[], \
                                 p pair, ps pair[], d positive, ds positive[], r span); \
                                 ALTER TABLE things DROP COLUMN gone;";
const LABELS: &str = "CREATE TABLE labels (c color PRIMARY KEY, names color[]);";

fn schema(shard: usize) -> String {
    match shard {
        0 => [COLOR, SIZE, PAIR, POSITIVE, SPAN, THINGS, LABELS].concat(),
        1 => [SIZE, COLOR, SPAN, POSITIVE, PAIR, THINGS, LABELS].concat(),
        _ => ["CREATE TABLE before (x int);", POSITIVE, COLOR, SIZE, SPAN, PAIR, LABELS, THINGS_WITH_A_GAP].concat(),
    }
}

fn plain() -> String {
    static PLAIN: OnceLock<Cluster> = OnceLock::new();
    PLAIN.get_or_init(|| Shards::start(1, 0, &schema(0))).primary(0).url()
}

fn shards() -> String {
    static SHARDS: OnceLock<(Cluster, Proxy)> = OnceLock::new();
    let (cluster, proxy) = SHARDS.get_or_init(|| {
        let cluster = Shards::builder().shards(3).database("shop").start().unwrap_or_else(|error| panic!("{error}"));
        let run = |shard: usize, sql: &str| {
            expect_success("psql", &psql(&cluster, &cluster.primary(shard).url(), &["-At", "-q", "-c", sql]))
        };
        (0..3).for_each(|shard| drop(run(shard, &schema(shard))));
        let oids = |shard: usize| run(shard, "SELECT 'color'::regtype::oid, 'size'::regtype::oid");
        let (home, other) = (oids(0), oids(1));
        let swapped: Vec<&str> = other.trim().rsplit('|').collect();
        assert_eq!(home.trim(), swapped.join("|"), "the OIDs of the two shards clash");
        let place = format!("[database.{}.table.", cluster.database());
        let tables = format!("{place}things]\nkey = \"id\"\n\n{place}labels]\nreference = true\n");
        let config = driver_config(&cluster);
        // The servers and users of that one, tables of its own.
        let (start, _) = config.split_once(&place).expect("it has tables");
        let proxy = Proxy::start(&cluster, &format!("{start}{tables}"));
        (cluster, proxy)
    });
    proxy.url_of(cluster)
}

fn python(script: &str, url: &str) {
    PythonEnv::get().run(&format!("tests/drivers/{script}"), &[url]);
}

#[test]
fn asyncpg_on_postgresql() {
    python("user_types_asyncpg.py", &plain());
}

#[test]
fn asyncpg_on_three_shards() {
    python("user_types_asyncpg.py", &shards());
}

#[test]
fn psycopg_on_postgresql() {
    python("user_types_psycopg.py", &plain());
}

#[test]
fn psycopg_on_three_shards() {
    python("user_types_psycopg.py", &shards());
}

#[test]
fn node_postgres_on_postgresql() {
    NodeEnv::get().run("tests/drivers/user_types.mjs", &[&plain()]);
}

#[test]
fn node_postgres_on_three_shards() {
    NodeEnv::get().run("tests/drivers/user_types.mjs", &[&shards()]);
}
