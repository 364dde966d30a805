//! Joins of tables that aren't on one shard together: the rows of one of them are carried to the shards of the others,
//! which give their parts of the groups, as if it were a reference table. In: a statement that isn't merged as it
//! is. Out: for each of its tables that may be carried, what is read of it and what the shards are then asked.
//!
//! A carried table comes as arrays, a parameter a column: nothing is made on the shards. Which of them is carried, or
//! whether their rows are gathered after all, is decided by each call, which asks how many rows they have.

use std::ops::Range;
use std::sync::Arc;

use super::build::build_grouped;
use super::{Merge, column};
use crate::catalog::Relation;
use crate::planning::evaluate::Call;
use crate::planning::gather::{self, Conditions};
use crate::planning::keys::{Keys, Locations};
use crate::planning::scene::{Names, Scene};
use crate::planning::tables::{Found, Location};
use crate::planning::text::Text;
use crate::sql::TokenKind;
use crate::sql::quote_identifier;
use crate::sql::statement::{Source, Statement};

/// One table of a statement is carried to the others.
#[derive(Debug)]
pub struct Carrying {
    pub merge: Arc<Merge>,
    pub carried: Carried,
}

/// A table whose rows are carried.
#[derive(Debug)]
pub struct Carried {
    pub display: String,
    /// Its position among the uses of sharded tables.
    pub position: usize,
    /// What is read of it, up to WHERE.
    select: String,
    /// Of each column, on the home shard.
    pub types: Vec<u32>,
    conditions: Conditions,
}

