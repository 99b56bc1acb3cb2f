//! Where a process is started: who may have it by its rules, and which of these the strategy takes (V-350 to V-365).

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Fleet, TICK};
use crate::clock::{Mono, Now};
use crate::config::fleet::{Distribution, EVERYWHERE, Spread, StartingStrategy};
use crate::id::PeerId;
use crate::model::fleet::placement::{Candidate, choose};
use crate::model::fleet::view::{AppId, TaskId};

/// Ticks in which a start has to be seen on the instance that was told (V-386).
const SEEN_TICKS: u64 = 2;

/// Where a process is being started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The instance that was told to start it.
    pub peer: PeerId,
    /// What it had said of the process before; `None` once it has said something else.
    pub before: Option<u64>,
    /// When it is given up if it says nothing.
    pub due: Mono,
}

/// What is expected of starts that are not seen yet, for each instance.
pub(super) type Pending = BTreeMap<PeerId, i64>;

impl Fleet {
    /// The instances that names stand for: identifiers, nicks or stereotypes (V-4), in the order of the names, each once.
    pub fn peers_called(&self, names: &[String]) -> Vec<PeerId> {
        let mut found: Vec<PeerId> = Vec::new();
        for name in names {
            for peer in self.called(name) {
                if !found.contains(&peer) {
                    found.push(peer);
                }
            }
        }
        found
    }

    /// The instances that a name stands for.
    pub fn called(&self, name: &str) -> Vec<PeerId> {
        let exact = self.members().find(|(_, member)| member.who.identifier == name);
        let exact = exact.or_else(|| self.members().find(|(_, member)| member.who.nick == name));
        if let Some((peer, _)) = exact {
            return vec![peer];
        }
        let has_it = |peer: PeerId| {
            let about = self.member(peer).and_then(|member| member.about.as_ref());
            about.is_some_and(|about| about.stereotypes.iter().any(|one| one == name))
        };
        self.members().map(|(peer, _)| peer).filter(|peer| has_it(*peer)).collect()
    }

    fn peers_of(&self, names: &[String]) -> Vec<PeerId> {
        // Without a list there is nobody else.
        if self.supvisors().is_none() || names.iter().any(|name| name == EVERYWHERE) {
            return self.members().map(|(peer, _)| peer).collect();
        }
        self.peers_called(names)
    }

    /// Whether an instance could start a process now: it counts, and has it, and may.
    fn can_start(&self, peer: PeerId, task: TaskId) -> bool {
        let known = self.view.task(task).and_then(|task| task.on(peer));
        self.is_running_member(peer) && known.is_some_and(|known| !known.record.is_disabled)
    }

    /// The instance on which a process is started; what is pending is added to what runs.
    pub(super) fn place(&mut self, id: TaskId, strategy: StartingStrategy, pending: &Pending) -> Option<PeerId> {
        let app = self.view.task(id)?.app;
        let application = self.applications.get(&app)?;
        let expected = application.tasks.get(&id)?.expected_loading;
        let is_spread = application.rules.distribution == Distribution::AllInstances;
        let allowed = if is_spread { self.allowed(id) } else { self.chosen_for(app, strategy, pending) };
        let candidates: Vec<PeerId> = allowed.into_iter().filter(|peer| self.can_start(*peer, id)).collect();
        self.choose(strategy, &candidates, expected, pending)
    }

    fn choose(
        &self,
        strategy: StartingStrategy,
        candidates: &[PeerId],
        expected: i64,
        pending: &Pending,
    ) -> Option<PeerId> {
        let load = |peer: PeerId| self.view.load(peer) + pending.get(&peer).copied().unwrap_or(0);
        let node_load = |peer: PeerId| self.node(peer).into_iter().map(load).sum();
        let candidates: Vec<Candidate> = candidates
            .iter()
            .map(|peer| Candidate { instance: peer.0 as usize, load: load(*peer), node_load: node_load(*peer) })
            .collect();
        let found = choose(strategy, &candidates, expected, self.own.0 as usize)?;
        u32::try_from(found).ok().map(PeerId)
    }

