//! What a child finds: descriptors, signals, environment, standard input.

use std::fs;

use crate::daemon::{Daemon, wait_for};

#[test]
fn a_child_inherits_nothing_but_its_three_descriptors() {
    let daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=0\n[program:b]\ncommand=sleep 1000\n");
    daemon.wait_state("a", "RUNNING");
    // Started while connections and the pipes of others were open, which must not leak.
    daemon.must("supervisor.stopProcess", &["a".into()]);
    daemon.must("supervisor.startProcess", &["a".into()]);
    for name in ["a", "b"] {
        let pid = wait_for("a child", || Some(daemon.pid_of(name)).filter(|pid| *pid != 0));
        // Until exec, descriptors that close on it are still there.
        wait_for("exec", || fs::read_to_string(format!("/proc/{pid}/comm")).ok().filter(|comm| comm == "sleep\n"));
        // The loader of libraries has one more for a moment.
        wait_for(&format!("{name} to have three"), || {
            let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
            let mut fds: Vec<_> = entries.map(|entry| entry.file_name()).collect();
            fds.sort();
            (fds == ["0", "1", "2"]).then_some(())
        });
    }
}

#[test]
fn a_child_leads_a_process_group_and_ignores_only_what_it_always_did() {
    let daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_state("a", "RUNNING");
    let pid = daemon.pid_of("a");
    wait_for("exec", || fs::read_to_string(format!("/proc/{pid}/comm")).ok().filter(|comm| comm == "sleep\n"));
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name in parentheses: state, parent, process group.
    let group = stat.rsplit(')').next().unwrap().split_whitespace().nth(2).unwrap().to_string();
    assert_eq!(group, pid.to_string());
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        // Up to 31; 32 and 33 belong to the C library, whose mood is inherited.
        u64::from_str_radix(line.trim(), 16).unwrap() & 0x7fff_ffff
    };
    // SIGPIPE is 13, SIGXFSZ 25: bit 12 and bit 24.
    assert_eq!(mask("SigIgn:"), 1 << 12 | 1 << 24);
    assert_eq!((mask("SigBlk:"), mask("SigCgt:")), (0, 0));
}

#[test]
fn a_child_finds_its_environment_directory_and_umask() {
    let daemon = Daemon::start(
        "[supervisord]\nenvironment=SHARED=\"1\",BOTH=\"daemon\"\n\
         [program:a]\ncommand=sh -c 'pwd; umask; env; echo end'\nstartsecs=0\nautorestart=false\n\
         directory=/tmp\numask=027\nenvironment=BOTH=\"program\",SUPERVISOR_GROUP_NAME=\"mine\"\n\
         stdout_logfile=$DIR/a.log\n",
    );
    let log = daemon.wait_file("a.log", "\nend\n");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!((lines[0], lines[1].trim_start_matches('0')), ("/tmp", "27"));
    let url = daemon.folder.fill("SUPERVISOR_SERVER_URL=unix://$DIR/s.sock");
    for expected in [
        "SHARED=1",
        "BOTH=program",
        "SUPERVISOR_ENABLED=1",
        "SUPERVISOR_PROCESS_NAME=a",
        // What the program sets wins over what the daemon says (P-58).
        "SUPERVISOR_GROUP_NAME=mine",
        &url,
    ] {
        assert!(lines.contains(&expected), "{expected} in {log}");
    }
}

#[test]
fn a_child_reads_what_is_sent_to_its_standard_input() {
    let daemon = Daemon::start("[program:cat]\ncommand=cat\nstartsecs=0\nstdout_logfile=$DIR/cat.log\n");
    daemon.wait_state("cat", "RUNNING");
    daemon.must("supervisor.sendProcessStdin", &["cat".into(), "héllo\n".into()]);
    assert_eq!(daemon.wait_file("cat.log", "\n"), "héllo\n");
    daemon.must("supervisor.stopProcess", &["cat".into()]);
    let stopped = daemon.call("supervisor.sendProcessStdin", &["cat".into(), "x".into()]);
    assert_eq!(stopped, Err((70, "NOT_RUNNING: cat".into())));
}

#[test]
fn a_signal_reaches_the_process_that_it_is_for() {
    let daemon = Daemon::start(
        "[program:a]\ncommand=sh -c 'trap \"echo again\" USR1; echo ready; while :; do sleep 0.02; done'\n\
         startsecs=0\nstdout_logfile=$DIR/a.log\n",
    );
    daemon.wait_file("a.log", "ready");
    daemon.must("supervisor.signalProcess", &["a".into(), "usr1".into()]);
    daemon.wait_file("a.log", "again");
    daemon.wait_state("a", "RUNNING");
    let bad = daemon.call("supervisor.signalProcess", &["a".into(), "USR9".into()]);
    assert_eq!(bad, Err((11, "BAD_SIGNAL: USR9".into())));
}
