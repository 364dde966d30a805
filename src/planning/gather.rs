//! If PostgreSQL itself can answer a SELECT on rows that are gathered from the shards, and what it needs for
//! that. In: a statement that no cheaper strategy fits. Out: a [`Gather`], or the reason why not.
//!
//! The client's own text runs on the scratch database, where each table that it reads is a temporary one of
//! the same name. A name that was not gathered doesn't exist there, so a mistake here raises an error.

mod collected;
mod columns;
mod moments;
mod pushed;
mod text;
mod unparsed;

use collected::Collected;
pub use collected::{Base, MadeView, bases, made_view};
pub(super) use columns::{column, needs_all, of as columns_and_key};
pub use moments::{MomentName, database_definition};
pub(super) use pushed::Conditions;
pub use pushed::{Condition, sql as conditions_sql};
use text::Qualifiers;
pub use text::{Spliced, splice};
pub(super) use unparsed::route as route_unparsed;

use std::ops::Range;

use super::functions::Class;
use super::keys::{Keys, Locations};
use super::plan::Refusal;
use super::refusal;
use super::scene::Scene;

use super::tables::Location;
use super::text::Text;
use crate::catalog::{Relation, RelationKind};
use crate::sql::statement::{Kind, Scope, Statement};

/// What a statement reads, whatever its values are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gather {
    pub tables: Vec<Table>,
    /// Each before those that read it.
    pub views: Vec<MadeView>,
    /// Relations of the home shard that a temporary one of the client's may hide, by name.
    pub may_be_hidden: Vec<String>,
    /// The positions of the query's tokens within the statement: it may be a part of an EXPLAIN.
    pub query: Range<usize>,
    /// Positions of tokens that are left out: schemas of the tables, and the dots behind them.
    pub left_out: Vec<usize>,
    /// Positions of schemas that the temporary tables' takes the place of, since without one the name would mean
    /// something else.
    pub replaced: Vec<usize>,
    /// Tokens of tables that are called otherwise there, and what stands for them.
    pub renamed: Vec<(Range<usize>, String)>,
    /// User-defined functions that it calls, by name: the scratch database must have them.
    pub functions: Vec<String>,
    /// Calls of now() and its like. Within a block of the client's their moment is that block's; `None`: not all of
    /// them are of a kind that can be given it.
    pub moments: Option<Vec<MomentName>>,
    /// Calls that give the database's name: their tokens, and the name of the function.
    pub databases: Vec<(Range<usize>, String)>,
    /// The tokens of the target of an INSERT, for which a temporary table stands.
    pub target: Option<Range<usize>>,
    /// Calls current_setting(): those that tell of the transaction would tell of another one.
    pub reads_settings: bool,
}

/// A table whose rows are gathered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    pub schema: String,
    pub name: String,
    /// What it is called on the scratch database: another name where two of one name are gathered.
    pub made: String,
    /// As messages show it.
    pub display: String,
    /// Of the home shard, as are the types of its rows and of arrays of them.
    pub oid: u32,
    pub row_types: (u32, u32),
    pub columns: Vec<Column>,
    /// Empty where it isn't among the columns.
    pub primary_key: Vec<String>,
    pub source: Source,
    /// Of a system catalog: what the statement names, its columns among it.
    pub named: Vec<String>,
    /// What those of its rows pass that matter, as far as that can be asked where they are.
    pub conditions: Vec<pushed::Condition>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    pub name: String,
    /// On the home shard.
    pub number: i16,
    /// As it is written in a definition, whatever search_path is.
    pub type_name: String,
    pub collation: Option<String>,
    /// The statement doesn't name it: it is wanted only if the table needs its primary key.
    pub for_key: bool,
}

