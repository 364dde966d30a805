//! Columns that are kept unique over all shards. After a statement its shards are asked what it has changed in them, and
//! the claims are written on theirs, in the same transaction. In: shards that were written. Out: nothing, or the error of a
//! unique index. And rows by their claims: a statement that names such values goes to one shard.
//!
//! Reads from another client's claims are those of committed transactions: as with any read of several shards, what
//! commits between two of them may be seen by one and not by the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::parts::{Part, Undone};
use super::turn::{Session, SessionEnd};
use crate::planning::writes::watch::text_of;
use crate::planning::{Claimed, Parameters, Plan, RowsByShard, Template};
use crate::protocol::backend;
use crate::routing::{ShardMap, TableRoute, Unique, key};
use crate::sql::Lexed;
use crate::sql::quote_identifier;
use crate::transaction::claims::{IS_THERE, TAKE, array};
use crate::types::limits::LAST_WORDS_WAIT;
use crate::types::{ClientError, KeyType, KeyValue, ShardId, SqlState};

/// A value that was claimed before the row with it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reserved {
    unique: Arc<Unique>,
    values: Vec<String>,
    key: String,
}

/// What a statement has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Note {
    claims: String,
    adds: bool,
    values: Vec<String>,
    key: String,
    /// Where it was noted.
    shard: ShardId,
}

/// What is to be done with the claims of one list of columns, by the values.
#[derive(Default)]
struct Changes {
    removed: Vec<(Vec<String>, String)>,
    moved: Vec<(Vec<String>, String)>,
    added: Vec<(Vec<String>, String)>,
}

/// What the claims of one shard change.
type ByShard = BTreeMap<ShardId, Changes>;

fn broken(why: &str) -> Undone {
    ClientError::new(SqlState::INTERNAL_ERROR, format!("what is unique could not be followed: {why}")).into()
}

impl Session {
    /// Before a statement is sent that may change them.
    ///
    /// # Errors
    /// What is missing on the servers, and the remedy.
    pub(super) async fn admit_watched(&mut self, watched: &[Arc<Unique>]) -> Result<(), ClientError> {
        for unique in watched {
            Box::pin(self.database.make_claims_ready(unique)).await?;
        }
        Ok(())
    }

    fn claims_map(&self) -> Result<Arc<ShardMap>, Undone> {
        self.database.planner.map().ok_or_else(|| broken("there is no map"))
    }

    /// Takes what the last statement has changed on these shards and writes the claims. `moves`: the same rows may have
    /// left one shard for another.
    pub(super) async fn settle_claims(
        &mut self,
        shards: &[ShardId],
        moves: bool,
        reserved: &[Reserved],
    ) -> Result<(), Undone> {
        let map = self.claims_map()?;
        let mut notes = Vec::new();
        for (shard, answer) in shards.iter().zip(self.ask_each(shards, TAKE).await?) {
            for number in 0..answer.ends.len() {
                let cells = answer.row(number).and_then(|frame| backend::texts(frame).ok());
                notes.push(cells.and_then(|cells| note(&cells, *shard)).ok_or_else(|| broken("a note can't be read"))?);
            }
        }
        if notes.is_empty() && reserved.is_empty() {
            return Ok(());
        }
        let mut by_claims: BTreeMap<String, Vec<Note>> = BTreeMap::new();
        for note in notes {
            by_claims.entry(note.claims.clone()).or_default().push(note);
        }
        for one in reserved {
            by_claims.entry(one.unique.claims.clone()).or_default();
        }
        for (claims, notes) in by_claims {
            let unique = map.uniques().iter().find(|unique| unique.claims == claims);
            let unique = Arc::clone(unique.ok_or_else(|| not_configured(&claims))?);
            let changes = changes(&map, &unique, notes, moves, reserved)?;
            self.write_claims(&map, &unique, changes).await?;
        }
        Ok(())
    }

    /// As [`Self::settle_claims`], before a COMMIT: whether anything is there to be asked isn't known.
    pub(super) async fn settle_left_claims(&mut self, shards: &[ShardId]) -> Result<(), Undone> {
        let answers = self.ask_each(shards, IS_THERE).await?;
        let is_there =
            |answer: &crate::execute::collect::Answer| answer.row(0).and_then(backend::first_text) == Some("t");
        let asked: Vec<ShardId> =
            shards.iter().zip(&answers).filter(|(_, answer)| is_there(answer)).map(|(shard, _)| *shard).collect();
        if asked.is_empty() { Ok(()) } else { self.settle_claims(&asked, false, &[]).await }
    }

