//! Queries of the proxy's own on a data connection, between a client's turns: ROLLBACK, COMMIT on
//! several shards, DISCARD ALL, and a failure on purpose.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use super::replies::{ClientFrame, without_fatal};
use crate::net::timer;
use crate::pool::backend::SequenceOwner;
use crate::pool::{Backend, Condition, Settings};
use crate::protocol::backend::{self, Status, tag};
use crate::protocol::frame;
use crate::protocol::frontend::encode;
use crate::types::limits::FRAME_BYTES_MAX;

#[derive(Debug, Error)]
pub enum OwnError {
    #[error("the server refused")]
    Refused(ClientFrame),
    #[error("{0}")]
    Lost(String),
}

/// Runs `sql` and waits for its end; notices and all rows but the first are dropped.
///
/// # Errors
/// The server's error, or a lost connection, which is then [`Condition::Broken`].
pub async fn run(backend: &mut Backend, sql: &str) -> Result<Answer, OwnError> {
    encode::query(&mut backend.framed.outbound, sql.as_bytes());
    converse(backend).await
}

/// Runs a text of its own on each of these connections, all at once; the answers come in the same order.
/// One that takes longer than `limit` counts as lost.
pub async fn run_all(queries: &mut [(&mut Backend, String)], limit: Duration) -> Vec<Result<Answer, OwnError>> {
    let mut sent = Vec::with_capacity(queries.len());
    for (backend, sql) in queries.iter_mut() {
        encode::query(&mut backend.framed.outbound, sql.as_bytes());
        // What doesn't go out now goes out when the answer is read.
        sent.push(backend.framed.try_flush_now());
    }
    let mut answers = Vec::with_capacity(queries.len());
    let deadline = timer::Instant::now() + limit;
    for ((backend, _), sent) in queries.iter_mut().zip(sent) {
        answers.push(match sent {
            Ok(_) => match timer::timeout_at(deadline, converse(backend)).await {
                Ok(answer) => answer,
                Err(_) => {
                    backend.condition = Condition::Broken;
                    Err(OwnError::Lost(format!("no answer within {} s", limit.as_secs())))
                }
            },
            Err(error) => {
                backend.condition = Condition::Broken;
                Err(OwnError::Lost(error.to_string()))
            }
        });
    }
    answers
}

/// A row in text format.
pub type TextRow = Vec<Option<String>>;

/// What a query of the proxy's own was answered with.
#[derive(Debug, Default)]
pub struct Answer {
    /// The last command tag.
    pub tag: String,
    /// All rows of each query, where they were asked for.
    results: Option<Vec<Vec<TextRow>>>,
    /// The first column of the first row, as text.
    pub value: Option<String>,
    /// Parameters that the server reported meanwhile.
    pub parameters: Vec<(String, String)>,
    /// ParameterDescription.
    pub takes: Option<Box<[u32]>>,
    /// RowDescription.
    pub gives: Option<Bytes>,
}

/// Has the server describe a statement, under no name.
///
/// # Errors
/// The server's error, or a lost connection.
pub async fn describe(backend: &mut Backend, sql: &[u8], types: &[u8]) -> Result<Answer, OwnError> {
    let out = &mut backend.framed.outbound;
    encode::parse(out, b"", sql, types);
    encode::describe_statement(out, b"");
    encode::sync(out);
    converse(backend).await
}

/// Runs a statement with NULL for each parameter.
///
/// # Errors
/// As [`run`].
pub async fn run_without_values(backend: &mut Backend, sql: &[u8], types: &[u8]) -> Result<Answer, OwnError> {
    let out = &mut backend.framed.outbound;
    encode::parse(out, b"", sql, types);
    let count = u16::try_from(types.len() / 4).expect("types were counted in 16 bits");
    let mut tail = vec![0, 0];
    tail.extend_from_slice(&count.to_be_bytes());
    tail.extend(std::iter::repeat_n(0xff, usize::from(count) * 4));
    tail.extend_from_slice(&[0, 0]);
    encode::bind(out, b"", b"", &tail);
    encode::execute(out, b"", 0);
    encode::sync(out);
    converse(backend).await
}

/// Makes the server's transaction fail, as an error of a statement that never reached it would have.
///
/// # Errors
/// A lost connection.
pub async fn poison(backend: &mut Backend) -> Result<(), OwnError> {
    encode::parse(&mut backend.framed.outbound, b"", POISON, b"");
    encode::sync(&mut backend.framed.outbound);
    match converse(backend).await {
        Err(OwnError::Refused(_)) | Ok(_) => Ok(()),
        Err(lost) => Err(lost),
    }
}

/// Not a statement: fails in the parser, before it takes any lock.
pub const POISON: &[u8] = b"statement refused by shardway";

/// Takes off the connection what its last client left: its transaction, and with `discard` its session.
///
/// # Errors
/// A lost connection or a refusal: then it can't be reused.
pub async fn clean(backend: &mut Backend) -> Result<(), OwnError> {
    if backend.status != Status::Idle {
        run(backend, "ROLLBACK").await?;
        backend.settings = backend.settings_at_join.clone();
    }
    if backend.condition == Condition::Pinned {
        run(backend, "DISCARD ALL").await?;
        backend.settings = Settings::none();
        backend.prepared.forget_all();
        backend.sequences = SequenceOwner::Nobody;
        backend.condition = Condition::Clean;
    }
    Ok(())
}

