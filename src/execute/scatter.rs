//! The same messages on several backends, one answer: the first backend's descriptions, the rows of
//! all one after the other, and one CommandComplete with the sum. Rows stay raw frames and are not
//! held back: a backend whose turn hasn't come is slowed down by its own socket.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

use super::copy_out::{CopyPart, Shown};
use super::relay::relay_part;
use super::replies::{Expect, Outcome, RelayError};
use crate::net::Framed;
use crate::pool::connect::send_cancel;
use crate::pool::{Backend, Condition};
use crate::protocol::backend::{self, tag};
use crate::protocol::description::Renumbering;
use crate::protocol::frame::Fields;
use crate::protocol::moved::Moved;
use crate::types::limits::{CANCEL_WAIT_MAX, NOTICES_MAX};

/// What of one backend's replies the client gets to see.
#[derive(Debug)]
pub struct Part {
    role: Role,
    /// Rows counted by the CommandCompletes so far.
    pub rows: u64,
    /// An Execute ended with PortalSuspended.
    pub suspended: bool,
    /// The first part's RowDescription, which the others must fit.
    description: Option<Vec<u8>>,
    /// The first command tag.
    tag: Option<String>,
    /// The only part's tag is kept from the client.
    holds_tag: bool,
    /// Hashes of the notices that were shown: one server would have given each once.
    notices: Vec<u64>,
    /// Rows of the proxy's own ahead of the server's first row, as encoded messages.
    preface: Option<BytesMut>,
    /// How the text that the server got differs from the client's.
    moved: Option<Moved>,
    renumbering: Option<Arc<Renumbering>>,
    /// RowDescriptions are kept from the client, and here.
    described: Option<Vec<Bytes>>,
    /// The same for rows.
    kept: Option<VecDeque<Bytes>>,
    /// Where errors of a statement that was made of the client's are in the client's.
    remap: Option<Remap>,
    /// The data of a COPY TO STDOUT, of which there are several.
    copy: Option<CopyPart>,
}

/// From a position in the statement that a server was given to one in the client's.
#[derive(Clone)]
pub struct Remap(pub Arc<dyn Fn(usize) -> Option<usize> + Send + Sync>);

impl std::fmt::Debug for Remap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Remap")
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// Everything: there is one backend.
    Whole,
    First,
    /// Rows and errors.
    Later,
    /// A session command's answer, which the first backend has given already: errors only.
    Echo,
    /// Nothing: the answer has failed already.
    Silent,
}

impl Part {
    pub fn whole() -> Self {
        Self {
            role: Role::Whole,
            rows: 0,
            suspended: false,
            description: None,
            tag: None,
            holds_tag: false,
            notices: Vec::new(),
            preface: None,
            moved: None,
            described: None,
            kept: None,
            remap: None,
            renumbering: None,
            copy: None,
        }
    }

    /// Descriptions of rows say other numbers.
    #[must_use]
    pub fn renumbered(self, renumbering: Option<Arc<Renumbering>>) -> Self {
        Self { renumbering, ..self }
    }

    /// What the client gets instead of the frame.
    pub(super) fn replacement(&self, tag: u8, frame: &[u8]) -> Result<Option<BytesMut>, RelayError> {
        match &self.renumbering {
            Some(renumbering) if tag == tag::ROW_DESCRIPTION => Ok(Some(renumbering.apply(frame)?)),
            _ => Ok(None),
        }
    }

    /// Of a statement of the proxy's own whose rows are the client's: rows and errors. `keeps`: rows aren't sent
    /// on, they are kept.
    pub fn answering(remap: Remap, keeps: bool) -> Self {
        Self { role: Role::Later, remap: Some(remap), kept: keeps.then(VecDeque::new), ..Self::whole() }
    }

    pub fn take_kept(&mut self) -> VecDeque<Bytes> {
        self.kept.take().unwrap_or_default()
    }

    pub(super) fn keeping(&mut self) -> Option<&mut VecDeque<Bytes>> {
        self.kept.as_mut()
    }

    /// Nothing is for the client.
    pub(super) fn silent() -> Self {
        Self { role: Role::Silent, ..Self::whole() }
    }

    /// The error as the client is to see it; `own`: of its own statement.
    pub(super) fn shown_error(&self, frame: &[u8], own: bool) -> Option<Vec<u8>> {
        let Remap(remap) = self.remap.as_ref().filter(|_| !own)?;
        Some(backend::repositioned(frame, &**remap))
    }

    /// For EXPLAIN: these rows come before the server's.
    pub fn prefaced(preface: Option<BytesMut>) -> Self {
        Self { preface, ..Self::whole() }
    }

    /// The server gets a text that differs so from the client's.
    #[must_use]
    pub fn moved(self, moved: Option<Moved>) -> Self {
        Self { moved, ..self }
    }

    pub(super) fn moves(&self) -> Option<&Moved> {
        self.moved.as_ref()
    }

