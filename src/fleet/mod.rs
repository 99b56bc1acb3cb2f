//! Sequences and policies over applications, on one instance or on several (V-1 to V-475), and the same rules as plain options.
//!
//! [`Fleet`] is plain data beside the daemon. In each turn it is told what has changed here and what other instances say
//! ([`reports`]), asks its machines what follows ([`Sequencer`], [`Failures`], [`Phase`]), and has the daemon or the instance
//! that it concerns do that ([`commands`]). Calls put their wishes to it ([`acts`]) and read what it knows ([`view`]). Here it
//! starts and stops through the daemon, which has its own order of what depends on what: ranks are above that, not in place of
//! it.
//!
//! Without a section and without options that ask for it there is none; with a list of one there is nobody to speak to.

#![forbid(unsafe_code)]

pub mod acts;
mod commands;
mod conciliation;
mod disabled;
mod loss;
pub mod members;
mod outbox;
pub mod peers;
mod place;
pub mod published;
mod reports;
mod resize;
mod rules;
pub mod sequence;
mod statistics;
pub mod timeline;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::clock::{Mono, Now, earliest};
use crate::config::fleet::{self as configured, ApplicationRules, ProcessRules, RunningFailure, Supvisors};
use crate::daemon::{Daemon, Host};
use crate::id::{IdMap, PeerId, ProcId};
use crate::model::fleet::failure::{Cure, Failures};
use crate::model::fleet::phase::{Phase, Wish};
use crate::model::fleet::sequencer::Sequencer;
use crate::model::fleet::view::{AppId, TaskId, View};
use crate::model::process::Transition;
use crate::state::{ProcessState, SupervisorState};

use members::Member;
use peers::Peers;

/// Seconds of a tick (V-101).
const TICK: u64 = 5;

/// Looks at what follows in one turn. Each does something that the next one may follow from: a chain of ranks with nothing to
/// wait for in them ends long before that.
const ROUNDS_MAX: usize = 1_000;

/// Starts of one turn, about: each takes some hundred microseconds. The rest goes on in the next, which comes at once.
const STARTS_MAX: usize = 64;

/// Everything that a fleet remembers.
#[derive(Debug)]
pub struct Fleet {
    /// What it began with. Who the instances are, and how this one is reached, holds from start to end of a run.
    began_with: Rc<configured::Fleet>,
    /// What was read last, of which the rules hold.
    configured: Rc<configured::Fleet>,
    /// When it began, by both clocks.
    began: Now,
    phase: Phase,
    /// The instances in the order of the list, this one among them.
    members: Vec<Member>,
    /// Which this one is.
    own: PeerId,
    /// The instance that leads, as far as is known here.
    master: Option<PeerId>,
    /// Somebody has ended the synchronisation.
    is_synchronised_by_user: bool,
    /// An instance was lost in this turn.
    has_just_lost: bool,
    /// An instance has joined after the distribution: what does not run may have a place now.
    joins_late: bool,
    /// What somebody wants once all is stopped.
    wish: Option<Wish>,
    /// The end of the daemon itself waits for what is stopped in sequence.
    is_ending: bool,
    /// What all instances say of their processes.
    view: View,
    /// Processes of this instance, and what they are for the fleet.
    local: BTreeMap<TaskId, ProcId>,
    task_of: IdMap<ProcId, TaskId>,
    applications: BTreeMap<AppId, Application>,
    sequencer: Sequencer,
    failures: Failures,
    /// Processes that could not be started when they were told to.
    refused: BTreeSet<TaskId>,
    /// Where processes are being started.
    targets: BTreeMap<TaskId, place::Target>,
    /// The instance that each process with `@` or `#` has got (V-80).
    assigned: BTreeMap<TaskId, Option<PeerId>>,
    /// Instances that were chosen for applications that are not spread, as long as these are being started (V-360).
    chosen: BTreeMap<AppId, Vec<PeerId>>,
    /// Processes that ran on an instance that was lost, and run nowhere.
    lost: BTreeSet<TaskId>,
    /// Processes that are stopped because they ran twice, and count as lost then.
    lost_by_conciliation: BTreeSet<TaskId>,
    /// What the others have not been told yet.
    outbox: outbox::Outbox,
    /// Commands that other instances have not answered yet.
    commands: commands::Commands,
    /// Names of disabled programs, and whether the file that keeps them may be written.
    disabled: disabled::Disabled,
    /// Programs that are to have fewer processes.
    resizes: BTreeMap<String, resize::Resize>,
    /// Starts of this turn.
    started: usize,
    /// The turn had no time for all that is due.
    is_unfinished: bool,
    /// What is collected, and how often.
    pub stats: Stats,
    /// What is told to whoever wants it.
    published: Option<Box<published::Published>>,
    timeline: timeline::Timeline,
    /// What is collected while somebody reads it.
    statistics: Option<statistics::Statistics>,
    /// The other instances; none where this one is alone.
    pub peers: Peers,
}

