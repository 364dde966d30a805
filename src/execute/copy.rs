//! COPY FROM STDIN on one backend: the client's CopyData frames go on as they come, while the server
//! is watched for an error that ends the copy early.

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
enum Stage {
    Copying,
    /// Bytes left of a CopyData frame whose beginning was sent.
    WithinFrame(usize),
    /// CopyDone or CopyFail was sent; in the extended protocol the client's Sync is still due.
    AwaitSync,
    Over,
}

enum Event {
    Client(std::io::Result<usize>),
    Server(std::io::Result<usize>),
    /// Sent everything; look for more in the client's buffer.
    Sent,
}

/// Runs until the client has ended its copy, or until the server spoke. In the extended protocol the
/// server ignores a Sync that comes while it copies, so the one behind CopyDone is passed on as well.
///
/// # Errors
/// A lost client or server. The caller reads the server's verdict.
pub async fn copy_in(client: &mut Framed, backend: &mut Backend, extended: bool) -> Result<(), RelayError> {
    let mut stage = Stage::Copying;
    let mut server_spoke = false;
    loop {
        stage = forward(client, backend, stage, extended, server_spoke)?;
        if matches!(stage, Stage::Over) || (server_spoke && !extended) {
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
            if !server_spoke && let Poll::Ready(read) = backend.framed.poll_fill(cx) {
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
            Event::Server(Ok(_)) => server_spoke = true,
            Event::Server(Err(error)) => {
                return Err(RelayError::Backend { reason: error.to_string(), last_words: None });
            }
        }
    }
}

/// Moves what has arrived from the client on to the server. Once the server spoke, data is dropped.
fn forward(
    client: &mut Framed,
    backend: &mut Backend,
    mut stage: Stage,
    extended: bool,
    server_spoke: bool,
) -> Result<Stage, RelayError> {
    let out = &mut backend.framed.outbound;
    loop {
        if let Stage::WithinFrame(left) = stage {
            let here = left.min(client.inbound.len());
            if !server_spoke {
                out.extend_from_slice(client.inbound.get(..here).unwrap_or_default());
            }
            client.inbound.advance(here);
            if here < left {
                return Ok(Stage::WithinFrame(left - here));
            }
            stage = Stage::Copying;
        }
        let header = frame::peek(&client.inbound, FRAME_BYTES_MAX + 1).map_err(RelayError::ClientProtocol)?;
        let Some(header) = header else { return Ok(stage) };
        if header.tag == tag::COPY_DATA && matches!(stage, Stage::Copying) {
            stage = Stage::WithinFrame(header.len);
            continue;
        }
        if client.inbound.len() < header.len {
            return Ok(stage);
        }
        let frame = client.inbound.get(..header.len).unwrap_or_default();
        match (header.tag, &stage) {
            (tag::COPY_DONE | tag::COPY_FAIL, Stage::Copying) => {
                if !server_spoke {
                    out.extend_from_slice(frame);
                }
                stage = if extended { Stage::AwaitSync } else { Stage::Over };
            }
            // Ignored by a copying server; libpq sends it with the Execute.
            (tag::SYNC | tag::FLUSH, Stage::Copying) if !server_spoke => {}
            (tag::SYNC, _) => {
                encode::sync(out);
                stage = Stage::Over;
            }
            (tag::FLUSH | tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL, _) => {}
            (other, _) => {
                encode::copy_fail(out, "unexpected message during COPY from stdin");
                return Err(RelayError::ClientProtocol(frame::FrameError::Unexpected(other as char)));
            }
        }
        client.inbound.advance(header.len);
        if matches!(stage, Stage::Over) {
            return Ok(stage);
        }
    }
}
