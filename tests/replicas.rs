//! Reads and writes with real replicas: what goes where by the policy, what stays on the primary because a
//! replica would answer something else, and what happens while replicas are down.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use shardway::devcluster::Cluster;
use support::{Proxy, Shards};
use wire::{Client, Event, Messages};

mod support;
#[allow(dead_code)]
#[path = "oracle/wire.rs"]
mod wire;

const SCHEMA: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, name text);
    CREATE TABLE countries (code text PRIMARY KEY);
    CREATE TABLE settings (k text PRIMARY KEY, v text);
    CREATE SEQUENCE tickets;
    CREATE UNLOGGED TABLE visits (id int);
    CREATE TABLE secrets (id int);
    CREATE FUNCTION note() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT v FROM (VALUES (1)) AS t (v)';
    CREATE FUNCTION peek(settings) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT v FROM (VALUES (2)) AS t (v)';
    CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
    CREATE VIEW calm AS SELECT k, upper(v) AS v FROM settings;
    CREATE VIEW noting AS SELECT k, note() AS n FROM settings;
    CREATE VIEW numbering AS SELECT nextval('tickets') AS n;
    CREATE VIEW visiting AS SELECT id FROM visits;
    ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON secrets USING (note() = 1);
    INSERT INTO countries VALUES ('nz');
    INSERT INTO settings VALUES ('a', '1');
";

/// Two shards with a replica each; tests that stop servers must not meet others.
fn cluster() -> MutexGuard<'static, Cluster> {
    static CLUSTER: OnceLock<Mutex<Cluster>> = OnceLock::new();
    let start = || {
        let builder = Shards::builder().shards(2).replicas(1).schema(SCHEMA);
        Mutex::new(builder.hba("host all all 127.0.0.1/32 trust").start().unwrap_or_else(|error| panic!("{error}")))
    };
    CLUSTER.get_or_init(start).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Databases over the same servers: `prefer`, `only` and `primary` with two shards, `one` with the first alone.
fn config(cluster: &Cluster) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n\n[pool]\nsize = 4\nwait_timeout = \"5s\"\nconnect_timeout = \"2s\"\n\n[[user]]\nname = \"{}\"\npassword = \"{}\"\n",
        cluster.user(),
        cluster.password()
    );
    let databases = [
        ("prefer", "prefer_replica", 2),
        ("only", "replica_only", 2),
        ("primary", "primary", 2),
        ("one", "prefer_replica", 1),
    ];
    for (name, reads, shards) in databases {
        text += &format!("\n[database.{name}]\nhome = \"a\"\nfailover_wait = \"off\"\nreads = \"{reads}\"\n");
        for shard in cluster.shards().iter().take(shards) {
            let url = |port| format!("\"postgres://127.0.0.1:{port}/{}\"", cluster.database());
            text += &format!(
                "[database.{name}.shard.{}]\nprimary = {}\nreplicas = [{}]\n",
                shard.name,
                url(shard.primary.port()),
                url(shard.replicas[0].port())
            );
        }
        text += &format!(
            "[database.{name}.table.users]\nkey = \"id\"\n[database.{name}.table.countries]\nreference = true\n"
        );
    }
    text
}

fn client(cluster: &Cluster, proxy: &Proxy, database: &str) -> Client {
    Client::connect(proxy.address(), cluster.user(), database)
        .unwrap_or_else(|error| panic!("{error}\n{}", proxy.log()))
}

/// The node that an EXPLAIN of the statement names, as in `replica 7001`.
fn node(client: &mut Client, sql: &str) -> String {
    let rows = client.rows(&format!("EXPLAIN {sql}"));
    let line = rows.iter().map(|row| row[0].as_str()).find(|line| line.contains("this part from"));
    let line = line.unwrap_or_else(|| panic!("EXPLAIN {sql} names no node: {rows:?}"));
    line.split(", ").nth(1).expect("a role and a node").replace("127.0.0.1:", "")
}

#[track_caller]
fn runs_on(client: &mut Client, sql: &str, role: &str) {
    let node = node(client, sql);
    assert!(node.starts_with(role), "{sql} runs on the {node}, not on the {role}");
}

/// The server that a statement really ran on.
fn port(client: &mut Client) -> u16 {
    let rows = client.rows("SELECT current_setting('port')");
    rows[0][0].parse().expect("a port is a number")
}

fn code(client: &mut Client, sql: &str) -> String {
    let turn = client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    turn.error().map(|report| report.code.clone()).unwrap_or_default()
}

