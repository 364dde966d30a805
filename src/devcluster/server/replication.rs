//! Servers that follow each other. In: a primary. Out: a replica of it that streams, or one that has become a
//! primary.

use std::time::{Duration, Instant};

use super::{READY_WITHIN, Server, StopMode};
use crate::devcluster::Error;
use crate::devcluster::installation::run;

impl Server {
    /// Makes a replica a primary and waits until it is one.
    ///
    /// # Errors
    /// When it isn't one within 60 seconds.
    pub fn promote(&self) -> Result<(), Error> {
        match self.sql("SELECT pg_promote(true, 60)")?.as_str() {
            "t" => Ok(()),
            _ => Err(self.not_ready("it was not promoted")),
        }
    }

    /// Lets a replica stream from another primary (after a promotion elsewhere).
    ///
    /// # Errors
    /// When it doesn't stream within 60 seconds.
    pub fn follow(&self, primary: &Server) -> Result<(), Error> {
        let conninfo = self.conninfo(primary).replace('\'', "''");
        self.sql(&format!("ALTER SYSTEM SET primary_conninfo = '{conninfo}'"))?;
        self.sql("SELECT pg_reload_conf()")?;
        // The old receiver may still say that it streams.
        std::thread::sleep(Duration::from_millis(200));
        self.wait_for_streaming()
    }

    /// Throws the data away and makes the server, on its old port, a replica of `primary`.
    ///
    /// # Errors
    /// When it doesn't stream within 60 seconds.
    pub fn rebuild_as_replica_of(&self, primary: &Server) -> Result<(), Error> {
        self.stop(StopMode::Immediate)?;
        std::fs::remove_dir_all(&self.data).map_err(Error::io("remove", &self.data))?;
        self.base_backup(primary)?;
        self.start()?;
        self.wait_for_streaming()
    }

    /// Waits until a replica has replayed all that `primary` has written so far.
    ///
    /// # Errors
    /// When it hasn't within 60 seconds.
    pub fn wait_for_replay(&self, primary: &Server) -> Result<(), Error> {
        let written = primary.sql("SELECT pg_current_wal_flush_lsn()")?;
        let query = format!("SELECT coalesce(pg_last_wal_replay_lsn() >= '{written}', false)");
        self.wait_for(&query, "t")
    }

    pub(super) fn wait_for_streaming(&self) -> Result<(), Error> {
        self.wait_for("SELECT coalesce((SELECT status FROM pg_stat_wal_receiver), 'no receiver')", "streaming")
    }

    fn wait_for(&self, query: &str, expected: &str) -> Result<(), Error> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            self.workspace.proceed()?;
            let state = self.sql(query)?;
            if state == expected {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::NotStreaming { name: self.name.clone(), state });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn conninfo(&self, primary: &Server) -> String {
        let options = &self.workspace.options;
        let quote = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        format!(
            "host=127.0.0.1 port={} user={} password={} application_name={}",
            primary.port(),
            quote(&options.user),
            quote(&options.password),
            self.name
        )
    }

    pub(super) fn base_backup(&self, primary: &Server) -> Result<(), Error> {
        let mut backup = self.workspace.command("pg_basebackup");
        backup.args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"]);
        backup.arg("-D").arg(&self.data).arg("-d").arg(self.conninfo(primary));
        run(&mut backup)?;
        Ok(())
    }
}
