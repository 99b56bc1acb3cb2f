//! Stopping everything, for the end or for a restart (P-75 to P-79).
//!
//! Groups are stopped strictly one after another, in descending order of (priority, insertion); the next is touched
//! only when the present one has no unstopped process. Each group counts its unstopped processes as their states
//! change, so that a step looks at one number, not at all processes.
//!
//! A pool of listeners whose turn has come is first let hear what has happened, the end of the last programs above
//! all: as long as it has events and a listener that takes them, but for [`DRAIN_TIME`] at most.

use std::time::Duration;

use super::{Daemon, Host, Proc};
use crate::clock::{Mono, Now, earliest};
use crate::id::{GroupId, ProcId};
use crate::model::event::Event as Happening;
use crate::model::process::Event;
use crate::state::{ProcessState, SupervisorState};
use crate::wire::listener::ListenerState;

/// Time between two lines that say who is still waited for (P-77).
const REPORT_EVERY: Duration = Duration::from_secs(3);

/// Time that a pool has to take the events that wait for it before its listeners are stopped. Each needs a fraction of
/// a millisecond; a listener that hangs must not hold up the end of everything for long. 4.3.0 has no such time, and
/// loses what has not been delivered by then.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// How far the stopping has come.
#[derive(Default)]
pub(super) struct Shutdown {
    /// Groups not yet stopped; the last one is next. `None` until the stopping begins.
    order: Option<Vec<GroupId>>,
    /// The last one in `order` has been told to stop.
    told: bool,
    /// Until when that one, a pool, is waited for before it is told.
    drain_until: Option<Mono>,
    /// When to report again.
    report_at: Mono,
}

impl Daemon {
    /// Asks for the end (P-13). Also turns a restart in progress into an end (P-14).
    pub fn request_shutdown(&mut self) {
        self.state = SupervisorState::Shutdown;
        self.cancel_starts();
    }

    /// Asks for a restart; while shutting down nothing happens. The configuration is read and checked first: a file that is
    /// wrong stops nothing.
    ///
    /// Errors: what is wrong with it, which has been logged; everything goes on.
    pub fn request_restart(&mut self, host: &mut dyn Host) -> Result<(), String> {
        if self.state != SupervisorState::Running {
            return Ok(());
        }
        if let Err(text) = self.prepare_restart(host) {
            activity!(Error, "restart refused, everything goes on as it is: {}", text.replace('\n', " "));
            return Err(text);
        }
        self.state = SupervisorState::Restarting;
        self.cancel_starts();
        Ok(())
    }

    /// From here on nothing is started (P-76): deadlines that would start something are dropped.
    fn cancel_starts(&mut self) {
        let state = self.state;
        let roster = &self.roster;
        let is_due = |process: &Proc| process.machine.deadline(&process.config, state).is_some();
        self.agenda.retain(|id| roster.process(id).is_some_and(is_due));
    }

    /// One step of stopping everything; nothing while the daemon is RUNNING.
    pub fn shutdown_step(&mut self, now: Now, host: &mut dyn Host) {
        if self.state == SupervisorState::Running {
            return;
        }
        if self.shutdown.order.is_none() {
            self.shutdown.order = Some(self.roster.groups_by_priority());
            self.bus.emit(Happening::supervisor_stopping());
        }
        while let Some(&id) = self.shutdown.order.as_ref().and_then(|order| order.last()) {
            let unstopped = self.roster.group(id).map_or(0, |group| group.unstopped);
            if unstopped == 0 {
                if let Some(order) = &mut self.shutdown.order {
                    order.pop();
                }
                self.shutdown.told = false;
                self.shutdown.drain_until = None;
                continue;
            }
            if self.shutdown.told || self.is_draining(id, now) {
                break;
            }
            self.shutdown.told = true;
            self.shutdown.drain_until = None;
            self.stop_group_descending(id, now, host);
        }
        if now.mono >= self.shutdown.report_at && !self.finished() {
            self.shutdown.report_at = now.mono.after(REPORT_EVERY);
            self.report_waiting();
        }
    }

    /// Whether everything is stopped and the run may end.
    pub fn finished(&self) -> bool {
        self.state != SupervisorState::Running
            && !self.care.has_hooks()
            && self.shutdown.order.as_ref().is_some_and(Vec::is_empty)
    }

    pub(super) fn shutdown_deadline(&self) -> Option<Mono> {
        let report_at = (self.state != SupervisorState::Running).then_some(self.shutdown.report_at);
        earliest(&[report_at, self.shutdown.drain_until])
    }

    /// Whether the group whose turn it is to stop is a pool that still has events, and somebody to take them.
    fn is_draining(&mut self, id: GroupId, now: Now) -> bool {
        let Some(group) = self.roster.group(id) else { return false };
        let Some(pool) = self.bus.pool(id) else { return false };
        let can_take = |id: &ProcId| {
            let is_running = |process: &Proc| process.machine.state() == ProcessState::Running;
            // One that has not said READY yet, for the first time or again, may be about to.
            let listens = pool.listener_state(*id).is_some_and(|state| state != ListenerState::Unknown);
            listens && self.roster.process(*id).is_some_and(is_running)
        };
        let has_events = pool.queued() > 0 || pool.is_busy();
        if !has_events || !group.processes.iter().any(can_take) {
            return false;
        }
        now.mono < *self.shutdown.drain_until.get_or_insert(now.mono.after(DRAIN_TIME))
    }

    /// All at once, descending process priority (P-75).
    fn stop_group_descending(&mut self, id: GroupId, now: Now, host: &mut dyn Host) {
        for id in self.roster.members_by_priority(id).into_iter().rev() {
            let event = match self.roster.process(id).map(|process| process.machine.state()) {
                Some(ProcessState::Running | ProcessState::Starting) => Event::Stop,
                Some(ProcessState::Backoff) => Event::GiveUp,
                _ => continue,
            };
            // A failed signal makes the process UNKNOWN, which counts as stopped.
            let _ = self.step(id, event, now, host);
        }
    }

    fn report_waiting(&self) {
        let groups = self.roster.groups().filter(|(_, group)| !group.is_stopped());
        let members = groups.flat_map(|(_, group)| self.roster.members(group).map(|(_, process)| process));
        let waiting: Vec<_> = members.filter(|process| !process.machine.state().is_stopped()).collect();
        if waiting.is_empty() {
            return;
        }
        let names: Vec<&str> = waiting.iter().map(|process| process.config.name.as_str()).collect();
        activity!(Info, "waiting for {} to die", names.join(", "));
        for process in waiting {
            activity!(Blather, "{} state: {}", process.config.name, process.machine.state().name());
        }
    }
}
