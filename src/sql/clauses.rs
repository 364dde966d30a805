//! Where the clauses of one SELECT stand in its text. In: its tokens, and the [`Shape`] that the parser saw.
//! Out: ranges of tokens, or nothing when the two don't agree: then nothing may be spliced.
//!
//! Goes by keywords outside of parentheses. Those it looks for are reserved in PostgreSQL: behind a dot
//! or AS they are names, everywhere else they begin a clause.

use std::ops::Range;

use super::lexer::TokenKind;
use super::parse::Piece;
use super::statement::{Features, Shape};

/// Ranges are positions of tokens; those of clauses are without their keywords.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clauses {
    /// `SELECT [ALL | DISTINCT]`.
    pub head: Range<usize>,
    pub items: Vec<Range<usize>>,
    /// FROM and WHERE with their keywords.
    pub body: Range<usize>,
    /// GROUP BY and HAVING with their keywords.
    pub groups: Range<usize>,
    /// WINDOW, its keyword included.
    pub window: Range<usize>,
    pub group_by: Vec<Range<usize>>,
    pub having: Range<usize>,
    /// From ORDER on.
    pub ordering: Range<usize>,
    pub order_by: Vec<Range<usize>>,
    /// From the first of LIMIT, OFFSET and FETCH on.
    pub limiting: Range<usize>,
    pub limit: Range<usize>,
    pub offset: Range<usize>,
    /// FETCH, without the keyword.
    pub fetch: Range<usize>,
    /// FOR UPDATE and the like, the keyword included.
    pub locking: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Select,
    From,
    Where,
    GroupBy,
    Having,
    Window,
    OrderBy,
    Limit,
    Offset,
    Fetch,
    /// FOR UPDATE and the like.
    For,
}

/// A clause: its first token, the first behind its keywords, its end.
#[derive(Clone, Copy)]
struct Found {
    kind: Kind,
    start: usize,
    inner: usize,
    end: usize,
}

/// `None` for anything but one plain SELECT whose clauses are those of `shape`.
pub fn clauses(sql: &[u8], pieces: &[Piece], shape: &Shape, features: &Features) -> Option<Clauses> {
    let text = Text { sql, pieces };
    let found = text.find()?;
    let get = |kind: Kind| found.iter().find(|found| found.kind == kind);
    let inner = |kind: Kind| get(kind).map_or(0..0, |found| found.inner..found.end);
    // From the first of these clauses to the end of the last.
    let whole = |kinds: &[Kind]| {
        let mut all = found.iter().filter(|found| kinds.contains(&found.kind));
        let first = all.next();
        let last = all.next_back().or(first);
        first.zip(last).map_or(0..0, |(first, last)| first.start..last.end)
    };
    let select = get(Kind::Select)?;
    let mut behind = select.inner;
    let distinct = text.is(behind, "distinct");
    if distinct || text.is(behind, "all") {
        behind += 1;
    }
    if distinct && text.is(behind, "on") {
        return None;
    }
    let items = text.list(behind..select.end)?;
    let clauses = Clauses {
        head: select.start..behind,
        items,
        body: whole(&[Kind::From, Kind::Where]),
        groups: whole(&[Kind::GroupBy, Kind::Having]),
        window: whole(&[Kind::Window]),
        group_by: get(Kind::GroupBy).map_or(Some(Vec::new()), |found| text.list(found.inner..found.end))?,
        having: inner(Kind::Having),
        ordering: whole(&[Kind::OrderBy]),
        order_by: get(Kind::OrderBy).map_or(Some(Vec::new()), |found| text.list(found.inner..found.end))?,
        limiting: whole(&[Kind::Limit, Kind::Offset, Kind::Fetch]),
        limit: inner(Kind::Limit),
        offset: inner(Kind::Offset),
        fetch: inner(Kind::Fetch),
        locking: whole(&[Kind::For]),
    };
    clauses.agree(shape, features, distinct, &text).then_some(clauses)
}

impl Clauses {
    /// With what the parser said.
    fn agree(&self, shape: &Shape, features: &Features, distinct: bool, text: &Text<'_>) -> bool {
        let all = text.is(self.limit.start, "all") && self.limit.len() == 1;
        self.items.len() == shape.items.len()
            && self.group_by.len() == shape.group_by
            && self.order_by.len() == shape.order_by.len()
            && self.having.is_empty() != features.having
            && distinct == features.distinct
            && (!self.limit.is_empty() && !all) == shape.limit.is_some()
            && self.offset.is_empty() == shape.offset.is_none()
            && self.fetch.is_empty() == shape.fetch.is_none()
    }
}

