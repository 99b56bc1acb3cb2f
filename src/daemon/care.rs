//! Looking after children: readiness, health, watchdogs, memory, and the hooks at the turns of their lives (O-3 to O-6).
//!
//! Only processes with such an option have anything here, and it is theirs alone: a [`Watched`] each, with a few moments
//! of which the earliest stands in an agenda. What is decided goes into the process's machine as an event; hooks and
//! probes that are commands are children, found again by their pid when they end.

use std::collections::VecDeque;
use std::time::Duration;

use super::agenda::{Agenda, Due};
use super::environment::path_of;
use super::host::{Host, Launch};
use super::{Daemon, Proc};
use crate::clock::{Mono, Now, earliest};
use crate::config::{self, Cure, MemoryAction, MemoryOf, NotifyAccess, Probe, Ready};
use crate::exit::ExitStatus;
use crate::id::{Channel, IdMap, Pid, ProcId};
use crate::logs::LogPlan;
use crate::model::event;
use crate::model::health::{Change, Health, LineWatch, State};
use crate::model::hook::Hook;
use crate::model::process::Event;
use crate::state::ProcessState;
use crate::wire::notify::{Message, Pulse, cleaned};
use crate::wire::words;

/// Probes that are under way at a time; the others wait for their turn. Each may be a child.
pub const PROBES_MAX: usize = 16;

/// What a child beside a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Hook(Hook),
    Probe,
    /// A command that answers to a change of health.
    Action,
    /// Nobody waits for it any more.
    Dropped,
}

/// A child beside a process.
#[derive(Clone, Debug)]
struct Helper {
    process: ProcId,
    purpose: Purpose,
    /// The last line of what it wrote.
    line: Vec<u8>,
}

/// A probe under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// The child, if it is a command.
    pid: Option<Pid>,
    until: Mono,
}

/// What is watched of one process.
#[derive(Clone, Debug, Default)]
struct Watched {
    /// The child that all this is about.
    pid: Option<Pid>,
    /// Whether that child is RUNNING.
    runs: bool,
    hook: Option<(Pid, Mono)>,
    asked: Option<Asked>,
    /// It waits for its turn to be asked.
    queued: bool,
    next_probe: Option<Mono>,
    watchdog: Option<(Duration, Mono)>,
    memory_at: Option<Mono>,
    /// The last look found too much.
    is_over: bool,
    health: Health,
    status_text: String,
    /// It has said that it reloads, and not yet that it is done.
    reloads: bool,
    lines: [LineWatch; 2],
    /// A message of somebody unknown was told of.
    warned: bool,
}

impl Watched {
    fn deadline(&self) -> Option<Mono> {
        earliest(&[
            self.hook.map(|(_, until)| until),
            self.asked.map(|asked| asked.until),
            self.next_probe.filter(|_| self.asked.is_none() && !self.queued),
            self.watchdog.map(|(_, until)| until),
            self.memory_at,
        ])
    }
}

/// All that is looked after.
#[derive(Default)]
pub struct Care {
    watched: IdMap<ProcId, Box<Watched>>,
    helpers: IdMap<i32, Helper>,
    agenda: Agenda,
    probes: usize,
    /// Who waits to be asked, each at most once.
    queue: VecDeque<ProcId>,
}

impl Care {
    /// When something is due; `None` is never.
    pub(super) fn deadline(&self, now: Mono) -> Option<Mono> {
        self.agenda.next(now)
    }

    /// Whether hooks run.
    pub(super) fn has_hooks(&self) -> bool {
        self.helpers.values().any(|helper| matches!(helper.purpose, Purpose::Hook(_)))
    }
}

/// Whether anything of a process is to be watched while it has a child.
fn is_watched(config: &config::Process) -> bool {
    config.ready != Ready::Startsecs
        || config.liveness_check_script.is_some()
        || !config.program.watchdog_sec.0.is_zero()
        || config.program.memory_limit.0 > 0
}

impl Daemon {
    /// The health of a process, if it is checked, and what it last said of itself.
    pub fn care_of(&self, id: ProcId) -> Option<(&Health, &str)> {
        self.care.watched.get(&id).map(|watched| (&watched.health, watched.status_text.as_str()))
    }

    /// Whether its last liveness checks passed, or it has none.
    pub fn is_healthy(&self, id: ProcId) -> bool {
        let Some(process) = self.roster.process(id) else { return false };
        process.config.liveness_check_script.is_none()
            || self.care.watched.get(&id).is_some_and(|watched| watched.health.state == State::Healthy)
    }

