//! Transactions that write several shards: all of it or nothing, whatever dies.

#[path = "commit/atomic.rs"]
mod atomic;
#[path = "commit/bank.rs"]
mod bank;
// The conversations use all of both.
#[allow(dead_code)]
#[path = "wire/client.rs"]
mod client;
#[path = "commit/crashes.rs"]
mod crashes;
#[path = "commit/deadlocks.rs"]
mod deadlocks;
#[path = "commit/frozen.rs"]
mod frozen;
#[path = "commit/implicit.rs"]
mod implicit;
#[allow(dead_code)]
#[path = "wire/message.rs"]
mod message;
mod support;
#[path = "commit/world.rs"]
mod world;
