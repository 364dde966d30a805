//! If a MERGE on several shards is simply each shard's share of it, besides what [`super::shares`] asks of every write. In:
//! a statement that no key settles to one shard. Out: nothing, or the reason why it can't be run so.
//!
//! What only matches is like a join. A row of the source that has no match must be seen by one shard alone, and by the one
//! that would have its match: the source is a colocated table then whose key is compared with the target's.

use super::{Target, references, rows};
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::text::Text;
use crate::sql::statement::{MergeInsert, Operand, Write};

/// # Errors
/// The first reason found.
pub fn check(table: &Target<'_>, write: &Write, text: Text<'_>) -> Result<(), Refusal> {
    let Write::Merge { scope, target, assignments, inserts } = write else { return Err(refusal::merge()) };
    if assignments.iter().any(|set| *set.column == *table.sharded.key) {
        return Err(refusal::key_change(&table.found.display, &table.sharded.key));
    }
    for set in assignments.iter().filter(|set| matches!(set.value, Operand::Default)) {
        table.check_same_default(&set.column)?;
    }
    let unmatched = (0..text.pieces.len()).any(|at| text.is(at, "not") && text.is(at + 1, "matched"));
    if unmatched || !inserts.is_empty() {
        let source = colocated_source(table, *scope, *target).ok_or_else(refusal::merge)?;
        inserts.iter().try_for_each(|insert| new_row(table, insert, (*scope, source)))?;
    }
    let stores = !(assignments.is_empty() && inserts.is_empty());
    references::of_table(table.scene, &table.found.schema, &table.found.name, stores, &|_| true)
}

/// The source among [`crate::planning::keys::Keys::nodes`].
fn colocated_source(table: &Target<'_>, scope: usize, target: usize) -> Option<usize> {
    let relations = &table.statement.scopes.get(scope)?.relations;
    let nodes = &table.keys.nodes;
    let node =
        |relation: usize| nodes.iter().position(|node| node.place.scope == scope && node.place.relation == relation);
    let (own, source) = (node(target)?, node(1)?);
    let links = |link: &crate::planning::keys::Link| link.nodes == (own, source) || link.nodes == (source, own);
    let same_group = nodes.get(source)?.sharded.group == table.sharded.group;
    let is_table = table.locations.get(scope)?.get(1)?.as_ref().is_some_and(|found| found.view.is_none());
    (relations.len() == 2 && same_group && is_table && table.keys.links.iter().any(links)).then_some(source)
}

/// A new row has the key of the source's row, and is otherwise what one server would have made of it.
fn new_row(table: &Target<'_>, insert: &MergeInsert, (scope, source): (usize, usize)) -> Result<(), Refusal> {
    let relation = table.relation().ok_or_else(refusal::merge)?;
    let listed: Vec<&str> = match insert.columns.as_slice() {
        [] => relation.columns.iter().map(|column| column.name.as_str()).collect(),
        listed => listed.iter().map(|name| &**name).collect(),
    };
    if listed.len() != insert.values.len() {
        return Err(refusal::merge());
    }
    let value_of = |name: &str| listed.iter().position(|listed| *listed == name).and_then(|at| insert.values.get(at));
    let Some(Operand::Column(column)) = value_of(&table.sharded.key) else { return Err(refusal::merge()) };
    let of = table.keys.node_of(table.statement, table.locations, scope, &(0..2), column);
    // What is stored must be what was compared.
    let exact = relation.column(&table.sharded.key).is_some_and(|column| column.type_modifier.is_none());
    let same = table.keys.nodes.get(source).is_some_and(|node| node.sharded.key_type == table.sharded.key_type);
    if of != Some(source) || !exact || !same {
        return Err(refusal::merge());
    }
    let left = |name: &str| matches!(value_of(name), None | Some(Operand::Default));
    for column in relation.columns.iter().filter(|column| !column.generated && left(&column.name)) {
        let of_domain = column.has_default && column.default.is_none() && !column.identity;
        let moment = rows::fill(table.scene, table.found, column, None)?.is_some();
        if of_domain || moment || table.check_default(column).is_err() {
            return Err(refusal::volatile_default(&table.found.display, &column.name));
        }
    }
    Ok(())
}
