//! Statements that write several shards, in both protocols: each shard is sent its part, all in one transaction, and
//! the client hears of it when all have done theirs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::bound::{Bound, Until};
use super::effects::Change;
use super::parts::{Order, Part, Prepared, Told, Undone, undone};
use super::turn::{Session, SessionEnd};
use crate::execute::Expect;
use crate::execute::collect::{Answer, Asked, collect};
use crate::planning::writes::splice::{tokens_of, with_moment, with_rows};
use crate::planning::writes::{Moment, Returns};
use crate::planning::{Access, Plan, RowsByShard, Template};
use crate::protocol::backend;
use crate::protocol::frontend::{self, encode};
use crate::types::limits::{EARLIER_ERROR_WAIT_MAX, LAST_WORDS_WAIT};
use crate::types::{ClientError, ShardId, SqlState};

/// The moment of the transaction and of the statement, in UTC and whatever DateStyle is.
const MOMENT: &str = "SELECT pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.now()), 'YYYY-MM-DD HH24:MI:SS.US') \
     || ' ' || pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.statement_timestamp()), 'YYYY-MM-DD HH24:MI:SS.US')";

impl Session {
    /// The shards that a plan writes; `None` for other plans.
    pub(super) fn written_by(plan: &Plan) -> Option<Vec<ShardId>> {
        match plan {
            Plan::WriteAll { shards, .. } => Some(shards.as_slice().to_vec()),
            Plan::InsertByShard(rows) => Some(rows.shards().collect()),
            Plan::WriteCopies { shards, .. } => Some(shards.as_slice().to_vec()),
            Plan::Transfer { transfer, .. } => Some(transfer.target.shards.clone()),
            // Which they are its parts tell, one after the other.
            Plan::Stages { .. } => Some(Vec::new()),
            Plan::Move { sources, goal, moves } => {
                let placement = moves.sharded.placement.shards();
                let mut all = sources.as_slice().to_vec();
                match goal {
                    Some(goal) => all.push(*goal),
                    None => all.extend_from_slice(placement),
                }
                all.sort_unstable();
                all.dedup();
                Some(all)
            }
            // Plans of other kinds, which write one shard at most.
            _ => None,
        }
    }

    /// A Query that writes several shards.
    pub(super) async fn run_write(
        &mut self,
        plan: &Plan,
        template: &Template,
        changes: Vec<(usize, Change)>,
        len: usize,
    ) -> Result<(), SessionEnd> {
        let frame = self.client.inbound.split_to(len).freeze();
        let sql = frontend::query(&frame).map_err(super::turn::violation)?;
        let sql = frame.slice_ref(sql);
        let mut lexed = crate::sql::Lexed::default();
        // It was lexed before, and is now for where its only statement is.
        let span = match crate::sql::lex(&sql, &self.lex_options(), &mut lexed) {
            Ok(()) => lexed.statements.first().cloned().unwrap_or_default(),
            Err(_) => 0..sql.len(),
        };
        self.state.start_implicit();
        let shards = Self::written_by(plan).unwrap_or_default();
        let result = match self.begin_spread(&shards).await {
            Ok(()) => self.write_parts(plan, template, (&sql, &span), None).await,
            Err(error) => Err(error.into()),
        };
        match result {
            Ok(told) => {
                self.say_notices(&told.notices);
                if let Some(description) =
                    told.description.as_ref().filter(|frame| frame.first() == Some(&backend::tag::ROW_DESCRIPTION))
                {
                    self.client.outbound.extend_from_slice(description);
                }
                self.client.outbound.extend_from_slice(&told.rows);
                let committed = self.end_spread(false).await;
                if committed {
                    backend::command_complete(&mut self.client.outbound, &told.tag);
                }
                self.complete(changes, 1, !committed);
            }
            Err(undone) => {
                self.undo_write(undone).await?;
                self.complete(Vec::new(), 0, true);
            }
        }
        self.say_ready();
        Ok(())
    }

