//! One pass over a statement's bytes: literals are taken out, the rest is hashed. In: the text of a
//! Query or Parse. Out: [`Lexed`], and for the command recogniser [`Tokens`], by the same rules
//! (`scan`); the values of string literals and identifiers (`decode`).
//!
//! Doesn't parse. Of keywords it knows only what divides statements, and CASE, which nests.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

mod classes;
mod comments;
mod decode;
mod known;
mod numbers;
mod readable;
mod scan;
mod split;
mod strings;
#[cfg(test)]
mod tests;
mod tokens;
mod writer;

pub use decode::{fold_identifier, literal_text, quote_identifier, unicode_identifier};
pub use known::Known;
pub use readable::readable;
pub use tokens::{Token, TokenKind, Tokens};

use scan::{Scan, Sink};
use split::{Role, Splitter};
use writer::{Glue, Writer};

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

/// Where the first statement of a text is that was lexed before, without an error.
pub fn first_statement(sql: &[u8], options: &LexOptions) -> Range<usize> {
    let mut lexed = Lexed::default();
    let _ = lex(sql, options, &mut lexed);
    lexed.statements.first().cloned().unwrap_or(0..sql.len())
}

/// Clears `out` and fills it. Allocates only where `out`'s buffers are too small.
///
/// # Errors
/// [`LexError`] for what PostgreSQL's lexer rejects as unterminated, for NUL bytes, and for
/// parameters above $65535. `out` is then of no use.
pub fn lex(sql: &[u8], options: &LexOptions, out: &mut Lexed) -> Result<(), LexError> {
    out.literals.clear();
    out.statements.clear();
    // A token is at least one byte of the text and becomes at most one more with its separator.
    out.normalized.resize(2 * sql.len() + writer::BLOCK, 0);
    let mut scan = Scan::new(options);
    let mut pass = Pass {
        sql,
        writer: Writer::new(&mut out.normalized),
        splitter: Splitter::new(),
        literals: &mut out.literals,
        statements: &mut out.statements,
        parameters: 0,
        tokens: 0,
    };
    scan.run(sql, &mut pass)?;
    pass.splitter.finish(pass.statements);
    out.depth = pass.splitter.deepest();
    out.parameters = pass.parameters;
    out.tokens = pass.tokens;
    let length = pass.writer.length();
    out.normalized.truncate(length);
    out.hint = scan.hint;
    out.hash = xxh3_64(&out.normalized);
    Ok(())
}

/// What [`lex`] makes of each token.
struct Pass<'a> {
    sql: &'a [u8],
    writer: Writer<'a>,
    splitter: Splitter,
    literals: &'a mut Vec<Literal>,
    statements: &'a mut Vec<Range<usize>>,
    parameters: u16,
    tokens: usize,
}

impl Sink for Pass<'_> {
    const PAUSES: bool = false;

    #[inline(always)]
    fn token(&mut self, kind: TokenKind, span: Range<usize>) {
        self.tokens += 1;
        match self.splitter.note(self.sql, kind, &span, self.statements) {
            Role::Inside => {}
            Role::First => self.writer.divide(),
            Role::Divider => return,
        }
        match kind {
            TokenKind::Word => self.writer.word(self.sql, &span),
            TokenKind::QuotedIdent => self.writer.verbatim(self.sql, &span, Glue::Word),
            TokenKind::UnicodeIdent => {
                self.writer.mark(UNICODE_IDENT_MARK);
                self.writer.verbatim(self.sql, &span, Glue::Word);
            }
            TokenKind::Literal(kind) => {
                self.writer.mark(kind.mark());
                self.literals.push(Literal { span, kind });
            }
            TokenKind::Parameter(number) => {
                self.writer.verbatim(self.sql, &span, Glue::Word);
                self.parameters = self.parameters.max(number);
            }
            TokenKind::Operator => self.writer.verbatim(self.sql, &span, Glue::Operator),
            TokenKind::Punct(byte @ (b'.' | b':')) => self.writer.byte(byte, Glue::Operator),
            TokenKind::Punct(b'$') => self.writer.byte(b'$', Glue::Word),
            TokenKind::Punct(byte) => {
                if byte < b' ' {
                    self.writer.mark(CONTROL_MARK);
                }
                self.writer.mark(byte);
            }
        }
    }
}
