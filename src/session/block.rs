//! Transaction commands where the proxy keeps the block: on databases with several shards a BEGIN
//! reaches a shard only with its first statement, and a COMMIT reaches each shard in the transaction.

use std::collections::BTreeMap;

use super::effects::Change;
use super::turn::{Session, SessionEnd};
use crate::execute::own;
use crate::pool::SettingValue;
use crate::protocol::backend::{self, Severity, Status};
use crate::sql::command::{SessionCommand, TransactionCommand};
use crate::sql::{Command, Tokens};
use crate::types::{ClientError, ShardId, SqlState};

pub(super) fn aborted() -> ClientError {
    ClientError::new(
        SqlState::IN_FAILED_SQL_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

/// The cursor that FETCH, MOVE or CLOSE names.
pub(super) fn cursor_of(command: &Command) -> Option<&str> {
    match command {
        Command::Session(SessionCommand::Fetch { name } | SessionCommand::CloseCursor { name: Some(name) }) => {
            Some(name)
        }
        _ => None,
    }
}

/// Whether a shard that joins the block later must be told of it.
pub(super) fn holds_for_block(command: &Command) -> bool {
    matches!(
        command,
        Command::Session(SessionCommand::Set { .. } | SessionCommand::Reset { .. } | SessionCommand::ResetAll)
            | Command::Transaction(
                TransactionCommand::SetTransaction
                    | TransactionCommand::Savepoint(_)
                    | TransactionCommand::Release(_)
                    | TransactionCommand::RollbackTo(_)
                    | TransactionCommand::Commit { chain: true }
                    | TransactionCommand::Rollback { chain: true }
            )
    )
}

/// How a transaction command ended.
pub(super) enum Ended {
    Tag(&'static str),
    /// An error that was written to the client already.
    Told,
}

impl Session {
    /// Whether the proxy itself carries out the command, instead of the one server in the transaction.
    pub(super) fn keeps_block(&self, command: &TransactionCommand) -> bool {
        if matches!(command, TransactionCommand::SetTransaction | TransactionCommand::TwoPhase) {
            return false;
        }
        if self.database.is_single() {
            // Only where the server was lost under the block.
            return self.transaction.in_block();
        }
        if self.leaves_notes && self.transaction.in_block() && matches!(command, TransactionCommand::Commit { .. }) {
            // Its shards are asked first what was changed.
            return true;
        }
        if self.segment.as_ref().is_some_and(|segment| segment.writes) && !self.transaction.in_block() {
            // What was written since the last Sync is in the same transaction: that server's.
            return false;
        }
        !matches!(self.transaction.held(), [only] if only.lease.status != Status::Idle)
    }

    /// A failed block that no server holds: the proxy answers for it.
    pub(super) fn fails_locally(&self) -> bool {
        self.transaction.is_failed() && !self.transaction.held().iter().any(|held| held.lease.status == Status::Failed)
    }

    /// Carries out the command; CommandComplete or an error goes to the client, but no ReadyForQuery.
    pub(super) async fn block_statement(&mut self, command: TransactionCommand, sql: &str) -> Result<(), SessionEnd> {
        let result = match &command {
            TransactionCommand::Begin => self.begin_block(sql),
            TransactionCommand::Commit { chain } => self.end_block(true, *chain).await,
            TransactionCommand::Rollback { chain } => self.end_block(false, *chain).await,
            TransactionCommand::Savepoint(_) | TransactionCommand::Release(_) | TransactionCommand::RollbackTo(_) => {
                self.savepoint_statement(&command, sql).await
            }
            TransactionCommand::SetTransaction | TransactionCommand::TwoPhase => {
                Err(ClientError::new(SqlState::INTERNAL_ERROR, "not a command of the block"))
            }
        };
        match result {
            Ok(Ended::Tag(tag)) => backend::command_complete(&mut self.client.outbound, tag),
            Ok(Ended::Told) => {}
            Err(error) => self.refuse(&error).await,
        }
        Ok(())
    }

    pub(super) fn warn(&mut self, state: SqlState, message: &str) {
        let wanted = match self.state.settings().get("client_min_messages") {
            Some(SettingValue::List(values)) => values.first().map(String::as_str),
            Some(SettingValue::Text(text)) => Some(text.as_str()),
            None => None,
        };
        if matches!(wanted, Some("error" | "fatal" | "panic")) {
            return;
        }
        backend::error(&mut self.client.outbound, Severity::Warning, &ClientError::new(state, message));
    }

    fn begin_block(&mut self, sql: &str) -> Result<Ended, ClientError> {
        if self.transaction.is_failed() {
            return Err(aborted());
        }
        // Comments may stand before the word.
        let word = Tokens::new(sql.as_bytes(), &self.lex_options()).next();
        let word = word.and_then(|token| sql.get(token.span));
        let starts = word.is_some_and(|word| word.eq_ignore_ascii_case("start"));
        let tag = if starts { "START TRANSACTION" } else { "BEGIN" };
        if self.transaction.in_block() {
            self.warn(SqlState::ACTIVE_SQL_TRANSACTION, "there is already a transaction in progress");
            return Ok(Ended::Tag(tag));
        }
        self.state.start_implicit();
        self.state.begin();
        self.transaction.begin(sql);
        Ok(Ended::Tag(tag))
    }

    async fn end_block(&mut self, commit: bool, chain: bool) -> Result<Ended, ClientError> {
        if !self.transaction.in_block() {
            if chain {
                let what = if commit { "COMMIT AND CHAIN" } else { "ROLLBACK AND CHAIN" };
                let message = format!("{what} can only be used in transaction blocks");
                return Err(ClientError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
            }
            self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
            return Ok(Ended::Tag(if commit { "COMMIT" } else { "ROLLBACK" }));
        }
        self.portals.clear();
        let commit = commit && !self.transaction.is_failed();
        let ended = if commit { self.commit_held().await } else { self.roll_back_shards().await };
        let committed = matches!(ended, Ended::Tag("COMMIT"));
        let command = if committed {
            TransactionCommand::Commit { chain }
        } else {
            TransactionCommand::Rollback { chain: chain && !matches!(ended, Ended::Told) }
        };
        self.apply(Change::Transaction(command));
        if chain && !matches!(ended, Ended::Told) {
            self.transaction.chain()
        } else {
            self.transaction.end()
        }
        Ok(ended)
    }

    pub(super) fn say_parameters(&mut self, reported: &BTreeMap<String, String>) {
        for (name, value) in reported {
            backend::parameter(&mut self.client.outbound, name, value);
        }
    }

    pub(super) async fn roll_back_shards(&mut self) -> Ended {
        let mut reported = BTreeMap::new();
        for held in self.transaction.held_mut() {
            if held.lease.status == Status::Idle || !held.lease.is_at_rest() {
                continue;
            }
            match own::run(&mut held.lease, "ROLLBACK").await {
                Ok(answer) => reported.extend(answer.parameters),
                // The server rolls back what it loses.
                Err(error) => tracing::debug!(%error, "could not roll back"),
            }
        }
        self.say_parameters(&reported);
        Ended::Tag("ROLLBACK")
    }

    async fn savepoint_statement(&mut self, command: &TransactionCommand, sql: &str) -> Result<Ended, ClientError> {
        let (name, verb, tag) = match command {
            TransactionCommand::Savepoint(name) => (name, "SAVEPOINT", "SAVEPOINT"),
            TransactionCommand::Release(name) => (name, "RELEASE SAVEPOINT", "RELEASE"),
            TransactionCommand::RollbackTo(name) => (name, "ROLLBACK TO SAVEPOINT", "ROLLBACK"),
            _ => return Err(ClientError::new(SqlState::INTERNAL_ERROR, "not a savepoint command")),
        };
        if !self.transaction.in_block() {
            let message = format!("{verb} can only be used in transaction blocks");
            return Err(ClientError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        let rolls_back = matches!(command, TransactionCommand::RollbackTo(_));
        if self.transaction.is_failed() && !rolls_back {
            return Err(aborted());
        }
        if !matches!(command, TransactionCommand::Savepoint(_)) && !self.transaction.has_savepoint(name) {
            let message = format!("savepoint \"{name}\" does not exist");
            return Err(ClientError::new(SqlState::INVALID_SAVEPOINT, message));
        }
        let wanted = self.state.settings().clone();
        // Each server reports what changed on it; the client hears it once.
        let mut reported = BTreeMap::new();
        let shards: Vec<ShardId> = self.transaction.held().iter().map(|held| held.shard).collect();
        for shard in shards {
            let missed = self.transaction.prelude_for(shard)?;
            let Some(lease) = self.transaction.lease_mut(shard) else { continue };
            if lease.status == Status::Idle {
                continue;
            }
            // All go into the savepoint, and come out of it, with the same settings.
            let mut ahead = Vec::new();
            if lease.status == Status::InTransaction {
                ahead.extend(lease.settings.difference(&wanted));
                ahead.extend(missed);
                lease.settings = wanted.clone();
            }
            ahead.push(sql.to_owned());
            for sql in ahead {
                match own::run(lease, &sql).await {
                    Ok(answer) => reported.extend(answer.parameters),
                    Err(error) => {
                        let message = format!("{verb} failed on {}", lease.node.describe());
                        return Err(ClientError::new(SqlState::CONNECTION_FAILURE, message).detail(error.to_string()));
                    }
                }
            }
        }
        self.say_parameters(&reported);
        match command {
            TransactionCommand::Savepoint(name) => self.transaction.savepoint(name, sql),
            TransactionCommand::Release(name) => self.transaction.release(name),
            _ => self.transaction.rollback_to(name),
        }
        // Definitions may have been taken back.
        self.changed_within |= rolls_back && self.changed_catalog;
        self.apply(Change::Transaction(command.clone()));
        Ok(Ended::Tag(tag))
    }

    /// After servers carried out a command that holds for the block: the journal must know of it as well.
    pub(super) fn note_in_journal(&mut self, command: &Command, sql: &str) {
        let Command::Transaction(command) = command else {
            self.transaction.note(sql, self.acting);
            return;
        };
        match command {
            TransactionCommand::Savepoint(name) => self.transaction.savepoint(name, sql),
            TransactionCommand::Release(name) => self.transaction.release(name),
            TransactionCommand::RollbackTo(name) => self.transaction.rollback_to(name),
            TransactionCommand::Commit { chain: true } | TransactionCommand::Rollback { chain: true } => {
                self.transaction.chain();
            }
            TransactionCommand::SetTransaction => self.transaction.note(sql, self.acting),
            _ => {}
        }
    }
}
