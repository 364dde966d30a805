//! `INSERT INTO t (columns) SELECT p0::int8, p1 FROM (VALUES (1, 'a', 0), (2, 'b', 1)) AS v(p0, p1, n) ORDER BY n`: how
//! SQLAlchemy inserts several rows whose order RETURNING is to keep. It says the same as VALUES with the rows in that
//! order, which is what it is made into: rows that are listed can be divided by shard and be given ids.

use super::super::ddl;
use super::super::text::Text;
use super::{Part, items};
use crate::sql::TokenKind;

/// Such a query, by positions of tokens.
pub struct Listed {
    /// The select list.
    outputs: Vec<(usize, usize)>,
    /// The columns of the VALUES, as the select list calls them.
    columns: Vec<String>,
    rows: Vec<Vec<(usize, usize)>>,
    /// Behind the query.
    pub until: usize,
}

impl Listed {
    /// `at`: SELECT. `None` for every other query.
    pub fn read(text: Text<'_>, at: usize) -> Option<Self> {
        let from = outside(text, at + 1, "from")?;
        let outputs = items(text, at, from);
        if !text.punct(from + 1, b'(') || !text.is(from + 2, "values") {
            return None;
        }
        let close = ddl::closing(text, from + 1);
        let mut rows = Vec::new();
        let mut open = from + 3;
        loop {
            if !text.punct(open, b'(') {
                return None;
            }
            let end = ddl::closing(text, open);
            rows.push(items(text, open, end));
            open = end + 2;
            if end + 1 == close {
                break;
            }
            if !text.punct(end + 1, b',') {
                return None;
            }
        }
        let alias = close + 1 + usize::from(text.is(close + 1, "as"));
        text.name(alias)?;
        let names = ddl::closing(text, alias + 1);
        if !text.punct(alias + 1, b'(') {
            return None;
        }
        let columns: Vec<String> = items(text, alias + 1, names)
            .into_iter()
            .map(|(from, until)| if until == from + 1 { text.name(from) } else { None })
            .collect::<Option<_>>()?;
        if !text.is(names + 1, "order") || !text.is(names + 2, "by") {
            return None;
        }
        let order = columns.iter().position(|column| Some(column) == text.name(names + 3).as_ref())?;
        let until = names + 4;
        let ends = until >= text.pieces.len() || text.is_any(until, &["on", "returning"]) || text.punct(until, b';');
        let listed = Self { outputs, columns, rows, until };
        (ends && listed.is_plain(text, order)).then_some(listed)
    }

    /// The rows are in their order, and the outputs are made of the columns and of nothing that would be another thing
    /// in VALUES.
    fn is_plain(&self, text: Text<'_>, order: usize) -> bool {
        let mut last = None;
        for row in &self.rows {
            let Some(&(from, until)) = row.get(order).filter(|_| row.len() == self.columns.len()) else { return false };
            let number = std::str::from_utf8(text.bytes(from)).ok().and_then(|digits| digits.parse::<u64>().ok());
            if until != from + 1 || number.is_none() || number <= last {
                return false;
            }
            last = number;
        }
        let words = ["default", "select", "over", "row", "distinct", "all"];
        let range = self.outputs.iter().flat_map(|(from, until)| *from..*until);
        range.into_iter().all(|at| match text.kind(at) {
            Some(TokenKind::Word) => !text.is_any(at, &words),
            Some(TokenKind::Operator) => text.bytes(at) != b"*",
            // A parenthesis is one of a type with a length: what a function makes of a row isn't known here.
            Some(TokenKind::Punct(b'(')) => at >= 2 && text.name(at - 1).is_some() && text.bytes(at - 2) == b"::",
            Some(TokenKind::Punct(byte)) => byte != b'.',
            _ => true,
        })
    }

    /// The numbers that order the rows are literals, so that another text of these tokens may have others.
    pub fn shaping(&self, text: Text<'_>) -> Vec<usize> {
        let positions = self.rows.iter().flatten().flat_map(|(from, until)| *from..*until);
        let order: Vec<usize> = positions
            .filter(|at| matches!(text.kind(*at), Some(TokenKind::Literal(crate::sql::LiteralKind::Integer))))
            .collect();
        order.into_iter().filter_map(|at| text.pieces.get(at)?.literal).collect()
    }

    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// `VALUES (...), (...)`, each row with `more` at its end; what those take is pushed in order.
    pub fn parts(&self, text: Text<'_>, base: usize, mut more: impl FnMut(&mut Vec<Part>)) -> Vec<Part> {
        let mut parts = vec![Part::Text("VALUES ".to_owned())];
        for (number, row) in self.rows.iter().enumerate() {
            parts.push(Part::Text(if number > 0 { ", (" } else { "(" }.to_owned()));
            for (position, &(from, until)) in self.outputs.iter().enumerate() {
                if position > 0 {
                    parts.push(Part::Text(", ".to_owned()));
                }
                for at in from..until {
                    let column = text.name(at).and_then(|name| self.columns.iter().position(|column| *column == name));
                    match column.and_then(|column| row.get(column)) {
                        Some(&(from, until)) => {
                            parts.push(Part::Text("(".to_owned()));
                            parts.push(Part::Tokens(base + from, base + until));
                            parts.push(Part::Text(")".to_owned()));
                        }
                        None => {
                            parts.push(Part::Text(" ".to_owned()));
                            parts.push(Part::Tokens(base + at, base + at + 1));
                        }
                    }
                }
            }
            more(&mut parts);
            parts.push(Part::Text(")".to_owned()));
        }
        parts
    }
}

/// The keyword outside parentheses.
fn outside(text: Text<'_>, from: usize, keyword: &str) -> Option<usize> {
    let mut depth = 0_usize;
    (from..text.pieces.len()).find(|at| {
        match text.kind(*at) {
            Some(TokenKind::Punct(b'(' | b'[')) => depth += 1,
            Some(TokenKind::Punct(b')' | b']')) => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && text.is(*at, keyword)
    })
}
