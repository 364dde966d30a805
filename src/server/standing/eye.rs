//! Looks at one node over a connection of its own: at intervals, and at once when somebody wants it.

use std::sync::Arc;

use crate::net::timer::{Instant, sleep, sleep_until, timeout};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::judge::{Details, Seen, Sight};
use crate::observe::NodeTotal;
use crate::pool::Node;
use crate::pool::connect::{Login, connect_control};
use crate::session::database::Database;
use crate::types::limits::{NODE_LOOK_INTERVAL, NODE_LOOK_PAUSE, NODE_LOOK_TIMEOUT};

/// A node and the connection that it is looked at by.
pub(super) struct Eye {
    pub node: Arc<Node>,
    pub connected: Option<(tokio_postgres::Client, JoinHandle<Result<(), tokio_postgres::Error>>)>,
}

const LOOK: &str = "
    SELECT r, s.system_identifier,
        CASE WHEN r THEN GREATEST((SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),
            (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver))
        ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int4 END,
        ((CASE WHEN r THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END)
            - '0/0'::pg_catalog.pg_lsn)::int8,
        (SELECT pg_catalog.string_agg(application_name || '=' || sync_state, E'\n') FROM pg_catalog.pg_stat_replication),
        (SELECT pg_catalog.string_agg(slot_name || CASE WHEN active THEN ' (active)' ELSE ' (unused)' END, ', ' ORDER BY slot_name)
            FROM pg_catalog.pg_replication_slots),
        (SELECT COALESCE(pg_catalog.substring(conninfo, 'application_name=''?([^'' ]+)'),
            NULLIF(pg_catalog.current_setting('cluster_name'), ''), 'walreceiver') FROM pg_catalog.pg_stat_wal_receiver)
    FROM pg_catalog.pg_is_in_recovery() AS r, pg_catalog.pg_control_system() AS s";

impl Eye {
    /// Tells what it sees until nobody listens.
    pub(super) async fn watch(
        mut self,
        (position, database): (usize, Arc<Database>),
        mut wanted: watch::Receiver<()>,
        tell: mpsc::UnboundedSender<(usize, Sight)>,
    ) {
        loop {
            let began = Instant::now();
            wanted.mark_unchanged();
            let sight = match database.control_login() {
                Some(login) => self.look(&login).await,
                None => Sight::Closed("no user may use the database".to_owned()),
            };
            if tell.send((position, sight)).is_err() {
                return;
            }
            tokio::select! {
                () = sleep_until(began + NODE_LOOK_INTERVAL) => {}
                // The shard is gone with its database.
                changed = wanted.changed() => if changed.is_err() { sleep(NODE_LOOK_INTERVAL).await },
            }
            sleep_until(began + NODE_LOOK_PAUSE).await;
        }
    }

    async fn look(&mut self, login: &Login) -> Sight {
        let seen = timeout(NODE_LOOK_TIMEOUT, self.ask(login)).await;
        let sight = match seen {
            Ok(Ok(seen)) => {
                self.node.figures.add(NodeTotal::Checks);
                return Sight::Seen(seen);
            }
            Ok(Err(sight)) => sight,
            Err(_) => Sight::Away("no answer in time".to_owned()),
        };
        self.node.figures.add(NodeTotal::ChecksFailed);
        tracing::debug!(node = %self.node.describe(), ?sight, "a node could not be looked at");
        if let Some((_, connection)) = self.connected.take() {
            connection.abort();
        }
        sight
    }

    async fn ask(&mut self, login: &Login) -> Result<Seen, Sight> {
        let began = std::time::Instant::now();
        let client = match &mut self.connected {
            Some((client, _)) => client,
            none => {
                let connected = connect_control(&self.node.config, login).await.map_err(|error| {
                    let refused = error
                        .refusal()
                        .is_some_and(|refused| !matches!(refused.sqlstate.get(..2), None | Some("53" | "57")));
                    let text = error.to_string();
                    if refused { Sight::Closed(text) } else { Sight::Away(text) }
                })?;
                // It was away and is back, though no client has tried it since.
                if self.node.failure().is_some_and(|(at, _)| at < began) {
                    self.node.note_success();
                }
                &mut none.insert(connected).0
            }
        };
        let failed = |error: tokio_postgres::Error| match error.code() {
            Some(code) if !matches!(code.code().get(..2), Some("53" | "57")) => Sight::Closed(error.to_string()),
            _ => Sight::Away(error.to_string()),
        };
        let row = client.query_one(LOOK, &[]).await.map_err(failed)?;
        let position: Option<i64> = row.try_get(3).map_err(failed)?;
        Ok(Seen {
            is_standby: row.try_get(0).map_err(failed)?,
            system: row.try_get(1).map_err(failed)?,
            timeline: row.try_get(2).map_err(failed)?,
            position: position.and_then(|position| u64::try_from(position).ok()).unwrap_or(0),
            at: began,
            details: Details {
                streams: row.try_get(4).map_err(failed)?,
                slots: row.try_get(5).map_err(failed)?,
                name: row.try_get(6).map_err(failed)?,
            },
        })
    }
}

impl Drop for Eye {
    fn drop(&mut self) {
        if let Some((_, connection)) = self.connected.take() {
            connection.abort();
        }
    }
}
