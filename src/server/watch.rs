//! Keeps each database's view of its servers fresh: the catalog that planning needs, and the record of
//! the placement. In: the current databases. Out: what their planners know, or why they don't serve.
//!
//! Nothing is served before the records of the servers that answer have been compared with the file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::net::timer::{Instant, timeout_at};
use tokio::task::{JoinHandle, JoinSet};

use super::each::for_each_database;
use super::{Current, Shared};
use crate::catalog::{self, Catalog, numbers, record};
use crate::planning::record_differences;
use crate::pool::connect::{Login, connect_control};
use crate::pool::{Node, NodeRole};
use crate::protocol::numbering::{Numbered, Numbering};
use crate::session::database::{Database, control_user, login_of};
use crate::types::ShardId;
use crate::types::limits::{
    CATALOG_LOCK_WAIT_MAX, CATALOG_REFRESH, CATALOG_RETRY, CONTROL_CONNECT_TIMEOUT, RECORDS_WAIT_MAX,
};

/// A watcher for each database, also for those that a reload brings.
pub(super) async fn watch_catalogs(shared: Arc<Shared>) {
    for_each_database(Arc::clone(&shared), |name, database, tasks| {
        tasks.spawn(watch_catalog(Arc::clone(&shared), name.to_owned(), Arc::clone(database)));
    })
    .await;
}

async fn watch_catalog(shared: Arc<Shared>, name: String, database: Arc<Database>) {
    let mut watch = Watch { database, shards: HashMap::new() };
    loop {
        let current = shared.current.load_full();
        if !current.databases.get(&name).is_some_and(|now| Arc::ptr_eq(&now, &watch.database)) {
            return;
        }
        watch.look(&current).await;
        if watch.database.config.shards.len() == 1 {
            // Nothing waits for it: a script full of DDL isn't answered by as many looks.
            crate::net::timer::sleep(CATALOG_RETRY).await;
        }
        tokio::select! {
            () = crate::net::timer::sleep(watch.pause()) => {}
            () = watch.database.planner.catalog_wanted() => {}
        }
    }
}

fn control_login(current: &Current, database: &str) -> Option<Login> {
    control_user(current.admission.config(), database).map(login_of)
}

struct Watch {
    database: Arc<Database>,
    /// Shards that were asked, each with why it couldn't answer the last time, if it couldn't.
    shards: HashMap<ShardId, Option<String>>,
}

