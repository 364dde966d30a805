//! What is to be done for one call of a statement.

use std::ops::Range;
use std::sync::Arc;

use super::gather::Gather;
use super::merge::{Carrying, Merge, Window};
use super::writes::{Copies, MomentCall, Moves, RowsLayout};
use crate::observe::Strategy;
use crate::types::{ClientError, KeyValue, ShardId, ShardSet, SqlState};

/// Where one call goes. There is no default: a statement that can't be placed is an `Err(Refusal)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Plan {
    /// The one shard that can answer it; raw frames are relayed.
    Single { shard: ShardId, why: Why },
    /// Any one shard gives the same answer (reference tables only): a shard that is already in the
    /// transaction, else the home shard.
    Any,
    /// Each of these shards gives a part; the answer is their concatenation.
    Scatter { shards: ShardSet },
    /// Each of these shards gives a part; the parts are merged as they come. `otherwise` answers it where the
    /// servers' types don't allow that.
    Merge { shards: ShardSet, merge: Arc<Merge>, window: Window, otherwise: Box<Result<Plan, Refusal>> },
    /// The rows of one table are carried to the shards of the others, which give parts that are put together; `otherwise`
    /// answers it where each has too many.
    Carry { ways: Vec<CarryWay>, otherwise: Box<Plan> },
    /// PostgreSQL answers it on the scratch database, on rows that are gathered from the shards.
    Gather {
        gather: Arc<Gather>,
        /// Of each of its tables.
        pulls: Vec<Pull>,
    },
    /// Definitions that every shard must have alike.
    Definition(Definition),
    /// Each of these shards writes its share, all in one transaction; the answer is their shares one after the other.
    /// The calls of now() and its like become one moment.
    WriteAll { shards: ShardSet, moments: Arc<[MomentCall]> },
    /// Each shard inserts its rows, all in one transaction.
    InsertByShard(Arc<RowsByShard>),
    /// An UPDATE of rows on `sources` that sets the shard key: they go where their new keys belong, all of them to `goal`
    /// if that is known.
    Move { sources: ShardSet, goal: Option<ShardId>, moves: Arc<Moves> },
    /// The same on every shard, in one transaction: its copies of a reference table. The answer is the home shard's.
    WriteCopies { shards: ShardSet, home: ShardId, copies: Arc<Copies> },
    /// The rows of a query are made on the scratch database and go each to its shard; what its tables are read from.
    Transfer { transfer: Arc<super::transfer::Transfer>, pulls: Vec<Pull> },
    /// Its parts run one after the other, and the rows of one are written into the text of the next; of each step the
    /// conditions of this call, as SQL.
    Stages { stages: Arc<super::stages::Stages>, conditions: Vec<String> },
    /// COPY FROM STDIN: each row goes to its shard, or to all.
    CopyIn(Arc<super::copy::CopyTarget>),
    /// Statements of one Query that don't all go to one shard: each is planned by itself, in one transaction.
    Batch,
    /// Session and transaction state only: every shard that is in the transaction, else the home shard.
    Touched,
}

/// One table that may be carried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CarryWay {
    /// Of [`CarryWay::of`].
    pub number: usize,
    pub of: Arc<[Carrying]>,
    /// Where its rows are.
    pub from: Vec<ShardId>,
    /// What is asked there.
    pub asked: String,
    /// Where the others' rows are.
    pub to: ShardSet,
}

impl CarryWay {
    pub fn carrying(&self) -> Option<&Carrying> {
        self.of.get(self.number)
    }
}

/// What is read of one table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pull {
    /// None: no row of it can matter.
    pub shards: Vec<ShardId>,
    /// SQL for the rows that are wanted; empty: all of them.
    pub condition: String,
}

/// A text with at least one statement that runs on every shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Definition {
    /// One for each statement of the text.
    pub steps: Vec<Step>,
}

/// One statement of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// On one shard, within the transaction of the text.
    One(ShardId),
    /// BEGIN, COMMIT, SET CONSTRAINTS and the like: on the shards of the transaction.
    Touched,
    /// On every shard; on others than the home shard without these parts of a list of names, by positions of tokens in
    /// the statement: tables that only the home shard has.
    Everywhere(Way, Absent),
}

/// Parts of a list, each with the comma that goes with it.
pub type Absent = Arc<[Range<usize>]>;

/// How a statement runs on every shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// In one transaction, which all commit or none.
    Together,
    /// The same, for a table: its sequences serve no numbers on other shards than the home shard.
    Table,
    /// The same, for a function: what its body reads need be on the home shard only.
    Bodies,
    /// On the home shard alone, but not into Shardway's own schema, which a role of that name has first in its path.
    AtHome,
    /// As [`Way::Together`], but once on each server: what the databases of one server share, as roles.
    Servers,
    /// As [`Way::Together`], but only in a block of the client's: LOCK.
    InBlock,
    /// CREATE TABLE of a table that the configuration's rule places: with the comment that says so.
    Ruled,
    /// A comment that places a new table of the home shard: it is made on the others first.
    Placing,
    /// One shard after the other, outside of a transaction.
    Apart,
}

