//! supervisord-dependent-startup's own example in its three ways (O-1): its listener, ours of the same name, and the daemon
//! by itself.

use std::process::Command;

use crate::daemon::{Daemon, is_original, wait_for};

/// The listener that is one of our own programs.
const BUILT_IN: &str = concat!(env!("CARGO_BIN_EXE_supervisord"), " supervisord-dependent-startup");

/// The programs of its example, with a ping that needs no network, but ends when there is a file for it, and a sleep that is
/// RUNNING sooner.
fn programs() -> String {
    let waits = "while ! test -e $DIR/go.%(program_name)s; do sleep 0.02; done";
    let ping = |name: &str, more: &str| program(name, &format!("command=sh -c '{waits}'\nstartsecs=0\n{more}"));
    let after = |what: &str| format!("dependent_startup_wait_for={what}\n");
    let sleep = "command=/bin/sleep 15\nautorestart=true\nstartsecs=1\n";
    [
        ping("ping", ""),
        ping("ping2", &after("sleep:running")),
        ping("ping3", &after("ping2:exited")),
        program("sleep", &[sleep, &after("ping:exited")].concat()),
    ]
    .concat()
}

/// What they all have, and more.
fn program(name: &str, more: &str) -> String {
    format!("[program:{name}]\nredirect_stderr=true\nautostart=false\ndependent_startup=true\n{more}")
}

/// Its listener's section, with this command.
fn listener(command: &str) -> String {
    format!(
        "[eventlistener:dependentstartup]\ncommand={command} -c $DIR/supervisord.conf\nevents=PROCESS_STATE\nautostart=true\n\
         stderr_logfile=$DIR/%(program_name)s-err.log\nautorestart=unexpected\nstartretries=0\nexitcodes=0,3\n"
    )
}

fn comes_up_in_order(config: &str) -> Daemon {
    let daemon = Daemon::start(config);
    for name in ["ping", "ping2", "ping3"] {
        // One that ends before the listener has heard of its start is started again by it.
        if config.contains("[eventlistener:") {
            let heard = format!("Service {name} went from STARTING to RUNNING");
            daemon.wait_file("dependentstartup-err.log", &heard);
        }
        daemon.folder.write(&format!("go.{name}"), "");
    }
    // It ends with the last one of the chain.
    wait_for("the last of the chain", || (!daemon.log_lines("exited: ping3").is_empty()).then_some(()));
    let log = daemon.log();
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text}: {log}"));
    let order = [
        "spawned: 'ping'",
        "exited: ping ",
        "spawned: 'sleep'",
        "success: sleep ",
        "spawned: 'ping2'",
        "exited: ping2 ",
        "spawned: 'ping3'",
    ];
    assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{log}");
    for name in ["ping", "ping2", "ping3"] {
        assert_eq!(daemon.log_lines(&format!("spawned: '{name}'")).len(), 1, "{log}");
    }
    daemon
}

/// A listener ends when all are up.
fn ends_well(daemon: &Daemon) {
    daemon.wait_state("dependentstartup", "EXITED");
    let line = "exited: dependentstartup (exit status 0; expected)";
    assert_eq!(
        daemon.log_lines("exited: dependentstartup"),
        [line],
        "{}",
        daemon.folder.read("dependentstartup-err.log")
    );
}

/// The applet. Stheno alone: the original has no such program.
#[test]
fn the_listener_that_is_built_in() {
    if is_original() {
        return;
    }
    let daemon = comes_up_in_order(&[listener(BUILT_IN), programs()].concat());
    ends_well(&daemon);
    let said = daemon.folder.read("dependentstartup-err.log");
    assert!(
        said.contains(" - supervisord_dependent_startup - [INFO   ] Starting service: ping (State: STOPPED)\n"),
        "{said}"
    );
}

#[test]
fn the_daemon_by_itself() {
    if !is_original() {
        comes_up_in_order(&["[supervisord]\ndependent_startup=true\n", &programs()].concat());
    }
}

/// The listener itself, under either daemon.
#[test]
fn the_listener_of_that_name() {
    let root = env!("CARGO_MANIFEST_DIR");
    let pythons = [format!("{root}/run/venv/bin/python3"), "python3".to_string()];
    let knows = |python: &&String| {
        let tried = Command::new(python).args(["-c", "import supervisord_dependent_startup, supervisor"]).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let Some(python) = pythons.iter().find(knows) else {
        eprintln!("SKIPPED: needs supervisord-dependent-startup for Python");
        return;
    };
    // Where it was looked for; the daemon itself has an environment of its own.
    let path = std::env::var("PYTHONPATH").unwrap_or_default();
    let listener = listener(&format!("{python} -m supervisord_dependent_startup"));
    let daemon = comes_up_in_order(&format!("{listener}environment=PYTHONPATH=\"{path}\"\n{}", programs()));
    ends_well(&daemon);
}

/// What cannot be ends it with the status of an error, and says why.
#[test]
fn a_circle_ends_the_listener() {
    if is_original() {
        return;
    }
    let circle =
        "[program:a]\ncommand=sleep 1000\nautostart=false\ndependent_startup=true\ndependent_startup_wait_for=a\n";
    let daemon =
        Daemon::start(&[&listener(BUILT_IN).replace("startretries=0", "startretries=0\nstartsecs=0"), circle].concat());
    daemon.wait_state("dependentstartup", "EXITED");
    let said = daemon.folder.read("dependentstartup-err.log");
    assert!(said.contains("dependent_startup_wait_for goes in a circle: a -> a"), "{said}");
    assert_eq!(daemon.log_lines("exited: dependentstartup"), ["exited: dependentstartup (exit status 3; expected)"]);
}
