//! System calls. All unsafe code of the crate is here.
//!
//! Nothing in this folder decides anything: each function asks the system for one thing and says what came of it.
//! What is prepared before a child exists and what happens in it is in [`spawn`]; how it is found, signalled and
//! reaped is in [`command`] and [`process`]. The rest is start-up: users, limits, sockets, daemonizing.

use std::io;

pub(crate) mod cgroup;
pub(crate) mod command;
pub(crate) mod daemonize;
pub(crate) mod environment;
pub(crate) mod fd;
pub(crate) mod file;
pub(crate) mod gzip;
pub(crate) mod holder;
pub(crate) mod init;
pub(crate) mod limits;
pub(crate) mod machine;
pub(crate) mod memory;
#[cfg(feature = "fleet")]
pub(crate) mod multicast;
pub(crate) mod notify;
pub(crate) mod oom;
pub(crate) mod partition;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod remains;
pub(crate) mod resolve;
#[cfg(test)]
pub(crate) mod scratch;
pub(crate) mod signals;
pub(crate) mod sockets;
pub(crate) mod spawn;
pub(crate) mod standard;
#[cfg(any(feature = "ctl", feature = "applets"))]
pub(crate) mod terminal;
pub(crate) mod time;
pub(crate) mod users;
pub(crate) mod watch;
pub(crate) mod watchdog;

/// Turns the -1 of a system call into the error it left behind.
fn cerr(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The same for calls that return a size.
fn cerr_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The error number of an I/O error; 0 for one that the system did not cause.
pub fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

/// Fills a small buffer (up to 256 bytes) with random bytes.
pub fn random_bytes(buffer: &mut [u8]) -> io::Result<()> {
    // The bare call, for std declares the function weak, and a static musl build then ends up without it.
    // SAFETY: the pointer and length are those of one live slice. Up to 256 bytes come whole.
    let count = unsafe { libc::syscall(libc::SYS_getrandom, buffer.as_mut_ptr(), buffer.len(), 0) };
    let count = cerr_size(count as libc::ssize_t)?;
    if count == buffer.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
