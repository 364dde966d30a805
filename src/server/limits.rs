//! Limits of users and databases: how many clients, and how long these may run or rest. In: the configuration and what
//! clients do. Out: a seat or 53300; cancels, and ends of sessions.
//!
//! Time is looked at from outside, at intervals: a statement knows nothing of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use crate::config::{ClientLimits, Config};
use crate::observe::{Client, Phase};
use crate::session::cancel::Ending;
use crate::types::limits::{LIMITS_INTERVAL, TIME_OUT_RETRY};
use crate::types::{ClientError, SqlState};

/// Whose clients are counted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Whose {
    User(String),
    Database(String),
}

/// How many clients there are of each user and database.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Mutex<HashMap<Whose, usize>>,
}

/// A client's place; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    taken: Vec<Whose>,
}

impl Seats {
    /// # Errors
    /// 53300 when the user or the database has no place left.
    pub(super) fn take(self: &Arc<Self>, config: &Config, user: &str, database: &str) -> Result<Seat, ClientError> {
        let mut seat = Seat { seats: Arc::clone(self), taken: Vec::new() };
        let (of_user, of_database) = limits(config, user, database);
        seat.add(Whose::User(user.to_owned()), of_user.clients_max, || {
            format!("too many connections for role \"{user}\"")
        })?;
        seat.add(Whose::Database(database.to_owned()), of_database.clients_max, || {
            format!("too many connections for database \"{database}\"")
        })?;
        Ok(seat)
    }
}

impl Seat {
    fn add(&mut self, whose: Whose, most: Option<usize>, what: impl Fn() -> String) -> Result<(), ClientError> {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(whose.clone()).or_default();
        if most.is_some_and(|most| *count >= most) {
            return Err(ClientError::new(SqlState::TOO_MANY_CONNECTIONS, what()));
        }
        *count += 1;
        drop(taken);
        self.taken.push(whose);
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for whose in &self.taken {
            if let Some(count) = taken.get_mut(whose) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    taken.remove(whose);
                }
            }
        }
    }
}

/// The user's, and the database's.
fn limits(config: &Config, user: &str, database: &str) -> (ClientLimits, ClientLimits) {
    let of_user = config.users.iter().find(|known| known.name == user).map(|known| known.limits);
    let of_database = config.databases.get(database).map(|known| known.limits);
    (of_user.unwrap_or_default(), of_database.unwrap_or_default())
}

fn has_any(config: &Config) -> bool {
    let mut all = config.users.iter().map(|user| user.limits).chain(config.databases.values().map(|one| one.limits));
    all.any(|limits| !limits.is_none())
}

enum Over {
    Statement(Duration),
    Rest(Ending),
}

fn over(client: &Client, (user, database): (ClientLimits, ClientLimits)) -> Option<Over> {
    let lower = |limit: fn(&ClientLimits) -> Option<Duration>| limit(&user).into_iter().chain(limit(&database)).min();
    let doing = client.doing();
    match doing.phase {
        Phase::Idle => {
            let limit = lower(|limits| limits.idle_session)?;
            (doing.resting >= limit).then_some(Over::Rest(Ending::Idle))
        }
        Phase::InTransaction => {
            let limit = lower(|limits| limits.idle_in_transaction)?;
            (doing.resting >= limit).then_some(Over::Rest(Ending::IdleInTransaction))
        }
        _ => {
            let limit = lower(|limits| limits.statement_time)?;
            (doing.since >= limit).then_some(Over::Statement(limit))
        }
    }
}

/// Looks at what all clients do.
pub(super) async fn watch_limits(shared: Arc<Shared>) {
    let mut told = HashMap::<u32, Instant>::new();
    loop {
        let reloaded = shared.reloaded.notified();
        if !has_any(shared.current.load().admission.config()) {
            // A proxy without limits doesn't wake up for them.
            reloaded.await;
            continue;
        }
        crate::net::timer::sleep(LIMITS_INTERVAL).await;
        let current = shared.current.load_full();
        let config = current.admission.config();
        told.retain(|_, at| at.elapsed() < TIME_OUT_RETRY);
        for client in shared.observed.clients.all() {
            let Some(over) = over(&client, limits(config, &client.user, &client.database)) else { continue };
            let Some(session) = shared.keys.of(client.id) else { continue };
            match over {
                Over::Rest(why) => session.end_resting(why),
                Over::Statement(limit) if !told.contains_key(&client.id) => {
                    told.insert(client.id, Instant::now());
                    tokio::spawn(async move {
                        let still = || {
                            let doing = client.doing();
                            !matches!(doing.phase, Phase::Idle | Phase::InTransaction) && doing.since >= limit
                        };
                        session.time_out(still).await;
                    });
                }
                Over::Statement(_) => {}
            }
        }
    }
}
