//! Numbers that are more than digits (documentation section 4.1.2.6).

use super::LiteralKind;
use super::classes::{DIGIT, IDENT, has, run};
use super::tokens::TokenKind;

/// If digits that end there may be part of a longer number.
#[inline(always)]
pub(super) fn number_goes_on(sql: &[u8], end: usize) -> bool {
    sql.get(end).is_some_and(|&byte| byte == b'.' || (has(byte, IDENT) && byte != b'$'))
}

/// The kind and the end of the number that begins at `start` with a digit, or with a point before one.
pub(super) fn long_number(sql: &[u8], start: usize) -> (TokenKind, usize) {
    if let Some(end) = radix_number(sql, start) {
        return (TokenKind::Literal(LiteralKind::Decimal), end);
    }
    let mut decimal = false;
    let mut end = digits(sql, start, &mut decimal);
    // `1..2` is a range of integers.
    if sql.get(end) == Some(&b'.') && sql.get(end + 1) != Some(&b'.') {
        decimal = true;
        end = digits(sql, end + 1, &mut decimal);
    }
    if let Some(b'e' | b'E') = sql.get(end) {
        let sign = usize::from(matches!(sql.get(end + 1), Some(b'+' | b'-')));
        let exponent = end + 1 + sign;
        if sql.get(exponent).is_some_and(|&byte| has(byte, DIGIT)) {
            decimal = true;
            end = digits(sql, exponent, &mut decimal);
        }
    }
    let kind = if decimal { LiteralKind::Decimal } else { LiteralKind::Integer };
    (TokenKind::Literal(kind), end)
}

/// Digits with single underscores between them; `decimal` is set when there are underscores.
fn digits(sql: &[u8], at: usize, decimal: &mut bool) -> usize {
    let mut end = run(sql, at, DIGIT);
    while end > at && sql.get(end) == Some(&b'_') && sql.get(end + 1).is_some_and(|&byte| has(byte, DIGIT)) {
        *decimal = true;
        end = run(sql, end + 1, DIGIT);
    }
    end
}

/// The end of a hexadecimal, octal or binary integer (version 16), when that is what begins here.
fn radix_number(sql: &[u8], start: usize) -> Option<usize> {
    let is_digit: fn(u8) -> bool = match (sql.get(start)?, sql.get(start + 1)?) {
        (b'0', b'x' | b'X') => |byte| byte.is_ascii_hexdigit(),
        (b'0', b'o' | b'O') => |byte| matches!(byte, b'0'..=b'7'),
        (b'0', b'b' | b'B') => |byte| matches!(byte, b'0' | b'1'),
        _ => return None,
    };
    let mut at = start + 2;
    loop {
        let digit = at + usize::from(sql.get(at) == Some(&b'_'));
        match sql.get(digit) {
            Some(&byte) if is_digit(byte) => at = digit + 1,
            _ => break,
        }
    }
    let junk = sql.get(at).is_some_and(|&byte| has(byte, IDENT) && byte != b'$');
    (at > start + 2 && !junk).then_some(at)
}
