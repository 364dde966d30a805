//! Which node of a shard takes its writes. In: what those who look at the nodes found. Out: the node, or that there is
//! none now, and a place in the queue of those who wait for one. Doesn't know how nodes are looked at.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::node::{Node, NodeRole};
use crate::types::limits::NODE_LOOK_TIMEOUT;

/// No node.
const NOBODY: usize = usize::MAX;

#[derive(Debug)]
pub struct Lead {
    /// The one that the configuration calls the primary is the first.
    nodes: Box<[Arc<Node>]>,
    /// Position of the one that leads: asked for every statement.
    at: AtomicUsize,
    /// The same, also while nobody may use it.
    found: AtomicUsize,
    /// Of the last one that did.
    last: AtomicUsize,
    state: Mutex<State>,
    changed: Notify,
    held: AtomicUsize,
    changes: AtomicU64,
    terms: HoldTerms,
    wanted: watch::Sender<()>,
    /// A look was wanted since the last one.
    asked: AtomicBool,
    /// What a replica has to have replayed to know what was defined through this proxy.
    definitions: AtomicU64,
    /// Something was defined since that was learnt.
    has_defined: AtomicBool,
    /// A reload has put another in its place: whoever waits here waits for what won't come.
    is_replaced: AtomicBool,
}

/// How statements wait while nobody leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HoldTerms {
    /// Zero: they don't.
    pub wait_max: Duration,
    pub held_max: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Why nobody leads.
    problem: Option<String>,
    /// More than one would: nobody may choose but a human.
    is_torn: bool,
    /// An operator wants nothing begun here.
    is_paused: bool,
    /// Somebody has looked.
    is_known: bool,
    /// Of the cluster and the timeline that were seen; a node of an older timeline isn't followed any more.
    term: Option<Term>,
    /// Where the leader's WAL was, asked at that time or later.
    position: Option<(Instant, u64)>,
    /// When something was defined last.
    defined: Option<Instant>,
}

/// A cluster, and the highest of its timelines that anybody has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Term {
    pub system: i64,
    pub timeline: i32,
}

/// Somebody waits; bounded by [`HoldTerms::held_max`].
#[derive(Debug)]
pub struct Held<'l>(&'l Lead);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Lead {
    /// Of several nodes none leads before they were looked at; a single one does.
    pub fn new(nodes: Vec<Arc<Node>>, terms: HoldTerms, wanted: watch::Sender<()>) -> Self {
        let at = if nodes.len() == 1 { 0 } else { NOBODY };
        let problem = (nodes.len() > 1).then(|| "its nodes have not been looked at yet".to_owned());
        Self {
            nodes: nodes.into_boxed_slice(),
            at: AtomicUsize::new(at),
            found: AtomicUsize::new(at),
            last: AtomicUsize::new(0),
            state: Mutex::new(State { is_known: problem.is_none(), problem, ..State::default() }),
            changed: Notify::new(),
            held: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
            terms,
            wanted,
            asked: AtomicBool::new(false),
            definitions: AtomicU64::new(0),
            has_defined: AtomicBool::new(false),
            is_replaced: AtomicBool::new(false),
        }
    }

