//! Statements whose shape is known, one after the other: their short answers go straight from the server's buffer to
//! the client. Whatever comes instead of such an answer must be what PostgreSQL says as well, and so must be what
//! comes after it.

use std::io::Write;
use std::time::{Duration, Instant};

use super::client::{Frame, Wire, sqlstate, status, tags};
use super::message::*;
use super::world::{Comparison, one, proxy, ready, turn, two};

#[test]
fn on_one_shard() {
    let proxy = proxy(one(), 1, "");
    let mut all = Comparison::with(&proxy);
    answers(&mut all);
    errors(&mut all);
    pipelines(&mut all);
    all.end();
}

#[test]
fn on_two_shards() {
    let proxy = proxy(two(), 1, "");
    let mut all = Comparison::with(&proxy);
    answers(&mut all);
    errors(&mut all);
    pipelines(&mut all);
    all.end();
}

/// By which a statement is sent: a Query with the value in it, or a named statement, described or not.
const WAYS: [char; 3] = ['Q', 'D', 'E'];

/// The statement with `$1`, once for each value.
fn one_by_one(wire: &mut Wire, way: char, sql: &str, values: &[i32]) -> Vec<Frame> {
    let mut frames = Vec::new();
    if way != 'Q' {
        frames.extend(wire.ask(&[parse("s", sql, &[23]), sync()].concat()));
    }
    for request in requests(way, sql, values) {
        frames.extend(wire.ask(&request));
    }
    frames.extend(wire.ask(&[close_statement("s"), sync()].concat()));
    frames
}

fn requests(way: char, sql: &str, values: &[i32]) -> Vec<Vec<u8>> {
    let request = |value: &i32| {
        let value = value.to_string();
        match way {
            'Q' => query(&sql.replace("$1", &value)),
            'D' => [bind("", "s", &[Some(&value)]), describe_portal(""), execute("", 0), sync()].concat(),
            _ => [bind("", "s", &[Some(&value)]), execute("", 0), sync()].concat(),
        }
    };
    values.iter().map(request).collect()
}

fn fill(wire: &mut Wire) {
    for id in 0..=5 {
        wire.run(&format!("INSERT INTO notes VALUES ({id}, 'note {id}')"));
        wire.run(&format!("INSERT INTO items VALUES ({id}, 'item {id}')"));
    }
}

fn answers(all: &mut Comparison) {
    for way in WAYS {
        let talk = |sql: &'static str, values: &'static [i32]| {
            move |wire: &mut Wire| {
                fill(wire);
                one_by_one(wire, way, sql, values)
            }
        };
        all.same("one row or none", talk("SELECT v FROM notes WHERE id = $1", &[1, 2, 77, 3, 78, 1]));
        all.same("by key", talk("SELECT v, id FROM items WHERE id = $1", &[1, 2, 77, 3, 78, 4, 5]));
        all.same("several rows", talk("SELECT * FROM notes WHERE id >= $1 ORDER BY id", &[3, 0, 9, 5, 2]));
        all.same("no columns", talk("SELECT FROM notes WHERE id < $1", &[3, 0, 5]));
        all.same("NULLs", talk("SELECT NULL, nullif(id, $1), '' FROM notes WHERE id < 3 ORDER BY id", &[0, 1, 2, 3]));
        // Below and above what one read brings, and what is copied.
        let long = "SELECT v, repeat('x', $1) FROM notes WHERE id = 1";
        all.same("long rows", talk(long, &[1, 8_100, 8_192, 20_000, 1, 70_000, 400_000, 16_380, 2]));
        all.same("many rows", talk("SELECT g, 'x' FROM generate_series(1, $1) g", &[1, 600, 1, 0, 9_000, 3]));
        // A row that looks like the end of an answer.
        let ready = "SELECT v || E'\\x5a', chr(90) || repeat(chr(5), $1) || 'I' FROM notes WHERE id = 1";
        all.same("a row with a Z", talk(ready, &[1, 2, 5]));
    }
    all.same("settings between", |wire| {
        fill(wire);
        let sql = "SELECT v FROM notes WHERE id = $1 AND id < 9.5";
        let mut frames = one_by_one(wire, 'Q', sql, &[1, 2]);
        for set in ["SET extra_float_digits = 0", "SET application_name = 'x'", "RESET ALL"] {
            frames.extend(wire.query(set));
            frames.extend(one_by_one(wire, 'Q', sql, &[1, 2]));
            frames.extend(one_by_one(wire, 'E', sql, &[1, 2]));
        }
        frames
    });
    all.same("in a block", |wire| {
        fill(wire);
        let sql = "SELECT v FROM notes WHERE id = $1";
        let mut frames = one_by_one(wire, 'Q', sql, &[1, 2]);
        for block in ["BEGIN", "UPDATE notes SET v = 'new' WHERE id = 1", "SAVEPOINT s", "ROLLBACK"] {
            frames.extend(wire.query(block));
            frames.extend(one_by_one(wire, 'Q', sql, &[1, 2]));
            frames.extend(one_by_one(wire, 'D', sql, &[1, 2]));
        }
        frames
    });
}

