//! Tables that say themselves where their rows are, in a comment: `shardway: key=user_id`. In: comments, and what the
//! configuration says of all other tables. Out: a configuration with these tables in it. What can't be taken at its word
//! becomes a table whose key nobody knows: it is on every shard, and nothing is looked for on one of them alone.

use crate::catalog::{Catalog, Relation, RelationKind};
pub use crate::config::declared::{Declared, PREFIX, read};
use crate::config::{DatabaseConfig, PlacementConfig, TableConfig, TableKind};
use crate::types::KeyType;

/// The configuration with the tables that the catalog's comments place. What the file says goes before.
pub fn with_declared(mut config: DatabaseConfig, catalog: &Catalog) -> DatabaseConfig {
    let is_known = |config: &DatabaseConfig, relation: &Relation| {
        config.tables.iter().any(|table| table.schema == relation.schema && table.name == relation.name)
    };
    let mut waiting: Vec<(&Relation, Declared)> = Vec::new();
    for relation in catalog.relations() {
        let kinds = [RelationKind::Table, RelationKind::PartitionedTable];
        let Some(read) = relation.placement.as_deref().and_then(read) else { continue };
        if !kinds.contains(&relation.kind) || is_known(&config, relation) {
            continue;
        }
        // Of what isn't understood nothing is known but that it is placed.
        let declared = read.unwrap_or(Declared::Sharded { key: String::new(), colocate: None });
        waiting.push((relation, declared));
    }
    // Those that others are colocated with come first; a circle is as good as nothing said.
    loop {
        let before = waiting.len();
        waiting.retain(|(relation, declared)| {
            let target = match declared {
                Declared::Sharded { colocate: Some((schema, name)), .. } => {
                    config.tables.iter().find(|table| table.schema == *schema && table.name == *name)
                }
                _ => None,
            };
            let waits = matches!(declared, Declared::Sharded { colocate: Some(_), .. }) && target.is_none();
            if !waits {
                let kind = kind_of(relation, declared, target, config.tables.len(), catalog);
                config.tables.push(TableConfig { schema: relation.schema.clone(), name: relation.name.clone(), kind });
            }
            waits
        });
        if waiting.is_empty() {
            return config;
        }
        if waiting.len() == before {
            waiting.iter_mut().for_each(|(_, declared)| {
                *declared = Declared::Sharded { key: String::new(), colocate: None };
            });
        }
    }
}

fn kind_of(
    relation: &Relation,
    declared: &Declared,
    target: Option<&TableConfig>,
    position: usize,
    catalog: &Catalog,
) -> TableKind {
    let Declared::Sharded { key, colocate } = declared else { return TableKind::Reference };
    let key_type = relation.column(key).and_then(|column| column.key_type);
    let own = |key: String| TableKind::Sharded {
        key,
        key_type: None,
        group: position,
        placement: PlacementConfig::Hash,
        unique: Vec::new(),
    };
    match (colocate, target.map(|target| (target, &target.kind))) {
        (Some(_), Some((target, TableKind::Sharded { key: other, group, placement, .. }))) => {
            let other = catalog.key_type(&target.schema, &target.name, other);
            if key_type.is_none() || !other.zip(key_type).is_some_and(|(other, own)| agree(other, own)) {
                return own(String::new());
            }
            TableKind::Sharded {
                key: key.clone(),
                key_type: None,
                group: *group,
                placement: placement.clone(),
                unique: Vec::new(),
            }
        }
        (None, _) if key_type.is_some_and(is_hashed) => own(key.clone()),
        _ => own(String::new()),
    }
}

fn is_hashed(key_type: KeyType) -> bool {
    matches!(key_type, KeyType::Int2 | KeyType::Int4 | KeyType::Int8 | KeyType::Text | KeyType::Uuid)
}

/// If equal keys of the two types are placed alike.
fn agree(left: KeyType, right: KeyType) -> bool {
    let is_integer = |key_type| matches!(key_type, KeyType::Int2 | KeyType::Int4 | KeyType::Int8);
    left == right || (is_integer(left) && is_integer(right))
}
