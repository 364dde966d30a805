//! The loop over one client's requests. A turn is a Query, or extended messages up to Sync or Flush;
//! between turns an idle client holds no buffer and, unless it is in a transaction or pinned, no
//! connection.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use bytes::Buf;
use foldhash::fast::RandomState;
use tokio::sync::Notify;

use super::cancel::Cancellable;
use super::database::{Database, UserPools};
use super::prepared::{ClientStatement, Portal};
use super::segment::Segment;
use super::state::SessionState;
use crate::execute::brief::brief;
use crate::execute::{Expect, RelayError};
use crate::net::Framed;
use crate::pool::worker;
use crate::protocol::backend::{self, Severity, Status};
use crate::protocol::frame::{self, FrameError, Header};
use crate::protocol::frontend::tag;
use crate::transaction::Transaction;
use crate::types::limits::FRAME_BYTES_MAX;
use crate::types::{ClientError, SqlState};

pub struct Session {
    pub(super) client: Framed,
    pub(super) database: Arc<Database>,
    pub(super) pools: Arc<UserPools>,
    pub(super) user: Box<str>,
    /// The role on the servers.
    pub(super) login: Box<str>,
    pub(super) state: SessionState,
    pub(super) transaction: Transaction,
    pub(super) cancel: Arc<Cancellable>,
    pub(super) statements: HashMap<Box<[u8]>, Arc<ClientStatement>, RandomState>,
    /// Names of those that PREPARE made, in their order; some may be gone.
    pub(super) sql_prepared: Vec<Box<[u8]>>,
    pub(super) portals: HashMap<Box<[u8]>, Portal, RandomState>,
    /// Cursors of DECLARE, by the shard that has them.
    pub(super) cursors: HashMap<String, Cursor>,
    /// Where the messages since the last Sync went.
    pub(super) segment: Option<Segment>,
    /// The same, for a scatter.
    pub(super) scattering: Option<super::several::ScatterSegment>,
    /// A definition was changed: what planning knows of the catalog is old once the transaction has ended.
    pub(super) changed_catalog: bool,
    /// What the transaction sees of definitions that it has changed itself.
    pub(super) within: Option<super::planner::Within>,
    /// They were changed since that was looked at.
    pub(super) changed_within: bool,
    /// The home shard's numbers of types as a transaction sees them that has changed definitions.
    pub(super) numbers_within: Option<Vec<crate::protocol::numbering::Numbered>>,
    /// A definition is under way, which needs no numbers.
    pub(super) defining: bool,
    /// What this client last got from a sequence was served by the proxy.
    pub(super) served_last: bool,
    /// A statement may have changed what is kept unique over all shards, and its shards were not asked yet.
    pub(super) leaves_notes: bool,
    /// A statement since the transaction's beginning may set sequences.
    pub(super) unsteady: Option<super::ids::Unsteady>,
    /// All that a statement lacks for the short way is a connection there.
    pub(super) wanted: Option<(crate::types::ShardId, super::user_pools::Want)>,
    /// What came of waiting for it: for this request only.
    pub(super) reserved: Option<super::quick::Reserved>,
    /// How the Query that runs differs from what the client sent.
    pub(super) moved: Option<crate::protocol::moved::Moved>,
    /// How long the frame at the front of the client's buffer is since it was replaced by the proxy's own.
    pub(super) replaced: Option<usize>,
    /// A Bind of a write on several shards, of which they don't know yet.
    pub(super) pending_write: Option<super::writing::PendingWrite>,
    /// What an EXPLAIN that is about to run says before the server's rows.
    pub(super) explaining: Option<Box<str>>,
    /// Parses that no message has given a place to yet.
    pub(super) unplaced: Vec<super::undo::Unplaced>,
    /// What the queued messages have changed and may yet have to be taken back.
    pub(super) undo: Vec<super::undo::Undo>,
    /// An extended message failed: everything up to Sync is ignored.
    pub(super) skipping: bool,
    pub(super) expects: VecDeque<Expect>,
    /// `SET shardway.key` and `SET shardway.shard`.
    pub(super) hint: Option<crate::planning::Hint>,
    /// What runs now, where it may have to be run again.
    pub(super) again: super::again::Again,
    /// How fresh what this client reads has to be.
    pub(super) freshness: super::freshness::Freshness,
    /// `SET shardway.consistency = 'atomic'`.
    pub(super) reads_atomic: bool,
    /// What transactions undo of these, and of what is asked of reads.
    pub(super) own_history: super::own_settings::OwnHistory,
    pub(super) greeting: Arc<super::welcome::Greeting>,
    pub(super) names: Arc<super::planner::KeyedNames>,
    pub(super) standard_conforming_strings: bool,
    pub(super) drain: Arc<Drain>,
    /// The shard whose completed statements are being applied, where it is not all that are held.
    pub(super) acting: Option<crate::types::ShardId>,
    /// An Execute has begun a COPY FROM STDIN to several shards, whose data comes next.
    pub(super) copying: Option<super::copy::PendingCopy>,
    /// Statements of one Query are run one by one.
    pub(super) batch: Option<super::batch::Batch>,
    /// The transaction of the proxy's own ends with the client's Sync.
    pub(super) piped: bool,
    /// The messages of this turn are of the extended protocol: what they do is one transaction up to the Sync.
    pub(super) in_extended: bool,
    /// Tells sessions apart; never used twice.
    pub(super) number: u64,
    /// The connection that last used a sequence for this client.
    pub(super) sequences: Option<Arc<crate::pool::BackendKey>>,
    pub(super) notes: super::noting::Notes,
    /// When this session was last counted as active: see [`worker::is_crowded`].
    pub(super) counted: u32,
    /// What [`Cancellable`] knows to wake this session by.
    pub(super) resting: Option<Waker>,
    /// The statement that is about to be refused, for those who look at refusals.
    pub(super) refused: Option<Arc<crate::planning::Template>>,
    /// Of all clients.
    pub(super) keys: Arc<super::cancel::CancelKeys>,
    pub(super) observed: Arc<crate::observe::Observed>,
}

