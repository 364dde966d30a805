//! Conditions under which rows needn't be gathered. In: what a statement asks of its tables' rows. Out: for a table that
//! is used once, tests on its columns which every row that matters passes; and SQL for them, with the values of a call.
//!
//! The client's own text runs on what was gathered, so that a condition which is left out is only slow. What is pushed
//! are comparisons with values that a server would read in one way only, on columns of types whose operators are
//! PostgreSQL's own.

use std::fmt::Write;
use std::ops::Range;

use crate::catalog::Relation;
use crate::planning::evaluate::{Call, Value};
use crate::planning::keys::Locations;
use crate::planning::tables::Found;
use crate::sql::statement::{self, Constant, Limit, Operand, Predicate, Scope, Statement};
use crate::types::{KeyType, KeyValue};

/// What the rows of a table pass that matter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// The column equals one of these.
    OneOf(Tested, Vec<Constant>),
    AnyOf(Tested, Constant),
    Between(Tested, Option<Edge>, Option<Edge>),
    /// One of these conjunctions.
    Either(Vec<Vec<Condition>>),
}

/// All of a table's; what any row that matters passes.
#[derive(Debug)]
pub struct Conditions(Vec<Condition>);

impl Conditions {
    /// `place`: the scope and the relation.
    pub fn of(statement: &Statement, place: (usize, usize), known: &Relation) -> Self {
        Self(of(statement, place, known))
    }

    /// With the values of a call; empty: all rows may matter.
    pub fn sql(&self, call: &Call<'_>) -> String {
        sql(&self.0, call)
    }
}

/// A column whose values can be written down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tested {
    column: String,
    key_type: KeyType,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    value: Constant,
    inclusive: bool,
}

/// A relation whose conditions are looked for.
struct Subject<'a> {
    scope: &'a Scope,
    relation: usize,
    known: &'a Relation,
}

/// The conditions of a table; `place`: the scope and the relation of its only use.
pub(super) fn of(statement: &Statement, place: (usize, usize), known: &Relation) -> Vec<Condition> {
    let Some(scope) = statement.scopes.get(place.0) else { return Vec::new() };
    let subject = Subject { scope, relation: place.1, known };
    if scope.relations.get(place.1).is_none_or(|relation| relation.renamed) || scope.natural {
        return Vec::new();
    }
    let restricting = scope.filters.iter().filter(|filter| filter.restricts.contains(&place.1));
    restricting.filter_map(|filter| subject.condition(&filter.predicate, &filter.visible)).collect()
}

/// How often a table is read, within views too.
pub(super) fn uses(locations: &Locations, found: &Found) -> usize {
    let is_it = |other: &Found| other.schema == found.schema && other.name == found.name;
    let all = locations.iter().flatten().flatten();
    all.map(|other| {
        let within = other.view.iter().flat_map(|view| view.bases.iter().map(|base| &base.found));
        usize::from(is_it(other)) + within.filter(|base| is_it(base)).count()
    })
    .sum()
}

impl Subject<'_> {
    fn condition(&self, predicate: &Predicate, visible: &Range<usize>) -> Option<Condition> {
        match predicate {
            Predicate::Equal(Operand::Column(column), Operand::Constant(value)) => {
                Some(Condition::OneOf(self.tested(column, visible)?, vec![value.clone()]))
            }
            Predicate::OneOf(column, values) => Some(Condition::OneOf(self.tested(column, visible)?, values.clone())),
            Predicate::AnyOf(column, value) => Some(Condition::AnyOf(self.tested(column, visible)?, value.clone())),
            Predicate::Range { column, low, high } => {
                Some(Condition::Between(self.tested(column, visible)?, low.as_ref().map(edge), high.as_ref().map(edge)))
            }
            Predicate::Either(branches) => {
                let branch = |branch: &Vec<Predicate>| {
                    let all: Vec<_> = branch.iter().filter_map(|part| self.condition(part, visible)).collect();
                    (!all.is_empty()).then_some(all)
                };
                Some(Condition::Either(branches.iter().map(branch).collect::<Option<_>>()?))
            }
            Predicate::Equal(..) | Predicate::Using { .. } => None,
        }
    }

    /// The column, if it is certain to be this table's.
    fn tested(&self, column: &statement::Column, visible: &Range<usize>) -> Option<Tested> {
        let relations = || visible.clone().filter_map(|at| Some((at, self.scope.relations.get(at)?)));
        let is_own = match &column.qualifier {
            Some(qualifier) => {
                let mut called = relations().filter(|(_, relation)| relation.may_be_called(qualifier));
                called.next().is_some_and(|(at, _)| at == self.relation) && called.next().is_none()
            }
            None => self.scope.relations.len() == 1 && visible.contains(&self.relation),
        };
        let known = self.known.column(&column.name).filter(|_| is_own)?;
        Some(Tested { column: column.name.to_string(), key_type: known.key_type? })
    }
}

fn edge(limit: &Limit) -> Edge {
    Edge { value: limit.value.clone(), inclusive: limit.inclusive }
}

