//! From an authenticated client to its first ReadyForQuery: its settings, the parameters that a server
//! would report, and its cancel key.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use super::cancel::{CancelKeys, Cancellable};
use super::database::{Database, UserPools};
use super::startup::Admitted;
use super::state::SessionState;
use super::turn::{Drain, Session};
use super::user_pools::Want;
use crate::execute::own;
use crate::net::Framed;
use crate::observe::{Entered, Introduction, Observed};
use crate::pool::{Lease, SettingValue, Settings};
use crate::protocol::backend::{self, Severity, Status};
use crate::transaction::Transaction;
use crate::types::limits::GREETINGS_MAX;
use crate::types::{ClientError, ShardId, SqlState};

static NEXT_SESSION: AtomicU64 = AtomicU64::new(1);

/// What a server says to a login with certain start-up settings.
#[derive(Debug)]
pub struct Greeting {
    /// ParameterStatus values in the server's order.
    pub parameters: Vec<(String, String)>,
    /// The role's, the database's or the server's default, unless the client has set one: names without a
    /// schema are looked up by it.
    pub search_path: String,
}

/// A client's key for cancel requests, forgotten with the session.
pub struct KeyGuard {
    keys: Arc<CancelKeys>,
    process_id: u32,
    secret: Vec<u8>,
}

impl KeyGuard {
    /// For a new client. Protocol 3.2 allows a longer secret; 3.0 has room for four bytes.
    fn new(keys: &Arc<CancelKeys>, cancel: &Arc<Cancellable>, protocol_minor: u16) -> Self {
        let secret_bytes = if protocol_minor >= 2 { 32 } else { 4 };
        let (process_id, secret) = keys.register(Arc::clone(cancel), secret_bytes);
        Self { keys: Arc::clone(keys), process_id, secret }
    }

    pub fn process_id(&self) -> u32 {
        self.process_id
    }

    pub fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        self.keys.forget(self.process_id);
    }
}

/// Greets the client. `None`: it was told why it can't be served.
pub async fn welcome(
    admitted: Admitted,
    database: Arc<Database>,
    keys: &Arc<CancelKeys>,
    drain: Arc<Drain>,
    observed: &Arc<Observed>,
) -> Option<(Session, KeyGuard)> {
    let Admitted { framed: mut client, user, settings, protocol_minor, .. } = admitted;
    let pools = database.pools(&user);
    let (baseline, own) = baseline(settings);
    let mut own_settings = super::own_settings::OwnSettings::default();
    let mut freshness = super::freshness::Freshness::default();
    for (name, value) in own {
        let set = match name.as_str() {
            "shardway.token" => freshness.set_token(&value, &database.config),
            name => own_settings.set(name, &value, &database.config),
        };
        if let Err(error) = set {
            refuse(&mut client, &error).await;
            return None;
        }
    }
    let greeting = match greeting(&database, &pools, &baseline).await {
        Ok(greeting) => greeting,
        Err(error) => {
            refuse(&mut client, &error).await;
            return None;
        }
    };
    let application = match baseline.get("application_name") {
        Some(SettingValue::Text(name)) => name.as_str(),
        _ => "",
    };
    for (name, value) in &greeting.parameters {
        let value = if name == "application_name" { application } else { value };
        backend::parameter(&mut client.outbound, name, value);
    }
    let standard_conforming_strings =
        greeting.parameters.iter().all(|(name, value)| name != "standard_conforming_strings" || value == "on");
    let cancel = Arc::new(Cancellable::default());
    let guard = KeyGuard::new(keys, &cancel, protocol_minor);
    let entered = enter(observed, &guard, &client, &user.name, &database.config.name, application);
    backend::backend_key(&mut client.outbound, guard.process_id(), guard.secret());
    backend::ready(&mut client.outbound, Status::Idle);
    client.flush().await.ok()?;
    let mut session = Session {
        client,
        user: user.name.as_str().into(),
        login: super::database::login_of(&user).user.into(),
        database,
        pools,
        state: SessionState::new(baseline),
        transaction: Transaction::none(),
        cancel,
        statements: HashMap::default(),
        portals: HashMap::default(),
        cursors: HashMap::new(),
        segment: None,
        scattering: None,
        pending_write: None,
        explaining: None,
        changed_catalog: false,
        within: None,
        changed_within: false,
        numbers_within: None,
        defining: false,
        served_last: false,
        leaves_notes: false,
        unsteady: None,
        wanted: None,
        reserved: None,
        replaced: None,
        moved: None,
        unplaced: Vec::new(),
        sql_prepared: Vec::new(),
        undo: Vec::new(),
        skipping: false,
        expects: VecDeque::new(),
        hint: None,
        again: super::again::Again::default(),
        freshness,
        reads_atomic: false,
        own_history: super::own_settings::OwnHistory::of(own_settings.clone()),
        names: super::planner::default_names(),
        greeting: Arc::clone(&greeting),
        standard_conforming_strings,
        drain,
        acting: None,
        copying: None,
        batch: None,
        piped: false,
        in_extended: false,
        number: NEXT_SESSION.fetch_add(1, Ordering::Relaxed),
        sequences: None,
        notes: super::noting::Notes::new(entered, observed),
        counted: 0,
        resting: None,
        refused: None,
        observed: Arc::clone(observed),
        keys: Arc::clone(keys),
    };
    session.adopt_own(own_settings);
    session.refresh_names();
    Some((session, guard))
}

