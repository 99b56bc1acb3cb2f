//! Wishes: applications and processes to be started and stopped, each with a ticket for who waits.

use std::collections::{BTreeMap, BTreeSet};

use super::Fleet;
use super::sequence::NO_PLACE;
use crate::clock::Now;
use crate::config::fleet::StartingStrategy;
use crate::daemon::{Daemon, Host};
use crate::id::PeerId;
use crate::model::fleet::sequencer::{Again, Start, Stop, Ticket};
use crate::model::fleet::view::{AppId, TaskId};
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

/// What a wish is carried out with.
pub struct Means<'m> {
    /// The daemon of this instance, whose processes are started and stopped.
    pub daemon: &'m mut Daemon,
    /// The time of the turn that it is done in.
    pub now: Now,
    /// The system, for starts and signals.
    pub host: &'m mut dyn Host,
}

impl Fleet {
    /// Starts an application in its sequence.
    pub fn start_application(&mut self, id: AppId, strategy: Option<StartingStrategy>, means: Means<'_>) -> Begun {
        if self.sequencer.is_full(id) {
            return Begun::TooMuch;
        }
        // Who has just ended is down, and is to be started like the others.
        self.take_in(means.daemon, means.now);
        let ticket = self.sequencer.ticket();
        self.failures.forget(id);
        let starts = self.starts_of(id, strategy, false, means.daemon);
        let tasks: Vec<TaskId> = starts.iter().map(|start| start.process).collect();
        let rank = self.applications.get(&id).map_or(0, |application| application.rules.start_sequence);
        self.sequencer.start(id, rank, starts, ticket, ticket.0);
        self.go_on(means.daemon, means.now, means.host);
        // Where no process has a place there is nothing to wait for.
        let has_begun = tasks.iter().any(|id| !self.has_no_place(*id));
        if has_begun { Begun::Something(ticket) } else { Begun::Nothing }
    }

    /// Whether there was no place for a process when it was to be started.
    fn has_no_place(&self, id: TaskId) -> bool {
        let forced = self.view.task(id).and_then(|task| task.forced.as_ref());
        self.refused.contains(&id) && forced.is_some_and(|forced| forced.reason == NO_PLACE)
    }

    /// Stops an application in its sequence.
    pub fn stop_application(&mut self, id: AppId, means: Means<'_>) -> Begun {
        let ticket = self.sequencer.ticket();
        self.failures.forget(id);
        if self.stops_of(id, None, means.daemon).is_empty() {
            return Begun::Nothing;
        }
        if self.sequencer.is_full(id) {
            return Begun::TooMuch;
        }
        self.plan_stop(id, None, ticket, ticket.0, means.daemon);
        self.go_on(means.daemon, means.now, means.host);
        Begun::Something(ticket)
    }

    /// Stops an application, if it runs, and starts it.
    pub fn restart_application(&mut self, id: AppId, strategy: Option<StartingStrategy>, means: Means<'_>) -> Begun {
        self.failures.forget(id);
        if self.stops_of(id, None, means.daemon).is_empty() {
            return self.start_application(id, strategy, means);
        }
        if self.sequencer.is_full(id) {
            return Begun::TooMuch;
        }
        let ticket = self.sequencer.ticket();
        self.plan_stop(id, Some(Again::Application(strategy)), ticket, ticket.0, means.daemon);
        self.go_on(means.daemon, means.now, means.host);
        Begun::Something(ticket)
    }

    /// Starts processes, each by itself.
    pub fn start_processes(&mut self, ids: &[TaskId], strategy: StartingStrategy, means: Means<'_>) -> Begun {
        let ticket = self.sequencer.ticket();
        self.plan_processes(ids, Some(strategy), ticket, means.daemon);
        self.go_on(means.daemon, means.now, means.host);
        let has_begun = ids.iter().any(|id| !self.has_no_place(*id));
        if has_begun { Begun::Something(ticket) } else { Begun::Nothing }
    }

    /// Stops those of some processes that run, wherever they do.
    pub fn stop_processes(&mut self, ids: &[TaskId], means: Means<'_>) -> Begun {
        let stops = ids.iter().flat_map(|id| self.stops_of_task(*id, None, means.daemon)).collect();
        self.stop_each(stops, None, means)
    }

    /// Stops those of some processes of this instance that run here.
    pub fn stop_processes_here(&mut self, ids: &[TaskId], means: Means<'_>) -> Begun {
        let own = Some(self.own);
        let stops = ids.iter().flat_map(|id| self.stops_of_task(*id, own, means.daemon)).collect();
        self.stop_each(stops, None, means)
    }

