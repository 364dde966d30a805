//! What a statement may leave behind, and if a replica may run it: from its tokens, because it must
//! be known of statements that can't be parsed and of databases with one shard, where nothing is.

use super::functions::{Class, Functions};
use super::plan::Access;
use super::scene::{Names, Scene};
use super::template::{Argument, Effects, SetConfig};
use crate::sql::command::{CopyDirection, SessionCommand, Verb};
use crate::sql::parse::Piece;
use crate::sql::{Command, TokenKind, fold_identifier};

/// Words before a parenthesis that call no function: syntax, and types with a length.
const SYNTAX: &[&str] = &[
    "all", "and", "any", "array", "as", "asc", "between", "bit", "bpchar", "by", "case", "cast", "char", "character", "check",
    "collate", "columns", "concurrently", "conflict", "cross", "cube", "dec", "decimal", "default", "desc", "distinct", "do", "else",
    "end", "except", "exclude", "exists", "explain", "false", "fetch", "filter", "float", "for", "from", "full", "generated", "group",
    "having", "ilike", "in", "include", "inherits", "inner", "int", "intersect", "interval", "into", "is", "isnull", "join", "key",
    "lateral", "like", "limit", "materialized", "natural", "nchar", "not", "notnull", "null", "numeric", "of", "offset", "on", "only",
    "or", "order", "outer", "over", "partition", "passing", "primary", "range", "references", "returning", "rollup", "row", "rows",
    "select", "set", "sets", "similar", "some", "symmetric", "table", "then", "time", "timestamp", "timestamptz", "timetz", "to",
    "treat", "true", "truncate", "union", "unique", "update", "using", "values", "varchar", "variadic", "varying", "view", "when",
    "where", "window", "with", "within",
];

/// Functions of the grammar that pg_catalog doesn't list under these names.
const GRAMMAR: &[&str] = &["coalesce", "extract", "greatest", "grouping", "least", "nullif", "overlay", "position", "substring", "trim"];

/// A call of a function, found by its parenthesis.
pub struct Called {
    pub schema: Option<String>,
    pub name: String,
    /// The position of the parenthesis.
    pub open: usize,
}

/// The tokens of one statement.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    pub sql: &'a [u8],
    pub pieces: &'a [Piece],
}

impl<'a> Text<'a> {
    pub fn kind(&self, position: usize) -> Option<TokenKind> {
        self.pieces.get(position).map(|piece| piece.token.kind)
    }

    pub fn bytes(&self, position: usize) -> &'a [u8] {
        self.pieces.get(position).and_then(|piece| self.sql.get(piece.token.span.clone())).unwrap_or_default()
    }

    /// If the token is this keyword.
    pub fn is(&self, position: usize, keyword: &str) -> bool {
        self.kind(position) == Some(TokenKind::Word) && self.bytes(position).eq_ignore_ascii_case(keyword.as_bytes())
    }

    pub fn is_any(&self, position: usize, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(position, keyword))
    }

    pub fn punct(&self, position: usize, byte: u8) -> bool {
        self.kind(position) == Some(TokenKind::Punct(byte))
    }

    /// The token as a name, if it is one.
    pub fn name(&self, position: usize) -> Option<String> {
        match self.kind(position)? {
            TokenKind::Word | TokenKind::QuotedIdent | TokenKind::UnicodeIdent => Some(fold_identifier(self.bytes(position))),
            _ => None,
        }
    }

    pub fn from(&self, start: usize) -> Self {
        Self { sql: self.sql, pieces: self.pieces.get(start..).unwrap_or_default() }
    }

    pub fn range(&self, range: std::ops::Range<usize>) -> Self {
        Self { sql: self.sql, pieces: self.pieces.get(range).unwrap_or_default() }
    }

    /// Everything that looks like a call of a function.
    pub fn calls(&self) -> Vec<Called> {
        (1..self.pieces.len()).filter(|open| self.punct(*open, b'(')).filter_map(|open| self.called(open)).collect()
    }

    fn called(&self, open: usize) -> Option<Called> {
        let at = open.checked_sub(1)?;
        let name = self.name(at)?;
        if self.kind(at) == Some(TokenKind::Word) && SYNTAX.contains(&name.as_str()) {
            return None;
        }
        let qualified = at >= 2 && self.punct(at - 1, b'.');
        let schema = if qualified { self.name(at - 2) } else { None };
        let before = if qualified { at.checked_sub(3) } else { at.checked_sub(1) };
        // A table with its columns, or an alias with its own.
        let is_table = before.is_some_and(|before| {
            self.is_any(before, &["into", "as", "table", "references", "index"]) || self.punct(before, b')') || self.is_any(before, &["with", "recursive"])
        });
        (!is_table).then_some(Called { schema, name, open })
    }
}

