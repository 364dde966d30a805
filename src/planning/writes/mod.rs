//! Where new rows go, and changes of keys. In: a write whose target is sharded. Out: the keys of the
//! rows it makes, as uses of the table.

pub mod copies;
mod defaults;
mod merges;
mod moment;
pub mod moves;
pub mod precedence;
mod references;
pub mod returned;
mod rows;
mod shares;
pub mod splice;
pub mod watch;

use std::sync::Arc;

pub use copies::Copies;
pub use defaults::check as check_defaults;
pub use moment::{
    Moment, MomentCall, MomentKind, calls as moment_calls, found as found_moments, wanted as moments_wanted,
};
pub use moves::Moves;
pub use rows::{Fill, Returns, RowsLayout, conflicts_elsewhere, fill as rows_fill};

use super::build;
use super::functions::Class;
use super::keys::{Keys, Locations, Node, Place};
use super::plan::Refusal;
use super::refusal;
use super::route::{Override, Rows, Use};
use super::scene::Scene;
use super::tables::Found;
use super::text::Text;
use crate::catalog::{Column, Relation};
use crate::routing::Sharded;
use crate::sql::LexOptions;
use crate::sql::statement::{Assignment, Constant, InsertSource, Name, Operand, Statement, Write};
use crate::types::KeyType;

/// The sharded target of a write.
pub struct Target<'a> {
    pub found: &'a Found,
    pub sharded: &'a Sharded,
    pub statement: &'a Statement,
    pub locations: &'a Locations,
    pub keys: &'a Keys,
    pub scene: &'a Scene,
}

/// How a statement writes on several shards.
#[derive(Debug)]
pub struct Several {
    pub how: How,
    /// The target has columns of dates or times: literals may be read as the server's clock.
    pub dated: bool,
}

#[derive(Debug)]
pub enum How {
    /// The same on each; see [`shares`].
    Shares(Arc<[MomentCall]>),
    /// Each its rows.
    Rows(Arc<RowsLayout>),
    /// Rows go to other shards.
    Moves(Arc<Moves>),
    /// It is wrong in a way that any server finds before it writes.
    Fails,
}

type Written<T> = Result<T, (Refusal, Override)>;

/// Rows of the target of an INSERT aren't looked for: conflicting ones have the key of a new one.
pub fn is_insert_target(statement: &Statement, place: Place) -> bool {
    statement.writes.iter().any(|write| matches!(write, Write::Insert { scope, target, .. } if *scope == place.scope && *target == place.relation))
}

