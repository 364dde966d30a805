//! A process that lives with a cluster: the proxy that the demo and the tests put before it. In: a command
//! that names the cluster's directory. Out: a process with a log that ends with its handle, and with the
//! cluster's watchdog when this process dies.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::server::{end_within, send};
use super::{Cluster, Error};

/// What a companion may take to end after SIGTERM when its handle is dropped.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// A running process of a [`Cluster`]; dropping it sends SIGTERM, then SIGKILL.
#[derive(Debug)]
pub struct Companion {
    log: PathBuf,
    pid_file: PathBuf,
    child: Mutex<Child>,
}

impl Cluster {
    /// Starts a process whose output goes to `NAME.log` in the cluster's directory. The watchdog ends it
    /// with this process, provided that an argument of the command is a path in that directory.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn spawn(&self, name: &str, command: &mut Command) -> Result<Companion, Error> {
        let log = self.directory().join(format!("{name}.log"));
        let pid_file = self.directory().join(format!("{name}.pid"));
        let output = File::create(&log).map_err(Error::io("create", &log))?;
        let errors = output.try_clone().map_err(Error::io("open", &log))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C is ours to pass on, in the right order.
            .process_group(0)
            .spawn()
            .map_err(|source| Error::NotRunnable {
                program: command.get_program().to_string_lossy().into_owned(),
                source,
            })?;
        std::fs::write(&pid_file, format!("{}\n", child.id())).map_err(Error::io("write", &pid_file))?;
        Ok(Companion { log, pid_file, child: Mutex::new(child) })
    }
}

impl Companion {
    pub fn pid(&self) -> u32 {
        self.lock().id()
    }

    /// What it has printed so far, standard output and errors together.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.lock().try_wait().ok().flatten()
    }

    /// Sends a signal, as in SIGHUP to reload.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        send(self.pid(), signal)
    }

    /// Sends SIGTERM and waits for the end; kills it when that takes longer than `within`.
    ///
    /// # Errors
    /// When it can't be signalled.
    pub fn stop(&self, within: Duration) -> Result<(), Error> {
        end_within(&mut self.lock(), Signal::SIGTERM, within)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        let _ = self.stop(ENDS_WITHIN);
        let _ = std::fs::remove_file(&self.pid_file);
    }
}
