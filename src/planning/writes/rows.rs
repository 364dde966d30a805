//! INSERT with rows for several shards. In: tokens of the statement. Out: where its rows are among them, and what has
//! to be written into them so that every row becomes what it would have become on one server.

use std::ops::Range;
use std::sync::Arc;

use super::moment::{self, MomentCall};
use super::watch::Conflicts;
use super::{Target, same_default};
use crate::catalog::{Column, Relation};
use crate::planning::functions::Class;
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::scene::Scene;
use crate::planning::tables::Found;
use crate::planning::text::Text;
use crate::planning::{build, ddl};
use crate::sql::LexOptions;
use crate::sql::statement::{InsertSource, Name, Operand, Source, Write};

/// The tokens of `INSERT INTO t (columns) VALUES (row), (row) ...`, by their positions in the statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowsLayout {
    /// Everything before the first row: the list of columns, if there is one, is a part of it.
    pub head: Range<usize>,
    /// The closing parenthesis of the list of columns.
    pub columns_end: Option<usize>,
    /// VALUES, before which a list of columns can stand.
    pub values: usize,
    /// Each row with its parentheses.
    pub rows: Vec<Range<usize>>,
    /// ON CONFLICT and RETURNING.
    pub tail: Range<usize>,
    pub moments: Box<[MomentCall]>,
    /// The names that a list of columns has to have where there is none.
    pub all_columns: Vec<String>,
    pub fills: Vec<Fill>,
    pub returns: Returns,
    /// What ON CONFLICT is about, where that is kept unique over all shards.
    pub conflicts: Vec<Conflicts>,
    /// The shard key's name, its place among all columns of the table, and how many there are.
    pub key: (String, usize, usize),
}

/// What RETURNING gives, whose rows are told in the order of those that were given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Returns {
    /// Nothing, or its order doesn't matter.
    Nothing,
    /// One row for each.
    Each,
    /// ON CONFLICT leaves some out: the key is returned as well, and says which row is which.
    Some,
}

/// A column that would be left to its default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fill {
    pub column: String,
    /// Its default, as the server prints it.
    pub default: Arc<str>,
    pub moments: Box<[MomentCall]>,
    /// Where it is in each row, if the statement lists it (and says DEFAULT in some rows).
    pub position: Option<usize>,
}

/// # Errors
/// Why the rows can't be divided.
pub fn layout(table: &Target<'_>, write: &Write, text: Text<'_>) -> Result<RowsLayout, Refusal> {
    let statement = table.statement;
    let Write::Insert { scope, columns, source: InsertSource::Rows(rows), .. } = write else {
        return Err(table.spread(write));
    };
    let has_with = statement.scopes.iter().any(|scope| {
        scope.features.with || scope.relations.iter().any(|relation| matches!(relation.source, Source::Common(_)))
    });
    if statement.writes.len() != 1 || *scope != statement.root || has_with {
        return Err(refusal::many_writes());
    }
    if let Some(node) = table.keys.nodes.iter().find(|node| node.place.scope != *scope || node.place.relation != 0) {
        return Err(refusal::unbound(&node.display, &node.sharded.key));
    }
    if statement.system_columns {
        return Err(refusal::not_concatenable("a system column"));
    }
    if statement.dated_output {
        return Err(refusal::not_concatenable("a cast to a date or time in RETURNING"));
    }
    check_calls(table)?;
    let places = Places::find(text, !columns.is_empty()).ok_or_else(refusal::not_parsed)?;
    if places.rows.len() != rows.len() {
        return Err(refusal::not_parsed());
    }
    let relation = relation_of(table).ok_or_else(|| refusal::no_column_list(&table.found.display))?;
    let conflict = Conflict::find(text, &places.tail);
    let conflicts = conflict.check(table, relation, columns, rows)?;
    let returns = (places.tail.clone()).any(|at| text.is(at, "returning"));
    let returns = match (returns, conflict.may_skip) {
        (false, _) => Returns::Nothing,
        (true, false) => Returns::Each,
        (true, true) if has_written_key(table) => Returns::Some,
        (true, true) => return Err(refusal::conflict_returning()),
    };
    let functions = table.scene.functions();
    let moments = moment::calls(text, moment::wanted(statement, &functions))?;
    let width = rows.first().map_or(0, Vec::len);
    let fills = fills((table.scene, table.found, relation), columns, rows, false)?;
    let layout = places.layout(relation, columns, width, (moments, fills, returns));
    let key = &table.sharded.key;
    let place = relation.columns.iter().position(|column| column.name == *key).unwrap_or(usize::MAX);
    Ok(RowsLayout { key: (key.to_string(), place, relation.columns.len()), conflicts, ..layout })
}

