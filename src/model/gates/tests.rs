use super::*;
use crate::config::dependency::DependsOn;
use crate::config::depends::{self, Node, resolve};
use crate::state::ProcessState;

const A: ProcId = ProcId(1);
const B: ProcId = ProcId(2);
const WEB: ProcId = ProcId(3);

fn facts(state: ProcessState) -> Facts {
    Facts { state, is_healthy: true, ended: None, is_retried: false, is_removed: false }
}

fn gates(condition: Condition) -> Gates {
    let item = Dependency { name: "g".to_string(), condition };
    let items = DependsOn(vec![item]);
    let node = |group, name, depends_on| Node { group, name, program: name, depends_on, group_depends_on: &[] };
    let nodes = [node("g", "a", &[][..]), node("g", "b", &[]), node("web", "web", &items.0)];
    Gates::new(&resolve(&nodes).unwrap(), &[A, B, WEB], |_| facts(ProcessState::Stopped), |_| false)
}

#[test]
fn a_gate_opens_when_all_hold_and_closes_when_one_does_not() {
    use ProcessState::*;
    let mut gates = gates(Condition::Running);
    let rows: [(ProcId, ProcessState, &[GateEffect]); 7] = [
        (A, Running, &[]),
        (A, Running, &[]),
        (B, Starting, &[]),
        (B, Running, &[GateEffect::Opened(WEB)]),
        (A, Exited, &[GateEffect::Closed(WEB)]),
        (B, Fatal, &[GateEffect::Hopeless { waiter: WEB, failed: B }]),
        (B, Fatal, &[]),
    ];
    for (step, (process, state, expected)) in rows.into_iter().enumerate() {
        let mut effects = Vec::new();
        gates.update(process, facts(state), &mut effects);
        assert_eq!(effects, expected, "step {step}");
    }
    let obstacles: Vec<(ProcId, bool)> = gates.obstacles(WEB).map(|found| (found.process, found.fails)).collect();
    assert_eq!(obstacles, [(A, false), (B, true)]);
    assert!(!gates.is_open(WEB));
    assert!(gates.is_open(A), "it waits for nobody");
}

/// What others keep closed is not waited for; what they open meanwhile counts as ever, and in the end all does.
#[test]
fn one_is_excused_from_what_others_keep_closed() {
    use ProcessState::*;
    let on = |name: &str| Dependency { name: name.to_string(), condition: Condition::Running };
    let items = [on("a"), on("b"), on("nobody")];
    let node = |name, depends_on| Node { group: name, name, program: name, depends_on, group_depends_on: &[] };
    let nodes = [node("a", &[][..]), node("b", &[]), node("web", &items)];
    let resolved = depends::look_up(&nodes);
    let mut gates = Gates::new(&resolved, &[A, B, WEB], |_| facts(Stopped), |_| false);
    gates.excuse(WEB, &BTreeSet::from([A, WEB]));
    let waits_for = |gates: &Gates| gates.obstacles(WEB).map(|found| found.process).collect::<Vec<_>>();
    assert_eq!((waits_for(&gates), gates.absent(WEB).count()), (vec![A], 0));
    // Of whom something is heard; what follows; whether it may start.
    let rows: [(ProcId, ProcessState, &[GateEffect], bool); 4] = [
        (B, Running, &[], false),
        (B, Exited, &[GateEffect::Closed(WEB)], false),
        (B, Running, &[], false),
        (A, Running, &[GateEffect::Opened(WEB)], true),
    ];
    for (step, (process, state, expected, is_open)) in rows.into_iter().enumerate() {
        let mut effects = Vec::new();
        gates.update(process, facts(state), &mut effects);
        assert_eq!((effects.as_slice(), gates.is_open(WEB)), (expected, is_open), "step {step}");
    }
    gates.end_excuse(WEB);
    assert_eq!((gates.is_open(WEB), gates.absent(WEB).count()), (false, 1));
}

