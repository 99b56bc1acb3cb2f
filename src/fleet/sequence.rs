//! What the sequencer wants is done through the daemon, and what it asks is answered.

use std::time::Duration;

use super::{Fleet, Forced};
use crate::clock::Now;
use crate::config::fleet::{Distribution, EVERYWHERE, ProcessRules, Spread, StartingStrategy};
use crate::config::{self, Ready, RunType};
use crate::daemon::{Daemon, Host, Proc};
use crate::id::{GroupId, ProcId};
use crate::model::fleet::placement::{Candidate, LOAD_MAX, choose};
use crate::model::fleet::sequencer::{Again, Command, Facts, Start, Stop, Ticket};
use crate::state::{ProcessState, SupervisorState};

/// Seconds of a tick (V-101).
pub(super) const TICK: u64 = 5;

/// Ticks by which what is waited for may be late (V-386).
const MARGIN: u64 = 2;

/// Seconds that a stop may take at most, a day: what is configured may be any number.
const STOP_SECS_MAX: i64 = 86_400;

/// Why a process has no place (V-355).
pub const NO_PLACE: &str = "No resource available";

/// Whole ticks for so many seconds, and the margin.
fn limit(secs: i64) -> Duration {
    let secs = u64::try_from(secs).unwrap_or(0);
    Duration::from_secs((secs.div_ceil(TICK) + MARGIN) * TICK)
}

impl Fleet {
    /// Lets the sequencer go on, and does what it wants; says whether there was something.
    pub(super) fn run_sequencer(&mut self, daemon: &mut Daemon, now: Now, host: &mut dyn Host) -> bool {
        let mut sequencer = std::mem::take(&mut self.sequencer);
        let commands = sequencer.next(now.mono, &|id| self.facts(daemon, id));
        self.sequencer = sequencer;
        self.started += commands.iter().filter(|command| matches!(command, Command::Start(_))).count();
        let has_some = !commands.is_empty();
        let mut stops = Vec::new();
        for command in commands {
            match command {
                Command::Start(id) => self.start_now(daemon, id, now, host),
                Command::Stop(id) => stops.push(id),
                Command::GiveUp { process, shown, reason } => {
                    let name = daemon.roster.namespec(process).unwrap_or_default();
                    activity!(Error, "{name}: {reason}");
                    self.force(process, shown, reason, now);
                }
                Command::StopApplication(application, tickets) => {
                    let ticket = tickets.first().copied().unwrap_or_else(|| self.sequencer.ticket());
                    self.plan_stop(application, None, ticket, ticket.0, daemon);
                }
                Command::StartAgain(application, again, tickets) => {
                    let ticket = tickets.first().copied().unwrap_or_else(|| self.sequencer.ticket());
                    self.start_again(application, again, ticket, daemon);
                }
            }
        }
        for id in &stops {
            daemon.keep_down(*id);
        }
        if daemon.stops_in_order() {
            daemon.stop_in_order(&stops, now);
        } else {
            for id in stops {
                // A signal that cannot be sent makes the process UNKNOWN, which counts as stopped.
                let _ = daemon.stop_process(id, now, host);
            }
        }
        has_some
    }

    /// What the sequencer looks at.
    fn facts(&self, daemon: &Daemon, id: ProcId) -> Option<Facts> {
        let process = daemon.roster.process(id)?;
        let machine = &process.machine;
        let forced = self.forced.get(&id);
        Some(Facts {
            state: forced.map_or(machine.state(), |forced| forced.state),
            expected: machine.runs().spawn_error().is_empty(),
            came_up: machine.runs().came_up(),
            is_pending: daemon.is_waiting(id) || daemon.is_to_stop(id),
            is_refused: self.refused.contains(&id) || daemon.is_refused(id),
        })
    }

