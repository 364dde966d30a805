//! Statements of the proxy's making on several backends at once: their answers are kept until all are there, since the
//! client is to be told of all or of none. In: messages queued on backends. Out: an [`Answer`] of each.
//!
//! Passes nothing on to the client.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::replies::{ClientFrame, Expect, timed_out, without_fatal};
use crate::pool::connect::send_cancel;
use crate::pool::{Backend, Condition};
use crate::protocol::backend::{self, Severity, tag};
use crate::protocol::frame::{self, HEADER_BYTES, Header};
use crate::protocol::numbering::{Carrier, Strange};
use crate::types::limits::{CANCEL_WAIT_MAX, COLLECTED_BYTES_MAX, FRAME_BYTES_MAX, NOTICES_MAX};

/// A backend to which a statement was sent that ends with one ReadyForQuery.
pub struct Asked<'a> {
    pub backend: &'a mut Backend,
    /// What is answered before: queries of the proxy's own.
    pub ahead: VecDeque<Expect>,
}

/// What one backend said.
#[derive(Debug, Default)]
pub struct Answer {
    /// ParseComplete and BindComplete, where they were asked for.
    pub parsed: bool,
    pub bound: bool,
    /// RowDescription or NoData.
    pub description: Option<Bytes>,
    pub parameter_types: Option<Box<[u32]>>,
    /// DataRows, and where each ends.
    pub rows: BytesMut,
    pub ends: Vec<usize>,
    pub tag: Option<String>,
    pub notices: Vec<Bytes>,
    pub parameters: Vec<(String, String)>,
    pub failure: Option<Failure>,
    /// Columns whose values hold numbers of the server's own.
    carriers: Vec<Carrier>,
    bytes: usize,
}

#[derive(Debug)]
pub enum Failure {
    /// The server's error.
    Server(ClientFrame),
    /// Its rows are more than are kept.
    TooLarge,
    /// It says what can't be said in the home shard's numbers of types.
    Strange(String),
    /// Its stream ended, or was nonsense: the connection is broken.
    Lost { reason: String, last_words: Option<ClientFrame> },
}

impl Answer {
    /// The row of that number.
    pub fn row(&self, number: usize) -> Option<&[u8]> {
        let start = match number.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.rows.get(start..*self.ends.get(number)?)
    }
}

impl Answer {
    /// Takes the last column, which isn't for the client, out of the description and the rows; what it had. `None`: there
    /// is none, or a row has NULL in it.
    pub fn cut_keys(&mut self) -> Option<Vec<String>> {
        if let Some(frame) = self.description.take().filter(|frame| frame.first() == Some(&tag::ROW_DESCRIPTION)) {
            self.description = Some(without_last_field(&frame)?);
        }
        let (mut rows, mut ends, mut keys) = (BytesMut::new(), Vec::new(), Vec::new());
        for number in 0..self.ends.len() {
            let frame = self.row(number)?;
            let columns = usize::from(u16::from_be_bytes(*frame.get(HEADER_BYTES..)?.first_chunk()?));
            let mut at = HEADER_BYTES + 2;
            for _ in 1..columns {
                let len = i32::from_be_bytes(*frame.get(at..)?.first_chunk()?);
                at += 4 + usize::try_from(len).unwrap_or(0);
            }
            keys.push(String::from_utf8_lossy(frame.get(at + 4..)?).into_owned());
            rows.put_u8(tag::DATA_ROW);
            rows.put_u32(u32::try_from(at - 1).ok()?);
            rows.put_u16(u16::try_from(columns.checked_sub(1)?).ok()?);
            rows.extend_from_slice(frame.get(HEADER_BYTES + 2..at)?);
            ends.push(rows.len());
        }
        (self.rows, self.ends) = (rows, ends);
        Some(keys)
    }
}

/// A RowDescription with one column less.
fn without_last_field(frame: &[u8]) -> Option<Bytes> {
    /// OIDs, number, size, modifier and format behind the name (PostgreSQL, "Message Formats").
    const FIELD_BYTES: usize = 18;
    let columns = u16::from_be_bytes(*frame.get(HEADER_BYTES..)?.first_chunk()?).checked_sub(1)?;
    let mut at = HEADER_BYTES + 2;
    for _ in 0..columns {
        at += frame.get(at..)?.iter().position(|byte| *byte == 0)? + 1 + FIELD_BYTES;
    }
    let mut out = BytesMut::with_capacity(at);
    out.put_u8(tag::ROW_DESCRIPTION);
    out.put_u32(u32::try_from(at - 1).ok()?);
    out.put_u16(columns);
    out.extend_from_slice(frame.get(HEADER_BYTES + 2..at)?);
    Some(out.freeze())
}