    async fn write_claims(&mut self, map: &ShardMap, unique: &Unique, changes: Changes) -> Result<(), Undone> {
        let types = self.types_of(unique)?;
        let mut by_shard = ByShard::new();
        let mut order = Vec::new();
        let Changes { removed, moved, added } = changes;
        order.extend(added.iter().map(|(values, _)| values.clone()));
        for (list, which) in [(removed, 0), (moved, 1), (added, 2)] {
            for (values, key) in list {
                let shard = shard_of_claim(map, &types, &values)?;
                let changes = by_shard.entry(shard).or_default();
                match which {
                    0 => changes.removed.push((values, key)),
                    1 => changes.moved.push((values, key)),
                    _ => changes.added.push((values, key)),
                }
            }
        }
        let shards: Vec<ShardId> = by_shard.keys().copied().collect();
        if shards.is_empty() {
            return Ok(());
        }
        Box::pin(self.admit_writers(&shards)).await?;
        for &shard in &shards {
            self.freshness.note_write(shard);
        }
        let parts: Vec<Part> = by_shard
            .iter()
            .map(|(shard, changes)| {
                let lists = [&changes.removed, &changes.moved, &changes.added];
                let arguments: Vec<String> = lists.iter().map(|list| arrays(unique, list)).collect();
                let function = quote_identifier(&format!("{}_apply", unique.claims));
                Part::whole(*shard, format!("SELECT shardway.{function}({})", arguments.join(", ")).into())
            })
            .collect();
        let answers = self.ask_parts(&parts, None, LAST_WORDS_WAIT).await?;
        let mut failures: Vec<(usize, Undone)> = Vec::new();
        for (answer, shard) in answers.into_iter().zip(shards) {
            let Some(failure) = answer.failure else { continue };
            failures.push(match super::parts::undone(shard, failure) {
                Undone::Server { frame, .. } => {
                    let place = self.place_of(&frame, &order);
                    (place, Undone::Server { frame: self.renamed(&frame, unique), bound: true, description: None })
                }
                other => (0, other),
            });
        }
        // What one server would have met first.
        failures.sort_by_key(|(place, _)| *place);
        match failures.into_iter().next() {
            None => Ok(()),
            Some((_, undone)) => Err(undone),
        }
    }

    /// Which of the values an error is about; a cancelled part comes last.
    fn place_of(&self, frame: &[u8], order: &[Vec<String>]) -> usize {
        if backend::error_field(frame, b'C') == Some(b"57014") {
            return usize::MAX;
        }
        let detail = String::from_utf8_lossy(backend::error_field(frame, b'D').unwrap_or_default()).into_owned();
        order.iter().position(|values| detail.contains(&format!("=({}) ", values.join(", ")))).unwrap_or(order.len())
    }

    /// The error as the table's own index would have raised it.
    fn renamed(&self, frame: &[u8], unique: &Unique) -> Vec<u8> {
        let name = self.constraint_of(unique);
        let index = unique.index();
        let mut made = frame.get(..5).unwrap_or_default().to_vec();
        for field in frame.get(5..).unwrap_or_default().split_inclusive(|&byte| byte == 0) {
            let text = || String::from_utf8_lossy(field.get(1..field.len().saturating_sub(1)).unwrap_or_default());
            let (kind, text) = match field.first() {
                Some(b'M') => (b'M', text().replace(&index, &name)),
                Some(b's') => (b's', unique.schema.clone()),
                Some(b't') => (b't', unique.table.clone()),
                Some(b'n') => (b'n', text().replace(&index, &name)),
                Some(b'W' | b'P' | b'p' | b'q') => continue,
                _ => {
                    made.extend_from_slice(field);
                    continue;
                }
            };
            made.push(kind);
            made.extend_from_slice(text.as_bytes());
            made.push(0);
        }
        let len = u32::try_from(made.len().saturating_sub(1)).unwrap_or(u32::MAX);
        if let Some(place) = made.get_mut(1..5) {
            place.copy_from_slice(&len.to_be_bytes());
        }
        made
    }

    /// The name of the table's own unique index on these columns.
    fn constraint_of(&self, unique: &Unique) -> String {
        let scene = self.database.planner.scene();
        let catalog = scene.as_ref().and_then(|scene| scene.catalog.as_ref());
        let relation = catalog.and_then(|catalog| catalog.relation(&unique.schema, &unique.table));
        let plain = |index: &&crate::catalog::UniqueIndex| !index.has_expressions && unique.has_columns(&index.columns);
        let mut indexes = relation.into_iter().flat_map(|relation| &relation.unique_indexes);
        match indexes.find(plain) {
            Some(index) => index.name.clone(),
            None => format!("{}_{}_key", unique.table, unique.columns.join("_")),
        }
    }

