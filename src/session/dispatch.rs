//! Connections for the client's statements: taken when a shard is first needed, brought in step with
//! the session, and given back as soon as nothing holds them.

use std::sync::Arc;

use super::database::Database;
use super::effects::Change;
use super::turn::{Session, SessionEnd, ends_session};
use super::user_pools::Want;
use crate::execute::own::{self, OwnError};
use crate::execute::replies::{ClientFrame, lost};
use crate::execute::{Expect, RelayError};
use crate::planning::{Access, Plan};
use crate::pool::{Condition, Lease, SettingValue};
use crate::protocol::backend::Status;
use crate::protocol::frontend::encode;
use crate::sql::command::TransactionCommand;
use crate::types::{ClientError, ShardId, SqlState};

fn cancelled_by_user() -> ClientError {
    ClientError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
}

impl Session {
    /// The one shard that a plan means now; `None` for several.
    pub(super) fn shard_of(&self, plan: &Plan) -> Option<ShardId> {
        // A failed transaction answers everything itself, with 25P02.
        if let Some(failed) = self.transaction.held().iter().find(|held| held.lease.status == Status::Failed) {
            return Some(failed.shard);
        }
        match plan {
            Plan::Single { shard, .. } => Some(*shard),
            Plan::Any | Plan::Touched => {
                let current = self.segment.as_ref().map(|segment| segment.shard).filter(|shard| !shard.is_scratch());
                let first = self.transaction.held().first().map(|held| held.shard);
                Some(current.or(first).unwrap_or(self.database.config.home))
            }
            Plan::Scatter { .. }
            | Plan::Merge { .. }
            | Plan::Carry { .. }
            | Plan::Gather { .. }
            | Plan::WriteAll { .. }
            | Plan::InsertByShard(_)
            | Plan::Move { .. }
            | Plan::WriteCopies { .. }
            | Plan::Transfer { .. }
            | Plan::Stages { .. }
            | Plan::CopyIn(_)
            | Plan::Definition(_)
            | Plan::Batch => None,
        }
    }

    /// Holds a connection to the shard that is in step with the session: what it lacks is queued ahead
    /// of the client's messages, as expectations of the proxy's own.
    ///
    /// # Errors
    /// When no connection can be had, or the transaction can't be carried there.
    pub(super) async fn reach(&mut self, shard: ShardId, access: Access) -> Result<(), ClientError> {
        if shard.is_scratch() {
            // It was made ready when its rows were gathered.
            return match self.transaction.lease_mut(shard) {
                Some(_) => Ok(()),
                None => Err(ClientError::new(SqlState::INVALID_CURSOR_NAME, "the portal is not open any more")),
            };
        }
        if access == Access::Write {
            self.leave_replica(shard).await;
        }
        if self.transaction.lease_mut(shard).is_none() {
            let want = self.want(shard, access);
            let access = if want == Want::PRIMARY { Access::Write } else { access };
            let mut waits = self.database.lead(shard).at().is_none();
            if self.database.gate.is_paused() && self.transaction.held().is_empty() {
                self.await_resume().await?;
                self.still_holds(true)?;
                waits = true;
            }
            let lease = match self.take_reserved(shard, access) {
                Some(reserved) => reserved?,
                None => {
                    self.notes.client().wait();
                    let lease = self.await_lease(shard, want).await;
                    if self.transaction.held().is_empty() {
                        self.still_holds(waits || lease.is_err())?;
                    }
                    let lease = lease?;
                    self.notes.waited(lease.waited);
                    lease
                }
            };
            self.cancel.add(&lease);
            self.transaction.add(shard, lease);
        }
        let prelude = self.transaction.prelude_for(shard)?;
        // What was set within the block is part of what a joining shard is told, in its order.
        let current = self.state.settings().clone();
        let wanted = if prelude.is_some() { self.state.settings_at_begin().clone() } else { current.clone() };
        let lease = self.transaction.lease_mut(shard).expect("held or added above");
        self.notes.reached(lease);
        let is_replica = lease.is_replica();
        self.note_asked(is_replica);
        let lease = self.transaction.lease_mut(shard).expect("held or added above");
        let mut ahead = 0;
        let mut careful = false;
        let mut tells = false;
        if lease.unanswered == 0 && lease.status != Status::Failed {
            if let Some(sql) = lease.settings.difference(&wanted) {
                careful = lease.settings.changes_identity(&wanted) || !lease.node.has_accepted(wanted.hash());
                encode::query(&mut lease.framed.outbound, sql.as_bytes());
                lease.settings = wanted.clone();
                ahead += 1;
            }
            if lease.status == Status::Idle {
                lease.settings_at_join = lease.settings.clone();
            }
            if let Some(sql) = prelude {
                encode::query(&mut lease.framed.outbound, sql.as_bytes());
                ahead += 1;
                tells = true;
            }
        }
        lease.unanswered += ahead;
        if ahead > 0 {
            lease.unnamed = None;
        }
        self.expects.extend((0..ahead).map(|_| Expect::OwnQuery));
        if tells {
            self.transaction.tell(Some(shard));
        }
        if careful {
            // Settings that this node hasn't accepted yet must hold before anything runs under them.
            let lease = self.transaction.lease_mut(shard).expect("held or added above");
            let outcome = crate::execute::relay(&mut self.client, lease, &mut self.expects).await;
            match outcome {
                Ok(_) => lease.node.accept(wanted.hash()),
                Err(error) => return Err(self.lost_ahead(shard, error)),
            }
        }
        if self.numbers_within.is_some() && !self.defining {
            Box::pin(self.number_within(shard)).await?;
        }
        Ok(())
    }

