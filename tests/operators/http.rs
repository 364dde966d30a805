//! The HTTP pages: metrics that Prometheus reads and that dashboard and alerts name, health, and who may look.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use saphyr::LoadableYamlNode;

use super::support::{Proxy, free_port, repository_file};
use super::wire::Messages;
use super::{becomes, cluster, config, connect};

/// A proxy with pages there.
pub fn start(address: &str, more: &str) -> (Proxy, SocketAddr) {
    let address: SocketAddr = format!("{address}:{}", free_port()).parse().expect("it is one");
    let proxy = Proxy::start(cluster(), &config(&format!("admin = \"{address}\""), more));
    (proxy, SocketAddr::from(([127, 0, 0, 1], address.port())))
}

/// Status and body.
fn get_with(address: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("the pages are served");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket has time-outs");
    let request = format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered in UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{head}")), body.to_owned())
}

pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    get_with(address, path, &format!("Host: {address}\r\n"))
}

/// Samples by name and labels; every line must be one.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    let mut typed = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().expect("a name");
            assert!(typed.insert(name.to_owned()), "{name} is there twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
        let value = value.parse().unwrap_or_else(|_| panic!("not a number: {line}"));
        assert_eq!(all.insert(series.to_owned(), value), None, "{series} is there twice");
        let name = series.split('{').next().unwrap_or_default();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        assert!(typed.contains(name) || family.is_some_and(|family| typed.contains(family)), "{name} has no type");
    }
    all
}

/// The words of a text that look like metrics, without what a histogram adds.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = words.filter(|word| word.starts_with("shardway_") || word.starts_with("process_"));
    let family = |word: &str| {
        let suffix = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| word.strip_suffix(suffix));
        suffix.unwrap_or(word).to_owned()
    };
    ours.map(family).collect()
}

#[test]
fn metrics_follow_what_clients_do_and_dashboard_and_alerts_name_none_that_is_missing() {
    let (proxy, address) = start("127.0.0.1", "");
    let mut app = connect(&proxy, "app", "shop");
    for id in 1000..1020 {
        app.rows(&format!("INSERT INTO users VALUES ({id}, 'x')"));
    }
    app.rows("SELECT name FROM users");
    app.rows("BEGIN; SELECT pg_advisory_lock(1)");
    app.rows("COMMIT");
    assert!(app.query("DO 'BEGIN END'").expect("answered").error().is_some());
    let (status, text) = get(address, "/metrics");
    assert_eq!(status, 200);
    let all = samples(&text);
    let value = |series: &str| *all.get(series).unwrap_or_else(|| panic!("{series} is not in\n{text}"));
    let by_key = "{database=\"shop\",kind=\"insert\",strategy=\"key\"";
    assert_eq!(value(&format!("shardway_statement_duration_seconds_count{by_key}}}")), 20.0);
    assert_eq!(value(&format!("shardway_statement_duration_seconds_bucket{by_key},le=\"+Inf\"}}")), 20.0);
    assert!(value(&format!("shardway_statement_duration_seconds_sum{by_key}}}")) > 0.0);
    assert_eq!(value("shardway_pins_total{database=\"shop\",reason=\"advisory_locks\"}"), 1.0);
    assert_eq!(value("shardway_errors_total{database=\"shop\",sqlstate=\"0A000\"}"), 1.0);
    assert_eq!(value("shardway_clients{database=\"shop\",phase=\"idle\"}"), 1.0);
    assert_eq!(value("shardway_database_served{database=\"shop\"}"), 1.0);
    assert!(value("shardway_sent_bytes_total{database=\"shop\"}") > 500.0);
    assert!(all.keys().any(|series| series.starts_with("shardway_refusals_total{database=\"shop\",reason=\"")));
    let up = all.iter().filter(|(series, _)| series.starts_with("shardway_node_up{"));
    assert_eq!(up.map(|(_, value)| *value).collect::<Vec<_>>(), [1.0; 4]);
    let nodes = all.iter().filter(|(series, _)| series.starts_with("shardway_node_request_duration_seconds_count{"));
    assert!(nodes.map(|(_, value)| value).sum::<f64>() >= 21.0);

    let there: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect();
    let read = |file: &str| std::fs::read_to_string(repository_file(file)).expect("it is there");
    let dashboard = read("config/grafana-dashboard.json");
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).expect("it is JSON");
    assert!(parsed["panels"].as_array().is_some_and(|panels| panels.len() > 10));
    let alerts = read("config/prometheus-alerts.yml");
    let rules = saphyr::Yaml::load_from_str(&alerts).expect("it is YAML");
    let rules = rules[0]["groups"][0]["rules"].as_sequence().expect("there are rules").len();
    assert_eq!(rules, alerts.matches("- alert: ").count());
    for (file, text) in [("the dashboard", &dashboard), ("the alerts", &alerts)] {
        let named = metrics_in(text);
        let missing: Vec<_> = named.difference(&there).collect();
        assert!(named.len() > 8 && missing.is_empty(), "{file} name {missing:?}");
    }
}

