//! The pools of one user of one database. In: a shard, and whether a replica may serve. Out: a connection to the node
//! that is to serve it. While a shard has no primary, those who need it wait here, first come, first served.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::net::timer::{Instant, sleep_until, timeout_at};

use crate::config::{Balance, ReadPolicy};
use crate::pool::{BackendKey, Lead, Lease, LeaseError, NodePool};
use crate::types::ShardId;
use crate::types::limits::{CATCH_UP_LOOK, CATCH_UP_WAIT_MAX, HOLD_RETRY};

/// Which nodes may serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Want {
    pub policy: ReadPolicy,
    /// What a replica must have replayed.
    pub floor: u64,
    /// How old a replica's state may be.
    pub staleness_max: Option<Duration>,
}

impl Want {
    pub const PRIMARY: Self = Self { policy: ReadPolicy::Primary, floor: 0, staleness_max: None };
}

pub struct UserPools {
    shards: Vec<ShardPools>,
    balance: Balance,
    /// Of this proxy.
    zone: Option<String>,
    /// What a server reports to a session, by the hash of its start-up settings.
    pub greetings: Mutex<HashMap<u64, Arc<super::welcome::Greeting>>>,
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
    /// Counts the reads of replicas: whose turn it is. One for each shard, since a statement on two would otherwise take
    /// two turns.
    next: AtomicUsize,
}

impl ShardPools {
    pub(super) fn new(lead: Arc<Lead>, nodes: Vec<NodePool>) -> Self {
        Self { lead, nodes, queue: tokio::sync::Mutex::default(), next: AtomicUsize::new(0) }
    }

    /// The next statement is another replica's. Who only looks for a free connection and finds none takes no turn: the one
    /// whose turn it is would be passed over each time, and never get its first connection.
    fn take_turn(&self) {
        self.next.fetch_add(1, Ordering::Relaxed);
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
        if !waits || (wait_max.is_zero() && !self.lead.is_paused()) {
            return Err(failed);
        }
        Box::pin(self.await_primary(failed, wait_max)).await
    }

