//! Segments: runs of extended messages for one shard, from the first that names it to their Sync or Flush. In:
//! messages that have a place. Out: one write to the server, its replies, and what they change in the session.

use std::collections::VecDeque;
use std::sync::Arc;

use super::effects::Change;
use super::prepared::ClientStatement;
use super::shape::Described;
use super::turn::{Session, SessionEnd, violation};
use super::undo::{Undo, Unplaced};
use crate::execute::collect::{self, Asked, collect};
use crate::execute::relay::relay_part;
use crate::execute::scatter::Part;
use crate::execute::{Expect, RelayError, own};
use crate::planning::Access;
use crate::pool::prepared::Preparation;
use crate::pool::{Backend, Condition};
use crate::protocol::backend::{self, Status};
use crate::protocol::frame;
use crate::protocol::frontend::encode;
use crate::types::limits::{CLEAN_WAIT_MAX, LAST_WORDS_WAIT, TURN_BYTES_MAX, TURN_MESSAGES_MAX, UNPLACED_MAX};
use crate::types::{ClientError, ShardId, SqlState};

/// Messages for one shard whose Sync is still to come.
#[derive(Debug)]
pub struct Segment {
    pub shard: ShardId,
    /// A write was bound in it.
    pub(super) writes: bool,
    /// The shard has joined the client's block for it, and was sent nothing but Parses and Describes.
    pub(super) only_looks: bool,
    /// The changes of each Execute that is queued, in order.
    pub(super) executes: Vec<Vec<Change>>,
    /// The statements whose description is awaited, in order.
    pub(super) describes: Vec<Option<Arc<ClientStatement>>>,
    /// How the statement is described now that the proxy has asked for.
    pub(super) again: Option<Box<[u8]>>,
    /// As of its beginning.
    definitions: u64,
}

/// How a segment's messages are ended for now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Flush,
    Sync { shown: bool },
}

/// What came of a segment's messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ran {
    Answered,
    /// The same, but the server was copying in and ignored the Sync.
    SyncIgnored,
    /// The server was lost, and the client was told.
    Lost,
}

/// A message could not be carried out: everything up to Sync is ignored then.
pub(super) enum Failure {
    Client(ClientError),
    /// The client was told already.
    Told,
    End(SessionEnd),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<SessionEnd> for Failure {
    fn from(end: SessionEnd) -> Self {
        Self::End(end)
    }
}

impl From<frame::FrameError> for Failure {
    fn from(error: frame::FrameError) -> Self {
        Self::End(violation(error))
    }
}

impl Session {
    /// Parses that nothing has given a place to: they must be checked by a server all the same.
    pub(super) async fn place_anywhere(&mut self) -> Result<(), Failure> {
        if self.unplaced.is_empty() {
            return Ok(());
        }
        let shard = self.enter_anywhere().await?;
        self.place_parses(shard);
        Ok(())
    }

    /// Queues the Parses that wait on that shard's connection.
    pub(super) fn place_parses(&mut self, shard: ShardId) {
        for Unplaced { statement, previous } in std::mem::take(&mut self.unplaced) {
            self.queue_parse(shard, &statement, true);
            self.undo.push(Undo::Parse { name: statement.name.clone(), previous });
        }
    }

    /// Makes sure that the statement can be bound on that shard's connection.
    pub(super) fn prepare(&mut self, shard: ShardId, statement: &Arc<ClientStatement>) {
        let Some(lease) = self.transaction.lease_mut(shard) else { return };
        let fresh = match &statement.shared {
            Some(_) => false,
            None => {
                lease.unnamed.as_ref().is_some_and(|(sql, types)| *sql == statement.sql && *types == statement.declared)
            }
        };
        if !fresh {
            self.queue_parse(shard, statement, false);
        }
    }

    /// Parses on the connection, unless it has the statement; `shown`: the client awaits ParseComplete.
    pub(super) fn queue_parse(&mut self, shard: ShardId, statement: &ClientStatement, shown: bool) {
        let Some(lease) = self.transaction.lease_mut(shard) else { return };
        parse_on(lease, &mut self.expects, statement, shown);
    }

    /// Continues the segment on `shard`, or begins one there.
    pub(super) async fn enter_segment(&mut self, shard: ShardId, access: Access) -> Result<(), Failure> {
        let on_replica = self.transaction.lease_mut(shard).is_some_and(|lease| lease.is_replica());
        let changes_node = access == Access::Write && on_replica && !self.transaction.in_block();
        if changes_node || self.segment.as_ref().is_none_or(|segment| segment.shard != shard) {
            self.leave_segment().await?;
            self.reach(shard, access).await?;
            self.open_segment(shard);
        }
        Ok(())
    }

