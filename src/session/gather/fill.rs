//! The rows' way from the shards into the scratch tables, over the client's own connections, and what becomes of
//! them all when something fails on it.

use super::sql::{analyze, copy_in, copy_out};
use super::{Failure, Gathering, Session, SessionEnd};
use crate::execute::gather::{GatherError, Limits, Pull, Pulled, Source, pull};
use crate::execute::{RelayError, own};
use crate::planning::Access;
use crate::protocol::backend::Status;
use crate::protocol::frontend::encode;
use crate::session::turn::ends_session;
use crate::types::{ClientError, ShardId, SqlState};

impl Session {
    /// Pulls the rows from the shards.
    pub(super) async fn fill(
        &mut self,
        gathering: &Gathering<'_>,
        (scratch, with_keys): (ShardId, bool),
        access: Access,
    ) -> Result<(), Failure> {
        let mut shards: Vec<ShardId> = gathering.pulls.iter().flat_map(|pull| &pull.shards).copied().collect();
        shards.sort_unstable();
        shards.dedup();
        let agreed = self.reads_atomic && shards.len() > 1 && self.agree().await?;
        let mut waiting = Vec::new();
        for &shard in &shards {
            if let Err(error) = self.reach(shard, access).await {
                self.abandon(&waiting);
                return Err(error.into());
            }
            waiting.push((shard, std::mem::take(&mut self.expects)));
        }
        let in_block = self.transaction.in_block();
        let recodes = self.recodes();
        let mut plans: Vec<(ShardId, usize, Vec<usize>)> = Vec::new();
        for (shard, expects) in &waiting {
            let tables: Vec<usize> = (0..gathering.pulls.len())
                .filter(|table| gathering.pulls.get(*table).is_some_and(|pull| pull.shards.contains(shard)))
                .collect();
            let lease = self.transaction.lease_mut(*shard).expect("reached above");
            let own_block = !in_block && lease.status == Status::Idle;
            let sql = copy_out((&gathering.gather, gathering.pulls), &tables, with_keys, (own_block, recodes));
            encode::query(&mut lease.framed.outbound, sql.as_bytes());
            lease.unanswered += 1;
            lease.unnamed = None;
            plans.push((*shard, expects.len(), tables));
        }
        self.state.start_implicit();
        let several = gathering.gather.tables.len() > 1;
        let pulls: Vec<Pull> = gathering
            .gather
            .tables
            .iter()
            .map(|table| Pull { copy_in: copy_in(table, with_keys), analyze: several.then(|| analyze(table)) })
            .collect();
        let config = &self.database.config;
        let limits = Limits { rows: config.gather_rows_max, bytes: config.gather_bytes_max };
        let (client, transaction) = (&mut self.client, &mut self.transaction);
        let Some(mut apart) = transaction.take_apart(scratch) else {
            return Err(ClientError::new(SqlState::INTERNAL_ERROR, "the scratch connection is held").into());
        };
        let mut sources: Vec<Source<'_>> = Vec::with_capacity(plans.len());
        let mut order = Vec::with_capacity(plans.len());
        for held in transaction.held_mut() {
            if let Some((shard, ahead, tables)) = plans.iter().find(|(shard, _, _)| *shard == held.shard) {
                sources.push(Source::new(&mut held.lease, *ahead, tables.clone()));
                order.push(*shard);
            }
        }
        let around = recodes.then_some((super::sql::TO_SERVER_ENCODING, super::sql::TO_CLIENT_ENCODING));
        let progress = &self.notes.client().gathering;
        let pulled = pull(client, &mut apart.lease, &mut sources, &pulls, around, limits, progress).await;
        drop(sources);
        self.transaction.put_apart(apart);
        if agreed {
            self.end_agreement(if pulled.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
        }
        match pulled {
            Ok(pulled) => {
                self.explain_pulled(gathering, &pulled, &order);
                Ok(())
            }
            Err(error) => {
                if !in_block && !self.transaction.is_spread() {
                    self.end_own_blocks(&shards).await;
                }
                Err(self.gather_failure(error, &order).await)
            }
        }
    }

    /// What EXPLAIN ANALYZE says of each table.
    fn explain_pulled(&mut self, gathering: &Gathering<'_>, pulled: &Pulled, order: &[ShardId]) {
        if self.explaining.is_none() {
            return;
        }
        for (table, filled) in gathering.gather.tables.iter().zip(&pulled.tables) {
            let from: Vec<String> = order
                .iter()
                .zip(&filled.parts)
                .filter(|(_, part)| part.rows > 0)
                .map(|(shard, part)| format!("{} rows from {}", part.rows, self.shard_name(*shard)))
                .collect();
            let bytes: u64 = filled.parts.iter().map(|part| part.bytes).sum();
            let rows = if from.is_empty() { "no rows".to_owned() } else { from.join(", ") };
            let took = filled.took.as_secs_f64() * 1000.0;
            let said = format!("{}: {rows}; {bytes} bytes in {took:.3} ms", table.display);
            self.explain_further("gathered", said.as_bytes());
        }
    }

    /// If the client speaks another encoding than the servers: values in binary are recoded as well, and not all of
    /// them can be.
    pub(in crate::session) fn recodes(&self) -> bool {
        let in_block = self.transaction.settings_in_block().unwrap_or_default();
        self.state.settings().get("client_encoding").is_some()
            || in_block.iter().any(|sql| {
                let sql = sql.to_ascii_lowercase();
                sql.contains("encoding") || sql.contains("names")
            })
    }

    /// Outside of the client's blocks the rows were read in a transaction of the proxy's own.
    async fn end_own_blocks(&mut self, shards: &[ShardId]) {
        for shard in shards {
            if let Some(lease) = self.transaction.lease_mut(*shard)
                && lease.status != Status::Idle
                && lease.is_at_rest()
            {
                let _ = own::run(lease, "ROLLBACK").await;
            }
        }
    }

    pub(in crate::session) async fn gather_failure(&mut self, error: GatherError, order: &[ShardId]) -> Failure {
        match error {
            GatherError::Own(error) => error.into(),
            GatherError::Client(error) => Failure::End(SessionEnd::Lost(error)),
            GatherError::Refused(frame) => {
                self.client.outbound.extend_from_slice(&frame.0);
                Failure::Told
            }
            GatherError::Lost { source, reason } => {
                let lost: Vec<ShardId> = source.and_then(|source| order.get(source)).copied().into_iter().collect();
                match lost.as_slice() {
                    [shard] => {
                        let error = RelayError::Backend { reason, last_words: None };
                        if let Some(end) = ends_session(&error) {
                            return Failure::End(end);
                        }
                        match self.survive(*shard, error, false).await {
                            Ok(()) => Failure::Told,
                            Err(end) => Failure::End(end),
                        }
                    }
                    _ => ClientError::new(
                        SqlState::CONNECTION_FAILURE,
                        "the connection to the scratch database was lost",
                    )
                    .detail(reason)
                    .hint("The statement can be tried again.")
                    .into(),
                }
            }
        }
    }
}
