//! Statements whose rows come from several shards and are merged on their way to the client. In: a plan. Out:
//! what each shard is asked, in either protocol, and the client's answer. The first call of a shape asks a
//! server for its types.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::{Buf, Bytes, BytesMut};

use super::effects::Change;
use super::prepared::{ClientStatement, Derived, MergedPortal, Place, Portal};
use super::segment::Failure;
use super::several::{How, ScatterSegment, pieces};
use super::turn::{Session, SessionEnd};
use super::undo::{Undo, Unplaced};
use crate::execute::merge::{Ask, Merged, Progress, drain, merge};
use crate::execute::own::{self, Answer, OwnError};
use crate::execute::scatter::{Merge as Way, Remap};
use crate::execute::{Expect, RelayError, relay};
use crate::planning::merge::{
    Described, Description, Merge, Native, Spliced, Verdict, Window, answer, needs_facts, ordered, question, tokens,
};
use crate::planning::{Access, Plan, Template};
use crate::pool::{Backend, SettingValue};
use crate::protocol::backend::{self, Status, tag};
use crate::protocol::frontend::{Bind, Execute, encode};
use crate::sql::Command;
use crate::sql::command::Verb;
use crate::types::{ClientError, ShardId, ShardSet, SqlState};

/// One call of a statement that is merged.
pub(super) struct MergeCall {
    pub shards: ShardSet,
    pub merge: Arc<Merge>,
    pub window: Window,
    pub verdict: Arc<Verdict>,
}

/// The position of the first description that isn't the expected one.
pub(super) fn stranger(verdict: &Verdict, described: &[Bytes]) -> Option<usize> {
    let Verdict::Native(native) = verdict else { return None };
    described.iter().position(|frame| {
        let mut expected = native.columns.iter();
        let mut same = true;
        let read = backend::columns(frame, |_, type_oid, size, _, _| {
            let fits = |known: &Described| known.size == size && (known.type_oid == type_oid || is_own(type_oid));
            same &= expected.next().is_some_and(fits);
        });
        read.is_err() || !same || expected.next().is_some()
    })
}

/// OIDs from here on differ from server to server (PostgreSQL, FirstNormalObjectId).
fn is_own(type_oid: u32) -> bool {
    type_oid >= 16_384
}

fn described(answer: Answer) -> Option<Description> {
    let frame = answer.gives?;
    let mut columns = Vec::new();
    let each = |name: &[u8], type_oid, size, modifier, _| {
        columns.push(Described { name: name.into(), type_oid, size, modifier });
    };
    backend::columns(&frame, each).ok()?;
    Some(Description { parameters: answer.takes.unwrap_or_default(), columns, frame })
}

fn explains(template: &Template) -> bool {
    template.statements.iter().any(|one| matches!(one.command, Command::Ordinary(Verb::Explain { .. })))
}

/// Positions in the statement that was made, as positions in the client's.
fn remap(spliced: Spliced, client: Bytes) -> Remap {
    Remap(Arc::new(move |position| spliced.position(&client, position)))
}

/// The client's formats for its columns, binary for the keys.
fn formats(given: &[u8], native: &Native) -> Vec<u8> {
    let visible = native.visible.columns.len();
    let mut all = match given.as_chunks::<2>().0 {
        [] => vec![0; visible * 2],
        [all] => all.repeat(visible),
        each => each.as_flattened().to_vec(),
    };
    all.extend([0, 1].repeat(native.orders.len()));
    all
}

impl Session {
    /// What becomes of a plan to merge, now that a server can be asked for the types: it stays, with the
    /// verdict, or is replaced by the next of the chain.
    pub(super) async fn settle_merge(
        &mut self,
        plan: Plan,
        sql: &Bytes,
        declared: &[u8],
        template: &Template,
    ) -> Result<(Plan, Option<Arc<Verdict>>), Failure> {
        let Plan::Merge { merge, otherwise, .. } = &plan else { return Ok((plan, None)) };
        let tokens = tokens(sql, self.standard_conforming_strings);
        let verdict = match merge.verdict.get() {
            Some(verdict) => Arc::clone(verdict),
            None => {
                let access = super::simple::access_of(template);
                match self.judge(merge, sql, &tokens, declared, access).await? {
                    Some(verdict) => verdict,
                    // No server can read it: any of them says why.
                    None => {
                        let why = crate::planning::Why::NoRows;
                        return Ok((Plan::Single { shard: self.database.config.home, why }, None));
                    }
                }
            }
        };
        let fits = match &*verdict {
            Verdict::Unfit => false,
            Verdict::Native(native) => !native.compares_text || self.speaks_utf8(),
        };
        if fits {
            return Ok((plan, Some(verdict)));
        }
        let otherwise = (**otherwise).clone().map_err(ClientError::from)?;
        if explains(template) {
            self.note_explain(template, sql, &otherwise);
        }
        match otherwise {
            Plan::Merge { .. } => Box::pin(self.settle_merge(otherwise, sql, declared, template)).await,
            other => Ok((other, None)),
        }
    }

