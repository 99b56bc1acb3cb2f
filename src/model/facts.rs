//! Facts: what conditions look at of a process, and whether they hold of it (O-1).

use crate::config::dependency::Condition;
use crate::state::ProcessState;

/// What conditions look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub state: ProcessState,
    /// Its last liveness checks passed, or it has none.
    pub is_healthy: bool,
    /// How its last run since the daemon started ended: as expected or not. `None` before, and while it runs.
    pub ended: Option<bool>,
    /// It will be started again without anybody asking.
    pub is_retried: bool,
    /// It is gone for good.
    pub is_removed: bool,
}

impl Facts {
    /// Whether a condition holds.
    pub fn meets(&self, condition: Condition) -> bool {
        use ProcessState::*;
        if self.is_removed {
            return false;
        }
        match condition {
            // STARTING lasts until `ready=` is satisfied, so that RUNNING and ready are one.
            Condition::Running | Condition::Ready => self.state == Running,
            Condition::Healthy => self.state == Running && self.is_healthy,
            Condition::Completed => self.ended == Some(true),
            Condition::Ended => self.ended.is_some(),
            Condition::Spawned => matches!(self.state, Starting | Running),
        }
    }

    /// Whether the condition will not hold unless somebody does something. BACKOFF is no failure: a retry follows.
    pub fn fails(&self, condition: Condition) -> bool {
        let has_failed = || self.ended == Some(false) && !self.is_retried;
        self.is_removed
            || match condition {
                Condition::Ended => self.state == ProcessState::Fatal && self.ended.is_none(),
                Condition::Completed => self.state == ProcessState::Fatal || has_failed(),
                _ => self.state == ProcessState::Fatal,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(state: ProcessState) -> Facts {
        Facts { state, is_healthy: true, ended: None, is_retried: false, is_removed: false }
    }

    #[test]
    fn when_each_condition_holds_and_fails() {
        use Condition::*;
        use ProcessState as S;
        let base = facts(S::Running);
        let ended = |expected, state, is_retried| Facts { ended: Some(expected), is_retried, ..facts(state) };
        // Facts; the conditions that hold; those that have failed.
        let rows: [(Facts, &[Condition], &[Condition]); 10] = [
            (base, &[Running, Ready, Healthy, Spawned], &[]),
            (Facts { is_healthy: false, ..base }, &[Running, Ready, Spawned], &[]),
            (facts(S::Starting), &[Spawned], &[]),
            (facts(S::Stopped), &[], &[]),
            (facts(S::Backoff), &[], &[]),
            (facts(S::Fatal), &[], &[Running, Ready, Healthy, Completed, Ended, Spawned]),
            (ended(true, S::Exited, false), &[Completed, Ended], &[]),
            (ended(false, S::Exited, false), &[Ended], &[Completed]),
            (ended(false, S::Backoff, true), &[Ended], &[]),
            (Facts { is_removed: true, ..base }, &[], &[Running, Ready, Healthy, Completed, Ended, Spawned]),
        ];
        for (facts, holding, failed) in rows {
            for condition in [Running, Ready, Healthy, Completed, Ended, Spawned] {
                assert_eq!(facts.meets(condition), holding.contains(&condition), "{facts:?} {condition:?}");
                assert_eq!(facts.fails(condition), failed.contains(&condition), "{facts:?} {condition:?}");
            }
        }
    }
}
