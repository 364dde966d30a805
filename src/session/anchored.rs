//! COMMIT of several shards as one: all of it or nothing, whatever dies.
//!
//! The protocol: each writer but the anchor prepares, and says so in a row of its own transaction, in one message. The
//! anchor's COMMIT, of a transaction that has a row in `shardway.txn`, is the decision; its row and the COMMIT are one
//! message too. Then the others are told. Whoever finds a prepared transaction meanwhile asks the anchor, and keeps it
//! from committing if it hasn't (`transaction::recovery`): an anchor that isn't sent its row before the others prepare
//! may be overtaken, and then its row can't be inserted.
//!
//! Which shards were written isn't always known. If it isn't of one of them, all are asked first, and insert their
//! rows as they answer.

use super::block::Ended;
use super::commit::{Failure, Reported, failure};
use super::turn::Session;
use crate::execute::own::{self, Answer, OwnError};
use crate::execute::replies::lost;
use crate::pool::Condition;
use crate::protocol::backend::Status;
use crate::transaction::Held;
use crate::transaction::failpoint::{self, Point};
use crate::transaction::gid::Gid;
use crate::transaction::records::{self, Decision};
use crate::types::{ClientError, ShardId, SqlState};

impl Session {
    /// Commits these, of which the first one decides, and those that only read.
    pub(super) async fn commit_as_one(&mut self, writers: Vec<ShardId>) -> Ended {
        let mut reported = Reported::new();
        failpoint::pass(Point::Begun).await;
        let wrote =
            |shard: &ShardId| self.transaction.held().iter().any(|held| held.shard == *shard && held.lease.wrote);
        let is_known = writers.iter().all(wrote);
        let noted = match writers.first() {
            Some(&anchor) if is_known => Ok((self.gid_at(anchor), writers)),
            _ => self.note_writers(writers, &mut reported).await,
        };
        let (gid, writers) = match noted {
            Ok((gid, writers)) if writers.len() > 1 => (gid, writers),
            Ok((_, writers)) => return self.commit_plainly(writers.first().copied()).await,
            Err(failure) => return self.give_up(failure).await,
        };
        if !is_known {
            failpoint::pass(Point::Noted).await;
        }
        if let Err(failure) = self.prepare_all_but_anchor(&writers, &gid, is_known, &mut reported).await {
            self.database.figures.two_phase.add("rolled_back");
            return self.give_up(failure).await;
        }
        failpoint::pass(Point::Prepared).await;
        if let Err(ended) = self.decide(&writers, &gid, is_known, &mut reported).await {
            self.database.figures.two_phase.add("not_committed");
            return ended;
        }
        failpoint::pass(Point::Decided).await;
        self.database.figures.two_phase.add("committed");
        self.finish_on(writers.get(1..).unwrap_or_default(), &gid).await;
        failpoint::pass(Point::Finished).await;
        self.say_parameters(&reported);
        Ended::Tag("COMMIT")
    }

