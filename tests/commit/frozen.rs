//! A server that hangs (SIGSTOP) holds a COMMIT of several shards for a bounded time. The client is told what became of
//! it, or that this isn't known; once the server is back all shards agree.

use std::time::{Duration, Instant};

use crate::client::sqlstate;
use crate::support::Proxy;
use crate::world::{balances, cluster, config, keys, ready, settled};

/// Far more than the configured seconds, and far less than for ever.
const BOUND: Duration = Duration::from_secs(60);

fn proxy(cluster: &shardway::devcluster::Cluster, failpoint: &str) -> Proxy {
    let config = config(cluster, "recovery_interval = \"1s\"\ncommit_timeout = \"2s\"");
    let environment: &[(&str, &str)] = if failpoint.is_empty() { &[] } else { &[("SHARDWAY_FAILPOINT", failpoint)] };
    Proxy::start_with(cluster, &config, environment)
}

#[test]
fn a_frozen_server_holds_a_commit_for_a_bounded_time() {
    let cluster = cluster(&[]);
    let [one, two, _] = keys(&cluster, 1);
    let plain = proxy(&cluster, "");
    let mut wire = ready(&plain);
    wire.run(&format!("INSERT INTO accounts VALUES ({one}, 100), ({two}, 100)"));

    // A participant hangs before it is prepared: nothing is done.
    wire.run("BEGIN");
    wire.run(&format!("UPDATE accounts SET balance = 90 WHERE id = {one}"));
    wire.run(&format!("UPDATE accounts SET balance = 110 WHERE id = {two}"));
    cluster.primary(1).freeze().expect("it runs");
    let begin = Instant::now();
    let frames = wire.query("COMMIT");
    assert!(begin.elapsed() < BOUND, "COMMIT took {:?}", begin.elapsed());
    cluster.primary(1).thaw().expect("it is frozen");
    assert_eq!(sqlstate(&frames).as_deref(), Some("08006"), "{frames:?}");
    settled(&cluster);
    assert_eq!(balances(&cluster, &[one, two]), [Some(100), Some(100)]);

    // The deciding shard hangs when all others are prepared: nobody can know.
    let held = proxy(&cluster, "prepared:hold:1500");
    let mut wire = ready(&held);
    wire.run("BEGIN");
    wire.run(&format!("UPDATE accounts SET balance = 80 WHERE id = {one}"));
    wire.run(&format!("UPDATE accounts SET balance = 120 WHERE id = {two}"));
    let frames = std::thread::scope(|scope| {
        let commit = scope.spawn(move || {
            let begin = Instant::now();
            let frames = wire.query("COMMIT");
            (frames, begin.elapsed())
        });
        let begin = Instant::now();
        while crate::world::on(cluster.primary(1), "SELECT count(*) FROM pg_prepared_xacts") == "0" {
            assert!(begin.elapsed() < BOUND && !commit.is_finished(), "it isn't prepared");
            std::thread::sleep(Duration::from_millis(5));
        }
        cluster.primary(0).freeze().expect("it runs");
        let (frames, took) = commit.join().expect("it was answered");
        assert!(took < BOUND, "COMMIT took {took:?}");
        frames
    });
    cluster.primary(0).thaw().expect("it is frozen");
    settled(&cluster);
    let after = balances(&cluster, &[one, two]);
    match sqlstate(&frames).as_deref() {
        Some("08007") => {
            assert!([[Some(80), Some(120)], [Some(100), Some(100)]].contains(&[after[0], after[1]]), "{after:?}")
        }
        // It was frozen behind its decision.
        None => assert_eq!(after, [Some(80), Some(120)]),
        other => panic!("{other:?}: {frames:?}"),
    }
}

#[test]
fn others_cannot_write_the_records_of_transactions() {
    let cluster = crate::world::shared();
    let plain = crate::world::proxy(cluster);
    let mut wire = ready(&plain);
    let [one, two, _] = keys(cluster, 95_000);
    wire.run(&format!("INSERT INTO accounts VALUES ({one}, 1), ({two}, 1)"));
    let server = cluster.primary(0);
    let error = server
        .sql("CREATE ROLE outsider; SET SESSION AUTHORIZATION outsider; SELECT shardway.txn_note('swy:x', 'c', NULL)");
    let error = error.expect_err("it must be refused").to_string();
    assert!(error.contains("permission denied"), "{error}");
    // Whoever comes through Shardway may, whatever role it takes.
    for sql in ["SET ROLE clerk", "BEGIN"] {
        wire.run(sql);
    }
    wire.run(&format!("UPDATE accounts SET balance = 2 WHERE id = {one}"));
    wire.run(&format!("UPDATE accounts SET balance = 2 WHERE id = {two}"));
    wire.run("COMMIT");
    assert_eq!(balances(cluster, &[one, two]), [Some(2), Some(2)]);
}
