//! Which connections of a pool are free, how many there are, and who waits for one. In: connections that come
//! back or end. Out: to whom they go. Pure bookkeeping under one short lock: doesn't know what a connection is,
//! how one is made, or how those who wait are told.
//!
//! Each worker has a stack of free connections, whose sockets its own runtime watches; the last one used is the
//! first one taken. The bound is the whole pool's, and a worker that has none left takes another's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::types::limits::PASSED_OVER_MAX;

/// Free connections `T`, and the ways `W` to tell those who wait.
#[derive(Debug)]
pub struct Shelf<T, W> {
    state: Mutex<State<T, W>>,
}

#[derive(Debug)]
struct State<T, W> {
    size_max: usize,
    workers: Vec<Worker<T, W>>,
    /// Connections that exist or are being made.
    open: usize,
    waiting: usize,
    next_ticket: u64,
    /// Times in a row that who has waited longest was passed over for somebody on the giver's worker.
    passed_over: u32,
    /// Connections made before this are too old. Set at intervals, so that giving back reads no clock.
    oldest: Option<Instant>,
    closed: bool,
}

#[derive(Debug)]
struct Worker<T, W> {
    free: Vec<Free<T>>,
    waiting: VecDeque<Waiting<W>>,
}

#[derive(Debug)]
struct Free<T> {
    item: T,
    created: Instant,
    /// The first time that [`Shelf::sweep`] found it here.
    since: Option<Instant>,
}

#[derive(Debug)]
struct Waiting<W> {
    ticket: u64,
    way: W,
}

/// What somebody who wants a connection gets.
#[derive(Debug)]
pub enum Next<T> {
    Free(T),
    /// The right to make one: [`Shelf::end`] gives it back.
    Open,
    /// Its turn will come.
    Wait,
    Closed,
}

/// What becomes of a connection that comes back.
#[derive(Debug)]
pub enum Back<T, W> {
    Kept,
    /// It goes to this one at once.
    For(W, T),
    /// It is to be closed, and its end told.
    Unwanted(T),
}

impl<T, W> Shelf<T, W> {
    pub fn new(size_max: usize) -> Self {
        let state = State {
            size_max,
            workers: Vec::new(),
            open: 0,
            waiting: 0,
            next_ticket: 0,
            passed_over: 0,
            oldest: None,
            closed: false,
        };
        Self { state: Mutex::new(state) }
    }