    fn types_of(&self, unique: &Unique) -> Result<Vec<KeyType>, Undone> {
        let scene = self.database.planner.scene();
        let catalog = scene.as_ref().and_then(|scene| scene.catalog.as_ref());
        let relation = catalog.and_then(|catalog| catalog.relation(&unique.schema, &unique.table));
        let kind = |column: &String| relation?.column(column)?.key_type;
        let types: Option<Vec<KeyType>> = unique.columns.iter().map(kind).collect();
        types.ok_or_else(|| broken("a column's type isn't known"))
    }

    /// Rows that may conflict with a row on another shard: each goes where that row is. Values that nobody has are claimed
    /// now, so that nobody else gets them.
    pub(super) async fn reserve_rows(
        &mut self,
        rows: &Arc<RowsByShard>,
    ) -> Result<(Arc<RowsByShard>, Vec<Reserved>), Undone> {
        let map = self.claims_map()?;
        let mut reserved = Vec::new();
        // For each row: where it goes, and whether that is since a row is there already.
        let mut goes: BTreeMap<usize, (ShardId, bool)> = BTreeMap::new();
        for wanted in &rows.wanted {
            let types = self.types_of(&wanted.unique)?;
            let mut asked: BTreeMap<ShardId, Vec<(Vec<String>, String)>> = BTreeMap::new();
            let mut rows_of: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
            for (row, values) in wanted.rows.iter().enumerate() {
                let (Some(values), Some(Some(key))) = (values, rows.keys.get(row)) else { continue };
                let values: Vec<String> = values.iter().map(text_of).collect();
                let same = rows_of.entry(values.clone()).or_default();
                if same.is_empty() {
                    let shard = shard_of_claim(&map, &types, &values)?;
                    asked.entry(shard).or_default().push((values, text_of(key)));
                }
                same.push(row);
            }
            for (values, key, is_new) in self.ask_reserved(&wanted.unique, asked).await? {
                let shard = shard_of_key(&map, &wanted.unique, &key)?;
                for row in rows_of.get(&values).into_iter().flatten() {
                    let place = goes.entry(*row).or_insert((shard, !is_new));
                    if !is_new && !place.1 {
                        *place = (shard, true);
                    }
                }
                if is_new {
                    reserved.push(Reserved { unique: Arc::clone(&wanted.unique), values, key });
                }
            }
        }
        let mut shares: BTreeMap<ShardId, Vec<usize>> = BTreeMap::new();
        for (shard, share) in &rows.shares {
            for row in share {
                let shard = goes.get(row).map_or(*shard, |(shard, _)| *shard);
                shares.entry(shard).or_default().push(*row);
            }
        }
        for share in shares.values_mut() {
            share.sort_unstable();
        }
        let shards: Vec<ShardId> = shares.keys().copied().collect();
        Box::pin(self.admit_writers(&shards)).await?;
        for &shard in &shards {
            self.freshness.note_write(shard);
        }
        let divided = RowsByShard {
            layout: Arc::clone(&rows.layout),
            shares: shares.into_iter().collect(),
            keys: rows.keys.clone(),
            wanted: Vec::new(),
        };
        Ok((Arc::new(divided), reserved))
    }

    /// For each value the key of who has it, and whether it was claimed just now.
    async fn ask_reserved(
        &mut self,
        unique: &Unique,
        asked: BTreeMap<ShardId, Vec<(Vec<String>, String)>>,
    ) -> Result<Vec<(Vec<String>, String, bool)>, Undone> {
        let shards: Vec<ShardId> = asked.keys().copied().collect();
        Box::pin(self.admit_writers(&shards)).await?;
        for &shard in &shards {
            self.freshness.note_write(shard);
        }
        let function = quote_identifier(&format!("{}_reserve", unique.claims));
        let part = |(shard, list): (&ShardId, &Vec<(Vec<String>, String)>)| {
            Part::whole(*shard, format!("SELECT * FROM shardway.{function}({})", arrays(unique, list)).into())
        };
        let parts: Vec<Part> = asked.iter().map(part).collect();
        let mut found = Vec::new();
        let answers = self.ask_parts(&parts, None, LAST_WORDS_WAIT).await?;
        for (mut answer, (shard, list)) in answers.into_iter().zip(asked) {
            if let Some(failure) = answer.failure.take() {
                return Err(super::parts::undone(shard, failure));
            }
            for number in 0..answer.ends.len() {
                let cells = answer.row(number).and_then(|frame| backend::texts(frame).ok());
                let read = || {
                    let cells = cells?;
                    let place = cells.first()?.as_deref()?.parse::<usize>().ok()?.checked_sub(1)?;
                    let key = cells.get(1)?.clone()?;
                    Some((list.get(place)?.0.clone(), key, cells.get(2)?.as_deref()? == "t"))
                };
                found.push(read().ok_or_else(|| broken("a claim can't be read"))?);
            }
        }
        Ok(found)
    }

