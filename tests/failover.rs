//! Primaries that die and replicas that are promoted, under load: what was acknowledged is there, clients saw waits
//! or honest SQLSTATEs, other shards' clients saw nothing; and old primaries that come back aren't used.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use load::{Load, READERS, StopsAtEnd, becomes, connect, insert_on, metric, read_on};
use shardway::devcluster::{Cluster, Server};
use support::{Proxy, Shards, free_port};
use wire::Client;

#[allow(dead_code)]
#[path = "failover/load.rs"]
mod load;
mod support;
#[allow(dead_code)]
#[path = "oracle/wire.rs"]
mod wire;

const SCHEMA: &str = "
    CREATE TABLE notes (id bigint PRIMARY KEY, pair bigint, by text);
    CREATE TABLE settings (id serial PRIMARY KEY, v text);
";

/// From this id on notes are on shard b.
const OF_B: u64 = 1_000_000_000;

/// The tests' clusters have the same names of servers, but each its own.
fn cluster(shards: usize, replicas: usize) -> Cluster {
    let builder = Shards::builder().shards(shards).replicas(replicas).schema(SCHEMA);
    builder.hba("host all all 127.0.0.1/32 trust").start().unwrap_or_else(|error| panic!("{error}"))
}

/// Shard b, if there is one, is the home shard.
fn config(cluster: &Cluster, more: &str) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n[pool]\nconnect_timeout = \"2s\"\n\
         [[user]]\nname = \"{}\"\npassword = \"{}\"\nadmin = true\n[database.shop]\nhome = \"{}\"\n\
         failover_wait = \"60s\"\nrecovery_interval = \"1s\"\n{more}\n",
        cluster.user(),
        cluster.password(),
        cluster.shards().last().expect("there is a shard").name
    );
    for shard in cluster.shards() {
        let url = |server: &Server| format!("\"postgres://127.0.0.1:{}/{}\"", server.port(), cluster.database());
        let replicas: Vec<String> = shard.replicas.iter().map(url).collect();
        text += &format!(
            "[database.shop.shard.{}]\nprimary = {}\nreplicas = [{}]\n",
            shard.name,
            url(&shard.primary),
            replicas.join(", ")
        );
    }
    let last = &cluster.shards().last().expect("there is a shard").name;
    text += &format!(
        "[database.shop.table.notes]\nkey = \"id\"\nrange = [ {{ until = {OF_B}, shard = \"a\" }}, {{ shard = \"{last}\" }} ]\n"
    );
    text
}

fn sql(server: &Server, text: &str) -> String {
    server.sql(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Has COMMIT wait for the replicas, as it must where nothing may be lost.
fn synchronise(primary: &Server, replicas: usize) {
    sql(primary, &format!("ALTER SYSTEM SET synchronous_standby_names = '{replicas} (*)'"));
    sql(primary, "SELECT pg_reload_conf()");
    let count = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    becomes("the replicas are synchronous", || sql(primary, count) == replicas.to_string());
}

/// SHOW NODES: role, state and problem of the server.
fn shown(ops: &mut Client, server: &Server) -> (String, String, String) {
    let rows = ops.rows("SHOW NODES");
    let row = rows.into_iter().find(|row| row[4] == server.port().to_string()).expect("it is listed");
    (row[2].clone(), row[6].clone(), row[12].clone())
}

#[derive(Default)]
struct Seen {
    acknowledged: Mutex<BTreeSet<u64>>,
    pairs: Mutex<BTreeSet<u64>>,
    codes: Mutex<BTreeMap<String, usize>>,
    /// Of clients of shard b.
    elsewhere: Mutex<Vec<String>>,
    slowest: Mutex<Duration>,
    next: AtomicUsize,
    /// Acknowledged since the promotion.
    after: AtomicUsize,
    first_after: Mutex<Option<Instant>>,
    is_promoted: AtomicBool,
    stop: AtomicBool,
}

impl Seen {
    fn id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) as u64 + 1
    }

    fn note(&self, code: Option<String>) -> bool {
        match code {
            Some(code) => {
                *self.codes.lock().expect("no panics").entry(code).or_default() += 1;
                false
            }
            None => {
                if self.is_promoted.load(Ordering::SeqCst) {
                    self.after.fetch_add(1, Ordering::SeqCst);
                    self.first_after.lock().expect("no panics").get_or_insert_with(Instant::now);
                }
                true
            }
        }
    }
}

