//! As PID 1 of a container or of a device (K-2): in name spaces of its own, where the system lets us make some.

use std::os::unix::fs::FileTypeExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{fs, io::Write};

use nix::sys::signal::{Signal, kill};

use crate::client::PATIENCE;
use crate::daemon::{Daemon, Folder, is_original, terminal, wait_for};

/// A PID name space of its own, which ends with its first process.
pub const PIDS: [&str; 6] = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"];

pub const ARGS: [&str; 3] = ["-n", "-c", "$DIR/supervisord.conf"];

pub const SLEEPER: &str = "[program:a]\ncommand=sleep 1000\nstartsecs=0\n";

/// Whether these tests can run; if not, says so once.
pub fn is_possible() -> bool {
    static POSSIBLE: OnceLock<bool> = OnceLock::new();
    !is_original()
        && *POSSIBLE.get_or_init(|| {
            let made = Command::new(PIDS[0]).args(&PIDS[1..]).arg("true").stderr(Stdio::null()).status();
            let possible = made.is_ok_and(|status| status.success());
            if !possible {
                eprintln!("SKIPPED: no name spaces can be made here, so nothing is tried as PID 1");
            }
            possible
        })
}

pub fn start(config: &str) -> Daemon {
    let folder = Folder::new();
    folder.configure(config);
    let mut daemon = Daemon::start_under(folder, &PIDS, &ARGS, |_| {});
    daemon.wait_until_it_answers();
    daemon
}

/// K-2.1: signals from outside and inside do what they do elsewhere, and nothing where they do nothing.
#[test]
fn signals_mean_the_same_to_pid_1() {
    if !is_possible() {
        return;
    }
    let mut daemon = start(SLEEPER);
    daemon.wait_state("a", "RUNNING");
    let init = daemon.inner();
    for signal in [Signal::SIGUSR1, Signal::SIGWINCH, Signal::SIGPWR] {
        kill(init, signal).expect("it is there");
    }
    // From inside, nothing can kill it.
    let number = init.to_string();
    let inside = Command::new("nsenter").args(["-t", &number, "-p", "-m", "kill", "-9", "1"]).status();
    assert!(inside.expect("nsenter runs").success());
    kill(init, Signal::SIGUSR2).expect("it is there");
    wait_for("the log to be opened again", || (!daemon.log_lines("received SIGUSR2").is_empty()).then_some(()));
    kill(init, Signal::SIGHUP).expect("it is there");
    wait_for("the second run", || (daemon.log_lines("supervisord started with pid 1").len() == 2).then_some(()));
    daemon.wait_until_it_answers();
    daemon.wait_state("a", "RUNNING");
    kill(init, Signal::SIGTERM).expect("it is there");
    assert_eq!(daemon.wait_end(), 0);
}

/// K-2.1: a flood of orphans is reaped to the last one, and our own are restarted meanwhile.
#[test]
fn orphans_are_reaped() {
    if !is_possible() {
        return;
    }
    let daemon = start(
        "[supervisord]\nloglevel=warn\n[program:a]\ncommand=sleep 1000\nstartsecs=0\n\
         [program:flood]\ncommand=sh -c 'i=0; while [ $i -lt 1000 ]; do (sleep 0.1 &); i=$((i+1)); done; touch $DIR/made; sleep 1000'\n\
         startsecs=0\n",
    );
    daemon.wait_state("a", "RUNNING");
    let first = daemon.pid_of("a");
    daemon.must("supervisor.signalProcess", &["a".into(), "KILL".into()]);
    wait_for("another process", || Some(daemon.pid_of("a")).filter(|pid| ![0, first].contains(pid)));
    wait_for("all orphans to be made", || daemon.folder.path("made").exists().then_some(()));
    let init = daemon.inner();
    let children = || fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap_or_default();
    wait_for("all orphans to be reaped", || (children().split_whitespace().count() == 2).then_some(()));
}

