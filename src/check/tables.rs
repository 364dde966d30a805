//! The tables of the file as the home shard has them: there, with a key that can be one, and without
//! constraints, rules or views that reach beyond a shard.

use super::Findings;
use super::ask::Catalogs;
use crate::catalog::{Catalog, Column, ForeignKey, Relation, RelationKind, UniqueIndex};
use crate::config::{DatabaseConfig, TableConfig, TableKind};
use crate::routing::{MapError, ShardMap, Unique};
use crate::types::KeyType;

/// What the file says of a relation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lives {
    Sharded { group: usize },
    Reference,
    Home,
}

pub(super) fn judge(database: &DatabaseConfig, catalogs: &Catalogs<'_>, findings: &mut Findings) {
    let home = &catalogs.all[0].1.catalog;
    for table in &database.tables {
        missing(database, table, catalogs, findings);
        let Some(relation) = home.relation(&table.schema, &table.name) else {
            continue;
        };
        kind(table, relation, findings);
        let TableKind::Sharded { key, unique, .. } = &table.kind else {
            continue;
        };
        let Some(column) = relation.column(key) else {
            let what = format!("has no column {key:?}, its shard key");
            findings.error(place(table), what, "write the name of one of its columns as `key`");
            continue;
        };
        key_column(table, column, findings);
        if database.shards.len() > 1 {
            uniqueness(table, relation, (key, unique), findings);
            kept_unique(table, relation, (key, unique), catalogs, findings);
            side_effects(table, relation, findings);
        }
    }
    if database.shards.len() > 1 {
        relations(database, home, findings);
    }
    safe_functions(database, home, findings);
    placements(database, home, findings);
}

pub(super) fn place(table: &TableConfig) -> String {
    format!("table {}.{}", table.schema, table.name)
}

pub(super) fn lives(database: &DatabaseConfig, catalog: &Catalog, schema: &str, name: &str) -> Lives {
    let find = |schema: &str, name: &str| {
        let table = database.tables.iter().find(|table| table.schema == schema && table.name == name)?;
        Some(match table.kind {
            TableKind::Sharded { group, .. } => Lives::Sharded { group },
            TableKind::Reference => Lives::Reference,
        })
    };
    // A partition lives where its parent does.
    find(schema, name)
        .or_else(|| {
            let parents = catalog.relation(schema, name)?.parents.iter();
            parents.filter_map(|parent| find(&parent.schema, &parent.name)).next()
        })
        .unwrap_or(Lives::Home)
}

fn missing(database: &DatabaseConfig, table: &TableConfig, catalogs: &Catalogs<'_>, findings: &mut Findings) {
    let lacks = |catalog: &Catalog| catalog.relation(&table.schema, &table.name).is_none();
    let without: Vec<&str> = catalogs
        .all
        .iter()
        .filter(|(_, contents)| lacks(&contents.catalog))
        .filter_map(|(shard, _)| database.shards.get(shard.index()).map(|shard| shard.name.as_str()))
        .collect();
    if without.is_empty() {
        return;
    }
    let similar = similar_table(table, &catalogs.all[0].1.catalog);
    let (what, remedy) = if without.len() == catalogs.all.len() {
        let remedy = similar.map_or("create it on every shard, or remove it from the file".to_owned(), |name| {
            format!("write {name}, or create the table on every shard")
        });
        ("is on no shard".to_owned(), remedy)
    } else {
        (format!("is missing on shard {}", without.join(", ")), "create it there as on the other shards".to_owned())
    };
    findings.error(place(table), what, remedy);
}

/// The same name in another schema or in other letters.
fn similar_table(table: &TableConfig, catalog: &Catalog) -> Option<String> {
    let same = |relation: &&Relation| relation.name.eq_ignore_ascii_case(&table.name);
    let found = catalog.relations().find(same)?;
    Some(format!("[database.NAME.table.\"{}.{}\"]", found.schema, found.name))
}

fn kind(table: &TableConfig, relation: &Relation, findings: &mut Findings) {
    let what = match relation.kind {
        RelationKind::Table | RelationKind::PartitionedTable => return,
        RelationKind::View => "is a view",
        RelationKind::MaterializedView => "is a materialized view",
        RelationKind::ForeignTable => "is a foreign table",
        RelationKind::Sequence => "is a sequence",
    };
    findings.error(place(table), what, "name the tables behind it, or remove it from the file");
}

