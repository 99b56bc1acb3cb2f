//! `supervisord -- COMMAND`: a command alone, with us as its init (K-2.4), or beside a file's programs (K-2.5).

use std::io::Write;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::daemon::{Daemon, Folder, is_original, terminal, wait_for};

fn alone(folder: Folder, args: &[&str]) -> Daemon {
    Daemon::start_under(folder, &[], args, |_| {})
}

/// K-2.4: its status, or 128 and the signal; 127 and 126 if it cannot be started, with a line that says why.
#[test]
fn the_status_is_that_of_the_command() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    folder.write("plain", "x");
    let rows: &[(&[&str], i32, &str)] = &[
        (&["--", "sh", "-c", "exit 7"], 7, ""),
        (&["--", "/bin/true"], 0, ""),
        (&["--", "sh", "-c", "kill -9 $$"], 137, ""),
        (&["--", "sh", "-c", "sleep 60 & exit 21"], 21, ""),
        (&["--exit-ok=143,3", "--", "sh", "-c", "exit 3"], 0, ""),
        (&["--exit-ok", "143,3", "--", "sh", "-c", "kill -TERM $$"], 0, ""),
        (&["--exit-ok=143,3", "--", "sh", "-c", "exit 4"], 4, ""),
        (&["--", "/nonexistent"], 127, "Error: cannot run /nonexistent: No such file or directory\n"),
        (&["--", "no-such-command"], 127, "Error: cannot run no-such-command: No such file or directory\n"),
        (&["--", "$DIR/plain"], 126, "Error: cannot run $DIR/plain: Permission denied\n"),
        (&["--", "$DIR"], 126, "Error: cannot run $DIR: Permission denied\n"),
    ];
    for (args, status, stderr) in rows {
        let ended = folder.supervisord(args);
        let expected = (*status, "", folder.fill(stderr));
        assert_eq!((ended.status, ended.stdout.as_str(), ended.stderr), expected, "{args:?}");
    }
    for args in [&["--"][..], &["-n", "--"]] {
        let ended = folder.supervisord(args);
        assert_eq!(ended.status, 2, "{args:?}");
        assert!(ended.stderr.starts_with("Error: -- needs a COMMAND behind it\n"), "{ended:?}");
    }
    let ended = folder.supervisord(&["-n", "--", "true"]);
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.starts_with("Error: -n needs -c FILE beside -- COMMAND"), "{ended:?}");
}

/// K-2.4: it has our descriptors and default signals, whatever we were started with, and nothing of ours is written.
#[test]
fn the_command_has_our_place() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    let script = "read a; echo got $a; echo oops >&2; grep Sig[IB] /proc/self/status >$DIR/signals; ps -o pid=,pgid= $$ >$DIR/group; exit 3";
    let ignoring = ["sh", "-c", "trap '' HUP CHLD TERM; exec \"$@\"", "sh"];
    let script = folder.fill(script);
    let mut daemon = Daemon::start_under(folder, &ignoring, &["--", "sh", "-c", &script], |_| {});
    assert_eq!(daemon.wait_end(), 3);
    assert_eq!((daemon.folder.read("out").as_str(), daemon.folder.read("err").as_str()), ("got\n", "oops\n"));
    let signals = daemon.folder.read("signals");
    // 32 and 33 are the C library's own.
    let is_none = |line: &str| {
        let mask = line.split_whitespace().last().and_then(|mask| u64::from_str_radix(mask, 16).ok());
        mask.is_some_and(|mask| mask & !(0b11 << 31) == 0)
    };
    assert!(signals.lines().count() == 2 && signals.lines().all(is_none), "{signals}");
    let group = daemon.folder.read("group");
    let [pid, pgid] = group.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{group:?}") };
    assert_eq!(pid, pgid);
}

