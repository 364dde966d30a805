//! Writes that no shard can do with what it has: the parts of the statement run one after the other, and the rows that
//! one gives are written into the text of the next. In: a statement that no other way was found for. Out: [`Stages`].
//!
//! What is read is read before anything is written, and of a table that another part writes only then, so that no part
//! sees what another one has written but through RETURNING: as with the one snapshot of one server. Each part is a
//! statement that is planned by itself, so that whatever is refused for such a statement is refused here too.

mod affected;
mod references;
mod rows;
mod units;

use std::ops::Range;

use super::evaluate::Call;
use super::gather::{Condition, conditions_sql};
use super::plan::Refusal;
use super::query;
use super::refusal;
use super::route::{Keyed, Route, Spread};
use super::scene::{Names, Scene};
use super::text::Text;
use super::writes::{MomentCall, moment_calls, moments_wanted};
use super::{Filling, build};
use crate::sql::LexOptions;
use crate::sql::statement::Statement;
use crate::types::ShardId;
use rows::assembled;
pub use rows::{element, row, rows_sql, with_parameters};

/// What is to be done, whatever the statement's values are.
#[derive(Debug)]
pub struct Stages {
    /// In the order in which they are run.
    pub steps: Vec<Step>,
    /// The tokens of the statement itself, without WITH where every part of that is a step.
    pub main: Range<usize>,
    /// Every call of now() and its like, which get one moment for all parts.
    pub moments: Box<[MomentCall]>,
    /// The statement itself writes.
    pub main_writes: bool,
}

/// Plans are compared in tests only.
impl PartialEq for Stages {
    fn eq(&self, other: &Self) -> bool {
        self.steps == other.steps && self.main == other.main
    }
}

impl Eq for Stages {}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    pub source: Source,
    /// As messages and EXPLAIN show it.
    pub shown: String,
    pub writes: bool,
    pub places: Vec<Place>,
    /// What the columns are called, where the statement says so.
    pub columns: Vec<String>,
}

/// What a step runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// These tokens of the client's.
    Tokens(Range<usize>),
    /// Rows of a table, as far as they can matter, on the shards that have it.
    Table {
        sql: String,
        shards: Vec<ShardId>,
        conditions: Vec<Condition>,
        collations: Vec<Option<String>>,
        /// Its name, if a temporary relation of the client's may hide it.
        may_be_hidden: Option<String>,
    },
}

/// Where a step's rows are put: in the place of these tokens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub tokens: Range<usize>,
    pub form: Form,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Form {
    /// The query within parentheses that are there.
    Query,
    /// A table in FROM, whose name the rows have; `None`: an alias follows.
    Relation(Option<String>),
}

/// Stands for rows that aren't known yet.
const SAMPLE: &[u8] = b"SELECT c1::text AS \"?column?\" FROM pg_catalog.unnest(E'{}'::text[]) AS shardway_rows (c1)";

/// `None` where the statement isn't of this kind, or where its parts can't be kept from each other.
pub fn plan(text: Text<'_>, statement: &Statement, scene: &Scene, names: &Names) -> Option<Stages> {
    if scene.map.shard_count() < 2 || scene.catalog.is_none() || statement.writes.is_empty() {
        return None;
    }
    let locks = statement.scopes.iter().any(|scope| scope.features.locking);
    // Names behind ONLY aren't looked for, and locks of what is read would be given up too early.
    if statement.system_columns || statement.dated_output || locks || text.has_only() {
        return None;
    }
    let units = units::divide(text, scene, names)?;
    let writes = units.iter().filter(|unit| unit.writes).count();
    if writes != statement.writes.len() {
        return None;
    }
    let affected = affected::of(&units, scene)?;
    let steps = references::find(text, &units, &affected, scene, names)?;
    if steps.is_empty() {
        return None;
    }
    let moments = moment_calls(text, moments_wanted(statement, &scene.functions())).ok()?;
    let main = units.last()?.tokens.clone();
    let stages = Stages { steps, main, moments, main_writes: units.last().is_some_and(|unit| unit.writes) };
    stages.check(text, scene, names).ok()?;
    Some(stages)
}

