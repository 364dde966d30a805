//! What one client's requests are counted as. In: the session's moments (a request begins, a statement is planned, a
//! shard is reached, an answer ends). Out: figures in `observe`. Decides nothing.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::tracing::{Ended, Traced, Whose};
use super::turn::Session;
use crate::execute::Outcome;
use crate::observe::{
    Call, Client, Entered, Kind, Observed, Phase, Pin, Refused, Slow, Strategy, Took, Total, clock, hot,
};
use crate::planning::{Plan, Template, Why};
use crate::pool::Lease;
use crate::protocol::backend::Status;
use crate::protocol::frontend::{Bind, BindValue};
use crate::routing::hash::bucket;
use crate::types::limits::OBSERVED_TEXT_BYTES_MAX;
use crate::types::{ClientError, SqlState};

#[derive(Debug)]
pub(super) struct Notes {
    entered: Entered,
    /// By [`clock`], as `block`.
    began: u64,
    /// When the transaction began; `None` outside.
    block: Option<u64>,
    waited: u64,
    /// The statements of the request, as they were planned.
    calls: Vec<Planned>,
    rows: u64,
    failed: bool,
    /// The SQLSTATE of an error of the proxy's own; known for traces only.
    error: Option<&'static str>,
    /// The node that was reached first, by its position in the database, and whether there were others.
    node: Option<u16>,
    several_nodes: bool,
    received: u64,
    sent: u64,
    pins: super::state::Pins,
    /// `None`: traces are off.
    traced: Option<Box<Traced>>,
    /// Slow statements are told with their values.
    shows_values: bool,
    /// The statement that is about to be planned, then.
    told: Option<Box<str>>,
}

#[derive(Debug)]
struct Planned {
    template: Arc<Template>,
    strategy: Strategy,
    shards: u32,
    /// With its values, where they are wanted.
    told: Option<Box<str>>,
}

/// Statements of one request that are counted one by one; of a longer pipeline the rest is counted as calls without
/// a statement.
const CALLS_MAX: usize = 1_000;
/// What is kept between requests.
const CALLS_KEPT: usize = 4;

impl Notes {
    pub(super) fn new(entered: Entered, observed: &Observed) -> Self {
        Self {
            entered,
            began: clock::now_nanos(),
            block: None,
            waited: 0,
            calls: Vec::new(),
            rows: 0,
            failed: false,
            error: None,
            node: None,
            several_nodes: false,
            received: 0,
            sent: 0,
            pins: super::state::Pins::default(),
            traced: observed.tracer.get().map(|tracer| Traced::new(Arc::clone(tracer))),
            shows_values: observed.shows_values(),
            told: None,
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.entered.client
    }

    pub(super) fn begin(&mut self) {
        self.began = clock::recent_nanos();
        if let Some(traced) = &mut self.traced {
            traced.begin();
        }
        self.entered.client.begin(self.began);
    }

    pub(super) fn waited(&mut self, waited: Duration) {
        self.waited += clock::nanos(waited);
        if let Some(traced) = &mut self.traced {
            traced.waited(waited);
        }
    }

    /// A statement runs on that connection.
    pub(super) fn reached(&mut self, lease: &mut Lease) {
        if let Some(traced) = &mut self.traced {
            traced.reached(lease);
        }
        let place = lease.node.place;
        self.several_nodes |= self.node.is_some_and(|first| first != place);
        self.node.get_or_insert(place);
        self.entered.client.enter(Phase::Running);
    }

    /// If the statement is to be traced or told: it goes the long way then.
    #[inline]
    pub(super) fn takes(&self, sql: &[u8]) -> bool {
        self.shows_values || self.traced.as_ref().is_some_and(|traced| traced.takes(sql))
    }

    /// A statement is about to be planned.
    #[inline]
    pub(super) fn look(&mut self, sql: &[u8]) {
        if let Some(traced) = &mut self.traced {
            traced.look(sql);
        }
        if self.shows_values {
            self.told = Some(shown(sql, std::iter::empty()));
        }
    }

    /// The same with the values of its parameters.
    #[inline]
    pub(super) fn look_at_call(&mut self, sql: &[u8], bind: &Bind<'_>) {
        self.look(sql);
        if self.shows_values {
            self.told = Some(shown(sql, bind.values()));
        }
    }

    pub(super) fn outcome(&mut self, outcome: &Outcome) {
        self.rows += outcome.rows;
        self.failed |= outcome.failed;
    }

    /// A statement was answered with so many rows.
    pub(super) fn answered(&mut self, rows: u64) {
        self.rows += rows;
    }

    /// Rows of an answer that the proxy made of several.
    pub(super) fn merged(&mut self, rows: u64, failed: bool) {
        self.rows += rows;
        self.failed |= failed;
    }

    pub(super) fn planned(&mut self, template: Arc<Template>, strategy: Strategy, shards: usize) {
        let shards = u32::try_from(shards).unwrap_or(u32::MAX);
        if let Some(traced) = &mut self.traced {
            traced.start(Some(self.calls.len()), self.began);
        }
        let statement = template.observed.get().map_or(0, |statement| statement.id);
        self.entered.client.run(statement, strategy, shards);
        if self.calls.len() < CALLS_MAX {
            let told = if self.shows_values { self.told.take() } else { None };
            self.calls.push(Planned { template, strategy, shards, told });
        }
    }
}

impl Session {
    /// The statement that is to be planned found its template, or a new one had to be built.
    pub(super) fn note_template(&self, known: bool) {
        if self.observed.counts() {
            self.database.figures.add([if known { (Total::TemplateHits, 1) } else { (Total::TemplateMisses, 1) }]);
        }
    }

