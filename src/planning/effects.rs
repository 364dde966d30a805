//! What a statement may leave behind, and if a replica may run it: from its tokens, because it must
//! be known of statements that can't be parsed and of databases with one shard, where nothing is.

use super::functions::{Class, Functions};
use super::plan::Access;
use super::scene::{Names, Scene};
use super::template::{Argument, Effects, SetConfig};
use super::text::{Called, Text};
use crate::catalog::{Relation, RelationKind};
use crate::sql::command::{CopyDirection, SessionCommand, Verb};
use crate::sql::{Command, TokenKind};

/// Functions of the grammar that pg_catalog doesn't list under these names.
const GRAMMAR: &[&str] =
    &["coalesce", "extract", "greatest", "grouping", "least", "nullif", "overlay", "position", "substring", "trim"];

/// What the statement may leave behind.
pub fn effects(text: Text<'_>, command: &Command, functions: &Functions<'_>) -> Effects {
    let mut effects = Effects {
        creates_temporary: creates_temporary(text, command),
        unknown: matches!(
            command,
            Command::Ordinary(Verb::Procedure) | Command::Session(SessionCommand::Execute { .. })
        ),
        ..Effects::default()
    };
    let is_ddl = matches!(command, Command::Ordinary(Verb::Ddl));
    effects.ends_database = text.is_any(0, &["create", "alter", "drop"]) && text.is(1, "database");
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
            "nextval" => effects.uses_sequence = true,
            "setval" => (effects.uses_sequence, effects.sets_sequence) = (true, true),
            // A default that is only defined reads nothing yet, but says that somebody will.
            "currval" | "lastval" if is_ddl && !definition_reads(text) => effects.defines_reader = true,
            "currval" | "lastval" => effects.reads_sequence = true,
            name if GRAMMAR.contains(&name) => {}
            name => {
                let unknown = functions.class(called.schema.as_deref(), name) == Class::Unknown;
                // The names of new objects look like calls; a definition runs few functions.
                let runs =
                    !is_ddl || functions.catalog.is_some_and(|catalog| catalog.functions(None, name).next().is_some());
                effects.unknown |= unknown && runs;
            }
        }
    }
    effects
}

/// Whether expressions in a definition may be evaluated when it is made: CREATE TABLE ... AS, and what is done to a
/// table that has rows.
fn definition_reads(text: Text<'_>) -> bool {
    let any = |words: &[&str]| (0..text.pieces.len()).any(|at| text.is_any(at, words));
    let head = |words: &[&str]| (0..4).any(|at| text.is_any(at, words));
    if head(&["view", "function", "procedure", "rule", "trigger", "policy", "domain"]) && !head(&["materialized"]) {
        return false;
    }
    if text.is(0, "alter") {
        any(&["add", "type", "using"])
    } else {
        any(&["select", "as", "with", "values", "execute"])
    }
}

