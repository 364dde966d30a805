//! One PostgreSQL server. In: a data directory and settings. Out: a postmaster that is started, stopped,
//! killed, promoted and asked, and that is gone when the [`Server`] is dropped. All calls block.

mod replication;
mod starting;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt;

use super::Error;
use super::installation::run;
use super::workspace::Workspace;

/// A loaded machine may take long; a healthy server takes a tenth of a second.
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// How a server stops; see pg_ctl's `--mode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopMode {
    /// Waits for clients to leave.
    Smart,
    /// Ends sessions with 57P01, then a checkpoint.
    Fast,
    /// Ends at once; the next start recovers from the log.
    Immediate,
}

impl StopMode {
    fn signal(self) -> Signal {
        match self {
            StopMode::Smart => Signal::SIGTERM,
            StopMode::Fast => Signal::SIGINT,
            StopMode::Immediate => Signal::SIGQUIT,
        }
    }
}

/// A PostgreSQL server of a [`Cluster`](super::Cluster). Methods take `&self`, so that the tests of one
/// binary can share it.
#[derive(Debug)]
pub struct Server {
    name: String,
    directory: PathBuf,
    data: PathBuf,
    sockets: PathBuf,
    port: AtomicU16,
    process: Mutex<Option<Child>>,
    workspace: Arc<Workspace>,
}

impl Server {
    /// A new, started primary.
    pub(super) fn primary(workspace: &Arc<Workspace>, name: &str) -> Result<Self, Error> {
        let server = Self::place(workspace, name)?;
        workspace.initialise(&server.data)?;
        server.start_on_free_port()?;
        Ok(server)
    }

    /// A new, started replica that streams from `primary`.
    pub(super) fn replica(workspace: &Arc<Workspace>, name: &str, primary: &Server) -> Result<Self, Error> {
        let server = Self::place(workspace, name)?;
        server.base_backup(primary)?;
        server.start_on_free_port()?;
        server.wait_for_streaming()?;
        Ok(server)
    }

    fn place(workspace: &Arc<Workspace>, name: &str) -> Result<Self, Error> {
        workspace.proceed()?;
        let (directory, sockets) = workspace.server_directories(name)?;
        Ok(Self {
            name: name.to_owned(),
            data: directory.join("data"),
            directory,
            sockets,
            port: AtomicU16::new(0),
            process: Mutex::new(None),
            workspace: Arc::clone(workspace),
        })
    }

