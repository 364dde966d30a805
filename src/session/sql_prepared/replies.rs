//! The answer to an EXECUTE in a Query, made of that to messages of the extended protocol.

use bytes::BytesMut;

use crate::protocol::backend::tag;
use crate::protocol::frame;
use crate::types::limits::FRAME_BYTES_MAX;

/// A server runs an EXECUTE to its end before it describes the rows: one that failed has no description. Only what is
/// still here can be taken out; rows that were on their way had one.
pub(super) fn leave_out_description(out: &mut BytesMut, from: usize) {
    let told = out.get(from..).unwrap_or_default();
    let next = |at: usize| frame::peek(told.get(at..)?, FRAME_BYTES_MAX + 1).ok()?;
    let Some(first) = next(0).filter(|header| header.tag == tag::ROW_DESCRIPTION) else { return };
    let mut at = first.len;
    while let Some(header) = next(at) {
        match header.tag {
            tag::NOTICE | tag::PARAMETER_STATUS => at += header.len,
            tag::ERROR => {
                let rest = out.split_off(from);
                out.extend_from_slice(rest.get(first.len..).unwrap_or_default());
                return;
            }
            _ => return,
        }
    }
}

/// Takes out what a Query isn't answered with: BindComplete and NoData.
pub(super) fn hide_protocol(out: &mut BytesMut, from: usize) {
    let told = out.split_off(from.min(out.len()));
    let mut rest: &[u8] = &told;
    while let Ok(Some(header)) = frame::peek(rest, FRAME_BYTES_MAX + 1) {
        let Some((frame, behind)) = rest.split_at_checked(header.len) else { break };
        if !matches!(header.tag, tag::BIND_COMPLETE | tag::NO_DATA) {
            out.extend_from_slice(frame);
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
}
