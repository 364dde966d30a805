//! What a client sends before it is authenticated. In: a buffer of received bytes. Out: a
//! [`StartupPacket`], or the error to refuse it with. Doesn't know of sockets, users or databases.
//!
//! Formats: PostgreSQL documentation 55.7, and ProcessStartupPacket in its source.

mod options;

use bytes::{BufMut, BytesMut};

use crate::types::limits::{CANCEL_SECRET_BYTES_MAX, CANCEL_SECRET_BYTES_MIN, STARTUP_FRAME_BYTES_MAX};
use crate::types::{ClientError, SqlState};

const CANCEL_CODE: u32 = 1234 << 16 | 5678;
const SSL_CODE: u32 = 1234 << 16 | 5679;
const GSSENC_CODE: u32 = 1234 << 16 | 5680;

/// The whole of an SSLRequest.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The newest minor version of protocol 3 that is spoken here; 3.1 was never published.
const MINOR_NEWEST: u16 = 2;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StartupPacket {
    SslRequest,
    GssEncRequest,
    Cancel { process_id: u32, secret: Vec<u8> },
    Startup(StartupMessage),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartupMessage {
    pub user: String,
    /// The user's name when the client named none.
    pub database: String,
    /// Those of `options` first, as PostgreSQL applies them, then the other parameters in order: of
    /// two with one name, the later holds.
    pub settings: Vec<(String, String)>,
    pub version: Version,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// 0 or 2: the minor version that is spoken from here on.
    pub minor: u16,
    requested_minor: u16,
    /// Protocol options (`_pq_.`) of which none is known here.
    unknown_options: Vec<String>,
}

impl Version {
    fn new(requested_minor: u16, unknown_options: Vec<String>) -> Self {
        let minor = if requested_minor < MINOR_NEWEST { 0 } else { MINOR_NEWEST };
        Self { minor, requested_minor, unknown_options }
    }

    /// Appends NegotiateProtocolVersion if the client asked for more than is spoken.
    pub fn negotiate(&self, outbound: &mut BytesMut) {
        if self.minor == self.requested_minor && self.unknown_options.is_empty() {
            return;
        }
        let names: usize = self.unknown_options.iter().map(|name| name.len() + 1).sum();
        outbound.put_u8(b'v');
        // Both fit: a start-up packet has at most 10,000 bytes.
        outbound.put_u32(u32::try_from(12 + names).expect("bounded by the start-up packet"));
        // The whole version number, as PostgreSQL sends it and libpq reads it.
        outbound.put_u32(3 << 16 | u32::from(self.minor));
        outbound.put_u32(u32::try_from(self.unknown_options.len()).expect("bounded by the start-up packet"));
        for name in &self.unknown_options {
            outbound.put_slice(name.as_bytes());
            outbound.put_u8(0);
        }
    }
}

/// The first packet of `buffer` and its length; `None` while it isn't complete.
///
/// # Errors
/// What the client is told, FATAL: 08P01 for what isn't a start-up packet, 0A000 for what isn't
/// spoken here, 28000 without a user, 42601 and 22023 for wrong options.
pub fn parse(buffer: &[u8]) -> Result<Option<(StartupPacket, usize)>, ClientError> {
    let Some(length) = buffer.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)) else {
        return Ok(None);
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(8..=STARTUP_FRAME_BYTES_MAX).contains(&length) {
        return Err(violation("invalid length of startup packet"));
    }
    let Some(frame) = buffer.get(4..length) else {
        return Ok(None);
    };
    let Some((code, body)) = frame.split_first_chunk() else {
        return Err(violation("invalid length of startup packet"));
    };
    let packet = match u32::from_be_bytes(*code) {
        SSL_CODE if body.is_empty() => StartupPacket::SslRequest,
        GSSENC_CODE if body.is_empty() => StartupPacket::GssEncRequest,
        SSL_CODE | GSSENC_CODE => return Err(violation("invalid length of startup packet")),
        CANCEL_CODE => cancel(body)?,
        version if version >> 16 == 3 => StartupPacket::Startup(message((version & 0xffff) as u16, body)?),
        version => {
            let (major, minor) = (version >> 16, version & 0xffff);
            let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2");
            return Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
    };
    Ok(Some((packet, length)))
}

fn cancel(body: &[u8]) -> Result<StartupPacket, ClientError> {
    match body.split_first_chunk() {
        Some((process_id, secret)) if (CANCEL_SECRET_BYTES_MIN..=CANCEL_SECRET_BYTES_MAX).contains(&secret.len()) => {
            let process_id = u32::from_be_bytes(*process_id);
            Ok(StartupPacket::Cancel { process_id, secret: secret.to_vec() })
        }
        _ => Err(violation("invalid length of cancel request")),
    }
}

fn message(requested_minor: u16, body: &[u8]) -> Result<StartupMessage, ClientError> {
    let (mut user, mut database) = (None, None);
    let (mut settings, mut others, mut unknown_options) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in parameters(body)? {
        match name {
            "user" => user = Some(value),
            "database" => database = Some(value),
            "options" => settings.extend(options::settings(value)?),
            "replication" => refuse_replication(value)?,
            _ if name.starts_with("_pq_.") => unknown_options.push(name.to_owned()),
            _ => others.push((name.to_owned(), value.to_owned())),
        }
    }
    settings.append(&mut others);
    let Some(user) = user.filter(|name| !name.is_empty()) else {
        let message = "no PostgreSQL user name specified in startup packet";
        return Err(ClientError::new(SqlState::INVALID_AUTHORIZATION, message));
    };
    let database = database.filter(|name| !name.is_empty()).unwrap_or(user);
    Ok(StartupMessage {
        user: user.to_owned(),
        database: database.to_owned(),
        settings,
        version: Version::new(requested_minor, unknown_options),
    })
}

/// Pairs of zero-terminated strings up to an empty name, which must be the last byte.
fn parameters(mut body: &[u8]) -> Result<Vec<(&str, &str)>, ClientError> {
    let mut pairs = Vec::new();
    loop {
        let (name, rest) = c_string(body)?;
        if name.is_empty() {
            return if rest.is_empty() { Ok(pairs) } else { Err(layout()) };
        }
        let (value, rest) = c_string(rest)?;
        pairs.push((name, value));
        body = rest;
    }
}

fn c_string(bytes: &[u8]) -> Result<(&str, &[u8]), ClientError> {
    let end = bytes.iter().position(|byte| *byte == 0).ok_or_else(layout)?;
    let (text, rest) = bytes.split_at(end);
    let text = std::str::from_utf8(text).map_err(|_| violation("a startup parameter is not UTF-8"))?;
    Ok((text, rest.get(1..).ok_or_else(layout)?))
}

/// PostgreSQL takes any spelling of a boolean, and `database`.
fn refuse_replication(value: &str) -> Result<(), ClientError> {
    match value.to_ascii_lowercase().as_str() {
        "false" | "off" | "no" | "0" => Ok(()),
        "database" | "true" | "on" | "yes" | "1" => {
            let error = "replication connections are not supported";
            let hint = "Connect to the PostgreSQL server itself.";
            Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, error).hint(hint))
        }
        _ => {
            let error = format!("invalid value for parameter \"replication\": \"{value}\"");
            Err(ClientError::new(SqlState::INVALID_PARAMETER_VALUE, error))
        }
    }
}

