//! Sharded and reference tables: keys and colocation.

use std::collections::HashMap;

use super::databases::ShardNames;
use super::placement::placement;
use crate::config::mistake::{Notes, similar};
use crate::config::raw::RawTable;
use crate::config::reader::{Placed, quoted_list};
use crate::config::{PlacementConfig, TableConfig, TableKind};
use crate::types::KeyType;
use crate::types::limits::UNIQUE_COLUMNS_MAX;

const TYPES: &[(&str, KeyType)] = &[
    ("int2", KeyType::Int2),
    ("int4", KeyType::Int4),
    ("int8", KeyType::Int8),
    ("text", KeyType::Text),
    ("uuid", KeyType::Uuid),
    ("date", KeyType::Date),
    ("timestamp", KeyType::Timestamp),
    ("timestamptz", KeyType::TimestampTz),
    ("numeric", KeyType::Numeric),
    ("smallint", KeyType::Int2),
    ("int", KeyType::Int4),
    ("integer", KeyType::Int4),
    ("bigint", KeyType::Int8),
    ("varchar", KeyType::Text),
    ("character varying", KeyType::Text),
    ("timestamp with time zone", KeyType::TimestampTz),
    ("timestamp without time zone", KeyType::Timestamp),
    ("decimal", KeyType::Numeric),
];

/// The schema of a table that is named without one.
const DEFAULT_SCHEMA: &str = "public";

/// A table, proven by itself; colocation is settled once all are known.
struct Draft<'r, 't> {
    raw: &'r RawTable<'t>,
    schema: String,
    name: String,
    is_reference: bool,
    key_type: Option<KeyType>,
    /// `None`: by `colocate`.
    placement: Option<PlacementConfig>,
}

