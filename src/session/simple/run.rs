//! A planned Query goes to its place: the proxy itself, one shard, several, a merge or a gather.

use super::Planned;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::planning::{Plan, Template};
use crate::protocol::backend::{self, Status, tag};
use crate::protocol::frontend;
use crate::session::effects::Change;
use crate::session::gather::Gathering;
use crate::session::merged::MergeCall;
use crate::session::segment::Failure;
use crate::session::turn::{Session, SessionEnd, violation};
use crate::sql::Command;
use crate::sql::command::{SessionCommand, TransactionCommand, Verb};
use crate::types::ShardId;

impl Session {
    /// What the proxy answers itself comes first; the rest goes to servers.
    pub(in crate::session) async fn run_query(&mut self, planned: Planned, len: usize) -> Result<(), SessionEnd> {
        let template = Arc::clone(&planned.template);
        self.note_repeatable(&template);
        if template.statements.is_empty() {
            self.client.inbound.advance(len);
            backend::empty(&mut self.client.outbound, tag::EMPTY_QUERY);
            self.say_ready();
            return Ok(());
        }
        if let [only] = &*template.statements
            && let Command::Transaction(command) = &only.command
            && self.keeps_block(command)
        {
            let sql = self.query_text(len)?;
            self.client.inbound.advance(len);
            self.block_statement(command.clone(), &sql).await?;
            self.say_ready();
            return Ok(());
        }
        if self.fails_locally() {
            if let [first, _, ..] = &*template.statements
                && matches!(&first.command, Command::Transaction(command) if ends_failure(command))
            {
                // What comes behind it is in no failed transaction any more.
                return Box::pin(self.run_batch(&template, len)).await;
            }
            self.client.inbound.advance(len);
            self.say_error(&crate::session::block::aborted());
            self.say_ready();
            return Ok(());
        }
        if let [only] = &*template.statements {
            if matches!(
                only.command,
                Command::Session(SessionCommand::Prepare { .. } | SessionCommand::Execute { .. })
                    | Command::Ordinary(Verb::Explain { .. })
            ) && self.run_kept(&only.command, len).await?
            {
                return Ok(());
            }
            if self.is_own_command(&only.command) {
                self.run_own(&only.command, planned.changes, len).await;
                return Ok(());
            }
        }
        self.run_planned(planned, len).await
    }

