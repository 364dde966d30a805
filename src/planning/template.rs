//! What is known of all statements of one shape. Cached by fingerprint, shared by all sessions. In: a
//! text that is new. Out: a [`Template`], from which each call's [`Plan`] follows by its values alone.

use std::sync::{Arc, OnceLock};

use super::bind;
use super::build;
use super::evaluate::Claimed;
use super::ids::Filling;
use super::plan::{Access, Plan, Refusal};
use super::route::Routed;
use super::scene::{Hint, Names, Scene};
use super::stamps::Stamps;
use crate::observe::{Kind, Statement};
use crate::routing::{ShardMap, Unique};
use crate::sql::command::{CopyDirection, SessionCommand, Verb};
use crate::sql::{Command, Lexed, readable};

/// One Query or Parse text: usually one statement, sometimes several.
#[derive(Debug)]
pub struct Template {
    pub statements: Box<[StatementTemplate]>,
    pub(super) normalized: Box<[u8]>,
    /// Literals without which this would be another template: their positions and texts.
    pub(super) shaping: Box<[(usize, Box<[u8]>)]>,
    /// One for each statement, none where the database has one shard.
    pub(super) routes: Box<[Routed]>,
    /// Why these statements can't be sent together.
    pub(super) batch: Option<Refusal>,
    /// How often each parameter occurs, by its number from 0.
    pub(super) occurrences: Box<[u32]>,
    /// What has to be put into the text first: this template then only says so, and the text with its values is
    /// planned by one of its own.
    pub filling: Option<Filling>,
    /// It names a relation that the catalog doesn't have: somebody may have made it since.
    pub misses: bool,
    /// It is about a process id that a client was told.
    pub asks_process: bool,
    /// On one shard: it may meet statements of PREPARE where only a server can show them.
    pub meets_prepared: bool,
    /// It names the list of the statements that its connection has prepared.
    pub lists_prepared: bool,
    /// Where it asks for the time of its transaction.
    pub stamps: Option<Stamps>,
    pub(super) map: Arc<ShardMap>,
    /// Where calls of this shape are counted; set by whoever keeps the template.
    pub observed: OnceLock<Arc<Statement>>,
}

#[derive(Debug)]
pub struct StatementTemplate {
    pub command: Command,
    /// `Read`: a replica may run it.
    pub access: Access,
    pub effects: Effects,
}

/// What a statement may leave behind on the connection that ran it, beyond its `command`.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Effects {
    /// Calls of set_config whose arguments can be followed.
    pub settings: Vec<SetConfig>,
    /// Takes a session-level advisory lock.
    pub takes_advisory_lock: bool,
    pub releases_advisory_locks: bool,
    /// Creates a temporary table, view or sequence.
    pub creates_temporary: bool,
    /// DO, CALL, user-defined functions that aren't immutable, set_config that can't be followed:
    /// the connection must be looked at before another client gets it.
    pub unknown: bool,
    /// Would do or say something else on a replica, without an error: must run on the primary even in a
    /// read-only transaction.
    pub needs_primary: bool,
    /// Contains nextval or setval: fills lastval and currval.
    pub uses_sequence: bool,
    /// Contains setval.
    pub sets_sequence: bool,
    /// Contains currval or lastval: reads what the session's last use of a sequence has left on its connection.
    pub reads_sequence: bool,
    /// DROP DATABASE and the like.
    pub ends_database: bool,
    /// Defines what will read it.
    pub defines_reader: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetConfig {
    pub name: Argument,
    pub value: Argument,
    pub is_local: Argument,
}

/// An argument that is known when the call is bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Argument {
    /// Position in [`Lexed::literals`].
    Literal(usize),
    /// `$n`, counted from 0.
    Parameter(u16),
    True,
    False,
    Null,
}

/// The parameters of one Bind, borrowed from its frame.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    /// OIDs as declared in Parse or reported by a server's ParameterDescription; 0: not known.
    pub types: &'a [u32],
    /// True: the types come from a server and are certain.
    pub types_are_certain: bool,
    pub values: &'a [ParameterValue<'a>],
}

