//! Tables with columns that are kept unique over all shards. In: a write. Out: whether its shards must be asked
//! afterwards what it has changed in them, and where rows go that may conflict with a row on another shard.

use std::sync::Arc;

use super::Target;
use crate::catalog::{QualifiedName, Relation};
use crate::planning::evaluate::{Call, Value};
use crate::planning::keys::Lookup;
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::scene::Scene;
use crate::routing::Unique;
use crate::sql::statement::{Constant, Name, Operand};
use crate::types::{KeyType, KeyValue};

/// Tables that cascades reach; a chain of them is short.
const CASCADES_MAX: usize = 100;

/// What a write of this table may change of such columns, there or where cascades and triggers lead.
pub fn watched(scene: &Scene, schema: &str, name: &str) -> Vec<Arc<Unique>> {
    let mut found: Vec<Arc<Unique>> = Vec::new();
    if scene.map.uniques().is_empty() {
        return found;
    }
    let mut open = vec![QualifiedName::new(schema, name)];
    let mut next = 0;
    while let Some(table) = open.get(next).cloned() {
        next += 1;
        found.extend(scene.map.uniques_of(&table.schema, &table.name).cloned());
        let Some(catalog) = &scene.catalog else { continue };
        let relation = catalog.relation(&table.schema, &table.name);
        if next > CASCADES_MAX || relation.is_some_and(|relation| relation.has_triggers) {
            return scene.map.uniques().to_vec();
        }
        for child in catalog.relations() {
            let follows = child.foreign_keys.iter().any(|key| key.cascades && key.references == table);
            let name = child.qualified_name();
            if follows && !open.contains(&name) {
                open.push(name);
            }
        }
    }
    found
}

/// Rows of an INSERT whose ON CONFLICT is about such columns: they go where the row is that has their values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conflicts {
    pub unique: Arc<Unique>,
    types: Vec<KeyType>,
    /// For each row the values of the columns, in their order; `None`: it isn't known before the row is written.
    rows: Vec<Vec<Option<Constant>>>,
}

/// The values of one call: for each row, unless one of them is NULL, which conflicts with nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    pub unique: Arc<Unique>,
    pub rows: Vec<Option<Vec<KeyValue>>>,
}

impl Conflicts {
    /// # Errors
    /// Where the values of a row aren't known before it is written.
    pub fn of(
        table: &Target<'_>,
        relation: &Relation,
        unique: &Arc<Unique>,
        columns: &[Name],
        rows: &[Vec<Operand>],
    ) -> Result<Self, Refusal> {
        let refused = || refusal::conflict_value(&table.found.display, &unique.columns.join(", "));
        if relation.has_before_row_triggers {
            return Err(refused());
        }
        let mut places = Vec::new();
        let mut types = Vec::new();
        for column in &unique.columns {
            let place = match columns {
                [] => relation.columns.iter().position(|known| known.name == *column),
                listed => listed.iter().position(|name| **name == **column),
            };
            let known = relation.column(column).ok_or_else(refused)?;
            // Left out and without a default it is NULL.
            places.push((place, known.has_default || known.generated));
            types.push(known.key_type.ok_or_else(refused)?);
        }
        let value = |row: &Vec<Operand>, (place, fills): &(Option<usize>, bool)| match place.map(|place| row.get(place))
        {
            None | Some(None | Some(Operand::Default)) => (!fills).then_some(Constant::Null),
            Some(Some(Operand::Constant(constant))) => Some(constant.clone()),
            Some(Some(Operand::Column(_) | Operand::Opaque)) => None,
        };
        let all = rows.iter().map(|row| places.iter().map(|place| value(row, place)).collect());
        Ok(Self { unique: Arc::clone(unique), types, rows: all.collect() })
    }

    /// # Errors
    /// Where a value isn't known.
    pub fn wanted(&self, call: &Call<'_>) -> Result<Wanted, Refusal> {
        let mut rows = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            rows.push(
                values_of(row.iter().map(Option::as_ref), &self.types, call)
                    .map_err(|()| refusal::conflict_value(&self.unique.table, &self.unique.columns.join(", ")))?,
            );
        }
        Ok(Wanted { unique: Arc::clone(&self.unique), rows })
    }
}

impl Lookup {
    /// What is looked up in one call; `None`: it isn't known. A NULL equals nothing.
    pub fn wanted(&self, call: &Call<'_>) -> Option<Option<Vec<KeyValue>>> {
        values_of(self.values.iter().map(Some), &self.types, call).ok()
    }
}

/// `Ok(None)`: one of them is NULL.
fn values_of<'c>(
    values: impl Iterator<Item = Option<&'c Constant>>,
    types: &[KeyType],
    call: &Call<'_>,
) -> Result<Option<Vec<KeyValue>>, ()> {
    let mut found = Vec::with_capacity(types.len());
    let mut is_known = true;
    for (value, key_type) in values.zip(types) {
        match value.map(|value| call.value(value, Some(*key_type))) {
            Some(Value::Null) => return Ok(None),
            // A column may cut trailing blanks.
            Some(Value::Known(KeyValue::Text(text))) if text.ends_with(' ') => is_known = false,
            Some(Value::Known(value)) => found.push(value),
            None | Some(Value::Unknown) => is_known = false,
        }
    }
    if is_known { Ok(Some(found)) } else { Err(()) }
}

/// A value as servers write it: of types of which there is one way.
pub fn text_of(value: &KeyValue) -> String {
    match value {
        KeyValue::Text(text) => text.to_string(),
        other => crate::planning::route::show(other),
    }
}
