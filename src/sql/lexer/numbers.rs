//! Numbers (documentation section 4.1.2.6).

use super::classes::{DIGIT, IDENT, has, run};
use super::scan::Scanner;
use super::tokens::{Token, TokenKind};
use super::{LexError, LiteralKind};

impl Scanner<'_> {
    /// Begins with a digit, or with a point before a digit.
    #[inline(always)]
    pub(super) fn number(&mut self) -> Result<Option<Token>, LexError> {
        let end = run(self.sql, self.at, DIGIT);
        match self.sql.get(end) {
            Some(b'.' | b'_' | b'a'..=b'z' | b'A'..=b'Z') => self.long_number(),
            _ => self.token(TokenKind::Literal(LiteralKind::Integer), end),
        }
    }

    fn long_number(&mut self) -> Result<Option<Token>, LexError> {
        if let Some(end) = self.radix_number() {
            return self.token(TokenKind::Literal(LiteralKind::Decimal), end);
        }
        let mut decimal = false;
        let mut end = self.digits(self.at, &mut decimal);
        // `1..2` is a range of integers.
        if self.sql.get(end) == Some(&b'.') && self.sql.get(end + 1) != Some(&b'.') {
            decimal = true;
            end = self.digits(end + 1, &mut decimal);
        }
        if let Some(b'e' | b'E') = self.sql.get(end) {
            let sign = usize::from(matches!(self.sql.get(end + 1), Some(b'+' | b'-')));
            let exponent = end + 1 + sign;
            if self.sql.get(exponent).is_some_and(|&byte| has(byte, DIGIT)) {
                decimal = true;
                end = self.digits(exponent, &mut decimal);
            }
        }
        let kind = if decimal {
            LiteralKind::Decimal
        } else {
            LiteralKind::Integer
        };
        self.token(TokenKind::Literal(kind), end)
    }

    /// Digits with single underscores between them; `decimal` is set when there are underscores.
    fn digits(&self, at: usize, decimal: &mut bool) -> usize {
        let mut end = run(self.sql, at, DIGIT);
        while end > at
            && self.sql.get(end) == Some(&b'_')
            && self.sql.get(end + 1).is_some_and(|&byte| has(byte, DIGIT))
        {
            *decimal = true;
            end = run(self.sql, end + 1, DIGIT);
        }
        end
    }

    /// The end of a hexadecimal, octal or binary integer (version 16), when that is what begins here.
    fn radix_number(&self) -> Option<usize> {
        let is_digit: fn(u8) -> bool = match (self.peek(0)?, self.peek(1)?) {
            (b'0', b'x' | b'X') => |byte| byte.is_ascii_hexdigit(),
            (b'0', b'o' | b'O') => |byte| matches!(byte, b'0'..=b'7'),
            (b'0', b'b' | b'B') => |byte| matches!(byte, b'0' | b'1'),
            _ => return None,
        };
        let mut at = self.at + 2;
        loop {
            let digit = at + usize::from(self.sql.get(at) == Some(&b'_'));
            match self.sql.get(digit) {
                Some(&byte) if is_digit(byte) => at = digit + 1,
                _ => break,
            }
        }
        let junk = self
            .sql
            .get(at)
            .is_some_and(|&byte| has(byte, IDENT) && byte != b'$');
        (at > self.at + 2 && !junk).then_some(at)
    }
}
