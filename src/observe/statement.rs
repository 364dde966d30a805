//! Figures of statements by their shape, as pg_stat_statements has them: what differs only by values is one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::labels::{Kind, Strategy};
use super::striped::Striped;
use crate::types::limits::{OBSERVED_STATEMENTS_MAX, OBSERVED_TEXT_BYTES_MAX};

/// All statements of one shape.
#[derive(Debug)]
pub struct Statement {
    /// Numbered over the life of the process, from 1.
    pub id: u64,
    pub kind: Kind,
    /// Without values and comments, cut at [`OBSERVED_TEXT_BYTES_MAX`].
    pub text: Box<str>,
    figures: Striped<FIGURES, 4>,
    nanos_max: AtomicU64,
    /// A bit for each [`Strategy`] that was used.
    strategies: AtomicU32,
}

const CALLS: usize = 0;
const NANOS: usize = 1;
const ROWS: usize = 2;
const ERRORS: usize = 3;
const SHARDS: usize = 4;
const FIGURES: usize = 5;

/// One call of a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    pub nanos: u64,
    pub rows: u64,
    pub shards: u32,
    pub strategy: Strategy,
    pub failed: bool,
}

/// What a statement's figures were when they were read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatementReading {
    pub calls: u64,
    pub total: Duration,
    pub longest: Duration,
    pub rows: u64,
    pub errors: u64,
    /// Over all calls.
    pub shards: u64,
    pub strategies: Vec<Strategy>,
}

impl Statement {
    fn new(kind: Kind, text: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut end = text.len().min(OBSERVED_TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            kind,
            text: text.get(..end).unwrap_or_default().into(),
            figures: Striped::default(),
            nanos_max: AtomicU64::new(0),
            strategies: AtomicU32::new(0),
        }
    }

    #[inline]
    pub fn note(&self, call: &Call) {
        let nanos = call.nanos;
        self.figures.add([
            (CALLS, 1),
            (NANOS, nanos),
            (ROWS, call.rows),
            (ERRORS, u64::from(call.failed)),
            (SHARDS, u64::from(call.shards)),
        ]);
        // Both change seldom: a look costs less than a write that takes the line from the other threads.
        if nanos > self.nanos_max.load(Ordering::Relaxed) {
            self.nanos_max.fetch_max(nanos, Ordering::Relaxed);
        }
        let bit = 1 << call.strategy.index();
        if self.strategies.load(Ordering::Relaxed) & bit == 0 {
            self.strategies.fetch_or(bit, Ordering::Relaxed);
        }
    }

    pub fn read(&self) -> StatementReading {
        let strategies = self.strategies.load(Ordering::Relaxed);
        StatementReading {
            calls: self.figures.sum(CALLS),
            total: Duration::from_nanos(self.figures.sum(NANOS)),
            longest: Duration::from_nanos(self.nanos_max.load(Ordering::Relaxed)),
            rows: self.figures.sum(ROWS),
            errors: self.figures.sum(ERRORS),
            shards: self.figures.sum(SHARDS),
            strategies: Strategy::ALL.into_iter().filter(|one| strategies & (1 << one.index()) != 0).collect(),
        }
    }
}

/// The statements of one database that are counted.
#[derive(Debug, Default)]
pub struct Statements {
    by_text: Mutex<HashMap<Box<[u8]>, Arc<Statement>>>,
}

impl Statements {
    /// The figures of the statement that is `normalized` so; `describe` gives its kind and its text if it is new.
    /// When there are too many, those that were called least make room.
    pub fn of(&self, normalized: &[u8], describe: impl FnOnce() -> (Kind, String)) -> Arc<Statement> {
        let key = normalized.get(..OBSERVED_TEXT_BYTES_MAX).unwrap_or(normalized);
        let mut known = self.by_text.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = known.get(key) {
            return Arc::clone(statement);
        }
        if known.len() >= OBSERVED_STATEMENTS_MAX {
            let mut calls: Vec<u64> = known.values().map(|statement| statement.figures.sum(CALLS)).collect();
            let (_, few, _) = calls.select_nth_unstable(OBSERVED_STATEMENTS_MAX / 10);
            let few = *few;
            let mut room = OBSERVED_STATEMENTS_MAX / 10;
            known.retain(|_, statement| {
                let goes = room > 0 && statement.figures.sum(CALLS) <= few;
                room -= usize::from(goes);
                !goes
            });
        }
        let (kind, text) = describe();
        let statement = Arc::new(Statement::new(kind, &text));
        known.insert(key.into(), Arc::clone(&statement));
        statement
    }

    pub fn all(&self) -> Vec<Arc<Statement>> {
        self.by_text.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub fn find(&self, id: u64) -> Option<Arc<Statement>> {
        self.by_text.lock().unwrap_or_else(PoisonError::into_inner).values().find(|one| one.id == id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(millis: u64, strategy: Strategy) -> Call {
        Call { nanos: millis * 1_000_000, rows: 2, shards: 1, strategy, failed: false }
    }

    #[test]
    fn calls_of_one_shape_are_counted_together() {
        let statements = Statements::default();
        let describe = || (Kind::Select, "select ?".to_owned());
        statements.of(b"select \x01", describe).note(&call(3, Strategy::Key));
        let one = statements.of(b"select \x01", || unreachable!("it is known"));
        one.note(&call(5, Strategy::Scatter));
        let read = one.read();
        assert_eq!((read.calls, read.rows, read.errors, read.shards), (2, 4, 0, 2));
        assert_eq!((read.total, read.longest), (Duration::from_millis(8), Duration::from_millis(5)));
        assert_eq!(read.strategies, [Strategy::Key, Strategy::Scatter]);
        assert_eq!(statements.find(one.id).map(|found| found.text.clone()).as_deref(), Some("select ?"));
    }

    #[test]
    fn the_least_called_make_room() {
        let statements = Statements::default();
        let often = statements.of(b"often", || (Kind::Select, "often".to_owned()));
        often.note(&call(1, Strategy::Home));
        for number in 0..3 * OBSERVED_STATEMENTS_MAX {
            statements.of(number.to_string().as_bytes(), || (Kind::Select, number.to_string()));
        }
        let all = statements.all();
        assert!(all.len() <= OBSERVED_STATEMENTS_MAX, "{}", all.len());
        assert!(all.iter().any(|statement| statement.id == often.id));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "é".repeat(OBSERVED_TEXT_BYTES_MAX);
        let statement = Statement::new(Kind::Other, &text);
        assert!(statement.text.len() <= OBSERVED_TEXT_BYTES_MAX && statement.text.len() > OBSERVED_TEXT_BYTES_MAX - 2);
    }
}
