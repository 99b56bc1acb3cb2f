//! System calls. All unsafe code of the crate is here.
//!
//! Nothing in this folder decides anything: each function asks the system for one thing and says what came of it.
//! What is prepared before a child exists and what happens in it is in [`spawn`]; how it is found, signalled and
//! reaped is in [`command`] and [`process`]. The rest is start-up: users, limits, sockets, daemonizing.

use std::io;

pub mod cgroup;
pub mod command;
pub mod daemonize;
pub mod environment;
pub mod fd;
pub mod file;
pub mod gzip;
pub mod holder;
pub mod init;
pub mod limits;
pub mod machine;
pub mod memory;
pub mod notify;
pub mod oom;
pub mod peer;
pub mod process;
pub mod remains;
pub mod resolve;
#[cfg(test)]
pub mod scratch;
pub mod signals;
pub mod sockets;
pub mod spawn;
pub mod standard;
pub mod terminal;
pub mod time;
pub mod users;
pub mod watch;
pub mod watchdog;

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
