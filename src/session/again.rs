//! A statement whose server was lost before the client was told anything is run again, once, where that can't be seen: a
//! read on another node, and a write that its server has not run because it was shutting down. One that has waited, for a
//! primary or for RESUME, is planned anew if its tables or the configuration have changed meanwhile. In: the client's own
//! bytes, kept where there are replicas or something is waited for, for clients in no transaction. Out: the same bytes
//! again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::turn::Session;
use crate::execute::RelayError;
use crate::planning::{Access, Template};
use crate::pool::Node;
use crate::pool::connect::connect_control;
use crate::protocol::frame::{self, Header};
use crate::protocol::frontend::{Bind, Parse, tag};
use crate::protocol::{backend, frontend};
use crate::sql::Command;
use crate::sql::command::Verb;
use crate::types::limits::{AGAIN_BYTES_MAX, AGAIN_MESSAGES_MAX, FRAME_BYTES_MAX, REPLANS_MAX};
use crate::types::{ClientError, ShardId, SqlState};

#[derive(Debug, Default)]
pub(super) struct Again {
    frames: Vec<u8>,
    /// What the client had been told by then.
    sent: u64,
    outbound: usize,
    kind: Kind,
    /// Nothing in it runs: statements are parsed and described only.
    only_looks: bool,
    /// A replica was asked.
    asked_replica: bool,
    lost: Option<Lost>,
    /// It has waited, and nothing of it has run; what it was planned by has changed.
    replans: bool,
    /// What it was planned by, once it was.
    generation: Option<u64>,
    /// How often it was planned anew.
    rounds: u32,
    /// It runs for the second time.
    pub tried: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
enum Kind {
    /// Nothing is known yet.
    #[default]
    Open,
    Read,
    /// One statement that writes one shard.
    Write,
    Other,
}

#[derive(Debug)]
struct Lost {
    shard: ShardId,
    /// How often its primary had changed.
    changes: u64,
    /// It said that it shuts down: its other connections end next.
    leaves: Option<Arc<Node>>,
}

/// SQLSTATE: the server shuts down.
const ADMIN_SHUTDOWN: &[u8] = b"57P01";

/// Where PostgreSQL raises FATAL 57P01: when it looks for interrupts, and when it waits for a message and its postmaster is
/// gone. Neither is between a commit and its CommandComplete: CommitTransaction (xact.c) holds interrupts off, and a commit
/// that waits for a standby when the server shuts down (SyncRepWaitForLSN, syncrep.c) gets a WARNING of that SQLSTATE, and
/// from then on nothing more is sent. An immediate shutdown (quickdie, postgres.c) is told by a WARNING as well. Whoever
/// else says 57P01, such as a pooler between, may mean something else by it.
const ROUTINES: [&[u8]; 2] = [b"ProcessInterrupts", b"secure_read"];

impl Session {
    /// Keeps the request at the front of the client's buffer, `len` bytes of it, all of them reads.
    pub(super) fn keep_read(&mut self, len: usize) {
        if self.database.has_replicas() && !self.again.tried {
            self.keep(len, Kind::Read);
        }
    }

    /// Whether there is anything that might begin again, or be forgotten.
    #[inline]
    pub(super) fn keeps_request(&self) -> bool {
        !self.again.frames.is_empty() || self.again.tried || self.again.rounds > 0
    }

    /// Keeps a request that goes the long way.
    pub(super) fn keep_request(&mut self, header: Header) {
        let may_be_needed = self.database.has_replicas() || self.database.may_hold();
        if !may_be_needed || self.again.tried || !self.is_free() {
            return;
        }
        match header.tag {
            tag::QUERY if header.len <= AGAIN_BYTES_MAX.min(self.client.inbound.len()) => {
                self.keep(header.len, Kind::Open);
            }
            tag::PARSE | tag::BIND | tag::DESCRIBE => {
                let Some(turn) = WholeTurn::of(&self.client.inbound) else { return };
                // A name that is taken already fails, and isn't this request's to forget.
                if turn.names(&self.client.inbound).any(|name| self.statements.contains_key(name)) {
                    return;
                }
                self.keep(turn.len, if turn.executes { Kind::Open } else { Kind::Read });
                self.again.only_looks = !turn.executes;
            }
            _ => {}
        }
    }

    fn keep(&mut self, len: usize, kind: Kind) {
        let frames = self.client.inbound.get(..len).unwrap_or_default().to_vec();
        let (sent, outbound) = (self.client.sent, self.client.outbound.len());
        let rounds = self.again.rounds;
        self.again = Again { frames, sent, outbound, kind, rounds, ..Again::default() };
    }

