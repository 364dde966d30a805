//! The scratch database of a configured database: made when a statement first needs it, and looked at again when
//! types or functions have changed. In: the definitions as the catalog was read. Out: an [`Attached`] with its pools.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use crate::catalog::scratch::{self, Copied};
use crate::config::{NodeConfig, PoolConfig};
use crate::observe::DatabaseFigures;
use crate::pool::connect::{Login, connect_control};
use crate::pool::{Lease, LeaseError, Node, NodePool, NodeRole};
use crate::types::{ClientError, NodeId, ShardId, SqlState};

/// What a database knows of its scratch database.
#[derive(Debug, Default)]
pub struct Scratch {
    current: ArcSwapOption<Attached>,
    /// One makes it, the others wait.
    making: tokio::sync::Mutex<()>,
}

/// A scratch database that is there.
pub struct Attached {
    definitions: String,
    pub copied: Copied,
    node: Arc<Node>,
    pool_config: PoolConfig,
    size: usize,
    pools: Mutex<HashMap<String, NodePool>>,
}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attached").field("node", &self.node.describe()).finish_non_exhaustive()
    }
}

/// Where and by whom it is made.
pub(super) struct Site<'a> {
    pub home: &'a NodeConfig,
    pub control: Option<Login>,
    /// `auto_setup`.
    pub may_create: bool,
    pub pool: &'a PoolConfig,
    /// Connections of each user.
    pub size: usize,
    pub next_node: fn() -> NodeId,
    pub figures: &'a DatabaseFigures,
}

impl Scratch {
    /// The scratch database for these definitions.
    ///
    /// # Errors
    /// When it isn't there and can't be made.
    pub(super) async fn attach(&self, site: Site<'_>, definitions: &str) -> Result<Arc<Attached>, ClientError> {
        let current = || self.current.load_full().filter(|attached| attached.definitions == definitions);
        if let Some(attached) = current() {
            return Ok(attached);
        }
        let _turn = self.making.lock().await;
        if let Some(attached) = current() {
            return Ok(attached);
        }
        let Some(control) = site.control else {
            return Err(not_made("no user may use the database"));
        };
        let (config, copied) =
            make(site.home, &control, definitions, site.may_create).await.map_err(|reason| not_made(&reason))?;
        let home = ShardId::scratch(0);
        let (id, connects_max) = ((site.next_node)(), site.pool.connects_max);
        let figures = site.figures.node("scratch", &format!("{}:{}", config.host, config.port));
        // It is none of the database's nodes, and has no place among them.
        let node = Node::new(id, u16::MAX, home, "scratch", NodeRole::Primary, config, connects_max, figures);
        let attached = Arc::new(Attached {
            definitions: definitions.to_owned(),
            copied,
            node: Arc::new(node),
            pool_config: site.pool.clone(),
            size: site.size,
            pools: Mutex::default(),
        });
        self.current.store(Some(Arc::clone(&attached)));
        Ok(attached)
    }

    /// It could not be reached: the next statement that needs it looks for it, and makes it anew if it is gone.
    pub fn forget(&self) {
        self.current.store(None);
    }

    /// Closes the connections that nobody uses.
    pub fn shed(&self) {
        if let Some(attached) = self.current.load_full() {
            attached.pools.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(NodePool::shed);
        }
    }

    pub fn reap(&self) {
        if let Some(attached) = self.current.load_full() {
            attached.pools.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(NodePool::reap);
        }
    }
}

fn not_made(reason: &str) -> ClientError {
    ClientError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        "there is no scratch database to answer this statement on",
    )
    .detail(format!("It could not be made: {reason}."))
    .hint("Run `shardway setup` with a user who may create databases.")
}

/// Finds or makes the scratch database; where it is and what it has.
pub async fn make(
    home: &NodeConfig,
    login: &Login,
    definitions: &str,
    may_create: bool,
) -> Result<(NodeConfig, Copied), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let described = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(refused) => refused.message().to_owned(),
        None => error.to_string(),
    };
    let (source, _) = connect_control(home, login).await.map_err(|error| text(&error))?;
    let name = scratch::database_name(&home.database, definitions);
    let config = NodeConfig { database: name.clone(), ..home.clone() };
    // Held until this connection ends: whoever comes second finds it finished.
    let lock = "SELECT pg_catalog.pg_advisory_lock(1937204590, pg_catalog.hashtext($1))";
    source.execute(lock, &[&name]).await.map_err(described)?;
    let marked = "SELECT pg_catalog.shobj_description(oid, 'pg_database') IS NOT NULL FROM pg_catalog.pg_database WHERE datname = $1";
    let complete = source.query_opt(marked, &[&name]).await.map_err(described)?.map(|row| row.get::<_, bool>(0));
    let quoted = crate::sql::quote_identifier(&name);
    if !may_create && complete != Some(true) {
        return Err(format!("there is no database {name}, and auto_setup is off"));
    }
    if complete == Some(false) {
        // Whoever began to make it didn't come to an end.
        source.batch_execute(&format!("DROP DATABASE {quoted}")).await.map_err(described)?;
    }
    let made = complete != Some(true);
    if made {
        scratch::create_database(&source, &name).await.map_err(described)?;
    }
    let (target, _) = connect_control(&config, login).await.map_err(|error| text(&error))?;
    if made {
        scratch::copy(&source, &target, &name).await.map_err(|error| text(&error))?;
        let comment = format!("COMMENT ON DATABASE {quoted} IS 'Made and used by Shardway; holds no data'");
        source.batch_execute(&comment).await.map_err(described)?;
        scratch::drop_others(&source, &home.database, &name).await;
    }
    let copied = scratch::compare(&source, &target).await.map_err(|error| text(&error))?;
    Ok((config, copied))
}

impl Attached {
    /// The number of its server.
    pub fn node_id(&self) -> NodeId {
        self.node.id
    }

    /// A connection of that user.
    ///
    /// # Errors
    /// When none can be had in time.
    pub async fn lease(&self, user: &str, login: Login) -> Result<Lease, LeaseError> {
        let pool = {
            let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            let make = || NodePool::new(Arc::clone(&self.node), login, &self.pool_config, self.size);
            pools.entry(user.to_owned()).or_insert_with(make).clone()
        };
        pool.lease().await
    }
}
