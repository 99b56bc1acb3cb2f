mod again;
mod asked_otherwise;
mod table;

use super::*;
use crate::clock::Wall;
use crate::config::Program;
use crate::config::Retries;
use crate::config::datatypes::{Datatype, ExitCodes, StopSignals};
use crate::config::fake::Fake;
use crate::signal;
use std::rc::Rc;

const SECOND: u64 = 1_000_000_000;
/// When every process of the tables was last started.
const START: u64 = 100 * SECOND;

/// The process `cat` of a program with these options.
fn program(options: impl FnOnce(&mut Program)) -> config::Process {
    let config = Fake::new().load("[supervisord]\n[program:cat]\ncommand=cat\n").unwrap();
    let mut process = config::Process::clone(&config.groups[0].processes[0]);
    options(Rc::make_mut(&mut process.program));
    process
}

/// The process `cat` with these lines in its section.
fn with(lines: &str) -> config::Process {
    let text = format!("[supervisord]\n[program:cat]\ncommand=cat\n{lines}\n");
    config::Process::clone(&Fake::new().load(&text).unwrap().groups[0].processes[0])
}

fn at(nanos: u64) -> Now {
    Now { mono: Mono(nanos), wall: Wall(1_700_000_000 * SECOND + nanos) }
}

const EXPECTED: ExitStatus = ExitStatus::Code(0);
const UNEXPECTED: ExitStatus = ExitStatus::Code(3);
const KILLED: ExitStatus = ExitStatus::Signal { number: libc::SIGKILL, core: false };
const CORE: ExitStatus = ExitStatus::Signal { number: libc::SIGSEGV, core: true };

/// A process with a past: in a state, started at [`START`], with the counter of failures and what is due when as given.
fn process(state: ProcessState, pid: Option<i32>, backoff: i64, due: u64) -> Process {
    let (pid, started) = (pid.map(Pid), Some(Mono(START)));
    Process {
        state,
        runs: Runs { pid, started, start_wall: 1_700_000_100, ..Runs::default() },
        stage: SetUpStage::Done,
        backoff,
        due: Mono(due),
        ..Process::default()
    }
}

/// Less than `startsecs` after the start, and long after everything.
const EARLY: u64 = START + SECOND / 2;
const LATE: u64 = START + 100 * SECOND;

/// In which states of the daemon and at which times a row holds.
#[derive(Clone, Copy, PartialEq)]
enum When {
    Always,
    Early,
    Late,
    /// Late, and the daemon is RUNNING.
    LateRunning,
    /// At any time while the daemon is RUNNING.
    Running,
}

impl When {
    fn holds(self, late: bool, daemon: SupervisorState) -> bool {
        match self {
            When::Always => true,
            When::Early => !late,
            When::Late => late,
            When::LateRunning => late && daemon == SupervisorState::Running,
            When::Running => daemon == SupervisorState::Running,
        }
    }
}

/// One effect as a line.
fn shown(effect: &Effect) -> String {
    match effect {
        Effect::Spawn => "spawn".to_string(),
        Effect::AskSetUp => "ask".to_string(),
        Effect::Hook(hook) => format!("run {}", hook.option()),
        Effect::DropHook => "drop hook".to_string(),
        Effect::Kill { signal, group } => {
            format!("kill {}{}", signal::name(*signal), if *group { " group" } else { "" })
        }
        Effect::Log(level, text) => format!("{} {text}", level.tag()),
        Effect::Changed(Transition { from, to, tries, pid, expected, exit }) => {
            let exit = exit.map_or(String::new(), |exit| format!(" [{}]", exit.text()));
            let expected = if *expected { " expected" } else { "" };
            format!("{} -> {} tries:{tries} pid:{pid}{expected}{exit}", from.name(), to.name())
        }
    }
}

/// Feeds one event; gives the effects as lines.
fn fed(
    process: &mut Process,
    event: Trigger,
    program: &config::Process,
    daemon: SupervisorState,
    now: u64,
) -> Vec<String> {
    let mut out = Vec::new();
    process.step(event, program, daemon, at(now), &mut out);
    out.iter().map(shown).collect()
}

const SUCCESS: &str = "INFO success: cat entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)";
const DISTRUST: &str =
    "WARN killing 'cat' (7) with SIGKILL because it violated the eventlistener protocol (unknown_action=restart)";
const KILL: &str = "DEBG killing cat (pid 7) with signal SIGTERM";

