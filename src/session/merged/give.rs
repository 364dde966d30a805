//! The rows of a merge, from the shards to the client: merged here, or made by a server of what the shards gave.

use std::collections::VecDeque;

use bytes::Bytes;

use super::MergeCall;
use super::ask::{encoded, values};
use crate::execute::merge::{Arrays, Ask, Progress, Sink, drain, merge};
use crate::execute::relay::relay_part;
use crate::execute::scatter::Part;
use crate::execute::{Expect, RelayError};
use crate::planning::merge::{Finish, Verdict};
use crate::protocol::frontend::{Bind, encode};
use crate::session::prepared::Finishing;
use crate::session::several::{How, pieces};
use crate::session::turn::Session;
use crate::types::ShardId;

/// What is to be run.
pub(super) struct Run<'a> {
    pub verdict: &'a Verdict,
    pub ask: Ask<'a>,
    pub finishing: Option<&'a Finishing>,
    pub how: &'a How,
}

/// What the client was given.
pub(super) struct Given {
    pub rows: u64,
    /// There may be more.
    pub suspended: bool,
    pub failed: bool,
}

type Lost = (ShardId, RelayError);
type Waiting = [(ShardId, VecDeque<Expect>)];

/// The statement that makes the answer, where a server does; with the client's parameters and formats.
pub(super) fn finishing(
    call: &MergeCall,
    sql: &Bytes,
    tokens: &[std::ops::Range<usize>],
    message: Option<Bind<'_>>,
) -> Option<Finishing> {
    let Verdict::Finished(finish) = &*call.verdict else { return None };
    let spliced = finish.statement.render(sql, tokens)?;
    let (formats, values) = values(message);
    let result_formats = message.map(|message| message.result_formats.to_vec()).unwrap_or_default();
    let text = spliced.sql.clone();
    Some(Finishing { sql: text, remap: super::remap(spliced, sql.clone()), formats, values, result_formats })
}

impl Session {
    /// Gives the client the rows of an Execute without a limit, or of one with a limit where they are merged here;
    /// reads whatever the shards send behind.
    pub(super) async fn give_rows(
        &mut self,
        waiting: &mut Waiting,
        progress: &mut Progress,
        run: Run<'_>,
    ) -> Result<Given, Lost> {
        let given = match run.verdict {
            Verdict::Native(native) => {
                let sink = Sink::Client { visible: native.visible.columns.len() };
                let order: Vec<ShardId> = waiting.iter().map(|(shard, _)| *shard).collect();
                let home = self.database.config.home;
                let mut pieces = pieces(&mut self.transaction, waiting, None);
                let remap = run.how.remap.as_ref();
                let merged = merge(&mut self.client, &mut pieces, progress, (&native.orders, sink), run.ask, remap)
                    .await
                    .map_err(|(position, error)| (order.get(position).copied().unwrap_or(home), error))?;
                Given { rows: merged.rows, suspended: merged.suspended, failed: merged.failed }
            }
            Verdict::Finished(finish) => {
                let collected = self.collect(waiting, progress, finish, run.how).await?;
                return match (collected, run.finishing) {
                    (Some(arrays), Some(finishing)) => {
                        let (rows, failed, _) = self.finish(waiting, finish, finishing, &arrays, Finally::Sync).await?;
                        Ok(Given { rows, suspended: false, failed })
                    }
                    _ => Ok(Given { rows: 0, suspended: false, failed: true }),
                };
            }
            Verdict::Unfit => Given { rows: 0, suspended: false, failed: true },
        };
        if !given.suspended {
            self.drain_rows(waiting, progress, given.failed).await?;
        }
        Ok(given)
    }

    /// What the shards give, a column an array; `None` after an error, of which the client was told.
    pub(super) async fn collect(
        &mut self,
        waiting: &mut Waiting,
        progress: &mut Progress,
        finish: &Finish,
        how: &How,
    ) -> Result<Option<Arrays>, Lost> {
        let mut arrays = Arrays::new(finish.columns.len());
        let failed = self.collect_into(waiting, progress, &mut arrays, how).await?;
        Ok((!failed).then_some(arrays))
    }

