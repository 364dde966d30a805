//! Statements that write several shards: one moment for all rows, nothing left behind by an error on one shard, batches
//! as drivers send them.

use std::fmt::Write as _;
use std::sync::OnceLock;

use shardway::devcluster::Cluster;
use support::{Proxy, Shards};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

#[allow(dead_code)]
#[path = "wire/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "wire/message.rs"]
mod message;
mod support;

const SHARDS: usize = 3;

const SCHEMA: &str = "
    CREATE TABLE people (
        id bigint PRIMARY KEY, name text, age int CHECK (age >= 0), made timestamptz DEFAULT now(),
        day date DEFAULT CURRENT_DATE, stamp timestamp DEFAULT (now() AT TIME ZONE 'utc'), token uuid DEFAULT gen_random_uuid()
    );
    CREATE TABLE pets (person bigint REFERENCES people ON DELETE CASCADE, id int, name text, PRIMARY KEY (person, id));
    CREATE TABLE wide (id bigint PRIMARY KEY, a int, b text, c numeric, d bool, e float8, f date, g text, h bigint, i text);
    CREATE TABLE countries (code text PRIMARY KEY, name text);
    CREATE TABLE moods (id serial PRIMARY KEY, name text UNIQUE, made timestamptz DEFAULT now(), seen timestamptz);
    CREATE TABLE badges (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, name text);
    CREATE TABLE visits (id bigint PRIMARY KEY, friend bigint CONSTRAINT friend REFERENCES people ON DELETE CASCADE);
";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let builder = Shards::builder().shards(SHARDS).database("shop").schema(SCHEMA);
        builder.start().unwrap_or_else(|error| panic!("{error}"))
    })
}

fn config() -> String {
    let (user, password, database) = (cluster().user(), cluster().password(), cluster().database());
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n\n[[user]]\nname = \"{user}\"\npassword = \"{password}\"\n\n{}",
        cluster().database_toml(database)
    );
    for (table, key) in [("people", "id"), ("wide", "id"), ("visits", "id")] {
        let _ = write!(text, "\n[database.{database}.table.{table}]\nkey = \"{key}\"\n");
    }
    let _ = write!(text, "\n[database.{database}.table.pets]\nkey = \"person\"\ncolocate = \"people\"\n");
    for table in ["countries", "moods", "badges"] {
        let _ = write!(text, "\n[database.{database}.table.{table}]\nreference = true\n");
    }
    text
}

fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| Proxy::start(cluster(), &config()))
}

async fn connect() -> Client {
    let url = proxy().url_of(cluster());
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap_or_else(|error| panic!("{error}"));
    tokio::spawn(connection);
    client
}

/// The first columns of all rows.
async fn simple(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let first = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    messages.iter().filter_map(first).collect()
}

async fn code(client: &Client, sql: &str) -> String {
    let error = client.simple_query(sql).await.expect_err(sql);
    error.code().unwrap_or_else(|| panic!("{sql}: {error}")).code().to_owned()
}

/// What each shard answers.
fn on_shards(sql: &str) -> Vec<String> {
    let ask = |shard| cluster().primary(shard).sql(sql).unwrap_or_else(|error| panic!("{error}")).trim().to_owned();
    (0..SHARDS).map(ask).collect()
}

/// The sum over all shards of a query that gives a number.
fn total(sql: &str) -> i64 {
    on_shards(sql).iter().map(|text| text.parse::<i64>().unwrap_or_else(|error| panic!("{sql}: {text}: {error}"))).sum()
}

/// Other tests commit at the same time: sooner or later nothing is left.
fn nothing_stays_prepared() {
    let left = || total("SELECT count(*) FROM pg_prepared_xacts WHERE prepared < now() - interval '5 seconds'");
    assert_eq!(left(), 0);
}

/// What all shards together have of a column.
fn distinct(sql: &str) -> Vec<String> {
    let mut all: Vec<String> =
        on_shards(sql).iter().flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    all.sort();
    all.dedup();
    all
}

