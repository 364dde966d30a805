//! The shard map of one database: built once from the configuration and the types of the keys,
//! then shared and never changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use super::key::KeyError;
use super::placement::{NoPlace, Placement};
use super::unique::Unique;
use crate::config::DatabaseConfig;
use crate::config::declared::Declared;
use crate::types::{KeyType, KeyValue, ShardId};

mod build;

/// Which tables are sharded, by what, and where each key's rows are.
#[derive(Clone, Debug)]
pub struct ShardMap {
    home: ShardId,
    /// Names by [`ShardId`].
    shards: Vec<String>,
    tables: Tables,
    /// What is kept unique over all shards.
    uniques: Vec<Arc<Unique>>,
    /// Where claims are: by the hash of the first column's value.
    hash: Arc<Placement>,
    version: u64,
    /// The column that shards a new table which has it, unless the configuration names the table.
    new_tables: Option<Declared>,
}

/// By schema and name.
type Tables = BTreeMap<String, BTreeMap<String, TableRoute>>;

#[derive(Clone, Debug)]
pub enum TableRoute {
    Sharded(Sharded),
    /// A copy on every shard.
    Reference,
}

#[derive(Clone, Debug)]
pub struct Sharded {
    /// The column, as PostgreSQL knows it.
    pub key: String,
    /// `None`: no server was asked and the file doesn't say. Then only hash placement is possible,
    /// and a value has to be of the variant of which the column is.
    pub key_type: Option<KeyType>,
    /// Tables of one group are colocated: equal keys are on one shard.
    pub group: usize,
    pub placement: Arc<Placement>,
}

/// A mistake in a placement that only shows once the key's type is known.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum MapError {
    #[error("the database has no shard at position {0}")]
    NoSuchShard(ShardId),
    #[error("the file assigns {0} buckets; there are 4096")]
    BucketCount(usize),
    #[error("table {0} is configured twice")]
    Duplicate(String),
    #[error("table {0} is colocated with a table that is not sharded")]
    NoGroup(String),
    #[error(
        "table {table}: the type of its key {key} is not known; range and list placement need it (write `type`, or see that the servers can be reached)"
    )]
    TypeUnknown { table: String, key: String },
    #[error("table {table}: the file says that its key is {configured:?}, but the servers have {actual:?}")]
    TypeDiffers { table: String, configured: KeyType, actual: KeyType },
    #[error("table {table}: its key is {key_type:?}, but that of the tables it is colocated with is {group_type:?}")]
    GroupTypeDiffers { table: String, key_type: KeyType, group_type: KeyType },
    #[error(
        "table {table}: hash placement needs a key of type smallint, integer, bigint, text, varchar or uuid, not {key_type:?}"
    )]
    NotHashable { table: String, key_type: KeyType },
    #[error(
        "table {table}: range placement needs a key whose order is the same everywhere: a number, a date or a timestamp, not {key_type:?}; use hash or list placement"
    )]
    NotOrdered { table: String, key_type: KeyType },
    #[error("table {table}: '{value}' can't be a key of type {key_type:?}: {error}")]
    Value { table: String, value: String, key_type: KeyType, error: KeyError },
    #[error("table {table}: the range until '{value}' doesn't end above the one before")]
    NotAscending { table: String, value: String },
    #[error("table {table}: only the last range may have no `until`")]
    EndlessRange { table: String },
    #[error("table {table}: it has no range or value at all")]
    NoPlaces { table: String },
    #[error("table {table}: '{value}' is listed twice")]
    ListedTwice { table: String, value: String },
}

/// Tells the type of a key column: schema, table, column. `None` when no server could be asked.
pub type KeyTypes<'a> = &'a dyn Fn(&str, &str, &str) -> Option<KeyType>;

