//! One pass over a statement's bytes: literals are taken out, the rest is hashed. In: the text of a
//! Query or Parse. Out: [`Lexed`], and for the command recogniser [`Tokens`], by the same rules
//! (`scan`); the values of string literals and identifiers (`decode`).
//!
//! Doesn't parse. Of keywords it knows only what divides statements, and CASE, which nests.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

mod classes;
mod decode;
mod numbers;
mod scan;
mod split;
#[cfg(test)]
mod tests;
mod tokens;

pub use decode::{fold_identifier, literal_text};
pub use tokens::{Token, TokenKind, Tokens};

use scan::Scanner;
use split::Splitter;

/// What one pass found. Reused between statements, so that a hit in the template cache allocates nothing.
#[derive(Clone, Default, Debug)]
pub struct Lexed {
    /// xxh3 of `normalized`. Not safe against an adversary: compare `normalized` on a hit.
    pub hash: u64,
    /// The statement with comments and white space folded, keywords and unquoted identifiers in lower
    /// case, and each literal replaced by a mark of its kind. Equal for two texts exactly if their
    /// tokens are equal but for the values of literals and for empty statements.
    pub normalized: Vec<u8>,
    pub literals: Vec<Literal>,
    /// Byte spans of the statements between top-level semicolons, from the first token to the end of
    /// the last, without the semicolon; empty ones left out.
    pub statements: Vec<Range<usize>>,
    /// What follows `shardway:` in a `/* shardway: ... */` comment, trimmed; the last one wins. Not
    /// part of `normalized`.
    pub hint: Option<Range<usize>>,
    /// The highest `$n`.
    pub parameters: u16,
    /// How many tokens there are, semicolons between statements included.
    pub tokens: usize,
    /// How deep parentheses, brackets and CASE are nested at most.
    pub depth: usize,
}

/// A literal, by its place in the client's own bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Literal {
    pub span: Range<usize>,
    pub kind: LiteralKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LiteralKind {
    /// Decimal digits only, of any length: int4, int8 or numeric by its value. A sign is not part of it.
    Integer,
    /// With a point or an exponent; also what only newer versions can read (0x1F, 1_000), so that
    /// nobody computes with it.
    Decimal,
    /// '...' with doubled quotes.
    String,
    /// E'...' with backslashes, or '...' (and N'...') while standard_conforming_strings is off.
    EscapeString,
    /// $tag$...$tag$.
    DollarString,
    /// B'...', X'...'.
    BitString,
    /// U&'...'. A `UESCAPE` behind it is no part of the literal but changes its value.
    UnicodeString,
    /// N'...', whose type is bpchar: trailing blanks don't count when it is compared.
    NationalString,
}

impl LiteralKind {
    /// The byte that stands for a literal of this kind in [`Lexed::normalized`].
    const fn mark(self) -> u8 {
        match self {
            Self::Integer => 1,
            Self::Decimal => 2,
            Self::String => 3,
            Self::EscapeString => 4,
            Self::DollarString => 5,
            Self::BitString => 6,
            Self::UnicodeString => 7,
            Self::NationalString => 8,
        }
    }
}

/// Stands before a `U&"..."`, whose bytes could otherwise be those of three tokens.
const UNICODE_IDENT_MARK: u8 = 0x1e;
/// Stands before a control character outside quotes (PostgreSQL rejects the statement).
const CONTROL_MARK: u8 = 0x1f;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LexError {
    /// Byte offset of the token that has no end, of a NUL, or of a parameter number that is too high.
    pub at: usize,
}

/// The settings of a session that change where tokens end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LexOptions {
    /// Off: a backslash escapes in '...' too.
    pub standard_conforming_strings: bool,
}

/// What the last byte of the normalised text would merge with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Glue {
    Nothing,
    Word,
    Operator,
}

/// Writes the normalised text into a buffer that is large enough from the start.
struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
    glue: Glue,
}

/// Words up to this length are copied as one block.
const BLOCK: usize = 16;

