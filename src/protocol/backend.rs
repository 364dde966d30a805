//! The server's messages: type bytes, the few that are read, and those that the proxy writes itself.

use bytes::{BufMut, BytesMut};

use super::frame::{Fields, FrameError};
use crate::types::ClientError;

/// Type bytes of the server's messages (PostgreSQL documentation, 55.7).
pub mod tag {
    pub const AUTHENTICATION: u8 = b'R';
    pub const BACKEND_KEY_DATA: u8 = b'K';
    pub const BIND_COMPLETE: u8 = b'2';
    pub const CLOSE_COMPLETE: u8 = b'3';
    pub const COMMAND_COMPLETE: u8 = b'C';
    pub const COPY_BOTH: u8 = b'W';
    pub const COPY_DATA: u8 = b'd';
    pub const COPY_DONE: u8 = b'c';
    pub const COPY_IN: u8 = b'G';
    pub const COPY_OUT: u8 = b'H';
    pub const DATA_ROW: u8 = b'D';
    pub const EMPTY_QUERY: u8 = b'I';
    pub const ERROR: u8 = b'E';
    pub const NO_DATA: u8 = b'n';
    pub const NOTICE: u8 = b'N';
    pub const NOTIFICATION: u8 = b'A';
    pub const PARAMETER_DESCRIPTION: u8 = b't';
    pub const PARAMETER_STATUS: u8 = b'S';
    pub const PARSE_COMPLETE: u8 = b'1';
    pub const PORTAL_SUSPENDED: u8 = b's';
    pub const READY: u8 = b'Z';
    pub const ROW_DESCRIPTION: u8 = b'T';
}

/// The status byte of ReadyForQuery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Idle,
    InTransaction,
    Failed,
}

impl Status {
    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }
}

/// Who sent a NotificationResponse, by process id (PostgreSQL's documentation, Message Formats), is somebody else from now
/// on if `known` says so.
pub fn rename_sender(notification: &mut [u8], known: impl FnOnce(u32) -> Option<u32>) {
    const PROCESS_ID: std::ops::Range<usize> = 5..9;
    let Some(field) = notification.get_mut(PROCESS_ID) else { return };
    if let Ok(bytes) = <[u8; 4]>::try_from(&*field)
        && let Some(told) = known(u32::from_be_bytes(bytes))
    {
        field.copy_from_slice(&told.to_be_bytes());
    }
}

pub fn ready_status(frame: &[u8]) -> Result<Status, FrameError> {
    match Fields::of(frame)?.u8()? {
        b'I' => Ok(Status::Idle),
        b'T' => Ok(Status::InTransaction),
        b'E' => Ok(Status::Failed),
        other => Err(FrameError::Unexpected(other as char)),
    }
}

pub fn parameter_status(frame: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    let mut fields = Fields::of(frame)?;
    Ok((fields.cstr()?, fields.cstr()?))
}

/// The first column of a DataRow in text; `None` for NULL.
pub fn first_text(frame: &[u8]) -> Option<&str> {
    let mut fields = Fields::of(frame).ok()?;
    fields.count().ok().filter(|&columns| columns > 0)?;
    let len = usize::try_from(fields.i32().ok()?).ok()?;
    std::str::from_utf8(fields.bytes(len).ok()?).ok()
}

/// The tag of a CommandComplete, as in `INSERT 0 1`.
pub fn command_tag(frame: &[u8]) -> Result<&[u8], FrameError> {
    Fields::of(frame)?.cstr()
}

