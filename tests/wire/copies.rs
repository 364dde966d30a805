//! COPY of sharded and reference tables over two shards: the same data, errors and line numbers as on PostgreSQL.

use std::net::SocketAddr;
use std::sync::OnceLock;

use shardway::devcluster::Cluster;

use super::client::{Frame, Wire};
use super::message::*;
use super::world::{direct, one, plain, proxy, ready, start, turn};
use crate::support::Proxy;

/// Shards of their own: COPY of a whole table shows the rows of other tests.
fn two() -> &'static Cluster {
    static TWO: OnceLock<Cluster> = OnceLock::new();
    TWO.get_or_init(|| start(2))
}

/// Rows that the tests copy have these ids.
const IDS: std::ops::RangeInclusive<i64> = 1..=24;

/// As [`plain`], with the context of errors: it has the line.
fn with_context(frame: &Frame) -> Frame {
    let mut same = plain(frame);
    if matches!(frame.tag, b'E' | b'N') {
        same.body.extend_from_slice(frame.field(b'W').unwrap_or_default().as_bytes());
    }
    same
}

fn empty(wire: &mut Wire) {
    for id in IDS {
        wire.run(&format!("DELETE FROM items WHERE id = {id}"));
    }
}

fn rows(wire: &mut Wire) -> Vec<Frame> {
    IDS.flat_map(|id| wire.query(&format!("SELECT id, v FROM items WHERE id = {id}"))).collect()
}

struct Both {
    proxied: SocketAddr,
    differences: Vec<String>,
}

impl Both {
    /// What is said, and the rows that are there afterwards.
    fn same(&mut self, what: &str, talk: impl Fn(&mut Wire) -> Vec<Frame>) {
        let [expected, got] = [direct(), self.proxied].map(|address| {
            let mut wire = Wire::connect(address);
            empty(&mut wire);
            let mut frames = talk(&mut wire);
            frames.extend(rows(&mut wire));
            wire.bye();
            frames.iter().map(with_context).collect::<Vec<_>>()
        });
        if expected != got || expected.iter().any(|frame| frame.tag == b'!') {
            let from = expected.iter().zip(&got).take_while(|(a, b)| a == b).count();
            let shown = |frames: &[Frame]| format!("{:?}", frames.iter().skip(from).take(4).collect::<Vec<_>>());
            self.differences.push(format!("{what}: {}\n    not {}", shown(&got), shown(&expected)));
        }
    }

    /// COPY with this data, in one message and in pieces.
    fn copy(&mut self, what: &str, sql: &str, data: &[u8]) {
        self.same(what, |w| copied(w, sql, &[data]));
        let pieces: Vec<&[u8]> = data.chunks(3).collect();
        self.same(&format!("{what}, in pieces"), |w| copied(w, sql, &pieces));
    }
}

fn copied(wire: &mut Wire, sql: &str, pieces: &[&[u8]]) -> Vec<Frame> {
    let mut frames = begin(wire, sql);
    if frames.last().is_none_or(|frame| frame.tag == b'G') {
        let data: Vec<u8> = pieces.iter().flat_map(|piece| copy_data(piece)).chain(copy_done()).collect();
        wire.send(&data);
        frames.extend(wire.until(b'Z', 1));
    }
    frames
}

/// Up to CopyInResponse, or ReadyForQuery behind an error.
fn begin(wire: &mut Wire, sql: &str) -> Vec<Frame> {
    wire.send(&query(sql));
    let mut frames = Vec::new();
    while let Some(frame) = wire.read() {
        let tag = frame.tag;
        frames.push(frame);
        if matches!(tag, b'G' | b'Z') {
            break;
        }
    }
    frames
}

fn with_two_shards(test: impl FnOnce(&mut Both, &Proxy)) {
    let _turn = turn();
    one();
    let proxy = proxy(two(), 4, "");
    drop(ready(&proxy));
    let mut both = Both { proxied: proxy.address(), differences: Vec::new() };
    test(&mut both, &proxy);
    assert!(both.differences.is_empty(), "{} differences\n{}", both.differences.len(), both.differences.join("\n"));
}