    /// Sends each shard its part and puts their answers together. `bind`: the client's Bind, in the extended protocol.
    pub(super) async fn write_parts(
        &mut self,
        plan: &Plan,
        template: &Template,
        (sql, span): (&Bytes, &std::ops::Range<usize>),
        bind: Option<(&Bound, Until)>,
    ) -> Result<Told, Undone> {
        if let Plan::Stages { stages, conditions } = plan {
            let watched: Vec<_> = template.watched().cloned().collect();
            if !watched.is_empty() {
                // Before the statement's transaction has locks that the triggers' making would wait for.
                self.admit_watched(&watched).await?;
            }
            return Box::pin(self.run_stages((stages, conditions), (sql, span), bind)).await;
        }
        let watched: Vec<_> = template.watched().cloned().collect();
        if watched.is_empty() || bind.is_some_and(|(_, until)| until == Until::Described) {
            return self.write_plan(plan, template, (sql, span), bind).await;
        }
        self.admit_watched(&watched).await?;
        if let Plan::InsertByShard(rows) = plan
            && !rows.wanted.is_empty()
        {
            let (rows, reserved) = self.reserve_rows(rows).await?;
            let shards: Vec<ShardId> = rows.shards().collect();
            let told = self.write_plan(&Plan::InsertByShard(rows), template, (sql, span), bind).await?;
            self.settle_claims(&shards, false, &reserved).await?;
            return Ok(told);
        }
        let shards = Self::written_by(plan).unwrap_or_default();
        let told = self.write_plan(plan, template, (sql, span), bind).await?;
        self.settle_claims(&shards, matches!(plan, Plan::Move { .. }), &[]).await?;
        Ok(told)
    }

    async fn write_plan(
        &mut self,
        plan: &Plan,
        template: &Template,
        (sql, span): (&Bytes, &std::ops::Range<usize>),
        bind: Option<(&Bound, Until)>,
    ) -> Result<Told, Undone> {
        if let Plan::Transfer { transfer, pulls } = plan {
            return self.transfer(transfer, pulls, template, sql, bind).await;
        }
        if let Plan::Move { sources, goal, moves } = plan {
            let call = super::moving::MoveCall { sources: sources.as_slice(), goal: *goal, moves };
            return Box::pin(self.move_rows(call, template, (sql, span), bind)).await;
        }
        let prepared = self.prepare_parts(plan, sql, span).await?;
        for part in &prepared.parts {
            self.admit_write(part.shard, template).await?;
        }
        let patience = if prepared.rows.is_some() { EARLIER_ERROR_WAIT_MAX } else { LAST_WORDS_WAIT };
        let answers = self.ask_parts(&prepared.parts, bind, patience).await?;
        let counts = bind.is_none_or(|(_, until)| until == Until::Executed);
        prepared.join(answers, sql, bind.is_some(), counts)
    }

