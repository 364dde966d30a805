//! PostgreSQL's lexical rules (documentation section 4.1, as in scan.l of versions 14 to 17). In:
//! bytes. Out: each token with its span, given to a [`Sink`], and the place of the last routing hint.
//!
//! Knows nothing of keywords. Where versions differ, the token that an older version rejects is read
//! as the newer ones do; junk that newer ones reject (`1abc`) is read as version 14 did, in two
//! tokens. Every byte of 0x80 and above is part of an identifier, so the text has to be in an encoding whose
//! multi-byte characters contain no ASCII bytes (UTF-8 does; Shift-JIS and GBK don't).

use std::ops::Range;

use super::classes::{BEGIN, Begin, DIGIT, IDENT, IDENT_START, OPERATOR, has, run};
use super::comments::{block_comment, hint, line_end};
use super::numbers::{long_number, number_goes_on};
use super::strings::{dollar_string, quoted, string};
use super::tokens::TokenKind;
use super::{LexError, LexOptions, LiteralKind};

/// What is made of the tokens.
pub(super) trait Sink {
    /// If the scan is to pause behind each token.
    const PAUSES: bool;

    fn token(&mut self, kind: TokenKind, span: Range<usize>);
}

/// How far a scan has come.
pub(super) struct Scan {
    at: usize,
    standard_conforming_strings: bool,
    /// Up to here operators are known to be single signs: keeps a long row of them from being read
    /// again for each.
    signs_until: usize,
    /// The body of the last `/* shardway: ... */` passed.
    pub(super) hint: Option<Range<usize>>,
}

impl Scan {
    pub(super) fn new(options: &LexOptions) -> Self {
        let standard_conforming_strings = options.standard_conforming_strings;
        Self { at: 0, standard_conforming_strings, signs_until: 0, hint: None }
    }

    /// Gives the next token to the sink, or all that follow if the sink doesn't pause. After an error
    /// it must not be called again.
    #[inline(always)]
    pub(super) fn run<S: Sink>(&mut self, sql: &[u8], sink: &mut S) -> Result<(), LexError> {
        // Kept out of `self` so that it stays in a register.
        let mut at = self.at;
        // What is frequent goes to the sink with a kind that is known where it stands, so that the
        // sink's own distinctions cost nothing; what is rare goes there together.
        macro_rules! emit {
            ($kind:expr, $end:expr) => {{
                let end = $end;
                sink.token($kind, at..end);
                at = after(sql, end);
                if S::PAUSES {
                    break;
                }
                continue;
            }};
        }
        while let Some(&byte) = sql.get(at) {
            let (kind, end) = match BEGIN[byte as usize] {
                Begin::Space => {
                    at += 1;
                    continue;
                }
                Begin::Word => {
                    let end = run(sql, at + 1, IDENT);
                    // A prefix counts only when it is the whole word and touches the quote.
                    if end == at + 1 && matches!(sql.get(end), Some(b'\'' | b'&')) {
                        self.prefixed(sql, at)?
                    } else {
                        emit!(TokenKind::Word, end)
                    }
                }
                Begin::DoubleQuote => emit!(TokenKind::QuotedIdent, quoted(sql, at, 1)?),
                Begin::Comma => emit!(TokenKind::Punct(b','), at + 1),
                Begin::Open => emit!(TokenKind::Punct(b'('), at + 1),
                Begin::Close => emit!(TokenKind::Punct(b')'), at + 1),
                Begin::Digit => {
                    let end = run(sql, at + 1, DIGIT);
                    if !number_goes_on(sql, end) {
                        emit!(TokenKind::Literal(LiteralKind::Integer), end)
                    }
                    let fraction_end = run(sql, end + 1, DIGIT);
                    if fraction_end > end + 1 && sql.get(end) == Some(&b'.') && !number_goes_on(sql, fraction_end) {
                        emit!(TokenKind::Literal(LiteralKind::Decimal), fraction_end)
                    }
                    long_number(sql, at)
                }
                Begin::Quote => {
                    let kind = self.plain_string_kind(LiteralKind::String);
                    emit!(TokenKind::Literal(kind), string(sql, at, 1, kind)?)
                }
                Begin::Dot => match sql.get(at + 1) {
                    Some(b'.') => (TokenKind::Operator, at + 2),
                    Some(&next) if has(next, DIGIT) => long_number(sql, at),
                    _ => emit!(TokenKind::Punct(b'.'), at + 1),
                },
                Begin::Operator => match (byte, sql.get(at + 1)) {
                    (b'-', Some(b'-')) => {
                        at = line_end(sql, at + 2).ok_or(LexError { at })?;
                        continue;
                    }
                    (b'/', Some(b'*')) => {
                        let end = block_comment(sql, at)?;
                        self.hint = hint(sql, at..end).or(self.hint.take());
                        at = end;
                        continue;
                    }
                    (_, Some(&next)) if has(next, OPERATOR) && at >= self.signs_until => {
                        (TokenKind::Operator, self.long_operator(sql, at))
                    }
                    _ => emit!(TokenKind::Operator, at + 1),
                },
                Begin::Colon => match sql.get(at + 1) {
                    Some(b':' | b'=') => (TokenKind::Operator, at + 2),
                    _ => (TokenKind::Punct(b':'), at + 1),
                },
                Begin::Dollar => dollar(sql, at)?,
                Begin::Nul => return Err(LexError { at }),
                Begin::Other => (TokenKind::Punct(byte), at + 1),
            };
            emit!(kind, end)
        }
        self.at = at;
        Ok(())
    }

