//! Which tables the parts of a statement change, and if the order in which they are run can be told. In: the parts. Out:
//! the tables, or nothing where one part would feel what another has done.

use super::units::Unit;
use crate::catalog::{Catalog, QualifiedName};
use crate::planning::scene::Scene;
use crate::sql::statement::Write;

/// Tables by the position of the part that changes them; what cascades is counted with it.
pub struct Affected {
    pub tables: Vec<(QualifiedName, usize)>,
}

impl Affected {
    /// If a part other than this one changes the table, or one of its parts or parents.
    pub fn elsewhere(&self, scene: &Scene, name: &QualifiedName, unit: usize) -> bool {
        let catalog = scene.catalog.as_deref();
        self.tables.iter().any(|(table, by)| *by != unit && catalog.is_none_or(|catalog| related(catalog, table, name)))
    }
}

/// If they share rows: one is the other, or a part of it.
fn related(catalog: &Catalog, one: &QualifiedName, other: &QualifiedName) -> bool {
    let within = |parent: &QualifiedName, child: &QualifiedName| {
        catalog.relation(&child.schema, &child.name).is_some_and(|relation| relation.parents.contains(parent))
    };
    one == other || within(one, other) || within(other, one)
}

/// `None` where two parts may get into each other's way.
pub fn of(units: &[Unit], scene: &Scene) -> Option<Affected> {
    let catalog = scene.catalog.as_deref()?;
    let mut tables: Vec<(QualifiedName, usize)> = Vec::new();
    let mut targets: Vec<(QualifiedName, usize)> = Vec::new();
    for (position, unit) in units.iter().enumerate().filter(|(_, unit)| unit.writes) {
        let found = unit.target()?;
        let name = QualifiedName::new(found.schema.clone(), found.name.clone());
        if found.view.is_some() || targets.iter().any(|(other, _)| related(catalog, other, &name)) {
            return None;
        }
        targets.push((name.clone(), position));
        tables.push((name.clone(), position));
        if matches!(unit.statement.writes.first(), Some(Write::Insert { conflict_sets, .. }) if conflict_sets.is_empty())
        {
            continue;
        }
        for child in cascade(catalog, &name) {
            tables.push((child, position));
        }
    }
    for (name, position) in &targets {
        for (other, by) in &targets {
            if position != by && !in_order(catalog, units, (name, *position), (other, *by)) {
                return None;
            }
        }
    }
    Some(Affected { tables })
}

/// The tables whose rows go or change with those of this one.
fn cascade(catalog: &Catalog, name: &QualifiedName) -> Vec<QualifiedName> {
    let mut seen = vec![name.clone()];
    let mut at = 0;
    while let Some(parent) = seen.get(at).cloned() {
        at += 1;
        for child in catalog.relations() {
            let cascades = child.foreign_keys.iter().any(|key| key.cascades && key.references == parent);
            if cascades && !seen.contains(&child.qualified_name()) {
                seen.push(child.qualified_name());
            }
        }
    }
    seen.split_off(1)
}

/// One server checks references when all parts are done. Run one after the other they come to the same if rows that are
/// referred to are there before those that refer to them, and go after them.
fn in_order(
    catalog: &Catalog,
    units: &[Unit],
    child: (&QualifiedName, usize),
    parent: (&QualifiedName, usize),
) -> bool {
    let refers =
        |relation: &crate::catalog::Relation| relation.foreign_keys.iter().any(|key| key.references == *parent.0);
    let direct = catalog.relation(&child.0.schema, &child.0.name).is_some_and(refers);
    let cascades = cascade(catalog, parent.0).contains(child.0);
    if !direct && !cascades {
        return true;
    }
    let write = |position: usize| units.get(position).and_then(|unit| unit.statement.writes.first());
    match (write(child.1), write(parent.1)) {
        (Some(Write::Insert { conflict_sets, .. }), Some(Write::Insert { conflict_sets: sets, .. })) => {
            conflict_sets.is_empty() && sets.is_empty() && parent.1 < child.1
        }
        (Some(Write::Delete { .. }), Some(Write::Delete { .. })) => child.1 < parent.1,
        _ => false,
    }
}
