//! Statements that aren't queries, on a database with several shards: definitions, maintenance, COPY.
//! In: tokens. Out: the home shard where they name nothing but unlisted tables, or a refusal.

use std::collections::HashSet;

use super::functions::Class;
use super::plan::Refusal;
use super::refusal;
use super::scene::{Names, Scene};
use super::tables::{self, Location};
use super::text::Text;
use crate::sql::TokenKind;
use crate::sql::statement::TableName;

/// Names of which a statement that isn't understood must contain none.
pub struct Suspects<'a> {
    scene: &'a Scene,
    names: &'a Names,
    listed: HashSet<String>,
}

impl<'a> Suspects<'a> {
    pub fn new(scene: &'a Scene, names: &'a Names) -> Self {
        let mut listed: HashSet<String> = scene.map.tables().map(|(_, name, _)| name.to_owned()).collect();
        for relation in scene.catalog.iter().flat_map(|catalog| catalog.relations()) {
            let name = TableName { schema: Some(relation.schema.as_str().into()), name: relation.name.as_str().into() };
            let found = tables::find(scene, names, &name);
            if found.refusal.is_some() || !matches!(found.location, Location::Home) {
                listed.insert(relation.name.clone());
            }
        }
        Self { scene, names, listed }
    }

    /// If no word of the text can be a sharded or reference table, or something that depends on one.
    pub fn absent(&self, text: Text<'_>) -> bool {
        (0..text.pieces.len()).all(|at| match text.kind(at) {
            Some(TokenKind::UnicodeIdent) => false,
            Some(TokenKind::Word | TokenKind::QuotedIdent) => {
                let qualified = at > 0 && text.punct(at - 1, b'.');
                text.name(at).is_some_and(|name| {
                    !self.listed.contains(&name) || (!qualified && self.names.temporary.contains(&name))
                })
            }
            _ => true,
        })
    }

    /// As [`Suspects::absent`], and no function is called that may read tables.
    pub fn provably_home(&self, text: Text<'_>) -> bool {
        let functions = self.scene.functions();
        self.absent(text)
            && text
                .calls()
                .iter()
                .all(|called| functions.class(called.schema.as_deref(), &called.name) < Class::ReadsTables)
    }
}

/// What a definition turns out to be.
pub enum Definition {
    Home,
    Refused(Refusal),
    /// CREATE TABLE AS and CREATE VIEW: home if this query is. The query begins at this token.
    AsQuery {
        what: &'static str,
        query: usize,
    },
}

pub fn definition(text: Text<'_>, suspects: &Suspects<'_>) -> Definition {
    let first = text.name(0).unwrap_or_default();
    match first.as_str() {
        "create" => create(text, suspects),
        "alter" if text.is_any(1, &["table", "sequence"]) && !text.is(2, "all") => {
            home_if_absent(text, suspects, "ALTER")
        }
        "drop" if text.is_any(1, &["table", "sequence"]) => without_cascade(text, suspects, "DROP"),
        "drop" if (text.is(1, "view") || text.is(2, "view")) && suspects.scene.catalog.is_some() => {
            without_cascade(text, suspects, "DROP")
        }
        "truncate" => without_cascade(text, suspects, "TRUNCATE"),
        "comment" if text.is(1, "on") && text.is_any(2, &["table", "column", "sequence"]) => {
            home_if_absent(text, suspects, "COMMENT")
        }
        "grant" | "revoke" => grant(text, suspects),
        "refresh" if suspects.scene.catalog.is_some() => home_if_absent(text, suspects, "REFRESH MATERIALIZED VIEW"),
        other => Definition::Refused(refusal::ddl(&other.to_ascii_uppercase())),
    }
}

fn home_if_absent(text: Text<'_>, suspects: &Suspects<'_>, what: &str) -> Definition {
    if suspects.provably_home_definition(text) { Definition::Home } else { Definition::Refused(refusal::ddl(what)) }
}

