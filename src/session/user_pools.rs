//! The pools of one user of one database. In: a shard, and whether a replica may serve. Out: a connection to the node
//! that is to serve it. While a shard has no primary, those who need it wait here, first come, first served.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::config::ReadPolicy;
use crate::planning::Access;
use crate::pool::{BackendKey, Lead, Lease, LeaseError, NodePool, NodeRole};
use crate::types::ShardId;
use crate::types::limits::HOLD_RETRY;

pub struct UserPools {
    shards: Vec<ShardPools>,
    reads: ReadPolicy,
    /// What a server reports to a session, by the hash of its start-up settings.
    pub greetings: Mutex<HashMap<u64, Arc<super::welcome::Greeting>>>,
    next: AtomicUsize,
}

impl std::fmt::Debug for UserPools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserPools").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

pub(super) struct ShardPools {
    /// Which of `nodes` takes the writes.
    lead: Arc<Lead>,
    /// By the positions that [`Lead`] has them in.
    nodes: Vec<NodePool>,
    /// Who waits for a primary; the lock is fair.
    queue: tokio::sync::Mutex<()>,
}

impl ShardPools {
    pub(super) fn new(lead: Arc<Lead>, nodes: Vec<NodePool>) -> Self {
        Self { lead, nodes, queue: tokio::sync::Mutex::default() }
    }

    #[inline]
    fn primary(&self) -> Option<&NodePool> {
        self.nodes.get(self.lead.at()?)
    }

    fn name(&self) -> String {
        self.lead.node().shard_name.clone()
    }

    fn torn(&self) -> Option<LeaseError> {
        let (reason, is_torn) = self.lead.problem()?;
        is_torn.then(|| LeaseError::Torn { shard: self.name(), reason })
    }

    async fn lease(&self, waits: bool) -> Result<Lease, LeaseError> {
        let failed = match self.primary() {
            Some(primary) => match primary.lease().await {
                Err(LeaseError::Unreachable { node, reason, may_pass: true }) => {
                    LeaseError::Unreachable { node, reason, may_pass: true }
                }
                outcome => return outcome,
            },
            None => match self.lead.problem() {
                Some((reason, false)) => LeaseError::NoPrimary { shard: self.name(), reason },
                Some((reason, true)) => return Err(LeaseError::Torn { shard: self.name(), reason }),
                // It came back this moment.
                None => LeaseError::NoPrimary { shard: self.name(), reason: "it has just changed".to_owned() },
            },
        };
        let wait_max = self.lead.wait_max();
        if wait_max.is_zero() || !waits {
            return Err(failed);
        }
        Box::pin(self.await_primary(failed, wait_max)).await
    }

    /// Bounded by time and number.
    async fn await_primary(&self, mut failed: LeaseError, wait_max: Duration) -> Result<Lease, LeaseError> {
        let Some(_place) = self.lead.hold() else {
            return Err(LeaseError::TooManyHeld { shard: self.name(), held: self.lead.terms().held_max });
        };
        let deadline = Instant::now() + wait_max;
        self.lead.want_look();
        let Ok(_turn) = timeout_at(deadline, self.queue.lock()).await else {
            return Err(failed);
        };
        loop {
            let changed = self.lead.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(error) = self.torn() {
                return Err(error);
            }
            if let Some(primary) = self.primary() {
                match primary.lease().await {
                    Err(error @ LeaseError::Unreachable { may_pass: true, .. }) => failed = error,
                    outcome => return outcome,
                }
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(failed);
            }
            self.lead.want_look();
            tokio::select! {
                () = changed => {}
                () = sleep_until(deadline.min(now + HOLD_RETRY)) => {}
            }
        }
    }
}

impl UserPools {
    pub(super) fn new(shards: Vec<ShardPools>, reads: ReadPolicy) -> Self {
        Self { shards, reads, greetings: Mutex::new(HashMap::new()), next: AtomicUsize::new(0) }
    }

    pub fn each(&self, act: impl FnMut(&NodePool)) {
        self.shards.iter().flat_map(|shard| &shard.nodes).for_each(act);
    }

    fn shard(&self, shard: ShardId) -> &ShardPools {
        self.shards.get(shard.index()).expect("plans name shards of this database")
    }

    /// A connection on that shard: on a replica if the statement may run there and the policy says so. While the shard
    /// has no primary it is waited for one.
    ///
    /// # Errors
    /// When no node that may serve it can be reached in time.
    pub async fn lease(&self, shard: ShardId, access: Access) -> Result<Lease, LeaseError> {
        let pools = self.shard(shard);
        if access == Access::Read && self.reads != ReadPolicy::Primary {
            if let Some(replica) = self.least_busy(pools) {
                match replica.lease().await {
                    Err(error) if self.reads == ReadPolicy::PreferReplica => {
                        tracing::debug!(%error, "the primary reads instead");
                    }
                    outcome => return outcome,
                }
            } else if self.reads == ReadPolicy::ReplicaOnly {
                let node = format!("shard {}", pools.name());
                let reason = "no replica is up and fit to be read".to_owned();
                return Err(LeaseError::Unreachable { node, reason, may_pass: false });
            }
        }
        pools.lease(true).await
    }

    /// On the shard's primary, without waiting for one.
    ///
    /// # Errors
    /// When there is none, or it can't be reached.
    pub async fn lease_without_hold(&self, shard: ShardId) -> Result<Lease, LeaseError> {
        self.shard(shard).lease(false).await
    }

    /// A particular connection to a shard's primary, if it is free.
    pub fn lease_again(&self, shard: ShardId, key: &Arc<BackendKey>) -> Option<Lease> {
        self.shards.get(shard.index())?.primary()?.lease_again(key)
    }

    /// The same if a connection is free on this worker.
    pub fn lease_now(&self, shard: ShardId, access: Access) -> Option<Lease> {
        let pools = self.shards.get(shard.index())?;
        if access == Access::Read && self.reads != ReadPolicy::Primary {
            return self.least_busy(pools)?.lease_now();
        }
        pools.primary()?.lease_now()
    }

    /// Of replicas that are equally busy each gets its turn.
    fn least_busy<'a>(&self, pools: &'a ShardPools) -> Option<&'a NodePool> {
        let count = pools.nodes.len();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        (0..count)
            .filter_map(|offset| pools.nodes.get((start + offset) % count))
            .filter(|pool| {
                let node = pool.node();
                node.role() == NodeRole::Replica && !node.is_unfit() && node.recent_failure().is_none()
            })
            .min_by_key(|pool| pool.node().leased())
    }
}
