//! What an administrator may do: PAUSE and RESUME, KILL, RECONNECT and DISCONNECT, SET, RELOAD, SHUTDOWN.

use std::time::Duration;

use super::support::Proxy;
use super::wire::{Client, Messages};
use super::{becomes, cluster, columns, config, connect, row_where, table};

fn start() -> Proxy {
    Proxy::start(cluster(), &config("", ""))
}

#[track_caller]
fn done(client: &mut Client, sql: &str) {
    let turn = client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(turn.error(), None, "{sql}");
    assert!(columns(&turn).is_empty());
}

#[track_caller]
fn refused(client: &mut Client, sql: &str, wanted: &str) {
    let turn = client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let error = turn.error().unwrap_or_else(|| panic!("{sql} was done"));
    assert!(error.message.contains(wanted), "{sql}: {error:?}");
}

#[test]
fn pause_waits_for_transactions_and_new_ones_wait_for_resume() {
    let proxy = start();
    let (mut first, mut second) = (connect(&proxy, "app", "shop"), connect(&proxy, "app", "shop"));
    let (mut ops, mut other) = (connect(&proxy, "ops", "shardway"), connect(&proxy, "ops", "shardway"));
    first.rows("BEGIN");
    first.rows("SELECT 1 FROM users WHERE id = 1");
    ops.send(Messages::default().query("PAUSE shop")).expect("sent");
    becomes("it is paused", || row_where(&mut other, "SHOW DATABASES", "name", "shop")["paused"] == "1");
    // A transaction that has begun goes on, to further shards as well.
    second.send(Messages::default().query("SELECT count(*) FROM settings_of_nobody")).expect("sent");
    first.rows("SELECT 1 FROM users WHERE id IN (1, 2, 3, 4)");
    becomes("the other waits", || table(&mut other, "SHOW QUERIES").iter().any(|row| row["phase"] == "waiting"));
    first.rows("COMMIT");
    let paused = ops.answer().expect("answered");
    assert_eq!(paused.error(), None);
    // Nobody is on the servers any more.
    assert_eq!(table(&mut ops, "SHOW SERVERS").len(), 0);
    let waiting = row_where(&mut ops, "SHOW POOLS", "user", "app");
    assert_eq!(waiting["cl_waiting"], "1");
    done(&mut ops, "RESUME shop");
    let turn = second.answer().expect("answered");
    assert_eq!(turn.error().map(|error| error.code.as_str()), Some("42P01"));
    refused(&mut ops, "RESUME", "nothing is paused");
    refused(&mut ops, "PAUSE nowhere", "no such database: nowhere");
    done(&mut ops, "PAUSE");
    refused(&mut ops, "PAUSE", "paused already");
    done(&mut ops, "RESUME");
    first.rows("SELECT 1 FROM users WHERE id = 1");
}

#[test]
fn a_pause_that_nobody_waits_for_is_taken_back() {
    let proxy = start();
    let mut app = connect(&proxy, "app", "shop");
    let mut ops = connect(&proxy, "ops", "shardway");
    app.rows("BEGIN");
    app.rows("SELECT 1 FROM users WHERE id = 1");
    let mut leaves = connect(&proxy, "ops", "shardway");
    leaves.send(Messages::default().query("PAUSE")).expect("sent");
    let is_paused =
        |ops: &mut Client, wanted: &str| row_where(ops, "SHOW DATABASES", "name", "shop")["paused"] == wanted;
    becomes("it is paused", || is_paused(&mut ops, "1"));
    drop(leaves);
    becomes("it is resumed", || is_paused(&mut ops, "0"));
    app.rows("COMMIT");
}

#[test]
fn a_paused_client_can_be_cancelled_and_killed() {
    let proxy = start();
    let mut ops = connect(&proxy, "ops", "shardway");
    let mut app = connect(&proxy, "app", "shop");
    app.rows("SELECT 1");
    let id = row_where(&mut ops, "SHOW CLIENTS", "user", "app")["remote_pid"].clone();
    done(&mut ops, "PAUSE");
    app.send(Messages::default().query("SELECT 1")).expect("sent");
    becomes("it waits", || table(&mut ops, "SHOW QUERIES").iter().any(|row| row["phase"] == "waiting"));
    done(&mut ops, &format!("KILL {id}"));
    let turn = app.answer().expect("answered");
    assert_eq!(turn.error().map(|error| error.code.as_str()), Some("57014"));
    let turn = app.answer().expect("answered");
    assert_eq!(turn.error().map(|error| error.code.as_str()), Some("57P01"));
    done(&mut ops, "RESUME");
}