#[test]
fn running_means_strictly_more_than_startsecs() {
    // (startsecs, nanoseconds after the start, running)
    let rows = [
        (1, SECOND - 1, false),
        (1, SECOND, false),
        (1, SECOND + 1, true),
        (0, 0, true),
        (-5, 0, true),
        (3600, 3600 * SECOND, false),
        (3600, 3600 * SECOND + 1, true),
        (i64::MAX, u64::MAX / 2, false),
    ];
    for (startsecs, after, running) in rows {
        let program = program(|program| program.startsecs = startsecs);
        let mut process = process(ProcessState::Starting, Some(7), 0, 0);
        let due = process.deadline(&program, SupervisorState::Shutdown).is_some_and(|at| at.0 <= START + after);
        fed(&mut process, Trigger::Deadline, &program, SupervisorState::Shutdown, START + after);
        assert_eq!(process.state == ProcessState::Running, running, "startsecs {startsecs}, {after} ns");
        // The deadline is neither early, which would be a busy loop, nor late.
        if startsecs < i64::MAX {
            assert_eq!(due, running, "deadline with startsecs {startsecs}, {after} ns");
        }
    }
}

/// Starts and fails until it gives up; gives the pauses between the attempts in seconds.
fn pauses(process: &mut Process, program: &config::Process, mut now: u64) -> Vec<u64> {
    let mut pauses = Vec::new();
    fed(process, Trigger::Start, program, SupervisorState::Running, now);
    loop {
        fed(process, Trigger::SpawnFailed("no".to_string()), program, SupervisorState::Running, now);
        assert_eq!(process.state, ProcessState::Backoff);
        let due = process.deadline(program, SupervisorState::Running).unwrap();
        if due > Mono(now) {
            assert_eq!(
                fed(process, Trigger::Deadline, program, SupervisorState::Running, due.0 - 1),
                [""; 0],
                "too early"
            );
            pauses.push((due.0 - now) / SECOND);
            now = due.0;
        }
        fed(process, Trigger::Deadline, program, SupervisorState::Running, now);
        if process.state == ProcessState::Fatal {
            return pauses;
        }
    }
}

#[test]
fn sigkill_is_sent_every_stopwaitsecs() {
    // (stopwaitsecs, seconds after the stop at which SIGKILL is sent)
    for (stopwaitsecs, expected) in [(10, [10, 20, 30]), (1, [1, 2, 3]), (0, [0, 1, 2]), (-3, [0, 1, 2])] {
        let program = program(|program| {
            program.stopwaitsecs = stopwaitsecs;
            program.killasgroup = true;
        });
        let mut process = process(ProcessState::Running, Some(7), 0, 0);
        fed(&mut process, Trigger::Stop, &program, SupervisorState::Running, LATE);
        let sent = expected.map(|_| {
            let due = process.deadline(&program, SupervisorState::Shutdown).unwrap().0;
            if due > LATE {
                assert_eq!(fed(&mut process, Trigger::Deadline, &program, SupervisorState::Running, due - 1), [""; 0]);
            }
            let effects = fed(&mut process, Trigger::Deadline, &program, SupervisorState::Shutdown, due);
            let lines = [
                "WARN killing 'cat' (7) with SIGKILL",
                "DEBG killing cat (pid 7) process group with signal SIGKILL",
                "kill SIGKILL group",
            ];
            assert_eq!(effects, lines, "stopwaitsecs {stopwaitsecs}");
            (due - LATE) / SECOND
        });
        assert_eq!(sent, expected, "stopwaitsecs {stopwaitsecs}");
    }
}

#[test]
fn the_stop_signal_goes_to_the_group_with_stopasgroup_only() {
    let rows = [
        (false, false, "kill SIGINT"),
        (true, false, "kill SIGINT group"),
        (false, true, "kill SIGINT"),
        (true, true, "kill SIGINT group"),
    ];
    for (stopasgroup, killasgroup, expected) in rows {
        let program = program(|program| {
            program.stopasgroup = stopasgroup;
            program.killasgroup = killasgroup;
            program.stopsignal = StopSignals::one(libc::SIGINT);
        });
        let mut process = process(ProcessState::Running, Some(7), 0, 0);
        let effects = fed(&mut process, Trigger::Stop, &program, SupervisorState::Running, LATE);
        assert_eq!(effects.last().unwrap(), expected, "stopasgroup {stopasgroup}, killasgroup {killasgroup}");
    }
}

