//! Rows, parameters and values that hold OIDs: changed where they lie.

use super::super::frame::HEADER_BYTES;
use super::{Carrier, DEPTH_MAX, FIRST_USER_OID, Kind, Side, Strange, is_binary};

impl Side {
    /// A DataRow. Its columns are those that [`Self::carriers`] found.
    ///
    /// # Errors
    /// For an OID that can't be said on the other server.
    pub fn row(&self, frame: &mut [u8], carriers: &[Carrier]) -> Result<(), Strange> {
        self.fields(frame.get_mut(HEADER_BYTES..).ok_or(Strange::Malformed)?, carriers)
    }

    /// The fields of a DataRow, or of a tuple of a COPY in binary, their number before them.
    ///
    /// # Errors
    /// As [`Self::row`].
    pub fn fields(&self, bytes: &mut [u8], carriers: &[Carrier]) -> Result<(), Strange> {
        let mut place = Place { bytes, at: 0 };
        let count = place.count()?;
        let mut wanted = carriers.iter().peekable();
        for column in 0..count {
            let carrier = wanted.next_if(|carrier| carrier.column == column);
            let value = place.value()?;
            if let (Some(carrier), Some(value)) = (carrier, value) {
                self.value(carrier.type_oid, value)?;
            }
        }
        Ok(())
    }

    /// A value in binary.
    ///
    /// # Errors
    /// For an OID that can't be said on the other server, and for what isn't a value of that type.
    pub fn value(&self, type_oid: u32, bytes: &mut [u8]) -> Result<(), Strange> {
        self.value_at(type_oid, bytes, 0)
    }

    fn value_at(&self, type_oid: u32, bytes: &mut [u8], depth: usize) -> Result<(), Strange> {
        if depth > DEPTH_MAX {
            return Err(Strange::Malformed);
        }
        let mut place = Place { bytes, at: 0 };
        match self.kind(type_oid).ok_or(Strange::Type(type_oid))? {
            Kind::Plain => Ok(()),
            Kind::Domain(base) => self.value_at(base, place.bytes, depth + 1),
            Kind::Type => {
                let oid = place.peek()?;
                place.put(self.type_oid(oid)?)
            }
            Kind::Relation => {
                let oid = place.peek()?;
                let there = match self.relations.get(&oid) {
                    Some((there, _)) => *there,
                    None if oid < FIRST_USER_OID => oid,
                    None => return Err(Strange::Object(oid)),
                };
                place.put(there)
            }
            Kind::Object => match place.peek()? {
                oid if oid < FIRST_USER_OID => Ok(()),
                oid => Err(Strange::Object(oid)),
            },
            Kind::Array(_) => self.array(&mut place, depth),
            Kind::Row => {
                for _ in 0..place.peek_and_pass()? {
                    let column = place.peek()?;
                    place.put(self.type_oid(column)?)?;
                    if let Some(value) = place.value()? {
                        self.value_at(column, value, depth + 1)?;
                    }
                }
                Ok(())
            }
            Kind::Range(bound) => self.range(&mut place, bound, depth),
            Kind::Multirange(bound) => {
                for _ in 0..place.peek_and_pass()? {
                    let range = place.value()?.ok_or(Strange::Malformed)?;
                    self.range(&mut Place { bytes: range, at: 0 }, bound, depth)?;
                }
                Ok(())
            }
        }
    }

    /// See array_send: dimensions, flags, the elements' type, each dimension's size and lower bound, the elements.
    fn array(&self, place: &mut Place<'_>, depth: usize) -> Result<(), Strange> {
        let dimensions = place.peek_and_pass()?;
        place.pass(4)?;
        let element = place.peek()?;
        place.put(self.type_oid(element)?)?;
        if !self.carries(element) {
            return Ok(());
        }
        place
            .pass(usize::try_from(dimensions).ok().and_then(|count| count.checked_mul(8)).ok_or(Strange::Malformed)?)?;
        while place.at < place.bytes.len() {
            if let Some(value) = place.value()? {
                self.value_at(element, value, depth + 1)?;
            }
        }
        Ok(())
    }

