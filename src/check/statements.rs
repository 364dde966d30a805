//! `shardway check --statements FILE`: an application's statements against a configuration. In: a file of statements,
//! and the home shard's catalog: from the server, from a file that was written before, or none. Out: where each shape of
//! statement goes, a summary, and if the limits hold.

use std::io::Write;
use std::path::{Path, PathBuf};

use tokio::time::timeout;

use super::ask;
use crate::catalog::{self, Cells};
use crate::config::{Config, DatabaseConfig};
use crate::planning::explain;
use crate::survey::{Class, Survey, file};
use crate::types::limits::{CHECK_NODE_TIMEOUT, STATEMENTS_FILE_BYTES_MAX};

/// What is to be done with statements.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "An application's statements")]
pub struct StatementOptions {
    /// Plan these statements: SQL with semicolons, or a log of PostgreSQL's (stderr, csvlog, jsonlog); - is stdin.
    #[arg(long, value_name = "FILE")]
    pub statements: Option<PathBuf>,
    /// The database of the configuration; needed if it has several.
    #[arg(long, short)]
    pub database: Option<String>,
    /// Ask no server: tables are known by the configuration alone, and what needs their columns is refused.
    #[arg(long, requires = "statements", conflicts_with_all = ["catalog", "write_catalog"])]
    pub offline: bool,
    /// Take tables and functions from a file made by --write-catalog, and ask no server.
    #[arg(long, value_name = "FILE", requires = "statements", conflicts_with = "write_catalog")]
    pub catalog: Option<PathBuf>,
    /// Write the home shard's tables and functions to a file, without any rows: for --catalog.
    #[arg(long, value_name = "FILE")]
    pub write_catalog: Option<PathBuf>,
    /// Where names without a schema are looked for.
    #[arg(long, value_name = "SCHEMAS", value_delimiter = ',', default_value = "public")]
    pub search_path: Vec<String>,
    /// How many statements may be answered by several shards, as a number or in per cent: 20, 5%.
    #[arg(long, value_name = "LIMIT", value_parser = Limit::parse)]
    pub max_scattered: Option<Limit>,
    /// The same for statements whose rows are gathered on the scratch database.
    #[arg(long, value_name = "LIMIT", value_parser = Limit::parse)]
    pub max_gathered: Option<Limit>,
    /// The same for statements that write on several shards.
    #[arg(long, value_name = "LIMIT", value_parser = Limit::parse)]
    pub max_written: Option<Limit>,
    /// The same for statements that are refused.
    #[arg(long, value_name = "LIMIT", value_parser = Limit::parse, default_value = "0")]
    pub max_refused: Limit,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Text,
    Json,
}

/// So many statements, or so many of a hundred that read or write rows.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Limit {
    Number(u64),
    Percent(f64),
}

impl Limit {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let invalid = || format!("{text:?} is neither a number nor a percentage, as in 20 or 5%");
        match text.strip_suffix('%') {
            Some(percent) => {
                let percent: f64 = percent.trim().parse().map_err(|_| invalid())?;
                (0.0..=100.0).contains(&percent).then_some(Self::Percent(percent)).ok_or_else(invalid)
            }
            None => text.parse().map(Self::Number).map_err(|_| invalid()),
        }
    }

    fn holds(self, part: u64, whole: u64) -> bool {
        match self {
            Self::Number(number) => part <= number,
            Self::Percent(percent) => part as f64 * 100.0 <= whole as f64 * percent,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Percent(percent) => write!(f, "{percent} %"),
        }
    }
}

impl StatementOptions {
    pub(super) fn are_wanted(&self) -> bool {
        self.statements.is_some() || self.write_catalog.is_some()
    }

