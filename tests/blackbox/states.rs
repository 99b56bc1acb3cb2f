//! Starting, stopping, failing, coming back.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stheno::wire::value::Value;

use crate::daemon::{Daemon, is_original, wait_for};

/// Stays up until it is told to stop.
const SLEEPER: &str = "command=sleep 1000\nstartsecs=0\n";

#[test]
fn a_program_starts_and_stops_when_told() {
    let daemon = Daemon::start(&format!("[program:a]\n{SLEEPER}autostart=false\n"));
    assert_eq!(daemon.state("a"), "STOPPED");
    assert_eq!(daemon.must("supervisor.startProcess", &["a".into()]), Value::Bool(true));
    assert_eq!(daemon.state("a"), "RUNNING");
    let pid = daemon.pid_of("a");
    assert!(kill(Pid::from_raw(pid), None).is_ok(), "{pid} lives");
    let again = daemon.call("supervisor.startProcess", &["a".into()]);
    assert_eq!(again, Err((60, "ALREADY_STARTED: a".into())));

    assert_eq!(daemon.must("supervisor.stopProcess", &["a".into()]), Value::Bool(true));
    assert_eq!((daemon.state("a").as_str(), daemon.pid_of("a")), ("STOPPED", 0));
    assert!(kill(Pid::from_raw(pid), None).is_err(), "{pid} is gone");
    assert_eq!(daemon.call("supervisor.stopProcess", &["a".into()]), Err((70, "NOT_RUNNING: a".into())));
}

#[test]
fn a_running_program_that_dies_comes_back() {
    let daemon = Daemon::start(&format!("[program:a]\n{SLEEPER}"));
    daemon.wait_state("a", "RUNNING");
    let first = daemon.pid_of("a");
    kill(Pid::from_raw(first), Signal::SIGKILL).expect("the child is there");
    let second = wait_for("another process", || Some(daemon.pid_of("a")).filter(|pid| *pid != first && *pid != 0));
    daemon.wait_state("a", "RUNNING");
    assert_eq!(daemon.pid_of("a"), second, "it comes back once");
    assert_eq!(daemon.log_lines("exited: a"), ["exited: a (terminated by SIGKILL; not expected)"]);
}

#[test]
fn a_program_that_fails_to_start_is_given_up() {
    let daemon = Daemon::start("[program:a]\ncommand=sh -c 'exit 3'\nstartsecs=1000\nstartretries=1\n");
    daemon.wait_state("a", "FATAL");
    assert_eq!(daemon.log_lines("spawned: ").len(), 2, "one start and one more");
    assert_eq!(daemon.log_lines("gave up"), ["gave up: a entered FATAL state, too many start retries too quickly"]);
    let spawnerr = daemon.info("a", "spawnerr");
    assert_eq!(spawnerr.as_str(), Some("Exited too quickly (process log may have details)"));
}

#[test]
fn a_command_that_cannot_run_says_why() {
    let rows: &[(&str, &str)] = &[
        ("/nowhere/x", "can't find command '/nowhere/x'"),
        ("nosuchword", "can't find command 'nosuchword'"),
        ("/", "command at '/' is a directory"),
        ("/dev/null", "command at '/dev/null' is not executable"),
    ];
    let programs = rows.iter().enumerate();
    let config: String = programs.map(|(n, (c, _))| format!("[program:p{n}]\ncommand={c}\nstartretries=0\n")).collect();
    let daemon = Daemon::start(&config);
    for (n, (command, why)) in rows.iter().enumerate() {
        daemon.wait_state(&format!("p{n}"), "FATAL");
        assert_eq!(daemon.info(&format!("p{n}"), "spawnerr").as_str(), Some(*why), "{command}");
    }
}

#[test]
fn an_exit_counts_as_expected_or_not() {
    let daemon = Daemon::start(
        "[program:fine]\ncommand=sh -c 'exit 7'\nexitcodes=0,7\nstartsecs=0\n\
         [program:bad]\ncommand=sh -c 'exit 8'\nautorestart=false\nstartsecs=0\n",
    );
    for (name, message, status) in
        [("fine", "exited: fine (exit status 7; expected)", 7), ("bad", "exited: bad (exit status 8; not expected)", 8)]
    {
        daemon.wait_state(name, "EXITED");
        assert_eq!(daemon.info(name, "exitstatus"), Value::Int(status), "{name}");
        assert_eq!(daemon.log_lines(&format!("exited: {name}")), [message]);
    }
    assert_eq!(daemon.info("bad", "spawnerr").as_str(), Some("Bad exit code 8"));
}

