//! The parts of a statement that writes several shards. In: what each shard was sent, and what it answered. Out: one
//! answer for the client, or why there is none.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::execute::RelayError;
use crate::execute::collect::{Answer, Failure};
use crate::execute::scatter::fits;
use crate::planning::RowsByShard;
use crate::planning::refusal;
use crate::planning::writes::precedence::{self, Precedence};
use crate::planning::writes::returned;
use crate::planning::writes::splice::Spliced;
use crate::protocol::backend;
use crate::types::{ClientError, ShardId, SqlState};

/// What one shard is sent.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub shard: ShardId,
    pub sql: Bytes,
    /// Which of the client's parameters are its `$1`, `$2` ...; `None`: all as they are.
    pub parameters: Option<Vec<u16>>,
    /// It returns a column behind the client's.
    pub has_key: bool,
    /// If it isn't the client's text.
    pub made: Option<Arc<Spliced>>,
}

impl Part {
    pub fn whole(shard: ShardId, sql: Bytes) -> Self {
        Self { shard, sql, parameters: None, has_key: false, made: None }
    }

    /// An error or a notice with its place in the client's text.
    fn placed(&self, frame: &[u8], client: &[u8]) -> Vec<u8> {
        let Some(made) = &self.made else { return frame.to_vec() };
        let position = backend::error_field(frame, b'P').and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let place = position.and_then(|position| made.place(client, position));
        with_position(frame, place)
    }
}

/// How the parts' rows become the client's.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// One part after the other.
    Parts,
    /// As the rows were given: for each, the part that has it.
    Given(Vec<usize>),
    /// As the rows were given, but some are left out: the last column, which isn't the client's, is the key.
    Keyed(Arc<RowsByShard>),
    /// All parts are the same, and this one's answer is the client's.
    Same(usize),
}

/// A statement that is ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub parts: Vec<Part>,
    pub order: Order,
    /// An INSERT whose rows are divided among the parts: which of their errors counts goes by the rows.
    pub rows: Option<Arc<RowsByShard>>,
}

/// What all shards together said.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub description: Option<Bytes>,
    pub rows: Bytes,
    pub ends: Vec<usize>,
    pub tag: String,
    pub notices: Vec<Bytes>,
}

/// Why it failed.
#[derive(Debug)]
pub(super) enum Undone {
    /// A server's own error; whether every part had been bound before.
    Server {
        frame: Vec<u8>,
        bound: bool,
        description: Option<Bytes>,
    },
    Proxy(ClientError),
    Lost(ShardId, RelayError),
    /// The client has been told.
    Told,
    /// There is no client to be told.
    Ended(super::turn::SessionEnd),
}

impl From<ClientError> for Undone {
    fn from(error: ClientError) -> Self {
        Self::Proxy(error)
    }
}

impl Prepared {
    /// One answer of all parts, or why there is none. `counts`: they were executed.
    pub fn join(&self, mut answers: Vec<Answer>, sql: &[u8], extended: bool, counts: bool) -> Result<Told, Undone> {
        let bound = !extended || answers.iter().all(|answer| answer.bound);
        if let Some(undone) = self.failure(&mut answers, sql, bound) {
            return Err(undone);
        }
        let order = self.order_of(&mut answers, counts)?;
        if counts {
            check_order(&order, &answers)?;
        }
        let mut told = Told::default();
        take_rows(&order, &answers, &mut told);
        let mut count = 0;
        if let Order::Same(position) = self.order {
            told.description = answers.get(position).and_then(|answer| answer.description.clone());
        }
        for (part, answer) in self.parts.iter().zip(&mut answers) {
            count += answer.tag.as_deref().map_or(0, |tag| backend::tag_rows(tag.as_bytes()));
            for notice in std::mem::take(&mut answer.notices) {
                let notice = Bytes::from(part.placed(&notice, sql));
                if !told.notices.contains(&notice) {
                    told.notices.push(notice);
                }
            }
            match (&told.description, answer.description.take()) {
                (Some(_), _) if matches!(self.order, Order::Same(_)) => {}
                (None, description) => told.description = description,
                (Some(first), Some(other)) if first.first() == other.first() => {
                    if first.first() == Some(&backend::tag::ROW_DESCRIPTION) {
                        fits(first, &other).map_err(|error| disagreement(&error))?;
                    }
                }
                (Some(_), _) => {}
            }
        }
        if let Order::Same(position) = self.order {
            return self.same(position, &answers, told);
        }
        told.tag = counted(answers.first().and_then(|answer| answer.tag.as_deref()).unwrap_or_default(), count);
        Ok(told)
    }

