//! The short way of the statements that most clients send most of the time: one ordinary statement, outside of any
//! block, of a shape that is known, for one shard, by a client that nothing pins. In: a Query, or the Bind, Describe,
//! Execute and Sync of a named statement. Out: the same as by the long way, which is taken whenever anything is
//! unusual: up to the moment when the statement is queued nothing has been changed. Decides nothing of its own: what
//! it doesn't take, it leaves untouched.

mod frames;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Buf;

use self::frames::Frames;
use super::effects;
use super::prepared::ClientStatement;
use super::segment::parse_on;
use super::turn::{Session, SessionEnd};
use super::undo::Undo;
use super::user_pools::Want;
use crate::execute::brief::Shape;
use crate::execute::relay::relay_part;
use crate::execute::scatter::Part;
use crate::execute::{Expect, Outcome, RelayError};
use crate::observe::Strategy;
use crate::planning::template::{ParameterValue, Parameters};
use crate::planning::{Access, Plan, Template};
use crate::pool::Lease;
use crate::protocol::backend::Status;
use crate::protocol::frame::{self, Header};
use crate::protocol::frontend::{Bind, BindValue, encode, tag};
use crate::sql::Command;
use crate::sql::command::Verb;
use crate::types::limits::{QUICK_PARAMETERS_MAX, QUICK_STATEMENT_BYTES_MAX};
use crate::types::{ClientError, ShardId};

/// A connection that was waited for, or why there is none.
pub(super) struct Reserved {
    shard: ShardId,
    lease: Result<Lease, ClientError>,
}

/// A request that can go the short way, as it was planned.
pub(super) struct Quick {
    shard: ShardId,
    strategy: Strategy,
    /// Of what planning knew.
    generation: u64,
    message: Message,
}

enum Message {
    Query {
        len: usize,
        template: Arc<Template>,
    },
    Execution {
        frames: Frames,
        /// Where the Bind's values begin, behind its names.
        tail: usize,
        statement: Arc<ClientStatement>,
    },
}

/// A request that was sent by the short way.
pub(super) struct Sent {
    shard: ShardId,
    pub lease: Lease,
    pub shape: Shape,
    /// Something of the proxy's own was sent ahead, or OIDs in what comes are the server's own: it isn't passed on unread.
    pub has_ahead: bool,
}

/// A read that leaves nothing behind and needs nothing beforehand: nothing else goes the short way.
pub(super) fn is_ordinary(template: &Template) -> bool {
    let [only] = &*template.statements else { return false };
    matches!(only.command, Command::Ordinary(Verb::Select))
        && only.access == Access::Read
        && template.filling.is_none()
        && !template.asks_process
        && !template.may_use_sequence()
        && !template.reads_sequence()
        && effects::is_quiet(template)
}

impl Session {
    /// Nothing is under way, set aside or held for this client, nor is it tied to a connection by sequences.
    #[inline]
    fn is_plain(&self) -> bool {
        self.is_free() && self.sequences.is_none()
    }

    /// Nothing is under way, set aside or held for this client.
    #[inline]
    pub(super) fn is_free(&self) -> bool {
        self.segment.is_none()
            && self.scattering.is_none()
            && self.unplaced.is_empty()
            && self.undo.is_empty()
            && self.expects.is_empty()
            && !self.skipping
            && self.portals.is_empty()
            && self.cursors.is_empty()
            && self.explaining.is_none()
            && !self.changed_catalog
            && self.unsteady.is_none()
            && self.transaction.holds_nothing()
            && !self.state.pins.any()
            && !self.state.in_block()
    }

    /// What is to be done with the request at the front of the client's buffer, if this is its way.
    #[inline]
    pub(super) fn quick(&self, header: Header) -> Option<Quick> {
        match header.tag {
            tag::QUERY => self.quick_query(header.len),
            tag::BIND => self.quick_execution(),
            _ => None,
        }
    }