/// An application and its rules.
#[derive(Clone, Debug)]
pub struct Application {
    /// The rules for all of it, from the rules file or its defaults.
    pub rules: Rc<ApplicationRules>,
    /// Its processes, and their rules.
    pub tasks: BTreeMap<TaskId, Rc<ProcessRules>>,
}

/// What statistics are collected, as it was asked for last (V-257, V-258).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// Those of the host: processors, memory, network, disks.
    pub host: bool,
    /// Those of processes: processors and memory.
    pub processes: bool,
    /// Seconds between two samples.
    pub period: f64,
    /// It was given as a number with a point.
    pub is_exact: bool,
}

impl Stats {
    fn new(supvisors: Option<&Supvisors>) -> Stats {
        let options = supvisors.map(|one| &one.options);
        let of = options.map(|options| options.stats_enabled);
        let period = options.and_then(|options| options.stats_collecting_period);
        Stats {
            host: of.is_some_and(|of| of.host),
            processes: of.is_some_and(|of| of.processes),
            period: period.map_or(5.0, |period| period.0),
            is_exact: period.is_some(),
        }
    }
}

impl Fleet {
    /// The fleet that a configuration asks for.
    pub fn new(now: Now, daemon: &mut Daemon, host: &mut dyn Host) -> Option<Box<Fleet>> {
        let configured = daemon.config.fleet.clone()?;
        daemon.watch();
        tell_problems(&configured);
        let (members, own) = members::all(configured.supvisors.as_ref());
        let mut fleet = Box::new(Fleet {
            stats: Stats::new(configured.supvisors.as_ref()),
            peers: Peers::of(configured.supvisors.as_ref()),
            began_with: Rc::clone(&configured),
            configured,
            began: now,
            phase: Phase::Off,
            members,
            own,
            master: None,
            is_synchronised_by_user: false,
            has_just_lost: false,
            joins_late: false,
            wish: None,
            is_ending: false,
            view: View::default(),
            local: BTreeMap::new(),
            task_of: IdMap::default(),
            applications: BTreeMap::new(),
            sequencer: Sequencer::default(),
            failures: Failures::default(),
            refused: BTreeSet::new(),
            targets: BTreeMap::new(),
            assigned: BTreeMap::new(),
            chosen: BTreeMap::new(),
            lost: BTreeSet::new(),
            lost_by_conciliation: BTreeSet::new(),
            outbox: outbox::Outbox::default(),
            commands: commands::Commands::default(),
            disabled: disabled::Disabled::default(),
            resizes: BTreeMap::new(),
            started: 0,
            is_unfinished: false,
            published: None,
            statistics: None,
            timeline: timeline::Timeline::default(),
        });
        fleet.introduce_own(daemon, now);
        fleet.read_disabled(host);
        fleet.refresh(daemon, now);
        Some(fleet)
    }

    /// `[rpcinterface:supvisors]`, if that is what asks for it.
    pub fn supvisors(&self) -> Option<&Supvisors> {
        self.began_with.supvisors.as_ref()
    }

    /// Opens the network, if there are others.
    pub fn begin_network(&mut self, now: Now, host: &mut dyn Host) {
        if let Some(supvisors) = self.began_with.supvisors.as_ref() {
            self.peers.begin(supvisors, now, host);
        }
    }

    /// What has happened in this turn, and what follows from it.
    pub fn turn(&mut self, daemon: &mut Daemon, now: Now, host: &mut dyn Host) {
        self.peers.turn(now, host);
        let is_other_set = daemon.take_is_other_set();
        if is_other_set {
            self.refresh(daemon, now);
        }
        let has_changed = self.take_in(daemon, now) || is_other_set;
        self.hear(daemon, now, host);
        self.follow_the_end(daemon);
        self.started = 0;
        self.go_on(daemon, now, host);
        // A program may wait for long until one of its processes ends by itself, and all processes are looked at for it.
        if has_changed && !self.resizes.is_empty() && daemon.state() == SupervisorState::Running {
            self.resize_further(daemon, now, host);
        }
        self.has_just_lost = false;
        self.collect(daemon, now, host);
        // Before the end: who leads says so before it goes.
        self.tell(daemon, now);
        self.remember_turn(now);
        self.end_if_done(daemon, host);
    }

    /// When it has something to do although nothing happens.
    pub fn deadline(&self, daemon: &Daemon, now: Now) -> Option<Mono> {
        if daemon.has_news() || self.is_unfinished {
            return Some(now.mono);
        }
        let synchronised = match self.phase {
            Phase::Synchronization => self.synchro_timeout().filter(|at| *at > now.mono),
            _ => None,
        };
        earliest(&[
            self.sequencer.deadline(),
            self.failures.deadline(now.mono),
            synchronised,
            self.targets_deadline(),
            self.outbox.deadline(),
            self.peers.deadline(),
            self.next_tick(),
            self.statistics_deadline(now),
        ])
    }

