//! What belongs to a client's session follows it over pooled connections, and reaches nobody else.

use super::client::{Wire, sqlstate, status};
use super::message::*;
use super::world::{one, proxy, ready, two};

/// The process of the server that answers: what is nothing but that call tells the client's own number.
fn pid(wire: &mut Wire) -> String {
    wire.value("SELECT pg_backend_pid() WHERE true")
}

#[test]
fn settings_follow_their_client() {
    let proxy = proxy(one(), 1, "");
    let (mut a, mut b) = (ready(&proxy), ready(&proxy));
    a.run("SET work_mem = '5MB'");
    b.run("SET TimeZone = 'Asia/Tokyo'");
    for _ in 0..3 {
        assert_eq!(a.value("SHOW work_mem"), "5MB");
        assert_eq!(b.value("SHOW work_mem"), "4MB");
        assert_eq!(b.value("SHOW TimeZone"), "Asia/Tokyo");
        assert_ne!(a.value("SHOW TimeZone"), "Asia/Tokyo");
    }
    assert_eq!(pid(&mut a), pid(&mut b), "there is one connection");

    // In the extended protocol, and with parameters.
    let set = [
        parse("", "SELECT set_config($1, $2, false)", &[]),
        bind("", "", &[Some("my.tenant"), Some("x'\\y")]),
        execute("", 0),
        sync(),
    ];
    a.ask(&set.concat());
    // A server never forgets that there was such a name, so that this isn't 42704 any more.
    assert_eq!(b.value("SHOW my.tenant"), "");
    assert_eq!(a.value("SHOW my.tenant"), "x'\\y");
    a.ask(&[once("SET work_mem = '6MB'"), sync()].concat());
    assert_eq!(b.value("SHOW work_mem"), "4MB");
    assert_eq!(a.value("SHOW work_mem"), "6MB");

    // DateStyle is two settings: one without the other is kept.
    a.run("SET DateStyle TO 'German, MDY'");
    b.run("SET DateStyle TO postgres");
    a.run("SET DateStyle TO ymd");
    assert_eq!(b.value("SHOW DateStyle"), "Postgres, MDY");
    assert_eq!(a.value("SHOW DateStyle"), "German, YMD");
    b.run("SET DateStyle TO dmy");
    a.run("RESET DateStyle");
    assert_eq!(b.value("SHOW DateStyle"), "Postgres, DMY");

    // Lists, and a rolled back one.
    a.run("SET search_path TO kinds, \"$user\", public");
    a.run("BEGIN");
    a.run("SET search_path TO nowhere");
    a.run("SAVEPOINT s; SET work_mem = '7MB'; ROLLBACK TO s");
    assert_eq!(a.value("SHOW work_mem"), "6MB");
    a.run("ROLLBACK");
    assert_eq!(b.value("SHOW search_path"), "\"$user\", public");
    assert_eq!(a.value("SHOW search_path"), "kinds, \"$user\", public");
    assert_eq!(a.value("SHOW work_mem"), "6MB");

    // What ends in a failed commit was never set.
    a.run("BEGIN");
    a.run("SET work_mem = '8MB'");
    a.run("INSERT INTO later VALUES (1), (1)");
    assert_eq!(a.fails("COMMIT"), "23505");
    b.value("SHOW work_mem");
    assert_eq!(a.value("SHOW work_mem"), "6MB");
    a.run("RESET ALL");
    b.value("SHOW work_mem");
    assert_eq!(a.value("SHOW work_mem"), "4MB");
}