/// The deadline asks once; a child that is held up has no other, or the loop would never sleep.
#[test]
fn a_child_that_is_held_up_waits_for_its_program_alone() {
    let program = program(|_| ());
    let mut process = Process { stage: SetUpStage::Unknown, ..process(ProcessState::Starting, Some(7), 0, 0) };
    assert!(process.deadline(&program, SupervisorState::Running).is_some());
    assert_eq!(fed(&mut process, Trigger::Deadline, &program, SupervisorState::Running, LATE), ["ask"]);
    assert_eq!(process.deadline(&program, SupervisorState::Running), None);
    assert!(!process.runs.came_up());
    fed(&mut process, Trigger::SetUp, &program, SupervisorState::Running, LATE);
    assert!(process.runs.came_up());
    fed(&mut process, Trigger::Exited(EXPECTED), &program, SupervisorState::Running, LATE);
    assert!(process.runs.came_up(), "it has ended since");
    fed(&mut process, Trigger::Start, &program, SupervisorState::Running, LATE);
    assert!(!process.runs.came_up());
}

#[test]
fn a_wall_clock_that_steps_moves_only_what_people_see() {
    let program = program(|_| ());
    let mut process = Process::default();
    let early = |mono: u64, wall: u64| Now { mono: Mono(mono), wall: Wall(wall * SECOND) };
    let mut out = Vec::new();
    process.step(Trigger::Start, &program, SupervisorState::Running, early(START, 5_000), &mut out);
    process.step(Trigger::Spawned(Pid(7)), &program, SupervisorState::Running, early(START, 5_000), &mut out);
    process.step(Trigger::SetUp, &program, SupervisorState::Running, early(START, 5_000), &mut out);
    process.step(Trigger::Deadline, &program, SupervisorState::Running, early(START + 2 * SECOND, 1_000), &mut out);
    assert_eq!(process.state, ProcessState::Running);
    // K-10: what is shown is right by the clock of now.
    let now = early(START + 2 * SECOND, 1_000);
    assert_eq!((process.runs.uptime_secs(now), process.runs.start_secs(now)), (2, 998));
    process.step(
        Trigger::Exited(EXPECTED),
        &program,
        SupervisorState::Running,
        early(START + 3 * SECOND, 900),
        &mut out,
    );
    assert_eq!((process.runs.start_wall, process.runs.stop_wall, process.runs.count), (897, 900, 1));
    // Of what is over nothing moves any more.
    assert_eq!(process.runs.start_secs(early(START + 9 * SECOND, 90_000)), 897);
}

/// One run of a listener under `unknown_action=restart` that breaks the protocol so long after its start; answers the
/// pause before the next start, `None` for none.
fn violation(process: &mut Process, program: &config::Process, now: &mut u64, after: u64) -> Option<u64> {
    fed(process, Trigger::Start, program, SupervisorState::Running, *now);
    fed(process, Trigger::Spawned(Pid(7)), program, SupervisorState::Running, *now);
    fed(process, Trigger::SetUp, program, SupervisorState::Running, *now);
    *now += after;
    fed(process, Trigger::Distrust, program, SupervisorState::Running, *now);
    fed(process, Trigger::Exited(KILLED), program, SupervisorState::Running, *now);
    let due = process.deadline(program, SupervisorState::Running)?.0;
    let ended = *now;
    *now = due.max(*now);
    (due >= ended).then(|| due - ended)
}

#[test]
fn it_is_not_running_before_it_is_ready() {
    let program = with("ready=notify\nready_timeout=30\nstartretries=0");
    let running = SupervisorState::Running;
    let mut process = Process::default();
    fed(&mut process, Trigger::Start, &program, running, START);
    fed(&mut process, Trigger::Spawned(Pid(7)), &program, running, START);
    fed(&mut process, Trigger::Deadline, &program, running, START + 29 * SECOND);
    assert_eq!(process.state, ProcessState::Starting);
    let mut late = process.clone();
    fed(&mut process, Trigger::Ready, &program, running, START + 29 * SECOND);
    assert_eq!(process.state, ProcessState::Running);
    // Too late: told to stop, and a failed start once it has ended.
    let effects = fed(&mut late, Trigger::Deadline, &program, running, START + 30 * SECOND);
    assert_eq!((late.state, effects.last().unwrap().as_str()), (ProcessState::Starting, "kill SIGTERM"));
    fed(&mut late, Trigger::Ready, &program, running, START + 31 * SECOND);
    fed(&mut late, Trigger::Exited(KILLED), &program, running, START + 31 * SECOND);
    assert_eq!((late.state, late.runs.spawn_error()), (ProcessState::Backoff, "Not ready within 30 seconds"));
}