    pub(super) fn note_plan(&mut self, template: Arc<Template>, plan: &Plan) {
        self.note_key(plan);
        self.leaves_notes |= template.may_leave_notes();
        let (strategy, shards) = plan.strategy();
        let shards = if strategy == Strategy::Definition { self.database.config.shards.len() } else { shards };
        self.notes.planned(template, strategy, shards);
    }

    /// Keys that are asked for often are found by samples.
    #[inline]
    pub(super) fn note_key(&self, plan: &Plan) {
        if let Plan::Single { why: Why::Key { column, value, .. }, .. } = plan
            && self.observed.counts()
            && hot::is_sampled()
        {
            let hashed = self.database.planner.map().is_some_and(|map| map.is_hashed(column));
            let bucket = if hashed { bucket(value) } else { None };
            self.database.figures.hot.note(bucket, column, value);
        }
    }

    /// The client is told of an error of the proxy's own.
    pub(super) fn note_error(&mut self, error: &ClientError) {
        self.notes.failed = true;
        self.trace_error(error);
        let figures = &self.database.figures;
        figures.errors.add(error.state.code());
        if error.state != SqlState::FEATURE_NOT_SUPPORTED {
            return;
        }
        figures.refusals.add(&error.message);
        let text = |text: Option<&str>| text.unwrap_or_default().into();
        figures.recent_refusals.push(Refused {
            at: SystemTime::now(),
            user: self.user.clone(),
            message: error.message.as_str().into(),
            detail: text(error.detail.as_deref()),
            hint: text(error.hint.as_deref()),
            statement: self.refused.as_ref().map(|template| template.readable()).unwrap_or_default().into(),
        });
    }

    /// A request has been answered, up to what is still in the client's buffer.
    pub(super) fn end_request(&mut self) {
        let idle = self.transaction.status() == Status::Idle && self.segment.is_none() && self.scattering.is_none();
        self.end_request_at(clock::now_nanos(), idle);
        self.refused = None;
    }

    /// The same for a request that nothing is left of, with the time as of the answer's arrival.
    #[inline]
    pub(super) fn end_request_idle(&mut self) {
        self.end_request_at(clock::recent_nanos(), true);
    }

