//! RowDescriptions whose numbers mean something on one server only: OIDs of user-defined types and of tables. In: a
//! frame of one server. Out: the same with the numbers that another server has for the same things.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::frame::{Fields, FrameError, HEADER_BYTES};

/// What stands for what.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Renumbering {
    pub types: Arc<HashMap<u32, u32>>,
    /// Types of the rows of these tables, and of arrays of them.
    pub row_types: HashMap<u32, u32>,
    /// By the OID of a table: its other OID, and the numbers of its columns by those that they have.
    pub tables: HashMap<u32, (u32, Vec<i16>)>,
}

impl Renumbering {
    /// # Errors
    /// For a frame that isn't a RowDescription.
    pub fn apply(&self, frame: &[u8]) -> Result<BytesMut, FrameError> {
        let mut fields = Fields::of(frame)?;
        let count = fields.count()?;
        let mut out = BytesMut::with_capacity(frame.len());
        out.put_slice(frame.get(..HEADER_BYTES).unwrap_or_default());
        out.put_slice(frame.get(HEADER_BYTES..HEADER_BYTES + 2).unwrap_or_default());
        for _ in 0..count {
            out.put_slice(fields.cstr()?);
            out.put_u8(0);
            let (table, column, oid) = (fields.u32()?, fields.i16()?, fields.u32()?);
            let renumbered = self.tables.get(&table).and_then(|(table, columns)| {
                let position = usize::try_from(column).ok()?.checked_sub(1)?;
                Some((*table, *columns.get(position)?))
            });
            let (table, column) = renumbered.unwrap_or((0, 0));
            out.put_u32(table);
            out.put_i16(column);
            let renumbered = self.types.get(&oid).or_else(|| self.row_types.get(&oid));
            out.put_u32(renumbered.copied().unwrap_or(oid));
            // Size, modifier, format.
            out.put_slice(fields.bytes(8)?);
        }
        fields.end()?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_tables_and_columns_are_renumbered_and_nothing_else() {
        let column = |table: u32, column: i16, oid: u32| {
            let mut out = BytesMut::from(&b"mood\0"[..]);
            out.put_u32(table);
            out.put_i16(column);
            out.put_u32(oid);
            out.put_slice(&[0, 4, 0xff, 0xff, 0xff, 0xff, 0, 1]);
            out
        };
        let frame = |columns: &[BytesMut]| {
            let mut out = BytesMut::from(&[b'T', 0, 0, 0, 0, 0][..]);
            out.put_u8(u8::try_from(columns.len()).expect("few"));
            columns.iter().for_each(|column| out.put_slice(column));
            out
        };
        let renumbering = Renumbering {
            types: Arc::new(HashMap::from([(20_000, 16_500)])),
            row_types: HashMap::new(),
            tables: HashMap::from([(30_000, (16_400, vec![2, 5]))]),
        };
        let given = frame(&[column(30_000, 2, 20_000), column(0, 0, 23), column(30_001, 1, 25)]);
        let wanted = frame(&[column(16_400, 5, 16_500), column(0, 0, 23), column(0, 0, 25)]);
        assert_eq!(renumbering.apply(&given).expect("a description"), wanted);
        assert!(renumbering.apply(&given[..20]).is_err());
    }
}
