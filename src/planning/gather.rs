//! If PostgreSQL itself can answer a SELECT on rows that are gathered from the shards, and what it needs for
//! that. In: a statement that no cheaper strategy fits. Out: a [`Gather`], or the reason why not.
//!
//! The client's own text runs on the scratch database, where each table that it reads is a temporary one of
//! the same name. A name that was not gathered doesn't exist there, so a mistake here raises an error.

mod columns;
mod text;

pub use text::{Spliced, splice};

use std::ops::Range;

use super::functions::Class;
use super::keys::{Keys, Locations};
use super::plan::Refusal;
use super::refusal;
use super::scene::Scene;
use super::tables::{Found, Location};
use super::text::Text;
use crate::catalog::{Relation, RelationKind};
use crate::sql::statement::{Kind, Scope, Statement};

/// What a statement reads, whatever its values are.
#[derive(PartialEq, Eq, Debug)]
pub struct Gather {
    pub tables: Vec<Table>,
    /// The positions of the query's tokens within the statement: it may be a part of an EXPLAIN.
    pub query: Range<usize>,
    /// Positions of tokens that are left out: schemas of the tables, and the dots behind them.
    pub left_out: Vec<usize>,
    /// User-defined functions that it calls, by name: the scratch database must have them.
    pub functions: Vec<String>,
    /// Calls now() or the like: the moment is that of the scratch database's transaction.
    pub has_moment: bool,
}

/// A table whose rows are gathered.
#[derive(PartialEq, Eq, Debug)]
pub struct Table {
    pub schema: String,
    pub name: String,
    /// As messages show it.
    pub display: String,
    /// Of the home shard, as are the types of its rows and of arrays of them.
    pub oid: u32,
    pub row_types: (u32, u32),
    pub columns: Vec<Column>,
    /// Empty where it isn't among the columns.
    pub primary_key: Vec<String>,
    pub source: Source,
}

#[derive(PartialEq, Eq, Debug)]
pub struct Column {
    pub name: String,
    /// On the home shard.
    pub number: i16,
    /// As it is written in a definition, whatever search_path is.
    pub type_name: String,
    pub collation: Option<String>,
}

/// Where the rows are.
#[derive(PartialEq, Eq, Debug)]
pub enum Source {
    Home,
    /// On any shard: a reference table.
    Any,
    /// On the shards that these uses reach, by their positions in [`super::route::Keyed::uses`].
    Shards(Vec<usize>),
}

/// Server-side functions whose answer is the same on the scratch database.
const SAME_ON_SCRATCH: &[&str] = &[
    "current_role",
    "current_user",
    "pg_client_encoding",
    "pg_collation_for",
    "pg_sleep",
    "pg_typeof",
    "session_user",
    "user",
];

/// # Errors
/// The reason why PostgreSQL can't answer it on gathered rows.
pub fn plan(
    text: Text<'_>,
    statement: &Statement,
    keys: &Keys,
    locations: &Locations,
    scene: &Scene,
) -> Result<Gather, Refusal> {
    if statement.kind != Kind::Select || !statement.writes.is_empty() {
        return Err(refusal::not_gathered("a statement that writes"));
    }
    statement.scopes.iter().try_for_each(clauses)?;
    if statement.system_columns {
        return Err(refusal::not_gathered("a system column"));
    }
    let (functions, has_moment) = functions(statement, scene)?;
    let mut tables: Vec<Table> = Vec::new();
    for (scope, found) in locations.iter().enumerate() {
        for (relation, found) in found.iter().enumerate() {
            let Some(found) = found else { continue };
            let node = keys.nodes.iter().position(|node| node.place.scope == scope && node.place.relation == relation);
            add(&mut tables, text, statement, found, node, scene)?;
        }
    }
    let left_out = text::qualifiers(text, statement, &tables)?;
    Ok(Gather { tables, query: 0..text.pieces.len(), left_out, functions, has_moment })
}

