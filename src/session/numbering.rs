//! OIDs of types in what goes to a server that numbers them otherwise than the home shard, whose numbers clients know.
//! In: a client's Bind. Out: the same for that server, and whether the rows that come may hold its numbers.

use std::borrow::Cow;

use super::prepared::ClientStatement;
use super::turn::Session;
use crate::catalog::{Cells, numbers};
use crate::execute::own;
use crate::pool::Backend;
use crate::protocol::frontend::{Bind, encode};
use crate::protocol::numbering::{Numbered, Numbering, Strange};
use crate::types::{ClientError, ShardId, SqlState};

/// The types of a statement's parameters as the client knows them, 0 where one isn't known.
fn parameter_types(statement: &ClientStatement) -> Cow<'_, [u32]> {
    match statement.types.get() {
        Some(types) => Cow::Borrowed(types),
        None => statement.declared.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid)).collect(),
    }
}

fn has_binary(formats: &[u8]) -> bool {
    formats.as_chunks::<2>().0.iter().any(|format| *format != [0, 0])
}

/// If rows of the statement in these formats may hold OIDs of the server's own.
fn may_carry(numbering: &Numbering, statement: &ClientStatement, formats: &[u8]) -> bool {
    has_binary(formats)
        && match statement.columns.get() {
            Some(types) => !numbering.to_server.carriers_among(types.iter().copied(), formats).is_empty(),
            None => true,
        }
}

/// If a Bind on that server needs anything done to it or to its rows.
pub(super) fn concerns(lease: &Backend, statement: &ClientStatement, message: &Bind<'_>) -> bool {
    lease.numbering().is_some_and(|numbering| {
        message.has_binary_values() || may_carry(&numbering, statement, message.result_formats)
    })
}

/// The values of a Bind with the server's numbers in them.
pub(super) fn translated<'m>(
    lease: &Backend,
    types: &[u32],
    given: &'m [u8],
    has_binary: bool,
) -> Result<Cow<'m, [u8]>, ClientError> {
    let Some(numbering) = lease.numbering().filter(|_| has_binary) else { return Ok(Cow::Borrowed(given)) };
    let mut values = given.to_vec();
    match numbering.to_server.bound(&mut values, types) {
        // What isn't a value of its type is for the server to say.
        Ok(()) | Err(Strange::Malformed) => Ok(Cow::Owned(values)),
        Err(strange) => Err(refused(strange)),
    }
}

fn refused(strange: Strange) -> ClientError {
    ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, strange.to_string())
        .detail("Each server has OIDs of its own for the types of users.")
        .hint("Send the value as text.")
}

/// Queues a Bind; `formats`: instead of those of the message. True: its rows may hold the server's numbers.
pub(super) fn queue_bind(
    lease: &mut Backend,
    statement: &ClientStatement,
    (portal, name): (&[u8], &[u8]),
    message: &Bind<'_>,
    formats: Option<&[u8]>,
) -> Result<bool, ClientError> {
    let given = match formats {
        Some(_) => message.given,
        None => message.tail,
    };
    let types = parameter_types(statement);
    let given = translated(lease, &types, given, message.has_binary_values())?;
    let out = &mut lease.framed.outbound;
    match formats {
        Some(formats) => {
            encode::bind_with_formats(out, portal, name, &given, formats);
            Ok(false)
        }
        None => {
            encode::bind(out, portal, name, &given);
            Ok(lease.numbering().is_some_and(|numbering| may_carry(&numbering, statement, message.result_formats)))
        }
    }
}

impl Session {
    /// The types of what every server was asked by the proxy, whose OIDs clients know.
    pub(super) fn renumberings(
        &mut self,
        shards: impl Iterator<Item = ShardId>,
        types: &[u32],
        formats: &[u8],
    ) -> Vec<crate::execute::merge::Renumber> {
        let each = |shard| {
            let numbering = self.transaction.lease_mut(shard)?.numbering()?;
            let there = types.iter().map(|oid| numbering.to_server.type_oid(*oid).unwrap_or(*oid));
            let carriers = numbering.to_client.carriers_among(there, formats);
            (!carriers.is_empty()).then_some((numbering, carriers))
        };
        shards.map(each).collect()
    }

    /// Asks a shard for its numbers within a transaction that has changed definitions.
    pub(super) async fn number_within(&mut self, shard: ShardId) -> Result<(), ClientError> {
        if self.numbers_within.is_none() || shard == self.database.config.home || shard.is_scratch() {
            return Ok(());
        }
        if self.transaction.lease_mut(shard).is_none_or(|lease| lease.numbering_within.is_some()) {
            return Ok(());
        }
        self.settle_ahead(shard).await?;
        let Some(lease) = self.transaction.lease_mut(shard).filter(|lease| lease.is_at_rest()) else { return Ok(()) };
        match own::ask(lease, numbers::QUESTION).await {
            Ok(answers) => {
                let there = read(answers.into_iter().next().unwrap_or_default());
                if let (Some(home), Some(there)) = (&self.numbers_within, there) {
                    lease.numbering_within = Some(Numbering::between(home, &there).map(std::sync::Arc::new));
                }
            }
            Err(error) => tracing::warn!(%error, "the numbers of a transaction's types were not read"),
        }
        Ok(())
    }

    /// The transaction has changed definitions again, or has ended.
    pub(super) fn forget_numbers(&mut self) {
        for held in self.transaction.held_mut() {
            held.lease.numbering_within = None;
        }
        self.numbers_within = None;
    }
}

pub(super) fn read(rows: Vec<own::TextRow>) -> Option<Vec<Numbered>> {
    let rows: Vec<Cells> = rows.into_iter().map(Cells).collect();
    numbers::read(&rows).ok()
}

/// Has the server say what the rows of a portal are made of, ahead of them.
pub(super) fn describe_ahead(lease: &mut Backend, portal: &[u8]) -> bool {
    let asks = lease.numbering().is_some();
    if asks {
        encode::describe_portal(&mut lease.framed.outbound, portal);
    }
    asks
}
