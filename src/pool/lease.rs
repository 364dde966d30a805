//! Exclusive use of a backend connection. A lease that is dropped gives its connection back only
//! when that is known to be clean; in any other state the connection is closed.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::oneshot;

use bytes::BytesMut;

use super::backend::{Backend, BackendKey, Condition, Open, SequenceOwner};
use super::connect::{CREDENTIAL_HINT, ConnectError, Connected, Login, connect_with};
use super::node::{Node, NodeRole};
use super::prepared::Prepared;
use super::settings::Settings;
use super::shelf::{Back, Next, Shelf};
use super::worker;
use crate::config::PoolConfig;
use crate::observe::{NodeTotal, Took, clock};
use crate::protocol::backend::Status;
use crate::types::limits::IDLE_BUFFER_BYTES_MAX;
use crate::types::{ClientError, SqlState};

/// The connections of one user to one node.
#[derive(Clone)]
pub struct NodePool {
    inner: Arc<Inner>,
}

struct Inner {
    node: Arc<Node>,
    login: Login,
    connect_timeout: Duration,
    prepared_statements_max: usize,
    wait_max: Duration,
    idle_max: Duration,
    lifetime_max: Duration,
    shelf: Shelf<Box<Backend>, oneshot::Sender<Grant>>,
}

/// What somebody who waited gets. Dropped on the way, it goes to the next.
enum Grant {
    Connection(Lease),
    Slot(Slot),
}

#[derive(Debug, Error)]
pub enum LeaseError {
    #[error("no connection to {node} became free within {waited:?}")]
    TimedOut { node: String, waited: Duration },
    /// `may_pass`: another attempt may succeed, or another node.
    #[error("could not connect to {node}: {reason}")]
    Unreachable { node: String, reason: String, may_pass: bool },
    /// Nothing that the user has proved lets it in there.
    #[error("could not log in to {node}: {reason}")]
    NoCredential { node: String, reason: &'static str },
    /// Nobody takes the shard's writes, and it was waited as long as is configured.
    #[error("shard {shard} has no primary: {reason}")]
    NoPrimary { shard: String, reason: String },
    /// More than one node would take them.
    #[error("writes to shard {shard} are stopped: {reason}")]
    Torn { shard: String, reason: String },
    #[error("shard {shard} has no primary, and {held} statements wait for one already")]
    TooManyHeld { shard: String, held: usize },
}

impl From<LeaseError> for ClientError {
    fn from(error: LeaseError) -> Self {
        let message = error.to_string();
        match error {
            LeaseError::TimedOut { .. } => Self::new(SqlState::TOO_MANY_CONNECTIONS, message)
                .hint("Raise pool.size or pool.wait_timeout, or keep transactions shorter."),
            LeaseError::Unreachable { .. } => Self::new(SqlState::CANNOT_CONNECT, message)
                .hint("Statements for other shards are served; this one can be tried again later."),
            LeaseError::NoCredential { .. } => Self::new(SqlState::CANNOT_CONNECT, message).hint(CREDENTIAL_HINT),
            LeaseError::NoPrimary { .. } | LeaseError::TooManyHeld { .. } => {
                Self::new(SqlState::CANNOT_CONNECT, message).hint(
                    "Nothing was done. Statements for other shards are served; this one can be tried again later.",
                )
            }
            LeaseError::Torn { .. } => Self::new(SqlState::CANNOT_CONNECT_NOW, message)
                .detail("Shardway can't tell which of them has the rows that were committed.")
                .hint("Stop all but one of these servers, or make them its replicas."),
        }
    }
}

impl NodePool {
    pub fn new(node: Arc<Node>, login: Login, config: &PoolConfig, size: usize) -> Self {
        let inner = Inner {
            node,
            login,
            connect_timeout: config.connect_timeout,
            prepared_statements_max: config.prepared_statements_max,
            wait_max: config.wait_timeout,
            idle_max: config.idle_max,
            lifetime_max: config.lifetime_max,
            shelf: Shelf::new(size.max(1)),
        };
        Self { inner: Arc::new(inner) }
    }

    pub fn node(&self) -> &Arc<Node> {
        &self.inner.node
    }

    /// A connection that is free on this worker: nothing is waited for.
    #[inline]
    pub fn lease_now(&self) -> Option<Lease> {
        if self.inner.node.may_be_down() {
            return None;
        }
        loop {
            let mut lease = self.inner.lend(self.inner.shelf.take_here(worker::here())?);
            if lease.is_alive() {
                return Some(lease);
            }
            lease.condition = Condition::Broken;
        }
    }

    /// A particular connection, if it is free.
    pub fn lease_again(&self, key: &Arc<BackendKey>) -> Option<Lease> {
        let backend = self.inner.shelf.take_that(|backend| Arc::ptr_eq(&backend.key, key))?;
        let mut lease = self.inner.lend(backend);
        if !lease.is_alive() {
            lease.condition = Condition::Broken;
            return None;
        }
        lease.come_here()
    }

