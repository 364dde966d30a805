//! ORDER BY and LIMIT over rows that are whole on their shards. In: the statement. Out: what each shard is
//! asked: the client's own text, with the keys of ORDER BY as further columns and LIMIT l + o.

use std::ops::Range;

use super::amount::{Amount, amounts};
use super::build::{Inquiry, Way};
use super::{Key, Lock, Merge, Splice, Task, column};
use crate::sql::statement::{Column, Constant, Item, Operand, Order};

pub fn build(inquiry: &Inquiry<'_>) -> Option<Way> {
    let shape = &inquiry.root.shape;
    let (limit, offset) = amounts(shape)?;
    if shape.order_by.is_empty() && limit.is_none() && offset.is_none() {
        // What a LIMIT ALL says needs no saying again.
        return Some(Way::Concatenate);
    }
    let clauses = &inquiry.clauses;
    let mut keys = Vec::new();
    let mut columns = Splice::default();
    for (position, order) in shape.order_by.iter().enumerate() {
        let (key, tokens) = key(inquiry, order, clauses.order_by.get(position)?.clone())?;
        columns = columns.own(", (").client(inquiry.at(&tokens)).own(format!(") AS {}", column(position + 1)));
        keys.push(key);
    }
    let items_end = clauses.items.last()?.end;
    let mut before_limit = if clauses.limiting.is_empty() { inquiry.text.pieces.len() } else { clauses.limiting.start };
    let locks_first = inquiry.root.features.locking && !clauses.limiting.is_empty();
    if locks_first {
        let (limiting, locking) = (&clauses.limiting, &clauses.locking);
        if locking.is_empty() || limiting.start < locking.end && locking.start < limiting.end {
            return None;
        }
        before_limit = before_limit.min(locking.start);
    }
    let unlimited = Splice::default()
        .client(inquiry.at(&(clauses.head.start..items_end)))
        .all(&columns)
        .client(inquiry.at(&(items_end..before_limit)));
    let shard = unlimited.clone().all(&limiting(inquiry, limit.as_ref(), offset.as_ref()));
    let lock = locks_first.then(|| Lock {
        asked: unlimited.client(inquiry.at(&clauses.locking)),
        skips: inquiry.text.range(clauses.locking.clone()).has("skip"),
    });
    let shown = match (keys.len(), limit.is_some() || offset.is_some()) {
        (0, _) => "rows of each, up to the limit".to_owned(),
        (_, true) => "rows of each, merged by ORDER BY, up to the limit".to_owned(),
        (_, false) => "rows of each, merged by ORDER BY".to_owned(),
    };
    let shown =
        if lock.is_some() { shown.replace("rows of each", "first rows of all locked, rows of each") } else { shown };
    let has_unnamed = shape.items.iter().any(|item| {
        matches!(item, Item::Value { operand: Operand::Constant(_) | Operand::Opaque | Operand::Default, alias: None })
    });
    let task = Task::Ordered { keys, has_unnamed };
    Some(Way::Merge(Box::new(Merge { limit, offset, lock, ..Merge::new(inquiry.base, shard, task, shown) })))
}

/// LIMIT l + o. A parameter stays in the text, so that its type is found as it would be.
fn limiting(inquiry: &Inquiry<'_>, limit: Option<&Amount>, offset: Option<&Amount>) -> Splice {
    let clauses = &inquiry.clauses;
    let mut splice = Splice::default();
    if limit.is_none() && offset.is_none() {
        return splice;
    }
    splice = match limit {
        Some(Amount::One) => splice.own("LIMIT (1"),
        Some(Amount::Constant(_)) => {
            let tokens = if clauses.limit.is_empty() { quantity(inquiry) } else { clauses.limit.clone() };
            splice.own("LIMIT ((").client(inquiry.at(&tokens)).own(")::pg_catalog.int8")
        }
        None => splice.own("LIMIT (NULL::pg_catalog.int8"),
    };
    if offset.is_some() {
        let mut tokens = clauses.offset.clone();
        let text = inquiry.text;
        if tokens.end > tokens.start + 1 && text.is_any(tokens.end - 1, &["row", "rows"]) {
            tokens.end -= 1;
        }
        splice = splice.own("+ COALESCE((").client(inquiry.at(&tokens)).own(")::pg_catalog.int8, 0)");
    }
    splice.own(")")
}

/// Of `FETCH FIRST n ROWS ONLY`, which it is known to have.
fn quantity(inquiry: &Inquiry<'_>) -> Range<usize> {
    let fetch = &inquiry.clauses.fetch;
    let rows = (fetch.start..fetch.end).rev().find(|at| inquiry.text.is_any(*at, &["row", "rows"]));
    fetch.start + 1..rows.unwrap_or(fetch.end)
}

impl Inquiry<'_> {
    /// Tokens of the statement as tokens of the client's text.
    pub fn at(&self, tokens: &Range<usize>) -> Range<usize> {
        self.base + tokens.start..self.base + tokens.end
    }

    /// An item of the select list without its alias.
    pub fn expression(&self, at: usize) -> Option<Range<usize>> {
        let mut tokens = self.clauses.items.get(at)?.clone();
        if let Item::Value { alias: Some(_), .. } = self.root.shape.items.get(at)? {
            tokens.end = tokens.end.checked_sub(1)?;
            if self.text.is(tokens.end.checked_sub(1)?, "as") {
                tokens.end -= 1;
            }
        }
        (!tokens.is_empty()).then_some(tokens)
    }

    /// An item of ORDER BY without ASC, DESC and NULLS.
    pub fn sort_expression(&self, order: &Order, mut tokens: Range<usize>) -> Option<Range<usize>> {
        if order.by_operator {
            return None;
        }
        if order.nulls_first.is_some() {
            tokens.end = tokens.end.checked_sub(2)?;
            if !self.text.is(tokens.end, "nulls") {
                return None;
            }
        }
        if self.text.is_any(tokens.end.checked_sub(1)?, &["asc", "desc"]) {
            tokens.end -= 1;
        } else if order.descending {
            return None;
        }
        (!tokens.is_empty()).then_some(tokens)
    }

    /// The first output that certainly has this name.
    pub fn output_named(&self, name: &str) -> Option<usize> {
        self.root.shape.items.iter().position(|item| match item {
            Item::Star => false,
            Item::Value { alias: Some(alias), .. } => **alias == *name,
            Item::Value { alias: None, operand: Operand::Column(column) } => *column.name == *name,
            Item::Value { .. } => false,
        })
    }
}

/// A key, and the tokens of the expression that it is.
fn key(inquiry: &Inquiry<'_>, order: &Order, tokens: Range<usize>) -> Option<(Key, Range<usize>)> {
    let written = inquiry.sort_expression(order, tokens)?;
    let mut key =
        Key { descending: order.descending, nulls_first: order.nulls_first.unwrap_or(order.descending), input: None };
    let tokens = match &order.operand {
        Operand::Constant(Constant::Literal(_)) => match inquiry.ordinal(&order.operand) {
            Some(item) => inquiry.expression(item)?,
            // Behind a `*` its column isn't known; otherwise there is none, as a server will say.
            None if inquiry.root.shape.items.iter().any(|item| matches!(item, Item::Star)) => return None,
            None => written,
        },
        // A name alone means an output before it means a column.
        Operand::Column(Column { qualifier: None, name }) => match inquiry.output_named(name) {
            Some(item) => inquiry.expression(item)?,
            None => {
                key.input = Some(name.clone());
                written
            }
        },
        Operand::Column(_) | Operand::Constant(_) | Operand::Opaque => written,
        Operand::Default => return None,
    };
    Some((key, tokens))
}
