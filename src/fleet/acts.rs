//! Wishes: applications and processes to be started and stopped, each with a ticket for who waits.

use super::Fleet;
use crate::clock::Now;
use crate::daemon::{Daemon, Host};
use crate::id::{GroupId, ProcId};
use crate::model::fleet::sequencer::{Again, Start, Stop, Ticket};
use crate::state::ProcessState;

/// What came of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Something is under way, or was done at once; the ticket says when it is over.
    Something(Ticket),
    /// There was nothing to do, or nothing could be done.
    Nothing,
    /// Too much is under way with the application as it is; nothing was begun.
    TooMuch,
}

impl Fleet {
    /// Starts an application in its sequence.
    pub fn start_application(&mut self, id: GroupId, daemon: &mut Daemon, now: Now, host: &mut dyn Host) -> Begun {
        if self.sequencer.is_full(id) {
            return Begun::TooMuch;
        }
        let ticket = self.sequencer.ticket();
        self.failures.forget(id);
        let starts = self.starts_of(id, false, daemon);
        self.begin_starts(id, starts, ticket, daemon, now, host)
    }

    fn begin_starts(
        &mut self,
        id: GroupId,
        starts: Vec<Start>,
        ticket: Ticket,
        daemon: &mut Daemon,
        now: Now,
        host: &mut dyn Host,
    ) -> Begun {
        let processes: Vec<ProcId> = starts.iter().map(|start| start.process).collect();
        let rank = self.applications.get(&id).map_or(0, |application| application.rules.start_sequence);
        self.sequencer.start(id, rank, starts, ticket, ticket.0);
        self.go_on(daemon, now, host);
        // Where no process has a place there is nothing to wait for.
        let has_begun = processes.iter().any(|id| !self.refused.contains(id));
        if has_begun { Begun::Something(ticket) } else { Begun::Nothing }
    }

    /// Stops an application in its sequence.
    pub fn stop_application(&mut self, id: GroupId, daemon: &mut Daemon, now: Now, host: &mut dyn Host) -> Begun {
        let ticket = self.sequencer.ticket();
        self.failures.forget(id);
        if self.stops_of(id, daemon).is_empty() {
            return Begun::Nothing;
        }
        if self.sequencer.is_full(id) {
            return Begun::TooMuch;
        }
        self.plan_stop(id, None, ticket, ticket.0, daemon);
        self.go_on(daemon, now, host);
        Begun::Something(ticket)
    }

    /// Stops an application, if it runs, and starts it.
    pub fn restart_application(&mut self, id: GroupId, daemon: &mut Daemon, now: Now, host: &mut dyn Host) -> Begun {
        self.failures.forget(id);
        if self.stops_of(id, daemon).is_empty() {
            return self.start_application(id, daemon, now, host);
        }
        if self.sequencer.is_full(id) {
            return Begun::TooMuch;
        }
        let ticket = self.sequencer.ticket();
        self.plan_restart(id, ticket, daemon);
        self.go_on(daemon, now, host);
        Begun::Something(ticket)
    }

    /// Starts processes, each by itself.
    pub fn start_processes(&mut self, ids: &[ProcId], daemon: &mut Daemon, now: Now, host: &mut dyn Host) -> Begun {
        let ticket = self.sequencer.ticket();
        for id in ids {
            self.plan_process(*id, ticket, daemon);
        }
        self.go_on(daemon, now, host);
        let has_begun = ids.iter().any(|id| !self.refused.contains(id));
        if has_begun { Begun::Something(ticket) } else { Begun::Nothing }
    }

    /// Stops those of some processes that run.
    pub fn stop_processes(&mut self, ids: &[ProcId], daemon: &mut Daemon, now: Now, host: &mut dyn Host) -> Begun {
        self.stop_each(ids, false, daemon, now, host)
    }

    /// Stops those of some processes that run, and starts all of them.
    pub fn restart_processes(&mut self, ids: &[ProcId], daemon: &mut Daemon, now: Now, host: &mut dyn Host) -> Begun {
        self.stop_each(ids, true, daemon, now, host)
    }

    fn stop_each(&mut self, ids: &[ProcId], again: bool, daemon: &mut Daemon, now: Now, host: &mut dyn Host) -> Begun {
        let ticket = self.sequencer.ticket();
        let mut has_any = false;
        let mut groups: Vec<GroupId> = ids.iter().filter_map(|id| Some(daemon.roster.process(*id)?.group)).collect();
        groups.dedup();
        if groups.iter().any(|group| self.sequencer.is_full(*group)) {
            return Begun::TooMuch;
        }
        for group in groups {
            let of_group = |id: &ProcId| daemon.roster.process(*id).is_some_and(|process| process.group == group);
            let members: Vec<ProcId> = ids.iter().copied().filter(of_group).collect();
            let stops: Vec<Stop> =
                members.iter().filter(|id| is_up(daemon, **id)).filter_map(|id| self.stop_of(daemon, *id)).collect();
            has_any |= !stops.is_empty() || again;
            let then = again.then_some(Again::Processes(members));
            self.sequencer.stop(group, 0, stops, then, ticket, ticket.0);
        }
        self.go_on(daemon, now, host);
        if has_any { Begun::Something(ticket) } else { Begun::Nothing }
    }