    /// Whether rows pass without a look.
    pub(super) fn passes_rows(&self) -> bool {
        self.preface.is_none() && self.kept.is_none() && self.copy.is_none() && !self.is_silent()
    }

    /// What is for the client of a message of a COPY TO STDOUT.
    pub(super) fn take_copy(&mut self, tag: u8, frame: &[u8]) -> Shown {
        let silent = self.is_silent();
        match &mut self.copy {
            Some(copy) => copy.take(tag, frame),
            None if silent => Shown::Nothing,
            None => Shown::Whole,
        }
    }

    /// What commits is not yet done when the server says so: the CommandComplete is left to the caller.
    pub fn hold_tag(&mut self) {
        self.holds_tag = true;
    }

    pub fn take_tag(&mut self) -> Option<String> {
        self.tag.take()
    }

    /// What comes is the client's, as it comes.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.role == Role::Whole && self.renumbering.is_none() && !self.holds_tag
    }

    pub(super) fn take_preface(&mut self) -> Option<BytesMut> {
        self.preface.take()
    }

    /// One backend whose CommandComplete is held back: see [`Part::into_tag`].
    pub fn without_tag() -> Self {
        Self::first()
    }

    /// The tag of the first statement that completed.
    pub fn into_tag(self) -> Option<String> {
        self.tag
    }

    fn first() -> Self {
        Self { role: Role::First, ..Self::whole() }
    }

    pub(super) fn is_silent(&self) -> bool {
        matches!(self.role, Role::Silent | Role::Echo)
    }

    /// Whether a message that can come at any time is for the client.
    pub(super) fn shows(&mut self, frame: &[u8]) -> bool {
        let is_notice = frame.first() == Some(&tag::NOTICE);
        match self.role {
            Role::Whole => true,
            Role::First => {
                if is_notice && self.notices.len() < NOTICES_MAX {
                    self.notices.push(xxh3_64(frame));
                }
                true
            }
            Role::Later => is_notice && !self.notices.contains(&xxh3_64(frame)),
            Role::Echo | Role::Silent => false,
        }
    }

    pub(super) fn hides_errors(&self) -> bool {
        self.role == Role::Silent
    }

    /// Whether a reply is for the client; counts rows and compares descriptions on the way.
    ///
    /// # Errors
    /// When the shards' columns differ: their rows can't be one answer.
    pub(super) fn take(&mut self, tag: u8, frame: &[u8]) -> Result<bool, RelayError> {
        match (self.role, tag) {
            (Role::Whole, tag::COMMAND_COMPLETE) if self.holds_tag => {
                self.tag = Some(String::from_utf8_lossy(backend::command_tag(frame)?).into_owned());
                Ok(false)
            }
            (Role::Whole, _) => Ok(true),
            (Role::Silent | Role::Echo, _) => Ok(false),
            (_, tag::ROW_DESCRIPTION) if self.described.is_some() => {
                self.described.get_or_insert_default().push(Bytes::copy_from_slice(frame));
                Ok(false)
            }
            (_, tag::COMMAND_COMPLETE) => {
                let text = backend::command_tag(frame)?;
                self.rows += backend::tag_rows(text);
                self.tag.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
                Ok(false)
            }
            (_, tag::PORTAL_SUSPENDED) => {
                self.suspended = true;
                Ok(false)
            }
            (Role::First, tag::ROW_DESCRIPTION) => {
                self.description = Some(frame.to_vec());
                Ok(true)
            }
            (Role::First, _) => Ok(true),
            (Role::Later, tag::ROW_DESCRIPTION) => {
                match &self.description {
                    Some(first) => fits(first, frame)?,
                    None => self.description = Some(frame.to_vec()),
                }
                Ok(false)
            }
            (Role::Later, _) => Ok(false),
        }
    }
}

/// Whether the rows behind both descriptions may be one result.
///
/// # Errors
/// [`RelayError::Disagree`] with the column that differs.
pub fn fits(first: &[u8], other: &[u8]) -> Result<(), RelayError> {
    let mut a = Fields::of(first)?;
    let mut b = Fields::of(other)?;
    let columns = a.count()?;
    if b.count()? != columns {
        return Err(RelayError::Disagree("the shards return different numbers of columns".to_owned()));
    }
    for _ in 0..columns {
        let (name, other_name) = (a.cstr()?, b.cstr()?);
        // Table OID and column number differ from server to server.
        a.bytes(6)?;
        b.bytes(6)?;
        let (oid, other_oid) = (a.u32()?, b.u32()?);
        let size = (a.i16()?, a.i32()?);
        let other_size = (b.i16()?, b.i32()?);
        let (format, other_format) = (a.i16()?, b.i16()?);
        if name != other_name || oid != other_oid || size.0 != other_size.0 || format != other_format {
            let name = String::from_utf8_lossy(name);
            return Err(RelayError::Disagree(format!("the shards have different types for column \"{name}\"")));
        }
    }
    Ok(())
}