struct Text<'a> {
    sql: &'a [u8],
    pieces: &'a [Piece],
}

impl Text<'_> {
    fn kind(&self, position: usize) -> Option<TokenKind> {
        self.pieces.get(position).map(|piece| piece.token.kind)
    }

    fn is(&self, position: usize, word: &str) -> bool {
        let Some(piece) = self.pieces.get(position) else { return false };
        let bytes = self.sql.get(piece.token.span.clone()).unwrap_or_default();
        piece.token.kind == TokenKind::Word && bytes.eq_ignore_ascii_case(word.as_bytes())
    }

    fn is_any(&self, position: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(position, word))
    }

    /// The clause that begins here and how many tokens its keywords are; `Err` for what isn't part of a plain
    /// SELECT.
    fn keyword(&self, at: usize) -> Result<Option<(Kind, usize)>, ()> {
        let before = at.checked_sub(1);
        let named = before
            .is_some_and(|before| self.is(before, "as") || matches!(self.kind(before), Some(TokenKind::Punct(b'.'))));
        if named {
            return Ok(None);
        }
        // `IS DISTINCT FROM`
        if self.is(at, "from") && before.is_some_and(|before| self.is(before, "distinct")) {
            return Ok(None);
        }
        let single = [
            ("select", Kind::Select),
            ("from", Kind::From),
            ("where", Kind::Where),
            ("having", Kind::Having),
            ("window", Kind::Window),
            ("limit", Kind::Limit),
            ("offset", Kind::Offset),
            ("fetch", Kind::Fetch),
            ("for", Kind::For),
        ];
        if let Some((_, kind)) = single.iter().find(|(word, _)| self.is(at, word)) {
            return Ok(Some((*kind, 1)));
        }
        if self.is(at + 1, "by") {
            if self.is(at, "group") {
                return Ok(Some((Kind::GroupBy, 2)));
            }
            if self.is(at, "order") {
                return Ok(Some((Kind::OrderBy, 2)));
            }
        }
        if self.is_any(at, &["union", "intersect", "except", "into"]) {
            return Err(());
        }
        Ok(None)
    }

    fn find(&self) -> Option<Vec<Found>> {
        let mut found: Vec<Found> = Vec::new();
        let mut depth = 0_usize;
        for at in 0..self.pieces.len() {
            match self.kind(at)? {
                TokenKind::Punct(b'(' | b'[') => depth += 1,
                TokenKind::Punct(b')' | b']') => depth = depth.checked_sub(1)?,
                TokenKind::Punct(b';') => return None,
                TokenKind::Word if depth == 0 => {
                    let Some((kind, words)) = self.keyword(at).ok()? else { continue };
                    let follows = match found.last() {
                        None => at == 0 && kind == Kind::Select,
                        // LIMIT, OFFSET and FETCH come in any order, each once.
                        Some(last) if kind >= Kind::Limit && last.kind >= Kind::Limit => {
                            found.iter().all(|found| found.kind != kind)
                        }
                        Some(last) => last.kind < kind,
                    };
                    if !follows {
                        return None;
                    }
                    if let Some(last) = found.last_mut() {
                        last.end = at;
                    }
                    found.push(Found { kind, start: at, inner: at + words, end: self.pieces.len() });
                }
                _ => {}
            }
        }
        let sound = depth == 0 && found.iter().all(|found| found.inner < found.end);
        sound.then_some(found)
    }

    /// Divides at commas outside of parentheses.
    fn list(&self, range: Range<usize>) -> Option<Vec<Range<usize>>> {
        let mut items = Vec::new();
        let mut start = range.start;
        let mut depth = 0_usize;
        for at in range.clone() {
            match self.kind(at)? {
                TokenKind::Punct(b'(' | b'[') => depth += 1,
                TokenKind::Punct(b')' | b']') => depth = depth.checked_sub(1)?,
                TokenKind::Punct(b',') if depth == 0 => {
                    items.push(start..at);
                    start = at + 1;
                }
                _ => {}
            }
        }
        items.push(start..range.end);
        items.iter().all(|item| !item.is_empty()).then_some(items)
    }
}
