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
