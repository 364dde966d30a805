//! The process as an operator sees it: it drains, reloads, listens on a Unix socket, does TLS, and logs.

// Shared with tests/wire.rs, of which this uses a part.
#[allow(dead_code)]
#[path = "wire/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "wire/message.rs"]
mod message;
mod support;

use std::process::Output;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use client::{Wire, sqlstate, status};
use message::{once, query, sync};
use nix::sys::signal::Signal;
use shardway::devcluster::Cluster;
use support::{Proxy, Shards, psql};

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        Shards::builder()
            .database("app")
            .schema("CREATE TABLE notes (id int PRIMARY KEY); CREATE ROLE late LOGIN SUPERUSER")
            .max_connections(200)
            .hba("host all all 127.0.0.1/32 trust")
            .start()
            .unwrap_or_else(|error| panic!("{error}"))
    })
}

/// A configuration with these lines in `[server]` and these sections at its end.
fn config(server: &str, more: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\n{server}\n\n[pool]\nsize = 4\n\n[[user]]\nname = \"shardway\"\npassword = \"first-secret\"\n\n{more}\n{}",
        cluster().database_toml("app")
    )
}

const TRUST: &str = "authentication = \"trust\"";

/// For what happens at once where nothing is wrong; machines that run tests are slow at times.
const PATIENCE: Duration = Duration::from_secs(60);

fn within(limit: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the statement with that mark has reached a server.
fn runs(mark: &str) {
    let looks = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{mark}%' AND state = 'active' AND pid <> pg_backend_pid()"
    );
    within(PATIENCE, "it doesn't run", || cluster().primary(0).sql(&looks).unwrap().trim() != "0");
}

/// The client is told that the server goes away, and nothing more.
fn told_to_leave(wire: &mut Wire) {
    let frames = wire.ends();
    assert_eq!(sqlstate(&frames).as_deref(), Some("57P01"), "{frames:?}");
    assert_eq!(frames[0].field(b'S').as_deref(), Some("FATAL"));
}

#[test]
fn a_drain_lets_transactions_finish() {
    let proxy = Proxy::start(cluster(), &config(&format!("{TRUST}\ndrain_timeout = \"180s\""), ""));
    let mut clients: Vec<Wire> = (0..5).map(|_| Wire::connect(proxy.address())).collect();
    let [idle, simple, extended, busy, listening] = clients.as_mut_slice() else { panic!() };
    simple.run("BEGIN");
    simple.run("INSERT INTO notes VALUES (1)");
    extended.ask(&[once("BEGIN"), sync()].concat());
    busy.send(&query("SELECT pg_sleep(2) -- mark-busy"));
    listening.run("LISTEN x");
    runs("mark-busy");
    proxy.process().signal(Signal::SIGTERM).unwrap();
    told_to_leave(idle);
    told_to_leave(listening);
    within(PATIENCE, "it still accepts", || std::net::TcpStream::connect(proxy.address()).is_err());
    simple.run("INSERT INTO notes VALUES (2)");
    let frames = extended.ask(&[once("INSERT INTO notes VALUES (3)"), sync()].concat());
    assert_eq!(status(&frames), 'T', "{frames:?}");
    let frames = busy.until(b'Z', 1);
    assert!(sqlstate(&frames).is_none(), "{frames:?}");
    told_to_leave(busy);
    assert!(proxy.process().ended().is_none());
    simple.run("COMMIT");
    told_to_leave(simple);
    extended.run("COMMIT");
    told_to_leave(extended);
    within(PATIENCE, "it doesn't end", || proxy.process().ended().is_some());
    assert!(proxy.process().ended().unwrap().success());
    assert_eq!(cluster().primary(0).sql("SELECT count(*) FROM notes").unwrap().trim(), "3");
}