#[test]
fn startup_options_are_the_sessions_defaults() {
    let proxy = proxy(one(), 1, "");
    let mut plain = ready(&proxy);
    let parameters = [
        ("options", "-c work_mem=5MB -c search_path=pg_catalog,public"),
        ("application_name", "me"),
        ("TimeZone", "Asia/Tokyo"),
    ];
    let mut with = Wire::with(proxy.address(), &parameters).unwrap();
    assert_eq!(with.parameters["TimeZone"], "Asia/Tokyo");
    assert_eq!(with.parameters["application_name"], "me");
    for _ in 0..2 {
        assert_eq!(with.value("SHOW work_mem"), "5MB");
        assert_eq!(with.value("SHOW application_name"), "me");
        assert_eq!(with.value("SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"), "me");
        assert_eq!(plain.value("SHOW work_mem"), "4MB");
        assert_eq!(plain.value("SHOW application_name"), "");
        assert_ne!(plain.value("SHOW TimeZone"), "Asia/Tokyo");
    }
    with.run("SET work_mem = '6MB'");
    with.run("SET TimeZone = 'UTC'");
    with.run("RESET work_mem");
    assert_eq!(with.value("SHOW work_mem"), "5MB");
    with.run("SET work_mem = '6MB'");
    with.run("RESET ALL");
    assert_eq!(with.value("SHOW work_mem"), "5MB");
    assert_eq!(with.value("SHOW TimeZone"), "Asia/Tokyo");
    assert_eq!(with.parameters["TimeZone"], "Asia/Tokyo", "the client is told");
    with.run("SET work_mem = '6MB'");
    with.run("DISCARD ALL");
    assert_eq!(with.value("SHOW work_mem"), "5MB");
    assert_eq!(with.value("SHOW application_name"), "me");

    let refused = Wire::with(proxy.address(), &[("options", "-c no_such=1")]).err().expect("no such setting");
    assert_eq!(refused.field(b'C').as_deref(), Some("42704"));
    let refused = Wire::with(proxy.address(), &[("options", "-c work_mem=x")]).err().expect("not a number");
    assert_eq!(refused.field(b'C').as_deref(), Some("22023"));
    assert_eq!(plain.value("SHOW work_mem"), "4MB");
}

#[test]
fn an_identity_never_leaks() {
    let proxy = proxy(one(), 2, "");
    let (mut a, mut b, mut c) = (ready(&proxy), ready(&proxy), ready(&proxy));
    let who = "SELECT current_user || ' ' || session_user";
    a.run("SET ROLE clerk");
    for _ in 0..2 {
        // Both connections are used by others in between.
        b.run("BEGIN");
        assert_eq!(b.value(who), "shardway shardway");
        assert_eq!(a.value(who), "clerk shardway");
        assert_eq!(c.value(who), "shardway shardway");
        b.run("COMMIT");
        assert_eq!(a.value(who), "clerk shardway");
    }
    a.run("DISCARD ALL");
    b.run("BEGIN");
    assert_eq!(b.value(who), "shardway shardway");
    assert_eq!(a.value(who), "shardway shardway");
    b.run("COMMIT");
    assert_eq!(a.value(who), "shardway shardway");

    a.run("SET SESSION AUTHORIZATION clerk");
    assert_eq!(b.value(who), "shardway shardway");
    b.run("BEGIN");
    assert_eq!(c.value(who), "shardway shardway");
    assert_eq!(a.value(who), "clerk clerk");
    b.run("COMMIT");
    a.run("BEGIN");
    a.run("RESET SESSION AUTHORIZATION");
    assert_eq!(a.value(who), "shardway shardway");
    a.run("ROLLBACK");
    assert_eq!(b.value(who), "shardway shardway");
    assert_eq!(a.value(who), "clerk clerk");
    a.vanish();
    for _ in 0..4 {
        assert_eq!(b.value(who), "shardway shardway");
        assert_eq!(c.value(who), "shardway shardway");
    }
}