/// A shard's server, connected, and what it remembers.
struct Answer {
    node: Arc<Node>,
    client: tokio_postgres::Client,
    connection: JoinHandle<Result<(), tokio_postgres::Error>>,
    recorded: Option<record::Record>,
    catalog: Option<Catalog>,
    /// Where there are several shards.
    numbers: Option<Vec<Numbered>>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Watch {
    fn pause(&self) -> Duration {
        let is_known = self.shards.values().all(Option::is_none) && self.database.planner.is_settled();
        if is_known { CATALOG_REFRESH } else { CATALOG_RETRY }
    }

    async fn look(&mut self, current: &Current) {
        let Some(login) = control_login(current, &self.database.config.name) else { return };
        let definitions_seen = self.database.planner.definitions_seen();
        let number = self.database.planner.begin_look();
        let mut answers = self.ask_all(&login).await;
        let Some(catalog) = self.catalog(&mut answers).await else { return };
        for answer in &answers {
            let configured = self.database.planner.record_for(&catalog, &answer.node.shard_name);
            let (Some(recorded), Some(configured)) = (&answer.recorded, configured) else { continue };
            let differences = record_differences(recorded, &configured, Some(&catalog));
            if !differences.is_empty() {
                self.database.planner.refuse_service(&answer.node.describe(), &differences);
                return;
            }
        }
        self.compare_numbers(&answers);
        self.database.planner.adopt_catalog(catalog.clone(), definitions_seen);
        self.database.planner.end_look(number);
        for answer in answers.iter().filter(|answer| answer.node.role() == NodeRole::Primary) {
            let configured = self.database.planner.record_for(&catalog, &answer.node.shard_name);
            let (Some(recorded), Some(configured)) = (&answer.recorded, configured) else { continue };
            if !recorded.has_all_of(&configured)
                && let Err(error) = record::write(&answer.client, &configured).await
            {
                tracing::warn!(node = %answer.node.describe(), %error, "the placement of new tables was not recorded");
            }
        }
    }

    /// Types and tables have other OIDs on other servers: clients see the home shard's.
    fn compare_numbers(&self, answers: &[Answer]) {
        let home = self.database.config.home;
        let numbers = |shard: ShardId| {
            answers.iter().find(|answer| answer.node.shard == shard).and_then(|answer| answer.numbers.as_ref())
        };
        let Some(known) = numbers(home) else { return };
        for node in self.database.nodes().filter(|node| node.shard != home) {
            let Some(there) = numbers(node.shard) else { continue };
            let numbering = Numbering::between(known, there);
            if node.numbering().as_deref() != numbering.as_ref() {
                node.set_numbering(numbering.map(Arc::new));
            }
        }
    }

    /// All shards at once; once the home shard has answered, the others may hold nobody up for long.
    async fn ask_all(&mut self, login: &Login) -> Vec<Answer> {
        let home = self.database.config.home;
        let several = self.database.config.shards.len() > 1;
        let mut asked = JoinSet::new();
        for nodes in self.database.nodes_by_shard() {
            let (login, shard) = (login.clone(), nodes.first().map_or(home, |node| node.shard));
            asked.spawn(async move { (shard, ask_shard(nodes, &login, shard == home, several).await) });
        }
        let mut waiting: Vec<ShardId> = self.database.primaries().map(|node| node.shard).collect();
        let mut answers = Vec::new();
        let mut deadline = Instant::now() + CONTROL_CONNECT_TIMEOUT;
        while let Ok(Some(answered)) = timeout_at(deadline, asked.join_next()).await {
            let Ok((shard, outcome)) = answered else { continue };
            waiting.retain(|other| *other != shard);
            if shard == home && outcome.is_ok() {
                deadline = deadline.min(Instant::now() + RECORDS_WAIT_MAX);
            }
            self.note(shard, outcome.as_ref().err().cloned());
            answers.extend(outcome);
        }
        for shard in waiting {
            self.note(shard, Some("no answer in time".to_owned()));
        }
        answers.sort_by_key(|answer| answer.node.shard != home);
        answers
    }

    /// Says why a shard can't be asked, once.
    fn note(&mut self, shard: ShardId, reason: Option<String>) {
        let before = self.shards.insert(shard, reason.clone()).flatten();
        if let Some(reason) = reason
            && before.as_ref() != Some(&reason)
        {
            let name = self.database.config.shards.get(shard.index()).map_or("?", |shard| shard.name.as_str());
            tracing::warn!(database = %self.database.config.name, shard = name, reason, "catalog not read");
        }
    }

    /// The home shard's or, while that can't be asked, any other's.
    async fn catalog(&mut self, answers: &mut [Answer]) -> Option<Catalog> {
        for answer in answers {
            if let Some(catalog) = answer.catalog.take() {
                return Some(catalog);
            }
            match catalog::load(&answer.client).await {
                Ok(catalog) => return Some(catalog),
                Err(error) => self.note(answer.node.shard, Some(error.to_string())),
            }
        }
        None
    }
}

/// Asks the primary or, while it can't be reached, a replica: its record is the same.
async fn ask_shard(
    nodes: Vec<Arc<Node>>,
    login: &Login,
    wants_catalog: bool,
    wants_numbers: bool,
) -> Result<Answer, String> {
    let mut first = None;
    for node in nodes {
        match ask(&node, login, wants_catalog, wants_numbers).await {
            Ok(answer) => return Ok(answer),
            Err(reason) => first = first.or(Some(format!("{}: {reason}", node.describe()))),
        }
    }
    Err(first.unwrap_or_default())
}

async fn ask(node: &Arc<Node>, login: &Login, wants_catalog: bool, wants_numbers: bool) -> Result<Answer, String> {
    let (client, connection) = connect_control(&node.config, login).await.map_err(|error| error.to_string())?;
    // Views and constraints are printed under locks on their tables: whoever needs those doesn't deadlock with us.
    let limit = format!("SET lock_timeout = {}", CATALOG_LOCK_WAIT_MAX.as_millis());
    client.batch_execute(&limit).await.map_err(|error| error.to_string())?;
    let mut answer =
        Answer { node: Arc::clone(node), client, connection, recorded: None, catalog: None, numbers: None };
    answer.recorded = record::read(&answer.client).await.map_err(|error| error.to_string())?;
    if wants_catalog {
        answer.catalog = Some(catalog::load(&answer.client).await.map_err(|error| error.to_string())?);
    }
    if wants_numbers {
        answer.numbers = Some(numbers::load(&answer.client).await.map_err(|error| error.to_string())?);
    }
    Ok(answer)
}
