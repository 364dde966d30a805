//! Positions in a text that the proxy changed on its way. In: an ErrorResponse of a server, which counts in the text that
//! it got. Out: the same with the position in the client's own text.

use bytes::{BufMut, BytesMut};

use super::backend::tag;
use super::frame::Fields;

/// Where a text differs from the client's: in the order of the text, counted in characters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Moved(Vec<Change>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Change {
    /// The first character that is new, from 0.
    at: usize,
    added: usize,
    /// Characters of the client's that they stand for.
    removed: usize,
}

impl Moved {
    /// Notes a change behind those that were noted before.
    pub fn note(&mut self, at: usize, added: usize, removed: usize) {
        self.0.push(Change { at, added, removed });
    }

    /// The place in the client's text of a position, from 1, in the changed one.
    fn original(&self, position: usize) -> usize {
        let mut original = position;
        for change in &self.0 {
            let first = change.at + 1;
            if position < first {
                break;
            }
            if position < first + change.added {
                return original - (position - first);
            }
            original = original + change.removed - change.added;
        }
        original
    }

    /// Appends the ErrorResponse with its position in the client's text.
    pub fn error(&self, out: &mut BytesMut, frame: &[u8]) {
        let Some(body) = self.rewritten(frame) else {
            out.extend_from_slice(frame);
            return;
        };
        out.put_u8(tag::ERROR);
        out.put_u32(u32::try_from(body.len() + 4).unwrap_or(u32::MAX));
        out.extend_from_slice(&body);
    }

    fn rewritten(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let mut fields = Fields::of(frame).ok()?;
        let mut body = Vec::with_capacity(frame.len());
        loop {
            let kind = fields.u8().ok()?;
            body.push(kind);
            if kind == 0 {
                return Some(body);
            }
            let value = fields.cstr().ok()?;
            let position = (kind == b'P').then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten();
            match position {
                Some(position) => body.extend_from_slice(self.original(position).to_string().as_bytes()),
                None => body.extend_from_slice(value),
            }
            body.push(0);
        }
    }
}

/// Appends an ErrorResponse with a word on where it came from, in front of what the server says of that.
pub fn with_context(out: &mut BytesMut, frame: &[u8], context: &str) {
    let mut body = Vec::with_capacity(frame.len() + context.len());
    let mut rest = frame.get(5..).unwrap_or_default();
    let mut said = false;
    while let Some((&kind, behind)) = rest.split_first() {
        let Some(end) = behind.iter().position(|byte| *byte == 0).filter(|_| kind != 0) else { break };
        body.push(kind);
        if kind == b'W' {
            body.extend_from_slice(context.as_bytes());
            body.push(b'\n');
            said = true;
        }
        body.extend_from_slice(behind.get(..=end).unwrap_or_default());
        rest = behind.get(end + 1..).unwrap_or_default();
    }
    if !said {
        body.push(b'W');
        body.extend_from_slice(context.as_bytes());
        body.push(0);
    }
    body.push(0);
    out.put_u8(tag::ERROR);
    out.put_u32(u32::try_from(body.len() + 4).unwrap_or(u32::MAX));
    out.extend_from_slice(&body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_the_client() {
        // "abcdef" became "abXXXcYf": XXX was added, Y stands for "de".
        let mut moved = Moved::default();
        moved.note(2, 3, 0);
        moved.note(6, 1, 2);
        let original: Vec<usize> = (1..=8).map(|position| moved.original(position)).collect();
        assert_eq!(original, [1, 2, 3, 3, 3, 3, 4, 6]);
    }

    #[test]
    fn a_context_is_added() {
        let mut out = BytesMut::new();
        with_context(&mut out, b"E\0\0\0\x10SERROR\0Mbad\0\0", "on shard b");
        assert_eq!(out[5..], b"SERROR\0Mbad\0Won shard b\0\0"[..]);
        out.clear();
        with_context(&mut out, b"E\0\0\0\x10Wthere\0Mbad\0\0", "on shard b");
        assert_eq!(out[5..], b"Won shard b\nthere\0Mbad\0\0"[..]);
    }

    #[test]
    fn an_error_is_told_with_its_own_fields() {
        let mut moved = Moved::default();
        moved.note(0, 10, 0);
        let mut out = BytesMut::new();
        moved.error(&mut out, b"E\0\0\0\x18SERROR\0P12\0Mbad\0\0");
        assert_eq!(out[5..], b"SERROR\0P2\0Mbad\0\0"[..]);
        assert_eq!(usize::from(out[4]), out.len() - 1);
    }
}
