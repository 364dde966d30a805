//! Users that the file doesn't name, as a server of the home shard knows them (PgBouncer's auth_query), and what logins of
//! users have proved. In: a name. Out: what is stored of its password. The same over reloads. Doesn't know how a client
//! proves anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_postgres::{Client, Statement};

use super::database::Database;
use crate::config::{AuthLookup, ClientLimits, Secret, UserConfig, is_stored};
use crate::net::timer::timeout;
use crate::pool::Node;
use crate::pool::connect::{Login, Passed, connect_control};
use crate::types::limits::{ACCOUNTS_MAX, AUTH_NODE_TIMEOUT, AUTH_QUERY_TIMEOUT, NAME_BYTES_MAX};
use crate::types::{ClientError, SqlState};

#[derive(Default)]
pub struct Directory {
    known: Mutex<Known>,
    asking: Mutex<Option<Asking>>,
}

#[derive(Default)]
struct Known {
    /// What users have proved last, those of the file too.
    passed: HashMap<String, Passed>,
    /// Those that aren't in the file and were let in.
    guests: HashMap<String, Arc<UserConfig>>,
    /// What was found of late, if that is kept.
    found: HashMap<String, (Arc<UserConfig>, Instant)>,
}

/// A connection that users are looked up on.
#[derive(Clone)]
struct Asking {
    lookup: AuthLookup,
    login: Login,
    client: Arc<Client>,
    statement: Statement,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

/// For the log: what a server has to do with it is nobody's business who hasn't logged in.
type Reason = String;

impl Directory {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn passed(&self, name: &str) -> Passed {
        let mut known = self.known();
        if known.passed.len() >= ACCOUNTS_MAX && !known.passed.contains_key(name) {
            // Pools share theirs.
            known.passed.retain(|_, passed| passed.is_shared());
        }
        known.passed.entry(name.to_owned()).or_default().clone()
    }

    pub fn guest(&self, name: &str) -> Option<Arc<UserConfig>> {
        self.known().guests.get(name).cloned()
    }

    pub fn admit(&self, user: &Arc<UserConfig>) {
        let mut known = self.known();
        if known.guests.len() >= ACCOUNTS_MAX {
            known.guests.retain(|_, guest| Arc::strong_count(guest) > 1);
        }
        known.guests.insert(user.name.clone(), Arc::clone(user));
    }

    /// Whoever couldn't prove it may have another password now.
    pub fn forget(&self, name: &str) {
        self.known().found.remove(name);
    }

    /// `None`: no such user.
    ///
    /// # Errors
    /// When no server of the home shard can be asked.
    pub async fn look_up(&self, database: &Database, name: &str) -> Result<Option<Arc<UserConfig>>, ClientError> {
        let Some(lookup) = &database.config.auth else { return Ok(None) };
        // PostgreSQL has no longer ones, and would look for what is left of them.
        if name.len() > NAME_BYTES_MAX {
            return Ok(None);
        }
        if let Some((user, at)) = self.known().found.get(name)
            && at.elapsed() < lookup.cached
        {
            return Ok(Some(Arc::clone(user)));
        }
        let asked = timeout(AUTH_QUERY_TIMEOUT, Box::pin(self.ask(database, lookup, name))).await;
        let answer = asked.unwrap_or_else(|_| Err("no answer in time".to_owned())).map_err(|reason| {
            tracing::warn!(user = name, database = database.config.name, %reason, "a user could not be looked up");
            ClientError::new(SqlState::CANNOT_CONNECT, format!("user \"{name}\" could not be looked up"))
                .hint("Shardway's log says why; it can be tried again later.")
        })?;
        let Some(stored) = answer else { return Ok(None) };
        let user = Arc::new(guest(name, stored));
        if !lookup.cached.is_zero() {
            let mut known = self.known();
            if known.found.len() >= ACCOUNTS_MAX {
                known.found.clear();
            }
            known.found.insert(name.to_owned(), (Arc::clone(&user), Instant::now()));
        }
        Ok(Some(user))
    }

    /// What is stored of the user's password; `Some(None)`: nothing that could be compared.
    async fn ask(
        &self,
        database: &Database,
        lookup: &AuthLookup,
        name: &str,
    ) -> Result<Option<Option<Secret>>, Reason> {
        let login = database.login_of(&lookup.user).ok_or("the user that looks up is not in the configuration")?;
        let known = self.asking.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fits = |asking: &Asking| {
            asking.lookup.user == lookup.user && asking.lookup.query == lookup.query && asking.login == login
        };
        if let Some(asking) = known.filter(|asking| fits(asking) && !asking.client.is_closed()) {
            match query(&asking, name).await {
                // Its server may be gone, and another one there.
                Err(_) if asking.client.is_closed() => {}
                outcome => return outcome,
            }
        }
        let mut reason = "the home shard has no server".to_owned();
        for node in home_nodes(database) {
            match timeout(AUTH_NODE_TIMEOUT, Box::pin(connect(&node, lookup, &login))).await {
                Ok(Ok(asking)) => {
                    *self.asking.lock().unwrap_or_else(PoisonError::into_inner) = Some(asking.clone());
                    return query(&asking, name).await;
                }
                Ok(Err(failed)) => reason = format!("{}: {failed}", node.describe()),
                Err(_) => reason = format!("{}: no answer in time", node.describe()),
            }
        }
        Err(reason)
    }
}

/// The primary first: it knows of a change before the others do.
fn home_nodes(database: &Database) -> Vec<Arc<Node>> {
    let lead = database.lead(database.config.home);
    let primary = lead.node();
    let others = lead.nodes().iter().filter(|node| !Arc::ptr_eq(node, primary));
    std::iter::once(primary).chain(others).cloned().collect()
}

async fn connect(node: &Node, lookup: &AuthLookup, login: &Login) -> Result<Asking, Reason> {
    let (client, _) = connect_control(&node.config, login).await.map_err(|error| error.to_string())?;
    let statement = client.prepare(&lookup.query).await.map_err(|error| described(&error))?;
    if (statement.params().len(), statement.columns().len()) != (1, 2) {
        return Err("auth_query has to have one parameter and give two columns".to_owned());
    }
    Ok(Asking { lookup: lookup.clone(), login: login.clone(), client: Arc::new(client), statement })
}

async fn query(asking: &Asking, name: &str) -> Result<Option<Option<Secret>>, Reason> {
    let row = asking.client.query_opt(&asking.statement, &[&name]).await.map_err(|error| described(&error))?;
    let Some(row) = row else { return Ok(None) };
    // A function of one row without a user gives NULLs.
    let user: Option<&str> = row.try_get(0).map_err(|error| described(&error))?;
    let stored: Option<&str> = row.try_get(1).map_err(|error| described(&error))?;
    if user.is_none() {
        return Ok(None);
    }
    match stored {
        Some(stored) if !is_stored(stored) => {
            Err("auth_query gave a password that isn't as PostgreSQL stores it".into())
        }
        stored => Ok(Some(stored.map(Secret::new))),
    }
}

fn described(error: &tokio_postgres::Error) -> Reason {
    match error.as_db_error() {
        Some(error) => format!("{} ({})", error.message(), error.code().code()),
        None => error.to_string(),
    }
}

fn guest(name: &str, password: Option<Secret>) -> UserConfig {
    UserConfig {
        name: name.to_owned(),
        password,
        server_user: None,
        server_password: None,
        admin: false,
        stats: false,
        databases: Vec::new(),
        pool_size: None,
        limits: ClientLimits::default(),
    }
}
