//! Every node is watched, also the only one of its shard: what is shown of it, what becomes of statements while it is away,
//! in recovery or another than it was, and what that costs the server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use load::{becomes, connect, metric};
use shardway::devcluster::{Cluster, Server};
use support::{Proxy, Shards, free_port};
use wire::Client;

#[allow(dead_code)]
#[path = "failover/load.rs"]
mod load;
mod support;
#[allow(dead_code)]
#[path = "oracle/wire.rs"]
mod wire;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let schema = "CREATE TABLE notes (id bigint PRIMARY KEY, text text)";
        let builder = Shards::builder().shards(2).own_identity().schema(schema);
        builder.hba("host all all 127.0.0.1/32 trust").start().unwrap_or_else(|error| panic!("{error}"))
    })
}

/// Databases of one shard on one server each: name, server, its database, and further lines.
fn config(pages: SocketAddr, databases: &[(&str, &Server, &str, &str)]) -> String {
    let cluster = cluster();
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nadmin = \"{pages}\"\nauthentication = \"trust\"\n[pool]\nsize = 4\nconnect_timeout = \"2s\"\n\
         [[user]]\nname = \"{}\"\npassword = \"{}\"\nadmin = true\n",
        cluster.user(),
        cluster.password()
    );
    for (name, server, on_server, more) in databases {
        text += &format!(
            "[database.{name}]\n{more}\n[database.{name}.shard.a]\nprimary = \"postgres://127.0.0.1:{}/{on_server}\"\n",
            server.port()
        );
    }
    text
}

fn pages() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

