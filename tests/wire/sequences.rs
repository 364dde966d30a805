//! currval and lastval are of a session, also where sessions share connections.

use super::client::Wire;
use super::message::*;
use super::world::{one, proxy, ready};

#[test]
fn a_client_sees_its_own_sequences_and_nobody_elses() {
    let proxy = proxy(one(), 1, "");
    let mut a = ready(&proxy);
    a.run("CREATE SEQUENCE numbers; CREATE SEQUENCE others");
    a.run("CREATE TABLE numbered (id serial, v text)");
    let mut b = ready(&proxy);
    assert_eq!(a.value("SELECT nextval('numbers')"), "1");
    // Whose value is there isn't known, so it isn't shown.
    assert_eq!(b.fails("SELECT currval('numbers')"), "55000");
    assert_eq!(a.fails("SELECT currval('numbers')"), "0A000");
    assert_eq!(a.value("SELECT nextval('numbers')"), "2");
    assert_eq!(a.value("SELECT currval('numbers')"), "2");
    // From now on the client keeps its connection.
    a.run("INSERT INTO numbered (v) VALUES ('a')");
    assert_eq!(a.value("SELECT lastval()"), "1");
    assert_eq!(a.value("SELECT currval('numbers')"), "2");
    a.run("DISCARD SEQUENCES");
    assert_eq!(b.fails("SELECT lastval()"), "55000");

    // In a block, where another client's insert came before.
    a.run("INSERT INTO numbered (v) VALUES ('b')");
    b.run("BEGIN; INSERT INTO numbered (v) VALUES ('c')");
    assert_eq!(b.value("SELECT lastval()"), "3");
    assert_eq!(b.fails("SELECT currval('numbers')"), "55000");
    b.run("ROLLBACK");

    // In the extended protocol.
    a.ask(&[once("SELECT nextval('others')"), sync()].concat());
    let frames = a.ask(&[once("SELECT currval('others')"), sync()].concat());
    assert!(frames.iter().any(|frame| frame.tag == b'D' && frame.values() == [Some("1".to_owned())]), "{frames:?}");
    a.bye();
    let mut c: Wire = ready(&proxy);
    assert_eq!(c.fails("SELECT currval('others')"), "55000");
    b.run("DROP TABLE numbered; DROP SEQUENCE numbers, others");
}

#[test]
fn a_client_that_calls_nextval_where_others_ask_for_it_keeps_its_connection() {
    let proxy = proxy(one(), 2, "");
    let mut a = ready(&proxy);
    let mut b = ready(&proxy);
    let mut c = ready(&proxy);
    a.run("CREATE SEQUENCE marks");
    assert_eq!(a.value("SELECT nextval('marks')"), "1");
    for other in [&mut b, &mut c] {
        other.run("BEGIN");
        other.run("CREATE TABLE IF NOT EXISTS other (id serial)");
        other.run("INSERT INTO other DEFAULT VALUES");
        other.run("COMMIT");
    }
    // A default is only defined: nothing is asked for yet, but somebody will.
    a.run("CREATE TABLE marked (id int DEFAULT nextval('marks'), z int DEFAULT -1 * currval('marks'))");
    a.run("CREATE VIEW last_mark AS SELECT currval('marks')");
    a.run("INSERT INTO marked DEFAULT VALUES");
    assert_eq!(a.value("SELECT z FROM marked"), "-2");
    assert_eq!(a.value("SELECT nextval('marks')"), "3");
    for _ in 0..3 {
        b.run("INSERT INTO marked DEFAULT VALUES");
        c.run("INSERT INTO marked DEFAULT VALUES");
    }
    assert_eq!(a.value("SELECT currval('marks')"), "3");
    a.run("DROP VIEW last_mark; DROP TABLE marked, other; DROP SEQUENCE marks");
}
