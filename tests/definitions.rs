//! Definitions through Shardway on three servers: on all of them or on none, the home shard's answer for all.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use shardway::devcluster::Cluster;
use support::{Proxy, Shards};
use wire::{Client, Event, texts};

#[path = "definitions/placing.rs"]
mod placing;
mod support;
#[allow(dead_code)]
#[path = "oracle/wire.rs"]
mod wire;

const TABLES: &[(&str, &str)] = &[
    ("users", "key = \"id\""),
    ("orders", "key = \"user_id\"\ncolocate = \"users\""),
    ("parted", "key = \"k\""),
    ("kinds", "reference = true"),
];

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let builder = Shards::builder()
            .shards(3)
            .user("tester", "tester")
            .database("shop")
            .hba("host all all 127.0.0.1/32 trust");
        builder.start().unwrap_or_else(|error| panic!("{error}"))
    })
}

fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| Proxy::start(cluster(), &config("")))
}

/// `more` belongs to the database's section.
fn config(more: &str) -> String {
    let (user, password, database) = (cluster().user(), cluster().password(), cluster().database());
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n\n\
             [[user]]\nname = \"{user}\"\npassword = \"{password}\"\n\n{}",
        cluster().database_toml(database).replacen("]\n", &format!("]\n{more}\n"), 1)
    );
    for (table, place) in TABLES {
        text += &format!("\n[database.{database}.table.{table}]\n{place}\n");
    }
    text
}

/// One test at a time: they make and drop the same tables.
fn alone() -> (MutexGuard<'static, ()>, Client) {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let client = connect();
    for shard in 0..3 {
        let schema = "SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public;";
        cluster().primary(shard).sql(schema).unwrap_or_else(|error| panic!("{error}"));
    }
    let mut client = client;
    // Behind Shardway's back: it looks again after a definition of its own.
    run(&mut client, "CREATE SCHEMA IF NOT EXISTS public");
    (turn, client)
}

fn connect() -> Client {
    Client::connect(proxy().address(), cluster().user(), "shop")
        .unwrap_or_else(|error| panic!("{error}\n{}", proxy().log()))
}

/// The tags of a Query that succeeds.
#[track_caller]
fn run(client: &mut Client, sql: &str) -> Vec<String> {
    let turn = client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}\n{}", proxy().log()));
    if let Some(report) = turn.error() {
        panic!("{sql}: {report:?}\n{}", proxy().log());
    }
    let tag = |event: &Event| match event {
        Event::Complete(tag) => Some(tag.clone()),
        _ => None,
    };
    turn.events.iter().filter_map(tag).collect()
}

/// SQLSTATE and message of one that fails.
#[track_caller]
fn fails(client: &mut Client, sql: &str) -> (String, String) {
    let turn = client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}\n{}", proxy().log()));
    let report = turn.error().unwrap_or_else(|| panic!("{sql} succeeded"));
    (report.code.clone(), report.message.clone())
}

#[track_caller]
fn rows(client: &mut Client, sql: &str) -> Vec<Vec<String>> {
    let turn = client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}\n{}", proxy().log()));
    texts(&turn, sql)
}

/// What each server answers.
#[track_caller]
fn on_each(sql: &str) -> Vec<String> {
    let ask = |shard| cluster().primary(shard).sql(sql).unwrap_or_else(|error| panic!("{error}"));
    (0..3).map(ask).collect()
}

#[track_caller]
fn is_on(table: &str, expected: [bool; 3]) {
    let found = on_each(&format!("SELECT to_regclass('{table}') IS NOT NULL"));
    assert_eq!(found, expected.map(|there| if there { "t" } else { "f" }), "{table}");
}

const USERS: &str = "CREATE TABLE users (id bigserial PRIMARY KEY, name text)";
const ORDERS: &str =
    "CREATE TABLE orders (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users (id), note text)";

#[test]
fn tables_are_where_the_configuration_says() {
    let (_turn, mut client) = alone();
    assert_eq!(run(&mut client, USERS), ["CREATE TABLE"]);
    assert_eq!(run(&mut client, ORDERS), ["CREATE TABLE"]);
    run(&mut client, "CREATE TABLE kinds (id int PRIMARY KEY)");
    run(&mut client, "CREATE TABLE notes (id serial PRIMARY KEY, kind int REFERENCES kinds (id))");
    is_on("users", [true; 3]);
    is_on("orders", [true; 3]);
    is_on("kinds", [true; 3]);
    is_on("notes", [true, false, false]);
    // Known at once, and filled from one sequence.
    let mut ids = Vec::new();
    for _ in 0..9 {
        ids.extend(rows(&mut client, "INSERT INTO users (name) VALUES ('x') RETURNING id").concat());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 9);
    assert!(on_each("SELECT count(*) FROM users").iter().all(|count| count != "0"));
    assert_eq!(run(&mut client, "INSERT INTO notes DEFAULT VALUES"), ["INSERT 0 1"]);
    run(
        &mut client,
        "ALTER TABLE orders ADD COLUMN total numeric DEFAULT 0; CREATE INDEX orders_note ON orders (note)",
    );
    assert_eq!(on_each("SELECT count(*) FROM pg_attribute WHERE attname = 'total'"), ["1"; 3]);
    is_on("orders_note", [true; 3]);
    run(&mut client, "DROP INDEX orders_note");
    is_on("orders_note", [false; 3]);
    run(&mut client, "DROP TABLE orders, users CASCADE");
    is_on("users", [false; 3]);
    assert_eq!(on_each("SELECT count(*) FROM pg_prepared_xacts"), ["0"; 3]);
}

