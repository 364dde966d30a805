//! Writes the normalised text into a buffer that is large enough from the start, so that no step has
//! to grow it.

use std::ops::Range;

/// What the last byte written would merge with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Glue {
    Nothing,
    Word,
    Operator,
}

/// Tokens up to this length are copied as one block.
pub(super) const BLOCK: usize = 16;

pub(super) struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
    glue: Glue,
}

impl<'a> Writer<'a> {
    /// Expects room for twice the text and a [`BLOCK`] more.
    pub(super) fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, at: 0, glue: Glue::Nothing }
    }

    pub(super) fn length(&self) -> usize {
        self.at
    }

    /// Separates two statements.
    pub(super) fn divide(&mut self) {
        self.mark(b';');
    }

    /// A byte that merges with nothing.
    #[inline(always)]
    pub(super) fn mark(&mut self, byte: u8) {
        self.put(byte);
        self.at += 1;
        self.glue = Glue::Nothing;
    }

    #[inline(always)]
    pub(super) fn byte(&mut self, byte: u8, glue: Glue) {
        self.join(glue);
        self.put(byte);
        self.at += 1;
    }

    /// A keyword or unquoted identifier, in lower case.
    #[inline(always)]
    pub(super) fn word(&mut self, sql: &[u8], span: &Range<usize>) {
        self.join(Glue::Word);
        self.copy(sql, span, |byte| byte.to_ascii_lowercase());
    }

    #[inline(always)]
    pub(super) fn verbatim(&mut self, sql: &[u8], span: &Range<usize>, glue: Glue) {
        self.join(glue);
        self.copy(sql, span, |byte| byte);
    }

    #[inline(always)]
    fn put(&mut self, byte: u8) {
        if let Some(place) = self.buffer.get_mut(self.at) {
            *place = byte;
        }
    }

    /// A blank, if what was written before and what follows would merge without it.
    #[inline(always)]
    fn join(&mut self, glue: Glue) {
        self.put(b' ');
        self.at += usize::from(self.glue == glue);
        self.glue = glue;
    }

    #[inline(always)]
    fn copy(&mut self, sql: &[u8], span: &Range<usize>, change: impl Fn(u8) -> u8) {
        let length = span.end - span.start;
        let source = sql.get(span.start..).and_then(|rest| rest.first_chunk::<BLOCK>());
        let target = self.buffer.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<BLOCK>());
        match (source, target) {
            (Some(source), Some(target)) if length <= BLOCK => *target = source.map(change),
            _ => {
                let target = self.buffer.get_mut(self.at..).unwrap_or_default();
                for (to, from) in target.iter_mut().zip(sql.get(span.clone()).unwrap_or_default()) {
                    *to = change(*from);
                }
            }
        }
        self.at += length;
    }
}
