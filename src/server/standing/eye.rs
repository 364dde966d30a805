//! Looks at one server over one connection, at intervals, and at once when somebody wants it. In: the nodes that are on it,
//! of whichever databases. Out: what was seen, told to each of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::net::timer::{Instant, sleep_until, timeout};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::judge::{Details, Seen, Sight};
use crate::config::NodeConfig;
use crate::observe::NodeTotal;
use crate::pool::Node;
use crate::pool::connect::{Login, connect_control};
use crate::session::gate::Gate;
use crate::types::limits::{LOOK_DATABASES_MAX, NODE_LOOK_INTERVAL, NODE_LOOK_PAUSE, NODE_LOOK_TIMEOUT};

/// A node, and who is told what is seen of it.
pub(super) struct Watched {
    /// Among the nodes of its shard.
    pub position: usize,
    pub node: Arc<Node>,
    pub gate: Arc<Gate>,
    pub tell: mpsc::UnboundedSender<(usize, Sight)>,
}

/// Shared by all who watch nodes on that server; see [`super::eyes`].
pub(super) struct Eye {
    login: Login,
    watched: Mutex<Vec<Watched>>,
    wanted: watch::Sender<()>,
    /// [`MAINTENANCE`] lets nobody in who looks.
    is_kept_out: AtomicBool,
}

/// Looks are from there where that is possible: every server has it, and no application's connections are counted there,
/// nor is it dropped or copied.
const MAINTENANCE: &str = "postgres";

