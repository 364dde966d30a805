//! The merge itself. In: one [`Feed`] a backend, the order of the keys, and which rows are wanted. Out: rows in the
//! client's buffer, sent on as it fills.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::arrays::Arrays;
use super::source::{Feed, Next, State, fill, next};
use super::{compare, rows};
use crate::execute::relay::relay_part;
use crate::execute::replies::{Expect, RelayError};
use crate::execute::scatter::{Part, Piece, Remap, cancel, flush};
use crate::net::Framed;
use crate::planning::merge::{KeyOrder, Window};
use crate::pool::Condition;
use crate::protocol::backend;
use crate::protocol::frontend::encode;
use crate::protocol::numbering::{Carrier, Numbering};
use crate::types::limits::{MERGE_FLUSH_BYTES, MERGE_KEPT_BYTES_MAX};

/// How rows are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask<'a> {
    /// Every Execute was sent already, without a limit.
    All,
    /// So many rows at most, of each backend and in all, from this portal.
    Batch { portal: &'a [u8], rows: u64 },
}

/// How far a merge has come.
#[derive(Debug)]
pub struct Progress {
    feeds: Vec<Feed>,
    window: Window,
    /// Backends that have a row, in the order of these rows.
    order: Vec<usize>,
    /// The backends were looked at for their first rows.
    primed: bool,
    renumber: Vec<Renumber>,
}

/// What is done to a backend's rows: they hold OIDs of its own.
pub type Renumber = Option<(Arc<Numbering>, Vec<Carrier>)>;

/// What one run came to.
#[derive(Debug)]
pub struct Merged {
    pub rows: u64,
    /// There may be more.
    pub suspended: bool,
    /// The client was told of an error.
    pub failed: bool,
}

impl Progress {
    /// One `renumber` a backend.
    pub fn new(renumber: Vec<Renumber>, window: Window) -> Self {
        let feeds = renumber.iter().map(|_| Feed::suspended()).collect();
        Self { feeds, window, order: Vec::new(), primed: false, renumber }
    }

    /// Executes are under way on all backends that have more to give.
    pub fn set_running(&mut self) {
        for feed in &mut self.feeds {
            if feed.state == State::Suspended {
                feed.state = State::Running;
            }
        }
    }

    pub fn is_done(&self, backend: usize) -> bool {
        self.feeds.get(backend).is_none_or(|feed| feed.state == State::Done)
    }
}

/// Where rows go.
pub enum Sink<'a> {
    /// To the client, so many columns of them.
    Client {
        visible: usize,
    },
    Arrays(&'a mut Arrays),
    /// As they are, a list for each backend.
    Lists(&'a mut Vec<Vec<Bytes>>),
}

struct Merging<'a, 'b> {
    client: &'a mut Framed,
    pieces: &'a mut [Piece<'b>],
    progress: &'a mut Progress,
    orders: &'a [KeyOrder],
    sink: Sink<'a>,
    ask: Ask<'a>,
    remap: Option<&'a Remap>,
    watches_client: bool,
    rows: u64,
    /// Bytes of rows in lists.
    held: usize,
}

/// Why a merge stopped.
enum Stop {
    /// A server's error, which was passed on.
    Failed,
    Lost(usize, RelayError),
}