/// The number at the end of a command tag; 0 where there is none.
pub fn tag_rows(tag: &[u8]) -> u64 {
    let digits = tag.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    tag.get(tag.len() - digits..)
        .and_then(|number| std::str::from_utf8(number).ok())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Whether the number in that command tag is of rows that were written.
pub fn is_write(tag: &[u8]) -> bool {
    [&b"INSERT "[..], b"UPDATE ", b"DELETE ", b"MERGE "].iter().any(|verb| tag.starts_with(verb))
}

/// The OIDs of a ParameterDescription.
pub fn parameter_types(frame: &[u8]) -> Result<Box<[u32]>, FrameError> {
    let mut fields = Fields::of(frame)?;
    let count = fields.count()?;
    (0..count).map(|_| fields.u32()).collect()
}

/// Reads a RowDescription: for each column its name, type OID, size, modifier and format.
pub fn columns(frame: &[u8], mut each: impl FnMut(&[u8], u32, i16, i32, i16)) -> Result<(), FrameError> {
    let mut fields = Fields::of(frame)?;
    for _ in 0..fields.count()? {
        let name = fields.cstr()?;
        // The table's OID and the column's number.
        fields.bytes(6)?;
        each(name, fields.u32()?, fields.i16()?, fields.i32()?, fields.i16()?);
    }
    Ok(())
}

/// OIDs from here on differ from server to server.
const FIRST_USER_OID: u32 = 16_384;

/// What a RowDescription or NoData says of the columns, in few bytes: names, types and modifiers. Those of users' types
/// are taken as equal.
pub fn shape(frame: &[u8]) -> Result<Box<[u8]>, FrameError> {
    let mut shape = Vec::new();
    if frame.first() == Some(&tag::ROW_DESCRIPTION) {
        columns(frame, |name, type_oid, _, modifier, _| {
            shape.extend_from_slice(name);
            shape.push(0);
            shape.extend_from_slice(&type_oid.min(FIRST_USER_OID).to_be_bytes());
            shape.extend_from_slice(&modifier.to_be_bytes());
        })?;
    }
    Ok(shape.into())
}

/// Copies a RowDescription, its columns in these formats: none is text, one is for all, else one each.
pub fn with_formats(out: &mut BytesMut, description: &[u8], formats: &[[u8; 2]]) -> Result<(), FrameError> {
    let mut fields = Fields::of(description)?;
    let start = out.len();
    out.extend_from_slice(description);
    let mut at = 7;
    for column in 0..fields.count()? {
        let name = fields.cstr()?;
        fields.bytes(18)?;
        at += name.len() + 1 + 18;
        let format = match formats {
            [] => [0, 0],
            [all] => *all,
            each => each.get(column).copied().unwrap_or([0, 0]),
        };
        if let Some(place) = out.get_mut(start + at - 2..start + at) {
            place.copy_from_slice(&format);
        }
    }
    Ok(())
}

/// Copies an ErrorResponse or NoticeResponse with another position in the statement, or with none.
pub fn repositioned(frame: &[u8], position: impl Fn(usize) -> Option<usize>) -> Vec<u8> {
    let mut copy = frame.get(..5).unwrap_or_default().to_vec();
    let mut rest = frame.get(5..).unwrap_or_default();
    while let Some((field, behind)) =
        rest.iter().position(|&byte| byte == 0).and_then(|end| rest.split_at_checked(end + 1))
    {
        rest = behind;
        match field {
            [b'P', digits @ .., 0] => {
                let old = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                if let Some(new) = old.and_then(&position) {
                    copy.push(b'P');
                    copy.extend_from_slice(new.to_string().as_bytes());
                    copy.push(0);
                }
            }
            _ => copy.extend_from_slice(field),
        }
        if field == [0] {
            break;
        }
    }
    let len = u32::try_from(copy.len().saturating_sub(1)).unwrap_or(u32::MAX);
    if let Some(place) = copy.get_mut(1..5) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    copy
}

/// One field of an ErrorResponse or NoticeResponse (55.8): `b'C'` is the SQLSTATE, `b'M'` the message.
pub fn error_field(frame: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut fields = Fields::of(frame).ok()?;
    loop {
        match fields.u8().ok()? {
            0 => return None,
            kind => {
                let value = fields.cstr().ok()?;
                if kind == wanted {
                    return Some(value);
                }
            }
        }
    }
}

/// The columns of a DataRow as they are.
///
/// # Errors
/// For a frame that isn't a DataRow.
pub fn cells(frame: &[u8]) -> Result<Vec<Option<bytes::Bytes>>, FrameError> {
    let mut fields = Fields::of(frame)?;
    let columns = fields.count()?;
    let mut row = Vec::with_capacity(columns);
    for _ in 0..columns {
        row.push(match usize::try_from(fields.i32()?) {
            Ok(len) => Some(bytes::Bytes::copy_from_slice(fields.bytes(len)?)),
            Err(_) => None,
        });
    }
    Ok(row)
}

/// The OIDs of the types of a RowDescription's columns.
///
/// # Errors
/// For a frame that isn't a RowDescription.
pub fn column_types(frame: &[u8]) -> Result<Vec<u32>, FrameError> {
    let mut fields = Fields::of(frame)?;
    let columns = fields.count()?;
    let mut types = Vec::with_capacity(columns);
    for _ in 0..columns {
        fields.cstr()?;
        fields.bytes(6)?;
        types.push(fields.u32()?);
        fields.bytes(8)?;
    }
    Ok(types)
}

/// The columns of a DataRow in text format.
pub fn texts(frame: &[u8]) -> Result<Vec<Option<String>>, FrameError> {
    let mut fields = Fields::of(frame)?;
    let columns = fields.count()?;
    let mut row = Vec::with_capacity(columns);
    for _ in 0..columns {
        let value = match usize::try_from(fields.i32()?) {
            Ok(len) => Some(String::from_utf8_lossy(fields.bytes(len)?).into_owned()),
            Err(_) => None,
        };
        row.push(value);
    }
    Ok(row)
}

/// Whether an ErrorResponse ends the connection.
pub fn is_fatal(frame: &[u8]) -> bool {
    matches!(error_field(frame, b'V').or_else(|| error_field(frame, b'S')), Some(b"FATAL" | b"PANIC"))
}

/// The severities that the proxy itself raises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    Error,
    Fatal,
    Warning,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Warning => "WARNING",
        }
    }
}

/// Appends a frame whose body `fill` writes.
fn frame(out: &mut BytesMut, tag: u8, fill: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let at = out.len();
    out.put_u32(0);
    fill(out);
    let len = u32::try_from(out.len() - at).expect("the proxy's own messages are short");
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}

