//! `now()` and its like within a transaction that is on several shards: each shard's own transaction began at another
//! moment, so that others than the first are told the first one's. In: the tokens of a statement. Out: [`Stamps`], which
//! make of a client's text one that says the moment.
//!
//! What a server evaluates out of sight (a trigger, a function's body) isn't found here.

use std::ops::Range;

use super::plan::Refusal;
use super::query;
use super::refusal;
use super::scene::{Names, Scene};
use super::text::Text;
use super::writes::{MomentCall, MomentKind, found_moments, moments_wanted};
use crate::protocol::moved::Moved;
use crate::sql::statement::Place;
use crate::sql::{LexOptions, Tokens};

/// The calls of a text with one statement.
#[derive(Debug)]
pub struct Stamps {
    /// By the text's tokens, in their order.
    calls: Vec<Stamp>,
    /// One of them may name a column of the result, whose name is then that of the call.
    are_shown: bool,
    /// Not all of them are of a kind that is known here.
    is_unknown: bool,
}

#[derive(Debug)]
struct Stamp {
    call: MomentCall,
    name: String,
}

impl Stamps {
    /// `base` is the position of the statement's first token in the text. `None`: it doesn't ask for the time.
    pub fn of(text: Text<'_>, base: usize, scene: &Scene, names: &Names) -> Option<Self> {
        let found = found_moments(text);
        if found.is_empty() {
            return None;
        }
        let (mut are_shown, mut is_unknown) = (true, false);
        if let Some((statement, _)) = query::read(text, scene, names) {
            let functions = scene.functions();
            let is_moment = |call: &&crate::sql::statement::Call| {
                functions.class_of(call.schema.as_deref(), &call.name, call.arguments)
                    == super::functions::Class::Moment
            };
            are_shown = statement.calls.iter().filter(is_moment).any(|call| call.place == Place::Output);
            is_unknown = moments_wanted(&statement, &functions) != found.len();
        }
        let stamp = |call: MomentCall| {
            let last = if text.punct(call.tokens.start + 1, b'.') { call.tokens.start + 2 } else { call.tokens.start };
            let name = text.name(last)?;
            let shift = |range: Range<usize>| range.start + base..range.end + base;
            let call = MomentCall { tokens: shift(call.tokens), precision: call.precision.map(shift), kind: call.kind };
            Some(Stamp { call, name })
        };
        // The moment of a statement is its server's own wherever it runs.
        let calls = found.into_iter().filter(|call| call.kind != MomentKind::Statement).map(stamp);
        let calls = calls.collect::<Option<Vec<_>>>()?;
        (!calls.is_empty()).then_some(Self { calls, are_shown, is_unknown })
    }

    /// The text with the moment, which `value` is as an expression of type timestamptz; and how it differs.
    ///
    /// # Errors
    /// For calls that aren't understood.
    pub fn apply(&self, sql: &[u8], options: &LexOptions, value: &str) -> Result<(Vec<u8>, Moved), Refusal> {
        if self.is_unknown {
            return Err(refusal::moment());
        }
        let tokens: Vec<_> = Tokens::new(sql, options).map(|token| token.span).collect();
        let bytes = |range: &Range<usize>| {
            let place = tokens.get(range.clone()).and_then(|spans| Some(spans.first()?.start..spans.last()?.end));
            place.unwrap_or(sql.len()..sql.len())
        };
        let characters = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().count();
        let mut out = Vec::with_capacity(sql.len() + 64 * self.calls.len());
        let mut moved = Moved::default();
        let (mut copied, mut written) = (0, 0);
        for stamp in &self.calls {
            let place = bytes(&stamp.call.tokens);
            let before = sql.get(copied..place.start).unwrap_or_default();
            let precision = stamp.call.precision.as_ref().and_then(|tokens| sql.get(bytes(tokens)));
            let mut said = b"(".to_vec();
            if self.are_shown {
                said.extend_from_slice(b"SELECT ");
            }
            stamp.call.kind.write_of(value, precision.unwrap_or_default(), &mut said);
            if self.are_shown {
                // A sub-select has the name of its column, as a call has its function's.
                said.extend_from_slice(format!(" AS \"{}\"", stamp.name).as_bytes());
            }
            said.push(b')');
            out.extend_from_slice(before);
            written += characters(before);
            moved.note(written, characters(&said), characters(sql.get(place.clone()).unwrap_or_default()));
            written += characters(&said);
            out.extend_from_slice(&said);
            copied = place.end;
        }
        out.extend_from_slice(sql.get(copied..).unwrap_or_default());
        Ok((out, moved))
    }
}
