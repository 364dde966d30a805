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
use crate::sql::quote_identifier;
use crate::transaction::{Apart, Keeps};
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

    /// A cursor WITH HOLD was declared there.
    pub(in crate::session) fn note_declared(&mut self, scratch: ShardId, name: &str) {
        let Some(apart) = self.transaction.apart_of(scratch) else { return };
        // It is nobody else's before its cursors are closed.
        apart.lease.condition = Condition::Pinned;
        if let Some(layer) = apart.layer_mut(scratch) {
            layer.keeps = Keeps::Declared;
            layer.cursor = Some(name.to_owned());
        }
    }

    /// Cursors WITH HOLD that were declared just now get their rows at once, so that the rows they were gathered from
    /// can go. What a server finds wrong with that is told.
    pub(in crate::session) async fn keep_declared(&mut self, is_query: bool) {
        let mut refused = None;
        for apart in self.transaction.apart_mut() {
            let is_open = apart.lease.is_at_rest() && apart.lease.status == Status::InTransaction;
            let new = apart.layers.iter_mut().find(|layer| layer.keeps == Keeps::Declared && !layer.is_committed);
            let Some(layer) = new.filter(|_| is_open) else { continue };
            match own::run(&mut apart.lease, "COMMIT").await {
                Ok(_) => layer.is_committed = true,
                Err(error) => {
                    layer.keeps = Keeps::Nothing;
                    refused = Some((layer.number, error));
                }
            }
        }
        let Some((number, why)) = refused else { return };
        self.cursors.retain(|_, cursor| cursor.shard != number);
        match why {
            OwnError::Refused(frame) => {
                if is_query {
                    // A Query's last CommandComplete comes behind its commit.
                    crate::session::batch::take_last_tag(&mut self.client.outbound);
                }
                self.client.outbound.extend_from_slice(&frame.0);
                self.fail_block().await;
            }
            OwnError::Lost(reason) => {
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
        let cursors = &self.cursors;
        let keeps = |number: ShardId| cursors.values().any(|cursor| cursor.shard == number && cursor.number <= before);
        let mut lost = Vec::new();
        for apart in self.transaction.apart_mut() {
            // A failed transaction goes on where what was made last goes away.
            if apart.lease.status == Status::Failed && apart.open().next_back().is_some_and(|last| keeps(last.number)) {
                lost.extend(apart.open().map(|layer| layer.number));
            }
            for layer in &mut apart.layers {
                if layer.keeps == Keeps::Declared && !keeps(layer.number) {
                    layer.keeps = Keeps::Nothing;
                }
            }
        }
        self.cursors.retain(|_, cursor| cursor.number <= before && !lost.contains(&cursor.shard));
        let cursors = &self.cursors;
        let goes = |shard: ShardId| shard.is_scratch() && !cursors.values().any(|cursor| cursor.shard == shard);
        self.portals.retain(|_, portal| !matches!(portal.place, Place::Shard(shard) if goes(shard)));
    }

    /// Gives scratch connections back that have nothing of the client's left on them.
    pub(in crate::session) async fn release_scratches(&mut self) {
        if !self.transaction.apart().is_empty() {
            self.release_unused(self.transaction.status() == Status::Idle && self.segment.is_none()).await;
        }
    }

    /// `is_over`: the transaction has ended, and what it has opened with it.
    pub(in crate::session) async fn release_unused(&mut self, is_over: bool) {
        let in_use = |number: ShardId| {
            self.segment.as_ref().is_some_and(|segment| segment.shard == number)
                || self.portals.values().any(|portal| portal.place == Place::Shard(number))
                || self.cursors.values().any(|cursor| cursor.shard == number)
        };
        let layers = self.transaction.apart().iter().flat_map(|apart| &apart.layers);
        let gone: Vec<ShardId> = layers
            .filter(|layer| is_over && layer.keeps == Keeps::Nothing || !in_use(layer.number))
            .map(|layer| layer.number)
            .collect();
        if gone.is_empty() {
            return;
        }
        self.notes.client().gathering.end();
        // No cancel may reach the connection once it is another client's.
        self.cancel.clear().await;
        self.portals.retain(|_, portal| !matches!(portal.place, Place::Shard(shard) if gone.contains(&shard)));
        self.cursors.retain(|_, cursor| !gone.contains(&cursor.shard));
        for mut apart in self.transaction.take_all_apart() {
            if !unwind(&mut apart, &gone).await {
                apart.lease.condition = Condition::Broken;
            } else if !apart.layers.is_empty() {
                self.transaction.put_apart(apart);
            } else if apart.lease.condition == Condition::Pinned {
                // Cursors WITH HOLD were declared there.
                let closed = own::run(&mut apart.lease, "CLOSE ALL").await;
                apart.lease.condition = if closed.is_ok() { Condition::Clean } else { Condition::Broken };
            }
        }
        for held in self.transaction.held() {
            self.cancel.add(&held.lease);
        }
        for apart in self.transaction.apart() {
            self.cancel.add(&apart.lease);
        }
    }

    /// What a gather has made goes, since the gather failed; what else is on its connection stays, if that can.
    pub(in crate::session) async fn drop_scratch(&mut self, scratch: ShardId) {
        self.notes.client().gathering.end();
        let Some(mut apart) = self.transaction.take_apart(scratch) else { return };
        let is_shared = apart.layers.len() > 1;
        if is_shared && unwind(&mut apart, &[scratch]).await {
            self.transaction.put_apart(apart);
        } else {
            apart.lease.condition = Condition::Broken;
        }
    }
}

/// Takes layers away that are on top of all others, and cursors that have outlived their transaction. False: the connection isn't fit for anything.
async fn unwind(apart: &mut Apart, gone: &[ShardId]) -> bool {
    if !apart.lease.is_at_rest() || apart.lease.condition == Condition::Broken {
        return false;
    }
    let (sql, mut taken) = apart.unwinding(gone);
    if let Some(sql) = sql.filter(|_| apart.lease.status != Status::Idle)
        && own::run(&mut apart.lease, &sql).await.is_err()
    {
        return false;
    }
    if apart.layers.iter().all(|layer| gone.contains(&layer.number)) {
        apart.layers.clear();
    } else if apart.lease.status == Status::Idle {
        for layer in apart.layers.iter().filter(|layer| layer.is_committed && gone.contains(&layer.number)) {
            let close = layer.cursor.as_deref().map(|name| format!("CLOSE {}", quote_identifier(name)));
            if let Some(close) = close
                && let Err(OwnError::Lost(_)) = own::run(&mut apart.lease, &close).await
            {
                return false;
            }
            taken.push(layer.number);
        }
    }
    apart.layers.retain(|layer| !taken.contains(&layer.number));
    true
}
