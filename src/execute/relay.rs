//! One backend's replies to one client, as raw frames. Rows are not looked into; only frame
//! boundaries are, and the few messages that change what is expected next.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWriteExt;

mod numbering;

use self::numbering::Renumbered;
use super::copy::{CopyIn, copy_in};
use super::copy_out::Shown;
use super::replies::{Expect, Outcome, RelayError, deadlock, timed_out, without_fatal};
use super::scatter::Part;
use crate::net::Framed;
use crate::pool::{Backend, Condition};
use crate::protocol::backend::{self, Severity, Status, tag};
use crate::protocol::frame::{self, Header};
use crate::types::limits::{CLIENT_AHEAD_BYTES_MAX, FRAME_BYTES_MAX, MERGE_KEPT_BYTES_MAX, RELAY_COPY_BYTES_MAX};

/// Sends what is queued on `backend` and passes its replies on until every expectation is met. The
/// last replies are left in the client's `outbound`, so that the session's next words share their write.
///
/// # Errors
/// See [`RelayError`]; the backend is then [`Condition::Broken`] unless the error says otherwise.
pub async fn relay(
    client: &mut Framed,
    backend: &mut Backend,
    expects: &mut VecDeque<Expect>,
) -> Result<Outcome, RelayError> {
    relay_part(client, backend, expects, &mut Part::whole()).await
}

/// As [`relay`], for one of several backends that answer the same messages.
///
/// # Errors
/// As [`relay`], and [`RelayError::Protocol`] when this part doesn't fit the first.
pub async fn relay_part(
    client: &mut Framed,
    backend: &mut Backend,
    expects: &mut VecDeque<Expect>,
    part: &mut Part,
) -> Result<Outcome, RelayError> {
    client.take_outbound();
    let mut relay = Relay {
        client,
        backend,
        expects,
        part,
        seen: 0,
        partial: 0,
        copying: None,
        watches_client: true,
        outcome: Outcome::default(),
        kept_bytes: 0,
        renumbered: None,
    };
    // Boxed, so that the futures of clients with short answers stay small.
    let result = match poll_fn(|cx| relay.poll_short(cx)).await {
        Ok(Progress::Done) => Ok(()),
        Ok(_) => Box::pin(relay.run()).await,
        Err(error) => Err(error),
    };
    let torn = relay.partial > 0;
    if result.is_err() {
        relay.show_seen();
        relay.backend.condition = Condition::Broken;
    }
    match result {
        Err(RelayError::Backend { .. } | RelayError::Protocol(_)) if torn => Err(RelayError::Torn),
        result => result.map(|()| relay.outcome),
    }
}

struct Relay<'a> {
    client: &'a mut Framed,
    backend: &'a mut Backend,
    expects: &'a mut VecDeque<Expect>,
    part: &'a mut Part,
    /// Bytes at the front of the backend's inbound buffer that are for the client.
    seen: usize,
    /// Bytes of the last shown frame that have not arrived yet.
    partial: usize,
    /// The client is copying in.
    copying: Option<CopyIn>,
    /// Whether what the client sends meanwhile is read, to learn that it has gone.
    watches_client: bool,
    outcome: Outcome,
    /// Bytes of rows that are kept.
    kept_bytes: usize,
    /// The values that come hold OIDs of this server.
    renumbered: Option<Box<Renumbered>>,
}

enum Progress {
    Done,
    NeedMore,
    CopyIn,
}

