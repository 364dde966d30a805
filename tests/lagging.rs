//! Replicas that are behind, in rows and in definitions, and replicas that die: clients get the answers of one PostgreSQL, or
//! what they would be told by one that was lost. On two shards with a replica each.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use load::{Load, StopsAtEnd, becomes, connect, metric, read_on};
use shardway::devcluster::{Cluster, Server};
use support::{Proxy, Shards, expect_success, free_port, psql};
use wire::{Client, Messages};

#[allow(dead_code)]
#[path = "failover/load.rs"]
mod load;
mod support;
#[allow(dead_code)]
#[path = "oracle/wire.rs"]
mod wire;

const SCHEMA: &str = "
    CREATE TABLE notes (id bigint PRIMARY KEY, pair bigint);
    CREATE TABLE settings (k text PRIMARY KEY, v text);
    CREATE FUNCTION harmless() RETURNS text VOLATILE LANGUAGE sql AS $$SELECT current_setting('port') FROM (VALUES (1)) AS t$$;
    CREATE FUNCTION unknown() RETURNS text VOLATILE LANGUAGE sql AS $$SELECT current_setting('port') FROM (VALUES (1)) AS t$$;
    CREATE VIEW shown AS SELECT 1::bigint AS id FROM settings;
    INSERT INTO settings VALUES ('a', '1');
";

/// The tests stop servers and their replay: one after the other.
fn cluster() -> MutexGuard<'static, Cluster> {
    static CLUSTER: OnceLock<Mutex<Cluster>> = OnceLock::new();
    let start = || {
        let builder = Shards::builder().shards(2).replicas(1).schema(SCHEMA);
        let cluster = builder.hba("host all all 127.0.0.1/32 trust").start().unwrap_or_else(|error| panic!("{error}"));
        for (number, shard) in cluster.shards().iter().enumerate() {
            sql(
                &shard.primary,
                &format!("INSERT INTO notes SELECT i, i FROM generate_series({0}, {0} + 699) AS i", number * 1000 + 1),
            );
        }
        Mutex::new(cluster)
    };
    CLUSTER.get_or_init(start).lock().unwrap_or_else(PoisonError::into_inner)
}

fn config(cluster: &Cluster, server: &str, more: &str) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n{server}\n[pool]\nsize = 6\nconnect_timeout = \"2s\"\n\
         [[user]]\nname = \"{}\"\npassword = \"{}\"\nadmin = true\n[database.shop]\nhome = \"a\"\nreads = \"prefer_replica\"\n\
         safe_functions = [\"harmless\"]\nfailover_wait = \"60s\"\n{more}\n",
        cluster.user(),
        cluster.password(),
    );
    for shard in cluster.shards() {
        let url = |server: &Server| format!("\"postgres://127.0.0.1:{}/{}\"", server.port(), cluster.database());
        text += &format!(
            "[database.shop.shard.{}]\nprimary = {}\nreplicas = [{}]\n",
            shard.name,
            url(&shard.primary),
            url(&shard.replicas[0])
        );
    }
    text + "[database.shop.table.notes]\nkey = \"id\"\nrange = [ { until = 1000, shard = \"a\" }, { shard = \"b\" } ]\n"
}

fn sql(server: &Server, text: &str) -> String {
    server.sql(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Again where that is in the way of replay itself.
fn on_replica(server: &Server, text: &str) -> String {
    loop {
        match server.sql(text) {
            Err(error) if error.to_string().contains("conflict with recovery") => {}
            other => return other.unwrap_or_else(|error| panic!("{text}: {error}")),
        }
    }
}

fn on_replicas(cluster: &Cluster, text: &str) {
    cluster.shards().iter().for_each(|shard| drop(on_replica(&shard.replicas[0], text)));
}

/// Lets the replicas replay again, also when a test panics.
struct Resumes<'c>(&'c Cluster);

impl Drop for Resumes<'_> {
    fn drop(&mut self) {
        for shard in self.0.shards() {
            let _ = (0..50).any(|_| shard.replicas[0].sql("SELECT pg_wal_replay_resume()").is_ok());
        }
    }
}

