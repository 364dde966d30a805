//! The names of two-phase transactions, `swy:<cluster>:<anchor shard>:<proxy>-<process>:<id>`: a proxy that finds
//! one knows whose it is, which shard to ask, and which of its processes runs the anchor's part. Made of characters that
//! need no quoting in SQL.

use std::fmt;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use xxhash_rust::xxh3::xxh3_64;

use crate::types::limits::{GID_BYTES_MAX, GID_NAME_BYTES_MAX};

/// A name that PostgreSQL takes for a prepared transaction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Gid(String);

const PREFIX: &str = "swy";

impl Gid {
    /// A new one, never used before. `process`: the anchor's, as that server numbers it.
    pub fn new(cluster: &str, anchor: &str, process: u32) -> Self {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis());
        let random: [u8; 10] = rand::random();
        let id = uuid::Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(0), &random).into_uuid();
        let (cluster, anchor) = (plain(cluster), plain(anchor));
        let gid = format!("{PREFIX}:{cluster}:{anchor}:{:08x}-{process}:{}", proxy(), id.simple());
        debug_assert!(gid.len() < GID_BYTES_MAX);
        Self(gid)
    }

    /// The name under which that shard prepares its part. Each has one of its own: a server knows prepared
    /// transactions by name over all of its databases, and several of them may be shards.
    pub fn prepared_on(&self, shard: &str) -> String {
        format!("{self}:{}", plain(shard))
    }

    /// The transaction that a prepared one is a part of; `None` unless it is Shardway's, of that cluster.
    pub fn of_prepared(text: &str, cluster: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-:".contains(&byte);
        let (gid, _) = text.rsplit_once(':')?;
        (text.starts_with(&Self::prefix(cluster)) && gid.split(':').count() == 5 && text.bytes().all(is_plain))
            .then(|| Self(gid.to_owned()))
    }

    /// What all of a cluster begin with.
    pub fn prefix(cluster: &str) -> String {
        format!("{PREFIX}:{}:", plain(cluster))
    }

    /// The anchor's process that is to commit it.
    pub fn process(&self) -> Option<u32> {
        self.0.split(':').nth(3)?.split_once('-')?.1.parse().ok()
    }

    /// Whether that shard's COMMIT decides.
    pub fn is_anchored_at(&self, shard: &str) -> bool {
        anchor_of(&self.0, shard)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells the processes apart in logs and lists; nothing is decided by it.
fn proxy() -> u32 {
    static PROXY: OnceLock<u32> = OnceLock::new();
    *PROXY.get_or_init(rand::random)
}

/// If the transaction of that name is anchored at that shard.
pub fn anchor_of(gid: &str, shard: &str) -> bool {
    gid.split(':').nth(2) == Some(plain(shard).as_str())
}

/// The name if it is short and needs no quoting, else a hash of it.
fn plain(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if name.len() <= GID_NAME_BYTES_MAX && !name.is_empty() && name.bytes().all(is_plain) {
        name.to_owned()
    } else {
        format!("{:016x}", xxh3_64(name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_and_says_whose_it_is() {
        let long = "s".repeat(63);
        for (cluster, anchor) in [("shop", "a"), ("it's", "b-1"), (long.as_str(), long.as_str())] {
            let gid = Gid::new(cluster, anchor, u32::MAX);
            let prepared = gid.prepared_on(&"t".repeat(63));
            assert!(prepared.len() < GID_BYTES_MAX, "{prepared}");
            assert_eq!(Gid::of_prepared(&prepared, cluster).as_ref(), Some(&gid));
            assert_ne!(gid.prepared_on("a"), gid.prepared_on("b"));
            assert!(gid.is_anchored_at(anchor) && !gid.is_anchored_at("other"));
            assert_eq!(gid.process(), Some(u32::MAX));
            assert_eq!(Gid::of_prepared(&prepared, "elsewhere"), None);
            assert_eq!(Gid::of_prepared(gid.as_str(), cluster), None);
            assert!(!prepared.contains('\''));
        }
        assert_ne!(Gid::new("shop", "a", 1), Gid::new("shop", "a", 1));
        assert_eq!(Gid::of_prepared("swy:shop:a:b:c';--:d", "shop"), None);
    }
}