    fn speaks_utf8(&self) -> bool {
        let is_utf8 = |word: &str| ["utf8", "utf-8", "unicode"].iter().any(|name| word.eq_ignore_ascii_case(name));
        match self.state.settings().get("client_encoding") {
            None => true,
            Some(SettingValue::Text(word)) => is_utf8(word),
            Some(SettingValue::List(words)) => words.iter().all(|word| is_utf8(word)),
        }
    }

    /// Asks the home shard for the types of a statement; `None` when it can't be read there.
    async fn judge(
        &mut self,
        merge: &Merge,
        sql: &[u8],
        tokens: &[Range<usize>],
        declared: &[u8],
        access: Access,
    ) -> Result<Option<Arc<Verdict>>, Failure> {
        let internal = || ClientError::new(SqlState::INTERNAL_ERROR, "a statement has other tokens than its template");
        let statement = merge.statement(sql, tokens).ok_or_else(internal)?;
        let shard = merge.render(sql, tokens, false).ok_or_else(internal)?;
        let home = self.database.config.home;
        self.reach(home, access).await?;
        let lease = self.transaction.lease_mut(home).expect("reached above");
        if !self.expects.is_empty()
            && let Err(error) = relay(&mut self.client, lease, &mut self.expects).await
        {
            return Err(self.lost_ahead(home, error).into());
        }
        let lease = self.transaction.lease_mut(home).expect("reached above");
        let guarded = lease.status == Status::InTransaction;
        let result = async {
            if guarded {
                own::run(lease, "SAVEPOINT shardway_asks").await?;
            }
            let asked = ask(lease, merge, statement, &shard, declared).await;
            if guarded && !matches!(asked, Err(OwnError::Lost(_))) {
                own::run(lease, "ROLLBACK TO SAVEPOINT shardway_asks").await?;
                own::run(lease, "RELEASE SAVEPOINT shardway_asks").await?;
            }
            asked
        }
        .await;
        match result {
            Ok(verdict) => {
                let verdict = verdict.map(Arc::new);
                if let Some(verdict) = &verdict {
                    // Two sessions that ask at once learn the same.
                    let _ = merge.verdict.set(Arc::clone(verdict));
                }
                Ok(verdict)
            }
            Err(OwnError::Refused(_)) => Ok(Some(Arc::new(Verdict::Unfit))),
            Err(OwnError::Lost(reason)) => {
                let error = RelayError::Backend { reason, last_words: None };
                Err(self.lost_ahead(home, error).into())
            }
        }
    }

