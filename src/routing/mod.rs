//! Which shard holds a key. In: a database's configuration and the types of its keys; texts and
//! binary values as clients send them. Out: a [`ShardMap`], and for a [`KeyValue`](crate::types::KeyValue) its shard.
//!
//! Knows nothing of SQL, sockets or templates. Everything here is a pure function of its arguments.

mod describe;
pub mod hash;
pub mod key;
mod map;
mod placement;
mod unique;

pub use describe::{differing_buckets, placement_differences};
pub use key::{KeyError, compare};
pub use map::{MapError, ShardMap, Sharded, TableRoute};
pub use placement::{HashPlacement, ListPlacement, NoPlace, Placement, RangePlacement};
pub use unique::Unique;
