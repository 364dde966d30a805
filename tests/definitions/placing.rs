//! New tables that a comment places, or the configuration's rule for new tables.

use super::{alone, cluster, config, connect, fails, is_on, on_each, rows, run};
use crate::support::Proxy;
use crate::wire::{Client, texts};

/// Rows over all shards, and on how many of them there are some.
fn spread(table: &str) -> (i64, usize) {
    let counts = on_each(&format!("SELECT count(*) FROM {table}"));
    let counts: Vec<i64> = counts.iter().map(|count| count.parse().expect("a count")).collect();
    (counts.iter().sum(), counts.iter().filter(|count| **count > 0).count())
}

#[test]
fn a_comment_places_a_new_table_in_the_transaction_that_makes_it() {
    let (_turn, mut client) = alone();
    // It has looked before: whoever doesn't know a name looks again.
    let other = Proxy::start(cluster(), &config(""));
    let mut stale = Client::connect(other.address(), cluster().user(), "shop").expect("it serves");
    let asked = |client: &mut Client, sql: &str| {
        let turn = client.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        texts(&turn, sql)
    };
    assert_eq!(asked(&mut stale, "SELECT count(*) FROM pg_class WHERE relname = 'visits'"), [["0"]]);
    run(&mut client, "CREATE TABLE places (id int PRIMARY KEY)");
    run(&mut client, "BEGIN");
    run(
        &mut client,
        "CREATE TABLE visits (id bigserial, user_id bigint NOT NULL, at date DEFAULT '2026-01-01', note varchar(20) COLLATE \"C\", \
         twice bigint GENERATED ALWAYS AS (user_id * 2) STORED, PRIMARY KEY (user_id, id), CHECK (note <> ''))",
    );
    run(&mut client, "CREATE INDEX visits_at ON visits (at DESC) WHERE note IS NOT NULL");
    run(&mut client, "ALTER TABLE visits ADD COLUMN \"Odd name\" text[] DEFAULT '{}'");
    run(&mut client, "COMMENT ON TABLE visits IS 'shardway: key=user_id; who was where'");
    run(&mut client, "INSERT INTO visits (user_id, note) SELECT n, 'n' FROM generate_series(1, 40) AS n");
    assert_eq!(rows(&mut client, "SELECT count(*), count(DISTINCT id) FROM visits"), [["40", "40"]]);
    run(&mut client, "COMMIT");
    assert_eq!(spread("visits"), (40, 3));
    // The other proxy never takes it for a table of the home shard.
    assert_eq!(
        asked(&mut stale, "SELECT count(*), min(twice), max(at)::text FROM visits"),
        [["40", "2", "2026-01-01"]]
    );
    for id in 41..=60 {
        let sql = format!("INSERT INTO visits (user_id, note) VALUES ({id}, 'm')");
        assert!(stale.query(&sql).is_ok_and(|turn| turn.error().is_none()), "{sql}");
    }
    assert_eq!(rows(&mut client, "SELECT count(*), count(DISTINCT id) FROM visits"), [["60", "60"]]);
    for user in 1..=60 {
        let sql = format!("SELECT count(*) FROM visits WHERE user_id = {user}");
        assert_eq!(rows(&mut client, &sql), [["1"]], "{user}");
    }
    // All of it is the same everywhere.
    let columns = on_each(
        "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod) || attnotnull, ',' ORDER BY attname)
        FROM pg_attribute WHERE attrelid = 'visits'::regclass AND attnum > 0",
    );
    assert!(columns.iter().all(|text| *text == columns[0]), "{columns:?}");
    let comments = on_each("SELECT obj_description('visits'::regclass)");
    assert!(comments.iter().all(|text| text == "shardway: key=user_id; who was where"), "{comments:?}");
    assert_eq!(on_each("SELECT count(*) FROM pg_indexes WHERE tablename = 'visits'"), ["2", "2", "2"]);
    // Definitions, and other comments, as on any sharded table.
    run(&mut client, "ALTER TABLE visits ADD COLUMN more int");
    run(&mut client, "COMMENT ON TABLE visits IS 'shardway: key=user_id; other words'");
    for wrong in ["'words'", "NULL", "'shardway: key=id'", "E'shardway: key=i\\x64'"] {
        let (code, message) = fails(&mut client, &format!("COMMENT ON TABLE visits IS {wrong}"));
        assert!(code == "0A000" && message.contains("says where its rows are"), "{wrong}: {code} {message}");
    }
    assert_eq!(fails(&mut client, "ALTER TABLE visits DROP COLUMN user_id").0, "0A000");
    assert_eq!(fails(&mut client, "CREATE UNIQUE INDEX ON visits (note)").0, "0A000");
    run(&mut client, "DROP TABLE visits");
    is_on("visits", [false; 3]);
}

