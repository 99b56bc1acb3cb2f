//! One-shots, hooks, and the ladder of stop signals (O-5, O-6). What only this program has.

use stheno::wire::value::Value;

use crate::actor::act;
use crate::daemon::{Daemon, is_original, wait_for};

/// O-6: hooks run in their order, know the pid and how it ended, and write into the log of the program's stderr.
#[test]
fn hooks_around_a_run() {
    if is_original() {
        return;
    }
    let hook =
        |name: &str| format!("{name}_hook=sh -c 'echo {name} speaks >&2; echo {name} $SUPERVISOR_PID >> $DIR/order'\n");
    let daemon = Daemon::start(&format!(
        "[program:a]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\nstderr_logfile=$DIR/err.log\n{}{}{}\
         post_stop_hook=sh -c 'echo post_stop $SUPERVISOR_PID $SUPERVISOR_EXIT_SIGNAL $SUPERVISOR_EXIT_STATUS. >> $DIR/order'\n",
        hook("pre_start"),
        hook("post_start"),
        hook("pre_stop"),
    ));
    // What was before a run, the next one does not hear of.
    for _ in 0..2 {
        daemon.must("supervisor.startProcess", &["a".into()]);
        let pid = daemon.pid_of("a");
        daemon.wait_file("order", "post_start");
        daemon.must("supervisor.stopProcess", &["a".into()]);
        let order = daemon.wait_file("order", "post_stop");
        assert_eq!(order, format!("pre_start\npost_start {pid}\npre_stop {pid}\npost_stop {pid} 15 .\n"));
        let spoken = daemon.wait_file("err.log", "pre_stop speaks\n");
        assert_eq!(spoken, "pre_start speaks\npost_start speaks\npre_stop speaks\n");
        for name in ["order", "err.log"] {
            std::fs::OpenOptions::new().write(true).truncate(true).open(daemon.folder.path(name)).expect("a file");
        }
    }
}

/// O-6, section 11: what follows from hooks that fail or hang.
#[test]
fn hooks_that_fail_or_hang() {
    if is_original() {
        return;
    }
    let fail = "hook_failure=fail\nstartretries=0\nstartsecs=0\nautostart=true\n";
    let daemon = Daemon::start(&format!(
        "[program:before]\ncommand=touch $DIR/ran\npre_start_hook=false\n{fail}\
         [program:hangs]\ncommand=sleep 1000\npre_start_hook=sleep 1000\nhook_timeout=0.3\n{fail}\
         [program:missing]\ncommand=sleep 1000\npre_start_hook=/nowhere/x\n{fail}\
         [program:after]\ncommand=sleep 1000\npost_start_hook=sh -c 'exit 4'\n{fail}\
         [program:twice]\ncommand=sleep 1000\npost_start_hook=sh -c 'echo x >> $DIR/tries; exit 4'\n\
         hook_failure=fail\nstartretries=1\nstartsecs=0\n\
         [program:ignored]\ncommand=sleep 1000\npre_start_hook=false\npost_start_hook=/nowhere/x\nstartsecs=0\n\
         [program:stops]\ncommand=sleep 1000\npre_stop_hook=sleep 1000\nstop_command=sleep 1000\nhook_timeout=0.3\n\
         hook_failure=fail\nstartsecs=0\n\
         [program:refuses]\ncommand=sleep 1000\nstop_command=false\nstartsecs=0\n",
    ));
    let rows = [
        ("before", "pre_start_hook failed: exit status 1"),
        ("hangs", "pre_start_hook failed: not done within 0.3 seconds"),
        ("missing", "pre_start_hook failed: can't find command '/nowhere/x'"),
        ("after", "post_start_hook failed: exit status 4"),
        ("twice", "post_start_hook failed: exit status 4"),
    ];
    for (name, error) in rows {
        daemon.wait_state(name, "FATAL");
        assert_eq!(daemon.info(name, "spawnerr").as_str(), Some(error), "{name}");
    }
    assert!(!daemon.folder.path("ran").exists());
    assert_eq!(daemon.folder.read("tries"), "x\nx\n", "RUNNING before its hook has passed is no success");
    daemon.wait_state("ignored", "RUNNING");
    daemon.wait_state("stops", "RUNNING");
    // The hook is killed, and so is the command; the signal that it stands for is sent, as if it fails.
    assert_eq!(daemon.folder.ctl(&["stop", "stops"]).stdout, "stops: stopped\n");
    assert_eq!(daemon.log_lines("stopped: stops"), ["stopped: stops (terminated by SIGTERM)"]);
    let failed = daemon.log_lines("of stops failed");
    assert_eq!(
        failed,
        ["pre_stop_hook", "stop_command"].map(|what| format!("{what} of stops failed: not done within 0.3 seconds"))
    );
    daemon.wait_state("refuses", "RUNNING");
    assert_eq!(daemon.folder.ctl(&["stop", "refuses"]).stdout, "refuses: stopped\n");
    assert_eq!(daemon.log_lines("of refuses failed"), ["stop_command of refuses failed: exit status 1"]);
    assert_eq!(daemon.log_lines("stopped: refuses"), ["stopped: refuses (terminated by SIGTERM)"]);
}