/// CASCADE may reach tables that aren't named.
fn without_cascade(text: Text<'_>, suspects: &Suspects<'_>, what: &str) -> Definition {
    if (0..text.pieces.len()).any(|at| text.is(at, "cascade")) {
        return Definition::Refused(refusal::ddl(&format!("{what} ... CASCADE")));
    }
    home_if_absent(text, suspects, what)
}

impl Suspects<'_> {
    /// Definitions name columns, types and constraints before parentheses, which look like functions;
    /// those that do are no worse than the tables they belong to, unless the name is a function's.
    fn provably_home_definition(&self, text: Text<'_>) -> bool {
        let functions = self.scene.functions();
        let known = |name: &str| {
            self.scene.catalog.as_ref().is_some_and(|catalog| catalog.functions(None, name).next().is_some())
        };
        self.absent(text)
            && text.calls().iter().all(|called| {
                let class = functions.class(called.schema.as_deref(), &called.name);
                class < Class::ReadsTables || class == Class::Unknown && !known(&called.name)
            })
    }
}

fn create(text: Text<'_>, suspects: &Suspects<'_>) -> Definition {
    let mut at = 1;
    let mut temporary = false;
    while text.is_any(at, &["or", "replace", "global", "local", "temp", "temporary", "unlogged", "unique", "recursive"])
    {
        temporary |= text.is_any(at, &["temp", "temporary"]);
        at += 1;
    }
    let what = if text.is(at, "table") {
        "CREATE TABLE"
    } else if text.is(at, "view") || text.is(at, "materialized") && text.is(at + 1, "view") {
        let materialized = text.is(at, "materialized");
        at += usize::from(materialized);
        if materialized { "CREATE MATERIALIZED VIEW" } else { "CREATE VIEW" }
    } else if text.is(at, "index") {
        return home_if_absent(text, suspects, "CREATE INDEX");
    } else if text.is(at, "sequence") {
        return home_if_absent(text, suspects, "CREATE SEQUENCE");
    } else {
        let object = text.name(at).unwrap_or_default().to_ascii_uppercase();
        return Definition::Refused(refusal::ddl(format!("CREATE {object}").trim_end()));
    };
    at += 1;
    if text.is(at, "if") {
        at += 3;
    }
    // The name of a temporary table was checked by `shadowed`.
    let behind_name = at + 1;
    let checked = if temporary { text.from(behind_name) } else { text.from(at) };
    match as_query(text, behind_name) {
        Some(query) if suspects.absent(text.range(if temporary { behind_name } else { at }..query)) => {
            Definition::AsQuery { what, query }
        }
        // A view that every shard has is made anew on every shard.
        Some(query) if what == "CREATE VIEW" && !temporary && replaces_view(text, at, suspects) => {
            Definition::AsQuery { what: "CREATE OR REPLACE VIEW", query }
        }
        Some(_) => Definition::Refused(refusal::ddl(what)),
        None => home_if_absent(checked, suspects, what),
    }
}

fn replaces_view(text: Text<'_>, at: usize, suspects: &Suspects<'_>) -> bool {
    let Some((name, _)) = table_name(text, at) else { return false };
    let found = tables::find(suspects.scene, suspects.names, &name);
    found.view.is_some_and(|view| !view.reads_home()) && text.is(1, "or")
}

/// Why a temporary relation can't have its name: where it exists the name means it, but only on one
/// server and only as long as its transaction isn't rolled back, which can't be followed here.
pub fn shadowed(text: Text<'_>, suspects: &Suspects<'_>) -> Option<Refusal> {
    let Some(name) = temporary_name(text) else { return Some(refusal::shadows("a sharded table")) };
    suspects.listed.contains(&name).then(|| refusal::shadows(&name))
}