fn cstr(out: &mut BytesMut, text: &str) {
    // A zero byte would end the field early; texts that quote the client's bytes may hold one.
    out.extend(text.bytes().filter(|&byte| byte != 0));
    out.put_u8(0);
}

/// ErrorResponse, or NoticeResponse for warnings.
pub fn error(out: &mut BytesMut, severity: Severity, error: &ClientError) {
    let tag = if severity == Severity::Warning { tag::NOTICE } else { tag::ERROR };
    frame(out, tag, |out| {
        let mut field = |kind: u8, text: &str| {
            out.put_u8(kind);
            cstr(out, text);
        };
        field(b'S', severity.name());
        field(b'V', severity.name());
        field(b'C', error.state.code());
        field(b'M', &error.message);
        if let Some(detail) = error.detail.as_deref().filter(|text| !text.is_empty()) {
            field(b'D', detail);
        }
        if let Some(hint) = error.hint.as_deref().filter(|text| !text.is_empty()) {
            field(b'H', hint);
        }
        if let Some(position) = error.position {
            field(b'P', &position.to_string());
        }
        field(b'R', "shardway");
        out.put_u8(0);
    });
}

pub fn ready(out: &mut BytesMut, status: Status) {
    out.extend_from_slice(&[tag::READY, 0, 0, 0, 5, status.byte()]);
}

pub fn command_complete(out: &mut BytesMut, text: &str) {
    frame(out, tag::COMMAND_COMPLETE, |out| cstr(out, text));
}

pub fn empty(out: &mut BytesMut, tag: u8) {
    out.extend_from_slice(&[tag, 0, 0, 0, 4]);
}

/// The ParameterDescription of a statement that takes none.
pub fn no_parameters(out: &mut BytesMut) {
    frame(out, tag::PARAMETER_DESCRIPTION, |out| out.put_u16(0));
}

pub fn parameter(out: &mut BytesMut, name: &str, value: &str) {
    frame(out, tag::PARAMETER_STATUS, |out| {
        cstr(out, name);
        cstr(out, value);
    });
}

pub fn backend_key(out: &mut BytesMut, process_id: u32, secret: &[u8]) {
    frame(out, tag::BACKEND_KEY_DATA, |out| {
        out.put_u32(process_id);
        out.put_slice(secret);
    });
}

/// One column of an answer of the proxy's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column<'a> {
    pub name: &'a str,
    pub oid: u32,
    pub size: i16,
    pub format: i16,
}

pub fn describe(out: &mut BytesMut, columns: &[Column<'_>]) {
    frame(out, tag::ROW_DESCRIPTION, |out| {
        out.put_u16(u16::try_from(columns.len()).expect("the proxy's own answers have few columns"));
        for column in columns {
            cstr(out, column.name);
            out.put_u32(0);
            out.put_u16(0);
            out.put_u32(column.oid);
            out.put_i16(column.size);
            out.put_i32(-1);
            out.put_i16(column.format);
        }
    });
}

/// A DataRow; `None` is NULL.
pub fn row(out: &mut BytesMut, values: &[Option<&[u8]>]) {
    frame(out, tag::DATA_ROW, |out| {
        out.put_u16(u16::try_from(values.len()).expect("the proxy's own answers have few columns"));
        for value in values {
            match value {
                Some(bytes) => {
                    out.put_u32(u32::try_from(bytes.len()).expect("the proxy's own answers are short"));
                    out.put_slice(bytes);
                }
                None => out.put_i32(-1),
            }
        }
    });
}

/// A ParameterDescription.
pub fn parameter_description(out: &mut BytesMut, oids: &[u32]) {
    frame(out, tag::PARAMETER_DESCRIPTION, |out| {
        out.put_u16(u16::try_from(oids.len()).expect("the proxy's own statements have few parameters"));
        oids.iter().for_each(|oid| out.put_u32(*oid));
    });
}

/// A RowDescription of text columns (OID 25), as the proxy's own answers have.
pub fn text_columns(out: &mut BytesMut, names: &[&str]) {
    frame(out, tag::ROW_DESCRIPTION, |out| {
        out.put_u16(u16::try_from(names.len()).expect("the proxy's own answers have few columns"));
        for name in names {
            cstr(out, name);
            out.put_u32(0);
            out.put_u16(0);
            out.put_u32(25);
            out.put_i16(-1);
            out.put_i32(-1);
            out.put_u16(0);
        }
    });
}

/// A DataRow of text values; `None` is NULL.
pub fn text_row(out: &mut BytesMut, values: &[Option<&str>]) {
    frame(out, tag::DATA_ROW, |out| {
        out.put_u16(u16::try_from(values.len()).expect("the proxy's own answers have few columns"));
        for value in values {
            match value {
                Some(text) => {
                    out.put_u32(u32::try_from(text.len()).expect("the proxy's own answers are short"));
                    out.put_slice(text.as_bytes());
                }
                None => out.put_i32(-1),
            }
        }
    });
}
