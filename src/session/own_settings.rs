//! The settings that only Shardway has, through transactions and savepoints: undone with them, and local to them, as
//! PostgreSQL's own are (documentation, SET). In: what is set, and the transaction commands that completed. Out: what
//! holds from then on. It deliberately doesn't know what the settings mean.

use std::time::Duration;

use super::turn::Session;
use crate::config::{DatabaseConfig, ReadPolicy, parse_duration};
use crate::planning::Hint;
use crate::sql::command::TransactionCommand;
use crate::types::limits::TIMEOUT_MAX;
use crate::types::{ClientError, SqlState};

/// All of them but the token, which only ever grows.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct OwnSettings {
    /// `shardway.key` and `shardway.shard`: one takes the other's place.
    pub hint: Option<Hint>,
    pub reads_atomic: bool,
    pub reads: Option<ReadPolicy>,
    pub staleness_max: Option<Duration>,
}

/// A setting's value is none that it can have.
pub(super) fn invalid(name: &str, value: &str, hint: impl Into<String>) -> ClientError {
    let text = format!("invalid value for parameter \"{name}\": \"{value}\"");
    ClientError::new(SqlState::INVALID_PARAMETER_VALUE, text).hint(hint)
}

impl OwnSettings {
    /// Sets one of them; an empty value takes it back.
    ///
    /// # Errors
    /// There is no such setting, or it can't have this value.
    pub fn set(&mut self, name: &str, value: &str, config: &DatabaseConfig) -> Result<(), ClientError> {
        let wrong = |hint: &str| Err(invalid(name, value, hint));
        match name {
            "shardway.key" => self.hint = (!value.is_empty()).then(|| Hint::Key(value.to_owned())),
            "shardway.shard" if value.is_empty() => self.hint = None,
            "shardway.shard" if config.shard_by_name(value).is_none() => {
                let names: Vec<&str> = config.shards.iter().map(|shard| shard.name.as_str()).collect();
                return wrong(&format!("The shards of this database are: {}.", names.join(", ")));
            }
            "shardway.shard" => self.hint = Some(Hint::Shard(value.to_owned())),
            "shardway.consistency" => {
                self.reads_atomic = match value.to_ascii_lowercase().as_str() {
                    "atomic" => true,
                    "" | "default" => false,
                    _ => return wrong("It is 'atomic' or 'default'."),
                }
            }
            "shardway.read" if value.is_empty() => self.reads = None,
            "shardway.read" => match ReadPolicy::of_session(value) {
                Some(policy) => self.reads = Some(policy),
                None => return wrong("Available values: primary, replica, any."),
            },
            "shardway.max_staleness" => match (value, parse_duration(value)) {
                ("" | "off" | "0", _) => self.staleness_max = None,
                (_, Some(limit)) if limit <= TIMEOUT_MAX => self.staleness_max = Some(limit),
                _ => return wrong("Write a whole number and its unit, as in 500ms or 5s, or off."),
            },
            _ => return Err(super::own::unknown_own(name)),
        }
        Ok(())
    }

    /// Takes one of them from others.
    fn take(&mut self, name: &str, from: &Self) {
        match name {
            "shardway.key" | "shardway.shard" => self.hint.clone_from(&from.hint),
            "shardway.consistency" => self.reads_atomic = from.reads_atomic,
            "shardway.read" => self.reads = from.reads,
            "shardway.max_staleness" => self.staleness_max = from.staleness_max,
            _ => {}
        }
    }
}

/// What a block has changed of them; nothing is kept for blocks that change none.
#[derive(Debug)]
struct Block {
    at_begin: OwnSettings,
    /// Without those that SET LOCAL changed.
    kept: OwnSettings,
    savepoints: Vec<Savepoint>,
}

/// Of those made since the first change.
#[derive(Debug)]
struct Savepoint {
    name: String,
    now: OwnSettings,
    kept: OwnSettings,
}

#[derive(Default, Debug)]
pub(super) struct OwnHistory {
    /// What RESET returns to: the start-up packet's.
    baseline: OwnSettings,
    block: Option<Block>,
}

impl OwnHistory {
    pub fn of(baseline: OwnSettings) -> Self {
        Self { baseline, block: None }
    }

    /// One of them was changed within a block.
    fn note(&mut self, name: &str, before: OwnSettings, now: &OwnSettings, local: bool) {
        let block =
            self.block.get_or_insert_with(|| Block { at_begin: before.clone(), kept: before, savepoints: Vec::new() });
        if !local {
            block.kept.take(name, now);
        }
    }