    /// A part that was cancelled because another one failed has nothing of interest to say.
    fn failure(&self, answers: &mut [Answer], sql: &[u8], bound: bool) -> Option<Undone> {
        let description = answers.iter().find_map(|answer| answer.description.clone()).filter(|_| bound);
        let mut failures: Vec<(&Part, Failure)> = Vec::new();
        for (part, answer) in self.parts.iter().zip(answers) {
            failures.extend(answer.failure.take().map(|failure| (part, failure)));
        }
        let is_cancelled = |failure: &Failure| matches!(failure, Failure::Server(frame) if backend::error_field(&frame.0, b'C') == Some(b"57014"));
        let is_lost = |failure: &Failure| matches!(failure, Failure::Lost { .. });
        failures.sort_by_cached_key(|(part, failure)| {
            (is_cancelled(failure), !is_lost(failure), self.precedence(part, failure, sql))
        });
        let (part, failure) = failures.into_iter().next()?;
        Some(match undone(part.shard, failure) {
            Undone::Server { frame, .. } => Undone::Server { frame: part.placed(&frame, sql), bound, description },
            other => other,
        })
    }

    /// What one server would have told first is less.
    fn precedence(&self, part: &Part, failure: &Failure, sql: &[u8]) -> Option<Precedence> {
        let Failure::Server(frame) = failure else { return None };
        let placed = part.placed(&frame.0, sql);
        let text = |kind| String::from_utf8_lossy(backend::error_field(&placed, kind).unwrap_or_default()).into_owned();
        let (code, detail) = (text(b'C'), text(b'D'));
        let Some(rows) = &self.rows else {
            // References are looked at when all rows are written, other things while they are.
            return Some(if code == "23503" { Precedence::Reference(0) } else { Precedence::Row(0) });
        };
        let share = rows.shares.iter().find(|(shard, _)| *shard == part.shard);
        let told = precedence::Told {
            code: &code,
            position: text(b'P').parse().ok(),
            detail: &detail,
            has_context: backend::error_field(&placed, b'W').is_some(),
        };
        Some(precedence::of(told, rows, share.map_or(&[], |(_, share)| share)))
    }

    /// The answer of one, if all have written as many rows.
    fn same(&self, position: usize, answers: &[Answer], mut told: Told) -> Result<Told, Undone> {
        let tag = answers.get(position).and_then(|answer| answer.tag.clone()).unwrap_or_default();
        if answers.iter().any(|answer| answer.tag.as_deref().unwrap_or_default() != tag) {
            let error = ClientError::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "the copies of a reference table differ: the shards wrote different numbers of rows",
            )
            .hint("shardway check compares the copies; make them alike on each shard.");
            return Err(error.into());
        }
        told.tag = tag;
        Ok(told)
    }

    /// The order of the rows. Keys that only say so are taken out of the answers.
    fn order_of(&self, answers: &mut [Answer], counts: bool) -> Result<Order, Undone> {
        let Order::Keyed(rows) = &self.order else { return Ok(self.order.clone()) };
        let broken = || ClientError::new(SqlState::INTERNAL_ERROR, "a shard's rows have no key");
        let mut keys: Vec<Vec<String>> = Vec::with_capacity(answers.len());
        for answer in answers.iter_mut() {
            keys.push(answer.cut_keys().ok_or_else(broken)?);
        }
        if !counts || answers.len() == 1 {
            return Ok(Order::Parts);
        }
        returned::order(rows, &keys)
            .map(Order::Given)
            .ok_or_else(|| refusal::conflict_order().into())
            .map_err(Undone::Proxy)
    }
}

