//! The client's text as the scratch database gets it: its own bytes, but for the schemas of the tables, since
//! temporary ones have none. A schema goes with its dot, and blanks take its place behind the name, so that
//! positions in errors stay what they are.

use std::ops::Range;

use super::{Gather, Table};
use crate::planning::build;
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::text::Text;
use crate::planning::writes::Moment;
use crate::sql::statement::{Statement, TableName};
use crate::sql::{LexOptions, TokenKind, first_statement};

/// The schemas that qualify the tables.
#[derive(Default)]
pub(super) struct Qualifiers {
    /// Positions of schemas, each with that of the dot behind it.
    pub left_out: Vec<usize>,
    /// Positions of schemas without which the name would mean something else.
    pub replaced: Vec<usize>,
}

/// Where schemas qualify the tables.
pub(super) fn qualifiers(text: Text<'_>, statement: &Statement, names: &[(String, String)]) -> Qualifiers {
    let mut found = Qualifiers::default();
    for at in 0..text.pieces.len() {
        if !text.punct(at + 1, b'.') || at.checked_sub(1).is_some_and(|before| text.punct(before, b'.')) {
            continue;
        }
        let (Some(schema), Some(name)) = (text.name(at), text.name(at + 2)) else { continue };
        if !names.iter().any(|(of, table)| *of == schema && *table == name) || text.punct(at + 3, b'(') {
            continue;
        }
        let relations = || statement.scopes.iter().flat_map(|scope| &scope.relations);
        let qualifier = TableName { schema: None, name: schema.as_str().into() };
        if relations().any(|one| one.may_be_called(&qualifier)) {
            // A column of the relation that has the schema's name, perhaps; or the table. As a table it is wrong
            // in one of two ways, and the scratch database says so.
            continue;
        }
        let is_alias = relations().any(|one| one.alias.as_deref() == Some(&*name));
        // Without its schema the name would mean the common table expression, or another table's alias.
        if is_alias || statement.common_names.iter().any(|common| **common == *name) {
            found.replaced.push(at);
        } else {
            found.left_out.extend([at, at + 1]);
        }
    }
    found
}

/// Where tables stand in FROM that have another name on the scratch database, each with its schema.
///
/// # Errors
/// A column is named with the schema of such a table, or of the one whose name it has: the schema is gone there.
pub(super) fn renamed(
    text: Text<'_>,
    statement: &Statement,
    tables: &[Table],
) -> Result<Vec<(Range<usize>, String)>, Refusal> {
    let mut renamed = Vec::new();
    let is_told_apart = |name: &str| tables.iter().any(|table| table.name == name && table.made != table.name);
    for at in 0..text.pieces.len() {
        if !text.punct(at + 1, b'.') || at.checked_sub(1).is_some_and(|before| text.punct(before, b'.')) {
            continue;
        }
        let (Some(schema), Some(name)) = (text.name(at), text.name(at + 2)) else { continue };
        let table = tables.iter().find(|table| table.schema == schema && table.name == name);
        let Some(table) = table.filter(|_| is_told_apart(&name)) else { continue };
        if text.punct(at + 3, b'.') {
            return Err(refusal::not_gathered("a column with the schema of one of two tables of one name"));
        }
        if table.made == table.name {
            continue;
        }
        let next = text.name(at + 3);
        let mut relations = statement.scopes.iter().flat_map(|scope| &scope.relations);
        let has_alias = text.is(at + 3, "as")
            || next.is_some_and(|next| relations.any(|relation| relation.alias.as_deref() == Some(&*next)));
        let quote = crate::sql::quote_identifier;
        let alias = if has_alias { String::new() } else { format!(" AS {}", quote(&name)) };
        renamed.push((at..at + 3, format!("pg_temp.{}{alias}", quote(&table.made))));
    }
    Ok(renamed)
}

/// If a word is a call without parentheses, or a type whose values are looked up in the catalogs.
pub(super) fn is_bare(name: &str) -> bool {
    crate::planning::functions::is_bare(name) || crate::planning::functions::is_catalog_type(name)
}

/// If each call of this function has a literal as its first argument.
pub(super) fn is_literal_call(text: Text<'_>, name: &str) -> bool {
    let is_call = |at: &usize| text.name(*at).as_deref() == Some(name) && text.punct(at + 1, b'(');
    let is_literal = |at: usize| {
        matches!(text.kind(at + 2), Some(TokenKind::Literal(_)))
            && (text.punct(at + 3, b')') || text.punct(at + 3, b','))
    };
    (0..text.pieces.len()).filter(is_call).all(is_literal)
}

