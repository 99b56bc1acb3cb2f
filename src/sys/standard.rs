//! Descriptors 0 to 2: there from the first moment on, and what stands in for /dev/null where that is missing.
//!
//! The kernel starts init without them when it has no console. The runtime then opens /dev/null in their place before
//! `main`, and aborts where there is none, as in an empty root; for PID 1 that is the end of the machine. So they are
//! filled earlier than that, by a constructor.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::{cerr, fd};

/// Run by the C library before the runtime looks at the descriptors.
#[used]
#[unsafe(link_section = ".init_array")]
static FILL: extern "C" fn() = fill;

/// Opens what is missing of 0 to 2. Nothing is set up yet that could allocate, fail aloud or be locked.
extern "C" fn fill() {
    for number in 0..3 {
        // SAFETY: F_GETFD takes nothing, and a bad descriptor is an error, not a fault.
        if unsafe { libc::fcntl(number, libc::F_GETFD) } != -1 {
            continue;
        }
        // The lowest free number is given out, which is this one.
        // SAFETY: the path ends with a zero byte.
        if unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) } != -1 {
            continue;
        }
        let mut ends = [-1; 2];
        // SAFETY: `ends` is the array of two ints that pipe fills; the second one is ours to close.
        unsafe {
            if libc::pipe(ends.as_mut_ptr()) == 0 {
                libc::close(ends[1]);
            }
        }
    }
}

/// /dev/null; without it the end of a pipe that nobody writes to. Either is at its end at once. Writing to the latter
/// fails, and without a signal: it is the reading end.
pub fn null() -> io::Result<OwnedFd> {
    match std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        Ok(file) => Ok(file.into()),
        Err(_) => unused_pipe(),
    }
}

fn unused_pipe() -> io::Result<OwnedFd> {
    let fd::Pipe { read, write } = fd::pipe()?;
    drop(write);
    Ok(read)
}

/// Lets 0 to 2 be [`null`].
pub(super) fn detach() -> io::Result<()> {
    let null = null()?;
    for number in 0..3 {
        // SAFETY: `null` is open; what 0 to 2 were before is nobody's to close.
        cerr(unsafe { libc::dup2(null.as_raw_fd(), number) })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn nothing_comes_out_of_nothing() {
        for fd in [null().unwrap(), unused_pipe().unwrap()] {
            assert_eq!(fd::read(fd.as_fd(), &mut [0; 8]).unwrap(), 0);
        }
    }
}
