//! Descriptors: pipes, flags, and writes that never wait.
//!
//! Every descriptor of ours is close-on-exec from birth, so nothing leaks into a child (P-57). Descriptors 0 to 2 are
//! always open: [`super::standard`] fills those that were closed at start.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::{cerr, cerr_size};

/// Lowest descriptor that is ours to use; those below are standard input, output and error.
const FIRST_OWN: RawFd = 3;

/// Both ends of a pipe.
#[derive(Debug)]
pub struct Pipe {
    /// Where bytes come out.
    pub read: OwnedFd,
    /// Where bytes go in.
    pub write: OwnedFd,
}

/// A close-on-exec pipe, both ends blocking.
pub fn pipe() -> io::Result<Pipe> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` is the array of two ints that pipe2 fills.
    cerr(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: pipe2 succeeded, so both are open and owned by nobody else.
    let (read, write) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    Ok(Pipe { read, write })
}

/// Makes reads and writes return `WouldBlock`. For descriptions that nobody else shares only.
pub fn set_nonblocking(fd: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: F_SETFL takes an int; the descriptor is open while it is borrowed.
    cerr(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) })?;
    Ok(())
}

/// A second, close-on-exec descriptor for the same open file, not one of 0 to 2.
pub fn duplicate(fd: BorrowedFd) -> io::Result<OwnedFd> {
    duplicate_raw(fd.as_raw_fd())
}

/// The same for a descriptor that was inherited and that only its number names, such as 1; EBADF if it is not open.
pub fn duplicate_raw(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes an int, and a bad descriptor is an error, not a fault.
    let copy = cerr(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, FIRST_OWN) })?;
    // SAFETY: the call succeeded, so `copy` is open and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Lets `slot` mean what `source` means, close-on-exec, closing what it meant before.
pub(super) fn replace(slot: &OwnedFd, source: RawFd) -> io::Result<()> {
    // SAFETY: the slot is open and stays so; a bad source is an error, not a fault.
    cerr(unsafe { libc::dup3(source, slot.as_raw_fd(), libc::O_CLOEXEC) })?;
    Ok(())
}

/// Marks descriptors 3 and up close-on-exec: whatever the daemon was started with does not reach its children.
/// Called once, at start.
pub fn mark_inherited_cloexec() -> io::Result<()> {
    // SAFETY: close_range takes plain numbers; with CLOEXEC it closes nothing that is in use.
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, FIRST_OWN, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_uint)
    };
    if done == 0 { Ok(()) } else { mark_listed_cloexec() }
}

/// For kernels before 5.11, which do not know the flag.
fn mark_listed_cloexec() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let Some(fd) = name.to_str().and_then(|name| name.parse::<RawFd>().ok()) else { continue };
        if fd >= FIRST_OWN {
            // SAFETY: F_SETFD takes an int, and a bad descriptor is an error, not a fault: that it was closed since.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

/// Reads once. `WouldBlock` when nothing is there and the description is non-blocking.
pub fn read(fd: BorrowedFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of one live slice.
    cerr_size(unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Makes a call again for as long as a signal interrupts it.
pub fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Whether an error says nothing of the descriptor: the same call may succeed a little later.
pub fn may_pass(error: &io::Error) -> bool {
    let passing = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::ECONNABORTED, libc::EINTR];
    passing.contains(&super::errno_of(error))
}

/// Writes once; may write less than all.
pub fn write(fd: BorrowedFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of one live slice.
    cerr_size(unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })
}

/// Writes once to a socket without ever waiting, whatever the flags of its (perhaps shared) description, and without
/// SIGPIPE.
pub fn send_now(fd: BorrowedFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the pointer and length are those of one live slice.
    cerr_size(unsafe { libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) })
}

/// Whether a write of a few bytes would go through, or fail, without waiting.
pub fn is_writable_now(fd: BorrowedFd) -> bool {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd, as the count says.
    let ready = unsafe { libc::poll(&raw mut entry, 1, 0) };
    ready > 0
}

/// Waits until the descriptor can be read, or `timeout_ms` pass (negative: for ever); false when they passed or a
/// signal came. For the small programs that have no reactor.
pub fn wait_readable(fd: BorrowedFd, timeout_ms: i32) -> bool {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, as the count says.
    let ready = unsafe { libc::poll(&raw mut entry, 1, timeout_ms) };
    ready > 0
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::sys::scratch::INHERITABLE;

    fn is_cloexec(fd: RawFd) -> bool {
        // SAFETY: F_GETFD takes nothing.
        cerr(unsafe { libc::fcntl(fd, libc::F_GETFD) }).unwrap() & libc::FD_CLOEXEC != 0
    }

    #[test]
    fn descriptors_are_close_on_exec_from_birth() {
        let pipe = pipe().unwrap();
        let copy = duplicate(pipe.read.as_fd()).unwrap();
        for fd in [pipe.read.as_raw_fd(), pipe.write.as_raw_fd(), copy.as_raw_fd()] {
            assert!(is_cloexec(fd) && fd >= FIRST_OWN, "{fd}");
        }
        assert_eq!(duplicate_raw(1 << 20).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn inherited_descriptors_are_marked() {
        let _lock = INHERITABLE.lock().unwrap();
        for mark in [mark_inherited_cloexec, mark_listed_cloexec] {
            // SAFETY: no pointer is passed.
            let inherited = cerr(unsafe { libc::dup(0) }).unwrap();
            assert!(!is_cloexec(inherited));
            mark().unwrap();
            assert!(is_cloexec(inherited));
            // SAFETY: made above, owned here.
            drop(unsafe { OwnedFd::from_raw_fd(inherited) });
        }
    }

    #[test]
    fn a_call_is_made_again_when_it_was_interrupted() {
        let mut results = vec![libc::EMFILE, libc::EINTR, libc::EINTR];
        let result = retry(|| Err::<(), _>(io::Error::from_raw_os_error(results.pop().unwrap())));
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EMFILE));
        for (number, expected) in
            [(libc::ENOMEM, true), (libc::EMFILE, true), (libc::EIO, false), (libc::EAGAIN, false)]
        {
            assert_eq!(may_pass(&io::Error::from_raw_os_error(number)), expected, "{number}");
        }
    }

    #[test]
    fn a_full_pipe_is_not_writable() {
        let pipe = pipe().unwrap();
        assert!(is_writable_now(pipe.write.as_fd()));
        set_nonblocking(&pipe.write).unwrap();
        let full = loop {
            if let Err(error) = write(pipe.write.as_fd(), &[0; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        assert!(!is_writable_now(pipe.write.as_fd()));
        assert!(wait_readable(pipe.read.as_fd(), -1));
    }
}
