//! The proxy's own statements of a gather: tables on the scratch database, and the COPYs between it and the shards.

use crate::planning::Pull;
use crate::planning::gather::{Gather, Table};
use crate::sql::quote_identifier;

pub(super) fn create(table: &Table, with_key: bool) -> String {
    let mut sql = format!("CREATE TEMPORARY TABLE pg_temp.{} (", quote_identifier(&table.made));
    for (position, column) in table.columns(with_key).enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        sql.push_str(&format!("{separator}{} {}", quote_identifier(&column.name), column.type_name));
        if let Some(collation) = &column.collation {
            sql.push_str(&format!(" COLLATE {collation}"));
        }
    }
    if with_key && !table.primary_key.is_empty() {
        let columns: Vec<String> = table.primary_key.iter().map(|column| quote_identifier(column)).collect();
        sql.push_str(&format!(", PRIMARY KEY ({})", columns.join(", ")));
    }
    sql.push_str(") ON COMMIT DROP");
    sql
}

/// The definition may ask the settings of the client for how literals are read: it was printed with these.
pub(super) fn create_view(name: &str, definition: &str) -> String {
    format!("CREATE TEMPORARY VIEW pg_temp.{} AS {definition};", quote_identifier(name))
}

/// If there is such a table or view.
pub(super) fn rename(name: &str, other: &str) -> String {
    format!("ALTER TABLE IF EXISTS pg_temp.{} RENAME TO {};", quote_identifier(name), quote_identifier(other))
}

fn columns(table: &Table, with_key: bool) -> String {
    let columns: Vec<String> = table.columns(with_key).map(|column| quote_identifier(&column.name)).collect();
    columns.join(", ")
}

pub(super) fn copy_in(table: &Table, with_key: bool) -> String {
    format!("COPY pg_temp.{} ({}) FROM STDIN (FORMAT binary)", quote_identifier(&table.made), columns(table, with_key))
}

pub(super) fn analyze(table: &Table) -> String {
    format!("ANALYZE pg_temp.{}", quote_identifier(&table.made))
}

/// The rows of all these tables, as one query string: in one transaction, and of one moment where it isn't the
/// client's.
pub(super) fn copy_out(
    (gather, pulls): (&Gather, &[Pull]),
    tables: &[usize],
    with_keys: bool,
    (own_block, recodes): (bool, bool),
) -> String {
    let copies: Vec<String> = tables
        .iter()
        .filter_map(|table| gather.tables.get(*table).zip(pulls.get(*table)))
        .map(|(table, pull)| {
            let from = format!("{}.{}", quote_identifier(&table.schema), quote_identifier(&table.name));
            let only = if pull.condition.is_empty() { "" } else { " WHERE " };
            format!(
                "COPY (SELECT {} FROM {from}{only}{}) TO STDOUT (FORMAT binary)",
                columns(table, with_keys),
                pull.condition
            )
        })
        .collect();
    let several = copies.len() > 1;
    let mut parts = copies;
    if recodes {
        parts.insert(0, TO_SERVER_ENCODING.to_owned());
        parts.push(TO_CLIENT_ENCODING.to_owned());
    }
    if own_block && several {
        format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;{};COMMIT", parts.join(";"))
    } else {
        parts.join(";")
    }
}

/// Selects what [`crate::execute::gather::Made`] reads.
pub(super) fn numbers(name: &str) -> String {
    let name = format!("pg_temp.{}", quote_identifier(name)).replace('\'', "''");
    format!(
        "SELECT c.oid || ' ' || c.reltype || ' ' || t.typarray FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_type t ON t.oid = c.reltype WHERE c.oid = '{name}'::pg_catalog.regclass;"
    )
}

/// Rows go in the servers' encoding, in which they are; within the transaction, whatever ends it.
pub(super) const TO_SERVER_ENCODING: &str = "SELECT pg_catalog.set_config('shardway.client_encoding', \
    pg_catalog.current_setting('client_encoding'), true), pg_catalog.set_config('client_encoding', \
    pg_catalog.current_setting('server_encoding'), true)";
pub(super) const TO_CLIENT_ENCODING: &str =
    "SELECT pg_catalog.set_config('client_encoding', pg_catalog.current_setting('shardway.client_encoding'), true)";
