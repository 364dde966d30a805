//! What the proxy itself answers, and what reaches an idle client.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Buf;

use super::effects::Change;
use super::turn::{Session, SessionEnd};
use crate::planning::{Hint, Template};
use crate::pool::SettingValue;
use crate::protocol::backend::{self, rename_sender, tag};
use crate::protocol::frame;
use crate::sql::Command;
use crate::sql::command::SessionCommand;
use crate::types::limits::FRAME_BYTES_MAX;
use crate::types::{ClientError, SqlState};

/// The name of a setting of the proxy's own that a command shows.
pub(super) fn shown_setting(command: &Command) -> Option<&str> {
    match command {
        Command::Session(SessionCommand::Show { name }) => Some(name),
        _ => None,
    }
}

/// SET, RESET or SHOW of a setting that no server knows.
pub(super) fn is_of_own_setting(command: &Command) -> bool {
    let name = match command {
        Command::Session(SessionCommand::Set { setting, .. }) => &setting.name,
        Command::Session(SessionCommand::Reset { name, .. } | SessionCommand::Show { name }) => name,
        _ => return false,
    };
    name.starts_with("shardway.")
}

/// A server would take such a setting, and nothing would come of it.
pub(super) fn set_by_call(template: &Template, changes: &[(usize, Change)]) -> Option<ClientError> {
    let is_call = |at: &usize| {
        let statement = template.statements.get(*at);
        statement.is_some_and(|statement| matches!(statement.command, Command::Ordinary(_)))
    };
    changes.iter().find_map(|(at, change)| match change {
        Change::Set { name, .. } if name.starts_with("shardway.") && is_call(at) => {
            let error =
                ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("set_config() of {name} is not supported"));
            Some(
                error
                    .detail("A server would take it, but Shardway wouldn't go by it.")
                    .hint(format!("Use SET {name}.")),
            )
        }
        _ => None,
    })
}

pub(super) fn unknown_own(name: &str) -> ClientError {
    let text = format!("unrecognized configuration parameter \"{name}\"");
    ClientError::new(SqlState::UNDEFINED_OBJECT, text).hint(
        "Shardway has shardway.key, shardway.shard, shardway.consistency, shardway.read, shardway.max_staleness and shardway.token.",
    )
}

impl Session {
    /// Commands that no server is asked: those on settings that only Shardway has, transaction commands where
    /// it keeps the block, and DEALLOCATE of a statement that it keeps for the client.
    pub(super) fn is_own_command(&self, command: &Command) -> bool {
        match command {
            Command::Transaction(command) => self.keeps_block(command),
            Command::Session(
                SessionCommand::Deallocate { name: Some(name) }
                | SessionCommand::Prepare { name }
                | SessionCommand::Execute { name },
            ) => self.keeps(name),
            command => is_of_own_setting(command),
        }
    }

    /// Answers such a command, but for transaction commands; up to but without ReadyForQuery.
    pub(super) fn answer_own(&mut self, command: &Command, changes: &[Change], describes: bool) {
        let Command::Session(command) = command else { return };
        if self.transaction.is_failed() {
            self.say_error(&super::block::aborted());
            return;
        }
        match command {
            SessionCommand::Set { local, setting } => {
                let value = changes.iter().find_map(|change| match change {
                    Change::Set { value: Some(SettingValue::List(values)), .. } => values.first().cloned(),
                    _ => None,
                });
                self.set_own(&setting.name, value.as_deref().unwrap_or_default(), *local);
            }
            SessionCommand::Reset { name, .. } => {
                self.reset_own(Some(name));
                backend::command_complete(&mut self.client.outbound, "RESET");
            }
            SessionCommand::Deallocate { name: Some(name) } => {
                if self.statements.remove(name.as_bytes()).is_none() {
                    return self.say_error(&super::sql_prepared::missing(name));
                }
                backend::command_complete(&mut self.client.outbound, "DEALLOCATE");
            }
            SessionCommand::Show { name } => {
                let value = match (&self.hint, name.as_str()) {
                    (Some(Hint::Key(key)), "shardway.key") => key.clone(),
                    (Some(Hint::Shard(shard)), "shardway.shard") => shard.clone(),
                    (_, "shardway.key" | "shardway.shard") => String::new(),
                    (_, "shardway.consistency") if self.reads_atomic => "atomic".to_owned(),
                    (_, "shardway.consistency") => "default".to_owned(),
                    _ => match self.freshness.show(name, &self.database.config) {
                        Some(Ok(value)) => value,
                        Some(Err(error)) => return self.say_error(&error),
                        None => return self.say_error(&unknown_own(name)),
                    },
                };
                if describes {
                    backend::text_columns(&mut self.client.outbound, &[name]);
                }
                backend::text_row(&mut self.client.outbound, &[Some(&value)]);
                backend::command_complete(&mut self.client.outbound, "SHOW");
            }
            _ => {}
        }
    }

