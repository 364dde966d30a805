//! SELECTs whose syntax isn't known. In: their tokens. Out: a gather of all the rows of every table that could be
//! meant; PostgreSQL knows the syntax. What could be more than a SELECT, or mean something else on the scratch
//! database, is refused.

use super::text::Qualifiers;
use super::{Called, Collected, text};
use crate::catalog::Relation;
use crate::planning::functions::Class;
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::route::{Keyed, Override, Route, Routed, Spread, Use};
use crate::planning::scene::{Names, Scene};
use crate::planning::tables::{self, Found, Location};
use crate::planning::text::Text;
use crate::sql::TokenKind;
use crate::sql::statement::TableName;

/// Words that make more of a text than a SELECT, wherever they stand.
const NOT_READING: &[&str] = &["insert", "update", "delete", "merge", "into", "only"];
const SYSTEM_COLUMNS: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// The route of a text that can't be parsed; `None`: it can't be told to be a SELECT of known tables.
pub fn route(text: Text<'_>, scene: &Scene, names: &Names) -> Option<Routed> {
    scene.catalog.as_ref()?;
    let begins = text.is_any(0, &["select", "with", "values", "table"]) || text.punct(0, b'(');
    let all = 0..text.pieces.len();
    let is_odd = |at: usize| {
        text.kind(at) == Some(TokenKind::UnicodeIdent)
            || text.is_any(at, NOT_READING) && !is_row_count(text, at)
            || text.is(at, "for") && text.is_any(at + 1, &["share", "no", "key"])
    };
    if !begins || all.clone().any(is_odd) {
        return None;
    }
    let reads = match reads(text, scene, names) {
        Ok(reads) => reads,
        Err(refusal) => return Some(refused(refusal, Vec::new())),
    };
    let sharded = |found: &Found| match (&found.stands_for, &found.location) {
        (Some(table), _) | (None, Location::Sharded(table)) => Some((found.display.clone(), table.clone())),
        _ => None,
    };
    let sharded: Vec<_> = reads.iter().filter_map(|read| sharded(&read.found)).collect();
    if reads.is_empty() {
        return None;
    }
    if let Some(refusal) = reads.iter().find_map(|read| read.found.refusal.clone()) {
        return Some(refused(refusal, sharded));
    }
    Some(match keyed(text, &reads, scene) {
        Ok(keyed) => Routed::new(Route::Keyed(keyed), sharded),
        Err(refusal) => refused(refusal, sharded),
    })
}

/// FETCH FIRST 3 ROWS ONLY.
fn is_row_count(text: Text<'_>, at: usize) -> bool {
    text.is(at, "only") && at.checked_sub(1).is_some_and(|before| text.is_any(before, &["row", "rows"]))
}

fn refused(refusal: Refusal, sharded: Vec<(String, crate::routing::Sharded)>) -> Routed {
    Routed::new(Route::Refused(refusal, Override::Shard), sharded)
}

/// A table that a name in the text may mean.
struct Read {
    found: Found,
    /// The tokens of its schema and the dot behind it.
    qualifier: Option<usize>,
}

/// # Errors
/// For names that mean what can't be gathered.
fn reads(text: Text<'_>, scene: &Scene, names: &Names) -> Result<Vec<Read>, Refusal> {
    let mut reads: Vec<Read> = Vec::new();
    for at in 0..text.pieces.len() {
        let Some(name) = text.name(at) else { continue };
        if at.checked_sub(1).is_some_and(|before| text.punct(before, b'.')) {
            // `database.schema.table`
            if text.punct(at + 1, b'.')
                && let Some(last) = text.name(at + 2)
                && relation(
                    scene,
                    &tables::find(scene, names, &TableName { schema: Some(name.into()), name: last.into() }),
                )
                .is_some()
            {
                return Err(refusal::not_parsed());
            }
            continue;
        }
        let plain = TableName { schema: None, name: name.as_str().into() };
        let mut candidates = vec![(plain, None)];
        if text.punct(at + 1, b'.')
            && let Some(last) = text.name(at + 2)
        {
            candidates.push((TableName { schema: Some(name.as_str().into()), name: last.into() }, Some(at)));
        }
        for (table, qualifier) in candidates {
            let found = tables::find(scene, names, &table);
            match found.location {
                Location::System if qualifier.is_some() || is_used_as_table(text, at) => {
                    return Err(refusal::not_gathered("a system catalog"));
                }
                Location::System => {}
                Location::Home if found.schema.starts_with("pg_temp") => {
                    return Err(refusal::not_gathered("a temporary table"));
                }
                Location::Home if relation(scene, &found).is_none() => {}
                Location::Home | Location::Reference | Location::Sharded(_) | Location::Viewed => {
                    reads.push(Read { found, qualifier })
                }
            }
        }
    }
    Ok(reads)
}

fn is_used_as_table(text: Text<'_>, at: usize) -> bool {
    at.checked_sub(1).is_some_and(|before| {
        text.is_any(before, &["from", "join", "table", "lateral"])
            || text.punct(before, b',')
            || text.punct(before, b'(')
    })
}

fn relation<'s>(scene: &'s Scene, found: &Found) -> Option<&'s Relation> {
    scene.catalog.as_ref()?.relation(&found.schema, &found.name)
}