#[test]
fn what_can_not_be_placed_by_a_comment_is_refused_and_nothing_stays() {
    let (_turn, mut client) = alone();
    run(&mut client, "CREATE TABLE old (id bigint PRIMARY KEY)");
    let (code, message) = fails(&mut client, "COMMENT ON TABLE old IS 'shardway: key=id'");
    assert!(code == "0A000" && message.contains("is not new"), "{code} {message}");
    run(&mut client, "CREATE TABLE users (id bigint PRIMARY KEY)");
    for (made, comment, why) in [
        (vec!["CREATE TABLE t (id bigint PRIMARY KEY)", "INSERT INTO t VALUES (1)"], "key=id", "it has rows"),
        (vec!["CREATE TABLE t (id bigint PRIMARY KEY, other bigint)"], "key=other", "unique"),
        (vec!["CREATE TABLE t (id bigint PRIMARY KEY)"], "key=nothing", "as its comment says"),
        (vec!["CREATE TABLE t (id point, d date)"], "key=d", "as its comment says"),
        (vec!["CREATE TABLE t (id text)"], "key=id colocate=users", "as its comment says"),
        (vec!["CREATE TABLE t (id bigint)"], "key=id colocate=old", "to colocate a table with"),
        (vec!["CREATE TABLE t (id bigint)"], "kee=id", "is not understood"),
        (vec!["CREATE TABLE t (id bigint REFERENCES old)"], "key=id", "foreign key"),
        (
            vec!["CREATE TABLE t (id bigint PRIMARY KEY)", "CREATE VIEW v AS SELECT * FROM t"],
            "key=id",
            "a view reads it",
        ),
        (
            vec!["CREATE TABLE t (id bigint PRIMARY KEY)", "CREATE TABLE u (id bigint REFERENCES t)"],
            "key=id",
            "a foreign key refers to it",
        ),
    ] {
        run(&mut client, "BEGIN");
        for sql in &made {
            run(&mut client, sql);
        }
        let (code, message) = fails(&mut client, &format!("COMMENT ON TABLE t IS 'shardway: {comment}'"));
        assert!(code == "0A000" && message.contains(why), "{made:?} {comment}: {code} {message}");
        assert_eq!(run(&mut client, "COMMIT"), ["ROLLBACK"]);
        is_on("t", [false; 3]);
    }
    // Rolled back, it is placed nowhere; and a text may do both, but nothing else behind that.
    run(&mut client, "BEGIN");
    run(&mut client, "CREATE TABLE t (id bigint PRIMARY KEY)");
    run(&mut client, "SAVEPOINT s");
    run(&mut client, "COMMENT ON TABLE t IS 'shardway: key=id'");
    run(&mut client, "ROLLBACK TO s");
    run(&mut client, "COMMIT");
    is_on("t", [true, false, false]);
    run(&mut client, "INSERT INTO t SELECT generate_series(1, 20)");
    assert_eq!(rows(&mut client, "SELECT count(*) FROM t"), [["20"]]);
    run(&mut client, "DROP TABLE t");
    let text = "CREATE TABLE t (id bigint PRIMARY KEY); COMMENT ON TABLE t IS 'shardway: key=id'";
    assert_eq!(fails(&mut client, &format!("{text}; INSERT INTO t VALUES (1)")).0, "0A000");
    run(&mut client, text);
    run(&mut client, "INSERT INTO t SELECT generate_series(1, 20)");
    assert_eq!(spread("t"), (20, 3));
    // Reference and colocated tables.
    run(&mut client, "BEGIN");
    run(&mut client, "CREATE TABLE colours (id serial PRIMARY KEY, name text)");
    run(&mut client, "COMMENT ON TABLE colours IS 'shardway: reference'");
    run(&mut client, "CREATE TABLE marks (t bigint, colour int REFERENCES colours)");
    run(&mut client, "COMMENT ON TABLE marks IS 'shardway: key=t colocate=t'");
    run(&mut client, "ALTER TABLE marks ADD FOREIGN KEY (t) REFERENCES t");
    run(&mut client, "COMMIT");
    run(&mut client, "INSERT INTO colours (name) VALUES ('red'), ('blue')");
    assert_eq!(on_each("SELECT string_agg(id || name, ' ' ORDER BY id) FROM colours"), ["1red 2blue"; 3]);
    run(&mut client, "INSERT INTO marks SELECT n, n % 2 + 1 FROM generate_series(1, 20) AS n");
    assert_eq!(spread("marks"), (20, 3));
    let sql = "SELECT name, count(*) FROM marks JOIN t ON t.id = marks.t JOIN colours ON colours.id = colour GROUP BY name ORDER BY name";
    assert_eq!(rows(&mut client, sql), [["blue", "10"], ["red", "10"]]);
    assert_eq!(fails(&mut client, "INSERT INTO marks VALUES (99, 1)").0, "23503");
}

