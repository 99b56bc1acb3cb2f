//! What happens to a process that nobody asked for by name: it waited and resumes, it is refused, it is unfit, it is
//! silent (O-1, O-4), it rests.

use super::table::situations;
use super::*;
use ProcessState::*;

fn events() -> Vec<(&'static str, Trigger)> {
    let unfit = |again| Trigger::Unfit { reason: "Not healthy".to_string(), again };
    vec![
        ("resume", Trigger::Resume),
        ("refuse", Trigger::Refuse("Dependency db failed".to_string())),
        ("unfit, again", unfit(true)),
        ("unfit", unfit(false)),
        ("silent", Trigger::Silent),
        ("kill", Trigger::Kill),
        ("ready", Trigger::Ready),
        ("cleared", Trigger::Cleared),
        ("hook done", Trigger::HookEnded(Hook::PreStart, Ok(()))),
    ]
}

const REFUSED: &str = "INFO gave up: cat entered FATAL state, Dependency db failed";
const KILLING: &str = "DEBG killing cat (pid 7) with signal SIGKILL";
const ABORT: &str = "DEBG killing cat (pid 7) with signal SIGABRT";

/// (situations, event, state after, effects), whatever the daemon does. What is not listed changes nothing.
#[rustfmt::skip]
const TABLE: &[(&[&str], &str, ProcessState, &[&str])] = &[
    (&["new"], "resume", Starting, &["STOPPED -> STARTING tries:0 pid:0", "spawn"]),
    (&["stopped"], "resume", Starting, &["STOPPED -> STARTING tries:2 pid:0", "spawn"]),
    (&["exited expectedly", "exited unexpectedly"], "resume", Starting, &["EXITED -> STARTING tries:0 pid:0", "spawn"]),
    (&["fatal"], "resume", Starting, &["FATAL -> STARTING tries:0 pid:0", "spawn"]),

    (&["new"], "refuse", Fatal, &[REFUSED, "STOPPED -> FATAL tries:0 pid:0"]),
    (&["stopped"], "refuse", Fatal, &[REFUSED, "STOPPED -> FATAL tries:2 pid:0"]),
    (&["exited expectedly", "exited unexpectedly"], "refuse", Fatal, &[REFUSED, "EXITED -> FATAL tries:0 pid:0"]),
    (&["fatal"], "refuse", Fatal, &[REFUSED]),

    (&["starting", "setting up", "asked", "not set up", "option unmet"], "unfit, again", Stopping,
        &[KILL, "STARTING -> STOPPING tries:1 pid:7", "kill SIGTERM"]),
    (&["starting", "setting up", "asked", "not set up", "option unmet"], "unfit", Stopping,
        &[KILL, "STARTING -> STOPPING tries:1 pid:7", "kill SIGTERM"]),
    (&["running", "distrusted"], "unfit, again", Stopping, &[KILL, "RUNNING -> STOPPING tries:0 pid:7", "kill SIGTERM"]),
    (&["running", "distrusted"], "unfit", Stopping, &[KILL, "RUNNING -> STOPPING tries:0 pid:7", "kill SIGTERM"]),

    (&["running", "distrusted"], "silent", Running, &[ABORT, "kill SIGABRT"]),

    (&["starting", "setting up", "asked", "not set up", "option unmet"], "kill", Stopping,
        &[KILLING, "STARTING -> STOPPING tries:1 pid:7", "kill SIGKILL"]),
    (&["running", "distrusted"], "kill", Stopping, &[KILLING, "RUNNING -> STOPPING tries:0 pid:7", "kill SIGKILL"]),
    (&["stopping"], "kill", Stopping, &[KILLING, "kill SIGKILL"]),

    // It was held; it is that, or nothing happened to hold it up.
    (&["spawning"], "cleared", Starting, &["spawn"]),
];

