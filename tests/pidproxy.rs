//! `pidproxy` as people run it: real processes, waited for through their output.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PIDPROXY: &str = env!("CARGO_BIN_EXE_pidproxy");

/// A program that writes its pid and then tells which signals it got.
const TARGET: &str = "trap 'echo USR1' USR1; trap 'echo HUP' HUP; trap 'echo TERM; exit 3' TERM; \
                      echo $$ > $0; echo ready; while :; do sleep 0.02; done";

struct Proxy {
    process: Child,
    output: BufReader<ChildStdout>,
    pidfile: PathBuf,
}

impl Proxy {
    fn start(test: &str) -> Proxy {
        let pidfile = std::env::temp_dir().join(format!("stheno-pidproxy-{test}-{}", std::process::id()));
        let mut command = Command::new(PIDPROXY);
        command.arg(&pidfile).args(["/bin/sh", "-c", TARGET]).arg(&pidfile);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut proxy = Proxy { process, output, pidfile };
        assert_eq!(proxy.line(), "ready");
        proxy
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_string()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), signal).unwrap();
    }

    fn target(&self) -> Pid {
        Pid::from_raw(std::fs::read_to_string(&self.pidfile).unwrap().trim().parse().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.pidfile);
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn signals_are_passed_on_and_term_is_the_last() {
    let mut proxy = Proxy::start("passed");
    for signal in [Signal::SIGUSR1, Signal::SIGHUP] {
        proxy.signal(signal);
        assert_eq!(format!("SIG{}", proxy.line()), signal.as_str());
    }
    proxy.signal(Signal::SIGTERM);
    assert_eq!(proxy.process.wait().unwrap().code(), Some(0));
    assert_eq!(proxy.line(), "TERM");
}

#[test]
fn an_unreadable_pidfile_is_told_and_survived() {
    let mut proxy = Proxy::start("unreadable");
    let target = proxy.target();
    for content in ["", "word\n", "-1\n", "0\n"] {
        std::fs::write(&proxy.pidfile, content).unwrap();
        proxy.signal(Signal::SIGUSR1);
        assert_eq!(proxy.line(), format!("Can't read child pidfile {}!", proxy.pidfile.display()), "{content:?}");
    }
    // It is read anew each time.
    std::fs::write(&proxy.pidfile, format!(" {target}\n")).unwrap();
    proxy.signal(Signal::SIGUSR1);
    assert_eq!(proxy.line(), "USR1");
    proxy.signal(Signal::SIGTERM);
    assert_eq!(proxy.line(), "TERM");
}

#[test]
fn the_end_of_the_command_is_the_end_whatever_its_status() {
    let mut proxy = Proxy::start("end");
    kill(proxy.target(), Signal::SIGTERM).unwrap();
    assert_eq!(proxy.process.wait().unwrap().code(), Some(0));
    assert_eq!(proxy.line(), "TERM");
}

fn run(args: &[&str]) -> Output {
    Command::new(PIDPROXY).args(args).current_dir("/").output().unwrap()
}

#[test]
fn commands_and_statuses() {
    let rows: &[(&[&str], i32, &str)] = &[
        // argv is as given, the path made absolute.
        (&["/pidfile", "bin/sh", "-c", "echo \"$0 $1\"; exit 5", "zero", "a b"], 0, "zero a b\n"),
        (&["/pidfile", "bin/../bin/sh", "-c", "echo up"], 0, "up\n"),
        // There is no search in PATH.
        (&["/pidfile", "sh", "-c", "echo no"], 0, ""),
        (&["/pidfile", ""], 0, ""),
    ];
    for (args, status, stdout) in rows {
        let output = run(args);
        let found = (output.status.code(), String::from_utf8(output.stdout).unwrap());
        assert_eq!(found, (Some(*status), stdout.to_string()), "{args:?}");
    }
    for args in [&[][..], &["/pidfile"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("Usage: "), "{args:?}");
    }
}

#[test]
fn the_command_inherits_its_signals_as_a_program_does() {
    let status = String::from_utf8(run(&["/pidfile", "bin/cat", "/proc/self/status"]).stdout).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(line.trim(), 16).unwrap();
    for signal in [Signal::SIGPIPE, Signal::SIGXFSZ] {
        assert_ne!(ignored & 1 << (signal as i32 - 1), 0, "{signal}");
    }
}