/// O-1: however many wait for however many, all who do so in vain are found, by one look at each that is waited for.
#[test]
fn whoever_waits_in_vain_is_found_among_many() {
    let on = |name: &str| DependsOn(vec![Dependency { name: name.to_string(), condition: Condition::Running }]);
    let (on_needed, on_last, on_nobody, on_alive) = (on("needed"), on("w399"), on("nobody"), on("n0"));
    let names: Vec<String> = (0..300).map(|n| format!("n{n}")).chain((0..400).map(|n| format!("w{n}"))).collect();
    let node = |group, name, depends_on| Node { group, name, program: name, depends_on, group_depends_on: &[] };
    let mut nodes: Vec<Node<'_>> = names[..300].iter().map(|name| node("needed", name.as_str(), &[][..])).collect();
    nodes.extend(names[300..].iter().map(|name| node("waiting", name.as_str(), &on_needed.0[..])));
    let others = [("above", &on_last), ("lost", &on_nobody), ("fine", &on_alive)];
    nodes.extend(others.iter().map(|(name, on)| node("others", *name, &on.0[..])));
    let ids: Vec<ProcId> = (0..nodes.len() as u32).map(ProcId).collect();
    let mut gates = Gates::new(&depends::look_up(&nodes), &ids, |_| facts(ProcessState::Stopped), |_| false);
    let waiting: BTreeSet<ProcId> = ids[300..].iter().copied().collect();
    let looks = std::cell::Cell::new(0);
    let find = |gates: &Gates, given_up: ProcId| {
        let may_come = |id| {
            looks.set(looks.get() + 1);
            id != given_up
        };
        gates.in_vain(&waiting, may_come).into_iter().collect::<Vec<_>>()
    };
    let fine = ids[702];
    assert_eq!(find(&gates, ids[299]), ids[300..702], "the last of the needed, and what waits for those that wait");
    assert!(looks.get() <= names.len() + others.len(), "{}", looks.get());
    assert_eq!(find(&gates, fine), [ids[701]], "only what nothing is called");
    gates.excuse(ids[300], &BTreeSet::new());
    assert_eq!(find(&gates, ids[299]), ids[301..702], "it does not wait for them");
}

/// O-2: who is free to stop.
#[test]
fn a_process_is_free_when_all_that_depend_on_it_are_stopped() {
    let mut gates = gates(Condition::Spawned);
    // Who is to be stopped, or is; what follows, and who is free.
    let rows: [(ProcId, bool, &[GateEffect], [bool; 3]); 6] = [
        (A, true, &[], [true, true, true]),
        (WEB, true, &[], [false, false, true]),
        (WEB, true, &[], [false, false, true]),
        (A, false, &[], [false, false, true]),
        (WEB, false, &[GateEffect::Free(A), GateEffect::Free(B)], [true, true, true]),
        (WEB, false, &[], [true, true, true]),
    ];
    for (step, (process, is_stopping, expected, free)) in rows.into_iter().enumerate() {
        let mut effects = Vec::new();
        match is_stopping {
            true => gates.begin_stop(process),
            false => gates.end_stop(process, &mut effects),
        }
        assert_eq!(effects, expected, "step {step}");
        assert_eq!([A, B, WEB].map(|id| gates.is_free(id)), free, "step {step}");
    }
}

/// O-2, transitively: the one in the middle is down already.
#[test]
fn one_that_is_down_hands_on_what_holds_it() {
    let on = |name: &str| DependsOn(vec![Dependency { name: name.to_string(), condition: Condition::Running }]);
    let (on_a, on_b) = (on("a"), on("b"));
    let node = |name, depends_on| Node { group: name, name, program: name, depends_on, group_depends_on: &[] };
    let nodes = [node("a", &[][..]), node("b", &on_a.0), node("web", &on_b.0)];
    let mut gates = Gates::new(&resolve(&nodes).unwrap(), &[A, B, WEB], |_| facts(ProcessState::Stopped), |_| false);
    gates.begin_stop(A);
    gates.begin_stop(WEB);
    assert_eq!([A, B, WEB].map(|id| gates.is_free(id)), [false, false, true]);
    // It comes up and goes down meanwhile.
    let mut turns = Vec::new();
    gates.begin_stop(B);
    gates.end_stop(B, &mut turns);
    assert_eq!((turns.as_slice(), gates.is_free(A)), (&[][..], false));
    gates.end_stop(WEB, &mut turns);
    assert_eq!(turns, [GateEffect::Free(B), GateEffect::Free(A)]);
}

