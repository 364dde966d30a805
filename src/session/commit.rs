//! COMMIT where several shards were written: all of it or nothing, whatever dies. And the same for one
//! statement of a client that is in no block ([`Session::begin_spread`]).
//! `anchored` has the protocol of two phases.

use std::collections::BTreeMap;

use super::block::Ended;
use super::parts::Undone;
use super::turn::Session;
use crate::execute::own::{self, OwnError};
use crate::execute::replies::lost;
use crate::pool::Lease;
use crate::protocol::backend::Status;
use crate::transaction::Transaction;
use crate::types::{ClientError, ShardId, SqlState};

/// What the participants are told in the end.
pub(super) type Reported = BTreeMap<String, String>;

/// Why a transaction is rolled back on all shards.
pub(super) enum Failure {
    /// A server's own error, or one of the proxy's, as an encoded message.
    Server(Vec<u8>),
    Proxy(ClientError),
    /// The server says that the transaction had failed before.
    Failed,
}

/// The shards that a transaction is open on.
fn takes_part(transaction: &Transaction) -> impl Fn(&ShardId) -> bool {
    |shard| transaction.held().iter().any(|held| held.shard == *shard && held.lease.status != Status::Idle)
}

impl Session {
    /// Before a statement that writes these shards is sent: a transaction that will have written several must
    /// be one that can be committed on all of them as one.
    ///
    /// # Errors
    /// What is missing on a server, and the remedy.
    pub(super) async fn admit_writers(&mut self, shards: &[ShardId]) -> Result<(), ClientError> {
        if self.transaction.would_write_several(shards) {
            let mut all = self.transaction.writers().to_vec();
            all.extend_from_slice(shards);
            let mut is_new = false;
            for shard in all {
                // What is under way on a server that is gone is gone with it: there is nothing to wait for.
                let waits = self.transaction.held().iter().all(|held| held.shard != shard);
                is_new |= self.database.make_two_phase_ready(shard, waits, &self.server_role()).await?;
            }
            // Another session may have made it just now; only this role's path has looked for it.
            if is_new || self.server_role() == "shardway" {
                self.look_again().await;
            }
        }
        for &shard in shards {
            self.transaction.write(shard);
        }
        Ok(())
    }

    /// Who the servers take the session for, whatever SET ROLE says.
    pub(super) fn server_role(&self) -> String {
        use crate::pool::SettingValue;
        match self.state.settings().get("session_authorization") {
            Some(SettingValue::Text(role)) => role.clone(),
            Some(SettingValue::List(words)) => words.first().cloned().unwrap_or_default(),
            None => self.login.to_string(),
        }
    }

    /// Servers that were in the transaction before the schema was made may remember that there was none (a search
    /// path with "$user" looks for it, if that is the user's name): locking a relation makes them look again.
    async fn look_again(&mut self) {
        for held in self.transaction.held_mut() {
            if held.lease.status == Status::InTransaction && held.lease.is_at_rest() {
                // Whatever goes wrong shows at the next statement.
                let _ = own::run(&mut held.lease, "SELECT FROM pg_catalog.pg_conversion LIMIT 0").await;
            }
        }
    }

    /// Opens what one statement of the client's needs that writes several shards: in a block nothing, since the
    /// client's COMMIT makes it atomic; outside one a transaction of the proxy's own, which the client never
    /// sees. A statement that writes one shard doesn't need this.
    ///
    /// How it is used, the same in both protocols:
    /// ```text
    /// self.begin_spread(&shards).await?;              // an error: refuse() as usual; nothing is open then
    /// for shard in shards { self.reach(shard, Access::Write).await ... }   // once each: queues the BEGIN
    /// ... send each shard its part, relay or merge the replies; hold the CommandComplete back ...
    /// let committed = self.end_spread(failed).await;  // `failed`: an error was told to the client
    /// if committed { say the CommandComplete }        // otherwise the client has been told an error
    /// say_ready() or wait for Sync; settle()
    /// ```
    /// Relays of its parts stand between [`Self::watch_waiting`] and [`Self::end_waiting`], so that deadlocks over several
    /// shards are found; `scatter` in `session::several` does so.
    /// In the extended protocol the transaction goes on up to the client's Sync, as on a server; `end_spread` then only
    /// says whether the statement has failed. The same within a Query of several statements, up to its end.
    /// Between the two every way out, `refuse()` included, must come by `end_spread(true)`. `survive()` has ended it
    /// already; `end_spread` then does nothing and answers false.
    ///
    /// # Errors
    /// When the shards can't be written as one.
    pub async fn begin_spread(&mut self, shards: &[ShardId]) -> Result<(), ClientError> {
        for &shard in shards {
            self.freshness.note_write(shard);
        }
        let opens = !self.transaction.in_block() && !self.transaction.is_spread();
        if opens {
            self.open_spread();
        }
        let admitted = self.admit_writers(shards).await;
        if admitted.is_err() && opens {
            self.close_spread();
        }
        admitted
    }