/// Merges until there are no more rows, or as many as were asked for. What the backends send behind their rows
/// is left to [`drain`].
///
/// # Errors
/// The position of the backend whose stream was lost, and how.
pub async fn merge(
    client: &mut Framed,
    pieces: &mut [Piece<'_>],
    progress: &mut Progress,
    (orders, sink): (&[KeyOrder], Sink<'_>),
    ask: Ask<'_>,
    remap: Option<&Remap>,
) -> Result<Merged, (usize, RelayError)> {
    flush(client, pieces).await?;
    let mut merging =
        Merging { client, pieces, progress, orders, sink, ask, remap, watches_client: true, rows: 0, held: 0 };
    let result = merging.run().await;
    let rows = merging.rows;
    match result {
        Ok(suspended) => Ok(Merged { rows, suspended, failed: false }),
        Err(Stop::Failed) => {
            drain(client, pieces, progress, true).await?;
            Ok(Merged { rows, suspended: false, failed: true })
        }
        Err(Stop::Lost(position, error)) => {
            if let Some(piece) = pieces.get_mut(position) {
                piece.backend.condition = Condition::Broken;
            }
            if !matches!(error, RelayError::Client(_)) {
                // That one is lost already, whatever becomes of the others.
                let _ = drain(client, pieces, progress, true).await;
            }
            Err((position, error))
        }
    }
}

impl Merging<'_, '_> {
    /// True: there may be more.
    async fn run(&mut self) -> Result<bool, Stop> {
        if !self.progress.primed {
            for position in 0..self.pieces.len() {
                self.advance(position).await?;
            }
            self.progress.primed = true;
        }
        loop {
            if let Ask::Batch { rows, .. } = self.ask
                && self.rows >= rows
            {
                self.keep().await?;
                return Ok(true);
            }
            if self.progress.window.take == Some(0) {
                return Ok(false);
            }
            let Some(&position) = self.progress.order.first() else { return Ok(false) };
            self.progress.order.remove(0);
            self.give(position).map_err(|error| Stop::Lost(position, error))?;
            if self.client.outbound.len() >= MERGE_FLUSH_BYTES {
                self.client.flush().await.map_err(|error| Stop::Lost(position, RelayError::Client(error)))?;
            }
            self.advance(position).await?;
        }
    }

    /// The next row of this backend is the next of all.
    fn give(&mut self, position: usize) -> Result<(), RelayError> {
        let (Some(feed), Some(piece)) = (self.progress.feeds.get_mut(position), self.pieces.get_mut(position)) else {
            return Ok(());
        };
        let window = &mut self.progress.window;
        let frame = feed.frame(&piece.backend.framed.inbound);
        if window.skip > 0 {
            window.skip -= 1;
        } else {
            match &mut self.sink {
                Sink::Client { visible } => rows::cut(&mut self.client.outbound, frame, *visible, feed.row.cut),
                Sink::Arrays(arrays) => arrays.push(frame)?,
                Sink::Lists(lists) => {
                    self.held += frame.len();
                    if self.held > MERGE_KEPT_BYTES_MAX {
                        let limit = MERGE_KEPT_BYTES_MAX >> 20;
                        return Err(RelayError::TooMuch(format!("the rows take more than {limit} MiB together")));
                    }
                    if let Some(list) = lists.get_mut(position) {
                        list.push(Bytes::copy_from_slice(frame));
                    }
                }
            }
            window.take = window.take.map(|take| take - 1);
            self.rows += 1;
        }
        if !self.orders.is_empty() {
            let (bytes, ends) = feed.last.get_or_insert_default();
            bytes.clear();
            ends.clear();
            for key in &feed.row.keys {
                let value = key.clone().and_then(|key| match feed.kept.front() {
                    Some(frame) => frame.get(key),
                    None => piece.backend.framed.inbound.get(key),
                });
                bytes.extend_from_slice(value.unwrap_or_default());
                ends.push(value.map(|_| bytes.len()));
            }
        }
        feed.pass(piece);
        Ok(())
    }

    /// Reads this backend's next row and puts it in its place among the others'.
    async fn advance(&mut self, position: usize) -> Result<(), Stop> {
        let lost = |error: RelayError| Stop::Lost(position, error);
        if !self.read(position).await? {
            return Ok(());
        }
        let (Some(feed), Some(piece)) = (self.progress.feeds.get_mut(position), self.pieces.get(position)) else {
            return Ok(());
        };
        let hidden = self.orders.len();
        let inbound = &piece.backend.framed.inbound;
        let frame: &[u8] = match feed.kept.front() {
            Some(frame) => frame,
            None => inbound.get(..feed.row.len).unwrap_or_default(),
        };
        if let Sink::Client { visible } = self.sink {
            feed.row.read(frame, visible, hidden).map_err(|error| lost(error.into()))?;
        }
        feed.has_row = true;
        self.prove_order(position).map_err(lost)?;
        let place = self.place(position).map_err(lost)?;
        self.progress.order.insert(place, position);
        Ok(())
    }

    /// Waits for a row at the front of this backend's; false when it has no more.
    async fn read(&mut self, position: usize) -> Result<bool, Stop> {
        let lost = |error: RelayError| Stop::Lost(position, error);
        loop {
            let (Some(feed), Some(piece)) = (self.progress.feeds.get_mut(position), self.pieces.get_mut(position))
            else {
                return Ok(false);
            };
            if !feed.kept.is_empty() {
                return Ok(true);
            }
            match feed.state {
                State::Done => return Ok(false),
                State::Running => {}
                State::Suspended => {
                    let Ask::Batch { portal, rows } = self.ask else { return Ok(false) };
                    let out = &mut piece.backend.framed.outbound;
                    encode::execute(out, portal, i32::try_from(rows).unwrap_or(i32::MAX));
                    encode::flush(out);
                    feed.state = State::Running;
                }
            }
            match next(piece).map_err(lost)? {
                Next::Row(len) => {
                    feed.row.len = len;
                    renumber(&self.progress.renumber, position, piece, len).map_err(lost)?;
                    return Ok(true);
                }
                Next::More => fill(self.client, self.pieces, position, &mut self.watches_client).await.map_err(lost)?,
                other => self.control(position, other)?,
            }
        }
    }

    /// What isn't a row.
    fn control(&mut self, position: usize, what: Next) -> Result<(), Stop> {
        let (Some(feed), Some(piece)) = (self.progress.feeds.get_mut(position), self.pieces.get_mut(position)) else {
            return Ok(());
        };
        let inbound = &mut piece.backend.framed.inbound;
        match what {
            Next::Complete | Next::Suspended => {
                let is_complete = matches!(what, Next::Complete);
                feed.state = if is_complete { State::Done } else { State::Suspended };
                let len =
                    crate::protocol::frame::peek(inbound, usize::MAX).ok().flatten().map_or(0, |header| header.len);
                inbound.advance(len);
            }
            Next::Notice(len) => {
                self.client.outbound.extend_from_slice(inbound.get(..len).unwrap_or_default());
                inbound.advance(len);
            }
            Next::Other(len) => piece.backend.pass(len),
            Next::Failed(frame) => {
                inbound.advance(frame.len());
                feed.state = State::Done;
                match self.remap {
                    Some(Remap(remap)) => {
                        self.client.outbound.extend_from_slice(&backend::repositioned(&frame, &**remap));
                    }
                    None => self.client.outbound.extend_from_slice(&frame),
                }
                return Err(Stop::Failed);
            }
            Next::Row(_) | Next::More => {}
        }
        Ok(())
    }

    /// A backend whose rows don't come in the order that they are merged by would make a wrong answer.
    fn prove_order(&self, position: usize) -> Result<(), RelayError> {
        let (Some(feed), Some(piece)) = (self.progress.feeds.get(position), self.pieces.get(position)) else {
            return Ok(());
        };
        let Some((bytes, ends)) = feed.last.as_ref().filter(|_| !self.orders.is_empty()) else { return Ok(()) };
        let frame = feed.frame(&piece.backend.framed.inbound);
        let mut start = 0;
        for (number, order) in self.orders.iter().enumerate() {
            let last =
                ends.get(number).copied().flatten().and_then(|end| bytes.get(std::mem::replace(&mut start, end)..end));
            match compare::keys(order, last, feed.row.key(frame, number)) {
                Some(Ordering::Equal) => {}
                Some(Ordering::Less) => return Ok(()),
                Some(Ordering::Greater) => {
                    let text = "a shard's rows don't come in the order that was expected of its types".to_owned();
                    return Err(RelayError::Disagree(text));
                }
                None => return Err(unreadable()),
            }
        }
        Ok(())
    }

    /// Where this backend's row belongs among those of the others; of equal ones the first backend's comes first.
    fn place(&self, position: usize) -> Result<usize, RelayError> {
        let (mut low, mut high) = (0, self.progress.order.len());
        while low < high {
            let middle = low.midpoint(high);
            let other = self.progress.order.get(middle).copied().unwrap_or(position);
            match self.compare(other, position)?.then(other.cmp(&position)) {
                Ordering::Less => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn compare(&self, one: usize, other: usize) -> Result<Ordering, RelayError> {
        let row = |position: usize| {
            let feed = self.progress.feeds.get(position)?;
            let inbound = &self.pieces.get(position)?.backend.framed.inbound;
            Some((&feed.row, feed.frame(inbound)))
        };
        let ((one, one_frame), (other, other_frame)) = row(one).zip(row(other)).ok_or_else(unreadable)?;
        for (number, order) in self.orders.iter().enumerate() {
            match compare::keys(order, one.key(one_frame, number), other.key(other_frame, number)) {
                Some(Ordering::Equal) => {}
                Some(ordering) => return Ok(ordering),
                None => return Err(unreadable()),
            }
        }
        Ok(Ordering::Equal)
    }

    /// Rows that came and weren't wanted yet are kept for the next Execute, so that the backends can be told
    /// something else.
    async fn keep(&mut self) -> Result<(), Stop> {
        for position in 0..self.pieces.len() {
            while let (Some(feed), Some(piece)) = (self.progress.feeds.get_mut(position), self.pieces.get_mut(position))
            {
                if feed.state != State::Running {
                    break;
                }
                let lost = |error: RelayError| Stop::Lost(position, error);
                match next(piece).map_err(lost)? {
                    Next::Row(len) => {
                        // That which is next has been read already.
                        if !(feed.has_row && feed.kept.is_empty()) {
                            renumber(&self.progress.renumber, position, piece, len).map_err(lost)?;
                        }
                        feed.kept.push_back(piece.backend.framed.inbound.split_to(len).freeze());
                    }
                    Next::More => {
                        fill(self.client, self.pieces, position, &mut self.watches_client).await.map_err(lost)?;
                    }
                    other => self.control(position, other)?,
                }
            }
        }
        Ok(())
    }
}

/// The row at the front of a backend's buffer, in the home shard's numbers.
fn renumber(all: &[Renumber], position: usize, piece: &mut Piece<'_>, len: usize) -> Result<(), RelayError> {
    let Some(Some((numbering, carriers))) = all.get(position) else { return Ok(()) };
    let frame = piece.backend.framed.inbound.get_mut(..len).unwrap_or_default();
    Ok(numbering.to_client.row(frame, carriers)?)
}

fn unreadable() -> RelayError {
    RelayError::Disagree("a shard's value isn't one of its type".to_owned())
}

/// Reads to their ends what the backends still send: rows that nobody wants, and what each piece expects behind
/// them. After a failure they are cancelled.
///
/// # Errors
/// As [`merge`].
pub async fn drain(
    client: &mut Framed,
    pieces: &mut [Piece<'_>],
    progress: &mut Progress,
    failed: bool,
) -> Result<(), (usize, RelayError)> {
    let mut result = Ok(());
    for (position, piece) in pieces.iter_mut().enumerate() {
        if piece.backend.condition == Condition::Broken {
            continue;
        }
        let feed = progress.feeds.get_mut(position);
        let running = feed.is_some_and(|feed| std::mem::replace(&mut feed.state, State::Done) == State::Running);
        if running {
            piece.expects.push_front(Expect::Execute);
            if failed {
                cancel(piece.backend).await;
            }
        }
        if let Err(error) = relay_part(client, piece.backend, piece.expects, &mut Part::silent()).await {
            tracing::debug!(%error, "a shard was lost behind its rows");
            if result.is_ok() {
                result = Err((position, error));
            }
        }
    }
    result
}