    /// A statement of the request is about to run.
    pub(super) fn note_repeatable(&mut self, template: &Template) {
        if self.again.frames.is_empty() || self.again.only_looks {
            return;
        }
        self.again.generation = Some(self.generation());
        let ordinary = |verb: Verb| matches!(verb, Verb::Select | Verb::Insert | Verb::Update | Verb::Delete);
        let kind = match &*template.statements {
            [only] if matches!(only.command, Command::Ordinary(verb) if ordinary(verb)) => match only.access {
                Access::Read => Kind::Read,
                Access::Write => Kind::Write,
            },
            _ => Kind::Other,
        };
        // Of several writes one may be done.
        self.again.kind = match (self.again.kind, kind) {
            (Kind::Write, _) | (Kind::Read, Kind::Write) => Kind::Other,
            (before, kind) => before.max(kind),
        };
    }

    /// A server was lost under the request.
    pub(super) fn note_lost(&mut self, shard: ShardId, error: &RelayError) {
        let RelayError::Backend { last_words, .. } = error else { return };
        if self.again.frames.is_empty() || self.client.sent != self.again.sent {
            return;
        }
        let said = |frame: &[u8]| {
            backend::error_field(frame, b'C') == Some(ADMIN_SHUTDOWN)
                && backend::error_field(frame, b'R').is_some_and(|routine| ROUTINES.contains(&routine))
        };
        let shuts_down = last_words.as_ref().is_some_and(|words| said(&words.0));
        let may_run_again = match self.again.kind {
            Kind::Read => true,
            // Its last words came instead of the answer: see `ROUTINES`.
            Kind::Write => {
                shuts_down
                    && self.transaction.held().len() == 1
                    && !self.transaction.is_spread()
                    && !completes(self.client.outbound.get(self.again.outbound..).unwrap_or_default())
            }
            Kind::Open | Kind::Other => false,
        };
        if may_run_again {
            let lease = self.transaction.lease_mut(shard).filter(|_| shuts_down);
            let leaves = lease.map(|lease| Arc::clone(&lease.node));
            self.again.lost = Some(Lost { shard, changes: self.database.lead(shard).changes(), leaves });
        }
    }

    /// A statement of the request goes to that connection.
    #[inline]
    pub(super) fn note_asked(&mut self, is_replica: bool) {
        self.again.asked_replica |= is_replica;
    }

    /// Asked before anything of a statement goes to a server where none is held; `waited`: for a primary, or for RESUME. The
    /// error: it isn't to run as it was planned. It is planned anew after it, or the client is told.
    ///
    /// # Errors
    /// When what it was planned by isn't what there is.
    pub(super) fn still_holds(&mut self, waited: bool) -> Result<(), ClientError> {
        let successor = self.newest_database();
        let kept = !self.again.frames.is_empty() && self.again.rounds < REPLANS_MAX;
        let is_old = |planned| planned != self.generation() || self.database.planner.stale.load(Ordering::Acquire);
        let has_changed = kept && waited && self.again.generation.is_some_and(is_old);
        if successor.is_none() && !has_changed {
            return Ok(());
        }
        let told = self.client.outbound.get(self.again.outbound..).unwrap_or_default();
        if kept && self.client.sent == self.again.sent && !completes(told) {
            self.again.replans = true;
        } else if !waited || !successor.is_some_and(|successor| self.database.places_otherwise(&successor)) {
            // As a statement that was begun just before.
            return Ok(());
        }
        let text = "the configuration was changed before the statement began";
        Err(ClientError::new(SqlState::CANNOT_CONNECT_NOW, text).hint("Nothing was done; try again."))
    }

    /// The request was answered. True: not to the client, it is at the front of the buffer again.
    pub(super) async fn begins_again(&mut self) -> bool {
        let again = std::mem::take(&mut self.again);
        if again.replans {
            self.explaining = None;
        }
        if again.replans && self.client.sent == again.sent && self.is_free() {
            self.hear_again(&again);
            self.again.rounds = again.rounds + 1;
            return true;
        }
        if self.client.sent != again.sent || !self.is_free() {
            return false;
        }
        let Some(lost) = &again.lost else {
            let told = self.client.outbound.get(again.outbound..).unwrap_or_default();
            if !again.asked_replica || again.kind != Kind::Read || !ends_for_being_a_replicas(told) {
                return false;
            }
            tracing::debug!(user = %self.user, "a read that a replica could not answer runs again");
            self.database.figures.reruns.add("read");
            self.hear_again(&again);
            self.again.tried = true;
            return true;
        };
        if again.kind == Kind::Write && !self.has_left(lost).await {
            return false;
        }
        if let Some(node) = &lost.leaves {
            // One that is still open would be lost in turn, and a second time nothing is run again.
            node.begin_era();
        }
        tracing::info!(user = %self.user, shard = self.shard_name(lost.shard), "a statement whose server was lost runs again");
        self.database.figures.reruns.add(if again.kind == Kind::Write { "write" } else { "read" });
        self.hear_again(&again);
        self.again.tried = true;
        true
    }

