//! The data of a COPY TO STDOUT that several backends give a part of each. In: one backend's messages. Out: what of
//! them is for the client, so that there is one header, one signature, one trailer and one end.

use bytes::BytesMut;

use crate::protocol::backend::tag;
use crate::protocol::frame::HEADER_BYTES;
use crate::protocol::frontend::encode;

/// The signature, flags and the length of an extension, of which there is none (documentation, COPY).
const SIGNATURE_BYTES: usize = 19;
const TRAILER: &[u8] = &[0xff, 0xff];

/// One backend's part.
#[derive(Clone, Copy, Debug)]
pub(super) struct CopyPart {
    /// The data begins with a line of names.
    header: bool,
    binary: bool,
    /// None of its data has come.
    fresh: bool,
    first: bool,
    last: bool,
}

/// What the client gets of a message.
pub(super) enum Shown {
    Whole,
    Nothing,
    Instead(BytesMut),
}

impl CopyPart {
    pub(super) fn new(header: bool, first: bool, last: bool) -> Self {
        Self { header, binary: false, fresh: true, first, last }
    }

    pub(super) fn take(&mut self, tag: u8, frame: &[u8]) -> Shown {
        let body = frame.get(HEADER_BYTES..).unwrap_or_default();
        match tag {
            tag::COPY_OUT => {
                self.binary = body.first() == Some(&1);
                if self.first { Shown::Whole } else { Shown::Nothing }
            }
            tag::COPY_DONE if !self.last => Shown::Nothing,
            tag::COPY_DATA => self.data(body),
            _ => Shown::Whole,
        }
    }

    /// Servers send a row a message: the header by itself, the signature with the first row, the trailer by itself
    /// or behind the signature.
    fn data(&mut self, body: &[u8]) -> Shown {
        let fresh = std::mem::take(&mut self.fresh);
        if fresh && self.header && !self.binary && !self.first {
            return Shown::Nothing;
        }
        let signature = if fresh && self.binary { SIGNATURE_BYTES.min(body.len()) } else { 0 };
        let from = if self.first { 0 } else { signature };
        let ends = self.binary && body.get(signature..) == Some(TRAILER);
        let to = if ends && !self.last { signature } else { body.len() };
        if from == 0 && to == body.len() {
            return Shown::Whole;
        }
        let Some(data) = body.get(from..to).filter(|data| !data.is_empty()) else { return Shown::Nothing };
        let mut changed = BytesMut::new();
        encode::copy_data(&mut changed, data);
        Shown::Instead(changed)
    }
}
