//! PREPARE and EXECUTE as SQL. In: the text of one such statement. Out: where its name, the statement that it prepares
//! and its arguments stand.

use std::ops::Range;

use super::lexer::{LexOptions, Token, TokenKind, Tokens, fold_identifier};

/// `PREPARE name [(types)] AS statement`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prepared {
    pub name: String,
    /// The name as it is written.
    pub written: Range<usize>,
    pub statement: Range<usize>,
}

/// `[EXPLAIN ...] EXECUTE name [(arguments)]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Executed {
    pub name: String,
    /// What stands before EXECUTE.
    pub before: Range<usize>,
    /// From the parenthesis that opens to that which closes.
    pub list: Option<Range<usize>>,
    pub arguments: Vec<Range<usize>>,
}

fn tokens(sql: &[u8], options: &LexOptions) -> Vec<Token> {
    let mut tokens: Vec<Token> = Tokens::new(sql, options).collect();
    while tokens.last().is_some_and(|last| last.kind == TokenKind::Punct(b';')) {
        tokens.pop();
    }
    tokens
}

fn is_word(sql: &[u8], token: &Token, word: &str) -> bool {
    let bytes = sql.get(token.span.clone()).unwrap_or_default();
    token.kind == TokenKind::Word && bytes.eq_ignore_ascii_case(word.as_bytes())
}

fn name(sql: &[u8], token: &Token) -> Option<String> {
    let is_name = matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent | TokenKind::UnicodeIdent);
    is_name.then(|| fold_identifier(sql.get(token.span.clone()).unwrap_or_default()))
}

/// How many parentheses and brackets are open behind this token.
fn nesting(depth: usize, token: &Token) -> usize {
    match token.kind {
        TokenKind::Punct(b'(' | b'[') => depth + 1,
        TokenKind::Punct(b')' | b']') => depth.saturating_sub(1),
        _ => depth,
    }
}

/// `None` for what isn't one: a server says what is wrong with it.
pub fn prepared(sql: &[u8], options: &LexOptions) -> Option<Prepared> {
    let tokens = tokens(sql, options);
    let (first, named) = (tokens.first()?, tokens.get(1)?);
    let name = name(sql, named).filter(|_| is_word(sql, first, "prepare"))?;
    let mut depth = 0;
    let behind = tokens.iter().skip(2).position(|token| {
        depth = nesting(depth, token);
        depth == 0 && is_word(sql, token, "as")
    })?;
    let begins = tokens.get(behind + 3)?;
    let statement = begins.span.start..tokens.last()?.span.end;
    Some(Prepared { name, written: named.span.clone(), statement })
}

/// `None` for what isn't one: a server says what is wrong with it.
pub fn executed(sql: &[u8], options: &LexOptions) -> Option<Executed> {
    let tokens = tokens(sql, options);
    let mut depth = 0;
    let at = tokens.iter().position(|token| {
        depth = nesting(depth, token);
        depth == 0 && is_word(sql, token, "execute")
    })?;
    if at > 0 && !is_word(sql, tokens.first()?, "explain") {
        return None;
    }
    let before = 0..tokens.get(at)?.span.start;
    let name = name(sql, tokens.get(at + 1)?)?;
    let Some(open) = tokens.get(at + 2) else {
        return Some(Executed { name, before, list: None, arguments: Vec::new() });
    };
    let last = tokens.last().filter(|last| last.kind == TokenKind::Punct(b')'))?;
    if open.kind != TokenKind::Punct(b'(') {
        return None;
    }
    let list = open.span.start..last.span.end;
    let mut arguments = Vec::new();
    let (mut depth, mut begins) = (0, open.span.end);
    for token in tokens.get(at + 3..tokens.len() - 1).unwrap_or_default() {
        depth = nesting(depth, token);
        if depth == 0 && token.kind == TokenKind::Punct(b',') {
            arguments.push(begins..token.span.start);
            begins = token.span.end;
        }
    }
    arguments.push(begins..last.span.start);
    Some(Executed { name, before, list: Some(list), arguments })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: LexOptions = LexOptions { standard_conforming_strings: true };

    #[test]
    fn what_is_prepared_stands_behind_as() {
        let sql = b"/* x */ prepare \"Q\" (numeric(4, 2), text) AS SELECT 'as' AS x, $1 ; ";
        let found = prepared(sql, &OPTIONS).expect("one");
        assert_eq!(found.name, "Q");
        assert_eq!(&sql[found.statement], b"SELECT 'as' AS x, $1");
        assert_eq!(&sql[found.written], b"\"Q\"");
        assert_eq!(prepared(b"PREPARE q", &OPTIONS), None);
        assert_eq!(prepared(b"PREPARE q AS", &OPTIONS), None);
    }

    #[test]
    fn arguments_are_divided_by_their_commas() {
        let sql = b"EXPLAIN (COSTS off) EXECUTE Q(1, ARRAY[2, 3], f(4, ')'), NULL);";
        let found = executed(sql, &OPTIONS).expect("one");
        let texts: Vec<&[u8]> = found.arguments.iter().map(|span| sql[span.clone()].trim_ascii()).collect();
        assert_eq!(found.name, "q");
        assert_eq!(texts, [&b"1"[..], b"ARRAY[2, 3]", b"f(4, ')')", b"NULL"]);
        assert_eq!(&sql[found.before], b"EXPLAIN (COSTS off) ");
        let bare = executed(b"execute q", &OPTIONS).expect("one");
        assert_eq!((bare.list, bare.arguments.len()), (None, 0));
        assert_eq!(executed(b"SELECT execute q", &OPTIONS), None);
        assert_eq!(executed(b"EXECUTE q(1", &OPTIONS), None);
    }
}
