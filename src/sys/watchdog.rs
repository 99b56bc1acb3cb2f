//! A board's watchdog as the kernel shows it: a device that resets the board when it is not written to for some time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use super::cerr;

/// Asks the driver for another timeout, in seconds, and is told which it took; the kernel's WDIOC_SETTIMEOUT. The number of
/// an ioctl is not the same on every processor.
const SET_TIMEOUT: libc::c_ulong = nix::request_code_readwrite!(b'W', 6, size_of::<libc::c_int>()) as libc::c_ulong;

/// The request WDIOC_GETTIMEOUT of the kernel's watchdog.
const GET_TIMEOUT: libc::c_ulong = nix::request_code_read!(b'W', 7, size_of::<libc::c_int>()) as libc::c_ulong;

/// What stops it when it is written just before closing.
const STOP: &[u8] = b"V";

/// Anything else is a sign of life.
const LIFE: &[u8] = b"\0";

/// An open watchdog, which counts from the opening on.
#[derive(Debug)]
pub struct Device(File);

impl Device {
    /// Opens it, which starts it. Close-on-exec, and never waited for.
    pub fn open(path: &str) -> io::Result<Device> {
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        OpenOptions::new().write(true).custom_flags(flags).open(path).map(Device)
    }

    /// Has it wait for so many seconds; answers for how many it does.
    pub fn set_timeout(&self, seconds: i32) -> io::Result<i32> {
        self.ask(SET_TIMEOUT, seconds)
    }

    /// For how many seconds it waits.
    pub fn timeout(&self) -> io::Result<i32> {
        self.ask(GET_TIMEOUT, 0)
    }

    fn ask(&self, request: libc::c_ulong, mut seconds: libc::c_int) -> io::Result<i32> {
        // SAFETY: both requests read and write one int, which is live. What is no watchdog refuses them.
        cerr(unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, &raw mut seconds) })?;
        Ok(seconds)
    }

    /// Gives a sign of life.
    pub fn pet(&mut self) -> io::Result<()> {
        self.0.write_all(LIFE)
    }

    /// Says that closing is meant; without that, or where the driver does not allow it, the board is reset.
    pub fn stop(mut self) -> io::Result<()> {
        self.0.write_all(STOP)
    }
}
