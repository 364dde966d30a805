//! What happens in the proxy, in figures. In: counts and durations from every room, by plain atomic additions. Out:
//! readings, for the console and the HTTP pages. Knows nothing of sockets, plans or configuration, and decides
//! nothing: a proxy without it would answer the same.
//!
//! A hot path adds to counters of its own thread ([`striped`]); locks are for what happens seldom.

pub mod averages;
pub mod client;
pub mod clock;
pub mod database;
pub mod histogram;
pub mod hot;
pub mod labels;
pub mod recent;
pub mod statement;
pub mod striped;
pub mod tally;
pub mod traces;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

pub use client::{Client, Clients, Doing, Entered, Gathering, Introduction};
pub use database::{DatabaseFigures, NodeFigures, NodeTotal, Total};
pub use histogram::{BOUNDS_MICROS, Histogram, Reading, Took};
pub use labels::{Kind, Phase, Pin, Strategy};
pub use recent::{Refused, Slow};
pub use statement::{Call, Statement};
pub use striped::count_alone;

/// Everything that is counted, for the life of the process.
#[derive(Debug)]
pub struct Observed {
    pub started: Instant,
    pub started_at: SystemTime,
    pub clients: Arc<Clients>,
    databases: Mutex<BTreeMap<String, Arc<DatabaseFigures>>>,
    /// 0: no statement is slow.
    slow_nanos: AtomicU64,
    /// Nobody wants requests and statements to be counted.
    uncounted: AtomicBool,
    /// Slow statements are told with their values.
    shows_values: AtomicBool,
    /// Set once, at the start, where traces are on.
    pub tracer: std::sync::OnceLock<Arc<traces::Tracer>>,
}

impl Default for Observed {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            started_at: SystemTime::now(),
            clients: Arc::new(Clients::default()),
            databases: Mutex::new(BTreeMap::new()),
            slow_nanos: AtomicU64::new(0),
            uncounted: AtomicBool::new(false),
            shows_values: AtomicBool::new(false),
            tracer: std::sync::OnceLock::new(),
        }
    }
}

impl Observed {
    /// The figures of the database of that name, made when it is new.
    pub fn database(&self, name: &str) -> Arc<DatabaseFigures> {
        let mut databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = databases.entry(name.to_owned()).or_insert_with(|| Arc::new(DatabaseFigures::new(name)));
        Arc::clone(figures)
    }

    pub fn database_if_known(&self, name: &str) -> Option<Arc<DatabaseFigures>> {
        self.databases.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub fn databases(&self) -> Vec<Arc<DatabaseFigures>> {
        self.databases.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Called at intervals.
    pub fn tick(&self) {
        for figures in self.databases() {
            figures.averages.tick(figures.totals());
        }
    }

    /// Whether requests and statements are counted. What is seldom (errors, refusals, pins) always is.
    #[inline]
    pub fn counts(&self) -> bool {
        !self.uncounted.load(Ordering::Relaxed)
    }

    pub fn set_counts(&self, counts: bool) {
        self.uncounted.store(!counts, Ordering::Relaxed);
    }

    pub fn shows_values(&self) -> bool {
        self.shows_values.load(Ordering::Relaxed)
    }

    pub fn set_shows_values(&self, shows: bool) {
        self.shows_values.store(shows, Ordering::Relaxed);
    }

    /// From when on a statement is slow.
    pub fn slow(&self) -> Option<Duration> {
        Some(self.slow_nanos.load(Ordering::Relaxed)).filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }

    pub fn set_slow(&self, limit: Option<Duration>) {
        let nanos = limit.map_or(0, |limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
        self.slow_nanos.store(nanos, Ordering::Relaxed);
    }
}
