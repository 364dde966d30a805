//! Shardway: a sharding proxy for PostgreSQL.
//!
//! The rooms below stand on floors; imports go strictly downward (ARCHITECTURE.md, checked by
//! `tests/architecture.rs`). Read `session::turn` first: it is the whole pipeline of one request.

#![forbid(unsafe_code)]

pub mod admin;
pub mod advise;
pub mod catalog;
pub mod check;
pub mod config;
pub mod demo;
pub mod devcluster;
pub mod execute;
pub mod net;
pub mod observe;
pub mod planning;
pub mod pool;
pub mod protocol;
pub mod routing;
pub mod server;
pub mod session;
pub mod setup;
pub mod sql;
pub mod survey;
pub mod top;
pub mod transaction;
pub mod types;
