//! The threads that run sessions. Each has a runtime of its own: a session, its client's socket and, mostly, the
//! connections that it uses stay on one thread, so that nothing wakes across threads. The thread that serves is none
//! of them: it accepts, hands each client to the worker that has the fewest, and keeps the time for all
//! ([`crate::net::timer`]).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Serving, Shared, greet};
use crate::net::Stream;
use crate::observe::{self, clock};
use crate::pool::worker;
use crate::types::limits::GREET_WHILE_DRAINING_MAX;

/// How many clients each worker has, and how those on other threads are reached.
pub(super) struct Workers {
    clients: Vec<AtomicUsize>,
    senders: OnceLock<Vec<UnboundedSender<Message>>>,
}

enum Message {
    /// With the number of clients that there are with it.
    Client(Stream, usize),
    Stop,
}

impl Workers {
    pub(super) fn new(count: usize) -> Self {
        Self { clients: (0..count.max(1)).map(|_| AtomicUsize::new(0)).collect(), senders: OnceLock::new() }
    }

    fn least_busy(&self) -> usize {
        let loads = self.clients.iter().map(|clients| clients.load(Ordering::Relaxed)).enumerate();
        loads.min_by_key(|&(_, load)| load).map_or(0, |(number, _)| number)
    }
}

/// Of the thread that serves.
///
/// # Errors
/// Those of the system.
pub(super) fn serving_runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().on_thread_unpark(clock::expire).build()
}

/// Without timers: see [`crate::net::timer`].
fn worker_runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_io().on_thread_unpark(clock::expire).build()
}

/// Starts the workers.
///
/// # Errors
/// When the system gives no more threads.
pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Threads> {
    let (done, ended) = mpsc::channel();
    let mut senders = Vec::new();
    // What this thread itself borrows from pools is nobody else's.
    worker::enter(shared.workers.clients.len());
    for number in 0..shared.workers.clients.len() {
        let (sender, messages) = unbounded_channel();
        senders.push(sender);
        let (runtime, shared, done) = (worker_runtime()?, Arc::clone(shared), done.clone());
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            worker::enter(number);
            observe::count_alone();
            runtime.block_on(work(number, &shared, messages));
            runtime.shutdown_background();
            // Nobody may be there to hear it any more.
            let _ = done.send(());
        })?;
    }
    let workers = senders.clone();
    // They are set once, here.
    let _ = shared.workers.senders.set(senders);
    Ok(Threads { workers, ended })
}

async fn work(number: usize, shared: &Arc<Shared>, mut messages: UnboundedReceiver<Message>) {
    while let Some(Message::Client(stream, clients)) = messages.recv().await {
        match stream.move_here() {
            Ok((stream, _)) => attend(shared, number, stream, clients),
            Err(error) => {
                tracing::warn!(%error, "a client could not be handed to its worker");
                release(shared, number);
            }
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

/// A client has come: it goes to the worker that has the fewest.
pub(super) fn assign(shared: &Arc<Shared>, stream: Stream) {
    let number = shared.workers.least_busy();
    let clients = shared.clients.fetch_add(1, Ordering::AcqRel) + 1;
    if let Some(own) = shared.workers.clients.get(number) {
        own.fetch_add(1, Ordering::Relaxed);
    }
    let worker = shared.workers.senders.get().and_then(|senders| senders.get(number));
    if worker.is_none_or(|worker| worker.send(Message::Client(stream, clients)).is_err()) {
        release(shared, number);
    }
}

/// On the worker itself: serves the client to its end.
fn attend(shared: &Arc<Shared>, number: usize, stream: Stream, clients: usize) {
    let counted = Counted { shared: Arc::clone(shared), number };
    tokio::spawn(async move {
        let shared = &counted.shared;
        if let Some(session) = Box::pin(greet_unless_draining(shared, stream, clients)).await {
            session.await;
        }
    });
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

impl Drop for Counted {
    fn drop(&mut self) {
        release(&self.shared, self.number);
    }
}

fn release(shared: &Shared, number: usize) {
    if let Some(clients) = shared.workers.clients.get(number) {
        clients.fetch_sub(1, Ordering::Relaxed);
    }
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
            let number = workers.least_busy();
            assert_eq!(number, expected);
            workers.clients[number].fetch_add(1, Ordering::Relaxed);
        }
        workers.clients[1].fetch_sub(1, Ordering::Relaxed);
        assert_eq!(workers.least_busy(), 1);
    }
}
