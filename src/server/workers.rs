//! The threads that run sessions. Each has a runtime of its own: a session, its client's socket and, mostly, the
//! connections that it uses stay on one thread, so that nothing wakes across threads. The thread that serves is none
//! of them: it accepts, hands each client to the worker that has the fewest of those in use ([`super::balance`]), and
//! keeps the time for all ([`crate::net::timer`]).

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::courtesy;
use super::thread_clock::ThreadClock;
use super::{Serving, Shared, greet};
use crate::net::Stream;
use crate::net::reactor::{self, Reactor};
use crate::observe::{self, clock};
use crate::pool::worker::{self, Desk};
use crate::types::limits::GREET_WHILE_DRAINING_MAX;

pub(super) struct Workers {
    all: Vec<Worker>,
    /// The first so many are in use.
    in_use: AtomicUsize,
}

/// One of them, as the other threads see it.
#[derive(Default)]
pub(super) struct Worker {
    clients: AtomicUsize,
    started: OnceLock<Started>,
    pub desk: Arc<Desk>,
}

struct Started {
    sender: UnboundedSender<Message>,
    clock: ThreadClock,
}

enum Message {
    /// With the number of clients that there are with it.
    Client(Stream, usize),
    /// One that has left another worker.
    Session(Serving, Counted),
    Stop,
}

impl Workers {
    pub(super) fn new(count: usize) -> Self {
        let all = (0..count.max(1)).map(|_| Worker::default()).collect();
        Self { all, in_use: AtomicUsize::new(1) }
    }

    pub(super) fn all(&self) -> &[Worker] {
        &self.all
    }

    pub(super) fn use_first(&self, count: usize) {
        self.in_use.store(count, Ordering::Relaxed);
    }

    /// Of the first so many the one that has the fewest clients, leaving one out.
    fn least_busy(&self, among: usize, but: Option<usize>) -> usize {
        let all = self.all.iter().take(among).enumerate();
        let loads = all.map(|(number, worker)| (number, worker.clients.load(Ordering::Relaxed)));
        loads.filter(|(number, _)| Some(*number) != but).min_by_key(|(_, load)| *load).map_or(0, |(number, _)| number)
    }

    fn send(&self, number: usize, message: Message) -> Result<(), Message> {
        match self.all.get(number).and_then(|worker| worker.started.get()) {
            Some(started) => started.sender.send(message).map_err(|unsent| unsent.0),
            None => Err(message),
        }
    }

    fn count(&self, number: usize, came: bool) {
        if let Some(worker) = self.all.get(number) {
            let _ = if came {
                worker.clients.fetch_add(1, Ordering::Relaxed)
            } else {
                worker.clients.fetch_sub(1, Ordering::Relaxed)
            };
        }
    }
}

impl Worker {
    /// CPU time that it has used.
    pub(super) fn used(&self) -> Duration {
        self.started.get().map_or(Duration::ZERO, |started| started.clock.used())
    }
}

/// Of the thread that serves.
///
/// # Errors
/// Those of the system.
pub(super) fn serving_runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().on_thread_unpark(clock::expire).build()
}

fn before_wait() {
    courtesy::before_wait();
    ThreadClock::note();
}

/// Starts the workers.
///
/// # Errors
/// When the system gives no more threads.
pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Threads> {
    let (done, ended) = mpsc::channel();
    let mut senders = Vec::new();
    // What this thread itself borrows from pools is nobody else's.
    worker::enter(shared.workers.all.len(), None);
    for (number, own) in shared.workers.all.iter().enumerate() {
        let (sender, messages) = unbounded_channel();
        let (reactor, desk) = (Reactor::new()?, Arc::clone(&own.desk));
        let clock = ThreadClock::default();
        let thread = clock.clone();
        senders.push(sender.clone());
        // It is set once, here.
        let _ = own.started.set(Started { sender, clock });
        let (shared, done, serving) = (Arc::clone(shared), done.clone(), Handle::current());
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            thread.enter();
            worker::enter(number, Some(desk));
            observe::count_alone();
            // Of what needs tokio's own; timers too: see [`crate::net::timer`].
            let _entered = serving.enter();
            if let Err(error) = reactor.run(work(number, shared, messages), before_wait) {
                tracing::error!(%error, "a worker can't wait for its sockets");
            }
            // Nobody may be there to hear it any more.
            let _ = done.send(());
        })?;
    }
    Ok(Threads { workers: senders, ended })
}

