//! The documents and example files say what is: SQLSTATEs, strategies and alerts by name, links that lead somewhere,
//! configurations that load.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use saphyr::LoadableYamlNode;
use shardway::config::Config;
use shardway::observe::Strategy;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The first cells of a table's rows, without the marks of code.
fn first_cells(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    rows.filter_map(|row| row.split(" |").next()).map(|cell| cell.replace('`', "")).collect()
}

#[test]
fn every_sqlstate_has_its_row() {
    let source = read("src/types/sqlstate.rs");
    let raised: BTreeSet<String> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub const ")?.split("Self(\"").nth(1)?.split('"').next())
        .map(str::to_owned)
        .collect();
    assert!(raised.len() > 20);
    let mut told = first_cells(&read("docs/sqlstates.md"));
    told.remove("SQLSTATE");
    assert_eq!(told, raised);
}

/// By section; `full.toml` has them all, which a test beside the configuration holds.
#[test]
fn every_option_has_its_row() {
    let general = |section: &str| {
        let parts: Vec<&str> = section.split('.').collect();
        match parts[..] {
            ["database", _] => "[database.NAME]".to_owned(),
            ["database", _, "shard", ..] => "[database.NAME.shard.NAME]".to_owned(),
            ["database", _, "table", ..] => "[database.NAME.table.TABLE]".to_owned(),
            _ => format!("[{section}]"),
        }
    };
    let (mut options, mut section) = (BTreeSet::new(), String::new());
    for line in read("config/full.toml").lines() {
        if let Some(name) = line.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")) {
            section = format!("[[{name}]]");
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = general(name);
        } else if let Some((key, _)) = line.split_once('=')
            && key.trim().bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_')
        {
            options.insert(format!("{section} {}", key.trim()));
        }
    }
    assert!(options.len() > 60, "{options:?}");
    let (mut told, mut section) = (BTreeSet::new(), String::new());
    for line in read("docs/options.md").lines() {
        if let Some(name) = line.strip_prefix("## ") {
            section = name.trim_matches('`').to_owned();
        } else if let Some(row) = line.strip_prefix("| `") {
            let (option, rest) = row.split_once('`').expect("code ends");
            assert!(!rest.trim_end_matches(" |").ends_with('|'), "{option} has no meaning");
            told.insert(format!("{section} {option}"));
        }
    }
    let of_sessions = |option: &String| option.starts_with("Settings of a session");
    let settings: Vec<&String> = told.iter().filter(|option| of_sessions(option)).collect();
    assert_eq!(settings.len(), 6, "{settings:?}");
    let told: BTreeSet<String> = told.iter().filter(|option| !of_sessions(option)).cloned().collect();
    assert_eq!(told, options);
}

#[test]
fn every_strategy_is_told_what_it_costs() {
    let text = read("docs/costs.md");
    let missing: Vec<_> =
        Strategy::ALL.into_iter().filter(|one| !text.contains(&format!("`{}`", one.name()))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn links_lead_somewhere() {
    let documents = file("docs").read_dir().expect("there are documents").flatten();
    let mut all: Vec<String> = documents.map(|entry| format!("docs/{}", entry.file_name().to_string_lossy())).collect();
    all.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(str::to_owned));
    for document in all {
        let text = read(&document);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let folder = Path::new(&document).parent().expect("a file has a folder");
            assert!(file(".").join(folder).join(path).exists(), "{document} links to {target}");
        }
    }
}

#[test]
fn the_kubernetes_example_has_a_configuration_that_loads() {
    let text = read("config/kubernetes.yaml");
    let documents = saphyr::Yaml::load_from_str(&text).expect("it is YAML");
    let kinds: Vec<&str> = documents.iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["ConfigMap", "Deployment", "Service"]);
    let toml = documents[0]["data"]["shardway.toml"].as_str().expect("the file");
    let directory = tempfile("kubernetes");
    let path = directory.join("shardway.toml");
    // What the Secret gives.
    let toml =
        toml.replace("{ env = \"SHOP_PASSWORD\" }", "\"x\"").replace("{ env = \"MONITORING_PASSWORD\" }", "\"x\"");
    std::fs::write(&path, &toml).expect("target/ can be written to");
    let loaded = Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.config.databases["shop"].shards.len(), 2);
    let container = &documents[1]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["readinessProbe"]["httpGet"]["path"].as_str(), Some("/ready"));
    let grace = documents[1]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_integer();
    assert!(grace.is_some_and(|seconds| seconds > 30));
}

