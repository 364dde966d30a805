//! Every named point of a commit, once: the proxy dies there, a server dies there, or an answer is lost there.

use std::time::{Duration, Instant};

use crate::client::{Frame, Wire, sqlstate};
use crate::message::query;
use crate::support::Proxy;
use crate::world::{
    PATIENCE, balances, cluster, failing_proxy, keys, on, prepared, proxy, ready, settled, shared, turn,
};

/// What a client can know of its COMMIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    Committed,
    RolledBack,
    Nothing,
}

fn told(frames: &[Frame]) -> Told {
    match sqlstate(frames).as_deref() {
        Some("08007") => Told::Nothing,
        Some(_) => Told::RolledBack,
        None if frames.iter().any(|frame| frame.tag == b'C' && frame.body == b"COMMIT\0") => Told::Committed,
        None if frames.iter().any(|frame| frame.tag == b'C') => Told::RolledBack,
        None => Told::Nothing,
    }
}

/// Writes three shards and sends COMMIT.
fn begin_commit(wire: &mut Wire, keys: &[i64]) {
    wire.run("BEGIN");
    for key in keys {
        wire.run(&format!("INSERT INTO accounts VALUES ({key}, 1)"));
    }
    wire.send(&query("COMMIT"));
}

/// All of it or nothing, and what was told.
fn is_atomic(cluster: &shardway::devcluster::Cluster, keys: &[i64], told: Told, what: &str) -> bool {
    let found = balances(cluster, keys);
    let all = found.iter().all(Option::is_some);
    assert!(all || found.iter().all(Option::is_none), "{what}: half a transaction: {found:?}");
    assert!(told == Told::Nothing || all == (told == Told::Committed), "{what}: {told:?}, but {found:?}");
    all
}

