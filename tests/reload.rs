//! The configuration changes while clients work: replicas, users, reference tables, pool sizes, servers. Nobody is dropped,
//! nobody gets an error, and what waits meanwhile is planned anew.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use load::{StopsAtEnd, becomes, connect};
use shardway::devcluster::{Cluster, Server};
use support::{Proxy, Shards};
use wire::{Client, Messages};

#[allow(dead_code)]
#[path = "failover/load.rs"]
mod load;
mod support;
#[allow(dead_code)]
#[path = "oracle/wire.rs"]
mod wire;

const SCHEMA: &str = "
    CREATE TABLE notes (id bigint PRIMARY KEY, by text);
    CREATE TABLE countries (code text PRIMARY KEY);
";

fn cluster() -> Cluster {
    let builder = Shards::builder().shards(2).schema(SCHEMA).hba("host all all 127.0.0.1/32 trust");
    builder.start().unwrap_or_else(|error| panic!("{error}"))
}

/// What changes.
#[derive(Clone, Default)]
struct Parts<'s> {
    primary: Option<&'s Server>,
    replica: Option<&'s Server>,
    user: Option<&'s str>,
    pool_size: Option<usize>,
    has_reference: bool,
    rules: &'s str,
}

impl Parts<'_> {
    fn config(&self, cluster: &Cluster) -> String {
        let url = |server: &Server| format!("\"postgres://127.0.0.1:{}/{}\"", server.port(), cluster.database());
        let user = |name: &str| {
            let (login, password) = (cluster.user(), cluster.password());
            format!("[[user]]\nname = \"{name}\"\nserver_user = \"{login}\"\npassword = \"{password}\"\nadmin = true\n")
        };
        format!(
            "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n[pool]\nsize = {}\n{}{}\
             {}[database.shop]\nhome = \"a\"\nreads = \"prefer_replica\"\nread_your_writes = false\nfailover_wait = \"60s\"\n\
             [database.shop.shard.a]\nprimary = {}\nreplicas = [{}]\n[database.shop.shard.b]\nprimary = {}\n\
             [database.shop.table.notes]\nkey = \"id\"\n{}",
            self.pool_size.unwrap_or(6),
            user(cluster.user()),
            self.user.map_or_else(String::new, user),
            self.rules,
            url(self.primary.unwrap_or(cluster.primary(0))),
            self.replica.map_or_else(String::new, url),
            url(cluster.primary(1)),
            if self.has_reference { "[database.shop.table.countries]\nreference = true\n" } else { "" },
        )
    }
}