/// The documents of users.
fn documents() -> Vec<String> {
    let documents = file("docs").read_dir().expect("there are documents").flatten();
    let mut all: Vec<String> = documents.map(|entry| format!("docs/{}", entry.file_name().to_string_lossy())).collect();
    all.push("README.md".to_owned());
    all
}

#[test]
fn configurations_in_the_documents_load() {
    let mut loaded = 0;
    for document in documents() {
        let text = read(&document);
        for block in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let path = tempfile("documents").join("shardway.toml");
            let mut block = block.replace("{ env = \"SHOP_PASSWORD\" }", "\"x\"");
            if !block.contains("[[user]]") {
                block.push_str("\n[[user]]\nname = \"shop\"\npassword = \"x\"\n");
            }
            if !block.contains(".shard.") {
                block.push_str("\n[database.shop.shard.a]\nprimary = \"postgres://10.0.0.1:5432/shop\"\n");
            }
            std::fs::write(&path, &block).expect("target/ can be written to");
            Config::load(&path).unwrap_or_else(|error| panic!("{document}: {error}\n{block}"));
            loaded += 1;
        }
    }
    assert!(loaded >= 2, "{loaded}");
}

/// Each `shardway VERB --option` that a document names is one.
#[test]
fn commands_in_the_documents_exist() {
    let help = |verb: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_shardway"));
        let output = command.args(verb.split_whitespace()).arg("--help").output().expect("it starts");
        assert!(output.status.success(), "there is no shardway {verb}");
        String::from_utf8(output.stdout).expect("it is text")
    };
    let verbs_of = |help: &str| -> Vec<String> {
        let listed = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
        listed.map_while(|line| Some(line.strip_prefix("  ")?.split_whitespace().next()?.to_owned())).collect()
    };
    let verbs = verbs_of(&help(""));
    let contains = |verbs: &[String], word: &str| verbs.iter().any(|verb| verb == word);
    assert!(contains(&verbs, "check") && verbs.len() > 5, "{verbs:?}");
    let mut seen = BTreeSet::new();
    for document in documents() {
        for line in read(&document).lines() {
            for rest in line.split("shardway ").skip(1) {
                let command = rest.split(['`', ')', ';']).next().unwrap_or_default();
                // In a table `one\|other` is a choice.
                let mut words =
                    command.split_whitespace().map(|word| word.split("\\|").next().unwrap_or_default()).peekable();
                let mut verb = words.next_if(|word| contains(&verbs, word)).unwrap_or("").to_owned();
                if !verb.is_empty()
                    && let Some(inner) = words.next_if(|word| contains(&verbs_of(&help(&verb)), word))
                {
                    verb = format!("{verb} {inner}");
                }
                for option in words.filter(|word| word.starts_with("--")) {
                    let option = option.trim_matches(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
                    assert!(help(&verb).contains(option), "{document}: shardway {verb} has no {option}");
                    seen.insert(format!("{verb} {option}"));
                }
            }
        }
    }
    assert!(seen.len() >= 7, "{seen:?}");
}

#[test]
fn the_systemd_unit_drains_and_reloads() {
    let unit = read("config/shardway.service");
    for line in ["ExecReload=/bin/kill -HUP $MAINPID", "TimeoutStopSec=45", "LimitNOFILE=65536", "NoNewPrivileges=yes"]
    {
        assert!(unit.lines().any(|one| one == line), "{line}");
    }
}

/// By systemd itself, where it is installed.
#[test]
fn systemd_understands_the_unit() {
    let binary = env!("CARGO_BIN_EXE_shardway");
    let unit = read("config/shardway.service").replace("/usr/bin/shardway", binary);
    let path = tempfile("systemd").join("shardway.service");
    std::fs::write(&path, unit).expect("target/ can be written to");
    // Without --man=no it looks for the documentation.
    match std::process::Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output() {
        Err(error) => println!("systemd-analyze isn't there: {error}"),
        Ok(output) => {
            let said =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            // It looks at the units of the machine as well.
            let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("shardway.service")).collect();
            assert_eq!(about_ours, [""; 0]);
        }
    }
}

fn tempfile(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&directory).expect("target/ can be written to");
    directory
}
