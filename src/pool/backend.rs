//! One connection to a server, and everything the proxy knows of its session.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use bytes::BytesMut;

use super::node::Node;
use super::prepared::Prepared;
use super::settings::Settings;
use crate::net::{Framed, Handle};
use crate::protocol::backend::{Status, rename_sender, tag};
use crate::protocol::frame;
use crate::protocol::frontend::encode;
use crate::protocol::numbering::Numbering;
use crate::types::limits::FRAME_BYTES_MAX;

#[derive(Debug)]
pub struct Backend {
    pub framed: Framed,
    pub node: Arc<Node>,
    pub key: Arc<BackendKey>,
    pub open: Open,
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
    /// Its transaction has written rows for sure; others may have as well.
    pub wrote: bool,
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
    /// How it numbers types within a transaction that has changed definitions.
    pub numbering_within: Option<Option<Arc<Numbering>>>,
    /// Notifications that came while it did something else for its client, who is to have them.
    pub heard: BytesMut,
}

impl Backend {
    /// Its server says ReadyForQuery.
    #[inline]
    pub fn be_ready(&mut self, status: Status) {
        self.status = status;
        self.unanswered = self.unanswered.saturating_sub(1);
        self.wrote &= status != Status::Idle;
    }

    /// Steps over a whole frame that was looked at. A notification is kept.
    pub fn pass(&mut self, len: usize) {
        let frame = self.framed.inbound.split_to(len);
        if frame.first() == Some(&tag::NOTIFICATION) {
            self.heard.extend_from_slice(&frame);
        }
    }

    /// The notifications that were kept, with the senders as their clients know themselves.
    pub fn take_heard(&mut self) -> BytesMut {
        let mut heard = self.heard.split();
        let mut at = 0;
        while let Some(frame) = heard.get_mut(at..)
            && let Ok(Some(header)) = frame::peek(frame, FRAME_BYTES_MAX)
        {
            rename_sender(frame, |sender| self.node.client_of(sender));
            at += header.len;
        }
        heard
    }
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

/// Where a cancel request for it goes, and what those see of it who list connections.
#[derive(Debug)]
pub struct BackendKey {
    pub node: Arc<Node>,
    pub process_id: u32,
    pub secret_key: Vec<u8>,
    /// The role on the server.
    pub user: Box<str>,
    pub is_tls: bool,
    pub connected: SystemTime,
    leased: AtomicBool,
    /// The process id that the client was told who has it, or had it last; 0: nobody yet.
    client: AtomicU32,
    closed: AtomicBool,
    /// The cancel that comes is for a statement that has taken too long.
    timed_out: AtomicBool,
    /// The cancel that comes ends the client's session.
    ended: AtomicBool,
    /// [`Node::era`] when it was opened.
    era: usize,
    /// Its socket, where it may have to be cut off.
    handle: Mutex<Option<Handle>>,
}

impl BackendKey {
    pub(super) fn new(
        node: &Arc<Node>,
        process_id: u32,
        secret_key: Vec<u8>,
        user: &str,
        is_tls: bool,
        handle: Option<Handle>,
    ) -> Self {
        Self {
            node: Arc::clone(node),
            process_id,
            secret_key,
            user: user.into(),
            is_tls,
            connected: SystemTime::now(),
            leased: AtomicBool::new(false),
            client: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            timed_out: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            era: node.era(),
            handle: Mutex::new(handle),
        }
    }

    /// Whoever waits for it sees the end of its stream.
    pub(super) fn sever(&self) {
        if let Some(handle) = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take() {
            handle.shut();
        }
    }

    /// A client has it.
    pub fn is_leased(&self) -> bool {
        self.leased.load(Ordering::Relaxed)
    }

    pub(super) fn set_leased(&self, leased: bool) {
        self.leased.store(leased, Ordering::Relaxed);
        if !leased {
            self.timed_out.store(false, Ordering::Relaxed);
            self.ended.store(false, Ordering::Relaxed);
        }
    }

    /// A client has it that was told this process id.
    pub fn note_client(&self, process_id: u32) {
        self.client.store(process_id, Ordering::Relaxed);
    }

    pub(super) fn client(&self) -> Option<u32> {
        Some(self.client.load(Ordering::Relaxed)).filter(|client| *client != 0)
    }

    pub fn set_timed_out(&self) {
        self.timed_out.store(true, Ordering::Release);
    }

    pub fn set_ended(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether the cancel that came was for a statement that has taken too long.
    pub fn take_timed_out(&self) -> bool {
        self.timed_out.swap(false, Ordering::AcqRel)
    }

    /// Its connection is gone; only this key is still held by somebody.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// It was to be closed when nobody uses it any more.
    pub fn is_outdated(&self) -> bool {
        self.era != self.node.era()
    }
}

/// Tells those who list connections when this one is gone.
#[derive(Debug)]
pub struct Open(pub(super) Arc<BackendKey>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Relaxed);
        // It would keep the socket open.
        drop(self.0.handle.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
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
    /// What the server's numbers of types and tables are for clients; `None`: the same.
    #[inline]
    pub fn numbering(&self) -> Option<Arc<Numbering>> {
        match &self.numbering_within {
            None => self.node.numbering(),
            Some(own) => own.clone(),
        }
    }

    /// Whether [`Self::numbering`] may have something to say.
    #[inline]
    pub fn renumbers(&self) -> bool {
        self.numbering_within.is_some() || self.node.renumbers()
    }

    /// Queues a Parse; the types are those that clients know.
    pub fn queue_parse(&mut self, name: &[u8], sql: &[u8], types: &[u8]) {
        let numbering = if types.is_empty() { None } else { self.numbering() };
        let out = &mut self.framed.outbound;
        match numbering {
            Some(numbering) => encode::parse(out, name, sql, &numbering.to_server.types(types)),
            None => encode::parse(out, name, sql, types),
        }
    }

    pub fn may_be_reused(&self) -> bool {
        self.condition == Condition::Clean
            && self.is_at_rest()
            && self.status == Status::Idle
            && !self.key.is_outdated()
    }

    /// Nothing was sent whose replies have not all been read.
    pub fn is_at_rest(&self) -> bool {
        self.unanswered == 0
            && self.condition != Condition::Broken
            && self.framed.inbound.is_empty()
            && self.framed.outbound.is_empty()
    }
}
