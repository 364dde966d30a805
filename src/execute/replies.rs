//! What the messages that were sent will be answered with, and what became of them.

use std::io;
use std::sync::Arc;

use thiserror::Error;

use crate::pool::{Backend, Statement};
use crate::protocol::FrameError;
use crate::protocol::backend::{self, Status};
use crate::types::{ClientError, SqlState};

/// One expected reply, in the order of the messages.
#[derive(Debug)]
pub enum Expect {
    /// A Query of the proxy's own, ahead of the client's messages: hidden up to its ReadyForQuery.
    OwnQuery,
    /// Nothing was sent; the client is owed this empty message (ParseComplete, CloseComplete).
    Owed(u8),
    /// Nothing was sent; the client is told this.
    Say(Box<[u8]>),
    /// ParseComplete; on an error the backend forgets the statement.
    Parse {
        shown: bool,
        statement: Option<Arc<Statement>>,
    },
    Bind,
    /// CloseComplete; on an error the backend keeps the statement that it was to forget.
    Close {
        shown: bool,
        evicted: Option<Arc<Statement>>,
    },
    /// ParameterDescription, then RowDescription or NoData.
    DescribeStatement,
    DescribePortal,
    /// The same, of the proxy's own: hidden.
    DescribeOwn,
    /// As DescribeStatement, of the proxy's own: hidden, and kept as [`Outcome::again`].
    DescribeAgain,
    /// Up to CommandComplete, EmptyQueryResponse or PortalSuspended.
    Execute,
    /// Everything up to ReadyForQuery.
    Query {
        shown_ready: bool,
    },
    /// The error that the proxy asked for, to make the server's transaction fail: hidden.
    Poison,
    /// ReadyForQuery.
    Sync {
        shown: bool,
    },
}

/// What one run of the relay saw.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Statements that completed: those of a Query, or Executes.
    pub completed: usize,
    /// Rows that the command tags say.
    pub rows: u64,
    /// An ErrorResponse came.
    pub failed: bool,
    /// The SQLSTATE of that error.
    pub sqlstate: Option<[u8; 5]>,
    /// Answers to DescribeStatement, in order.
    pub described: Vec<Box<[u32]>>,
    /// The types of the columns that go with them.
    pub columns: Vec<Box<[u32]>>,
    /// What those are: see [`backend::shape`].
    pub shapes: Vec<Box<[u8]>>,
    /// The same, of DescribeAgain.
    pub again: Option<Box<[u8]>>,
    /// ParameterStatus messages that the client was shown.
    pub parameters: Vec<(Box<str>, Box<str>)>,
    /// The Sync was sent to a server that was copying in, which ignores it: the client's next one counts.
    pub sync_ignored: bool,
    /// Of the replies that an error made void, those whose messages changed what the session knows.
    pub undone: usize,
    /// The first of them is that of the message that failed; the others were skipped.
    pub front_failed: bool,
    /// The error was that a prepared statement doesn't fit its tables any more.
    pub stale_plan: bool,
}

impl Expect {
    /// Whether the session remembers the message, and forgets it again when it fails or is skipped:
    /// a Parse, a Bind, a Close.
    pub fn may_be_undone(&self) -> bool {
        match self {
            Self::Parse { shown, .. } | Self::Close { shown, .. } => *shown,
            Self::Owed(_) | Self::Bind => true,
            _ => false,
        }
    }
}

impl Outcome {
    pub(super) fn note_error(&mut self, frame: &[u8]) {
        self.failed = true;
        self.sqlstate = backend::error_field(frame, b'C').and_then(|code| code.try_into().ok());
        // "cached plan must not change result type", in whatever language.
        self.stale_plan = backend::error_field(frame, b'R') == Some(b"RevalidateCachedQuery");
    }

    pub(super) fn note_parameter(&mut self, frame: &[u8]) {
        if let Ok((name, value)) = backend::parameter_status(frame) {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
            self.parameters.push((text(name), text(value)));
        }
    }
}

