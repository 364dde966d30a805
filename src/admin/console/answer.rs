//! A table of the console and how it goes out: text or binary, as the client asked.

use bytes::{BufMut, BytesMut};

use crate::protocol::backend::{self, Column};

#[derive(Clone, Debug)]
pub struct Answer {
    pub columns: Vec<(&'static str, Type)>,
    pub rows: Vec<Vec<Cell>>,
}

/// PgBouncer's own choice of types, which its exporters know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    Text,
    Int4,
    Int8,
    Numeric,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cell {
    Null,
    Text(String),
    Number(i64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::Null, Into::into)
    }
}

macro_rules! numbers {
    ($($number:ty),+) => {
        $(impl From<$number> for Cell {
            fn from(number: $number) -> Self {
                Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
            }
        })+
    };
}

numbers!(u16, u32, u64, u128, usize, i64);

impl From<bool> for Cell {
    fn from(is: bool) -> Self {
        Self::Number(i64::from(is))
    }
}

/// A row of cells from values of several types.
macro_rules! row {
    ($($value:expr),+ $(,)?) => { vec![$($crate::admin::console::answer::Cell::from($value)),+] };
}
pub(super) use row;

impl Type {
    fn oid_and_size(self) -> (u32, i16) {
        match self {
            Self::Text => (25, -1),
            Self::Int4 => (23, 4),
            Self::Int8 => (20, 8),
            Self::Numeric => (1700, -1),
        }
    }
}

/// The result formats of a Bind: none is text, one holds for all.
pub(super) fn is_binary(formats: &[i16], column: usize) -> bool {
    match formats {
        [] => false,
        [all] => *all == 1,
        each => each.get(column) == Some(&1),
    }
}

impl Answer {
    pub fn new(columns: &[(&'static str, Type)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(super) fn describe(&self, out: &mut BytesMut, formats: &[i16]) {
        let columns: Vec<Column<'_>> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, &(name, kind))| {
                let (oid, size) = kind.oid_and_size();
                Column { name, oid, size, format: i16::from(is_binary(formats, at)) }
            })
            .collect();
        backend::describe(out, &columns);
    }

    pub(super) fn put_row(&self, out: &mut BytesMut, row: &[Cell], formats: &[i16]) {
        let values: Vec<Option<Vec<u8>>> = row
            .iter()
            .zip(&self.columns)
            .enumerate()
            .map(|(at, (cell, (_, kind)))| encode(cell, *kind, is_binary(formats, at)))
            .collect();
        let values: Vec<Option<&[u8]>> = values.iter().map(Option::as_deref).collect();
        backend::row(out, &values);
    }
}

fn encode(cell: &Cell, kind: Type, binary: bool) -> Option<Vec<u8>> {
    let number = match cell {
        Cell::Null => return None,
        Cell::Text(text) => return Some(text.clone().into_bytes()),
        Cell::Number(number) => *number,
    };
    let fits = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    Some(match (kind, binary) {
        (Type::Int4, false) => fits(number).to_string().into_bytes(),
        (Type::Text, _) | (_, false) => number.to_string().into_bytes(),
        (Type::Int4, true) => fits(number).to_be_bytes().to_vec(),
        (Type::Int8, true) => number.to_be_bytes().to_vec(),
        (Type::Numeric, true) => numeric(number),
    })
}

/// numeric_send: digits to the base of 10,000, the highest first.
fn numeric(number: i64) -> Vec<u8> {
    let mut rest = number.unsigned_abs();
    let mut digits = Vec::new();
    while rest > 0 {
        digits.push(u16::try_from(rest % 10_000).unwrap_or(0));
        rest /= 10_000;
    }
    let weight = i16::try_from(digits.len()).unwrap_or(0) - 1;
    let mut out = Vec::with_capacity(8 + 2 * digits.len());
    out.put_u16(u16::try_from(digits.len()).unwrap_or(0));
    out.put_i16(weight.max(0));
    out.put_u16(if number < 0 { 0x4000 } else { 0 });
    out.put_u16(0);
    digits.iter().rev().for_each(|digit| out.put_u16(*digit));
    out
}

#[cfg(test)]
mod tests {
    use super::numeric;

    #[test]
    fn numerics_are_as_postgresql_sends_them() {
        // SELECT numeric_send(0), numeric_send(12345678), numeric_send(-10000)
        assert_eq!(numeric(0), [0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(numeric(12_345_678), [0, 2, 0, 1, 0, 0, 0, 0, 0x04, 0xd2, 0x16, 0x2e]);
        assert_eq!(numeric(-10_000), [0, 2, 0, 1, 0x40, 0, 0, 0, 0, 1, 0, 0]);
    }
}
