//! When a process is started again, and when it is given up.

use super::*;

#[test]
fn retries_come_after_growing_pauses() {
    for (startretries, expected) in [(3, &[1, 2, 3][..]), (1, &[1]), (0, &[]), (-1, &[])] {
        let program = program(|program| program.startretries = Retries(startretries));
        assert_eq!(pauses(&mut Process::default(), &program, START), expected, "startretries {startretries}");
    }
}

#[test]
fn the_counter_goes_on_after_a_stop_in_backoff() {
    let program = program(|_| ());
    let mut process = process(ProcessState::Backoff, None, 2, START + 2 * SECOND);
    fed(&mut process, Trigger::Stop, &program, SupervisorState::Running, START);
    assert_eq!(pauses(&mut process, &program, START), [3]);
    // FATAL and RUNNING clear it.
    assert_eq!(pauses(&mut process, &program, START), [1, 2, 3]);
}

#[test]
fn autorestart_decides_after_an_exit() {
    use Autorestart::*;
    // (autorestart, exit codes, how it ended, starts again)
    let rows = [
        (Always, &[0][..], EXPECTED, true),
        (Always, &[], KILLED, true),
        (Unexpected, &[0], EXPECTED, false),
        (Unexpected, &[0, 3], UNEXPECTED, false),
        (Unexpected, &[0], UNEXPECTED, true),
        (Unexpected, &[0], KILLED, true),
        (Never, &[0], EXPECTED, false),
        (Never, &[0], UNEXPECTED, false),
        (Never, &[0], CORE, false),
    ];
    for (autorestart, exitcodes, status, restarts) in rows {
        let program = program(|program| {
            program.autorestart = autorestart;
            program.exitcodes = ExitCodes(exitcodes.to_vec());
        });
        let row = format!("{autorestart:?} {exitcodes:?} {status:?}");
        let mut process = process(ProcessState::Running, Some(7), 0, 0);
        fed(&mut process, Trigger::Exited(status), &program, SupervisorState::Running, LATE);
        assert_eq!(process.deadline(&program, SupervisorState::Running).is_some(), restarts, "{row}");
        assert_eq!(process.deadline(&program, SupervisorState::Shutdown), None, "{row}");
        fed(&mut process, Trigger::Deadline, &program, SupervisorState::Running, LATE);
        assert_eq!(process.state == ProcessState::Starting, restarts, "{row}");
    }
}

/// V-85: neither an exit nor what was ready and did not last is followed by another run.
#[cfg(feature = "fleet")]
#[test]
fn what_is_never_restarted_exits_and_rests() {
    let running = SupervisorState::Running;
    for (lines, lasts) in [("ready=notify", 1), ("ready=notify", 2 * SECOND), ("autorestart=true", 2 * SECOND)] {
        let program = with(lines);
        for is_never in [true, false] {
            let mut process = process(ProcessState::Running, Some(7), 0, 0);
            process.never_restart(is_never);
            fed(&mut process, Trigger::Exited(KILLED), &program, running, START + lasts);
            assert_eq!(process.deadline(&program, running).is_none(), is_never, "{lines} {lasts}");
            assert_eq!(process.is_over(&program), is_never, "{lines} {lasts}");
            assert!(!is_never || process.state == ProcessState::Exited, "{lines} {lasts}");
        }
    }
}

/// V-85: what has exited while nothing was to follow stays as it is when that is over.
#[cfg(feature = "fleet")]
#[test]
fn what_has_exited_for_good_stays_so() {
    let program = with("autorestart=true");
    let mut process = process(ProcessState::Running, Some(7), 0, 0);
    process.never_restart(true);
    fed(&mut process, Trigger::Exited(KILLED), &program, SupervisorState::Running, START + 2 * SECOND);
    process.never_restart(false);
    assert_eq!(process.deadline(&program, SupervisorState::Running), None);
    fed(&mut process, Trigger::Start, &program, SupervisorState::Running, START + 3 * SECOND);
    assert_eq!(process.state, ProcessState::Starting);
}

#[test]
fn restarts_keep_to_their_floor() {
    let program = program(|program| {
        program.autorestart = Autorestart::Always;
        program.startsecs = 0;
    });
    let mut process = process(ProcessState::Running, Some(7), 0, 0);
    fed(&mut process, Trigger::Exited(EXPECTED), &program, SupervisorState::Running, START + 1);
    let floor = Mono(START).after(RESTART_FLOOR);
    assert_eq!(process.deadline(&program, SupervisorState::Running), Some(floor));
    assert_eq!(fed(&mut process, Trigger::Deadline, &program, SupervisorState::Running, floor.0 - 1), [""; 0]);
    fed(&mut process, Trigger::Deadline, &program, SupervisorState::Running, floor.0);
    assert_eq!(process.state, ProcessState::Starting);
}

#[test]
fn autostart_is_for_what_was_never_started() {
    let never = program(|program| program.autostart = false);
    let mut tried = Process::default();
    fed(&mut tried, Trigger::Start, &program(|_| ()), SupervisorState::Running, 0);
    fed(&mut tried, Trigger::Spawned(Pid(7)), &program(|_| ()), SupervisorState::Running, 0);
    fed(&mut tried, Trigger::Stop, &program(|_| ()), SupervisorState::Running, 0);
    fed(&mut tried, Trigger::Exited(KILLED), &program(|_| ()), SupervisorState::Running, 0);
    assert_eq!(tried.state, ProcessState::Stopped);
    let rows = [
        ("new", Process::default(), program(|_| ()), SupervisorState::Running, Some(Mono(0))),
        ("new, no autostart", Process::default(), never, SupervisorState::Running, None),
        ("new, shutting down", Process::default(), program(|_| ()), SupervisorState::Shutdown, None),
        // Started at the very beginning of the clock, and still started.
        ("stopped", tried, program(|_| ()), SupervisorState::Running, None),
    ];
    for (name, process, program, daemon, expected) in rows {
        assert_eq!(process.deadline(&program, daemon), expected, "{name}");
    }
}

