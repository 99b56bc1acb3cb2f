//! The table of a process: what each event does in each situation.

use super::*;

/// The situations of the table, each with its name.
pub(super) fn situations() -> Vec<(&'static str, Process)> {
    use ProcessState::*;
    let setting_up = |stage| Process { stage, ..process(Starting, Some(7), 1, 0) };
    let unmet = "couldn't set nice for 'cat': EACCES".to_string();
    let exited = |code| {
        let mut process = process(Exited, None, 0, 0);
        process.runs.exit_status = Some(code);
        process
    };
    vec![
        ("new", Process::default()),
        ("stopped", process(Stopped, None, 2, 0)),
        ("spawning", process(Starting, None, 1, 0)),
        ("starting", Process { stage: SetUpStage::Done, ..process(Starting, Some(7), 1, 0) }),
        ("setting up", setting_up(SetUpStage::Unknown)),
        ("asked", setting_up(SetUpStage::Asked)),
        ("not set up", setting_up(SetUpStage::Failed(None))),
        ("option unmet", setting_up(SetUpStage::Failed(Some(unmet)))),
        ("running", process(Running, Some(7), 0, 0)),
        ("distrusted", Process { distrusted: true, ..process(Running, Some(7), 0, 0) }),
        ("backoff", process(Backoff, None, 3, START + 3 * SECOND)),
        ("backoff spent", process(Backoff, None, 4, START + 4 * SECOND)),
        ("stopping", process(Stopping, Some(7), 0, START + 10 * SECOND)),
        ("exited expectedly", exited(0)),
        ("exited unexpectedly", exited(3)),
        ("fatal", process(Fatal, None, 0, 0)),
        ("unknown", process(Unknown, Some(7), 0, 0)),
    ]
}

/// The events of the table. Together with the situations they cover every pair of state and event.
fn events() -> Vec<(&'static str, Trigger)> {
    vec![
        ("start", Trigger::Start),
        ("spawned", Trigger::Spawned(Pid(8))),
        ("spawn failed", Trigger::SpawnFailed("can't find command 'cat'".to_string())),
        ("set up", Trigger::SetUp),
        ("set-up failed", Trigger::SetUpFailed(Some("couldn't set nice for 'cat': EACCES".to_string()))),
        ("deadline", Trigger::Deadline),
        ("exit 0", Trigger::Exited(EXPECTED)),
        ("exit 3", Trigger::Exited(UNEXPECTED)),
        ("killed", Trigger::Exited(KILLED)),
        ("core", Trigger::Exited(CORE)),
        ("stop", Trigger::Stop),
        ("give up", Trigger::GiveUp),
        ("signal failed", Trigger::SignalFailed),
        ("distrust", Trigger::Distrust),
    ]
}

