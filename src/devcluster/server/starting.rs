//! How a server starts. In: a data directory. Out: a postmaster that accepts connections, on a port that nobody
//! else has.

use std::fs::{File, OpenOptions};
use std::process::Child;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rand::RngExt;

use super::{POLL, READY_WITHIN, Server, end};
use crate::devcluster::{Error, settings};

/// Below the range from which systems take the local ports of outgoing connections, so that a stopped
/// server's port isn't handed to somebody's connection.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
const PORT_ATTEMPTS: usize = 50;

enum Outcome {
    Ready,
    PortTaken,
    /// The processes of a killed server are still going.
    StillInUse,
}

impl Server {
    /// Starts the stopped server on its port and waits until it accepts connections.
    ///
    /// # Errors
    /// When it doesn't, with the end of its log.
    pub fn start(&self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match self.try_start()? {
                Outcome::Ready => return Ok(()),
                Outcome::PortTaken | Outcome::StillInUse if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Outcome::PortTaken => return Err(self.not_ready("its port is taken")),
                Outcome::StillInUse => return Err(self.not_ready("its former processes don't end")),
            }
        }
    }

    /// Tries ports until the server could bind one: another process may be faster between the look and
    /// the bind.
    pub(super) fn start_on_free_port(&self) -> Result<(), Error> {
        for _ in 0..PORT_ATTEMPTS {
            let port = rand::rng().random_range(PORTS);
            if std::net::TcpListener::bind(("127.0.0.1", port)).is_err() {
                continue;
            }
            self.port.store(port, Ordering::Relaxed);
            match self.try_start()? {
                Outcome::Ready => return Ok(()),
                Outcome::PortTaken => {}
                Outcome::StillInUse => std::thread::sleep(Duration::from_millis(100)),
            }
        }
        Err(Error::NoPort { name: self.name.clone(), attempts: PORT_ATTEMPTS })
    }

    fn try_start(&self) -> Result<Outcome, Error> {
        let mut process = self.lock();
        if process.is_some() {
            return Ok(Outcome::Ready);
        }
        self.write_settings()?;
        let log = self.directory.join("log");
        let file = OpenOptions::new().create(true).append(true).open(&log).map_err(Error::io("open", &log))?;
        let logged = self.log().len();
        let errors: File = file.try_clone().map_err(Error::io("open", &log))?;
        let mut postgres = self.workspace.command("postgres");
        postgres.arg("-D").arg(&self.data).stdout(file).stderr(errors);
        let child = postgres.spawn().map_err(|source| Error::NotRunnable { program: "postgres".to_owned(), source })?;
        let result = self.wait_until_ready(process.insert(child), logged);
        if !matches!(result, Ok(Outcome::Ready))
            && let Some(mut child) = process.take()
        {
            let _ = end(&mut child, Signal::SIGQUIT);
        }
        result
    }

    fn wait_until_ready(&self, child: &mut Child, logged: usize) -> Result<Outcome, Error> {
        let pid_file = self.data.join("postmaster.pid");
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            self.workspace.proceed()?;
            if let Ok(Some(_)) = child.try_wait() {
                let log = self.log();
                let log = log.get(logged..).unwrap_or_default();
                if log.contains("Address already in use") {
                    return Ok(Outcome::PortTaken);
                }
                if log.contains("still in use") {
                    return Ok(Outcome::StillInUse);
                }
                return Err(self.not_ready("it ended"));
            }
            // The first line is the pid, the eighth the state; pg_ctl reads it in the same way.
            let text = std::fs::read_to_string(&pid_file).unwrap_or_default();
            let mut lines = text.lines();
            let ours = lines.next().is_some_and(|line| line.trim() == child.id().to_string());
            if ours && lines.nth(6).is_some_and(|state| state.trim() == "ready") {
                return Ok(Outcome::Ready);
            }
            std::thread::sleep(POLL);
        }
        Err(self.not_ready("it took too long"))
    }

    fn write_settings(&self) -> Result<(), Error> {
        let options = &self.workspace.options;
        let text = settings::postgresql_conf(&self.name, self.port(), &self.sockets, options);
        for (file, text) in [("postgresql.conf", text), ("pg_hba.conf", settings::pg_hba(options))] {
            let path = self.data.join(file);
            // Written in place: the file keeps its owner.
            std::fs::write(&path, text).map_err(Error::io("write", &path))?;
        }
        Ok(())
    }

    pub(super) fn not_ready(&self, reason: &'static str) -> Error {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n");
        Error::NotReady { name: self.name.clone(), reason, log: end }
    }
}
