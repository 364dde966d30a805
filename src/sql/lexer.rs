//! One pass over a statement's bytes: literals are taken out, the rest is hashed. (Interface; the
//! lexer itself is under construction.)

use std::ops::Range;

/// What one pass found. Reused between statements, so that a hit in the template cache allocates nothing.
#[derive(Clone, Default, Debug)]
pub struct Lexed {
    /// xxh3 of `normalized`. Not safe against an adversary: compare `normalized` on a hit.
    pub hash: u64,
    /// The statement with comments and white space folded, keywords and unquoted identifiers in lower
    /// case, and each literal replaced by a mark of its kind.
    pub normalized: Vec<u8>,
    pub literals: Vec<Literal>,
    /// Byte spans of the statements between top-level semicolons, empty ones left out.
    pub statements: Vec<Range<usize>>,
    /// The body of a `/* shardway: ... */` comment, trimmed; the last one wins.
    pub hint: Option<Range<usize>>,
    /// The highest `$n`.
    pub parameters: u16,
}

/// A literal, by its place in the client's own bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Literal {
    pub span: Range<usize>,
    pub kind: LiteralKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LiteralKind {
    Integer,
    Decimal,
    /// '...' with doubled quotes.
    String,
    /// E'...' with backslashes, or '...' while standard_conforming_strings is off.
    EscapeString,
    /// $tag$...$tag$.
    DollarString,
    /// B'...', X'...'.
    BitString,
    /// U&'...'.
    UnicodeString,
    /// N'...'.
    NationalString,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LexError {
    /// Byte offset of the token that has no end.
    pub at: usize,
}
