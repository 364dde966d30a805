//! The time, for figures, in nanoseconds since this process first asked. In: nothing. Out: numbers that only differ
//! meaningfully. A thread that serves many clients reads the system's clock once each time it has waited for
//! something: what it then does for all those who have something to do begins at that moment.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// So often the same reading is used: a thread that never has to wait must not stop the clock. What it does meanwhile
/// takes less than the finest class of [`super::BOUNDS_MICROS`] or so.
const USES_MAX: u32 = 8;

thread_local! {
    /// The last reading, and how often it may still be used.
    static READING: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

/// The time as of a few short steps ago, or when the thread last woke up.
#[inline]
pub fn recent_nanos() -> u64 {
    let (nanos, uses) = READING.get();
    if uses == 0 {
        return now_nanos();
    }
    READING.set((nanos, uses - 1));
    nanos
}

/// The time now.
pub fn now_nanos() -> u64 {
    static START: OnceLock<u64> = OnceLock::new();
    let system = system_nanos();
    let nanos = system.saturating_sub(*START.get_or_init(|| system));
    READING.set((nanos, USES_MAX));
    nanos
}

/// Half the instructions of [`std::time::Instant`], which takes seconds and nanoseconds apart and together again.
#[inline]
fn system_nanos() -> u64 {
    // Every system has this clock, and its readings are never negative.
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| (now.tv_sec() as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec() as u64))
}

/// The thread has waited for something.
pub fn expire() {
    READING.set((0, 0));
}

pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_used_until_the_thread_has_waited_or_a_few_times() {
        let first = now_nanos();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(recent_nanos(), first);
        expire();
        let second = recent_nanos();
        assert!(second >= first + 2_000_000);
        std::thread::sleep(Duration::from_millis(2));
        let uses = (0..1_000).take_while(|_| recent_nanos() == second).count();
        assert!(uses <= USES_MAX as usize, "{uses}");
        assert!(now_nanos() >= second + 2_000_000);
    }
}
