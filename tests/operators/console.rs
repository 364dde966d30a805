//! SHOW: the tables of PgBouncer with its columns, those of a sharding proxy, in both protocols, and who may look.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use shardway::devcluster::Companion;

use super::support::{free_port, psql};
use super::wire::{Client, Event, Messages, Turn};
use super::{becomes, cluster, columns, config, connect, proxy, row_where, table};

/// Name, type and size of each column of PgBouncer 1.18's tables.
const COLUMNS: &str = include_str!("pgbouncer_columns.txt");

fn shape(turn: &Turn) -> String {
    let each = |column: &super::wire::Column| format!("{} {} {}", column.name, column.oid, column.size);
    columns(turn).iter().map(each).collect::<Vec<_>>().join(", ")
}

fn shapes_of(client: &mut Client) -> String {
    let mut all = String::new();
    for line in COLUMNS.lines() {
        let name = line.split(':').next().unwrap_or_default();
        let turn = client.query(&format!("SHOW {name}")).expect("answered");
        assert_eq!(turn.error(), None, "SHOW {name}");
        assert!(turn.events.contains(&Event::Complete("SHOW".to_owned())), "{:?}", turn.events);
        all.push_str(&format!("{name}: {}\n", shape(&turn)));
    }
    all
}

#[test]
fn tables_have_the_columns_of_pgbouncer() {
    for database in ["pgbouncer", "shardway"] {
        assert_eq!(shapes_of(&mut connect(proxy(), "watch", database)), COLUMNS);
    }
}

/// The list that the test above compares with is PgBouncer's own, wherever one is installed.
#[test]
fn the_columns_are_those_of_the_pgbouncer_that_is_installed() {
    let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
    let Some(program) = program.into_iter().find(|path| std::path::Path::new(path).exists()) else {
        println!("no PgBouncer is installed: nothing to compare with");
        return;
    };
    let version = Command::new(program).arg("--version").output().expect("it was found there");
    if !String::from_utf8_lossy(&version.stdout).starts_with("PgBouncer 1.18.") {
        println!("another version of PgBouncer is installed: its columns may differ");
        return;
    }
    let (process, port) = start_pgbouncer(program);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    becomes("PgBouncer accepts", || Client::connect(address, "ops", "pgbouncer").is_ok() || process.ended().is_some());
    let mut client =
        Client::connect(address, "ops", "pgbouncer").unwrap_or_else(|error| panic!("{error}\n{}", process.log()));
    assert_eq!(shapes_of(&mut client), COLUMNS);
    process.stop(Duration::from_secs(60)).expect("it runs");
}

/// PgBouncer refuses to run as root: it runs as the servers do then.
fn start_pgbouncer(program: &str) -> (Companion, u16) {
    let port = free_port();
    let directory = cluster().directory();
    let (file, users) = (directory.join("pgbouncer.ini"), directory.join("pgbouncer.users"));
    let text = format!(
        "[databases]\nshop = host=127.0.0.1 port=1\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = trust\nauth_file = {}\nadmin_users = ops\n",
        users.display()
    );
    std::fs::write(&file, text).expect("the cluster's directory can be written to");
    std::fs::write(&users, "\"ops\" \"x\"\n").expect("the cluster's directory can be written to");
    let mut command = Command::new(program);
    command.arg(&file);
    let owner = std::fs::metadata(cluster().primary(0).data_dir()).expect("the server has its files");
    if nix::unistd::Uid::effective().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    (cluster().spawn("pgbouncer", &mut command).expect("it was found"), port)
}