    /// Whether a pid is that of a hook or a probe.
    pub fn is_helper(&self, pid: Pid) -> bool {
        self.care.helpers.contains_key(&pid.0)
    }

    /// Brings what is watched up to date with the state of a process.
    pub(super) fn look_after(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        if !self.care.watched.contains_key(&id) && !is_watched(&process.config) {
            return;
        }
        let (config, machine) = (process.config.clone(), &process.machine);
        let (state, pid, is_cut) = (machine.state(), machine.pid(), machine.is_cut());
        let watched = self.care.watched.entry(id).or_default();
        let lives = matches!(state, ProcessState::Starting | ProcessState::Running) && !is_cut;
        let pid = pid.filter(|_| lives);
        let runs = pid.is_some() && state == ProcessState::Running;
        if (watched.pid, watched.runs) == (pid, runs) {
            return self.reschedule_care(id, now);
        }
        if watched.pid != pid {
            let (hook, health) = (watched.hook, std::mem::take(&mut watched.health));
            self.drop_probe(id, host);
            let watched = self.care.watched.entry(id).or_default();
            **watched = Watched { pid, hook, ..Watched::default() };
            // What was last known is shown until there is a new child.
            if pid.is_none() {
                watched.health = health;
            } else if !runs && matches!(config.ready, Ready::Probe(_)) {
                watched.next_probe = Some(now.mono);
            }
        }
        if runs {
            self.drop_probe(id, host);
            let (program, mono) = (&config.program, now.mono);
            let watched = self.care.watched.entry(id).or_default();
            watched.runs = true;
            let delay = program.liveness_check_initial_delay.0;
            watched.next_probe = config.liveness_check_script.as_ref().map(|_| mono.after(delay));
            let period = program.watchdog_sec.0;
            watched.watchdog = (!period.is_zero()).then(|| (period, mono.after(period)));
            let interval = program.memory_limit_interval.0;
            watched.memory_at = (program.memory_limit.0 > 0).then(|| mono.after(interval));
            if config.ready != Ready::Startsecs && self.bus.wants(crate::eventtype::EventType::SthenoReady) {
                if let Some((subject, pid)) = self.subject(id) {
                    let event = event::Event::ready(subject, pid, config.ready.kind());
                    self.bus.emit(event);
                }
            }
        }
        self.reschedule_care(id, now);
    }

    fn reschedule_care(&mut self, id: ProcId, now: Now) {
        let Some(watched) = self.care.watched.get(&id) else { return self.care.agenda.forget(id) };
        let due = watched.deadline().map_or(Due::Never, Due::At);
        self.care.agenda.set(id, due, now.mono);
    }

    /// A process is gone.
    pub(super) fn forget_care(&mut self, id: ProcId, host: &mut dyn Host) {
        if self.care.watched.contains_key(&id) {
            self.drop_hook(id, host);
            self.drop_probe(id, host);
            self.care.watched.remove(&id);
            self.care.agenda.forget(id);
        }
    }

    /// Does what is due.
    pub(super) fn care_deadlines(&mut self, now: Now, host: &mut dyn Host) {
        for id in self.care.agenda.take_due(now.mono) {
            self.care_deadline(id, now, host);
            self.reschedule_care(id, now);
        }
    }

    fn care_deadline(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        let (config, hook) = (process.config.clone(), process.machine.hook());
        let Some(watched) = self.care.watched.get_mut(&id) else { return };
        let is_due = |at: Option<Mono>| at.is_some_and(|at| at <= now.mono);
        if is_due(watched.hook.map(|(_, until)| until)) {
            self.drop_hook(id, host);
            if let Some(hook) = hook {
                let secs = config.program.hook_timeout.0.as_secs_f64();
                self.hook_ended(id, hook, Err(format!("not done within {secs} seconds")), now, host);
            }
            return;
        }
        if is_due(watched.asked.map(|asked| asked.until)) {
            self.drop_probe(id, host);
            self.judged(id, Err("timed out".to_string()), now, host);
            return;
        }
        if is_due(watched.watchdog.map(|(_, until)| until))
            && let Some((period, until)) = watched.watchdog
        {
            // We were not there ourselves.
            if now.mono.since(until) > period / 2 {
                watched.watchdog = Some((period, now.mono.after(period)));
            } else {
                watched.watchdog = None;
                let secs = period.as_secs_f64();
                self.silent(id, format!("has not said WATCHDOG=1 within {secs} seconds"), now, host);
                return;
            }
        }
        if is_due(watched.memory_at) {
            self.look_at_memory(id, &config, now, host);
        }
        let Some(watched) = self.care.watched.get_mut(&id) else { return };
        if watched.asked.is_none() && !watched.queued && is_due(watched.next_probe) {
            watched.queued = true;
            self.care.queue.push_back(id);
            self.ask_next(now, host);
        }
    }