async fn work(number: usize, shared: Arc<Shared>, mut messages: UnboundedReceiver<Message>) {
    loop {
        match messages.recv().await {
            Some(Message::Client(stream, clients)) => match stream.move_here() {
                Ok((stream, _)) => attend(&shared, number, stream, clients),
                Err(error) => {
                    tracing::warn!(%error, "a client could not be handed to its worker");
                    release(&shared, number);
                }
            },
            Some(Message::Session(session, counted)) => reactor::spawn(reside(session, counted)),
            Some(Message::Stop) | None => return,
        }
    }
}

pub(super) struct Threads {
    workers: Vec<UnboundedSender<Message>>,
    ended: mpsc::Receiver<()>,
}

impl Threads {
    /// Ends them, with what their sessions still do; one that hangs doesn't hold the exit up.
    pub(super) fn end(self, within: Duration) {
        let deadline = Instant::now() + within;
        for worker in &self.workers {
            // One that has ended already needs no telling.
            let _ = worker.send(Message::Stop);
        }
        for _ in &self.workers {
            if self.ended.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_err() {
                return;
            }
        }
    }
}

/// A client has come: it goes to the worker that has the fewest. One that will speak TLS stays there for good.
pub(super) fn assign(shared: &Arc<Shared>, stream: Stream, stays: bool) {
    let workers = &shared.workers;
    let among = if stays { workers.all.len() } else { workers.in_use.load(Ordering::Relaxed) };
    let number = workers.least_busy(among, None);
    let clients = shared.clients.fetch_add(1, Ordering::AcqRel) + 1;
    workers.count(number, true);
    if workers.send(number, Message::Client(stream, clients)).is_err() {
        release(shared, number);
    }
}

/// On the worker itself: serves the client to its end.
fn attend(shared: &Arc<Shared>, number: usize, stream: Stream, clients: usize) {
    let counted = Counted { shared: Arc::clone(shared), number };
    reactor::spawn(async move {
        let session = Box::pin(greet_unless_draining(&counted.shared, stream, clients)).await;
        if let Some(session) = session {
            // A task of its own: each that is within another one costs a little each time that it is polled.
            reactor::spawn(reside(session, counted));
        }
    });
}

/// Until it ends, or goes on on another worker.
async fn reside(mut session: Serving, mut counted: Counted) {
    loop {
        let leaves = poll_fn(|cx| match session.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending if worker::has_left() => Poll::Ready(true),
            Poll::Pending => Poll::Pending,
        });
        if !leaves.await {
            return;
        }
        let shared = Arc::clone(&counted.shared);
        let here = counted.number;
        let there = shared.workers.least_busy(shared.workers.in_use.load(Ordering::Relaxed), Some(here));
        tracing::debug!(from = here, to = there, "a client goes to another worker");
        counted.move_to(there);
        match shared.workers.send(there, Message::Session(session, counted)) {
            Err(Message::Session(own, count)) => (session, counted) = (own, count),
            _ => return,
        }
        // That one is about to end: everything is.
        counted.move_to(here);
    }
}

/// A drain waits for sessions, not for those who are on their way in, or who were refused and don't hang up:
/// a port that somebody opened and forgot would hold it up for as long as its limit.
async fn greet_unless_draining(shared: &Arc<Shared>, stream: Stream, clients: usize) -> Option<Serving> {
    let drained = async {
        shared.drain.begun().await;
        crate::net::timer::sleep(GREET_WHILE_DRAINING_MAX).await;
    };
    tokio::select! {
        session = greet(shared, stream, clients) => session,
        () = drained => None,
    }
}

/// One client in the counts of clients.
struct Counted {
    shared: Arc<Shared>,
    number: usize,
}

impl Counted {
    fn move_to(&mut self, number: usize) {
        self.shared.workers.count(self.number, false);
        self.shared.workers.count(number, true);
        self.number = number;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        release(&self.shared, self.number);
    }
}

fn release(shared: &Shared, number: usize) {
    shared.workers.count(number, false);
    shared.clients.fetch_sub(1, Ordering::AcqRel);
    shared.client_left.notify_waiters();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_spread() {
        let workers = Workers::new(3);
        for expected in [0, 1, 2, 0] {
            let number = workers.least_busy(3, None);
            assert_eq!(number, expected);
            workers.count(number, true);
        }
        assert_eq!(workers.least_busy(1, None), 0);
        assert_eq!(workers.least_busy(3, Some(1)), 2);
        workers.count(1, false);
        assert_eq!(workers.least_busy(3, None), 1);
    }
}
