//! One server as the pools see it: where it is, whether connects to it work, how busy it is.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::{Semaphore, watch};

use super::backend::BackendKey;
use crate::config::NodeConfig;
use crate::observe::{NodeFigures, NodeTotal};
use crate::protocol::numbering::Numbering;
use crate::types::limits::{ACCEPTED_SETTINGS_MAX, NODE_RETRY_AFTER, RETURN_WITHIN};
use crate::types::{NodeId, ShardId};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeRole {
    Primary,
    Replica,
}

impl NodeRole {
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

#[derive(Debug)]
pub struct Node {
    pub id: NodeId,
    /// Its position among the nodes of its database.
    pub place: u16,
    pub shard: ShardId,
    pub shard_name: String,
    /// As found; before anybody has looked, as configured.
    role: AtomicU8,
    pub config: NodeConfig,
    /// Has the shard's nodes looked at.
    watchers: Option<watch::Sender<()>>,
    /// Another node of the shard may lead in its place.
    has_peers: bool,
    /// What data connections are started with.
    pub options: Option<&'static str>,
    /// Limits connects under way at once.
    pub(super) connects: Semaphore,
    /// Leases out, for "least busy".
    pub(super) leased: AtomicUsize,
    /// Whether `failure` is set: looked at for every lease, when the lock isn't needed.
    failed: AtomicBool,
    failure: Mutex<Option<Failure>>,
    /// Hashes of session settings that the node has accepted: sent ahead without waiting from then on.
    accepted: Mutex<HashSet<u64>>,
    /// It was seen to be able to prepare transactions.
    two_phase: AtomicBool,
    pub figures: Arc<NodeFigures>,
    /// Its open connections, for whoever lists them; closed ones go with the next that is opened.
    servers: Mutex<Vec<Weak<BackendKey>>>,
    /// Connections of an earlier era are closed instead of used again.
    era: AtomicUsize,
    /// `None`: nobody has looked.
    standing: ArcSwapOption<Standing>,
    /// Since when, and why, those who look find nobody there.
    absence: ArcSwapOption<Failure>,
    /// Whether `standing` has a problem: asked for every read.
    unfit: AtomicBool,
    /// A replica has replayed at least this much of the primary's WAL.
    replayed: AtomicU64,
    /// When it had at least what the primary then had, in milliseconds as [`clock`] counts them.
    fresh: AtomicU64,
    /// When it was last seen to be fit again, the same; 0: it always was.
    returned: AtomicU64,
    /// What its numbers of types and tables are on the home shard.
    numbering: ArcSwapOption<Numbering>,
    /// Whether there is such a thing: asked for every description.
    renumbers: AtomicBool,
}

/// How a node was when it was last looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    pub is_standby: bool,
    /// The identifier of its cluster.
    pub system: Option<i64>,
    pub timeline: i32,
    /// Behind the primary, where that is known; none for the primary itself.
    pub lag: Option<(u64, Duration)>,
    /// Of a replica, as the primary has it: sync, async, quorum or potential.
    pub sync_state: Option<String>,
    /// Its replication slots, each with whether somebody uses it.
    pub slots: Option<String>,
    /// Why it isn't fit for its part: a replica isn't read then.
    pub problem: Option<String>,
}

#[derive(Debug)]
struct Failure {
    at: Instant,
    reason: String,
}

/// Milliseconds since a moment shortly before the first call, and never 0.
fn clock(at: Instant) -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let began = BEGAN.get_or_init(|| at.checked_sub(Duration::from_secs(3600)).unwrap_or(at));
    u64::try_from(at.saturating_duration_since(*began).as_millis()).unwrap_or(u64::MAX).max(1)
}