    /// Bounded by time and number.
    async fn await_primary(&self, mut failed: LeaseError, wait_max: Duration) -> Result<Lease, LeaseError> {
        let Some(_place) = self.lead.hold() else {
            return Err(LeaseError::TooManyHeld { shard: self.name(), held: self.lead.terms().held_max });
        };
        let mut deadline = Instant::now() + wait_max;
        self.lead.want_look();
        let turn = self.queue.lock();
        tokio::pin!(turn);
        let _turn = loop {
            match timeout_at(deadline, turn.as_mut()).await {
                Ok(turn) => break turn,
                // An operator decides for how long.
                Err(_) if self.lead.is_paused() => deadline = Instant::now() + wait_max.max(HOLD_RETRY),
                Err(_) => return Err(failed),
            }
        };
        loop {
            let changed = self.lead.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(error) = self.torn() {
                return Err(error);
            }
            if self.lead.is_replaced() {
                return Err(failed);
            }
            if let Some(primary) = self.primary() {
                match primary.lease().await {
                    Err(error @ LeaseError::Unreachable { may_pass: true, .. }) => failed = error,
                    outcome => return outcome,
                }
            }
            let now = Instant::now();
            if self.lead.is_paused() {
                deadline = now + wait_max.max(HOLD_RETRY);
            }
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
    pub(super) fn new(shards: Vec<ShardPools>, balance: Balance, zone: Option<String>) -> Self {
        Self { shards, balance, zone, greetings: Mutex::new(HashMap::new()) }
    }

    pub fn each(&self, act: impl FnMut(&NodePool)) {
        self.shards.iter().flat_map(|shard| &shard.nodes).for_each(act);
    }

    fn shard(&self, shard: ShardId) -> &ShardPools {
        self.shards.get(shard.index()).expect("plans name shards of this database")
    }

    /// A connection on that shard: on a replica if one may serve. While the shard has no primary it is waited for one.
    ///
    /// # Errors
    /// When no node that may serve it can be reached in time.
    pub async fn lease(&self, shard: ShardId, want: Want) -> Result<Lease, LeaseError> {
        let pools = self.shard(shard);
        if want.policy != ReadPolicy::Primary
            && let Some(served) = Box::pin(self.lease_replica(pools, want)).await
        {
            return served;
        }
        pools.lease(true).await
    }

    /// As [`Self::lease`]: the future of those who only wait for the primary's next free connection is small.
    ///
    /// # Errors
    /// As [`Self::lease`].
    pub async fn lease_later(&self, shard: ShardId, want: Want) -> Result<Lease, LeaseError> {
        if want.policy == ReadPolicy::Primary
            && let Some(primary) = self.shard(shard).primary()
        {
            match primary.lease_later().await {
                Err(LeaseError::Unreachable { may_pass: true, .. }) => {}
                outcome => return outcome,
            }
        }
        Box::pin(self.lease(shard, want)).await
    }

    /// `None`: the primary is to serve.
    async fn lease_replica(&self, pools: &ShardPools, want: Want) -> Option<Result<Lease, LeaseError>> {
        let only = want.policy == ReadPolicy::ReplicaOnly;
        let mut failed = None;
        // Each that fails is left alone for a while: the next one is another.
        for _ in 0..pools.nodes.len() {
            let Some(replica) = self.choose(pools, want) else { break };
            pools.take_turn();
            match replica.lease().await {
                Err(error @ LeaseError::Unreachable { .. }) => {
                    tracing::debug!(%error, "another node reads instead");
                    failed = Some(error);
                }
                Err(error) if !only => {
                    tracing::debug!(%error, "the primary reads instead");
                    return None;
                }
                outcome => return Some(outcome),
            }
        }
        if want.floor > 0 || want.staleness_max.is_some() {
            pools.lead.want_look_soon();
            // One that only has to catch up may do so in a moment; otherwise the primary has what is asked for.
            if only && let Some(replica) = self.await_fresh(pools, want).await {
                return Some(replica.lease().await);
            }
            if self.choose(pools, Want { floor: 0, staleness_max: None, ..want }).is_some() {
                return None;
            }
        }
        only.then(|| {
            let node = format!("shard {}", pools.name());
            let reason = "no replica is up and fit to be read".to_owned();
            Err(failed.unwrap_or(LeaseError::Unreachable { node, reason, may_pass: false }))
        })
    }

    async fn await_fresh<'a>(&self, pools: &'a ShardPools, want: Want) -> Option<&'a NodePool> {
        let deadline = Instant::now() + CATCH_UP_WAIT_MAX;
        loop {
            if let Some(replica) = self.choose(pools, want) {
                return Some(replica);
            }
            if Instant::now() >= deadline {
                return None;
            }
            crate::net::timer::sleep(CATCH_UP_LOOK).await;
        }
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
    pub fn lease_now(&self, shard: ShardId, want: Want) -> Option<Lease> {
        let pools = self.shards.get(shard.index())?;
        if want.policy != ReadPolicy::Primary {
            let lease = self.choose(pools, want)?.lease_now()?;
            pools.take_turn();
            return Some(lease);
        }
        pools.primary()?.lease_now()
    }

    /// A replica that may be read, of this proxy's zone if there is one.
    fn choose<'a>(&self, pools: &'a ShardPools, want: Want) -> Option<&'a NodePool> {
        let turn = pools.next.load(Ordering::Relaxed);
        let may = |pool: &&NodePool| pool.node().may_be_read(want.floor, want.staleness_max);
        if let Some(zone) = &self.zone {
            let near = |pool: &&NodePool| pool.node().config.preference.zone.as_ref() == Some(zone);
            let chosen = self.among(turn, pools, |pool| near(pool) && may(pool));
            if chosen.is_some() {
                return chosen;
            }
        }
        self.among(turn, pools, may)
    }

    fn among<'a>(
        &self,
        turn: usize,
        pools: &'a ShardPools,
        may: impl Fn(&&'a NodePool) -> bool,
    ) -> Option<&'a NodePool> {
        // One that has just come back gets a growing share, if there is another.
        let settled = |pool: &&NodePool| pool.node().is_due(turn);
        let fit = || pools.nodes.iter().filter(|pool| may(pool));
        match self.balance {
            // Of replicas that are equally busy each gets its turn.
            Balance::LeastBusy => {
                let count = fit().count();
                let first = turn.checked_rem(count)?;
                let behind = |at: usize| if at < first { at + count } else { at };
                let least = |pools: &mut dyn Iterator<Item = (usize, &'a NodePool)>| {
                    pools.min_by_key(|(at, pool)| (pool.node().leased(), behind(*at))).map(|(_, pool)| pool)
                };
                let numbered = || fit().enumerate();
                least(&mut numbered().filter(|(_, pool)| settled(pool))).or_else(|| least(&mut numbered()))
            }
            Balance::RoundRobin | Balance::Weighted => {
                let weigh = self.balance == Balance::Weighted;
                let weight = |pool: &NodePool| if weigh { pool.node().config.preference.weight as usize } else { 1 };
                let of = |all: &mut dyn Iterator<Item = &'a NodePool>, total: usize| {
                    let mut left = turn.checked_rem(total)?;
                    for pool in all {
                        match left.checked_sub(weight(pool)) {
                            Some(rest) => left = rest,
                            None => return Some(pool),
                        }
                    }
                    None
                };
                let settled_total = fit().filter(settled).map(weight).sum();
                of(&mut fit().filter(settled), settled_total).or_else(|| of(&mut fit(), fit().map(weight).sum()))
            }
        }
    }
}
