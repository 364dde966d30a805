//! What is known of all statements of one shape. Cached by fingerprint, shared by all sessions.
//! (Interface; under construction.)

use super::plan::{Access, Plan, Refusal};
use crate::sql::{Command, Lexed};

/// One Query or Parse text: usually one statement, sometimes several.
#[derive(Debug)]
pub struct Template {
    pub statements: Box<[StatementTemplate]>,
    // plus, private to planning: the normalized bytes, the literals that shaped it, the routes.
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
    /// Contains nextval or setval: fills lastval and currval.
    pub uses_sequence: bool,
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
    pub fn build(_: &[u8], lexed: &Lexed, scene: &super::Scene, _: &super::Names) -> Self {
        let _ = scene;
        Self { statements: lexed.statements.iter().map(|_| StatementTemplate { command: Command::Ordinary(crate::sql::command::Verb::Other), access: Access::Write, effects: Effects::default() }).collect() }
    }
    pub fn is_quiet(&self) -> bool { true }
    pub fn bind(&self, _sql: &[u8], _lexed: &Lexed, _parameters: Option<Parameters<'_>>, _: Option<&super::Hint>) -> Result<Plan, Refusal> {
        Ok(Plan::Single { shard: crate::types::ShardId::new(0), why: super::plan::Why::OnlyShard })
    }
}
