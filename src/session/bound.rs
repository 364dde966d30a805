//! A client's Bind for shards that get only some of its parameters. In: the message. Out: messages for each part.

use bytes::Bytes;

use super::numbering;
use super::parts::Part;
use crate::pool::Backend;
use crate::protocol::frontend::{Bind, BindValue, encode};
use crate::protocol::numbering::FIRST_USER_OID;
use crate::types::ClientError;

/// A Bind, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// Types of the statement's parameters, 0 where they aren't known.
    types: Vec<u32>,
    /// Format and value of each parameter.
    values: Vec<(u16, Option<Bytes>)>,
    /// The formats of the results, two bytes each, as they came.
    result_formats: Bytes,
}

/// How far a part goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Until {
    Described,
    Executed,
}

impl Bound {
    pub fn new(message: &Bind<'_>, types: Vec<u32>) -> Self {
        let value = |value: BindValue<'_>| match value {
            BindValue::Null => (0, None),
            BindValue::Text(bytes) => (0, Some(Bytes::copy_from_slice(bytes))),
            BindValue::Binary(bytes) => (1, Some(Bytes::copy_from_slice(bytes))),
        };
        Self {
            types,
            values: message.values().map(value).collect(),
            result_formats: Bytes::copy_from_slice(message.result_formats),
        }
    }

    /// The types of its parameters as a server of another database may know them, four bytes each.
    pub(super) fn declared(&self) -> Bytes {
        let known = |oid: &u32| if *oid < FIRST_USER_OID { *oid } else { 0 };
        self.types.iter().flat_map(|oid| known(oid).to_be_bytes()).collect::<Vec<u8>>().into()
    }

    pub(super) fn has_values(&self) -> bool {
        !self.values.is_empty()
    }

    /// Type, format and value of each parameter.
    pub(super) fn typed_values(&self) -> Vec<(u32, u16, Option<&Bytes>)> {
        let oid = |position: usize| self.types.get(position).copied().unwrap_or(0);
        self.values.iter().enumerate().map(|(at, (format, value))| (oid(at), *format, value.as_ref())).collect()
    }

    /// Some of the parameters, of a statement that answers in text.
    pub(super) fn of_text(&self, used: &[u16]) -> Self {
        Self { result_formats: Bytes::new(), ..self.with(used, &[]) }
    }

    /// Of a Query, or of a statement of the proxy's own: without parameters, rows in text.
    pub fn none() -> Self {
        Self { types: Vec::new(), values: Vec::new(), result_formats: Bytes::new() }
    }

    /// The same with all rows in binary.
    pub fn binary(&self) -> Self {
        Self { result_formats: Bytes::from_static(&[0, 1]), ..self.clone() }
    }

    /// Of the client's parameters those that a statement uses, and others behind them, in binary.
    pub fn with(&self, used: &[u16], added: &[(u32, Option<Bytes>)]) -> Self {
        let (mut types, mut values) = (Vec::new(), Vec::new());
        for parameter in used {
            types.push(self.types.get(usize::from(*parameter)).copied().unwrap_or(0));
            values.push(self.values.get(usize::from(*parameter)).cloned().unwrap_or((0, None)));
        }
        for (oid, value) in added {
            types.push(*oid);
            values.push((1, value.clone()));
        }
        Self { types, values, result_formats: self.result_formats.clone() }
    }

    /// Parse, Bind, Describe, perhaps Execute, and Sync, all unnamed.
    ///
    /// # Errors
    /// For a value in binary that may hold OIDs which the server has other ones for.
    pub(super) fn encode(&self, part: &Part, until: Until, lease: &mut Backend) -> Result<(), ClientError> {
        let all: Vec<u16>;
        let parameters = match &part.parameters {
            Some(parameters) => parameters,
            None => {
                all = (0..self.values.len()).filter_map(|position| u16::try_from(position).ok()).collect();
                &all
            }
        };
        let mut types = Vec::with_capacity(parameters.len());
        let count = u16::try_from(parameters.len()).unwrap_or(u16::MAX).to_be_bytes();
        let mut tail = count.to_vec();
        let value = |parameter: &u16| self.values.get(usize::from(*parameter));
        for parameter in parameters {
            let oid = self.types.get(usize::from(*parameter)).copied().unwrap_or(0);
            // Another database knows none of the user's types by their numbers: the column says which is meant.
            types.push(if oid >= FIRST_USER_OID && lease.node.shard.is_scratch() { 0 } else { oid });
            tail.extend_from_slice(&value(parameter).map_or(0, |(format, _)| *format).to_be_bytes());
        }
        tail.extend_from_slice(&count);
        for parameter in parameters {
            match value(parameter).and_then(|(_, value)| value.as_ref()) {
                Some(bytes) => {
                    tail.extend_from_slice(&i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
                    tail.extend_from_slice(bytes);
                }
                None => tail.extend_from_slice(&(-1_i32).to_be_bytes()),
            }
        }
        let formats = u16::try_from(self.result_formats.len() / 2).unwrap_or(u16::MAX);
        // One format, or none, is that of all columns.
        let added: &[u8] = if part.has_key && formats > 1 { &[0, 0] } else { &[] };
        tail.extend_from_slice(&(formats + u16::from(!added.is_empty())).to_be_bytes());
        tail.extend_from_slice(&self.result_formats);
        tail.extend_from_slice(added);
        let binary = self.values.iter().any(|(format, _)| *format != 0);
        let tail = numbering::translated(lease, &types, &tail, binary)?;
        let types: Vec<u8> = types.into_iter().flat_map(u32::to_be_bytes).collect();
        lease.queue_parse(b"", &part.sql, &types);
        let out = &mut lease.framed.outbound;
        encode::bind(out, b"", b"", &tail);
        encode::describe_portal(out, b"");
        if until == Until::Executed {
            encode::execute(out, b"", 0);
        }
        encode::sync(out);
        Ok(())
    }
}
