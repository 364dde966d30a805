//! Foreign keys of a write that has no key: each shard checks and cascades among its own rows, which is the whole only
//! where both ends of a reference are on one shard. In: the target. Out: nothing, or which constraint is in the way.

use super::Target;
use crate::catalog::{ForeignKey, QualifiedName, Relation};
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::scene::Scene;
use crate::planning::tables::display;
use crate::routing::TableRoute;
use crate::sql::statement::{Name, Write};

/// # Errors
/// A constraint whose other end may be on another shard.
pub fn check(table: &Target<'_>, write: &Write) -> Result<(), Refusal> {
    let columns: Option<Vec<&Name>> = match write {
        Write::Update { assignments, .. } => Some(assignments.iter().map(|set| &set.column).collect()),
        _ => None,
    };
    let touches = |columns_of_key: &[String]| match &columns {
        Some(set) => columns_of_key.iter().any(|column| set.iter().any(|name| ***name == **column)),
        None => true,
    };
    of_table(table.scene, &table.found.schema, &table.found.name, columns.is_some(), &touches)
}

/// The same for all rows of a table, TRUNCATE and DELETE alike.
///
/// # Errors
/// As [`check`].
pub fn of_table(
    scene: &Scene,
    schema: &str,
    name: &str,
    updates: bool,
    touches: &dyn Fn(&[String]) -> bool,
) -> Result<(), Refusal> {
    let Some(catalog) = &scene.catalog else { return Ok(()) };
    let target = QualifiedName::new(schema, name);
    if updates && let Some(relation) = catalog.relation(schema, name) {
        for key in relation.foreign_keys.iter().filter(|key| touches(&key.columns)) {
            local(scene, &target, &key.references, key)?;
        }
    }
    // Where a change cascades, the tables behind are changed as well.
    let mut open = vec![target.clone()];
    let mut seen = vec![target.clone()];
    while let Some(parent) = open.pop() {
        let whole = parent != target;
        for (child, key) in referring(catalog.relations(), &parent) {
            if !whole && !touches(&key.referenced_columns) {
                continue;
            }
            let name = child.qualified_name();
            local(scene, &name, &parent, key)?;
            if key.cascades && !seen.contains(&name) {
                seen.push(name.clone());
                open.push(name);
            }
        }
    }
    Ok(())
}

fn referring<'a>(
    relations: impl Iterator<Item = &'a Relation>,
    parent: &QualifiedName,
) -> Vec<(&'a Relation, &'a ForeignKey)> {
    relations
        .flat_map(|relation| relation.foreign_keys.iter().map(move |key| (relation, key)))
        .filter(|(_, key)| key.references == *parent)
        .collect()
}

/// A row of `child` is where the row of `parent` is that it refers to, or every shard has that row.
fn local(scene: &Scene, child: &QualifiedName, parent: &QualifiedName, key: &ForeignKey) -> Result<(), Refusal> {
    let route = |name: &QualifiedName| scene.map.table(&name.schema, &name.name);
    let is_local = match (route(child), route(parent)) {
        (_, Some(TableRoute::Reference)) => true,
        (Some(TableRoute::Sharded(child)), Some(TableRoute::Sharded(parent))) => {
            let mut pairs = key.columns.iter().zip(&key.referenced_columns);
            child.group == parent.group && pairs.any(|(one, other)| *one == *child.key && *other == *parent.key)
        }
        (None, None) => true,
        _ => false,
    };
    if is_local {
        return Ok(());
    }
    let shown = |name: &QualifiedName| display(&name.schema, &name.name);
    Err(refusal::foreign_key_of_write(&key.name, &shown(child), &shown(parent)))
}
