//! Columns that are set back to their defaults, and those that a MERGE leaves to them. In: a write to a sharded table. Out:
//! why its shard can't be trusted with them.
//!
//! A sequence gives each shard numbers of its own, and the default of the shard key may belong to another shard. Columns
//! that an INSERT leaves to their defaults are none of this module's.

use super::{Target, Written, rows};
use crate::planning::refusal;
use crate::planning::route::Override;
use crate::planning::text::Text;
use crate::sql::statement::{Assignment, MergeInsert, Operand, Write};

/// # Errors
/// The first column whose default isn't the same wherever the row is.
pub fn check(table: &Target<'_>, write: &Write, text: Text<'_>) -> Written<()> {
    match write {
        Write::Update { assignments, .. } => assigned(table, assignments),
        Write::Insert { conflict_sets, .. } if rows::conflict_sets_defaults(text) => {
            conflict_sets.iter().try_for_each(|column| column_of(table, column))
        }
        Write::Merge { assignments, inserts, .. } => {
            assigned(table, assignments)?;
            inserts.iter().try_for_each(|insert| left_out(table, insert))
        }
        Write::Insert { .. } | Write::Delete { .. } => Ok(()),
    }
}

fn assigned(table: &Target<'_>, assignments: &[Assignment]) -> Written<()> {
    for set in assignments.iter().filter(|set| matches!(set.value, Operand::Default)) {
        if *set.column == *table.sharded.key {
            let why = "Its default may belong to another one";
            return Err((refusal::key_move(&table.found.display, &table.sharded.key, why), Override::Never));
        }
        column_of(table, &set.column)?;
    }
    Ok(())
}

fn left_out(table: &Target<'_>, insert: &MergeInsert) -> Written<()> {
    let columns = table.relation().into_iter().flat_map(|relation| &relation.columns).enumerate();
    for (position, column) in columns.filter(|(_, column)| !column.generated) {
        let place = match insert.columns.as_slice() {
            [] => Some(position),
            listed => listed.iter().position(|name| **name == *column.name),
        };
        let value = place.and_then(|place| insert.values.get(place));
        if matches!(value, None | Some(Operand::Default)) {
            table.check_default(column)?;
        }
    }
    Ok(())
}

fn column_of(table: &Target<'_>, name: &str) -> Written<()> {
    let column = table.relation().and_then(|relation| relation.column(name));
    column.filter(|column| !column.generated).map_or(Ok(()), |column| table.check_default(column))
}
