//! `config/minimal.toml` and `config/full.toml`.

use super::*;
use crate::config::{keys, raw};

const MINIMAL: &str = include_str!("../../../config/minimal.toml");
const FULL: &str = include_str!("../../../config/full.toml");

#[test]
fn minimal_loads_without_a_warning() {
    let loaded = good(MINIMAL);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.config.databases["shop"].tables.len(), 2);
}

#[test]
fn full_loads_without_a_warning() {
    let loaded = good(FULL);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let shop = &loaded.config.databases["shop"];
    assert_eq!((shop.shards.len(), shop.tables.len()), (2, 5));
}

#[test]
fn full_shows_the_defaults() {
    let (full, minimal) = (good(FULL).config, good(MINIMAL).config);
    assert_eq!(format!("{:?}", full.pool), format!("{:?}", minimal.pool));
    assert_eq!(format!("{:?}", full.log), format!("{:?}", minimal.log));
    let scalars = |server: &ServerConfig| {
        let listen = server.listen.clone();
        (listen, server.authentication, server.clients_max, server.drain_timeout, server.startup_timeout)
    };
    assert_eq!(scalars(&full.server), scalars(&minimal.server));
    assert_eq!(full.server.tls.map(|tls| tls.required), Some(false));
    let (full, minimal) = (&full.databases["shop"], &minimal.databases["shop"]);
    assert_eq!((full.home, full.reads, full.pool_size), (minimal.home, minimal.reads, minimal.pool_size));
    assert_eq!((full.auto_setup, full.recovery_interval), (minimal.auto_setup, minimal.recovery_interval));
}

#[test]
fn full_mentions_every_key() {
    let mut notes = mistake::Notes::new(FULL);
    let tree = toml::de::DeTable::parse(FULL).expect("it is TOML");
    raw::read(tree.get_ref(), &mut notes);
    let all = keys::ALL.iter().flat_map(|kind| kind.keys.iter().map(|key| (kind.title, key.name)));
    let missing: Vec<_> = all.filter(|key| !notes.keys_seen.contains(key)).collect();
    assert!(missing.is_empty(), "config/full.toml lacks {missing:?}");
}
