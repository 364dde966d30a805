//! Where the messages of an execution are in a client's buffer, if all of them have arrived.

use crate::protocol::frame::{self, Header};
use crate::protocol::frontend::{Execute, Target, tag, target};
use crate::types::limits::FRAME_BYTES_MAX;

/// Describe and Execute of the unnamed portal, all rows, and Sync.
const DESCRIBE_EXECUTE_SYNC: &[u8] = b"D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04";
const DESCRIBE_BYTES: usize = 7;

/// Where the messages of an execution end.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Frames {
    pub bind: usize,
    pub describes: bool,
    pub all: usize,
}

impl Frames {
    /// Bind, Execute without a row limit, and Sync, perhaps with a Describe of the portal between them; all for the
    /// unnamed portal.
    pub fn at_front(bytes: &[u8]) -> Option<Self> {
        let bind = Self::whole(bytes, 0)?;
        if bind.tag == tag::BIND
            && let Some(rest) = bytes.get(bind.len..)
            && let Some((describes, len)) = Self::usual(rest)
        {
            return Some(Self { bind: bind.len, describes, all: bind.len + len });
        }
        Self::behind(bytes, bind)
    }

    /// The same, whatever follows the Bind.
    fn behind(bytes: &[u8], bind: Header) -> Option<Self> {
        let mut at = bind.len;
        let mut next = Self::whole(bytes, at)?;
        let describes = next.tag == tag::DESCRIBE;
        if describes {
            if target(bytes.get(at..at + next.len)?).ok()? != Target::Portal(b"") {
                return None;
            }
            at += next.len;
            next = Self::whole(bytes, at)?;
        }
        let execute = Execute::decode(bytes.get(at..at + next.len).filter(|_| next.tag == tag::EXECUTE)?).ok()?;
        if bind.tag != tag::BIND || !execute.portal.is_empty() || execute.rows_max != 0 {
            return None;
        }
        at += next.len;
        let sync = Self::whole(bytes, at)?;
        let is_sync = sync.tag == tag::SYNC && sync.len == frame::HEADER_BYTES;
        is_sync.then_some(Self { bind: bind.len, describes, all: at + sync.len })
    }

    /// As nearly all drivers send them: the same bytes each time.
    fn usual(rest: &[u8]) -> Option<(bool, usize)> {
        if rest.starts_with(DESCRIBE_EXECUTE_SYNC) {
            return Some((true, DESCRIBE_EXECUTE_SYNC.len()));
        }
        let executes = DESCRIBE_EXECUTE_SYNC.split_at(DESCRIBE_BYTES).1;
        rest.starts_with(executes).then_some((false, executes.len()))
    }

    fn whole(bytes: &[u8], at: usize) -> Option<Header> {
        let rest = bytes.get(at..)?;
        let header = frame::peek(rest, FRAME_BYTES_MAX + 1).ok()??;
        (rest.len() >= header.len).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIND: &[u8] = b"B\0\0\0\x10\0s\0\0\0\0\0\0\0\0\0\0";

    #[test]
    fn usual_messages_are_found_as_any_others() {
        let (describe, rest) = DESCRIBE_EXECUTE_SYNC.split_at(DESCRIBE_BYTES);
        let (execute, sync) = rest.split_at(10);
        for (describe, describes) in [(describe, true), (&b""[..], false)] {
            for behind in [&b""[..], b"Q\0\0\0\x05\0"] {
                let bytes = [BIND, describe, execute, sync, behind].concat();
                let found = Frames::at_front(&bytes);
                let all = bytes.len() - behind.len();
                assert_eq!(found, Some(Frames { bind: BIND.len(), describes, all }));
                let bind = Frames::whole(&bytes, 0).expect("it is there");
                assert_eq!(found, Frames::behind(&bytes, bind));
            }
            let bytes = [BIND, describe, execute, sync].concat();
            for len in 0..bytes.len() {
                assert_eq!(Frames::at_front(&bytes[..len]), None, "{len}");
            }
        }
        let limited = [BIND, b"E\0\0\0\x09\0\0\0\0\x01", sync].concat();
        assert_eq!(Frames::at_front(&limited), None);
        let named = [BIND, b"D\0\0\0\x07Pp\0", execute, sync].concat();
        assert_eq!(Frames::at_front(&named), None);
        let other = [b"P", &BIND[1..], execute, sync].concat();
        assert_eq!(Frames::at_front(&other), None);
    }
}
