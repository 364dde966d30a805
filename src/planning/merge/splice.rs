//! Statements made of pieces of the client's own text and of words put between them. In: ranges of tokens.
//! Out: for the text of one call, bytes, and where each came from.
//!
//! Literals differ from call to call and so do the places of everything behind them: pieces are counted in
//! tokens.

use std::ops::Range;

use crate::sql::{LexOptions, Tokens};

/// A statement to be made.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Splice {
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    /// Tokens of the client's text, with whatever stands between them.
    Client(Range<usize>),
    Own(String),
}

impl Splice {
    #[must_use]
    pub fn client(mut self, tokens: Range<usize>) -> Self {
        if !tokens.is_empty() {
            self.parts.push(Part::Client(tokens));
        }
        self
    }

    #[must_use]
    pub fn own(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Own(text.into()));
        self
    }

    #[must_use]
    pub fn all(mut self, other: &Self) -> Self {
        self.parts.extend(other.parts.iter().cloned());
        self
    }

    /// The same with words of the proxy's own in the place of these tokens; `None` if it hasn't them exactly once.
    #[must_use]
    pub fn replacing(&self, tokens: &Range<usize>, text: &str) -> Option<Self> {
        let mut replaced = Self::default();
        let mut found = 0;
        for part in &self.parts {
            match part {
                Part::Client(range) if range.start <= tokens.start && tokens.end <= range.end => {
                    found += 1;
                    replaced = replaced.client(range.start..tokens.start).own(text).client(tokens.end..range.end);
                }
                part => replaced.parts.push(part.clone()),
            }
        }
        (found == 1).then_some(replaced)
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The statement for this text of the client's; `None` for a text of other tokens than the template's.
    pub fn render(&self, sql: &[u8], tokens: &[Range<usize>]) -> Option<Spliced> {
        let mut spliced = Spliced { sql: Vec::with_capacity(sql.len() + 256), origins: Vec::new() };
        for part in &self.parts {
            if !spliced.sql.is_empty() {
                spliced.sql.push(b' ');
            }
            match part {
                Part::Own(text) => spliced.sql.extend_from_slice(text.as_bytes()),
                Part::Client(range) => {
                    let (first, last) = (tokens.get(range.start)?, tokens.get(range.end.checked_sub(1)?)?);
                    spliced.origins.push((spliced.sql.len(), first.start, last.end.checked_sub(first.start)?));
                    spliced.sql.extend_from_slice(sql.get(first.start..last.end)?);
                }
            }
        }
        Some(spliced)
    }
}

/// The places of a text's tokens.
pub fn tokens(sql: &[u8], standard_conforming_strings: bool) -> Vec<Range<usize>> {
    Tokens::new(sql, &LexOptions { standard_conforming_strings }).map(|token| token.span).collect()
}

/// A statement that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spliced {
    pub sql: Vec<u8>,
    /// Where in it, where in the client's text, and how many bytes.
    origins: Vec<(usize, usize, usize)>,
}

impl Spliced {
    /// The place in the client's text of a place in this one; both in bytes. `None` for words that aren't
    /// the client's.
    pub fn origin(&self, at: usize) -> Option<usize> {
        let (here, there, _) = self.origins.iter().find(|(here, _, length)| (*here..here + length).contains(&at))?;
        Some(there + (at - here))
    }

    /// As [`Spliced::origin`], both in characters counted from 1, as ErrorResponse has them.
    pub fn position(&self, client: &[u8], position: usize) -> Option<usize> {
        let here = std::str::from_utf8(&self.sql).ok()?;
        let (at, _) = here.char_indices().nth(position.checked_sub(1)?)?;
        let there = std::str::from_utf8(client).ok()?;
        Some(there.get(..self.origin(at)?)?.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_found_again_in_a_text_with_other_literals() {
        let splice = Splice::default().client(0..2).own(", id AS k").client(2..8);
        let sql = "SELECT naïve FROM t WHERE a = 'longer'".as_bytes();
        let spliced = splice.render(sql, &tokens(sql, true)).expect("as many tokens");
        assert_eq!(String::from_utf8_lossy(&spliced.sql), "SELECT naïve , id AS k FROM t WHERE a = 'longer'");
        let place = |text: &str, of: &[u8]| {
            let all = std::str::from_utf8(of).expect("UTF-8");
            all.get(..all.find(text).expect("there")).expect("a boundary").chars().count() + 1
        };
        for word in ["naïve", "FROM", "WHERE", "'longer'"] {
            assert_eq!(spliced.position(sql, place(word, &spliced.sql)), Some(place(word, sql)), "{word}");
        }
        assert_eq!(spliced.position(sql, place(", id", &spliced.sql)), None);
        assert_eq!(splice.render(b"SELECT 1", &tokens(b"SELECT 1", true)), None);
    }
}
