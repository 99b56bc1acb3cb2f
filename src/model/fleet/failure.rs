//! What follows for an application from a process that has failed while it ran (V-420 to V-424).
//!
//! An application that is restarted for the first time is so after a second, then after two, four, and so on: the original
//! restarts one without a pause for ever (V-423).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::view::AppId;
use crate::clock::Mono;
use crate::config::fleet::RunningFailure;

/// The longest pause before a restart.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Restarts of an application within [`WINDOW`]; after them it stays as it is. With the pauses they take five minutes.
pub const RESTARTS_MAX: usize = 10;

/// The time in which restarts count.
pub const WINDOW: Duration = Duration::from_secs(600);

/// What is to be done about an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// It is stopped and stays so.
    Stop(AppId),
    /// It is stopped and started.
    Restart(AppId),
    /// It was restarted too often and is left alone.
    LeaveAlone(AppId),
}

/// Applications in which something has failed.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    /// What is to be done, and not before when.
    pending: BTreeMap<AppId, (RunningFailure, Mono)>,
    /// When each was restarted, the oldest first.
    restarts: BTreeMap<AppId, VecDeque<Mono>>,
}

impl Failures {
    /// A process of an application has failed. A stop goes before a restart (V-424).
    pub fn note(&mut self, application: AppId, strategy: RunningFailure, now: Mono) {
        let at = match strategy {
            RunningFailure::StopApplication => now,
            RunningFailure::RestartApplication => now.after(self.pause(application, now)),
            _ => return,
        };
        let known = self.pending.get(&application).map(|(known, _)| *known);
        if known != Some(RunningFailure::StopApplication) && known != Some(strategy) {
            self.pending.insert(application, (strategy, at));
        }
    }

    /// How long its next restart waits.
    fn pause(&mut self, application: AppId, now: Mono) -> Duration {
        let times = self.restarts.entry(application).or_default();
        while times.front().is_some_and(|at| now.since(*at) >= WINDOW) {
            times.pop_front();
        }
        let exponent = u32::try_from(times.len()).unwrap_or(u32::MAX);
        Duration::from_secs(2_u64.saturating_pow(exponent)).min(PAUSE_MAX)
    }

    /// What is due, of applications that are not being started or stopped (V-424).
    pub fn due(&mut self, now: Mono, is_busy: impl Fn(AppId) -> bool) -> Vec<Cure> {
        let is_due = |(application, (_, at)): (&AppId, &(RunningFailure, Mono))| {
            (*at <= now && !is_busy(*application)).then_some(*application)
        };
        let due: Vec<AppId> = self.pending.iter().filter_map(is_due).collect();
        due.into_iter().filter_map(|application| self.cure(application, now)).collect()
    }

    fn cure(&mut self, application: AppId, now: Mono) -> Option<Cure> {
        let (strategy, _) = self.pending.remove(&application)?;
        if strategy == RunningFailure::StopApplication {
            return Some(Cure::Stop(application));
        }
        let times = self.restarts.entry(application).or_default();
        if times.len() >= RESTARTS_MAX {
            return Some(Cure::LeaveAlone(application));
        }
        times.push_back(now);
        Some(Cure::Restart(application))
    }

    /// When something is due; applications that are busy are looked at when they no longer are.
    pub fn deadline(&self, now: Mono) -> Option<Mono> {
        self.pending.values().map(|(_, at)| *at).filter(|at| *at > now).min()
    }

    /// Somebody has stopped or started it: what was to be done is done or no longer wanted.
    pub fn forget(&mut self, application: AppId) {
        self.pending.remove(&application);
    }

    /// Keeps only applications that are there.
    pub fn retain(&mut self, is_there: impl Fn(AppId) -> bool) {
        self.pending.retain(|application, _| is_there(*application));
        self.restarts.retain(|application, _| is_there(*application));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RunningFailure::*;

    const A: AppId = AppId(1);

    fn at(secs: u64) -> Mono {
        Mono(0).after(Duration::from_secs(1000 + secs))
    }

    #[test]
    fn a_stop_goes_before_a_restart() {
        for (first, second) in [(RestartApplication, StopApplication), (StopApplication, RestartApplication)] {
            let mut failures = Failures::default();
            failures.note(A, first, at(0));
            failures.note(A, second, at(0));
            assert_eq!(failures.due(at(9), |_| false), [Cure::Stop(A)], "{first:?}");
            assert_eq!(failures.due(at(9), |_| false), []);
        }
        let mut failures = Failures::default();
        for harmless in [Continue, RestartProcess, Shutdown, Restart] {
            failures.note(A, harmless, at(0));
        }
        assert_eq!((failures.due(at(99), |_| false), failures.deadline(at(0))), (vec![], None));
    }

    #[test]
    fn it_waits_for_an_application_that_is_busy() {
        let mut failures = Failures::default();
        failures.note(A, StopApplication, at(0));
        assert_eq!(failures.due(at(5), |_| true), []);
        assert_eq!(failures.due(at(5), |_| false), [Cure::Stop(A)]);
    }

    #[test]
    fn restarts_pause_and_end() {
        let mut failures = Failures::default();
        let (mut now, mut pauses) = (0, Vec::new());
        for _ in 0..RESTARTS_MAX {
            failures.note(A, RestartApplication, at(now));
            let due = failures.deadline(at(now)).unwrap();
            let pause = due.since(at(now)).as_secs();
            assert_eq!(failures.due(at(now + pause - 1), |_| false), []);
            now += pause;
            assert_eq!(failures.due(at(now), |_| false), [Cure::Restart(A)]);
            pauses.push(pause);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        failures.note(A, RestartApplication, at(now));
        assert_eq!(failures.due(at(now + 60), |_| false), [Cure::LeaveAlone(A)]);
        // Once the first ones are long past, it begins again.
        let later = now + 700;
        failures.note(A, RestartApplication, at(later));
        assert_eq!(failures.due(at(later + 1), |_| false), [Cure::Restart(A)]);
    }

    #[test]
    fn what_is_no_more_is_forgotten() {
        let mut failures = Failures::default();
        failures.note(A, StopApplication, at(0));
        failures.forget(A);
        assert_eq!(failures.due(at(5), |_| false), []);
        failures.note(A, RestartApplication, at(0));
        failures.retain(|_| false);
        assert_eq!((failures.deadline(at(0)), failures.restarts.len()), (None, 0));
    }
}