#[test]
fn what_pins_and_what_lets_go() {
    let proxy = proxy(one(), 2, "");
    let (mut a, mut b) = (ready(&proxy), ready(&proxy));
    for (pins, check, lets_go) in [
        ("CREATE TEMP TABLE mine (a int)", "SELECT count(*) FROM mine", "DISCARD TEMP"),
        (
            "SELECT pg_advisory_lock(7)",
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
            "SELECT pg_advisory_unlock_all()",
        ),
        ("LISTEN x", "SELECT pg_listening_channels()", "UNLISTEN *"),
        ("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 100); COMMIT", "FETCH 1 FROM c", "CLOSE ALL"),
        ("PREPARE p AS SELECT 1; SELECT 1", "EXECUTE p", "DISCARD ALL"),
        ("CREATE TEMP TABLE mine (a int)", "SELECT count(*) FROM mine", "DISCARD ALL"),
    ] {
        a.run(pins);
        let mine = pid(&mut a);
        for _ in 0..3 {
            assert_ne!(pid(&mut b), mine, "{pins} pins");
            assert!(sqlstate(&a.query(check)).is_none(), "{pins}: {check}");
            assert_eq!(pid(&mut a), mine, "{pins} pins");
        }
        a.run(lets_go);
        // With the other connection taken, b can only run if this one is free.
        let mut c = ready(&proxy);
        c.run("BEGIN");
        let frames = b.query("BEGIN");
        assert!(sqlstate(&frames).is_none(), "{lets_go}: {frames:?}");
        assert_eq!(b.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0", "{pins}");
        b.run("ROLLBACK");
        c.run("ROLLBACK");
    }
    a.run("CREATE TEMP TABLE mine (a int)");
    a.run("SELECT pg_advisory_lock(8)");
    a.bye();
    std::thread::sleep(std::time::Duration::from_millis(200));
    let (mut c, mut d) = (ready(&proxy), ready(&proxy));
    c.run("BEGIN");
    d.run("BEGIN");
    for wire in [&mut c, &mut d] {
        assert_eq!(wire.fails("SELECT * FROM mine"), "42P01");
    }
}

#[test]
fn locks_of_a_client_that_vanished_in_a_transaction_are_gone() {
    let proxy = proxy(one(), 1, "");
    let (mut a, mut b) = (ready(&proxy), ready(&proxy));
    a.run("BEGIN");
    a.run("SELECT pg_advisory_lock(9)");
    a.run("CREATE TEMP TABLE vanishing (a int)");
    a.run("INSERT INTO notes VALUES (900, 'never')");
    a.vanish();
    // The connection is closed, since it has a temporary table: its server process ends a moment later.
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 9";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while b.value(locks) != "0" {
        assert!(std::time::Instant::now() < deadline, "the lock is still held");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(b.value("SELECT count(*) FROM notes WHERE id = 900"), "0");
    assert_eq!(status(&b.query("SELECT 1")), 'I');
}

#[test]
fn notifications_reach_an_idle_client() {
    let proxy = proxy(one(), 2, "");
    let (mut a, mut b) = (ready(&proxy), ready(&proxy));
    a.run("LISTEN news");
    b.run("NOTIFY news, 'hello'");
    let news = a.read().expect("a notification");
    assert_eq!(news.tag, b'A');
    assert!(news.body.ends_with(b"news\0hello\0"), "{news:?}");
    a.run("BEGIN");
    b.run("NOTIFY news, 'later'");
    a.run("SELECT 1");
    let frames = a.query("COMMIT");
    let told = frames.iter().any(|frame| frame.tag == b'A') || a.read().is_some_and(|frame| frame.tag == b'A');
    assert!(told, "{frames:?}");
    a.run("UNLISTEN *");
    b.run("NOTIFY news, 'nobody'");
    assert!(a.query("SELECT 1").iter().all(|frame| frame.tag != b'A'));
    assert!(b.query("SELECT 1").iter().all(|frame| frame.tag != b'A'));
}

#[test]
fn statements_outlive_their_connections() {
    let proxy = proxy(one(), 2, "\n");
    let (mut a, mut b, mut c) = (ready(&proxy), ready(&proxy), ready(&proxy));
    a.ask(&[parse("s", "SELECT $1::int + 1", &[]), sync()].concat());
    b.ask(&[parse("s", "SELECT $1::int + 2", &[]), sync()].concat());
    a.ask(&[parse("", "SELECT $1::text || 'a'", &[]), sync()].concat());
    b.ask(&[parse("", "SELECT $1::text || 'b'", &[]), sync()].concat());
    let use_it = |w: &mut Wire, name: &str| {
        let frames = w.ask(&[bind("", name, &[Some("5")]), execute("", 0), sync()].concat());
        let row = frames.iter().find(|frame| frame.tag == b'D').unwrap_or_else(|| panic!("{frames:?}"));
        row.values()[0].clone().unwrap()
    };
    for round in 0..4 {
        if round % 2 == 0 {
            c.run("BEGIN");
        } else {
            c.run("COMMIT");
        }
        assert_eq!(use_it(&mut a, "s"), "6");
        assert_eq!(use_it(&mut b, "s"), "7");
        assert_eq!(use_it(&mut b, ""), "5b");
        assert_eq!(use_it(&mut a, ""), "5a");
    }
    // The same text with other types isn't the same statement.
    a.ask(&[parse("", "SELECT $1", &[23]), sync()].concat());
    b.ask(&[parse("", "SELECT $1", &[25]), sync()].concat());
    b.ask(&[bind("", "", &[Some("x")]), execute("", 0), sync()].concat());
    let frames = a.ask(&[bind("", "", &[Some("x")]), execute("", 0), sync()].concat());
    assert_eq!(sqlstate(&frames).as_deref(), Some("22P02"));
    // A query of somebody else's in between, on the same connection.
    c.run("BEGIN");
    a.ask(&[parse("", "SELECT 11", &[]), sync()].concat());
    b.run("SELECT 1");
    let frames = a.ask(&[bind("", "", &[]), execute("", 0), sync()].concat());
    assert!(sqlstate(&frames).is_none(), "{frames:?}");
    c.run("COMMIT");
}

#[test]
fn more_statements_than_a_connection_keeps() {
    let proxy = proxy(one(), 1, "");
    let proxy_few = super::world::proxy_with(one(), "size = 1\nmax_prepared_statements = 3");
    drop(proxy);
    let mut a = ready(&proxy_few);
    for round in 0..3 {
        for number in 0..6 {
            let name = format!("s{number}");
            let mut messages = Vec::new();
            if round == 0 {
                messages.extend(parse(&name, &format!("SELECT {number} WHERE $1::int > 0"), &[]));
            }
            // Every other time an error comes first, so that a Close of an evicted statement is skipped.
            let fails = (number + round) % 2 == 0 && round > 0;
            if fails {
                messages.extend(once("SELECT 1/0"));
            }
            messages.extend([bind("", &name, &[Some("1")]), execute("", 0), sync()].concat());
            let frames = a.ask(&messages);
            assert_eq!(sqlstate(&frames).as_deref(), fails.then_some("22012"), "{frames:?}");
        }
    }
}

#[test]
fn a_changed_table_does_not_spoil_new_statements() {
    let proxy = proxy(one(), 1, "");
    let (mut a, mut b) = (ready(&proxy), ready(&proxy));
    a.run("DROP TABLE IF EXISTS changing");
    a.run("CREATE TABLE changing (a int)");
    let select =
        |name: &str| [parse(name, "SELECT * FROM changing", &[]), bind("", name, &[]), execute("", 0), sync()].concat();
    assert!(sqlstate(&a.ask(&select("s"))).is_none());
    b.run("ALTER TABLE changing ADD b text");
    // As on a server: the old one fails, a new one doesn't.
    let old = a.ask(&[bind("", "s", &[]), execute("", 0), sync()].concat());
    assert_eq!(sqlstate(&old).as_deref(), Some("0A000"));
    assert!(sqlstate(&a.ask(&select("t"))).is_none());
    assert!(sqlstate(&b.ask(&select("s"))).is_none());
    // Changed behind the proxy's back.
    one().primary(0).sql("ALTER TABLE changing DROP b").unwrap();
    let first = b.ask(&[bind("", "s", &[]), execute("", 0), sync()].concat());
    assert_eq!(sqlstate(&first).as_deref(), Some("0A000"));
    assert!(sqlstate(&b.ask(&select("u"))).is_none());
    // Another search_path, another table under the same text.
    a.run("CREATE SCHEMA IF NOT EXISTS other");
    a.run("CREATE TABLE IF NOT EXISTS other.changing (x text, y text, z text)");
    a.run("SET search_path TO other");
    assert!(sqlstate(&a.ask(&select("v"))).is_none());
    assert!(sqlstate(&b.ask(&[bind("", "u", &[]), execute("", 0), sync()].concat())).is_none());
    assert!(sqlstate(&a.ask(&[bind("", "v", &[]), execute("", 0), sync()].concat())).is_none());
    a.run("DROP SCHEMA other CASCADE");
}

#[test]
fn settings_hold_on_every_shard() {
    let proxy = proxy(two(), 1, "");
    let mut a = ready(&proxy);
    let mut b = ready(&proxy);
    // Keys of both shards.
    let ids: Vec<i64> = (101..140).collect();
    for &id in &ids {
        a.run(&format!("DELETE FROM items WHERE id = {id}"));
        a.run(&format!("INSERT INTO items VALUES ({id}, 'v')"));
    }
    let show = |w: &mut Wire, id: i64, name: &str| {
        w.value(&format!("SELECT current_setting('{name}', true) FROM items WHERE id = {id}"))
    };
    a.run("SET my.tenant = 'a'");
    for &id in &ids {
        assert_eq!(show(&mut a, id, "my.tenant"), "a");
        assert_eq!(show(&mut b, id, "my.tenant"), "");
    }
    // A refused statement doesn't undo what was set before it.
    assert_eq!(a.fails("SELECT pg_notify('named', v) FROM items"), "0A000");
    a.ask(&[bind("", "nobody", &[]), sync()].concat());
    assert_eq!(show(&mut a, ids[0], "my.tenant"), "a");
    // In a block that is on both shards, by either protocol.
    for set in [
        "SET my.tenant = 'b'",
        "SET LOCAL my.tenant = 'b'",
        "SELECT set_config('my.tenant', 'b', true)",
        "SELECT set_config('my.tenant', 'b', false)",
    ] {
        for extended in [false, true] {
            for before in [0, 1, 6] {
                a.run("SET my.tenant = 'a'");
                a.run("BEGIN");
                for &id in ids.iter().take(before) {
                    show(&mut a, id, "my.tenant");
                }
                let messages = if extended { [once(set), sync()].concat() } else { query(set) };
                let frames = a.ask(&messages);
                assert!(sqlstate(&frames).is_none(), "{set}: {frames:?}");
                for &id in ids.iter().take(8) {
                    assert_eq!(show(&mut a, id, "my.tenant"), "b", "{set} extended {extended} before {before} id {id}");
                }
                a.run("ROLLBACK");
                for &id in ids.iter().take(8) {
                    assert_eq!(show(&mut a, id, "my.tenant"), "a", "after {set} extended {extended} before {before}");
                    assert_eq!(show(&mut b, id, "my.tenant"), "");
                }
            }
        }
    }
    // Savepoints.
    a.run("BEGIN");
    show(&mut a, 101, "my.tenant");
    a.run("SAVEPOINT s");
    a.run("SET my.tenant = 'c'");
    for &id in ids.iter().take(4) {
        assert_eq!(show(&mut a, id, "my.tenant"), "c");
    }
    a.run("ROLLBACK TO s");
    for &id in ids.iter().take(8) {
        assert_eq!(show(&mut a, id, "my.tenant"), "a");
    }
    a.run("COMMIT");
    for &id in ids.iter().take(8) {
        assert_eq!(show(&mut a, id, "my.tenant"), "a");
    }
}

/// Where a statement will run is known when it is bound: until then its block holds no connection.
#[test]
fn a_block_that_prepares_statements_holds_only_the_shards_that_it_uses() {
    let proxy = super::world::proxy_with(two(), "size = 1\nwait_timeout = \"2s\"");
    let (mut a, mut b) = (ready(&proxy), ready(&proxy));
    let insert = "INSERT INTO items VALUES ($1, 'looked')";
    let looks = [
        [parse("p1", insert, &[20]), sync()].concat(),
        [parse("p2", insert, &[20]), describe_statement("p2"), sync()].concat(),
        [parse("p3", insert, &[20]), describe_statement("p3"), flush(), sync()].concat(),
    ];
    for (number, look) in (1..).zip(looks) {
        a.ask(&[once("BEGIN"), once("SAVEPOINT s"), sync()].concat());
        let frames = a.ask(&look);
        assert_eq!((sqlstate(&frames), status(&frames)), (None, 'T'), "{frames:?}");
        // The only connection to the home shard is free for others.
        b.run("SELECT 1 FROM kinds");
        for id in 1..=8 {
            let id = (9_000 + 100 * number + id).to_string();
            let frames = a.ask(&[bind("", &format!("p{number}"), &[Some(&id)]), execute("", 0), sync()].concat());
            assert_eq!(sqlstate(&frames), None, "{frames:?}");
        }
        a.run("ROLLBACK TO s");
        a.run("COMMIT");
    }
    assert_eq!(b.value("SELECT count(*) FROM items WHERE v = 'looked'"), "0");
    // What fails there fails the block all the same.
    a.run("BEGIN");
    let frames = a.ask(&[parse("p4", "SELECT nothing FROM items", &[]), sync()].concat());
    assert_eq!((sqlstate(&frames).as_deref(), status(&frames)), (Some("42703"), 'E'), "{frames:?}");
    a.run("ROLLBACK");
}

/// Process id, channel and payload of a NotificationResponse.
fn notification(frame: &super::client::Frame) -> (u32, String) {
    let sender = u32::from_be_bytes(frame.body[..4].try_into().unwrap());
    (sender, String::from_utf8_lossy(&frame.body[4..]).replace('\0', "/"))
}

#[test]
fn notifications_are_heard_whatever_runs_and_name_their_sender() {
    let proxy = proxy(two(), 4, "");
    let (mut a, mut b) = (ready(&proxy), ready(&proxy));
    a.run("LISTEN news");
    let statements = [
        "SELECT id FROM items",
        "SELECT id FROM items ORDER BY id LIMIT 2",
        "SELECT count(*) FROM items",
        "SELECT a.id FROM items a JOIN items b ON a.v = b.v",
        "INSERT INTO items VALUES (9001, 'a'), (9002, 'b'), (9003, 'c') ON CONFLICT DO NOTHING",
        "UPDATE items SET v = v || '!' WHERE id > 9000",
        "DELETE FROM items WHERE id > 9000",
        "SELECT 1 FROM notes",
    ];
    let mut told = 0;
    for round in 0..10 {
        for sql in statements {
            for in_block in [false, true] {
                if in_block {
                    a.run(&format!("BEGIN; {sql}"));
                }
                b.run(&format!("NOTIFY news, '{told}'"));
                let mut frames = a.query(if in_block { "COMMIT" } else { sql });
                assert!(sqlstate(&frames).is_none(), "{sql}: {frames:?}");
                if !frames.iter().any(|frame| frame.tag == b'A') {
                    frames.extend(a.until(b'A', 1));
                }
                let heard: Vec<_> = frames.iter().filter(|frame| frame.tag == b'A').map(notification).collect();
                assert_eq!(heard, [(b.process_id, format!("news/{told}/"))], "{sql}, round {round}: {frames:?}");
                told += 1;
            }
        }
    }
    let mut frames = a.query("NOTIFY news, 'own'");
    if !frames.iter().any(|frame| frame.tag == b'A') {
        frames.extend(a.until(b'A', 1));
    }
    let heard: Vec<_> = frames.iter().filter(|frame| frame.tag == b'A').map(notification).collect();
    assert_eq!(heard, [(a.process_id, "news/own/".to_owned())]);
}

#[test]
fn settings_of_the_proxys_own_end_with_what_they_were_set_in() {
    let proxy = proxy(two(), 2, "");
    let mut a = ready(&proxy);
    let on_home = |wire: &mut Wire| wire.value("SHOW shardway.shard");
    a.run("BEGIN; SET LOCAL shardway.shard = 'b'");
    assert_eq!(on_home(&mut a), "b");
    a.run("COMMIT");
    assert_eq!(on_home(&mut a), "", "SET LOCAL ends with its block");
    a.run("SET shardway.shard = 'a'");
    for (script, holds) in [
        ("BEGIN; SET shardway.shard = 'b'; ROLLBACK", "a"),
        ("BEGIN; SET shardway.shard = 'b'; COMMIT", "b"),
        ("BEGIN; SAVEPOINT s; SET shardway.shard = 'a'; ROLLBACK TO s; COMMIT", "b"),
        ("BEGIN; RESET shardway.shard; ROLLBACK", "b"),
        ("BEGIN; SET LOCAL shardway.shard = 'a'; SET shardway.consistency = 'atomic'; COMMIT", "b"),
    ] {
        for statement in script.split("; ") {
            a.run(statement);
        }
        assert_eq!(on_home(&mut a), holds, "{script}");
    }
    assert_eq!(a.value("SHOW shardway.consistency"), "atomic");
    let frames = a.query("SET LOCAL shardway.shard = 'a'");
    assert!(frames.iter().any(|frame| frame.tag == b'N') && on_home(&mut a) == "b", "{frames:?}");
    a.ask(&[once("BEGIN"), once("SET LOCAL shardway.shard = 'a'"), sync()].concat());
    assert_eq!(on_home(&mut a), "a");
    a.ask(&[once("ROLLBACK"), sync()].concat());
    assert_eq!(on_home(&mut a), "b");
    a.run("RESET ALL");
    assert_eq!((on_home(&mut a), a.value("SHOW shardway.consistency")), (String::new(), "default".to_owned()));

    // Several statements of one Query, and what a server would take without an effect.
    a.run("SET shardway.shard = 'b'; SELECT 1 FROM items; SHOW shardway.shard");
    assert_eq!(on_home(&mut a), "b");
    a.run("DISCARD ALL");
    assert_eq!(on_home(&mut a), "");
    assert_eq!(a.fails("SELECT set_config('shardway.shard', 'b', false)"), "0A000");
    let call = [parse("", "SELECT set_config($1, 'b', false)", &[]), bind("", "", &[Some("shardway.shard")]), sync()];
    assert_eq!(sqlstate(&a.ask(&call.concat())).as_deref(), Some("0A000"));

    // What the session began with.
    let begins = |options: &str| Wire::with(proxy.address(), &[("options", options)]);
    let mut b = begins("-c shardway.shard=b -c shardway.consistency=atomic").unwrap();
    b.run("SET shardway.shard = 'a'");
    b.run("RESET shardway.shard");
    assert_eq!((on_home(&mut b), b.value("SHOW shardway.consistency")), ("b".to_owned(), "atomic".to_owned()));
    for (wrong, state) in
        [("shardway.shard=z", "22023"), ("shardway.consistency=x", "22023"), ("shardway.what=1", "42704")]
    {
        let refused = begins(&format!("-c {wrong}")).err().unwrap_or_else(|| panic!("{wrong} is taken"));
        assert_eq!(sqlstate(&[refused]).as_deref(), Some(state), "{wrong}");
    }
}

#[test]
fn idle_connections_of_a_pool_keep_no_database_from_being_dropped() {
    let server = one().primary(0);
    let other = |name: &str| {
        format!("\n[database.{name}.shard.a]\nprimary = \"postgres://127.0.0.1:{}/{name}\"\n", server.port())
    };
    let proxy = proxy(one(), 2, &format!("{}{}", other("passing"), other("passed")));
    let mut wire = ready(&proxy);
    for change in ["CREATE DATABASE passing", "ALTER DATABASE passing RENAME TO passed", "DROP DATABASE passed"] {
        let name = if change.ends_with("passed") && change.starts_with("DROP") { "passed" } else { "passing" };
        if !change.starts_with("CREATE") {
            let mut there = Wire::with(proxy.address(), &[("database", name)]).expect("it is served");
            assert_eq!(there.value("SELECT current_database()"), name);
            there.bye();
        }
        wire.run(change);
    }
}
