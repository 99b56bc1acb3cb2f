//! When logs are rotated by the wall clock (K-9).
//!
//! Time is cut into periods: days and hours of local time, or so many seconds since the epoch. When the period is a later
//! one than the last seen, a rotation is due, however many were missed. A clock that jumps by more than an hour has not
//! shown that time went by, as on boards that learn the time some seconds after their start: then nothing is due, and
//! the period is what it is.

use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::config::RotateEvery;

/// A larger difference between both clocks is a jump.
const JUMP_MAX: i128 = 3600 * 1_000_000_000;

/// Longest sleep until a rotation, as the wall clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

const DAY: i64 = 86_400;
const HOUR: i64 = 3600;

/// The number of the period that a moment is in; `offset` is what local time is ahead of UTC then.
pub fn period(every: RotateEvery, secs: i64, offset: i64) -> i64 {
    match every {
        RotateEvery::Day => (secs + offset).div_euclid(DAY),
        RotateEvery::Hour => (secs + offset).div_euclid(HOUR),
        RotateEvery::Seconds(seconds) => secs.div_euclid(seconds.max(1)),
    }
}

/// When that period ends, in seconds since the epoch. When local time is changed that day, it is looked at again.
fn end_of(every: RotateEvery, period: i64, offset: i64) -> i64 {
    match every {
        RotateEvery::Day => (period + 1) * DAY - offset,
        RotateEvery::Hour => (period + 1) * HOUR - offset,
        RotateEvery::Seconds(seconds) => (period + 1) * seconds.max(1),
    }
}

/// Both clocks, as they were seen together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clocks(Option<Now>);

impl Clocks {
    /// Looks at both; whether the wall clock has jumped since the last time.
    pub fn jumped(&mut self, now: Now) -> bool {
        let Some(before) = self.0.replace(now) else { return false };
        let went = i128::from(now.mono.since(before.mono).as_nanos() as u64);
        (i128::from(now.wall.0) - i128::from(before.wall.0) - went).abs() > JUMP_MAX
    }
}

/// The rotations of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turnover {
    every: RotateEvery,
    period: i64,
}

impl Turnover {
    /// Turns over in each such period, from the one on that has begun.
    pub fn new(every: RotateEvery, secs: i64, offset: i64) -> Turnover {
        Turnover { every, period: period(every, secs, offset) }
    }

    /// Whether a rotation is due, which is told once. A clock set back by a little brings none.
    pub fn is_due(&mut self, secs: i64, offset: i64, has_jumped: bool) -> bool {
        let period = period(self.every, secs, offset);
        if has_jumped {
            self.period = period;
            return false;
        }
        let is_due = period > self.period;
        self.period = self.period.max(period);
        is_due
    }

    /// When to look again.
    pub fn deadline(&self, now: Now, offset: i64) -> Mono {
        let nanos = i128::from(end_of(self.every, self.period, offset)) * 1_000_000_000 - i128::from(now.wall.0);
        // Not before the next millisecond, so that it is past the boundary.
        let nanos = u64::try_from(nanos.max(0)).unwrap_or(u64::MAX).saturating_add(1_000_000);
        now.mono.after(Duration::from_nanos(nanos).min(SLEEP_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;

    fn at(mono: u64, wall: u64) -> Now {
        Now { mono: Mono(mono * 1_000_000_000), wall: Wall(wall * 1_000_000_000) }
    }

    #[test]
    fn a_new_period_is_due_once() {
        // (every, offset, seconds and whether that is due …)
        type Row<'a> = (RotateEvery, i64, i64, &'a [(i64, bool)]);
        let day = 86_400;
        let rows: &[Row] = &[
            (RotateEvery::Seconds(10), 0, 5, &[(9, false), (10, true), (11, false), (45, true), (49, false)]),
            (RotateEvery::Hour, 0, 100, &[(3599, false), (3600, true), (3700, false), (3 * 3600, true)]),
            (RotateEvery::Hour, 1800, 100, &[(1799, false), (1800, true), (3600, false)]),
            (RotateEvery::Day, 7200, 3 * day, &[(4 * day - 7201, false), (4 * day - 7200, true), (4 * day, false)]),
            (RotateEvery::Day, -3600, 3 * day + 3600, &[(4 * day, false), (4 * day + 3600, true)]),
            // Set back by some minutes, over the boundary and over it again.
            (RotateEvery::Hour, 0, 3590, &[(3601, true), (3400, false), (3602, false), (7200, true)]),
        ];
        for (every, offset, start, looks) in rows {
            let mut turnover = Turnover::new(*every, *start, *offset);
            for (secs, expected) in *looks {
                assert_eq!(turnover.is_due(*secs, *offset, false), *expected, "{every:?} {secs}");
            }
        }
    }

    #[test]
    fn a_clock_that_jumps_rotates_nothing() {
        let mut clocks = Clocks::default();
        assert!(!clocks.jumped(at(0, 5)));
        assert!(!clocks.jumped(at(90_000, 90_005)), "time that went by");
        assert!(!clocks.jumped(at(90_001, 93_600)), "an hour");
        assert!(clocks.jumped(at(90_002, 1_700_000_000)) && clocks.jumped(at(90_003, 5)));
        assert!(!clocks.jumped(at(90_004, 6)));
        let mut turnover = Turnover::new(RotateEvery::Day, 5, 0);
        assert!(!turnover.is_due(1_700_000_000, 0, true) && !turnover.is_due(1_700_000_001, 0, false));
        assert!(!turnover.is_due(5, 0, true) && turnover.is_due(90_000, 0, false), "from the new time on");
    }

    #[test]
    fn deadlines() {
        let turnover = Turnover::new(RotateEvery::Seconds(10), 5, 0);
        assert_eq!(turnover.deadline(at(100, 5), 0), Mono(105_001_000_000));
        assert_eq!(turnover.deadline(at(100, 15), 0), Mono(100_001_000_000), "at once");
        let turnover = Turnover::new(RotateEvery::Day, 5, 0);
        assert_eq!(turnover.deadline(at(100, 5), 0), at(3700, 0).mono, "an hour at most");
    }
}
