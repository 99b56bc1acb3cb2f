//! The sequencer against processes that are told what to do: single cases, and all kinds of plans and mishaps at random.

use super::*;
use ProcessState::*;

/// Processes that do at once, or when told, what they are told.
#[derive(Default)]
struct World {
    facts: BTreeMap<TaskId, Facts>,
    /// What each becomes when it is started.
    fate: BTreeMap<TaskId, ProcessState>,
    /// What was told, in order.
    told: Vec<Command>,
}

const STOPPED: Facts =
    Facts { state: Stopped, expected: true, came_up: false, is_pending: false, is_refused: false, started: 0 };

impl World {
    fn new(count: u32) -> World {
        let facts = (0..count).map(|id| (TaskId(id), STOPPED)).collect();
        World { facts, ..World::default() }
    }

    fn set(&mut self, id: u32, state: ProcessState) {
        if let Some(facts) = self.facts.get_mut(&TaskId(id)) {
            *facts = Facts { state, came_up: facts.came_up || state == Running, ..*facts };
        }
    }

    fn fate(mut self, id: u32, state: ProcessState) -> World {
        self.fate.insert(TaskId(id), state);
        self
    }

    /// Lets the sequencer go on until it wants nothing more, and carries out what it wants.
    fn run(&mut self, sequencer: &mut Sequencer, now: Mono) -> Vec<Command> {
        let mut all = Vec::new();
        loop {
            let commands = sequencer.next(now, &|id, _| self.facts.get(&id).copied());
            if commands.is_empty() {
                break;
            }
            for command in &commands {
                match command {
                    Command::Start(id, _) => {
                        let state = self.fate.get(id).copied().unwrap_or(Running);
                        self.set(id.0, state);
                    }
                    Command::Stop(id, _) => self.set(id.0, Stopping),
                    _ => {}
                }
            }
            self.told.extend(commands.iter().cloned());
            all.extend(commands);
        }
        all
    }
}

fn at(secs: u64) -> Mono {
    Mono(0).after(Duration::from_secs(100 + secs))
}

fn start(id: u32, rank: i64) -> Start {
    Start {
        process: TaskId(id),
        rank,
        waits_for_exit: false,
        strategy: StartingStrategy::Config,
        on_failure: StartingFailure::Continue,
        starting_limit: Some(Duration::from_secs(15)),
        exit_limit: None,
    }
}

fn required(id: u32, rank: i64, on_failure: StartingFailure) -> Start {
    Start { on_failure, ..start(id, rank) }
}

fn stop(id: u32, rank: i64) -> Stop {
    Stop { process: TaskId(id), peer: PeerId(0), rank, limit: Duration::from_secs(20) }
}

fn started(commands: &[Command]) -> Vec<u32> {
    let started = |command: &Command| match command {
        Command::Start(id, _) => Some(id.0),
        _ => None,
    };
    commands.iter().filter_map(started).collect()
}

fn stopped(commands: &[Command]) -> Vec<u32> {
    let stopped = |command: &Command| match command {
        Command::Stop(id, _) => Some(id.0),
        _ => None,
    };
    commands.iter().filter_map(stopped).collect()
}

const A: AppId = AppId(1);
const B: AppId = AppId(2);

#[test]
fn ranks_follow_each_other() {
    let mut world = World::new(4).fate(0, Starting).fate(1, Starting);
    let mut sequencer = Sequencer::default();
    let ticket = sequencer.ticket();
    sequencer.start(A, 1, vec![start(0, 1), start(1, 1), start(2, 2), start(3, 5)], ticket, 1);
    assert_eq!(started(&world.run(&mut sequencer, at(0))), [0, 1]);
    world.set(0, Running);
    assert!(world.run(&mut sequencer, at(1)).is_empty());
    world.set(1, Running);
    assert!(!sequencer.is_over(ticket));
    assert_eq!(started(&world.run(&mut sequencer, at(2))), [2, 3]);
    assert!(sequencer.is_over(ticket) && sequencer.is_idle());
}

