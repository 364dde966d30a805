//! CREATE, DROP, COMMENT and GRANT of objects, by their kind.

use super::super::ddl;
use super::super::declared::{self, Declared};
use super::super::functions::Class;
use super::super::plan::{Refusal, Way};
use super::super::refusal;
use super::super::text::Text;
use super::eyes::{Eyes, Table, apart_if};
use super::maintenance::in_way;
use super::{Definition, Verdict, table};
use crate::catalog::RelationKind;
use crate::routing::TableRoute;
use crate::sql::statement::TableName;

/// What every shard has, whatever tables there are; each by the words behind CREATE, ALTER and DROP.
const GLOBAL: &[&[&str]] = &[
    &["aggregate"],
    &["cast"],
    &["collation"],
    &["conversion"],
    &["domain"],
    &["extension"],
    &["function"],
    &["language"],
    &["operator"],
    &["procedure"],
    &["routine"],
    &["schema"],
    &["text", "search"],
    &["transform"],
    &["type"],
];

/// If an object of this kind is named here.
pub fn is_global(text: Text<'_>, at: usize) -> bool {
    let at = at + usize::from(text.is_any(at, &["trusted", "procedural", "default"]));
    GLOBAL.iter().any(|words| words.iter().enumerate().all(|(position, word)| text.is(at + position, word)))
}

/// Roles, which all databases of a server share. What is set for one in one database isn't: each server's is called as
/// it likes.
pub fn is_role(text: Text<'_>, at: usize) -> bool {
    let is_mapping = text.is(at, "user") && text.is(at + 1, "mapping");
    let in_database = (at..text.pieces.len()).any(|at| text.is(at, "in") && text.is(at + 1, "database"));
    text.is_any(at, &["role", "user", "group"]) && !is_mapping && !in_database
}

pub fn create(eyes: &Eyes<'_>) -> Verdict {
    let text = eyes.text;
    let mut at = 1;
    let (mut unique, mut temporary) = (false, false);
    while text
        .is_any(at, &["or", "replace", "unlogged", "unique", "constraint", "global", "local", "temp", "temporary"])
    {
        unique |= text.is(at, "unique");
        temporary |= text.is_any(at, &["temp", "temporary"]);
        at += 1;
    }
    if temporary || text.name(at).is_some_and(|_| is_temporary_name(eyes, at)) {
        return None;
    }
    if text.is(at, "table") {
        return table::create_table(eyes, at + 1);
    }
    if text.is(at, "index") {
        return table::create_index(eyes, at + 1, unique);
    }
    if text.is(at, "sequence") {
        return match owner_of_sequence(eyes) {
            Some(owner) => owner.place.verdict(),
            None => super::everywhere(),
        };
    }
    if text.is(at, "trigger") {
        let on = Eyes::find(text, at, "on")?;
        return on_table(eyes, on + 1);
    }
    if text.is(at, "policy") {
        // What a policy's expressions read isn't looked at: they are the same on every shard.
        let on = Eyes::find(text, at, "on")?;
        let verdict = on_table(eyes, on + 1);
        return if reads_tables(text) { None } else { verdict };
    }
    if text.is(at, "statistics") {
        let from = Eyes::find(text, at, "from")?;
        return on_table(eyes, from + 1);
    }
    if text.is(at, "schema") && (at + 1..eyes.end()).any(|at| text.is_any(at, &["create", "grant"])) {
        return super::refused(refusal::ddl("CREATE SCHEMA with the objects in it"));
    }
    if text.is_any(at, &["function", "procedure"]) {
        return Some(Ok(Definition::Everywhere(Way::Bodies)));
    }
    if is_role(text, at) {
        return super::servers();
    }
    if is_global(text, at) { super::everywhere() } else { None }
}

/// `pg_temp.name` behind the kind of the object.
fn is_temporary_name(eyes: &Eyes<'_>, kind: usize) -> bool {
    let name = eyes.pass_if(kind + 1);
    eyes.text.name(name).as_deref() == Some("pg_temp") && eyes.text.punct(name + 1, b'.')
}

fn reads_tables(text: Text<'_>) -> bool {
    (0..text.pieces.len()).any(|at| text.punct(at, b'(') && text.is_any(at + 1, &["select", "with", "values", "table"]))
}

/// The table of `OWNED BY table.column`.
pub fn owner_of_sequence(eyes: &Eyes<'_>) -> Option<Table> {
    let at = Eyes::find(eyes.text, 0, "owned").filter(|at| eyes.text.is(at + 1, "by"))?;
    column_owner(eyes, at + 2).map(|name| eyes.table(&name))
}

/// The table of `[schema.]table.column`.
fn column_owner(eyes: &Eyes<'_>, at: usize) -> Option<TableName> {
    let first = eyes.text.name(at)?;
    if !eyes.text.punct(at + 1, b'.') {
        return None;
    }
    let second = eyes.text.name(at + 2)?;
    if eyes.text.punct(at + 3, b'.') {
        return Some(TableName { schema: Some(first.into()), name: second.into() });
    }
    Some(TableName { schema: None, name: first.into() })
}

