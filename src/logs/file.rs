//! A regular file that is appended to and rotated by size (L-50 to L-56).
//!
//! Where the file ends is counted, not asked: one write(2) per chunk is all that a chunk costs. Before a rotation the
//! size is looked up once, for somebody may have truncated the file meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::time::Duration;

use crate::clock::Mono;
use crate::model::logs::kept::Kept;

/// Mode of a new log file, less the umask (L-5, L-56).
const MODE: u32 = 0o666;

/// Permissions of anybody but the owner.
const OTHERS: u32 = 0o077;

/// Between two tries to write a file that cannot be written.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// Most backups kept: far more than anybody wants, and each costs a rename(2) at every rotation.
const BACKUPS_MAX: u32 = 10_000;

/// The file while it is open, with its end as counted by us.
#[derive(Debug)]
pub struct RotatingFile {
    path: Box<str>,
    file: File,
    position: u64,
    maxbytes: u64,
    /// Where it is looked at after a write: at `maxbytes`; never; or at once, when a rotation waits for the end of a line.
    limit: u64,
    backups: u32,
    /// Backups are compressed, by somebody else.
    compresses: bool,
    /// It is rotated between lines only.
    is_between_lines: bool,
    /// The last byte written was no line feed.
    is_mid_line: bool,
    /// It cannot be written at the moment.
    outage: Option<Box<Outage>>,
    /// It can be written again, and so much was lost meanwhile.
    restored: Option<u64>,
    /// There is a backup to be compressed.
    has_backup: bool,
}

/// A time in which the file cannot be written: the disk is full or broken, or has become read-only.
#[derive(Debug)]
struct Outage {
    kept: Kept,
    /// When it was tried last.
    tried: Mono,
}

/// Opens `path` to append to, creating it. Does not wait for the other end of a FIFO: ENXIO when there is none.
pub(super) fn open_to_append(path: &str) -> io::Result<File> {
    open_with(path, 0, MODE)
}

/// The same for a path that is no symbolic link: ELOOP for one.
pub(super) fn open_unlinked(path: &str) -> io::Result<File> {
    open_with(path, libc::O_NOFOLLOW, MODE)
}

fn open_with(path: &str, flags: i32, mode: u32) -> io::Result<File> {
    let flags = flags | libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().append(true).create(true).mode(mode).custom_flags(flags).open(path)
}

impl RotatingFile {
    /// Takes over a regular file of `size` bytes that was opened to append. Rotates when it reaches `maxbytes` (0:
    /// never), keeping `backups` older files, or none, and then truncating in place (L-53).
    pub(super) fn new(path: &str, file: File, size: u64, maxbytes: u64, backups: u32) -> RotatingFile {
        RotatingFile {
            path: path.into(),
            file,
            position: size,
            maxbytes,
            limit: limit(maxbytes),
            backups: backups.min(BACKUPS_MAX),
            compresses: false,
            is_between_lines: false,
            is_mid_line: false,
            outage: None,
            restored: None,
            has_backup: false,
        }
    }

    /// Its path, as given.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same, rotated between lines only, or wherever it is full.
    pub(super) fn between_lines(mut self, is_between_lines: bool) -> RotatingFile {
        self.is_between_lines = is_between_lines;
        self
    }

    /// The same, with backups that are compressed, or not.
    pub(super) fn compressing(mut self, compresses: bool) -> RotatingFile {
        self.compresses = compresses;
        self
    }

