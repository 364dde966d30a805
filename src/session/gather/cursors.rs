//! Cursors over gathers: each is on the scratch connection that holds its rows. In, what became of a cursor or of its
//! transaction; out, scratch connections that are kept, emptied or given back.

use crate::execute::own;
use crate::execute::own::OwnError;
use crate::planning::Template;
use crate::pool::Condition;
use crate::protocol::backend::Status;
use crate::session::prepared::Place;
use crate::session::turn::Session;
use crate::sql::Command;
use crate::sql::command::SessionCommand;
use crate::transaction::Keeps;
use crate::types::{ClientError, ShardId, SqlState};

impl Session {
    /// The scratch connection of the cursor that a command names, if it has one.
    pub(in crate::session) fn cursor_apart(&self, template: &Template) -> Option<ShardId> {
        if self.transaction.apart().is_empty() {
            return None;
        }
        let [only] = &*template.statements else { return None };
        let name = crate::session::block::cursor_of(&only.command)?;
        self.cursors.get(name).map(|cursor| cursor.shard).filter(|shard| shard.is_scratch())
    }

    /// A cursor WITH HOLD was declared on that connection.
    pub(in crate::session) fn note_declared(&mut self, scratch: ShardId) {
        if let Some(apart) = self.transaction.apart_mut().iter_mut().find(|apart| apart.number == scratch) {
            apart.keeps = Keeps::Declared;
            // It is nobody else's before its cursors are closed.
            apart.lease.condition = Condition::Pinned;
        }
    }

    /// Cursors WITH HOLD that were declared just now get their rows at once, so that the rows they were gathered from
    /// can go. What a server finds wrong with that is told.
    pub(in crate::session) async fn keep_declared(&mut self, is_query: bool) {
        let mut refused = None;
        for apart in self.transaction.apart_mut() {
            let is_open = apart.lease.is_at_rest() && apart.lease.status == Status::InTransaction;
            if apart.keeps != Keeps::Declared || !is_open {
                continue;
            }
            match own::run(&mut apart.lease, "COMMIT").await {
                Ok(_) => {}
                Err(OwnError::Refused(frame)) => refused = Some((apart.number, Ok(frame))),
                Err(OwnError::Lost(reason)) => refused = Some((apart.number, Err(reason))),
            }
            if refused.is_some() {
                apart.keeps = Keeps::Nothing;
            }
        }
        let Some((number, why)) = refused else { return };
        self.cursors.retain(|_, cursor| cursor.shard != number);
        match why {
            Ok(frame) => {
                if is_query {
                    // A Query's last CommandComplete comes behind its commit.
                    crate::session::batch::take_last_tag(&mut self.client.outbound);
                }
                self.client.outbound.extend_from_slice(&frame.0);
                self.fail_block().await;
            }
            Err(reason) => {
                let text = "the connection to the scratch database was lost";
                self.refuse(&ClientError::new(SqlState::CONNECTION_FAILURE, text).detail(reason)).await;
            }
        }
    }

    /// That a cursor which is to be declared isn't there, on another connection than its own, whose server says it itself.
    pub(in crate::session) fn is_new_cursor(
        &self,
        template: &Template,
        own: Option<ShardId>,
    ) -> Result<(), ClientError> {
        if self.cursors.is_empty() {
            return Ok(());
        }
        let [only] = &*template.statements else { return Ok(()) };
        let Command::Session(SessionCommand::Declare { name, .. }) = &only.command else { return Ok(()) };
        match self.cursors.get(name).filter(|cursor| Some(cursor.shard) != own) {
            None => Ok(()),
            Some(_) => {
                let text = format!("cursor \"{name}\" already exists");
                Err(ClientError::new(SqlState::DUPLICATE_CURSOR, text))
            }
        }
    }

    /// The transaction ends: cursors WITH HOLD outlive it, unless it is rolled back and has declared them.
    pub(in crate::session) fn end_cursors(&mut self, committed: bool) {
        if !self.cursors.is_empty() {
            let before = self.state.declared_before();
            self.cursors.retain(|_, cursor| cursor.holds && (committed || cursor.number <= before));
        }
    }

    /// ROLLBACK TO SAVEPOINT, once it is done: cursors that were declared since then end, and portals apart, which aren't
    /// told apart by that; [`Self::release_scratches`] gives their connections back.
    pub(in crate::session) fn drop_since_savepoint(&mut self) {
        if self.cursors.is_empty() && self.transaction.apart().is_empty() {
            return;
        }
        let before = self.state.declared_before_savepoint();
        let failed: Vec<ShardId> = self
            .transaction
            .apart()
            .iter()
            .filter(|apart| apart.lease.status == Status::Failed)
            .map(|apart| apart.number)
            .collect();
        self.cursors.retain(|_, cursor| cursor.number <= before && !failed.contains(&cursor.shard));
        let cursors = &self.cursors;
        let keeps = |number: ShardId| cursors.values().any(|cursor| cursor.shard == number);
        for apart in self.transaction.apart_mut() {
            if apart.keeps == Keeps::Declared && !keeps(apart.number) {
                apart.keeps = Keeps::Nothing;
            }
        }
        let kept: Vec<ShardId> =
            self.transaction.apart().iter().map(|apart| apart.number).filter(|n| keeps(*n)).collect();
        let goes = |shard: ShardId| shard.is_scratch() && !kept.contains(&shard);
        self.portals.retain(|_, portal| !matches!(portal.place, Place::Shard(shard) if goes(shard)));
    }

    /// Gives scratch connections back that have nothing of the client's left on them.
    pub(in crate::session) async fn release_scratches(&mut self) {
        if self.transaction.apart().is_empty() {
            return;
        }
        let is_over = self.transaction.status() == Status::Idle && self.segment.is_none();
        let in_use = |number: ShardId| {
            self.segment.as_ref().is_some_and(|segment| segment.shard == number)
                || self.portals.values().any(|portal| portal.place == Place::Shard(number))
                || self.cursors.values().any(|cursor| cursor.shard == number)
        };
        let kept = self.transaction.apart().iter().filter(|apart| apart.keeps != Keeps::Nothing);
        let kept: Vec<ShardId> = kept.map(|apart| apart.number).collect();
        let free: Vec<ShardId> = self
            .transaction
            .apart()
            .iter()
            .map(|apart| apart.number)
            .filter(|number| is_over && !kept.contains(number) || !in_use(*number))
            .collect();
        if free.is_empty() {
            return;
        }
        self.notes.client().gathering.end();
        // No cancel may reach the connection once it is another client's.
        self.cancel.clear().await;
        for number in free {
            let Some(mut lease) = self.transaction.remove(number) else { continue };
            self.portals.retain(|_, portal| portal.place != Place::Shard(number));
            self.cursors.retain(|_, cursor| cursor.shard != number);
            if lease.is_at_rest() && lease.status != Status::Idle && own::run(&mut lease, "ROLLBACK").await.is_err() {
                lease.condition = Condition::Broken;
            }
            if lease.condition == Condition::Pinned {
                // Cursors WITH HOLD were declared there.
                let closed = own::run(&mut lease, "CLOSE ALL").await;
                lease.condition = if closed.is_ok() { Condition::Clean } else { Condition::Broken };
            }
        }
        for held in self.transaction.held() {
            self.cancel.add(&held.lease);
        }
        for apart in self.transaction.apart() {
            self.cancel.add(&apart.lease);
        }
    }
}
