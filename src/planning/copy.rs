//! COPY between a client and tables on several shards. In: the statement's tokens. Out: its route, and for one that
//! copies in what the rows are divided by; later, for one call, the options that its text gives.

mod options;

use std::sync::Arc;

use super::build::{self, routed};
use super::ddl::{self, Suspects};
use super::functions::Class;
use super::plan::Refusal;
use super::query;
use super::refusal;
use super::route::{Keyed, Override, Route, Routed, Spread, Use, show};
use super::scene::{Names, Scene};
use super::tables::{self, Found, Location};
use super::text::Text;
use crate::catalog::{Column, Relation};
use crate::routing::{NoPlace, Sharded, Unique, key};
use crate::sql::LexOptions;
use crate::sql::command::CopyDirection;
use crate::types::{KeyType, KeyValue, ShardId};

pub use options::{CopyFormat, CopyOptions, options};

/// A COPY FROM STDIN whose rows go to several shards.
#[derive(PartialEq, Eq, Debug)]
pub struct CopyTarget {
    pub display: String,
    /// Every shard that may get a row.
    pub shards: Vec<ShardId>,
    /// `None`: a reference table, all of whose rows go to every shard.
    pub key: Option<CopyKey>,
    /// What is kept unique over all shards and may change by it.
    pub watched: Vec<Arc<Unique>>,
}

#[derive(Debug)]
pub struct CopyKey {
    display: String,
    pub column: String,
    /// Its field in each row, from 0.
    pub position: usize,
    key_type: KeyType,
    sharded: Sharded,
    /// The column cuts trailing blanks.
    cuts: bool,
    not_null: bool,
}

/// Plans are compared in tests only.
impl PartialEq for CopyKey {
    fn eq(&self, other: &Self) -> bool {
        self.display == other.display && self.position == other.position
    }
}

impl Eq for CopyKey {}

/// A key as it stands in the data.
#[derive(Clone, Copy, Debug)]
pub enum RawKey<'a> {
    Null,
    /// In the server's encoding, escapes taken out.
    Text(&'a [u8]),
    Binary(&'a [u8]),
}

/// Where a row goes.
#[derive(Debug)]
pub enum RowPlace {
    Shard(ShardId),
    /// Very likely no server takes such a row, and then its error is the right one; if one does, this is it.
    Doubtful(Refusal),
    Nowhere(Refusal),
}

impl CopyKey {
    /// The key at this position of each row.
    pub(super) fn of(found: &Found, sharded: &Sharded, relation: &Relation, position: usize) -> Result<Self, Refusal> {
        let column = relation.column(&sharded.key);
        Ok(Self {
            display: found.display.clone(),
            column: sharded.key.clone(),
            position,
            key_type: sharded.key_type.ok_or_else(|| refusal::copy_key(&found.display, &sharded.key))?,
            sharded: sharded.clone(),
            cuts: column.is_some_and(|column| column.type_modifier.is_some()),
            not_null: column.is_some_and(|column| column.not_null),
        })
    }

    pub fn place(&self, value: RawKey<'_>) -> RowPlace {
        let unknown = || RowPlace::Doubtful(refusal::copy_key(&self.display, &self.column));
        let key = match value {
            RawKey::Null if self.not_null => return unknown(),
            RawKey::Null => return RowPlace::Nowhere(refusal::null_key(&self.display, &self.column)),
            RawKey::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => key::from_text(self.key_type, text),
                Err(_) => return unknown(),
            },
            RawKey::Binary(bytes) => key::from_binary(self.key_type, bytes),
        };
        match key {
            Ok(KeyValue::Text(text)) if self.cuts && text.ends_with(' ') => unknown(),
            Ok(value) => match self.sharded.placement.shard_of(&value) {
                Ok(shard) => RowPlace::Shard(shard),
                Err(NoPlace::OtherType) => unknown(),
                Err(NoPlace::AboveRanges | NoPlace::NotListed) => {
                    RowPlace::Nowhere(refusal::no_place(&self.display, &self.column, &show(&value)))
                }
            },
            Err(_) => unknown(),
        }
    }

    /// Whether keys are text, which depends on the encoding.
    pub fn is_text(&self) -> bool {
        self.key_type == KeyType::Text
    }
}

/// A row whose fields can't be told apart, should a server take it.
pub fn unreadable_row() -> Refusal {
    refusal::copy_row()
}

pub(super) fn route(text: Text<'_>, direction: CopyDirection, scene: &Scene, names: &Names) -> Routed {
    if direction == CopyDirection::ServerSide {
        return build::refused(refusal::server_file());
    }
    if text.punct(1, b'(') {
        let end = ddl::closing(text, 1);
        let parts = query::route(text.range(2..end), scene, names);
        if matches!(&parts.route, Route::Keyed(keyed) if matches!(keyed.spread, Spread::Concatenate)) {
            return parts;
        }
        let mut inner = query::route_as_one(text.range(2..end), scene, names);
        build::shift(&mut inner, 2);
        return inner;
    }
    let at = 1 + usize::from(text.is(1, "binary"));
    let Some((table, behind)) = ddl::table_name(text, at) else {
        return build::refused(refusal::not_parsed());
    };
    let found = tables::find_needed(scene, names, &table);
    if let Some(refusal) = found.refusal {
        return build::refused(refusal);
    }
    match (&found.location, direction) {
        (Location::Sharded(_), CopyDirection::ToStdout) if names.atomic => build::refused(refusal::copy_atomic()),
        (Location::Sharded(sharded), CopyDirection::ToStdout) => out_of(&found, sharded),
        (Location::Reference, CopyDirection::ToStdout) => routed(Route::Any),
        (Location::Sharded(_) | Location::Reference, _) => into(text, behind, &found, scene),
        // WHERE may call functions; everything else behind the name is words of COPY and columns.
        // Servers say that a view can't be copied.
        (Location::Home | Location::System | Location::Viewed, _) => {
            if Suspects::new(scene, names).provably_home(condition(text, behind)) {
                routed(Route::Home)
            } else {
                build::refused(refusal::not_parsed())
            }
        }
    }
}

