//! Who comes and who goes: what each name means is known at any time, so that a process in or out of a set costs a look at the
//! gates of that set and at those that wait there, and one that depends on something costs its own items.
//!
//! What would move others from one gate to another is left to gates that are made anew: a name that was a group's becomes a
//! program's or the other way round, and a group comes to mean one of its own by an item that it has for its members.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Awaited, Fit, Gate, GateEffect, Gates, Known, Named};
use crate::config::dependency::Dependency;
use crate::config::depends::Node;
use crate::id::ProcId;
use crate::model::facts::Facts;

/// Processes that may be gone through to see whether items of groups mean one of the group, before it is less to make all anew.
const SCANNED_MAX: usize = 100_000;

/// An item of a process; a group's means none of that group if it has one.
type Wanted<'n> = (&'n Dependency, Option<&'n str>);

impl Gates {
    /// The gates of all processes.
    pub fn new(nodes: &[Node<'_>], ids: &[ProcId], known: &Known<'_>) -> Gates {
        let mut gates = Gates::default();
        if nodes.iter().all(|node| node.depends_on.is_empty() && node.group_depends_on.is_empty()) {
            return gates;
        }
        nodes.iter().zip(ids).for_each(|(node, id)| gates.name(*id, node));
        let mut group = None;
        let mut of_group = Vec::new();
        for (node, id) in nodes.iter().zip(ids) {
            if group.replace(node.group) != Some(node.group) {
                of_group = gates.wanted_by_group(node);
            }
            gates.wait(*id, &wanted(node, &of_group), known);
        }
        gates.scanned = 0;
        gates
    }

    /// Whether they know all processes; as long as nobody waits they need not.
    pub fn is_made(&self) -> bool {
        !self.names.is_empty()
    }

    /// A process has come, or depends on something else. What opens is appended, and what comes to wait in vain.
    pub fn come(&mut self, id: ProcId, node: &Node<'_>, known: &Known<'_>, out: &mut Vec<GateEffect>) -> Fit {
        let mut fit = Fit::Same;
        if !self.is_in(node.group, id) {
            fit = self.enter_sets(id, node, known, out);
        } else if self.program(node.program).binary_search(&id).is_err() {
            return Fit::Anew;
        }
        let of_group = self.wanted_by_group(node);
        if fit == Fit::Anew || self.scanned > SCANNED_MAX {
            return Fit::Anew;
        }
        let wanted = wanted(node, &of_group);
        let has = self.waiters.get(&id).map_or(&[][..], |waiter| &waiter.gates);
        if wanted.len() == has.len() && wanted.iter().zip(has).all(|(wanted, gate)| self.select(*wanted) == Some(*gate))
        {
            return fit;
        }
        let is_stopping = self.stop_waiting(id, out);
        self.wait(id, &wanted, known);
        // What it depends on waits for it from now on, if it is to be stopped, or for what it holds back itself.
        if let Some(waiter) = self.waiters.get_mut(&id) {
            waiter.is_stopping = is_stopping;
            self.recount(id, out);
        }
        Fit::Changed
    }

    /// A process goes. What opens is appended, and what comes to wait in vain.
    pub fn leave(&mut self, id: ProcId, node: &Node<'_>, out: &mut Vec<GateEffect>) -> Fit {
        if !self.is_in(node.group, id) {
            return Fit::Anew;
        }
        take(&mut self.named(node.group).group, id);
        take(&mut self.named(node.program).program, id);
        let called = self.called(node);
        for number in &called {
            let name = &self.gates[*number].item.name;
            let is_absent = match name.split_once(':') {
                Some((group, "*" | "")) => self.group(group).is_empty(),
                Some(_) => true,
                None if !self.program(name).is_empty() => false,
                // It was the last of its program: the name is the group's.
                None if name == node.program && !self.group(name).is_empty() => return Fit::Anew,
                None => self.group(name).is_empty(),
            };
            self.alter(*number, id, None, is_absent, out);
        }
        self.places.remove(&id);
        self.stops_before.remove(&id);
        let is_changed = self.waiters.contains_key(&id) || !called.is_empty();
        self.stop_waiting(id, out);
        self.forget_name(node.group);
        self.forget_name(node.program);
        if is_changed { Fit::Changed } else { Fit::Same }
    }

    /// The processes that an item means by that name: a program, in whatever group, or else a group; none if nothing has it.
    pub fn meant(&self, name: &str, known: &Known<'_>) -> Cow<'_, [ProcId]> {
        match name.split_once(':') {
            Some((group, "*" | "")) => Cow::Borrowed(self.group(group)),
            Some((group, process)) => {
                let found = (known.find)(group, process).filter(|id| self.is_in(group, *id));
                Cow::Owned(found.into_iter().collect())
            }
            None if self.program(name).is_empty() => Cow::Borrowed(self.group(name)),
            None => Cow::Borrowed(self.program(name)),
        }
    }

    /// Whether processes that are to be called so, and to depend on these, find what they depend on, and close no circle: from
    /// that nobody leads who waits for one of those names. Each gate below is looked through once. False is that it may be
    /// otherwise.
    pub fn stays_apart(
        &self,
        names: &HashSet<String>,
        items: &mut dyn Iterator<Item = &Dependency>,
        known: &Known<'_>,
    ) -> bool {
        let mut seen = HashSet::new();
        let mut found: Vec<ProcId> = Vec::new();
        for item in items.filter(|item| seen.insert(item.name.as_str())) {
            let meant = self.meant(&item.name, known);
            if names.contains(&item.name) || meant.is_empty() {
                return false;
            }
            found.extend_from_slice(&meant);
        }
        let named = || names.iter().filter_map(|name| self.names.get(name)).flat_map(|named| &named.gates);
        if named().next().is_none() {
            return true;
        }
        let mut above = vec![false; self.gates.len()];
        named().for_each(|number| above[*number] = true);
        let mut seen = vec![false; self.gates.len()];
        while let Some(id) = found.pop() {
            for number in self.waiters.get(&id).into_iter().flat_map(|waiter| &waiter.gates) {
                if above[*number] {
                    return false;
                }
                if !std::mem::replace(&mut seen[*number], true) {
                    found.extend(self.gates[*number].members.iter().map(|member| member.process));
                }
            }
        }
        true
    }

    fn program(&self, name: &str) -> &[ProcId] {
        self.names.get(name).map_or(&[], |named| &named.program)
    }

    fn group(&self, name: &str) -> &[ProcId] {
        self.names.get(name).map_or(&[], |named| &named.group)
    }

    fn is_in(&self, group: &str, id: ProcId) -> bool {
        self.group(group).binary_search(&id).is_ok()
    }

    fn named(&mut self, name: &str) -> &mut Named {
        self.names.entry(name.to_string()).or_default()
    }

    fn name(&mut self, id: ProcId, node: &Node<'_>) {
        put(&mut self.named(node.group).group, id);
        put(&mut self.named(node.program).program, id);
    }

    fn forget_name(&mut self, name: &str) {
        let is_idle = |named: &Named| named.gates.is_empty() && named.program.is_empty() && named.group.is_empty();
        if self.names.get(name).is_some_and(is_idle) {
            self.names.remove(name);
        }
    }

    /// The gates of items that may mean a process, each once.
    fn called(&self, node: &Node<'_>) -> Vec<usize> {
        let names = node.called();
        let is_new = |at: usize| !names[..at].contains(&names[at]);
        let found = names.iter().enumerate().filter(|(at, _)| is_new(*at)).filter_map(|(_, name)| self.names.get(name));
        found.flat_map(|named| named.gates.iter().copied()).collect()
    }

    fn enter_sets(&mut self, id: ProcId, node: &Node<'_>, known: &Known<'_>, out: &mut Vec<GateEffect>) -> Fit {
        self.name(id, node);
        let group = Some(node.group);
        let is_new = |item: &Dependency| item.name == node.program && self.select((item, group)).is_none();
        if self.group(node.group).len() > 1 && node.group_depends_on.iter().any(is_new) {
            return Fit::Anew;
        }
        let is_first = self.program(node.program).len() == 1;
        let called = self.called(node);
        for number in &called {
            let gate = &self.gates[*number];
            let name = &gate.item.name;
            if name == node.program && is_first && !gate.is_absent {
                return Fit::Anew;
            }
            if name == node.group && name != node.program && !self.program(name).is_empty() {
                continue;
            }
            let stands = gate.without.as_deref() != group;
            self.alter(*number, id, stands.then(|| (known.facts)(id)), false, out);
        }
        if called.is_empty() { Fit::Same } else { Fit::Changed }
    }

    /// A process comes into a gate with these facts, or goes out of it. Nobody is told that it closes: for what comes nothing has
    /// gone.
    fn alter(&mut self, number: usize, id: ProcId, facts: Option<Facts>, is_absent: bool, out: &mut Vec<GateEffect>) {
        let gate = &mut self.gates[number];
        let was_open = gate.unmet == 0;
        gate.unmet = gate.unmet + usize::from(is_absent) - usize::from(gate.is_absent);
        gate.is_absent = is_absent;
        let mut has_failed = is_absent;
        match (gate.place(id), facts) {
            (Err(place), Some(facts)) => {
                let member = awaited(&gate.item, id, facts);
                has_failed |= member.fails;
                gate.unmet += usize::from(!member.meets);
                gate.members.insert(place, member);
                self.places.entry(id).or_default().push(number);
                if gate.stopping > 0 {
                    *self.stops_before.entry(id).or_default() += 1;
                }
            }
            (Ok(place), None) => {
                let member = gate.members.remove(place);
                gate.unmet -= usize::from(!member.meets);
            }
            _ => {}
        }
        gate.turn(number, was_open, &mut self.waiters, false, out);
        if has_failed {
            gate.tell_of_failure(id, out);
        }
    }

    /// The items that members of a group have for its sake, and which of them mean one of the group. Where none is meant the
    /// gate is everybody's: a thousand groups behind one make one set.
    fn wanted_by_group<'n>(&mut self, node: &Node<'n>) -> Vec<Wanted<'n>> {
        let mut wanted = Vec::new();
        for item in node.group_depends_on {
            let is_partial =
                self.select((item, Some(node.group))).is_some() || self.means_one_of(&item.name, node.group);
            wanted.push((item, is_partial.then_some(node.group)));
        }
        wanted
    }

