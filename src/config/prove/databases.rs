//! Databases and their shards.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use super::node::node;
use super::values::{choice, count, duration, limits, name_fits};
use super::{auth, buckets, tables};
use crate::config::declared::{self, Declared};
use crate::config::defaults::{
    AUTO_SETUP, COMMIT_TIMEOUT, FAILOVER_QUEUE, FAILOVER_WAIT, LAG_BYTES_ADVISED, PATRONI_INTERVAL, RECOVERY_INTERVAL,
};
use crate::config::mistake::{Notes, similar};
use crate::config::raw::{RawDatabase, RawShard};
use crate::config::reader::{Placed, quoted_list};
use crate::config::{
    Balance, DatabaseConfig, NodeConfig, NodePreference, ReadPolicy, ReplicationConfig, ShardConfig, Surroundings,
    UserConfig,
};
use crate::config::{TableConfig, TableKind};
use crate::types::ShardId;
use crate::types::limits::{FAILOVER_QUEUE_MAX, GATHER_BYTES_MAX, GATHER_ROWS_MAX, POOL_SIZE_MAX, SHARDS_MAX};

/// `shardway` is the console; `pgbouncer` is what tools made for PgBouncer ask for.
const RESERVED: [&str; 2] = ["shardway", "pgbouncer"];

/// The names of a database's shards; the position is the [`ShardId`].
pub(super) struct ShardNames<'n>(Vec<&'n str>);

impl ShardNames<'_> {
    /// Notes a name that no shard has.
    pub(super) fn find(&self, name: &Placed<String>, notes: &mut Notes<'_>) -> Option<ShardId> {
        let position = self.0.iter().position(|known| known == name.get_ref());
        if position.is_none() {
            let remedy = match similar(name.get_ref(), self.0.iter().copied()) {
                Some(meant) => format!("write {meant:?}"),
                None if self.0.is_empty() => "add the shard".to_owned(),
                None => format!("write {}", quoted_list(self.0.iter().copied())),
            };
            notes.mistake(&name.span(), format!("there is no shard {:?}", name.get_ref()), remedy);
        }
        u16::try_from(position?).ok().map(ShardId::new)
    }

    pub(super) fn name(&self, shard: ShardId) -> &str {
        self.0.get(shard.index()).copied().unwrap_or_default()
    }
}

/// A node, with its place, as found so far.
struct Found {
    node: NodeConfig,
    at: Range<usize>,
    database: String,
    shard: String,
    is_primary: bool,
}

