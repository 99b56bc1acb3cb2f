//! Gates: who waits for whom, and whether the wait is over (O-1).
//!
//! A gate is a set of processes and a condition; it is open while the condition holds of all of them. Whoever waits has
//! gates, and may start while all are open. What is known of a process comes in as [`Facts`]; what that opens, closes or
//! makes hopeless comes out as [`GateEffect`]s. Counters do the work: a change costs one look at each gate the process
//! stands in, and one for each that waits at a gate which opened or closed; how many processes there are does not matter.

use std::collections::{BTreeSet, HashMap};

use super::facts::Facts;
use crate::config::dependency::{Condition, Dependency};
use crate::config::depends::Resolved;
use crate::id::{IdMap, ProcId};

/// What a change of a process does to those that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateEffect {
    /// All gates of this process are open now.
    Opened(ProcId),
    /// One of them, whose condition is lasting, was open and is not any more.
    Closed(ProcId),
    /// All that have to be stopped before this process are.
    Free(ProcId),
    /// This process waits for one that has failed.
    Hopeless { waiter: ProcId, failed: ProcId },
}

/// A set of processes and a condition.
#[derive(Clone, Debug)]
struct Gate {
    item: Dependency,
    /// Who stands in it.
    members: Vec<Awaited>,
    /// How many of them the condition does not hold of.
    unmet: usize,
    /// Nothing has the name: it does not open.
    is_absent: bool,
    /// It has all that have the name, not all but those of a group.
    is_whole: bool,
    /// Who waits at it.
    waiters: Vec<ProcId>,
    /// How many are to be stopped before its members, and are not yet (O-2).
    stopping: usize,
}

#[derive(Clone, Copy, Debug)]
struct Awaited {
    process: ProcId,
    meets: bool,
    fails: bool,
}

#[derive(Clone, Debug, Default)]
struct Waiter {
    /// Its gates, in the order of its items.
    gates: Vec<usize>,
    /// How many of them are closed, but for those that it is excused from.
    closed: usize,
    /// Closed gates that it need not wait at, until they open.
    excused: Vec<usize>,
    /// It is to be stopped, and is not yet.
    is_stopping: bool,
    /// It counts among those of its gates: it is to be stopped, or what depends on it is.
    counts: bool,
    /// Its stop has no place in the order; listeners are among the last to stop.
    is_last: bool,
}

/// One process that another one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obstacle<'a> {
    pub process: ProcId,
    /// The item that names it.
    pub item: &'a Dependency,
    /// Whether it has failed.
    pub fails: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Gates {
    gates: Vec<Gate>,
    /// Where a process stands: gate and place in it.
    places: IdMap<ProcId, Vec<(usize, usize)>>,
    waiters: IdMap<ProcId, Waiter>,
    /// The gates of a name.
    names: HashMap<String, Vec<usize>>,
    /// Of each process that stands in gates at which somebody is to be stopped first, how many gates those are.
    stops_before: IdMap<ProcId, usize>,
    /// Places and waiters that changes have looked at.
    #[cfg(test)]
    looks: usize,
}

impl Gates {
    /// Gates of what was resolved; `ids` and `facts` are those of the processes, by their indices. `is_last` names those
    /// whose stop waits for nobody's place in the order.
    pub fn new(
        resolved: &Resolved,
        ids: &[ProcId],
        facts: impl Fn(ProcId) -> Facts,
        is_last: impl Fn(ProcId) -> bool,
    ) -> Gates {
        let mut gates = Gates::default();
        let mut known: HashMap<(usize, Condition), usize> = HashMap::new();
        for (needs, waiter) in resolved.needs.iter().zip(ids) {
            for need in needs {
                let gate = *known.entry((need.set, need.item.condition)).or_insert_with(|| {
                    let members = resolved.sets.get(need.set).into_iter().flatten();
                    let is_absent = resolved.absent.get(need.set) == Some(&true);
                    gates.add(&need.item, is_absent, members.filter_map(|index| ids.get(*index).copied()), &facts)
                });
                gates.gates[gate].is_whole = !need.is_partial;
                gates.enter(*waiter, gate, is_last(*waiter));
            }
        }
        gates
    }

    fn enter(&mut self, waiter: ProcId, gate: usize, is_last: bool) {
        self.gates[gate].waiters.push(waiter);
        let entry = self.waiters.entry(waiter).or_default();
        entry.gates.push(gate);
        entry.closed += usize::from(self.gates[gate].unmet > 0);
        entry.is_last = is_last;
    }