#[test]
fn every_state_and_what_nobody_asked_for() {
    let mut used = vec![false; TABLE.len()];
    for (situation, process) in &situations() {
        for (name, event) in events() {
            for daemon in [SupervisorState::Running, SupervisorState::Shutdown] {
                let row = format!("{situation}, {name}, {daemon:?}");
                let mut process = process.clone();
                let before = process.state;
                let got = fed(&mut process, event.clone(), &program(|_| ()), daemon, LATE);
                let is_row = |(situations, event, ..): &(&[&str], &str, ProcessState, &[&str])| {
                    situations.contains(situation) && *event == name
                };
                let expected = TABLE.iter().position(is_row);
                // While everything is stopped nothing is started.
                let expected = expected.filter(|_| name != "cleared" || daemon == SupervisorState::Running);
                let (state, effects) = match expected {
                    None => (before, &[][..]),
                    Some(index) => {
                        used[index] = true;
                        (TABLE[index].2, TABLE[index].3)
                    }
                };
                assert_eq!(
                    (process.state, got),
                    (state, effects.iter().map(|line| line.to_string()).collect()),
                    "{row}"
                );
            }
        }
    }
    for (used, row) in used.iter().zip(TABLE) {
        assert!(used, "{:?}, {}: no such case", row.0, row.1);
    }
}

/// O-4: stopped with the reason as spawnerr, and started again or not.
#[test]
fn one_that_is_unfit_comes_back_or_rests() {
    for again in [true, false] {
        let program = program(|program| program.autorestart = Autorestart::Always);
        let mut process = process(Running, Some(7), 0, 0);
        let running = SupervisorState::Running;
        fed(&mut process, Trigger::Unfit { reason: "Not healthy".to_string(), again }, &program, running, LATE);
        assert_eq!(process.is_coming_back(), again);
        fed(&mut process, Trigger::Exited(EXPECTED), &program, running, LATE);
        assert_eq!((process.state, process.runs().spawn_error()), (Stopped, "Not healthy"));
        assert_eq!(process.deadline(&program, running).is_some(), again);
        assert_eq!(process.deadline(&program, SupervisorState::Shutdown), None);
        // A stop by command ends that.
        fed(&mut process, Trigger::Stop, &program, running, LATE);
        assert_eq!(process.deadline(&program, running), None);
    }
}

/// O-1: restarts by what is depended on count, and one too many is the end.
#[test]
fn resuming_counts_for_the_limit() {
    let program = with("restart_limit=2/60");
    let running = SupervisorState::Running;
    let mut process = process(Stopped, None, 0, 0);
    for _ in 0..2 {
        fed(&mut process, Trigger::Resume, &program, running, LATE);
        assert_eq!(process.state, Starting);
        fed(&mut process, Trigger::Spawned(Pid(7)), &program, running, LATE);
        fed(&mut process, Trigger::Stop, &program, running, LATE);
        fed(&mut process, Trigger::Exited(EXPECTED), &program, running, LATE);
    }
    let effects = fed(&mut process, Trigger::Resume, &program, running, LATE);
    assert_eq!(process.state, Fatal, "{effects:?}");
    // A start by command begins anew.
    fed(&mut process, Trigger::Start, &program, running, LATE);
    assert_eq!(process.state, Starting);
}

/// O-1: what nobody but a command starts again.
#[test]
fn one_that_rests_is_started_by_command_only() {
    let program = program(|program| program.autorestart = Autorestart::Always);
    let running = SupervisorState::Running;
    for (name, mut process) in situations() {
        let due = process.deadline(&program, running);
        process.rest();
        match process.state {
            Stopped | Exited => assert_eq!(process.deadline(&program, running), None, "{name}"),
            _ => assert_eq!(process.deadline(&program, running), due, "{name}"),
        }
        if matches!(process.state, Stopped | Exited) {
            fed(&mut process, Trigger::Start, &program, running, LATE);
            assert_eq!(process.state, Starting, "{name}");
        }
    }
}

/// O-6, P-76: a hook before the start ends while everything is stopped: there is no start.
#[test]
fn a_hook_that_ends_during_the_end_starts_nothing() {
    for hook in [Hook::PreStart, Hook::PostStop] {
        for (result, failure, expected) in [
            (Ok(()), "ignore", Stopped),
            (Err("exit status 1".to_string()), "ignore", Stopped),
            (Err("exit status 1".to_string()), "fail", if hook == Hook::PreStart { Backoff } else { Stopped }),
        ] {
            let program = with(&format!("pre_start_hook=x\npost_stop_hook=x\nhook_failure={failure}"));
            let mut process = process(Starting, None, 0, 0);
            process.around.hook = Some(hook);
            let event = Trigger::HookEnded(hook, result);
            let effects = fed(&mut process, event, &program, SupervisorState::Shutdown, LATE);
            assert_eq!(process.state, expected, "{hook:?} {failure}: {effects:?}");
            assert!(!effects.contains(&"spawn".to_string()), "{hook:?} {failure}: {effects:?}");
        }
    }
}