    /// PREPARE, EXECUTE and EXPLAIN EXECUTE of a statement that the proxy keeps.
    async fn run_kept(&mut self, command: &Command, len: usize) -> Result<bool, SessionEnd> {
        let sql = self.query_bytes(len)?;
        if let Some(call) = self.executed(command, &sql) {
            self.client.inbound.advance(len);
            Box::pin(self.execute_query(&sql, &call)).await?;
            return Ok(true);
        }
        if let Command::Session(SessionCommand::Prepare { name } | SessionCommand::Execute { name }) = command
            && self.keeps(name)
        {
            self.client.inbound.advance(len);
            Box::pin(self.prepare_query(command, &sql)).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// A command on the proxy's own settings.
    async fn run_own(&mut self, command: &Command, changes: Vec<(usize, Change)>, len: usize) {
        self.client.inbound.advance(len);
        let changes: Vec<Change> = changes.into_iter().map(|(_, change)| change).collect();
        if crate::session::own::shown_setting(command) == Some("shardway.token") {
            self.settle_token().await;
        }
        self.answer_own(command, &changes, true);
        self.say_ready();
    }

    /// What servers answer, by the kind of its plan.
    async fn run_planned(&mut self, planned: Planned, len: usize) -> Result<(), SessionEnd> {
        let Planned { template, plan, mut changes } = planned;
        if let Plan::Definition(definition) = &plan
            && !self.transaction.is_failed()
        {
            return self.define_query(definition, &template, len).await;
        }
        if plan == Plan::Batch && Box::pin(self.call_insert(len)).await? {
            return Ok(());
        }
        if plan == Plan::Batch || self.ends_elsewhere(&plan, &template) {
            return Box::pin(self.run_batch(&template, len)).await;
        }
        let plan = match plan {
            Plan::Merge { .. } if self.shard_of(&plan).is_none() => {
                let sql = self.query_bytes(len)?;
                match self.settle_merge(plan, &sql, b"", &template).await {
                    Ok((plan @ Plan::Merge { .. }, Some(verdict))) => {
                        if let Err(error) = self.admit_locks(&plan, &template).await {
                            self.refuse_query(&error, len).await;
                            return Ok(());
                        }
                        let Plan::Merge { shards, merge, window, .. } = plan else { return Ok(()) };
                        let call = MergeCall { shards, merge, window, verdict };
                        if call.locks(&template) {
                            return Box::pin(self.run_locked(call, &template, changes, &sql, len)).await;
                        }
                        return self.run_merged(call, &template, changes, &sql, len).await;
                    }
                    Ok((plan, _)) => plan,
                    Err(Failure::Client(error)) => {
                        self.refuse_query(&error, len).await;
                        return Ok(());
                    }
                    Err(Failure::End(end)) => return Err(end),
                    Err(Failure::Told) => return Ok(()),
                }
            }
            Plan::Carry { ways, otherwise } if self.shard_of(&Plan::Batch).is_none() => {
                let sql = self.query_bytes(len)?;
                let call = (ways, *otherwise);
                match Box::pin(self.run_carried(call, &template, &mut changes, &sql, len)).await? {
                    Some(plan) => plan,
                    None => return Ok(()),
                }
            }
            other => other,
        };
        if let Plan::Single { .. } | Plan::Any = plan
            && let Some(shard) = self.shard_of(&plan)
        {
            return self.run_on(shard, &template, changes, len).await;
        }
        if self.shard_of(&plan).is_none() {
            if let Plan::CopyIn(target) = &plan {
                let sql = self.query_bytes(len)?;
                self.client.inbound.advance(len);
                Box::pin(self.copy_into_shards(target, &sql)).await?;
                self.say_ready();
                return Ok(());
            }
            if let Plan::Gather { gather, pulls } = &plan {
                let sql = self.query_bytes(len)?;
                let spliced = self.splice(&sql, gather);
                let gathering = Gathering::new(gather, pulls, spliced, (sql, Bytes::new()), &template);
                return Box::pin(self.run_gather(gathering, &template, changes, len)).await;
            }
            if Self::written_by(&plan).is_some() {
                return self.run_write(&plan, &template, changes, len).await;
            }
        }
        let targets = self.targets(&plan, &template);
        if let Err(error) = self.admit_locks(&plan, &template).await {
            self.refuse_query(&error, len).await;
            return Ok(());
        }
        match targets.as_slice() {
            [shard] => self.run_on(*shard, &template, changes, len).await,
            _ => self.run_on_several(targets, &template, changes, len, None).await,
        }
    }

    /// The text of the Query at the front of the client's buffer.
    fn query_bytes(&self, len: usize) -> Result<Bytes, SessionEnd> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        Ok(Bytes::copy_from_slice(frontend::query(frame).map_err(violation)?))
    }

    /// A string of several statements with a COMMIT or the like among them, while another shard than theirs is in
    /// the transaction: it would be ended on one and left open on the other.
    fn ends_elsewhere(&self, plan: &Plan, template: &Template) -> bool {
        let ends = |one: &crate::planning::StatementTemplate| matches!(one.command, Command::Transaction(_));
        if template.statements.len() < 2 || !template.statements.iter().any(ends) {
            return false;
        }
        let target = self.shard_of(plan);
        self.transaction.held().iter().any(|held| held.lease.status != Status::Idle && Some(held.shard) != target)
    }

    /// The shards that a plan means now: several for a scatter, and for session commands within a
    /// transaction that is on several.
    fn targets(&self, plan: &Plan, template: &Template) -> Vec<ShardId> {
        if self.transaction.held().iter().any(|held| held.lease.status == Status::Failed) {
            return self.shard_of(plan).into_iter().collect();
        }
        if let Some(scratch) = self.cursor_apart(template) {
            return vec![scratch];
        }
        match plan {
            Plan::Scatter { shards } => shards.as_slice().to_vec(),
            Plan::Touched if self.transaction.held().len() > 1 && !self.resets_at_rest(template) => {
                match &template.statements[..] {
                    [only] => {
                        match crate::session::block::cursor_of(&only.command).and_then(|name| self.cursors.get(name)) {
                            Some(cursor) => vec![cursor.shard],
                            None => self.transaction.held().iter().map(|held| held.shard).collect(),
                        }
                    }
                    _ => self.transaction.held().iter().map(|held| held.shard).collect(),
                }
            }
            other => self.shard_of(other).into_iter().collect(),
        }
    }

    /// RESET and DISCARD ALL outside of a transaction, on pinned connections: one tells what they lead to, and others
    /// follow before they are used again, or go.
    pub(in crate::session) fn resets_at_rest(&self, template: &Template) -> bool {
        let resets = |one: &crate::planning::StatementTemplate| {
            matches!(
                one.command,
                Command::Session(SessionCommand::Reset { .. } | SessionCommand::ResetAll | SessionCommand::DiscardAll)
            )
        };
        self.transaction.held().iter().all(|held| held.lease.status == Status::Idle)
            && !self.transaction.in_block()
            && template.statements.iter().all(resets)
    }
}

/// Whether a failed transaction takes that command.
fn ends_failure(command: &TransactionCommand) -> bool {
    matches!(
        command,
        TransactionCommand::Commit { .. } | TransactionCommand::Rollback { .. } | TransactionCommand::RollbackTo(_)
    )
}
