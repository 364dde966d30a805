//! What the console sees of the running proxy, and what it may do to it: the [`House`] of this server. In: the
//! databases as they are now. Out: plain values, and commands carried out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Current, Shared, reload};
use crate::admin::House;
use crate::admin::house::{
    DatabaseState, InDoubtState, NodeState, PoolState, ServerState, ShardState, TableState, Work,
};
use crate::config::Config;
use crate::observe::Observed;
use crate::pool::{Lead, NodePool, NodeRole};
use crate::routing::{Placement, ShardMap, TableRoute};
use crate::session::database::Database;
use crate::types::{Bucket, ShardId};

/// How often PAUSE looks whether everybody has finished.
const PAUSE_LOOK: Duration = Duration::from_millis(10);

pub(super) struct Premises(pub(super) Arc<Shared>);

impl Premises {
    fn current(&self) -> Arc<Current> {
        self.0.current.load_full()
    }

    /// `database.shard`.
    fn shard_named(&self, name: &str) -> Option<(Arc<Database>, ShardId)> {
        let (database, shard) = name.rsplit_once('.')?;
        let database = self.current().databases.get(database)?;
        let shard = database.config.shard_by_name(shard)?;
        Some((database, shard))
    }

    fn named(&self, names: &[String]) -> Vec<Arc<Database>> {
        let current = self.current();
        names.iter().filter_map(|name| current.databases.get(name)).collect()
    }
}

/// Open, and of them in use, on all nodes for all users: by user.
fn pools_of(database: &Database) -> Vec<PoolState> {
    let mut pools = Vec::new();
    for (user, nodes) in database.user_pools() {
        let (mut open, mut idle, mut waiting) = (0, 0, 0);
        nodes.each(|pool: &NodePool| {
            let counts = pool.counts();
            open += counts.0;
            idle += counts.1;
            waiting += counts.2;
        });
        let name = database.config.name.clone();
        let size = database.pool_size();
        pools.push(PoolState { database: name, user, leased: open.saturating_sub(idle), idle, waiting, size });
    }
    pools
}

fn state_of(database: &Database) -> DatabaseState {
    let config = &database.config;
    let home = config.shards.get(config.home.index()).map(|shard| &shard.primary);
    let map = database.planner.map();
    DatabaseState {
        name: config.name.clone(),
        host: home.map(|node| node.host.clone()).unwrap_or_default(),
        port: home.map_or(0, |node| node.port),
        database: home.map(|node| node.database.clone()).unwrap_or_default(),
        pool_size: database.pool_size(),
        connections: pools_of(database).iter().map(|pool| pool.leased + pool.idle).sum(),
        is_paused: database.gate.is_paused(),
        home: config.shards.get(config.home.index()).map(|shard| shard.name.clone()).unwrap_or_default(),
        map_version: map.as_ref().map(|map| map.version()),
        refused: database.planner.refused().map(|error| error.to_string()),
        templates: database.planner.templates(),
        buckets: map.as_deref().map(buckets).unwrap_or_default(),
        shards: config.shards.iter().map(|shard| shard.name.clone()).collect(),
    }
}

/// The shard of each bucket, where any table is sharded by hash.
fn buckets(map: &ShardMap) -> Vec<u16> {
    let hashed = map.tables().find_map(|(_, _, route)| match route {
        TableRoute::Sharded(sharded) => match &*sharded.placement {
            Placement::Hash(hash) => Some(hash.clone()),
            Placement::Range(_) | Placement::List(_) => None,
        },
        TableRoute::Reference => None,
    });
    let Some(hash) = hashed else { return Vec::new() };
    let shard = |bucket| u16::try_from(hash.shard_of_bucket(bucket).index()).unwrap_or(u16::MAX);
    (0..Bucket::COUNT).filter_map(Bucket::new).map(shard).collect()
}

