//! What the parts of a statement read of each other and of tables elsewhere, and where it stands in the text. In: the
//! parts. Out: steps, in the order in which they are run.

use std::ops::Range;

use super::affected::Affected;
use super::units::Unit;
use super::{Form, Place, Source, Step};
use crate::catalog::{QualifiedName, Relation};
use crate::planning::gather;
use crate::planning::scene::{Names, Scene};
use crate::planning::tables::{Found, Location};
use crate::planning::text::Text;
use crate::planning::{ddl, query};
use crate::sql::statement::{self, TableName};

/// A table that is read in a part, and where.
struct Read<'a> {
    unit: usize,
    found: &'a Found,
    /// In the part's parsed statement.
    at: (usize, usize),
    tokens: Range<usize>,
}

/// `None` where something isn't found in the text as often as the statement has it.
pub fn find(text: Text<'_>, units: &[Unit], affected: &Affected, scene: &Scene, names: &Names) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut late = Vec::new();
    for (position, unit) in units.iter().enumerate().filter(|(_, unit)| unit.is_late) {
        let queries = queries(text, unit, units, scene, names);
        let within =
            |range: &Range<usize>| queries.iter().any(|query| query.start <= range.start && range.end <= query.end);
        for query in &queries {
            let place = Place { tokens: query.clone(), form: Form::Query };
            steps.push(Step {
                source: Source::Tokens(query.clone()),
                shown: "a sub-select".to_owned(),
                writes: false,
                places: vec![place],
                columns: Vec::new(),
            });
        }
        for read in reads(text, units, position)? {
            if within(&read.tokens) || !leaves(unit, read.found, affected, scene, position) {
                continue;
            }
            steps.push(table_step(text, units, &read, scene)?);
        }
    }
    // Common table expressions that only read come first, each before those that read it.
    let mut early = Vec::new();
    for (position, unit) in units.iter().enumerate() {
        let Some(name) = &unit.name else { continue };
        if has_collations(unit, scene) {
            return None;
        }
        let places = places_of(text, units, position, name)?;
        if places.is_empty() && !unit.writes {
            // It isn't run, but looked at.
            return None;
        }
        let step = Step {
            source: Source::Tokens(unit.tokens.clone()),
            shown: name.clone(),
            writes: unit.writes,
            places,
            columns: unit.columns.clone(),
        };
        if unit.is_late { late.push(step) } else { early.push(step) }
    }
    early.extend(steps);
    early.extend(late);
    Some(early)
}

fn has_collation(relation: &Relation) -> bool {
    relation.columns.iter().any(|column| column.qualified_collation.is_some())
}

/// Collations of columns get lost on the way.
fn has_collations(unit: &Unit, scene: &Scene) -> bool {
    let known = |found: &Found| scene.catalog.as_ref().and_then(|catalog| catalog.relation(&found.schema, &found.name));
    unit.locations.iter().flatten().flatten().filter_map(known).any(has_collation)
}

/// If what a part reads of a table can't be read where the part runs, or not any more.
fn leaves(unit: &Unit, found: &Found, affected: &Affected, scene: &Scene, position: usize) -> bool {
    let name = QualifiedName::new(found.schema.clone(), found.name.clone());
    if affected.elsewhere(scene, &name, position) {
        return true;
    }
    match &found.location {
        Location::Reference => false,
        Location::Home => unit.target().is_some_and(|target| !matches!(target.location, Location::Home)),
        Location::Sharded(_) | Location::Viewed | Location::System => true,
    }
}

