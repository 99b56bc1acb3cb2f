//! What a program leaves behind when its main process has ended (K-4), and orphans (K-2).

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::{Daemon, is_original, wait_for};

/// Leaves sleepers behind in its group, their pids in a file, and says that it is there. `trap` is done before.
fn parent(count: usize, trap: &str) -> String {
    format!(
        "command=sh -c '{trap} for i in $(seq {count}); do sleep 1000 & echo $! >>$DIR/left.$$; done; \
         mv $DIR/left.$$ $DIR/left; {wait}'\nstartsecs=0\nkillasgroup=false\n",
        wait = "while :; do sleep 0.1; done"
    )
}

/// The pids of what is going to be left, once they are there; the file is taken away.
fn pids(daemon: &Daemon) -> Vec<Pid> {
    let text = daemon.wait_file("left", "\n");
    std::fs::remove_file(daemon.folder.path("left")).expect("the file was read");
    text.split_whitespace().map(|word| Pid::from_raw(word.parse().expect("a pid"))).collect()
}

fn lives(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z") && !rest.starts_with(" X"))
}

fn wait_gone(pids: &[Pid]) {
    wait_for("what was left to be gone", || pids.iter().all(|pid| !lives(*pid)).then_some(()));
}

fn crash(daemon: &Daemon) {
    kill(Pid::from_raw(daemon.pid_of("a")), Signal::SIGKILL).expect("the child is there");
}

#[test]
fn k_4_a_group_ends_with_its_leader_and_before_the_next_start() {
    if is_original() {
        return;
    }
    let program = parent(2, "");
    let daemon = Daemon::start(&format!("[program:a]\n{program}killmode=group\nautorestart=true\n"));
    let first = pids(&daemon);
    crash(&daemon);
    let second = pids(&daemon);
    assert!(first.iter().all(|pid| !lives(*pid)), "they are gone when the next run begins");
    let was = daemon.log_lines("were left");
    assert!(
        was.len() == 1 && was[0].starts_with("a: ") && was[0].ends_with(" processes were left, stopped"),
        "{was:?}"
    );
    daemon.must("supervisor.stopProcess", &["a".into()]);
    assert_eq!(daemon.state("a"), "STOPPED");
    wait_gone(&second);
}

#[test]
fn k_4_what_ignores_the_signal_is_killed_and_holds_up_only_the_next_start() {
    if is_original() {
        return;
    }
    // The sleeper inherits that TERM is ignored; its parent does not.
    let program = "command=sh -c 'trap \"\" TERM; sleep 1000 & echo $! >$DIR/left; trap - TERM; exec sleep 1001'\n\
                   startsecs=0\nkillmode=group\nautorestart=false\n";
    let daemon = Daemon::start(&format!("[program:a]\n{program}killwaitsecs=0.5\n"));
    let left = pids(&daemon);
    crash(&daemon);
    wait_gone(&left);
    // From here on they stay until the test ends them.
    let daemon = Daemon::start(&format!("[program:a]\n{program}killwaitsecs=1000\n"));
    let left = pids(&daemon);
    crash(&daemon);
    // K-0.7: how many there still are is among what only we tell.
    let leftovers = |daemon: &Daemon| {
        let info = daemon.must("stheno.getProcessInfo", &["a".into()]);
        info.member("leftovers").cloned()
    };
    wait_for("the leftover to be counted", || (leftovers(&daemon) == Some(1.into())).then_some(()));
    daemon.wait_state("a", "EXITED");
    assert!(lives(left[0]), "EXITED at once");
    assert_eq!(daemon.log_lines("left, stopped"), ["a: 1 process was left, stopped"]);
    // A start by command waits, and is to be seen.
    daemon.must("supervisor.startProcess", &["a".into(), false.into()]);
    assert!(lives(left[0]));
    assert_eq!((daemon.state("a").as_str(), daemon.pid_of("a")), ("STARTING", 0));
    kill(left[0], Signal::SIGKILL).expect("it is there");
    daemon.wait_state("a", "RUNNING");
    assert!(!lives(left[0]), "gone before the next start");
    assert_eq!(leftovers(&daemon), Some(0.into()));
    // While it waits it can be stopped.
    let again = pids(&daemon);
    daemon.must("supervisor.stopProcess", &["a".into()]);
    daemon.must("supervisor.startProcess", &["a".into(), false.into()]);
    daemon.must("supervisor.stopProcess", &["a".into()]);
    assert_eq!(daemon.state("a"), "STOPPED");
    kill(again[0], Signal::SIGKILL).expect("it is there");
    wait_gone(&again);
    wait_for("none to be counted", || (leftovers(&daemon) == Some(0.into())).then_some(()));
    assert_eq!(daemon.state("a"), "STOPPED");
    assert_eq!(daemon.log_lines("spawned: 'a'").len(), 2);
}

#[test]
fn k_4_a_replaced_program_and_the_end_of_the_daemon_wait_for_what_is_left() {
    if is_original() {
        return;
    }
    let program = |secs| {
        format!(
            "[program:a]\ncommand=sh -c 'trap \"\" TERM; sleep 1000 & echo $! >$DIR/new; mv $DIR/new $DIR/left; trap - TERM; exec sleep {secs}'\n\
             startsecs=0\nkillmode=group\nkillwaitsecs=0.7\n"
        )
    };
    let mut daemon = Daemon::start(&program(1001));
    let first = pids(&daemon);
    daemon.folder.configure(&program(1002));
    assert_eq!(daemon.folder.ctl(&["update"]).status, 0);
    let second = pids(&daemon);
    assert!(!lives(first[0]), "the new program waits for what the old one left");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    assert!(!lives(second[0]), "the daemon does not end before");
}