#[test]
fn rows_are_divided_by_their_keys() {
    with_two_shards(|all, _| {
        let from = "COPY items FROM STDIN";
        let many: String = IDS.map(|id| format!("{id}\tv{id}\n")).collect();
        all.copy("text", from, many.as_bytes());
        all.copy("text with its end", from, b"1\ta\n2\tb\n\\.\n3\tignored\n");
        all.copy("without a line end", from, b"1\ta\n2\tb");
        all.copy("escapes and nulls", from, b"1\ta\\tb\\\\c\n2\t\\N\n\\x33\td\\\ne\n4\t\\101\n");
        all.copy("CRLF", from, b"1\ta\r\n2\tb\r\n3\tc\r\n");
        all.copy("CR", from, b"1\ta\r2\tb\r3\tc\r");
        all.copy("nothing", from, b"");
        all.copy("columns", "COPY items (v, id) FROM STDIN", b"a\t1\nb\t2\nc\t3\n");
        all.copy(
            "text options",
            "COPY items FROM STDIN WITH (DELIMITER '|', NULL 'none', HEADER)",
            b"id|v\n1|none\n2|b\n",
        );
        all.copy("old options", "COPY items FROM STDIN USING DELIMITERS ';' WITH NULL AS ''", b"1;a\n2;\n");
        all.copy("a condition", "COPY items FROM STDIN WHERE id > 2 AND v <> 'c'", b"1\ta\n2\tb\n3\tc\n4\td\n5\te\n");
        let csv = "COPY items FROM STDIN (FORMAT csv, HEADER)";
        all.copy("csv", csv, b"id,v\n1,a\n\"2\",\"b \"\"quoted\"\",\nsecond line\"\n3,\n4,\"\"\n");
        all.copy(
            "csv options",
            "COPY items FROM STDIN CSV DELIMITER ';' QUOTE '''' ESCAPE '\\' NULL 'x'",
            b"1;'a\\'b'\n'2';x\n",
        );
        all.copy(
            "csv forced",
            "COPY items FROM STDIN (FORMAT csv, NULL 'n', FORCE_NOT_NULL (v), FORCE_NULL (id))",
            b"1,n\n2,\"n\"\n",
        );
        all.copy("csv with its end", "COPY items FROM STDIN CSV", b"1,a\n\\.\n");
        all.copy("latin1", "COPY items FROM STDIN (ENCODING 'LATIN1')", b"1\t\xe4\n2\t\xf6\n");
        let mut binary = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        for id in 1..=4_i64 {
            binary.extend_from_slice(b"\0\x02\0\0\0\x08");
            binary.extend_from_slice(&id.to_be_bytes());
            binary.extend_from_slice(if id == 3 { b"\xff\xff\xff\xff" } else { b"\0\0\0\x02xy" });
        }
        all.copy("binary without its end", "COPY items FROM STDIN (FORMAT binary)", &binary);
        binary.extend_from_slice(b"\xff\xff");
        all.copy("binary", "COPY BINARY items FROM STDIN", &binary);
        binary.extend_from_slice(b"more");
        all.copy("binary behind its end", "COPY items FROM STDIN BINARY", &binary);
        all.copy("no binary", "COPY items FROM STDIN BINARY", b"1\ta\n");
    });
}

#[test]
fn a_bad_row_fails_all_with_its_line() {
    with_two_shards(|all, _| {
        let good: String = (1..=20).map(|id| format!("{id}\tv\n")).collect();
        let from = "COPY items FROM STDIN";
        for (what, row) in [
            ("no number", "x\ta\n"),
            ("out of range", "99999999999999999999\ta\n"),
            ("a null key", "\\N\ta\n"),
            ("too few", "21\n"),
            ("none", "\n"),
            ("too many", "21\ta\tb\n"),
            ("another line end", "21\ta\r22\tb\n"),
            ("an end in the row", "21\ta\\.\n"),
            ("not UTF-8", "21\t\\xff\n"),
        ] {
            let first: String = good.lines().take(7).map(|line| format!("{line}\n")).collect();
            let data = format!("{first}{row}{}", "22\tz\n");
            all.copy(what, from, data.as_bytes());
        }
        all.copy("a duplicate", from, b"1\ta\n2\tb\n3\tc\n4\td\n2\te\n");
        all.copy("quotes without an end", "COPY items FROM STDIN CSV", b"1,a\n2,b\n3,\"c\n4,d\n");
        all.copy("lines in quotes count", "COPY items FROM STDIN CSV", b"1,a\n2,\"b\nb\"\n3,\"c\nc\"\n4,d\nx,e\n");
        all.copy("a header that doesn't match", "COPY items FROM STDIN CSV HEADER MATCH", b"id,w\n1,a\n");
        all.copy("an unknown column", "COPY items (id, w) FROM STDIN", b"1\ta\n");
        all.copy("a wrong option", "COPY items FROM STDIN (DELIMITER 'ab')", b"1\ta\n");
        all.same("CopyFail", |w| {
            let mut frames = begin(w, from);
            w.send(&[copy_data(b"1\ta\n2\tb\n3\tc\n"), copy_fail("enough")].concat());
            frames.extend(w.until(b'Z', 1));
            frames
        });
    });
}

