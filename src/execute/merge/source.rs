//! One backend's rows. In: its replies to an Execute. Out: one row at a time, and how it ended.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};

use super::rows::Row;
use crate::execute::relay::poll_client;
use crate::execute::replies::{RelayError, without_fatal};
use crate::execute::scatter::Piece;
use crate::net::Framed;
use crate::protocol::backend::{self, tag};
use crate::protocol::frame;
use crate::types::limits::FRAME_BYTES_MAX;

/// What of a backend's rows has come; outlives an Execute with a row limit.
#[derive(Debug)]
pub struct Feed {
    /// Rows that came ahead of their turn.
    pub kept: VecDeque<Bytes>,
    pub state: State,
    /// The row that is next, wherever it is: the first that was kept, or the first in the backend's buffer.
    pub row: Row,
    pub has_row: bool,
    /// The keys of the row before, as one run of bytes with their ends; for the proof that rows come in order.
    pub last: Option<(Vec<u8>, Vec<Option<usize>>)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing is asked of it.
    Suspended,
    /// An Execute is under way.
    Running,
    Done,
}

/// What a backend says next.
pub enum Next {
    /// A row, at the front of its buffer, of so many bytes.
    Row(usize),
    Complete,
    Suspended,
    Notice(usize),
    Other(usize),
    Failed(Bytes),
    More,
}

impl Feed {
    /// Of which nothing was asked yet.
    pub fn suspended() -> Self {
        Self { kept: VecDeque::new(), state: State::Suspended, row: Row::default(), has_row: false, last: None }
    }

    /// The bytes of the row that is next.
    pub fn frame<'a>(&'a self, inbound: &'a [u8]) -> &'a [u8] {
        match self.kept.front() {
            Some(frame) => frame,
            None => inbound.get(..self.row.len).unwrap_or_default(),
        }
    }

    pub fn pass(&mut self, piece: &mut Piece<'_>) {
        self.has_row = false;
        if self.kept.pop_front().is_none() {
            piece.backend.framed.inbound.advance(self.row.len);
        }
    }
}

/// Looks at what has come.
pub fn next(piece: &Piece<'_>) -> Result<Next, RelayError> {
    let inbound = &piece.backend.framed.inbound;
    let Some(header) = frame::peek(inbound, FRAME_BYTES_MAX + 1)? else { return Ok(Next::More) };
    let Some(frame) = inbound.get(..header.len) else { return Ok(Next::More) };
    Ok(match header.tag {
        tag::DATA_ROW => Next::Row(header.len),
        tag::COMMAND_COMPLETE => Next::Complete,
        tag::PORTAL_SUSPENDED => Next::Suspended,
        tag::NOTICE => Next::Notice(header.len),
        tag::PARAMETER_STATUS | tag::NOTIFICATION => Next::Other(header.len),
        tag::ERROR if backend::is_fatal(frame) => {
            let reason = backend::error_field(frame, b'M').unwrap_or_default();
            let reason = String::from_utf8_lossy(reason).into_owned();
            return Err(RelayError::Backend { reason, last_words: Some(without_fatal(frame)) });
        }
        tag::ERROR => Next::Failed(Bytes::copy_from_slice(frame)),
        other => return Err(RelayError::Protocol(format!("{:?} while rows are due", other as char))),
    })
}

enum Event {
    Server(std::io::Result<usize>),
    ClientGone(std::io::Error),
}

/// Waits for more of one backend, sending meanwhile what any of them hasn't taken yet. A client that goes
/// away ends it.
pub async fn fill(
    client: &mut Framed,
    pieces: &mut [Piece<'_>],
    position: usize,
    watches_client: &mut bool,
) -> Result<(), RelayError> {
    let event = poll_fn(|cx: &mut Context<'_>| {
        for piece in pieces.iter_mut() {
            if !piece.backend.framed.outbound.is_empty()
                && let Poll::Ready(Err(error)) = piece.backend.framed.poll_flush(cx)
            {
                // It may have said why before it closed: that is read when its turn comes.
                tracing::debug!(%error, "could not send to the server");
                piece.backend.framed.outbound.clear();
            }
        }
        if let Some(piece) = pieces.get_mut(position)
            && let Poll::Ready(read) = piece.backend.framed.poll_fill(cx)
        {
            return Poll::Ready(Event::Server(read));
        }
        poll_client(client, watches_client, cx).map(Event::ClientGone)
    })
    .await;
    match event {
        Event::Server(Ok(0)) => Err(RelayError::Backend { reason: "end of stream".to_owned(), last_words: None }),
        Event::Server(Ok(_)) => Ok(()),
        Event::Server(Err(error)) => Err(RelayError::Backend { reason: error.to_string(), last_words: None }),
        Event::ClientGone(error) => Err(RelayError::Client(error)),
    }
}