/// Makes a session of its own, which its group cannot hold.
const ESCAPER: &str = "command=sh -c 'setsid sh -c \"echo \\$\\$ >$DIR/new; mv $DIR/new $DIR/left; exec sleep 1000\" & \
                       while :; do sleep 0.1; done'\nstartsecs=0\nautorestart=false\n";

#[test]
fn k_4_a_tree_is_more_than_its_group() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&format!("[supervisord]\nsubreaper=true\n[program:a]\n{ESCAPER}killmode=tree\n"));
    let at_a_stop = pids(&daemon);
    daemon.must("supervisor.stopProcess", &["a".into()]);
    wait_gone(&at_a_stop);
    daemon.must("supervisor.startProcess", &["a".into()]);
    let at_a_crash = pids(&daemon);
    crash(&daemon);
    daemon.wait_state("a", "EXITED");
    wait_gone(&at_a_crash);
    assert!(!daemon.log_lines("left, stopped").is_empty());
}

#[test]
fn k_4_a_cgroup_holds_everything_or_is_a_tree() {
    if is_original() {
        return;
    }
    let program = format!("[program:a]\n{ESCAPER}killmode=cgroup\nkillwaitsecs=1\n");
    let daemon = Daemon::start(&format!("[supervisord]\nsubreaper=true\ncgroup_root=/nowhere/at/all\n{program}"));
    let left = pids(&daemon);
    assert_eq!(
        daemon.log_lines("cannot make a cgroup"),
        ["cannot make a cgroup for 'a', killmode=tree instead: /nowhere/at/all: ENOENT"]
    );
    crash(&daemon);
    wait_gone(&left);

    // Where this machine has cgroups that we may use.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounted = mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
    let Some(mounted) = mounted else { return };
    let root = format!("{mounted}/stheno-test-{}", std::process::id());
    if std::fs::create_dir(&root).is_err() {
        return;
    }
    let daemon = Daemon::start(&format!("[supervisord]\ncgroup_root={root}\n{program}"));
    let left = pids(&daemon);
    let its_own = format!("{root}/a:a");
    let procs = std::fs::read_to_string(format!("{its_own}/cgroup.procs")).expect("its cgroup");
    assert!(procs.lines().any(|line| line == left[0].to_string()), "{procs}");
    crash(&daemon);
    wait_gone(&left);
    wait_for("the cgroup to be removed", || (!Path::new(&its_own).exists()).then_some(()));
    assert!(daemon.log_lines("cannot make").is_empty());
    drop(daemon);
    std::fs::remove_dir(&root).expect("nothing is left in it");
}

#[test]
fn k_4_deathsig_tells_when_the_daemon_dies() {
    if is_original() {
        return;
    }
    let config = "[program:a]\ncommand=sh -c 'trap \"echo died >$DIR/died; exit\" USR1; echo up >$DIR/up; while :; do sleep 0.1; done'\n\
                  startsecs=0\ndeathsig=USR1\n";
    let daemon = Daemon::start(config);
    daemon.wait_file("up", "up\n");
    let group = daemon.pid_of("a");
    daemon.signal(Signal::SIGKILL);
    daemon.wait_file("died", "died\n");
    wait_gone(&[Pid::from_raw(group)]);
}

#[test]
fn k_4_policy_options_are_taken_over_in_place() {
    if is_original() {
        return;
    }
    let program = parent(1, "");
    let daemon = Daemon::start(&format!("[program:a]\n{program}autorestart=false\n"));
    let left = pids(&daemon);
    let pid = daemon.pid_of("a");
    daemon.folder.configure(&format!("[program:a]\n{program}autorestart=false\nkillmode=group\nkillwaitsecs=0.5\n"));
    assert_eq!(daemon.folder.ctl(&["update", "--minimal"]).status, 0);
    assert_eq!(daemon.pid_of("a"), pid, "it was not touched");
    crash(&daemon);
    wait_gone(&left);
}

#[test]
fn k_2_strangers_are_told_of_in_sum_or_not_at_all() {
    if is_original() {
        return;
    }
    for (log_reaped, expected) in [("summary", 1), ("none", 0), ("each", 3)] {
        let mut daemon = Daemon::start(&format!(
            "[supervisord]\nsubreaper=true\nlog_reaped={log_reaped}\n[program:a]\nstartsecs=0\nstdout_logfile=$DIR/a.log\n\
             command=sh -c 'for i in 1 2 3; do sh -c \"sleep 0.01 &\"; done; sleep 0.1; echo done; exec sleep 1000'\n"
        ));
        daemon.wait_file("a.log", "done");
        // Whoever is left by then is the daemon's child, until it is reaped.
        let children = format!("/proc/{0}/task/{0}/children", daemon.pid());
        wait_for("all to be reaped", || {
            let children = std::fs::read_to_string(&children).expect("the daemon lives");
            (children.split_whitespace().count() == 1).then_some(())
        });
        daemon.signal(Signal::SIGTERM);
        assert_eq!(daemon.wait_end(), 0);
        let lines = daemon.log_lines("reaped");
        assert_eq!(lines.len(), expected, "{log_reaped}: {lines:?}");
        assert!(log_reaped != "summary" || lines == ["reaped 3 processes that are not ours"], "{lines:?}");
    }
}
