//! Conversations byte by byte: what PostgreSQL answers, Shardway answers too, before one shard and before two.

mod support;
#[path = "wire/client.rs"]
mod client;
#[path = "wire/conversations.rs"]
mod conversations;
#[path = "wire/message.rs"]
mod message;
#[path = "wire/world.rs"]
mod world;
