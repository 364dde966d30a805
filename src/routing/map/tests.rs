//! Maps from configurations, good and bad.

use super::*;
use crate::config::{ListConfig, NodeConfig, NodeTls, NodeTlsMode, PlacementConfig, RangeConfig, ReadPolicy};
use crate::config::{ShardConfig, TableConfig, TableKind};
use crate::routing::key::from_text;
use crate::types::KeyValue;

/// A database with shards a, b, c, ... and these tables.
pub(crate) fn database(shards: usize, tables: Vec<TableConfig>) -> DatabaseConfig {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let shard = |name: &&str| ShardConfig {
        name: (*name).to_owned(),
        primary: NodeConfig {
            host: "localhost".into(),
            port: 5432,
            database: (*name).to_owned(),
            tls: NodeTls { mode: NodeTlsMode::Disable, root_certificate: None },
            preference: crate::config::NodePreference::NONE,
        },
        replicas: Vec::new(),
        patroni: Vec::new(),
    };
    DatabaseConfig {
        name: "shop".into(),
        home: ShardId::new(0),
        shards: names.iter().take(shards).map(shard).collect(),
        tables,
        reads: ReadPolicy::Primary,
        new_tables: None,
        safe_functions: Vec::new(),
        buckets: None,
        pool_size: 20,
        limits: crate::config::ClientLimits::default(),
        gather_rows_max: 1,
        auth: None,
        gather_bytes_max: 1,
        auto_setup: true,
        recovery_interval: std::time::Duration::from_secs(10),
        commit_timeout: std::time::Duration::from_secs(60),
        max_replica_lag: None,
        replication: crate::config::ReplicationConfig::USUAL,
    }
}

pub(crate) fn table(
    name: &str,
    key: &str,
    key_type: Option<KeyType>,
    group: usize,
    placement: PlacementConfig,
) -> TableConfig {
    let kind = TableKind::Sharded { key: key.into(), key_type, group, placement, unique: Vec::new() };
    TableConfig { schema: "public".into(), name: name.into(), kind }
}

pub(crate) fn ranges(parts: &[(Option<&str>, u16)]) -> PlacementConfig {
    let range = |(until, shard): &(Option<&str>, u16)| RangeConfig {
        until: until.map(Into::into),
        shard: ShardId::new(*shard),
    };
    PlacementConfig::Range(parts.iter().map(range).collect())
}

pub(crate) fn lists(parts: &[(&[&str], u16)]) -> PlacementConfig {
    let list = |(values, shard): &(&[&str], u16)| ListConfig {
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        shard: ShardId::new(*shard),
    };
    PlacementConfig::List(parts.iter().map(list).collect())
}

/// The types that the file gives, as if no server had been asked.
pub(crate) fn build(database: &DatabaseConfig) -> Result<ShardMap, Vec<MapError>> {
    ShardMap::new(database, &|_, _, _| None)
}

