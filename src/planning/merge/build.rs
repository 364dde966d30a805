//! Finds out whether and how a statement can be merged.

use std::ops::Range;

use super::{Merge, grouped, ordered};
use crate::planning::functions::{Class, Functions};
use crate::planning::keys::{Keys, Locations};
use crate::planning::scatter;
use crate::planning::scene::{Names, Scene};
use crate::planning::text::Text;
use crate::sql::clauses::{Clauses, clauses};
use crate::sql::statement::{Call, Features, Item, JoinTree, Kind, Operand, Scope, Statement};
use crate::sql::{LexOptions, Tokens};

/// How the rows of several shards become one answer.
pub enum Way {
    /// One after the other.
    Concatenate,
    Merge(Box<Merge>),
}

/// What is known of the statement.
pub struct Inquiry<'a> {
    pub statement: &'a Statement,
    pub root: &'a Scope,
    pub keys: &'a Keys,
    pub locations: &'a Locations,
    pub functions: Functions<'a>,
    pub text: Text<'a>,
    pub clauses: Clauses,
    /// Tokens of the client's text before the first of this statement.
    pub base: usize,
}

/// `None` where merging isn't known to be right.
pub fn build(
    statement: &Statement,
    keys: &Keys,
    locations: &Locations,
    scene: &Scene,
    names: &Names,
    text: Text<'_>,
) -> Option<Way> {
    with_inquiry(statement, keys, locations, (scene, names), text, |inquiry| {
        let features = &inquiry.root.features;
        let grouped = inquiry.is_grouped();
        let groups_are_whole = !grouped || inquiry.holds_key(&inquiry.group_operands());
        let rows_are_whole = !features.distinct || inquiry.holds_key(&inquiry.output_operands());
        if groups_are_whole && rows_are_whole {
            return ordered::build(inquiry);
        }
        if grouped == features.distinct {
            return None;
        }
        grouped::build(inquiry, scene, grouped).map(|merge| Way::Merge(Box::new(merge)))
    })
}

/// As [`build`], by parts of groups or not at all.
pub(super) fn build_grouped(
    statement: &Statement,
    keys: &Keys,
    locations: &Locations,
    (scene, names): (&Scene, &Names),
    text: Text<'_>,
) -> Option<(Merge, Range<usize>)> {
    with_inquiry(statement, keys, locations, (scene, names), text, |inquiry| {
        let grouped = inquiry.is_grouped();
        if grouped == inquiry.root.features.distinct {
            return None;
        }
        Some((grouped::build(inquiry, scene, grouped)?, inquiry.clauses.body.clone()))
    })
}

fn with_inquiry<T>(
    statement: &Statement,
    keys: &Keys,
    locations: &Locations,
    (scene, names): (&Scene, &Names),
    text: Text<'_>,
    build: impl FnOnce(&Inquiry<'_>) -> Option<T>,
) -> Option<T> {
    let functions = scene.functions();
    let root = statement.scopes.get(statement.root)?;
    let features = &root.features;
    let is_plain = statement.kind == Kind::Select
        && statement.writes.is_empty()
        && !(features.set_operation
            || features.window
            || features.locking && !locks_rows(features)
            || features.into
            || features.sample
            || features.with
            || features.values
            || features.recursive
            || features.distinct_on
            || features.grouping_sets);
    if !is_plain {
        return None;
    }
    scatter::rows(statement, keys, &functions, true).ok()?;
    let clauses = clauses(text.sql, text.pieces, &root.shape, features)?;
    let inquiry = Inquiry { statement, root, keys, locations, functions, clauses, base: before(text, names)?, text };
    build(&inquiry)
}

/// The rest PostgreSQL refuses.
fn locks_rows(features: &Features) -> bool {
    !(features.group_by || features.having || features.distinct)
}

/// How many tokens the client's text has before this statement: those of an EXPLAIN.
fn before(text: Text<'_>, names: &Names) -> Option<usize> {
    let first = text.pieces.first()?.token.span.start;
    let options = LexOptions { standard_conforming_strings: names.standard_conforming_strings };
    Some(Tokens::new(text.sql, &options).take_while(|token| token.span.start < first).count())
}

impl Inquiry<'_> {
    fn is_grouped(&self) -> bool {
        self.root.features.group_by || self.root.features.having || self.aggregates() > 0
    }

    pub fn is_aggregate(&self, call: &Call) -> bool {
        call.is_aggregate || self.functions.class(call.schema.as_deref(), &call.name) == Class::Aggregate
    }

    /// How many aggregates the statement calls.
    pub fn aggregates(&self) -> usize {
        let is_own = |call: &&Call| call.scope == self.statement.root && self.is_aggregate(call);
        self.statement.calls.iter().filter(is_own).count()
    }

    /// If sub-selects are in FROM and WHERE only, which shards run.
    pub fn selects_are_in_body(&self) -> bool {
        let mut selects = (1..self.text.pieces.len()).filter(|at| self.text.is(*at, "select"));
        selects.all(|at| self.clauses.body.contains(&at))
    }

    /// What the rows are grouped by, as far as it is columns; ordinals and names of outputs resolved.
    fn group_operands(&self) -> Vec<&Operand> {
        self.root
            .shape
            .groups
            .iter()
            .map(|operand| match operand {
                Operand::Constant(_) => self.ordinal(operand).and_then(|at| self.item(at)).unwrap_or(operand),
                other => other,
            })
            .collect()
    }

    fn output_operands(&self) -> Vec<&Operand> {
        (0..self.root.shape.items.len()).filter_map(|at| self.item(at)).collect()
    }

    fn item(&self, at: usize) -> Option<&Operand> {
        match self.root.shape.items.get(at)? {
            Item::Star => None,
            Item::Value { operand, .. } => Some(operand),
        }
    }

    /// The item that `ORDER BY 2` means, counted from 0; `None` behind a `*`, and for other constants.
    pub fn ordinal(&self, operand: &Operand) -> Option<usize> {
        use crate::sql::statement::Constant;
        let Operand::Constant(Constant::Literal(literal)) = operand else { return None };
        let piece = self.text.pieces.iter().find(|piece| piece.literal == Some(*literal))?;
        let digits = self.text.sql.get(piece.token.span.clone())?;
        let number: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let at = number.checked_sub(1)?;
        let items = self.root.shape.items.get(..=at)?;
        items.iter().all(|item| matches!(item, Item::Value { .. })).then_some(at)
    }

    /// If one of these is the key of a table whose rows no outer join leaves out: rows that agree in it are on
    /// one shard.
    fn holds_key(&self, operands: &[&Operand]) -> bool {
        let mut plain = Vec::new();
        self.root.from.iter().for_each(|tree: &JoinTree| tree.plain(&mut plain));
        operands.iter().any(|operand| {
            let Operand::Column(column) = operand else { return false };
            let visible = 0..self.root.relations.len();
            let node = self.keys.node_of(self.statement, self.locations, self.statement.root, &visible, column);
            node.and_then(|node| self.keys.nodes.get(node)).is_some_and(|node| plain.contains(&node.place.relation))
        })
    }
}