/// An INSERT of the same rows on every shard.
///
/// # Errors
/// Why the copies could differ.
pub fn of_copies(
    (scene, found, relation): (&Scene, &Found, &Relation),
    columns: &[Name],
    rows: &[Vec<Operand>],
    text: Text<'_>,
    moments: Arc<[MomentCall]>,
) -> Result<RowsLayout, Refusal> {
    let places = Places::find(text, !columns.is_empty()).ok_or_else(refusal::not_parsed)?;
    let width = rows.first().map_or(0, Vec::len);
    if places.rows.len() != rows.len() || rows.iter().any(|row| row.len() != width) {
        return Err(refusal::not_parsed());
    }
    if Conflict::find(text, &places.tail).defaults {
        return Err(refusal::not_concatenable("DEFAULT in ON CONFLICT"));
    }
    let fills = fills((scene, found, relation), columns, rows, true)?;
    Ok(places.layout(relation, columns, width, (moments.iter().cloned().collect(), fills, Returns::Nothing)))
}

/// If the text of a key is the same whatever the session's settings are.
fn has_written_key(table: &Target<'_>) -> bool {
    use crate::types::KeyType;
    let written = [KeyType::Int2, KeyType::Int4, KeyType::Int8, KeyType::Text, KeyType::Uuid];
    table.sharded.key_type.is_some_and(|key_type| written.contains(&key_type))
}

fn relation_of<'a>(table: &Target<'a>) -> Option<&'a Relation> {
    table.scene.catalog.as_ref()?.relation(&table.found.schema, &table.found.name)
}

/// A row by itself may be less than a row among others: `VALUES (generate_series(1, 3))` is an error with a second row
/// behind it. Functions of the user's own aren't known well enough for that.
fn check_calls(table: &Target<'_>) -> Result<(), Refusal> {
    let functions = table.scene.functions();
    for call in &table.statement.calls {
        let class = functions.class(call.schema.as_deref(), &call.name);
        let in_rows = call.scope != table.statement.root;
        match class {
            Class::Harmless if returns_set(table, &call.name) => {
                return Err(refusal::function_in_scatter(&call.name));
            }
            Class::Harmless => {}
            Class::Moment if call.place != crate::sql::statement::Place::Output => {}
            // In sub-selects, which see reference tables alone.
            Class::Aggregate if in_rows => {}
            _ => return Err(refusal::function_in_scatter(&call.name)),
        }
    }
    let limits = |features: &crate::sql::statement::Features| {
        features.limit || features.distinct_on || features.sample || features.window || features.locking
    };
    if table.statement.scopes.iter().any(|scope| limits(&scope.features)) {
        return Err(refusal::not_concatenable("LIMIT, OFFSET or DISTINCT ON in a sub-select"));
    }
    Ok(())
}

/// Built-in functions that give several rows, and everything of the user's own that may.
fn returns_set(table: &Target<'_>, name: &str) -> bool {
    const SETS: &[&str] = &[
        "generate_series",
        "generate_subscripts",
        "regexp_matches",
        "regexp_split_to_table",
        "string_to_table",
        "ts_debug",
        "ts_parse",
        "ts_token_type",
        "unnest",
    ];
    let json = (name.starts_with("json_") || name.starts_with("jsonb_"))
        && (name.contains("_each")
            || name.contains("array_elements")
            || name.contains("object_keys")
            || name.contains("recordset")
            || name.contains("path_query"));
    let is_users = table.scene.catalog.as_ref().is_some_and(|catalog| catalog.functions(None, name).next().is_some());
    SETS.contains(&name) || json && !name.contains("path_query_first") && !name.contains("path_query_array") || is_users
}

/// Columns whose default is a moment, wherever a row leaves them to it.
fn fills(
    (scene, found, relation): (&Scene, &Found, &Relation),
    columns: &[Name],
    rows: &[Vec<Operand>],
    copies: bool,
) -> Result<Vec<Fill>, Refusal> {
    let width = rows.first().map_or(0, Vec::len);
    let mut fills = Vec::new();
    for (attribute, column) in relation.columns.iter().enumerate() {
        let position = match columns {
            [] => Some(attribute).filter(|position| *position < width),
            listed => listed.iter().position(|name| **name == *column.name),
        };
        let left = match position {
            None => true,
            Some(place) => rows.iter().any(|row| matches!(row.get(place), Some(Operand::Default))),
        };
        if !left {
            continue;
        }
        match fill(scene, found, column, position)? {
            Some(fill) => fills.push(fill),
            None if copies && same_default(scene, column).is_err() => {
                return Err(refusal::volatile_default(&found.display, &column.name));
            }
            None => {}
        }
    }
    Ok(fills)
}

