//! Connecting to a node. In: its configuration. Out: a [`Stream`] on which the start-up message may
//! be sent, in TLS as the node's sslmode asks. Doesn't know of users or of what follows.

use std::io;
use std::os::fd::AsFd;

use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::tls::{self, TlsError};
use super::{Socket, Stream};
use crate::config::{NodeConfig, NodeTlsMode};
use crate::types::limits::{KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES};

#[derive(Debug, Error)]
pub enum NetError {
    /// Nobody listens, or the host can't be found or reached.
    #[error("connection failed: {0}")]
    Unreachable(#[source] io::Error),
    #[error("connection lost during the TLS request: {0}")]
    Lost(#[source] io::Error),
    #[error("the server does not support TLS, which sslmode requires")]
    TlsNotOffered,
    /// The answer isn't authenticated: nothing of it is shown (CVE-2024-10977's lesson).
    #[error("the server answered the TLS request with an error")]
    TlsRequestRefused,
    /// A certificate that isn't trusted comes as this too.
    #[error("TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
    #[error(transparent)]
    Files(#[from] TlsError),
}

/// Connects, and does the TLS handshake if the node's mode asks for one. Unix sockets go without, as
/// in libpq. There is no time limit of its own.
///
/// # Errors
/// See [`NetError`].
pub async fn connect_stream(node: &NodeConfig) -> Result<Stream, NetError> {
    if node.host.starts_with('/') {
        let path = format!("{}/.s.PGSQL.{}", node.host, node.port);
        let socket = UnixStream::connect(path).await.map_err(NetError::Unreachable)?;
        return here(socket).map(Stream::Plain);
    }
    let socket = TcpStream::connect((node.host.as_str(), node.port)).await.map_err(NetError::Unreachable)?;
    tune(&socket).map_err(NetError::Unreachable)?;
    let mut socket = here(socket)?;
    match node.tls.mode {
        NodeTlsMode::Disable => return Ok(Stream::Plain(socket)),
        NodeTlsMode::Prefer | NodeTlsMode::Require | NodeTlsMode::VerifyCa | NodeTlsMode::VerifyFull => {}
    }
    match request_tls(&mut socket).await.map_err(NetError::Lost)? {
        b'S' => start_tls(node, socket).await,
        b'N' if node.tls.mode == NodeTlsMode::Prefer => Ok(Stream::Plain(socket)),
        b'N' => Err(NetError::TlsNotOffered),
        _ => Err(NetError::TlsRequestRefused),
    }
}

/// tokio connects; who uses it runs on this thread.
fn here(socket: impl Into<Socket>) -> Result<Socket, NetError> {
    socket.into().move_here().map_err(NetError::Unreachable)
}

/// No delay: every flush is a whole turn. Keepalive: a peer may vanish without a word.
///
/// # Errors
/// Those of the socket.
pub fn tune(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)
}

/// SSLRequest. Exactly one byte is read: what somebody put behind it in plaintext reaches rustls as
/// a broken handshake, never the protocol.
async fn request_tls(socket: &mut Socket) -> io::Result<u8> {
    socket.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).await?;
    socket.read_u8().await
}

async fn start_tls(node: &NodeConfig, socket: Socket) -> Result<Stream, NetError> {
    let name = tls::server_name(&node.host).map_err(NetError::Handshake)?;
    let tls = node.tls.clone();
    // Reads files: read anew each time, so that renewed certificates count at once.
    let connector = tokio::task::spawn_blocking(move || tls::connector(&tls))
        .await
        .map_err(|gone| NetError::Lost(io::Error::other(gone)))??;
    let stream = connector.connect(name, socket).await.map_err(NetError::Handshake)?;
    Ok(Stream::TlsClient(Box::new(stream)))
}