fn failure(client: &mut Client, sql: &str) -> Option<String> {
    let turn = client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    turn.error().map(|report| report.code.clone())
}

/// One statement, or a transaction, on shard a.
fn write_on_a(seen: &Seen, client: &mut Client, in_block: bool) {
    let (first, second) = (seen.id(), seen.id());
    let insert = |id: u64| format!("INSERT INTO notes VALUES ({id}, {id}, 'a')");
    if in_block {
        let begun = failure(client, "BEGIN").or_else(|| failure(client, &insert(first)));
        let failed = begun.or_else(|| failure(client, &insert(second)));
        let ended = failure(client, if failed.is_some() { "ROLLBACK" } else { "COMMIT" });
        if seen.note(failed.or(ended)) {
            seen.acknowledged.lock().expect("no panics").extend([first, second]);
        }
    } else {
        let failed = failure(client, &insert(first));
        if seen.note(failed) {
            seen.acknowledged.lock().expect("no panics").insert(first);
        }
    }
}

/// The same number on both shards, or on none.
fn write_on_both(seen: &Seen, client: &mut Client) {
    let id = seen.id();
    let failed = failure(client, "BEGIN")
        .or_else(|| failure(client, &format!("INSERT INTO notes VALUES ({id}, {id}, 'both')")))
        .or_else(|| failure(client, &format!("INSERT INTO notes VALUES ({}, {id}, 'both')", OF_B + id)));
    let ended = failure(client, if failed.is_some() { "ROLLBACK" } else { "COMMIT" });
    if seen.note(failed.or(ended)) {
        seen.pairs.lock().expect("no panics").insert(id);
    }
}

fn write_on_b(seen: &Seen, client: &mut Client) {
    let began = Instant::now();
    let id = OF_B + seen.id();
    let failed = failure(client, &format!("INSERT INTO notes VALUES ({id}, {id}, 'b')"));
    seen.elsewhere.lock().expect("no panics").extend(failed);
    let mut slowest = seen.slowest.lock().expect("no panics");
    *slowest = (*slowest).max(began.elapsed());
    drop(slowest);
    std::thread::sleep(Duration::from_millis(2));
}

fn under_load(cluster: &Cluster, proxy: &Proxy, seen: &Seen, act: impl FnOnce()) {
    std::thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                let mut client = connect(cluster, proxy, "shop");
                while !seen.stop.load(Ordering::SeqCst) {
                    match number {
                        0..=2 => write_on_a(seen, &mut client, false),
                        3..=4 => write_on_a(seen, &mut client, true),
                        5 => write_on_both(seen, &mut client),
                        _ => write_on_b(seen, &mut client),
                    }
                }
            });
        }
        let _stop = StopsAtEnd(&seen.stop);
        act();
    });
}

