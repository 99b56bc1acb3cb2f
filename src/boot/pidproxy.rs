//! `pidproxy`: stands for a program that puts itself into the background, by passing signals on to the process whose
//! id is in its pidfile (P-130 to P-133).

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::id::Pid;
use crate::sys::signals::SignalPipe;
use crate::sys::{fd, process};

/// What is passed on.
const PASSED: &[i32] = &[libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGQUIT];

/// After passing one of these on, there is nothing left to do.
const LAST_ONES: &[i32] = &[libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];

/// Waits for a signal for ever.
const NO_TIMEOUT: i32 = -1;

/// Runs with the whole command line, `pidproxy <pidfile> <command> [args…]`. Returns the exit status: 0 whatever the
/// command does, also when it cannot be run; 1 for a wrong usage.
pub fn run(args: &[OsString]) -> i32 {
    let [_, pidfile, command @ ..] = args else { return usage(args) };
    if command.is_empty() {
        return usage(args);
    }
    // Caught before the command exists, for its end is told by a signal as well.
    let caught = [PASSED, &[libc::SIGCHLD]].concat();
    let Ok(signals) = SignalPipe::install(&caught) else { return 1 };
    if start(command).is_err() {
        return 0;
    }
    let mut queue = Vec::new();
    loop {
        fd::wait_readable(signals.as_fd(), NO_TIMEOUT);
        signals.drain(&mut queue);
        for signal in queue.drain(..) {
            if signal == libc::SIGCHLD {
                continue;
            }
            pass_on(signal, Path::new(pidfile));
            if LAST_ONES.contains(&signal) {
                return 0;
            }
        }
        // The command is our only child.
        if !matches!(process::reap(), Ok(None)) {
            return 0;
        }
    }
}

fn usage(args: &[OsString]) -> i32 {
    let name = args.first().map_or("pidproxy".into(), |name| name.to_string_lossy());
    say(&format!(
        "{name}: run a command, and pass signals on to the process whose id is in a pidfile\n\n\
         Usage: {name} <pidfile name> <command> [<cmdarg1> ...]"
    ));
    1
}

/// Runs the command under its own words; its path is relative to the current directory, without a search in PATH
/// (P-131).
fn start(command: &[OsString]) -> io::Result<()> {
    let mut child = Command::new(std::path::absolute(&command[0])?);
    child.arg0(&command[0]).args(&command[1..]);
    process::keep_ignored(&mut child);
    // The handle is of no use: the child is reaped like any other.
    child.spawn().map(drop)
}

/// Sends the signal to the process that the pidfile names now (P-132).
fn pass_on(signal: i32, pidfile: &Path) {
    let text = std::fs::read_to_string(pidfile).unwrap_or_default();
    match text.trim().parse::<i32>() {
        // It may be gone already, which is what the signal was for.
        Ok(pid) if pid > 0 => drop(process::kill(Pid(pid), signal)),
        _ => say(&format!("Can't read child pidfile {}!", pidfile.display())),
    }
}

/// A line on standard output, if anybody still reads it.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