/// Tells sessions that the server wants to stop.
#[derive(Debug, Default)]
pub struct Drain {
    pub draining: AtomicBool,
    /// The limit is over: sessions end where they are.
    pub over: AtomicBool,
    pub changed: Notify,
}

impl Drain {
    /// Returns once the server wants to stop.
    pub async fn begun(&self) {
        loop {
            let changed = self.changed.notified();
            if self.draining.load(Ordering::Acquire) {
                return;
            }
            changed.await;
        }
    }

    /// Whether a session has to end now; `may_end`: it is between transactions.
    fn ends(&self, may_end: bool) -> bool {
        self.over.load(Ordering::Acquire) || (may_end && self.draining.load(Ordering::Acquire))
    }
}

/// A cursor of DECLARE.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    pub shard: crate::types::ShardId,
    pub holds: bool,
    /// In the order of the session's.
    pub number: u64,
}

/// Why a session is over.
#[derive(Debug)]
pub enum SessionEnd {
    /// Terminate, or the client closed its side.
    Left,
    /// The client's socket failed.
    Lost(std::io::Error),
    /// The proxy ends it, with these words.
    Told(ClientError),
    /// Words were sent already, or can't be.
    Over,
}

impl Session {
    /// Serves the client until it leaves. What it held is given back or closed.
    pub async fn run(&mut self) {
        match self.serve().await {
            SessionEnd::Left | SessionEnd::Over => {}
            SessionEnd::Lost(error) => tracing::debug!(%error, "client lost"),
            SessionEnd::Told(error) => {
                tracing::info!(user = %self.user, %error, "client disconnected");
                backend::error(&mut self.client.outbound, Severity::Fatal, &error);
                // A client that reads nothing more doesn't hold the session up.
                let _ = self.client.try_flush_now();
            }
        }
        self.cancel.clear().await;
        self.leave().await;
    }