#[test]
fn a_drain_has_a_limit() {
    let proxy = Proxy::start(cluster(), &config(&format!("{TRUST}\ndrain_timeout = \"500ms\""), ""));
    let mut open = Wire::connect(proxy.address());
    let mut busy = Wire::connect(proxy.address());
    open.run("BEGIN");
    open.run("INSERT INTO notes VALUES (11)");
    busy.send(&query("SELECT pg_sleep(60) -- mark-drain"));
    runs("mark-drain");
    let begin = Instant::now();
    proxy.process().signal(Signal::SIGTERM).unwrap();
    told_to_leave(&mut open);
    within(PATIENCE, "it doesn't end", || proxy.process().ended().is_some());
    assert!(begin.elapsed() > Duration::from_millis(450));
    assert_eq!(cluster().primary(0).sql("SELECT count(*) FROM notes WHERE id = 11").unwrap().trim(), "0");
}

/// A port that somebody opened and says nothing on, and a refused client that doesn't hang up.
#[test]
fn a_drain_does_not_wait_for_who_was_never_let_in() {
    let limits = format!("{TRUST}\ndrain_timeout = \"180s\"\nstartup_timeout = \"180s\"");
    let proxy = Proxy::start(cluster(), &config(&limits, ""));
    let _silent = Wire::raw(proxy.address());
    let mut refused = Wire::raw(proxy.address());
    refused.send(b"\0\0\0\x01");
    refused.ends();
    proxy.process().signal(Signal::SIGTERM).unwrap();
    within(PATIENCE, "it doesn't end", || proxy.process().ended().is_some());
    assert!(!proxy.log().contains("drain limit"), "{}", proxy.log());
}

/// psql through the proxy, by libpq's keywords.
fn libpq(address: &str) -> Output {
    psql(cluster(), address, &["-A", "-t", "-w", "-c", "SELECT current_user"])
}

fn as_user(proxy: &Proxy, user: &str, password: &str) -> Output {
    libpq(&proxy.url(user, password, "app"))
}

#[test]
fn a_reload_changes_what_it_says_and_drops_nobody() {
    let proxy = Proxy::start(cluster(), &config("", ""));
    // Its pool, until the reload makes it larger.
    let small = config("", "").replace("size = 4", "size = 1\nwait_timeout = \"300ms\"");
    assert!(as_user(&proxy, "shardway", "first-secret").status.success());
    assert!(!as_user(&proxy, "shardway", "wrong").status.success());
    assert!(!as_user(&proxy, "late", "late-secret").status.success());
    let reload = |text: &str, says: &str| {
        let before = proxy.log().len();
        proxy.rewrite_config(text);
        proxy.process().signal(Signal::SIGHUP).unwrap();
        within(PATIENCE, "it doesn't reload", || proxy.log()[before..].contains(says));
        proxy.log()[before..].to_owned()
    };
    // Sessions that live through all of it: one idle, one in a transaction.
    let trusting = config(TRUST, "");
    reload(&trusting, "configuration reloaded");
    let mut idle = Wire::connect(proxy.address());
    let mut open = Wire::connect(proxy.address());
    idle.run("SET work_mem = '5MB'");
    open.run("BEGIN");
    open.run("SELECT 1");

    // A new user, another password.
    let more = "[[user]]\nname = \"late\"\npassword = \"late-secret\"\n";
    reload(&config("", more).replace("first-secret", "second-secret"), "configuration reloaded");
    assert!(as_user(&proxy, "late", "late-secret").status.success());
    assert!(as_user(&proxy, "shardway", "second-secret").status.success());
    assert!(!as_user(&proxy, "shardway", "first-secret").status.success());
    assert_eq!(idle.value("SHOW work_mem"), "5MB");
    open.run("SELECT 1");

    // What doesn't hold changes nothing, and it is said why.
    let why = reload(&config("workers = \"many\"", "").replace("size = 4", "sise = 4"), "not reloaded");
    assert!(why.contains("sise") && why.contains("workers"), "{why}");
    let why = reload("[server", "not reloaded");
    assert!(why.contains("toml"), "{why}");
    assert!(as_user(&proxy, "late", "late-secret").status.success());

    // A pool of one: the idle session moves over with its next statement, the other after its transaction.
    reload(&small.replace("[server]", &format!("[server]\n{TRUST}")), "configuration reloaded");
    let mut other = Wire::connect(proxy.address());
    other.run("BEGIN");
    other.run("SELECT 1");
    assert_eq!(idle.fails("SELECT 1"), "53300");
    other.run("COMMIT");
    assert_eq!(idle.value("SHOW work_mem"), "5MB");
    open.run("COMMIT");
    open.run("SELECT 1");
    // And larger again.
    reload(&trusting, "configuration reloaded");
    other.run("BEGIN");
    other.run("SELECT 1");
    idle.run("BEGIN");
    idle.run("SELECT 1");
    // Nothing of it says a password.
    assert!(!proxy.log().contains("secret"), "{}", proxy.log());
}

