//! Statements that run on several shards at once: scatters in both protocols, and session commands
//! within a transaction that is on several shards.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Buf;

use super::effects::Change;
use super::numbering;
use super::prepared::{ClientStatement, Place, Portal};
use super::segment::Failure;
use super::turn::{Session, SessionEnd};
use super::undo::{Undo, Unplaced};
use crate::execute::scatter::{Merge, Piece, Remap, fetch, scatter};
use crate::execute::{Expect, RelayError};
use crate::planning::merge::Verdict;
use crate::planning::{Access, Template};
use crate::protocol::backend::{self, tag};
use crate::protocol::frontend::{Bind, Execute, encode};
use crate::sql::Command;
use crate::sql::command::Verb;
use crate::transaction::Transaction;
use crate::types::{ClientError, ShardId, ShardSet, SqlState};

/// A scatter of the extended protocol whose Sync is still to come.
#[derive(Debug)]
pub struct ScatterSegment {
    pub portal: Box<[u8]>,
    pub(super) how: How,
    pub(super) shards: Vec<(ShardId, VecDeque<Expect>)>,
}

/// How the answers become one.
#[derive(Clone, Debug)]
pub(super) struct How {
    pub merge: Merge,
    /// The columns that every shard is to describe.
    pub expected: Option<Arc<Verdict>>,
    pub remap: Option<Remap>,
}

impl How {
    pub(super) fn of(merge: Merge) -> Self {
        Self { merge, expected: None, remap: None }
    }
}

impl ScatterSegment {
    /// Owes the client a message behind the replies of the first shard.
    pub(super) fn owe(&mut self, tag: u8) {
        if let Some((_, expects)) = self.shards.first_mut() {
            expects.push_back(Expect::Owed(tag));
        }
    }
}

/// The connections that these expectations are of, in their order.
pub(super) fn pieces<'a>(
    transaction: &'a mut Transaction,
    waiting: &'a mut [(ShardId, VecDeque<Expect>)],
    explaining: Option<&str>,
) -> Vec<Piece<'a>> {
    let order: Vec<ShardId> = waiting.iter().map(|(shard, _)| *shard).collect();
    let mut queues: Vec<(ShardId, &mut VecDeque<Expect>)> =
        waiting.iter_mut().map(|(shard, expects)| (*shard, expects)).collect();
    let mut pieces: Vec<(usize, Piece<'_>)> = Vec::with_capacity(order.len());
    for held in transaction.held_mut() {
        if let Some(at) = queues.iter().position(|(shard, _)| *shard == held.shard) {
            let (shard, expects) = queues.swap_remove(at);
            let rank = order.iter().position(|&other| other == shard).unwrap_or(usize::MAX);
            let preface = super::explain::preface(explaining, &held.lease);
            pieces.push((rank, Piece { preface, backend: &mut held.lease, expects }));
        }
    }
    pieces.sort_by_key(|(rank, _)| *rank);
    pieces.into_iter().map(|(_, piece)| piece).collect()
}

