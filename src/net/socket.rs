//! One connected socket, TCP or Unix. In: what tokio has accepted or connected. Out: reads and writes that take as few
//! instructions and system calls as possible, and tokio's `AsyncRead` and `AsyncWrite`. A worker's own reactor watches
//! the sockets of its sessions; on other threads tokio does.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::reactor::{Direction, Registration, register};

#[derive(Debug)]
pub struct Socket(Kind);

#[derive(Debug)]
enum Kind {
    /// Whose registration ends first.
    Here(Registration, socket2::Socket, Family),
    Tcp(TcpStream),
    Unix(UnixStream),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    Tcp,
    Unix,
}

/// Nobody who writes wants a signal.
#[cfg(target_os = "linux")]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
/// The standard library has told the socket so.
#[cfg(not(target_os = "linux"))]
const SEND_FLAGS: SendFlags = SendFlags::empty();

/// Reads if the runtime's last look at the socket said that there is something. A read that doesn't fill its room
/// has emptied the socket: the runtime is told "would block", so that the next look needs no system call. tokio's
/// own `try_read` doesn't do that.
macro_rules! read_by_tokio {
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

macro_rules! write_by_tokio {
    ($socket:expr, $write:expr) => {
        match $socket.try_io(Interest::WRITABLE, $write) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    };
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Self {
        Self(Kind::Tcp(socket))
    }
}

impl From<UnixStream> for Socket {
    fn from(socket: UnixStream) -> Self {
        Self(Kind::Unix(socket))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::Here(_, socket, _) => socket.as_fd(),
            Kind::Tcp(socket) => socket.as_fd(),
            Kind::Unix(socket) => socket.as_fd(),
        }
    }
}

impl Socket {
    /// Has this thread watch the socket from now on; nobody must be waiting on it.
    ///
    /// # Errors
    /// Those of the system; the socket is lost then.
    pub fn move_here(self) -> io::Result<Self> {
        let (socket, family) = match self.0 {
            Kind::Here(registration, socket, family) => {
                drop(registration);
                (socket, family)
            }
            Kind::Tcp(socket) => (socket.into_std()?.into(), Family::Tcp),
            Kind::Unix(socket) => (OwnedFd::from(socket.into_std()?).into(), Family::Unix),
        };
        Self::watch_here(socket, family)
    }

    /// The same where the socket can't be taken out of its place: another handle on it takes over.
    ///
    /// # Errors
    /// Those of the system; the socket is as it was then.
    pub fn take_over_here(&mut self) -> io::Result<()> {
        let handle = self.as_fd().try_clone_to_owned()?.into();
        *self = Self::watch_here(handle, self.family())?;
        Ok(())
    }

    fn watch_here(socket: socket2::Socket, family: Family) -> io::Result<Self> {
        Ok(Self(match register(&socket) {
            Some(registration) => Kind::Here(registration?, socket, family),
            None if family == Family::Tcp => Kind::Tcp(TcpStream::from_std(socket.into())?),
            None => Kind::Unix(UnixStream::from_std(std::os::unix::net::UnixStream::from(OwnedFd::from(socket)))?),
        }))
    }

    fn family(&self) -> Family {
        match self.0 {
            Kind::Here(_, _, family) => family,
            Kind::Tcp(_) => Family::Tcp,
            Kind::Unix(_) => Family::Unix,
        }
    }

    pub fn is_unix(&self) -> bool {
        self.family() == Family::Unix
    }

