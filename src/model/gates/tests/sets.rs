//! Who comes and goes leaves the gates as they would be made.

use super::*;
use crate::config::depends::{look_up, resolve_but_for};

/// One number after another, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    fn items(&mut self) -> Vec<Dependency> {
        let names = ["a", "b", "c", "d", "a:*", "b:", "c:*", "a:0", "b:1", "c:2", "nobody"];
        let conditions = [Condition::Running, Condition::Spawned, Condition::Completed];
        let mut items: Vec<Dependency> = Vec::new();
        for _ in 0..[0, 0, 1, 2, 3][self.below(5)] {
            let item = Dependency { name: self.pick(&names).to_string(), condition: conditions[self.below(3)] };
            if !items.contains(&item) {
                items.push(item);
            }
        }
        items
    }
}

#[derive(Clone)]
struct Member {
    id: ProcId,
    group: &'static str,
    name: &'static str,
    program: &'static str,
    items: Vec<Dependency>,
    state: ProcessState,
    is_stopping: bool,
}

const GROUPS: [&str; 3] = ["a", "b", "c"];

/// Processes, and what their groups depend on.
#[derive(Clone, Default)]
struct All {
    members: Vec<Member>,
    of_groups: [Vec<Dependency>; 3],
}

impl All {
    fn nodes(&self) -> (Vec<Node<'_>>, Vec<ProcId>) {
        let of_group = |group: &str| &self.of_groups[GROUPS.iter().position(|known| *known == group).unwrap()];
        let node = |member: &Member| Node {
            group: member.group,
            name: member.name,
            program: member.program,
            depends_on: &self.members.iter().find(|other| other.id == member.id).unwrap().items,
            group_depends_on: of_group(member.group),
        };
        (self.members.iter().map(node).collect(), self.members.iter().map(|member| member.id).collect())
    }

    fn facts(&self, id: ProcId) -> Facts {
        let state = self.members.iter().find(|member| member.id == id).unwrap().state;
        let ended = (state == ProcessState::Exited).then_some(true);
        Facts { ended, ..facts(state) }
    }