/// Where the table at this token is.
pub fn on_table(eyes: &Eyes<'_>, at: usize) -> Verdict {
    let at = at + usize::from(eyes.text.is(at, "only"));
    let (name, _) = ddl::table_name(eyes.text, at)?;
    let table = eyes.table(&name);
    if eyes.is_view(&table) { None } else { table.place.verdict() }
}

/// DROP VIEW of views that every shard has.
fn drop_views(eyes: &Eyes<'_>, at: usize) -> Verdict {
    let (names, _) = eyes.names_at(eyes.pass_if(at))?;
    let views: Vec<Table> = names.iter().map(|name| eyes.table(name)).collect();
    if views.iter().all(|view| view.place.is_home()) {
        let reads = |view: &Table| eyes.relation(view).is_some_and(|view| view.kind == RelationKind::View);
        return if views.iter().all(reads) { super::home() } else { None };
    }
    match views.iter().find(|view| view.place.is_home() && eyes.relation(view).is_some()) {
        Some(view) => super::refused(refusal::mixed_definition("DROP VIEW", &view.display)),
        None => super::everywhere(),
    }
}

pub fn drop(eyes: &Eyes<'_>) -> Verdict {
    let text = eyes.text;
    if text.is(1, "view") {
        return drop_views(eyes, 2);
    }
    if text.is(1, "table") {
        return drop_tables(eyes);
    }
    if text.is(1, "index") {
        let apart = text.is(2, "concurrently");
        let (names, _) = eyes.names_at(eyes.pass_if(2 + usize::from(apart)))?;
        return match table::place_of_indexes(eyes, &names, "DROP INDEX") {
            Ok(place) => apart_if(&place, apart),
            Err(refusal) => super::refused(refusal),
        };
    }
    if text.is(1, "sequence") {
        let (names, _) = eyes.names_at(eyes.pass_if(2))?;
        return sequences(eyes, &names, "DROP SEQUENCE");
    }
    if text.is_any(1, &["trigger", "policy"]) {
        let on = Eyes::find(text, 2, "on")?;
        return on_table(eyes, on + 1);
    }
    if text.is(1, "owned") {
        return None;
    }
    if is_role(text, 1) {
        return super::servers();
    }
    if is_global(text, 1) { super::everywhere() } else { None }
}

/// The rows of all shards, and their sequences with RESTART IDENTITY.
pub fn truncate(eyes: &Eyes<'_>) -> Verdict {
    let text = eyes.text;
    let mut at = 1 + usize::from(text.is(1, "table"));
    let mut tables = Vec::new();
    let start = at;
    loop {
        at += usize::from(text.is(at, "only"));
        let (name, mut behind) = ddl::table_name(text, at)?;
        behind += usize::from(text.bytes(behind) == b"*");
        tables.push(eyes.table(&name));
        at = behind;
        if !text.punct(at, b',') {
            break;
        }
        at += 1;
    }
    if tables.iter().any(|table| eyes.is_view(table) || table.schema.starts_with("pg_temp")) {
        return None;
    }
    let functions = eyes.scene.functions();
    let triggers = tables.iter().filter_map(|table| Some((table, eyes.relation(table)?)));
    for (table, called) in
        triggers.flat_map(|(table, relation)| relation.trigger_functions.iter().map(move |f| (table, f)))
    {
        if functions.declared().class(Some(&called.schema), &called.name) >= Class::ReadsTables {
            return super::refused(refusal::trigger(&table.display, &called.name));
        }
    }
    let verdict = eyes.listed(&tables, start..at, "TRUNCATE");
    if matches!(verdict, Some(Ok(Definition::Home | Definition::Listed(..))))
        && eyes.has("cascade")
        && let Some(refusal) = cascade(eyes, &tables)
    {
        return super::refused(refusal);
    }
    // The sequences of the other shards are to be left without values again.
    if eyes.has("restart") { in_way(Way::Table, verdict) } else { verdict }
}

fn drop_tables(eyes: &Eyes<'_>) -> Verdict {
    let at = eyes.pass_if(2);
    let (names, behind) = eyes.names_at(at)?;
    let tables: Vec<Table> = names.iter().map(|name| eyes.table(name)).collect();
    if tables.iter().any(|table| eyes.is_view(table) || table.schema.starts_with("pg_temp")) {
        return None;
    }
    let verdict = eyes.listed(&tables, at..behind, "DROP TABLE");
    if matches!(verdict, Some(Ok(Definition::Home | Definition::Listed(..))))
        && eyes.has("cascade")
        && let Some(refusal) = cascade(eyes, &tables)
    {
        return super::refused(refusal);
    }
    verdict
}

/// Of those of these tables that the home shard alone has.
fn cascade(eyes: &Eyes<'_>, tables: &[Table]) -> Option<Refusal> {
    tables.iter().filter(|table| table.place.is_home()).find_map(|table| cascades(eyes, table))
}

