//! What a template knows of each statement's way, and how a call's values decide it. In: a [`Route`]
//! and the values of one call. Out: a shard, shards, or a [`Refusal`].

use std::ops::Bound;
use std::sync::Arc;

use super::evaluate::{Call, Value};
use super::gather::Gather;
use super::keys::{self, Lookup, Test};
use super::merge::{Carrying, Merge};
use super::plan::{Absent, Refusal, Way, Why};
use super::refusal;
use super::writes::{Copies, How, Several};
use crate::routing::{NoPlace, Sharded, Unique};
use crate::sql::statement::Constant;
use crate::types::{KeyValue, ShardId};

/// Of one statement.
#[derive(Debug)]
pub struct Routed {
    pub route: Route,
    /// The sharded tables that a hint's key is for, each with its name.
    pub sharded: Vec<(String, Sharded)>,
    /// What is kept unique over all shards and may change by it.
    pub watched: Vec<Arc<Unique>>,
    /// What is known of rows by such columns.
    pub lookups: Arc<[Lookup]>,
}

impl Routed {
    pub fn new(route: Route, sharded: Vec<(String, Sharded)>) -> Self {
        Self { route, sharded, watched: Vec::new(), lookups: Arc::default() }
    }
}

#[derive(Debug)]
pub enum Route {
    /// Goes wherever the rest of its batch or its transaction goes.
    Touched,
    Home,
    /// Reference tables only.
    Any,
    /// Writes a reference table, on every shard.
    Copies(Arc<Copies>),
    Keyed(Keyed),
    /// A definition that every shard must have.
    Everywhere(Way, Absent),
    CopyIn(Arc<super::copy::CopyTarget>),
    /// An INSERT of a query's rows, which are taken to where they belong.
    Transfer(Arc<super::transfer::Transfer>),
    /// Its parts run one after the other.
    Stages(Arc<super::stages::Stages>),
    Refused(Refusal, Override),
}

/// Who may say that a statement is to be run all the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Override {
    /// Nobody: it would leave rows where they aren't found again.
    Never,
    /// The client, by naming the shard.
    Shard,
    /// The client, by naming the shard or the key.
    Key,
}

#[derive(Debug)]
pub struct Keyed {
    pub uses: Vec<Use>,
    /// It reads tables of the home shard as well.
    pub home: bool,
    /// What becomes of it where its rows are on several shards.
    pub spread: Spread,
}

impl Keyed {
    /// That no row may leave the shard that a hint names.
    ///
    /// # Errors
    /// When the statement computes shard keys.
    pub fn stays(&self) -> Result<(), Refusal> {
        match &self.spread {
            Spread::Write(Several { how: How::Moves(moves), .. }) if moves.is_computed() => {
                Err(refusal::key_move(&moves.display, &moves.sharded.key, "A hint says that its rows are on one shard"))
            }
            _ => Ok(()),
        }
    }
}

/// How a statement is answered by several shards: the first of these that is known to be right.
#[derive(Debug)]
pub enum Spread {
    /// Each gives a part of the answer; the parts one after the other are the whole.
    Concatenate,
    /// The parts are merged as they come; where the servers' types don't allow that, the next of the chain.
    Merge(Arc<Merge>, Box<Spread>),
    /// The rows of one of these tables are carried to where the others' are; where all of them have many, the next of
    /// the chain.
    Carry(Arc<[Carrying]>, Box<Spread>),
    /// Rows are gathered, and PostgreSQL answers the statement on them.
    Gather(Arc<Gather>),
    /// It writes on several, in one transaction.
    Write(Several),
    /// The rows of a query are taken to where they belong.
    Transfer(Arc<super::transfer::Transfer>),
    /// Its parts run one after the other.
    Stages(Arc<super::stages::Stages>),
    Refused(Refusal),
}

impl Spread {
    /// The query is a part of a statement, behind `before` other tokens.
    pub(super) fn shift(&mut self, before: usize) {
        match self {
            Self::Merge(_, otherwise) | Self::Carry(_, otherwise) => otherwise.shift(before),
            Self::Gather(gather) => {
                Arc::get_mut(gather).expect("made just now, and not shared yet").shift(before);
            }
            Self::Concatenate | Self::Write(_) | Self::Transfer(_) | Self::Stages(_) | Self::Refused(_) => {}
        }
    }
}