    /// One request after the other. What most clients do most of the time is done here and in `quick`; the rest is
    /// boxed, so that the future of a client that is at rest or on the short way stays small.
    async fn serve(&mut self) -> SessionEnd {
        loop {
            let header = match frame::peek(&self.client.inbound, FRAME_BYTES_MAX + 1) {
                Ok(Some(header)) => header,
                Ok(None) => match self.rest().await {
                    Ok(()) => continue,
                    Err(end) => return end,
                },
                Err(error) => return violation(error),
            };
            self.notes.begin();
            self.follow_reload();
            let sent = match self.quick(header) {
                None => None,
                Some(quick) => self.lease_for(&quick).await.map(|lease| (quick, lease)),
            };
            let ended = match sent.map(|(quick, lease)| self.send_quickly(quick, lease)) {
                Some(mut sent) => {
                    let answered = match sent.has_ahead {
                        false => brief(&mut self.client, &mut sent.lease, sent.shape).await,
                        true => Ok(None),
                    };
                    let left = match answered {
                        Ok(Some(rows)) => self.end_briefly(sent, rows),
                        _ => Some(sent),
                    };
                    match left {
                        None => Ok(()),
                        Some(sent) => Box::pin(self.go_on(sent, answered)).await,
                    }
                }
                None => {
                    if self.database.successor().is_some() {
                        // It was waited for a connection of what a reload has replaced.
                        self.reserved = None;
                        self.follow_reload();
                    }
                    self.keep_request(header);
                    let ended = Box::pin(self.turn(header)).await;
                    self.reserved = None;
                    ended
                }
            };
            if let Err(end) = ended {
                return end;
            }
            if self.keeps_request() && Box::pin(self.begins_again()).await {
                continue;
            }
            if let Err(end) = self.flush().await {
                return end;
            }
        }
    }

    /// One request, from its first byte to the last of its answer.
    async fn turn(&mut self, header: Header) -> Result<(), SessionEnd> {
        if self.skipping && matches!(header.tag, tag::QUERY | tag::FUNCTION_CALL) {
            // A server skips these as well until the Sync.
            self.await_frame(header).await?;
            self.client.inbound.advance(header.len);
            return Ok(());
        }
        if !self.transaction.held().is_empty() {
            self.cancel.await_time_out().await;
        }
        self.client.take_outbound();
        self.client.unwatch();
        self.in_extended = !matches!(header.tag, tag::QUERY | tag::FUNCTION_CALL);
        match header.tag {
            tag::QUERY => {
                self.await_frame(header).await?;
                self.simple_query(header.len).await?;
                self.end_request();
                Ok(())
            }
            tag::PARSE | tag::BIND | tag::DESCRIBE | tag::EXECUTE | tag::CLOSE | tag::FLUSH | tag::SYNC => {
                self.extended_turn().await?;
                self.end_request();
                Ok(())
            }
            tag::FUNCTION_CALL => {
                self.await_frame(header).await?;
                self.function_call(header.len).await?;
                self.end_request();
                Ok(())
            }
            // What is left of a COPY that failed: PostgreSQL ignores it as well.
            tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL => {
                self.await_frame(header).await?;
                self.client.inbound.advance(header.len);
                Ok(())
            }
            tag::TERMINATE => Err(SessionEnd::Left),
            other => Err(violation(FrameError::Unexpected(other as char))),
        }
    }