    /// As in `a` or `a-replica-1`; also the server's `cluster_name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The TCP port on 127.0.0.1; the same for the server's whole life.
    pub fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The directory of the Unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.sockets
    }

    /// The postmaster's process id; `None` when it isn't running.
    pub fn pid(&self) -> Option<u32> {
        let mut process = self.lock();
        if process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_)))) {
            *process = None;
        }
        process.as_ref().map(Child::id)
    }

    /// The URL of the cluster's database as its superuser.
    pub fn url(&self) -> String {
        let options = &self.workspace.options;
        self.url_for(&options.user, &options.password, &options.database)
    }

    /// A URL for another user or database. The parts are taken as they are: no `%` escapes.
    pub fn url_for(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port())
    }

    /// Everything the server has logged.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.directory.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Runs SQL as the superuser with psql, and returns the rows: columns parted by `|`, one line a row.
    ///
    /// # Errors
    /// psql's message when any statement fails.
    pub fn sql(&self, sql: &str) -> Result<String, Error> {
        self.sql_in(&self.workspace.options.database, sql)
    }

    /// [`sql`](Self::sql) in another database.
    ///
    /// # Errors
    /// psql's message when any statement fails.
    pub fn sql_in(&self, database: &str, sql: &str) -> Result<String, Error> {
        let options = &self.workspace.options;
        let mut psql = self.workspace.installation.command("psql");
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d"]);
        psql.arg(self.url_for(&options.user, &options.password, database));
        // One -c runs its statements as one transaction, and CREATE DATABASE refuses that; a script is
        // read statement by statement.
        let script = self.directory.join(format!("script-{:016x}.sql", rand::rng().random::<u64>()));
        std::fs::write(&script, sql).map_err(Error::io("write", &script))?;
        let result = run(psql.arg("-f").arg(&script).stdin(Stdio::null()));
        let _ = std::fs::remove_file(&script);
        Ok(result?.trim_end().to_owned())
    }

    /// Stops the server and waits for its end; does nothing when it isn't running.
    ///
    /// # Errors
    /// When it can't be signalled.
    pub fn stop(&self, mode: StopMode) -> Result<(), Error> {
        let Some(mut child) = self.lock().take() else {
            return Ok(());
        };
        end(&mut child, mode.signal())
    }

    /// Stops the server, fast, and starts it again.
    ///
    /// # Errors
    /// As `stop` and `start`.
    pub fn restart(&self) -> Result<(), Error> {
        self.stop(StopMode::Fast)?;
        self.start()
    }

    /// Kills the postmaster and every process it has started, as a crash of the machine would.
    ///
    /// # Errors
    /// When the postmaster can't be signalled.
    pub fn kill9(&self) -> Result<(), Error> {
        let Some(mut child) = self.lock().take() else {
            return Ok(());
        };
        let children = children_of(child.id());
        let result = end(&mut child, Signal::SIGKILL);
        for pid in children {
            let _ = kill(pid, Signal::SIGKILL);
        }
        result
    }

    /// Stops every process of the server in its tracks: connections hang, as to a machine that is gone
    /// from the network. [`thaw`](Self::thaw) lets them go on. Backends are found on Linux only.
    ///
    /// # Errors
    /// When the postmaster can't be signalled.
    pub fn freeze(&self) -> Result<(), Error> {
        self.signal_all(Signal::SIGSTOP)
    }

    /// Ends a [`freeze`](Self::freeze).
    ///
    /// # Errors
    /// When the postmaster can't be signalled.
    pub fn thaw(&self) -> Result<(), Error> {
        self.signal_all(Signal::SIGCONT)
    }

    fn signal_all(&self, signal: Signal) -> Result<(), Error> {
        let Some(pid) = self.pid() else { return Ok(()) };
        send(pid, signal)?;
        for child in children_of(pid) {
            let _ = kill(child, signal);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the server to end at once, without waiting: a cluster ends all of its servers together.
    pub(super) fn begin_to_end(&self) {
        let _ = self.signal_all(Signal::SIGCONT);
        if let Some(pid) = self.pid() {
            let _ = send(pid, Signal::SIGQUIT);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let keep = self.workspace.keeps();
        // A frozen server doesn't hear anything but SIGKILL.
        let _ = self.thaw();
        // What is kept should start again without recovery.
        let _ = self.stop(if keep { StopMode::Fast } else { StopMode::Immediate });
        if !keep {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

/// Signals one process.
pub(super) fn send(pid: u32, signal: Signal) -> Result<(), Error> {
    let target = i32::try_from(pid).map_err(|_| Error::Signal { pid, source: nix::Error::ESRCH })?;
    kill(Pid::from_raw(target), signal).map_err(|source| Error::Signal { pid, source })
}

/// Signals the process and waits for its end; one that doesn't listen is killed.
fn end(child: &mut Child, signal: Signal) -> Result<(), Error> {
    end_within(child, signal, STOPPED_WITHIN)
}

/// [`end`] with a limit of its own.
pub(super) fn end_within(child: &mut Child, signal: Signal, within: Duration) -> Result<(), Error> {
    if let Ok(Some(_)) = child.try_wait() {
        return Ok(());
    }
    send(child.id(), signal)?;
    let deadline = Instant::now() + within;
    while Instant::now() < deadline {
        if let Ok(Some(_)) = child.try_wait() {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
    let _ = child.kill();
    let _ = child.wait();
    Ok(())
}

/// The direct children of a process, where /proc tells them.
fn children_of(pid: u32) -> Vec<Pid> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}