    /// Each limit that doesn't hold, in words.
    fn exceeded(&self, survey: &Survey) -> Vec<String> {
        let limits = [
            (Class::Refused, Some(self.max_refused)),
            (Class::Scattered, self.max_scattered),
            (Class::Gathered, self.max_gathered),
            (Class::Written, self.max_written),
        ];
        let whole = survey.statements();
        let over = limits.into_iter().filter_map(|(class, limit)| {
            let (limit, calls) = (limit?, survey.calls(class));
            (!limit.holds(calls, whole)).then(|| format!("{calls} {}, at most {limit} allowed", class.name()))
        });
        over.collect()
    }
}

/// Prints the result on stdout. `false`: a limit doesn't hold.
///
/// # Errors
/// What can't be read or asked.
pub(super) async fn check(path: &Path, options: &StatementOptions) -> Result<bool, String> {
    let asks = !options.offline && options.catalog.is_none();
    let loaded = if asks { Config::load(path) } else { Config::load_alone(path) };
    let config = loaded.map_err(|error| error.to_string())?.config;
    let database = config.database_named(options.database.as_deref())?;
    let answers = if asks {
        Some(
            timeout(CHECK_NODE_TIMEOUT, ask::home_catalog(&config, database))
                .await
                .map_err(|_| "the home shard doesn't answer")??,
        )
    } else {
        options.catalog.as_deref().map(read_catalog).transpose()?
    };
    if let (Some(file), Some(answers)) = (&options.write_catalog, &answers) {
        let rows: Vec<Vec<&[Option<String>]>> =
            answers.iter().map(|rows| rows.iter().map(|row| row.0.as_slice()).collect()).collect();
        let text = serde_json::to_string(&rows).map_err(|error| error.to_string())?;
        std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let Some(file) = &options.statements else { return Ok(true) };
    let survey = survey(database, answers, file, options)?;
    let exceeded = options.exceeded(&survey);
    print(&survey, &exceeded, options.format);
    Ok(exceeded.is_empty())
}

fn survey(
    database: &DatabaseConfig,
    answers: Option<Vec<Vec<Cells>>>,
    file: &Path,
    options: &StatementOptions,
) -> Result<Survey, String> {
    let name = file.display();
    let text = read_text(file).map_err(|error| format!("{name}: {error}"))?;
    let statements = file::read(&text).map_err(|error| format!("{name}: {error}"))?;
    let scene = match answers {
        Some(answers) => {
            let catalog = catalog::read(answers).map_err(|error| error.to_string())?;
            explain::known_scene(database, catalog)?
        }
        None => explain::assumed_scene(database)?,
    };
    Survey::of(scene, options.search_path.clone(), statements)
}

fn read_text(file: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let limit = STATEMENTS_FILE_BYTES_MAX;
    match file == Path::new("-") {
        true => std::io::stdin().take(limit + 1).read_to_end(&mut bytes)?,
        false => std::fs::File::open(file)?.take(limit + 1).read_to_end(&mut bytes)?,
    };
    if bytes.len() as u64 > limit {
        return Err(std::io::Error::other(format!("it has more than {limit} bytes: give a part of it")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_catalog(file: &Path) -> Result<Vec<Vec<Cells>>, String> {
    let fail = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| fail(&error))?;
    let rows: Vec<Vec<Vec<Option<String>>>> = serde_json::from_str(&text).map_err(|error| fail(&error))?;
    Ok(rows.into_iter().map(|rows| rows.into_iter().map(Cells).collect()).collect())
}

fn print(survey: &Survey, exceeded: &[String], format: Format) {
    let mut out = std::io::stdout().lock();
    // A reader that went away, as in `| head`, is no reason to panic.
    let _ = match format {
        Format::Json => {
            let mut all = survey.to_json();
            if let Some(fields) = all.as_object_mut() {
                fields.insert("exceeded".to_owned(), exceeded.into());
            }
            writeln!(out, "{all:#}")
        }
        Format::Text => {
            for shape in &survey.shapes {
                let _ = writeln!(out, "{shape}\n");
            }
            let _ = writeln!(out, "{}", survey.summary());
            exceeded.iter().try_for_each(|limit| writeln!(out, "exceeded: {limit}"))
        }
    };
}