const READS: &[&str] = &[
    "SELECT * FROM users WHERE id = 1",
    "SELECT upper(v) FROM settings",
    "SELECT twice(2), now(), count(*) FROM settings",
    "SELECT * FROM countries",
    "SELECT * FROM calm",
    "SELECT relname FROM pg_class",
    "TABLE settings",
    "VALUES (1)",
    "WITH s AS (SELECT * FROM settings) SELECT * FROM s",
];

const FOR_THE_PRIMARY: &[&str] = &[
    "INSERT INTO users VALUES (1, 'x')",
    "UPDATE settings SET v = v",
    "DELETE FROM settings WHERE false",
    "SELECT * FROM settings FOR UPDATE",
    "SELECT * FROM settings FOR KEY SHARE",
    "SELECT nextval('tickets')",
    "SELECT last_value FROM tickets",
    "SELECT note()",
    "SELECT public.note()",
    "SELECT s.peek FROM settings s",
    "SELECT * FROM noting",
    "SELECT * FROM public.numbering",
    "SELECT * FROM visits",
    "SELECT * FROM visiting",
    "SELECT * FROM secrets",
    "SELECT pg_try_advisory_xact_lock(1)",
    "SELECT pid FROM pg_stat_activity",
    "SELECT * FROM pg_locks",
    "SELECT pg_is_in_recovery()",
    "WITH d AS (DELETE FROM settings WHERE false RETURNING 1) SELECT * FROM d",
];

#[test]
fn known_reads_go_to_a_replica_and_all_else_to_the_primary() {
    let cluster = cluster();
    let proxy = Proxy::start(&cluster, &config(&cluster));
    for database in ["prefer", "only", "one"] {
        let mut client = client(&cluster, &proxy, database);
        for sql in READS {
            runs_on(&mut client, sql, "replica");
        }
        for sql in FOR_THE_PRIMARY {
            // Each with a client of its own: one that wrote reads from the primary from then on.
            let mut client = Client::connect(proxy.address(), cluster.user(), database).expect("admitted before");
            // What may read other shards' tables isn't run at all where there are other shards.
            if database == "one" || code(&mut client, &format!("EXPLAIN {sql}")) != "0A000" {
                runs_on(&mut client, sql, "primary");
            }
        }
    }
    let mut client = client(&cluster, &proxy, "primary");
    READS.iter().for_each(|sql| runs_on(&mut client, sql, "primary"));
}

#[test]
fn statements_run_where_explain_says() {
    let cluster = cluster();
    let proxy = Proxy::start(&cluster, &config(&cluster));
    let (primary, replica) = (cluster.primary(0).port(), cluster.shards()[0].replicas[0].port());
    for database in ["prefer", "one"] {
        let mut client = client(&cluster, &proxy, database);
        assert_eq!(port(&mut client), replica, "{database}");
        // Parse, Describe, Bind and Execute in one go, and with a Sync between them.
        let sql = "SELECT current_setting('port')";
        let turn = client
            .turn(Messages::default().parse("p", sql, &[]).describe_statement("p").bind("p", &[], 0).execute(0).sync());
        assert_eq!(wire::texts(&turn.expect("answered"), sql), [[replica.to_string()]]);
        let insert = "INSERT INTO settings VALUES ('x', '1') ON CONFLICT DO NOTHING";
        let turn = client.turn(
            Messages::default().parse("i", insert, &[]).describe_statement("i").bind("i", &[], 0).execute(0).sync(),
        );
        assert_eq!(turn.expect("answered").error(), None, "a described write finds the primary");
        assert_eq!(port(&mut client), primary, "what was written is read from where it was written");
    }
}

#[test]
fn a_pipeline_of_a_read_and_a_write_runs() {
    let cluster = cluster();
    let proxy = Proxy::start(&cluster, &config(&cluster));
    for database in ["prefer", "one"] {
        let mut client = client(&cluster, &proxy, database);
        let messages = Messages::default()
            .parse("", "SELECT k FROM settings WHERE k = 'a'", &[])
            .bind("", &[], 0)
            .execute(0)
            .parse("", "UPDATE settings SET v = v WHERE k = 'a'", &[])
            .bind("", &[], 0)
            .execute(0)
            .sync();
        let turn = client.turn(messages).expect("answered");
        assert_eq!(turn.error(), None, "{database}: {turn:?}");
        let tags: Vec<_> = turn.events.iter().filter(|event| matches!(event, Event::Complete(_))).collect();
        assert_eq!(tags, [&Event::Complete("SELECT 1".into()), &Event::Complete("UPDATE 1".into())]);
    }
}