    /// Whether its end is not where we have left it.
    pub(super) fn was_written_by_others(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() != self.position)
    }

    /// Is rotated by other limits from now on.
    pub(super) fn limit(&mut self, maxbytes: u64, backups: u32) {
        (self.maxbytes, self.limit, self.backups) = (maxbytes, limit(maxbytes), backups.min(BACKUPS_MAX));
    }

    /// Whether there is a backup to be compressed, told once, and how many backups there may be.
    pub(super) fn take_backup(&mut self) -> Option<u32> {
        std::mem::take(&mut self.has_backup).then_some(self.backups)
    }

    /// Bytes in the file as far as we know (L-51).
    pub fn size(&self) -> u64 {
        self.position
    }

    /// Appends a chunk whole, then rotates if the file is full (L-50). While the file cannot be written, the newest bytes
    /// are kept and tried again with a later write, [`RETRY_TIME`] after the last try (K-9). Says whether more than that has
    /// happened: [`RotatingFile::take_restored`] and [`RotatingFile::take_backup`] tell what.
    ///
    /// Errors: the first write that failed; after a failed rotation the file goes on growing and is rotated when
    /// another `maxbytes` have come. The log can be used further in both cases.
    pub fn write(&mut self, bytes: &[u8], now: Mono) -> io::Result<bool> {
        if self.outage.is_some() {
            return self.try_again(bytes, now).map(|()| true);
        }
        if let Err((written, error)) = self.append(bytes) {
            let mut outage = Box::new(Outage { kept: Kept::default(), tried: now });
            outage.kept.push(&bytes[written..]);
            self.outage = Some(outage);
            return Err(error);
        }
        if self.position < self.limit { Ok(false) } else { self.rotate_if_full().map(|()| true) }
    }

    /// The same while the file cannot be written.
    fn try_again(&mut self, bytes: &[u8], now: Mono) -> io::Result<()> {
        let Some(outage) = &mut self.outage else { return Ok(()) };
        outage.kept.push(bytes);
        if now.since(outage.tried) < RETRY_TIME {
            return Ok(());
        }
        outage.tried = now;
        self.write_kept();
        if self.outage.is_none() && self.position >= self.limit {
            return self.rotate_if_full();
        }
        Ok(())
    }

    /// Writes what is kept, as far as that goes. Says whether nothing is kept any more.
    pub(super) fn write_kept(&mut self) -> bool {
        let Some(mut outage) = self.outage.take() else { return true };
        // What was lost took the rest of a line along.
        let is_torn = outage.kept.lost() > 0 && self.is_mid_line;
        if is_torn && self.append(b"\n").is_err() {
            self.outage = Some(outage);
            return false;
        }
        if let Err((written, _)) = self.append(outage.kept.bytes()) {
            outage.kept.written(written);
            self.outage = Some(outage);
            return false;
        }
        self.restored = Some(outage.kept.lost());
        true
    }

    /// How much was lost while the file could not be written, told once when it can be again.
    pub(super) fn take_restored(&mut self) -> Option<u64> {
        self.restored.take()
    }

    /// Bytes that are lost if the file is given up now.
    pub(super) fn unwritten(&mut self) -> u64 {
        self.outage.as_mut().map_or(0, |outage| outage.kept.lost() + outage.kept.bytes().len() as u64)
    }

    /// Errors: how many bytes were written before it.
    fn append(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < bytes.len() {
            let error = match self.file.write(&bytes[written..]) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(count) => {
                    self.position += count as u64;
                    written += count;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            self.note_end(&bytes[..written]);
            return Err((written, error));
        }
        self.note_end(bytes);
        Ok(())
    }

    /// Notes whether the file ends within a line.
    fn note_end(&mut self, written: &[u8]) {
        if let Some(last) = written.last() {
            self.is_mid_line = *last != b'\n';
        }
    }

    fn rotate_if_full(&mut self) -> io::Result<()> {
        if self.is_between_lines && self.is_mid_line {
            return Ok(());
        }
        if self.limit == 0 {
            return self.rotate().map(|_| ());
        }
        let size = self.file.metadata().map_or(self.position, |metadata| metadata.len());
        if size < self.maxbytes {
            self.position = size;
            return Ok(());
        }
        // Also when rotating fails: a full disk must not make us try at each line.
        self.position = 0;
        if self.backups == 0 { self.file.set_len(0) } else { self.shift() }
    }

    /// Begins a new file although this one is not full, unless it is empty, or once the line that has begun has come to its
    /// end if it is rotated between lines only. Whether it is done. Errors: it goes on.
    pub fn rotate(&mut self) -> io::Result<bool> {
        if self.is_between_lines && self.is_mid_line {
            self.limit = 0;
            return Ok(false);
        }
        self.limit = limit(self.maxbytes);
        if self.file.metadata()?.len() == 0 {
            return Ok(false);
        }
        self.position = 0;
        self.is_mid_line = false;
        if self.backups == 0 { self.file.set_len(0) } else { self.shift() }?;
        Ok(true)
    }

    /// Empties the file where it is, as one without backups does when it is full.
    pub fn begin_anew(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        (self.position, self.is_mid_line) = (0, false);
        Ok(())
    }

    /// Renames `.n-1` to `.n` and so on, the file to `.1`, and begins a new one (L-52).
    fn shift(&mut self) -> io::Result<()> {
        let path = &self.path;
        if self.compresses {
            // A number has one file, compressed or not yet.
            missing_is_fine(fs::remove_file(format!("{path}.{}", self.backups)))?;
            missing_is_fine(fs::remove_file(compressed(path, self.backups)))?;
        }
        for number in (1..self.backups).rev() {
            rename(&format!("{path}.{number}"), &format!("{path}.{}", number + 1))?;
            if self.compresses {
                rename(&compressed(path, number), &compressed(path, number + 1))?;
            }
        }
        rename(path, &format!("{path}.1"))?;
        self.has_backup = self.compresses;
        self.file = self.open_next()?;
        self.position = self.file.metadata()?.len();
        Ok(())
    }

    /// Opens whatever is at the path now, creating it (L-60).
    ///
    /// Errors: the file that was open stays in use.
    pub fn reopen(&mut self) -> io::Result<()> {
        let file = self.open_next()?;
        self.position = file.metadata()?.len();
        self.file = file;
        Ok(())
    }

    /// Opens the path anew. A file that has to be made for it is as private as the one before, as AUTO logs are (L-40).
    fn open_next(&self) -> io::Result<File> {
        let before = self.file.metadata().map_or(MODE, |metadata| metadata.mode());
        open_with(&self.path, 0, if before & OTHERS == 0 { before & MODE } else { MODE })
    }

    /// Deletes the file and begins a new one; backups stay (L-61, L-62).
    ///
    /// Errors: it could not be deleted, or not be made anew; the file that was open stays in use.
    pub fn clear(&mut self) -> io::Result<()> {
        self.remove()?;
        self.outage = None;
        self.reopen()
    }

    /// Deletes the file, which need not exist, and goes on writing to what is open.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        missing_is_fine(fs::remove_file(&*self.path))
    }
}

/// Where a file is looked at that is rotated at `maxbytes`.
fn limit(maxbytes: u64) -> u64 {
    if maxbytes == 0 { u64::MAX } else { maxbytes }
}

/// The compressed backup of that number.
pub fn compressed(path: &str, number: u32) -> String {
    format!("{path}.{number}.gz")
}

/// Renames, overwriting; a missing source is no error (L-54).
fn rename(from: &str, to: &str) -> io::Result<()> {
    missing_is_fine(fs::rename(from, to))
}

fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
