//! One backend's replies to one client, as raw frames. Rows are not looked into; only frame
//! boundaries are, and the few messages that change what is expected next.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

use bytes::Buf;
use tokio::io::AsyncWriteExt;

use super::copy;
use super::replies::{Expect, Outcome, RelayError, without_fatal};
use super::scatter::Part;
use crate::net::Framed;
use crate::pool::{Backend, Condition};
use crate::protocol::backend::{self, Status, tag};
use crate::protocol::frame::{self, Header};
use crate::types::limits::{FRAME_BYTES_MAX, RELAY_COPY_BYTES_MAX};

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
    let mut relay = Relay { client, backend, expects, part, seen: 0, partial: 0, outcome: Outcome::default() };
    let result = relay.run().await;
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
    outcome: Outcome,
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
                    self.fill().await?;
                }
                Progress::CopyIn => {
                    self.pass_on().await?;
                    self.outcome.copied_in = true;
                    let extended = matches!(self.expects.front(), Some(Expect::Execute));
                    copy::copy_in(self.client, self.backend, extended).await?;
                }
            }
        }
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
            loop {
                let tag = match self.expects.front() {
                    Some(&Expect::Owed(tag)) => tag,
                    Some(Expect::OwedParse { .. }) => tag::PARSE_COMPLETE,
                    _ => break,
                };
                self.show_seen();
                backend::empty(&mut self.client.outbound, tag);
                self.expects.pop_front();
            }
            if self.expects.is_empty() {
                return Ok(Progress::Done);
            }
            let rest = self.backend.framed.inbound.get(self.seen..).unwrap_or_default();
            let Some(header) = frame::peek(rest, FRAME_BYTES_MAX + 1)? else {
                return Ok(Progress::NeedMore);
            };
            if rest.len() < header.len {
                let own = matches!(self.expects.front(), Some(Expect::OwnQuery));
                if !own && self.part.passes_rows() && matches!(header.tag, tag::DATA_ROW | tag::COPY_DATA) {
                    self.partial = header.len - rest.len();
                    self.seen += rest.len();
                }
                return Ok(Progress::NeedMore);
            }
            if header.tag == tag::DATA_ROW
                && self.part.passes_rows()
                && !matches!(self.expects.front(), Some(Expect::OwnQuery))
            {
                self.seen += header.len;
            } else if let Some(progress) = self.frame(header)? {
                return Ok(progress);
            }
        }
    }

    /// One whole frame, at `seen`, that isn't simply a row.
    fn frame(&mut self, header: Header) -> Result<Option<Progress>, RelayError> {
        let range = self.seen..self.seen + header.len;
        let frame = self.backend.framed.inbound.get(range).expect("the caller saw the whole frame");
        let own = matches!(self.expects.front(), Some(Expect::OwnQuery));
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
            (Expect::Parse { client, .. }, tag::PARSE_COMPLETE) => (true, client.is_some()),
            (Expect::Bind, tag::BIND_COMPLETE) => (true, true),
            (Expect::Close { shown }, tag::CLOSE_COMPLETE) => (true, *shown),
            (Expect::DescribeStatement | Expect::DescribePortal, tag::ROW_DESCRIPTION | tag::NO_DATA) => {
                (true, true)
            }
            (Expect::Execute, tag::COMMAND_COMPLETE | tag::EMPTY_QUERY | tag::PORTAL_SUSPENDED) => {
                self.outcome.completed += 1;
                (true, true)
            }
            (Expect::Execute, tag::COPY_OUT | tag::COPY_DATA | tag::COPY_DONE) => (false, true),
            (expected, other) => {
                return Err(RelayError::Protocol(format!("{:?} while {expected:?} is due", other as char)));
            }
        };
        let range = self.seen..self.seen + header.len;
        let frame = self.backend.framed.inbound.get(range).expect("the caller saw the whole frame");
        let shown = shown && self.part.take(tag, frame)?;
        if meets {
            self.expects.pop_front();
        }
        if shown {
            self.seen += header.len;
        } else {
            self.hide(header.len);
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
        if self.part.hides_errors() {
            self.hide(header.len);
        } else {
            self.seen += header.len;
        }
        // After an error the server skips everything up to the next Sync.
        while let Some(front) = self.expects.front() {
            if matches!(front, Expect::Sync { .. } | Expect::Query { .. }) {
                break;
            }
            match self.expects.pop_front() {
                Some(Expect::Parse { statement, client }) => {
                    if let Some(statement) = statement {
                        self.backend.prepared.forget(&statement);
                    }
                    self.outcome.failed_parses.extend(client);
                }
                Some(Expect::OwedParse { client }) => self.outcome.failed_parses.push(client),
                _ => {}
            }
        }
        Ok(())
    }

    fn ready(&mut self, header: Header, status: Status) -> Result<(), RelayError> {
        let shown = match self.expects.pop_front() {
            Some(Expect::OwnQuery) => false,
            Some(Expect::Query { shown_ready }) => shown_ready,
            Some(Expect::Sync { shown }) => shown,
            other => return Err(RelayError::Protocol(format!("ReadyForQuery while {other:?} is due"))),
        };
        self.backend.status = status;
        self.backend.unanswered = self.backend.unanswered.saturating_sub(1);
        if shown {
            self.seen += header.len;
        } else {
            self.hide(header.len);
        }
        Ok(())
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
        if self.seen > RELAY_COPY_BYTES_MAX {
            if !self.client.outbound.is_empty() {
                self.client.flush().await.map_err(RelayError::Client)?;
            }
            let shown = self.backend.framed.inbound.get(..self.seen).expect("seen bytes have arrived");
            self.client.stream.write_all(shown).await.map_err(RelayError::Client)?;
            self.backend.framed.inbound.advance(self.seen);
            self.seen = 0;
        }
        self.show_seen();
        self.client.flush().await.map_err(RelayError::Client)
    }

    /// As [`Self::pass_on`], but a short end stays in the client's buffer.
    async fn pass_on_last(&mut self) -> Result<(), RelayError> {
        if self.seen > RELAY_COPY_BYTES_MAX { self.pass_on().await } else {
            self.show_seen();
            Ok(())
        }
    }

    /// Reads more from the server while still sending to it: a server whose replies aren't read stops
    /// reading requests.
    async fn fill(&mut self) -> Result<(), RelayError> {
        let read = poll_fn(|cx| {
            if !self.backend.framed.outbound.is_empty()
                && let Poll::Ready(Err(error)) = self.backend.framed.poll_flush(cx)
            {
                // The server may have said why before it closed: that is read below, next time round.
                tracing::debug!(%error, "could not send to the server");
                self.backend.framed.outbound.clear();
            }
            self.backend.framed.poll_fill(cx)
        })
        .await;
        match read {
            Ok(0) => Err(RelayError::Backend { reason: "end of stream".to_owned(), last_words: None }),
            Ok(_) => Ok(()),
            Err(error) => Err(RelayError::Backend { reason: error.to_string(), last_words: None }),
        }
    }
}

/// FunctionCallResponse.
const FUNCTION_RESULT: u8 = b'V';
