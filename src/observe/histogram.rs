//! How long things took, in classes of fixed bounds.

use super::striped::Striped;

/// Upper bounds in microseconds, inclusive; what took longer is in a last class without a bound. From a statement
/// that the server has in memory to one that somebody gave up on.
pub const BOUNDS_MICROS: [u64; 18] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

const CLASSES: usize = BOUNDS_MICROS.len() + 1;
const SUM: usize = CLASSES;

#[derive(Debug, Default)]
pub struct Histogram {
    counters: Striped<{ CLASSES + 1 }, 8>,
}

/// What a histogram held when it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// How many fell into each class, the one without a bound last.
    pub counts: [u64; CLASSES],
    pub sum_nanos: u64,
}

/// A duration and its class, found once for all histograms that it goes into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Took {
    pub nanos: u64,
    class: usize,
}

impl Took {
    #[inline]
    pub fn of(nanos: u64) -> Self {
        // Most are short: the classes are looked through from the first.
        let class = BOUNDS_MICROS.iter().position(|&bound| nanos <= bound * 1_000).unwrap_or(BOUNDS_MICROS.len());
        Self { nanos, class }
    }
}

impl Histogram {
    #[inline]
    pub fn record(&self, took: Took) {
        self.counters.add([(took.class, 1), (SUM, took.nanos)]);
    }

    pub fn read(&self) -> Reading {
        let counts = std::array::from_fn(|class| self.counters.sum(class));
        Reading { counts, sum_nanos: self.counters.sum(SUM) }
    }
}

impl Reading {
    pub fn nothing() -> Self {
        Self { counts: [0; CLASSES], sum_nanos: 0 }
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.sum_nanos += other.sum_nanos;
    }

    pub fn seconds(&self) -> f64 {
        self.sum_nanos as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_class_that_it_doesn_t_exceed() {
        let histogram = Histogram::default();
        for micros in [0, 50, 51, 30_000_000, 30_000_001, 500_000_000] {
            histogram.record(Took::of(micros * 1_000));
        }
        let reading = histogram.read();
        assert_eq!(reading.count(), 6);
        assert_eq!(reading.counts[..2], [2, 1]);
        assert_eq!(reading.counts[CLASSES - 2..], [1, 2]);
        assert!((reading.seconds() - 560.000_102).abs() < 1e-6, "{}", reading.seconds());
    }
}
