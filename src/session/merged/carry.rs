//! Joins of tables that aren't on one shard together, by carrying the rows of one to the shards of the others. In: the
//! ways in which a call may be answered so. Out: the client's answer, or word that all of its tables have too many
//! rows. The shards are asked within one transaction each: the client's, or one of the proxy's own.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use super::ask::{ALL, Question};
use super::give::{Finally, finishing, with_arrays};
use super::{MergeCall, tokens};
use crate::execute::Expect;
use crate::execute::merge::{Arrays, Sink};
use crate::planning::merge::{Carrying, Verdict};
use crate::planning::{Access, CarryWay, Plan, Template, Why};
use crate::protocol::backend::{self, Status};
use crate::protocol::frontend::Bind;
use crate::session::effects::Change;
use crate::session::prepared::{ClientStatement, Finishing};
use crate::session::segment::Failure;
use crate::session::turn::{Session, SessionEnd};
use crate::types::limits::{CARRIED_BYTES_MAX, CARRIED_ROWS_MAX};
use crate::types::{ClientError, ShardId, ShardSet, SqlState};

/// What the shards gave.
struct Parts {
    arrays: Arrays,
    call: MergeCall,
    finishing: Finishing,
}

/// A way that the servers' types allow.
struct Fit<'a> {
    way: &'a CarryWay,
    carrying: &'a Carrying,
    verdict: Arc<Verdict>,
}

/// A call's text, and what came with it.
pub(in crate::session) struct CarryText<'a> {
    pub sql: &'a Bytes,
    pub declared: &'a [u8],
    pub template: &'a Template,
    pub message: Option<Bind<'a>>,
}

enum Carried {
    Parts(Box<Parts>),
    /// Something else has to answer it.
    Otherwise,
    /// No server can read it: any of them says why.
    Unreadable,
}

impl Session {
    /// A Query that is answered so; else what is to be done instead.
    pub(in crate::session) async fn run_carried(
        &mut self,
        (ways, otherwise): (Vec<CarryWay>, Plan),
        template: &Template,
        changes: &mut Vec<(usize, Change)>,
        sql: &Bytes,
        len: usize,
    ) -> Result<Option<Plan>, SessionEnd> {
        let text = CarryText { sql, declared: b"", template, message: None };
        let parts = match self.carry(&ways, &text).await {
            Ok(Carried::Parts(parts)) => *parts,
            Ok(Carried::Otherwise) => return Ok(Some(otherwise)),
            Ok(Carried::Unreadable) => return Ok(Some(self.unreadable())),
            Err(failure) => {
                self.client.inbound.advance(len);
                self.fail_gather(failure).await?;
                self.say_ready();
                return Ok(None);
            }
        };
        self.client.inbound.advance(len);
        let Verdict::Finished(finish) = &*parts.call.verdict else { return Ok(None) };
        let mut described = BytesMut::new();
        let _ = backend::with_formats(&mut described, &finish.visible.frame, &[]);
        self.client.outbound.extend_from_slice(&described);
        match self.finish(&waiting(&parts.call.shards), finish, &parts.finishing, &parts.arrays, Finally::Sync).await {
            Ok((rows, failed, _)) => {
                self.notes.merged(rows, failed);
                if !failed {
                    self.say_tag(Some(format!("SELECT {rows}")));
                }
                self.complete(std::mem::take(changes), 1, failed);
            }
            Err((shard, error)) => self.survive(shard, error, false).await?,
        }
        self.say_ready();
        Ok(None)
    }

