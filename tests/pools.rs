//! Pools with a real server: their bounds, storms of clients, prepared statements, logins and TLS to the server; that
//! shapes are parsed once; that huge statements hold nobody up; and what an idle client costs.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use shardway::devcluster::Cluster;
use support::{Proxy, Shards};
use wire::{Client, Messages};

mod support;
#[allow(dead_code)]
#[path = "oracle/wire.rs"]
mod wire;

const SCHEMA: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, name text);
    INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 100) AS n;
    SET password_encryption = 'md5'; CREATE ROLE md5er LOGIN PASSWORD 'secret' IN ROLE pg_read_all_data;
    SET password_encryption = 'scram-sha-256'; CREATE ROLE scrammer LOGIN PASSWORD 'secret';
    CREATE ROLE plainer LOGIN PASSWORD 'secret';
";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let builder = Shards::builder()
            .schema(SCHEMA)
            .max_connections(300)
            .hba("hostssl all tls 127.0.0.1/32 scram-sha-256")
            .hba("hostnossl all tls 127.0.0.1/32 reject")
            .hba("host all md5er 127.0.0.1/32 md5")
            .hba("host all plainer 127.0.0.1/32 password");
        let cluster = builder.start().unwrap_or_else(|error| panic!("{error}"));
        // The server reads them as its own user, who owns the directory.
        let primary = cluster.primary(0);
        let statement = |text: String| primary.sql(&text).unwrap_or_else(|error| panic!("{error}"));
        for (name, pem) in [("crt", certificate.cert.pem()), ("key", certificate.signing_key.serialize_pem())] {
            let file = primary.data_dir().join(format!("server.{name}"));
            statement(format!(
                "COPY (SELECT unnest(string_to_array('{}', E'\\n'))) TO '{}'",
                pem.trim().replace('\r', ""),
                file.display()
            ));
        }
        statement("COPY (SELECT 1) TO PROGRAM 'chmod 600 server.key'".to_owned());
        statement("ALTER SYSTEM SET ssl = on".to_owned());
        statement("SELECT pg_reload_conf()".to_owned());
        statement("CREATE ROLE tls LOGIN PASSWORD 'secret'".to_owned());
        cluster
    })
}

/// One database named `name`, logging in to the server as `server_user`, whose application_name tells its
/// connections apart.
fn config(pool: &str, server_user: &str, parameters: &str, more: &str) -> String {
    let port = cluster().primary(0).port();
    let password = if server_user == cluster().user() { cluster().password() } else { "secret" };
    format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\nmax_clients = 3000\n{more}\n\
         [pool]\n{pool}\n[[user]]\nname = \"app\"\npassword = \"x\"\nserver_user = \"{server_user}\"\nserver_password = \"{password}\"\n\
         [database.shop.shard.a]\nprimary = \"postgres://127.0.0.1:{port}/{}{parameters}\"\n",
        cluster().database()
    )
}

fn client(proxy: &Proxy) -> Client {
    Client::connect(proxy.address(), "app", "shop").unwrap_or_else(|error| panic!("{error}\n{}", proxy.log()))
}

/// Connections of a role of this test alone.
fn connections(role: &str) -> usize {
    // But for the one by which the server is watched.
    let text = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}' AND backend_type = 'client backend' \
         AND application_name <> 'shardway'"
    );
    let count = cluster().primary(0).sql(&text).expect("the server is up");
    count.trim().parse().expect("a number")
}

fn role(name: &str) -> &str {
    let text = format!("CREATE ROLE {name} LOGIN PASSWORD 'secret' IN ROLE pg_read_all_data");
    cluster().primary(0).sql(&text).unwrap_or_else(|error| panic!("{error}"));
    name
}

fn code(turn: Result<wire::Turn, String>) -> String {
    let turn = turn.unwrap_or_else(|error| panic!("{error}"));
    turn.error().map(|report| report.code.clone()).unwrap_or_default()
}

