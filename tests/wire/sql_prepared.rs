//! PREPARE and EXECUTE as SQL beside the protocol's own prepared statements: one name space, the same messages.

use super::client::{Frame, Wire};
use super::message::*;
use super::world::{Comparison, one, proxy, two};

#[test]
fn on_one_shard() {
    let proxy = proxy(one(), 1, "");
    let mut all = Comparison::with(&proxy);
    conversations(&mut all);
    all.end();
}

#[test]
fn on_two_shards() {
    let proxy = proxy(two(), 1, "");
    let mut all = Comparison::with(&proxy);
    conversations(&mut all);
    all.end();
}

fn each(wire: &mut Wire, requests: &[Vec<u8>]) -> Vec<Frame> {
    requests.iter().flat_map(|request| wire.ask(request)).collect()
}

fn queries(wire: &mut Wire, all: &[&str]) -> Vec<Frame> {
    all.iter().flat_map(|sql| wire.query(sql)).collect()
}

fn fill(w: &mut Wire) {
    for id in 1..=6 {
        w.run(&format!("INSERT INTO items VALUES ({id}, 'v{id}')"));
    }
}

fn conversations(all: &mut Comparison) {
    all.same("positions in what is prepared and in arguments", |w| {
        queries(
            w,
            &[
                "PREPARE q AS SELECT nothing FROM items",
                "/* \u{e9} */ PREPARE q (bigint) AS SELECT v FROM items WHERE id = $1 AND",
                "/* \u{e9} */ PREPARE \"\u{e9}\" (bigint) AS SELECT v, $1 FROM items WHERE id = $1",
                "EXECUTE \"\u{e9}\" (nothing)",
                " /* \u{e9} */ EXECUTE \"\u{e9}\" (1 + nothing)",
                "EXECUTE \"\u{e9}\" ('x' || 'y')",
                "EXECUTE \"\u{e9}\" (true)",
                "EXECUTE \"\u{e9}\" (1, 2)",
                "EXECUTE \"\u{e9}\" (1 + 1)",
                "EXECUTE",
                "EXECUTE q (",
                "PREPARE",
                "DEALLOCATE q",
                "DEALLOCATE",
            ],
        )
    });
    all.same("EXECUTE of a name that isn't there, in the extended protocol", |w| {
        each(
            w,
            &[
                [parse("", "EXECUTE nothing", &[]), sync()].concat(),
                [parse("x", "EXECUTE nothing (1)", &[]), describe_statement("x"), sync()].concat(),
                [bind("", "x", &[]), execute("", 0), sync()].concat(),
                [parse("", "EXECUTE nothing", &[]), bind("", "", &[]), describe_portal(""), execute("", 0), sync()]
                    .concat(),
                [parse("", "EXECUTE nothing", &[]), bind("", "", &[]), execute("", 0), sync()].concat(),
                query("SELECT 1"),
            ],
        )
    });
    all.same("several statements in one Parse", |w| {
        each(
            w,
            &[
                [parse("", "COMMIT; BEGIN", &[]), sync()].concat(),
                [parse("", "SELECT 1; SELECT 2", &[]), bind("", "", &[]), execute("", 0), sync()].concat(),
                query("BEGIN"),
                [parse("", "SELECT 1; SELECT 2", &[]), sync()].concat(),
                [parse("", "COMMIT; BEGIN", &[]), sync()].concat(),
                [parse("", "ROLLBACK; BEGIN", &[]), bind("", "", &[]), execute("", 0), sync()].concat(),
                [parse("", "SELECT 1; SELECT 2", &[]), sync()].concat(),
                [parse("", "SELECT", &[]), sync()].concat(),
                [parse("", "SELEC", &[]), sync()].concat(),
                [parse("", "", &[]), sync()].concat(),
                [parse("", "", &[]), bind("", "", &[]), execute("", 0), sync()].concat(),
                query("SELECT 1; SELECT 2"),
                query("SELEC"),
                query(""),
                query("ROLLBACK; BEGIN; SELECT 1"),
                query("ROLLBACK"),
            ],
        )
    });
    all.same("rows of one shard, of several, and of none", |w| {
        fill(w);
        queries(
            w,
            &[
                "PREPARE one (bigint) AS SELECT id, v FROM items WHERE id = $1",
                "PREPARE few (bigint) AS SELECT id, v FROM items WHERE id < $1 ORDER BY id DESC",
                "PREPARE sum (bigint) AS SELECT count(*), sum(id) FROM items WHERE id < $1",
                "PREPARE ranked (bigint) AS SELECT id, rank() OVER (ORDER BY v DESC) FROM items WHERE id < $1 ORDER BY id",
                "PREPARE add (bigint, text) AS INSERT INTO items VALUES ($1, $2), ($1 + 1, $2)",
                "PREPARE added (bigint, text) AS INSERT INTO items VALUES ($1, $2), ($1 + 1, $2) RETURNING id, v",
                "PREPARE home AS INSERT INTO notes VALUES ($1, $2) RETURNING *",
                "PREPARE again AS INSERT INTO notes VALUES ($1, $2)",
                "PREPARE gone (bigint) AS DELETE FROM items WHERE id > $1 AND id < 13",
                "EXECUTE one (3)",
                "EXECUTE one (3 - 2)",
                "EXECUTE one (12)",
                "EXECUTE few (5)",
                "EXECUTE sum (7)",
                "EXECUTE ranked (7)",
                "EXECUTE add (7, 'seven')",
                "EXECUTE added (9, 'nine' || '')",
                "EXECUTE home (1, 'a')",
                "EXECUTE again (1, 'a')",
                "EXECUTE again (2, NULL)",
                "EXECUTE gone (6)",
                "EXECUTE few (13)",
                "BEGIN",
                "EXECUTE few (3)",
                "EXECUTE add (7, 'seven')",
                "EXECUTE few (13)",
                "EXECUTE again (1, 'a')",
                "EXECUTE few (13)",
                "ROLLBACK",
                "EXECUTE few (13)",
            ],
        )
    });
    all.same("one name space with Parse", |w| {
        fill(w);
        each(
            w,
            &[
                [parse("a", "SELECT id, v FROM items WHERE id = $1", &[]), sync()].concat(),
                query("EXECUTE a (2)"),
                query("EXECUTE a (1 + 2)"),
                query("PREPARE a AS SELECT 1"),
                query("PREPARE b AS SELECT id, v FROM items WHERE id = $1"),
                [describe_statement("b"), sync()].concat(),
                [bind("", "b", &[Some("4")]), describe_portal(""), execute("", 0), sync()].concat(),
                [close_statement("b"), sync()].concat(),
                query("EXECUTE b (4)"),
                query("PREPARE b AS SELECT 5"),
                query("EXECUTE b"),
                query("DEALLOCATE a"),
                [bind("", "a", &[Some("2")]), sync()].concat(),
            ],
        )
    });
    all.same("in the extended protocol", |w| {
        fill(w);
        each(
            w,
            &[
                [once("PREPARE a (bigint) AS SELECT id, v FROM items WHERE id = $1"), sync()].concat(),
                [
                    parse("e", "EXECUTE a (3)", &[]),
                    describe_statement("e"),
                    bind("", "e", &[]),
                    describe_portal(""),
                    execute("", 0),
                    sync(),
                ]
                .concat(),
                [bind("", "e", &[]), execute("", 0), bind("", "e", &[]), execute("", 0), sync()].concat(),
                [once("EXECUTE a (1 + 1)"), once("EXECUTE a (5)"), once("SELECT 1"), sync()].concat(),
                [once("INSERT INTO notes VALUES (1, 'a')"), once("EXECUTE a (1 + 1)"), once("SELECT 1/0"), sync()]
                    .concat(),
                query("SELECT * FROM notes"),
                [once("DEALLOCATE a"), once("DEALLOCATE a"), sync()].concat(),
                query("EXECUTE a (1)"),
            ],
        )
    });
    all.same("EXPLAIN", |w| {
        queries(
            w,
            &[
                "PREPARE a (int) AS SELECT v FROM notes WHERE id = $1",
                "EXPLAIN (COSTS off, FORMAT json) EXECUTE a (3)",
                "EXPLAIN (COSTS off, FORMAT json) EXECUTE a (3.2)",
                "EXPLAIN EXECUTE b (3)",
            ],
        )
    });
    all.same("PREPARE isn't transactional", |w| {
        queries(
            w,
            &[
                "BEGIN",
                "PREPARE a AS SELECT 1",
                "SELECT 1/0",
                "PREPARE b AS SELECT 1",
                "EXECUTE a",
                "DEALLOCATE a",
                "ROLLBACK",
                "EXECUTE a",
                "DISCARD ALL",
                "EXECUTE a",
            ],
        )
    });
}
