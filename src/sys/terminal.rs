//! What a program with a person in front of it needs: waiting on several descriptors, Ctrl-C as something that can be
//! waited for, and reading a line that is not echoed.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};

/// Waits until one of the descriptors can be read without blocking (at its end too), or the time is over; `None` waits
/// for ever. Says for each whether it is ready; a signal that interrupts the wait makes none of them ready.
pub fn wait_readable(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|&fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    let timeout = match timeout {
        None => PollTimeout::NONE,
        Some(time) => PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX),
    };
    match nix::poll::poll(&mut polled, timeout) {
        Ok(_) => Ok(polled.iter().map(|fd| fd.any().unwrap_or(false)).collect()),
        Err(Errno::EINTR) => Ok(vec![false; fds.len()]),
        Err(errno) => Err(errno.into()),
    }
}

/// The write end of the pipe of the one living [`Interrupts`]; -1 without one.
static INTERRUPT_PIPE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_interrupt(_: libc::c_int) {
    let errno = Errno::last_raw();
    let fd = INTERRUPT_PIPE.load(Ordering::Relaxed);
    // SAFETY: write(2) is async-signal-safe, and the buffer is a static byte. A full or closed pipe is fine: the
    // byte only has to be there.
    unsafe { libc::write(fd, b"!".as_ptr().cast(), 1) };
    Errno::set_raw(errno);
}

/// While this lives, SIGINT (Ctrl-C) does not end the program but makes a descriptor readable. At most one at a time.
#[derive(Debug)]
pub struct Interrupts {
    read: OwnedFd,
    write: OwnedFd,
    old: SigAction,
}

impl Interrupts {
    /// Takes SIGINT over until it is dropped: Ctrl-C then only makes the descriptor readable.
    pub fn install() -> io::Result<Interrupts> {
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        INTERRUPT_PIPE.store(write.as_raw_fd(), Ordering::Relaxed);
        // Without SA_RESTART, so that a blocking read returns too.
        let action = SigAction::new(SigHandler::Handler(on_interrupt), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler calls only write(2), on a descriptor that stays open until `drop` has put the old
        // action back.
        let old = unsafe { nix::sys::signal::sigaction(Signal::SIGINT, &action) }?;
        Ok(Interrupts { read, write, old })
    }

    /// Readable once a SIGINT has come.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    /// Whether a SIGINT has come since the last call.
    pub fn take(&self) -> bool {
        let mut buffer = [0; 64];
        let mut came = false;
        while matches!(nix::unistd::read(&self.read, &mut buffer), Ok(1..)) {
            came = true;
        }
        came
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        // SAFETY: puts back an action that was in force before.
        let _ = unsafe { nix::sys::signal::sigaction(Signal::SIGINT, &self.old) };
        INTERRUPT_PIPE.compare_exchange(self.write.as_raw_fd(), -1, Ordering::Relaxed, Ordering::Relaxed).ok();
    }
}

/// While this lives, the terminal does not echo what is typed.
pub struct NoEcho<'a> {
    terminal: BorrowedFd<'a>,
    old: Termios,
}

impl<'a> NoEcho<'a> {
    /// Turns the echo off. Fails if the descriptor is no terminal.
    pub fn on(terminal: BorrowedFd<'a>) -> io::Result<NoEcho<'a>> {
        let old = termios::tcgetattr(terminal)?;
        let mut silent = old.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        termios::tcsetattr(terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(NoEcho { terminal, old })
    }
}

impl Drop for NoEcho<'_> {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.old);
    }
}

/// While this lives, keys come one by one and are not echoed; Ctrl-C is a signal as ever.
pub struct Keys<'a> {
    terminal: BorrowedFd<'a>,
    old: Termios,
}

impl<'a> Keys<'a> {
    /// Takes the keys. Fails if the descriptor is no terminal.
    pub fn on(terminal: BorrowedFd<'a>) -> io::Result<Keys<'a>> {
        let old = termios::tcgetattr(terminal)?;
        let mut by_key = old.clone();
        by_key.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON);
        termios::tcsetattr(terminal, SetArg::TCSAFLUSH, &by_key)?;
        Ok(Keys { terminal, old })
    }

    /// Readable once a key was pressed.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.terminal
    }

    /// The bytes of what was pressed; nothing once the terminal is gone.
    pub fn read(&self) -> Vec<u8> {
        let mut buffer = [0; 16];
        let count = nix::unistd::read(self.terminal, &mut buffer).unwrap_or(0);
        buffer[..count].to_vec()
    }
}

impl Drop for Keys<'_> {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.old);
    }
}

/// Columns and lines of the terminal on standard output; 80 and 24 where it does not say.
pub fn size() -> (usize, usize) {
    // SAFETY: a winsize of zeros is one, and the call fills it or leaves it alone.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size);
        size
    };
    let or = |given: u16, usual: usize| if given == 0 { usual } else { given.into() };
    (or(size.ws_col, 80), or(size.ws_row, 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_can_be_waited_for() {
        let interrupts = Interrupts::install().expect("a pipe");
        let (other, _kept) = nix::unistd::pipe().expect("a pipe");
        let fds = [interrupts.fd(), other.as_fd()];
        assert_eq!(wait_readable(&fds, Some(Duration::ZERO)).expect("poll"), [false, false]);
        nix::sys::signal::raise(Signal::SIGINT).expect("raise");
        assert_eq!(wait_readable(&fds, None).expect("poll"), [true, false]);
        assert!(interrupts.take());
        assert!(!interrupts.take());
    }

    #[test]
    fn no_echo_needs_a_terminal() {
        let (read, _write) = nix::unistd::pipe().expect("a pipe");
        assert!(NoEcho::on(read.as_fd()).is_err());
    }
}