    /// As [`Self::collect`]; true after an error.
    pub(super) async fn collect_into(
        &mut self,
        waiting: &mut Waiting,
        progress: &mut Progress,
        arrays: &mut Arrays,
        how: &How,
    ) -> Result<bool, Lost> {
        let order: Vec<ShardId> = waiting.iter().map(|(shard, _)| *shard).collect();
        let home = self.database.config.home;
        let mut pieces = pieces(&mut self.transaction, waiting, None);
        let sink = Sink::Arrays(arrays);
        let merged = merge(&mut self.client, &mut pieces, progress, (&[], sink), Ask::All, how.remap.as_ref())
            .await
            .map_err(|(position, error)| (order.get(position).copied().unwrap_or(home), error))?;
        drop(pieces);
        self.drain_rows(waiting, progress, merged.failed).await?;
        Ok(merged.failed)
    }

    /// Has a server make the answer of what the shards gave: how many rows, if it failed, and the rows that were
    /// kept.
    pub(super) async fn finish(
        &mut self,
        waiting: &Waiting,
        finish: &Finish,
        finishing: &Finishing,
        arrays: &Arrays,
        finally: Finally,
    ) -> Result<(u64, bool, VecDeque<Bytes>), Lost> {
        let home = self.database.config.home;
        let is_there = waiting.iter().any(|(shard, _)| *shard == home);
        let shard = if is_there { home } else { waiting.first().map_or(home, |(shard, _)| *shard) };
        let Some(lease) = self.transaction.lease_mut(shard) else {
            return Err((shard, RelayError::Protocol("the connection isn't held any more".to_owned())));
        };
        lease.unnamed = None;
        if finally != Finally::Keep {
            lease.unanswered += 1;
        }
        let out = &mut lease.framed.outbound;
        let types: Vec<u8> = finish.types.iter().flat_map(|oid| oid.to_be_bytes()).collect();
        encode::parse(out, b"", &finishing.sql, &types);
        let given = parameters(finish, finishing, arrays);
        encode::bind_with_formats(out, b"", b"", &given, &finishing.result_formats);
        encode::execute(out, b"", 0);
        let mut expects =
            VecDeque::from([Expect::Parse { shown: false, statement: None }, Expect::Bind, Expect::Execute]);
        match finally {
            Finally::Sync | Finally::KeepAndSync => {
                encode::sync(out);
                expects.push_back(Expect::Sync { shown: false });
            }
            Finally::Keep => encode::flush(out),
        }
        let mut part = Part::answering(finishing.remap.clone(), finally != Finally::Sync);
        let outcome =
            relay_part(&mut self.client, lease, &mut expects, &mut part).await.map_err(|error| (shard, error))?;
        Ok((part.rows, outcome.failed, part.take_kept()))
    }

    /// Reads what the shards still send of rows that aren't wanted, and what is expected behind them.
    pub(super) async fn drain_rows(
        &mut self,
        waiting: &mut Waiting,
        progress: &mut Progress,
        failed: bool,
    ) -> Result<(), Lost> {
        let order: Vec<ShardId> = waiting.iter().map(|(shard, _)| *shard).collect();
        let home = self.database.config.home;
        let mut pieces = pieces(&mut self.transaction, waiting, None);
        drain(&mut self.client, &mut pieces, progress, failed)
            .await
            .map_err(|(position, error)| (order.get(position).copied().unwrap_or(home), error))
    }
}

/// What follows the statement that makes the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Finally {
    Sync,
    /// The rows are kept for later Executes of the same turn, or of the same transaction.
    Keep,
    /// The rows are kept, and nothing of the turn is left on the server.
    KeepAndSync,
}

/// The client's parameters and then the arrays, as Bind has them.
fn parameters(finish: &Finish, finishing: &Finishing, arrays: &Arrays) -> Vec<u8> {
    let types: Vec<u32> = finish.columns.iter().map(|column| column.type_oid).collect();
    with_arrays(finishing, arrays, &types)
}

/// `types`: of the arrays' elements.
pub(super) fn with_arrays(finishing: &Finishing, arrays: &Arrays, types: &[u32]) -> Vec<u8> {
    encoded((&finishing.formats, &finishing.values), types.len(), |given| {
        for (position, type_oid) in types.iter().enumerate() {
            arrays.put(given, position, *type_oid);
        }
    })
}
