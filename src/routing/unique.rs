//! What is kept unique over all shards. In: the configuration. Out: for each list of columns the name of its *claims*, a
//! table on every shard that has one row for each value, with the shard key of the row that has it.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::config::{DatabaseConfig, TableKind};
use crate::types::limits::NAME_BYTES_MAX;

/// Columns of a sharded table, without its shard key, whose values don't repeat on any shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unique {
    pub schema: String,
    pub table: String,
    pub columns: Vec<String>,
    /// The shard key's column.
    pub key: String,
    /// The name of the claims, in the schema `shardway`.
    pub claims: String,
}

/// Bytes that a name leaves for endings of its own.
const ENDING_BYTES: usize = 12;

pub(super) fn of(database: &DatabaseConfig) -> Vec<Arc<Unique>> {
    let mut all = Vec::new();
    for table in &database.tables {
        let TableKind::Sharded { key, unique, .. } = &table.kind else { continue };
        for columns in unique {
            all.push(Arc::new(Unique::new(&table.schema, &table.name, columns, key)));
        }
    }
    all
}

impl Unique {
    pub fn new(schema: &str, table: &str, columns: &[String], key: &str) -> Self {
        let claims = claims_name(schema, table, columns);
        let (schema, table) = (schema.to_owned(), table.to_owned());
        Self { schema, table, columns: columns.to_vec(), key: key.to_owned(), claims }
    }

    /// The unique index of the claims: errors name it where PostgreSQL names the table's own.
    pub fn index(&self) -> String {
        format!("{}_key", self.claims)
    }

    /// If these are its columns, in any order.
    pub fn has_columns<S: AsRef<str>>(&self, columns: &[S]) -> bool {
        columns.len() == self.columns.len()
            && columns.iter().all(|column| self.columns.iter().any(|own| own == column.as_ref()))
    }

    /// As messages show it.
    pub fn describe(&self) -> String {
        let table =
            if self.schema == "public" { self.table.clone() } else { format!("{}.{}", self.schema, self.table) };
        format!("{table} ({})", self.columns.join(", "))
    }
}

/// Readable, and different for each list of columns.
fn claims_name(schema: &str, table: &str, columns: &[String]) -> String {
    let hash = xxh3_64(format!("{schema:?} {table:?} {columns:?}").as_bytes());
    let plain = |text: &str| -> String {
        text.chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' })
            .collect()
    };
    let mut name = format!("uq_{}_{}", plain(table), plain(&columns.join("_")));
    name.truncate(NAME_BYTES_MAX - ENDING_BYTES - 9);
    format!("{name}_{:08x}", hash & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::Unique;

    #[test]
    fn claims_have_names_of_their_own() {
        let name = |table: &str, columns: &[&str]| {
            let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
            Unique::new("public", table, &columns, "id").claims
        };
        assert!(name("users", &["email"]).starts_with("uq_users_email_"));
        assert_ne!(name("a_b", &["c"]), name("a", &["b_c"]));
        assert_ne!(name("a", &["b", "c"]), name("a", &["c", "b"]));
        let long = Unique::new("public", &"x".repeat(63), &["y".repeat(63)], "id");
        assert!(long.index().len() < 60, "{}", long.index());
    }
}
