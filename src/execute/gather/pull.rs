//! The loop that moves rows: all shards that have rows of the table are read, the scratch database is written,
//! and the client is watched.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};

use super::GatherError;
use super::source::{Amount, HEADER, Progress, Source, TRAILER, copy_data, copy_done, lost};
use crate::execute::replies::{ClientFrame, without_fatal};
use crate::net::Framed;
use crate::observe::Gathering;
use crate::pool::{Backend, Condition};
use crate::protocol::backend::{self, tag};
use crate::protocol::frame;
use crate::protocol::frontend::encode;
use crate::types::limits::{CLIENT_AHEAD_BYTES_MAX, COPY_QUEUE_BYTES_MAX, FRAME_BYTES_MAX, GATHER_ANALYZE_ROWS_MIN};
use crate::types::{ClientError, SqlState};

/// One table that is filled.
#[derive(Debug)]
pub struct Pull {
    /// COPY ... FROM STDIN in the binary format.
    pub copy_in: String,
    /// Has the planner look at a large table, where there is something to choose.
    pub analyze: Option<String>,
}

/// What a gather may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    pub rows: u64,
    pub bytes: u64,
}

/// What it took, table by table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pulled {
    pub tables: Vec<Filled>,
}

/// What filled a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filled {
    /// Of each source.
    pub parts: Vec<Amount>,
    /// Since the table before was filled: rows of later tables arrive meanwhile, and wait.
    pub took: Duration,
}

enum Event {
    Progress,
    Source(usize, std::io::Result<usize>),
    Scratch(std::io::Result<usize>),
    Client(std::io::Error),
}

struct Loop<'l, 'a> {
    client: &'l mut Framed,
    scratch: &'l mut Backend,
    sources: &'l mut [Source<'a>],
    notifications: BytesMut,
    amount: Amount,
    /// Of the table that is being filled, from each source.
    parts: Vec<Amount>,
    progress: &'l Gathering,
    watches_client: bool,
    /// The scratch database's error.
    error: Option<ClientFrame>,
}

