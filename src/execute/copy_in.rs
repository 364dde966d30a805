//! COPY FROM STDIN on several backends: the client's rows go each to its own, or to all. In: the client's data and
//! what says where a row belongs. Out: how many rows there were, or the one error that PostgreSQL would have given,
//! with the client's line numbers. Leaves all backends at rest; committing is the session's.

mod context;
mod feed;

use std::future::poll_fn;
use std::task::Poll;

use bytes::BytesMut;

use self::context::with_client_line;
use super::divide::{Divider, Lines};
use super::replies::{ClientFrame, RelayError, without_fatal};
use crate::net::Framed;
use crate::planning::Refusal;
use crate::planning::copy::{RawKey, RowPlace};
use crate::pool::{Backend, Condition};
use crate::protocol::backend::{self, tag as reply};
use crate::protocol::frame;
use crate::protocol::frontend::encode;
use crate::types::ShardId;
use crate::types::limits::{COPY_QUEUE_BYTES_MAX, FRAME_BYTES_MAX};

/// What came of it.
#[derive(Debug)]
pub enum Copied {
    Rows(u64),
    /// An ErrorResponse for the client.
    Failed(Vec<u8>),
    Refused(Refusal),
}

/// Where rows go.
pub struct Division<'a> {
    pub divider: Divider,
    /// `None`: every row goes to every shard.
    pub place: Option<&'a (dyn Fn(RawKey<'_>) -> RowPlace + Sync)>,
    /// The table's name as the servers' messages give it.
    pub table: &'a str,
    /// The data is no client's: notices are kept here, and nothing else is said.
    pub aside: Option<&'a mut Vec<bytes::Bytes>>,
}

struct Share<'a> {
    shard: ShardId,
    backend: &'a mut Backend,
    /// Rows that aren't in a message yet.
    rows: BytesMut,
    lines: Lines,
    state: State,
    /// Counted by its CommandComplete.
    copied: u64,
    /// It was told to fail because another one has.
    silenced: bool,
    /// Its first error, and the client's line that it is about.
    error: Option<(Option<u64>, Vec<u8>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Asked,
    Copying,
    /// CopyDone or CopyFail was sent, or it failed.
    Ending,
    Ready,
}

struct Refused {
    line: u64,
    refusal: Refusal,
    /// A server has been given the row: what it says of it is the better answer.
    asked: bool,
}

/// How the client's half ended.
enum ClientEnd {
    Done,
    Failed(Vec<u8>),
}

struct Copy<'a> {
    client: &'a mut Framed,
    shares: Vec<Share<'a>>,
    division: Division<'a>,
    /// Bytes left of a CopyData whose beginning was read.
    within: usize,
    /// Lines of the client's that were handed on.
    client_line: u64,
    /// The data had its own end: what follows is ignored.
    data_ended: bool,
    ended: Option<ClientEnd>,
    /// A row that no shard was found for.
    refused: Option<Refused>,
    /// Nothing more is handed on.
    stopped: bool,
}

/// Runs `statement` on all of these backends, whose replies have all been read, and divides the client's rows among
/// them. Nothing is left to be said but the CommandComplete or the error.
///
/// # Errors
/// A lost client, or the position of a server that was lost.
pub async fn copy_in(
    client: &mut Framed,
    backends: Vec<(ShardId, &mut Backend)>,
    statement: &[u8],
    division: Division<'_>,
) -> Result<Copied, (usize, RelayError)> {
    let share = |(shard, backend)| Share {
        shard,
        backend,
        rows: BytesMut::new(),
        lines: Lines::default(),
        state: State::Asked,
        copied: 0,
        silenced: false,
        error: None,
    };
    let mut copy = Copy {
        client,
        shares: backends.into_iter().map(share).collect(),
        division,
        within: 0,
        client_line: 0,
        data_ended: false,
        ended: None,
        refused: None,
        stopped: false,
    };
    copy.begin(statement).await?;
    while !copy.stopped {
        copy.feed().map_err(|error| (0, error))?;
        if copy.stopped || copy.ended.is_some() {
            break;
        }
        copy.wait(true).await?;
    }
    copy.finish().await?;
    Ok(copy.outcome())
}

