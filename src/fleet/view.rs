//! What the fleet shows of instances, applications and processes.

use std::collections::BTreeSet;

use super::{Application, Fleet};
use crate::clock::{Mono, Now};
use crate::config::fleet::{ApplicationRules, EVERYWHERE, Spread, place_of};
use crate::id::PeerId;
use crate::model::fleet::phase::Phase;
use crate::model::fleet::status::{Part, Status, status};
use crate::model::fleet::view::{AppId, Known, TaskId, View};
use crate::state::ProcessState;

/// Seconds of the clock that cannot be set.
pub fn seconds(at: Mono) -> f64 {
    at.0 as f64 / 1e9
}

/// Whether a process is given up or has exited unexpectedly (V-136).
fn has_failed(known: &Known) -> bool {
    known.record.state == ProcessState::Fatal || !known.record.expected
}

impl Fleet {
    /// The state of the fleet.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What all instances say of their processes.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The same, of which is to be kept what changes.
    pub fn view_mut(&mut self) -> &mut View {
        &mut self.view
    }

    /// Whether this instance starts something, and stops something.
    pub fn jobs(&self) -> (bool, bool) {
        (!self.sequencer.is_starting_nothing(), !self.sequencer.is_stopping_nothing())
    }

    /// Processes whose turn to start it is.
    pub fn started_now(&self) -> BTreeSet<TaskId> {
        self.sequencer.started_now()
    }

    /// The start of an application that is under way: a number that no other has.
    pub fn start_under_way(&self, id: AppId) -> Option<u64> {
        self.sequencer.start_of(id)
    }

    /// How many starts and stops of applications were begun.
    pub fn begun(&self) -> u64 {
        self.sequencer.begun()
    }

    /// The instances that start something, and those that stop something.
    pub fn busy_members(&self) -> (Vec<PeerId>, Vec<PeerId>) {
        let (starts, stops) = self.jobs();
        let is_own = |peer: PeerId| peer == self.own;
        let of = |is_busy: &dyn Fn(PeerId, &super::Member) -> bool| {
            self.running_members().filter(|(peer, member)| is_busy(*peer, member)).map(|(peer, _)| peer).collect()
        };
        (
            of(&|peer, member| if is_own(peer) { starts } else { member.modes.is_starting }),
            of(&|peer, member| if is_own(peer) { stops } else { member.modes.is_stopping }),
        )
    }

    /// The rules of an application; `None` if it is gone.
    pub fn application(&self, id: AppId) -> Option<&Application> {
        self.applications.get(&id)
    }

    /// The instances of an application's rule as they are shown: `#` has been given out (V-83).
    pub fn identifiers_of(&self, name: &str, rules: &ApplicationRules) -> Vec<String> {
        let Some(place) = place_of(name).filter(|_| rules.spread == Spread::Hash) else {
            return rules.identifiers.clone();
        };
        let all = || self.members.iter().map(|member| member.who.identifier.clone()).collect::<Vec<_>>();
        let list =
            if rules.identifiers.iter().any(|one| one == EVERYWHERE) { all() } else { rules.identifiers.clone() };
        if list.is_empty() { list } else { vec![list[place % list.len()].clone()] }
    }

    /// The instances of a process's rule as they are shown: what `@` and `#` give out only once it is given out.
    pub fn identifiers_of_task(&self, id: TaskId) -> Vec<String> {
        let Some(rules) = self.rules_of(id) else { return Vec::new() };
        match (rules.spread, self.assigned.get(&id)) {
            (Spread::All, _) => rules.identifiers.clone(),
            (_, Some(Some(peer))) => {
                self.member(*peer).map(|member| member.who.identifier.clone()).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// How an application is.
    pub fn status(&self, id: AppId) -> Option<Status> {
        let application = self.applications.get(&id)?;
        let part = |(id, rules): (&TaskId, &std::rc::Rc<crate::config::fleet::ProcessRules>)| {
            let task = self.view.task(*id)?;
            Some(Part { name: &task.name, state: task.shown(), expected: task.expected(), required: rules.required })
        };
        let parts: Vec<Part<'_>> = application.tasks.iter().filter_map(part).collect();
        let rules = &application.rules;
        Some(status(&parts, rules.formula.as_deref(), rules.managed).0)
    }

    /// The state that a process is shown in.
    pub fn shown(&self, id: TaskId) -> ProcessState {
        self.view.task(id).map_or(ProcessState::Unknown, |task| task.shown())
    }

    /// Whether no process of an application has ever run.
    pub fn was_never_started(&self, id: AppId) -> bool {
        let Some(application) = self.applications.get(&id) else { return false };
        application.tasks.keys().filter_map(|id| self.view.task(*id)).all(|task| task.was_never_started())
    }

    /// The instances that count and on which a process has failed (V-136), found in one look at all processes.
    pub fn members_with_failures(&self) -> BTreeSet<PeerId> {
        let known = self.view.tasks().flat_map(|(_, task)| task.known());
        let failed: BTreeSet<PeerId> = known.filter(|known| has_failed(known)).map(|known| known.peer).collect();
        failed.into_iter().filter(|peer| self.is_running_member(*peer)).collect()
    }

    /// Seconds for which a process has run on an instance, by the clock of that.
    pub fn uptime(&self, known: &Known, now: Now) -> i64 {
        let is_up = matches!(known.record.state, ProcessState::Running | ProcessState::Stopping);
        let clock = self.member(known.peer).map_or(0, |member| member.clock(now));
        let nanos = clock.saturating_sub(known.record.started);
        if is_up { i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX) } else { 0 }
    }
}