    /// At the front of the client's buffer, as if it had just come.
    fn hear_again(&mut self, again: &Again) {
        // It is parsed again, too.
        if let Some(turn) = WholeTurn::of(&again.frames) {
            for name in turn.names(&again.frames) {
                self.statements.remove(name);
            }
        }
        self.client.outbound.truncate(again.outbound);
        self.client.inbound.replace_front(0, &again.frames);
    }

    /// Whether the primary goes away: then it lets nobody in any more before it ends what runs. An administrator may have
    /// ended one connection only: who meant that statement doesn't want it to run again.
    async fn has_left(&self, lost: &Lost) -> bool {
        let lead = Arc::clone(self.database.lead(lost.shard));
        if lead.changes() != lost.changes {
            return true;
        }
        let Some(login) = self.database.control_login() else { return false };
        match connect_control(&lead.node().config, &login).await {
            Ok(_) => lead.changes() != lost.changes,
            Err(error) => error.refusal().is_none_or(|refusal| refusal.sqlstate.starts_with("57P")),
        }
    }
}

/// Whether a read was answered by an error that may be a replica's alone. It gave up the read because that was in the way
/// of what it had to replay (40001, 40P01; hot standby), it can't do what was asked for in recovery (25006, 55000, 0A000),
/// it is gone, or it is behind and doesn't know yet what the read names (class 42 and its like), or no more.
fn ends_for_being_a_replicas(mut shown: &[u8]) -> bool {
    while let Ok(Some(header)) = frame::peek(shown, FRAME_BYTES_MAX + 1) {
        let (frame, behind) = shown.split_at_checked(header.len).unwrap_or((shown, &[]));
        if header.tag == backend::tag::ERROR {
            let code = backend::error_field(frame, b'C').unwrap_or_default();
            let is_whole =
                [&b"40001"[..], b"40P01", b"25006", b"55000", b"0A000", b"08006", b"22023", b"22P02"].contains(&code);
            return is_whole || [&b"42"[..], b"3D", b"3F", b"XX"].iter().any(|class| code.starts_with(class));
        }
        shown = behind;
    }
    false
}

/// Whether any statement is told to have ended.
fn completes(mut shown: &[u8]) -> bool {
    while let Ok(Some(header)) = frame::peek(shown, FRAME_BYTES_MAX + 1) {
        if header.tag == backend::tag::COMMAND_COMPLETE {
            return true;
        }
        shown = shown.get(header.len..).unwrap_or_default();
    }
    false
}

/// Messages up to a Sync that are all there and can be said again.
struct WholeTurn {
    len: usize,
    /// Something in it runs.
    executes: bool,
}

impl WholeTurn {
    fn of(bytes: &[u8]) -> Option<Self> {
        let mut turn = Self { len: 0, executes: false };
        for _ in 0..AGAIN_MESSAGES_MAX {
            let rest = bytes.get(turn.len..)?;
            let header = frame::peek(rest, FRAME_BYTES_MAX + 1).ok()??;
            let frame = rest.get(..header.len)?;
            turn.len += header.len;
            if turn.len > AGAIN_BYTES_MAX {
                return None;
            }
            match header.tag {
                tag::PARSE => drop(Parse::decode(frame).ok()?),
                tag::BIND if Bind::decode(frame).ok()?.portal.is_empty() => {}
                tag::DESCRIBE => drop(frontend::target(frame).ok()?),
                tag::EXECUTE => turn.executes = true,
                tag::SYNC => return Some(turn),
                _ => return None,
            }
        }
        None
    }

    /// Of the statements that it parses; the unnamed one is replaced by each Parse.
    fn names<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        let mut rest = bytes.get(..self.len).unwrap_or_default();
        let parses = std::iter::from_fn(move || {
            let header = frame::peek(rest, FRAME_BYTES_MAX + 1).ok()??;
            let (frame, behind) = rest.split_at_checked(header.len)?;
            rest = behind;
            Some(if header.tag == tag::PARSE { Parse::decode(frame).ok().map(|parse| parse.statement) } else { None })
        });
        parses.flatten().filter(|name| !name.is_empty())
    }
}