impl Plan {
    /// How the statement is answered, in one word for figures, and by how many shards.
    pub fn strategy(&self) -> (Strategy, usize) {
        match self {
            Self::Single { why, .. } => (why.strategy(), 1),
            Self::Any => (Strategy::Reference, 1),
            Self::Scatter { shards } => (Strategy::Scatter, shards.as_slice().len()),
            Self::Merge { shards, .. } => (Strategy::Merge, shards.as_slice().len()),
            Self::Carry { ways, otherwise } => {
                let mut shards: Vec<ShardId> =
                    ways.iter().flat_map(|way| way.from.iter().chain(way.to.as_slice())).copied().collect();
                shards.sort_unstable();
                shards.dedup();
                if shards.is_empty() { otherwise.strategy() } else { (Strategy::Merge, shards.len()) }
            }
            Self::Gather { pulls, .. } => {
                let mut shards: Vec<ShardId> = pulls.iter().flat_map(|pull| &pull.shards).copied().collect();
                shards.sort_unstable();
                shards.dedup();
                (Strategy::Gather, shards.len())
            }
            Self::CopyIn(target) => (Strategy::Split, target.shards.len()),
            Self::Transfer { transfer, .. } => (Strategy::Split, transfer.target.shards.len()),
            // Each part has a plan of its own.
            Self::Stages { .. } => (Strategy::WriteSeveral, 0),
            // On all shards there are, mostly, which the plan doesn't say.
            Self::Definition(_) => (Strategy::Definition, 0),
            Self::WriteAll { shards, .. } => (Strategy::WriteSeveral, shards.as_slice().len()),
            Self::WriteCopies { shards, .. } => (Strategy::WriteSeveral, shards.as_slice().len()),
            Self::Move { sources, .. } => (Strategy::WriteSeveral, sources.as_slice().len()),
            Self::InsertByShard(rows) => (Strategy::Split, rows.shares.len()),
            // Each of its statements has a plan of its own.
            Self::Batch | Self::Touched => (Strategy::Session, 1),
        }
    }
}

/// The rows of an INSERT, by their positions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowsByShard {
    pub layout: Arc<RowsLayout>,
    /// In ascending order of shards and of rows.
    pub shares: Vec<(ShardId, Vec<usize>)>,
    /// The key of each row; `None` for one without, which is an error.
    pub keys: Vec<Option<KeyValue>>,
    /// Values that a row on another shard may have: each row goes where that row is, if there is one.
    pub wanted: Vec<super::writes::watch::Wanted>,
}

impl RowsByShard {
    pub fn shards(&self) -> impl Iterator<Item = ShardId> {
        self.shares.iter().map(|(shard, _)| *shard)
    }
}

/// For EXPLAIN, `shardway plan` and the logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// The database has one shard.
    OnlyShard,
    /// The key has this value; where there are several, the first. Made text only for those who ask: every
    /// call of a statement by key comes by here.
    Key {
        /// `table.key`.
        column: Arc<str>,
        value: KeyValue,
        /// The key's type is taken from the value.
        assumed: bool,
    },
    /// Only this shard holds keys in the range that is asked for; `table.key`.
    Range(Arc<str>),
    /// The conditions on the shard key can't be true for any row: any shard's answer is the answer.
    NoRows,
    /// Tables that live on the home shard, or none at all.
    Home,
    /// The client named the shard or the key in a hint or by SET shardway.key / shardway.shard.
    Hint,
}

impl Why {
    fn strategy(&self) -> Strategy {
        match self {
            Self::OnlyShard => Strategy::OnlyShard,
            Self::Key { .. } => Strategy::Key,
            Self::Range(_) => Strategy::Range,
            Self::NoRows => Strategy::NoRows,
            Self::Home => Strategy::Home,
            Self::Hint => Strategy::Hint,
        }
    }
}

/// If a replica may run it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Known to write nothing, lock nothing and call nothing volatile.
    Read,
    Write,
}

/// Why a statement is not run: always SQLSTATE 0A000 unless the statement itself is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub state: SqlState,
    /// What was not possible, one sentence without a final stop.
    pub message: String,
    /// Why.
    pub detail: String,
    /// What to write instead.
    pub hint: String,
}

impl Refusal {
    pub fn new(message: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            state: SqlState::FEATURE_NOT_SUPPORTED,
            message: message.into(),
            detail: detail.into(),
            hint: hint.into(),
        }
    }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        ClientError::new(refusal.state, refusal.message).detail(refusal.detail).hint(refusal.hint)
    }
}
