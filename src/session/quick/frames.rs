//! Where the messages of an execution are in a client's buffer, if all of them have arrived.

use crate::protocol::frame::{self, Header};
use crate::protocol::frontend::{Execute, Target, tag, target};
use crate::types::limits::FRAME_BYTES_MAX;

/// Where the messages of an execution end.
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

    fn whole(bytes: &[u8], at: usize) -> Option<Header> {
        let rest = bytes.get(at..)?;
        let header = frame::peek(rest, FRAME_BYTES_MAX + 1).ok()??;
        (rest.len() >= header.len).then_some(header)
    }
}