    fn silent(&mut self, id: ProcId, why: String, now: Now, host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        let signal = crate::signal::name(process.config.program.watchdog_signal.0);
        activity!(Warn, "{} {why}, sending {signal}", process.config.name);
        let _ = self.step(id, Event::Silent, now, host);
    }

    fn look_at_memory(&mut self, id: ProcId, config: &config::Process, now: Now, host: &mut dyn Host) {
        let program = &config.program;
        let Some(watched) = self.care.watched.get_mut(&id) else { return };
        let Some(pid) = watched.pid else { return };
        watched.memory_at = Some(now.mono.after(program.memory_limit_interval.0));
        let limit = u64::try_from(program.memory_limit.0).unwrap_or(0);
        let used = host.memory(pid, program.memory_limit_of == MemoryOf::Tree).unwrap_or(0);
        // One reading may be a peak.
        let was_over = std::mem::replace(&mut watched.is_over, used > limit);
        if used <= limit || !was_over {
            return;
        }
        let reason = format!("Uses {} KiB of memory, more than {} KiB", used / 1024, limit / 1024);
        let name = &config.name;
        let action = match program.memory_limit_action {
            MemoryAction::Restart => "restarting",
            MemoryAction::Stop => "stopping",
            MemoryAction::None => "which is only told",
        };
        activity!(Warn, "{name} uses {} KiB of memory, more than {} KiB, {action}", used / 1024, limit / 1024);
        watched.is_over = false;
        if program.memory_limit_action != MemoryAction::None {
            let again = program.memory_limit_action == MemoryAction::Restart;
            let _ = self.step(id, Event::Unfit { reason, again }, now, host);
        }
    }

    /// Asks whoever waits for it, as far as there is room.
    fn ask_next(&mut self, now: Now, host: &mut dyn Host) {
        while self.care.probes < PROBES_MAX
            && let Some(id) = self.care.queue.pop_front()
        {
            let Some(watched) = self.care.watched.get_mut(&id) else { continue };
            if !std::mem::replace(&mut watched.queued, false) || watched.pid.is_none() {
                continue;
            }
            self.ask(id, now, host);
            self.reschedule_care(id, now);
        }
    }

    fn ask(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        let config = process.config.clone();
        let Some(watched) = self.care.watched.get_mut(&id) else { return };
        let program = &config.program;
        let (probe, period, timeout) = match (&config.ready, &config.liveness_check_script) {
            (_, Some(probe)) if watched.runs => {
                (probe, program.liveness_check_period.0, program.liveness_check_timeout.0)
            }
            (Ready::Probe(probe), _) if !watched.runs => {
                (probe, program.ready_interval.0, program.ready_probe_timeout.0)
            }
            _ => return watched.next_probe = None,
        };
        // Counted from here: there is no overlap, and nothing is caught up with.
        watched.next_probe = Some(now.mono.after(period));
        let until = now.mono.after(timeout);
        let answer = match probe {
            Probe::Command(command) => match self.run_helper(id, &command.0, Purpose::Probe, Vec::new(), host) {
                Ok(pid) => {
                    if let Some(watched) = self.care.watched.get_mut(&id) {
                        watched.asked = Some(Asked { pid: Some(pid), until });
                    }
                    None
                }
                Err(problem) => Some(Err(problem)),
            },
            network => {
                let answer = host.begin_probe(id, network);
                if answer.is_none() {
                    watched.asked = Some(Asked { pid: None, until });
                }
                answer
            }
        };
        match answer {
            None => self.care.probes += 1,
            Some(result) => self.judged(id, result, now, host),
        }
    }

    /// Ends the probe that is under way.
    fn drop_probe(&mut self, id: ProcId, host: &mut dyn Host) {
        let Some(watched) = self.care.watched.get_mut(&id) else { return };
        watched.queued = false;
        let Some(asked) = watched.asked.take() else { return };
        self.care.probes = self.care.probes.saturating_sub(1);
        match asked.pid {
            None => host.end_probe(id),
            Some(pid) => self.drop_helper(pid, host),
        }
    }

