//! What is one transaction without a BEGIN: the statements of a Query, and the messages between two Syncs.

use crate::client::{Frame, Wire, sqlstate, status, tags};
use crate::message::*;
use crate::world::{balances, keys, on, prepared, proxy, ready, shared, turn};

fn completed(frames: &[Frame]) -> Vec<String> {
    let text = |frame: &Frame| String::from_utf8_lossy(&frame.body[..frame.body.len() - 1]).into_owned();
    frames.iter().filter(|frame| frame.tag == b'C').map(text).collect()
}

#[test]
fn the_statements_of_a_query_are_one_transaction_over_shards() {
    let (_turn, cluster) = (turn(), shared());
    let proxy = proxy(cluster);
    let mut wire = ready(&proxy);
    let keys = keys(cluster, 70_000);
    let [a, b, c] = keys;
    let frames = wire.query(&format!(
        "INSERT INTO accounts VALUES ({a}, 1); INSERT INTO accounts VALUES ({b}, 1); SELECT 7; INSERT INTO accounts VALUES ({c}, 1) RETURNING balance"
    ));
    assert_eq!(tags(&frames), "CCTDCTDCZ", "{frames:?}");
    assert_eq!(completed(&frames), ["INSERT 0 1", "INSERT 0 1", "SELECT 1", "INSERT 0 1"]);
    assert_eq!(status(&frames), 'I');
    assert_eq!(balances(cluster, &keys), [Some(1); 3]);

    // One that fails undoes them all, whichever it is; what came before it has been answered, what follows isn't run.
    for failing in 0..3 {
        let statements: Vec<String> = (0..3)
            .map(|at| {
                format!("UPDATE accounts SET balance = {} WHERE id = {}", if at == failing { -1 } else { 5 }, keys[at])
            })
            .collect();
        let text = statements.join("; ");
        let frames = wire.query(&text);
        assert_eq!((completed(&frames).len(), sqlstate(&frames).as_deref()), (failing, Some("23514")), "{frames:?}");
        assert_eq!(status(&frames), 'I');
        assert_eq!(balances(cluster, &keys), [Some(1); 3]);
    }
    // Positions are those in the whole text.
    let text = format!(
        "UPDATE accounts SET balance = 5 WHERE id = {a}; /* ä */ UPDATE accounts SET balance = oops WHERE id = {b}"
    );
    let frames = wire.query(&text);
    let at = text.chars().collect::<String>().split("oops").next().unwrap().chars().count() + 1;
    let error = frames.iter().find(|frame| frame.tag == b'E').unwrap();
    assert_eq!((error.field(b'C').as_deref(), error.field(b'P')), (Some("42703"), Some(at.to_string())));

    // What fails when all are committed comes in place of the last one's tag.
    let frames = wire.query(&format!("INSERT INTO late VALUES ({a}, 1); INSERT INTO late VALUES ({b}, 1), ({b}, 1)"));
    assert_eq!((completed(&frames).len(), sqlstate(&frames).as_deref(), status(&frames)), (1, Some("23505"), 'I'));
    for shard in cluster.shards() {
        assert_eq!(on(&shard.primary, "SELECT count(*) FROM late"), "0");
    }

    // With BEGIN and COMMIT in the text; and a setting that goes with it.
    let update =
        |value: i64| keys.map(|key| format!("UPDATE accounts SET balance = {value} WHERE id = {key}")).join("; ");
    let frames = wire.query(&format!("BEGIN; {}; COMMIT", update(6)));
    assert_eq!(completed(&frames), ["BEGIN", "UPDATE 1", "UPDATE 1", "UPDATE 1", "COMMIT"], "{frames:?}");
    assert_eq!(balances(cluster, &keys), [Some(6); 3]);
    let frames = wire.query(&format!("BEGIN; {}; SELECT 1/0; COMMIT", update(7)));
    assert_eq!((sqlstate(&frames).as_deref(), status(&frames)), (Some("22012"), 'E'));
    let frames = wire.query(&format!("ROLLBACK; {}", update(8)));
    assert_eq!((completed(&frames).len(), status(&frames)), (4, 'I'), "{frames:?}");
    assert_eq!(balances(cluster, &keys), [Some(8); 3]);
    let frames = wire.query(&format!("SET statement_timeout = '9s'; {}; SELECT 1/0", update(9)));
    assert_eq!(sqlstate(&frames).as_deref(), Some("22012"));
    assert_eq!(wire.value("SHOW statement_timeout"), "0");
    assert_eq!(balances(cluster, &keys), [Some(8); 3]);
    assert_eq!(wire.fails(&format!("{}; COMMIT", update(9))), "0A000");
    assert_eq!(balances(cluster, &keys), [Some(8); 3]);
    assert_eq!(prepared(cluster), 0);
}

