//! The text that the parser is given: the statement's tokens, one space between any two, comments
//! gone, each literal replaced by one of the same kind that says which literal it is.

use std::fmt::Write as _;

use super::{Lowered, NotParsed, Piece};
use crate::sql::lexer::{LiteralKind, TokenKind, unicode_identifier};
use crate::sql::quote_identifier;
use crate::types::limits;

/// Operators that the parser's tokenizer reads as one token each, as PostgreSQL does. Another one
/// could be read as two, which may both be right where they stand: `id =@ 5` is not `id = (@ 5)`.
pub(super) const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "%", "^", "<", ">", "=", "<=", ">=", "<>", "!=", "||", "&&", "|", "&", "#", "<<", ">>", "~",
    "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*", "->", "->>", "#>", "#>>", "@>", "<@", "@@", "?", "?|", "?&", "@?",
    "#-", "::", "=>", "<->",
];

/// Stands for `OPERATOR(pg_catalog.=)` and its like, of which psql's own queries are full: an operator
/// of which nothing is concluded. Which way its operands are bound doesn't matter then.
const QUALIFIED_OPERATOR: &str = " @@";
const QUALIFIED_OPERATOR_TOKENS: usize = 6;

const OVERRIDING_TOKENS: usize = 3;

/// # Errors
/// [`NotParsed`] beyond the limits, for text that isn't UTF-8, and for tokens that the parser reads
/// differently from PostgreSQL.
pub(super) fn write(sql: &[u8], pieces: &[Piece]) -> Lowered<String> {
    if pieces.len() > limits::STATEMENT_TOKENS_MAX || deepest(pieces) > limits::STATEMENT_DEPTH_MAX {
        return Err(NotParsed);
    }
    let mut text = String::with_capacity(pieces.iter().map(|piece| piece.token.span.len().min(64) + 1).sum());
    let mut glued = true;
    let mut passed = 0;
    for (position, piece) in pieces.iter().enumerate() {
        if position < passed {
            continue;
        }
        let source = source(sql, piece)?;
        if is_only_of_table(sql, pieces, position) || is_key_of_lock(sql, pieces, position) {
            continue;
        }
        if is_overriding(sql, pieces, position) {
            passed = position + OVERRIDING_TOKENS;
            continue;
        }
        if let Some(action) = behind_conflict_target(sql, pieces, position) {
            passed = action;
            continue;
        }
        if position == 0 && is(sql, pieces, Some(0), &["table"]) {
            text.push_str("SELECT * FROM");
            glued = false;
            continue;
        }
        if is_qualified_operator(sql, pieces, position) {
            text.push_str(QUALIFIED_OPERATOR);
            glued = false;
            passed = position + QUALIFIED_OPERATOR_TOKENS;
            continue;
        }
        let is_dot = piece.token.kind == TokenKind::Punct(b'.');
        if !glued && !is_dot {
            text.push(' ');
        }
        glued = is_dot;
        match piece.token.kind {
            TokenKind::Word | TokenKind::QuotedIdent | TokenKind::Parameter(_) => text.push_str(source),
            TokenKind::Literal(kind) => {
                if glued || matches!(neighbour(pieces, position), Some(TokenKind::Literal(_))) {
                    return Err(NotParsed);
                }
                literal(&mut text, kind, piece.literal.ok_or(NotParsed)?)?;
                if kind == LiteralKind::UnicodeString && is(sql, pieces, Some(position + 1), &["uescape"]) {
                    // `U&'d!0061ta' UESCAPE '!'` is one string.
                    let is_string =
                        matches!(neighbour(pieces, position + 1), Some(TokenKind::Literal(LiteralKind::String)));
                    passed = if is_string { position + 3 } else { return Err(NotParsed) };
                }
            }
            TokenKind::Operator if OPERATORS.contains(&source) => text.push_str(source),
            TokenKind::Punct(byte @ (b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':')) => {
                text.push(char::from(byte))
            }
            TokenKind::UnicodeIdent if !is(sql, pieces, Some(position + 1), &["uescape"]) => {
                let name = unicode_identifier(source.as_bytes()).ok_or(NotParsed)?;
                text.push_str(&quote_identifier(&name));
            }
            TokenKind::Operator | TokenKind::Punct(_) | TokenKind::UnicodeIdent => {
                return Err(NotParsed);
            }
        }
    }
    Ok(text)
}

fn source<'a>(sql: &'a [u8], piece: &Piece) -> Lowered<&'a str> {
    let bytes = sql.get(piece.token.span.clone()).ok_or(NotParsed)?;
    // A string of any size isn't looked at: the position stands for it.
    if matches!(piece.token.kind, TokenKind::Literal(_)) {
        return Ok("");
    }
    std::str::from_utf8(bytes).map_err(|_| NotParsed)
}

fn neighbour(pieces: &[Piece], position: usize) -> Option<TokenKind> {
    pieces.get(position + 1).map(|piece| piece.token.kind)
}

fn literal(text: &mut String, kind: LiteralKind, ordinal: usize) -> Lowered<()> {
    let written = match kind {
        LiteralKind::Integer => write!(text, "{ordinal}"),
        LiteralKind::Decimal => write!(text, "{ordinal}.5"),
        LiteralKind::BitString => write!(text, "B'{ordinal}'"),
        // Their values have other types or rules; nothing is lost by not reading them.
        LiteralKind::NationalString => return Err(NotParsed),
        LiteralKind::UnicodeString | LiteralKind::String | LiteralKind::EscapeString | LiteralKind::DollarString => {
            write!(text, "'{ordinal}'")
        }
    };
    written.map_err(|_| NotParsed)
}

