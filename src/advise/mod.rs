//! `shardway advise`: for who has one PostgreSQL and no configuration yet. In: a server's URL, and perhaps a log of what
//! is asked there. Out: a configuration with its reasons as comments, and what would become of the statements under it.
//!
//! `facts` asks the server, in one transaction that can only read; `propose` weighs configurations by planning the real
//! statements under each; `write` says it in TOML. Neither of these two opens a connection.

mod facts;
mod propose;
mod write;

use std::io::Write;
use std::path::{Path, PathBuf};

use facts::Facts;
use propose::Proposal;

use crate::survey::{Class, Sent, Survey, file};
use crate::types::limits::STATEMENTS_FILE_BYTES_MAX;

/// The arguments of the command.
#[derive(clap::Args, Clone, Debug)]
pub struct AdviseOptions {
    /// The database as it is, as in postgres://user:password@host:5432/shop. It is only read.
    #[arg(long)]
    pub url: String,
    /// Statements to judge by: a log of PostgreSQL's or SQL; besides those of pg_stat_statements.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// How many shards the configuration is to have.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=64))]
    pub shards: u16,
    /// Where the configuration goes; - is stdout.
    #[arg(long, short, default_value = "shardway.toml", value_name = "FILE")]
    pub output: PathBuf,
    /// Overwrite that file.
    #[arg(long)]
    pub force: bool,
}

/// Asks, weighs, writes. Builds its own runtime.
///
/// # Errors
/// A server that can't be asked, a file that can't be read or written, a database with nothing to shard.
pub fn run(options: &AdviseOptions) -> Result<(), String> {
    let to_stdout = options.output == Path::new("-");
    if !to_stdout && !options.force && options.output.exists() {
        return Err(format!("{} is there already; name another file, or add --force", options.output.display()));
    }
    let logged = options.log.as_deref().map(read_log).transpose()?.unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let mut facts = runtime.map_err(|error| error.to_string())?.block_on(facts::ask(&options.url))?;
    facts.statements.extend(logged.into_iter().flat_map(Sent::divide).filter(|sent| facts::matters(&sent.sql)));
    let proposal = propose::propose(&facts, options.shards)?;
    let text = write::configuration(&facts, &proposal, options.shards);
    let survey = proposal.survey(&facts, options.shards)?;
    let report = report(&facts, &proposal, &survey);
    if to_stdout {
        eprintln!("{report}");
        print!("{text}");
        return Ok(());
    }
    std::fs::write(&options.output, text).map_err(|error| format!("{}: {error}", options.output.display()))?;
    // A reader that went away, as in `| head`, is no reason to panic.
    let _ = writeln!(std::io::stdout(), "{report}\n\nThe configuration is in {}.", options.output.display());
    Ok(())
}

fn read_log(path: &Path) -> Result<Vec<Sent>, String> {
    let fail = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let size = std::fs::metadata(path).map_err(|error| fail(&error))?.len();
    if size > STATEMENTS_FILE_BYTES_MAX {
        return Err(fail(&format_args!("it has more than {STATEMENTS_FILE_BYTES_MAX} bytes: give a part of it")));
    }
    let bytes = std::fs::read(path).map_err(|error| fail(&error))?;
    file::read(&String::from_utf8_lossy(&bytes)).map_err(|error| fail(&error))
}

/// What is told beside the configuration.
fn report(facts: &Facts, proposal: &Proposal, survey: &Survey) -> String {
    let mut out = proposal.summary(facts);
    for remark in &proposal.remarks {
        out += &format!("\n! {remark}");
    }
    if survey.shapes.is_empty() {
        out += "\n\nNo statement was seen: the proposal goes by the schema alone. Give --log FILE, or let \
                pg_stat_statements collect for a day.";
        return out;
    }
    for class in [Class::Refused, Class::Gathered, Class::Written, Class::Scattered] {
        let mut shapes: Vec<_> = survey.shapes.iter().filter(|shape| shape.class == class).collect();
        shapes.sort_by_key(|shape| std::cmp::Reverse(shape.calls));
        for shape in shapes.iter().take(SHOWN_MAX) {
            out += &format!("\n\n{shape}");
        }
        if shapes.len() > SHOWN_MAX {
            out += &format!("\n\n... and {} more shapes that are {}", shapes.len() - SHOWN_MAX, class.name());
        }
    }
    out + "\n\n" + &survey.summary()
}

/// Of one class: the most frequent ones are what has to be looked at.
const SHOWN_MAX: usize = 10;
