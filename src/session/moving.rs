//! An UPDATE of the shard key, whose rows may belong to other shards afterwards. In: the plan. Out: what a server would
//! have said.
//!
//! 1. The client's own statement, restricted to no rows, has a server say what is wrong with it, and what it returns.
//! 2. Each shard locks its rows and tells them, with what they are set to.
//! 3. Rows that stay are changed by the client's own statement, restricted to them.
//! 4. The others are deleted, and inserted where they belong.
//!
//! All within one transaction on all shards.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::bound::{Bound, Until};
use super::parts::{Order, Part, Prepared, Told, Undone};
use super::turn::Session;
use crate::execute::collect::Answer;
use crate::planning::oid;
use crate::planning::refusal;
use crate::planning::show_key as show;
use crate::planning::writes::Moment;
use crate::planning::writes::moves::{Moves, Set};
use crate::planning::writes::splice::{Bit, Spliced, assembled, tokens_of};
use crate::planning::{Plan, Template};
use crate::protocol::backend;
use crate::protocol::numbering::FIRST_USER_OID;
use crate::routing::{NoPlace, key};
use crate::sql::Token;
use crate::sql::quote_identifier;
use crate::types::limits::{LAST_WORDS_WAIT, MOVED_PARAMETERS_MAX};
use crate::types::{ClientError, KeyType, KeyValue, ShardId, SqlState};

#[derive(Clone, Copy)]
pub(super) struct MoveCall<'a> {
    pub sources: &'a [ShardId],
    /// Where all rows go, if that is known.
    pub goal: Option<ShardId>,
    pub moves: &'a Arc<Moves>,
}

/// The client's statement.
struct Written<'a> {
    sql: &'a Bytes,
    tokens: Vec<Token>,
    moves: &'a Moves,
    moment: Option<Moment>,
    bound: Bound,
    extended: bool,
}

/// A row that is to change.
struct Row {
    /// As `(block,number)`.
    place: String,
    /// What it has, then what it is set to, in binary.
    cells: Vec<Option<Bytes>>,
    goal: ShardId,
}

/// A shard's rows, and the types of their cells.
struct Found {
    shard: ShardId,
    types: Vec<u32>,
    rows: Vec<Row>,
}

impl Written<'_> {
    fn assemble(&self, bits: &[Bit<'_>]) -> Spliced {
        assembled(self.sql, &self.tokens, &self.moves.moments, self.moment.as_ref(), bits)
    }

    /// The statement, for rows of which this holds too.
    fn restricted(&self, condition: &str) -> Spliced {
        let moves = self.moves;
        // The client's own WHERE is left out, or there is RETURNING, or the end.
        let where_or_returning = [moves.condition.start.saturating_sub(1), moves.returning.start];
        let head = where_or_returning.into_iter().find(|at| *at > 0).unwrap_or(moves.end);
        let mut bits = vec![Bit::Client(0..head), Bit::Own(" WHERE ")];
        if !moves.condition.is_empty() {
            bits.extend([Bit::Own("("), Bit::Client(moves.condition.clone()), Bit::Own(") AND ")]);
        }
        bits.extend([Bit::Own(condition), Bit::Own(" ")]);
        if !moves.returning.is_empty() {
            bits.push(Bit::Client(moves.returning.clone()));
        }
        self.assemble(&bits)
    }

    /// Values that each row gives: those that aren't constants.
    fn computed(&self) -> impl Iterator<Item = &Set> {
        self.moves.sets.iter().filter(|set| !set.is_constant)
    }

    /// Asks for the rows and locks them.
    fn select(&self) -> Spliced {
        let moves = self.moves;
        let qualifier = || Bit::Client(moves.qualifier.clone());
        let names: Vec<String> = moves.columns.iter().map(|name| format!(".{}, ", quote_identifier(name))).collect();
        let mut bits = vec![Bit::Own("SELECT ")];
        for name in &names {
            bits.extend([qualifier(), Bit::Own(name)]);
        }
        for set in self.computed() {
            bits.extend([Bit::Own("("), Bit::Client(set.value.clone()), Bit::Own("), ")]);
        }
        bits.extend([qualifier(), Bit::Own(".ctid FROM "), Bit::Client(moves.table.clone())]);
        if !moves.from.is_empty() {
            bits.extend([Bit::Own(", "), Bit::Client(moves.from.clone())]);
        }
        if !moves.condition.is_empty() {
            bits.extend([Bit::Own(" WHERE "), Bit::Client(moves.condition.clone())]);
        }
        // OF takes no schema.
        let name = moves.qualifier.end.saturating_sub(1)..moves.qualifier.end;
        bits.extend([Bit::Own(" FOR UPDATE OF "), Bit::Client(name)]);
        self.assemble(&bits)
    }
}

