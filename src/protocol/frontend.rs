//! Borrowed views of the client's messages: no field is copied, and no read leaves its frame.

use super::frame::{Fields, FrameError};

/// Type bytes of the client's messages (PostgreSQL documentation, 55.7).
pub mod tag {
    pub const BIND: u8 = b'B';
    pub const CLOSE: u8 = b'C';
    pub const COPY_DATA: u8 = b'd';
    pub const COPY_DONE: u8 = b'c';
    pub const COPY_FAIL: u8 = b'f';
    pub const DESCRIBE: u8 = b'D';
    pub const EXECUTE: u8 = b'E';
    pub const FLUSH: u8 = b'H';
    pub const FUNCTION_CALL: u8 = b'F';
    pub const PARSE: u8 = b'P';
    pub const QUERY: u8 = b'Q';
    pub const SYNC: u8 = b'S';
    pub const TERMINATE: u8 = b'X';
}

/// The text of a Query, without its zero byte.
pub fn query(frame: &[u8]) -> Result<&[u8], FrameError> {
    let mut fields = Fields::of(frame)?;
    let text = fields.cstr()?;
    fields.end()?;
    Ok(text)
}

#[derive(Clone, Copy, Debug)]
pub struct Parse<'a> {
    pub statement: &'a [u8],
    pub sql: &'a [u8],
    /// OIDs, four bytes each, big-endian.
    pub types: &'a [u8],
}

impl<'a> Parse<'a> {
    pub fn decode(frame: &'a [u8]) -> Result<Self, FrameError> {
        let mut fields = Fields::of(frame)?;
        let statement = fields.cstr()?;
        let sql = fields.cstr()?;
        let count = fields.count()?;
        let types = fields.bytes(count * 4)?;
        fields.end()?;
        Ok(Self { statement, sql, types })
    }

    pub fn type_oids(&self) -> impl Iterator<Item = u32> + 'a {
        self.types.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid))
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Bind<'a> {
    pub portal: &'a [u8],
    pub statement: &'a [u8],
    /// Everything behind the two names, as it came: what is sent on when a name is replaced.
    pub tail: &'a [u8],
    /// The part of `tail` that is about the parameters.
    pub given: &'a [u8],
    /// Formats of the columns, two bytes each.
    pub result_formats: &'a [u8],
    formats: &'a [u8],
    values: Fields<'a>,
    value_count: usize,
}

/// One value of a Bind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BindValue<'a> {
    Null,
    Text(&'a [u8]),
    Binary(&'a [u8]),
}

impl<'a> Bind<'a> {
    /// Walks over all fields once, so that later reads can't fail.
    pub fn decode(frame: &'a [u8]) -> Result<Self, FrameError> {
        let mut fields = Fields::of(frame)?;
        let portal = fields.cstr()?;
        let statement = fields.cstr()?;
        let tail = fields.rest();
        let format_count = fields.count()?;
        let formats = fields.bytes(format_count * 2)?;
        let value_count = fields.count()?;
        let values = fields;
        for _ in 0..value_count {
            value_bytes(&mut fields)?;
        }
        let given = tail.get(..tail.len() - fields.rest().len()).unwrap_or_default();
        let result_formats = fields.count()?;
        let result_formats = fields.bytes(result_formats * 2)?;
        fields.end()?;
        Ok(Self { portal, statement, tail, given, result_formats, formats, values, value_count })
    }

    /// If the result's column at a position is asked for in binary.
    pub fn wants_binary(&self) -> impl Fn(usize) -> bool + use<'a> {
        let mut values = self.values;
        for _ in 0..self.value_count {
            let _ = value_bytes(&mut values);
        }
        let count = values.count().unwrap_or_default();
        let formats = values.bytes(count * 2).unwrap_or_default().as_chunks::<2>().0;
        move |position| match formats {
            [] => false,
            [all] => *all != [0, 0],
            each => each.get(position).is_some_and(|format| *format != [0, 0]),
        }
    }

    /// If a value is given in binary.
    pub fn has_binary_values(&self) -> bool {
        self.formats.as_chunks::<2>().0.iter().any(|format| *format != [0, 0])
    }

    pub fn value_count(&self) -> usize {
        self.value_count
    }

    /// The tail with further values behind those that there are: of type int8, in binary. `None` where a Bind can't
    /// have so many.
    pub fn tail_with(&self, added: &[i64]) -> Option<Vec<u8>> {
        let count = u16::try_from(self.value_count + added.len()).ok()?;
        let mut tail = Vec::with_capacity(self.tail.len() + 14 * added.len() + 2 * self.value_count);
        tail.extend_from_slice(&count.to_be_bytes());
        let formats = self.formats.as_chunks::<2>().0;
        for position in 0..self.value_count {
            let format = match formats {
                [] => [0, 0],
                [all] => *all,
                each => each.get(position).copied().unwrap_or([0, 0]),
            };
            tail.extend_from_slice(&format);
        }
        for _ in added {
            tail.extend_from_slice(&[0, 1]);
        }
        tail.extend_from_slice(&count.to_be_bytes());
        let mut behind = self.values;
        for _ in 0..self.value_count {
            value_bytes(&mut behind).ok()?;
        }
        let results = behind.rest();
        let all = self.values.rest();
        tail.extend_from_slice(all.get(..all.len() - results.len())?);
        for value in added {
            tail.extend_from_slice(&8_i32.to_be_bytes());
            tail.extend_from_slice(&value.to_be_bytes());
        }
        tail.extend_from_slice(results);
        Some(tail)
    }

    /// The values in order. A format list of one holds for all, an empty one means text.
    pub fn values(&self) -> impl Iterator<Item = BindValue<'a>> + use<'a> {
        let formats = self.formats.as_chunks::<2>().0;
        let mut values = self.values;
        (0..self.value_count).map_while(move |position| {
            let value = value_bytes(&mut values).ok()?;
            let format = match formats {
                [] => [0, 0],
                [all] => *all,
                each => each.get(position).copied().unwrap_or([0, 0]),
            };
            Some(match value {
                None => BindValue::Null,
                Some(bytes) if format == [0, 0] => BindValue::Text(bytes),
                Some(bytes) => BindValue::Binary(bytes),
            })
        })
    }
}