#[test]
fn a_unix_socket() {
    let directory = cluster().directory().join("sockets");
    std::fs::create_dir_all(&directory).unwrap();
    let server = format!("unix_socket_directory = \"{}\"", directory.display());
    let proxy = Proxy::start(cluster(), &config(&server, ""));
    let socket = directory.join(format!(".s.PGSQL.{}", proxy.address().port()));
    within(PATIENCE, "no socket", || socket.exists());
    let address = |password: &str| {
        format!(
            "host={} port={} user=shardway password={password} dbname=app",
            directory.display(),
            proxy.address().port()
        )
    };
    let output = libpq(&address("first-secret"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!libpq(&address("wrong")).status.success());
    proxy.process().signal(Signal::SIGTERM).unwrap();
    within(PATIENCE, "it doesn't end", || proxy.process().ended().is_some());
    assert!(!socket.exists(), "the file stays behind");
}

#[test]
fn tls_for_clients() {
    let directory = cluster().directory();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::NoCa;
    let certificate = directory.join("door.crt");
    std::fs::write(&certificate, parameters.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(directory.join("door.key"), key.serialize_pem()).unwrap();
    let tls = |required: bool| {
        let section = format!("[server.tls]\ncertificate = \"door.crt\"\nkey = \"door.key\"\nrequired = {required}\n");
        Proxy::start(cluster(), &config("", &section))
    };
    let proxy = tls(false);
    let by = |proxy: &Proxy, host: &str, mode: &str| {
        let root = certificate.display();
        libpq(&format!(
            "host={host} hostaddr=127.0.0.1 port={} user=shardway password=first-secret dbname=app sslmode={mode} sslrootcert={root}",
            proxy.address().port()
        ))
    };
    for mode in ["disable", "prefer", "require", "verify-ca", "verify-full"] {
        let output = by(&proxy, "localhost", mode);
        assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(!by(&proxy, "elsewhere", "verify-full").status.success());
    assert!(
        by(&proxy, "elsewhere", "require").status.success() || by(&proxy, "elsewhere", "verify-ca").status.success()
    );
    let proxy = tls(true);
    assert!(!by(&proxy, "localhost", "disable").status.success());
    assert!(by(&proxy, "localhost", "require").status.success());
}

#[test]
fn json_logs_are_one_line_an_event_without_secrets() {
    let log = "[log]\nformat = \"json\"\nlevel = \"debug\"\n";
    let proxy = Proxy::start(cluster(), &config("", log));
    assert!(as_user(&proxy, "shardway", "first-secret").status.success());
    assert!(!as_user(&proxy, "shardway", "mistaken-secret").status.success());
    assert!(!as_user(&proxy, "nobody\nknows", "mistaken-secret").status.success());
    let mut wire = Wire::raw(proxy.address());
    wire.send(b"\0\0\0\x01");
    wire.ends();
    let output = psql(
        cluster(),
        &proxy.url("shardway", "first-secret", "app"),
        &["-c", "SELECT 'my-secret'; ALTER ROLE late PASSWORD 'late-secret'; SELECT 1/0"],
    );
    assert!(!output.status.success());
    proxy.process().signal(Signal::SIGTERM).unwrap();
    within(PATIENCE, "it doesn't end", || proxy.process().ended().is_some());
    let log = proxy.log();
    assert!(log.lines().count() > 3, "{log}");
    for line in log.lines() {
        assert!(line.starts_with("{\"timestamp\"") && line.ends_with('}'), "{line}");
        assert_eq!(line.matches("\"timestamp\"").count(), 1, "{line}");
    }
    assert!(!log.contains("secret"), "{log}");
}
