//! How many workers are in use, and which sessions go from one to another. In: how busy the workers' threads were and
//! how many sessions did something, at intervals. Out: the number in use, and what each worker's sessions are asked for.
//!
//! A thread that serves many clients each time it wakes up takes much less of the CPU than several that each serve few
//! and wake each other's CPUs up: one more is used only when those that are have little time left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use crate::net::timer::sleep;
use crate::transaction::failpoint;
use crate::types::limits::{BALANCE_INTERVAL, BALANCE_INTERVAL_MAX, CALM_INTERVALS};

/// Parts of its time that a worker may be busy before another one is used: statements wait for each other twice as
/// long as they take themselves at most, on average.
const BUSY: f64 = 0.7;
/// Parts of the time of those that would be left that all together take when one is given up.
const CALM: f64 = 0.4;

/// What a worker did in an interval.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Part of the time in which it was busy.
    load: f64,
    /// Sessions that did something.
    active: u32,
}

#[derive(Debug)]
struct Balance {
    in_use: usize,
    /// Intervals in a row in which one less would have done.
    calm: u32,
}

impl Balance {
    /// How many sessions of each worker are to go to another.
    fn decide(&mut self, seen: &[Seen]) -> Vec<u32> {
        let used = seen.get(..self.in_use).unwrap_or(seen);
        let busiest = used.iter().map(|one| one.load).fold(0.0, f64::max);
        let total: f64 = seen.iter().map(|one| one.load).sum();
        let is_calm = total < CALM * (self.in_use - 1) as f64;
        self.calm = if is_calm { self.calm + 1 } else { 0 };
        if busiest > BUSY && self.in_use < seen.len() {
            self.in_use += 1;
        } else if self.calm >= CALM_INTERVALS {
            self.in_use -= 1;
            self.calm = 0;
        }
        let active: u32 = seen.iter().map(|one| one.active).sum();
        let share = active.div_ceil(u32::try_from(self.in_use).unwrap_or(u32::MAX));
        let surplus = |(number, one): (usize, &Seen)| match number < self.in_use {
            // Those that are in nobody's way stay where their connections are.
            true if one.load < BUSY / 2.0 => 0,
            true => one.active.saturating_sub(share),
            false => one.active,
        };
        seen.iter().enumerate().map(surplus).collect()
    }
}

pub(super) async fn balance_workers(shared: Arc<Shared>) {
    let workers = shared.workers.all();
    if workers.len() < 2 {
        return;
    }
    let mut balance = Balance { in_use: 1, calm: 0 };
    let mut looked = Instant::now();
    let mut used: Vec<Duration> = workers.iter().map(super::workers::Worker::used).collect();
    let mut pause = BALANCE_INTERVAL;
    loop {
        sleep(pause).await;
        let active: Vec<u32> = workers.iter().map(|worker| worker.desk.begin_interval()).collect();
        if failpoint::moves_sessions() {
            shared.workers.use_first(workers.len());
            workers.iter().for_each(|worker| worker.desk.ask_to_leave(u32::MAX));
            continue;
        }
        if balance.in_use == 1 && active.iter().all(|active| *active == 0) {
            // Nobody did anything, most likely all night.
            pause = longer(pause);
            continue;
        }
        let interval = looked.elapsed();
        looked += interval;
        let seen = workers.iter().zip(&mut used).zip(active).map(|((worker, before), active)| {
            let now = worker.used();
            let load = now.saturating_sub(*before).as_secs_f64() / interval.as_secs_f64();
            *before = now;
            Seen { load, active }
        });
        let seen: Vec<Seen> = seen.collect();
        let before = balance.in_use;
        let surplus = balance.decide(&seen);
        let is_quiet = balance.in_use == 1 && seen.iter().all(|one| one.load < BUSY / 2.0);
        pause = if is_quiet { longer(pause) } else { BALANCE_INTERVAL };
        if before != balance.in_use {
            tracing::debug!(workers = balance.in_use, "workers in use");
            shared.workers.use_first(balance.in_use);
        }
        for (worker, surplus) in workers.iter().zip(surplus) {
            worker.desk.ask_to_leave(surplus);
        }
    }
}

fn longer(pause: Duration) -> Duration {
    (2 * pause).min(BALANCE_INTERVAL_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(all: &[(f64, u32)]) -> Vec<Seen> {
        all.iter().map(|&(load, active)| Seen { load, active }).collect()
    }

    #[test]
    fn another_worker_is_used_when_those_in_use_are_busy() {
        let mut balance = Balance { in_use: 1, calm: 0 };
        assert_eq!(balance.decide(&seen(&[(0.6, 16), (0.0, 0), (0.0, 0)])), [0, 0, 0]);
        assert_eq!(balance.decide(&seen(&[(0.9, 16), (0.0, 0), (0.0, 0)])), [8, 0, 0]);
        assert_eq!(balance.in_use, 2);
        assert_eq!(balance.decide(&seen(&[(0.6, 8), (0.6, 8), (0.0, 0)])), [0, 0, 0]);
        assert_eq!(balance.decide(&seen(&[(0.6, 9), (0.8, 9), (0.0, 0)])), [3, 3, 0]);
        assert_eq!(balance.in_use, 3);
        assert_eq!(balance.decide(&seen(&[(0.9, 9), (0.9, 9), (0.9, 9)])), [0, 0, 0]);
    }

    #[test]
    fn a_worker_is_given_up_when_all_have_been_calm_for_a_while() {
        let mut balance = Balance { in_use: 2, calm: 0 };
        for _ in 1..CALM_INTERVALS {
            assert_eq!(balance.decide(&seen(&[(0.1, 5), (0.1, 5)])), [0, 0]);
        }
        assert_eq!(balance.in_use, 2);
        assert_eq!(balance.decide(&seen(&[(0.3, 5), (0.3, 5)])), [0, 0]);
        for _ in 1..CALM_INTERVALS {
            balance.decide(&seen(&[(0.1, 5), (0.1, 5)]));
        }
        assert_eq!(balance.decide(&seen(&[(0.1, 5), (0.1, 5)])), [0, 5]);
        assert_eq!(balance.in_use, 1);
        // One that rested for long and wakes up there follows.
        assert_eq!(balance.decide(&seen(&[(0.1, 5), (0.0, 1)])), [0, 1]);
    }

    #[test]
    fn one_busy_session_stays_where_it_is() {
        let mut balance = Balance { in_use: 1, calm: 0 };
        assert_eq!(balance.decide(&seen(&[(0.9, 1), (0.0, 0)])), [0, 0]);
        assert_eq!(balance.decide(&seen(&[(0.9, 1), (0.0, 0)])), [0, 0]);
    }
}
