//! What must be the same on every shard: the columns and indexes of sharded and reference tables,
//! types and functions. The home shard is the model.

use std::collections::BTreeMap;

use super::Findings;
use super::ask::{Catalogs, Contents};
use super::tables::{Lives, lives, place};
use crate::catalog::{Column, Relation, RelationKind, UniqueIndex};
use crate::config::DatabaseConfig;

/// Names shown of a longer list.
const NAMES_SHOWN: usize = 5;

pub(super) fn judge(database: &DatabaseConfig, catalogs: &Catalogs<'_>, findings: &mut Findings) {
    let Some(((home, model), others)) = catalogs.all.split_first() else {
        return;
    };
    let name = |shard: &crate::types::ShardId| database.shards.get(shard.index()).map_or("?", |shard| &shard.name);
    for (shard, contents) in others {
        let pair = Pair { home: name(home), shard: name(shard) };
        for table in &database.tables {
            let found = contents.catalog.relation(&table.schema, &table.name);
            let wanted = model.catalog.relation(&table.schema, &table.name);
            // What is missing altogether was said already.
            if let (Some(wanted), Some(found)) = (wanted, found) {
                columns(&place(table), wanted, found, &pair, findings);
                indexes(&place(table), wanted, found, &pair, findings);
            }
        }
        definitions(model, contents, &pair, findings);
    }
    unnamed(database, catalogs, findings);
}

struct Pair<'p> {
    home: &'p str,
    shard: &'p str,
}

fn columns(at: &str, wanted: &Relation, found: &Relation, pair: &Pair<'_>, findings: &mut Findings) {
    let Pair { home, shard } = pair;
    let names = |relation: &Relation| relation.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    let (wanted_names, found_names) = (names(wanted), names(found));
    let lacking = |names: &[String], others: &[String]| {
        names.iter().filter(|name| !others.contains(name)).cloned().collect::<Vec<_>>().join(", ")
    };
    let (lacks, has_more) = (lacking(&wanted_names, &found_names), lacking(&found_names, &wanted_names));
    if !lacks.is_empty() {
        findings.error(
            at,
            format!("lacks the columns {lacks} on shard {shard}"),
            format!("add them as on shard {home}"),
        );
    }
    if !has_more.is_empty() {
        let what = format!("has the columns {has_more} on shard {shard} and not on {home}");
        findings.error(at, what, "add them everywhere, or drop them");
    }
    if lacks.is_empty() && has_more.is_empty() && wanted_names != found_names {
        let what = format!("has its columns in another order on shard {shard} than on {home}: SELECT * would differ");
        findings.error(at, what, "create the table anew with the columns in the same order");
    }
    for column in &wanted.columns {
        if let Some(other) = found.column(&column.name) {
            self::column(at, column, other, pair, findings);
        }
    }
}

fn column(at: &str, wanted: &Column, found: &Column, pair: &Pair<'_>, findings: &mut Findings) {
    let Pair { home, shard } = pair;
    let name = &wanted.name;
    if wanted.type_name != found.type_name {
        let what = format!("column {name} is {} on shard {shard} and {} on {home}", found.type_name, wanted.type_name);
        findings.error(at, what, format!("alter it to {} on shard {shard}", wanted.type_name));
    } else if wanted.collation != found.collation {
        let collation = |column: &Column| column.collation.clone().unwrap_or_default();
        let what = format!(
            "column {name} has collation {} on shard {shard} and {} on {home}",
            collation(found),
            collation(wanted)
        );
        findings.error(at, what, "give it the same collation everywhere");
    }
    if wanted.generated != found.generated {
        let what = format!("column {name} is generated on one of the shards {shard} and {home} and not on the other");
        findings.error(at, what, "define it alike everywhere");
    }
    if wanted.not_null != found.not_null {
        let (with, without) = if wanted.not_null { (home, shard) } else { (shard, home) };
        let what = format!("column {name} is NOT NULL on shard {with} and not on {without}");
        findings.warning(at, what, "define it alike everywhere");
    }
    if wanted.default != found.default || wanted.identity != found.identity {
        let what = format!("column {name} has another default on shard {shard} than on {home}");
        findings.warning(at, what, "define it alike everywhere");
    }
}