/// Sends what is queued on each and reads their answers to the end, all at once. When one has failed, the others may go
/// on for as long as `patience`, then they are cancelled.
pub async fn collect(asked: &mut [Asked<'_>], patience: Duration) -> Vec<Answer> {
    let mut answers: Vec<Answer> = asked.iter().map(|_| Answer::default()).collect();
    let mut open: Vec<bool> = vec![true; asked.len()];
    let mut cancelled = false;
    loop {
        let all = poll_fn(|cx| poll_all(cx, asked, &mut answers, &mut open, cancelled));
        if cancelled {
            all.await;
            return answers;
        }
        all.await;
        if !open.contains(&true) {
            return answers;
        }
        // One has failed: what the others do is in vain.
        let rest = poll_fn(|cx| poll_all(cx, asked, &mut answers, &mut open, true));
        if crate::net::timer::timeout(patience, rest).await.is_ok() {
            return answers;
        }
        for (one, _) in asked.iter().zip(&open).filter(|(_, open)| **open) {
            let key = std::sync::Arc::clone(&one.backend.key);
            let cancel = send_cancel(&key.node.config, key.process_id, &key.secret_key);
            let _ = crate::net::timer::timeout(CANCEL_WAIT_MAX, cancel).await;
        }
        cancelled = true;
    }
}

/// Ready when all have answered, or unless `to_the_end` when one has failed.
fn poll_all(
    cx: &mut Context<'_>,
    asked: &mut [Asked<'_>],
    answers: &mut [Answer],
    open: &mut [bool],
    to_the_end: bool,
) -> Poll<()> {
    for ((one, answer), open) in asked.iter_mut().zip(answers.iter_mut()).zip(open.iter_mut()) {
        if *open && one.poll(cx, answer).is_ready() {
            *open = false;
        }
    }
    let failed = || answers.iter().any(|answer| answer.failure.is_some());
    if !open.contains(&true) || !to_the_end && failed() { Poll::Ready(()) } else { Poll::Pending }
}

impl Asked<'_> {
    fn poll(&mut self, cx: &mut Context<'_>, answer: &mut Answer) -> Poll<()> {
        loop {
            if !self.backend.framed.outbound.is_empty()
                && let Poll::Ready(Err(error)) = self.backend.framed.poll_flush(cx)
            {
                // Why it closed may still be read.
                tracing::debug!(%error, "could not send to the server");
                self.backend.framed.outbound.clear();
            }
            match self.consume(answer) {
                Ok(true) => return Poll::Ready(()),
                Ok(false) => {}
                Err(reason) => return self.lose(answer, reason),
            }
            match self.backend.framed.poll_fill(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return self.lose(answer, "end of stream".to_owned()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return self.lose(answer, error.to_string()),
            }
        }
    }

    fn lose(&mut self, answer: &mut Answer, reason: String) -> Poll<()> {
        self.backend.condition = Condition::Broken;
        let last_words = match answer.failure.take() {
            Some(Failure::Lost { last_words, .. }) => last_words,
            _ => None,
        };
        answer.failure = Some(Failure::Lost { reason, last_words });
        Poll::Ready(())
    }

    /// What the server says in its own numbers of types, in those that clients know.
    fn renumber(&mut self, header: Header, answer: &mut Answer) -> Result<(), Strange> {
        if !matches!(header.tag, tag::ROW_DESCRIPTION | tag::PARAMETER_DESCRIPTION | tag::DATA_ROW) {
            return Ok(());
        }
        let Some(numbering) = self.backend.numbering() else { return Ok(()) };
        let frame = self.backend.framed.inbound.get_mut(..header.len).unwrap_or_default();
        if header.tag == tag::DATA_ROW {
            return numbering.to_client.row(frame, &answer.carriers);
        }
        if header.tag == tag::ROW_DESCRIPTION {
            answer.carriers = numbering.to_client.carriers(frame, None).map_err(|_| Strange::Malformed)?;
        }
        numbering.to_client.describe(frame)
    }

    /// Takes the frames that have arrived; true: its last one was among them.
    fn consume(&mut self, answer: &mut Answer) -> Result<bool, String> {
        loop {
            let header = frame::peek(&self.backend.framed.inbound, FRAME_BYTES_MAX + 1);
            let header = header.map_err(|error| error.to_string())?;
            let Some(header) = header.filter(|header| header.len <= self.backend.framed.inbound.len()) else {
                return Ok(false);
            };
            if self.ahead.is_empty()
                && let Err(strange) = self.renumber(header, answer)
            {
                answer.failure.get_or_insert_with(|| Failure::Strange(strange.to_string()));
            }
            let inbound = &self.backend.framed.inbound;
            let Some(frame) = inbound.get(..header.len) else { return Ok(false) };
            let len = frame.len();
            let kind = frame.first().copied().unwrap_or_default();
            let is_ahead = !self.ahead.is_empty();
            let done = match kind {
                tag::READY => {
                    let status = backend::ready_status(frame).map_err(|error| error.to_string())?;
                    let tag = answer.tag.as_deref().unwrap_or_default().as_bytes();
                    self.backend.wrote |= backend::is_write(tag) && backend::tag_rows(tag) > 0;
                    self.backend.be_ready(status);
                    self.ahead.pop_front().is_none()
                }
                tag::ERROR if backend::is_fatal(frame) => {
                    let reason = backend::error_field(frame, b'M').unwrap_or_default();
                    let reason = String::from_utf8_lossy(reason).into_owned();
                    answer.failure =
                        Some(Failure::Lost { reason: reason.clone(), last_words: Some(without_fatal(frame)) });
                    return Err(reason);
                }
                tag::ERROR => {
                    // The first one: what follows upon it is of no interest.
                    let cancelled = backend::error_field(frame, b'C') == Some(b"57014");
                    let told = if cancelled && self.backend.key.take_timed_out() {
                        let mut told = BytesMut::new();
                        backend::error(&mut told, Severity::Error, &timed_out());
                        told.to_vec()
                    } else {
                        frame.to_vec()
                    };
                    answer.failure.get_or_insert(Failure::Server(ClientFrame(told)));
                    false
                }
                _ if is_ahead => false,
                other => {
                    answer.take(other, frame)?;
                    false
                }
            };
            self.backend.pass(len);
            if done {
                return Ok(true);
            }
        }
    }
}

impl Answer {
    fn take(&mut self, kind: u8, frame: &[u8]) -> Result<(), String> {
        let bad = |error: frame::FrameError| error.to_string();
        match kind {
            tag::DATA_ROW => {
                self.bytes += frame.len();
                if self.bytes > COLLECTED_BYTES_MAX {
                    self.rows.clear();
                    self.ends.clear();
                    self.failure.get_or_insert(Failure::TooLarge);
                } else {
                    self.rows.extend_from_slice(frame);
                    self.ends.push(self.rows.len());
                }
            }
            tag::ROW_DESCRIPTION | tag::NO_DATA => self.description = Some(Bytes::copy_from_slice(frame)),
            tag::PARSE_COMPLETE => {
                // What the parser had to say was said when the client's own text was parsed.
                self.notices.clear();
                self.parsed = true;
            }
            tag::BIND_COMPLETE => self.bound = true,
            tag::PARAMETER_DESCRIPTION => self.parameter_types = Some(backend::parameter_types(frame).map_err(bad)?),
            tag::COMMAND_COMPLETE => {
                let text = backend::command_tag(frame).map_err(bad)?;
                self.tag = Some(String::from_utf8_lossy(text).into_owned());
            }
            tag::NOTICE if self.notices.len() < NOTICES_MAX => self.notices.push(Bytes::copy_from_slice(frame)),
            tag::PARAMETER_STATUS => {
                let (name, value) = backend::parameter_status(frame).map_err(bad)?;
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                self.parameters.push((text(name), text(value)));
            }
            tag::NOTICE | tag::NOTIFICATION | tag::EMPTY_QUERY | tag::CLOSE_COMPLETE => {}
            other => return Err(format!("{:?} is not expected here", other as char)),
        }
        Ok(())
    }
}
