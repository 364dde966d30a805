//! Texts with a definition that every shard must have: run statement by statement, each on the home shard first, whose
//! answer is the client's, and then on the others, which must succeed as well. In: a plan of steps. Out: all of them
//! done on all shards, or none; or what can't be in a transaction, shard by shard, with a word on where it stands.

use std::ops::Range;

use bytes::Buf;

use super::turn::{Session, SessionEnd};
use crate::execute::own::OwnError;
use crate::execute::relay::relay_part;
use crate::execute::scatter::Part;
use crate::execute::{Expect, own};
use crate::planning::writes::splice::tokens_of;
use crate::planning::{Absent, Access, Definition, Step, Template, Way};
use crate::pool::SettingValue;
use crate::protocol::backend::{self, Status};
use crate::protocol::frontend::encode;
use crate::protocol::moved;
use crate::sql::command::TransactionCommand;
use crate::sql::quote_identifier;
use crate::sql::{Command, LexOptions, Lexed, Token};
use crate::types::{ClientError, ShardId, SqlState};

/// What came of one step.
pub(super) enum Stepped {
    /// Done, with this tag: the client hasn't seen it yet.
    Done(Option<String>),
    /// The client was told an error.
    Failed,
}

impl Session {
    /// A Query with a definition, at the front of the client's buffer; up to its ReadyForQuery.
    pub(super) async fn define_query(
        &mut self,
        definition: &Definition,
        template: &Template,
        len: usize,
    ) -> Result<(), SessionEnd> {
        let sql = self.query_text(len)?;
        self.client.inbound.advance(len);
        self.define(definition, template, &sql).await?;
        self.say_ready();
        Ok(())
    }

    /// Runs the steps of a text; gives if all was done. Up to the last CommandComplete or an error.
    pub(super) async fn define(
        &mut self,
        definition: &Definition,
        template: &Template,
        sql: &str,
    ) -> Result<bool, SessionEnd> {
        self.defining = true;
        let defined = self.define_steps(definition, template, sql).await;
        self.defining = false;
        defined
    }

    async fn define_steps(
        &mut self,
        definition: &Definition,
        template: &Template,
        sql: &str,
    ) -> Result<bool, SessionEnd> {
        self.changed_catalog = true;
        self.changed_within = true;
        self.database.statements.renew();
        let database = std::sync::Arc::clone(&self.database);
        self.unsteady.get_or_insert_with(|| super::ids::Unsteady::begin(&database));
        let mut lexed = Lexed::default();
        if let Err(error) = self.database.planner.lex(sql.as_bytes(), self.standard_conforming_strings, &mut lexed) {
            self.refuse(&error).await;
            return Ok(false);
        }
        let mut last = None;
        let mut failed = false;
        let steps = definition.steps.iter().zip(&template.statements).zip(&lexed.statements);
        for ((step, statement), span) in steps {
            self.say_done(last.take());
            let text = as_sent(sql, span);
            match self.step(step, &statement.command, &text).await? {
                Stepped::Done(tag) => last = tag,
                Stepped::Failed => {
                    failed = true;
                    break;
                }
            }
        }
        let committed = self.end_spread(failed).await;
        if committed {
            self.say_done(last);
        }
        Ok(committed)
    }

    fn say_done(&mut self, tag: Option<String>) {
        if let Some(tag) = tag {
            backend::command_complete(&mut self.client.outbound, &tag);
        }
    }