/// Where rows have an order, each part must have as many as it was given.
fn check_order(order: &Order, answers: &[Answer]) -> Result<(), Undone> {
    let Order::Given(order) = order else { return Ok(()) };
    let mut wanted = vec![0; answers.len()];
    for part in order {
        if let Some(count) = wanted.get_mut(*part) {
            *count += 1;
        }
    }
    if answers.iter().zip(&wanted).all(|(answer, wanted)| answer.ends.len() == *wanted) {
        return Ok(());
    }
    let error = ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, "RETURNING gave other rows than were inserted")
        .detail("A trigger or a rule left rows out, so that the order of the others isn't known.");
    Err(error.into())
}

fn take_rows(order: &Order, answers: &[Answer], told: &mut Told) {
    let mut rows = BytesMut::new();
    match order {
        Order::Same(position) => {
            if let Some(answer) = answers.get(*position) {
                rows.extend_from_slice(&answer.rows);
                told.ends.clone_from(&answer.ends);
            }
        }
        Order::Parts | Order::Keyed(_) => {
            for answer in answers {
                let start = rows.len();
                rows.extend_from_slice(&answer.rows);
                told.ends.extend(answer.ends.iter().map(|end| start + end));
            }
        }
        Order::Given(order) => {
            let mut next = vec![0; answers.len()];
            for part in order {
                let (Some(answer), Some(number)) = (answers.get(*part), next.get_mut(*part)) else { continue };
                rows.extend_from_slice(answer.row(*number).unwrap_or_default());
                told.ends.push(rows.len());
                *number += 1;
            }
        }
    }
    told.rows = rows.freeze();
}

pub(super) fn undone(shard: ShardId, failure: Failure) -> Undone {
    match failure {
        Failure::Server(frame) => Undone::Server { frame: frame.0, bound: true, description: None },
        Failure::TooLarge => Undone::Proxy(
            ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "RETURNING of a write on several shards is too large")
                .detail("Its rows are kept until all shards have written.")
                .hint("Leave RETURNING out, or write fewer rows at once."),
        ),
        Failure::Strange(what) => disagreement(&RelayError::Disagree(what)),
        Failure::Lost { reason, last_words } => Undone::Lost(shard, RelayError::Backend { reason, last_words }),
    }
}

fn disagreement(error: &RelayError) -> Undone {
    let error = ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, error.to_string())
        .hint("Make the tables alike on all shards (shardway check compares them), or ask for text results.");
    Undone::Proxy(error)
}

/// The tag with the sum in place of its number, if it has one.
fn counted(tag: &str, count: u64) -> String {
    let words = tag.trim_end_matches(|character: char| character.is_ascii_digit());
    if words.len() == tag.len() { tag.to_owned() } else { format!("{words}{count}") }
}

/// The same message with another place in the text, or none.
fn with_position(frame: &[u8], position: Option<usize>) -> Vec<u8> {
    let mut copy = Vec::with_capacity(frame.len());
    copy.extend_from_slice(frame.get(..5).unwrap_or_default());
    for field in frame.get(5..).unwrap_or_default().split_inclusive(|&byte| byte == 0) {
        match (field.first(), position) {
            (Some(b'P'), None) => {}
            (Some(b'P'), Some(position)) => copy.extend_from_slice(format!("P{position}\0").as_bytes()),
            _ => copy.extend_from_slice(field),
        }
    }
    let len = u32::try_from(copy.len().saturating_sub(1)).unwrap_or(u32::MAX);
    if let Some(place) = copy.get_mut(1..5) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    copy
}
