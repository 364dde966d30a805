//! Cursors wherever their rows are: one name space, and savepoints that end those declared behind them.

use super::client::{Frame, Wire};
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
    let proxy = proxy(two(), 2, "");
    let mut all = Comparison::with(&proxy);
    conversations(&mut all);
    all.end();
}

fn queries(wire: &mut Wire, all: &[&str]) -> Vec<Frame> {
    all.iter().flat_map(|sql| wire.query(sql)).collect()
}

fn fill(w: &mut Wire) {
    for id in 1..=6 {
        w.run(&format!("INSERT INTO items VALUES ({id}, 'v{id}')"));
    }
}

/// One that needs rows of several shards, and one that home has.
const APART: &str = "SELECT a.id FROM items a JOIN items b ON a.v = b.v ORDER BY a.id";
const HOME: &str = "SELECT id FROM notes ORDER BY id";

fn conversations(all: &mut Comparison) {
    for (first, second) in [(APART, HOME), (HOME, APART), (APART, APART), (HOME, HOME)] {
        all.same(&format!("two cursors of one name: {first}, {second}"), |w| {
            fill(w);
            w.run("INSERT INTO notes VALUES (7, 'x')");
            queries(
                w,
                &[
                    "BEGIN",
                    &format!("DECLARE c CURSOR FOR {first}"),
                    "SAVEPOINT s",
                    &format!("DECLARE c CURSOR FOR {second}"),
                    "ROLLBACK TO s",
                    "FETCH 2 FROM c",
                    "CLOSE c",
                    &format!("DECLARE c CURSOR FOR {second}"),
                    "FETCH 1 FROM c",
                    "COMMIT",
                ],
            )
        });
        all.same(&format!("held cursors of one name: {first}, {second}"), |w| {
            fill(w);
            w.run("INSERT INTO notes VALUES (7, 'x')");
            queries(
                w,
                &[
                    &format!("DECLARE c CURSOR WITH HOLD FOR {first}"),
                    &format!("DECLARE c CURSOR WITH HOLD FOR {second}"),
                    "FETCH 2 FROM c",
                    "BEGIN",
                    &format!("DECLARE c CURSOR FOR {second}"),
                    "ROLLBACK",
                    "FETCH 2 FROM c",
                    "CLOSE c",
                    "FETCH 2 FROM c",
                ],
            )
        });
    }
    for query in [APART, HOME] {
        all.same(&format!("held cursors and savepoints: {query}"), |w| {
            fill(w);
            w.run("INSERT INTO notes VALUES (7, 'x')");
            queries(
                w,
                &[
                    "BEGIN",
                    &format!("DECLARE before CURSOR WITH HOLD FOR {query}"),
                    "SAVEPOINT s",
                    &format!("DECLARE behind CURSOR WITH HOLD FOR {query}"),
                    "FETCH 1 FROM before",
                    "FETCH 1 FROM behind",
                    "ROLLBACK TO s",
                    "FETCH 1 FROM before",
                    "SAVEPOINT t",
                    "FETCH 1 FROM behind",
                    "ROLLBACK TO t",
                    "FETCH 1 FROM before",
                    "COMMIT",
                    "FETCH 1 FROM before",
                    "FETCH 1 FROM behind",
                    "CLOSE before",
                ],
            )
        });
        all.same(&format!("cursors without hold and savepoints: {query}"), |w| {
            fill(w);
            w.run("INSERT INTO notes VALUES (7, 'x')");
            queries(
                w,
                &[
                    "BEGIN",
                    &format!("DECLARE before CURSOR FOR {query}"),
                    "SAVEPOINT s",
                    &format!("DECLARE behind CURSOR FOR {query}"),
                    "FETCH 1 FROM before",
                    "ROLLBACK TO s",
                    "FETCH 1 FROM before",
                    "SAVEPOINT t",
                    "FETCH 1 FROM behind",
                    "ROLLBACK TO t",
                    "RELEASE t",
                    "COMMIT",
                ],
            )
        });
        all.same(&format!("held cursors of nested savepoints: {query}"), |w| {
            fill(w);
            queries(
                w,
                &[
                    "BEGIN",
                    "SAVEPOINT s",
                    "SAVEPOINT t",
                    &format!("DECLARE inner_one CURSOR WITH HOLD FOR {query}"),
                    "RELEASE t",
                    "ROLLBACK TO s",
                    "SAVEPOINT u",
                    "FETCH 1 FROM inner_one",
                    "ROLLBACK TO u",
                    &format!("DECLARE kept CURSOR WITH HOLD FOR {query}"),
                    "RELEASE s",
                    "COMMIT",
                    "FETCH 1 FROM kept",
                    "CLOSE kept",
                ],
            )
        });
    }
}
