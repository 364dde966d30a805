//! GROUP BY, aggregates and DISTINCT over groups whose rows are on several shards. In: the statement. Out: what each
//! shard is asked (its part of each group), and what PostgreSQL is asked of all the parts: the client's own
//! select list, HAVING, ORDER BY and LIMIT, with a column of parts in the place of each group's expression
//! and each aggregate.
//!
//! Nothing is computed here: types, scales and overflows are those of the server.

use std::ops::Range;

use super::build::Inquiry;
use super::scan::{Aggregate, Call, FinalPart, Group, Scan};
use super::{Merge, Splice, Task, column};
use crate::planning::scene::Scene;
use crate::planning::tables::Location;
use crate::sql::statement::{Column, Constant, Item, Operand};

/// How the parts of groups become the client's rows.
#[derive(Debug)]
pub struct Grouped {
    /// Columns of the parts that the groups are by: those of GROUP BY and those of DISTINCT aggregates.
    pub groups: usize,
    /// Of those, the ones of GROUP BY.
    pub own_groups: usize,
    pub calls: Vec<Call>,
    pub distinct: bool,
    pub items: Vec<Vec<FinalPart>>,
    pub having: Option<Vec<FinalPart>>,
    /// Each with what follows its expression: ASC, DESC, NULLS.
    pub order_by: Vec<(Vec<FinalPart>, Range<usize>)>,
    pub limiting: Range<usize>,
    /// Literals that were taken for the same: a call in whose text they differ isn't answered so.
    pub same: Vec<(usize, usize)>,
}

/// `None` where it isn't known to be right.
pub fn build(inquiry: &Inquiry<'_>, scene: &Scene, is_grouped: bool) -> Option<Merge> {
    let shape = &inquiry.root.shape;
    let clauses = &inquiry.clauses;
    let has_star = shape.items.iter().any(|item| matches!(item, Item::Star));
    // Elsewhere a sub-select would be run where its tables aren't.
    if has_star || !inquiry.selects_are_in_body() {
        return None;
    }
    let mut scan = Scan::new(inquiry);
    if is_grouped {
        for (position, operand) in shape.groups.iter().enumerate() {
            let tokens = group(inquiry, scene, operand, clauses.group_by.get(position)?.clone())?;
            scan.groups.push(Group::of(inquiry, tokens));
        }
    } else {
        for position in 0..shape.items.len() {
            scan.groups.push(Group::of(inquiry, inquiry.expression(position)?));
        }
    }
    let own_groups = scan.groups.len();
    let mut items = Vec::new();
    for position in 0..shape.items.len() {
        items.push(if is_grouped {
            scan.expression(inquiry.expression(position)?)?
        } else {
            vec![FinalPart::Group(position)]
        });
    }
    let having = if clauses.having.is_empty() { None } else { Some(scan.expression(clauses.having.clone())?) };
    let mut order_by = Vec::new();
    for (position, order) in shape.order_by.iter().enumerate() {
        let all = clauses.order_by.get(position)?.clone();
        let tokens = inquiry.sort_expression(order, all.clone())?;
        let rest = inquiry.at(&(tokens.end..all.end));
        let parts = match &order.operand {
            Operand::Column(Column { qualifier: None, name }) => {
                vec![FinalPart::Name(name.clone(), scan.expression(tokens)?)]
            }
            Operand::Constant(Constant::Literal(_)) => vec![FinalPart::Client(inquiry.at(&tokens))],
            _ => scan.expression(tokens)?,
        };
        order_by.push((parts, rest));
    }
    if scan.found != inquiry.aggregates() || shape.fetch.as_ref().is_some_and(|fetch| fetch.with_ties) {
        return None;
    }
    let shard = asked(inquiry, &scan);
    let shown = if is_grouped { "groups of each, put together" } else { "distinct rows of each, put together" };
    let grouped = Grouped {
        groups: scan.groups.len(),
        own_groups,
        calls: scan.calls,
        distinct: inquiry.root.features.distinct,
        items,
        having,
        order_by,
        limiting: inquiry.at(&clauses.limiting),
        same: scan.same,
    };
    Some(Merge::new(inquiry.base, shard, Task::Grouped(Box::new(grouped)), shown.to_owned()))
}

/// The columns of each part: what it is grouped by, then the aggregates.
fn asked(inquiry: &Inquiry<'_>, scan: &Scan<'_>) -> Splice {
    let mut splice = Splice::default().own("SELECT");
    let mut number = 0;
    let mut next = |splice: Splice| {
        number += 1;
        if number == 1 { splice } else { splice.own(",") }
    };
    let mut named = 0;
    let mut name = |splice: Splice| {
        named += 1;
        splice.own(format!("AS {}", column(named)))
    };
    for group in &scan.groups {
        splice = name(next(splice).own("(").client(inquiry.at(&group.tokens)).own(")"));
    }
    for call in &scan.calls {
        let functions: &[&str] = match call.aggregate {
            Aggregate::Distinct { .. } => &[],
            Aggregate::Count => &["count"],
            Aggregate::Sum => &["sum"],
            Aggregate::Average => &["sum", "count"],
            Aggregate::Same(name) => &[name],
        };
        for function in functions {
            splice = next(splice).own(format!("pg_catalog.{function}(")).client(call.arguments.clone()).own(")");
            splice = name(splice.client(call.filter.clone()));
        }
    }
    if scan.groups.is_empty() && scan.calls.is_empty() {
        // HAVING alone makes one group of all rows.
        splice = name(splice.own("pg_catalog.count(*)"));
    }
    splice = splice.client(inquiry.at(&inquiry.clauses.body));
    if !scan.groups.is_empty() {
        let ordinals: Vec<String> = (1..=scan.groups.len()).map(|number| number.to_string()).collect();
        splice = splice.own(format!("GROUP BY {}", ordinals.join(", ")));
    }
    splice
}

/// The tokens of what an item of GROUP BY means.
fn group(inquiry: &Inquiry<'_>, scene: &Scene, operand: &Operand, written: Range<usize>) -> Option<Range<usize>> {
    match operand {
        Operand::Constant(Constant::Literal(_)) => inquiry.expression(inquiry.ordinal(operand)?),
        // A name alone means a column before it means an output.
        Operand::Column(Column { qualifier: None, name }) => {
            let alias = inquiry
                .root
                .shape
                .items
                .iter()
                .position(|item| matches!(item, Item::Value { alias: Some(alias), .. } if **alias == **name));
            match alias {
                None => Some(written),
                Some(item) if !is_input(inquiry, scene, name)? => inquiry.expression(item),
                Some(_) => Some(written),
            }
        }
        Operand::Column(_) | Operand::Opaque | Operand::Constant(_) => Some(written),
        Operand::Default => None,
    }
}

/// If a table of FROM has a column of that name; `None` where that isn't known.
fn is_input(inquiry: &Inquiry<'_>, scene: &Scene, name: &str) -> Option<bool> {
    let catalog = scene.catalog.as_ref()?;
    let mut is_input = false;
    for (position, relation) in inquiry.root.relations.iter().enumerate() {
        let found = inquiry.locations.get(inquiry.statement.root)?.get(position)?.as_ref()?;
        if relation.renamed || !matches!(found.location, Location::Sharded(_) | Location::Reference) {
            return None;
        }
        is_input |= catalog.relation(&found.schema, &found.name)?.column(name).is_some();
    }
    Some(is_input)
}
