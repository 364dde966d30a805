//! Conversations byte by byte: what PostgreSQL answers, Shardway answers too, before one shard and before two.

#[path = "wire/client.rs"]
mod client;
#[path = "wire/conversations.rs"]
mod conversations;
#[path = "wire/copies.rs"]
mod copies;
#[path = "wire/cursors.rs"]
mod cursors;
#[path = "wire/faults.rs"]
mod faults;
#[path = "wire/garbage.rs"]
mod garbage;
#[path = "wire/message.rs"]
mod message;
#[path = "wire/process_ids.rs"]
mod process_ids;
#[path = "wire/random.rs"]
mod random;
#[path = "wire/sequences.rs"]
mod sequences;
#[path = "wire/sessions.rs"]
mod sessions;
#[path = "wire/short.rs"]
mod short;
#[path = "wire/sql_prepared.rs"]
mod sql_prepared;
mod support;
#[path = "wire/world.rs"]
mod world;
