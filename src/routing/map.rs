//! The shard map of one database: built once from the configuration and the types of the keys,
//! then shared and never changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use super::key::{KeyError, compare, from_text, is_of};
use super::placement::{HashPlacement, ListPlacement, Placement, RangePlacement};
use crate::config::{
    DatabaseConfig, ListConfig, PlacementConfig, RangeConfig, TableConfig, TableKind,
};
use crate::types::{Bucket, KeyType, KeyValue, ShardId};

/// Which tables are sharded, by what, and where each key's rows are.
#[derive(Clone, Debug)]
pub struct ShardMap {
    home: ShardId,
    /// Names by [`ShardId`].
    shards: Vec<String>,
    tables: BTreeMap<String, BTreeMap<String, TableRoute>>,
    version: u64,
}

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
        "table {table}: the type of its key {key} is not known; range and list placement need it (write key_type, or see that the servers can be reached)"
    )]
    TypeUnknown { table: String, key: String },
    #[error(
        "table {table}: the file says that its key is {configured:?}, but the servers have {actual:?}"
    )]
    TypeDiffers {
        table: String,
        configured: KeyType,
        actual: KeyType,
    },
    #[error(
        "table {table}: its key is {key_type:?}, but that of the tables it is colocated with is {group_type:?}"
    )]
    GroupTypeDiffers {
        table: String,
        key_type: KeyType,
        group_type: KeyType,
    },
    #[error(
        "table {table}: hash placement needs a key of type smallint, integer, bigint, text, varchar or uuid, not {key_type:?}"
    )]
    NotHashable { table: String, key_type: KeyType },
    #[error(
        "table {table}: range placement needs a key whose order is the same everywhere: a number, a date or a timestamp, not {key_type:?}; use hash or list placement"
    )]
    NotOrdered { table: String, key_type: KeyType },
    #[error("table {table}: '{value}' can't be a key of type {key_type:?}: {error}")]
    Value {
        table: String,
        value: String,
        key_type: KeyType,
        error: KeyError,
    },
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
        let mut builder = Builder {
            database,
            groups: HashMap::new(),
            errors: Vec::new(),
        };
        builder.check_shard(database.home);
        let hash = builder.hash_placement();
        builder.find_group_types(key_types);
        let mut tables: BTreeMap<String, BTreeMap<String, TableRoute>> = BTreeMap::new();
        for (position, table) in database.tables.iter().enumerate() {
            let Some(route) = builder.route(position, table, key_types, hash.as_ref()) else {
                continue;
            };
            let same_schema = tables.entry(table.schema.clone()).or_default();
            if same_schema.insert(table.name.clone(), route).is_some() {
                builder.errors.push(MapError::Duplicate(full_name(table)));
            }
        }
        if !builder.errors.is_empty() {
            return Err(builder.errors);
        }
        let shards = database
            .shards
            .iter()
            .map(|shard| shard.name.clone())
            .collect();
        let mut map = Self {
            home: database.home,
            shards,
            tables,
            version: 0,
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
        self.shard_ids()
            .find(|shard| self.shard_name(*shard) == name)
    }

    /// How a table is placed; `None`: it lives on the home shard.
    pub fn table(&self, schema: &str, name: &str) -> Option<&TableRoute> {
        self.tables.get(schema)?.get(name)
    }

    /// Schema, name and placement of every sharded or reference table.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &str, &TableRoute)> {
        self.tables.iter().flat_map(|(schema, tables)| {
            tables
                .iter()
                .map(move |(name, route)| (schema.as_str(), name.as_str(), route))
        })
    }

    /// Differs between maps that route anything differently, and is the same for equal ones.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn fingerprint(&self) -> u64 {
        let mut text = format!("{:?} {:?}", self.home, self.shards);
        for (schema, name, route) in self.tables() {
            let details = match route {
                TableRoute::Sharded(sharded) => {
                    Some((&sharded.key, sharded.key_type, sharded.group))
                }
                TableRoute::Reference => None,
            };
            let placement = self.describe_placement(schema, name);
            text.push_str(&format!("\n{schema:?} {name:?} {details:?} {placement:?}"));
        }
        xxh3_64(text.as_bytes())
    }
}

fn full_name(table: &TableConfig) -> String {
    format!("{}.{}", table.schema, table.name)
}

