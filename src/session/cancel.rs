//! Cancel requests: which backends work for which client right now. A cancel reaches exactly those:
//! a backend leaves its client only when no cancel is on its way to it any more.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering, fence};
use std::task::Waker;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::pool::connect::send_cancel;
use crate::pool::{Backend, BackendKey};
use crate::types::limits::{CANCEL_WAIT_MAX, KILL_REPEAT_AFTER, KILL_REPEATS_MAX, SYSTEM_PROCESS_ID_MAX};
use crate::types::{ClientError, SqlState};

/// The backends of one client.
#[derive(Debug, Default)]
pub struct Cancellable {
    targets: Mutex<Targets>,
    done: Notify,
    /// Of the session's task, while it waits for its client.
    resting: Mutex<Option<Waker>>,
    /// For a session that waits for something else than a server.
    interrupt: Notify,
    /// Why the session is to end, if it is: see [`Ending`].
    ending: AtomicU8,
    /// As what its client knows itself.
    process_id: AtomicU32,
    /// Statements that are found to take too long, and whose cancels are on their way.
    timing_out: AtomicU32,
}

/// Why a session is ended from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// An administrator says so.
    Killed = 1,
    /// It has rested for too long.
    Idle = 2,
    /// The same within a transaction.
    IdleInTransaction = 3,
}

#[derive(Debug, Default)]
struct Targets {
    backends: Vec<Arc<BackendKey>>,
    /// Cancels on their way.
    under_way: usize,
}

impl Cancellable {
    /// [`CancelKeys::wake_all`] wakes the task from now on. Ask afterwards for what it would be woken for.
    pub fn rest(&self, waker: &Waker) {
        let mut resting = self.resting.lock();
        match &mut *resting {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn wake(&self) {
        let resting = self.resting.lock();
        if let Some(waker) = &*resting {
            waker.wake_by_ref();
        }
    }

    pub fn add(&self, backend: &Backend) {
        backend.key.note_client(self.process_id.load(Ordering::Relaxed));
        let mut targets = self.targets.lock();
        if self.ending() == Some(Ending::Killed) {
            // [`Self::kill`] came too early to find it; it insists.
            backend.key.set_ended();
        }
        targets.backends.push(Arc::clone(&backend.key));
    }

    /// No further cancel reaches any backend. False while some are under way: [`Self::clear`] waits for them.
    pub fn try_clear(&self) -> bool {
        let mut targets = self.targets.lock();
        targets.backends.clear();
        targets.under_way == 0
    }

    /// No further cancel reaches any backend; waits for those under way.
    pub async fn clear(&self) {
        loop {
            let notified = self.done.notified();
            if self.try_clear() {
                return;
            }
            notified.await;
        }
    }

    /// The session is to end: now if it rests, otherwise once what runs has been cancelled.
    pub async fn kill(self: &Arc<Self>) {
        self.ending.store(Ending::Killed as u8, Ordering::Release);
        // Under the lock: a connection that another client gets next is not among them any more.
        self.targets.lock().backends.iter().for_each(|backend| backend.set_ended());
        self.wake();
        self.cancel().await;
    }

    /// After [`Self::kill`]: a cancel that reaches a server before its statement does finds nothing to cancel, so it is
    /// repeated while the session still has a server at work.
    pub async fn insist(self: Arc<Self>) {
        for _ in 0..KILL_REPEATS_MAX {
            crate::net::timer::sleep(KILL_REPEAT_AFTER).await;
            if self.backends().is_empty() {
                return;
            }
            self.cancel().await;
        }
    }

    /// The session is to end unless something comes of its client before.
    pub fn end_resting(&self, why: Ending) {
        let _ = self.ending.compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire);
        self.wake();
    }

    /// The client rests anew: it hasn't been idle.
    pub fn begin_rest(&self) {
        if let Some(why @ (Ending::Idle | Ending::IdleInTransaction)) = self.ending() {
            let _ = self.ending.compare_exchange(why as u8, 0, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    pub fn ending(&self) -> Option<Ending> {
        [Ending::Killed, Ending::Idle, Ending::IdleInTransaction]
            .into_iter()
            .find(|why| *why as u8 == self.ending.load(Ordering::Acquire))
    }

    #[inline]
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire) != 0
    }

    /// What runs takes too long, if `still` says so now.
    pub async fn time_out(self: &Arc<Self>, still: impl Fn() -> bool) {
        // Before it is asked: a statement that begins after the answer waits until the cancel has arrived.
        self.timing_out.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let backends = self.backends();
        if still() {
            backends.iter().for_each(|backend| backend.set_timed_out());
            self.cancel().await;
        }
        self.timing_out.fetch_sub(1, Ordering::SeqCst);
        self.done.notify_waiters();
    }

    /// Waits for a cancel that is meant for the statement before: on a connection that the client keeps, it would hit
    /// the next one.
    pub async fn await_time_out(&self) {
        loop {
            let notified = self.done.notified();
            // Behind the note that a statement begins, which decides whether one takes too long.
            fence(Ordering::SeqCst);
            if self.timing_out.load(Ordering::SeqCst) == 0 {
                return;
            }
            notified.await;
        }
    }

    /// Waits for a cancel request, for a session that waits for something else than a server.
    pub async fn interrupted(&self) {
        self.interrupt.notified().await;
    }

    /// The connections that work for the client now.
    pub fn backends(&self) -> Vec<Arc<BackendKey>> {
        self.targets.lock().backends.clone()
    }

    /// Cancels what runs now, if anything does.
    pub async fn cancel(self: &Arc<Self>) {
        self.interrupt.notify_waiters();
        let backends = {
            let mut targets = self.targets.lock();
            if targets.backends.is_empty() {
                return;
            }
            targets.under_way += 1;
            targets.backends.clone()
        };
        let _under_way = UnderWay(self);
        for target in backends {
            let sent = send_cancel(&target.node.config, target.process_id, &target.secret_key);
            match crate::net::timer::timeout(CANCEL_WAIT_MAX, sent).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(node = %target.node.describe(), %error, "cancel was not delivered"),
                Err(_) => tracing::warn!(node = %target.node.describe(), "cancel took too long"),
            }
        }
    }
}

/// The last words to a session that ends.
pub(super) fn farewell(why: Option<Ending>) -> ClientError {
    match why {
        Some(Ending::Idle) => {
            ClientError::new(SqlState::IDLE_SESSION_TIMEOUT, "terminating connection due to idle-session timeout")
        }
        Some(Ending::IdleInTransaction) => ClientError::new(
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            "terminating connection due to idle-in-transaction timeout",
        ),
        Some(Ending::Killed) | None => {
            ClientError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
        }
    }
}

struct UnderWay<'a>(&'a Cancellable);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.targets.lock().under_way -= 1;
        self.0.done.notify_waiters();
    }
}

