//! Random messages of the extended and the simple protocol, well formed but in any order: what PostgreSQL
//! answers, Shardway answers too.

use std::net::SocketAddr;
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::client::{Frame, Wire};
use super::message::*;
use super::world::{direct, one, plain, proxy, ready, turn, two};
use crate::support::Proxy;

/// One message, or a few that belong together.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let statement = || prop::sample::select(vec!["", "a", "b"]);
    let portal = || prop::sample::select(vec!["", "p", "q"]);
    let text = prop::sample::select(vec![
        "SELECT 1",
        "SELECT generate_series(1, 4)",
        "SELECT 1/0",
        "SELEC",
        "",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "ROLLBACK TO s",
        "RELEASE s",
        "SET work_mem = '5MB'",
        "SET LOCAL work_mem = '6MB'",
        "SHOW work_mem",
        "RESET work_mem",
        "INSERT INTO notes SELECT coalesce(max(id), 0) + 1, 'x' FROM notes",
        "INSERT INTO notes VALUES (1, 'x')",
        "SELECT count(*) FROM notes",
        "DELETE FROM notes",
        "DEALLOCATE a",
        "DECLARE c CURSOR FOR SELECT generate_series(1, 5)",
        "FETCH 2 FROM c",
        "CLOSE c",
    ]);
    let text = text.boxed();
    prop_oneof![
        4 => (statement(), text.clone()).prop_map(|(name, sql)| parse(name, sql, &[])),
        5 => (portal(), statement()).prop_map(|(portal, name)| bind(portal, name, &[])),
        5 => (portal(), prop::sample::select(vec![0, 0, 1, 2])).prop_map(|(portal, rows)| execute(portal, rows)),
        6 => text.clone().prop_map(once),
        1 => statement().prop_map(describe_statement),
        1 => portal().prop_map(describe_portal),
        1 => statement().prop_map(close_statement),
        1 => portal().prop_map(close_portal),
        1 => Just(flush()),
        4 => Just(sync()),
        // Without a Sync before it a Query may be refused.
        3 => text.prop_map(|sql| [sync(), query(sql)].concat()),
    ]
}

const END: &str = "the end of the conversation";

fn converse(address: SocketAddr, bytes: &[u8]) -> Vec<Frame> {
    let mut wire = Wire::connect(address);
    wire.run("DELETE FROM notes");
    wire.send(bytes);
    let mut frames = Vec::new();
    loop {
        let Some(frame) = wire.read() else {
            frames.push(Frame { tag: b'!', body: b"no answer".to_vec() });
            break;
        };
        let last = frame.tag == b'D' && frame.body.ends_with(END.as_bytes());
        frames.push(plain(&frame));
        if last {
            break;
        }
    }
    wire.bye();
    frames
}

/// `any_error`: in a failed block that no server is in, everything is refused, at its first message.
fn same(proxy: &Proxy, messages: &[Vec<u8>], any_error: bool) -> Result<(), TestCaseError> {
    let end = query(&format!("SELECT '{END}'"));
    let bytes = [messages.concat(), sync(), query("ROLLBACK"), sync(), end].concat();
    let _turn = turn();
    let [expected, got] = [direct(), proxy.address()].map(|address| {
        let mut frames = converse(address, &bytes);
        if any_error {
            frames.retain(|frame| b"CDZs!".contains(&frame.tag));
        }
        frames
    });
    let from = expected.iter().zip(&got).take_while(|(a, b)| a == b).count();
    let said: Vec<String> = messages.iter().map(|message| message.escape_ascii().to_string()).collect();
    prop_assert!(
        expected == got,
        "said {said:#?}\nfrom {from}: PostgreSQL {:#?}\nShardway {:#?}",
        expected.iter().skip(from.saturating_sub(1)).take(5).collect::<Vec<_>>(),
        got.iter().skip(from.saturating_sub(1)).take(5).collect::<Vec<_>>()
    );
    Ok(())
}

/// The same cases in every run, unless more are asked for.
fn cases() -> ProptestConfig {
    let more = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: more.unwrap_or(200),
        rng_seed: if more.is_some() { RngSeed::Random } else { RngSeed::Fixed(7) },
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn through_one_shard(messages in prop::collection::vec(messages(), 1..14)) {
        static PROXY: OnceLock<Proxy> = OnceLock::new();
        let proxy = PROXY.get_or_init(|| {
            let proxy = proxy(one(), 1, "");
            drop(ready(&proxy));
            proxy
        });
        same(proxy, &messages, false)?;
    }

    #[test]
    fn through_two_shards(messages in prop::collection::vec(messages(), 1..14)) {
        static PROXY: OnceLock<Proxy> = OnceLock::new();
        let proxy = PROXY.get_or_init(|| {
            let proxy = proxy(two(), 1, "");
            drop(ready(&proxy));
            proxy
        });
        same(proxy, &messages, true)?;
    }
}