#[test]
fn what_fails_on_one_server_is_done_on_none() {
    let (_turn, mut client) = alone();
    cluster().primary(2).sql("CREATE TABLE users (other int)").expect("a table in the way");
    let (code, message) = fails(&mut client, USERS);
    assert_eq!(code, "42P07", "{message}");
    is_on("users", [false, false, true]);
    cluster().primary(2).sql("DROP TABLE users").expect("it was there");
    // Home says no before the others are asked.
    cluster().primary(0).sql("CREATE TABLE users (other int)").expect("a table in the way");
    assert_eq!(fails(&mut client, USERS).0, "42P07");
    is_on("users", [true, false, false]);
    cluster().primary(0).sql("DROP TABLE users").expect("it was there");
    // A text is one transaction.
    let (code, _) = fails(&mut client, &format!("{USERS}; CREATE TABLE notes (id int); CREATE TABLE notes (id int)"));
    assert_eq!(code, "42P07");
    is_on("users", [false; 3]);
    is_on("notes", [false; 3]);
    run(&mut client, &format!("{USERS}; CREATE TABLE notes (id int); INSERT INTO notes VALUES (1)"));
    is_on("users", [true; 3]);
    is_on("notes", [true, false, false]);
}

#[test]
fn a_block_holds_definitions_on_all_servers() {
    let (_turn, mut client) = alone();
    run(&mut client, "BEGIN");
    run(&mut client, USERS);
    run(&mut client, "CREATE TABLE log (id int)");
    run(&mut client, "SAVEPOINT s");
    run(&mut client, "CREATE INDEX users_name ON users (name)");
    run(&mut client, "ROLLBACK TO SAVEPOINT s");
    run(&mut client, "INSERT INTO log VALUES (1)");
    is_on("users", [false; 3]);
    run(&mut client, "COMMIT");
    is_on("users", [true; 3]);
    is_on("users_name", [false; 3]);
    is_on("log", [true, false, false]);
    run(&mut client, "BEGIN");
    run(&mut client, "DROP TABLE users");
    assert_eq!(fails(&mut client, "DROP TABLE users").0, "42P01");
    assert_eq!(fails(&mut client, "SELECT 1").0, "25P02");
    assert_eq!(run(&mut client, "COMMIT"), ["ROLLBACK"]);
    is_on("users", [true; 3]);
    run(&mut client, "BEGIN; DROP TABLE users; COMMIT");
    is_on("users", [false; 3]);
}

#[test]
fn functions_types_and_schemas_are_everywhere() {
    let (_turn, mut client) = alone();
    run(&mut client, "CREATE TYPE mood AS ENUM ('sad', 'ok')");
    run(&mut client, "ALTER TYPE mood ADD VALUE 'happy'");
    run(&mut client, "CREATE DOMAIN age AS int CHECK (VALUE > 0)");
    run(&mut client, "CREATE TABLE users (id bigint PRIMARY KEY, mood mood DEFAULT 'ok', age age)");
    run(&mut client, "CREATE TABLE settings (k text)");
    // Its body is of the home shard.
    run(&mut client, "CREATE FUNCTION settings_count() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM settings'");
    assert_eq!(
        fails(&mut client, "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT no_such_column'").0,
        "42703"
    );
    run(&mut client, "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'");
    run(&mut client, "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION touch()");
    run(&mut client, "CREATE SEQUENCE loose");
    run(&mut client, "ALTER TABLE loose RENAME TO free");
    is_on("free", [true; 3]);
    assert_eq!(on_each("SELECT count(*) FROM pg_trigger WHERE tgname = 't'"), ["1"; 3]);
    assert_eq!(on_each("SELECT count(*) FROM pg_proc WHERE proname = 'settings_count'"), ["1"; 3]);
    run(&mut client, "COMMENT ON TABLE users IS 'people'");
    assert_eq!(on_each("SELECT obj_description('users'::regclass)"), ["people"; 3]);
    run(&mut client, "DROP SCHEMA public CASCADE");
    run(&mut client, "CREATE SCHEMA public");
    is_on("users", [false; 3]);
}

