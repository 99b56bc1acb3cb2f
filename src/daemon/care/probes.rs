//! Questions whether a process is ready or well, a few of them at a time, and what follows from the answers.

use super::super::Daemon;
use super::super::host::Host;
use super::watched::{Asked, HelperKind};
use crate::clock::Now;
use crate::config::{Cure, Probe, Ready};
use crate::id::ProcId;
use crate::model::event;
use crate::model::health::{HealthChange, HealthState};
use crate::model::history::What;
use crate::model::process::Trigger;
use crate::state::SupervisorState;

impl Daemon {
    /// Asks whoever waits for it, as far as there is room.
    pub(super) fn ask_next(&mut self, now: Now, host: &mut dyn Host) {
        while self.care.can_ask() {
            let Some(id) = self.care.queue.pop_front() else { return };
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
            Probe::Command(command) => match self.run_helper(id, &command.0, HelperKind::Probe, Vec::new(), host) {
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
    pub(super) fn drop_probe(&mut self, id: ProcId, host: &mut dyn Host) {
        let Some(watched) = self.care.watched.get_mut(&id) else { return };
        watched.queued = false;
        let Some(asked) = watched.asked.take() else { return };
        self.care.probes = self.care.probes.saturating_sub(1);
        match asked.pid {
            None => host.end_probe(id),
            Some(pid) => self.drop_helper(pid, host),
        }
    }

    /// A question of the network kind has its answer.
    pub fn probed(&mut self, id: ProcId, result: Result<(), String>, now: Now, host: &mut dyn Host) {
        let is_asked = self.care.watched.get(&id).is_some_and(|watched| watched.asked.is_some());
        if is_asked {
            self.drop_probe(id, host);
            self.judged(id, result, now, host);
            self.reschedule_care(id, now);
        }
    }

    /// What follows from a probe.
    pub(super) fn judged(&mut self, id: ProcId, result: Result<(), String>, now: Now, host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        let config = process.config.clone();
        let Some(watched) = self.care.watched.get_mut(&id) else { return };
        if let Err(problem) = &result {
            watched.probe_text.clone_from(problem);
        }
        if !watched.runs {
            if result.is_ok() {
                watched.next_probe = None;
                let _ = self.step(id, Trigger::Ready, now, host);
            }
            return;
        }
        // While everything is stopped each is stopped in its turn, and nothing is done about how it is.
        if self.state != SupervisorState::Running {
            return;
        }
        let program = &config.program;
        let good = program.liveness_check_success_threshold.0;
        let bad = program.liveness_check_failure_threshold.0;
        let Some(change) = watched.health.take(result, good, bad) else { return };
        let (failures, reason) = (watched.health.failures, watched.health.reason.clone());
        self.announce_health(id, change, &reason, now);
        self.reorder(id, now);
        let name = &config.name;
        if change.to == HealthState::Healthy {
            if let Some(command) = &config.liveness_check_success_action {
                self.run_action(id, &command.0, now, host);
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
            Cure::Command(command) => self.run_action(id, &command.0, now, host),
            cure => {
                let again = *cure == Cure::Restart;
                let _ = self.step(id, Trigger::Unfit { reason, again }, now, host);
            }
        }
    }

    fn announce_health(&mut self, id: ProcId, change: HealthChange, reason: &str, now: Now) {
        // Conditions of others may hang on it.
        self.just_changed.push(id);
        self.remember_what(id, What::Word(change.to.name()), now);
        if self.bus.wants(crate::eventtype::EventType::SthenoHealth)
            && let Some((subject, _)) = self.subject(id)
        {
            let event = event::Event::health(subject, change, reason);
            self.bus.emit(event);
        }
    }
}
