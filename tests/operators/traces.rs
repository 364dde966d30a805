//! Spans, as a collector receives them: a small one of OTLP over HTTP in JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::support::Proxy;
use super::wire::Messages;
use super::{becomes, cluster, config, connect};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector, and the spans that it has got.
fn collector() -> (SocketAddr, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    let spans = Arc::new(Mutex::new(Vec::new()));
    let received = Arc::clone(&spans);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let received = Arc::clone(&received);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                while let Some(body) = request(&mut reader) {
                    let resource = &body["resourceSpans"][0];
                    assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "the proxy");
                    let spans = resource["scopeSpans"][0]["spans"].as_array().expect("spans").clone();
                    received.lock().expect("no thread panics with it").extend(spans);
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                    reader.get_mut().write_all(answer.as_bytes()).expect("the proxy listens");
                }
            });
        }
    });
    (address, spans)
}

fn request(reader: &mut BufReader<std::net::TcpStream>) -> Option<Value> {
    let (mut length, mut line) = (0, String::new());
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    assert!(line.starts_with("POST /v1/traces HTTP/1.1"), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if line == "\r\n" {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).expect("JSON"))
}

fn text<'v>(span: &'v Value, name: &str) -> &'v str {
    let attributes = span["attributes"].as_array().expect("attributes");
    let found = attributes.iter().find(|attribute| attribute["key"] == name);
    found.and_then(|found| found["value"]["stringValue"].as_str()).unwrap_or_default()
}

/// The statement's span and its children's names, once it is there.
fn statement(spans: &Mutex<Vec<Value>>, part: &str) -> (Value, Vec<String>) {
    let find = || {
        let all = spans.lock().expect("no thread panics with it");
        let found = all.iter().find(|span| text(span, "db.query.text").contains(part))?.clone();
        let children = all.iter().filter(|span| span["parentSpanId"] == found["spanId"]);
        let child = |child: &Value| {
            let (begin, end) = (nanos(child, "startTimeUnixNano"), nanos(child, "endTimeUnixNano"));
            assert!(begin <= end && end <= nanos(&found, "endTimeUnixNano"), "{child} of {found}");
            assert_eq!(child["traceId"], found["traceId"]);
            let name = child["name"].as_str().expect("a name");
            name.split(" 127.0.0.1").next().unwrap_or(name).to_owned()
        };
        Some((found.clone(), children.map(child).collect()))
    };
    becomes(&format!("no span of {part}"), || find().is_some());
    find().expect("it was there")
}

fn nanos(span: &Value, name: &str) -> u64 {
    span[name].as_str().and_then(|nanos| nanos.parse().ok()).expect("a number as a string")
}

#[test]
fn statements_have_spans_in_the_trace_of_their_application() {
    let (address, spans) = collector();
    let more = format!("[traces]\nendpoint = \"http://{address}\"\nsample = \"100%\"\nservice = \"the proxy\"");
    let proxy = Proxy::start(cluster(), &config("", &more));
    let mut client = connect(&proxy, "app", "shop");
    let comment = |flags: &str| format!("/*framework='x',traceparent='00-{TRACE}-{PARENT}-{flags}'*/");

    client.rows(&format!("SELECT name AS untraced FROM users WHERE id = 1 {}", comment("00")));
    client.rows(&format!("SELECT name AS by_key FROM users WHERE id = 1 {}", comment("01")));
    let (span, children) = statement(&spans, "by_key");
    assert_eq!((span["traceId"].as_str(), span["parentSpanId"].as_str()), (Some(TRACE), Some(PARENT)));
    assert_eq!((span["name"].as_str(), span["kind"].as_u64()), (Some("SELECT"), Some(2)));
    assert_eq!((text(&span, "shardway.strategy"), text(&span, "db.namespace")), ("key", "shop"));
    assert_eq!(span["status"]["code"], 0);
    assert!(children.iter().any(|name| name.starts_with("shard ")), "{children:?}");
    assert!(!text(&span, "db.query.text").contains("= 1"), "values aren't told: {span}");

    // Again, now on the short way.
    client.rows(&format!("SELECT name AS by_key FROM users WHERE id = 2 {}", comment("01")));
    becomes("the second call has a span of its own", || {
        let all = spans.lock().expect("no thread panics with it");
        all.iter().filter(|span| text(span, "db.query.text").contains("by_key")).count() == 2
    });

    client.rows("SELECT count(*) AS over_all FROM users");
    let (span, mut children) = statement(&spans, "over_all");
    children.sort();
    children.dedup();
    let shards: Vec<&String> = children.iter().filter(|name| name.starts_with("shard ")).collect();
    assert!(shards.len() >= 2 && children.contains(&"merge".to_owned()), "{children:?}");
    assert_eq!((span["parentSpanId"].as_str(), text(&span, "shardway.strategy")), (None, "merge"));

    let refused = client.query("SELECT pg_notify('named', name) AS refused FROM users").expect("it answers");
    assert!(refused.error().is_some());
    let (span, children) = statement(&spans, "refused");
    assert_eq!((text(&span, "error.type"), span["status"]["code"].as_u64()), ("0A000", Some(2)));
    // A server is asked whether it finds something else wrong with the statement; that can be waited for.
    assert!(children.iter().all(|name| name == "wait"), "{children:?}");

    let sql = format!("SELECT name AS prepared FROM users WHERE id = $1 {}", comment("01"));
    let bound = Messages::default().parse("p", &sql, &[20]).bind("p", &[(0, Some(b"7".to_vec()))], 0);
    client.turn(bound.execute(0).sync()).expect("it answers");
    let (span, _) = statement(&spans, "prepared");
    assert_eq!(span["traceId"].as_str(), Some(TRACE));

    let all = spans.lock().expect("no thread panics with it");
    assert!(!all.iter().any(|span| text(span, "db.query.text").contains("untraced")), "its parent isn't sampled");
}

#[test]
fn a_collector_that_is_away_holds_nobody_up() {
    let more = "[traces]\nendpoint = \"http://127.0.0.1:1\"\nsample = \"100%\"";
    let proxy = Proxy::start(cluster(), &config("", more));
    let mut client = connect(&proxy, "app", "shop");
    for id in 0..50 {
        client.rows(&format!("SELECT name FROM users WHERE id = {id}"));
    }
    becomes("it is said in the log", || proxy.log().contains("spans were not sent"));
    client.rows("SELECT count(*) FROM users");
}
