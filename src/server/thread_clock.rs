//! How much CPU time a worker's thread has used. In: what the system says of the thread; elsewhere than on Linux only
//! the thread itself can ask, and does before it waits. Out: a duration that only grows.

use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::sync::atomic::AtomicI32 as Place;
#[cfg(not(target_os = "linux"))]
use std::sync::atomic::AtomicU64 as Place;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// On Linux the thread's number, elsewhere the nanoseconds that it has used.
#[derive(Clone, Default)]
pub(super) struct ThreadClock(Arc<Place>);

#[cfg(target_os = "linux")]
impl ThreadClock {
    /// The first field of schedstat: nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst of Linux).
    pub(super) fn used(&self) -> Duration {
        let thread = Some(self.0.load(Ordering::Relaxed)).filter(|thread| *thread != 0);
        let text =
            thread.and_then(|thread| std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok());
        let first = text.as_ref().and_then(|text| text.split_whitespace().next()?.parse().ok());
        first.map(Duration::from_nanos).unwrap_or_default()
    }

    /// Called on the thread.
    pub(super) fn enter(&self) {
        self.0.store(nix::unistd::gettid().as_raw(), Ordering::Relaxed);
    }

    /// Called on the thread before it waits.
    #[inline]
    pub(super) fn note() {}
}

#[cfg(not(target_os = "linux"))]
thread_local! {
    static OWN: std::cell::OnceCell<ThreadClock> = const { std::cell::OnceCell::new() };
}

#[cfg(not(target_os = "linux"))]
impl ThreadClock {
    pub(super) fn used(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Called on the thread.
    pub(super) fn enter(&self) {
        // A thread becomes a worker once.
        let _ = OWN.with(|own| own.set(self.clone()));
    }

    /// Called on the thread before it waits.
    pub(super) fn note() {
        let Ok(used) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID) else { return };
        let nanos =
            u64::try_from(used.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(used.tv_nsec()).unwrap_or(0);
        OWN.with(|own| own.get().map(|own| own.0.store(nanos, Ordering::Relaxed)));
    }
}
