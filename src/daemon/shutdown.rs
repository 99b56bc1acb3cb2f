//! Stopping everything, for the end or for a restart (P-75 to P-79).
//!
//! Groups are stopped strictly one after another, in descending order of (priority, insertion); the next is touched
//! only when the present one has no unstopped process. Each group counts its unstopped processes as their states
//! change, so that a step looks at one number, not at all processes.
//!
//! A pool of listeners whose turn has come is first let hear what has happened, the end of the last programs above
//! all: as long as it has events and a listener that takes them, but for [`DRAIN_TIME`] at most.

use std::time::Duration;

use super::ordered_stop::Ordered;
use super::{Daemon, Host, Proc};
use crate::clock::{Mono, Now, earliest};
use crate::config::{Config, ShutdownTime, Supervisord};
use crate::id::{GroupId, ProcId};
use crate::model::event::Event;
use crate::model::process::Trigger;
use crate::state::{ProcessState, SupervisorState};
use crate::wire::listener::ListenerState;

/// Time between two lines that say who is still waited for (P-77).
const REPORT_EVERY: Duration = Duration::from_secs(3);

/// Time that a pool has to take the events that wait for it before its listeners are stopped. Each needs a fraction of
/// a millisecond; a listener that hangs must not hold up the end of everything for long. 4.3.0 has no such time, and
/// loses what has not been delivered by then.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Time for reaping once everything that was left has been killed. What a kernel does not let go by then, it will not
/// soon.
const REAPING_TIME: Duration = Duration::from_secs(1);

/// Least time between the beginning of a shutdown and a second signal that hurries it: docker and `timeout(1)` may send
/// two within milliseconds.
const HURRY_AFTER: Duration = Duration::from_secs(1);

/// How far the stopping has come.
#[derive(Default)]
pub(super) struct Shutdown {
    /// `shutdown_timeout` and `shutdown_parallel` as they were at start: `[supervisord]` is not reread.
    timeout: Option<Duration>,
    is_parallel: bool,
    began: Option<Mono>,
    /// Groups not yet stopped; the last one is next. `None` until the stopping begins.
    order: Option<Vec<GroupId>>,
    /// Those at the end of `order` that have been told to stop.
    told: Vec<GroupId>,
    /// How far it has come, where processes depend on each other.
    pub(super) ordered: Option<Ordered>,
    /// Until when the one that is next, a pool, is waited for before it is told.
    pub(super) drain_until: Option<Mono>,
    /// Everything has been killed; until when it is waited for.
    killed_until: Option<Mono>,
    /// What is left by then is waited for no longer, nor are hooks.
    is_over: bool,
    /// A fleet stops processes in an order of its own first.
    pub(super) is_postponed: bool,
    /// When to report again.
    report_at: Mono,
}

impl Shutdown {
    pub(super) fn new(config: &Config) -> Shutdown {
        let Supervisord { shutdown_timeout: ShutdownTime(timeout), shutdown_parallel, .. } = config.supervisord;
        let timeout = (!timeout.is_zero()).then_some(timeout);
        Shutdown { timeout, is_parallel: shutdown_parallel, ..Shutdown::default() }
    }
}

impl Daemon {
    /// Asks for the end (P-13). Also turns a restart in progress into an end (P-14).
    pub fn request_shutdown(&mut self) {
        let before = std::mem::replace(&mut self.state, SupervisorState::Shutdown);
        // Of a restart in progress nothing is left to cancel, and who has still to be told to stop is not forgotten.
        if before == SupervisorState::Running {
            self.cancel_starts();
        }
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
        self.end_waits();
    }

    /// A signal asks for the end. With a budget for it, a second one some time after the first counts as its end.
    pub fn signal_shutdown(&mut self, now: Now, host: &mut dyn Host) {
        let has_begun = self.shutdown.began.is_some_and(|began| now.mono >= began.after(HURRY_AFTER));
        self.request_shutdown();
        if has_begun && self.shutdown.timeout.is_some() {
            self.kill_rest(now, host);
        }
    }

