//! Which table a name means, and where that table is.

use super::plan::Refusal;
use super::refusal;
use super::route::Use;
use super::scene::{Names, Scene};
use super::views::{self, View};
use crate::catalog::{QualifiedName, Relation, RelationKind};
use crate::routing::{Sharded, TableRoute};
use crate::sql::statement::TableName;

/// Where the rows behind a name are.
#[derive(Clone, Debug)]
pub enum Location {
    Sharded(Sharded),
    Reference,
    /// A view of tables that aren't all on one shard, whose rows are nowhere as they are.
    Viewed,
    /// On the home shard: unlisted tables, views of them, temporary tables, names that don't exist.
    Home,
    /// pg_catalog and information_schema.
    System,
}

#[derive(Clone, Debug)]
pub struct Found {
    /// As messages show it: without the schema `public`.
    pub display: String,
    pub schema: String,
    pub name: String,
    pub location: Location,
    /// A reason that the name can't be used without a hint.
    pub refusal: Option<Refusal>,
    /// For a view or a part of a sharded table: the sharded table that a hint's key is for.
    pub stands_for: Option<Sharded>,
    /// What it is, if it is a view of sharded tables.
    pub view: Option<std::sync::Arc<View>>,
    /// It is on the home shard, and was named without a schema: a temporary relation of the client's may hide it.
    pub may_be_hidden: bool,
}

impl Found {
    /// The uses of sharded tables within a view that isn't one itself, in the order of its tables.
    pub fn uses_within(&self) -> impl Iterator<Item = Use> {
        let view = self.view.iter().filter(|_| matches!(self.location, Location::Viewed));
        view.flat_map(|view| view.sharded()).map(|(base, sharded)| Use::of_all(&base.found.display, sharded))
    }

    fn at(schema: &str, name: &str, location: Location) -> Self {
        Self {
            display: display(schema, name),
            schema: schema.to_owned(),
            name: name.to_owned(),
            location,
            refusal: None,
            stands_for: None,
            view: None,
            may_be_hidden: false,
        }
    }
}

/// Where Shardway's own tables are on the servers. A role of that name has it first in its search_path, but nobody's
/// tables are there.
pub const OWN_SCHEMA: &str = "shardway";

pub fn display(schema: &str, name: &str) -> String {
    if schema.is_empty() || schema == "public" { name.to_owned() } else { format!("{schema}.{name}") }
}

/// Resolves a name as PostgreSQL would with this search_path.
pub fn find(scene: &Scene, names: &Names, table: &TableName) -> Found {
    let mut found = find_within(scene, names, table, 0);
    found.may_be_hidden = table.schema.is_none() && matches!(found.location, Location::Home);
    found
}

/// As [`find`], for a statement that needs the table; whether it is known is noted in the scene.
pub fn find_needed(scene: &Scene, names: &Names, table: &TableName) -> Found {
    let found = find(scene, names, table);
    let is_there = |catalog: &crate::catalog::Catalog| catalog.relation(&found.schema, &found.name).is_some();
    let is_known = !matches!(found.location, Location::Home)
        || found.schema.starts_with("pg_temp")
        || scene.catalog.as_deref().is_none_or(is_there);
    if !is_known {
        scene.missed.store(true, std::sync::atomic::Ordering::Relaxed);
    }
    found
}

/// As [`find`], for a name in a view that is within so many others.
pub fn find_within(scene: &Scene, names: &Names, table: &TableName, depth: usize) -> Found {
    match table.schema.as_deref() {
        Some(schema) => qualified(scene, schema, &table.name, depth),
        None => unqualified(scene, names, &table.name, depth),
    }
}

fn qualified(scene: &Scene, schema: &str, name: &str, depth: usize) -> Found {
    match schema {
        "pg_catalog" | "information_schema" | "pg_toast" => Found::at(schema, name, Location::System),
        _ if schema.starts_with("pg_temp") => Found::at(schema, name, Location::Home),
        _ => located(scene, schema, name, depth),
    }
}

fn unqualified(scene: &Scene, names: &Names, name: &str, depth: usize) -> Found {
    let explicit_catalog = names.search_path.iter().any(|schema| schema == "pg_catalog");
    // A temporary table comes first unless pg_temp is listed behind others.
    if names.temporary.contains(name) {
        return Found::at("pg_temp", name, Location::Home);
    }
    if !explicit_catalog && is_system(scene, name) {
        return Found::at("pg_catalog", name, Location::System);
    }
    for schema in names.search_path.iter().filter(|schema| *schema != OWN_SCHEMA) {
        let exists = match schema.as_str() {
            "pg_catalog" => is_system(scene, name),
            _ => match &scene.catalog {
                Some(catalog) => catalog.relation(schema, name).is_some(),
                None => scene.map.table(schema, name).is_some(),
            },
        };
        if exists {
            return qualified(scene, schema, name, depth);
        }
    }
    // The servers may have it since the catalog was read: go by the configuration.
    let configured = names.search_path.iter().find(|schema| scene.map.table(schema, name).is_some());
    match configured {
        Some(schema) => located(scene, schema, name, depth),
        None => Found::at("", name, Location::Home),
    }
}

