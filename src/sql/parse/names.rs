//! Identifiers, as PostgreSQL folds them. A keyword where PostgreSQL allows none is a sign that the
//! parser has read the statement differently: it isn't parsed then.

use sqlparser::ast;

use super::{Lowered, NotParsed};
use crate::sql::statement::{Name, TableName};

/// PostgreSQL truncates longer ones (NAMEDATALEN - 1).
const BYTES_MAX: usize = 63;

/// Keywords of PostgreSQL 14 to 17 that can't be a column, a table or an alias (pg_get_keywords,
/// catcode R and T), sorted.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

/// Keywords that call a function without parentheses.
const BARE_CALLS: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "system_user",
    "user",
];

pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

pub(super) fn is_bare_call(word: &str) -> bool {
    BARE_CALLS.contains(&word)
}

/// Folded, whatever word it is.
pub(super) fn fold(ident: &ast::Ident) -> Lowered<Name> {
    let name = match ident.quote_style {
        None => ident.value.to_ascii_lowercase(),
        Some('"') => ident.value.clone(),
        Some(_) => return Err(NotParsed),
    };
    if name.is_empty() || name.len() > BYTES_MAX { Err(NotParsed) } else { Ok(name.into_boxed_str()) }
}

/// The name of a column, a table, a schema or an alias.
pub(super) fn name(ident: &ast::Ident) -> Lowered<Name> {
    let name = fold(ident)?;
    if ident.quote_style.is_none() && is_reserved(&name) { Err(NotParsed) } else { Ok(name) }
}

pub(super) fn part(part: &ast::ObjectNamePart) -> Lowered<&ast::Ident> {
    match part {
        ast::ObjectNamePart::Identifier(ident) => Ok(ident),
        ast::ObjectNamePart::Function(_) => Err(NotParsed),
    }
}

/// `table` or `schema.table`.
pub(super) fn table(object: &ast::ObjectName) -> Lowered<TableName> {
    match object.0.as_slice() {
        [table] => Ok(TableName { schema: None, name: name(part(table)?)? }),
        [schema, table] => Ok(TableName { schema: Some(name(part(schema)?)?), name: name(part(table)?)? }),
        _ => Err(NotParsed),
    }
}

/// A single name.
pub(super) fn single(object: &ast::ObjectName) -> Lowered<Name> {
    match object.0.as_slice() {
        [only] => name(part(only)?),
        _ => Err(NotParsed),
    }
}