/// A plan is compared with others in tests and never by its parts.
impl PartialEq for Carrying {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Carrying {}

impl Carried {
    /// What each of its shards is asked in this call.
    pub fn asked(&self, call: &Call<'_>) -> String {
        let condition = self.conditions.sql(call);
        if condition.is_empty() { self.select.clone() } else { format!("{} WHERE {condition}", self.select) }
    }
}

/// Each table that may be carried, and how.
pub fn carried(
    statement: &Statement,
    keys: &Keys,
    locations: &Locations,
    (scene, names): (&Scene, &Names),
    text: Text<'_>,
) -> Vec<Carrying> {
    let locks = statement.scopes.iter().any(|scope| scope.features.locking);
    if keys.nodes.len() < 2 || locks || text.has_only() {
        return Vec::new();
    }
    (0..keys.nodes.len()).filter_map(|node| carrying(statement, keys, locations, (scene, names), text, node)).collect()
}

fn carrying(
    statement: &Statement,
    keys: &Keys,
    locations: &Locations,
    (scene, names): (&Scene, &Names),
    text: Text<'_>,
    position: usize,
) -> Option<Carrying> {
    let place = keys.nodes.get(position)?.place;
    let found = locations.get(place.scope)?.get(place.relation)?.as_ref()?;
    let known = scene.catalog.as_ref()?.relation(&found.schema, &found.name)?;
    if place.scope != statement.root || found.view.is_some() || gather::needs_all(text, statement, known) {
        return None;
    }
    // As a table of which every shard has all rows it is no sharded one.
    let mut moved = locations.clone();
    moved.get_mut(place.scope)?.get_mut(place.relation)?.as_mut()?.location = Location::Reference;
    let others = Keys::of(statement, &moved);
    let (mut merge, body) = build_grouped(statement, &others, &moved, (scene, names), text)?;
    let (columns, types) = columns(text, statement, known)?;
    let tokens = written(text, statement, place.relation, &body)?;
    let relation = statement.scopes.get(place.scope)?.relations.get(place.relation)?;
    let alias = if relation.alias.is_some() { String::new() } else { format!(" AS {}", quote_identifier(&found.name)) };
    let stand_in = format!("{}{alias}", stand_in(&columns, parameters(text)));
    let at = merge.base + tokens.start..merge.base + tokens.end;
    merge.shard = merge.shard.replacing(&at, &stand_in)?;
    (merge.arrays, merge.parameters) = (columns.len(), parameters(text));
    Some(Carrying {
        merge: Arc::new(merge),
        carried: Carried {
            display: found.display.clone(),
            position,
            select: select(&columns, found),
            types,
            conditions: Conditions::of(statement, (place.scope, place.relation), known),
        },
    })
}

/// The columns that the statement may read, and their types; `None` where one can't be an element of an array.
fn columns(text: Text<'_>, statement: &Statement, known: &Relation) -> Option<(Vec<gather::Column>, Vec<u32>)> {
    /// Arrays in all but their names: int2vector, oidvector.
    const VECTORS: &[u32] = &[22, 30];
    let (all, _) = gather::columns_and_key(text, statement, known);
    let columns: Vec<gather::Column> = all.into_iter().filter(|column| !column.for_key).collect();
    let mut types = Vec::with_capacity(columns.len());
    for one in &columns {
        let known = known.column(&one.name)?;
        if one.type_name.ends_with(']') || VECTORS.contains(&known.type_oid) || known.type_oid == 0 {
            return None;
        }
        types.push(known.type_oid);
    }
    Some((columns, types))
}

fn select(columns: &[gather::Column], found: &Found) -> String {
    let names: Vec<String> = columns.iter().map(|column| quote_identifier(&column.name)).collect();
    format!("SELECT {} FROM {}.{}", names.join(", "), quote_identifier(&found.schema), quote_identifier(&found.name))
}

/// What stands in the table's place: the arrays side by side.
fn stand_in(columns: &[gather::Column], parameters: usize) -> String {
    let (mut outputs, mut arrays, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (position, one) in columns.iter().enumerate() {
        let name = column(position + 1);
        let collate = one.collation.as_ref().map(|collation| format!(" COLLATE {collation}")).unwrap_or_default();
        outputs.push(format!("shardway_arrays.{name}{collate} AS {}", quote_identifier(&one.name)));
        arrays.push(format!("pg_catalog.unnest(${}::{}[])", parameters + position + 1, unlimited(&one.type_name)));
        names.push(name);
    }
    format!(
        "(SELECT {} FROM ROWS FROM ({}) AS shardway_arrays({}))",
        outputs.join(", "),
        arrays.join(", "),
        names.join(", ")
    )
}

/// Values that a column has held fit it: to look at each again is only slow.
fn unlimited(type_name: &str) -> &str {
    const WITHOUT: &[&str] = &["numeric", "character varying"];
    WITHOUT
        .iter()
        .find(|name| type_name.strip_prefix(**name).is_some_and(|rest| rest.starts_with('(')))
        .map_or(type_name, |name| name)
}

/// How many parameters the client's text has.
fn parameters(text: Text<'_>) -> usize {
    let number = |at: usize| match text.kind(at)? {
        TokenKind::Parameter(number) => Some(usize::from(number)),
        _ => None,
    };
    (0..text.pieces.len()).filter_map(number).max().unwrap_or(0)
}

/// The tokens of a relation's name in FROM; `None` where it can't be told from others.
fn written(text: Text<'_>, statement: &Statement, relation: usize, body: &Range<usize>) -> Option<Range<usize>> {
    let root = statement.scopes.get(statement.root)?;
    let Source::Table(table) = &root.relations.get(relation)?.source else { return None };
    let is_same = |other: &Source| matches!(other, Source::Table(other) if other.name == table.name);
    let all = statement.scopes.iter().flat_map(|scope| &scope.relations).filter(|one| is_same(&one.source)).count();
    let own = root.relations.iter().filter(|one| is_same(&one.source)).count();
    let rank = root.relations.get(..relation)?.iter().filter(|one| is_same(&one.source)).count();
    let mut places = Vec::new();
    for at in 0..text.pieces.len() {
        if text.name(at).as_deref() != Some(&*table.name) || text.punct(at + 1, b'.') || text.punct(at + 1, b'(') {
            continue;
        }
        let is_qualified = at >= 2 && text.punct(at - 1, b'.');
        let start = if is_qualified { at - 2 } else { at };
        let begins = start.checked_sub(1).is_some_and(|before| {
            text.is_any(before, &["from", "join"]) || text.punct(before, b',') || text.punct(before, b'(')
        });
        if begins {
            places.push(start..at + 1);
        }
    }
    let place = places.get(rank)?.clone();
    let is_in_body = body.start <= place.start && place.end <= body.end;
    // `table *` means what the table's name alone means.
    let has_star = text.bytes(place.end) == b"*";
    (all == own && own == places.len() && is_in_body && !has_star).then_some(place)
}
