//! One configured database as its sessions share it: the pools of its nodes, what planning needs, and
//! the prepared statements of its clients. Replaced as a whole when the configuration changes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::directory::Directory;
use super::gate::Gate;
use super::user_pools::ShardPools;
pub use super::user_pools::UserPools;
use crate::config::{Config, DatabaseConfig, PoolConfig, UserConfig};
use crate::observe::{DatabaseFigures, NodeFigures, Observed};
use crate::pool::connect::{Credential, Login};
use crate::pool::{HoldTerms, Lead, Node, NodePool, NodeRole, Statements};
use crate::transaction::recovery::InDoubt;
use crate::types::limits::SCRATCH_CONNECTIONS_MAX;
use crate::types::{NodeId, ShardId};

#[derive(Debug)]
pub struct Database {
    pub config: Arc<DatabaseConfig>,
    pub figures: Arc<DatabaseFigures>,
    /// By [`Node::place`].
    node_figures: Box<[Arc<NodeFigures>]>,
    /// The same over reloads.
    pub gate: Arc<Gate>,
    pub directory: Arc<Directory>,
    pool_config: PoolConfig,
    /// As configured, unless an administrator has set another.
    pool_size: AtomicUsize,
    shards: Vec<Arc<Lead>>,
    /// One node for everything: no statement has a choice, and PostgreSQL itself keeps the transactions.
    is_single: bool,
    has_replicas: bool,
    users: Mutex<HashMap<String, Arc<UserPools>>>,
    pub statements: Statements,
    pub planner: super::planner::Planner,
    pub ids: super::ids::Ids,
    pub scratch: super::scratch::Scratch,
    /// Those of the configuration that this database came with.
    all_users: Vec<UserConfig>,
    /// What replaces this database after a reload.
    successor: arc_swap::ArcSwapOption<Database>,
    /// Whether there is one: every statement asks.
    is_replaced: AtomicBool,
    /// Somebody left a prepared transaction behind, or found one.
    pub recovery: tokio::sync::Notify,
    in_doubt: arc_swap::ArcSwap<Vec<InDoubt>>,
    pub waiters: Arc<super::waits::Waiters>,
    /// All that are served beside it.
    neighbours: arc_swap::ArcSwap<Vec<Weak<Database>>>,
    /// What is known of columns that are kept unique.
    pub claims: super::uniques::KnownClaims,
}

/// Numbers nodes over the life of the process.
static NEXT_NODE: AtomicU32 = AtomicU32::new(0);

impl Database {
    pub fn new(
        config: &DatabaseConfig,
        pool_config: &PoolConfig,
        users: &[UserConfig],
        figures: Arc<DatabaseFigures>,
        (gate, directory): (Arc<Gate>, Arc<Directory>),
    ) -> Self {
        let mut node_figures = Vec::new();
        let has_uniques = config
            .tables
            .iter()
            .any(|table| matches!(&table.kind, crate::config::TableKind::Sharded { unique, .. } if !unique.is_empty()));
        let mut node = |shard: usize, name: &str, role: NodeRole, config: &crate::config::NodeConfig| {
            let place = u16::try_from(node_figures.len()).unwrap_or(u16::MAX);
            let counts = figures.node(name, &format!("{}:{}", config.host, config.port));
            node_figures.push(Arc::clone(&counts));
            let id = NodeId::new(NEXT_NODE.fetch_add(1, Ordering::Relaxed));
            let shard = ShardId::new(u16::try_from(shard).expect("the configuration bounds the shards"));
            let connects_max = pool_config.connects_max;
            Node::new(id, place, shard, name, role, config.clone(), connects_max, counts)
        };
        let mut shards = Vec::with_capacity(config.shards.len());
        for (position, shard) in config.shards.iter().enumerate() {
            let watchers = tokio::sync::watch::Sender::new(());
            let roles = std::iter::once(NodeRole::Primary).chain(std::iter::repeat(NodeRole::Replica));
            let nodes = std::iter::once(&shard.primary).chain(&shard.replicas).zip(roles).map(|(place, role)| {
                let mut node = node(position, &shard.name, role, place);
                if has_uniques {
                    node.options = Some(crate::transaction::claims::MARK);
                }
                if config.shards.len() > 1 && position != config.home.index() {
                    // Until its types were compared nothing of it is taken for known.
                    node.set_numbering(Some(Arc::default()));
                }
                Arc::new(node.watched_by(watchers.clone(), !shard.replicas.is_empty()))
            });
            let terms = HoldTerms {
                wait_max: config.replication.failover_wait_of(shard),
                held_max: config.replication.failover_queue,
            };
            shards.push(Arc::new(Lead::new(nodes.collect(), terms, watchers.clone())));
        }
        let config_size = config.pool_size;
        let config = Arc::new(config.clone());
        Self {
            planner: super::planner::Planner::new(&config, &figures),
            ids: super::ids::Ids::default(),
            scratch: super::scratch::Scratch::default(),
            has_replicas: config.shards.iter().any(|shard| !shard.replicas.is_empty()),
            is_single: config.shards.iter().map(|shard| 1 + shard.replicas.len()).sum::<usize>() == 1,
            config,
            figures,
            node_figures: node_figures.into_boxed_slice(),
            gate,
            directory,
            pool_config: pool_config.clone(),
            pool_size: AtomicUsize::new(config_size),
            shards,
            users: Mutex::new(HashMap::new()),
            statements: Statements::default(),
            all_users: users.to_vec(),
            successor: arc_swap::ArcSwapOption::empty(),
            is_replaced: AtomicBool::new(false),
            recovery: tokio::sync::Notify::new(),
            in_doubt: arc_swap::ArcSwap::default(),
            waiters: Arc::default(),
            neighbours: arc_swap::ArcSwap::default(),
            claims: super::uniques::KnownClaims::default(),
        }
    }