fn indexes(at: &str, wanted: &Relation, found: &Relation, pair: &Pair<'_>, findings: &mut Findings) {
    let Pair { home, shard } = pair;
    // Names may differ; what an index forbids may not.
    let shape = |index: &UniqueIndex| (index.columns.clone(), index.is_partial, index.has_expressions);
    let missing = |from: &Relation, to: &Relation| {
        let has = |index: &UniqueIndex| to.unique_indexes.iter().any(|other| shape(other) == shape(index));
        let lacking = from.unique_indexes.iter().filter(|index| !has(index));
        lacking.map(|index| index.name.clone()).collect::<Vec<_>>().join(", ")
    };
    for (names, with, without) in [(missing(wanted, found), home, shard), (missing(found, wanted), shard, home)] {
        if !names.is_empty() {
            let what = format!("has the unique index {names} on shard {with} and not on {without}");
            findings.error(at, what, format!("create it on shard {without}, or drop it"));
        }
    }
}

fn definitions(model: &Contents, contents: &Contents, pair: &Pair<'_>, findings: &mut Findings) {
    let Pair { home, shard } = pair;
    for kind in ["type", "function", "extension"] {
        let of_kind = |all: &BTreeMap<String, String>| -> BTreeMap<String, String> {
            let all = all.iter().filter_map(|(name, text)| {
                let (found, name) = name.split_once(' ')?;
                (found == kind).then(|| (name.to_owned(), text.clone()))
            });
            all.collect()
        };
        let (wanted, found) = (of_kind(&model.definitions), of_kind(&contents.definitions));
        let missing = |from: &BTreeMap<String, String>, to: &BTreeMap<String, String>| {
            shown(from.keys().filter(|name| !to.contains_key(*name)))
        };
        let differing = shown(
            wanted
                .iter()
                .filter(|(name, text)| found.get(*name).is_some_and(|other| other != *text))
                .map(|(name, _)| name),
        );
        if let Some(names) = differing {
            let what = format!("{kind} {names} is not the same as on shard {home}");
            let at = format!("shard {shard}");
            if kind == "extension" {
                findings.warning(at, what, "ALTER EXTENSION ... UPDATE to the same version");
            } else {
                findings.error(at, what, "define it alike everywhere");
            }
        }
        for (names, with, without) in [(missing(&wanted, &found), home, shard), (missing(&found, &wanted), shard, home)]
        {
            if let Some(names) = names {
                let what = format!("lacks the {kind} {names}, which shard {with} has");
                findings.warning(format!("shard {without}"), what, "create it on every shard that may need it");
            }
        }
    }
}

fn shown<'n>(names: impl Iterator<Item = &'n String>) -> Option<String> {
    let names: Vec<&str> = names.map(String::as_str).collect();
    let (first, rest) = names.split_at(names.len().min(NAMES_SHOWN));
    match (first.is_empty(), rest.len()) {
        (true, _) => None,
        (false, 0) => Some(first.join(", ")),
        (false, more) => Some(format!("{} and {more} more", first.join(", "))),
    }
}

/// Tables that the file doesn't name and that other shards have as well: their rows there are not seen.
fn unnamed(database: &DatabaseConfig, catalogs: &Catalogs<'_>, findings: &mut Findings) {
    let Some(((home, _), others)) = catalogs.all.split_first() else {
        return;
    };
    let home = database.shards.get(home.index()).map_or("?", |shard| &shard.name);
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (shard, contents) in others {
        let shard = database.shards.get(shard.index()).map_or("?", |shard| &shard.name);
        for relation in contents.catalog.relations() {
            let is_table = matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable);
            let is_ours = relation.schema == "shardway" || relation.extension.is_some();
            let is_partition = !relation.parents.is_empty();
            let at_home = lives(database, &contents.catalog, &relation.schema, &relation.name) == Lives::Home;
            if is_table && at_home && !is_ours && !is_partition {
                found.entry(format!("{}.{}", relation.schema, relation.name)).or_default().push(shard);
            }
        }
    }
    for (table, shards) in found {
        let what = format!(
            "is not in the file, so that only shard {home} is asked for it; shard {} has it too",
            shards.join(", ")
        );
        findings.warning(format!("table {table}"), what, "name it in the file, or drop it there");
    }
}