    fn means_one_of(&mut self, name: &str, group: &str) -> bool {
        if let Some((named, _)) = name.split_once(':') {
            return named == group;
        }
        let (program, members) = (self.program(name), self.group(group));
        if program.is_empty() {
            return name == group;
        }
        let (few, many) = if program.len() < members.len() { (program, members) } else { (members, program) };
        let is_met = few.iter().any(|id| many.binary_search(id).is_ok());
        self.scanned += few.len();
        is_met
    }

    /// The gate of an item.
    fn select(&self, (item, without): Wanted<'_>) -> Option<usize> {
        let is_it = |number: &usize| {
            let gate = &self.gates[*number];
            gate.item.condition == item.condition && gate.without.as_deref() == without
        };
        self.names.get(&item.name)?.gates.iter().copied().find(is_it)
    }

    /// From here on a process waits at the gates of these.
    fn wait(&mut self, id: ProcId, wanted: &[Wanted<'_>], known: &Known<'_>) {
        for wanted in wanted {
            let number = self.select(*wanted).unwrap_or_else(|| self.open_gate(*wanted, known));
            let gate = &mut self.gates[number];
            if put(&mut gate.waiters, id) {
                let entry = self.waiters.entry(id).or_default();
                entry.gates.push(number);
                entry.closed += usize::from(gate.unmet > 0);
                entry.is_last = (known.is_last)(id);
            }
        }
    }

    fn open_gate(&mut self, (item, without): Wanted<'_>, known: &Known<'_>) -> usize {
        let meant = self.meant(&item.name, known);
        let is_absent = meant.is_empty();
        let is_outside = |id: &ProcId| without.is_none_or(|group| !self.is_in(group, *id));
        let member = |id: ProcId| awaited(item, id, (known.facts)(id));
        let members: Vec<Awaited> = meant.iter().copied().filter(is_outside).map(member).collect();
        let unmet = members.iter().filter(|member| !member.meets).count() + usize::from(is_absent);
        let number = self.vacant.pop().unwrap_or(self.gates.len());
        members.iter().for_each(|member| self.places.entry(member.process).or_default().push(number));
        self.named(&item.name).gates.push(number);
        let without = without.map(str::to_string);
        let gate = Gate { item: item.clone(), without, members, unmet, is_absent, waiters: Vec::new(), stopping: 0 };
        match self.gates.get_mut(number) {
            Some(vacant) => *vacant = gate,
            None => self.gates.push(gate),
        }
        number
    }

    /// A process waits at no gate any more; gates at which nobody waits go. Says whether it was to be stopped.
    fn stop_waiting(&mut self, id: ProcId, out: &mut Vec<GateEffect>) -> bool {
        let Some(waiter) = self.waiters.get_mut(&id) else { return false };
        let is_stopping = waiter.is_stopping;
        // Nothing waits for its stop.
        waiter.is_last = true;
        self.recount(id, out);
        for number in self.waiters.remove(&id).into_iter().flat_map(|waiter| waiter.gates) {
            let gate = &mut self.gates[number];
            take(&mut gate.waiters, id);
            if !gate.waiters.is_empty() {
                continue;
            }
            for member in std::mem::take(&mut gate.members) {
                let Some(places) = self.places.get_mut(&member.process) else { continue };
                places.retain(|place| *place != number);
                if places.is_empty() {
                    self.places.remove(&member.process);
                }
            }
            let name = std::mem::take(&mut gate.item.name);
            self.named(&name).gates.retain(|other| *other != number);
            self.forget_name(&name);
            self.vacant.push(number);
        }
        is_stopping
    }
}

/// The items of a process, its own and its group's, each once.
fn wanted<'n>(node: &Node<'n>, of_group: &[Wanted<'n>]) -> Vec<Wanted<'n>> {
    let own = node.depends_on;
    let mut wanted: Vec<Wanted<'n>> = own.iter().map(|item| (item, None)).collect();
    let known: HashSet<&Dependency> = if of_group.is_empty() { HashSet::new() } else { own.iter().collect() };
    wanted.extend(of_group.iter().filter(|(item, _)| !known.contains(item)));
    wanted
}

fn awaited(item: &Dependency, process: ProcId, facts: Facts) -> Awaited {
    Awaited { process, meets: facts.meets(item.condition), fails: facts.fails(item.condition) }
}

/// Puts an id in its place among those that ascend; false if it is there.
fn put(ids: &mut Vec<ProcId>, id: ProcId) -> bool {
    let place = ids.binary_search(&id);
    if let Err(place) = place {
        ids.insert(place, id);
    }
    place.is_err()
}

fn take(ids: &mut Vec<ProcId>, id: ProcId) {
    if let Ok(place) = ids.binary_search(&id) {
        ids.remove(place);
    }
}