/// How the answers of several backends become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Merge {
    Concatenate,
    /// Of the data of a COPY; `header`: it begins with a line of names.
    CopyOut {
        header: bool,
    },
    /// The same command on each: the first one's answer stands for all.
    Echo,
    /// Descriptions aren't shown, they are given back; `quiet`: nothing is shown but errors and notices.
    Prologue {
        quiet: bool,
    },
}

/// One backend of a scatter, with what it owes.
pub struct Piece<'a> {
    pub backend: &'a mut Backend,
    pub expects: &'a mut VecDeque<Expect>,
    /// See [`Part::prefaced`].
    pub preface: Option<BytesMut>,
}

/// What a scatter saw.
#[derive(Debug)]
pub struct Scattered {
    /// Of the first backend, but `failed` if any failed.
    pub outcome: Outcome,
    /// The tag of the whole answer, if statements completed.
    pub tag: Option<String>,
    /// RowDescriptions that weren't shown, in order.
    pub described: Vec<Bytes>,
}

/// Passes on the answers of all pieces; the CommandComplete for all is left to the caller.
///
/// # Errors
/// The position of the backend whose stream was lost, and how. The others are at rest or broken.
pub async fn scatter(
    client: &mut Framed,
    pieces: &mut [Piece<'_>],
    merge: Merge,
    remap: Option<Remap>,
) -> Result<Scattered, (usize, RelayError)> {
    flush(client, pieces).await?;
    let mut part = Part { remap, ..Part::first() };
    if let Merge::Prologue { .. } = merge {
        part.described = Some(Vec::new());
    }
    let mut first: Option<Outcome> = None;
    let count = pieces.len();
    for position in 0..count {
        let Some(piece) = pieces.get_mut(position) else { break };
        if merge == Merge::Echo {
            part.role = if position == 0 { Role::First } else { Role::Echo };
        } else if position > 0 || merge == (Merge::Prologue { quiet: true }) {
            part.role = Role::Later;
        }
        if let Merge::CopyOut { header } = merge {
            let last = position + 1 == count;
            part.copy = Some(CopyPart::new(header, position == 0, last));
        }
        part.preface = piece.preface.take();
        match relay_part(client, piece.backend, piece.expects, &mut part).await {
            Ok(outcome) => {
                let failed = outcome.failed;
                let all = first.get_or_insert(outcome);
                all.rows = part.rows.max(all.rows);
                if failed {
                    all.failed = true;
                    silence(client, pieces, Some(position)).await;
                    break;
                }
            }
            Err(error) => {
                silence(client, pieces, Some(position)).await;
                return Err((position, error));
            }
        }
    }
    let outcome = first.unwrap_or_default();
    let summed = |tag: &str| ["SELECT", "COPY"].into_iter().find(|word| tag.split(' ').next() == Some(word));
    let tag = part.tag.map(|tag| match summed(&tag) {
        Some(word) => format!("{word} {}", part.rows),
        None => tag,
    });
    Ok(Scattered { outcome, tag, described: part.described.unwrap_or_default() })
}

/// Sends what is queued: all work at once. A server that doesn't take its request now gets the rest when it is
/// read.
///
/// # Errors
/// As [`scatter`].
pub(super) async fn flush(client: &mut Framed, pieces: &mut [Piece<'_>]) -> Result<(), (usize, RelayError)> {
    for (position, piece) in pieces.iter_mut().enumerate() {
        if let Err(error) = piece.backend.framed.try_flush_now() {
            piece.backend.condition = Condition::Broken;
            let error = RelayError::Backend { reason: error.to_string(), last_words: None };
            silence(client, pieces, None).await;
            return Err((position, error));
        }
    }
    Ok(())
}

/// Cancels and reads to their ends the pieces behind `after`, whose rows nobody wants any more.
async fn silence(client: &mut Framed, pieces: &mut [Piece<'_>], after: Option<usize>) {
    let skip = after.map_or(0, |position| position + 1);
    for piece in pieces.iter_mut().skip(skip) {
        if piece.backend.condition == Condition::Broken {
            continue;
        }
        cancel(piece.backend).await;
        let mut part = Part::silent();
        if let Err(error) = relay_part(client, piece.backend, piece.expects, &mut part).await {
            tracing::debug!(%error, "a shard of a failed scatter was lost");
        }
    }
}

/// Uncancelled, it is read to its end all the same.
pub(super) async fn cancel(backend: &Backend) {
    let key = Arc::clone(&backend.key);
    let cancel = send_cancel(&key.node.config, key.process_id, &key.secret_key);
    let _ = crate::net::timer::timeout(CANCEL_WAIT_MAX, cancel).await;
}

/// One backend's share of an Execute with a row limit: its rows, and whether it has more.
///
/// # Errors
/// As [`relay_part`].
pub async fn fetch(client: &mut Framed, piece: Piece<'_>, is_first: bool) -> Result<(Outcome, u64, bool), RelayError> {
    let mut part = Part::first();
    if !is_first {
        part.role = Role::Later;
    }
    let outcome = relay_part(client, piece.backend, piece.expects, &mut part).await?;
    Ok((outcome, part.rows, part.suspended))
}
