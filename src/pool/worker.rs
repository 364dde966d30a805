//! Which of the process's workers runs on this thread. Each has a runtime of its own, so that a connection is
//! cheapest on the worker whose runtime watches its socket. Doesn't know what workers do.

use std::cell::Cell;

thread_local! {
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// This thread is the worker of that number from now on.
pub fn enter(number: usize) {
    HERE.set(number);
}

/// 0 on threads that are none: they use what the first worker has.
#[inline]
pub fn here() -> usize {
    HERE.get()
}
