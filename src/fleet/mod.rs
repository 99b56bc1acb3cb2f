//! Sequences and policies over applications: Supvisors for a single host (V-1 to V-475), and the same rules as plain options.
//!
//! [`Fleet`] is plain data beside the daemon. In each turn it is told what has changed, asks its machines what follows
//! ([`Sequencer`], [`Failures`], [`Phase`]), and has the daemon do that. Calls put their wishes to it ([`acts`]) and read what it
//! knows ([`view`]). It starts and stops through the daemon, which has its own order of what depends on what: ranks are above
//! that, not in place of it.
//!
//! Without a section and without options that ask for it there is none.

#![forbid(unsafe_code)]

pub mod acts;
mod disabled;
pub mod peers;
mod resize;
pub mod sequence;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use crate::clock::{Mono, Now, earliest};
use crate::config::fleet::{
    self as configured, ApplicationRules, ProcessRules, RunningFailure, StartingStrategy, Subject, Supvisors, Synchro,
};
use crate::config::{Autorestart, GroupKind};
use crate::daemon::{Daemon, Host};
use crate::id::{GroupId, ProcId};
use crate::model::fleet::failure::{Cure, Failures};
use crate::model::fleet::phase::{Facts, Phase, Wish};
use crate::model::fleet::sequencer::Sequencer;
use crate::model::process::Transition;
use crate::state::{ProcessState, SupervisorState};
use peers::Peers;

/// Looks at what follows in one turn. Each does something that the next one may follow from: a chain of ranks with nothing to
/// wait for in them ends long before that.
const ROUNDS_MAX: usize = 1_000;

/// Starts of one turn, about: each takes some hundred microseconds. The rest goes on in the next, which comes at once.
const STARTS_MAX: usize = 64;

/// Everything that a fleet remembers.
#[derive(Debug)]
pub struct Fleet {
    configured: Rc<configured::Fleet>,
    /// When it began, by both clocks.
    began: Now,
    phase: Phase,
    /// Somebody has ended the synchronisation.
    is_synchronised_by_user: bool,
    /// What somebody wants once all is stopped.
    wish: Option<Wish>,
    /// The end of the daemon itself waits for what is stopped in sequence.
    is_ending: bool,
    applications: BTreeMap<GroupId, Application>,
    /// Processes that are expected to take something of their machine, and how much.
    loads: Vec<(ProcId, i64)>,
    sequencer: Sequencer,
    failures: Failures,
    /// Processes that are shown in another state than theirs, until something happens to them (V-153).
    forced: BTreeMap<ProcId, Forced>,
    /// Processes that could not be started when they were told to.
    refused: BTreeSet<ProcId>,
    /// Whether each process with `@` or `#` has got this instance (V-80).
    assigned: BTreeMap<ProcId, bool>,
    /// Names of disabled programs, and whether the file that keeps them may be written.
    disabled: disabled::Disabled,
    /// Programs that are to have fewer processes.
    resizes: BTreeMap<String, resize::Resize>,
    /// Starts of this turn.
    started: usize,
    /// The turn had no time for all that is due.
    is_unfinished: bool,
    /// When something happened last to each process.
    last_changes: BTreeMap<ProcId, Mono>,
    /// What is collected, and how often.
    pub stats: Stats,
    /// The other instances; none where this one is alone.
    pub peers: Peers,
}

/// An application and its rules.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its rules.
    pub rules: Rc<ApplicationRules>,
    /// Its processes in the order of their names, and their rules.
    pub processes: BTreeMap<ProcId, ProcessRules>,
}

/// Another state than its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// The state shown.
    pub state: ProcessState,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Mono,
}

