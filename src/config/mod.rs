//! The configuration file. In: TOML text. Out: a proven [`Config`], or every mistake at once, each
//! with its place and remedy. Doesn't know of sockets: `check` does the connecting.
//!
//! `raw` mirrors the file; `prove` turns it into the types below, which hold only what is valid.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::types::{KeyType, ShardId};

pub mod declared;
mod defaults;
mod hba;
mod keys;
mod load;
mod mistake;
mod prove;
mod raw;
mod reader;
#[cfg(test)]
mod tests;
mod verifier;

pub use hba::{AddressRange, ClientCertificate, HbaConnection, HbaRule, HbaVerdict, MappedName, Origin, first_rule};
pub use load::Loaded;
use load::Surroundings;
pub use mistake::{Mistake, Mistakes};
pub use verifier::{StoredVerifier, is_stored, looks_stored, stored_md5};

/// A snapshot of the whole configuration, handed down and never global.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: ServerConfig,
    pub pool: PoolConfig,
    /// In the file's order; empty: `authentication` holds for everybody.
    pub hba: Vec<HbaRule>,
    pub users: Vec<UserConfig>,
    pub databases: BTreeMap<String, DatabaseConfig>,
    pub log: LogConfig,
    /// `None`: traces are off.
    pub traces: Option<TracesConfig>,
}

#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub listen: Vec<SocketAddr>,
    /// The directory of the Unix socket `.s.PGSQL.<port>`, when one is wanted.
    pub unix_socket_directory: Option<PathBuf>,
    /// HTTP for operators.
    pub admin: Option<SocketAddr>,
    /// Threads that run sessions; by default one a core.
    pub workers: usize,
    pub tls: Option<ServerTlsConfig>,
    pub authentication: AuthenticationMethod,
    pub clients_max: usize,
    /// How long SIGTERM waits for transactions to finish.
    pub drain_timeout: Duration,
    /// How long a client may take from connecting to being authenticated.
    pub startup_timeout: Duration,
    /// Where the timelines of the shards are remembered over restarts.
    pub state_file: Option<PathBuf>,
    /// Whether requests and statements are counted.
    pub statistics: bool,
}

#[derive(Clone, Debug)]
pub struct ServerTlsConfig {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Who signs the certificates of clients; `None`: they are asked for none.
    pub client_ca: Option<PathBuf>,
    /// Refuse clients that don't use TLS (TCP only).
    pub required: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthenticationMethod {
    ScramSha256,
    Md5,
    Trust,
}

#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Backend connections per user, database and node.
    pub size: usize,
    /// How long a client waits for a backend connection before 53300.
    pub wait_timeout: Duration,
    /// How long one connect and handshake may take.
    pub connect_timeout: Duration,
    pub idle_max: Duration,
    pub lifetime_max: Duration,
    /// Connects to one node under way at once.
    pub connects_max: usize,
    /// Prepared statements kept on one backend connection.
    pub prepared_statements_max: usize,
}

#[derive(Clone)]
pub struct UserConfig {
    pub name: String,
    /// Never shown: Debug prints dots. `None` only under trust authentication.
    pub password: Option<Secret>,
    /// Logs in to the servers under another name, if given.
    pub server_user: Option<String>,
    pub server_password: Option<Secret>,
    pub admin: bool,
    /// May look at the console and the HTTP pages, but change nothing.
    pub stats: bool,
    /// Databases this user may use; empty means all.
    pub databases: Vec<String>,
    /// Backend connections per database and node; those of the database unless given.
    pub pool_size: Option<usize>,
    pub limits: ClientLimits,
}

/// What clients of a user or of a database may take. Where both have a limit the lower one holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ClientLimits {
    pub clients_max: Option<usize>,
    /// A statement that takes longer is cancelled.
    pub statement_time: Option<Duration>,
    /// A session that rests longer than this within a transaction ends.
    pub idle_in_transaction: Option<Duration>,
    /// The same outside of one.
    pub idle_session: Option<Duration>,
}