    fn drop_helper(&mut self, pid: Pid, host: &mut dyn Host) {
        if let Some(helper) = self.care.helpers.get_mut(&pid.0) {
            helper.purpose = Purpose::Dropped;
            let _ = host.kill(pid, libc::SIGKILL, true);
        }
    }

    /// A question of the network kind has its answer.
    pub fn probed(&mut self, id: ProcId, result: Result<(), String>, now: Now, host: &mut dyn Host) {
        let is_asked = self.care.watched.get(&id).is_some_and(|watched| watched.asked.is_some());
        if is_asked {
            self.drop_probe(id, host);
            self.judged(id, result, now, host);
            self.reschedule_care(id, now);
            self.ask_next(now, host);
        }
    }

    /// What follows from a probe.
    fn judged(&mut self, id: ProcId, result: Result<(), String>, now: Now, host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        let config = process.config.clone();
        let Some(watched) = self.care.watched.get_mut(&id) else { return };
        if !watched.runs {
            if result.is_ok() {
                watched.next_probe = None;
                let _ = self.step(id, Event::Ready, now, host);
            }
            return;
        }
        let program = &config.program;
        let good = program.liveness_check_success_threshold.0;
        let bad = program.liveness_check_failure_threshold.0;
        let Some(change) = watched.health.take(result, good, bad) else { return };
        let (failures, reason) = (watched.health.failures, watched.health.reason.clone());
        self.announce_health(id, change, &reason);
        let name = &config.name;
        if change.to == State::Healthy {
            if let Some(command) = &config.liveness_check_success_action {
                self.run_action(id, &command.0, host);
            }
            return;
        }
        let word = match &config.liveness_check_failure_action {
            Cure::Restart => ", restarting",
            Cure::Stop => ", stopping",
            Cure::None => "",
            Cure::Command(_) => ", running its command",
        };
        activity!(Warn, "{name} is not healthy ({failures} failures: {reason}){word}");
        let reason = format!("Not healthy ({failures} failures: {reason})");
        match &config.liveness_check_failure_action {
            Cure::None => {}
            Cure::Command(command) => self.run_action(id, &command.0, host),
            cure => {
                let again = *cure == Cure::Restart;
                let _ = self.step(id, Event::Unfit { reason, again }, now, host);
            }
        }
    }

    fn announce_health(&mut self, id: ProcId, change: Change, reason: &str) {
        // Conditions of others may hang on it.
        self.just_changed.push(id);
        if self.bus.wants(crate::eventtype::EventType::SthenoHealth)
            && let Some((subject, _)) = self.subject(id)
        {
            let event = event::Event::health(subject, change, reason);
            self.bus.emit(event);
        }
    }

    fn run_action(&mut self, id: ProcId, command: &str, host: &mut dyn Host) {
        if let Err(problem) = self.run_helper(id, command, Purpose::Action, Vec::new(), host) {
            activity!(Warn, "could not run {command}: {problem}");
        }
    }