    /// One step of stopping everything; nothing while the daemon is RUNNING.
    pub fn shutdown_step(&mut self, now: Now, host: &mut dyn Host) {
        if self.state == SupervisorState::Running {
            return;
        }
        if self.shutdown.order.is_none() {
            self.shutdown.began = Some(now.mono);
            let groups = self.roster.groups_by_priority();
            self.refresh_order(now);
            self.shutdown.order = Some(groups);
            self.bus.emit(Event::supervisor_stopping());
        }
        if self.budget_ends().is_some_and(|at| at <= now.mono) {
            self.kill_rest(now, host);
        }
        if let Some(until) = self.shutdown.killed_until {
            self.await_killed(until, now);
        } else if self.shutdown.is_postponed {
            // Its deadlines are the fleet's.
        } else if self.shutdown.ordered.is_some() || self.begins_in_order() {
            self.stop_in_order_of_graph(now, host);
        } else {
            self.stop_next_groups(now, host);
        }
        // A pool whose time is over has been told by now, unless it has ended before, and then nobody asks any more.
        self.shutdown.drain_until = self.shutdown.drain_until.filter(|at| *at > now.mono);
        if now.mono >= self.shutdown.report_at && !self.finished() {
            self.shutdown.report_at = now.mono.after(REPORT_EVERY);
            self.report_waiting();
        }
    }

    /// The order of what depends on what begins, if there is one: only once the fleet has stopped what it stops, for from then on
    /// nobody is stopped before what depends on it, whatever rank that has.
    fn begins_in_order(&mut self) -> bool {
        if !self.shutdown.told.is_empty() || !self.stops_in_order() {
            return false;
        }
        let groups = self.shutdown.order.take().unwrap_or_default();
        self.begin_ordered_end(&groups);
        self.shutdown.order = Some(groups);
        true
    }

    /// The same where processes depend on each other (O-2).
    fn stop_in_order_of_graph(&mut self, now: Now, host: &mut dyn Host) {
        let groups = self.shutdown.order.take().unwrap_or_default();
        self.stop_next_in_order(&groups, now, host);
        self.shutdown.order = Some(if self.has_ended_in_order() { Vec::new() } else { groups });
    }

    /// Whether two groups are told to stop without waiting for each other.
    pub(super) fn are_stopped_together(&self, groups: &[GroupId], one: usize, other: usize) -> bool {
        let priority =
            |at: usize| groups.get(at).and_then(|id| self.roster.group(*id)).map(|group| group.config.priority);
        self.shutdown.is_parallel && priority(one) == priority(other)
    }

    /// One group after another, or those of one priority together.
    fn stop_next_groups(&mut self, now: Now, host: &mut dyn Host) {
        loop {
            let next = self.next_groups();
            if next.is_empty() {
                return;
            }
            for id in &next {
                let is_stopped = self.roster.group(*id).is_none_or(|group| group.is_stopped());
                if is_stopped || self.shutdown.told.contains(id) {
                    continue;
                }
                if self.is_draining(*id, now) {
                    return;
                }
                self.shutdown.drain_until = None;
                self.shutdown.told.push(*id);
                self.stop_group_descending(*id, now, host);
            }
            if next.iter().any(|id| self.roster.group(*id).is_some_and(|group| !group.is_stopped())) {
                return;
            }
            if let Some(order) = &mut self.shutdown.order {
                order.truncate(order.len() - next.len());
            }
            self.shutdown.told.clear();
            self.shutdown.drain_until = None;
        }
    }

    /// The groups whose turn it is.
    fn next_groups(&self) -> Vec<GroupId> {
        let Some(order) = &self.shutdown.order else { return Vec::new() };
        let priority = |id: &GroupId| self.roster.group(*id).map(|group| group.config.priority);
        let Some(last) = order.last() else { return Vec::new() };
        if !self.shutdown.is_parallel {
            return vec![*last];
        }
        order.iter().rev().take_while(|id| priority(id) == priority(last)).copied().collect()
    }

    /// When the budget for stopping everything is used up, as long as it matters.
    fn budget_ends(&self) -> Option<Mono> {
        let Shutdown { timeout, began, killed_until: None, .. } = self.shutdown else { return None };
        Some(began?.after(timeout?))
    }

