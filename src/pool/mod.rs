//! Data connections to the servers: one pool per user and node, leases on them, who leads a shard, and what the proxy
//! knows of each connection's session state. In: node configurations and logins. Out: [`Lease`]s.
//! Doesn't know of clients, statements' meanings or shards' contents.

pub mod backend;
pub mod connect;
pub mod lead;
pub mod lease;
pub mod node;
pub mod prepared;
pub mod settings;
mod shelf;
pub mod worker;

pub use backend::{Backend, BackendKey, Condition};
pub use lead::{HoldTerms, Lead, Term};
pub use lease::{Lease, LeaseError, NodePool};
pub use node::{Node, NodeRole, Standing};
pub use prepared::{Statement, Statements};
pub use settings::{SettingValue, Settings};
