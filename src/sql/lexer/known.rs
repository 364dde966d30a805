//! A text that was lexed once, and whether another is the same but for the values of its literals. In: a text.
//! Out: what [`super::lex`] would make of it, without lexing: drivers send one statement after the other of the same
//! shape, and comparing the bytes between the literals costs a tenth of reading them.
//!
//! Only texts of one statement whose literals are all whole numbers or plain strings are known this way, without
//! routing hints; the others are lexed. When in doubt, a text isn't the same.

use std::ops::Range;

use super::classes::{DIGIT, IDENT, has, run};
use super::{Lexed, LiteralKind};

#[derive(Debug)]
pub struct Known {
    text: Box<[u8]>,
    /// Of the literals in `text`.
    spans: Box<[Range<usize>]>,
    /// The end of the statement in `text`.
    end: usize,
    /// With the places in the text that was compared last.
    lexed: Lexed,
}

impl Known {
    /// `lexed` is what [`super::lex`] made of `sql`; `None` where a comparison couldn't be trusted.
    pub fn new(sql: &[u8], lexed: &Lexed) -> Option<Self> {
        let [statement] = &*lexed.statements else { return None };
        if lexed.hint.is_some() {
            return None;
        }
        let mut spans = Vec::with_capacity(lexed.literals.len());
        for literal in &lexed.literals {
            let end = literal_end(sql, literal.span.start, literal.kind)?;
            if end != literal.span.end {
                return None;
            }
            spans.push(literal.span.clone());
        }
        Some(Self { text: sql.into(), spans: spans.into(), end: statement.end, lexed: lexed.clone() })
    }

    /// If `sql` has the same tokens but for its literals' values; [`Self::lexed`] is then that text's.
    pub fn fits(&mut self, sql: &[u8]) -> bool {
        let (mut here, mut there) = (0, 0);
        for (span, literal) in self.spans.iter().zip(&mut self.lexed.literals) {
            let between = self.text.get(here..span.start).unwrap_or_default();
            let start = there + between.len();
            if sql.get(there..start) != Some(between) {
                return false;
            }
            let Some(end) = literal_end(sql, start, literal.kind) else { return false };
            literal.span = start..end;
            (here, there) = (span.end, end);
        }
        if sql.get(there..) != self.text.get(here..) {
            return false;
        }
        if let Some(statement) = self.lexed.statements.first_mut() {
            statement.end = self.end - here + there;
        }
        true
    }

    pub fn lexed(&self) -> &Lexed {
        &self.lexed
    }
}

/// The end of the literal that begins there, if its end doesn't depend on more than the byte behind it.
#[inline]
fn literal_end(sql: &[u8], start: usize, kind: LiteralKind) -> Option<usize> {
    match kind {
        LiteralKind::Integer => {
            let end = run(sql, start, DIGIT);
            let goes_on = sql.get(end).is_some_and(|&next| next == b'.' || has(next, IDENT));
            (end > start && !goes_on).then_some(end)
        }
        LiteralKind::String => {
            let inside = sql.get(start + 1..).filter(|_| sql.get(start) == Some(&b'\''))?;
            let length = inside.iter().position(|&byte| byte == b'\'' || byte == 0)?;
            let end = start + 1 + length + 1;
            (inside.get(length) == Some(&b'\'') && sql.get(end) != Some(&b'\'')).then_some(end)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{LexOptions, lex};
    use super::*;

    const OPTIONS: LexOptions = LexOptions { standard_conforming_strings: true };

    fn lexed(sql: &str) -> Option<Lexed> {
        let mut lexed = Lexed::default();
        lex(sql.as_bytes(), &OPTIONS, &mut lexed).ok().map(|()| lexed)
    }

    fn fits(one: &str, other: &str) -> bool {
        let Some(mut known) = Known::new(one.as_bytes(), &lexed(one).expect("lexes")) else { return false };
        let fits = known.fits(other.as_bytes());
        if fits {
            let expected = lexed(other).expect("fits a text that lexes");
            assert_eq!(format!("{:?}", known.lexed()), format!("{expected:?}"), "{one} / {other}");
        }
        fits
    }

    #[test]
    fn other_values_fit_and_other_tokens_do_not() {
        assert!(fits("SELECT a FROM t WHERE id = 7;", "SELECT a FROM t WHERE id = 1234567;"));
        assert!(fits("INSERT INTO t VALUES (1, 'x')  ", "INSERT INTO t VALUES (22, 'a;b -- c')  "));
        assert!(fits("select 1", "select 2"));
        for other in [
            "SELECT 1e5",
            "SELECT 1.5",
            "SELECT 0x1F",
            "SELECT 1_000",
            "SELECT 1 ",
            "SELECT -1",
            "SELECT '1'",
            "SELECT 1a",
            "SELECT 1.",
            "SELECT",
            "SELECT $1",
            "SELECT 1$",
            "SELECT 1;SELECT 2",
            "SELECT 1--",
            "",
        ] {
            assert!(!fits("SELECT 1", other), "{other}");
        }
        for other in ["SELECT 'it''s'", "SELECT E'x'", "SELECT 'x", "SELECT 'x''", "SELECT 'x'\n'y'", "SELECT U&'x'"] {
            assert!(!fits("SELECT 'x'", other), "{other}");
        }
        assert!(!fits("SELECT 'it''s'", "SELECT 'it''s'"));
        assert!(!fits("SELECT 'x'\n'y'", "SELECT 'x'\n'y'"));
        assert!(!fits("SELECT 1 /* shardway: key=1 */", "SELECT 2 /* shardway: key=1 */"));
    }

    fn piece() -> impl Strategy<Value = String> {
        const FIXED: &[&str] = &[
            "select ", "a", "=", "-", "--", "\n", "/*", "*/", "'", "''", "E", "$", ".", "..", "1", "0", "0x", "_", ";",
            "(", ")", "\"", "$$", " ", ",", "e5", "::", "\0",
        ];
        prop_oneof![prop::sample::select(FIXED).prop_map(str::to_owned), "[0-9]{1,3}", "'[a-z0-9 ]{0,3}'"]
    }

    proptest! {
        /// Whatever two texts look like: if one fits the other, it lexes to the same.
        #[test]
        fn what_fits_lexes_alike(pieces in prop::collection::vec((piece(), piece(), any::<bool>()), 0..10)) {
            let one: String = pieces.iter().map(|(one, _, _)| one.as_str()).collect();
            let other: String =
                pieces.iter().map(|(one, other, differs)| if *differs { other } else { one }.as_str()).collect();
            if let Some(first) = lexed(&one)
                && let Some(mut known) = Known::new(one.as_bytes(), &first)
            {
                prop_assert!(known.fits(one.as_bytes()));
                if known.fits(other.as_bytes()) {
                    let expected = lexed(&other);
                    prop_assert_eq!(format!("{:?}", Some(known.lexed())), format!("{:?}", expected.as_ref()));
                }
            }
        }
    }
}
