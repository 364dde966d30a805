//! Authentication without a password, before tokio-postgres gets the stream: it finds a server that has already let it
//! in. In: a stream, and what a user's login has proved. Out: a [`Resumed`] stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::login::{Credential, Login, Passed, Proof, ScramKeys, ScramMessages};
use super::{ConnectError, Startup};
use crate::config::NodeConfig;
use crate::net::{NetError, Stream};
use crate::protocol::frame;
use crate::types::limits::AUTHENTICATION_BYTES_MAX;

const SCRAM: &str = "SCRAM-SHA-256";
const SCRAM_PLUS: &str = "SCRAM-SHA-256-PLUS";
const AUTHENTICATION: u8 = b'R';
/// As long as libpq's.
const NONCE_BYTES: usize = 18;

/// A stream of which the beginning was read already, and whose first message is kept from the server.
pub(super) struct Resumed {
    stream: Stream,
    received: BytesMut,
    swallowing: Swallowing,
}

enum Swallowing {
    Nothing,
    /// Until the message's length is known.
    First,
    Rest(usize),
}

impl Resumed {
    /// Authenticates by what the login's user has proved. With a password, or without anything, nothing is done yet.
    pub(super) async fn log_in(
        mut stream: Stream,
        node: &NodeConfig,
        login: &Login,
        startup: Startup<'_>,
    ) -> Result<Self, ConnectError> {
        match &login.credential {
            Credential::None | Credential::Password(_) => {
                Ok(Self { stream, received: BytesMut::new(), swallowing: Swallowing::Nothing })
            }
            Credential::Passed(passed) => {
                let message = startup_message(node, login, startup);
                stream.write_all(&message).await.map_err(NetError::Lost)?;
                stream.flush().await.map_err(NetError::Lost)?;
                let mut exchange = Exchange { stream, received: BytesMut::new() };
                exchange.authenticate(passed).await?;
                let Exchange { stream, received } = exchange;
                Ok(Self { stream, received, swallowing: Swallowing::First })
            }
        }
    }

    pub(super) fn end_point(&self) -> Option<Vec<u8>> {
        self.stream.server_end_point()
    }

    /// With what nobody has read yet.
    pub(super) fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.received)
    }
}

/// As tokio-postgres writes it.
fn startup_message(node: &NodeConfig, login: &Login, (application, options): Startup<'_>) -> BytesMut {
    let mut message = BytesMut::new();
    message.put_u32(0);
    message.put_u32(3 << 16);
    let fixed = [
        ("client_encoding", "UTF8"),
        ("user", &login.user),
        ("database", &node.database),
        ("application_name", application),
    ];
    for (name, value) in fixed.into_iter().chain(options.map(|options| ("options", options))) {
        for text in [name, value] {
            message.put_slice(text.as_bytes());
            message.put_u8(0);
        }
    }
    message.put_u8(0);
    let length = u32::try_from(message.len()).expect("names and options are short");
    message[..4].copy_from_slice(&length.to_be_bytes());
    message
}

struct Exchange {
    stream: Stream,
    received: BytesMut,
}

impl Exchange {
    /// Until the server says anything else than that it wants to know more: that is for tokio-postgres.
    async fn authenticate(&mut self, passed: &Passed) -> Result<(), ConnectError> {
        loop {
            let Some((kind, body)) = self.next_request().await? else { return Ok(()) };
            let proof = passed.get().ok_or(ConnectError::NoCredential(
                "the server asks for a password, and the user hasn't proved one to Shardway",
            ))?;
            match (kind, &*proof) {
                (10, Proof::Scram(keys)) => self.scram(&body, keys).await?,
                (5, Proof::Md5(stored)) => {
                    let answer = format!("md5{:x}", md5::compute([stored.as_bytes(), &body[..]].concat()));
                    self.send(&[answer.as_bytes(), &[0]].concat()).await?;
                }
                (10, Proof::Md5(_)) => {
                    return Err(ConnectError::NoCredential(
                        "the server asks for SCRAM, and the user's password is stored as md5 where Shardway looks",
                    ));
                }
                _ => {
                    return Err(ConnectError::NoCredential(
                        "the server asks for the password itself, or in another way than it is stored where Shardway looks",
                    ));
                }
            }
        }
    }

    /// The next message; `None`, and left there, if it is anything but a request for authentication.
    async fn next_request(&mut self) -> Result<Option<(u32, BytesMut)>, ConnectError> {
        let header = loop {
            match frame::peek(&self.received, AUTHENTICATION_BYTES_MAX) {
                Ok(Some(header)) if header.tag != AUTHENTICATION => return Ok(None),
                Ok(Some(header)) if self.received.len() >= header.len => break header,
                Ok(_) => {}
                Err(_) => return Ok(None),
            }
            if self.stream.read_buf(&mut self.received).await.map_err(NetError::Lost)? == 0 {
                return Ok(None);
            }
        };
        let kind = self.received.get(frame::HEADER_BYTES..header.len).and_then(<[u8]>::first_chunk);
        match kind.map(|kind| u32::from_be_bytes(*kind)) {
            None | Some(0) => Ok(None),
            Some(kind) => {
                let mut body = self.received.split_to(header.len);
                body.advance(frame::HEADER_BYTES + 4);
                Ok(Some((kind, body)))
            }
        }
    }

