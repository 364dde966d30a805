//! Writes to reference tables: the same on every shard, whose copies are alike before and have to be alike after. In: a
//! statement whose target is a reference table. Out: what must be made equal on all shards, or why it can't be.

use std::sync::Arc;

use super::moment::{self, MomentCall};
use super::references;
use super::rows::{self, RowsLayout};
use super::shares::{depends_on_order, is_volatile};
use super::{is_dated, same_default};
use crate::planning::functions::Class;
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::scene::Scene;
use crate::planning::tables::{Found, Location};
use crate::planning::text::Text;
use crate::sql::statement::{InsertSource, Name, Operand, Place, Source, Statement, Write};

/// How a statement is written to all copies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copies {
    pub moments: Arc<[MomentCall]>,
    /// An INSERT of rows, into which moments have to be written.
    pub rows: Option<Arc<RowsLayout>>,
    /// See [`super::Several::dated`].
    pub dated: bool,
}

/// # Errors
/// Why the copies could differ.
pub fn plan<'a>(
    statement: &Statement,
    write: &Write,
    found: &Found,
    others: impl Iterator<Item = &'a Found>,
    scene: &Scene,
    text: Text<'_>,
) -> Result<Copies, Refusal> {
    let has_common = statement.scopes.iter().any(|scope| {
        scope.features.with || scope.relations.iter().any(|relation| matches!(relation.source, Source::Common(_)))
    });
    if statement.writes.len() != 1 || has_common {
        return Err(refusal::many_writes());
    }
    if matches!(write, Write::Merge { .. }) {
        return Err(refusal::merge_copies(&found.display));
    }
    for other in others {
        if !matches!(other.location, Location::Reference) {
            return Err(refusal::copies_of_others(&found.display, &other.display));
        }
    }
    if statement.system_columns || statement.dated_output {
        return Err(refusal::not_concatenable("a system column, or a cast to a date or time in RETURNING,"));
    }
    let unordered = |scope: &crate::sql::statement::Scope| {
        scope.features.limit
            || scope.features.distinct_on
            || scope.features.sample
            || scope.features.window
            || scope.features.locking
    };
    if statement.scopes.iter().any(unordered) {
        return Err(refusal::not_concatenable("LIMIT, OFFSET or DISTINCT ON in a write to a reference table"));
    }
    calls(statement, scene)?;
    references::of_table(scene, &found.schema, &found.name, true, &|_| true)?;
    let functions = scene.functions();
    let moments: Arc<[MomentCall]> = moment::calls(text, moment::wanted(statement, &functions))?.into();
    let relation = scene.catalog.as_ref().and_then(|catalog| catalog.relation(&found.schema, &found.name));
    let relation = relation.ok_or_else(|| refusal::no_column_list(&found.display))?;
    let rows = match write {
        Write::Insert { source: InsertSource::Rows(values), columns, .. } => {
            Some(Arc::new(rows::of_copies((scene, found, relation), columns, values, text, Arc::clone(&moments))?))
        }
        Write::Insert { source, columns, .. } => {
            // What isn't listed is left to its default; without a list it isn't known what is.
            let left = |column: &str| {
                matches!(source, InsertSource::DefaultValues)
                    || columns.is_empty()
                    || !columns.iter().any(|name: &Name| **name == *column)
            };
            for column in relation.columns.iter().filter(|column| left(&column.name)) {
                same_default(scene, column).map_err(|()| refusal::volatile_default(&found.display, &column.name))?;
            }
            None
        }
        Write::Update { assignments, .. } => {
            for set in assignments.iter().filter(|set| matches!(set.value, Operand::Default)) {
                let column = relation.column(&set.column);
                let same = column.is_none_or(|column| same_default(scene, column).is_ok());
                if !same {
                    return Err(refusal::volatile_default(&found.display, &set.column));
                }
            }
            None
        }
        Write::Delete { .. } | Write::Merge { .. } => None,
    };
    Ok(Copies { moments, rows, dated: relation.columns.iter().any(is_dated) })
}

/// Each server calls them for itself.
fn calls(statement: &Statement, scene: &Scene) -> Result<(), Refusal> {
    let functions = scene.functions();
    for call in &statement.calls {
        let class = functions.class(call.schema.as_deref(), &call.name);
        let same = match class {
            Class::Harmless => !is_volatile(scene, &call.name),
            Class::Moment => call.place != Place::Output,
            Class::Aggregate => !call.is_window && !depends_on_order(&call.name),
            Class::Window | Class::Server | Class::HomeBound | Class::ReadsTables | Class::Unknown => false,
        };
        if !same {
            return Err(refusal::function_in_copies(&call.name));
        }
    }
    Ok(())
}
