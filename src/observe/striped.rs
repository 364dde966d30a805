//! Counters that several threads add to without taking a cache line from each other.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// `N` counters in `S` copies; a thread adds to its own copy, a reader sums all of them. Sums are not a snapshot:
/// each counter is exact once nobody adds, and never goes down.
///
/// The first half of the copies belong to one thread each that runs sessions ([`count_alone`]), which adds without
/// locking the memory bus; the others are shared by all threads beyond.
#[derive(Debug)]
pub struct Striped<const N: usize, const S: usize> {
    stripes: [Stripe<N>; S],
}

/// Two cache lines apart, as the prefetcher fetches them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe<const N: usize>([AtomicU64; N]);

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// This thread counts much, from now to the end of the process: it gets a copy of its own, as long as there are some.
pub fn count_alone() {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NUMBER.set(NEXT.fetch_add(1, Ordering::Relaxed));
}

impl<const N: usize, const S: usize> Default for Striped<N, S> {
    fn default() -> Self {
        Self { stripes: std::array::from_fn(|_| Stripe(std::array::from_fn(|_| AtomicU64::new(0)))) }
    }
}

impl<const N: usize, const S: usize> Striped<N, S> {
    /// How many copies belong to a thread alone.
    const ALONE: usize = S / 2;

    #[inline]
    pub fn add<const M: usize>(&self, amounts: [(usize, u64); M]) {
        let number = NUMBER.get();
        if number < Self::ALONE {
            let own = &self.stripes[number].0;
            for (at, amount) in amounts {
                own[at].store(own[at].load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
            }
        } else {
            self.add_shared(number, amounts);
        }
    }

    fn add_shared<const M: usize>(&self, number: usize, amounts: [(usize, u64); M]) {
        let shared = &self.stripes[Self::ALONE + number % (S - Self::ALONE)].0;
        for (at, amount) in amounts {
            if amount > 0 {
                shared[at].fetch_add(amount, Ordering::Relaxed);
            }
        }
    }

    pub fn sum(&self, at: usize) -> u64 {
        self.stripes.iter().map(|stripe| stripe.0[at].load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_threads_add_is_all_there() {
        let counters = Striped::<2, 16>::default();
        std::thread::scope(|scope| {
            for thread in 0..20 {
                let counters = &counters;
                scope.spawn(move || {
                    if thread % 2 == 0 {
                        count_alone();
                    }
                    for _ in 0..1000 {
                        counters.add([(0, 1), (1, 3)]);
                    }
                });
            }
        });
        assert_eq!((counters.sum(0), counters.sum(1)), (20_000, 60_000));
    }
}
