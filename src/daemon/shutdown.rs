//! Stopping everything, for the end or for a restart (P-75 to P-79).
//!
//! Groups are stopped strictly one after another, in descending order of (priority, insertion); the next is touched
//! only when the present one has no unstopped process. Each group counts its unstopped processes as their states
//! change, so that a step looks at one number, not at all processes.

use std::time::Duration;

use super::{Daemon, Host};
use crate::clock::{Mono, Now};
use crate::id::{GroupId, ProcId};
use crate::model::event::Event as Happening;
use crate::model::process::Event;
use crate::state::{ProcessState, SupervisorState};

/// Time between two lines that say who is still waited for (P-77).
const REPORT_EVERY: Duration = Duration::from_secs(3);

/// How far the stopping has come.
#[derive(Default)]
pub(super) struct Shutdown {
    /// Groups not yet stopped; the last one is next. `None` until the stopping begins.
    order: Option<Vec<GroupId>>,
    /// The last one in `order` has been told to stop.
    told: bool,
    /// When to report again.
    report_at: Mono,
}

impl Daemon {
    /// Asks for the end (P-13). Also turns a restart in progress into an end (P-14).
    pub fn request_shutdown(&mut self) {
        self.state = SupervisorState::Shutdown;
        self.cancel_starts();
    }

    /// Asks for a restart; while shutting down nothing happens.
    pub fn request_restart(&mut self) {
        if self.state == SupervisorState::Running {
            self.state = SupervisorState::Restarting;
            self.cancel_starts();
        }
    }

    /// From here on nothing is started (P-76): deadlines that would start something are dropped.
    fn cancel_starts(&mut self) {
        self.starts.clear();
        let waiting: Vec<(Mono, ProcId)> = self.timers.iter().copied().collect();
        for (at, id) in waiting {
            let mood = self.mood();
            let Some(process) = self.processes.get_mut(&id) else { continue };
            if process.machine.deadline(&process.program, mood).is_none() {
                self.timers.remove(&(at, id));
                process.timer = None;
            }
        }
    }

    /// One step of stopping everything; nothing while the daemon is RUNNING.
    pub fn shutdown_step(&mut self, now: Now, host: &mut dyn Host) {
        if self.state == SupervisorState::Running {
            return;
        }
        if self.shutdown.order.is_none() {
            let mut order: Vec<GroupId> = self.groups.keys().copied().collect();
            // A stable sort keeps the order of insertion among equals.
            order.sort_by_key(|id| self.groups.get(id).map(|group| group.config.priority));
            self.shutdown.order = Some(order);
            self.emit(Happening::supervisor_stopping());
        }
        while let Some(&id) = self.shutdown.order.as_ref().and_then(|order| order.last()) {
            let unstopped = self.groups.get(&id).map_or(0, |group| group.unstopped);
            if unstopped == 0 {
                if let Some(order) = &mut self.shutdown.order {
                    order.pop();
                }
                self.shutdown.told = false;
                continue;
            }
            if self.shutdown.told {
                break;
            }
            self.shutdown.told = true;
            self.stop_group_descending(id, now, host);
        }
        if now.mono >= self.shutdown.report_at && !self.finished() {
            self.shutdown.report_at = now.mono.after(REPORT_EVERY);
            self.report_waiting();
        }
    }

    /// Whether everything is stopped and the run may end.
    pub fn finished(&self) -> bool {
        self.state != SupervisorState::Running && self.shutdown.order.as_ref().is_some_and(Vec::is_empty)
    }

    pub(super) fn shutdown_deadline(&self) -> Option<Mono> {
        (self.state != SupervisorState::Running).then_some(self.shutdown.report_at)
    }

    /// All at once, descending process priority (P-75).
    fn stop_group_descending(&mut self, id: GroupId, now: Now, host: &mut dyn Host) {
        for id in self.members_by_priority(id).into_iter().rev() {
            let event = match self.processes.get(&id).map(|process| process.machine.state()) {
                Some(ProcessState::Running | ProcessState::Starting) => Event::Stop,
                Some(ProcessState::Backoff) => Event::GiveUp,
                _ => continue,
            };
            // A failed signal makes the process UNKNOWN, which counts as stopped.
            let _ = self.step(id, event, now, host);
        }
    }

    fn report_waiting(&self) {
        let waiting: Vec<_> = self
            .groups
            .values()
            .filter(|group| group.unstopped > 0)
            .flat_map(|group| &group.processes)
            .filter_map(|id| self.processes.get(id))
            .filter(|process| !process.machine.state().is_stopped())
            .collect();
        if waiting.is_empty() {
            return;
        }
        let names: Vec<&str> = waiting.iter().map(|process| process.program.name.as_str()).collect();
        activity!(Info, "waiting for {} to die", names.join(", "));
        for process in waiting {
            activity!(Blather, "{} state: {}", process.program.name, process.machine.state().name());
        }
    }
}
