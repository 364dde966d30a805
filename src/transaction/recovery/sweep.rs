//! Removes the records of transactions that everybody has forgotten. A row `c` goes when each participant has
//! its row `p` and nothing prepared; a row `p` when its anchor has no row any more; a row `a` when no transaction is open that
//! was when it was inserted, so that nobody is left whom it keeps from committing. Before that no
//! record is old enough that a proxy might still ask for it.

use std::collections::{HashMap, HashSet};

use super::{InDoubt, InDoubtState, Pass, Shard, by_name};
use crate::transaction::gid::{Gid, anchor_of};
use crate::transaction::records::describe;
use crate::types::limits::{TXN_RETENTION, TXN_SWEEP_ROWS_MAX};

type Failed = tokio_postgres::Error;

pub(super) async fn sweep(cluster: &str, shards: &[Shard], pass: &mut Pass) {
    for shard in shards {
        let outcome = match has_table(shard).await {
            Ok(false) => continue,
            Ok(true) => sweep_anchored(cluster, shard, shards, pass).await,
            Err(error) => Err(error),
        };
        let outcome = match outcome {
            Ok(()) => sweep_done(cluster, shard, shards).await,
            failed => failed,
        };
        let outcome = match outcome {
            Ok(()) => sweep_refused(cluster, shard).await,
            failed => failed,
        };
        if let Err(error) = outcome {
            tracing::debug!(shard = shard.name, error = describe(&error), "old records of transactions stay");
        }
    }
}

async fn has_table(shard: &Shard) -> Result<bool, Failed> {
    shard.client.query_one("SELECT pg_catalog.to_regclass('shardway.txn') IS NOT NULL", &[]).await?.try_get(0)
}

const OLD: &str = "at < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1)";

/// The decisions that this shard made.
async fn sweep_anchored(cluster: &str, anchor: &Shard, shards: &[Shard], pass: &mut Pass) -> Result<(), Failed> {
    let list = format!(
        "SELECT gid, participants, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - at)::float8
         FROM shardway.txn WHERE role = 'c' AND pg_catalog.starts_with(gid, $2) AND {OLD} LIMIT {TXN_SWEEP_ROWS_MAX}"
    );
    let names = by_name(shards);
    let mut decided: HashMap<String, (Vec<String>, f64)> = HashMap::new();
    let mut wanted: HashMap<usize, Vec<String>> = HashMap::new();
    for row in anchor.client.query(&list, &[&TXN_RETENTION.as_secs_f64(), &Gid::prefix(cluster)]).await? {
        let (gid, participants, age): (String, Option<Vec<String>>, f64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let participants = participants.unwrap_or_default();
        for name in &participants {
            if let Some(position) = names.get(name.as_str()) {
                wanted.entry(*position).or_default().push(gid.clone());
            }
        }
        decided.insert(gid, (participants, age));
    }
    let mut done: HashMap<&str, HashSet<String>> = HashMap::new();
    let mut prepared: HashMap<&str, HashSet<String>> = HashMap::new();
    for (position, gids) in &wanted {
        let Some(shard) = shards.get(*position) else { continue };
        // In this order: what is committed in between shows in one of them.
        let open = "SELECT gid FROM (SELECT pg_catalog.regexp_replace(gid, ':[^:]*$', '') AS gid
            FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database()) part WHERE gid = ANY($1)";
        prepared.insert(&shard.name, gids_of(shard, open, gids).await?);
        done.insert(
            &shard.name,
            gids_of(shard, "SELECT gid FROM shardway.txn WHERE role = 'p' AND gid = ANY($1)", gids).await?,
        );
    }
    let mut forgotten = Vec::new();
    for (gid, (participants, age)) in decided {
        let has =
            |of: &HashMap<&str, HashSet<String>>, name: &str| of.get(name).is_some_and(|gids| gids.contains(&gid));
        if participants.iter().all(|name| has(&done, name)) {
            forgotten.push(gid);
            continue;
        }
        let is_lost = |name: &&String| done.contains_key(name.as_str()) && !has(&done, name) && !has(&prepared, name);
        for shard in participants.iter().filter(is_lost) {
            tracing::error!(gid, shard, "a shard has lost a committed transaction: its other shards have their parts");
            let state = InDoubtState::Lost;
            let (gid, shard) = (gid.clone(), shard.clone());
            pass.in_doubt.push(InDoubt { gid, shard, owner: String::new(), age_seconds: age as i64, state });
        }
    }
    delete(anchor, &forgotten).await
}

/// The parts of others' transactions that this shard has committed.
async fn sweep_done(cluster: &str, shard: &Shard, shards: &[Shard]) -> Result<(), Failed> {
    let list = format!(
        "SELECT gid FROM shardway.txn WHERE role = 'p' AND pg_catalog.starts_with(gid, $2) AND {OLD} \
         LIMIT {TXN_SWEEP_ROWS_MAX}"
    );
    let mut by_anchor: HashMap<usize, Vec<String>> = HashMap::new();
    for row in shard.client.query(&list, &[&TXN_RETENTION.as_secs_f64(), &Gid::prefix(cluster)]).await? {
        let gid: String = row.try_get(0)?;
        if let Some(position) = shards.iter().position(|other| anchor_of(&gid, &other.name)) {
            by_anchor.entry(position).or_default().push(gid);
        }
    }
    for (position, gids) in by_anchor {
        let Some(anchor) = shards.get(position) else { continue };
        let kept = gids_of(anchor, "SELECT gid FROM shardway.txn WHERE gid = ANY($1)", &gids).await?;
        let forgotten: Vec<String> = gids.into_iter().filter(|gid| !kept.contains(gid)).collect();
        delete(shard, &forgotten).await?;
    }
    Ok(())
}

/// What this shard was kept from committing: nobody is to commit it any more. A transaction may have been counted as a
/// writer without a number of its own (a view's trigger writes elsewhere): its process must not be in any, either.
async fn sweep_refused(cluster: &str, anchor: &Shard) -> Result<(), Failed> {
    let sql = format!(
        "DELETE FROM shardway.txn WHERE role = 'a' AND pg_catalog.starts_with(gid, $2) AND {OLD} AND \
         participants[1]::pg_catalog.xid8 < pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) AND \
         NOT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'virtualxid' AND \
         l.pid::text = pg_catalog.split_part(pg_catalog.split_part(gid, ':', 4), '-', 2))"
    );
    anchor.client.execute(&sql, &[&TXN_RETENTION.as_secs_f64(), &Gid::prefix(cluster)]).await.map(|_| ())
}

async fn gids_of(shard: &Shard, query: &str, gids: &[String]) -> Result<HashSet<String>, Failed> {
    shard.client.query(query, &[&gids]).await?.iter().map(|row| row.try_get(0)).collect()
}

async fn delete(shard: &Shard, gids: &[String]) -> Result<(), Failed> {
    if !gids.is_empty() {
        shard.client.execute("DELETE FROM shardway.txn WHERE gid = ANY($1)", &[&gids]).await?;
    }
    Ok(())
}