    /// A portal whose answer is made when it is bound, and kept; else what is to be done instead.
    pub(in crate::session) async fn bind_carried(
        &mut self,
        portal: &[u8],
        statement: &Arc<ClientStatement>,
        (ways, otherwise): (Vec<CarryWay>, Plan),
        changes: &mut Vec<Change>,
        len: usize,
    ) -> Result<Option<Plan>, Failure> {
        self.answer_parses(&statement.template).await?;
        let frame = Bytes::copy_from_slice(self.client.inbound.get(..len).unwrap_or_default());
        let message = Bind::decode(&frame)?;
        let formats: Box<[[u8; 2]]> = message.result_formats.as_chunks::<2>().0.into();
        let (sql, declared) = (statement.sql.clone(), statement.declared.clone());
        let text = CarryText { sql: &sql, declared: &declared, template: &statement.template, message: Some(message) };
        let parts = match self.carry(&ways, &text).await? {
            Carried::Parts(parts) => *parts,
            Carried::Otherwise => return Ok(Some(otherwise)),
            Carried::Unreadable => return Ok(Some(self.unreadable())),
        };
        let Verdict::Finished(finish) = &*parts.call.verdict else { return Ok(Some(otherwise)) };
        let there = waiting(&parts.call.shards);
        let made = self.finish(&there, finish, &parts.finishing, &parts.arrays, Finally::KeepAndSync).await;
        let rows = match made {
            Ok((_, false, kept)) => kept,
            Ok((_, true, _)) => return Err(Failure::Told),
            Err((shard, error)) => return Err(self.lose_scatter(shard, error).await),
        };
        let verdict = Arc::clone(&parts.call.verdict);
        self.keep_portal(portal, statement, (verdict, formats), rows, std::mem::take(changes)).await?;
        Ok(None)
    }

    fn unreadable(&self) -> Plan {
        Plan::Single { shard: self.database.config.home, why: Why::NoRows }
    }

    async fn carry(&mut self, ways: &[CarryWay], text: &CarryText<'_>) -> Result<Carried, Failure> {
        // EXPLAIN shows the plans of the other way. Values that were recoded on their way here may not go back as they were.
        if super::explains(text.template) || self.recodes() || self.transaction.is_failed() {
            return Ok(Carried::Otherwise);
        }
        let access = crate::session::admission::access_of(text.template);
        let Some(fits) = self.fitting(ways, text, access).await? else { return Ok(Carried::Unreadable) };
        if fits.is_empty() {
            return Ok(Carried::Otherwise);
        }
        let mut shards: Vec<ShardId> =
            fits.iter().flat_map(|fit| fit.way.from.iter().chain(fit.way.to.as_slice())).copied().collect();
        shards.sort_unstable();
        shards.dedup();
        for &shard in &shards {
            self.reach(shard, access).await?;
            self.settle_ahead(shard).await?;
        }
        let is_fresh = !self.transaction.in_block()
            && !self.transaction.is_spread()
            && self.transaction.held().iter().all(|held| held.lease.status == Status::Idle);
        if is_fresh {
            // All that is read of a shard is of one moment.
            self.tell_all(&shards, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        }
        let carried = self.carry_within(&fits, text, access).await;
        if is_fresh {
            self.end_agreement(if carried.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
        }
        carried
    }

    /// The ways that the servers' types allow; `None`: the statement can't be read.
    async fn fitting<'w>(
        &mut self,
        ways: &'w [CarryWay],
        text: &CarryText<'_>,
        access: Access,
    ) -> Result<Option<Vec<Fit<'w>>>, Failure> {
        let tokens = tokens(text.sql, self.standard_conforming_strings);
        let home = self.database.config.home;
        let mut fits = Vec::new();
        for way in ways {
            let Some(carrying) = way.carrying() else { continue };
            let verdict = match carrying.merge.verdicts.get(text.declared) {
                Some(verdict) => verdict,
                None => match self.judge(&carrying.merge, text.sql, &tokens, text.declared, access).await? {
                    Some(verdict) => verdict,
                    None => return Ok(None),
                },
            };
            if let Verdict::Finished(finish) = &*verdict
                && carrying.merge.holds(text.sql, &tokens)
                && (!finish.is_at_home || way.to.as_slice().contains(&home))
            {
                fits.push(Fit { way, carrying, verdict });
            }
        }
        Ok(Some(fits))
    }

