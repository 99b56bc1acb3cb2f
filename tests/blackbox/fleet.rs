//! Sequences and policies over applications, by plain options and as Supvisors has them. Supervisor knows nothing of it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stheno::wire::value::Value;

use crate::daemon::{Daemon, is_original, wait_for};

/// A program that notes when it starts and when it is told to stop.
fn noting(name: &str, more: &str) -> String {
    let script =
        format!("trap 'echo -{name} >> order; exit 0' TERM; echo +{name} >> order; while :; do sleep 0.02; done");
    format!("[program:{name}]\ncommand=sh -c \"{script}\"\ndirectory=%(here)s\nstartsecs=0\n{more}\n")
}

fn order(daemon: &Daemon) -> String {
    let text = std::fs::read_to_string(daemon.folder.path("order")).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn wait_order(daemon: &Daemon, expected: &str) {
    wait_for(expected, || (order(daemon) == expected).then_some(()));
}

/// V-380, V-400: ranks by plain options, up at the start and down at the end, whatever the order in the file.
#[test]
fn plain_options_are_a_sequence() {
    if is_original() {
        return;
    }
    let config = [
        noting("c", "start_sequence=3"),
        noting("a", "start_sequence=1"),
        noting("b", "start_sequence=2\nstop_sequence=7"),
        noting("own", "autostart=false"),
        "[group:g]\nprograms=c,a,b,own\n".to_string(),
    ];
    let mut daemon = Daemon::start(&config.concat());
    wait_order(&daemon, "+a +b +c");
    assert_eq!(daemon.state("g:own"), "STOPPED");
    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    assert_eq!(order(&daemon), "+a +b +c -b -c -a");
}

/// V-385, V-395: the next rank waits for an exit, and is not started when a required program fails.
#[test]
fn a_rank_waits_for_an_exit_and_a_failure_ends_the_sequence() {
    if is_original() {
        return;
    }
    for (exit, expected) in [(0, "+job +late"), (3, "+job")] {
        let job = format!(
            "[program:job]\ncommand=sh -c \"echo +job >> order; sleep 0.2; exit {exit}\"\ndirectory=%(here)s\nstartsecs=0\n\
             autorestart=false\nstart_sequence=1\nwait_exit=true\nrequired=true\n"
        );
        let group = "[group:g]\nprograms=job,late\n";
        let daemon = Daemon::start(&[&job, &noting("late", "start_sequence=2"), group].concat());
        daemon.wait_state("g:job", "EXITED");
        wait_order(&daemon, expected);
        assert_eq!(daemon.state("g:late"), if exit == 0 { "RUNNING" } else { "STOPPED" });
    }
}

/// V-420: one that fails takes its application with it, and one that is to be restarted brings it back.
#[test]
fn an_application_falls_or_is_restarted_with_one_of_its_programs() {
    if is_original() {
        return;
    }
    for (strategy, expected) in [("STOP_APPLICATION", "+a +b -b"), ("RESTART_APPLICATION", "+a +b -b +a +b")] {
        let config = [
            noting("a", &format!("start_sequence=1\nrunning_failure_strategy={strategy}")),
            noting("b", "start_sequence=2"),
            "[group:g]\nprograms=a,b\n".to_string(),
        ];
        let daemon = Daemon::start(&config.concat());
        wait_order(&daemon, "+a +b");
        let pid = daemon.info("g:a", "pid");
        let Value::Int(pid) = pid else { panic!("{pid:?}") };
        kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
        wait_order(&daemon, expected);
        daemon.wait_state("g:b", if strategy == "STOP_APPLICATION" { "STOPPED" } else { "RUNNING" });
    }
}