    pub(super) fn open_segment(&mut self, shard: ShardId) {
        if let Some(lease) = self.transaction.lease_mut(shard) {
            lease.unanswered += 1;
        }
        self.state.start_implicit();
        self.segment = Some(Segment {
            shard,
            writes: false,
            only_looks: false,
            executes: Vec::new(),
            describes: Vec::new(),
            again: None,
            definitions: self.database.statements.definitions(),
        });
    }

    /// The segment is over. A shard that only looked at statements leaves the block again: where they will run isn't
    /// known yet, and each block that prepares statements would hold a connection to the home shard for them.
    pub(super) async fn forget_segment(&mut self) {
        let Some(segment) = self.segment.take() else { return };
        let shard = segment.shard;
        if !segment.only_looks
            || self.transaction.held().len() != 1
            || self.transaction.status() != Status::InTransaction
        {
            return;
        }
        let Some(lease) = self.transaction.lease_mut(shard).filter(|lease| lease.status == Status::InTransaction)
        else {
            return;
        };
        let left = crate::net::timer::timeout(CLEAN_WAIT_MAX, own::run(lease, "ROLLBACK")).await;
        if !matches!(left, Ok(Ok(_))) || !lease.is_at_rest() {
            lease.condition = Condition::Broken;
        }
        // No cancel may reach the connection once it is another client's.
        self.cancel.clear().await;
        self.transaction.remove(shard);
    }

    /// Whether that shard would join the client's block.
    pub(super) fn would_join(&mut self, shard: ShardId) -> bool {
        !self.database.is_single()
            && !self.state.pins.any()
            && self.transaction.in_block()
            && self.transaction.lease_mut(shard).is_none()
    }

    /// Ends the segment because the next message is for another shard.
    pub(super) async fn leave_segment(&mut self) -> Result<(), Failure> {
        if self.scattering.is_some() {
            self.run_scatter(false).await?;
        }
        let Some(segment) = &self.segment else { return Ok(()) };
        if segment.writes && !self.transaction.in_block() && !self.transaction.is_spread() {
            return self.spread_segment().await;
        }
        self.end_segment().await
    }

    /// What is between two Syncs is one transaction, which now goes on to another shard: the server's implicit one becomes
    /// a block, which is committed with those of the other shards at the client's Sync.
    async fn spread_segment(&mut self) -> Result<(), Failure> {
        self.run_segment(End::Flush).await?;
        let Some(shard) = self.segment.as_ref().map(|segment| segment.shard).filter(|_| !self.skipping) else {
            return Err(Failure::Told);
        };
        if self.state.in_block() {
            // The client's own BEGIN was among the messages.
            return self.end_segment().await;
        }
        let lease = self.transaction.lease_mut(shard).expect("the segment's connection is held");
        let out = &mut lease.framed.outbound;
        encode::parse(out, b"", b"BEGIN", b"");
        encode::bind(out, b"", b"", &[0; 6]);
        encode::execute(out, b"", 0);
        encode::sync(out);
        lease.unnamed = None;
        let mut asked = [Asked { backend: lease, ahead: VecDeque::new() }];
        let answer = collect(&mut asked, LAST_WORDS_WAIT).await.into_iter().next().unwrap_or_default();
        self.segment = None;
        match answer.failure {
            None => {}
            Some(collect::Failure::Lost { reason, last_words }) => {
                self.survive(shard, RelayError::Backend { reason, last_words }, true).await?;
                return Err(Failure::Told);
            }
            Some(_) => {
                let error = ClientError::new(SqlState::INTERNAL_ERROR, "a server did not go on with a transaction");
                return Err(error.into());
            }
        }
        self.begin_spread(&[shard]).await?;
        self.transaction.tell(Some(shard));
        Ok(())
    }

    pub(super) async fn end_segment(&mut self) -> Result<(), Failure> {
        let hidden = End::Sync { shown: false };
        let mut ran = self.run_segment(hidden).await?;
        if ran == Ran::SyncIgnored {
            ran = self.run_segment(hidden).await?;
        }
        self.forget_segment().await;
        if ran == Ran::Answered && !self.skipping { Ok(()) } else { Err(Failure::Told) }
    }

