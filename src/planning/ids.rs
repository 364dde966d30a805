//! Ids that the proxy serves: what has to be put into an INSERT so that its `serial` and identity columns have
//! values of the home shard's sequences, which are unique over all shards. In: tokens and the scene. Out: a
//! [`Filling`], which makes of a client's text the text that is planned and sent.
//!
//! A filling is of one template, whose texts have the same tokens: it speaks of their positions, not of bytes. Where
//! the values come from is not known here.

use std::fmt::Write as _;

use super::ddl;
use super::scene::{Names, Scene};
use super::tables::{self, Found, Location};
use super::text::Text;
use crate::catalog::{Column, QualifiedName, Relation, RelationKind};
use crate::protocol::moved::Moved;
use crate::sql::quote_identifier;
use crate::sql::statement::TableName;
use crate::sql::{LexOptions, Tokens};
use listed::Listed;
use unnested::Unnested;

mod listed;
mod unnested;

/// What the proxy puts into a text, in the order of the text.
#[derive(Debug)]
pub struct Filling {
    /// The sequence of each value, in the order of the values.
    pub sequences: Vec<QualifiedName>,
    /// Literals that name a sequence, by position among the text's literals: with another value the text is of another
    /// template.
    pub(super) shaping: Vec<usize>,
    splices: Vec<Splice>,
}

/// Tokens that are replaced, by position; none: something is put before the first.
#[derive(Debug)]
struct Splice {
    from: usize,
    until: usize,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    /// These tokens of the text, as they are there.
    Tokens(usize, usize),
    /// The next value.
    Value,
}

impl Filling {
    /// `None` where nothing is left to a sequence, and where the statement isn't understood: then the planner says
    /// why it can't be run. `base` is the position of the statement's first token in the text.
    pub fn of(text: Text<'_>, base: usize, scene: &Scene, names: &Names) -> Option<Self> {
        if !text.is(0, "insert") || !text.is(1, "into") {
            return None;
        }
        let (table, behind) = ddl::table_name(text, 2)?;
        let found = tables::find(scene, names, &table);
        if found.refusal.is_some() || !matches!(found.location, Location::Sharded(_) | Location::Reference) {
            return None;
        }
        let relation = scene.catalog.as_ref()?.relation(&found.schema, &found.name)?;
        let insert = Insert::read(text, behind)?;
        let listed = insert.listed.is_some();
        if matches!(insert.listed, Some(Query::Arrays(_)))
            && scene.catalog.as_ref()?.functions(None, "unnest").next().is_some()
        {
            return None;
        }
        let mut filling = Self { sequences: Vec::new(), shaping: Vec::new(), splices: Vec::new() };
        insert.fill(text, relation, base, (scene, names), &mut filling)?;
        if filling.sequences.is_empty() && !listed {
            return None;
        }
        for splice in &mut filling.splices {
            splice.from += base;
            splice.until += base;
        }
        filling.splices.sort_by_key(|splice| splice.from);
        Some(filling)
    }

    /// Joins what several statements of one text want.
    pub fn join(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        all.into_iter().reduce(|mut first, mut next| {
            first.sequences.append(&mut next.sequences);
            first.shaping.append(&mut next.shaping);
            first.splices.append(&mut next.splices);
            first
        })
    }

