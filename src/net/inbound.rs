//! Bytes that have been received and not yet consumed. In: what a socket has. Out: a slice. Storage is kept
//! initialised and starts at its front again whenever all was consumed, so that a turn neither allocates nor moves
//! anything.

use std::ops::{Deref, DerefMut};

use bytes::{Buf, BytesMut};

#[derive(Default, Debug)]
pub struct Inbound {
    storage: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbound {
    pub const fn new() -> Self {
        Self { storage: Vec::new(), start: 0, end: 0 }
    }

    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { storage: vec![0; bytes], start: 0, end: 0 }
    }

    #[inline]
    pub fn capacity(&self) -> usize {
        self.storage.len()
    }

    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Takes the first `len` bytes out.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn split_to(&mut self, len: usize) -> BytesMut {
        let taken = BytesMut::from(self.get(..len).expect("no more is taken than has arrived"));
        self.advance(len);
        taken
    }

    /// Puts `fresh` in the place of the first `len` bytes.
    pub fn replace_front(&mut self, len: usize, fresh: &[u8]) {
        let behind = self.get(len..).unwrap_or_default();
        self.storage = [fresh, behind].concat();
        self.start = 0;
        self.end = self.storage.len();
    }

    /// Room for at least `wanted` more bytes.
    #[inline]
    pub(super) fn room(&mut self, wanted: usize) -> &mut [u8] {
        if self.storage.len() - self.end < wanted {
            self.make_room(wanted);
        }
        self.storage.get_mut(self.end..).unwrap_or_default()
    }

    #[inline]
    pub(super) fn room_left(&self) -> usize {
        self.storage.len() - self.end
    }

    #[cold]
    fn make_room(&mut self, wanted: usize) {
        let length = self.end - self.start;
        self.storage.copy_within(self.start..self.end, 0);
        self.start = 0;
        self.end = length;
        if self.storage.len() < length + wanted {
            // Grows by half at least, so that a long message isn't copied over and over.
            let bytes = (length + wanted).max(self.storage.len() + self.storage.len() / 2);
            self.storage.resize(bytes, 0);
        }
    }

    /// `read` bytes were put into the room.
    #[inline]
    pub(super) fn filled(&mut self, read: usize) {
        self.end = (self.end + read).min(self.storage.len());
    }
}

impl Deref for Inbound {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.storage.get(self.start..self.end).unwrap_or_default()
    }
}

impl DerefMut for Inbound {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.storage.get_mut(self.start..self.end).unwrap_or_default()
    }
}

impl Buf for Inbound {
    #[inline]
    fn remaining(&self) -> usize {
        self.end - self.start
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        self
    }

    #[inline]
    fn advance(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.clear();
        }
    }
}

impl From<BytesMut> for Inbound {
    fn from(bytes: BytesMut) -> Self {
        let end = bytes.len();
        Self { storage: bytes.to_vec(), start: 0, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_consumed_makes_room() {
        let mut buffer = Inbound::with_capacity(8);
        buffer.room(8)[..6].copy_from_slice(b"abcdef");
        buffer.filled(6);
        buffer.advance(4);
        assert_eq!(&*buffer, b"ef");
        buffer.room(5)[..5].copy_from_slice(b"ghijk");
        buffer.filled(5);
        assert_eq!(&*buffer, b"efghijk");
        assert_eq!(buffer.capacity(), 8);
        assert_eq!(&*buffer.split_to(7), b"efghijk");
        assert_eq!(buffer.room_left(), 8);
        assert!(buffer.room(20).len() >= 20);
    }
}
