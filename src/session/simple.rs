//! The simple protocol: one Query, one plan, one relay.

use std::sync::Arc;

use bytes::Buf;

use super::effects::{self, Change};
use super::gather::Gathering;
use super::turn::{Session, SessionEnd, violation};
use crate::execute::relay::relay_part;
use crate::execute::scatter::Part;
use crate::execute::{Expect, relay};
use crate::planning::{Access, Plan, Template};
use crate::protocol::backend::{self, Status, tag};
use crate::protocol::frame::HEADER_BYTES;
use crate::protocol::frontend;
use crate::sql::command::{SessionCommand, TransactionCommand, Verb};
use crate::sql::{Command, Lexed};
use crate::types::limits::{INLINE_STATEMENT_BYTES_MAX, QUICK_STATEMENT_BYTES_MAX};
use crate::types::{ClientError, ShardId, SqlState};

/// A Query that has been understood.
pub(super) struct Planned {
    template: std::sync::Arc<Template>,
    plan: Plan,
    changes: Vec<(usize, Change)>,
}

impl Session {
    /// Answers the Query at the front of the client's buffer, `len` bytes long, up to ReadyForQuery.
    pub(super) async fn simple_query(&mut self, len: usize) -> Result<(), SessionEnd> {
        if !self.close_segment().await? {
            self.client.inbound.advance(len);
            return Ok(());
        }
        // A Query does away with the unnamed statement and the unnamed portal, as on a server.
        if !self.portals.is_empty() {
            self.portals.remove(&b""[..]);
        }
        if !self.statements.is_empty() {
            self.statements.remove(&b""[..]);
        }
        self.moved = None;
        self.look_within().await;
        let mut lexed = super::planner::take_scratch();
        let mut len = len;
        let mut planned = self.plan_query(len, &mut lexed).await?;
        if let Ok(Planned { template, .. }) = &planned
            && template.filling.is_some()
        {
            let template = std::sync::Arc::clone(template);
            planned = match self.fill_query(&template, len).await? {
                Ok(filled) => {
                    len = filled;
                    let planned = self.plan_query(len, &mut lexed).await?;
                    planned.and_then(|planned| super::filling::is_full(&planned.template).map(|()| planned))
                }
                Err(error) => Err(error),
            };
        }
        if matches!(&planned, Ok(Planned { template, .. }) if template.asks_process) {
            match self.process_query(len).await? {
                Ok(None) => {}
                Ok(Some(replaced)) => {
                    len = replaced;
                    planned = self.plan_query(len, &mut lexed).await?;
                }
                Err(error) => planned = Err(error),
            }
        }
        if let Ok(Planned { template, plan, .. }) = &planned
            && let Some(first) = self.differs_in_time(plan)
        {
            let template = std::sync::Arc::clone(template);
            let frame = self.client.inbound.get(..len).unwrap_or_default();
            let timed = template.bind_timed(frontend::query(frame).unwrap_or_default(), &lexed, None);
            if let (Some(timed), Ok(planned)) = (timed, &mut planned) {
                planned.plan = timed;
            } else if template.stamps.is_some() {
                planned = match self.stamp_query(&template, first, len).await? {
                    Ok(stamped) => {
                        len = stamped;
                        self.plan_query(len, &mut lexed).await?
                    }
                    Err(error) => Err(error),
                };
            }
        }
        super::planner::put_scratch(lexed);
        match planned {
            Ok(planned) => self.run_query(planned, len).await?,
            Err(error) => {
                if error.state != SqlState::FEATURE_NOT_SUPPORTED || !Box::pin(self.call_insert(len)).await? {
                    self.refuse_statement(&error, len).await?;
                    self.say_ready();
                }
            }
        }
        self.settle().await;
        Ok(())
    }