    /// Between turns: gives memory back and waits for the client's next bytes, for a shutdown, and for what
    /// arrives on a pinned connection.
    async fn rest(&mut self) -> Result<(), SessionEnd> {
        if self.cancel.is_ending() {
            self.cancel.begin_rest();
        }
        if worker::is_crowded(&mut self.counted) {
            Box::pin(self.move_over()).await?;
        }
        let read = loop {
            let may_end = self.transaction.status() == Status::Idle
                && self.segment.is_none()
                && self.scattering.is_none()
                && self.client.inbound.is_empty();
            if self.drain.ends(may_end) || self.cancel.is_ending() {
                return Err(SessionEnd::Told(super::cancel::farewell(self.cancel.ending())));
            }
            if self.state.pins.listens && may_end {
                if Box::pin(self.await_client_or_change()).await? {
                    break self.client.fill().await;
                }
                continue;
            }
            let (client, cancel, drain, resting) = (&mut self.client, &self.cancel, &self.drain, &mut self.resting);
            let read = poll_fn(|cx| {
                if let Poll::Ready(read) = client.poll_fill_at_rest(cx) {
                    return Poll::Ready(Some(read));
                }
                // Each session has a place of its own for its waker: one for all would be a lock that
                // every turn of every client takes.
                if !resting.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                    cancel.rest(cx.waker());
                    *resting = Some(cx.waker().clone());
                }
                if drain.ends(may_end) || cancel.is_ending() { Poll::Ready(None) } else { Poll::Pending }
            })
            .await;
            if let Some(read) = read {
                break read;
            }
        };
        match read {
            Ok(0) => Err(SessionEnd::Left),
            Ok(_) => Ok(()),
            Err(error) => Err(SessionEnd::Lost(error)),
        }
    }

    /// Goes on on another worker, if nothing is held that this one's runtime watches.
    async fn move_over(&mut self) -> Result<(), SessionEnd> {
        let holds_nothing = self.is_free() && self.client.inbound.is_empty() && self.client.outbound.is_empty();
        if !holds_nothing || self.reserved.is_some() || self.client.stream.is_tls() {
            return Ok(());
        }
        worker::leave().await;
        match self.client.take_over_here() {
            Ok(_) => Ok(()),
            // The old handle is good, only slower: each wake-up crosses threads.
            Err(error) => {
                tracing::warn!(%error, "a client's socket could not be taken over from another worker");
                Ok(())
            }
        }
    }

    /// On a pinned connection with news to come: true when the client has sent something.
    async fn await_client_or_change(&mut self) -> Result<bool, SessionEnd> {
        let drain = Arc::clone(&self.drain);
        let changed = drain.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        self.await_client_or_news(changed).await
    }

    /// Reads until the whole frame is there. Memory grows with what arrives, not with what is claimed.
    pub(super) async fn await_frame(&mut self, header: Header) -> Result<(), SessionEnd> {
        while self.client.inbound.len() < header.len {
            self.tell_failure().await?;
            match self.client.fill().await {
                Ok(0) => return Err(SessionEnd::Left),
                Ok(_) => {}
                Err(error) => return Err(SessionEnd::Lost(error)),
            }
        }
        Ok(())
    }

    /// An error is told at once: the client may wait for it before it sends its Sync, or be sending much that is for
    /// nothing.
    pub(super) async fn tell_failure(&mut self) -> Result<(), SessionEnd> {
        if self.skipping { self.flush().await } else { Ok(()) }
    }

    pub(super) async fn flush(&mut self) -> Result<(), SessionEnd> {
        if self.client.outbound.is_empty() {
            return Ok(());
        }
        self.client.flush().await.map_err(SessionEnd::Lost)
    }

    pub(super) fn say_error(&mut self, error: &ClientError) {
        self.note_error(error);
        if let Some(batch) = &mut self.batch {
            batch.failed = true;
        }
        backend::error(&mut self.client.outbound, Severity::Error, error);
    }

    pub(super) fn say_ready(&mut self) {
        if self.batch.is_some() {
            return;
        }
        self.tell_heard();
        let status = self.transaction.status();
        backend::ready(&mut self.client.outbound, status);
    }
}

pub(super) fn violation(error: FrameError) -> SessionEnd {
    SessionEnd::Told(ClientError::new(SqlState::PROTOCOL_VIOLATION, error.to_string()))
}

/// A relay's error that ends the session; others are told to the client and survived.
pub(super) fn ends_session(error: &RelayError) -> Option<SessionEnd> {
    match error {
        RelayError::Client(error) => Some(SessionEnd::Lost(std::io::Error::new(error.kind(), error.to_string()))),
        RelayError::ClientProtocol(error) => Some(violation(*error)),
        RelayError::Ended => Some(SessionEnd::Told(super::cancel::farewell(None))),
        RelayError::Torn => Some(SessionEnd::Told(ClientError::new(
            SqlState::CONNECTION_FAILURE,
            "a server was lost in the middle of a row",
        ))),
        RelayError::Backend { .. }
        | RelayError::Protocol(_)
        | RelayError::Disagree(_)
        | RelayError::TooMuch(_)
        | RelayError::Ahead(_) => None,
    }
}