fn condition(text: Text<'_>, behind: usize) -> Text<'_> {
    let filter = (behind..text.pieces.len()).find(|at| text.is(*at, "where"));
    text.from(filter.unwrap_or(text.pieces.len()))
}

fn out_of(found: &Found, sharded: &Sharded) -> Routed {
    let all = Use::of_all(&found.display, sharded);
    let route = Route::Keyed(Keyed { uses: vec![all], home: false, spread: Spread::Concatenate });
    Routed::new(route, vec![(found.display.clone(), sharded.clone())])
}

fn into(text: Text<'_>, behind: usize, found: &Found, scene: &Scene) -> Routed {
    let sharded = match &found.location {
        Location::Sharded(sharded) => vec![(found.display.clone(), sharded.clone())],
        _ => Vec::new(),
    };
    let who = if sharded.is_empty() { Override::Shard } else { Override::Key };
    let route = match target(text, behind, found, scene) {
        Ok(target) => Route::CopyIn(Arc::new(target)),
        Err(refusal) => Route::Refused(refusal, who),
    };
    Routed::new(route, sharded)
}

fn target(text: Text<'_>, behind: usize, found: &Found, scene: &Scene) -> Result<CopyTarget, Refusal> {
    let relation = scene.catalog.as_ref().and_then(|catalog| catalog.relation(&found.schema, &found.name));
    let relation = relation.ok_or_else(refusal::not_parsed)?;
    let functions = scene.functions();
    for called in condition(text, behind).calls() {
        if functions.class(called.schema.as_deref(), &called.name) > Class::Moment {
            return Err(refusal::unknown_function(&called.name));
        }
    }
    for called in &relation.trigger_functions {
        if !super::triggers::is_declared(&functions, &called.schema, &called.name) {
            return Err(refusal::trigger(&found.display, &called.name));
        }
    }
    let listed = columns(text, behind, relation);
    let left_out = relation.columns.iter().filter(|column| !listed.contains(&column.name.as_str()));
    let Location::Sharded(sharded) = &found.location else {
        left_out.filter(|column| !column.generated).try_for_each(|column| same_everywhere(found, column))?;
        let shards = scene.map.shard_ids().collect();
        return Ok(CopyTarget { display: found.display.clone(), shards, key: None, watched: Vec::new() });
    };
    left_out.filter(|column| !column.generated).try_for_each(|column| fills_itself(found, column, scene))?;
    let position = listed.iter().position(|name| *name == sharded.key);
    let position = position.ok_or_else(|| refusal::key_left_out(&found.display, &sharded.key))?;
    Ok(CopyTarget {
        display: found.display.clone(),
        shards: sharded.placement.shards().to_vec(),
        key: Some(CopyKey::of(found, sharded, relation, position)?),
        watched: super::writes::watch::watched(scene, &found.schema, &found.name),
    })
}

/// The columns of each row, in the data's order.
fn columns<'a>(text: Text<'_>, behind: usize, relation: &'a Relation) -> Vec<&'a str> {
    if !text.punct(behind, b'(') {
        return relation.columns.iter().filter(|column| !column.generated).map(|column| &*column.name).collect();
    }
    let names = (behind + 1..ddl::closing(text, behind)).filter_map(|at| text.name(at));
    // A name that isn't there is the servers' to complain of; it takes a field all the same.
    names.map(|name| relation.column(&name).map_or("", |column| &*column.name)).collect()
}

fn default_calls(column: &Column) -> Vec<super::text::Called> {
    let Some(text) = &column.default else { return Vec::new() };
    let pieces = build::pieces(text.as_bytes(), &LexOptions { standard_conforming_strings: true });
    (Text { sql: text.as_bytes(), pieces: &pieces }).calls()
}

/// A column that a shard fills by itself.
pub(super) fn fills_itself(found: &Found, column: &Column, scene: &Scene) -> Result<(), Refusal> {
    if column.identity {
        return Err(refusal::copy_sequence(&found.display, &column.name));
    }
    let functions = scene.functions();
    for called in default_calls(column) {
        match functions.class(called.schema.as_deref(), &called.name) {
            Class::HomeBound => return Err(refusal::copy_sequence(&found.display, &column.name)),
            Class::ReadsTables | Class::Unknown => {
                return Err(refusal::default_calls(&found.display, &column.name, &called.name));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A column of a reference table must come out the same on every shard.
pub(super) fn same_everywhere(found: &Found, column: &Column) -> Result<(), Refusal> {
    let words = column.default.as_deref().unwrap_or_default().to_ascii_lowercase();
    let moment = ["current_", "localtime", "user"].iter().any(|word| words.contains(word));
    if column.identity || moment || !default_calls(column).is_empty() {
        return Err(refusal::copy_default(&found.display, &column.name));
    }
    Ok(())
}
