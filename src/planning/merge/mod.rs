//! SELECTs over several shards that are answered while the shards' rows stream by: merged by ORDER BY, cut by
//! LIMIT, or groups put together. In: a statement, its keys and its text. Out: what each shard is asked, and
//! how the answers become one; or nothing wherever that isn't known to be right.
//!
//! Types and collations are the servers' to say: what depends on them is decided by the first call
//! ([`Verdict`]), which asks one.

mod amount;
mod build;
mod carried;
mod facts;
mod finish;
mod grouped;
mod ordered;
mod scan;
mod splice;
mod verdict;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

pub use amount::Amounts;
pub use build::Way;
pub use build::build;
pub use carried::{Carried, Carrying, carried};
pub use facts::{Fact, Facts, answer, question};
pub use finish::{Finish, finish};
pub use splice::{Splice, Spliced, tokens};
pub use verdict::{Described, Description, KeyOrder, Native, OrderKind, Verdict, needs_facts, ordered};

use amount::Amount;
use grouped::Grouped;

/// A statement that several shards answer together.
#[derive(Debug)]
pub struct Merge {
    /// What each shard is asked.
    pub shard: Splice,
    /// Tokens before the statement: those of an EXPLAIN.
    pub base: usize,
    pub task: Task,
    limit: Option<Amount>,
    offset: Option<Amount>,
    pub verdicts: Verdicts,
    /// Only the first rows are locked.
    pub lock: Option<Lock>,
    /// Arrays that stand for a table in what each shard is asked, behind the client's parameters.
    pub arrays: usize,
    /// How many parameters the client's text has, where there are such arrays.
    pub parameters: usize,
    /// For EXPLAIN.
    pub shown: String,
}

/// What first calls learnt of the types, by the types that they declared for the parameters.
#[derive(Debug, Default)]
pub struct Verdicts(Mutex<Vec<Known>>);

type Known = (Box<[u8]>, Arc<Verdict>);

impl Verdicts {
    /// How many are kept; drivers declare the same types in each call, or none.
    const KEPT_MAX: usize = 8;

    pub fn get(&self, declared: &[u8]) -> Option<Arc<Verdict>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(types, _)| **types == *declared).map(|(_, verdict)| Arc::clone(verdict))
    }

    pub fn keep(&self, declared: &[u8], verdict: &Arc<Verdict>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::KEPT_MAX {
            known.remove(0);
        }
        known.push((declared.into(), Arc::clone(verdict)));
    }
}

/// How the first rows are locked.
#[derive(Debug)]
pub struct Lock {
    /// What [`Merge::shard`] asks without a limit, behind which one can stand; and it locks.
    pub asked: Splice,
    /// SKIP LOCKED.
    pub skips: bool,
}

#[derive(Debug)]
pub enum Task {
    /// Behind the client's columns each row has one for each key; rows come sorted.
    Ordered { keys: Vec<Key>, has_unnamed: bool },
    /// Each shard gives its parts of the groups, which PostgreSQL puts together.
    Grouped(Box<Grouped>),
}

/// A key of ORDER BY.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    pub descending: bool,
    pub nulls_first: bool,
    /// Written as a name alone, and taken for an input column since no output is known to be called so.
    pub input: Option<Box<str>>,
}

/// Which rows of the whole are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    pub skip: u64,
    pub take: Option<u64>,
}

/// A plan is compared with others in tests and never by its parts.
impl PartialEq for Merge {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Merge {}

impl Merge {
    fn new(base: usize, shard: Splice, task: Task, shown: String) -> Self {
        Self {
            shard,
            base,
            task,
            limit: None,
            offset: None,
            verdicts: Verdicts::default(),
            lock: None,
            arrays: 0,
            parameters: 0,
            shown,
        }
    }

    /// If the literals that the template took for the same are the same in this text.
    pub fn holds(&self, sql: &[u8], tokens: &[Range<usize>]) -> bool {
        let Task::Grouped(grouped) = &self.task else { return true };
        let word = |at: &usize| tokens.get(*at).and_then(|token| sql.get(token.clone()));
        grouped.same.iter().all(|(one, other)| word(one).is_some() && word(one) == word(other))
    }

    /// What each shard is asked by a call with this text, and by its EXPLAIN where it is one.
    pub fn render(&self, sql: &[u8], tokens: &[Range<usize>], explains: bool) -> Option<Spliced> {
        let before = Splice::default().client(0..if explains { self.base } else { 0 });
        before.all(&self.shard).render(sql, tokens)
    }

    /// The client's statement without EXPLAIN.
    pub fn statement<'a>(&self, sql: &'a [u8], tokens: &[Range<usize>]) -> Option<&'a [u8]> {
        sql.get(tokens.get(self.base)?.start..)
    }

    /// How many columns of the proxy's own each shard gives.
    pub fn hidden(&self) -> usize {
        match &self.task {
            Task::Ordered { keys, .. } => keys.len(),
            Task::Grouped(grouped) => grouped.columns(),
        }
    }
}

/// The name of a column of the proxy's own.
pub fn column(number: usize) -> String {
    format!("\"shardway {number}\"")
}
