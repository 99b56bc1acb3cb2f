//! What the daemon remembers of its processes, for people to look at; see [`crate::model::history`].

use std::rc::Rc;

use super::Daemon;
use crate::clock::Now;
use crate::id::ProcId;
use crate::model::history::{Asker, Moment, StateEntry, What, Why};
use crate::model::process::Transition;
use crate::state::ProcessState;

impl Daemon {
    /// Remembers a change of state.
    pub(super) fn remember(&mut self, id: ProcId, change: &Transition, now: Now) {
        let Some(process) = self.roster.process_mut(id) else { return };
        let problem = process.machine.runs().spawn_error();
        let tells_problem = matches!(change.to, ProcessState::Backoff | ProcessState::Fatal) && !problem.is_empty();
        let why = match change.exit {
            // Where one belongs to the other: `Exited too quickly` says less than how it ended.
            Some(exit) => Why::Exit(exit),
            None if tells_problem => Why::Text(process.history.text(problem)),
            None => Why::Itself,
        };
        process.history.push(StateEntry { at: now.wall, state: change.to, why: why.clone() });
        let process = Some((id, process.namespec.clone()));
        self.activity.push(Moment { at: now.wall, process, what: What::State(change.to), why });
    }

    /// Remembers something else that happened to a process.
    pub(super) fn remember_what(&mut self, id: ProcId, what: What, now: Now) {
        self.remember_because(id, what, Why::Itself, now);
    }

    /// The same, where the cause is known.
    pub(super) fn remember_because(&mut self, id: ProcId, what: What, why: Why, now: Now) {
        let Some(process) = self.roster.process(id) else { return };
        let process = Some((id, process.namespec.clone()));
        self.activity.push(Moment { at: now.wall, process, what, why });
    }

    /// Whatever has happened since that moment and has no other cause was asked for.
    pub fn attribute(&mut self, since: u64, client: &str, method: &str) {
        if self.activity.last() == since {
            return;
        }
        let asker = Rc::new(Asker { client: client.to_string(), method: method.to_string() });
        let roster = &mut self.roster;
        self.activity.attribute(since, &asker, |id| {
            if let Some(process) = roster.process_mut(id) {
                process.history.attribute(&asker);
            }
        });
    }
}
