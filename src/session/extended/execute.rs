//! Execute: in, a portal and a row limit; out, to the place of the portal, or an answer of the proxy's own.

use std::sync::Arc;

use super::last_is_error;

use crate::execute::Expect;
use crate::planning::Plan;
use crate::protocol::backend;
use crate::protocol::frontend::Execute;
use crate::session::effects::Change;
use crate::session::prepared::{ClientStatement, Place};
use crate::session::segment::Failure;
use crate::session::turn::Session;
use crate::sql::Command;
use crate::sql::command::{SessionCommand, TransactionCommand};
use crate::types::{ClientError, SqlState};

impl Session {
    pub(super) async fn execute(&mut self, len: usize) -> Result<(), Failure> {
        let message = Execute::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let portal = self.portals.get_mut(message.portal);
        let place = portal.as_ref().map(|portal| portal.place.clone());
        match (place, portal) {
            (Some(Place::Local { done: true }), _) => {
                let text = format!("portal \"{}\" cannot be run", String::from_utf8_lossy(message.portal));
                Err(ClientError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text).into())
            }
            (Some(Place::Local { done: false }), Some(portal)) => {
                portal.place = Place::Local { done: true };
                let statement = Arc::clone(&portal.statement);
                let changes = portal.changes.clone();
                self.execute_local(&statement, &changes).await
            }
            (Some(Place::CopyIn(target)), Some(portal)) => {
                let sql = portal.statement.sql.clone();
                portal.place = Place::Local { done: true };
                self.execute_copy(target, sql).await
            }
            (Some(Place::Scatter { .. }), _) => {
                let name: Box<[u8]> = message.portal.into();
                self.execute_scatter(&name, len).await
            }
            (Some(Place::Merged(merged)), _) => {
                let name: Box<[u8]> = message.portal.into();
                self.execute_merge(&name, &merged, len).await
            }
            (Some(Place::Write(_)), _) => {
                let name: Box<[u8]> = message.portal.into();
                self.execute_write(&name, len).await
            }
            (place, portal) => {
                let changes = portal.map(|portal| std::mem::take(&mut portal.changes)).unwrap_or_default();
                self.pass_message(place, len, Expect::Execute).await?;
                if let Some(segment) = &mut self.segment {
                    segment.executes.push(changes);
                }
                Ok(())
            }
        }
    }

    async fn execute_local(&mut self, statement: &ClientStatement, changes: &[Change]) -> Result<(), Failure> {
        match &*statement.template.statements {
            [only] if matches!(only.command, Command::Transaction(_) | Command::Ordinary(_)) => {
                self.leave_segment().await?;
            }
            _ => self.catch_up().await?,
        }
        let [only] = &*statement.template.statements else { return Ok(()) };
        if let Command::Session(SessionCommand::Execute { .. }) = &only.command {
            self.leave_segment().await?;
            return Err(self.malformed(&statement.sql).await);
        }
        if let Command::Session(SessionCommand::Prepare { .. }) = &only.command {
            self.leave_segment().await?;
            self.prepare_sql(&statement.sql).await?;
            backend::command_complete(&mut self.client.outbound, "PREPARE");
            return Ok(());
        }
        if matches!(only.command, Command::Ordinary(_)) {
            if self.transaction.is_spread() {
                // It would commit what is to be committed at the Sync.
                let text = "a definition behind a write on several shards without a Sync between them";
                let error = ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text).hint("Send a Sync before it.");
                return Err(error.into());
            }
            return self.execute_definition(statement).await;
        }
        let Command::Transaction(command) = &only.command else {
            let errors = self.client.outbound.len();
            if crate::session::own::shown_setting(&only.command) == Some("shardway.token") {
                self.settle_token().await;
            }
            self.answer_own(&only.command, changes, false);
            let written = self.client.outbound.get(errors..).unwrap_or_default();
            return if last_is_error(written) { Err(Failure::Told) } else { Ok(()) };
        };
        if self.transaction.is_spread() {
            let text = "a transaction command behind a write on several shards without a Sync between them";
            let error = ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text).hint("Send a Sync before it.");
            return Err(error.into());
        }
        let sql = String::from_utf8_lossy(&statement.sql);
        let sql = sql.trim_end_matches([';', ' ', '\n', '\t', '\r']);
        let errors = self.client.outbound.len();
        self.block_statement(command.clone(), sql).await?;
        if matches!(command, TransactionCommand::Commit { .. } | TransactionCommand::Rollback { .. }) {
            // Portals end with their transaction, this one as well.
            self.portals.clear();
        }
        // An error is the last thing that was written; it makes the rest of the turn void.
        let written = self.client.outbound.get(errors..).unwrap_or_default();
        if last_is_error(written) { Err(Failure::Told) } else { Ok(()) }
    }

    async fn execute_definition(&mut self, statement: &ClientStatement) -> Result<(), Failure> {
        let template = &statement.template;
        let plan = template.bind_hinted(&statement.sql, &statement.lexed, None, self.hint.as_ref());
        let Plan::Definition(definition) = plan.map_err(ClientError::from)? else {
            return Err(ClientError::new(SqlState::INTERNAL_ERROR, "not a definition").into());
        };
        let Ok(sql) = std::str::from_utf8(&statement.sql) else {
            return Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, "a definition that isn't in UTF-8").into());
        };
        if self.define(&definition, template, sql).await? { Ok(()) } else { Err(Failure::Told) }
    }
}