    /// A Query whose rows are merged.
    pub(super) async fn run_merged(
        &mut self,
        call: MergeCall,
        template: &Template,
        changes: Vec<(usize, Change)>,
        sql: &Bytes,
        len: usize,
    ) -> Result<(), SessionEnd> {
        let tokens = tokens(sql, self.standard_conforming_strings);
        let explains = explains(template);
        let (Some(spliced), Verdict::Native(native)) = (call.merge.render(sql, &tokens, explains), &*call.verdict)
        else {
            self.client.inbound.advance(len);
            self.say_error(&ClientError::new(SqlState::INTERNAL_ERROR, "a merge without a statement"));
            self.say_ready();
            return Ok(());
        };
        let text = spliced.sql.clone();
        let remap = remap(spliced, sql.clone());
        let shards = call.shards.as_slice().to_vec();
        if explains {
            return self.run_on_several(shards, template, changes, len, Some((text, remap))).await;
        }
        let formats = formats(&[], native);
        let access = super::simple::access_of(template);
        let mut waiting: Vec<(ShardId, VecDeque<Expect>)> = Vec::with_capacity(shards.len());
        for shard in shards {
            if let Err(error) = self.reach(shard, access).await {
                self.client.inbound.advance(len);
                self.abandon(&waiting);
                self.refuse(&error).await;
                self.say_ready();
                return Ok(());
            }
            let lease = self.transaction.lease_mut(shard).expect("reached above");
            let out = &mut lease.framed.outbound;
            encode::parse(out, b"", &text, b"");
            encode::bind_with_formats(out, b"", b"", &[0; 4], &formats);
            encode::describe_portal(out, b"");
            encode::execute(out, b"", 0);
            encode::sync(out);
            lease.unanswered += 1;
            lease.unnamed = None;
            let mut expects = std::mem::take(&mut self.expects);
            expects.extend([Expect::Parse { shown: false, statement: None }, Expect::Bind, Expect::DescribePortal]);
            waiting.push((shard, expects));
        }
        self.client.inbound.advance(len);
        self.state.start_implicit();
        let how =
            How { merge: Way::Prologue { quiet: true }, expected: Some(Arc::clone(&call.verdict)), remap: Some(remap) };
        let mut progress = Progress::new(waiting.len(), call.window);
        progress.set_running();
        let mut result = self.scatter(&mut waiting, &how).await.map(|(failed, ..)| failed);
        for (_, expects) in &mut waiting {
            expects.clear();
            expects.push_back(Expect::Sync { shown: false });
        }
        let mut rows = 0;
        if let Ok(false) = result {
            let mut described = BytesMut::new();
            let _ = backend::with_formats(&mut described, &native.visible.frame, &[]);
            self.client.outbound.extend_from_slice(&described);
            result = self.merge_rows(&mut waiting, &mut progress, native, Ask::All, &how).await.map(|merged| {
                rows = merged.rows;
                merged.failed
            });
        }
        if let Ok(failed) = result {
            result = self.drain_rows(&mut waiting, &mut progress, failed).await.map(|()| failed);
        }
        match result {
            Ok(failed) => {
                if !failed {
                    self.say_tag(Some(format!("SELECT {rows}")));
                }
                self.complete(changes, 1, failed);
            }
            Err((shard, error)) => self.survive(shard, error, false).await?,
        }
        self.say_ready();
        Ok(())
    }

    async fn merge_rows(
        &mut self,
        waiting: &mut [(ShardId, VecDeque<Expect>)],
        progress: &mut Progress,
        native: &Native,
        ask: Ask<'_>,
        how: &How,
    ) -> Result<Merged, (ShardId, RelayError)> {
        let order: Vec<ShardId> = waiting.iter().map(|(shard, _)| *shard).collect();
        let mut pieces = pieces(&mut self.transaction, waiting, None);
        let visible = native.visible.columns.len();
        merge(&mut self.client, &mut pieces, progress, (&native.orders, visible), ask, how.remap.as_ref())
            .await
            .map_err(|(position, error)| (order.get(position).copied().unwrap_or(self.database.config.home), error))
    }

    /// Reads what the shards still send of rows that aren't wanted, and what is expected behind them.
    async fn drain_rows(
        &mut self,
        waiting: &mut [(ShardId, VecDeque<Expect>)],
        progress: &mut Progress,
        failed: bool,
    ) -> Result<(), (ShardId, RelayError)> {
        let order: Vec<ShardId> = waiting.iter().map(|(shard, _)| *shard).collect();
        let mut pieces = pieces(&mut self.transaction, waiting, None);
        drain(&mut self.client, &mut pieces, progress, failed)
            .await
            .map_err(|(position, error)| (order.get(position).copied().unwrap_or(self.database.config.home), error))
    }