fn code(client: &mut Client, text: &str) -> String {
    let turn = client.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    turn.error().map(|report| report.code.clone()).unwrap_or_default()
}

const WHERE: &str = "SELECT current_setting('port') FROM settings";

fn port(client: &mut Client) -> String {
    client.rows(WHERE)[0][0].clone()
}

fn of(server: &Server) -> String {
    server.port().to_string()
}

fn replica_reads(cluster: &Cluster, proxy: &Proxy) {
    becomes("the replica is read", || {
        port(&mut connect(cluster, proxy, "shop")) == of(&cluster.shards()[0].replicas[0])
    });
}

/// Clients of the crowd that only count, on one shard and on both, long enough to be in the way of what is replayed.
const SLOW: [&str; 4] = [
    "SELECT count(*) FROM notes AS x, notes AS y WHERE x.id = 1 AND y.id = 1",
    "SELECT count(*) FROM settings, generate_series(1, 60000) AS i WHERE i > 0",
    "SELECT count(*) FROM notes, generate_series(1, 60) AS i WHERE i > 0",
    "SELECT id FROM notes ORDER BY pair DESC LIMIT 3",
];

fn count_on(load: &Load, client: &mut Client, number: usize) {
    let text = SLOW[number % SLOW.len()];
    while !load.stop.load(std::sync::atomic::Ordering::SeqCst) {
        let turn = match number % 2 {
            0 => client.query(text),
            _ => client
                .turn(Messages::default().parse("", text, &[]).bind("", &[], 0).describe_portal().execute(0).sync()),
        };
        load.note(&turn.expect("answered"));
    }
}

/// What the replicas have cancelled since it was in the way of replay.
fn conflicts(cluster: &Cluster) -> u64 {
    let count =
        "SELECT sum(confl_lock + confl_snapshot + confl_bufferpin + confl_deadlock) FROM pg_stat_database_conflicts";
    cluster.shards().iter().map(|shard| on_replica(&shard.replicas[0], count).parse::<u64>().expect("a number")).sum()
}

#[test]
fn a_crowd_on_replicas_that_lag_sees_no_error() {
    let cluster = cluster();
    let _resumes = Resumes(&cluster);
    for text in ["ALTER SYSTEM SET max_standby_streaming_delay = 0", "SELECT pg_reload_conf()"] {
        on_replicas(&cluster, text);
    }
    let pages = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let proxy =
        Proxy::start(&cluster, &config(&cluster, &format!("admin = \"{pages}\""), "max_replica_lag = \"300ms\""));
    let mut ops = connect(&cluster, &proxy, "shardway");
    replica_reads(&cluster, &proxy);
    let load = Load::default();
    let (mut rounds, mut unfit, before) = (0, 0, conflicts(&cluster));
    std::thread::scope(|scope| {
        let _stop = StopsAtEnd(&load.stop);
        for number in 0..24 {
            let (load, cluster, proxy) = (&load, &cluster, &proxy);
            scope.spawn(move || {
                let mut client = connect(cluster, proxy, "shop");
                match number {
                    0..10 => read_on(load, &mut client, number % load::READERS),
                    _ => count_on(load, &mut client, number),
                }
            });
        }
        // Replay stops until it is noticed and goes on, and all the time rows and locks come that queries are in the way of.
        let began = Instant::now();
        while rounds < 4 || conflicts(&cluster) < before + 10 {
            assert!(
                began.elapsed() < Duration::from_secs(180),
                "{rounds} rounds, {} conflicts",
                conflicts(&cluster) - before
            );
            let is_first = rounds % 2 == 0;
            if is_first {
                on_replicas(&cluster, "SELECT pg_wal_replay_pause()");
            }
            for shard in cluster.shards() {
                sql(&shard.primary, "UPDATE notes SET pair = pair + 1; UPDATE settings SET v = v");
                sql(&shard.primary, "VACUUM notes, settings");
                sql(
                    &shard.primary,
                    "ALTER TABLE notes ALTER pair SET STATISTICS 50; ALTER TABLE settings ALTER v SET STATISTICS 50",
                );
            }
            if is_first {
                becomes("they are noticed to lag", || {
                    ops.rows("SHOW NODES").iter().filter(|row| row[12].contains("more than max_replica_lag")).count()
                        == 2
                });
                unfit += 1;
                load.goes_on(200);
                on_replicas(&cluster, "SELECT pg_wal_replay_resume()");
                becomes("they are read again", || ops.rows("SHOW NODES").iter().all(|row| row[6] == "up"));
            }
            load.goes_on(200);
            rounds += 1;
        }
    });
    load.has_no_failure(&proxy);
    let reruns = metric(pages, "shardway_reruns_total{database=\"shop\",kind=\"read\"}");
    let answered = load.answered.load(std::sync::atomic::Ordering::SeqCst);
    let conflicts = conflicts(&cluster) - before;
    eprintln!(
        "24 clients: {answered} answers, no error; {unfit} times left for lag, {conflicts} conflicts, {reruns} reads ran again"
    );
    assert!(reruns >= 1.0, "the clients were in the way of replay");
    for text in ["ALTER SYSTEM RESET max_standby_streaming_delay", "SELECT pg_reload_conf()"] {
        on_replicas(&cluster, text);
    }
}