impl ClientLimits {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A password, whose Debug shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    pub name: String,
    /// Where tables live that the file doesn't name; the first shard unless given.
    pub home: ShardId,
    /// In the file's order; the position is the [`ShardId`].
    pub shards: Vec<ShardConfig>,
    pub tables: Vec<TableConfig>,
    /// How tables are placed that the file doesn't name, if they have such a column when they are made.
    pub new_tables: Option<declared::Declared>,
    pub reads: ReadPolicy,
    /// User-defined functions that read no table, by name or schema.name.
    pub safe_functions: Vec<String>,
    /// Buckets assigned by the file; `None`: bucket b belongs to shard b mod N.
    pub buckets: Option<Vec<ShardId>>,
    /// Backend connections per user and node of this database; `[pool] size` unless given.
    pub pool_size: usize,
    /// What statements need on the servers is created when it is first needed.
    pub auto_setup: bool,
    /// How often transactions that a dead proxy left prepared are looked for.
    pub recovery_interval: Duration,
    /// How long a server may take for a step of a COMMIT of several shards.
    pub commit_timeout: Duration,
    /// Replicas that are further behind aren't read; `None`: however far.
    pub max_replica_lag: Option<Duration>,
    pub replication: ReplicationConfig,
    pub limits: ClientLimits,
    /// How users are found that the file doesn't name; `None`: there are none.
    pub auth: Option<AuthLookup>,
    /// What one statement may gather from the shards.
    pub gather_rows_max: u64,
    pub gather_bytes_max: u64,
}

/// PgBouncer's auth_query: users that the file doesn't name are asked of a server of the home shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthLookup {
    /// A user of the file.
    pub user: String,
    /// With the name as $1; gives it and what is stored of the password.
    pub query: String,
    /// How long an answer is believed.
    pub cached: Duration,
}

/// How nodes of a shard stand in for each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicationConfig {
    /// How long statements wait while their shard has no primary; `None`: only where another node may become one.
    pub failover_wait: Option<Duration>,
    /// How many of a shard may wait.
    pub failover_queue: usize,
    /// How often Patroni is asked.
    pub patroni_interval: Duration,
    /// A client that wrote a shard reads only replicas of it that have what it wrote.
    pub read_your_writes: bool,
    pub balance: Balance,
    /// Where this proxy is: replicas there are preferred.
    pub zone: Option<String>,
    /// Replicas that are further behind aren't read.
    pub lag_bytes_max: Option<u64>,
}

/// Which of several replicas reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Balance {
    LeastBusy,
    RoundRobin,
    Weighted,
}

/// What makes a node be chosen among others.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NodePreference {
    pub zone: Option<String>,
    pub weight: u32,
}

impl NodePreference {
    /// Like any other.
    pub const NONE: Self = Self { zone: None, weight: 1 };
}

impl ReplicationConfig {
    /// Where the file says nothing.
    pub const USUAL: Self = Self {
        failover_wait: None,
        failover_queue: defaults::FAILOVER_QUEUE,
        patroni_interval: defaults::PATRONI_INTERVAL,
        read_your_writes: true,
        balance: Balance::LeastBusy,
        zone: None,
        lag_bytes_max: None,
    };

    pub fn failover_wait_of(&self, shard: &ShardConfig) -> Duration {
        let usual = if shard.replicas.is_empty() { Duration::ZERO } else { defaults::FAILOVER_WAIT };
        self.failover_wait.unwrap_or(usual)
    }
}

#[derive(Clone, Debug)]
pub struct ShardConfig {
    pub name: String,
    pub primary: NodeConfig,
    pub replicas: Vec<NodeConfig>,
    /// Patroni's REST API, by any of its members.
    pub patroni: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NodeConfig {
    /// A host name, an address, or the directory of a Unix socket (begins with '/').
    pub host: String,
    pub port: u16,
    pub database: String,
    pub tls: NodeTls,
    pub preference: NodePreference,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NodeTls {
    pub mode: NodeTlsMode,
    /// PEM file of the authorities to trust; the system's when absent.
    pub root_certificate: Option<PathBuf>,
}

/// libpq's sslmode, as far as it makes sense for a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NodeTlsMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadPolicy {
    Primary,
    PreferReplica,
    ReplicaOnly,
}

impl ReadPolicy {
    /// As `SET shardway.read` and hints name it.
    pub fn of_session(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "primary" => Some(Self::Primary),
            "any" => Some(Self::PreferReplica),
            "replica" => Some(Self::ReplicaOnly),
            _ => None,
        }
    }

