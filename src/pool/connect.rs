//! A backend connection, from nothing to ready. In: a node and a login. Out: a [`Connected`] whose
//! stream stands right behind ReadyForQuery, or why there is none. Doesn't know of pools.
//!
//! tokio-postgres does the start-up and authentication over a borrowed stream and is then dropped,
//! which sends nothing. It keeps the cancel key and the order of parameters to itself, and may have
//! read past ReadyForQuery; so all that the server sent passes a tap, and is read from there.

mod handover;
mod login;
mod resume;

use std::time::Duration;

use crate::net::timer::timeout;
use bytes::{Buf, BytesMut};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

use self::handover::{Handover, Tap};
pub use self::login::{Credential, Login, Passed, Proof, ScramKeys, ScramMessages};
use self::resume::Resumed;
use crate::config::NodeConfig;
use crate::net::{Framed, NetError, Stream, connect_stream};
use crate::protocol::{backend, frame};
use crate::types::limits::{CONTROL_CONNECT_TIMEOUT, HANDSHAKE_BYTES_MAX};
use crate::types::{ClientError, SqlState};

/// application_name and command-line options for the server.
type Startup<'s> = (&'s str, Option<&'s str>);

/// An authenticated connection, waiting for its first query.
#[derive(Debug)]
pub struct Connected {
    /// `inbound` holds what the server sent behind ReadyForQuery: normally nothing.
    pub framed: Framed,
    /// 0 if the server gave no cancel key.
    pub process_id: u32,
    /// Empty if the server gave none.
    pub secret_key: Vec<u8>,
    /// Every ParameterStatus, in the server's order.
    pub parameters: Vec<(String, String)>,
}

/// Why there is no connection. The messages hold no secrets and may be shown to clients.
#[derive(Debug, Error)]
pub enum ConnectError {
    #[error("no connection within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("{0}")]
    Refused(Refusal),
    /// Lost, an authentication method that isn't supported, or not PostgreSQL at all.
    #[error("{0}")]
    Handshake(String),
    /// What the user has proved to Shardway is of no use to this server.
    #[error("{0}")]
    NoCredential(&'static str),
}

/// The server's own error.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("the server refused the connection: {message} ({sqlstate})")]
pub struct Refusal {
    /// Five characters; empty from servers too busy to say.
    pub sqlstate: String,
    pub message: String,
}

impl ConnectError {
    /// The server's own error, if it was the server that refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::TimedOut(_) | Self::Net(_) | Self::Handshake(_) | Self::NoCredential(_) => None,
        }
    }

    /// Whether the same attempt may succeed a moment later: the server is starting, full or away, but
    /// not set up wrongly.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::TimedOut(_) | Self::Net(NetError::Unreachable(_) | NetError::Lost(_)) | Self::Handshake(_) => true,
            Self::Net(_) | Self::NoCredential(_) => false,
            Self::Refused(refusal) => matches!(refusal.sqlstate.get(..2), None | Some("53" | "57")),
        }
    }

    /// What a client is told whose statement needed this connection to `node`.
    pub fn to_client_error(&self, node: &NodeConfig) -> ClientError {
        let state = match self.refusal().map(|refusal| refusal.sqlstate.as_str()) {
            Some("53300") => SqlState::TOO_MANY_CONNECTIONS,
            Some("57P03") => SqlState::CANNOT_CONNECT_NOW,
            _ => SqlState::CANNOT_CONNECT,
        };
        let message = format!("cannot connect to server {}:{}", node.host, node.port);
        let error = ClientError::new(state, message).detail(self.to_string());
        if let Self::NoCredential(_) = self { error.hint(CREDENTIAL_HINT) } else { error }
    }
}

/// What to do about [`ConnectError::NoCredential`].
pub const CREDENTIAL_HINT: &str = "Store the same on every server (ALTER ROLE ... PASSWORD takes what pg_authid.rolpassword has \
     elsewhere), or give the user a server_password in Shardway's configuration.";

/// A data connection to `node`'s database, ready within `limit`.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(
    node: &NodeConfig,
    login: &Login,
    application: &str,
    limit: Duration,
) -> Result<Connected, ConnectError> {
    connect_with(node, login, (application, None), limit).await
}

/// As [`connect`], with command-line options for the server.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect_with(
    node: &NodeConfig,
    login: &Login,
    startup: Startup<'_>,
    limit: Duration,
) -> Result<Connected, ConnectError> {
    // Boxed: the handshake's state is large, and callers' futures hold this one.
    within(limit, Box::pin(handshake(node, login, startup))).await
}

async fn handshake(
    node: &NodeConfig,
    login: &Login,
    (application, options): Startup<'_>,
) -> Result<Connected, ConnectError> {
    let stream = connect_stream(node).await?;
    let mut stream = Resumed::log_in(stream, node, login, (application, options)).await?;
    let mut received = BytesMut::new();
    let handover = Handover::of(&stream);
    let tap = Tap::new(&mut stream, &mut received, HANDSHAKE_BYTES_MAX);
    // Dropping what it made sends nothing: 'X' goes out only when the connection is polled.
    let mut config = startup(node, login, application);
    if let Some(options) = options {
        config.options(options);
    }
    let outcome = config.connect_raw(tap, handover).await.map(drop);
    match (outcome, read_handshake(&mut received)) {
        (Ok(()), Ok(Some(read))) => {
            let (stream, unread) = stream.into_parts();
            received.extend_from_slice(&unread);
            let mut framed = Framed::new(stream);
            framed.inbound = received.into();
            let Handshake { process_id, secret_key, parameters } = read;
            Ok(Connected { framed, process_id, secret_key, parameters })
        }
        (_, Err(refusal)) => Err(ConnectError::Refused(refusal)),
        (Err(error), Ok(_)) => Err(ConnectError::Handshake(describe(&error))),
        (Ok(()), Ok(None)) => Err(ConnectError::Handshake("the server's messages could not be read".to_owned())),
    }
}