    async fn step(&mut self, step: &Step, command: &Command, sql: &str) -> Result<Stepped, SessionEnd> {
        let home = self.database.config.home;
        let hashed = match step {
            Step::Everywhere(..) => self.with_hashed_password(sql).await?,
            _ => None,
        };
        let sql = hashed.as_deref().unwrap_or(sql);
        match (step, command) {
            (Step::Touched, Command::Transaction(command)) => self.transaction_step(command, sql).await,
            (Step::Touched, _) => Ok(Stepped::Done(None)),
            (Step::One(shard), _) => self.spread_over(&[*shard], Way::Together, sql, sql).await,
            // Within a block the server says that it can't be.
            (Step::Everywhere(Way::Apart, _), _) if self.transaction.in_block() => {
                self.spread_over(&[home], Way::Together, sql, sql).await
            }
            (Step::Everywhere(Way::Apart, absent), _) => {
                let elsewhere = without(sql, absent, &self.lex_options());
                self.one_after_the_other(sql, &elsewhere).await
            }
            (Step::Everywhere(Way::InBlock, _), _) if !self.transaction.in_block() && !self.transaction.is_spread() => {
                self.on_first(home, sql).await
            }
            (Step::Everywhere(Way::Placing, _), _) => self.place_table(sql).await,
            (Step::Everywhere(Way::Ruled, _), _) => self.create_ruled(sql).await,
            (Step::Everywhere(Way::AtHome, _), _) => self.spread_over(&[home], Way::AtHome, sql, sql).await,
            (Step::Everywhere(way, absent), _) => {
                let shards = self.home_first();
                let elsewhere = without(sql, absent, &self.lex_options());
                self.spread_over(&shards, *way, sql, &elsewhere).await
            }
        }
    }

    /// All shards. The home shard's locks are taken first, so that two such transactions wait for each other there.
    pub(super) fn home_first(&self) -> Vec<ShardId> {
        let home = self.database.config.home;
        let others = self.database.primaries().map(|node| node.shard).filter(|shard| *shard != home);
        std::iter::once(home).chain(others).collect()
    }

