//! When a process counts as ready, and what is done about one that is not well.

use std::time::Duration;

use crate::daemon::testing::World;
use crate::id::{Channel, Pid};

/// What a process says, or is found to be.
#[derive(Debug)]
enum Said {
    Nothing,
    Line,
    Output(&'static str),
    Message(&'static str),
    /// A message of somebody else.
    Other(&'static str),
}

#[test]
fn ready_is_who_says_it_in_the_way_that_was_agreed() {
    use Said::*;
    let rows = [
        ("startsecs=0\n", Nothing, "p RUNNING"),
        ("ready=fd:3\n", Nothing, "p STARTING"),
        ("ready=fd:3\n", Line, "p RUNNING"),
        ("ready=notify\n", Message("READY=1"), "p RUNNING"),
        ("ready=notify\n", Message("STATUS=READY=1"), "p STARTING"),
        ("ready=notify\n", Other("READY=1"), "p STARTING"),
        ("ready=notify\nnotify_access=all\n", Other("READY=1"), "p RUNNING"),
        ("ready=fd:3\n", Message("READY=1"), "p STARTING"),
        ("ready=log:up\n", Output("going up\n"), "p RUNNING"),
        ("ready=log:up\n", Output("not yet\n"), "p STARTING"),
    ];
    for (options, said, expected) in rows {
        let mut world = World::new(&format!("[program:p]\ncommand=p\n{options}"));
        let (id, now) = (world.id("p"), world.now);
        let pid = world.daemon.roster.process(id).and_then(|process| process.machine.pid()).unwrap();
        let host = &mut world.host;
        match &said {
            Nothing => {}
            Line => world.daemon.ready_line(id, now, host),
            Output(text) => world.daemon.look_for_text(id, Channel::Stdout, text.as_bytes(), now, host),
            Message(text) => world.daemon.notified(id, pid, text.as_bytes(), now, host),
            Other(text) => world.daemon.notified(id, Pid(pid.0 + 50), text.as_bytes(), now, host),
        }
        world.turn();
        assert_eq!(world.states(), expected, "{options} {said:?}");
    }
}

#[test]
fn who_is_silent_is_ended_and_begins_anew() {
    // How often it says that it lives; whether it is told to end within ten seconds.
    let rows = [(None, true), (Some(1), false), (Some(4), true)];
    for (every, expected) in rows {
        let mut world =
            World::new("[program:p]\ncommand=p\nstartsecs=0\nready=notify\nwatchdog_sec=2\nautorestart=true\n");
        let id = world.id("p");
        let pid = world.daemon.roster.process(id).and_then(|process| process.machine.pid()).unwrap();
        world.daemon.notified(id, pid, b"READY=1", world.now, &mut world.host);
        let mut told = String::new();
        for secs in 1..=10 {
            if every.is_some_and(|every| secs % every == 0) {
                world.daemon.notified(id, pid, b"WATCHDOG=1", world.now, &mut world.host);
            }
            world.pass(Duration::from_secs(1));
            told += &world.signals();
        }
        assert_eq!(told.contains("p ABRT"), expected, "every {every:?} seconds: {told}");
    }
}

#[test]
fn one_that_uses_too_much_twice_is_cured_as_was_said() {
    const MB: u64 = 1024 * 1024;
    let rows = [
        ("", 9 * MB, "", "p RUNNING"),
        ("", 11 * MB, "p TERM", "p RUNNING"),
        ("memory_limit_action=stop\n", 11 * MB, "p TERM", "p STOPPED"),
        ("memory_limit_action=none\n", 11 * MB, "", "p RUNNING"),
    ];
    for (options, used, signals, states) in rows {
        let text = "[program:p]\ncommand=p\nstartsecs=0\nmemory_limit=10MB\nmemory_limit_interval=5\n";
        let mut world = World::new(&format!("{text}{options}"));
        world.host.memory = used;
        world.pass(Duration::from_secs(5));
        assert_eq!(world.signals(), "", "{options} {used}: one reading may be a peak");
        world.pass(Duration::from_secs(5));
        // It is well again once it begins anew.
        world.host.memory = 0;
        assert_eq!(world.signals(), signals, "{options} {used}");
        world.pass(Duration::from_secs(2));
        assert_eq!(world.states(), states, "{options} {used}");
    }
}

#[test]
fn so_many_bad_answers_make_it_unhealthy() {
    // The answers from the first on; whether it is healthy after them, and what it was sent.
    let rows: &[(&str, &[bool], bool, &str)] = &[
        ("", &[true], true, ""),
        ("", &[true, false, false], true, ""),
        ("", &[true, false, false, false], false, "p TERM"),
        ("", &[true, false, true, false, false], true, ""),
        ("liveness_check_failure_threshold=1\n", &[true, false], false, "p TERM"),
        ("liveness_check_failure_threshold=1\nliveness_check_failure_action=none\n", &[true, false, true], true, ""),
    ];
    for (options, answers, is_healthy, signals) in rows {
        let text = "[program:p]\ncommand=p\nstartsecs=0\nautorestart=false\nliveness_check_script=tcp://127.0.0.1:1\n\
            liveness_check_initial_delay=1\nliveness_check_period=1\n";
        let mut world = World::new(&format!("{text}{options}"));
        let bad = || Err("no answer".to_string());
        world.host.answers = answers.iter().rev().map(|good| if *good { Ok(()) } else { bad() }).collect();
        let id = world.id("p");
        for _ in 0..2 * answers.len() + 2 {
            if !world.host.answers.is_empty() {
                world.pass(Duration::from_secs(1));
            }
        }
        assert!(world.host.answers.is_empty(), "{options} {answers:?}: it is asked once a second");
        assert_eq!(world.daemon.is_healthy(id), *is_healthy, "{options} {answers:?}");
        assert_eq!(world.signals(), *signals, "{options} {answers:?}");
    }
}
