//! Exclusive use of a backend connection. A lease that is dropped gives its connection back only
//! when that is known to be clean; in any other state the connection is closed.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, Timeouts};
use thiserror::Error;

use super::backend::{Backend, BackendKey, Condition};
use super::connect::{ConnectError, Login, connect};
use super::node::{Node, NodeRole};
use super::prepared::Prepared;
use super::settings::Settings;
use crate::config::PoolConfig;
use crate::protocol::backend::Status;
use crate::types::limits::IDLE_BUFFER_BYTES_MAX;
use crate::types::{ClientError, SqlState};

/// The connections of one user to one node.
#[derive(Clone)]
pub struct NodePool {
    node: Arc<Node>,
    pool: managed::Pool<Manager>,
    wait_max: Duration,
    idle_max: Duration,
    lifetime_max: Duration,
}

#[derive(Debug, Error)]
pub enum LeaseError {
    #[error("no connection to {node} became free within {waited:?}")]
    TimedOut { node: String, waited: Duration },
    #[error("could not connect to {node}: {reason}")]
    Unreachable { node: String, reason: String },
}

impl From<LeaseError> for ClientError {
    fn from(error: LeaseError) -> Self {
        let message = error.to_string();
        match error {
            LeaseError::TimedOut { .. } => Self::new(SqlState::TOO_MANY_CONNECTIONS, message)
                .hint("Raise pool.size or pool.wait_timeout, or keep transactions shorter."),
            LeaseError::Unreachable { .. } => Self::new(SqlState::CANNOT_CONNECT, message)
                .hint("Statements for other shards are served; this one can be tried again later."),
        }
    }
}

struct Manager {
    node: Arc<Node>,
    login: Login,
    connect_timeout: Duration,
    prepared_statements_max: usize,
}

impl managed::Manager for Manager {
    /// Boxed: the pool moves it about several times for every lease.
    type Type = Box<Backend>;
    type Error = ConnectError;

    async fn create(&self) -> Result<Box<Backend>, ConnectError> {
        // The semaphore is never closed, so an error can't come; waiting for a turn is bounded by the
        // time-outs of those ahead.
        let _turn = self.node.connects.acquire().await;
        let connected = connect(&self.node.config, &self.login, "", self.connect_timeout).await?;
        self.node.note_success();
        Ok(Box::new(Backend {
            framed: connected.framed,
            node: Arc::clone(&self.node),
            key: Arc::new(BackendKey {
                node: Arc::clone(&self.node),
                process_id: connected.process_id,
                secret_key: connected.secret_key,
            }),
            parameters: connected.parameters,
            prepared: Prepared::new(self.prepared_statements_max),
            unnamed: None,
            settings: Settings::none(),
            settings_at_join: Settings::none(),
            status: Status::Idle,
            condition: Condition::Clean,
            unanswered: 0,
            created: Instant::now(),
        }))
    }

    async fn recycle(&self, backend: &mut Box<Backend>, _: &Metrics) -> managed::RecycleResult<ConnectError> {
        if !backend.framed.is_closed_or_has_data() {
            return Ok(());
        }
        // An idle server speaks only to say that it goes away, or that its configuration changed;
        // either way a new connection is the simple answer.
        match backend.framed.try_fill_now() {
            Ok(None) => Ok(()),
            _ => Err(RecycleError::message("the server spoke or closed while idle")),
        }
    }
}

impl NodePool {
    pub fn new(node: Arc<Node>, login: Login, config: &PoolConfig, size: usize) -> Self {
        let manager = Manager {
            node: Arc::clone(&node),
            login,
            connect_timeout: config.connect_timeout,
            prepared_statements_max: config.prepared_statements_max,
        };
        let pool = managed::Pool::builder(manager)
            .max_size(size.max(1))
            .queue_mode(QueueMode::Lifo)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .expect("a runtime is given, which is all that building can miss");
        Self { node, pool, wait_max: config.wait_timeout, idle_max: config.idle_max, lifetime_max: config.lifetime_max }
    }

    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// # Errors
    /// When the node can't be reached, or no connection becomes free in time.
    pub async fn lease(&self) -> Result<Lease, LeaseError> {
        if let Some(reason) = self.node.recent_failure() {
            return Err(LeaseError::Unreachable { node: self.node.describe(), reason });
        }
        let no_wait = Timeouts { wait: Some(Duration::ZERO), create: None, recycle: None };
        let mut outcome = self.pool.timeout_get(&no_wait).await;
        if matches!(outcome, Err(PoolError::Timeout(_))) {
            let wait = Timeouts { wait: Some(self.wait_max), create: None, recycle: None };
            outcome = self.pool.timeout_get(&wait).await;
        }
        match outcome {
            Ok(object) => {
                self.node.leased.fetch_add(1, Ordering::Relaxed);
                Ok(Lease { object: Some(object) })
            }
            Err(PoolError::Timeout(_)) => {
                Err(LeaseError::TimedOut { node: self.node.describe(), waited: self.wait_max })
            }
            Err(PoolError::Backend(error)) => {
                let reason = error.to_string();
                // A server that refuses one user may well serve others.
                if error.refusal().is_none() {
                    self.node.note_failure(reason.clone());
                }
                Err(LeaseError::Unreachable { node: self.node.describe(), reason })
            }
            Err(other) => Err(LeaseError::Unreachable { node: self.node.describe(), reason: other.to_string() }),
        }
    }

    /// Closes connections that have been idle or alive for too long.
    pub fn reap(&self) {
        self.pool.retain(|backend, metrics| {
            metrics.last_used() < self.idle_max
                && backend.created.elapsed() < self.lifetime_max
                && !backend.framed.is_closed_or_has_data()
        });
    }

    /// Closes the connections that are free.
    pub fn shed(&self) {
        self.pool.retain(|_, _| false);
    }

    pub fn close(&self) {
        self.pool.close();
    }

    /// Connections open, idle ones among them, and clients waiting.
    pub fn counts(&self) -> (usize, usize, usize) {
        let status = self.pool.status();
        (status.size, status.available, status.waiting)
    }
}

/// Not `Clone`: while it lives nobody else uses the connection.
pub struct Lease {
    object: Option<Object<Manager>>,
}

impl Lease {
    pub fn is_replica(&self) -> bool {
        self.node.role == NodeRole::Replica
    }
}

impl Deref for Lease {
    type Target = Backend;

    fn deref(&self) -> &Backend {
        self.object.as_ref().expect("taken only by drop")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Backend {
        self.object.as_mut().expect("taken only by drop")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut object) = self.object.take() else { return };
        object.node.leased.fetch_sub(1, Ordering::Relaxed);
        if object.may_be_reused() {
            // Memory that a large result made the buffers take isn't kept by an idle connection.
            if object.framed.inbound.capacity() > IDLE_BUFFER_BYTES_MAX {
                object.framed.release_memory();
            }
        } else {
            drop(Object::take(object));
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("node", &self.node.describe()).finish_non_exhaustive()
    }
}
