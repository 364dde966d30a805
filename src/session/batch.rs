//! A Query of several statements that don't all go to one shard: each is planned and run by itself, in the
//! order given, and what is in no block of the client's is one transaction (PostgreSQL documentation,
//! 55.2.2.1). In: the whole Query. Out: its replies with one ReadyForQuery.

use bytes::{Bytes, BytesMut};

use super::turn::{Session, SessionEnd, violation};
use crate::planning::{Template, refusal};
use crate::protocol::backend::{self, Status, tag};
use crate::protocol::frame;
use crate::protocol::frontend::{self, encode};
use crate::sql::command::{SessionCommand, TransactionCommand, Verb};
use crate::sql::{Command, Lexed};
use crate::types::ClientError;
use crate::types::limits::{BATCH_BYTES_MAX, FRAME_BYTES_MAX};

/// What is known while the statements of a Query run one by one: no ReadyForQuery is said between them.
#[derive(Debug, Default)]
pub struct Batch {
    /// The client was told an error: the rest isn't run.
    pub failed: bool,
    /// The CommandComplete of the last statement comes after the commit of them all.
    pub holds_tag: bool,
    pub tag: Option<String>,
}

impl Session {
    pub(super) async fn run_batch(&mut self, template: &Template, len: usize) -> Result<(), SessionEnd> {
        let frame = self.client.inbound.split_to(len).freeze();
        let sql = frontend::query(&frame).map_err(violation)?;
        let mut lexed = Lexed::default();
        let admitted = match admit(template, sql) {
            Ok(()) => self.database.planner.lex(sql, self.standard_conforming_strings, &mut lexed),
            Err(error) => Err(error),
        };
        if let Err(error) = admitted {
            self.refuse(&error).await;
            self.say_ready();
            return Ok(());
        }
        self.batch = Some(Batch::default());
        let outcome = self.run_each(template, sql, &lexed).await;
        let batch = self.batch.take().unwrap_or_default();
        outcome?;
        let failed = batch.failed || self.transaction.is_failed();
        let tag = batch.tag.or_else(|| self.take_tag());
        let stays = if self.transaction.is_spread() { self.end_spread(failed).await } else { true };
        if let Some(tag) = tag.filter(|_| stays) {
            backend::command_complete(&mut self.client.outbound, &tag);
        }
        self.say_ready();
        Ok(())
    }

    async fn run_each(&mut self, template: &Template, sql: &[u8], lexed: &Lexed) -> Result<(), SessionEnd> {
        let count = template.statements.len();
        for (position, (one, span)) in template.statements.iter().zip(&lexed.statements).enumerate() {
            if let Err(error) = self.open_for(&one.command) {
                self.refuse(&error).await;
            } else {
                let text = padded(sql, span.clone());
                let mut frame = BytesMut::with_capacity(text.len() + 8);
                encode::query(&mut frame, &text);
                let len = frame.len();
                self.client.inbound.replace_front(0, &frame);
                if let Some(batch) = &mut self.batch {
                    batch.holds_tag = position + 1 == count && self.transaction.is_spread();
                }
                self.run_one(len).await?;
            }
            if self.batch.as_ref().is_none_or(|batch| batch.failed) || self.transaction.is_failed() {
                break;
            }
        }
        Ok(())
    }

    /// What is in no block of the client's is in one of the proxy's own.
    fn open_for(&mut self, command: &Command) -> Result<(), ClientError> {
        let refused = || Err(refusal::batch("can't begin or end a transaction among others of several shards").into());
        match command {
            Command::Transaction(TransactionCommand::Begin) if self.transaction.is_spread() => {
                if self.transaction.held().iter().any(|held| held.lease.status != Status::Idle) {
                    return refused();
                }
                self.close_spread();
            }
            Command::Transaction(TransactionCommand::Commit { .. } | TransactionCommand::Rollback { .. })
                if self.transaction.is_spread() =>
            {
                return refused();
            }
            Command::Transaction(TransactionCommand::Begin) => {}
            _ if !self.transaction.in_block() && !self.transaction.is_spread() => self.open_spread(),
            _ => {}
        }
        Ok(())
    }

    /// The one statement at the front of the client's buffer.
    async fn run_one(&mut self, len: usize) -> Result<(), SessionEnd> {
        let mut lexed = super::planner::take_scratch();
        let planned = self.plan_query(len, &mut lexed).await;
        super::planner::put_scratch(lexed);
        match planned? {
            Ok(planned) => Box::pin(self.run_query(planned, len)).await,
            Err(error) => self.refuse_statement(&error, len).await,
        }
    }

    /// A CommandComplete that was written last and has not been sent.
    fn take_tag(&mut self) -> Option<String> {
        if !self.transaction.is_spread() {
            return None;
        }
        take_last_tag(&mut self.client.outbound)
    }
}

/// A CommandComplete that is the last frame, taken out.
pub(super) fn take_last_tag(out: &mut BytesMut) -> Option<String> {
    let mut at = 0;
    let mut last = None;
    while let Ok(Some(header)) = frame::peek(out.get(at..).unwrap_or_default(), FRAME_BYTES_MAX + 1) {
        last = Some((at, header.tag));
        at += header.len;
    }
    let (at, tag) = last?;
    if tag != tag::COMMAND_COMPLETE {
        return None;
    }
    let frame = out.split_off(at);
    let text = backend::command_tag(&frame).ok()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// The statement where it stood, so that positions in errors are those in the client's text.
fn padded(sql: &[u8], span: std::ops::Range<usize>) -> Bytes {
    let before = sql.get(..span.start).unwrap_or_default();
    // Positions count characters; bytes that continue one don't.
    let characters = before.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    let mut text = BytesMut::with_capacity(characters + span.len());
    text.resize(characters, b' ');
    text.extend_from_slice(sql.get(span).unwrap_or_default());
    text.freeze()
}

/// Statements that can't be run apart from their neighbours.
fn admit(template: &Template, sql: &[u8]) -> Result<(), ClientError> {
    let refused = |what: &str| Err(refusal::batch(what).into());
    if sql.len() > BATCH_BYTES_MAX {
        return refused("on several shards can't be longer than 1 MiB");
    }
    for one in &template.statements {
        match &one.command {
            Command::Ordinary(Verb::Copy(_)) => return refused("can't have COPY among statements for several shards"),
            Command::Transaction(TransactionCommand::TwoPhase) => return Err(refusal::two_phase().into()),
            Command::Session(SessionCommand::Set { setting, .. }) if setting.name == "standard_conforming_strings" => {
                return refused("can't change how the text is read");
            }
            _ => {}
        }
    }
    Ok(())
}