    /// Stops those of some processes that run, and starts all of them.
    pub fn restart_processes(&mut self, ids: &[TaskId], strategy: StartingStrategy, means: Means<'_>) -> Begun {
        let stops = ids.iter().flat_map(|id| self.stops_of_task(*id, None, means.daemon)).collect();
        self.stop_each(stops, Some((strategy, ids)), means)
    }

    fn stop_each(&mut self, stops: Vec<Stop>, again: Option<(StartingStrategy, &[TaskId])>, means: Means<'_>) -> Begun {
        let ticket = self.sequencer.ticket();
        let app_of = |fleet: &Fleet, id: TaskId| fleet.view.task(id).map(|task| task.app);
        let restarted = again.map_or(&[][..], |(_, ids)| ids);
        let all = stops.iter().map(|stop| stop.process).chain(restarted.iter().copied());
        let apps: BTreeSet<AppId> = all.filter_map(|id| app_of(self, id)).collect();
        if apps.iter().any(|app| self.sequencer.is_full(*app)) {
            return Begun::TooMuch;
        }
        let has_any = !apps.is_empty();
        for app in apps {
            let of_app = |id: TaskId| app_of(self, id) == Some(app);
            let stops: Vec<Stop> = stops.iter().filter(|stop| of_app(stop.process)).cloned().collect();
            let again = again.map(|(strategy, ids)| {
                Again::Processes(Some(strategy), ids.iter().copied().filter(|id| of_app(*id)).collect())
            });
            self.sequencer.stop(app, 0, stops, again, ticket, ticket.0);
        }
        self.go_on(means.daemon, means.now, means.host);
        if has_any { Begun::Something(ticket) } else { Begun::Nothing }
    }

    /// Starts what was never started or has failed, in sequence (V-387).
    pub fn start_sequence(&mut self, means: Means<'_>) -> Begun {
        self.take_in(means.daemon, means.now);
        let ticket = self.sequencer.ticket();
        let is_any = self.plan_applications(ticket, means.daemon);
        self.go_on(means.daemon, means.now, means.host);
        if is_any { Begun::Something(ticket) } else { Begun::Nothing }
    }

    /// Whether what a ticket stands for is over.
    pub fn is_over(&self, ticket: Ticket) -> bool {
        self.sequencer.is_over(ticket)
    }

    /// Plans the start of all applications that are to be started by themselves; says whether there are any.
    pub(super) fn plan_applications(&mut self, ticket: Ticket, daemon: &Daemon) -> bool {
        let mut ids: Vec<AppId> = Vec::new();
        for (id, application) in &self.applications {
            let is_wanted = || {
                let status = self.status(*id);
                self.was_never_started(*id) || status.is_some_and(|status| status.major || status.minor)
            };
            if application.rules.managed && application.rules.start_sequence > 0 && is_wanted() {
                ids.push(*id);
            }
        }
        let mut is_any = false;
        for id in ids {
            let starts = self.starts_of(id, None, true, daemon);
            is_any |= !starts.is_empty();
            let rank = self.applications.get(&id).map_or(0, |application| application.rules.start_sequence);
            self.sequencer.start(id, rank, starts, ticket, ticket.0);
        }
        is_any
    }

    /// Once who leads has nothing to do, what does not run is tried again, because somebody has joined (F-48).
    pub(super) fn repair_if_due(&mut self, daemon: &Daemon) {
        if self.joins_late && self.sequencer.is_idle() {
            self.joins_late = false;
            if self.leads() && self.phase == crate::model::fleet::phase::Phase::Operation {
                let ticket = self.sequencer.ticket();
                self.plan_applications(ticket, daemon);
            }
        }
    }

    pub(super) fn plan_start(
        &mut self,
        id: AppId,
        strategy: Option<StartingStrategy>,
        ticket: Ticket,
        batch: u64,
        is_repair: bool,
        daemon: &Daemon,
    ) {
        let starts = self.starts_of(id, strategy, is_repair, daemon);
        let rank = self.applications.get(&id).map_or(0, |application| application.rules.start_sequence);
        self.sequencer.start(id, rank, starts, ticket, batch);
    }