/// K-2.4: signals are passed on, also those that would end or stop us; with --group to all.
#[test]
fn signals_are_passed_on() {
    if is_original() {
        return;
    }
    let names = ["HUP", "INT", "QUIT", "USR1", "USR2", "PIPE", "ALRM", "TSTP", "CONT", "WINCH", "PWR", "XFSZ", "URG"];
    let folder = Folder::new();
    let traps: Vec<String> = names.iter().map(|name| format!("trap 'echo {name}' {name}; ")).collect();
    let script =
        folder.fill(&format!("{}trap 'exit 9' TERM; touch $DIR/up; while :; do sleep 0.02; done", traps.concat()));
    let mut daemon = alone(folder, &["--", "sh", "-c", &script]);
    wait_for("the command", || daemon.folder.path("up").exists().then_some(()));
    for name in names {
        daemon.signal(format!("SIG{name}").parse::<Signal>().expect("a signal"));
        daemon.wait_file("out", &format!("{name}\n"));
    }
    // Those of errors are ours, and do not concern the command; what a terminal does to the background neither.
    daemon.signal(Signal::SIGTTIN);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 9);

    // The shell waits for its child; both are told.
    let folder = Folder::new();
    let script = folder.fill("sh -c 'touch $DIR/up; sleep 1000'; exit 6");
    let mut daemon = alone(folder, &["--group", "--", "sh", "-c", &script]);
    wait_for("the command", || daemon.folder.path("up").exists().then_some(()));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 143);
    wait_for("the end of all", || daemon.folder.processes().is_empty().then_some(()));
}

/// K-2.4: it may read the terminal, and Ctrl-C is for it.
#[test]
fn the_command_is_in_the_foreground_of_the_terminal() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    let script = folder.fill("trap 'exit 5' INT; read a; echo got $a; touch $DIR/up; while :; do sleep 0.02; done");
    let (mut keys, slave) = terminal(0, 0);
    let wrapper = ["setsid", "--ctty", "--wait"];
    let mut daemon = Daemon::start_under(folder, &wrapper, &["--", "sh", "-c", &script], |command| {
        command.stdin(Stdio::from(slave));
    });
    keys.write_all(b"x\n").expect("keys");
    daemon.wait_file("out", "got x\n");
    wait_for("the command", || daemon.folder.path("up").exists().then_some(()));
    keys.write_all(b"\x03").expect("a key");
    assert_eq!(daemon.wait_end(), 5);
}

const BESIDE: [&str; 4] = ["-n", "-c", "$DIR/supervisord.conf", "--"];

const OTHERS: &str = "[program:y]\ncommand=sleep 1000\npriority=1\nstartsecs=0\n[program:z]\ncommand=sleep 1000\npriority=9999\nstartsecs=0\n";

fn beside(config: &str, options: &[&str], script: &str) -> Daemon {
    let folder = Folder::new();
    folder.configure(config);
    let script = folder.fill(script);
    let args = [&BESIDE[..3], options, &["--", "sh", "-c", &script]].concat();
    let mut daemon = Daemon::start_under(folder, &[], &args, |_| {});
    daemon.wait_until_it_answers();
    daemon
}

/// K-2.5: started last, stopped first, with our descriptors; its end is ours, with its status.
#[test]
fn the_command_beside_a_file_is_program_main() {
    if is_original() {
        return;
    }
    let mut daemon =
        beside(OTHERS, &[], "echo from-main; echo oops >&2; while [ ! -e $DIR/go ]; do sleep 0.02; done; exit 5");
    daemon.wait_state("main", "RUNNING");
    daemon.wait_file("out", "from-main\n");
    daemon.wait_file("err", "oops\n");
    let spawned: Vec<String> =
        daemon.log_lines("spawned: ").iter().map(|line| line[9..].chars().take(3).collect()).collect();
    assert_eq!(spawned, ["'y'", "'z'", "'ma"]);
    assert_eq!(
        daemon.call("supervisor.sendProcessStdin", &["main".into(), "x".into()]),
        Err((20, "NO_FILE: main".into()))
    );
    daemon.folder.write("go", "");
    assert_eq!(daemon.wait_end(), 5);
    assert_eq!(daemon.log_lines("essential: main exited (status 5), shutting down").len(), 1);

    let mut daemon = beside(OTHERS, &[], "exec sleep 1000");
    daemon.wait_state("main", "RUNNING");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    let stopped: Vec<String> =
        daemon.log_lines("stopped: ").iter().map(|line| line.split(' ').nth(1).unwrap_or("").into()).collect();
    assert_eq!(stopped, ["main", "z", "y"]);
}

