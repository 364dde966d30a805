//! Which columns of a table a statement may read. In: the statement's text and the table. Out: columns in
//! the table's own order: more of them than needed is only slow, one too few raises an error.

use super::Column;
use crate::catalog::Relation;
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::text::Text;
use crate::sql::statement::Statement;

/// The columns to be gathered, and the primary key.
pub fn of(text: Text<'_>, statement: &Statement, relation: &Relation) -> (Vec<Column>, Vec<String>) {
    if needs_all(text, statement, relation) {
        return all(relation);
    }
    let key = key(relation);
    let names: Vec<String> = (0..text.pieces.len()).filter_map(|at| text.name(at)).collect();
    let mut columns: Vec<Column> = relation
        .columns
        .iter()
        .filter(|column| key.contains(&column.name) || names.contains(&column.name))
        .map(|known| Column { for_key: !names.contains(&known.name), ..column(known) })
        .collect();
    if columns.is_empty() {
        columns.extend(relation.columns.first().map(column));
    }
    if columns.iter().all(|column| column.for_key)
        && let Some(first) = columns.first_mut()
    {
        // Rows are counted, perhaps.
        first.for_key = false;
    }
    (columns, key)
}

/// Names of columns of a system catalog, of which not all can be gathered.
pub(super) fn named(text: Text<'_>, statement: &Statement) -> Result<Vec<String>, Refusal> {
    let shares = statement.scopes.iter().any(|scope| scope.natural);
    let renames = statement.scopes.iter().flat_map(|scope| &scope.relations).any(|relation| relation.renamed);
    let is_row = |name: &str| {
        statement.scopes.iter().flat_map(|scope| &scope.relations).any(|relation| {
            relation.alias.as_deref() == Some(name)
                || matches!(&relation.source, crate::sql::statement::Source::Table(table) if &*table.name == name)
        })
    };
    let rows = statement.bare_names.iter().any(|name| is_row(name));
    if statement.stars || shares || renames || rows {
        return Err(refusal::not_gathered("all columns of a system catalog"));
    }
    let mut names: Vec<String> = (0..text.pieces.len()).filter_map(|at| text.name(at)).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// All columns, and the primary key.
pub(super) fn all(relation: &Relation) -> (Vec<Column>, Vec<String>) {
    (relation.columns.iter().map(column).collect(), key(relation))
}

fn key(relation: &Relation) -> Vec<String> {
    let key = relation.unique_indexes.iter().find(|index| index.is_primary);
    key.map(|index| index.columns.clone()).unwrap_or_default()
}

pub fn column(column: &crate::catalog::Column) -> Column {
    Column {
        name: column.name.clone(),
        number: column.number,
        type_name: column.qualified_type.clone(),
        collation: column.qualified_collation.clone(),
        for_key: false,
    }
}

/// If the row is used as a whole, or columns by their position or by being shared.
pub fn needs_all(text: Text<'_>, statement: &Statement, relation: &Relation) -> bool {
    let is_row = |name: &str| {
        statement.scopes.iter().flat_map(|scope| &scope.relations).any(|relation| {
            relation.alias.as_deref() == Some(name)
                || matches!(&relation.source, crate::sql::statement::Source::Table(table) if &*table.name == name)
        })
    };
    // `x::users` means the type of the table's rows.
    let is_type = |at: usize| {
        text.name(at).as_deref() == Some(relation.name.as_str())
            && at.checked_sub(1).is_some_and(|before| text.bytes(before) == b"::" || text.is(before, "as"))
    };
    statement.stars
        || statement.scopes.iter().any(|scope| scope.natural)
        || statement.scopes.iter().flat_map(|scope| &scope.relations).any(|relation| relation.renamed)
        || statement.bare_names.iter().any(|name| is_row(name))
        || statement.attributes.iter().any(|attribute| attribute.qualifier.is_none())
        || (0..text.pieces.len()).any(is_type)
}
