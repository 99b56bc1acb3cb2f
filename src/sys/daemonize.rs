//! Going to the background (C-160).

use std::io;

use nix::unistd::{ForkResult, chdir, fork, setsid};

use super::cerr;
use crate::wire::pyrepr;

/// Forks once; the parent exits with 0 at once and does not return. The child changes to `directory`, has /dev/null
/// as descriptors 0 to 2, leads a session of its own and has the umask.
///
/// To be called while there is one thread, and before anything exists that does not survive a fork (a poll's
/// registrations are shared with the parent, which exits, so they do).
///
/// Errors: it cannot fork, or /dev/null is missing; a directory that cannot be entered is logged only.
pub fn daemonize(directory: Option<&str>, umask: u32) -> io::Result<()> {
    // SAFETY: there is one thread, so the child may do anything that the parent could have done.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => {
            activity!(Blather, "supervisord forked; parent exiting");
            // SAFETY: ends this process without running what the child still needs, such as the removal of sockets.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Child => detach(directory, umask),
    }
}

fn detach(directory: Option<&str>, umask: u32) -> io::Result<()> {
    activity!(Info, "daemonizing the supervisord process");
    if let Some(directory) = directory {
        let shown = pyrepr::text(directory);
        match chdir(directory) {
            Ok(()) => activity!(Info, "set current directory: {shown}"),
            Err(errno) => {
                let (number, text) = (errno as i32, errno.desc());
                activity!(Critical, "can't chdir into {shown}: [Errno {number}] {text}: {shown}");
            }
        }
    }
    standard_descriptors_to_null()?;
    // Fails only for the leader of a group, which a forked child is not.
    let _ = setsid();
    // SAFETY: takes a number and cannot fail.
    unsafe { libc::umask(umask as libc::mode_t) };
    Ok(())
}

fn standard_descriptors_to_null() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    for number in 0..3 {
        // SAFETY: `null` is open; what 0 to 2 were before is nobody's to close.
        cerr(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), number) })?;
    }
    Ok(())
}