/// The rows of one table.
fn table_step(text: Text<'_>, units: &[Unit], read: &Read<'_>, scene: &Scene) -> Option<Step> {
    let unit = units.get(read.unit)?;
    let found = read.found;
    if matches!(found.location, Location::System | Location::Viewed) || found.view.is_some() || found.refusal.is_some()
    {
        return None;
    }
    let known = scene.catalog.as_ref()?.relation(&found.schema, &found.name)?;
    let relation = unit.statement.scopes.get(read.at.0)?.relations.get(read.at.1)?;
    let own_name = relation.alias.as_deref().unwrap_or(&found.name);
    // The row as a whole would be of another type.
    if unit.statement.bare_names.iter().any(|name| **name == *own_name)
        || unit.statement.scopes.iter().any(|scope| scope.features.sample || scope.natural)
    {
        return None;
    }
    let columns = gather::columns_of(text.range(unit.tokens.clone()), &unit.statement, known);
    let quote = crate::sql::quote_identifier;
    let list: Vec<String> = columns.iter().map(|column| quote(&column.name)).collect();
    if list.is_empty() {
        return None;
    }
    let shards = match &found.location {
        Location::Sharded(sharded) => sharded.placement.shards().to_vec(),
        _ => vec![scene.map.home()],
    };
    let sql = format!("SELECT {} FROM {}.{}", list.join(", "), quote(&found.schema), quote(&found.name));
    let conditions = gather::conditions_of(&unit.statement, &unit.locations, read.at, found, known);
    let has_alias = relation.alias.is_some();
    let place = Place { tokens: read.tokens.clone(), form: Form::Relation((!has_alias).then(|| found.name.clone())) };
    Some(Step {
        source: Source::Table {
            sql,
            shards,
            conditions,
            collations: columns.into_iter().map(|column| column.collation).collect(),
            may_be_hidden: found.may_be_hidden.then(|| found.name.clone()),
        },
        shown: found.display.clone(),
        writes: false,
        places: vec![place],
        columns: Vec::new(),
    })
}

/// The tables that a part names, but for its target and the names of other parts.
fn reads<'a>(text: Text<'_>, units: &'a [Unit], position: usize) -> Option<Vec<Read<'a>>> {
    let unit = units.get(position)?;
    let target = unit.target_tokens(text);
    if unit.writes && target.is_none() {
        return None;
    }
    let common = |name: &TableName| {
        name.schema.is_none()
            && unit
                .reads
                .iter()
                .any(|read| units.get(*read).is_some_and(|unit| unit.name.as_deref() == Some(&*name.name)))
    };
    let mut all = Vec::new();
    let mut seen: Vec<&TableName> = Vec::new();
    for (name, _, _) in unit.tables() {
        if common(name) || seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let uses: Vec<_> = unit.tables().filter(|(other, _, _)| *other == name).collect();
        let places = places(text, &unit.tokens, name, target.as_ref());
        let is_target = |at: (usize, usize)| {
            unit.statement.scopes.get(at.0).and_then(|scope| scope.relations.get(at.1)).is_some_and(|one| one.is_target)
        };
        if uses.len() != places.len() {
            return None;
        }
        let read_uses: Vec<_> = uses.iter().filter(|(_, at, _)| !is_target(*at)).collect();
        let read_places: Vec<_> = places.into_iter().filter(|place| target.as_ref() != Some(place)).collect();
        if read_uses.len() != read_places.len() {
            return None;
        }
        // Which use is at which place isn't known where their aliases differ.
        let alias = |at: (usize, usize)| {
            let one = unit.statement.scopes.get(at.0).and_then(|scope| scope.relations.get(at.1));
            one.map(|one| one.alias.clone())
        };
        for tokens in read_places {
            let written = alias_at(text, tokens.end);
            let of = |at: (usize, usize)| alias(at).flatten().map(|name| name.to_string());
            let (_, at, found) = read_uses
                .iter()
                .find(|(_, at, _)| match &written {
                    Some(name) => of(*at).as_ref() == Some(name),
                    None => of(*at).is_none(),
                })
                .or_else(|| read_uses.iter().find(|(_, at, _)| of(*at).is_none()))?;
            all.push(Read { unit: position, found: (*found)?, at: *at, tokens });
        }
    }
    Some(all)
}

/// What may be an alias behind a table's name.
fn alias_at(text: Text<'_>, at: usize) -> Option<String> {
    if text.is(at, "as") { text.name(at + 1) } else { text.name(at) }
}