#[test]
fn figures_follow_what_clients_do() {
    let proxy = super::support::Proxy::start(cluster(), &config("", ""));
    let mut app = connect(&proxy, "app", "shop");
    let mut ops = connect(&proxy, "ops", "shardway");
    for id in 0..40 {
        app.rows(&format!("INSERT INTO users VALUES ({id}, 'user {id}')"));
    }
    app.rows("SELECT name FROM users");
    app.rows("BEGIN");
    app.rows("SELECT 1 FROM users WHERE id = 7");
    let open = row_where(&mut ops, "SHOW TRANSACTIONS", "user", "app");
    assert_eq!((open["phase"].as_str(), open["strategy"].as_str()), ("idle in transaction", "key"));
    assert_eq!(open["statement"], "select ? from users where id=?");
    let shard = open["shards"].clone();
    let pool = row_where(&mut ops, "SHOW POOLS", "user", "app");
    assert_eq!((pool["cl_active"].as_str(), pool["sv_active"].as_str()), ("1", "1"));
    let server = table(&mut ops, "SHOW SERVERS").into_iter().find(|server| server["state"] == "active");
    let server = server.expect("the transaction has one");
    let client = row_where(&mut ops, "SHOW CLIENTS", "user", "app");
    assert_eq!((&server["link"], &client["link"]), (&client["ptr"], &server["ptr"]));
    assert_eq!(server["application_name"], format!("shard {shard}, primary"));
    app.rows("COMMIT");
    let stats = row_where(&mut ops, "SHOW STATS", "database", "shop");
    let number = |name: &str| stats[name].parse::<u64>().expect("a number");
    assert_eq!((number("total_xact_count"), number("total_query_count")), (42, 44));
    assert!(number("total_received") > 40 * 40 && number("total_sent") > 40 * 20, "{stats:?}");
    assert!(number("total_query_time") > 0 && number("total_xact_time") >= number("total_query_time"), "{stats:?}");
    let insert = row_where(&mut ops, "SHOW PLANS", "statement", "insert into users values(?, ?)");
    let cells = ["kind", "strategy", "calls", "errors", "rows", "shards_per_call"].map(|name| insert[name].as_str());
    assert_eq!(cells, ["insert", "key", "40", "0", "40", "1.0"]);
    let all = row_where(&mut ops, "SHOW PLANS", "statement", "select name from users");
    assert_eq!(
        ["strategy", "calls", "rows", "shards_per_call"].map(|name| all[name].as_str()),
        ["scatter", "1", "40", "2.0"]
    );
    let shards = table(&mut ops, "SHOW SHARDS");
    let buckets: Vec<&str> = shards.iter().map(|shard| shard["buckets"].as_str()).collect();
    assert_eq!(buckets, ["2048", "2048"]);
    let statements: u64 = shards.iter().map(|shard| shard["statements"].parse::<u64>().expect("a number")).sum();
    assert!(statements >= 41, "{shards:?}");
    let (orders, events) =
        (row_where(&mut ops, "SHOW TABLES", "table", "orders"), row_where(&mut ops, "SHOW TABLES", "table", "events"));
    assert_eq!(
        ["placement", "key", "type", "shards"].map(|name| orders[name].as_str()),
        ["hash", "user_id", "int8", "a,b"]
    );
    assert_eq!(["placement", "colocated_with"].map(|name| events[name].as_str()), ["range", "NULL"]);
    assert_eq!(table(&mut ops, "SHOW NODES").len(), 4);
}

#[test]
fn refusals_slow_and_hot_statements_are_shown() {
    let proxy = super::support::Proxy::start(cluster(), &config("", "[log]\nslow_statement = \"150ms\"\n"));
    let mut app = connect(&proxy, "app", "shop");
    let mut watch = connect(&proxy, "watch", "pgbouncer");
    let refused = app.query("DO 'BEGIN END'").expect("answered");
    let message = refused.error().expect("it is refused").message.clone();
    // The message is followed by the detail.
    let (message, _) = message.split_once(" (").expect("there is a detail");
    let shown = row_where(&mut watch, "SHOW REFUSALS", "refusal", message);
    assert!(!shown["hint"].is_empty() && shown["statement"] == "do ?", "{shown:?}");
    app.rows("SELECT pg_sleep(0.2), 'secret'");
    let slow = row_where(&mut watch, "SHOW SLOW", "statement", "select pg_sleep(?), ?");
    assert!(slow["ms"].parse::<f64>().expect("a number") >= 200.0, "{slow:?}");
    assert!(proxy.log().contains("slow statement") && !proxy.log().contains("secret"), "{}", proxy.log());
    for round in 0..400 {
        app.rows(&format!("SELECT 1 FROM users WHERE id = {}", if round % 2 == 0 { 4242 } else { round }));
    }
    let hot = row_where(&mut watch, "SHOW HOT", "what", "key");
    assert_eq!(hot["name"], "users.id = 4242");
    assert!(table(&mut watch, "SHOW HOT").iter().any(|row| row["what"] == "bucket" && row["shard"] != "NULL"));
}

