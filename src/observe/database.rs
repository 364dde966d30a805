//! The figures of one database and of its nodes. They outlive reloads: a database of the same name goes on counting.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::averages::Averages;
use super::histogram::{Histogram, Took};
use super::hot::Hot;
use super::labels::{Kind, Pin, Strategy};
use super::recent::{Recent, Refused, Slow};
use super::statement::Statements;
use super::striped::Striped;
use super::tally::Tally;

#[derive(Debug)]
pub struct DatabaseFigures {
    pub name: Box<str>,
    totals: Striped<{ Total::COUNT }, 8>,
    pub averages: Averages,
    /// By kind and strategy; made at the first use.
    durations: [[OnceLock<Box<Histogram>>; Strategy::ALL.len()]; Kind::ALL.len()],
    nodes: Mutex<BTreeMap<NodeName, Arc<NodeFigures>>>,
    /// Errors that clients got, by SQLSTATE.
    pub errors: Tally,
    /// Statements that Shardway refused, by the message.
    pub refusals: Tally,
    /// What became of transactions that wrote several shards.
    pub two_phase: Tally,
    /// Statements that ran again since their server was lost.
    pub reruns: Tally,
    pub pins: [Pinned; Pin::ALL.len()],
    pub recent_refusals: Recent<Refused>,
    pub slow: Recent<Slow>,
    pub statements: Statements,
    pub hot: Hot,
}

/// How often clients were pinned for one reason.
#[derive(Debug, Default)]
pub struct Pinned(std::sync::atomic::AtomicU64);

impl Pinned {
    pub fn add(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    pub fn read(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// What is summed up for a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Total {
    Transactions,
    /// Requests up to ReadyForQuery, which is what PgBouncer calls queries.
    Requests,
    /// Bytes from clients.
    Received,
    /// Bytes to clients.
    Sent,
    TransactionNanos,
    RequestNanos,
    /// For a connection.
    WaitNanos,
    /// Statements whose template was known.
    TemplateHits,
    TemplateMisses,
}

impl Total {
    pub const COUNT: usize = 9;
}

/// What a node is known by over reloads: shard, role and address.
type NodeName = (String, String);

#[derive(Debug)]
pub struct NodeFigures {
    pub shard: String,
    is_replica: AtomicBool,
    pub address: String,
    /// Of statements that ran on this node alone.
    pub durations: Histogram,
    /// Waits for a connection that wasn't free at once.
    pub waits: Histogram,
    totals: Striped<{ NodeTotal::COUNT }, 8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeTotal {
    /// Statements that ran on this node and on others.
    SharedStatements,
    Connects,
    ConnectFailures,
    /// Waits for a connection that were given up.
    WaitTimeouts,
    /// Looks at the node that it answered.
    Checks,
    ChecksFailed,
}

impl NodeTotal {
    pub const COUNT: usize = 6;
}

impl DatabaseFigures {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            totals: Striped::default(),
            averages: Averages::default(),
            durations: std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new())),
            nodes: Mutex::new(BTreeMap::new()),
            errors: Tally::default(),
            refusals: Tally::default(),
            two_phase: Tally::default(),
            reruns: Tally::default(),
            pins: std::array::from_fn(|_| Pinned::default()),
            recent_refusals: Recent::default(),
            slow: Recent::default(),
            statements: Statements::default(),
            hot: Hot::default(),
        }
    }

    #[inline]
    pub fn add<const M: usize>(&self, amounts: [(Total, u64); M]) {
        self.totals.add(amounts.map(|(total, amount)| (total as usize, amount)));
    }

    pub fn total(&self, total: Total) -> u64 {
        self.totals.sum(total as usize)
    }

    pub fn totals(&self) -> [u64; Total::COUNT] {
        std::array::from_fn(|at| self.totals.sum(at))
    }

    #[inline]
    pub fn record(&self, kind: Kind, strategy: Strategy, took: Took) {
        self.durations[kind.index()][strategy.index()].get_or_init(|| Box::new(Histogram::default())).record(took);
    }

    /// Every combination that occurred.
    pub fn durations(&self) -> impl Iterator<Item = (Kind, Strategy, &Histogram)> {
        Kind::ALL.into_iter().flat_map(move |kind| {
            Strategy::ALL.into_iter().filter_map(move |strategy| {
                let histogram = self.durations[kind.index()][strategy.index()].get()?;
                Some((kind, strategy, &**histogram))
            })
        })
    }

    /// The figures of a node, made when it is new.
    pub fn node(&self, shard: &str, address: &str) -> Arc<NodeFigures> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (shard.to_owned(), address.to_owned());
        let node = nodes.entry(name).or_insert_with(|| {
            Arc::new(NodeFigures {
                shard: shard.to_owned(),
                is_replica: AtomicBool::new(false),
                address: address.to_owned(),
                durations: Histogram::default(),
                waits: Histogram::default(),
                totals: Striped::default(),
            })
        });
        Arc::clone(node)
    }

    pub fn nodes(&self) -> Vec<Arc<NodeFigures>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl NodeFigures {
    /// As it was found last.
    pub fn role(&self) -> &'static str {
        if self.is_replica.load(Ordering::Relaxed) { "replica" } else { "primary" }
    }

    pub fn note_role(&self, is_replica: bool) {
        self.is_replica.store(is_replica, Ordering::Relaxed);
    }

    pub fn add(&self, total: NodeTotal) {
        self.totals.add([(total as usize, 1)]);
    }

    pub fn total(&self, total: NodeTotal) -> u64 {
        self.totals.sum(total as usize)
    }
}