#[test]
fn a_promoted_replica_is_followed_and_nothing_acknowledged_is_lost() {
    let cluster = cluster(2, 1);
    let (primary, replica) = (cluster.primary(0), &cluster.shards()[0].replicas[0]);
    (0..2).for_each(|shard| synchronise(cluster.primary(shard), 1));
    let state = cluster.directory().join("state");
    let remembering =
        |text: &str| text.replace("[server]\n", &format!("[server]\nstate_file = \"{}\"\n", state.display()));
    let proxy = Proxy::start(&cluster, &remembering(&config(&cluster, "")));
    let mut ops = connect(&cluster, &proxy, "shardway");
    becomes("the replica's part is shown", || {
        let rows = ops.rows("SHOW NODES");
        let row = rows.iter().find(|row| row[4] == replica.port().to_string()).expect("it is listed");
        row[17] == "sync"
    });
    let seen = Seen::default();
    under_load(&cluster, &proxy, &seen, || {
        becomes("clients write", || seen.acknowledged.lock().expect("no panics").len() > 200);
        becomes("both are written", || seen.pairs.lock().expect("no panics").len() > 20);
        primary.kill9().expect("it runs");
        // Everybody who needs the shard waits for its new primary.
        becomes("statements wait", || proxy_holds(&mut ops) >= 5);
        sql(replica, "SELECT pg_promote(true, 60)");
        let promoted = Instant::now();
        seen.is_promoted.store(true, Ordering::SeqCst);
        becomes("the promoted replica is written", || seen.after.load(Ordering::SeqCst) > 200);
        let first = seen.first_after.lock().expect("no panics").expect("it is written");
        eprintln!("first write {} ms after the promotion", first.duration_since(promoted).as_millis());
        assert!(first.duration_since(promoted) < Duration::from_secs(20));
    });
    let codes = seen.codes.lock().expect("no panics").clone();
    eprintln!("{codes:?}, slowest elsewhere {:?}", seen.slowest.lock().expect("no panics"));
    let honest = ["08006", "08007", "57P01"];
    assert!(codes.keys().all(|code| honest.contains(&code.as_str())), "{codes:?}\n{}", proxy.log());
    assert_eq!(*seen.elsewhere.lock().expect("no panics"), [""; 0], "clients of shard b notice nothing");
    // What a lost COMMIT left prepared is finished on the new primary.
    becomes("nothing is in doubt", || {
        [replica, cluster.primary(1)].iter().all(|server| sql(server, "SELECT count(*) FROM pg_prepared_xacts") == "0")
    });
    let ids = |server: &Server, by: &str| -> BTreeSet<u64> {
        let rows = sql(server, &format!("SELECT pair FROM notes WHERE by = '{by}'"));
        rows.lines().map(|id| id.parse().expect("a number")).collect()
    };
    let missing: Vec<u64> = {
        let acknowledged = seen.acknowledged.lock().expect("no panics");
        acknowledged.difference(&ids(replica, "a")).copied().collect()
    };
    assert_eq!(missing, [0_u64; 0], "acknowledged, and not there");
    let both = ids(replica, "both");
    assert_eq!(both, ids(cluster.primary(1), "both"), "on both shards or on none");
    assert!(seen.pairs.lock().expect("no panics").is_subset(&both));
    assert_eq!(shown(&mut ops, replica).0, "primary");

    // A proxy that starts while the new primary is away and only the old one is there: it remembers.
    becomes("it is written down", || std::fs::read_to_string(&state).is_ok_and(|text| text.contains("shop\ta\t")));
    assert!(
        std::fs::read_to_string(&state)
            .expect("it is there")
            .lines()
            .any(|line| line.starts_with("shop\ta\t") && line.ends_with("\t2"))
    );
    replica.freeze().expect("it runs");
    primary.start().expect("it starts again");
    let text = remembering(&config(&cluster, "")).replace("failover_wait = \"60s\"", "failover_wait = \"4s\"");
    let later = Proxy::start(&cluster, &text);
    let mut client = connect(&cluster, &later, "shop");
    becomes("it is told that there was a newer one", || {
        let turn = client.query("INSERT INTO notes VALUES (900000009, 0, 'early')").expect("answered");
        let report = turn.error().expect("nobody leads").clone();
        assert_eq!(report.code, "08001", "{report:?}");
        report.message.contains("has been on timeline 2")
    });
    replica.thaw().expect("it is stopped");
    becomes("it is written", || failure(&mut client, "INSERT INTO notes VALUES (900000008, 0, 'early')").is_none());
    assert_eq!(sql(primary, "SELECT count(*) FROM notes WHERE by = 'early'"), "0");

    // The old primary comes back as a second one, and isn't used.
    becomes("it is told why", || shown(&mut ops, primary).2.contains("it is not a standby"));
    let mut client = connect(&cluster, &proxy, "shop");
    client.rows("INSERT INTO notes VALUES (900000000, 0, 'late')");
    assert_eq!(sql(replica, "SELECT count(*) FROM notes WHERE by = 'late'"), "1");
    assert_eq!(sql(primary, "SELECT count(*) FROM notes WHERE by = 'late'"), "0");
    // A proxy that starts now finds the same.
    let other = Proxy::start(&cluster, &config(&cluster, ""));
    connect(&cluster, &other, "shop").rows("INSERT INTO notes VALUES (900000001, 0, 'late')");
    assert_eq!(sql(replica, "SELECT count(*) FROM notes WHERE by = 'late'"), "2");
}

