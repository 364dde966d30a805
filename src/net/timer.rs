//! Waiting for a moment, as in `tokio::time`. In: durations and futures. Out: the same futures as there, but kept by
//! the one runtime that has a clock. The workers' runtimes have none: looking after one took each of them a third of
//! its own instructions, and ten looks at the system's clock for each statement. Everything that may run on a worker
//! waits by these functions; `tests/architecture.rs` knows no other user of `tokio::time`.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{EnterGuard, Handle};
pub use tokio::time::Instant;
use tokio::time::{Sleep, Timeout};

static KEEPER: OnceLock<Handle> = OnceLock::new();

/// Called once, by the runtime that keeps the time for all others. Without it each keeps its own.
pub fn keep_here() {
    // In a process with several servers, as in tests, the first one does.
    let _ = KEEPER.set(Handle::current());
}

/// Timers are registered with the runtime that is entered when they are made, whoever waits for them.
fn at_keeper() -> Option<EnterGuard<'static>> {
    KEEPER.get().map(Handle::enter)
}

pub fn sleep(duration: Duration) -> Sleep {
    let _keeper = at_keeper();
    tokio::time::sleep(duration)
}

pub fn sleep_until(deadline: Instant) -> Sleep {
    let _keeper = at_keeper();
    tokio::time::sleep_until(deadline)
}

pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    let _keeper = at_keeper();
    tokio::time::timeout(duration, future)
}

pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    let _keeper = at_keeper();
    tokio::time::timeout_at(deadline, future)
}
