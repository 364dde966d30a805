//! `INSERT INTO ... SELECT` whose rows belong elsewhere than where they are read. In: the statement's tokens. Out: a
//! [`Transfer`]: the rows are made on the scratch database, by the client's own text and with the types of the target's
//! columns, and each goes to its shard; or, where each shard's rows stay on it, that every shard runs the statement.

mod made;
mod tail;

use std::ops::Range;
use std::sync::Arc;

pub use made::{Made, create_as, select_into};
pub use tail::Tail;

use super::copy::{self, CopyKey, CopyTarget};
use super::functions::Class;
use super::gather::{self, Column, Gather};
use super::keys::Keys;
use super::plan::Refusal;
use super::query::{self, Gathered};
use super::refusal;
use super::resolve::Resolver;
use super::route::Use;
use super::scatter;
use super::scene::{Names, Scene};
use super::tables::{Found, Location};
use super::text::Text;
use super::writes::watch::watched;
use super::writes::{Fill, MomentCall, Target, moment_calls, moments_wanted, rows_fill};
use super::{build, ddl};
use crate::catalog::{QualifiedName, Relation};
use crate::sql::LexOptions;
use crate::sql::statement::{InsertSource, Name, Statement, Write};

/// The temporary table that stands for the target.
pub const TARGET: &str = "shardway insert";

/// What is to be done, whatever the statement's values are.
#[derive(Debug)]
pub struct Transfer {
    pub target: CopyTarget,
    pub schema: String,
    pub name: String,
    /// All that the temporary table has.
    pub columns: Vec<Column>,
    /// The columns of each row, in their order.
    pub listed: Vec<String>,
    /// No columns are listed: all are taken to be given.
    pub is_whole: bool,
    /// Columns that are left to a default that asks for the time.
    pub fills: Vec<Fill>,
    /// Columns that are left to a sequence of the home shard.
    pub served: Vec<(Column, QualifiedName)>,
    /// The whole statement.
    pub gather: Arc<Gather>,
    /// What its query reads.
    pub uses: Vec<Use>,
    /// The target is a new table: what makes it.
    pub made: Option<Made>,
    /// What else the statement says: its rows are inserted by a statement of their own.
    pub tail: Option<Tail>,
}

/// Plans are compared in tests only.
impl PartialEq for Transfer {
    fn eq(&self, other: &Self) -> bool {
        self.gather == other.gather && self.listed == other.listed && self.made == other.made && self.tail == other.tail
    }
}

impl Eq for Transfer {}

/// The parts of `[WITH ...] INSERT INTO table [AS alias] [(columns)] query`.
struct Parts {
    /// From INSERT up to the query.
    head: Range<usize>,
    target: Range<usize>,
    query: Range<usize>,
    /// Where ON CONFLICT or RETURNING begins, or the end.
    tail: usize,
}

fn parts(text: Text<'_>) -> Option<Parts> {
    let insert = if text.is(0, "with") { behind_with(text)? } else { 0 };
    if !(text.is(insert, "insert") && text.is(insert + 1, "into")) {
        return None;
    }
    let (_, behind) = ddl::table_name(text, insert + 2)?;
    let mut at = behind;
    if text.is(at, "as") {
        at += 2;
    }
    if text.punct(at, b'(') && !text.is_any(at + 1, &["select", "with", "values", "table"]) && !text.punct(at + 1, b'(')
    {
        at = ddl::closing(text, at) + 1;
    }
    if !(text.is_any(at, &["select", "with", "values", "table"]) || text.punct(at, b'(')) {
        return None;
    }
    let ends = |at: usize| text.is(at, "returning") || text.is(at, "on") && text.is(at + 1, "conflict");
    let tail = outside(text, at, ends).unwrap_or(text.pieces.len());
    Some(Parts { head: insert..at, target: insert + 2..behind, query: at..tail, tail })
}

/// The first of these tokens outside of parentheses.
fn outside(text: Text<'_>, from: usize, wanted: impl Fn(usize) -> bool) -> Option<usize> {
    let mut depth = 0_usize;
    (from..text.pieces.len()).find(|&at| {
        if text.punct(at, b'(') {
            depth += 1;
        } else if text.punct(at, b')') {
            depth = depth.saturating_sub(1);
        }
        depth == 0 && wanted(at)
    })
}

/// Where the statement behind common table expressions begins: each of them is a name and what stands in parentheses.
fn behind_with(text: Text<'_>) -> Option<usize> {
    outside(text, 1, |at| text.is(at, "insert") && at.checked_sub(1).is_some_and(|before| text.punct(before, b')')))
}

