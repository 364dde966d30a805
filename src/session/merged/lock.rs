//! `SELECT ... LIMIT n FOR UPDATE` and its like over several shards: exactly the rows that are given are locked. In:
//! a merge whose shards' statements lock. Out: the client's rows.
//!
//! A first look, which locks nothing, tells how many of the first n rows are whose; then each shard locks so many of its
//! own. Where it locked others than were seen (those are taken, or have changed), its locks are given back with a
//! savepoint and all is done anew. Of shards on which rows were skipped, the look itself locks for that moment, since
//! nothing else tells which rows are free.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes, BytesMut};

use super::ask::{ALL, Question, encoded, values};
use super::{MergeCall, tokens};
use crate::execute::merge::{Progress, Sink, first_of, same_keys, visible_part};
use crate::execute::scatter::Merge as Prologue;
use crate::execute::{Expect, RelayError};
use crate::planning::merge::{Native, Spliced, Verdict, Window};
use crate::planning::{Access, Template};
use crate::protocol::backend::{self, Status, tag};
use crate::protocol::frontend::Bind;
use crate::session::effects::Change;
use crate::session::prepared::{ClientStatement, MergedPortal, Place, Portal};
use crate::session::segment::Failure;
use crate::session::several::{How, ScatterSegment};
use crate::session::turn::{Session, SessionEnd};
use crate::session::undo::Undo;
use crate::types::limits::LOCK_TRIES_MAX;
use crate::types::{ClientError, ShardId, ShardSet, SqlState};

/// What the shards are asked.
struct Locking<'a> {
    native: &'a Native,
    shards: &'a [ShardId],
    /// The first rows, none of them locked.
    look: Spliced,
    /// Locks; without a limit.
    lock: Spliced,
    skips_locked: bool,
    types: Vec<u8>,
    given: Vec<u8>,
    formats: Vec<u8>,
    verdict: Arc<Verdict>,
    client: Bytes,
}

/// Rows as shards gave them, a list for each.
type Lists = Vec<Vec<Bytes>>;

const SET: &str = "SAVEPOINT shardway_locks";
const GIVE_BACK: &str = "ROLLBACK TO SAVEPOINT shardway_locks; RELEASE SAVEPOINT shardway_locks";
const KEEP: &str = "RELEASE SAVEPOINT shardway_locks";

impl Session {
    /// A Query.
    pub(in crate::session) async fn run_locked(
        &mut self,
        call: MergeCall,
        template: &Template,
        changes: Vec<(usize, Change)>,
        sql: &Bytes,
        len: usize,
    ) -> Result<(), SessionEnd> {
        self.client.inbound.advance(len);
        let rows = match self.locked(&call, sql, template, None).await {
            Ok(rows) => rows,
            Err(failure) => {
                self.fail_gather(failure).await?;
                self.say_ready();
                return Ok(());
            }
        };
        if let Some((visible, _)) = call.verdict.descriptions() {
            let mut described = BytesMut::new();
            let _ = backend::with_formats(&mut described, &visible.frame, &[]);
            self.client.outbound.extend_from_slice(&described);
        }
        let count = rows.len() as u64;
        for row in rows {
            self.client.outbound.extend_from_slice(&row);
        }
        self.notes.merged(count, false);
        self.say_tag(Some(format!("SELECT {count}")));
        self.complete(changes, 1, false);
        self.say_ready();
        Ok(())
    }

    /// A portal: its rows are locked when it is bound, and kept.
    pub(in crate::session) async fn bind_locked(
        &mut self,
        portal: &[u8],
        statement: &Arc<ClientStatement>,
        call: MergeCall,
        changes: Vec<Change>,
        len: usize,
    ) -> Result<(), Failure> {
        self.answer_parses(&statement.template).await?;
        let frame = Bytes::copy_from_slice(self.client.inbound.get(..len).unwrap_or_default());
        let message = Bind::decode(&frame)?;
        let formats: Box<[[u8; 2]]> = message.result_formats.as_chunks::<2>().0.into();
        let rows = self.locked(&call, &statement.sql, &statement.template, Some(message)).await?;
        self.keep_portal(portal, statement, (call.verdict, formats), rows, changes).await
    }

