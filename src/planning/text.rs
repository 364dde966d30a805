//! The tokens of one statement, looked at by position: for what must be known of statements that
//! can't be parsed.

use crate::sql::parse::Piece;
use crate::sql::{Literal, TokenKind, fold_identifier, literal_text};

/// Words before a parenthesis that call no function: syntax, and types with a length.
const SYNTAX: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "between",
    "bit",
    "bpchar",
    "by",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "collate",
    "columns",
    "concurrently",
    "conflict",
    "copy",
    "cross",
    "cube",
    "dec",
    "decimal",
    "default",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exclude",
    "exists",
    "explain",
    "false",
    "fetch",
    "filter",
    "float",
    "for",
    "from",
    "full",
    "generated",
    "group",
    "having",
    "ilike",
    "in",
    "include",
    "inherits",
    "inner",
    "insert",
    "int",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "key",
    "lateral",
    "like",
    "limit",
    "materialized",
    "natural",
    "nchar",
    "not",
    "notnull",
    "null",
    "numeric",
    "of",
    "offset",
    "on",
    "only",
    "operator",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "passing",
    "primary",
    "range",
    "references",
    "returning",
    "rollup",
    "row",
    "rows",
    "reindex",
    "select",
    "set",
    "sets",
    "similar",
    "some",
    "stdin",
    "stdout",
    "symmetric",
    "table",
    "then",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "to",
    "treat",
    "true",
    "truncate",
    "union",
    "unique",
    "update",
    "using",
    "vacuum",
    "values",
    "varchar",
    "variadic",
    "varying",
    "view",
    "when",
    "where",
    "window",
    "with",
    "within",
];

/// A call of a function, found by its parenthesis.
pub struct Called {
    pub schema: Option<String>,
    pub name: String,
    /// The position of the parenthesis.
    pub open: usize,
}

/// The tokens of one statement.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    pub sql: &'a [u8],
    pub pieces: &'a [Piece],
}

/// The parentheses of a text, each with its other one: for who asks at many places, where looking ahead from each would
/// take the square of the text's length.
pub struct Pairs(Vec<usize>);

impl Pairs {
    pub fn of(text: Text<'_>) -> Self {
        let mut pairs = vec![usize::MAX; text.pieces.len()];
        let mut open = Vec::new();
        for at in 0..text.pieces.len() {
            if text.punct(at, b'(') {
                open.push(at);
            } else if text.punct(at, b')')
                && let Some(opened) = open.pop()
            {
                (pairs[opened], pairs[at]) = (at, opened);
            }
        }
        Self(pairs)
    }

    /// As [`closing`](super::ddl::closing).
    pub fn closing(&self, open: usize) -> usize {
        self.0.get(open).copied().filter(|close| *close != usize::MAX).unwrap_or(self.0.len())
    }

    pub fn opening(&self, close: usize) -> Option<usize> {
        self.0.get(close).copied().filter(|open| *open != usize::MAX)
    }
}

impl<'a> Text<'a> {
    pub fn kind(&self, position: usize) -> Option<TokenKind> {
        self.pieces.get(position).map(|piece| piece.token.kind)
    }

    pub fn bytes(&self, position: usize) -> &'a [u8] {
        self.pieces.get(position).and_then(|piece| self.sql.get(piece.token.span.clone())).unwrap_or_default()
    }

    /// The value of a string at this position; `None` for anything else, and where it isn't known.
    pub fn literal(&self, position: usize) -> Option<std::borrow::Cow<'a, str>> {
        let Some(TokenKind::Literal(kind)) = self.kind(position) else { return None };
        let span = self.pieces.get(position)?.token.span.clone();
        literal_text(self.sql, &Literal { span, kind })
    }

    /// If the token is this keyword.
    pub fn is(&self, position: usize, keyword: &str) -> bool {
        self.kind(position) == Some(TokenKind::Word) && self.bytes(position).eq_ignore_ascii_case(keyword.as_bytes())
    }

    pub fn is_any(&self, position: usize, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(position, keyword))
    }

    pub fn punct(&self, position: usize, byte: u8) -> bool {
        self.kind(position) == Some(TokenKind::Punct(byte))
    }

    /// The token as a name, if it is one.
    pub fn name(&self, position: usize) -> Option<String> {
        match self.kind(position)? {
            TokenKind::Word | TokenKind::QuotedIdent | TokenKind::UnicodeIdent => {
                Some(fold_identifier(self.bytes(position)))
            }
            _ => None,
        }
    }

    /// If a keyword is among the tokens.
    pub fn has(&self, keyword: &str) -> bool {
        (0..self.pieces.len()).any(|at| self.is(at, keyword))
    }

    pub fn from(&self, start: usize) -> Self {
        Self { sql: self.sql, pieces: self.pieces.get(start..).unwrap_or_default() }
    }

    pub fn range(&self, range: std::ops::Range<usize>) -> Self {
        Self { sql: self.sql, pieces: self.pieces.get(range).unwrap_or_default() }
    }

    /// ONLY before a table, not at the end of FETCH FIRST.
    pub fn has_only(&self) -> bool {
        (1..self.pieces.len()).any(|at| self.is(at, "only") && !self.is_any(at - 1, &["row", "rows"]))
    }

    /// Everything that looks like a call of a function.
    pub fn calls(&self) -> Vec<Called> {
        (1..self.pieces.len()).filter(|open| self.punct(*open, b'(')).filter_map(|open| self.called(open)).collect()
    }

    fn called(&self, open: usize) -> Option<Called> {
        let at = open.checked_sub(1)?;
        let name = self.name(at)?;
        if self.kind(at) == Some(TokenKind::Word) && SYNTAX.contains(&name.as_str()) {
            return None;
        }
        // FETCH FIRST (n) ROWS.
        if matches!(name.as_str(), "first" | "next") && at.checked_sub(1).is_some_and(|before| self.is(before, "fetch"))
        {
            return None;
        }
        let qualified = at >= 2 && self.punct(at - 1, b'.');
        let schema = if qualified { self.name(at - 2) } else { None };
        let before = if qualified { at.checked_sub(3) } else { at.checked_sub(1) };
        // A table with its columns, or an alias with its own.
        let is_table = before.is_some_and(|before| {
            self.is_any(before, &["into", "as", "table", "references", "index", "copy", "analyze", "with", "recursive"])
                || self.punct(before, b')')
        });
        (!is_table).then_some(Called { schema, name, open })
    }
}