fn errors(all: &mut Comparison) {
    for way in WAYS {
        all.same("an error now and then", |wire| {
            fill(wire);
            one_by_one(wire, way, "SELECT 10 / id FROM notes WHERE id = $1", &[1, 2, 0, 1, 0, 0, 5, 2])
        });
        all.same("an error behind rows", |wire| {
            fill(wire);
            one_by_one(wire, way, "SELECT 10 / (4 - id) FROM notes WHERE id <= $1 ORDER BY id", &[1, 2, 5, 1, 4, 3])
        });
        all.same("a table that goes away", |wire| {
            fill(wire);
            let sql = "SELECT v FROM notes WHERE id = $1";
            let mut frames = wire.ask(&[parse("s", sql, &[23]), sync()].concat());
            for set in ["RESET search_path", "SET search_path = nowhere", "RESET search_path"] {
                frames.extend(wire.query(set));
                for request in requests(way, sql, &[1, 2]) {
                    frames.extend(wire.ask(&request));
                }
            }
            frames
        });
    }
    all.same("values that a server refuses", |wire| {
        fill(wire);
        let mut frames = wire.ask(&[parse("s", "SELECT v FROM notes WHERE id = $1", &[23]), sync()].concat());
        for value in [Some("1"), Some("one"), None, Some("2"), Some("99999999999"), Some("3")] {
            frames.extend(wire.ask(&[bind("", "s", &[value]), execute("", 0), sync()].concat()));
        }
        // Too many values, none, and a portal that isn't there any more.
        frames.extend(wire.ask(&[bind("", "s", &[Some("1"), Some("2")]), execute("", 0), sync()].concat()));
        frames.extend(wire.ask(&[bind("", "s", &[]), execute("", 0), sync()].concat()));
        frames.extend(wire.ask(&[bind("", "s", &[Some("1")]), execute("", 0), sync()].concat()));
        frames.extend(wire.ask(&[execute("", 0), sync()].concat()));
        frames
    });
}

fn pipelines(all: &mut Comparison) {
    for way in WAYS {
        let pipeline = |sql: &'static str, values: &'static [i32], cut: usize| {
            move |wire: &mut Wire| {
                fill(wire);
                wire.ask(&[parse("s", sql, &[23]), sync()].concat());
                let bytes = requests(way, sql, values).concat();
                // The last bytes of the last request come later, or those of all but the first.
                let (first, second) = bytes.split_at(bytes.len().saturating_sub(cut));
                wire.send(first);
                std::thread::sleep(Duration::from_millis(20));
                wire.send(second);
                wire.until(b'Z', values.len())
            }
        };
        let values: &[i32] = &[1, 2, 0, 77, 3, 1, 2, 0, 4];
        for cut in [0, 1, 4, 7, 100, 200] {
            all.same("a pipeline", pipeline("SELECT 10 / id, v FROM notes WHERE id = $1", values, cut));
            all.same("a pipeline by key", pipeline("SELECT 10 / id, v FROM items WHERE id = $1", values, cut));
        }
    }
}

