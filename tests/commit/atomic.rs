//! What clients see when nothing dies.

use crate::client::{Wire, sqlstate, status, tags};
use crate::message::*;
use crate::world::{balances, cluster, config, keys, on, prepared, proxy, ready, shared, turn};

#[test]
fn a_block_that_writes_three_shards_is_committed_or_rolled_back_as_one() {
    let (_turn, cluster) = (turn(), shared());
    let proxy = proxy(cluster);
    let mut wire = ready(&proxy);
    let keys = keys(cluster, 1000);
    let insert = |wire: &mut Wire| {
        for key in keys {
            wire.run(&format!("INSERT INTO accounts VALUES ({key}, 10)"));
        }
    };
    wire.run("BEGIN");
    insert(&mut wire);
    assert_eq!(balances(cluster, &keys), [None; 3]);
    wire.run("ROLLBACK");
    assert_eq!(balances(cluster, &keys), [None; 3]);

    wire.run("BEGIN");
    insert(&mut wire);
    let frames = wire.query("COMMIT");
    assert_eq!(tags(&frames), "CZ", "{frames:?}");
    assert_eq!(frames[0].body, b"COMMIT\0");
    assert_eq!(balances(cluster, &keys), [Some(10); 3]);
    assert_eq!(prepared(cluster), 0);
    let decided: Vec<String> =
        cluster.shards().iter().map(|shard| on(&shard.primary, "SELECT count(*) FROM shardway.txn")).collect();
    assert!(decided.iter().all(|rows| rows != "0"), "{decided:?}");

    // An error on one shard fails the transaction on all.
    wire.run("BEGIN");
    wire.run(&format!("UPDATE accounts SET balance = balance + 1 WHERE id = {}", keys[0]));
    wire.run(&format!("UPDATE accounts SET balance = balance + 1 WHERE id = {}", keys[1]));
    assert_eq!(wire.fails(&format!("UPDATE accounts SET balance = -1 WHERE id = {}", keys[2])), "23514");
    assert_eq!(wire.fails(&format!("SELECT * FROM accounts WHERE id = {}", keys[0])), "25P02");
    let frames = wire.query("COMMIT");
    assert_eq!((frames[0].body.as_slice(), status(&frames)), (&b"ROLLBACK\0"[..], 'I'));
    assert_eq!(balances(cluster, &keys), [Some(10); 3]);

    // Savepoints hold on every shard.
    wire.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
    wire.run(&format!("UPDATE accounts SET balance = 11 WHERE id = {}", keys[0]));
    wire.run("SAVEPOINT s");
    wire.run(&format!("UPDATE accounts SET balance = 12 WHERE id = {}", keys[0]));
    wire.run(&format!("UPDATE accounts SET balance = 12 WHERE id = {}", keys[1]));
    assert_eq!(wire.fails(&format!("UPDATE accounts SET balance = -1 WHERE id = {}", keys[1])), "23514");
    wire.run("ROLLBACK TO s");
    wire.run(&format!("UPDATE accounts SET balance = 13 WHERE id = {}", keys[2]));
    assert_eq!(wire.value("SHOW transaction_isolation"), "repeatable read");
    wire.run("COMMIT");
    assert_eq!(balances(cluster, &keys), [Some(11), Some(10), Some(13)]);
    assert_eq!(prepared(cluster), 0);
}

#[test]
fn what_fails_at_commit_is_rolled_back_on_all_shards() {
    let (_turn, cluster) = (turn(), shared());
    let proxy = proxy(cluster);
    let mut wire = ready(&proxy);
    let keys = keys(cluster, 2000);
    // The failing one prepares, decides, or comes last.
    for failing in 0..3 {
        wire.run("BEGIN");
        for (position, key) in keys.iter().enumerate() {
            wire.run(&format!("INSERT INTO late VALUES ({key}, 1)"));
            if position == failing {
                wire.run(&format!("INSERT INTO late VALUES ({key}, 1)"));
            }
        }
        let frames = wire.query("COMMIT");
        assert_eq!((sqlstate(&frames).as_deref(), status(&frames)), (Some("23505"), 'I'), "{failing}");
        for shard in cluster.shards() {
            assert_eq!(on(&shard.primary, "SELECT count(*) FROM late"), "0");
        }
        assert_eq!(prepared(cluster), 0);
    }
    // What can't be prepared is an error, and nothing stays.
    for what in ["NOTIFY news", "CREATE TEMP TABLE t (a int)", "DECLARE c CURSOR WITH HOLD FOR SELECT 1"] {
        wire.run("BEGIN");
        wire.run(&format!("INSERT INTO accounts VALUES ({}, 1)", keys[1]));
        wire.run(what);
        wire.run("INSERT INTO settings VALUES ('k', 'v')");
        wire.run(&format!("INSERT INTO accounts VALUES ({}, 1)", keys[2]));
        let frames = wire.query("COMMIT");
        assert_eq!((sqlstate(&frames).as_deref(), status(&frames)), (Some("0A000"), 'I'), "{what}: {frames:?}");
        assert_eq!(balances(cluster, &keys), [None; 3], "{what}");
        assert_eq!(on(cluster.primary(0), "SELECT count(*) FROM settings"), "0", "{what}");
        assert_eq!(prepared(cluster), 0);
        wire.run("DISCARD ALL");
    }
}