#[test]
fn what_runs_is_passed_over_and_what_starts_is_waited_for() {
    let mut world = World::new(3);
    world.set(0, Running);
    world.set(1, Starting);
    let mut sequencer = Sequencer::default();
    let ticket = sequencer.ticket();
    sequencer.start(A, 1, vec![start(0, 1), start(1, 2), start(2, 3)], ticket, 1);
    assert!(world.run(&mut sequencer, at(0)).is_empty());
    world.set(1, Running);
    assert_eq!(started(&world.run(&mut sequencer, at(1))), [2]);
}

#[test]
fn an_exit_is_waited_for_and_limited_if_wished() {
    for (limit, is_given_up) in [(None, false), (Some(Duration::from_secs(30)), true)] {
        let mut world = World::new(2);
        let mut sequencer = Sequencer::default();
        let ticket = sequencer.ticket();
        let first = Start { waits_for_exit: true, exit_limit: limit, ..required(0, 1, StartingFailure::Abort) };
        sequencer.start(A, 1, vec![first, start(1, 2)], ticket, 1);
        assert_eq!(started(&world.run(&mut sequencer, at(0))), [0]);
        assert_eq!(sequencer.deadline(), limit.map(|limit| at(0).after(limit)));
        let late = world.run(&mut sequencer, at(30));
        assert_eq!(late.len(), usize::from(is_given_up), "{late:?}");
        if !is_given_up {
            world.set(0, Exited);
            assert_eq!(started(&world.run(&mut sequencer, at(31))), [1]);
        }
        assert!(sequencer.is_over(ticket));
    }
}

#[test]
fn starts_that_fail() {
    use StartingFailure::*;
    // What is started, whether the application is then to be stopped.
    let rows: &[(StartingFailure, &[u32], bool)] =
        &[(Continue, &[0, 1, 2], false), (Abort, &[0, 1], false), (Stop, &[0, 1], true)];
    for (on_failure, expected, is_stopped) in rows {
        let mut world = World::new(3).fate(0, Fatal);
        let mut sequencer = Sequencer::default();
        let ticket = sequencer.ticket();
        sequencer.start(A, 1, vec![required(0, 1, *on_failure), start(1, 1), start(2, 2)], ticket, 1);
        let commands = world.run(&mut sequencer, at(0));
        assert_eq!(started(&commands), *expected, "{on_failure:?}");
        let stop = commands.iter().any(|command| *command == Command::StopApplication(A, vec![ticket]));
        assert_eq!(stop, *is_stopped, "{on_failure:?}: {commands:?}");
        assert!(sequencer.is_over(ticket));
    }
}

#[test]
fn what_takes_too_long_is_given_up() {
    let mut world = World::new(2).fate(0, Starting);
    let mut sequencer = Sequencer::default();
    let ticket = sequencer.ticket();
    sequencer.start(A, 1, vec![required(0, 1, StartingFailure::Abort), start(1, 2)], ticket, 1);
    world.run(&mut sequencer, at(0));
    assert!(world.run(&mut sequencer, at(14)).is_empty());
    world.set(0, Backoff);
    assert!(world.run(&mut sequencer, at(60)).is_empty(), "a pause has an end of its own");
    world.set(0, Starting);
    assert!(world.run(&mut sequencer, at(61)).is_empty(), "the clock begins again");
    let reason = "process RUNNING event not received in time";
    assert_eq!(world.run(&mut sequencer, at(76)), [Command::GiveUp { process: TaskId(0), shown: Fatal, reason }]);
    assert!(sequencer.is_over(ticket));
}