    /// The instances on the same machine.
    fn node(&self, peer: PeerId) -> Vec<PeerId> {
        let machine = |peer: PeerId| {
            let about = self.member(peer).and_then(|member| member.about.as_ref());
            about.map(|about| about.machine.as_str()).filter(|machine| !machine.is_empty())
        };
        let Some(own) = machine(peer) else { return vec![peer] };
        self.members().map(|(peer, _)| peer).filter(|other| machine(*other) == Some(own)).collect()
    }

    /// What is expected of starts that are not seen yet (V-352).
    pub(super) fn pending(&self) -> Pending {
        let mut pending = Pending::new();
        for (task, target) in &self.targets {
            let is_seen = self.view.task(*task).and_then(|task| task.on(target.peer));
            let is_seen = is_seen.is_some_and(|known| known.record.state.is_running());
            let load = self.rules_of(*task).map_or(0, |rules| rules.expected_loading);
            if !is_seen && load > 0 {
                *pending.entry(target.peer).or_default() += load;
            }
        }
        pending
    }

    /// The instances that the rule of a process allows. What `@` and `#` give out is given out when it is first needed (V-82).
    fn allowed(&mut self, id: TaskId) -> Vec<PeerId> {
        let Some(rules) = self.rules_of(id) else { return Vec::new() };
        if rules.spread == Spread::All {
            return self.peers_of(&rules.identifiers);
        }
        if !self.assigned.contains_key(&id) {
            self.assign(id);
        }
        self.assigned.get(&id).copied().flatten().into_iter().collect()
    }

    /// Gives out instances among the processes of a program, in their order (V-80): with `@` each has its own, those in
    /// excess none; with `#` each has the one with fewest so far.
    fn assign(&mut self, id: TaskId) {
        let place_of = |id: TaskId| {
            let record = &self.view.task(id)?.known().first()?.record;
            Some((record.program.clone(), record.index))
        };
        let Some((program, _)) = place_of(id) else { return };
        let Some(rules) = self.rules_of(id) else { return };
        let (spread, all) = (rules.spread, self.peers_of(&rules.identifiers));
        let Some(application) = self.view.task(id).and_then(|task| self.applications.get(&task.app)) else { return };
        let mut same: Vec<(i64, TaskId)> = application
            .tasks
            .iter()
            .filter(|(_, rules)| rules.spread == spread)
            .filter_map(|(id, _)| place_of(*id).filter(|(other, _)| *other == program).map(|(_, index)| (index, *id)))
            .collect();
        same.sort_unstable();
        let mut counts: Vec<(usize, PeerId)> = all.into_iter().map(|peer| (0, peer)).collect();
        let mut free = Vec::new();
        for (_, id) in same {
            match self.assigned.get(&id) {
                Some(Some(peer)) => {
                    counts.iter_mut().filter(|(_, other)| other == peer).for_each(|(count, _)| *count += 1);
                }
                Some(None) => {}
                None => free.push(id),
            }
        }
        for id in free {
            let fewest = counts.iter_mut().min_by_key(|(count, _)| *count);
            let place = fewest.filter(|(count, _)| spread == Spread::Hash || *count == 0).map(|(count, peer)| {
                *count += 1;
                *peer
            });
            self.assigned.insert(id, place);
        }
    }

    /// The instances of an application that is not spread: chosen once for as long as it is being started (V-360 to V-363).
    fn chosen_for(&mut self, app: AppId, strategy: StartingStrategy, pending: &Pending) -> Vec<PeerId> {
        if let Some(chosen) = self.chosen.get(&app) {
            return chosen.clone();
        }
        let chosen = self.choose_for(app, strategy, pending).unwrap_or_default();
        self.chosen.insert(app, chosen.clone());
        chosen
    }

