//! The client's half of the conversation: its data is divided and handed on.

use bytes::Buf;

use super::{ClientEnd, Copy, Refused};
use crate::execute::divide::{Count, Field, Part};
use crate::execute::replies::RelayError;
use crate::planning::Refusal;
use crate::planning::copy::{RawKey, RowPlace, unreadable_row};
use crate::protocol::frame::{self, HEADER_BYTES};
use crate::protocol::frontend::tag;
use crate::types::limits::{COPY_QUEUE_BYTES_MAX, FRAME_BYTES_MAX};

const NONE: Count = Count { lines: 0, as_first: 0 };

impl Copy<'_> {
    /// Takes what has arrived of the client's messages.
    pub(super) fn feed(&mut self) -> Result<(), RelayError> {
        while self.ended.is_none() && !self.stopped {
            if self.within > 0 {
                let here = self.within.min(self.client.inbound.len());
                if !self.data_ended {
                    let data = self.client.inbound.get(..here).unwrap_or_default();
                    self.division.divider.data.extend_from_slice(data);
                }
                self.client.inbound.advance(here);
                self.within -= here;
                self.divide(false);
                if self.within > 0 {
                    break;
                }
                continue;
            }
            let header = frame::peek(&self.client.inbound, FRAME_BYTES_MAX + 1).map_err(RelayError::ClientProtocol)?;
            let Some(header) = header else { break };
            if header.tag == tag::COPY_DATA {
                self.client.inbound.advance(HEADER_BYTES);
                self.within = header.len - HEADER_BYTES;
                continue;
            }
            let Some(frame) = self.client.inbound.get(..header.len) else { break };
            match header.tag {
                tag::COPY_DONE => {
                    self.ended = Some(ClientEnd::Done);
                }
                tag::COPY_FAIL => {
                    let reason = frame.get(HEADER_BYTES..header.len - 1).unwrap_or_default().to_vec();
                    self.ended = Some(ClientEnd::Failed(reason));
                }
                // Ignored by a copying server; libpq sends a Sync with the Execute.
                tag::SYNC | tag::FLUSH => {}
                other => return Err(RelayError::ClientProtocol(frame::FrameError::Unexpected(other as char))),
            }
            self.client.inbound.advance(header.len);
        }
        if matches!(self.ended, Some(ClientEnd::Done)) && !self.stopped {
            self.divide(true);
        }
        self.send_rows();
        Ok(())
    }

    /// Hands on the rows that are complete.
    fn divide(&mut self, last: bool) {
        while !self.stopped && !self.data_ended {
            let Some(part) = self.division.divider.next(last) else { return };
            let bytes = match part {
                Part::Header { bytes, lines } => {
                    self.client_line += lines.lines;
                    self.give_all(bytes, lines);
                    bytes
                }
                Part::Row { bytes, lines, key } => {
                    self.client_line += lines.lines;
                    self.row(bytes, lines, &key);
                    bytes
                }
                Part::End { bytes } if self.division.divider.is_binary() => {
                    if self.division.divider.data.len() > bytes {
                        self.odd(self.division.divider.data.len(), NONE);
                        return;
                    }
                    self.give_all(bytes, NONE);
                    bytes
                }
                Part::End { bytes } => {
                    self.data_ended = true;
                    bytes
                }
                Part::Odd { bytes, lines } => {
                    self.client_line += lines.lines;
                    self.odd(bytes, lines);
                    return;
                }
            };
            self.division.divider.take(bytes);
        }
    }

    fn give_all(&mut self, bytes: usize, lines: Count) {
        for position in 0..self.shares.len() {
            self.give(position, bytes, lines);
        }
    }

    /// Gives the bytes at the front of the data to one share.
    fn give(&mut self, position: usize, bytes: usize, lines: Count) {
        let data = self.division.divider.data.get(..bytes).unwrap_or_default();
        let Some(share) = self.shares.get_mut(position) else { return };
        share.rows.extend_from_slice(data);
        let counted = if share.lines.sent() == 0 { lines.as_first } else { lines.lines };
        if counted > 0 {
            share.lines.note(self.client_line, counted);
        }
        if share.rows.len() > COPY_QUEUE_BYTES_MAX {
            share.send_rows();
        }
    }

    fn row(&mut self, bytes: usize, lines: Count, key: &Field) {
        let Some(place) = self.division.place else { return self.give_all(bytes, lines) };
        let placed = match key {
            Field::Null => place(RawKey::Null),
            Field::Text(text) => place(RawKey::Text(text)),
            Field::Binary(value) => place(RawKey::Binary(value)),
            Field::Missing => RowPlace::Doubtful(unreadable_row()),
        };
        match placed {
            RowPlace::Shard(shard) => match self.shares.iter().position(|share| share.shard == shard) {
                Some(position) => self.give(position, bytes, lines),
                None => self.refuse(unreadable_row(), false),
            },
            RowPlace::Doubtful(refusal) => {
                let witness = self.witness();
                self.give(witness, bytes, lines);
                self.refuse(refusal, true);
            }
            RowPlace::Nowhere(refusal) => self.refuse(refusal, false),
        }
    }

    /// A server is asked what is wrong: one that knows how the lines end.
    fn odd(&mut self, bytes: usize, lines: Count) {
        let witness = self.witness();
        self.give(witness, bytes, lines);
        self.refuse(unreadable_row(), true);
    }

    fn witness(&self) -> usize {
        self.shares.iter().position(|share| share.lines.sent() > 0).unwrap_or(0)
    }

    fn refuse(&mut self, refusal: Refusal, asked: bool) {
        self.refused = Some(Refused { line: self.client_line, refusal, asked });
        self.stopped = true;
    }

    pub(super) fn send_rows(&mut self) {
        self.shares.iter_mut().for_each(super::Share::send_rows);
    }
}