    fn quick_query(&self, len: usize) -> Option<Quick> {
        if len > QUICK_STATEMENT_BYTES_MAX || !self.is_plain() {
            return None;
        }
        if !self.statements.is_empty() && self.statements.contains_key(&b""[..]) {
            // A Query does away with it.
            return None;
        }
        // A text with another zero byte in it is of no known shape.
        let sql = self.client.inbound.get(frame::HEADER_BYTES..len)?.strip_suffix(b"\0")?;
        if self.notes.takes(sql) {
            return None;
        }
        let (template, plan) = self.plan_recent(sql)?;
        self.quick_to(&plan, Message::Query { len, template })
    }

    /// The Bind, Describe, Execute and Sync, if all are there.
    fn quick_execution(&self) -> Option<Quick> {
        if !self.is_plain() {
            return None;
        }
        let frames = Frames::at_front(&self.client.inbound)?;
        let bind = Bind::decode(self.client.inbound.get(..frames.bind)?).ok()?;
        if !bind.portal.is_empty() || bind.statement.is_empty() {
            return None;
        }
        let statement = self.statements.get(bind.statement)?;
        let is_ordinary = *statement.ordinary.get_or_init(|| is_ordinary(&statement.template));
        if !is_ordinary || (statement.lexed.hint.is_some() && self.database.has_replicas()) {
            return None;
        }
        let wanted = usize::from(statement.lexed.parameters).max(statement.declared.len() / 4);
        if statement.shared.is_none()
            || !self.is_current(statement)
            || self.is_stale(statement)
            || bind.value_count() != wanted
            || wanted > QUICK_PARAMETERS_MAX
        {
            return None;
        }
        // One shard is the place of any value.
        let plan = if self.database.is_single() {
            self.quick_plan(statement, None)
        } else {
            self.quick_bind(statement, &bind, wanted)
        };
        let plan = plan?;
        let tail = frames.bind - bind.tail.len();
        self.quick_to(&plan, Message::Execution { frames, tail, statement: Arc::clone(statement) })
    }

    fn quick_plan(&self, statement: &ClientStatement, parameters: Option<Parameters<'_>>) -> Option<Plan> {
        if self.notes.takes(&statement.sql) {
            return None;
        }
        statement.template.bind_hinted(&statement.sql, &statement.lexed, parameters, self.hint.as_ref()).ok()
    }

    fn quick_bind(&self, statement: &ClientStatement, bind: &Bind<'_>, wanted: usize) -> Option<Plan> {
        let mut values = [ParameterValue::Null; QUICK_PARAMETERS_MAX];
        for (place, value) in values.iter_mut().zip(bind.values()) {
            *place = match value {
                BindValue::Null => ParameterValue::Null,
                BindValue::Text(bytes) => ParameterValue::Text(bytes),
                BindValue::Binary(bytes) => ParameterValue::Binary(bytes),
            };
        }
        let mut declared = [0; QUICK_PARAMETERS_MAX];
        let (types, types_are_certain): (&[u32], bool) = match statement.types.get() {
            Some(types) => (types, true),
            None => {
                let count = statement.declared.len() / 4;
                for (place, oid) in declared.iter_mut().zip(statement.declared.as_chunks::<4>().0) {
                    *place = u32::from_be_bytes(*oid);
                }
                (declared.get(..count)?, false)
            }
        };
        let parameters = Parameters { types, types_are_certain, values: values.get(..wanted)? };
        self.quick_plan(statement, Some(parameters))
    }

    /// A connection for it, at once or when one is free; `None`: the long way says why there is none, or what has
    /// changed meanwhile.
    #[inline]
    pub(super) async fn lease_for(&mut self, quick: &Quick) -> Option<Lease> {
        let mut lease = self.lease_quickly(quick.shard);
        if lease.is_none() {
            let (shard, want) = self.wanted.take()?;
            Box::pin(self.reserve(shard, want)).await;
            let planner = &self.database.planner;
            let is_current = quick.generation == self.generation() && !planner.stale.load(Ordering::Acquire);
            lease = if is_current { self.lease_quickly(shard) } else { None };
        }
        let lease = lease?;
        if lease.renumbers() && self.concerns_numbers(&lease, quick) {
            self.reserved = Some(Reserved { shard: quick.shard, lease: Ok(lease) });
            return None;
        }
        Some(lease)
    }

