//! Starts and stops that meet what is pending already: a wait, a stop that is to be followed by a start, a change that goes on
//! (O-1, O-2, O-7).

use crate::daemon::{Daemon, is_original, wait_for};

/// A program that stays up.
fn program(name: &str, more: &str) -> String {
    format!("[program:{name}]\ncommand=sleep 1000\nstartsecs=0\n{more}\n")
}

fn description(daemon: &Daemon, name: &str) -> String {
    daemon.info(name, "description").as_str().unwrap_or_default().to_string()
}

fn wait_description(daemon: &Daemon, name: &str, expected: &str) {
    wait_for(&format!("{name}: {expected}"), || (description(daemon, name) == expected).then_some(()));
}

/// O-1: what was FATAL and is to be started again has not failed, whoever of them is looked at first.
#[test]
fn one_that_waits_again_has_not_failed() {
    if is_original() {
        return;
    }
    let script = "test -e ok || exit 1; exec sleep 1000";
    let z = format!("[program:z]\ncommand=sh -c '{script}'\nstartsecs=1\nstartretries=0\ndirectory=%(here)s\n");
    let fatal = "depends_on_failure=fatal";
    let config = [
        z,
        program("f1", &format!("depends_on=z\n{fatal}")),
        program("f2", &format!("depends_on=f1\npriority=1\n{fatal}")),
        program("f3", "depends_on=f2"),
    ];
    for command in [&["start", "all"][..], &["start", "--with-deps", "f3"]] {
        let daemon = Daemon::start(&config.concat());
        daemon.wait_state("f2", "FATAL");
        assert_eq!(daemon.info("f2", "spawnerr").as_str(), Some("Dependency f1 failed"));
        daemon.folder.write("ok", "");
        let started = daemon.folder.ctl(command);
        assert_eq!((started.status, started.stdout.lines().count()), (0, 4), "{}", started.stdout);
        let states = ["z", "f1", "f2", "f3"].map(|name| daemon.state(name));
        assert_eq!(states, ["RUNNING"; 4], "{command:?}");
    }
}

/// O-1: what is asked to run again has not completed, from the moment it is asked: while it waits, and while it has not had its
/// turn.
#[test]
fn one_that_is_to_run_again_has_not_completed() {
    if is_original() {
        return;
    }
    let migrate = |name: &str, more: &str| {
        let script = format!("echo run >> {name}.runs; while test ! -e go; do sleep 0.02; done");
        format!("[program:{name}]\ncommand=sh -c '{script}'\ntype=oneshot\ndirectory=%(here)s\n{more}\n")
    };
    let config = [
        "[program:db]\ncommand=sleep 1000\nstartsecs=1\n".to_string(),
        migrate("late", "depends_on=db"),
        program("after_late", "depends_on=db, late=completed"),
        migrate("soon", ""),
        program("after_soon", "depends_on=soon=completed\npriority=1"),
        program("ended_soon", "depends_on=soon=ended\npriority=1"),
    ];
    let daemon = Daemon::start(&config.concat());
    daemon.folder.write("go", "");
    let dependents = [("after_late", "late"), ("after_soon", "soon"), ("ended_soon", "soon")];
    dependents.iter().for_each(|(name, _)| daemon.wait_state(name, "RUNNING"));
    assert_eq!(daemon.folder.ctl(&["stop", "all"]).status, 0);
    std::fs::remove_file(daemon.folder.path("go")).unwrap();
    daemon.must("supervisor.startAllProcesses", &[false.into()]);
    daemon.wait_file("late.runs", "run\nrun\n");
    for (name, on) in dependents {
        wait_description(&daemon, name, &format!("Waiting for {on} (RUNNING)"));
        assert_eq!(daemon.log_lines(&format!("spawned: '{name}'")).len(), 1, "{name}");
    }
    daemon.folder.write("go", "");
    dependents.iter().for_each(|(name, _)| daemon.wait_state(name, "RUNNING"));
}
