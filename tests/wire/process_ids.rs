//! Process ids: a client is the process that it was told at its login, to itself and to others through the same proxy.

use std::net::SocketAddr;
use std::time::Instant;

use super::client::{Frame, PATIENCE, Wire, sqlstate, tags};
use super::message::*;
use super::world::{direct, one, proxy, ready, turn, two};

const TERMINATED: &str = "57P01";

#[test]
fn on_postgresql_itself() {
    let _turn = turn();
    ids_mean_clients(direct());
}

#[test]
fn on_one_shard() {
    let proxy = proxy(one(), 4, "");
    drop(ready(&proxy));
    ids_mean_clients(proxy.address());
}

#[test]
fn on_two_shards() {
    let proxy = proxy(two(), 4, "");
    drop(ready(&proxy));
    ids_mean_clients(proxy.address());
}

#[test]
fn only_who_may_ends_another_s_session() {
    let user = "\n[[user]]\nname = \"porter\"\n";
    let proxy = proxy(one(), 4, user);
    one().primary(0).sql("CREATE ROLE porter LOGIN").expect("a role");
    let mut porter = Wire::with(proxy.address(), &[("user", "porter")]).expect("it may");
    let mut other = Wire::with(proxy.address(), &[("user", "porter")]).expect("it may");
    let mut master = ready(&proxy);
    for function in ["pg_terminate_backend", "pg_cancel_backend"] {
        assert_eq!(porter.fails(&format!("SELECT {function}({})", master.process_id)), "42501");
    }
    assert_eq!(master.value("SELECT 1"), "1");
    assert_eq!(porter.value(&format!("SELECT pg_terminate_backend({})", other.process_id)), "t");
    is_terminated(&mut other);
    assert_eq!(master.value(&format!("SELECT pg_terminate_backend({})", porter.process_id)), "t");
    is_terminated(&mut porter);
}

fn is_terminated(wire: &mut Wire) {
    let frames = wire.ends();
    let first = frames.iter().find(|frame| frame.tag == b'E').unwrap_or_else(|| panic!("nothing was said: {frames:?}"));
    assert!(frames.iter().all(|frame| frame.tag != b'Z'), "what ran is answered as if it went on: {frames:?}");
    assert_eq!((first.field(b'S').as_deref(), first.field(b'C').as_deref()), (Some("FATAL"), Some(TERMINATED)));
}

fn value(frames: &[Frame]) -> Option<String> {
    frames.iter().find(|frame| frame.tag == b'D')?.values().into_iter().next().flatten()
}

/// By a named statement, its answer described twice.
fn prepared(wire: &mut Wire, sql: &str, values: &[Option<&str>]) -> Vec<Frame> {
    let types = vec![0; values.len()];
    wire.ask(&[parse("s", sql, &types), describe_statement("s"), sync()].concat());
    let frames = wire.ask(&[bind("", "s", values), describe_portal(""), execute("", 0), sync()].concat());
    wire.ask(&[close_statement("s"), sync()].concat());
    frames
}