/// K-2.5: with --wait-ready it is started when the others are ready.
#[test]
fn the_command_may_wait_for_the_others() {
    if is_original() {
        return;
    }
    let config = "[program:slow]\ncommand=sh -c 'while [ ! -e $DIR/ready ]; do sleep 0.02; done; echo up; exec sleep 1000'\nready=log:up\n";
    let daemon = beside(config, &["--wait-ready"], "exec sleep 1000");
    daemon.wait_state("slow", "STARTING");
    assert_eq!(daemon.state("main"), "STOPPED");
    daemon.folder.write("ready", "");
    daemon.wait_state("main", "RUNNING");
    assert_eq!(daemon.state("slow"), "RUNNING");
}

/// K-2.5, K-1: with --wait-ready a command that one of the others keeps from ever starting is the end, with status 1.
#[test]
fn the_command_does_not_wait_in_vain() {
    if is_original() {
        return;
    }
    let config = "[program:migrate]\ncommand=sh -c 'while [ ! -e $DIR/go ]; do sleep 0.02; done; exit 3'\ntype=oneshot\nstartretries=0\n\
                  [program:y]\ncommand=sleep 1000\nstartsecs=0\n";
    let mut daemon = beside(config, &["--wait-ready"], "touch $DIR/ran; exec sleep 1000");
    daemon.wait_state("y", "RUNNING");
    daemon.folder.write("go", "");
    assert_eq!(daemon.wait_end(), 1);
    assert_eq!(daemon.log_lines("on_fatal: main gave up, shutting down").len(), 1);
    assert!(!daemon.folder.path("ran").exists());
}

/// K-2.5: what cannot be.
#[test]
fn a_command_beside_a_file_may_be_refused() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    folder.configure("[program:main]\ncommand=cat\n");
    let ended = folder.supervisord(&[&BESIDE[..], &["true"]].concat());
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("in section 'program:main'") && ended.stderr.contains("line "), "{ended:?}");
    folder.configure("[group:main]\nprograms=y\n[program:y]\ncommand=cat\n");
    let ended = folder.supervisord(&[&BESIDE[..], &["true"]].concat());
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("in section 'group:main'") && ended.stderr.contains("line "), "{ended:?}");
    let ended = folder.supervisord(&[&["--check"], &BESIDE[..], &["true"]].concat());
    assert!(ended.status == 1 && ended.stdout.contains("is to be the group main"), "{ended:?}");
    folder.configure("");
    let ended = folder.supervisord(&[&BESIDE[1..], &["true"]].concat());
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.starts_with("Error: -- COMMAND beside a file needs -n"), "{ended:?}");
    let ended = folder.supervisord(&[&["--check"], &BESIDE[1..], &["true"]].concat());
    assert!(!ended.stdout.contains("needs -n") && ended.status == 0, "{ended:?}");
}

/// K-2.5: it has the terminal, and Ctrl-C is for it, whose end is ours.
#[test]
fn the_command_beside_a_file_has_the_terminal() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    folder.configure(OTHERS);
    let (mut keys, slave) = terminal(0, 0);
    let script = folder.fill("trap 'exit 5' INT; read a; echo got $a; touch $DIR/up; while :; do sleep 0.02; done");
    let args = [&BESIDE[..], &["sh", "-c", &script]].concat();
    let mut daemon = Daemon::start_under(folder, &["setsid", "--ctty", "--wait"], &args, |command| {
        command.stdin(Stdio::from(slave));
    });
    keys.write_all(b"x\n").expect("keys");
    daemon.wait_file("out", "got x\n");
    wait_for("the command", || daemon.folder.path("up").exists().then_some(()));
    keys.write_all(b"\x03").expect("a key");
    assert_eq!(daemon.wait_end(), 5);
}
