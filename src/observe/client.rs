//! Who is connected, and what each is doing now. A session writes its entry with plain stores; whoever shows the
//! entries reads them as they are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::clock;
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
    phase: AtomicU8,
    /// When the request began, by [`clock`].
    request_nanos: AtomicU64,
    /// When its last request was answered.
    rest_nanos: AtomicU64,
    /// When the phase began; only of [`Phase::Waiting`].
    waiting_nanos: AtomicU64,
    /// [`super::Statement::id`] of what runs or ran last; 0: none.
    statement: AtomicU64,
    strategy: AtomicU8,
    shards: AtomicU32,
    pub gathering: Gathering,
}

/// How far the rows of a gather have come. Its session writes it with plain stores.
#[derive(Debug, Default)]
pub struct Gathering {
    /// 0: none is under way.
    tables: AtomicU32,
    /// How many tables have all their rows.
    filled: AtomicU32,
    rows: AtomicU64,
    bytes: AtomicU64,
}

/// The same, read at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gathered {
    pub tables: u32,
    pub filled: u32,
    pub rows: u64,
    pub bytes: u64,
}

impl Gathering {
    pub fn begin(&self, tables: usize) {
        self.advance(0, 0, 0);
        self.tables.store(u32::try_from(tables).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub fn advance(&self, filled: usize, rows: u64, bytes: u64) {
        self.filled.store(u32::try_from(filled).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.rows.store(rows, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    pub fn end(&self) {
        self.tables.store(0, Ordering::Relaxed);
    }

    /// `None`: no gather is under way.
    pub fn read(&self) -> Option<Gathered> {
        let gathered = Gathered {
            tables: self.tables.load(Ordering::Relaxed),
            filled: self.filled.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        };
        (gathered.tables > 0).then_some(gathered)
    }
}

/// What a client does at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Doing {
    pub phase: Phase,
    /// Since its request began, or the last one did.
    pub since: Duration,
    /// Since its last request was answered.
    pub resting: Duration,
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
            phase: AtomicU8::new(Phase::Idle as u8),
            request_nanos: AtomicU64::new(clock::now_nanos()),
            rest_nanos: AtomicU64::new(clock::now_nanos()),
            waiting_nanos: AtomicU64::new(0),
            statement: AtomicU64::new(0),
            strategy: AtomicU8::new(Strategy::Session as u8),
            shards: AtomicU32::new(0),
            gathering: Gathering::default(),
        }
    }

    /// A request began then, by [`clock`].
    #[inline]
    pub fn begin(&self, nanos: u64) {
        self.request_nanos.store(nanos, Ordering::Relaxed);
        self.enter(Phase::Planning);
    }

    /// Its request was answered.
    #[inline]
    pub fn rest(&self, nanos: u64, phase: Phase) {
        self.rest_nanos.store(nanos, Ordering::Relaxed);
        self.enter(phase);
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub fn wait(&self) {
        self.waiting_nanos.store(clock::recent_nanos(), Ordering::Relaxed);
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
        let now = clock::now_nanos();
        let since = |nanos: &AtomicU64| Duration::from_nanos(now.saturating_sub(nanos.load(Ordering::Relaxed)));
        Doing {
            phase,
            since: since(&self.request_nanos),
            resting: since(&self.rest_nanos),
            waiting: if phase == Phase::Waiting { since(&self.waiting_nanos) } else { Duration::ZERO },
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

    pub fn of(&self, id: u32) -> Option<Arc<Client>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
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