/// K-2.1: Ctrl-C at its terminal ends it.
#[test]
fn a_terminal_can_end_pid_1() {
    if !is_possible() {
        return;
    }
    let folder = Folder::new();
    folder.configure(SLEEPER);
    let (mut keys, slave) = terminal(0, 0);
    let wrapper = [&["setsid", "--ctty", "--wait"], &PIDS[..]].concat();
    let mut daemon = Daemon::start_under(folder, &wrapper, &ARGS, |command| {
        command.stdin(Stdio::from(slave));
    });
    daemon.wait_until_it_answers();
    daemon.wait_state("a", "RUNNING");
    keys.write_all(b"\x03").expect("a key");
    assert_eq!(daemon.wait_end(), 0);
    assert_eq!(daemon.log_lines("received SIGINT").len(), 1);
}

/// K-2.1: nothing in the root but the executable and its file, all of it read-only, and nobody in particular.
#[test]
fn an_empty_root_that_is_read_only_will_do() {
    if !is_possible() {
        return;
    }
    let folder = Folder::new();
    folder.write(
        "supervisord.conf",
        "[supervisord]\nlogfile=/dev/stdout\n[program:a]\ncommand=/cat\nstartsecs=0\nstdout_logfile=/dev/fd/1\n",
    );
    // Its own file system, so that making it read-only concerns nobody else.
    folder.write(
        "make",
        "set -e\nmount -t tmpfs none \"$1\"\ncp \"$2\" \"$1/supervisord\"\ncp /bin/cat \"$1/cat\"\ncp supervisord.conf \"$1\"\n\
         for file in \"$2\" /bin/cat; do ldd \"$file\" | grep -o '/[^ ]*' | while read -r library; do \
         mkdir -p \"$1$(dirname \"$library\")\"; cp -L \"$library\" \"$1$library\"; done; done\n\
         mount -o remount,ro none \"$1\"\ncd \"$1\"\nexec /usr/sbin/chroot --userspec=12345:12345 \"$1\" /supervisord -n -s -c /supervisord.conf\n",
    );
    fs::create_dir(folder.path("root")).expect("a folder");
    let root = folder.path("root").display().to_string();
    let wrapper = [&PIDS[..], &["sh", "make", &root]].concat();
    let mut daemon = Daemon::start_under(folder, &wrapper, &[], |_| {});
    let out = daemon.wait_file("out", "a entered RUNNING state");
    assert!(out.contains("CRIT could not write pidfile /supervisord.pid"), "{out}");
    kill(daemon.inner(), Signal::SIGTERM).expect("it is there");
    assert_eq!(daemon.wait_end(), 0);
}

/// K-2.6: PID 1 that was started without standard descriptors, and without a /dev/null to take their place.
#[test]
fn closed_descriptors_are_replaced() {
    if !is_possible() {
        return;
    }
    for hide in ["true", "mount -t tmpfs none /dev"] {
        let folder = Folder::new();
        folder.configure(SLEEPER);
        let script = format!("{hide} && exec \"$@\" <&- >&- 2>&-");
        let wrapper = [&PIDS[..], &["sh", "-c", &script, "sh"]].concat();
        let mut daemon = Daemon::start_under(folder, &wrapper, &ARGS, |_| {});
        daemon.wait_until_it_answers();
        daemon.wait_state("a", "RUNNING");
        kill(daemon.inner(), Signal::SIGTERM).expect("it is there");
        assert_eq!(daemon.wait_end(), 0);
    }
}