    /// The plan of a call whose rows can be looked up by what is unique; the plan as it is where that says nothing more.
    ///
    /// # Errors
    /// When the claims can't be asked.
    pub(super) async fn look_up(
        &mut self,
        plan: Plan,
        template: &Template,
        (sql, lexed): (&[u8], &Lexed),
        parameters: Option<Parameters<'_>>,
    ) -> Result<Plan, Undone> {
        if !template.has_lookups() || !spreads(&plan) || self.transaction.is_failed() {
            return Ok(plan);
        }
        let mut claimed = Claimed::default();
        for (unique, wanted) in template.lookups(sql, lexed, parameters) {
            claimed.found.push(match wanted {
                Some(None) => Some(None),
                Some(Some(values)) if Box::pin(self.database.may_look_up(&unique)).await => {
                    Some(self.find_claim(&unique, &values).await?)
                }
                _ => None,
            });
        }
        let bound = template.bind_claimed(sql, lexed, parameters, self.hint.as_ref(), &claimed);
        bound.map_err(|refusal| ClientError::from(refusal).into())
    }

    /// Why claims could not be asked, for the client.
    ///
    /// # Errors
    /// When there is no client any more.
    pub(super) fn look_up_failed(&mut self, undone: Undone) -> Result<ClientError, SessionEnd> {
        Ok(match undone {
            Undone::Proxy(error) => error,
            Undone::Server { frame, .. } => {
                let field =
                    |kind| String::from_utf8_lossy(backend::error_field(&frame, kind).unwrap_or_default()).into_owned();
                ClientError::new(SqlState::of_server(&field(b'C')), field(b'M'))
            }
            Undone::Lost(shard, error) => self.lost_ahead(shard, error),
            Undone::Told => ClientError::new(SqlState::CONNECTION_FAILURE, "claims could not be asked"),
            Undone::Ended(end) => return Err(end),
        })
    }

    /// The key of the row that has these values.
    async fn find_claim(&mut self, unique: &Unique, values: &[KeyValue]) -> Result<Option<KeyValue>, Undone> {
        let map = self.claims_map()?;
        let first = values.first().ok_or_else(|| broken("it has no columns"))?;
        let shard = map.shard_of_claim(first).map_err(|_| broken("a value has no place"))?;
        let arguments: Vec<String> =
            values.iter().map(|value| array(std::iter::once(text_of(value).as_str()))).collect();
        let function = quote_identifier(&format!("{}_find", unique.claims));
        let sql = format!("SELECT owner_key FROM shardway.{function}({})", arguments.join(", "));
        let answer = self.ask_one(shard, &sql).await?;
        let Some(text) = answer.row(0).and_then(backend::first_text) else { return Ok(None) };
        key_of(&map, unique, text).map(Some)
    }
}

/// If a plan needs several shards.
fn spreads(plan: &Plan) -> bool {
    let several = |pulls: &[crate::planning::Pull]| pulls.iter().any(|pull| pull.shards.len() > 1);
    match plan {
        Plan::Scatter { shards } | Plan::Merge { shards, .. } | Plan::WriteAll { shards, .. } => {
            shards.as_slice().len() > 1
        }
        Plan::Move { sources, .. } => sources.as_slice().len() > 1,
        Plan::Carry { otherwise, .. } => spreads(otherwise),
        Plan::Gather { pulls, .. } | Plan::Transfer { pulls, .. } => several(pulls),
        Plan::Single { .. }
        | Plan::Any
        | Plan::Definition(_)
        | Plan::InsertByShard(_)
        | Plan::WriteCopies { .. }
        | Plan::CopyIn(_)
        // Its parts look up for themselves.
        | Plan::Stages { .. }
        | Plan::Batch
        | Plan::Touched => false,
    }
}

fn not_configured(claims: &str) -> ClientError {
    ClientError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "the table has columns that are kept unique over all shards, and this configuration doesn't say so",
    )
    .detail(format!("The servers have the claims shardway.{claims}."))
    .hint("Write unique = [...] in the table's section of the configuration as it was, or drop the triggers shardway_uq_... of the table on every shard.")
}