    /// What holds after a transaction command, if it may be something else than `now`.
    fn follow(&mut self, command: &TransactionCommand, now: impl Fn() -> OwnSettings) -> Option<OwnSettings> {
        match command {
            TransactionCommand::Commit { .. } => self.block.take().map(|block| block.kept),
            TransactionCommand::Rollback { .. } => self.block.take().map(|block| block.at_begin),
            TransactionCommand::Savepoint(name) => {
                let block = self.block.as_mut()?;
                let kept = block.kept.clone();
                block.savepoints.push(Savepoint { name: name.clone(), now: now(), kept });
                None
            }
            TransactionCommand::Release(name) => {
                let savepoints = &mut self.block.as_mut()?.savepoints;
                let position = savepoints.iter().rposition(|savepoint| savepoint.name == *name)?;
                savepoints.truncate(position);
                None
            }
            TransactionCommand::RollbackTo(name) => {
                let block = self.block.as_mut()?;
                let position = block.savepoints.iter().rposition(|savepoint| savepoint.name == *name);
                block.savepoints.truncate(position.map_or(0, |position| position + 1));
                match block.savepoints.last() {
                    Some(savepoint) => {
                        block.kept = savepoint.kept.clone();
                        Some(savepoint.now.clone())
                    }
                    // It was made before the first change.
                    None => self.block.take().map(|block| block.at_begin),
                }
            }
            TransactionCommand::Begin | TransactionCommand::SetTransaction | TransactionCommand::TwoPhase => None,
        }
    }
}

impl Session {
    pub(super) fn own_settings(&self) -> OwnSettings {
        OwnSettings {
            hint: self.hint.clone(),
            reads_atomic: self.reads_atomic,
            reads: self.freshness.reads,
            staleness_max: self.freshness.staleness_max,
        }
    }

    pub(super) fn adopt_own(&mut self, settings: OwnSettings) {
        let OwnSettings { hint, reads_atomic, reads, staleness_max } = settings;
        self.hint = hint;
        self.freshness.reads = reads;
        self.freshness.staleness_max = staleness_max;
        if std::mem::replace(&mut self.reads_atomic, reads_atomic) != reads_atomic {
            self.refresh_names();
        }
    }

    /// After one of them was set: `before` is what held until then.
    pub(super) fn note_own(&mut self, name: &str, before: OwnSettings, local: bool) {
        if self.state.in_block() {
            let now = self.own_settings();
            self.own_history.note(name, before, &now, local);
        } else if local {
            self.adopt_own(before);
        }
    }

    /// One of them, or all, as the session began.
    pub(super) fn reset_own(&mut self, name: Option<&str>) {
        const ALL: [&str; 5] =
            ["shardway.key", "shardway.shard", "shardway.consistency", "shardway.read", "shardway.max_staleness"];
        for known in ALL.into_iter().filter(|known| name.is_none_or(|name| name == *known)) {
            let before = self.own_settings();
            let mut now = before.clone();
            now.take(known, &self.own_history.baseline);
            if now != before {
                self.adopt_own(now);
                self.note_own(known, before, false);
            }
        }
    }

    /// Called for each transaction command that completed.
    pub(super) fn follow_own(&mut self, command: &TransactionCommand) {
        let mut history = std::mem::take(&mut self.own_history);
        let holds = history.follow(command, || self.own_settings());
        self.own_history = history;
        if let Some(holds) = holds {
            self.adopt_own(holds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history and what holds, for key hints.
    #[derive(Default)]
    struct Told(OwnHistory, OwnSettings);

    impl Told {
        fn set(&mut self, key: &str, local: bool) {
            let before = self.1.clone();
            self.1.hint = Some(Hint::Key(key.to_owned()));
            self.0.note("shardway.key", before, &self.1, local);
        }

        fn says(&mut self, command: TransactionCommand) {
            let now = self.1.clone();
            if let Some(holds) = self.0.follow(&command, || now.clone()) {
                self.1 = holds;
            }
        }

        fn key(&self) -> &str {
            match &self.1.hint {
                Some(Hint::Key(key)) => key,
                _ => "",
            }
        }
    }

    #[test]
    fn what_is_local_ends_with_its_block() {
        let mut told = Told::default();
        told.set("1", true);
        told.says(TransactionCommand::Commit { chain: false });
        assert_eq!(told.key(), "");
        told.set("1", false);
        told.set("2", true);
        told.says(TransactionCommand::Commit { chain: false });
        assert_eq!(told.key(), "1");
    }

    #[test]
    fn rollbacks_undo() {
        let mut told = Told::default();
        told.says(TransactionCommand::Savepoint("a".to_owned()));
        told.set("1", false);
        told.says(TransactionCommand::Savepoint("b".to_owned()));
        told.set("2", false);
        told.says(TransactionCommand::RollbackTo("b".to_owned()));
        assert_eq!(told.key(), "1");
        told.says(TransactionCommand::RollbackTo("a".to_owned()));
        assert_eq!(told.key(), "");
        told.set("3", false);
        told.says(TransactionCommand::Rollback { chain: true });
        assert_eq!(told.key(), "");
        told.set("4", false);
        told.says(TransactionCommand::Commit { chain: false });
        assert_eq!(told.key(), "4");
    }
}
