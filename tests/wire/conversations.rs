//! The same messages to PostgreSQL and to Shardway. One connection to each server, so that what one
//! conversation leaves behind would be found by the next.

use super::client::{Frame, Wire};
use super::message::*;
use super::world::{Comparison, one, proxy, two};

#[test]
fn on_one_shard() {
    let proxy = proxy(one(), 1, "");
    let mut all = Comparison::with(&proxy);
    simple(&mut all);
    extended(&mut all);
    names(&mut all);
    portals(&mut all);
    errors(&mut all);
    odd_orders(&mut all);
    copies(&mut all);
    settings(&mut all);
    blocks(&mut all);
    only_on_one(&mut all);
    all.end();
}

#[test]
fn on_two_shards() {
    let proxy = proxy(two(), 1, "");
    let mut all = Comparison::with(&proxy);
    simple(&mut all);
    extended(&mut all);
    names(&mut all);
    portals(&mut all);
    errors(&mut all);
    odd_orders(&mut all);
    copies(&mut all);
    settings(&mut all);
    blocks(&mut all);
    scatters(&mut all);
    gathers(&mut all);
    all.end();
}

/// Several requests, each up to its ReadyForQuery.
fn each(wire: &mut Wire, requests: &[Vec<u8>]) -> Vec<Frame> {
    requests.iter().flat_map(|request| wire.ask(request)).collect()
}

fn queries(wire: &mut Wire, all: &[&str]) -> Vec<Frame> {
    all.iter().flat_map(|sql| wire.query(sql)).collect()
}

fn simple(all: &mut Comparison) {
    all.same("one row", |w| w.query("SELECT 1 AS one, 'x'::text AS two, NULL::int"));
    all.same("nothing", |w| queries(w, &["", ";", " -- nothing\n", "/* nothing */;;"]));
    all.same("several", |w| w.query("SELECT 1; SELECT 2 WHERE false; SELECT 3"));
    all.same("an error in the middle", |w| {
        queries(w, &["INSERT INTO notes VALUES (1, 'a'); SELECT 1/0; SELECT 2", "SELECT * FROM notes"])
    });
    all.same("BEGIN in the middle", |w| {
        queries(
            w,
            &[
                "INSERT INTO notes VALUES (1, 'a'); BEGIN; INSERT INTO notes VALUES (2, 'b')",
                "ROLLBACK",
                "SELECT * FROM notes",
            ],
        )
    });
    all.same("a commit in the middle", |w| {
        queries(
            w,
            &[
                "BEGIN; INSERT INTO notes VALUES (1, 'a'); COMMIT; INSERT INTO notes VALUES (2, 'b'); SELECT 1/0",
                "SELECT * FROM notes",
            ],
        )
    });
    all.same("a failed block", |w| {
        queries(w, &["BEGIN", "SELECT 1/0", "SELECT 1", "", "SHOW timezone", "COMMIT", "SELECT 1"])
    });
    all.same("syntax errors have their position", |w| queries(w, &["SELEC 1", "SELECT 1 +", "SELECT $1"]));
    all.same("a commit that fails", |w| {
        queries(w, &["BEGIN", "INSERT INTO later VALUES (1), (1)", "COMMIT", "SELECT count(*) FROM later"])
    });
    all.same("values", |w| w.query("SELECT '', NULL, E'\\001', repeat('x', 70000)"));
    all.same("not UTF-8", |w| w.ask(&frame(b'Q', b"SELECT '\xff\xfe'\0")));
    all.same("an unnamed statement ends with a simple query", |w| {
        each(
            w,
            &[
                [parse("", "SELECT 1", &[]), sync()].concat(),
                query("SELECT 2"),
                [bind("", "", &[]), execute("", 0), sync()].concat(),
            ],
        )
    });
}

