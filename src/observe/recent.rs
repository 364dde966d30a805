//! The last few of what is worth a look: slow statements, refusals.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::labels::Strategy;
use crate::types::limits::RECENT_MAX;

/// The last [`RECENT_MAX`] of something.
#[derive(Debug)]
pub struct Recent<T> {
    entries: Mutex<VecDeque<T>>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { entries: Mutex::new(VecDeque::new()) }
    }
}

impl<T: Clone> Recent<T> {
    pub fn push(&self, entry: T) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= RECENT_MAX {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// The latest first.
    pub fn read(&self) -> Vec<T> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }
}

/// A statement that took longer than it should, without the values in it.
#[derive(Clone, Debug)]
pub struct Slow {
    pub at: SystemTime,
    pub user: Box<str>,
    pub client: u32,
    pub took: Duration,
    /// Of it, for a connection.
    pub waited: Duration,
    pub rows: u64,
    pub strategy: Strategy,
    pub shards: u32,
    pub statement: Box<str>,
}

/// A statement that was refused, and what its author was told.
#[derive(Clone, Debug)]
pub struct Refused {
    pub at: SystemTime,
    pub user: Box<str>,
    pub message: Box<str>,
    pub detail: Box<str>,
    pub hint: Box<str>,
    pub statement: Box<str>,
}