/// The name that CREATE TEMPORARY or SELECT INTO TEMPORARY gives.
fn temporary_name(text: Text<'_>) -> Option<String> {
    let count = text.pieces.len();
    let created = (0..count).find(|at| text.is(*at, "create"));
    let mut at = match created {
        Some(create) => (create + 1..count).find(|at| text.is_any(*at, &["table", "view", "sequence"]))? + 1,
        None => {
            let into = (0..count).find(|at| text.is(*at, "into"))?;
            let words = ["local", "global", "temp", "temporary", "unlogged", "table"];
            (into + 1..count).find(|at| !text.is_any(*at, &words))?
        }
    };
    if text.is(at, "if") {
        at += 3;
    }
    if text.punct(at + 1, b'.') {
        at += 2;
    }
    text.name(at)
}

/// Where the query behind AS begins, outside parentheses.
fn as_query(text: Text<'_>, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for at in from..text.pieces.len() {
        if text.punct(at, b'(') {
            depth += 1;
        } else if text.punct(at, b')') {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && text.is(at, "as") {
            return Some(at + 1);
        }
    }
    None
}

/// `GRANT ... ON [TABLE] names TO ...`; grants of roles and on everything else are global.
fn grant(text: Text<'_>, suspects: &Suspects<'_>) -> Definition {
    let refused = || Definition::Refused(refusal::ddl("GRANT or REVOKE"));
    let Some(on) = (0..text.pieces.len()).find(|at| text.is(*at, "on")) else {
        return refused();
    };
    let global = [
        "all",
        "database",
        "domain",
        "foreign",
        "function",
        "language",
        "large",
        "parameter",
        "procedure",
        "routine",
        "schema",
        "tablespace",
        "type",
    ];
    if text.is_any(on + 1, &global) { refused() } else { home_if_absent(text, suspects, "GRANT or REVOKE") }
}

/// LOCK, VACUUM, ANALYZE, REINDEX, CLUSTER, CHECKPOINT, and what PostgreSQL doesn't know either.
///
/// # Errors
/// Where it doesn't certainly concern the home shard alone.
pub fn other(text: Text<'_>, suspects: &Suspects<'_>) -> Result<(), Refusal> {
    let first = text.name(0).unwrap_or_default();
    let what = first.to_ascii_uppercase();
    let names_something = match first.as_str() {
        "lock" => true,
        "vacuum" | "analyze" | "analyse" | "cluster" => names_after_options(text),
        "reindex" => {
            let object = if text.punct(1, b'(') { closing(text, 1) + 1 } else { 1 };
            text.is(object, "table")
        }
        "checkpoint" => false,
        _ if suspects.provably_home(text) => return Ok(()),
        _ => return Err(refusal::not_parsed()),
    };
    // None of these calls a function by name: what looks like one is options or columns.
    if names_something && suspects.absent(text) { Ok(()) } else { Err(refusal::maintenance(&what)) }
}

fn names_after_options(text: Text<'_>) -> bool {
    let mut at = 1;
    loop {
        if text.punct(at, b'(') {
            at = closing(text, at) + 1;
        } else if text.is_any(at, &["full", "freeze", "verbose", "analyze", "analyse"]) {
            at += 1;
        } else {
            return text.name(at).is_some();
        }
    }
}

/// The parenthesis that closes the one at `open`, or the end.
pub fn closing(text: Text<'_>, open: usize) -> usize {
    let mut depth = 0_usize;
    for at in open..text.pieces.len() {
        if text.punct(at, b'(') {
            depth += 1;
        } else if text.punct(at, b')') {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return at;
            }
        }
    }
    text.pieces.len()
}

/// `name` or `schema.name` at this token, and the token behind it.
pub fn table_name(text: Text<'_>, at: usize) -> Option<(TableName, usize)> {
    let first = text.name(at)?;
    if text.punct(at + 1, b'.') {
        let name = text.name(at + 2)?;
        return Some((TableName { schema: Some(first.into()), name: name.into() }, at + 3));
    }
    Some((TableName { schema: None, name: first.into() }, at + 1))
}