fn value_bytes<'a>(fields: &mut Fields<'a>) -> Result<Option<&'a [u8]>, FrameError> {
    let len = fields.i32()?;
    match usize::try_from(len) {
        Ok(len) => fields.bytes(len).map(Some),
        Err(_) if len == -1 => Ok(None),
        Err(_) => Err(FrameError::Length(len.into())),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    Statement(&'a [u8]),
    Portal(&'a [u8]),
}

/// Describe and Close have the same body.
pub fn target(frame: &[u8]) -> Result<Target<'_>, FrameError> {
    let mut fields = Fields::of(frame)?;
    let kind = fields.u8()?;
    let name = fields.cstr()?;
    fields.end()?;
    match kind {
        b'S' => Ok(Target::Statement(name)),
        b'P' => Ok(Target::Portal(name)),
        other => Err(FrameError::Unexpected(other as char)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Execute<'a> {
    pub portal: &'a [u8],
    /// 0 or negative: all rows.
    pub rows_max: i32,
}

impl<'a> Execute<'a> {
    pub fn decode(frame: &'a [u8]) -> Result<Self, FrameError> {
        let mut fields = Fields::of(frame)?;
        let portal = fields.cstr()?;
        let rows_max = fields.i32()?;
        fields.end()?;
        Ok(Self { portal, rows_max })
    }
}

/// The encoders of what the proxy itself sends to a server.
pub mod encode {
    use bytes::{BufMut, BytesMut};

    fn frame(out: &mut BytesMut, tag: u8, body: &[&[u8]]) {
        let len: usize = body.iter().map(|part| part.len()).sum();
        out.reserve(len + 5);
        out.put_u8(tag);
        out.put_u32(u32::try_from(len + 4).expect("frames are bounded by FRAME_BYTES_MAX"));
        for part in body {
            out.put_slice(part);
        }
    }

    pub fn query(out: &mut BytesMut, sql: &[u8]) {
        frame(out, super::tag::QUERY, &[sql, b"\0"]);
    }

    pub fn parse(out: &mut BytesMut, statement: &[u8], sql: &[u8], types: &[u8]) {
        let count = u16::try_from(types.len() / 4).expect("a Parse frame counts its types in 16 bits");
        frame(out, super::tag::PARSE, &[statement, b"\0", sql, b"\0", &count.to_be_bytes(), types]);
    }

    /// `tail` is [`super::Bind::tail`].
    pub fn bind(out: &mut BytesMut, portal: &[u8], statement: &[u8], tail: &[u8]) {
        let len = portal.len() + statement.len() + tail.len() + 6;
        out.reserve(len + 1);
        out.put_u8(super::tag::BIND);
        out.put_u32(u32::try_from(len).expect("frames are bounded by FRAME_BYTES_MAX"));
        for name in [portal, statement] {
            out.put_slice(name);
            out.put_u8(0);
        }
        out.put_slice(tail);
    }

    /// As [`bind`], with other formats of the columns; `given` is [`super::Bind::given`].
    pub fn bind_with_formats(out: &mut BytesMut, portal: &[u8], statement: &[u8], given: &[u8], formats: &[u8]) {
        let count = u16::try_from(formats.len() / 2).expect("a statement has fewer columns");
        let body = &[portal, b"\0", statement, b"\0", given, &count.to_be_bytes(), formats];
        frame(out, super::tag::BIND, body);
    }

    pub fn describe_portal(out: &mut BytesMut, portal: &[u8]) {
        frame(out, super::tag::DESCRIBE, &[b"P", portal, b"\0"]);
    }

    pub fn describe_statement(out: &mut BytesMut, statement: &[u8]) {
        frame(out, super::tag::DESCRIBE, &[b"S", statement, b"\0"]);
    }

    pub fn close_statement(out: &mut BytesMut, statement: &[u8]) {
        frame(out, super::tag::CLOSE, &[b"S", statement, b"\0"]);
    }

    pub fn execute(out: &mut BytesMut, portal: &[u8], rows_max: i32) {
        frame(out, super::tag::EXECUTE, &[portal, b"\0", &rows_max.to_be_bytes()]);
    }

    pub fn sync(out: &mut BytesMut) {
        frame(out, super::tag::SYNC, &[]);
    }

    pub fn flush(out: &mut BytesMut) {
        frame(out, super::tag::FLUSH, &[]);
    }

    pub fn copy_data(out: &mut BytesMut, data: &[u8]) {
        frame(out, super::tag::COPY_DATA, &[data]);
    }

    pub fn copy_done(out: &mut BytesMut) {
        frame(out, super::tag::COPY_DONE, &[]);
    }

    pub fn copy_fail(out: &mut BytesMut, reason: &str) {
        frame(out, super::tag::COPY_FAIL, &[reason.as_bytes(), b"\0"]);
    }
}
