//! Where one statement ends and how deep it nests. In: tokens, one by one. Out: spans of statements.
//!
//! A semicolon divides unless it is inside parentheses (CREATE RULE) or inside the BEGIN ATOMIC ...
//! END of a CREATE FUNCTION or PROCEDURE.

use std::ops::Range;

use super::tokens::TokenKind;

/// How much of `CREATE [OR REPLACE] FUNCTION` has been seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    Start,
    Create,
    CreateOr,
    Replace,
    Routine,
    /// Any other statement: semicolons divide.
    Plain,
}

/// What came before the token at hand, where it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Begin,
    /// ATOMIC, or a semicolon inside the body: only here can END close the body.
    Boundary,
    Anything,
}

pub(super) struct Splitter {
    /// First and last byte of the statement under way.
    span: Option<Range<usize>>,
    head: Head,
    before: Before,
    /// Bodies of BEGIN ATOMIC that are open.
    atomic: usize,
    parentheses: usize,
    cases: usize,
    deepest: usize,
    /// Set while the token at hand is the first of its statement.
    first: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            span: None,
            head: Head::Start,
            before: Before::Anything,
            atomic: 0,
            parentheses: 0,
            cases: 0,
            deepest: 0,
            first: false,
        }
    }
}

impl Splitter {
    /// Takes note of a token; true if it is a semicolon that ends a statement.
    #[inline(always)]
    pub(super) fn divides(
        &mut self,
        sql: &[u8],
        kind: TokenKind,
        span: &Range<usize>,
        statements: &mut Vec<Range<usize>>,
    ) -> bool {
        match kind {
            TokenKind::Punct(b'(' | b'[') => {
                self.parentheses += 1;
                self.note_depth();
            }
            TokenKind::Punct(b')' | b']') => self.parentheses = self.parentheses.saturating_sub(1),
            TokenKind::Punct(b';') if self.parentheses == 0 && self.atomic == 0 => {
                self.finish(statements);
                return true;
            }
            TokenKind::Word => self.word(sql, span),
            _ => {}
        }
        if self.head != Head::Plain {
            self.follow(sql, kind, span);
        }
        self.first = self.span.is_none();
        match &mut self.span {
            Some(statement) => statement.end = span.end,
            None => self.span = Some(span.clone()),
        }
        false
    }

    /// True if the token just noted begins a statement that isn't the first.
    #[inline(always)]
    pub(super) fn starts_another(&self, statements: &[Range<usize>]) -> bool {
        self.first && !statements.is_empty()
    }

    pub(super) fn finish(&mut self, statements: &mut Vec<Range<usize>>) {
        statements.extend(self.span.take());
        *self = Self {
            deepest: self.deepest,
            ..Self::default()
        };
    }

    pub(super) fn deepest(&self) -> usize {
        self.deepest
    }

    #[inline(always)]
    fn note_depth(&mut self) {
        self.deepest = self.deepest.max(self.parentheses + self.cases);
    }

    #[inline(always)]
    fn word(&mut self, sql: &[u8], span: &Range<usize>) {
        let length = span.end - span.start;
        if length == 4 && is(sql, span, b"case") {
            self.cases += 1;
            self.note_depth();
        } else if length == 3 && is(sql, span, b"end") {
            self.cases = self.cases.saturating_sub(1);
        }
    }

    #[cold]
    fn follow(&mut self, sql: &[u8], kind: TokenKind, span: &Range<usize>) {
        if self.head == Head::Routine {
            self.follow_body(sql, kind, span);
            return;
        }
        let word = |name| kind == TokenKind::Word && is(sql, span, name);
        self.head = match self.head {
            Head::Start if word(b"create") => Head::Create,
            Head::Create if word(b"or") => Head::CreateOr,
            Head::CreateOr if word(b"replace") => Head::Replace,
            Head::Create | Head::Replace if word(b"function") || word(b"procedure") => {
                Head::Routine
            }
            _ => Head::Plain,
        };
    }

    fn follow_body(&mut self, sql: &[u8], kind: TokenKind, span: &Range<usize>) {
        let word = |name| kind == TokenKind::Word && is(sql, span, name);
        let before = std::mem::replace(&mut self.before, Before::Anything);
        if self.parentheses > 0 {
            return;
        }
        if word(b"begin") {
            self.before = Before::Begin;
        } else if before == Before::Begin && word(b"atomic") {
            self.atomic += 1;
            self.before = Before::Boundary;
        } else if kind == TokenKind::Punct(b';') {
            self.before = Before::Boundary;
        } else if before == Before::Boundary && self.atomic > 0 && word(b"end") {
            self.atomic -= 1;
        }
    }
}

fn is(sql: &[u8], span: &Range<usize>, word: &[u8]) -> bool {
    sql.get(span.clone())
        .is_some_and(|bytes| bytes.eq_ignore_ascii_case(word))
}
