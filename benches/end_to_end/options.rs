//! What the command line asks for.

use std::path::PathBuf;

use clap::Parser;

/// Measures Shardway beside PgBouncer and a direct connection.
#[derive(Parser, Debug)]
#[command(name = "end_to_end")]
struct Arguments {
    /// One round of one second a run: to see that it works, not to measure.
    #[arg(long)]
    quick: bool,
    /// Rounds; the table shows medians.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Seconds of each run.
    #[arg(long, value_name = "S")]
    seconds: Option<u32>,
    /// Only rows whose name contains this, as in "prepared" or "16 clients".
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
    /// Another build of Shardway than the one just made.
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_shardway"))]
    shardway: PathBuf,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug)]
pub struct Options {
    pub rounds: usize,
    pub seconds: u32,
    pub shardway: PathBuf,
    only: Option<String>,
}

impl Options {
    /// `None` when this isn't `cargo bench`.
    pub fn read() -> Result<Option<Self>, String> {
        let arguments = Arguments::parse();
        if !arguments.bench {
            return Ok(None);
        }
        let (rounds, seconds) = if arguments.quick { (1, 1) } else { (3, 4) };
        let rounds = arguments.rounds.unwrap_or(rounds);
        let seconds = arguments.seconds.unwrap_or(seconds);
        if rounds == 0 || seconds == 0 {
            return Err("--rounds and --seconds must be at least 1".to_owned());
        }
        Ok(Some(Self { rounds, seconds, shardway: arguments.shardway, only: arguments.only }))
    }

    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only))
    }
}
