//! An INSERT of a query's rows that says more than what is inserted: ON CONFLICT, RETURNING. In: its parts. Out: how it
//! becomes an INSERT of the rows that the query gave, which is planned as any other.

use std::ops::Range;

use crate::planning::plan::Refusal;
use crate::planning::scene::{Names, Scene};
use crate::planning::stages;
use crate::planning::text::Text;
use crate::planning::writes::{MomentCall, moment_calls, moments_wanted};
use crate::planning::{query, refusal};
use crate::sql::Token;
use crate::sql::statement::Statement;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tail {
    /// The tokens from INSERT up to the query.
    head: Range<usize>,
    /// ON CONFLICT and RETURNING.
    tail: Range<usize>,
    /// Every call of now() and its like, which get one moment for both parts.
    pub moments: Box<[MomentCall]>,
}

impl Tail {
    /// # Errors
    /// Why an INSERT of rows with such an end isn't possible.
    pub(super) fn of(
        text: Text<'_>,
        statement: &Statement,
        (head, tail): (Range<usize>, Range<usize>),
        columns: usize,
        (scene, names): (&Scene, &Names),
    ) -> Result<Self, Refusal> {
        let names_common = head.start > 0 && tail.clone().any(|at| text.is_any(at, &["select", "table"]));
        if names_common {
            // It may name a common table expression, which is gone by then.
            return Err(refusal::not_transferred("WITH and a sub-select in ON CONFLICT or RETURNING"));
        }
        let moments = moment_calls(text, moments_wanted(statement, &scene.functions()))?;
        let made = Self { head, tail, moments };
        let tokens: Vec<Token> = text.pieces.iter().map(|piece| piece.token.clone()).collect();
        let row = format!("({})", vec!["E'1'"; columns].join(", "));
        let sample = made.text(text.sql, &tokens, format!("VALUES {row}, {row}").as_bytes());
        stages::fits(&sample, true, scene, names)?;
        Ok(made)
    }

    /// The INSERT of no row, which has a server check what it checks of any.
    pub fn empty(&self, sql: &[u8], tokens: &[Token], columns: usize) -> Vec<u8> {
        let nulls = vec!["NULL"; columns].join(", ");
        self.text(sql, tokens, format!("SELECT {nulls} WHERE false").as_bytes())
    }

    /// The INSERT of what this source gives.
    pub fn text(&self, sql: &[u8], tokens: &[Token], source: &[u8]) -> Vec<u8> {
        let bytes = |range: &Range<usize>| {
            let span = tokens.get(range.start)?.span.start..tokens.get(range.end.checked_sub(1)?)?.span.end;
            sql.get(span)
        };
        let (head, tail) = (bytes(&self.head).unwrap_or_default(), bytes(&self.tail).unwrap_or_default());
        [head, b" ", source, b" ", tail].concat()
    }
}

/// The statement's tokens without the INSERT itself, where WITH stands in front: a query as it is read.
///
/// # Errors
/// Why it can't be answered on gathered rows.
pub(super) fn gathered(
    text: Text<'_>,
    (head, query): (&Range<usize>, &Range<usize>),
    scene: &Scene,
    names: &Names,
) -> Result<query::Gathered, Refusal> {
    if head.start == 0 {
        let mut gathered = query::gathered(text.range(query.clone()), scene, names)?;
        gathered.gather.shift(query.start);
        return Ok(gathered);
    }
    let before = text.pieces.get(..head.start).unwrap_or_default();
    let pieces = [before, text.pieces.get(query.clone()).unwrap_or_default()].concat();
    let mut gathered = query::gathered(Text { sql: text.sql, pieces: &pieces }, scene, names)?;
    gathered.gather.shift_from(head.start, head.len());
    Ok(gathered)
}
