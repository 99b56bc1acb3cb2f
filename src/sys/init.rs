//! What an init that runs one command needs: signals that wait until they are asked for, and a child that has our place.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::{cerr, signals};
use crate::id::Pid;

/// Signals that tell of an error of our own program: blocked, they would be raised again and again.
const OF_ERRORS: &[i32] =
    &[libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS];

/// What a terminal does to those in the background; it concerns us, and not the command.
const OF_BACKGROUND: &[i32] = &[libc::SIGTTIN, libc::SIGTTOU];

/// All signals but those of errors, blocked from birth on. Blocked ones reach even a PID 1 that has no handler for them, and
/// of the real-time ones none is lost.
pub struct Signals(libc::sigset_t);

impl Signals {
    /// Blocks them from now on.
    pub fn block() -> io::Result<Signals> {
        ignore_background()?;
        // Ignored, it would take the statuses of children with it.
        signals::set_action(libc::SIGCHLD, libc::SIG_DFL)?;
        // SAFETY: all zero is a valid set, and is filled in at once.
        let mut blocked: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: a live set, and numbers of signals.
        unsafe {
            libc::sigfillset(&raw mut blocked);
            for signal in OF_ERRORS.iter().chain(OF_BACKGROUND) {
                libc::sigdelset(&raw mut blocked, *signal);
            }
            cerr(libc::sigprocmask(libc::SIG_SETMASK, &raw const blocked, std::ptr::null_mut()))?;
        }
        Ok(Signals(blocked))
    }

    /// Waits for the next one.
    pub fn next(&self) -> i32 {
        loop {
            // SAFETY: a live set; nothing is asked about the signal.
            let signal = unsafe { libc::sigwaitinfo(&raw const self.0, std::ptr::null_mut()) };
            if signal > 0 {
                return signal;
            }
        }
    }
}

/// Holds no signal any more.
pub fn let_signals_in() {
    // It cannot fail with a set that is ours.
    let _ = signals::let_in();
}

/// We write to the terminal from the background, once a command has the foreground. To be called before the first spawn,
/// which notes what children have to set back.
pub fn ignore_background() -> io::Result<()> {
    OF_BACKGROUND.iter().try_for_each(|signal| signals::set_action(*signal, libc::SIG_IGN))
}

/// Starts a command, found along PATH, with our descriptors, in a process group of its own, which is in the foreground of
/// the terminal if descriptor 0 is one; no signal is ignored or blocked there.
///
/// Errors: that of execve(2), too.
pub fn start(words: &[OsString]) -> io::Result<Pid> {
    let [program, args @ ..] = words else { return Err(io::ErrorKind::NotFound.into()) };
    let mut command = Command::new(program);
    command.args(args).process_group(0);
    // SAFETY: between fork and exec the closure makes system calls only.
    unsafe {
        command.pre_exec(|| {
            to_foreground();
            signals::set_all_to_default();
            signals::let_in()
        });
    }
    // The handle is of no use: the child is reaped like any other.
    command.spawn().map(|child| Pid(child.id() as i32))
}

/// Makes our process group that in the foreground, if descriptor 0 is our terminal. SIGTTOU is to be ignored or blocked
/// meanwhile, for we come from the background. System calls only.
pub(super) fn to_foreground() {
    // SAFETY: plain numbers. What is no terminal, or not ours, is an error and no fault.
    unsafe {
        let group = libc::getpgrp();
        libc::ioctl(0, libc::TIOCSPGRP, &raw const group);
    }
}
