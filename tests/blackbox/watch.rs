//! `supervisorctl status` with figures, only of what fails, and live.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;

use crate::client::PATIENCE;
use crate::daemon::{Daemon, is_original, supervisorctl, terminal, wait_for};

const PROGRAMS: &str = "[program:good]\ncommand=sleep 1000\nstartsecs=0\n\
    [program:bad]\ncommand=sh -c 'exit 3'\nstartsecs=1000\nstartretries=0\n\
    [program:idle]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\n\
    [program:late]\ncommand=sleep 1000\nstartsecs=0\ndepends_on=idle\n";

#[test]
fn long_and_failed() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(PROGRAMS);
    daemon.wait_state("good", "RUNNING");
    daemon.wait_state("bad", "FATAL");
    let long = daemon.folder.ctl(&["status", "--long"]);
    let lines: Vec<Vec<&str>> = long.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "STATE", "SINCE", "CPU", "MEMORY", "RESTARTS", "REASON"], "{}", long.stdout);
    let of =
        |name: &str| lines.iter().find(|line| line[0] == name).unwrap_or_else(|| panic!("{}", long.stdout)).join(" ");
    assert!(of("bad").contains("FATAL") && of("bad").ends_with("exit status 3"), "{}", of("bad"));
    assert!(
        of("good").contains("RUNNING") && of("good").contains(" % ") && of("good").ends_with("B"),
        "{}",
        of("good")
    );
    assert!(of("late").ends_with("STOPPED waits for idle (STOPPED)"), "{}", of("late"));
    assert_eq!(long.status, 3, "as of status");
    let failed = daemon.folder.ctl(&["status", "--failed"]);
    assert_eq!((failed.stdout.lines().count(), failed.status), (1, 3), "{}", failed.stdout);
    assert!(failed.stdout.starts_with("bad  "), "{}", failed.stdout);
    let none = daemon.folder.ctl(&["status", "--failed", "--long", "good"]);
    assert_eq!((none.stdout.as_str(), none.status), ("", 0));
    // They are words of `status` alone: in a file of the original's nothing is called so.
    let plain = daemon.folder.ctl(&["status", "-long"]);
    assert!(plain.stdout.contains("-long: ERROR (no such process)"), "{}", plain.stdout);
}

/// `status --watch` with a terminal of that size for its input and output.
struct Watch {
    master: File,
    child: Child,
    shown: String,
}

impl Watch {
    fn open(daemon: &Daemon, (columns, lines): (u16, u16), words: &[&str]) -> Watch {
        let (master, slave) = terminal(columns, lines);
        let side = || Stdio::from(slave.try_clone().expect("a descriptor"));
        let mut command = Command::new(supervisorctl());
        command.arg("-c").arg(daemon.folder.path("supervisord.conf")).args(["status", "--watch"]).args(words);
        let child =
            command.env("TERM", "xterm").stdin(side()).stdout(side()).stderr(side()).spawn().expect("it starts");
        Watch { master, child, shown: String::new() }
    }

    /// Reads until the screen has shown that.
    fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.shown.find(text) {
                let rest = self.shown.split_off(at + text.len());
                return std::mem::replace(&mut self.shown, rest);
            }
            let mut piece = [0; 4096];
            let mut polled = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut polled, PollTimeout::try_from(PATIENCE).expect("a time")).expect("poll");
            assert!(ready == 1, "waited in vain for {text:?} behind {}", self.shown);
            let count = self.master.read(&mut piece).unwrap_or(0);
            assert!(count > 0, "it has ended behind {}, before {text:?}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    }

    /// Presses a key, or Ctrl-C; how it ended.
    fn end_by(&mut self, key: Option<&[u8]>) -> i32 {
        match key {
            Some(key) => self.master.write_all(key).expect("the key"),
            // The terminal is not the child's own, which would make the signal of the key.
            None => kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).expect("it is there"),
        }
        self.until("\x1b[?1049l");
        let status = wait_for("it to end", || self.child.try_wait().expect("the child is ours"));
        status.code().unwrap_or(-1)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_live_table_that_q_and_ctrl_c_end() {
    if is_original() {
        return;
    }
    for key in [Some(b"q"), None] {
        let daemon = Daemon::start(PROGRAMS);
        daemon.wait_state("bad", "FATAL");
        let mut watch = Watch::open(&daemon, (70, 12), &[]);
        let before = watch.until("waits for idle");
        assert!(before.contains("\x1b[?1049h") && before.contains("live · 1 failing"), "{before:?}");
        // What fails stands on top.
        let rows: Vec<&str> = before.rsplit("\x1b[H").next().unwrap_or("").lines().collect();
        assert!(rows[2].contains("bad") && rows[2].contains("FATAL"), "{rows:?}");
        daemon.must("supervisor.startProcess", &["idle".into()]);
        let screen = watch.until("3 of 4 running");
        assert!(!screen.contains("\x1b[2J"), "nothing is erased as a whole: {screen:?}");
        assert!(!tcgetattr(&watch.master).expect("modes").local_flags.contains(LocalFlags::ICANON));
        assert_eq!(watch.end_by(key.map(|key| &key[..])), 0);
        assert!(tcgetattr(&watch.master).expect("modes").local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO));
    }
}

#[test]
fn a_live_table_finds_the_daemon_again() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(PROGRAMS);
    let mut watch = Watch::open(&daemon, (30, 6), &["--failed"]);
    watch.until("live");
    watch.until("FATAL");
    // It says nothing any more, which is noticed without an end of the connection.
    daemon.signal(Signal::SIGSTOP);
    watch.until("no answer");
    daemon.signal(Signal::SIGCONT);
    watch.until("live");
    assert_eq!(watch.end_by(Some(b"q")), 0);
}

#[test]
fn what_is_no_terminal_gets_a_line_for_each_change() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(PROGRAMS);
    daemon.wait_state("bad", "FATAL");
    let mut command = Command::new(supervisorctl());
    command.arg("-c").arg(daemon.folder.path("supervisord.conf")).args(["status", "--watch", "idle"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut out = std::io::BufReader::new(child.stdout.take().expect("its output"));
    let mut next = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut out, &mut line).expect("a line");
        line
    };
    assert_eq!(next(), "idle STOPPED\n");
    daemon.must("supervisor.startProcess", &["idle".into()]);
    // Both changes may be told as one.
    while next() != "idle RUNNING\n" {}
    child.kill().expect("it is there");
    child.wait().expect("the child is ours");
}