    pub(super) fn open_spread(&mut self) {
        self.piped = self.in_extended;
        self.state.hold_start(true);
        self.transaction.begin_spread();
    }

    pub(super) fn close_spread(&mut self) {
        self.piped = false;
        self.state.hold_start(false);
        self.transaction.end();
    }

    /// Ends what [`Self::begin_spread`] opened: commits on all shards, or with `failed` rolls back. True: what was
    /// done stays, as far as a block that the client is in allows. False: the client has been told an error.
    pub async fn end_spread(&mut self, failed: bool) -> bool {
        if !self.transaction.is_spread() || self.batch.is_some() || self.piped {
            // Whoever opened it ends it.
            return !failed;
        }
        let failed = failed || self.transaction.is_failed();
        let ended = if failed { self.roll_back_shards().await } else { self.commit_held().await };
        let committed = !failed && matches!(ended, Ended::Tag("COMMIT"));
        if committed {
            for held in self.transaction.held_mut() {
                held.lease.settings_at_join = held.lease.settings.clone();
            }
        } else {
            if !failed && matches!(ended, Ended::Tag(_)) {
                // A server ended it otherwise without an error of its own.
                let error = ClientError::new(SqlState::INTERNAL_ERROR, "the transaction was rolled back");
                self.say_error(&error);
            }
            self.state.fail_implicit();
            for held in self.transaction.held_mut() {
                held.lease.settings = held.lease.settings_at_join.clone();
            }
        }
        self.close_spread();
        committed
    }

    /// Commits all shards in the transaction; with one that was written at most, without a second phase.
    pub(super) async fn commit_held(&mut self) -> Ended {
        let writers: Vec<ShardId> =
            self.transaction.writers().iter().copied().filter(takes_part(&self.transaction)).collect();
        let writers = if std::mem::take(&mut self.leaves_notes) && !writers.is_empty() {
            // What functions or definitions have changed.
            if let Err(undone) = Box::pin(self.settle_left_claims(&writers)).await {
                let failure = match undone {
                    Undone::Server { frame, .. } => Failure::Server(frame),
                    Undone::Proxy(error) => Failure::Proxy(error),
                    Undone::Lost(shard, error) => Failure::Proxy(self.lost_ahead(shard, error)),
                    Undone::Told | Undone::Ended(_) => Failure::Failed,
                };
                return self.give_up(failure).await;
            }
            self.transaction.writers().iter().copied().filter(takes_part(&self.transaction)).collect()
        } else {
            writers
        };
        if writers.len() < 2 {
            return self.commit_plainly(writers.first().copied()).await;
        }
        // From here on a cancel could only leave the client not knowing what became of it.
        self.cancel.clear().await;
        let ended = self.commit_as_one(writers).await;
        for held in self.transaction.held() {
            self.cancel.add(&held.lease);
        }
        ended
    }

    /// Commits the shards that only read first, since they can still fail, and the writer last.
    pub(super) async fn commit_plainly(&mut self, writer: Option<ShardId>) -> Ended {
        let mut order: Vec<ShardId> = self.transaction.held().iter().map(|held| held.shard).collect();
        order.sort_by_key(|&shard| Some(shard) == writer);
        let mut reported = Reported::new();
        for shard in order {
            let Some(lease) = self.transaction.lease_mut(shard) else { continue };
            if lease.status == Status::Idle {
                continue;
            }
            let failure = match own::run(lease, "COMMIT").await {
                Ok(answer) if answer.tag == "COMMIT" => {
                    reported.extend(answer.parameters);
                    continue;
                }
                Ok(_) => Failure::Failed,
                Err(error) => failure(lease, error, Some(shard) == writer),
            };
            return self.give_up(failure).await;
        }
        self.say_parameters(&reported);
        Ended::Tag("COMMIT")
    }

    /// Rolls back whatever is still open, and tells the client why.
    pub(super) async fn give_up(&mut self, failure: Failure) -> Ended {
        let ended = match failure {
            Failure::Failed => Ended::Tag("ROLLBACK"),
            Failure::Server(frame) => {
                self.client.outbound.extend_from_slice(&frame);
                Ended::Told
            }
            Failure::Proxy(error) => {
                self.say_error(&error);
                Ended::Told
            }
        };
        self.roll_back_shards().await;
        ended
    }
}

pub(super) fn failure(lease: &Lease, error: OwnError, may_have_committed: bool) -> Failure {
    match error {
        OwnError::Refused(frame) => Failure::Server(frame.0),
        OwnError::Lost(reason) => Failure::Proxy(lost(lease, &reason, may_have_committed)),
    }
}