    pub(super) fn plan_processes(
        &mut self,
        ids: &[TaskId],
        strategy: Option<StartingStrategy>,
        ticket: Ticket,
        daemon: &Daemon,
    ) {
        let mut by_app: BTreeMap<AppId, Vec<Start>> = BTreeMap::new();
        for id in ids {
            let app = self.view.task(*id).map(|task| task.app);
            if let (Some(app), Some(start)) = (app, self.start_of(daemon, *id, strategy, true)) {
                self.refused.remove(id);
                by_app.entry(app).or_default().push(start);
            }
        }
        for (app, starts) in by_app {
            self.sequencer.start_processes(app, starts, ticket, ticket.0);
        }
    }

    pub(super) fn plan_stop(&mut self, id: AppId, again: Option<Again>, ticket: Ticket, batch: u64, daemon: &Daemon) {
        let rank = self.applications.get(&id).map_or(0, |application| application.rules.stop_sequence.max(0));
        let stops = self.stops_of(id, None, daemon);
        self.sequencer.stop(id, rank, stops, again, ticket, batch);
    }

    pub(super) fn plan_restart(&mut self, id: AppId, ticket: Ticket, daemon: &Daemon) {
        self.plan_stop(id, Some(Again::Application(None)), ticket, ticket.0, daemon);
    }

    /// Plans the stop of everything that runs, wherever it does; or of what is managed and runs on one instance. Listeners go
    /// last, with the daemon.
    pub(super) fn plan_stop_of_all(&mut self, only: Option<PeerId>, daemon: &Daemon) {
        let ticket = self.sequencer.ticket();
        let is_meant = |id: &AppId| {
            let is_managed = self.applications.get(id).is_some_and(|application| application.rules.managed);
            let group = self.local_group(daemon, *id).and_then(|id| daemon.roster.group(id));
            let is_pool = group.is_some_and(|group| matches!(group.config.kind, crate::config::GroupKind::Listener(_)));
            !is_pool && (is_managed || only.is_none())
        };
        let ids: Vec<AppId> = self.applications.keys().copied().filter(is_meant).collect();
        for id in ids {
            let rank = self.applications.get(&id).map_or(0, |application| application.rules.stop_sequence.max(0));
            let stops = self.stops_of(id, only, daemon);
            self.sequencer.stop(id, rank, stops, None, ticket, ticket.0);
        }
    }

    /// Those of an application's sequence that are stopped. A repair leaves what has done its work (V-381).
    fn starts_of(&self, id: AppId, strategy: Option<StartingStrategy>, is_repair: bool, daemon: &Daemon) -> Vec<Start> {
        let Some(application) = self.applications.get(&id) else { return Vec::new() };
        let is_wanted = |id: TaskId, waits_for_exit: bool| {
            self.view.task(id).is_some_and(|task| {
                let is_done = task.state() == ProcessState::Exited && task.expected();
                task.state().is_stopped() && !(is_repair && is_done && waits_for_exit)
            })
        };
        let sequenced = application.tasks.iter().filter(|(_, rules)| rules.start_sequence > 0);
        sequenced
            .filter(|(id, rules)| is_wanted(**id, rules.wait_exit))
            .filter_map(|(id, _)| self.start_of(daemon, *id, strategy, false))
            .collect()
    }

    fn stops_of(&self, id: AppId, only: Option<PeerId>, daemon: &Daemon) -> Vec<Stop> {
        let Some(application) = self.applications.get(&id) else { return Vec::new() };
        application.tasks.keys().flat_map(|id| self.stops_of_task(*id, only, daemon)).collect()
    }

    /// Where a process is to be stopped: on each instance where it runs, or is about to.
    pub(super) fn stops_of_task(&self, id: TaskId, only: Option<PeerId>, daemon: &Daemon) -> Vec<Stop> {
        let Some(task) = self.view.task(id) else { return Vec::new() };
        // What has happened here in this turn is not told yet.
        let here = self.local(id).filter(|id| {
            let state = daemon.roster.process(*id).map(|process| process.machine.state());
            state.is_some_and(|state| !state.is_stopped()) || daemon.is_waiting(*id)
        });
        let others = task
            .known()
            .iter()
            .filter(|known| known.peer != self.own && (!known.record.state.is_stopped() || known.record.is_pending));
        let peers = here.map(|_| self.own).into_iter().chain(others.map(|known| known.peer));
        let peers = peers.filter(|peer| only.is_none_or(|only| only == *peer));
        peers.filter_map(|peer| self.stop_of(daemon, id, peer)).collect()
    }
}