/// A use of a sharded table.
#[derive(Debug)]
pub struct Use {
    pub display: String,
    /// `display`, then the key's column.
    pub column: Arc<str>,
    pub sharded: Sharded,
    pub rows: Rows,
    /// The column cuts trailing blanks: varchar(n).
    pub cuts: bool,
    /// The key's column takes no NULL.
    pub not_null: bool,
}

#[derive(Debug)]
pub enum Rows {
    /// Rows that are there, whose keys pass these tests.
    Matching(Vec<Arc<Test>>),
    /// New rows with these keys.
    New(Vec<Constant>),
}

/// What a use of a table comes to.
#[derive(Debug)]
pub struct Reached {
    /// Ascending; empty: no row can match.
    pub shards: Vec<ShardId>,
    /// A key that was compared with, for explanations.
    pub key: Option<KeyValue>,
}

impl Use {
    /// All rows of a table.
    pub fn of_all(display: &str, sharded: &Sharded) -> Self {
        Self {
            display: display.to_owned(),
            column: format!("{display}.{}", sharded.key).into(),
            sharded: sharded.clone(),
            rows: Rows::Matching(Vec::new()),
            cuts: false,
            not_null: false,
        }
    }

    /// # Errors
    /// For new rows whose shard isn't known.
    pub fn reach(&self, call: &Call<'_>) -> Result<Reached, Refusal> {
        match &self.rows {
            Rows::Matching(tests) => Ok(self.matching(tests, call)),
            Rows::New(keys) => self.new_rows(keys, call),
        }
    }

    /// For the call that there is most often, one that compares the key with one value: its shard and that
    /// value, without a list of shards. `None` where [`Use::reach`] has to say.
    pub fn one_key(&self, call: &Call<'_>) -> Option<(ShardId, KeyValue)> {
        let constant = match &self.rows {
            Rows::Matching(tests) => match &**tests {
                [test] => match &**test {
                    Test::OneOf(values) => match &**values {
                        [only] => only,
                        _ => return None,
                    },
                    _ => return None,
                },
                _ => return None,
            },
            Rows::New(_) => return None,
        };
        let Value::Known(value) = call.value(constant, self.sharded.key_type) else { return None };
        let shard = self.sharded.placement.shard_of(&value).ok()?;
        Some((shard, value))
    }

    /// Why a call has the shards that it has.
    pub fn why(&self, key: Option<KeyValue>) -> Why {
        let column = Arc::clone(&self.column);
        match key {
            Some(value) => Why::Key { column, value, assumed: self.sharded.key_type.is_none() },
            None => Why::Range(column),
        }
    }

    fn matching(&self, tests: &[Arc<Test>], call: &Call<'_>) -> Reached {
        let mut reached = Reached { shards: self.sharded.placement.shards().to_vec(), key: None };
        for test in tests {
            let shards = self.test(test, call, &mut reached.key);
            reached.shards.retain(|shard| shards.contains(shard));
        }
        reached
    }

    /// The shards that may hold rows that pass the test.
    fn test(&self, test: &Test, call: &Call<'_>, key: &mut Option<KeyValue>) -> Vec<ShardId> {
        let all = || self.sharded.placement.shards().to_vec();
        match test {
            Test::OneOf(values) => {
                let mut shards = Vec::new();
                for value in values {
                    match call.value(value, self.sharded.key_type) {
                        Value::Unknown => return all(),
                        Value::Null => {}
                        Value::Known(value) => match self.add(value, &mut shards, key) {
                            Some(()) => {}
                            None => return all(),
                        },
                    }
                }
                shards
            }
            Test::AnyOf(array) => {
                let Some(values) = call.elements(array, self.sharded.key_type) else {
                    return all();
                };
                let mut shards = Vec::new();
                for value in values {
                    if self.add(value, &mut shards, key).is_none() {
                        return all();
                    }
                }
                shards
            }
            Test::Between { low, high } => {
                let (Some(low), Some(high)) = (self.bound(low.as_ref(), call), self.bound(high.as_ref(), call)) else {
                    return Vec::new();
                };
                self.sharded.placement.shards_between(low.as_ref(), high.as_ref())
            }
            Test::Claimed(lookup) => match call.claimed.found.get(*lookup) {
                Some(Some(None)) => Vec::new(),
                Some(Some(Some(value))) => {
                    let mut shards = Vec::new();
                    match self.add(value.clone(), &mut shards, key) {
                        Some(()) => shards,
                        None => all(),
                    }
                }
                _ => all(),
            },
            Test::Either(branches) => {
                let mut shards = Vec::new();
                for branch in branches {
                    let mut passing = all();
                    for test in branch {
                        let found = self.test(test, call, key);
                        passing.retain(|shard| found.contains(shard));
                    }
                    shards.extend(passing);
                }
                shards
            }
        }
    }

