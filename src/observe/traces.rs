//! Spans of sampled statements. In: what a session knows of a statement as it goes. Out: finished [`Span`]s in a bounded
//! queue, which `server` sends to a collector. Knows no socket, and no clock but the process's own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memchr;
use memchr::memmem::FinderRev;
use tokio::sync::mpsc;

use super::clock;
use crate::types::limits::TRACE_QUEUE_MAX;

/// Who a statement's span belongs to, as sqlcommenter's `traceparent='00-...'` says it (W3C Trace Context).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parent {
    pub trace: [u8; 16],
    pub span: [u8; 8],
    pub is_sampled: bool,
}

/// A moment, in nanoseconds since 1970.
pub type Nanos = u64;

/// What a span is of, in OTLP's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Attribute {
    Text(Box<str>),
    Number(u64),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    pub trace: [u8; 16],
    pub id: [u8; 8],
    pub parent: Option<[u8; 8]>,
    pub name: Box<str>,
    pub kind: SpanKind,
    pub begin: Nanos,
    pub end: Nanos,
    pub attributes: Vec<(&'static str, Attribute)>,
    pub failed: bool,
}

/// Decides which statements are traced, and takes their spans.
#[derive(Debug)]
pub struct Tracer {
    /// Of 2^32 statements without a parent so many are traced.
    sampled: u64,
    queue: mpsc::Sender<Vec<Span>>,
    dropped: AtomicU64,
    /// What the process's clock said zero at.
    base: Nanos,
}

impl Tracer {
    /// `share`: of the statements without a parent, from 0 to 1. The other end of the queue goes to who sends them.
    pub fn new(share: f64) -> (Arc<Self>, mpsc::Receiver<Vec<Span>>) {
        let (queue, spans) = mpsc::channel(TRACE_QUEUE_MAX);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let tracer = Self {
            sampled: (share.clamp(0.0, 1.0) * 4_294_967_296.0) as u64,
            queue,
            dropped: AtomicU64::new(0),
            base: u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(clock::now_nanos()),
        };
        (Arc::new(tracer), spans)
    }

    /// A parent's own decision holds; else chance decides.
    pub fn takes(&self, parent: Option<Parent>) -> bool {
        match parent {
            Some(parent) => parent.is_sampled,
            None => u64::from(rand::random::<u32>()) < self.sampled,
        }
    }

    /// A moment of [`clock`] as one since 1970.
    pub fn nanos(&self, at: u64) -> Nanos {
        self.base.saturating_add(at)
    }

    /// Never waits: where nobody takes the spans in time, they are counted and gone.
    pub fn give(&self, spans: Vec<Span>) {
        if self.queue.try_send(spans).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Statements whose spans were lost since the last time this was asked.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

/// An identifier that isn't zero, which would mean none.
pub fn new_id<const N: usize>() -> [u8; N]
where
    rand::distr::StandardUniform: rand::distr::Distribution<[u8; N]>,
{
    let mut id: [u8; N] = rand::random();
    if let Some(last) = id.last_mut().filter(|last| **last == 0) {
        *last = 1;
    }
    id
}

/// Comments stand at one end of a statement: only so much of each is searched.
const SEARCHED_BYTES: usize = 2_048;

/// What a comment of the statement says of its parent.
pub fn parent_in(sql: &[u8]) -> Option<Parent> {
    if sql.len() <= SEARCHED_BYTES {
        return parent_among(sql);
    }
    let tail = sql.get(sql.len() - SEARCHED_BYTES..)?;
    let head = sql.get(..SEARCHED_BYTES)?;
    [tail, head].into_iter().find_map(parent_among)
}

fn parent_among(text: &[u8]) -> Option<Parent> {
    const NAME: &[u8] = b"traceparent='";
    static FINDER: LazyLock<FinderRev<'static>> = LazyLock::new(|| FinderRev::new(NAME));
    // Its value has some. Most statements have none, and pay no more than this.
    memchr(b'-', text)?;
    let at = FINDER.rfind(text)?;
    let value = std::str::from_utf8(text.get(at + NAME.len()..at + NAME.len() + 55)?).ok()?;
    let mut parts = value.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let (trace, span) = (bytes::<16>(trace)?, bytes::<8>(span)?);
    let is_valid = version != "ff" && trace != [0; 16] && span != [0; 8];
    is_valid.then_some(Parent { trace, span, is_sampled: flags & 1 == 1 })
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    if hex.len() != 2 * N || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(out)
}

/// When a connection last gave something: written by whoever reads it, while a traced statement runs there.
#[derive(Debug, Default)]
pub struct Mark(AtomicU64);

impl Mark {
    pub fn touch(&self) {
        self.0.store(clock::now_nanos(), Ordering::Relaxed);
    }

    /// `None`: nothing has come.
    pub fn last(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|nanos| *nanos > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_found_in_comments() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let comment = |flags: &str| format!("/*db_driver='x',traceparent='00-{trace}-00f067aa0ba902b7-{flags}'*/");
        let found = parent_in(format!("SELECT 1 {}", comment("01")).as_bytes()).expect("there is one");
        assert!(found.is_sampled && found.trace[0] == 0x4b && found.span[7] == 0xb7);
        let found = parent_in(format!("{} SELECT '{}'", comment("00"), "x".repeat(5_000)).as_bytes());
        assert!(!found.expect("there is one").is_sampled);
        for other in [
            "SELECT 1".to_owned(),
            "SELECT 1 /*traceparent='00-4bf9'*/".to_owned(),
            comment("01").replace("4bf92f35", "zzzzzzzz"),
            comment("01").replace(trace, &"0".repeat(32)),
            comment("01").replace("'00-", "'ff-"),
        ] {
            assert_eq!(parent_in(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn chance_decides_where_there_is_no_parent() {
        let count = |share| (0..1_000).filter(|_| Tracer::new(share).0.takes(None)).count();
        assert_eq!((count(0.0), count(1.0)), (0, 1_000));
        let (never, _spans) = Tracer::new(0.0);
        let parent = Parent { trace: [1; 16], span: [1; 8], is_sampled: true };
        assert!(never.takes(Some(parent)) && !never.takes(Some(Parent { is_sampled: false, ..parent })));
    }
}
