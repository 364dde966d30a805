//! The values of string literals and identifiers (documentation sections 4.1.1 and 4.1.2). In: the
//! bytes of one token, found by `scan`. Out: text, or `None` where PostgreSQL would reject it.

use std::borrow::Cow;

use super::strings::continuation;
use super::{LexOptions, Literal, LiteralKind, TokenKind, Tokens};

/// PostgreSQL keeps this many bytes of an identifier (NAMEDATALEN - 1).
const IDENTIFIER_BYTES_MAX: usize = 63;

/// The value of a string literal. `None` for numbers and bit strings, for escapes and bytes that
/// aren't valid UTF-8, for `\v` (its meaning differs between versions), and for `U&'...'` with an
/// escape character of its own (`UESCAPE`).
///
/// The value of a [`LiteralKind::NationalString`] has the type bpchar: the caller minds its trailing blanks.
pub fn literal_text<'a>(sql: &'a [u8], literal: &Literal) -> Option<Cow<'a, str>> {
    let bytes = sql.get(literal.span.clone())?;
    match literal.kind {
        LiteralKind::Integer | LiteralKind::Decimal | LiteralKind::BitString => None,
        LiteralKind::DollarString => {
            let tag = 2 + bytes.get(1..)?.iter().position(|&byte| byte == b'$')?;
            let body = bytes.get(tag..bytes.len().checked_sub(tag)?)?;
            std::str::from_utf8(body).ok().map(Cow::Borrowed)
        }
        LiteralKind::String => quoted_text(bytes, false),
        LiteralKind::NationalString => quoted_text(bytes.get(1..)?, false),
        // The prefix is E, N or none.
        LiteralKind::EscapeString if bytes.first() == Some(&b'\'') => quoted_text(bytes, true),
        LiteralKind::EscapeString => quoted_text(bytes.get(1..)?, true),
        LiteralKind::UnicodeString if followed_by_uescape(sql.get(literal.span.end..)?) => None,
        LiteralKind::UnicodeString => unicode_text(quoted_text(bytes.get(2..)?, false)?),
    }
}

/// The value of `'...'`, which may be continued on other lines.
fn quoted_text(bytes: &[u8], escapes: bool) -> Option<Cow<'_, str>> {
    let inner = bytes.strip_prefix(b"'")?.strip_suffix(b"'")?;
    if !inner.iter().any(|byte| matches!(byte, b'\'' | b'\\')) {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    let mut value = Vec::with_capacity(inner.len());
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => {
                value.push(b'\'');
                at += 2;
            }
            b'\'' => match continuation(bytes, at + 1) {
                Some(next) => at = next,
                None => break,
            },
            b'\\' if escapes => at = escape(bytes, at + 1, &mut value)?,
            byte => {
                value.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(value).ok().map(Cow::Owned)
}

/// One escape; `at` is behind its backslash. Gives the position behind it.
fn escape(bytes: &[u8], at: usize, value: &mut Vec<u8>) -> Option<usize> {
    let (byte, end) = match *bytes.get(at)? {
        b'b' => (0x08, at + 1),
        b'f' => (0x0c, at + 1),
        b'n' => (b'\n', at + 1),
        b'r' => (b'\r', at + 1),
        b't' => (b'\t', at + 1),
        b'v' => return None,
        b'0'..=b'7' => {
            let (number, end) = digits(bytes, at, 8, 3);
            ((number & 0xff) as u8, end)
        }
        b'x' => match digits(bytes, at + 1, 16, 2) {
            (_, end) if end == at + 1 => (b'x', end),
            (number, end) => ((number & 0xff) as u8, end),
        },
        b'u' | b'U' => return unicode_escape(bytes, at, value),
        other => (other, at + 1),
    };
    value.push(byte);
    (byte != 0).then_some(end)
}

/// Up to `most` digits of that radix, and the position behind them.
fn digits(bytes: &[u8], at: usize, radix: u32, most: usize) -> (u32, usize) {
    let mut number = 0;
    let mut end = at;
    while end < at + most {
        let Some(digit) = bytes.get(end).and_then(|&byte| char::from(byte).to_digit(radix)) else {
            break;
        };
        number = number * radix + digit;
        end += 1;
    }
    (number, end)
}

/// Exactly `count` hexadecimal digits.
fn hex(bytes: &[u8], at: usize, count: usize) -> Option<(u32, usize)> {
    let (number, end) = digits(bytes, at, 16, count);
    (end == at + count).then_some((number, end))
}

/// `uXXXX` or `UXXXXXXXX`, or two of them that are a surrogate pair; `at` is at the `u`.
fn unicode_escape(bytes: &[u8], at: usize, value: &mut Vec<u8>) -> Option<usize> {
    let one = |at: usize| match bytes.get(at)? {
        b'u' => hex(bytes, at + 1, 4),
        b'U' => hex(bytes, at + 1, 8),
        _ => None,
    };
    let (first, end) = one(at)?;
    let second = || {
        if bytes.get(end) == Some(&b'\\') { one(end + 1) } else { None }
    };
    let (character, end) = character(first, end, second)?;
    value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(end)
}

/// The character of a code, joined with the next one if it is the first of a surrogate pair.
fn character(first: u32, end: usize, second: impl Fn() -> Option<(u32, usize)>) -> Option<(char, usize)> {
    let (code, end) = match first {
        0xd800..=0xdbff => match second()? {
            (low @ 0xdc00..=0xdfff, end) => (0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00), end),
            _ => return None,
        },
        _ => (first, end),
    };
    Some((char::from_u32(code).filter(|&character| character != '\0')?, end))
}

