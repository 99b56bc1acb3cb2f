//! Who waits in vain: for something that nothing is going to bring about by itself (O-1).
//!
//! Such a process goes on waiting, for somebody may repair what it waits for. A call that started it is answered all the same.

use std::collections::BTreeSet;

use super::Daemon;
use crate::id::ProcId;
use crate::state::{ProcessState, SupervisorState};

/// Pairs of processes that one look takes in. Ten thousand that wait for ten thousand are a hundred million; of what is not
/// seen it is taken that it may come.
const PAIRS_MAX: usize = 100_000;

impl Daemon {
    /// The processes that wait for what is given up, gone or down and not about to be started, and those that wait for them.
    pub fn waiting_in_vain(&self) -> BTreeSet<ProcId> {
        let mut pairs_left = PAIRS_MAX;
        let mut in_vain = BTreeSet::new();
        for id in self.waiting() {
            let obstacles = self.order.gates.obstacles(id).map(|obstacle| obstacle.process).take(pairs_left);
            let is_hopeless = |process: ProcId| {
                pairs_left -= 1;
                !self.may_come(process)
            };
            if self.order.gates.absent(id).next().is_some() || obstacles.into_iter().any(is_hopeless) {
                in_vain.insert(id);
            }
        }
        let mut found: Vec<ProcId> = in_vain.iter().copied().collect();
        while let Some(id) = found.pop() {
            for above in self.order.gates.all_dependents(id).take(pairs_left) {
                pairs_left -= 1;
                if self.is_waiting(above) && in_vain.insert(above) {
                    found.push(above);
                }
            }
        }
        in_vain
    }

    /// Whether a process may become what others wait for although nobody does anything about it.
    fn may_come(&self, id: ProcId) -> bool {
        use ProcessState::*;
        let Some(process) = self.roster.process(id) else { return false };
        let machine = &process.machine;
        match machine.state() {
            _ if self.is_to_start(id) || self.is_to_return(id) => true,
            Starting | Running | Stopping | Backoff => true,
            Stopped | Exited => {
                machine.hook().is_some()
                    || machine.waits_for_leftovers()
                    || machine.deadline(&process.config, SupervisorState::Running).is_some()
            }
            Fatal | Unknown => false,
        }
    }
}
