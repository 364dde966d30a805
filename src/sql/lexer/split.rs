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
    /// Where the statement under way began; `None` between statements.
    start: Option<usize>,
    head: Head,
    /// Set while a token may change `start` or `head`: most of the time it is not.
    attentive: bool,
    before: Before,
    /// Bodies of BEGIN ATOMIC that are open.
    atomic: usize,
    parentheses: usize,
    cases: usize,
    deepest: usize,
    /// The end of the last token.
    end: usize,
}

/// What a token is to the statements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Inside,
    /// The first of a statement that isn't the first.
    First,
    /// A semicolon that ends a statement.
    Divider,
}

impl Splitter {
    pub(super) fn new() -> Self {
        Self {
            start: None,
            head: Head::Start,
            attentive: true,
            before: Before::Anything,
            atomic: 0,
            parentheses: 0,
            cases: 0,
            deepest: 0,
            end: 0,
        }
    }

    /// Takes note of a token.
    #[inline(always)]
    pub(super) fn note(
        &mut self,
        sql: &[u8],
        kind: TokenKind,
        span: &Range<usize>,
        statements: &mut Vec<Range<usize>>,
    ) -> Role {
        match kind {
            TokenKind::Punct(b'(' | b'[') => {
                self.parentheses += 1;
                self.note_depth();
            }
            TokenKind::Punct(b')' | b']') => self.parentheses = self.parentheses.saturating_sub(1),
            TokenKind::Punct(b';') if self.parentheses == 0 && self.atomic == 0 => {
                self.finish(statements);
                return Role::Divider;
            }
            TokenKind::Word => self.word(sql, span),
            _ => {}
        }
        self.end = span.end;
        if self.attentive { self.follow(sql, kind, span, statements) } else { Role::Inside }
    }

    /// Ends the statement under way, if there is one.
    pub(super) fn finish(&mut self, statements: &mut Vec<Range<usize>>) {
        statements.extend(self.start.map(|start| start..self.end));
        *self = Self { deepest: self.deepest, ..Self::new() };
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
        match span.end - span.start {
            4 if is(sql, span, b"case") => {
                self.cases += 1;
                self.note_depth();
            }
            3 if is(sql, span, b"end") => self.cases = self.cases.saturating_sub(1),
            _ => {}
        }
    }

    fn follow(&mut self, sql: &[u8], kind: TokenKind, span: &Range<usize>, statements: &[Range<usize>]) -> Role {
        let first = self.start.is_none();
        self.start = self.start.or(Some(span.start));
        if self.head == Head::Routine {
            self.follow_body(sql, kind, span);
        } else {
            self.follow_head(sql, kind, span);
        }
        self.attentive = self.head != Head::Plain;
        if first && !statements.is_empty() { Role::First } else { Role::Inside }
    }

    fn follow_head(&mut self, sql: &[u8], kind: TokenKind, span: &Range<usize>) {
        let word = |name| kind == TokenKind::Word && is(sql, span, name);
        self.head = match self.head {
            Head::Start if word(b"create") => Head::Create,
            Head::Create if word(b"or") => Head::CreateOr,
            Head::CreateOr if word(b"replace") => Head::Replace,
            Head::Create | Head::Replace if word(b"function") || word(b"procedure") => Head::Routine,
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
    sql.get(span.clone()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(word))
}
