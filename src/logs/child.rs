//! The log of one output channel of a child.

use std::io;

use super::sink::{Loss, Sink};
use crate::clock::Mono;
use crate::errno;
use crate::id::{Channel, ProcId};
use crate::sys::errno_of;

/// How a log is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct LogPlan<'a> {
    /// Whose output goes there: process and channel.
    pub outlet: (ProcId, Channel),
    /// Its path, or what it is called.
    pub path: &'a str,
    /// Size in bytes at which it is rotated; 0 never.
    pub maxbytes: u64,
    /// How many older files are kept.
    pub backups: u32,
    /// Older files are compressed.
    pub compress: bool,
    /// Rotated between lines only.
    pub between_lines: bool,
    /// Nothing of a stream is dropped: its child waits for the reader.
    pub waits: bool,
}

/// A sink that nothing can stop: its troubles go to the activity log, once each, and supervision goes on (L-7).
#[derive(Debug)]
pub struct ChildLog {
    sink: Sink,
    /// Nothing of a stream may be lost: its child is held up instead.
    waits: bool,
    /// A failed write has been reported since the log was last opened.
    reported: bool,
}

impl ChildLog {
    /// Opens the log at a spawn (L-31).
    ///
    /// Errors: it cannot be opened; the spawn fails with it (P-31).
    pub fn open(plan: &LogPlan<'_>) -> io::Result<ChildLog> {
        let sink = Sink::open(plan.path, plan.maxbytes, plan.backups)?;
        let sink = match sink {
            Sink::File(file) => Sink::File(file.between_lines(plan.between_lines).compressing(plan.compress)),
            stream => stream,
        };
        Ok(ChildLog { sink, waits: plan.waits, reported: false })
    }

    pub(crate) fn path(&self) -> &str {
        self.sink.path()
    }

    /// Appends a chunk, byte for byte (L-30). Says whether more than that may have happened.
    pub fn write(&mut self, bytes: &[u8], now: Mono) -> bool {
        match self.sink.write(bytes, !self.waits, now) {
            Ok(false) => false,
            Ok(true) => {
                self.tell_loss();
                true
            }
            Err(error) => {
                self.report("write to", &error);
                true
            }
        }
    }

    /// Whether there is a backup to be compressed, told once, and how many backups there may be.
    pub fn take_backup(&mut self) -> Option<u32> {
        self.sink.take_backup()
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

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        matches!(self.sink, Sink::File(_))
    }

    /// Empties the file where it is; a stream is left alone.
    pub fn begin_anew(&mut self) -> io::Result<()> {
        self.sink.begin_anew()
    }

    /// Begins a new file; a stream is left alone. Whether that is done.
    pub fn rotate(&mut self) -> bool {
        self.sink.rotate().unwrap_or_else(|error| {
            self.report("rotate", &error);
            false
        })
    }

    /// Whether something else was written to the same place behind the line that we have begun.
    pub fn was_interrupted(&self) -> bool {
        match &self.sink {
            Sink::File(file) => file.was_written_by_others(),
            Sink::Stream(stream) => !stream.has_open_line(),
        }
    }

    /// Whether its child is not to be read: it may lose nothing, and its stream is full.
    pub fn is_full(&self) -> bool {
        self.waits && self.sink.is_pending()
    }

    /// Tries once more to write what could not be written. Says whether nothing is left.
    pub fn write_rest(&mut self) -> bool {
        let is_written = match &mut self.sink {
            Sink::File(file) => file.write_kept(),
            Sink::Stream(_) => true,
        };
        self.tell_loss();
        is_written
    }

    /// Is given up although something is left.
    pub fn give_up(mut self) {
        if let Sink::File(file) = &mut self.sink {
            let lost = file.unwritten();
            activity!(Warn, "log {} could not be written to the end; {lost} bytes were lost", file.path());
        }
    }

    /// Takes over the log of an earlier run that could not be written.
    pub fn adopt(&mut self, plan: &LogPlan<'_>) {
        self.waits = plan.waits;
        if let Sink::File(file) = &mut self.sink {
            file.limit(plan.maxbytes, plan.backups);
        }
        if let Err(error) = self.sink.reopen() {
            self.report("reopen", &error);
        }
    }

    fn report(&mut self, what: &str, error: &io::Error) {
        if !std::mem::replace(&mut self.reported, true) {
            activity!(Error, "could not {what} log {}: {}", self.sink.path(), errno::name(errno_of(error)));
        }
    }

    fn tell_loss(&mut self) {
        let Some(loss) = self.sink.take_loss() else { return };
        let path = self.sink.path();
        match loss {
            Loss::Slow(lost) => tell_slow(path, lost),
            Loss::Outage(lost) => {
                activity!(Warn, "log {path} is written to again; {lost} bytes were lost");
                self.reported = false;
            }
        }
    }
}

/// Says how much a stream has lost.
pub fn tell_slow(path: &str, lost: u64) {
    activity!(Warn, "{lost} bytes for {path} were dropped while its reader did not keep up");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn a_failing_log_is_reported_once_and_can_be_reopened() {
        let scratch = Scratch::new("child");
        let path = scratch.path("log");
        let outlet = (ProcId(1), Channel::Stdout);
        let plan = LogPlan {
            outlet,
            path: &path,
            maxbytes: 3,
            backups: 1,
            compress: false,
            waits: false,
            between_lines: false,
        };
        let mut log = ChildLog::open(&plan).unwrap();
        std::fs::create_dir_all(format!("{path}.1/x")).unwrap();
        assert!(!log.reported);
        log.write(b"aaa", Mono(0));
        assert!(log.reported);
        log.write(b"bbb", Mono(0));
        std::fs::remove_dir_all(format!("{path}.1")).unwrap();
        log.reopen();
        assert!(!log.reported);
        log.write(b"c", Mono(0));
        assert_eq!(std::fs::read_to_string(format!("{path}.1")).unwrap(), "aaabbbc");
        log.clear().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        assert!(!log.is_full() && log.write_rest());
    }
}