#[test]
fn health_and_readiness_are_told() {
    let (proxy, address) = start("127.0.0.1", "");
    assert_eq!(get(address, "/health"), (200, "ok\n".to_owned()));
    becomes("it is ready", || get(address, "/ready") == (200, "database shop: served\n".to_owned()));
    assert_eq!(get(address, "/nothing").0, 404);
    let mut app = connect(&proxy, "app", "shop");
    app.rows("BEGIN; SELECT 1");
    connect(&proxy, "ops", "shardway").query("SHUTDOWN").expect("answered");
    becomes("it says so while it drains", || get(address, "/ready") == (503, "draining\n".to_owned()));
    app.rows("COMMIT");
}

#[test]
fn a_database_that_cannot_be_planned_for_is_not_ready() {
    let port = free_port();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nadmin = \"127.0.0.1:{port}\"\n[[user]]\nname = \"x\"\npassword = \"x\"\n\
         [database.lost.shard.a]\nprimary = \"postgres://127.0.0.1:1/x\"\n[database.lost.shard.b]\nprimary = \"postgres://127.0.0.1:2/x\"\n"
    );
    let _proxy = Proxy::start(cluster(), &text);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(get(address, "/ready"), (503, "database lost: waits for its servers\n".to_owned()));
    let all = samples(&get(address, "/metrics").1);
    assert_eq!(all["shardway_database_served{database=\"lost\"}"], 0.0);
}

#[test]
fn on_loopback_a_page_of_another_site_reads_nothing() {
    let (_proxy, address) = start("127.0.0.1", "");
    for (host, status) in [("localhost", 200), ("127.0.0.1:1", 200), ("evil.example", 403), ("", 403)] {
        assert_eq!(get_with(address, "/metrics", &format!("Host: {host}\r\n")).0, status, "{host}");
    }
}

#[test]
fn elsewhere_users_log_in() {
    let (_proxy, address) = start("0.0.0.0", "");
    let with = |login: &str| {
        use base64::Engine;
        let encoded = base64::engine::general_purpose::STANDARD.encode(login);
        get_with(address, "/metrics", &format!("Host: proxy.example\r\nAuthorization: Basic {encoded}\r\n")).0
    };
    assert_eq!([with("ops:ops-secret"), with("watch:watch-secret")], [200, 200]);
    assert_eq!([with("app:app-secret"), with("ops:wrong"), with("ops:"), with("nobody:x")], [401; 4]);
    assert_eq!(get(address, "/metrics").0, 401);
    assert_eq!(get(address, "/health").0, 200);
}

#[test]
fn many_scrapes_under_load_are_answered() {
    let (proxy, address) = start("127.0.0.1", "");
    let mut app = connect(&proxy, "app", "shop");
    app.send(Messages::default().query("SELECT pg_sleep(3)")).expect("sent");
    for _ in 0..100 {
        assert_eq!(get(address, "/metrics").0, 200);
    }
    app.answer().expect("answered");
    // The answer is on its way before it is counted.
    becomes("it took longer than half a second", || {
        let text = get(address, "/metrics").1;
        text.contains("strategy=\"home\",le=\"0.5\"} 0\n") && text.contains("strategy=\"home\",le=\"+Inf\"} 1\n")
    });
}

/// The page asks no other host, and its script runs on what the proxy answers while load runs.
#[test]
fn the_dashboard_shows_what_happens() {
    let (proxy, address) = start("127.0.0.1", "[log]\nslow_statement = \"100ms\"\n");
    let mut app = connect(&proxy, "app", "shop");
    let mut files = String::new();
    for path in ["/", "/dashboard.css", "/dashboard.js"] {
        let (status, text) = get(address, path);
        assert_eq!(status, 200, "{path}");
        files.push_str(&text);
    }
    assert!(!files.replace("http://www.w3.org/2000/svg", "").contains("://"), "another host is named");
    for id in 0..300 {
        app.rows(&format!("SELECT name FROM users WHERE id = {}", id % 7));
    }
    app.rows("SELECT pg_sleep(0.15)");
    assert!(app.query("DO 'BEGIN END'").expect("answered").error().is_some());
    app.rows("BEGIN; SELECT 1");
    let node = super::support::NodeEnv::get();
    let shown = node.run("tests/operators/dashboard.mjs", &[&format!("http://{address}")]);
    app.rows("COMMIT");
    for wanted in [
        "asked api/buckets api/state api/state",
        "select name from users where id=?",
        "select pg_sleep(?)",
        "idle in transaction",
        "users.id = 3",
        "a (home)",
        "2 nodes up",
        "do ?",
    ] {
        assert!(shown.contains(wanted), "{wanted} is not in\n{shown}");
    }
}
