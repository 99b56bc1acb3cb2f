//! What the sequencer wants is done through the daemon, and what it asks is answered.

use std::time::Duration;

use super::place::Pending;
use super::{Fleet, TICK};
use crate::clock::Now;
use crate::config::fleet::{StartingFailure, StartingStrategy};
use crate::config::{Ready, RunType};
use crate::daemon::{Daemon, Host, Proc};
use crate::id::{PeerId, ProcId};
use crate::model::fleet::sequencer::{Again, Command, Facts, Start, Stop, Ticket};
use crate::model::fleet::view::{AppId, TaskId};
use crate::state::{ProcessState, SupervisorState};

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
        let commands = sequencer.next(now.mono, &|id, peer| self.facts(daemon, id, peer));
        self.sequencer = sequencer;
        self.started += commands.iter().filter(|command| matches!(command, Command::Start(..))).count();
        let has_some = !commands.is_empty();
        let mut stops = Vec::new();
        let mut pending = self.pending_but(&commands);
        for command in commands {
            match command {
                Command::Start(id, strategy) => self.start_now((id, strategy), &mut pending, daemon, now, host),
                Command::Stop(id, peer) if peer == self.own => stops.extend(self.local(id)),
                Command::Stop(id, peer) => self.command_stop(peer, id),
                Command::GiveUp { process, shown, reason } => {
                    let name = self.view.namespec(process).unwrap_or_default();
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
        self.stop_here(&stops, daemon, now, host);
        has_some
    }

    /// Stops processes of this instance.
    pub(super) fn stop_here(&mut self, ids: &[ProcId], daemon: &mut Daemon, now: Now, host: &mut dyn Host) {
        for id in ids {
            daemon.keep_down(*id);
            // One that waits is never up, and would start once what it waits for is there.
            daemon.give_up_wait(*id, now);
        }
        if daemon.stops_in_order() {
            daemon.stop_in_order(ids, now);
            return;
        }
        for id in ids {
            // A signal that cannot be sent makes the process UNKNOWN, which counts as stopped.
            let _ = daemon.stop_process(*id, now, host);
        }
    }

    /// What the sequencer looks at: a process on an instance, or where it is being started.
    fn facts(&self, daemon: &Daemon, id: TaskId, peer: Option<PeerId>) -> Option<Facts> {
        let task = self.view.task(id)?;
        let target = self.targets.get(&id);
        let is_refused = self.refused.contains(&id);
        let is_stop = peer.is_some();
        let Some(peer) = peer.or(target.map(|target| target.peer)) else {
            let facts = Facts {
                state: task.shown(),
                expected: task.expected(),
                came_up: true,
                is_pending: self.local(id).is_some_and(|id| daemon.is_waiting(id)),
                is_refused,
                started: 0,
            };
            return Some(facts);
        };
        // What is stopped is what runs, however it is shown: one that was given up may go on.
        let forced = task.forced.as_ref().filter(|_| !is_stop).map(|forced| forced.state);
        if peer == self.own {
            let id = self.local(id)?;
            let machine = &daemon.roster.process(id)?.machine;
            return Some(Facts {
                state: forced.unwrap_or(machine.state()),
                expected: machine.runs().spawn_error().is_empty(),
                came_up: machine.runs().came_up(),
                is_pending: daemon.is_waiting(id) || daemon.is_to_stop(id),
                is_refused: is_refused || daemon.is_refused(id),
                started: machine.runs().started().map_or(0, |at| at.0),
            });
        }
        let record = &task.on(peer)?.record;
        let is_unseen = target.is_some_and(|target| target.peer == peer && target.before.is_some());
        Some(Facts {
            state: forced.unwrap_or(record.state),
            expected: record.expected,
            came_up: record.came_up,
            is_pending: is_unseen || record.is_pending,
            is_refused,
            started: record.started,
        })
    }

    fn start_again(&mut self, application: AppId, again: Again, ticket: Ticket, daemon: &mut Daemon) {
        if daemon.state() != SupervisorState::Running {
            return;
        }
        match again {
            Again::Application(strategy) => self.plan_start(application, strategy, ticket, ticket.0, false, daemon),
            Again::Processes(strategy, ids) => self.plan_processes(&ids, strategy, ticket, daemon),
        }
    }

    /// What is expected of starts that are not seen yet, without those that are about to begin anew. Found once for all of
    /// them: there may be as many under way as there are processes.
    fn pending_but(&mut self, commands: &[Command]) -> Pending {
        let starts = commands.iter().filter_map(|command| match command {
            Command::Start(id, _) => Some(id),
            _ => None,
        });
        let mut has_any = false;
        for id in starts {
            has_any = true;
            self.targets.remove(id);
        }
        if has_any { self.pending() } else { Pending::new() }
    }

    /// Starts a process where there is a place for it (V-382, V-264), and adds to what is pending.
    fn start_now(
        &mut self,
        (id, strategy): (TaskId, StartingStrategy),
        pending: &mut Pending,
        daemon: &mut Daemon,
        now: Now,
        host: &mut dyn Host,
    ) {
        self.view.release(id);
        self.refused.remove(&id);
        let Some(peer) = self.place(id, strategy, pending) else {
            return self.refuse(id, NO_PLACE, now);
        };
        self.target(id, peer, now);
        *pending.entry(peer).or_default() += self.rules_of(id).map_or(0, |rules| rules.expected_loading);
        if peer != self.own {
            if !self.command_start(peer, id) {
                self.refuse(id, NO_PLACE, now);
            }
            return;
        }
        // What cannot be started has been refused.
        let _ = self.start_here(id, daemon, now, host);
    }

    /// Starts a process of this instance, if there is a program for it.
    ///
    /// Errors: there is none; it is shown as given up.
    pub(super) fn start_here(
        &mut self,
        task: TaskId,
        daemon: &mut Daemon,
        now: Now,
        host: &mut dyn Host,
    ) -> Result<(), String> {
        let Some(id) = self.local(task) else { return Err("it is not known there".to_string()) };
        if daemon.is_disabled(id) {
            return Err("it is disabled there".to_string());
        }
        if daemon.roster.process(id).is_some_and(|process| !process.machine.state().is_stopped()) {
            return Ok(());
        }
        if let Err(problem) = daemon.find_command(id, host) {
            self.refuse(task, &problem.to_string(), now);
            return Err(problem.to_string());
        }
        if daemon.wait_to_start(id, now) {
            self.amend_own(daemon, task, now);
            return Ok(());
        }
        daemon.start_process(id, now, host);
        if daemon.roster.process(id).is_some_and(|process| process.config.program.startsecs <= 0) {
            daemon.transition(id, now, host);
        }
        Ok(())
    }

    pub(super) fn refuse(&mut self, id: TaskId, reason: &str, now: Now) {
        let name = self.view.namespec(id).unwrap_or_default();
        activity!(Error, "{name} is not started: {reason}");
        self.refused.insert(id);
        self.force(id, ProcessState::Fatal, reason, now);
    }

    /// How a process is to be started; alone its exit is not waited for (V-261).
    pub(super) fn start_of(
        &self,
        daemon: &Daemon,
        id: TaskId,
        strategy: Option<StartingStrategy>,
        is_alone: bool,
    ) -> Option<Start> {
        let task = self.view.task(id)?;
        let rules = self.rules_of(id)?;
        let default = self.applications.get(&task.app)?.rules.starting_strategy;
        let here = self.local(id).and_then(|id| daemon.roster.process(id));
        let is_oneshot = here.is_some_and(|process| process.config.program.run_type == RunType::Oneshot);
        let waits_for_exit = is_oneshot || (rules.wait_exit && !is_alone);
        let on_failure = if rules.required { rules.starting_failure } else { StartingFailure::Continue };
        // What says itself that it is ready has a time of its own for that, as a one-shot has.
        let is_limited = here.is_none_or(|process| process.config.ready == Ready::Startsecs) && !is_oneshot;
        let startsecs = task.known().first().map_or(0, |known| known.record.startsecs);
        let exit_secs = rules.wait_exit_secs;
        Some(Start {
            process: id,
            rank: rules.start_sequence,
            waits_for_exit,
            strategy: strategy.unwrap_or(default),
            on_failure,
            starting_limit: is_limited.then(|| limit(startsecs) + here.map_or(Duration::ZERO, hook_time)),
            exit_limit: (exit_secs > 0 && rules.wait_exit).then(|| Duration::from_secs(exit_secs)),
        })
    }

    /// How a process is to be stopped on an instance.
    pub(super) fn stop_of(&self, daemon: &Daemon, id: TaskId, peer: PeerId) -> Option<Stop> {
        let rank = self.rules_of(id)?.stop_sequence.max(0);
        let here = self.local(id).and_then(|id| daemon.roster.process(id)).filter(|_| peer == self.own);
        let limit = match here {
            Some(process) => {
                let program = &process.config.program;
                let steps = (0..).map_while(|at| program.stopsignal.step(at)).count();
                let steps = i64::try_from(steps).unwrap_or(i64::MAX).max(1);
                limit(program.stopwaitsecs.saturating_mul(steps).min(STOP_SECS_MAX)) + hook_time(process)
            }
            None => limit(self.view.task(id)?.on(peer)?.record.stopwaitsecs.min(STOP_SECS_MAX)),
        };
        Some(Stop { process: id, peer, rank, limit })
    }
}

/// What the hooks of a start or a stop may take.
fn hook_time(process: &Proc) -> Duration {
    let config = &process.config;
    let hooks = [&config.pre_start_hook, &config.pre_stop_hook, &config.stop_command];
    let count = hooks.iter().filter(|hook| hook.is_some()).count();
    config.program.hook_timeout.0 * u32::try_from(count).unwrap_or(0)
}