/// Answers that the client doesn't read at once wait in the proxy for their turn, whole and in order.
#[test]
fn short_answers_to_a_client_that_does_not_read() {
    const REQUESTS: usize = 3_000;
    let proxy = proxy(one(), 2, "");
    let mut a = ready(&proxy);
    let sql = |number: usize| format!("SELECT {number}, repeat('y', 5000)");
    for number in 0..3 {
        a.run(&sql(number));
    }
    let mut writer = a.stream.try_clone().unwrap();
    let sent = std::thread::spawn(move || {
        for number in 0..REQUESTS {
            writer.write_all(&query(&sql(number))).expect("the proxy reads on");
        }
    });
    // Sockets and buffers are full by then; if they aren't, the test is an easier one.
    std::thread::sleep(Duration::from_millis(500));
    for number in 0..REQUESTS {
        let frames = a.until(b'Z', 1);
        assert_eq!(tags(&frames), "TDCZ");
        let values = frames[1].values();
        assert_eq!(values[0].as_deref(), Some(&*number.to_string()));
        assert_eq!(values[1].as_ref().map(String::len), Some(5000));
    }
    sent.join().unwrap();
    a.run("SELECT 1");
}

/// Statements of a known shape that wait for a lock: a cancel, a client that leaves, a server that goes away.
#[test]
fn short_statements_that_last() {
    let _turn = turn();
    let proxy = proxy(one(), 3, "");
    let mut watch = Wire::connect(super::world::direct());
    let mut waits = |wanted: &str| {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM later WHERE id = 6%'";
        let begin = Instant::now();
        while watch.value(sql) != wanted {
            assert!(begin.elapsed() < Duration::from_secs(30), "not {wanted} waiting");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let mut lock = Wire::connect(super::world::direct());
    let sql = |id: u32| format!("SELECT count(id) FROM later WHERE id = {id}");
    for way in WAYS {
        let (mut a, mut b) = (ready(&proxy), ready(&proxy));
        let statement = |wire: &mut Wire| match way {
            'Q' => wire.send(&query(&sql(6))),
            'D' => wire.send(&[bind("", "s", &[]), describe_portal(""), execute("", 0), sync()].concat()),
            _ => wire.send(&[bind("", "s", &[]), execute("", 0), sync()].concat()),
        };
        for wire in [&mut a, &mut b] {
            wire.ask(&[parse("s", &sql(6), &[]), sync()].concat());
            for id in 0..3 {
                wire.run(&sql(id));
                statement(wire);
                assert_eq!(sqlstate(&wire.until(b'Z', 1)), None);
            }
        }
        lock.run("BEGIN; LOCK TABLE later");
        // A cancel reaches the one and not the other.
        statement(&mut a);
        statement(&mut b);
        waits("2");
        Wire::raw(proxy.address()).send(&cancel(a.process_id, &a.secret));
        let frames = a.until(b'Z', 1);
        assert_eq!((sqlstate(&frames).as_deref(), status(&frames)), (Some("57014"), 'I'));
        waits("1");
        // A client that leaves takes its statement with it.
        b.vanish();
        waits("0");
        // A server that ends tells why.
        statement(&mut a);
        waits("1");
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM later WHERE id = 6%'";
        lock.run(ended);
        let frames = a.until(b'Z', 1);
        assert_eq!((sqlstate(&frames).as_deref(), status(&frames)), (Some("57P01"), 'I'));
        // The client goes on, and what it sent ahead while its statement waited is answered in turn.
        statement(&mut a);
        waits("1");
        a.send(&[query(&sql(1)), query("SELECT 'ahead'"), query("SELECT 1/0")].concat());
        lock.run("ROLLBACK");
        assert_eq!(sqlstate(&a.until(b'Z', 3)), None);
        assert_eq!(sqlstate(&a.until(b'Z', 1)).as_deref(), Some("22012"));
        statement(&mut a);
        assert_eq!(sqlstate(&a.until(b'Z', 1)), None);
    }
}