impl Relay<'_> {
    async fn run(&mut self) -> Result<(), RelayError> {
        loop {
            match self.consume()? {
                Progress::Done => return self.pass_on_last().await,
                Progress::NeedMore => {
                    self.pass_on().await?;
                    match &mut self.copying {
                        Some(copy) if !copy.is_over() => copy_in(self.client, self.backend, copy).await?,
                        _ => self.fill().await?,
                    }
                }
                Progress::CopyIn => self.begin_copy(),
            }
        }
    }

    /// What most answers need: the replies are read at once and left in the client's `outbound`. Ready with something
    /// else than `Done` where [`Self::run`] has to go on.
    fn poll_short(&mut self, cx: &mut Context<'_>) -> Poll<Result<Progress, RelayError>> {
        loop {
            let progress = self.consume()?;
            match progress {
                Progress::Done if self.seen <= RELAY_COPY_BYTES_MAX => self.show_seen(),
                Progress::NeedMore if self.seen == 0 => {
                    ready!(self.poll_more(cx))?;
                    continue;
                }
                Progress::CopyIn => self.begin_copy(),
                // There is something to pass on.
                Progress::NeedMore => {}
                Progress::Done => return Poll::Ready(Ok(Progress::NeedMore)),
            }
            return Poll::Ready(Ok(progress));
        }
    }

    /// A server that copies in ignores a Sync that was sent with the Execute: the client's next one counts. With
    /// any other message behind the Execute the copy fails on that.
    fn begin_copy(&mut self) {
        let extended = matches!(self.expects.front(), Some(Expect::Execute));
        if extended && self.expects.len() == 2 && matches!(self.expects.back(), Some(Expect::Sync { .. })) {
            self.expects.pop_back();
            self.outcome.sync_ignored = true;
        }
        self.copying = (!extended || self.expects.len() == 1).then_some(CopyIn::Copying);
    }

    /// Goes over the frames that have arrived. Hides those that aren't for the client.
    fn consume(&mut self) -> Result<Progress, RelayError> {
        if self.partial > 0 {
            let here = self.partial.min(self.backend.framed.inbound.len() - self.seen);
            self.seen += here;
            self.partial -= here;
            if self.partial > 0 {
                return Ok(Progress::NeedMore);
            }
        }
        loop {
            while let Some(Expect::Owed(_) | Expect::Say(_)) = self.expects.front() {
                self.show_seen();
                match self.expects.pop_front() {
                    Some(Expect::Owed(tag)) => backend::empty(&mut self.client.outbound, tag),
                    Some(Expect::Say(frame)) => self.client.outbound.extend_from_slice(&frame),
                    _ => {}
                }
            }
            if self.expects.is_empty() {
                return Ok(Progress::Done);
            }
            let rest = self.backend.framed.inbound.get(self.seen..).unwrap_or_default();
            let Some(header) = frame::peek(rest, FRAME_BYTES_MAX + 1)? else {
                return Ok(Progress::NeedMore);
            };
            if rest.len() < header.len {
                let own = matches!(self.expects.front(), Some(Expect::OwnQuery)) || self.renumbered.is_some();
                if !own && self.part.passes_rows() && matches!(header.tag, tag::DATA_ROW | tag::COPY_DATA) {
                    self.partial = header.len - rest.len();
                    self.seen += rest.len();
                }
                return Ok(Progress::NeedMore);
            }
            if header.tag == tag::DATA_ROW
                && self.part.passes_rows()
                && self.renumbered.is_none()
                && !matches!(self.expects.front(), Some(Expect::OwnQuery))
            {
                self.seen += header.len;
            } else if header.tag == tag::ROW_DESCRIPTION
                && matches!(self.expects.front(), Some(Expect::Query { .. }))
                && self.part.is_plain()
            {
                // As `reply` would.
                self.renumber(header)?;
                self.seen += header.len;
            } else if let Some(progress) = self.frame(header)? {
                return Ok(progress);
            }
        }
    }

    /// One whole frame, at `seen`, that isn't simply a row.
    fn frame(&mut self, header: Header) -> Result<Option<Progress>, RelayError> {
        let range = self.seen..self.seen + header.len;
        let own = matches!(self.expects.front(), Some(Expect::OwnQuery));
        if !own && self.may_hold_numbers(header.tag) {
            self.renumber(header)?;
        }
        if header.tag == tag::NOTIFICATION {
            let node = Arc::clone(&self.backend.node);
            let frame = self.backend.framed.inbound.get_mut(range.clone()).expect("the caller saw the whole frame");
            backend::rename_sender(frame, |sender| node.client_of(sender));
        }
        let frame = self.backend.framed.inbound.get(range).expect("the caller saw the whole frame");
        let shown = matches!(header.tag, tag::NOTICE | tag::PARAMETER_STATUS) && self.part.shows(frame);
        match header.tag {
            tag::PARAMETER_STATUS if !own && shown => self.outcome.note_parameter(frame),
            tag::NOTICE | tag::PARAMETER_STATUS | tag::NOTIFICATION => {
                if (own || !shown) && header.tag != tag::NOTIFICATION {
                    self.hide(header.len);
                    return Ok(None);
                }
            }
            tag::ERROR => return self.error(header).map(|()| None),
            tag::READY => {
                let status = backend::ready_status(frame)?;
                return self.ready(header, status).map(|()| None);
            }
            _ if own => {
                self.hide(header.len);
                return Ok(None);
            }
            tag::DATA_ROW if self.part.is_silent() => {
                self.hide(header.len);
                return Ok(None);
            }
            tag::DATA_ROW if self.part.keeping().is_some() => {
                let row = Bytes::copy_from_slice(frame);
                self.kept_bytes += row.len();
                if self.kept_bytes > MERGE_KEPT_BYTES_MAX {
                    let limit = MERGE_KEPT_BYTES_MAX >> 20;
                    let text = format!("an answer that is fetched piece by piece takes more than {limit} MiB");
                    return Err(RelayError::TooMuch(text));
                }
                if let Some(kept) = self.part.keeping() {
                    kept.push_back(row);
                }
                self.hide(header.len);
                return Ok(None);
            }
            tag::DATA_ROW => {
                if let Some(preface) = self.part.take_preface() {
                    self.show_seen();
                    self.client.outbound.extend_from_slice(&preface);
                }
            }
            tag::COPY_IN => {
                self.seen += header.len;
                return Ok(Some(Progress::CopyIn));
            }
            tag::PARAMETER_DESCRIPTION if matches!(self.expects.front(), Some(Expect::DescribeStatement)) => {
                self.outcome.described.push(backend::parameter_types(frame)?);
            }
            tag::PARAMETER_DESCRIPTION if matches!(self.expects.front(), Some(Expect::DescribeAgain)) => {
                self.hide(header.len);
                return Ok(None);
            }
            other => return self.reply(header, other).map(|()| None),
        }
        self.seen += header.len;
        Ok(None)
    }

    /// A reply that meets, or is part of, the expectation in front.
    fn reply(&mut self, header: Header, tag: u8) -> Result<(), RelayError> {
        let front = self.expects.front().expect("consume ends when nothing is expected");
        let (meets, shown) = match (front, tag) {
            (Expect::Query { .. }, tag::COMMAND_COMPLETE | tag::EMPTY_QUERY) => {
                self.outcome.completed += 1;
                (false, true)
            }
            (
                Expect::Query { .. },
                tag::ROW_DESCRIPTION | tag::COPY_OUT | tag::COPY_DATA | tag::COPY_DONE | FUNCTION_RESULT,
            ) => (false, true),
            (Expect::Parse { shown, .. }, tag::PARSE_COMPLETE) => (true, *shown),
            (Expect::Bind, tag::BIND_COMPLETE) => (true, true),
            (Expect::Close { shown, .. }, tag::CLOSE_COMPLETE) => (true, *shown),
            (Expect::DescribeStatement | Expect::DescribePortal, tag::ROW_DESCRIPTION | tag::NO_DATA) => (true, true),
            (Expect::DescribeOwn | Expect::DescribeAgain, tag::ROW_DESCRIPTION | tag::NO_DATA) => (true, false),
            (Expect::Execute, tag::COMMAND_COMPLETE | tag::EMPTY_QUERY | tag::PORTAL_SUSPENDED) => {
                self.outcome.completed += 1;
                self.renumbered = None;
                (true, true)
            }
            (Expect::Execute, tag::COPY_OUT | tag::COPY_DATA | tag::COPY_DONE) => (false, true),
            (expected, other) => {
                return Err(RelayError::Protocol(format!("{:?} while {expected:?} is due", other as char)));
            }
        };
        let range = self.seen..self.seen + header.len;
        let frame = self.backend.framed.inbound.get(range).expect("the caller saw the whole frame");
        if tag == tag::COMMAND_COMPLETE {
            let tag = backend::command_tag(frame)?;
            let rows = backend::tag_rows(tag);
            self.outcome.rows += rows;
            self.backend.wrote |= rows > 0 && backend::is_write(tag);
        }
        if let (Expect::DescribeStatement, tag::ROW_DESCRIPTION | tag::NO_DATA) = (front, tag) {
            self.outcome.columns.push(numbering::column_types(tag, frame)?);
            self.outcome.shapes.push(backend::shape(frame)?);
        }
        if let (Expect::DescribeAgain, tag::ROW_DESCRIPTION | tag::NO_DATA) = (front, tag) {
            self.outcome.again = Some(backend::shape(frame)?);
        }
        let mut shown = shown && self.part.take(tag, frame)?;
        let mut replacement = if shown { self.part.replacement(tag, frame)? } else { None };
        if matches!(tag, tag::COPY_OUT | tag::COPY_DATA | tag::COPY_DONE) {
            match self.part.take_copy(tag, frame) {
                Shown::Whole => shown = true,
                Shown::Nothing => shown = false,
                Shown::Instead(changed) => replacement = Some(changed),
            }
        }
        if meets {
            self.expects.pop_front();
        }
        match replacement {
            Some(replacement) => {
                self.hide(header.len);
                self.client.outbound.extend_from_slice(&replacement);
            }
            None if shown => self.seen += header.len,
            None => self.hide(header.len),
        }
        Ok(())
    }

    fn error(&mut self, header: Header) -> Result<(), RelayError> {
        let range = self.seen..self.seen + header.len;
        let frame = self.backend.framed.inbound.get(range).expect("the caller saw the whole frame");
        if backend::is_fatal(frame) {
            let reason = backend::error_field(frame, b'M').unwrap_or_default();
            let reason = String::from_utf8_lossy(reason).into_owned();
            let last_words = Some(without_fatal(frame));
            self.show_seen();
            return Err(RelayError::Backend { reason, last_words });
        }
        if matches!(self.expects.front(), Some(Expect::OwnQuery)) {
            return Err(RelayError::Ahead(without_fatal(frame)));
        }
        if matches!(self.expects.front(), Some(Expect::Poison)) {
            self.expects.pop_front();
            self.hide(header.len);
            return Ok(());
        }
        self.outcome.note_error(frame);
        if self.outcome.sqlstate == Some(*b"25006") {
            // Of what was taken for the primary it means that it isn't that any more.
            self.backend.node.suspect();
        }
        // What the client still sends of its copy is ignored, as a server would.
        self.copying = None;
        let own = matches!(self.expects.front(), Some(Expect::Parse { shown: true, .. }));
        let changed = self.part.shown_error(frame, own);
        if self.part.hides_errors() {
            self.hide(header.len);
        } else if self.gives_way() {
            self.hide(header.len);
            backend::error(&mut self.client.outbound, Severity::Error, &deadlock());
        } else if self.outcome.sqlstate == Some(*b"57014") && self.backend.key.is_ended() {
            self.hide(header.len);
            return Err(RelayError::Ended);
        } else if self.outcome.sqlstate == Some(*b"57014") && self.backend.key.take_timed_out() {
            self.hide(header.len);
            backend::error(&mut self.client.outbound, Severity::Error, &timed_out());
        } else if self.part.moves().is_some() {
            self.show_moved(header.len);
        } else if let Some(changed) = changed {
            self.hide(header.len);
            self.client.outbound.extend_from_slice(&changed);
        } else {
            self.seen += header.len;
        }
        self.outcome.front_failed = self.expects.front().is_some_and(Expect::may_be_undone);
        // After an error the server skips everything up to the next Sync.
        while let Some(front) = self.expects.front() {
            match front {
                Expect::Sync { .. } | Expect::Query { .. } => break,
                Expect::Parse { statement: Some(statement), .. } => self.backend.prepared.forget(statement),
                Expect::Close { evicted: Some(statement), .. } => self.backend.prepared.restore(statement),
                _ => {}
            }
            self.outcome.undone += usize::from(front.may_be_undone());
            self.expects.pop_front();
        }
        Ok(())
    }

    /// Whether the error was a cancel that breaks a deadlock over several shards.
    fn gives_way(&mut self) -> bool {
        self.outcome.sqlstate == Some(*b"57014")
            && self.backend.gives_way.take().is_some_and(|chosen| chosen.load(Ordering::Acquire))
    }

    fn ready(&mut self, header: Header, status: Status) -> Result<(), RelayError> {
        // Of a statement that failed unseen.
        while self.part.is_silent() && matches!(self.expects.front(), Some(Expect::Execute)) {
            self.expects.pop_front();
        }
        let shown = match self.expects.pop_front() {
            Some(Expect::OwnQuery) => false,
            Some(Expect::Query { shown_ready }) => shown_ready,
            Some(Expect::Sync { shown }) => shown,
            other => return Err(RelayError::Protocol(format!("ReadyForQuery while {other:?} is due"))),
        };
        self.backend.be_ready(status);
        if shown {
            self.seen += header.len;
        } else {
            self.hide(header.len);
        }
        Ok(())
    }

    /// Shows an error with its position in the client's text.
    fn show_moved(&mut self, len: usize) {
        self.show_seen();
        if let (Some(moved), Some(frame)) = (self.part.moves(), self.backend.framed.inbound.get(..len)) {
            moved.error(&mut self.client.outbound, frame);
        }
        self.backend.framed.inbound.advance(len);
    }

    /// Drops a frame behind the shown bytes.
    fn hide(&mut self, len: usize) {
        self.show_seen();
        self.backend.framed.inbound.advance(len);
    }

    fn show_seen(&mut self) {
        if self.seen > 0 {
            let shown = self.backend.framed.inbound.get(..self.seen).expect("seen bytes have arrived");
            self.client.outbound.extend_from_slice(shown);
            self.backend.framed.inbound.advance(self.seen);
            self.seen = 0;
        }
    }

    /// Writes what is for the client: straight from the server's buffer where that saves a copy.
    async fn pass_on(&mut self) -> Result<(), RelayError> {
        // Servers send an error at once and ReadyForQuery behind it. Both go to the client together, or neither: what it has
        // not been told can still run elsewhere.
        let ends = (self.outcome.failed || self.part.is_silent()) && self.copying.is_none();
        if ends && self.seen + self.client.outbound.len() <= RELAY_COPY_BYTES_MAX {
            self.show_seen();
            return Ok(());
        }
        if self.seen > RELAY_COPY_BYTES_MAX && !self.client.held {
            if !self.client.outbound.is_empty() {
                self.client.flush().await.map_err(RelayError::Client)?;
            }
            let shown = self.backend.framed.inbound.get(..self.seen).expect("seen bytes have arrived");
            self.client.stream.write_all(shown).await.map_err(RelayError::Client)?;
            self.client.sent += shown.len() as u64;
            self.backend.framed.inbound.advance(self.seen);
            self.seen = 0;
        }
        self.show_seen();
        self.client.flush().await.map_err(RelayError::Client)
    }

    /// As [`Self::pass_on`], but a short end stays in the client's buffer.
    async fn pass_on_last(&mut self) -> Result<(), RelayError> {
        if self.seen > RELAY_COPY_BYTES_MAX {
            self.pass_on().await
        } else {
            self.show_seen();
            Ok(())
        }
    }

    async fn fill(&mut self) -> Result<(), RelayError> {
        poll_fn(|cx| self.poll_more(cx)).await
    }
    #[inline]
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RelayError>> {
        poll_server(self.client, self.backend, &mut self.watches_client, cx)
    }
}