#[test]
fn the_rule_places_tables_that_have_its_column() {
    let (_turn, mut client) = alone();
    run(&mut client, "CREATE TABLE users (id bigint PRIMARY KEY)");
    run(&mut client, "CREATE TABLE earlier (user_id bigint)");
    let ruled = Proxy::start(cluster(), &config("new_tables = \"key=user_id colocate=users\""));
    let mut client = Client::connect(ruled.address(), cluster().user(), "shop").expect("it serves");
    run(&mut client, "CREATE TABLE notes (id bigserial PRIMARY KEY, user_id bigint REFERENCES users, body text)");
    run(&mut client, "CREATE TABLE IF NOT EXISTS plain (id int)");
    is_on("notes", [true; 3]);
    is_on("plain", [true, false, false]);
    run(&mut client, "INSERT INTO users SELECT generate_series(1, 30)");
    run(&mut client, "INSERT INTO notes (user_id, body) SELECT n, 'b' FROM generate_series(1, 30) AS n");
    assert_eq!(spread("notes"), (30, 3));
    assert_eq!(rows(&mut client, "SELECT count(*) FROM users JOIN notes ON user_id = users.id"), [["30"]]);
    // What was there before stays where it is.
    run(&mut client, "CREATE TABLE IF NOT EXISTS earlier (user_id bigint)");
    run(&mut client, "INSERT INTO earlier SELECT generate_series(1, 9)");
    assert_eq!(run(&mut client, "DELETE FROM earlier"), ["DELETE 9"]);
    is_on("earlier", [true, false, false]);
    assert_eq!(fails(&mut client, "CREATE TABLE wrong (user_id bigint, email text UNIQUE)").0, "0A000");
    is_on("wrong", [false; 3]);
    // Without the rule it is placed all the same.
    let mut client = connect();
    assert_eq!(rows(&mut client, "SELECT count(*), count(DISTINCT id) FROM notes"), [["30", "30"]]);
    run(&mut client, "DROP TABLE notes, plain, earlier, users");
}
