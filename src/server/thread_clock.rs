//! How much CPU time a worker's thread has used. In: what the system says of the thread; elsewhere than on Linux, how
//! long its runtime was busy, which counts waiting for a CPU as well. Out: a duration that only grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use tokio::runtime::RuntimeMetrics;

pub(super) struct ThreadClock {
    runtime: RuntimeMetrics,
    thread: Arc<AtomicI32>,
}

/// For the thread itself.
pub(super) struct Thread(Arc<AtomicI32>);

impl ThreadClock {
    pub(super) fn new(runtime: RuntimeMetrics) -> Self {
        Self { runtime, thread: Arc::default() }
    }

    pub(super) fn thread(&self) -> Thread {
        Thread(Arc::clone(&self.thread))
    }

    pub(super) fn used(&self) -> Duration {
        self.on_cpu().unwrap_or_else(|| self.runtime.worker_total_busy_duration(0))
    }

    /// The first field of schedstat: nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst of Linux).
    fn on_cpu(&self) -> Option<Duration> {
        let thread = Some(self.thread.load(Ordering::Relaxed)).filter(|thread| *thread != 0)?;
        let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    }
}

impl Thread {
    /// Called on the thread.
    pub(super) fn enter(&self) {
        #[cfg(target_os = "linux")]
        self.0.store(nix::unistd::gettid().as_raw(), Ordering::Relaxed);
    }
}