/// `FROM ONLY t`, which the parser takes for a table of the name `only`. ONLY is reserved: before a
/// name or a parenthesis, behind one of these, it can't be anything else.
fn is_only_of_table(sql: &[u8], pieces: &[Piece], position: usize) -> bool {
    let before = position.checked_sub(1);
    let behind_comma =
        before.and_then(|before| pieces.get(before)).is_some_and(|piece| piece.token.kind == TokenKind::Punct(b','));
    is(sql, pieces, Some(position), &["only"])
        && (behind_comma || is(sql, pieces, before, &["from", "join", "update", "using", "into", "lateral"]))
        && matches!(
            neighbour(pieces, position),
            Some(TokenKind::Word | TokenKind::QuotedIdent | TokenKind::Punct(b'('))
        )
}

/// `FOR NO KEY UPDATE` and `FOR KEY SHARE`, of which the parser knows FOR UPDATE and FOR SHARE. KEY alone
/// behind FOR can't be anything else: FOR is reserved.
fn is_key_of_lock(sql: &[u8], pieces: &[Piece], position: usize) -> bool {
    let before = |words| position.checked_sub(words);
    match position {
        _ if is(sql, pieces, Some(position), &["no"]) => {
            is(sql, pieces, before(1), &["for"])
                && is(sql, pieces, Some(position + 1), &["key"])
                && is(sql, pieces, Some(position + 2), &["update"])
        }
        _ if is(sql, pieces, Some(position), &["key"]) => {
            is(sql, pieces, before(1), &["for"]) && is(sql, pieces, Some(position + 1), &["share"])
                || is(sql, pieces, before(2), &["for"])
                    && is(sql, pieces, before(1), &["no"])
                    && is(sql, pieces, Some(position + 1), &["update"])
        }
        _ => false,
    }
}

/// `OVERRIDING SYSTEM VALUE`, which the parser doesn't know: it says that given values of identity columns count, as
/// they do where it isn't needed. (With USER they would not.)
fn is_overriding(sql: &[u8], pieces: &[Piece], position: usize) -> bool {
    is(sql, pieces, Some(0), &["insert"])
        && is(sql, pieces, Some(position), &["overriding"])
        && is(sql, pieces, Some(position + 1), &["system"])
        && is(sql, pieces, Some(position + 2), &["value"])
        && (is(sql, pieces, Some(position + 3), &["values", "select", "with", "default", "table"])
            || pieces.get(position + 3).is_some_and(|piece| piece.token.kind == TokenKind::Punct(b'(')))
}

/// Where the action begins behind the target of an ON CONFLICT that begins here, where the parser couldn't read the target:
/// expressions, collations, operator classes and the predicate of a partial index. It names an index, and reads nothing.
fn behind_conflict_target(sql: &[u8], pieces: &[Piece], position: usize) -> Option<usize> {
    let kind = |at: usize| pieces.get(at).map(|piece| piece.token.kind);
    let before = |words| position.checked_sub(words);
    if kind(position) != Some(TokenKind::Punct(b'('))
        || !is(sql, pieces, before(1), &["conflict"])
        || !is(sql, pieces, before(2), &["on"])
    {
        return None;
    }
    let is_action =
        |at: usize| is(sql, pieces, Some(at), &["do"]) && is(sql, pieces, Some(at + 1), &["nothing", "update"]);
    let (mut depth, mut is_list, mut end) = (0_usize, true, position);
    for at in position..pieces.len() {
        match kind(at)? {
            TokenKind::Punct(b'(') => depth += 1,
            TokenKind::Punct(b')') => depth = depth.checked_sub(1)?,
            _ if depth == 0 && is_action(at) => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    // A plain list is `( name , name )` and nothing else.
    for (place, at) in (position + 1..end.checked_sub(1)?).enumerate() {
        let wanted = match kind(at)? {
            TokenKind::Word | TokenKind::QuotedIdent => 0,
            TokenKind::Punct(b',') => 1,
            _ => 2,
        };
        is_list &= wanted == place % 2;
    }
    (!is_list).then_some(end)
}

/// `OPERATOR(pg_catalog.=)`; those of other schemas may be anything.
fn is_qualified_operator(sql: &[u8], pieces: &[Piece], position: usize) -> bool {
    let kind = |ahead: usize| pieces.get(position + ahead).map(|piece| piece.token.kind);
    is(sql, pieces, Some(position), &["operator"])
        && kind(1) == Some(TokenKind::Punct(b'('))
        && is(sql, pieces, Some(position + 2), &["pg_catalog"])
        && kind(3) == Some(TokenKind::Punct(b'.'))
        && kind(4) == Some(TokenKind::Operator)
        && kind(5) == Some(TokenKind::Punct(b')'))
}

/// If the token is one of these keywords.
fn is(sql: &[u8], pieces: &[Piece], position: Option<usize>, words: &[&str]) -> bool {
    let Some(piece) = position.and_then(|position| pieces.get(position)) else {
        return false;
    };
    let found = sql.get(piece.token.span.clone()).unwrap_or_default();
    piece.token.kind == TokenKind::Word && words.iter().any(|word| found.eq_ignore_ascii_case(word.as_bytes()))
}

fn deepest(pieces: &[Piece]) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for piece in pieces {
        match piece.token.kind {
            TokenKind::Punct(b'(' | b'[') => depth += 1,
            TokenKind::Punct(b')' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
