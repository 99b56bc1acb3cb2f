//! Looking after children: readiness, health, watchdogs, memory, and the hooks at the turns of their lives (O-3 to O-6).
//!
//! Only processes with such an option have anything here, and it is theirs alone: a [`Watch`] each, with a few moments
//! of which the earliest stands in an agenda. What is decided goes into the process's machine as a trigger; hooks and
//! probes that are commands are children, found again by their pid when they end.

mod helpers;
mod messages;
mod probes;
mod watched;

use super::Daemon;
use super::agenda::Due;
use super::host::Host;
use crate::clock::{Mono, Now};
use crate::config::{self, MemoryAction, MemoryOf, Ready};
use crate::id::{Pid, ProcId};
use crate::model::event;
use crate::model::health::{Health, HealthState};
use crate::model::process::Trigger;
use crate::state::{ProcessState, SupervisorState};

pub use messages::Reloading;
pub use watched::Care;
use watched::Watch;

/// What is known of a process beside its state.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its health; unknown if it is not checked.
    pub health: &'a Health,
    /// What it last said of itself.
    pub status_text: &'a str,
    /// What the last command that asked for it wrote last, or why the last question was answered badly.
    pub probe_text: &'a str,
}

/// Whether anything of a process is to be watched while it has a child.
fn is_watched(config: &config::Process) -> bool {
    config.ready != Ready::Startsecs
        || config.liveness_check_script.is_some()
        || !config.program.watchdog_sec.0.is_zero()
        || config.program.memory_limit.0 > 0
}

/// The next look at the memory of a process: all with one interval are looked at in one wake-up.
fn next_look(mono: Mono, program: &config::Program) -> Mono {
    let interval = u64::try_from(program.memory_limit_interval.0.as_nanos()).unwrap_or(u64::MAX).max(1);
    Mono((mono.0 / interval + 1).saturating_mul(interval))
}

impl Daemon {
    /// What is known of a process beside its state.
    pub fn care_of(&self, id: ProcId) -> Option<Known<'_>> {
        let Watch { health, status_text, probe_text, .. } = &**self.care.watched.get(&id)?;
        Some(Known { health, status_text, probe_text })
    }

    /// Whether its last liveness checks passed, or it has none.
    pub fn is_healthy(&self, id: ProcId) -> bool {
        let Some(process) = self.roster.process(id) else { return false };
        process.config.liveness_check_script.is_none()
            || self.care.watched.get(&id).is_some_and(|watched| watched.health.state == HealthState::Healthy)
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
            self.drop_probe(id, host);
            let watched = self.care.watched.entry(id).or_default();
            let old = std::mem::take(&mut **watched);
            **watched = Watch { pid, hook: old.hook, ..Watch::default() };
            // What was last known is shown until there is a new child.
            if pid.is_none() {
                let Watch { health, status_text, probe_text, .. } = old;
                **watched = Watch { health, status_text, probe_text, ..std::mem::take(&mut **watched) };
            } else if !runs && matches!(config.ready, Ready::Probe(_)) {
                watched.next_probe = Some(now.mono);
            }
        }
        if runs {
            self.drop_probe(id, host);
            let (program, mono) = (&config.program, now.mono);
            let watched = self.care.watched.entry(id).or_default();
            (watched.runs, watched.running_since) = (true, mono);
            let delay = program.liveness_check_initial_delay.0;
            watched.next_probe = config.liveness_check_script.as_ref().map(|_| mono.after(delay));
            let period = watched.period.unwrap_or(program.watchdog_sec.0);
            watched.watchdog = (!period.is_zero()).then(|| (period, mono.after(period)));
            watched.memory_at = (program.memory_limit.0 > 0).then(|| next_look(mono, program));
            if config.ready != Ready::Startsecs
                && self.bus.wants(crate::eventtype::EventType::SthenoReady)
                && let Some((subject, pid)) = self.subject(id)
            {
                let event = event::Event::ready(subject, pid, config.ready.kind());
                self.bus.emit(event);
            }
        }
        self.reschedule_care(id, now);
    }

    /// The options of a process were changed in passing.
    pub(super) fn look_after_changed(&mut self, id: ProcId, old: &config::Process, now: Now, host: &mut dyn Host) {
        self.look_after(id, now, host);
        let Some(process) = self.roster.process(id) else { return };
        let new = process.config.clone();
        if !self.care.watched.get(&id).is_some_and(|watched| watched.runs) {
            return;
        }
        if old.liveness_check_script != new.liveness_check_script {
            self.drop_probe(id, host);
            self.care.watched.entry(id).or_default().health = Health::default();
        }
        let watched = self.care.watched.entry(id).or_default();
        let delay = new.program.liveness_check_initial_delay.0;
        let first = watched.running_since.after(delay).max(now.mono);
        let times = |program: &config::Program| (program.liveness_check_initial_delay, program.liveness_check_period);
        if old.liveness_check_script != new.liveness_check_script || times(&old.program) != times(&new.program) {
            watched.next_probe = new.liveness_check_script.as_ref().map(|_| first);
        }
        watched.memory_at = (new.program.memory_limit.0 > 0).then(|| next_look(now.mono, &new.program));
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
        self.end_late_actions(now, host);
        self.ask_next(now, host);
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
        }
    }

    fn silent(&mut self, id: ProcId, why: String, now: Now, host: &mut dyn Host) {
        // While everything is stopped, each is stopped in its turn.
        if self.state != SupervisorState::Running {
            return;
        }
        let Some(process) = self.roster.process(id) else { return };
        let signal = crate::signal::name(process.config.program.watchdog_signal.0);
        activity!(Warn, "{} {why}, sending {signal}", process.config.name);
        let _ = self.step(id, Trigger::Silent, now, host);
    }

    fn look_at_memory(&mut self, id: ProcId, config: &config::Process, now: Now, host: &mut dyn Host) {
        let program = &config.program;
        let Some(watched) = self.care.watched.get_mut(&id) else { return };
        let Some(pid) = watched.pid else { return };
        watched.memory_at = Some(next_look(now.mono, program));
        if self.state != SupervisorState::Running {
            return;
        }
        let limit = u64::try_from(program.memory_limit.0).unwrap_or(0);
        let used = host.memory(pid, program.memory_limit_of == MemoryOf::Tree).unwrap_or(0);
        // One reading may be a peak.
        let was_over = std::mem::replace(&mut watched.is_over, used > limit);
        watched.told_memory &= used > limit;
        if used <= limit || !was_over || watched.told_memory {
            return;
        }
        watched.told_memory = true;
        let reason = format!("Uses {} KiB of memory, more than {} KiB", used / 1024, limit / 1024);
        let name = &config.name;
        let action = match program.memory_limit_action {
            MemoryAction::Restart => "restarting",
            MemoryAction::Stop => "stopping",
            MemoryAction::None => "which is only told",
        };
        activity!(Warn, "{name} uses {} KiB of memory, more than {} KiB, {action}", used / 1024, limit / 1024);
        if program.memory_limit_action != MemoryAction::None {
            let again = program.memory_limit_action == MemoryAction::Restart;
            let _ = self.step(id, Trigger::Unfit { reason, again }, now, host);
        }
    }
}