    /// Has what [`Session::reach`] queued ahead answered, so that a statement of the proxy's own can follow.
    ///
    /// # Errors
    /// As [`Session::reach`].
    pub(super) async fn settle_ahead(&mut self, shard: ShardId) -> Result<(), ClientError> {
        if self.expects.is_empty() {
            return Ok(());
        }
        let lease = self.transaction.lease_mut(shard).expect("reached by the caller");
        match crate::execute::relay(&mut self.client, lease, &mut self.expects).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost_ahead(shard, error)),
        }
    }

    /// The database is paused, and this client has nothing under way on its servers.
    async fn await_resume(&mut self) -> Result<(), ClientError> {
        let began = std::time::Instant::now();
        self.notes.client().wait();
        let cancelled = tokio::select! {
            () = self.database.gate.pass() => false,
            () = self.cancel.interrupted() => true,
        };
        self.notes.waited(began.elapsed());
        if cancelled { Err(cancelled_by_user()) } else { Ok(()) }
    }

    /// A connection, unless the client cancels what it waits for.
    pub(super) async fn await_lease(&self, shard: ShardId, want: Want) -> Result<Lease, ClientError> {
        tokio::select! {
            biased;
            lease = self.pools.lease_later(shard, want) => Ok(lease?),
            () = self.cancel.interrupted() => Err(cancelled_by_user()),
        }
    }

    pub(super) fn may_use_replica(&self) -> bool {
        let wants_serializable =
            self.state.settings().get("default_transaction_isolation").is_some_and(|value| match value {
                SettingValue::List(words) => words.iter().any(|word| word.eq_ignore_ascii_case("serializable")),
                SettingValue::Text(word) => word.eq_ignore_ascii_case("serializable"),
            });
        (!self.transaction.in_block() || self.transaction.is_read_only()) && !wants_serializable
    }

    /// Statements between two Syncs began with a read on a replica, and now comes one for the primary.
    async fn leave_replica(&mut self, shard: ShardId) {
        let in_block = self.transaction.status() != Status::Idle;
        let leaves = !in_block
            && !self.state.pins.any()
            && self.transaction.lease_mut(shard).is_some_and(|lease| lease.is_replica() && lease.is_at_rest());
        if leaves {
            // No cancel may reach the connection once it is another client's.
            self.cancel.clear().await;
            self.transaction.remove(shard);
            for held in self.transaction.held() {
                self.cancel.add(&held.lease);
            }
        }
    }

    pub(super) fn lost_ahead(&mut self, shard: ShardId, error: RelayError) -> ClientError {
        self.expects.clear();
        self.drop_lease(shard);
        let message = match error {
            RelayError::Ahead(ClientFrame(frame)) => {
                let field = |kind| crate::protocol::backend::error_field(&frame, kind).unwrap_or_default();
                String::from_utf8_lossy(field(b'M')).into_owned()
            }
            other => other.to_string(),
        };
        ClientError::new(SqlState::CONNECTION_FAILURE, "a server did not take over the session's settings")
            .detail(message)
    }

    fn drop_lease(&mut self, shard: ShardId) {
        if let Some(mut lease) = self.transaction.remove(shard) {
            lease.condition = Condition::Broken;
        }
    }

    /// A server was lost, or spoke nonsense, under a statement of the client's. Tells the client, and
    /// leaves the session as PostgreSQL would after an error.
    pub(super) async fn survive(
        &mut self,
        shard: ShardId,
        error: RelayError,
        may_have_committed: bool,
    ) -> Result<(), SessionEnd> {
        self.survive_ending(shard, error, may_have_committed, false).await
    }

    /// As [`Self::survive`]; `ends`: a COMMIT or a ROLLBACK of the client's was under way, so that its block is over
    /// whatever became of it.
    pub(super) async fn survive_ending(
        &mut self,
        shard: ShardId,
        error: RelayError,
        may_have_committed: bool,
        ends: bool,
    ) -> Result<(), SessionEnd> {
        if let Some(end) = ends_session(&error) {
            return Err(end);
        }
        self.note_lost(shard, &error);
        let unanswered = self.expects.iter().filter(|expect| expect.may_be_undone()).count();
        self.take_back(unanswered, false);
        self.expects.clear();
        self.segment = None;
        let was_in_block = self.transaction.status() != Status::Idle;
        tracing::warn!(%error, user = %self.user, "a server was lost under a statement");
        match error {
            RelayError::Backend { last_words: Some(ClientFrame(frame)), .. }
            | RelayError::Ahead(ClientFrame(frame)) => {
                self.client.outbound.extend_from_slice(&frame);
            }
            RelayError::TooMuch(what) => {
                self.say_error(&ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, what));
            }
            RelayError::Disagree(what) => {
                let told = ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, what).hint(
                    "Make the tables alike on all shards (shardway check compares them), or ask for text results.",
                );
                self.say_error(&told);
            }
            other => {
                let told = match self.transaction.lease_mut(shard) {
                    Some(lease) => lost(lease, &other.to_string(), may_have_committed && (ends || !was_in_block)),
                    None => ClientError::new(SqlState::CONNECTION_FAILURE, other.to_string()),
                };
                self.say_error(&told);
            }
        }
        self.drop_lease(shard);
        if self.state.pins.any() && self.transaction.held().is_empty() {
            // What pinned the client was on that connection and is gone with it.
            self.state.pins = super::state::Pins::default();
        }
        if let Some(batch) = &mut self.batch {
            batch.failed = true;
        }
        if self.transaction.is_spread() {
            self.roll_back_held().await;
            self.state.fail_implicit();
            self.close_spread();
        } else if was_in_block && ends {
            self.roll_back_held().await;
            self.transaction.end();
            self.apply(Change::Transaction(TransactionCommand::Rollback { chain: false }));
        } else if was_in_block {
            self.roll_back_held().await;
            self.transaction.lose();
        } else {
            self.state.fail_implicit();
        }
        Ok(())
    }

    /// Rolls back and gives back whatever is held.
    pub(super) async fn roll_back_held(&mut self) {
        self.mark_pinned();
        for held in self.transaction.held_mut() {
            if held.lease.is_at_rest()
                && let Err(error) = own::clean(&mut held.lease).await
            {
                tracing::debug!(%error, "could not roll back");
            }
        }
        self.cancel.clear().await;
        self.transaction.take_all();
        self.state.pins = super::state::Pins::default();
    }

    /// Locks and the like outlive a rollback: what is held now is to be cleaned of them.
    fn mark_pinned(&mut self) {
        if !self.state.pins.any() {
            return;
        }
        for held in self.transaction.held_mut() {
            if held.lease.condition == Condition::Clean {
                held.lease.condition = Condition::Pinned;
            }
        }
    }

    /// The proxy refuses a statement: whatever transaction the client is in fails, as it would on an
    /// error of PostgreSQL's own.
    pub(super) async fn refuse(&mut self, error: &ClientError) {
        self.say_error(error);
        self.fail_block().await;
    }

    /// The client has been told of an error: whatever transaction it is in fails.
    pub(super) async fn fail_block(&mut self) {
        self.explaining = None;
        if let Some(batch) = &mut self.batch {
            batch.failed = true;
        }
        let in_block = self.transaction.status() != Status::Idle;
        // What the client never saw begin is rolled back by whoever began it.
        let is_spread = self.transaction.is_spread();
        let mut gone = Vec::new();
        for held in self.transaction.held_mut() {
            if !is_spread
                && held.lease.status == Status::InTransaction
                && held.lease.is_at_rest()
                && let Err(OwnError::Lost(reason)) = own::poison(&mut held.lease).await
            {
                tracing::debug!(reason, "could not fail the transaction");
                gone.push(held.shard);
            }
        }
        if in_block && !gone.is_empty() {
            // What the block had done there went with the server.
            gone.into_iter().for_each(|shard| self.drop_lease(shard));
            self.transaction.lose();
        } else if in_block && self.transaction.in_block() {
            self.transaction.fail();
        }
        if !self.transaction.in_block() {
            self.transaction.end_declared(false);
            self.end_cursors(false);
        }
        self.state.fail_implicit();
    }

    /// After RESET or DISCARD ALL the server's defaults hold on the connection, but the client is to have what
    /// it began with, and to be told so.
    pub(super) async fn restore_baseline(&mut self, shard: ShardId) {
        let wanted = self.state.settings().clone();
        let Some(lease) = self.transaction.lease_mut(shard) else { return };
        if !lease.is_at_rest() || lease.status == Status::Failed {
            return;
        }
        let Some(sql) = lease.settings.difference(&wanted) else { return };
        match own::run(lease, &sql).await {
            Ok(answer) => {
                lease.settings = wanted;
                for (name, value) in answer.parameters {
                    crate::protocol::backend::parameter(&mut self.client.outbound, &name, &value);
                }
            }
            Err(error) => tracing::debug!(%error, "settings of the start-up packet were not restored"),
        }
    }

    /// After a turn: gives connections back unless a transaction or a pin holds them.
    pub(super) async fn settle(&mut self) {
        if self.transaction.status() == Status::Idle && self.segment.is_none() {
            self.transaction.end_declared(true);
            self.end_cursors(true);
        }
        self.release_scratches().await;
        if self.segment.is_some() || self.scattering.is_some() || self.transaction.status() != Status::Idle {
            return;
        }
        // What was set is committed: a refusal that comes next doesn't undo it.
        self.state.start_implicit();
        self.transaction.forget_writer();
        if std::mem::take(&mut self.changed_catalog) {
            self.database.planner.invalidate();
            self.database.statements.renew();
            self.database.leads().for_each(|lead| lead.note_definitions());
        }
        self.unsteady = None;
        self.forget_within();
        self.portals.clear();
        if !self.cancel.try_clear() {
            self.cancel.clear().await;
        }
        if self.state.pins.unknown {
            self.inspect().await;
        }
        self.note_pins();
        if !self.state.pins.any() {
            while let Some(held) = self.transaction.take_next() {
                let mut lease = held.lease;
                if lease.condition == Condition::Pinned {
                    lease.condition = Condition::Clean;
                }
            }
            self.cursors.retain(|_, cursor| cursor.shard.is_scratch());
            for apart in self.transaction.apart() {
                self.cancel.add(&apart.lease);
            }
            self.follow_reload();
            return;
        }
        for apart in self.transaction.apart() {
            self.cancel.add(&apart.lease);
        }
        // What pins lives on the first connection: with several shards that is the home shard's, but for cursors.
        let home = self.database.config.home;
        for mut held in self.transaction.take_all() {
            let has_cursor =
                self.state.pins.held_cursors && self.cursors.values().any(|cursor| cursor.shard == held.shard);
            if self.database.is_single() || held.shard == home || has_cursor {
                held.lease.condition = Condition::Pinned;
                self.cancel.add(&held.lease);
                self.transaction.add(held.shard, held.lease);
            }
        }
    }

    /// After a reload the client goes on with the database as it is configured now; only between
    /// transactions, and not while it is pinned.
    pub(super) fn follow_reload(&mut self) {
        if !self.transaction.held().is_empty() || self.transaction.status() != Status::Idle {
            return;
        }
        let Some(successor) = self.newest_database() else { return };
        if let Some(pools) = successor.pools_of(&self.user) {
            self.pools = pools;
            std::mem::replace(&mut self.database, successor).shed();
        }
    }

    /// The database as it is configured now, if that isn't the one that the client uses, and it still may.
    pub(super) fn newest_database(&self) -> Option<Arc<Database>> {
        let mut successor = self.database.successor()?;
        while let Some(next) = successor.successor() {
            successor = next;
        }
        successor.pools_of(&self.user).is_some().then_some(successor)
    }

    /// The client is gone: cleans what it held, without making anyone wait for it.
    pub(super) async fn leave(&mut self) {
        self.mark_pinned();
        for apart in self.transaction.take_all_apart() {
            if !apart.lease.is_at_rest() {
                let key = Arc::clone(&apart.lease.key);
                let cancel = crate::pool::connect::send_cancel(&key.node.config, key.process_id, &key.secret_key);
                let _ = crate::net::timer::timeout(crate::types::limits::CANCEL_WAIT_MAX, cancel).await;
            }
        }
        let held = self.transaction.take_all();
        if held.is_empty() {
            return;
        }
        // A temporary schema and libraries stay with a connection even through DISCARD ALL.
        let stays = self.state.pins.temporary_objects || self.state.pins.loaded;
        for mut held in held {
            if stays && held.lease.is_at_rest() {
                held.lease.condition = Condition::Broken;
                continue;
            }
            if !held.lease.is_at_rest() {
                // Its statement may run on for long: nobody wants the answer any more.
                let key = Arc::clone(&held.lease.key);
                let cancel = crate::pool::connect::send_cancel(&key.node.config, key.process_id, &key.secret_key);
                let _ = crate::net::timer::timeout(crate::types::limits::CANCEL_WAIT_MAX, cancel).await;
                continue;
            }
            let clean = own::clean(&mut held.lease);
            match crate::net::timer::timeout(crate::types::limits::CLEAN_WAIT_MAX, clean).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "connection is closed instead of cleaned"),
                Err(_) => held.lease.condition = Condition::Broken,
            }
        }
    }
}