fn tables_of(database: &Database) -> Vec<TableState> {
    let Some(map) = database.planner.map() else { return Vec::new() };
    let name_of = |schema: &str, table: &str| match schema {
        "public" => table.to_owned(),
        schema => format!("{schema}.{table}"),
    };
    let mut first_of_group = HashMap::<usize, String>::new();
    let mut tables = Vec::new();
    for (schema, table, route) in map.tables() {
        let name = name_of(schema, table);
        let shards = |all: &[ShardId]| -> Vec<String> {
            let mut shards = all.to_vec();
            shards.sort_unstable();
            shards.dedup();
            shards.into_iter().map(|shard| map.shard_name(shard).to_owned()).collect()
        };
        let all: Vec<ShardId> = map.shard_ids().collect();
        let database = database.config.name.clone();
        tables.push(match route {
            TableRoute::Sharded(sharded) => {
                let first = first_of_group.entry(sharded.group).or_insert_with(|| name.clone()).clone();
                TableState {
                    database,
                    placement: match &*sharded.placement {
                        Placement::Hash(_) => "hash",
                        Placement::Range(_) => "range",
                        Placement::List(_) => "list",
                    },
                    key: Some(sharded.key.clone()),
                    key_type: sharded.key_type.map(|key_type| format!("{key_type:?}").to_lowercase()),
                    colocated_with: (first != name).then_some(first),
                    shards: shards(sharded.placement.shards()),
                    table: name,
                }
            }
            TableRoute::Reference => TableState {
                database,
                table: name,
                placement: "reference",
                key: None,
                key_type: None,
                colocated_with: None,
                shards: shards(&all),
            },
        });
    }
    tables
}

impl House for Premises {
    fn observed(&self) -> &Arc<Observed> {
        &self.0.observed
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(self.current().admission.config())
    }

    fn pools(&self) -> Vec<PoolState> {
        self.current().databases.all().flat_map(|database| pools_of(database)).collect()
    }

    fn databases(&self) -> Vec<DatabaseState> {
        self.current().databases.named().map(|(_, database)| state_of(database)).collect()
    }

    fn servers(&self) -> Vec<ServerState> {
        let mut holders = HashMap::new();
        for client in self.0.observed.clients.all() {
            for key in self.0.keys.of(client.id).map(|client| client.backends()).unwrap_or_default() {
                holders.insert(Arc::as_ptr(&key), client.id);
            }
        }
        let current = self.current();
        let mut servers = Vec::new();
        for database in current.databases.all() {
            for node in database.nodes() {
                servers.extend(node.servers().into_iter().map(|key| ServerState {
                    database: database.config.name.clone(),
                    user: key.user.to_string(),
                    host: node.config.host.clone(),
                    port: node.config.port,
                    shard: node.shard_name.clone(),
                    role: node.role().name(),
                    is_leased: key.is_leased(),
                    is_closing: key.is_outdated(),
                    connected: key.connected,
                    process_id: key.process_id,
                    is_tls: key.is_tls,
                    client: holders.get(&Arc::as_ptr(&key)).copied(),
                }));
            }
        }
        servers
    }

    fn nodes(&self) -> Vec<NodeState> {
        let current = self.current();
        let mut nodes = Vec::new();
        for database in current.databases.all() {
            for node in database.nodes() {
                let failure = node.outage();
                let standing = node.standing();
                let standing = standing.as_deref();
                nodes.push(NodeState {
                    database: database.config.name.clone(),
                    shard: node.shard_name.clone(),
                    role: node.figures.role(),
                    host: node.config.host.clone(),
                    port: node.config.port,
                    server_database: node.config.database.clone(),
                    leased: node.leased(),
                    connections: node.servers().len(),
                    failed_for: failure.as_ref().map(|(at, _)| at.elapsed()),
                    failure: failure.map(|(_, reason)| reason),
                    timeline: standing.map(|standing| standing.timeline),
                    system: standing.and_then(|standing| standing.system),
                    lag_bytes: standing.and_then(|standing| standing.lag).map(|(bytes, _)| bytes),
                    lag: standing.and_then(|standing| standing.lag).map(|(_, time)| time),
                    sync_state: standing.and_then(|standing| standing.sync_state.clone()),
                    slots: standing.and_then(|standing| standing.slots.clone()),
                    problem: standing.and_then(|standing| standing.problem.clone()),
                });
            }
        }
        nodes
    }

    fn shards(&self) -> Vec<ShardState> {
        let current = self.current();
        let state = |database: &Database, lead: &Lead| {
            let (problem, is_torn) = lead.problem().unzip();
            // An only node is sent what there is, whatever it was found to be.
            let standing = lead.node().standing().filter(|standing| standing.is_standby);
            let problem = problem.or_else(|| standing.as_ref()?.problem.clone());
            ShardState {
                database: database.config.name.clone(),
                shard: lead.node().shard_name.clone(),
                primary: lead.at().filter(|_| standing.is_none()).map(|_| lead.node().address()),
                problem,
                is_torn: is_torn.unwrap_or(false),
                waiting: lead.held(),
                changes: lead.changes(),
            }
        };
        current.databases.all().flat_map(|database| database.leads().map(|lead| state(database, lead))).collect()
    }