#[derive(Clone, Copy, Debug)]
pub enum ParameterValue<'a> {
    Null,
    Text(&'a [u8]),
    Binary(&'a [u8]),
}

impl Template {
    /// Builds the template of a text. What can't be planned is refused by [`Template::bind`], not here.
    ///
    /// Recurses as deep as the statement is nested, and once for each operator chained: call it on a
    /// thread with [`crate::types::limits::PARSER_STACK_BYTES`] of stack.
    pub fn build(sql: &[u8], lexed: &Lexed, scene: &Scene, names: &Names) -> Self {
        build::build(sql, lexed, scene, names)
    }

    /// The plan of this call. `sql` is the text that `lexed` was made from.
    ///
    /// # Errors
    /// A [`Refusal`] when no plan gives the answer that one PostgreSQL would give.
    pub fn bind(&self, sql: &[u8], lexed: &Lexed, parameters: Option<Parameters<'_>>) -> Result<Plan, Refusal> {
        self.bind_hinted(sql, lexed, parameters, None)
    }

    /// As [`Template::bind`], with what the session was told by SET shardway.key or shardway.shard. A hint
    /// in the text goes before it.
    ///
    /// # Errors
    /// A [`Refusal`] when no plan gives the answer that one PostgreSQL would give.
    pub fn bind_hinted(
        &self,
        sql: &[u8],
        lexed: &Lexed,
        parameters: Option<Parameters<'_>>,
        session_hint: Option<&Hint>,
    ) -> Result<Plan, Refusal> {
        bind::bind(self, sql, lexed, parameters, session_hint, &Claimed::default())
    }

    /// As [`Template::bind_hinted`], with what was looked up.
    ///
    /// # Errors
    /// A [`Refusal`] when no plan gives the answer that one PostgreSQL would give.
    pub fn bind_claimed(
        &self,
        sql: &[u8],
        lexed: &Lexed,
        parameters: Option<Parameters<'_>>,
        session_hint: Option<&Hint>,
        claimed: &Claimed,
    ) -> Result<Plan, Refusal> {
        bind::bind(self, sql, lexed, parameters, session_hint, claimed)
    }

    /// Its plan if a new row's columns that are left to the time of the transaction are given it, on whichever shard the
    /// row is; `None`: it leaves none, or isn't of this kind.
    pub fn bind_timed(&self, sql: &[u8], lexed: &Lexed, parameters: Option<Parameters<'_>>) -> Option<Plan> {
        bind::timed(self, sql, lexed, parameters)
    }

    /// If rows of it can be looked up by what is unique.
    pub fn has_lookups(&self) -> bool {
        matches!(&*self.routes, [routed] if !routed.lookups.is_empty())
    }

    /// What would have to be looked up: for each its values, `Some(None)` where one of them is NULL, `None` where they
    /// aren't known.
    pub fn lookups(&self, sql: &[u8], lexed: &Lexed, parameters: Option<Parameters<'_>>) -> Vec<bind::LookedFor> {
        bind::lookups(self, sql, lexed, parameters)
    }

    /// What is kept unique over all shards and may be changed by a statement.
    pub fn watched(&self) -> impl Iterator<Item = &Arc<Unique>> {
        self.routes.iter().flat_map(|routed| &routed.watched)
    }

    /// If a statement may change what is kept unique over all shards though nothing of it says so: functions do what they
    /// like, and definitions empty tables.
    pub fn may_leave_notes(&self) -> bool {
        let known = |statement: &StatementTemplate| {
            use Verb::{Copy, Delete, Insert, Merge, Select, Update};
            statement.access == Access::Read
                || !statement.effects.unknown
                    && match &statement.command {
                        Command::Ordinary(verb) => matches!(verb, Select | Insert | Update | Delete | Merge | Copy(_)),
                        Command::Session(SessionCommand::Execute { .. }) => false,
                        Command::Session(_) | Command::Transaction(_) | Command::Empty => true,
                    }
        };
        !self.map.uniques().is_empty() && !self.statements.iter().all(known)
    }

    /// If this is the template of that text: not only of its hash.
    pub fn matches(&self, sql: &[u8], lexed: &Lexed) -> bool {
        let same = |(position, text): &(usize, Box<[u8]>)| {
            let literal = lexed.literals.get(*position);
            literal.and_then(|literal| sql.get(literal.span.clone())) == Some(text)
        };
        *self.normalized == *lexed.normalized && self.shaping.iter().all(same)
    }

    /// If a statement may use a sequence: a default, a trigger or a function of the user's own may call nextval.
    pub fn may_use_sequence(&self) -> bool {
        self.statements.iter().any(|one| {
            one.effects.uses_sequence
                || one.effects.unknown
                || match &one.command {
                    Command::Ordinary(verb) => !matches!(
                        verb,
                        Verb::Select | Verb::Explain { analyze: false } | Verb::Copy(CopyDirection::ToStdout)
                    ),
                    Command::Session(SessionCommand::Execute { .. }) => true,
                    _ => false,
                }
        })
    }

    /// If a statement reads what sequences gave to this session.
    pub fn reads_sequence(&self) -> bool {
        self.statements.iter().any(|one| one.effects.reads_sequence)
    }

    /// If a statement itself names nextval or setval.
    pub fn names_sequence(&self) -> bool {
        self.statements.iter().any(|one| one.effects.uses_sequence)
    }

    /// If every statement may run on a replica.
    pub fn is_read_only(&self) -> bool {
        self.statements.iter().all(|statement| statement.access == Access::Read)
    }

    /// What the statement is, for figures.
    pub fn kind(&self) -> Kind {
        match &*self.statements {
            [] => Kind::Other,
            [only] => match only.command {
                Command::Transaction(_) => Kind::Transaction,
                Command::Session(_) => Kind::Session,
                Command::Ordinary(Verb::Select) => Kind::Select,
                Command::Ordinary(Verb::Insert) => Kind::Insert,
                Command::Ordinary(Verb::Update) => Kind::Update,
                Command::Ordinary(Verb::Delete) => Kind::Delete,
                Command::Ordinary(Verb::Merge) => Kind::Merge,
                Command::Ordinary(Verb::Copy(_)) => Kind::Copy,
                Command::Ordinary(Verb::Ddl) => Kind::Ddl,
                Command::Ordinary(Verb::Explain { .. } | Verb::Procedure | Verb::Other) | Command::Empty => Kind::Other,
            },
            _ => Kind::Several,
        }
    }

    pub fn normalized(&self) -> &[u8] {
        &self.normalized
    }

    /// The text without its values, for people.
    pub fn readable(&self) -> String {
        readable(&self.normalized)
    }
}