    /// Whether a process stands in a gate or waits at one, or something is called by one of its names: then the gates are
    /// others when it comes, goes or changes.
    pub fn concerns(&self, id: ProcId, names: &[&str]) -> bool {
        let is_in = self.places.contains_key(&id) || self.waiters.contains_key(&id);
        is_in || names.iter().any(|name| self.has_name(name))
    }

    /// Whether somebody depends on what has that name, if anything has.
    pub fn has_name(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Whether somebody depends on that name, and something has it.
    pub fn knows(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|gates| gates.iter().any(|gate| !self.gates[*gate].is_absent))
    }

    /// A process has come that no gate concerns, and depends on these. A gate at which others wait already costs nothing, a new
    /// one what `find` does to tell who has its name, and a look at those; `None` is a name that nothing has.
    pub fn join(
        &mut self,
        id: ProcId,
        items: &[Dependency],
        is_last: bool,
        find: impl Fn(&str) -> Option<Vec<ProcId>>,
        facts: impl Fn(ProcId) -> Facts,
    ) {
        let mut found: Vec<usize> = Vec::with_capacity(items.len());
        for item in items {
            let is_same = |gate: &&usize| {
                let gate = &self.gates[**gate];
                gate.is_whole && gate.item.condition == item.condition
            };
            let known = self.names.get(&item.name).and_then(|gates| gates.iter().find(is_same)).copied();
            let gate = known.unwrap_or_else(|| {
                let members = find(&item.name);
                self.add(item, members.is_none(), members.into_iter().flatten(), &facts)
            });
            found.push(gate);
        }
        found.into_iter().for_each(|gate| self.enter(id, gate, is_last));
    }

    /// A process goes on which nothing depends: the cost is that of those that wait beside it. False, and nothing is done,
    /// if it stands in a gate itself.
    pub fn leave(&mut self, id: ProcId) -> bool {
        if self.places.contains_key(&id) {
            return false;
        }
        self.end_stop(id, &mut Vec::new());
        for gate in self.waiters.remove(&id).into_iter().flat_map(|waiter| waiter.gates) {
            let waiters = &mut self.gates[gate].waiters;
            if let Some(place) = waiters.iter().position(|waiter| *waiter == id) {
                waiters.remove(place);
            }
        }
        true
    }

    fn add(
        &mut self,
        item: &Dependency,
        is_absent: bool,
        members: impl Iterator<Item = ProcId>,
        facts: &impl Fn(ProcId) -> Facts,
    ) -> usize {
        let number = self.gates.len();
        let mut gate = Gate {
            item: item.clone(),
            members: Vec::new(),
            unmet: usize::from(is_absent),
            is_absent,
            is_whole: true,
            waiters: Vec::new(),
            stopping: 0,
        };
        self.names.entry(item.name.clone()).or_default().push(number);
        for process in members {
            let facts = facts(process);
            let (meets, fails) = (facts.meets(item.condition), facts.fails(item.condition));
            self.places.entry(process).or_default().push((number, gate.members.len()));
            gate.unmet += usize::from(!meets);
            gate.members.push(Awaited { process, meets, fails });
        }
        self.gates.push(gate);
        number
    }

    /// Whether nobody waits for anybody.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Whether all gates of a process are open. One that has none may start at any time.
    pub fn is_open(&self, id: ProcId) -> bool {
        self.waiters.get(&id).is_none_or(|waiter| waiter.closed == 0)
    }

    /// A process need not wait at gates that others than `these` keep closed.
    pub fn excuse(&mut self, id: ProcId, these: &BTreeSet<ProcId>) {
        let Some(waiter) = self.waiters.get_mut(&id) else { return };
        for number in &waiter.gates {
            let gate = &self.gates[*number];
            let is_other = |member: &Awaited| !member.meets && !these.contains(&member.process);
            if (gate.is_absent || gate.members.iter().any(is_other)) && !waiter.excused.contains(number) {
                waiter.excused.push(*number);
                waiter.closed -= 1;
            }
        }
    }

    /// From here on it waits at all of its gates again.
    pub fn end_excuse(&mut self, id: ProcId) {
        let Some(waiter) = self.waiters.get_mut(&id) else { return };
        waiter.closed += std::mem::take(&mut waiter.excused).len();
    }

    /// Whether nothing has to be stopped before a process (O-2).
    pub fn is_free(&self, id: ProcId) -> bool {
        !self.stops_before.contains_key(&id)
    }

    /// A process is to be stopped, and what it depends on not before it, nor what that depends on.
    pub fn begin_stop(&mut self, id: ProcId) {
        self.count_stop(id, true, &mut Vec::new());
    }

    /// It is stopped; what follows is appended.
    pub fn end_stop(&mut self, id: ProcId, out: &mut Vec<GateEffect>) {
        self.count_stop(id, false, out);
    }