#[test]
fn what_can_not_be_in_a_transaction_runs_shard_by_shard() {
    let (_turn, mut client) = alone();
    run(&mut client, "CREATE TABLE users (id bigint, name text)");
    assert_eq!(run(&mut client, "VACUUM users"), ["VACUUM"]);
    assert_eq!(run(&mut client, "ANALYZE"), ["ANALYZE"]);
    run(&mut client, "CREATE INDEX CONCURRENTLY users_name ON users (name)");
    is_on("users_name", [true; 3]);
    run(&mut client, "REINDEX INDEX CONCURRENTLY users_name");
    run(&mut client, "DROP INDEX CONCURRENTLY users_name");
    is_on("users_name", [false; 3]);
    run(&mut client, "BEGIN");
    assert_eq!(fails(&mut client, "CREATE INDEX CONCURRENTLY users_name ON users (name)").0, "25001");
    run(&mut client, "ROLLBACK");
    // It stops where it fails, and can be repeated.
    cluster().primary(1).sql("CREATE TABLE users_name ()").expect("a name in the way");
    let turn = client.query("CREATE INDEX CONCURRENTLY users_name ON users (name)").expect("an answer");
    let report = turn.error().expect("an error");
    assert_eq!(report.code, "42P07");
    assert_eq!(
        on_each("SELECT count(*) FROM pg_class WHERE relname = 'users_name' AND relkind = 'i'"),
        ["1", "0", "0"]
    );
    cluster().primary(1).sql("DROP TABLE users_name").expect("it was there");
    run(&mut client, "CREATE INDEX CONCURRENTLY IF NOT EXISTS users_name ON users (name)");
    is_on("users_name", [true; 3]);
}

#[test]
fn the_other_shards_sequences_give_no_numbers() {
    let (_turn, mut client) = alone();
    run(&mut client, USERS);
    run(&mut client, "CREATE TABLE log (id serial)");
    let around = cluster().primary(1).sql("INSERT INTO users (name) VALUES ('around Shardway')");
    let error = around.expect_err("its sequence has none left").to_string();
    assert!(error.contains("reached maximum value"), "{error}");
    cluster().primary(0).sql("INSERT INTO users (name) VALUES ('at home')").expect("the one sequence there is");
    run(&mut client, "INSERT INTO users (name) VALUES ('through Shardway')");
}

#[test]
fn a_block_plans_by_its_own_definitions() {
    let (_turn, mut client) = alone();
    run(&mut client, "BEGIN");
    run(&mut client, "CREATE TABLE users (id bigserial PRIMARY KEY, name text)");
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.extend(rows(&mut client, "INSERT INTO users (name) VALUES ('x') RETURNING id").concat());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6, "ids of a sequence that nobody else can see yet");
    // The primary key that is referred to is one of this transaction.
    run(&mut client, "CREATE TABLE orders (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users)");
    run(&mut client, "CREATE TABLE parted (k bigint NOT NULL, v text) PARTITION BY RANGE (k)");
    run(&mut client, "CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (100)");
    run(&mut client, "SAVEPOINT s");
    run(&mut client, "CREATE INDEX parted_low_v ON parted_low (v)");
    run(&mut client, "DROP INDEX parted_low_v");
    run(&mut client, "CREATE INDEX parted_low_v ON parted_low (v)");
    run(&mut client, "ROLLBACK TO s");
    run(&mut client, "CREATE INDEX parted_low_k ON parted_low (k)");
    run(&mut client, "CREATE TABLE notes (id serial)");
    run(&mut client, "CREATE INDEX notes_id ON notes (id)");
    run(&mut client, "DROP INDEX notes_id");
    run(&mut client, "INSERT INTO notes DEFAULT VALUES");
    run(&mut client, "COMMIT");
    is_on("orders", [true; 3]);
    is_on("parted_low_v", [false; 3]);
    is_on("parted_low_k", [true; 3]);
    is_on("notes", [true, false, false]);
    run(&mut client, "BEGIN");
    run(&mut client, "ALTER TABLE users ADD COLUMN age int");
    run(&mut client, "ROLLBACK");
    assert_eq!(fails(&mut client, "SELECT age FROM users WHERE id = 1").0, "42703");
    assert_eq!(rows(&mut client, "INSERT INTO users (name) VALUES ('y') RETURNING name"), [["y"]]);
}

