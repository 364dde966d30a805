//! Which of several shards' errors one PostgreSQL would have told, for an INSERT whose rows are divided. In: the fields
//! of an error, and the rows that the shard was given. Out: a [`Precedence`]; the least is the one.
//!
//! One server reads the whole text, then computes what is constant in all rows, then makes row after row, and looks at
//! foreign keys when all are made. Which row an error is about follows from what the server says of it; where it says
//! nothing, the first row of the share is taken.

use crate::planning::plan::RowsByShard;
use crate::planning::route::show;
use crate::types::KeyValue;

/// Of an error; what comes first on one server is less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Precedence {
    /// Found in the text, at this character of the client's.
    Text(usize),
    /// Found before any row was made: values are computed when the statement is planned.
    Value(usize),
    /// Found when this row was made.
    Row(usize),
    /// Found when all rows were made.
    Reference(usize),
}

/// What a server says of its error.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub code: &'a str,
    /// In the client's text.
    pub position: Option<usize>,
    pub detail: &'a str,
    /// It comes from a function or a trigger.
    pub has_context: bool,
}

pub fn of(told: Told<'_>, rows: &RowsByShard, share: &[usize]) -> Precedence {
    if let Some(position) = told.position {
        return Precedence::Text(position);
    }
    let row = row_of(told, rows, share).or(share.first().copied()).unwrap_or(usize::MAX);
    match told.code {
        "23503" => Precedence::Reference(row),
        code if code.starts_with("22") && !told.has_context => Precedence::Value(row),
        _ => Precedence::Row(row),
    }
}

/// The row that has the key which the server names.
fn row_of(told: Told<'_>, rows: &RowsByShard, share: &[usize]) -> Option<usize> {
    if let [only] = share {
        return Some(*only);
    }
    let (name, place, width) = &rows.layout.key;
    let value = match told.detail.strip_prefix("Failing row contains (") {
        Some(list) => nth(list.strip_suffix(").")?, *place, *width)?,
        None => {
            let (names, rest) = told.detail.strip_prefix("Key (")?.split_once(")=(")?;
            let end = rest.rfind(") ")?;
            let names: Vec<&str> = names.split(", ").collect();
            let place = names.iter().position(|found| found.trim_matches('"') == *name)?;
            nth(rest.get(..end)?, place, names.len())?
        }
    };
    share.iter().copied().find(|row| rows.keys.get(*row).is_some_and(|key| written(key.as_ref()) == value))
}

/// A list with values that contain its separator tells nothing.
fn nth(list: &str, place: usize, width: usize) -> Option<&str> {
    let values: Vec<&str> = list.split(", ").collect();
    if values.len() == width { values.get(place).copied() } else { None }
}

/// A key as a server writes it, for types of which there is one way.
pub(super) fn written(key: Option<&KeyValue>) -> String {
    match key {
        None => "null".to_owned(),
        Some(KeyValue::Text(text)) => text.to_string(),
        Some(other) => show(other),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Precedence, Told, of};
    use crate::planning::plan::RowsByShard;
    use crate::planning::writes::RowsLayout;
    use crate::types::KeyValue;

    fn rows() -> RowsByShard {
        let layout = RowsLayout {
            head: 0..0,
            columns_end: None,
            values: 0,
            rows: Vec::new(),
            tail: 0..0,
            moments: Box::default(),
            all_columns: Vec::new(),
            fills: Vec::new(),
            returns: crate::planning::writes::Returns::Nothing,
            conflicts: Vec::new(),
            key: ("id".to_owned(), 0, 2),
        };
        let keys = (1..=4).map(|key| Some(KeyValue::Int(key))).collect();
        RowsByShard { layout: Arc::new(layout), shares: Vec::new(), keys, wanted: Vec::new() }
    }

    fn precedence(code: &str, detail: &str, share: &[usize]) -> Precedence {
        of(Told { code, position: None, detail, has_context: false }, &rows(), share)
    }

    #[test]
    fn the_row_is_read_from_what_the_server_says() {
        assert_eq!(precedence("23502", "Failing row contains (3, null).", &[0, 2]), Precedence::Row(2));
        assert_eq!(precedence("23505", "Key (id)=(3) already exists.", &[0, 2]), Precedence::Row(2));
        assert_eq!(
            precedence("23503", "Key (id, n)=(4, 7) is not present in table \"p\".", &[1, 3]),
            Precedence::Reference(3)
        );
        // A value with a comma could be two.
        assert_eq!(precedence("23514", "Failing row contains (3, a, b).", &[0, 2]), Precedence::Row(0));
        assert_eq!(precedence("23514", "", &[2]), Precedence::Row(2));
    }

    #[test]
    fn values_are_computed_before_rows_are_made_and_references_come_last() {
        let value = precedence("22003", "", &[3]);
        let row = precedence("23514", "", &[0]);
        let reference = precedence("23503", "", &[0]);
        assert!(value < row && row < reference);
    }
}
