//! Looks at the nodes of databases with replicas, once a second: which is a standby, of which cluster, and how far it
//! is behind. In: the current databases. Out: each node's [`Standing`]; a replica with a problem isn't read.
//!
//! What the configuration calls primary and replica is only where to look: a replica that was promoted while its
//! primary lives on, or that belongs to another cluster, has other rows.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::Shared;
use crate::pool::connect::{Login, connect_control};
use crate::pool::{Node, Standing};
use crate::session::database::Database;
use crate::types::limits::{CATALOG_RETRY, NODE_LOOK_INTERVAL, NODE_LOOK_TIMEOUT, WAL_SAMPLES_MAX};

/// One task for each shard that has replicas, also for those that a reload brings.
pub(super) async fn watch_nodes(shared: Arc<Shared>) {
    let mut started = HashMap::<String, Arc<Database>>::new();
    let mut watchers = JoinSet::new();
    loop {
        let current = shared.current.load_full();
        for (name, database) in current.databases.named() {
            let known = started.get(name).is_some_and(|known| Arc::ptr_eq(known, database));
            if known || !database.has_replicas() {
                continue;
            }
            started.insert(name.to_owned(), Arc::clone(database));
            for nodes in database.nodes_by_shard().filter(|nodes| nodes.len() > 1) {
                watchers.spawn(watch(Arc::clone(&shared), name.to_owned(), Arc::clone(database), nodes));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(CATALOG_RETRY) => {}
            Some(_) = watchers.join_next(), if !watchers.is_empty() => {}
        }
    }
}

async fn watch(shared: Arc<Shared>, name: String, database: Arc<Database>, nodes: Vec<Arc<Node>>) {
    let mut eyes = nodes.into_iter().map(|node| Eye { node, connected: None });
    let Some(mut primary) = eyes.next() else { return };
    let mut replicas: Vec<Eye> = eyes.collect();
    let mut positions = Positions::default();
    loop {
        let is_current = shared.current.load().databases.get(&name).is_some_and(|now| Arc::ptr_eq(&now, &database));
        if !is_current {
            return;
        }
        if let Some(login) = database.control_login() {
            let seen = primary.look(&login).await;
            if let Some(seen) = &seen {
                positions.note(seen.position);
                primary.tell(Standing {
                    is_standby: seen.is_standby,
                    timeline: seen.timeline,
                    lag_bytes: 0,
                    lag: Duration::ZERO,
                    problem: seen.is_standby.then(|| "it is a standby: it can't be written".to_owned()),
                });
            }
            for replica in &mut replicas {
                let found = replica.look(&login).await;
                let limit = database.config.max_replica_lag;
                if let Some(standing) = judge(seen.as_ref(), found.as_ref(), &positions, limit) {
                    replica.tell(standing);
                }
            }
        }
        tokio::time::sleep(NODE_LOOK_INTERVAL).await;
    }
}

/// What a replica is good for; `None`: nothing new is known.
fn judge(
    primary: Option<&Seen>,
    replica: Option<&Seen>,
    positions: &Positions,
    limit: Option<Duration>,
) -> Option<Standing> {
    let Some(replica) = replica else {
        // What can't be looked at may lag by anything. Without a limit its connections say whether it is there.
        return limit.map(|_| Standing {
            is_standby: true,
            timeline: 0,
            lag_bytes: 0,
            lag: Duration::ZERO,
            problem: Some("it can't be looked at, so nobody knows how far it is behind".to_owned()),
        });
    };
    let lag = positions.lag(replica.position);
    let lives = primary.filter(|primary| !primary.is_standby);
    let problem = match lives {
        Some(primary) if primary.system != replica.system => {
            Some("it belongs to another cluster than the primary".to_owned())
        }
        Some(_) if !replica.is_standby => {
            Some("it is not a standby, and the primary lives: it has other rows".to_owned())
        }
        _ if replica.is_standby && limit.is_some_and(|limit| lag > limit) => {
            Some(format!("it is {} ms behind, more than max_replica_lag", lag.as_millis()))
        }
        _ => None,
    };
    Some(Standing {
        is_standby: replica.is_standby,
        timeline: replica.timeline,
        lag_bytes: positions.last().saturating_sub(replica.position),
        lag,
        problem,
    })
}

/// Where the primary's WAL was, and when: how old a replica's position is. A replica's own clock of its last
/// transaction ages while nothing is written; this doesn't.
#[derive(Default)]
struct Positions {
    samples: VecDeque<(Instant, u64)>,
}

impl Positions {
    fn note(&mut self, position: u64) {
        if self.last() == position {
            return;
        }
        if self.samples.len() >= WAL_SAMPLES_MAX {
            // The oldest stands for those that go, so that a long lag doesn't look shorter.
            self.samples.remove(1);
        }
        self.samples.push_back((Instant::now(), position));
    }

    fn last(&self) -> u64 {
        self.samples.back().map_or(0, |(_, position)| *position)
    }

    /// Since when the primary has been further than that.
    fn lag(&self, position: u64) -> Duration {
        let first = self.samples.iter().find(|(_, written)| *written > position);
        first.map_or(Duration::ZERO, |(at, _)| at.elapsed())
    }
}

/// A node and the connection that it is looked at by.
struct Eye {
    node: Arc<Node>,
    connected: Option<(tokio_postgres::Client, JoinHandle<Result<(), tokio_postgres::Error>>)>,
}

struct Seen {
    is_standby: bool,
    system: i64,
    timeline: i32,
    /// Written, or on a standby replayed; in bytes.
    position: u64,
}

const LOOK: &str = "
    SELECT r, s.system_identifier,
        CASE WHEN r THEN (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())
        ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int4 END,
        ((CASE WHEN r THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END)
            - '0/0'::pg_catalog.pg_lsn)::int8
    FROM pg_catalog.pg_is_in_recovery() AS r, pg_catalog.pg_control_system() AS s";

impl Eye {
    async fn look(&mut self, login: &Login) -> Option<Seen> {
        let seen = timeout(NODE_LOOK_TIMEOUT, self.ask(login)).await;
        match seen {
            Ok(Ok(seen)) => Some(seen),
            Ok(Err(error)) => self.blink(&error),
            Err(_) => self.blink("no answer in time"),
        }
    }

    fn blink(&mut self, error: &str) -> Option<Seen> {
        tracing::debug!(node = %self.node.describe(), error, "a node could not be looked at");
        if let Some((_, connection)) = self.connected.take() {
            connection.abort();
        }
        None
    }

    async fn ask(&mut self, login: &Login) -> Result<Seen, String> {
        let client = match &mut self.connected {
            Some((client, _)) => client,
            none => {
                &mut none.insert(connect_control(&self.node.config, login).await.map_err(|error| error.to_string())?).0
            }
        };
        let row = client.query_one(LOOK, &[]).await.map_err(|error| error.to_string())?;
        let text = |error: tokio_postgres::Error| error.to_string();
        let position: Option<i64> = row.try_get(3).map_err(text)?;
        Ok(Seen {
            is_standby: row.try_get(0).map_err(text)?,
            system: row.try_get(1).map_err(text)?,
            timeline: row.try_get(2).map_err(text)?,
            position: position.and_then(|position| u64::try_from(position).ok()).unwrap_or(0),
        })
    }

    fn tell(&self, standing: Standing) {
        let before = self.node.standing().and_then(|before| before.problem.clone());
        let kind = |problem: &Option<String>| {
            problem.as_ref().map(|text| text.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default().to_owned())
        };
        if kind(&before) != kind(&standing.problem) {
            match &standing.problem {
                Some(problem) => tracing::warn!(node = %self.node.describe(), problem, "a node isn't fit for its part"),
                None => tracing::info!(node = %self.node.describe(), "a node is fit for its part again"),
            }
        }
        self.node.note_standing(standing);
    }
}

impl Drop for Eye {
    fn drop(&mut self) {
        if let Some((_, connection)) = self.connected.take() {
            connection.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(is_standby: bool, system: i64, position: u64) -> Seen {
        Seen { is_standby, system, timeline: 1, position }
    }

    #[test]
    fn a_replica_is_judged_by_what_it_is() {
        let mut positions = Positions::default();
        positions.note(100);
        positions.note(200);
        let (primary, limit) = (seen(false, 1, 200), Some(Duration::ZERO));
        let problem = |primary: Option<&Seen>, replica: Option<Seen>, limit| {
            judge(primary, replica.as_ref(), &positions, limit).and_then(|standing| standing.problem)
        };
        assert_eq!(problem(Some(&primary), Some(seen(true, 1, 100)), None), None);
        assert_eq!(problem(Some(&primary), Some(seen(true, 1, 200)), limit), None);
        assert!(problem(Some(&primary), Some(seen(true, 1, 100)), limit).is_some_and(|text| text.contains("behind")));
        assert!(problem(Some(&primary), Some(seen(true, 2, 200)), None).is_some_and(|text| text.contains("cluster")));
        assert!(problem(Some(&primary), Some(seen(false, 1, 300)), None).is_some_and(|text| text.contains("standby")));
        // Without a primary a promoted replica is the best there is.
        assert_eq!(problem(None, Some(seen(false, 1, 300)), limit), None);
        assert!(problem(Some(&primary), None, limit).is_some());
        assert!(judge(Some(&primary), None, &positions, None).is_none());
        let behind = judge(Some(&primary), Some(&seen(true, 1, 150)), &positions, None).expect("it was seen");
        assert_eq!(behind.lag_bytes, 50);
    }

    #[test]
    fn old_positions_make_room_and_the_oldest_stays() {
        let mut positions = Positions::default();
        for position in 1..=2 * WAL_SAMPLES_MAX as u64 {
            positions.note(position);
        }
        assert_eq!(positions.samples.len(), WAL_SAMPLES_MAX);
        assert_eq!(positions.samples.front().map(|(_, position)| *position), Some(1));
        assert_eq!(positions.last(), 2 * WAL_SAMPLES_MAX as u64);
        assert_eq!(positions.lag(u64::MAX), Duration::ZERO);
    }
}
