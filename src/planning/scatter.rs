//! If a SELECT over several shards is simply their results one after the other. In: a statement none
//! of whose parts is settled to one shard. Out: nothing, or the reason why not.

use super::functions::{Class, Functions};
use super::keys::{Keys, Node};
use super::plan::Refusal;
use super::refusal;
use crate::sql::statement::{Call, JoinKind, JoinTree, Kind, Name, Place, Relation, Scope, Source, Statement};

/// Server-side functions whose answer for a row is the same on whichever shard the row is.
const SAME_ON_SHARDS: &[&str] = &[
    "current_role",
    "current_user",
    "pg_client_encoding",
    "pg_collation_for",
    "pg_column_size",
    "pg_typeof",
    "session_user",
    "user",
];

/// # Errors
/// The first reason found.
pub fn check(statement: &Statement, keys: &Keys, functions: &Functions<'_>) -> Result<(), Refusal> {
    let root = statement.scopes.get(statement.root).ok_or_else(refusal::not_parsed)?;
    if statement.kind != Kind::Select || !statement.writes.is_empty() {
        return Err(unbound(keys));
    }
    clauses(root)?;
    rows(statement, keys, functions, false)
}

/// If each row of FROM and WHERE comes from one shard, whatever is then done with the rows; `aggregates`: they
/// may be fed to aggregates.
///
/// # Errors
/// The first reason found.
pub fn rows(statement: &Statement, keys: &Keys, functions: &Functions<'_>, aggregates: bool) -> Result<(), Refusal> {
    let root = statement.scopes.get(statement.root).ok_or_else(refusal::not_parsed)?;
    // Every use of a sharded table is in the outermost FROM.
    if let Some(node) = keys.nodes.iter().find(|node| node.place.scope != statement.root) {
        return Err(refusal::unbound(&node.display, &node.sharded.key));
    }
    for (scope, inner) in statement.scopes.iter().enumerate() {
        let deterministic =
            !(inner.features.limit || inner.features.distinct_on || inner.features.sample || inner.features.locking);
        if scope != statement.root && !deterministic {
            return Err(refusal::not_concatenable("LIMIT, OFFSET or DISTINCT ON in a sub-select"));
        }
    }
    if root.relations.iter().any(|relation| !matches!(relation.source, Source::Table(_))) {
        return Err(refusal::not_concatenable("a sub-select, function or common table expression in FROM"));
    }
    if statement.system_columns {
        return Err(refusal::not_concatenable("a system column"));
    }
    if statement.dated_output {
        return Err(refusal::not_concatenable("a cast to a date or time in the select list"));
    }
    for call in &statement.calls {
        let is_aggregate = call.is_aggregate || functions.class(call.schema.as_deref(), &call.name) == Class::Aggregate;
        if !(aggregates && is_aggregate && !call.is_window && call.scope == statement.root) {
            function(statement, call, functions)?;
        }
    }
    locks(root, statement, keys)?;
    joins(statement, root, keys)
}

/// The rows of a sharded table are locked where they are. Those of a reference table are on every shard, and whoever
/// locks them elsewhere would not be met.
fn locks(root: &Scope, statement: &Statement, keys: &Keys) -> Result<(), Refusal> {
    let is_sharded = |relation: usize| {
        keys.nodes.iter().any(|node| node.place.scope == statement.root && node.place.relation == relation)
    };
    let is_meant = |relation: &Relation, of: &Name| match (&relation.alias, &relation.source) {
        (Some(alias), _) => alias == of,
        (None, Source::Table(table)) => table.name == *of,
        (None, _) => false,
    };
    for of in &root.locks {
        let mut locked = (0..root.relations.len()).filter(|at| {
            of.as_ref().is_none_or(|of| root.relations.get(*at).is_some_and(|relation| is_meant(relation, of)))
        });
        if !locked.all(is_sharded) {
            return Err(refusal::locked_copies());
        }
    }
    Ok(())
}

fn unbound(keys: &Keys) -> Refusal {
    let Some(node) = keys.nodes.first() else {
        return refusal::not_parsed();
    };
    refusal::unbound(&node.display, &node.sharded.key)
}

fn clauses(root: &Scope) -> Result<(), Refusal> {
    let features = &root.features;
    let clauses = [
        (features.set_operation, "UNION, INTERSECT or EXCEPT"),
        (features.order_by, "ORDER BY"),
        (features.limit, "LIMIT or OFFSET"),
        (features.distinct, "DISTINCT"),
        (features.group_by, "GROUP BY"),
        (features.having, "HAVING"),
        (features.window, "a window function"),
        (features.into, "SELECT INTO"),
        (features.with, "WITH"),
        (features.values, "VALUES"),
    ];
    match clauses.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(refusal::not_concatenable(what)),
        None => Ok(()),
    }
}

