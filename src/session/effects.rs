//! What a statement changes in the session once it has completed. Worked out before it is sent, while
//! its text and parameters are at hand; applied when its CommandComplete has come.

use super::turn::{Cursor, Session};
use crate::planning::template::{Argument, ParameterValue, Parameters};
use crate::planning::{StatementTemplate, Template};
use crate::pool::settings::set_config;
use crate::pool::{Condition, SettingValue, Settings};
use crate::sql::command::{SessionCommand, TransactionCommand};
use crate::sql::lexer::{LexOptions, TokenKind, Tokens, fold_identifier, literal_text};
use crate::sql::{Command, Lexed, Literal};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    Transaction(TransactionCommand),
    /// `None`: the value can't be sent again, so the connection is kept.
    Set {
        local: bool,
        name: String,
        value: Option<SettingValue>,
    },
    Reset {
        local: bool,
        name: String,
    },
    ResetAll,
    DiscardAll,
    Listen,
    UnlistenAll,
    Temporary,
    DiscardTemporary,
    DiscardSequences,
    AdvisoryLock,
    AdvisoryUnlockAll,
    Declare {
        name: String,
        hold: bool,
    },
    /// `None`: all.
    CloseCursor(Option<String>),
    SqlPrepare,
    DeallocateAll,
    Unknown,
    Load,
    /// A shard that joins the block later must be told this.
    Note {
        command: Command,
        sql: String,
    },
    /// It should be told that as well, but can't.
    Opaque,
}

impl Change {
    /// Returns settings to what they were at login, which on a server isn't what this client began with.
    pub fn resets(&self) -> bool {
        matches!(self, Self::ResetAll | Self::DiscardAll | Self::Reset { .. })
    }

    pub fn commits(&self) -> bool {
        matches!(self, Self::Transaction(TransactionCommand::Commit { .. }))
    }

    pub fn ends_block(&self) -> bool {
        self.commits() || matches!(self, Self::Transaction(TransactionCommand::Rollback { .. }))
    }
}

/// Nothing to work out: ordinary statements that leave nothing behind.
pub fn is_quiet(template: &Template) -> bool {
    template.statements.iter().all(|statement| {
        let effects = &statement.effects;
        matches!(statement.command, Command::Ordinary(_) | Command::Empty)
            && effects.settings.is_empty()
            && !(effects.takes_advisory_lock
                || effects.releases_advisory_locks
                || effects.creates_temporary
                || effects.unknown)
    })
}

/// The changes of each statement, by its position. Empty, and free, for ordinary statements.
pub fn changes(
    sql: &[u8],
    lexed: &Lexed,
    template: &Template,
    parameters: Option<Parameters<'_>>,
    options: &LexOptions,
) -> Vec<(usize, Change)> {
    let mut all = Vec::new();
    for (position, statement) in template.statements.iter().enumerate() {
        let Some(span) = lexed.statements.get(position) else { continue };
        of_command(sql.get(span.clone()).unwrap_or_default(), &statement.command, options, &mut |change| {
            all.push((position, change));
        });
        of_effects(sql, lexed, statement, parameters, &mut |change| all.push((position, change)));
    }
    all
}

