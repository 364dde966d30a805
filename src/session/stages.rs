//! Writes whose parts run one after the other (`planning::stages`): each part is planned and run by itself, within one
//! transaction, and its rows become a part of the next one's text. In: a plan of such a statement. Out: what one server
//! would have said.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::bound::{Bound, Until};
use super::gather::Gathering;
use super::parts::{Order, Part, Prepared, Told, Undone};
use super::turn::Session;
use crate::execute::gather::answer;
use crate::planning::stages::{self, Source, Stages, Step};
use crate::planning::writes::MomentCall;
use crate::planning::writes::splice::{tokens_of, with_moment};
use crate::planning::{Access, Plan, Template, refusal};
use crate::protocol::backend::{self, tag};
use crate::protocol::frontend::encode;
use crate::sql::Lexed;
use crate::types::limits::{INLINE_STATEMENT_BYTES_MAX, LAST_WORDS_WAIT, STAGED_BYTES_MAX};
use crate::types::{ClientError, ShardId, ShardSet, SqlState};

/// If values in text form mean the same when they are read again.
pub(super) const READS_BACK: &str = "(pg_catalog.current_setting('extra_float_digits')::int >= 1 \
     AND pg_catalog.current_setting('DateStyle') LIKE 'ISO%' \
     AND pg_catalog.current_setting('IntervalStyle') IN ('postgres', 'iso_8601'))::text";

/// A statement as it is run, and where its only statement is.
struct Call {
    stages: Arc<Stages>,
    conditions: Vec<String>,
    sql: Bytes,
    span: Range<usize>,
}

/// A part of the statement, planned.
pub(super) struct Planned {
    pub sql: Bytes,
    pub span: Range<usize>,
    pub template: Arc<Template>,
    pub plan: Plan,
}

impl Session {
    /// Runs all parts. `bind`: the client's Bind, in the extended protocol.
    pub(super) async fn run_stages(
        &mut self,
        (stages, conditions): (&Arc<Stages>, &[String]),
        (sql, span): (&Bytes, &Range<usize>),
        bind: Option<(&Bound, Until)>,
    ) -> Result<Told, Undone> {
        if self.recodes() {
            return Err(unreadable("client_encoding isn't that of the servers").into());
        }
        // What is wrong with the statement itself, and what it returns.
        let none = Bound::none();
        let bound = bind.map_or(&none, |(bound, _)| bound);
        let mut described = self.describe_whole(sql, bound).await?;
        if bind.is_some_and(|(_, until)| until == Until::Described) {
            return Ok(described);
        }
        self.admit_names(&stages.may_be_hidden()).await?;
        let call =
            Call { stages: Arc::clone(stages), conditions: conditions.to_vec(), sql: sql.clone(), span: span.clone() };
        let call = self.settle_call(call, bound).await?;
        let tokens = tokens_of(&call.sql, &call.span, &self.lex_options());
        let mut rows: Vec<Bytes> = Vec::with_capacity(call.stages.steps.len());
        let (mut notices, mut bytes) = (Vec::new(), 0);
        for (step, condition) in call.stages.steps.iter().zip(&call.conditions) {
            let given = |at: usize| rows.get(at).map(|rows| &rows[..]);
            let (told, on) = match &step.source {
                Source::Tokens(range) => {
                    let text = call.stages.text_of(&call.sql, &tokens, range, &given);
                    Box::pin(self.run_part(text.into(), step.writes, None)).await?
                }
                Source::Table { sql, shards, .. } => {
                    let only = if condition.is_empty() { "" } else { " WHERE " };
                    let text = Bytes::from(format!("{sql}{only}{condition}"));
                    let told = self.ask_shards(shards, &text, None).await.map_err(of_part)?;
                    (told, self.database.config.home)
                }
            };
            notices.extend(told.notices.iter().cloned());
            bytes += told.rows.len();
            if bytes > STAGED_BYTES_MAX {
                return Err(too_large().into());
            }
            let query = if step.places.is_empty() { Bytes::new() } else { self.as_query(step, &told, on).await? };
            self.leave_scratch(on).await;
            rows.push(query);
        }
        let given = |at: usize| rows.get(at).map(|rows| &rows[..]);
        let main = call.stages.text_of(&call.sql, &tokens, &call.stages.main, &given);
        let without = bound.with(&[], &[]);
        let bind = bind.map(|(_, until)| (&without, until));
        let (mut told, on) = Box::pin(self.run_part(main.into(), call.stages.main_writes, bind)).await?;
        self.leave_scratch(on).await;
        notices.append(&mut told.notices);
        // What is said of literals is said once of the client's own text; in the extended protocol by its Parse.
        notices.retain(|notice| backend::error_field(notice, b'C') != Some(b"22P06"));
        if bind.is_none() {
            notices.splice(0..0, std::mem::take(&mut described.notices));
        }
        // The same columns as the client's own statement has them, of the tables that they are of.
        let types = |told: &Told| told.description.as_deref().and_then(|frame| backend::column_types(frame).ok());
        if types(&told) != types(&described)
            && told.description.as_deref().and_then(|frame| frame.first()) == Some(&tag::ROW_DESCRIPTION)
        {
            return Err(unreadable("its columns would have other types").into());
        }
        Ok(Told { notices, description: described.description, ..told })
    }

