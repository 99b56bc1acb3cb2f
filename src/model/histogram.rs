//! How long something takes, counted by classes.

use std::time::Duration;

/// Upper bounds of the classes in microseconds: from what a turn takes at least to what nobody wants to see.
pub const BOUNDS_US: [u32; 9] = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000];

/// Counts of durations by class, and their sum.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: [u64; BOUNDS_US.len()],
    count: u64,
    sum_ns: u64,
}

impl Histogram {
    pub fn add(&mut self, time: Duration) {
        let micros = time.as_nanos().div_ceil(1000);
        if let Some(class) = BOUNDS_US.iter().position(|bound| micros <= u128::from(*bound)) {
            self.counts[class] += 1;
        }
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many of each class, without those above the last bound.
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        self.counts.iter().copied()
    }

    /// How many in all.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum in nanoseconds.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_in_its_class() {
        // Nanoseconds, and the class; `None` is above all.
        let rows = [(0, Some(0)), (100_000, Some(0)), (100_001, Some(1)), (250_000_000, Some(8)), (250_000_001, None)];
        for (nanos, class) in rows {
            let mut histogram = Histogram::default();
            histogram.add(Duration::from_nanos(nanos));
            assert_eq!(histogram.counts().position(|count| count == 1), class, "{nanos}");
            assert_eq!((histogram.count(), histogram.sum_ns()), (1, nanos), "{nanos}");
        }
    }
}
