//! Statements over two shards beside the same statements on one PostgreSQL that has all the rows: a million orders,
//! in turn, so that a busy machine is as busy for one as for the other. Then transactions that write both shards beside
//! such as write one, all through Shardway. Prints the median times, their ratio beside the limit that the project has
//! set itself, and the most memory that the proxy took for the statements.
//!
//! `cargo bench --bench several_shards`; `SHARDWAY_BENCH_PROGRAM` is the program to measure if it isn't the release
//! build, `SHARDWAY_BENCH_ORDERS` and `SHARDWAY_BENCH_ROUNDS` make it smaller.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use shardway::devcluster::{Cluster, Companion, Installation};
use tokio_postgres::{Client, NoTls};

const WHOLE: &str = "whole";
const PARTS: &str = "parts";
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A transaction of two writes may take so many times one that writes one shard.
const TWO_SHARDS_MAX: f64 = 2.5;
const WRITERS: usize = 16;
const TRANSACTIONS: usize = 100;

/// A statement, and how many times one server's time it may take.
const STATEMENTS: &[(&str, &str, f64)] = &[
    ("ORDER BY, LIMIT 100", "SELECT id, user_id, amount, status FROM orders ORDER BY amount DESC, id LIMIT 100", 1.3),
    (
        "GROUP BY, 1,000 groups",
        "SELECT product, count(*), sum(amount), avg(amount), max(placed_at) FROM orders GROUP BY product ORDER BY product",
        1.3,
    ),
    ("count, sum", "SELECT count(*), sum(amount) FROM orders", 1.3),
    ("all rows", "SELECT id, user_id, amount, status FROM orders", 1.0 / 0.7),
    (
        "join that isn't colocated",
        "SELECT p.carrier, count(*), sum(o.amount) FROM orders o JOIN parcels p ON p.order_id = o.id
         WHERE o.status = 'paid' AND p.weight > 900 GROUP BY p.carrier ORDER BY p.carrier",
        3.0,
    ),
    ("all rows, ORDER BY", "SELECT id, user_id, amount, status FROM orders ORDER BY user_id, id", 1.0 / 0.7),
];

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn main() -> ExitCode {
    // `cargo test --benches` asks only whether it runs.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("several_shards: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let (orders, rounds) = (number("SHARDWAY_BENCH_ORDERS", 1_000_000), number("SHARDWAY_BENCH_ROUNDS", 7));
    let cluster = servers(orders)?;
    let program = std::env::var_os("SHARDWAY_BENCH_PROGRAM")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/shardway"), PathBuf::from);
    let (proxy, port) = start(&cluster, &program, "several_shards", &all_shards(&cluster))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let whole = connect(&cluster.primary(0).url_for(cluster.user(), cluster.password(), WHOLE)).await?;
        let url = format!("postgres://{}:{}@127.0.0.1:{port}/{PARTS}", cluster.user(), cluster.password());
        let parts = connect(&url).await?;
        println!("{orders} orders, medians of {rounds} rounds in turn, milliseconds\n");
        println!("| | one PostgreSQL | Shardway, 2 shards | ratio | at most |\n|---|---|---|---|---|");
        for (name, sql, limit) in STATEMENTS {
            let (mut one, mut two) = (Vec::new(), Vec::new());
            let expected = time(&whole, sql).await?.1;
            if time(&parts, sql).await?.1 != expected {
                return Err(format!("{name}: another number of rows"));
            }
            for _ in 0..rounds {
                one.push(time(&whole, sql).await?.0);
                two.push(time(&parts, sql).await?.0);
            }
            let (one, two) = (median(one), median(two));
            println!("| {name} | {:.1} | {:.1} | {:.2} | {limit:.2} |", one * 1e3, two * 1e3, two / one);
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.pid())).unwrap_or_default();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown");
        println!("\nThe proxy's memory at most: {}", peak.trim_start_matches("VmHWM:").trim());
        let (_alone, port) = start(&cluster, &program, "one_shard", &one_shard(&cluster))?;
        let alone = format!("postgres://{}:{}@127.0.0.1:{port}/{PARTS}", cluster.user(), cluster.password());
        writes(&cluster, &url, &alone, rounds).await
    })
}