/// The conditions with the values of a call, joined by AND; empty: none of them is known.
pub fn sql(conditions: &[Condition], call: &Call<'_>) -> String {
    // When they are read anew each server has a moment of its own.
    if conditions.is_empty() || call.names_moment() {
        return String::new();
    }
    conditions.iter().filter_map(|condition| condition.sql(call)).collect::<Vec<_>>().join(" AND ")
}

impl Condition {
    fn sql(&self, call: &Call<'_>) -> Option<String> {
        match self {
            Self::OneOf(tested, values) => {
                let mut known = Vec::with_capacity(values.len());
                for value in values {
                    match call.value(value, Some(tested.key_type)) {
                        Value::Known(value) => known.push(value),
                        Value::Null => {}
                        Value::Unknown => return None,
                    }
                }
                tested.one_of(&known)
            }
            Self::AnyOf(tested, array) => tested.one_of(&call.elements(array, Some(tested.key_type))?),
            Self::Between(tested, low, high) => {
                let low = tested.edge(low.as_ref(), [">", ">="], call)?;
                let high = tested.edge(high.as_ref(), ["<", "<="], call)?;
                let both: Vec<String> = [low, high].into_iter().flatten().collect();
                (!both.is_empty()).then(|| both.join(" AND "))
            }
            Self::Either(branches) => {
                let branch = |branch: &Vec<Condition>| {
                    let known: Vec<String> = branch.iter().filter_map(|condition| condition.sql(call)).collect();
                    (!known.is_empty()).then(|| known.join(" AND "))
                };
                let all = branches.iter().map(branch).collect::<Option<Vec<_>>>()?;
                Some(format!("({})", all.join(" OR ")))
            }
        }
    }
}

impl Tested {
    fn name(&self) -> String {
        crate::sql::quote_identifier(&self.column)
    }

    fn one_of(&self, values: &[KeyValue]) -> Option<String> {
        let values = values.iter().map(|value| self.literal(value)).collect::<Option<Vec<_>>>()?;
        match &values[..] {
            [] => None,
            [only] => Some(format!("{} OPERATOR(pg_catalog.=) {only}", self.name())),
            several => Some(format!("{} OPERATOR(pg_catalog.=) ANY (ARRAY[{}])", self.name(), several.join(", "))),
        }
    }

    /// The outer `None`: nothing can be said of the range.
    fn edge(&self, edge: Option<&Edge>, operators: [&str; 2], call: &Call<'_>) -> Option<Option<String>> {
        let Some(edge) = edge else { return Some(None) };
        let operator = operators.get(usize::from(edge.inclusive))?;
        match call.value(&edge.value, Some(self.key_type)) {
            Value::Known(value) => {
                Some(Some(format!("{} OPERATOR(pg_catalog.{operator}) {}", self.name(), self.literal(&value)?)))
            }
            Value::Null | Value::Unknown => None,
        }
    }

    /// `None` for values that have no exact form here.
    fn literal(&self, value: &KeyValue) -> Option<String> {
        // Whatever standard_conforming_strings is.
        let quoted = |text: &str| {
            let mut out = String::from("E'");
            for character in text.chars() {
                match character {
                    '\'' => out.push_str("''"),
                    '\\' => out.push_str("\\\\"),
                    other => out.push(other),
                }
            }
            out.push('\'');
            out
        };
        let mut out = String::new();
        match value {
            // Which compares with smaller integers as well, whether they can hold the value or not.
            KeyValue::Int(value) => write!(out, "'{value}'::pg_catalog.int8").ok()?,
            // Other characters would be read in the client's encoding.
            KeyValue::Text(text) if text.is_ascii() && !text.contains('\0') => {
                write!(out, "{}::pg_catalog.text", quoted(text)).ok()?
            }
            KeyValue::Uuid(bytes) => write!(out, "'{}'::pg_catalog.uuid", uuid::Uuid::from_bytes(*bytes)).ok()?,
            KeyValue::Date(i32::MIN | i32::MAX) => return None,
            KeyValue::Date(days) => {
                write!(out, "('2000-01-01'::pg_catalog.date OPERATOR(pg_catalog.+) ({days}))").ok()?;
            }
            KeyValue::Timestamp(micros) => {
                write!(out, "('2000-01-01'::pg_catalog.timestamp{})", later(*micros)?).ok()?
            }
            KeyValue::TimestampTz(micros) => {
                write!(out, "('2000-01-01 00:00:00+00'::pg_catalog.timestamptz{})", later(*micros)?).ok()?;
            }
            KeyValue::Numeric(value) => write!(out, "'{value}'::pg_catalog.numeric").ok()?,
            KeyValue::Text(_) => return None,
        }
        Some(out)
    }
}

/// So many microseconds later, in units that have one length in every time zone; `None` for infinities.
fn later(micros: i64) -> Option<String> {
    const HOUR: i64 = 3_600_000_000;
    let (hours, rest) = (micros / HOUR, micros % HOUR);
    let is_finite = micros != i64::MIN && micros != i64::MAX;
    is_finite.then(|| {
        format!(
            " OPERATOR(pg_catalog.+) '{hours} hours {} seconds {} microseconds'::pg_catalog.interval",
            rest / 1_000_000,
            rest % 1_000_000
        )
    })
}
