//! One run of pgbench against one contender, with the CPU time that the proxy took for it.

use std::process::Command;
use std::sync::OnceLock;

use crate::contenders::Contender;
use crate::servers::{ACCOUNTS, Servers, output};
use crate::workloads::{Placement, Script, Workload};

/// What a run, or several together, gave.
#[derive(Clone, Copy, Default, Debug)]
pub struct Run {
    transactions: f64,
    /// Without the time that connecting took.
    seconds: f64,
    /// CPU seconds of the proxy.
    cpu: Option<f64>,
}

impl Run {
    /// Transactions per second.
    pub fn throughput(&self) -> f64 {
        self.transactions / self.seconds
    }

    pub fn transactions(&self) -> f64 {
        self.transactions
    }

    /// CPU microseconds of the proxy per transaction; `None` without a proxy.
    pub fn cpu(&self) -> Option<f64> {
        self.cpu.map(|seconds| seconds * 1e6 / self.transactions)
    }

    pub fn add(&mut self, other: Run) {
        self.transactions += other.transactions;
        self.seconds += other.seconds;
        self.cpu = self.cpu.zip(other.cpu).map(|(own, other)| own + other).or(other.cpu);
    }
}

/// Makes the proxy open its connections, before anything is measured.
///
/// # Errors
/// As [`run`].
pub fn warm_up(servers: &Servers, workload: &Workload, contender: &Contender) -> Result<(), String> {
    output(pgbench(servers, workload, contender, &["--transactions", "20"])?).map(drop)
}

/// # Errors
/// pgbench's own words when it failed, or when a client of it was aborted.
pub fn run(servers: &Servers, workload: &Workload, contender: &Contender, seconds: u32) -> Result<Run, String> {
    let command = pgbench(servers, workload, contender, &["--time", &seconds.to_string()])?;
    let before = contender.pid.map(cpu_seconds).transpose()?;
    let text = output(command)?;
    let after = contender.pid.map(cpu_seconds).transpose()?;
    let transactions = number(&text, "number of transactions actually processed: ")?;
    if transactions < 1.0 {
        return Err("not one transaction within the time: the machine is too busy".to_owned());
    }
    let throughput = number(&text, "tps = ")?;
    let cpu = before.zip(after).map(|(before, after)| after - before);
    Ok(Run { transactions, seconds: transactions / throughput, cpu })
}

fn pgbench(servers: &Servers, workload: &Workload, contender: &Contender, length: &[&str]) -> Result<Command, String> {
    let mut pgbench = servers.pgbench();
    let (clients, threads) = (workload.clients.to_string(), workload.clients.min(2).to_string());
    pgbench.args(["--no-vacuum", "--protocol", workload.protocol.name()]);
    pgbench.args(["--client", &clients, "--jobs", &threads]).args(length);
    match own_script(workload) {
        None => {
            pgbench.arg("--select-only");
        }
        Some(text) => {
            let script = servers.cluster.directory().join("pgbench.sql");
            std::fs::write(&script, text).map_err(|error| error.to_string())?;
            pgbench.arg("--file").arg(script);
        }
    }
    pgbench.arg(&contender.url);
    Ok(pgbench)
}

/// `None`: pgbench's own. With two shards the statement is the same, but pgbench asks for the tables that
/// its own script knows of.
fn own_script(workload: &Workload) -> Option<String> {
    let rows = match (workload.script, workload.placement) {
        (Script::SelectOnly, Placement::OneShard) => return None,
        (Script::SelectOnly, Placement::TwoShards) => "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;",
        (Script::ThousandRows, _) => "SELECT * FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + 999;",
    };
    Some(format!("\\set aid random(1, {})\n{rows}\n", ACCOUNTS - 999))
}

fn number(text: &str, label: &str) -> Result<f64, String> {
    let rest = text.split_once(label).map(|(_, rest)| rest);
    let digits = rest.map(|rest| rest.split(|end: char| !end.is_ascii_digit() && end != '.').next().unwrap_or(""));
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| format!("pgbench did not say \"{label}\":\n{text}"))
}

/// CPU time of a process with all of its threads, those that have ended included: user and system time
/// of /proc/PID/stat (proc(5)).
pub fn cpu_seconds(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The second field is the program's name in parentheses and may contain anything.
    let fields: Vec<&str> = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    // Fields 14 and 15, of which the first here is the third.
    let ticks = |field: usize| fields.get(field - 3).and_then(|ticks| ticks.parse::<f64>().ok());
    let (user, system) = ticks(14).zip(ticks(15)).ok_or_else(|| format!("{path} is not as proc(5) says: {text}"))?;
    Ok((user + system) / ticks_per_second())
}

fn ticks_per_second() -> f64 {
    static TICKS: OnceLock<f64> = OnceLock::new();
    *TICKS.get_or_init(|| {
        let mut getconf = Command::new("getconf");
        getconf.arg("CLK_TCK");
        let told = output(getconf).ok();
        // What Linux tells user space on every architecture but the oldest.
        told.and_then(|text| text.trim().parse().ok()).unwrap_or(100.0)
    })
}