#[test]
fn one_writer_among_readers_needs_no_second_phase() {
    let (_turn, cluster) = (turn(), shared());
    let proxy = proxy(cluster);
    let mut wire = ready(&proxy);
    let keys = keys(cluster, 3000);
    let rows = || -> Vec<String> {
        let count = "SELECT CASE WHEN to_regclass('shardway.txn') IS NULL THEN 0 ELSE (xpath('/row/c/text()',
            query_to_xml('SELECT count(*) AS c FROM shardway.txn', false, true, '')))[1]::text::int END";
        cluster.shards().iter().map(|shard| on(&shard.primary, count)).collect()
    };
    let before = rows();
    wire.run("BEGIN");
    wire.run(&format!("SELECT * FROM accounts WHERE id = {}", keys[0]));
    wire.run(&format!("INSERT INTO accounts VALUES ({}, 1)", keys[1]));
    wire.run(&format!("SELECT * FROM accounts WHERE id = {}", keys[2]));
    wire.run("COMMIT");
    assert_eq!(balances(cluster, &keys), [None, Some(1), None]);
    // Statements that could have written, but found nothing, leave one writer as well; also behind savepoints.
    for found in 0..3 {
        wire.run("BEGIN");
        wire.run("SAVEPOINT s");
        for (position, key) in keys.iter().enumerate() {
            let id = if position == found { keys[1] } else { *key + 1_000_000 };
            wire.run(&format!(
                "/* shardway: key={key} */ UPDATE accounts SET balance = balance + 1 WHERE id = {key} AND id = {id}"
            ));
        }
        wire.run("COMMIT");
        assert_eq!(prepared(cluster), 0);
    }
    assert_eq!(balances(cluster, &keys), [None, Some(2), None]);
    assert_eq!(rows(), before);
    // Three that may have written, of which the last two have: the anchor is found anew.
    wire.run(&format!("INSERT INTO accounts VALUES ({}, 1)", keys[2]));
    wire.run("BEGIN");
    wire.run("SAVEPOINT s");
    for key in keys {
        wire.run(&format!("UPDATE accounts SET balance = 7 WHERE id = {key}"));
    }
    wire.run("COMMIT");
    assert_eq!(balances(cluster, &keys), [None, Some(7), Some(7)]);
    let left =
        "SELECT coalesce(string_agg(role::text, ','), '') FROM shardway.txn WHERE at > now() - interval '1 minute'
        AND gid LIKE 'swy:app:b:%' AND gid IN (SELECT gid FROM shardway.txn ORDER BY at DESC LIMIT 1)";
    assert_eq!((on(cluster.primary(1), left), on(cluster.primary(2), left)), ("c".into(), "p".into()));
}

#[test]
fn a_server_that_cannot_prepare_is_found_at_the_second_shards_first_write() {
    let cluster = cluster(&[("max_prepared_transactions", "0")]);
    let proxy = proxy(&cluster);
    let mut wire = ready(&proxy);
    let keys = keys(&cluster, 1);
    wire.run("BEGIN");
    wire.run(&format!("INSERT INTO accounts VALUES ({}, 1)", keys[0]));
    let frames = wire.query(&format!("INSERT INTO accounts VALUES ({}, 1)", keys[1]));
    assert_eq!((sqlstate(&frames).as_deref(), status(&frames)), (Some("55000"), 'E'));
    assert!(frames[0].field(b'H').is_some_and(|hint| hint.contains("max_prepared_transactions")), "{frames:?}");
    wire.run("ROLLBACK");
    // One shard can be written as before.
    wire.run("BEGIN");
    wire.run(&format!("INSERT INTO accounts VALUES ({}, 1)", keys[0]));
    wire.run("COMMIT");
    assert_eq!(balances(&cluster, &keys), [Some(1), None, None]);
}