fn sql(server: &Server, text: &str) -> String {
    server.sql(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Rows of a table of the console, by the names of its columns.
fn table(ops: &mut Client, text: &str) -> Vec<BTreeMap<String, String>> {
    let turn = ops.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let names: Vec<String> = turn
        .events
        .iter()
        .find_map(|event| match event {
            wire::Event::Columns(columns) => Some(columns.iter().map(|column| column.name.clone()).collect()),
            _ => None,
        })
        .unwrap_or_default();
    wire::texts(&turn, text).into_iter().map(|row| names.iter().cloned().zip(row).collect()).collect()
}

/// The cells of a node of a database.
fn node<const N: usize>(ops: &mut Client, database: &str, port: u16, columns: [&str; N]) -> [String; N] {
    let all = table(ops, "SHOW NODES");
    let found = all.iter().find(|row| row["database"] == database && row["port"] == port.to_string());
    let found = found.unwrap_or_else(|| panic!("{database} {port}: {all:#?}"));
    columns.map(|name| found.get(name).unwrap_or_else(|| panic!("no column {name}: {found:#?}")).clone())
}

fn code(client: &mut Client, text: &str) -> String {
    let turn = client.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    turn.error().map(|report| report.code.clone()).unwrap_or_default()
}

/// Connections of those who look, on that server.
const LOOKERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shardway' AND query LIKE '%pg_control_checkpoint()%'";

#[test]
fn an_only_node_is_shown_as_it_is_found_and_watched_by_one_connection() {
    let cluster = cluster();
    let (a, b) = (cluster.primary(0), cluster.primary(1));
    sql(a, "SELECT pg_create_physical_replication_slot('kept')");
    let (pages, name) = (pages(), cluster.database());
    let mut text = config(pages, &[("one", a, name, ""), ("two", a, name, ""), ("three", a, "postgres", "")]);
    text += &cluster.database_toml("shop");
    text +=
        "[database.shop.table.notes]\nkey = \"id\"\nrange = [ { until = 1000, shard = \"a\" }, { shard = \"b\" } ]\n";
    let proxy = Proxy::start(cluster, &text);
    let mut ops = connect(cluster, &proxy, "shardway");
    for (database, server) in [("one", a), ("two", a), ("three", a), ("shop", a), ("shop", b)] {
        let system = sql(server, "SELECT system_identifier FROM pg_control_system()");
        becomes("it is looked at", || {
            let shown = node(&mut ops, database, server.port(), ["state", "role", "timeline", "system_identifier"]);
            shown == ["up", "primary", "1", &system]
        });
        assert_eq!(node(&mut ops, database, server.port(), ["lag_bytes", "lag_ms", "problem"]), ["0", "0", "NULL"]);
    }
    assert_eq!(node(&mut ops, "one", a.port(), ["slots"]), ["kept (unused)"]);
    let checks = node(&mut ops, "one", a.port(), ["checks"]);
    becomes("looks are counted", || node(&mut ops, "one", a.port(), ["checks"]) != checks);
    // Four databases, one server, one connection.
    assert_eq!(sql(a, LOOKERS), "1");
    let up = |database: &str, server: &Server| {
        let labels =
            format!("database=\"{database}\",shard=\"a\",role=\"primary\",node=\"127.0.0.1:{}\"", server.port());
        metric(pages, &format!("shardway_node_up{{{labels}}}"))
    };
    assert_eq!([up("one", a), up("shop", a)], [1.0; 2]);

    a.kill9().expect("it runs");
    for database in ["one", "two", "shop"] {
        becomes("it is seen that it is gone, though no client has asked", || {
            node(&mut ops, database, a.port(), ["state"]) == ["down"]
        });
        assert_ne!(node(&mut ops, database, a.port(), ["failure", "failed_for_s"]), ["NULL", "NULL"]);
        assert_eq!(up(database, a), 0.0);
    }
    assert_eq!(node(&mut ops, "shop", b.port(), ["state"]), ["up"]);
    // As with PgBouncer, nothing waits for a server that nobody can stand in for, unless that is asked for.
    let began = Instant::now();
    let mut client = connect(cluster, &proxy, "shop");
    assert_eq!(code(&mut client, "INSERT INTO notes VALUES (1, 'x')"), "08001");
    assert_eq!(code(&mut client, "INSERT INTO notes VALUES (1001, 'x')"), "");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    a.start().expect("it starts");
    for database in ["one", "two", "shop"] {
        becomes("it is seen to be back", || node(&mut ops, database, a.port(), ["state", "failure"]) == ["up", "NULL"]);
        assert_eq!(up(database, a), 1.0);
    }
    assert_eq!(code(&mut client, "INSERT INTO notes VALUES (1, 'x')"), "");
    // Whoever looks may be ended like anybody.
    let ended = LOOKERS.replace("count(*)", "count(pg_terminate_backend(pid))");
    becomes("the connection is there", || sql(a, &ended) == "1");
    becomes("another one looks", || sql(a, LOOKERS) == "1");
    assert_eq!(node(&mut ops, "one", a.port(), ["state"]), ["up"]);
    sql(a, "SELECT pg_drop_replication_slot('kept')");
}

/// Between the looks nobody is connected to a database that is paused: it can be dropped, or copied.
#[test]
fn a_paused_database_can_be_dropped() {
    let (cluster, pages) = (cluster(), pages());
    let server = cluster.primary(1);
    let in_postgres = |text: &str| server.sql_in("postgres", text).unwrap_or_else(|error| panic!("{text}: {error}"));
    in_postgres("CREATE DATABASE passing");
    let proxy = Proxy::start(cluster, &config(pages, &[("passing", server, "passing", "")]));
    let mut ops = connect(cluster, &proxy, "shardway");
    connect(cluster, &proxy, "passing").rows("SELECT 1");
    becomes("it is looked at", || node(&mut ops, "passing", server.port(), ["timeline"]) == ["1"]);
    ops.rows("PAUSE passing");
    becomes("nobody is there", || {
        in_postgres("SELECT count(*) FROM pg_stat_activity WHERE datname = 'passing'") == "0"
    });
    // Those who look do so from another database, or, where they may not be there, leave this one.
    in_postgres("CREATE DATABASE copied TEMPLATE passing; DROP DATABASE copied");
    in_postgres("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; CREATE ROLE guest LOGIN PASSWORD 'guest'");
    let text = config(pages, &[("passing", server, "passing", "")]);
    let guest = text.replace("admin = true", "admin = true\nserver_user = \"guest\"\nserver_password = \"guest\"");
    proxy.rewrite_config(&guest);
    ops.rows("RELOAD");
    ops.rows("RESUME passing");
    let within = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'passing' AND usename = 'guest'";
    becomes("the guest looks from its own database", || in_postgres(within) == "1");
    becomes("it sees what it is to see", || {
        node(&mut ops, "passing", server.port(), ["state", "timeline"]) == ["up", "1"]
    });
    ops.rows("PAUSE passing");
    becomes("nobody is there", || in_postgres(within) == "0");
    in_postgres("CREATE DATABASE copied TEMPLATE passing; DROP DATABASE copied; DROP DATABASE passing");
    in_postgres("GRANT CONNECT ON DATABASE postgres TO PUBLIC; DROP ROLE guest");
    ops.rows("RESUME passing");
}

/// A standby that the file calls a primary: its reads are answered, as by PgBouncer, its writes refused by itself, or
/// held back where the file has them wait; and once it is promoted it is what the file says.
#[test]
fn an_only_node_in_recovery_is_not_written_to() {
    let (cluster, pages, name) = (cluster(), pages(), cluster().database());
    let standby = cluster.add_replica("standby", cluster.primary(1)).expect("it starts");
    let waits = "failover_wait = \"60s\"";
    let text = config(pages, &[("now", &standby, name, ""), ("later", &standby, name, waits)]);
    let proxy = Proxy::start(cluster, &text);
    let mut ops = connect(cluster, &proxy, "shardway");
    for database in ["now", "later"] {
        becomes("it is found to be a standby", || {
            let [state, role, problem] = node(&mut ops, database, standby.port(), ["state", "role", "problem"]);
            state == "unfit" && role == "replica" && problem.contains("standby")
        });
    }
    let has_primary =
        |database: &str| metric(pages, &format!("shardway_shard_has_primary{{database=\"{database}\",shard=\"a\"}}"));
    assert_eq!([has_primary("now"), has_primary("later")], [0.0; 2]);
    let mut client = connect(cluster, &proxy, "now");
    assert_eq!(client.rows("SELECT pg_is_in_recovery()"), [["t"]]);
    assert_eq!(code(&mut client, "INSERT INTO notes VALUES (2, 'x')"), "25006");
    std::thread::scope(|scope| {
        let held = scope.spawn(|| code(&mut connect(cluster, &proxy, "later"), "INSERT INTO notes VALUES (3, 'x')"));
        becomes("it waits", || {
            metric(pages, "shardway_shard_waiting{database=\"later\",shard=\"a\"}") == 1.0 || held.is_finished()
        });
        standby.promote().expect("it is a standby");
        assert_eq!(held.join().expect("no panic"), "", "{}", proxy.log());
    });
    assert_eq!(sql(&standby, "SELECT id FROM notes WHERE id = 3"), "3");
    for database in ["now", "later"] {
        becomes("it is the primary", || {
            let shown = node(&mut ops, database, standby.port(), ["state", "role", "timeline", "problem"]);
            shown == ["up", "primary", "2", "NULL"]
        });
        assert_eq!(has_primary(database), 1.0);
    }
    assert_eq!(code(&mut client, "INSERT INTO notes VALUES (2, 'x')"), "");
}

/// At the address of an only node there is another server now, such as after an upgrade: it is served, and that is said.
/// An older one of the same cluster is served as well, since nothing else is there, and that is an alarm.
#[test]
fn another_server_at_the_address_of_an_only_node_is_noticed() {
    let (cluster, pages) = (cluster(), pages());
    let [first, second] = ["first", "second"].map(|name| cluster.add_primary(name).expect("it starts"));
    let newer = cluster.add_replica("newer", &first).expect("it starts");
    newer.promote().expect("it is a standby");
    for (server, text) in [(&first, "first"), (&second, "second"), (&newer, "newer")] {
        sql(server, &format!("CREATE TABLE told AS SELECT '{text}'::text AS name"));
    }
    let address = support::Relay::start(newer.port());
    let text = config(pages, &[("told", &newer, cluster.database(), "")]);
    let text = text.replace(&format!("127.0.0.1:{}/", newer.port()), &format!("127.0.0.1:{}/", address.port()));
    let proxy = Proxy::start(cluster, &text);
    let mut ops = connect(cluster, &proxy, "shardway");
    let mut client = connect(cluster, &proxy, "told");
    becomes("it is looked at", || node(&mut ops, "told", address.port(), ["timeline"]) == ["2"]);
    assert_eq!(client.rows("SELECT name FROM told"), [["newer"]]);
    address.lead_to(first.port());
    becomes("an older one is an alarm", || {
        node(&mut ops, "told", address.port(), ["problem"])[0].contains("on timeline 2")
    });
    assert_eq!(client.rows("SELECT name FROM told"), [["first"]]);
    address.lead_to(second.port());
    let system = sql(&second, "SELECT system_identifier FROM pg_control_system()");
    becomes("another one is shown", || {
        node(&mut ops, "told", address.port(), ["system_identifier", "problem"]) == [&system, "NULL"]
    });
    assert_eq!(client.rows("SELECT name FROM told"), [["second"]]);
    assert!(proxy.log().contains("another server is at the address"), "{}", proxy.log());
}