#[test]
fn a_client_reads_its_own_writes() {
    let cluster = cluster();
    let proxy = Proxy::start(&cluster, &config(&cluster));
    for database in ["prefer", "only", "one"] {
        let mut client = client(&cluster, &proxy, database);
        client.rows("DELETE FROM users WHERE id BETWEEN 0 AND 0 AND id = 0");
        for id in 100..140 {
            client.rows(&format!("DELETE FROM users WHERE id = {id}"));
            client.rows(&format!("INSERT INTO users VALUES ({id}, 'x')"));
            let read = client.rows(&format!("SELECT id FROM users WHERE id = {id}"));
            assert_eq!(read.len(), 1, "{database}: {id} was written and is not read");
        }
        let mut other = Client::connect(proxy.address(), cluster.user(), database).expect("admitted before");
        runs_on(&mut other, "SELECT * FROM users WHERE id = 100", "replica");
    }
}

#[test]
fn a_transaction_stays_on_one_node() {
    let cluster = cluster();
    let proxy = Proxy::start(&cluster, &config(&cluster));
    let (primary, replica) = (cluster.primary(0).port(), cluster.shards()[0].replicas[0].port());
    for database in ["prefer", "one"] {
        let mut client = client(&cluster, &proxy, database);
        client.rows("BEGIN");
        assert_eq!(port(&mut client), primary, "{database}: a transaction may come to write");
        client.rows("COMMIT");
        for begin in ["BEGIN READ ONLY", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"] {
            client.rows(begin);
            assert_eq!(port(&mut client), replica, "{database}: {begin}");
            assert_eq!(port(&mut client), replica, "{database}: {begin}");
            client.rows("COMMIT");
        }
        // Errors as one PostgreSQL has them; and the block is failed.
        client.rows("BEGIN READ ONLY");
        assert_eq!(port(&mut client), replica);
        assert_eq!(code(&mut client, "INSERT INTO settings VALUES ('never', '')"), "25006");
        assert_eq!(code(&mut client, "SELECT 1"), "25P02");
        client.rows("ROLLBACK");
        for begin in ["BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY", "BEGIN /* read only */", "BEGIN READ WRITE"] {
            client.rows(begin);
            assert_eq!(port(&mut client), primary, "{database}: {begin}");
            client.rows("COMMIT");
        }
        client.rows("BEGIN READ ONLY");
        client.rows("SET TRANSACTION READ WRITE");
        assert_eq!(port(&mut client), primary, "{database}: it may write after all");
        client.rows("INSERT INTO settings VALUES ('rw', '') ON CONFLICT DO NOTHING; COMMIT");
    }
}

/// An advisory lock of a replica would exclude nobody on the primary.
#[test]
fn a_read_only_transaction_takes_no_lock_on_a_replica() {
    let cluster = cluster();
    let proxy = Proxy::start(&cluster, &config(&cluster));
    for database in ["prefer", "one"] {
        let mut client = client(&cluster, &proxy, database);
        client.rows("BEGIN READ ONLY");
        client.rows("SELECT v FROM settings");
        assert_eq!(code(&mut client, "SELECT pg_advisory_xact_lock(7)"), "0A000");
        client.rows("ROLLBACK");
        client.rows("BEGIN READ ONLY");
        client.rows("SELECT pg_advisory_xact_lock(7)");
        assert_eq!(port(&mut client), cluster.primary(0).port(), "it began with the lock");
        client.rows("COMMIT");
    }
}

#[test]
fn serializable_sessions_stay_on_the_primary() {
    let cluster = cluster();
    let proxy = Proxy::start(&cluster, &config(&cluster));
    let mut client = client(&cluster, &proxy, "one");
    client.rows("SET default_transaction_isolation = 'serializable'");
    assert_eq!(port(&mut client), cluster.primary(0).port());
    client.rows("RESET default_transaction_isolation");
    assert_eq!(port(&mut client), cluster.shards()[0].replicas[0].port());
    client.rows("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE");
    assert_eq!(code(&mut client, "SELECT v FROM settings"), "");
}

