//! Which of the process's workers runs on this thread. Each has a runtime of its own, so that a connection is
//! cheapest on the worker whose runtime watches its socket. Doesn't know what workers do, or who decides that a session
//! is to go to another one.

use std::cell::{Cell, OnceCell};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

thread_local! {
    static HERE: Cell<usize> = const { Cell::new(0) };
    static DESK: OnceCell<Arc<Desk>> = const { OnceCell::new() };
    static LEAVES: Cell<bool> = const { Cell::new(false) };
    static RESTED: Cell<u32> = const { Cell::new(0) };
}

/// What a worker says of itself, and is asked for, at intervals.
#[derive(Debug, Default)]
pub struct Desk {
    interval: AtomicU32,
    /// Sessions that came to rest in this interval.
    active: AtomicU32,
    /// How many of them are to go elsewhere.
    surplus: AtomicU32,
}

impl Desk {
    /// How many sessions did something since this was called last.
    pub fn begin_interval(&self) -> u32 {
        self.interval.fetch_add(1, Ordering::Relaxed);
        self.active.swap(0, Ordering::Relaxed)
    }

    /// So many of those that come to rest now are to go to another worker.
    pub fn ask_to_leave(&self, surplus: u32) {
        self.surplus.store(surplus, Ordering::Relaxed);
    }
}

/// This thread is the worker of that number from now on.
pub fn enter(number: usize, desk: Option<Arc<Desk>>) {
    HERE.set(number);
    if let Some(desk) = desk {
        // A thread becomes a worker once.
        let _ = DESK.with(|own| own.set(desk));
    }
}

/// 0 on threads that are none: they use what the first worker has.
#[inline]
pub fn here() -> usize {
    HERE.get()
}

/// A session comes to rest here; `seen` is the last interval in which it did. True: it had better go elsewhere.
#[inline]
pub fn is_crowded(seen: &mut u32) -> bool {
    RESTED.set(RESTED.get().saturating_add(1));
    DESK.with(|desk| {
        let Some(desk) = desk.get() else { return false };
        let interval = desk.interval.load(Ordering::Relaxed);
        if *seen != interval {
            *seen = interval;
            desk.active.fetch_add(1, Ordering::Relaxed);
        }
        desk.surplus.load(Ordering::Relaxed) > 0
    })
}

/// How often a session has come to rest on this thread since this was asked last.
#[inline]
pub fn take_rested() -> u32 {
    RESTED.take()
}

/// Begins on one worker and ends on another, if whoever polls the task looks at [`has_left`] each time.
pub async fn leave() {
    let mut asked = false;
    poll_fn(|_| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        LEAVES.set(true);
        Poll::Pending
    })
    .await;
}

/// If the session that was just polled on this thread is to be polled on another from now on.
#[inline]
pub fn has_left() -> bool {
    let left = LEAVES.take();
    if left {
        DESK.with(|desk| {
            let surplus = desk.get().map(|desk| &desk.surplus);
            // None are left if it was just asked for fewer.
            let _ = surplus.map(|left| left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)));
        });
    }
    left
}