    /// Runs a command beside a process, as its user and with its environment.
    fn run_helper(
        &mut self,
        id: ProcId,
        command: &str,
        purpose: Purpose,
        mut variables: Vec<(&'static str, String)>,
        host: &mut dyn Host,
    ) -> Result<Pid, String> {
        let Some((group, process)) = self.roster.member(id) else { return Err("the process is gone".to_string()) };
        let argv = words::split(command).map_err(|error| error.to_string())?;
        let word = argv.first().ok_or("the command is empty")?;
        let files = self.read_environment(id, host)?;
        let path = path_of(&process.config, files.as_ref());
        let path = host.find_command(word, path.as_deref()).map_err(|problem| problem.to_string())?;
        if let Some(pid) = process.machine.pid() {
            variables.push(("SUPERVISOR_PID", pid.0.to_string()));
        }
        let config = &process.config;
        let (group, from_files) = (group.name(), files.as_ref());
        let launch = Launch { config, group, path: &path, argv: &argv, socket: None, variables, from_files };
        let pid = host.spawn_helper(&launch).map_err(|error| error.text(&config.name))?;
        self.care.helpers.insert(pid.0, Helper { process: id, purpose, line: Vec::new() });
        Ok(pid)
    }

    /// Begins a hook; the event is what went wrong at once.
    pub(super) fn run_hook(&mut self, id: ProcId, hook: Hook, now: Now, host: &mut dyn Host) -> Option<Event> {
        self.drop_hook(id, host);
        let process = self.roster.process(id)?;
        let config = process.config.clone();
        let command = hook.command(&config)?;
        let mut variables = Vec::new();
        if hook == Hook::PostStop {
            match process.machine.last_exit() {
                Some(ExitStatus::Code(code)) => variables.push(("SUPERVISOR_EXIT_STATUS", code.to_string())),
                Some(ExitStatus::Signal { number, .. }) => {
                    variables.push(("SUPERVISOR_EXIT_SIGNAL", number.to_string()));
                }
                None => {}
            }
        }
        match self.run_helper(id, command, Purpose::Hook(hook), variables, host) {
            Ok(pid) => {
                let until = now.mono.after(config.program.hook_timeout.0);
                self.care.watched.entry(id).or_default().hook = Some((pid, until));
                None
            }
            Err(problem) => {
                activity!(Warn, "{} of {} failed: {problem}", hook.option(), config.name);
                Some(Event::HookEnded(hook, Err(problem)))
            }
        }
    }

    /// Kills the hook that runs.
    pub(super) fn drop_hook(&mut self, id: ProcId, host: &mut dyn Host) {
        let hook = self.care.watched.get_mut(&id).and_then(|watched| watched.hook.take());
        if let Some((pid, _)) = hook {
            self.drop_helper(pid, host);
        }
    }

    fn hook_ended(&mut self, id: ProcId, hook: Hook, result: Result<(), String>, now: Now, host: &mut dyn Host) {
        if let Some(process) = self.roster.process(id)
            && let Err(problem) = &result
        {
            activity!(Warn, "{} of {} failed: {problem}", hook.option(), process.config.name);
        }
        let _ = self.step(id, Event::HookEnded(hook, result), now, host);
        if self.roster.process(id).is_some_and(|process| process.machine.pid().is_none()) {
            self.close_logs(id, host);
        }
    }

    /// A hook or a probe was reaped; false if it is none.
    pub(super) fn helper_exited(&mut self, pid: Pid, status: ExitStatus, now: Now, host: &mut dyn Host) -> bool {
        let Some(helper) = self.care.helpers.remove(&pid.0) else { return false };
        host.close_helper(pid);
        let result = match status {
            ExitStatus::Code(0) => Ok(()),
            status if helper.line.is_empty() => Err(status.text()),
            status => Err(format!("{}: {}", status.text(), cleaned(&helper.line))),
        };
        let id = helper.process;
        match helper.purpose {
            Purpose::Dropped => {}
            Purpose::Action => {
                if let (Err(problem), Some(process)) = (result, self.roster.process(id)) {
                    activity!(Warn, "a command for the health of {} failed: {problem}", process.config.name);
                }
            }
            Purpose::Hook(hook) => {
                if let Some(watched) = self.care.watched.get_mut(&id) {
                    watched.hook = None;
                }
                self.hook_ended(id, hook, result, now, host);
                self.reschedule_care(id, now);
            }
            Purpose::Probe => {
                if let Some(watched) = self.care.watched.get_mut(&id) {
                    watched.asked = None;
                }
                self.care.probes = self.care.probes.saturating_sub(1);
                self.judged(id, result, now, host);
                self.reschedule_care(id, now);
                self.ask_next(now, host);
            }
        }
        true
    }

    /// What a hook writes goes into the log of its program's stderr; of a probe the last line is kept.
    pub fn helper_output(&mut self, pid: Pid, bytes: &[u8], host: &mut dyn Host) {
        let Some(helper) = self.care.helpers.get_mut(&pid.0) else { return };
        keep_last_line(&mut helper.line, bytes);
        let (id, purpose) = (helper.process, helper.purpose);
        if matches!(purpose, Purpose::Hook(_) | Purpose::Action)
            && let Some(process) = self.roster.process_mut(id)
            && let Some(log) = hook_log(id, process, host)
        {
            host.log_write(log, bytes);
        }
    }

    /// A child's line feed on its descriptor.
    pub fn ready_line(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        let _ = self.step(id, Event::Ready, now, host);
    }

    /// Looks for the text that makes a process ready.
    pub(super) fn look_for_text(&mut self, id: ProcId, channel: Channel, bytes: &[u8], now: Now, host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        let config = process.config.clone();
        let Ready::Log(text) = &config.ready else { return };
        let Some(watched) = self.care.watched.get_mut(&id).filter(|watched| watched.pid.is_some() && !watched.runs)
        else {
            return;
        };
        if watched.lines[usize::from(channel == Channel::Stderr)].feed(bytes, text.as_bytes()) {
            watched.lines = Default::default();
            let _ = self.step(id, Event::Ready, now, host);
        }
    }

    /// What a child tells of itself.
    pub fn notified(&mut self, id: ProcId, sender: Pid, bytes: &[u8], now: Now, host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        let Some(pid) = process.machine.pid() else { return };
        let config = process.config.clone();
        let is_heard = match config.program.notify_access {
            NotifyAccess::All => true,
            NotifyAccess::Main => sender == pid,
            NotifyAccess::Group => sender == pid || host.process_group(sender) == Some(pid),
        };
        let watched = self.care.watched.entry(id).or_default();
        if !is_heard {
            if !std::mem::replace(&mut watched.warned, true) {
                let access = "notify_access";
                activity!(Warn, "{}: a message of pid {} does not count ({access})", config.name, sender.0);
            }
            return;
        }
        let message = Message::parse(bytes);
        if let Some(status) = message.status {
            watched.status_text = status;
        }
        watched.reloads = (watched.reloads || message.reloading) && !message.ready;
        if let Some(errno) = message.errno {
            activity!(Info, "{} says ERRNO={errno} ({})", config.name, crate::errno::text(errno));
        }
        if let Some(main) = message.main_pid.filter(|main| *main != pid.0) {
            activity!(Warn, "{}: MAINPID={main} is passed over, it is {}", config.name, pid.0);
        }
        if watched.runs {
            if let Some(usec) = message.watchdog_usec {
                let period = Duration::from_micros(usec);
                watched.watchdog = (usec > 0).then(|| (period, now.mono.after(period)));
            }
            if message.watchdog == Some(Pulse::Alive)
                && let Some((period, until)) = &mut watched.watchdog
            {
                *until = now.mono.after(*period);
            }
        }
        let is_triggered = message.watchdog == Some(Pulse::Trigger) && watched.runs;
        if let Some(usec) = message.extend_usec {
            let _ = self.step(id, Event::Extend(Duration::from_micros(usec)), now, host);
        }
        if message.ready && config.ready == Ready::Notify {
            let _ = self.step(id, Event::Ready, now, host);
        }
        if is_triggered {
            self.silent(id, "has said WATCHDOG=trigger".to_string(), now, host);
        }
        self.reschedule_care(id, now);
    }
}

/// Bytes of a last line that are kept.
const LINE_BYTES_MAX: usize = 200;

fn keep_last_line(line: &mut Vec<u8>, bytes: &[u8]) {
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        // A complete line is replaced by what follows it only once something does.
        if line.last() == Some(&b'\n') {
            line.clear();
        }
        let room = LINE_BYTES_MAX.saturating_sub(line.len());
        line.extend_from_slice(piece.get(..room).unwrap_or(piece));
        if piece.ends_with(b"\n") && line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
    }
}