    fn tables(&self) -> Vec<TableState> {
        self.current().databases.all().flat_map(|database| tables_of(database)).collect()
    }

    fn in_doubt(&self) -> Vec<InDoubtState> {
        let current = self.current();
        let mut all = Vec::new();
        for database in current.databases.all() {
            all.extend(database.in_doubt().iter().map(|left| InDoubtState {
                database: database.config.name.clone(),
                gid: left.gid.clone(),
                shard: left.shard.clone(),
                owner: left.owner.clone(),
                age: Duration::from_secs(u64::try_from(left.age_seconds).unwrap_or(0)),
                state: left.state.name(),
            }));
        }
        all
    }

    fn shards_of(&self, client: u32) -> Vec<String> {
        let Some(client) = self.0.keys.of(client) else { return Vec::new() };
        let shown = |node: &crate::pool::Node| match node.role() {
            NodeRole::Primary => node.shard_name.clone(),
            NodeRole::Replica => format!("{} (replica)", node.shard_name),
        };
        client.backends().iter().map(|key| shown(&key.node)).collect()
    }

    fn is_draining(&self) -> bool {
        self.0.drain.draining.load(Ordering::Acquire)
    }

    fn reload(&self) -> Work<'_, Result<(), String>> {
        Box::pin(reload(&self.0))
    }

    fn pause(&self, databases: Vec<String>) -> Work<'_, Result<(), String>> {
        Box::pin(async move {
            let named = self.named(&databases);
            if let Some(paused) = named.iter().find(|database| database.gate.is_paused()) {
                return Err(format!("database {} is paused already", paused.config.name));
            }
            named.iter().for_each(|database| database.gate.close());
            drop(named);
            // A reload may put another in the place of one of them meanwhile; those that were replaced are done
            // when the last of their sessions has moved on, and those pass the same gate.
            loop {
                let databases = self.named(&databases);
                let busy = |database: &Arc<Database>| database.nodes().any(|node| node.leased() > 0);
                if !databases.iter().any(busy) {
                    databases.iter().for_each(|database| database.shed());
                    return Ok(());
                }
                crate::net::timer::sleep(PAUSE_LOOK).await;
            }
        })
    }

    fn pause_shard(&self, name: &str) -> Option<Work<'_, Result<(), String>>> {
        let (database, shard) = self.shard_named(name)?;
        Some(Box::pin(async move {
            let lead = || Arc::clone(database.lead(shard));
            if !lead().pause() {
                return Err("it is paused already".to_owned());
            }
            loop {
                let node = Arc::clone(lead().node());
                if node.leased() == 0 {
                    node.begin_era();
                    database.reap();
                    return Ok(());
                }
                crate::net::timer::sleep(PAUSE_LOOK).await;
            }
        }))
    }

    fn resume_shard(&self, name: &str) -> Option<bool> {
        let (database, shard) = self.shard_named(name)?;
        Some(database.lead(shard).resume())
    }

    fn resume(&self, databases: &[String]) -> bool {
        self.named(databases).iter().filter(|database| database.gate.open()).count() > 0
    }

    fn reconnect(&self, databases: &[String]) {
        self.named(databases).iter().for_each(|database| database.reconnect());
    }

    fn disconnect(&self, name: &str) -> bool {
        let current = self.current();
        let mut found = false;
        for database in current.databases.all() {
            for node in database.nodes() {
                if node.shard_name == name || format!("{}:{}", node.config.host, node.config.port) == name {
                    node.begin_era();
                    found = true;
                }
            }
            // The idle ones among the outdated go now.
            database.reap();
        }
        found
    }

    fn kill(&self, client: u32) -> Work<'_, bool> {
        Box::pin(async move {
            let Some(client) = self.0.keys.of(client) else { return false };
            client.kill().await;
            tokio::spawn(client.insist());
            true
        })
    }

    fn set(&self, name: &str, value: &str) -> Result<(), String> {
        super::settings::set(&self.0, name, value)
    }

    fn shut_down(&self) {
        self.0.shut_down.notify_one();
    }

    fn interrupted(&self, client: u32) -> Work<'static, bool> {
        let Some(client) = self.0.keys.of(client) else { return Box::pin(std::future::pending()) };
        Box::pin(async move {
            client.interrupted().await;
            client.is_ending()
        })
    }

    fn closing(&self) -> Work<'static, ()> {
        let drain = Arc::clone(&self.0.drain);
        Box::pin(async move { drain.begun().await })
    }
}