fn is_hashable(key_type: KeyType) -> bool {
    matches!(
        key_type,
        KeyType::Int2 | KeyType::Int4 | KeyType::Int8 | KeyType::Text | KeyType::Uuid
    )
}

/// If the values of the two types are compared and hashed alike.
fn is_same_family(one: KeyType, other: KeyType) -> bool {
    let is_integer = |key_type| matches!(key_type, KeyType::Int2 | KeyType::Int4 | KeyType::Int8);
    one == other || (is_integer(one) && is_integer(other))
}

/// What is known of a group while the map is built.
struct Group {
    key_type: Option<KeyType>,
    placement: Option<Arc<Placement>>,
}

struct Builder<'a> {
    database: &'a DatabaseConfig,
    groups: HashMap<usize, Group>,
    errors: Vec<MapError>,
}

impl Builder<'_> {
    fn check_shard(&mut self, shard: ShardId) -> bool {
        let exists = shard.index() < self.database.shards.len();
        if !exists {
            self.errors.push(MapError::NoSuchShard(shard));
        }
        exists
    }

    /// All hash-placed tables of a database share one assignment of buckets.
    fn hash_placement(&mut self) -> Option<Arc<Placement>> {
        let buckets = match &self.database.buckets {
            Some(buckets) => buckets.clone(),
            None => {
                let count = self.database.shards.len().max(1);
                let shard = |bucket| u16::try_from(bucket % count).ok().map(ShardId::new);
                (0..usize::from(Bucket::COUNT)).map_while(shard).collect()
            }
        };
        let unknown = buckets
            .iter()
            .copied()
            .find(|shard| shard.index() >= self.database.shards.len());
        self.errors.extend(unknown.map(MapError::NoSuchShard));
        let count = buckets.len();
        let placement = HashPlacement::new(buckets);
        if placement.is_none() {
            self.errors.push(MapError::BucketCount(count));
        }
        placement.map(|placement| Arc::new(Placement::Hash(placement)))
    }

    /// The type of each group: that of its first table whose type is known.
    fn find_group_types(&mut self, key_types: KeyTypes<'_>) {
        for table in &self.database.tables {
            let TableKind::Sharded {
                key,
                key_type,
                group,
                ..
            } = &table.kind
            else {
                continue;
            };
            let known = key_types(&table.schema, &table.name, key).or(*key_type);
            let entry = self.groups.entry(*group).or_insert(Group {
                key_type: None,
                placement: None,
            });
            entry.key_type = entry.key_type.or(known);
        }
    }

    /// How one table is placed; `None` after an error.
    fn route(
        &mut self,
        position: usize,
        table: &TableConfig,
        key_types: KeyTypes<'_>,
        hash: Option<&Arc<Placement>>,
    ) -> Option<TableRoute> {
        let TableKind::Sharded {
            key,
            key_type: configured,
            group,
            ..
        } = &table.kind
        else {
            return Some(TableRoute::Reference);
        };
        let actual = key_types(&table.schema, &table.name, key);
        if let (Some(configured), Some(actual)) = (*configured, actual)
            && configured != actual
        {
            self.errors.push(MapError::TypeDiffers {
                table: full_name(table),
                configured,
                actual,
            });
            return None;
        }
        let key_type = actual.or(*configured);
        let group_type = self.groups.get(group).and_then(|group| group.key_type);
        if let (Some(key_type), Some(group_type)) = (key_type, group_type)
            && !is_same_family(key_type, group_type)
        {
            self.errors.push(MapError::GroupTypeDiffers {
                table: full_name(table),
                key_type,
                group_type,
            });
            return None;
        }
        let placement = match self
            .groups
            .get(group)
            .and_then(|group| group.placement.clone())
        {
            Some(placement) => placement,
            None => {
                let placement = self.group_placement(*group, position, group_type, hash)?;
                self.groups
                    .entry(*group)
                    .and_modify(|group| group.placement = Some(Arc::clone(&placement)));
                placement
            }
        };
        Some(TableRoute::Sharded(Sharded {
            key: key.clone(),
            key_type,
            group: *group,
            placement,
        }))
    }

    /// The placement of a group, as its leading table (the one at position `group`) has it.
    fn group_placement(
        &mut self,
        group: usize,
        position: usize,
        key_type: Option<KeyType>,
        hash: Option<&Arc<Placement>>,
    ) -> Option<Arc<Placement>> {
        let leader = self
            .database
            .tables
            .get(group)
            .map(|table| (table, &table.kind));
        let Some((leader, TableKind::Sharded { key, placement, .. })) = leader else {
            let table = self
                .database
                .tables
                .get(position)
                .map(full_name)
                .unwrap_or_default();
            self.errors.push(MapError::NoGroup(table));
            return None;
        };
        let table = full_name(leader);
        let known = |builder: &mut Self| {
            if key_type.is_none() {
                builder.errors.push(MapError::TypeUnknown {
                    table: table.clone(),
                    key: key.clone(),
                });
            }
            key_type
        };
        match placement {
            PlacementConfig::Hash => match key_type {
                Some(key_type) if !is_hashable(key_type) => {
                    self.errors.push(MapError::NotHashable { table, key_type });
                    None
                }
                _ => hash.cloned(),
            },
            PlacementConfig::Range(ranges) => {
                let key_type = known(self)?;
                self.range_placement(&table, key_type, ranges)
            }
            PlacementConfig::List(lists) => {
                let key_type = known(self)?;
                self.list_placement(&table, key_type, lists)
            }
        }
    }

    fn range_placement(
        &mut self,
        table: &str,
        key_type: KeyType,
        ranges: &[RangeConfig],
    ) -> Option<Arc<Placement>> {
        let errors_before = self.errors.len();
        let table_name = || table.to_owned();
        if matches!(key_type, KeyType::Text | KeyType::Uuid) {
            self.errors.push(MapError::NotOrdered {
                table: table_name(),
                key_type,
            });
            return None;
        }
        if ranges.is_empty() {
            self.errors.push(MapError::NoPlaces {
                table: table_name(),
            });
        }
        let mut parts: Vec<(Option<KeyValue>, ShardId)> = Vec::with_capacity(ranges.len());
        for (position, range) in ranges.iter().enumerate() {
            self.check_shard(range.shard);
            let until = match &range.until {
                Some(value) => self.value(table, key_type, value),
                None => {
                    if position + 1 != ranges.len() {
                        self.errors.push(MapError::EndlessRange {
                            table: table_name(),
                        });
                    }
                    None
                }
            };
            let before = parts.last().and_then(|(until, _)| until.as_ref());
            if let (Some(before), Some(until)) = (before, &until)
                && compare(before, until) != Some(std::cmp::Ordering::Less)
            {
                let value = range.until.clone().unwrap_or_default();
                self.errors.push(MapError::NotAscending {
                    table: table_name(),
                    value,
                });
            }
            parts.push((until, range.shard));
        }
        let placement = RangePlacement::new(key_type, parts);
        (self.errors.len() == errors_before).then(|| Arc::new(Placement::Range(placement)))
    }

    fn list_placement(
        &mut self,
        table: &str,
        key_type: KeyType,
        lists: &[ListConfig],
    ) -> Option<Arc<Placement>> {
        let errors_before = self.errors.len();
        let mut values = HashMap::new();
        for list in lists {
            self.check_shard(list.shard);
            for text in &list.values {
                let Some(value) = self.value(table, key_type, text) else {
                    continue;
                };
                if values.insert(value, list.shard).is_some() {
                    self.errors.push(MapError::ListedTwice {
                        table: table.to_owned(),
                        value: text.clone(),
                    });
                }
            }
        }
        if values.is_empty() && self.errors.len() == errors_before {
            self.errors.push(MapError::NoPlaces {
                table: table.to_owned(),
            });
        }
        let placement = ListPlacement::new(key_type, values);
        (self.errors.len() == errors_before).then(|| Arc::new(Placement::List(placement)))
    }

    fn value(&mut self, table: &str, key_type: KeyType, text: &str) -> Option<KeyValue> {
        match from_text(key_type, text) {
            Ok(value) => {
                debug_assert!(is_of(&value, key_type));
                Some(value)
            }
            Err(error) => {
                let (table, value) = (table.to_owned(), text.to_owned());
                self.errors.push(MapError::Value {
                    table,
                    value,
                    key_type,
                    error,
                });
                None
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