fn keyed(text: Text<'_>, reads: &[Read], scene: &Scene) -> Result<Keyed, Refusal> {
    let all = 0..text.pieces.len();
    if let Some(name) = all.clone().filter_map(|at| text.name(at)).find(|name| SYSTEM_COLUMNS.contains(&name.as_str()))
    {
        return Err(refusal::not_gathered(&format!("{name}, a system column,")));
    }
    let (mut uses, mut home) = (Vec::new(), false);
    let mut seen: Vec<(&str, &str)> = Vec::new();
    let mut collected = Collected::new(0);
    for Read { found, .. } in reads {
        if seen.contains(&(&found.schema, &found.name)) {
            continue;
        }
        seen.push((&found.schema, &found.name));
        let mut node = None;
        match &found.location {
            Location::Sharded(sharded) => {
                node = Some(uses.len());
                uses.push(Use::of_all(&found.display, sharded));
            }
            Location::Viewed => uses.extend(found.uses_within()),
            Location::Reference => {}
            Location::Home | Location::System => home = true,
        }
        home |= found.view.as_ref().is_some_and(|view| view.reads_home());
        collected.add_numbered(found, node, uses.len(), scene)?;
    }
    let called = called(text, scene)?;
    let qualifiers = qualifiers(text, reads)?;
    Ok(Keyed { uses, home, spread: Spread::Gather(called.gather(text, collected, qualifiers).into()) })
}

fn called(text: Text<'_>, scene: &Scene) -> Result<Called, Refusal> {
    let functions = scene.functions();
    let mut calls: Vec<(Option<String>, String, usize)> = Vec::new();
    for call in text.calls() {
        if call.schema.is_none() && call.open.checked_sub(1).is_some_and(|name| names_common(text, name)) {
            continue;
        }
        let arguments = arguments(text, call.open);
        calls.push((call.schema, call.name, arguments));
    }
    for at in 0..text.pieces.len() {
        let Some(name) = text.name(at) else { continue };
        let behind_dot = at.checked_sub(1).is_some_and(|before| text.punct(before, b'.'));
        // Words that are calls by themselves, types that look names up, and `row.function`.
        let is_call = !behind_dot && text.is(at, &name) && !text.punct(at + 1, b'(') && text::is_bare(&name)
            || behind_dot && functions.class(None, &name) >= Class::HomeBound && functions.exists(&name);
        if is_call {
            calls.push((None, name, 0));
        }
    }
    Called::of(text, calls.iter().map(|(schema, name, count)| (schema.as_deref(), name.as_str(), *count)), scene)
}

/// How many arguments stand in a parenthesis.
fn arguments(text: Text<'_>, open: usize) -> usize {
    let (mut depth, mut commas) = (0_usize, 0);
    for at in open..text.pieces.len() {
        match text.kind(at) {
            Some(TokenKind::Punct(b'(' | b'[')) => depth += 1,
            Some(TokenKind::Punct(b')' | b']')) if depth <= 1 => return if at == open + 1 { 0 } else { commas + 1 },
            Some(TokenKind::Punct(b')' | b']')) => depth -= 1,
            Some(TokenKind::Punct(b',')) if depth == 1 => commas += 1,
            _ => {}
        }
    }
    commas + 1
}

/// The schemas of the tables, which temporary ones don't have.
///
/// # Errors
/// Where a schema has the name of something else in the text.
fn qualifiers(text: Text<'_>, reads: &[Read]) -> Result<Qualifiers, Refusal> {
    let mut found = Qualifiers::default();
    for (at, name) in reads.iter().filter_map(|read| Some((read.qualifier?, &read.found.name))) {
        if text.punct(at + 3, b'(') {
            continue;
        }
        let schema = text.name(at).unwrap_or_default();
        let alone = |other: usize| !other.checked_sub(1).is_some_and(|before| text.punct(before, b'.'));
        let mut others = (0..text.pieces.len()).filter(|other| alone(*other) && !text.punct(other + 1, b'.'));
        if others.any(|other| text.name(other).as_deref() == Some(&*schema)) {
            return Err(refusal::not_gathered("a schema and something else of the same name"));
        }
        // An alias or a common table expression of the table's name may be what it would mean without its schema.
        if (0..text.pieces.len()).any(|other| alone(other) && text.name(other).as_deref() == Some(name)) {
            found.replaced.push(at);
        } else {
            found.left_out.extend([at, at + 1]);
        }
    }
    Ok(found)
}

/// If the name at this position is given to a common table expression: `name (columns) AS MATERIALIZED (SELECT`.
fn names_common(text: Text<'_>, at: usize) -> bool {
    let mut next = at + 1;
    if text.punct(next, b'(') {
        let Some(close) = (next..text.pieces.len()).find(|close| text.punct(*close, b')')) else { return false };
        next = close + 1;
    }
    if !text.is(next, "as") {
        return false;
    }
    next += 1;
    while text.is_any(next, &["not", "materialized"]) {
        next += 1;
    }
    let mut open = next;
    while text.punct(open, b'(') {
        open += 1;
    }
    // No list of column definitions begins so: these words are reserved.
    open > next && text.is_any(open, &["select", "with", "table"])
        || open > next && text.is(open, "values") && text.punct(open + 1, b'(')
}
