//! One server as the pools see it: where it is, whether connects to it work, how busy it is.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Semaphore;

use crate::config::NodeConfig;
use crate::types::limits::{ACCEPTED_SETTINGS_MAX, NODE_RETRY_AFTER};
use crate::types::{NodeId, ShardId};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeRole {
    Primary,
    Replica,
}

impl NodeRole {
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

#[derive(Debug)]
pub struct Node {
    pub id: NodeId,
    pub shard: ShardId,
    pub shard_name: String,
    pub role: NodeRole,
    pub config: NodeConfig,
    /// Limits connects under way at once.
    pub(super) connects: Semaphore,
    /// Leases out, for "least busy".
    pub(super) leased: AtomicUsize,
    /// Whether `failure` is set: looked at for every lease, when the lock isn't needed.
    failed: AtomicBool,
    failure: Mutex<Option<Failure>>,
    /// Hashes of session settings that the node has accepted: sent ahead without waiting from then on.
    accepted: Mutex<HashSet<u64>>,
    /// It was seen to be able to prepare transactions.
    two_phase: AtomicBool,
}

#[derive(Debug)]
struct Failure {
    at: Instant,
    reason: String,
}

impl Node {
    pub fn new(
        id: NodeId,
        shard: ShardId,
        shard_name: &str,
        role: NodeRole,
        config: NodeConfig,
        connects_max: usize,
    ) -> Self {
        Self {
            id,
            shard,
            shard_name: shard_name.to_owned(),
            role,
            config,
            connects: Semaphore::new(connects_max.max(1)),
            leased: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            accepted: Mutex::new(HashSet::new()),
            two_phase: AtomicBool::new(false),
        }
    }

    pub fn has_accepted(&self, settings: u64) -> bool {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).contains(&settings)
    }

    pub fn accept(&self, settings: u64) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if accepted.len() >= ACCEPTED_SETTINGS_MAX {
            accepted.clear();
        }
        accepted.insert(settings);
    }

    pub fn is_two_phase_ready(&self) -> bool {
        self.two_phase.load(Ordering::Acquire)
    }

    /// Holds until a connect fails: a server that went away may come back with other settings.
    pub fn note_two_phase_ready(&self) {
        self.two_phase.store(true, Ordering::Release);
    }

    /// As operators and EXPLAIN name it.
    pub fn describe(&self) -> String {
        format!("shard {}, {} {}:{}", self.shard_name, self.role.name(), self.config.host, self.config.port)
    }

    pub fn leased(&self) -> usize {
        self.leased.load(Ordering::Relaxed)
    }

    /// Whether [`Self::recent_failure`] is worth asking.
    #[inline]
    pub fn may_be_down(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The reason of the last failed connect while it is too early to try again: a server that is
    /// down is not hammered, and its statements fail at once instead of queueing up.
    pub fn recent_failure(&self) -> Option<String> {
        if !self.failed.load(Ordering::Acquire) {
            return None;
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().filter(|failure| failure.at.elapsed() < NODE_RETRY_AFTER).map(|failure| failure.reason.clone())
    }

    pub fn is_up(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    pub fn note_failure(&self, reason: String) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.is_none() {
            tracing::warn!(node = %self.describe(), reason, "node is down");
        }
        *failure = Some(Failure { at: Instant::now(), reason });
        self.two_phase.store(false, Ordering::Release);
        self.failed.store(true, Ordering::Release);
    }

    pub fn note_success(&self) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        self.failed.store(false, Ordering::Release);
        if failure.take().is_some() {
            tracing::info!(node = %self.describe(), "node is up again");
        }
    }
}
