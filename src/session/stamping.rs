//! The time of a transaction is one on all its shards: a statement that asks for it on another shard than the first is
//! told the first one's. In: a frame that was planned. Out: the frame in its place that is planned anew.

use std::sync::{Arc, PoisonError};

use bytes::BytesMut;

use super::parts::Undone;
use super::prepared::ClientStatement;
use super::segment::Failure;
use super::turn::{Session, SessionEnd, violation};
use crate::planning::{Plan, Template};
use crate::protocol::backend::Status;
use crate::protocol::frontend::{self, Bind, encode};
use crate::routing::key;
use crate::types::{ClientError, KeyType, KeyValue, ShardId, SqlState};

impl Session {
    /// If a plan would have shards say different times within one transaction; its first shard.
    pub(super) fn differs_in_time(&self, plan: &Plan) -> Option<ShardId> {
        if !self.transaction.in_block() || self.transaction.is_failed() {
            return None;
        }
        let first = self.transaction.held().iter().find(|held| held.lease.status == Status::InTransaction);
        let first = first.map(|held| held.shard);
        let mut reached: Vec<ShardId> = match plan {
            Plan::Single { shard, .. } => return first.filter(|first| first != shard),
            Plan::Scatter { shards } | Plan::Merge { shards, .. } => shards.as_slice().to_vec(),
            Plan::Carry { ways, .. } => ways.iter().flat_map(|way| &way.from).copied().collect(),
            // These look to it themselves, or are where the transaction is.
            _ => return None,
        };
        if let Plan::Carry { ways, .. } = plan {
            reached.extend(ways.iter().flat_map(|way| way.to.as_slice()));
        }
        let first = first.or(reached.first().copied())?;
        reached.iter().any(|shard| *shard != first).then_some(first)
    }

    /// Has the Query at the front of the client's buffer say the moment; gives its new length.
    pub(super) async fn stamp_query(
        &mut self,
        template: &Template,
        first: ShardId,
        len: usize,
    ) -> Result<Result<usize, ClientError>, SessionEnd> {
        let Some(stamps) = &template.stamps else { return Ok(Ok(len)) };
        let micros = match self.moment_in_micros(first).await {
            Ok(micros) => micros,
            Err(Failure::Client(error)) => return Ok(Err(error)),
            Err(Failure::End(end)) => return Err(end),
            Err(Failure::Told) => return Ok(Err(lost_moment())),
        };
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let sql = frontend::query(frame).map_err(violation)?;
        let value = format!(
            "('2000-01-01 00:00:00+00'::pg_catalog.timestamptz OPERATOR(pg_catalog.+) '{} seconds {} microseconds'::pg_catalog.interval)",
            micros.div_euclid(1_000_000),
            micros.rem_euclid(1_000_000)
        );
        let (stamped, moved) = match stamps.apply(sql, &self.lex_options(), &value) {
            Ok(stamped) => stamped,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        self.moved = Some(moved);
        let mut fresh = BytesMut::new();
        encode::query(&mut fresh, &stamped);
        Ok(Ok(self.replace_front(len, fresh)))
    }

    /// Puts the moment behind the parameters of the Bind at the front of the client's buffer; gives the statement that it
    /// is for then, and its new length.
    pub(super) async fn stamp_bind(
        &mut self,
        statement: &Arc<ClientStatement>,
        first: ShardId,
        len: usize,
    ) -> Result<(Arc<ClientStatement>, usize), Failure> {
        self.leave_segment().await?;
        let micros = self.moment_in_micros(first).await?;
        let known = statement.stamped.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stamped = match known {
            Some(stamped) => stamped,
            None => {
                let stamped = Arc::new(self.make_stamped(statement).await?);
                *statement.stamped.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&stamped));
                stamped
            }
        };
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let tail = message.tail_with(&[micros]).ok_or_else(|| {
            ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many parameters for one statement")
        })?;
        let mut fresh = BytesMut::new();
        encode::bind(&mut fresh, message.portal, message.statement, &tail);
        let len = self.replace_front(len, fresh);
        self.replaced = Some(len);
        Ok((stamped, len))
    }

    async fn make_stamped(&mut self, statement: &ClientStatement) -> Result<ClientStatement, Failure> {
        let Some(stamps) = &statement.template.stamps else { return Err(lost_moment().into()) };
        let number = usize::from(statement.lexed.parameters).max(statement.declared.len() / 4) + 1;
        let value = format!("${number}::pg_catalog.timestamptz");
        let (sql, _) = stamps.apply(&statement.sql, &self.lex_options(), &value).map_err(ClientError::from)?;
        self.make_derived(statement, sql.into(), statement.declared.clone()).await
    }

    /// Microseconds since 2000, as timestamptz has them in binary.
    async fn moment_in_micros(&mut self, first: ShardId) -> Result<i64, Failure> {
        let moment = match self.moment(first).await {
            Ok(moment) => moment,
            Err(Undone::Proxy(error)) => return Err(error.into()),
            Err(undone) => return Err(self.undone_gather(undone).await),
        };
        match key::from_text(KeyType::TimestampTz, &moment.transaction) {
            Ok(KeyValue::TimestampTz(micros)) => Ok(micros),
            _ => Err(lost_moment().into()),
        }
    }
}

fn lost_moment() -> ClientError {
    ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, "the time of the transaction on another shard is not known here")
        .hint("Pass the time as a parameter.")
}
