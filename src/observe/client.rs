//! Who is connected, and what each is doing now. A session writes its entry with plain stores; whoever shows the
//! entries reads them as they are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::labels::{Phase, Strategy};

#[derive(Debug)]
pub struct Client {
    /// As the client knows it: the process id of its cancel key.
    pub id: u32,
    pub user: Box<str>,
    pub database: Box<str>,
    /// `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    pub is_tls: bool,
    /// As of its start-up packet.
    pub application: Box<str>,
    pub connected: SystemTime,
    clock: Instant,
    phase: AtomicU8,
    /// When the phase before the present one's request began, in microseconds since `clock`.
    request_micros: AtomicU64,
    /// When the phase began; only of [`Phase::Waiting`].
    waiting_micros: AtomicU64,
    /// [`super::Statement::id`] of what runs or ran last; 0: none.
    statement: AtomicU64,
    strategy: AtomicU8,
    shards: AtomicU32,
}

/// What a client does at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Doing {
    pub phase: Phase,
    /// Since its request began, or the last one did.
    pub since: Duration,
    /// How long it has waited for a connection.
    pub waiting: Duration,
    /// 0: none that is counted.
    pub statement: u64,
    pub strategy: Strategy,
    pub shards: u32,
}

/// What a client says of itself.
#[derive(Clone, Debug)]
pub struct Introduction {
    pub id: u32,
    pub user: String,
    pub database: String,
    pub peer: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    pub is_tls: bool,
    pub application: String,
}

impl Client {
    fn new(introduction: Introduction) -> Self {
        let Introduction { id, user, database, peer, local, is_tls, application } = introduction;
        Self {
            id,
            user: user.into(),
            database: database.into(),
            peer,
            local,
            is_tls,
            application: application.into(),
            connected: SystemTime::now(),
            clock: Instant::now(),
            phase: AtomicU8::new(Phase::Idle as u8),
            request_micros: AtomicU64::new(0),
            waiting_micros: AtomicU64::new(0),
            statement: AtomicU64::new(0),
            strategy: AtomicU8::new(Strategy::Session as u8),
            shards: AtomicU32::new(0),
        }
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.clock).as_micros()).unwrap_or(u64::MAX)
    }

    pub fn begin(&self, at: Instant) {
        self.request_micros.store(self.micros(at), Ordering::Relaxed);
        self.enter(Phase::Planning);
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub fn wait(&self) {
        self.waiting_micros.store(self.micros(Instant::now()), Ordering::Relaxed);
        self.enter(Phase::Waiting);
    }

    pub fn run(&self, statement: u64, strategy: Strategy, shards: u32) {
        self.statement.store(statement, Ordering::Relaxed);
        self.strategy.store(strategy as u8, Ordering::Relaxed);
        self.shards.store(shards, Ordering::Relaxed);
    }

    pub fn doing(&self) -> Doing {
        let phase = usize::from(self.phase.load(Ordering::Relaxed));
        let phase = Phase::ALL.get(phase).copied().unwrap_or(Phase::Idle);
        let strategy = usize::from(self.strategy.load(Ordering::Relaxed));
        let now = self.clock.elapsed();
        let since = |micros: &AtomicU64| now.saturating_sub(Duration::from_micros(micros.load(Ordering::Relaxed)));
        Doing {
            phase,
            since: since(&self.request_micros),
            waiting: if phase == Phase::Waiting { since(&self.waiting_micros) } else { Duration::ZERO },
            statement: self.statement.load(Ordering::Relaxed),
            strategy: Strategy::ALL.get(strategy).copied().unwrap_or(Strategy::Session),
            shards: self.shards.load(Ordering::Relaxed),
        }
    }
}

/// All clients that have logged in, those of the console among them.
#[derive(Debug, Default)]
pub struct Clients {
    all: Mutex<BTreeMap<u32, Arc<Client>>>,
}

/// A client's place among them, given up when this is dropped.
#[derive(Debug)]
pub struct Entered {
    clients: Arc<Clients>,
    pub client: Arc<Client>,
}

impl Clients {
    pub fn enter(self: &Arc<Self>, introduction: Introduction) -> Entered {
        let client = Arc::new(Client::new(introduction));
        self.all.lock().unwrap_or_else(PoisonError::into_inner).insert(client.id, Arc::clone(&client));
        Entered { clients: Arc::clone(self), client }
    }

    pub fn all(&self) -> Vec<Arc<Client>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.clients.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.client.id);
    }
}
