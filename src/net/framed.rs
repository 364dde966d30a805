//! A [`Stream`] with a buffer each way. In: sockets' bytes and what rooms above append to
//! `outbound`. Out: as few reads and writes as possible. Doesn't look into the bytes: `protocol`
//! finds the frames in `inbound`.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWriteExt;

use super::inbound::Inbound;
use super::stream::Stream;
use crate::observe::traces::Mark;
use crate::types::limits::{READ_BYTES_FIRST, READ_BYTES_MAX, READS_IN_A_ROW_MAX};

/// Nothing big lives inside: an idle client's whole task has to stay under 8 KiB.
#[derive(Debug)]
pub struct Framed {
    pub stream: Stream,
    /// Received and not yet consumed.
    pub inbound: Inbound,
    /// To be sent by the next flush.
    pub outbound: BytesMut,
    /// What the next read offers the socket.
    read_size: u32,
    /// Bytes that were read, and written, so far.
    pub received: u64,
    pub sent: u64,
    /// Told of each read, while a traced statement runs here.
    pub mark: Option<Arc<Mark>>,
    /// Reads that found something at once: a stream that always has more lets others have a turn.
    in_a_row: u8,
    /// The last read took all that the socket had: the next one would find nothing.
    drained: bool,
    /// See [`Self::stay_watched`].
    watched: bool,
    /// What is in `outbound` isn't to be sent yet: a flush does nothing.
    pub held: bool,
}

impl Framed {
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            inbound: Inbound::new(),
            outbound: BytesMut::new(),
            read_size: READ_BYTES_FIRST,
            in_a_row: 0,
            drained: false,
            watched: false,
            held: false,
            received: 0,
            sent: 0,
            mark: None,
        }
    }

    /// One read into `inbound`; 0 is the end of the stream.
    ///
    /// # Errors
    /// Those of the socket or of TLS.
    #[inline]
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.in_a_row >= READS_IN_A_ROW_MAX {
            self.in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Whoever is polled again after this was most likely woken by what there is to read: it is tried first then.
        if std::mem::take(&mut self.drained) && self.is_silent(cx) {
            self.in_a_row = 0;
            return Poll::Pending;
        }
        let room = Self::room(&mut self.inbound, self.read_size);
        let offered = room.len();
        match self.stream.poll_read_into(room, cx) {
            Poll::Ready(Ok(read)) => {
                self.in_a_row += 1;
                self.took(read, offered);
                Poll::Ready(Ok(read))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.in_a_row = 0;
                Poll::Pending
            }
        }
    }

    /// Nothing has arrived, and the task is woken when something does.
    #[inline]
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        if std::mem::take(&mut self.watched) && !self.stream.is_read_ready() {
            return true;
        }
        self.stream.poll_read_ready(cx).is_pending()
    }

    /// The task that runs now has found the stream silent, and left its waker with it: until it has read from the
    /// stream or the latter is given to another task, it needn't leave it again.
    #[inline]
    pub fn stay_watched(&mut self) {
        self.watched = true;
    }

    /// Others may leave wakers of theirs with the stream.
    #[inline]
    pub fn unwatch(&mut self) {
        self.watched = false;
    }

    /// [`Self::poll_fill`] as a future; cancelling it loses nothing.
    ///
    /// # Errors
    /// As [`Self::poll_fill`].
    pub async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Reads what is there already; `None` when nothing is, `Some(0)` at the end of the stream. Not
    /// for a stream that another future waits on at the same time.
    ///
    /// # Errors
    /// As [`Self::poll_fill`].
    pub fn try_fill_now(&mut self) -> io::Result<Option<usize>> {
        let room = Self::room(&mut self.inbound, self.read_size);
        let offered = room.len();
        let read = self.stream.try_read_into(room)?;
        if let Some(read) = read {
            self.took(read, offered);
        }
        Ok(read)
    }

    /// Writes what the socket takes at once, without a copy; the rest, and what is for a TLS stream, waits in
    /// `outbound` for the next flush.
    ///
    /// # Errors
    /// Those of the socket; nothing is queued then.
    #[inline]
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        if self.outbound.is_empty()
            && !self.stream.is_tls()
            && let Some(written) = self.stream.try_write(bytes)?
        {
            self.sent += written as u64;
            rest = bytes.get(written..).unwrap_or_default();
        }
        if !rest.is_empty() {
            self.take_outbound();
            self.outbound.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Gives `outbound` a buffer of the usual size, if it has none.
    #[inline]
    pub fn take_outbound(&mut self) {
        if self.outbound.capacity() == 0 {
            self.outbound = spares::outbound();
        }
    }

    /// Writes `outbound` until it, and what TLS holds of it, is empty.
    ///
    /// # Errors
    /// Those of the socket or of TLS; `WriteZero` if the socket takes nothing.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbound.is_empty() {
            let written = ready!(self.stream.poll_write_some(&self.outbound, cx))?;
            self.sent(written)?;
        }
        self.stream.poll_flush_tls(cx)
    }

    /// [`Self::poll_flush`] as a future; cancelling it loses nothing that a later flush won't send.
    ///
    /// # Errors
    /// As [`Self::poll_flush`].
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.held {
            return Ok(());
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Writes what the socket takes at once; true when nothing is left. After false, flush again:
    /// this leaves no waker behind, and displaces that of a flush under way.
    ///
    /// # Errors
    /// As [`Self::poll_flush`].
    pub fn try_flush_now(&mut self) -> io::Result<bool> {
        if self.held {
            return Ok(false);
        }
        while !self.outbound.is_empty() {
            match self.stream.try_write(&self.outbound)? {
                Some(written) => self.sent(written)?,
                None => return Ok(false),
            }
        }
        self.stream.try_flush()
    }

    /// As [`Self::poll_fill`], for idle clients: waits without holding a buffer.
    ///
    /// # Errors
    /// As [`Self::poll_fill`].
    pub fn poll_fill_at_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = self.poll_fill(cx);
        if read.is_pending() {
            self.release_memory();
        }
        read
    }

    /// Gives the memory of empty buffers back, and starts small again with the next read.
    pub fn release_memory(&mut self) {
        if self.inbound.is_empty() {
            spares::keep_inbound(std::mem::take(&mut self.inbound));
            self.read_size = READ_BYTES_FIRST;
        }
        if self.outbound.is_empty() && self.outbound.capacity() > 0 {
            spares::keep_outbound(std::mem::take(&mut self.outbound));
        }
    }

    /// Asked of a pooled connection, without a system call: true means that something is there that
    /// nobody asked for (or, rarely, that the last read filled its buffer exactly);
    /// [`Self::try_fill_now`] tells what.
    pub fn is_closed_or_has_data(&self) -> bool {
        !self.inbound.is_empty() || self.stream.is_read_ready()
    }

    /// Has the runtime of the calling task watch the stream from now on; false where that isn't possible.
    ///
    /// # Errors
    /// Those of the system; the stream is lost then.
    pub fn move_here(self) -> io::Result<(Self, bool)> {
        let (stream, moved) = self.stream.move_here()?;
        Ok((Self { stream, ..self }, moved))
    }

    /// The same where the stream stays in its place.
    ///
    /// # Errors
    /// Those of the system; nothing has changed then.
    pub fn take_over_here(&mut self) -> io::Result<bool> {
        self.watched = false;
        self.stream.take_over_here()
    }

    /// Sends what is queued and the end of the stream (TLS: close_notify).
    ///
    /// # Errors
    /// As [`Self::poll_flush`].
    pub async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.shutdown().await
    }

    /// Room for one read. A half-consumed frame stays in place while at least half a read still fits behind
    /// it, so that it isn't moved for every few bytes.
    #[inline]
    fn room(inbound: &mut Inbound, read_size: u32) -> &mut [u8] {
        if inbound.capacity() == 0 {
            *inbound = spares::inbound();
        }
        let wanted = read_size as usize;
        let wanted = if inbound.room_left() < wanted / 2 { wanted } else { wanted / 2 };
        inbound.room(wanted)
    }

    /// A read that filled what it was offered is likely to be followed by more.
    #[inline]
    fn took(&mut self, read: usize, offered: usize) {
        self.inbound.filled(read);
        self.received += read as u64;
        self.watched = false;
        self.drained = read < offered && !self.stream.is_tls();
        if let Some(mark) = &self.mark {
            mark.touch();
        }
        if read == offered && self.read_size < READ_BYTES_MAX {
            self.read_size *= 2;
        }
    }

    #[inline]
    fn sent(&mut self, written: usize) -> io::Result<()> {
        self.sent += written as u64;
        if written == self.outbound.len() {
            // Unlike `advance` this keeps the whole of the buffer.
            self.outbound.clear();
            return Ok(());
        }
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.outbound.advance(written);
        Ok(())
    }
}

