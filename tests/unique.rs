//! Columns that are kept unique over all shards: over the ways to write, for tables that have rows already, and under load
//! while proxies and servers are killed.

use std::collections::HashMap;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, RwLock};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rand::RngExt;
use shardway::devcluster::{Cluster, Server};
use support::{Proxy, Shards};

use client::{Wire, sqlstate};

#[allow(dead_code)]
#[path = "wire/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "wire/message.rs"]
mod message;
mod support;

const SCHEMA: &str = "
    CREATE TABLE people (id bigint PRIMARY KEY, email text CONSTRAINT people_email UNIQUE, name text);
    CREATE TABLE old (id bigint PRIMARY KEY, email text);
    CREATE FUNCTION sneak(which bigint, address text) RETURNS bigint LANGUAGE sql AS
        'INSERT INTO people VALUES (which, address) RETURNING id';
    CREATE ROLE clerk LOGIN;
    CREATE ROLE stranger LOGIN;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk;
";
const PATIENCE: Duration = Duration::from_secs(60);

fn start_cluster() -> Cluster {
    let builder = Shards::builder().shards(3).database("app").schema(SCHEMA).max_connections(200);
    builder.hba("host all all 127.0.0.1/32 trust").start().unwrap_or_else(|error| panic!("{error}"))
}

/// The one that those tests share which leave it whole.
fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(start_cluster)
}

fn config(cluster: &Cluster) -> String {
    let database =
        cluster.database_toml("app").replacen("[database.app]\n", "[database.app]\nrecovery_interval = \"1s\"\n", 1);
    format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n\n[pool]\nsize = 40\n\n\
         [[user]]\nname = \"{}\"\npassword = \"{}\"\nadmin = true\n\n[[user]]\nname = \"clerk\"\npassword = \"clerk\"\n\n{database}
[database.app.table.people]\nkey = \"id\"\nunique = [\"email\"]\n\n[database.app.table.old]\nkey = \"id\"\nunique = [\"email\"]\n
[database.app.table.young]\nkey = \"id\"\nunique = [\"email\"]\n\n[database.app.table.plain]\nkey = \"id\"\n",
        cluster.user(),
        cluster.password()
    )
}

fn start_proxy(cluster: &Cluster, failpoints: &str) -> Proxy {
    let environment: &[(&str, &str)] = if failpoints.is_empty() { &[] } else { &[("SHARDWAY_FAILPOINT", failpoints)] };
    Proxy::start_with(cluster, &config(cluster), environment)
}

fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        let proxy = start_proxy(shared(), "");
        drop(ready(&proxy));
        proxy
    })
}

/// A connection, once the servers' tables are known.
fn ready(proxy: &Proxy) -> Wire {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let mut wire = Wire::connect(proxy.address());
        if sqlstate(&wire.query("SELECT 1 FROM people WHERE id = 0")).is_none() {
            return wire;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the proxy doesn't become ready: {}", proxy.log());
}

fn code(wire: &mut Wire, sql: &str) -> String {
    sqlstate(&wire.query(sql)).unwrap_or_else(|| "00000".to_owned())
}

fn on(server: &Server, sql: &str) -> String {
    server.sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).trim().to_owned()
}

fn everywhere(cluster: &Cluster, sql: &str) -> Vec<String> {
    let lines = |server: &Server| on(server, sql).lines().map(str::to_owned).collect::<Vec<_>>();
    cluster.shards().iter().flat_map(|shard| lines(&shard.primary)).collect()
}

