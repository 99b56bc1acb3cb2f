//! `[supervisord] dependent_startup=true`: first starts as the listener supervisord-dependent-startup makes them (O-1).

use std::collections::VecDeque;

use super::agenda::FIRST_STARTS_PER_TURN;
use super::{Daemon, Host};
use crate::clock::{Mono, Now};
use crate::config::dependent;
use crate::id::ProcId;
use crate::model::dependent::Dependents;
use crate::state::{ProcessState, SupervisorState};

/// What is left of the first starts.
pub(super) struct DependentStartup {
    dependents: Dependents<ProcId>,
    /// Those whose turn has come.
    due: VecDeque<ProcId>,
}

impl Daemon {
    /// Looks at what the programs say, if that is asked for.
    pub(super) fn begin_dependent_startup(&mut self) {
        self.dependent_startup = None;
        if !self.config.supervisord.dependent_startup {
            return;
        }
        // The load has refused what cannot be.
        let Ok(services) = dependent::read(&self.config.groups) else { return };
        for warning in &services.warnings {
            activity!(Warn, "{warning}");
        }
        let roster = &self.roster;
        let processes_of = |name: &str| {
            let of_program = roster.processes().filter(|(_, process)| process.config.program.name == name);
            of_program.map(|(id, _)| id).collect()
        };
        let mut dependents = Dependents::new(services.all, processes_of);
        let due = dependents.begin().into();
        self.dependent_startup = Some(Box::new(DependentStartup { dependents, due }));
    }

    /// A process has entered a state.
    pub(super) fn note_reached(&mut self, id: ProcId, state: ProcessState) {
        if let Some(startup) = &mut self.dependent_startup {
            startup.due.extend(startup.dependents.entered(id, state));
        }
    }

    /// What a process waits for that is to be started once others have reached a state: each process in the way, the states,
    /// and how it is.
    pub fn startup_obstacles(&self, id: ProcId) -> Vec<(String, String, &'static str)> {
        let Some(startup) = &self.dependent_startup else { return Vec::new() };
        let mut found = Vec::new();
        for (service, states, missing) in startup.dependents.obstacles(&id) {
            let words: Vec<String> = states.iter().map(|state| state.name().to_lowercase()).collect();
            let condition = format!("once:{}", words.join(","));
            if missing.is_empty() {
                found.push((service.to_string(), condition.clone(), "never"));
            }
            found.extend(missing.into_iter().map(|id| {
                let name = self.roster.namespec(id).unwrap_or_else(|| service.to_string());
                let state = self.roster.process(id).map_or("removed", |process| process.machine.state().name());
                (name, condition.clone(), state)
            }));
        }
        found
    }

    /// `Waiting for a (STARTING), b:exited,fatal (RUNNING)`; `None` for one that waits for no state.
    pub(super) fn startup_text(&self, id: ProcId) -> Option<String> {
        let is_down = |process: &super::Proc| process.machine.state().is_stopped();
        self.dependent_startup.as_ref().filter(|_| self.roster.process(id).is_some_and(is_down))?;
        let shown = self.startup_obstacles(id).into_iter().map(|(name, condition, state)| {
            let states = condition.strip_prefix("once:").unwrap_or_default();
            (if states == "running" { name } else { format!("{name}:{states}") }, state)
        });
        let shown: Vec<_> = shown.collect();
        let all = shown.len();
        (all > 0).then(|| format!("Waiting for {}", super::order::listed(shown, all, true)))
    }

    /// When there is something to start.
    pub(super) fn dependent_deadline(&self, now: Now) -> Option<Mono> {
        let startup = self.dependent_startup.as_ref()?;
        (self.state == SupervisorState::Running && !startup.due.is_empty()).then_some(now.mono)
    }

    /// Starts those whose turn has come, as many as a turn has time for.
    pub(super) fn start_dependents(&mut self, now: Now, host: &mut dyn Host) {
        for _ in 0..FIRST_STARTS_PER_TURN {
            let Some(startup) = &mut self.dependent_startup else { return };
            if self.state != SupervisorState::Running || startup.due.is_empty() {
                if startup.due.is_empty() && startup.dependents.is_done() {
                    self.dependent_startup = None;
                }
                return;
            }
            let Some(id) = startup.due.pop_front() else { return };
            let state = self.roster.process(id).map(|process| process.machine.state());
            if matches!(state, Some(ProcessState::Stopped | ProcessState::Exited)) {
                self.start_process(id, now, host);
            }
        }
    }
}