    /// Takes in what has happened to processes of this instance; says whether something has.
    fn take_in(&mut self, daemon: &mut Daemon, now: Now) -> bool {
        let changes = daemon.take_changes();
        let has_some = !changes.is_empty();
        for (id, change) in changes {
            self.note(daemon, id, &change, now);
        }
        for id in daemon.take_waits() {
            if let Some(task) = self.task_of(id) {
                self.amend_own(daemon, task, now);
            }
        }
        has_some
    }

    /// A process of this instance has changed.
    fn note(&mut self, daemon: &mut Daemon, id: ProcId, change: &Transition, now: Now) {
        let has_failed = match change.to {
            ProcessState::Fatal => true,
            ProcessState::Exited => !change.expected,
            _ => false,
        };
        if has_failed {
            daemon.mark(id, |marks| marks.has_crashed = true);
        }
        let Some(task) = self.set_own(daemon, id, Some(change), now) else { return };
        self.note_step(task, change, now);
        if has_failed {
            self.note_failure(task, daemon, now);
        }
    }

    /// A process has failed on some instance: what follows if that is a crash (V-420 to V-423). Who leads sees to it.
    fn note_failure(&mut self, id: TaskId, daemon: &mut Daemon, now: Now) {
        let Some(task) = self.view.task(id) else { return };
        let app = task.app;
        let Some(application) = self.applications.get(&app).filter(|one| one.rules.managed) else { return };
        let Some(rules) = application.tasks.get(&id) else { return };
        let strategy = rules.running_failure;
        // It may have been started again in the very turn in which it failed here, which ends everything all the same.
        let ends_all = matches!(strategy, RunningFailure::Shutdown | RunningFailure::Restart);
        let is_here_alone = task.running().all(|peer| peer == self.own) && self.members.len() == 1;
        if task.is_running() && !(ends_all && is_here_alone) {
            return;
        }
        // A start that has failed is the sequencer's, but where the application is to be stopped (V-423, V-726). That of
        // another instance is not seen here, but that it has one.
        let came_up = task.deciding().is_some_and(|known| known.record.came_up);
        let is_start = self.sequencer.is_started_now(id) || (!came_up && self.is_anyone_starting());
        if is_start && strategy != RunningFailure::StopApplication {
            return;
        }
        if daemon.state() != SupervisorState::Running || self.wish.is_some() || !self.leads() {
            return;
        }
        let name = self.view.namespec(id).unwrap_or_default();
        match strategy {
            RunningFailure::Continue | RunningFailure::RestartProcess => return,
            RunningFailure::Shutdown => self.begin_end(Wish::Shutdown, daemon),
            RunningFailure::Restart => self.begin_end(Wish::Restart, daemon),
            _ => self.failures.note(app, strategy, now.mono),
        }
        activity!(Warn, "{name} has failed: {}", strategy.name());
    }

    /// Asks the machines what follows until nothing does.
    pub(crate) fn go_on(&mut self, daemon: &mut Daemon, now: Now, host: &mut dyn Host) {
        self.is_unfinished = false;
        for _ in 0..ROUNDS_MAX {
            if self.started >= STARTS_MAX {
                self.is_unfinished = true;
                return;
            }
            self.take_in(daemon, now);
            self.watch_targets(now);
            self.say_jobs(now);
            // First, for what it is done with lets the rest go on.
            let has_run = self.run_sequencer(daemon, now, host);
            self.say_jobs(now);
            let has_moved = self.move_phase(daemon, now);
            self.cure_losses(daemon, now);
            self.cure_conciliated(daemon, now);
            self.repair_if_due(daemon);
            let sequencer = &self.sequencer;
            let cures = self.failures.due(now.mono, |application| sequencer.is_busy(application));
            let has_cured = !cures.is_empty();
            for cure in cures {
                self.cure(cure, daemon);
            }
            let has_conciliated = self.conciliate_if_due(daemon, now);
            if !has_run && !has_moved && !has_cured && !has_conciliated {
                return;
            }
        }
    }

    fn cure(&mut self, cure: Cure, daemon: &mut Daemon) {
        let (Cure::Stop(id) | Cure::Restart(id) | Cure::LeaveAlone(id)) = cure;
        let Some(name) = self.view.app(id).map(|app| app.name.clone()) else { return };
        let ticket = self.sequencer.ticket();
        match cure {
            Cure::Stop(id) => {
                activity!(Warn, "stopping application {name}");
                self.plan_stop(id, None, ticket, ticket.0, daemon);
            }
            Cure::Restart(id) => {
                activity!(Warn, "restarting application {name}");
                self.plan_restart(id, ticket, daemon);
            }
            Cure::LeaveAlone(_) => {
                activity!(Error, "application {name} has failed too often and is not restarted any more");
            }
        }
    }