fn of_command(text: &[u8], command: &Command, options: &LexOptions, push: &mut dyn FnMut(Change)) {
    if super::block::holds_for_block(command) {
        push(Change::Note { command: command.clone(), sql: String::from_utf8_lossy(text).into_owned() });
    }
    let session = match command {
        Command::Transaction(command) => return push(Change::Transaction(command.clone())),
        Command::Session(session) => session,
        Command::Ordinary(_) | Command::Empty => return,
    };
    match session {
        SessionCommand::Set { setting, .. } if setting.name == "session characteristics" => {
            for (name, value) in characteristics(text, options) {
                push(Change::Set { local: false, name, value: Some(SettingValue::Text(value)) });
            }
        }
        SessionCommand::Set { local, setting } => {
            let value = setting_value(text, options, setting.value_after_tokens).map(SettingValue::List);
            push(Change::Set { local: *local, name: setting.name.clone(), value });
        }
        SessionCommand::Reset { local, name } => push(Change::Reset { local: *local, name: name.clone() }),
        SessionCommand::ResetAll => push(Change::ResetAll),
        SessionCommand::DiscardAll => push(Change::DiscardAll),
        SessionCommand::DiscardTemp => push(Change::DiscardTemporary),
        SessionCommand::DiscardSequences => push(Change::DiscardSequences),
        SessionCommand::Prepare { .. } => push(Change::SqlPrepare),
        SessionCommand::Deallocate { name: None } => push(Change::DeallocateAll),
        // Where a server has it, it may have been the last one there.
        SessionCommand::Deallocate { name: Some(_) } => push(Change::Unknown),
        SessionCommand::Declare { name, hold } => push(Change::Declare { name: name.clone(), hold: *hold }),
        SessionCommand::CloseCursor { name } => push(Change::CloseCursor(name.clone())),
        SessionCommand::Listen => push(Change::Listen),
        SessionCommand::Unlisten { all: true } => push(Change::UnlistenAll),
        SessionCommand::Load => push(Change::Load),
        SessionCommand::Show { .. }
        | SessionCommand::ShowAll
        | SessionCommand::DiscardPlans
        | SessionCommand::Execute { .. }
        | SessionCommand::Fetch { .. }
        | SessionCommand::Unlisten { .. }
        | SessionCommand::Notify => {}
    }
}

fn of_effects(
    sql: &[u8],
    lexed: &Lexed,
    statement: &StatementTemplate,
    parameters: Option<Parameters<'_>>,
    push: &mut dyn FnMut(Change),
) {
    let effects = &statement.effects;
    for call in &effects.settings {
        let argument = |argument| argument_text(argument, sql, lexed, parameters);
        let local = match argument(&call.is_local).as_deref() {
            Some("t" | "true" | "on" | "1") => Some(true),
            Some("f" | "false" | "off" | "0") => Some(false),
            _ => None,
        };
        match (argument(&call.name), argument(&call.value), local) {
            (Some(name), value, Some(local)) => {
                match &value {
                    Some(value) => {
                        let sql = set_config(&name, value, local);
                        push(Change::Note { command: Command::Empty, sql });
                    }
                    None => push(Change::Opaque),
                }
                push(Change::Set { local, name: name.to_ascii_lowercase(), value: value.map(SettingValue::Text) });
            }
            _ => {
                push(Change::Opaque);
                push(Change::Unknown);
            }
        }
    }
    if effects.takes_advisory_lock {
        push(Change::AdvisoryLock);
    }
    if effects.releases_advisory_locks {
        push(Change::AdvisoryUnlockAll);
    }
    if effects.creates_temporary {
        push(Change::Temporary);
    }
    if effects.unknown {
        push(Change::Unknown);
    }
}

fn argument_text(argument: &Argument, sql: &[u8], lexed: &Lexed, parameters: Option<Parameters<'_>>) -> Option<String> {
    match argument {
        Argument::Literal(position) => {
            let literal: &Literal = lexed.literals.get(*position)?;
            literal_text(sql, literal).map(|text| text.into_owned())
        }
        Argument::Parameter(position) => match parameters?.values.get(usize::from(*position))? {
            ParameterValue::Text(text) => std::str::from_utf8(text).ok().map(str::to_owned),
            // A boolean in binary is one byte; a text is its bytes.
            ParameterValue::Binary([0]) => Some("f".to_owned()),
            ParameterValue::Binary([1]) => Some("t".to_owned()),
            ParameterValue::Binary(bytes) => std::str::from_utf8(bytes).ok().map(str::to_owned),
            ParameterValue::Null => None,
        },
        Argument::True => Some("t".to_owned()),
        Argument::False => Some("f".to_owned()),
        Argument::Null => None,
    }
}

