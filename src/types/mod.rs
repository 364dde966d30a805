//! Identifiers, values, limits and SQLSTATEs that every room shares.
//!
//! Nothing here knows of sockets, SQL text or configuration files.

pub mod error;
pub mod ids;
pub mod limits;
pub mod sqlstate;
pub mod value;

/// Databases that exist in the proxy only: its console, under its own name and under PgBouncer's.
pub const CONSOLE_DATABASES: [&str; 2] = ["shardway", PGBOUNCER_DATABASE];
pub const PGBOUNCER_DATABASE: &str = "pgbouncer";

pub use error::ClientError;
pub use ids::{Bucket, NodeId, ShardId, ShardSet};
pub use sqlstate::SqlState;
pub use value::{KeyType, KeyValue};
