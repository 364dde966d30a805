//! What a statement asks of where and when it runs, which on the scratch database would be another answer: the
//! database's name, and within a block of the client's the moment of that. Functions of the same name in the scratch
//! connection's own schema answer for them. In: tokens. Out: which of them are such calls, and what stands for them.

use std::ops::Range;

use crate::planning::text::Text;
use crate::planning::writes::{Moment, MomentCall, MomentKind, moment_calls};

/// A call, and the name that its column has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MomentName {
    call: MomentCall,
    name: String,
}

/// Calls of current_database() and CURRENT_CATALOG.
pub(super) fn databases(text: Text<'_>) -> Vec<(Range<usize>, String)> {
    let call = |at: usize| {
        let behind_dot = at.checked_sub(1).is_some_and(|before| text.punct(before, b'.'));
        let qualified = behind_dot && at.checked_sub(2).is_some_and(|schema| text.is(schema, "pg_catalog"));
        let start = if qualified { at - 2 } else { at };
        let empty = text.punct(at + 1, b'(') && text.punct(at + 2, b')');
        if text.is(at, "current_database") && empty && (qualified || !behind_dot) {
            return Some((start..at + 3, "current_database".to_owned()));
        }
        (text.is(at, "current_catalog") && !behind_dot).then(|| (at..at + 1, "current_catalog".to_owned()))
    };
    (0..text.pieces.len()).filter_map(call).collect()
}

/// The function that gives the database's name.
pub fn database_definition(name: &str, database: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION pg_temp.\"{name}\"() RETURNS pg_catalog.name LANGUAGE sql STABLE PARALLEL SAFE AS $name$SELECT pg_catalog.convert_from('\\x{}'::pg_catalog.bytea, 'UTF8')::pg_catalog.name$name$;",
        database.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()
    )
}

/// `None`: not exactly `wanted` calls are found.
pub(super) fn of(text: Text<'_>, wanted: usize) -> Option<Vec<MomentName>> {
    let calls = moment_calls(text, wanted).ok()?;
    let name = |call: &MomentCall| {
        let at = if text.punct(call.tokens.start + 1, b'.') { call.tokens.start + 2 } else { call.tokens.start };
        Some(MomentName { call: call.clone(), name: text.name(at)? })
    };
    calls.iter().map(name).collect()
}

impl MomentName {
    /// If it is the moment of the statement, which outside of a block is that of its transaction.
    pub fn is_of_statement(&self) -> bool {
        self.call.kind == MomentKind::Statement
    }

    pub(super) fn tokens(&self) -> &Range<usize> {
        &self.call.tokens
    }

    pub(super) fn precision(&self) -> Option<&Range<usize>> {
        self.call.precision.as_ref()
    }

    pub(super) fn shift_from(&mut self, from: usize, by: usize) {
        shift_range(&mut self.call.tokens, from, by);
        self.call.precision.iter_mut().for_each(|range| shift_range(range, from, by));
    }

    fn type_name(&self) -> &'static str {
        match self.call.kind {
            MomentKind::Transaction | MomentKind::Statement => "pg_catalog.timestamptz",
            MomentKind::Date => "pg_catalog.date",
            MomentKind::Time => "pg_catalog.timetz",
            MomentKind::LocalTime => "pg_catalog.time",
            MomentKind::LocalTimestamp => "pg_catalog.timestamp",
        }
    }

    /// The call of the function that gives the moment; a cast keeps the name of the column.
    pub(super) fn write(&self, precision: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(format!("pg_temp.\"{}\"()", self.name).as_bytes());
        if !precision.is_empty() {
            out.extend_from_slice(b"::");
            out.extend_from_slice(self.type_name().as_bytes());
            out.extend_from_slice(precision);
        }
    }

    /// Makes the function, for all calls of its name.
    pub fn definition(&self, moment: &Moment) -> String {
        let mut value = Vec::new();
        self.call.kind.write(moment, b"", &mut value);
        self.function(&value)
    }

    /// Makes statement_timestamp() where no block is. In a Query it is the transaction's moment, but the scratch
    /// connection's transaction began before the client's text runs there; between Parse and Execute time passes on any
    /// server.
    pub fn of_query(&self, is_query: bool) -> String {
        self.function(if is_query { b"pg_catalog.now()" } else { b"pg_catalog.statement_timestamp()" })
    }

    fn function(&self, value: &[u8]) -> String {
        format!(
            "CREATE OR REPLACE FUNCTION pg_temp.\"{}\"() RETURNS {} LANGUAGE sql STABLE PARALLEL SAFE AS $moment$SELECT {}$moment$;",
            self.name,
            self.type_name(),
            String::from_utf8_lossy(value)
        )
    }
}

/// Tokens of one call are moved together.
pub(super) fn shift_range(range: &mut Range<usize>, from: usize, by: usize) {
    if range.start >= from {
        *range = range.start + by..range.end + by;
    }
}