    async fn send(&mut self, body: &[u8]) -> Result<(), ConnectError> {
        let mut message = BytesMut::new();
        message.put_u8(b'p');
        message.put_u32(u32::try_from(body.len() + 4).expect("answers are short"));
        message.put_slice(body);
        self.stream.write_all(&message).await.map_err(NetError::Lost)?;
        self.stream.flush().await.map_err(NetError::Lost)?;
        Ok(())
    }

    /// RFC 5802, section 7, as libpq does it: the user's name is that of the start-up message.
    async fn scram(&mut self, offered: &[u8], keys: &ScramKeys) -> Result<(), ConnectError> {
        let offers = |mechanism: &str| offered.split(|byte| *byte == 0).any(|offer| offer == mechanism.as_bytes());
        let end_point = self.stream.server_end_point();
        let (mechanism, header, bound) = match end_point {
            Some(hash) if offers(SCRAM_PLUS) => (SCRAM_PLUS, "p=tls-server-end-point,,", hash),
            Some(_) => (SCRAM, "y,,", Vec::new()),
            None => (SCRAM, "n,,", Vec::new()),
        };
        let nonce = STANDARD.encode(rand::random::<[u8; NONCE_BYTES]>());
        let client_first_bare = format!("n=,r={nonce}");
        let first = format!("{header}{client_first_bare}");
        let length = u32::try_from(first.len()).expect("it is short").to_be_bytes();
        self.send(&[mechanism.as_bytes(), &[0], &length, first.as_bytes()].concat()).await?;

        let Some(server_first) = self.scram_answer(11).await? else { return Ok(()) };
        let (their_nonce, salt, iterations) = read_server_first(&server_first).ok_or_else(malformed)?;
        if !their_nonce.starts_with(&nonce) {
            return Err(malformed());
        }
        if !keys.is_salted_with(&salt, iterations) {
            return Err(ConnectError::NoCredential(
                "the user's password is stored there with another salt than where Shardway looks",
            ));
        }
        let binding = STANDARD.encode([header.as_bytes(), &bound].concat());
        let client_final_without_proof = format!("c={binding},r={their_nonce}");
        let messages = ScramMessages {
            client_first_bare: &client_first_bare,
            server_first: &server_first,
            client_final_without_proof: &client_final_without_proof,
        };
        let proof = STANDARD.encode(keys.proof(messages));
        self.send(format!("{client_final_without_proof},p={proof}").as_bytes()).await?;

        let Some(server_final) = self.scram_answer(12).await? else { return Ok(()) };
        let signature = server_final.strip_prefix("v=").and_then(|signature| STANDARD.decode(signature).ok());
        if signature.is_none_or(|signature| signature != keys.server_signature(messages)) {
            return Err(ConnectError::Handshake("the server doesn't know the user's password".to_owned()));
        }
        Ok(())
    }

    /// `None`: the server says something else, an error most likely.
    async fn scram_answer(&mut self, expected: u32) -> Result<Option<String>, ConnectError> {
        match self.next_request().await? {
            None => Ok(None),
            Some((kind, body)) if kind == expected => {
                String::from_utf8(body.to_vec()).map(Some).map_err(|_| malformed())
            }
            Some(_) => Err(malformed()),
        }
    }
}

fn read_server_first(message: &str) -> Option<(&str, Vec<u8>, usize)> {
    let mut parts = message.split(',');
    let nonce = parts.next()?.strip_prefix("r=")?;
    let salt = STANDARD.decode(parts.next()?.strip_prefix("s=")?).ok()?;
    let iterations = parts.next()?.strip_prefix("i=")?.parse().ok()?;
    Some((nonce, salt, iterations))
}

fn malformed() -> ConnectError {
    ConnectError::Handshake("the server's SCRAM messages can't be read".to_owned())
}

impl AsyncRead for Resumed {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.received.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let count = this.received.len().min(buf.remaining());
        buf.put_slice(&this.received.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Resumed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let left = match this.swallowing {
            Swallowing::Nothing => return Pin::new(&mut this.stream).poll_write(cx, buf),
            Swallowing::Rest(left) => left,
            Swallowing::First => match buf.first_chunk() {
                Some(length) => usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX),
                None => return Poll::Ready(Err(io::Error::other("a start-up message is written whole"))),
            },
        };
        let count = left.min(buf.len());
        this.swallowing = if count == left { Swallowing::Nothing } else { Swallowing::Rest(left - count) };
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
