//! What a gather puts on the scratch database: tables, each once, with the columns that any use of it needs, and views.
//! In: what names were found to mean. Out: [`Table`]s and [`MadeView`]s.

use std::sync::Arc;

use super::{Called, Column, Gather, Source, Table, columns, may_be_copied, text};
use crate::catalog::Relation;
use crate::planning::keys::Locations;
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::scene::Scene;
use crate::planning::tables::{Found, Location};
use crate::planning::text::Text;
use crate::planning::views::View;
use crate::sql::statement::{Source as Named, Statement};

/// A table within a view, with the columns that the view may read.
#[derive(Debug)]
pub struct Base {
    pub found: Found,
    columns: Vec<Column>,
    primary_key: Vec<String>,
}

/// A view as it is made on the scratch database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MadeView {
    pub schema: String,
    pub name: String,
    /// Of the home shard, as are the types of its rows and of arrays of them.
    pub oid: u32,
    pub row_types: (u32, u32),
    /// The numbers of its columns.
    pub columns: Vec<i16>,
    /// As the home shard prints it.
    pub definition: String,
    /// What is to be done with that text.
    pub rewriting: Gather,
}

impl MadeView {
    pub fn is(&self, schema: &str, name: &str) -> bool {
        self.schema == schema && self.name == name
    }
}

/// The tables that a view's definition reads, and those of the views within it.
///
/// # Errors
/// For what can't be gathered.
pub fn bases<'f>(
    text: Text<'_>,
    statement: &Statement,
    found: impl Iterator<Item = &'f Found>,
    nested: &[Arc<View>],
    scene: &Scene,
) -> Result<Vec<Base>, Refusal> {
    let mut bases: Vec<Base> = Vec::new();
    let mut add = |found: &Found, columns: Vec<Column>, primary_key: Vec<String>| match bases
        .iter_mut()
        .find(|base| base.found.schema == found.schema && base.found.name == found.name)
    {
        Some(base) => unite(&mut base.columns, columns),
        None => bases.push(Base { found: found.clone(), columns, primary_key }),
    };
    for found in found.filter(|found| found.view.is_none()) {
        let (columns, primary_key) = columns::of(text, statement, known(scene, found)?);
        add(found, columns, primary_key);
    }
    for base in nested.iter().flat_map(|view| &view.bases) {
        add(&base.found, base.columns.clone(), base.primary_key.clone());
    }
    Ok(bases)
}

/// # Errors
/// For a definition that means something else on the scratch database.
pub fn made_view<'f>(
    text: Text<'_>,
    statement: &Statement,
    relation: &Relation,
    found: impl Iterator<Item = &'f Found>,
    scene: &Scene,
) -> Result<MadeView, Refusal> {
    statement.scopes.iter().try_for_each(super::clauses)?;
    let calls = statement.calls.iter().map(|call| (call.schema.as_deref(), &*call.name, call.arguments));
    let called = Called::of(text, calls, scene)?;
    let names: Vec<_> = found.map(|found| (found.schema.clone(), found.name.clone())).collect();
    let qualifiers = text::qualifiers(text, statement, &names);
    Ok(MadeView {
        schema: relation.schema.clone(),
        name: relation.name.clone(),
        oid: relation.oid,
        row_types: relation.row_types,
        columns: relation.columns.iter().map(|column| column.number).collect(),
        definition: String::from_utf8_lossy(text.sql).into_owned(),
        rewriting: called.gather(text, Collected::new(0), qualifiers),
    })
}

fn known<'s>(scene: &'s Scene, found: &Found) -> Result<&'s Relation, Refusal> {
    let known = scene.catalog.as_ref().and_then(|catalog| catalog.relation(&found.schema, &found.name));
    known.filter(|known| may_be_copied(known)).ok_or_else(|| refusal::cannot_gather_table(&found.display))
}

/// Adds columns of the same table, in its order.
fn unite(columns: &mut Vec<Column>, more: Vec<Column>) {
    for column in more {
        match columns.iter_mut().find(|known| known.name == column.name) {
            Some(known) => known.for_key &= column.for_key,
            None => columns.push(column),
        }
    }
    columns.sort_by_key(|column| column.number);
}

pub(super) struct Collected {
    pub tables: Vec<Table>,
    pub views: Vec<MadeView>,
    pub may_be_hidden: Vec<String>,
    /// Tables of one name will be told apart.
    pub has_twins: bool,
    /// The use of a sharded table that the next one within a view is.
    next_use: usize,
}

const TWINS: &str = "two tables of one name, from different schemas,";

impl Collected {
    /// `uses`: those that the statement names itself.
    pub fn new(uses: usize) -> Self {
        Self { tables: Vec::new(), views: Vec::new(), may_be_hidden: Vec::new(), has_twins: false, next_use: uses }
    }

    /// Adds all columns of a table, or a view whose uses of sharded tables end before `uses`.
    pub fn add_numbered(
        &mut self,
        found: &Found,
        node: Option<usize>,
        uses: usize,
        scene: &Scene,
    ) -> Result<(), Refusal> {
        let within = if matches!(found.location, Location::Viewed) { found.uses_within().count() } else { 0 };
        self.next_use = uses.saturating_sub(within);
        self.add(found, node, scene, columns::all)
    }

