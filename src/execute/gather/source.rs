//! One shard's rows: its replies to a query string of COPY ... TO STDOUT statements, table after table.

use std::sync::Arc;

use bytes::{Buf, BytesMut};

use super::GatherError;
use crate::execute::replies::{ClientFrame, without_fatal};
use crate::pool::connect::send_cancel;
use crate::pool::{Backend, Condition};
use crate::protocol::backend::{self, tag};
use crate::protocol::frame;
use crate::types::limits::{CANCEL_WAIT_MAX, FRAME_BYTES_MAX};

/// The signature of the binary format, its flags, and the length of the header's extension, which is 0
/// (documentation, COPY, "Binary Format").
pub(super) const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What stands where the next row's number of fields would.
pub(super) const TRAILER: &[u8; 2] = b"\xff\xff";
const FRAME_HEADER: usize = frame::HEADER_BYTES;

/// A shard's connection while it sends.
pub struct Source<'a> {
    pub backend: &'a mut Backend,
    /// ReadyForQuery messages of the proxy's own queries ahead of the rows.
    ahead: usize,
    /// The tables it sends, by their positions, ascending.
    tables: Vec<usize>,
    /// How many of them have come.
    passed: usize,
    /// The header of the table's rows is still to come.
    at_start: bool,
    error: Option<ClientFrame>,
    done: bool,
}

/// What a look at the bytes that have arrived found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    NeedsMore,
    /// The receiver has enough for now.
    Paused,
    /// The table's rows have all come.
    Passed,
    Done,
}

/// Rows and bytes that were moved on.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Amount {
    pub rows: u64,
    pub bytes: u64,
}

impl<'a> Source<'a> {
    /// `ahead` queries of the proxy's own are queued before that of the COPYs.
    pub fn new(backend: &'a mut Backend, ahead: usize, tables: Vec<usize>) -> Self {
        Self { backend, ahead, tables, passed: 0, at_start: true, error: None, done: false }
    }

