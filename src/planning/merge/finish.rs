//! The statement that PostgreSQL is asked of what the shards gave. In: a task, and what a server says of the types.
//! Out: a [`Finish`]: its text, and how rows become its parameters, an array a column.

use super::facts::{Fact, Facts};
use super::grouped::Grouped;
use super::scan::{Aggregate, FinalPart};
use super::verdict::{Described, Description, types};
use super::{Merge, Splice, Task, column};
use crate::planning::typed::oid;

#[derive(Debug)]
pub struct Finish {
    /// What the client sees.
    pub visible: Description,
    /// What each shard gives.
    pub columns: Vec<Described>,
    pub statement: Splice,
    /// OIDs of the client's parameters, then of the arrays.
    pub types: Vec<u32>,
    /// A type of the user's own is among them, whose OID differs from server to server.
    pub is_at_home: bool,
}

impl Grouped {
    /// How many columns the parts have.
    pub fn columns(&self) -> usize {
        let aggregates = self.calls.iter().map(|call| call.aggregate.columns()).sum::<usize>();
        (self.groups + aggregates).max(1)
    }
}

impl Aggregate {
    fn columns(self) -> usize {
        match self {
            Self::Distinct { .. } => 0,
            Self::Average => 2,
            Self::Count | Self::Sum | Self::Same(_) => 1,
        }
    }
}

/// `None` where the types don't allow it.
pub fn finish(merge: &Merge, visible: Description, shard: Description, facts: &Facts) -> Option<Finish> {
    let Task::Grouped(grouped) = &merge.task else { return None };
    let columns = shard.columns;
    if columns.len() != grouped.columns()
        || columns.len() != facts.len()
        || visible.columns.len() != grouped.items.len()
    {
        return None;
    }
    // Their OIDs would be others on other servers.
    if visible.parameters.iter().any(|oid| *oid >= FIRST_USER_OID) {
        return None;
    }
    let typed: Vec<(&Described, &Fact)> = columns.iter().zip(facts).collect();
    let agree = typed.iter().all(|(column, fact)| {
        column.type_oid == fact.type_oid && fact.array_oid != 0 && (column.type_oid < FIRST_USER_OID || is_enum(fact))
    });
    if !agree || !typed.iter().take(grouped.groups).all(|(column, fact)| groups_by_bytes(column, fact)) {
        return None;
    }
    let calls = calls(grouped, &typed)?;
    let statement = statement(grouped, &visible, &typed, &calls);
    let types = visible.parameters.iter().copied().chain(facts.iter().map(|fact| fact.array_oid)).collect();
    let is_at_home = columns.iter().any(|column| column.type_oid >= FIRST_USER_OID);
    Some(Finish { visible, columns, statement, types, is_at_home })
}

/// OIDs below this are the same on every server (PostgreSQL, FirstNormalObjectId).
const FIRST_USER_OID: u32 = 16_384;

fn is_enum(fact: &Fact) -> bool {
    !fact.labels.is_empty()
}

/// If values that are equal are the same bytes: which of them a group shows doesn't matter then.
fn groups_by_bytes(column: &Described, fact: &Fact) -> bool {
    match column.type_oid {
        oid::INT2 | oid::INT4 | oid::INT8 | oid::DATE | oid::TIMESTAMP | oid::TIMESTAMP_TZ | oid::UUID => true,
        types::TIME | types::BOOL | types::OID | types::BYTEA | types::CHAR | types::NAME => true,
        oid::TEXT | oid::VARCHAR => fact.deterministic,
        _ => is_enum(fact),
    }
}

/// A column of the parts.
fn part(position: usize) -> String {
    format!("shardway_parts.{}", column(position + 1))
}

