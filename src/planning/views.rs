//! Views that read sharded tables: what the server says that they are. In: the definition as the catalog has it. Out:
//! a sharded table, if each row of the view comes from rows of one key, which it has as a column; else what it is
//! made of, for a gather.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::build;
use super::gather::{self, Base};
use super::keys::{Keys, Locations};
use super::plan::Refusal;
use super::resolve::Resolver;
use super::scatter;
use super::scene::{Names, Scene};
use super::tables::{self, Found, Location};
use super::text::Text;
use crate::catalog::{Relation, RelationKind};
use crate::routing::Sharded;
use crate::sql::LexOptions;
use crate::sql::parse;
use crate::sql::statement::{Kind, Source, Statement};

/// Schema and name, and the message that calls it as the statement does.
type Called = (String, String, String);

/// The views of a scene that were understood, so that each is read once and not for each statement that names it.
#[derive(Debug, Default)]
pub struct LookedAt {
    known: Mutex<HashMap<Called, (Location, Arc<View>)>>,
}

/// Views within views that are followed; PostgreSQL allows no cycle.
const NESTED_MAX: usize = 16;

/// What a view is made of.
#[derive(Debug)]
pub struct View {
    /// For the scratch database.
    pub made: gather::MadeView,
    /// The tables that it reads, those of the views within it included.
    pub bases: Vec<Base>,
    /// The views that it reads, each before those that read it.
    pub nested: Vec<Arc<View>>,
    /// What to say where it can't be used.
    pub refusal: Refusal,
}

/// Where the view's rows are, and what it is made of; `None`: it isn't understood.
pub fn look(scene: &Scene, relation: &Relation, refusal: Refusal, depth: usize) -> Option<(Location, Arc<View>)> {
    let name = (relation.schema.clone(), relation.name.clone(), refusal.message.clone());
    let known = || scene.views.known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((location, view)) = known().get(&name) {
        return Some((location.clone(), Arc::clone(view)));
    }
    let (location, view) = read(scene, relation, refusal, depth)?;
    known().insert(name, (location.clone(), Arc::clone(&view)));
    Some((location, view))
}

fn read(scene: &Scene, relation: &Relation, refusal: Refusal, depth: usize) -> Option<(Location, Arc<View>)> {
    let depth = depth.checked_add(1).filter(|depth| *depth <= NESTED_MAX)?;
    let definition = relation.definition.as_deref().filter(|_| relation.kind == RelationKind::View)?;
    let definition = definition.trim_end().trim_end_matches(';');
    // As it was printed: every name with its schema.
    let names = Names {
        search_path: vec!["pg_catalog".to_owned()],
        temporary: std::collections::BTreeSet::new(),
        standard_conforming_strings: true,
        atomic: false,
    };
    let pieces = build::pieces(definition.as_bytes(), &LexOptions { standard_conforming_strings: true });
    let text = Text { sql: definition.as_bytes(), pieces: &pieces };
    let statement = parse::parse(text.sql, text.pieces).ok()?;
    if statement.kind != Kind::Select || !statement.writes.is_empty() || statement.system_columns {
        return None;
    }
    let locations = locations(&statement, scene, &names, depth);
    let found = || locations.iter().flatten().flatten();
    if found().any(|found| found.refusal.is_some() || matches!(found.location, Location::System)) {
        return None;
    }
    let mut nested: Vec<Arc<View>> = Vec::new();
    for view in found().filter_map(|found| found.view.as_ref()) {
        for view in view.nested.iter().chain([view]) {
            if !nested.iter().any(|known| known.made.is(&view.made.schema, &view.made.name)) {
                nested.push(Arc::clone(view));
            }
        }
    }
    let bases = gather::bases(text, &statement, found(), &nested, scene).ok()?;
    let made = gather::made_view(text, &statement, relation, found(), scene).ok()?;
    let location = match key(&statement, &locations, scene, relation) {
        Some(sharded) => Location::Sharded(sharded),
        None => Location::Viewed,
    };
    Some((location, Arc::new(View { made, bases, nested, refusal })))
}

fn locations(statement: &Statement, scene: &Scene, names: &Names, depth: usize) -> Locations {
    let locate = |source: &Source| match source {
        Source::Table(table) => Some(tables::find_within(scene, names, table, depth)),
        Source::Common(_) | Source::Derived(_) | Source::Function => None,
    };
    let of_scope = |scope: &crate::sql::statement::Scope| {
        scope.relations.iter().map(|relation| locate(&relation.source)).collect()
    };
    statement.scopes.iter().map(of_scope).collect()
}

/// The column by which the view's rows are on shards as a table's are.
fn key(statement: &Statement, locations: &Locations, scene: &Scene, relation: &Relation) -> Option<Sharded> {
    let on_every_shard = |found: &Found| matches!(found.location, Location::Sharded(_) | Location::Reference);
    if !locations.iter().flatten().flatten().all(on_every_shard) {
        return None;
    }
    let keys = Keys::of(statement, locations);
    scatter::rows(statement, &keys, &scene.functions(), true).ok()?;
    if statement.scopes.get(statement.root)?.features.order_by {
        return None;
    }
    let resolver = Resolver { statement, locations };
    relation.columns.iter().find_map(|column| {
        let place = resolver.output(statement.root, &column.name)?;
        // Rows without a key would be on several shards.
        let place = Some(place).filter(|place| keys.never_null(statement, *place))?;
        match &locations.get(place.scope)?.get(place.relation)?.as_ref()?.location {
            Location::Sharded(sharded) => Some(Sharded { key: column.name.clone(), ..sharded.clone() }),
            _ => None,
        }
    })
}

impl View {
    /// The tables within it, each once.
    pub fn sharded(&self) -> impl Iterator<Item = (&Base, &Sharded)> {
        self.bases.iter().filter_map(|base| match &base.found.location {
            Location::Sharded(sharded) => Some((base, sharded)),
            _ => None,
        })
    }

    /// If it reads tables that are on the home shard only.
    pub fn reads_home(&self) -> bool {
        self.bases.iter().any(|base| matches!(base.found.location, Location::Home))
    }
}