    /// A Query or FunctionCall comes without a Sync before it: PostgreSQL takes it as one. False: something
    /// before it failed, so that it is skipped.
    pub(super) async fn close_segment(&mut self) -> Result<bool, SessionEnd> {
        if self.transaction.is_spread() || self.pending_write.is_some() {
            self.pending_write = None;
            self.fail_extended(&query_without_sync()).await?;
            return Ok(false);
        }
        if self.segment.is_none() && self.scattering.is_none() && self.unplaced.is_empty() {
            return Ok(true);
        }
        let mut result = self.place_anywhere().await;
        if result.is_ok() {
            result = match self.scattering {
                Some(_) => self.run_scatter(false).await,
                None => self.end_segment_for_query().await,
            };
        }
        match result {
            Ok(()) => return Ok(true),
            Err(Failure::End(end)) => return Err(end),
            Err(Failure::Client(error)) => self.fail_extended(&error).await?,
            Err(Failure::Told) => self.skipping = true,
        }
        self.drop_unplaced();
        Ok(false)
    }

    /// What was written since the last Sync would have to be committed with the Query.
    pub(super) async fn end_segment_for_query(&mut self) -> Result<(), Failure> {
        if self.segment.as_ref().is_some_and(|segment| segment.writes) {
            self.run_segment(End::Flush).await?;
            if self.skipping {
                return Err(Failure::Told);
            }
            if !self.state.in_block() {
                return Err(query_without_sync().into());
            }
        }
        self.end_segment().await
    }

    /// Sends the segment's messages and passes the replies on.
    pub(super) async fn run_segment(&mut self, end: End) -> Result<Ran, Failure> {
        let Some(segment) = &mut self.segment else { return Ok(Ran::Answered) };
        let shard = segment.shard;
        let renumbering = if shard.is_scratch() { self.transaction.renumbering(shard) } else { None };
        let lease = self.transaction.lease_mut(shard).expect("the segment's connection is held");
        match end {
            End::Flush => encode::flush(&mut lease.framed.outbound),
            End::Sync { shown } => {
                encode::sync(&mut lease.framed.outbound);
                self.expects.push_back(Expect::Sync { shown });
            }
        }
        let waiting = self.watch_waiting();
        let Some(segment) = &mut self.segment else { return Ok(Ran::Answered) };
        let lease = self.transaction.lease_mut(shard).expect("the segment's connection is held");
        let explaining = if segment.executes.is_empty() { None } else { self.explaining.take() };
        let preface = explaining.and_then(|plan| super::explain::preface(Some(&plan), lease));
        let mut part = Part::prefaced(preface).renumbered(renumbering);
        match relay_part(&mut self.client, lease, &mut self.expects, &mut part).await {
            Ok(outcome) => {
                let status = lease.status;
                if outcome.failed {
                    lease.unnamed = None;
                }
                segment.again = outcome.again.clone();
                let columns = outcome.columns.iter().zip(&outcome.shapes).map(Some).chain(std::iter::repeat(None));
                for ((statement, types), columns) in segment.describes.drain(..).zip(&outcome.described).zip(columns) {
                    let Some(statement) = statement else { continue };
                    let shape = columns.filter(|_| !shard.is_scratch()).map(|(_, shape)| shape);
                    if let Some(shape) = shape {
                        let _ = statement.described.set(Described::new(segment.definitions, shape.clone()));
                    }
                    let columns = columns.map(|(types, _)| types);
                    // A second description says the same.
                    let _ = statement.types.set(types.clone());
                    if let Some(columns) = columns.filter(|_| !shard.is_scratch()) {
                        let _ = statement.columns.set(columns.clone());
                    }
                }
                let executes = std::mem::take(&mut segment.executes);
                self.end_waiting(waiting);
                self.settle_names(&outcome);
                self.note_parameters(&outcome);
                let changes = executes.into_iter().enumerate();
                let changes = changes.flat_map(|(at, all)| all.into_iter().map(move |change| (at, change))).collect();
                self.acting = Some(shard);
                self.complete(changes, outcome.completed, outcome.failed);
                self.acting = None;
                if outcome.sync_ignored {
                    self.skipping |= outcome.failed;
                    return Ok(Ran::SyncIgnored);
                }
                if shard.is_scratch() {
                    if outcome.failed {
                        self.fail_block().await;
                    }
                } else if matches!(end, End::Sync { .. }) {
                    self.adopt(status);
                }
                self.skipping |= outcome.failed && end != (End::Sync { shown: true });
                Ok(Ran::Answered)
            }
            Err(error) => {
                let ends = segment.executes.iter().flatten().any(Change::ends_block);
                let commits = segment.executes.iter().flatten().any(Change::commits);
                let may_commit = commits || (segment.writes && !ends);
                self.survive_ending(shard, error, may_commit, ends).await?;
                self.skipping = true;
                Ok(Ran::Lost)
            }
        }
    }

