//! Statements on process ids that clients were told: one that asks for its own, and one that has a process cancelled or
//! ended. In: the tokens of a statement. Out: a [`ProcessCall`]. Only a SELECT of nothing but that call is one: what looks
//! for a process in a server's views means the server's own numbers.

use std::ops::Range;

use super::build::pieces;
use super::text::Text;
use crate::sql::parse::Piece;
use crate::sql::{LexOptions, TokenKind};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessCall {
    pub function: ProcessFunction,
    /// The column's name, as the client's text behind the call has it; empty: the function's.
    pub rest: Range<usize>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProcessFunction {
    BackendPid,
    Cancel(ProcessOf),
    Terminate(ProcessOf),
}

/// Whose process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProcessOf {
    Own,
    Number(u32),
    /// `$n`, counted from 0.
    Parameter(u16),
}

impl ProcessFunction {
    pub fn name(&self) -> &'static str {
        match self {
            Self::BackendPid => "pg_backend_pid",
            Self::Cancel(_) => "pg_cancel_backend",
            Self::Terminate(_) => "pg_terminate_backend",
        }
    }
}

/// If that is all that the text is.
pub fn process_call(sql: &[u8], options: &LexOptions) -> Option<ProcessCall> {
    find(Text { sql, pieces: &pieces(sql, options) })
}

pub(super) fn find(text: Text<'_>) -> Option<ProcessCall> {
    if !text.is(0, "select") {
        return None;
    }
    let (name, arguments) = call(text, 1)?;
    let (function, close) = match name.as_str() {
        "pg_backend_pid" => (ProcessFunction::BackendPid, arguments),
        "pg_cancel_backend" | "pg_terminate_backend" => {
            let (whose, close) = argument(text, arguments)?;
            let of = if name == "pg_cancel_backend" { ProcessFunction::Cancel } else { ProcessFunction::Terminate };
            (of(whose), close)
        }
        _ => return None,
    };
    if !text.punct(close, b')') {
        return None;
    }
    Some(ProcessCall { function, rest: label(text, close + 1)? })
}

/// A function's name, and where its arguments begin.
fn call(text: Text<'_>, at: usize) -> Option<(String, usize)> {
    let at = match text.name(at).as_deref() {
        Some("pg_catalog") if text.punct(at + 1, b'.') => at + 2,
        _ => at,
    };
    let name = text.name(at).filter(|_| text.punct(at + 1, b'('))?;
    Some((name, at + 2))
}

fn argument(text: Text<'_>, at: usize) -> Option<(ProcessOf, usize)> {
    match text.kind(at)? {
        TokenKind::Parameter(number) => Some((ProcessOf::Parameter(number.checked_sub(1)?), at + 1)),
        TokenKind::Literal(_) => {
            let written = std::str::from_utf8(text.bytes(at)).ok()?;
            let digits = written.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(written);
            Some((ProcessOf::Number(digits.parse().ok()?), at + 1))
        }
        _ => {
            let (name, close) = call(text, at)?;
            (name == "pg_backend_pid" && text.punct(close, b')')).then_some((ProcessOf::Own, close + 1))
        }
    }
}

/// A column's name with AS or without, and nothing else up to the end.
fn label(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = |at: usize| text.pieces.get(at).map(|piece: &Piece| piece.token.span.clone());
    let name = if text.is(at, "as") { at + 1 } else { at };
    let end = match text.name(name) {
        // Other words than AS that could stand there begin a clause.
        Some(_) if name > at || text.kind(name) != Some(TokenKind::Word) => name + 1,
        Some(_) => {
            let begins =
                ["from", "where", "group", "having", "window", "union", "intersect", "except", "order", "limit"];
            let others =
                ["offset", "fetch", "for", "into", "over", "filter", "within", "collate", "at", "is", "isnull"];
            let operators = ["notnull", "in", "like", "ilike", "similar", "between", "and", "or", "not", "operator"];
            if text.is_any(name, &begins) || text.is_any(name, &others) || text.is_any(name, &operators) {
                return None;
            }
            name + 1
        }
        None if name > at => return None,
        None => at,
    };
    let is_end = text.pieces.len() == end || (text.pieces.len() == end + 1 && text.punct(end, b';'));
    if !is_end {
        return None;
    }
    Some(if end == at { 0..0 } else { start(at)?.start..start(end - 1)?.end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sql: &str) -> Option<(ProcessFunction, &str)> {
        let call = process_call(sql.as_bytes(), &LexOptions { standard_conforming_strings: true })?;
        Some((call.function, &sql[call.rest]))
    }

    #[test]
    fn only_the_call_alone_is_one() {
        use ProcessFunction::{BackendPid, Cancel, Terminate};
        for (sql, function, rest) in [
            ("select pg_backend_pid()", BackendPid, ""),
            ("SELECT /* x */ pg_catalog.pg_backend_pid ( ) AS \"pid\";", BackendPid, "AS \"pid\""),
            ("SELECT pg_backend_pid() pid", BackendPid, "pid"),
            ("SELECT pg_terminate_backend(17)", Terminate(ProcessOf::Number(17)), ""),
            ("SELECT pg_cancel_backend('17') as ok", Cancel(ProcessOf::Number(17)), "as ok"),
            ("SELECT pg_terminate_backend($2)", Terminate(ProcessOf::Parameter(1)), ""),
            ("SELECT pg_terminate_backend(pg_backend_pid())", Terminate(ProcessOf::Own), ""),
        ] {
            assert_eq!(found(sql), Some((function, rest)), "{sql}");
        }
        for sql in [
            "SELECT pg_backend_pid() FROM t",
            "SELECT pg_backend_pid(), 1",
            "SELECT pg_backend_pid() + 1",
            "SELECT pg_backend_pid()::text",
            "SELECT pg_backend_pid() WHERE false",
            "SELECT pg_backend_pid() AS a FROM t",
            "SELECT other.pg_backend_pid()",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
            "SELECT pg_terminate_backend(17, 1000)",
            "SELECT pg_terminate_backend(-17)",
            "SELECT pg_terminate_backend(1.7)",
            "SELECT pg_backend_pid(); SELECT 1",
            "SELECT pg_backend_pid() IS NULL",
        ] {
            assert_eq!(found(sql), None, "{sql}");
        }
    }
}
