//! The command line: raw arguments become one of the verbs below before any work is done.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shardway::config::{Config, LogConfig, LogFormat};
use tracing_subscriber::EnvFilter;

/// A sharding proxy for PostgreSQL.
#[derive(Parser)]
#[command(version, about, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Arguments {
    /// The configuration file to serve by.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Check a configuration file and the servers that it names, or an application's statements.
    Check(shardway::check::CheckOptions),
    /// Look at one PostgreSQL and propose how to shard it.
    Advise(shardway::advise::AdviseOptions),
    /// Watch what a running proxy does, in the terminal.
    Top(shardway::top::TopOptions),
    /// Create the schema shardway on each shard, and record the placement in it.
    Setup {
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
    },
    /// Columns that are kept unique over all shards.
    Unique {
        #[command(subcommand)]
        verb: shardway::setup::unique::UniqueVerb,
    },
    /// Print where a statement would go, without any server.
    Plan {
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
        /// The database of the configuration; needed if it has several.
        #[arg(long, short)]
        database: Option<String>,
        /// The statement.
        sql: String,
    },
    /// Start two shards with a small shop on this machine, and Shardway in front of them.
    Demo(shardway::demo::DemoOptions),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match (arguments.verb, arguments.config) {
        (Some(Verb::Check(options)), _) => return shardway::check::run(&options),
        (Some(Verb::Advise(options)), _) => shardway::advise::run(&options),
        (Some(Verb::Top(options)), _) => shardway::top::run(&options),
        (Some(Verb::Setup { config }), _) => shardway::setup::run(&config),
        (Some(Verb::Unique { verb }), _) => shardway::setup::unique::run(&verb),
        (Some(Verb::Plan { config, database, sql }), _) => plan(&config, database.as_deref(), &sql),
        (Some(Verb::Demo(options)), _) => shardway::demo::run(&options).map_err(|error| error.to_string()),
        (None, Some(config)) => serve(&config),
        (None, None) => Err("--config FILE or a command is needed; see --help".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("shardway: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve(path: &std::path::Path) -> Result<(), String> {
    let loaded = Config::load(path).map_err(|error| error.to_string())?;
    start_log(&loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    shardway::server::run(path, loaded.config).map_err(|error| error.to_string())
}

fn plan(path: &std::path::Path, database: Option<&str>, sql: &str) -> Result<(), String> {
    let loaded = Config::load_alone(path).map_err(|error| error.to_string())?;
    let chosen = loaded.config.database_named(database)?;
    let chosen = chosen.clone();
    let sql = sql.to_owned();
    // Planning recurses as deep as the statement is nested.
    let planned = std::thread::Builder::new()
        .stack_size(shardway::types::limits::PARSER_STACK_BYTES)
        .spawn(move || shardway::planning::explain::offline(&chosen, &sql))
        .map_err(|error| error.to_string())?
        .join()
        .map_err(|_| "the statement could not be planned".to_owned())?;
    println!("{}", planned?);
    Ok(())
}

fn start_log(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.format {
        LogFormat::Human => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
}
