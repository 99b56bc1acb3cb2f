//! Children and other processes after their start: reaping, signals, who adopts orphans.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;

use super::{cerr, signals};
use crate::exit::ExitStatus;
use crate::id::Pid;

/// A child that ended and has been reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// Its process id, free to be used again by the system.
    pub pid: Pid,
    /// The exit code, or the signal that ended it.
    pub status: ExitStatus,
}

/// Reaps one child that has ended; `None` when there is no such child now (or none at all). To be called until
/// `None`. The kernel looks at one child after the other until it finds one.
///
/// Errors: the error number, for anything but ECHILD and EINTR (P-68).
pub fn reap() -> Result<Option<Reaped>, i32> {
    wait_now(-1)
}

/// Reaps this child if it has ended, which takes no longer with many children than with few.
///
/// Errors: as those of [`reap`].
pub fn reap_child(pid: Pid) -> Result<Option<Reaped>, i32> {
    wait_now(pid.0)
}

/// A child that has ended, this one or any, and is left as it is: nobody else gets its number before it is reaped.
///
/// Errors: as those of [`reap`].
pub fn ended(which: Option<Pid>) -> Result<Option<Pid>, i32> {
    let (kind, number) = which.map_or((libc::P_ALL, 0), |pid| (libc::P_PID, pid.0 as libc::id_t));
    loop {
        // SAFETY: all zero is a valid siginfo; the call leaves it so when nobody has ended.
        let mut about: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `about` is there to be written to.
        let done = unsafe { libc::waitid(kind, number, &raw mut about, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) };
        match done {
            // SAFETY: filled in for a child's end, or all zero.
            0 => return Ok(Some(Pid(unsafe { about.si_pid() })).filter(|pid| pid.0 > 0)),
            _ => match Errno::last() {
                Errno::ECHILD => return Ok(None),
                Errno::EINTR => {}
                other => return Err(other as i32),
            },
        }
    }
}

fn wait_now(which: libc::pid_t) -> Result<Option<Reaped>, i32> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is an int to write to.
        let pid = unsafe { libc::waitpid(which, &raw mut status, libc::WNOHANG) };
        match pid {
            0 => return Ok(None),
            -1 => match Errno::last() {
                Errno::ECHILD => return Ok(None),
                Errno::EINTR => {}
                other => return Err(other as i32),
            },
            pid => {
                if let Some(status) = exit_status(status) {
                    return Ok(Some(Reaped { pid: Pid(pid), status }));
                }
            }
        }
    }
}

/// Waits for one child to end.
#[cfg(test)]
pub fn wait_for(pid: Pid) -> io::Result<ExitStatus> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is an int to write to.
        match cerr(unsafe { libc::waitpid(pid.0, &raw mut status, 0) }) {
            Ok(_) => {
                if let Some(status) = exit_status(status) {
                    return Ok(status);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads a wait status; `None` for a child that was only stopped or continued.
fn exit_status(status: libc::c_int) -> Option<ExitStatus> {
    if libc::WIFEXITED(status) {
        Some(ExitStatus::Code(libc::WEXITSTATUS(status)))
    } else if libc::WIFSIGNALED(status) {
        Some(ExitStatus::Signal { number: libc::WTERMSIG(status), core: libc::WCOREDUMP(status) })
    } else {
        None
    }
}

/// Has this process take only time that nobody else wants.
#[cfg(feature = "gzip")]
pub fn be_nice() {
    /// The least favourable nice value there is.
    const NICEST: i32 = 19;
    // SAFETY: setpriority(2) takes plain numbers; 0 is this process. If it fails, it is not as nice.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICEST) };
}

/// Sends a signal to one process; 0 only asks whether that would be possible.
///
/// Errors: the error number, ESRCH when there is no such process (P-71).
pub fn kill(pid: Pid, signal: i32) -> Result<(), i32> {
    // A pid of 0 or less would mean groups, up to every process there is.
    debug_assert!(pid.0 > 0);
    if pid.0 <= 0 { Err(libc::ESRCH) } else { send(pid.0, signal) }
}

/// Sends a signal to the process group that `leader` leads.
///
/// Errors: the error number.
pub fn kill_group(leader: Pid, signal: i32) -> Result<(), i32> {
    // Group 0 would be our own, and -1 every process there is.
    debug_assert!(leader.0 > 1);
    if leader.0 <= 1 { Err(libc::ESRCH) } else { send(-leader.0, signal) }
}

/// Makes a new child the leader of a process group of its own. Too late once its program runs, and then not needed.
pub(super) fn lead_group(pid: Pid) {
    // SAFETY: plain numbers.
    unsafe { libc::setpgid(pid.0, pid.0) };
}

fn send(target: i32, signal: i32) -> Result<(), i32> {
    // SAFETY: no pointers.
    match unsafe { libc::kill(target, signal) } {
        0 => Ok(()),
        _ => Err(Errno::last_raw()),
    }
}

/// Lets a child of the standard library inherit SIGPIPE and SIGXFSZ ignored, as [`super::spawn`]'s children do (P-56);
/// left to itself, the library would set the former back.
pub fn keep_ignored(command: &mut Command) {
    let ignore = || signals::IGNORED.iter().try_for_each(|signal| signals::set_action(*signal, libc::SIG_IGN));
    // SAFETY: between fork and exec the closure makes system calls only.
    unsafe { command.pre_exec(ignore) };
}

/// Makes orphans below us our children, so that they can be reaped here, or does so no more.
pub fn adopt_orphans(is_wanted: bool) -> io::Result<()> {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes one number.
    cerr(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, libc::c_ulong::from(is_wanted)) })?;
    Ok(())
}

/// Whether we are PID 1, of a machine or of a container: all orphans are ours, and our end is the end of everybody.
pub fn is_init() -> bool {
    std::process::id() == 1
}

/// The process group of a process; `None` if it is gone.
pub fn group_of(pid: Pid) -> Option<Pid> {
    // SAFETY: takes a number.
    let group = unsafe { libc::getpgid(pid.0) };
    (group > 0).then_some(Pid(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read() {
        let rows = [
            (0, Some(ExitStatus::Code(0))),
            (3 << 8, Some(ExitStatus::Code(3))),
            (127 << 8, Some(ExitStatus::Code(127))),
            (9, Some(ExitStatus::Signal { number: 9, core: false })),
            (0x80 | 11, Some(ExitStatus::Signal { number: 11, core: true })),
            (0x137f, None),
            (0xffff, None),
        ];
        for (status, expected) in rows {
            assert_eq!(exit_status(status), expected, "{status:#x}");
        }
    }

    #[test]
    fn signals_reach_processes_that_exist() {
        let me = Pid(i32::try_from(std::process::id()).unwrap());
        assert_eq!(kill(me, 0), Ok(()));
        assert_eq!(kill(me, 999), Err(libc::EINVAL));
        // Above the largest pid that Linux gives out.
        assert_eq!(kill(Pid(0x7fff_fff0), 0), Err(libc::ESRCH));
        assert_eq!(kill_group(Pid(0x7fff_fff0), 0), Err(libc::ESRCH));
    }
}