    /// What would become of starts, in this order, if each succeeded: whether there is a place for each (V-365). Nothing
    /// changes.
    pub fn rehearse(&mut self, daemon: &Daemon, ids: &[ProcId], strategy: StartingStrategy) -> Vec<(ProcId, bool)> {
        let assigned = self.assigned.clone();
        let mut more = 0;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let has_place = self.place(daemon, *id, Some(strategy), more).is_some();
            if has_place {
                more += self.rules_of(daemon, *id).map_or(0, |rules| rules.expected_loading);
            }
            found.push((*id, has_place));
        }
        self.assigned = assigned;
        found
    }

    fn start_again(&mut self, application: GroupId, again: Again, ticket: Ticket, daemon: &mut Daemon) {
        if daemon.state() != SupervisorState::Running {
            return;
        }
        match again {
            Again::Application => self.plan_start(application, ticket, ticket.0, false, daemon),
            Again::Processes(ids) => {
                for id in ids {
                    self.plan_process(id, ticket, daemon);
                }
            }
        }
    }

    /// Starts a process, if there is a place for it and a program (V-382, V-264).
    fn start_now(&mut self, daemon: &mut Daemon, id: ProcId, now: Now, host: &mut dyn Host) {
        self.forced.remove(&id);
        self.refused.remove(&id);
        if self.place(daemon, id, None, 0).is_none() {
            return self.refuse(id, NO_PLACE, now, daemon);
        }
        if let Err(problem) = daemon.find_command(id, host) {
            return self.refuse(id, &problem.to_string(), now, daemon);
        }
        if daemon.wait_to_start(id, now) {
            return;
        }
        daemon.start_process(id, now, host);
        if daemon.roster.process(id).is_some_and(|process| process.config.program.startsecs <= 0) {
            daemon.transition(id, now, host);
        }
    }

    fn refuse(&mut self, id: ProcId, reason: &str, now: Now, daemon: &Daemon) {
        let name = daemon.roster.namespec(id).unwrap_or_default();
        activity!(Error, "{name} is not started: {reason}");
        self.refused.insert(id);
        self.force(id, ProcessState::Fatal, reason, now);
    }

    pub(super) fn force(&mut self, id: ProcId, state: ProcessState, reason: &str, now: Now) {
        self.forced.insert(id, Forced { state, reason: reason.to_string(), at: now.mono });
    }

    /// The instance on which a process would be started, beside what takes so much already (V-350 to V-355).
    pub fn place(
        &mut self,
        daemon: &Daemon,
        id: ProcId,
        strategy: Option<StartingStrategy>,
        more: i64,
    ) -> Option<usize> {
        let process = daemon.roster.process(id)?;
        let group = process.group;
        let application = self.applications.get(&group)?;
        let rules = application.processes.get(&id)?;
        let (expected, strategy) = (rules.expected_loading, strategy.unwrap_or(application.rules.starting_strategy));
        let is_spread = application.rules.distribution == Distribution::AllInstances;
        if daemon.is_disabled(id)
            || !(if is_spread { self.may_run_here(daemon, id) } else { self.fits_whole(daemon, group) })
        {
            return None;
        }
        // What takes nothing has room everywhere: most rules say nothing of a load, and there are as many as processes.
        let load = if expected == 0 { 0 } else { self.load(daemon) + more };
        choose(strategy, &[Candidate { instance: 0, load, node_load: load }], expected, 0)
    }

    /// Whether the rule of a process allows this instance. What `@` and `#` give out is given out when it is first needed
    /// (V-82).
    fn may_run_here(&mut self, daemon: &Daemon, id: ProcId) -> bool {
        let Some(rules) = self.rules_of(daemon, id) else { return false };
        let names_us = self.names_us(&rules.identifiers);
        if rules.spread == Spread::All || !names_us {
            return names_us;
        }
        if !self.assigned.contains_key(&id) {
            self.assign(daemon, id);
        }
        self.assigned.get(&id) == Some(&true)
    }

    /// Whether this instance takes an application that is not spread: it is allowed, and has room for all that is not up yet
    /// (V-360, V-363).
    fn fits_whole(&self, daemon: &Daemon, group: GroupId) -> bool {
        let Some(application) = self.applications.get(&group) else { return false };
        let name = daemon.roster.group(group).map_or("", |group| group.name());
        let is_allowed = self.names_us(&self.identifiers_of(name, &application.rules));
        let is_up = |id: ProcId| {
            daemon.roster.process(id).is_some_and(|process| process.machine.state().is_running())
                || daemon.is_waiting(id)
        };
        let missing = application.processes.iter().filter(|(id, rules)| rules.start_sequence > 0 && !is_up(**id));
        let missing: i64 = missing.map(|(_, rules)| rules.expected_loading).sum();
        let is_whole = !application.processes.keys().any(|id| daemon.is_disabled(*id));
        is_allowed && is_whole && (missing == 0 || self.load(daemon) + missing <= LOAD_MAX)
    }

    /// Gives out the only instance there is among the processes of a program: with `#` to all, with `@` to the first.
    fn assign(&mut self, daemon: &Daemon, id: ProcId) {
        let Some(process) = daemon.roster.process(id) else { return };
        let (group, program) = (process.group, process.config.program.name.clone());
        let Some(application) = self.applications.get(&group) else { return };
        let mut same: Vec<(i64, ProcId, Spread)> = application
            .processes
            .iter()
            .filter_map(|(id, rules)| Some((daemon.roster.process(*id)?, *id, rules.spread)))
            .filter(|(process, _, spread)| *spread != Spread::All && process.config.program.name == program)
            .map(|(process, id, spread)| (process.config.number, id, spread))
            .collect();
        same.sort_by_key(|(number, id, _)| (*number, *id));
        let mut is_taken =
            same.iter().any(|(_, id, spread)| *spread == Spread::At && self.assigned.get(id) == Some(&true));
        for (_, id, spread) in same {
            let gets_it = spread == Spread::Hash || !is_taken;
            let gets_it = *self.assigned.entry(id).or_insert(gets_it);
            is_taken |= gets_it && spread == Spread::At;
        }
    }

    /// Whether a list of instances has this one: by identifier, nick or stereotype (V-4).
    pub(super) fn names_us(&self, list: &[String]) -> bool {
        let Some(supvisors) = self.supvisors() else { return true };
        let own = supvisors.instances.own();
        list.iter().any(|name| {
            name == EVERYWHERE
                || own.is_some_and(|own| own.identifier == *name || own.nick == *name)
                || supvisors.options.stereotypes.0.contains(name)
        })
    }

    /// What is expected of all that runs, and of what is about to (V-351, V-352).
    pub fn load(&self, daemon: &Daemon) -> i64 {
        let counts = |id: ProcId| {
            daemon.roster.process(id).is_some_and(|process| process.machine.state().is_running())
                || daemon.is_waiting(id)
        };
        self.loads.iter().filter(|(id, _)| counts(*id)).map(|(_, load)| load).sum()
    }

    pub(super) fn rules_of(&self, daemon: &Daemon, id: ProcId) -> Option<&ProcessRules> {
        let group = daemon.roster.process(id)?.group;
        self.applications.get(&group)?.processes.get(&id)
    }

    /// How a process is to be started; alone its exit is not waited for (V-261).
    pub(super) fn start_of(&self, daemon: &Daemon, id: ProcId, is_alone: bool) -> Option<Start> {
        let process = daemon.roster.process(id)?;
        let rules = self.rules_of(daemon, id)?;
        let is_oneshot = process.config.program.run_type == RunType::Oneshot;
        let waits_for_exit = is_oneshot || (rules.wait_exit && !is_alone);
        let on_failure = if rules.required { rules.starting_failure } else { config::fleet::StartingFailure::Continue };
        // What says itself that it is ready has a time of its own for that, as a one-shot has.
        let is_limited = process.config.ready == Ready::Startsecs && !is_oneshot;
        let exit_secs = rules.wait_exit_secs;
        Some(Start {
            process: id,
            rank: rules.start_sequence,
            waits_for_exit,
            on_failure,
            starting_limit: is_limited.then(|| limit(process.config.program.startsecs) + hook_time(process)),
            exit_limit: (exit_secs > 0 && rules.wait_exit).then(|| Duration::from_secs(exit_secs)),
        })
    }

    /// How a process is to be stopped.
    pub(super) fn stop_of(&self, daemon: &Daemon, id: ProcId) -> Option<Stop> {
        let process = daemon.roster.process(id)?;
        let rank = self.rules_of(daemon, id)?.stop_sequence.max(0);
        let program = &process.config.program;
        let steps = (0..).map_while(|at| program.stopsignal.step(at)).count();
        let steps = i64::try_from(steps).unwrap_or(i64::MAX).max(1);
        let limit = limit(program.stopwaitsecs.saturating_mul(steps).min(STOP_SECS_MAX)) + hook_time(process);
        Some(Stop { process: id, rank, limit })
    }
}

/// What the hooks of a start or a stop may take.
fn hook_time(process: &Proc) -> Duration {
    let config = &process.config;
    let hooks = [&config.pre_start_hook, &config.pre_stop_hook, &config.stop_command];
    let count = hooks.iter().filter(|hook| hook.is_some()).count();
    config.program.hook_timeout.0 * u32::try_from(count).unwrap_or(0)
}