    /// Lets the state of the fleet follow; says whether it did.
    fn move_phase(&mut self, daemon: &mut Daemon, now: Now) -> bool {
        self.settle_members();
        let before = (self.phase, self.master);
        self.choose_master();
        let facts = self.phase_facts(now.mono);
        let next = self.phase.next(facts);
        if next == self.phase {
            return before.1 != self.master;
        }
        let was = std::mem::replace(&mut self.phase, next);
        if self.supvisors().is_some() {
            activity!(Info, "Supvisors is in state {}", next.name());
        }
        match next {
            Phase::Synchronization => (self.is_synchronised_by_user, self.master) = (false, None),
            Phase::Distribution if self.leads() && daemon.state() == SupervisorState::Running => {
                let ticket = self.sequencer.ticket();
                self.plan_applications(ticket, daemon);
            }
            Phase::Restarting | Phase::ShuttingDown => {
                let wish = if next == Phase::Restarting { Wish::Restart } else { Wish::Shutdown };
                self.wish = Some(wish);
                if was < Phase::Restarting {
                    self.sequencer.abort();
                    if self.leads() {
                        self.plan_stop_of_all(None, daemon);
                    }
                }
            }
            _ => {}
        }
        true
    }

    /// Somebody ends the synchronisation; the Master may be named.
    pub fn end_synchronisation(&mut self, master: Option<PeerId>) {
        self.is_synchronised_by_user = true;
        if master.is_some() {
            self.master = master;
        }
        // It may be asked for behind another call, when this turn's look is over.
        self.is_unfinished = true;
    }

    /// Asks for the end of everything, or for a new beginning: all is stopped in sequence first (V-450). It is passed to
    /// whoever leads; false if nobody does.
    pub fn ask(&mut self, wish: Wish, daemon: &mut Daemon) -> bool {
        if self.leads() {
            self.begin_end(wish, daemon);
            return true;
        }
        self.master.is_some_and(|master| self.pass_on(master, wish))
    }

    /// Who leads has begun the end of everything. Noted at once: its stream may end before anything else is looked at.
    fn follow_master(&mut self, wish: Wish) {
        if self.phase < Phase::Restarting && self.master != Some(self.own) {
            self.phase = self.phase.wished(wish);
            self.wish = Some(wish);
            self.sequencer.abort();
        }
    }

    /// The end of everything begins here, in a turn of its own: a call may come after the fleet's in this one.
    fn begin_end(&mut self, wish: Wish, daemon: &mut Daemon) {
        let before = self.phase;
        self.phase = self.phase.wished(wish);
        if self.phase == before || self.phase == Phase::Final {
            return;
        }
        self.wish = Some(if self.phase == Phase::Restarting { Wish::Restart } else { Wish::Shutdown });
        if before < Phase::Restarting {
            self.sequencer.abort();
            self.plan_stop_of_all(None, daemon);
            self.is_unfinished = true;
        }
    }

    /// The daemon ends for another reason: what is managed is stopped in sequence all the same, before the rest.
    fn follow_the_end(&mut self, daemon: &mut Daemon) {
        if daemon.state() == SupervisorState::Running || self.is_ending {
            return;
        }
        self.is_ending = true;
        // Alone it plans anew also what somebody has wished for: the daemon's end has forgotten who was to be stopped.
        if self.wish.is_none() || self.members.len() == 1 {
            self.phase =
                if daemon.state() == SupervisorState::Restarting { Phase::Restarting } else { Phase::ShuttingDown };
            self.sequencer.abort();
            self.plan_stop_of_all(Some(self.own), daemon);
            daemon.postpone_end(!self.sequencer.is_idle());
        }
    }

    /// Once all is stopped the daemon goes on with its own end.
    fn end_if_done(&mut self, daemon: &mut Daemon, host: &mut dyn Host) {
        if self.is_ending && self.sequencer.is_idle() {
            daemon.postpone_end(false);
        }
        if self.phase != Phase::Final || daemon.state() != SupervisorState::Running {
            return;
        }
        match self.wish.take() {
            Some(Wish::Shutdown) => daemon.request_shutdown(),
            // A file that is wrong keeps it from beginning anew; what is wrong has been logged.
            Some(Wish::Restart) if daemon.request_restart(host).is_err() => self.phase = Phase::Operation,
            Some(Wish::Restart) | None => {}
        }
    }
}

fn tell_problems(configured: &configured::Fleet) {
    for problem in &configured.problems {
        if problem.is_error {
            activity!(Error, "{}", problem.text);
        } else {
            activity!(Warn, "{}", problem.text);
        }
    }
}
