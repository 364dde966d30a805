//! Accepts clients, hands each to a session, and stops or reloads when told. In: a configuration file.
//! Out: a process exit. Knows of sessions only how to start, count and drain them.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use self::workers::{Workers, assign};
use crate::admin::Guest;
use crate::config::{Config, ServerConfig};
use crate::net::{Stream, connect::tune};
use crate::observe::Observed;
use crate::observe::traces::Tracer;
use crate::protocol::startup::SSL_REQUEST;
use crate::session::authentication::LoginSecrets;
use crate::session::cancel::CancelKeys;
use crate::session::database::Databases;
use crate::session::startup::{
    AdmissionContext, Admitted, Arrival, CONSOLE_DATABASES, PGBOUNCER_DATABASE, admit_unless,
};
use crate::session::turn::Drain;
use crate::session::welcome::{enrol, welcome};
use crate::types::limits::{FIRST_BYTES_WAIT_MAX, REAP_INTERVAL, TRACE_END_TIMEOUT};
use crate::types::{ClientError, SqlState};

mod balance;
mod courtesy;
mod deadlocks;
mod each;
mod house;
mod limits;
mod recovery;
mod settings;
mod standing;
mod thread_clock;
mod timelines;
mod traces;
mod watch;
mod workers;

#[derive(Debug, Error)]
pub enum ServerError {
    #[error("TLS: {0}")]
    Tls(#[from] crate::net::TlsError),
    #[error("cannot listen on {place}: {source}")]
    Listen { place: String, source: std::io::Error },
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    #[error("cannot read the timelines that {0}")]
    State(String),
}

/// What a reload replaces.
struct Current {
    admission: AdmissionContext,
    databases: Arc<Databases>,
}

struct Shared {
    current: ArcSwap<Current>,
    secrets: Arc<LoginSecrets>,
    keys: Arc<CancelKeys>,
    clients: AtomicUsize,
    workers: Workers,
    client_left: Notify,
    drain: Arc<Drain>,
    /// There may be other databases to watch.
    reloaded: Notify,
    observed: Arc<Observed>,
    seats: Arc<limits::Seats>,
    timelines: timelines::Timelines,
    /// The configuration file.
    path: PathBuf,
    /// An administrator wants the proxy to stop.
    shut_down: Notify,
}

/// Serves until SIGTERM or SIGINT, then drains. Builds the workers' runtimes itself.
///
/// # Errors
/// A configuration that doesn't hold, or an address that can't be listened on.
pub fn run(path: &Path, config: Config) -> Result<(), ServerError> {
    let runtime = workers::serving_runtime().map_err(ServerError::Start)?;
    let result = runtime.block_on(serve(path.to_owned(), config));
    // A detached clean-up that hangs doesn't hold the exit up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(path: PathBuf, config: Config) -> Result<(), ServerError> {
    crate::net::timer::keep_here();
    let config = Arc::new(config);
    let secrets = Arc::new(LoginSecrets::generate());
    let admin = match config.server.admin {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let listeners = Listeners::bind(&config.server).await?;
    let observed = Arc::new(Observed::default());
    observed.set_slow(config.log.slow_statement);
    observed.set_counts(config.server.statistics);
    observed.set_shows_values(config.log.slow_values);
    let tracing_ends = Arc::new(Notify::new());
    let tracing = config.traces.clone().map(|traces| {
        let (tracer, spans) = Tracer::new(traces.sample);
        // It is set once, here.
        let _ = observed.tracer.set(Arc::clone(&tracer));
        tokio::spawn(traces::send(traces, tracer, spans, Arc::clone(&tracing_ends)))
    });
    let databases = Arc::new(Databases::new(Arc::clone(&config), None, &observed));
    let admission = AdmissionContext::new(Arc::clone(&config), Arc::clone(&secrets), Arc::clone(&databases))?;
    let timelines = timelines::Timelines::read(config.server.state_file.clone()).map_err(ServerError::State)?;
    let shared = Arc::new(Shared {
        current: ArcSwap::from_pointee(Current { admission, databases }),
        secrets,
        keys: Arc::new(CancelKeys::default()),
        clients: AtomicUsize::new(0),
        workers: Workers::new(config.server.workers),
        client_left: Notify::new(),
        drain: Arc::new(Drain::default()),
        reloaded: Notify::new(),
        observed,
        seats: Arc::default(),
        timelines,
        path,
        shut_down: Notify::new(),
    });
    let threads = workers::start(&shared).map_err(ServerError::Start)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ServerError::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServerError::Start)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(ServerError::Start)?;
    let mut background = JoinSet::new();
    background.spawn(watch::watch_catalogs(Arc::clone(&shared)));
    background.spawn(recovery::watch_transactions(Arc::clone(&shared)));
    background.spawn(deadlocks::watch_waits(Arc::clone(&shared)));
    background.spawn(standing::watch_nodes(Arc::clone(&shared)));
    background.spawn(limits::watch_limits(Arc::clone(&shared)));
    background.spawn(balance::balance_workers(Arc::clone(&shared)));
    background.spawn(reap(Arc::clone(&shared)));
    if let Some(listener) = admin {
        tracing::info!(address = ?listener.local_addr().ok(), "listening for operators");
        background.spawn(crate::admin::http::serve(listener, Arc::new(house::Premises(Arc::clone(&shared)))));
    }
    for address in listeners.tcp_addresses() {
        tracing::info!(%address, "listening");
    }
    let mut accepting = listeners.accept(&shared);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = shared.shut_down.notified() => break,
            _ = hangup.recv() => {
                // What is wrong is in the log.
                let _ = reload(&shared).await;
            }
        }
    }
    accepting.abort_all();
    drain(&shared).await;
    if let Some(tracing) = tracing {
        tracing_ends.notify_one();
        let _ = crate::net::timer::timeout(TRACE_END_TIMEOUT, tracing).await;
    }
    threads.end(Duration::from_secs(1));
    Ok(())
}

