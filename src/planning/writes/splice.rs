//! Texts for the single shards, made of the client's own bytes. In: the client's text, its tokens and what is to stand
//! for some of them. Out: bytes, and which of the client's parameters they use.

use std::ops::Range;

use super::moment::{Moment, MomentCall};
use super::rows::{Fill, Returns, RowsLayout};
use crate::sql::quote_identifier;
use crate::sql::{LexOptions, Token, TokenKind, Tokens};

/// A statement for one shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spliced {
    pub sql: Vec<u8>,
    /// Which of the client's parameters, from 0, stand for `$1`, `$2` ... in it.
    pub parameters: Vec<u16>,
    origins: Vec<Origin>,
}

/// A run of bytes that is the client's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Origin {
    at: usize,
    source: usize,
    len: usize,
}

impl Spliced {
    /// Where in the client's text is what a server found at this character of this one, counted from 1 as in errors;
    /// `None`: nowhere.
    pub fn place(&self, client: &[u8], position: usize) -> Option<usize> {
        let starts = |byte: &u8| byte & 0xC0 != 0x80;
        let mut characters = self.sql.iter().enumerate().filter(|(_, byte)| starts(byte));
        let (at, _) = characters.nth(position.checked_sub(1)?)?;
        let origin = self.origins.iter().find(|origin| (origin.at..origin.at + origin.len).contains(&at))?;
        let source = origin.source + (at - origin.at);
        Some(client.get(..source)?.iter().filter(|byte| starts(byte)).count() + 1)
    }
}

/// The tokens of the only statement in `sql`, whose bytes are `span`.
pub fn tokens_of(sql: &[u8], span: &Range<usize>, options: &LexOptions) -> Vec<Token> {
    let inside = |token: &Token| token.span.start >= span.start && token.span.end <= span.end;
    Tokens::new(sql, options).filter(inside).collect()
}

/// The whole statement with one moment for its calls; parameters keep their numbers.
pub fn with_moment(sql: &[u8], tokens: &[Token], moments: &[MomentCall], moment: &Moment) -> Spliced {
    let mut writer = Writer::new(sql, tokens, moments, Some(moment));
    writer.renumbers = false;
    writer.copy(0..tokens.len());
    writer.end()
}

/// A piece of a statement.
#[derive(Clone, Debug)]
pub enum Bit<'a> {
    Own(&'a str),
    /// Tokens of the client's.
    Client(Range<usize>),
    /// The parameter behind the client's own ones that the statement uses, counted from 0.
    Added(usize),
}

/// A statement put together; parameters are numbered anew, added ones last.
pub fn assembled(
    sql: &[u8],
    tokens: &[Token],
    moments: &[MomentCall],
    moment: Option<&Moment>,
    bits: &[Bit<'_>],
) -> Spliced {
    let mut writer = Writer::new(sql, tokens, moments, moment);
    // The client's parameters come first, whatever the order in the text is.
    for bit in bits {
        if let Bit::Client(range) = bit {
            writer.number(range);
        }
    }
    let own = writer.used.len();
    for bit in bits {
        match bit {
            Bit::Own(text) => writer.out.extend_from_slice(text.as_bytes()),
            Bit::Client(range) => writer.copy(range.clone()),
            Bit::Added(number) => writer.out.extend_from_slice(format!("${}", own + number + 1).as_bytes()),
        }
    }
    writer.end()
}

/// An INSERT of some of the rows.
pub fn with_rows(
    sql: &[u8],
    tokens: &[Token],
    layout: &RowsLayout,
    rows: &[usize],
    moment: Option<&Moment>,
) -> Spliced {
    let mut writer = Writer::new(sql, tokens, &layout.moments, moment);
    let added: Vec<&Fill> = layout.fills.iter().filter(|fill| fill.position.is_none()).collect();
    match layout.columns_end {
        Some(end) => {
            writer.copy(layout.head.start..end);
            for fill in &added {
                writer.out.push(b',');
                writer.out.extend_from_slice(quote_identifier(&fill.column).as_bytes());
            }
            writer.copy(end..layout.head.end);
        }
        None if added.is_empty() => writer.copy(layout.head.clone()),
        None => {
            writer.copy(layout.head.start..layout.values);
            let names = layout.all_columns.iter().chain(added.iter().map(|fill| &fill.column));
            for (position, name) in names.enumerate() {
                writer.out.extend_from_slice(if position == 0 { b" (" } else { b"," });
                writer.out.extend_from_slice(quote_identifier(name).as_bytes());
            }
            writer.out.extend_from_slice(b") ");
            writer.copy(layout.values..layout.head.end);
        }
    }
    for (position, row) in rows.iter().filter_map(|row| layout.rows.get(*row)).enumerate() {
        if position > 0 {
            writer.out.push(b',');
        }
        writer.row(row, &layout.fills, &added, moment);
    }
    writer.out.push(b' ');
    writer.copy(layout.tail.clone());
    if layout.returns == Returns::Some {
        // Text is the same in both formats.
        writer.out.extend_from_slice(b", ");
        writer.out.extend_from_slice(quote_identifier(&layout.key.0).as_bytes());
        writer.out.extend_from_slice(b"::pg_catalog.text");
    }
    writer.end()
}

struct Writer<'a> {
    sql: &'a [u8],
    tokens: &'a [Token],
    moments: &'a [MomentCall],
    moment: Option<&'a Moment>,
    renumbers: bool,
    /// The client's parameters in the order of their first use.
    used: Vec<u16>,
    numbers: std::collections::HashMap<u16, usize>,
    out: Vec<u8>,
    origins: Vec<Origin>,
}

