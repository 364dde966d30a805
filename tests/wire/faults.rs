//! Clients that vanish, servers that go away, cancels, and limits: an honest answer, and nobody else is harmed.

use std::time::{Duration, Instant};

use shardway::devcluster::{Cluster, StopMode};

use super::client::{PATIENCE, Wire, sqlstate, status, tags};
use super::message::*;
use super::world::{one, proxy, proxy_with, ready, start, two};

/// Far less than what is cut short would take, with room for a slow machine.
const AT_ONCE: Duration = Duration::from_secs(20);

/// Waits until a query through the proxy gives this.
fn becomes(wire: &mut Wire, sql: &str, wanted: &str) {
    let begin = Instant::now();
    while wire.value(sql) != wanted {
        assert!(begin.elapsed() < PATIENCE, "{sql} isn't {wanted}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until so many connections to the servers, or more, are in that state; with 0, until none is.
fn activity(cluster: &Cluster, state: &str, wanted: usize) {
    let looks = format!("SELECT count(*) FROM pg_stat_activity WHERE {state} AND pid <> pg_backend_pid()");
    let begin = Instant::now();
    loop {
        let counts = cluster.shards().iter().map(|shard| shard.primary.sql(&looks).unwrap());
        let count: usize = counts.map(|count| count.trim().parse::<usize>().unwrap()).sum();
        if (wanted == 0 && count == 0) || (wanted > 0 && count >= wanted) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{count} instead of {wanted} with {state}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn running(mark: &str) -> String {
    format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{mark}' AND pid <> pg_backend_pid()"
    )
}

#[test]
fn a_cancel_reaches_its_client_and_no_other() {
    let proxy = proxy(one(), 4, "");
    let (mut a, mut b, mut watch) = (ready(&proxy), ready(&proxy), ready(&proxy));
    a.send(&query("SELECT pg_sleep(30) -- mark-a"));
    b.send(&query("SELECT pg_sleep(1), 'b' -- mark-b"));
    becomes(&mut watch, &running("mark-a"), "1");
    let cancel_a = cancel(a.process_id, &a.secret);
    // A wrong secret does nothing.
    let mut wrong = a.secret.clone();
    wrong[0] ^= 1;
    Wire::raw(proxy.address()).send(&cancel(a.process_id, &wrong));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(watch.value(&running("mark-a")), "1");
    Wire::raw(proxy.address()).send(&cancel_a);
    let frames = a.until(b'Z', 1);
    assert_eq!(sqlstate(&frames).as_deref(), Some("57014"));
    assert_eq!(tags(&b.until(b'Z', 1)), "TDCZ");
    a.run("SELECT 1");

    // When the statement has just ended, the cancel hits nobody who uses the connection next.
    drop(proxy);
    let proxy = super::world::proxy(one(), 1, "");
    let (mut a, mut b) = (ready(&proxy), ready(&proxy));
    let cancel_a = cancel(a.process_id, &a.secret);
    for _ in 0..60 {
        a.run("SELECT 1");
        Wire::raw(proxy.address()).send(&cancel_a);
        b.run("SELECT pg_sleep(0.005)");
    }
}

/// On servers of their own: who locks tables shard by shard would hold other conversations up, and they it.
#[test]
fn a_cancel_reaches_all_that_works_for_its_client() {
    let cluster = start(2);
    a_cancel_reaches_every_shard_of_a_scatter(&cluster);
    a_cancel_reaches_a_gather_wherever_it_is(&cluster);
}

fn a_cancel_reaches_every_shard_of_a_scatter(cluster: &Cluster) {
    let proxy = proxy(cluster, 3, "");
    let mut a = ready(&proxy);
    let mut locks: Vec<Wire> = cluster
        .shards()
        .iter()
        .map(|shard| {
            let mut wire = Wire::connect(([127, 0, 0, 1], shard.primary.port()).into());
            wire.run("BEGIN; LOCK TABLE items");
            wire
        })
        .collect();
    a.send(&query("SELECT v FROM items -- mark-scatter"));
    let active = "state = 'active' AND query LIKE '%mark-scatter'";
    activity(cluster, active, 2);
    Wire::raw(proxy.address()).send(&cancel(a.process_id, &a.secret));
    let begin = Instant::now();
    let frames = a.until(b'Z', 1);
    assert_eq!(sqlstate(&frames).as_deref(), Some("57014"), "{frames:?}");
    assert!(begin.elapsed() < AT_ONCE);
    activity(cluster, active, 0);
    locks.iter_mut().for_each(|wire| wire.run("ROLLBACK"));
    a.run("SELECT 1");
}

fn a_cancel_reaches_a_gather_wherever_it_is(cluster: &Cluster) {
    let proxy = proxy(cluster, 3, "");
    let mut a = ready(&proxy);
    let mut watch = Wire::connect(([127, 0, 0, 1], cluster.primary(0).port()).into());
    let gathers = "SELECT pg_sleep(30), string_agg(i.v, ',' ORDER BY k.v) FROM items i CROSS JOIN kinds k";
    // While rows are on their way.
    let mut lock = Wire::connect(([127, 0, 0, 1], cluster.primary(1).port()).into());
    lock.run("BEGIN; LOCK TABLE items");
    a.send(&query(gathers));
    activity(cluster, "wait_event_type = 'Lock' AND query LIKE 'COPY (SELECT %items%'", 1);
    let begin = Instant::now();
    Wire::raw(proxy.address()).send(&cancel(a.process_id, &a.secret));
    assert_eq!(sqlstate(&a.until(b'Z', 1)).as_deref(), Some("57014"));
    assert!(begin.elapsed() < AT_ONCE);
    lock.run("ROLLBACK");
    // While it is answered on the scratch database.
    let marked = "SELECT pg_sleep(30), string_agg(i.v, ',') FROM items i CROSS JOIN kinds \"mark-scratch\"";
    let running = running("mark-scratch\"");
    a.send(&query(marked));
    becomes(&mut watch, &running, "1");
    Wire::raw(proxy.address()).send(&cancel(a.process_id, &a.secret));
    assert_eq!(sqlstate(&a.until(b'Z', 1)).as_deref(), Some("57014"));
    a.run("SELECT string_agg(v, ',' ORDER BY v) FROM items");
    // Nobody waits for the answer any more.
    a.send(&query(marked));
    becomes(&mut watch, &running, "1");
    a.vanish();
    becomes(&mut watch, &running, "0");
}

#[test]
fn a_client_that_vanishes_has_its_work_undone() {
    let proxy = proxy(one(), 2, "");
    let (mut a, mut watch) = (ready(&proxy), ready(&proxy));
    a.send(&query("SELECT pg_sleep(30) -- mark-vanish"));
    becomes(&mut watch, &running("mark-vanish"), "1");
    a.vanish();
    becomes(&mut watch, &running("mark-vanish"), "0");
    // In the middle of an extended turn, of a COPY, and of a large result.
    let mut a = ready(&proxy);
    a.send(
        &[once("INSERT INTO notes VALUES (901, 'x')"), once("SELECT pg_sleep(30) -- mark-vanish"), flush()].concat(),
    );
    becomes(&mut watch, &running("mark-vanish"), "1");
    a.vanish();
    becomes(&mut watch, &running("mark-vanish"), "0");
    let mut a = ready(&proxy);
    a.send(&[query("COPY notes FROM STDIN"), copy_data(b"902\tx\n")].concat());
    a.until(b'G', 1);
    a.vanish();
    let mut a = ready(&proxy);
    a.send(&query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000) -- mark-vanish"));
    a.until(b'D', 10);
    a.vanish();
    becomes(&mut watch, &running("mark-vanish"), "0");
    let mut a = ready(&proxy);
    a.run("BEGIN");
    a.run("INSERT INTO notes VALUES (903, 'x')");
    a.send(&parse("", "SELECT", &[])[..7]);
    a.vanish();
    becomes(&mut watch, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'", "0");
    assert_eq!(watch.value("SELECT count(*) FROM notes WHERE id BETWEEN 901 AND 903"), "0");
}

#[test]
fn a_client_that_does_not_read_slows_its_server_down() {
    let proxy = proxy(one(), 2, "");
    let (mut a, mut watch) = (ready(&proxy), ready(&proxy));
    let rss = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.process().pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
    };
    let before = rss();
    a.send(&query("SELECT repeat('x', 1000) FROM generate_series(1, 300000) -- mark-slow"));
    std::thread::sleep(Duration::from_millis(700));
    let during = rss();
    assert!(during < before + (8 << 10), "{before} KiB became {during}");
    assert_eq!(watch.value(&running("mark-slow")), "1");
    let frames = a.until(b'Z', 1);
    assert_eq!(frames.len(), 300_003);
    // A claimed length costs nothing either.
    let before = rss();
    let mut claims = Vec::new();
    for tag in *b"QPBd" {
        let mut wire = ready(&proxy);
        wire.send(&[tag, 0x3f, 0xff, 0xff, 0xf0, b'a']);
        claims.push(wire);
    }
    std::thread::sleep(Duration::from_millis(100));
    assert!(rss() < before + (4 << 10));
    a.run("SELECT 1");
}

#[test]
fn a_huge_pipeline_without_a_sync() {
    for cluster in [one(), two()] {
        let proxy = proxy(cluster, 2, "");
        let mut a = ready(&proxy);
        let mut writer = a.stream.try_clone().unwrap();
        let count = 50_000;
        let sender = std::thread::spawn(move || {
            use std::io::Write;
            let mut bytes = parse("s", "SELECT $1::int", &[]);
            for number in 0..count {
                bytes.extend(bind("", "s", &[Some(&number.to_string())]));
                bytes.extend(execute("", 0));
                bytes.extend(close_portal("nobody"));
                if bytes.len() > 60_000 {
                    writer.write_all(&bytes).unwrap();
                    bytes.clear();
                }
            }
            bytes.extend(sync());
            writer.write_all(&bytes).unwrap();
        });
        let frames = a.until(b'Z', 1);
        sender.join().unwrap();
        assert_eq!(frames.len(), 1 + 4 * count + 1);
        assert_eq!(frames[frames.len() - 4].values()[0].as_deref(), Some((count - 1).to_string().as_str()));
        // Closes alone, and Parses alone.
        let mut bytes = Vec::new();
        for _ in 0..30_000 {
            bytes.extend(close_statement("nobody"));
        }
        for _ in 0..2_000 {
            bytes.extend(parse("", "SELECT 1", &[]));
        }
        let frames = a.ask(&[bytes, sync()].concat());
        assert_eq!(frames.len(), 32_001);
    }
}

/// Ends all of the proxy's connections to the cluster, and waits until they are gone.
fn kill_backends(cluster: &shardway::devcluster::Cluster) {
    for shard in cluster.shards() {
        let own = "application_name NOT IN ('psql', 'shardway') AND backend_type = 'client backend'";
        shard
            .primary
            .sql(&format!("SELECT pg_terminate_backend(pid, 3000) FROM pg_stat_activity WHERE {own}"))
            .unwrap();
    }
}

#[test]
fn backends_that_are_killed() {
    let cluster = start(2);
    let single = start(1);
    for cluster in [&single, &cluster] {
        let proxy = proxy(cluster, 3, "");
        let (mut a, mut b, mut c) = (ready(&proxy), ready(&proxy), ready(&proxy));
        a.run("SELECT 1");
        // Idle: nobody notices.
        kill_backends(cluster);
        std::thread::sleep(Duration::from_millis(50));
        a.run("SELECT 1");
        b.run("SET work_mem = '5MB'");
        a.ask(&[parse("s", "SELECT 5", &[]), sync()].concat());
        // In a transaction, and in autocommit, simple and extended.
        a.run("BEGIN");
        a.run("INSERT INTO notes VALUES (1, 'lost')");
        b.send(&query("SELECT pg_sleep(10) -- mark"));
        c.send(&[once("SELECT 1"), once("SELECT pg_sleep(10)"), once("SELECT 2"), sync()].concat());
        activity(cluster, "wait_event = 'PgSleep'", 2);
        kill_backends(cluster);
        let frames = b.until(b'Z', 1);
        assert_eq!(sqlstate(&frames).as_deref(), Some("57P01"), "{frames:?}");
        assert_eq!(status(&frames), 'I');
        let frames = c.until(b'Z', 1);
        assert_eq!(sqlstate(&frames).as_deref(), Some("57P01"), "{frames:?}");
        assert_eq!(status(&frames), 'I');
        let frames = a.query("SELECT 1");
        assert!(matches!(sqlstate(&frames).as_deref(), Some("57P01" | "08006")), "{frames:?}");
        assert_eq!(status(&frames), 'E');
        assert_eq!(a.fails("SELECT 1"), "25P02");
        let frames = a.ask(&[once("SELECT 1"), sync()].concat());
        assert_eq!(sqlstate(&frames).as_deref(), Some("25P02"), "{frames:?}");
        let frames = a.query("COMMIT");
        assert_eq!(frames[0].body, b"ROLLBACK\0");
        assert_eq!(status(&frames), 'I');
        // The sessions go on.
        assert_eq!(b.value("SHOW work_mem"), "5MB");
        let frames = a.ask(&[bind("", "s", &[]), execute("", 0), sync()].concat());
        assert!(sqlstate(&frames).is_none(), "{frames:?}");
        c.run("SELECT 1");
        assert_eq!(c.value("SELECT count(*) FROM notes WHERE id = 1"), "0");

        // What came before a savepoint is gone with the server: the savepoint doesn't bring it back.
        a.run("BEGIN");
        a.run("INSERT INTO notes VALUES (2, 'lost')");
        a.run("SAVEPOINT s");
        kill_backends(cluster);
        a.fails("SELECT 1");
        a.fails("ROLLBACK TO s");
        a.query("INSERT INTO notes VALUES (3, 'half')");
        a.query("COMMIT");
        assert_eq!(c.value("SELECT count(*) FROM notes"), "0");

        // With a pin.
        b.run("LISTEN x");
        kill_backends(cluster);
        let end = b.ends();
        assert_eq!(end[0].tag, b'E', "{end:?}");
    }

    // A server that stops and comes back; the other shard goes on meanwhile.
    let proxy = proxy(&cluster, 2, "");
    let mut a = ready(&proxy);
    for id in 1..=10 {
        a.run(&format!("INSERT INTO items VALUES ({id}, 'v')"));
    }
    let second = cluster.primary(1);
    second.stop(StopMode::Immediate).unwrap();
    let mut served = 0;
    for id in 1..=10 {
        let frames = a.query(&format!("SELECT v FROM items WHERE id = {id}"));
        match sqlstate(&frames).as_deref() {
            None => served += 1,
            Some(state) => assert!(matches!(state, "08001" | "08006" | "57P01" | "57P03"), "{frames:?}"),
        }
        assert_eq!(status(&frames), 'I');
    }
    assert!((1..10).contains(&served), "{served}");
    assert!(sqlstate(&a.query("SELECT * FROM items")).is_some(), "never a part of the answer");
    // A proxy that starts now serves the rest.
    let late = super::world::proxy(&cluster, 2, "");
    let mut b = ready(&late);
    b.run("SELECT * FROM notes");
    second.restart().unwrap();
    for wire in [&mut a, &mut b] {
        // Its connections are opened at intervals after failures.
        let begin = Instant::now();
        let frames = loop {
            let frames = wire.query("SELECT * FROM items");
            if sqlstate(&frames).is_none() {
                break frames;
            }
            assert!(begin.elapsed() < PATIENCE, "{frames:?}");
            std::thread::sleep(Duration::from_millis(50));
        };
        assert_eq!(frames.iter().filter(|frame| frame.tag == b'D').count(), 10);
    }
}

#[test]
fn waiting_ends_with_53300() {
    let proxy = proxy_with(one(), "size = 1\nwait_timeout = \"300ms\"");
    let (mut a, mut b) = (ready(&proxy), ready(&proxy));
    a.run("BEGIN");
    a.run("SELECT 1");
    let begin = Instant::now();
    assert_eq!(b.fails("SELECT 1"), "53300");
    assert!(begin.elapsed() < AT_ONCE);
    let frames = b.ask(&[once("SELECT 1"), once("SELECT 2"), sync()].concat());
    assert_eq!(tags(&frames), "EZ");
    a.run("COMMIT");
    b.run("SELECT 1");
}

#[test]
fn too_many_clients() {
    let config = super::world::config(one(), 2, "").replace("authentication =", "max_clients = 3\nauthentication =");
    let proxy = crate::support::Proxy::start(one(), &config);
    let clients: Vec<Wire> = (0..3).map(|_| ready(&proxy)).collect();
    let refused = Wire::with(proxy.address(), &[]).err().expect("there is no room");
    assert_eq!(refused.field(b'C').as_deref(), Some("53300"));
    assert_eq!(refused.field(b'S').as_deref(), Some("FATAL"));
    // A cancel needs no room.
    Wire::raw(proxy.address()).send(&cancel(clients[0].process_id, &clients[0].secret));
    drop(clients);
    let begin = Instant::now();
    while Wire::with(proxy.address(), &[]).is_err() {
        assert!(begin.elapsed() < PATIENCE, "no room becomes free");
        std::thread::sleep(Duration::from_millis(20));
    }
    ready(&proxy).run("SELECT 1");
}
