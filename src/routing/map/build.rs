//! From a configuration to the tables of a map: what could not be proven without the keys' types.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{KeyTypes, MapError, Sharded, TableRoute, Tables};
use crate::config::{DatabaseConfig, ListConfig, PlacementConfig, RangeConfig, TableConfig, TableKind};
use crate::routing::key::{compare, from_text};
use crate::routing::placement::{HashPlacement, ListPlacement, Placement, RangePlacement};
use crate::types::{Bucket, KeyType, KeyValue, ShardId};

/// The tables, and the placement by hash.
pub(super) fn tables(
    database: &DatabaseConfig,
    key_types: KeyTypes<'_>,
) -> Result<(Tables, Arc<Placement>), Vec<MapError>> {
    let mut builder = Builder { database, groups: HashMap::new(), errors: Vec::new() };
    builder.check_shard(database.home);
    let hash = builder.hash_placement();
    builder.find_group_types(key_types);
    let mut tables: Tables = BTreeMap::new();
    for (position, table) in database.tables.iter().enumerate() {
        let Some(route) = builder.route(position, table, key_types, hash.as_ref()) else {
            continue;
        };
        let same_schema = tables.entry(table.schema.clone()).or_default();
        if same_schema.insert(table.name.clone(), route).is_some() {
            builder.errors.push(MapError::Duplicate(full_name(table)));
        }
    }
    match hash {
        Some(hash) if builder.errors.is_empty() => Ok((tables, hash)),
        _ => Err(builder.errors),
    }
}

fn full_name(table: &TableConfig) -> String {
    format!("{}.{}", table.schema, table.name)
}

fn is_hashable(key_type: KeyType) -> bool {
    matches!(key_type, KeyType::Int2 | KeyType::Int4 | KeyType::Int8 | KeyType::Text | KeyType::Uuid)
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
        let unknown = buckets.iter().copied().find(|shard| shard.index() >= self.database.shards.len());
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
            let TableKind::Sharded { key, key_type, group, .. } = &table.kind else {
                continue;
            };
            let known = key_types(&table.schema, &table.name, key).or(*key_type);
            let entry = self.groups.entry(*group).or_insert(Group { key_type: None, placement: None });
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
        let TableKind::Sharded { key, key_type: configured, group, .. } = &table.kind else {
            return Some(TableRoute::Reference);
        };
        let actual = key_types(&table.schema, &table.name, key);
        if let (Some(configured), Some(actual)) = (*configured, actual)
            && configured != actual
        {
            self.errors.push(MapError::TypeDiffers { table: full_name(table), configured, actual });
            return None;
        }
        let key_type = actual.or(*configured);
        let group_type = self.groups.get(group).and_then(|group| group.key_type);
        if let (Some(key_type), Some(group_type)) = (key_type, group_type)
            && !is_same_family(key_type, group_type)
        {
            self.errors.push(MapError::GroupTypeDiffers { table: full_name(table), key_type, group_type });
            return None;
        }
        let placement = match self.groups.get(group).and_then(|group| group.placement.clone()) {
            Some(placement) => placement,
            None => {
                let placement = self.group_placement(*group, position, group_type, hash)?;
                self.groups.entry(*group).and_modify(|group| group.placement = Some(Arc::clone(&placement)));
                placement
            }
        };
        Some(TableRoute::Sharded(Sharded { key: key.clone(), key_type, group: *group, placement }))
    }

    /// The placement of a group, as its leading table (the one at position `group`) has it.
    fn group_placement(
        &mut self,
        group: usize,
        position: usize,
        key_type: Option<KeyType>,
        hash: Option<&Arc<Placement>>,
    ) -> Option<Arc<Placement>> {
        let leader = self.database.tables.get(group).map(|table| (table, &table.kind));
        let Some((leader, TableKind::Sharded { key, placement, .. })) = leader else {
            let table = self.database.tables.get(position).map(full_name).unwrap_or_default();
            self.errors.push(MapError::NoGroup(table));
            return None;
        };
        let table = full_name(leader);
        let known = |builder: &mut Self| {
            if key_type.is_none() {
                builder.errors.push(MapError::TypeUnknown { table: table.clone(), key: key.clone() });
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

    fn range_placement(&mut self, table: &str, key_type: KeyType, ranges: &[RangeConfig]) -> Option<Arc<Placement>> {
        let errors_before = self.errors.len();
        let table_name = || table.to_owned();
        if matches!(key_type, KeyType::Text | KeyType::Uuid) {
            self.errors.push(MapError::NotOrdered { table: table_name(), key_type });
            return None;
        }
        if ranges.is_empty() {
            self.errors.push(MapError::NoPlaces { table: table_name() });
        }
        let mut parts: Vec<(Option<KeyValue>, ShardId)> = Vec::with_capacity(ranges.len());
        for (position, range) in ranges.iter().enumerate() {
            self.check_shard(range.shard);
            let until = match &range.until {
                Some(value) => self.value(table, key_type, value),
                None => {
                    if position + 1 != ranges.len() {
                        self.errors.push(MapError::EndlessRange { table: table_name() });
                    }
                    None
                }
            };
            let before = parts.last().and_then(|(until, _)| until.as_ref());
            if let (Some(before), Some(until)) = (before, &until)
                && compare(before, until) != Some(Ordering::Less)
            {
                let value = range.until.clone().unwrap_or_default();
                self.errors.push(MapError::NotAscending { table: table_name(), value });
            }
            parts.push((until, range.shard));
        }
        let placement = RangePlacement::new(key_type, parts);
        (self.errors.len() == errors_before).then(|| Arc::new(Placement::Range(placement)))
    }

    fn list_placement(&mut self, table: &str, key_type: KeyType, lists: &[ListConfig]) -> Option<Arc<Placement>> {
        let errors_before = self.errors.len();
        let mut values = HashMap::new();
        for list in lists {
            self.check_shard(list.shard);
            for text in &list.values {
                let Some(value) = self.value(table, key_type, text) else {
                    continue;
                };
                if values.insert(value, list.shard).is_some() {
                    self.errors.push(MapError::ListedTwice { table: table.to_owned(), value: text.clone() });
                }
            }
        }
        if values.is_empty() && self.errors.len() == errors_before {
            self.errors.push(MapError::NoPlaces { table: table.to_owned() });
        }
        let placement = ListPlacement::new(key_type, values);
        (self.errors.len() == errors_before).then(|| Arc::new(Placement::List(placement)))
    }

    fn value(&mut self, table: &str, key_type: KeyType, text: &str) -> Option<KeyValue> {
        match from_text(key_type, text) {
            Ok(value) => Some(value),
            Err(error) => {
                let (table, value) = (table.to_owned(), text.to_owned());
                self.errors.push(MapError::Value { table, value, key_type, error });
                None
            }
        }
    }
}