    fn end_request_at(&mut self, now: u64, idle: bool) {
        let notes = &mut self.notes;
        let took = now.saturating_sub(notes.began);
        notes.entered.client.rest(now, if idle { Phase::Idle } else { Phase::InTransaction });
        let (received, sent) = (self.client.received - notes.received, self.client.sent - notes.sent);
        (notes.received, notes.sent) = (self.client.received, self.client.sent);
        let block = notes.block.unwrap_or(notes.began);
        notes.block = (!idle).then_some(block);
        let took = Took::of(took);
        let node = notes.node.take();
        if self.observed.counts() {
            self.count_request(took, idle, block, now, (received, sent), node);
        }
        if self.notes.traced.is_some() {
            self.finish_traces(now);
        }
        self.end_calls(took);
        let notes = &mut self.notes;
        (notes.waited, notes.rows, notes.failed, notes.several_nodes) = (0, 0, false, false);
    }

    #[inline]
    fn count_request(
        &self,
        took: Took,
        idle: bool,
        block: u64,
        now: u64,
        (received, sent): (u64, u64),
        node: Option<u16>,
    ) {
        let notes = &self.notes;
        self.database.figures.add([
            (Total::Transactions, u64::from(idle)),
            (Total::Requests, 1),
            (Total::Received, received),
            (Total::Sent, sent),
            (Total::TransactionNanos, if idle { now.saturating_sub(block) } else { 0 }),
            (Total::RequestNanos, took.nanos),
            (Total::WaitNanos, notes.waited),
        ]);
        if let Some(node) = node.and_then(|node| self.database.node_figures(node)) {
            if notes.several_nodes {
                node.add(crate::observe::NodeTotal::SharedStatements);
            } else if notes.waited == 0 {
                node.durations.record(took);
            } else {
                node.durations.record(Took::of(took.nanos.saturating_sub(notes.waited)));
            }
        }
    }

    /// A statement that wasn't planned has a span as well.
    fn trace_error(&mut self, error: &ClientError) {
        let Notes { traced: Some(traced), calls, began, error: told, .. } = &mut self.notes else { return };
        told.get_or_insert(error.state.code());
        if calls.is_empty() {
            traced.start(None, *began);
        }
    }

    #[cold]
    fn finish_traces(&mut self, ended: u64) {
        let Notes { traced: Some(traced), calls, rows, failed, error, .. } = &mut self.notes else { return };
        let (rows, count, told) = (*rows, calls.len(), error.take());
        let error = told.or(failed.then_some("error"));
        let refused = self.refused.as_ref();
        let of = |call: Option<usize>| {
            let Some(call) = call else {
                let kind = refused.map_or(Kind::Other, |template| template.kind());
                let statement = refused.and_then(|template| template.observed.get()).map_or("", |known| &*known.text);
                return Some(Ended { kind, strategy: None, shards: 0, rows: 0, statement, error });
            };
            let planned = calls.get(call)?;
            let is_last = call + 1 == count;
            Some(Ended {
                kind: planned.template.kind(),
                strategy: Some(planned.strategy),
                shards: planned.shards,
                rows: if is_last { rows } else { 0 },
                statement: planned.template.observed.get().map_or("", |known| &*known.text),
                error: error.filter(|_| is_last),
            })
        };
        traced.finish(&Whose { database: &self.database.figures.name, user: &self.user, ended }, of);
    }

