//! What a client was told of a statement's columns holds for as long as it has the statement, whichever connection serves it:
//! once tables have changed, a statement whose columns would be others fails, as on a server that has kept it. In: a statement
//! at its Bind. Out: the same, or the server's error.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::prepared::ClientStatement;
use super::segment::{End, Failure};
use super::turn::Session;
use crate::execute::Expect;
use crate::protocol::frontend::encode;
use crate::types::{ClientError, SqlState};

/// See [`ClientStatement::described`].
#[derive(Debug)]
pub struct Described {
    /// [`crate::pool::Statements::definitions`] when that was last seen to hold.
    definitions: AtomicU64,
    shape: Box<[u8]>,
}

impl Described {
    pub fn new(definitions: u64, shape: Box<[u8]>) -> Arc<Self> {
        Arc::new(Self { definitions: AtomicU64::new(definitions), shape })
    }
}

impl Session {
    /// Tables may have changed since the client was told.
    #[inline]
    pub(super) fn is_stale(&self, statement: &ClientStatement) -> bool {
        statement.described.get().is_some_and(|described| {
            described.definitions.load(Ordering::Relaxed) != self.database.statements.definitions()
        })
    }

    /// Asks a server for its columns as they are now, between the client's messages.
    pub(super) async fn look_at_shape(&mut self, statement: &ClientStatement) -> Result<(), Failure> {
        let Some(described) = statement.described.get().filter(|_| !self.transaction.is_failed()) else {
            return Ok(());
        };
        let now = self.database.statements.definitions();
        self.place_anywhere().await?;
        let shard = self.enter_anywhere().await?;
        let lease = self.transaction.lease_mut(shard).expect("the segment's connection is held");
        lease.queue_parse(b"", &statement.sql, &statement.declared);
        lease.unnamed = None;
        encode::describe_statement(&mut lease.framed.outbound, b"");
        self.expects.push_back(Expect::Parse { shown: false, statement: None });
        self.expects.push_back(Expect::DescribeAgain);
        self.run_segment(End::Flush).await?;
        if self.skipping {
            return Err(Failure::Told);
        }
        match self.segment.as_mut().and_then(|segment| segment.again.take()) {
            Some(shape) if shape != described.shape => {
                let text = "cached plan must not change result type";
                Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text).into())
            }
            _ => {
                described.definitions.store(now, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}
