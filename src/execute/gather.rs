//! Rows on their way from the shards to the scratch database. In: connections on which COPY ... TO STDOUT was
//! queued, and one that is to take the rows. Out: how many there were. All shards send at once; their binary
//! rows pass as raw frames, within bounds: a slow scratch database slows the shards.
//!
//! Doesn't know what the rows are for, nor the statement.

mod pull;
mod source;

pub use pull::{Filled, Limits, Pull, Pulled, pull};
pub use source::{Amount, Source};

use super::replies::{ClientFrame, without_fatal};
use crate::pool::{Backend, Condition};
use crate::protocol::backend::{self, tag};
use crate::protocol::frame::{self, Fields};
use crate::protocol::frontend::encode;
use crate::types::ClientError;
use crate::types::limits::FRAME_BYTES_MAX;

/// Why rows were not gathered.
#[derive(Debug)]
pub enum GatherError {
    /// A server's error, for the client.
    Refused(ClientFrame),
    /// The proxy's own.
    Own(ClientError),
    /// The client is gone.
    Client(std::io::Error),
    /// This connection was lost: a shard's, by its position among the sources, or `None` for the scratch database's.
    Lost { source: Option<usize>, reason: String },
}

/// What became of a statement that was looked at on the scratch database.
#[derive(Debug)]
pub enum Checked {
    Fits {
        /// The types of its result's columns.
        columns: Vec<u32>,
        tables: Vec<Made>,
    },
    /// The tables could not be made, or their definitions aren't there.
    Lacks(ClientFrame),
    /// The statement itself is wrong, or needs what isn't there.
    Wrong(ClientFrame),
}

/// A table that was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Made {
    pub oid: u32,
    /// Of its rows.
    pub row_type: u32,
    pub row_array_type: u32,
}

impl Made {
    /// The text that a preamble's last statements select: three OIDs.
    fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { oid: next()?, row_type: next()?, row_array_type: next()? })
    }
}

/// Makes settings, begins the transaction, makes the tables, tells their OIDs by the last rows, and has the query parsed, all in one
/// round trip.
///
/// # Errors
/// A lost connection.
pub async fn check(
    scratch: &mut Backend,
    settings: Option<&str>,
    preamble: &str,
    tables_made: usize,
    query: &[u8],
    types: &[u8],
) -> Result<Checked, GatherError> {
    let out = &mut scratch.framed.outbound;
    if let Some(settings) = settings {
        // By itself: what is set in the transaction ends with it.
        encode::query(out, settings.as_bytes());
        scratch.unanswered += 1;
    }
    encode::query(out, preamble.as_bytes());
    encode::parse(out, b"", query, types);
    encode::describe_statement(out, b"");
    encode::sync(out);
    scratch.unanswered += 2;
    scratch.unnamed = None;
    if settings.is_some()
        && let Some(frame) = answer(scratch, |_| ()).await?
    {
        scratch.condition = Condition::Broken;
        return Ok(Checked::Lacks(frame));
    }
    let mut errors: [Option<ClientFrame>; 2] = [None, None];
    let (mut columns, mut tables) = (Vec::new(), Vec::new());
    for (position, error) in errors.iter_mut().enumerate() {
        *error = answer(scratch, |frame| match frame.first() {
            Some(&tag::ROW_DESCRIPTION) => columns = column_types(frame).unwrap_or_default(),
            Some(&tag::DATA_ROW) if position == 0 => {
                // The last rows of the preamble; settings before them give other text.
                tables.extend(backend::first_text(frame).and_then(Made::read));
            }
            _ => {}
        })
        .await?;
    }
    let [lacks, wrong] = errors;
    Ok(match (lacks, wrong) {
        (Some(frame), _) => Checked::Lacks(frame),
        (None, Some(frame)) => Checked::Wrong(frame),
        (None, None) => {
            let surplus = tables.len().saturating_sub(tables_made);
            Checked::Fits { columns, tables: tables.split_off(surplus) }
        }
    })
}

/// Reads up to ReadyForQuery; the error, if one came.
///
/// # Errors
/// A lost connection.
pub async fn answer(backend: &mut Backend, mut see: impl FnMut(&[u8])) -> Result<Option<ClientFrame>, GatherError> {
    let result = read_answer(backend, &mut see).await;
    if result.is_err() {
        backend.condition = Condition::Broken;
    }
    result
}

async fn read_answer(backend: &mut Backend, see: &mut impl FnMut(&[u8])) -> Result<Option<ClientFrame>, GatherError> {
    let lost = |reason: String| GatherError::Lost { source: None, reason };
    backend.framed.flush().await.map_err(|error| lost(error.to_string()))?;
    let mut refused = None;
    loop {
        let header =
            frame::peek(&backend.framed.inbound, FRAME_BYTES_MAX + 1).map_err(|error| lost(error.to_string()))?;
        let Some(frame) = header.and_then(|header| backend.framed.inbound.get(..header.len)) else {
            if backend.framed.fill().await.map_err(|error| lost(error.to_string()))? == 0 {
                return Err(lost("end of stream".to_owned()));
            }
            continue;
        };
        let len = frame.len();
        let mut ready = None;
        match frame.first() {
            Some(&tag::ERROR) if backend::is_fatal(frame) => {
                let reason = backend::error_field(frame, b'M').unwrap_or_default();
                return Err(lost(String::from_utf8_lossy(reason).into_owned()));
            }
            Some(&tag::ERROR) => refused = refused.or_else(|| Some(without_fatal(frame))),
            Some(&tag::READY) => {
                ready = Some(backend::ready_status(frame).map_err(|error| lost(error.to_string()))?);
            }
            _ => see(frame),
        }
        backend.pass(len);
        if let Some(status) = ready {
            backend.status = status;
            backend.unanswered = backend.unanswered.saturating_sub(1);
            return Ok(refused);
        }
    }
}

/// The type OIDs of a RowDescription.
fn column_types(frame: &[u8]) -> Option<Vec<u32>> {
    let mut fields = Fields::of(frame).ok()?;
    let count = fields.count().ok()?;
    let mut column = || {
        fields.cstr().ok()?;
        fields.bytes(6).ok()?;
        let oid = fields.u32().ok()?;
        fields.bytes(8).ok()?;
        Some(oid)
    };
    (0..count).map(|_| column()).collect()
}
