//! `now()` and its like in statements that run on several shards: one server would take one moment for all rows, so the
//! shards are given one. In: tokens. Out: which of them are such calls, and what stands for them.

use std::ops::Range;

use crate::planning::functions::{Class, Functions};
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::text::Text;
use crate::sql::statement::Statement;

/// A call, by the tokens of its statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MomentCall {
    pub tokens: Range<usize>,
    pub kind: MomentKind,
    /// `(3)` behind CURRENT_TIMESTAMP and its like.
    pub precision: Option<Range<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MomentKind {
    /// now(): when the transaction began.
    Transaction,
    /// statement_timestamp().
    Statement,
    Date,
    Time,
    LocalTime,
    LocalTimestamp,
}

/// The moment of a transaction and of a statement, as PostgreSQL writes them in UTC: digits and punctuation only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    pub transaction: String,
    pub statement: String,
}

impl MomentKind {
    /// What gives the moment as this kind, with its precision as it is written.
    pub fn write(self, moment: &Moment, precision: &[u8], out: &mut Vec<u8>) {
        let text = if self == Self::Statement { &moment.statement } else { &moment.transaction };
        // The text is PostgreSQL's own, of a format that has no quotes.
        let digits = text.bytes().filter(|byte| byte.is_ascii_digit() || b" -:.+".contains(byte));
        out.push(b'(');
        let value: Vec<u8> = b"'".iter().copied().chain(digits).chain(*b"'::pg_catalog.timestamptz").collect();
        self.write_of(&String::from_utf8_lossy(&value), precision, out);
        out.push(b')');
    }

    /// The same of an expression of type timestamptz.
    pub fn write_of(self, value: &str, precision: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(value.as_bytes());
        let cast: &[u8] = match self {
            Self::Transaction | Self::Statement => b"",
            Self::Date => b"::pg_catalog.date",
            Self::Time => b"::pg_catalog.timetz",
            Self::LocalTime => b"::pg_catalog.time",
            Self::LocalTimestamp => b"::pg_catalog.timestamp",
        };
        out.extend_from_slice(cast);
        if !precision.is_empty() && cast.is_empty() {
            out.extend_from_slice(b"::pg_catalog.timestamptz");
        }
        out.extend_from_slice(precision);
    }
}

/// How many calls there are whose value is a moment.
pub fn wanted(statement: &Statement, functions: &Functions<'_>) -> usize {
    let is_moment = |call: &&crate::sql::statement::Call| {
        functions.class_of(call.schema.as_deref(), &call.name, call.arguments) == Class::Moment
    };
    statement.calls.iter().filter(is_moment).count()
}

/// All calls that are of a kind known here.
pub fn found(text: Text<'_>) -> Vec<MomentCall> {
    (0..text.pieces.len()).filter_map(|at| call(text, at)).collect()
}

/// # Errors
/// When not exactly `wanted` calls are found: then one of them is of a kind that isn't known here.
pub fn calls(text: Text<'_>, wanted: usize) -> Result<Box<[MomentCall]>, Refusal> {
    if wanted == 0 {
        return Ok(Box::default());
    }
    let found = found(text);
    if found.len() == wanted { Ok(found.into()) } else { Err(refusal::moment()) }
}

fn call(text: Text<'_>, at: usize) -> Option<MomentCall> {
    let behind_dot = at.checked_sub(1).is_some_and(|before| text.punct(before, b'.'));
    let qualified = behind_dot && at.checked_sub(2).is_some_and(|schema| text.is(schema, "pg_catalog"));
    let start = if qualified { at - 2 } else { at };
    let empty = text.punct(at + 1, b'(') && text.punct(at + 2, b')');
    if empty && (qualified || !behind_dot) {
        let kind = if text.is_any(at, &["now", "transaction_timestamp"]) {
            MomentKind::Transaction
        } else if text.is(at, "statement_timestamp") {
            MomentKind::Statement
        } else {
            return None;
        };
        return Some(MomentCall { tokens: start..at + 3, kind, precision: None });
    }
    let kind = [
        ("current_timestamp", MomentKind::Transaction),
        ("current_date", MomentKind::Date),
        ("current_time", MomentKind::Time),
        ("localtime", MomentKind::LocalTime),
        ("localtimestamp", MomentKind::LocalTimestamp),
    ];
    let kind = kind.iter().find(|(word, _)| text.is(at, word)).map(|(_, kind)| *kind).filter(|_| !behind_dot)?;
    let precise = kind != MomentKind::Date && text.punct(at + 1, b'(') && text.punct(at + 3, b')');
    let end = if precise { at + 4 } else { at + 1 };
    Some(MomentCall { tokens: at..end, kind, precision: precise.then(|| at + 1..end) })
}