#[test]
fn kill_ends_a_client_at_work_at_rest_and_in_a_transaction() {
    let proxy = start();
    let mut ops = connect(&proxy, "ops", "shardway");
    let id_of = |ops: &mut Client| row_where(ops, "SHOW CLIENTS", "user", "app")["remote_pid"].clone();
    let ended = |client: &mut Client| client.answer().expect("answered").error().map(|error| error.code.clone());
    let gone = |ops: &mut Client| becomes("it is gone", || table(ops, "SHOW CLIENTS").len() == 1);
    let mut works = connect(&proxy, "app", "shop");
    works.send(Messages::default().query("SELECT pg_sleep(30)")).expect("sent");
    becomes("it runs", || {
        table(&mut ops, "SHOW QUERIES").iter().any(|row| row["phase"] == "running" && row["shards"] == "a")
    });
    let id = id_of(&mut ops);
    done(&mut ops, &format!("KILL {id}"));
    assert_eq!(ended(&mut works).as_deref(), Some("57P01"));
    gone(&mut ops);
    for sql in ["SELECT 1", "BEGIN; SELECT 1", "LISTEN news"] {
        let mut rests = connect(&proxy, "app", "shop");
        rests.rows(sql);
        let id = id_of(&mut ops);
        done(&mut ops, &format!("KILL {id}"));
        assert_eq!(ended(&mut rests).as_deref(), Some("57P01"), "{sql}");
        gone(&mut ops);
    }
    let mut all: Vec<Client> = (0..3).map(|_| connect(&proxy, "app", "shop")).collect();
    done(&mut ops, "KILL shop");
    assert!(all.iter_mut().all(|client| ended(client).as_deref() == Some("57P01")));
    refused(&mut ops, "KILL 1", "no such client");
    becomes("no connection is held", || table(&mut ops, "SHOW SERVERS").iter().all(|server| server["state"] == "idle"));
}

#[test]
fn connections_are_closed_when_they_come_back() {
    let proxy = start();
    let mut ops = connect(&proxy, "ops", "shardway");
    let mut app = connect(&proxy, "app", "shop");
    let pid = |app: &mut Client| app.rows("SELECT pg_backend_pid() WHERE true")[0][0].clone();
    let first = pid(&mut app);
    assert_eq!(pid(&mut app), first);
    done(&mut ops, "RECONNECT shop");
    let second = pid(&mut app);
    assert_ne!(second, first);
    app.rows("BEGIN");
    assert_eq!(pid(&mut app), second);
    done(&mut ops, "DISCONNECT a");
    assert_eq!(row_where(&mut ops, "SHOW SERVERS", "state", "active")["close_needed"], "1");
    assert_eq!(pid(&mut app), second);
    app.rows("COMMIT");
    let third = pid(&mut app);
    assert_ne!(third, second);
    done(&mut ops, &format!("DISCONNECT 127.0.0.1:{}", cluster().primary(1).port()));
    assert_eq!(pid(&mut app), third, "the other shard's connections are not meant");
    refused(&mut ops, "DISCONNECT nothing", "no such shard or node");
}

#[test]
fn settings_change_until_the_next_reload() {
    let proxy = start();
    let mut ops = connect(&proxy, "ops", "shardway");
    done(&mut ops, "SET pool_size = 1");
    done(&mut ops, "SET slow_statement TO '10ms'");
    // Before the limit: whoever asked if the proxy had started may still count as a client.
    let mut app = connect(&proxy, "app", "shop");
    done(&mut ops, "SET max_clients = 2");
    app.rows("SELECT pg_sleep(0.05)");
    assert!(proxy.log().contains("slow statement"));
    let turned_away = Client::connect(proxy.address(), "app", "shop");
    assert!(turned_away.is_err_and(|error| error.contains("too many clients")));
    let value = |ops: &mut Client, key: &str| row_where(ops, "SHOW CONFIG", "key", key)["value"].clone();
    assert_eq!([value(&mut ops, "max_clients"), value(&mut ops, "slow_statement")], ["2", "10ms"]);
    assert_eq!(row_where(&mut ops, "SHOW DATABASES", "name", "shop")["pool_size"], "1");
    for (sql, wanted) in [
        ("SET max_clients = 0", "whole number"),
        ("SET drain_timeout = soon", "a unit"),
        ("SET listen = '127.0.0.1:1'", "can't be set here"),
    ] {
        refused(&mut ops, sql, wanted);
    }
    done(&mut ops, "RELOAD");
    assert_eq!([value(&mut ops, "max_clients"), value(&mut ops, "slow_statement")], ["1000", "1s"]);
    assert_eq!(row_where(&mut ops, "SHOW DATABASES", "name", "shop")["pool_size"], "4");
    connect(&proxy, "app", "shop").rows("SELECT 1");
    proxy.rewrite_config("[server]\nlisten = 5\n");
    let turn = ops.query("RELOAD").expect("answered");
    assert!(turn.error().is_some_and(|error| error.message.contains("listen")), "{:?}", turn.error());
    app.rows("SELECT 1");
}

#[test]
fn shutdown_drains() {
    let proxy = start();
    let mut app = connect(&proxy, "app", "shop");
    let mut ops = connect(&proxy, "ops", "shardway");
    app.rows("BEGIN; SELECT 1");
    done(&mut ops, "SHUTDOWN");
    let turn = ops.answer().expect("answered");
    assert_eq!(turn.error().map(|error| error.code.as_str()), Some("57P01"));
    app.rows("SELECT 1");
    app.rows("COMMIT");
    let turn = app.answer().expect("answered");
    assert_eq!(turn.error().map(|error| error.code.as_str()), Some("57P01"));
    let began = std::time::Instant::now();
    while proxy.process().ended().is_none() {
        assert!(began.elapsed() < Duration::from_secs(25), "it still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}