fn function(statement: &Statement, call: &Call, functions: &Functions<'_>) -> Result<(), Refusal> {
    if call.is_aggregate {
        return Err(refusal::not_concatenable("an aggregate"));
    }
    if call.is_window {
        return Err(refusal::not_concatenable("a window function"));
    }
    match functions.class_of(call.schema.as_deref(), &call.name, call.arguments) {
        // A sub-select that calls random() is one value for a whole statement.
        Class::Harmless
            if call.scope != statement.root
                && matches!(&*call.name, "random" | "gen_random_uuid" | "clock_timestamp") =>
        {
            Err(refusal::function_in_scatter(&call.name))
        }
        Class::Harmless => Ok(()),
        // The shards are asked by one role, with the same settings.
        Class::Server if SAME_ON_SHARDS.contains(&&*call.name) => Ok(()),
        // Outside of a block that is the transaction's moment, unless the shards are asked in another protocol than the
        // client speaks.
        Class::Moment if &*call.name == "statement_timestamp" => Err(refusal::function_in_scatter(&call.name)),
        Class::Moment if call.place == Place::Filter && call.scope == statement.root => Ok(()),
        Class::Aggregate => Err(refusal::not_concatenable("an aggregate")),
        Class::Window => Err(refusal::not_concatenable("a window function")),
        _ => Err(refusal::function_in_scatter(&call.name)),
    }
}

/// That rows which are joined in the outermost FROM are on one shard.
///
/// # Errors
/// The relations that aren't.
pub fn joins_of_root(statement: &Statement, keys: &Keys) -> Result<(), Refusal> {
    let root = statement.scopes.get(statement.root).ok_or_else(refusal::not_parsed)?;
    joins(statement, root, keys)
}

/// Rows that are joined must be on one shard: sharded tables are colocated and joined on their keys,
/// and no reference table keeps rows that have no partner on a shard but one elsewhere.
fn joins(statement: &Statement, root: &Scope, keys: &Keys) -> Result<(), Refusal> {
    let mut nodes = keys.nodes.iter();
    let first = nodes.next().ok_or_else(refusal::not_parsed)?;
    if let Some(other) = nodes.find(|node| node.sharded.group != first.sharded.group) {
        return Err(refusal::not_concatenable(&format!(
            "a join of {} and {}, which are not colocated,",
            first.display, other.display
        )));
    }
    let cluster = Cluster { statement, keys };
    // WHERE holds for every row of the result.
    let selection: Vec<usize> = (0..root.filters.len()).filter(|filter| !in_joins(&root.from, *filter)).collect();
    cluster.check(&root.from.iter().collect::<Vec<_>>(), &selection, &[])
}

/// If the filter is a join condition.
fn in_joins(trees: &[JoinTree], filter: usize) -> bool {
    trees.iter().any(|tree| {
        let mut node = tree;
        while let JoinTree::Join { left, right, on, .. } = node {
            if on.contains(&filter) || in_joins(std::slice::from_ref(right), filter) {
                return true;
            }
            node = left;
        }
        false
    })
}

struct Cluster<'a> {
    statement: &'a Statement,
    keys: &'a Keys,
}