    async fn prepare_parts(
        &mut self,
        plan: &Plan,
        sql: &Bytes,
        span: &std::ops::Range<usize>,
    ) -> Result<Prepared, Undone> {
        let options = self.lex_options();
        match plan {
            Plan::WriteAll { shards, moments } => {
                let mut whole = Part::whole(self.database.config.home, sql.clone());
                if !moments.is_empty() {
                    let first = shards.as_slice().first().copied();
                    let moment = self.moment(first.unwrap_or(self.database.config.home)).await?;
                    let made = with_moment(sql, &tokens_of(sql, span, &options), moments, &moment);
                    whole.sql = Bytes::copy_from_slice(&made.sql);
                    whole.made = Some(Arc::new(made));
                }
                let part = |shard: &ShardId| Part { shard: *shard, ..whole.clone() };
                Ok(Prepared { parts: shards.as_slice().iter().map(part).collect(), order: Order::Parts, rows: None })
            }
            Plan::WriteCopies { shards, home, copies } => {
                let fills = copies.rows.as_ref().is_some_and(|rows| !rows.fills.is_empty());
                let mut whole = Part::whole(*home, sql.clone());
                if fills || !copies.moments.is_empty() {
                    let moment = self.moment(*home).await?;
                    let tokens = tokens_of(sql, span, &options);
                    let made = match &copies.rows {
                        Some(layout) if fills => {
                            let all: Vec<usize> = (0..layout.rows.len()).collect();
                            with_rows(sql, &tokens, layout, &all, Some(&moment))
                        }
                        _ => with_moment(sql, &tokens, &copies.moments, &moment),
                    };
                    whole.sql = Bytes::copy_from_slice(&made.sql);
                    whole.parameters = fills.then(|| made.parameters.clone());
                    whole.made = Some(Arc::new(made));
                }
                let part = |shard: &ShardId| Part { shard: *shard, ..whole.clone() };
                let position = shards.as_slice().iter().position(|shard| shard == home).unwrap_or(0);
                let parts = shards.as_slice().iter().map(part).collect();
                Ok(Prepared { parts, order: Order::Same(position), rows: None })
            }
            Plan::InsertByShard(rows) => {
                let timed = !rows.layout.moments.is_empty() || !rows.layout.fills.is_empty();
                let first = rows.shards().next().unwrap_or(self.database.config.home);
                let moment = if timed { Some(self.moment(first).await?) } else { None };
                let tokens = tokens_of(sql, span, &options);
                let part = |(shard, share): &(ShardId, Vec<usize>)| {
                    let made = with_rows(sql, &tokens, &rows.layout, share, moment.as_ref());
                    Part {
                        shard: *shard,
                        sql: Bytes::copy_from_slice(&made.sql),
                        parameters: Some(made.parameters.clone()),
                        has_key: rows.layout.returns == Returns::Some,
                        made: Some(Arc::new(made)),
                    }
                };
                let parts = rows.shares.iter().map(part).collect();
                Ok(Prepared { parts, order: order_of(rows), rows: Some(Arc::clone(rows)) })
            }
            _ => Err(ClientError::new(SqlState::INTERNAL_ERROR, "not a write on several shards").into()),
        }
    }

    /// The moment of the client's transaction: that of the shard which was the first in it.
    pub(super) async fn moment(&mut self, first: ShardId) -> Result<Moment, Undone> {
        use crate::protocol::backend::Status;
        let held = self.transaction.held().iter().find(|held| held.lease.status == Status::InTransaction);
        let shard = held.map_or(first, |held| held.shard);
        let answer = self.ask_one(shard, MOMENT).await?;
        let text = answer.row(0).and_then(backend::first_text).unwrap_or_default();
        let bad = || ClientError::new(SqlState::INTERNAL_ERROR, "a server did not tell the time");
        let (date, rest) = text.split_once(' ').ok_or_else(bad)?;
        let (time, statement) = rest.split_once(' ').ok_or_else(bad)?;
        Ok(Moment { transaction: format!("{date} {time}+00"), statement: format!("{statement}+00") })
    }

    /// A query of the proxy's own within the statement's transaction.
    pub(super) async fn ask_one(&mut self, shard: ShardId, sql: &str) -> Result<Answer, Undone> {
        let part = Part::whole(shard, Bytes::copy_from_slice(sql.as_bytes()));
        let answers = self.ask_parts(std::slice::from_ref(&part), None, LAST_WORDS_WAIT).await?;
        let mut answer = answers.into_iter().next().unwrap_or_default();
        match answer.failure.take() {
            None => Ok(answer),
            Some(failure) => Err(undone(shard, failure)),
        }
    }

    /// The same query of the proxy's own on each of these shards.
    pub(super) async fn ask_each(&mut self, shards: &[ShardId], sql: &str) -> Result<Vec<Answer>, Undone> {
        let sql = Bytes::copy_from_slice(sql.as_bytes());
        let parts: Vec<Part> = shards.iter().map(|shard| Part::whole(*shard, sql.clone())).collect();
        let mut answers = self.ask_parts(&parts, None, LAST_WORDS_WAIT).await?;
        for (answer, shard) in answers.iter_mut().zip(shards) {
            if let Some(failure) = answer.failure.take() {
                return Err(undone(*shard, failure));
            }
        }
        Ok(answers)
    }