/// Everybody knows a new definition, whatever the replicas know: those who come through the same proxy by its own word,
/// and those who come through another because what a replica doesn't know is asked of the primary.
#[test]
fn a_definition_that_replicas_do_not_have_yet_is_known_to_every_client() {
    let cluster = cluster();
    let _resumes = Resumes(&cluster);
    let proxy = Proxy::start(&cluster, &config(&cluster, "", ""));
    let other = Proxy::start(&cluster, &config(&cluster, "", ""));
    replica_reads(&cluster, &proxy);
    replica_reads(&cluster, &other);
    let mut reads = connect(&cluster, &proxy, "shop");
    let mut elsewhere = connect(&cluster, &other, "shop");
    let mut within = connect(&cluster, &proxy, "shop");
    on_replicas(&cluster, "SELECT pg_wal_replay_pause()");
    assert_eq!(port(&mut elsewhere), of(&cluster.shards()[0].replicas[0]));
    let mut defines = connect(&cluster, &proxy, "shop");
    let definitions = [
        ("ALTER TABLE notes ADD COLUMN more int DEFAULT 7", "SELECT more FROM notes WHERE id = 1", "7"),
        ("ALTER TABLE settings ADD COLUMN more int DEFAULT 8", "SELECT more FROM settings", "8"),
        ("CREATE TYPE mood AS ENUM ('well')", "SELECT 'well'::mood FROM settings", "well"),
        ("CREATE FUNCTION ten() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 10'", "SELECT ten() FROM settings", "10"),
        ("CREATE VIEW seen AS SELECT v FROM settings", "SELECT count(v) FROM seen", "1"),
        ("CREATE TABLE trunk (n int)", "SELECT count(*) FROM trunk", "0"),
    ];
    for (definition, read, wanted) in definitions {
        defines.rows(definition);
        for (number, client) in [&mut defines, &mut reads, &mut elsewhere].into_iter().enumerate() {
            // Of a function the other proxy doesn't know yet what it may do.
            if number == 2 && read.contains("ten()") {
                continue;
            }
            assert_eq!(code(client, read), "", "{read} {number} {}", proxy.log());
            assert_eq!(client.rows(read), [[wanted]], "{read}");
            for messages in [
                Messages::default().parse("", read, &[]).bind("", &[], 0).describe_portal().execute(0).sync(),
                Messages::default().parse("s", read, &[]).describe_statement("s").sync(),
                Messages::default().bind("s", &[], 0).execute(0).sync(),
                Messages::default().close_statement("s").sync(),
            ] {
                assert_eq!(client.turn(messages).expect("answered").error(), None, "{read}");
            }
        }
        // A transaction that may only read is on one node to its end.
        within.rows("BEGIN READ ONLY");
        assert_eq!(code(&mut within, read), "", "within {read} {}", proxy.log());
        assert_eq!(within.rows(read), [[wanted]], "{read}");
        within.rows("COMMIT");
    }
    assert_eq!(reads.rows("SELECT count(*), sum(more) FROM notes"), [["1400", "9800"]]);
    assert_eq!(elsewhere.rows("SELECT count(*), sum(more) FROM notes"), [["1400", "9800"]]);
    // What is wrong everywhere is still told.
    assert_eq!(code(&mut elsewhere, "SELECT missing FROM notes WHERE id = 1"), "42703");
    assert_eq!(code(&mut elsewhere, "SELECT 1 / (id - 1) FROM notes WHERE id = 1"), "22012");
    // The replicas are read again once they have it.
    assert_eq!(port(&mut reads), of(cluster.primary(0)));
    on_replicas(&cluster, "SELECT pg_wal_replay_resume()");
    becomes("the replica is read again", || port(&mut reads) == of(&cluster.shards()[0].replicas[0]));
}

