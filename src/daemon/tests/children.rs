//! What becomes of a process when its child is made, cannot be made, or ends.

use std::time::Duration;

use crate::daemon::host::SpawnError;
use crate::daemon::testing::World;
use crate::exit::ExitStatus::{self, Code};

#[test]
fn what_follows_an_exit() {
    let killed = ExitStatus::Signal { number: libc::SIGKILL, core: false };
    let rows = [
        ("", Code(0), "p EXITED", 0),
        ("", Code(1), "p RUNNING", 1),
        ("", killed, "p RUNNING", 1),
        ("exitcodes=1,3\n", Code(3), "p EXITED", 0),
        ("exitcodes=1,3\n", Code(0), "p RUNNING", 1),
        ("autorestart=true\n", Code(0), "p RUNNING", 1),
        ("autorestart=false\n", Code(1), "p EXITED", 0),
        ("autorestart=false\n", killed, "p EXITED", 0),
    ];
    for (options, status, states, children) in rows {
        let mut world = World::new(&format!("[program:p]\ncommand=p\nstartsecs=0\n{options}"));
        assert_eq!(world.states(), "p RUNNING", "{options}");
        world.exit("p", status);
        assert_eq!((world.states().as_str(), world.host.children.len()), (states, children), "{options}{status:?}");
        // The logs of a run go with it.
        assert_eq!(world.host.open_logs, 2 * children, "{options}{status:?}");
    }
}

#[test]
fn an_exit_before_its_time_is_a_failed_start() {
    let rows = [
        // Options, the status, and the states after each second.
        ("startsecs=2\nstartretries=1\n", Code(0), ["p BACKOFF", "p STARTING", "p STARTING"]),
        ("startsecs=2\nstartretries=0\n", Code(0), ["p FATAL", "p FATAL", "p FATAL"]),
    ];
    for (options, status, expected) in rows {
        let mut world = World::new(&format!("[program:p]\ncommand=p\n{options}"));
        assert_eq!(world.states(), "p STARTING", "{options}");
        world.exit("p", status);
        let mut states = vec![world.states()];
        for _ in 0..2 {
            world.pass(Duration::from_millis(1001));
            states.push(world.states());
        }
        assert_eq!(states, expected, "{options}");
    }
}

#[test]
fn what_cannot_be_made_leaves_nothing_behind() {
    let rows = [
        (SpawnError::Fork(libc::EAGAIN), "command=p\n", "p BACKOFF"),
        (SpawnError::Fork(libc::EAGAIN), "command=p\nstartretries=0\n", "p FATAL"),
        (SpawnError::Pipe(libc::EMFILE), "command=p\n", "p BACKOFF"),
    ];
    for (refusal, options, expected) in rows {
        let mut world = World::new(&format!("[program:p]\nautostart=false\nstartsecs=0\n{options}"));
        let what = format!("{refusal:?} {options}");
        world.host.refusals.push(refusal);
        let id = world.id("p");
        world.daemon.start_process(id, world.now, &mut world.host);
        world.pass(Duration::from_millis(1));
        assert_eq!((world.states().as_str(), world.host.open_logs), (expected, 0), "{what}");
        assert!(world.daemon.roster.process(id).is_some_and(|process| process.machine.pid().is_none()), "{what}");
    }
    // What is not found opens no log at all.
    let mut world = World::new("[program:p]\ncommand=/nowhere/p\nstartretries=0\n");
    world.pass(Duration::from_millis(1));
    assert_eq!((world.states().as_str(), world.host.open_logs, world.host.auto_logs), ("p FATAL", 0, 2));
}

#[test]
fn a_signal_goes_to_who_has_a_child() {
    let mut world = World::new("[program:a]\ncommand=a\nstartsecs=0\n[program:b]\ncommand=b\nautostart=false\n");
    let rows = [("a", Ok(()), "a HUP"), ("b", Err("attempted to send b sig SIGHUP but it wasn't running"), "")];
    for (name, expected, signals) in rows {
        let id = world.id(name);
        let sent = world.daemon.signal_process(id, libc::SIGHUP, world.now, &mut world.host);
        assert_eq!(sent, expected.map_err(str::to_string), "{name}");
        assert_eq!(world.signals(), signals, "{name}");
    }
}
