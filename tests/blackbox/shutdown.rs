//! The end: signals, the order of groups, what remains.

use nix::sys::signal::Signal;

use crate::daemon::{Daemon, is_original, wait_for};

#[test]
fn groups_stop_one_after_another_the_highest_priority_first() {
    let program =
        |name: &str, priority: u32| format!("[program:{name}]\ncommand=sleep 1000\nstartsecs=0\npriority={priority}\n");
    let mut daemon = Daemon::start(&[program("b", 2), program("c", 3), program("a", 1)].concat());
    for name in ["a", "b", "c"] {
        daemon.wait_state(name, "RUNNING");
    }
    let spawned: Vec<String> = daemon.log_lines("spawned: ").iter().map(|l| l[..12].to_string()).collect();
    assert_eq!(spawned, ["spawned: 'a'", "spawned: 'b'", "spawned: 'c'"]);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    assert_eq!(daemon.log_lines("indicating exit request"), ["received SIGTERM indicating exit request"]);
    let stopped = daemon.log_lines("stopped: ");
    let expected = ["c", "b", "a"].map(|name| format!("stopped: {name} (terminated by SIGTERM)"));
    assert_eq!(stopped, expected);
}

#[test]
fn nothing_remains_after_a_shutdown() {
    let mut daemon =
        Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=0\nnumprocs=5\nprocess_name=%(process_num)d\n");
    daemon.wait_state("a:4", "RUNNING");
    assert_eq!(daemon.folder.read("supervisord.pid"), format!("{}\n", daemon.pid()));
    // A program that has just been started has no environment to be read yet.
    wait_for("all six processes", || (daemon.folder.processes().len() == 6).then_some(()));
    daemon.must("supervisor.shutdown", &[]);
    assert_eq!(daemon.wait_end(), 0);
    assert_eq!(daemon.folder.processes(), []);
    assert_eq!(daemon.folder.names("s"), ["supervisord.conf", "supervisord.log"], "no pidfile, no socket");
}

#[test]
fn a_restart_reads_the_file_again_and_keeps_the_process() {
    let daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_state("a", "RUNNING");
    let pid = daemon.pid();
    daemon.folder.configure("[program:b]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.signal(Signal::SIGHUP);
    wait_for("the new program", || daemon.call("supervisor.getProcessInfo", &["b".into()]).ok());
    daemon.wait_state("b", "RUNNING");
    assert_eq!(daemon.pid(), pid);
    assert_eq!(daemon.call("supervisor.getProcessInfo", &["a".into()]), Err((10, "BAD_NAME: a".into())));
    assert_eq!(daemon.log_lines("restart request"), ["received SIGHUP indicating restart request"]);
    wait_for("the daemon and b to be all", || (daemon.folder.processes().len() == 2).then_some(()));
}

/// K-1: the budget for stopping is over all groups and hooks.
#[test]
fn a_hook_that_hangs_does_not_outlast_the_budget_of_a_shutdown() {
    if is_original() {
        return; // It knows neither.
    }
    let mut daemon = Daemon::start(
        "[supervisord]\nshutdown_timeout=1\nexit_code_from=job:job\n\
         [program:job]\ncommand=/bin/sh -c 'exit 7'\nstartsecs=0\nautorestart=false\n\
         [program:a]\ncommand=/bin/cat\npost_stop_hook=/bin/sleep 3600\n",
    );
    daemon.wait_state("job", "EXITED");
    daemon.wait_state("a", "RUNNING");
    daemon.signal(Signal::SIGTERM);
    // Otherwise the hook's own time of 30 seconds would have to pass, which is more than is waited for here.
    assert_eq!(daemon.wait_end(), 7);
}