    pub fn is_single(&self) -> bool {
        self.is_single
    }

    /// The home shard's primary; while it has none, the last one.
    ///
    /// # Panics
    /// Never: the configuration has a home shard.
    pub fn home_primary(&self) -> &Arc<Node> {
        self.lead(self.config.home).node()
    }

    /// Who takes a shard's writes.
    ///
    /// # Panics
    /// When another database's shard is asked for.
    pub fn lead(&self, shard: ShardId) -> &Arc<Lead> {
        self.shards.get(shard.index()).expect("plans name shards of this database")
    }

    pub fn leads(&self) -> impl Iterator<Item = &Arc<Lead>> {
        self.shards.iter()
    }

    /// How a user logs in to the servers; `None` if it is no longer one.
    pub fn login_of(&self, name: &str) -> Option<Login> {
        match self.all_users.iter().find(|user| user.name == name) {
            Some(user) => Some(self.login(user)),
            None => self.guest(name).map(|user| self.login(&user)),
        }
    }

    fn login(&self, user: &UserConfig) -> Login {
        let passed = || self.directory.passed(&user.name);
        match self.user(&user.name) {
            Some(_) => Login::of(user, || Some(passed())),
            None => Login { user: user.name.clone(), credential: Credential::Passed(passed()) },
        }
    }

    /// A user that the file doesn't name, and that was found on a server.
    fn guest(&self, name: &str) -> Option<Arc<UserConfig>> {
        self.config.auth.as_ref().and_then(|_| self.directory.guest(name))
    }

    pub fn node_figures(&self, place: u16) -> Option<&Arc<NodeFigures>> {
        self.node_figures.get(usize::from(place))
    }

    pub fn has_replicas(&self) -> bool {
        self.has_replicas
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.shards.iter().flat_map(|lead| lead.nodes())
    }

    /// As found: what a shard's primary is changes.
    pub fn primaries(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.shards.iter().map(|lead| lead.node())
    }

    /// Each shard's primary, and behind it its other nodes.
    pub fn nodes_by_shard(&self) -> impl Iterator<Item = Vec<Arc<Node>>> {
        self.shards.iter().map(|lead| {
            let primary = lead.node();
            let others = lead.nodes().iter().filter(|node| !Arc::ptr_eq(node, primary));
            std::iter::once(primary).chain(others).cloned().collect()
        })
    }

    /// Another node takes the writes of one of its shards.
    pub fn note_leader(&self, lead: &Lead) {
        self.recovery.notify_one();
        if lead.node().shard == self.config.home {
            self.scratch.forget();
            self.ids.leave_server();
            if lead.changes() > 0 && self.planner.has_catalog() {
                // What it has may be older than what was known, or newer.
                self.planner.invalidate();
            } else {
                self.planner.look_again();
            }
        }
    }

    /// A reload changes nothing about which nodes lead.
    fn inherit(&self, before: &Database) {
        for lead in &self.shards {
            let name = &lead.node().shard_name;
            if let Some(before) = before.shards.iter().find(|before| before.node().shard_name == *name) {
                lead.inherit(before);
            }
        }
    }

    /// A reload replaced this database: its sessions move over between transactions.
    pub fn succeed(&self, successor: Arc<Database>) {
        self.successor.store(Some(successor));
        self.is_replaced.store(true, Ordering::Release);
        self.shards.iter().for_each(|lead| lead.replace());
        self.shed();
    }