fn places<'r>(rows: impl Iterator<Item = &'r Row>) -> String {
    let quoted: Vec<String> = rows.map(|row| format!("\"{}\"", row.place)).collect();
    format!("ANY ('{{{}}}'::pg_catalog.tid[])", quoted.join(","))
}

impl Session {
    pub(super) async fn move_rows(
        &mut self,
        call: MoveCall<'_>,
        template: &Template,
        (sql, span): (&Bytes, &std::ops::Range<usize>),
        bind: Option<(&Bound, Until)>,
    ) -> Result<Told, Undone> {
        let first = call.sources.first().copied().unwrap_or(self.database.config.home);
        let moves = call.moves;
        let timed = !moves.moments.is_empty();
        let moment = if timed { Some(self.moment(first).await?) } else { None };
        let written = Written {
            sql,
            tokens: tokens_of(sql, span, &self.lex_options()),
            moves,
            moment,
            bound: bind.map_or_else(Bound::none, |(bound, _)| bound.clone()),
            extended: bind.is_some(),
        };
        for shard in Self::written_by(&Plan::Move {
            sources: crate::types::ShardSet::one(first),
            goal: call.goal,
            moves: Arc::clone(moves),
        })
        .unwrap_or_default()
        {
            self.admit_write(shard, template).await?;
        }
        let until = bind.map_or(Until::Executed, |(_, until)| until);
        let part = whole(first, written.restricted("false"));
        let mut told = self.ask_moved(&written, vec![part], &written.bound, until).await?;
        if until == Until::Described {
            return Ok(told);
        }
        let found = self.find_rows(&written, call).await?;
        refuse_collisions(moves, &found)?;
        let mut count = 0;
        // As on one server, unique indexes are looked at before foreign keys.
        for (goal, rows) in by_goal(&found) {
            count += self.insert_moved(&written, goal, &rows, &mut told).await?;
        }
        for one in &found {
            count += self.change_in_place(&written, one, &mut told).await?;
        }
        for one in &found {
            self.take_out(&written, one).await?;
        }
        told.tag = format!("UPDATE {count}");
        Ok(told)
    }

    /// Rows that stay on their shard.
    async fn change_in_place(&mut self, written: &Written<'_>, one: &Found, told: &mut Told) -> Result<usize, Undone> {
        let stay: Vec<&Row> = one.rows.iter().filter(|row| row.goal == one.shard).collect();
        if stay.is_empty() {
            return Ok(0);
        }
        let condition = format!("{}.ctid = {}", self.qualifier(written), places(stay.iter().copied()));
        let part = whole(one.shard, written.restricted(&condition));
        let answer = self.ask_moved(written, vec![part], &written.bound, Until::Executed).await?;
        let count = expect_count(&answer, stay.len())?;
        add(told, answer);
        Ok(count)
    }

    /// Rows that are on another shard by now.
    async fn take_out(&mut self, written: &Written<'_>, one: &Found) -> Result<(), Undone> {
        let go: Vec<&Row> = one.rows.iter().filter(|row| row.goal != one.shard).collect();
        if go.is_empty() {
            return Ok(());
        }
        self.refuse_followed(written.moves, one.shard, &go).await?;
        let sql = format!("DELETE FROM {} p WHERE p.ctid = {}", written.moves.name, places(go.iter().copied()));
        let part = Part::whole(one.shard, Bytes::from(sql));
        let answer = self.ask_moved(written, vec![part], &Bound::none(), Until::Executed).await?;
        expect_count(&answer, go.len())?;
        Ok(())
    }

    fn qualifier(&self, written: &Written<'_>) -> String {
        let spliced = written.assemble(&[Bit::Client(written.moves.qualifier.clone())]);
        String::from_utf8_lossy(&spliced.sql).into_owned()
    }

    /// One answer of all parts, each a statement of its own.
    async fn ask_moved(
        &mut self,
        written: &Written<'_>,
        parts: Vec<Part>,
        bound: &Bound,
        until: Until,
    ) -> Result<Told, Undone> {
        let prepared = Prepared { parts, order: Order::Parts, rows: None };
        let answers = self.ask_parts(&prepared.parts, Some((bound, until)), LAST_WORDS_WAIT).await?;
        prepared.join(answers, written.sql, written.extended, until == Until::Executed)
    }