/// If each call of this function has `false` for its argument.
pub(super) fn has_false(text: Text<'_>, name: &str) -> bool {
    let is_call = |at: &usize| text.name(*at).as_deref() == Some(name) && text.punct(at + 1, b'(');
    (0..text.pieces.len()).filter(is_call).all(|at| text.is(at + 2, "false") && text.punct(at + 3, b')'))
}

/// A statement as the scratch database gets it.
#[derive(Debug)]
pub struct Spliced {
    pub whole: Vec<u8>,
    /// The query alone, where the statement is an EXPLAIN or the like.
    pub query: Vec<u8>,
}

/// The client's own bytes without the tokens that are left out. The text has one statement. Its calls of
/// statement_timestamp(), and with a moment those of now() and its like, call functions that [`MomentName::definition`]
/// makes.
pub fn splice(sql: &[u8], options: &LexOptions, gather: &Gather, moment: Option<&Moment>) -> Spliced {
    let pieces = build::pieces(sql, options);
    let pieces = build::within(&pieces, &first_statement(sql, options));
    let part = |range: Range<usize>| {
        let pieces = pieces.get(range.clone()).unwrap_or_default();
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return Vec::new() };
        let mut out = Vec::with_capacity(last.token.span.end.saturating_sub(first.token.span.start));
        let mut at = first.token.span.start;
        let mut owed = 0;
        let named = gather.moments.iter().flatten().filter(|name| moment.is_some() || name.is_of_statement());
        let named: Vec<_> = named.collect();
        for (position, piece) in pieces.iter().enumerate() {
            let span = &piece.token.span;
            let this = range.start + position;
            if let Some(tokens) = gather.target.as_ref().filter(|tokens| tokens.contains(&this)) {
                if tokens.start == this {
                    out.extend_from_slice(sql.get(at..span.start).unwrap_or_default());
                    out.extend_from_slice(format!("pg_temp.\"{}\"", crate::planning::transfer::TARGET).as_bytes());
                }
                at = span.end;
                continue;
            }
            if let Some((tokens, name)) = gather.databases.iter().find(|(tokens, _)| tokens.contains(&this)) {
                if tokens.start == this {
                    out.extend_from_slice(sql.get(at..span.start).unwrap_or_default());
                    out.extend_from_slice(format!("pg_temp.\"{name}\"()").as_bytes());
                }
                at = span.end;
                continue;
            }
            if let Some((tokens, name)) = gather.renamed.iter().find(|(tokens, _)| tokens.contains(&this)) {
                if tokens.start == this {
                    out.extend_from_slice(sql.get(at..span.start).unwrap_or_default());
                    out.extend_from_slice(name.as_bytes());
                }
                at = span.end;
                continue;
            }
            if let Some(name) = named.iter().find(|name| name.tokens().contains(&this)) {
                if name.tokens().start == this {
                    out.extend_from_slice(sql.get(at..span.start).unwrap_or_default());
                    let precision = name.precision().and_then(|tokens| {
                        let tokens = tokens.start.checked_sub(range.start)?..tokens.end.checked_sub(range.start)?;
                        let tokens = pieces_of(pieces, tokens)?;
                        sql.get(tokens)
                    });
                    name.write(precision.unwrap_or_default(), &mut out);
                }
                at = span.end;
                continue;
            }
            out.extend_from_slice(sql.get(at..span.start).unwrap_or_default());
            at = span.end;
            let token = sql.get(span.clone()).unwrap_or_default();
            if gather.left_out.contains(&this) {
                // Positions count characters.
                owed += String::from_utf8_lossy(token).chars().count();
                continue;
            }
            if gather.replaced.contains(&this) {
                out.extend_from_slice(b"pg_temp");
                continue;
            }
            out.extend_from_slice(token);
            out.extend(std::iter::repeat_n(b' ', std::mem::take(&mut owed)));
        }
        out
    };
    Spliced { whole: part(0..pieces.len()), query: part(gather.query.clone()) }
}

/// The bytes from the first to the last of these.
fn pieces_of(pieces: &[crate::sql::parse::Piece], range: Range<usize>) -> Option<Range<usize>> {
    let pieces = pieces.get(range)?;
    Some(pieces.first()?.token.span.start..pieces.last()?.token.span.end)
}