fn startup(node: &NodeConfig, login: &Login, application: &str) -> tokio_postgres::Config {
    use tokio_postgres::config::{SslMode, SslNegotiation};
    let mut config = tokio_postgres::Config::new();
    config.user(&login.user).dbname(&node.database).application_name(application);
    if let Credential::Password(password) = &login.credential {
        config.password(password.reveal());
    }
    // TLS was done before, where there is any: tokio-postgres goes straight to the hand-over.
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    config
}

/// tokio-postgres's errors say what failed; why is in their source.
fn describe(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// What a handshake told besides that it succeeded.
#[derive(Default, PartialEq, Eq, Debug)]
struct Handshake {
    process_id: u32,
    secret_key: Vec<u8>,
    parameters: Vec<(String, String)>,
}

/// Reads the frames up to ReadyForQuery and leaves what follows it in `received`; `None` without a
/// ReadyForQuery.
fn read_handshake(received: &mut BytesMut) -> Result<Option<Handshake>, Refusal> {
    let mut read = Handshake::default();
    loop {
        let header = match frame::peek(received, HANDSHAKE_BYTES_MAX) {
            Ok(Some(header)) if received.len() >= header.len => header,
            Err(_) if received.first() == Some(&b'E') => return Err(bare_refusal(received)),
            _ => return Ok(None),
        };
        let whole = received.split_to(header.len);
        match header.tag {
            backend::tag::ERROR => return Err(refusal(&whole)),
            backend::tag::READY => return Ok(Some(read)),
            backend::tag::PARAMETER_STATUS => match backend::parameter_status(&whole) {
                Ok((name, value)) => read.parameters.push((lossy(name), lossy(value))),
                Err(_) => return Ok(None),
            },
            backend::tag::BACKEND_KEY_DATA => {
                let mut body = whole;
                body.advance(frame::HEADER_BYTES);
                let Ok(process_id) = body.try_get_u32() else {
                    return Ok(None);
                };
                read.process_id = process_id;
                read.secret_key = body.to_vec();
            }
            _ => {}
        }
    }
}

fn refusal(whole: &[u8]) -> Refusal {
    let field = |kind| backend::error_field(whole, kind).map(lossy).unwrap_or_default();
    Refusal { sqlstate: field(b'C'), message: field(b'M') }
}

/// A postmaster that can't start another process says so in the old protocol: 'E' and a bare text.
fn bare_refusal(received: &[u8]) -> Refusal {
    let text = received.get(1..).unwrap_or_default();
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    Refusal { sqlstate: String::new(), message: lossy(text).trim_end().to_owned() }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A connection for the control plane, and the task that drives it: it ends when the client is
/// dropped, or with the connection's error.
///
/// # Errors
/// As [`connect`], within a time limit of its own.
pub async fn connect_control(
    node: &NodeConfig,
    login: &Login,
) -> Result<(tokio_postgres::Client, JoinHandle<Result<(), tokio_postgres::Error>>), ConnectError> {
    within(
        CONTROL_CONNECT_TIMEOUT,
        Box::pin(async {
            let stream = connect_stream(node).await?;
            let stream = Resumed::log_in(stream, node, login, ("shardway", None)).await?;
            let handover = Handover::of(&stream);
            let made = startup(node, login, "shardway").connect_raw(stream, handover).await;
            let (client, connection) = made.map_err(|error| match error.as_db_error() {
                Some(refused) => ConnectError::Refused(Refusal {
                    sqlstate: refused.code().code().to_owned(),
                    message: refused.message().to_owned(),
                }),
                None => ConnectError::Handshake(describe(&error)),
            })?;
            Ok((client, tokio::spawn(connection)))
        }),
    )
    .await
}

/// Asks `node` to cancel what the connection of that key is doing, with TLS as that connection has
/// it, and waits until the server has taken the request: a statement sent later isn't hit.
///
/// # Errors
/// Those of connecting. That the key fits nothing is not an error; the server doesn't say.
pub async fn send_cancel(node: &NodeConfig, process_id: u32, secret_key: &[u8]) -> Result<(), ConnectError> {
    within(
        CONTROL_CONNECT_TIMEOUT,
        Box::pin(async {
            let mut stream = connect_stream(node).await?;
            deliver_cancel(&mut stream, process_id, secret_key).await.map_err(NetError::Lost)?;
            Ok(())
        }),
    )
    .await
}

async fn deliver_cancel(stream: &mut Stream, process_id: u32, secret_key: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(12 + secret_key.len()).map_err(std::io::Error::other)?;
    let mut request = Vec::with_capacity(12 + secret_key.len());
    request.extend(length.to_be_bytes());
    request.extend([0x04, 0xd2, 0x16, 0x2e]);
    request.extend(process_id.to_be_bytes());
    request.extend(secret_key);
    stream.write_all(&request).await?;
    stream.flush().await?;
    // The server sends the signal and closes, without a word and often without TLS's farewell.
    match stream.read_u8().await {
        Ok(_) => Err(std::io::ErrorKind::InvalidData.into()),
        Err(_) => Ok(()),
    }
}

async fn within<T>(limit: Duration, attempt: impl Future<Output = Result<T, ConnectError>>) -> Result<T, ConnectError> {
    timeout(limit, attempt).await.unwrap_or(Err(ConnectError::TimedOut(limit)))
}

#[cfg(test)]
mod tests;