fn sql(server: &Server, text: &str) -> String {
    server.sql(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn port(client: &mut Client) -> String {
    client.rows("SELECT current_setting('port')")[0][0].clone()
}

fn hang_up(proxy: &Proxy) {
    proxy.process().signal(nix::sys::signal::Signal::SIGHUP).expect("it runs");
}

#[test]
fn replicas_users_tables_and_sizes_change_under_clients() {
    let cluster = cluster();
    let late = cluster.add_replica("late", cluster.primary(0)).unwrap_or_else(|error| panic!("{error}"));
    let mut parts = Parts::default();
    let proxy = Proxy::start(&cluster, &parts.config(&cluster));
    let (stop, next, failures) = (AtomicBool::new(false), AtomicUsize::new(1), Mutex::new(Vec::new()));
    let mut old = connect(&cluster, &proxy, "shop");
    let parse = Messages::default().parse("p", "SELECT by FROM notes WHERE id = $1", &[20]).sync();
    assert_eq!(old.turn(parse).expect("answered").error(), None);
    old.rows("SET application_name = 'old'");
    std::thread::scope(|scope| {
        let _stop = StopsAtEnd(&stop);
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = connect(&cluster, &proxy, "shop");
                while !stop.load(Ordering::SeqCst) {
                    let id = next.fetch_add(1, Ordering::SeqCst);
                    for text in [
                        format!("INSERT INTO notes VALUES ({id}, 'load')"),
                        format!("BEGIN; UPDATE notes SET by = 'more' WHERE id = {id}; COMMIT"),
                        "SELECT count(*) FROM notes".to_owned(),
                        "BEGIN READ ONLY".to_owned(),
                        format!("SELECT by FROM notes WHERE id = {id}"),
                        "COMMIT".to_owned(),
                    ] {
                        let turn = client.query(&text).expect("answered");
                        failures.lock().expect("no panics").extend(turn.error().cloned());
                    }
                }
            });
        }
        let goes_on = || {
            let before = next.load(Ordering::SeqCst);
            becomes("clients are answered", || next.load(Ordering::SeqCst) > before + 60);
        };
        goes_on();
        // By SIGHUP and by RELOAD.
        parts.replica = Some(&late);
        proxy.rewrite_config(&parts.config(&cluster));
        hang_up(&proxy);
        becomes("the replica is read, by a client that was there before", || port(&mut old) == late.port().to_string());
        goes_on();

        parts.user = Some("fresh");
        proxy.rewrite_config(&parts.config(&cluster));
        assert!(Client::connect(proxy.address(), "fresh", "shop").is_err());
        let mut ops = connect(&cluster, &proxy, "shardway");
        ops.rows("RELOAD");
        let mut fresh = Client::connect(proxy.address(), "fresh", "shop").expect("it may");
        assert_eq!(fresh.rows("SELECT 1"), [["1"]]);
        goes_on();

        parts.rules = "[[hba]]\ntype = \"host\"\nusers = [\"fresh\"]\naddress = \"127.0.0.0/8\"\nmethod = \"reject\"\n\
                       [[hba]]\ntype = \"host\"\naddress = \"all\"\nmethod = \"trust\"\n";
        proxy.rewrite_config(&parts.config(&cluster));
        ops.rows("RELOAD");
        let refused = Client::connect(proxy.address(), "fresh", "shop").map(|_| ()).expect_err("a rule rejects it");
        assert!(refused.contains("pg_hba.conf rejects connection"), "{refused}");
        connect(&cluster, &proxy, "shop");
        assert_eq!(fresh.rows("SELECT 2"), [["2"]], "who is in stays");
        parts.rules = "";
        goes_on();

        parts.pool_size = Some(3);
        proxy.rewrite_config(&parts.config(&cluster));
        ops.rows("RELOAD");
        let shown = ops.rows("SHOW DATABASES");
        assert!(shown.iter().any(|row| row[0] == "shop" && row.contains(&"3".to_owned())), "{shown:?}");
        goes_on();

        let versions = |ops: &mut Client| ops.rows("SHOW SHARDS").len();
        assert_eq!(versions(&mut ops), 2);
        parts.has_reference = true;
        proxy.rewrite_config(&parts.config(&cluster));
        ops.rows("RELOAD");
        old.rows("INSERT INTO countries VALUES ('nz')");
        for shard in 0..2 {
            assert_eq!(sql(cluster.primary(shard), "SELECT code FROM countries"), "nz");
        }
        goes_on();
        // What the client had is there: its settings and its statement.
        assert_eq!(old.rows("SHOW application_name"), [["old"]]);
        let bind = Messages::default().bind("p", &[(0, Some(b"1".to_vec()))], 0).execute(0).sync();
        assert_eq!(wire::texts(&old.turn(bind).expect("answered"), "p").len(), 1);
    });
    let failures = failures.lock().expect("no panics");
    assert!(failures.is_empty(), "{failures:?}\n{}", proxy.log());
}