/// (situation, event, when, state after, effects). What is not listed means nothing and changes nothing.
#[rustfmt::skip]
const TABLE: &[(&str, &str, When, ProcessState, &[&str])] = {
    use ProcessState::*;
    use When::*;
    &[
        ("new", "start", Always, Starting, &["STOPPED -> STARTING tries:0 pid:0", "spawn"]),
        ("new", "deadline", When::Running, Starting, &["STOPPED -> STARTING tries:0 pid:0", "spawn"]),
        ("stopped", "start", Always, Starting, &["STOPPED -> STARTING tries:2 pid:0", "spawn"]),

        ("spawning", "spawned", Always, Starting, &["INFO spawned: 'cat' with pid 8"]),
        ("spawning", "spawn failed", Always, Backoff,
            &["INFO spawnerr: can't find command 'cat'", "STARTING -> BACKOFF tries:2 pid:0"]),
        ("spawning", "signal failed", Always, Unknown, &["STARTING -> UNKNOWN tries:1 pid:0"]),
        // One that has a child already is not spawned again by its owner; were it, the new child counts.
        ("starting", "spawned", Always, Starting, &["INFO spawned: 'cat' with pid 8"]),
        ("starting", "spawn failed", Always, Backoff,
            &["INFO spawnerr: can't find command 'cat'", "STARTING -> BACKOFF tries:2 pid:7"]),
        ("starting", "deadline", Late, ProcessState::Running, &["STARTING -> RUNNING tries:0 pid:7", SUCCESS]),
        ("starting", "exit 0", Early, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [exit status 0]", "WARN exited: cat (exit status 0; not expected)"]),
        ("starting", "exit 3", Early, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [exit status 3]", "WARN exited: cat (exit status 3; not expected)"]),
        ("starting", "killed", Early, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [terminated by SIGKILL]",
              "WARN exited: cat (terminated by SIGKILL; not expected)"]),
        ("starting", "core", Early, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [terminated by SIGSEGV (core dumped)]",
              "WARN exited: cat (terminated by SIGSEGV (core dumped); not expected)"]),
        ("starting", "exit 0", Late, Exited,
            &["STARTING -> RUNNING tries:0 pid:7", "RUNNING -> EXITED tries:0 pid:7 expected [exit status 0]",
              "INFO exited: cat (exit status 0; expected)"]),
        ("starting", "exit 3", Late, Exited,
            &["STARTING -> RUNNING tries:0 pid:7", "RUNNING -> EXITED tries:0 pid:7 [exit status 3]",
              "WARN exited: cat (exit status 3; not expected)"]),
        ("starting", "killed", Late, Exited,
            &["STARTING -> RUNNING tries:0 pid:7", "RUNNING -> EXITED tries:0 pid:7 [terminated by SIGKILL]",
              "WARN exited: cat (terminated by SIGKILL; not expected)"]),
        ("starting", "core", Late, Exited,
            &["STARTING -> RUNNING tries:0 pid:7",
              "RUNNING -> EXITED tries:0 pid:7 [terminated by SIGSEGV (core dumped)]",
              "WARN exited: cat (terminated by SIGSEGV (core dumped); not expected)"]),
        ("starting", "stop", Always, Stopping, &[KILL, "STARTING -> STOPPING tries:1 pid:7", "kill SIGTERM"]),
        ("starting", "signal failed", Always, Unknown, &["STARTING -> UNKNOWN tries:1 pid:7"]),

        ("starting", "distrust", When::Running, Starting, &[DISTRUST, "kill SIGKILL"]),

        ("setting up", "deadline", Late, Starting, &["ask"]),
        ("asked", "set up", Late, ProcessState::Running, &["STARTING -> RUNNING tries:0 pid:7", SUCCESS]),
        ("setting up", "set up", Late, ProcessState::Running, &["STARTING -> RUNNING tries:0 pid:7", SUCCESS]),
        ("setting up", "spawned", Always, Starting, &["INFO spawned: 'cat' with pid 8"]),
        ("setting up", "spawn failed", Always, Backoff,
            &["INFO spawnerr: can't find command 'cat'", "STARTING -> BACKOFF tries:2 pid:7"]),
        ("setting up", "stop", Always, Stopping, &[KILL, "STARTING -> STOPPING tries:1 pid:7", "kill SIGTERM"]),
        ("setting up", "signal failed", Always, Unknown, &["STARTING -> UNKNOWN tries:1 pid:7"]),
        ("setting up", "distrust", When::Running, Starting, &[DISTRUST, "kill SIGKILL"]),
        ("setting up", "exit 0", Early, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [exit status 0]", "WARN exited: cat (exit status 0; not expected)"]),
        ("setting up", "exit 0", Late, Exited,
            &["STARTING -> RUNNING tries:0 pid:7", "RUNNING -> EXITED tries:0 pid:7 expected [exit status 0]",
              "INFO exited: cat (exit status 0; expected)"]),
        ("setting up", "exit 3", Early, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [exit status 3]", "WARN exited: cat (exit status 3; not expected)"]),
        ("setting up", "exit 3", Late, Exited,
            &["STARTING -> RUNNING tries:0 pid:7", "RUNNING -> EXITED tries:0 pid:7 [exit status 3]",
              "WARN exited: cat (exit status 3; not expected)"]),
        ("setting up", "killed", Early, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [terminated by SIGKILL]", "WARN exited: cat (terminated by SIGKILL; not expected)"]),
        ("setting up", "killed", Late, Exited,
            &["STARTING -> RUNNING tries:0 pid:7", "RUNNING -> EXITED tries:0 pid:7 [terminated by SIGKILL]",
              "WARN exited: cat (terminated by SIGKILL; not expected)"]),
        ("setting up", "core", Early, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [terminated by SIGSEGV (core dumped)]", "WARN exited: cat (terminated by SIGSEGV (core dumped); not expected)"]),
        ("setting up", "core", Late, Exited,
            &["STARTING -> RUNNING tries:0 pid:7", "RUNNING -> EXITED tries:0 pid:7 [terminated by SIGSEGV (core dumped)]",
              "WARN exited: cat (terminated by SIGSEGV (core dumped); not expected)"]),
        ("asked", "spawned", Always, Starting, &["INFO spawned: 'cat' with pid 8"]),
        ("asked", "spawn failed", Always, Backoff,
            &["INFO spawnerr: can't find command 'cat'", "STARTING -> BACKOFF tries:2 pid:7"]),
        ("asked", "stop", Always, Stopping, &[KILL, "STARTING -> STOPPING tries:1 pid:7", "kill SIGTERM"]),
        ("asked", "signal failed", Always, Unknown, &["STARTING -> UNKNOWN tries:1 pid:7"]),
        ("asked", "distrust", When::Running, Starting, &[DISTRUST, "kill SIGKILL"]),
        ("asked", "exit 0", Early, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [exit status 0]", "WARN exited: cat (exit status 0; not expected)"]),
        ("asked", "exit 0", Late, Exited,
            &["STARTING -> RUNNING tries:0 pid:7", "RUNNING -> EXITED tries:0 pid:7 expected [exit status 0]",
              "INFO exited: cat (exit status 0; expected)"]),
        ("asked", "exit 3", Early, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [exit status 3]", "WARN exited: cat (exit status 3; not expected)"]),
        ("asked", "exit 3", Late, Exited,
            &["STARTING -> RUNNING tries:0 pid:7", "RUNNING -> EXITED tries:0 pid:7 [exit status 3]",
              "WARN exited: cat (exit status 3; not expected)"]),
        ("asked", "killed", Early, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [terminated by SIGKILL]", "WARN exited: cat (terminated by SIGKILL; not expected)"]),
        ("asked", "killed", Late, Exited,
            &["STARTING -> RUNNING tries:0 pid:7", "RUNNING -> EXITED tries:0 pid:7 [terminated by SIGKILL]",
              "WARN exited: cat (terminated by SIGKILL; not expected)"]),
        ("asked", "core", Early, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [terminated by SIGSEGV (core dumped)]", "WARN exited: cat (terminated by SIGSEGV (core dumped); not expected)"]),
        ("asked", "core", Late, Exited,
            &["STARTING -> RUNNING tries:0 pid:7", "RUNNING -> EXITED tries:0 pid:7 [terminated by SIGSEGV (core dumped)]",
              "WARN exited: cat (terminated by SIGSEGV (core dumped); not expected)"]),
        ("not set up", "spawned", Always, Starting, &["INFO spawned: 'cat' with pid 8"]),
        ("not set up", "spawn failed", Always, Backoff,
            &["INFO spawnerr: can't find command 'cat'", "STARTING -> BACKOFF tries:2 pid:7"]),
        ("not set up", "stop", Always, Stopping, &[KILL, "STARTING -> STOPPING tries:1 pid:7", "kill SIGTERM"]),
        ("not set up", "signal failed", Always, Unknown, &["STARTING -> UNKNOWN tries:1 pid:7"]),
        ("not set up", "distrust", When::Running, Starting, &[DISTRUST, "kill SIGKILL"]),
        ("not set up", "exit 0", Always, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [exit status 0]", "WARN exited: cat (exit status 0; not expected)"]),
        ("not set up", "exit 3", Always, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [exit status 3]", "WARN exited: cat (exit status 3; not expected)"]),
        ("not set up", "killed", Always, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [terminated by SIGKILL]", "WARN exited: cat (terminated by SIGKILL; not expected)"]),
        ("not set up", "core", Always, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [terminated by SIGSEGV (core dumped)]", "WARN exited: cat (terminated by SIGSEGV (core dumped); not expected)"]),
        ("option unmet", "spawned", Always, Starting, &["INFO spawned: 'cat' with pid 8"]),
        ("option unmet", "spawn failed", Always, Backoff,
            &["INFO spawnerr: can't find command 'cat'", "STARTING -> BACKOFF tries:2 pid:7"]),
        ("option unmet", "stop", Always, Stopping, &[KILL, "STARTING -> STOPPING tries:1 pid:7", "kill SIGTERM"]),
        ("option unmet", "signal failed", Always, Unknown, &["STARTING -> UNKNOWN tries:1 pid:7"]),
        ("option unmet", "distrust", When::Running, Starting, &[DISTRUST, "kill SIGKILL"]),
        ("option unmet", "exit 0", Always, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [exit status 0]", "WARN exited: cat (exit status 0; not expected)"]),
        ("option unmet", "exit 3", Always, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [exit status 3]", "WARN exited: cat (exit status 3; not expected)"]),
        ("option unmet", "killed", Always, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [terminated by SIGKILL]", "WARN exited: cat (terminated by SIGKILL; not expected)"]),
        ("option unmet", "core", Always, Backoff,
            &["STARTING -> BACKOFF tries:2 pid:7 [terminated by SIGSEGV (core dumped)]", "WARN exited: cat (terminated by SIGSEGV (core dumped); not expected)"]),
        ("running", "distrust", When::Running, ProcessState::Running, &[DISTRUST, "kill SIGKILL"]),
        ("running", "exit 0", Always, Exited,
            &["RUNNING -> EXITED tries:0 pid:7 expected [exit status 0]", "INFO exited: cat (exit status 0; expected)"]),
        ("running", "exit 3", Always, Exited,
            &["RUNNING -> EXITED tries:0 pid:7 [exit status 3]", "WARN exited: cat (exit status 3; not expected)"]),
        ("running", "killed", Always, Exited,
            &["RUNNING -> EXITED tries:0 pid:7 [terminated by SIGKILL]",
              "WARN exited: cat (terminated by SIGKILL; not expected)"]),
        ("running", "core", Always, Exited,
            &["RUNNING -> EXITED tries:0 pid:7 [terminated by SIGSEGV (core dumped)]",
              "WARN exited: cat (terminated by SIGSEGV (core dumped); not expected)"]),
        ("running", "stop", Always, Stopping, &[KILL, "RUNNING -> STOPPING tries:0 pid:7", "kill SIGTERM"]),
        ("running", "signal failed", Always, Unknown, &["RUNNING -> UNKNOWN tries:0 pid:7"]),

        ("distrusted", "exit 0", Always, Backoff,
            &["RUNNING -> BACKOFF tries:1 pid:7 [exit status 0]", "WARN exited: cat (exit status 0; not expected)"]),
        ("distrusted", "exit 3", Always, Backoff,
            &["RUNNING -> BACKOFF tries:1 pid:7 [exit status 3]", "WARN exited: cat (exit status 3; not expected)"]),
        ("distrusted", "killed", Always, Backoff,
            &["RUNNING -> BACKOFF tries:1 pid:7 [terminated by SIGKILL]", "WARN exited: cat (terminated by SIGKILL; not expected)"]),
        ("distrusted", "core", Always, Backoff,
            &["RUNNING -> BACKOFF tries:1 pid:7 [terminated by SIGSEGV (core dumped)]", "WARN exited: cat (terminated by SIGSEGV (core dumped); not expected)"]),
        ("distrusted", "stop", Always, Stopping, &[KILL, "RUNNING -> STOPPING tries:0 pid:7", "kill SIGTERM"]),
        ("distrusted", "signal failed", Always, Unknown, &["RUNNING -> UNKNOWN tries:0 pid:7"]),

        ("backoff", "start", Always, Starting, &["BACKOFF -> STARTING tries:3 pid:0", "spawn"]),
        ("backoff", "deadline", LateRunning, Starting, &["BACKOFF -> STARTING tries:3 pid:0", "spawn"]),
        ("backoff", "stop", Always, Stopped,
            &["DEBG Attempted to kill cat, which is in BACKOFF state.", "BACKOFF -> STOPPED tries:3 pid:0"]),
        ("backoff", "give up", Always, Fatal, &["BACKOFF -> FATAL tries:0 pid:0"]),
        ("backoff spent", "start", Always, Starting, &["BACKOFF -> STARTING tries:4 pid:0", "spawn"]),
        ("backoff spent", "deadline", Always, Fatal,
            &["BACKOFF -> FATAL tries:0 pid:0",
              "INFO gave up: cat entered FATAL state, too many start retries too quickly"]),
        ("backoff spent", "stop", Always, Stopped,
            &["DEBG Attempted to kill cat, which is in BACKOFF state.", "BACKOFF -> STOPPED tries:4 pid:0"]),
        ("backoff spent", "give up", Always, Fatal, &["BACKOFF -> FATAL tries:0 pid:0"]),

        ("stopping", "start", Always, Stopping, &["WARN process 'cat' already running"]),
        ("stopping", "deadline", Late, Stopping,
            &["WARN killing 'cat' (7) with SIGKILL", "DEBG killing cat (pid 7) with signal SIGKILL", "kill SIGKILL"]),
        ("stopping", "exit 0", Always, Stopped,
            &["STOPPING -> STOPPED tries:0 pid:7 [exit status 0]", "INFO stopped: cat (exit status 0)"]),
        ("stopping", "exit 3", Always, Stopped,
            &["STOPPING -> STOPPED tries:0 pid:7 [exit status 3]", "WARN stopped: cat (exit status 3)"]),
        ("stopping", "killed", Always, Stopped,
            &["STOPPING -> STOPPED tries:0 pid:7 [terminated by SIGKILL]", "WARN stopped: cat (terminated by SIGKILL)"]),
        ("stopping", "core", Always, Stopped,
            &["STOPPING -> STOPPED tries:0 pid:7 [terminated by SIGSEGV (core dumped)]",
              "WARN stopped: cat (terminated by SIGSEGV (core dumped))"]),
        ("stopping", "signal failed", Always, Unknown, &["STOPPING -> UNKNOWN tries:0 pid:7"]),

        ("exited expectedly", "start", Always, Starting, &["EXITED -> STARTING tries:0 pid:0", "spawn"]),
        ("exited unexpectedly", "start", Always, Starting, &["EXITED -> STARTING tries:0 pid:0", "spawn"]),
        ("exited unexpectedly", "deadline", When::Running, Starting, &["EXITED -> STARTING tries:0 pid:0", "spawn"]),
        ("fatal", "start", Always, Starting, &["FATAL -> STARTING tries:0 pid:0", "spawn"]),

        ("unknown", "start", Always, Unknown, &["WARN process 'cat' already running"]),
        ("unknown", "exit 0", Always, Exited,
            &["UNKNOWN -> EXITED tries:0 pid:7 expected [exit status 0]", "INFO exited: cat (exit status 0; expected)"]),
        ("unknown", "exit 3", Always, Exited,
            &["UNKNOWN -> EXITED tries:0 pid:7 [exit status 3]", "WARN exited: cat (exit status 3; not expected)"]),
        ("unknown", "killed", Always, Exited,
            &["UNKNOWN -> EXITED tries:0 pid:7 [terminated by SIGKILL]",
              "WARN exited: cat (terminated by SIGKILL; not expected)"]),
        ("unknown", "core", Always, Exited,
            &["UNKNOWN -> EXITED tries:0 pid:7 [terminated by SIGSEGV (core dumped)]",
              "WARN exited: cat (terminated by SIGSEGV (core dumped); not expected)"]),
    ]
};

#[test]
fn every_pair_of_state_and_event() {
    let situations = situations();
    for state in ProcessState::ALL {
        assert!(situations.iter().any(|(_, process)| process.state == state), "no situation in {state:?}");
    }
    let mut used = vec![false; TABLE.len()];
    for (situation, process) in &situations {
        for (name, event) in events() {
            for (daemon, late) in [
                (SupervisorState::Running, false),
                (SupervisorState::Running, true),
                (SupervisorState::Shutdown, false),
                (SupervisorState::Shutdown, true),
            ] {
                let row = format!("{situation}, {name}, {daemon:?}, {}", if late { "late" } else { "early" });
                let mut process = process.clone();
                let before = process.state;
                let got = fed(&mut process, event.clone(), &program(|_| ()), daemon, if late { LATE } else { EARLY });
                let expected = TABLE
                    .iter()
                    .position(|(s, e, when, ..)| *s == *situation && *e == name && when.holds(late, daemon));
                let (state, effects) = match expected {
                    None => (before, &[][..]),
                    Some(index) => {
                        used[index] = true;
                        (TABLE[index].3, TABLE[index].4)
                    }
                };
                assert_eq!(process.state, state, "{row}");
                assert_eq!(got, effects, "{row}");
            }
        }
    }
    for (used, row) in used.iter().zip(TABLE) {
        assert!(used, "{}, {}: no such case", row.0, row.1);
    }
}

/// (situation, event, late) and what is shown afterwards: pid, exit status, spawnerr, stop time set.
#[test]
fn what_an_event_leaves_behind() {
    const QUICK: &str = "Exited too quickly (process log may have details)";
    type Shown = (Option<i32>, Option<i32>, &'static str, bool);
    let rows: &[(&str, &str, bool, Shown)] = &[
        ("spawning", "spawned", false, (Some(8), None, "", false)),
        ("spawning", "spawn failed", false, (None, None, "can't find command 'cat'", false)),
        ("starting", "exit 0", false, (None, None, QUICK, true)),
        ("not set up", "exit 0", true, (None, None, QUICK, true)),
        ("option unmet", "exit 3", true, (None, None, "couldn't set nice for 'cat': EACCES", true)),
        ("starting", "exit 0", true, (None, Some(0), "", true)),
        ("starting", "exit 3", true, (None, Some(3), "Bad exit code 3", true)),
        ("running", "killed", true, (None, Some(-1), "Bad exit code -1", true)),
        ("running", "stop", true, (Some(7), None, "", false)),
        ("running", "signal failed", true, (Some(7), None, "", false)),
        ("distrusted", "killed", true, (None, Some(-1), "Violated the eventlistener protocol", true)),
        ("backoff", "stop", true, (None, None, "", false)),
        ("stopping", "exit 3", true, (None, Some(3), "", true)),
        ("unknown", "exit 3", true, (None, Some(3), "Bad exit code 3", true)),
        ("exited unexpectedly", "start", true, (None, None, "", false)),
    ];
    for (situation, name, late, expected) in rows {
        let mut process = situations().into_iter().find(|(name, _)| name == situation).unwrap().1;
        let event = events().into_iter().find(|(other, _)| other == name).unwrap().1;
        let now = if *late { LATE } else { EARLY };
        fed(&mut process, event, &program(|_| ()), SupervisorState::Running, now);
        let pid = process.runs.pid.map(|pid| pid.0);
        let stop = process.runs.stop_wall == 1_700_000_000 + (now / SECOND) as i64;
        assert_eq!((pid, process.runs.exit_status, process.runs.spawn_error(), stop), *expected, "{situation}, {name}");
    }
}
