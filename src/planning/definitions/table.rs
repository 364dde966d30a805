//! CREATE TABLE and CREATE INDEX.

use super::super::ddl;
use super::super::declared::Declared;
use super::super::plan::{Refusal, Way};
use super::super::refusal;
use super::constraint::{Defined, Element};
use super::eyes::{Eyes, Place, Table, apart_if};
use super::{Definition, Verdict};
use crate::sql::statement::TableName;

/// Behind `TABLE`, which isn't temporary.
pub fn create_table(eyes: &Eyes<'_>, at: usize) -> Verdict {
    let text = eyes.text;
    let (name, behind) = ddl::table_name(text, eyes.pass_if(at))?;
    let mut table = eyes.new_table(&name);
    if Eyes::find(text, behind, "as").is_some() && !text.is(behind, "partition") {
        // Its rows come from a query: the other module's, unless they would have to be divided.
        return if table.place.is_home() { None } else { super::refused(refusal::makes_table("CREATE TABLE AS")) };
    }
    let mut open = behind;
    if text.is(behind, "partition") && text.is(behind + 1, "of") {
        let (parent, behind) = ddl::table_name(text, behind + 2)?;
        let parent = eyes.table(&parent);
        if table.place.is_home() {
            table.place = parent.place;
        } else if parent.place.is_home() {
            return super::refused(refusal::inherits(&table.display, &parent.display));
        }
        open = behind;
    } else if text.is(behind, "of") {
        open = ddl::table_name(text, behind + 1)?.1;
    }
    let mut elements = Vec::new();
    if text.punct(open, b'(') {
        let close = ddl::closing(text, open);
        elements = eyes.divided(open + 1, close).into_iter().map(Element::read).collect::<Option<Vec<_>>>()?;
        open = close + 1;
    }
    if let Some(refusal) = inherited(eyes, open, &table) {
        return super::refused(refusal);
    }
    if is_ruled(eyes, &table, &elements)
        && !text.is(behind, "partition")
        && Eyes::find(text, open, "inherits").is_none()
    {
        return Some(Ok(Definition::Everywhere(Way::Ruled)));
    }
    // A query can't stand in a table's definition, so that what it calls is all that could read others.
    if let Some(refusal) = eyes.unsafe_call(text.from(behind)) {
        return super::refused(refusal);
    }
    let defined = Defined { eyes, table: &table, elements: &elements };
    if let Err(refusal) = defined.check() {
        return super::refused(refusal);
    }
    match &table.place {
        Place::Home => super::home(),
        // Migrations may add the key by an ALTER TABLE of its own (Django's do); a table without it takes no rows.
        _ => Some(Ok(Definition::Everywhere(Way::Table))),
    }
}

/// Whether the configuration's rule for new tables places it.
fn is_ruled(eyes: &Eyes<'_>, table: &Table, elements: &[Element]) -> bool {
    let Some(Declared::Sharded { key, .. }) = eyes.scene.map.new_tables() else { return false };
    let has_key = elements.iter().any(|element| element.column.as_ref() == Some(key));
    has_key && table.place.is_home() && !eyes.exists(table)
}

/// `INHERITS (parents)`: a table by itself, whose rows those who ask a parent see as well.
fn inherited(eyes: &Eyes<'_>, from: usize, table: &Table) -> Option<Refusal> {
    let at = Eyes::find(eyes.text, from, "inherits")?;
    let (parents, _) = eyes.names_at(at + 2)?;
    let placed = parents.iter().map(|parent| eyes.table(parent)).find(|parent| !parent.place.is_home());
    match placed {
        Some(parent) => Some(refusal::inherits(&table.display, &parent.display)),
        None if !table.place.is_home() => Some(refusal::inherits(&table.display, "an unsharded table")),
        None => None,
    }
}

/// Behind `INDEX`.
pub fn create_index(eyes: &Eyes<'_>, mut at: usize, unique: bool) -> Verdict {
    let text = eyes.text;
    let apart = text.is(at, "concurrently");
    at += usize::from(apart);
    at = eyes.pass_if(at);
    if !text.is(at, "on") {
        at += 1;
    }
    if !text.is(at, "on") {
        return None;
    }
    at += 1 + usize::from(text.is(at + 1, "only"));
    let (name, mut open) = ddl::table_name(text, at)?;
    let table = eyes.table(&name);
    if text.is(open, "using") {
        open += 2;
    }
    if eyes.is_view(&table) {
        return None;
    }
    if unique && let Place::Sharded(sharded) = &table.place {
        let columns = plain_columns(eyes, open);
        let defined = Defined { eyes, table: &table, elements: &[] };
        if !defined.is_unique_over_shards(&columns, &sharded.key) {
            return super::refused(refusal::unique_without_key(&table.display, &sharded.key));
        }
    }
    if let Some(refusal) = eyes.unsafe_call(text.from(open)) {
        return super::refused(refusal);
    }
    apart_if(&table.place, apart)
}

/// The items of an index that are columns as they are; another item takes its place without a name.
fn plain_columns(eyes: &Eyes<'_>, open: usize) -> Vec<String> {
    let close = ddl::closing(eyes.text, open);
    let column = |item: super::super::text::Text<'_>| match item.punct(1, b'(') {
        true => String::new(),
        false => item.name(0).unwrap_or_default(),
    };
    eyes.divided(open + 1, close).into_iter().map(column).collect()
}

/// An index by its name: where its table is.
pub fn place_of_indexes(eyes: &Eyes<'_>, indexes: &[TableName], what: &str) -> Result<Place, Refusal> {
    let tables: Vec<Table> = indexes.iter().filter_map(|index| eyes.table_of_index(index)).collect();
    if tables.is_empty() {
        // The home shard says that there is none.
        return Ok(Place::Reference);
    }
    match eyes.together(&tables, what) {
        Some(Ok(Definition::Home)) => Ok(Place::Home),
        Some(Err(refusal)) => Err(refusal),
        _ => Ok(Place::Reference),
    }
}

/// For constraints that ALTER TABLE adds by an index that is there.
pub fn columns_of_index(eyes: &Eyes<'_>, table: &Table, index: &str) -> Option<Vec<String>> {
    let indexes = &eyes.relation(table)?.unique_indexes;
    Some(indexes.iter().find(|known| known.name == index)?.columns.clone())
}
