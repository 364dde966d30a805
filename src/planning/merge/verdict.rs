//! Whether and how a statement is merged, now that a server has said what its types are. In: descriptions and
//! [`Facts`]. Out: a [`Verdict`], which holds as long as the template does.

use bytes::Bytes;

use super::facts::{Fact, Facts};
use super::finish::Finish;
use super::{Key, Merge, Task};
use crate::planning::typed::oid;

/// A column as a server describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    pub name: Box<[u8]>,
    pub type_oid: u32,
    pub size: i16,
    pub modifier: i32,
}

/// A statement as a server describes it.
#[derive(Clone, Debug)]
pub struct Description {
    /// Types of the parameters.
    pub parameters: Box<[u32]>,
    pub columns: Vec<Described>,
    /// The RowDescription, in text formats.
    pub frame: Bytes,
}

/// What the servers' types make of a statement.
#[derive(Debug)]
pub enum Verdict {
    /// Something else must answer it.
    Unfit,
    /// The shards' rows are compared here.
    Native(Native),
    /// PostgreSQL makes the answer of what the shards gave.
    Finished(Finish),
}

impl Verdict {
    /// What the client sees, and what each shard gives.
    pub fn descriptions(&self) -> Option<(&Description, &[Described])> {
        match self {
            Self::Unfit => None,
            Self::Native(native) => Some((&native.visible, &native.columns)),
            Self::Finished(finish) => Some((&finish.visible, &finish.columns)),
        }
    }
}

#[derive(Debug)]
pub struct Native {
    /// What the client sees.
    pub visible: Description,
    /// What the shards give: the client's columns and the keys.
    pub columns: Vec<Described>,
    pub orders: Vec<KeyOrder>,
    /// A key is a text: what the client's encoding does to it may change its order.
    pub compares_text: bool,
}

/// How two values of a key compare, which come in binary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyOrder {
    pub kind: OrderKind,
    pub descending: bool,
    pub nulls_first: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OrderKind {
    /// Signed, of 2, 4 or 8 bytes: integers, dates, times, money.
    Integer,
    /// Bytes in their order: bool, oid, uuid, bytea, "char", name, text under collations that go by bytes.
    Bytes,
    /// The same without trailing blanks.
    Padded,
    /// NaN last; -0 is 0.
    Float,
    Numeric,
    Interval,
    /// Labels in their order.
    Enum(Vec<Box<[u8]>>),
}

pub(super) mod types {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const OID: u32 = 26;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const MONEY: u32 = 790;
    pub const BPCHAR: u32 = 1042;
    pub const TIME: u32 = 1083;
    pub const INTERVAL: u32 = 1186;
}

/// If what a server says of these types can't be known without asking it for facts.
pub fn needs_facts(keys: &[Described]) -> bool {
    keys.iter().any(|key| {
        matches!(key.type_oid, oid::TEXT | oid::VARCHAR | types::BPCHAR | types::NAME) || !known(key.type_oid)
    })
}

const fn known(type_oid: u32) -> bool {
    matches!(
        type_oid,
        oid::INT2
            | oid::INT4
            | oid::INT8
            | oid::DATE
            | oid::TIMESTAMP
            | oid::TIMESTAMP_TZ
            | types::TIME
            | types::MONEY
            | types::BOOL
            | types::OID
            | oid::UUID
            | types::BYTEA
            | types::CHAR
            | types::FLOAT4
            | types::FLOAT8
            | oid::NUMERIC
            | types::INTERVAL
    )
}

fn kind(key: &Described, fact: Option<&Fact>) -> Option<OrderKind> {
    Some(match key.type_oid {
        oid::INT2 | oid::INT4 | oid::INT8 | oid::DATE | oid::TIMESTAMP | oid::TIMESTAMP_TZ => OrderKind::Integer,
        types::TIME | types::MONEY => OrderKind::Integer,
        types::BOOL | types::OID | oid::UUID | types::BYTEA | types::CHAR => OrderKind::Bytes,
        types::FLOAT4 | types::FLOAT8 => OrderKind::Float,
        oid::NUMERIC => OrderKind::Numeric,
        types::INTERVAL => OrderKind::Interval,
        oid::TEXT | oid::VARCHAR | types::NAME if fact?.by_bytes => OrderKind::Bytes,
        types::BPCHAR if fact?.by_bytes => OrderKind::Padded,
        _ => {
            let labels = &fact?.labels;
            if labels.is_empty() {
                return None;
            }
            OrderKind::Enum(labels.iter().map(|label| label.as_bytes().into()).collect())
        }
    })
}

/// For rows that are merged by keys.
pub fn ordered(merge: &Merge, visible: Description, shard: Description, facts: &Facts) -> Verdict {
    let Task::Ordered { keys, has_unnamed } = &merge.task else { return Verdict::Unfit };
    match orders(keys, *has_unnamed, &visible, &shard, facts) {
        Some(orders) => {
            let hidden = shard.columns.get(visible.columns.len()..).unwrap_or_default();
            let compares_text = needs_facts(hidden);
            Verdict::Native(Native { visible, columns: shard.columns, orders, compares_text })
        }
        None => Verdict::Unfit,
    }
}

fn orders(
    keys: &[Key],
    has_unnamed: bool,
    visible: &Description,
    shard: &Description,
    facts: &Facts,
) -> Option<Vec<KeyOrder>> {
    let (own, hidden) = shard.columns.split_at_checked(visible.columns.len())?;
    let same = own.iter().zip(&visible.columns).all(|(one, other)| one == other);
    if !same || hidden.len() != keys.len() {
        return None;
    }
    keys.iter()
        .zip(hidden)
        .enumerate()
        .map(|(position, (key, column))| {
            // A name that was taken for an input column, and is that of an output as well.
            let doubtful =
                |name: &str| has_unnamed && visible.columns.iter().any(|column| *column.name == *name.as_bytes());
            if key.input.as_deref().is_some_and(doubtful) {
                return None;
            }
            let kind = kind(column, facts.get(position))?;
            Some(KeyOrder { kind, descending: key.descending, nulls_first: key.nulls_first })
        })
        .collect()
}