#[test]
fn signals_follow_each_other() {
    let program = with("stopsignal=TERM INT:1 QUIT\nstopwaitsecs=5");
    let mut process = process(ProcessState::Running, Some(7), 0, 0);
    let mut sent = vec![fed(&mut process, Trigger::Stop, &program, SupervisorState::Running, LATE).pop().unwrap()];
    let mut waits = Vec::new();
    for _ in 0..3 {
        let before = fed(&mut process, Trigger::Stop, &program, SupervisorState::Running, LATE);
        assert_eq!(before, [""; 0], "a second stop begins nothing anew");
        let due = process.deadline(&program, SupervisorState::Shutdown).unwrap().0;
        waits.push((due - LATE) / SECOND);
        sent.push(fed(&mut process, Trigger::Deadline, &program, SupervisorState::Shutdown, due).pop().unwrap());
    }
    assert_eq!(sent, ["kill SIGTERM", "kill SIGINT", "kill SIGQUIT", "kill SIGKILL"]);
    assert_eq!(waits, [5, 6, 11]);
}

#[test]
fn the_next_run_waits_for_what_the_last_one_left_behind() {
    use SupervisorState::Running;
    let program = program(|program| program.autorestart = Autorestart::Always);
    let waiting = |state| {
        let mut process = process(state, None, 0, 0);
        process.wait_for_leftovers();
        process
    };
    for state in [ProcessState::Exited, ProcessState::Backoff] {
        let mut process = waiting(state);
        assert_eq!(process.deadline(&program, Running), None, "{state:?}: nothing is due");
        assert_eq!(fed(&mut process, Trigger::Deadline, &program, Running, LATE), [""; 0], "{state:?}");
        assert_eq!(fed(&mut process, Trigger::Cleared, &program, Running, LATE), [""; 0], "{state:?}");
        assert!(process.deadline(&program, Running).is_some(), "{state:?}: now it is");
    }
    // Giving up is no start.
    let mut given_up = waiting(ProcessState::Backoff);
    given_up.backoff = 4;
    assert_eq!(given_up.deadline(&program, Running), Some(Mono(0)));

    // A start by command is STARTING without a child; it can be stopped, and goes on once all is gone.
    for daemon in [Running, SupervisorState::Shutdown] {
        let mut process = waiting(ProcessState::Stopped);
        let started = fed(&mut process, Trigger::Start, &program, Running, LATE);
        assert_eq!(started, ["STOPPED -> STARTING tries:0 pid:0"]);
        assert_eq!(process.deadline(&program, daemon), None);
        let mut stopped = process.clone();
        assert_eq!(
            fed(&mut stopped, Trigger::Stop, &program, daemon, LATE),
            ["INFO stopped: cat (before it was spawned)", "STARTING -> STOPPED tries:0 pid:0"]
        );
        let cleared = fed(&mut process, Trigger::Cleared, &program, daemon, LATE);
        assert_eq!(cleared, if daemon == Running { vec!["spawn"] } else { vec![] }, "{daemon:?}");
    }
}

#[test]
fn k_1_only_signals_that_were_sent_are_our_own() {
    let program = program(|program| {
        let fake = Fake::new();
        program.stopsignal = StopSignals::parse("TERM INT:3 QUIT", &fake).unwrap();
    });
    let told =
        |process: &Process| [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGKILL].map(|n| process.was_told(n));
    let mut process = process(ProcessState::Running, Some(7), 0, 0);
    assert_eq!(told(&process), [false; 4]);
    fed(&mut process, Trigger::Stop, &program, SupervisorState::Running, LATE);
    assert_eq!(told(&process), [true, false, false, false]);
    for expected in [[true, true, false, false], [true, true, true, false], [true, true, true, false]] {
        let due = process.deadline(&program, SupervisorState::Running).unwrap().0;
        fed(&mut process, Trigger::Deadline, &program, SupervisorState::Running, due);
        assert_eq!(told(&process), expected, "SIGKILL in the end is none of them");
    }
    assert!(!process.was_told(0) && !process.was_told(-1) && !process.was_told(65));
}

#[test]
fn k_1_a_start_by_command_forgets_how_earlier_runs_ended() {
    let program = program(|_| ());
    let mut process = process(ProcessState::Running, Some(7), 0, 0);
    fed(&mut process, Trigger::Exited(UNEXPECTED), &program, SupervisorState::Running, LATE);
    assert_eq!(process.runs.exit_since_asked(), Some(UNEXPECTED));
    process.state = ProcessState::Fatal;
    fed(&mut process, Trigger::Start, &program, SupervisorState::Running, LATE);
    assert_eq!((process.runs.exit_since_asked(), process.runs.last_exit()), (None, Some(UNEXPECTED)));
}