/// Buffers that idle connections gave back, for the next busy one on this thread: a turn allocates
/// nothing, and an idle client holds nothing.
mod spares {
    use std::cell::RefCell;

    use bytes::BytesMut;

    use super::Inbound;
    use crate::types::limits::{READ_BYTES_FIRST, SPARE_BUFFERS_MAX};

    const BYTES: usize = READ_BYTES_FIRST as usize;

    thread_local! {
        static INBOUND: RefCell<Vec<Inbound>> = const { RefCell::new(Vec::new()) };
        static OUTBOUND: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
    }

    pub fn inbound() -> Inbound {
        INBOUND.with_borrow_mut(Vec::pop).unwrap_or_else(|| Inbound::with_capacity(BYTES))
    }

    pub fn outbound() -> BytesMut {
        OUTBOUND.with_borrow_mut(Vec::pop).unwrap_or_else(|| BytesMut::with_capacity(BYTES))
    }

    /// Keeps those of the usual size, and only a few: the rest is freed.
    fn is_usual(capacity: usize) -> bool {
        (BYTES..=2 * BYTES).contains(&capacity)
    }

    pub fn keep_inbound(mut buffer: Inbound) {
        if is_usual(buffer.capacity()) {
            buffer.clear();
            INBOUND.with_borrow_mut(|spares| {
                if spares.len() < SPARE_BUFFERS_MAX {
                    spares.push(buffer);
                }
            });
        }
    }

    pub fn keep_outbound(mut buffer: BytesMut) {
        buffer.clear();
        if is_usual(buffer.capacity()) {
            OUTBOUND.with_borrow_mut(|spares| {
                if spares.len() < SPARE_BUFFERS_MAX {
                    spares.push(buffer);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