    /// The proxy fails a message: what was queued before it is answered first, then the error comes, and
    /// the transaction fails as it would have on a server.
    pub(super) async fn fail_extended(&mut self, error: &ClientError) -> Result<(), SessionEnd> {
        let mut earlier = None;
        match self.place_anywhere().await {
            Ok(()) => {}
            Err(Failure::End(end)) => return Err(end),
            Err(Failure::Told) => {
                self.skipping = true;
                return Ok(());
            }
            Err(Failure::Client(error)) => earlier = Some(error),
        }
        let error = earlier.as_ref().unwrap_or(error);
        if let Some(segment) = &self.segment {
            let shard = segment.shard;
            if let Some(lease) = self.transaction.lease_mut(shard) {
                encode::parse(&mut lease.framed.outbound, b"", own::POISON, b"");
                lease.unnamed = None;
                self.expects.push_back(Expect::Poison);
            }
            match self.run_segment(End::Flush).await {
                Err(Failure::End(end)) => return Err(end),
                // A server's own error came first: it is what PostgreSQL would have said.
                _ if self.skipping => return Ok(()),
                _ => self.say_error(error),
            }
            // What completed since the last Sync is rolled back with the rest.
            self.complete(Vec::new(), 0, true);
        } else {
            if self.scattering.is_some() {
                match self.run_scatter(false).await {
                    Err(Failure::End(end)) => return Err(end),
                    Err(_) => {
                        self.skipping = true;
                        return Ok(());
                    }
                    Ok(()) => {}
                }
            }
            self.expects.clear();
            self.refuse(error).await;
        }
        if self.transaction.in_block() {
            self.transaction.fail();
        }
        self.skipping = true;
        Ok(())
    }

    /// A long turn without a Sync is sent on in pieces, so that it doesn't fill memory.
    pub(super) async fn bound_queue(&mut self) -> Result<(), SessionEnd> {
        let waiting: usize = self.unplaced.iter().map(|waiting| waiting.statement.sql.len()).sum();
        if waiting > TURN_BYTES_MAX || self.unplaced.len() > UNPLACED_MAX {
            match self.place_anywhere().await {
                Ok(()) => {}
                Err(Failure::End(end)) => return Err(end),
                Err(Failure::Client(error)) => self.fail_extended(&error).await?,
                Err(Failure::Told) => self.skipping = true,
            }
        }
        if let Some(shard) = self.segment.as_ref().map(|segment| segment.shard) {
            let queued = self.transaction.lease_mut(shard).map_or(0, |lease| lease.framed.outbound.len());
            if queued > TURN_BYTES_MAX || self.expects.len() > TURN_MESSAGES_MAX {
                // Other failures were told to the client, which now is to skip to its Sync.
                if let Err(Failure::End(end)) = self.run_segment(End::Flush).await {
                    return Err(end);
                }
            }
        }
        // The proxy's own answers.
        if self.client.outbound.len() > TURN_BYTES_MAX { self.flush().await } else { Ok(()) }
    }
}

fn query_without_sync() -> ClientError {
    ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, "a Query behind a write without a Sync between them")
        .hint("Send a Sync before the Query.")
}

/// Parses on the connection, unless it has the statement; `shown`: the client awaits ParseComplete.
pub(super) fn parse_on(lease: &mut Backend, expects: &mut VecDeque<Expect>, statement: &ClientStatement, shown: bool) {
    let Some(shared) = &statement.shared else {
        lease.queue_parse(b"", &statement.sql, &statement.declared);
        lease.unnamed = Some((statement.sql.clone(), statement.declared.clone()));
        expects.push_back(Expect::Parse { shown, statement: None });
        return;
    };
    let preparation = lease.prepared.touch(shared);
    let failed = lease.status == Status::Failed;
    match preparation {
        Preparation::Ready => {
            if shown && failed {
                // In a failed transaction a server parses little: it is asked.
                lease.queue_parse(b"", &shared.sql, &shared.types);
                lease.unnamed = None;
                expects.push_back(Expect::Parse { shown: false, statement: None });
            }
            if shown {
                expects.push_back(Expect::Owed(backend::tag::PARSE_COMPLETE));
            }
        }
        Preparation::Parse { evict } => {
            if let Some(evicted) = evict {
                encode::close_statement(&mut lease.framed.outbound, evicted.name());
                expects.push_back(Expect::Close { shown: false, evicted: Some(evicted) });
            }
            lease.queue_parse(shared.name(), &shared.sql, &shared.types);
            expects.push_back(Expect::Parse { shown, statement: Some(Arc::clone(shared)) });
        }
    }
}