/// What the databases of one server share is done once on each server.
#[test]
fn roles_are_on_every_server() {
    let (_turn, mut client) = alone();
    run(&mut client, "DROP ROLE IF EXISTS reader, writer, boss");
    let roles = |condition: &str| on_each(&format!("SELECT count(*) FROM pg_roles WHERE {condition}"));
    assert_eq!(run(&mut client, "CREATE ROLE reader"), ["CREATE ROLE"]);
    run(&mut client, "CREATE USER writer PASSWORD 'secret' IN ROLE reader");
    assert_eq!(roles("rolname IN ('reader', 'writer')"), ["2"; 3]);
    // One salt for all: what a client proves by one is good for the others.
    let stored = || on_each("SELECT rolpassword FROM pg_authid WHERE rolname = 'writer'");
    let first = stored();
    assert!(first.iter().all(|hash| *hash == first[0] && hash.starts_with("SCRAM-SHA-256$4096:")), "{first:?}");
    run(&mut client, "BEGIN");
    run(&mut client, "ALTER ROLE writer ENCRYPTED PASSWORD 'other'");
    run(&mut client, "COMMIT");
    let second = stored();
    assert!(second.iter().all(|hash| *hash == second[0]) && second[0] != first[0], "{second:?}");
    run(&mut client, &format!("ALTER ROLE writer PASSWORD '{}'", first[0]));
    assert_eq!(stored(), first);
    assert_eq!(fails(&mut client, "CREATE ROLE reader").0, "42710");
    run(&mut client, USERS);
    run(&mut client, "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader");
    run(&mut client, "CREATE TABLE kinds (id int PRIMARY KEY)");
    assert_eq!(on_each("SELECT has_table_privilege('writer', 'kinds', 'SELECT')"), ["t"; 3]);
    run(&mut client, "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM reader");
    run(&mut client, "REVOKE reader FROM writer");
    assert_eq!(on_each("SELECT has_table_privilege('writer', 'kinds', 'SELECT')"), ["f"; 3]);
    run(&mut client, "BEGIN");
    run(&mut client, "GRANT reader TO writer");
    run(&mut client, "ALTER ROLE writer SET search_path = other");
    run(&mut client, "COMMENT ON ROLE writer IS 'writes'");
    run(&mut client, "ROLLBACK");
    assert_eq!(on_each("SELECT pg_has_role('writer', 'reader', 'MEMBER')"), ["f"; 3]);
    run(&mut client, "ALTER USER writer RENAME TO boss");
    run(&mut client, "ALTER ROLE boss SET search_path = other");
    assert_eq!(roles("rolname = 'boss' AND rolconfig = '{search_path=other}'"), ["1"; 3]);
    // Beside tables of others, whose sequences aren't this role's to touch.
    run(&mut client, "GRANT CREATE, USAGE ON SCHEMA public TO boss");
    run(&mut client, "GRANT SELECT ON users TO boss");
    run(&mut client, "SET ROLE boss");
    run(&mut client, "SET search_path = public");
    run(&mut client, "CREATE TABLE parted (k bigserial PRIMARY KEY, v text)");
    run(&mut client, "INSERT INTO parted (v) VALUES ('x')");
    // Also of no rows.
    let inserts = "INSERT INTO users (id, name) SELECT k + 1, v FROM parted WHERE k < 0 RETURNING id";
    assert_eq!(fails(&mut client, inserts).0, "42501");
    run(&mut client, "DROP TABLE parted");
    run(&mut client, "RESET search_path");
    run(&mut client, "RESET ROLE");
    run(&mut client, "REVOKE ALL ON SCHEMA public FROM boss");
    run(&mut client, "REVOKE ALL ON users FROM boss");
    run(&mut client, "REVOKE ALL ON kinds FROM reader");
    run(&mut client, "DROP ROLE boss, reader");
    assert_eq!(roles("rolname IN ('reader', 'boss')"), ["0"; 3]);
    assert_eq!(on_each("SELECT count(*) FROM pg_prepared_xacts"), ["0"; 3]);

    // Two shards that are databases of one server.
    let server = cluster().primary(0);
    server.sql("CREATE DATABASE beside").expect("a database of its own");
    let url = |name: &str| format!("postgres://127.0.0.1:{}/{name}", server.port());
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n\n\
         [[user]]\nname = \"{}\"\npassword = \"{}\"\n\n[database.shop]\nhome = \"a\"\n\n\
         [database.shop.shard.a]\nprimary = \"{}\"\n\n[database.shop.shard.b]\nprimary = \"{}\"\n",
        cluster().user(),
        cluster().password(),
        url("shop"),
        url("beside"),
    );
    let proxy = Proxy::start(cluster(), &text);
    let mut client = Client::connect(proxy.address(), cluster().user(), "shop").expect("a connection");
    assert_eq!(run(&mut client, "CREATE ROLE shared"), ["CREATE ROLE"]);
    assert_eq!(roles("rolname = 'shared'"), ["1", "0", "0"]);
    assert_eq!(run(&mut client, "DROP ROLE shared"), ["DROP ROLE"]);
    drop(client);
    drop(proxy);
    server.sql("DROP DATABASE beside WITH (FORCE)").expect("it was made above");
}