    /// Whether a statement may have to wait for a primary, or for RESUME.
    pub fn may_hold(&self) -> bool {
        self.gate.is_paused() || self.shards.iter().any(|lead| lead.at().is_none() || lead.node().may_be_down())
    }

    /// Whether rows may be elsewhere by that configuration of the same database.
    pub fn places_otherwise(&self, other: &Self) -> bool {
        let same = |a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| format!("{a:?}") == format!("{b:?}");
        !(same(&self.config.shards, &other.config.shards) && same(&self.config.tables, &other.config.tables))
    }

    /// Closes the connections that nobody uses: a database that was replaced is still there for those in a
    /// transaction, who may need further connections of it.
    pub fn shed(&self) {
        self.scratch.shed();
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        for pools in users.values() {
            pools.each(NodePool::shed);
        }
    }

    /// A database may be dropped, renamed or copied, which a server does only while nobody is connected to it: nobody is
    /// for us in the pools of those that the statement may name, once its clients have left.
    pub fn shed_named(&self, statement: &[u8]) {
        let neighbours = self.neighbours.load();
        for neighbour in neighbours.iter().filter_map(Weak::upgrade) {
            let names = |node: &Arc<Node>| {
                let name = node.config.database.as_bytes();
                statement.windows(name.len().max(1)).any(|part| part.eq_ignore_ascii_case(name))
            };
            if neighbour.nodes().any(names) {
                neighbour.reconnect();
            }
        }
    }

    pub fn successor(&self) -> Option<Arc<Database>> {
        if self.is_replaced.load(Ordering::Acquire) { self.successor.load_full() } else { None }
    }

    /// The pools of a user, made at the first use. A changed password makes new ones.
    pub fn pools(&self, user: &UserConfig) -> Arc<UserPools> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(users.entry(user.name.clone()).or_insert_with(|| Arc::new(self.make_pools(user))))
    }

    /// Transactions over several shards that the last look of recovery, seconds ago at most, found unfinished; for
    /// operators.
    pub fn in_doubt(&self) -> Arc<Vec<InDoubt>> {
        self.in_doubt.load_full()
    }

    pub fn note_in_doubt(&self, found: Vec<InDoubt>) {
        self.in_doubt.store(Arc::new(found));
    }

    /// The configuration's users who may use the database.
    pub fn users(&self) -> impl Iterator<Item = &UserConfig> {
        users_of(&self.all_users, &self.config.name)
    }

    /// As whom the control plane logs in to the servers.
    pub fn control_login(&self) -> Option<Login> {
        control_among(|| self.users()).map(login_of)
    }

    /// The pools of a user of the current configuration; `None` if it is no longer one.
    pub fn pools_of(&self, name: &str) -> Option<Arc<UserPools>> {
        match self.user(name) {
            Some(user) => Some(self.pools(user)),
            None => self.guest(name).map(|user| self.pools(&user)),
        }
    }

    /// A user of the configuration that this database came with.
    fn user(&self, name: &str) -> Option<&UserConfig> {
        self.all_users.iter().find(|user| user.name == name)
    }

    /// The scratch database, on the home shard's primary.
    ///
    /// # Errors
    /// When it isn't there and can't be made.
    pub async fn attach_scratch(
        &self,
        definitions: &str,
    ) -> Result<Arc<super::scratch::Attached>, crate::types::ClientError> {
        let home = Arc::clone(self.home_primary());
        let site = super::scratch::Site {
            home: &home.config,
            control: self.control_login(),
            may_create: self.config.auto_setup,
            pool: &self.pool_config,
            size: SCRATCH_CONNECTIONS_MAX,
            next_node: || NodeId::new(NEXT_NODE.fetch_add(1, Ordering::Relaxed)),
            figures: &self.figures,
        };
        self.scratch.attach(site, definitions).await
    }

    /// Every shard.
    pub(super) fn shard_ids(&self) -> Vec<ShardId> {
        (0..self.shards.len()).filter_map(|position| u16::try_from(position).ok()).map(ShardId::new).collect()
    }

    /// The database's name on the home shard's server.
    pub(super) fn name_at_home(&self) -> Option<&str> {
        let home = self.shards.get(self.config.home.index())?;
        Some(&home.node().config.database)
    }

    fn make_pools(&self, user: &UserConfig) -> UserPools {
        let login = self.login(user);
        let size = user.pool_size.unwrap_or_else(|| self.pool_size());
        let pool = |node: &Arc<Node>| NodePool::new(Arc::clone(node), login.clone(), &self.pool_config, size);
        let shards = self.shards.iter();
        let shards = shards.map(|lead| ShardPools::new(Arc::clone(lead), lead.nodes().iter().map(pool).collect()));
        let replication = &self.config.replication;
        UserPools::new(shards.collect(), replication.balance, replication.zone.clone())
    }

    /// The users that have pools, with these.
    pub fn user_pools(&self) -> Vec<(String, Arc<UserPools>)> {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.iter().map(|(name, pools)| (name.clone(), Arc::clone(pools))).collect()
    }

    pub fn pool_size(&self) -> usize {
        self.pool_size.load(Ordering::Relaxed)
    }

    /// How many connections each user may have to each node from now on.
    pub fn resize(&self, size: usize) {
        self.pool_size.store(size, Ordering::Relaxed);
        for (name, pools) in self.user_pools() {
            let own = self.user(&name).and_then(|user| user.pool_size);
            pools.each(|pool| pool.resize(own.unwrap_or(size)));
        }
    }

    /// Connections that are open now are closed, those in use when they come back.
    pub fn reconnect(&self) {
        self.nodes().for_each(|node| node.begin_era());
        self.shed();
    }

    /// Called at intervals: closes what has been idle or alive for too long.
    pub fn reap(&self) {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        for pools in users.values() {
            pools.each(NodePool::reap);
        }
        self.scratch.reap();
    }

    /// The database is configured no longer: idle connections close now, others with their lease.
    pub fn close(&self) {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        for pools in users.values() {
            pools.each(NodePool::close);
        }
    }
}

