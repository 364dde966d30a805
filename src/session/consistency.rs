//! `SET shardway.consistency = 'atomic'`: a statement that reads several shards sees all of a transaction that wrote
//! several of them, or nothing of it. Snapshots are opened on all shards and kept if each such transaction shows on
//! all of its shards; else they are opened anew. In: a gather that is about to pull its rows. Out: shards whose
//! transactions have snapshots that fit, or an error.

use std::time::{Duration, Instant};

use super::segment::Failure;
use super::turn::Session;
use crate::execute::own;
use crate::protocol::backend::{self, Status};
use crate::transaction::consistency::{is_whole, list_sql, read};
use crate::types::limits::{CONSISTENT_WITHIN, TXN_RETENTION};
use crate::types::{ClientError, ShardId, SqlState};

impl Session {
    /// True: transactions of the proxy's own were opened, which [`Self::end_agreement`] ends.
    ///
    /// # Errors
    /// When no snapshots fit.
    pub(super) async fn agree(&mut self) -> Result<bool, Failure> {
        let shards: Vec<ShardId> = self.database.shard_ids();
        let is_fresh = !self.transaction.in_block()
            && !self.transaction.is_spread()
            && self.transaction.held().iter().all(|held| held.lease.status == Status::Idle);
        for &shard in &shards {
            // That it has the table in which such transactions leave their records.
            self.database.make_two_phase_ready(shard, false, &self.server_role()).await?;
        }
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if is_fresh {
                self.ask_all(&shards, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            }
            let snapshots = match self.snapshots(&shards).await {
                Ok(snapshots) => snapshots,
                Err(failure) => {
                    if is_fresh {
                        self.end_agreement("ROLLBACK").await;
                    }
                    return Err(failure);
                }
            };
            let is_repeatable = snapshots.iter().all(|(_, isolation, _)| isolation != "read committed");
            if !is_repeatable {
                let text = "shardway.consistency = 'atomic' needs a transaction of isolation level REPEATABLE READ";
                return Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
                    .detail("Each statement of this transaction sees another moment.")
                    .hint("BEGIN ISOLATION LEVEL REPEATABLE READ, or run the statement outside of a block.")
                    .into());
            }
            let named: Vec<_> =
                snapshots.into_iter().map(|(shard, _, records)| (self.shard_name(shard).to_owned(), records)).collect();
            if is_whole(&named) {
                return Ok(is_fresh);
            }
            if !is_fresh || began.elapsed() > CONSISTENT_WITHIN {
                if is_fresh {
                    self.end_agreement("ROLLBACK").await;
                }
                let text = "could not see the shards at one moment";
                return Err(ClientError::new(SqlState::SERIALIZATION_FAILURE, text)
                    .detail("A transaction that wrote several shards shows on some of them only.")
                    .hint("The transaction can be tried again.")
                    .into());
            }
            self.end_agreement("ROLLBACK").await;
            crate::net::timer::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    async fn ask_all(&mut self, shards: &[ShardId], sql: &str) -> Result<Vec<String>, Failure> {
        let mut texts = Vec::with_capacity(shards.len());
        let answers = match self.ask_each(shards, sql).await {
            Ok(answers) => answers,
            Err(undone) => return Err(self.undone_gather(undone).await),
        };
        for answer in answers {
            texts.push(answer.row(0).and_then(backend::first_text).unwrap_or_default().to_owned());
        }
        Ok(texts)
    }

    async fn snapshots(
        &mut self,
        shards: &[ShardId],
    ) -> Result<Vec<(ShardId, String, Vec<crate::transaction::consistency::Record>)>, Failure> {
        // Younger than what is being swept.
        let seconds = TXN_RETENTION.as_secs() / 2;
        let texts = self.ask_all(shards, &list_sql(seconds)).await?;
        let parsed = shards.iter().zip(&texts).map(|(shard, text)| {
            let (isolation, records) = read(text);
            (*shard, isolation.to_owned(), records)
        });
        Ok(parsed.collect())
    }

    /// Ends the transactions that [`Self::agree`] opened.
    pub(super) async fn end_agreement(&mut self, sql: &str) {
        for shard in self.database.shard_ids() {
            if let Some(lease) = self.transaction.lease_mut(shard)
                && lease.status != Status::Idle
                && lease.is_at_rest()
                && own::run(lease, sql).await.is_err()
            {
                lease.condition = crate::pool::Condition::Broken;
            }
        }
    }
}
