//! Each mistake, with its place and remedy, as the user reads it: `mistakes.txt` holds files and what
//! is said of them.

use super::*;

/// Behind a line `=== title` stands the end of a file that begins with the seven lines of
/// [`with_shop`] (`=== bare title`: the whole file), and behind `---` what is wrong with it.
#[test]
fn mistakes_are_reported_in_these_words() {
    let snapshot = include_str!("mistakes.txt");
    let mut found = String::new();
    for case in snapshot.split("=== ").skip(1) {
        let (title, rest) = case.split_once('\n').expect("a title is a line");
        let (text, _) = rest.split_once("---").expect("a case has two parts");
        let whole = if title.starts_with("bare") { text.to_owned() } else { with_shop(text) };
        let mistakes = load(&whole).map_or_else(|mistakes| mistakes.mistakes, |_| Vec::new());
        found.push_str(&format!("=== {title}\n{text}---\n"));
        for mistake in mistakes {
            let shown = mistake.to_string();
            assert!(!shown.contains("hush"), "a password is shown: {shown}");
            found.push_str(&format!("{shown}\n"));
        }
    }
    // What changed is easier to see in a difference of files than in an assertion's message.
    if found != snapshot {
        let path = std::env::temp_dir().join("shardway-mistakes.txt");
        std::fs::write(&path, &found).expect("the temporary directory is writable");
        panic!("the messages differ from src/config/tests/mistakes.txt: compare with {}", path.display());
    }
}

#[test]
fn all_are_shown_with_the_files_name() {
    let text = "[server]\nlisten = 5\nworkrs = 2\n";
    let mistakes = load(text).expect_err("it is full of them");
    assert_eq!(
        mistakes.to_string(),
        "shardway.toml:1:1: there is no user: nobody could log in; \
         write [[user]], and under it name = \"shop\" and password = { env = \"SHOP_PASSWORD\" }\n\
         shardway.toml:1:1: there is no database; \
         write [database.shop.shard.a], and under it primary = \"postgres://10.0.0.1:5432/shop\"\n\
         shardway.toml:2:10: `listen` must be a string or a list of strings, not a whole number; \
         write listen = \"127.0.0.1:6432\"\n\
         shardway.toml:3:1: unknown key `workrs` in [server]; write `workers`"
    );
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let cases = [
        (
            "[server]\nlisten = \"0.0.0.0:6432\"\nauthentication = \"trust\"\n",
            "10:18: everyone who can reach 0.0.0.0:6432 gets in without a password; write authentication = \"scram-sha-256\"",
        ),
        (
            "[server]\nlisten = \"0.0.0.0:6432\"\n[[hba]]\ntype = \"host\"\naddress = \"0.0.0.0/0\"\nmethod = \"trust\"\n",
            "13:10: everyone who can reach 0.0.0.0:6432 gets in without a password; write method = \"scram-sha-256\"",
        ),
        (
            "[server]\nauthentication = \"md5\"\n[[hba]]\ntype = \"local\"\nmethod = \"md5\"\n",
            "9:18: `authentication` has no effect: the rules under [[hba]] say how clients prove who they are; remove it",
        ),
        (
            "[[hba]]\ntype = \"hostssl\"\naddress = \"all\"\nmethod = \"md5\"\n",
            "9:8: no client comes by TLS: the file has no [server.tls]; add it, or remove the rule",
        ),
        (
            "[database.other.shard.a]\nprimary = \"postgres://h1/shop\"\n",
            "9:11: the same server and database as of [database.shop] in line 5; make sure that both are meant to use it",
        ),
        (
            "[database.x.shard.a]\nprimary = \"postgres://h8\"\nreplicas = [\"postgres://h8/x\"]\n",
            "10:13: this replica is the shard's primary in line 9; remove it; `reads` says when the primary answers",
        ),
        (
            "[database.x.shard.a]\nprimary = \"postgres://h8\"\nreplicas = [\"postgres://h9\", \"postgres://h9\"]\n",
            "10:30: the same replica as in line 10; remove one of them",
        ),
        (
            "[database.x.shard.a]\nprimary = \"postgres://h8?sslrootcert=ca.crt\"\n",
            "9:11: sslrootcert has no effect: this sslmode doesn't look at certificates; write sslmode=verify-full",
        ),
        (
            "[pool]\nwait_timeout = \"1s\"\n",
            "9:16: `wait_timeout` is shorter than `connect_timeout` (5s): a slow connect can't be waited for; \
             write wait_timeout = \"5s\" or more",
        ),
        (
            "[[user]]\nname = \"f\"\npassword = { file = \"open\" }\n",
            "10:12: `password`: every user of this machine can read open; run chmod o= open",
        ),
    ];
    for (more, wanted) in cases {
        assert_eq!(warnings(&with_shop(more)), [wanted]);
    }
}

#[test]
fn trust_needs_no_password() {
    let text = with_server("authentication = \"trust\"\n").replace("password = \"x\"\n", "");
    let loaded = good(&text);
    assert!(loaded.config.users[0].password.is_none() && loaded.warnings.is_empty());
}
