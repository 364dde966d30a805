//! Literals that shape a plan: with others the statement is another one, and its template isn't used. In: the tokens of a
//! statement. Out: which literals, and what they are now.

use super::ddl;
use super::sizes;
use super::text::Text;
use crate::sql::command::Verb;
use crate::sql::parse::Piece;
use crate::sql::{Command, TokenKind};

/// Values of EXPLAIN's options may be literals: `(ANALYZE 0)`.
pub fn literals(text: Text<'_>, command: &Command) -> Vec<(usize, Box<[u8]>)> {
    let literal = |piece: &Piece| Some((piece.literal?, text.sql.get(piece.token.span.clone())?.into()));
    let mut all: Vec<_> = ordinals(text).into_iter().filter_map(literal).collect();
    all.extend(sizes::named(text).filter_map(|(_, piece)| literal(piece)));
    if text.is(0, "comment") && text.is(2, "table") {
        // It may place the table.
        all.extend(text.pieces.iter().filter_map(literal));
    }
    if matches!(command, Command::Ordinary(Verb::Explain { .. })) && text.punct(1, b'(') {
        let options = text.range(1..ddl::closing(text, 1));
        all.extend(options.pieces.iter().filter_map(literal));
    }
    all
}

/// Literals that are items of ORDER BY or GROUP BY by themselves: positions of outputs, by which another statement is
/// merged in another way.
fn ordinals<'a>(text: Text<'a>) -> Vec<&'a Piece> {
    let mut found = Vec::new();
    // For each parenthesis that is open: if its items are those of such a list.
    let mut lists = vec![false];
    for (at, piece) in text.pieces.iter().enumerate() {
        let before = at.checked_sub(1);
        match piece.token.kind {
            // `ORDER BY (2)` is the same.
            TokenKind::Punct(b'(') => {
                let in_list = lists.last() == Some(&true);
                let first = before.is_some_and(|before| {
                    text.is(before, "by") || text.punct(before, b',') || text.punct(before, b'(')
                });
                lists.push(in_list && first);
            }
            TokenKind::Punct(b'[') => lists.push(false),
            TokenKind::Punct(b')' | b']') if lists.len() > 1 => {
                lists.pop();
            }
            TokenKind::Word => {
                let begins = text.is(at, "by");
                let ends = text.is_any(at, &["limit", "offset", "fetch", "having", "for", "window", "from", "where"]);
                if let Some(last) = lists.last_mut().filter(|_| begins || ends) {
                    *last = begins;
                }
            }
            TokenKind::Literal(_) if lists.last() == Some(&true) => {
                let first = before.is_some_and(|before| text.is(before, "by") || text.punct(before, b','));
                if first || before.is_some_and(|before| text.punct(before, b'(')) {
                    found.push(piece);
                }
            }
            _ => {}
        }
    }
    found
}