    pub(super) async fn plan_query(
        &mut self,
        len: usize,
        lexed: &mut Lexed,
    ) -> Result<Result<Planned, ClientError>, SessionEnd> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let sql = frontend::query(frame).map_err(violation)?;
        let text = HEADER_BYTES..HEADER_BYTES + sql.len();
        let found = if sql.len() > INLINE_STATEMENT_BYTES_MAX {
            let sql = bytes::Bytes::copy_from_slice(sql);
            match Box::pin(self.lex_apart(sql)).await {
                Ok((apart, found)) => {
                    *lexed = *apart;
                    found
                }
                Err(error) => return Ok(Err(error)),
            }
        } else {
            if let Err(error) = self.database.planner.lex(sql, self.standard_conforming_strings, lexed) {
                return Ok(Err(error));
            }
            self.find_template(sql, lexed)
        };
        self.note_template(found.is_some());
        self.freshness.said = None;
        if lexed.hint.is_some() {
            let sql = self.client.inbound.get(text.clone()).unwrap_or_default().to_vec();
            self.note_said(&sql, lexed);
        }
        let template = match found {
            Some(template) => template,
            None => {
                let frame = self.client.inbound.get(..len).unwrap_or_default();
                let sql = bytes::Bytes::copy_from_slice(frontend::query(frame).map_err(violation)?);
                match self.build_template(sql, lexed.clone()).await {
                    Ok(template) => template,
                    Err(error) => return Ok(Err(error)),
                }
            }
        };
        let sql = self.client.inbound.get(text.clone()).unwrap_or_default();
        if template.statements.is_empty() || template.filling.is_some() {
            return Ok(Ok(Planned { template, plan: Plan::Touched, changes: Vec::new() }));
        }
        self.notes.look(sql);
        let bound = template.bind_hinted(sql, lexed, None, self.hint.as_ref());
        let bound = match bound {
            Ok(plan) if template.has_lookups() => {
                let sql = bytes::Bytes::copy_from_slice(sql);
                match Box::pin(self.look_up(plan, &template, (&sql, lexed), None)).await {
                    Ok(plan) => Ok(plan),
                    Err(undone) => return Ok(Err(self.look_up_failed(undone)?)),
                }
            }
            other => other,
        };
        let sql = self.client.inbound.get(text.clone()).unwrap_or_default();
        match bound {
            Ok(plan) => {
                if sql.len() < QUICK_STATEMENT_BYTES_MAX && super::quick::is_ordinary(&template) {
                    self.remember(sql, lexed, &template);
                }
                self.note_plan(Arc::clone(&template), &plan);
                let explains = template
                    .statements
                    .iter()
                    .any(|one| matches!(one.command, Command::Ordinary(Verb::Explain { .. })));
                self.explaining = None;
                if explains {
                    let sql = self.client.inbound.get(text.clone()).unwrap_or_default().to_vec();
                    self.note_explain(&template, &sql, &plan);
                }
                let sql = self.client.inbound.get(text.clone()).unwrap_or_default();
                let changes = if effects::is_quiet(&template) {
                    Vec::new()
                } else {
                    let all = effects::changes(sql, lexed, &template, None, &self.lex_options());
                    all.into_iter().map(|(at, change)| (at, self.as_it_will_end(change))).collect()
                };
                if let Some(error) = super::own::set_by_call(&template, &changes) {
                    return Ok(Err(error));
                }
                let owns = template.statements.iter().any(|one| super::own::is_of_own_setting(&one.command));
                let plan = if owns && template.statements.len() > 1 { Plan::Batch } else { plan };
                Ok(Ok(Planned { template, plan, changes }))
            }
            Err(refusal) => {
                self.refused = Some(template);
                Ok(Err(refusal.into()))
            }
        }
    }

    pub(super) async fn run_query(&mut self, planned: Planned, len: usize) -> Result<(), SessionEnd> {
        let Planned { template, plan, mut changes } = planned;
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
            self.say_error(&super::block::aborted());
            self.say_ready();
            return Ok(());
        }
        if let [only] = &*template.statements
            && matches!(
                only.command,
                Command::Session(SessionCommand::Prepare { .. } | SessionCommand::Execute { .. })
                    | Command::Ordinary(Verb::Explain { .. })
            )
        {
            let frame = self.client.inbound.get(..len).unwrap_or_default();
            let sql = bytes::Bytes::copy_from_slice(frontend::query(frame).map_err(violation)?);
            if let Some(call) = self.executed(&only.command, &sql) {
                self.client.inbound.advance(len);
                return Box::pin(self.execute_query(&sql, &call)).await;
            }
            if let Command::Session(SessionCommand::Prepare { name } | SessionCommand::Execute { name }) = &only.command
                && self.keeps(name)
            {
                self.client.inbound.advance(len);
                return Box::pin(self.prepare_query(&only.command, &sql)).await;
            }
        }
        if let [only] = &*template.statements
            && self.is_own_command(&only.command)
        {
            self.client.inbound.advance(len);
            let changes: Vec<Change> = changes.into_iter().map(|(_, change)| change).collect();
            if super::own::shown_setting(&only.command) == Some("shardway.token") {
                self.settle_token().await;
            }
            self.answer_own(&only.command, &changes, true);
            self.say_ready();
            return Ok(());
        }
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
                let frame = self.client.inbound.get(..len).unwrap_or_default();
                let sql = bytes::Bytes::copy_from_slice(frontend::query(frame).map_err(violation)?);
                match self.settle_merge(plan, &sql, b"", &template).await {
                    Ok((plan @ Plan::Merge { .. }, Some(verdict))) => {
                        if let Err(error) = self.admit_locks(&plan, &template).await {
                            self.refuse_query(&error, len).await;
                            return Ok(());
                        }
                        let Plan::Merge { shards, merge, window, .. } = plan else { return Ok(()) };
                        let call = super::merged::MergeCall { shards, merge, window, verdict };
                        if call.locks(&template) {
                            return Box::pin(self.run_locked(call, &template, changes, &sql, len)).await;
                        }
                        return self.run_merged(call, &template, changes, &sql, len).await;
                    }
                    Ok((plan, _)) => plan,
                    Err(super::segment::Failure::Client(error)) => {
                        self.refuse_query(&error, len).await;
                        return Ok(());
                    }
                    Err(super::segment::Failure::End(end)) => return Err(end),
                    Err(super::segment::Failure::Told) => return Ok(()),
                }
            }
            Plan::Carry { ways, otherwise } if self.shard_of(&Plan::Batch).is_none() => {
                let frame = self.client.inbound.get(..len).unwrap_or_default();
                let sql = bytes::Bytes::copy_from_slice(frontend::query(frame).map_err(violation)?);
                let call = (ways, *otherwise);
                match Box::pin(self.run_carried(call, &template, &mut changes, &sql, len)).await? {
                    Some(plan) => plan,
                    None => return Ok(()),
                }
            }
            other => other,
        };
        if let Plan::CopyIn(target) = &plan
            && self.shard_of(&plan).is_none()
        {
            let frame = self.client.inbound.get(..len).unwrap_or_default();
            let sql = bytes::Bytes::copy_from_slice(frontend::query(frame).map_err(violation)?);
            self.client.inbound.advance(len);
            Box::pin(self.copy_into_shards(target, &sql)).await?;
            self.say_ready();
            return Ok(());
        }
        if let Plan::Single { .. } | Plan::Any = plan
            && let Some(shard) = self.shard_of(&plan)
        {
            return self.run_on(shard, &template, changes, len).await;
        }
        if let Plan::Gather { gather, pulls } = &plan
            && self.shard_of(&plan).is_none()
        {
            let frame = self.client.inbound.get(..len).unwrap_or_default();
            let sql = bytes::Bytes::copy_from_slice(frontend::query(frame).map_err(violation)?);
            let spliced = self.splice(&sql, gather);
            let gathering = Gathering::new(gather, pulls, spliced, (sql, bytes::Bytes::new()), &template);
            return Box::pin(self.run_gather(gathering, &template, changes, len)).await;
        }
        if Self::written_by(&plan).is_some() && self.shard_of(&plan).is_none() {
            return self.run_write(&plan, &template, changes, len).await;
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
                    [only] => match super::block::cursor_of(&only.command).and_then(|name| self.cursors.get(name)) {
                        Some(cursor) => vec![cursor.shard],
                        None => self.transaction.held().iter().map(|held| held.shard).collect(),
                    },
                    _ => self.transaction.held().iter().map(|held| held.shard).collect(),
                }
            }
            other => self.shard_of(other).into_iter().collect(),
        }
    }

    /// RESET and DISCARD ALL outside of a transaction, on pinned connections: one tells what they lead to, and others
    /// follow before they are used again, or go.
    pub(super) fn resets_at_rest(&self, template: &Template) -> bool {
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

    pub(super) async fn run_on(
        &mut self,
        shard: ShardId,
        template: &Template,
        changes: Vec<(usize, Change)>,
        len: usize,
    ) -> Result<(), SessionEnd> {
        let access = access_of(template);
        let mut ready = self.is_new_cursor(template, Some(shard));
        if ready.is_ok() {
            ready = self.admit_write(shard, template).await;
        }
        if ready.is_ok() {
            ready = self.find_sequences(shard, template);
        }
        if ready.is_ok() {
            ready = self.reach(shard, access).await;
        }
        if let Err(error) = ready {
            self.refuse_query(&error, len).await;
            return Ok(());
        }
        self.own_sequences(shard, template, true);
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let lease = self.transaction.lease_mut(shard).expect("reached above");
        lease.framed.outbound.extend_from_slice(frame);
        lease.unanswered += 1;
        lease.unnamed = None;
        self.client.inbound.advance(len);
        self.relay_query(shard, changes, access).await
    }

    /// Relays the answer to a Query that was queued on that connection.
    pub(super) async fn relay_query(
        &mut self,
        shard: ShardId,
        changes: Vec<(usize, Change)>,
        access: Access,
    ) -> Result<(), SessionEnd> {
        let renumbering = if shard.is_scratch() { self.transaction.renumbering(shard) } else { None };
        let resets = changes.iter().any(|(_, change)| change.resets());
        let ends = changes.iter().any(|(_, change)| change.ends_block());
        let may_commit = access == Access::Write && (!ends || changes.iter().any(|(_, change)| change.commits()));
        // The scratch connection is in a block of its own.
        let hides_ready = resets || shard.is_scratch() || self.batch.is_some();
        self.expects.push_back(Expect::Query { shown_ready: !hides_ready });
        self.state.start_implicit();
        let waiting = self.watch_waiting();
        let lease = self.transaction.lease_mut(shard).expect("reached above");
        let preface = self.explaining.take().and_then(|plan| super::explain::preface(Some(&plan), lease));
        let mut part = Part::prefaced(preface).moved(self.moved.take()).renumbered(renumbering);
        if self.batch.as_ref().is_some_and(|batch| batch.holds_tag) {
            part.hold_tag();
        }
        match relay_part(&mut self.client, lease, &mut self.expects, &mut part).await {
            Ok(outcome) => {
                let status = lease.status;
                if let Some(batch) = &mut self.batch {
                    batch.tag = part.take_tag();
                    batch.failed |= outcome.failed;
                }
                self.end_waiting(waiting);
                self.note_parameters(&outcome);
                if shard.is_scratch() && outcome.failed {
                    self.fail_block().await;
                    self.say_ready();
                    return Ok(());
                }
                self.acting = Some(shard);
                self.complete(changes, outcome.completed, outcome.failed);
                self.acting = None;
                if shard.is_scratch() {
                    self.keep_declared(true).await;
                    self.say_ready();
                    return Ok(());
                }
                self.adopt(status);
                if resets {
                    self.restore_baseline(shard).await;
                    self.say_ready();
                }
                Ok(())
            }
            Err(error) => {
                self.survive_ending(shard, error, may_commit, ends).await?;
                self.say_ready();
                Ok(())
            }
        }
    }

    /// A server's word on the block, where the proxy keeps it: one server alone ran a COMMIT, or a BEGIN
    /// within a query of several statements.
    pub(super) fn adopt(&mut self, status: Status) {
        if self.database.is_single() && !self.transaction.in_block() {
            return;
        }
        let alone = self.transaction.held().len() == 1;
        if alone && (self.transaction.in_block() || status != Status::Idle) {
            self.transaction.adopt(status);
        }
    }

    /// Applies the changes of the statements that completed.
    pub(super) fn complete(&mut self, changes: Vec<(usize, Change)>, completed: usize, failed: bool) {
        if let Some(batch) = &mut self.batch {
            batch.failed |= failed;
        }
        let any = !changes.is_empty();
        for (position, change) in changes {
            if position < completed {
                self.apply(change);
            }
        }
        if failed
            && self.state.in_block()
            && self.transaction.held().iter().all(|held| held.lease.status == Status::Idle)
        {
            // A COMMIT that failed, as by a deferred constraint.
            self.apply(Change::Transaction(crate::sql::command::TransactionCommand::Rollback { chain: false }));
        }
        if any || failed {
            self.refresh_names();
        }
        if failed {
            if !self.transaction.in_block() {
                self.transaction.end_declared(false);
                self.end_cursors(false);
            }
            self.state.fail_implicit();
            if self.transaction.status() == Status::Idle {
                for held in self.transaction.held_mut() {
                    held.lease.settings = held.lease.settings_at_join.clone();
                }
            }
        }
    }

    /// COMMIT of a failed transaction rolls it back.
    pub(super) fn as_it_will_end(&self, change: Change) -> Change {
        use crate::sql::command::TransactionCommand;
        match change {
            Change::Transaction(TransactionCommand::Commit { chain }) if self.transaction.is_failed() => {
                Change::Transaction(TransactionCommand::Rollback { chain })
            }
            other => other,
        }
    }

    pub(super) fn note_parameters(&mut self, outcome: &crate::execute::Outcome) {
        self.notes.outcome(outcome);
        for (name, value) in &outcome.parameters {
            if &**name == "standard_conforming_strings" {
                self.standard_conforming_strings = &**value == "on";
                self.refresh_names();
            }
        }
    }

    /// The text of a Query, for those few that are told again to shards that join later.
    pub(super) fn query_text(&self, len: usize) -> Result<String, SessionEnd> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let sql = frontend::query(frame).map_err(violation)?;
        Ok(String::from_utf8_lossy(sql).trim_end_matches([';', ' ', '\n', '\t', '\r']).to_owned())
    }

    /// Notes a write of the transaction, which has to be committed with those before; and that the catalog may
    /// change.
    pub(super) async fn admit_write(&mut self, shard: ShardId, template: &Template) -> Result<(), ClientError> {
        if !writes(template) {
            return Ok(());
        }
        let on_replica = self.transaction.lease_mut(shard).is_some_and(|lease| lease.is_replica());
        let differs = template.statements.iter().any(|statement| statement.effects.needs_primary);
        if on_replica && differs && self.transaction.in_block() {
            let message = "this statement needs the primary, but the read-only transaction runs on a replica";
            return Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                .hint("Begin the transaction without READ ONLY, or with this statement as its first."));
        }
        if template.statements.iter().any(|one| matches!(one.command, Command::Ordinary(Verb::Ddl | Verb::Procedure))) {
            self.changed_catalog = true;
            self.changed_within = true;
            // What this transaction prepares from now on is for the tables as it makes them.
            self.database.statements.renew();
        }
        if !self.database.is_single() && template.statements.iter().any(sets_sequences) {
            let database = std::sync::Arc::clone(&self.database);
            self.unsteady.get_or_insert_with(|| super::ids::Unsteady::begin(&database));
        }
        self.freshness.note_write(shard);
        if self.database.is_single() || !(self.transaction.in_block() || self.transaction.is_spread()) {
            return Ok(());
        }
        if self.transaction.would_write_several(&[shard]) {
            return Box::pin(self.admit_writers(&[shard])).await;
        }
        self.transaction.write(shard);
        Ok(())
    }

    /// The Query at the front of the client's buffer isn't run.
    pub(super) async fn refuse_query(&mut self, error: &ClientError, len: usize) {
        self.client.inbound.advance(len);
        self.expects.clear();
        self.refuse(error).await;
        self.say_ready();
    }

    /// SELECT ... FOR UPDATE on several shards: a row lock is a write, which is given up with the others.
    pub(super) async fn admit_locks(&mut self, plan: &Plan, template: &Template) -> Result<(), ClientError> {
        let (Plan::Scatter { shards } | Plan::Merge { shards, .. }) = plan else { return Ok(()) };
        let is_select =
            |one: &crate::planning::StatementTemplate| matches!(one.command, Command::Ordinary(Verb::Select));
        if template.statements.iter().all(is_select) {
            for shard in shards.as_slice() {
                self.admit_write(*shard, template).await?;
            }
        }
        Ok(())
    }

    /// FunctionCall, which only libpq's large objects still use: they live on the home shard.
    pub(super) async fn function_call(&mut self, len: usize) -> Result<(), SessionEnd> {
        if !self.close_segment().await? {
            self.client.inbound.advance(len);
            return Ok(());
        }
        let home = self.database.config.home;
        let target = self.shard_of(&Plan::Single { shard: home, why: crate::planning::plan::Why::Home });
        let ready = match target {
            Some(shard) if self.fails_locally() => Err((shard, super::block::aborted())),
            Some(shard) => self.reach(shard, Access::Write).await.map(|()| shard).map_err(|error| (shard, error)),
            None => Err((home, ClientError::new(SqlState::INTERNAL_ERROR, "a single plan has a shard"))),
        };
        let frame = self.client.inbound.split_to(len);
        match ready {
            Ok(shard) => {
                self.freshness.note_write(shard);
                let lease = self.transaction.lease_mut(shard).expect("reached above");
                lease.framed.outbound.extend_from_slice(&frame);
                lease.unanswered += 1;
                self.expects.push_back(Expect::Query { shown_ready: true });
                if let Err(error) = relay(&mut self.client, lease, &mut self.expects).await {
                    self.survive(shard, error, true).await?;
                    self.say_ready();
                }
            }
            Err((_, error)) => {
                self.expects.clear();
                self.refuse(&error).await;
                self.say_ready();
            }
        }
        self.settle().await;
        Ok(())
    }
}

