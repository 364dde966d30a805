//! What lists of statements can't show of statements over two shards: which rows are locked by `SELECT ... ORDER BY ... LIMIT n
//! FOR UPDATE` (those that it gives, and no others), the time of a transaction, and what EXPLAIN says.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use shardway::devcluster::Cluster;
use support::{Proxy, Shards};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

mod support;

const SCHEMA: &str = "
    CREATE TABLE jobs (id bigint PRIMARY KEY, rank int, state text);
    CREATE TABLE tasks (id bigint PRIMARY KEY, state text);
    CREATE TABLE plans (id bigint PRIMARY KEY, label text);
    CREATE TABLE notes (id bigint PRIMARY KEY, at timestamptz DEFAULT now(), said timestamptz, label text);
";
/// Nothing here takes as long: who waits so long waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let builder = Shards::builder().shards(2).database("shop").schema(SCHEMA);
        builder.start().unwrap_or_else(|error| panic!("{error}"))
    })
}

fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        let (user, password, database) = (cluster().user(), cluster().password(), cluster().database());
        let mut text =
            format!("[[user]]\nname = \"{user}\"\npassword = \"{password}\"\n\n{}", cluster().database_toml(database));
        for table in ["jobs", "tasks", "plans", "notes"] {
            text += &format!("\n[database.{database}.table.{table}]\nkey = \"id\"\n");
        }
        Proxy::start(cluster(), &text)
    })
}

async fn connect() -> Client {
    let (client, connection) =
        tokio_postgres::connect(&proxy().url_of(cluster()), NoTls).await.unwrap_or_else(|error| panic!("{error}"));
    tokio::spawn(connection);
    client
}

/// The first column of all rows, by either protocol.
async fn ids(client: &Client, sql: &str, extended: bool) -> Vec<i64> {
    let answer = async {
        if extended {
            let rows = client.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            return rows.iter().map(|row| row.get(0)).collect();
        }
        let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let id = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(|id| id.parse().expect("a number")),
            _ => None,
        };
        messages.iter().filter_map(id).collect()
    };
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| panic!("{sql} waits"))
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// Some of these ids are on either shard.
fn on_both(table: &str) {
    for shard in 0..2 {
        let count = cluster().primary(shard).sql(&format!("SELECT count(*) > 3 FROM {table}"));
        assert_eq!(count.expect("a count").trim(), "t", "rows of {table} on shard {shard}");
    }
}

#[tokio::test]
async fn rows_that_are_not_given_are_not_locked() {
    let (one, other) = (connect().await, connect().await);
    run(&one, "INSERT INTO jobs SELECT n, n % 7, 'new' FROM generate_series(1, 40) AS n").await;
    on_both("jobs");
    for extended in [false, true] {
        run(&one, "BEGIN").await;
        let first = ids(&one, "SELECT id FROM jobs ORDER BY id LIMIT 3 FOR UPDATE", extended).await;
        assert_eq!(first, [1, 2, 3], "extended: {extended}");
        // Every other row is free, and these three are not.
        assert_eq!(
            ids(&other, "SELECT id FROM jobs WHERE id > 3 ORDER BY id FOR UPDATE NOWAIT", extended).await.len(),
            37
        );
        let refused = other.simple_query("SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE NOWAIT").await;
        let refused = refused.expect_err("the first is locked");
        assert_eq!(refused.code().map(|code| code.code()), Some("55P03"), "{refused:?}");
        // What is locked elsewhere is no matter to who wants other rows first.
        let last = ids(&other, "SELECT id FROM jobs ORDER BY id DESC LIMIT 2 FOR UPDATE", extended).await;
        assert_eq!(last, [40, 39]);
        let last = ids(&other, "SELECT id FROM jobs ORDER BY id DESC LIMIT 2 FOR UPDATE NOWAIT", extended).await;
        assert_eq!(last, [40, 39]);
        run(&other, "BEGIN").await;
        let next = ids(&other, "SELECT id FROM jobs ORDER BY id LIMIT 4 FOR UPDATE SKIP LOCKED", extended).await;
        assert_eq!(next, [4, 5, 6, 7]);
        let next =
            ids(&other, "SELECT id FROM jobs ORDER BY rank DESC, id LIMIT 2 OFFSET 1 FOR UPDATE SKIP LOCKED", extended)
                .await;
        assert_eq!(next, [13, 20], "one of them is this client's own already");
        let free = ids(&one, "SELECT id FROM jobs ORDER BY id FOR UPDATE SKIP LOCKED", extended).await;
        let taken = [4, 5, 6, 7, 13, 20];
        assert_eq!(free, (1..=40).filter(|id| !taken.contains(id)).collect::<Vec<_>>());
        run(&one, "ROLLBACK").await;
        run(&other, "ROLLBACK").await;
    }
}

