//! The log of one output channel of a child.

use std::io;
use std::os::fd::BorrowedFd;

use super::sink::Sink;
use crate::errno;
use crate::sys::errno_of;

/// A sink that nothing can stop: its troubles go to the activity log, once each, and supervision goes on (L-7).
#[derive(Debug)]
pub struct ChildLog {
    sink: Sink,
    /// A failed write has been reported since the log was last opened.
    reported: bool,
}

impl ChildLog {
    /// Opens the log at a spawn (L-31). Rotates at `maxbytes` (0: never), keeping `backups` files.
    ///
    /// Errors: it cannot be opened; the spawn fails with it (P-31).
    pub fn open(path: &str, maxbytes: u64, backups: u32) -> io::Result<ChildLog> {
        Ok(ChildLog { sink: Sink::open(path, maxbytes, backups)?, reported: false })
    }

    /// Appends a chunk, byte for byte (L-30).
    pub fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.sink.write(bytes) {
            self.report("write to", &error);
        }
        self.tell_recovered();
    }

    /// Opens whatever is at the path now (L-60).
    pub fn reopen(&mut self) {
        self.reported = false;
        if let Err(error) = self.sink.reopen() {
            self.report("reopen", &error);
        }
    }

    /// Deletes the file and begins a new one; a stream is left alone (L-62).
    ///
    /// Errors: what was open stays in use.
    pub fn clear(&mut self) -> io::Result<()> {
        self.reported = false;
        self.sink.clear()
    }

    /// Whether bytes wait for a reader (streams only): then [`ChildLog::fd`] is to be polled for writability, and
    /// [`ChildLog::flush`] to be called when it is.
    pub fn is_pending(&self) -> bool {
        self.sink.is_pending()
    }

    /// The descriptor to poll while bytes are pending.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.sink.fd()
    }

    /// Writes what is pending as far as it goes.
    pub fn flush(&mut self) {
        self.sink.flush();
        self.tell_recovered();
    }

    fn report(&mut self, what: &str, error: &io::Error) {
        if !std::mem::replace(&mut self.reported, true) {
            activity!(Error, "could not {what} log {}: {}", self.sink.path(), errno::name(errno_of(error)));
        }
    }

    fn tell_recovered(&mut self) {
        let lost = self.sink.take_recovered();
        if lost > 0 {
            activity!(Warn, "{lost} bytes for {} were dropped while its reader did not keep up", self.sink.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn a_failing_log_is_reported_once_and_can_be_reopened() {
        let scratch = Scratch::new("child");
        let path = scratch.path("log");
        let mut log = ChildLog::open(&path, 3, 1).unwrap();
        std::fs::create_dir_all(format!("{path}.1/x")).unwrap();
        assert!(!log.reported);
        log.write(b"aaa");
        assert!(log.reported);
        log.write(b"bbb");
        std::fs::remove_dir_all(format!("{path}.1")).unwrap();
        log.reopen();
        assert!(!log.reported);
        log.write(b"c");
        assert_eq!(std::fs::read_to_string(format!("{path}.1")).unwrap(), "aaabbbc");
        log.clear().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        assert!(!log.is_pending() && log.fd().is_none());
    }
}