impl Session {
    /// A Query on several shards.
    pub(super) async fn run_on_several(
        &mut self,
        shards: Vec<ShardId>,
        template: &Template,
        changes: Vec<(usize, Change)>,
        len: usize,
        instead: Option<(Vec<u8>, Remap)>,
    ) -> Result<(), SessionEnd> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let sql = crate::protocol::frontend::query(frame).unwrap_or_default();
        let merge = match self.merge_of(template, sql) {
            Ok(merge) => merge,
            Err(error) => {
                self.client.inbound.advance(len);
                self.refuse(&error).await;
                self.say_ready();
                return Ok(());
            }
        };
        let mut waiting = Vec::with_capacity(shards.len());
        let access = super::admission::access_of(template);
        for shard in shards {
            if let Err(error) = self.reach(shard, access).await {
                self.client.inbound.advance(len);
                self.abandon(&waiting);
                self.refuse(&error).await;
                self.say_ready();
                return Ok(());
            }
            let mut expects = std::mem::take(&mut self.expects);
            expects.push_back(Expect::Query { shown_ready: false });
            waiting.push((shard, expects));
        }
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        for (shard, _) in &waiting {
            let lease = self.transaction.lease_mut(*shard).expect("reached above");
            match &instead {
                Some((sql, _)) => encode::query(&mut lease.framed.outbound, sql),
                None => lease.framed.outbound.extend_from_slice(frame),
            }
            lease.unanswered += 1;
            lease.unnamed = None;
        }
        self.client.inbound.advance(len);
        self.state.start_implicit();
        let how = How { remap: instead.map(|(_, remap)| remap), ..How::of(merge) };
        match self.scatter(&mut waiting, &how).await {
            Ok((failed, completed, tag)) => {
                if !failed {
                    self.say_tag(tag);
                }
                self.complete(changes, completed, failed);
            }
            Err((shard, error)) => self.survive(shard, error, false).await?,
        }
        self.say_ready();
        Ok(())
    }

    /// How the parts of one answer become the whole.
    fn merge_of(&self, template: &Template, sql: &[u8]) -> Result<Merge, ClientError> {
        let [only] = &template.statements[..] else { return Ok(Merge::Echo) };
        match only.command {
            Command::Ordinary(Verb::Copy(_)) => {
                let options = crate::planning::copy::options(sql, &self.lex_options(), None)?;
                Ok(Merge::CopyOut { header: options.header })
            }
            Command::Ordinary(_) => Ok(Merge::Concatenate),
            _ => Ok(Merge::Echo),
        }
    }

    fn copies_out(&self) -> bool {
        self.scattering.as_ref().is_some_and(|segment| matches!(segment.how.merge, Merge::CopyOut { .. }))
    }

    /// Connections that were reached for a scatter which doesn't take place: what was queued on them was
    /// not sent, so they can't be used again.
    pub(super) fn abandon(&mut self, waiting: &[(ShardId, VecDeque<Expect>)]) {
        self.expects.clear();
        for (shard, _) in waiting {
            let unsent = self.transaction.lease_mut(*shard).is_some_and(|lease| !lease.is_at_rest());
            if unsent && let Some(mut lease) = self.transaction.remove(*shard) {
                lease.condition = crate::pool::Condition::Broken;
            }
        }
    }

    pub(super) async fn scatter(
        &mut self,
        waiting: &mut [(ShardId, VecDeque<Expect>)],
        how: &How,
    ) -> Result<(bool, usize, Option<String>), (ShardId, RelayError)> {
        let watched = self.watch_waiting();
        let explaining = self.explaining.take();
        let order: Vec<ShardId> = waiting.iter().map(|(shard, _)| *shard).collect();
        let mut pieces = pieces(&mut self.transaction, waiting, explaining.as_deref());
        let home = self.database.config.home;
        let at = |position: usize| order.get(position).copied().unwrap_or(home);
        match scatter(&mut self.client, &mut pieces, how.merge, how.remap.clone()).await {
            Ok(scattered) => {
                drop(pieces);
                self.end_waiting(watched);
                self.settle_names(&scattered.outcome);
                self.note_parameters(&scattered.outcome);
                if !scattered.outcome.failed
                    && let Some(verdict) = &how.expected
                    && let Some(position) = super::merged::stranger(verdict, &scattered.described)
                {
                    let text = "a shard has other columns than were expected of it".to_owned();
                    return Err((at(position), RelayError::Disagree(text)));
                }
                Ok((scattered.outcome.failed, scattered.outcome.completed, scattered.tag))
            }
            Err((position, error)) => Err((at(position), error)),
        }
    }

    pub(super) fn say_tag(&mut self, tag: Option<String>) {
        if let Some(tag) = tag {
            backend::command_complete(&mut self.client.outbound, &tag);
        }
    }

    /// A portal over several shards.
    pub(super) async fn bind_scatter(
        &mut self,
        portal: Box<[u8]>,
        statement: Arc<ClientStatement>,
        shards: ShardSet,
        changes: Vec<Change>,
        len: usize,
        remap: Option<Remap>,
    ) -> Result<(), Failure> {
        self.leave_segment().await?;
        let merge = self.merge_of(&statement.template, &statement.sql)?;
        let mut waiting: Vec<(ShardId, VecDeque<Expect>)> = Vec::new();
        let unplaced = std::mem::take(&mut self.unplaced);
        let access = super::admission::access_of(&statement.template);
        let mut carries = false;
        for (position, &shard) in shards.as_slice().iter().enumerate() {
            if let Err(error) = self.reach(shard, access).await {
                self.abandon(&waiting);
                self.unplaced = unplaced;
                return Err(error.into());
            }
            self.open_part(shard);
            for parse in &unplaced {
                self.queue_parse(shard, &parse.statement, position == 0);
            }
            self.prepare(shard, &statement);
            let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
            let lease = self.transaction.lease_mut(shard).expect("reached above");
            let name = statement.shared.as_ref().map_or(&b""[..], |shared| shared.name());
            match numbering::queue_bind(lease, &statement, (message.portal, name), &message, None) {
                Ok(holds) => carries |= holds,
                Err(error) => {
                    self.abandon(&waiting);
                    self.transaction.remove(shard);
                    self.unplaced = unplaced;
                    return Err(error.into());
                }
            }
            self.expects.push_back(Expect::Bind);
            waiting.push((shard, std::mem::take(&mut self.expects)));
        }
        let place = Place::Scatter { shards, position: 0 };
        for Unplaced { statement, previous } in unplaced {
            self.undo.push(Undo::Parse { name: statement.name.clone(), previous });
        }
        let previous = self.portals.insert(portal.clone(), Portal { statement, place, changes, carries });
        self.undo.push(Undo::Portal { name: portal.clone(), previous });
        self.scattering = Some(ScatterSegment { portal, how: How { remap, ..How::of(merge) }, shards: waiting });
        Ok(())
    }

    pub(super) fn open_part(&mut self, shard: ShardId) {
        if let Some(lease) = self.transaction.lease_mut(shard) {
            lease.unanswered += 1;
        }
        self.state.start_implicit();
    }

    /// Takes up again a portal of an earlier turn: only in a transaction does it live that long.
    pub(super) async fn resume_scatter(&mut self, portal: &[u8]) -> Result<(), Failure> {
        if self.scattering.as_ref().is_some_and(|segment| *segment.portal == *portal) {
            return Ok(());
        }
        self.leave_segment().await?;
        let (shards, how) = match self.portals.get(portal).map(|portal| portal.place.clone()) {
            Some(Place::Scatter { shards, .. }) => {
                let merge = match self.portals.get(portal).map(|portal| Arc::clone(&portal.statement)) {
                    Some(statement) => self.merge_of(&statement.template, &statement.sql)?,
                    None => Merge::Concatenate,
                };
                (shards, How::of(merge))
            }
            Some(Place::Merged(merged)) => (merged.shards.clone(), How::of(Merge::Prologue { quiet: false })),
            _ => return Err(ClientError::new(SqlState::INVALID_CURSOR_NAME, "portal does not exist").into()),
        };
        let mut waiting = Vec::new();
        for &shard in shards.as_slice() {
            if let Err(error) = self.reach(shard, Access::Read).await {
                self.abandon(&waiting);
                return Err(error.into());
            }
            self.open_part(shard);
            waiting.push((shard, std::mem::take(&mut self.expects)));
        }
        self.scattering = Some(ScatterSegment { portal: portal.into(), how, shards: waiting });
        Ok(())
    }

    /// Queues the message at the front of the client's buffer for all shards of the scatter.
    fn queue_on_parts(&mut self, len: usize, expect: fn() -> Expect) {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let Some(segment) = &mut self.scattering else { return };
        for (shard, expects) in &mut segment.shards {
            if let Some(lease) = self.transaction.lease_mut(*shard) {
                lease.framed.outbound.extend_from_slice(frame);
                expects.push_back(expect());
            }
        }
    }

    /// Has the shards that number types otherwise say what the rows of a portal are made of.
    fn describe_parts(&mut self, portal: &[u8]) {
        let Some(segment) = &mut self.scattering else { return };
        for (shard, expects) in &mut segment.shards {
            if let Some(lease) = self.transaction.lease_mut(*shard)
                && numbering::describe_ahead(lease, portal)
            {
                expects.push_back(Expect::DescribeOwn);
            }
        }
    }

    pub(super) async fn describe_scatter(&mut self, portal: &[u8], len: usize) -> Result<(), Failure> {
        self.resume_scatter(portal).await?;
        self.queue_on_parts(len, || Expect::DescribePortal);
        Ok(())
    }

    pub(super) async fn close_scatter(&mut self, portal: &[u8], len: usize) -> Result<(), Failure> {
        self.resume_scatter(portal).await?;
        self.queue_on_parts(len, || Expect::Close { shown: true, evicted: None });
        Ok(())
    }

    pub(super) async fn execute_scatter(&mut self, portal: &[u8], len: usize) -> Result<(), Failure> {
        self.resume_scatter(portal).await?;
        let message = Execute::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        match u64::try_from(message.rows_max) {
            // A COPY isn't suspended.
            Ok(limit) if limit > 0 && !self.copies_out() => self.fetch_scatter(portal, limit).await,
            _ => {
                if self.portals.get(portal).is_some_and(|portal| portal.carries) {
                    self.describe_parts(portal);
                }
                self.queue_on_parts(len, || Expect::Execute);
                self.run_scatter(true).await
            }
        }
    }

    /// An Execute with a row limit: one shard after the other, until there are enough rows.
    async fn fetch_scatter(&mut self, name: &[u8], limit: u64) -> Result<(), Failure> {
        // What was queued before is answered first, in the order of the messages.
        self.flush_parts().await?;
        let Some(Place::Scatter { shards, mut position }) = self.portals.get(name).map(|portal| portal.place.clone())
        else {
            return Ok(());
        };
        let explains = self.portals.get(name).is_some_and(|portal| {
            portal
                .statement
                .template
                .statements
                .iter()
                .any(|one| matches!(one.command, Command::Ordinary(Verb::Explain { .. })))
        });
        let carries = self.portals.get(name).is_some_and(|portal| portal.carries);
        let mut rows = 0;
        while let Some(&shard) = shards.as_slice().get(position)
            && rows < limit
        {
            let lease = self.transaction.lease_mut(shard).expect("held by the scatter");
            let wanted = i32::try_from(limit - rows).unwrap_or(i32::MAX);
            let mut expects = VecDeque::new();
            if carries && numbering::describe_ahead(lease, name) {
                expects.push_back(Expect::DescribeOwn);
            }
            encode::execute(&mut lease.framed.outbound, name, wanted);
            encode::flush(&mut lease.framed.outbound);
            expects.push_back(Expect::Execute);
            let piece = Piece { backend: lease, expects: &mut expects, preface: None };
            match fetch(&mut self.client, piece, false).await {
                Ok((outcome, _, _)) if outcome.failed => return Err(Failure::Told),
                Ok((_, _, true)) => rows = limit,
                Ok((_, fetched, false)) => {
                    rows += fetched;
                    position += 1;
                }
                Err(error) => return Err(self.lose_scatter(shard, error).await),
            }
        }
        if let Some(Portal { place: Place::Scatter { position: next, .. }, .. }) = self.portals.get_mut(name) {
            *next = position;
        }
        if rows >= limit {
            backend::empty(&mut self.client.outbound, tag::PORTAL_SUSPENDED);
        } else {
            self.say_tag(Some(if explains { "EXPLAIN".to_owned() } else { format!("SELECT {rows}") }));
        }
        Ok(())
    }

    /// Has the shards answer what is queued so far; their Syncs are still to come.
    pub(super) async fn flush_parts(&mut self) -> Result<(), Failure> {
        let Some(mut segment) = self.scattering.take() else { return Ok(()) };
        for (shard, _) in &segment.shards {
            if let Some(lease) = self.transaction.lease_mut(*shard) {
                encode::flush(&mut lease.framed.outbound);
            }
        }
        let result = self.scatter(&mut segment.shards, &segment.how.clone()).await;
        self.scattering = Some(segment);
        match result {
            Ok((false, _, _)) => Ok(()),
            Ok((true, _, _)) => Err(Failure::Told),
            Err((shard, error)) => Err(self.lose_scatter(shard, error).await),
        }
    }

    /// Ends the scatter's turn on each shard: with an Execute behind it its rows come now.
    pub(super) async fn run_scatter(&mut self, executes: bool) -> Result<(), Failure> {
        let Some(mut segment) = self.scattering.take() else { return Ok(()) };
        for (shard, expects) in &mut segment.shards {
            if let Some(lease) = self.transaction.lease_mut(*shard) {
                encode::sync(&mut lease.framed.outbound);
                expects.push_back(Expect::Sync { shown: false });
            }
        }
        match self.scatter(&mut segment.shards, &segment.how.clone()).await {
            Ok((failed, _, tag)) => {
                if failed {
                    self.state.fail_implicit();
                    return Err(Failure::Told);
                }
                if executes {
                    self.say_tag(tag);
                    let portal = self.portals.get_mut(&segment.portal);
                    let changes = portal.map(|portal| std::mem::take(&mut portal.changes)).unwrap_or_default();
                    self.complete(changes.into_iter().map(|change| (0, change)).collect(), 1, false);
                }
                Ok(())
            }
            Err((shard, error)) => Err(self.lose_scatter(shard, error).await),
        }
    }

    pub(super) async fn lose_scatter(&mut self, shard: ShardId, error: RelayError) -> Failure {
        // The other shards still owe replies that nobody will read.
        let owing: Vec<ShardId> = self
            .transaction
            .held()
            .iter()
            .filter(|held| !held.lease.is_at_rest() && held.shard != shard)
            .map(|held| held.shard)
            .collect();
        self.scattering = None;
        match self.survive(shard, error, false).await {
            Ok(()) => {
                for shard in owing {
                    self.transaction.remove(shard);
                }
                Failure::Told
            }
            Err(end) => Failure::End(end),
        }
    }
}