    /// Starts what was never started or has failed, in sequence (V-387).
    pub fn start_sequence(&mut self, daemon: &mut Daemon, now: Now, host: &mut dyn Host) -> Begun {
        let ticket = self.sequencer.ticket();
        let is_any = self.plan_applications(ticket, daemon);
        self.go_on(daemon, now, host);
        if is_any { Begun::Something(ticket) } else { Begun::Nothing }
    }

    /// Shows a process as given up that could not be started (V-264).
    pub fn show_fatal(&mut self, id: ProcId, reason: &str, now: Now) {
        self.force(id, ProcessState::Fatal, reason, now);
    }

    /// Whether what a ticket stands for is over.
    pub fn is_over(&self, ticket: Ticket) -> bool {
        self.sequencer.is_over(ticket)
    }

    /// Plans the start of all applications that are to be started by themselves; says whether there are any.
    pub(super) fn plan_applications(&mut self, ticket: Ticket, daemon: &Daemon) -> bool {
        let mut ids: Vec<GroupId> = Vec::new();
        for (id, application) in &self.applications {
            let is_wanted = || {
                let status = self.status(daemon, *id);
                self.was_never_started(daemon, *id) || status.is_some_and(|status| status.major || status.minor)
            };
            if application.rules.managed && application.rules.start_sequence > 0 && is_wanted() {
                ids.push(*id);
            }
        }
        let mut is_any = false;
        for id in ids {
            let starts = self.starts_of(id, true, daemon);
            is_any |= !starts.is_empty();
            let rank = self.applications.get(&id).map_or(0, |application| application.rules.start_sequence);
            self.sequencer.start(id, rank, starts, ticket, ticket.0);
        }
        is_any
    }

    pub(super) fn plan_start(&mut self, id: GroupId, ticket: Ticket, batch: u64, is_repair: bool, daemon: &Daemon) {
        let starts = self.starts_of(id, is_repair, daemon);
        let rank = self.applications.get(&id).map_or(0, |application| application.rules.start_sequence);
        self.sequencer.start(id, rank, starts, ticket, batch);
    }

    pub(super) fn plan_process(&mut self, id: ProcId, ticket: Ticket, daemon: &Daemon) {
        let group = daemon.roster.process(id).map(|process| process.group);
        if let (Some(group), Some(start)) = (group, self.start_of(daemon, id, true)) {
            self.refused.remove(&id);
            self.sequencer.start_process(group, start, ticket, ticket.0);
        }
    }

    pub(super) fn plan_stop(&mut self, id: GroupId, again: Option<Again>, ticket: Ticket, batch: u64, daemon: &Daemon) {
        let rank = self.applications.get(&id).map_or(0, |application| application.rules.stop_sequence.max(0));
        let stops = self.stops_of(id, daemon);
        self.sequencer.stop(id, rank, stops, again, ticket, batch);
    }

    pub(super) fn plan_restart(&mut self, id: GroupId, ticket: Ticket, daemon: &Daemon) {
        self.plan_stop(id, Some(Again::Application), ticket, ticket.0, daemon);
    }

    /// Plans the stop of everything that runs, or of what is managed alone; listeners go last, with the daemon.
    pub(super) fn plan_stop_of_all(&mut self, only_managed: bool, daemon: &Daemon) {
        let ticket = self.sequencer.ticket();
        let is_meant = |id: &GroupId| {
            let is_managed = self.applications.get(id).is_some_and(|application| application.rules.managed);
            let is_pool = daemon
                .roster
                .group(*id)
                .is_some_and(|group| matches!(group.config.kind, crate::config::GroupKind::Listener(_)));
            !is_pool && (is_managed || !only_managed)
        };
        let ids: Vec<GroupId> = self.applications.keys().copied().filter(is_meant).collect();
        for id in ids {
            self.plan_stop(id, None, ticket, ticket.0, daemon);
        }
    }

    /// Those of an application's sequence that are stopped. A repair leaves what has done its work (V-381).
    fn starts_of(&self, id: GroupId, is_repair: bool, daemon: &Daemon) -> Vec<Start> {
        let Some(application) = self.applications.get(&id) else { return Vec::new() };
        let is_wanted = |id: ProcId, waits_for_exit: bool| {
            daemon.roster.process(id).is_some_and(|process| {
                let machine = &process.machine;
                let is_done = machine.state() == ProcessState::Exited && machine.runs().spawn_error().is_empty();
                machine.state().is_stopped() && !(is_repair && is_done && waits_for_exit)
            })
        };
        let sequenced = application.processes.iter().filter(|(_, rules)| rules.start_sequence > 0);
        sequenced
            .filter(|(id, rules)| is_wanted(**id, rules.wait_exit))
            .filter_map(|(id, _)| self.start_of(daemon, *id, false))
            .collect()
    }

    fn stops_of(&self, id: GroupId, daemon: &Daemon) -> Vec<Stop> {
        let Some(application) = self.applications.get(&id) else { return Vec::new() };
        let up = application.processes.keys().filter(|id| is_up(daemon, **id));
        up.filter_map(|id| self.stop_of(daemon, *id)).collect()
    }
}

/// Whether there is something to stop.
fn is_up(daemon: &Daemon, id: ProcId) -> bool {
    let state = daemon.roster.process(id).map(|process| process.machine.state());
    state.is_some_and(|state| !state.is_stopped()) || daemon.is_waiting(id)
}