    async fn find_rows(&mut self, written: &Written<'_>, call: MoveCall<'_>) -> Result<Vec<Found>, Undone> {
        let select = written.select();
        let parts: Vec<Part> = call.sources.iter().map(|shard| whole(*shard, select.clone())).collect();
        let prepared = Prepared { parts, order: Order::Parts, rows: None };
        let bound = written.bound.binary();
        let answers = self.ask_parts(&prepared.parts, Some((&bound, Until::Executed)), LAST_WORDS_WAIT).await?;
        if answers.iter().any(|answer| answer.failure.is_some()) {
            prepared.join(answers, written.sql, written.extended, true)?;
            return Err(broken().into());
        }
        let mut found = Vec::new();
        for (shard, answer) in call.sources.iter().zip(&answers) {
            found.push(read_rows(written, call.goal, *shard, answer)?);
        }
        Ok(found)
    }

    /// Rows that would be deleted or changed with those that are taken out.
    async fn refuse_followed(&mut self, moves: &Moves, shard: ShardId, go: &[&Row]) -> Result<(), Undone> {
        for follower in &moves.followers {
            let places = places(go.iter().copied());
            let sql = format!("SELECT 1 FROM {} p JOIN {} WHERE p.ctid = {places} LIMIT 1", moves.name, follower.join);
            if !self.ask_one(shard, &sql).await?.ends.is_empty() {
                return Err(ClientError::from(refusal::key_followed(&moves.display, &follower.display)).into());
            }
        }
        Ok(())
    }

    async fn insert_moved(
        &mut self,
        written: &Written<'_>,
        goal: ShardId,
        rows: &[(&Found, &Row)],
        told: &mut Told,
    ) -> Result<usize, Undone> {
        let moves = written.moves;
        let chunk = (MOVED_PARAMETERS_MAX / moves.columns.len().max(1)).max(1);
        if rows.len() > chunk && moves.refers_to_itself {
            let error =
                ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many rows move to another shard at once")
                    .detail("They refer to each other, and have to be put in together.")
                    .hint("Change fewer rows at once.");
            return Err(error.into());
        }
        let mut count = 0;
        for rows in rows.chunks(chunk) {
            let (bits, added) = insertion(written, rows)?;
            let bits: Vec<Bit<'_>> = bits.iter().map(Owned::bit).collect();
            let made = written.assemble(&bits);
            let bound = written.bound.with(&made.parameters, &added);
            let part = Part { parameters: None, ..whole(goal, made) };
            let answer = self.ask_moved(written, vec![part], &bound, Until::Executed).await?;
            count += expect_count(&answer, rows.len())?;
            add(told, answer);
        }
        Ok(count)
    }
}

/// A piece of text that is made here.
enum Owned {
    Text(String),
    Client(std::ops::Range<usize>),
    Added(usize),
}

impl Owned {
    fn bit(&self) -> Bit<'_> {
        match self {
            Self::Text(text) => Bit::Own(text),
            Self::Client(range) => Bit::Client(range.clone()),
            Self::Added(number) => Bit::Added(*number),
        }
    }
}

/// The INSERT of rows that come from elsewhere, and its parameters.
#[allow(clippy::type_complexity)]
fn insertion(
    written: &Written<'_>,
    rows: &[(&Found, &Row)],
) -> Result<(Vec<Owned>, Vec<(u32, Option<Bytes>)>), ClientError> {
    let moves = written.moves;
    let text = |text: &str| Owned::Text(text.to_owned());
    let columns: Vec<String> = moves.columns.iter().map(|name| quote_identifier(name)).collect();
    let mut bits = vec![Owned::Text(format!("INSERT INTO {}", moves.name))];
    if moves.qualifier.end == moves.table.end && moves.qualifier.start != moves.table.start {
        bits.extend([text(" AS "), Owned::Client(moves.qualifier.clone())]);
    }
    bits.push(Owned::Text(format!(" ({}) OVERRIDING SYSTEM VALUE VALUES ", columns.join(", "))));
    let mut added = Vec::new();
    for (number, (found, row)) in rows.iter().enumerate() {
        bits.push(text(if number == 0 { "(" } else { ", (" }));
        for column in 0..columns.len() {
            if column > 0 {
                bits.push(text(", "));
            }
            let set = moves.set_of(column);
            if let Some(set) = set.filter(|set| set.is_constant) {
                bits.push(Owned::Client(set.value.clone()));
                continue;
            }
            let computed = set.and_then(|set| written.computed().position(|other| other == set));
            let cell = computed.map_or(column, |computed| columns.len() + computed);
            let (own, of) = (found.types.get(column), found.types.get(cell).copied().unwrap_or(0));
            if of >= FIRST_USER_OID && own != Some(&of) {
                let why = "What a column is set to is of another type, which the servers know by numbers of their own";
                return Err(refusal::key_move(&moves.display, &moves.sharded.key, why).into());
            }
            bits.push(Owned::Added(added.len()));
            // Of a type of the user's own it is of the column's.
            let of = if of < FIRST_USER_OID { of } else { 0 };
            added.push((of, row.cells.get(cell).cloned().flatten()));
        }
        bits.push(text(")"));
    }
    if !moves.returning.is_empty() {
        bits.push(text(" "));
        bits.push(Owned::Client(moves.returning.clone()));
    }
    Ok((bits, added))
}