/// What statistics are collected, as it was asked for last (V-257, V-258).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// Of the host.
    pub host: bool,
    /// Of processes.
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
        let mut fleet = Box::new(Fleet {
            stats: Stats::new(configured.supvisors.as_ref()),
            peers: Peers::of(configured.supvisors.as_ref()),
            configured,
            began: now,
            phase: Phase::Off,
            is_synchronised_by_user: false,
            wish: None,
            is_ending: false,
            applications: BTreeMap::new(),
            loads: Vec::new(),
            sequencer: Sequencer::default(),
            failures: Failures::default(),
            forced: BTreeMap::new(),
            refused: BTreeSet::new(),
            assigned: BTreeMap::new(),
            disabled: disabled::Disabled::default(),
            resizes: BTreeMap::new(),
            started: 0,
            is_unfinished: false,
            last_changes: BTreeMap::new(),
        });
        fleet.read_disabled(host);
        fleet.refresh(daemon);
        Some(fleet)
    }

    /// `[rpcinterface:supvisors]`, if that is what asks for it.
    pub fn supvisors(&self) -> Option<&Supvisors> {
        self.configured.supvisors.as_ref()
    }

    /// What has happened in this turn, and what follows from it.
    pub fn turn(&mut self, daemon: &mut Daemon, now: Now, host: &mut dyn Host) {
        let is_other_set = daemon.take_is_other_set();
        if is_other_set {
            self.refresh(daemon);
        }
        let changes = daemon.take_changes();
        let has_changed = is_other_set || !changes.is_empty();
        for (id, change) in changes {
            self.note(daemon, id, &change, now);
        }
        self.follow_the_end(daemon);
        self.started = 0;
        self.go_on(daemon, now, host);
        // A program may wait for long until one of its processes ends by itself, and all processes are looked at for it.
        if has_changed && !self.resizes.is_empty() && daemon.state() == SupervisorState::Running {
            self.resize_further(daemon, now, host);
        }
        self.end_if_done(daemon, host);
    }

    /// When it has something to do although nothing happens.
    pub fn deadline(&self, daemon: &Daemon, now: Now) -> Option<Mono> {
        if daemon.has_news() || self.is_unfinished {
            return Some(now.mono);
        }
        let synchronised = match self.phase {
            Phase::Synchronization => self.synchro_timeout(),
            _ => None,
        };
        earliest(&[self.sequencer.deadline(), self.failures.deadline(now.mono), synchronised])
    }

    /// Finds the rules of all that is there, and takes over what concerns the daemon.
    fn refresh(&mut self, daemon: &mut Daemon) {
        if let Some(configured) = daemon.config.fleet.clone()
            && !Rc::ptr_eq(&configured, &self.configured)
        {
            tell_problems(&configured);
            // Who the instances are, and how this one is reached, holds from start to end of a run.
            let supvisors = self.configured.supvisors.clone();
            self.configured = Rc::new(configured::Fleet { supvisors, ..(*configured).clone() });
        }
        let default = self.supvisors().map_or(StartingStrategy::Config, |one| one.options.starting_strategy);
        let rules = &self.configured.rules;
        // Whatever is wrong was told when it was read.
        let wrong = &mut |_| {};
        let mut applications = BTreeMap::new();
        let mut down = Vec::new();
        for (id, group) in daemon.roster.groups() {
            let mut found = rules.application(group.name(), &group.config.programs(), default, wrong);
            if matches!(group.config.kind, GroupKind::Listener(_)) {
                found = ApplicationRules::default();
            }
            let mut processes = BTreeMap::new();
            for (id, process) in daemon.roster.members(group) {
                let (config, marks) = (&process.config, process.marks());
                let (application, program) = (group.name(), config.program.name.as_str());
                let subject = Subject { application, process: &config.name, program };
                let rules = rules.process(subject, &found, wrong);
                let of = rules.running_failure;
                let is_ours = matches!(of, RunningFailure::StopApplication | RunningFailure::RestartApplication);
                let is_ours = is_ours || self.is_leaving(process);
                if is_ours != marks.stays_down {
                    down.push((id, is_ours, config.program.autorestart != Autorestart::Never));
                }
                processes.insert(id, rules);
            }
            applications.insert(id, Application { rules: Rc::new(found), processes });
        }
        for (id, is_ours, is_told) in down {
            if is_ours && is_told {
                let name = daemon.roster.namespec(id).unwrap_or_default();
                activity!(
                    Warn,
                    "autorestart of {name} is off, because its running_failure_strategy concerns its application"
                );
            }
            daemon.mark(id, |marks| marks.stays_down = is_ours);
        }
        let ruled = applications.values().flat_map(|application: &Application| &application.processes);
        let takes = |(id, rules): (&ProcId, &ProcessRules)| {
            (rules.expected_loading > 0).then_some((*id, rules.expected_loading))
        };
        self.loads = ruled.filter_map(takes).collect();
        self.applications = applications;
        let roster = &daemon.roster;
        self.sequencer.retain(|id| roster.process(id).is_some());
        self.failures.retain(|id| roster.group(id).is_some());
        self.forced.retain(|id, _| roster.process(*id).is_some());
        self.refused.retain(|id| roster.process(*id).is_some());
        self.assigned.retain(|id, _| roster.process(*id).is_some());
        self.last_changes.retain(|id, _| roster.process(*id).is_some());
        self.mark_disabled(daemon);
    }

    /// A process has changed.
    fn note(&mut self, daemon: &mut Daemon, id: ProcId, change: &Transition, now: Now) {
        self.forced.remove(&id);
        self.last_changes.insert(id, now.mono);
        let has_failed = match change.to {
            ProcessState::Fatal => true,
            ProcessState::Exited => !change.expected,
            _ => false,
        };
        if !has_failed {
            return;
        }
        daemon.mark(id, |marks| marks.has_crashed = true);
        let Some(group) = daemon.roster.process(id).map(|process| process.group) else { return };
        let Some(application) = self.applications.get(&group).filter(|one| one.rules.managed) else { return };
        let Some(rules) = application.processes.get(&id) else { return };
        let strategy = rules.running_failure;
        // A start that has failed is the sequencer's, but where the application is to be stopped (V-423, V-726).
        if self.sequencer.is_started_now(id) && strategy != RunningFailure::StopApplication {
            return;
        }
        if daemon.state() != SupervisorState::Running || self.wish.is_some() {
            return;
        }
        let name = daemon.roster.namespec(id).unwrap_or_default();
        match strategy {
            RunningFailure::Continue | RunningFailure::RestartProcess => return,
            RunningFailure::Shutdown => self.ask(Wish::Shutdown, daemon),
            RunningFailure::Restart => self.ask(Wish::Restart, daemon),
            _ => self.failures.note(group, strategy, now.mono),
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
            // First, for what it is done with lets the rest go on.
            let has_run = self.run_sequencer(daemon, now, host);
            let has_moved = self.move_phase(daemon, now);
            let sequencer = &self.sequencer;
            let cures = self.failures.due(now.mono, |application| sequencer.is_busy(application));
            let has_cured = !cures.is_empty();
            for cure in cures {
                self.cure(cure, daemon);
            }
            if !has_run && !has_moved && !has_cured {
                return;
            }
        }
    }

    fn cure(&mut self, cure: Cure, daemon: &mut Daemon) {
        let (Cure::Stop(id) | Cure::Restart(id) | Cure::LeaveAlone(id)) = cure;
        let Some(name) = daemon.roster.group(id).map(|group| group.name().to_string()) else { return };
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
        let facts = Facts {
            is_synchronised: self.is_synchronised(now.mono),
            is_starting: !self.sequencer.is_starting_nothing(),
            is_stopping: !self.sequencer.is_stopping_nothing(),
        };
        let next = self.phase.next(facts);
        if next == self.phase {
            return false;
        }
        self.phase = next;
        if self.supvisors().is_some() {
            activity!(Info, "Supvisors is in state {}", next.name());
        }
        if next == Phase::Distribution && daemon.state() == SupervisorState::Running {
            let ticket = self.sequencer.ticket();
            self.plan_applications(ticket, daemon);
        }
        true
    }

    /// Whether the synchronisation may end. Alone there is nobody to wait for, but a user who wants to be asked.
    fn is_synchronised(&self, now: Mono) -> bool {
        let Some(supvisors) = self.supvisors() else { return true };
        let options = &supvisors.options;
        let is_alone = supvisors.instances.all.len() <= 1;
        let own = supvisors.instances.own();
        let is_own = |name: &String| own.is_some_and(|own| own.identifier == *name || own.nick == *name);
        let is_met = |synchro: &Synchro| match synchro {
            Synchro::Strict => is_alone,
            Synchro::List => is_alone,
            Synchro::Core => options.core_identifiers.0.iter().all(is_own),
            Synchro::Timeout => false,
            Synchro::User => self.is_synchronised_by_user,
        };
        let synchros = &options.synchro_options.0;
        let waits_for_user = synchros.contains(&Synchro::User);
        let is_late = synchros.contains(&Synchro::Timeout) && self.synchro_timeout().is_some_and(|at| at <= now);
        synchros.iter().any(is_met) || is_late || (is_alone && !waits_for_user)
    }

    fn synchro_timeout(&self) -> Option<Mono> {
        let options = &self.supvisors()?.options;
        let secs = u64::try_from(options.synchro_timeout.0).ok()?;
        options.synchro_options.0.contains(&Synchro::Timeout).then(|| self.began.mono.after(Duration::from_secs(secs)))
    }

    /// Somebody ends the synchronisation.
    pub fn end_synchronisation(&mut self) {
        self.is_synchronised_by_user = true;
    }

    /// Asks for the end of everything, or for a new beginning: all is stopped in sequence first (V-450).
    pub fn ask(&mut self, wish: Wish, daemon: &mut Daemon) {
        let before = self.phase;
        self.phase = self.phase.wished(wish);
        if self.phase == before || self.phase == Phase::Final {
            return;
        }
        self.wish = Some(if self.phase == Phase::Restarting { Wish::Restart } else { Wish::Shutdown });
        if before < Phase::Restarting {
            self.sequencer.abort();
            self.plan_stop_of_all(false, daemon);
        }
    }

    /// The daemon ends for another reason: what is managed is stopped in sequence all the same, before the rest.
    fn follow_the_end(&mut self, daemon: &mut Daemon) {
        if daemon.state() == SupervisorState::Running || self.is_ending {
            return;
        }
        self.is_ending = true;
        if self.wish.is_none() {
            self.phase =
                if daemon.state() == SupervisorState::Restarting { Phase::Restarting } else { Phase::ShuttingDown };
            self.sequencer.abort();
            self.plan_stop_of_all(true, daemon);
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