    /// The client's rows, as it is sent them.
    async fn locked(
        &mut self,
        call: &MergeCall,
        sql: &Bytes,
        template: &Template,
        message: Option<Bind<'_>>,
    ) -> Result<VecDeque<Bytes>, Failure> {
        let internal = || ClientError::new(SqlState::INTERNAL_ERROR, "a statement has other tokens than its template");
        let (Verdict::Native(native), Some(lock)) = (&*call.verdict, &call.merge.lock) else {
            return Err(internal().into());
        };
        let tokens = tokens(sql, self.standard_conforming_strings);
        let (given_formats, given_values) = values(message);
        let result_formats = message.map(|message| message.result_formats).unwrap_or_default();
        let locking = Locking {
            native,
            shards: call.shards.as_slice(),
            look: call.merge.shard.render(sql, &tokens).ok_or_else(internal)?,
            lock: lock.asked.render(sql, &tokens).ok_or_else(internal)?,
            skips_locked: lock.skips,
            types: native.visible.parameters.iter().flat_map(|oid| oid.to_be_bytes()).collect(),
            given: encoded((&given_formats, &given_values), 0, |_| ()),
            formats: super::formats(result_formats, &call.verdict),
            verdict: Arc::clone(&call.verdict),
            client: sql.clone(),
        };
        for &shard in locking.shards {
            self.admit_write(shard, template).await?;
            self.reach(shard, Access::Write).await?;
            self.settle_ahead(shard).await?;
        }
        let is_fresh = !self.transaction.in_block()
            && !self.transaction.is_spread()
            && self.transaction.held().iter().all(|held| held.lease.status == Status::Idle);
        if is_fresh {
            self.tell_all(locking.shards, "BEGIN").await?;
        }
        let rows = self.lock_rows(&locking, call.window).await;
        if is_fresh {
            // Nothing was written: the locks go with the statement.
            self.end_agreement("ROLLBACK").await;
        }
        let skip = usize::try_from(call.window.skip).unwrap_or(usize::MAX);
        let (visible, hidden) = (native.visible.columns.len(), native.orders.len());
        let rows = rows?.into_iter().skip(skip).map(|frame| visible_part(&frame, visible, hidden));
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The first rows of all, locked, in their order.
    async fn lock_rows(&mut self, locking: &Locking<'_>, window: Window) -> Result<Vec<Bytes>, Failure> {
        // What OFFSET skips is locked as well.
        let Some(take) = window.take.map(|take| take.saturating_add(window.skip)) else {
            let lists = self.ask_rows(locking, locking.shards, &|_| locking.lock.sql.clone()).await?;
            let order = locking.order(&lists, None)?.ok_or_else(unsettled)?;
            return Ok(in_order(&order, lists));
        };
        let limited = |count: u64| {
            let mut sql = locking.lock.sql.clone();
            sql.extend_from_slice(format!(" LIMIT {count}").as_bytes());
            sql
        };
        let mut contended: Vec<ShardId> = Vec::new();
        for _ in 0..LOCK_TRIES_MAX {
            self.tell_all(&contended, SET).await?;
            let look = |position: usize| match locking.shards.get(position) {
                Some(shard) if contended.contains(shard) => limited(take),
                _ => locking.look.sql.clone(),
            };
            let seen = self.ask_rows(locking, locking.shards, &look).await?;
            self.tell_all(&contended, GIVE_BACK).await?;
            // Rows that changed while they were waited for may come in another order: they are looked at anew.
            let Some(order) = locking.order(&seen, Some(take))? else { continue };
            let count = |at: &usize| order.iter().filter(|of| *of == at).count() as u64;
            let mine: Vec<usize> = (0..locking.shards.len()).filter(|at| count(at) > 0).collect();
            let shards: Vec<ShardId> = mine.iter().filter_map(|at| locking.shards.get(*at)).copied().collect();
            self.tell_all(&shards, SET).await?;
            let lock = |position: usize| limited(mine.get(position).map_or(0, count));
            let found = self.ask_rows(locking, &shards, &lock).await?;
            let mut locked: Lists = vec![Vec::new(); locking.shards.len()];
            for (at, rows) in mine.iter().zip(found) {
                if let Some(list) = locked.get_mut(*at) {
                    *list = rows;
                }
            }
            let mut others = Vec::new();
            for (at, shard) in mine.iter().zip(&shards) {
                let wanted = usize::try_from(count(at)).unwrap_or(usize::MAX);
                let (Some(seen), Some(locked)) = (seen.get(*at), locked.get(*at)) else { continue };
                if !locking.are_same(seen.get(..wanted).unwrap_or_default(), locked)? {
                    others.push(*shard);
                }
            }
            if others.is_empty() {
                self.tell_all(&shards, KEEP).await?;
                return Ok(in_order(&order, locked));
            }
            self.tell_all(&shards, GIVE_BACK).await?;
            if locking.skips_locked {
                others.retain(|shard| !contended.contains(shard));
                contended.extend(others);
            }
        }
        Err(unsettled().into())
    }

    async fn ask_rows(
        &mut self,
        locking: &Locking<'_>,
        shards: &[ShardId],
        sql: &(dyn Fn(usize) -> Vec<u8> + Sync),
    ) -> Result<Lists, Failure> {
        let mut lists = vec![Vec::new(); shards.len()];
        if shards.is_empty() {
            return Ok(lists);
        }
        let types = super::columns(&locking.verdict);
        let asked = Question {
            sql,
            types: &locking.types,
            given: &locking.given,
            result_formats: &locking.formats,
            expected: Some(Arc::clone(&locking.verdict)),
            // Both texts begin alike; what differs has no position.
            remap: Some(super::remap(locking.lock.clone(), locking.client.clone())),
            columns: &types,
        };
        self.question_shards(shards, &asked, Sink::Lists(&mut lists), Access::Write).await?;
        Ok(lists)
    }

    /// What came before a Bind is answered first.
    pub(super) async fn answer_parses(&mut self, template: &Template) -> Result<(), Failure> {
        if !self.unplaced.is_empty() {
            let home = self.database.config.home;
            self.enter_segment(home, crate::session::admission::access_of(template)).await?;
            self.place_parses(home);
        }
        self.leave_segment().await
    }

    /// A portal whose rows are there, as they are sent.
    pub(super) async fn keep_portal(
        &mut self,
        portal: &[u8],
        statement: &Arc<ClientStatement>,
        (verdict, formats): (Arc<Verdict>, Box<[[u8; 2]]>),
        rows: VecDeque<Bytes>,
        changes: Vec<Change>,
    ) -> Result<(), Failure> {
        let home = self.database.config.home;
        self.reach(home, crate::session::admission::access_of(&statement.template)).await?;
        self.open_part(home);
        let mut expects = std::mem::take(&mut self.expects);
        expects.push_back(Expect::Owed(tag::BIND_COMPLETE));
        let merged = MergedPortal {
            progress: Mutex::new(Progress::new(Vec::new(), ALL)),
            finishing: None,
            rows: Mutex::new(Some(rows)),
            shards: ShardSet::one(home),
            verdict,
            remap: crate::execute::scatter::Remap(Arc::new(Some)),
            formats,
        };
        let place = Place::Merged(Arc::new(merged));
        let made = Portal { statement: Arc::clone(statement), place, changes, carries: false };
        let previous = self.portals.insert(portal.into(), made);
        self.undo.push(Undo::Portal { name: portal.into(), previous });
        let how = How::of(Prologue::Prologue { quiet: false });
        self.scattering = Some(ScatterSegment { portal: portal.into(), how, shards: vec![(home, expects)] });
        Ok(())
    }
}

impl Locking<'_> {
    /// The lists that the first rows of all are from, one after the other; `None` where a list isn't in order.
    fn order(&self, lists: &Lists, take: Option<u64>) -> Result<Option<Vec<usize>>, ClientError> {
        let visible = self.native.visible.columns.len();
        first_of(&self.native.orders, visible, lists, take).map_err(unreadable)
    }

    /// By their keys: of rows with equal ones, any will do.
    fn are_same(&self, seen: &[Bytes], locked: &[Bytes]) -> Result<bool, ClientError> {
        let visible = self.native.visible.columns.len();
        let mut same = seen.len() == locked.len();
        for (one, other) in seen.iter().zip(locked) {
            same = same && same_keys(&self.native.orders, visible, one, other).map_err(unreadable)?;
        }
        Ok(same)
    }
}

fn in_order(order: &[usize], lists: Lists) -> Vec<Bytes> {
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    order.iter().filter_map(|at| lists.get_mut(*at)?.next()).collect()
}

fn unreadable(error: RelayError) -> ClientError {
    ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, error.to_string())
}

fn unsettled() -> ClientError {
    ClientError::new(SqlState::SERIALIZATION_FAILURE, "could not lock the first rows of several shards")
        .detail("Other transactions have locked or changed them again and again.")
        .hint("The transaction can be tried again.")
}
