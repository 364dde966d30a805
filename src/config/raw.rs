//! The file as it is written: which keys there are, and their types. In: a TOML tree. Out:
//! [`RawConfig`], in which every value has its place and nothing has been checked against anything.

use toml::Spanned;
use toml::de::DeTable;

pub(super) use self::hba::{RawHba, RawMapped};
use self::shapes::{buckets, secret};
use super::keys::{ALL, DATABASE, FILE, LIST, LOG, POOL, RANGE, SERVER, SHARD, TABLE, TLS, TRACES, USER};
use super::mistake::Notes;
use super::reader::{Entry, Placed, Scalar, Section, SectionKind};

mod hba;
mod shapes;

type Text = Option<Placed<String>>;
type Number = Option<Placed<i64>>;

pub(super) struct RawConfig<'t> {
    pub(super) server: RawServer<'t>,
    pub(super) pool: RawPool,
    pub(super) log: RawLog,
    pub(super) traces: RawTraces,
    pub(super) hba: Option<Placed<Vec<RawHba<'t>>>>,
    /// `None`: the file has no `user` at all.
    pub(super) users: Option<Vec<RawUser<'t>>>,
    pub(super) databases: Option<Vec<RawDatabase<'t>>>,
}

#[derive(Default)]
pub(super) struct RawServer<'t> {
    pub(super) listen: Option<Placed<Vec<Placed<String>>>>,
    pub(super) unix_socket_directory: Text,
    pub(super) admin: Text,
    pub(super) workers: Number,
    pub(super) tls: Option<RawTls<'t>>,
    pub(super) authentication: Text,
    pub(super) max_clients: Number,
    pub(super) drain_timeout: Text,
    pub(super) startup_timeout: Text,
    pub(super) state_file: Text,
    pub(super) statistics: Option<Placed<bool>>,
}

pub(super) struct RawTls<'t> {
    pub(super) section: Section<'t>,
    pub(super) certificate: Text,
    pub(super) key: Text,
    pub(super) client_ca: Text,
    pub(super) required: Option<Placed<bool>>,
}

#[derive(Default)]
pub(super) struct RawPool {
    pub(super) size: Number,
    pub(super) wait_timeout: Text,
    pub(super) connect_timeout: Text,
    pub(super) idle_timeout: Text,
    pub(super) max_lifetime: Text,
    pub(super) max_connects: Number,
    pub(super) max_prepared_statements: Number,
}

#[derive(Default)]
pub(super) struct RawLog {
    pub(super) format: Text,
    pub(super) level: Text,
    pub(super) slow_statement: Text,
    pub(super) slow_values: Option<Placed<bool>>,
}

#[derive(Default)]
pub(super) struct RawTraces {
    pub(super) endpoint: Text,
    pub(super) sample: Text,
    pub(super) service: Text,
}

pub(super) struct RawUser<'t> {
    pub(super) section: Section<'t>,
    pub(super) name: Text,
    pub(super) password: Option<Placed<RawSecret>>,
    pub(super) server_user: Text,
    pub(super) server_password: Option<Placed<RawSecret>>,
    pub(super) admin: Option<Placed<bool>>,
    pub(super) stats: Option<Placed<bool>>,
    pub(super) databases: Vec<Placed<String>>,
    pub(super) pool_size: Number,
    pub(super) limits: RawLimits,
}

/// The same for users and for databases.
pub(super) struct RawLimits {
    pub(super) max_clients: Number,
    pub(super) statement_timeout: Text,
    pub(super) idle_in_transaction_timeout: Text,
    pub(super) idle_session_timeout: Text,
}

/// Where a password is to be found.
pub(super) enum RawSecret {
    Text(String),
    Environment(String),
    File(String),
    /// Noted already.
    Unusable,
}

pub(super) struct RawDatabase<'t> {
    pub(super) section: Section<'t>,
    pub(super) name: Placed<String>,
    pub(super) home: Text,
    pub(super) reads: Text,
    pub(super) new_tables: Text,
    pub(super) safe_functions: Vec<Placed<String>>,
    pub(super) buckets: Option<Placed<Vec<RawBuckets>>>,
    pub(super) pool_size: Number,
    pub(super) auth_user: Text,
    pub(super) auth_query: Text,
    pub(super) auth_cache: Text,
    pub(super) auto_setup: Option<Placed<bool>>,
    pub(super) recovery_interval: Text,
    pub(super) commit_timeout: Text,
    pub(super) max_replica_lag: Text,
    pub(super) max_replica_lag_bytes: Number,
    pub(super) read_your_writes: Option<Placed<bool>>,
    pub(super) balance: Text,
    pub(super) zone: Text,
    pub(super) failover_wait: Text,
    pub(super) patroni_interval: Text,
    pub(super) failover_queue: Number,
    pub(super) limits: RawLimits,
    pub(super) max_gathered_rows: Number,
    pub(super) max_gathered_bytes: Number,
    /// In the file's order.
    pub(super) shards: Vec<RawShard<'t>>,
    pub(super) tables: Vec<RawTable<'t>>,
}