fn is_system(scene: &Scene, name: &str) -> bool {
    match &scene.catalog {
        Some(catalog) if catalog.is_system_relation(name) => true,
        _ => name.starts_with("pg_"),
    }
}

fn located(scene: &Scene, schema: &str, name: &str, depth: usize) -> Found {
    let relation = scene.catalog.as_ref().and_then(|catalog| catalog.relation(schema, name));
    let route = scene.map.table(schema, name);
    let mut found = Found::at(schema, name, Location::Home);
    match route {
        Some(TableRoute::Sharded(sharded)) => found.location = Location::Sharded(sharded.clone()),
        Some(TableRoute::Reference) => found.location = Location::Reference,
        None => {}
    }
    if let Some(relation) = relation {
        inspect(scene, relation, route, &mut found, depth);
    }
    found
}

/// What the catalog adds: views, partitions, rules, and keys that can't be keys.
fn inspect(scene: &Scene, relation: &Relation, route: Option<&TableRoute>, found: &mut Found, depth: usize) {
    if let Some(TableRoute::Sharded(sharded)) = route {
        let supported = relation.column(&sharded.key).is_none_or(|column| column.key_type.is_some());
        if !supported || (relation.kind == RelationKind::View) {
            found.refusal = Some(refusal::key_type(&found.display, &sharded.key));
        }
    }
    if relation.has_rules && !relation.is_view() {
        found.refusal = Some(refusal::rules(&found.display));
    }
    if let Some(parent) =
        relation.parents.iter().find(|parent| differs(route, scene.map.table(&parent.schema, &parent.name)))
    {
        found.refusal = Some(refusal::inherits(&found.display, &display(&parent.schema, &parent.name)));
        found.stands_for = sharded(scene, parent);
    }
    // A table whose parts are placed otherwise isn't where it says, either.
    if let Some(catalog) = &scene.catalog
        && let Some(part) = catalog
            .descendants(&relation.schema, &relation.name)
            .find(|part| scene.map.table(&part.schema, &part.name).is_some_and(|other| differs(route, Some(other))))
    {
        found.refusal = Some(refusal::inherits(&display(&part.schema, &part.name), &found.display));
    }
    // Partitions are where their table is, on every shard; a child by inheritance is a table of its own,
    // on the home shard unless the file says otherwise, and its rows would be counted there only.
    if let Some(catalog) = &scene.catalog
        && route.is_some()
        && relation.kind != RelationKind::PartitionedTable
        && let Some(child) = catalog
            .descendants(&relation.schema, &relation.name)
            .find(|child| scene.map.table(&child.schema, &child.name).is_none())
    {
        found.refusal = Some(refusal::inherits(&display(&child.schema, &child.name), &found.display));
    }
    if relation.is_view() && route.is_none() {
        view(scene, relation, found, depth);
    }
}

fn view(scene: &Scene, relation: &Relation, found: &mut Found, depth: usize) {
    let functions = scene.functions();
    let calls_unknown = relation.called_functions.iter().any(|function| {
        functions.class(Some(&function.schema), &function.name) >= super::functions::Class::ReadsTables
    });
    let is_unsafe = calls_unknown || relation.calls_unsafe_builtins;
    if let Some(read) = relation.reads.iter().find(|read| sharded(scene, read).is_some()) {
        let refusal = refusal::view_of_sharded(&found.display, &display(&read.schema, &read.name));
        let looked = if is_unsafe { None } else { views::look(scene, relation, refusal.clone(), depth) };
        match looked {
            Some((location, view)) => {
                found.location = location;
                found.view = Some(view);
            }
            None => found.refusal = Some(refusal),
        }
        found.stands_for = match &found.location {
            Location::Sharded(_) => None,
            _ => sharded(scene, read),
        };
        return;
    }
    // A materialized view was filled when it was made: reading it calls nothing.
    if relation.kind == RelationKind::View && is_unsafe {
        found.refusal = Some(refusal::view_function(&found.display));
    }
    // A view is not a copy on every shard, even if all that it reads is: it may not exist there.
}

fn sharded(scene: &Scene, name: &QualifiedName) -> Option<Sharded> {
    match scene.map.table(&name.schema, &name.name) {
        Some(TableRoute::Sharded(sharded)) => Some(sharded.clone()),
        _ => None,
    }
}

/// If a part is placed otherwise than its parent.
fn differs(part: Option<&TableRoute>, parent: Option<&TableRoute>) -> bool {
    match (part, parent) {
        (None, None) | (Some(TableRoute::Reference), Some(TableRoute::Reference)) => false,
        (Some(TableRoute::Sharded(part)), Some(TableRoute::Sharded(parent))) => part.group != parent.group,
        _ => true,
    }
}
