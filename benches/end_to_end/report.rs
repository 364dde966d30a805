//! The tables: medians over the rounds, and ratios beside their limits.

use std::collections::BTreeMap;

use crate::contenders::{Contenders, Kind};
use crate::idle::{self, Idle};
use crate::load::Run;
use crate::options::Options;
use crate::servers::{SCALE, Servers};
use crate::workloads::{Placement, Workload};

/// What an idle client may cost.
const IDLE_KIB_MAX: f64 = 8.0;

/// The runs of one row.
#[derive(Clone, Default, Debug)]
pub struct Figures {
    runs: BTreeMap<Kind, Vec<Run>>,
    failures: BTreeMap<Kind, String>,
}

impl Figures {
    /// The runs of one round.
    pub fn add(&mut self, round: BTreeMap<Kind, Run>) {
        for (kind, run) in round {
            self.runs.entry(kind).or_default().push(run);
        }
    }

    pub fn fail(&mut self, kind: Kind, reason: String) {
        self.failures.entry(kind).or_insert(reason);
    }

    fn throughput(&self, kind: Kind) -> Option<f64> {
        median(self.runs.get(&kind)?.iter().map(Run::throughput).collect())
    }

    fn cpu(&self, kind: Kind) -> Option<f64> {
        median(self.runs.get(&kind)?.iter().filter_map(Run::cpu).collect())
    }
}

pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => values.get(middle).copied(),
        _ => Some((values.get(middle - 1)? + values.get(middle)?) / 2.0),
    }
}

pub struct Report<'a> {
    contenders: &'a Contenders,
}

impl<'a> Report<'a> {
    pub fn new(contenders: &'a Contenders) -> Self {
        Self { contenders }
    }

    pub fn introduce(&self, servers: &Servers, options: &Options) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        println!(
            "{}; pgbench scale {SCALE}; {cores} cores; medians of {} interleaved rounds of {} s",
            servers.cluster.installation().version(),
            options.rounds,
            options.seconds,
        );
    }

    pub fn workloads(&self, workloads: &[Workload], figures: &[Figures]) {
        if workloads.is_empty() {
            return;
        }
        println!(
            "\nTransactions per second, and CPU microseconds of the proxy per transaction; in brackets the ratio to"
        );
        println!("PgBouncer's CPU time and its limit. PgBouncer has one database with all rows.\n");
        println!(
            "| {:38} | {:>7} | {:^16} | {:^36} | {:^36} |",
            "", "direct", "PgBouncer", "Shardway, workers = 1", "Shardway, default workers"
        );
        println!("|{:-<40}|{:->8}:|{:->17}:|{:->37}:|{:->37}:|", "", "", "", "", "");
        for (workload, figures) in workloads.iter().zip(figures) {
            println!(
                "| {:38} | {:>7} | {:>16} | {:>36} | {:>36} |",
                workload.name(),
                number(figures.throughput(Kind::Direct)),
                plain(figures, Kind::PgBouncer),
                compared(figures, Kind::OneWorker, workload.limits.one_worker),
                compared(figures, Kind::DefaultWorkers, workload.limits.default_workers),
            );
        }
        self.failures(workloads, figures);
    }

    fn failures(&self, workloads: &[Workload], figures: &[Figures]) {
        for (workload, figures) in workloads.iter().zip(figures) {
            for (kind, reason) in &figures.failures {
                println!("\n{}, {kind:?}, failed: {}", workload.name(), reason.trim());
            }
        }
        if let Err(reason) = self.contenders.parts()
            && workloads.iter().any(|workload| workload.placement == Placement::TwoShards)
        {
            println!("\nTHE FIGURES FOR TWO SHARDS DON'T COUNT: the answers are not right: {}", reason.trim());
        }
    }

    pub fn idle(&self, all: &[Idle]) {
        println!("\nMemory of each of {} clients that ran a statement and are idle ({}):", idle::CLIENTS, idle::NAME);
        for one in all {
            let verdict = match one.name {
                "PgBouncer" => String::new(),
                _ => format!(" (limit {IDLE_KIB_MAX} KiB: {})", verdict(one.kib < IDLE_KIB_MAX)),
            };
            println!("  {:26} {:5.1} KiB{verdict}", one.name, one.kib);
        }
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}

fn plain(figures: &Figures, kind: Kind) -> String {
    match (figures.throughput(kind), figures.cpu(kind)) {
        (Some(throughput), Some(cpu)) => format!("{throughput:.0}, {cpu:.1} us"),
        _ => "-".to_owned(),
    }
}

fn compared(figures: &Figures, kind: Kind, limit: f64) -> String {
    let plain = plain(figures, kind);
    match figures.cpu(kind).zip(figures.cpu(Kind::PgBouncer)) {
        Some((own, other)) if other > 0.0 => {
            let ratio = own / other;
            format!("{plain} [{ratio:.2}, {limit:.2}: {}]", verdict(ratio <= limit))
        }
        _ => plain,
    }
}

fn verdict(holds: bool) -> &'static str {
    if holds { "within" } else { "OVER" }
}