#[test]
fn applications_of_one_batch_go_by_their_ranks() {
    let mut world = World::new(3).fate(0, Starting);
    let mut sequencer = Sequencer::default();
    let ticket = sequencer.ticket();
    sequencer.start(B, 2, vec![start(1, 1)], ticket, 1);
    sequencer.start(A, 1, vec![start(0, 1)], ticket, 1);
    // Another call does not wait for them.
    let other = sequencer.ticket();
    sequencer.start(AppId(3), 9, vec![start(2, 1)], other, 2);
    assert_eq!(started(&world.run(&mut sequencer, at(0))), [0, 2]);
    assert!(sequencer.is_over(other) && !sequencer.is_over(ticket));
    world.set(0, Running);
    assert_eq!(started(&world.run(&mut sequencer, at(1))), [1]);
}

#[test]
fn stops_go_by_descending_ranks() {
    let mut world = World::new(4);
    (0..4).for_each(|id| world.set(id, Running));
    let mut sequencer = Sequencer::default();
    let ticket = sequencer.ticket();
    sequencer.stop(A, 1, vec![stop(0, 0), stop(1, 3)], None, ticket, 1);
    sequencer.stop(B, 5, vec![stop(2, 1), stop(3, 0)], None, ticket, 1);
    assert_eq!(stopped(&world.run(&mut sequencer, at(0))), [2]);
    for (done, next) in [(2, vec![3]), (3, vec![1]), (1, vec![0])] {
        world.set(done, Stopped);
        assert_eq!(stopped(&world.run(&mut sequencer, at(1))), next);
    }
    let reason = "process STOPPED event not received in time";
    let late = world.run(&mut sequencer, at(50));
    assert_eq!(late, [Command::GiveUp { process: TaskId(0), shown: Stopped, reason }]);
    assert!(sequencer.is_over(ticket));
}

#[test]
fn a_restart_is_a_stop_and_then_a_start() {
    let mut world = World::new(1);
    world.set(0, Running);
    let mut sequencer = Sequencer::default();
    let ticket = sequencer.ticket();
    sequencer.stop(A, 1, vec![stop(0, 1)], Some(Again::Application(None)), ticket, 1);
    assert_eq!(stopped(&world.run(&mut sequencer, at(0))), [0]);
    world.set(0, Stopped);
    let commands = sequencer.next(at(1), &|id, _| world.facts.get(&id).copied());
    assert_eq!(commands, [Command::StartAgain(A, Again::Application(None), vec![ticket])]);
    sequencer.start(A, 1, vec![start(0, 1)], ticket, 2);
    assert!(!sequencer.is_over(ticket));
    assert_eq!(started(&world.run(&mut sequencer, at(1))), [0]);
    assert!(sequencer.is_over(ticket));
}

#[test]
fn a_single_process_joins_the_start_of_its_application() {
    let mut world = World::new(3).fate(0, Starting);
    let mut sequencer = Sequencer::default();
    let (ticket, single) = (sequencer.ticket(), sequencer.ticket());
    sequencer.start(A, 1, vec![start(0, 1), start(1, 3)], ticket, 1);
    world.run(&mut sequencer, at(0));
    assert_eq!(sequencer.start_processes(A, vec![start(1, 3)], single, 2), 0, "it is planned already");
    assert_eq!(sequencer.start_processes(A, vec![start(2, 2), start(2, 2)], single, 2), 1);
    world.set(0, Running);
    assert_eq!(started(&world.run(&mut sequencer, at(1))), [2, 1]);
    assert!(sequencer.is_over(single));
}

#[test]
fn a_start_waits_for_a_stop_of_the_same_application() {
    let mut world = World::new(2);
    world.set(0, Running);
    let mut sequencer = Sequencer::default();
    let (down, up) = (sequencer.ticket(), sequencer.ticket());
    sequencer.stop(A, 0, vec![stop(0, 1)], None, down, 1);
    sequencer.start(A, 0, vec![start(1, 1)], up, 2);
    assert_eq!(started(&world.run(&mut sequencer, at(0))), [0_u32; 0]);
    world.set(0, Stopped);
    assert_eq!(started(&world.run(&mut sequencer, at(1))), [1]);
}