/// Replaces `\XXXX`, `\+XXXXXX` and `\\`, as in `U&'...'` and `U&"..."`.
fn unicode_text(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if !text.contains('\\') {
        return Some(text);
    }
    let bytes = text.as_bytes();
    let one = |at: usize| match bytes.get(at)? {
        b'+' => hex(bytes, at + 1, 6),
        _ => hex(bytes, at, 4),
    };
    let mut value = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'\\' {
            value.push(byte);
            at += 1;
        } else if bytes.get(at + 1) == Some(&b'\\') {
            value.push(b'\\');
            at += 2;
        } else {
            let (first, end) = one(at + 1)?;
            let second = || {
                if bytes.get(end) == Some(&b'\\') { one(end + 1) } else { None }
            };
            let (character, end) = character(first, end, second)?;
            value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            at = end;
        }
    }
    String::from_utf8(value).ok().map(Cow::Owned)
}

/// If the next token is the word UESCAPE.
fn followed_by_uescape(rest: &[u8]) -> bool {
    // Either setting will do: a string here is not the word.
    let options = LexOptions { standard_conforming_strings: true };
    Tokens::new(rest, &options).next().is_some_and(|token| {
        token.kind == TokenKind::Word && rest.get(token.span).is_some_and(|word| word.eq_ignore_ascii_case(b"uescape"))
    })
}

/// The name of a [`TokenKind::UnicodeIdent`] without a `UESCAPE`; `None` where it can't be decoded.
pub fn unicode_identifier(token: &[u8]) -> Option<String> {
    let [b'u' | b'U', b'&', b'"', inner @ .., b'"'] = token else { return None };
    let inner = std::str::from_utf8(inner).ok()?.replace("\"\"", "\"");
    Some(unicode_text(Cow::Borrowed(&inner))?.into_owned()).filter(|name| !name.is_empty())
}

/// A name in quotes, as an identifier that says just it.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A [`TokenKind::Word`], [`TokenKind::QuotedIdent`] or [`TokenKind::UnicodeIdent`] as PostgreSQL knows it: ASCII letters
/// in lower case unless quoted, doubled quotes halved, cut to 63 bytes at a character's boundary.
///
/// What can't be decoded (an invalid escape in `U&"..."`) stays as it was written, which no
/// identifier in PostgreSQL can equal by accident: the server rejects the statement. A `UESCAPE` behind a
/// [`TokenKind::UnicodeIdent`] isn't seen here.
pub fn fold_identifier(token: &[u8]) -> String {
    let mut name = match token {
        [b'"', inner @ .., b'"'] => String::from_utf8_lossy(inner).replace("\"\"", "\""),
        [b'u' | b'U', b'&', b'"', inner @ .., b'"'] => {
            let inner = String::from_utf8_lossy(inner).replace("\"\"", "\"");
            match unicode_text(Cow::Borrowed(&inner)) {
                Some(name) => name.into_owned(),
                None => String::from_utf8_lossy(token).into_owned(),
            }
        }
        _ => String::from_utf8_lossy(token).to_ascii_lowercase(),
    };
    while name.len() > IDENTIFIER_BYTES_MAX {
        name.pop();
    }
    name
}
