//! Looks for transactions that a dead proxy left prepared: at the start, at intervals, and whenever a
//! session saw that it left one. In: the current databases. Out: what stays in doubt, for operators.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::each::for_each_database;
use crate::session::database::Database;
use crate::transaction::recovery::{InDoubt, Recovery};
use crate::types::limits::{RECOVERY_AGE_MIN, RECOVERY_RETRY, TXN_SWEEP_INTERVAL};

/// One task for each database with several shards, also for those that a reload brings.
pub(super) async fn watch_transactions(shared: Arc<Shared>) {
    for_each_database(Arc::clone(&shared), |name, database, tasks| {
        if database.config.shards.len() > 1 {
            tasks.spawn(watch(Arc::clone(&shared), name.to_owned(), Arc::clone(database)));
        }
    })
    .await;
}

async fn watch(shared: Arc<Shared>, name: String, database: Arc<Database>) {
    let mut swept: Option<Instant> = None;
    let mut known: Vec<InDoubt> = Vec::new();
    loop {
        let is_current = shared.current.load().databases.get(&name).is_some_and(|now| Arc::ptr_eq(&now, &database));
        if !is_current {
            return;
        }
        let Some(control) = database.control_login() else { return };
        let sweeps = swept.is_none_or(|at| at.elapsed() >= TXN_SWEEP_INTERVAL);
        if sweeps {
            swept = Some(Instant::now());
        }
        let recovery = Recovery {
            cluster: &database.config.name,
            primaries: database.primaries().cloned().collect(),
            control,
            logins_for: &|role| database.logins_for(role),
            age_min: RECOVERY_AGE_MIN,
            sweeps,
        };
        let pass = recovery.run().await;
        for left in &pass.in_doubt {
            let is_new = !known
                .iter()
                .any(|other| (&other.gid, &other.shard, other.state) == (&left.gid, &left.shard, left.state));
            if is_new && left.age_seconds > 0 {
                let state = left.state.name();
                tracing::warn!(
                    gid = left.gid,
                    shard = left.shard,
                    owner = left.owner,
                    state,
                    "a transaction is in doubt"
                );
            }
        }
        for (outcome, count) in [("recovered_commit", pass.committed), ("recovered_rollback", pass.rolled_back)] {
            (0..count).for_each(|_| database.figures.two_phase.add(outcome));
        }
        let soon = pass.is_incomplete();
        known.clone_from(&pass.in_doubt);
        database.note_in_doubt(pass.in_doubt);
        let interval = database.config.recovery_interval;
        let pause: Duration = if soon { interval.min(RECOVERY_RETRY) } else { interval };
        tokio::select! {
            () = crate::net::timer::sleep(pause) => {}
            // What a session left needs a moment to be somebody else's business.
            () = database.recovery.notified() => crate::net::timer::sleep(RECOVERY_AGE_MIN).await,
        }
    }
}