struct Connected {
    client: tokio_postgres::Client,
    connection: JoinHandle<Result<(), tokio_postgres::Error>>,
    look: tokio_postgres::Statement,
    database: String,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.connection.abort();
    }
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
    pub(super) fn new(login: Login) -> Self {
        Self { login, watched: Mutex::default(), wanted: watch::Sender::new(()), is_kept_out: AtomicBool::new(false) }
    }

    fn watched(&self) -> std::sync::MutexGuard<'_, Vec<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, watched: Watched) {
        self.watched().push(watched);
        self.want();
    }

    /// Now instead of at the next interval.
    pub(super) fn want(&self) {
        self.wanted.send_replace(());
    }

    /// False: nobody listens any more.
    pub(super) fn is_watched(&self) -> bool {
        let mut watched = self.watched();
        watched.retain(|watched| !watched.tell.is_closed());
        !watched.is_empty()
    }

    /// Tells what it sees as long as `goes_on`.
    pub(super) async fn watch(&self, goes_on: impl Fn() -> bool) {
        let mut wanted = self.wanted.subscribe();
        let mut connected = None;
        // One that takes long isn't begun anew: where everything is slow, nobody would ever be connected.
        let mut under_way = None;
        loop {
            let began = Instant::now();
            wanted.mark_unchanged();
            if !goes_on() {
                return;
            }
            let look = under_way.get_or_insert_with(|| {
                let is_new = connected.is_none();
                (is_new.then(std::time::Instant::now), Box::pin(self.look(connected.take())))
            });
            let since = look.0;
            // A question has that time by itself: one that isn't answered is told of once.
            let sight = match timeout(NODE_LOOK_TIMEOUT + NODE_LOOK_PAUSE, look.1.as_mut()).await {
                Ok((sight, open)) => {
                    under_way = None;
                    connected = open.filter(|_| sight.seen().is_some());
                    sight
                }
                Err(_) => silent(),
            };
            self.tell(&sight, since);
            // Between looks nobody is connected to a database that is paused: it may be about to be dropped, or its server
            // waits for everybody to leave.
            let is_paused = |at: &Connected| {
                !self.places().iter().any(|(at_rest, place)| !at_rest && place.database == at.database)
            };
            connected = connected.filter(|connected| !is_paused(connected));
            tokio::select! {
                () = sleep_until(began + NODE_LOOK_INTERVAL) => {}
                _ = wanted.changed() => {}
            }
            sleep_until(began + NODE_LOOK_PAUSE).await;
        }
    }

    fn tell(&self, sight: &Sight, connected_at: Option<std::time::Instant>) {
        let figure = if sight.seen().is_some() { NodeTotal::Checks } else { NodeTotal::ChecksFailed };
        for watched in self.watched().iter() {
            watched.node.figures.add(figure);
            if sight.seen().is_none() {
                tracing::debug!(node = %watched.node.describe(), ?sight, "a node could not be looked at");
            } else if let Some(since) = connected_at
                && watched.node.failure().is_some_and(|(at, _)| at < since)
            {
                // It was away and is back, though no client has tried it since.
                watched.node.note_success();
            }
            let _ = watched.tell.send((watched.position, sight.clone()));
        }
    }

    /// Databases to look from, each once, and whether it is paused; those that aren't come first.
    fn places(&self) -> Vec<(bool, NodeConfig)> {
        let mut places: Vec<(bool, NodeConfig)> = Vec::new();
        let watched = self.watched();
        for watched in watched.iter() {
            let place = &watched.node.config;
            match places.iter_mut().find(|(_, known)| known.database == place.database) {
                Some((is_paused, _)) => *is_paused |= watched.gate.is_paused(),
                None => places.push((watched.gate.is_paused(), place.clone())),
            }
        }
        places.sort_by_key(|(is_paused, _)| *is_paused);
        let is_own = places.iter().any(|(_, place)| place.database == MAINTENANCE);
        if let Some((_, first)) = places.first()
            && !is_own
            && !self.is_kept_out.load(Ordering::Relaxed)
        {
            places.insert(0, (false, NodeConfig { database: MAINTENANCE.to_owned(), ..first.clone() }));
        }
        places
    }

    /// With the connection, or the one that it opens.
    async fn look(&self, connected: Option<Connected>) -> (Sight, Option<Connected>) {
        if let Some(open) = connected {
            match ask(&open).await {
                // Whoever ended that connection may mean it alone.
                Sight::Away(_) => {}
                sight => return (sight, Some(open)),
            }
        }
        let mut sight = Sight::Closed("no user may use the database".to_owned());
        // One of its databases may be gone: the others say as much about the server.
        for (_, place) in self.places().iter().take(LOOK_DATABASES_MAX) {
            sight = match self.connect(place).await {
                Ok(open) => return (ask(&open).await, Some(open)),
                Err(closed @ Sight::Closed(_)) => {
                    if place.database == MAINTENANCE {
                        self.is_kept_out.store(true, Ordering::Relaxed);
                    }
                    closed
                }
                // A limit of that database's own says nothing of the others.
                Err(sight @ Sight::Silent(_)) if place.database == MAINTENANCE => sight,
                Err(sight) => return (sight, None),
            };
        }
        (sight, None)
    }

    async fn connect(&self, place: &NodeConfig) -> Result<Connected, Sight> {
        let (client, connection) = connect_control(place, &self.login).await.map_err(|error| {
            let text = error.to_string();
            match error.refusal() {
                Some(refused) => Sight::refused(&refused.sqlstate, text),
                None => Sight::Away(text),
            }
        })?;
        let prepared = client.prepare(LOOK).await;
        let database = place.database.clone();
        match prepared {
            Ok(look) => Ok(Connected { client, connection, look, database }),
            Err(error) => {
                connection.abort();
                Err(failed(&error))
            }
        }
    }
}

fn failed(error: &tokio_postgres::Error) -> Sight {
    match error.code() {
        Some(code) => Sight::refused(code.code(), error.to_string()),
        None => Sight::Away(error.to_string()),
    }
}

fn silent() -> Sight {
    Sight::Silent("no answer in time".to_owned())
}

async fn ask(connected: &Connected) -> Sight {
    match timeout(NODE_LOOK_TIMEOUT, ask_for_all(connected)).await {
        Ok(Ok(seen)) => Sight::Seen(seen),
        Ok(Err(sight)) => sight,
        Err(_) => silent(),
    }
}

async fn ask_for_all(connected: &Connected) -> Result<Seen, Sight> {
    let failed = |error: tokio_postgres::Error| failed(&error);
    let at = std::time::Instant::now();
    let row = connected.client.query_one(&connected.look, &[]).await.map_err(failed)?;
    let position: Option<i64> = row.try_get(3).map_err(failed)?;
    Ok(Seen {
        is_standby: row.try_get(0).map_err(failed)?,
        system: row.try_get(1).map_err(failed)?,
        timeline: row.try_get(2).map_err(failed)?,
        position: position.and_then(|position| u64::try_from(position).ok()).unwrap_or(0),
        at,
        details: Details {
            streams: row.try_get(4).map_err(failed)?,
            slots: row.try_get(5).map_err(failed)?,
            name: row.try_get(6).map_err(failed)?,
        },
    })
}
