//! Short answers of ordinary SELECTs: one read has brought all of it, and all of it is for the client. In: what the
//! server sent. Out: the same, straight from the server's buffer into the client's socket, and the number of rows.
//! Takes nothing that it doesn't know entirely: [`super::relay`] goes over the rest, frame by frame, from its first
//! byte.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Buf;

use super::relay::poll_server;
use super::replies::RelayError;
use crate::net::Framed;
use crate::pool::{Backend, Condition};
use crate::protocol::backend::tag;
use crate::protocol::frame;
use crate::types::limits::FRAME_BYTES_MAX;

/// What was sent, and is answered if nothing goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// A Query of one SELECT.
    Query,
    /// Bind, perhaps Describe of the portal, Execute of a SELECT without a row limit, Sync.
    Execution { describes: bool },
}

/// BindComplete, as it always is.
const BIND_COMPLETE: [u8; 5] = [tag::BIND_COMPLETE, 0, 0, 0, 4];
/// ReadyForQuery outside of a transaction.
const READY: [u8; 6] = [tag::READY, 0, 0, 0, 5, b'I'];
const SELECT: &[u8] = b"SELECT ";

/// Waits for the server's answer and passes it on if it is a short one: the number of its rows. `None`: it isn't, and
/// nothing of it has been consumed.
///
/// # Errors
/// Those of the streams; the backend is [`Condition::Broken`] then.
#[inline]
pub async fn brief(client: &mut Framed, backend: &mut Backend, shape: Shape) -> Result<Option<u64>, RelayError> {
    let mut watches_client = true;
    let answer = poll_fn(|cx| poll_brief(client, backend, shape, &mut watches_client, cx)).await;
    if answer.is_err() {
        backend.condition = Condition::Broken;
    }
    answer
}

#[inline]
fn poll_brief(
    client: &mut Framed,
    backend: &mut Backend,
    shape: Shape,
    watches_client: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<u64>, RelayError>> {
    match poll_server(client, backend, watches_client, cx) {
        Poll::Ready(outcome) => outcome?,
        Poll::Pending => {
            if *watches_client {
                client.stay_watched();
            }
            return Poll::Pending;
        }
    }
    let inbound = &backend.framed.inbound;
    let Some(rows) = rows_of(inbound, shape) else { return Poll::Ready(Ok(None)) };
    client.send(inbound).map_err(RelayError::Client)?;
    let len = inbound.len();
    backend.framed.inbound.advance(len);
    backend.unanswered = backend.unanswered.saturating_sub(1);
    Poll::Ready(Ok(Some(rows)))
}

/// The rows of an answer, if these bytes are a whole one and nothing else.
fn rows_of(bytes: &[u8], shape: Shape) -> Option<u64> {
    let mut rest = bytes.strip_suffix(&READY)?;
    let described = match shape {
        Shape::Query => true,
        Shape::Execution { describes } => {
            rest = rest.strip_prefix(&BIND_COMPLETE)?;
            describes
        }
    };
    if described {
        let (tag, _, behind) = next(rest)?;
        if tag != tag::ROW_DESCRIPTION {
            return None;
        }
        rest = behind;
    }
    loop {
        let (tag, body, behind) = next(rest)?;
        match tag {
            tag::DATA_ROW => rest = behind,
            tag::COMMAND_COMPLETE if behind.is_empty() => return count(body),
            _ => return None,
        }
    }
}

/// The first frame's tag and body, and what is behind it.
#[inline]
fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let header = frame::peek(bytes, FRAME_BYTES_MAX + 1).ok()??;
    let (frame, behind) = bytes.split_at_checked(header.len)?;
    Some((header.tag, frame.get(frame::HEADER_BYTES..)?, behind))
}

/// The number in the tag of a SELECT.
#[inline]
fn count(tag: &[u8]) -> Option<u64> {
    let digits = tag.strip_prefix(SELECT)?.strip_suffix(b"\0")?;
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut frame = vec![tag];
        frame.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        frame.extend_from_slice(body);
        frame
    }

    const QUERY: Shape = Shape::Query;
    const DESCRIBED: Shape = Shape::Execution { describes: true };
    const EXECUTED: Shape = Shape::Execution { describes: false };

    /// One letter a frame; rows have bodies that end as ReadyForQuery does.
    fn answer(frames: &str, tag: &[u8]) -> Vec<u8> {
        let frames = frames.bytes().map(|kind| match kind {
            b'2' => frame(b'2', b""),
            b'D' => frame(b'D', b"\0\x01\0\0\0\x06Z\0\0\0\x05I"),
            b'C' => frame(b'C', tag),
            b'Z' => frame(b'Z', b"I"),
            b'z' => frame(b'Z', b"T"),
            other => frame(other, b"\0\0"),
        });
        frames.collect::<Vec<_>>().concat()
    }

    #[test]
    fn whole_answers_are_known() {
        let known = [
            (QUERY, "TDDCZ", "SELECT 2\0", 2),
            (QUERY, "TCZ", "SELECT 0\0", 0),
            (DESCRIBED, "2TDCZ", "SELECT 1\0", 1),
            (EXECUTED, "2DDDCZ", "SELECT 3\0", 3),
            (EXECUTED, "2CZ", "SELECT 18446744073709551615\0", u64::MAX),
        ];
        for (shape, frames, tag, rows) in known {
            assert_eq!(rows_of(&answer(frames, tag.as_bytes()), shape), Some(rows), "{frames}");
        }
    }

    #[test]
    fn all_else_is_left_to_the_relay() {
        let others = [
            (QUERY, "DCZ"),
            (QUERY, "TDC"),
            (QUERY, "TDCz"),
            (QUERY, "TDZ"),
            (QUERY, "TDECZ"),
            (QUERY, "EZ"),
            (QUERY, "NTDCZ"),
            (QUERY, "TDNCZ"),
            (QUERY, "TDCNZ"),
            (QUERY, "TDCSZ"),
            (QUERY, "TDCZA"),
            (QUERY, "TDCZZ"),
            (QUERY, "TDCTDCZ"),
            (QUERY, "IZ"),
            (QUERY, "HdcCZ"),
            (QUERY, "2TDCZ"),
            (DESCRIBED, "TDCZ"),
            (DESCRIBED, "2DCZ"),
            (DESCRIBED, "2nCZ"),
            (DESCRIBED, "12TDCZ"),
            (EXECUTED, "2TDCZ"),
            (EXECUTED, "2DsZ"),
            (EXECUTED, "2EZ"),
            (EXECUTED, "2Z"),
            (EXECUTED, ""),
        ];
        for (shape, frames) in others {
            assert_eq!(rows_of(&answer(frames, b"SELECT 1\0"), shape), None, "{frames}");
        }
        for tag in ["INSERT 0 1\0", "SELECT 1", "SELECT x\0", "SELECT -1\0", "SELECT 18446744073709551616\0", "\0", ""]
        {
            assert_eq!(rows_of(&answer("TDCZ", tag.as_bytes()), QUERY), None, "{tag}");
        }
    }

    #[test]
    fn a_part_of_an_answer_is_none() {
        for (shape, frames) in [(QUERY, "TDDCZ"), (DESCRIBED, "2TDDCZ"), (EXECUTED, "2DDCZ")] {
            let whole = answer(frames, b"SELECT 2\0");
            assert!(rows_of(&whole, shape).is_some());
            for end in 0..whole.len() {
                assert_eq!(rows_of(&whole[..end], shape), None, "{frames} up to {end}");
                assert_eq!(rows_of(&whole[end + 1..], shape), None, "{frames} from {end}");
            }
        }
    }
}
