//! What a worker does before it waits for the next event. In: that its runtime has nothing left to do, and how many
//! sessions it has served since it last waited. Out: the CPU, to whoever else on it can go on.
//!
//! Where the CPUs are all busy, those are servers that have a statement to answer and clients that have an answer to
//! read. A worker that sleeps is woken by the first one's message, takes the CPU back for that one alone, and sleeps
//! again; one that only lets the others go first finds what all of them have sent. Half of what a proxy costs is such
//! switches from one process to another.
//!
//! It isn't for nothing: the system takes who lets others go first for one that has had its share, and lets it wait for
//! whoever calculates. So only those do it that serve several sessions each time they wake up: what few are sent comes
//! alone anyway. Where nobody waits for the CPU, or somebody keeps it for long, it is done less often; both show in how
//! long it took.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::observe::clock;
use crate::pool::worker;
use crate::types::limits::{
    COURTESY_BRIEF, COURTESY_LONG, COURTESY_PAUSE_FIRST, COURTESY_PAUSE_MAX, COURTESY_SERVED_MIN_PERCENT,
    COURTESY_VAIN_MAX,
};

/// Of one session, in an average.
const PARTS: u32 = 1 << 12;
/// What an average is over, about.
const WAITS: u32 = 32;
/// What counts at most of one wait.
const SERVED_MAX: u32 = 64;

thread_local! {
    static OWN: Cell<Courtesy> = const { Cell::new(Courtesy::NEW) };
}

/// Called on the worker's thread.
pub(super) fn before_wait() {
    let mut own = OWN.get();
    if own.is_due(worker::take_rested()) {
        let began = Instant::now();
        std::thread::yield_now();
        own.took(began.elapsed());
    }
    OWN.set(own);
    clock::expire();
}

#[derive(Clone, Copy, Debug)]
struct Courtesy {
    /// Sessions served between two waits: a moving average, in [`PARTS`].
    served: u32,
    /// Waits before which nobody is let go first.
    skipped: u32,
    /// Times in a row that nobody wanted to, up to [`COURTESY_VAIN_MAX`].
    vain: u32,
    /// Waits to be skipped when somebody takes long the next time.
    pause: u32,
}

impl Courtesy {
    const NEW: Self = Self { served: 0, skipped: 0, vain: 0, pause: COURTESY_PAUSE_FIRST };

    fn is_due(&mut self, served: u32) -> bool {
        self.served = self.served - self.served / WAITS + served.min(SERVED_MAX) * (PARTS / WAITS);
        if self.served < COURTESY_SERVED_MIN_PERCENT * PARTS / 100 {
            return false;
        }
        if self.skipped > 0 {
            self.skipped -= 1;
            return false;
        }
        true
    }

    fn took(&mut self, took: Duration) {
        if took >= COURTESY_LONG {
            self.skipped = self.pause;
            self.pause = (self.pause * 2).min(COURTESY_PAUSE_MAX);
            return;
        }
        self.pause = COURTESY_PAUSE_FIRST;
        self.vain = if took < COURTESY_BRIEF { (self.vain + 1).min(COURTESY_VAIN_MAX) } else { 0 };
        self.skipped = if self.vain == COURTESY_VAIN_MAX { COURTESY_VAIN_MAX } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USEFUL: Duration = Duration::from_micros(30);

    /// One that has served many for a while.
    fn busy() -> Courtesy {
        Courtesy { served: 4 * PARTS, ..Courtesy::NEW }
    }

    /// How many of so many waits begin with letting others go first.
    fn tries(own: &mut Courtesy, waits: u32, took: Duration) -> u32 {
        let try_it = |own: &mut Courtesy| {
            let is_due = own.is_due(4);
            if is_due {
                own.took(took);
            }
            u32::from(is_due)
        };
        (0..waits).map(|_| try_it(own)).sum()
    }

    #[test]
    fn others_go_first_each_time_while_that_is_of_use() {
        assert_eq!(tries(&mut busy(), 100, USEFUL), 100);
    }

    #[test]
    fn where_nobody_wants_to_it_is_seldom_tried() {
        let mut own = busy();
        tries(&mut own, 100, Duration::ZERO);
        let rare = tries(&mut own, 900, Duration::ZERO);
        assert_eq!(rare, 900 / (COURTESY_VAIN_MAX + 1));
        // Somebody does: it is done each time at once.
        while !own.is_due(4) {}
        own.took(USEFUL);
        assert_eq!(tries(&mut own, 100, USEFUL), 100);
    }

    #[test]
    fn who_keeps_the_cpu_isn_t_let_in_again_soon() {
        let mut own = busy();
        let waits = 100 * COURTESY_PAUSE_MAX;
        let tried = tries(&mut own, waits, COURTESY_LONG);
        assert!((100..120).contains(&tried), "{tried}");
        // It has gone.
        while !own.is_due(4) {}
        own.took(USEFUL);
        assert_eq!(tries(&mut own, 100, USEFUL), 100);
    }

    #[test]
    fn who_serves_one_at_a_time_lets_nobody_go_first() {
        let mut own = Courtesy::NEW;
        // A request, an answer: each is waited for.
        assert!((0..1_000).all(|wait| !own.is_due(wait % 2)));
        while !own.is_due(2) {}
        assert_eq!(tries(&mut own, 100, USEFUL), 100);
        // Most have left.
        (0..1_000).for_each(|wait| _ = own.is_due(wait % 2));
        assert!(!own.is_due(1));
    }
}