/// Statements that wait for a primary.
fn proxy_holds(ops: &mut Client) -> usize {
    let rows = ops.rows("SHOW SHARDS");
    rows.iter().map(|row| row.last().and_then(|held| held.parse::<usize>().ok()).unwrap_or(0)).sum()
}

#[test]
fn a_primary_that_hangs_is_left_and_two_equal_ones_stop_writes() {
    let cluster = cluster(1, 2);
    let shard = &cluster.shards()[0];
    let (old, first, second) = (&shard.primary, &shard.replicas[0], &shard.replicas[1]);
    let proxy = Proxy::start(&cluster, &config(&cluster, "max_replica_lag = \"off\""));
    let mut ops = connect(&cluster, &proxy, "shardway");
    let mut client = connect(&cluster, &proxy, "shop");
    client.rows("INSERT INTO notes VALUES (1, 1, 'before')");
    first.wait_for_replay(old).expect("it streams");
    second.wait_for_replay(old).expect("it streams");

    // A machine that is gone from the network: connections hang. Who is in a statement is let go once another
    // server is the primary.
    old.freeze().expect("it runs");
    let stuck = std::thread::scope(|scope| {
        let stuck = scope.spawn(|| {
            let mut client = connect(&cluster, &proxy, "shop");
            failure(&mut client, "INSERT INTO notes VALUES (2, 2, 'stuck')")
        });
        becomes("the statement is under way", || proxy_works(&mut ops) >= 1);
        sql(first, "SELECT pg_promote(true, 60)");
        becomes("it is followed", || shown(&mut ops, first).0 == "primary");
        stuck.join().expect("no panic")
    });
    assert!(matches!(stuck.as_deref(), None | Some("08007" | "08006")), "{stuck:?}");
    client.rows("INSERT INTO notes VALUES (3, 3, 'first')");
    assert_eq!(sql(first, "SELECT count(*) FROM notes WHERE by = 'first'"), "1");

    // It wakes up and takes writes as before: nobody sends it any.
    old.thaw().expect("it is stopped");
    becomes("it is told why", || shown(&mut ops, old).2.contains("it is not a standby"));
    for id in 10..30 {
        client.rows(&format!("INSERT INTO notes VALUES ({id}, {id}, 'first')"));
    }
    assert_eq!(sql(old, "SELECT count(*) FROM notes WHERE by = 'first'"), "0");

    // The other replica becomes a primary on the same timeline.
    sql(second, "SELECT pg_promote(true, 60)");
    becomes("writes stop", || {
        failure(&mut client, "INSERT INTO notes VALUES (4, 4, 'torn')").as_deref() == Some("57P03")
    });
    let turn = client.query("INSERT INTO notes VALUES (5, 5, 'torn')").expect("answered");
    let report = turn.error().expect("refused").clone();
    assert!(report.message.contains("take writes on timeline"), "{report:?}");
    assert!(proxy.log().contains("SPLIT BRAIN"), "{}", proxy.log());
    // One of them is stopped: the other is what there is.
    second.kill9().expect("it runs");
    becomes("writes go on", || failure(&mut client, "INSERT INTO notes VALUES (6, 6, 'after')").is_none());
    assert_eq!(sql(first, "SELECT count(*) FROM notes WHERE by = 'after'"), "1");
}

/// Statements that run on servers now.
fn proxy_works(ops: &mut Client) -> usize {
    let rows = ops.rows("SHOW NODES");
    rows.iter().filter_map(|row| row[14].parse::<usize>().ok()).sum()
}