pub(super) fn databases(
    raw: &[RawDatabase<'_>],
    (pool_size, users): (usize, &[UserConfig]),
    surroundings: &Surroundings<'_>,
    notes: &mut Notes<'_>,
) -> Vec<DatabaseConfig> {
    let mut found = Vec::new();
    let databases = raw.iter().map(|raw| database(raw, (pool_size, users), surroundings, &mut found, notes)).collect();
    repeated_nodes(&found, notes);
    databases
}

fn database(
    raw: &RawDatabase<'_>,
    (pool_size, users): (usize, &[UserConfig]),
    surroundings: &Surroundings<'_>,
    found: &mut Vec<Found>,
    notes: &mut Notes<'_>,
) -> DatabaseConfig {
    let name = raw.name.get_ref();
    name_fits("the database's name", &raw.name, notes);
    if RESERVED.contains(&name.as_str()) {
        let what = format!("a database can't be called {name:?}: that is Shardway's console");
        notes.mistake(
            &raw.name.span(),
            what,
            "write another name; the servers may go on using this one, in their URLs",
        );
    }
    if raw.shards.is_empty() {
        let remedy =
            format!("write [database.{name}.shard.a], and under it primary = \"postgres://10.0.0.1:5432/{name}\"");
        notes.mistake(&raw.section.at, format!("{} has no shard", raw.section.title), remedy);
    } else if raw.shards.len() > SHARDS_MAX {
        let what = format!("{} has {} shards; {SHARDS_MAX} are possible", raw.section.title, raw.shards.len());
        notes.mistake(&raw.section.at, what, "write fewer shards");
    }
    auth::control(raw, users, notes);
    let names = ShardNames(raw.shards.iter().map(|shard| shard.name.get_ref().as_str()).collect());
    let reads = reads(raw, notes);
    let shards = raw.shards.iter().map(|raw_shard| shard(raw_shard, name, surroundings, found, notes)).collect();
    let tables = tables::tables(&raw.tables, &names, notes);
    DatabaseConfig {
        name: name.clone(),
        home: raw.home.as_ref().and_then(|home| names.find(home, notes)).unwrap_or(ShardId::new(0)),
        shards,
        new_tables: new_tables(raw, &tables, notes),
        tables,
        reads,
        safe_functions: safe_functions(raw, notes),
        buckets: raw.buckets.as_ref().and_then(|raw| buckets::buckets(raw, &names, notes)),
        pool_size: count("pool_size", raw.pool_size.as_ref(), POOL_SIZE_MAX, pool_size, notes),
        auto_setup: raw.auto_setup.as_ref().map_or(AUTO_SETUP, |wanted| *wanted.get_ref()),
        max_replica_lag: raw
            .max_replica_lag
            .as_ref()
            .filter(|written| written.get_ref() != "off")
            .map(|written| duration("max_replica_lag", Some(written), RECOVERY_INTERVAL, notes)),
        replication: replication(raw, notes),
        limits: limits(&raw.limits, notes),
        auth: auth::lookup(raw, users, notes),
        gather_rows_max: bound("max_gathered_rows", raw.max_gathered_rows.as_ref(), GATHER_ROWS_MAX, notes),
        gather_bytes_max: bound("max_gathered_bytes", raw.max_gathered_bytes.as_ref(), GATHER_BYTES_MAX, notes),
        recovery_interval: duration("recovery_interval", raw.recovery_interval.as_ref(), RECOVERY_INTERVAL, notes),
        commit_timeout: duration("commit_timeout", raw.commit_timeout.as_ref(), COMMIT_TIMEOUT, notes),
    }
}

fn replication(raw: &RawDatabase<'_>, notes: &mut Notes<'_>) -> ReplicationConfig {
    let failover_wait = raw.failover_wait.as_ref().map(|written| match written.get_ref().as_str() {
        "off" => Duration::ZERO,
        _ => duration("failover_wait", Some(written), FAILOVER_WAIT, notes),
    });
    let failover_queue =
        count("failover_queue", raw.failover_queue.as_ref(), FAILOVER_QUEUE_MAX, FAILOVER_QUEUE, notes);
    let balances =
        [("least_busy", Balance::LeastBusy), ("round_robin", Balance::RoundRobin), ("weighted", Balance::Weighted)];
    ReplicationConfig {
        failover_wait,
        failover_queue,
        patroni_interval: duration("patroni_interval", raw.patroni_interval.as_ref(), PATRONI_INTERVAL, notes),
        read_your_writes: raw.read_your_writes.as_ref().is_none_or(|wanted| *wanted.get_ref()),
        balance: choice("balance", raw.balance.as_ref(), &balances, Balance::LeastBusy, notes),
        zone: raw.zone.as_ref().map(|zone| zone.get_ref().clone()),
        lag_bytes_max: raw
            .max_replica_lag_bytes
            .as_ref()
            .map(|written| count("max_replica_lag_bytes", Some(written), usize::MAX, LAG_BYTES_ADVISED, notes) as u64),
    }
}

fn bound(name: &str, written: Option<&Placed<i64>>, default: u64, notes: &mut Notes<'_>) -> u64 {
    let default = usize::try_from(default).unwrap_or(usize::MAX);
    count(name, written, usize::MAX, default, notes) as u64
}

fn reads(raw: &RawDatabase<'_>, notes: &mut Notes<'_>) -> ReadPolicy {
    let policies = [
        ("primary", ReadPolicy::Primary),
        ("prefer_replica", ReadPolicy::PreferReplica),
        ("replica_only", ReadPolicy::ReplicaOnly),
    ];
    let policy = choice("reads", raw.reads.as_ref(), &policies, ReadPolicy::Primary, notes);
    if policy == ReadPolicy::ReplicaOnly {
        for shard in raw.shards.iter().filter(|shard| shard.replicas.is_empty()) {
            let what = format!("shard {:?} has no replica, and `reads` allows nothing else", shard.name.get_ref());
            notes.mistake(&shard.section.at, what, "add replicas, or write reads = \"prefer_replica\"");
        }
    }
    policy
}

/// The rule for tables that the file doesn't name.
fn new_tables(raw: &RawDatabase<'_>, tables: &[TableConfig], notes: &mut Notes<'_>) -> Option<Declared> {
    let written = raw.new_tables.as_ref()?;
    let remedy = "write new_tables = \"key=user_id\" or new_tables = \"key=user_id colocate=users\"";
    let Some(Ok(Declared::Sharded { key, colocate })) =
        declared::read(&format!("{}{}", declared::PREFIX, written.get_ref()))
    else {
        notes.mistake(&written.span(), format!("{:?} says no placement", written.get_ref()), remedy);
        return None;
    };
    if let Some((schema, name)) = &colocate {
        let is_sharded = |table: &TableConfig| matches!(table.kind, TableKind::Sharded { .. });
        if !tables.iter().any(|table| is_sharded(table) && table.schema == *schema && table.name == *name) {
            let what = format!("there is no sharded table \"{schema}.{name}\" to colocate new tables with");
            notes.mistake(&written.span(), what, "name a sharded table of this file");
        }
    }
    Some(Declared::Sharded { key, colocate })
}

fn safe_functions(raw: &RawDatabase<'_>, notes: &mut Notes<'_>) -> Vec<String> {
    for function in &raw.safe_functions {
        let name = function.get_ref();
        if name.is_empty() || name.contains('(') || name.matches('.').count() > 1 {
            let what = format!("{name:?} is not the name of a function");
            notes.mistake(&function.span(), what, "write the name without arguments, as in \"public.slugify\"");
        }
    }
    raw.safe_functions.iter().map(|function| function.get_ref().clone()).collect()
}

fn shard(
    raw: &RawShard<'_>,
    database: &str,
    surroundings: &Surroundings<'_>,
    found: &mut Vec<Found>,
    notes: &mut Notes<'_>,
) -> ShardConfig {
    let name = raw.name.get_ref();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name_fits("the shard's name", &raw.name, notes) && !name.bytes().all(is_plain) {
        let what = format!("a shard can't be called {name:?}: hints like shard={name} would be ambiguous");
        notes.mistake(&raw.name.span(), what, "use letters, digits, _ and -");
    }
    let mut node = |url: &Placed<String>, is_primary: bool| {
        let node = node(url, database, surroundings, notes)?;
        let (database, shard) = (database.to_owned(), name.clone());
        found.push(Found { node: node.clone(), at: url.span(), database, shard, is_primary });
        Some(node)
    };
    let primary = raw.primary.as_ref().map(|url| node(url, true));
    let replicas = raw.replicas.iter().filter_map(|url| node(url, false)).collect();
    if primary.is_none() && raw.section.value("primary").is_none() {
        raw.section.missing("primary", notes);
    }
    // The stand-in is never used: its absence was noted.
    let primary = primary.flatten().unwrap_or_else(|| NodeConfig {
        host: String::new(),
        port: 0,
        database: String::new(),
        tls: crate::config::NodeTls { mode: crate::config::NodeTlsMode::Prefer, root_certificate: None },
        preference: NodePreference::NONE,
    });
    let patroni = raw.patroni.iter().filter_map(|url| patroni(url, notes)).collect();
    ShardConfig { name: name.clone(), primary, replicas, patroni }
}

fn patroni(url: &Placed<String>, notes: &mut Notes<'_>) -> Option<String> {
    let text = url.get_ref();
    let authority = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let has_port = |authority: &str| {
        authority.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    match authority.filter(|authority| !authority.contains('/') && has_port(authority)) {
        Some(authority) => Some(format!("http://{authority}")),
        None => {
            let what = format!("{text:?} is not where Patroni's REST API can be asked");
            notes.mistake(&url.span(), what, "write host and port, as in \"http://10.0.0.1:8008\"");
            None
        }
    }
}

/// A server in two shards of one database would give each of its rows twice.
fn repeated_nodes(found: &[Found], notes: &mut Notes<'_>) {
    let mut first: HashMap<(&str, u16, &str), &Found> = HashMap::new();
    for this in found {
        let place = (this.node.host.as_str(), this.node.port, this.node.database.as_str());
        let Some(other) = first.get(&place) else {
            first.insert(place, this);
            continue;
        };
        let line = notes.line(&other.at);
        if this.database != other.database {
            let what = format!("the same server and database as of [database.{}] in line {line}", other.database);
            notes.warning(&this.at, what, "make sure that both are meant to use it");
        } else if this.shard != other.shard {
            let what = format!(
                "the same server and database as of shard {:?} in line {line}: rows would be found twice",
                other.shard
            );
            notes.mistake(&this.at, what, "give each shard servers of its own");
        } else if this.is_primary || other.is_primary {
            let what = format!("this replica is the shard's primary in line {line}");
            notes.warning(&this.at, what, "remove it; `reads` says when the primary answers");
        } else {
            notes.warning(&this.at, format!("the same replica as in line {line}"), "remove one of them");
        }
    }
}