fn command(proxy: &Proxy, verb: &str, table: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardway"));
    command.args(["unique", verb, "--table", table, "--config"]).arg(proxy.config_file());
    command.output().expect("the binary has been built")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Tables that tests write have keys of their own.
#[test]
fn a_lookup_goes_to_one_shard() {
    let mut wire = ready(proxy());
    wire.run("INSERT INTO people VALUES (1, 'one@x'), (2, 'two@x'), (3, 'three@x')");
    let plan = |wire: &mut Wire, sql: &str| format!("{:?}", wire.query(&format!("EXPLAIN {sql}")));
    let found = plan(&mut wire, "SELECT * FROM people WHERE email = 'two@x'");
    assert!(found.contains("people.id = 2"), "{found}");
    let scattered = plan(&mut wire, "SELECT * FROM people WHERE email LIKE 'two@%'");
    assert!(!scattered.contains("people.id = 2"), "{scattered}");
    let update = plan(&mut wire, "UPDATE people SET name = 'x' WHERE email = 'three@x'");
    assert!(update.contains("people.id = 3"), "{update}");
    assert_eq!(code(&mut wire, "UPDATE people SET name = 'x' WHERE email = 'three@x'"), "00000");
}

fn copy(wire: &mut Wire, rows: &str) -> Vec<client::Frame> {
    wire.send(&message::query("COPY people (id, email) FROM STDIN"));
    wire.until(b'G', 1);
    wire.send(&[message::copy_data(rows.as_bytes()), message::copy_done()].concat());
    wire.until(b'Z', 1)
}

#[test]
fn copies_and_functions_are_followed() {
    let mut wire = ready(proxy());
    wire.run("INSERT INTO people VALUES (101, 'taken@x')");
    let copied = copy(&mut wire, "102\tnew@x\n103\ttaken@x\n104\tother@x\n");
    assert_eq!(sqlstate(&copied).as_deref(), Some("23505"), "{copied:?}");
    let copied = copy(&mut wire, "102\tnew@x\n103\tthird@x\n104\t\\N\n105\t\\N\n");
    assert_eq!(sqlstate(&copied), None, "{copied:?}");
    assert_eq!(code(&mut wire, "INSERT INTO people VALUES (106, 'third@x')"), "23505");
    // A function writes behind the proxy's back: at COMMIT its shard is asked.
    let first = on(
        &shared().shards()[0].primary,
        "SELECT k FROM generate_series(110, 300) k WHERE (((hashint8extended(k, 8816678312871386365) & 4095) + 2275) & 4095) % 3 = 0
         ORDER BY k LIMIT 2",
    );
    let (one, two) = first.split_once('\n').expect("there are two");
    let sneak = |id: &str, address: &str| format!("/* shardway: shard=a */ SELECT sneak({id}, '{address}')");
    assert_eq!(code(&mut wire, &sneak(one, "sneaked@x")), "0A000");
    wire.run("BEGIN");
    wire.run(&sneak(one, "sneaked@x"));
    wire.run("COMMIT");
    assert_eq!(code(&mut wire, "INSERT INTO people VALUES (111, 'sneaked@x')"), "23505");
    wire.run("BEGIN");
    wire.run(&sneak(two, "taken@x"));
    assert_eq!(code(&mut wire, "COMMIT"), "23505");
    assert_eq!(wire.value(&format!("SELECT count(*) FROM people WHERE id = {two}")), "0");
}

#[test]
fn a_new_table_is_kept_unique_from_its_first_row() {
    let mut wire = ready(proxy());
    // Without the option it is refused, and the remedy is the option.
    let refused = wire.query("CREATE TABLE plain (id bigint PRIMARY KEY, email text UNIQUE)");
    assert_eq!(sqlstate(&refused).as_deref(), Some("0A000"), "{refused:?}");
    assert!(format!("{refused:?}").contains("unique = ["), "{refused:?}");
    wire.run("CREATE TABLE young (id bigint PRIMARY KEY, email text UNIQUE)");
    wire.run("INSERT INTO young VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')");
    let error = wire.query("INSERT INTO young VALUES (5, 'a')");
    assert_eq!(sqlstate(&error).as_deref(), Some("23505"));
    let error = format!("{error:?}");
    assert!(error.contains("young_email_key") && error.contains("Key (email)=(a) already exists."), "{error}");
    // Another table of that name has no claims of the first one.
    wire.run("DROP TABLE young");
    wire.run("CREATE TABLE young (id bigint PRIMARY KEY, email text UNIQUE)");
    wire.run("INSERT INTO young VALUES (7, 'a'), (8, 'b')");
    wire.run("TRUNCATE young");
    wire.run("INSERT INTO young VALUES (9, 'a'), (10, 'b')");
    let verified = command(proxy(), "verify", "young");
    assert!(verified.status.success(), "{}", text(&verified));
}

#[test]
fn roles_that_shardway_does_not_log_in_as_cannot_touch_claims() {
    let mut wire = ready(proxy());
    wire.run("INSERT INTO people VALUES (201, 'guarded@x')");
    let server = &shared().shards()[0].primary;
    let claims = on(server, "SELECT relname FROM pg_class WHERE relname ~ '^uq_people' AND relkind = 'r'");
    for sql in [
        format!("SET SESSION AUTHORIZATION stranger; SELECT * FROM shardway.{claims}"),
        format!("SET SESSION AUTHORIZATION stranger; SELECT * FROM shardway.{claims}_find('{{guarded@x}}')"),
        format!(
            "SET SESSION AUTHORIZATION stranger; SELECT shardway.{claims}_apply('{{}}','{{}}','{{}}','{{}}','{{}}','{{}}')"
        ),
    ] {
        let error = server.sql(&sql).expect_err("it must be refused").to_string();
        assert!(error.contains("permission denied"), "{sql}: {error}");
    }
    let mut clerk =
        Wire::with(proxy().address(), &[("user", "clerk"), ("database", "app")]).expect("the clerk may come in");
    assert_eq!(code(&mut clerk, "INSERT INTO people VALUES (202, 'guarded@x')"), "23505");
    assert_eq!(code(&mut clerk, "INSERT INTO people VALUES (202, 'clerk@x')"), "00000");
}

#[test]
fn rows_that_are_there_are_claimed_while_clients_write() {
    let cluster = start_cluster();
    // Directly on the servers, each row where it belongs.
    let bucket = "(((hashint8extended(id, 8816678312871386365) & 4095) + 2275) & 4095) % 3";
    for (number, shard) in cluster.shards().iter().enumerate() {
        let sql = format!(
            "INSERT INTO old SELECT id, 'old' || id || '@x' FROM generate_series(1, 4000) id WHERE {bucket} = {number}"
        );
        on(&shard.primary, &sql);
    }
    let proxy = start_proxy(&cluster, "");
    let mut wire = ready(&proxy);
    assert_eq!(code(&mut wire, "INSERT INTO old VALUES (5000, 'x')"), "55000");
    let over = AtomicBool::new(false);
    let next = AtomicU64::new(10_000);
    let backfilled = std::thread::scope(|scope| {
        for number in 0..4_u64 {
            let (over, next, proxy) = (&over, &next, &proxy);
            scope.spawn(move || {
                let mut wire = ready(proxy);
                let mut rng = rand::rng();
                while !over.load(Ordering::Acquire) {
                    let (id, fresh) = (rng.random_range(1..4000), next.fetch_add(1, Ordering::Relaxed));
                    let sql = match (fresh + number) % 4 {
                        0 => format!("INSERT INTO old VALUES ({fresh}, 'new{fresh}@x')"),
                        1 => format!("UPDATE old SET email = 'changed{fresh}@x' WHERE id = {id}"),
                        2 => format!("DELETE FROM old WHERE id = {id}"),
                        _ => format!("UPDATE old SET id = {fresh} WHERE id = {id}"),
                    };
                    let told = code(&mut wire, &sql);
                    // Not before its triggers are there; and those who wait for each other are told so.
                    assert!(["00000", "55000", "40P01", "55P03"].contains(&told.as_str()), "{sql}: {told}");
                }
            });
        }
        let backfilled = command(&proxy, "backfill", "old");
        over.store(true, Ordering::Release);
        backfilled
    });
    assert!(backfilled.status.success(), "{}", text(&backfilled));
    let verified = command(&proxy, "verify", "old");
    assert!(verified.status.success(), "{}", text(&verified));
    let count: usize =
        everywhere(&cluster, "SELECT count(*) FROM old").iter().map(|n| n.parse::<usize>().expect("a number")).sum();
    assert!(count > 1000, "{count} rows are left");
    // Whoever passes by Shardway is found out.
    let taken = everywhere(&cluster, "SELECT email FROM old LIMIT 1").swap_remove(0);
    for (number, shard) in cluster.shards().iter().enumerate() {
        let sql = format!(
            "INSERT INTO old SELECT id, '{taken}' FROM generate_series(900000, 900100) id WHERE {bucket} = {number} LIMIT 1"
        );
        on(&shard.primary, &sql);
    }
    let verified = command(&proxy, "verify", "old");
    assert!(!verified.status.success() && text(&verified).contains("several rows have it"), "{}", text(&verified));
}

#[test]
fn duplicates_are_found_before_it_is_switched_on() {
    let cluster = start_cluster();
    let bucket = "(((hashint8extended(id, 8816678312871386365) & 4095) + 2275) & 4095) % 3";
    for (number, shard) in cluster.shards().iter().enumerate() {
        let sql = format!(
            "INSERT INTO old SELECT id, 'same' || id / 2 FROM generate_series(1, 20) id WHERE {bucket} = {number}"
        );
        on(&shard.primary, &sql);
    }
    let proxy = start_proxy(&cluster, "");
    drop(ready(&proxy));
    let backfilled = command(&proxy, "backfill", "old");
    let said = text(&backfilled);
    assert!(!backfilled.status.success() && said.contains("old (email) = (same5) is in the rows id "), "{said}");
}

/// What one client was told of an address that it wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    Yes,
    No,
    Nothing,
}

