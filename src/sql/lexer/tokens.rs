//! Tokens, and an iterator over them for those who need more than a fingerprint.

use std::ops::Range;

use super::scan::Scanner;
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
    scanner: Scanner<'a>,
    ended: bool,
}

impl<'a> Tokens<'a> {
    pub fn new(sql: &'a [u8], options: &LexOptions) -> Self {
        Self {
            scanner: Scanner::new(sql, options.standard_conforming_strings),
            ended: false,
        }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if self.ended {
            return None;
        }
        let token = self.scanner.next().ok().flatten();
        self.ended = token.is_none();
        token
    }
}