/// Where the rows are.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    "current_schema",
    "current_setting",
    "current_user",
    "getdatabaseencoding",
    "pg_client_encoding",
    "pg_collation_for",
    "pg_encoding_to_char",
    "pg_is_in_recovery",
    "pg_postmaster_start_time",
    "pg_sleep",
    "pg_typeof",
    "session_user",
    "user",
    "version",
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
    let reads_catalogs = locations.iter().flatten().flatten().any(|found| matches!(found.location, Location::System));
    if reads_catalogs && statement.calls.iter().any(|call| &*call.name == "pg_typeof") {
        // Types would be numbered there as the scratch database does, and in the catalogs as the home shard does.
        return Err(refusal::not_gathered("pg_typeof() beside a system catalog"));
    }
    let calls = statement.calls.iter().map(|call| (call.schema.as_deref(), &*call.name, call.arguments));
    let called = Called::of(text, calls, scene)?;
    let mut collected = Collected::new(keys.nodes.len());
    collected.has_twins = true;
    for (scope, found) in locations.iter().enumerate() {
        for (relation, found) in found.iter().enumerate() {
            let Some(found) = found else { continue };
            let node = keys.nodes.iter().position(|node| node.place.scope == scope && node.place.relation == relation);
            if matches!(found.location, Location::System) {
                collected.system(found, columns::named(text, statement)?)?;
                continue;
            }
            collected.add(found, node, scene, |known| columns::of(text, statement, known))?;
            if found.view.is_none() && pushed::uses(locations, found) == 1 {
                let known = scene.catalog.as_ref().and_then(|catalog| catalog.relation(&found.schema, &found.name));
                let table = collected.tables.iter_mut().find(|table| table.is(&found.schema, &found.name));
                if let (Some(known), Some(table)) = (known, table) {
                    table.conditions = pushed::of(statement, (scope, relation), known);
                }
            }
        }
    }
    if text.has_only() && collected.tables.iter().any(|table| has_parts(scene, table)) {
        return Err(refusal::not_gathered("ONLY"));
    }
    collected.tell_apart(statement, locations)?;
    let mut qualifiers = text::qualifiers(text, statement, &collected.names());
    let renamed = text::renamed(text, statement, &collected.tables)?;
    qualifiers.left_out.retain(|at| !renamed.iter().any(|(tokens, _)| tokens.contains(at)));
    qualifiers.replaced.retain(|at| !renamed.iter().any(|(tokens, _)| tokens.contains(at)));
    Ok(Gather { renamed, ..called.gather(text, collected, qualifiers) })
}

/// The columns of a table that a statement may read.
pub(super) fn columns_of(text: Text<'_>, statement: &Statement, known: &Relation) -> Vec<Column> {
    columns::of(text, statement, known).0.into_iter().filter(|column| !column.for_key).collect()
}

/// What rows of a table pass that matter; nothing where it is used more than once.
pub(super) fn conditions_of(
    statement: &Statement,
    locations: &Locations,
    place: (usize, usize),
    found: &super::tables::Found,
    known: &Relation,
) -> Vec<Condition> {
    if pushed::uses(locations, found) == 1 { pushed::of(statement, place, known) } else { Vec::new() }
}

impl Gather {
    /// The query is a part of a statement, behind `before` other tokens.
    pub(super) fn shift(&mut self, before: usize) {
        self.query = self.query.start + before..self.query.end + before;
        self.shift_from(0, before);
    }

    /// So many other tokens stand before those from this position on.
    pub(super) fn shift_from(&mut self, from: usize, by: usize) {
        let shift = |position: &mut usize| *position += if *position >= from { by } else { 0 };
        self.left_out.iter_mut().chain(&mut self.replaced).for_each(shift);
        self.moments.iter_mut().flatten().for_each(|moment| moment.shift_from(from, by));
        self.databases.iter_mut().for_each(|(tokens, _)| moments::shift_range(tokens, from, by));
        self.renamed.iter_mut().for_each(|(tokens, _)| moments::shift_range(tokens, from, by));
    }
}

fn clauses(scope: &Scope) -> Result<(), Refusal> {
    let features = &scope.features;
    if features.locking && features.limit {
        return Err(refusal::locked_limit());
    }
    let clauses = [(features.locking, "FOR UPDATE or FOR SHARE"), (features.into, "SELECT INTO")];
    match clauses.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(refusal::not_gathered(what)),
        None => Ok(()),
    }
}

/// What the functions come to that a statement calls.
struct Called {
    own: Vec<String>,
    moments: Option<Vec<MomentName>>,
    databases: Vec<(Range<usize>, String)>,
    reads_settings: bool,
}