impl Writer<'_> {
    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.buffer.get_mut(self.at) {
            *place = byte;
        }
        self.at += 1;
    }

    /// Separates from what was written before, if the two would merge otherwise.
    #[inline(always)]
    fn join(&mut self, glue: Glue) {
        if self.glue == glue && glue != Glue::Nothing {
            self.byte(b' ');
        }
        self.glue = glue;
    }

    #[inline(always)]
    fn copy(&mut self, sql: &[u8], span: &Range<usize>, change: impl Fn(u8) -> u8) {
        let length = span.end - span.start;
        let source = sql
            .get(span.start..)
            .and_then(|rest| rest.first_chunk::<BLOCK>());
        let target = self
            .buffer
            .get_mut(self.at..)
            .and_then(|rest| rest.first_chunk_mut::<BLOCK>());
        match (source, target) {
            (Some(source), Some(target)) if length <= BLOCK => *target = source.map(change),
            _ => {
                let target = self.buffer.get_mut(self.at..).unwrap_or_default();
                for (to, from) in target
                    .iter_mut()
                    .zip(sql.get(span.clone()).unwrap_or_default())
                {
                    *to = change(*from);
                }
            }
        }
        self.at += length;
    }
}

/// Clears `out` and fills it. Allocates only where `out`'s buffers are too small.
///
/// # Errors
/// [`LexError`] for what PostgreSQL's lexer rejects as unterminated, for NUL bytes, and for
/// parameters above $65535. `out` is then of no use.
pub fn lex(sql: &[u8], options: &LexOptions, out: &mut Lexed) -> Result<(), LexError> {
    out.literals.clear();
    out.statements.clear();
    out.parameters = 0;
    out.tokens = 0;
    // A token is at least one byte of the text and becomes at most one more with its separator.
    out.normalized.resize(2 * sql.len() + BLOCK, 0);
    let mut writer = Writer {
        buffer: &mut out.normalized,
        at: 0,
        glue: Glue::Nothing,
    };
    let mut splitter = Splitter::default();
    let mut scanner = Scanner::new(sql, options.standard_conforming_strings);
    while let Some(token) = scanner.next()? {
        out.tokens += 1;
        let span = token.span;
        if splitter.divides(sql, token.kind, &span, &mut out.statements) {
            continue;
        }
        if splitter.starts_another(&out.statements) {
            writer.byte(b';');
            writer.glue = Glue::Nothing;
        }
        match token.kind {
            TokenKind::Word => {
                writer.join(Glue::Word);
                writer.copy(sql, &span, |byte| byte.to_ascii_lowercase());
            }
            TokenKind::QuotedIdent => {
                writer.join(Glue::Word);
                writer.copy(sql, &span, |byte| byte);
            }
            TokenKind::UnicodeIdent => {
                writer.byte(UNICODE_IDENT_MARK);
                writer.glue = Glue::Word;
                writer.copy(sql, &span, |byte| byte);
            }
            TokenKind::Literal(kind) => {
                writer.byte(kind.mark());
                writer.glue = Glue::Nothing;
                out.literals.push(Literal { span, kind });
            }
            TokenKind::Parameter(number) => {
                writer.join(Glue::Word);
                writer.copy(sql, &span, |byte| byte);
                out.parameters = out.parameters.max(number);
            }
            TokenKind::Operator => {
                writer.join(Glue::Operator);
                writer.copy(sql, &span, |byte| byte);
            }
            TokenKind::Punct(byte) => {
                writer.join(match byte {
                    b'.' | b':' => Glue::Operator,
                    b'$' => Glue::Word,
                    _ => Glue::Nothing,
                });
                if byte < b' ' {
                    writer.byte(CONTROL_MARK);
                }
                writer.byte(byte);
            }
        }
    }
    let length = writer.at;
    splitter.finish(&mut out.statements);
    out.depth = splitter.deepest();
    out.hint = scanner.hint;
    out.normalized.truncate(length);
    out.hash = xxh3_64(&out.normalized);
    Ok(())
}
