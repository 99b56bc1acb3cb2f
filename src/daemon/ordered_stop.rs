//! Stopping in order (O-2): a process is told to stop when all that depend on it, and are to be stopped too, are stopped.
//!
//! Who is to be stopped stands in `stops`, and what it depends on waits for it, so that a stop costs a look at the gates of the
//! process and not at what waits. The end of everything has an order of groups besides; it goes by the same gates.

use std::collections::BTreeSet;

use super::order::{AfterStop, StartAs};
use super::{Daemon, Host, Proc};
use crate::clock::Now;
use crate::config::OnDependencyStop;
use crate::id::{GroupId, IdMap, ProcId};
use crate::model::gates::GateEffect;
use crate::model::process::Trigger;
use crate::state::{ProcessState, SupervisorState};

/// The place of a process in the order of the end: its group's, its own within the group. The last is first.
type Place = (usize, usize, ProcId);

/// How far the end has come where processes depend on each other.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    /// Those that are not stopped.
    places: IdMap<ProcId, Place>,
    /// Those of them that may be told.
    free: BTreeSet<Place>,
    /// Those that have been told.
    told: BTreeSet<Place>,
}

impl Daemon {
    /// Whether processes are stopped in another order than by their priority alone.
    pub fn stops_in_order(&self) -> bool {
        !self.order.gates.is_empty()
    }

    /// Whether processes wait for their turn to be stopped.
    #[cfg(test)]
    pub fn has_stops(&self) -> bool {
        !self.order.stops.is_empty()
    }

    /// Has processes stopped, each after those of them that depend on it. What comes of it is seen in their states.
    pub fn stop_in_order(&mut self, ids: &[ProcId], now: Now) {
        self.refresh_order(now);
        self.begin_stops(ids, AfterStop::Rest, now);
    }

    fn begin_stops(&mut self, ids: &[ProcId], then: AfterStop, now: Now) {
        // Somebody stops it already, and that holds.
        let is_left = |id: &ProcId, process: &Proc| {
            then == AfterStop::Wait
                && process.machine.state() == ProcessState::Stopping
                && !process.machine.is_coming_back()
                && !self.order.stops.contains_key(id)
        };
        let is_concerned =
            |id: &ProcId| self.roster.process(*id).is_some_and(|process| is_up(process) && !is_left(id, process));
        let ids: Vec<ProcId> = ids.iter().copied().filter(is_concerned).collect();
        let mut added = Vec::new();
        for id in &ids {
            let before = self.order.stops.get(id).copied();
            // Who is stopped by command does not wait, whatever else was meant for it.
            self.order.stops.insert(*id, if before == Some(AfterStop::Rest) { AfterStop::Rest } else { then });
            if before.is_none() {
                self.order.gates.begin_stop(*id);
                added.push(*id);
            }
        }
        // All above are among those already, so that this goes no deeper.
        for id in added {
            self.reorder(id, now);
        }
        for id in &ids {
            self.look_soon(*id, now);
        }
    }

    /// Tells a process to stop if its turn has come.
    pub(super) fn stop_in_turn(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        let is_next = self.order.stops.contains_key(&id) && self.order.gates.is_free(id);
        let is_told = |process: &Proc| process.machine.state() == ProcessState::Stopping;
        if is_next && !self.roster.process(id).is_some_and(is_told) {
            // A failed signal makes the process UNKNOWN, which counts as stopped.
            let _ = self.step(id, Trigger::Stop, now, host);
        }
    }

    /// A process is stopped.
    pub(super) fn stop_is_over(&mut self, id: ProcId, effects: &mut Vec<GateEffect>, now: Now) {
        self.order.gates.end_stop(id, effects);
        if let Some(ordered) = &mut self.shutdown.ordered
            && let Some(place) = ordered.places.remove(&id)
        {
            ordered.free.remove(&place);
            ordered.told.remove(&place);
        }
        let Some(then) = self.order.stops.remove(&id) else { return };
        if self.state != SupervisorState::Running {
            return;
        }
        let Some(process) = self.roster.process_mut(id) else { return };
        match then {
            // It may have ended by itself before it was its turn.
            AfterStop::Rest => process.machine.rest(),
            AfterStop::Wait if process.machine.state() == ProcessState::Fatal => {}
            AfterStop::Wait => self.begin_wait(id, StartAs::Resume, now),
        }
    }

