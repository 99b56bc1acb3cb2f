//! The time, taken once per wake-up by the reactor and passed down.

use std::time::Duration;

/// A moment on two clocks: decide by `mono`, show `wall`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic clock; only differences mean anything.
    pub mono: Mono,
    /// Wall clock, since the epoch. It may step in both directions.
    pub wall: Wall,
}

/// A point on the monotonic clock, in nanoseconds since some fixed moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

/// A point on the wall clock, in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(pub u64);

impl Mono {
    /// The moment `span` later; saturates.
    pub fn after(self, span: Duration) -> Mono {
        Mono(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time passed since `earlier`; zero when `earlier` is in the future.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The earliest of these deadlines; `None` is never. Every turn asks for it, and this compiles to a few comparisons.
pub fn earliest(deadlines: &[Option<Mono>]) -> Option<Mono> {
    let never = Mono(u64::MAX);
    let first = deadlines.iter().fold(never, |first, at| first.min(at.unwrap_or(never)));
    (first < never).then_some(first)
}

impl Wall {
    /// Whole seconds since the epoch.
    pub fn secs(self) -> i64 {
        (self.0 / 1_000_000_000) as i64
    }

    /// Milliseconds within the second, 0 to 999.
    pub fn millis(self) -> u32 {
        ((self.0 / 1_000_000) % 1000) as u32
    }
}
