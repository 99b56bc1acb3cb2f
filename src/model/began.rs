//! When a run began, as people are shown it while clocks are set (K-10).
//!
//! How long it has lasted is told by the clock that cannot be set. As long as nobody sets the other one, all is as in the
//! original, to the second; the two are read one after the other, and so may differ in when a second begins.

use crate::clock::{Mono, Now};

/// Seconds by which the wall clock may be off before it counts as set: that of when a second begins.
const SAME_SECS: i64 = 1;

/// The same before the moment itself is moved: what a clock is set by in passing need not change what clients remember.
const MOVED_SECS: i64 = 60;

/// The beginning of a run that lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    /// By the clock that cannot be set.
    pub at: Mono,
    /// Whole seconds since the epoch, by the wall clock of then.
    pub wall_secs: i64,
}

impl Began {
    /// The beginning as the wall clock of now would have told it.
    fn by_clock_of(self, now: Now) -> i64 {
        let lasted = i128::try_from(now.mono.since(self.at).as_nanos()).unwrap_or(i128::MAX);
        let began = (i128::from(now.wall.0) - lasted).div_euclid(1_000_000_000);
        i64::try_from(began).unwrap_or(i64::MIN)
    }

    fn unless_set_by(self, least_secs: i64, now: Now) -> i64 {
        let moved = self.by_clock_of(now);
        if (moved - self.wall_secs).abs() <= least_secs { self.wall_secs } else { moved }
    }

    /// What `start` is, in seconds since the epoch: moved along if the clock was set by more than a minute.
    pub fn shown_secs(self, now: Now) -> i64 {
        self.unless_set_by(MOVED_SECS, now)
    }

    /// The beginning from which the clock of now counts the seconds that it has lasted.
    pub fn exact_secs(self, now: Now) -> i64 {
        self.unless_set_by(SAME_SECS, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;

    #[test]
    fn a_clock_that_is_set_moves_the_start_and_not_the_uptime() {
        const SECOND: i64 = 1_000_000_000;
        // Started at 1000.7 by the wall clock, 50.2 by the other.
        let began = Began { at: Mono(50_200_000_000), wall_secs: 1000 };
        // (nanoseconds since, seconds by which the clock is set meanwhile, uptime, start)
        let rows = [
            (0, 0, 0, 1000),
            // As the original: whole seconds of the wall clock are subtracted.
            (300_000_000, 0, 1, 1000),
            (9 * SECOND, 0, 9, 1000),
            (9_300_000_000, 0, 10, 1000),
            // Read a little later than the other.
            (9_300_000_000, 1, 11, 1000),
            (9 * SECOND, 5, 9, 1000),
            (9 * SECOND, -5, 9, 1000),
            (9 * SECOND, 60, 9, 1000),
            (9 * SECOND, 61, 9, 1061),
            (9 * SECOND, -61, 9, 939),
            (9_300_000_000, 1_700_000_000, 10, 1_700_001_000),
            (9_299_999_999, 1_700_000_000, 9, 1_700_001_000),
            (5000 * SECOND, -1500, 5000, -500),
        ];
        for (nanos, set, uptime, start) in rows {
            let wall = 1_000_700_000_000 + nanos + set * SECOND;
            let now = Now { mono: Mono(50_200_000_000 + nanos as u64), wall: Wall(wall as u64) };
            let got = (now.wall.secs() - began.exact_secs(now), began.shown_secs(now));
            assert_eq!(got, (uptime, start), "after {nanos} ns, set by {set} s");
        }
    }
}