impl Cluster<'_> {
    /// Checks relations that are inner-joined: those of `trees`, as far as inner joins go. Each
    /// relation, and each outer join as a whole, is a unit; equalities of keys must connect all units
    /// with sharded tables, and them with `anchor`, relations that are on one shard already.
    ///
    /// `conditions` are the filters that every row fulfils that matters here. An equality of keys is
    /// not fulfilled by nulls, so a unit's row is on the shard of whichever relation it is fulfilled by.
    fn check(&self, trees: &[&JoinTree], conditions: &[usize], anchor: &[usize]) -> Result<(), Refusal> {
        let mut conditions = conditions.to_vec();
        let mut open = trees.to_vec();
        let mut outer = Vec::new();
        let mut units: Vec<Vec<usize>> = vec![anchor.to_vec()];
        while let Some(tree) = open.pop() {
            match tree {
                JoinTree::Relation(_) => units.push(self.sharded(tree)),
                JoinTree::Join { kind: JoinKind::Inner, left, right, on } => {
                    conditions.extend(on.clone());
                    open.extend([left.as_ref(), right.as_ref()]);
                }
                JoinTree::Join { .. } => {
                    outer.push(tree);
                    units.push(self.sharded(tree));
                }
            }
        }
        outer.iter().try_for_each(|tree| self.outer(tree, &conditions))?;
        units.retain(|unit| !unit.is_empty());
        self.connected(&units, &conditions)
    }

    fn outer(&self, tree: &JoinTree, conditions: &[usize]) -> Result<(), Refusal> {
        let JoinTree::Join { kind, left, right, on } = tree else {
            return Ok(());
        };
        let (kept, nullable) = match kind {
            JoinKind::Inner => return self.check(&[tree], conditions, &[]),
            JoinKind::Left => (left, right),
            JoinKind::Right => (right, left),
            JoinKind::Full => return self.full(left, right, on.clone()),
        };
        let (kept_sharded, nullable_sharded) = (self.sharded(kept), self.sharded(nullable));
        keeps(&kept_sharded, &nullable_sharded)?;
        self.check(&[kept], conditions, &[])?;
        let mut inside = conditions.to_vec();
        inside.extend(on.clone());
        let anchor = if nullable_sharded.is_empty() { &[] } else { kept_sharded.as_slice() };
        self.check(&[nullable], &inside, anchor)
    }

    /// WHERE can't be used: it holds for no row before it is matched.
    fn full(&self, left: &JoinTree, right: &JoinTree, on: std::ops::Range<usize>) -> Result<(), Refusal> {
        let (left_sharded, right_sharded) = (self.sharded(left), self.sharded(right));
        keeps(&left_sharded, &right_sharded)?;
        keeps(&right_sharded, &left_sharded)?;
        self.check(&[left], &[], &[])?;
        self.check(&[right], &[], &[])?;
        let units: Vec<Vec<usize>> =
            [left_sharded, right_sharded].into_iter().filter(|unit| !unit.is_empty()).collect();
        self.connected(&units, &on.collect::<Vec<_>>())
    }

    /// The sharded relations under a node.
    fn sharded(&self, tree: &JoinTree) -> Vec<usize> {
        let mut all = Vec::new();
        tree.relations(&mut all);
        all.retain(|relation| self.node(*relation).is_some());
        all
    }

    fn node(&self, relation: usize) -> Option<&Node> {
        self.keys.nodes.iter().find(|node| node.place.scope == self.statement.root && node.place.relation == relation)
    }

    /// If equalities of keys among these filters make one of all units.
    fn connected(&self, units: &[Vec<usize>], filters: &[usize]) -> Result<(), Refusal> {
        let Some(first) = units.first() else {
            return Ok(());
        };
        let relation = |node: usize| self.keys.nodes.get(node).map(|node| node.place.relation);
        let links: Vec<(usize, usize)> = self
            .keys
            .links
            .iter()
            .filter(|link| link.scope == self.statement.root && filters.contains(&link.filter))
            .filter_map(|link| Some((relation(link.nodes.0)?, relation(link.nodes.1)?)))
            .collect();
        let mut reached: Vec<usize> = first.clone();
        let mut rest: Vec<&Vec<usize>> = units.iter().skip(1).collect();
        while !rest.is_empty() {
            let touches = |unit: &&Vec<usize>| {
                links.iter().any(|(one, other)| {
                    (reached.contains(one) && unit.contains(other)) || (reached.contains(other) && unit.contains(one))
                })
            };
            let Some(next) = rest.iter().position(touches) else {
                return Err(self.unconnected(first, &rest));
            };
            reached.extend(rest.swap_remove(next));
        }
        Ok(())
    }

    fn unconnected(&self, first: &[usize], rest: &[&Vec<usize>]) -> Refusal {
        let name = |unit: Option<&usize>| {
            unit.and_then(|relation| self.node(*relation)).map_or("?", |node| node.display.as_str())
        };
        let other = rest.first().and_then(|unit| unit.first());
        refusal::not_concatenable(&format!(
            "a join of {} and {} that doesn't compare their shard keys",
            name(first.first()),
            name(other)
        ))
    }
}

/// An outer join that keeps the rows of reference tables alone would give those without a partner
/// once for each shard.
fn keeps(kept: &[usize], nullable: &[usize]) -> Result<(), Refusal> {
    if kept.is_empty() && !nullable.is_empty() {
        return Err(refusal::not_concatenable("an outer join that keeps the rows of a reference table"));
    }
    Ok(())
}