    /// If OIDs of the server's own may be in its values or rows.
    fn concerns_numbers(&self, lease: &Lease, quick: &Quick) -> bool {
        let Message::Execution { frames, statement, .. } = &quick.message else { return false };
        let bind = Bind::decode(self.client.inbound.get(..frames.bind).unwrap_or_default());
        bind.is_ok_and(|bind| super::numbering::concerns(lease, statement, &bind))
    }

    /// Sends it.
    #[inline]
    pub(super) fn send_quickly(&mut self, quick: Quick, mut lease: Lease) -> Sent {
        let Quick { shard, strategy, message, .. } = quick;
        // From here on a cancel reaches it.
        self.notes.reached(&mut lease);
        self.cancel.add(&lease);
        lease.unanswered += 1;
        match message {
            Message::Query { len, template } => {
                self.note_template(true);
                self.notes.planned(template, strategy, 1);
                lease.unnamed = None;
                // That it can't be sent shows when its answer is read: the server may have said why.
                if let Err(error) = lease.framed.send(self.client.inbound.get(..len).unwrap_or_default()) {
                    tracing::debug!(%error, "could not send to the server");
                }
                self.keep_read(len);
                self.client.inbound.advance(len);
                let has_ahead = lease.renumbers();
                Sent { shard, lease, shape: Shape::Query, has_ahead }
            }
            Message::Execution { frames, tail, statement } => {
                self.notes.planned(Arc::clone(&statement.template), strategy, 1);
                parse_on(&mut lease, &mut self.expects, &statement, false);
                let name = statement.shared.as_ref().map_or(&b""[..], |shared| shared.name());
                let part = |range: Range<usize>| self.client.inbound.get(range).unwrap_or_default();
                let out = &mut lease.framed.outbound;
                encode::bind(out, b"", name, part(tail..frames.bind));
                out.extend_from_slice(part(frames.bind..frames.all));
                self.keep_read(frames.all);
                self.client.inbound.advance(frames.all);
                let shape = Shape::Execution { describes: frames.describes };
                let has_ahead = !self.expects.is_empty() || frames.describes && lease.renumbers();
                Sent { shard, lease, shape, has_ahead }
            }
        }
    }

    #[inline]
    fn quick_to(&self, plan: &Plan, message: Message) -> Option<Quick> {
        let shard = match plan {
            Plan::Single { shard, .. } => *shard,
            Plan::Any => self.database.config.home,
            _ => return None,
        };
        self.note_key(plan);
        let (strategy, _) = plan.strategy();
        Some(Quick { shard, strategy, generation: self.generation(), message })
    }

    /// A connection that needs nothing done to it. Where none is free, [`Session::wanted`] says which is waited for.
    fn lease_quickly(&mut self, shard: ShardId) -> Option<Lease> {
        if self.database.gate.is_paused() {
            return None;
        }
        let lease = match self.reserved.take() {
            None => {
                // A hint would have sent it the long way.
                self.freshness.said = None;
                let want = self.want(shard, Access::Read);
                match self.pools.lease_now(shard, want) {
                    Some(lease) => lease,
                    None => {
                        self.wanted = Some((shard, want));
                        return None;
                    }
                }
            }
            Some(Reserved { shard: there, lease: Ok(lease) }) if there == shard => lease,
            // The long way says why there is none.
            other => {
                self.reserved = other;
                return None;
            }
        };
        if lease.settings == *self.state.settings() && lease.status == Status::Idle {
            return Some(lease);
        }
        // The long way brings it in step.
        self.reserved = Some(Reserved { shard, lease: Ok(lease) });
        None
    }

    /// Waits for the connection that a statement wants.
    async fn reserve(&mut self, shard: ShardId, want: Want) {
        self.notes.client().wait();
        let lease = self.await_lease(shard, want).await;
        if let Ok(lease) = &lease {
            self.notes.waited(lease.waited);
        }
        self.reserved = Some(Reserved { shard, lease });
    }

