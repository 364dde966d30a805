//! PAUSE: while a database is paused, nobody begins anything on its servers.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Gate {
    paused: AtomicBool,
    resumed: Notify,
}

impl Gate {
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    pub fn close(&self) {
        self.paused.store(true, Ordering::Release);
    }

    /// False: it was open already.
    pub fn open(&self) -> bool {
        let was_paused = self.paused.swap(false, Ordering::AcqRel);
        self.resumed.notify_waiters();
        was_paused
    }

    /// Waits until the gate is open.
    pub async fn pass(&self) {
        loop {
            let resumed = self.resumed.notified();
            if !self.is_paused() {
                return;
            }
            resumed.await;
        }
    }
}