/// One frame of a client that is being authenticated: its type and length word, then the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PasswordFrame<'a> {
    pub body: &'a [u8],
    /// Of the whole frame.
    pub length: usize,
}

/// The password message at the beginning of `buffer`; `None` while it isn't complete.
///
/// # Errors
/// 08P01 for any other message, and for more than [`crate::types::limits::AUTH_FRAME_BYTES_MAX`]
/// bytes.
pub fn parse_password_frame(buffer: &[u8]) -> Result<Option<PasswordFrame<'_>>, ClientError> {
    use crate::types::limits::AUTH_FRAME_BYTES_MAX;
    let Some(kind) = buffer.first() else {
        return Ok(None);
    };
    if *kind != b'p' {
        return Err(violation(format!("expected password response, got message type {kind}")));
    }
    let Some(length) = buffer.get(1..).and_then(|rest| rest.first_chunk()) else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if !(4..=AUTH_FRAME_BYTES_MAX).contains(&length) {
        return Err(violation("invalid message length"));
    }
    let frame = buffer.get(5..=length);
    Ok(frame.map(|body| PasswordFrame { body, length: length + 1 }))
}

impl<'a> PasswordFrame<'a> {
    /// PasswordMessage: one zero-terminated string.
    ///
    /// # Errors
    /// 08P01.
    pub fn password(self) -> Result<&'a [u8], ClientError> {
        match self.body.split_last() {
            Some((0, password)) if !password.contains(&0) => Ok(password),
            _ => Err(violation("invalid password packet size")),
        }
    }

    /// SASLInitialResponse: the mechanism's name and the client's first message.
    ///
    /// # Errors
    /// 08P01, also without a first message: SCRAM begins with the client.
    pub fn sasl_initial(self) -> Result<(&'a str, &'a [u8]), ClientError> {
        let malformed = || violation("malformed SASL initial response");
        let (mechanism, rest) = c_string(self.body).map_err(|_| malformed())?;
        let (length, data) = rest.split_first_chunk().ok_or_else(malformed)?;
        if usize::try_from(u32::from_be_bytes(*length)) != Ok(data.len()) {
            return Err(malformed());
        }
        Ok((mechanism, data))
    }
}

fn layout() -> ClientError {
    violation("invalid startup packet layout: expected terminator as last byte")
}

fn violation(message: impl Into<String>) -> ClientError {
    ClientError::new(SqlState::PROTOCOL_VIOLATION, message)
}

#[cfg(test)]
mod tests;
