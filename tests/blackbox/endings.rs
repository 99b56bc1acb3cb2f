//! What the end of a program means for the daemon and its exit status (K-1), where that is not the plain case.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stheno::wire::value::Value;

use crate::daemon::{Daemon, is_original, wait_for};

#[test]
fn k_1_the_named_process_may_be_removed_at_run_time() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[supervisord]\nexit_code_from=b\n[stheno]\nmutation=true\ndynamic_conf=$DIR/dynamic.conf\n\
         [group:g]\nprograms=a,b\n[program:a]\ncommand=sleep 1000\nstartsecs=0\n[program:b]\ncommand=sleep 1000\nstartsecs=0\n",
    );
    daemon.wait_state("g:b", "RUNNING");
    daemon.must("supervisor.stopProcess", &["g:b".into()]);
    daemon.must("stheno.removeProgram", &["g".into(), "b".into()]);
    daemon.must("supervisor.reloadConfig", &[]);
    let before = daemon.pid_of("g:a");
    daemon.signal(Signal::SIGHUP);
    wait_for("another run", || {
        let info = daemon.call("supervisor.getProcessInfo", &["g:a".into()]).ok()?;
        info.member("pid").filter(|pid| **pid != Value::Int(0) && **pid != Value::Int(before.into())).map(drop)
    });
    let lines = daemon.log_lines("exit_code_from");
    assert!(
        lines.iter().any(|line| line.starts_with("After the changes at run time exit_code_from names 'b'")),
        "{lines:?}"
    );
}

#[test]
fn k_1_essential_alone_is_taken_over_in_place() {
    if is_original() {
        return;
    }
    let program = "[program:a]\ncommand=sh -c 'while :; do sleep 0.1; done'\nstartsecs=0\n";
    let mut daemon = Daemon::start(program);
    let pid = daemon.child_of("a");
    daemon.folder.configure(&format!("{program}essential=true\n"));
    assert_eq!(daemon.folder.ctl(&["update", "--minimal"]).status, 0);
    assert_eq!(daemon.pid_of("a"), pid);
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
    assert_eq!(daemon.wait_end(), 137);
    assert_eq!(daemon.log_lines("essential: "), ["essential: a exited (status 137), shutting down"]);
}

#[test]
fn k_1_only_stop_signals_that_were_sent_are_our_own() {
    if is_original() {
        return;
    }
    // It dies of another step of its ladder than the one that it got.
    let program = |ladder: &str| {
        format!(
            "[supervisord]\nexit_code_from=a\n[program:a]\nstopsignal={ladder}\nstartsecs=0\nstdout_logfile=$DIR/a.log\n\
             command=sh -c 'trap \"trap - INT; kill -INT $$\" TERM; echo up; while :; do sleep 0.05; done'\n"
        )
    };
    for (ladder, status) in [("TERM INT:30", 130), ("INT TERM:30", 0)] {
        let mut daemon = Daemon::start(&program(ladder));
        daemon.wait_file("a.log", "up");
        daemon.wait_state("a", "RUNNING");
        daemon.signal(Signal::SIGTERM);
        assert_eq!(daemon.wait_end(), status, "{ladder}");
    }
}

#[test]
fn k_1_fatal_after_a_start_by_command_is_not_about_older_runs() {
    if is_original() {
        return;
    }
    let folder = crate::daemon::Folder::new();
    folder.write("variables", "A=1\n");
    let mut daemon = Daemon::start_in(
        folder,
        "[program:a]\ncommand=sh -c 'exit 7'\nstartsecs=0\nstartretries=0\nautorestart=false\non_fatal=shutdown\n\
         envfiles=$DIR/variables\n",
    );
    daemon.wait_state("a", "EXITED");
    std::fs::remove_file(daemon.folder.path("variables")).expect("it is there");
    let _ = daemon.call("supervisor.startProcess", &["a".into(), false.into()]);
    assert_eq!(daemon.wait_end(), 1);
}

#[test]
fn k_1_a_removal_may_leave_nothing_to_do_and_an_update_does_not() {
    if is_original() {
        return;
    }
    let job = "[program:job]\ncommand=sh -c 'exit 3'\nstartsecs=0\nautorestart=false\n";
    let stays = |secs| format!("[program:stays]\ncommand=sleep {secs}\nstartsecs=0\n");
    let mut daemon = Daemon::start(&format!("[supervisord]\nshutdown_when_idle=true\n{job}{}", stays(1000)));
    daemon.wait_state("job", "EXITED");
    let before = daemon.child_of("stays");
    // Stopped, removed and added again.
    daemon.folder.configure(&format!("[supervisord]\nshutdown_when_idle=true\n{job}{}", stays(1001)));
    assert_eq!(daemon.folder.ctl(&["update"]).status, 0);
    daemon.wait_state("stays", "RUNNING");
    assert_ne!(daemon.pid_of("stays"), before);
    // One that was stopped keeps it alive, and none is there any more once it is removed.
    daemon.must("supervisor.stopProcess", &["stays".into()]);
    daemon.must("supervisor.removeProcessGroup", &["stays".into()]);
    assert_eq!(daemon.wait_end(), 3, "as with first_failure");
    assert_eq!(daemon.log_lines("every program").len(), 1);
}

#[test]
fn k_1_the_policy_of_one_with_a_hook_after_its_end_waits_for_autorestart() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:a]\ncommand=sh -c 'while :; do sleep 0.1; done'\nstartsecs=0\nautorestart=true\non_exit=shutdown\npost_stop_hook=/bin/true\n",
    );
    let first = daemon.child_of("a");
    kill(Pid::from_raw(first), Signal::SIGKILL).expect("it runs");
    wait_for("another run", || Some(daemon.pid_of("a")).filter(|pid| *pid != 0 && *pid != first));
    assert!(daemon.log_lines("on_exit").is_empty());
}