    #[inline]
    fn state(&self) -> MutexGuard<'_, State<T, W>> {
        self.state.lock()
    }

    /// One that is free on that worker.
    #[inline]
    pub fn take_here(&self, worker: usize) -> Option<T> {
        self.state().workers.get_mut(worker)?.free.pop().map(|free| free.item)
    }

    /// A particular one, if it is free.
    pub fn take_that(&self, is_it: impl Fn(&T) -> bool) -> Option<T> {
        self.state().workers.iter_mut().find_map(|worker| {
            let at = worker.free.iter().rposition(|free| is_it(&free.item))?;
            Some(worker.free.remove(at).item)
        })
    }

    /// One that is free anywhere, the right to make one, or a place in the queue. `enqueue` makes the way to be
    /// told; `has_left` says which of those who wait don't any more.
    pub fn take_or_wait(&self, worker: usize, enqueue: impl FnOnce() -> W, has_left: impl Fn(&W) -> bool) -> Next<T> {
        let mut state = self.state();
        let state = &mut *state;
        if state.closed {
            return Next::Closed;
        }
        let own = state.worker(worker).free.pop();
        if let Some(free) = own.or_else(|| state.workers.iter_mut().find_map(|other| other.free.pop())) {
            return Next::Free(free.item);
        }
        if state.open < state.size_max {
            state.open += 1;
            return Next::Open;
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let queue = &mut state.worker(worker).waiting;
        let before = queue.len();
        // All wait equally long at most: those who gave up are in front.
        while queue.front().is_some_and(|first| has_left(&first.way)) {
            queue.pop_front();
        }
        queue.push_back(Waiting { ticket, way: enqueue() });
        let after = queue.len();
        state.waiting = state.waiting + after - before;
        Next::Wait
    }

    /// A connection, made at `created`, whose socket `worker` watches, is free.
    #[inline]
    pub fn put(&self, item: T, worker: usize, created: Instant) -> Back<T, W> {
        let mut state = self.state();
        let surplus = state.open > state.size_max;
        if surplus || state.closed || state.oldest.is_some_and(|oldest| created < oldest) {
            return Back::Unwanted(item);
        }
        if state.waiting > 0
            && let Some(way) = state.next_waiting(worker)
        {
            return Back::For(way, item);
        }
        state.worker(worker).free.push(Free { item, created, since: None });
        Back::Kept
    }

    /// A connection, or the right to make one, is no more. Whoever is returned has the right now.
    pub fn end(&self, worker: usize) -> Option<W> {
        let mut state = self.state();
        let surplus = state.open > state.size_max;
        let next = if state.closed || surplus { None } else { state.next_waiting(worker) };
        if next.is_none() {
            state.open -= 1;
        }
        next
    }

    /// How many there may be from now on: those that are too many end when they come back. Whoever is returned has
    /// the right to make one.
    pub fn resize(&self, size_max: usize) -> Vec<W> {
        let mut state = self.state();
        state.size_max = size_max;
        let mut granted = Vec::new();
        while !state.closed
            && state.open < size_max
            && let Some(way) = state.next_waiting(0)
        {
            state.open += 1;
            granted.push(way);
        }
        granted
    }

    /// Called at intervals: takes off what was free for `idle_max` or exists for `lifetime_max`, or fails `is_good`.
    /// Their ends are to be told.
    pub fn sweep(&self, idle_max: Duration, lifetime_max: Duration, is_good: impl Fn(&T) -> bool) -> Vec<T> {
        let now = Instant::now();
        let mut state = self.state();
        state.oldest = now.checked_sub(lifetime_max);
        let mut swept = Vec::new();
        for worker in &mut state.workers {
            for mut free in std::mem::take(&mut worker.free) {
                let since = *free.since.get_or_insert(now);
                let old = now.duration_since(since) >= idle_max || free.created.elapsed() >= lifetime_max;
                if old || !is_good(&free.item) {
                    swept.push(free.item);
                } else {
                    worker.free.push(free);
                }
            }
        }
        swept
    }

    /// Takes off all that are free.
    pub fn shed(&self) -> Vec<T> {
        let mut state = self.state();
        state.workers.iter_mut().flat_map(|worker| std::mem::take(&mut worker.free)).map(|free| free.item).collect()
    }

    /// From now on nothing is given out. Those who wait are told by their ways being dropped.
    pub fn close(&self) -> Vec<T> {
        let mut state = self.state();
        state.closed = true;
        state.waiting = 0;
        let queues: Vec<_> = state.workers.iter_mut().map(|worker| std::mem::take(&mut worker.waiting)).collect();
        drop(state);
        drop(queues);
        self.shed()
    }

    /// Connections open, those of them that are free, and clients waiting.
    pub fn counts(&self) -> (usize, usize, usize) {
        let state = self.state();
        (state.open, state.workers.iter().map(|worker| worker.free.len()).sum(), state.waiting)
    }
}

impl<T, W> State<T, W> {
    fn worker(&mut self, number: usize) -> &mut Worker<T, W> {
        while self.workers.len() <= number {
            self.workers.push(Worker { free: Vec::new(), waiting: VecDeque::new() });
        }
        self.workers.get_mut(number).expect("made above")
    }