/// The log for what a hook writes, opened if there is no child for which it is open.
fn hook_log(id: ProcId, process: &mut Proc, host: &mut dyn Host) -> Option<crate::id::LogId> {
    let config = process.config.clone();
    let channel = if config.program.redirect_stderr { Channel::Stdout } else { Channel::Stderr };
    let stream = process.output_mut(channel);
    if stream.log.is_none() {
        let path = stream.path.clone()?;
        let options = config.log(channel);
        let maxbytes = u64::try_from(options.logfile_maxbytes.0).unwrap_or(0);
        let backups = u32::try_from(options.logfile_backups.max(0)).unwrap_or(u32::MAX);
        let plan =
            LogPlan { outlet: (id, channel), path: &path, maxbytes, backups, waits: false, between_lines: false };
        stream.log = host.log_open(&plan).ok();
    }
    stream.log
}

#[cfg(test)]
mod tests {
    use super::keep_last_line;

    #[test]
    fn the_last_line() {
        for (text, expected) in [("", ""), ("a", "a"), ("a\nb\n", "b\n"), ("a\nbc", "bc"), ("\n", "\n")] {
            let mut line = Vec::new();
            keep_last_line(&mut line, text.as_bytes());
            assert_eq!(String::from_utf8_lossy(&line), expected, "{text:?}");
            let mut line = Vec::new();
            text.bytes().for_each(|byte| keep_last_line(&mut line, &[byte]));
            assert_eq!(String::from_utf8_lossy(&line), expected, "{text:?}");
        }
        let mut line = Vec::new();
        keep_last_line(&mut line, &[b'x'; 5000]);
        assert_eq!(line.len(), super::LINE_BYTES_MAX);
    }
}
