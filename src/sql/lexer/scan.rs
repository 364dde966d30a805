//! PostgreSQL's lexical rules (documentation section 4.1, as in scan.l of versions 14 to 17). In:
//! bytes. Out: one token at a time with its span, and the place of the last routing hint.
//!
//! Knows nothing of keywords. Where versions differ, the token that an older version rejects is read
//! as the newer ones do; junk that newer ones reject (`1abc`) is read as version 14 did, in two
//! tokens. Every byte of 0x80 and above is part of an identifier, so the text has to be in an encoding whose
//! multi-byte characters contain no ASCII bytes (UTF-8 does; Shift-JIS and GBK don't).

use std::ops::Range;

use super::classes::{
    BEGIN, Begin, DIGIT, IDENT, IDENT_START, OPERATOR, SPACE, STRING_STOP, has, run,
};
use super::tokens::{Token, TokenKind};
use super::{LexError, LiteralKind};

/// Reads tokens one by one. After an error it must not be asked again.
pub(super) struct Scanner<'a> {
    pub(super) sql: &'a [u8],
    pub(super) at: usize,
    standard_conforming_strings: bool,
    /// Up to here operators are known to be single signs: keeps a long row of them from being read
    /// again for each.
    signs_until: usize,
    /// The body of the last `/* shardway: ... */` passed.
    pub(super) hint: Option<Range<usize>>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(sql: &'a [u8], standard_conforming_strings: bool) -> Self {
        Self {
            sql,
            at: 0,
            standard_conforming_strings,
            signs_until: 0,
            hint: None,
        }
    }

    #[inline(always)]
    pub(super) fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.get(self.at + ahead).copied()
    }

    #[inline(always)]
    pub(super) fn token(&mut self, kind: TokenKind, end: usize) -> Result<Option<Token>, LexError> {
        let span = self.at..end;
        self.at = end;
        Ok(Some(Token { kind, span }))
    }

    /// The next token; `None` at the end.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<Token>, LexError> {
        loop {
            let Some(byte) = self.peek(0) else {
                return Ok(None);
            };
            match BEGIN[byte as usize] {
                Begin::Space => self.at += 1,
                Begin::Word => return self.word(byte),
                Begin::Digit => return self.number(),
                Begin::Quote => {
                    let kind = self.plain_string_kind(LiteralKind::String);
                    return self.string(1, kind);
                }
                Begin::DoubleQuote => return self.quoted(1, TokenKind::QuotedIdent),
                Begin::Dollar => return self.dollar(),
                Begin::Operator => match (byte, self.peek(1)) {
                    (b'-', Some(b'-')) => self.line_comment()?,
                    (b'/', Some(b'*')) => self.block_comment()?,
                    _ => return self.operator(),
                },
                Begin::Dot => match self.peek(1) {
                    Some(b'.') => return self.token(TokenKind::Operator, self.at + 2),
                    Some(next) if has(next, DIGIT) => return self.number(),
                    _ => return self.token(TokenKind::Punct(byte), self.at + 1),
                },
                Begin::Colon => match self.peek(1) {
                    Some(b':' | b'=') => return self.token(TokenKind::Operator, self.at + 2),
                    _ => return self.token(TokenKind::Punct(byte), self.at + 1),
                },
                Begin::Nul => return Err(LexError { at: self.at }),
                Begin::Other => return self.token(TokenKind::Punct(byte), self.at + 1),
            }
        }
    }

    #[inline(always)]
    fn word(&mut self, first: u8) -> Result<Option<Token>, LexError> {
        let end = run(self.sql, self.at + 1, IDENT);
        // A prefix counts only when it is the whole word and touches the quote.
        if end == self.at + 1 && matches!(self.sql.get(end), Some(b'\'' | b'&')) {
            return self.prefixed(first, end);
        }
        self.token(TokenKind::Word, end)
    }

    fn prefixed(&mut self, first: u8, end: usize) -> Result<Option<Token>, LexError> {
        match (first.to_ascii_lowercase(), self.peek(1), self.peek(2)) {
            (b'e', Some(b'\''), _) => self.string(2, LiteralKind::EscapeString),
            (b'b' | b'x', Some(b'\''), _) => self.string(2, LiteralKind::BitString),
            (b'n', Some(b'\''), _) => {
                let kind = self.plain_string_kind(LiteralKind::NationalString);
                self.string(2, kind)
            }
            (b'u', Some(b'&'), Some(b'\'')) => self.string(3, LiteralKind::UnicodeString),
            (b'u', Some(b'&'), Some(b'"')) => self.quoted(3, TokenKind::UnicodeIdent),
            _ => self.token(TokenKind::Word, end),
        }
    }

    fn plain_string_kind(&self, standard: LiteralKind) -> LiteralKind {
        if self.standard_conforming_strings {
            standard
        } else {
            LiteralKind::EscapeString
        }
    }

    /// A string whose opening quote ends `open` bytes from here.
    #[inline(always)]
    fn string(&mut self, open: usize, kind: LiteralKind) -> Result<Option<Token>, LexError> {
        let escapes = kind == LiteralKind::EscapeString;
        let mut at = self.at + open;
        loop {
            let Some(&byte) = self.sql.get(at) else {
                return Err(LexError { at: self.at });
            };
            if !has(byte, STRING_STOP) {
                at += 1;
                continue;
            }
            match byte {
                b'\'' if self.sql.get(at + 1) == Some(&b'\'') => at += 2,
                b'\'' => match continuation(self.sql, at + 1) {
                    Some(next) => at = next,
                    None => return self.token(TokenKind::Literal(kind), at + 1),
                },
                // The byte after a backslash can't end the string, but it may be a NUL.
                b'\\' if escapes && self.sql.get(at + 1) != Some(&0) => at += 2,
                0 => return Err(LexError { at }),
                _ => at += 1,
            }
        }
    }

    /// A quoted identifier whose opening quote ends `open` bytes from here.
    #[inline(always)]
    fn quoted(&mut self, open: usize, kind: TokenKind) -> Result<Option<Token>, LexError> {
        let mut at = self.at + open;
        loop {
            match self.sql.get(at) {
                Some(b'"') if self.sql.get(at + 1) == Some(&b'"') => at += 2,
                Some(b'"') => return self.token(kind, at + 1),
                Some(0) => return Err(LexError { at }),
                Some(_) => at += 1,
                None => return Err(LexError { at: self.at }),
            }
        }
    }

    fn dollar(&mut self) -> Result<Option<Token>, LexError> {
        match self.peek(1) {
            Some(next) if has(next, DIGIT) => {
                let end = run(self.sql, self.at + 1, DIGIT);
                // No client can bind more than 65,535 parameters, and PostgreSQL lets larger numbers wrap.
                let number = self
                    .sql
                    .get(self.at + 1..end)
                    .and_then(|digits| std::str::from_utf8(digits).ok());
                match number.and_then(|digits| digits.parse().ok()) {
                    Some(number) => self.token(TokenKind::Parameter(number), end),
                    None => Err(LexError { at: self.at }),
                }
            }
            Some(b'$') => self.dollar_string(self.at + 2),
            Some(next) if has(next, IDENT_START) => {
                let mut end = self.at + 2;
                while self
                    .sql
                    .get(end)
                    .is_some_and(|&byte| byte != b'$' && has(byte, IDENT))
                {
                    end += 1;
                }
                match self.sql.get(end) {
                    Some(b'$') => self.dollar_string(end + 1),
                    _ => self.token(TokenKind::Punct(b'$'), self.at + 1),
                }
            }
            _ => self.token(TokenKind::Punct(b'$'), self.at + 1),
        }
    }

    /// `$tag$...$tag$`; `open` is behind the opening tag. Any occurrence of the tag ends it, also one
    /// whose first `$` could be the last of another tag.
    fn dollar_string(&mut self, open: usize) -> Result<Option<Token>, LexError> {
        let tag = self.sql.get(self.at..open).unwrap_or_default();
        let mut at = open;
        loop {
            match self.sql.get(at) {
                Some(b'$') if self.sql.get(at..at + tag.len()) == Some(tag) => {
                    return self.token(
                        TokenKind::Literal(LiteralKind::DollarString),
                        at + tag.len(),
                    );
                }
                Some(0) => return Err(LexError { at }),
                Some(_) => at += 1,
                None => return Err(LexError { at: self.at }),
            }
        }
    }

    #[inline(always)]
    fn operator(&mut self) -> Result<Option<Token>, LexError> {
        match self.peek(1) {
            Some(next) if has(next, OPERATOR) && self.at >= self.signs_until => {
                self.long_operator()
            }
            _ => self.token(TokenKind::Operator, self.at + 1),
        }
    }

    fn long_operator(&mut self) -> Result<Option<Token>, LexError> {
        let mut end = self.at + 1;
        while let Some(&byte) = self.sql.get(end) {
            let comment = matches!(
                (byte, self.sql.get(end + 1)),
                (b'-', Some(b'-')) | (b'/', Some(b'*'))
            );
            if comment || !has(byte, OPERATOR) {
                break;
            }
            end += 1;
        }
        // A trailing + or - belongs to the operator only if it has a character that standard SQL
        // doesn't use, so that `a=-1` needs no space.
        let all = self.sql.get(self.at..end).unwrap_or_default();
        let unusual = |byte: &u8| {
            matches!(
                byte,
                b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%'
            )
        };
        if !all.iter().any(unusual) {
            self.signs_until = end;
            while end > self.at + 1 && matches!(self.sql.get(end - 1), Some(b'+' | b'-')) {
                end -= 1;
            }
        }
        self.token(TokenKind::Operator, end)
    }

    fn line_comment(&mut self) -> Result<(), LexError> {
        self.at = line_end(self.sql, self.at + 2).ok_or(LexError { at: self.at })?;
        Ok(())
    }

    fn block_comment(&mut self) -> Result<(), LexError> {
        let mut at = self.at + 2;
        let mut depth = 1;
        while depth > 0 {
            match (self.sql.get(at), self.sql.get(at + 1)) {
                (None, _) => return Err(LexError { at: self.at }),
                (Some(0), _) => return Err(LexError { at }),
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    at += 2;
                }
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    at += 2;
                }
                _ => at += 1,
            }
        }
        self.note_hint(self.at + 2, at - 2);
        self.at = at;
        Ok(())
    }

    fn note_hint(&mut self, start: usize, end: usize) {
        let body = self.sql.get(start..end).unwrap_or_default();
        if let Some(hint) = body.trim_ascii_start().strip_prefix(b"shardway:") {
            let start = end - hint.trim_ascii_start().len();
            self.hint = Some(start..start + hint.trim_ascii().len());
        }
    }
}

/// The end of the line that `at` is in; `None` if a NUL comes first.
fn line_end(sql: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match sql.get(at) {
            None | Some(b'\n' | b'\r') => return Some(at),
            Some(0) => return None,
            Some(_) => at += 1,
        }
    }
}

/// Strings that are separated by white space with a newline in it are one string (section 4.1.2.1).
/// In: the position behind a closing quote. Out: the position behind the next opening one.
#[inline(always)]
pub(super) fn continuation(sql: &[u8], at: usize) -> Option<usize> {
    match sql.get(at) {
        Some(&byte) if has(byte, SPACE) || byte == b'-' => continuation_far(sql, at),
        _ => None,
    }
}

fn continuation_far(sql: &[u8], mut at: usize) -> Option<usize> {
    let mut newline = false;
    loop {
        match sql.get(at)? {
            b'\n' | b'\r' => {
                newline = true;
                at += 1;
            }
            b'-' if sql.get(at + 1) == Some(&b'-') => at = line_end(sql, at + 2)?,
            b'\'' => return newline.then_some(at + 1),
            &byte if has(byte, SPACE) => at += 1,
            _ => return None,
        }
    }
}
