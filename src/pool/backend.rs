//! One connection to a server, and everything the proxy knows of its session.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::node::Node;
use super::prepared::Prepared;
use super::settings::Settings;
use crate::net::Framed;
use crate::protocol::backend::Status;

#[derive(Debug)]
pub struct Backend {
    pub framed: Framed,
    pub node: Arc<Node>,
    pub key: Arc<BackendKey>,
    /// All ParameterStatus values of the login, in order.
    pub parameters: Vec<(String, String)>,
    pub prepared: Prepared,
    /// The unnamed statement's text and declared types, unless something may have replaced it: a failed Parse, or
    /// any Query.
    pub unnamed: Option<(bytes::Bytes, bytes::Bytes)>,
    /// What is set on it for the session, beyond its login's defaults.
    pub settings: Settings,
    /// `settings` as they were when it joined its transaction: a rollback returns to them.
    pub settings_at_join: Settings,
    pub status: Status,
    pub condition: Condition,
    /// ReadyForQuery messages still to come.
    pub unanswered: u32,
    pub created: Instant,
    /// Set when its statement was chosen to break a deadlock over several shards: the cancel that ends it is told
    /// as that.
    pub gives_way: Option<Arc<AtomicBool>>,
    /// The worker whose runtime watches its socket.
    pub worker: usize,
    /// The session whose use of sequences currval and lastval tell of on this connection.
    pub sequences: SequenceOwner,
}

/// Whose sequences a connection remembers: a server can't be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SequenceOwner {
    Nobody,
    /// Everything that currval and lastval know there is of this session, by its number.
    Session(u64),
    /// The last use was of this session, but earlier ones of others are remembered as well.
    After(u64),
}

/// Where a cancel request for it goes.
#[derive(Debug)]
pub struct BackendKey {
    pub node: Arc<Node>,
    pub process_id: u32,
    pub secret_key: Vec<u8>,
}

/// Whether another client may get the connection once nothing is under way on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Nothing is left of the last client that isn't in `settings` or `prepared`.
    Clean,
    /// A client left session state on it: temporary tables, listens, locks. DISCARD ALL cleans it.
    Pinned,
    /// The stream can't be trusted any more.
    Broken,
}

impl Backend {
    pub fn may_be_reused(&self) -> bool {
        self.condition == Condition::Clean && self.is_at_rest() && self.status == Status::Idle
    }

    /// Nothing was sent whose replies have not all been read.
    pub fn is_at_rest(&self) -> bool {
        self.unanswered == 0
            && self.condition != Condition::Broken
            && self.framed.inbound.is_empty()
            && self.framed.outbound.is_empty()
    }
}