    fn plain_string_kind(&self, standard: LiteralKind) -> LiteralKind {
        if self.standard_conforming_strings { standard } else { LiteralKind::EscapeString }
    }

    /// A word of one byte with a quote or an ampersand behind it.
    fn prefixed(&self, sql: &[u8], at: usize) -> Result<(TokenKind, usize), LexError> {
        let literal = |open, kind| Ok((TokenKind::Literal(kind), string(sql, at, open, kind)?));
        let prefix = sql.get(at).map(u8::to_ascii_lowercase);
        match (prefix, sql.get(at + 1), sql.get(at + 2)) {
            (Some(b'e'), Some(b'\''), _) => literal(2, LiteralKind::EscapeString),
            (Some(b'b' | b'x'), Some(b'\''), _) => literal(2, LiteralKind::BitString),
            (Some(b'n'), Some(b'\''), _) => literal(2, self.plain_string_kind(LiteralKind::NationalString)),
            (Some(b'u'), Some(b'&'), Some(b'\'')) => literal(3, LiteralKind::UnicodeString),
            (Some(b'u'), Some(b'&'), Some(b'"')) => Ok((TokenKind::UnicodeIdent, quoted(sql, at, 3)?)),
            _ => Ok((TokenKind::Word, at + 1)),
        }
    }

    /// The end of an operator of several bytes.
    fn long_operator(&mut self, sql: &[u8], at: usize) -> usize {
        let mut end = at + 1;
        while let Some(&byte) = sql.get(end) {
            let comment = matches!((byte, sql.get(end + 1)), (b'-', Some(b'-')) | (b'/', Some(b'*')));
            if comment || !has(byte, OPERATOR) {
                break;
            }
            end += 1;
        }
        // A trailing + or - belongs to the operator only if it has a character that standard SQL
        // doesn't use, so that `a=-1` needs no space.
        let all = sql.get(at..end).unwrap_or_default();
        let unusual = |byte: &u8| matches!(byte, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%');
        if !all.iter().any(unusual) {
            self.signs_until = end;
            while end > at + 1 && matches!(sql.get(end - 1), Some(b'+' | b'-')) {
                end -= 1;
            }
        }
        end
    }
}

/// Behind the blank that usually follows a token.
#[inline(always)]
fn after(sql: &[u8], end: usize) -> usize {
    end + usize::from(sql.get(end) == Some(&b' '))
}

/// A parameter, a dollar-quoted string, or a dollar that means nothing.
fn dollar(sql: &[u8], at: usize) -> Result<(TokenKind, usize), LexError> {
    let string = |open| Ok((TokenKind::Literal(LiteralKind::DollarString), dollar_string(sql, at, open)?));
    match sql.get(at + 1) {
        Some(&next) if has(next, DIGIT) => {
            let end = run(sql, at + 1, DIGIT);
            // No client can bind more than 65,535 parameters, and PostgreSQL lets larger numbers wrap.
            let number = sql.get(at + 1..end).and_then(|digits| std::str::from_utf8(digits).ok());
            match number.and_then(|digits| digits.parse().ok()) {
                Some(number) => Ok((TokenKind::Parameter(number), end)),
                None => Err(LexError { at }),
            }
        }
        Some(b'$') => string(at + 2),
        Some(&next) if has(next, IDENT_START) => {
            let mut end = at + 2;
            while sql.get(end).is_some_and(|&byte| byte != b'$' && has(byte, IDENT)) {
                end += 1;
            }
            match sql.get(end) {
                Some(b'$') => string(end + 1),
                _ => Ok((TokenKind::Punct(b'$'), at + 1)),
            }
        }
        _ => Ok((TokenKind::Punct(b'$'), at + 1)),
    }
}