/// Of a row of [`TAKE`].
fn note(cells: &[Option<String>], shard: ShardId) -> Option<Note> {
    let claims = cells.first()?.clone()?;
    let adds = cells.get(1)?.as_deref()? == "+";
    let key = cells.get(6)?.clone()?;
    let values = cells.get(2..6)?.iter().map_while(Clone::clone).collect();
    Some(Note { claims, adds, values, key, shard })
}

/// The arrays that a function of the claims takes.
fn arrays(unique: &Unique, list: &[(Vec<String>, String)]) -> String {
    let mut all: Vec<String> = (0..unique.columns.len())
        .map(|column| array(list.iter().map(|(values, _)| values.get(column).map_or("", String::as_str))))
        .collect();
    all.push(array(list.iter().map(|(_, key)| key.as_str())));
    all.join(", ")
}

fn shard_of_claim(map: &ShardMap, types: &[KeyType], values: &[String]) -> Result<ShardId, Undone> {
    let (Some(kind), Some(text)) = (types.first(), values.first()) else { return Err(broken("it has no columns")) };
    let value = key::from_text(*kind, text).map_err(|_| broken("a value can't be read"))?;
    map.shard_of_claim(&value).map_err(|_| broken("a value has no place"))
}

fn key_of(map: &ShardMap, unique: &Unique, text: &str) -> Result<KeyValue, Undone> {
    let Some(TableRoute::Sharded(sharded)) = map.table(&unique.schema, &unique.table) else {
        return Err(broken("the table isn't sharded"));
    };
    let kind = sharded.key_type.ok_or_else(|| broken("the key's type isn't known"))?;
    key::from_text(kind, text).map_err(|_| broken("a key can't be read"))
}

fn shard_of_key(map: &ShardMap, unique: &Unique, text: &str) -> Result<ShardId, Undone> {
    let value = key_of(map, unique, text)?;
    match map.table(&unique.schema, &unique.table) {
        Some(TableRoute::Sharded(sharded)) => {
            sharded.placement.shard_of(&value).map_err(|_| broken("a key has no place"))
        }
        _ => Err(broken("the table isn't sharded")),
    }
}

/// What the notes come to. A value that one row gives up and another one gets within one statement was judged by the
/// table's own index if both are on one shard; over shards it depends on which row is changed first.
fn changes(
    map: &ShardMap,
    unique: &Arc<Unique>,
    notes: Vec<Note>,
    moves: bool,
    reserved: &[Reserved],
) -> Result<Changes, Undone> {
    let mut removed: BTreeMap<Vec<String>, Vec<(String, ShardId)>> = BTreeMap::new();
    let mut added = Vec::new();
    for note in notes {
        if note.adds {
            if shard_of_key(map, unique, &note.key)? != note.shard {
                return Err(misplaced(unique).into());
            }
            added.push(note);
        } else {
            removed.entry(note.values).or_default().push((note.key, note.shard));
        }
    }
    let mut kept: Vec<&Reserved> = reserved.iter().filter(|one| one.unique == *unique).collect();
    let mut changes = Changes::default();
    for note in added {
        if let Some(place) = kept.iter().position(|one| one.values == note.values && one.key == note.key) {
            kept.remove(place);
            continue;
        }
        match removed.get_mut(&note.values).and_then(Vec::pop) {
            None => changes.added.push((note.values, note.key)),
            Some((_, from)) if from == note.shard || moves => changes.moved.push((note.values, note.key)),
            Some(_) => return Err(handed_over(unique).into()),
        }
    }
    changes.removed.extend(
        removed.into_iter().flat_map(|(values, all)| all.into_iter().map(move |(key, _)| (values.clone(), key))),
    );
    // Their rows were not written.
    changes.removed.extend(kept.into_iter().map(|one| (one.values.clone(), one.key.clone())));
    changes.moved.sort();
    Ok(changes)
}

fn misplaced(unique: &Unique) -> ClientError {
    ClientError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("a row of {} would not be where its key belongs", unique.describe()),
    )
    .detail(
        "Its values are claimed for a row on another shard that isn't there, or other rows of the statement have them.",
    )
    .hint("Insert the rows one by one; shardway unique verify compares the claims with the rows.")
}

fn handed_over(unique: &Unique) -> ClientError {
    ClientError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!(
            "a statement that hands values of {} from a row on one shard to a row on another is not supported",
            unique.describe()
        ),
    )
    .detail("Whether it meets a row that still has the value depends on which row is changed first.")
    .hint("Change the rows one after the other.")
}
