//! Random graphs of programs, with failures, commands and stops, on a system made of tables (O-1, O-2): nothing is started
//! of its own accord before its conditions hold, whoever waits has a reason that is shown, nothing waits for what is
//! there, a stop comes after those of its dependents, and the end ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::Outcome;
use super::super::testing::World;
use crate::config::dependency::Condition;
use crate::exit::ExitStatus;
use crate::id::{Pid, ProcId};
use crate::state::{ProcessState, SupervisorState};
use crate::wire::value::Value;

/// Schedules that are run; each takes a few milliseconds.
const SCHEDULES: u64 = 200;

/// Numbers that a seed decides (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Programs `p0`, `p1`, …, of which each depends on some of those before it.
fn graph(random: &mut Random) -> (String, usize) {
    let count = 3 + random.below(12);
    let mut text = String::new();
    for n in 0..count {
        let mut items = Vec::new();
        for _ in 0..random.below(3).min(n) {
            let condition = random.pick(&["running", "running", "ready", "healthy", "completed", "ended", "spawned"]);
            items.push(format!("p{}={condition}", random.below(n)));
        }
        text.push_str(&format!(
            "[program:p{n}]\ncommand=x\ndepends_on={}\npriority={}\nstartsecs={}\nautorestart={}\nautostart={}\nstartretries=1\n\
             depends_on_failure={}\ndepends_on_timeout={}\non_dependency_stop={}\nstartdelay={}\n",
            items.join(", "),
            random.below(20),
            random.pick(&["0", "0", "1"]),
            random.pick(&["false", "unexpected", "true"]),
            random.pick(&["true", "true", "true", "false"]),
            random.pick(&["wait", "wait", "fatal"]),
            random.pick(&["0", "0", "4"]),
            random.pick(&["ignore", "stop", "restart"]),
            random.pick(&["0", "0", "0", "0.5"]),
        ));
    }
    (text, count)
}

/// A process as the test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    state: ProcessState,
    starts: u64,
    expected: bool,
    waits: Option<String>,
}

impl Seen {
    /// The conditions, written once more.
    fn meets(&self, condition: Condition) -> bool {
        use ProcessState::*;
        // One that waits is to run again, and how its last run ended says nothing any more.
        let is_over =
            self.starts > 0 && self.waits.is_none() && matches!(self.state, Exited | Stopped | Fatal | Backoff);
        match condition {
            Condition::Running | Condition::Ready | Condition::Healthy => self.state == Running,
            Condition::Completed => is_over && self.state == Exited && self.expected,
            Condition::Ended => is_over,
            Condition::Spawned => matches!(self.state, Starting | Running),
        }
    }
}

type Picture = BTreeMap<ProcId, Seen>;

struct Sim {
    world: World,
    random: Random,
    /// What each depends on.
    needs: BTreeMap<ProcId, Vec<(ProcId, Condition)>>,
    /// Started by command: that is not for its conditions.
    commanded: Vec<ProcId>,
    /// Those whose wait was over in an earlier turn.
    released: BTreeSet<ProcId>,
    seed: u64,
}

impl Sim {
    fn new(seed: u64) -> Sim {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (text, _) = graph(&mut random);
        let world = World::new(&text);
        let roster = &world.daemon.roster;
        let needs = roster.processes().map(|(id, process)| {
            let items = process.config.depends_on.0.iter();
            (id, items.filter_map(|item| Some((roster.find_process(&item.name)?, item.condition))).collect())
        });
        let needs = needs.collect();
        Sim { world, random, needs, commanded: Vec::new(), released: BTreeSet::new(), seed }
    }

    fn picture(&self) -> Picture {
        let daemon = &self.world.daemon;
        let seen = |(id, process): (ProcId, &crate::daemon::Proc)| {
            let machine = &process.machine;
            let expected = machine
                .runs()
                .last_exit()
                .is_some_and(|exit| process.config.program.exitcodes.0.contains(&exit.code()));
            let waits = daemon.waiting_text(id);
            (id, Seen { state: machine.state(), starts: machine.runs().count(), expected, waits })
        };
        daemon.roster.processes().map(seen).collect()
    }

    fn are_met(&self, id: ProcId, picture: &Picture) -> bool {
        self.needs[&id].iter().all(|(on, condition)| picture[on].meets(*condition))
    }