#[test]
fn a_listener_that_breaks_the_protocol_is_started_again_and_again_and_then_given_up() {
    for autorestart in [Autorestart::Always, Autorestart::Unexpected, Autorestart::Never] {
        let program = program(|program| {
            program.startsecs = 0;
            program.startretries = Retries(2);
            program.autorestart = autorestart;
        });
        let (mut process, mut now) = (Process::default(), START);
        for pause in [1, 2] {
            let got = violation(&mut process, &program, &mut now, SECOND / 10);
            assert_eq!(got, Some(pause * SECOND), "{autorestart:?}");
        }
        // The third violation in a row is one more than startretries.
        assert_eq!(violation(&mut process, &program, &mut now, SECOND / 10), None, "{autorestart:?}");
        fed(&mut process, Trigger::Deadline, &program, SupervisorState::Running, now);
        assert_eq!(process.state, ProcessState::Fatal, "{autorestart:?}");
        // Somebody starts it: it has all its retries again.
        assert_eq!(violation(&mut process, &program, &mut now, SECOND), Some(SECOND), "{autorestart:?}");
    }
}

#[test]
fn a_violation_after_a_long_run_counts_as_the_first() {
    let program = program(|program| {
        program.startsecs = 0;
        program.startretries = Retries(1);
    });
    let (mut process, mut now) = (Process::default(), START);
    for _ in 0..10 {
        let long = DISTRUST_TIME.as_nanos() as u64;
        assert_eq!(violation(&mut process, &program, &mut now, long), Some(SECOND));
    }
    assert_eq!(violation(&mut process, &program, &mut now, SECOND), None);
}

#[test]
fn a_stop_ends_the_restarting_of_a_listener() {
    let program = program(|program| program.startsecs = 0);
    let (mut process, mut now) = (Process::default(), START);
    violation(&mut process, &program, &mut now, SECOND);
    fed(&mut process, Trigger::Stop, &program, SupervisorState::Running, now);
    assert_eq!(process.state, ProcessState::Stopped);
    assert_eq!(process.deadline(&program, SupervisorState::Running), None);
}

#[test]
fn who_says_at_once_that_it_is_ready_and_ends_is_given_up() {
    let running = SupervisorState::Running;
    // (options, how long a run lasts in nanoseconds, where it ends, how many runs there are until then; 0 for no end)
    let rows = [
        ("", 1, ProcessState::Fatal, 4),
        ("", SECOND, ProcessState::Fatal, 4),
        ("", SECOND + 1, ProcessState::Exited, 0),
        ("startsecs=5\nstartretries=1", 4 * SECOND, ProcessState::Fatal, 2),
        ("startsecs=0", 1, ProcessState::Exited, 0),
        ("autorestart=true", 1, ProcessState::Fatal, 4),
        // Nothing would start it again.
        ("autorestart=false", 1, ProcessState::Exited, 1),
        ("exitcodes=1", 1, ProcessState::Exited, 1),
    ];
    for (lines, lasts, end, count) in rows {
        let program = with(&format!("ready=notify\n{lines}"));
        let mut process = Process::default();
        let mut now = START;
        fed(&mut process, Trigger::Start, &program, running, now);
        for _ in 0..20 {
            fed(&mut process, Trigger::Spawned(Pid(7)), &program, running, now);
            fed(&mut process, Trigger::Ready, &program, running, now);
            assert_eq!(process.state, ProcessState::Running, "{lines}");
            now += lasts;
            fed(&mut process, Trigger::Exited(ExitStatus::Code(1)), &program, running, now);
            let Some(due) = process.deadline(&program, running) else { break };
            now = now.max(due.0);
            fed(&mut process, Trigger::Deadline, &program, running, now);
            if process.state == ProcessState::Fatal {
                break;
            }
        }
        let runs = if count == 0 { 20 } else { count };
        assert_eq!(process.runs.count(), runs, "{lines} {lasts}");
        if count > 0 {
            assert_eq!(process.state, end, "{lines} {lasts}");
        }
    }
}

#[test]
fn what_was_ready_and_lasted_has_all_its_tries_again() {
    let running = SupervisorState::Running;
    let program = with("ready=notify\nstartretries=1");
    let mut process = Process::default();
    let mut now = START;
    let mut tries = Vec::new();
    fed(&mut process, Trigger::Start, &program, running, now);
    // One that is stopped counts as one that exits.
    for (lasts, end) in [(1, None), (2 * SECOND, None), (1, None), (2 * SECOND, Some(Trigger::Stop)), (1, None)] {
        fed(&mut process, Trigger::Spawned(Pid(7)), &program, running, now);
        fed(&mut process, Trigger::Ready, &program, running, now);
        now += lasts;
        let is_stopped = end.is_some();
        end.map(|end| fed(&mut process, end, &program, running, now));
        fed(&mut process, Trigger::Exited(ExitStatus::Code(1)), &program, running, now);
        tries.push(process.backoff);
        now += 10 * SECOND;
        let trigger = if is_stopped { Trigger::Start } else { Trigger::Deadline };
        fed(&mut process, trigger, &program, running, now);
    }
    assert_eq!(tries, [1, 0, 1, 0, 1]);
}
