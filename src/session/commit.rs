//! COMMIT where several shards were written: all of it or nothing, whatever dies. And the same for one
//! statement of a client that is in no block ([`Session::begin_spread`]).
//!
//! The protocol: each writer but the anchor, which is the first one, prepares; the anchor's own COMMIT,
//! of a transaction that has a row in `shardway.txn`, is the decision; then the others are told. Whoever
//! finds a prepared transaction later asks the anchor (`transaction::recovery`).

use std::collections::BTreeMap;

use super::block::Ended;
use super::parts::Undone;
use super::turn::Session;
use crate::execute::own::{self, Answer, OwnError};
use crate::execute::replies::lost;
use crate::pool::{Condition, Lease};
use crate::protocol::backend::Status;
use crate::transaction::Transaction;
use crate::transaction::failpoint::{self, Point};
use crate::transaction::gid::Gid;
use crate::transaction::records::{self, Decision};
use crate::types::{ClientError, ShardId, SqlState};

/// What the participants are told in the end.
type Reported = BTreeMap<String, String>;

/// Why a transaction is rolled back on all shards.
enum Failure {
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
    async fn commit_plainly(&mut self, writer: Option<ShardId>) -> Ended {
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

    async fn commit_as_one(&mut self, writers: Vec<ShardId>) -> Ended {
        let mut reported = Reported::new();
        failpoint::pass(Point::Begun).await;
        let (gid, writers) = match self.note_writers(writers, &mut reported).await {
            Ok((gid, writers)) if writers.len() > 1 => (gid, writers),
            Ok((_, writers)) => return self.commit_plainly(writers.first().copied()).await,
            Err(failure) => return self.give_up(failure).await,
        };
        let Some((&anchor, participants)) = writers.split_first() else { return Ended::Tag("ROLLBACK") };
        failpoint::pass(Point::Noted).await;
        if let Err(failure) = self.prepare_on(participants, &gid, &mut reported).await {
            self.database.figures.two_phase.add("rolled_back");
            return self.give_up(failure).await;
        }
        failpoint::pass(Point::Prepared).await;
        if let Err(ended) = self.decide(anchor, participants, &gid, &mut reported).await {
            self.database.figures.two_phase.add("not_committed");
            return ended;
        }
        failpoint::pass(Point::Decided).await;
        self.database.figures.two_phase.add("committed");
        self.finish_on(participants, &gid).await;
        failpoint::pass(Point::Finished).await;
        self.say_parameters(&reported);
        Ended::Tag("COMMIT")
    }

    /// Finds out which of `writers` were really written and inserts their rows; the others, and those that only
    /// read, are committed: they can still fail. With fewer than two writers left no row remains.
    async fn note_writers(
        &mut self,
        mut writers: Vec<ShardId>,
        reported: &mut Reported,
    ) -> Result<(Gid, Vec<ShardId>), Failure> {
        let mut readers: Vec<ShardId> = self.transaction.held().iter().map(|held| held.shard).collect();
        readers.retain(|shard| !writers.contains(shard));
        loop {
            let names: Vec<&str> = writers.iter().map(|&shard| self.shard_name(shard)).collect();
            let (anchor, others) = names.split_first().map_or(("", &[][..]), |(anchor, others)| (*anchor, others));
            let gid = Gid::new(&self.database.config.name, anchor);
            let notes = writers
                .iter()
                .enumerate()
                .map(|(position, &shard)| (shard, records::note_sql(&gid, (position == 0).then_some(others))));
            let texts = notes.chain(readers.iter().map(|&shard| (shard, "COMMIT".to_owned()))).collect();
            let mut wrote = Vec::new();
            for (shard, answer) in self.on_each(texts).await? {
                match (writers.contains(&shard), answer.value.as_deref()) {
                    (true, Some("t")) => wrote.push(shard),
                    (true, _) => {}
                    (false, _) if answer.tag == "COMMIT" => reported.extend(answer.parameters),
                    (false, _) => return Err(Failure::Failed),
                }
            }
            if wrote.len() == writers.len() {
                return Ok((gid, writers));
            }
            let texts = wrote.iter().map(|&shard| (shard, records::forget_sql(&gid))).collect();
            self.on_each(texts).await?;
            readers.clone_from(&writers);
            readers.retain(|shard| !wrote.contains(shard));
            writers.retain(|shard| wrote.contains(shard));
            if writers.len() < 2 {
                return Ok((gid, writers));
            }
        }
    }

    /// Every one of them is prepared, or none.
    async fn prepare_on(&mut self, shards: &[ShardId], gid: &Gid, reported: &mut Reported) -> Result<(), Failure> {
        let mut prepared = Vec::new();
        let mut failed = None;
        for (shard, answer) in self.try_all("PREPARE TRANSACTION", (shards, gid), Point::PreparedSome).await {
            let Some(lease) = self.transaction.lease_mut(shard) else { continue };
            match answer {
                Ok(answer) if answer.tag == "PREPARE TRANSACTION" => {
                    reported.extend(answer.parameters);
                    // What was set in the transaction holds on that connection, whatever becomes of it.
                    lease.settings_at_join = lease.settings.clone();
                    prepared.push(shard);
                }
                // A failed transaction is rolled back by PREPARE, without an error.
                Ok(_) => failed = failed.or(Some(Failure::Failed)),
                Err(error) => {
                    if matches!(error, OwnError::Lost(_)) {
                        self.database.recovery.notify_one();
                    }
                    let lease = self.transaction.lease_mut(shard).expect("found above");
                    failed = failed.or(Some(failure(lease, error, false)));
                }
            }
        }
        let Some(failure) = failed else { return Ok(()) };
        self.take_back_on(&prepared, gid).await;
        Err(failure)
    }

    /// The anchor's COMMIT. An error: what the client has been told, with all shards rolled back or in doubt.
    async fn decide(
        &mut self,
        anchor: ShardId,
        participants: &[ShardId],
        gid: &Gid,
        reported: &mut Reported,
    ) -> Result<(), Ended> {
        let Some(lease) = self.transaction.lease_mut(anchor) else { return Err(Ended::Tag("ROLLBACK")) };
        let limit = self.database.config.commit_timeout;
        let mut queries = [(&mut **lease, "COMMIT".to_owned())];
        let answer = own::run_all(&mut queries, limit).await.pop();
        let mut answer = answer.unwrap_or_else(|| Err(OwnError::Lost("no answer".to_owned())));
        if failpoint::pass(Point::Deciding).await {
            lease.condition = Condition::Broken;
            answer = Err(OwnError::Lost("lost on purpose".to_owned()));
        }
        let failure = match answer {
            Ok(answer) if answer.tag == "COMMIT" => {
                reported.extend(answer.parameters);
                return Ok(());
            }
            Ok(_) => Failure::Failed,
            Err(OwnError::Lost(reason)) => {
                let rolled_back = lost(lease, &reason, false);
                let unknown = lost(lease, &reason, true);
                drop(self.transaction.remove(anchor));
                match self.database.ask_anchor(anchor, gid).await {
                    Decision::Commit => return Ok(()),
                    Decision::Abort => Failure::Proxy(rolled_back),
                    Decision::Undecided => {
                        self.database.recovery.notify_one();
                        self.say_error(&unknown);
                        return Err(Ended::Told);
                    }
                }
            }
            Err(error) => failure(lease, error, false),
        };
        self.take_back_on(participants, gid).await;
        Err(self.give_up(failure).await)
    }

    /// It is decided: whatever happens now, the participants will commit.
    async fn finish_on(&mut self, participants: &[ShardId], gid: &Gid) {
        let mut open = Vec::new();
        for (shard, answer) in self.try_all("COMMIT PREPARED", (participants, gid), Point::FinishedSome).await {
            if !answer.is_ok_and(|answer| answer.tag == "COMMIT PREPARED") {
                open.push(shard);
            }
        }
        if !open.is_empty() && !self.database.finish_elsewhere(&open, gid, &self.login).await {
            self.database.figures.two_phase.add("left_to_recovery");
            self.database.recovery.notify_one();
            self.warn(SqlState::WARNING, "the transaction is committed, but a shard that it wrote can't be reached");
        }
    }

    /// The anchor has aborted, or will.
    async fn take_back_on(&mut self, prepared: &[ShardId], gid: &Gid) {
        for (_, answer) in self.try_each(self.on_parts("ROLLBACK PREPARED", prepared, gid)).await {
            if answer.is_err() {
                self.database.recovery.notify_one();
            }
        }
    }

    /// Rolls back whatever is still open, and tells the client why.
    async fn give_up(&mut self, failure: Failure) -> Ended {
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

    /// Runs the texts at once; the first error ends it.
    async fn on_each(&mut self, texts: Vec<(ShardId, String)>) -> Result<Vec<(ShardId, Answer)>, Failure> {
        let mut answers = Vec::with_capacity(texts.len());
        let mut failed = None;
        for (shard, answer) in self.try_each(texts).await {
            match answer {
                Ok(answer) => answers.push((shard, answer)),
                Err(error) => {
                    let lease = self.transaction.lease_mut(shard).expect("it has just answered");
                    failed = failed.or(Some(failure(lease, error, false)));
                }
            }
        }
        failed.map_or(Ok(answers), Err)
    }

    pub(super) async fn try_each(&mut self, texts: Vec<(ShardId, String)>) -> Vec<(ShardId, Result<Answer, OwnError>)> {
        let mut shards = Vec::with_capacity(texts.len());
        let mut queries = Vec::with_capacity(texts.len());
        for held in self.transaction.held_mut() {
            if let Some((shard, sql)) = texts.iter().find(|(shard, _)| *shard == held.shard) {
                shards.push(*shard);
                queries.push((&mut *held.lease, sql.clone()));
            }
        }
        let answers = own::run_all(&mut queries, self.database.config.commit_timeout).await;
        shards.into_iter().zip(answers).collect()
    }

    /// The same command on all, at once unless a test wants to get between them: then the first one has the command
    /// alone, and its answer may get lost.
    async fn try_all(
        &mut self,
        command: &str,
        (shards, gid): (&[ShardId], &Gid),
        between: Point,
    ) -> Vec<(ShardId, Result<Answer, OwnError>)> {
        if !failpoint::is_set(between) {
            return self.try_each(self.on_parts(command, shards, gid)).await;
        }
        let (first, rest) = shards.split_at(shards.len().min(1));
        let mut answers = self.try_each(self.on_parts(command, first, gid)).await;
        if failpoint::pass(between).await {
            for (shard, answer) in &mut answers {
                if let Some(lease) = self.transaction.lease_mut(*shard) {
                    lease.condition = Condition::Broken;
                }
                *answer = Err(OwnError::Lost("lost on purpose".to_owned()));
            }
        }
        answers.extend(self.try_each(self.on_parts(command, rest, gid)).await);
        answers
    }

    /// The command for each shard's part of the transaction, under the name that it has there.
    fn on_parts(&self, command: &str, shards: &[ShardId], gid: &Gid) -> Vec<(ShardId, String)> {
        let text = |shard| format!("{command} '{}'", gid.prepared_on(self.shard_name(shard)));
        shards.iter().map(|&shard| (shard, text(shard))).collect()
    }

    pub(super) fn shard_name(&self, shard: ShardId) -> &str {
        self.database.config.shards.get(shard.index()).map_or("", |shard| shard.name.as_str())
    }
}

fn failure(lease: &Lease, error: OwnError, may_have_committed: bool) -> Failure {
    match error {
        OwnError::Refused(frame) => Failure::Server(frame.0),
        OwnError::Lost(reason) => Failure::Proxy(lost(lease, &reason, may_have_committed)),
    }
}