#[test]
fn a_program_that_ignores_its_stop_signal_is_killed() {
    let daemon = Daemon::start(
        "[program:a]\ncommand=sh -c 'trap \"\" TERM; echo deaf; while :; do sleep 1000; done'\n\
         startsecs=0\nstopwaitsecs=1\nkillasgroup=true\nstdout_logfile=$DIR/a.log\n",
    );
    daemon.wait_file("a.log", "deaf");
    let pid = daemon.pid_of("a");
    daemon.must("supervisor.stopProcess", &["a".into()]);
    assert_eq!(daemon.state("a"), "STOPPED");
    assert_eq!(daemon.log_lines("killing"), [format!("killing 'a' ({pid}) with SIGKILL")]);
    assert_eq!(daemon.log_lines("stopped: a"), ["stopped: a (terminated by SIGKILL)"]);
}

#[test]
fn a_group_is_stopped_with_all_that_its_processes_started() {
    let daemon = Daemon::start(
        "[program:a]\ncommand=sh -c 'sleep 1000 & echo child $!; wait'\n\
         startsecs=0\nstopasgroup=true\nstdout_logfile=$DIR/a.log\n",
    );
    let log = daemon.wait_file("a.log", "child ");
    let grandchild = log.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a pid in the log");
    assert!(kill(Pid::from_raw(grandchild), None).is_ok(), "{grandchild} lives");
    daemon.must("supervisor.stopProcess", &["a".into()]);
    // It is an orphan now: whoever reaps it needs a moment.
    wait_for("the grandchild to end", || {
        let status = std::fs::read_to_string(format!("/proc/{grandchild}/status")).unwrap_or_default();
        (status.is_empty() || status.contains("State:\tZ")).then_some(())
    });
}

#[test]
fn numprocs_makes_a_group_that_answers_as_one() {
    let daemon = Daemon::start(&format!(
        "[program:w]\n{SLEEPER}numprocs=3\nprocess_name=%(program_name)s_%(process_num)02d\nautostart=false\n"
    ));
    let results = |method: &str| match daemon.must(method, &["w".into()]) {
        Value::Array(results) => {
            let mut names: Vec<_> = results.iter().map(|r| r.member("name").unwrap().clone()).collect();
            names.sort_by_key(|name| name.as_str().map(str::to_string));
            assert!(results.iter().all(|r| r.member("status") == Some(&Value::Int(80))), "{results:?}");
            names
        }
        other => panic!("{method} answers {other:?}"),
    };
    let all: [Value; 3] = ["w_00".into(), "w_01".into(), "w_02".into()];
    assert_eq!(results("supervisor.startProcessGroup"), all);
    assert_eq!(daemon.state("w:w_01"), "RUNNING");
    assert_eq!(results("supervisor.stopProcessGroup"), all);
    assert_eq!(daemon.call("supervisor.startProcess", &["w:w_09".into()]), Err((10, "BAD_NAME: w:w_09".into())));
}

#[test]
fn k_12_check_as_configured_knows_what_is_not_to_run() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:up]\ncommand=/bin/sleep 600\nstartsecs=0\n\
         [program:once]\ncommand=/bin/true\ntype=oneshot\n\
         [program:later]\ncommand=/bin/sleep 600\nautostart=false\n",
    );
    daemon.wait_state("up", "RUNNING");
    daemon.wait_state("once", "EXITED");
    let check = |words: &[&str]| {
        let ended = daemon.folder.ctl(&[&["check"], words].concat());
        (ended.stdout, ended.status)
    };
    assert_eq!(check(&[]), ("OK: 3 as configured\n".to_string(), 0));
    assert_eq!(check(&["--require", "running"]), ("FAILED: later STOPPED, once EXITED\n".to_string(), 1));
    // What is to run and was stopped is not as configured.
    daemon.must("supervisor.stopProcess", &["up".into()]);
    assert_eq!(check(&[]), ("FAILED: up STOPPED\n".to_string(), 1));
    assert_eq!(check(&["later", "once"]), ("OK: 2 as configured\n".to_string(), 0));
}