/// All clients by the keys they were given.
#[derive(Debug, Default)]
pub struct CancelKeys {
    clients: Mutex<HashMap<u32, Keyed>>,
}

#[derive(Debug)]
struct Keyed {
    secret: Vec<u8>,
    cancellable: Arc<Cancellable>,
}

impl CancelKeys {
    /// A new key: an unused process id and a random secret. Protocol 3.0 takes 4 bytes of secret, 3.2
    /// up to 256.
    pub fn register(&self, cancellable: Arc<Cancellable>, secret_bytes: usize) -> (u32, Vec<u8>) {
        let secret: Vec<u8> = (0..secret_bytes).map(|_| rand::random::<u8>()).collect();
        let mut clients = self.clients.lock();
        loop {
            // Drivers read it as a signed number and print it: positive ones look like process ids.
            let process_id = rand::random::<u32>() >> 1;
            if process_id > SYSTEM_PROCESS_ID_MAX && !clients.contains_key(&process_id) {
                cancellable.process_id.store(process_id, Ordering::Relaxed);
                clients.insert(process_id, Keyed { secret: secret.clone(), cancellable });
                return (process_id, secret);
            }
        }
    }

    /// Wakes every session that rests: each looks for itself whether it has to end.
    pub fn wake_all(&self) {
        let clients = self.clients.lock();
        clients.values().for_each(|keyed| keyed.cancellable.wake());
    }

    /// The client of that process id, for whoever may end or cancel it.
    pub fn of(&self, process_id: u32) -> Option<Arc<Cancellable>> {
        let clients = self.clients.lock();
        clients.get(&process_id).map(|keyed| Arc::clone(&keyed.cancellable))
    }

    pub fn forget(&self, process_id: u32) {
        self.clients.lock().remove(&process_id);
    }

    /// The client with that key; the secret is compared in full whatever its first bytes are.
    pub fn find(&self, process_id: u32, secret: &[u8]) -> Option<Arc<Cancellable>> {
        let clients = self.clients.lock();
        let client = clients.get(&process_id)?;
        let differing = client.secret.iter().zip(secret).fold(0, |all, (a, b)| all | (a ^ b));
        (client.secret.len() == secret.len() && differing == 0).then(|| Arc::clone(&client.cancellable))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_statement_waits_for_the_cancel_of_the_one_before() {
        let cancellable = Arc::new(Cancellable::default());
        let next = Arc::clone(&cancellable);
        let still = || {
            assert!(next.await_time_out().now_or_never().is_none(), "a cancel may be on its way");
            true
        };
        cancellable.time_out(still).await;
        assert!(cancellable.await_time_out().now_or_never().is_some());
    }
}