fn creates_temporary(text: Text<'_>, command: &Command) -> bool {
    let temporary = |at: usize| text.is_any(at, &["temp", "temporary"]);
    let positions = 0..text.pieces.len();
    match command {
        Command::Ordinary(Verb::Ddl | Verb::Explain { .. }) | Command::Session(SessionCommand::Prepare { .. }) => {
            let creates = |at: &usize| text.is(*at, "create");
            positions.clone().find(creates).is_some_and(|create| {
                let head = create + 1..create + 6;
                head.clone().any(temporary)
                    || head
                        .into_iter()
                        .any(|at| text.name(at).as_deref() == Some("pg_temp") && text.punct(at + 1, b'.'))
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
        if text.kind(at) == Some(TokenKind::Operator)
            && text.bytes(at) == b"::"
            && text.is_any(at + 1, &["text", "varchar", "bool", "boolean"])
        {
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
    // What tables and views are behind the names isn't known without a catalog.
    if !reads || scene.catalog.is_none() {
        return Access::Write;
    }
    let functions = scene.functions();
    let read_only = |called: &Called| {
        GRAMMAR.contains(&called.name.as_str()) || functions.is_read_only(called.schema.as_deref(), &called.name)
    };
    let safe = !locks_or_makes(text)
        && text.calls().iter().all(read_only)
        && !(0..text.pieces.len())
            .any(|at| is_unsafe_relation(text, at, scene, names) || is_of_one_node(text, at, scene, names))
        && !calls_by_attribute(text, &functions);
    if safe { Access::Read } else { Access::Write }
}

fn locks_or_makes(text: Text<'_>) -> bool {
    (0..text.pieces.len()).any(|at| {
        text.is(at, "into")
            || text.is(at, "for") && text.is_any(at + 1, &["update", "share", "no", "key"])
            || text.is_any(at, &["insert", "delete", "merge"])
                && at
                    .checked_sub(1)
                    .is_some_and(|before| matches!(text.kind(before), Some(TokenKind::Punct(b'(' | b')'))))
            || text.kind(at) == Some(TokenKind::UnicodeIdent)
    })
}

/// If the relation that the name may mean has this property, under any schema that it may be in.
fn any_relation(text: Text<'_>, at: usize, scene: &Scene, names: &Names, has: impl Fn(&Relation) -> bool) -> bool {
    let (Some(catalog), Some(name)) = (&scene.catalog, text.name(at)) else {
        return false;
    };
    let found = |schema: &str| catalog.relation(schema, &name).is_some_and(&has);
    if at >= 2 && text.punct(at - 1, b'.') {
        return text.name(at - 2).is_some_and(|schema| found(&schema));
    }
    names.search_path.iter().any(|schema| found(schema))
}

/// Reading it may write: a view's functions, the policies of a table.
fn is_unsafe_relation(text: Text<'_>, at: usize, scene: &Scene, names: &Names) -> bool {
    let reads_unsafe = |relation: &Relation| {
        let behind =
            relation.reads.iter().filter_map(|read| scene.catalog.as_ref()?.relation(&read.schema, &read.name));
        relation.is_view() && relation.calls_unsafe_functions
            || std::iter::once(relation).chain(behind).any(|relation| relation.row_security)
    };
    any_relation(text, at, scene, names, reads_unsafe)
}

/// System views that tell of the server or the session that is asked, and not of the database.
const OF_ONE_NODE: &[&str] = &[
    "pg_backend_memory_contexts",
    "pg_cursors",
    "pg_file_settings",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_locks",
    "pg_prepared_statements",
    "pg_prepared_xacts",
    "pg_replication_origin_status",
    "pg_replication_slots",
    "pg_sequences",
    "pg_shmem_allocations",
];

/// If a replica has something else under the name, or nothing: sequences run ahead in the write-ahead
/// log, unlogged tables aren't in it.
fn is_of_one_node(text: Text<'_>, at: usize, scene: &Scene, names: &Names) -> bool {
    let Some(name) = text.name(at) else { return false };
    let statistics = |name: &str| name.starts_with("pg_stat_") || name.starts_with("pg_statio_");
    if OF_ONE_NODE.contains(&name.as_str()) || statistics(&name) {
        return true;
    }
    let differs = |relation: &Relation| {
        let behind =
            relation.reads.iter().filter_map(|read| scene.catalog.as_ref()?.relation(&read.schema, &read.name));
        std::iter::once(relation)
            .chain(behind)
            .any(|relation| relation.unlogged || relation.kind == RelationKind::Sequence)
    };
    any_relation(text, at, scene, names, differs)
}

/// `row.function` calls the function as `function(row)` does.
fn calls_by_attribute(text: Text<'_>, functions: &Functions<'_>) -> bool {
    let Some(catalog) = functions.catalog else { return true };
    (1..text.pieces.len()).filter(|at| text.punct(at - 1, b'.') && !text.punct(at + 1, b'(')).any(|at| {
        let name = text.name(at);
        name.is_some_and(|name| {
            catalog.functions(None, &name).next().is_some() && functions.class(None, &name) == Class::Unknown
        })
    })
}

/// If running it on a replica would give another answer than on the primary, rather than an error:
/// locks of a replica hold on that replica alone.
pub fn needs_primary(text: Text<'_>, scene: &Scene, names: &Names) -> bool {
    let functions = scene.functions();
    let needs = |called: &Called| {
        let name = called.name.as_str();
        name.starts_with("pg_advisory_")
            || name.starts_with("pg_try_advisory_")
            || !GRAMMAR.contains(&name) && functions.class(called.schema.as_deref(), name) == Class::Unknown
    };
    text.calls().iter().any(needs) || (0..text.pieces.len()).any(|at| is_of_one_node(text, at, scene, names))
}