    /// See range_send: flags, then the bounds that there are.
    fn range(&self, place: &mut Place<'_>, bound: u32, depth: usize) -> Result<(), Strange> {
        if !self.carries(bound) {
            return Ok(());
        }
        place.pass(1)?;
        while place.at < place.bytes.len() {
            if let Some(value) = place.value()? {
                self.value_at(bound, value, depth + 1)?;
            }
        }
        Ok(())
    }

    /// If bytes whose type isn't known are an array, a row, a range or a multirange with the OID of a type of a user's
    /// own, however deep within it.
    pub fn may_be_carrier(&self, bytes: &[u8]) -> bool {
        self.may_carry(bytes, 0)
    }

    fn may_carry(&self, bytes: &[u8], depth: usize) -> bool {
        if depth > DEPTH_MAX {
            return true;
        }
        let own = |oid: u32| oid >= FIRST_USER_OID && self.types.contains_key(&oid);
        let any = |values: Option<Vec<&[u8]>>| {
            values.is_some_and(|values| values.iter().any(|value| self.may_carry(value, depth + 1)))
        };
        // array_send.
        if let (Some(dimensions @ 0..=6), Some(0..=1), Some(element)) = (word(bytes, 0), word(bytes, 4), word(bytes, 8))
        {
            let values = usize::try_from(dimensions).ok().map(|dimensions| 12 + dimensions * 8);
            if own(element) || any(values.and_then(|at| values_from(bytes, at, 0))) {
                return true;
            }
        }
        // record_send: before each value its type.
        if let Some(1..=1_664) = word(bytes, 0) {
            let columns = values_from(bytes, 4, 4);
            let has_own = |at: usize| word(bytes, at).is_some_and(own);
            if columns.is_some() && types_of_row(bytes).any(has_own) || any(columns) {
                return true;
            }
        }
        // multirange_send, range_send.
        any(word(bytes, 0).filter(|count| *count > 0).and_then(|_| values_from(bytes, 4, 0)))
            || any(bytes.first().filter(|flags| **flags < 0x80).and_then(|_| values_from(bytes, 1, 0)))
    }

    /// The part of a Bind behind its two names: the values, whose types are these, 0 where one isn't known. OIDs of
    /// users' types within arrays and rows are left: a server goes by what it expects (array_recv, record_recv).
    ///
    /// # Errors
    /// For an OID that can't be said on the other server.
    pub fn bound(&self, tail: &mut [u8], types: &[u32]) -> Result<(), Strange> {
        let mut place = Place { bytes: tail, at: 0 };
        let count = place.count()?;
        let formats: Vec<u8> = place.bytes.get(2..2 + count * 2).ok_or(Strange::Malformed)?.to_vec();
        place.pass(count * 2)?;
        for position in 0..place.count()? {
            let Some(value) = place.value()? else { continue };
            if !is_binary(&formats, position) {
                continue;
            }
            let oid = types.get(position).copied().unwrap_or(0);
            if let Some(Kind::Type | Kind::Relation | Kind::Object) = self.kind(oid) {
                self.value(oid, value)?;
            }
        }
        Ok(())
    }

    /// A message of a COPY TO STDOUT in binary, of which it isn't known what the columns are: a row, behind the
    /// signature if it is the first.
    ///
    /// # Errors
    /// When a value may hold an OID.
    pub fn check_copied(&self, mut data: &[u8]) -> Result<(), Strange> {
        if let Some(rest) = data.strip_prefix(b"PGCOPY\n\xff\r\n\0") {
            data = rest.get(8..).unwrap_or_default();
        }
        let Some((count, mut rest)) = data.split_first_chunk().map(|(count, rest)| (i16::from_be_bytes(*count), rest))
        else {
            return Ok(());
        };
        for _ in 0..count.max(0) {
            let (len, behind) = rest.split_first_chunk().ok_or(Strange::Malformed)?;
            let len = usize::try_from(i32::from_be_bytes(*len)).unwrap_or(0);
            let (value, behind) = behind.split_at_checked(len).ok_or(Strange::Malformed)?;
            if self.may_be_carrier(value) {
                return Err(Strange::Unknown);
            }
            rest = behind;
        }
        Ok(())
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).map(|four| u32::from_be_bytes(*four))
}

