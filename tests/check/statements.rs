//! `shardway check --statements`, as an application's CI runs it.

use std::path::Path;
use std::process::{Command, Output};

use shardway::devcluster::Cluster;

const STATEMENTS: &str = "
-- The shop's.
SELECT email FROM users WHERE id = 1;
SELECT email FROM users WHERE id = 2;
SELECT email, count(*) FROM users GROUP BY email;
SELECT email FROM users u WHERE EXISTS (SELECT FROM orders o WHERE o.total > u.id);
INSERT INTO users (id, email) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd');
SELECT pg_notify('named', email) FROM users;
";

fn check(config: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardway"));
    command.args(["check", "--config"]).arg(config).args(arguments).output().expect("the binary starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

pub fn statements(cluster: &Cluster, config: &Path) {
    let path = |name: &str| cluster.directory().join(name).display().to_string();
    let (file, catalog) = (path("statements.sql"), path("catalog.json"));
    std::fs::write(&file, STATEMENTS).expect("the cluster's directory is writable");

    let asked = check(config, &["--statements", &file, "--write-catalog", &catalog]);
    let shown = text(&asked);
    assert!(!asked.status.success(), "one is refused: {shown}");
    for part in [
        "line 3 (2 calls): SELECT email FROM users WHERE id = ?\n    one shard: shard ",
        "line 5: SELECT email, count(*) FROM users GROUP BY email\n    scattered: shards a, b (",
        "\n    gathered: gather ",
        "\n    written on several shards: inserts on shards ",
        "line 8: SELECT pg_notify(?, email) FROM users\n    refused 0A000: ",
        "\n    hint: ",
        "6 statements of 5 shapes: 2 one shard (33 %), 1 scattered (17 %), 1 written on several shards (17 %), 1 gathered (17 %), 1 refused (17 %)",
        "exceeded: 1 refused, at most 0 allowed",
    ] {
        assert!(shown.contains(part), "{part:?} isn't in:\n{shown}");
    }

    // What was written serves without a server, which the password of nobody shows.
    let elsewhere = path("elsewhere.toml");
    let text_of_file = std::fs::read_to_string(config).expect("it was written").replace("127.0.0.1", "192.0.2.1");
    std::fs::write(&elsewhere, text_of_file).expect("the cluster's directory is writable");
    let from_file = check(Path::new(&elsewhere), &["--statements", &file, "--catalog", &catalog, "--max-refused", "1"]);
    assert!(from_file.status.success(), "{}", text(&from_file));
    let asked = check(config, &["--statements", &file, "--max-refused", "1"]);
    assert_eq!(text(&from_file), text(&asked));

    // Without columns there is no gather.
    let offline = check(Path::new(&elsewhere), &["--statements", &file, "--offline"]);
    assert!(text(&offline).contains("refused") && !text(&offline).contains("gathered"), "{}", text(&offline));

    for (limit, holds) in [
        (["--max-scattered", "0"], false),
        (["--max-scattered", "1"], true),
        (["--max-gathered", "10%"], false),
        (["--max-gathered", "20%"], true),
        (["--max-written", "0"], false),
        (["--max-written", "17%"], true),
    ] {
        let arguments = ["--statements", &file, "--catalog", &catalog, "--max-refused", "100%", limit[0], limit[1]];
        let output = check(Path::new(&elsewhere), &arguments);
        assert_eq!(output.status.success(), holds, "{limit:?}: {}", text(&output));
    }

    let arguments = ["--statements", &file, "--catalog", &catalog, "--format", "json"];
    let output = check(Path::new(&elsewhere), &arguments);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!(json["calls"], 6);
    assert_eq!(json["calls_by_class"]["one_shard"], 2);
    assert_eq!(json["statements"][4]["refusal"]["sqlstate"], "0A000");
    assert_eq!(json["exceeded"], serde_json::json!(["1 refused, at most 0 allowed"]));
}