    /// One turn, and what has to hold of it.
    fn turn(&mut self) {
        let seed = self.seed;
        let before = self.picture();
        self.world.daemon.deadlines(self.world.now, &mut self.world.host);
        let after = self.picture();
        for (id, seen) in &after {
            let was = &before[id];
            if was.waits.is_some() && seen.waits.is_none() {
                self.released.insert(*id);
            }
            let is_released = was.waits.is_some() && seen.waits.is_none() && seen.state != ProcessState::Fatal;
            let is_first = was.starts == 0 && seen.starts == 1 && !self.commanded.contains(id);
            if is_released || (is_first && was.waits.is_none() && !self.released.contains(id)) {
                let holds = self.are_met(*id, &before) || self.are_met(*id, &after);
                assert!(holds, "seed {seed}: {id:?} is started before its time: {before:#?}");
            }
        }
    }

    fn turn_until_idle(&mut self) {
        for _ in 0..10_000 {
            if self.world.daemon.next_deadline(self.world.now).is_none_or(|at| at > self.world.now.mono) {
                return self.check_reasons();
            }
            self.turn();
        }
        panic!("seed {}: a busy loop", self.seed);
    }

    /// Whoever waits says for what, and it is so.
    fn check_reasons(&self) {
        let picture = self.picture();
        for (id, seen) in &picture {
            let Some(text) = &seen.waits else { continue };
            if text.starts_with("Waiting for ") {
                assert!(text.contains('('), "seed {}: {id:?} {text:?}", self.seed);
                let is_real = !self.are_met(*id, &picture) || self.world.daemon.has_stops();
                assert!(is_real, "seed {}: {id:?} waits for what is there: {text} {picture:#?}", self.seed);
            }
        }
    }

    /// Lets time pass in small steps, so that nothing that is due is jumped over.
    fn pass(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(50) {
            self.world.now.mono = self.world.now.mono.after(Duration::from_millis(50));
            self.turn_until_idle();
        }
    }

    fn exit(&mut self, pid: i32, status: ExitStatus) {
        if self.world.host.children.remove(&pid).is_some() {
            self.world.daemon.exited(Pid(pid), status, self.world.now, &mut self.world.host);
        }
    }

    /// Children that were signalled end; none was before its dependents.
    fn reap(&mut self, must_be_down: impl Fn(&Sim, ProcId) -> Vec<ProcId>) {
        let dying = std::mem::take(&mut self.world.host.dying);
        for pid in &dying {
            let Some(id) = self.world.daemon.roster.process_of(Pid(*pid)) else { continue };
            let picture = self.picture();
            for above in must_be_down(self, id) {
                let state = picture[&above].state;
                assert!(state.is_stopped(), "seed {}: {id:?} is told before {above:?}, which is {state:?}", self.seed);
            }
        }
        for pid in dying {
            self.exit(pid, ExitStatus::Signal { number: libc::SIGTERM, core: false });
        }
    }

    /// Who depends on a process in a way that orders stops.
    fn above(&self, id: ProcId) -> Vec<ProcId> {
        let depends = |needs: &[(ProcId, Condition)]| needs.iter().any(|(on, how)| *on == id && how.orders_stops());
        self.needs.iter().filter(|(_, needs)| depends(needs)).map(|(id, _)| *id).collect()
    }

    /// A call that waits for nothing goes on until it has come to all it is about.
    fn call(&mut self, method: &str, params: &[Value]) {
        if let Ok(Outcome::Deferred(mut deferred)) = self.world.begin(method, params) {
            let is_answered = (0..100).any(|_| self.world.poll(&mut deferred, method).is_some());
            assert!(is_answered, "seed {}: {method} goes on for ever", self.seed);
        }
    }

    fn act(&mut self) {
        let ids: Vec<ProcId> = self.needs.keys().copied().collect();
        let id = self.random.pick(&ids);
        let name = self.world.daemon.roster.namespec(id).unwrap();
        let no = Value::Bool(false);
        match self.random.below(12) {
            0..4 => {
                let pids: Vec<i32> = self.world.host.children.keys().copied().collect();
                if !pids.is_empty() {
                    let pid = self.random.pick(&pids);
                    let code = self.random.pick(&[0, 0, 1]);
                    self.exit(pid, ExitStatus::Code(code));
                }
            }
            4 | 5 => {
                self.commanded.push(id);
                self.call("supervisor.startProcess", &[name.into(), no]);
            }
            6 | 7 => self.call("supervisor.stopProcess", &[name.into(), no]),
            8 => self.call("supervisor.startAllProcesses", &[no]),
            9 => self.call("stheno.stopWithDependents", &[Value::Array(vec![name.into()]), no]),
            10 => self.call("supervisor.stopAllProcesses", &[no]),
            _ => {
                let missing = Value::Array(vec![name.into()]);
                self.call("stheno.startWithDependencies", &[missing, no]);
            }
        }
        self.turn_until_idle();
        self.reap(|_, _| Vec::new());
        self.turn_until_idle();
        let millis = self.random.pick(&[0, 0, 50, 300, 1200]);
        self.pass(millis);
    }

