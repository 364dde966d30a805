//! CREATE TABLE ... AS and SELECT ... INTO that read other shards than the home shard, where the new table is. In: the
//! statement's tokens. Out: a [`Transfer`] whose table is made first, from the query's own columns.

use std::ops::Range;
use std::sync::Arc;

use super::{CopyTarget, Transfer};
use crate::planning::plan::Refusal;
use crate::planning::query::{self, Gathered};
use crate::planning::refusal;
use crate::planning::scene::{Names, Scene};
use crate::planning::tables;
use crate::planning::text::Text;
use crate::planning::{build, ddl};
use crate::sql::LexOptions;
use crate::sql::parse::Piece;

/// What makes the table, by positions of tokens in the statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    name: Range<usize>,
    pub is_qualified: bool,
    pub is_temporary: bool,
    /// IF NOT EXISTS: one that is there stays as it is.
    pub if_absent: bool,
    how: How,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum How {
    /// CREATE TABLE: the query's end.
    Create(usize),
    /// SELECT INTO: the words between INTO and the name.
    Into(Range<usize>),
}

/// `CREATE TABLE name AS query`, of which the query is these tokens.
///
/// # Errors
/// Why it can't be done.
pub fn create_as(text: Text<'_>, query: Range<usize>, scene: &Scene, names: &Names) -> Result<Transfer, Refusal> {
    let mut at = 1;
    while text.is_any(at, &["global", "local", "temp", "temporary", "unlogged"]) {
        at += 1;
    }
    let is_temporary = (1..at).any(|at| text.is_any(at, &["temp", "temporary"]));
    let mut at = at + 1;
    let if_absent = text.is(at, "if") && text.is(at + 1, "not") && text.is(at + 2, "exists");
    if if_absent {
        at += 3;
    }
    let (table, behind) = ddl::table_name(text, at).ok_or_else(refusal::not_parsed)?;
    let made = Made {
        name: at..behind,
        is_qualified: table.schema.is_some(),
        is_temporary: is_temporary || table.schema.as_deref() == Some("pg_temp"),
        if_absent,
        how: How::Create(query.end),
    };
    let Gathered { mut gather, uses } = query::gathered(text.range(query.clone()), scene, names)?;
    gather.shift(query.start);
    Ok(transfer(made, (gather, uses), &table.name, scene))
}

/// `SELECT ... INTO name ...`.
///
/// # Errors
/// Why it can't be done.
pub fn select_into(text: Text<'_>, scene: &Scene, names: &Names) -> Result<Transfer, Refusal> {
    let mut depth = 0_usize;
    let into = (0..text.pieces.len()).find(|at| {
        depth = if text.punct(*at, b'(') { depth + 1 } else { depth - usize::from(depth > 0 && text.punct(*at, b')')) };
        depth == 0 && text.is(*at, "into")
    });
    let into = into.ok_or_else(|| refusal::makes_table("SELECT INTO"))?;
    let mut at = into + 1;
    while text.is_any(at, &["global", "local", "temp", "temporary", "unlogged"]) {
        at += 1;
    }
    let words = into + 1..at;
    at += usize::from(text.is(at, "table"));
    let (table, behind) = ddl::table_name(text, at).ok_or_else(refusal::not_parsed)?;
    let is_temporary = words.clone().any(|at| text.is_any(at, &["temp", "temporary"]));
    if tables::find(scene, names, &table).stands_for.is_some() {
        return Err(refusal::makes_table("SELECT INTO"));
    }
    let made = Made {
        name: at..behind,
        is_qualified: table.schema.is_some(),
        is_temporary: is_temporary || table.schema.as_deref() == Some("pg_temp"),
        if_absent: false,
        how: How::Into(words),
    };
    let cut = into..behind;
    let rest: Vec<Piece> =
        text.pieces.iter().enumerate().filter(|(at, _)| !cut.contains(at)).map(|(_, piece)| piece.clone()).collect();
    let Gathered { mut gather, uses } = query::gathered(Text { sql: text.sql, pieces: &rest }, scene, names)?;
    gather.shift_from(cut.start, cut.len());
    gather.query = 0..text.pieces.len();
    gather.left_out.extend(cut);
    Ok(transfer(made, (gather, uses), &table.name, scene))
}

fn transfer(
    made: Made,
    (gather, uses): (crate::planning::gather::Gather, Vec<crate::planning::route::Use>),
    name: &str,
    scene: &Scene,
) -> Transfer {
    Transfer {
        target: CopyTarget { display: name.to_owned(), shards: vec![scene.map.home()], key: None, watched: Vec::new() },
        schema: String::new(),
        name: name.to_owned(),
        columns: Vec::new(),
        listed: Vec::new(),
        is_whole: false,
        fills: Vec::new(),
        served: Vec::new(),
        gather: Arc::new(gather),
        uses,
        made: Some(made),
        tail: None,
    }
}

impl Made {
    /// The name as the client wrote it.
    pub fn name(&self, sql: &[u8], options: &LexOptions) -> String {
        let (pieces, span) = pieces(sql, options);
        let pieces = build::within(&pieces, &span);
        bytes_of(sql, pieces, self.name.clone())
    }

    /// Asks if something of that name is where the table would be made.
    pub fn existence(&self, name: &str) -> String {
        let schema = match (self.is_qualified, self.is_temporary) {
            (true, _) => "",
            (false, true) => "'pg_temp.' || ",
            (false, false) => "pg_catalog.quote_ident(pg_catalog.current_schema()) || '.' || ",
        };
        let name = name.replace('\\', "\\\\").replace('\'', "''");
        format!("SELECT pg_catalog.to_regclass({schema}E'{name}') IS NOT NULL")
    }

    /// What makes the table without rows, on a server that has all tables. One that wasn't there and is meanwhile is an
    /// error: its rows would be somebody else's.
    pub fn definition(&self, sql: &[u8], options: &LexOptions, is_there: bool) -> String {
        let (pieces, span) = pieces(sql, options);
        let pieces = build::within(&pieces, &span);
        match &self.how {
            How::Create(end) if self.if_absent && !is_there => {
                let before = bytes_of(sql, pieces, 0..self.name.start.saturating_sub(3));
                format!("{before} {} WITH NO DATA", bytes_of(sql, pieces, self.name.start..*end))
            }
            How::Create(end) => format!("{} WITH NO DATA", bytes_of(sql, pieces, 0..*end)),
            How::Into(words) => {
                let before = bytes_of(sql, pieces, 0..words.start.saturating_sub(1));
                let behind = bytes_of(sql, pieces, self.name.end..pieces.len());
                let words = bytes_of(sql, pieces, words.clone());
                let name = bytes_of(sql, pieces, self.name.clone());
                format!("CREATE {words} TABLE {name} AS {before} {behind} WITH NO DATA")
            }
        }
    }
}

fn pieces(sql: &[u8], options: &LexOptions) -> (Vec<Piece>, Range<usize>) {
    (build::pieces(sql, options), crate::sql::first_statement(sql, options))
}

fn bytes_of(sql: &[u8], pieces: &[Piece], range: Range<usize>) -> String {
    let pieces = pieces.get(range).unwrap_or_default();
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return String::new() };
    let bytes = sql.get(first.token.span.start..last.token.span.end).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}
