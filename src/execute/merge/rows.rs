//! Rows with further columns of the proxy's own behind the client's. In: DataRows as raw frames. Out: where
//! the keys are, and the client's part.

use std::ops::Range;

use bytes::{BufMut, BytesMut};

use crate::protocol::FrameError;
use crate::protocol::backend::tag;
use crate::protocol::frame::{Fields, HEADER_BYTES};

/// Of one row; reused for the next.
#[derive(Debug, Default)]
pub struct Row {
    /// The keys by their places in the frame; `None` is NULL.
    pub keys: Vec<Option<Range<usize>>>,
    /// Where the client's columns end.
    pub cut: usize,
    pub len: usize,
}

impl Row {
    /// # Errors
    /// When it isn't a row of `visible` columns and as many keys as there are.
    pub fn read(&mut self, frame: &[u8], visible: usize, hidden: usize) -> Result<(), FrameError> {
        let mut fields = Fields::of(frame)?;
        let columns = fields.count()?;
        if columns != visible + hidden {
            return Err(FrameError::Unexpected('D'));
        }
        self.len = frame.len();
        self.keys.clear();
        let place = |fields: &Fields<'_>| frame.len() - fields.rest().len();
        for _ in 0..visible {
            value(&mut fields)?;
        }
        self.cut = place(&fields);
        for _ in 0..hidden {
            let value = value(&mut fields)?;
            let end = place(&fields);
            self.keys.push(value.map(|value| end - value.len()..end));
        }
        fields.end()
    }

    pub fn key<'a>(&self, frame: &'a [u8], position: usize) -> Option<&'a [u8]> {
        frame.get(self.keys.get(position)?.clone()?)
    }
}

/// The next column of a row.
pub fn value<'a>(fields: &mut Fields<'a>) -> Result<Option<&'a [u8]>, FrameError> {
    let len = fields.i32()?;
    match usize::try_from(len) {
        Ok(len) => fields.bytes(len).map(Some),
        Err(_) if len == -1 => Ok(None),
        Err(_) => Err(FrameError::Length(len.into())),
    }
}

/// Appends the first `visible` columns, which end at `cut`.
pub fn cut(out: &mut BytesMut, frame: &[u8], visible: usize, cut: usize) {
    out.put_u8(tag::DATA_ROW);
    out.put_u32(u32::try_from(cut.saturating_sub(1)).unwrap_or(u32::MAX));
    out.put_u16(u16::try_from(visible).unwrap_or(u16::MAX));
    out.extend_from_slice(frame.get(HEADER_BYTES + 2..cut).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_off() {
        let mut frame = BytesMut::new();
        crate::protocol::backend::text_row(&mut frame, &[Some("a"), None, Some("key"), None]);
        let mut row = Row::default();
        row.read(&frame, 2, 2).expect("a row");
        assert_eq!(row.key(&frame, 0), Some(&b"key"[..]));
        assert_eq!(row.key(&frame, 1), None);
        let (mut out, mut expected) = (BytesMut::new(), BytesMut::new());
        cut(&mut out, &frame, 2, row.cut);
        crate::protocol::backend::text_row(&mut expected, &[Some("a"), None]);
        assert_eq!(out, expected);
        assert!(row.read(&frame, 3, 2).is_err());
    }
}