fn extended(all: &mut Comparison) {
    all.same("everything at once", |w| {
        w.ask(
            &[
                parse("", "SELECT $1::int + 1 AS x, $2::text AS y", &[]),
                describe_statement(""),
                bind("", "", &[Some("41"), None]),
                describe_portal(""),
                execute("", 0),
                sync(),
            ]
            .concat(),
        )
    });
    all.same("NULL and empty parameters", |w| {
        w.ask(
            &[
                parse("", "SELECT $1::text, $2::text, $1 IS NULL", &[]),
                bind("", "", &[Some(""), None]),
                execute("", 0),
                sync(),
            ]
            .concat(),
        )
    });
    all.same("binary both ways", |w| {
        let value = 7_i64.to_be_bytes();
        w.ask(
            &[
                parse("", "SELECT $1 + 1, 'x'::text", &[20]),
                bind_formats("", "", &[1], &[Some(&value)], &[1, 0]),
                describe_portal(""),
                execute("", 0),
                sync(),
            ]
            .concat(),
        )
    });
    all.same("an empty query", |w| {
        w.ask(
            &[
                parse("", "", &[]),
                describe_statement(""),
                bind("", "", &[]),
                describe_portal(""),
                execute("", 0),
                sync(),
            ]
            .concat(),
        )
    });
    all.same("a Sync alone", |w| each(w, &[sync(), sync()]));
    all.same("a Parse alone", |w| each(w, &[[parse("", "SELECT 1", &[]), sync()].concat()]));
    all.same("a wrong Parse alone", |w| each(w, &[[parse("", "SELEC 1", &[]), sync()].concat(), sync()]));
    all.same("many Syncs in a packet", |w| {
        let one =
            |n: &str| [parse("", "SELECT $1::int", &[]), bind("", "", &[Some(n)]), execute("", 0), sync()].concat();
        w.send(&[one("1"), one("x"), one("3"), sync(), query("SELECT 4"), one("5")].concat());
        w.until(b'Z', 6)
    });
    all.same("Flush", |w| {
        w.send(&[parse("a", "SELECT $1::int", &[]), describe_statement("a"), flush()].concat());
        let mut frames = w.until(b'T', 1);
        w.send(&[bind("", "a", &[Some("5")]), flush()].concat());
        frames.extend(w.until(b'2', 1));
        w.send(&[execute("", 0), flush()].concat());
        frames.extend(w.until(b'C', 1));
        frames.extend(w.ask(&sync()));
        frames
    });
    all.same("Flush behind an error", |w| {
        w.send(&[parse("", "SELECT 1/0", &[]), bind("", "", &[]), execute("", 0), flush()].concat());
        let mut frames = w.until(b'E', 1);
        w.send(&[parse("", "SELECT 1", &[]), flush()].concat());
        frames.extend(w.ask(&sync()));
        frames
    });
    all.same("several statements in a Parse", |w| w.ask(&[parse("", "SELECT 1; SELECT 2", &[]), sync()].concat()));
    all.same("too few parameters", |w| {
        w.ask(&[parse("", "SELECT $1::int", &[]), bind("", "", &[]), execute("", 0), sync()].concat())
    });
    all.same("a pipeline is one transaction", |w| {
        let insert = |id: &str| {
            [parse("", "INSERT INTO notes VALUES ($1::text::int, 'x')", &[]), bind("", "", &[Some(id)]), execute("", 0)]
                .concat()
        };
        each(w, &[[insert("1"), insert("2"), insert("1"), insert("3"), sync()].concat(), query("SELECT * FROM notes")])
    });
    all.same("rows by key", |w| {
        let insert = |id: &str| {
            [
                parse("", "INSERT INTO items VALUES ($1, $2)", &[20, 25]),
                bind("", "", &[Some(id), Some("v")]),
                execute("", 0),
                sync(),
            ]
            .concat()
        };
        each(
            w,
            &[
                insert("1"),
                insert("2"),
                insert("3"),
                insert("2"),
                [parse("s", "SELECT * FROM items WHERE id = $1", &[]), describe_statement("s"), sync()].concat(),
                [bind("", "s", &[Some("2")]), describe_portal(""), execute("", 0), sync()].concat(),
                [bind("", "s", &[Some("3")]), execute("", 0), bind("", "s", &[Some("1")]), execute("", 0), sync()]
                    .concat(),
            ],
        )
    });
    all.same("described, then bound elsewhere", |w| {
        let mut frames = Vec::new();
        for id in ["1", "2", "3", "4"] {
            w.send(&[parse(id, "INSERT INTO items VALUES ($1, 'v')", &[]), describe_statement(id), flush()].concat());
            frames.extend(w.until(b'n', 1));
            frames.extend(w.ask(&[bind("", id, &[Some(id)]), execute("", 0), sync()].concat()));
        }
        frames
    });
    all.same("described, then bound elsewhere in a block", |w| {
        let mut frames = Vec::new();
        for id in ["1", "2", "3", "4"] {
            frames.extend(w.query("BEGIN"));
            frames.extend(
                w.ask(&[parse(id, "INSERT INTO items VALUES ($1, 'v')", &[]), describe_statement(id), sync()].concat()),
            );
            frames.extend(w.ask(&[bind("", id, &[Some(id)]), execute("", 0), sync()].concat()));
            frames.extend(w.query("COMMIT"));
        }
        frames
    });
}

fn names(all: &mut Comparison) {
    all.same("a name twice", |w| {
        each(
            w,
            &[
                [parse("a", "SELECT 1", &[]), sync()].concat(),
                [parse("a", "SELECT 2", &[]), bind("", "a", &[]), execute("", 0), sync()].concat(),
                [bind("", "a", &[]), execute("", 0), sync()].concat(),
            ],
        )
    });
    all.same("an unknown name", |w| {
        each(
            w,
            &[
                [bind("", "nobody", &[]), execute("", 0), sync()].concat(),
                [describe_statement("nobody"), sync()].concat(),
                [close_statement("nobody"), sync()].concat(),
                [execute("nobody", 0), sync()].concat(),
                [describe_portal("nobody"), sync()].concat(),
                [close_portal("nobody"), sync()].concat(),
            ],
        )
    });
    all.same("an unknown name behind a Parse", |w| {
        w.ask(&[parse("a", "SELECT 1", &[]), bind("", "nobody", &[]), execute("", 0), sync()].concat())
    });
    all.same("closed and used again", |w| {
        each(
            w,
            &[
                [
                    parse("a", "SELECT 1", &[]),
                    close_statement("a"),
                    parse("a", "SELECT 2", &[]),
                    bind("", "a", &[]),
                    execute("", 0),
                    sync(),
                ]
                .concat(),
                [close_statement("a"), bind("", "a", &[]), sync()].concat(),
                [parse("a", "SELECT 3", &[]), sync()].concat(),
            ],
        )
    });
    all.same("what failed has no name", |w| {
        each(
            w,
            &[
                [parse("a", "SELEC 1", &[]), sync()].concat(),
                [bind("", "a", &[]), sync()].concat(),
                [parse("a", "SELECT 1", &[]), bind("", "a", &[]), execute("", 0), sync()].concat(),
            ],
        )
    });
    all.same("what was skipped has no name", |w| {
        each(
            w,
            &[
                [parse("", "SELECT 1/0", &[]), bind("", "", &[]), execute("", 0), parse("a", "SELECT 1", &[]), sync()]
                    .concat(),
                [bind("", "a", &[]), execute("", 0), sync()].concat(),
                [parse("a", "SELECT 2", &[]), bind("", "a", &[]), execute("", 0), sync()].concat(),
            ],
        )
    });
    all.same("what was not closed keeps its name", |w| {
        each(
            w,
            &[
                [parse("a", "SELECT 1", &[]), sync()].concat(),
                [parse("", "SELECT 1/0", &[]), bind("", "", &[]), execute("", 0), close_statement("a"), sync()]
                    .concat(),
                [bind("", "a", &[]), execute("", 0), sync()].concat(),
            ],
        )
    });
    all.same("the unnamed statement lasts", |w| {
        each(
            w,
            &[
                [parse("", "SELECT 1 AS first", &[]), sync()].concat(),
                [bind("", "", &[]), execute("", 0), sync()].concat(),
                [bind("", "", &[]), describe_portal(""), execute("", 0), sync()].concat(),
                [parse("", "SELEC", &[]), sync()].concat(),
                [bind("", "", &[]), execute("", 0), sync()].concat(),
            ],
        )
    });
    all.same("the unnamed statement is closed", |w| {
        each(
            w,
            &[
                [parse("", "SELECT 1", &[]), sync()].concat(),
                [close_statement(""), sync()].concat(),
                [bind("", "", &[]), execute("", 0), sync()].concat(),
            ],
        )
    });
    all.same("deallocated by SQL", |w| {
        each(
            w,
            &[
                [parse("a", "SELECT 1", &[]), parse("b", "SELECT 2", &[]), sync()].concat(),
                query("DEALLOCATE a"),
                [bind("", "a", &[]), sync()].concat(),
                query("DEALLOCATE a"),
                [parse("a", "SELECT 3", &[]), bind("", "a", &[]), execute("", 0), sync()].concat(),
                query("DEALLOCATE ALL"),
                [bind("", "b", &[]), sync()].concat(),
                [parse("b", "SELECT 4", &[]), bind("", "b", &[]), execute("", 0), sync()].concat(),
            ],
        )
    });
    all.same("a pipeline with DEALLOCATE is one transaction", |w| {
        each(
            w,
            &[
                [parse("a", "SELECT 1", &[]), sync()].concat(),
                [
                    once("INSERT INTO notes VALUES (1, 'a')"),
                    once("DEALLOCATE a"),
                    once("INSERT INTO notes VALUES (1, 'b')"),
                    sync(),
                ]
                .concat(),
                query("SELECT * FROM notes"),
                [bind("", "a", &[]), sync()].concat(),
            ],
        )
    });
}