    /// Nobody waits here any more: see [`Self::is_replaced`].
    pub fn replace(&self) {
        self.is_replaced.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Acquire)
    }

    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    pub fn terms(&self) -> HoldTerms {
        self.terms
    }

    /// How long a statement waits now: before the nodes were looked at for the first time as long as that takes.
    pub fn wait_max(&self) -> Duration {
        let looks = if self.state().is_known { Duration::ZERO } else { 2 * NODE_LOOK_TIMEOUT };
        self.terms.wait_max.max(looks)
    }

    /// The position of the node that leads.
    #[inline]
    pub fn at(&self) -> Option<usize> {
        let at = self.at.load(Ordering::Acquire);
        (at != NOBODY).then_some(at)
    }

    /// The same, also while the shard is paused.
    pub fn found(&self) -> Option<usize> {
        let found = self.found.load(Ordering::Acquire);
        (found != NOBODY).then_some(found)
    }

    /// Nothing more is begun on the shard's primary. False: it was so already.
    pub fn pause(&self) -> bool {
        let mut state = self.state();
        self.at.store(NOBODY, Ordering::Release);
        !std::mem::replace(&mut state.is_paused, true)
    }

    /// False: it was not paused.
    pub fn resume(&self) -> bool {
        let mut state = self.state();
        let was_paused = std::mem::replace(&mut state.is_paused, false);
        self.at.store(self.found.load(Ordering::Acquire), Ordering::Release);
        drop(state);
        self.changed.notify_waiters();
        was_paused
    }

    pub fn is_paused(&self) -> bool {
        self.state().is_paused
    }

    /// The node that leads; while there is none, the one that did last.
    ///
    /// # Panics
    /// Never: a shard has a node.
    pub fn node(&self) -> &Arc<Node> {
        let last = self.last.load(Ordering::Acquire);
        self.nodes.get(last).or(self.nodes.first()).expect("a shard has a node")
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn term(&self) -> Option<Term> {
        self.state().term
    }

    pub fn note_term(&self, term: Term) {
        self.state().term = Some(term);
    }

    /// Why nobody leads, and whether that is because several would.
    pub fn problem(&self) -> Option<(String, bool)> {
        let state = self.state();
        if state.is_paused && !state.is_torn {
            return Some(("it is paused".to_owned(), false));
        }
        state.problem.clone().map(|problem| (problem, state.is_torn))
    }

    /// That node leads from now on. True: it did not before.
    pub fn follow(&self, position: usize) -> bool {
        let Some(node) = self.nodes.get(position) else { return false };
        {
            let mut state = self.state();
            state.problem = None;
            state.is_torn = false;
            state.is_known = true;
            if self.found.load(Ordering::Acquire) != position {
                // What was known of the others was on the old leader's timeline.
                state.position = None;
                if self.definitions.swap(0, Ordering::AcqRel) > 0 {
                    state.defined = Some(Instant::now());
                    self.has_defined.store(true, Ordering::Release);
                }
                self.nodes.iter().for_each(|node| node.note_freshness(0, None));
            }
        }
        let before = self.last.swap(position, Ordering::AcqRel);
        let is_new = {
            let state = self.state();
            if !state.is_paused {
                self.at.store(position, Ordering::Release);
            }
            self.found.swap(position, Ordering::AcqRel) != position
        };
        if before != position {
            if let Some(before) = self.nodes.get(before) {
                before.set_role(NodeRole::Replica);
                before.sever();
            }
            self.changes.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(shard = node.shard_name, node = %node.address(), "another node is the primary now");
        } else if is_new {
            tracing::info!(shard = node.shard_name, node = %node.address(), "the shard has a primary");
        }
        node.set_role(NodeRole::Primary);
        if is_new {
            self.changed.notify_waiters();
        }
        is_new
    }

    /// Another server is where the node that leads was: what is known of the one before doesn't hold for it.
    pub fn renew(&self) {
        self.state().position = None;
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.node().begin_era();
    }

    /// Nobody leads, for this reason; `is_torn`: because several would. True: that is new.
    pub fn lose(&self, problem: &str, is_torn: bool) -> bool {
        let is_new = {
            let mut state = self.state();
            let is_new = state.problem.as_deref() != Some(problem) || state.is_torn != is_torn;
            state.problem = Some(problem.to_owned());
            state.is_torn = is_torn;
            state.is_known = true;
            is_new
        };
        self.at.store(NOBODY, Ordering::Release);
        let had = self.found.swap(NOBODY, Ordering::AcqRel);
        if let Some(before) = self.nodes.get(had) {
            // What is under way there may not be on the node that comes next.
            before.sever();
        }
        if is_new {
            let shard = self.nodes.first().map_or("", |node| node.shard_name.as_str());
            if is_torn {
                tracing::error!(shard, problem, "SPLIT BRAIN: writes to the shard are stopped");
            } else {
                tracing::warn!(shard, problem, "the shard has no primary: its statements wait");
            }
            self.changed.notify_waiters();
        }
        is_new
    }

    /// Takes over what was known of the same nodes before a reload.
    pub fn inherit(&self, before: &Lead) {
        let led = before.found().and_then(|at| before.nodes.get(at));
        let here = led.and_then(|led| self.nodes.iter().position(|node| node.config == led.config));
        if let Some(term) = before.term() {
            self.note_term(term);
        }
        if let Some(position) = here
            && self.nodes.len() > 1
        {
            self.last.store(position, Ordering::Release);
            for (other, node) in self.nodes.iter().enumerate() {
                node.set_role(if other == position { NodeRole::Primary } else { NodeRole::Replica });
            }
            let mut state = self.state();
            state.problem = None;
            state.is_known = true;
            self.found.store(position, Ordering::Release);
            self.at.store(position, Ordering::Release);
        }
        // Whatever its nodes are now: it is for an operator to say that it goes on.
        if before.is_paused() {
            self.pause();
        }
    }

    /// Has the nodes looked at now instead of at the next interval.
    pub fn want_look(&self) {
        self.wanted.send_replace(());
    }

    /// The same, at most once until the leader was looked at.
    pub fn want_look_soon(&self) {
        if !self.asked.swap(true, Ordering::AcqRel) {
            self.want_look();
        }
    }

    /// Where the leader's WAL was, asked at `at` or later.
    pub fn note_position(&self, at: Instant, position: u64) {
        self.state().position = Some((at, position));
        self.asked.store(false, Ordering::Release);
    }

    /// A position of the leader's WAL that covers all that was committed before `at`, if somebody has looked since.
    pub fn position_after(&self, at: Instant) -> Option<u64> {
        self.state().position.filter(|(asked, _)| *asked >= at).map(|(_, position)| position)
    }

    /// Tables, functions or the like were defined: a replica that hasn't replayed that would answer with errors.
    pub fn note_definitions(&self) {
        let mut state = self.state();
        // Where nobody looks at the nodes nobody would ever learn that a replica has it.
        if self.nodes.len() > 1 && state.is_known {
            state.defined = Some(Instant::now());
            self.has_defined.store(true, Ordering::Release);
        }
    }

    /// What a replica must have replayed to know all definitions; `None`: nobody knows yet.
    #[inline]
    pub fn definitions(&self) -> Option<u64> {
        if self.has_defined.load(Ordering::Acquire) {
            self.look_for_definitions()
        } else {
            Some(self.definitions.load(Ordering::Acquire))
        }
    }

    #[cold]
    fn look_for_definitions(&self) -> Option<u64> {
        let mut state = self.state();
        if let Some(at) = state.defined {
            let Some((_, position)) = state.position.filter(|(asked, _)| *asked >= at) else {
                drop(state);
                self.want_look_soon();
                return None;
            };
            state.defined = None;
            self.definitions.store(position, Ordering::Release);
            self.has_defined.store(false, Ordering::Release);
        }
        Some(self.definitions.load(Ordering::Acquire))
    }

    /// Told when a look is wanted.
    pub fn looks(&self) -> watch::Receiver<()> {
        self.wanted.subscribe()
    }

    /// Told when another node leads, or none any more.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// A place among those who wait; `None`: there are too many.
    pub fn hold(&self) -> Option<Held<'_>> {
        let before = self.held.fetch_add(1, Ordering::AcqRel);
        let held = Held(self);
        (before < self.terms.held_max).then_some(held)
    }

    /// Statements that wait now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// How often another node has come to lead.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }
}