#[test]
fn a_copy_in_a_block_and_in_the_extended_protocol() {
    with_two_shards(|all, _| {
        let data = b"1\ta\n2\tb\n3\tc\n4\td\n";
        let from = "COPY items FROM STDIN";
        for end in ["COMMIT", "ROLLBACK"] {
            all.same(end, |w| {
                w.run("BEGIN");
                let mut frames = copied(w, from, &[data]);
                frames.extend(w.query("SELECT v FROM items WHERE id = 3"));
                frames.extend(w.query(end));
                frames
            });
        }
        all.same("an error in a block", |w| {
            w.run("BEGIN");
            let mut frames = copied(w, from, &[b"1\ta\nx\tb\n"]);
            frames.extend(w.query("SELECT 1"));
            frames.extend(w.query("COMMIT"));
            frames
        });
        let request =
            |sql: &str| [parse("", sql, &[]), bind("", "", &[]), describe_portal(""), execute("", 0)].concat();
        all.same("as libpq sends it", |w| {
            w.send(&[request(from), sync()].concat());
            let mut frames = w.until(b'G', 1);
            w.send(&[copy_data(data), copy_done(), sync()].concat());
            frames.extend(w.until(b'Z', 1));
            frames
        });
        all.same("with Flush", |w| {
            w.send(&[request(from), flush()].concat());
            let mut frames = w.until(b'G', 1);
            w.send(&[copy_data(data), copy_done(), sync()].concat());
            frames.extend(w.until(b'Z', 1));
            frames
        });
        all.same("a bad row", |w| {
            w.send(&[request(from), sync()].concat());
            let mut frames = w.until(b'G', 1);
            w.send(&[copy_data(b"1\ta\nx\tb\n"), copy_done(), sync()].concat());
            frames.extend(w.until(b'Z', 1));
            frames
        });
        all.same("a table that isn't there", |w| w.ask(&[request("COPY nowhere FROM STDIN"), sync()].concat()));
        all.same("a lot", |w| {
            let mut frames = begin(w, from);
            let row = |id: i64| format!("{id}\t{}\n", "x".repeat(200_000));
            for id in IDS {
                w.send(&copy_data(row(id).as_bytes()));
            }
            w.send(&copy_done());
            frames.extend(w.until(b'Z', 1));
            frames
        });
    });
}

/// The data in the order of its rows: that of the shards is another than one server's.
fn sorted(mut frames: Vec<Frame>) -> Vec<Frame> {
    let (first, last) = match frames.iter().position(|frame| frame.tag == b'd') {
        Some(first) => (first, frames.iter().rposition(|frame| frame.tag == b'd').unwrap_or(first)),
        None => return frames,
    };
    frames[first..=last].sort_by(|a, b| a.body.cmp(&b.body));
    frames
}

#[test]
fn the_data_of_all_shards_is_one() {
    with_two_shards(|all, _| {
        let fill = |w: &mut Wire, ids: std::ops::RangeInclusive<i64>| {
            for id in ids {
                w.run(&format!("INSERT INTO items VALUES ({id}, 'v,{id}')"));
            }
        };
        for to in [
            "COPY items TO STDOUT",
            "COPY items (v) TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE *)",
            "COPY (SELECT v, id + 1 AS next FROM items WHERE id < 10) TO STDOUT CSV HEADER",
        ] {
            all.same(to, |w| {
                fill(w, 1..=12);
                sorted(w.query(to))
            });
            all.same(&format!("{to}, no rows"), |w| sorted(w.query(to)));
            all.same(&format!("{to}, extended"), |w| {
                fill(w, 1..=4);
                sorted(w.ask(&[once(to), sync()].concat()))
            });
        }
        for ids in [1..=9, 1..=1, 2..=2, 3..=3] {
            // The signature and the trailer come once: all of the data can be copied in again.
            all.same(&format!("binary of {ids:?}"), |w| {
                fill(w, ids.clone());
                let data: Vec<u8> = w
                    .query("COPY items TO STDOUT BINARY")
                    .iter()
                    .filter(|frame| frame.tag == b'd')
                    .flat_map(|frame| frame.body.clone())
                    .collect();
                empty(w);
                copied(w, "COPY items FROM STDIN BINARY", &[&data])
            });
        }
    });
}

#[test]
fn reference_tables_get_every_row_on_every_shard() {
    let _turn = turn();
    let proxy = proxy(two(), 4, "");
    let mut wire = ready(&proxy);
    let frames = copied(&mut wire, "COPY kinds FROM STDIN", &[b"8\teight\n9\tnine\n"]);
    assert_eq!(super::client::tags(&frames), "GCZ", "{frames:?}");
    assert!(frames[1].body.starts_with(b"COPY 2\0"), "{frames:?}");
    for shard in two().shards() {
        assert_eq!(shard.primary.sql("SELECT count(*) FROM kinds WHERE id IN (8, 9)").expect("it is up"), "2");
    }
    let frames = copied(&mut wire, "COPY kinds FROM STDIN", &[b"10\tten\n9\tagain\n"]);
    assert_eq!(super::client::sqlstate(&frames).as_deref(), Some("23505"));
    for shard in two().shards() {
        assert_eq!(shard.primary.sql("SELECT count(*) FROM kinds WHERE id IN (8, 9, 10)").expect("it is up"), "2");
        shard.primary.sql("DELETE FROM kinds WHERE id > 2").expect("it is up");
    }
}