/// SET SESSION CHARACTERISTICS AS TRANSACTION is a way to write the settings default_transaction_*
/// (PostgreSQL documentation, SET TRANSACTION).
fn characteristics(text: &[u8], options: &LexOptions) -> Vec<(String, String)> {
    let words: Vec<String> = Tokens::new(text, options)
        .filter(|token| token.kind == TokenKind::Word)
        .filter_map(|token| text.get(token.span).map(fold_identifier))
        .collect();
    let mut all = Vec::new();
    let mut set = |name: &str, value: &str| all.push((format!("default_transaction_{name}"), value.to_owned()));
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| words.get(at)).map_or("", String::as_str);
        match (before, word.as_str()) {
            ("read", "only") => set("read_only", "on"),
            ("read", "write") => set("read_only", "off"),
            ("not", "deferrable") => set("deferrable", "off"),
            (_, "deferrable") => set("deferrable", "on"),
            ("repeatable", "read") => set("isolation", "repeatable read"),
            ("read", level @ ("committed" | "uncommitted")) => set("isolation", &format!("read {level}")),
            (_, "serializable") => set("isolation", "serializable"),
            _ => {}
        }
    }
    all
}

/// The values of `SET name TO a, 'b', 3`, as PostgreSQL would flatten them; `None` for forms that aren't
/// plain values, as INTERVAL.
fn setting_value(text: &[u8], options: &LexOptions, after_tokens: usize) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut sign = String::new();
    let mut expecting = true;
    for token in Tokens::new(text, options).skip(after_tokens) {
        let bytes = text.get(token.span.clone())?;
        match token.kind {
            TokenKind::Punct(b',') if !expecting => {
                expecting = true;
                continue;
            }
            TokenKind::Operator if expecting && sign.is_empty() && (bytes == b"-" || bytes == b"+") => {
                sign.push_str(std::str::from_utf8(bytes).ok()?);
                continue;
            }
            TokenKind::Word if expecting && sign.is_empty() => {
                let word = fold_identifier(bytes);
                if matches!(word.as_str(), "default" | "interval") {
                    return None;
                }
                values.push(word);
            }
            TokenKind::QuotedIdent if expecting && sign.is_empty() => values.push(fold_identifier(bytes)),
            TokenKind::Literal(kind) if expecting => {
                let value = match kind {
                    crate::sql::LiteralKind::Integer | crate::sql::LiteralKind::Decimal => {
                        std::str::from_utf8(bytes).ok()?.to_owned()
                    }
                    _ if sign.is_empty() => {
                        literal_text(text, &Literal { span: token.span.clone(), kind })?.into_owned()
                    }
                    _ => return None,
                };
                values.push(format!("{}{value}", sign.trim_start_matches('+')));
                sign.clear();
            }
            _ => return None,
        }
        expecting = false;
    }
    (!values.is_empty() && !expecting).then_some(values)
}