    /// A name for a transaction that is decided there.
    fn gid_at(&self, anchor: ShardId) -> Gid {
        let held = self.transaction.held().iter().find(|held| held.shard == anchor);
        let process = held.map_or(0, |held| held.lease.key.process_id);
        Gid::new(&self.database.config.name, self.shard_name(anchor), process)
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
            let Some((&anchor, others)) = writers.split_first() else { return Err(Failure::Failed) };
            let gid = self.gid_at(anchor);
            let others: &[&str] = &others.iter().map(|&shard| self.shard_name(shard)).collect::<Vec<_>>();
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

    /// Every writer but the first is prepared, or none. `is_known`: those that only read are committed at the same time,
    /// since they can still fail.
    async fn prepare_all_but_anchor(
        &mut self,
        writers: &[ShardId],
        gid: &Gid,
        is_known: bool,
        reported: &mut Reported,
    ) -> Result<(), Failure> {
        let participants = writers.get(1..).unwrap_or_default();
        let mut command = "PREPARE TRANSACTION".to_owned();
        if is_known && failpoint::is_set(Point::Noted) {
            let joins = participants.iter().map(|&shard| (shard, records::join_sql(gid))).collect();
            self.on_each(joins).await?;
            failpoint::pass(Point::Noted).await;
        } else if is_known {
            command = format!("{};{command}", records::join_sql(gid));
        }
        let mut texts = self.on_parts(&command, participants, gid);
        if is_known {
            let reads = |held: &&Held| !writers.contains(&held.shard) && held.lease.status != Status::Idle;
            let readers = self.transaction.held().iter().filter(reads);
            texts.extend(readers.map(|held| (held.shard, "COMMIT".to_owned())));
        }
        let mut prepared = Vec::new();
        let mut failed = None;
        for (shard, answer) in self.try_all(texts, Point::PreparedSome).await {
            let Some(lease) = self.transaction.lease_mut(shard) else { continue };
            match answer {
                Ok(answer) if answer.tag == "PREPARE TRANSACTION" => {
                    reported.extend(answer.parameters);
                    // What was set in the transaction holds on that connection, whatever becomes of it.
                    lease.settings_at_join = lease.settings.clone();
                    prepared.push(shard);
                }
                Ok(answer) if answer.tag == "COMMIT" && !participants.contains(&shard) => {
                    reported.extend(answer.parameters);
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
        writers: &[ShardId],
        gid: &Gid,
        is_known: bool,
        reported: &mut Reported,
    ) -> Result<(), Ended> {
        let Some((&anchor, participants)) = writers.split_first() else { return Err(Ended::Tag("ROLLBACK")) };
        let mut texts = vec!["COMMIT".to_owned()];
        if is_known {
            let names: Vec<&str> = participants.iter().map(|&shard| self.shard_name(shard)).collect();
            texts.insert(0, records::anchor_sql(gid, &names));
        }
        if !failpoint::is_set(Point::Anchored) {
            texts = vec![texts.join(";")];
        }
        let limit = self.database.config.commit_timeout;
        let Some(lease) = self.transaction.lease_mut(anchor) else { return Err(Ended::Tag("ROLLBACK")) };
        let mut answer = Err(OwnError::Lost("no answer".to_owned()));
        let last = texts.len();
        for (sent, text) in (1..).zip(texts) {
            answer = own::run_all(&mut [(&mut **lease, text)], limit).await.pop().unwrap_or(answer);
            if answer.is_err() {
                break;
            }
            if sent < last {
                failpoint::pass(Point::Anchored).await;
            }
        }
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
            Err(OwnError::Refused(frame)) if records::is_refused(&frame.0) => Failure::Proxy(abandoned()),
            Err(error) => failure(lease, error, false),
        };
        self.take_back_on(participants, gid).await;
        Err(self.give_up(failure).await)
    }

    /// It is decided: whatever happens now, the participants will commit.
    async fn finish_on(&mut self, participants: &[ShardId], gid: &Gid) {
        let mut open = Vec::new();
        for (shard, answer) in
            self.try_all(self.on_parts("COMMIT PREPARED", participants, gid), Point::FinishedSome).await
        {
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

    /// All of these, at once unless a test wants to get between them: then the first one has its command alone, and its
    /// answer may get lost.
    async fn try_all(
        &mut self,
        mut texts: Vec<(ShardId, String)>,
        between: Point,
    ) -> Vec<(ShardId, Result<Answer, OwnError>)> {
        if !failpoint::is_set(between) {
            return self.try_each(texts).await;
        }
        let rest = texts.split_off(texts.len().min(1));
        let mut answers = self.try_each(texts).await;
        if failpoint::pass(between).await {
            for (shard, answer) in &mut answers {
                if let Some(lease) = self.transaction.lease_mut(*shard) {
                    lease.condition = Condition::Broken;
                }
                *answer = Err(OwnError::Lost("lost on purpose".to_owned()));
            }
        }
        answers.extend(self.try_each(rest).await);
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

fn abandoned() -> ClientError {
    let message = "the transaction was rolled back: its shards took so long to commit that it was taken for abandoned";
    ClientError::new(SqlState::SERIALIZATION_FAILURE, message).hint("The transaction can be tried again.")
}