impl<'a> Writer<'a> {
    fn end(self) -> Spliced {
        Spliced { sql: self.out, parameters: self.used, origins: self.origins }
    }

    fn new(sql: &'a [u8], tokens: &'a [Token], moments: &'a [MomentCall], moment: Option<&'a Moment>) -> Self {
        let (used, numbers) = (Vec::new(), std::collections::HashMap::new());
        let (out, origins) = (Vec::with_capacity(sql.len()), Vec::new());
        Self { sql, tokens, moments, moment, renumbers: true, used, numbers, out, origins }
    }

    /// Copies the tokens with what is between them, the last one's end included.
    fn copy(&mut self, range: Range<usize>) {
        let mut at = range.start;
        // What was copied last: bytes between tokens (blanks and comments) are copied with the next one.
        let mut from = self.tokens.get(at).map_or(0, |token| token.span.start);
        if at < range.end && !self.out.is_empty() {
            self.out.push(b' ');
        }
        while at < range.end {
            let Some(token) = self.tokens.get(at) else { return };
            let (next, end) = match self
                .moments
                .binary_search_by_key(&at, |call| call.tokens.start)
                .ok()
                .and_then(|at| self.moments.get(at))
            {
                Some(call) if self.moment.is_some() => {
                    self.between(from, token.span.start);
                    self.call(call);
                    let last = call.tokens.end.checked_sub(1).and_then(|last| self.tokens.get(last));
                    (call.tokens.end, last.map_or(token.span.end, |last| last.span.end))
                }
                _ => {
                    self.between(from, token.span.start);
                    self.token(token);
                    (at + 1, token.span.end)
                }
            };
            at = next;
            from = end;
        }
    }

    fn between(&mut self, from: usize, to: usize) {
        let bytes = self.sql.get(from..to).unwrap_or_default();
        match self.origins.last_mut() {
            Some(last) if last.at + last.len == self.out.len() && last.source + last.len == from => {
                last.len += bytes.len()
            }
            _ => self.origins.push(Origin { at: self.out.len(), source: from, len: bytes.len() }),
        }
        self.out.extend_from_slice(bytes);
    }

    /// Which parameters the tokens use.
    fn number(&mut self, range: &Range<usize>) {
        for token in self.tokens.get(range.clone()).unwrap_or_default() {
            if let TokenKind::Parameter(number @ 1..) = token.kind {
                self.position(number - 1);
            }
        }
    }

    fn position(&mut self, parameter: u16) -> usize {
        let used = &mut self.used;
        *self.numbers.entry(parameter).or_insert_with(|| {
            used.push(parameter);
            used.len()
        })
    }

    fn token(&mut self, token: &Token) {
        match token.kind {
            TokenKind::Parameter(number) if self.renumbers && number > 0 => {
                let position = self.position(number - 1);
                self.out.extend_from_slice(format!("${position}").as_bytes());
            }
            _ => self.between(token.span.start, token.span.end),
        }
    }

    fn call(&mut self, call: &MomentCall) {
        let Some(moment) = self.moment else { return };
        let precision = call.precision.clone().and_then(|range| {
            let (first, last) = (self.tokens.get(range.start)?, self.tokens.get(range.end.checked_sub(1)?)?);
            self.sql.get(first.span.start..last.span.end)
        });
        call.kind.write(moment, precision.unwrap_or_default(), &mut self.out);
    }

    fn row(&mut self, row: &Range<usize>, fills: &[Fill], added: &[&Fill], moment: Option<&Moment>) {
        let Some(close) = row.end.checked_sub(1) else { return };
        self.out.push(b'(');
        for (position, cell) in self.cells(row.start + 1..close).into_iter().enumerate() {
            if position > 0 {
                self.out.push(b',');
            }
            let fill = fills.iter().find(|fill| fill.position == Some(position));
            match fill.filter(|_| self.is_default(&cell)) {
                Some(fill) => self.default(fill, moment),
                None => self.copy(cell),
            }
        }
        for fill in added {
            self.out.push(b',');
            self.default(fill, moment);
        }
        self.out.push(b')');
    }

    fn default(&mut self, fill: &Fill, moment: Option<&Moment>) {
        let sql = fill.default.as_bytes();
        let options = LexOptions { standard_conforming_strings: true };
        let tokens: Vec<Token> = Tokens::new(sql, &options).collect();
        let mut writer = Writer::new(sql, &tokens, &fill.moments, moment);
        writer.copy(0..tokens.len());
        self.out.push(b'(');
        self.out.extend_from_slice(&writer.out);
        self.out.push(b')');
    }

    fn is_default(&self, cell: &Range<usize>) -> bool {
        let word = self.tokens.get(cell.start).filter(|_| cell.len() == 1);
        word.and_then(|token| self.sql.get(token.span.clone()))
            .is_some_and(|text| text.eq_ignore_ascii_case(b"default"))
    }

    /// The expressions between commas that are in no parentheses or brackets of their own.
    fn cells(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut cells = Vec::new();
        let (mut depth, mut start) = (0_usize, range.start);
        for at in range.clone() {
            match self.tokens.get(at).map(|token| token.kind) {
                Some(TokenKind::Punct(b'(' | b'[')) => depth += 1,
                Some(TokenKind::Punct(b')' | b']')) => depth = depth.saturating_sub(1),
                Some(TokenKind::Punct(b',')) if depth == 0 => {
                    cells.push(start..at);
                    start = at + 1;
                }
                _ => {}
            }
        }
        cells.push(start..range.end);
        cells
    }
}
