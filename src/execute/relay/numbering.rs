//! OIDs in what a server answers: where it numbers types and tables otherwise than the home shard, the client sees the
//! home shard's numbers.

use std::sync::Arc;

use super::{Relay, RelayError};
use crate::execute::replies::Expect;
use crate::protocol::backend::{self, tag};
use crate::protocol::frame::{FrameError, HEADER_BYTES, Header};
use crate::protocol::numbering::{Carrier, Numbering, Strange};

/// What is under way on a server with other numbers.
#[derive(Debug)]
pub(super) enum Renumbered {
    /// Rows with such columns.
    Rows(Arc<Numbering>, Vec<Carrier>),
    /// Data of a COPY in binary.
    Copy(Arc<Numbering>),
}

impl From<Strange> for RelayError {
    fn from(strange: Strange) -> Self {
        match strange {
            Strange::Malformed => Self::Protocol(strange.to_string()),
            other => Self::Disagree(other.to_string()),
        }
    }
}

/// The types of the columns of a RowDescription, or none.
pub(super) fn column_types(tag: u8, frame: &[u8]) -> Result<Box<[u32]>, FrameError> {
    let mut types = Vec::new();
    if tag == tag::ROW_DESCRIPTION {
        backend::columns(frame, |_, type_oid, _, _, _| types.push(type_oid))?;
    }
    Ok(types.into())
}

impl Relay<'_> {
    #[inline]
    pub(super) fn may_hold_numbers(&self, tag: u8) -> bool {
        match tag {
            tag::ROW_DESCRIPTION | tag::PARAMETER_DESCRIPTION | tag::COPY_OUT => true,
            tag::DATA_ROW | tag::COPY_DATA => self.renumbered.is_some(),
            _ => false,
        }
    }

    /// Changes the frame at `seen`.
    pub(super) fn renumber(&mut self, header: Header) -> Result<(), RelayError> {
        let range = self.seen..self.seen + header.len;
        if let tag::DATA_ROW | tag::COPY_DATA = header.tag {
            let frame = self.backend.framed.inbound.get_mut(range).expect("the caller saw the whole frame");
            match self.renumbered.as_deref() {
                Some(Renumbered::Rows(numbering, carriers)) => numbering.to_client.row(frame, carriers)?,
                Some(Renumbered::Copy(numbering)) => {
                    numbering.to_client.check_copied(frame.get(HEADER_BYTES..).unwrap_or_default())?;
                }
                None => {}
            }
            return Ok(());
        }
        let Some(numbering) = self.backend.numbering() else { return Ok(()) };
        let frame = self.backend.framed.inbound.get_mut(range).expect("the caller saw the whole frame");
        match header.tag {
            tag::ROW_DESCRIPTION => {
                if let Some(Expect::Query { .. } | Expect::DescribeOwn) = self.expects.front() {
                    let carriers = numbering.to_client.carriers(frame, None)?;
                    let holds = !carriers.is_empty();
                    self.renumbered = holds.then(|| Box::new(Renumbered::Rows(Arc::clone(&numbering), carriers)));
                }
                numbering.to_client.description(frame)?;
            }
            tag::COPY_OUT => {
                let is_binary = frame.get(HEADER_BYTES) == Some(&1);
                self.renumbered = is_binary.then(|| Box::new(Renumbered::Copy(numbering)));
            }
            _ => numbering.to_client.parameters(frame)?,
        }
        Ok(())
    }
}