/// The only write of a statement, if it is an INSERT of a query's rows.
fn insert(statement: &Statement) -> Option<(&Write, &[Name])> {
    match statement.writes.as_slice() {
        [write @ Write::Insert { scope, columns, source: InsertSource::Query(_), .. }] if *scope == statement.root => {
            Some((write, columns))
        }
        _ => None,
    }
}

/// # Errors
/// Why it can't be done; `None`: it isn't such a statement.
pub fn plan(
    text: Text<'_>,
    statement: &Statement,
    found: &Found,
    scene: &Scene,
    names: &Names,
) -> Option<Result<Transfer, Refusal>> {
    let (_, columns) = insert(statement)?;
    let parts = parts(text)?;
    Some(transfer((text, statement), columns, found, (scene, names), parts))
}

fn transfer(
    (text, statement): (Text<'_>, &Statement),
    columns: &[Name],
    found: &Found,
    (scene, names): (&Scene, &Names),
    parts: Parts,
) -> Result<Transfer, Refusal> {
    let relation = scene.catalog.as_ref().and_then(|catalog| catalog.relation(&found.schema, &found.name));
    let relation = relation.ok_or_else(|| refusal::no_column_list(&found.display))?;
    if relation.is_view() || relation.has_rules || found.refusal.is_some() || found.view.is_some() {
        return Err(refusal::not_transferred("a view or a table with rules as the target"));
    }
    if columns.is_empty() && relation.columns.iter().any(|column| column.generated) {
        return Err(refusal::no_column_list(&found.display));
    }
    let listed: Vec<String> = match columns {
        [] => relation.columns.iter().map(|column| column.name.clone()).collect(),
        listed => listed.iter().map(ToString::to_string).collect(),
    };
    if listed.iter().any(|name| relation.column(name).is_none_or(|column| column.generated || column.identity_always)) {
        // Any server says what is wrong with it.
        return Err(refusal::no_column_list(&found.display));
    }
    let served: Vec<(Column, QualifiedName)> = relation
        .columns
        .iter()
        .filter(|column| !column.generated && !listed.contains(&column.name))
        .filter_map(|column| Some((gather::column(column), column.sequence.clone()?)))
        .collect();
    let (target, fills) = target(found, relation, (&listed, &served), scene)?;
    let all = text.pieces.len();
    let Gathered { mut gather, uses } = tail::gathered(text, (&parts.head, &parts.query), scene, names)?;
    gather.query = 0..all;
    gather.target = Some(parts.target);
    gather.left_out.extend(parts.tail..all);
    let ends = (parts.head, parts.tail..all);
    let tail = match parts.tail < all {
        true => Some(Tail::of(text, statement, ends, listed.len(), (scene, names))?),
        false => None,
    };
    let is_whole = columns.is_empty();
    let is_served = |name: &str| served.iter().any(|(column, _)| column.name == name);
    let columns = relation
        .columns
        .iter()
        .filter(|column| !column.generated && (!column.identity_always || is_served(&column.name)));
    Ok(Transfer {
        target,
        schema: found.schema.clone(),
        name: found.name.clone(),
        columns: columns.map(gather::column).collect(),
        listed,
        is_whole,
        fills,
        served,
        gather: Arc::new(gather),
        uses,
        made: None,
        tail,
    })
}

/// Where the rows go, and what of them is left to the time.
fn target(
    found: &Found,
    relation: &Relation,
    (listed, served): (&[String], &[(Column, QualifiedName)]),
    scene: &Scene,
) -> Result<(CopyTarget, Vec<Fill>), Refusal> {
    let is_served = |name: &str| served.iter().any(|(column, _)| column.name == name);
    let left_out = || {
        let given = |name: &String| listed.contains(name) || is_served(name);
        relation.columns.iter().filter(move |column| !column.generated && !given(&column.name))
    };
    let display = found.display.clone();
    match &found.location {
        Location::Sharded(sharded) => {
            let mut fills = Vec::new();
            for column in left_out() {
                if column.identity {
                    return Err(refusal::serial(&found.display, &column.name));
                }
                copy::fills_itself(found, column, scene)?;
                fills.extend(rows_fill(scene, found, column, None)?);
            }
            // As the rows are copied.
            let position = copied(listed, &fills, served).position(|name| *name == *sharded.key);
            let position = position.ok_or_else(|| refusal::key_left_out(&found.display, &sharded.key))?;
            let key = CopyKey::of(found, sharded, relation, position)?;
            let (shards, watched) = (sharded.placement.shards().to_vec(), watched(scene, &found.schema, &found.name));
            Ok((CopyTarget { display, shards, key: Some(key), watched }, fills))
        }
        Location::Reference => {
            left_out().try_for_each(|column| copy::same_everywhere(found, column))?;
            Ok((
                CopyTarget { display, shards: scene.map.shard_ids().collect(), key: None, watched: Vec::new() },
                Vec::new(),
            ))
        }
        Location::Home if !found.schema.starts_with("pg_temp") => {
            Ok((CopyTarget { display, shards: vec![scene.map.home()], key: None, watched: Vec::new() }, Vec::new()))
        }
        Location::Home | Location::System | Location::Viewed => Err(refusal::not_transferred("such a target")),
    }
}

/// The calls of now() and its like of an INSERT that every shard can run with its own rows: their keys are those of the
/// rows that they are made of.
pub fn stays(table: &Target<'_>, write: &Write, text: Text<'_>, names: &Names) -> Option<Box<[MomentCall]>> {
    let (_, columns) = insert(table.statement).filter(|(only, _)| std::ptr::eq(*only, write))?;
    let scene = table.scene;
    let relation = scene.catalog.as_ref()?.relation(&table.found.schema, &table.found.name)?;
    let parts = parts(text).filter(|parts| parts.tail == text.pieces.len() && parts.head.start == 0)?;
    let key = &table.sharded.key;
    let position = match columns {
        [] => relation.columns.iter().position(|column| column.name == *key)?,
        listed => listed.iter().position(|name| **name == **key)?,
    };
    let query = text.range(parts.query);
    let (statement, locations) = query::read(query, scene, names)?;
    let root = statement.scopes.get(statement.root)?;
    if columns.is_empty() && root.outputs.len() != relation.columns.len() || root.features.order_by {
        return None;
    }
    let on_every_shard =
        |found: &Found| found.refusal.is_none() && matches!(found.location, Location::Sharded(_) | Location::Reference);
    if !locations.iter().flatten().flatten().all(on_every_shard) {
        return None;
    }
    let keys = Keys::of(&statement, &locations);
    scatter::rows(&statement, &keys, &scene.functions(), true).ok()?;
    let place = Resolver { statement: &statement, locations: &locations }.output_at(statement.root, position)?;
    // A row without a key has no shard.
    let place = Some(place).filter(|place| keys.never_null(&statement, *place))?;
    let source = match &locations.get(place.scope)?.get(place.relation)?.as_ref()?.location {
        Location::Sharded(sharded) if sharded.group == table.sharded.group => sharded,
        _ => return None,
    };
    // What is stored must be what was compared.
    let exact = relation.column(key)?.type_modifier.is_none() && source.key_type == table.sharded.key_type;
    let mut left_out = relation.columns.iter().filter(|column| {
        !columns.is_empty() && !column.generated && !columns.iter().any(|name| **name == *column.name)
    });
    let settled = left_out.all(|column| {
        !column.identity
            && copy::fills_itself(table.found, column, scene).is_ok()
            && matches!(rows_fill(scene, table.found, column, None), Ok(None))
    });
    let functions = scene.functions();
    let volatile = table
        .statement
        .calls
        .iter()
        .any(|call| functions.class_of(call.schema.as_deref(), &call.name, call.arguments) > Class::Aggregate);
    if !exact || !settled || volatile {
        return None;
    }
    moment_calls(text, moments_wanted(table.statement, &functions)).ok()
}

impl Transfer {
    /// The default of a column that is left to the time, with this moment in it.
    pub fn default_of(&self, column: &str, moment: &super::writes::Moment) -> Option<String> {
        let fill = self.fills.iter().find(|fill| fill.column == column)?;
        let sql = fill.default.as_bytes();
        let options = LexOptions { standard_conforming_strings: true };
        let pieces = build::pieces(sql, &options);
        let tokens: Vec<_> = pieces.iter().map(|piece| piece.token.clone()).collect();
        let made = super::writes::splice::with_moment(sql, &tokens, &fill.moments, moment);
        Some(String::from_utf8_lossy(&made.sql).into_owned())
    }

    /// The columns of each row that is copied.
    pub fn copied(&self) -> impl Iterator<Item = &str> {
        copied(&self.listed, &self.fills, &self.served)
    }
}

fn copied<'a>(
    listed: &'a [String],
    fills: &'a [Fill],
    served: &'a [(Column, QualifiedName)],
) -> impl Iterator<Item = &'a str> {
    let filled = fills.iter().map(|fill| fill.column.as_str());
    let served = served.iter().map(|(column, _)| column.name.as_str());
    listed.iter().map(String::as_str).chain(filled).chain(served)
}