/// The buckets of one shard: `"0-2047"` or `17`.
pub(super) struct RawBuckets {
    pub(super) shard: Placed<String>,
    pub(super) ranges: Vec<Placed<String>>,
}

pub(super) struct RawShard<'t> {
    pub(super) section: Section<'t>,
    pub(super) name: Placed<String>,
    pub(super) primary: Text,
    pub(super) replicas: Vec<Placed<String>>,
    pub(super) patroni: Vec<Placed<String>>,
}

pub(super) struct RawTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) name: Placed<String>,
    pub(super) key: Text,
    pub(super) key_type: Text,
    pub(super) colocate: Text,
    pub(super) range: Option<Placed<Vec<RawRange<'t>>>>,
    pub(super) list: Option<Placed<Vec<RawList<'t>>>>,
    pub(super) unique: Option<Placed<Vec<Placed<String>>>>,
    pub(super) reference: Option<Placed<bool>>,
}

pub(super) struct RawRange<'t> {
    pub(super) section: Section<'t>,
    pub(super) until: Option<Placed<Scalar>>,
    pub(super) shard: Text,
}

pub(super) struct RawList<'t> {
    pub(super) section: Section<'t>,
    pub(super) values: Option<Placed<Vec<Placed<Scalar>>>>,
    pub(super) shard: Text,
}

fn open<'t>((at, table): Entry<'t>, kind: &'static SectionKind, title: String, notes: &mut Notes<'_>) -> Section<'t> {
    Section::open(table, kind, title, at, ALL, notes)
}

/// Reads what can be read and notes the rest.
pub(super) fn read<'t>(root: &'t DeTable<'t>, notes: &mut Notes<'_>) -> RawConfig<'t> {
    let file = open((0..0, root), &FILE, FILE.title.to_owned(), notes);
    let fixed = |name: &str, kind: &'static SectionKind, notes: &mut Notes<'_>| {
        file.table(name, notes).map(|entry| open(entry, kind, kind.title.to_owned(), notes))
    };
    let server = fixed("server", &SERVER, notes).map(|section| server(&section, notes)).unwrap_or_default();
    let pool = fixed("pool", &POOL, notes).map(|section| pool(&section, notes)).unwrap_or_default();
    let log = fixed("log", &LOG, notes).map(|section| log(&section, notes)).unwrap_or_default();
    let traces = fixed("traces", &TRACES, notes).map(|section| RawTraces {
        endpoint: section.string("endpoint", notes),
        sample: section.string("sample", notes),
        service: section.string("service", notes),
    });
    let traces = traces.unwrap_or_default();
    let hba = hba::rules(&file, notes);
    let users = file.value("user").map(|_| {
        let entries = file.tables("user", notes).map(Spanned::into_inner).unwrap_or_default();
        entries.into_iter().map(|entry| user(entry, notes)).collect()
    });
    let databases = file.value("database").map(|_| {
        let entries = file.named_tables("database", notes);
        entries.into_iter().map(|(name, table)| database(name, table, notes)).collect()
    });
    RawConfig { server, pool, log, traces, hba, users, databases }
}

fn server<'t>(section: &Section<'t>, notes: &mut Notes<'_>) -> RawServer<'t> {
    let tls = section.table("tls", notes).map(|entry| {
        let section = open(entry, &TLS, TLS.title.to_owned(), notes);
        RawTls {
            certificate: section.string("certificate", notes),
            key: section.string("key", notes),
            client_ca: section.string("client_ca", notes),
            required: section.boolean("required", notes),
            section,
        }
    });
    RawServer {
        listen: section.strings("listen", true, notes),
        unix_socket_directory: section.string("unix_socket_directory", notes),
        admin: section.string("admin", notes),
        workers: section.integer("workers", notes),
        tls,
        authentication: section.string("authentication", notes),
        max_clients: section.integer("max_clients", notes),
        drain_timeout: section.string("drain_timeout", notes),
        startup_timeout: section.string("startup_timeout", notes),
        state_file: section.string("state_file", notes),
        statistics: section.boolean("statistics", notes),
    }
}

fn pool(section: &Section<'_>, notes: &mut Notes<'_>) -> RawPool {
    RawPool {
        size: section.integer("size", notes),
        wait_timeout: section.string("wait_timeout", notes),
        connect_timeout: section.string("connect_timeout", notes),
        idle_timeout: section.string("idle_timeout", notes),
        max_lifetime: section.string("max_lifetime", notes),
        max_connects: section.integer("max_connects", notes),
        max_prepared_statements: section.integer("max_prepared_statements", notes),
    }
}

fn log(section: &Section<'_>, notes: &mut Notes<'_>) -> RawLog {
    RawLog {
        format: section.string("format", notes),
        level: section.string("level", notes),
        slow_statement: section.string("slow_statement", notes),
        slow_values: section.boolean("slow_values", notes),
    }
}