    async fn transaction_step(&mut self, command: &TransactionCommand, sql: &str) -> Result<Stepped, SessionEnd> {
        if matches!(command, TransactionCommand::SetTransaction) {
            return self.set_step(command, sql).await;
        }
        if self.transaction.is_spread() {
            let error = ClientError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "a text can't begin or end a transaction behind statements that are one by themselves",
            )
            .hint("Send BEGIN first, or the statements one by one.");
            self.refuse(&error).await;
            return Ok(Stepped::Failed);
        }
        let before = self.client.outbound.len();
        if self.keeps_block(command) {
            self.block_statement(command.clone(), sql.trim()).await?;
        } else {
            // One server alone is in the transaction.
            let shard = self.transaction.held().first().map_or(self.database.config.home, |held| held.shard);
            let stepped = self.on_first(shard, sql).await?;
            let Stepped::Done(tag) = stepped else { return Ok(Stepped::Failed) };
            self.say_done(tag);
            if let Some(status) = self.transaction.lease_mut(shard).map(|lease| lease.status) {
                self.adopt(status);
            }
            self.apply(super::effects::Change::Transaction(command.clone()));
        }
        let written = self.client.outbound.get(before..).unwrap_or_default();
        Ok(if super::extended::last_is_error(written) { Stepped::Failed } else { Stepped::Done(None) })
    }

    /// SET CONSTRAINTS and SET TRANSACTION: on the shards that are in the transaction, and those that join it.
    async fn set_step(&mut self, command: &TransactionCommand, sql: &str) -> Result<Stepped, SessionEnd> {
        let held: Vec<ShardId> = self
            .transaction
            .held()
            .iter()
            .filter(|held| held.lease.status != Status::Idle)
            .map(|held| held.shard)
            .collect();
        let shards = if held.is_empty() { vec![self.database.config.home] } else { held };
        let stepped = self.spread_over(&shards, Way::Together, sql, sql).await?;
        if matches!(stepped, Stepped::Done(_)) && self.transaction.in_block() {
            self.note_in_journal(&Command::Transaction(command.clone()), sql.trim());
        }
        Ok(stepped)
    }

    /// In one transaction on these shards, the first of which answers; the others are told `elsewhere`.
    async fn spread_over(
        &mut self,
        shards: &[ShardId],
        way: Way,
        sql: &str,
        elsewhere: &str,
    ) -> Result<Stepped, SessionEnd> {
        let Some((&first, others)) = shards.split_first() else { return Ok(Stepped::Done(None)) };
        if let Err(error) = self.begin_spread(shards).await {
            self.refuse(&error).await;
            return Ok(Stepped::Failed);
        }
        let evasion = self.evasion();
        if let Some((evade, _)) = &evasion
            && !self.tell_first(first, evade).await
        {
            return Ok(Stepped::Failed);
        }
        let Stepped::Done(tag) = self.on_first(first, sql).await? else { return Ok(Stepped::Failed) };
        if let Some((_, restore)) = &evasion
            && !self.tell_first(first, restore).await
        {
            return Ok(Stepped::Failed);
        }
        for &shard in others {
            let mut ready = self.reach(shard, Access::Write).await;
            if ready.is_ok() {
                ready = self.settle_ahead(shard).await;
            }
            if let Err(error) = ready {
                self.expects.clear();
                self.refuse(&error).await;
                return Ok(Stepped::Failed);
            }
        }
        let servers = if way == Way::Servers { self.on_each_server(shards).await } else { Some(others.to_vec()) };
        let Some(others) = servers else { return Ok(Stepped::Failed) };
        let others = &others[..];
        let (before, after) = self.around(way);
        let (evade, restore) = evasion.unzip();
        let texts = [
            (evade, None),
            (before, None),
            (Some(elsewhere.to_owned()), tag.as_deref()),
            (after, None),
            (restore, None),
        ];
        for (text, wanted) in texts {
            if let Some(text) = text
                && !self.on_others(others, &text, wanted).await
            {
                return Ok(Stepped::Failed);
            }
        }
        Ok(Stepped::Done(tag))
    }

    /// Of these shards those that are on other servers than the ones before them. `None`: the client was told an error.
    async fn on_each_server(&mut self, shards: &[ShardId]) -> Option<Vec<ShardId>> {
        /// When the server was started, to the microsecond, and where it listens: no two are alike in both.
        const SERVER: &str = "SELECT pg_catalog.pg_postmaster_start_time()::pg_catalog.text || ' ' \
             || pg_catalog.current_setting('port')";
        let texts = shards.iter().map(|&shard| (shard, SERVER.to_owned())).collect();
        let mut known = Vec::new();
        let mut answers = self.try_each(texts).await;
        // The first answers for its server.
        answers.sort_by_key(|(shard, _)| shards.iter().position(|other| other == shard));
        let mut others = Vec::new();
        for (position, (shard, answer)) in answers.into_iter().enumerate() {
            match answer {
                Ok(answer) if known.contains(&answer.value) => {}
                Ok(answer) => {
                    known.push(answer.value);
                    if position > 0 {
                        others.push(shard);
                    }
                }
                Err(error) => {
                    let name = self.shard_name(shard).to_owned();
                    self.say_of_shard(error, &format!("on shard {name}"));
                    return None;
                }
            }
        }
        Some(others)
    }

    /// A role that is called as Shardway's schema would create its tables there: the search_path without it, and as
    /// it was.
    pub(super) fn evasion(&self) -> Option<(String, String)> {
        const OWN: &str = "shardway";
        let path = &self.names().names.search_path;
        if !path.iter().any(|schema| schema == OWN) {
            return None;
        }
        let quote = |name: &String| quote_identifier(name);
        let without = path.iter().filter(|schema| *schema != OWN).map(quote).collect::<Vec<_>>().join(", ");
        let current = match self.state.search_path() {
            None => self.greeting.search_path.clone(),
            Some(SettingValue::List(elements)) => elements.iter().map(quote).collect::<Vec<_>>().join(", "),
            Some(SettingValue::Text(text)) => text.clone(),
        };
        let set = |path: &str| {
            let path = path.replace('\'', "''").replace('\\', "\\\\");
            format!("SELECT pg_catalog.set_config('search_path', E'{path}', true)")
        };
        Some((set(&without), set(&current)))
    }

    /// A statement of the proxy's own on the shard that answers. False: it failed, and the client was told.
    async fn tell_first(&mut self, shard: ShardId, sql: &str) -> bool {
        let mut ready = self.reach(shard, Access::Write).await;
        if ready.is_ok() {
            ready = self.settle_ahead(shard).await;
        }
        if let Err(error) = ready {
            self.expects.clear();
            self.refuse(&error).await;
            return false;
        }
        self.on_others(&[shard], sql, None).await
    }

    /// What the other shards are told before and behind a statement.
    pub(super) fn around(&self, way: Way) -> (Option<String>, Option<String>) {
        match way {
            Way::Together | Way::Servers | Way::AtHome | Way::InBlock | Way::Placing | Way::Ruled | Way::Apart => {
                (None, None)
            }
            Way::Table => (None, Some(self.fence_sql())),
            Way::Bodies => {
                let value = match self.state.settings().get("check_function_bodies") {
                    Some(SettingValue::Text(value)) => value.clone(),
                    Some(SettingValue::List(values)) => values.first().cloned().unwrap_or_default(),
                    None => "on".to_owned(),
                };
                let set = |value: &str| format!("SET LOCAL check_function_bodies = '{}'", value.replace('\'', "''"));
                (Some(set("off")), Some(set(&value)))
            }
        }
    }

    /// Leaves the sequences of the placed tables without values on a shard where nobody is to ask them: ids come from
    /// the home shard's, and whoever passes by Shardway gets an error and not an id that is there already.
    fn fence_sql(&self) -> String {
        let quote = |name: &str| format!("E'{}'", name.replace('\'', "''").replace('\\', "\\\\"));
        let Some(map) = self.map_now() else { return "SELECT".to_owned() };
        let names: Vec<String> =
            map.tables().map(|(schema, name, _)| format!("({}, {})", quote(schema), quote(name))).collect();
        // By the catalogs alone: looking a name up needs rights to its schema. Those of others were left so by others.
        format!(
            "SELECT pg_catalog.count(pg_catalog.setval(s.seqrelid::pg_catalog.regclass,
             CASE WHEN s.seqincrement > 0 THEN s.seqmax ELSE s.seqmin END))
             FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_depend d ON d.objid = s.seqrelid
             JOIN pg_catalog.pg_class c ON c.oid = d.refobjid
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
             AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND NOT s.seqcycle
             AND pg_catalog.has_sequence_privilege(s.seqrelid, 'UPDATE')
             AND (n.nspname, c.relname) IN ({})",
            names.join(", ")
        )
    }

    /// The client sees all of this shard's answer but the tag.
    pub(super) async fn on_first(&mut self, shard: ShardId, sql: &str) -> Result<Stepped, SessionEnd> {
        if let Err(error) = self.reach(shard, Access::Write).await {
            self.expects.clear();
            self.refuse(&error).await;
            return Ok(Stepped::Failed);
        }
        let lease = self.transaction.lease_mut(shard).expect("reached above");
        encode::query(&mut lease.framed.outbound, sql.as_bytes());
        lease.unanswered += 1;
        lease.unnamed = None;
        self.expects.push_back(Expect::Query { shown_ready: false });
        self.state.start_implicit();
        let mut part = Part::without_tag();
        match relay_part(&mut self.client, lease, &mut self.expects, &mut part).await {
            Ok(outcome) => {
                self.note_parameters(&outcome);
                if outcome.failed {
                    self.state.fail_implicit();
                    return Ok(Stepped::Failed);
                }
                Ok(Stepped::Done(part.into_tag()))
            }
            Err(error) => {
                self.survive(shard, error, true).await?;
                Ok(Stepped::Failed)
            }
        }
    }

    /// All at once. False: one of them failed, and the client was told.
    pub(super) async fn on_others(&mut self, shards: &[ShardId], sql: &str, tag: Option<&str>) -> bool {
        let texts = shards.iter().map(|&shard| (shard, sql.to_owned())).collect();
        let mut failed = false;
        for (shard, answer) in self.try_each(texts).await {
            let name = self.shard_name(shard).to_owned();
            match answer {
                _ if failed => {}
                Ok(answer) if tag.is_none_or(|tag| tag == answer.tag) => {}
                Ok(answer) => {
                    failed = true;
                    let text = format!("shard {name} answered otherwise than the home shard: {}", answer.tag);
                    self.say_error(
                        &ClientError::new(SqlState::INTERNAL_ERROR, text)
                            .hint("Make the shards alike (shardway check compares them)."),
                    );
                }
                Err(error) => {
                    failed = true;
                    self.say_of_shard(error, &format!("on shard {name}"));
                }
            }
        }
        !failed
    }

    fn say_of_shard(&mut self, error: OwnError, context: &str) {
        match error {
            OwnError::Refused(frame) => moved::with_context(&mut self.client.outbound, &frame.0, context),
            OwnError::Lost(reason) => {
                let text = format!("the connection to the server was lost {context}");
                self.say_error(&ClientError::new(SqlState::CONNECTION_FAILURE, text).detail(reason));
            }
        }
    }

    /// Outside of a transaction: what is done on a shard stays.
    async fn one_after_the_other(&mut self, sql: &str, elsewhere: &str) -> Result<Stepped, SessionEnd> {
        let shards = self.home_first();
        for &shard in &shards {
            self.freshness.note_write(shard);
        }
        let Some((&first, others)) = shards.split_first() else { return Ok(Stepped::Done(None)) };
        let Stepped::Done(tag) = self.on_first(first, sql).await? else { return Ok(Stepped::Failed) };
        let mut done = vec![self.shard_name(first).to_owned()];
        for (position, &shard) in others.iter().enumerate() {
            let mut ready = self.reach(shard, Access::Write).await;
            if ready.is_ok() {
                ready = self.settle_ahead(shard).await;
            }
            let result = match ready {
                Ok(()) => {
                    let lease = self.transaction.lease_mut(shard).expect("reached above");
                    own::run(lease, elsewhere).await.map(drop)
                }
                Err(error) => {
                    self.expects.clear();
                    Err(OwnError::Lost(error.to_string()))
                }
            };
            let name = self.shard_name(shard).to_owned();
            let Err(error) = result else {
                done.push(name);
                continue;
            };
            let left: Vec<&str> = others.iter().skip(position).map(|&shard| self.shard_name(shard)).collect();
            let context = format!(
                "on shard {name}. It is done on shards {}, and not on {}. An index that was being built there is left INVALID: \
                 drop it on shard {name} with /* shardway: shard={name} */ in front. Then repeat the statement there and on the \
                 shards that are left",
                done.join(", "),
                left.join(", ")
            );
            self.say_of_shard(error, &context);
            self.state.fail_implicit();
            return Ok(Stepped::Failed);
        }
        Ok(Stepped::Done(tag))
    }
}

/// A statement without these of its tokens: spaces stand in their place.
fn without(sql: &str, absent: &Absent, options: &LexOptions) -> String {
    let tokens: Vec<Token> = match absent.is_empty() {
        true => Vec::new(),
        false => tokens_of(sql.as_bytes(), &(0..sql.len()), options),
    };
    let mut text = sql.to_owned();
    for part in absent.iter() {
        let ends = tokens.get(part.start).zip(part.end.checked_sub(1).and_then(|last| tokens.get(last)));
        let (first, last) = ends.expect("the template has the same tokens");
        let bytes = first.span.start..last.span.end;
        let blank = " ".repeat(bytes.len());
        text.replace_range(bytes, &blank);
    }
    text
}

/// One statement of a text, at the place where it is there: what a server says of positions is right.
fn as_sent(sql: &str, span: &Range<usize>) -> String {
    let before = sql.get(..span.start).unwrap_or_default();
    let statement = sql.get(span.clone()).unwrap_or_default();
    let mut text = " ".repeat(before.chars().count());
    text.push_str(statement);
    text
}