#[track_caller]
fn becomes(what: &str, within: Duration, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + within;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_pool_keeps_its_size_and_says_so_when_it_is_empty() {
    let role = role("sized");
    let proxy = Proxy::start(cluster(), &config("size = 3\nwait_timeout = \"300ms\"\n", role, "", ""));
    let mut holders: Vec<Client> = (0..3).map(|_| client(&proxy)).collect();
    for holder in &mut holders {
        holder.rows("BEGIN; SELECT 1");
    }
    let mut waits = client(&proxy);
    let began = Instant::now();
    let turn = waits.query("SELECT 1").expect("answered");
    let error = turn.error().expect("all are taken");
    assert_eq!(error.code, "53300", "{error:?}");
    assert!(began.elapsed() >= Duration::from_millis(300) && began.elapsed() < Duration::from_secs(30));
    assert_eq!(connections(role), 3);
    // The client is still served.
    holders[0].rows("COMMIT");
    assert_eq!(waits.rows("SELECT 1"), [["1"]]);
    assert_eq!(connections(role), 3);
}

#[test]
fn idle_and_old_connections_are_closed() {
    let idle = role("idler");
    let proxy = Proxy::start(cluster(), &config("size = 5\nidle_timeout = \"1s\"\n", idle, "", ""));
    client(&proxy).rows("SELECT 1");
    // The proxy's own look at the catalog takes a connection as well, for a moment.
    becomes("the pool's connection is there", Duration::from_secs(60), || connections(idle) == 1);
    becomes("an idle connection is closed", Duration::from_secs(60), || connections(idle) == 0);
    let old = role("oldie");
    let proxy = Proxy::start(cluster(), &config("size = 1\nmax_lifetime = \"2s\"\n", old, "", ""));
    let mut busy = client(&proxy);
    let mut seen = BTreeSet::new();
    let began = Instant::now();
    while seen.len() < 2 {
        seen.insert(busy.rows("SELECT pg_backend_pid() WHERE true")[0][0].clone());
        assert!(began.elapsed() < Duration::from_secs(60), "an old connection is used on and on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_storm_of_clients_is_served_by_few_connections() {
    let role = role("stormy");
    // With several workers connections go from one to another.
    let proxy = Proxy::start(cluster(), &config("size = 10\nmax_connects = 2\n", role, "", "workers = 3\n"));
    let most = std::thread::scope(|scope| {
        let storm: Vec<_> = (0..200)
            .map(|number| {
                let proxy = &proxy;
                scope.spawn(move || {
                    let mut client = client(proxy);
                    for _ in 0..5 {
                        assert_eq!(client.rows(&format!("SELECT {number}, pg_sleep(0.001)"))[0][0], number.to_string());
                    }
                })
            })
            .collect();
        let mut most = 0;
        while !storm.iter().all(|one| one.is_finished()) {
            most = most.max(connections(role));
            std::thread::sleep(Duration::from_millis(20));
        }
        most
    });
    assert!((1..=10).contains(&most), "{most} connections");
}

#[test]
fn sessions_that_go_from_worker_to_worker_lose_nothing() {
    let text = config("size = 3\n", cluster().user(), "", "workers = 3\n") + "[log]\nlevel = \"shardway=debug\"\n";
    let proxy = Proxy::start_with(cluster(), &text, &[("SHARDWAY_FAILPOINT", "moves_sessions")]);
    let began = Instant::now();
    let moved = || proxy.log().matches("goes to another worker").count();
    let talk = |number: i32| {
        let mut client = client(&proxy);
        client.rows(&format!("SET application_name = 'number {number}'"));
        let named = Messages::default().parse("named", "SELECT $1::int", &[23]).sync();
        assert_eq!(code(client.turn(named)), "");
        for round in 0_i32.. {
            let asked = (number * 10_000 + round).to_string();
            assert_eq!(client.rows(&format!("SELECT {asked}, current_setting('application_name')"))[0][0], asked);
            let bound =
                Messages::default().bind("named", &[(0, Some(asked.clone().into_bytes()))], 0).execute(0).sync();
            assert_eq!(wire::texts(&client.turn(bound).expect("answered"), "named"), [[asked.clone()]]);
            let block = ["BEGIN", "SELECT current_setting('application_name')", "SELECT count(*) FROM users", "COMMIT"];
            let told: Vec<_> = block.into_iter().map(|sql| client.rows(sql)).collect();
            assert_eq!(told[1], [[format!("number {number}")]]);
            assert_eq!(told[2], [["100"]]);
            if round % 20 == 19 && moved() > 200 {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "only {} have moved", moved());
        }
    };
    std::thread::scope(|scope| (0..6).for_each(|number| drop(scope.spawn(move || talk(number)))));
}

#[test]
fn a_backend_keeps_a_bounded_number_of_prepared_statements() {
    let proxy = Proxy::start(cluster(), &config("size = 1\nmax_prepared_statements = 20\n", role("preparer"), "", ""));
    let mut client = client(&proxy);
    for round in 0..2 {
        for number in 0..100 {
            let name = format!("s{number}");
            let mut messages = Messages::default();
            if round == 0 {
                messages = messages.parse(&name, &format!("SELECT {number}::int"), &[]);
            }
            let turn = client.turn(messages.bind(&name, &[], 0).execute(0).sync()).expect("answered");
            assert_eq!(wire::texts(&turn, &name), [[number.to_string()]]);
        }
    }
    let count: usize = client.rows("SELECT count(*) FROM pg_prepared_statements")[0][0].parse().expect("a number");
    assert!(count <= 20, "{count} statements are prepared");
}

#[test]
fn each_way_of_the_server_to_ask_for_a_password_works() {
    for user in ["md5er", "scrammer", "plainer"] {
        let proxy = Proxy::start(cluster(), &config("size = 2\n", user, "", ""));
        assert_eq!(client(&proxy).rows("SELECT current_user"), [[user]]);
        let wrong =
            config("size = 2\n", user, "", "").replace("server_password = \"secret\"", "server_password = \"wrong\"");
        let proxy = Proxy::start(cluster(), &wrong);
        let refused = Client::connect(proxy.address(), "app", "shop").err().expect("the server refuses");
        assert!(refused.contains("password authentication failed"), "{refused}");
    }
}

#[test]
fn tls_to_the_server_is_used_when_it_is_required() {
    let ssl = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    becomes("the server has TLS", Duration::from_secs(60), || {
        cluster().primary(0).sql("SHOW ssl").is_ok_and(|answer| answer.trim() == "on")
    });
    let proxy = Proxy::start(cluster(), &config("size = 2\n", "tls", "?sslmode=require", ""));
    assert_eq!(client(&proxy).rows(ssl), [["t"]]);
    let proxy = Proxy::start(cluster(), &config("size = 2\n", "tls", "?sslmode=disable", ""));
    let refused = Client::connect(proxy.address(), "app", "shop").err().expect("pg_hba.conf wants TLS");
    assert!(refused.contains("pg_hba.conf rejects"), "{refused}");
    let authority = cluster().primary(0).data_dir().join("server.crt");
    let parameters = format!("?sslmode=verify-full&sslrootcert={}", authority.display());
    let by_name =
        config("size = 2\n", "tls", &parameters, "").replace("postgres://127.0.0.1:", "postgres://localhost:");
    let proxy = Proxy::start(cluster(), &by_name);
    assert_eq!(client(&proxy).rows(ssl), [["t"]]);
    let proxy = Proxy::start(cluster(), &config("size = 2\n", "tls", &parameters, ""));
    let refused = Client::connect(proxy.address(), "app", "shop").err().expect("the name isn't the certificate's");
    assert!(refused.contains("certificate"), "{refused}");
}

/// What a shape costs shows in the log of the parser threads.
fn parsed(proxy: &Proxy) -> usize {
    proxy.log().matches("statement parsed").count()
}

#[test]
fn a_second_statement_of_a_shape_is_not_parsed() {
    let logged = "\n[log]\nlevel = \"shardway::session::planner=trace\"\n";
    let port = cluster().primary(0).port();
    let text = config("size = 2\n", cluster().user(), "", "")
        .replace("[database.shop.shard.a]", &format!("{logged}[database.shop.shard.a]"));
    let text = format!(
        "{text}[database.shop.shard.b]\nprimary = \"postgres://127.0.0.1:{port}/postgres\"\n[database.shop.table.users]\nkey = \"id\"\n"
    );
    let proxy = Proxy::start(cluster(), &text);
    let mut client = client(&proxy);
    client.query("SELECT 1").expect("answered");
    let mut costs = |statements: &[&str]| {
        let before = parsed(&proxy);
        for sql in statements {
            let turn = client.query(sql).expect("answered");
            assert!(turn.error().is_none_or(|error| error.code == "42P01"), "{sql}: {turn:?}");
        }
        for sql in statements {
            // The same in the extended protocol, under other names.
            client.turn(Messages::default().parse("", sql, &[]).bind("", &[], 0).execute(0).sync()).expect("answered");
        }
        parsed(&proxy) - before
    };
    let by_key: Vec<String> =
        (1..30).map(|id| format!("select * from users where id = {id} and name <> 'it''s {id}'")).collect();
    assert_eq!(costs(&by_key.iter().map(String::as_str).collect::<Vec<_>>()), 1);
    assert_eq!(
        costs(&[
            "SELECT * FROM users WHERE id = 1 AND name <> 'x'",
            "SELECT *\nFROM Users WHERE id=2 AND name<>$$y$$ -- z"
        ]),
        1
    );
    assert_eq!(
        costs(&["SELECT name FROM users WHERE id = 1 LIMIT 1", "SELECT name FROM users WHERE id = 2 LIMIT 2"]),
        1
    );
    // These literals decide about the plan.
    assert_eq!(
        costs(&[
            "EXPLAIN (ANALYZE 0) SELECT * FROM users WHERE id = 3",
            "EXPLAIN (ANALYZE 1) SELECT * FROM users WHERE id = 3"
        ]),
        2
    );
    assert_eq!(
        costs(&[
            "EXPLAIN (ANALYZE 0) SELECT * FROM users WHERE id = 4",
            "EXPLAIN (ANALYZE 1) SELECT * FROM users WHERE id = 5"
        ]),
        0
    );
}

#[test]
fn huge_and_deep_statements_hold_nobody_up() {
    let port = cluster().primary(0).port();
    let text = config("size = 4\n", cluster().user(), "", "workers = 1\n");
    let text = format!(
        "{text}[database.shop.shard.b]\nprimary = \"postgres://127.0.0.1:{port}/postgres\"\n[database.shop.table.users]\nkey = \"id\"\n"
    );
    let proxy = Proxy::start(cluster(), &text);
    let key = (1..).find(|id| {
        client(&proxy).query(&format!("SELECT * FROM users WHERE id = {id}")).is_ok_and(|turn| turn.error().is_none())
    });
    let key = key.expect("some key is on the shard that has the table");
    let done = AtomicBool::new(false);
    let slowest = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut client = client(&proxy);
            let mut slowest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let began = Instant::now();
                client.rows(&format!("SELECT * FROM users WHERE id = {key}"));
                slowest = slowest.max(began.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            slowest
        });
        // Also when this panics: the other client goes on until then.
        let ends = Ends(&done);
        let mut sender = client(&proxy);
        for sql in huge(key) {
            let shown: String = sql.chars().take(40).collect();
            for _ in 0..2 {
                let began = Instant::now();
                let code = code(sender.query(&sql));
                println!("{shown}... {} bytes: {code:?} after {:?}", sql.len(), began.elapsed());
            }
            sender
                .turn(Messages::default().parse("", &sql, &[]).bind("", &[], 0).execute(0).sync())
                .unwrap_or_else(|error| panic!("{shown}: {error}"));
        }
        assert_eq!(sender.rows("SELECT 1"), [["1"]], "the session goes on");
        drop(ends);
        other.join().expect("the other client is served")
    });
    println!("the other client's slowest statement: {slowest:?}");
    // A machine that runs other tests meanwhile takes longer; one that parses in line takes seconds.
    assert!(slowest < Duration::from_secs(10), "another client waited {slowest:?}");
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn huge(key: i32) -> Vec<String> {
    let numbers = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    vec![
        format!("SELECT id FROM users WHERE id = {key} AND id IN ({})", numbers(150_000).join(",")),
        format!("INSERT INTO users VALUES ({key}, '{}') ON CONFLICT DO NOTHING", "y".repeat(5_000_000)),
        format!(
            "INSERT INTO users VALUES {} ON CONFLICT DO NOTHING",
            vec![format!("({key}, 'some text')"); 40_000].join(",")
        ),
        format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("SELECT * FROM users WHERE id = {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!(
            "SELECT * FROM users WHERE {}",
            numbers(50_000).iter().map(|n| format!("id = {n}")).collect::<Vec<_>>().join(" OR ")
        ),
        format!("SELECT {}true", "NOT ".repeat(50_000)),
        format!("SELECT 1{}", "+1".repeat(50_000)),
        format!("SELECT * FROM {}users{}", "(SELECT * FROM ".repeat(20_000), ") x".repeat(20_000)),
        format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(30_000), " END".repeat(30_000)),
        format!("SELECT {}1{}", "ARRAY[".repeat(50_000), "]".repeat(50_000)),
    ]
}