#[test]
fn planned_switchovers_and_dead_replicas_cost_no_client_an_error() {
    let cluster = cluster(1, 2);
    let shard = &cluster.shards()[0];
    let (old, first, second) = (&shard.primary, &shard.replicas[0], &shard.replicas[1]);
    sql(old, "INSERT INTO notes VALUES (0, 0, 'there')");
    let pages = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let text = config(&cluster, "reads = \"prefer_replica\"");
    let proxy = Proxy::start(&cluster, &text.replace("[server]\n", &format!("[server]\nadmin = \"{pages}\"\n")));
    let mut ops = connect(&cluster, &proxy, "shardway");

    // A replica dies under reads.
    let reads = Load::default();
    std::thread::scope(|scope| {
        let _stop = StopsAtEnd(&reads.stop);
        for number in 0..READERS {
            let (reads, cluster, proxy) = (&reads, &cluster, &proxy);
            scope.spawn(move || read_on(reads, &mut connect(cluster, proxy, "shop"), number));
        }
        reads.goes_on(300);
        second.kill9().expect("it runs");
        reads.goes_on(300);
        second.start().expect("it starts again");
        reads.goes_on(300);
        becomes("it is read again", || shown(&mut ops, second).1 == "up");
        second.stop(shardway::devcluster::StopMode::Fast).expect("it runs");
        reads.goes_on(300);
    });
    reads.has_no_failure(&proxy);
    let read = metric(pages, "shardway_reruns_total{database=\"shop\",kind=\"read\"}");
    assert!(read > 0.0);

    // The primary is shut down, and the replica promoted, under writes and reads.
    let (writes, next, done) = (Load::default(), AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    std::thread::scope(|scope| {
        let _stop = StopsAtEnd(&writes.stop);
        for number in 0..6 {
            let (writes, next, done, cluster, proxy) = (&writes, &next, &done, &cluster, &proxy);
            scope.spawn(move || insert_on(writes, &mut connect(cluster, proxy, "shop"), number, next, done));
        }
        writes.goes_on(300);
        old.stop(shardway::devcluster::StopMode::Fast).expect("it runs");
        sql(first, "SELECT pg_promote(true, 60)");
        writes.goes_on(300);
        // The same with a word to Shardway before: nothing is under way when the server goes.
        old.rebuild_as_replica_of(first).expect("it follows");
        writes.goes_on(100);
        ops.rows("PAUSE shop.a");
        first.stop(shardway::devcluster::StopMode::Fast).expect("it runs");
        sql(old, "SELECT pg_promote(true, 60)");
        ops.rows("RESUME shop.a");
        writes.goes_on(300);
    });
    writes.has_no_failure(&proxy);
    let written = metric(pages, "shardway_reruns_total{database=\"shop\",kind=\"write\"}");
    eprintln!("ran again: {read} reads and {written} writes");
    let rows = sql(old, "SELECT id FROM notes WHERE by = 'load'");
    let there: BTreeSet<u64> = rows.lines().map(|id| id.parse().expect("a number")).collect();
    assert_eq!(there, *done.lock().expect("no panics"));
}

/// A commit that waits for a standby when its server goes is done on that server. PostgreSQL says 57P01 then, too, but as a
/// warning, and whoever ran the statement again would do it twice.
#[test]
fn a_commit_that_waits_for_a_standby_is_not_run_again() {
    let cluster = cluster(1, 1);
    let primary = cluster.primary(0);
    let proxy = Proxy::start(&cluster, &config(&cluster, ""));
    sql(primary, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    sql(primary, "SELECT pg_reload_conf()");
    let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'client backend'";
    for (number, way) in ["terminated", "fast", "immediate", "killed"].into_iter().enumerate() {
        let told = std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut client = connect(&cluster, &proxy, "shop");
                let insert = format!("INSERT INTO settings (id, v) VALUES ({number}, '{way}')");
                // As a Query and as messages.
                let turn = match number % 2 {
                    0 => client.query(&insert),
                    _ => client
                        .turn(wire::Messages::default().parse("", &insert, &[]).bind("", &[], 0).execute(0).sync()),
                };
                turn.expect("answered").error().cloned()
            });
            becomes("it waits", || sql(primary, &format!("SELECT count(*) {waiting}")) == "1");
            match way {
                "terminated" => drop(sql(primary, &format!("SELECT pg_terminate_backend(pid) {waiting}"))),
                "fast" => primary.stop(shardway::devcluster::StopMode::Fast).expect("it runs"),
                "immediate" => primary.stop(shardway::devcluster::StopMode::Immediate).expect("it runs"),
                _ => primary.kill9().expect("it runs"),
            }
            if way != "terminated" {
                primary.start().expect("it starts again");
            }
            client.join().expect("no panic")
        });
        let report = told.expect("nobody knows whether the standby has it");
        assert_eq!(report.code, "08007", "{way}: {report:?}");
        assert_eq!(sql(primary, &format!("SELECT count(*) FROM settings WHERE v = '{way}'")), "1", "{way}");
    }
    assert!(!proxy.log().contains("runs again"), "{}", proxy.log());
}