fn whole(shard: ShardId, made: Spliced) -> Part {
    Part {
        parameters: Some(made.parameters.clone()),
        ..Part { made: Some(Arc::new(made.clone())), ..Part::whole(shard, Bytes::from(made.sql)) }
    }
}

fn broken() -> ClientError {
    ClientError::new(SqlState::INTERNAL_ERROR, "a shard did not tell the rows that are to move")
}

fn expect_count(told: &Told, wanted: usize) -> Result<usize, ClientError> {
    let count = usize::try_from(backend::tag_rows(told.tag.as_bytes())).unwrap_or(usize::MAX);
    if count == wanted {
        return Ok(count);
    }
    // Rows are locked: nobody else has taken them away.
    Err(ClientError::new(SqlState::INTERNAL_ERROR, "a shard changed other rows than it was asked to"))
}

fn add(told: &mut Told, answer: Told) {
    let start = told.rows.len();
    told.rows = [&told.rows[..], &answer.rows[..]].concat().into();
    told.ends.extend(answer.ends.iter().map(|end| start + end));
    told.notices.extend(answer.notices);
}

fn by_goal(found: &[Found]) -> BTreeMap<ShardId, Vec<(&Found, &Row)>> {
    let mut all: BTreeMap<ShardId, Vec<(&Found, &Row)>> = BTreeMap::new();
    for one in found {
        for row in one.rows.iter().filter(|row| row.goal != one.shard) {
            all.entry(row.goal).or_default().push((one, row));
        }
    }
    all
}

fn read_rows(
    written: &Written<'_>,
    goal: Option<ShardId>,
    shard: ShardId,
    answer: &Answer,
) -> Result<Found, ClientError> {
    let moves = written.moves;
    let description = answer.description.as_ref().ok_or_else(broken)?;
    let types = backend::column_types(description).map_err(|_| broken())?;
    let new_key = moves.set_of(moves.key).filter(|set| !set.is_constant);
    let key_cell = new_key
        .and_then(|set| written.computed().position(|other| other == set))
        .map(|computed| moves.columns.len() + computed);
    let mut rows: Vec<Row> = Vec::new();
    let mut known: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for number in 0..answer.ends.len() {
        let frame = answer.row(number).ok_or_else(broken)?;
        let mut cells = backend::cells(frame).map_err(|_| broken())?;
        let place = cells.pop().flatten().and_then(|bytes| tid(&bytes)).ok_or_else(broken)?;
        let goal = match (goal, key_cell) {
            (Some(goal), _) => goal,
            (None, Some(cell)) => {
                let of = types.get(cell).copied().unwrap_or(0);
                goal_of(moves, of, cells.get(cell).and_then(Option::as_ref), shard)?
            }
            // A constant's goal is known before.
            (None, None) => {
                let why = "What the key is set to isn't known";
                return Err(refusal::key_move(&moves.display, &moves.sharded.key, why).into());
            }
        };
        // Joined with several rows, it is changed once, by any of them.
        if let Some(same) = known.get(&place).and_then(|at| rows.get(*at)) {
            if key_cell.is_some_and(|cell| same.cells.get(cell) != cells.get(cell)) {
                let why = "FROM has several rows for it, which say different keys";
                return Err(refusal::key_move(&moves.display, &moves.sharded.key, why).into());
            }
            continue;
        }
        known.insert(place.clone(), rows.len());
        rows.push(Row { place, cells, goal });
    }
    Ok(Found { shard, types, rows })
}