fn key_column(table: &TableConfig, column: &Column, findings: &mut Findings) {
    let name = &column.name;
    if column.key_type.is_none() {
        let what = format!("the shard key {name} has type {}{}", column.type_name, why_not(column));
        let remedy =
            "use int2, int4, int8, text, varchar, uuid, date, timestamp, timestamptz or numeric, without a precision";
        findings.error(place(table), what, remedy);
        return;
    }
    if column.generated {
        let what = format!("the shard key {name} is generated from other columns: no INSERT can give it");
        findings.error(place(table), what, "use a column that is written");
    } else if column.has_default {
        let what = format!("the shard key {name} has a default: an INSERT that leaves it out is refused");
        findings.warning(place(table), what, "give the key in every INSERT");
    }
    if !column.not_null {
        let what = format!("the shard key {name} can be NULL, and such rows are refused");
        findings.warning(place(table), what, format!("ALTER TABLE ... ALTER COLUMN {name} SET NOT NULL"));
    }
}

fn why_not(column: &Column) -> &'static str {
    match column.type_oid {
        1700 | 1114 | 1184 => ", whose values are rounded when they are stored",
        25 | 1043 => " under a nondeterministic collation, in which different texts are equal",
        1042 => ", in which trailing spaces don't count",
        _ => "",
    }
}

fn uniqueness(
    table: &TableConfig,
    relation: &Relation,
    (key, unique): (&str, &[Vec<String>]),
    findings: &mut Findings,
) {
    let has_key = |columns: &[String]| columns.iter().any(|column| column == key);
    let is_kept = |index: &UniqueIndex| {
        let named =
            |columns: &Vec<String>| Unique::new(&table.schema, &table.name, columns, key).has_columns(&index.columns);
        !index.has_expressions && unique.iter().any(named)
    };
    for index in relation.unique_indexes.iter().filter(|index| !has_key(&index.columns) && !is_kept(index)) {
        let kind = if index.is_primary { "the primary key" } else { "the unique index" };
        let what = format!("{kind} {} lacks the shard key {key}: it holds only within each shard", index.name);
        let remedy = match index.has_expressions || index.is_partial {
            false => format!(
                "write unique = [\"{}\"] to have it kept over all shards, add {key} to it, or make its values unique otherwise, as uuids are",
                index.columns.join(", ")
            ),
            true => format!("add {key} to it, or make its values unique otherwise, as uuids are"),
        };
        findings.warning(place(table), what, remedy);
    }
    if relation.unique_indexes.is_empty() {
        let what = format!("the shard key {key} is in no primary key or unique index");
        findings.warning(place(table), what, format!("give the table a primary key that contains {key}"));
    }
}

/// What the file says is to be unique over all shards.
fn kept_unique(
    table: &TableConfig,
    relation: &Relation,
    (key, unique): (&str, &[Vec<String>]),
    catalogs: &Catalogs<'_>,
    findings: &mut Findings,
) {
    for columns in unique {
        for name in columns {
            let claimable = [KeyType::Int2, KeyType::Int4, KeyType::Int8, KeyType::Text, KeyType::Uuid];
            match relation.column(name) {
                None => {
                    let what = format!("has no column {name:?}, which is to be unique");
                    findings.error(place(table), what, "write the name of one of its columns in `unique`");
                }
                Some(column) if !column.key_type.is_some_and(|kind| claimable.contains(&kind)) => {
                    let what = format!(
                        "{name} is to be unique over all shards and has type {}{}",
                        column.type_name,
                        why_not(column)
                    );
                    findings.error(place(table), what, "use smallint, integer, bigint, text, varchar or uuid");
                }
                Some(_) => {}
            }
        }
        let kept = Unique::new(&table.schema, &table.name, columns, key);
        if relation.kind == RelationKind::PartitionedTable {
            let what = format!("{} is to be unique over all shards, and the table is partitioned", columns.join(", "));
            findings.error(place(table), what, "remove it from `unique`");
        }
        let plain = |index: &UniqueIndex| {
            !index.has_expressions && !index.is_partial && !index.nulls_not_distinct && kept.has_columns(&index.columns)
        };
        if !relation.unique_indexes.iter().any(plain) {
            let what = format!(
                "{} is kept unique over all shards, and has no unique index on each of them",
                columns.join(", ")
            );
            findings.warning(
                place(table),
                what,
                format!("CREATE UNIQUE INDEX through Shardway on {}", columns.join(", ")),
            );
        }
        let without = |catalog: &Catalog| catalog.relation("shardway", &kept.claims).is_none();
        if catalogs.all.iter().any(|(_, contents)| without(&contents.catalog)) {
            let what = format!("{} is not kept unique yet: the claims are not there", columns.join(", "));
            findings.warning(
                place(table),
                what,
                "run shardway unique backfill, or write through Shardway while the table is empty",
            );
        }
    }
}

