//! If an UPDATE or DELETE on several shards is simply each shard's share of it. In: a statement that no key settles to
//! one shard. Out: what must be made equal on all shards, or the reason why it can't be run so.
//!
//! The rows of the target are on one shard each. So the shares are the whole if whatever a row is joined with or
//! compared with is on its own shard, or is the same on every shard, and what it is set to doesn't depend on where it is.

use super::moment::{self, MomentCall};
use super::{Target, references};
use crate::catalog::Volatility;
use crate::planning::functions::Class;
use crate::planning::keys::{Keys, Node};
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::scatter;
use crate::planning::scene::Scene;
use crate::planning::text::Text;
use crate::sql::statement::{Call, Operand, Place, Source, Statement, Write};

/// # Errors
/// The first reason found.
pub fn check(table: &Target<'_>, write: &Write, text: Text<'_>) -> Result<Box<[MomentCall]>, Refusal> {
    let statement = table.statement;
    let (Write::Update { scope, .. } | Write::Delete { scope, .. } | Write::Merge { scope, .. }) = write else {
        return Err(table.spread(write));
    };
    if statement.writes.len() != 1 || *scope != statement.root || has_with(statement) {
        return Err(refusal::many_writes());
    }
    if let Write::Update { assignments, .. } = write {
        for set in assignments.iter().filter(|set| matches!(set.value, Operand::Default)) {
            table.check_same_default(&set.column)?;
        }
    }
    references::check(table, write)?;
    if statement.system_columns {
        return Err(refusal::not_concatenable("a system column"));
    }
    if statement.dated_output {
        return Err(refusal::not_concatenable("a cast to a date or time in RETURNING"));
    }
    sub_selects(table)?;
    calls(table)?;
    let wanted = moment::wanted(statement, &table.scene.functions());
    moment::calls(text, wanted)
}

/// Common table expressions are scopes of their own, and not below the one that uses them.
fn has_with(statement: &Statement) -> bool {
    statement.scopes.iter().any(|scope| {
        scope.features.with || scope.relations.iter().any(|relation| matches!(relation.source, Source::Common(_)))
    })
}

/// What a row is joined with must be on its shard, and what sub-selects see of sharded tables must be tied to it by
/// the key.
fn sub_selects(table: &Target<'_>) -> Result<(), Refusal> {
    let (statement, keys) = (table.statement, table.keys);
    scatter::joins_of_root(statement, keys)?;
    let group = table.sharded.group;
    for (position, node) in keys.nodes.iter().enumerate() {
        if node.sharded.group != group {
            return Err(refusal::not_colocated(&table.found.display, &node.display));
        }
        if node.place.scope != statement.root && !leads_to_root(statement, keys, position) {
            return Err(refusal::unbound(&node.display, &node.sharded.key));
        }
    }
    for (scope, inner) in statement.scopes.iter().enumerate().filter(|(scope, _)| *scope != statement.root) {
        let features = &inner.features;
        // The copies of a reference table may have their rows in another order.
        if (features.limit || features.distinct_on) && reads_only_copies(table, scope) || features.sample {
            return Err(refusal::not_concatenable("LIMIT, OFFSET or DISTINCT ON in a sub-select"));
        }
        if features.locking {
            return Err(refusal::not_concatenable("FOR UPDATE or FOR SHARE in a sub-select"));
        }
    }
    Ok(())
}

/// A sub-select in FROM that reads sharded tables gives other rows on each shard.
fn leads_to_root(statement: &Statement, keys: &Keys, position: usize) -> bool {
    let is_root = |node: &Node| node.place.scope == statement.root;
    keys.follows(position).into_iter().filter_map(|found| keys.nodes.get(found)).any(is_root)
        && !in_from(statement, keys.nodes.get(position).map_or(0, |node| node.place.scope))
}

/// If the scope is, or is within, a sub-select in FROM: its rows are seen by each row of the target, not made for it.
fn in_from(statement: &Statement, scope: usize) -> bool {
    let mut scope = scope;
    loop {
        let derived = |relation: &crate::sql::statement::Relation| matches!(relation.source, Source::Derived(inner) if inner == scope);
        if statement.scopes.iter().any(|outer| outer.relations.iter().any(derived)) {
            return true;
        }
        match statement.scopes.get(scope).and_then(|this| this.parent.as_ref()) {
            Some(parent) => scope = parent.scope,
            None => return false,
        }
    }
}

/// If the scope has no relation of a shard's own: with one, its rows are that shard's in any order.
fn reads_only_copies(table: &Target<'_>, scope: usize) -> bool {
    !table.keys.nodes.iter().any(|node| node.place.scope == scope)
}

fn calls(table: &Target<'_>) -> Result<(), Refusal> {
    let functions = table.scene.functions();
    table
        .statement
        .calls
        .iter()
        .try_for_each(|call| called(table, call, functions.class(call.schema.as_deref(), &call.name)))
}

/// Sub-selects are asked once for a statement, or once for each row: which of both isn't known.
fn called(table: &Target<'_>, call: &Call, class: Class) -> Result<(), Refusal> {
    let in_sub_select = call.scope != table.statement.root;
    let once = in_sub_select || call.place == Place::From;
    let ordered = call.is_window || class == Class::Window || depends_on_order(&call.name);
    match class {
        Class::Harmless if once && is_volatile(table.scene, &call.name) => {
            Err(refusal::function_in_scatter(&call.name))
        }
        // The copies of a reference table may have their rows in another order.
        _ if in_sub_select && ordered && reads_only_copies(table, call.scope) => {
            Err(refusal::function_in_scatter(&call.name))
        }
        Class::Harmless => Ok(()),
        Class::Moment if call.place != Place::Output => Ok(()),
        // In a sub-select that is tied to the row, or reads copies, every shard comes to the same.
        Class::Aggregate | Class::Window if in_sub_select => Ok(()),
        _ => Err(refusal::function_in_scatter(&call.name)),
    }
}

/// Harmless for each row by itself, but not the same twice.
pub fn is_volatile(scene: &Scene, name: &str) -> bool {
    let volatile = |function: &crate::catalog::Function| function.volatility != Volatility::Immutable;
    matches!(name, "random" | "random_normal" | "gen_random_uuid" | "uuidv4" | "uuidv7" | "clock_timestamp")
        || scene.catalog.as_ref().is_some_and(|catalog| catalog.functions(None, name).any(volatile))
}

pub fn depends_on_order(name: &str) -> bool {
    ["agg", "first", "last"].iter().any(|part| name.ends_with(part))
}
