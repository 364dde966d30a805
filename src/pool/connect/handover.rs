//! What tokio-postgres needs to work on our streams: a tap that keeps what it reads, and a "TLS
//! handshake" that hands the stream through with its channel binding, because the real one is done.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready as poll_ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::resume::Resumed;

/// Borrows a stream and keeps a copy of every byte received, up to a bound.
pub(super) struct Tap<'a> {
    stream: &'a mut Resumed,
    received: &'a mut BytesMut,
    bytes_max: usize,
}

impl<'a> Tap<'a> {
    pub(super) fn new(stream: &'a mut Resumed, received: &'a mut BytesMut, bytes_max: usize) -> Self {
        Self { stream, received, bytes_max }
    }
}

impl AsyncRead for Tap<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        poll_ready!(Pin::new(&mut *this.stream).poll_read(cx, buf))?;
        this.received.extend_from_slice(buf.filled().get(before..).unwrap_or_default());
        if this.received.len() > this.bytes_max {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the server does not get ready")));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The "connector": only knows the certificate's hash, if the stream is in TLS.
pub(super) struct Handover {
    end_point: Option<Vec<u8>>,
}

impl Handover {
    pub(super) fn of(stream: &Resumed) -> Self {
        Self { end_point: stream.end_point() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsConnect<S> for Handover {
    type Stream = Bound<S>;
    type Error = Infallible;
    type Future = Ready<Result<Bound<S>, Infallible>>;

    fn connect(self, stream: S) -> Self::Future {
        ready(Ok(Bound { stream, end_point: self.end_point }))
    }
}

pub(super) struct Bound<S> {
    stream: S,
    end_point: Option<Vec<u8>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Bound<S> {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.end_point {
            Some(hash) => ChannelBinding::tls_server_end_point(hash.clone()),
            None => ChannelBinding::none(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bound<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bound<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