    fn with<T>(&self, work: impl FnOnce(&[Node<'_>], &Known<'_>) -> T) -> T {
        let (nodes, ids) = self.nodes();
        knowing(&nodes, &ids, &|id| self.facts(id), |known| work(&nodes, known))
    }

    fn made(&self) -> Gates {
        let mut gates = self.with(|nodes, known| Gates::new(nodes, &self.nodes().1, known));
        self.members.iter().filter(|member| member.is_stopping).for_each(|member| gates.begin_stop(member.id));
        gates
    }

    fn goes_round(&self) -> bool {
        resolve_but_for(&self.nodes().0, |_, _| true).is_err()
    }
}

/// All that can be seen of gates.
fn seen(gates: &Gates, all: &All) -> Vec<String> {
    let seen = |member: &Member| {
        let id = member.id;
        let needs: Vec<_> = gates.needs(id).map(|(item, on)| (item.to_string(), on.collect::<Vec<_>>())).collect();
        let absent: Vec<_> = gates.absent(id).map(Dependency::to_string).collect();
        let obstacles: Vec<_> = gates.obstacles(id).map(|found| (found.process, found.fails)).collect();
        let mut dependents: Vec<_> = gates.dependents(id).chain(gates.lasting_dependents(id)).collect();
        dependents.sort_unstable();
        let is = (gates.is_open(id), gates.is_free(id));
        format!("{id:?} {needs:?} without {absent:?}, waits for {obstacles:?}, before {dependents:?}, {is:?}")
    };
    all.members.iter().map(seen).collect()
}

/// Whoever may start now, may stop now, or waits in vain is told, but for those that themselves have `changed`.
fn told(gates: &Gates, before: &Gates, all: &All, changed: &[ProcId], effects: &[GateEffect]) -> Result<(), String> {
    for id in all.members.iter().map(|member| member.id) {
        if !before.is_free(id) && gates.is_free(id) && !effects.contains(&GateEffect::Free(id)) {
            return Err(format!("{id:?} is free"));
        }
        if changed.contains(&id) {
            continue;
        }
        if !before.is_open(id) && gates.is_open(id) && !effects.contains(&GateEffect::Opened(id)) {
            return Err(format!("{id:?} may start"));
        }
        let is_told = |effect: &GateEffect| matches!(effect, GateEffect::Hopeless { waiter, .. } if *waiter == id);
        if gates.absent(id).count() > before.absent(id).count() && !effects.iter().any(is_told) {
            return Err(format!("{id:?} waits in vain"));
        }
    }
    Ok(())
}

/// What happens next: what all are then, and who has come or changed, or has gone.
fn next(all: &All, chance: &mut Chance, fresh: u32) -> (All, Vec<ProcId>, Option<Member>) {
    let mut then = all.clone();
    let at = chance.below(all.members.len().max(1));
    match chance.below(if all.members.is_empty() { 1 } else { 8 }) {
        0..=2 => {
            let (group, name) = (chance.pick(&GROUPS), chance.pick(&["0", "1", "2", "3"]));
            if all.members.iter().any(|member| (member.group, member.name) == (group, name)) {
                return (then, Vec::new(), None);
            }
            let (program, items) = (chance.pick(&["a", "b", "c", "d", group]), chance.items());
            let id = ProcId(fresh);
            let state = [ProcessState::Stopped, ProcessState::Running, ProcessState::Fatal][chance.below(3)];
            then.members.push(Member { id, group, name, program, items, state, is_stopping: false });
            (then, vec![id], None)
        }
        3 | 4 => {
            let gone = then.members.remove(at);
            (then, Vec::new(), Some(gone))
        }
        5 => {
            then.members[at].items = chance.items();
            (then, vec![all.members[at].id], None)
        }
        6 => {
            let group = chance.below(3);
            then.of_groups[group] = chance.items();
            let of_it = all.members.iter().filter(|member| member.group == GROUPS[group]);
            (then, of_it.map(|member| member.id).collect(), None)
        }
        _ => {
            use ProcessState::*;
            then.members[at].state = [Running, Starting, Exited, Fatal, Stopped][chance.below(5)];
            then.members[at].is_stopping = chance.below(2) == 0;
            (then, Vec::new(), None)
        }
    }
}

#[test]
fn who_comes_and_goes_leaves_the_gates_as_they_would_be_made() {
    // Steps after which they had to be made anew, and the others.
    let (mut anew, mut kept) = (0, 0);
    for seed in 0..300 {
        let mut chance = Chance(seed);
        let mut all = All::default();
        let mut gates = all.made();
        for step in 0..80 {
            let (then, changed, gone) = next(&all, &mut chance, step);
            // One that would go round is refused, or comes about when a name gets another meaning; neither has a right result.
            if then.goes_round() {
                continue;
            }
            let before = gates.clone();
            let mut effects = Vec::new();
            let mut fit = Fit::Same;
            if let Some(gone) = gone {
                let (nodes, _) = all.nodes();
                let at = all.members.iter().position(|member| member.id == gone.id).unwrap();
                fit = if gates.is_made() { gates.leave(gone.id, &nodes[at], &mut effects) } else { Fit::Anew };
            }
            then.with(|nodes, known| {
                for id in &changed {
                    let at = then.members.iter().position(|member| member.id == *id).unwrap();
                    let this =
                        if gates.is_made() { gates.come(*id, &nodes[at], known, &mut effects) } else { Fit::Anew };
                    fit = this;
                    if fit == Fit::Anew {
                        return;
                    }
                    // What depended on nothing until now is not known to be one of those.
                    if then.members[at].is_stopping {
                        gates.begin_stop(*id);
                    }
                }
            });
            for (old, new) in all.members.iter().zip(&then.members).filter(|(old, new)| old.id == new.id) {
                if (old.state, old.is_stopping) == (new.state, new.is_stopping) {
                    continue;
                }
                gates.update(new.id, then.facts(new.id), &mut effects);
                match new.is_stopping {
                    true => gates.begin_stop(new.id),
                    false => gates.end_stop(new.id, &mut effects),
                }
            }
            all = then;
            let made = all.made();
            if fit == Fit::Anew {
                anew += 1;
                gates = made;
                continue;
            }
            kept += 1;
            assert_eq!(seen(&gates, &all), seen(&made, &all), "seed {seed}, step {step}");
            assert_eq!(
                told(&gates, &before, &all, &changed, &effects),
                Ok(()),
                "seed {seed}, step {step}: {effects:?}"
            );
            is_what_names_mean(&gates, &all, seed, step);
        }
        // Nothing of those that are gone is left.
        for member in std::mem::take(&mut all.members) {
            let node = Node { group: member.group, name: member.name, ..Node::default() };
            let node = Node { program: member.program, ..node };
            if gates.is_made() && gates.leave(member.id, &node, &mut Vec::new()) == Fit::Anew {
                break;
            }
            if gates.names.is_empty() {
                assert!(gates.places.is_empty() && gates.waiters.is_empty() && gates.stops_before.is_empty());
                assert_eq!(gates.vacant.len(), gates.gates.len(), "seed {seed}");
            }
        }
    }
    assert!(kept > anew * 4 && anew > 100, "{kept} {anew}");
}

/// The check of a file goes by the same meaning.
fn is_what_names_mean(gates: &Gates, all: &All, seed: u64, step: u32) {
    let (nodes, ids) = all.nodes();
    let resolved = look_up(&nodes);
    for (at, id) in ids.iter().enumerate() {
        let expected: Vec<(String, Vec<ProcId>)> = resolved.needs[at]
            .iter()
            .map(|need| {
                let mut on: Vec<ProcId> = resolved.sets[need.set].iter().map(|index| ids[*index]).collect();
                on.sort_unstable();
                (need.item.to_string(), on)
            })
            .collect();
        let needs: Vec<_> = gates.needs(*id).map(|(item, on)| (item.to_string(), on.collect())).collect();
        assert_eq!(needs, expected, "seed {seed}, step {step}, {id:?}");
    }
}

/// What is said to stay apart closes no circle and finds what it depends on.
#[test]
fn what_stays_apart_may_come() {
    // What was said of those that may come, and of those that may not.
    let (mut apart, mut refused) = ([0; 2], [0; 2]);
    for seed in 0..300 {
        let mut chance = Chance(seed);
        let mut all = All::default();
        for step in 0..40 {
            let (then, changed, _) = next(&all, &mut chance, step);
            if then.goes_round() {
                continue;
            }
            let is_new = then.members.len() > all.members.len();
            let gates = all.made();
            all = then;
            if !is_new || !gates.is_made() {
                continue;
            }
            // It would come with any items.
            let mut trial = all.clone();
            let last = trial.members.last_mut().unwrap();
            assert_eq!(changed, [last.id]);
            last.items = chance.items();
            let (nodes, ids) = trial.nodes();
            let known = nodes.len() - 1;
            let node = nodes[known];
            let may_come = resolve_but_for(&nodes, |node, _| node < known).is_ok();
            let (known_nodes, known_ids) = (&nodes[..known], &ids[..known]);
            let is_apart = knowing(known_nodes, known_ids, &|id| trial.facts(id), |known| {
                let mut items = node.depends_on.iter().chain(node.group_depends_on);
                gates.stays_apart(&node.called().into_iter().collect(), &mut items, known)
            });
            assert!(may_come || !is_apart, "seed {seed}, step {step}");
            let count = if may_come { &mut apart } else { &mut refused };
            count[usize::from(is_apart)] += 1;
        }
    }
    // Few are looked at twice.
    assert!(apart[1] > 10 * apart[0] && refused[0] > 100 && refused[1] == 0, "{apart:?} {refused:?}");
}

/// O-9: one more in a set, and one less, costs those that wait for the set: with ten thousand as with ten.
#[test]
fn what_coming_and_going_costs() {
    const COUNT: usize = 10_000;
    let names: Vec<String> = (0..COUNT).map(|n| format!("p{n}")).collect();
    let mut ids: Vec<ProcId> = (0..=COUNT as u32).map(ProcId).collect();
    let on = |name: &str| vec![Dependency { name: name.to_string(), condition: Condition::Running }];
    let chain: Vec<Vec<Dependency>> = (0..COUNT).map(|n| if n == 0 { vec![] } else { on(&names[n - 1]) }).collect();
    let star: Vec<Vec<Dependency>> = (0..COUNT).map(|n| if n == 0 { vec![] } else { on("p0") }).collect();
    let node = |n: usize, depends_on| Node {
        group: &names[n],
        name: &names[n],
        program: &names[n],
        depends_on,
        ..Node::default()
    };
    for items in [&chain, &star] {
        let mut nodes: Vec<Node<'_>> = (0..COUNT).map(|n| node(n, &items[n])).collect();
        ids.truncate(COUNT);
        let mut gates = made(&nodes, &ids);
        // Another one in the group of the second.
        let more = Node { name: "more", depends_on: &items[2], ..nodes[1] };
        nodes.push(more);
        ids.push(ProcId(COUNT as u32));
        let looks = std::cell::Cell::new(0);
        let counted = |_| {
            looks.set(looks.get() + 1);
            facts(ProcessState::Stopped)
        };
        let fit = knowing(&nodes, &ids, &counted, |known| gates.come(ids[COUNT], &more, known, &mut Vec::new()));
        assert!(fit == Fit::Changed && looks.get() <= 1, "{} looks", looks.get());
        assert_eq!(gates.leave(ids[COUNT], &more, &mut Vec::new()), Fit::Changed);
        assert_eq!(gates.gates.len(), made(&nodes[..COUNT], &ids[..COUNT]).gates.len());
    }
}
