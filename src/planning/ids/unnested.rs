//! `INSERT INTO t (columns) SELECT * FROM UNNEST(('{1,2}'::int2[])::bigint[], ('{a,b}')::varchar[])`: how Django inserts
//! several rows. It says the same as VALUES with the elements, each cast as its array is: rows that are listed can be
//! divided by shard and be given ids.

use super::super::ddl;
use super::super::text::Text;
use super::{Part, items};
use crate::sql::{Literal, LiteralKind, TokenKind, literal_text};

/// Such a query, by positions of tokens.
pub struct Unnested {
    arrays: Vec<Array>,
    /// Behind the query.
    pub until: usize,
}

struct Array {
    /// The token of the literal.
    literal: usize,
    /// The types of elements that it is cast to, from the inside.
    casts: Vec<(usize, usize)>,
    /// `None`: an unquoted NULL, which depends on `array_nulls`.
    elements: Vec<Option<String>>,
}

impl Unnested {
    /// `at`: SELECT. `None` for every other query, and for arrays that aren't all of one length and dimension.
    pub fn read(text: Text<'_>, at: usize) -> Option<Self> {
        let star = text.bytes(at + 1) == b"*" && text.is(at + 2, "from");
        // With its schema it takes one array only.
        let name = at + 3;
        if !star || !text.is(name, "unnest") || !text.punct(name + 1, b'(') {
            return None;
        }
        let close = ddl::closing(text, name + 1);
        let until = close + 1;
        let ends = until >= text.pieces.len() || text.is_any(until, &["on", "returning"]) || text.punct(until, b';');
        let arrays: Vec<Array> = items(text, name + 1, close)
            .into_iter()
            .map(|(from, until)| Array::read(text, from, until))
            .collect::<Option<_>>()?;
        let rows = arrays.first()?.elements.len();
        let alike = rows > 0 && arrays.iter().all(|array| array.elements.len() == rows);
        (ends && alike).then_some(Self { arrays, until })
    }

    pub fn outputs(&self) -> usize {
        self.arrays.len()
    }

    /// Other arrays make other rows.
    pub fn shaping(&self, text: Text<'_>) -> Vec<usize> {
        self.arrays.iter().filter_map(|array| text.pieces.get(array.literal)?.literal).collect()
    }

    /// `VALUES (...), (...)`, each row with `more` at its end; what those take is pushed in order.
    pub fn parts(&self, base: usize, mut more: impl FnMut(&mut Vec<Part>)) -> Vec<Part> {
        let mut parts = vec![Part::Text("VALUES ".to_owned())];
        let rows = self.arrays.first().map_or(0, |array| array.elements.len());
        for row in 0..rows {
            parts.push(Part::Text(if row > 0 { ", (" } else { "(" }.to_owned()));
            for (position, array) in self.arrays.iter().enumerate() {
                if position > 0 {
                    parts.push(Part::Text(", ".to_owned()));
                }
                array.element(row, base, &mut parts);
            }
            more(&mut parts);
            parts.push(Part::Text(")".to_owned()));
        }
        parts
    }
}

impl Array {
    /// A literal with casts to arrays, in whatever parentheses.
    fn read(text: Text<'_>, from: usize, until: usize) -> Option<Self> {
        if text.punct(from, b'(') && ddl::closing(text, from) + 1 == until {
            return Self::read(text, from + 1, until - 1);
        }
        if until == from + 1 {
            let Some(TokenKind::Literal(kind @ (LiteralKind::String | LiteralKind::EscapeString))) = text.kind(from)
            else {
                return None;
            };
            let span = text.pieces.get(from)?.token.span.clone();
            let value = literal_text(text.sql, &Literal { span, kind })?;
            return Some(Self { literal: from, casts: Vec::new(), elements: elements(&value)? });
        }
        let last = until.checked_sub(2).filter(|last| *last > from)?;
        if !text.punct(last, b'[') || !text.punct(last + 1, b']') {
            return None;
        }
        let cast = (from..last).rev().find(|at| text.bytes(*at) == b"::")?;
        let is_type = |at: usize| match text.kind(at) {
            Some(TokenKind::Word | TokenKind::QuotedIdent | TokenKind::Literal(LiteralKind::Integer)) => true,
            Some(TokenKind::Punct(byte)) => b".(),".contains(&byte),
            _ => false,
        };
        // The elements of box[] are divided by semicolons.
        if cast + 1 == last || !(cast + 1..last).all(is_type) || (cast + 1..last).any(|at| text.is(at, "box")) {
            return None;
        }
        let mut inner = Self::read(text, from, cast)?;
        inner.casts.push((cast + 1, last));
        Some(inner)
    }

    fn element(&self, row: usize, base: usize, parts: &mut Vec<Part>) {
        let element = self.elements.get(row).map(Option::as_deref);
        let (written, ends) = match element.flatten() {
            Some(text) => (quoted(text), ""),
            // Whatever the session makes of it.
            None => ("'{NULL}'".to_owned(), "[]"),
        };
        let opening = if ends.is_empty() { "(" } else { "((" };
        parts.push(Part::Text(format!("{}{written}", opening.repeat(self.casts.len().max(1)))));
        for (from, until) in &self.casts {
            parts.push(Part::Text("::".to_owned()));
            parts.push(Part::Tokens(base + from, base + until));
            parts.push(Part::Text(format!("{ends})")));
        }
        if !ends.is_empty() {
            parts.push(Part::Text(format!("{}[1]", ")".repeat(self.casts.len().max(1)))));
        }
    }
}

fn quoted(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

/// The elements of an array of one dimension, as array_in reads them (arrayfuncs.c).
fn elements(text: &str) -> Option<Vec<Option<String>>> {
    const BLANKS: [char; 6] = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];
    let mut rest = text.trim_matches(BLANKS).strip_prefix('{')?.strip_suffix('}')?.trim_start_matches(BLANKS);
    let mut all = Vec::new();
    loop {
        let behind = match rest.strip_prefix('"') {
            Some(inner) => {
                let mut value = String::new();
                let mut characters = inner.chars();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => value.push(characters.next()?),
                        other => value.push(other),
                    }
                }
                all.push(Some(value));
                characters.as_str().trim_start_matches(BLANKS)
            }
            None => {
                let (bare, behind) = rest.split_at_checked(rest.find(',').unwrap_or(rest.len()))?;
                let bare = bare.trim_end_matches(BLANKS);
                if bare.is_empty() || bare.contains(['"', '\\', '{', '}']) {
                    return None;
                }
                all.push((!bare.eq_ignore_ascii_case("null")).then(|| bare.to_owned()));
                behind
            }
        };
        match behind.strip_prefix(',') {
            Some(next) => rest = next.trim_start_matches(BLANKS),
            None => return behind.is_empty().then_some(all),
        }
    }
}
