//! What it costs that a proxy is watched: the same load on two of them, in turn. One counts nothing and traces nothing; the
//! other has figures, a slow log and traces of one statement in a hundred, which a collector takes, and is scraped as
//! Prometheus does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::contenders::{Contender, Kind, POOL_SIZE, Proxy, start};
use crate::load;
use crate::options::Options;
use crate::report::median;
use crate::servers::{PARTS, Servers, WHOLE};
use crate::workloads::{Limits, Placement, Protocol, Script, Workload};

pub const NAME: &str = "observing";

/// What it may cost.
const RATIO_MAX: f64 = 1.03;
/// Prometheus' own default is a minute.
const SCRAPE_EVERY: Duration = Duration::from_secs(15);
/// Each of the options' rounds is so many here: the difference is small, and the machine isn't quiet.
const PAIRS_PER_ROUND: usize = 4;

/// One row: microseconds of CPU per transaction with everything off and on, and the median of the rounds' ratios.
#[derive(Debug)]
pub struct Cost {
    pub name: String,
    off: f64,
    on: f64,
    ratio: f64,
    pairs: usize,
}

fn workloads() -> Vec<(String, Workload)> {
    let limits = Limits { one_worker: RATIO_MAX, default_workers: RATIO_MAX };
    let script = Script::SelectOnly;
    [
        (Placement::OneShard, Protocol::Simple),
        (Placement::OneShard, Protocol::Prepared),
        (Placement::TwoShards, Protocol::Simple),
    ]
    .into_iter()
    .map(|(placement, protocol)| Workload { placement, protocol, script, clients: 16, limits })
    .map(|workload| (format!("{NAME}, {}", workload.name()), workload))
    .collect()
}

pub fn wants_any(options: &Options) -> bool {
    workloads().iter().any(|(name, _)| options.wants(name))
}

/// # Errors
/// When a proxy can't be started or a run fails.
pub fn measure(servers: &Servers, options: &Options) -> Result<Vec<Cost>, String> {
    let (collector, spans) = collect()?;
    let off = proxy(servers, "shardway-unobserved", "statistics = false", "[log]\nslow_statement = \"off\"\n")?;
    let pages = free_address()?;
    let on = proxy(
        servers,
        "shardway-observed",
        &format!("admin = \"{pages}\""),
        &format!("[log]\nslow_statement = \"1s\"\n[traces]\nendpoint = \"http://{collector}\"\nsample = \"1%\"\n"),
    )?;
    let scraped = scrape(pages);
    let mut costs = Vec::new();
    for (name, workload) in workloads().into_iter().filter(|(name, _)| options.wants(name)) {
        let contender = |proxy: &Proxy| Contender {
            kind: Kind::OneWorker,
            url: format!("postgres://{}@127.0.0.1:{}/{}", servers.cluster.user(), proxy.port(), database(&workload)),
            pid: Some(proxy.pid()),
        };
        let both = [contender(&off), contender(&on)];
        for each in &both {
            wait_for(servers, each)?;
            load::warm_up(servers, &workload, each)?;
        }
        let pairs = options.rounds * PAIRS_PER_ROUND;
        let (mut each, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
        for pair in 0..pairs {
            eprintln!("{} of {pairs}: {name}", pair + 1);
            let mut costs = [0.0; 2];
            // Whoever comes first in one is second in the next.
            for at in if pair % 2 == 0 { [0, 1] } else { [1, 0] } {
                let (Some(contender), Some(cost)) = (both.get(at), costs.get_mut(at)) else { continue };
                let before = cpu_nanos(contender)?;
                let run = load::run(servers, &workload, contender, options.seconds.div_ceil(2))?;
                *cost = (cpu_nanos(contender)? - before) / 1e3 / run.transactions();
            }
            ratios.push(costs[1] / costs[0]);
            each.iter_mut().zip(costs).for_each(|(all, cost)| all.push(cost));
        }
        let [off, on] = each.map(median);
        let (Some(off), Some(on), Some(ratio)) = (off, on, median(ratios)) else {
            return Err("no rounds".to_owned());
        };
        costs.push(Cost { name, off, on, ratio, pairs });
    }
    if spans.load(Ordering::Relaxed) == 0 || scraped.load(Ordering::Relaxed) == 0 {
        return Err("nobody watched: no span has come, or no figure was read".to_owned());
    }
    Ok(costs)
}

pub fn report(costs: &[Cost]) {
    println!(
        "\nCPU microseconds of the proxy per transaction, workers = 1: without figures, slow log and traces, and with all of them"
    );
    println!("(traces of 1 % of the statements, sent to a collector; scraped every {} s).\n", SCRAPE_EVERY.as_secs());
    println!("| {:38} | {:>5} | {:>5} | {:^38} |", "", "off", "on", "ratio (median of the pairs)");
    println!("|{:-<40}|{:->6}:|{:->6}:|{:->39}:|", "", "", "", "");
    for cost in costs {
        let verdict = if cost.ratio <= RATIO_MAX { "within" } else { "OVER" };
        let ratio = format!("{:.3} of {} [{RATIO_MAX:.2}: {verdict}]", cost.ratio, cost.pairs);
        println!("| {:38} | {:>5.2} | {:>5.2} | {ratio:>38} |", cost.name, cost.off, cost.on);
    }
}

fn database(workload: &Workload) -> &'static str {
    match workload.placement {
        Placement::OneShard => WHOLE,
        Placement::TwoShards => PARTS,
    }
}