    /// A portal whose rows are merged.
    pub(super) async fn bind_merge(
        &mut self,
        portal: Box<[u8]>,
        statement: Arc<ClientStatement>,
        call: MergeCall,
        changes: Vec<Change>,
        len: usize,
    ) -> Result<(), Failure> {
        let explains = explains(&statement.template);
        let derived = self.derive(&statement, &call.merge, explains)?;
        let Verdict::Native(native) = &*call.verdict else {
            return Err(ClientError::new(SqlState::INTERNAL_ERROR, "a merge without an order").into());
        };
        let remap = derived.remap.clone();
        if explains {
            let made = Arc::clone(&derived.statement);
            return self.bind_scatter(portal, made, call.shards, changes, len, Some(remap)).await;
        }
        let unplaced = std::mem::take(&mut self.unplaced);
        let access = super::simple::access_of(&statement.template);
        let mut waiting: Vec<(ShardId, VecDeque<Expect>)> = Vec::new();
        for (position, &shard) in call.shards.as_slice().iter().enumerate() {
            if let Err(error) = self.reach(shard, access).await {
                self.abandon(&waiting);
                self.unplaced = unplaced;
                return Err(error.into());
            }
            self.open_part(shard);
            if position == 0 {
                for parse in &unplaced {
                    self.queue_parse(shard, &parse.statement, true);
                }
            }
            self.prepare(shard, &derived.statement);
            let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
            let formats = formats(message.result_formats, native);
            let lease = self.transaction.lease_mut(shard).expect("reached above");
            let name = derived.statement.shared.as_ref().map_or(&b""[..], |shared| shared.name());
            let out = &mut lease.framed.outbound;
            encode::bind_with_formats(out, message.portal, name, message.given, &formats);
            encode::describe_portal(out, message.portal);
            self.expects.extend([Expect::Bind, Expect::DescribePortal]);
            waiting.push((shard, std::mem::take(&mut self.expects)));
        }
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let merged = MergedPortal {
            progress: Mutex::new(Progress::new(waiting.len(), call.window)),
            shards: call.shards,
            verdict: Arc::clone(&call.verdict),
            remap: remap.clone(),
            formats: message.result_formats.as_chunks::<2>().0.into(),
        };
        for Unplaced { statement, previous } in unplaced {
            self.undo.push(Undo::Parse { name: statement.name.clone(), previous });
        }
        let place = Place::Merged(Arc::new(merged));
        let previous = self.portals.insert(portal.clone(), Portal { statement, place, changes });
        self.undo.push(Undo::Portal { name: portal.clone(), previous });
        let how = How { merge: Way::Prologue { quiet: false }, expected: Some(call.verdict), remap: Some(remap) };
        self.scattering = Some(ScatterSegment { portal, how, shards: waiting });
        Ok(())
    }

    /// The statement that shards are asked instead of this one.
    fn derive(
        &self,
        statement: &Arc<ClientStatement>,
        merge: &Merge,
        explains: bool,
    ) -> Result<Arc<Derived>, ClientError> {
        if let Some(derived) = statement.merged.get() {
            return Ok(Arc::clone(derived));
        }
        let tokens = tokens(&statement.sql, self.standard_conforming_strings);
        let spliced = merge.render(&statement.sql, &tokens, explains).ok_or_else(|| {
            ClientError::new(SqlState::INTERNAL_ERROR, "a statement has other tokens than its template")
        })?;
        let sql = Bytes::from(spliced.sql.clone());
        let shared = statement.shared.as_ref().map(|_| self.database.statements.intern(&sql, &statement.declared));
        let made = ClientStatement {
            name: statement.name.clone(),
            sql: shared.as_ref().map_or(sql, |shared| shared.sql.clone()),
            declared: statement.declared.clone(),
            shared,
            template: Arc::clone(&statement.template),
            generation: statement.generation,
            names: Arc::clone(&statement.names),
            lexed: crate::sql::Lexed::default(),
            types: OnceLock::new(),
            filled: OnceLock::new(),
            merged: OnceLock::new(),
        };
        let derived = Arc::new(Derived { statement: Arc::new(made), remap: remap(spliced, statement.sql.clone()) });
        Ok(Arc::clone(statement.merged.get_or_init(|| derived)))
    }

    pub(super) async fn describe_merge(&mut self, portal: &[u8], merged: &MergedPortal) -> Result<(), Failure> {
        self.resume_scatter(portal).await?;
        let Verdict::Native(native) = &*merged.verdict else { return Ok(()) };
        let mut frame = BytesMut::new();
        backend::with_formats(&mut frame, &native.visible.frame, &merged.formats)?;
        if let Some((_, expects)) = self.scattering.as_mut().and_then(|segment| segment.shards.first_mut()) {
            expects.push_back(Expect::Say(frame.as_ref().into()));
        }
        Ok(())
    }

    pub(super) async fn execute_merge(
        &mut self,
        portal: &[u8],
        merged: &MergedPortal,
        len: usize,
    ) -> Result<(), Failure> {
        self.resume_scatter(portal).await?;
        let message = Execute::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let limit = u64::try_from(message.rows_max).unwrap_or(0);
        let lock = || merged.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let mut progress = std::mem::replace(&mut *lock(), Progress::new(0, Window { skip: 0, take: Some(0) }));
        let result = match limit {
            0 => self.execute_all(portal, merged, &mut progress).await,
            limit => self.execute_some(portal, merged, &mut progress, limit).await,
        };
        *lock() = progress;
        result
    }