/// K-2.7: the names of our descriptors mean them without /dev as well, and no files of these names are made.
#[test]
fn standard_output_needs_no_dev() {
    if !is_possible() {
        return;
    }
    let folder = Folder::new();
    folder.configure(
        "[supervisord]\nsilent=true\n\
         [program:a]\ncommand=sh -c 'echo to-out; echo to-err >&2; exec sleep 1000'\nstartsecs=0\n\
         stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\nstderr_logfile=/dev/fd/2\nstderr_logfile_maxbytes=0\n",
    );
    let script = "mount -t tmpfs none /dev && exec \"$@\"";
    let wrapper = [&PIDS[..], &["sh", "-c", script, "sh"]].concat();
    let daemon = Daemon::start_under(folder, &wrapper, &ARGS, |_| {});
    assert_eq!(daemon.wait_file("out", "\n"), "to-out\n");
    assert!(daemon.wait_file("err", "to-err\n").ends_with("to-err\n"));
    let inner = daemon.inner();
    assert_eq!(fs::read_dir(format!("/proc/{inner}/root/dev")).expect("its /dev").count(), 0);
}

/// K-2.10: its parent would be PID 1, whose end is that of everything.
#[test]
fn pid_1_stays_in_the_foreground() {
    if !is_possible() {
        return;
    }
    let folder = Folder::new();
    folder.configure(&format!("[supervisord]\nnodaemon=false\n{SLEEPER}"));
    let mut daemon = Daemon::start_under(folder, &PIDS, &ARGS[1..], |_| {});
    daemon.wait_until_it_answers();
    daemon.wait_state("a", "RUNNING");
    assert_eq!(daemon.must("supervisor.getPID", &[]), stheno::wire::value::Value::Int(1));
    kill(daemon.inner(), Signal::SIGHUP).expect("it is there");
    wait_for("the second run", || (daemon.log_lines("supervisord started with pid 1").len() == 2).then_some(()));
    assert_eq!(daemon.log_lines("PID 1 does not become a daemon").len(), 1);
    kill(daemon.inner(), Signal::SIGTERM).expect("it is there");
    assert_eq!(daemon.wait_end(), 0);
}

/// K-5: a pidfile that is a device or a FIFO stays what it is, and is not waited for.
#[test]
fn a_pidfile_that_is_no_file_is_left_alone() {
    if is_original() {
        return;
    }
    for kind in ["null", "fifo"] {
        let folder = Folder::new();
        let path = folder.path("p");
        let made = match kind {
            "null" => Command::new("mknod").arg(&path).args(["c", "1", "3"]).status(),
            _ => Command::new("mkfifo").arg(&path).status(),
        };
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no {kind} can be made here");
            continue;
        }
        let mut daemon = Daemon::start_in(folder, "[supervisord]\npidfile=$DIR/p\n");
        daemon.signal(Signal::SIGHUP);
        wait_for("the second run", || (daemon.log_lines("supervisord started with pid").len() == 2).then_some(()));
        daemon.wait_until_it_answers();
        daemon.signal(Signal::SIGTERM);
        assert_eq!(daemon.wait_end(), 0);
        let metadata = fs::metadata(daemon.folder.path("p")).expect("it is there");
        assert!(metadata.file_type().is_char_device() || metadata.file_type().is_fifo());
    }
}

/// K-2.11: a service manager hears when we are ready, restart and stop, and that we live.
#[test]
fn a_service_manager_is_told() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    let path = folder.path("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut daemon = Daemon::start_with(folder, SLEEPER, |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000000");
    });
    let mut buffer = [0; 256];
    // Signs of life come once a second, which fills the socket of nobody who reads; more of them may come than are waited for.
    let mut wait = |expected: &str| {
        let told = wait_for(expected, || {
            let count = manager.recv(&mut buffer).expect("a message");
            let told = String::from_utf8_lossy(&buffer[..count]).into_owned();
            Some(told).filter(|told| told != "WATCHDOG=1" || told == expected)
        });
        assert!(told.starts_with(expected), "{told:?}");
    };
    wait("READY=1");
    wait("WATCHDOG=1");
    daemon.signal(Signal::SIGHUP);
    wait("RELOADING=1\nMONOTONIC_USEC=");
    wait("READY=1");
    daemon.signal(Signal::SIGTERM);
    wait("STOPPING=1");
    assert_eq!(daemon.wait_end(), 0);
}