/// One that comes to what is known is added, one that nobody needs is taken out, and both leave the gates as they would be
/// made; what else comes or goes is for gates that are made anew.
#[test]
fn who_comes_and_goes_at_the_edge() {
    let on = |name: &str, condition| DependsOn(vec![Dependency { name: name.to_string(), condition }]);
    let (first, second) = (on("a", Condition::Running), on("a", Condition::Ended));
    let node = |name, depends_on| Node { group: name, name, program: name, depends_on, group_depends_on: &[] };
    let nodes = [node("a", &[][..]), node("web", &first.0)];
    let stopped = |_| facts(ProcessState::Stopped);
    let mut gates = Gates::new(&resolve(&nodes).unwrap(), &[A, WEB], stopped, |_| false);
    assert!(gates.concerns(WEB, &[]) && gates.concerns(A, &[]) && gates.concerns(B, &["x", "a"]));
    assert!(!gates.concerns(B, &["x", "x:*"]) && gates.knows("a") && !gates.knows("x"));
    gates.join(B, &first.0, false, |name| panic!("{name} is known"), stopped);
    assert_eq!(gates.obstacles(B).map(|found| found.process).collect::<Vec<_>>(), [A]);
    let mut effects = Vec::new();
    gates.update(A, facts(ProcessState::Running), &mut effects);
    assert_eq!(effects, [GateEffect::Opened(WEB), GateEffect::Opened(B)]);
    assert_eq!(gates.dependents(A).collect::<Vec<_>>(), [WEB, B]);
    gates.begin_stop(B);
    assert!(!gates.is_free(A));
    assert!(gates.leave(B) && gates.is_free(A));
    assert!(!gates.leave(A), "something depends on it");
    assert_eq!(gates.dependents(A).collect::<Vec<_>>(), [WEB]);
    assert!(gates.leave(WEB) && gates.is_empty());
    // With another condition it is another gate, and so is a name that nothing has.
    let third = on("nobody", Condition::Running);
    let items = [first.0[0].clone(), second.0[0].clone(), third.0[0].clone()];
    gates.join(B, &items, false, |name| (name == "a").then(|| vec![A]), |_| facts(ProcessState::Running));
    assert_eq!(gates.obstacles(B).map(|found| found.item.condition).collect::<Vec<_>>(), [Condition::Ended]);
    assert_eq!(gates.absent(B).map(|item| item.name.as_str()).collect::<Vec<_>>(), ["nobody"]);
}

/// O-9: ten thousand in one chain, in one star, and one half waiting for all of the other: what a change costs is the
/// number of those that depend on it directly, each once.
#[test]
fn what_a_change_costs() {
    const COUNT: usize = 10_000;
    let names: Vec<String> = (0..COUNT).map(|n| format!("p{n}")).collect();
    let ids: Vec<ProcId> = (0..COUNT as u32).map(ProcId).collect();
    let on = |name: &str| vec![Dependency { name: name.to_string(), condition: Condition::Running }];
    let chain: Vec<Vec<Dependency>> = (0..COUNT).map(|n| if n == 0 { vec![] } else { on(&names[n - 1]) }).collect();
    let star: Vec<Vec<Dependency>> = (0..COUNT).map(|n| if n == 0 { vec![] } else { on("p0") }).collect();
    let halves: Vec<Vec<Dependency>> = (0..COUNT).map(|n| if n < COUNT / 2 { vec![] } else { on("half:*") }).collect();
    // What depends on what; which changes; how many looks that may take.
    let rows = [(&chain, 5000, 2), (&star, 9999, 0), (&star, 0, COUNT), (&halves, 17, 1)];
    for (items, changed, most) in rows {
        let node = |n: usize| {
            let group = if n < COUNT / 2 { "half" } else { "rest" };
            Node { group, name: &names[n], program: &names[n], depends_on: &items[n], group_depends_on: &[] }
        };
        let nodes: Vec<Node<'_>> = (0..COUNT).map(node).collect();
        let stopped = |_| facts(ProcessState::Stopped);
        let mut gates = Gates::new(&resolve(&nodes).unwrap(), &ids, stopped, |_| false);
        gates.update(ids[changed], facts(ProcessState::Running), &mut Vec::new());
        assert!(gates.looks <= most, "{changed}: {} looks", gates.looks);
    }
}

#[test]
fn who_depends_on_whom() {
    let rows = [
        (Condition::Running, vec![WEB]),
        (Condition::Ended, vec![]),
        (Condition::Completed, vec![]),
        (Condition::Spawned, vec![WEB]),
    ];
    for (condition, expected) in rows {
        assert_eq!(gates(condition).dependents(A).collect::<Vec<_>>(), expected, "{condition:?}");
    }
    assert_eq!(gates(Condition::Running).needs(WEB).next().unwrap().1.collect::<Vec<_>>(), [A, B]);
}
