//! PREPARE and EXECUTE as SQL beside the protocol's own prepared statements: one name space, the same messages.

use super::client::{Frame, Wire, sqlstate, tags};
use super::message::*;
use super::world::{Comparison, one, proxy, ready, two};

#[test]
fn on_one_shard() {
    let proxy = proxy(one(), 1, "");
    let mut all = Comparison::with(&proxy);
    conversations(&mut all);
    only_on_one(&mut all);
    all.end();
}

#[test]
fn nobody_is_pinned_by_them() {
    let proxy = proxy(one(), 1, "");
    let (mut a, mut b) = (ready(&proxy), ready(&proxy));
    for (wire, value) in [(&mut a, 1), (&mut b, 2)] {
        wire.run(&format!("PREPARE mine (int) AS SELECT {value} + $1"));
    }
    for _ in 0..3 {
        assert_eq!(a.value("EXECUTE mine (10)"), "11");
        assert_eq!(b.value("EXECUTE mine (10)"), "12");
    }
    assert_eq!(a.value("SELECT count(*) FROM pg_prepared_statements WHERE from_sql"), "1");
    // A server has them now: the client keeps its connection until they are gone.
    assert_eq!(a.value("EXECUTE mine (20)"), "21");
    a.run("PREPARE other AS SELECT 5");
    assert_eq!(a.value("EXECUTE other"), "5");
    a.run("DEALLOCATE mine");
    a.run("DEALLOCATE other");
    assert_eq!(b.value("EXECUTE mine (20)"), "22");
    b.run("DEALLOCATE mine");
    assert_eq!(b.fails("EXECUTE mine (20)"), "26000");
}

#[test]
fn columns_stay_as_they_were_told() {
    let proxy = proxy(one(), 3, "");
    let (mut a, mut b) = (ready(&proxy), ready(&proxy));
    b.run("CREATE TABLE shaped (a int); INSERT INTO shaped VALUES (1)");
    a.ask(&[parse("s", "SELECT * FROM shaped", &[]), describe_statement("s"), sync()].concat());
    a.run("PREPARE t AS SELECT * FROM shaped");
    let both = |a: &mut Wire| {
        let bound = a.ask(&[bind("", "s", &[]), execute("", 0), sync()].concat());
        [bound, a.query("EXECUTE t")].map(|frames| sqlstate(&frames).unwrap_or_else(|| tags(&frames)))
    };
    let fits = ["2DCZ", "TDCZ"];
    assert_eq!(both(&mut a), fits);
    let changes = [
        ("ALTER TABLE shaped ADD COLUMN b text", ["0A000", "0A000"]),
        ("ALTER TABLE shaped DROP COLUMN b", fits),
        ("ALTER TABLE shaped RENAME COLUMN a TO c", ["0A000", "0A000"]),
        ("ALTER TABLE shaped RENAME COLUMN c TO a; ALTER TABLE shaped ALTER COLUMN a SET DEFAULT 1", fits),
        ("ALTER TABLE shaped ALTER COLUMN a TYPE bigint", ["0A000", "0A000"]),
        ("ALTER TABLE shaped ALTER COLUMN a TYPE int", fits),
        ("DROP TABLE shaped", ["42P01", "42P01"]),
    ];
    for (change, expected) in changes {
        b.run(change);
        // Whichever connection serves it.
        let mut others: Vec<Wire> = Vec::new();
        for _ in 0..3 {
            assert_eq!(both(&mut a), expected, "{change}, {} others", others.len());
            if others.len() < 2 {
                let mut other = ready(&proxy);
                other.run("BEGIN; SELECT 1");
                others.push(other);
            }
        }
        for mut other in others {
            other.run("COMMIT");
        }
    }
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
                "PREPARE a (int) AS SELECT $1 + 1 AS v",
                "EXPLAIN (COSTS off, FORMAT json) EXECUTE a (3)",
                "EXPLAIN (COSTS off, FORMAT json) EXECUTE a (3.2)",
                "EXPLAIN EXECUTE b (3)",
            ],
        )
    });
    all.same("one that fails has no description", |w| {
        fill(w);
        queries(
            w,
            &[
                "PREPARE one (int) AS INSERT INTO notes VALUES ($1, 'a') RETURNING id, v",
                "PREPARE few (bigint) AS INSERT INTO items VALUES ($1, 'a'), ($1 + 1, 'b') RETURNING id, v",
                "EXECUTE one (1)",
                "EXECUTE one (1)",
                "EXECUTE few (6)",
                "BEGIN",
                "EXECUTE few (7)",
                "EXECUTE few (8)",
                "EXECUTE few (9)",
                "ROLLBACK",
                "PREPARE divided (int) AS SELECT 1 / $1",
                "EXECUTE divided (0)",
                "EXECUTE divided (1)",
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

/// What a server alone can do with them.
fn only_on_one(all: &mut Comparison) {
    let view =
        "SELECT name, statement, parameter_types, from_sql FROM pg_prepared_statements WHERE from_sql ORDER BY name";
    all.same("where a server has to have them", move |w| {
        queries(
            w,
            &[
                "PREPARE a (int) AS SELECT $1 + 1 AS v, $1 AS n",
                "PREPARE \"B\" AS INSERT INTO notes VALUES ($1, $2)",
                "EXECUTE a (1)",
                "EXPLAIN (COSTS off) EXECUTE a (1)",
                "EXECUTE \"B\" (1, 'one')",
                view,
                "CREATE TEMP TABLE made AS EXECUTE a (1)",
                "SELECT * FROM made",
                "DEALLOCATE a",
                view,
                "PREPARE c AS SELECT 3",
                "PREPARE c AS SELECT 4",
                "EXECUTE c",
                "DROP TABLE made",
                "DEALLOCATE ALL",
                view,
                "EXECUTE c",
            ],
        )
    });
    all.same("among other statements, and in a function", move |w| {
        queries(
            w,
            &[
                "PREPARE a AS SELECT 1 AS one",
                "SELECT 2; EXECUTE a; EXECUTE nothing; SELECT 3",
                "DEALLOCATE a",
                "PREPARE a AS SELECT 1 AS one; EXECUTE a; DEALLOCATE a",
                "EXECUTE a",
                "PREPARE n AS INSERT INTO notes VALUES (1, 'n')",
                "DO 'BEGIN EXECUTE ''EXECUTE n''; END'",
                "SELECT * FROM notes",
                "EXECUTE n",
                "DISCARD ALL",
                "EXECUTE n",
            ],
        )
    });
    all.same("of which one can't be prepared any more", move |w| {
        queries(
            w,
            &[
                "CREATE TABLE gone (a int)",
                "PREPARE g AS SELECT * FROM gone",
                "PREPARE h AS SELECT 1",
                "DROP TABLE gone",
                "BEGIN",
                "EXECUTE h",
                "EXECUTE g",
                "EXECUTE h",
                "ROLLBACK",
                "EXECUTE g",
                "EXECUTE h",
                "DEALLOCATE g",
                "DEALLOCATE h",
            ],
        )
    });
    all.same("in a pipeline", |w| {
        each(
            w,
            &[
                query("PREPARE a (int) AS INSERT INTO notes VALUES ($1, 'x')"),
                [once("EXECUTE a (1)"), once("EXPLAIN (COSTS off) EXECUTE a (2)"), once("EXECUTE a (2)"), sync()]
                    .concat(),
                [once("PREPARE b AS SELECT 1"), once("EXECUTE a (3)"), once("EXECUTE b"), once("SELECT 1/0"), sync()]
                    .concat(),
                query("SELECT * FROM notes"),
            ],
        )
    });
}