fn values(ids: std::ops::Range<u32>, row: impl Fn(u32) -> String) -> String {
    ids.map(row).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn all_rows_have_one_moment() {
    let client = connect().await;
    let rows = values(10_000..10_020, |id| format!("({id}, 'moment')"));
    simple(&client, &format!("INSERT INTO people (id, name) VALUES {rows}")).await;
    let wanted = "FROM people WHERE name = 'moment'";
    assert!(on_shards(&format!("SELECT count(*) {wanted}")).iter().all(|count| count != "0"), "all shards have some");
    assert_eq!(distinct(&format!("SELECT DISTINCT made {wanted}")).len(), 1);
    assert_eq!(distinct(&format!("SELECT DISTINCT stamp {wanted}")).len(), 1);
    assert_eq!(
        total(&format!("SELECT count(*) {wanted} AND day = made::date AND stamp = made AT TIME ZONE 'utc'")),
        20
    );
    assert_eq!(distinct(&format!("SELECT DISTINCT token {wanted}")).len(), 20, "what is made for each row is");

    let written = "UPDATE people SET made = now(), stamp = localtimestamp(3), day = current_date WHERE name = 'moment'";
    simple(&client, written).await;
    assert_eq!(distinct(&format!("SELECT DISTINCT made {wanted}")).len(), 1);
    assert_eq!(distinct(&format!("SELECT DISTINCT stamp {wanted}")).len(), 1);

    // In a block it is the block's, on one shard as on several.
    simple(&client, "BEGIN").await;
    simple(&client, "INSERT INTO people (id, name, made) VALUES (10030, 'block', now()), (10031, 'block', now()), (10032, 'block', DEFAULT)").await;
    simple(&client, "SELECT pg_sleep(0.01) FROM people WHERE id = 10030").await;
    let rows = values(10_040..10_050, |id| format!("({id}, 'block')"));
    simple(&client, &format!("INSERT INTO people (id, name) VALUES {rows}")).await;
    simple(&client, "COMMIT").await;
    assert_eq!(distinct("SELECT DISTINCT made FROM people WHERE name = 'block'").len(), 1);
}

#[tokio::test]
async fn an_error_on_one_shard_leaves_nothing_on_any() {
    let client = connect().await;
    let counts = "SELECT count(*) FROM people WHERE id BETWEEN 20000 AND 29999";
    for (bad, state) in [("1 / 0", "22012"), ("-1", "23514"), ("'x'::int", "22P02")] {
        let rows = values(20_000..21_000, |id| format!("({id}, 'x', {})", if id == 20_700 { bad } else { "1" }));
        assert_eq!(code(&client, &format!("INSERT INTO people (id, name, age) VALUES {rows}")).await, state);
        assert_eq!(total(counts), 0, "{bad}");
    }
    let rows = values(20_000..20_010, |id| format!("({id}, 'x', {})", id - 20_000));
    simple(&client, &format!("INSERT INTO people (id, name, age) VALUES {rows}")).await;
    assert_eq!(
        code(
            &client,
            &format!(
                "INSERT INTO people (id, name, age) VALUES (20100, 'y', 1), (20101, 'y', 1), (20102, 'y', 1), {rows}"
            )
        )
        .await,
        "23505"
    );
    assert_eq!(
        code(&client, "UPDATE people SET name = 'z', age = abs(10 / (age - 5)) WHERE name = 'x'").await,
        "22012"
    );
    assert_eq!(code(&client, "UPDATE people SET name = 'z', age = age - 5 WHERE name = 'x'").await, "23514");
    assert_eq!(total(counts), 10);
    assert_eq!(total("SELECT count(*) FROM people WHERE name = 'z'"), 0);
    // In a block it fails the block, on every shard.
    simple(&client, "BEGIN").await;
    simple(&client, "UPDATE people SET name = 'z' WHERE id = 20000").await;
    simple(&client, "SAVEPOINT s").await;
    assert_eq!(code(&client, "UPDATE people SET age = abs(10 / (age - 5)) WHERE name = 'x'").await, "22012");
    assert_eq!(code(&client, "SELECT 1").await, "25P02");
    simple(&client, "ROLLBACK TO s").await;
    assert_eq!(
        simple(&client, "UPDATE people SET name = 'z' WHERE id < 20005 AND id >= 20000 RETURNING id").await.len(),
        5
    );
    simple(&client, "COMMIT").await;
    assert_eq!(total("SELECT count(*) FROM people WHERE name = 'z'"), 5);
    nothing_stays_prepared();
}

#[tokio::test]
async fn batches_are_divided_in_both_protocols() {
    let client = connect().await;
    let row =
        |id: u32| format!("({id}, {}, 'b{id}', {id}.5, true, 1.5, '2026-01-01', $$g, ({id})$$, {id}, NULL)", id % 7);
    let sql = format!("INSERT INTO wide VALUES {} RETURNING id", values(1..1_001, row));
    let ids: Vec<String> = simple(&client, &sql).await;
    assert_eq!(ids, (1..1_001).map(|id: u32| id.to_string()).collect::<Vec<_>>(), "in the order of the rows");
    assert_eq!(total("SELECT count(*) FROM wide"), 1_000);
    assert!(on_shards("SELECT count(*) FROM wide").iter().all(|count| count.parse::<i64>().expect("a number") > 200));

    // 1,000 rows of 10 parameters, as executemany and bulk_create send them.
    let row = |row: u32| {
        format!("({})", (1..=10).map(|column| format!("${}", row * 10 + column)).collect::<Vec<_>>().join(", "))
    };
    let sql = format!(
        "INSERT INTO wide VALUES {} ON CONFLICT (id) DO UPDATE SET a = excluded.a RETURNING id, b",
        values(0..1_000, row)
    );
    let statement = client.prepare(&sql).await.unwrap_or_else(|error| panic!("{error}"));
    let ids: Vec<i64> = (0..1_000).map(|row| 2_000 - row * 2).collect();
    let texts: Vec<String> = ids.iter().map(|id| format!("text {id}")).collect();
    let nothing: Option<String> = None;
    let (a, d, e) = (5_i32, true, 2.5_f64);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = Vec::new();
    for (id, text) in ids.iter().zip(&texts) {
        parameters.extend([id as &(dyn ToSql + Sync), &a, text, &Null, &d, &e, &Null, text, id, &nothing]);
    }
    let rows = client.query(&statement, &parameters).await.unwrap_or_else(|error| panic!("{error}"));
    let returned: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(returned, ids, "in the order of the rows");
    let inserted = |row: &&tokio_postgres::Row| row.get::<_, String>(1).starts_with("text");
    assert_eq!(rows.iter().filter(inserted).count(), 500);
    assert_eq!(
        total("SELECT count(*) FROM wide WHERE a = 5 AND (b LIKE 'text %' OR id <= 1000 AND id % 2 = 0)"),
        1_000
    );

    let updated = client.execute("UPDATE wide SET a = $1 WHERE id = ANY ($2)", &[&9_i32, &ids]).await;
    assert_eq!(updated.unwrap_or_else(|error| panic!("{error}")), 1_000);
    assert_eq!(
        client.execute("DELETE FROM wide WHERE a = $1", &[&9_i32]).await.unwrap_or_else(|error| panic!("{error}")),
        1_000
    );
}

/// NULL of whatever type.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    fn to_sql(
        &self,
        _: &tokio_postgres::types::Type,
        _: &mut bytes::BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(tokio_postgres::types::IsNull::Yes)
    }

    fn accepts(_: &tokio_postgres::types::Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

#[tokio::test]
async fn statements_between_two_syncs_are_one_transaction() {
    let mut client = connect().await;
    let insert = client
        .prepare("INSERT INTO people (id, name, age) VALUES ($1, $2, $3), ($4, $2, $3)")
        .await
        .expect("it can be prepared");
    let (a, b, c, d) = (30_000_i64, 30_001_i64, 30_002_i64, 30_003_i64);
    let transaction = client.transaction().await.expect("a transaction begins");
    transaction.execute(&insert, &[&a, &"pipe", &1_i32, &b]).await.expect("two rows");
    transaction.execute(&insert, &[&c, &"pipe", &1_i32, &d]).await.expect("two rows");
    transaction.rollback().await.expect("it is rolled back");
    assert_eq!(total("SELECT count(*) FROM people WHERE name = 'pipe'"), 0);
    client.execute(&insert, &[&a, &"pipe", &1_i32, &b]).await.expect("two rows");
    assert_eq!(total("SELECT count(*) FROM people WHERE name = 'pipe'"), 2);
    let error = client.execute(&insert, &[&c, &"pipe", &1_i32, &b]).await.expect_err("there is one");
    assert_eq!(error.code().map(|code| code.code()), Some("23505"));
    assert_eq!(total("SELECT count(*) FROM people WHERE name = 'pipe'"), 2);
}

/// Single rows, each for its shard, as asyncpg's executemany and pgx's batches send them: many Binds, one Sync.
#[test]
fn a_pipeline_over_several_shards_is_one_transaction() {
    let user = [("user", cluster().user()), ("database", cluster().database())];
    let mut wire = client::Wire::with(proxy().address(), &user).unwrap_or_else(|frame| panic!("{frame:?}"));
    let parse = message::parse("insert", "INSERT INTO people (id, name, age) VALUES ($1, $2, $3)", &[]);
    let prepared = [parse, message::describe_statement("insert"), message::sync()].concat();
    assert_eq!(client::sqlstate(&wire.ask(&prepared)), None);
    let rows = |ids: &[u32], age: &dyn Fn(u32) -> String| -> Vec<u8> {
        let row = |id: &u32| {
            let (id, age) = (id.to_string(), age(*id));
            [message::bind("", "insert", &[Some(&id), Some("many"), Some(&age)]), message::execute("", 0)].concat()
        };
        ids.iter().flat_map(row).collect()
    };
    let count = || total("SELECT count(*) FROM people WHERE name = 'many'");
    let ids: Vec<u32> = (50_000..50_030).collect();
    let answer = wire.ask(&[rows(&ids, &|_| "1".to_owned()), message::sync()].concat());
    assert_eq!((client::sqlstate(&answer), client::status(&answer)), (None, 'I'));
    assert_eq!(client::tags(&answer), format!("{}Z", "2C".repeat(30)));
    assert_eq!(count(), 30);

    // An error takes all of it back, a server's as well as the proxy's own.
    let more: Vec<u32> = (51_000..51_030).collect();
    let answer = wire.ask(
        &[rows(&more, &|id| if id == 51_020 { "-1".to_owned() } else { "1".to_owned() }), message::sync()].concat(),
    );
    assert_eq!((client::sqlstate(&answer).as_deref(), client::status(&answer)), (Some("23514"), 'I'));
    assert_eq!(count(), 30);
    let refused = message::parse("", "UPDATE people SET name = current_user", &[]);
    let refused = [refused, message::bind("", "", &[]), message::execute("", 0)].concat();
    let answer = wire.ask(&[rows(&more, &|_| "1".to_owned()), refused, message::sync()].concat());
    assert_eq!((client::sqlstate(&answer).as_deref(), client::status(&answer)), (Some("0A000"), 'I'));
    assert_eq!(count(), 30);
    let several = message::parse("", "UPDATE people SET age = 2 WHERE name = 'many'", &[]);
    let several = [several, message::bind("", "", &[]), message::execute("", 0)].concat();
    let answer = wire.ask(&[rows(&more, &|_| "1".to_owned()), several, message::sync()].concat());
    assert_eq!((client::sqlstate(&answer), client::status(&answer)), (None, 'I'));
    assert_eq!(total("SELECT count(*) FROM people WHERE name = 'many' AND age = 2"), 60);
    assert_eq!(wire.value("SELECT name FROM people WHERE id = 51000"), "many");
    wire.bye();
    nothing_stays_prepared();
}

#[tokio::test]
async fn copies_of_a_reference_table_stay_alike() {
    let client = connect().await;
    let alike = |sql: &str| {
        let all = on_shards(sql);
        assert!(all.iter().all(|one| *one == all[0] && !one.is_empty()), "{sql}: {all:?}");
    };
    let moods = "SELECT string_agg(m::text, ',' ORDER BY id) FROM moods m";
    let ids = simple(&client, "INSERT INTO moods (name) VALUES ('glad'), ('sad') RETURNING id").await;
    assert_eq!(ids, ["1", "2"]);
    alike(moods);
    simple(&client, "INSERT INTO moods (name, seen, made) VALUES ('bad', CURRENT_TIMESTAMP, DEFAULT)").await;
    simple(&client, "UPDATE moods SET seen = now() WHERE name <> 'bad'").await;
    alike(moods);
    assert_eq!(code(&client, "INSERT INTO moods (name) VALUES ('mad'), ('sad')").await, "23505");
    alike(moods);
    let insert = client
        .prepare("INSERT INTO moods (name, seen) VALUES ($1, now()) RETURNING id, name")
        .await
        .expect("it can be prepared");
    let row = client.query_one(&insert, &[&"odd"]).await.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(row.get::<_, String>(1), "odd");
    alike(moods);
    assert_eq!(distinct("SELECT count(*) FROM moods"), ["4"]);
    // A default that is another value on each shard.
    assert_eq!(code(&client, "INSERT INTO badges (name) VALUES ('x')").await, "0A000");
    // A copy that differs is found out, and nothing stays.
    cluster().primary(1).sql("DELETE FROM moods WHERE name = 'odd'").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(code(&client, "DELETE FROM moods WHERE name IN ('odd', 'bad')").await, "55000");
    assert_eq!(on_shards("SELECT count(*) FROM moods"), ["4", "3", "4"]);
}

#[tokio::test]
async fn references_that_leave_their_shard_are_in_the_way() {
    let client = connect().await;
    simple(&client, "INSERT INTO people (id, name) VALUES (40000, 'p'), (40001, 'p'), (40002, 'p')").await;
    simple(&client, "INSERT INTO pets VALUES (40000, 1, 'x'), (40001, 1, 'y'), (40002, 1, 'z')").await;
    assert_eq!(code(&client, "DELETE FROM people WHERE name = 'p'").await, "0A000");
    // A column that nothing refers to may change.
    simple(&client, "UPDATE people SET name = 'q' WHERE name = 'p'").await;
    assert_eq!(simple(&client, "DELETE FROM pets WHERE name IN ('x', 'y') RETURNING person").await.len(), 2);
    // A key that is set to itself stays.
    simple(&client, "UPDATE pets SET person = person WHERE name = 'z'").await;
}

#[tokio::test]
async fn row_locks_on_all_shards_hold_until_the_transaction_ends() {
    let (one, other) = (connect().await, connect().await);
    simple(&one, "INSERT INTO wide (id, b) VALUES (7001, 'lock'), (7002, 'lock'), (7003, 'lock'), (7004, 'lock')")
        .await;
    simple(&one, "BEGIN").await;
    let locked = simple(&one, "SELECT id FROM wide WHERE b = 'lock' AND id > 7001 ORDER BY id FOR UPDATE").await;
    assert_eq!(locked, ["7002", "7003", "7004"]);
    for id in 7002..=7004 {
        let sql = format!("SELECT id FROM wide WHERE id = {id} FOR UPDATE NOWAIT");
        assert_eq!(code(&other, &sql).await, "55P03");
    }
    assert_eq!(code(&other, "SELECT id FROM wide WHERE b = 'lock' FOR SHARE NOWAIT").await, "55P03");
    let free = "SELECT id FROM wide WHERE b = 'lock' ORDER BY id FOR UPDATE SKIP LOCKED";
    assert_eq!(simple(&other, free).await, ["7001"]);
    simple(&one, "UPDATE wide SET b = 'changed' WHERE b = 'lock' AND id > 7001").await;
    simple(&one, "COMMIT").await;
    assert_eq!(simple(&other, free).await, ["7001"]);
    simple(&one, "DELETE FROM wide WHERE id BETWEEN 7001 AND 7004").await;
    nothing_stays_prepared();
}
