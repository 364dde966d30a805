//! `shardway demo`: a sharded shop on this machine, in one command. In: how many shards and replicas, and a
//! port. Out: real PostgreSQL servers, Shardway before them, a shop's rows loaded through it, and three
//! things to try; then it serves until it is interrupted, and leaves nothing.
//!
//! Shardway runs as a process of its own, started as a user would start it: the demo has no way in that
//! others don't have.

mod load;
mod progress;
mod shop;
mod tour;

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::devcluster::{self, Cluster, Companion, Installation};
use progress::Progress;
pub use shop::SCHEMA;

/// The shop's user, password and database.
const SHOP: &str = "shop";

/// Longer than the proxy needs to start, unless the machine is very busy.
const PROXY_READY_WITHIN: Duration = Duration::from_secs(30);

/// A little more than the drain time-out in the demo's configuration.
const PROXY_ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Options of `shardway demo`.
#[derive(clap::Args, Clone, Debug)]
pub struct DemoOptions {
    /// How many shards to start
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=32))]
    pub shards: u16,
    /// How many streaming replicas each shard has
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=8))]
    pub replicas: u16,
    /// The port of 127.0.0.1 to serve on
    #[arg(long, default_value_t = 6432, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Keep the servers' data and the configuration file at the end
    #[arg(long)]
    pub keep: bool,
}

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("port {port} of 127.0.0.1 can't be used: {source}. Choose another one with --port")]
    Port { port: u16, source: std::io::Error },
    #[error(transparent)]
    Servers(#[from] devcluster::Error),
    #[error("could not {doing}: {source}")]
    System { doing: &'static str, source: std::io::Error },
    #[error("shardway setup could not record the placement:\n{said}")]
    Setup { said: String },
    #[error("Shardway ended ({status}); it said:\n{log}")]
    ProxyEnded { status: std::process::ExitStatus, log: String },
    #[error("Shardway did not let the shop's user in: {reason}\n{log}")]
    ProxyNotReady { reason: String, log: String },
    #[error("could not {doing} through Shardway: {}", said(.source))]
    Sql { doing: String, source: tokio_postgres::Error },
}

/// The server's words, which tokio-postgres's own message leaves out.
fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => {
            let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{} [{}]{hint}", error.message(), error.code().code())
        }
        None => error.to_string(),
    }
}

/// Runs the demo until Ctrl-C or SIGTERM. Blocks and brings its own runtime: not to be called from async code.
///
/// # Errors
/// When something doesn't start; whatever had been started is gone then.
pub fn run(options: &DemoOptions) -> Result<(), Error> {
    let system = |doing| move |source| Error::System { doing, source };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(system("start the runtime"))?;
    runtime.block_on(async {
        let mut interrupts = Interrupts::new().map_err(system("listen for signals"))?;
        demo(options, &mut interrupts).await
    })
}

async fn demo(options: &DemoOptions, interrupts: &mut Interrupts) -> Result<(), Error> {
    // Before anything is started: the most likely mistake.
    TcpListener::bind(("127.0.0.1", options.port)).map_err(|source| Error::Port { port: options.port, source })?;
    let progress = Progress::new();
    let Some(cluster) = start_cluster(options, &progress, interrupts).await? else {
        return Ok(());
    };
    let proxy = tokio::select! {
        proxy = set_up(options, &cluster, &progress) => Some(proxy?),
        () = interrupts.next() => None,
    };
    if let Some(proxy) = &proxy {
        tokio::select! {
            error = ended(proxy) => return Err(error),
            () = interrupts.next() => {}
        }
    }
    say("\nStopping.");
    if let Some(proxy) = proxy {
        proxy.stop(PROXY_ENDS_WITHIN)?;
    }
    let directory = cluster.directory().to_path_buf();
    drop(cluster);
    if options.keep {
        say(&format!("The data is kept in {}.", directory.display()));
    }
    Ok(())
}