fn portals(all: &mut Comparison) {
    let numbers = "SELECT generate_series(1, 5)";
    all.same("a row limit outside a block", |w| {
        w.ask(
            &[parse("", numbers, &[]), bind("", "", &[]), execute("", 2), execute("", 2), execute("", 2), sync()]
                .concat(),
        )
    });
    all.same("gone with its transaction", |w| {
        each(
            w,
            &[
                [parse("", numbers, &[]), bind("p", "", &[]), execute("p", 2), sync()].concat(),
                [execute("p", 2), sync()].concat(),
            ],
        )
    });
    all.same("interleaved in a block", |w| {
        each(
            w,
            &[
                query("BEGIN"),
                [
                    parse("a", numbers, &[]),
                    bind("p", "a", &[]),
                    bind("q", "a", &[]),
                    execute("p", 2),
                    execute("q", 3),
                    sync(),
                ]
                .concat(),
                [execute("p", 2), execute("q", 0), execute("q", 1), sync()].concat(),
                [describe_portal("p"), close_portal("p"), execute("p", 1), sync()].concat(),
                query("ROLLBACK"),
            ],
        )
    });
    all.same("the same name twice", |w| {
        each(
            w,
            &[
                query("BEGIN"),
                [parse("a", numbers, &[]), bind("p", "a", &[]), bind("p", "a", &[]), sync()].concat(),
                query("ROLLBACK"),
            ],
        )
    });
    all.same("exactly as many rows", |w| {
        w.ask(
            &[
                parse("", "SELECT generate_series(1, 4)", &[]),
                bind("", "", &[]),
                execute("", 2),
                execute("", 2),
                execute("", 2),
                sync(),
            ]
            .concat(),
        )
    });
    all.same("cursors", |w| {
        each(
            w,
            &[
                query("BEGIN"),
                query("DECLARE c SCROLL CURSOR FOR SELECT generate_series(1, 5)"),
                query("FETCH 2 FROM c"),
                [describe_portal("c"), execute("c", 2), sync()].concat(),
                query("FETCH BACKWARD 1 FROM c"),
                query("MOVE LAST FROM c"),
                query("CLOSE c"),
                query("FETCH c"),
                query("ROLLBACK"),
            ],
        )
    });
    all.same("a cursor closed by message", |w| {
        each(
            w,
            &[
                query("BEGIN"),
                query("DECLARE c CURSOR FOR SELECT generate_series(1, 5)"),
                [close_portal("c"), sync()].concat(),
                query("FETCH 1 FROM c"),
                query("ROLLBACK"),
            ],
        )
    });
    all.same("a cursor WITH HOLD", |w| {
        queries(
            w,
            &[
                "BEGIN",
                "DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 5)",
                "FETCH 1 FROM c",
                "COMMIT",
                "FETCH 1 FROM c",
                "CLOSE c",
                "FETCH 1 FROM c",
            ],
        )
    });
    all.same("DML with a row limit", |w| {
        each(
            w,
            &[
                query("INSERT INTO notes VALUES (1, 'a'), (2, 'b'), (3, 'c')"),
                [
                    parse("", "UPDATE notes SET v = 'x' RETURNING id", &[]),
                    bind("", "", &[]),
                    execute("", 1),
                    execute("", 1),
                    sync(),
                ]
                .concat(),
                query("SELECT count(*) FROM notes WHERE v = 'x'"),
            ],
        )
    });
}

