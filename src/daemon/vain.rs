//! Who waits in vain: for something that nothing is going to bring about by itself (O-1).
//!
//! Such a process goes on waiting, for somebody may repair what it waits for. A call that started it is answered all the same.

use std::collections::BTreeSet;

use super::Daemon;
use crate::id::ProcId;
use crate::state::{ProcessState, SupervisorState};

impl Daemon {
    /// The processes that wait for what is given up, gone or down and not about to be started, and those that wait for them.
    pub fn waiting_in_vain(&self) -> BTreeSet<ProcId> {
        self.order.gates.in_vain(&self.waiting().collect(), |id| self.may_come(id))
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