    /// # Errors
    /// When the node can't be reached, or no connection becomes free in time.
    pub async fn lease(&self) -> Result<Lease, LeaseError> {
        match self.lease_now() {
            Some(lease) => Ok(lease),
            None => Box::pin(self.inner.lease_later()).await,
        }
    }

    /// As [`Self::lease`], when none was free.
    ///
    /// # Errors
    /// As [`Self::lease`].
    pub async fn lease_later(&self) -> Result<Lease, LeaseError> {
        self.inner.lease_later().await
    }

    /// Closes connections that have been idle or alive for too long.
    pub fn reap(&self) {
        let Inner { shelf, idle_max, lifetime_max, .. } = &*self.inner;
        let is_good = |backend: &Backend| !backend.key.is_outdated() && !backend.framed.is_closed_or_has_data();
        let swept = shelf.sweep(*idle_max, *lifetime_max, |backend| is_good(backend));
        self.inner.close_all(swept);
    }

    /// Closes the connections that are free.
    pub fn shed(&self) {
        self.inner.close_all(self.inner.shelf.shed());
    }

    pub fn close(&self) {
        self.inner.close_all(self.inner.shelf.close());
    }

    /// How many connections there may be from now on.
    pub fn resize(&self, size: usize) {
        for waiting in self.inner.shelf.resize(size.max(1)) {
            drop(waiting.send(Grant::Slot(Slot { pool: Some(Arc::clone(&self.inner)) })));
        }
    }

    /// Connections open, idle ones among them, and clients waiting.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.inner.shelf.counts()
    }
}

impl Inner {
    fn lend(self: &Arc<Self>, backend: Box<Backend>) -> Lease {
        self.node.leased.fetch_add(1, Ordering::Relaxed);
        backend.key.set_leased(true);
        Lease { backend: Some(backend), pool: Arc::clone(self), waited: Duration::ZERO }
    }

    async fn lease_later(self: &Arc<Self>) -> Result<Lease, LeaseError> {
        let mut waited = 0;
        loop {
            self.check_node()?;
            let mut queued = None;
            let enqueue = || {
                let (sender, receiver) = oneshot::channel();
                queued = Some(receiver);
                sender
            };
            let grant = match self.shelf.take_or_wait(worker::here(), enqueue, oneshot::Sender::is_closed) {
                Next::Free(backend) => Grant::Connection(self.lend(backend)),
                Next::Open => Grant::Slot(Slot { pool: Some(Arc::clone(self)) }),
                Next::Wait => {
                    let began = clock::recent_nanos();
                    let turn = self.wait(queued.expect("a place in the queue was asked for")).await;
                    let took = clock::recent_nanos().saturating_sub(began);
                    waited += took;
                    self.node.figures.waits.record(Took::of(took));
                    turn?
                }
                Next::Closed => return Err(self.closed()),
            };
            match grant {
                Grant::Slot(slot) => {
                    self.check_node()?;
                    // Boxed: the state of connecting is large, and those who only wait would have room for it.
                    let mut lease = Box::pin(self.open(slot)).await?;
                    lease.waited = Duration::from_nanos(waited);
                    return Ok(lease);
                }
                Grant::Connection(mut lease) => {
                    if !lease.is_alive() {
                        lease.condition = Condition::Broken;
                    } else if let Some(mut lease) = lease.come_here() {
                        lease.waited = Duration::from_nanos(waited);
                        return Ok(lease);
                    }
                }
            }
        }
    }

    fn check_node(&self) -> Result<(), LeaseError> {
        match self.node.recent_failure() {
            Some(reason) => Err(LeaseError::Unreachable { node: self.node.describe(), reason, may_pass: true }),
            None => Ok(()),
        }
    }

    fn closed(&self) -> LeaseError {
        let reason = "the database is no longer configured".to_owned();
        LeaseError::Unreachable { node: self.node.describe(), reason, may_pass: false }
    }

    async fn wait(&self, turn: oneshot::Receiver<Grant>) -> Result<Grant, LeaseError> {
        match crate::net::timer::timeout(self.wait_max, turn).await {
            Ok(Ok(grant)) => Ok(grant),
            Ok(Err(_)) => Err(self.closed()),
            Err(_) => {
                self.node.figures.add(NodeTotal::WaitTimeouts);
                Err(LeaseError::TimedOut { node: self.node.describe(), waited: self.wait_max })
            }
        }
    }

    async fn open(self: &Arc<Self>, slot: Slot) -> Result<Lease, LeaseError> {
        match self.connect().await {
            Ok(backend) => Ok(slot.fill(backend)),
            Err(error) => {
                if let ConnectError::NoCredential(reason) = error {
                    return Err(LeaseError::NoCredential { node: self.node.describe(), reason });
                }
                let reason = error.to_string();
                // A server that refuses one user may well serve others.
                let refused = error.refusal();
                if refused.is_none() {
                    self.node.note_failure(reason.clone());
                    self.node.suspect();
                }
                // Starting, or stopping.
                let may_pass = refused.is_none_or(|refused| refused.sqlstate.starts_with("57P"));
                Err(LeaseError::Unreachable { node: self.node.describe(), reason, may_pass })
            }
        }
    }