    async fn carry_within(
        &mut self,
        fits: &[Fit<'_>],
        text: &CarryText<'_>,
        access: Access,
    ) -> Result<Carried, Failure> {
        let mut least: Option<(u64, &Fit<'_>)> = None;
        for fit in fits {
            let bytes = self.estimate(fit, access).await?;
            if least.is_none_or(|(known, _)| bytes < known) {
                least = Some((bytes, fit));
            }
        }
        let Some((bytes, fit)) = least else { return Ok(Carried::Otherwise) };
        if bytes > CARRIED_BYTES_MAX as u64 {
            return Ok(Carried::Otherwise);
        }
        let carried = &fit.carrying.carried;
        let mut rows = Arrays::up_to(carried.types.len(), CARRIED_BYTES_MAX);
        let sql = |_| format!("{} LIMIT {}", fit.way.asked, CARRIED_ROWS_MAX + 1).into_bytes();
        let asked = Question::plain(&sql, &[0, 1], &carried.types);
        self.question_shards(&fit.way.from, &asked, Sink::Arrays(&mut rows), access).await?;
        if !rows.are_whole() || rows.rows() > CARRIED_ROWS_MAX {
            return Ok(Carried::Otherwise);
        }
        self.parts(fit, &rows, text, access).await
    }

    /// How many bytes the rows have that would be carried, as far as the servers' planners know.
    async fn estimate(&mut self, fit: &Fit<'_>, access: Access) -> Result<u64, Failure> {
        let columns = fit.carrying.carried.types.len() as u64;
        let mut plans = Arrays::new(1);
        let sql = |_| format!("EXPLAIN {}", fit.way.asked).into_bytes();
        let asked = Question::plain(&sql, &[0, 0], &[]);
        self.question_shards(&fit.way.from, &asked, Sink::Arrays(&mut plans), access).await?;
        let number = |line: &str, name: &str| -> Option<u64> {
            let rest = line.split_once(name)?.1;
            rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
        };
        let lines = plans.texts(0).filter(|line| !line.starts_with(' ') && line.contains("(cost="));
        let bytes = lines.filter_map(|line| {
            let (rows, width) = (number(line, " rows=")?, number(line, " width=")?);
            Some(rows.saturating_mul(width + 4 * columns))
        });
        Ok(bytes.fold(0, u64::saturating_add))
    }

    /// Has the shards of the other tables give their parts.
    async fn parts(
        &mut self,
        fit: &Fit<'_>,
        rows: &Arrays,
        text: &CarryText<'_>,
        access: Access,
    ) -> Result<Carried, Failure> {
        let Fit { way, carrying, verdict } = fit;
        let (merge, verdict) = (Arc::clone(&carrying.merge), Arc::clone(verdict));
        let call = MergeCall { shards: way.to.clone(), merge, window: ALL, verdict };
        let internal = || ClientError::new(SqlState::INTERNAL_ERROR, "a statement has other tokens than its template");
        let tokens = tokens(text.sql, self.standard_conforming_strings);
        let spliced = call.merge.render(text.sql, &tokens, false).ok_or_else(internal)?;
        let finishing = finishing(&call, text.sql, &tokens, text.message).ok_or_else(internal)?;
        let Verdict::Finished(finish) = &*call.verdict else { return Ok(Carried::Otherwise) };
        let sql = |_| spliced.sql.clone();
        let mut arrays = Arrays::new(finish.columns.len());
        let types = super::columns(&call.verdict);
        let asked = Question {
            sql: &sql,
            types: &super::types(&call.verdict, text.declared),
            given: &with_arrays(&finishing, rows, &carrying.carried.types),
            result_formats: &[0, 1],
            expected: Some(Arc::clone(&call.verdict)),
            remap: Some(super::remap(spliced.clone(), text.sql.clone())),
            columns: &types,
        };
        self.question_shards(call.shards.as_slice(), &asked, Sink::Arrays(&mut arrays), access).await?;
        Ok(Carried::Parts(Box::new(Parts { arrays, finishing, call })))
    }
}

impl<'a> Question<'a> {
    /// Without parameters.
    fn plain(sql: &'a (dyn Fn(usize) -> Vec<u8> + Sync), result_formats: &'a [u8], columns: &'a [u32]) -> Self {
        Self { sql, types: b"", given: &[0; 4], result_formats, expected: None, remap: None, columns }
    }
}

/// These shards, of which nothing is expected.
fn waiting(shards: &ShardSet) -> Vec<(ShardId, VecDeque<Expect>)> {
    shards.as_slice().iter().map(|shard| (*shard, VecDeque::new())).collect()
}