/// Where a table's name stands as such.
fn places(text: Text<'_>, within: &Range<usize>, name: &TableName, target: Option<&Range<usize>>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for at in within.clone() {
        if at.checked_sub(1).is_some_and(|before| text.punct(before, b'.')) {
            continue;
        }
        let range = match &name.schema {
            Some(schema) if text.name(at).as_deref() == Some(schema) && text.punct(at + 1, b'.') => at..at + 3,
            None if !text.punct(at + 1, b'.') => at..at + 1,
            _ => continue,
        };
        if text.name(range.end - 1).as_deref() != Some(&*name.name) || text.punct(range.end, b'.') {
            continue;
        }
        let introduced = at.checked_sub(1).is_some_and(|before| {
            text.is_any(before, &["from", "join", "using", "table"])
                || text.punct(before, b',')
                || text.punct(before, b'(')
        });
        if introduced || target == Some(&range) {
            found.push(range);
        }
    }
    found
}

/// Where the rows of a common table expression are read.
fn places_of(text: Text<'_>, units: &[Unit], position: usize, name: &str) -> Option<Vec<Place>> {
    let wanted = TableName { schema: None, name: name.into() };
    let mut all = Vec::new();
    for unit in units.iter().skip(position + 1) {
        let uses: Vec<(usize, usize)> =
            unit.tables().filter(|(table, _, _)| **table == wanted).map(|(_, at, _)| at).collect();
        if uses.is_empty() {
            continue;
        }
        if unit.statement.bare_names.iter().any(|bare| **bare == *name) {
            return None;
        }
        let found = places(text, &unit.tokens, &wanted, None);
        if found.len() != uses.len() {
            return None;
        }
        for tokens in found {
            let behind = alias_at(text, tokens.end);
            let relation = |at: &(usize, usize)| unit.statement.scopes.get(at.0)?.relations.get(at.1);
            let has_alias = uses
                .iter()
                .filter_map(relation)
                .any(|one| one.alias.is_some() && one.alias.as_deref() == behind.as_deref());
            let form = Form::Relation((!has_alias).then(|| name.to_owned()));
            all.push(Place { tokens, form });
        }
    }
    Some(all)
}

/// Sub-selects of a part that can be answered before it: they read tables, and nothing of what is around them.
fn queries(text: Text<'_>, unit: &Unit, units: &[Unit], scene: &Scene, names: &Names) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = unit.tokens.start;
    while at < unit.tokens.end {
        let opens = text.punct(at, b'(') && text.is_any(at + 1, &["select", "with"]);
        if !opens {
            at += 1;
            continue;
        }
        let end = ddl::closing(text, at).min(unit.tokens.end);
        let inner = at + 1..end;
        if is_apart(text.range(inner.clone()), units, scene, names) {
            found.push(inner);
            at = end;
        } else {
            at += 1;
        }
    }
    found
}

fn is_apart(text: Text<'_>, units: &[Unit], scene: &Scene, names: &Names) -> bool {
    let Some((statement, locations)) = query::read(text, scene, names) else { return false };
    let relations = || statement.scopes.iter().flat_map(|scope| &scope.relations);
    let is_late = |name: &TableName| {
        name.schema.is_none() && units.iter().any(|unit| unit.is_late && unit.name.as_deref() == Some(&*name.name))
    };
    let reads_late = relations().any(|one| matches!(&one.source, statement::Source::Table(name) if is_late(name)));
    let mut tables = locations.iter().flatten().flatten().peekable();
    let known = |found: &Found| scene.catalog.as_ref().and_then(|catalog| catalog.relation(&found.schema, &found.name));
    if reads_late || tables.peek().is_none() || !statement.writes.is_empty() {
        return false;
    }
    let relations_known: Vec<&Relation> = locations.iter().flatten().flatten().filter_map(known).collect();
    if relations_known.iter().any(|relation| has_collation(relation)) {
        return false;
    }
    let all_known = relations_known.len() == relations().count();
    let is_own = |name: &str| {
        relations_known.iter().any(|relation| relation.column(name).is_some())
            || relations().any(|one| one.alias.as_deref() == Some(name))
            || statement
                .scopes
                .iter()
                .flat_map(|scope| &scope.shape.items)
                .any(|item| matches!(item, statement::Item::Value { alias: Some(alias), .. } if **alias == *name))
    };
    let qualified = statement.attributes.iter().all(|attribute| {
        attribute.qualifier.as_ref().is_none_or(|qualifier| relations().any(|one| one.may_be_called(qualifier)))
    });
    qualified && (!all_known || statement.bare_names.iter().all(|name| is_own(name)))
}