fn step(sql: &str) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", &[]), execute("", 0)].concat()
}

fn pipeline(wire: &mut Wire, statements: &[String]) -> Vec<Frame> {
    let mut all: Vec<u8> = statements.iter().flat_map(|sql| step(sql)).collect();
    all.extend(sync());
    wire.ask(&all)
}

#[test]
fn a_pipeline_up_to_its_sync_is_one_transaction_over_shards() {
    let (_turn, cluster) = (turn(), shared());
    let proxy = proxy(cluster);
    let mut wire = ready(&proxy);
    let keys = keys(cluster, 80_000);
    let insert = keys.map(|key| format!("INSERT INTO accounts VALUES ({key}, 1)"));
    let frames = pipeline(&mut wire, &insert);
    assert_eq!((tags(&frames).as_str(), status(&frames)), ("12C12C12CZ", 'I'), "{frames:?}");
    assert_eq!(balances(cluster, &keys), [Some(1); 3]);
    for failing in 0..3 {
        let statements: Vec<String> = (0..3)
            .map(|at| {
                format!("UPDATE accounts SET balance = {} WHERE id = {}", if at == failing { -1 } else { 5 }, keys[at])
            })
            .collect();
        let frames = pipeline(&mut wire, &statements);
        assert_eq!((completed(&frames).len(), sqlstate(&frames).as_deref()), (failing, Some("23514")), "{frames:?}");
        assert_eq!(status(&frames), 'I');
        assert_eq!(balances(cluster, &keys), [Some(1); 3]);
    }
    // A commit that fails is told at the Sync.
    let late = [
        format!("INSERT INTO late VALUES ({}, 1)", keys[0]),
        format!("INSERT INTO late VALUES ({0}, 1), ({0}, 1)", keys[1]),
    ];
    let frames = pipeline(&mut wire, &late);
    assert_eq!((tags(&frames).as_str(), sqlstate(&frames).as_deref()), ("12C12CEZ", Some("23505")), "{frames:?}");
    for shard in cluster.shards() {
        assert_eq!(on(&shard.primary, "SELECT count(*) FROM late"), "0");
    }
    // Reads among them see what was written; two Syncs are two transactions; BEGIN within stays an error or works.
    let mixed = [
        format!("UPDATE accounts SET balance = 2 WHERE id = {}", keys[0]),
        format!("UPDATE accounts SET balance = 2 WHERE id = {}", keys[1]),
        format!("SELECT balance FROM accounts WHERE id = {}", keys[0]),
    ];
    let frames = pipeline(&mut wire, &mixed);
    assert_eq!(frames.iter().find(|frame| frame.tag == b'D').unwrap().values(), [Some("2".to_owned())]);
    let two: Vec<u8> =
        [step(&format!("UPDATE accounts SET balance = 3 WHERE id = {}", keys[0])), sync(), step("SELECT 1/0"), sync()]
            .concat();
    wire.send(&two);
    let frames = wire.until(b'Z', 2);
    assert_eq!(sqlstate(&frames).as_deref(), Some("22012"));
    assert_eq!(balances(cluster, &keys), [Some(3), Some(2), Some(1)]);
    // A Query without a Sync before it would have to be in the same transaction.
    let mut all = [
        step(&insert[0].replace(", 1)", ", 9) ON CONFLICT DO NOTHING")),
        step(&format!("UPDATE accounts SET balance = 9 WHERE id = {}", keys[1])),
    ]
    .concat();
    all.extend(query("SELECT 1"));
    all.extend(sync());
    let frames = wire.ask(&all);
    assert_eq!((sqlstate(&frames).as_deref(), status(&frames)), (Some("0A000"), 'I'), "{frames:?}");
    assert_eq!(balances(cluster, &keys), [Some(3), Some(2), Some(1)]);
    assert_eq!(prepared(cluster), 0);
    wire.run("SELECT 1");
}