pub(super) fn tables(raw: &[RawTable<'_>], shards: &ShardNames<'_>, notes: &mut Notes<'_>) -> Vec<TableConfig> {
    let drafts: Vec<Draft<'_, '_>> = raw.iter().filter_map(|raw| draft(raw, shards, notes)).collect();
    let mut lines: HashMap<(&str, &str), usize> = HashMap::new();
    for draft in &drafts {
        let at = draft.raw.name.span();
        if let Some(line) = lines.insert((&draft.schema, &draft.name), notes.line(&at)) {
            let what = format!("table {}.{} is there already, in line {line}", draft.schema, draft.name);
            notes.mistake(&at, what, "remove one of them");
        }
    }
    let roots: Vec<Option<usize>> = (0..drafts.len()).map(|position| root(position, &drafts, notes)).collect();
    let mut tables = Vec::new();
    for (position, draft) in drafts.iter().enumerate() {
        // Where the root is missing, it was noted; the stand-in keeps positions as they are.
        let group = roots.get(position).copied().flatten().unwrap_or(position);
        tables.push(settle(draft, group, &drafts, notes));
    }
    tables
}

fn settle(draft: &Draft<'_, '_>, group: usize, drafts: &[Draft<'_, '_>], notes: &mut Notes<'_>) -> TableConfig {
    let (schema, name) = (draft.schema.clone(), draft.name.clone());
    if draft.is_reference {
        return TableConfig { schema, name, kind: TableKind::Reference };
    }
    let root = drafts.get(group);
    let root_type = root.and_then(|root| root.key_type);
    if let (Some(own), Some(other), Some(written)) = (draft.key_type, root_type, &draft.raw.key_type)
        && !agree(own, other)
    {
        let target = root.map(|root| root.name.clone()).unwrap_or_default();
        let what = format!("the key of {name} has another type than that of {target}, with which it is colocated");
        notes.mistake(&written.span(), what, "colocate tables whose keys have the same type");
    }
    let kind = TableKind::Sharded {
        key: draft.raw.key.as_ref().map(|key| key.get_ref().clone()).unwrap_or_default(),
        // Not the root's: int4 and int8 are placed alike and still are two types.
        key_type: draft.key_type,
        group,
        placement: root.and_then(|root| root.placement.clone()).unwrap_or(PlacementConfig::Hash),
        unique: uniques(draft.raw, notes),
    };
    TableConfig { schema, name, kind }
}

/// If equal keys of the two types are placed alike.
fn agree(left: KeyType, right: KeyType) -> bool {
    let is_integer = |key_type| matches!(key_type, KeyType::Int2 | KeyType::Int4 | KeyType::Int8);
    left == right || (is_integer(left) && is_integer(right))
}

/// The table at the end of the chain of `colocate`; `None` (noted) when there is none.
fn root(position: usize, drafts: &[Draft<'_, '_>], notes: &mut Notes<'_>) -> Option<usize> {
    let mut current = position;
    // A chain without a circle is no longer than there are tables.
    for _ in 0..=drafts.len() {
        let draft = drafts.get(current)?;
        let Some(target) = &draft.raw.colocate else {
            return Some(current);
        };
        let (schema, name) = split_name(target.get_ref());
        let found = drafts.iter().position(|other| other.schema == schema && other.name == name);
        let is_own = current == position;
        match found {
            Some(found) if drafts.get(found).is_some_and(|other| other.is_reference) => {
                if is_own {
                    let what =
                        format!("{name} is a reference table: it is on every shard, and nothing is colocated with it");
                    notes.mistake(&target.span(), what, "remove `colocate`");
                }
                return None;
            }
            Some(found) => current = found,
            None => {
                if is_own {
                    unknown_target(target, drafts, notes);
                }
                return None;
            }
        }
    }
    let at = drafts.get(position)?.raw.colocate.as_ref()?.span();
    notes.mistake(&at, "`colocate` goes in a circle", "let one of these tables have a placement of its own");
    None
}

fn unknown_target(target: &Placed<String>, drafts: &[Draft<'_, '_>], notes: &mut Notes<'_>) {
    let sharded = drafts.iter().filter(|draft| !draft.is_reference);
    let remedy = match similar(target.get_ref(), sharded.map(|draft| draft.name.as_str())) {
        Some(meant) => format!("write colocate = {meant:?}"),
        None => format!("add the table {} with its key, or remove `colocate`", target.get_ref()),
    };
    notes.mistake(&target.span(), format!("there is no sharded table {:?}", target.get_ref()), remedy);
}

fn draft<'r, 't>(raw: &'r RawTable<'t>, shards: &ShardNames<'_>, notes: &mut Notes<'_>) -> Option<Draft<'r, 't>> {
    let written = raw.name.get_ref();
    let (schema, name) = split_name(written);
    if schema.is_empty() || name.is_empty() || name.contains('.') {
        let what = format!("{written:?} is not the name of a table");
        notes.mistake(&raw.name.span(), what, "write it as in `users` or \"audit.events\"");
        return None;
    }
    let key_type = key_type(raw, notes);
    let is_reference = raw.reference.as_ref().is_some_and(|reference| *reference.get_ref());
    let mut draft = Draft { raw, schema, name, is_reference, key_type, placement: None };
    if is_reference {
        reference_alone(raw, notes);
        return Some(draft);
    }
    match &raw.key {
        Some(key) if key.get_ref().is_empty() => {
            notes.mistake(&key.span(), "`key` is empty", "write the name of a column, as in key = \"id\"");
        }
        Some(_) => {}
        // There, but not a string: noted already.
        None if raw.section.value("key").is_some() => {}
        None => {
            let what = format!("{} has no `key`", raw.section.title);
            let remedy =
                "write key = \"id\" or reference = true; a table that isn't named here lives on the home shard";
            notes.mistake(&raw.section.at, what, remedy);
        }
    }
    draft.placement = placement(raw, key_type, shards, notes);
    Some(draft)
}

fn split_name(written: &str) -> (String, String) {
    let (schema, name) = written.split_once('.').unwrap_or((DEFAULT_SCHEMA, written));
    (schema.to_owned(), name.to_owned())
}

fn key_type(raw: &RawTable<'_>, notes: &mut Notes<'_>) -> Option<KeyType> {
    let written = raw.key_type.as_ref()?;
    let found = TYPES.iter().find(|(word, _)| word == written.get_ref());
    if found.is_none() {
        let words = TYPES.iter().map(|(word, _)| *word);
        let remedy = match similar(written.get_ref(), words.clone()) {
            Some(meant) => format!("write type = \"{meant}\""),
            None => format!("a key can be of type {}", quoted_list(words.take(9))),
        };
        notes.mistake(&written.span(), format!("a key can't be of type {:?}", written.get_ref()), remedy);
    }
    found.map(|(_, key_type)| *key_type)
}

/// `unique = ["email", "tenant, number"]`.
fn uniques(raw: &RawTable<'_>, notes: &mut Notes<'_>) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let key = raw.key.as_ref().map(|key| key.get_ref().as_str());
    for written in raw.unique.iter().flat_map(|listed| listed.get_ref()) {
        let columns: Vec<String> = written.get_ref().split(',').map(|name| name.trim().to_owned()).collect();
        let mut distinct = columns.clone();
        distinct.sort();
        distinct.dedup();
        let mistake = if columns.iter().any(String::is_empty) || distinct.len() < columns.len() {
            Some((
                format!("{:?} is not a list of columns", written.get_ref()),
                "write it as in \"email\" or \"tenant, number\"",
            ))
        } else if columns.len() > UNIQUE_COLUMNS_MAX {
            Some((
                format!("{:?} has too many columns", written.get_ref()),
                "four columns are kept unique together at most",
            ))
        } else if columns.iter().any(|column| Some(column.as_str()) == key) {
            Some((
                format!("{:?} has the shard key in it", written.get_ref()),
                "remove it: a unique index with the shard key holds by itself",
            ))
        } else if found.contains(&columns) {
            Some((format!("{:?} is there twice", written.get_ref()), "remove one of them"))
        } else {
            None
        };
        match mistake {
            Some((what, remedy)) => notes.mistake(&written.span(), what, remedy),
            None => found.push(columns),
        }
    }
    found
}

fn reference_alone(raw: &RawTable<'_>, notes: &mut Notes<'_>) {
    for name in ["key", "type", "colocate", "range", "list", "unique"] {
        if raw.section.value(name).is_some() {
            let what = format!("a reference table has no `{name}`: every shard has all of its rows");
            notes.mistake(&raw.section.place_of(name), what, format!("remove `{name}`, or remove `reference`"));
        }
    }
}