fn column(frames: &[Frame]) -> String {
    let described = frames.iter().find(|frame| frame.tag == b'T').expect("it is described");
    String::from_utf8_lossy(described.body[2..].split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

fn ids_mean_clients(address: SocketAddr) {
    let mut caller = Wire::connect(address);
    let own = caller.process_id.to_string();
    for sql in ["SELECT pg_backend_pid()", "select pg_catalog.pg_backend_pid() ;"] {
        let frames = caller.query(sql);
        assert_eq!((column(&frames), value(&frames)), ("pg_backend_pid".to_owned(), Some(own.clone())), "{sql}");
    }
    let frames = caller.query("SELECT pg_backend_pid() AS \"Mine\"");
    assert_eq!((column(&frames), value(&frames)), ("Mine".to_owned(), Some(own.clone())));
    let frames = prepared(&mut caller, "SELECT pg_backend_pid()", &[]);
    assert_eq!(
        (tags(&frames).as_str(), value(&frames), column(&frames).as_str()),
        ("2TDCZ", Some(own.clone()), "pg_backend_pid")
    );
    caller.run("BEGIN");
    assert_eq!(caller.value("SELECT pg_backend_pid()"), own);
    assert_eq!(caller.fails("SELECT 1 / 0"), "22012");
    assert_eq!(caller.fails("SELECT pg_backend_pid()"), "25P02");
    caller.run("ROLLBACK");
    // Where it says something about the server, it is the server's.
    assert_eq!(caller.value("SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid()"), "1");

    ends_others(address, &mut caller);
    cancels_others(address, &mut caller);

    // Nobody's, and what isn't one.
    let frames = caller.query("SELECT pg_terminate_backend(2147483647)");
    assert_eq!((tags(&frames).as_str(), value(&frames).as_deref()), ("TNDCZ", Some("f")));
    assert_eq!(value(&prepared(&mut caller, "SELECT pg_terminate_backend($1)", &[None])), None);

    // One's own.
    assert_eq!(caller.fails("SELECT pg_cancel_backend(pg_backend_pid())"), "57014");
    assert_eq!(caller.fails(&format!("SELECT pg_cancel_backend({own})")), "57014");
    let frames = prepared(&mut caller, "SELECT pg_cancel_backend($1)", &[Some(&own)]);
    assert_eq!(sqlstate(&frames).as_deref(), Some("57014"));
    caller.send(&query("SELECT pg_terminate_backend(pg_backend_pid())"));
    is_terminated(&mut caller);
    let mut caller = Wire::connect(address);
    let sql = format!("SELECT pg_terminate_backend({})", caller.process_id);
    caller.send(&[parse("", &sql, &[]), bind("", "", &[]), execute("", 0), sync()].concat());
    is_terminated(&mut caller);
}

fn ends_others(address: SocketAddr, caller: &mut Wire) {
    // At rest, in a block, in a failed one.
    for before in ["SELECT 1", "BEGIN; SELECT 1", "BEGIN; SELECT 1 / 0"] {
        for ask in ["simple", "literal", "parameter"] {
            let mut victim = Wire::connect(address);
            victim.query(before);
            let number = victim.process_id.to_string();
            let sql = format!("SELECT pg_terminate_backend({number})");
            let frames = match ask {
                "simple" => caller.query(&sql),
                "literal" => prepared(caller, &sql, &[]),
                _ => prepared(caller, "SELECT pg_terminate_backend($1)", &[Some(&number)]),
            };
            assert_eq!(value(&frames).as_deref(), Some("t"), "{before}, {ask}: {frames:?}");
            assert_eq!(column(&frames), "pg_terminate_backend");
            is_terminated(&mut victim);
        }
    }
    // At work.
    let mut victim = Wire::connect(address);
    victim.send(&query("SELECT pg_sleep(600)"));
    assert_eq!(caller.value(&format!("SELECT pg_terminate_backend('{}') AS gone", victim.process_id)), "t");
    is_terminated(&mut victim);
    // In a failed block it isn't done.
    let mut spared = Wire::connect(address);
    caller.query("BEGIN; SELECT 1 / 0");
    assert_eq!(caller.fails(&format!("SELECT pg_terminate_backend({})", spared.process_id)), "25P02");
    caller.run("ROLLBACK");
    let sql = format!("SELECT pg_terminate_backend({})", spared.process_id);
    let failed = [parse("", "SELECT 1 / 0", &[]), bind("", "", &[]), execute("", 0)].concat();
    let behind = [parse("t", &sql, &[]), bind("", "t", &[]), execute("", 0), sync()].concat();
    assert_eq!(sqlstate(&caller.ask(&[failed, behind].concat())).as_deref(), Some("22012"));
    assert_eq!(spared.value("SELECT 1"), "1");
    spared.bye();
}

fn cancels_others(address: SocketAddr, caller: &mut Wire) {
    let mut victim = Wire::connect(address);
    let number = victim.process_id.to_string();
    // Nothing runs: nothing happens.
    assert_eq!(caller.value(&format!("SELECT pg_cancel_backend({number})")), "t");
    assert_eq!(victim.value("SELECT 1"), "1");
    let at_work = std::thread::spawn(move || sqlstate(&victim.query("SELECT pg_sleep(600)")));
    let begun = Instant::now();
    while !at_work.is_finished() {
        assert!(begun.elapsed() < PATIENCE, "it isn't cancelled");
        assert_eq!(value(&prepared(caller, "SELECT pg_cancel_backend($1)", &[Some(&number)])).as_deref(), Some("t"));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(at_work.join().expect("it didn't panic").as_deref(), Some("57014"));
}