#[test]
fn without_the_right_to_set_up_the_remedy_is_told() {
    let cluster = cluster(&[]);
    let proxy = crate::support::Proxy::start(&cluster, &config(&cluster, "auto_setup = false"));
    let mut wire = ready(&proxy);
    let keys = keys(&cluster, 1);
    wire.run("BEGIN");
    wire.run(&format!("INSERT INTO accounts VALUES ({}, 1)", keys[0]));
    let frames = wire.query(&format!("INSERT INTO accounts VALUES ({}, 1)", keys[1]));
    assert_eq!(sqlstate(&frames).as_deref(), Some("55000"));
    assert!(frames[0].field(b'H').is_some_and(|hint| hint.contains("shardway setup")), "{frames:?}");
    wire.run("ROLLBACK");
    let file = cluster.directory().join("setup.toml");
    std::fs::write(&file, config(&cluster, "").replace("{port}", "1")).unwrap();
    for _ in 0..2 {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_shardway"));
        let output = command.arg("setup").arg("--config").arg(&file).output().expect("it runs");
        crate::support::expect_success("shardway setup", &output);
    }
    wire.run("BEGIN");
    wire.run(&format!("INSERT INTO accounts VALUES ({}, 1)", keys[0]));
    wire.run(&format!("INSERT INTO accounts VALUES ({}, 1)", keys[1]));
    wire.run("COMMIT");
    assert_eq!(balances(&cluster, &keys), [Some(1), Some(1), None]);
}

#[test]
fn a_role_that_owns_nothing_commits_on_several_shards() {
    let (_turn, cluster) = (turn(), shared());
    let proxy = proxy(cluster);
    drop(ready(&proxy));
    let keys = keys(cluster, 4000);
    let mut wire = Wire::with(proxy.address(), &[("user", "clerk")]).expect("the clerk may come in");
    for (begin, amount) in [("BEGIN", 1), ("BEGIN; SET LOCAL synchronous_commit = off", 2)] {
        wire.run(begin.split(';').next().unwrap());
        begin.split(';').skip(1).for_each(|more| wire.run(more));
        for key in keys {
            wire.run(&format!(
                "INSERT INTO accounts VALUES ({key}, {amount}) ON CONFLICT (id) DO UPDATE SET balance = {amount}"
            ));
        }
        wire.run("COMMIT AND CHAIN");
        wire.run("ROLLBACK");
        assert_eq!(balances(cluster, &keys), [Some(amount); 3]);
    }
    // A role for the transaction only: what it prepared is finished all the same.
    let mut wire = ready(&proxy);
    wire.run("BEGIN");
    wire.run("SET LOCAL ROLE clerk");
    for key in keys {
        wire.run(&format!("UPDATE accounts SET balance = 3 WHERE id = {key}"));
    }
    wire.run("COMMIT");
    assert_eq!(balances(cluster, &keys), [Some(3); 3]);
    assert_eq!(prepared(cluster), 0);
    // What was set in the transaction stays or goes with it.
    for (end, expected) in [("COMMIT", "7s"), ("ROLLBACK", "7s")] {
        wire.run("BEGIN");
        wire.run(if end == "COMMIT" { "SET statement_timeout = '7s'" } else { "SET statement_timeout = '8s'" });
        for key in keys {
            wire.run(&format!("UPDATE accounts SET balance = 4 WHERE id = {key}"));
        }
        wire.run(end);
        for key in keys {
            let sql = format!("SELECT current_setting('statement_timeout') FROM accounts WHERE id = {key}");
            assert_eq!(wire.value(&sql), expected, "{end}");
        }
    }
    // The extended protocol.
    let mut all = Vec::new();
    for sql in ["BEGIN".to_owned()]
        .into_iter()
        .chain(keys.map(|key| format!("UPDATE accounts SET balance = 5 WHERE id = {key}")))
        .chain(["COMMIT".to_owned()])
    {
        all.extend([parse("", &sql, &[]), bind("", "", &[]), execute("", 0)].concat());
    }
    all.extend(sync());
    let frames = wire.ask(&all);
    assert_eq!((sqlstate(&frames), status(&frames)), (None, 'I'), "{frames:?}");
    assert_eq!(balances(cluster, &keys), [Some(5); 3]);
    assert_eq!(prepared(cluster), 0);
}
