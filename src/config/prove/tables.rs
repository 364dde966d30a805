//! Sharded and reference tables: keys, placements, colocation.

use std::collections::HashMap;

use super::databases::ShardNames;
use crate::config::mistake::{Notes, similar};
use crate::config::raw::{RawList, RawRange, RawTable};
use crate::config::reader::{Placed, Scalar, quoted_list};
use crate::config::{ListConfig, PlacementConfig, RangeConfig, TableConfig, TableKind};
use crate::types::{KeyType, ShardId};

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

pub(super) fn tables(
    raw: &[RawTable<'_>],
    shards: &ShardNames<'_>,
    notes: &mut Notes<'_>,
) -> Vec<TableConfig> {
    let drafts: Vec<Draft<'_, '_>> = raw
        .iter()
        .filter_map(|raw| draft(raw, shards, notes))
        .collect();
    let mut lines: HashMap<(&str, &str), usize> = HashMap::new();
    for draft in &drafts {
        let at = draft.raw.name.span();
        if let Some(line) = lines.insert((&draft.schema, &draft.name), notes.line(&at)) {
            let what = format!(
                "table {}.{} is there already, in line {line}",
                draft.schema, draft.name
            );
            notes.mistake(&at, what, "remove one of them");
        }
    }
    let roots: Vec<Option<usize>> = (0..drafts.len())
        .map(|position| root(position, &drafts, notes))
        .collect();
    let mut tables = Vec::new();
    for (position, draft) in drafts.iter().enumerate() {
        // Where the root is missing, it was noted; the stand-in keeps positions as they are.
        let group = roots.get(position).copied().flatten().unwrap_or(position);
        tables.push(settle(draft, group, &drafts, notes));
    }
    tables
}

fn settle(
    draft: &Draft<'_, '_>,
    group: usize,
    drafts: &[Draft<'_, '_>],
    notes: &mut Notes<'_>,
) -> TableConfig {
    let (schema, name) = (draft.schema.clone(), draft.name.clone());
    if draft.is_reference {
        return TableConfig {
            schema,
            name,
            kind: TableKind::Reference,
        };
    }
    let root = drafts.get(group);
    let root_type = root.and_then(|root| root.key_type);
    if let (Some(own), Some(other), Some(written)) =
        (draft.key_type, root_type, &draft.raw.key_type)
        && !agree(own, other)
    {
        let target = root.map(|root| root.name.clone()).unwrap_or_default();
        let what = format!(
            "the key of {name} has another type than that of {target}, with which it is colocated"
        );
        notes.mistake(
            &written.span(),
            what,
            "colocate tables whose keys have the same type",
        );
    }
    let kind = TableKind::Sharded {
        key: draft
            .raw
            .key
            .as_ref()
            .map(|key| key.get_ref().clone())
            .unwrap_or_default(),
        key_type: draft.key_type.or(root_type),
        group,
        placement: root
            .and_then(|root| root.placement.clone())
            .unwrap_or(PlacementConfig::Hash),
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
        let found = drafts
            .iter()
            .position(|other| other.schema == schema && other.name == name);
        let is_own = current == position;
        match found {
            Some(found) if drafts.get(found).is_some_and(|other| other.is_reference) => {
                if is_own {
                    let what = format!(
                        "{name} is a reference table: it is on every shard, and nothing is colocated with it"
                    );
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
    notes.mistake(
        &at,
        "`colocate` goes in a circle",
        "let one of these tables have a placement of its own",
    );
    None
}

fn unknown_target(target: &Placed<String>, drafts: &[Draft<'_, '_>], notes: &mut Notes<'_>) {
    let sharded = drafts.iter().filter(|draft| !draft.is_reference);
    let remedy = match similar(target.get_ref(), sharded.map(|draft| draft.name.as_str())) {
        Some(meant) => format!("write colocate = {meant:?}"),
        None => format!(
            "add the table {} with its key, or remove `colocate`",
            target.get_ref()
        ),
    };
    notes.mistake(
        &target.span(),
        format!("there is no sharded table {:?}", target.get_ref()),
        remedy,
    );
}

fn draft<'r, 't>(
    raw: &'r RawTable<'t>,
    shards: &ShardNames<'_>,
    notes: &mut Notes<'_>,
) -> Option<Draft<'r, 't>> {
    let written = raw.name.get_ref();
    let (schema, name) = split_name(written);
    if schema.is_empty() || name.is_empty() || name.contains('.') {
        let what = format!("{written:?} is not the name of a table");
        notes.mistake(
            &raw.name.span(),
            what,
            "write it as in `users` or \"audit.events\"",
        );
        return None;
    }
    let key_type = key_type(raw, notes);
    let is_reference = raw
        .reference
        .as_ref()
        .is_some_and(|reference| *reference.get_ref());
    let mut draft = Draft {
        raw,
        schema,
        name,
        is_reference,
        key_type,
        placement: None,
    };
    if is_reference {
        reference_alone(raw, notes);
        return Some(draft);
    }
    match &raw.key {
        Some(key) if key.get_ref().is_empty() => {
            notes.mistake(
                &key.span(),
                "`key` is empty",
                "write the name of a column, as in key = \"id\"",
            );
        }
        Some(_) => {}
        // There, but not a string: noted already.
        None if raw.section.value("key").is_some() => {}
        None => {
            let what = format!("{} has no `key`", raw.section.title);
            let remedy = "write key = \"id\" or reference = true; a table that isn't named here lives on the home shard";
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
        notes.mistake(
            &written.span(),
            format!("a key can't be of type {:?}", written.get_ref()),
            remedy,
        );
    }
    found.map(|(_, key_type)| *key_type)
}

fn reference_alone(raw: &RawTable<'_>, notes: &mut Notes<'_>) {
    for name in ["key", "type", "colocate", "range", "list"] {
        if raw.section.value(name).is_some() {
            let what =
                format!("a reference table has no `{name}`: every shard has all of its rows");
            notes.mistake(
                &raw.section.place_of(name),
                what,
                format!("remove `{name}`, or remove `reference`"),
            );
        }
    }
}

fn placement(
    raw: &RawTable<'_>,
    key_type: Option<KeyType>,
    shards: &ShardNames<'_>,
    notes: &mut Notes<'_>,
) -> Option<PlacementConfig> {
    let written = ["colocate", "range", "list"];
    let mut written = written
        .into_iter()
        .filter(|name| raw.section.value(name).is_some());
    let first = written.next();
    for other in written {
        let what = format!(
            "`{}` and `{other}` both say where rows go",
            first.unwrap_or_default()
        );
        notes.mistake(
            &raw.section.place_of(other),
            what,
            format!("remove `{other}`"),
        );
    }
    match (first, &raw.range, &raw.list) {
        (Some("range"), Some(range), _) => Some(PlacementConfig::Range(ranges(
            range, key_type, shards, notes,
        ))),
        (Some("list"), _, Some(list)) => Some(PlacementConfig::List(lists(list, shards, notes))),
        (Some("colocate"), ..) => None,
        (Some(_), ..) => Some(PlacementConfig::Hash),
        (None, ..) => {
            hashable(raw, key_type, notes);
            Some(PlacementConfig::Hash)
        }
    }
}

fn hashable(raw: &RawTable<'_>, key_type: Option<KeyType>, notes: &mut Notes<'_>) {
    let is_range_only = matches!(
        key_type,
        Some(KeyType::Date | KeyType::Timestamp | KeyType::TimestampTz | KeyType::Numeric)
    );
    if is_range_only && let Some(written) = &raw.key_type {
        let what = format!("a key of type {} can't be hashed", written.get_ref());
        notes.mistake(&written.span(), what, "give the table a `range`");
    }
}

fn ranges(
    raw: &Placed<Vec<RawRange<'_>>>,
    key_type: Option<KeyType>,
    shards: &ShardNames<'_>,
    notes: &mut Notes<'_>,
) -> Vec<RangeConfig> {
    let entries = raw.get_ref();
    if entries.is_empty() {
        notes.mistake(
            &raw.span(),
            "`range` is empty",
            "write range = [ { until = \"2026-01-01\", shard = \"a\" }, { shard = \"b\" } ]",
        );
    }
    let mut ranges = Vec::new();
    let mut before: Option<&Placed<Scalar>> = None;
    for (position, entry) in entries.iter().enumerate() {
        let shard = shard(entry.shard.as_ref(), &entry.section, shards, notes);
        let is_last = position + 1 == entries.len();
        if entry.section.value("until").is_none() && !is_last {
            let remedy = "write `until`, or put this range last";
            notes.mistake(
                &entry.section.at,
                "only the last range can do without `until`",
                remedy,
            );
        }
        if let Some(until) = &entry.until {
            if let Some(before) = before
                && descends(before.get_ref(), until.get_ref(), key_type)
            {
                let what = format!(
                    "`until` {:?} is not above {:?}",
                    until.get_ref().text,
                    before.get_ref().text
                );
                notes.mistake(&until.span(), what, "put the ranges in ascending order");
            }
            before = Some(until);
        }
        if let Some(shard) = shard {
            let until = entry
                .until
                .as_ref()
                .map(|until| until.get_ref().text.clone());
            ranges.push(RangeConfig { until, shard });
        }
    }
    ranges
}

/// If the order is wrong for certain. Without a type only numbers and what is wrong as a number and
/// as text alike can be told; `routing` looks again once the type is known.
fn descends(before: &Scalar, after: &Scalar, key_type: Option<KeyType>) -> bool {
    if before.text == after.text {
        return true;
    }
    let number = |scalar: &Scalar| scalar.text.parse::<bigdecimal::BigDecimal>().ok();
    let as_numbers = number(before)
        .zip(number(after))
        .map(|(before, after)| before >= after);
    let as_dates = iso_dates(&before.text, &after.text).map(|(before, after)| before >= after);
    let as_text = before.text > after.text;
    match key_type {
        Some(KeyType::Int2 | KeyType::Int4 | KeyType::Int8 | KeyType::Numeric) => {
            as_numbers.unwrap_or(false)
        }
        Some(KeyType::Date | KeyType::Timestamp | KeyType::TimestampTz) => {
            as_dates.unwrap_or(false)
        }
        Some(KeyType::Text | KeyType::Uuid) => false,
        None if before.is_number && after.is_number => as_numbers.unwrap_or(false),
        None => as_text && (as_numbers.unwrap_or(false) || as_dates.unwrap_or(false)),
    }
}

/// Both as `2026-01-31` or `2026-01-31 23:59:59` without a zone, whose text is in order of time.
fn iso_dates(before: &str, after: &str) -> Option<(String, String)> {
    let plain = |text: &str| {
        let text = text.replace('T', " ");
        let shape: String = text
            .chars()
            .map(|letter| if letter.is_ascii_digit() { '9' } else { letter })
            .collect();
        let is_plain =
            ["9999-99-99", "9999-99-99 99:99", "9999-99-99 99:99:99"].contains(&shape.as_str());
        is_plain.then_some(text)
    };
    plain(before).zip(plain(after))
}

fn lists(
    raw: &Placed<Vec<RawList<'_>>>,
    shards: &ShardNames<'_>,
    notes: &mut Notes<'_>,
) -> Vec<ListConfig> {
    if raw.get_ref().is_empty() {
        notes.mistake(
            &raw.span(),
            "`list` is empty",
            "write list = [ { values = [\"eu\"], shard = \"a\" } ]",
        );
    }
    let mut lines: HashMap<&str, usize> = HashMap::new();
    let mut lists = Vec::new();
    for entry in raw.get_ref() {
        let shard = shard(entry.shard.as_ref(), &entry.section, shards, notes);
        if entry.section.value("values").is_none() {
            entry.section.missing("values", notes);
        }
        let values = entry
            .values
            .as_ref()
            .map(|values| values.get_ref().as_slice())
            .unwrap_or_default();
        if let Some(written) = &entry.values
            && written.get_ref().is_empty()
        {
            notes.mistake(
                &written.span(),
                "`values` is empty",
                "write values = [\"eu\", \"uk\"]",
            );
        }
        for value in values {
            let line = notes.line(&value.span());
            if let Some(line) = lines.insert(&value.get_ref().text, line) {
                let what = format!(
                    "the value {:?} is there already, in line {line}",
                    value.get_ref().text
                );
                notes.mistake(&value.span(), what, "give each value to one shard");
            }
        }
        if let Some(shard) = shard {
            lists.push(ListConfig {
                values: values
                    .iter()
                    .map(|value| value.get_ref().text.clone())
                    .collect(),
                shard,
            });
        }
    }
    lists
}

fn shard(
    written: Option<&Placed<String>>,
    section: &crate::config::reader::Section<'_>,
    shards: &ShardNames<'_>,
    notes: &mut Notes<'_>,
) -> Option<ShardId> {
    if section.value("shard").is_none() {
        section.missing("shard", notes);
    }
    shards.find(written?, notes)
}
