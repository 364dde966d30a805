//! Tokens, and an iterator over them for those who need more than a fingerprint.

use std::ops::Range;

use super::scan::{Scan, Sink};
use super::{LexOptions, LiteralKind};

/// One token and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    pub kind: TokenKind,
    pub span: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenKind {
    /// A keyword or an unquoted identifier.
    Word,
    /// `"..."`; the span includes the quotes.
    QuotedIdent,
    /// `U&"..."`. A `UESCAPE` behind it is a token of its own.
    UnicodeIdent,
    Literal(LiteralKind),
    /// `$n`.
    Parameter(u16),
    /// One or more of `+-*/<>=~!@#%^&|?` and the backtick, as PostgreSQL divides them; and `::`, `:=`, `..`.
    Operator,
    /// `, ( ) [ ] . ; :` and any other single byte, which PostgreSQL's grammar rejects.
    Punct(u8),
}

/// The tokens of a text, for those who need more than a fingerprint.
///
/// Meant for texts that [`super::lex`] accepted: it ends at the first lexical error as if the text did.
pub struct Tokens<'a> {
    sql: &'a [u8],
    scan: Scan,
    ended: bool,
}

impl<'a> Tokens<'a> {
    pub fn new(sql: &'a [u8], options: &LexOptions) -> Self {
        Self { sql, scan: Scan::new(options), ended: false }
    }
}

/// Keeps the one token it was given.
struct Last(Option<Token>);

impl Sink for Last {
    const PAUSES: bool = true;

    #[inline(always)]
    fn token(&mut self, kind: TokenKind, span: Range<usize>) {
        self.0 = Some(Token { kind, span });
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let mut last = Last(None);
        if !self.ended {
            self.ended = self.scan.run(self.sql, &mut last).is_err() || last.0.is_none();
        }
        last.0
    }
}
