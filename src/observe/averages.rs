//! What happened in the last full minute, as PgBouncer's averages are: for SHOW STATS, whose readers expect them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::database::Total;

/// PgBouncer's stats_period.
const PERIOD: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Averages {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    at: Instant,
    totals: [u64; Total::COUNT],
    last: [u64; Total::COUNT],
    last_took: Duration,
}

impl Default for Averages {
    fn default() -> Self {
        let nothing = [0; Total::COUNT];
        let state = State { at: Instant::now(), totals: nothing, last: nothing, last_took: PERIOD };
        Self { state: Mutex::new(state) }
    }
}

impl Averages {
    /// Called at intervals with the totals of now.
    pub fn tick(&self, totals: [u64; Total::COUNT]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let took = state.at.elapsed();
        if took >= PERIOD {
            state.last = std::array::from_fn(|at| totals[at].saturating_sub(state.totals[at]));
            (state.totals, state.at, state.last_took) = (totals, Instant::now(), took);
        }
    }

    /// The amount of the last period, and in how many seconds.
    pub fn last(&self, total: Total) -> (u64, f64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.last[total as usize], state.last_took.as_secs_f64())
    }
}