    /// The statements of a request that came together share its time and its rows.
    fn end_calls(&mut self, took: Took) {
        let notes = &mut self.notes;
        let count = notes.calls.len() as u64;
        let each = match count {
            0 => return,
            1 => took,
            _ => Took::of(took.nanos / count),
        };
        let figures = &self.database.figures;
        let limit = self.observed.slow();
        let counts = self.observed.counts();
        let mut rows = notes.rows;
        let rows_each = if count == 1 { rows } else { rows / count };
        for (position, mut planned) in notes.calls.drain(..).enumerate() {
            let kind = planned.template.kind();
            let is_last = position as u64 + 1 == count;
            let rows_here = if is_last { rows } else { rows_each };
            rows -= rows_here;
            if counts {
                figures.record(kind, planned.strategy, each);
            }
            let Some(statement) = planned.template.observed.get() else { continue };
            let (strategy, shards) = (planned.strategy, planned.shards);
            let failed = notes.failed && is_last;
            if counts {
                statement.note(&Call { nanos: each.nanos, rows: rows_here, shards, strategy, failed });
            }
            if limit.is_some_and(|limit| Duration::from_nanos(each.nanos) >= limit) && kind != Kind::Session {
                let slow = Slow {
                    at: SystemTime::now(),
                    user: self.user.clone(),
                    client: notes.entered.client.id,
                    took: Duration::from_nanos(each.nanos),
                    waited: Duration::from_nanos(notes.waited),
                    rows: rows_here,
                    strategy,
                    shards,
                    statement: planned.told.take().unwrap_or_else(|| statement.text.clone()),
                };
                say_slow(&figures.name, &slow);
                figures.slow.push(slow);
            }
        }
        if notes.calls.capacity() > CALLS_KEPT {
            notes.calls.shrink_to(CALLS_KEPT);
        }
    }

    /// After a request: what pins the client now that didn't before.
    pub(super) fn note_pins(&mut self) {
        let (now, before) = (self.state.pins, self.notes.pins);
        if now == before {
            return;
        }
        self.notes.pins = now;
        let each = [
            (Pin::Listen, now.listens, before.listens),
            (Pin::TemporaryObjects, now.temporary_objects, before.temporary_objects),
            (Pin::AdvisoryLocks, now.advisory_locks, before.advisory_locks),
            (Pin::HeldCursors, now.held_cursors, before.held_cursors),
            (Pin::SqlPrepared, now.sql_prepared, before.sql_prepared),
            (Pin::Unknown, now.unknown, before.unknown),
            (Pin::Loaded, now.loaded, before.loaded),
        ];
        for (pin, is, was) in each {
            if is && !was {
                self.database.figures.pins[pin.index()].add();
            }
        }
    }
}

/// The client's own words, in one line, and of the parameters those that can be read.
fn shown<'v>(sql: &[u8], values: impl Iterator<Item = BindValue<'v>>) -> Box<str> {
    let cut =
        |bytes: &[u8]| String::from_utf8_lossy(bytes.get(..OBSERVED_TEXT_BYTES_MAX).unwrap_or(bytes)).into_owned();
    let mut text = cut(sql);
    for (number, value) in values.enumerate() {
        let begin = if number == 0 { " -- " } else { ", " };
        text += &format!("{begin}${} = ", number + 1);
        match value {
            BindValue::Null => text += "NULL",
            BindValue::Text(bytes) => text += &format!("'{}'", cut(bytes).replace('\'', "''")),
            BindValue::Binary(bytes) => {
                text += "'\\x";
                bytes.iter().take(OBSERVED_TEXT_BYTES_MAX / 2).for_each(|byte| text += &format!("{byte:02x}"));
                text += "'";
            }
        }
        if text.len() > 2 * OBSERVED_TEXT_BYTES_MAX {
            text += ", ...";
            break;
        }
    }
    text.replace(|letter: char| letter.is_control(), " ").into()
}

fn say_slow(database: &str, slow: &Slow) {
    tracing::warn!(
        target: "shardway::slow",
        database,
        user = %slow.user,
        client = slow.client,
        took_ms = u64::try_from(slow.took.as_millis()).unwrap_or(u64::MAX),
        waited_ms = u64::try_from(slow.waited.as_millis()).unwrap_or(u64::MAX),
        rows = slow.rows,
        shards = slow.shards,
        strategy = slow.strategy.name(),
        statement = %slow.statement,
        "slow statement"
    );
}