    /// Costs a look at the gates of the process, and one at each member of those where it is the first or the last. One
    /// that is not to be stopped before another hands that on, though it may be down itself.
    fn count_stop(&mut self, id: ProcId, is_stopping: bool, out: &mut Vec<GateEffect>) {
        let Some(waiter) = self.waiters.get_mut(&id) else { return };
        waiter.is_stopping = is_stopping;
        let mut changed = vec![id];
        while let Some(id) = changed.pop() {
            let is_late = self.stops_before.contains_key(&id);
            let Some(waiter) = self.waiters.get_mut(&id) else { continue };
            let counts = !waiter.is_last && (waiter.is_stopping || is_late);
            if std::mem::replace(&mut waiter.counts, counts) == counts {
                continue;
            }
            for number in &waiter.gates {
                let gate = &mut self.gates[*number];
                if !gate.item.condition.orders_stops() {
                    continue;
                }
                let had = gate.stopping > 0;
                gate.stopping = if counts { gate.stopping + 1 } else { gate.stopping - 1 };
                if had == (gate.stopping > 0) {
                    continue;
                }
                for member in &gate.members {
                    let before = self.stops_before.entry(member.process).or_default();
                    *before = if counts { *before + 1 } else { before.saturating_sub(1) };
                    if *before == 0 {
                        self.stops_before.remove(&member.process);
                        out.push(GateEffect::Free(member.process));
                        changed.push(member.process);
                    } else if counts && *before == 1 {
                        changed.push(member.process);
                    }
                }
            }
        }
    }

    /// A process has changed; what follows is appended.
    pub fn update(&mut self, id: ProcId, facts: Facts, out: &mut Vec<GateEffect>) {
        let Some(places) = self.places.get(&id) else { return };
        for &(number, place) in places {
            #[cfg(test)]
            {
                self.looks += 1;
            }
            let gate = &mut self.gates[number];
            let condition = gate.item.condition;
            let member = &mut gate.members[place];
            let (meets, fails) = (facts.meets(condition), facts.fails(condition));
            let has_failed = fails && !member.fails;
            member.fails = fails;
            if std::mem::replace(&mut member.meets, meets) != meets {
                let was_open = gate.unmet == 0;
                gate.unmet = if meets { gate.unmet - 1 } else { gate.unmet + 1 };
                let is_open = gate.unmet == 0;
                if was_open != is_open {
                    for waiter in &gate.waiters {
                        #[cfg(test)]
                        {
                            self.looks += 1;
                        }
                        let Some(entry) = self.waiters.get_mut(waiter) else { continue };
                        if let Some(place) = entry.excused.iter().position(|excused| *excused == number) {
                            entry.excused.remove(place);
                            continue;
                        }
                        entry.closed = if is_open { entry.closed - 1 } else { entry.closed + 1 };
                        if is_open && entry.closed == 0 {
                            out.push(GateEffect::Opened(*waiter));
                        } else if !is_open && condition.is_lasting() {
                            out.push(GateEffect::Closed(*waiter));
                        }
                    }
                }
            }
            if has_failed {
                out.extend(gate.waiters.iter().map(|waiter| GateEffect::Hopeless { waiter: *waiter, failed: id }));
            }
        }
    }