#[test]
fn a_proxy_that_dies_at_any_point_leaves_nothing_half_done() {
    let (_turn, cluster) = (turn(), shared());
    drop(proxy(cluster));
    let points = [
        ("begun", false),
        ("noted", false),
        ("prepared_some", false),
        ("prepared", false),
        ("anchored", false),
        ("deciding", true),
        ("decided", true),
        ("finished_some", true),
        ("finished", true),
    ];
    for (number, (point, commits)) in (0_i64..).zip(points) {
        let keys = keys(cluster, 10_000 + 1000 * number);
        let dying = failing_proxy(cluster, &format!("{point}:kill"));
        let mut wire = ready(&dying);
        begin_commit(&mut wire, &keys);
        assert!(wire.read().is_none(), "{point}: an answer of the dead");
        assert!(dying.log().contains("failpoint"), "{point}: {}", dying.log());
        if matches!(point, "prepared_some" | "prepared" | "anchored" | "decided" | "finished_some") {
            assert!(prepared(cluster) > 0, "{point} left nothing");
            // Recovery may die as well, as often as it likes.
            for point in ["recovery_asked", "recovery_finished"] {
                let dying = failing_proxy(cluster, &format!("{point}:kill"));
                let begin = Instant::now();
                while dying.process().ended().is_none() && prepared(cluster) > 0 {
                    assert!(begin.elapsed() < PATIENCE, "{}", dying.log());
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        let begin = Instant::now();
        let proxy = proxy(cluster);
        settled(cluster);
        assert!(begin.elapsed() < PATIENCE, "recovery at the start took {:?}", begin.elapsed());
        assert_eq!(is_atomic(cluster, &keys, Told::Nothing, point), commits, "{point}");
        // Nothing is locked any more.
        let mut wire = ready(&proxy);
        for key in keys {
            wire.run(&format!("INSERT INTO accounts VALUES ({key}, 2) ON CONFLICT (id) DO UPDATE SET balance = 2"));
        }
    }
}

/// Rows that go from shard to shard are there once, before and after, whoever dies in between.
#[test]
fn rows_that_move_are_never_lost_or_doubled() {
    let (_turn, cluster) = (turn(), shared());
    drop(proxy(cluster));
    let points = [
        ("noted", false),
        ("prepared_some", false),
        ("prepared", false),
        ("anchored", false),
        ("deciding", true),
        ("decided", true),
        ("finished_some", true),
        ("finished", true),
    ];
    for (number, (point, commits)) in (0_i64..).zip(points) {
        let old = keys(cluster, 50_000 + 1000 * number);
        // To the next shard, and one that stays.
        let fresh = keys(cluster, 50_500 + 1000 * number);
        let new = [fresh[1], fresh[2], old[2] + 100_000];
        let dying = failing_proxy(cluster, &format!("{point}:kill"));
        let mut wire = ready(&dying);
        for (position, key) in old.iter().enumerate() {
            wire.run(&format!("INSERT INTO moves VALUES ({key}, 'm', {position})"));
        }
        let cases: Vec<String> = old.iter().zip(new).map(|(old, new)| format!("WHEN {old} THEN {new}")).collect();
        let list = old.map(|key| key.to_string()).join(", ");
        wire.send(&query(&format!(
            "UPDATE moves SET account = CASE account {} END WHERE account IN ({list})",
            cases.join(" ")
        )));
        assert!(wire.read().is_none(), "{point}: an answer of the dead");
        let proxy = proxy(cluster);
        settled(cluster);
        let mut wire = ready(&proxy);
        let of = |wire: &mut Wire, keys: [i64; 3]| {
            let list = keys.map(|key| key.to_string()).join(", ");
            wire.value(&format!(
                "SELECT count(*) || ' ' || coalesce(sum(amount), 0) FROM moves WHERE account IN ({list})"
            ))
        };
        let expected = if commits { ["0 0", "3 3"] } else { ["3 3", "0 0"] };
        assert_eq!([of(&mut wire, old), of(&mut wire, new)], expected, "{point}");
    }
}

#[test]
fn a_lost_answer_is_found_out() {
    let (_turn, cluster) = (turn(), shared());
    let cases =
        [("prepared_some", Told::RolledBack), ("deciding", Told::Committed), ("finished_some", Told::Committed)];
    for (number, (point, expected)) in (0_i64..).zip(cases) {
        let keys = keys(cluster, 30_000 + 1000 * number);
        let proxy = failing_proxy(cluster, &format!("{point}:lose"));
        let mut wire = ready(&proxy);
        begin_commit(&mut wire, &keys);
        let frames = wire.until(b'Z', 1);
        assert_eq!(told(&frames), expected, "{point}: {frames:?}");
        settled(cluster);
        is_atomic(cluster, &keys, expected, point);
        wire.run("SELECT 1");
    }
}

#[test]
fn servers_that_die_at_any_point_leave_nothing_half_done() {
    let cluster = cluster(&[]);
    let mut number = 0;
    for point in ["noted", "prepared_some", "prepared", "anchored", "decided", "finished_some"] {
        // The first is the anchor; the second prepares first.
        for victim in [0, 1] {
            number += 1;
            let keys = keys(&cluster, 10_000 + 1000 * number);
            let proxy = failing_proxy(&cluster, &format!("{point}:hold:2000"));
            let mut wire = ready(&proxy);
            begin_commit(&mut wire, &keys);
            at_failpoint(&proxy);
            cluster.primary(victim).kill9().expect("it runs");
            cluster.primary(victim).restart().expect("it starts again");
            let frames = wire.until(b'Z', 1);
            let what = format!("{point}, server {victim}");
            settled(&cluster);
            let told = told(&frames);
            let commits = is_atomic(&cluster, &keys, told, &what);
            assert_ne!(told, Told::Nothing, "{what}: {frames:?}");
            // What is prepared is durable; the anchor's transaction is not.
            let decided = matches!(point, "decided" | "finished_some")
                || (matches!(point, "prepared_some" | "prepared" | "anchored") && victim == 1);
            assert_eq!(commits, decided, "{what}: {frames:?}");
        }
    }
}

/// While the anchor is down nobody guesses; a client that had sent its COMMIT learns that it isn't known.
#[test]
fn what_hangs_on_a_dead_anchor_stays_in_doubt() {
    let cluster = cluster(&[]);
    let keys = keys(&cluster, 1000);
    let dying = failing_proxy(&cluster, "decided:kill");
    let mut wire = ready(&dying);
    begin_commit(&mut wire, &keys);
    let frame = wire.read();
    assert!(frame.is_none(), "{frame:?}");
    cluster.primary(0).kill9().expect("it runs");
    let waiting = |server: usize| on(cluster.primary(server), "SELECT count(*) FROM pg_prepared_xacts");
    let proxy = Proxy::start(&cluster, dying.config());
    let begin = Instant::now();
    while !proxy.log().contains("anchor unreachable") {
        assert!(begin.elapsed() < PATIENCE, "{}", proxy.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!((waiting(1), waiting(2)), ("1".into(), "1".into()));
    cluster.primary(0).restart().expect("it starts again");
    settled(&cluster);
    assert!(is_atomic(&cluster, &keys, Told::Committed, "anchor down"));
}

/// A client that leaves, or wants to cancel, when its COMMIT is on its way: it is carried to its end.
#[test]
fn a_client_that_leaves_or_cancels_does_not_stop_its_commit() {
    let (_turn, cluster) = (turn(), shared());
    for (number, cancels) in [false, true].into_iter().enumerate() {
        let keys = keys(cluster, 40_000 + 1000 * number as i64);
        let proxy = failing_proxy(cluster, "prepared:hold:2000");
        let mut wire = ready(&proxy);
        begin_commit(&mut wire, &keys);
        at_failpoint(&proxy);
        if cancels {
            Wire::raw(proxy.address()).send(&crate::message::cancel(wire.process_id, &wire.secret));
            assert_eq!(told(&wire.until(b'Z', 1)), Told::Committed);
        } else {
            wire.vanish();
            let begin = Instant::now();
            while balances(cluster, &keys).iter().any(Option::is_none) {
                assert!(begin.elapsed() < PATIENCE, "the commit was not carried out");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        assert!(is_atomic(cluster, &keys, Told::Committed, "left"));
        assert_eq!(prepared(cluster), 0);
    }
}

/// Whoever takes a transaction for abandoned decides it: the anchor, however late it comes, can't commit it any more.
#[test]
fn what_was_taken_for_abandoned_can_not_be_committed() {
    let (_turn, cluster) = (turn(), shared());
    let keys = keys(cluster, 60_000);
    let held = cluster.directory().join("held");
    std::fs::write(&held, "").expect("the directory is the test's own");
    let slow = failing_proxy(cluster, &format!("prepared:while:{}", held.display()));
    let mut wire = ready(&slow);
    begin_commit(&mut wire, &keys);
    at_failpoint(&slow);
    // As recovery does once it has waited for long.
    for shard in [1, 2] {
        let server = cluster.primary(shard);
        let gid = on(server, "SELECT gid FROM pg_prepared_xacts");
        let (transaction, _) = gid.rsplit_once(':').expect("it names its shard");
        on(
            cluster.primary(0),
            &format!(
                "INSERT INTO shardway.txn (gid, role, participants) VALUES ('{transaction}', 'a', ARRAY['0']) ON CONFLICT DO NOTHING"
            ),
        );
        on(server, &format!("ROLLBACK PREPARED '{gid}'"));
    }
    std::fs::remove_file(&held).expect("it is there");
    let frames = wire.until(b'Z', 1);
    assert_eq!(sqlstate(&frames).as_deref(), Some("40001"), "{frames:?}");
    is_atomic(cluster, &keys, Told::RolledBack, "abandoned");
    wire.run("SELECT 1");
}

/// A proxy that is only slow is left alone by recovery, its own and others'.
#[test]
fn what_its_proxy_still_works_at_is_left_to_it() {
    let (_turn, cluster) = (turn(), shared());
    let keys = keys(cluster, 61_000);
    let slow = failing_proxy(cluster, "prepared:hold:3000");
    let other = proxy(cluster);
    let mut wire = ready(&slow);
    begin_commit(&mut wire, &keys);
    assert_eq!(told(&wire.until(b'Z', 1)), Told::Committed, "{}", other.log());
    assert!(is_atomic(cluster, &keys, Told::Committed, "slow"));
    assert_eq!(prepared(cluster), 0);
}

fn at_failpoint(proxy: &Proxy) {
    let begin = Instant::now();
    while !proxy.log().contains("failpoint") {
        assert!(begin.elapsed() < PATIENCE, "{}", proxy.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}