fn proxy(servers: &Servers, name: &str, server: &str, more: &str) -> Result<Proxy, String> {
    let cluster = &servers.cluster;
    start(servers, name, "toml", &|port, file| {
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\nauthentication = \"trust\"\nworkers = 1\n{server}\n[pool]\nsize = {POOL_SIZE}\n{more}
[[user]]\nname = \"{}\"\npassword = \"{}\"\n
[database.{WHOLE}.shard.a]\nprimary = \"postgres://127.0.0.1:{}/{WHOLE}\"\n\n{}\n[database.{PARTS}.table.pgbench_accounts]\nkey = \"aid\"\n",
            cluster.user(),
            cluster.password(),
            cluster.primary(0).port(),
            cluster.database_toml(PARTS),
        );
        let mut command = Command::new(&servers.shardway);
        command.arg("--config").arg(file);
        (config, command)
    })
}

/// The servers' tables are known.
fn wait_for(servers: &Servers, contender: &Contender) -> Result<(), String> {
    let mut last = String::new();
    for _ in 0..150 {
        match servers.ask(&contender.url, "SELECT aid FROM pgbench_accounts WHERE aid = 77") {
            Ok(answer) if answer == "77" => return Ok(()),
            Ok(answer) | Err(answer) => last = answer,
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Err(last)
}

/// CPU time of all threads of the process in nanoseconds; of one that says it in ticks only, so exactly.
fn cpu_nanos(contender: &Contender) -> Result<f64, String> {
    let pid = contender.pid.ok_or("no process")?;
    let of = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| error.to_string())?;
    match tasks.flatten().map(of).sum::<Option<f64>>().filter(|nanos| *nanos > 0.0) {
        Some(nanos) => Ok(nanos),
        None => load::cpu_seconds(pid).map(|seconds| seconds * 1e9),
    }
}

fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(|error| error.to_string())
}

/// A collector that reads what comes and says that it is well; how many requests came.
fn collect() -> Result<(SocketAddr, Arc<AtomicU64>), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                while take_request(&mut reader).is_some() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    Ok((address, count))
}

fn take_request(reader: &mut BufReader<TcpStream>) -> Option<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    reader.get_mut().write_all(answer.as_bytes()).ok()
}

/// Reads the figures at intervals, to the end of this process; how often.
fn scrape(pages: SocketAddr) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        loop {
            if let Ok(mut stream) = TcpStream::connect(pages) {
                let mut answer = String::new();
                let asked = write!(stream, "GET /metrics HTTP/1.1\r\nHost: {pages}\r\nConnection: close\r\n\r\n");
                if asked.is_ok()
                    && stream.read_to_string(&mut answer).is_ok()
                    && answer.contains("shardway_requests_total")
                {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
            std::thread::sleep(SCRAPE_EVERY);
        }
    });
    count
}
