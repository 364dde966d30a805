//! Values that may be written in several ways: passwords and buckets.

use toml::Spanned;
use toml::de::DeValue;

use super::{RawBuckets, RawSecret};
use crate::config::keys::SECRET;
use crate::config::mistake::Notes;
use crate::config::reader::{Placed, Section, in_file_order, type_name};

/// A string, `{ env = ... }` or `{ file = ... }`.
pub(super) fn secret(section: &Section<'_>, name: &str, notes: &mut Notes<'_>) -> Option<Placed<RawSecret>> {
    let value = section.value(name)?;
    let at = value.span();
    let secret = match value.get_ref() {
        DeValue::String(text) => RawSecret::Text(text.to_string()),
        DeValue::Table(table) => {
            let inner = Section::open(table, &SECRET, format!("`{name}`"), at.clone(), &[], notes);
            match (inner.string("env", notes), inner.string("file", notes)) {
                (Some(variable), None) => RawSecret::Environment(variable.into_inner()),
                (None, Some(path)) => RawSecret::File(path.into_inner()),
                (Some(_), Some(_)) => {
                    notes.mistake(&at, format!("`{name}` has both `env` and `file`"), "leave one of them out");
                    RawSecret::Unusable
                }
                (None, None) => {
                    if table.is_empty() {
                        notes.mistake(&at, format!("`{name}` is empty"), section.write(name));
                    }
                    RawSecret::Unusable
                }
            }
        }
        other => {
            let what = format!("`{name}` must be a string or a table with `env` or `file`, not {}", type_name(other));
            notes.mistake(&at, what, section.write(name));
            RawSecret::Unusable
        }
    };
    Some(Spanned::new(at, secret))
}

/// By shard a list of `"first-last"` and numbers, or one of them alone.
pub(super) fn buckets(section: &Section<'_>, notes: &mut Notes<'_>) -> Option<Placed<Vec<RawBuckets>>> {
    let at = section.value("buckets")?.span();
    let (_, table) = section.table("buckets", notes)?;
    let mut all = Vec::new();
    for (shard, value) in in_file_order(table) {
        let items: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        let mut ranges = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => ranges.push(Spanned::new(item.span(), text.to_string())),
                DeValue::Integer(digits) => ranges.push(Spanned::new(item.span(), digits.to_string())),
                other => {
                    let found = type_name(other);
                    let what = format!("buckets must be given as \"first-last\" or a number, not {found}");
                    notes.mistake(&item.span(), what, section.write("buckets"));
                }
            }
        }
        all.push(RawBuckets { shard: Spanned::new(shard.span(), shard.get_ref().to_string()), ranges });
    }
    Some(Spanned::new(at, all))
}