fn one_error(placement: PlacementConfig, key_type: Option<KeyType>) -> MapError {
    let mut errors = build(&database(2, vec![table("t", "k", key_type, 0, placement)])).expect_err("a mistake");
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

#[test]
fn a_shop() {
    let reference = TableConfig { schema: "public".into(), name: "countries".into(), kind: TableKind::Reference };
    let mut other_schema = table("users", "id", None, 3, PlacementConfig::Hash);
    other_schema.schema = "archive".into();
    let shop = database(
        3,
        vec![
            table("users", "id", Some(KeyType::Int4), 0, PlacementConfig::Hash),
            table("orders", "user_id", Some(KeyType::Int8), 0, PlacementConfig::Hash),
            reference,
            other_schema,
        ],
    );
    let map = build(&shop).expect("a good configuration");
    assert_eq!((map.home(), map.shard_count(), map.shard_ids().count()), (ShardId::new(0), 3, 3));
    assert_eq!(map.shard_name(ShardId::new(1)), "b");
    assert_eq!(map.shard_by_name("c"), Some(ShardId::new(2)));
    assert_eq!(map.shard_by_name("d"), None);
    assert!(map.table("public", "products").is_none());
    assert!(matches!(map.table("public", "countries"), Some(TableRoute::Reference)));
    assert_eq!(map.tables().count(), 4);
    let (Some(TableRoute::Sharded(users)), Some(TableRoute::Sharded(orders))) =
        (map.table("public", "users"), map.table("public", "orders"))
    else {
        panic!("both are sharded");
    };
    assert_eq!((users.group, orders.group, orders.key.as_str()), (0, 0, "user_id"));
    assert_eq!(users.key_type, Some(KeyType::Int4));
    for number in 0..1000 {
        let key = KeyValue::Int(number);
        assert_eq!(users.placement.shard_of(&key), orders.placement.shard_of(&key));
    }
}

#[test]
fn buckets_go_round_unless_the_file_assigns_them() {
    let mut shop = database(3, vec![table("t", "k", None, 0, PlacementConfig::Hash)]);
    let buckets = |map: &ShardMap| match map.table("public", "t") {
        Some(TableRoute::Sharded(Sharded { placement, .. })) => match &**placement {
            Placement::Hash(hash) => hash.buckets().to_vec(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let default = build(&shop).expect("good");
    assert!(buckets(&default).iter().enumerate().all(|(bucket, shard)| shard.index() == bucket % 3));
    shop.buckets = Some((0..4096).map(|bucket| ShardId::new(bucket / 2048)).collect());
    let assigned = build(&shop).expect("good");
    assert!(buckets(&assigned).iter().enumerate().all(|(bucket, shard)| shard.index() == bucket / 2048));
    assert_ne!(default.version(), assigned.version());
    assert_eq!(assigned.version(), build(&shop).expect("good").version());
    shop.buckets = Some(vec![ShardId::new(0); 7]);
    assert_eq!(build(&shop).expect_err("too few"), [MapError::BucketCount(7)]);
    shop.buckets = Some(vec![ShardId::new(3); 4096]);
    assert_eq!(build(&shop).expect_err("no such shard"), [MapError::NoSuchShard(ShardId::new(3))]);
}

#[test]
fn bounds_are_read_by_the_keys_type() {
    let events = table("events", "at", Some(KeyType::Date), 0, ranges(&[(Some("2026-01-01"), 0), (None, 1)]));
    let map = build(&database(2, vec![events])).expect("good");
    let Some(TableRoute::Sharded(events)) = map.table("public", "events") else { panic!("sharded") };
    let date = |text| from_text(KeyType::Date, text).expect("a date");
    assert_eq!(events.placement.shard_of(&date("2025-12-31")), Ok(ShardId::new(0)));
    assert_eq!(events.placement.shard_of(&date("2026-01-01")), Ok(ShardId::new(1)));
}

#[test]
fn types_come_from_the_servers() {
    let shop = database(2, vec![table("t", "k", None, 0, ranges(&[(Some("9"), 0), (Some("10"), 1)]))]);
    assert!(matches!(build(&shop).expect_err("no type")[..], [MapError::TypeUnknown { .. }]));
    assert!(ShardMap::new(&shop, &|_, _, _| Some(KeyType::Int2)).is_ok());
    let typed = database(2, vec![table("t", "k", Some(KeyType::Int4), 0, PlacementConfig::Hash)]);
    let errors = ShardMap::new(&typed, &|_, _, _| Some(KeyType::Text)).expect_err("differs");
    assert!(matches!(errors[..], [MapError::TypeDiffers { .. }]));
}

#[test]
fn mistakes() {
    assert!(matches!(one_error(PlacementConfig::Hash, Some(KeyType::Date)), MapError::NotHashable { .. }));
    let range = |parts: &[_], key_type| one_error(ranges(parts), Some(key_type));
    assert!(matches!(range(&[(None, 0)], KeyType::Text), MapError::NotOrdered { .. }));
    assert!(matches!(range(&[(None, 0)], KeyType::Uuid), MapError::NotOrdered { .. }));
    assert!(matches!(range(&[], KeyType::Int4), MapError::NoPlaces { .. }));
    assert!(matches!(range(&[(Some("1"), 0), (Some("1"), 1)], KeyType::Int4), MapError::NotAscending { .. }));
    assert!(matches!(range(&[(Some("1.5"), 0), (Some("1.49"), 1)], KeyType::Numeric), MapError::NotAscending { .. }));
    assert!(matches!(range(&[(None, 0), (Some("1"), 1)], KeyType::Int4), MapError::EndlessRange { .. }));
    assert!(matches!(range(&[(Some("x"), 0)], KeyType::Int4), MapError::Value { .. }));
    assert!(matches!(range(&[(Some("1"), 2)], KeyType::Int4), MapError::NoSuchShard(_)));
    let zoneless = range(&[(Some("2026-01-01"), 0)], KeyType::TimestampTz);
    assert!(matches!(zoneless, MapError::Value { error: KeyError::DependsOnSettings, .. }));
    assert!(matches!(one_error(lists(&[]), Some(KeyType::Text)), MapError::NoPlaces { .. }));
    let twice = lists(&[(&["1.0"], 0), (&["2", "1"], 1)]);
    assert!(matches!(one_error(twice, Some(KeyType::Numeric)), MapError::ListedTwice { .. }));
}

#[test]
fn mistakes_between_tables() {
    let hash = |name, key_type, group| table(name, "k", Some(key_type), group, PlacementConfig::Hash);
    let errors = |tables| build(&database(2, tables)).expect_err("a mistake");
    let differ = errors(vec![hash("a", KeyType::Int4, 0), hash("b", KeyType::Text, 0)]);
    assert!(matches!(differ[..], [MapError::GroupTypeDiffers { .. }]));
    let twice = errors(vec![hash("a", KeyType::Int4, 0), hash("a", KeyType::Int4, 1)]);
    assert!(matches!(twice[..], [MapError::Duplicate(_)]));
    assert!(matches!(errors(vec![hash("a", KeyType::Int4, 5)])[..], [MapError::NoGroup(_)]));
    let both = errors(vec![hash("a", KeyType::Date, 0), hash("b", KeyType::Numeric, 1)]);
    assert_eq!(both.len(), 2);
}