/// `None` when the user has interrupted it.
async fn start_cluster(
    options: &DemoOptions,
    progress: &Progress,
    interrupts: &mut Interrupts,
) -> Result<Option<Cluster>, Error> {
    let servers = usize::from(options.shards) * (1 + usize::from(options.replicas));
    let cancelled = Arc::new(AtomicBool::new(false));
    let builder = Cluster::builder()
        .user(SHOP, SHOP)
        .database(SHOP)
        .schema(shop::SCHEMA)
        .shards(options.shards.into())
        .replicas(options.replicas.into())
        .keep(options.keep)
        .own_identity()
        .cancelled_by(Arc::clone(&cancelled));
    let reporter = progress.clone();
    let mut starting = tokio::task::spawn_blocking(move || {
        let installation = Installation::find_or_install(&mut |line| reporter.say(line))?;
        let step = reporter.step(&format!("Starting {servers} servers: {}", installation.version()));
        let cluster = builder.installation(installation).start()?;
        step.done(&format!("Started {servers} servers in {}", cluster.directory().display()));
        Ok::<_, devcluster::Error>(cluster)
    });
    let result = tokio::select! {
        result = &mut starting => result,
        () = interrupts.next() => {
            progress.say("Stopping.");
            cancelled.store(true, Ordering::Relaxed);
            starting.await
        }
    };
    match result.map_err(|source| Error::System { doing: "start servers", source: source.into() })? {
        Ok(cluster) if !cancelled.load(Ordering::Relaxed) => Ok(Some(cluster)),
        Ok(_) | Err(devcluster::Error::Interrupted) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Starts the proxy, loads the rows and shows what to try.
async fn set_up(options: &DemoOptions, cluster: &Cluster, progress: &Progress) -> Result<Companion, Error> {
    let config = write_config(options, cluster)?;
    let url = format!("postgres://{SHOP}:{SHOP}@127.0.0.1:{}/{SHOP}", options.port);
    let step = progress.step("Starting Shardway");
    record_placement(&config)?;
    let proxy = start_proxy(cluster, &config)?;
    let client = wait_for_proxy(&proxy, &url).await?;
    step.done(&format!("Started Shardway with {}", config.display()));
    load::load(&url, &client, cluster, progress).await?;
    wait_for_replicas(cluster)?;
    // The client that loaded the rows reads them where it wrote them: from the primaries.
    let visitor = load::connect(&url).await.map_err(|source| Error::Sql { doing: "log in".to_owned(), source })?;
    tour::show(&url, &visitor, cluster.installation()).await?;
    Ok(proxy)
}

/// What was loaded last should be seen by the first query that goes to a replica.
fn wait_for_replicas(cluster: &Cluster) -> Result<(), Error> {
    tokio::task::block_in_place(|| {
        for shard in cluster.shards() {
            for replica in &shard.replicas {
                replica.wait_for_replay(&shard.primary)?;
            }
        }
        Ok(())
    })
}

fn write_config(options: &DemoOptions, cluster: &Cluster) -> Result<PathBuf, Error> {
    let file = cluster.directory().join("shardway.toml");
    let reads = if options.replicas > 0 { "prefer_replica" } else { "primary" };
    let text = shop::config(options.port, reads, &cluster.database_toml(SHOP));
    std::fs::write(&file, text).map_err(|source| Error::System { doing: "write the configuration file", source })?;
    Ok(file)
}

/// `shardway setup`: from then on a file that would place rows elsewhere isn't served.
fn record_placement(config: &Path) -> Result<(), Error> {
    let doing = |source| Error::System { doing: "run shardway setup", source };
    let program = std::env::current_exe().map_err(doing)?;
    let mut setup = Command::new(program);
    setup.arg("setup").arg("--config").arg(config);
    let output = tokio::task::block_in_place(|| setup.output()).map_err(doing)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::Setup { said })
}

/// Starts Shardway on a configuration file, as a process that ends with the cluster.
fn start_proxy(cluster: &Cluster, config: &Path) -> Result<Companion, Error> {
    let program = std::env::current_exe().map_err(|source| Error::System { doing: "find this program", source })?;
    Ok(cluster.spawn("shardway", Command::new(program).arg("--config").arg(config))?)
}

/// Tries to log in, and to read a table, until both work: on a slow machine it takes its time until the servers are known.
async fn wait_for_proxy(proxy: &Companion, url: &str) -> Result<tokio_postgres::Client, Error> {
    let deadline = Instant::now() + PROXY_READY_WITHIN;
    loop {
        if let Some(status) = proxy.ended() {
            return Err(Error::ProxyEnded { status, log: proxy.log() });
        }
        let tried = async {
            let client = load::connect(url).await?;
            client.simple_query("SELECT id FROM users WHERE id = 1").await?;
            Ok::<_, tokio_postgres::Error>(client)
        };
        match tried.await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() > deadline => {
                return Err(Error::ProxyNotReady { reason: said(&error), log: proxy.log() });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Returns when the proxy has ended without being asked to.
async fn ended(proxy: &Companion) -> Error {
    loop {
        if let Some(status) = proxy.ended() {
            return Error::ProxyEnded { status, log: proxy.log() };
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Prints a line of the result. A reader that has gone away is no reason to stop, let alone to panic.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The signals that end the demo.
struct Interrupts {
    signals: [Signal; 3],
}

impl Interrupts {
    fn new() -> std::io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