fn user<'t>(entry: Entry<'t>, notes: &mut Notes<'_>) -> RawUser<'t> {
    let section = open(entry, &USER, USER.title.to_owned(), notes);
    RawUser {
        name: section.string("name", notes),
        password: secret(&section, "password", notes),
        server_user: section.string("server_user", notes),
        server_password: secret(&section, "server_password", notes),
        admin: section.boolean("admin", notes),
        stats: section.boolean("stats", notes),
        databases: section.strings("databases", true, notes).map(Spanned::into_inner).unwrap_or_default(),
        pool_size: section.integer("pool_size", notes),
        limits: limits(&section, notes),
        section,
    }
}

fn limits(section: &Section<'_>, notes: &mut Notes<'_>) -> RawLimits {
    RawLimits {
        max_clients: section.integer("max_clients", notes),
        statement_timeout: section.string("statement_timeout", notes),
        idle_in_transaction_timeout: section.string("idle_in_transaction_timeout", notes),
        idle_session_timeout: section.string("idle_session_timeout", notes),
    }
}

fn database<'t>(name: Placed<String>, table: &'t DeTable<'t>, notes: &mut Notes<'_>) -> RawDatabase<'t> {
    let base = format!("database.{}", header_key(name.get_ref()));
    let section = open((name.span(), table), &DATABASE, format!("[{base}]"), notes);
    let shards = section.named_tables("shard", notes);
    let tables = section.named_tables("table", notes);
    RawDatabase {
        home: section.string("home", notes),
        reads: section.string("reads", notes),
        new_tables: section.string("new_tables", notes),
        safe_functions: section.strings("safe_functions", true, notes).map(Spanned::into_inner).unwrap_or_default(),
        buckets: buckets(&section, notes),
        pool_size: section.integer("pool_size", notes),
        auth_user: section.string("auth_user", notes),
        auth_query: section.string("auth_query", notes),
        auth_cache: section.string("auth_cache", notes),
        auto_setup: section.boolean("auto_setup", notes),
        recovery_interval: section.string("recovery_interval", notes),
        commit_timeout: section.string("commit_timeout", notes),
        max_replica_lag: section.string("max_replica_lag", notes),
        max_replica_lag_bytes: section.integer("max_replica_lag_bytes", notes),
        read_your_writes: section.boolean("read_your_writes", notes),
        balance: section.string("balance", notes),
        zone: section.string("zone", notes),
        failover_wait: section.string("failover_wait", notes),
        patroni_interval: section.string("patroni_interval", notes),
        failover_queue: section.integer("failover_queue", notes),
        limits: limits(&section, notes),
        max_gathered_rows: section.integer("max_gathered_rows", notes),
        max_gathered_bytes: section.integer("max_gathered_bytes", notes),
        shards: shards.into_iter().map(|(name, table)| shard(&base, name, table, notes)).collect(),
        tables: tables.into_iter().map(|(name, entry)| self::table(&base, name, entry, notes)).collect(),
        section,
        name,
    }
}

fn shard<'t>(base: &str, name: Placed<String>, table: &'t DeTable<'t>, notes: &mut Notes<'_>) -> RawShard<'t> {
    let title = format!("[{base}.shard.{}]", header_key(name.get_ref()));
    let section = open((name.span(), table), &SHARD, title, notes);
    RawShard {
        primary: section.string("primary", notes),
        replicas: section.strings("replicas", true, notes).map(Spanned::into_inner).unwrap_or_default(),
        patroni: section.strings("patroni", true, notes).map(Spanned::into_inner).unwrap_or_default(),
        section,
        name,
    }
}

fn table<'t>(base: &str, name: Placed<String>, table: &'t DeTable<'t>, notes: &mut Notes<'_>) -> RawTable<'t> {
    let title = format!("[{base}.table.{}]", header_key(name.get_ref()));
    let section = open((name.span(), table), &TABLE, title, notes);
    let range = section.tables("range", notes).map(|entries| {
        let at = entries.span();
        let ranges = entries.into_inner().into_iter().map(|entry| {
            let section = open(entry, &RANGE, RANGE.title.to_owned(), notes);
            RawRange { until: section.scalar("until", notes), shard: section.string("shard", notes), section }
        });
        Spanned::new(at, ranges.collect())
    });
    let list = section.tables("list", notes).map(|entries| {
        let at = entries.span();
        let entries = entries.into_inner().into_iter().map(|entry| {
            let section = open(entry, &LIST, LIST.title.to_owned(), notes);
            RawList { values: section.scalars("values", notes), shard: section.string("shard", notes), section }
        });
        Spanned::new(at, entries.collect())
    });
    RawTable {
        key: section.string("key", notes),
        key_type: section.string("type", notes),
        colocate: section.string("colocate", notes),
        range,
        list,
        unique: section.strings("unique", true, notes),
        reference: section.boolean("reference", notes),
        section,
        name,
    }
}

/// A key as it stands in a header: quoted unless it is a bare key.
fn header_key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if bare { name.to_owned() } else { format!("{name:?}") }
}