/// The length behind which a value ends whose length is at that place; NULL has none.
fn end_of(bytes: &[u8], at: usize) -> Option<usize> {
    let len = match word(bytes, at)? {
        u32::MAX => 0,
        len => usize::try_from(len).ok()?,
    };
    at.checked_add(4)?.checked_add(len).filter(|end| *end <= bytes.len())
}

/// Lengths and values that reach exactly to the end, each behind some other bytes.
fn values_from(bytes: &[u8], mut at: usize, before: usize) -> Option<Vec<&[u8]>> {
    let mut values = Vec::new();
    while at < bytes.len() {
        let end = end_of(bytes, at + before)?;
        values.push(bytes.get(at + before + 4..end)?);
        at = end;
    }
    Some(values)
}

/// Where the types stand of what [`values_from`] found to be a row.
fn types_of_row(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let next = |at: &usize| end_of(bytes, at + 4).filter(|end| *end < bytes.len());
    std::iter::successors(Some(4).filter(|at| *at < bytes.len()), next)
}

/// A place in bytes that are read and changed.
pub(super) struct Place<'a> {
    pub bytes: &'a mut [u8],
    pub at: usize,
}

impl Place<'_> {
    pub fn chunk<const N: usize>(&self, offset: usize) -> Result<[u8; N], Strange> {
        self.bytes.get(self.at + offset..).and_then(|rest| rest.first_chunk()).copied().ok_or(Strange::Malformed)
    }

    pub fn peek(&self) -> Result<u32, Strange> {
        self.chunk(0).map(u32::from_be_bytes)
    }

    pub fn short_at(&self, offset: usize) -> Result<i16, Strange> {
        self.chunk(offset).map(i16::from_be_bytes)
    }

    pub fn count(&mut self) -> Result<usize, Strange> {
        let count = self.chunk(0).map(u16::from_be_bytes)?;
        self.at += 2;
        Ok(usize::from(count))
    }

    pub fn peek_and_pass(&mut self) -> Result<u32, Strange> {
        let word = self.peek()?;
        self.at += 4;
        Ok(word)
    }

    pub fn put(&mut self, word: u32) -> Result<(), Strange> {
        self.write(word.to_be_bytes())
    }

    pub fn put_short(&mut self, short: i16) -> Result<(), Strange> {
        self.write(short.to_be_bytes())
    }

    pub fn write<const N: usize>(&mut self, bytes: [u8; N]) -> Result<(), Strange> {
        let place = self.bytes.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut()).ok_or(Strange::Malformed)?;
        *place = bytes;
        self.at += N;
        Ok(())
    }

    pub fn pass(&mut self, count: usize) -> Result<(), Strange> {
        self.at = self.at.checked_add(count).filter(|at| *at <= self.bytes.len()).ok_or(Strange::Malformed)?;
        Ok(())
    }

    pub fn pass_name(&mut self) -> Result<(), Strange> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|byte| *byte == 0).ok_or(Strange::Malformed)?;
        self.pass(len + 1)
    }

    /// A value with its length before it; `None`: NULL.
    pub fn value(&mut self) -> Result<Option<&mut [u8]>, Strange> {
        let len = self.peek_and_pass()?;
        if len == u32::MAX {
            return Ok(None);
        }
        let start = self.at;
        self.pass(usize::try_from(len).map_err(|_| Strange::Malformed)?)?;
        self.bytes.get_mut(start..self.at).map(Some).ok_or(Strange::Malformed)
    }
}
