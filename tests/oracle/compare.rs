//! Two answers to the same messages. In: what Shardway and one PostgreSQL said. Out: the first difference, in words.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use super::list::{Compared, Entry};
use super::wire::{Column, Event, Report, Row, Turn};

const SHOWN_ROWS: usize = 6;

/// What says that Shardway refuses.
pub const REFUSAL: &str = "0A000";

pub fn is_refusal(turn: &Turn) -> bool {
    turn.error().is_some_and(|report| report.code == REFUSAL)
}

/// `None`: the answers are the same, as far as the entry asks.
pub fn difference(shardway: &Turn, truth: &Turn, entry: &Entry, types: &HashMap<u32, String>) -> Option<String> {
    let (got, expected) = (normal(shardway, entry, types), normal(truth, entry, types));
    if got == expected || fail_by_different_rows(shardway, truth, entry) {
        return None;
    }
    let mut text = String::new();
    let differs = |at: &usize| got.get(*at) != expected.get(*at);
    let is_count = |at: &usize| matches!(got.get(*at), Some(Seen::RowCount(_)));
    let first = (0..got.len().max(expected.len())).filter(differs).min_by_key(is_count);
    let at = first.expect("they differ somewhere");
    let show = |side: &[Seen]| side.get(at).map_or("nothing more".to_owned(), Seen::shown);
    write!(text, "got      {}\nexpected {}", show(&got), show(&expected)).expect("a String takes any text");
    Some(text)
}

/// Several rows of a random UPDATE or DELETE may each be wrong in a way of their own: which of them is met first goes by
/// where they are stored. Listed statements have one mistake each.
fn fail_by_different_rows(shardway: &Turn, truth: &Turn, entry: &Entry) -> bool {
    let is_random = ["seed ", "smaller", "smallest"].iter().any(|start| entry.place.starts_with(start));
    let writes = ["UPDATE", "DELETE"].iter().any(|verb| entry.sql.starts_with(verb));
    let of_a_row = |turn: &Turn| turn.error().is_some_and(|report| ["22", "23"].contains(&&report.code[..2]));
    is_random && writes && of_a_row(shardway) && of_a_row(truth) && shardway.status == truth.status
}

/// An event with everything taken out that may differ.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    Event(Event),
    Parameters(Vec<String>),
    Columns(Vec<(String, Column)>),
    Rows(Vec<Row>),
    RowCount(usize),
    Different(Vec<usize>),
    Notices(Vec<Report>),
    Status(char),
}

impl Seen {
    fn shown(&self) -> String {
        match self {
            Self::Rows(rows) => {
                let shown: Vec<String> = rows.iter().take(SHOWN_ROWS).map(shown_row).collect();
                let more = if rows.len() > SHOWN_ROWS { ", ..." } else { "" };
                format!("{} rows: {}{more}", rows.len(), shown.join(", "))
            }
            Self::Event(Event::Error(report)) => format!("error {report:?}"),
            other => format!("{other:?}"),
        }
    }
}

fn shown_row(row: &Row) -> String {
    let cell =
        |cell: &Option<Vec<u8>>| cell.as_ref().map_or("NULL".to_owned(), |bytes| bytes.escape_ascii().to_string());
    format!("({})", row.iter().map(cell).collect::<Vec<_>>().join(", "))
}

fn normal(turn: &Turn, entry: &Entry, types: &HashMap<u32, String>) -> Vec<Seen> {
    let failed = turn.error().is_some();
    let name = |oid: u32| types.get(&oid).cloned().unwrap_or_else(|| oid.to_string());
    let (mut seen, mut all) = (Vec::new(), Vec::new());
    for event in &turn.events {
        match event {
            // How far a turn got before its error is the plan's affair.
            Event::ParseComplete | Event::BindComplete | Event::NoData | Event::Columns(_) if failed => {}
            Event::Rows(_) if failed || entry.compared == Compared::Outcome => {}
            Event::Columns(_) | Event::NoData if entry.compared == Compared::Outcome => {}
            Event::Rows(rows) => {
                all.extend_from_slice(rows);
                seen.push(Seen::RowCount(rows.len()));
            }
            Event::Parameters(oids) => seen.push(Seen::Parameters(oids.iter().map(|oid| name(*oid)).collect())),
            Event::Columns(columns) => {
                let named = columns.iter().map(|column| (name(column.oid), Column { oid: 0, ..column.clone() }));
                seen.push(Seen::Columns(named.collect()));
            }
            other => seen.push(Seen::Event(other.clone())),
        }
    }
    // Together, since which of them come first is open unless they are ordered.
    if entry.compared == Compared::All && !failed {
        seen.extend(normal_rows(all, entry));
    }
    let mut notices = turn.notices.clone();
    notices.sort();
    if !notices.is_empty() {
        seen.push(Seen::Notices(notices));
    }
    seen.push(Seen::Status(char::from(turn.status)));
    seen
}

fn normal_rows(mut rows: Vec<Row>, entry: &Entry) -> Vec<Seen> {
    let mut different = Vec::new();
    for column in &entry.opaque {
        let values: BTreeSet<_> = rows.iter_mut().filter_map(|row| row.get_mut(*column)).map(Option::take).collect();
        different.push(values.len());
    }
    if !entry.is_ordered {
        rows.sort();
    }
    vec![Seen::Rows(rows), Seen::Different(different)]
}