    async fn connect(&self) -> Result<Box<Backend>, ConnectError> {
        // The semaphore is never closed, so an error can't come; waiting for a turn is bounded by the
        // time-outs of those ahead.
        let _turn = self.node.connects.acquire().await;
        let connected =
            connect_with(&self.node.config, &self.login, ("", self.node.options), self.connect_timeout).await?;
        self.node.note_success();
        let Connected { framed, process_id, secret_key, parameters } = connected;
        let is_tls = framed.stream.is_tls();
        let handle = if self.node.may_be_severed() { framed.stream.handle() } else { None };
        let key = Arc::new(BackendKey::new(&self.node, process_id, secret_key, &self.login.user, is_tls, handle));
        self.node.enrol(&key);
        Ok(Box::new(Backend {
            framed,
            node: Arc::clone(&self.node),
            open: Open(Arc::clone(&key)),
            key,
            parameters,
            prepared: Prepared::new(self.prepared_statements_max),
            unnamed: None,
            settings: Settings::none(),
            settings_at_join: Settings::none(),
            status: Status::Idle,
            condition: Condition::Clean,
            wrote: false,
            unanswered: 0,
            created: Instant::now(),
            gives_way: None,
            worker: worker::here(),
            sequences: SequenceOwner::Nobody,
            numbering_within: None,
            heard: BytesMut::new(),
        }))
    }

    #[inline]
    fn take_back(self: &Arc<Self>, backend: Box<Backend>) {
        let (worker, created) = (backend.worker, backend.created);
        match self.shelf.put(backend, worker, created) {
            Back::Kept => {}
            // If that one has just given up, dropping the grant gives the connection to the next.
            Back::For(waiting, backend) => drop(waiting.send(Grant::Connection(self.lend(backend)))),
            Back::Unwanted(backend) => {
                drop(backend);
                self.end_one();
            }
        }
    }

    /// A connection is no more, or was never made.
    fn end_one(self: &Arc<Self>) {
        if let Some(waiting) = self.shelf.end(worker::here()) {
            drop(waiting.send(Grant::Slot(Slot { pool: Some(Arc::clone(self)) })));
        }
    }

    fn close_all(self: &Arc<Self>, backends: impl IntoIterator<Item = Box<Backend>>) {
        for backend in backends {
            drop(backend);
            self.end_one();
        }
    }
}

/// The right to open one more connection.
struct Slot {
    pool: Option<Arc<Inner>>,
}

impl Slot {
    fn fill(mut self, backend: Box<Backend>) -> Lease {
        self.pool.take().expect("taken only here and by drop").lend(backend)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.end_one();
        }
    }
}

/// Not `Clone`: while it lives nobody else uses the connection.
pub struct Lease {
    backend: Option<Box<Backend>>,
    pool: Arc<Inner>,
    /// How long it was waited for, if all connections were in use.
    pub waited: Duration,
}

impl Lease {
    pub fn is_replica(&self) -> bool {
        self.node.role() == NodeRole::Replica
    }

    /// An idle server speaks only to say that it goes away, or that its configuration changed; either way a
    /// new connection is the simple answer. One of an earlier era is on a server that has said so elsewhere.
    #[inline]
    fn is_alive(&mut self) -> bool {
        if self.key.is_outdated() {
            return false;
        }
        !self.framed.is_closed_or_has_data() || matches!(self.framed.try_fill_now(), Ok(None))
    }

    /// Has the runtime of this worker watch the connection from now on; `None` when that failed and the connection
    /// is lost. TLS connections can't move: they cost a wake-up across threads each time.
    fn come_here(mut self) -> Option<Self> {
        let here = worker::here();
        if self.worker == here {
            return Some(self);
        }
        let mut backend = *self.backend.take()?;
        match backend.framed.move_here() {
            Ok((framed, moved)) => {
                backend.framed = framed;
                backend.worker = if moved { here } else { backend.worker };
                self.backend = Some(Box::new(backend));
                Some(self)
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken over from another worker");
                self.pool.node.leased.fetch_sub(1, Ordering::Relaxed);
                self.pool.end_one();
                None
            }
        }
    }
}

impl Deref for Lease {
    type Target = Backend;

    #[inline]
    fn deref(&self) -> &Backend {
        self.backend.as_ref().expect("taken only by drop")
    }
}

impl DerefMut for Lease {
    #[inline]
    fn deref_mut(&mut self) -> &mut Backend {
        self.backend.as_mut().expect("taken only by drop")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut backend) = self.backend.take() else { return };
        self.pool.node.leased.fetch_sub(1, Ordering::Relaxed);
        backend.key.set_leased(false);
        backend.heard.clear();
        if backend.may_be_reused() {
            // Memory that a large result made the buffers take isn't kept by an idle connection.
            if backend.framed.inbound.capacity() > IDLE_BUFFER_BYTES_MAX {
                backend.framed.release_memory();
            }
            self.pool.take_back(backend);
        } else {
            if backend.condition == Condition::Broken {
                self.pool.node.suspect();
            }
            drop(backend);
            self.pool.end_one();
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("node", &self.pool.node.describe()).finish_non_exhaustive()
    }
}
