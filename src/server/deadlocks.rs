//! Looks for deadlocks over several shards while statements of such transactions run for long. Each proxy
//! says on each server which processes are one transaction (by advisory locks of a connection with a
//! name of its own), reads what all proxies say and who waits for whom there, and cancels those of its own
//! clients that have to give way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use crate::net::timer::timeout;
use tokio_postgres::Client;

use super::Shared;
use super::each::for_each_database;
use crate::pool::Node;
use crate::pool::connect::connect_control;
use crate::session::database::Database;
use crate::session::waits::Waiter;
use crate::transaction::deadlock::{WaiterId, Waits};
use crate::types::limits::{
    CONTROL_CONNECT_TIMEOUT, DEADLOCK_BLIND_MAX, DEADLOCK_LOOK_EVERY, DEADLOCK_REREAD_AFTER, DEADLOCK_WAIT,
};

/// One task for each database with several shards, also for those that a reload brings.
pub(super) async fn watch_waits(shared: Arc<Shared>) {
    for_each_database(shared, |_, database, tasks| {
        if database.config.shards.len() > 1 {
            tasks.spawn(watch(Arc::clone(database)));
        }
    })
    .await;
}

/// Ends with the process: sessions may go on for long with a database that a reload has replaced.
async fn watch(database: Arc<Database>) {
    let mut looker: Option<Looker> = None;
    let mut blind_since: Option<Instant> = None;
    loop {
        if database.waiters.is_empty() {
            // No connection is kept for nothing.
            looker = None;
            database.waiters.arrived.notified().await;
        }
        crate::net::timer::sleep(DEADLOCK_LOOK_EVERY).await;
        let waiting = database.waiters.older_than(DEADLOCK_WAIT);
        if waiting.is_empty() {
            continue;
        }
        let look = async {
            if looker.is_none() {
                looker = Some(Looker::connect(&database).await?);
            }
            let Some(looker) = &mut looker else { return Ok(()) };
            looker.break_deadlocks(&database, &waiting).await
        };
        let outcome =
            timeout(CONTROL_CONNECT_TIMEOUT, look).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        match outcome {
            Ok(()) => blind_since = None,
            Err(reason) => {
                looker = None;
                let since = *blind_since.get_or_insert_with(Instant::now);
                tracing::warn!(reason, database = %database.config.name, "can't look for deadlocks over several shards");
                // Nobody waits for ever for what can't be seen.
                if since.elapsed() > DEADLOCK_BLIND_MAX {
                    for waiter in database.waiters.older_than(DEADLOCK_BLIND_MAX) {
                        waiter.choose().await;
                    }
                }
            }
        }
    }
}

struct Place {
    node: Arc<Node>,
    client: Client,
    /// What was said on this server: processes of transactions that wait.
    said: HashSet<(WaiterId, u32)>,
}

struct Looker {
    /// By shard.
    places: Vec<Place>,
}

const APPLICATION: &str = "shardway deadlocks";

impl Looker {
    async fn connect(database: &Database) -> Result<Self, String> {
        let login = database.control_login().ok_or("no user may use the database")?;
        let mut places = Vec::new();
        for node in database.primaries() {
            let fail = |error: &dyn std::fmt::Display| format!("{}: {error}", node.describe());
            let (client, _) = connect_control(&node.config, &login).await.map_err(|error| fail(&error))?;
            client
                .batch_execute(&format!("SET application_name = '{APPLICATION}'"))
                .await
                .map_err(|error| fail(&error))?;
            places.push(Place { node: Arc::clone(node), client, said: HashSet::new() });
        }
        Ok(Self { places })
    }

    async fn break_deadlocks(&mut self, database: &Database, waiting: &[Arc<Waiter>]) -> Result<(), String> {
        if self.places.iter().zip(database.primaries()).any(|(place, primary)| !Arc::ptr_eq(&place.node, primary)) {
            return Err("another server has become a primary".to_owned());
        }
        self.say(waiting).await?;
        let first = self.read(database).await?.victims();
        if first.is_empty() {
            return Ok(());
        }
        // Servers were read one after the other: what is no deadlock has moved on by now.
        crate::net::timer::sleep(DEADLOCK_REREAD_AFTER).await;
        let second = self.read(database).await?.victims();
        for waiter in waiting.iter().filter(|waiter| first.contains(&waiter.id) && second.contains(&waiter.id)) {
            tracing::info!(processes = ?waiter.processes, "a deadlock over several shards: the youngest gives way");
            waiter.choose().await;
        }
        Ok(())
    }

    /// Says which processes are one transaction, and takes back what isn't so any more.
    async fn say(&mut self, waiting: &[Arc<Waiter>]) -> Result<(), String> {
        for (shard, place) in self.places.iter_mut().enumerate() {
            let on_it = |waiter: &Arc<Waiter>| -> Vec<(WaiterId, u32)> {
                let here = waiter.processes.iter().filter(|(at, _)| at.index() == shard);
                here.map(|(_, process)| (waiter.id, *process)).collect()
            };
            let wanted: HashSet<(WaiterId, u32)> = waiting.iter().flat_map(on_it).collect();
            let mut calls = Vec::new();
            for (id, process) in wanted.difference(&place.said) {
                calls.push(format!("pg_catalog.pg_try_advisory_lock_shared({}, {process})", id.0.cast_signed()));
            }
            for (id, process) in place.said.difference(&wanted) {
                calls.push(format!("pg_catalog.pg_advisory_unlock_shared({}, {process})", id.0.cast_signed()));
            }
            if !calls.is_empty() {
                let sql = format!("SELECT {}", calls.join(", "));
                place
                    .client
                    .batch_execute(&sql)
                    .await
                    .map_err(|error| format!("{}: {error}", place.node.describe()))?;
            }
            place.said = wanted;
        }
        Ok(())
    }

    async fn read(&self, database: &Database) -> Result<Waits, String> {
        let mut waits = Waits::default();
        for (shard, place) in self.places.iter().enumerate() {
            place
                .read(shard, database, &mut waits)
                .await
                .map_err(|error| format!("{}: {error}", place.node.describe()))?;
        }
        Ok(waits)
    }
}

impl Place {
    async fn read(&self, shard: usize, database: &Database, waits: &mut Waits) -> Result<(), tokio_postgres::Error> {
        let says = format!(
            "SELECT l.classid::int8, l.objid::int8 FROM pg_catalog.pg_locks l
             JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid AND a.application_name = '{APPLICATION}'
             JOIN pg_catalog.pg_database d ON d.oid = l.database AND d.datname = pg_catalog.current_database()
             WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted"
        );
        for row in self.client.query(&says, &[]).await? {
            let (id, process): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            if let (Ok(id), Ok(process)) = (u32::try_from(id), u32::try_from(process)) {
                waits.works_for.insert((shard, process), WaiterId(id));
            }
        }
        let blocked = "SELECT pid, pg_catalog.pg_blocking_pids(pid)
            FROM (SELECT DISTINCT pid FROM pg_catalog.pg_locks WHERE NOT granted AND pid IS NOT NULL) waiting";
        for row in self.client.query(blocked, &[]).await? {
            let (process, blockers): (i32, Vec<i32>) = (row.try_get(0)?, row.try_get(1)?);
            if blockers.contains(&0) {
                // A prepared transaction: nobody's, most likely.
                database.recovery.notify_one();
            }
            let blockers = blockers.into_iter().filter_map(|blocker| u32::try_from(blocker).ok()).filter(|id| *id != 0);
            if let Ok(process) = u32::try_from(process) {
                waits.blocked.insert((shard, process), blockers.collect());
            }
        }
        Ok(())
    }
}
