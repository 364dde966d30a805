//! One byte stream to a client or a server: a socket, plain or in TLS. In: connected sockets. Out:
//! tokio's `AsyncRead` and `AsyncWrite`, and cheap questions about readiness. Doesn't know how
//! connections are made (`net::connect`) or what they carry.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::unconstrained;

use super::Socket;

/// The TLS variants are boxed: a rustls session takes over a kilobyte, and plain streams shouldn't.
#[derive(Debug)]
pub enum Stream {
    Plain(Socket),
    /// A client that asked for TLS; we are its server.
    TlsServer(Box<tokio_rustls::server::TlsStream<Socket>>),
    /// A server that granted TLS; we are its client.
    TlsClient(Box<tokio_rustls::client::TlsStream<Socket>>),
}

/// A socket that somebody else reads and writes.
#[derive(Debug)]
pub struct Handle(socket2::Socket);

impl Handle {
    /// Both directions end; whoever waits for the socket is woken.
    pub fn shut(&self) {
        // It may have ended by itself.
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Plain($inner) => $call,
            Stream::TlsServer($inner) => $call,
            Stream::TlsClient($inner) => $call,
        }
    };
}

impl<S: Into<Socket>> From<S> for Stream {
    fn from(socket: S) -> Self {
        Self::Plain(socket.into())
    }
}

impl Stream {
    /// Has this thread watch the socket instead of the one that does now; nobody must be waiting on it. False for TLS,
    /// whose socket can't be taken out.
    ///
    /// # Errors
    /// Those of the system; the stream is lost then.
    pub fn move_here(self) -> io::Result<(Self, bool)> {
        match self {
            Self::Plain(socket) => Ok((Self::Plain(socket.move_here()?), true)),
            tls => Ok((tls, false)),
        }
    }

    /// The same where the stream can't be taken out of its place: another handle on the socket takes over. False for
    /// TLS.
    ///
    /// # Errors
    /// Those of the system; the stream is as it was then.
    pub fn take_over_here(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(socket) => socket.take_over_here().map(|()| true),
            Self::TlsServer(_) | Self::TlsClient(_) => Ok(false),
        }
    }

    pub fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::TlsServer(inner) => inner.get_ref().0,
            Self::TlsClient(inner) => inner.get_ref().0,
        }
    }

    pub fn peer_is_unix(&self) -> bool {
        self.socket().is_unix()
    }

    /// `None` on a Unix socket, or when the peer has gone.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.socket().peer()
    }

    /// Of this side.
    pub fn local(&self) -> Option<SocketAddr> {
        self.socket().local()
    }

    /// Another handle on the socket, for whoever may have to cut it off; `None` if the system gives none.
    pub fn handle(&self) -> Option<Handle> {
        Some(Handle(self.socket().as_fd().try_clone_to_owned().ok()?.into()))
    }

    #[inline]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::TlsServer(_) | Self::TlsClient(_))
    }

    /// Ready when a read may yield something: data, end of file or an error. It can be ready for
    /// nothing (after a read that filled its buffer exactly); it is never pending over data.
    #[inline]
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_decrypted() { Poll::Ready(Ok(())) } else { self.socket().poll_read_ready(cx) }
    }

    /// The same question as [`Self::poll_read_ready`] without a waker, a system call or a share of
    /// the task's budget: what the last look at the sockets said.
    #[inline]
    pub fn is_read_ready(&self) -> bool {
        self.socket().is_read_ready() || self.has_decrypted()
    }

    /// Bytes that rustls has decrypted, or its end of file: the socket may stay silent although a
    /// read would succeed. rustls wants to read exactly when neither is there.
    #[inline]
    fn has_decrypted(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::TlsServer(inner) => !inner.get_ref().1.wants_read(),
            Self::TlsClient(inner) => !inner.get_ref().1.wants_read(),
        }
    }

    /// One read into `room`.
    #[inline]
    pub(super) fn poll_read_into(&mut self, room: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_read_into(room, cx),
            tls => {
                let mut buffer = ReadBuf::new(room);
                ready!(Pin::new(tls).poll_read(cx, &mut buffer))?;
                Poll::Ready(Ok(buffer.filled().len()))
            }
        }
    }

    /// The same if that needs no waiting; `None` when it would. For a stream that no other task waits on.
    pub(super) fn try_read_into(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Plain(socket) => socket.try_read(room),
            tls => now(|cx| tls.poll_read_into(room, cx)),
        }
    }

    /// One write.
    #[inline]
    pub(super) fn poll_write_some(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            tls => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    /// Pushes out what TLS holds encrypted; other streams hold nothing.
    #[inline]
    pub(super) fn poll_flush_tls(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            tls => Pin::new(tls).poll_flush(cx),
        }
    }

    /// Writes what is possible without waiting; `None` when nothing is.
    #[inline]
    pub(super) fn try_write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Plain(socket) => socket.try_write(bytes),
            tls => now(|cx| Pin::new(&mut *tls).poll_write(cx, bytes)),
        }
    }

    /// Pushes out what TLS holds encrypted; true when nothing is left there.
    pub(super) fn try_flush(&mut self) -> io::Result<bool> {
        Ok(now(|cx| Pin::new(&mut *self).poll_flush(cx))?.is_some())
    }
}

/// One poll that leaves no waker worth waking behind. Unlike tokio's `try_read`, polling forgets the
/// readiness after a short read; and without `unconstrained` a task at the end of its budget would
/// take "not now" for "nothing there".
fn now<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>) -> io::Result<Option<T>> {
    let once = std::pin::pin!(unconstrained(poll_fn(|cx| Poll::Ready(match poll(cx) {
        Poll::Ready(outcome) => outcome.map(Some),
        Poll::Pending => Ok(None),
    }))));
    match once.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Ok(None),
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(cx))
    }
}
