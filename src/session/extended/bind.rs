//! Bind: in, a statement and values; out, a portal at its place: a shard, several, a merge or the proxy itself.
//! What the values mean for the place is `plan`'s.

use std::sync::Arc;

use super::unknown_statement;
use crate::execute::Expect;
use crate::planning::{Plan, StatementTemplate};
use crate::protocol::backend;
use crate::protocol::frontend::Bind;
use crate::session::effects::Change;
use crate::session::gather::Gathering;
use crate::session::merged::MergeCall;
use crate::session::numbering;
use crate::session::prepared::{ClientStatement, Place, Portal};
use crate::session::segment::Failure;
use crate::session::turn::Session;
use crate::session::undo::Undo;
use crate::sql::Command;
use crate::sql::command::Verb;
use crate::types::{ClientError, ShardId, SqlState};

/// A statement with its values planned, on its way to a place.
struct Planned {
    portal: Box<[u8]>,
    statement: Arc<ClientStatement>,
    changes: Vec<Change>,
    /// Bytes of the Bind message at the front of what the client has sent.
    len: usize,
}

impl Session {
    pub(in crate::session) async fn bind(&mut self, len: usize) -> Result<(), Failure> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let message = Bind::decode(frame)?;
        let portal: Box<[u8]> = message.portal.into();
        let Some(mut statement) = self.statements.get(message.statement).cloned() else {
            if self.state.pins.sql_prepared && !message.statement.is_empty() {
                // PREPARE and Parse share their names: the server with the client's own knows.
                self.pass_message(None, len, Expect::Bind).await?;
                let previous = self.portals.remove(&portal);
                self.undo.push(Undo::Portal { name: portal, previous });
                return Ok(());
            }
            return Err(unknown_statement(message.statement).into());
        };
        if !self.is_current(&statement) {
            statement = self.refresh(&statement).await?;
        }
        if self.is_stale(&statement) {
            Box::pin(self.look_at_shape(&statement)).await?;
        }
        if statement.template.meets_prepared {
            Box::pin(self.hand_over_prepared(&statement.template)).await?;
        }
        self.note_said(&statement.sql, &statement.lexed);
        if let [only] = &*statement.template.statements
            && let Some(call) = self.executed(&only.command, &statement.sql)
        {
            if call.before.is_empty()
                && !self.statements.contains_key(call.name.as_bytes())
                && !self.transaction.is_failed()
            {
                // That is found out when it is executed.
                return self.bind_local(portal, statement, Place::Local { done: false }, Vec::new()).await;
            }
            let sql = statement.sql.clone();
            return Box::pin(self.bind_executed(&sql, &call, len)).await;
        }
        self.note_repeatable(&statement.template);
        self.check_value_count(&statement, len)?;
        let (statement, len) = self.fill_bind(&statement, len).await?;
        let statement = self.process_bind(&statement, len).await?;
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        self.notes.look_at_call(&statement.sql, &message);
        let (plan, mut changes) = match self.plan_bind(&statement, &message) {
            Ok((plan, changes)) if statement.template.has_lookups() => {
                (Box::pin(self.look_up_bind(plan, &statement, len)).await?, changes)
            }
            Ok(planned) => planned,
            Err(failure) => {
                self.refused = Some(Arc::clone(&statement.template));
                return Err(failure);
            }
        };
        let mut plan = plan;
        let (mut statement, mut len) = (statement, len);
        if let Some(first) = self.differs_in_time(&plan) {
            if let Some(timed) = self.plan_timed(&statement, len)? {
                plan = timed;
            } else if statement.template.stamps.is_some() {
                (statement, len) = Box::pin(self.stamp_bind(&statement, first, len)).await?;
                let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
                (plan, changes) = self.plan_bind(&statement, &message)?;
            }
        }
        self.note_plan(Arc::clone(&statement.template), &plan);
        let own = matches!(plan, Plan::Definition(_))
            || matches!(&*statement.template.statements, [only] if self.is_own_command(&only.command));
        self.check_portal_name(&portal, &plan, own)?;
        if own {
            return self.bind_local(portal, statement, Place::Local { done: false }, changes).await;
        }
        if self.fails_locally() {
            return Err(crate::session::block::aborted().into());
        }
        let explains = |one: &StatementTemplate| matches!(one.command, Command::Ordinary(Verb::Explain { .. }));
        if statement.template.statements.iter().any(explains) {
            self.note_explain(&statement.template, &statement.sql, &plan);
        } else {
            self.explaining = None;
        }
        self.place_bind(plan, Planned { portal, statement, changes, len }).await
    }

    /// A Bind brings as many values as the statement has parameters.
    fn check_value_count(&self, statement: &ClientStatement, len: usize) -> Result<(), Failure> {
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let wanted = usize::from(statement.lexed.parameters).max(statement.declared.len() / 4);
        // The parameters in a PREPARE or a function's body are its own.
        let takes = |one: &StatementTemplate| {
            matches!(
                one.command,
                Command::Ordinary(Verb::Select | Verb::Insert | Verb::Update | Verb::Delete | Verb::Merge)
            )
        };
        if message.value_count() == wanted || !statement.template.statements.iter().all(takes) {
            return Ok(());
        }
        let text = format!(
            "bind message supplies {} parameters, but prepared statement \"{}\" requires {wanted}",
            message.value_count(),
            String::from_utf8_lossy(&statement.name)
        );
        Err(ClientError::new(SqlState::PROTOCOL_VIOLATION, text).into())
    }

    /// A named portal is bound once in its transaction. Where the server has it, it says so itself.
    fn check_portal_name(&self, portal: &[u8], plan: &Plan, own: bool) -> Result<(), Failure> {
        let Some(there) = self.portals.get(portal).filter(|_| !portal.is_empty()) else { return Ok(()) };
        let seen = !own && matches!((&there.place, self.shard_of(plan)), (Place::Shard(a), Some(b)) if *a == b);
        if seen || self.transaction.is_failed() {
            return Ok(());
        }
        let text = format!("cursor \"{}\" already exists", String::from_utf8_lossy(portal));
        Err(ClientError::new(SqlState::DUPLICATE_CURSOR, text).into())
    }

    /// To the place that the plan says.
    async fn place_bind(&mut self, plan: Plan, planned: Planned) -> Result<(), Failure> {
        let Planned { portal, statement, mut changes, len } = planned;
        let plan = match plan {
            Plan::Merge { .. } if self.shard_of(&plan).is_none() => {
                self.leave_segment().await?;
                let sql = statement.sql.clone();
                let (plan, verdict) = self.settle_merge(plan, &sql, &statement.declared, &statement.template).await?;
                if let (Plan::Merge { shards, merge, window, .. }, Some(verdict)) = (&plan, verdict) {
                    self.admit_locks(&plan, &statement.template).await?;
                    let call = MergeCall { shards: shards.clone(), merge: Arc::clone(merge), window: *window, verdict };
                    if call.locks(&statement.template) {
                        return Box::pin(self.bind_locked(&portal, &statement, call, changes, len)).await;
                    }
                    return self.bind_merge(portal, statement, call, changes, len).await;
                }
                plan
            }
            Plan::Carry { ways, otherwise } if self.shard_of(&Plan::Batch).is_none() => {
                let call = (ways, *otherwise);
                match Box::pin(self.bind_carried(&portal, &statement, call, &mut changes, len)).await? {
                    Some(plan) => plan,
                    None => return Ok(()),
                }
            }
            other => other,
        };
        if let Plan::CopyIn(target) = &plan
            && self.shard_of(&plan).is_none()
        {
            let place = Place::CopyIn(Arc::clone(target));
            return self.bind_local(portal, statement, place, changes).await;
        }
        let plan = self.wherever_held(plan, &statement);
        if let Plan::Gather { gather, pulls } = &plan
            && self.shard_of(&plan).is_none()
        {
            let spliced = self.splice(&statement.sql, gather);
            let text = (statement.sql.clone(), statement.declared.clone());
            let gathering = Gathering::new(gather, pulls, spliced, text, &statement.template);
            return Box::pin(self.bind_gather(portal, statement, gathering, changes, len)).await;
        }
        let Some(shard) = self.shard_of(&plan) else {
            if Self::written_by(&plan).is_some() {
                return self.bind_write(portal, statement, plan, changes, len).await;
            }
            self.admit_locks(&plan, &statement.template).await?;
            let Plan::Scatter { shards } = plan else {
                return Err(ClientError::new(SqlState::INTERNAL_ERROR, "a plan without a place").into());
            };
            return self.bind_scatter(portal, statement, shards, changes, len, None).await;
        };
        self.bind_on(shard, Planned { portal, statement, changes, len }).await
    }

    /// On one shard: queued behind what is on its way there.
    async fn bind_on(&mut self, shard: ShardId, planned: Planned) -> Result<(), Failure> {
        let Planned { portal, statement, changes, len } = planned;
        self.is_new_cursor(&statement.template, Some(shard))?;
        let access = crate::session::admission::access_of(&statement.template);
        let writes = crate::session::admission::writes(&statement.template);
        if self.segment.as_ref().is_some_and(|segment| segment.shard != shard) {
            self.leave_segment().await?;
        }
        self.admit_write(shard, &statement.template).await?;
        self.find_sequences(shard, &statement.template)?;
        let ahead = self.segment.as_ref().is_none_or(|segment| segment.shard != shard);
        self.enter_segment(shard, access).await?;
        self.own_sequences(shard, &statement.template, ahead);
        if self.transaction.is_spread() && writes {
            Box::pin(self.admit_writers(&[shard])).await?;
        }
        if let Some(segment) = &mut self.segment {
            segment.writes |= writes;
            segment.only_looks = false;
        }
        self.place_parses(shard);
        self.prepare(shard, &statement);
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let lease = self.transaction.lease_mut(shard).expect("the segment's connection is held");
        let name = statement.shared.as_ref().map_or(&b""[..], |shared| shared.name());
        let carries = numbering::queue_bind(lease, &statement, (message.portal, name), &message, None)?;
        self.expects.push_back(Expect::Bind);
        let portal_there = Portal { statement, place: Place::Shard(shard), changes, carries };
        let previous = self.portals.insert(portal.clone(), portal_there);
        self.undo.push(Undo::Portal { name: portal, previous });
        Ok(())
    }

    /// A command that the proxy carries out when it is executed. What is queued before it is answered first.
    async fn bind_local(
        &mut self,
        portal: Box<[u8]>,
        statement: Arc<ClientStatement>,
        place: Place,
        changes: Vec<Change>,
    ) -> Result<(), Failure> {
        self.place_unless_own().await?;
        self.catch_up().await?;
        self.say_parsed();
        backend::empty(&mut self.client.outbound, backend::tag::BIND_COMPLETE);
        self.portals.insert(portal, Portal { statement, place, changes, carries: false });
        Ok(())
    }
}