impl Gather {
    /// The query is a part of a statement, behind `before` other tokens.
    pub(super) fn shift(&mut self, before: usize) {
        self.query = self.query.start + before..self.query.end + before;
        self.left_out.iter_mut().for_each(|position| *position += before);
    }
}

fn clauses(scope: &Scope) -> Result<(), Refusal> {
    let features = &scope.features;
    let clauses = [
        (features.locking, "FOR UPDATE or FOR SHARE"),
        (features.into, "SELECT INTO"),
        (features.sample, "TABLESAMPLE"),
    ];
    match clauses.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(refusal::not_gathered(what)),
        None => Ok(()),
    }
}

/// The user-defined functions that are called, and if one asks for the time.
fn functions(statement: &Statement, scene: &Scene) -> Result<(Vec<String>, bool), Refusal> {
    let functions = scene.functions();
    let (mut own, mut has_moment) = (Vec::new(), false);
    for call in &statement.calls {
        match functions.class(call.schema.as_deref(), &call.name) {
            Class::Harmless | Class::Aggregate | Class::Window => {}
            Class::Moment => has_moment = true,
            Class::Server if SAME_ON_SCRATCH.contains(&&*call.name) => {}
            Class::Server | Class::HomeBound | Class::ReadsTables | Class::Unknown => {
                return Err(refusal::function_in_gather(&call.name));
            }
        }
        let is_own = functions.catalog.is_some_and(|catalog| catalog.functions(None, &call.name).next().is_some());
        if is_own && !own.contains(&call.name.to_string()) {
            own.push(call.name.to_string());
        }
    }
    Ok((own, has_moment))
}

/// Adds the table behind a relation, or this use of it.
fn add(
    tables: &mut Vec<Table>,
    text: Text<'_>,
    statement: &Statement,
    found: &Found,
    node: Option<usize>,
    scene: &Scene,
) -> Result<(), Refusal> {
    let known = scene.catalog.as_ref().and_then(|catalog| catalog.relation(&found.schema, &found.name));
    let source = match (&found.location, node) {
        (Location::Sharded(_), Some(node)) => Source::Shards(vec![node]),
        (Location::Reference, _) => Source::Any,
        (Location::Home, _) => Source::Home,
        (Location::Sharded(_) | Location::System, _) => return Err(refusal::not_gathered("a system catalog")),
    };
    if let Some(table) = tables.iter_mut().find(|table| table.schema == found.schema && table.name == found.name) {
        if let (Source::Shards(uses), Source::Shards(more)) = (&mut table.source, source) {
            uses.extend(more);
        }
        return Ok(());
    }
    let Some(known) = known.filter(|known| may_be_copied(known)) else {
        return Err(refusal::cannot_gather_table(&found.display));
    };
    if tables.iter().any(|table| table.name == found.name) {
        return Err(refusal::not_gathered("two tables of one name, from different schemas,"));
    }
    if text::has_only(text) && has_parts(scene, known) {
        return Err(refusal::not_gathered("ONLY"));
    }
    let (columns, primary_key) = columns::of(text, statement, known);
    let display = found.display.clone();
    let (schema, name) = (found.schema.clone(), found.name.clone());
    tables.push(Table {
        schema,
        name,
        display,
        oid: known.oid,
        row_types: known.row_types,
        columns,
        primary_key,
        source,
    });
    Ok(())
}

fn may_be_copied(relation: &Relation) -> bool {
    matches!(
        relation.kind,
        RelationKind::Table
            | RelationKind::PartitionedTable
            | RelationKind::ForeignTable
            | RelationKind::MaterializedView
            | RelationKind::View
    ) && !relation.columns.is_empty()
        && !relation.name.starts_with("pg_")
}

fn has_parts(scene: &Scene, relation: &Relation) -> bool {
    scene.catalog.as_ref().is_some_and(|catalog| catalog.descendants(&relation.schema, &relation.name).next().is_some())
}