fn errors(all: &mut Comparison) {
    all.same("everything up to Sync is skipped", |w| {
        each(
            w,
            &[
                [
                    once("SELECT 1"),
                    once("SELECT 1/0"),
                    once("SELECT 2"),
                    describe_statement("x"),
                    close_portal("y"),
                    flush(),
                    sync(),
                ]
                .concat(),
                [once("SELECT 3"), sync()].concat(),
            ],
        )
    });
    all.same("in a block", |w| {
        each(
            w,
            &[
                query("BEGIN"),
                [once("SELECT 1/0"), sync()].concat(),
                [once("SELECT 1"), sync()].concat(),
                [parse("", "SELECT 1", &[]), sync()].concat(),
                [once("ROLLBACK"), sync()].concat(),
                [once("SELECT 1"), sync()].concat(),
            ],
        )
    });
    all.same("an unknown statement fails the block", |w| {
        each(w, &[query("BEGIN"), [bind("", "nobody", &[]), sync()].concat(), query("SELECT 1"), query("ROLLBACK")])
    });
    all.same("an unknown statement undoes the pipeline", |w| {
        each(
            w,
            &[
                [once("INSERT INTO notes VALUES (1, 'a')"), bind("", "nobody", &[]), sync()].concat(),
                query("SELECT * FROM notes"),
            ],
        )
    });
    all.same("an unnamed statement survives a failed block", |w| {
        each(
            w,
            &[
                query("BEGIN"),
                [parse("", "SELECT 1", &[]), bind("", "", &[]), execute("", 0), sync()].concat(),
                [bind("", "nobody", &[]), sync()].concat(),
                [once("ROLLBACK"), sync()].concat(),
                [parse("", "SELECT 1", &[]), bind("", "", &[]), execute("", 0), sync()].concat(),
            ],
        )
    });
    all.same("savepoints", |w| {
        queries(
            w,
            &[
                "BEGIN",
                "INSERT INTO notes VALUES (1, 'a')",
                "SAVEPOINT s",
                "INSERT INTO notes VALUES (1, 'b')",
                "SELECT 1",
                "ROLLBACK TO s",
                "INSERT INTO notes VALUES (2, 'b')",
                "RELEASE s",
                "RELEASE s",
                "COMMIT",
                "SELECT * FROM notes",
            ],
        )
    });
}

fn odd_orders(all: &mut Comparison) {
    all.same("errors are told before the Sync", |w| {
        let mut frames = w.ask(&[parse("a", "SELECT 1", &[]), sync()].concat());
        for failing in [
            [parse("a", "SELECT 1", &[]), describe_statement("a"), flush()].concat(),
            [parse("b", "SELECT nothing", &[]), describe_statement("b"), flush()].concat(),
            [bind("", "c", &[]), flush()].concat(),
            // And while much more comes, which is for nothing.
            [bind("", "c", &[]), parse("", &format!("SELECT '{}'", "x".repeat(100)), &[])[..50].to_vec()].concat(),
        ] {
            w.send(&failing);
            frames.extend(w.until(b'E', 1));
            if failing.last() != flush().last() {
                w.send(&parse("", &format!("SELECT '{}'", "x".repeat(100)), &[])[50..]);
            }
            frames.extend(w.ask(&sync()));
        }
        frames
    });
    all.same("a Query without a Sync before it", |w| {
        w.send(&[once("SET work_mem = '5MB'"), query("SHOW work_mem")].concat());
        let mut frames = w.until(b'Z', 1);
        frames.extend(w.ask(&sync()));
        frames
    });
    all.same("a Query behind a failed message", |w| {
        w.send(&[once("SELECT 1/0"), query("SELECT 1"), sync()].concat());
        let mut frames = w.until(b'Z', 1);
        frames.extend(w.query("SELECT 2"));
        frames
    });
    all.same("a Parse, then a Query", |w| {
        w.send(&[parse("a", "SELECT 1", &[]), query("SELECT 2")].concat());
        let mut frames = w.until(b'Z', 1);
        frames.extend(w.ask(&[bind("", "a", &[]), execute("", 0), sync()].concat()));
        frames
    });
    all.same("copy messages out of place", |w| {
        each(w, &[[copy_data(b"1\n"), copy_done(), copy_fail("no"), query("SELECT 1")].concat()])
    });
    all.same("executed twice", |w| {
        w.ask(&[parse("", "SELECT 1", &[]), bind("", "", &[]), execute("", 0), execute("", 0), sync()].concat())
    });
    all.same("bound and never executed", |w| {
        each(w, &[[parse("", "SELECT 1", &[]), bind("", "", &[]), sync()].concat(), [execute("", 0), sync()].concat()])
    });
    all.same("a function call", |w| {
        // int4pl(1, 2)
        let mut body = 177_u32.to_be_bytes().to_vec();
        body.extend([0, 1, 0, 1, 0, 2, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 2, 0, 1]);
        let mut unknown = body.clone();
        unknown[..4].copy_from_slice(&1_u32.to_be_bytes());
        each(w, &[frame(b'F', &body), frame(b'F', &unknown), query("SELECT 1")])
    });
}