    /// `None` when it can't be told where the key is.
    fn add(&self, value: KeyValue, shards: &mut Vec<ShardId>, key: &mut Option<KeyValue>) -> Option<()> {
        match self.sharded.placement.shard_of(&value) {
            Ok(shard) => shards.push(shard),
            Err(NoPlace::OtherType) => return None,
            // No row has such a key.
            Err(NoPlace::AboveRanges | NoPlace::NotListed) => {}
        }
        key.get_or_insert(value);
        Some(())
    }

    /// `None`: compared with NULL, which nothing passes.
    fn bound(&self, bound: Option<&keys::Bound>, call: &Call<'_>) -> Option<Bound<KeyValue>> {
        let Some(bound) = bound else {
            return Some(Bound::Unbounded);
        };
        match call.value(&bound.value, self.sharded.key_type) {
            Value::Null => None,
            Value::Unknown => Some(Bound::Unbounded),
            Value::Known(value) if bound.inclusive => Some(Bound::Included(value)),
            Value::Known(value) => Some(Bound::Excluded(value)),
        }
    }

    fn new_rows(&self, keys: &[Constant], call: &Call<'_>) -> Result<Reached, Refusal> {
        let mut reached = Reached { shards: Vec::new(), key: None };
        for key in keys {
            if let Some((shard, value)) = self.new_row(key, call)? {
                reached.shards.push(shard);
                reached.key.get_or_insert(value);
            }
        }
        reached.shards.sort_unstable();
        reached.shards.dedup();
        Ok(reached)
    }

    /// The shard of a new row; `None`: no such row will be, and whichever server is asked says what is wrong with it.
    ///
    /// # Errors
    /// When it isn't known, or there is none.
    pub fn new_row(&self, key: &Constant, call: &Call<'_>) -> Result<Option<(ShardId, KeyValue)>, Refusal> {
        let column = &self.sharded.key;
        let value = match call.value(key, self.sharded.key_type) {
            Value::Null if self.not_null => return Ok(None),
            Value::Null => return Err(refusal::null_key(&self.display, column)),
            Value::Unknown => return Err(refusal::key_unknown(&self.display, column)),
            Value::Known(KeyValue::Text(text)) if self.cuts && text.ends_with(' ') => {
                return Err(refusal::key_unknown(&self.display, column));
            }
            Value::Known(value) => value,
        };
        match self.sharded.placement.shard_of(&value) {
            Ok(shard) => Ok(Some((shard, value))),
            Err(NoPlace::OtherType) => Err(refusal::key_unknown(&self.display, column)),
            Err(NoPlace::AboveRanges | NoPlace::NotListed) => {
                Err(refusal::no_place(&self.display, column, &show(&value)))
            }
        }
    }
}

/// A key as people write it.
pub fn show(value: &KeyValue) -> String {
    match value {
        KeyValue::Int(value) => value.to_string(),
        KeyValue::Text(text) => format!("'{text}'"),
        KeyValue::Uuid(bytes) => uuid::Uuid::from_bytes(*bytes).to_string(),
        KeyValue::Date(days) => format!("day {days} since 2000-01-01"),
        KeyValue::Timestamp(microseconds) | KeyValue::TimestampTz(microseconds) => {
            format!("{microseconds} us since 2000-01-01")
        }
        KeyValue::Numeric(value) => value.to_string(),
    }
}