impl Session {
    /// Applies what has completed, in order.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Transaction(command) => self.apply_transaction(&command),
            Change::Note { command, sql } => self.note_in_journal(&command, &sql),
            Change::Opaque => self.transaction.make_opaque(self.acting),
            Change::Set { local: true, name, value } if name == "search_path" => self.state.set_local_path(value),
            Change::Set { local: true, .. } | Change::Reset { local: true, .. } => {}
            Change::Set { name, value: Some(value), .. } => {
                self.change_settings(|settings| settings.with(&name, value.clone()))
            }
            Change::Set { value: None, .. } | Change::Unknown => self.state.pins.unknown = true,
            Change::Load => self.state.pins.loaded = true,
            Change::Reset { name, .. } => {
                self.change_backends(|settings| settings.without(&name));
                let settings = self.state.settings();
                let settings = match self.state.baseline().get(&name) {
                    Some(value) => settings.with(&name, value.clone()),
                    None => settings.without(&name),
                };
                self.state.set(settings);
            }
            Change::ResetAll => {
                self.reset_own(None);
                self.reset_all();
            }
            Change::DiscardAll => {
                self.reset_own(None);
                self.change_backends(|_| Settings::none());
                let baseline = self.state.baseline().clone();
                self.state.set(baseline);
                self.state.pins = super::state::Pins::default();
                self.cursors.clear();
                self.statements.clear();
                self.forget_sequences();
                let acting = self.acting;
                for held in self.transaction.held_mut() {
                    held.lease.prepared.forget_all();
                    let ran = acting.is_none_or(|acting| acting == held.shard);
                    held.lease.condition = if ran { Condition::Clean } else { Condition::Broken };
                }
            }
            Change::Listen => self.state.pins.listens = true,
            Change::UnlistenAll => self.state.pins.listens = false,
            Change::Temporary => self.state.pins.temporary_objects = true,
            Change::DiscardTemporary => self.state.pins.temporary_objects = false,
            Change::DiscardSequences => self.forget_sequences(),
            Change::AdvisoryLock => self.state.pins.advisory_locks = true,
            Change::AdvisoryUnlockAll => self.state.pins.advisory_locks = false,
            Change::Declare { name, hold } => {
                let acting = self.acting.filter(|shard| shard.is_scratch());
                if let Some(shard) = self.acting.or(self.transaction.held().last().map(|held| held.shard)) {
                    let number = self.state.declare();
                    self.cursors.insert(name.clone(), Cursor { shard, holds: hold, number });
                }
                match acting {
                    Some(scratch) if hold => self.note_declared(scratch, &name),
                    _ => self.state.pins.held_cursors |= hold,
                }
            }
            Change::CloseCursor(None) => {
                self.cursors.clear();
                self.state.pins.held_cursors = false;
            }
            Change::CloseCursor(Some(name)) => {
                let layer = self.cursors.remove(&name).and_then(|cursor| {
                    self.transaction.apart_of(cursor.shard).and_then(|apart| apart.layer_mut(cursor.shard))
                });
                if let Some(layer) = layer {
                    layer.cursor = None;
                }
                self.state.pins.held_cursors &= self.cursors.values().any(|cursor| !cursor.shard.is_scratch());
            }
            Change::SqlPrepare => self.state.pins.sql_prepared = true,
            Change::DeallocateAll => {
                self.state.pins.sql_prepared = false;
                self.statements.clear();
                for held in self.transaction.held_mut() {
                    held.lease.prepared.forget_all();
                }
            }
        }
    }

    fn apply_transaction(&mut self, command: &TransactionCommand) {
        self.follow_own(command);
        match command {
            TransactionCommand::Begin => self.state.begin(),
            TransactionCommand::Commit { chain } => {
                self.end_cursors(true);
                self.state.commit(*chain);
                self.transaction.end_declared(true);
                for held in self.transaction.held_mut() {
                    held.lease.settings_at_join = held.lease.settings.clone();
                }
            }
            TransactionCommand::Rollback { chain } => {
                self.end_cursors(false);
                self.state.rollback(*chain);
                self.transaction.end_declared(false);
                for held in self.transaction.held_mut() {
                    held.lease.settings = held.lease.settings_at_join.clone();
                }
            }
            TransactionCommand::Savepoint(name) => self.state.savepoint(name),
            TransactionCommand::Release(name) => self.state.release(name),
            TransactionCommand::RollbackTo(name) => {
                // Shards that joined later were told of the savepoint, and of what was set before it.
                self.state.rollback_to(name);
                self.drop_since_savepoint();
                let settings = self.state.settings().clone();
                for held in self.transaction.held_mut() {
                    held.lease.settings = settings.clone();
                }
            }
            TransactionCommand::SetTransaction | TransactionCommand::TwoPhase => {}
        }
    }

    /// The client's settings and those of the connections that ran the statement.
    fn change_settings(&mut self, change: impl Fn(&Settings) -> Settings) {
        self.state.set(change(self.state.settings()));
        self.change_backends(change);
    }

    fn change_backends(&mut self, change: impl Fn(&Settings) -> Settings) {
        let acting = self.acting;
        for held in self.transaction.held_mut() {
            if acting.is_none_or(|acting| acting == held.shard) {
                held.lease.settings = change(&held.lease.settings);
            }
        }
    }

    fn reset_all(&mut self) {
        // RESET ALL leaves the identity as it is (PostgreSQL documentation, RESET).
        let identity = |from: &Settings, to: Settings| {
            ["session_authorization", "role"]
                .into_iter()
                .filter_map(|name| from.get(name).map(|value| (name, value)))
                .fold(to, |to, (name, value)| to.with(name, value.clone()))
        };
        self.change_backends(|settings| identity(settings, Settings::none()));
        let settings = identity(self.state.settings(), self.state.baseline().clone());
        self.state.set(settings);
    }
}
