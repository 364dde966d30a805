//! The running proxy as the rooms here see it: a trait that `server` implements, and what it tells in plain values.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::config::Config;
use crate::observe::Observed;

pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Asked now, answered as of now; commands that take their time are futures.
pub trait House: Send + Sync + 'static {
    fn observed(&self) -> &Arc<Observed>;
    fn config(&self) -> Arc<Config>;
    fn pools(&self) -> Vec<PoolState>;
    fn databases(&self) -> Vec<DatabaseState>;
    fn servers(&self) -> Vec<ServerState>;
    fn shards(&self) -> Vec<ShardState>;
    fn nodes(&self) -> Vec<NodeState>;
    fn tables(&self) -> Vec<TableState>;
    /// Transactions over several shards that are prepared and not finished.
    fn in_doubt(&self) -> Vec<InDoubtState>;
    /// The shards on whose servers a client has connections now.
    fn shards_of(&self, client: u32) -> Vec<String>;
    /// No new clients are served any more.
    fn is_draining(&self) -> bool;

    /// Reads the configuration again. The error is for people.
    fn reload(&self) -> Work<'_, Result<(), String>>;
    /// Nobody begins anything on the servers of these databases from now on; ready when nobody has anything under way
    /// there. `Err`: one of them is paused already.
    /// One shard, named `database.shard`; `None`: there is none of that name. Waits until nobody works there.
    fn pause_shard(&self, name: &str) -> Option<Work<'_, Result<(), String>>>;
    /// `None`: there is none of that name. False: it was not paused.
    fn resume_shard(&self, name: &str) -> Option<bool>;
    fn pause(&self, databases: Vec<String>) -> Work<'_, Result<(), String>>;
    /// False: none of them was paused.
    fn resume(&self, databases: &[String]) -> bool;
    /// Connections to the servers of these databases are closed, those in use when they come back.
    fn reconnect(&self, databases: &[String]);
    /// The same for one shard, or one node by its address. False: there is none of that name.
    fn disconnect(&self, name: &str) -> bool;
    /// Ends the client; its statement is cancelled. False: there is none with that number.
    fn kill(&self, client: u32) -> Work<'_, bool>;
    /// Changes a setting until the next reload. The error is for people.
    fn set(&self, name: &str, value: &str) -> Result<(), String>;
    /// As SIGTERM.
    fn shut_down(&self);
    /// Waits for a cancel request for the console's own client; true: it is to end.
    fn interrupted(&self, client: u32) -> Work<'static, bool>;
    /// Waits until the proxy is stopping.
    fn closing(&self) -> Work<'static, ()>;
}

/// The connections of one user of one database, over all nodes.
#[derive(Clone, Debug)]
pub struct PoolState {
    pub database: String,
    pub user: String,
    pub leased: usize,
    pub idle: usize,
    /// Clients that queue for one.
    pub waiting: usize,
    /// At most, for each node.
    pub size: usize,
}

#[derive(Clone, Debug)]
pub struct DatabaseState {
    pub name: String,
    /// Of the home shard's primary.
    pub host: String,
    pub port: u16,
    pub database: String,
    pub pool_size: usize,
    pub connections: usize,
    pub is_paused: bool,
    pub home: String,
    /// Differs between proxies that would place rows differently; `None` until the servers were asked.
    pub map_version: Option<u64>,
    /// Why it isn't served.
    pub refused: Option<String>,
    pub templates: usize,
    /// The shard of each of the 4,096 buckets, by position in `shards`; empty without hashed tables.
    pub buckets: Vec<u16>,
    pub shards: Vec<String>,
}

/// One connection to a server.
#[derive(Clone, Debug)]
pub struct ServerState {
    pub database: String,
    pub user: String,
    pub host: String,
    pub port: u16,
    pub shard: String,
    pub role: &'static str,
    pub is_leased: bool,
    pub is_closing: bool,
    pub connected: SystemTime,
    pub process_id: u32,
    pub is_tls: bool,
    /// The client that has it.
    pub client: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct NodeState {
    pub database: String,
    pub shard: String,
    pub role: &'static str,
    pub host: String,
    pub port: u16,
    pub server_database: String,
    pub leased: usize,
    pub connections: usize,
    /// Why the last connect failed, or the last look; `None`: it is up, as far as anybody knows.
    pub failure: Option<String>,
    /// How long ago that was; of looks, the first that failed.
    pub failed_for: Option<Duration>,
    /// As of the last look.
    pub timeline: Option<i32>,
    /// The identifier of its cluster.
    pub system: Option<i64>,
    pub lag_bytes: Option<u64>,
    pub lag: Option<Duration>,
    /// Of a replica: sync, async, quorum or potential.
    pub sync_state: Option<String>,
    /// Replication slots on it.
    pub slots: Option<String>,
    /// Why it isn't fit for its part.
    pub problem: Option<String>,
}

/// Who takes a shard's writes.
#[derive(Clone, Debug)]
pub struct ShardState {
    pub database: String,
    pub shard: String,
    /// `None`: nobody, and statements wait.
    pub primary: Option<String>,
    /// Why nobody does.
    pub problem: Option<String>,
    /// Several would.
    pub is_torn: bool,
    /// Statements that wait for a primary.
    pub waiting: usize,
    /// How often another node has come to be it.
    pub changes: u64,
}

#[derive(Clone, Debug)]
pub struct InDoubtState {
    pub database: String,
    pub gid: String,
    pub shard: String,
    pub owner: String,
    pub age: Duration,
    pub state: &'static str,
}

#[derive(Clone, Debug)]
pub struct TableState {
    pub database: String,
    pub table: String,
    /// `hash`, `range`, `list` or `reference`.
    pub placement: &'static str,
    pub key: Option<String>,
    pub key_type: Option<String>,
    pub colocated_with: Option<String>,
    pub shards: Vec<String>,
}