    /// What was reserved there, for the long way.
    pub(super) fn take_reserved(&mut self, shard: ShardId, access: Access) -> Option<Result<Lease, ClientError>> {
        let reserved = self.reserved.take()?;
        let fits = |lease: &Lease| access == Access::Read || !lease.is_replica();
        (reserved.shard == shard && reserved.lease.as_ref().map_or(true, fits)).then_some(reserved.lease)
    }

    /// A short answer has been passed on. The connection comes back if a cancel is on its way to it: see
    /// [`Self::go_on`].
    #[inline]
    pub(super) fn end_briefly(&mut self, sent: Sent, rows: u64) -> Option<Sent> {
        if !self.cancel.try_clear() {
            return Some(sent);
        }
        self.notes.answered(rows);
        drop(sent);
        self.end_request_idle();
        None
    }

    /// What was sent is answered otherwise than briefly: this is the rest of the long way, which gets to see what it
    /// would have queued.
    pub(super) async fn go_on(
        &mut self,
        sent: Sent,
        answered: Result<Option<u64>, RelayError>,
    ) -> Result<(), SessionEnd> {
        self.client.unwatch();
        let Sent { shard, mut lease, shape, .. } = sent;
        if !lease.settings_at_join.is_same(&lease.settings) {
            lease.settings_at_join = lease.settings.clone();
        }
        self.moved = None;
        self.note_asked(lease.is_replica());
        self.transaction.add(shard, lease);
        self.state.start_implicit();
        let answered = match answered {
            Ok(Some(rows)) => Ok(Outcome { completed: 1, rows, ..Outcome::default() }),
            Ok(None) => {
                self.expect(shape);
                let lease = self.transaction.lease_mut(shard).expect("added above");
                relay_part(&mut self.client, lease, &mut self.expects, &mut Part::whole()).await
            }
            Err(error) => {
                self.expect(shape);
                Err(error)
            }
        };
        match answered {
            Ok(outcome) if self.end_quickly(shard, &outcome) => {
                self.end_request();
                Ok(())
            }
            answered => self.end_slowly(shard, answered).await,
        }
    }

    fn expect(&mut self, shape: Shape) {
        match shape {
            Shape::Query => self.expects.push_back(Expect::Query { shown_ready: true }),
            Shape::Execution { describes } => {
                self.expects.push_back(Expect::Bind);
                if describes {
                    self.expects.push_back(Expect::DescribePortal);
                }
                self.expects.extend([Expect::Execute, Expect::Sync { shown: true }]);
                // If the Bind fails there is no portal, as there is none afterwards if it doesn't.
                self.undo.push(Undo::Portal { name: Box::default(), previous: None });
            }
        }
    }

    /// The queued statement was answered. True: the connection went back, and nothing else is to be done.
    fn end_quickly(&mut self, shard: ShardId, outcome: &Outcome) -> bool {
        let is_idle = self.transaction.lease_mut(shard).is_some_and(|lease| lease.status == Status::Idle);
        if outcome.failed || !outcome.parameters.is_empty() || !is_idle || !self.cancel.try_clear() {
            return false;
        }
        self.notes.outcome(outcome);
        self.undo.clear();
        while self.transaction.take_next().is_some() {}
        true
    }

    /// As the long way would after such an answer.
    async fn end_slowly(&mut self, shard: ShardId, answered: Result<Outcome, RelayError>) -> Result<(), SessionEnd> {
        match answered {
            Ok(outcome) => {
                let mut status = Status::Idle;
                if let Some(lease) = self.transaction.lease_mut(shard) {
                    status = lease.status;
                    if outcome.failed {
                        lease.unnamed = None;
                    }
                }
                self.settle_names(&outcome);
                self.note_parameters(&outcome);
                self.acting = Some(shard);
                self.complete(Vec::new(), outcome.completed, outcome.failed);
                self.acting = None;
                self.adopt(status);
            }
            Err(error) => {
                self.survive(shard, error, false).await?;
                self.say_ready();
            }
        }
        self.settle().await;
        self.end_request();
        Ok(())
    }
}