/// What a column that is left to its default needs, if that asks for the time.
///
/// # Errors
/// For a default in which that isn't understood.
pub fn fill(scene: &Scene, found: &Found, column: &Column, position: Option<usize>) -> Result<Option<Fill>, Refusal> {
    let Some(default) = &column.default else { return Ok(None) };
    let pieces = build::pieces(default.as_bytes(), &LexOptions { standard_conforming_strings: true });
    let text = Text { sql: default.as_bytes(), pieces: &pieces };
    let functions = scene.functions();
    let is_bare = |at: usize| text.name(at).is_some_and(|name| functions.class(None, &name) == Class::Moment);
    let calls =
        text.calls().iter().any(|called| functions.class(called.schema.as_deref(), &called.name) == Class::Moment);
    let wanted = (0..pieces.len()).filter(|at| is_bare(*at)).count();
    if !calls && wanted == 0 {
        return Ok(None);
    }
    let moments = moment::calls(text, wanted).map_err(|_| refusal::moment_default(&found.display, &column.name))?;
    Ok(Some(Fill { column: column.name.clone(), default: default.as_str().into(), moments, position }))
}

/// If ON CONFLICT is about columns that are kept unique over all shards, or may be.
pub fn conflicts_elsewhere(table: &Target<'_>, text: Text<'_>) -> bool {
    if table.scene.map.uniques_of(&table.found.schema, &table.found.name).next().is_none() {
        return false;
    }
    conflict_in(text).is_some_and(|conflict| !conflict.columns.contains(&table.sharded.key))
}

/// If ON CONFLICT DO UPDATE sets a column to its default.
pub fn conflict_sets_defaults(text: Text<'_>) -> bool {
    conflict_in(text).is_some_and(|conflict| conflict.defaults)
}

fn conflict_in(text: Text<'_>) -> Option<Conflict> {
    let start = (0..text.pieces.len()).find(|at| text.is(*at, "on") && text.is(at + 1, "conflict"))?;
    Some(Conflict::find(text, &(start..text.pieces.len())))
}

/// The parts of the statement.
struct Places {
    columns_end: Option<usize>,
    values: usize,
    rows: Vec<Range<usize>>,
    tail: Range<usize>,
}

impl Places {
    fn layout(
        self,
        relation: &Relation,
        columns: &[Name],
        width: usize,
        (moments, fills, returns): (Box<[MomentCall]>, Vec<Fill>, Returns),
    ) -> RowsLayout {
        RowsLayout {
            head: 0..self.rows.first().map_or(0, |row| row.start),
            columns_end: self.columns_end,
            values: self.values,
            rows: self.rows,
            tail: self.tail,
            moments,
            all_columns: match columns.is_empty() {
                true => relation.columns.iter().take(width).map(|column| column.name.clone()).collect(),
                false => Vec::new(),
            },
            fills,
            returns,
            conflicts: Vec::new(),
            key: (String::new(), usize::MAX, 0),
        }
    }

    fn find(text: Text<'_>, lists_columns: bool) -> Option<Self> {
        let mut at = 0;
        if !(text.is(at, "insert") && text.is(at + 1, "into")) {
            return None;
        }
        at += 2;
        text.name(at)?;
        at += 1;
        while text.punct(at, b'.') {
            text.name(at + 1)?;
            at += 2;
        }
        if text.is(at, "as") {
            text.name(at + 1)?;
            at += 2;
        }
        let columns_end = text.punct(at, b'(').then(|| ddl::closing(text, at));
        if columns_end.is_some() != lists_columns {
            return None;
        }
        let values = columns_end.map_or(at, |end| end + 1);
        if !text.is(values, "values") {
            return None;
        }
        let mut rows = Vec::new();
        let mut at = values + 1;
        loop {
            if !text.punct(at, b'(') {
                return None;
            }
            let end = ddl::closing(text, at) + 1;
            rows.push(at..end);
            at = end;
            if !text.punct(at, b',') {
                break;
            }
            at += 1;
        }
        Some(Self { columns_end, values, rows, tail: at..text.pieces.len() })
    }
}