impl Node {
    #[expect(clippy::too_many_arguments, reason = "each is a fact of its own about one server")]
    pub fn new(
        id: NodeId,
        place: u16,
        shard: ShardId,
        shard_name: &str,
        role: NodeRole,
        config: NodeConfig,
        connects_max: usize,
        figures: Arc<NodeFigures>,
    ) -> Self {
        figures.note_role(role == NodeRole::Replica);
        Self {
            id,
            place,
            shard,
            shard_name: shard_name.to_owned(),
            role: AtomicU8::new(role as u8),
            config,
            watchers: None,
            has_peers: false,
            options: None,
            connects: Semaphore::new(connects_max.max(1)),
            leased: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            accepted: Mutex::new(HashSet::new()),
            two_phase: AtomicBool::new(false),
            figures,
            servers: Mutex::new(Vec::new()),
            era: AtomicUsize::new(0),
            standing: ArcSwapOption::empty(),
            absence: ArcSwapOption::empty(),
            unfit: AtomicBool::new(false),
            replayed: AtomicU64::new(0),
            fresh: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            numbering: ArcSwapOption::empty(),
            renumbers: AtomicBool::new(false),
        }
    }

    /// A node of a shard: what it is, and who leads where there are several, is found by looking.
    #[must_use]
    pub fn watched_by(self, watchers: watch::Sender<()>, has_peers: bool) -> Self {
        Self { watchers: Some(watchers), has_peers, ..self }
    }

    /// Its connections may have to be cut off, since another node leads.
    pub fn may_be_severed(&self) -> bool {
        self.has_peers
    }

    /// Something went wrong that a change of the primary would explain: the nodes are looked at now.
    pub fn suspect(&self) {
        if let Some(watchers) = &self.watchers {
            watchers.send_replace(());
        }
    }

    pub fn role(&self) -> NodeRole {
        if self.role.load(Ordering::Relaxed) == NodeRole::Primary as u8 { NodeRole::Primary } else { NodeRole::Replica }
    }

    pub fn set_role(&self, role: NodeRole) {
        // What an only node is found to be stands while it stays in its part.
        if self.role.swap(role as u8, Ordering::Relaxed) != role as u8 {
            self.figures.note_role(role == NodeRole::Replica);
        }
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("{}:{}", self.config.host, self.config.port)
    }

    /// It doesn't lead any more, but may live: whatever is under way on it ends now, since nobody may be told that it
    /// is committed.
    pub fn sever(&self) {
        self.begin_era();
        self.servers().iter().for_each(|key| key.sever());
    }