    /// Time alone, as long as it changes anything.
    fn come_to_rest(&mut self) {
        for _ in 0..20 {
            self.reap(|_, _| Vec::new());
            self.pass(1000);
        }
    }

    /// `stop all`: each is told when those that depend on it and were up are down.
    fn stop_all(&mut self) {
        let up: Vec<ProcId> =
            self.picture().into_iter().filter(|(_, seen)| !seen.state.is_stopped()).map(|(id, _)| id).collect();
        self.call("supervisor.stopAllProcesses", &[Value::Bool(false)]);
        for _ in 0..100 {
            self.turn_until_idle();
            let of_those = up.clone();
            self.reap(move |sim, id| sim.above(id).into_iter().filter(|id| of_those.contains(id)).collect());
        }
        let picture = self.picture();
        let left: Vec<&ProcId> = up.iter().filter(|id| !picture[id].state.is_stopped()).collect();
        assert!(left.is_empty(), "seed {}: not stopped: {left:?} {picture:#?}", self.seed);
    }

    fn end(&mut self) {
        self.world.daemon.request_shutdown();
        assert_eq!(self.world.daemon.state(), SupervisorState::Shutdown);
        for _ in 0..1000 {
            self.world.daemon.deadlines(self.world.now, &mut self.world.host);
            self.world.daemon.shutdown_step(self.world.now, &mut self.world.host);
            self.reap(Sim::above);
            if self.world.daemon.finished() {
                return;
            }
            self.world.now.mono = self.world.now.mono.after(Duration::from_millis(100));
        }
        panic!("seed {}: the end does not end: {:#?}", self.seed, self.picture());
    }
}

#[test]
fn random_graphs() {
    for seed in 1..=SCHEDULES {
        let mut sim = Sim::new(seed);
        for _ in 0..25 {
            sim.act();
        }
        sim.come_to_rest();
        if seed % 2 == 0 {
            sim.stop_all();
        }
        sim.end();
    }
}

/// O-9: without a failure and without a command all that can start does.
#[test]
fn graphs_come_up_by_themselves() {
    for seed in 1..=100 {
        let mut random = Random(seed * 7919);
        let count = 2 + random.below(15);
        let program = |n: usize, random: &mut Random| {
            let on = if n == 0 { String::new() } else { format!("p{}, p{}=spawned", random.below(n), random.below(n)) };
            format!("[program:p{n}]\ncommand=x\nstartsecs={}\ndepends_on={on}\npriority={}\n", n % 2, random.below(9))
        };
        let text: String = (0..count).map(|n| program(n, &mut random)).collect();
        let mut world = World::new(&text);
        for _ in 0..2 * count {
            world.pass(Duration::from_millis(1001));
        }
        let states: Vec<_> = world.daemon.roster.processes().map(|(_, process)| process.machine.state()).collect();
        assert!(states.iter().all(|state| *state == ProcessState::Running), "seed {seed}: {states:?}");
    }
}

/// O-9: a chain and a star of a length that no recursion and no square would bear come up and go down.
#[test]
fn a_long_chain_and_a_wide_star() {
    for is_chain in [true, false] {
        let on = |n: usize| match n {
            0 => String::new(),
            n if is_chain => format!("depends_on=p{}\n", n - 1),
            _ => "depends_on=p0\n".to_string(),
        };
        let text: String = (0..2_000).map(|n| format!("[program:p{n}]\ncommand=x\nstartsecs=0\n{}", on(n))).collect();
        let mut world = World::new(&text);
        world.pass(Duration::from_secs(1));
        let is_up = |(_, process): (ProcId, &crate::daemon::Proc)| process.machine.state() == ProcessState::Running;
        assert!(world.daemon.roster.processes().all(is_up), "chain: {is_chain}");
        world.daemon.request_shutdown();
        for _ in 0..4_001 {
            world.daemon.shutdown_step(world.now, &mut world.host);
            world.turn();
            if world.daemon.finished() {
                break;
            }
        }
        assert!(world.daemon.finished(), "chain: {is_chain}");
    }
}