    /// The text with its values, and how it differs: `value(n)` is what stands for value number n, from 0.
    pub fn apply(&self, sql: &[u8], options: &LexOptions, value: impl Fn(usize) -> String) -> (Vec<u8>, Moved) {
        let tokens: Vec<_> = Tokens::new(sql, options).map(|token| token.span).collect();
        let mut out = Vec::with_capacity(sql.len() + 32 * self.splices.len());
        let mut moved = Moved::default();
        let (mut copied, mut written, mut given) = (0, 0, 0);
        for splice in &self.splices {
            let start = tokens.get(splice.from).map_or(sql.len(), |span| span.start);
            let replaced = tokens.get(splice.from..splice.until).and_then(<[_]>::last);
            let end = replaced.map_or(start, |span| span.end);
            let before = sql.get(copied..start).unwrap_or_default();
            out.extend_from_slice(before);
            written += characters(before);
            let at = written;
            for part in &splice.parts {
                let text = match part {
                    Part::Text(text) => text.clone(),
                    Part::Tokens(from, until) => {
                        let start = tokens.get(*from).map_or(0, |span| span.start);
                        let end = until.checked_sub(1).and_then(|last| tokens.get(last)).map_or(0, |span| span.end);
                        String::from_utf8_lossy(sql.get(start..end).unwrap_or_default()).into_owned()
                    }
                    Part::Value => {
                        given += 1;
                        value(given - 1)
                    }
                };
                written += characters(text.as_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            moved.note(at, written - at, characters(sql.get(start..end).unwrap_or_default()));
            copied = end;
        }
        out.extend_from_slice(sql.get(copied..).unwrap_or_default());
        (out, moved)
    }

    fn put(&mut self, before: usize, parts: Vec<Part>) {
        self.splices.push(Splice { from: before, until: before, parts });
    }
}

/// `INSERT INTO t [AS x] [(columns)] [OVERRIDING SYSTEM VALUE] VALUES (...), (...)`, by positions of tokens.
struct Insert {
    /// The listed columns, and the parenthesis behind them.
    columns: Option<(Vec<String>, usize)>,
    /// OVERRIDING SYSTEM VALUE is there.
    overrides: bool,
    /// DEFAULT, of `DEFAULT VALUES`, or VALUES.
    source: usize,
    /// The items of each row, each by its first token and the one behind its last; and the row's closing parenthesis.
    /// Empty for `DEFAULT VALUES`.
    rows: Vec<(Vec<(usize, usize)>, usize)>,
    /// The rows are listed in a query.
    listed: Option<Query>,
}

/// A query that lists its rows.
enum Query {
    Values(Listed),
    Arrays(Unnested),
}

impl Query {
    fn read(text: Text<'_>, at: usize) -> Option<Self> {
        let values = || Listed::read(text, at).map(Self::Values);
        Unnested::read(text, at).map(Self::Arrays).or_else(values)
    }

    fn outputs(&self) -> usize {
        match self {
            Self::Values(listed) => listed.outputs(),
            Self::Arrays(unnested) => unnested.outputs(),
        }
    }

    fn until(&self) -> usize {
        match self {
            Self::Values(listed) => listed.until,
            Self::Arrays(unnested) => unnested.until,
        }
    }

    fn shaping(&self, text: Text<'_>) -> Vec<usize> {
        match self {
            Self::Values(listed) => listed.shaping(text),
            Self::Arrays(unnested) => unnested.shaping(text),
        }
    }

    fn parts(&self, text: Text<'_>, base: usize, more: impl FnMut(&mut Vec<Part>)) -> Vec<Part> {
        match self {
            Self::Values(listed) => listed.parts(text, base, more),
            Self::Arrays(unnested) => unnested.parts(base, more),
        }
    }
}

impl Insert {
    fn read(text: Text<'_>, behind_name: usize) -> Option<Self> {
        let mut at = behind_name;
        if text.is(at, "as") {
            at += 2;
        }
        let mut columns = None;
        if text.punct(at, b'(') {
            let close = ddl::closing(text, at);
            let listed = items(text, at, close)
                .into_iter()
                // `(a, b[1])` and `(c.d)` set parts of columns, which have no default of their own.
                .map(|(from, until)| if until == from + 1 { text.name(from) } else { None })
                .collect::<Option<Vec<_>>>()?;
            if text.is_any(at + 1, &["select", "with", "values", "table"]) {
                return None;
            }
            columns = Some((listed, close));
            at = close + 1;
        }
        let overrides = text.is(at, "overriding");
        if overrides {
            if !text.is(at + 1, "system") {
                return None;
            }
            at += 3;
        }
        let source = at;
        if text.is(at, "default") && text.is(at + 1, "values") {
            return Some(Self { columns, overrides, source, rows: Vec::new(), listed: None });
        }
        if text.is(at, "select") && columns.is_some() {
            let listed = Some(Query::read(text, at)?);
            return Some(Self { columns, overrides, source, rows: Vec::new(), listed });
        }
        if !text.is(at, "values") {
            return None;
        }
        let mut rows = Vec::new();
        loop {
            if !text.punct(at + 1, b'(') {
                return None;
            }
            let close = ddl::closing(text, at + 1);
            rows.push((items(text, at + 1, close), close));
            at = close + 1;
            if !text.punct(at, b',') {
                break;
            }
        }
        // Anything else makes of the VALUES a query of its own, in which DEFAULT can't stand.
        let ends = at >= text.pieces.len() || text.is_any(at, &["on", "returning"]) || text.punct(at, b';');
        ends.then_some(Self { columns, overrides, source, rows, listed: None })
    }

    fn fill(
        &self,
        text: Text<'_>,
        relation: &Relation,
        base: usize,
        (scene, names): (&Scene, &Names),
        filling: &mut Filling,
    ) -> Option<()> {
        if let Some(listed) = &self.listed {
            return self.fill_listed(listed, text, relation, base, filling);
        }
        let count = self.rows.first().map_or(0, |(items, _)| items.len());
        // A row that is longer or shorter than others is the server's to refuse.
        if self.rows.iter().any(|(items, _)| items.len() != count) {
            return None;
        }
        let listed: Vec<&str> = match &self.columns {
            Some((listed, _)) if self.rows.is_empty() || listed.len() == count => {
                listed.iter().map(String::as_str).collect()
            }
            Some(_) => return None,
            None => relation.columns.iter().take(count).map(|column| column.name.as_str()).collect(),
        };
        let served = |column: &&Column| column.sequence.is_some();
        let left_out: Vec<&Column> = if self.rows.is_empty() {
            // Whatever is listed, DEFAULT VALUES gives none of them a value.
            relation.columns.iter().filter(served).collect()
        } else {
            relation.columns.iter().filter(served).filter(|column| !listed.contains(&column.name.as_str())).collect()
        };
        if self.rows.is_empty() {
            return self.fill_defaults(&left_out, filling);
        }
        let mut always = left_out.iter().any(|column| column.identity_always);
        let mut mixed = false;
        // Behind the columns that a row without a list of columns has, those in between keep their defaults.
        let tail: Vec<Option<&QualifiedName>> = match &self.columns {
            Some(_) => left_out.iter().map(|column| column.sequence.as_ref()).collect(),
            None => {
                let last = relation.columns.iter().rposition(|column| column.sequence.is_some());
                let end = last.map_or(count, |last| last + 1);
                relation.columns.iter().take(end).skip(count).map(|column| column.sequence.as_ref()).collect()
            }
        };
        for (items, close) in &self.rows {
            for (position, &(from, until)) in items.iter().enumerate() {
                let column = listed.get(position).and_then(|name| relation.column(name));
                let is_default = until == from + 1 && text.is(from, "default");
                let identity_always = column.is_some_and(|column| column.identity_always);
                let sequence = if is_default {
                    always |= identity_always && column.is_some_and(|column| column.sequence.is_some());
                    column.and_then(|column| column.sequence.clone())
                } else {
                    mixed |= identity_always;
                    let (sequence, literal) = named_sequence(text, from, until, scene, names).unzip();
                    filling.shaping.extend(literal);
                    sequence
                };
                if let Some(sequence) = sequence {
                    filling.sequences.push(sequence);
                    filling.splices.push(Splice { from, until, parts: vec![Part::Value] });
                }
            }
            let mut parts = Vec::new();
            for (position, sequence) in tail.iter().enumerate() {
                if count + position > 0 {
                    parts.push(Part::Text(", ".to_owned()));
                }
                match sequence {
                    Some(sequence) => {
                        filling.sequences.push((*sequence).clone());
                        parts.push(Part::Value);
                    }
                    None => parts.push(Part::Text("DEFAULT".to_owned())),
                }
            }
            if !parts.is_empty() {
                filling.put(*close, parts);
            }
        }
        // Where a value of the client's own stands beside a DEFAULT, the server refuses that value, and has to go on
        // doing so.
        self.name_columns(&left_out, always && !self.overrides && !mixed, filling);
        Some(())
    }

    /// Adds the columns to the list, if there is one, and OVERRIDING SYSTEM VALUE.
    fn name_columns(&self, left_out: &[&Column], overriding: bool, filling: &mut Filling) {
        if let Some((listed, close)) = &self.columns {
            let mut text = String::new();
            for (position, column) in left_out.iter().enumerate() {
                let comma = if listed.is_empty() && position == 0 { "" } else { ", " };
                let _ = write!(text, "{comma}{}", quote_identifier(&column.name));
            }
            if !text.is_empty() {
                filling.put(*close, vec![Part::Text(text)]);
            }
        }
        if overriding {
            filling.put(self.source, vec![Part::Text("OVERRIDING SYSTEM VALUE ".to_owned())]);
        }
    }

    fn fill_listed(
        &self,
        listed: &Query,
        text: Text<'_>,
        relation: &Relation,
        base: usize,
        filling: &mut Filling,
    ) -> Option<()> {
        let names = self.columns.as_ref().map(|(names, _)| names).filter(|names| names.len() == listed.outputs())?;
        let served = |column: &&Column| column.sequence.is_some() && !names.contains(&column.name);
        let left_out: Vec<&Column> = relation.columns.iter().filter(served).collect();
        let mut sequences = Vec::new();
        let parts = listed.parts(text, base, |parts| {
            for column in &left_out {
                parts.push(Part::Text(", ".to_owned()));
                parts.push(Part::Value);
                sequences.extend(column.sequence.clone());
            }
        });
        filling.sequences = sequences;
        filling.shaping = listed.shaping(text);
        let always = left_out.iter().any(|column| column.identity_always);
        self.name_columns(&left_out, always && !self.overrides, filling);
        filling.splices.push(Splice { from: self.source, until: listed.until(), parts });
        Some(())
    }

    fn fill_defaults(&self, columns: &[&Column], filling: &mut Filling) -> Option<()> {
        // PostgreSQL takes no list of columns before DEFAULT VALUES.
        if self.columns.is_some() || columns.is_empty() {
            return None;
        }
        let list: Vec<String> = columns.iter().map(|column| quote_identifier(&column.name)).collect();
        let overriding = !self.overrides && columns.iter().any(|column| column.identity_always);
        let clause = if overriding { " OVERRIDING SYSTEM VALUE" } else { "" };
        let mut parts = Vec::new();
        if self.overrides {
            // The list belongs before the OVERRIDING that is there.
            filling.put(self.source - 3, vec![Part::Text(format!("({}) ", list.join(", ")))]);
            parts.push(Part::Text("VALUES (".to_owned()));
        } else {
            parts.push(Part::Text(format!("({}){clause} VALUES (", list.join(", "))));
        }
        for (position, column) in columns.iter().enumerate() {
            if position > 0 {
                parts.push(Part::Text(", ".to_owned()));
            }
            filling.sequences.extend(column.sequence.clone());
            parts.push(Part::Value);
        }
        parts.push(Part::Text(")".to_owned()));
        filling.splices.push(Splice { from: self.source, until: self.source + 2, parts });
        Some(())
    }
}

/// The items between the parenthesis at `open` and the one at `close`, divided by commas.
fn items(text: Text<'_>, open: usize, close: usize) -> Vec<(usize, usize)> {
    let mut items = Vec::new();
    let mut depth = 0_usize;
    let mut from = open + 1;
    for at in open + 1..close {
        match text.kind(at) {
            Some(crate::sql::TokenKind::Punct(b'(' | b'[')) => depth += 1,
            Some(crate::sql::TokenKind::Punct(b')' | b']')) => depth = depth.saturating_sub(1),
            Some(crate::sql::TokenKind::Punct(b',')) if depth == 0 => {
                items.push((from, at));
                from = at + 1;
            }
            _ => {}
        }
    }
    if from < close {
        items.push((from, close));
    }
    items
}

/// The sequence of an item that is `nextval('name')` and nothing else, and the position of the literal.
fn named_sequence(
    text: Text<'_>,
    from: usize,
    until: usize,
    scene: &Scene,
    names: &Names,
) -> Option<(QualifiedName, usize)> {
    let from = if text.is(from, "pg_catalog") && text.punct(from + 1, b'.') { from + 2 } else { from };
    let cast = text.bytes(from + 3) == b"::" && text.is(from + 4, "regclass");
    let close = if cast { from + 5 } else { from + 3 };
    if !text.is(from, "nextval") || !text.punct(from + 1, b'(') || !text.punct(close, b')') || close + 1 != until {
        return None;
    }
    let inner = text.bytes(from + 2);
    let written = inner.strip_prefix(b"'")?.strip_suffix(b"'")?;
    let written = std::str::from_utf8(written).ok().filter(|name| !name.contains(['\'', '\\']))?;
    Some((sequence_named(written, scene, names)?, text.pieces.get(from + 2)?.literal?))
}

/// A name as regclass reads it.
fn sequence_named(written: &str, scene: &Scene, names: &Names) -> Option<QualifiedName> {
    let options = LexOptions { standard_conforming_strings: true };
    let pieces = super::build::pieces(written.as_bytes(), &options);
    let text = Text { sql: written.as_bytes(), pieces: &pieces };
    let (name, behind) = ddl::table_name(text, 0)?;
    let found: Found = tables::find(scene, names, &TableName { schema: name.schema, name: name.name });
    let relation = scene.catalog.as_ref()?.relation(&found.schema, &found.name)?;
    (behind == pieces.len() && relation.kind == RelationKind::Sequence).then(|| relation.qualified_name())
}

/// As a server counts them that is told UTF-8.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests;