/// Something of a sharded or reference table that would be dropped with a table, on the home shard only.
fn cascades(eyes: &Eyes<'_>, table: &Table) -> Option<Refusal> {
    let Some(catalog) = &eyes.scene.catalog else { return Some(refusal::ddl("DROP ... CASCADE")) };
    let refers = |relation: &&crate::catalog::Relation| {
        let to = |name: &crate::catalog::QualifiedName| name.schema == table.schema && name.name == table.name;
        relation.foreign_keys.iter().any(|key| to(&key.references)) || relation.parents.iter().any(to)
    };
    let other = catalog.relations().filter(refers).find_map(|relation| {
        let name = TableName { schema: Some(relation.schema.as_str().into()), name: relation.name.as_str().into() };
        let other = eyes.table(&name);
        (!other.place.is_home()).then_some(other)
    });
    other.map(|other| refusal::mixed_definition("DROP ... CASCADE", &other.display))
}

/// All of them at home, or all everywhere.
pub fn sequences(eyes: &Eyes<'_>, names: &[TableName], what: &str) -> Verdict {
    let tables: Vec<Table> =
        names.iter().map(|name| Table { place: eyes.place_of_sequence(name), ..eyes.table(name) }).collect();
    eyes.together(&tables, what)
}

pub fn comment(eyes: &Eyes<'_>) -> Verdict {
    let text = eyes.text;
    if !text.is(1, "on") {
        return None;
    }
    if text.is_any(2, &["table", "view"]) {
        if text.is(2, "table") {
            return comment_on_table(eyes);
        }
        return on_table(eyes, 3);
    }
    if text.is(2, "column") {
        let table = eyes.table(&column_owner(eyes, 3)?);
        return if eyes.is_view(&table) { None } else { table.place.verdict() };
    }
    if text.is(2, "index") {
        let (name, _) = ddl::table_name(text, 3)?;
        return match table::place_of_indexes(eyes, &[name], "COMMENT ON INDEX") {
            Ok(place) => place.verdict(),
            Err(refusal) => super::refused(refusal),
        };
    }
    if text.is(2, "sequence") {
        let (name, _) = ddl::table_name(text, 3)?;
        return eyes.place_of_sequence(&name).verdict();
    }
    if text.is_any(2, &["constraint", "trigger", "policy", "rule"]) {
        let on = Eyes::find(text, 3, "on")?;
        return if text.is(on + 1, "domain") { super::everywhere() } else { on_table(eyes, on + 1) };
    }
    if text.is(2, "role") {
        return super::servers();
    }
    if is_global(text, 2) { super::everywhere() } else { None }
}

/// A comment may place a new table, and what says where a table's rows are stays.
fn comment_on_table(eyes: &Eyes<'_>) -> Verdict {
    let text = eyes.text;
    let (name, behind) = ddl::table_name(text, 3)?;
    let table = eyes.table(&name);
    let placement = eyes.relation(&table).and_then(|relation| relation.placement.as_deref());
    let read = match text.literal(behind + 1) {
        _ if text.is(behind + 1, "null") => None,
        Some(comment) => declared::read(&comment),
        None => return super::refused(refusal::comment_unread()),
    };
    match (placement.and_then(declared::read), read) {
        (None, None) => on_table(eyes, 3),
        (Some(Ok(was)), Some(Ok(is))) if was == is => super::everywhere(),
        (Some(_), _) => super::refused(refusal::comment_places(&table.display)),
        (None, Some(Err(part))) => super::refused(refusal::comment_misread(&part)),
        (None, Some(Ok(_))) if !table.place.is_home() || eyes.is_view(&table) => {
            super::refused(refusal::placed_already(&table.display))
        }
        (None, Some(Ok(Declared::Sharded { colocate: Some((schema, name)), .. })))
            if !matches!(eyes.scene.map.table(&schema, &name), Some(TableRoute::Sharded(_))) =>
        {
            super::refused(refusal::colocated_with_nothing(&schema, &name))
        }
        (None, Some(Ok(_))) => Some(Ok(Definition::Everywhere(Way::Placing))),
    }
}

/// Privileges on tables are where the tables are; all others are everywhere, but for those of roles and databases,
/// which servers share.
pub fn grant(eyes: &Eyes<'_>) -> Verdict {
    let text = eyes.text;
    // Without ON it is a role that is granted.
    let Some(on) = Eyes::find(text, 0, "on") else { return super::servers() };
    let at = on + 1;
    if text.is_any(at, &["database", "tablespace", "parameter", "large", "foreign"]) {
        return None;
    }
    if text.is(at, "all") {
        // ALL TABLES IN SCHEMA: each server's own.
        return super::everywhere();
    }
    if text.is(at, "sequence") {
        let (names, _) = eyes.names_at(at + 1)?;
        return sequences(eyes, &names, "GRANT or REVOKE");
    }
    if is_global(text, at) {
        return super::everywhere();
    }
    let at = at + usize::from(text.is(at, "table"));
    let (names, behind) = eyes.names_at(at)?;
    let tables: Vec<Table> = names
        .iter()
        .map(|name| {
            let table = eyes.table(name);
            let place = if eyes.is_sequence(&table) { eyes.place_of_sequence(name) } else { table.place.clone() };
            Table { place, ..table }
        })
        .collect();
    if tables.iter().any(|table| eyes.is_view(table)) {
        return None;
    }
    eyes.listed(&tables, at..behind, "GRANT or REVOKE")
}