/// Values are for those who ask for them, in the file.
#[test]
fn slow_statements_have_their_values_where_that_is_asked_for() {
    let more = "[log]\nslow_statement = \"150ms\"\nslow_values = true\n";
    let proxy = super::support::Proxy::start(cluster(), &config("", more));
    let mut app = connect(&proxy, "app", "shop");
    let mut watch = connect(&proxy, "watch", "pgbouncer");
    app.rows("SELECT pg_sleep(0.2),\n'plain'");
    let messages = Messages::default().parse("s", "SELECT pg_sleep(0.2), $1::text, $2::int", &[]);
    let messages = messages.bind("s", &[(0, Some(b"it's".to_vec())), (0, None)], 0).execute(0).sync();
    assert_eq!(app.turn(messages).expect("answered").error(), None);
    let shown: Vec<String> = table(&mut watch, "SHOW SLOW").into_iter().map(|row| row["statement"].clone()).collect();
    for wanted in
        ["SELECT pg_sleep(0.2), 'plain'", "SELECT pg_sleep(0.2), $1::text, $2::int -- $1 = 'it''s', $2 = NULL"]
    {
        assert!(shown.iter().any(|one| one == wanted), "{wanted}: {shown:?}");
        assert!(proxy.log().contains(wanted), "{}", proxy.log());
    }
    // Statistics are of shapes.
    row_where(&mut watch, "SHOW PLANS", "statement", "select pg_sleep(?), ?");
    // And a short statement is what it was.
    app.rows("SELECT name FROM users WHERE id = 3");
    app.rows("SELECT name FROM users WHERE id = 3");
}

/// What isn't counted is answered all the same, and what is seldom is still told.
#[test]
fn without_statistics_statements_are_answered_and_not_counted() {
    let proxy =
        super::support::Proxy::start(cluster(), &config("statistics = false", "[log]\nslow_statement = \"150ms\"\n"));
    let mut app = connect(&proxy, "app", "shop");
    let mut ops = connect(&proxy, "ops", "shardway");
    for id in 0..20 {
        app.rows(&format!("SELECT name FROM users WHERE id = {id}"));
    }
    app.rows("SELECT pg_sleep(0.2)");
    assert!(app.query("DO 'BEGIN END'").expect("answered").error().is_some());
    let stats = row_where(&mut ops, "SHOW STATS_TOTALS", "database", "shop");
    assert!(stats.iter().all(|(name, value)| name == "database" || value == "0"), "{stats:?}");
    assert!(table(&mut ops, "SHOW PLANS").iter().all(|row| row["calls"] == "0"));
    assert_eq!(table(&mut ops, "SHOW HOT").iter().filter(|row| row["what"] == "key").count(), 0);
    row_where(&mut ops, "SHOW SLOW", "statement", "select pg_sleep(?)");
    assert_eq!(table(&mut ops, "SHOW REFUSALS").len(), 1);
    // On again by a reload, for clients that are there as well.
    proxy.rewrite_config(&config("statistics = true", ""));
    ops.rows("RELOAD");
    becomes("it is counted", || {
        app.rows("SELECT name FROM users WHERE id = 1");
        row_where(&mut ops, "SHOW STATS_TOTALS", "database", "shop")["query_count"] != "0"
    });
}

#[test]
fn what_runs_is_shown_while_it_runs() {
    let mut app = connect(proxy(), "app", "shop");
    let mut ops = connect(proxy(), "ops", "shardway");
    app.send(Messages::default().query("SELECT pg_sleep(3)")).expect("sent");
    // It may have to wait for a connection first: other tests use the same proxy.
    let runs = |row: &std::collections::BTreeMap<String, String>| {
        row["statement"] == "select pg_sleep(?)" && row["phase"] == "running"
    };
    becomes("it runs", || table(&mut ops, "SHOW QUERIES").iter().any(runs));
    let query = row_where(&mut ops, "SHOW QUERIES", "statement", "select pg_sleep(?)");
    assert_eq!(["phase", "strategy", "shards"].map(|name| query[name].as_str()), ["running", "home", "a"]);
    app.answer().expect("answered");
    becomes("it has ended", || table(&mut ops, "SHOW QUERIES").iter().all(|row| row["user"] != "app"));
}

