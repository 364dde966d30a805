//! VACUUM, ANALYZE, REINDEX, CLUSTER and LOCK: where the tables are that they name, or everywhere.

use super::super::ddl;
use super::super::plan::Way;
use super::eyes::{Eyes, Table};
use super::{Definition, Verdict, table};

pub fn maintenance(eyes: &Eyes<'_>) -> Verdict {
    let text = eyes.text;
    if text.is(0, "lock") {
        let at = 1 + usize::from(text.is(1, "table"));
        let at = at + usize::from(text.is(at, "only"));
        let (names, behind) = eyes.names_at(at)?;
        let tables: Vec<Table> = names.iter().map(|name| eyes.table(name)).collect();
        if tables.iter().any(|table| eyes.is_view(table)) {
            return None;
        }
        return in_way(Way::InBlock, eyes.listed(&tables, at..behind, "LOCK TABLE"));
    }
    if text.is(0, "reindex") {
        return reindex(eyes);
    }
    if text.is_any(0, &["vacuum", "analyze", "analyse", "cluster"]) {
        return vacuum(eyes);
    }
    None
}

/// ANALYZE may run in a transaction, the others may not, or not always.
fn vacuum(eyes: &Eyes<'_>) -> Verdict {
    let text = eyes.text;
    let mut at = 1;
    while at < eyes.end() {
        if text.punct(at, b'(') {
            at = ddl::closing(text, at) + 1;
        } else if text.is_any(at, &["full", "freeze", "verbose", "analyze", "analyse"]) {
            at += 1;
        } else {
            break;
        }
    }
    if at >= eyes.end() {
        return super::apart();
    }
    let mut tables = Vec::new();
    for item in eyes.divided(at, eyes.end()) {
        let (name, _) = ddl::table_name(item, 0)?;
        tables.push(eyes.table(&name));
    }
    in_way(Way::Apart, eyes.listed(&tables, at..eyes.end(), "VACUUM, ANALYZE or CLUSTER"))
}

fn reindex(eyes: &Eyes<'_>) -> Verdict {
    let text = eyes.text;
    let object = if text.punct(1, b'(') { ddl::closing(text, 1) + 1 } else { 1 };
    let name = object + 1 + usize::from(text.is(object + 1, "concurrently"));
    if text.is_any(object, &["schema", "database", "system"]) {
        return super::apart();
    }
    let (named, _) = ddl::table_name(text, name)?;
    if text.is(object, "index") {
        return match table::place_of_indexes(eyes, &[named], "REINDEX") {
            Ok(place) => in_way(Way::Apart, place.verdict()),
            Err(refusal) => super::refused(refusal),
        };
    }
    let table = eyes.table(&named);
    if text.is(object, "table") { in_way(Way::Apart, table.place.verdict()) } else { None }
}

/// What runs on every shard does so in this way.
pub fn in_way(way: Way, verdict: Verdict) -> Verdict {
    match verdict {
        Some(Ok(Definition::Everywhere(_))) => Some(Ok(Definition::Everywhere(way))),
        Some(Ok(Definition::Listed(_, absent))) => Some(Ok(Definition::Listed(way, absent))),
        other => other,
    }
}