/// O-6, O-2: a stop kills the hook that runs before the start, and the log says so.
#[test]
fn a_stop_ends_a_hook_before_the_start() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start("[program:slow]\ncommand=touch $DIR/ran\npre_start_hook=sleep 1000\nstartsecs=0\n");
    wait_for("the hook", || {
        (daemon.info("slow", "description").as_str() == Some("Running pre_start_hook")).then_some(())
    });
    assert_eq!(daemon.folder.ctl(&["stop", "slow"]).stdout, "slow: stopped\n");
    assert_eq!(daemon.state("slow"), "STOPPED");
    assert_eq!(daemon.log_lines("stopped: slow"), ["stopped: slow (before it was spawned)"]);
    assert!(!daemon.folder.path("ran").exists());
}

/// O-6: the ladder of signals, and that a second stop does not begin it anew.
#[test]
fn signals_one_after_the_other() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[program:a]\n{}stopsignal=TERM:1 INT:1, QUIT\n",
        act("ignore:TERM ignore:INT touch:$DIR/up forever")
    ));
    wait_for("it to be deaf", || daemon.folder.path("up").exists().then_some(()));
    daemon.wait_state("a", "RUNNING");
    daemon.must("supervisor.stopProcess", &["a".into(), Value::Bool(false)]);
    assert_eq!(daemon.call("supervisor.stopProcess", &["a".into()]), Err((70, "NOT_RUNNING: a".into())));
    daemon.wait_state("a", "STOPPED");
    assert_eq!(
        daemon.log_lines("stopped: a"),
        ["stopped: a (terminated by SIGQUIT (core dumped))"].map(|line| {
            // Whether there is a core is the system's business.
            let found = daemon.log_lines("stopped: a").remove(0);
            if found.contains("core") { line.to_string() } else { "stopped: a (terminated by SIGQUIT)".to_string() }
        })
    );
    assert_eq!(daemon.log_lines("SIGKILL"), [] as [&str; 0]);
}

/// O-5: one-shots by hand, those that fail, and those that take too long; the success of an essential one ends nothing.
#[test]
fn one_shots() {
    if is_original() {
        return;
    }
    let once = "type=oneshot\nautostart=false\n";
    let mut daemon = Daemon::start(&format!(
        "[program:good]\ncommand=touch $DIR/done\n{once}[program:bad]\ncommand=sh -c 'echo run >> $DIR/n; exit 3'\n{once}\
         startretries=1\n[program:slow]\ncommand=sleep 1000\n{once}startretries=0\nrun_timeout=0.3\n\
         [program:vital]\ncommand=true\n{once}essential=true\n[program:end]\ncommand=sh -c 'exit 6'\n{once}essential=true\n\
         startretries=0\n",
    ));
    assert_eq!(daemon.folder.ctl(&["start", "good"]).stdout, "good: started\n");
    assert!(daemon.folder.path("done").exists());
    assert_eq!(daemon.state("good"), "EXITED");
    assert_eq!(daemon.folder.ctl(&["start", "bad"]).stdout, "bad: ERROR (abnormal termination)\n");
    assert_eq!((daemon.state("bad").as_str(), daemon.folder.read("n").as_str()), ("FATAL", "run\nrun\n"));
    assert_eq!(daemon.folder.ctl(&["start", "slow"]).stdout, "slow: ERROR (abnormal termination)\n");
    assert_eq!(daemon.info("slow", "spawnerr").as_str(), Some("Not done within 0.3 seconds"));
    assert_eq!(daemon.folder.ctl(&["start", "vital"]).stdout, "vital: started\n");
    assert_eq!(daemon.state("vital"), "EXITED", "and the daemon answers");
    daemon.must("supervisor.startProcess", &["end".into(), Value::Bool(false)]);
    assert_eq!(daemon.wait_end(), 6);
}

/// K-1: the time for stopping is that of hooks as well, also of those that outlive their program.
#[test]
fn no_hook_outlives_the_time_for_stopping() {
    if is_original() {
        return;
    }
    let mut daemon = Daemon::start(
        "[supervisord]\nshutdown_timeout=0.5\n[program:x]\ncommand=sleep 1000\nstartsecs=0\n\
         post_stop_hook=sh -c 'echo $$ >$DIR/hook; exec sleep 1000'\n",
    );
    daemon.wait_state("x", "RUNNING");
    // It is there before the time begins.
    daemon.must("supervisor.stopProcess", &["x".into(), Value::Bool(false)]);
    let hook = daemon.wait_file("hook", "\n");
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    daemon.wait_end();
    assert_eq!(daemon.log_lines("the time for stopping is over, killing x").len(), 1, "{}", daemon.log());
    wait_for("the end of the hook", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", hook.trim())).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z")).then_some(())
    });
}