fn side_effects(table: &TableConfig, relation: &Relation, findings: &mut Findings) {
    if relation.has_rules {
        let what = "has rules, which may read or write rows of other shards";
        findings.warning(place(table), what, "use triggers, or do it in the application");
    }
    if relation.has_before_row_triggers {
        let what = "has BEFORE triggers, which must not change the shard key or read other shards' rows";
        findings.warning(place(table), what, "make sure that they look at the row alone");
    }
}

/// Views and foreign keys of everything on the home shard.
fn relations(database: &DatabaseConfig, home: &Catalog, findings: &mut Findings) {
    for relation in home.relations().filter(|relation| relation.schema != "shardway") {
        let sharded = relation
            .reads
            .iter()
            .find(|read| matches!(lives(database, home, &read.schema, &read.name), Lives::Sharded { .. }));
        if let Some(read) = sharded {
            let at = format!("view {}.{}", relation.schema, relation.name);
            let what = format!("reads {read}, which is sharded: each shard has its own part of the answer");
            findings.warning(at, what, "query the tables themselves");
        }
        let from = lives(database, home, &relation.schema, &relation.name);
        for key in &relation.foreign_keys {
            foreign_key(database, home, relation, from, key, findings);
        }
    }
}

fn foreign_key(
    database: &DatabaseConfig,
    home: &Catalog,
    relation: &Relation,
    from: Lives,
    key: &ForeignKey,
    findings: &mut Findings,
) {
    let to = lives(database, home, &key.references.schema, &key.references.name);
    let remedy = match (from, to) {
        (Lives::Home, Lives::Home) | (_, Lives::Reference) => return,
        (Lives::Sharded { group }, Lives::Sharded { group: other }) if group == other => return,
        (Lives::Sharded { .. }, Lives::Sharded { .. }) => "colocate the tables, or drop the foreign key",
        (_, Lives::Home) => "make the table that it refers to a reference table, or drop the foreign key",
        (Lives::Home | Lives::Reference, Lives::Sharded { .. }) => "shard both tables alike, or drop the foreign key",
    };
    let what = format!("its foreign key {} refers to {}, whose rows may be on another shard", key.name, key.references);
    findings.error(format!("table {}.{}", relation.schema, relation.name), what, remedy);
}

fn safe_functions(database: &DatabaseConfig, home: &Catalog, findings: &mut Findings) {
    for written in &database.safe_functions {
        let (schema, name) = match written.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, written.as_str()),
        };
        if home.functions(schema, name).next().is_none() {
            let what = format!("there is no function {written}");
            findings.warning("safe_functions", what, "correct the name, or remove it");
        }
    }
}

/// What only the keys' types show: the same proof that the proxy makes before it serves the database.
fn placements(database: &DatabaseConfig, home: &Catalog, findings: &mut Findings) {
    let key_type = |schema: &str, table: &str, key: &str| home.relation(schema, table)?.column(key)?.key_type;
    let Err(errors) = ShardMap::new(database, &key_type) else {
        return;
    };
    for error in errors {
        let remedy = match &error {
            // There is no such column, or it can't be a key: said already.
            MapError::TypeUnknown { .. } => continue,
            MapError::TypeDiffers { .. } => "correct `type`, or remove it",
            MapError::GroupTypeDiffers { .. } => "give both keys the same type, or remove `colocate`",
            MapError::NotHashable { .. } => "give the table a `range`, or another key",
            MapError::NotOrdered { .. } => "remove `range`, or write a `list`",
            MapError::Value { .. } => "write a value of that type, as the server prints it",
            MapError::NotAscending { .. } => "put the ranges in ascending order",
            MapError::ListedTwice { .. } => "give each value to one shard",
            MapError::NoSuchShard(_)
            | MapError::BucketCount(_)
            | MapError::Duplicate(_)
            | MapError::NoGroup(_)
            | MapError::EndlessRange { .. }
            | MapError::NoPlaces { .. } => "correct the file",
        };
        let text = error.to_string();
        match text.split_once(": ") {
            Some((table, what)) if table.starts_with("table ") => findings.error(table, what, remedy),
            _ => findings.error("placement", text, remedy),
        }
    }
}