/// Whether rows may be written, or more than the session's own state changed.
pub(super) fn writes(template: &Template) -> bool {
    let may_write =
        |command: &Command| matches!(command, Command::Ordinary(_) | Command::Session(SessionCommand::Execute { .. }));
    let writes = |one: &crate::planning::StatementTemplate| one.access == Access::Write && may_write(&one.command);
    template.statements.iter().any(writes)
}

/// Whether the next value of a sequence may be another after it.
fn sets_sequences(statement: &crate::planning::StatementTemplate) -> bool {
    statement.effects.sets_sequence
        || statement.effects.unknown
        || matches!(statement.command, Command::Ordinary(Verb::Ddl | Verb::Procedure))
}

/// `Read` only if every statement may run on a replica.
pub(super) fn access_of(template: &Template) -> Access {
    let reads =
        |command: &Command| matches!(command, Command::Ordinary(Verb::Select | Verb::Explain { .. } | Verb::Copy(_)));
    if template.statements.iter().all(|one| one.access == Access::Read && reads(&one.command)) {
        Access::Read
    } else {
        Access::Write
    }
}

/// Whether a failed transaction takes that command.
fn ends_failure(command: &TransactionCommand) -> bool {
    matches!(
        command,
        TransactionCommand::Commit { .. } | TransactionCommand::Rollback { .. } | TransactionCommand::RollbackTo(_)
    )
}