/// ON CONFLICT, as far as it matters where the conflicting row is.
struct Conflict {
    /// The columns of its target; empty: none.
    columns: Vec<String>,
    constraint: Option<String>,
    is_there: bool,
    /// An expression, or something else that isn't a plain list of columns.
    other: bool,
    updates: bool,
    /// A row may be left out, and RETURNING says nothing of it then.
    may_skip: bool,
    /// SET ... = DEFAULT.
    defaults: bool,
}

impl Conflict {
    fn find(text: Text<'_>, tail: &Range<usize>) -> Self {
        let mut found = Self {
            columns: Vec::new(),
            constraint: None,
            is_there: false,
            other: false,
            updates: false,
            may_skip: false,
            defaults: false,
        };
        if !(text.is(tail.start, "on") && text.is(tail.start + 1, "conflict")) {
            return found;
        }
        found.is_there = true;
        let mut at = tail.start + 2;
        if text.is(at, "on") && text.is(at + 1, "constraint") {
            found.constraint = text.name(at + 2);
        } else if text.punct(at, b'(') {
            let end = ddl::closing(text, at);
            // The first word of an item is its column, unless it is the beginning of an expression.
            let (mut depth, mut begins) = (0_usize, true);
            for position in at + 1..end {
                match text.kind(position) {
                    Some(crate::sql::TokenKind::Punct(b'(')) => depth += 1,
                    Some(crate::sql::TokenKind::Punct(b')')) => depth = depth.saturating_sub(1),
                    _ => {}
                }
                let separates = depth == 0 && text.punct(position, b',');
                let ends = |next: usize| next == end || text.punct(next, b',');
                match text.name(position) {
                    Some(name) if begins && ends(position + 1) => found.columns.push(name),
                    _ => found.other |= !separates,
                }
                begins = separates;
            }
            at = end;
        }
        let action = (at..tail.end).find(|at| text.is(*at, "do"));
        let behind = action.map_or(tail.end, |action| action + 1);
        found.updates = text.is(behind, "update");
        let mut depth = 0_usize;
        for position in behind..tail.end {
            match text.kind(position) {
                Some(crate::sql::TokenKind::Punct(b'(')) => depth += 1,
                Some(crate::sql::TokenKind::Punct(b')')) => depth = depth.saturating_sub(1),
                _ if depth == 0 && text.is(position, "returning") => break,
                _ => {
                    found.may_skip |= depth == 0 && text.is(position, "where");
                    found.defaults |= text.is(position, "default");
                }
            }
        }
        found.may_skip |= text.is(behind, "nothing");
        found
    }

    /// A row that conflicts is on the shard of the new one if the unique index has the key. Where it is otherwise is known
    /// of columns that are kept unique over all shards.
    fn check(
        &self,
        table: &Target<'_>,
        relation: &Relation,
        columns: &[Name],
        rows: &[Vec<Operand>],
    ) -> Result<Vec<Conflicts>, Refusal> {
        let key = &*table.sharded.key;
        if self.defaults {
            return Err(refusal::not_concatenable("DEFAULT in ON CONFLICT"));
        }
        let has_key = match &self.constraint {
            Some(name) => relation
                .unique_indexes
                .iter()
                .find(|index| index.name == *name)
                .is_some_and(|index| index.columns.iter().any(|column| column == key)),
            None if self.columns.is_empty() && !self.other => !self.updates,
            None => self.columns.iter().any(|column| column == key),
        };
        let unique: Vec<_> = table.scene.map.uniques_of(&table.found.schema, &table.found.name).collect();
        let any = self.constraint.is_none() && self.columns.is_empty() && !self.other && self.is_there;
        let about = match &self.constraint {
            _ if self.other => None,
            Some(name) => relation.unique_indexes.iter().find(|index| index.name == *name).map(|index| &index.columns),
            None => Some(&self.columns),
        };
        let about = unique.iter().filter(|unique| any || about.is_some_and(|columns| unique.has_columns(columns)));
        let conflicts = about.map(|unique| Conflicts::of(table, relation, unique, columns, rows));
        let conflicts = conflicts.collect::<Result<Vec<_>, _>>()?;
        if has_key || !conflicts.is_empty() {
            Ok(conflicts)
        } else {
            Err(refusal::conflict_target(&table.found.display, key))
        }
    }
}