const ADDRESSES: u64 = 30;
const CLIENTS: usize = 6;

/// Clients want the same addresses, in every way to write, while proxies and servers die.
#[test]
fn never_two_and_none_lost() {
    let seconds = std::env::var("SHARDWAY_UNIQUE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let cluster = start_cluster();
    let points = "noted:kill:1,prepared:kill:1,decided:kill:1,finished_some:kill:1,deciding:lose:1";
    let proxies: Vec<RwLock<Proxy>> = (0..2).map(|_| RwLock::new(start_proxy(&cluster, points))).collect();
    drop(ready(&proxies[0].read().expect("not poisoned")));
    let over = AtomicBool::new(false);
    let next = AtomicU64::new(1);
    // Rows that were acknowledged, by their ids, and those that may be there.
    let told: Mutex<HashMap<u64, (u64, Told)>> = Mutex::default();
    let acknowledgements = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (proxies, over, next, told) = (&proxies, &over, &next, &told);
            let counted = &acknowledgements;
            scope.spawn(move || want(&proxies[number % 2], over, (next, counted), told));
        }
        let begin = Instant::now();
        let mut rng = rand::rng();
        // On a busy machine for longer, until there is enough to judge by.
        let is_enough = || acknowledgements.load(Ordering::Relaxed) > 20;
        while begin.elapsed() < Duration::from_secs(seconds) || (!is_enough() && begin.elapsed() < 2 * PATIENCE) {
            std::thread::sleep(Duration::from_millis(400));
            for proxy in &proxies {
                let mut place = proxy.write().expect("not poisoned");
                if rng.random_bool(0.15) {
                    let _ = place.process().signal(Signal::SIGKILL);
                }
                if place.process().ended().is_some() || rng.random_bool(0.15) {
                    *place = start_proxy(&cluster, points);
                }
            }
            if rng.random_bool(0.25) {
                let shard = rng.random_range(0..3_usize);
                let server = &cluster.shards()[shard].primary;
                let _ = server.kill9();
                let _ = server.restart();
            }
        }
        over.store(true, Ordering::Release);
    });
    for proxy in &proxies {
        *proxy.write().expect("not poisoned") = start_proxy(&cluster, "");
    }
    let begin = Instant::now();
    while everywhere(&cluster, "SELECT count(*) FROM pg_prepared_xacts").iter().any(|count| count != "0") {
        assert!(begin.elapsed() < PATIENCE, "transactions stay prepared");
        std::thread::sleep(Duration::from_millis(100));
    }
    let rows = everywhere(&cluster, "SELECT email || ' ' || id FROM people");
    let mut by_address: HashMap<&str, Vec<u64>> = HashMap::new();
    for row in &rows {
        let (address, id) = row.split_once(' ').expect("it was put together so");
        by_address.entry(address).or_default().push(id.parse().expect("a number"));
    }
    for (address, ids) in &by_address {
        assert_eq!(ids.len(), 1, "{address} is in {ids:?}");
    }
    let there: std::collections::HashSet<u64> = by_address.values().flatten().copied().collect();
    let told = told.into_inner().expect("not poisoned");
    let acknowledged: Vec<_> = told.iter().filter(|(_, (_, told))| *told == Told::Yes).collect();
    for (id, (address, _)) in &acknowledged {
        assert!(there.contains(id), "row {id} with address {address} was acknowledged and is lost");
    }
    for (id, (address, said)) in &told {
        assert!(*said != Told::No || !there.contains(id), "row {id} with address {address} was refused and is there");
    }
    let count = acknowledgements.into_inner();
    assert!(count > 20, "only {count} rows were acknowledged");
    let verified = command(&proxies[0].read().expect("not poisoned"), "verify", "people");
    assert!(verified.status.success(), "{}", text(&verified));
}

