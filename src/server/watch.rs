//! Keeps each database's view of its servers fresh: the catalog that planning needs, and the record of
//! the placement. In: the current databases. Out: what their planners know, or why they don't serve.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Current, Shared};
use crate::catalog::{self, Catalog, record};
use crate::pool::Node;
use crate::pool::connect::{Login, connect_control};
use crate::session::database::{Database, login_of};
use crate::session::planner::record_differences;
use crate::types::NodeId;
use crate::types::limits::{CATALOG_REFRESH, CATALOG_RETRY, CONTROL_CONNECT_TIMEOUT};

/// A watcher for each database, also for those that a reload brings.
pub(super) async fn watch_catalogs(shared: Arc<Shared>) {
    let mut started = HashMap::<String, Arc<Database>>::new();
    let mut watchers = JoinSet::new();
    loop {
        let current = shared.current.load_full();
        for (name, database) in current.databases.named() {
            let known = started.get(name).is_some_and(|known| Arc::ptr_eq(known, database));
            if !known {
                started.insert(name.to_owned(), Arc::clone(database));
                watchers.spawn(watch_catalog(Arc::clone(&shared), name.to_owned(), Arc::clone(database)));
            }
        }
        tokio::time::sleep(CATALOG_RETRY).await;
    }
}

async fn watch_catalog(shared: Arc<Shared>, name: String, database: Arc<Database>) {
    let mut failures = HashMap::new();
    loop {
        let current = shared.current.load_full();
        if !current.databases.get(&name).is_some_and(|now| Arc::ptr_eq(&now, &database)) {
            return;
        }
        look(&current, &database, &mut failures).await;
        let pause = if database.planner.has_catalog() { CATALOG_REFRESH } else { CATALOG_RETRY };
        if database.config.shards.len() == 1 {
            // Nothing waits for it: a script full of DDL isn't answered by as many looks.
            tokio::time::sleep(CATALOG_RETRY).await;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = database.planner.catalog_wanted() => {}
        }
    }
}

/// The user of the control plane: an administrator if there is one, since others may see less.
fn control_login(current: &Current) -> Option<Login> {
    let users = &current.admission.config().users;
    users.iter().find(|user| user.admin).or(users.first()).map(login_of)
}

/// Asks the home shard's primary for the catalog or, while it is down, any other; and each for its record.
async fn look(current: &Current, database: &Database, failures: &mut HashMap<NodeId, String>) {
    let Some(login) = control_login(current) else { return };
    let home = database.config.home;
    let mut nodes: Vec<_> = database.primaries().collect();
    nodes.sort_by_key(|node| node.shard != home);
    let mut has_catalog = false;
    for node in nodes {
        let asked = tokio::time::timeout(CONTROL_CONNECT_TIMEOUT, ask(node, &login, database, !has_catalog)).await;
        let reason = match asked {
            Ok(Ok(())) => {
                has_catalog = true;
                failures.remove(&node.id);
                continue;
            }
            Ok(Err(reason)) => reason,
            Err(_) => "no answer in time".to_owned(),
        };
        // Said once, not every second.
        if failures.get(&node.id) != Some(&reason) {
            tracing::warn!(node = %node.describe(), reason, "catalog not read");
            failures.insert(node.id, reason);
        }
    }
}

async fn ask(node: &Node, login: &Login, database: &Database, wants_catalog: bool) -> Result<(), String> {
    let (client, connection) = connect_control(&node.config, login).await.map_err(|error| error.to_string())?;
    let outcome = async {
        if wants_catalog {
            let catalog: Catalog = catalog::load(&client).await.map_err(|error| error.to_string())?;
            database.planner.adopt_catalog(catalog);
        }
        let Some(recorded) = record::read(&client).await.map_err(|error| error.to_string())? else { return Ok(()) };
        let Some(configured) = database.planner.placement_record(&node.shard_name) else { return Ok(()) };
        let differences = record_differences(&recorded, &configured);
        if !differences.is_empty() {
            database.planner.refuse_service(&node.describe(), &differences);
        } else if recorded != configured && let Err(error) = record::write(&client, &configured).await {
            tracing::warn!(node = %node.describe(), %error, "the placement of new tables was not recorded");
        }
        Ok(())
    }
    .await;
    drop(client);
    connection.abort();
    outcome
}