impl Target<'_> {
    /// Why such a write can't go to several shards.
    pub fn spread(&self, write: &Write) -> Refusal {
        match write {
            Write::Insert { source: InsertSource::Query(_), .. } => {
                refusal::insert_query(&self.found.display, &self.sharded.key)
            }
            Write::Insert { .. } => refusal::several_shards("INSERT"),
            Write::Update { .. } | Write::Delete { .. } => refusal::unbound(&self.found.display, &self.sharded.key),
            Write::Merge { .. } => refusal::merge(),
        }
    }

    /// # Errors
    /// Why it can't go to several shards.
    pub fn several(&self, write: &Write, text: Text<'_>) -> Result<Several, Refusal> {
        let how = match write {
            Write::Update { assignments, .. } if self.sets_nothing(assignments) => How::Fails,
            Write::Update { assignments, .. } if moves::changes(self, assignments) => {
                How::Moves(moves::plan(self, write, text)?.into())
            }
            Write::Update { .. } | Write::Delete { .. } => How::Shares(shares::check(self, write, text)?.into()),
            Write::Merge { .. } => {
                merges::check(self, write, text)?;
                How::Shares(shares::check(self, write, text)?.into())
            }
            Write::Insert { source: InsertSource::Rows(rows), .. } => {
                let width = rows.first().map_or(0, Vec::len);
                if rows.iter().any(|row| row.len() != width) {
                    How::Fails
                } else {
                    How::Rows(rows::layout(self, write, text)?.into())
                }
            }
            _ => return Err(self.spread(write)),
        };
        let relation = self.relation();
        // A source isn't searched for columns of dates.
        let is_merge = matches!(write, Write::Merge { .. });
        let dated = is_merge || relation.is_none_or(|relation| relation.columns.iter().any(is_dated));
        Ok(Several { how, dated })
    }

    /// If an UPDATE sets the key to what only each row tells.
    pub fn computes_key(&self, write: &Write) -> bool {
        let Write::Update { assignments, .. } = write else { return false };
        let is_constant = |set: &Assignment| matches!(set.value, Operand::Constant(_));
        moves::changes(self, assignments)
            && assignments.iter().any(|set| *set.column == *self.sharded.key && !is_constant(set))
    }

    /// If a column isn't there, or can't be set.
    fn sets_nothing(&self, assignments: &[Assignment]) -> bool {
        let Some(relation) = self.relation() else { return false };
        let can_be_set = |set: &Assignment| {
            relation
                .column(&set.column)
                .is_some_and(|column| !column.generated || matches!(set.value, Operand::Default))
        };
        moves::changes(self, assignments) && !assignments.iter().all(can_be_set)
    }

    fn relation(&self) -> Option<&Relation> {
        self.scene.catalog.as_ref()?.relation(&self.found.schema, &self.found.name)
    }

    /// That DEFAULT means the same on every shard.
    fn check_same_default(&self, column: &Name) -> Result<(), Refusal> {
        let Some(column) = self.relation().and_then(|relation| relation.column(column)) else { return Ok(()) };
        same_default(self.scene, column).map_err(|()| refusal::volatile_default(&self.found.display, &column.name))
    }

    /// # Errors
    /// Where the shard of a row can't be known.
    pub fn new_rows(&self, write: &Write) -> Written<Vec<Use>> {
        match write {
            Write::Insert { scope: _, target: _, columns, source, conflict_sets } => {
                if conflict_sets.iter().any(|column| **column == *self.sharded.key) {
                    return Err((self.key_change(), Override::Never));
                }
                self.insert(columns, source).map(|rows| vec![self.uses(rows)])
            }
            Write::Update { assignments, .. } => self.assigned(assignments, true),
            Write::Delete { .. } => Ok(Vec::new()),
            Write::Merge { scope, assignments, inserts, .. } => {
                let mut uses = self.assigned(assignments, false)?;
                for insert in inserts {
                    let position = self.position(&insert.columns)?;
                    let value = insert.values.get(position).ok_or_else(|| self.left_out())?;
                    uses.push(self.uses(self.keys_of(value, *scope)?));
                }
                Ok(uses)
            }
        }
    }

    fn uses(&self, rows: Rows) -> Use {
        let column = self
            .scene
            .catalog
            .as_ref()
            .and_then(|catalog| catalog.relation(&self.found.schema, &self.found.name)?.column(&self.sharded.key));
        Use {
            display: self.found.display.clone(),
            column: format!("{}.{}", self.found.display, self.sharded.key).into(),
            sharded: self.sharded.clone(),
            rows,
            cuts: column.is_some_and(|column| column.type_modifier.is_some()),
            not_null: column.is_some_and(|column| column.not_null),
        }
    }

    fn key_change(&self) -> Refusal {
        refusal::key_change(&self.found.display, &self.sharded.key)
    }

    fn left_out(&self) -> (Refusal, Override) {
        (refusal::key_left_out(&self.found.display, &self.sharded.key), Override::Shard)
    }

    fn unknown(&self) -> (Refusal, Override) {
        (refusal::key_unknown(&self.found.display, &self.sharded.key), Override::Key)
    }

    /// Where the key is among the columns; without a list, among all columns of the table.
    fn position(&self, columns: &[Name]) -> Written<usize> {
        if columns.is_empty() {
            let relation =
                self.scene.catalog.as_ref().and_then(|catalog| catalog.relation(&self.found.schema, &self.found.name));
            let position = relation
                .and_then(|relation| relation.columns.iter().position(|column| column.name == self.sharded.key));
            return position.ok_or_else(|| (refusal::no_column_list(&self.found.display), Override::Key));
        }
        columns.iter().position(|column| **column == *self.sharded.key).ok_or_else(|| self.left_out())
    }

    fn insert(&self, columns: &[Name], source: &InsertSource) -> Written<Rows> {
        if matches!(source, InsertSource::DefaultValues) {
            return Err(self.left_out());
        }
        let position = self.position(columns)?;
        self.check_defaults(columns, source)?;
        match source {
            InsertSource::DefaultValues => Err(self.left_out()),
            InsertSource::Rows(rows) => {
                let key = |row: &Vec<Operand>| match row.get(position) {
                    Some(Operand::Constant(constant)) => Ok(constant.clone()),
                    None | Some(Operand::Default) => Err(self.left_out()),
                    Some(Operand::Column(_) | Operand::Opaque) => Err(self.unknown()),
                };
                rows.iter().map(key).collect::<Written<Vec<Constant>>>().map(Rows::New)
            }
            InsertSource::Query(scope) => {
                let query = self.statement.scopes.get(*scope).filter(|query| {
                    let features = &query.features;
                    !(features.set_operation || features.values || features.grouping_sets)
                });
                let refused = || (refusal::insert_query(&self.found.display, &self.sharded.key), Override::Key);
                let output = query.and_then(|query| query.outputs.get(position)).ok_or_else(refused)?;
                self.keys_of(output, *scope).map_err(|_| refused())
            }
        }
    }

    /// Columns that are left to their defaults must get what one server would have given them.
    fn check_defaults(&self, columns: &[Name], source: &InsertSource) -> Written<()> {
        let relation =
            self.scene.catalog.as_ref().and_then(|catalog| catalog.relation(&self.found.schema, &self.found.name));
        for (position, column) in relation.iter().flat_map(|relation| &relation.columns).enumerate() {
            let place = match columns {
                [] => Some(position),
                listed => listed.iter().position(|name| **name == *column.name),
            };
            let given = place.is_some_and(|place| match source {
                InsertSource::DefaultValues => false,
                InsertSource::Rows(rows) => {
                    rows.iter().all(|row| row.get(place).is_some_and(|value| !matches!(value, Operand::Default)))
                }
                // How many columns a query has isn't always known: without a list all are taken to be given.
                InsertSource::Query(_) => true,
            });
            if !given {
                self.check_default(column)?;
            }
        }
        Ok(())
    }

    fn check_default(&self, column: &Column) -> Written<()> {
        let serial = || (refusal::serial(&self.found.display, &column.name), Override::Shard);
        if column.identity {
            return Err(serial());
        }
        let Some(text) = &column.default else { return Ok(()) };
        let pieces = build::pieces(text.as_bytes(), &LexOptions { standard_conforming_strings: true });
        let functions = self.scene.functions();
        for called in (Text { sql: text.as_bytes(), pieces: &pieces }).calls() {
            match functions.class(called.schema.as_deref(), &called.name) {
                Class::HomeBound => return Err(serial()),
                Class::ReadsTables | Class::Unknown => {
                    let why = refusal::default_calls(&self.found.display, &column.name, &called.name);
                    return Err((why, Override::Shard));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A value in terms of the columns of a scope.
    fn keys_of(&self, operand: &Operand, scope: usize) -> Written<Rows> {
        match operand {
            Operand::Constant(constant) => Ok(Rows::New(vec![constant.clone()])),
            Operand::Default => Err(self.left_out()),
            Operand::Opaque => Err(self.unknown()),
            Operand::Column(column) => {
                let relations = self.statement.scopes.get(scope).map_or(0, |scope| scope.relations.len());
                let node = self.keys.node_of(self.statement, self.locations, scope, &(0..relations), column);
                let node = node.and_then(|node| self.keys.nodes.get(node)).ok_or_else(|| self.unknown())?;
                if self.is_plain(node, scope) && same_family(node.sharded.key_type, self.sharded.key_type) {
                    Ok(Rows::Matching(node.tests.clone()))
                } else {
                    Err(self.unknown())
                }
            }
        }
    }

    /// If the node's rows are never replaced by nulls.
    fn is_plain(&self, node: &Node, scope: usize) -> bool {
        let mut plain = Vec::new();
        for tree in self.statement.scopes.get(scope).into_iter().flat_map(|scope| &scope.from) {
            tree.plain(&mut plain);
        }
        node.place.scope == scope && plain.contains(&node.place.relation)
    }

    /// A key that is set to a constant stays on its shard if the constant belongs there. Where it is computed, rows
    /// `may_move`.
    fn assigned(&self, assignments: &[Assignment], may_move: bool) -> Written<Vec<Use>> {
        let mut uses = Vec::new();
        for set in assignments.iter().filter(|set| *set.column == *self.sharded.key) {
            match &set.value {
                Operand::Constant(constant) => uses.push(self.uses(Rows::New(vec![constant.clone()]))),
                _ if may_move => {}
                _ => return Err((self.key_change(), Override::Never)),
            }
        }
        Ok(uses)
    }
}

/// That a column's default has the same value on every shard.
fn same_default(scene: &Scene, column: &Column) -> Result<(), ()> {
    if column.identity {
        return Err(());
    }
    let Some(text) = &column.default else {
        // The default of a domain isn't known.
        return if column.has_default && !column.generated { Err(()) } else { Ok(()) };
    };
    let pieces = build::pieces(text.as_bytes(), &LexOptions { standard_conforming_strings: true });
    let text = Text { sql: text.as_bytes(), pieces: &pieces };
    let functions = scene.functions();
    let differs = |called: &super::text::Called| {
        functions.class(called.schema.as_deref(), &called.name) != Class::Harmless
            || shares::is_volatile(scene, &called.name)
    };
    // What isn't a call, but a word like CURRENT_DATE or CURRENT_USER.
    let is_bare = |at: usize| {
        let class = text.name(at).map(|name| functions.class(None, &name));
        !text.punct(at + 1, b'(') && matches!(class, Some(Class::Moment | Class::Server))
    };
    if text.calls().iter().any(differs) || (0..pieces.len()).any(is_bare) { Err(()) } else { Ok(()) }
}

fn is_dated(column: &Column) -> bool {
    ["date", "time", "timestamp", "timestamptz", "timetz"].iter().any(|name| column.type_name.starts_with(name))
}

/// If a value of one key is a value of the other as it is.
fn same_family(one: Option<KeyType>, other: Option<KeyType>) -> bool {
    let is_integer = |key_type| matches!(key_type, Some(KeyType::Int2 | KeyType::Int4 | KeyType::Int8));
    one == other || is_integer(one) && is_integer(other)
}
