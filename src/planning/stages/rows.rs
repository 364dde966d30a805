//! Rows as SQL, and texts with such rows in them. In: values in PostgreSQL's own text form. Out: bytes that mean the same
//! whatever the session's settings are.

use std::ops::Range;

use super::{Form, Place};
use crate::sql::quote_identifier;
use crate::sql::{Token, TokenKind};

/// The tokens of a part, with the rows of earlier steps in their places, outer ones first.
pub fn assembled<'r>(
    sql: &[u8],
    tokens: &[Token],
    range: &Range<usize>,
    places: &[(usize, &Place)],
    rows: &dyn Fn(usize) -> Option<&'r [u8]>,
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = range.start;
    let mut end: Option<usize> = None;
    while at < range.end {
        let Some(token) = tokens.get(at) else { break };
        if let Some(end) = end {
            between(sql, end, token.span.start, &mut out);
        }
        let place = places.iter().find(|(_, place)| place.tokens.start == at);
        if let Some((step, place)) = place
            && let Some(query) = rows(*step)
        {
            write(place, query, &mut out);
            at = place.tokens.end.max(at + 1);
            end = tokens.get(at - 1).map(|last| last.span.end);
            continue;
        }
        out.extend_from_slice(sql.get(token.span.clone()).unwrap_or_default());
        end = Some(token.span.end);
        at += 1;
    }
    out
}

fn write(place: &Place, query: &[u8], out: &mut Vec<u8>) {
    match &place.form {
        Form::Query => out.extend_from_slice(query),
        Form::Relation(alias) => {
            out.push(b'(');
            out.extend_from_slice(query);
            out.push(b')');
            if let Some(name) = alias {
                out.extend_from_slice(b" AS ");
                out.extend_from_slice(quote_identifier(name).as_bytes());
            }
        }
    }
}

/// Comments are left out: they may be hints.
fn between(sql: &[u8], from: usize, to: usize, out: &mut Vec<u8>) {
    let gap = sql.get(from..to).unwrap_or_default();
    if gap.contains(&b'\n') {
        out.push(b'\n');
    } else if !gap.is_empty() {
        out.push(b' ');
    }
}

/// A query that gives these rows, by columns: each with its name, its type, its collation, and its values.
pub fn rows_sql<'a>(columns: impl Iterator<Item = (&'a str, &'a str, Option<&'a str>, Vec<u8>)>) -> Vec<u8> {
    let (mut list, mut arrays, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (position, (name, type_name, collation, values)) in columns.enumerate() {
        let (comma, number) = (if position > 0 { ", " } else { "" }, position + 1);
        let collation = collation.map(|name| format!(" COLLATE {name}")).unwrap_or_default();
        list.extend_from_slice(
            format!("{comma}c{number}::{type_name}{collation} AS {}", quote_identifier(name)).as_bytes(),
        );
        arrays.extend_from_slice(comma.as_bytes());
        arrays.extend_from_slice(b"E'{");
        arrays.extend_from_slice(&values);
        arrays.extend_from_slice(b"}'::text[]");
        names.extend_from_slice(format!("{comma}c{number}").as_bytes());
    }
    // Of several arrays it is no function, but a word of PostgreSQL's grammar.
    let unnest: &[u8] = if list_is_one(&names) { b" FROM pg_catalog.unnest(" } else { b" FROM unnest(" };
    [b"SELECT ", &list[..], unnest, &arrays, b") AS shardway_rows (", &names, b")"].concat()
}

fn list_is_one(names: &[u8]) -> bool {
    !names.contains(&b',')
}

/// One more element of an array that is written within E'{...}'.
pub fn element(value: Option<&[u8]>, out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b',');
    }
    let Some(value) = value else { return out.extend_from_slice(b"NULL") };
    out.push(b'"');
    for byte in value {
        match byte {
            // An escape of the array's, each of whose characters is one of the string's.
            b'"' => out.extend_from_slice(b"\\\\\""),
            b'\\' => out.extend_from_slice(b"\\\\\\\\"),
            b'\'' => out.extend_from_slice(b"''"),
            other => out.push(*other),
        }
    }
    out.push(b'"');
}

/// One more row of a list behind VALUES.
pub fn row<'a>(values: impl Iterator<Item = Option<&'a [u8]>>, out: &mut Vec<u8>) {
    out.extend_from_slice(if out.is_empty() { b"(" } else { b", (" });
    for (position, value) in values.enumerate() {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        let Some(value) = value else {
            out.extend_from_slice(b"NULL");
            continue;
        };
        out.extend_from_slice(b"E'");
        for byte in value {
            if matches!(byte, b'\'' | b'\\') {
                out.push(*byte);
            }
            out.push(*byte);
        }
        out.push(b'\'');
    }
    out.push(b')');
}

/// The text with literals in the place of its parameters.
pub fn with_parameters(sql: &[u8], tokens: &[Token], values: &[String]) -> Vec<u8> {
    let mut out = Vec::with_capacity(sql.len());
    let mut from = 0;
    for token in tokens {
        if let TokenKind::Parameter(number @ 1..) = token.kind
            && let Some(value) = values.get(usize::from(number) - 1)
        {
            out.extend_from_slice(sql.get(from..token.span.start).unwrap_or_default());
            out.extend_from_slice(value.as_bytes());
            from = token.span.end;
        }
    }
    out.extend_from_slice(sql.get(from..).unwrap_or_default());
    out
}
