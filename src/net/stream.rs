//! One byte stream to a client or a server: TCP or Unix socket, plain or in TLS. In: connected
//! sockets. Out: tokio's `AsyncRead` and `AsyncWrite`, and cheap questions about readiness. Doesn't
//! know how connections are made (`net::connect`) or what they carry.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::coop::unconstrained;

/// The TLS variants are boxed: a rustls session takes over a kilobyte, and plain streams shouldn't.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// A client that asked for TLS; we are its server.
    TlsServer(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// A server that granted TLS; we are its client.
    TlsClient(Box<tokio_rustls::client::TlsStream<TcpStream>>),
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
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
            Stream::TlsServer($inner) => $call,
            Stream::TlsClient($inner) => $call,
        }
    };
}

/// Reads if the runtime's last look at the socket said that there is something. A read that doesn't fill its room
/// has emptied the socket: the runtime is told "would block", so that the next look needs no system call. tokio's
/// own `try_read` doesn't do that, and its `poll_read` costs more than twice the instructions.
macro_rules! read_now {
    ($socket:expr, $room:expr) => {{
        let mut read = None;
        let outcome = $socket.try_io(Interest::READABLE, || {
            let (_, count) = recv($socket.as_fd(), &mut *$room, RecvFlags::empty())?;
            read = Some(count);
            if 0 < count && count < $room.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match (read, outcome) {
            (Some(count), _) => Ok(Some(count)),
            (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            (None, _) => Ok(None),
        }
    }};
}

macro_rules! poll_read {
    ($socket:expr, $room:expr, $cx:expr) => {
        loop {
            match read_now!($socket, $room) {
                Ok(Some(count)) => break Poll::Ready(Ok(count)),
                Ok(None) => ready!($socket.poll_read_ready($cx))?,
                Err(error) => break Poll::Ready(Err(error)),
            }
        }
    };
}

/// Nobody who writes wants a signal.
#[cfg(target_os = "linux")]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
/// The standard library has told the socket so.
#[cfg(not(target_os = "linux"))]
const SEND_FLAGS: SendFlags = SendFlags::empty();

macro_rules! write_now {
    ($socket:expr, $bytes:expr) => {
        $socket.try_io(Interest::WRITABLE, || Ok(send($socket.as_fd(), $bytes, SEND_FLAGS)?))
    };
}

macro_rules! poll_write {
    ($socket:expr, $bytes:expr, $cx:expr) => {
        loop {
            match write_now!($socket, $bytes) {
                Ok(count) => break Poll::Ready(Ok(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!($socket.poll_write_ready($cx))?,
                Err(error) => break Poll::Ready(Err(error)),
            }
        }
    };
}

impl Stream {
    /// Has the runtime of the calling task watch the socket instead of the one that does now; nobody must be waiting
    /// on it. False for TLS, whose socket can't be taken out.
    ///
    /// # Errors
    /// Those of the system; the stream is lost then.
    pub fn move_here(self) -> io::Result<(Self, bool)> {
        Ok(match self {
            Self::Tcp(inner) => (Self::Tcp(TcpStream::from_std(inner.into_std()?)?), true),
            Self::Unix(inner) => (Self::Unix(UnixStream::from_std(inner.into_std()?)?), true),
            tls => (tls, false),
        })
    }

    /// The same where the stream can't be taken out of its place: another handle on the socket takes over. False for
    /// TLS.
    ///
    /// # Errors
    /// Those of the system; the stream is as it was then.
    pub fn take_over_here(&mut self) -> io::Result<bool> {
        match self {
            Self::Tcp(inner) => {
                let handle: std::net::TcpStream = inner.as_fd().try_clone_to_owned()?.into();
                *inner = TcpStream::from_std(handle)?;
            }
            Self::Unix(inner) => {
                let handle: std::os::unix::net::UnixStream = inner.as_fd().try_clone_to_owned()?.into();
                *inner = UnixStream::from_std(handle)?;
            }
            Self::TlsServer(_) | Self::TlsClient(_) => return Ok(false),
        }
        Ok(true)
    }

    pub fn peer_is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// `None` on a Unix socket, or when the peer has gone.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.tcp()?.peer_addr().ok()
    }

    /// Of this side.
    pub fn local(&self) -> Option<SocketAddr> {
        self.tcp()?.local_addr().ok()
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(inner) => Some(inner),
            Self::Unix(_) => None,
            Self::TlsServer(inner) => Some(inner.get_ref().0),
            Self::TlsClient(inner) => Some(inner.get_ref().0),
        }
    }

    /// Another handle on the socket, for whoever may have to cut it off; `None` if the system gives none.
    pub fn handle(&self) -> Option<Handle> {
        let socket = match self {
            Self::Tcp(inner) => inner.as_fd(),
            Self::Unix(inner) => inner.as_fd(),
            Self::TlsServer(inner) => inner.get_ref().0.as_fd(),
            Self::TlsClient(inner) => inner.get_ref().0.as_fd(),
        };
        Some(Handle(socket.try_clone_to_owned().ok()?.into()))
    }

    #[inline]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::TlsServer(_) | Self::TlsClient(_))
    }

    /// Ready when a read may yield something: data, end of file or an error. It can be ready for
    /// nothing (after a read that filled its buffer exactly); it is never pending over data.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(inner) => inner.poll_read_ready(cx),
            Self::Unix(inner) => inner.poll_read_ready(cx),
            _ if self.has_decrypted() => Poll::Ready(Ok(())),
            Self::TlsServer(inner) => inner.get_ref().0.poll_read_ready(cx),
            Self::TlsClient(inner) => inner.get_ref().0.poll_read_ready(cx),
        }
    }

    /// The same question as [`Self::poll_read_ready`] without a waker, a system call or a share of
    /// the task's budget: what the runtime's last look at its sockets said.
    pub fn is_read_ready(&self) -> bool {
        let nothing = || Ok(());
        let ready = match self {
            Self::Tcp(inner) => inner.try_io(Interest::READABLE, nothing),
            Self::Unix(inner) => inner.try_io(Interest::READABLE, nothing),
            Self::TlsServer(inner) => inner.get_ref().0.try_io(Interest::READABLE, nothing),
            Self::TlsClient(inner) => inner.get_ref().0.try_io(Interest::READABLE, nothing),
        };
        // Any error but "would block" is something that a read should find out about.
        !matches!(ready, Err(error) if error.kind() == io::ErrorKind::WouldBlock) || self.has_decrypted()
    }

    /// Bytes that rustls has decrypted, or its end of file: the socket may stay silent although a
    /// read would succeed. rustls wants to read exactly when neither is there.
    fn has_decrypted(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Unix(_) => false,
            Self::TlsServer(inner) => !inner.get_ref().1.wants_read(),
            Self::TlsClient(inner) => !inner.get_ref().1.wants_read(),
        }
    }

    /// One read into `room`.
    #[inline]
    pub(super) fn poll_read_into(&mut self, room: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(inner) => poll_read!(inner, room, cx),
            Self::Unix(inner) => poll_read!(inner, room, cx),
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
            Self::Tcp(inner) => read_now!(inner, room),
            Self::Unix(inner) => read_now!(inner, room),
            tls => now(|cx| tls.poll_read_into(room, cx)),
        }
    }

    /// One write.
    #[inline]
    pub(super) fn poll_write_some(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(inner) => poll_write!(inner, bytes, cx),
            Self::Unix(inner) => poll_write!(inner, bytes, cx),
            tls => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    /// Pushes out what TLS holds encrypted; other streams hold nothing.
    #[inline]
    pub(super) fn poll_flush_tls(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            tls => Pin::new(tls).poll_flush(cx),
        }
    }

    /// Writes what is possible without waiting; `None` when nothing is.
    #[inline]
    pub(super) fn try_write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let written = match self {
            Self::Tcp(inner) => write_now!(inner, bytes),
            Self::Unix(inner) => write_now!(inner, bytes),
            tls => return now(|cx| Pin::new(&mut *tls).poll_write(cx, bytes)),
        };
        match written {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
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