    pub fn has_accepted(&self, settings: u64) -> bool {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).contains(&settings)
    }

    pub fn accept(&self, settings: u64) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if accepted.len() >= ACCEPTED_SETTINGS_MAX {
            accepted.clear();
        }
        accepted.insert(settings);
    }

    pub fn is_two_phase_ready(&self) -> bool {
        self.two_phase.load(Ordering::Acquire)
    }

    /// Holds until a connect fails: a server that went away may come back with other settings.
    pub fn note_two_phase_ready(&self) {
        self.two_phase.store(true, Ordering::Release);
    }

    /// What its numbers are for clients; `None`: they are the home shard's.
    #[inline]
    pub fn numbering(&self) -> Option<Arc<Numbering>> {
        if self.renumbers() { self.numbering.load_full() } else { None }
    }

    #[inline]
    pub fn renumbers(&self) -> bool {
        self.renumbers.load(Ordering::Acquire)
    }

    pub fn set_numbering(&self, numbering: Option<Arc<Numbering>>) {
        let renumbers = numbering.is_some();
        self.numbering.store(numbering);
        self.renumbers.store(renumbers, Ordering::Release);
    }

    /// As operators and EXPLAIN name it.
    pub fn describe(&self) -> String {
        format!("shard {}, {} {}:{}", self.shard_name, self.role().name(), self.config.host, self.config.port)
    }

    /// A connection was opened.
    pub(super) fn enrol(&self, key: &Arc<BackendKey>) {
        self.figures.add(NodeTotal::Connects);
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|server| server.strong_count() > 0);
        servers.push(Arc::downgrade(key));
    }

    /// The connections that are open now.
    /// As what process the client of a server process was told to be, if it is one of this proxy's: of notifications,
    /// clients know their own by that.
    pub fn client_of(&self, process_id: u32) -> Option<u32> {
        self.servers().iter().find(|key| key.process_id == process_id)?.client()
    }

    pub fn servers(&self) -> Vec<Arc<BackendKey>> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.iter().filter_map(Weak::upgrade).filter(|key| !key.is_closed()).collect()
    }

    /// Connections that are open now are closed once nobody uses them.
    pub fn begin_era(&self) {
        self.era.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn era(&self) -> usize {
        self.era.load(Ordering::Relaxed)
    }

    pub fn standing(&self) -> Option<Arc<Standing>> {
        self.standing.load_full()
    }

    pub fn note_standing(&self, standing: Standing) {
        let was_unfit = self.unfit.swap(standing.problem.is_some(), Ordering::Relaxed);
        if was_unfit && standing.problem.is_none() {
            self.returned.store(clock(Instant::now()), Ordering::Relaxed);
        }
        self.standing.store(Some(Arc::new(standing)));
    }

    /// Whoever looks at it finds nobody there, for this reason, or somebody again.
    pub fn note_absence(&self, reason: Option<&str>) {
        match reason {
            None => self.absence.store(None),
            Some(_) if self.absence.load().is_some() => {}
            Some(reason) => {
                self.absence.store(Some(Arc::new(Failure { at: Instant::now(), reason: reason.to_owned() })));
            }
        }
    }

    /// Since when, and why, it is down: a connect failed, or a look.
    pub fn outage(&self) -> Option<(Instant, String)> {
        let absence = || self.absence.load().as_ref().map(|absence| (absence.at, absence.reason.clone()));
        self.failure().or_else(absence)
    }

    /// A replica that isn't to be read.
    pub fn is_unfit(&self) -> bool {
        self.unfit.load(Ordering::Relaxed)
    }

    /// What a replica is known to have: a position of the primary's WAL, and since when it isn't older than that.
    pub fn note_freshness(&self, replayed: u64, fresh: Option<Instant>) {
        self.replayed.store(replayed, Ordering::Release);
        self.fresh.store(fresh.map_or(0, clock), Ordering::Relaxed);
    }

    /// It is a replica, up and fit, and fresh enough.
    pub fn may_be_read(&self, floor: u64, staleness_max: Option<Duration>) -> bool {
        let is_fresh = |limit: Duration| {
            let fresh = self.fresh.load(Ordering::Relaxed);
            let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            fresh != 0 && clock(Instant::now()).saturating_sub(fresh) <= limit
        };
        self.role() == NodeRole::Replica
            && !self.is_unfit()
            && (floor == 0 || self.replayed.load(Ordering::Acquire) >= floor)
            && staleness_max.is_none_or(is_fresh)
            && self.recent_failure().is_none()
    }

    /// Whether it takes its part at that turn: all of them, but for one that was away until a moment ago.
    pub fn is_due(&self, turn: usize) -> bool {
        let returned = self.returned.load(Ordering::Relaxed);
        if returned == 0 {
            return true;
        }
        let since = clock(Instant::now()).saturating_sub(returned);
        let within = RETURN_WITHIN.as_millis() as u64;
        if since >= within {
            self.returned.store(0, Ordering::Relaxed);
            return true;
        }
        (turn % 10) as u64 <= since * 10 / within
    }

    pub fn leased(&self) -> usize {
        self.leased.load(Ordering::Relaxed)
    }

    /// Whether [`Self::recent_failure`] is worth asking.
    #[inline]
    pub fn may_be_down(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The reason of the last failed connect while it is too early to try again: a server that is
    /// down is not hammered, and its statements fail at once instead of queueing up.
    pub fn recent_failure(&self) -> Option<String> {
        if !self.failed.load(Ordering::Acquire) {
            return None;
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().filter(|failure| failure.at.elapsed() < NODE_RETRY_AFTER).map(|failure| failure.reason.clone())
    }

    /// When and why the last connect failed, if none has succeeded since.
    pub fn failure(&self) -> Option<(Instant, String)> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().map(|failure| (failure.at, failure.reason.clone()))
    }

    pub fn is_up(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    pub fn note_failure(&self, reason: String) {
        self.figures.add(NodeTotal::ConnectFailures);
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.is_none() {
            tracing::warn!(node = %self.describe(), reason, "node is down");
        }
        *failure = Some(Failure { at: Instant::now(), reason });
        self.two_phase.store(false, Ordering::Release);
        self.failed.store(true, Ordering::Release);
    }

    pub fn note_success(&self) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        self.failed.store(false, Ordering::Release);
        if failure.take().is_some() {
            tracing::info!(node = %self.describe(), "node is up again");
        }
    }
}