impl Called {
    /// `calls`: schema, name and number of arguments.
    fn of<'a>(
        text: Text<'_>,
        calls: impl Iterator<Item = (Option<&'a str>, &'a str, usize)>,
        scene: &Scene,
    ) -> Result<Self, Refusal> {
        let functions = scene.functions();
        let mut called =
            Self { own: Vec::new(), moments: None, databases: moments::databases(text), reads_settings: false };
        let (mut moments, mut databases) = (0, 0);
        for (schema, name, arguments) in calls {
            match functions.class_of(schema, name, arguments) {
                Class::Harmless if matches!(name, "pg_column_size") => {
                    return Err(refusal::function_in_gather(name));
                }
                Class::Harmless | Class::Aggregate | Class::Window => {}
                Class::Moment => moments += 1,
                Class::Server if name == "current_setting" && text::is_literal_call(text, name) => {
                    called.reads_settings = true;
                }
                Class::Server if matches!(name, "current_database" | "current_catalog") => databases += 1,
                Class::Server if name == "current_schemas" && text::has_false(text, name) => {}
                Class::Server if SAME_ON_SCRATCH.contains(&name) && name != "current_setting" => {}
                Class::Server | Class::HomeBound | Class::ReadsTables | Class::Unknown => {
                    return Err(refusal::function_in_gather(name));
                }
            }
            let is_own = functions.catalog.is_some_and(|catalog| catalog.functions(None, name).next().is_some());
            if is_own && !called.own.contains(&name.to_string()) {
                called.own.push(name.to_string());
            }
        }
        if databases != called.databases.len() {
            return Err(refusal::function_in_gather("current_database"));
        }
        called.moments = moments::of(text, moments);
        Ok(called)
    }

    fn gather(mut self, text: Text<'_>, collected: Collected, qualifiers: Qualifiers) -> Gather {
        for view in &collected.views {
            self.own.extend(view.rewriting.functions.iter().cloned());
            self.reads_settings |= view.rewriting.reads_settings;
        }
        Gather {
            tables: collected.tables,
            views: collected.views,
            may_be_hidden: collected.may_be_hidden,
            query: 0..text.pieces.len(),
            left_out: qualifiers.left_out,
            replaced: qualifiers.replaced,
            renamed: Vec::new(),
            functions: self.own,
            moments: self.moments,
            databases: self.databases,
            target: None,
            reads_settings: self.reads_settings,
        }
    }
}

impl Table {
    /// The columns that it has on the scratch database, with its primary key or without.
    pub fn columns(&self, with_key: bool) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(move |column| with_key || !column.for_key)
    }

    fn is(&self, schema: &str, name: &str) -> bool {
        self.schema == schema && self.name == name
    }

    /// A temporary one, perhaps: only the client's connection knows what it is.
    fn unknown(found: &super::tables::Found) -> Self {
        Self {
            schema: found.schema.clone(),
            name: found.name.clone(),
            made: found.name.clone(),
            display: found.display.clone(),
            oid: 0,
            row_types: (0, 0),
            columns: Vec::new(),
            primary_key: Vec::new(),
            source: Source::Home,
            named: Vec::new(),
            conditions: Vec::new(),
        }
    }

    /// A catalog, of the home shard.
    pub fn is_system(&self) -> bool {
        !self.named.is_empty()
    }

    pub fn is_unknown(&self) -> bool {
        self.oid == 0 && self.columns.is_empty()
    }

    /// Which of its rows are gathered in this call, as SQL; empty: all.
    pub fn condition(&self, call: &super::evaluate::Call<'_>) -> String {
        pushed::sql(&self.conditions, call)
    }

    fn of(
        found: &super::tables::Found,
        known: &Relation,
        (columns, primary_key): (Vec<Column>, Vec<String>),
        source: Source,
    ) -> Self {
        Self {
            schema: found.schema.clone(),
            name: found.name.clone(),
            made: found.name.clone(),
            display: found.display.clone(),
            oid: known.oid,
            row_types: known.row_types,
            columns,
            primary_key,
            source,
            named: Vec::new(),
            conditions: Vec::new(),
        }
    }
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

fn has_parts(scene: &Scene, table: &Table) -> bool {
    scene.catalog.as_ref().is_some_and(|catalog| catalog.descendants(&table.schema, &table.name).next().is_some())
}