#[test]
fn what_is_no_more_is_waited_for_no_longer() {
    let mut world = World::new(2).fate(0, Starting);
    let mut sequencer = Sequencer::default();
    let ticket = sequencer.ticket();
    sequencer.start(A, 1, vec![start(0, 1), start(1, 2)], ticket, 1);
    world.run(&mut sequencer, at(0));
    world.facts.remove(&TaskId(0));
    sequencer.retain(|id| id != TaskId(0));
    assert_eq!(started(&world.run(&mut sequencer, at(1))), [1]);
}

/// A generator of numbers, the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Random plans, fates and calls: nothing starts before its rank is due, and every job ends.
#[test]
fn nothing_starts_too_early_and_everything_ends() {
    for seed in 0..2_000 {
        let mut dice = Dice(seed);
        let count = 1 + dice.roll(12) as u32;
        let mut world = World::new(count);
        for id in 0..count {
            let states = [Running, Starting, Fatal, Backoff, Running];
            world.fate.insert(TaskId(id), states[dice.roll(5) as usize]);
        }
        let mut sequencer = Sequencer::default();
        let ticket = sequencer.ticket();
        let strategies = [StartingFailure::Continue, StartingFailure::Abort, StartingFailure::Stop];
        let ranks: Vec<i64> = (0..count).map(|_| 1 + dice.roll(4) as i64).collect();
        let exits: Vec<bool> = (0..count).map(|_| dice.roll(4) == 0).collect();
        let group = |id: u32| AppId(id % 3);
        for application in 0..3 {
            let starts = (0..count).filter(|id| group(*id) == AppId(application)).map(|id| Start {
                waits_for_exit: exits[id as usize],
                exit_limit: Some(Duration::from_secs(40)),
                ..required(id, ranks[id as usize], strategies[dice.roll(3) as usize])
            });
            sequencer.start(AppId(application), i64::from(application), starts.collect(), ticket, 1);
        }
        let mut secs = 0;
        while !sequencer.is_idle() {
            assert!(secs < 2_000, "seed {seed}: {sequencer:?}");
            let before: BTreeMap<TaskId, Facts> = world.facts.clone();
            for id in started(&world.run(&mut sequencer, at(secs))) {
                // Nobody of a lower rank of its application, or of an application before it, is still on its way.
                let is_under_way = |other: u32| {
                    let facts = before[&TaskId(other)];
                    let waits = exits[other as usize] && facts.state == Running;
                    other != id
                        && world.told.contains(&Command::Start(TaskId(other), StartingStrategy::Config))
                        && (facts.state == Starting || facts.state == Backoff || waits)
                };
                let is_before = |other: u32| {
                    group(other).0 < group(id).0
                        || (group(other) == group(id) && ranks[other as usize] < ranks[id as usize])
                };
                let early = (0..count).find(|other| {
                    is_before(*other) && is_under_way(*other) && sequencer.is_started_now(TaskId(*other))
                });
                assert_eq!(early, None, "seed {seed}: {id} started too early");
            }
            let id = dice.roll(u64::from(count)) as u32;
            let facts = world.facts[&TaskId(id)];
            match (facts.state, dice.roll(3)) {
                (Starting, 0) | (Backoff, 0) => world.set(id, Running),
                (Starting, 1) => world.set(id, Backoff),
                (Backoff, _) => world.set(id, Fatal),
                (Running, 0) => world.set(id, Exited),
                (Running, 1) => world.set(id, Stopping),
                (Stopping, _) => world.set(id, Stopped),
                _ => {}
            }
            secs += 1 + dice.roll(8);
        }
        assert!(sequencer.is_over(ticket) && sequencer.deadline().is_none(), "seed {seed}");
    }
}

