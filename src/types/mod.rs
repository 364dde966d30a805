//! Identifiers, values, limits and SQLSTATEs that every room shares.
//!
//! Nothing here knows of sockets, SQL text or configuration files.

pub mod error;
pub mod ids;
pub mod limits;
pub mod sqlstate;
pub mod value;

pub use error::ClientError;
pub use ids::{Bucket, NodeId, ShardId, ShardSet};
pub use sqlstate::SqlState;
pub use value::{KeyType, KeyValue};
