//! The command line without any server: plans by the configuration alone, help, and how commands end.

use std::process::{Command, Output};

fn shardway(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardway"));
    // Neither secrets nor certificates are needed to plan.
    command.env_remove("SHOP_PASSWORD").env_remove("SHOP_SERVER_PASSWORD");
    command.args(arguments).output().expect("the binary has been built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first line of the plan by `config/full.toml`.
fn plan(sql: &str) -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/full.toml");
    let output = shardway(&["plan", "--config", file, sql]);
    assert_eq!(output.status.code(), Some(0), "{sql}: {}", text(&output.stderr));
    text(&output.stdout).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn plans_are_printed_without_any_server() {
    for (sql, wanted) in [
        ("SELECT * FROM users WHERE id = 42", "shard a (users.id = 42)"),
        ("SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 42", "shard a ("),
        ("SELECT * FROM users", "shards a, b (rows of each, one after the other)"),
        ("SELECT * FROM users ORDER BY name", "shards a, b (rows of each, merged by ORDER BY)"),
        // Its unique columns are claimed in the same transaction.
        ("INSERT INTO users (id, name) VALUES (42, 'x')", "writes on shards a"),
        ("INSERT INTO orders (user_id, id) VALUES (42, 1)", "shard a (orders.user_id = 42"),
        ("UPDATE users SET name = 'x' WHERE id IN (42, 42)", "writes on shards a"),
        ("UPDATE orders SET id = 2 WHERE user_id IN (42, 42)", "shard a (orders.user_id = 42"),
        ("DELETE FROM users", "writes on shards a, b"),
        ("UPDATE users SET id = id + 1", "refused 0A000:"),
        ("SELECT * FROM events WHERE created_at >= '2026-02-01'", "shard b (the only shard in the range"),
        ("SELECT * FROM accounts WHERE region = 'us'", "shard b (accounts.region = 'us')"),
        ("SELECT * FROM accounts WHERE region = 'mars'", "shard a (no row can match)"),
        ("SELECT * FROM geo.countries", "any shard (reference tables)"),
        ("SELECT * FROM settings", "shard a (home)"),
        ("/* shardway: shard=b */ SELECT foo(1)", "shard b (hint)"),
        ("SELECT * FROM users WHERE id % 10 = 3", "shards a, b"),
        ("CREATE TABLE users2 (id int)", ""),
        ("BEGIN", "the shards of the transaction"),
        ("SELEC 1", "shard a (home)"),
        ("", "nothing to run"),
    ] {
        let plan = plan(sql);
        println!("{sql}\n    {plan}");
        assert!(plan.starts_with(wanted), "{sql}: {plan}");
    }
}

#[test]
fn commands_say_what_is_wrong_and_end_with_a_failure() {
    let minimal = concat!(env!("CARGO_MANIFEST_DIR"), "/config/minimal.toml");
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let bad = directory.join("bad.toml");
    std::fs::write(&bad, "[server]\nlisten = \"nope\"\nworkerz = 3\n").expect("target/ can be written to");
    let bad = bad.to_str().expect("the path is text");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--help"], 0, "Usage: shardway"),
        (&["--version"], 0, "shardway "),
        (&[], 2, "Usage: shardway"),
        (&["--nope"], 2, "--nope"),
        (&["frobnicate"], 2, "frobnicate"),
        (&["plan", "--config", minimal], 2, "<SQL>"),
        (&["plan", "--config", minimal, "--database", "nope", "SELECT 1"], 1, "no database \"nope\""),
        (&["plan", "--config", minimal, "SELECT 'x"], 1, "unterminated"),
        (&["plan", "--config", "/nonexistent", "SELECT 1"], 1, "can't be read"),
        (&["--config", "/nonexistent"], 1, "can't be read"),
        (&["setup", "--config", "/nonexistent"], 1, "can't be read"),
        (&["check", "--config", "/nonexistent"], 1, "can't be read"),
        (&["check", "--config", bad], 1, "write `workers`"),
        (&["--config", bad], 1, "write a number address and a port"),
    ];
    for (arguments, code, said) in cases {
        let output = shardway(arguments);
        let all = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {all}");
        assert!(all.contains(said), "{arguments:?} doesn't say {said:?}: {all}");
    }
}
