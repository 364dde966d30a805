//! Deadlocks that no single server sees.

use std::time::{Duration, Instant};

use crate::client::{Wire, sqlstate, status};
use crate::message::query;
use crate::world::{PATIENCE, balances, keys, prepared, proxy, ready, shared, turn};

fn set(key: i64, balance: i64) -> String {
    format!("UPDATE accounts SET balance = {balance} WHERE id = {key}")
}

/// Each holds one of the keys and wants the next one's; the answers to that, and how long they took.
fn go_round(clients: &mut [Wire], keys: &[i64]) -> Vec<Option<String>> {
    for (position, wire) in clients.iter_mut().enumerate() {
        wire.run("BEGIN");
        wire.run(&set(keys[position], 10 + position as i64));
        // The younger ones are younger.
        std::thread::sleep(Duration::from_millis(250));
    }
    for (position, wire) in clients.iter_mut().enumerate() {
        wire.send(&query(&set(keys[(position + 1) % keys.len()], 10 + position as i64)));
        std::thread::sleep(Duration::from_millis(250));
    }
    let begin = Instant::now();
    let count = clients.len();
    let mut answers = vec![None; count];
    // Whoever waits for the victim has its answer next: backwards round the ring.
    for position in (0..count).rev() {
        let frames = clients[position].until(b'Z', 1);
        answers[position] = sqlstate(&frames);
        let ends = if answers[position].is_some() { "ROLLBACK" } else { "COMMIT" };
        assert_eq!(status(&frames), if answers[position].is_some() { 'E' } else { 'T' }, "{frames:?}");
        clients[position].run(ends);
    }
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    answers
}

#[test]
fn a_deadlock_over_shards_ends_with_one_victim() {
    let (_turn, cluster) = (turn(), shared());
    let proxies = [proxy(cluster), proxy(cluster)];
    let keys = keys(cluster, 50_000);
    let mut wire = ready(&proxies[0]);
    for key in keys {
        wire.run(&format!("INSERT INTO accounts VALUES ({key}, 1)"));
    }
    // Two clients of one proxy, over two shards; three clients of two proxies, over three.
    let mut pair = [ready(&proxies[0]), ready(&proxies[0])];
    assert_eq!(go_round(&mut pair, &keys[..2]), [None, Some("40P01".to_owned())]);
    assert_eq!(balances(cluster, &keys), [Some(10), Some(10), Some(1)]);
    let mut three = [ready(&proxies[0]), ready(&proxies[1]), ready(&proxies[0])];
    assert_eq!(go_round(&mut three, &keys), [None, None, Some("40P01".to_owned())]);
    assert_eq!(prepared(cluster), 0);
}

/// Waiting for long is no deadlock.
#[test]
fn a_queue_over_shards_is_left_alone() {
    let (_turn, cluster) = (turn(), shared());
    let proxy = proxy(cluster);
    let keys = keys(cluster, 60_000);
    let [mut first, mut second] = [ready(&proxy), ready(&proxy)];
    for key in keys {
        first.run(&format!("INSERT INTO accounts VALUES ({key}, 1)"));
    }
    first.run("BEGIN");
    first.run(&set(keys[0], 2));
    first.run(&set(keys[1], 2));
    second.run("BEGIN");
    second.run(&set(keys[2], 3));
    second.send(&query(&set(keys[1], 3)));
    std::thread::sleep(Duration::from_millis(3500));
    first.run(&set(keys[0], 4));
    first.run("COMMIT");
    assert_eq!(sqlstate(&second.until(b'Z', 1)), None);
    second.run("COMMIT");
    assert_eq!(balances(cluster, &keys), [Some(4), Some(3), Some(3)]);
}
