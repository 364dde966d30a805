//! The extended protocol. Messages are read one by one and queued on the connection that they are
//! for; nothing is sent before Sync or Flush, so that a turn is one write and one read on each side.
//! A run of messages for one shard is a segment.

use std::sync::{Arc, OnceLock};

use bytes::{Buf, Bytes};

use super::effects::{self, Change};
use super::gather::Gathering;
use super::merged::MergeCall;
use super::numbering;
use super::prepared::{ClientStatement, Place, Portal};
use super::segment::{End, Failure, Ran};
use super::turn::{Session, SessionEnd, violation};
use super::undo::{Undo, Unplaced};
use crate::execute::Expect;
use crate::planning::template::{ParameterValue, Parameters};
use crate::planning::{Access, Plan};
use crate::protocol::backend;
use crate::protocol::frame::{self, Header};
use crate::protocol::frontend::{Bind, BindValue, Execute, Parse, Target, encode, tag, target};
use crate::sql::command::{SessionCommand, TransactionCommand, Verb};
use crate::sql::{Command, Lexed};
use crate::types::limits::{CLIENT_STATEMENTS_MAX, FRAME_BYTES_MAX, INLINE_STATEMENT_BYTES_MAX};
use crate::types::{ClientError, ShardId, SqlState};

fn values_of<'a>(message: &Bind<'a>) -> Vec<ParameterValue<'a>> {
    let value = |value| match value {
        BindValue::Null => ParameterValue::Null,
        BindValue::Text(bytes) => ParameterValue::Text(bytes),
        BindValue::Binary(bytes) => ParameterValue::Binary(bytes),
    };
    message.values().map(value).collect()
}

/// The types of a statement's parameters, and whether a server has said so.
fn types_of(statement: &ClientStatement) -> (Vec<u32>, bool) {
    match statement.types.get() {
        Some(types) => (types.to_vec(), true),
        None => {
            let declared = statement.declared.as_chunks::<4>().0.iter();
            (declared.map(|oid| u32::from_be_bytes(*oid)).collect(), false)
        }
    }
}

impl Session {
    /// Reads and answers messages up to a Sync or Flush, or to one that isn't of the extended protocol.
    pub(super) async fn extended_turn(&mut self) -> Result<(), SessionEnd> {
        loop {
            let header = match frame::peek(&self.client.inbound, FRAME_BYTES_MAX + 1).map_err(violation)? {
                Some(header) => header,
                None => match self.client.fill().await {
                    Ok(0) => return Err(SessionEnd::Left),
                    Ok(_) => continue,
                    Err(error) => return Err(SessionEnd::Lost(error)),
                },
            };
            if matches!(header.tag, tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL)
                && self.segment.is_some()
                && !self.expects.is_empty()
            {
                // Data for a COPY that has only been queued yet.
                if let Err(Failure::End(end)) = self.run_segment(End::Flush).await {
                    return Err(end);
                }
                continue;
            }
            if !matches!(
                header.tag,
                tag::PARSE | tag::BIND | tag::DESCRIBE | tag::EXECUTE | tag::CLOSE | tag::FLUSH | tag::SYNC
            ) {
                return Ok(());
            }
            self.await_frame(header).await?;
            if self.skipping && header.tag != tag::SYNC {
                self.client.inbound.advance(header.len);
                continue;
            }
            let ends = matches!(header.tag, tag::SYNC | tag::FLUSH);
            if ends {
                // What follows may be the data of a COPY, which is read at once.
                self.client.inbound.advance(header.len);
            }
            let result = self.message(header).await;
            let len = self.replaced.take().unwrap_or(header.len);
            if !ends {
                self.client.inbound.advance(len);
            }
            let result = match self.copying.take() {
                Some(copy) if result.is_ok() => match Box::pin(self.copy_into_shards(&copy.target, &copy.sql)).await {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(Failure::Told),
                    Err(end) => Err(Failure::End(end)),
                },
                _ => result,
            };
            match result {
                Ok(()) => {}
                Err(Failure::Client(error)) => self.fail_extended(&error).await?,
                Err(Failure::Told) => self.skipping = true,
                Err(Failure::End(end)) => return Err(end),
            }
            if !ends {
                self.bound_queue().await?;
            }
            if self.skipping {
                self.drop_unplaced();
            }
            if ends {
                return Ok(());
            }
        }
    }