/// A client of the console is listed and can be cancelled like any other.
pub fn enrol(admitted: &Admitted, keys: &Arc<CancelKeys>, observed: &Observed) -> (Entered, KeyGuard) {
    let key = KeyGuard::new(keys, &Arc::new(Cancellable::default()), admitted.protocol_minor);
    let application = admitted.settings.iter().find(|(name, _)| name == "application_name");
    let application = application.map_or("", |(_, value)| value.as_str());
    let entered = enter(observed, &key, &admitted.framed, &admitted.user.name, &admitted.database, application);
    (entered, key)
}

fn enter(
    observed: &Observed,
    key: &KeyGuard,
    client: &Framed,
    user: &str,
    database: &str,
    application: &str,
) -> Entered {
    observed.clients.enter(Introduction {
        id: key.process_id(),
        user: user.to_owned(),
        database: database.to_owned(),
        peer: client.stream.peer(),
        local: client.stream.local(),
        is_tls: client.stream.is_tls(),
        application: application.to_owned(),
    })
}

/// The client has proved who it is, but can't be served.
pub async fn turn_away(mut admitted: Admitted, error: &ClientError) {
    refuse(&mut admitted.framed, error).await;
}

async fn refuse(client: &mut Framed, error: &ClientError) {
    backend::error(&mut client.outbound, Severity::Fatal, error);
    // Whether these words arrive is the client's concern.
    let _ = crate::net::timer::timeout(crate::types::limits::FAREWELL_TIMEOUT, client.close()).await;
}

/// The start-up packet's settings as a session has them.
fn baseline(settings: Vec<(String, String)>) -> (Settings, Vec<(String, String)>) {
    let mut values = BTreeMap::new();
    let mut own = Vec::new();
    for (name, value) in settings {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            own_name if own_name.starts_with("shardway.") => own.push((name, value)),
            // What every connection to a server has already.
            "client_encoding" if is_utf8(&value) => {
                values.remove(&name);
            }
            _ => {
                values.insert(name, SettingValue::Text(value));
            }
        }
    }
    (Settings::from_values(values), own)
}

fn is_utf8(encoding: &str) -> bool {
    let letters: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
    matches!(letters.to_ascii_lowercase().as_str(), "utf8" | "unicode" | "")
}

/// What a server reports to a session with these settings. Asked once for each set of settings.
async fn greeting(database: &Database, pools: &UserPools, baseline: &Settings) -> Result<Arc<Greeting>, ClientError> {
    // The one setting that differs between clients needs no server.
    let asked = baseline.without("application_name");
    let known = pools.greetings.lock().unwrap_or_else(PoisonError::into_inner).get(&asked.hash()).cloned();
    if let Some(greeting) = known {
        return Ok(greeting);
    }
    database.gate.pass().await;
    let mut lease = any_lease(database, pools).await?;
    let mut parameters = lease.parameters.clone();
    let is_replica = lease.is_replica();
    if is_replica && let Some(told) = parameters.iter_mut().find(|parameter| parameter.0 == "in_hot_standby") {
        // The client's writes go to a primary.
        "off".clone_into(&mut told.1);
    }
    if let Some(sql) = lease.settings.difference(&asked) {
        let reported = match own::run(&mut lease, &sql).await {
            Ok(answer) => answer.parameters,
            Err(error) => {
                // Some of the statements may have taken effect.
                lease.condition = crate::pool::Condition::Pinned;
                let told = told(&error);
                if own::clean(&mut lease).await.is_err() {
                    tracing::debug!("connection is closed instead of cleaned");
                }
                return Err(told);
            }
        };
        lease.settings = asked.clone();
        for (name, value) in reported {
            match parameters.iter_mut().find(|parameter| parameter.0 == name) {
                Some(parameter) => parameter.1 = value,
                None => parameters.push((name, value)),
            }
        }
    }
    let shown = own::run(&mut lease, "SHOW search_path").await.map_err(|error| told(&error))?.value;
    let greeting = Arc::new(Greeting { parameters, search_path: shown.unwrap_or_default() });
    let mut known = pools.greetings.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= GREETINGS_MAX {
        known.clear();
    }
    known.insert(asked.hash(), Arc::clone(&greeting));
    Ok(greeting)
}

/// An error of the server in the proxy's own shape: the client sees it as FATAL, as at a real login.
fn told(error: &own::OwnError) -> ClientError {
    match error {
        own::OwnError::Refused(frame) => {
            let message = backend::error_field(&frame.0, b'M').unwrap_or_default();
            let state = match backend::error_field(&frame.0, b'C') {
                Some(b"42704") => SqlState::UNDEFINED_OBJECT,
                Some(b"42501") => SqlState::INSUFFICIENT_PRIVILEGE,
                _ => SqlState::INVALID_PARAMETER_VALUE,
            };
            ClientError::new(state, String::from_utf8_lossy(message).into_owned())
        }
        own::OwnError::Lost(reason) => ClientError::new(SqlState::CONNECTION_FAILURE, reason.clone()),
    }
}

/// A connection to the home shard or, while that is down, to any other: with one shard down the rest
/// is served.
async fn any_lease(database: &Database, pools: &UserPools) -> Result<Lease, ClientError> {
    let home = database.config.home;
    let count = u16::try_from(database.config.shards.len()).unwrap_or(u16::MAX);
    let others = (0..count).map(ShardId::new).filter(|&shard| shard != home);
    let mut first = None;
    for shard in std::iter::once(home).chain(others) {
        match pools.lease_without_hold(shard).await {
            Ok(lease) => return Ok(lease),
            Err(error) => first = first.or(Some(error)),
        }
    }
    // With every primary down, replicas still serve what they may; or one comes up.
    let want = Want { policy: database.config.reads, ..Want::PRIMARY };
    let last = pools.lease(home, want).await;
    last.map_err(|error| first.unwrap_or(error).into())
}