/// An application of two hundred processes in five ranks (V-380).
#[test]
fn large_applications_are_no_trouble() {
    let mut world = World::new(200);
    let mut sequencer = Sequencer::default();
    let ticket = sequencer.ticket();
    sequencer.start(A, 1, (0..200).map(|id| start(id, 1 + i64::from(id % 5))).collect(), ticket, 1);
    let order = started(&world.run(&mut sequencer, at(0)));
    assert_eq!(order.len(), 200);
    assert!(order.windows(2).all(|pair| pair[0] % 5 <= pair[1] % 5));
    assert!(sequencer.is_over(ticket));
}

/// Three thousand programs that are an application each: a look compares no job with all others.
#[test]
fn many_applications_are_no_trouble() {
    const COUNT: u32 = 3_000;
    let mut world = World::new(COUNT);
    let mut sequencer = Sequencer::default();
    let ticket = sequencer.ticket();
    for id in 0..COUNT {
        sequencer.start(AppId(id), i64::from(id % 3), vec![start(id, 1)], ticket, 1);
    }
    let order = started(&world.run(&mut sequencer, at(0)));
    assert_eq!(order.len(), 3_000);
    assert!(order.windows(2).all(|pair| pair[0] % 3 <= pair[1] % 3));
    for id in 0..COUNT {
        sequencer.stop(AppId(id), 0, vec![stop(id, 1)], None, ticket, 2);
    }
    assert_eq!(stopped(&world.run(&mut sequencer, at(1))).len(), 3_000);
    assert!(!sequencer.is_over(ticket));
}

#[test]
fn an_application_is_full_of_jobs_at_last() {
    let mut world = World::new(1);
    world.set(0, Running);
    let mut sequencer = Sequencer::default();
    let ticket = sequencer.ticket();
    for _ in 0..JOBS_MAX {
        assert!(!sequencer.is_full(A));
        sequencer.stop(A, 1, vec![stop(0, 1)], None, ticket, 1);
    }
    world.run(&mut sequencer, at(0));
    assert!(sequencer.is_full(A) && !sequencer.is_full(B));
    world.set(0, Stopped);
    world.run(&mut sequencer, at(1));
    assert!(!sequencer.is_full(A) && sequencer.is_idle());
}

/// A process that stops and is started again at once is stopped as far as its stop is concerned.
#[test]
fn who_is_started_again_at_once_has_stopped() {
    let mut world = World::new(2);
    world.set(0, Running);
    world.set(1, Running);
    let mut sequencer = Sequencer::default();
    let ticket = sequencer.ticket();
    sequencer.stop(A, 1, vec![stop(0, 2), stop(1, 1)], None, ticket, 1);
    assert_eq!(stopped(&world.run(&mut sequencer, at(0))), [0]);
    assert!(world.run(&mut sequencer, at(1)).is_empty());
    let again = Facts { state: Starting, started: 7, ..STOPPED };
    world.facts.insert(TaskId(0), again);
    assert_eq!(stopped(&world.run(&mut sequencer, at(1))), [1]);
}

/// An application of 200 processes in 5 ranks: to plan it takes a look or two at each of its processes, and so does each step.
#[test]
fn planning_looks_at_each_process_a_few_times() {
    const PROCESSES: u32 = 200;
    let looks = std::cell::Cell::new(0);
    let look = |_: TaskId, _: Option<PeerId>| {
        looks.set(looks.get() + 1);
        Some(STOPPED)
    };
    let began = std::time::Instant::now();
    let mut sequencer = Sequencer::default();
    let ticket = sequencer.ticket();
    let starts = (0..PROCESSES).map(|id| start(id, i64::from(1 + id % 5))).collect();
    sequencer.start(A, 1, starts, ticket, 1);
    let commands = sequencer.next(at(0), &look);
    println!("planned in {:?}", began.elapsed());
    assert_eq!(commands.len(), 40, "the first rank");
    assert!(looks.get() <= 3 * PROCESSES, "{} looks", looks.get());
}