impl Copy<'_> {
    async fn begin(&mut self, statement: &[u8]) -> Result<(), (usize, RelayError)> {
        for share in &mut self.shares {
            encode::query(&mut share.backend.framed.outbound, statement);
            share.backend.unanswered += 1;
            share.backend.unnamed = None;
        }
        while self.shares.iter().any(|share| share.state == State::Asked) {
            self.wait(false).await?;
        }
        self.stopped |= self.shares.iter().any(|share| share.error.is_some());
        if !self.stopped {
            self.client.flush().await.map_err(|error| (0, RelayError::Client(error)))?;
        }
        Ok(())
    }

    /// Sends what is queued and takes what arrives: from the servers and, unless they are behind, from the client.
    async fn wait(&mut self, from_client: bool) -> Result<(), (usize, RelayError)> {
        let Self { client, shares, .. } = self;
        let arrived = poll_fn(|cx| {
            let mut behind = false;
            for (position, share) in shares.iter_mut().enumerate() {
                if share.state == State::Ready {
                    continue;
                }
                let framed = &mut share.backend.framed;
                if !framed.outbound.is_empty()
                    && let Poll::Ready(Err(error)) = framed.poll_flush(cx)
                {
                    // The server may have said why before it closed: that is read below.
                    tracing::debug!(%error, "could not send to the server");
                    framed.outbound.clear();
                }
                behind |= framed.outbound.len() >= COPY_QUEUE_BYTES_MAX;
                if let Poll::Ready(read) = framed.poll_fill(cx) {
                    return Poll::Ready((Some(position), read));
                }
            }
            if from_client
                && !behind
                && let Poll::Ready(read) = client.poll_fill(cx)
            {
                return Poll::Ready((None, read));
            }
            // Room for more of what the client has sent already.
            Poll::Pending
        })
        .await;
        match arrived {
            (None, Ok(0)) => {
                let gone = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "closed during COPY");
                Err((0, RelayError::Client(gone)))
            }
            (None, Ok(_)) => Ok(()),
            (None, Err(error)) => Err((0, RelayError::Client(error))),
            (Some(position), Ok(0)) => Err(self.lost(position, "end of stream".to_owned(), None)),
            (Some(position), Ok(_)) => self.replies(position),
            (Some(position), Err(error)) => Err(self.lost(position, error.to_string(), None)),
        }
    }

    fn lost(&mut self, position: usize, reason: String, last_words: Option<ClientFrame>) -> (usize, RelayError) {
        if let Some(share) = self.shares.get_mut(position) {
            share.backend.condition = Condition::Broken;
        }
        (position, RelayError::Backend { reason, last_words })
    }

    /// What one server says.
    fn replies(&mut self, position: usize) -> Result<(), (usize, RelayError)> {
        loop {
            let Some(share) = self.shares.get_mut(position) else { return Ok(()) };
            let inbound = &share.backend.framed.inbound;
            let header = frame::peek(inbound, FRAME_BYTES_MAX + 1).map_err(|error| (position, error.into()))?;
            let Some(frame) = header.and_then(|header| inbound.get(..header.len)) else { return Ok(()) };
            let len = frame.len();
            match frame.first().copied().unwrap_or_default() {
                reply::COPY_IN => {
                    share.state = State::Copying;
                    if position == 0 && self.division.aside.is_none() {
                        self.client.outbound.extend_from_slice(frame);
                    }
                }
                // Each copy of a reference table has the same triggers.
                reply::NOTICE if position == 0 || self.division.place.is_some() => {
                    let line = |line| share.lines.client_line(line, self.client_line);
                    let (frame, _) = with_client_line(frame, self.division.table, line);
                    match &mut self.division.aside {
                        Some(notices) => notices.push(bytes::Bytes::copy_from_slice(&frame)),
                        None => self.client.outbound.extend_from_slice(&frame),
                    }
                }
                reply::ERROR if backend::is_fatal(frame) => {
                    let reason = backend::error_field(frame, b'M').unwrap_or_default();
                    let reason = String::from_utf8_lossy(reason).into_owned();
                    let last_words = Some(without_fatal(frame));
                    return Err(self.lost(position, reason, last_words));
                }
                reply::ERROR => {
                    let line = |line| share.lines.client_line(line, self.client_line);
                    let (frame, line) = with_client_line(frame, self.division.table, line);
                    if !share.silenced {
                        share.error.get_or_insert((line, frame));
                    }
                    share.state = State::Ending;
                    share.backend.framed.outbound.clear();
                    share.rows.clear();
                    self.stopped = true;
                }
                reply::COMMAND_COMPLETE => {
                    let tag = backend::command_tag(frame).map_err(|error| (position, error.into()))?;
                    share.copied = backend::tag_rows(tag);
                }
                reply::READY => {
                    let status = backend::ready_status(frame).map_err(|error| (position, error.into()))?;
                    share.backend.status = status;
                    share.backend.unanswered = share.backend.unanswered.saturating_sub(1);
                    share.state = State::Ready;
                }
                _ => {}
            }
            share.backend.pass(len);
        }
    }

    /// Ends the copy on each server and awaits its answer. Where it has failed already the others are heard all the
    /// same: the first line that is wrong counts.
    async fn finish(&mut self) -> Result<(), (usize, RelayError)> {
        self.send_rows();
        let failed = match self.ended.take() {
            Some(ClientEnd::Failed(reason)) if !self.stopped => Some(reason),
            _ => None,
        };
        let refused_at_once = self.client_line == 0 && self.shares.iter().any(|share| share.error.is_some());
        for share in self.shares.iter_mut().filter(|share| share.state == State::Copying) {
            let out = &mut share.backend.framed.outbound;
            match &failed {
                Some(reason) => encode::copy_fail(out, &String::from_utf8_lossy(reason)),
                None if refused_at_once => {
                    encode::copy_fail(out, "another shard refused it");
                    share.silenced = true;
                }
                None => encode::copy_done(out),
            }
            share.state = State::Ending;
        }
        while self.shares.iter().any(|share| share.state != State::Ready) {
            self.wait(false).await?;
        }
        Ok(())
    }

    fn outcome(self) -> Copied {
        let whole = self.division.place.is_none();
        let counts = self.shares.iter().map(|share| share.copied);
        let rows = if whole { counts.take(1).sum() } else { counts.sum() };
        let errors = self.shares.into_iter().filter_map(|share| share.error);
        // Those that tell no line come at the end of a copy, as those of deferred triggers.
        let first = errors.min_by_key(|(line, _)| line.unwrap_or(u64::MAX));
        match (first, self.refused) {
            (Some((line, _)), Some(refused)) if !refused.asked && line.is_none_or(|line| line > refused.line) => {
                Copied::Refused(refused.refusal)
            }
            (Some((_, frame)), _) => Copied::Failed(frame),
            (None, Some(refused)) => Copied::Refused(refused.refusal),
            (None, None) => Copied::Rows(rows),
        }
    }
}

impl Share<'_> {
    fn send_rows(&mut self) {
        if !self.rows.is_empty() && self.state == State::Copying {
            encode::copy_data(&mut self.backend.framed.outbound, &self.rows);
        }
        self.rows.clear();
    }
}