/// Each client writes two users' orders, which nobody else does: of one shard, or of both. `alone`: a Shardway that knows of
/// one shard only, where nothing could need a second phase.
async fn writes(cluster: &Cluster, url: &str, alone: &str, rounds: usize) -> Result<(), String> {
    let count = 2 * WRITERS;
    let on = |number: usize| -> Result<Vec<i64>, String> {
        let sql = format!("SELECT user_id FROM orders WHERE id = user_id AND user_id > 0 LIMIT {count}");
        let told = cluster.shards()[number].primary.sql(&sql).map_err(|error| error.to_string())?;
        told.split_whitespace().map(|text| text.parse().map_err(|_| format!("{text} is no user"))).collect()
    };
    let (first, second) = (on(0)?, on(1)?);
    if first.len() < count || second.len() < count {
        return Err("too few users".to_owned());
    }
    let (mut clients, mut lone) = (Vec::new(), Vec::new());
    for _ in 0..WRITERS {
        clients.push(connect(url).await?);
        lone.push(connect(alone).await?);
    }
    let (mut one, mut two, mut single) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (times, others, clients) in
            [(&mut one, &first, &clients), (&mut two, &second, &clients), (&mut single, &first, &lone)]
        {
            let begin = Instant::now();
            let pairs = first.iter().zip(others.iter().skip(WRITERS));
            let all = clients.iter().zip(pairs).map(|(client, (a, b))| write(client, *a, *b));
            futures_util::future::try_join_all(all).await?;
            times.push(begin.elapsed().as_secs_f64() / TRANSACTIONS as f64);
        }
    }
    let (one, two, single) = (median(one), median(two), median(single));
    println!("\n{WRITERS} clients, each a transaction of two UPDATEs at a time, milliseconds for one of each\n");
    println!("| | one shard | both shards | ratio | at most |\n|---|---|---|---|---|");
    println!("| UPDATE, UPDATE | {:.2} | {:.2} | {:.2} | {TWO_SHARDS_MAX:.2} |", one * 1e3, two * 1e3, two / one);
    println!("\nThe transaction of one shard through a Shardway that knows of no other: {:.2} ms", single * 1e3);
    Ok(())
}

async fn write(client: &Client, a: i64, b: i64) -> Result<(), String> {
    for _ in 0..TRANSACTIONS {
        for sql in [
            "BEGIN",
            &format!("UPDATE orders SET amount = amount + 1 WHERE user_id = {a} AND id = {a}"),
            &format!("UPDATE orders SET amount = amount - 1 WHERE user_id = {b} AND id = {b}"),
            "COMMIT",
        ] {
            client.batch_execute(sql).await.map_err(|error| format!("{sql}: {error:?}"))?;
        }
    }
    Ok(())
}

async fn connect(url: &str) -> Result<Client, String> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        match tokio_postgres::connect(url, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                // Until the shards' catalogs are known.
                match client.batch_execute("SELECT 1 FROM orders WHERE user_id = 1").await {
                    Ok(()) => return Ok(client),
                    Err(error) if Instant::now() > deadline => return Err(error.to_string()),
                    Err(_) => {}
                }
            }
            Err(error) if Instant::now() > deadline => return Err(error.to_string()),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Seconds, and how many rows.