impl ShardMap {
    /// Builds the map of a database.
    ///
    /// # Errors
    /// Every mistake that was found.
    pub fn new(database: &DatabaseConfig, key_types: KeyTypes<'_>) -> Result<Self, Vec<MapError>> {
        let (tables, hash) = build::tables(database, key_types)?;
        let uniques = super::unique::of(database);
        let shards = database.shards.iter().map(|shard| shard.name.clone()).collect();
        let mut map = Self {
            home: database.home,
            shards,
            tables,
            uniques,
            hash,
            version: 0,
            new_tables: database.new_tables.clone(),
        };
        map.version = map.fingerprint();
        Ok(map)
    }

    /// The shard of the tables that aren't sharded.
    pub fn home(&self) -> ShardId {
        self.home
    }

    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    pub fn shard_ids(&self) -> impl Iterator<Item = ShardId> + use<> {
        // `new` was given as many shards as ShardId can number, or `check_shard` would have failed.
        (0..self.shards.len()).map_while(|position| u16::try_from(position).ok().map(ShardId::new))
    }

    /// The name of a shard of this map.
    pub fn shard_name(&self, shard: ShardId) -> &str {
        self.shards.get(shard.index()).map_or("?", String::as_str)
    }

    pub fn shard_by_name(&self, name: &str) -> Option<ShardId> {
        self.shard_ids().find(|shard| self.shard_name(*shard) == name)
    }

    /// How a table is placed; `None`: it lives on the home shard.
    pub fn table(&self, schema: &str, name: &str) -> Option<&TableRoute> {
        self.tables.get(schema)?.get(name)
    }

    /// How new tables are placed that the configuration doesn't name, if they have such a column.
    pub fn new_tables(&self) -> Option<&Declared> {
        self.new_tables.as_ref()
    }

    /// Whether the key of that name, `table.key` or `schema.table.key`, is placed by its hash.
    pub fn is_hashed(&self, key: &str) -> bool {
        let Some((table, key)) = key.rsplit_once('.') else { return false };
        let (schema, table) = table.split_once('.').unwrap_or(("public", table));
        matches!(self.table(schema, table), Some(TableRoute::Sharded(sharded))
            if sharded.key == key && matches!(*sharded.placement, Placement::Hash(_)))
    }

    /// Schema, name and placement of every sharded or reference table.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &str, &TableRoute)> {
        self.tables.iter().flat_map(|(schema, tables)| {
            tables.iter().map(move |(name, route)| (schema.as_str(), name.as_str(), route))
        })
    }

    /// What is kept unique over all shards, of all tables.
    pub fn uniques(&self) -> &[Arc<Unique>] {
        &self.uniques
    }

    /// The same of one table.
    pub fn uniques_of<'a>(&'a self, schema: &'a str, name: &'a str) -> impl Iterator<Item = &'a Arc<Unique>> {
        self.uniques.iter().filter(move |unique| unique.schema == schema && unique.table == name)
    }

    /// Where the claim to a value is, by that of its first column.
    ///
    /// # Errors
    /// For a value of a type that isn't hashed.
    pub fn shard_of_claim(&self, value: &KeyValue) -> Result<ShardId, NoPlace> {
        self.hash.shard_of(value)
    }

    /// Differs between maps that route anything differently, and is the same for equal ones.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn fingerprint(&self) -> u64 {
        let mut text = format!("{:?} {:?}", self.home, self.shards);
        for (schema, name, route) in self.tables() {
            let details = match route {
                TableRoute::Sharded(sharded) => Some((&sharded.key, sharded.key_type, sharded.group)),
                TableRoute::Reference => None,
            };
            let placement = self.describe_placement(schema, name);
            let uniques: Vec<&Vec<String>> = self.uniques_of(schema, name).map(|unique| &unique.columns).collect();
            text.push_str(&format!("\n{schema:?} {name:?} {details:?} {placement:?} {uniques:?}"));
        }
        xxh3_64(text.as_bytes())
    }
}

#[cfg(test)]
pub(super) mod tests;
