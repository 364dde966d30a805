//! What a database's sessions know of columns that are kept unique over all shards: whether the servers are ready for it.
//! In: connections of the control plane. Out: yes, not for lookups yet, or what is missing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio_postgres::Client;

use super::database::{Database, login_of};
use crate::pool::connect::connect_control;
use crate::routing::Unique;
use crate::transaction::claims::{self, State, Unready};
use crate::types::limits::CLAIMS_LOOK_INTERVAL;
use crate::types::{ClientError, ShardId, SqlState};

/// By the claims' names.
#[derive(Debug, Default)]
pub struct KnownClaims {
    known: Mutex<HashMap<String, Known>>,
    /// Roles that the functions on a shard serve.
    admitted: Mutex<HashSet<(ShardId, String)>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// The table's OID on the home shard: another one is another table.
    table: u32,
    attached: bool,
    complete: bool,
    at: Instant,
}

impl KnownClaims {
    fn get(&self, unique: &Unique, table: u32) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&unique.claims).filter(|known| known.table == table)?;
        (known.complete || known.at.elapsed() < CLAIMS_LOOK_INTERVAL).then_some(*known)
    }

    pub fn is_admitted(&self, shard: ShardId, role: &str) -> bool {
        let admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.iter().any(|(known, name)| *known == shard && name == role)
    }

    pub fn note_admitted(&self, shard: ShardId, roles: Vec<String>) {
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.extend(roles.into_iter().map(|role| (shard, role)));
    }

    fn set(&self, unique: &Unique, known: Known) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(unique.claims.clone(), known);
    }
}

fn refused(unique: &Unique, reason: &str, hint: &str) -> ClientError {
    let text = format!("{} is not kept unique over all shards yet", unique.describe());
    ClientError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text).detail(reason).hint(hint)
}

fn failed(unique: &Unique, error: &Unready) -> ClientError {
    refused(
        unique,
        &error.to_string(),
        "Run shardway unique backfill with a login that owns the table and may create a schema.",
    )
}

impl Database {
    fn table_at_home(&self, unique: &Unique) -> u32 {
        let scene = self.planner.scene();
        let catalog = scene.as_ref().and_then(|scene| scene.catalog.as_ref());
        let relation = catalog.and_then(|catalog| catalog.relation(&unique.schema, &unique.table));
        relation.map_or(0, |relation| relation.oid)
    }

    /// Whether rows can be found by their claims.
    pub async fn may_look_up(&self, unique: &Unique) -> bool {
        let table = self.table_at_home(unique);
        if let Some(known) = self.claims.get(unique, table) {
            return known.complete;
        }
        match self.look_at_claims(unique, table, false).await {
            Ok(known) => known.complete,
            Err(error) => {
                tracing::debug!(%error, "claims can't be looked at");
                false
            }
        }
    }

    /// Before a statement is sent that writes the table: that its changes leave notes.
    ///
    /// # Errors
    /// What is missing, and the remedy.
    pub async fn make_claims_ready(&self, unique: &Unique) -> Result<(), ClientError> {
        let table = self.table_at_home(unique);
        if self.claims.get(unique, table).is_some_and(|known| known.attached) {
            return Ok(());
        }
        if self.look_at_claims(unique, table, self.config.auto_setup).await?.attached {
            return Ok(());
        }
        Err(refused(
            unique,
            "The table has rows whose values aren't claimed",
            "Run shardway unique backfill: it can run while the table is in use.",
        ))
    }

    async fn look_at_claims(&self, unique: &Unique, table: u32, creates: bool) -> Result<Known, ClientError> {
        let login = self.control_login().ok_or_else(|| refused(unique, "no user may use the database", ""))?;
        let mut clients = Vec::new();
        for shard in self.shard_ids() {
            let node = Arc::clone(self.lead(shard).node());
            let connected = connect_control(&node.config, &login).await;
            clients.push(connected.map_err(|error| error.to_client_error(&node.config))?.0);
        }
        let logins: Vec<String> = self.users().map(|user| login_of(user).user).collect();
        let state = look(&clients, unique).await.map_err(|error| failed(unique, &error))?;
        let state = if creates && !state.attached {
            let made = make(&clients, unique, &logins).await.map_err(|error| failed(unique, &error))?;
            if made { look(&clients, unique).await.map_err(|error| failed(unique, &error))? } else { state }
        } else {
            state
        };
        let known = Known { table, attached: state.attached, complete: state.complete, at: Instant::now() };
        self.claims.set(unique, known);
        Ok(known)
    }
}

/// What all servers together have; the first is the home shard's or any other.
///
/// # Errors
/// A server's.
pub async fn look(clients: &[Client], unique: &Unique) -> Result<State, Unready> {
    let mut all = State { table: 0, attached: true, complete: true };
    for client in clients {
        let state = claims::state(client, unique).await?;
        all.attached &= state.attached;
        all.complete &= state.complete;
    }
    Ok(all)
}

/// For a table without rows, as after its CREATE. False: it has some.
async fn make(clients: &[Client], unique: &Unique, logins: &[String]) -> Result<bool, Unready> {
    for client in clients {
        if !claims::is_empty(client, unique).await? {
            return Ok(false);
        }
    }
    attach(clients, unique, logins).await?;
    for client in clients {
        // Rows that came meanwhile without a note.
        if !claims::is_empty(client, unique).await? {
            return Ok(true);
        }
    }
    for client in clients {
        claims::complete(client, unique).await?;
    }
    Ok(true)
}

/// Every change leaves a note from now on. Claims of a table of the same name that was dropped are forgotten.
///
/// # Errors
/// A server's.
pub async fn attach(clients: &[Client], unique: &Unique, logins: &[String]) -> Result<(), Unready> {
    for client in clients {
        claims::create(client, unique, logins).await?;
    }
    let mut all = true;
    for client in clients {
        all &= claims::state(client, unique).await?.attached;
    }
    if !all {
        for client in clients {
            claims::clear(client, unique).await?;
        }
        for client in clients {
            claims::attach(client, unique).await?;
        }
    }
    Ok(())
}