/// Fills the tables one after the other, between two statements of their own if there are such. After an error all sources are at rest or broken; the scratch
/// connection isn't fit for anything but being closed.
///
/// # Errors
/// The first thing that went wrong.
pub async fn pull(
    client: &mut Framed,
    scratch: &mut Backend,
    sources: &mut [Source<'_>],
    pulls: &[Pull],
    around: Option<(&str, &str)>,
    limits: Limits,
    progress: &Gathering,
) -> Result<Pulled, GatherError> {
    progress.begin(pulls.len());
    let mut work = Loop {
        client,
        scratch,
        sources,
        notifications: BytesMut::new(),
        amount: Amount::default(),
        parts: Vec::new(),
        progress,
        watches_client: true,
        error: None,
    };
    let result = work.run(pulls, around, limits).await;
    let notifications = std::mem::take(&mut work.notifications);
    work.client.outbound.extend_from_slice(&notifications);
    if result.is_err() {
        scratch.condition = Condition::Broken;
        for source in sources {
            source.silence().await;
        }
    }
    result
}

impl Loop<'_, '_> {
    async fn run(
        &mut self,
        pulls: &[Pull],
        around: Option<(&str, &str)>,
        limits: Limits,
    ) -> Result<Pulled, GatherError> {
        for (position, source) in self.sources.iter_mut().enumerate() {
            // All begin at once; a server that doesn't take its request now gets the rest when it is read.
            source.backend.framed.try_flush_now().map_err(|error| lost(position, error))?;
        }
        let mut pulled = Pulled::default();
        self.say(around.map(|(before, _)| before));
        for (table, pull) in pulls.iter().enumerate() {
            let (before, began) = (self.amount.rows, Instant::now());
            self.parts = vec![Amount::default(); self.sources.len()];
            encode::query(&mut self.scratch.framed.outbound, pull.copy_in.as_bytes());
            self.scratch.unanswered += 1;
            copy_data(&mut self.scratch.framed.outbound, HEADER);
            while self.forward(table)? {
                self.check(limits)?;
                self.progress.advance(table, self.amount.rows, self.amount.bytes);
                self.step(Some(table)).await?;
            }
            copy_data(&mut self.scratch.framed.outbound, TRAILER);
            copy_done(&mut self.scratch.framed.outbound);
            let rows = self.amount.rows - before;
            pulled.tables.push(Filled { parts: std::mem::take(&mut self.parts), took: began.elapsed() });
            self.progress.advance(table + 1, self.amount.rows, self.amount.bytes);
            if rows >= GATHER_ANALYZE_ROWS_MIN {
                self.say(pull.analyze.as_deref());
            }
            self.check(limits)?;
        }
        self.say(around.map(|(_, after)| after));
        loop {
            let mut open = false;
            for position in 0..self.sources.len() {
                open |= !self.finish(position)?;
            }
            self.scratch_replies()?;
            if !open && self.scratch.unanswered == 0 {
                return Ok(pulled);
            }
            self.step(None).await?;
        }
    }

    /// Has the scratch database do something besides.
    fn say(&mut self, sql: Option<&str>) {
        if let Some(sql) = sql {
            encode::query(&mut self.scratch.framed.outbound, sql.as_bytes());
            self.scratch.unanswered += 1;
        }
    }

    fn check(&self, limits: Limits) -> Result<(), GatherError> {
        let (what, limit) = if self.amount.rows > limits.rows {
            ("rows", limits.rows)
        } else if self.amount.bytes > limits.bytes {
            ("bytes", limits.bytes)
        } else {
            return Ok(());
        };
        Err(GatherError::Own(
            ClientError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("the statement gathers more than {limit} {what} from the shards"),
            )
            .hint("Compare the shard keys with constants or parameters, or read less in one statement."),
        ))
    }

    /// Moves what has arrived of the table's rows; false when all have come.
    fn forward(&mut self, table: usize) -> Result<bool, GatherError> {
        let mut open = false;
        for (position, source) in self.sources.iter_mut().enumerate() {
            while source.table() == Some(table) {
                let out = &mut self.scratch.framed.outbound;
                let room = COPY_QUEUE_BYTES_MAX.saturating_sub(out.len());
                if room == 0 {
                    open = true;
                    break;
                }
                let before = self.amount;
                let consumed = source.consume(out, &mut self.notifications, room, &mut self.amount);
                if let Some(part) = self.parts.get_mut(position) {
                    part.rows += self.amount.rows - before.rows;
                    part.bytes += self.amount.bytes - before.bytes;
                }
                match consumed {
                    Ok(Progress::NeedsMore | Progress::Paused) => {
                        open = true;
                        break;
                    }
                    Ok(Progress::Passed) => {}
                    Ok(Progress::Done) => break,
                    Err(reason) => {
                        source.backend.condition = Condition::Broken;
                        return Err(lost(position, reason));
                    }
                }
            }
            if source.is_done()
                && let Some(error) = source.take_error()
            {
                return Err(GatherError::Refused(error));
            }
        }
        self.scratch_replies()?;
        Ok(open)
    }

    /// Reads a source up to its end; true when it is there.
    fn finish(&mut self, position: usize) -> Result<bool, GatherError> {
        let Some(source) = self.sources.get_mut(position) else { return Ok(true) };
        let mut rows = BytesMut::new();
        while !source.is_done() {
            match source.consume(&mut rows, &mut self.notifications, usize::MAX / 2, &mut self.amount) {
                Ok(Progress::NeedsMore) => return Ok(false),
                Ok(_) => {}
                Err(reason) => {
                    source.backend.condition = Condition::Broken;
                    return Err(lost(position, reason));
                }
            }
        }
        match source.take_error() {
            Some(error) => Err(GatherError::Refused(error)),
            None => Ok(true),
        }
    }

    /// Goes over what the scratch database has said.
    fn scratch_replies(&mut self) -> Result<(), GatherError> {
        let lost = |reason: String| GatherError::Lost { source: None, reason };
        loop {
            let inbound = &mut self.scratch.framed.inbound;
            let header = frame::peek(inbound, FRAME_BYTES_MAX + 1).map_err(|error| lost(error.to_string()))?;
            let Some(frame) = header.and_then(|header| inbound.get(..header.len)) else { return Ok(()) };
            let len = frame.len();
            match frame.first() {
                Some(&tag::ERROR) if backend::is_fatal(frame) => {
                    let reason = backend::error_field(frame, b'M').unwrap_or_default();
                    return Err(lost(String::from_utf8_lossy(reason).into_owned()));
                }
                Some(&tag::ERROR) => self.error = Some(without_fatal(frame)),
                Some(&tag::READY) => {
                    self.scratch.status = backend::ready_status(frame).map_err(|error| lost(error.to_string()))?;
                    self.scratch.unanswered = self.scratch.unanswered.saturating_sub(1);
                }
                _ => {}
            }
            inbound.advance(len);
            if let Some(error) = self.error.take() {
                return Err(GatherError::Refused(error));
            }
        }
    }

    /// Waits for bytes either way.
    async fn step(&mut self, table: Option<usize>) -> Result<(), GatherError> {
        let event = poll_fn(|cx| self.poll(table, cx)).await;
        match event {
            Event::Progress | Event::Source(_, Ok(1..)) | Event::Scratch(Ok(1..)) => Ok(()),
            Event::Source(position, outcome) => {
                if let Some(source) = self.sources.get_mut(position) {
                    source.backend.condition = Condition::Broken;
                }
                Err(lost(position, outcome.err().map_or("end of stream".to_owned(), |error| error.to_string())))
            }
            Event::Scratch(outcome) => Err(GatherError::Lost {
                source: None,
                reason: outcome.err().map_or("end of stream".to_owned(), |error| error.to_string()),
            }),
            Event::Client(error) => Err(GatherError::Client(error)),
        }
    }

    fn poll(&mut self, table: Option<usize>, cx: &mut Context<'_>) -> Poll<Event> {
        if !self.scratch.framed.outbound.is_empty() {
            match self.scratch.framed.poll_flush(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Event::Progress),
                Poll::Ready(Err(error)) => return Poll::Ready(Event::Scratch(Err(error))),
                Poll::Pending => {}
            }
        }
        if let Poll::Ready(read) = self.scratch.framed.poll_fill(cx) {
            return Poll::Ready(Event::Scratch(read));
        }
        if self.scratch.framed.outbound.len() < COPY_QUEUE_BYTES_MAX {
            for (position, source) in self.sources.iter_mut().enumerate() {
                let framed = &mut source.backend.framed;
                if !framed.outbound.is_empty()
                    && let Poll::Ready(Err(error)) = framed.poll_flush(cx)
                {
                    return Poll::Ready(Event::Source(position, Err(error)));
                }
                let wanted = !source.is_done() && table.is_none_or(|table| source.table() == Some(table));
                if wanted && let Poll::Ready(read) = source.backend.framed.poll_fill(cx) {
                    return Poll::Ready(Event::Source(position, read));
                }
            }
        }
        self.poll_client(cx)
    }

    /// Ready when the client has gone. What it sends ahead is kept, up to a bound.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        while self.watches_client {
            match self.client.stream.poll_read_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Event::Client(error)),
                Poll::Ready(Ok(())) => {}
            }
            match self.client.try_fill_now() {
                Ok(None) => {}
                Ok(Some(0)) => {
                    let gone = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "closed during a statement");
                    return Poll::Ready(Event::Client(gone));
                }
                Ok(Some(_)) => self.watches_client = self.client.inbound.len() < CLIENT_AHEAD_BYTES_MAX,
                Err(error) => return Poll::Ready(Event::Client(error)),
            }
        }
        Poll::Pending
    }
}