    /// Adds the table or the view behind a relation, or this use of it. `node`: the use of a sharded table that it is.
    pub fn add(
        &mut self,
        found: &Found,
        node: Option<usize>,
        scene: &Scene,
        columns: impl FnOnce(&Relation) -> (Vec<Column>, Vec<String>),
    ) -> Result<(), Refusal> {
        let catalog = scene.catalog.as_ref();
        let is_known = catalog.is_some_and(|catalog| catalog.relation(&found.schema, &found.name).is_some());
        if matches!(found.location, Location::Home) && !is_known && found.view.is_none() {
            return self.unknown(found);
        }
        if found.may_be_hidden && !self.may_be_hidden.contains(&found.name) {
            self.may_be_hidden.push(found.name.clone());
        }
        let Some(view) = &found.view else {
            let known = known(scene, found)?;
            let source = source(found, node)?;
            let (columns, primary_key) = columns(known);
            // Names within views aren't told apart.
            if !self.has_twins || !self.views.is_empty() {
                self.unique(found)?;
            }
            return self.table(found, known, (columns, primary_key), source);
        };
        for base in &view.bases {
            let mut node = node;
            if matches!(found.location, Location::Viewed) && matches!(base.found.location, Location::Sharded(_)) {
                node = Some(self.next_use);
                self.next_use += 1;
            }
            let source = source(&base.found, node)?;
            let gathered = (base.columns.clone(), base.primary_key.clone());
            self.unique(&base.found)?;
            self.table(&base.found, known(scene, &base.found)?, gathered, source)?;
        }
        for view in view.nested.iter().chain([view]) {
            if self.views.iter().any(|known| known.is(&view.made.schema, &view.made.name)) {
                continue;
            }
            if self.names().iter().any(|(_, known)| *known == view.made.name) {
                return Err(refusal::not_gathered(TWINS));
            }
            self.views.push(view.made.clone());
        }
        Ok(())
    }

    fn table(
        &mut self,
        found: &Found,
        known: &Relation,
        gathered: (Vec<Column>, Vec<String>),
        source: Source,
    ) -> Result<(), Refusal> {
        let is_it = |table: &&mut Table| table.schema == found.schema && table.name == found.name;
        if let Some(table) = self.tables.iter_mut().find(is_it) {
            if let (Source::Shards(uses), Source::Shards(more)) = (&mut table.source, source) {
                uses.extend(more);
            }
            unite(&mut table.columns, gathered.0);
            return Ok(());
        }
        self.tables.push(Table::of(found, known, gathered, source));
        Ok(())
    }

    fn unknown(&mut self, found: &Found) -> Result<(), Refusal> {
        if !self.tables.iter().any(|table| table.is(&found.schema, &found.name)) {
            self.unique(found)?;
            self.tables.push(Table::unknown(found));
        }
        Ok(())
    }

    /// A catalog, as the home shard has it, with those of its columns that have one of these names.
    pub fn system(&mut self, found: &Found, named: Vec<String>) -> Result<(), Refusal> {
        self.unknown(found)?;
        if let Some(table) = self.tables.iter_mut().find(|table| table.is(&found.schema, &found.name)) {
            table.named = named;
        }
        Ok(())
    }

    /// That no other table has its name.
    fn unique(&self, found: &Found) -> Result<(), Refusal> {
        let is_other = |(schema, name): &(String, String)| *name == found.name && *schema != found.schema;
        if self.names().iter().any(is_other) {
            return Err(refusal::not_gathered(TWINS));
        }
        Ok(())
    }

    /// Tables of one name get others, but for one of them: those that are always written with their schemas.
    pub fn tell_apart(&mut self, statement: &Statement, locations: &Locations) -> Result<(), Refusal> {
        let is_bare = |table: &Table| {
            let relations = statement.scopes.iter().zip(locations);
            let mut uses = relations.flat_map(|(scope, found)| scope.relations.iter().zip(found));
            uses.any(|(relation, found)| {
                let is_it = found.as_ref().is_some_and(|found| table.is(&found.schema, &found.name));
                is_it && matches!(&relation.source, Named::Table(name) if name.schema.is_none())
            })
        };
        for at in 0..self.tables.len() {
            let Some(table) = self.tables.get(at) else { break };
            let twin =
                |other: &Table| other.name == table.name && other.made == other.name && other.schema != table.schema;
            if !self.tables.iter().any(twin) || is_bare(table) {
                continue;
            }
            let made = format!("shardway {at}");
            if let Some(table) = self.tables.get_mut(at) {
                table.made = made;
            }
        }
        let mut made: Vec<&str> = self.tables.iter().map(|table| table.made.as_str()).collect();
        made.extend(self.views.iter().map(|view| view.name.as_str()));
        made.sort_unstable();
        match made.windows(2).any(|pair| pair.first() == pair.last()) {
            true => Err(refusal::not_gathered(TWINS)),
            false => Ok(()),
        }
    }

    /// Schemas and names of all.
    pub fn names(&self) -> Vec<(String, String)> {
        let tables = self.tables.iter().map(|table| (table.schema.clone(), table.name.clone()));
        tables.chain(self.views.iter().map(|view| (view.schema.clone(), view.name.clone()))).collect()
    }
}

fn source(found: &Found, node: Option<usize>) -> Result<Source, Refusal> {
    match (&found.location, node) {
        (Location::Sharded(_), Some(node)) => Ok(Source::Shards(vec![node])),
        (Location::Reference, _) => Ok(Source::Any),
        (Location::Home, _) => Ok(Source::Home),
        (Location::Sharded(_) | Location::System | Location::Viewed, _) => {
            Err(refusal::not_gathered("a system catalog"))
        }
    }
}