fn copies(all: &mut Comparison) {
    all.same("COPY in", |w| {
        w.send(&query("COPY notes FROM STDIN"));
        let mut frames = w.until(b'G', 1);
        frames.extend(w.ask(&[copy_data(b"1\ta\n2"), copy_data(b"\tb\n"), copy_done()].concat()));
        frames.extend(w.query("SELECT * FROM notes"));
        frames
    });
    all.same("COPY in with what follows in the packet", |w| {
        w.send(&[query("COPY notes FROM STDIN"), copy_data(b"1\ta\n"), copy_done(), query("SELECT 1")].concat());
        w.until(b'Z', 2)
    });
    all.same("a bad row", |w| {
        w.send(&query("COPY notes FROM STDIN"));
        let mut frames = w.until(b'G', 1);
        w.send(&copy_data(b"1\ta\nx\tb\n"));
        w.send(&copy_data(b"3\tc\n"));
        frames.extend(w.until(b'Z', 1));
        w.send(&[copy_data(b"4\td\n"), copy_done()].concat());
        frames.extend(w.query("SELECT * FROM notes"));
        frames
    });
    all.same("CopyFail", |w| {
        w.send(&query("COPY notes FROM STDIN"));
        let mut frames = w.until(b'G', 1);
        frames.extend(w.ask(&[copy_data(b"1\ta\n"), copy_fail("changed my mind")].concat()));
        frames.extend(w.query("SELECT * FROM notes"));
        frames
    });
    all.same("Sync and Flush during COPY", |w| {
        w.send(&query("COPY notes FROM STDIN"));
        let mut frames = w.until(b'G', 1);
        frames.extend(w.ask(&[sync(), copy_data(b"1\ta\n"), flush(), sync(), copy_done()].concat()));
        frames.extend(w.query("SELECT * FROM notes"));
        frames
    });
    all.same("two COPYs in a Query", |w| {
        w.send(&query("COPY notes FROM STDIN; SELECT 1; COPY notes FROM STDIN"));
        let mut frames = w.until(b'G', 1);
        w.send(&[copy_data(b"1\ta\n"), copy_done()].concat());
        frames.extend(w.until(b'G', 1));
        frames.extend(w.ask(&[copy_data(b"2\tb\n"), copy_done()].concat()));
        frames.extend(w.query("SELECT * FROM notes"));
        frames
    });
    all.same("notices during COPY", |w| {
        w.send(&query("COPY loud FROM STDIN"));
        let mut frames = w.until(b'G', 1);
        for id in 1..=3 {
            // More than COPY collects for one insertion.
            let rows: String = (0..2000).map(|row| format!("{}\n", id * 10_000 + row)).collect();
            w.send(&copy_data(rows.as_bytes()));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        frames.extend(w.ask(&copy_done()));
        frames
    });
    let copy = || [parse("", "COPY notes FROM STDIN", &[]), bind("", "", &[]), execute("", 0)].concat();
    all.same("COPY in, extended, as libpq sends it", |w| {
        w.send(&[copy(), sync()].concat());
        let mut frames = w.until(b'G', 1);
        frames.extend(w.ask(&[copy_data(b"1\ta\n"), copy_done(), sync()].concat()));
        frames.extend(w.ask(&[once("SELECT * FROM notes"), sync()].concat()));
        frames
    });
    all.same("COPY in, extended, with Flush", |w| {
        w.send(&[copy(), flush()].concat());
        let mut frames = w.until(b'G', 1);
        w.send(&[copy_data(b"1\ta\n"), copy_done(), flush()].concat());
        frames.extend(w.until(b'C', 1));
        frames.extend(w.ask(&sync()));
        frames.extend(w.query("SELECT * FROM notes"));
        frames
    });
    all.same("COPY in, extended, a bad row", |w| {
        w.send(&[copy(), sync()].concat());
        let mut frames = w.until(b'G', 1);
        w.send(&copy_data(b"x\ta\n"));
        w.send(&copy_data(b"2\tb\n"));
        frames.extend(w.until(b'E', 1));
        frames.extend(w.ask(&[copy_data(b"3\tc\n"), copy_done(), sync()].concat()));
        frames.extend(w.query("SELECT * FROM notes"));
        frames
    });
    all.same("COPY in, extended, a bad row behind Flush", |w| {
        w.send(&[copy(), flush()].concat());
        let mut frames = w.until(b'G', 1);
        w.send(&copy_data(b"x\ta\n"));
        frames.extend(w.until(b'E', 1));
        frames.extend(w.ask(&[copy_data(b"3\tc\n"), copy_done(), sync()].concat()));
        frames.extend(w.query("SELECT * FROM notes"));
        frames
    });
    all.same("COPY in, extended, CopyFail", |w| {
        w.send(&[copy(), sync()].concat());
        let mut frames = w.until(b'G', 1);
        frames.extend(w.ask(&[copy_fail("no"), sync()].concat()));
        frames.extend(w.query("SELECT * FROM notes"));
        frames
    });
    all.same("COPY in, extended, everything in one packet", |w| {
        w.send(&[copy(), copy_data(b"1\ta\n"), copy_done(), sync()].concat());
        let mut frames = w.until(b'Z', 1);
        frames.extend(w.query("SELECT * FROM notes"));
        frames
    });
    all.same("COPY out", |w| {
        w.run("INSERT INTO notes VALUES (1, 'a'), (2, 'b')");
        each(
            w,
            &[
                query("COPY notes TO STDOUT"),
                [once("COPY notes TO STDOUT"), sync()].concat(),
                query("COPY (SELECT 1/0) TO STDOUT"),
            ],
        )
    });
}

fn settings(all: &mut Comparison) {
    all.same("SET and SHOW", |w| {
        queries(
            w,
            &[
                "SET work_mem = '5MB'",
                "SHOW work_mem",
                "RESET work_mem",
                "SHOW work_mem",
                "SET work_mem = 'x'",
                "SHOW work_mem",
            ],
        )
    });
    all.same("ParameterStatus", |w| {
        queries(
            w,
            &[
                "SET TimeZone = 'Asia/Tokyo'",
                "SHOW TimeZone",
                "RESET ALL",
                "SET application_name = 'me'",
                "SHOW application_name",
            ],
        )
    });
    all.same("rolled back", |w| {
        queries(
            w,
            &[
                "SET TimeZone = 'Asia/Tokyo'",
                "BEGIN",
                "SET TimeZone = 'Europe/Lisbon'",
                "SAVEPOINT s",
                "SET TimeZone = 'UTC'",
                "SET LOCAL work_mem = '6MB'",
                "ROLLBACK TO s",
                "SHOW TimeZone",
                "SHOW work_mem",
                "ROLLBACK",
                "SHOW TimeZone",
            ],
        )
    });
    all.same("SET LOCAL", |w| {
        queries(
            w,
            &[
                "BEGIN",
                "SET LOCAL work_mem = '7MB'",
                "SHOW work_mem",
                "COMMIT",
                "SHOW work_mem",
                "SET LOCAL work_mem = '8MB'",
                "SHOW work_mem",
            ],
        )
    });
    all.same("set in a pipeline that fails", |w| {
        each(
            w,
            &[
                [once("SET work_mem = '9MB'"), once("SELECT 1/0"), sync()].concat(),
                query("SHOW work_mem"),
                [once("SET work_mem = '9MB'"), bind("", "nobody", &[]), sync()].concat(),
                query("SHOW work_mem"),
                query("SET work_mem = '9MB'; SELECT 1/0"),
                query("SHOW work_mem"),
            ],
        )
    });
    all.same("set_config", |w| {
        each(
            w,
            &[
                query("SELECT set_config('my.a', 'one', false), set_config('work_mem', '5MB', false)"),
                query("SELECT current_setting('my.a')"),
                query("SHOW work_mem"),
                [
                    parse("", "SELECT set_config($1, $2, $3)", &[]),
                    bind("", "", &[Some("my.a"), Some("two"), Some("false")]),
                    execute("", 0),
                    sync(),
                ]
                .concat(),
                query("SELECT current_setting('my.a')"),
            ],
        )
    });
    all.same("roles", |w| {
        queries(
            w,
            &[
                "SET ROLE clerk",
                "SELECT current_user, session_user",
                "RESET ROLE",
                "SELECT current_user",
                "SET SESSION AUTHORIZATION clerk",
                "SELECT current_user, session_user",
                "SET ROLE none",
                "RESET SESSION AUTHORIZATION",
                "SELECT current_user, session_user",
                "SET ROLE clerk",
                "RESET ALL",
                "SELECT current_user",
                "DISCARD ALL",
                "SELECT current_user",
                "SELECT current_user",
            ],
        )
    });
    all.same("DISCARD ALL", |w| {
        each(
            w,
            &[
                [parse("a", "SELECT 1", &[]), sync()].concat(),
                query("SET work_mem = '5MB'"),
                query("DISCARD ALL"),
                query("SHOW work_mem"),
                [bind("", "a", &[]), sync()].concat(),
                [parse("a", "SELECT 1", &[]), bind("", "a", &[]), execute("", 0), sync()].concat(),
                query("BEGIN"),
                query("DISCARD ALL"),
                query("ROLLBACK"),
            ],
        )
    });
}

fn blocks(all: &mut Comparison) {
    all.same("spellings", |w| {
        queries(
            w,
            &[
                "begin work",
                "end",
                "START TRANSACTION READ ONLY",
                "SHOW transaction_read_only",
                "abort",
                "BEGIN ISOLATION LEVEL SERIALIZABLE",
                "SHOW transaction_isolation",
                "COMMIT WORK",
                "COMMIT",
                "ROLLBACK",
                "SAVEPOINT a",
                "BEGIN",
                "BEGIN",
                "COMMIT AND NO CHAIN",
            ],
        )
    });
    all.same("chained", |w| {
        queries(
            w,
            &[
                "BEGIN ISOLATION LEVEL REPEATABLE READ",
                "INSERT INTO notes VALUES (1, 'a')",
                "COMMIT AND CHAIN",
                "SHOW transaction_isolation",
                "INSERT INTO notes VALUES (2, 'a')",
                "ROLLBACK AND CHAIN",
                "SHOW transaction_isolation",
                "SELECT 1/0",
                "COMMIT AND CHAIN",
                "SELECT count(*) FROM notes",
                "ROLLBACK",
                "SHOW transaction_isolation",
                "COMMIT AND CHAIN",
            ],
        )
    });
    all.same("in the extended protocol", |w| {
        each(
            w,
            &[
                [once("BEGIN"), sync()].concat(),
                [once("INSERT INTO notes VALUES (1, 'a')"), sync()].concat(),
                [once("SAVEPOINT a"), once("INSERT INTO notes VALUES (1, 'a')"), sync()].concat(),
                [once("ROLLBACK TO a"), once("INSERT INTO notes VALUES (2, 'a')"), sync()].concat(),
                [once("COMMIT"), sync()].concat(),
                query("SELECT * FROM notes"),
            ],
        )
    });
    all.same("a whole block in a pipeline", |w| {
        each(
            w,
            &[
                [once("BEGIN"), once("INSERT INTO notes VALUES (1, 'a')"), once("COMMIT"), sync()].concat(),
                [once("BEGIN"), once("INSERT INTO notes VALUES (2, 'a')"), once("SELECT 1/0"), once("COMMIT"), sync()]
                    .concat(),
                query("COMMIT"),
                query("SELECT * FROM notes"),
            ],
        )
    });
    all.same("a write, then BEGIN in the pipeline", |w| {
        each(
            w,
            &[
                [
                    once("INSERT INTO notes VALUES (1, 'a')"),
                    once("BEGIN"),
                    once("INSERT INTO notes VALUES (2, 'a')"),
                    sync(),
                ]
                .concat(),
                query("ROLLBACK"),
                query("SELECT * FROM notes"),
            ],
        )
    });
    all.same("described in the extended protocol", |w| {
        w.ask(
            &[
                parse("", "BEGIN", &[]),
                describe_statement(""),
                bind("", "", &[]),
                describe_portal(""),
                execute("", 0),
                sync(),
            ]
            .concat(),
        )
    });
}

/// What is refused, or different with good reason, where there are several shards.
fn only_on_one(all: &mut Comparison) {
    all.same("temporary tables", |w| {
        queries(
            w,
            &[
                "CREATE TEMP TABLE t (a int)",
                "INSERT INTO t VALUES (1)",
                "SELECT * FROM t",
                "DISCARD TEMP",
                "SELECT * FROM t",
            ],
        )
    });
    all.same("sequences", |w| {
        queries(
            w,
            &[
                "CREATE TEMP SEQUENCE s",
                "SELECT nextval('s')",
                "SELECT currval('s')",
                "SELECT lastval()",
                "DROP SEQUENCE s",
            ],
        )
    });
    all.same("LISTEN and NOTIFY", |w| {
        queries(
            w,
            &[
                "LISTEN a",
                "NOTIFY a, 'x'",
                "SELECT pg_notify('a', 'y')",
                "UNLISTEN a",
                "NOTIFY a",
                "SELECT 1",
                "UNLISTEN *",
            ],
        )
    });
    all.same("quotes without an end", |w| {
        queries(w, &["SELECT 'abc", "SELECT /* abc", "SELECT 1; SELECT \"abc", "SELECT $$abc"])
    });
    all.same("quotes without an end, extended", |w| {
        w.ask(&[parse("", "SELECT 'abc", &[]), bind("", "", &[]), sync()].concat())
    });
    all.same("notices", |w| w.query("DO $$ BEGIN RAISE NOTICE 'hello %', 1; RAISE WARNING 'careful'; END $$"));
    all.same("prepared by SQL", |w| {
        each(
            w,
            &[
                query("PREPARE q AS SELECT $1::int + 1"),
                query("EXECUTE q(1)"),
                once("EXECUTE q(2)").into_iter().chain(sync()).collect(),
                query("DEALLOCATE q"),
                query("EXECUTE q(1)"),
            ],
        )
    });
    all.same("an enum", |w| {
        w.ask(
            &[
                parse("", "SELECT $1::mood, 'sad'::mood", &[]),
                describe_statement(""),
                bind("", "", &[Some("ok")]),
                execute("", 0),
                sync(),
            ]
            .concat(),
        )
    });
}

/// Statements over several shards; in which order rows come is nobody's promise.
fn scatters(all: &mut Comparison) {
    let sorted = |mut frames: Vec<Frame>| {
        // Rows stay where rows are: each run of them is sorted.
        for run in frames.chunk_by_mut(|a, b| a.tag == b.tag) {
            if run[0].tag == b'D' {
                run.sort_by(|a, b| a.body.cmp(&b.body));
            }
        }
        frames
    };
    let fill = |w: &mut Wire| {
        for id in 1..=6 {
            w.run(&format!("INSERT INTO items VALUES ({id}, 'v{id}')"));
        }
    };
    let rows = "SELECT id FROM items WHERE id < 7";
    // Rows differ from run to run where only some are fetched: their number counts.
    let count_only = |mut frames: Vec<Frame>| {
        frames.iter_mut().filter(|frame| frame.tag == b'D').for_each(|frame| frame.body.clear());
        frames
    };
    all.same("a scatter", |w| {
        fill(w);
        sorted(each(
            w,
            &[
                query(rows),
                [once(rows), sync()].concat(),
                [
                    parse("s", rows, &[]),
                    describe_statement("s"),
                    bind("", "s", &[]),
                    describe_portal(""),
                    execute("", 0),
                    sync(),
                ]
                .concat(),
                [bind("", "s", &[]), execute("", 0), sync()].concat(),
            ],
        ))
    });
    all.same("a scatter that fails", |w| {
        fill(w);
        let fails = "SELECT 1 / (id - 3) FROM items WHERE id < 7";
        let all = each(
            w,
            &[
                query(fails),
                [once(fails), sync()].concat(),
                query("BEGIN"),
                query(fails),
                query(rows),
                query("ROLLBACK"),
                query("BEGIN"),
                query("INSERT INTO items VALUES (7, 'x')"),
                [once(fails), once(rows), sync()].concat(),
                [once(rows), sync()].concat(),
                query("COMMIT"),
                query("SELECT * FROM items WHERE id = 7"),
            ],
        );
        // Which rows came before the error depends on the order.
        all.into_iter().filter(|frame| !b"DT2".contains(&frame.tag)).collect()
    });
    all.same("a scatter with a row limit", |w| {
        fill(w);
        count_only(each(
            w,
            &[
                [parse("s", rows, &[]), bind("", "s", &[]), execute("", 4), execute("", 4), execute("", 4), sync()]
                    .concat(),
                [bind("", "s", &[]), execute("", 6), execute("", 6), sync()].concat(),
                query("BEGIN"),
                [bind("p", "s", &[]), bind("q", "s", &[]), execute("p", 2), sync()].concat(),
                [execute("q", 5), sync()].concat(),
                [execute("p", 3), execute("q", 5), sync()].concat(),
                [execute("p", 0), close_portal("p"), sync()].concat(),
                [bind("p", "s", &[]), execute("p", 1), close_portal("p"), bind("p", "s", &[]), execute("p", 0), sync()]
                    .concat(),
                query("SELECT 1"),
                query("COMMIT"),
            ],
        ))
    });
    all.same("a scatter among others", |w| {
        fill(w);
        sorted(each(
            w,
            &[
                [
                    once("SELECT 1"),
                    once(rows),
                    once("SELECT v FROM items WHERE id = 2"),
                    once(rows),
                    once("SELECT 2"),
                    sync(),
                ]
                .concat(),
                [once(rows), bind("", "nobody", &[]), sync()].concat(),
                [once(rows), parse("n", "SELECT 5", &[]), sync()].concat(),
                [bind("", "n", &[]), execute("", 0), sync()].concat(),
                query("BEGIN"),
                query("UPDATE items SET v = 'new' WHERE id = 5"),
                query("SELECT v FROM items WHERE id < 7"),
                [once("SELECT v FROM items WHERE id < 7"), once("SELECT v FROM items WHERE id = 5"), sync()].concat(),
                query("SAVEPOINT s"),
                query("UPDATE items SET v = 'newer' WHERE id = 5"),
                query("ROLLBACK TO s"),
                query("SELECT v FROM items WHERE id < 7"),
                query("COMMIT"),
                query("SELECT v FROM items WHERE id < 7"),
            ],
        ))
    });
    all.same("nothing in a scatter", |w| {
        sorted(each(
            w,
            &[
                query(rows),
                [once(rows), sync()].concat(),
                [parse("", rows, &[]), bind("", "", &[]), execute("", 3), sync()].concat(),
            ],
        ))
    });
    all.same("NULL and notices in a scatter", |w| {
        fill(w);
        sorted(each(
            w,
            &[[
                parse("", "SELECT id, $1::text, NULL FROM items WHERE id < 7", &[]),
                bind_formats("", "", &[], &[None], &[1, 0, 0]),
                describe_portal(""),
                execute("", 0),
                sync(),
            ]
            .concat()],
        ))
    });
}

/// A pipeline that writes to two shards can't be one transaction: it is refused as a whole.
/// Statements that PostgreSQL answers on gathered rows: their portals live elsewhere than those of other statements.
fn gathers(all: &mut Comparison) {
    let fill = |w: &mut Wire| {
        for id in 1..=6 {
            w.run(&format!("INSERT INTO items VALUES ({id}, 'v{id}')"));
        }
    };
    let windowed = "SELECT id, rank() OVER (ORDER BY v DESC) FROM items WHERE id < $1 ORDER BY id";
    let seven = &[Some("7")];
    all.same("a gather", |w| {
        fill(w);
        each(
            w,
            &[
                query("SELECT id, rank() OVER (ORDER BY v DESC) FROM items WHERE id < 7 ORDER BY id"),
                query("SELECT count(*), string_agg(i.v, ',' ORDER BY i.id) FROM items i CROSS JOIN kinds k WHERE i.id < 7"),
                [
                    parse("s", windowed, &[20]),
                    describe_statement("s"),
                    bind("", "s", seven),
                    describe_portal(""),
                    execute("", 0),
                    sync(),
                ]
                .concat(),
                [bind("", "s", seven), execute("", 0), sync()].concat(),
                [bind("", "s", seven), execute("", 0), bind("", "s", seven), execute("", 0), sync()].concat(),
                [once("SELECT id FROM items WHERE id = 3"), bind("", "s", seven), execute("", 0), sync()].concat(),
                [bind("", "s", seven), execute("", 0), once("SELECT id FROM items WHERE id = 4"), sync()].concat(),
            ],
        )
    });
    all.same("a gather with a row limit", |w| {
        fill(w);
        each(
            w,
            &[
                [parse("s", windowed, &[20]), bind("", "s", seven), execute("", 4), execute("", 4), sync()].concat(),
                [bind("", "s", seven), execute("", 6), execute("", 6), sync()].concat(),
                query("BEGIN"),
                [bind("p", "s", seven), bind("q", "s", seven), execute("p", 2), sync()].concat(),
                [execute("q", 5), sync()].concat(),
                query("INSERT INTO items VALUES (0, 'new')"),
                [execute("p", 3), execute("q", 5), sync()].concat(),
                [execute("p", 0), close_portal("p"), sync()].concat(),
                [
                    bind("p", "s", seven),
                    execute("p", 1),
                    close_portal("p"),
                    bind("p", "s", seven),
                    execute("p", 0),
                    sync(),
                ]
                .concat(),
                query("SELECT 1"),
                query("ROLLBACK"),
                [execute("p", 0), sync()].concat(),
            ],
        )
    });
    all.same("a gather that fails", |w| {
        fill(w);
        let fails = "SELECT 1 / (count(*) - count(*)), array_agg(id) FROM items";
        let wrong = "SELECT nosuch, rank() OVER (ORDER BY id) FROM items";
        each(
            w,
            &[
                query(fails),
                [once(fails), sync()].concat(),
                query(wrong),
                [once(wrong), sync()].concat(),
                query("BEGIN"),
                query("INSERT INTO items VALUES (7, 'x')"),
                query(fails),
                query("SELECT 1"),
                query("COMMIT"),
                query("BEGIN"),
                query("SAVEPOINT a"),
                [once(fails), once("SELECT 2"), sync()].concat(),
                query("SELECT 3"),
                query("ROLLBACK TO a"),
                query("SELECT string_agg(v, ',' ORDER BY id) FROM items WHERE id < 7"),
                query("COMMIT"),
                query("SELECT string_agg(v, ',' ORDER BY id) FROM items WHERE id < 8"),
            ],
        )
    });
    all.same("a cursor over gathered rows", |w| {
        fill(w);
        each(
            w,
            &[
                query(
                    "DECLARE c CURSOR FOR SELECT id, rank() OVER (ORDER BY v DESC) FROM items WHERE id < 7 ORDER BY id",
                ),
                query("BEGIN"),
                query(
                    "DECLARE c CURSOR FOR SELECT id, rank() OVER (ORDER BY v DESC) FROM items WHERE id < 7 ORDER BY id",
                ),
                query("FETCH 2 FROM c"),
                [parse("f", "FETCH 1 FROM c", &[]), bind("", "f", &[]), execute("", 0), sync()].concat(),
                query("INSERT INTO items VALUES (0, 'new')"),
                query("FETCH ALL FROM c"),
                query("CLOSE c"),
                query("FETCH 1 FROM c"),
                query("ROLLBACK"),
                query("COPY (SELECT id, rank() OVER (ORDER BY v DESC) FROM items WHERE id < 7 ORDER BY id) TO STDOUT"),
            ],
        )
    });
}

#[test]
fn a_pipeline_never_writes_half() {
    let proxy = proxy(two(), 2, "");
    let mut w = super::world::ready(&proxy);
    for id in 301..=306 {
        w.run(&format!("DELETE FROM items WHERE id = {id}"));
    }
    for what in [
        "SELECT id FROM items",
        "INSERT INTO items VALUES (302, 'x')",
        "INSERT INTO items VALUES (303, 'x')",
        "INSERT INTO items VALUES (304, 'x')",
    ] {
        let frames = w.ask(&[once("INSERT INTO items VALUES (301, 'x')"), once(what), sync()].concat());
        let found = w.value("SELECT count(*) FROM items WHERE id = 301");
        match super::client::sqlstate(&frames).as_deref() {
            None => {
                assert_eq!(found, "1", "{what}");
                w.run("DELETE FROM items WHERE id = 301");
            }
            Some(state) => assert_eq!((state, found.as_str()), ("0A000", "0"), "{what}"),
        }
    }
}

/// PostgreSQL has them in one transaction. Shardway doesn't, and says so.
#[test]
fn a_query_behind_a_write_without_a_sync() {
    for cluster in [one(), two()] {
        let proxy = proxy(cluster, 2, "");
        let mut w = super::world::ready(&proxy);
        w.send(&[once("INSERT INTO notes VALUES (960, 'a')"), query("SELECT 1"), sync()].concat());
        let frames = w.until(b'Z', 1);
        assert_eq!(super::client::sqlstate(&frames).as_deref(), Some("0A000"), "{frames:?}");
        assert_eq!(w.value("SELECT count(*) FROM notes WHERE id = 960"), "0");
        // In a block nothing is committed by it.
        w.run("BEGIN");
        w.send(&[once("INSERT INTO notes VALUES (960, 'a')"), query("SELECT 1")].concat());
        assert!(super::client::sqlstate(&w.until(b'Z', 1)).is_none());
        w.run("ROLLBACK");
        assert_eq!(w.value("SELECT count(*) FROM notes WHERE id = 960"), "0");
    }
}
