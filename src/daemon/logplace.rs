//! Where the log of a channel is, and how it is read: a file, or the daemon's own memory (K-9).

use std::rc::Rc;

use super::host::{Errno, Span};
use super::{Daemon, Host};
use crate::config::{LogFile, Storage};
use crate::id::{Channel, ProcId};
use crate::model::backpressure::Outlet;
use crate::model::logs::ring::Ring;

/// Where a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPlace {
    /// A file under that path.
    File(Rc<str>),
    /// The memory of that channel.
    Memory(ProcId, Channel),
}

/// What a log was when it was looked at: under the same name there may be another one later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogIdentity {
    /// Device and inode of a file.
    File(u64, u64),
    /// How often a log in memory was emptied.
    Memory(u64),
}

/// The part of a log that can be read, by offsets from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The oldest byte that there is.
    pub start: u64,
    /// Behind the newest one: the size of the log.
    pub end: u64,
}

impl Daemon {
    /// Where the log of a channel is; `None` where none is kept.
    pub fn log_place(&self, id: ProcId, channel: Channel) -> Option<LogPlace> {
        let output = self.roster.process(id)?.output(channel);
        match &output.ring {
            Some(_) => Some(LogPlace::Memory(id, channel)),
            None => output.path.clone().map(LogPlace::File),
        }
    }

    /// What of a log there is.
    pub fn log_extent(&self, place: &LogPlace, host: &mut dyn Host) -> Result<Extent, Errno> {
        match place {
            LogPlace::File(path) => Ok(Extent { start: 0, end: host.file_size(path)? }),
            LogPlace::Memory(id, channel) => {
                let ring = self.ring((*id, *channel)).ok_or(Errno(libc::ENOENT))?;
                Ok(Extent { start: ring.start(), end: ring.end() })
            }
        }
    }

    /// Reads a part of a log, as far as that is there.
    pub fn log_read(&self, place: &LogPlace, span: Span, host: &mut dyn Host) -> Result<Vec<u8>, Errno> {
        match place {
            LogPlace::File(path) => host.file_read(path, span),
            LogPlace::Memory(id, channel) => {
                let ring = self.ring((*id, *channel)).ok_or(Errno(libc::ENOENT))?;
                Ok(ring.read(span.offset, span.length))
            }
        }
    }

    /// What a log is now; `None` where there is none.
    pub fn log_identity(&self, place: &LogPlace, host: &mut dyn Host) -> Option<LogIdentity> {
        match place {
            LogPlace::File(path) => host.file_identity(path).map(|(device, inode)| LogIdentity::File(device, inode)),
            LogPlace::Memory(id, channel) => self.ring((*id, *channel)).map(|ring| LogIdentity::Memory(ring.clears())),
        }
    }

    /// Whether a log in memory was written or emptied since the last call.
    pub fn take_ring_news(&mut self) -> bool {
        std::mem::take(&mut self.has_ring_news)
    }

    fn ring(&self, (id, channel): Outlet) -> Option<&Ring> {
        self.roster.process(id)?.output(channel).ring.as_deref()
    }

    /// Adds to the log of a channel, if there is one.
    pub(super) fn append_log(&mut self, id: ProcId, channel: Channel, bytes: &[u8], host: &mut dyn Host) {
        let Some(process) = self.roster.process_mut(id) else { return };
        let stream = process.output_mut(channel);
        if let Some(log) = stream.log {
            host.log_write(log, bytes);
        } else if let Some(ring) = &mut stream.ring {
            ring.push(bytes);
            self.has_ring_news = true;
        } else {
            return;
        }
        process.arrival.note(channel, bytes.len());
    }

    /// Says that AUTO logs could not be made, of all processes that came in since it was said last.
    pub(super) fn tell_of_unkept_logs(&mut self) {
        if let Some((count, error)) = self.unkept_logs.take() {
            let directory = self.config.supervisord.auto_log_directory();
            let what = if count == 1 { "an AUTO log" } else { &format!("{count} AUTO logs") };
            activity!(Warn, "could not make {what} in {directory}: {error}; what would be written there is not kept");
        }
    }

    /// The log of a process that was just activated, or has another one now: the path of a file, AUTO made (L-40), or
    /// memory, in which what is there stays.
    pub(super) fn resolve_log(&mut self, id: ProcId, channel: Channel, host: &mut dyn Host) {
        let Some(process) = self.roster.process_mut(id) else { return };
        let config = process.config.clone();
        let supervisord = &self.config.supervisord;
        let options = config.log(channel);
        let (mut path, mut ring) = (None, None);
        match (&options.logfile, options.logfile_storage) {
            (LogFile::None | LogFile::Syslog, _) => {}
            (LogFile::Path(path), _) if path.is_empty() => {}
            (_, Storage::Memory(bytes_max)) => {
                let old = process.output_mut(channel).ring.take().filter(|old| old.keeps(bytes_max));
                ring = old.or_else(|| Some(Box::new(Ring::new(bytes_max))));
            }
            (LogFile::Path(written), Storage::File) => path = Some(written.as_str().into()),
            (LogFile::Auto, Storage::File) => {
                let directory = supervisord.auto_log_directory();
                match host.log_make_auto(directory, &config.name, channel, &supervisord.identifier) {
                    Ok(made) => path = Some(made.into()),
                    // One reason for all of them, and one line (K-5).
                    Err(error @ Errno(libc::EROFS | libc::EACCES)) => {
                        self.unkept_logs.get_or_insert((0, error)).0 += 1;
                    }
                    Err(error) => {
                        activity!(
                            Error,
                            "could not make a {} log for '{}' in {directory}: {error}; its output is not kept",
                            channel.name(),
                            config.name
                        );
                    }
                }
            }
        }
        let stream = process.output_mut(channel);
        (stream.path, stream.ring) = (path, ring);
    }
}