/// What stands for each aggregate.
fn calls(grouped: &Grouped, typed: &[(&Described, &Fact)]) -> Option<Vec<String>> {
    let mut at = grouped.groups;
    let mut all = Vec::new();
    for call in &grouped.calls {
        let (own, type_oid) = (part(at), typed.get(at).map_or(0, |(column, _)| column.type_oid));
        let text = match call.aggregate {
            Aggregate::Distinct { function, group } => format!("pg_catalog.{function}(DISTINCT {})", part(group)),
            Aggregate::Count => format!("COALESCE(pg_catalog.sum({own}), 0)::pg_catalog.int8"),
            Aggregate::Sum => match type_oid {
                oid::INT8 => format!("pg_catalog.sum({own})::pg_catalog.int8"),
                oid::NUMERIC | types::FLOAT8 | types::INTERVAL | types::MONEY => format!("pg_catalog.sum({own})"),
                _ => return None,
            },
            Aggregate::Average => {
                let count = part(at + 1);
                match type_oid {
                    oid::INT8 | oid::NUMERIC => format!("(pg_catalog.sum({own}) / pg_catalog.sum({count}))"),
                    types::FLOAT8 | types::INTERVAL => {
                        format!("(pg_catalog.sum({own}) / pg_catalog.sum({count})::pg_catalog.float8)")
                    }
                    _ => return None,
                }
            }
            Aggregate::Same(function) => format!("pg_catalog.{function}({own})"),
        };
        all.push(text);
        at += call.aggregate.columns();
    }
    Some(all)
}

fn statement(grouped: &Grouped, visible: &Description, typed: &[(&Described, &Fact)], calls: &[String]) -> Splice {
    let write = Write { calls, visible };
    let mut splice = Splice::default().own(if grouped.distinct { "SELECT DISTINCT" } else { "SELECT" });
    for (position, (item, described)) in grouped.items.iter().zip(&visible.columns).enumerate() {
        if position > 0 {
            splice = splice.own(",");
        }
        splice = write.parts(splice, item).own(format!("AS {}", quoted(&described.name)));
    }
    splice = splice.own(from(visible.parameters.len(), typed));
    if grouped.own_groups > 0 && !grouped.distinct {
        let names: Vec<String> = (0..grouped.own_groups).map(part).collect();
        splice = splice.own(format!("GROUP BY {}", names.join(", ")));
    }
    if let Some(having) = &grouped.having {
        splice = write.parts(splice.own("HAVING"), having);
    }
    for (position, (parts, rest)) in grouped.order_by.iter().enumerate() {
        splice = splice.own(if position == 0 { "ORDER BY" } else { "," });
        splice = write.parts(splice, parts).client(rest.clone());
    }
    splice.client(grouped.limiting.clone())
}

/// The arrays side by side, each column under the collation that it has in the client's statement.
pub fn from(parameters: usize, typed: &[(&Described, &Fact)]) -> String {
    let (mut columns, mut arrays, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (position, (_, fact)) in typed.iter().enumerate() {
        let name = column(position + 1);
        let collate = match fact.collation.as_str() {
            "" | "\"default\"" => String::new(),
            collation => format!(" COLLATE {collation}"),
        };
        columns.push(format!("shardway_arrays.{name}{collate} AS {name}"));
        arrays.push(format!("${}::{}[]", parameters + position + 1, element(fact)));
        names.push(name);
    }
    format!(
        "FROM (SELECT {} FROM ROWS FROM (pg_catalog.unnest({})) AS shardway_arrays({})) AS shardway_parts",
        columns.join(", "),
        arrays.join("), pg_catalog.unnest("),
        names.join(", ")
    )
}

/// Without a length these types' usual names mean a length of 1.
fn element(fact: &Fact) -> &str {
    const BIT: u32 = 1560;
    match fact.type_oid {
        types::BPCHAR => "pg_catalog.bpchar",
        BIT => "pg_catalog.\"bit\"",
        _ => &fact.type_name,
    }
}

fn quoted(name: &[u8]) -> String {
    crate::sql::quote_identifier(&String::from_utf8_lossy(name))
}

struct Write<'a> {
    calls: &'a [String],
    visible: &'a Description,
}

impl Write<'_> {
    fn parts(&self, mut splice: Splice, parts: &[FinalPart]) -> Splice {
        for part in parts {
            splice = match part {
                FinalPart::Client(tokens) => splice.client(tokens.clone()),
                FinalPart::Group(position) => splice.own(self::part(*position)),
                FinalPart::Call(position) => splice.own(self.calls.get(*position).cloned().unwrap_or_default()),
                FinalPart::Name(name, otherwise) => {
                    let is_output = self.visible.columns.iter().any(|column| *column.name == *name.as_bytes());
                    if is_output { splice.own(quoted(name.as_bytes())) } else { self.parts(splice, otherwise) }
                }
            };
        }
        splice
    }
}
