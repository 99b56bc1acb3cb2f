//! Going to the background (C-160).

use std::io;

use nix::unistd::{ForkResult, chdir, fork, setsid};

use super::standard;
use crate::wire::pyrepr;

/// Forks once; the parent exits with 0 at once and does not return. The child changes to `directory`, has /dev/null
/// as descriptors 0 to 2, leads a session of its own and has the umask.
///
/// To be called while there is one thread, and before anything exists that does not survive a fork (a poll's
/// registrations are shared with the parent, which exits, so they do).
///
/// Errors: it cannot fork; a directory that cannot be entered is logged only.
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
    standard::detach()?;
    // Fails only for the leader of a group, which a forked child is not.
    let _ = setsid();
    // SAFETY: takes a number and cannot fail.
    unsafe { libc::umask(umask as libc::mode_t) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use crate::sys::scratch::Scratch;

    /// Where the daemon of the test says what it has become; without it, `in_background` does nothing.
    const FIFO: &str = "STHENO_TEST_DAEMONIZE_FIFO";

    #[test]
    fn the_background_is_a_session_of_its_own() {
        let scratch = Scratch::new("daemonize");
        let fifo = scratch.path("fifo");
        nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        // A process of its own, for this one has many threads.
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "sys::daemonize::tests::in_background", "--ignored", "--test-threads=1"]);
        let parent = command.env(FIFO, &fifo).current_dir(scratch.path("")).output().unwrap();
        assert_eq!(parent.status.code(), Some(0));
        assert!(!String::from_utf8_lossy(&parent.stdout).contains("test result"), "the parent ran on");
        let told = fs::read_to_string(&fifo).unwrap();
        let expected = "leads its session: true\ncwd: /\numask: 27\n0: /dev/null\n1: /dev/null\n2: /dev/null\n";
        assert_eq!(told, expected);
    }

    #[test]
    #[ignore = "runs in the process that the test above starts"]
    fn in_background() {
        let Ok(fifo) = std::env::var(FIFO) else { return };
        daemonize(Some("/nonexistent"), 0o022).unwrap();
        daemonize(Some("/"), 0o027).unwrap();
        let leads = nix::unistd::getsid(None).unwrap() == nix::unistd::getpid();
        let cwd = std::env::current_dir().unwrap();
        // SAFETY: takes a number and cannot fail.
        let umask = unsafe { libc::umask(0) };
        let mut told = format!("leads its session: {leads}\ncwd: {}\numask: {umask:o}\n", cwd.display());
        for number in 0..3 {
            let target = fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
            told += &format!("{number}: {}\n", target.display());
        }
        fs::write(fifo, told).unwrap();
    }
}