/// What the statement may leave behind.
pub fn effects(text: Text<'_>, command: &Command, functions: &Functions<'_>) -> Effects {
    let mut effects = Effects {
        creates_temporary: creates_temporary(text, command),
        unknown: matches!(command, Command::Ordinary(Verb::Procedure) | Command::Session(SessionCommand::Execute { .. })),
        ..Effects::default()
    };
    let is_ddl = matches!(command, Command::Ordinary(Verb::Ddl));
    for called in text.calls() {
        match called.name.as_str() {
            "set_config" => match set_config(text, called.open) {
                Some(call) => effects.settings.push(call),
                None => effects.unknown = true,
            },
            "pg_advisory_lock" | "pg_advisory_lock_shared" | "pg_try_advisory_lock" | "pg_try_advisory_lock_shared" => {
                effects.takes_advisory_lock = true;
            }
            name if name.starts_with("pg_advisory_unlock") => effects.releases_advisory_locks = true,
            "nextval" | "setval" => effects.uses_sequence = true,
            name if GRAMMAR.contains(&name) => {}
            name => {
                let unknown = functions.class(called.schema.as_deref(), name) == Class::Unknown;
                // The names of new objects look like calls; a definition runs few functions.
                let runs = !is_ddl || functions.catalog.is_some_and(|catalog| catalog.functions(None, name).next().is_some());
                effects.unknown |= unknown && runs;
            }
        }
    }
    effects
}

fn creates_temporary(text: Text<'_>, command: &Command) -> bool {
    let temporary = |at: usize| text.is_any(at, &["temp", "temporary"]);
    let positions = 0..text.pieces.len();
    match command {
        Command::Ordinary(Verb::Ddl | Verb::Explain { .. }) | Command::Session(SessionCommand::Prepare { .. }) => {
            let creates = |at: &usize| text.is(*at, "create");
            positions.clone().find(creates).is_some_and(|create| {
                let head = create + 1..create + 6;
                head.clone().any(temporary) || head.into_iter().any(|at| text.name(at).as_deref() == Some("pg_temp") && text.punct(at + 1, b'.'))
            }) || select_into_temporary(text)
        }
        Command::Ordinary(Verb::Select) => select_into_temporary(text),
        _ => false,
    }
}

fn select_into_temporary(text: Text<'_>) -> bool {
    (0..text.pieces.len()).filter(|at| text.is(*at, "into")).any(|into| {
        let next = into + 1 + usize::from(text.is_any(into + 1, &["local", "global"]));
        text.is_any(next, &["temp", "temporary"]) || text.name(next).as_deref() == Some("pg_temp")
    })
}

/// `set_config(name, value, is_local)` with arguments of one token each.
fn set_config(text: Text<'_>, open: usize) -> Option<SetConfig> {
    let mut at = open + 1;
    let mut next = |end: u8| {
        let argument = argument(text, at)?;
        at += 1;
        // A cast of an argument changes nothing: the function takes text and boolean.
        if text.kind(at) == Some(TokenKind::Operator) && text.bytes(at) == b"::" && text.is_any(at + 1, &["text", "varchar", "bool", "boolean"]) {
            at += 2;
        }
        let ends = text.punct(at, end);
        at += 1;
        ends.then_some(argument)
    };
    Some(SetConfig { name: next(b',')?, value: next(b',')?, is_local: next(b')')? })
}

fn argument(text: Text<'_>, at: usize) -> Option<Argument> {
    match text.kind(at)? {
        TokenKind::Literal(_) => text.pieces.get(at)?.literal.map(Argument::Literal),
        TokenKind::Parameter(number) => number.checked_sub(1).map(Argument::Parameter),
        TokenKind::Word if text.is(at, "true") => Some(Argument::True),
        TokenKind::Word if text.is(at, "false") => Some(Argument::False),
        TokenKind::Word if text.is(at, "null") => Some(Argument::Null),
        _ => None,
    }
}

/// `Read` where everything in the statement is known to write and lock nothing.
pub fn access(text: Text<'_>, command: &Command, scene: &Scene, names: &Names) -> Access {
    let reads = match command {
        Command::Ordinary(Verb::Select | Verb::Copy(CopyDirection::ToStdout)) => true,
        Command::Ordinary(Verb::Explain { .. }) => !(0..text.pieces.len()).any(|at| {
            text.is_any(at, &["insert", "update", "delete", "merge", "create", "execute", "declare", "refresh"])
        }),
        _ => false,
    };
    let functions = scene.functions();
    let read_only = |called: &Called| GRAMMAR.contains(&called.name.as_str()) || functions.is_read_only(called.schema.as_deref(), &called.name);
    let safe = reads
        && !locks_or_makes(text)
        && text.calls().iter().all(read_only)
        && !(0..text.pieces.len()).any(|at| is_unsafe_view(text, at, scene, names));
    if safe { Access::Read } else { Access::Write }
}

fn locks_or_makes(text: Text<'_>) -> bool {
    (0..text.pieces.len()).any(|at| {
        text.is(at, "into")
            || text.is(at, "for") && text.is_any(at + 1, &["update", "share", "no", "key"])
            || text.is_any(at, &["insert", "delete", "merge"]) && at.checked_sub(1).is_some_and(|before| matches!(text.kind(before), Some(TokenKind::Punct(b'(' | b')'))))
            || text.kind(at) == Some(TokenKind::UnicodeIdent)
    })
}

fn is_unsafe_view(text: Text<'_>, at: usize, scene: &Scene, names: &Names) -> bool {
    let (Some(catalog), Some(name)) = (&scene.catalog, text.name(at)) else { return false };
    let is_unsafe = |schema: &str| catalog.relation(schema, &name).is_some_and(|relation| relation.is_view() && relation.calls_unsafe_functions);
    if at >= 2 && text.punct(at - 1, b'.') {
        return text.name(at - 2).is_some_and(|schema| is_unsafe(&schema));
    }
    names.search_path.iter().any(|schema| is_unsafe(schema))
}
