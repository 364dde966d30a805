//! Rows as columns. In: DataRows in binary. Out: one array a column, as PostgreSQL receives it (array_recv): what a
//! statement is given to make one answer of what several servers said.

use bytes::{BufMut, BytesMut};

use super::rows::value;
use crate::execute::replies::RelayError;
use crate::protocol::frame::Fields;
use crate::types::limits::MERGE_PARTS_BYTES_MAX;

#[derive(Debug)]
pub struct Arrays {
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    bytes_max: usize,
    /// More came than may be held: what did is dropped.
    overflown: Option<bool>,
}

#[derive(Debug, Default)]
struct Column {
    has_null: bool,
    /// Each value with its length before it.
    values: BytesMut,
}

impl Arrays {
    pub fn new(columns: usize) -> Self {
        let columns = (0..columns).map(|_| Column::default()).collect();
        Self { columns, rows: 0, bytes: 0, bytes_max: MERGE_PARTS_BYTES_MAX, overflown: None }
    }

    /// Of which more than so many bytes aren't wanted, and are no error.
    pub fn up_to(columns: usize, bytes_max: usize) -> Self {
        Self { bytes_max, overflown: Some(false), ..Self::new(columns) }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The values of a column that came as text.
    pub fn texts(&self, column: usize) -> impl Iterator<Item = &str> {
        let mut rest = self.columns.get(column).map(|column| &column.values[..]).unwrap_or_default();
        std::iter::from_fn(move || {
            let (len, behind) = rest.split_first_chunk::<4>()?;
            let len = usize::try_from(i32::from_be_bytes(*len)).unwrap_or(0);
            let value;
            (value, rest) = behind.split_at_checked(len)?;
            Some(std::str::from_utf8(value).unwrap_or_default())
        })
    }

    /// If they hold all rows.
    pub fn are_whole(&self) -> bool {
        self.overflown != Some(true)
    }

    /// # Errors
    /// For what isn't a row of as many columns, and when there is too much.
    pub fn push(&mut self, frame: &[u8]) -> Result<(), RelayError> {
        self.bytes += frame.len();
        if self.bytes > self.bytes_max {
            if self.overflown.is_some() {
                self.overflown = Some(true);
                self.columns.iter_mut().for_each(|column| *column = Column::default());
                return Ok(());
            }
            let limit = MERGE_PARTS_BYTES_MAX >> 20;
            return Err(RelayError::TooMuch(format!("the shards' groups take more than {limit} MiB together")));
        }
        let mut fields = Fields::of(frame)?;
        if fields.count()? != self.columns.len() {
            return Err(RelayError::Disagree("a shard's row has other columns than were described".to_owned()));
        }
        for column in &mut self.columns {
            match value(&mut fields)? {
                Some(value) => {
                    column.values.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
                    column.values.extend_from_slice(value);
                }
                None => {
                    column.has_null = true;
                    column.values.put_i32(-1);
                }
            }
        }
        self.rows += 1;
        fields.end().map_err(RelayError::from)
    }

    /// Appends the array of a column whose elements have this type, its length before it.
    pub fn put(&self, out: &mut Vec<u8>, column: usize, type_oid: u32) {
        let Some(column) = self.columns.get(column) else { return };
        let rows = u32::try_from(self.rows).unwrap_or(u32::MAX);
        let header: &[u32] = match rows {
            // An empty array has no dimension.
            0 => &[0, 0, type_oid],
            _ => &[1, u32::from(column.has_null), type_oid, rows, 1],
        };
        let len = header.len() * 4 + column.values.len();
        out.extend(u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(header.iter().flat_map(|word| word.to_be_bytes()));
        out.extend_from_slice(&column.values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_becomes_an_array() {
        let mut arrays = Arrays::new(2);
        for values in [[Some("a"), None], [Some("bc"), Some("")]] {
            let mut frame = BytesMut::new();
            crate::protocol::backend::text_row(&mut frame, &values);
            arrays.push(&frame).expect("a row");
        }
        let mut out = Vec::new();
        arrays.put(&mut out, 0, 25);
        assert_eq!(out, b"\0\0\0\x1f\0\0\0\x01\0\0\0\0\0\0\0\x19\0\0\0\x02\0\0\0\x01\0\0\0\x01a\0\0\0\x02bc");
        out.clear();
        arrays.put(&mut out, 1, 25);
        assert_eq!(out, b"\0\0\0\x1c\0\0\0\x01\0\0\0\x01\0\0\0\x19\0\0\0\x02\0\0\0\x01\xff\xff\xff\xff\0\0\0\0");
        out.clear();
        Arrays::new(1).put(&mut out, 0, 20);
        assert_eq!(out, b"\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\0\x14");
        let mut frame = BytesMut::new();
        crate::protocol::backend::text_row(&mut frame, &[None]);
        assert!(arrays.push(&frame).is_err());
    }
}