    /// Without a row limit: the shards' turn ends with it.
    async fn execute_all(
        &mut self,
        portal: &[u8],
        merged: &MergedPortal,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let (Some(mut segment), Verdict::Native(native)) = (self.scattering.take(), &*merged.verdict) else {
            return Ok(());
        };
        for (position, (shard, _)) in segment.shards.iter().enumerate() {
            if let Some(lease) = self.transaction.lease_mut(*shard) {
                if !progress.is_done(position) {
                    encode::execute(&mut lease.framed.outbound, portal, 0);
                }
                encode::sync(&mut lease.framed.outbound);
            }
        }
        progress.set_running();
        let mut result = self.scatter(&mut segment.shards, &segment.how).await.map(|(failed, ..)| failed);
        for (_, expects) in &mut segment.shards {
            expects.clear();
            expects.push_back(Expect::Sync { shown: false });
        }
        let mut rows = 0;
        let how = How { remap: Some(merged.remap.clone()), ..segment.how.clone() };
        if let Ok(false) = result {
            result = self.merge_rows(&mut segment.shards, progress, native, Ask::All, &how).await.map(|merged| {
                rows = merged.rows;
                merged.failed
            });
        }
        if let Ok(failed) = result {
            result = self.drain_rows(&mut segment.shards, progress, failed).await.map(|()| failed);
        }
        match result {
            Ok(true) => {
                self.state.fail_implicit();
                self.complete(Vec::new(), 0, true);
                Err(Failure::Told)
            }
            Ok(false) => {
                self.say_tag(Some(format!("SELECT {rows}")));
                let portal = self.portals.get_mut(&segment.portal);
                let changes = portal.map(|portal| std::mem::take(&mut portal.changes)).unwrap_or_default();
                self.complete(changes.into_iter().map(|change| (0, change)).collect(), 1, false);
                Ok(())
            }
            Err((shard, error)) => Err(self.lose_scatter(shard, error).await),
        }
    }

    async fn execute_some(
        &mut self,
        portal: &[u8],
        merged: &MergedPortal,
        progress: &mut Progress,
        limit: u64,
    ) -> Result<(), Failure> {
        // What was queued before is answered first, in the order of the messages.
        self.flush_parts().await?;
        let (Some(mut segment), Verdict::Native(native)) = (self.scattering.take(), &*merged.verdict) else {
            return Ok(());
        };
        let how = How { remap: Some(merged.remap.clone()), ..How::of(Way::Concatenate) };
        let ask = Ask::Batch { portal, rows: limit };
        let mut result = self.merge_rows(&mut segment.shards, progress, native, ask, &how).await;
        if let Ok(Merged { suspended: false, .. }) = result
            && let Err(error) = self.drain_rows(&mut segment.shards, progress, false).await
        {
            result = Err(error);
        }
        self.scattering = Some(segment);
        match result {
            Ok(Merged { failed: true, .. }) => Err(Failure::Told),
            Ok(Merged { suspended: true, .. }) => {
                backend::empty(&mut self.client.outbound, tag::PORTAL_SUSPENDED);
                Ok(())
            }
            Ok(Merged { rows, .. }) => {
                self.say_tag(Some(format!("SELECT {rows}")));
                Ok(())
            }
            Err((shard, error)) => Err(self.lose_scatter(shard, error).await),
        }
    }
}

/// `None`: the client's statement can't be read.
async fn ask(
    lease: &mut Backend,
    merge: &Merge,
    statement: &[u8],
    shard: &Spliced,
    declared: &[u8],
) -> Result<Option<Verdict>, OwnError> {
    let visible = match own::describe(lease, statement, declared).await {
        Ok(answer) => answer,
        Err(OwnError::Refused(_)) => return Ok(None),
        Err(lost) => return Err(lost),
    };
    // A column of no rows, as SELECT has without a list.
    let Some(visible) = described(visible) else { return Ok(Some(Verdict::Unfit)) };
    let types: Vec<u8> = visible.parameters.iter().flat_map(|oid| oid.to_be_bytes()).collect();
    // A savepoint guards the transaction, but a failed one answers nothing more: what fails is unfit.
    let Some(columns) = described(own::describe(lease, &shard.sql, &types).await?) else {
        return Ok(Some(Verdict::Unfit));
    };
    let keys = columns.columns.get(visible.columns.len()..).unwrap_or_default();
    let mut facts = Vec::new();
    if needs_facts(keys) {
        let asked = own::run_without_values(lease, &question(shard, merge.hidden()), &types).await?;
        match asked.value.as_deref().and_then(|text| answer(text, merge.hidden())) {
            Some(found) => facts = found,
            None => return Ok(Some(Verdict::Unfit)),
        }
    }
    Ok(Some(ordered(merge, visible, columns, &facts)))
}