    fn choose_for(&self, app: AppId, strategy: StartingStrategy, pending: &Pending) -> Option<Vec<PeerId>> {
        let application = self.applications.get(&app)?;
        let name = &self.view.app(app)?.name;
        let allowed = self.peers_of(&self.identifiers_of(name, &application.rules));
        let tasks: Vec<TaskId> = application.tasks.keys().copied().collect();
        let has_all = |peers: &[PeerId]| tasks.iter().all(|task| peers.iter().any(|peer| self.can_start(*peer, *task)));
        let mate = |peer: PeerId| -> Vec<PeerId> {
            if application.rules.distribution == Distribution::SingleInstance {
                return vec![peer];
            }
            let node = self.node(peer);
            allowed.iter().copied().filter(|peer| node.contains(peer)).collect()
        };
        let mut candidates: Vec<PeerId> =
            allowed.iter().copied().filter(|peer| self.is_running_member(*peer) && has_all(&mate(*peer))).collect();
        let runs_on = |peer: PeerId| {
            tasks.iter().any(|task| self.view.task(*task).is_some_and(|task| task.running().any(|on| on == peer)))
        };
        // What runs already says where the rest goes (V-363).
        if candidates.iter().any(|peer| runs_on(*peer)) {
            candidates.retain(|peer| runs_on(*peer));
        }
        let is_up = |task: &TaskId| self.view.task(*task).is_some_and(|task| task.is_running());
        let missing = application.tasks.iter().filter(|(task, rules)| rules.start_sequence > 0 && !is_up(task));
        let missing: i64 = missing.map(|(_, rules)| rules.expected_loading).sum();
        self.choose(strategy, &candidates, missing, pending).map(mate)
    }

    /// What would become of starts, in this order, if each succeeded: where each would be (V-365). Nothing changes.
    pub fn rehearse(&mut self, ids: &[TaskId], strategy: StartingStrategy) -> Vec<(TaskId, Option<PeerId>)> {
        let mut pending = self.pending();
        self.without_trace(|fleet| {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let place = fleet.place(*id, strategy, &pending);
                let load = fleet.rules_of(*id).map_or(0, |rules| rules.expected_loading);
                if let Some(place) = place {
                    *pending.entry(place).or_default() += load;
                }
                found.push((*id, place));
            }
            found
        })
    }

    /// The first of some processes for which there is a place now. Nothing changes.
    pub fn first_with_place(&mut self, ids: &[TaskId], strategy: StartingStrategy) -> Option<TaskId> {
        let pending = self.pending();
        self.without_trace(|fleet| ids.iter().copied().find(|id| fleet.place(*id, strategy, &pending).is_some()))
    }

    /// Looks for places without giving them out: there is one copy of what is given out for a call, not for each process.
    fn without_trace<R>(&mut self, look: impl FnOnce(&mut Fleet) -> R) -> R {
        let (assigned, chosen) = (self.assigned.clone(), self.chosen.clone());
        let found = look(self);
        (self.assigned, self.chosen) = (assigned, chosen);
        found
    }

    /// Gives up starts of which the instance that was told says nothing, and forgets where those are that are over.
    pub(super) fn watch_targets(&mut self, now: Now) {
        if self.targets.is_empty() && self.chosen.is_empty() {
            return;
        }
        let started = self.sequencer.started_now();
        self.targets.retain(|task, _| started.contains(task));
        let sequencer = &self.sequencer;
        self.chosen.retain(|app, _| sequencer.is_starting_application(*app));
        let mut late = Vec::new();
        for (id, target) in &mut self.targets {
            let Some(before) = target.before else { continue };
            let known = self.view.task(*id).and_then(|task| task.on(target.peer));
            if known.is_some_and(|known| known.record.changed != before || known.record.is_pending) {
                target.before = None;
            } else if target.due <= now.mono {
                late.push(*id);
            }
        }
        for id in late {
            let name = self.view.namespec(id).unwrap_or_default();
            activity!(Error, "{name}: {NOT_SEEN}");
            self.refused.insert(id);
            self.force(id, crate::state::ProcessState::Fatal, NOT_SEEN, now);
        }
    }

    /// When a start is given up of which nothing is seen.
    pub(super) fn targets_deadline(&self) -> Option<Mono> {
        self.targets.values().filter(|target| target.before.is_some()).map(|target| target.due).min()
    }

    /// Notes where a process is being started; `before` of the own instance is known at once.
    pub(super) fn target(&mut self, id: TaskId, peer: PeerId, now: Now) {
        let before = self.view.task(id).and_then(|task| task.on(peer)).map(|known| known.record.changed);
        let before = before.filter(|_| peer != self.own);
        let due = now.mono.after(Duration::from_secs(SEEN_TICKS * TICK));
        self.targets.insert(id, Target { peer, before, due });
    }
}

/// Why a start is given up of which nothing is seen.
const NOT_SEEN: &str = "process STARTING event not received in time";