    /// What a process waits for, in the order of its items; each process once for each of them.
    pub fn obstacles(&self, id: ProcId) -> impl Iterator<Item = Obstacle<'_>> {
        let closed = self.minded(id).filter(|gate| gate.unmet > 0);
        closed.flat_map(|gate| {
            let unmet = gate.members.iter().filter(|member| !member.meets);
            unmet.map(|member| Obstacle { process: member.process, item: &gate.item, fails: member.fails })
        })
    }

    /// The same, each process once, by the first item that names it.
    pub fn distinct_obstacles(&self, id: ProcId) -> impl Iterator<Item = Obstacle<'_>> {
        // At one gate each stands once.
        let is_only = self.waiters.get(&id).is_none_or(|waiter| waiter.closed <= 1);
        let mut seen = BTreeSet::new();
        self.obstacles(id).filter(move |obstacle| is_only || seen.insert(obstacle.process))
    }

    /// The items of a process whose names nothing has.
    pub fn absent(&self, id: ProcId) -> impl Iterator<Item = &Dependency> {
        self.minded(id).filter(|gate| gate.is_absent).map(|gate| &gate.item)
    }

    /// The gates of a process but for those that it is excused from.
    fn minded(&self, id: ProcId) -> impl Iterator<Item = &Gate> {
        self.minded_numbers(id).filter_map(|gate| self.gates.get(gate))
    }

    fn minded_numbers(&self, id: ProcId) -> impl Iterator<Item = usize> {
        let waiter = self.waiters.get(&id).into_iter();
        waiter.flat_map(|waiter| waiter.gates.iter().filter(|gate| !waiter.excused.contains(gate)).copied())
    }

    /// Those of `waiting` that wait at a gate which does not open: nothing has its name, or somebody keeps it closed who may not
    /// come, or who waits at such a gate. Each gate is looked through once, however many wait at it.
    pub fn in_vain(&self, waiting: &BTreeSet<ProcId>, may_come: impl Fn(ProcId) -> bool) -> BTreeSet<ProcId> {
        let keeps_closed = |member: &Awaited| !member.meets && !may_come(member.process);
        let mut dead: Vec<Option<bool>> = vec![None; self.gates.len()];
        let mut is_dead = |number: usize| {
            let gate = &self.gates[number];
            *dead[number].get_or_insert_with(|| gate.is_absent || gate.members.iter().any(keeps_closed))
        };
        let is_first = |id: &ProcId| self.minded_numbers(*id).any(&mut is_dead);
        let mut in_vain: BTreeSet<ProcId> = waiting.iter().copied().filter(is_first).collect();
        let mut found: Vec<ProcId> = in_vain.iter().copied().collect();
        while let Some(id) = found.pop() {
            for &(number, place) in self.places.get(&id).into_iter().flatten() {
                let gate = &self.gates[number];
                if gate.members[place].meets || dead[number].replace(true) == Some(true) {
                    continue;
                }
                let minds = |waiter: &ProcId| self.minded_numbers(*waiter).any(|minded| minded == number);
                for waiter in gate.waiters.iter().filter(|waiter| waiting.contains(waiter) && minds(waiter)) {
                    if in_vain.insert(*waiter) {
                        found.push(*waiter);
                    }
                }
            }
        }
        in_vain
    }

    /// Everything a process waits for by one item after another, met or not.
    pub fn needs(&self, id: ProcId) -> impl Iterator<Item = (&Dependency, impl Iterator<Item = ProcId>)> {
        let gates = self.waiters.get(&id).into_iter().flat_map(|waiter| &waiter.gates);
        let gates = gates.filter_map(|gate| self.gates.get(*gate));
        gates.map(|gate| (&gate.item, gate.members.iter().map(|member| member.process)))
    }

    /// Those of `ids` that depend on nothing, then those that depend on them alone, and so on. Each gate is entered once.
    pub fn tiers(&self, ids: impl Iterator<Item = ProcId>) -> Vec<Vec<ProcId>> {
        let mut members_left: Vec<usize> = self.gates.iter().map(|gate| gate.members.len()).collect();
        let mut gates_left: IdMap<ProcId, usize> = IdMap::default();
        for (id, waiter) in &self.waiters {
            gates_left.insert(*id, waiter.gates.iter().filter(|gate| members_left[**gate] > 0).count());
        }
        let is_first = |id: &ProcId| gates_left.get(id).is_none_or(|left| *left == 0);
        let mut tier: Vec<ProcId> = ids.filter(is_first).collect();
        let mut tiers = Vec::new();
        while !tier.is_empty() {
            let mut next = Vec::new();
            for (gate, _) in tier.iter().filter_map(|id| self.places.get(id)).flatten() {
                members_left[*gate] -= 1;
                if members_left[*gate] > 0 {
                    continue;
                }
                for waiter in &self.gates[*gate].waiters {
                    let Some(left) = gates_left.get_mut(waiter) else { continue };
                    *left -= 1;
                    if *left == 0 {
                        next.push(*waiter);
                    }
                }
            }
            next.sort_unstable();
            tiers.push(std::mem::replace(&mut tier, next));
        }
        tiers
    }

    /// Who depends on a process, directly, by a lasting condition.
    pub fn lasting_dependents(&self, id: ProcId) -> impl Iterator<Item = ProcId> {
        let places = self.places.get(&id).into_iter().flatten();
        let gates = places.filter_map(|(gate, _)| self.gates.get(*gate));
        gates.filter(|gate| gate.item.condition.is_lasting()).flat_map(|gate| gate.waiters.iter().copied())
    }

    /// Who depends on a process, directly, and is to be stopped before it (O-2).
    pub fn dependents(&self, id: ProcId) -> impl Iterator<Item = ProcId> {
        let places = self.places.get(&id).into_iter().flatten();
        let gates = places.filter_map(|(gate, _)| self.gates.get(*gate));
        let waiters = gates.filter(|gate| gate.item.condition.orders_stops()).flat_map(|gate| gate.waiters.iter());
        waiters.copied().filter(|id| self.waiters.get(id).is_some_and(|waiter| !waiter.is_last))
    }
}

#[cfg(test)]
mod tests;