    /// The client's own statement as the home shard describes it; its error is the client's.
    pub(super) async fn describe_whole(&mut self, sql: &Bytes, bound: &Bound) -> Result<Told, Undone> {
        let home = Part::whole(self.database.config.home, sql.clone());
        let prepared = Prepared { parts: vec![home], order: Order::Parts, rows: None };
        let answers = self.ask_parts(&prepared.parts, Some((bound, Until::Described)), LAST_WORDS_WAIT).await?;
        prepared.join(answers, sql, true, false)
    }

    /// The text with one moment and with its values in it: its parts are statements of their own.
    pub(super) async fn settle_text(
        &mut self,
        sql: &Bytes,
        span: &Range<usize>,
        moments: &[MomentCall],
        bound: &Bound,
    ) -> Result<Bytes, Undone> {
        let options = self.lex_options();
        let mut sql = sql.clone();
        if !moments.is_empty() {
            let moment = self.moment(self.database.config.home).await?;
            let tokens = tokens_of(&sql, span, &options);
            sql = with_moment(&sql, &tokens, moments, &moment).sql.into();
        }
        if bound.has_values() {
            let values = self.literals(bound).await?;
            let all = 0..sql.len();
            let tokens = tokens_of(&sql, &all, &options);
            sql = stages::with_parameters(&sql, &tokens, &values).into();
        }
        Ok(sql)
    }

    /// The statement with its values in the text, and with one moment: its parts are statements of their own.
    async fn settle_call(&mut self, call: Call, bound: &Bound) -> Result<Call, Undone> {
        let sql = self.settle_text(&call.sql, &call.span, &call.stages.moments, bound).await?;
        if sql == call.sql {
            return Ok(call);
        }
        let planned = self.plan_part(sql).await?;
        match planned.plan {
            Plan::Stages { stages, conditions } => {
                Ok(Call { stages, conditions, sql: planned.sql, span: planned.span })
            }
            _ => Err(ClientError::from(refusal::many_writes()).into()),
        }
    }

