//! COPY FROM STDIN on one backend: the client's CopyData frames go on as they come, while the server
//! is watched for notices and for an error that ends the copy early.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Buf;

use super::replies::RelayError;
use crate::net::Framed;
use crate::pool::Backend;
use crate::protocol::frame;
use crate::protocol::frontend::{encode, tag};
use crate::types::limits::{COPY_QUEUE_BYTES_MAX, FRAME_BYTES_MAX};

/// Where the client is in its half of the conversation.
#[derive(Debug)]
pub(super) enum CopyIn {
    Copying,
    /// Bytes left of a CopyData frame whose beginning was sent.
    WithinFrame(usize),
    /// CopyDone or CopyFail was sent.
    Over,
}

enum Event {
    Client(std::io::Result<usize>),
    Server(std::io::Result<usize>),
    /// Sent everything; look for more in the client's buffer.
    Sent,
}

impl CopyIn {
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }
}

/// Runs until the client has ended its copy, or until the server has said something.
///
/// # Errors
/// A lost client or server, or a client that sends what has no place in a copy.
pub(super) async fn copy_in(client: &mut Framed, backend: &mut Backend, copy: &mut CopyIn) -> Result<(), RelayError> {
    loop {
        forward(client, backend, copy)?;
        if copy.is_over() {
            return Ok(());
        }
        let event = poll_fn(|cx| {
            if !backend.framed.outbound.is_empty() {
                match backend.framed.poll_flush(cx) {
                    Poll::Ready(Ok(())) => return Poll::Ready(Event::Sent),
                    Poll::Ready(Err(error)) => return Poll::Ready(Event::Server(Err(error))),
                    Poll::Pending => {}
                }
            }
            if let Poll::Ready(read) = backend.framed.poll_fill(cx) {
                return Poll::Ready(Event::Server(read));
            }
            if backend.framed.outbound.len() < COPY_QUEUE_BYTES_MAX
                && let Poll::Ready(read) = client.poll_fill(cx)
            {
                return Poll::Ready(Event::Client(read));
            }
            Poll::Pending
        })
        .await;
        match event {
            Event::Sent => {}
            Event::Client(Ok(0)) => {
                let gone = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "closed during COPY");
                return Err(RelayError::Client(gone));
            }
            Event::Client(Ok(_)) => {}
            Event::Client(Err(error)) => return Err(RelayError::Client(error)),
            Event::Server(Ok(0)) => {
                return Err(RelayError::Backend { reason: "end of stream".to_owned(), last_words: None });
            }
            Event::Server(Ok(_)) => return Ok(()),
            Event::Server(Err(error)) => {
                return Err(RelayError::Backend { reason: error.to_string(), last_words: None });
            }
        }
    }
}

/// Moves what has arrived from the client on to the server.
fn forward(client: &mut Framed, backend: &mut Backend, copy: &mut CopyIn) -> Result<(), RelayError> {
    let out = &mut backend.framed.outbound;
    loop {
        if let CopyIn::WithinFrame(left) = *copy {
            let here = left.min(client.inbound.len());
            out.extend_from_slice(client.inbound.get(..here).unwrap_or_default());
            client.inbound.advance(here);
            if here < left {
                *copy = CopyIn::WithinFrame(left - here);
                return Ok(());
            }
            *copy = CopyIn::Copying;
        }
        let header = frame::peek(&client.inbound, FRAME_BYTES_MAX + 1).map_err(RelayError::ClientProtocol)?;
        let Some(header) = header else { return Ok(()) };
        if header.tag == tag::COPY_DATA {
            *copy = CopyIn::WithinFrame(header.len);
            continue;
        }
        if client.inbound.len() < header.len {
            return Ok(());
        }
        match header.tag {
            tag::COPY_DONE | tag::COPY_FAIL => {
                out.extend_from_slice(client.inbound.get(..header.len).unwrap_or_default());
                // In the extended protocol the server would keep its answer until the Sync.
                encode::flush(out);
                *copy = CopyIn::Over;
            }
            // Ignored by a copying server; libpq sends a Sync with the Execute.
            tag::SYNC | tag::FLUSH => {}
            other => {
                encode::copy_fail(out, "unexpected message during COPY from stdin");
                return Err(RelayError::ClientProtocol(frame::FrameError::Unexpected(other as char)));
            }
        }
        client.inbound.advance(header.len);
        if copy.is_over() {
            return Ok(());
        }
    }
}
