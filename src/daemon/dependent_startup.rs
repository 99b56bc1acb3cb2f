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