#[derive(Debug, Error)]
pub enum RelayError {
    #[error("the client went away: {0}")]
    Client(io::Error),
    /// The server's stream ended. Whether what was sent took effect is not known.
    #[error("the server closed the connection: {reason}")]
    Backend {
        reason: String,
        /// The FATAL error that the server gave as its last word.
        last_words: Option<ClientFrame>,
    },
    /// The server sent what can't be: its connection is closed.
    #[error("unexpected message from the server: {0}")]
    Protocol(String),
    /// The shards' answers can't be one.
    #[error("{0}")]
    Disagree(String),
    /// More than a limit allows.
    #[error("{0}")]
    TooMuch(String),
    /// The client sent what can't be.
    #[error("{0}")]
    ClientProtocol(FrameError),
    /// The server was lost when the client had part of a message: nothing more can be said to it.
    #[error("the server was lost in the middle of a message")]
    Torn,
    /// What ran was cancelled because the session is to end.
    #[error("the session is ended")]
    Ended,
    /// A statement of the proxy's own failed on the server: its error, for the client.
    #[error("a statement sent ahead failed")]
    Ahead(ClientFrame),
}

/// An ErrorResponse of a server, with its severity as the client should see it.
#[derive(Debug)]
pub struct ClientFrame(pub Vec<u8>);

impl From<FrameError> for RelayError {
    fn from(error: FrameError) -> Self {
        Self::Protocol(error.to_string())
    }
}

/// Copies an ErrorResponse with severity ERROR instead of FATAL: it was the backend's connection that
/// ended, not the client's.
pub(super) fn without_fatal(frame: &[u8]) -> ClientFrame {
    let mut copy = Vec::with_capacity(frame.len());
    let Some(body) = frame.get(5..) else { return ClientFrame(frame.to_vec()) };
    copy.extend_from_slice(&[backend::tag::ERROR, 0, 0, 0, 0]);
    for field in body.split_inclusive(|&byte| byte == 0) {
        match field.first() {
            Some(&kind @ (b'S' | b'V')) => {
                copy.push(kind);
                copy.extend_from_slice(b"ERROR\0");
            }
            _ => copy.extend_from_slice(field),
        }
    }
    let len = u32::try_from(copy.len() - 1).unwrap_or(u32::MAX);
    if let Some(place) = copy.get_mut(1..5) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    ClientFrame(copy)
}

/// What a client is told when the connection to a server is lost under its statement.
pub fn lost(backend: &Backend, reason: &str, may_have_committed: bool) -> ClientError {
    let node = backend.node.describe();
    if may_have_committed {
        ClientError::new(
            SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
            format!("the connection to {node} was lost before the statement was answered"),
        )
        .detail(reason)
        .hint("The statement may have taken effect: look before repeating it.")
    } else {
        ClientError::new(SqlState::CONNECTION_FAILURE, format!("the connection to {node} was lost"))
            .detail(reason)
            .hint("The transaction is rolled back and can be tried again.")
    }
}

/// What a client is told whose statement was cancelled to break a deadlock over several shards.
pub(super) fn deadlock() -> ClientError {
    ClientError::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
        .detail("Transactions over several shards wait for each other, and this one is the youngest.")
        .hint("The transaction can be tried again. Transactions that lock rows in the same order don't run into this.")
}

/// What a client is told whose statement was cancelled since it took too long.
pub(super) fn timed_out() -> ClientError {
    ClientError::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")
}

/// The status of a client's session over all connections of its transaction.
pub fn combine(statuses: impl Iterator<Item = Status>) -> Status {
    let mut all = Status::Idle;
    for status in statuses {
        match status {
            Status::Failed => return Status::Failed,
            Status::InTransaction => all = Status::InTransaction,
            Status::Idle => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fatal_error_becomes_an_error() {
        let frame = b"E\0\0\0\x20SFATAL\0VFATAL\0C57P01\0Mbye\0\0";
        let ClientFrame(copy) = without_fatal(frame);
        assert_eq!(&copy[5..], b"SERROR\0VERROR\0C57P01\0Mbye\0\0");
        assert_eq!(copy[1..5], u32::to_be_bytes(copy.len() as u32 - 1));
    }
}