    pub(super) async fn ask_parts(
        &mut self,
        parts: &[Part],
        bind: Option<(&Bound, Until)>,
        patience: Duration,
    ) -> Result<Vec<Answer>, Undone> {
        let mut waiting: Vec<(ShardId, VecDeque<Expect>)> = Vec::with_capacity(parts.len());
        for part in parts {
            if let Err(error) = self.reach(part.shard, Access::Write).await {
                self.abandon(&waiting);
                return Err(error.into());
            }
            let ahead = std::mem::take(&mut self.expects);
            let lease = self.transaction.lease_mut(part.shard).expect("reached above");
            lease.unanswered += 1;
            lease.unnamed = None;
            let queued = match bind {
                None => {
                    encode::query(&mut lease.framed.outbound, &part.sql);
                    Ok(())
                }
                Some((bound, until)) => bound.encode(part, until, lease),
            };
            waiting.push((part.shard, ahead));
            if let Err(error) = queued {
                self.abandon(&waiting);
                return Err(error.into());
            }
        }
        let order: Vec<ShardId> = parts.iter().map(|part| part.shard).collect();
        let mut asked: Vec<(usize, Asked<'_>)> = Vec::with_capacity(parts.len());
        for held in self.transaction.held_mut() {
            let Some(rank) = order.iter().position(|shard| *shard == held.shard) else { continue };
            let ahead = waiting.get_mut(rank).map(|(_, ahead)| std::mem::take(ahead)).unwrap_or_default();
            asked.push((rank, Asked { backend: &mut held.lease, ahead }));
        }
        asked.sort_by_key(|(rank, _)| *rank);
        let mut asked: Vec<Asked<'_>> = asked.into_iter().map(|(_, asked)| asked).collect();
        Ok(collect(&mut asked, patience).await)
    }

    /// Tells the client why, and takes back what the shards have done: outside a block all of it; in one it fails.
    pub(super) async fn undo_write(&mut self, undone: Undone) -> Result<(), SessionEnd> {
        let error = match undone {
            Undone::Told => {
                self.expects.clear();
                self.fail_block().await;
                self.end_spread(true).await;
                return Ok(());
            }
            Undone::Ended(end) => return Err(end),
            Undone::Lost(shard, error) => {
                self.survive(shard, error, false).await?;
                self.end_spread(true).await;
                return Ok(());
            }
            Undone::Server { frame, .. } => Err(frame),
            Undone::Proxy(error) => Ok(error),
        };
        self.expects.clear();
        match error {
            Ok(error) => self.refuse(&error).await,
            Err(frame) => {
                match self.moved.take() {
                    Some(moved) => moved.error(&mut self.client.outbound, &frame),
                    None => self.client.outbound.extend_from_slice(&frame),
                }
                self.fail_block().await;
            }
        }
        self.end_spread(true).await;
        Ok(())
    }

    pub(super) fn say_notices(&mut self, notices: &[Bytes]) {
        for notice in notices {
            self.client.outbound.extend_from_slice(notice);
        }
    }
}

fn order_of(rows: &Arc<RowsByShard>) -> Order {
    match rows.layout.returns {
        _ if rows.shares.len() == 1 && rows.layout.returns != Returns::Some => return Order::Parts,
        Returns::Nothing => return Order::Parts,
        Returns::Some => return Order::Keyed(Arc::clone(rows)),
        Returns::Each => {}
    }
    let mut order: Vec<(usize, usize)> = Vec::new();
    for (part, (_, share)) in rows.shares.iter().enumerate() {
        order.extend(share.iter().map(|row| (*row, part)));
    }
    order.sort_unstable();
    Order::Given(order.into_iter().map(|(_, part)| part).collect())
}