/// A statement that waits is one of the configuration under which it runs in the end: nothing goes where rows were before.
#[test]
fn statements_that_wait_are_planned_anew() {
    let cluster = cluster();
    let late = cluster.add_replica("late", cluster.primary(0)).unwrap_or_else(|error| panic!("{error}"));
    let mut parts = Parts::default();
    let proxy = Proxy::start(&cluster, &parts.config(&cluster));
    let mut ops = connect(&cluster, &proxy, "shardway");
    let insert = |name: &str| format!("INSERT INTO countries VALUES ('{name}')");
    // Holds the statement back by `pause`, changes the file, and lets it go by `resume`.
    let mut hold = |pause: &str, resume: &str, names: [&str; 2], text: &str| {
        let [mut one, mut other] = [(); 2].map(|()| connect(&cluster, &proxy, "shop"));
        std::thread::scope(|scope| {
            ops.rows(pause);
            let simple = scope.spawn(|| {
                let client = &mut one;
                client.query(&insert(names[0])).expect("answered").error().cloned()
            });
            let extended = scope.spawn(|| {
                let client = &mut other;
                let messages = Messages::default().parse("n", &insert(names[1]), &[]).describe_statement("n");
                client.turn(messages.bind("n", &[], 0).execute(0).sync()).expect("answered").error().cloned()
            });
            becomes("both wait", || {
                let rows = ops.rows("SHOW QUERIES");
                rows.iter().filter(|row| row.iter().any(|cell| cell == "waiting")).count() == 2
            });
            proxy.rewrite_config(text);
            ops.rows("RELOAD");
            ops.rows(resume);
            for client in [simple, extended] {
                assert_eq!(client.join().expect("no panic"), None, "{pause}\n{}", proxy.log());
            }
        });
    };
    let count = |server: &Server, names: [&str; 2]| {
        sql(server, &format!("SELECT count(*) FROM countries WHERE code IN ('{}', '{}')", names[0], names[1]))
    };
    // What was a table of the home shard is a reference table when they run.
    let names = ["nz", "pt"];
    parts.has_reference = true;
    hold("PAUSE shop", "RESUME shop", names, &parts.config(&cluster));
    assert_eq!([0, 1].map(|shard| count(cluster.primary(shard), names)), ["2", "2"]);

    // The shard has another primary when they run; the one before is alive, and gets nothing any more.
    late.wait_for_replay(cluster.primary(0)).expect("it streams");
    late.promote().expect("it is a replica");
    let names = ["fj", "is"];
    parts.primary = Some(&late);
    hold("PAUSE shop.a", "RESUME shop.a", names, &parts.config(&cluster));
    assert_eq!([&late, cluster.primary(0), cluster.primary(1)].map(|server| count(server, names)), ["2", "0", "2"]);
    let names = ["no", "se"];
    parts.primary = None;
    hold("PAUSE shop", "RESUME shop", names, &parts.config(&cluster));
    assert_eq!([&late, cluster.primary(0), cluster.primary(1)].map(|server| count(server, names)), ["0", "2", "2"]);
}

/// Those who wait are served in their order, within a bound of time and of number.
#[test]
fn who_waits_is_served_in_order_and_within_bounds() {
    let cluster = cluster();
    let parts = Parts { pool_size: Some(1), ..Parts::default() };
    let text = parts.config(&cluster).replace("failover_wait = \"60s\"", "failover_wait = \"2s\"\nfailover_queue = 8");
    let proxy = Proxy::start(&cluster, &text);
    sql(cluster.primary(0), "CREATE TABLE arrivals (n serial, who int)");
    let mut ops = connect(&cluster, &proxy, "shardway");
    let waiting = |ops: &mut Client| {
        let rows = ops.rows("SHOW SHARDS");
        rows[0].last().and_then(|held| held.parse::<usize>().ok()).expect("a number")
    };
    let mut clients: Vec<Client> = (0..8).map(|_| connect(&cluster, &proxy, "shop")).collect();
    let mut late = connect(&cluster, &proxy, "shop");
    ops.rows("PAUSE shop.a");
    std::thread::scope(|scope| {
        for (number, client) in clients.iter_mut().enumerate() {
            scope.spawn(move || client.rows(&format!("INSERT INTO arrivals (who) VALUES ({number})")));
            becomes("it waits behind the others", || waiting(&mut ops) == number + 1);
        }
        // One more is too many.
        let turn = late.query("INSERT INTO arrivals (who) VALUES (99)").expect("answered");
        let report = turn.error().expect("refused").clone();
        assert!(report.code == "08001" && report.message.contains("8 statements wait"), "{report:?}");
        ops.rows("RESUME shop.a");
    });
    let order = sql(cluster.primary(0), "SELECT string_agg(who::text, ' ' ORDER BY n) FROM arrivals");
    assert_eq!(order, "0 1 2 3 4 5 6 7");

    // While a server is down they wait for as long as is configured, and are told.
    cluster.primary(0).kill9().expect("it runs");
    let began = std::time::Instant::now();
    let turn = late.query("INSERT INTO arrivals (who) VALUES (99)").expect("answered");
    assert_eq!(turn.error().map(|report| report.code.as_str()), Some("08001"));
    assert!(began.elapsed() >= std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    // The other shard's clients notice nothing.
    let other = (1..)
        .find(|id| late.query(&format!("SELECT by FROM notes WHERE id = {id}")).expect("answered").error().is_none());
    assert!(other.is_some());
    // Whoever still waits when it is back is served.
    proxy.rewrite_config(&parts.config(&cluster));
    ops.rows("RELOAD");
    std::thread::scope(|scope| {
        let served = scope.spawn(|| late.query("INSERT INTO arrivals (who) VALUES (100)").expect("answered"));
        becomes("it waits", || waiting(&mut ops) == 1);
        cluster.primary(0).start().expect("it starts again");
        assert_eq!(served.join().expect("no panic").error(), None);
    });
}