    /// A process that may be up has lost something that it needs (`on_dependency_stop`).
    pub(super) fn dependency_went(&mut self, id: ProcId, now: Now) {
        match self.policy_of(id) {
            OnDependencyStop::Ignore => {}
            OnDependencyStop::Restart => {
                if self.roster.process(id).is_some_and(is_up) {
                    self.order.owed.insert(id, now.mono);
                }
            }
            OnDependencyStop::Stop => {
                if self.postpone_resume(id, now) {
                    return;
                }
                let above = self.those_above(id);
                for id in &above {
                    let is_pending = |process: &Proc| {
                        !is_up(process) && process.machine.deadline(&process.config, self.state).is_some()
                    };
                    // It ended by itself and was about to be started again.
                    if self.roster.process(*id).is_some_and(is_pending) && !self.is_waiting(*id) {
                        self.begin_wait(*id, StartAs::Resume, now);
                    }
                }
                self.begin_stops(&above, AfterStop::Wait, now);
            }
        }
    }

    fn policy_of(&self, id: ProcId) -> OnDependencyStop {
        let process = self.roster.process(id);
        process.map_or(OnDependencyStop::Ignore, |process| process.config.program.on_dependency_stop)
    }

    /// A process, and all above it that are stopped when what they need is.
    fn those_above(&self, id: ProcId) -> Vec<ProcId> {
        let mut found = vec![id];
        let mut seen = BTreeSet::from([id]);
        let mut at = 0;
        while let Some(id) = found.get(at).copied() {
            at += 1;
            let above = self.order.gates.lasting_dependents(id);
            found.extend(above.filter(|id| self.policy_of(*id) == OnDependencyStop::Stop && seen.insert(*id)));
        }
        found
    }

    /// Processes and all that depend on them, whatever their policy, those that are to be stopped first first.
    pub fn with_dependents(&mut self, ids: &[ProcId], now: Now) -> Vec<ProcId> {
        self.refresh_order(now);
        let mut found = ids.to_vec();
        let mut seen: BTreeSet<ProcId> = ids.iter().copied().collect();
        let mut at = 0;
        while let Some(id) = found.get(at).copied() {
            at += 1;
            found.extend(self.order.gates.dependents(id).filter(|id| seen.insert(*id)));
        }
        found.reverse();
        found
    }

    /// A dependency is back: a process that is up and has not seen that is restarted.
    pub(super) fn look_at_owed(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        let Some(went) = self.order.owed.get(&id) else { return };
        if !self.order.gates.is_open(id) || now.mono < went.after(super::order::FLAP_TIME) {
            return;
        }
        self.order.owed.remove(&id);
        let name = self.roster.namespec(id).unwrap_or_default();
        activity!(Info, "restarting: {name}, because what it depends on is back");
        let reason = "Restarted with what it depends on".to_string();
        let _ = self.step(id, Trigger::Unfit { reason, again: true }, now, host);
    }

    /// Who would be told to stop if everything were up and ended: who at first, then who, and so on.
    pub fn stop_plan(&self) -> Vec<Vec<ProcId>> {
        let groups = self.roster.groups_by_priority();
        let mut gates = self.order.gates.clone();
        let mut places: IdMap<ProcId, Place> = IdMap::default();
        for (at, group) in groups.iter().enumerate() {
            for (place, id) in self.roster.members_by_priority(*group).into_iter().enumerate() {
                places.insert(id, (at, place, id));
                gates.begin_stop(id);
            }
        }
        let mut free: BTreeSet<Place> = places.values().copied().filter(|(.., id)| gates.is_free(*id)).collect();
        let mut plan = Vec::new();
        let mut effects = Vec::new();
        while let Some(&(at, ..)) = free.last() {
            let is_beside = |other: usize| other == at || self.are_stopped_together(&groups, at, other);
            let next: Vec<Place> = free.iter().rev().filter(|(at, ..)| is_beside(*at)).copied().collect();
            for place in &next {
                free.remove(place);
                gates.end_stop(place.2, &mut effects);
            }
            let freed =
                effects.drain(..).filter_map(|effect| if let GateEffect::Free(id) = effect { Some(id) } else { None });
            free.extend(freed.filter_map(|id| places.get(&id).copied()));
            plan.push(next.into_iter().map(|(.., id)| id).collect());
        }
        plan
    }

