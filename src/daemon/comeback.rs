//! Processes that are down only to be started again: by a call or a policy (a rolling restart, `on_dependency_stop=stop`,
//! `on_group_member_exit=restart_group`), or by `autorestart` between two runs.
//!
//! A stop that somebody asks for holds: whatever was to start such a process again finds that, and leaves it down.

use super::order::AfterStop;
use super::{Daemon, Proc};
use crate::id::ProcId;
use crate::state::{ProcessState, SupervisorState};

impl Daemon {
    /// A call is going to start these again, each after it has stopped it.
    pub fn expect_back(&mut self, ids: impl IntoIterator<Item = ProcId>) {
        self.order.expected_back.extend(ids);
    }

    /// Whether a call may still start a process again.
    pub fn is_expected_back(&self, id: ProcId) -> bool {
        self.order.expected_back.contains(&id)
    }

    /// That call has started it, or will not.
    pub fn is_back(&mut self, id: ProcId) {
        self.order.expected_back.remove(&id);
    }

    /// Whether a process is to be started by something once it is stopped.
    pub fn is_to_return(&self, id: ProcId) -> bool {
        let waits = self.order.stops.get(&id) == Some(&AfterStop::Wait);
        waits || self.is_expected_back(id) || self.is_to_return_with_group(id) || self.is_between_runs(id)
    }

    /// Whether a process has exited and starts again by itself in a moment.
    fn is_between_runs(&self, id: ProcId) -> bool {
        let is_next = |process: &Proc| {
            process.machine.state() == ProcessState::Exited && !process.machine.is_over(&process.config)
        };
        self.state == SupervisorState::Running && self.roster.process(id).is_some_and(is_next)
    }

    /// Somebody asks for the stop of a process: nothing of that kind starts it any more. Says whether something was to.
    pub fn keep_down(&mut self, id: ProcId) -> bool {
        let was_to_return = self.is_to_return(id);
        self.order.expected_back.remove(&id);
        if let Some(then) = self.order.stops.get_mut(&id) {
            *then = AfterStop::Rest;
        }
        self.leave_out_of_restart(id);
        if let Some(process) = self.roster.process_mut(id).filter(|_| was_to_return) {
            process.machine.rest();
        }
        was_to_return
    }
}