/// Runs a text of several queries: the rows of each, in text format.
///
/// # Errors
/// As [`run`].
pub async fn ask(backend: &mut Backend, sql: &str) -> Result<Vec<Vec<TextRow>>, OwnError> {
    encode::query(&mut backend.framed.outbound, sql.as_bytes());
    let wanted = Answer { results: Some(vec![Vec::new()]), ..Answer::default() };
    Ok(converse_for(backend, wanted).await?.results.unwrap_or_default())
}

/// Runs a query that uses a prepared statement whose Parse is queued already, and closes the statement whatever
/// becomes of that: the rows, in text format.
///
/// # Errors
/// As [`run`].
pub async fn ask_of_prepared(backend: &mut Backend, name: &[u8], sql: &str) -> Result<Vec<Vec<TextRow>>, OwnError> {
    let out = &mut backend.framed.outbound;
    // A Query behind a Parse that failed would be skipped: each has a Sync of its own.
    encode::sync(out);
    encode::query(out, sql.as_bytes());
    encode::close_statement(out, name);
    encode::sync(out);
    let parsed = converse(backend).await;
    if let Err(OwnError::Lost(_)) = parsed {
        return parsed.map(|_| Vec::new());
    }
    let wanted = Answer { results: Some(vec![Vec::new()]), ..Answer::default() };
    let answered = converse_for(backend, wanted).await;
    if let Err(OwnError::Lost(_)) = answered {
        return answered.map(|_| Vec::new());
    }
    let closed = converse(backend).await;
    parsed?;
    let rows = answered?.results.unwrap_or_default();
    closed.map(|_| rows)
}

/// Runs a text and, in the same round trip, a question on what came of it, whose rows are given. If the text fails, its
/// error is.
///
/// # Errors
/// As [`run`].
pub async fn ask_after(backend: &mut Backend, sql: &[u8], question: &str) -> Result<Vec<Vec<TextRow>>, OwnError> {
    encode::query(&mut backend.framed.outbound, sql);
    encode::query(&mut backend.framed.outbound, question.as_bytes());
    let ran = converse(backend).await;
    if let Err(OwnError::Lost(_)) = ran {
        return ran.map(|_| Vec::new());
    }
    let wanted = Answer { results: Some(vec![Vec::new()]), ..Answer::default() };
    let answered = converse_for(backend, wanted).await;
    ran?;
    Ok(answered?.results.unwrap_or_default())
}

async fn converse(backend: &mut Backend) -> Result<Answer, OwnError> {
    converse_for(backend, Answer::default()).await
}

async fn converse_for(backend: &mut Backend, wanted: Answer) -> Result<Answer, OwnError> {
    backend.unanswered += 1;
    backend.unnamed = None;
    let result = answer(backend, wanted).await;
    if matches!(result, Err(OwnError::Lost(_))) {
        backend.condition = Condition::Broken;
    }
    result
}

async fn answer(backend: &mut Backend, mut answer: Answer) -> Result<Answer, OwnError> {
    let lost = |error: std::io::Error| OwnError::Lost(error.to_string());
    backend.framed.flush().await.map_err(lost)?;
    let mut refused = None;
    loop {
        let header = frame::peek(&backend.framed.inbound, FRAME_BYTES_MAX + 1)
            .map_err(|error| OwnError::Lost(error.to_string()))?;
        let Some(frame) = header.and_then(|header| backend.framed.inbound.get(..header.len)) else {
            if backend.framed.fill().await.map_err(lost)? == 0 {
                return Err(OwnError::Lost("end of stream".to_owned()));
            }
            continue;
        };
        let len = frame.len();
        let mut ready = None;
        match frame.first() {
            Some(&tag::ERROR) if backend::is_fatal(frame) => {
                let reason = backend::error_field(frame, b'M').unwrap_or_default();
                return Err(OwnError::Lost(String::from_utf8_lossy(reason).into_owned()));
            }
            Some(&tag::ERROR) => refused = Some(without_fatal(frame)),
            Some(&tag::COMMAND_COMPLETE) => {
                let text = backend::command_tag(frame).unwrap_or_default();
                answer.tag = String::from_utf8_lossy(text).into_owned();
                if let Some(results) = &mut answer.results {
                    results.push(Vec::new());
                }
            }
            Some(&tag::DATA_ROW) if answer.results.is_some() => {
                let row = backend::texts(frame).map_err(|error| OwnError::Lost(error.to_string()))?;
                if let Some(rows) = answer.results.as_mut().and_then(|results| results.last_mut()) {
                    rows.push(row);
                }
            }
            Some(&tag::DATA_ROW) if answer.value.is_none() => {
                answer.value = backend::first_text(frame).map(str::to_owned);
            }
            Some(&tag::PARAMETER_DESCRIPTION) => {
                answer.takes = backend::parameter_types(frame).ok();
            }
            Some(&tag::ROW_DESCRIPTION) => answer.gives = Some(Bytes::copy_from_slice(frame)),
            Some(&tag::PARAMETER_STATUS) => {
                if let Ok((name, value)) = backend::parameter_status(frame) {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    answer.parameters.push((text(name), text(value)));
                }
            }
            Some(&tag::READY) => {
                let status = backend::ready_status(frame).map_err(|error| OwnError::Lost(error.to_string()))?;
                ready = Some(status);
            }
            _ => {}
        }
        backend.pass(len);
        if let Some(status) = ready {
            backend.be_ready(status);
            return refused.map_or(Ok(answer), |frame| Err(OwnError::Refused(frame)));
        }
    }
}