    /// First come, first served, but for this: somebody on the giver's own worker, who saves the connection's
    /// move to another, may go first a bounded number of times.
    fn next_waiting(&mut self, worker: usize) -> Option<W> {
        let first_of = |worker: &Worker<T, W>| worker.waiting.front().map(|waiting| waiting.ticket);
        let (oldest, ticket) = self
            .workers
            .iter()
            .enumerate()
            .filter_map(|(number, worker)| Some((number, first_of(worker)?)))
            .min_by_key(|(_, ticket)| *ticket)?;
        let own = self.workers.get(worker).and_then(first_of);
        let served = match own {
            Some(own) if own != ticket && self.passed_over < PASSED_OVER_MAX => {
                self.passed_over += 1;
                worker
            }
            _ => {
                self.passed_over = 0;
                oldest
            }
        };
        let next = self.workers.get_mut(served)?.waiting.pop_front()?;
        self.waiting -= 1;
        Some(next.way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn wait(shelf: &Shelf<u8, char>, worker: usize, name: char) {
        assert!(matches!(shelf.take_or_wait(worker, || name, |_| false), Next::Wait));
    }

    fn full(size: usize) -> Shelf<u8, char> {
        let shelf = Shelf::new(size);
        for _ in 0..size {
            assert!(matches!(shelf.take_or_wait(0, || ' ', |_| false), Next::Open));
        }
        shelf
    }

    fn served(back: Back<u8, char>) -> char {
        let Back::For(name, _) = back else { panic!("somebody waits: {back:?}") };
        name
    }

    #[test]
    fn the_bound_is_the_whole_pools_and_those_who_wait_are_served_in_order() {
        let shelf = full(2);
        for name in ['a', 'b', 'c'] {
            wait(&shelf, 0, name);
        }
        assert_eq!(shelf.counts(), (2, 0, 3));
        let now = Instant::now();
        assert_eq!(served(shelf.put(1, 0, now)), 'a');
        // A connection that ended leaves its place to the next.
        assert_eq!(shelf.end(0), Some('b'));
        assert_eq!(served(shelf.put(2, 0, now)), 'c');
        assert!(matches!(shelf.put(1, 0, now), Back::Kept));
        assert_eq!(shelf.end(0), None);
        assert_eq!(shelf.counts(), (1, 1, 0));
    }

    #[test]
    fn a_worker_takes_its_own_first_and_another_s_before_a_new_one() {
        let shelf = full(3);
        let now = Instant::now();
        for (item, worker) in [(1, 0), (2, 1), (3, 1)] {
            assert!(matches!(shelf.put(item, worker, now), Back::Kept));
        }
        assert_eq!(shelf.take_here(1), Some(3));
        assert_eq!(shelf.take_here(1), Some(2));
        assert_eq!(shelf.take_here(1), None);
        assert!(matches!(shelf.take_or_wait(1, || ' ', |_| false), Next::Free(1)));
        wait(&shelf, 1, 'a');
    }

    #[test]
    fn nobody_is_passed_over_for_long() {
        let shelf = full(1);
        let now = Instant::now();
        wait(&shelf, 1, 'x');
        let mut passed = 0;
        loop {
            wait(&shelf, 0, 'y');
            match served(shelf.put(1, 0, now)) {
                'x' => break,
                _ => passed += 1,
            }
        }
        assert_eq!(passed, PASSED_OVER_MAX);
    }

    #[test]
    fn those_who_gave_up_leave_the_queue() {
        let shelf = full(1);
        for name in ['a', 'b', 'c'] {
            wait(&shelf, 0, name);
        }
        assert!(matches!(shelf.take_or_wait(0, || 'd', |name| *name != 'c'), Next::Wait));
        assert_eq!(shelf.counts().2, 2);
        assert_eq!(served(shelf.put(1, 0, Instant::now())), 'c');
    }

    #[test]
    fn what_is_idle_or_old_is_swept_and_not_taken_back() {
        let shelf = full(2);
        let now = Instant::now();
        assert!(matches!(shelf.put(1, 0, now), Back::Kept));
        assert!(shelf.sweep(LONG, LONG, |_| true).is_empty());
        assert_eq!(shelf.sweep(Duration::ZERO, LONG, |_| true), [1]);
        assert_eq!(shelf.end(0), None);
        std::thread::sleep(Duration::from_millis(2));
        assert!(shelf.sweep(LONG, Duration::from_millis(1), |_| true).is_empty());
        assert!(matches!(shelf.put(2, 0, now), Back::Unwanted(2)));
    }

    #[test]
    fn a_pool_that_grows_serves_who_waits_and_one_that_shrinks_takes_nothing_back() {
        let shelf = full(2);
        for name in ['a', 'b', 'c'] {
            assert!(matches!(shelf.take_or_wait(0, || name, |_| false), Next::Wait));
        }
        assert_eq!(shelf.resize(4), ['a', 'b']);
        assert_eq!(shelf.counts(), (4, 0, 1));
        assert!(shelf.resize(2).is_empty());
        for item in [1, 2] {
            assert!(matches!(shelf.put(item, 0, Instant::now()), Back::Unwanted(_)));
            assert_eq!(shelf.end(0), None);
        }
        assert_eq!(served(shelf.put(3, 0, Instant::now())), 'c');
    }

    #[test]
    fn a_closed_pool_gives_nothing_out() {
        let shelf = full(2);
        assert!(matches!(shelf.put(1, 0, Instant::now()), Back::Kept));
        assert_eq!(shelf.close(), [1]);
        assert!(matches!(shelf.take_or_wait(0, || ' ', |_| false), Next::Closed));
        assert!(matches!(shelf.put(2, 0, Instant::now()), Back::Unwanted(2)));
        assert_eq!(shelf.end(0), None);
    }
}
