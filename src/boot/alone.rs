//! `supervisord -- COMMAND`: a command as the only one, for a container that needs an init and no supervision (K-2.4).
//!
//! No file is looked for, nothing listens, nothing is said but errors. Signals are passed on, orphans are reaped, and
//! the end of the command is ours, whatever else still runs.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};

use crate::config::cmdline::Alone;
use crate::exit::ExitStatus;
use crate::id::Pid;
use crate::sys::{init, process};

/// Exit status if there is no such command, as shells have it.
const NO_SUCH_FILE: i32 = 127;

/// Exit status if it cannot be run for another reason.
const NOT_RUN: i32 = 126;

/// Runs the command to its end; answers the exit status.
pub fn run(alone: &Alone, command: &[OsString]) -> i32 {
    // From before there is a child, so that nothing is missed.
    let signals = match init::Signals::block() {
        Ok(signals) => signals,
        Err(error) => return refuse(&format!("cannot wait for signals: {error}"), NOT_RUN),
    };
    let child = match init::start(command) {
        Ok(child) => child,
        Err(error) => {
            let name = command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
            let status = match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => NO_SUCH_FILE,
                _ => NOT_RUN,
            };
            return refuse(&format!("cannot run {name}: {}", crate::errno::text(crate::sys::errno_of(&error))), status);
        }
    };
    let status = wait(child, alone.to_group, &signals);
    if u8::try_from(status).is_ok_and(|status| alone.exit_ok.contains(&status)) { 0 } else { status }
}

/// Passes signals on until the child has ended; answers its status.
fn wait(child: Pid, to_group: bool, signals: &init::Signals) -> i32 {
    loop {
        let signal = signals.next();
        if signal != libc::SIGCHLD {
            // It may have ended a moment ago, of which the next signal tells.
            let _ = if to_group { process::kill_group(child, signal) } else { process::kill(child, signal) };
            continue;
        }
        let mut ended = None;
        // Children of others as well, as long as there are any that have ended.
        while let Ok(Some(reaped)) = process::reap() {
            if reaped.pid == child {
                ended = Some(reaped.status);
            }
        }
        if let Some(status) = ended {
            return status_of(status);
        }
    }
}

/// As shells have it: the code, or 128 and the signal.
fn status_of(status: ExitStatus) -> i32 {
    match status {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal { number, .. } => 128 + number,
    }
}

fn refuse(text: &str, status: i32) -> i32 {
    let _ = writeln!(io::stderr(), "Error: {text}");
    status
}