#[test]
fn a_gather_is_shown_while_its_rows_come_and_are_worked_on() {
    let mut app = connect(proxy(), "app", "shop");
    let mut ops = connect(proxy(), "ops", "shardway");
    app.rows("SELECT count(*) FROM (SELECT id FROM users UNION SELECT 0) AS all_of_them");
    let slow = "SELECT count(*), pg_sleep(3) FROM (SELECT id FROM users UNION SELECT 0) AS all_of_them";
    app.send(Messages::default().query(slow)).expect("sent");
    becomes("it is shown", || table(&mut ops, "SHOW GATHERS").iter().any(|row| row["phase"] == "answering"));
    let gather = row_where(&mut ops, "SHOW GATHERS", "phase", "answering");
    assert_eq!(["user", "tables", "filled"].map(|name| gather[name].as_str()), ["app", "1", "1"]);
    app.answer().expect("answered");
    becomes("it has ended", || table(&mut ops, "SHOW GATHERS").is_empty());
}

#[test]
fn the_extended_protocol_is_spoken_in_binary_as_well() {
    let mut client = connect(proxy(), "watch", "pgbouncer");
    let messages = Messages::default().parse("", "SHOW LISTS", &[]).describe_statement("").bind("", &[], 1);
    let turn = client.turn(messages.describe_portal().execute(2).execute(0).sync()).expect("answered");
    assert_eq!(turn.error(), None);
    assert_eq!(turn.parameters(), Some(&[][..]));
    let rows: Vec<_> = turn.rows().collect();
    assert_eq!(rows.len(), 12);
    assert_eq!(*rows[0], vec![Some(b"databases".to_vec()), Some(1_i32.to_be_bytes().to_vec())]);
    assert!(turn.events.contains(&Event::Suspended) && turn.events.contains(&Event::Complete("SHOW".to_owned())));
    let messages = Messages::default().parse("", "SHOW STATS_TOTALS", &[]).bind("", &[], 1).execute(0).sync();
    let turn = client.turn(messages).expect("answered");
    let row = turn.rows().next().expect("a database");
    // numeric_send: at least its four counts.
    assert!(row.iter().skip(1).all(|cell| cell.as_ref().is_some_and(|bytes| bytes.len() >= 8)), "{row:?}");
    // An error makes the rest of the turn void, and only that.
    let messages = Messages::default().parse("", "SHOW NOTHING", &[]).bind("", &[], 0).execute(0).sync();
    let turn = client.turn(messages).expect("answered");
    assert_eq!(turn.error().map(|error| error.code.as_str()), Some("08P01"));
    assert_eq!((turn.events.len(), turn.status), (1, b'I'));
    assert_eq!(client.rows("SHOW VERSION").len(), 1);
}

#[test]
fn psql_and_a_driver_that_prepares_are_at_home() {
    let output = psql(cluster(), &proxy().url("watch", "x", "pgbouncer"), &["-A", "-t", "-c", "show version"]);
    let output = super::support::expect_success("psql", &output);
    assert!(output.starts_with("PgBouncer 1.18.0 (Shardway "), "{output}");
    let python = super::support::PythonEnv::get();
    let rows = python.run("tests/operators/exporter.py", &[&proxy().url("watch", "x", "pgbouncer")]);
    assert!(rows.contains("shop"), "{rows}");
}

#[test]
fn only_those_may_look_who_are_told_so_and_only_administrators_change_anything() {
    let turned_away = Client::connect(proxy().address(), "app", "shardway");
    assert!(turned_away.is_err_and(|error| error.contains("permission denied for database")));
    let mut watch = connect(proxy(), "watch", "shardway");
    for sql in ["PAUSE", "RESUME", "RELOAD", "RECONNECT", "KILL 1", "SET max_clients = 5", "SHUTDOWN", "DISCONNECT a"] {
        let turn = watch.query(sql).expect("answered");
        assert_eq!(turn.error().map(|error| error.message.as_str()), Some("admin access needed"), "{sql}");
    }
    let turn = watch.query("SHOW FDS").expect("answered");
    assert!(turn.error().is_some_and(|error| error.message.contains("not supported")));
    for (sql, wanted) in [("", "EmptyQuery"), ("SELECT 1", "use SHOW HELP"), ("BEGIN", "BEGIN")] {
        let turn = watch.query(sql).expect("answered");
        assert!(format!("{:?}", turn.events).contains(wanted), "{sql}: {:?}", turn.events);
    }
    assert_eq!(table(&mut watch, "SHOW USERS").len(), 3);
    assert!(table(&mut watch, "SHOW HELP").iter().any(|row| row["command"] == "SHOW PLANS"));
    assert_eq!(row_where(&mut watch, "SHOW CONFIG", "key", "max_clients")["changeable"], "yes");
    assert_eq!(row_where(&mut watch, "SHOW DATABASES", "name", "shop")["pool_size"], "4");
}