    /// The budget is used up: whatever is left is killed, in no order.
    fn kill_rest(&mut self, now: Now, host: &mut dyn Host) {
        if self.shutdown.killed_until.is_some() || self.finished() {
            return;
        }
        let is_left = |process: &Proc| process.machine.pid().is_some();
        let left: Vec<(ProcId, String)> = self
            .roster
            .processes()
            .filter(|(_, process)| is_left(process))
            .map(|(id, process)| (id, process.config.name.clone()))
            .collect();
        let mut names: Vec<String> = left.iter().map(|(_, name)| name.clone()).collect();
        names.extend(self.kill_leftovers(now, host));
        let hooks: Vec<ProcId> = self.care.with_hooks().collect();
        for id in &hooks {
            let name = self.roster.process(*id).map(|process| &process.config.name);
            if let Some(name) = name.filter(|name| !names.contains(name)) {
                names.push(name.clone());
            }
        }
        if !names.is_empty() {
            activity!(Warn, "the time for stopping is over, killing {}", names.join(", "));
        }
        self.shutdown.killed_until = Some(now.mono.after(REAPING_TIME));
        // Nobody hears of anything any more.
        self.shutdown.drain_until = None;
        let waiting = self.roster.processes().filter(|(_, process)| !is_left(process)).map(|(id, _)| id);
        for id in waiting.collect::<Vec<_>>() {
            // One that waits for its first hook has no child yet.
            let state = self.roster.process(id).map(|process| process.machine.state());
            let trigger = if state == Some(ProcessState::Starting) { Trigger::Stop } else { Trigger::GiveUp };
            let _ = self.step(id, trigger, now, host);
        }
        for (id, _) in left {
            let _ = self.step(id, Trigger::Kill, now, host);
        }
        // Of those that have ended nothing is left but the hook.
        for id in hooks {
            self.drop_hook(id, host);
        }
    }

    /// Whether everything that is left is killed, and nothing has time any more.
    pub fn kills_all(&self) -> bool {
        self.shutdown.killed_until.is_some()
    }

    /// What was killed is waited for; at the end of everything not for long.
    fn await_killed(&mut self, until: Mono, now: Now) {
        let is_over = self.state == SupervisorState::Shutdown && now.mono >= until;
        self.shutdown.is_over = is_over;
        let is_left = |id: &GroupId| self.roster.group(*id).is_some_and(|group| !group.is_stopped());
        if let Some(order) = &mut self.shutdown.order {
            order.retain(|id| !is_over && is_left(id));
        }
    }

    /// Whether everything is stopped and the run may end.
    pub fn finished(&self) -> bool {
        self.state != SupervisorState::Running
            && (self.shutdown.is_over || !self.care.has_hooks() && !self.remaining.is_some())
            && self.shutdown.order.as_ref().is_some_and(Vec::is_empty)
    }

    pub(super) fn shutdown_deadline(&self) -> Option<Mono> {
        // Whoever still waits for an answer then is no reason to look again.
        if self.finished() {
            return None;
        }
        let report_at = (self.state != SupervisorState::Running).then_some(self.shutdown.report_at);
        let killed = self.shutdown.killed_until.filter(|_| self.state == SupervisorState::Shutdown);
        earliest(&[report_at, self.shutdown.drain_until, self.budget_ends(), killed])
    }

    /// Whether the group whose turn it is to stop is a pool that still has events, and somebody to take them.
    pub(super) fn is_draining(&mut self, id: GroupId, now: Now) -> bool {
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
        let members: Vec<ProcId> = self.roster.members_by_priority(id).into_iter().rev().collect();
        self.tell(members, now, host);
    }

    fn tell(&mut self, processes: Vec<ProcId>, now: Now, host: &mut dyn Host) {
        for id in processes {
            let trigger = match self.roster.process(id).map(|process| process.machine.state()) {
                Some(ProcessState::Running | ProcessState::Starting) => Trigger::Stop,
                Some(ProcessState::Backoff) => Trigger::GiveUp,
                _ => continue,
            };
            // A failed signal makes the process UNKNOWN, which counts as stopped.
            let _ = self.step(id, trigger, now, host);
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