async fn listen(address: std::net::SocketAddr) -> Result<TcpListener, ServerError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| ServerError::Listen { place: address.to_string(), source })
}

struct Listeners {
    tcp: Vec<TcpListener>,
    unix: Option<(UnixListener, PathBuf)>,
}

impl Listeners {
    async fn bind(config: &ServerConfig) -> Result<Self, ServerError> {
        let mut tcp = Vec::new();
        for address in &config.listen {
            tcp.push(listen(*address).await?);
        }
        let unix = match &config.unix_socket_directory {
            Some(directory) => Some(bind_unix(directory, config)?),
            None => None,
        };
        Ok(Self { tcp, unix })
    }

    fn tcp_addresses(&self) -> impl Iterator<Item = std::net::SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok())
    }

    fn accept(self, shared: &Arc<Shared>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for listener in self.tcp {
            let shared = Arc::clone(shared);
            tasks.spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((socket, peer)) => {
                            if let Err(error) = tune(&socket) {
                                tracing::debug!(%peer, %error, "socket options");
                            }
                            arrive(&shared, socket);
                        }
                        Err(error) => accept_failed(&error).await,
                    }
                }
            });
        }
        if let Some((listener, path)) = self.unix {
            let shared = Arc::clone(shared);
            tasks.spawn(async move {
                let _unlink = Unlink(path);
                loop {
                    match listener.accept().await {
                        Ok((socket, _)) => assign(&shared, Stream::from(socket), false),
                        Err(error) => accept_failed(&error).await,
                    }
                }
            });
        }
        tasks
    }
}

/// Sessions in TLS can't go from one worker to another: which they are has to be known before they get one.
fn arrive(shared: &Arc<Shared>, socket: TcpStream) {
    let may_ask_for_tls = shared.current.load().admission.config().server.tls.is_some();
    if !may_ask_for_tls || shared.workers.all().len() == 1 {
        return assign(shared, Stream::from(socket), false);
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let mut first = [0; SSL_REQUEST.len()];
        let seen = crate::net::timer::timeout(FIRST_BYTES_WAIT_MAX, socket.peek(&mut first)).await;
        let asks =
            matches!(seen, Ok(Ok(count)) if first.get(..count).is_some_and(|first| SSL_REQUEST.starts_with(first)));
        assign(&shared, Stream::from(socket), asks);
    });
}

/// Removes the socket's file when nobody listens on it any more.
struct Unlink(PathBuf);

impl Drop for Unlink {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(path = %self.0.display(), %error, "socket file");
        }
    }
}

fn bind_unix(directory: &Path, config: &ServerConfig) -> Result<(UnixListener, PathBuf), ServerError> {
    let port = config.listen.first().map_or(6432, std::net::SocketAddr::port);
    let path = directory.join(format!(".s.PGSQL.{port}"));
    // A file left by a proxy that was killed is in the way; one that answers belongs to another.
    if path.exists() && std::os::unix::net::UnixStream::connect(&path).is_err() {
        let _ = std::fs::remove_file(&path);
    }
    let listener = UnixListener::bind(&path)
        .map_err(|source| ServerError::Listen { place: path.display().to_string(), source })?;
    Ok((listener, path))
}

/// Out of file descriptors, most likely: sessions that end free some.
async fn accept_failed(error: &std::io::Error) {
    tracing::warn!(%error, "accept failed");
    crate::net::timer::sleep(Duration::from_millis(50)).await;
}