    /// Of the other side; `None` on a Unix socket, or when it has gone.
    pub fn peer(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Here(_, socket, _) => socket.peer_addr().ok()?.as_socket(),
            Kind::Tcp(socket) => socket.peer_addr().ok(),
            Kind::Unix(_) => None,
        }
    }

    /// Of this side.
    pub fn local(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Here(_, socket, _) => socket.local_addr().ok()?.as_socket(),
            Kind::Tcp(socket) => socket.local_addr().ok(),
            Kind::Unix(_) => None,
        }
    }

    /// Ready when a read may yield something: data, end of file or an error.
    #[inline]
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Kind::Here(own, ..) => own.poll_ready(Direction::Read, cx).map(Ok),
            Kind::Tcp(socket) => socket.poll_read_ready(cx),
            Kind::Unix(socket) => socket.poll_read_ready(cx),
        }
    }

    #[inline]
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Kind::Here(own, ..) => own.poll_ready(Direction::Write, cx).map(Ok),
            Kind::Tcp(socket) => socket.poll_write_ready(cx),
            Kind::Unix(socket) => socket.poll_write_ready(cx),
        }
    }

    /// The same as [`Self::poll_read_ready`] without a waker or a system call: what the last look at the sockets said.
    #[inline]
    pub fn is_read_ready(&self) -> bool {
        let nothing = || Ok(());
        let ready = match &self.0 {
            Kind::Here(own, ..) => return own.look().is_ready(Direction::Read),
            Kind::Tcp(socket) => socket.try_io(Interest::READABLE, nothing),
            Kind::Unix(socket) => socket.try_io(Interest::READABLE, nothing),
        };
        // Any error but "would block" is something that a read should find out about.
        !matches!(ready, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// One read if something is there; `None`: nothing is.
    ///
    /// # Errors
    /// Those of the system.
    #[inline]
    pub fn try_read(&self, room: &mut [u8]) -> io::Result<Option<usize>> {
        match &self.0 {
            Kind::Here(own, socket, _) => {
                let seen = own.look();
                if !seen.is_ready(Direction::Read) {
                    return Ok(None);
                }
                match recv(socket.as_fd(), &mut *room, RecvFlags::empty()) {
                    Ok((_, count)) => {
                        // It has emptied the socket.
                        if 0 < count && count < room.len() {
                            own.clear(Direction::Read, seen);
                        }
                        Ok(Some(count))
                    }
                    Err(rustix::io::Errno::AGAIN) => {
                        own.clear(Direction::Read, seen);
                        Ok(None)
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Kind::Tcp(socket) => read_by_tokio!(socket, room),
            Kind::Unix(socket) => read_by_tokio!(socket, room),
        }
    }

    /// One write if the socket takes something; `None`: it doesn't.
    ///
    /// # Errors
    /// Those of the system.
    #[inline]
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        self.try_send(|fd| Ok(send(fd, bytes, SEND_FLAGS)?))
    }

    #[inline]
    fn try_send(&self, send: impl Fn(BorrowedFd<'_>) -> io::Result<usize>) -> io::Result<Option<usize>> {
        match &self.0 {
            Kind::Here(own, socket, _) => {
                let seen = own.look();
                if !seen.is_ready(Direction::Write) {
                    return Ok(None);
                }
                match send(socket.as_fd()) {
                    Ok(count) => Ok(Some(count)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        own.clear(Direction::Write, seen);
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            }
            Kind::Tcp(socket) => write_by_tokio!(socket, || send(socket.as_fd())),
            Kind::Unix(socket) => write_by_tokio!(socket, || send(socket.as_fd())),
        }
    }

    #[inline]
    pub fn poll_read_into(&self, room: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            match self.try_read(room) {
                Ok(Some(count)) => return Poll::Ready(Ok(count)),
                Ok(None) => ready!(self.poll_read_ready(cx))?,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    #[inline]
    fn poll_send(
        &self,
        send: impl Fn(BorrowedFd<'_>) -> io::Result<usize>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.try_send(&send) {
                Ok(Some(count)) => return Poll::Ready(Ok(count)),
                Ok(None) => ready!(self.poll_write_ready(cx))?,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = ready!(self.poll_read_into(buf.initialize_unfilled(), cx))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(|fd| Ok(send(fd, bytes, SEND_FLAGS)?), cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(|fd| Ok(rustix::io::writev(fd, slices)?), cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket2::SockRef::from(&*self).shutdown(Shutdown::Write))
    }
}
