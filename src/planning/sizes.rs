//! Sizes of tables by name: `pg_total_relation_size('orders')`. In: the tokens of a statement. Out: nothing, or a refusal
//! where the table is sharded: the server that is asked would tell the size of its own part. Sizes that are asked for by
//! numbers from the catalogs, as psql's `\dt+` does, are those of the home shard, as the catalogs are.

use super::ddl;
use super::plan::Refusal;
use super::refusal;
use super::scene::{Names, Scene};
use super::tables::{self, Location};
use super::text::Text;
use crate::sql::lexer::{LexOptions, literal_text};
use crate::sql::parse::Piece;
use crate::sql::{Literal, TokenKind};

const SIZES: &[&str] = &["pg_indexes_size", "pg_relation_size", "pg_table_size", "pg_total_relation_size"];

/// The names that such functions are called with: another name is another statement.
pub fn named<'a>(text: Text<'a>) -> impl Iterator<Item = (&'static str, &'a Piece)> {
    text.calls().into_iter().filter_map(move |called| {
        let function = SIZES.iter().find(|size| **size == called.name)?;
        let piece = text.pieces.get(called.open + 1)?;
        piece.literal.is_some().then_some((*function, piece))
    })
}

/// # Errors
/// The size of a sharded table is asked for.
pub fn judge(text: Text<'_>, scene: &Scene, names: &Names) -> Result<(), Refusal> {
    for (function, piece) in named(text) {
        let TokenKind::Literal(kind) = piece.token.kind else { continue };
        let literal = Literal { span: piece.token.span.clone(), kind };
        let Some(written) = literal_text(text.sql, &literal) else { continue };
        // As regclass reads it.
        let pieces = super::build::pieces(written.as_bytes(), &LexOptions { standard_conforming_strings: true });
        let Some((table, _)) = ddl::table_name(Text { sql: written.as_bytes(), pieces: &pieces }, 0) else { continue };
        let found = tables::find(scene, names, &table);
        if let Location::Sharded(_) = found.location {
            return Err(refusal::size(function, &found.display));
        }
    }
    Ok(())
}
