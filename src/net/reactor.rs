//! What a worker's thread does: it polls the tasks that were woken, and waits for its sockets. In: futures, and sockets
//! that it is to watch. Out: their readiness, and the futures' progress. Doesn't know what either is for.
//!
//! tokio's own took more than a quarter of all instructions of a short statement: its driver, its tasks and its budgets are
//! made for much more than threads that each serve their own sockets. Everything of tokio's that needs no runtime of its own works
//! here as elsewhere: channels, locks, notifications, `select!`. What does need one (connecting, `tokio::spawn`, blocking
//! calls, timers) is another thread's, whose runtime is entered here.

mod source;
mod tasks;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll};

use self::source::Watch;
pub(super) use self::source::{Direction, Registration, register};
use self::tasks::Tasks;
pub use self::tasks::spawn;
use crate::types::limits::{EVENTS_MAX, TASKS_IN_A_ROW_MAX};

/// A thread's own. Made where mistakes can be told, then given to the thread.
pub struct Reactor {
    poll: Poll,
    events: Events,
    watch: Arc<Watch>,
}

impl Reactor {
    /// # Errors
    /// Those of the system.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let watch = Arc::new(Watch::new(poll.registry())?);
        Ok(Self { poll, events: Events::with_capacity(EVENTS_MAX), watch })
    }

    /// Polls `main`, and all that is spawned on this thread, until `main` is done; what is left of the others is dropped.
    /// `before_wait` is called whenever nothing is left to do.
    ///
    /// # Errors
    /// Those of the system when it is asked what has become ready.
    pub fn run(mut self, main: impl Future<Output = ()> + 'static, before_wait: fn()) -> io::Result<()> {
        let mut tasks = Tasks::begin(&self.watch, main);
        let outcome = loop {
            tasks.run(TASKS_IN_A_ROW_MAX);
            if tasks.is_done() {
                break Ok(());
            }
            let waits = !tasks.has_work();
            if waits {
                before_wait();
            }
            // Whoever woke somebody since then has woken this thread as well.
            if let Err(error) = self.turn(if waits { None } else { Some(Duration::ZERO) }) {
                break Err(error);
            }
        };
        tasks.end();
        outcome
    }

    fn turn(&mut self, within: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, within) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        self.watch.tell(&self.events);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
