//! Malformed messages: 08P01 where there is somebody to tell, the connection closed, everybody else served.

use std::sync::{Mutex, OnceLock};

use proptest::prelude::*;

use super::client::{Wire, sqlstate};
use super::message::*;
use super::world::{one, proxy, ready};
use crate::support::Proxy;

#[test]
fn malformed_messages_are_refused() {
    let proxy = proxy(one(), 2, "");
    let mut bystander = ready(&proxy);
    let mut lying = bind("", "", &[Some("abc")]);
    let at = lying.len() - 9;
    lying[at..at + 4].copy_from_slice(&[0x7f, 0, 0, 0]);
    let mut negative = lying.clone();
    negative[at..at + 4].copy_from_slice(&(-2_i32).to_be_bytes());
    let malformed: Vec<(&str, Vec<u8>)> = vec![
        ("a negative length", vec![b'Q', 0xff, 0xff, 0xff, 0xff]),
        ("a length below four", vec![b'Q', 0, 0, 0, 3]),
        ("a gigabyte", vec![b'Q', 0x40, 0, 0, 0]),
        ("an unknown type", frame(b'~', b"")),
        ("a zero type", frame(0, b"")),
        ("a server's message", frame(b'T', b"\0\0")),
        ("text without an end", frame(b'Q', b"SELECT 1")),
        ("text behind the end", frame(b'Q', b"SELECT 1\0x\0")),
        ("a Parse without types", frame(b'P', b"\0SELECT 1\0")),
        ("a Parse with too few types", frame(b'P', b"\0SELECT 1\0\0\x05\0\0")),
        ("a lying Bind", [parse("", "SELECT $1", &[]), lying].concat()),
        ("a negative Bind", [parse("", "SELECT $1", &[]), negative].concat()),
        ("an Execute without rows", frame(b'E', b"\0")),
        ("a Describe of nothing", frame(b'D', b"")),
        ("a Describe of something else", frame(b'D', b"X\0")),
        ("a second start-up", startup(0x0003_0000, &[("user", "shardway")])),
        ("a password", frame(b'p', b"secret\0")),
    ];
    for (what, bytes) in malformed {
        let mut wire = ready(&proxy);
        wire.send(&bytes);
        let frames = wire.ends();
        assert_eq!(sqlstate(&frames).as_deref(), Some("08P01"), "{what}: {frames:?}");
        bystander.run("SELECT 1");
    }
    // In a transaction it is rolled back.
    let mut wire = ready(&proxy);
    wire.run("BEGIN");
    wire.run("INSERT INTO notes VALUES (950, 'x')");
    wire.send(&frame(b'~', b""));
    wire.ends();
    assert_eq!(bystander.value("SELECT count(*) FROM notes WHERE id = 950"), "0");
    // Before anybody has logged in.
    for bytes in [
        vec![0, 0, 0, 1],
        vec![0xff; 8],
        vec![0, 1, 0, 0, 0, 3, 0, 0],
        frame(b'Q', b"SELECT 1\0"),
        startup(0x0002_0000, &[]),
    ] {
        let mut wire = Wire::raw(proxy.address());
        wire.send(&bytes);
        wire.stream.shutdown(std::net::Shutdown::Write).unwrap();
        wire.ends();
    }
    bystander.run("SELECT 1");
}

#[test]
fn protocol_versions() {
    let proxy = proxy(one(), 2, "");
    drop(ready(&proxy));
    for (version, secret) in [(0x0003_0000, 4), (0x0003_0002, 32)] {
        let mut wire = Wire::raw(proxy.address());
        wire.send(&startup(version, &[("user", "shardway"), ("database", "app")]));
        wire.await_welcome().unwrap();
        assert_eq!(wire.secret.len(), secret);
        wire.run("SELECT 1");
    }
    // What is newer is negotiated down.
    let mut wire = Wire::raw(proxy.address());
    wire.send(&startup(0x0003_0009, &[("user", "shardway"), ("database", "app"), ("_pq_.future", "1")]));
    let first = loop {
        let frame = wire.read().unwrap();
        if frame.tag == b'v' {
            break frame;
        }
    };
    assert_eq!(first.body, b"\0\x03\0\x02\0\0\0\x01_pq_.future\0");
    wire.await_welcome().unwrap();
    let mut wire = Wire::raw(proxy.address());
    wire.send(&startup(0x0004_0000, &[("user", "shardway")]));
    assert_eq!(sqlstate(&wire.ends()).as_deref(), Some("0A000"));
}

fn message_with_garbage() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(prop_oneof![Just(0_u8), Just(b'S'), Just(b'1'), any::<u8>()], 0..24);
    let whole = (prop::sample::select(b"QPBDECHSFdcfXp~".to_vec()), body).prop_map(|(tag, body)| frame(tag, &body));
    prop_oneof![
        4 => whole,
        1 => prop::collection::vec(any::<u8>(), 1..16),
        2 => Just(parse("", "SELECT $1::int", &[])),
        2 => Just(bind("", "", &[Some("1")])),
        2 => Just(execute("", 1)),
        2 => Just(sync()),
        1 => Just(query("BEGIN; SELECT 1")),
        1 => Just(query("COPY notes FROM STDIN")),
        1 => Just(query("SELECT 1/0")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_harms_nobody(messages in prop::collection::vec(message_with_garbage(), 1..8)) {
        static PROXY: OnceLock<(Proxy, Mutex<Wire>)> = OnceLock::new();
        let (proxy, bystander) = PROXY.get_or_init(|| {
            let proxy = proxy(one(), 2, "");
            let wire = ready(&proxy);
            (proxy, Mutex::new(wire))
        });
        let mut wire = Wire::connect(proxy.address());
        wire.send(&messages.concat());
        wire.stream.shutdown(std::net::Shutdown::Write).unwrap();
        while wire.read().is_some() {}
        drop(wire);
        let mut bystander = bystander.lock().unwrap();
        prop_assert_eq!(bystander.value("SELECT 5"), "5");
        prop_assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
    }
}
