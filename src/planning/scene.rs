//! What planning needs beside the statement: the database as it is now, and the names as the session
//! sees them.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use xxhash_rust::xxh3::Xxh3;

use super::functions::Functions;
use super::views::LookedAt;
use crate::catalog::Catalog;
use crate::config::ReadPolicy;
use crate::routing::ShardMap;

/// A database: replaced as a whole when the configuration or the catalogs change.
#[derive(Clone, Debug)]
pub struct Scene {
    pub map: Arc<ShardMap>,
    /// `None` only where no server was asked, as in `shardway plan`.
    pub catalog: Option<Arc<Catalog>>,
    /// User-defined functions that read no table, by name or `schema.name`.
    pub safe_functions: Arc<BTreeSet<String>>,
    /// Views that statements have named so far.
    pub views: Arc<LookedAt>,
    /// Set where a statement names a relation that isn't known: see [`Scene::looking`].
    pub missed: Arc<AtomicBool>,
}

impl Scene {
    /// The same for one statement, which then says what it has missed.
    pub fn looking(&self) -> Self {
        Self { missed: Arc::default(), ..self.clone() }
    }

    pub fn functions(&self) -> Functions<'_> {
        Functions { bodies: true, catalog: self.catalog.as_deref(), safe: &self.safe_functions }
    }
}

/// What the session's settings do to names. Part of a template's cache key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Names {
    /// As the session has set it, `"$user"` replaced by the role's name; `pg_catalog` only where it was
    /// written.
    pub search_path: Vec<String>,
    /// Tables, views and sequences that the session has created in pg_temp.
    pub temporary: BTreeSet<String>,
    pub standard_conforming_strings: bool,
    /// `SET shardway.consistency = 'atomic'`: what is read from several shards must be of one moment.
    pub atomic: bool,
}

impl Names {
    /// For the cache's key: names of one hash may be taken for equal, so it has 64 bits.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Xxh3::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// Where the client says a statement belongs: in a comment or by SET shardway.key or shardway.shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hint {
    Key(String),
    Shard(String),
    /// Not where, but by which kind of node: the session's business.
    Read(ReadPolicy),
}

impl Hint {
    /// The body of a `/* shardway: ... */` comment: `key=42`, `key='a b'`, `shard=b`,
    /// `read=primary`.
    pub fn parse(body: &str) -> Option<Self> {
        let (name, value) = body.split_once('=')?;
        let value = value.trim();
        let value = match value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(quoted) => quoted.replace("''", "'"),
            None => value.to_owned(),
        };
        match name.trim() {
            "key" => Some(Self::Key(value)),
            "shard" => Some(Self::Shard(value)),
            "read" => ReadPolicy::of_session(&value).map(Self::Read),
            _ => None,
        }
    }
}