    pub fn session_word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::PreferReplica => "any",
            Self::ReplicaOnly => "replica",
        }
    }
}

#[derive(Clone, Debug)]
pub struct TableConfig {
    /// `public` unless the file says `schema.table`.
    pub schema: String,
    pub name: String,
    pub kind: TableKind,
}

#[derive(Clone, Debug)]
pub enum TableKind {
    Sharded {
        key: String,
        /// Only needed where no server can be asked, as in `shardway plan`.
        key_type: Option<KeyType>,
        /// Tables with the same group have the same key and placement. The number is the position in
        /// `tables` of the table that the others name with `colocate` (its own, if none does).
        group: usize,
        placement: PlacementConfig,
        /// Columns, or lists of columns, whose values are kept unique over all shards.
        unique: Vec<Vec<String>>,
    },
    Reference,
}

#[derive(Clone, Debug)]
pub enum PlacementConfig {
    Hash,
    /// Ascending; each holds keys below `until` and not below the one before. `None`: no upper end.
    Range(Vec<RangeConfig>),
    List(Vec<ListConfig>),
}

/// Bounds stay text until the key's type is known (`routing` parses them).
#[derive(Clone, Debug)]
pub struct RangeConfig {
    pub until: Option<String>,
    pub shard: ShardId,
}

#[derive(Clone, Debug)]
pub struct ListConfig {
    pub values: Vec<String>,
    pub shard: ShardId,
}

#[derive(Clone, Debug)]
pub struct LogConfig {
    pub format: LogFormat,
    /// A tracing filter, as in `info,shardway::pool=debug`.
    pub level: String,
    /// Statements that take so long are logged; `None`: none is.
    pub slow_statement: Option<Duration>,
    /// As they were, with all values.
    pub slow_values: bool,
}

/// Where spans of statements are sent: OTLP over HTTP.
#[derive(Clone, PartialEq, Debug)]
pub struct TracesConfig {
    pub host: String,
    pub port: u16,
    pub path: String,
    /// Of the statements without a parent, from 0 to 1.
    pub sample: f64,
    /// `service.name` of the spans.
    pub service: String,
}

impl TracesConfig {
    pub fn endpoint(&self) -> String {
        format!("http://{}:{}{}", self.host, self.port, self.path)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    Human,
    Json,
}

/// `250ms`, `5s`, `1m`, `2h`, `1d`: as the file writes durations.
pub fn parse_duration(text: &str) -> Option<Duration> {
    prove::parse_duration(text)
}

impl Config {
    /// The database of that name; without one, the only one that there is.
    ///
    /// # Errors
    /// When there is none of that name, or more than one to choose from.
    pub fn database_named(&self, name: Option<&str>) -> Result<&DatabaseConfig, String> {
        let mut databases = self.databases.values();
        match name {
            Some(name) => self.databases.get(name).ok_or_else(|| format!("no database \"{name}\" in the file")),
            None => match (databases.next(), databases.next()) {
                (Some(only), None) => Ok(only),
                _ => Err("the file has several databases: name one with --database".to_owned()),
            },
        }
    }
}

impl DatabaseConfig {
    pub fn shard_by_name(&self, name: &str) -> Option<ShardId> {
        let position = self.shards.iter().position(|shard| shard.name == name)?;
        u16::try_from(position).ok().map(ShardId::new)
    }
}

impl UserConfig {
    /// Whether the file has all that it takes to log in to the servers as this user.
    pub fn logs_in_alone(&self) -> bool {
        self.server_password.is_some() || self.password.as_ref().is_none_or(|password| !is_stored(password.reveal()))
    }
}

impl std::fmt::Debug for UserConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserConfig").field("name", &self.name).field("admin", &self.admin).finish_non_exhaustive()
    }
}