/// The user of the control plane, of those who may use the database: an administrator if there is one, since
/// others may see less.
pub fn control_user<'c>(config: &'c Config, database: &str) -> Option<&'c UserConfig> {
    control_among(|| users_of(&config.users, database))
}

/// One whose password for the servers is known.
fn control_among<'c, U: Iterator<Item = &'c UserConfig>>(users: impl Fn() -> U) -> Option<&'c UserConfig> {
    let mut usable = users().filter(|user| user.logs_in_alone());
    users().find(|user| user.admin && user.logs_in_alone()).or_else(|| usable.next())
}

fn users_of<'c>(users: &'c [UserConfig], database: &str) -> impl Iterator<Item = &'c UserConfig> {
    users.iter().filter(move |user| user.databases.is_empty() || user.databases.iter().any(|name| name == database))
}

/// How a user of the file logs in to the servers, by itself.
pub fn login_of(user: &UserConfig) -> Login {
    Login::of(user, || None)
}

/// The databases of a configuration.
#[derive(Debug)]
pub struct Databases {
    pub config: Arc<Config>,
    by_name: HashMap<String, Arc<Database>>,
}

impl Databases {
    /// Keeps each database of `before` whose nodes, tables, users and pool settings are the same.
    pub fn new(config: Arc<Config>, before: Option<&Databases>, observed: &Observed) -> Self {
        let by_name: HashMap<String, Arc<Database>> = config
            .databases
            .iter()
            .map(|(name, database)| {
                let kept =
                    before.filter(|before| before.serves_alike(&config, name)).and_then(|before| before.get(name));
                let database = kept.unwrap_or_else(|| {
                    let figures = observed.database(name);
                    let lasting = before.and_then(|before| before.get(name));
                    let lasting = lasting.map(|before| (Arc::clone(&before.gate), Arc::clone(&before.directory)));
                    let lasting = lasting.unwrap_or_default();
                    let database = Database::new(database, &config.pool, &config.users, figures, lasting);
                    if let Some(before) = before.and_then(|before| before.get(name)) {
                        database.inherit(&before);
                    }
                    Arc::new(database)
                });
                (name.clone(), database)
            })
            .collect();
        let all: Arc<Vec<Weak<Database>>> = Arc::new(by_name.values().map(Arc::downgrade).collect());
        by_name.values().for_each(|database| database.neighbours.store(Arc::clone(&all)));
        Self { config, by_name }
    }

    fn serves_alike(&self, config: &Config, name: &str) -> bool {
        let same = |a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| format!("{a:?}") == format!("{b:?}");
        same(&self.config.databases.get(name), &config.databases.get(name))
            && same(&self.config.pool, &config.pool)
            && self.config.users.len() == config.users.len()
            && self.config.users.iter().zip(&config.users).all(|(a, b)| {
                a.name == b.name
                    && a.password == b.password
                    && a.server_user == b.server_user
                    && a.server_password == b.server_password
                    && a.pool_size == b.pool_size
            })
    }

    pub fn get(&self, name: &str) -> Option<Arc<Database>> {
        self.by_name.get(name).cloned()
    }

    pub fn named(&self) -> impl Iterator<Item = (&str, &Arc<Database>)> {
        self.by_name.iter().map(|(name, database)| (name.as_str(), database))
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.by_name.values()
    }
}