/// Block and offset, six bytes.
fn tid(bytes: &[u8]) -> Option<String> {
    let (block, offset) = bytes.split_first_chunk::<4>()?;
    let offset: [u8; 2] = offset.try_into().ok()?;
    Some(format!("({},{})", u32::from_be_bytes(*block), u16::from_be_bytes(offset)))
}

/// Where a row with this key belongs. What a column takes no NULL for stays where it is: the server refuses it.
fn goal_of(moves: &Moves, of: u32, value: Option<&Bytes>, shard: ShardId) -> Result<ShardId, ClientError> {
    let (display, key) = (&moves.display, &moves.sharded.key);
    let Some(bytes) = value else {
        return if moves.not_null { Ok(shard) } else { Err(refusal::null_key(display, key).into()) };
    };
    let unknown = || ClientError::from(refusal::key_unknown(display, key));
    let value = read_key(moves.sharded.key_type, of, bytes).ok_or_else(unknown)?;
    if matches!(&value, KeyValue::Text(text) if moves.cuts && text.ends_with(' ')) {
        return Err(unknown());
    }
    moves.sharded.placement.shard_of(&value).map_err(|why| match why {
        NoPlace::OtherType => unknown(),
        NoPlace::AboveRanges | NoPlace::NotListed => refusal::no_place(display, key, &show(&value)).into(),
    })
}

/// The value as the key's column will have it, if that is certain.
fn read_key(column: Option<KeyType>, of: u32, bytes: &[u8]) -> Option<KeyValue> {
    let value_type = match of {
        oid::INT2 => KeyType::Int2,
        oid::INT4 => KeyType::Int4,
        oid::INT8 => KeyType::Int8,
        oid::TEXT | oid::VARCHAR => KeyType::Text,
        oid::UUID => KeyType::Uuid,
        oid::DATE => KeyType::Date,
        oid::TIMESTAMP => KeyType::Timestamp,
        oid::TIMESTAMP_TZ => KeyType::TimestampTz,
        oid::NUMERIC => KeyType::Numeric,
        _ => return None,
    };
    let is_integer = |key_type| matches!(key_type, KeyType::Int2 | KeyType::Int4 | KeyType::Int8);
    let fits = column.is_some_and(|column| column == value_type || is_integer(column) && is_integer(value_type));
    if fits { key::from_binary(value_type, bytes).ok() } else { None }
}

/// A row that takes what another one gives up: on one server that is an error or not, by the order of the rows.
fn refuse_collisions(moves: &Moves, found: &[Found]) -> Result<(), ClientError> {
    // With one key for all, none of those that change has had it.
    if !moves.is_computed() {
        return Ok(());
    }
    let computed: Vec<&Set> = moves.sets.iter().filter(|set| !set.is_constant).collect();
    for index in &moves.unique {
        let is_known = |column: &&usize| moves.set_of(**column).is_none_or(|set| !set.is_constant);
        let compared: Vec<usize> = index.iter().filter(is_known).copied().collect();
        let new_cell = |column: usize| {
            let position = moves.set_of(column).and_then(|set| computed.iter().position(|other| *other == set));
            position.map_or(column, |position| moves.columns.len() + position)
        };
        let take = |row: &Row, new: bool| -> Vec<Option<Vec<u8>>> {
            let cell = |column: &usize| {
                let at = if new { new_cell(*column) } else { *column };
                row.cells.get(at).cloned().flatten().map(|bytes| comparable(&bytes))
            };
            compared.iter().map(cell).collect()
        };
        let changed = || found.iter().flat_map(|one| &one.rows).filter(|row| take(row, true) != take(row, false));
        let old: HashSet<Vec<Option<Vec<u8>>>> = changed().map(|row| take(row, false)).collect();
        if changed().any(|row| old.contains(&take(row, true))) {
            return Err(refusal::key_collision(&moves.display, &moves.sharded.key).into());
        }
    }
    Ok(())
}

/// Integers of all widths alike.
fn comparable(bytes: &[u8]) -> Vec<u8> {
    match bytes.len() {
        2 | 4 => {
            let fill = if bytes.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
            let mut wide = vec![fill; 8 - bytes.len()];
            wide.extend_from_slice(bytes);
            wide
        }
        _ => bytes.to_vec(),
    }
}