#[test]
fn tokens_hints_and_functions_that_are_declared_safe() {
    let cluster = cluster();
    let _resumes = Resumes(&cluster);
    let proxy = Proxy::start(&cluster, &config(&cluster, "", ""));
    let other = Proxy::start(&cluster, &config(&cluster, "", ""));
    replica_reads(&cluster, &proxy);
    replica_reads(&cluster, &other);
    let (primary, replica) = (of(cluster.primary(0)), of(&cluster.shards()[0].replicas[0]));
    let mut client = connect(&cluster, &proxy, "shop");
    assert_eq!(client.rows("SELECT harmless()"), [[replica.as_str()]]);
    assert_eq!(code(&mut client, "SELECT unknown()"), "0A000");
    let mut client = connect(&cluster, &proxy, "shop");
    let hinted = |read: &str| format!("/* shardway: read={read} */ {WHERE}");
    assert_eq!(client.rows(&hinted("primary")), [[primary.as_str()]]);
    assert_eq!(client.rows(&hinted("replica")), [[replica.as_str()]]);

    on_replicas(&cluster, "SELECT pg_wal_replay_pause()");
    client.rows("UPDATE settings SET v = 'new' WHERE k = 'a'");
    client.rows("UPDATE notes SET pair = -1 WHERE id = 1001");
    let token = client.rows("SHOW shardway.token")[0][0].clone();
    // As a start-up option, through the other proxy; on each shard that was written.
    let read = |options: &str, text: &str| {
        let url = format!("{}{options}", other.url(cluster.user(), cluster.password(), "shop"));
        expect_success(text, &psql(&cluster, &url, &["-A", "-t", "-c", text])).trim().to_owned()
    };
    let escaped: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let with_token = format!("?options=-c%20shardway.token%3D{escaped}");
    for (text, old, new) in [
        ("SELECT v FROM settings WHERE k = 'a'", "1", "new"),
        ("SELECT pair = -1 FROM notes WHERE id = 1001", "f", "t"),
    ] {
        assert_eq!(read("", text), old, "{text}");
        assert_eq!(read(&with_token, text), new, "{text}, {token}");
    }
    let url =
        format!("{}?options=-c%20shardway.token%3Dnonsense", other.url(cluster.user(), cluster.password(), "shop"));
    let output = psql(&cluster, &url, &["-c", "SELECT 1"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("shardway.token"), "{output:?}");
    sql(cluster.primary(0), "UPDATE settings SET v = '1'");
}

/// A statement that waits is planned anew if what it reads has become something else meanwhile.
#[test]
fn what_waits_while_definitions_change_is_planned_by_the_new_ones() {
    let cluster = cluster();
    let _resumes = Resumes(&cluster);
    let proxy = Proxy::start(&cluster, &config(&cluster, "", ""));
    let mut ops = connect(&cluster, &proxy, "shardway");
    let (primary, replica) = (cluster.primary(0), &cluster.shards()[0].replicas[0]);
    let text = "SELECT count(*), min(id), max(id) FROM shown";
    let mut clients: Vec<Client> = (0..2).map(|_| connect(&cluster, &proxy, "shop")).collect();
    for client in &mut clients {
        assert_eq!(client.rows(text), [["1", "1", "1"]]);
    }
    ops.rows("PAUSE shop");
    let [by_query, by_messages] = &mut clients[..] else { unreachable!("there are two") };
    by_query.send(Messages::default().query(text)).expect("sent");
    by_messages.send(Messages::default().parse("", text, &[]).bind("", &[], 0).execute(0).sync()).expect("sent");
    becomes("they wait", || ops.rows("SHOW POOLS").iter().any(|row| row[0] == "shop" && row[3] == "2"));
    // Behind the proxy's back, and in the schema that it is in (the tests' role has one of its own): what was one row of the home shard is now rows of both.
    for shard in cluster.shards() {
        sql(&shard.primary, "CREATE OR REPLACE VIEW public.shown AS SELECT id FROM public.notes");
        shard.replicas[0].wait_for_replay(&shard.primary).expect("it streams");
    }
    primary.stop(shardway::devcluster::StopMode::Fast).expect("it runs");
    sql(replica, "SELECT pg_promote(true, 60)");
    becomes("it is followed", || {
        ops.rows("SHOW NODES").iter().any(|row| row[4] == of(replica) && row[2] == "primary" && row[6] == "up")
    });
    ops.rows("RESUME shop");
    for client in [by_query, by_messages] {
        let turn = client.answer().expect("answered");
        assert_eq!(wire::texts(&turn, text), [["1400", "1", "1700"]], "{}", proxy.log());
    }
    // As it was, for the other tests.
    primary.rebuild_as_replica_of(replica).expect("it follows");
    primary.wait_for_replay(replica).expect("it streams");
    replica.stop(shardway::devcluster::StopMode::Fast).expect("it runs");
    sql(primary, "SELECT pg_promote(true, 60)");
    replica.rebuild_as_replica_of(primary).expect("it follows");
    for shard in cluster.shards() {
        sql(
            &shard.primary,
            "DROP VIEW public.shown; CREATE VIEW public.shown AS SELECT 1::bigint AS id FROM public.settings",
        );
    }
}

/// A transaction whose server is gone can't go on, and its client is told so as by PostgreSQL; one that has not run
/// anything yet doesn't notice.
#[test]
fn transactions_that_only_read_and_lose_their_server() {
    let cluster = cluster();
    let replica = &cluster.shards()[0].replicas[0];
    let proxy = Proxy::start(&cluster, &config(&cluster, "", ""));
    replica_reads(&cluster, &proxy);
    for way in ["killed", "stopped", "terminated"] {
        let begin = |client: &mut Client| {
            client.rows("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY");
            port(client)
        };
        let (mut simple, mut extended, mut commits, mut fresh) = (
            connect(&cluster, &proxy, "shop"),
            connect(&cluster, &proxy, "shop"),
            connect(&cluster, &proxy, "shop"),
            connect(&cluster, &proxy, "shop"),
        );
        becomes("the replica is read", || port(&mut fresh) == of(replica));
        for client in [&mut simple, &mut extended, &mut commits] {
            assert_eq!(begin(client), of(replica));
        }
        fresh.rows("BEGIN READ ONLY");
        match way {
            "killed" => replica.kill9().expect("it runs"),
            "stopped" => replica.stop(shardway::devcluster::StopMode::Fast).expect("it runs"),
            _ => drop(sql(
                replica,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND state LIKE 'idle%' AND pid <> pg_backend_pid()",
            )),
        }
        // Nothing of it has run: it begins elsewhere, or there again.
        assert!(port(&mut fresh) == of(cluster.primary(0)) || way == "terminated", "{way}");
        fresh.rows("COMMIT");
        let honest = |code: &str| ["08006", "57P01"].contains(&code);
        let told = code(&mut simple, WHERE);
        assert!(honest(&told), "{way}: {told}");
        assert_eq!(code(&mut simple, WHERE), "25P02", "{way}: the transaction has failed");
        assert_eq!(code(&mut simple, "ROLLBACK"), "", "{way}");
        let turn = extended
            .turn(Messages::default().parse("", WHERE, &[]).bind("", &[], 0).execute(0).sync())
            .expect("answered");
        assert!(honest(&turn.error().expect("its server is gone").code), "{way}: {:?}", turn.error());
        assert_eq!(turn.status, b'E', "{way}");
        assert_eq!(code(&mut extended, "ROLLBACK"), "", "{way}");
        // Nothing was written: that it can't be committed costs nothing, and either word is true.
        let told = code(&mut commits, "COMMIT");
        assert!(told.is_empty() || honest(&told) || told == "08007", "{way}: {told}");
        for client in [&mut simple, &mut extended, &mut commits] {
            client.rows(WHERE);
            client.rows("BEGIN READ ONLY; SELECT 1; COMMIT");
        }
        if way != "terminated" {
            replica.start().expect("it starts again");
        }
    }
    becomes("the replica is read", || port(&mut connect(&cluster, &proxy, "shop")) == of(replica));
}

/// What it costs to watch the nodes, and what is seen.
#[test]
fn checks_take_one_connection_a_node_and_are_visible() {
    let cluster = cluster();
    let pages = SocketAddr::from(([127, 0, 0, 1], free_port()));
    sql(cluster.primary(0), "SELECT pg_create_physical_replication_slot('forgotten')");
    let proxy = Proxy::start(&cluster, &config(&cluster, &format!("admin = \"{pages}\""), ""));
    let mut ops = connect(&cluster, &proxy, "shardway");
    let names = ["sync_state", "slots", "checks", "checks_failed", "timeline"];
    let columns = ops.query("SHOW NODES").expect("answered");
    let columns: Vec<String> = columns
        .events
        .iter()
        .find_map(|event| match event {
            wire::Event::Columns(columns) => Some(columns.iter().map(|column| column.name.clone()).collect()),
            _ => None,
        })
        .expect("it has columns");
    let at = names.map(|name| columns.iter().position(|column| column == name).unwrap_or_else(|| panic!("{name}")));
    let checks = |ops: &mut Client| -> Vec<u64> {
        ops.rows("SHOW NODES").iter().map(|row| row[at[2]].parse().expect("a number")).collect()
    };
    becomes("each was looked at several times", || {
        let checks = checks(&mut ops);
        checks.len() == 4 && checks.iter().all(|checks| *checks >= 3)
    });
    let rows = ops.rows("SHOW NODES");
    let row = |server: &Server| rows.iter().find(|row| row[4] == of(server)).expect("it is listed");
    assert!(row(cluster.primary(0))[at[1]].contains("forgotten (unused)"), "{rows:?}");
    assert_eq!(row(&cluster.shards()[0].replicas[0])[at[0]], "async", "{rows:?}");
    assert!(rows.iter().all(|row| row[at[4]].parse::<u32>().is_ok_and(|timeline| timeline >= 1)), "{rows:?}");
    for shard in cluster.shards() {
        for server in [&shard.primary, &shard.replicas[0]] {
            // Nobody else is connected by this name but who reads the catalog, for a moment.
            let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shardway' AND query LIKE '%SELECT r, s.system_identifier%' \
                         AND pid <> pg_backend_pid()";
            assert_eq!(sql(server, count), "1");
        }
    }
    let address = format!("127.0.0.1:{}", cluster.primary(0).port());
    let series = |name: &str| format!("{name}{{database=\"shop\",shard=\"a\",role=\"primary\",node=\"{address}\"}}");
    assert!(metric(pages, &series("shardway_node_checks_total")) >= 3.0);
    assert!(metric(pages, &series("shardway_node_check_failures_total")) >= 0.0);
    sql(cluster.primary(0), "SELECT pg_drop_replication_slot('forgotten')");
}
