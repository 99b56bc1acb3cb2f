//! When a process is tried again, and when not (K-3).
//!
//! By default as in the original: after an exit at once, after the n-th failed start in a row n seconds later. A pause
//! holds between the end of a run and the next automatic start, after an exit too; a limit counts automatic starts in a
//! window of time. Starts by command know neither, and begin the count anew.

use std::time::Duration;

use crate::clock::Mono;
use crate::config::{Program, RestartLimit};

/// What is remembered of the runs of one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Retry {
    /// Automatic starts within the window of the limit, oldest first; at most as many as the limit has.
    starts: Vec<Mono>,
    /// It waits in BACKOFF after an exit, not after a failed start.
    pub(super) is_pausing: bool,
}

/// Whether an exit is followed by a wait in BACKOFF.
pub(super) fn pauses(program: &Program) -> bool {
    !program.restartpause.0.is_zero() || program.restart_limit.is_some()
}

/// The pause after the n-th failed start in a row; `seed` makes it longer or shorter, as far as that is wanted.
pub(super) fn pause_after_failure(failures: i64, program: &Program, seed: u64) -> Duration {
    let Program { restartpause, backoff_max, backoff_jitter, .. } = program;
    let mut pause = Duration::from_secs(u64::try_from(failures).unwrap_or(0));
    if !backoff_max.0.is_zero() {
        pause = pause.min(backoff_max.0);
    }
    if backoff_jitter.0 > 0 {
        // From -1 to 1.
        let share = (mixed(seed) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
        pause = pause.mul_f64(1.0 + share * f64::from(backoff_jitter.0) / 100.0);
    }
    pause.max(restartpause.0)
}

/// A number whose bits all hang on those of another one (the finalizer of splitmix64).
fn mixed(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

impl Retry {
    /// Somebody starts it: what was before does not count any more.
    pub(super) fn begin_anew(&mut self) {
        self.starts.clear();
        self.is_pausing = false;
    }

    /// Notes an automatic start; false if that would be one too many.
    pub(super) fn take(&mut self, limit: Option<RestartLimit>, now: Mono) -> bool {
        self.is_pausing = false;
        let Some(limit) = limit else { return true };
        self.starts.retain(|at| now.since(*at) < limit.window);
        if self.starts.len() >= limit.starts {
            return false;
        }
        self.starts.push(now);
        true
    }
}

/// Why a limit has given a process up: what its `spawnerr` says.
pub(super) fn exhausted(limit: RestartLimit) -> String {
    format!("Restarted {} times within {} seconds", limit.starts, limit.window.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    fn program(lines: &str) -> Program {
        let config = Fake::new().load(&format!("[supervisord]\n[program:p]\ncommand=x\n{lines}\n")).unwrap();
        (*config.groups[0].processes[0].program).clone()
    }

    #[test]
    fn pauses_after_failures() {
        let rows = [
            ("", 1, 1.0),
            ("", 7, 7.0),
            ("backoff_max=2.5", 7, 2.5),
            ("restartpause=3", 1, 3.0),
            ("restartpause=3", 4, 4.0),
            ("restartpause=3\nbackoff_max=1", 4, 3.0),
        ];
        for (lines, failures, expected) in rows {
            let pause = pause_after_failure(failures, &program(lines), 1);
            assert_eq!(pause, Duration::from_secs_f64(expected), "{lines} {failures}");
        }
        let jittered = program("backoff_jitter=50");
        let pauses: Vec<f64> = (0..100).map(|seed| pause_after_failure(10, &jittered, seed).as_secs_f64()).collect();
        assert!(pauses.iter().all(|pause| (5.0..=15.0).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause < 7.0) && pauses.iter().any(|pause| *pause > 13.0), "{pauses:?}");
    }

    #[test]
    fn a_limit_counts_within_its_window() {
        let second = |secs: u64| Mono(secs * 1_000_000_000);
        let limit = Some(RestartLimit { starts: 2, window: Duration::from_secs(10) });
        let mut retry = Retry::default();
        let taken: Vec<bool> = [0, 1, 9, 10, 11, 12].into_iter().map(|secs| retry.take(limit, second(secs))).collect();
        assert_eq!(taken, [true, true, false, true, true, false]);
        retry.begin_anew();
        assert!(retry.take(limit, second(12)));
        assert!((0..100).all(|_| retry.take(None, second(13))), "without a limit");
    }
}