async fn time(client: &Client, sql: &str) -> Result<(f64, u64), String> {
    let statement = client.prepare(sql).await.map_err(|error| format!("{sql}: {error}"))?;
    let start = Instant::now();
    let none: [&(dyn tokio_postgres::types::ToSql + Sync); 0] = [];
    let rows = client.query_raw(&statement, none.iter().copied()).await.map_err(|error| format!("{sql}: {error}"))?;
    let mut rows = pin!(rows);
    let mut count = 0;
    while let Some(row) = rows.next().await {
        row.map_err(|error| format!("{sql}: {error}"))?;
        count += 1;
    }
    Ok((start.elapsed().as_secs_f64(), count))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

fn servers(orders: usize) -> Result<Cluster, String> {
    let mut say = |line: &str| eprintln!("{line}");
    let installation = Installation::find_or_install(&mut say).map_err(|error| error.to_string())?;
    say("starting two PostgreSQL servers and loading orders");
    let cluster = Cluster::builder()
        .directory(env!("CARGO_TARGET_TMPDIR"))
        .installation(installation)
        .database(PARTS)
        .setting("shared_buffers", "256MB")
        .shards(2)
        .start()
        .map_err(|error| error.to_string())?;
    let ask = |server: &shardway::devcluster::Server, sql: &str| server.sql(sql).map_err(|error| error.to_string());
    for (number, shard) in cluster.shards().iter().enumerate() {
        let place = |key: &str| {
            format!("WHERE (((hashint8extended({key}, 8816678312871386365) & 4095) + 2275) & 4095) % 2 = {number}")
        };
        ask(&shard.primary, &load(orders, &place("user_id"), &place("id")))?;
    }
    let server = cluster.primary(0);
    ask(server, &format!("CREATE DATABASE {WHOLE}"))?;
    let mut psql = cluster.installation().command("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", &load(orders, "", "")]);
    psql.arg(server.url_for(cluster.user(), cluster.password(), WHOLE));
    let output = psql.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    for (server, database) in [(server, PARTS), (server, WHOLE), (&cluster.shards()[1].primary, PARTS)] {
        let mut vacuum = cluster.installation().command("psql");
        vacuum.args(["-X", "-q", "-c", "VACUUM ANALYZE orders", "-c", "VACUUM ANALYZE parcels"]);
        vacuum.arg(server.url_for(cluster.user(), cluster.password(), database));
        vacuum.output().map_err(|error| error.to_string())?;
    }
    Ok(cluster)
}

fn load(orders: usize, place: &str, place_of_parcels: &str) -> String {
    let parcels = orders / 10;
    format!(
        "CREATE TABLE orders (user_id bigint, id bigint, product int, amount numeric(12,2), status text, placed_at timestamptz, PRIMARY KEY (user_id, id));
         INSERT INTO orders
         SELECT user_id, id, hashint8(id) & 1023, (hashint8(id * 7) & 16777215) / 100.0, (ARRAY['new', 'paid', 'sent'])[1 + (id % 3)],
                timestamptz '2026-01-01' + id * interval '1 second'
         FROM (SELECT id, id % 50000 AS user_id FROM generate_series(1, {orders}) AS id) AS made {place};
         CREATE TABLE parcels (id bigint PRIMARY KEY, order_id bigint, carrier int, weight int);
         INSERT INTO parcels SELECT id, id * 10, id % 20, hashint8(id) & 1023 FROM generate_series(1, {parcels}) AS id {place_of_parcels};"
    )
}

fn all_shards(cluster: &Cluster) -> String {
    format!(
        "{}\n[database.{PARTS}.table.orders]\nkey = \"user_id\"\n\n[database.{PARTS}.table.parcels]\nkey = \"id\"\n",
        cluster.database_toml(PARTS)
    )
}

fn one_shard(cluster: &Cluster) -> String {
    let port = cluster.primary(0).port();
    format!(
        "[database.{PARTS}]\nhome = \"a\"\n\n[database.{PARTS}.shard.a]\nprimary = \"postgres://127.0.0.1:{port}/{PARTS}\"\n"
    )
}

fn start(cluster: &Cluster, program: &Path, name: &str, database: &str) -> Result<(Companion, u16), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    drop(listener);
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\n\n[[user]]\nname = \"{}\"\npassword = \"{}\"\n\n{database}",
        cluster.user(),
        cluster.password(),
    );
    let file = cluster.directory().join(format!("{name}.toml"));
    std::fs::write(&file, config).map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.arg("--config").arg(&file);
    let process = cluster.spawn(name, &mut command).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline && process.ended().is_none() {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok((process, port));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(format!("Shardway did not start:\n{}", process.log()))
}