    /// The table whose rows come next.
    pub(super) fn table(&self) -> Option<usize> {
        self.tables.get(self.passed).copied().filter(|_| !self.done)
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn take_error(&mut self) -> Option<ClientFrame> {
        self.error.take()
    }

    /// Goes over the frames that have arrived; rows of `table` go to `out`, up to `room` bytes.
    pub(super) fn consume(
        &mut self,
        out: &mut BytesMut,
        notifications: &mut BytesMut,
        room: usize,
        amount: &mut Amount,
    ) -> Result<Progress, String> {
        let full = out.len() + room;
        loop {
            self.rows(out, full, amount)?;
            if out.len() >= full {
                return Ok(Progress::Paused);
            }
            let Some(header) =
                frame::peek(&self.backend.framed.inbound, FRAME_BYTES_MAX + 1).map_err(|error| error.to_string())?
            else {
                return Ok(Progress::NeedsMore);
            };
            let Some(frame) = self.backend.framed.inbound.get(..header.len) else {
                return Ok(Progress::NeedsMore);
            };
            let mut progress = None;
            match header.tag {
                tag::ERROR if backend::is_fatal(frame) => {
                    let reason = backend::error_field(frame, b'M').unwrap_or_default();
                    return Err(String::from_utf8_lossy(reason).into_owned());
                }
                tag::ERROR => {
                    let frame = without_position(&without_fatal(frame).0);
                    self.error.get_or_insert(ClientFrame(frame));
                }
                tag::NOTIFICATION => {
                    let mut frame = frame.to_vec();
                    backend::rename_sender(&mut frame, |sender| self.backend.node.client_of(sender));
                    notifications.extend_from_slice(&frame);
                }
                tag::READY => {
                    let status = backend::ready_status(frame).map_err(|error| error.to_string())?;
                    self.backend.status = status;
                    self.backend.unanswered = self.backend.unanswered.saturating_sub(1);
                    if self.ahead > 0 && self.error.is_none() {
                        self.ahead -= 1;
                    } else if self.backend.unanswered == 0 {
                        self.done = true;
                        progress = Some(Progress::Done);
                    }
                }
                tag::COPY_OUT => self.at_start = true,
                tag::COPY_DATA => self.first_row(out, amount)?,
                tag::COPY_DONE => {
                    self.passed += 1;
                    progress = Some(Progress::Passed);
                }
                _ => {}
            }
            self.backend.framed.inbound.advance(header.len);
            if let Some(progress) = progress {
                return Ok(progress);
            }
        }
    }

    /// Moves whole rows as they are, many at a time.
    fn rows(&mut self, out: &mut BytesMut, full: usize, amount: &mut Amount) -> Result<(), String> {
        if self.at_start || self.ahead > 0 {
            return Ok(());
        }
        let inbound = &self.backend.framed.inbound;
        let mut end = 0;
        let mut rows = 0;
        while out.len() + end < full
            && let Some(rest) = inbound.get(end..)
            && let Some(header) = frame::peek(rest, FRAME_BYTES_MAX + 1).map_err(|error| error.to_string())?
            && header.tag == tag::COPY_DATA
            && rest.len() >= header.len
            && rest.get(FRAME_HEADER..header.len).is_some_and(|row| !row.starts_with(TRAILER))
        {
            end += header.len;
            rows += 1;
        }
        out.extend_from_slice(inbound.get(..end).unwrap_or_default());
        self.backend.framed.inbound.advance(end);
        amount.rows += rows;
        amount.bytes += end as u64;
        Ok(())
    }

    /// A CopyData that [`Self::rows`] doesn't move: the first, with the header before its row, or the trailer.
    fn first_row(&mut self, out: &mut BytesMut, amount: &mut Amount) -> Result<(), String> {
        let header = frame::peek(&self.backend.framed.inbound, FRAME_BYTES_MAX + 1).ok().flatten();
        let frame = header.and_then(|header| self.backend.framed.inbound.get(..header.len)).unwrap_or_default();
        let mut row = frame.get(FRAME_HEADER..).unwrap_or_default();
        if std::mem::take(&mut self.at_start) {
            row = row.strip_prefix(HEADER).ok_or("the rows of a COPY don't begin as they should")?;
        }
        if row.is_empty() || row.starts_with(TRAILER) {
            return Ok(());
        }
        copy_data(out, row);
        amount.rows += 1;
        amount.bytes += row.len() as u64;
        Ok(())
    }

    /// Ends what it still does and reads its replies to their end: nobody wants the rows any more.
    pub(super) async fn silence(&mut self) {
        if self.done || self.backend.condition == Condition::Broken {
            return;
        }
        let key = Arc::clone(&self.backend.key);
        let cancel = send_cancel(&key.node.config, key.process_id, &key.secret_key);
        // Uncancelled, it is read to its end all the same.
        let _ = crate::net::timer::timeout(CANCEL_WAIT_MAX, cancel).await;
        let (mut rows, mut notifications, mut amount) = (BytesMut::new(), BytesMut::new(), Amount::default());
        loop {
            match self.consume(&mut rows, &mut notifications, usize::MAX / 2, &mut amount) {
                Ok(Progress::Done) => return,
                Ok(Progress::NeedsMore) => {}
                Ok(Progress::Paused | Progress::Passed) => continue,
                Err(_) => break,
            }
            rows.clear();
            if self.backend.framed.flush().await.is_err() || !matches!(self.backend.framed.fill().await, Ok(1..)) {
                break;
            }
        }
        self.backend.condition = Condition::Broken;
    }
}

pub(super) fn copy_data(out: &mut BytesMut, body: &[u8]) {
    out.extend_from_slice(&[tag::COPY_DATA]);
    let len = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(body);
}

pub(super) fn copy_done(out: &mut BytesMut) {
    out.extend_from_slice(&[tag::COPY_DONE, 0, 0, 0, 4]);
}

/// An ErrorResponse without the fields that tell of the proxy's own text.
fn without_position(frame: &[u8]) -> Vec<u8> {
    let mut copy = frame.get(..5).unwrap_or_default().to_vec();
    for field in frame.get(5..).unwrap_or_default().split_inclusive(|&byte| byte == 0) {
        if !matches!(field.first(), Some(b'P' | b'p' | b'q')) {
            copy.extend_from_slice(field);
        }
    }
    let len = u32::try_from(copy.len() - 1).unwrap_or(u32::MAX);
    if let Some(place) = copy.get_mut(1..5) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    copy
}

/// A lost source, as an error of the whole.
pub(super) fn lost(position: usize, reason: impl ToString) -> GatherError {
    GatherError::Lost { source: Some(position), reason: reason.to_string() }
}