impl Stages {
    /// That each part could be planned, with rows of whatever values.
    fn check(&self, text: Text<'_>, scene: &Scene, names: &Names) -> Result<(), Refusal> {
        let tokens: Vec<_> = text.pieces.iter().map(|piece| piece.token.clone()).collect();
        let sample = |_: usize| Some(SAMPLE);
        for step in &self.steps {
            if let Source::Tokens(range) = &step.source {
                fits(&self.text_of(text.sql, &tokens, range, &sample), step.writes, scene, names)?;
            }
        }
        fits(&self.text_of(text.sql, &tokens, &self.main, &sample), self.main_writes, scene, names)
    }

    /// A part's text, with the rows of earlier steps in it.
    pub fn text_of<'r>(
        &self,
        sql: &[u8],
        tokens: &[crate::sql::Token],
        range: &Range<usize>,
        rows: &dyn Fn(usize) -> Option<&'r [u8]>,
    ) -> Vec<u8> {
        let places =
            self.steps.iter().enumerate().flat_map(|(at, step)| step.places.iter().map(move |place| (at, place)));
        let mut inside: Vec<(usize, &Place)> = places
            .filter(|(_, place)| {
                place.tokens.start >= range.start && place.tokens.end <= range.end && place.tokens != *range
            })
            .collect();
        inside.sort_by_key(|(_, place)| (place.tokens.start, std::cmp::Reverse(place.tokens.end)));
        assembled(sql, tokens, range, &inside, rows)
    }

    /// Relations of the home shard that a temporary one of the client's may hide, by name.
    pub fn may_be_hidden(&self) -> Vec<String> {
        let name = |step: &Step| match &step.source {
            Source::Table { may_be_hidden, .. } => may_be_hidden.clone(),
            Source::Tokens(_) => None,
        };
        self.steps.iter().filter_map(name).collect()
    }

    /// The SQL of each table's conditions in this call.
    pub fn conditions(&self, call: &Call<'_>) -> Vec<String> {
        let of = |step: &Step| match &step.source {
            Source::Table { conditions, .. } => conditions_sql(conditions, call),
            Source::Tokens(_) => String::new(),
        };
        self.steps.iter().map(of).collect()
    }
}

/// # Errors
/// Why a part can't be run.
pub(super) fn fits(sql: &[u8], writes: bool, scene: &Scene, names: &Names) -> Result<(), Refusal> {
    let options = LexOptions { standard_conforming_strings: names.standard_conforming_strings };
    let pieces = build::pieces(sql, &options);
    let text = Text { sql, pieces: &pieces };
    if let Some(filling) = Filling::of(text, 0, scene, names) {
        let (filled, _) = filling.apply(sql, &options, |_| "1".to_owned());
        return accepted(&filled, writes, scene, names);
    }
    accepted(sql, writes, scene, names)
}

fn accepted(sql: &[u8], writes: bool, scene: &Scene, names: &Names) -> Result<(), Refusal> {
    let options = LexOptions { standard_conforming_strings: names.standard_conforming_strings };
    let pieces = build::pieces(sql, &options);
    let routed = query::route_alone(Text { sql, pieces: &pieces }, scene, names);
    match (routed.route, writes) {
        (Route::Refused(refusal, _), _) => Err(refusal),
        (Route::Keyed(Keyed { spread: Spread::Refused(refusal), .. }), _) => Err(refusal),
        (Route::Keyed(Keyed { spread: Spread::Write(_) | Spread::Transfer(_), .. }), true) => Ok(()),
        (Route::Home | Route::Copies(_) | Route::Transfer(_), true) => Ok(()),
        (Route::Home | Route::Any, false) => Ok(()),
        (Route::Keyed(Keyed { spread: Spread::Concatenate | Spread::Gather(_), .. }), false) => Ok(()),
        (Route::Keyed(Keyed { spread: Spread::Merge(_, otherwise), .. }), false)
            if matches!(*otherwise, Spread::Gather(_) | Spread::Concatenate) =>
        {
            Ok(())
        }
        _ => Err(refusal::many_writes()),
    }
}