    fn set_own(&mut self, name: &str, value: &str, local: bool) {
        let before = self.own_settings();
        let mut now = before.clone();
        let set = match name {
            "shardway.token" => self.freshness.set_token(value, &self.database.config),
            name => now.set(name, value, &self.database.config),
        };
        if let Err(error) = set {
            return self.say_error(&error);
        }
        if local && !self.state.in_block() {
            // PostgreSQL says the same.
            self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "SET LOCAL can only be used in transaction blocks");
        }
        self.adopt_own(now);
        self.note_own(name, before, local);
        backend::command_complete(&mut self.client.outbound, "SET");
    }

    /// What a listening client's connection heard while it did something else.
    pub(super) fn tell_heard(&mut self) {
        if self.state.pins.listens
            && let Some(lease) = self.transaction.lease_mut(self.database.config.home)
        {
            self.client.outbound.extend_from_slice(&lease.take_heard());
        }
    }

    /// Waits for the client or for news on its pinned connection. True: the client may have sent something.
    pub(super) async fn await_client_or_news(&mut self, changed: impl Future<Output = ()>) -> Result<bool, SessionEnd> {
        self.tell_heard();
        if !self.client.outbound.is_empty() {
            self.client.flush().await.map_err(SessionEnd::Lost)?;
        }
        let mut changed = std::pin::pin!(changed);
        let home = self.database.config.home;
        let Some(lease) = self.transaction.lease_mut(home) else { return Ok(true) };
        enum Event {
            Client(std::io::Result<()>),
            Server(std::io::Result<usize>),
            Changed,
        }
        let (client, cancel, resting) = (&mut self.client, &self.cancel, &mut self.resting);
        let event = poll_fn(|cx| {
            if !resting.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                cancel.rest(cx.waker());
                *resting = Some(cx.waker().clone());
            }
            if cancel.is_ending() {
                return Poll::Ready(Event::Changed);
            }
            if let Poll::Ready(ready) = client.stream.poll_read_ready(cx) {
                return Poll::Ready(Event::Client(ready));
            }
            if let Poll::Ready(read) = lease.framed.poll_fill(cx) {
                return Poll::Ready(Event::Server(read));
            }
            changed.as_mut().poll(cx).map(|()| Event::Changed)
        })
        .await;
        match event {
            Event::Client(ready) => ready.map(|()| true).map_err(SessionEnd::Lost),
            Event::Changed => Ok(false),
            Event::Server(Ok(read)) if read > 0 => {
                while let Ok(Some(header)) = frame::peek(&lease.framed.inbound, FRAME_BYTES_MAX + 1) {
                    let node = std::sync::Arc::clone(&lease.node);
                    let Some(frame) = lease.framed.inbound.get_mut(..header.len) else { break };
                    if header.tag == tag::NOTIFICATION {
                        rename_sender(frame, |sender| node.client_of(sender));
                    }
                    self.client.outbound.extend_from_slice(frame);
                    lease.framed.inbound.advance(header.len);
                }
                self.client.flush().await.map_err(SessionEnd::Lost)?;
                Ok(false)
            }
            Event::Server(_) => {
                lease.condition = crate::pool::Condition::Broken;
                Err(SessionEnd::Told(ClientError::new(
                    SqlState::CONNECTION_FAILURE,
                    "the server connection that this client listens on was lost",
                )))
            }
        }
    }
}