    /// The values of a Bind as SQL, each of the type that the parameter has.
    pub(super) async fn literals(&mut self, bound: &Bound) -> Result<Vec<String>, Undone> {
        let values = bound.typed_values();
        let mut asked = String::from("SELECT NULL");
        let (mut used, mut number) = (Vec::new(), 0);
        for (position, (oid, format, value)) in values.iter().enumerate() {
            if *oid == 0 && *format != 0 && value.is_some() {
                return Err(unreadable("the type of a value in binary isn't known").into());
            }
            if *oid == 0 {
                continue;
            }
            asked.push_str(&format!(", pg_catalog.format_type({oid}, -1)"));
            if *format != 0 && value.is_some() {
                number += 1;
                used.push(u16::try_from(position).unwrap_or(u16::MAX));
                asked.push_str(&format!(", ${number}::pg_catalog.text"));
            }
        }
        let question = bound.of_text(&used);
        let home = Part::whole(self.database.config.home, asked.into());
        let answers =
            self.ask_parts(std::slice::from_ref(&home), Some((&question, Until::Executed)), LAST_WORDS_WAIT).await?;
        let prepared = Prepared { parts: vec![home], order: Order::Parts, rows: None };
        let told = prepared.join(answers, b"", true, true)?;
        let cells = backend::texts(&told.rows).unwrap_or_default();
        let mut cells = cells.into_iter().skip(1);
        let mut literals = Vec::with_capacity(values.len());
        for (oid, format, value) in values {
            let type_name = if oid == 0 { None } else { cells.next().flatten() };
            let text = match value {
                Some(_) if format != 0 => cells.next().flatten(),
                Some(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                None => None,
            };
            let quoted = match text {
                Some(text) => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
                None => "NULL".to_owned(),
            };
            literals.push(match type_name {
                Some(name) => format!("({quoted}::{name})"),
                None => quoted,
            });
        }
        Ok(literals)
    }

    pub(super) async fn plan_part(&mut self, sql: Bytes) -> Result<Planned, Undone> {
        let (mut sql, mut filled) = (sql, false);
        loop {
            let mut lexed = Box::<Lexed>::default();
            let found = if sql.len() > INLINE_STATEMENT_BYTES_MAX {
                let apart = Box::pin(self.lex_apart(sql.clone())).await?;
                lexed = apart.0;
                apart.1
            } else {
                self.database.planner.lex(&sql, self.standard_conforming_strings, &mut lexed)?;
                self.find_template(&sql, &lexed)
            };
            let template = match found {
                Some(template) => template,
                None => self.build_template(sql.clone(), Lexed::clone(&lexed)).await?,
            };
            if let Some(filling) = template.filling.as_ref().filter(|_| !filled) {
                let ids = self.serve_ids(filling).await?;
                let value = |at: usize| ids.get(at).map(i64::to_string).unwrap_or_default();
                sql = Bytes::from(filling.apply(&sql, &self.lex_options(), value).0);
                filled = true;
                continue;
            }
            super::filling::is_full(&template)?;
            let plan = template.bind_hinted(&sql, &lexed, None, None).map_err(ClientError::from)?;
            let plan = Box::pin(self.look_up(plan, &template, (&sql, &lexed), None)).await?;
            let span = lexed.statements.first().cloned().unwrap_or_default();
            return Ok(Planned { sql, span, template, plan });
        }
    }

    /// Runs one part; where its rows' types are known.
    pub(super) async fn run_part(
        &mut self,
        sql: Bytes,
        writes: bool,
        bind: Option<(&Bound, Until)>,
    ) -> Result<(Told, ShardId), Undone> {
        let home = self.database.config.home;
        let Planned { sql, span, template, plan } = self.plan_part(sql).await?;
        let plan = match plan {
            Plan::Single { shard, .. } if writes => {
                Plan::WriteAll { shards: ShardSet::one(shard), moments: Arc::default() }
            }
            Plan::Merge { otherwise, .. } => (*otherwise).map_err(ClientError::from)?,
            plan => plan,
        };
        let outcome = match &plan {
            Plan::Stages { .. } => Err(ClientError::from(refusal::many_writes()).into()),
            Plan::Gather { gather, pulls } if !writes => {
                let spliced = self.splice(&sql, gather);
                let mut gathering = Gathering::new(gather, pulls, spliced, (sql.clone(), Bytes::new()), &template);
                gathering.is_query = true;
                return self.gather_part(gathering, bind).await.map_err(of_part);
            }
            Plan::Single { .. } | Plan::Any | Plan::Scatter { .. } if !writes => {
                let shards = match &plan {
                    Plan::Scatter { shards } => shards.as_slice().to_vec(),
                    Plan::Single { shard, .. } => vec![*shard],
                    _ => vec![home],
                };
                for shard in &shards {
                    // What it calls may write.
                    self.admit_write(*shard, &template).await?;
                }
                self.ask_shards(&shards, &sql, bind).await
            }
            plan if writes && Self::written_by(plan).is_some() => {
                let shards = Self::written_by(plan).unwrap_or_default();
                self.begin_spread(&shards).await?;
                Box::pin(self.write_parts(plan, &template, (&sql, &span), bind)).await
            }
            _ => Err(ClientError::from(refusal::many_writes()).into()),
        };
        Ok((outcome.map_err(of_part)?, home))
    }

    /// The same on each of these shards, their rows one after the other.
    async fn ask_shards(
        &mut self,
        shards: &[ShardId],
        sql: &Bytes,
        bind: Option<(&Bound, Until)>,
    ) -> Result<Told, Undone> {
        let parts = shards.iter().map(|shard| Part::whole(*shard, sql.clone())).collect();
        let prepared = Prepared { parts, order: Order::Parts, rows: None };
        let answers = self.ask_parts(&prepared.parts, bind, LAST_WORDS_WAIT).await?;
        prepared.join(answers, sql, bind.is_some(), true)
    }

    /// A part that is answered on rows which are gathered.
    async fn gather_part(
        &mut self,
        mut gathering: Gathering<'_>,
        bind: Option<(&Bound, Until)>,
    ) -> Result<(Told, ShardId), Undone> {
        let gathered = self.gather(&mut gathering, Access::Write).await.map_err(super::transfer::undone)?;
        let whole = Bytes::from(gathering.spliced.whole);
        let lease = self.transaction.lease_mut(gathered.scratch).expect("held by the gather");
        match bind {
            None => encode::query(&mut lease.framed.outbound, &whole),
            Some((bound, until)) => bound.encode(&Part::whole(gathered.scratch, whole), until, lease)?,
        }
        lease.unanswered += 1;
        lease.unnamed = None;
        let (mut told, mut rows) = (Told::default(), BytesMut::new());
        let ended = answer(lease, |frame| match frame.first() {
            Some(&tag::ROW_DESCRIPTION) => told.description = Some(Bytes::copy_from_slice(frame)),
            Some(&tag::DATA_ROW) if rows.len() <= STAGED_BYTES_MAX => {
                rows.extend_from_slice(frame);
                told.ends.push(rows.len());
            }
            Some(&tag::COMMAND_COMPLETE) => {
                told.tag = String::from_utf8_lossy(backend::command_tag(frame).unwrap_or_default()).into_owned();
            }
            _ => {}
        })
        .await;
        match ended {
            Ok(None) if rows.len() > STAGED_BYTES_MAX => Err(too_large().into()),
            Ok(None) => {
                told.rows = rows.freeze();
                Ok((told, gathered.scratch))
            }
            Ok(Some(frame)) => {
                self.drop_scratch(gathered.scratch).await;
                Err(Undone::Server { frame: frame.0, bound: true, description: None })
            }
            Err(error) => {
                let failure = self.gather_failure(error, &[]).await;
                self.drop_scratch(gathered.scratch).await;
                Err(super::transfer::undone(failure))
            }
        }
    }

    /// The scratch connection of a part is free again.
    pub(super) async fn leave_scratch(&mut self, shard: ShardId) {
        if shard.is_scratch() {
            self.release_scratches().await;
        }
    }

    /// The rows that a step gave, as a query that gives them.
    async fn as_query(&mut self, step: &Step, told: &Told, on: ShardId) -> Result<Bytes, Undone> {
        let mut columns: Vec<(String, u32, i32)> = Vec::new();
        if let Some(frame) = told.description.as_ref().filter(|frame| frame.first() == Some(&tag::ROW_DESCRIPTION)) {
            let each = |name: &[u8], oid, _, modifier, _| {
                columns.push((String::from_utf8_lossy(name).into_owned(), oid, modifier));
            };
            backend::columns(frame, each).map_err(|_| unreadable("a server's description of them isn't one"))?;
        }
        if columns.is_empty() {
            return Err(ClientError::from(refusal::many_writes()).into());
        }
        for (column, name) in columns.iter_mut().zip(&step.columns) {
            column.0.clone_from(name);
        }
        let types = self.type_names(&columns, on).await?;
        let mut values: Vec<Vec<u8>> = vec![Vec::new(); columns.len()];
        let mut start = 0;
        for end in &told.ends {
            let cells = backend::cells(told.rows.get(start..*end).unwrap_or_default());
            let cells = cells.map_err(|_| unreadable("a server's row isn't one"))?;
            for (value, column) in cells.into_iter().zip(&mut values) {
                stages::element(value.as_deref(), column);
            }
            start = *end;
        }
        let collations: &[Option<String>] = match &step.source {
            Source::Table { collations, .. } => collations,
            Source::Tokens(_) => &[],
        };
        let all = columns.iter().zip(&types).zip(values).enumerate();
        let all = all.map(|(at, ((column, type_name), values))| {
            (column.0.as_str(), type_name.as_str(), collations.get(at).and_then(Option::as_deref), values)
        });
        Ok(stages::rows_sql(all).into())
    }

    /// What the types are called, where these numbers are known.
    async fn type_names(&mut self, columns: &[(String, u32, i32)], on: ShardId) -> Result<Vec<String>, Undone> {
        let mut question = format!("SELECT {READS_BACK}");
        for (_, oid, modifier) in columns {
            question.push_str(&format!(", pg_catalog.format_type({oid}, {modifier})"));
        }
        let mut cells = if on.is_scratch() {
            let lease = self.transaction.lease_mut(on).ok_or_else(|| unreadable("the scratch database is gone"))?;
            encode::query(&mut lease.framed.outbound, question.as_bytes());
            lease.unanswered += 1;
            let mut cells = Vec::new();
            let ended = answer(lease, |frame| {
                if frame.first() == Some(&tag::DATA_ROW) {
                    cells = backend::texts(frame).unwrap_or_default();
                }
            });
            match ended.await {
                Ok(_) => cells,
                Err(error) => {
                    let failure = self.gather_failure(error, &[]).await;
                    return Err(super::transfer::undone(failure));
                }
            }
        } else {
            let answer = self.ask_one(on, &question).await?;
            answer.row(0).and_then(|row| backend::texts(row).ok()).unwrap_or_default()
        };
        if cells.len() != columns.len() + 1 {
            return Err(unreadable("the types of their columns aren't known").into());
        }
        if cells.remove(0).as_deref() != Some("true") {
            return Err(unreadable(
                "DateStyle isn't ISO, IntervalStyle isn't postgres, or extra_float_digits is below 1",
            )
            .into());
        }
        cells.into_iter().map(|name| name.ok_or_else(|| unreadable("a type isn't known").into())).collect()
    }
}

pub(super) fn unreadable(why: &str) -> ClientError {
    let text = "this write over several shards is not supported with the session's settings or values";
    ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
        .detail(format!("Rows of one part of it would be told to another part as text: {why}."))
        .hint("Run its parts as statements of their own in a transaction.")
}

pub(super) fn too_large() -> ClientError {
    let text = "the rows that one part of a write over several shards reads for another are too large";
    ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text)
        .detail(format!("They are kept and told to each shard: at most {} MiB.", STAGED_BYTES_MAX >> 20))
        .hint("Read less by a narrower condition, or write in steps.")
}

/// An error in a part stands nowhere in the client's text. That a part is found wrong though the statement is right
/// means that it can't be run so.
pub(super) fn of_part(undone: Undone) -> Undone {
    match undone {
        Undone::Server { frame, bound, description } => {
            let state = backend::error_field(&frame, b'C').unwrap_or_default();
            let is_wrong =
                [&b"42703"[..], b"42P01", b"42702", b"42803", b"42804", b"42883", b"42P10", b"42601"].contains(&state);
            if is_wrong {
                return ClientError::from(refusal::many_writes()).into();
            }
            Undone::Server { frame: backend::repositioned(&frame, |_| None), bound, description }
        }
        other => other,
    }
}
