//! Statements of transactions over several shards while they run: a deadlock among them shows on no single
//! server. A session says what it has where; `server::deadlocks` looks at those that run for long.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use super::cancel::Cancellable;
use super::turn::Session;
use crate::protocol::backend::Status;
use crate::transaction::deadlock::WaiterId;
use crate::types::ShardId;

/// A statement that runs in a transaction over several shards.
#[derive(Debug)]
pub struct Waiter {
    pub id: WaiterId,
    pub since: Instant,
    /// The server processes of its transaction.
    pub processes: Vec<(ShardId, u32)>,
    cancel: Arc<Cancellable>,
    chosen: Arc<AtomicBool>,
}

impl Waiter {
    /// It is the one that gives way.
    pub async fn choose(&self) {
        self.chosen.store(true, Ordering::Release);
        self.cancel.cancel().await;
    }
}

/// All of a database.
#[derive(Debug, Default)]
pub struct Waiters {
    running: Mutex<HashMap<WaiterId, Arc<Waiter>>>,
    /// There was none before.
    pub arrived: Notify,
}

impl Waiters {
    pub fn is_empty(&self) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Those that have run for so long.
    pub fn older_than(&self, age: Duration) -> Vec<Arc<Waiter>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().filter(|waiter| waiter.since.elapsed() >= age).cloned().collect()
    }

    fn enter(self: &Arc<Self>, waiter: Waiter) -> Waiting {
        let waiter = Arc::new(waiter);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_empty() {
            self.arrived.notify_one();
        }
        running.insert(waiter.id, Arc::clone(&waiter));
        Waiting { waiters: Arc::clone(self), waiter }
    }
}

/// While it lives the statement runs.
pub struct Waiting {
    waiters: Arc<Waiters>,
    waiter: Arc<Waiter>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waiters.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.waiter.id);
    }
}

/// Tenths of seconds in front, so that later ones are larger; a counter behind, so that no two of this process
/// are equal. Of two processes two that begin within the same tenth may be, once in 4,096 times.
fn new_id() -> WaiterId {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let tenths = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() / 100);
    let tenths = u32::try_from(tenths % (1 << 20)).unwrap_or(0);
    let counter = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id());
    WaiterId((tenths << 12) | (counter & 0xfff))
}

impl Session {
    /// Says that a statement of the client's begins to run, if its transaction is on several shards.
    pub(super) fn watch_waiting(&mut self) -> Option<Waiting> {
        if self.transaction.held().len() < 2 || !(self.transaction.in_block() || self.transaction.is_spread()) {
            return None;
        }
        let id = *self.transaction.waiter.get_or_insert_with(new_id);
        let takes_part =
            |held: &&crate::transaction::Held| held.lease.status != Status::Idle || held.lease.unanswered > 0;
        let processes: Vec<(ShardId, u32)> = self
            .transaction
            .held()
            .iter()
            .filter(takes_part)
            .map(|held| (held.shard, held.lease.key.process_id))
            .collect();
        let chosen = Arc::new(AtomicBool::new(false));
        for held in self.transaction.held_mut() {
            held.lease.gives_way = Some(Arc::clone(&chosen));
        }
        let waiter = Waiter { id, since: Instant::now(), processes, cancel: Arc::clone(&self.cancel), chosen };
        Some(self.database.waiters.enter(waiter))
    }

    /// The statement is over.
    pub(super) fn end_waiting(&mut self, waiting: Option<Waiting>) {
        if waiting.is_some() {
            for held in self.transaction.held_mut() {
                held.lease.gives_way = None;
            }
        }
    }
}
