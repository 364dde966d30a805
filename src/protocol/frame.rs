//! Frame boundaries: one type byte, then a length that counts itself but not the type byte.

use std::ffi::CStr;

use thiserror::Error;

/// The header of a frame, of which perhaps not all bytes have arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub tag: u8,
    /// Bytes of the whole frame, type byte and length included; at least [`HEADER_BYTES`].
    pub len: usize,
}

/// The type byte and the length.
pub const HEADER_BYTES: usize = 5;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FrameError {
    #[error("invalid message length {0}")]
    Length(i64),
    #[error("message of {0} bytes is larger than the limit of {1} bytes")]
    TooLong(usize, usize),
    #[error("message of type {0:?} ends within a field")]
    Truncated(char),
    #[error("message of type {0:?} has bytes behind its last field")]
    Trailing(char),
    #[error("unexpected message of type {0:?}")]
    Unexpected(char),
}

/// Reads a header from the front of `bytes`; `None` while fewer than [`HEADER_BYTES`] are there.
///
/// # Errors
/// A length below 4 or a frame longer than `len_max`: nothing is ever reserved for a claimed length.
#[inline]
pub fn peek(bytes: &[u8], len_max: usize) -> Result<Option<Header>, FrameError> {
    let Some(&[tag, a, b, c, d]) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let claimed = i32::from_be_bytes([a, b, c, d]);
    let Ok(body) = usize::try_from(claimed) else {
        return Err(FrameError::Length(claimed.into()));
    };
    if body < 4 {
        return Err(FrameError::Length(claimed.into()));
    }
    if body >= len_max {
        return Err(FrameError::TooLong(body, len_max));
    }
    Ok(Some(Header { tag, len: body + 1 }))
}

/// A cursor over the fields of one frame's body, which never reads past it.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    tag: u8,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// `frame` is a whole frame, header included.
    pub fn of(frame: &'a [u8]) -> Result<Self, FrameError> {
        match frame {
            [tag, _, _, _, _, rest @ ..] => Ok(Self { tag: *tag, rest }),
            _ => Err(FrameError::Length(frame.len() as i64)),
        }
    }

    fn truncated(&self) -> FrameError {
        FrameError::Truncated(self.tag as char)
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.truncated())?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.truncated())?;
        self.rest = rest;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Result<u8, FrameError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn i16(&mut self) -> Result<i16, FrameError> {
        self.array().map(i16::from_be_bytes)
    }

    /// A count: PostgreSQL reads 16-bit counts as unsigned.
    pub fn count(&mut self) -> Result<usize, FrameError> {
        self.array().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    pub fn i32(&mut self) -> Result<i32, FrameError> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A string up to its zero byte, which is taken but not returned.
    pub fn cstr(&mut self) -> Result<&'a [u8], FrameError> {
        // A search by words, not by bytes: statements may be long.
        let text = CStr::from_bytes_until_nul(self.rest).map_err(|_| self.truncated())?;
        let text = self.bytes(text.count_bytes())?;
        self.bytes(1)?;
        Ok(text)
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// # Errors
    /// When bytes are left: PostgreSQL's pq_getmsgend refuses them too.
    pub fn end(&self) -> Result<(), FrameError> {
        if self.rest.is_empty() { Ok(()) } else { Err(FrameError::Trailing(self.tag as char)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_needs_five_bytes_and_a_sane_length() {
        assert_eq!(peek(b"Q\0\0\0", 100), Ok(None));
        assert_eq!(peek(b"Q\0\0\0\x04", 100), Ok(Some(Header { tag: b'Q', len: 5 })));
        assert_eq!(peek(b"Q\0\0\0\x03", 100), Err(FrameError::Length(3)));
        assert_eq!(peek(b"Q\xff\xff\xff\xff", 100), Err(FrameError::Length(-1)));
        assert_eq!(peek(b"Q\x3f\xff\xff\xff", 100), Err(FrameError::TooLong(0x3fff_ffff, 100)));
    }

    proptest! {
        #[test]
        fn fields_never_read_past_their_frame(frame in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(mut fields) = Fields::of(&frame) {
                let before = fields.rest().len();
                let _ = fields.cstr();
                let _ = fields.i32();
                let _ = fields.bytes(7);
                prop_assert!(fields.rest().len() <= before);
            }
        }
    }
}
