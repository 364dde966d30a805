//! Spans of a client's traced statements. In: the moments that `noting` is told of. Out: a statement's span with its
//! children, for the wait, each shard, and what the proxy does with their answers. Where nothing is traced this costs a
//! branch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::observe::traces::{Attribute, Mark, Parent, Span, SpanKind, Tracer, new_id, parent_in};
use crate::observe::{Kind, Strategy, clock};
use crate::pool::Lease;

const UNDECIDED: u8 = 0;
const LEFT: u8 = 1;
const TAKEN: u8 = 2;

/// What is traced of a client. Only there where traces are on.
#[derive(Debug)]
pub(super) struct Traced {
    tracer: Arc<Tracer>,
    /// If the statement that comes next is traced, where that was asked before.
    decided: AtomicU8,
    /// Of the statement that is being planned.
    parent: Option<Parent>,
    /// The statements of the request that are traced.
    started: Vec<Started>,
    /// When the last wait for a connection ended, and how long it was.
    wait: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Started {
    /// Its position among the statements of the request; `None`: it was refused.
    call: Option<usize>,
    began: u64,
    trace: [u8; 16],
    parent: Option<[u8; 8]>,
    shards: Vec<Reached>,
}

#[derive(Debug)]
struct Reached {
    place: u16,
    node: String,
    began: u64,
    mark: Arc<Mark>,
}

/// What is known of a statement when it has been answered.
pub(super) struct Ended<'e> {
    pub(super) kind: Kind,
    pub(super) strategy: Option<Strategy>,
    pub(super) shards: u32,
    pub(super) rows: u64,
    pub(super) statement: &'e str,
    pub(super) error: Option<&'static str>,
}

/// Whose request it is.
pub(super) struct Whose<'w> {
    pub(super) database: &'w str,
    pub(super) user: &'w str,
    pub(super) ended: u64,
}

impl Traced {
    pub(super) fn new(tracer: Arc<Tracer>) -> Box<Self> {
        Box::new(Self { tracer, decided: AtomicU8::new(UNDECIDED), parent: None, started: Vec::new(), wait: None })
    }

    /// A request begins.
    pub(super) fn begin(&mut self) {
        *self.decided.get_mut() = UNDECIDED;
    }

    /// If this statement, which may come next, is traced.
    pub(super) fn takes(&self, sql: &[u8]) -> bool {
        match self.decided.load(Ordering::Relaxed) {
            UNDECIDED => {
                let takes = self.tracer.takes(parent_in(sql));
                self.decided.store(if takes { TAKEN } else { LEFT }, Ordering::Relaxed);
                takes
            }
            decided => decided == TAKEN,
        }
    }

    /// A statement is about to be planned.
    pub(super) fn look(&mut self, sql: &[u8]) {
        self.parent = parent_in(sql);
    }

    /// It was planned, as call number `call` of a request that began then; or refused.
    pub(super) fn start(&mut self, call: Option<usize>, request_began: u64) {
        let parent = self.parent.take();
        let takes = match std::mem::replace(self.decided.get_mut(), UNDECIDED) {
            UNDECIDED => self.tracer.takes(parent),
            decided => decided == TAKEN,
        };
        if !takes {
            return;
        }
        let began = if call == Some(0) || call.is_none() { request_began } else { clock::now_nanos() };
        let trace = parent.map_or_else(new_id, |parent| parent.trace);
        self.started.push(Started { call, began, trace, parent: parent.map(|parent| parent.span), shards: Vec::new() });
    }

    pub(super) fn waited(&mut self, waited: Duration) {
        self.wait = Some((clock::now_nanos(), clock::nanos(waited)));
    }

    /// The statement that was planned last runs on that connection.
    pub(super) fn reached(&mut self, lease: &mut Lease) {
        lease.framed.mark = None;
        let Some(started) = self.started.last_mut() else { return };
        let place = lease.node.place;
        let mark = match started.shards.iter().find(|reached| reached.place == place) {
            Some(reached) => Arc::clone(&reached.mark),
            None => {
                let mark = Arc::new(Mark::default());
                let node = lease.node.describe();
                started.shards.push(Reached { place, node, began: clock::now_nanos(), mark: Arc::clone(&mark) });
                mark
            }
        };
        lease.framed.mark = Some(mark);
    }

    /// The calls that are traced, and those that were refused.
    pub(super) fn finish<'e>(&mut self, whose: &Whose<'_>, of: impl Fn(Option<usize>) -> Option<Ended<'e>>) {
        let wait = self.wait.take();
        let started = std::mem::take(&mut self.started);
        for (position, one) in started.iter().enumerate() {
            let Some(ended) = of(one.call) else { continue };
            let end = started.get(position + 1).map_or(whose.ended, |next| next.began);
            let wait = wait.filter(|(until, waited)| *until <= end && *until + SLACK >= one.began + *waited);
            self.tracer.give(self.spans(one, &ended, end, wait, whose));
        }
    }

    fn spans(
        &self,
        one: &Started,
        ended: &Ended<'_>,
        end: u64,
        wait: Option<(u64, u64)>,
        whose: &Whose<'_>,
    ) -> Vec<Span> {
        let id = new_id();
        let text = |text: &str| Attribute::Text(text.into());
        let mut attributes = vec![
            ("db.system.name", text("postgresql")),
            ("db.namespace", text(whose.database)),
            ("db.operation.name", text(&ended.kind.name().to_uppercase())),
            ("db.query.text", text(ended.statement)),
            ("db.response.returned_rows", Attribute::Number(ended.rows)),
            ("shardway.user", text(whose.user)),
            ("shardway.shards", Attribute::Number(u64::from(ended.shards))),
        ];
        attributes.extend(ended.strategy.map(|strategy| ("shardway.strategy", text(strategy.name()))));
        attributes.extend(ended.error.map(|error| ("error.type", text(error))));
        let span = |name: &str, kind, begin: u64, end: u64| Span {
            trace: one.trace,
            id: new_id(),
            parent: Some(id),
            name: name.into(),
            kind,
            begin: self.tracer.nanos(begin),
            end: self.tracer.nanos(end.max(begin)),
            attributes: Vec::new(),
            failed: false,
        };
        let mut spans = vec![Span {
            id,
            parent: one.parent,
            attributes,
            failed: ended.error.is_some(),
            ..span(&ended.kind.name().to_uppercase(), SpanKind::Server, one.began, end)
        }];
        spans.extend(wait.map(|(until, waited)| span("wait", SpanKind::Internal, until.saturating_sub(waited), until)));
        for reached in &one.shards {
            let last = reached.mark.last().map_or(end, |last| last.min(end));
            spans.push(span(&reached.node, SpanKind::Client, reached.began, last));
        }
        let together = ended.strategy.filter(|strategy| {
            matches!(
                strategy,
                Strategy::Scatter | Strategy::Merge | Strategy::Gather | Strategy::Split | Strategy::WriteSeveral
            )
        });
        if let (Some(strategy), Some(first)) = (together, one.shards.first()) {
            spans.push(span(strategy.name(), SpanKind::Internal, first.began, end));
        }
        spans
    }
}

/// The clock is read one time after the other; in nanoseconds.
const SLACK: u64 = 1_000_000;
