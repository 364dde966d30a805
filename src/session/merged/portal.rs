//! The extended protocol: portals whose rows are merged, with and without row limits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use super::give::{Finally, Given, Run, finishing};
use super::{MergeCall, tokens};
use crate::execute::Expect;
use crate::execute::merge::{Ask, Progress};
use crate::execute::scatter::Merge as Way;
use crate::planning::merge::{Finish, Verdict, Window};
use crate::protocol::backend::{self, tag};
use crate::protocol::frontend::{Bind, Execute, encode};
use crate::session::effects::Change;
use crate::session::numbering;
use crate::session::prepared::{ClientStatement, Derived, MergedPortal, Place, Portal};
use crate::session::segment::Failure;
use crate::session::several::{How, ScatterSegment};
use crate::session::turn::{Session, SessionEnd};
use crate::session::undo::{Undo, Unplaced};
use crate::types::limits::MERGE_FLUSH_BYTES;
use crate::types::{ClientError, ShardId, SqlState};

impl Session {
    /// A portal whose rows are merged.
    pub(in crate::session) async fn bind_merge(
        &mut self,
        portal: Box<[u8]>,
        statement: Arc<ClientStatement>,
        call: MergeCall,
        changes: Vec<Change>,
        len: usize,
    ) -> Result<(), Failure> {
        let explains = super::explains(&statement.template);
        let derived = self.derive(&statement, &call, explains)?;
        let remap = derived.remap.clone();
        if explains {
            let tokens = tokens(&statement.sql, self.standard_conforming_strings);
            self.explain_merge(&call, &statement.sql, &tokens);
            let made = Arc::clone(&derived.statement);
            return self.bind_scatter(portal, made, call.shards, changes, len, Some(remap)).await;
        }
        let unplaced = std::mem::take(&mut self.unplaced);
        let access = crate::session::admission::access_of(&statement.template);
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
            let formats = super::formats(message.result_formats, &call.verdict);
            let lease = self.transaction.lease_mut(shard).expect("reached above");
            let name = derived.statement.shared.as_ref().map_or(&b""[..], |shared| shared.name());
            let names = (message.portal, name);
            if let Err(error) = numbering::queue_bind(lease, &statement, names, &message, Some(&formats)) {
                self.abandon(&waiting);
                self.transaction.remove(shard);
                self.unplaced = unplaced;
                return Err(error.into());
            }
            encode::describe_portal(&mut lease.framed.outbound, message.portal);
            self.expects.extend([Expect::Bind, Expect::DescribePortal]);
            waiting.push((shard, std::mem::take(&mut self.expects)));
        }
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let tokens = tokens(&statement.sql, self.standard_conforming_strings);
        let types = super::columns(&call.verdict);
        let formats = super::formats(message.result_formats, &call.verdict);
        let renumber = self.renumberings(call.shards.as_slice().iter().copied(), &types, &formats);
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let merged = MergedPortal {
            progress: Mutex::new(Progress::new(renumber, call.window)),
            finishing: finishing(&call, &statement.sql, &tokens, Some(message)),
            rows: Mutex::new(None),
            shards: call.shards,
            verdict: Arc::clone(&call.verdict),
            remap: remap.clone(),
            formats: message.result_formats.as_chunks::<2>().0.into(),
        };
        for Unplaced { statement, previous } in unplaced {
            self.undo.push(Undo::Parse { name: statement.name.clone(), previous });
        }
        let place = Place::Merged(Arc::new(merged));
        let previous = self.portals.insert(portal.clone(), Portal { statement, place, changes, carries: false });
        self.undo.push(Undo::Portal { name: portal.clone(), previous });
        let how = How { merge: Way::Prologue { quiet: false }, expected: Some(call.verdict), remap: Some(remap) };
        self.scattering = Some(ScatterSegment { portal, how, shards: waiting });
        Ok(())
    }

    /// The statement that shards are asked instead of this one.
    fn derive(
        &self,
        statement: &Arc<ClientStatement>,
        call: &MergeCall,
        explains: bool,
    ) -> Result<Arc<Derived>, ClientError> {
        if let Some(derived) = statement.merged.get() {
            return Ok(Arc::clone(derived));
        }
        let tokens = tokens(&statement.sql, self.standard_conforming_strings);
        let spliced = call.merge.render(&statement.sql, &tokens, explains).ok_or_else(|| {
            ClientError::new(SqlState::INTERNAL_ERROR, "a statement has other tokens than its template")
        })?;
        let sql = Bytes::from(spliced.sql.clone());
        let declared = Bytes::from(super::types(&call.verdict, &statement.declared));
        let shared = statement.shared.as_ref().map(|_| self.database.statements.intern(&sql, &declared));
        let made = ClientStatement {
            name: statement.name.clone(),
            sql: shared.as_ref().map_or(sql, |shared| shared.sql.clone()),
            declared,
            shared,
            ..ClientStatement::unknown(
                Arc::clone(&statement.template),
                statement.generation,
                Arc::clone(&statement.names),
            )
        };
        let derived =
            Arc::new(Derived { statement: Arc::new(made), remap: super::remap(spliced, statement.sql.clone()) });
        Ok(Arc::clone(statement.merged.get_or_init(|| derived)))
    }

    pub(in crate::session) async fn describe_merge(
        &mut self,
        portal: &[u8],
        merged: &MergedPortal,
    ) -> Result<(), Failure> {
        self.resume_scatter(portal).await?;
        let Some((visible, _)) = merged.verdict.descriptions() else { return Ok(()) };
        let mut frame = BytesMut::new();
        backend::with_formats(&mut frame, &visible.frame, &merged.formats)?;
        if let Some((_, expects)) = self.scattering.as_mut().and_then(|segment| segment.shards.first_mut()) {
            expects.push_back(Expect::Say(frame.as_ref().into()));
        }
        Ok(())
    }

    pub(in crate::session) async fn execute_merge(
        &mut self,
        portal: &[u8],
        merged: &MergedPortal,
        len: usize,
    ) -> Result<(), Failure> {
        self.resume_scatter(portal).await?;
        let message = Execute::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let limit = u64::try_from(message.rows_max).unwrap_or(0);
        let lock = || merged.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let mut progress =
            std::mem::replace(&mut *lock(), Progress::new(Vec::new(), Window { skip: 0, take: Some(0) }));
        let is_kept = merged.rows.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let result = match (limit, &*merged.verdict) {
            _ if is_kept => self.give_kept(merged, limit).await,
            (0, _) => self.execute_all(portal, merged, &mut progress).await,
            (limit, Verdict::Finished(finish)) => match self.keep_all(portal, merged, finish, &mut progress).await {
                Ok(()) => self.give_kept(merged, limit).await,
                failed => failed,
            },
            (limit, _) => self.execute_some(portal, merged, &mut progress, limit).await,
        };
        *lock() = progress;
        result
    }

    /// Gives rows that were kept.
    async fn give_kept(&mut self, merged: &MergedPortal, limit: u64) -> Result<(), Failure> {
        // What was queued before is answered first, in the order of the messages.
        self.flush_parts().await?;
        let mut given = 0;
        loop {
            let row = {
                let mut rows = merged.rows.lock().unwrap_or_else(PoisonError::into_inner);
                if limit > 0 && given == limit { None } else { rows.as_mut().and_then(VecDeque::pop_front) }
            };
            let Some(row) = row else { break };
            given += 1;
            self.client.outbound.extend_from_slice(&row);
            if self.client.outbound.len() >= MERGE_FLUSH_BYTES {
                self.client.flush().await.map_err(|error| Failure::End(SessionEnd::Lost(error)))?;
            }
        }
        if limit > 0 && given == limit {
            backend::empty(&mut self.client.outbound, tag::PORTAL_SUSPENDED);
        } else {
            self.say_tag(Some(format!("SELECT {given}")));
        }
        Ok(())
    }

    /// Has the whole answer made, and keeps it: the server that makes it can't hold it, since the shards' turn
    /// isn't over.
    async fn keep_all(
        &mut self,
        portal: &[u8],
        merged: &MergedPortal,
        finish: &Finish,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        self.flush_parts().await?;
        let (Some(mut segment), Some(finishing)) = (self.scattering.take(), &merged.finishing) else { return Ok(()) };
        for (shard, _) in &segment.shards {
            if let Some(lease) = self.transaction.lease_mut(*shard) {
                encode::execute(&mut lease.framed.outbound, portal, 0);
                encode::flush(&mut lease.framed.outbound);
            }
        }
        progress.set_running();
        let how = How { remap: Some(merged.remap.clone()), ..How::of(Way::Concatenate) };
        let mut result = Ok(true);
        match self.collect(&mut segment.shards, progress, finish, &how).await {
            Ok(Some(arrays)) => {
                let made = self.finish(&segment.shards, finish, finishing, &arrays, Finally::Keep).await;
                result = made.map(|(_, failed, kept)| {
                    *merged.rows.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
                    failed
                });
            }
            Ok(None) => {}
            Err(lost) => result = Err(lost),
        }
        self.scattering = Some(segment);
        match result {
            Ok(false) => Ok(()),
            Ok(true) => Err(Failure::Told),
            Err((shard, error)) => Err(self.lose_scatter(shard, error).await),
        }
    }

    /// Without a row limit: the shards' turn ends with it.
    async fn execute_all(
        &mut self,
        portal: &[u8],
        merged: &MergedPortal,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let Some(mut segment) = self.scattering.take() else { return Ok(()) };
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
            let run = Run { verdict: &merged.verdict, ask: Ask::All, finishing: merged.finishing.as_ref(), how: &how };
            result = self.give_rows(&mut segment.shards, progress, run).await.map(|given| {
                rows = given.rows;
                given.failed
            });
        } else if let Ok(true) = result {
            result = self.drain_rows(&mut segment.shards, progress, true).await.map(|()| true);
        }
        match result {
            Ok(true) => {
                self.state.fail_implicit();
                self.complete(Vec::new(), 0, true);
                Err(Failure::Told)
            }
            Ok(false) => {
                self.notes.merged(rows, false);
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
        let Some(mut segment) = self.scattering.take() else { return Ok(()) };
        let how = How { remap: Some(merged.remap.clone()), ..How::of(Way::Concatenate) };
        let ask = Ask::Batch { portal, rows: limit };
        let run = Run { verdict: &merged.verdict, ask, finishing: None, how: &how };
        let result = self.give_rows(&mut segment.shards, progress, run).await;
        self.scattering = Some(segment);
        match result {
            Ok(Given { failed: true, .. }) => Err(Failure::Told),
            Ok(Given { suspended: true, .. }) => {
                backend::empty(&mut self.client.outbound, tag::PORTAL_SUSPENDED);
                Ok(())
            }
            Ok(Given { rows, .. }) => {
                self.say_tag(Some(format!("SELECT {rows}")));
                Ok(())
            }
            Err((shard, error)) => Err(self.lose_scatter(shard, error).await),
        }
    }
}
