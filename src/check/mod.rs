//! `shardway check`: is the file good, and are the servers what it says? In: a path. Out: a report, a
//! line a finding, with its remedy.
//!
//! With a file of statements (`statements`) also: where would each of them go?
//!
//! `ask` collects facts from the servers; the other modules judge them and open no connection.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::{Config, DatabaseConfig, Loaded, UserConfig};
use crate::session::database::login_of;

mod ask;
mod copies;
mod nodes;
mod placement;
mod statements;
mod tables;
#[cfg(test)]
mod tests;

pub use statements::StatementOptions;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Shardway refuses something, or would have to give wrong answers.
    Error,
    /// Works, but probably isn't meant so.
    Warning,
}

/// One thing to be put right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub severity: Severity,
    /// A place in the file, or a database with its shard, node or table.
    pub place: String,
    pub what: String,
    pub remedy: String,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Errors first; otherwise in the order of the file.
    pub findings: Vec<Finding>,
    /// What was looked at, for the last line.
    pub looked_at: String,
}

/// The arguments of the command.
#[derive(clap::Args, Clone, Debug)]
pub struct CheckOptions {
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    #[command(flatten)]
    pub statements: StatementOptions,
}

/// Prints the report on stdout. Succeeds when there is no error. Builds its own runtime.
pub fn run(options: &CheckOptions) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let report = match runtime {
        Ok(runtime) if options.statements.are_wanted() => {
            return match runtime.block_on(statements::check(&options.config, &options.statements)) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(message) => {
                    eprintln!("shardway: {message}");
                    ExitCode::FAILURE
                }
            };
        }
        Ok(runtime) => runtime.block_on(report(&options.config)),
        Err(error) => {
            eprintln!("shardway: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    // A reader that went away, as in `| head`, is no reason to panic.
    let _ = writeln!(std::io::stdout(), "{report}");
    if report.errors() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Loads the file and, if it is good, looks at every server.
pub async fn report(path: &Path) -> Report {
    let file = path.display().to_string();
    match Config::load(path) {
        Err(mistakes) => {
            let findings = place_in_file(&file, Severity::Error, &mistakes.mistakes);
            let warnings = place_in_file(&file, Severity::Warning, &mistakes.warnings);
            Report {
                findings: findings.chain(warnings).collect(),
                looked_at: "the file; no server was asked".to_owned(),
            }
        }
        Ok(Loaded { config, warnings }) => {
            let mut report = examine(&config).await;
            report.findings.extend(place_in_file(&file, Severity::Warning, &warnings));
            report
        }
    }
}

fn place_in_file(file: &str, severity: Severity, mistakes: &[crate::config::Mistake]) -> impl Iterator<Item = Finding> {
    mistakes.iter().map(move |mistake| Finding {
        severity,
        place: format!("{file}:{}:{}", mistake.line, mistake.column),
        what: mistake.what.clone(),
        remedy: mistake.remedy.clone(),
    })
}

/// A schema of the role's name comes first in PostgreSQL's default search_path.
fn logins(config: &Config, database: &DatabaseConfig, findings: &mut Findings) {
    let may_use = |user: &&UserConfig| user.databases.is_empty() || user.databases.contains(&database.name);
    let own = |user: &&UserConfig| login_of(user).user == "shardway";
    if database.shards.len() > 1
        && let Some(user) = config.users.iter().filter(may_use).find(own)
    {
        let what = "logs in to the servers as shardway, whose search_path begins with the schema shardway, which has Shardway's own tables";
        findings.warning(format!("user {}", user.name), what, "use a role of another name, or set its search_path");
    }
}

/// Looks at every server of a configuration.
pub async fn examine(config: &Config) -> Report {
    let mut findings = Findings::default();
    let (mut shards, mut nodes) = (0, 0);
    for database in config.databases.values() {
        shards += database.shards.len();
        nodes += database.shards.iter().map(|shard| 1 + shard.replicas.len()).sum::<usize>();
        let facts = ask::database(config, database).await;
        findings.database(&database.name);
        logins(config, database, &mut findings);
        nodes::judge(database, &facts, &mut findings);
        if let Some(catalogs) = facts.catalogs(database) {
            tables::judge(database, &catalogs, &mut findings);
            copies::judge(database, &catalogs, &mut findings);
            placement::judge(database, &catalogs, &mut findings);
        }
    }
    let looked_at = format!(
        "{}, {} and {}",
        count(config.databases.len(), "database"),
        count(shards, "shard"),
        count(nodes, "server")
    );
    Report { findings: findings.all, looked_at }
}

/// Collects, with the database at hand in front of each place.
#[derive(Default)]
struct Findings {
    database: String,
    all: Vec<Finding>,
}

impl Findings {
    fn database(&mut self, name: &str) {
        name.clone_into(&mut self.database);
    }

    fn error(&mut self, place: impl fmt::Display, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Error, &place, what.into(), remedy.into());
    }

    fn warning(&mut self, place: impl fmt::Display, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Warning, &place, what.into(), remedy.into());
    }

    fn add(&mut self, severity: Severity, place: &dyn fmt::Display, what: String, remedy: String) {
        let place = format!("{}: {place}", self.database);
        self.all.push(Finding { severity, place, what, remedy });
    }
}

impl Report {
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {}: {}; {}", self.severity, self.place, self.what, self.remedy)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for severity in [Severity::Error, Severity::Warning] {
            for finding in self.findings.iter().filter(|finding| finding.severity == severity) {
                writeln!(f, "{finding}")?;
            }
        }
        let errors = self.errors();
        let warnings = self.findings.len() - errors;
        write!(f, "{}, {}; looked at {}", count(errors, "error"), count(warnings, "warning"), self.looked_at)
    }
}

/// `1 error`, `2 errors`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