#[tokio::test]
async fn workers_share_a_queue() {
    const TASKS: i64 = 120;
    let client = connect().await;
    run(&client, &format!("INSERT INTO tasks SELECT n, 'new' FROM generate_series(1, {TASKS}) AS n")).await;
    on_both("tasks");
    let worker = |number: usize| async move {
        let client = connect().await;
        let mut done = Vec::new();
        let mut empty = 0;
        let sql = "SELECT id FROM tasks WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";
        loop {
            run(&client, "BEGIN").await;
            let Some(id) = ids(&client, sql, number.is_multiple_of(2)).await.first().copied() else {
                run(&client, "ROLLBACK").await;
                // Somebody may have looked at one of them just now.
                empty += 1;
                assert!(empty < 1_000, "worker {number} finds nothing");
                if ids(&client, "SELECT count(*) FROM tasks WHERE state = 'new'", true).await == [0] {
                    return done;
                }
                continue;
            };
            run(&client, &format!("UPDATE tasks SET state = 'done' WHERE id = {id}")).await;
            run(&client, "COMMIT").await;
            done.push(id);
        }
    };
    let all = futures_util::future::join_all((0..6).map(worker)).await;
    let flat: Vec<i64> = all.into_iter().flatten().collect();
    assert_eq!(flat.len() as i64, TASKS, "each once");
    assert_eq!(flat.into_iter().collect::<BTreeSet<_>>(), (1..=TASKS).collect());
}

#[tokio::test]
async fn a_transaction_has_one_time_on_all_shards() {
    let client = connect().await;
    run(&client, "BEGIN").await;
    for id in 1..=24_i64 {
        if id % 2 == 0 {
            run(&client, &format!("INSERT INTO notes (id, said) VALUES ({id}, now())")).await;
        } else {
            let sql = "INSERT INTO notes (id, said, label) VALUES ($1, CURRENT_TIMESTAMP, $2)";
            let wrote = client.execute(sql, &[&id, &"by parameters"]).await;
            assert_eq!(wrote.unwrap_or_else(|error| panic!("{sql}: {error:?}")), 1);
        }
    }
    let row =
        client.query_one("SELECT count(DISTINCT at), count(DISTINCT said), bool_and(at = said) FROM notes", &[]).await;
    let row = row.expect("a row");
    assert_eq!((row.get(0), row.get(1), row.get(2)), (1_i64, 1_i64, true));
    for id in 1..=24_i64 {
        let row = client.query_one("SELECT now(), now() = said FROM notes WHERE id = $1", &[&id]).await.expect("a row");
        assert_eq!(row.columns()[0].name(), "now");
        assert!(row.get::<_, bool>(1), "row {id}");
    }
    run(&client, "COMMIT").await;
    on_both("notes");
    run(&client, "DELETE FROM notes").await;
}

#[tokio::test]
async fn explain_analyze_says_what_was_gathered() {
    let client = connect().await;
    run(&client, "INSERT INTO plans SELECT n, 'p' || n % 3 FROM generate_series(1, 30) AS n").await;
    let lines = async |sql: String| {
        let rows = client.query(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
    };
    let sql = "SELECT a.id, b.id FROM plans a JOIN plans b ON a.label = b.label AND a.id < b.id";
    let told = lines(format!("EXPLAIN {sql}")).await.join("\n");
    assert!(told.contains("gather plans (id, label) from"), "{told}");
    assert!(told.contains("asked: COPY (SELECT"), "{told}");
    assert!(!told.contains("bytes in"), "nothing was gathered: {told}");
    let told = lines(format!("EXPLAIN (ANALYZE, COSTS OFF) {sql}")).await;
    let gathered: Vec<&String> = told.iter().filter(|line| line.contains("gathered: plans:")).collect();
    let [gathered] = gathered[..] else { panic!("{told:?}") };
    let counts: Vec<i64> =
        gathered.split(" rows from").filter_map(|part| part.rsplit([' ', ',']).next()?.parse().ok()).collect();
    assert_eq!(counts.len(), 2, "{gathered}");
    assert_eq!(counts.iter().sum::<i64>(), 30, "{gathered}");
    assert!(gathered.contains(" bytes in ") && gathered.ends_with(" ms"), "{gathered}");
    // Three labels of ten rows each.
    assert!(told.iter().any(|line| line.contains("actual time") && line.contains("rows=135")), "{told:?}");
    let carried = "SELECT a.label, count(*) FROM plans a JOIN jobs j ON j.id = a.id + 1 GROUP BY a.label";
    let told = lines(format!("EXPLAIN {carried}")).await.join("\n");
    assert!(told.contains("carry plans to shards") && told.contains("where that is much, gather plans"), "{told}");
}
