//! Tuples of the binary format (documentation, COPY, "Binary Format").

use super::{Count, Divider, Field, Part};

const ONE: Count = Count { lines: 1, as_first: 1 };
const NONE: Count = Count { lines: 0, as_first: 0 };
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The signature, flags, and the length of the extension.
const HEADER_BYTES: usize = SIGNATURE.len() + 8;

impl Divider {
    pub(super) fn next_binary(&mut self, last: bool) -> Option<Part> {
        let odd = Part::Odd { bytes: self.data.len(), lines: ONE };
        if self.header_due {
            return match self.header() {
                Some(Ok(bytes)) => {
                    self.header_due = false;
                    Some(Part::Header { bytes, lines: NONE })
                }
                Some(Err(())) => Some(odd),
                None => last.then_some(odd),
            };
        }
        match self.tuple() {
            Some(part) => Some(part),
            None => last.then_some(odd),
        }
    }

    fn header(&self) -> Option<Result<usize, ()>> {
        let known = self.data.len().min(SIGNATURE.len());
        if self.data.get(..known) != SIGNATURE.get(..known) {
            return Some(Err(()));
        }
        let numbers = self.data.get(SIGNATURE.len()..HEADER_BYTES)?;
        let (flags, extension) = numbers.split_at(4);
        if flags != [0; 4] {
            return Some(Err(()));
        }
        let extension = usize::try_from(i32::from_be_bytes(extension.try_into().ok()?));
        let Ok(extension) = extension else { return Some(Err(())) };
        let bytes = HEADER_BYTES.saturating_add(extension);
        (self.data.len() >= bytes).then_some(Ok(bytes))
    }

    /// `None`: not all of it is here.
    fn tuple(&self) -> Option<Part> {
        let odd = || Part::Odd { bytes: self.data.len(), lines: ONE };
        let count = i16::from_be_bytes(*self.data.first_chunk::<2>()?);
        if count == -1 {
            return Some(Part::End { bytes: 2 });
        }
        let Ok(count) = usize::try_from(count) else { return Some(odd()) };
        let mut at = 2;
        let mut key = Field::Missing;
        for position in 0..count {
            let len = i32::from_be_bytes(*self.data.get(at..)?.first_chunk::<4>()?);
            at += 4;
            let value = match usize::try_from(len) {
                Ok(len) => {
                    let value = self.data.get(at..at.checked_add(len)?)?;
                    at += len;
                    Some(value)
                }
                Err(_) if len == -1 => None,
                Err(_) => return Some(odd()),
            };
            if self.key == Some(position) {
                key = value.map_or(Field::Null, |value| Field::Binary(value.to_vec()));
            }
        }
        Some(Part::Row { bytes: at, lines: ONE, key })
    }
}