/// Kilobytes of the process that are in memory.
fn resident(proxy: &Proxy) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.process().pid())).expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

#[test]
fn idle_clients_are_cheap() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let proxy = Proxy::start(cluster(), &config("size = 4\n", cluster().user(), "", "workers = 2\n"));
    let settle = |count: usize, named: bool| {
        let connect = |_| {
            let mut client = client(&proxy);
            assert_eq!(client.rows("SELECT name FROM users WHERE id = 7").len(), 1);
            if named {
                let turn = Messages::default()
                    .parse("by_id", "SELECT name FROM users WHERE id = $1", &[20])
                    .bind("by_id", &[(0, Some(b"7".to_vec()))], 0)
                    .execute(0)
                    .sync();
                assert_eq!(code(client.turn(turn)), "");
            }
            client
        };
        let clients: Vec<Client> = (0..count).map(connect).collect();
        std::thread::sleep(Duration::from_millis(300));
        clients
    };
    let first = settle(50, true);
    for named in [false, true] {
        let before = resident(&proxy);
        let clients = settle(1_000, named);
        let each = (resident(&proxy) - before) * 1024 / clients.len();
        println!("{each} bytes an idle client, with a prepared statement: {named}");
        if named || cfg!(debug_assertions) {
            assert!(each < 16 << 10, "{each} bytes an idle client");
        } else {
            assert!(each < 8 << 10, "{each} bytes an idle client");
        }
    }
    drop(first);
}
