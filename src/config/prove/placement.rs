//! Where the rows of a sharded table go: by hash, range or list.

use std::collections::HashMap;

use super::databases::ShardNames;
use crate::config::mistake::Notes;
use crate::config::raw::{RawList, RawRange, RawTable};
use crate::config::reader::{Placed, Scalar, Section};
use crate::config::{ListConfig, PlacementConfig, RangeConfig};
use crate::types::{KeyType, ShardId};

/// `None`: by `colocate`.
pub(super) fn placement(
    raw: &RawTable<'_>,
    key_type: Option<KeyType>,
    shards: &ShardNames<'_>,
    notes: &mut Notes<'_>,
) -> Option<PlacementConfig> {
    let written = ["colocate", "range", "list"];
    let mut written = written.into_iter().filter(|name| raw.section.value(name).is_some());
    let first = written.next();
    for other in written {
        let what = format!("`{}` and `{other}` both say where rows go", first.unwrap_or_default());
        notes.mistake(&raw.section.place_of(other), what, format!("remove `{other}`"));
    }
    match (first, &raw.range, &raw.list) {
        (Some("range"), Some(range), _) => {
            ordered(raw, key_type, notes);
            Some(PlacementConfig::Range(ranges(range, key_type, shards, notes)))
        }
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
    let is_range_only =
        matches!(key_type, Some(KeyType::Date | KeyType::Timestamp | KeyType::TimestampTz | KeyType::Numeric));
    if is_range_only && let Some(written) = &raw.key_type {
        let what = format!("a key of type {} can't be hashed", written.get_ref());
        notes.mistake(&written.span(), what, "give the table a `range`");
    }
}

/// Text is ordered by collations, which the servers have and Shardway hasn't.
fn ordered(raw: &RawTable<'_>, key_type: Option<KeyType>, notes: &mut Notes<'_>) {
    if matches!(key_type, Some(KeyType::Text | KeyType::Uuid))
        && let Some(written) = &raw.key_type
    {
        let what = format!("a key of type {} can't be placed by range", written.get_ref());
        notes.mistake(&written.span(), what, "remove `range`, or write a `list`");
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
            notes.mistake(&entry.section.at, "only the last range can do without `until`", remedy);
        }
        if let Some(until) = &entry.until {
            if let Some(before) = before
                && descends(before.get_ref(), until.get_ref(), key_type)
            {
                let what = format!("`until` {:?} is not above {:?}", until.get_ref().text, before.get_ref().text);
                notes.mistake(&until.span(), what, "put the ranges in ascending order");
            }
            before = Some(until);
        }
        if let Some(shard) = shard {
            let until = entry.until.as_ref().map(|until| until.get_ref().text.clone());
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
    let as_numbers = number(before).zip(number(after)).map(|(before, after)| before >= after);
    let as_dates = iso_dates(&before.text, &after.text).map(|(before, after)| before >= after);
    let as_text = before.text > after.text;
    match key_type {
        Some(KeyType::Int2 | KeyType::Int4 | KeyType::Int8 | KeyType::Numeric) => as_numbers.unwrap_or(false),
        Some(KeyType::Date | KeyType::Timestamp | KeyType::TimestampTz) => as_dates.unwrap_or(false),
        Some(KeyType::Text | KeyType::Uuid) => false,
        None if before.is_number && after.is_number => as_numbers.unwrap_or(false),
        None => as_text && (as_numbers.unwrap_or(false) || as_dates.unwrap_or(false)),
    }
}

/// Both as `2026-01-31` or `2026-01-31 23:59:59` without a zone, whose text is in order of time.
fn iso_dates(before: &str, after: &str) -> Option<(String, String)> {
    let plain = |text: &str| {
        let text = text.replace('T', " ");
        let shape: String = text.chars().map(|letter| if letter.is_ascii_digit() { '9' } else { letter }).collect();
        let is_plain = ["9999-99-99", "9999-99-99 99:99", "9999-99-99 99:99:99"].contains(&shape.as_str());
        is_plain.then_some(text)
    };
    plain(before).zip(plain(after))
}

fn lists(raw: &Placed<Vec<RawList<'_>>>, shards: &ShardNames<'_>, notes: &mut Notes<'_>) -> Vec<ListConfig> {
    if raw.get_ref().is_empty() {
        notes.mistake(&raw.span(), "`list` is empty", "write list = [ { values = [\"eu\"], shard = \"a\" } ]");
    }
    let mut lines: HashMap<&str, usize> = HashMap::new();
    let mut lists = Vec::new();
    for entry in raw.get_ref() {
        let shard = shard(entry.shard.as_ref(), &entry.section, shards, notes);
        if entry.section.value("values").is_none() {
            entry.section.missing("values", notes);
        }
        let values = entry.values.as_ref().map(|values| values.get_ref().as_slice()).unwrap_or_default();
        if let Some(written) = &entry.values
            && written.get_ref().is_empty()
        {
            notes.mistake(&written.span(), "`values` is empty", "write values = [\"eu\", \"uk\"]");
        }
        for value in values {
            let line = notes.line(&value.span());
            if let Some(line) = lines.insert(&value.get_ref().text, line) {
                let what = format!("the value {:?} is there already, in line {line}", value.get_ref().text);
                notes.mistake(&value.span(), what, "give each value to one shard");
            }
        }
        if let Some(shard) = shard {
            lists.push(ListConfig { values: values.iter().map(|value| value.get_ref().text.clone()).collect(), shard });
        }
    }
    lists
}

fn shard(
    written: Option<&Placed<String>>,
    section: &Section<'_>,
    shards: &ShardNames<'_>,
    notes: &mut Notes<'_>,
) -> Option<ShardId> {
    if section.value("shard").is_none() {
        section.missing("shard", notes);
    }
    shards.find(written?, notes)
}
