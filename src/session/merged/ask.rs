//! Asks shards within their transactions, and keeps what they say. In: a statement for each. Out: arrays, or rows in
//! their order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::execute::merge::{Ask, Progress, Sink, merge};
use crate::execute::own::{self, OwnError};
use crate::execute::scatter::{Merge as Prologue, Remap};
use crate::execute::{Expect, RelayError};
use crate::planning::Access;
use crate::planning::merge::{Verdict, Window};
use crate::pool::Backend;
use crate::protocol::frontend::{Bind, BindValue, encode};
use crate::session::segment::Failure;
use crate::session::several::{How, pieces};
use crate::session::turn::Session;
use crate::types::ShardId;

/// Commands that wait for nobody's locks.
const OWN_WITHIN: Duration = Duration::from_secs(30);

/// What is asked of shards.
pub(super) struct Question<'a> {
    /// Of each in their order.
    pub sql: &'a (dyn Fn(usize) -> Vec<u8> + Sync),
    pub types: &'a [u8],
    /// As Bind has them.
    pub given: &'a [u8],
    pub result_formats: &'a [u8],
    pub expected: Option<Arc<Verdict>>,
    pub remap: Option<Remap>,
    /// Of the columns, where shards may number them otherwise.
    pub columns: &'a [u32],
}

/// Everything.
pub(super) const ALL: Window = Window { skip: 0, take: None };

impl Session {
    /// What these shards answer.
    pub(super) async fn question_shards(
        &mut self,
        shards: &[ShardId],
        asked: &Question<'_>,
        sink: Sink<'_>,
        access: Access,
    ) -> Result<(), Failure> {
        if shards.is_empty() {
            return Ok(());
        }
        let mut waiting: Vec<(ShardId, VecDeque<Expect>)> = Vec::with_capacity(shards.len());
        for (position, &shard) in shards.iter().enumerate() {
            if let Err(error) = self.reach(shard, access).await {
                self.abandon(&waiting);
                return Err(error.into());
            }
            let sql = (asked.sql)(position);
            waiting.push((shard, self.queue_question(shard, &sql, asked.types, (asked.given, asked.result_formats))));
        }
        self.state.start_implicit();
        let how = How {
            merge: Prologue::Prologue { quiet: true },
            expected: asked.expected.clone(),
            remap: asked.remap.clone(),
        };
        let renumber = self.renumberings(shards.iter().copied(), asked.columns, asked.result_formats);
        let mut progress = Progress::new(renumber, ALL);
        progress.set_running();
        let begun = self.scatter(&mut waiting, &how).await.map(|(failed, ..)| failed);
        for (_, expects) in &mut waiting {
            expects.clear();
            expects.push_back(Expect::Sync { shown: false });
        }
        let result = match begun {
            Ok(false) => self.take_rows(&mut waiting, &mut progress, sink, &how).await,
            Ok(true) => self.drain_rows(&mut waiting, &mut progress, true).await.map(|()| true),
            Err(lost) => Err(lost),
        };
        match result {
            Ok(false) => Ok(()),
            Ok(true) => Err(Failure::Told),
            Err((shard, error)) => Err(self.lose_scatter(shard, error).await),
        }
    }

    /// One statement by the unnamed portal, up to a Sync, on a connection that was reached. `given` and `formats` as Bind has
    /// them.
    pub(super) fn queue_question(
        &mut self,
        shard: ShardId,
        sql: &[u8],
        types: &[u8],
        (given, formats): (&[u8], &[u8]),
    ) -> VecDeque<Expect> {
        let lease = self.transaction.lease_mut(shard).expect("the caller has reached it");
        lease.queue_parse(b"", sql, types);
        let out = &mut lease.framed.outbound;
        encode::bind_with_formats(out, b"", b"", given, formats);
        encode::describe_portal(out, b"");
        encode::execute(out, b"", 0);
        encode::sync(out);
        lease.unanswered += 1;
        lease.unnamed = None;
        let mut expects = std::mem::take(&mut self.expects);
        expects.extend([Expect::Parse { shown: false, statement: None }, Expect::Bind, Expect::DescribePortal]);
        expects
    }

    /// True after an error.
    async fn take_rows(
        &mut self,
        waiting: &mut [(ShardId, VecDeque<Expect>)],
        progress: &mut Progress,
        sink: Sink<'_>,
        how: &How,
    ) -> Result<bool, (ShardId, RelayError)> {
        // Locks are waited for while rows are.
        let watched = self.watch_waiting();
        let order: Vec<ShardId> = waiting.iter().map(|(shard, _)| *shard).collect();
        let home = self.database.config.home;
        let mut pieces = pieces(&mut self.transaction, waiting, None);
        let merged = merge(&mut self.client, &mut pieces, progress, (&[], sink), Ask::All, how.remap.as_ref()).await;
        drop(pieces);
        self.end_waiting(watched);
        let merged = merged.map_err(|(position, error)| (order.get(position).copied().unwrap_or(home), error))?;
        self.drain_rows(waiting, progress, merged.failed).await?;
        Ok(merged.failed)
    }

    /// The same command on each of these connections, which are reached and at rest.
    pub(super) async fn tell_all(&mut self, shards: &[ShardId], sql: &str) -> Result<(), Failure> {
        let mut order = Vec::with_capacity(shards.len());
        let mut queries: Vec<(&mut Backend, String)> = Vec::with_capacity(shards.len());
        for held in self.transaction.held_mut() {
            if shards.contains(&held.shard) {
                order.push(held.shard);
                queries.push((&mut held.lease, sql.to_owned()));
            }
        }
        let answers = own::run_all(&mut queries, OWN_WITHIN).await;
        drop(queries);
        for (shard, answer) in order.into_iter().zip(answers) {
            match answer {
                Ok(_) => {}
                Err(OwnError::Refused(frame)) => {
                    self.client.outbound.extend_from_slice(&frame.0);
                    return Err(Failure::Told);
                }
                Err(OwnError::Lost(reason)) => {
                    let error = RelayError::Backend { reason, last_words: None };
                    return Err(self.lose_scatter(shard, error).await);
                }
            }
        }
        Ok(())
    }
}

/// The client's parameters: their formats, and their values.
pub(super) fn values(message: Option<Bind<'_>>) -> (Vec<[u8; 2]>, Vec<Option<Bytes>>) {
    let each = |value: BindValue<'_>| match value {
        BindValue::Null => ([0, 0], None),
        BindValue::Text(bytes) => ([0, 0], Some(Bytes::copy_from_slice(bytes))),
        BindValue::Binary(bytes) => ([0, 1], Some(Bytes::copy_from_slice(bytes))),
    };
    message.iter().flat_map(Bind::values).map(each).unzip()
}

/// The same as Bind has them, up to the last of its formats of values; what follows is `more` of them.
pub(super) fn encoded(
    (formats, values): (&[[u8; 2]], &[Option<Bytes>]),
    more: usize,
    append: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let count = u16::try_from(values.len() + more).unwrap_or(u16::MAX).to_be_bytes();
    let mut given = count.to_vec();
    given.extend(formats.as_flattened());
    given.extend([0, 1].repeat(more));
    given.extend(count);
    for value in values {
        match value {
            Some(value) => {
                given.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
                given.extend_from_slice(value);
            }
            None => given.extend([0xff; 4]),
        }
    }
    append(&mut given);
    given
}
