//! Shardway beside PgBouncer and a direct connection: pgbench against real servers, in turn, so that a busy
//! machine is as busy for one as for the others. In: options (`cargo bench --bench end_to_end -- --help`).
//! Out: a table of throughput, CPU microseconds of the proxy per transaction, and their ratio to
//! PgBouncer's beside the limit that the project has set itself.
//!
//! Only the ratios mean anything: absolute figures are those of a machine and of what else it does.

mod contenders;
mod idle;
mod load;
mod observing;
mod options;
mod report;
mod servers;
mod workloads;

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use contenders::Contenders;
use load::Run;
use options::Options;
use report::{Figures, Report};
use servers::Servers;
use workloads::Workload;

/// A run is cut into slices that take turns with those of the others: what else the machine does lasts
/// longer than these. Much shorter ones would measure connecting.
const SLICE_SECONDS: u32 = 2;

/// Set once the limit of open files has been raised, for this process and those that it starts.
const RAISED: &str = "SHARDWAY_BENCH_RAISED_LIMIT";

fn main() -> ExitCode {
    let options = match Options::read() {
        Ok(Some(options)) => options,
        // `cargo test --benches` asks only whether it runs.
        Ok(None) => return ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    if std::env::var_os(RAISED).is_none() {
        raise_limit_of_files();
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("end_to_end: {message}");
            ExitCode::FAILURE
        }
    }
}

/// A thousand clients here and in the proxy need more descriptors than most shells allow: starts this
/// program again below a shell that has raised the limit. Goes on as it is where that can't be done.
fn raise_limit_of_files() {
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let script = "ulimit -n 8192 2>/dev/null || ulimit -n $(ulimit -H -n) 2>/dev/null; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(program).args(std::env::args_os().skip(1)).env(RAISED, "1");
    eprintln!("could not raise the limit of open files: {}", shell.exec());
}

fn slices(seconds: u32) -> impl Iterator<Item = u32> {
    let rest = Some(seconds % SLICE_SECONDS).filter(|rest| *rest > 0);
    (0..seconds / SLICE_SECONDS).map(|_| SLICE_SECONDS).chain(rest)
}

fn run(options: &Options) -> Result<(), String> {
    let workloads: Vec<Workload> = workloads::all().into_iter().filter(|one| options.wants(&one.name())).collect();
    let with_idle = options.wants(idle::NAME);
    let with_observing = observing::wants_any(options);
    if workloads.is_empty() && !with_idle && !with_observing {
        return Err("no row has such a name".to_owned());
    }
    let servers = Servers::start(&options.shardway, &mut |line| eprintln!("{line}"))?;
    if workloads.is_empty() && !with_idle {
        observing::report(&observing::measure(&servers, options)?);
        return Ok(());
    }
    let contenders = Contenders::start(&servers)?;
    if !contenders.has_pgbouncer() {
        println!(
            "PgBouncer is not installed (Debian: apt-get install pgbouncer): its column and the ratios are left out."
        );
    }
    let report = Report::new(&contenders);
    report.introduce(&servers, options);
    let mut figures = vec![Figures::default(); workloads.len()];
    for round in 1..=options.rounds {
        for (workload, figures) in workloads.iter().zip(&mut figures) {
            eprintln!("round {round} of {}: {}", options.rounds, workload.name());
            if round == 1 {
                for contender in contenders.for_workload(workload) {
                    if let Err(reason) = load::warm_up(&servers, workload, &contender) {
                        figures.fail(contender.kind, reason);
                    }
                }
            }
            let mut runs = BTreeMap::new();
            for seconds in slices(options.seconds) {
                for contender in contenders.for_workload(workload) {
                    match load::run(&servers, workload, &contender, seconds) {
                        Ok(run) => runs.entry(contender.kind).or_insert_with(Run::default).add(run),
                        Err(reason) => figures.fail(contender.kind, reason),
                    }
                }
            }
            figures.add(runs);
        }
    }
    report.workloads(&workloads, &figures);
    if with_idle {
        report.idle(&idle::measure(&servers)?);
    }
    if with_observing {
        observing::report(&observing::measure(&servers, options)?);
    }
    Ok(())
}