    async fn message(&mut self, header: Header) -> Result<(), Failure> {
        if !self.continues_write(header) {
            self.settle_pending_write().await?;
        }
        match header.tag {
            tag::PARSE => {
                self.look_within().await;
                self.parse(header.len).await
            }
            tag::BIND => {
                self.look_within().await;
                self.bind(header.len).await
            }
            tag::DESCRIBE => self.describe(header.len).await,
            tag::EXECUTE => self.execute(header.len).await,
            tag::CLOSE => self.close(header.len).await,
            tag::FLUSH => self.flush_segment().await,
            _ => self.sync().await,
        }
    }

    async fn parse(&mut self, len: usize) -> Result<(), Failure> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let message = Parse::decode(frame)?;
        if !message.statement.is_empty() {
            if self.statements.contains_key(message.statement) {
                let name = String::from_utf8_lossy(message.statement);
                let text = format!("prepared statement \"{name}\" already exists");
                let (sql, types) = (Bytes::copy_from_slice(message.sql), Bytes::copy_from_slice(message.types));
                self.check_text(&sql, &types).await?;
                return Err(ClientError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, text).into());
            }
            if self.statements.len() >= CLIENT_STATEMENTS_MAX {
                let text = format!("a client may hold {CLIENT_STATEMENTS_MAX} prepared statements");
                return Err(ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text).into());
            }
        }
        let generation = self.generation();
        let apart = if message.sql.len() > INLINE_STATEMENT_BYTES_MAX {
            let sql = Bytes::copy_from_slice(message.sql);
            Some(Box::pin(self.lex_apart(sql)).await?)
        } else {
            None
        };
        let message = Parse::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let (lexed, found) = match apart {
            Some((lexed, found)) => (*lexed, found),
            None => {
                let mut lexed = Lexed::default();
                self.database.planner.lex(message.sql, self.standard_conforming_strings, &mut lexed)?;
                let found = self.find_template(message.sql, &lexed);
                (lexed, found)
            }
        };
        let shared =
            (!message.statement.is_empty()).then(|| self.database.statements.intern(message.sql, message.types));
        let name: Box<[u8]> = message.statement.into();
        let (sql, declared) = match &shared {
            Some(statement) => (statement.sql.clone(), statement.types.clone()),
            None => (Bytes::copy_from_slice(message.sql), Bytes::copy_from_slice(message.types)),
        };
        self.note_template(found.is_some());
        let template = match found {
            Some(template) => template,
            None => self.build_template(sql.clone(), lexed.clone()).await?,
        };
        let statement = Arc::new(ClientStatement {
            name: name.clone(),
            sql,
            declared,
            shared,
            template,
            generation,
            names: Arc::clone(self.names()),
            lexed,
            types: OnceLock::new(),
            columns: OnceLock::new(),
            filled: std::sync::Mutex::new(None),
            stamped: std::sync::Mutex::new(None),
            merged: OnceLock::new(),
            ordinary: OnceLock::new(),
        });
        let previous = self.statements.insert(name, Arc::clone(&statement));
        self.unplaced.push(Unplaced { statement, previous });
        Ok(())
    }

    pub(super) async fn bind(&mut self, len: usize) -> Result<(), Failure> {
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
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let wanted = usize::from(statement.lexed.parameters).max(statement.declared.len() / 4);
        // The parameters in a PREPARE or a function's body are its own.
        let takes = |one: &crate::planning::StatementTemplate| {
            matches!(
                one.command,
                Command::Ordinary(Verb::Select | Verb::Insert | Verb::Update | Verb::Delete | Verb::Merge)
            )
        };
        if message.value_count() != wanted && statement.template.statements.iter().all(takes) {
            let text = format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires {wanted}",
                message.value_count(),
                String::from_utf8_lossy(&statement.name)
            );
            return Err(ClientError::new(SqlState::PROTOCOL_VIOLATION, text).into());
        }
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
            let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
            let values = values_of(&message);
            let (types, types_are_certain) = types_of(&statement);
            let parameters = Parameters { types: &types, types_are_certain, values: &values };
            let timed = statement.template.bind_timed(&statement.sql, &statement.lexed, Some(parameters));
            if let Some(timed) = timed {
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
        if let Some(there) = self.portals.get(&portal).filter(|_| !portal.is_empty()) {
            // Where the server has it, it says so itself.
            let seen = !own && matches!((&there.place, self.shard_of(&plan)), (Place::Shard(a), Some(b)) if *a == b);
            if !seen && !self.transaction.is_failed() {
                let text = format!("cursor \"{}\" already exists", String::from_utf8_lossy(&portal));
                return Err(ClientError::new(SqlState::DUPLICATE_CURSOR, text).into());
            }
        }
        if own {
            return self.bind_local(portal, statement, Place::Local { done: false }, changes).await;
        }
        if self.fails_locally() {
            return Err(super::block::aborted().into());
        }
        let explains = statement
            .template
            .statements
            .iter()
            .any(|one| matches!(one.command, Command::Ordinary(Verb::Explain { .. })));
        if explains {
            self.note_explain(&statement.template, &statement.sql, &plan);
        } else {
            self.explaining = None;
        }
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
        self.is_new_cursor(&statement.template, Some(shard))?;
        let access = super::simple::access_of(&statement.template);
        if self.segment.as_ref().is_some_and(|segment| segment.shard != shard) {
            self.leave_segment().await?;
        }
        self.admit_write(shard, &statement.template).await?;
        self.find_sequences(shard, &statement.template)?;
        let ahead = self.segment.as_ref().is_none_or(|segment| segment.shard != shard);
        self.enter_segment(shard, access).await?;
        self.own_sequences(shard, &statement.template, ahead);
        if self.transaction.is_spread() && super::simple::writes(&statement.template) {
            Box::pin(self.admit_writers(&[shard])).await?;
        }
        if let Some(segment) = &mut self.segment {
            segment.writes |= super::simple::writes(&statement.template);
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

    /// A session command within a transaction that is on several shards runs on each of them; one on a
    /// cursor, where that is.
    fn wherever_held(&self, plan: Plan, statement: &ClientStatement) -> Plan {
        if let Some(shard) = self.cursor_apart(&statement.template) {
            return Plan::Single { shard, why: crate::planning::Why::Home };
        }
        if plan != Plan::Touched || self.transaction.held().len() < 2 || self.resets_at_rest(&statement.template) {
            return plan;
        }
        let cursor = match &statement.template.statements[..] {
            [only] => super::block::cursor_of(&only.command).and_then(|name| self.cursors.get(name)),
            _ => None,
        };
        if let Some(cursor) = cursor {
            let shard = cursor.shard;
            return Plan::Single { shard, why: crate::planning::Why::Home };
        }
        match crate::types::ShardSet::from_shards(self.transaction.held().iter().map(|held| held.shard)) {
            Some(shards) => Plan::Scatter { shards },
            None => plan,
        }
    }

    pub(super) fn is_current(&self, statement: &ClientStatement) -> bool {
        statement.generation == self.generation() && statement.names.key == self.names().key
    }

    /// The statement with a template for the catalog and the search_path as they are now.
    async fn refresh(&mut self, old: &Arc<ClientStatement>) -> Result<Arc<ClientStatement>, Failure> {
        let generation = self.generation();
        let names = Arc::clone(self.names());
        let template = match self.find_template(&old.sql, &old.lexed) {
            Some(template) => template,
            None => self.build_template(old.sql.clone(), old.lexed.clone()).await?,
        };
        let fresh = Arc::new(ClientStatement {
            name: old.name.clone(),
            sql: old.sql.clone(),
            declared: old.declared.clone(),
            shared: old.shared.clone(),
            template,
            generation,
            names,
            lexed: old.lexed.clone(),
            types: old.types.clone(),
            columns: old.columns.clone(),
            filled: std::sync::Mutex::new(None),
            stamped: std::sync::Mutex::new(None),
            merged: OnceLock::new(),
            ordinary: OnceLock::new(),
        });
        self.statements.insert(old.name.clone(), Arc::clone(&fresh));
        for waiting in &mut self.unplaced {
            if Arc::ptr_eq(&waiting.statement, old) {
                waiting.statement = Arc::clone(&fresh);
            }
        }
        Ok(fresh)
    }

    /// The plan of one call, and what it changes in the session.
    fn plan_bind(&self, statement: &ClientStatement, message: &Bind<'_>) -> Result<(Plan, Vec<Change>), Failure> {
        let template = &statement.template;
        if template.statements.is_empty() {
            return Ok((Plan::Touched, Vec::new()));
        }
        let values = values_of(message);
        let declared: Vec<u32>;
        let (types, certain): (&[u32], bool) = match statement.types.get() {
            Some(types) => (types, true),
            None => {
                declared = statement.declared.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid)).collect();
                (&declared, false)
            }
        };
        let parameters = Parameters { types, types_are_certain: certain, values: &values };
        let plan = template
            .bind_hinted(&statement.sql, &statement.lexed, Some(parameters), self.hint.as_ref())
            .map_err(ClientError::from)?;
        let changes = if effects::is_quiet(template) {
            Vec::new()
        } else {
            let all =
                effects::changes(&statement.sql, &statement.lexed, template, Some(parameters), &self.lex_options());
            if let Some(error) = super::own::set_by_call(template, &all) {
                return Err(error.into());
            }
            all.into_iter().map(|(_, change)| self.as_it_will_end(change)).collect()
        };
        Ok((plan, changes))
    }

    /// The plan of a call whose rows can be looked up.
    async fn look_up_bind(&mut self, plan: Plan, statement: &ClientStatement, len: usize) -> Result<Plan, Failure> {
        self.leave_segment().await?;
        let frame = Bytes::copy_from_slice(self.client.inbound.get(..len).unwrap_or_default());
        let message = Bind::decode(&frame)?;
        let values = values_of(&message);
        let (types, certain) = types_of(statement);
        let parameters = Parameters { types: &types, types_are_certain: certain, values: &values };
        let looked =
            self.look_up(plan, &statement.template, (&statement.sql, &statement.lexed), Some(parameters)).await;
        looked.map_err(|undone| match self.look_up_failed(undone) {
            Ok(error) => error.into(),
            Err(end) => Failure::End(end),
        })
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

    /// Parses that are not all of the proxy's own commands go to a server.
    async fn place_unless_own(&mut self) -> Result<(), Failure> {
        let own = |waiting: &Unplaced| matches!(&*waiting.statement.template.statements, [only] if self.is_own_command(&only.command));
        if self.unplaced.iter().all(own) { Ok(()) } else { self.place_anywhere().await }
    }

    fn say_parsed(&mut self) {
        for _ in std::mem::take(&mut self.unplaced) {
            backend::empty(&mut self.client.outbound, backend::tag::PARSE_COMPLETE);
        }
    }

    /// Has everything answered that came before, on connections that are at rest afterwards.
    pub(super) async fn answer_own_parses(&mut self) -> Result<(), Failure> {
        self.place_unless_own().await?;
        self.leave_segment().await?;
        self.say_parsed();
        Ok(())
    }

    /// Has everything answered that came before a command of the proxy's own.
    async fn catch_up(&mut self) -> Result<(), Failure> {
        self.flush_parts().await?;
        if self.segment.is_some() {
            self.run_segment(End::Flush).await?;
        }
        if self.skipping { Err(Failure::Told) } else { Ok(()) }
    }

    async fn describe(&mut self, len: usize) -> Result<(), Failure> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        match target(frame)? {
            Target::Statement(name) => {
                let Some(statement) = self.statements.get(name).cloned() else {
                    if self.state.pins.sql_prepared && !name.is_empty() {
                        self.pass_message(None, len, Expect::DescribeStatement).await?;
                        if let Some(segment) = &mut self.segment {
                            segment.describes.push(None);
                        }
                        return Ok(());
                    }
                    return Err(unknown_statement(name).into());
                };
                if self.fails_locally() {
                    return Err(super::block::aborted().into());
                }
                if let [only] = &*statement.template.statements
                    && let Some(call) = self.executed(&only.command, &statement.sql)
                {
                    return self.describe_executed(&call).await;
                }
                let shard = self.shard_of(&Plan::Touched).expect("session commands have a shard");
                let joins = self.would_join(shard);
                // What is executed next finds itself where it can run.
                self.enter_segment(shard, super::simple::access_of(&statement.template)).await?;
                if let Some(segment) = &mut self.segment {
                    segment.only_looks |= joins;
                }
                self.place_parses(shard);
                self.prepare(shard, &statement);
                let lease = self.transaction.lease_mut(shard).expect("the segment's connection is held");
                let name = statement.shared.as_ref().map_or(&b""[..], |shared| shared.name());
                encode::describe_statement(&mut lease.framed.outbound, name);
                self.expects.push_back(Expect::DescribeStatement);
                if let Some(segment) = &mut self.segment {
                    segment.describes.push(Some(statement));
                }
                Ok(())
            }
            Target::Portal(name) => match self.portal_or_cursor(name) {
                Some(Place::Local { .. } | Place::CopyIn(_)) => {
                    let name: Box<[u8]> = name.into();
                    self.describe_local(&name).await
                }
                Some(Place::Scatter { .. }) => {
                    let name: Box<[u8]> = name.into();
                    self.describe_scatter(&name, len).await
                }
                Some(Place::Merged(merged)) => {
                    let name: Box<[u8]> = name.into();
                    self.describe_merge(&name, &merged).await
                }
                Some(Place::Write(_)) => {
                    let name: Box<[u8]> = name.into();
                    self.describe_write(&name).await
                }
                place => self.pass_message(place, len, Expect::DescribePortal).await,
            },
        }
    }

    /// Where a portal is, or a cursor of DECLARE, which is a portal, too.
    fn portal_or_cursor(&self, name: &[u8]) -> Option<Place> {
        if let Some(portal) = self.portals.get(name) {
            return Some(portal.place.clone());
        }
        let shard = self.cursors.get(std::str::from_utf8(name).ok()?)?.shard;
        let is_held = self.transaction.held().iter().any(|held| held.shard == shard);
        (is_held || shard.is_scratch()).then_some(Place::Shard(shard))
    }

    async fn describe_local(&mut self, portal: &[u8]) -> Result<(), Failure> {
        let Some(statement) = self.portals.get(portal).map(|portal| Arc::clone(&portal.statement)) else {
            return Ok(());
        };
        self.catch_up().await?;
        let shown = match &statement.template.statements[..] {
            [only] => super::own::shown_setting(&only.command),
            _ => None,
        };
        match shown {
            Some(name) => backend::text_columns(&mut self.client.outbound, &[name]),
            None => backend::empty(&mut self.client.outbound, backend::tag::NO_DATA),
        }
        Ok(())
    }

    async fn execute(&mut self, len: usize) -> Result<(), Failure> {
        let message = Execute::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let portal = self.portals.get_mut(message.portal);
        let place = portal.as_ref().map(|portal| portal.place.clone());
        match (place, portal) {
            (Some(Place::Local { done: true }), _) => {
                let text = format!("portal \"{}\" cannot be run", String::from_utf8_lossy(message.portal));
                Err(ClientError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text).into())
            }
            (Some(Place::Local { done: false }), Some(portal)) => {
                portal.place = Place::Local { done: true };
                let statement = Arc::clone(&portal.statement);
                let changes = portal.changes.clone();
                self.execute_local(&statement, &changes).await
            }
            (Some(Place::CopyIn(target)), Some(portal)) => {
                let sql = portal.statement.sql.clone();
                portal.place = Place::Local { done: true };
                self.execute_copy(target, sql).await
            }
            (Some(Place::Scatter { .. }), _) => {
                let name: Box<[u8]> = message.portal.into();
                self.execute_scatter(&name, len).await
            }
            (Some(Place::Merged(merged)), _) => {
                let name: Box<[u8]> = message.portal.into();
                self.execute_merge(&name, &merged, len).await
            }
            (Some(Place::Write(_)), _) => {
                let name: Box<[u8]> = message.portal.into();
                self.execute_write(&name, len).await
            }
            (place, portal) => {
                let changes = portal.map(|portal| std::mem::take(&mut portal.changes)).unwrap_or_default();
                self.pass_message(place, len, Expect::Execute).await?;
                if let Some(segment) = &mut self.segment {
                    segment.executes.push(changes);
                }
                Ok(())
            }
        }
    }

    async fn execute_local(&mut self, statement: &ClientStatement, changes: &[Change]) -> Result<(), Failure> {
        match &*statement.template.statements {
            [only] if matches!(only.command, Command::Transaction(_) | Command::Ordinary(_)) => {
                self.leave_segment().await?;
            }
            _ => self.catch_up().await?,
        }
        let [only] = &*statement.template.statements else { return Ok(()) };
        if let Command::Session(SessionCommand::Execute { .. }) = &only.command {
            self.leave_segment().await?;
            return Err(self.malformed(&statement.sql).await);
        }
        if let Command::Session(SessionCommand::Prepare { .. }) = &only.command {
            self.leave_segment().await?;
            self.prepare_sql(&statement.sql).await?;
            backend::command_complete(&mut self.client.outbound, "PREPARE");
            return Ok(());
        }
        if matches!(only.command, Command::Ordinary(_)) {
            if self.transaction.is_spread() {
                // It would commit what is to be committed at the Sync.
                let text = "a definition behind a write on several shards without a Sync between them";
                let error = ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text).hint("Send a Sync before it.");
                return Err(error.into());
            }
            return self.execute_definition(statement).await;
        }
        let Command::Transaction(command) = &only.command else {
            let errors = self.client.outbound.len();
            if super::own::shown_setting(&only.command) == Some("shardway.token") {
                self.settle_token().await;
            }
            self.answer_own(&only.command, changes, false);
            let written = self.client.outbound.get(errors..).unwrap_or_default();
            return if last_is_error(written) { Err(Failure::Told) } else { Ok(()) };
        };
        if self.transaction.is_spread() {
            let text = "a transaction command behind a write on several shards without a Sync between them";
            let error = ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text).hint("Send a Sync before it.");
            return Err(error.into());
        }
        let sql = String::from_utf8_lossy(&statement.sql);
        let sql = sql.trim_end_matches([';', ' ', '\n', '\t', '\r']);
        let errors = self.client.outbound.len();
        self.block_statement(command.clone(), sql).await?;
        if matches!(command, TransactionCommand::Commit { .. } | TransactionCommand::Rollback { .. }) {
            // Portals end with their transaction, this one as well.
            self.portals.clear();
        }
        // An error is the last thing that was written; it makes the rest of the turn void.
        let written = self.client.outbound.get(errors..).unwrap_or_default();
        if last_is_error(written) { Err(Failure::Told) } else { Ok(()) }
    }

    async fn execute_definition(&mut self, statement: &ClientStatement) -> Result<(), Failure> {
        let template = &statement.template;
        let plan = template.bind_hinted(&statement.sql, &statement.lexed, None, self.hint.as_ref());
        let Plan::Definition(definition) = plan.map_err(ClientError::from)? else {
            return Err(ClientError::new(SqlState::INTERNAL_ERROR, "not a definition").into());
        };
        let Ok(sql) = std::str::from_utf8(&statement.sql) else {
            return Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, "a definition that isn't in UTF-8").into());
        };
        if self.define(&definition, template, sql).await? { Ok(()) } else { Err(Failure::Told) }
    }

    /// A message that goes as it is to the shard of its portal.
    async fn pass_message(&mut self, place: Option<Place>, len: usize, expect: Expect) -> Result<(), Failure> {
        if self.fails_locally() {
            return Err(super::block::aborted().into());
        }
        let shard = match place {
            Some(Place::Shard(shard)) => shard,
            _ => self.shard_of(&Plan::Touched).expect("session commands have a shard"),
        };
        if shard.is_scratch() {
            // It has no tables that other statements could be looked at with.
            self.place_anywhere().await?;
        }
        if self.segment.as_ref().is_none_or(|segment| segment.shard != shard) {
            self.leave_segment().await?;
            self.reach(shard, Access::Write).await?;
            self.open_segment(shard);
        }
        if let Some(segment) = &mut self.segment {
            segment.only_looks = false;
        }
        self.place_parses(shard);
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let lease = self.transaction.lease_mut(shard).expect("the segment's connection is held");
        if let Expect::Execute = expect {
            let name = Execute::decode(frame)?.portal;
            let carries = self.portals.get(name).is_some_and(|portal| portal.carries);
            if carries && numbering::describe_ahead(lease, name) {
                self.expects.push_back(Expect::DescribeOwn);
            }
        }
        lease.framed.outbound.extend_from_slice(frame);
        self.expects.push_back(expect);
        Ok(())
    }

    async fn close(&mut self, len: usize) -> Result<(), Failure> {
        match target(self.client.inbound.get(..len).unwrap_or_default())? {
            Target::Statement(name) => {
                let name: Box<[u8]> = name.into();
                if self.state.pins.sql_prepared && !name.is_empty() && !self.statements.contains_key(&name) {
                    return self.pass_message(None, len, Expect::Close { shown: true, evicted: None }).await;
                }
                // Its Parse may wait to be placed, and its ParseComplete comes before.
                self.place_anywhere().await?;
                let closed = self.statements.remove(&name);
                if self.owe_close() {
                    self.undo.push(Undo::CloseStatement { name, closed });
                }
                Ok(())
            }
            Target::Portal(name) => {
                let name: Box<[u8]> = name.into();
                let place = match self.portals.get(&name) {
                    Some(portal) => Some(portal.place.clone()),
                    // Cursors of DECLARE are portals, too.
                    None => std::str::from_utf8(&name)
                        .ok()
                        .and_then(|name| self.cursors.get(name))
                        .map(|cursor| Place::Shard(cursor.shard)),
                };
                let is_held = |shard: ShardId| self.transaction.held().iter().any(|held| held.shard == shard);
                match place {
                    Some(Place::Shard(shard)) if is_held(shard) => {
                        self.pass_message(place, len, Expect::Close { shown: true, evicted: None }).await?;
                        let previous = self.portals.remove(&name);
                        self.undo.push(Undo::Portal { name, previous });
                    }
                    Some(Place::Scatter { .. } | Place::Merged(_)) => {
                        self.close_scatter(&name, len).await?;
                        let previous = self.portals.remove(&name);
                        self.undo.push(Undo::Portal { name, previous });
                    }
                    _ => {
                        self.place_anywhere().await?;
                        let previous = self.portals.remove(&name);
                        if self.owe_close() {
                            self.undo.push(Undo::Portal { name, previous });
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// A CloseComplete of the proxy's own: behind the replies that are awaited, if any are.
    fn owe_close(&mut self) -> bool {
        let owed = backend::tag::CLOSE_COMPLETE;
        if let Some(segment) = &mut self.scattering {
            segment.owe(owed);
            return true;
        }
        if self.segment.is_some() {
            self.expects.push_back(Expect::Owed(owed));
            return true;
        }
        backend::empty(&mut self.client.outbound, owed);
        false
    }

    async fn flush_segment(&mut self) -> Result<(), Failure> {
        if self.scattering.is_some() && self.unplaced.is_empty() {
            return self.flush_parts().await;
        }
        self.place_anywhere().await?;
        if self.segment.is_some() {
            self.run_segment(End::Flush).await?;
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), Failure> {
        if !self.skipping
            && let Err(failure) = self.place_anywhere().await
        {
            match failure {
                Failure::Client(error) => self.fail_extended(&error).await?,
                Failure::Told => {}
                Failure::End(end) => return Err(Failure::End(end)),
            }
        }
        self.drop_unplaced();
        if self.scattering.is_some() {
            match self.run_scatter(false).await {
                Err(Failure::End(end)) => return Err(Failure::End(end)),
                ran => self.skipping |= ran.is_err(),
            }
            self.commit_turn().await;
            self.say_ready();
        } else if self.segment.is_some() {
            let shard = self.segment.as_ref().map(|segment| segment.shard);
            let resets =
                self.segment.as_ref().is_some_and(|segment| segment.executes.iter().flatten().any(Change::resets));
            let is_scratch = shard.is_some_and(crate::types::ShardId::is_scratch);
            let alone = self.transaction.held().len() == 1 && !resets && !is_scratch && !self.transaction.is_spread();
            let ran = self.run_segment(End::Sync { shown: alone }).await?;
            if ran == Ran::SyncIgnored {
                return Ok(());
            }
            if let Some(shard) = shard.filter(|_| resets && ran == Ran::Answered) {
                self.restore_baseline(shard).await;
            }
            if is_scratch && ran == Ran::Answered {
                self.keep_declared(false).await;
            }
            if !(alone && ran == Ran::Answered) {
                self.commit_turn().await;
                self.say_ready();
            }
        } else {
            self.commit_turn().await;
            self.say_ready();
        }
        self.skipping = false;
        self.forget_segment().await;
        self.settle().await;
        Ok(())
    }

    /// What is wrong with the text comes before what is wrong with its name.
    async fn check_text(&mut self, sql: &[u8], types: &[u8]) -> Result<(), Failure> {
        self.place_anywhere().await?;
        let shard = self.enter_anywhere().await?;
        let lease = self.transaction.lease_mut(shard).expect("the segment's connection is held");
        lease.queue_parse(b"", sql, types);
        lease.unnamed = None;
        self.expects.push_back(Expect::Parse { shown: false, statement: None });
        Ok(())
    }

    /// The segment that there is, or a new one where the session is.
    pub(super) async fn enter_anywhere(&mut self) -> Result<ShardId, Failure> {
        if self.fails_locally() {
            return Err(super::block::aborted().into());
        }
        if let Some(segment) = self.segment.as_ref().filter(|segment| !segment.shard.is_scratch()) {
            return Ok(segment.shard);
        }
        self.leave_segment().await?;
        let shard = self.shard_of(&Plan::Touched).expect("session commands have a shard");
        let joins = self.would_join(shard);
        self.reach(shard, Access::Write).await?;
        self.open_segment(shard);
        if let Some(segment) = &mut self.segment {
            segment.only_looks = joins;
        }
        Ok(shard)
    }
}

fn unknown_statement(name: &[u8]) -> ClientError {
    let text = match name {
        [] => "unnamed prepared statement does not exist".to_owned(),
        name => format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name)),
    };
    ClientError::new(SqlState::INVALID_SQL_STATEMENT_NAME, text)
}

/// Whether the last whole frame of the proxy's own messages is an ErrorResponse.
pub(super) fn last_is_error(mut frames: &[u8]) -> bool {
    let mut last = None;
    while let Ok(Some(header)) = frame::peek(frames, FRAME_BYTES_MAX + 1) {
        last = Some(header.tag);
        frames = frames.get(header.len..).unwrap_or_default();
    }
    last == Some(backend::tag::ERROR)
}