/// What a client that was let in gets, to its end.
type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Everything before the session's first turn; its state is freed before the session runs. The session
/// comes boxed: what awaits a future has room for it twice, before it is polled and while it is.
async fn greet(shared: &Arc<Shared>, stream: Stream, clients: usize) -> Option<Serving> {
    let current = shared.current.load_full();
    let clients_max = current.admission.config().server.clients_max;
    let refusal = if shared.drain.draining.load(Ordering::Acquire) {
        Some(ClientError::new(SqlState::CANNOT_CONNECT_NOW, "the database system is shutting down"))
    } else if clients > clients_max {
        Some(
            ClientError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
                .hint("Raise server.max_clients, or close idle connections."),
        )
    } else {
        None
    };
    let admitted = match admit_unless(stream, &current.admission, refusal).await {
        Arrival::Client(admitted) => *admitted,
        Arrival::Cancel(key) => {
            if let Some(client) = shared.keys.find(key.process_id, &key.secret) {
                client.cancel().await;
            }
            return None;
        }
        Arrival::Gone => return None,
    };
    let name = admitted.database.clone();
    let Some(database) = current.databases.get(&name) else {
        if CONSOLE_DATABASES.contains(&name.as_str()) {
            return Some(console(shared, admitted));
        }
        let message = format!("database \"{name}\" does not exist");
        let error = ClientError::new(SqlState::INVALID_CATALOG_NAME, message);
        crate::session::welcome::turn_away(admitted, &error).await;
        return None;
    };
    let seat = match shared.seats.take(current.admission.config(), &admitted.user.name, &name) {
        Ok(seat) => seat,
        Err(error) => {
            crate::session::welcome::turn_away(admitted, &error).await;
            return None;
        }
    };
    let (mut session, guard) =
        welcome(admitted, database, &shared.keys, Arc::clone(&shared.drain), &shared.observed).await?;
    Some(Box::pin(async move {
        // Borrowed: a session that is moved into `run` would be in the future twice.
        session.run().await;
        drop((guard, seat));
    }))
}

/// A client of the console.
fn console(shared: &Arc<Shared>, admitted: Admitted) -> Serving {
    let (entered, key) = enrol(&admitted, &shared.keys, &shared.observed);
    let guest = Guest {
        is_admin: admitted.user.admin,
        expects_pgbouncer: admitted.database == PGBOUNCER_DATABASE,
        process_id: key.process_id(),
        secret: key.secret().to_vec(),
        framed: admitted.framed,
    };
    let house = Arc::new(house::Premises(Arc::clone(shared)));
    Box::pin(async move {
        crate::admin::serve(guest, house).await;
        drop((entered, key));
    })
}

/// SIGHUP, and RELOAD in the console: a configuration that doesn't hold changes nothing.
async fn reload(shared: &Arc<Shared>) -> Result<(), String> {
    let outcome = try_reload(shared).await;
    match &outcome {
        Ok(()) => tracing::info!("configuration reloaded"),
        Err(error) => tracing::error!(%error, "the configuration was not reloaded"),
    }
    outcome
}

async fn try_reload(shared: &Arc<Shared>) -> Result<(), String> {
    let path = shared.path.clone();
    let loaded = tokio::task::spawn_blocking(move || Config::load(&path)).await.map_err(|error| error.to_string())?;
    let config = Arc::new(loaded.map_err(|error| error.to_string())?.config);
    let before = shared.current.load_full();
    let databases = Arc::new(Databases::new(Arc::clone(&config), Some(&before.databases), &shared.observed));
    let admission = AdmissionContext::new(config.clone(), Arc::clone(&shared.secrets), Arc::clone(&databases));
    let admission = admission.map_err(|error| error.to_string())?;
    for (name, database) in before.databases.named() {
        match databases.get(name) {
            // What was set in the console doesn't outlive a reload.
            Some(kept) if Arc::ptr_eq(&kept, database) => kept.resize(kept.config.pool_size),
            Some(successor) => database.succeed(successor),
            None => database.close(),
        }
    }
    shared.current.store(Arc::new(Current { admission, databases }));
    shared.observed.set_slow(config.log.slow_statement);
    shared.observed.set_counts(config.server.statistics);
    shared.observed.set_shows_values(config.log.slow_values);
    shared.reloaded.notify_waiters();
    Ok(())
}

/// No new clients; those in a transaction may finish it within the limit.
async fn drain(shared: &Arc<Shared>) {
    let limit = shared.current.load().admission.config().server.drain_timeout;
    tracing::info!(clients = shared.clients.load(Ordering::Acquire), ?limit, "draining");
    shared.drain.draining.store(true, Ordering::Release);
    shared.drain.changed.notify_waiters();
    shared.keys.wake_all();
    let emptied = async {
        loop {
            let left = shared.client_left.notified();
            if shared.clients.load(Ordering::Acquire) == 0 {
                return;
            }
            left.await;
        }
    };
    if crate::net::timer::timeout(limit, emptied).await.is_err() {
        tracing::warn!(clients = shared.clients.load(Ordering::Acquire), "drain limit reached");
        shared.drain.over.store(true, Ordering::Release);
        shared.drain.changed.notify_waiters();
        shared.keys.wake_all();
        // Those at rest say good-bye; those in a statement are cut off with the process.
        crate::net::timer::sleep(Duration::from_millis(200)).await;
    }
}

async fn reap(shared: Arc<Shared>) {
    loop {
        crate::net::timer::sleep(REAP_INTERVAL).await;
        shared.observed.tick();
        for database in shared.current.load_full().databases.all() {
            database.reap();
        }
    }
}