/// Wants addresses; rows that are there give theirs up now and then.
fn want(
    proxy: &RwLock<Proxy>,
    over: &AtomicBool,
    (next, acknowledgements): (&AtomicU64, &AtomicU64),
    told: &Mutex<HashMap<u64, (u64, Told)>>,
) {
    let mut wire: Option<Wire> = None;
    let mut own: Vec<u64> = Vec::new();
    let mut rng = rand::rng();
    while !over.load(Ordering::Acquire) {
        let Some(open) = &mut wire else {
            let address = proxy.read().expect("not poisoned").address();
            if std::net::TcpStream::connect(address).is_ok() {
                wire = std::panic::catch_unwind(|| Wire::with(address, &[]).ok()).ok().flatten();
            }
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        let (id, address) = (next.fetch_add(1, Ordering::Relaxed), rng.random_range(0..ADDRESSES));
        let give_up = own.len() > 3 && rng.random_bool(0.5);
        if give_up {
            let row = own.swap_remove(rng.random_range(0..own.len()));
            let (sql, keeps) = match rng.random_range(0..2) {
                0 => (format!("DELETE FROM people WHERE id = {row}"), None),
                _ => (format!("UPDATE people SET id = {id} WHERE id = {row}"), Some(id)),
            };
            let mut all = told.lock().expect("not poisoned");
            let address = all.remove(&row).map_or(0, |(address, _)| address);
            // Until the answer is known it may be there or not.
            all.insert(row, (address, Told::Nothing));
            drop(all);
            let said = tell(open, &sql);
            let mut all = told.lock().expect("not poisoned");
            match (said, keeps) {
                (Told::Yes, keeps) => {
                    all.insert(row, (address, Told::No));
                    if let Some(id) = keeps {
                        all.insert(id, (address, Told::Yes));
                        own.push(id);
                    }
                }
                (Told::No, _) => {
                    all.insert(row, (address, Told::Yes));
                    own.push(row);
                }
                (Told::Nothing, Some(id)) => {
                    all.insert(id, (address, Told::Nothing));
                }
                (Told::Nothing, None) => {}
            }
            if said == Told::Nothing {
                wire = None;
            }
            continue;
        }
        let sql = match rng.random_range(0..3) {
            0 => format!("INSERT INTO people VALUES ({id}, 'a{address}@x')"),
            1 => format!("INSERT INTO people VALUES ({id}, 'a{address}@x') ON CONFLICT (email) DO NOTHING"),
            _ => format!(
                "INSERT INTO people VALUES ({id}, 'a{address}@x') ON CONFLICT (email) DO UPDATE SET name = 'again'"
            ),
        };
        let said = insert(open, &sql, id);
        told.lock().expect("not poisoned").insert(id, (address, said));
        if said == Told::Yes {
            acknowledgements.fetch_add(1, Ordering::Relaxed);
            own.push(id);
        }
        if said == Told::Nothing {
            wire = None;
        }
    }
}

/// The answer, if one came.
fn ask(wire: &mut Wire, sql: &str) -> Option<Vec<client::Frame>> {
    use std::io::Write;
    wire.stream.write_all(&message::query(sql)).ok()?;
    let frames = wire.until(b'Z', 1);
    frames.last().is_some_and(|frame| frame.tag == b'Z').then_some(frames)
}

fn tell(wire: &mut Wire, sql: &str) -> Told {
    let Some(frames) = ask(wire, sql) else { return Told::Nothing };
    match sqlstate(&frames).as_deref() {
        None if frames.iter().any(|frame| frame.tag == b'C' && frame.body.ends_with(b" 0\0")) => Told::No,
        None => Told::Yes,
        Some("08007") => Told::Nothing,
        Some(_) => Told::No,
    }
}

/// Whether this very row was put in.
fn insert(wire: &mut Wire, sql: &str, id: u64) -> Told {
    let sql = format!("{sql} RETURNING id");
    let Some(frames) = ask(wire, &sql) else { return Told::Nothing };
    let mut rows = frames.iter().filter(|frame| frame.tag == b'D').map(client::Frame::values);
    match sqlstate(&frames).as_deref() {
        None if rows.any(|row| row.first() == Some(&Some(id.to_string()))) => Told::Yes,
        None => Told::No,
        Some("08007") => Told::Nothing,
        Some(_) => Told::No,
    }
}