#[test]
fn a_scatter_reads_from_each_shards_replica() {
    let cluster = cluster();
    let proxy = Proxy::start(&cluster, &config(&cluster));
    let mut client = client(&cluster, &proxy, "prefer");
    let rows = client.rows("EXPLAIN SELECT * FROM users");
    let nodes: BTreeSet<_> =
        rows.iter().filter(|row| row[0].contains("this part from")).map(|row| row[0].clone()).collect();
    assert_eq!(nodes.len(), 2, "{rows:?}");
    assert!(nodes.iter().all(|node| node.contains("replica")), "{nodes:?}");
}

/// Waits until the statement gives this SQLSTATE, or none.
#[track_caller]
fn comes_to(client: &mut Client, sql: &str, wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let code = code(client, sql);
        if code == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}: {code:?} instead of {wanted:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn without_its_replica_reads_fall_back_or_fail() {
    let cluster = cluster();
    let proxy = Proxy::start(&cluster, &config(&cluster));
    let read = "SELECT v FROM settings";
    let mut prefers = client(&cluster, &proxy, "prefer");
    let mut insists = client(&cluster, &proxy, "only");
    let mut one = client(&cluster, &proxy, "one");
    for client in [&mut prefers, &mut insists, &mut one] {
        runs_on(client, read, "replica");
    }
    let replica = &cluster.shards()[0].replicas[0];
    replica.kill9().expect("it runs");
    // A connection that was lost under the eyes of nobody is noticed before it is used.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(code(&mut prefers, read), "", "reads fall back to the primary");
    assert_eq!(code(&mut one, read), "", "reads fall back to the primary");
    runs_on(&mut prefers, read, "primary");
    let turn = insists.query(read).expect("answered");
    let error = turn.error().expect("no replica is up");
    assert_eq!(error.code, "08001", "{error:?}");
    assert!(error.message.contains("shard a"), "{error:?}");
    // The other shard and writes are served.
    assert_eq!(code(&mut insists, "UPDATE settings SET v = v"), "");
    let mut fresh = client(&cluster, &proxy, "only");
    let other = (1..).find(|id| {
        node(&mut fresh, &format!("INSERT INTO users VALUES ({id}, '')"))
            .contains(&cluster.primary(1).port().to_string())
    });
    let mut fresh = client(&cluster, &proxy, "only");
    assert_eq!(code(&mut fresh, &format!("SELECT * FROM users WHERE id = {}", other.expect("some key is there"))), "");
    replica.restart().expect("it starts again");
    comes_to(&mut fresh, "SELECT v FROM settings WHERE k = 'a'", "");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !node(&mut prefers, "SELECT k FROM settings").starts_with("replica") {
        // The client wrote nothing: it returns to the replica.
        assert!(Instant::now() < deadline, "reads don't come back to the replica");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_replica_or_a_shard_may_be_down_at_the_start() {
    let cluster = cluster();
    let replica = &cluster.shards()[0].replicas[0];
    replica.kill9().expect("it runs");
    {
        let proxy = Proxy::start(&cluster, &config(&cluster));
        let mut prefers = client(&cluster, &proxy, "prefer");
        assert_eq!(code(&mut prefers, "SELECT v FROM settings"), "");
        let mut insists = client(&cluster, &proxy, "only");
        assert_eq!(code(&mut insists, "SELECT v FROM settings"), "08001");
    }
    replica.restart().expect("it starts again");
    let primary = cluster.primary(1);
    primary.kill9().expect("it runs");
    {
        let proxy = Proxy::start(&cluster, &config(&cluster));
        let mut client = client(&cluster, &proxy, "primary");
        assert_eq!(code(&mut client, "SELECT v FROM settings"), "", "the home shard is up");
        let codes: BTreeSet<String> =
            (1..20).map(|id| code(&mut client, &format!("SELECT * FROM users WHERE id = {id}"))).collect();
        assert_eq!(codes, BTreeSet::from([String::new(), "08001".to_owned()]));
        assert_eq!(code(&mut client, "SELECT * FROM users"), "08001", "a scatter is whole or an error");
        primary.restart().expect("it starts again");
        comes_to(&mut client, "SELECT * FROM users", "");
    }
}

/// With its primary down, a shard's replicas still serve what they may.
#[test]
fn replicas_serve_reads_while_the_primary_is_down() {
    let cluster = cluster();
    cluster.primary(0).kill9().expect("it runs");
    {
        let proxy = Proxy::start(&cluster, &config(&cluster));
        let mut client = client(&cluster, &proxy, "one");
        assert_eq!(code(&mut client, "SELECT v FROM settings"), "");
        assert_eq!(code(&mut client, "UPDATE settings SET v = v"), "08001");
    }
    cluster.primary(0).restart().expect("it starts again");
}