/// Reads more from the server while still sending to it: a server whose replies aren't read stops reading requests.
/// A client that goes away meanwhile ends it.
#[inline]
pub(super) fn poll_server(
    client: &mut Framed,
    backend: &mut Backend,
    watches_client: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Result<(), RelayError>> {
    if !backend.framed.outbound.is_empty()
        && let Poll::Ready(Err(error)) = backend.framed.poll_flush(cx)
    {
        // The server may have said why before it closed: that is read below, next time round.
        tracing::debug!(%error, "could not send to the server");
        backend.framed.outbound.clear();
    }
    let lost = |reason: String| RelayError::Backend { reason, last_words: None };
    match backend.framed.poll_fill(cx) {
        Poll::Ready(Ok(0)) => Poll::Ready(Err(lost("end of stream".to_owned()))),
        Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
        Poll::Ready(Err(error)) => Poll::Ready(Err(lost(error.to_string()))),
        Poll::Pending => poll_client(client, watches_client, cx).map(|gone| Err(RelayError::Client(gone))),
    }
}

/// Ready when the client has gone. What it sends ahead is kept, up to a bound; then it isn't watched any more.
pub(super) fn poll_client(client: &mut Framed, watches: &mut bool, cx: &mut Context<'_>) -> Poll<std::io::Error> {
    while *watches {
        if let Err(error) = ready!(client.stream.poll_read_ready(cx)) {
            return Poll::Ready(error);
        }
        match client.try_fill_now() {
            Ok(None) => {}
            Ok(Some(0)) => {
                let gone = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "closed during a statement");
                return Poll::Ready(gone);
            }
            Ok(Some(_)) => *watches = client.inbound.len() < CLIENT_AHEAD_BYTES_MAX,
            Err(error) => return Poll::Ready(error),
        }
    }
    Poll::Pending
}

/// FunctionCallResponse.
const FUNCTION_RESULT: u8 = b'V';