    /// The end begins: notes who is to be stopped, and who may be told.
    pub(super) fn begin_ordered_end(&mut self, groups: &[GroupId]) {
        let mut ordered = Ordered::default();
        for (at, group) in groups.iter().enumerate() {
            for (place, id) in self.roster.members_by_priority(*group).into_iter().enumerate() {
                if self.roster.process(id).is_some_and(is_up) {
                    ordered.places.insert(id, (at, place, id));
                    self.order.gates.begin_stop(id);
                }
            }
        }
        let gates = &self.order.gates;
        ordered.free = ordered.places.values().copied().filter(|(.., id)| gates.is_free(*id)).collect();
        self.shutdown.ordered = Some(ordered);
    }

    /// The graph was made anew during the end: something stopped was removed.
    pub(super) fn resume_ordered_end(&mut self) {
        let Some(ordered) = &mut self.shutdown.ordered else { return };
        let gates = &mut self.order.gates;
        ordered.places.keys().for_each(|id| gates.begin_stop(*id));
        let is_next = |place: &Place| gates.is_free(place.2) && !ordered.told.contains(place);
        ordered.free = ordered.places.values().copied().filter(is_next).collect();
    }

    /// While everything is stopped, a process may be told from now on.
    pub(super) fn is_free_to_end(&mut self, id: ProcId) {
        if let Some(ordered) = &mut self.shutdown.ordered
            && let Some(place) = ordered.places.get(&id)
            && !ordered.told.contains(place)
        {
            ordered.free.insert(*place);
        }
    }

    /// One group after another in their order, of each those that may be told; a group whose members stand at different
    /// places of the graph is stopped in parts. Who cannot be killed holds up only what it depends on.
    pub(super) fn stop_next_in_order(&mut self, groups: &[GroupId], now: Now, host: &mut dyn Host) {
        loop {
            let Some(ordered) = &self.shutdown.ordered else { return };
            let is_stuck = |place: &Place| {
                self.roster.process(place.2).is_some_and(|process| process.machine.is_unkillable(&process.config))
            };
            let is_waited_for = !ordered.told.iter().all(is_stuck);
            let current = if is_waited_for { ordered.told.iter().rev().find(|place| !is_stuck(place)) } else { None };
            let Some(&(at, ..)) = current.or(ordered.free.last()) else { return };
            let is_beside = |other: usize| other == at || self.are_stopped_together(groups, at, other);
            let next: Vec<Place> = ordered.free.iter().rev().filter(|(at, ..)| is_beside(*at)).copied().collect();
            if next.is_empty() || groups.get(at).is_some_and(|group| self.is_draining(*group, now)) {
                return;
            }
            self.shutdown.drain_until = None;
            for place in next {
                if let Some(ordered) = &mut self.shutdown.ordered {
                    ordered.free.remove(&place);
                    ordered.told.insert(place);
                }
                let is_waiting = |process: &Proc| process.machine.state() == ProcessState::Backoff;
                let trigger = match self.roster.process(place.2).is_some_and(is_waiting) {
                    true => Trigger::GiveUp,
                    false => Trigger::Stop,
                };
                let _ = self.step(place.2, trigger, now, host);
            }
        }
    }

    /// Whether nobody is left whose stop has a place in the order.
    pub(super) fn has_ended_in_order(&self) -> bool {
        self.shutdown.ordered.as_ref().is_some_and(|ordered| ordered.places.is_empty())
    }
}

/// Whether there is anything to stop.
fn is_up(process: &Proc) -> bool {
    !process.machine.state().is_stopped()
}
