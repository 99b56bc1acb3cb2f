//! A regular file that is appended to and rotated by size (L-50 to L-56).
//!
//! Where the file ends is counted, not asked: one write(2) per chunk is all that a chunk costs. Before a rotation the
//! size is looked up once, for somebody may have truncated the file meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// Mode of a new log file, less the umask (L-5, L-56).
const MODE: u32 = 0o666;

/// Permissions of anybody but the owner.
const OTHERS: u32 = 0o077;

/// Most backups kept: far more than anybody wants, and each costs a rename(2) at every rotation.
const BACKUPS_MAX: u32 = 10_000;

/// The file while it is open, with its end as counted by us.
#[derive(Debug)]
pub struct RotatingFile {
    path: Box<str>,
    file: File,
    position: u64,
    maxbytes: u64,
    backups: u32,
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
        RotatingFile { path: path.into(), file, position: size, maxbytes, backups: backups.min(BACKUPS_MAX) }
    }

    /// Its path, as given.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Bytes in the file as far as we know (L-51).
    pub fn size(&self) -> u64 {
        self.position
    }

    /// Appends a chunk whole, then rotates if the file is full (L-50).
    ///
    /// Errors: what was not written is lost; after a failed rotation the file goes on growing and is rotated when
    /// another `maxbytes` have come. The log can be used further in both cases.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.append(bytes);
        if self.maxbytes > 0 && self.position >= self.maxbytes { written.and(self.rotate_if_full()) } else { written }
    }

    fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.position += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn rotate_if_full(&mut self) -> io::Result<()> {
        let size = self.file.metadata().map_or(self.position, |metadata| metadata.len());
        if size < self.maxbytes {
            self.position = size;
            return Ok(());
        }
        // Also when rotating fails: a full disk must not make us try at each line.
        self.position = 0;
        if self.backups == 0 { self.file.set_len(0) } else { self.shift() }
    }

    /// Renames `.n-1` to `.n` and so on, the file to `.1`, and begins a new one (L-52).
    fn shift(&mut self) -> io::Result<()> {
        let path = &self.path;
        for number in (1..self.backups).rev() {
            rename(&format!("{path}.{number}"), &format!("{path}.{}", number + 1))?;
        }
        rename(path, &format!("{path}.1"))?;
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
        self.reopen()
    }

    /// Deletes the file, which need not exist, and goes on writing to what is open.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        missing_is_fine(fs::remove_file(&*self.path))
    }
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
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::sys::scratch::Scratch;

    fn open(path: &str, maxbytes: u64, backups: u32) -> RotatingFile {
        let file = open_to_append(path).unwrap();
        let size = file.metadata().unwrap().len();
        RotatingFile::new(path, file, size, maxbytes, backups)
    }

    fn contents(scratch: &Scratch) -> Vec<(String, String)> {
        let mut all: Vec<_> = fs::read_dir(scratch.path(""))
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn rotation_by_size() {
        // (bytes before, maxbytes, backups, chunks, files afterwards)
        type Row<'a> = (&'a str, u64, u32, &'a [&'a str], &'a [(&'a str, &'a str)]);
        let rows: &[Row] = &[
            ("", 0, 2, &["12345678", "9"], &[("log", "123456789")]),
            ("", 5, 2, &["1234"], &[("log", "1234")]),
            ("", 5, 2, &["1234", "5"], &[("log", ""), ("log.1", "12345")]),
            // A chunk is never split.
            ("", 5, 2, &["1234", "5678"], &[("log", ""), ("log.1", "12345678")]),
            ("", 5, 2, &["aaaaa", "bbbbb"], &[("log", ""), ("log.1", "bbbbb"), ("log.2", "aaaaa")]),
            ("", 5, 2, &["aaaaa", "bbbbb", "ccccc", "d"], &[("log", "d"), ("log.1", "ccccc"), ("log.2", "bbbbb")]),
            ("", 5, 1, &["aaaaa", "bbbbb"], &[("log", ""), ("log.1", "bbbbb")]),
            ("", 5, 0, &["aaaaa", "b"], &[("log", "b")]),
            ("", 5, 0, &["aaaaab"], &[("log", "")]),
            // What was there before counts.
            ("old", 5, 1, &["ab", "c"], &[("log", "c"), ("log.1", "oldab")]),
        ];
        for (before, maxbytes, backups, chunks, expected) in rows {
            let scratch = Scratch::new("rotation");
            if !before.is_empty() {
                fs::write(scratch.path("log"), before).unwrap();
            }
            let mut log = open(&scratch.path("log"), *maxbytes, *backups);
            for chunk in *chunks {
                log.write(chunk.as_bytes()).unwrap();
            }
            let expected: Vec<_> = expected.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
            assert_eq!(contents(&scratch), expected, "{before:?} {maxbytes} {backups} {chunks:?}");
        }
    }

    #[test]
    fn truncating_keeps_the_inode_and_renaming_keeps_the_mode() {
        let scratch = Scratch::new("inode");
        let path = scratch.path("log");
        let inode = || fs::metadata(&path).unwrap().ino();
        let mut log = open(&path, 3, 0);
        let first = inode();
        log.write(b"aaa").unwrap();
        assert_eq!((inode(), log.size()), (first, 0));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let mut log = open(&path, 3, 1);
        log.write(b"aaa").unwrap();
        assert_ne!(inode(), first);
        assert_eq!(fs::metadata(format!("{path}.1")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_was_private_stays_private() {
        for (mode, expected) in [(0o600, 0o600), (0o644, 0o666 & !umask()), (0o700, 0o600)] {
            let scratch = Scratch::new("private");
            let path = scratch.path("log");
            let mode_now = || fs::metadata(&path).unwrap().mode() & 0o777;
            let mut log = open(&path, 3, 1);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            log.write(b"aaa").unwrap();
            assert_eq!(mode_now(), expected, "rotated, {mode:o}");
            log.clear().unwrap();
            assert_eq!(mode_now(), expected, "cleared, {mode:o}");
        }
    }

    fn umask() -> u32 {
        let scratch = Scratch::new("umask");
        open_to_append(&scratch.path("x")).unwrap();
        0o666 & !fs::metadata(scratch.path("x")).unwrap().mode()
    }

    #[test]
    fn a_file_truncated_by_others_is_not_rotated_early() {
        let scratch = Scratch::new("truncated");
        let path = scratch.path("log");
        let mut log = open(&path, 10, 1);
        log.write(b"12345678").unwrap();
        fs::write(&path, "").unwrap();
        log.write(b"abc").unwrap();
        assert_eq!(contents(&scratch), [("log".to_string(), "abc".to_string())]);
        assert_eq!(log.size(), 3);
    }

    #[test]
    fn reopen_and_clear() {
        let scratch = Scratch::new("reopen");
        let path = scratch.path("log");
        let mut log = open(&path, 0, 0);
        log.write(b"one").unwrap();
        fs::rename(&path, scratch.path("moved")).unwrap();
        log.write(b" two").unwrap();
        log.reopen().unwrap();
        log.write(b"three").unwrap();
        let file = |name: &str, text: &str| (name.to_string(), text.to_string());
        assert_eq!(contents(&scratch), [file("log", "three"), file("moved", "one two")]);

        let before = fs::metadata(&path).unwrap().ino();
        let held = File::open(&path).unwrap();
        log.clear().unwrap();
        log.write(b"four").unwrap();
        assert_eq!(contents(&scratch)[0], file("log", "four"));
        assert_ne!(fs::metadata(&path).unwrap().ino(), before);
        drop(held);
        fs::remove_file(&path).unwrap();
        log.clear().unwrap();
        assert_eq!((contents(&scratch)[0].clone(), log.size()), (file("log", ""), 0));
    }

    #[test]
    fn failures_leave_a_usable_log() {
        let scratch = Scratch::new("failures");
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut log = RotatingFile { path: "/dev/full".into(), file: full, position: 0, maxbytes: 0, backups: 0 };
        assert_eq!(log.write(b"x").unwrap_err().raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(log.size(), 0);

        // A directory in the place of a backup: the rotation fails, the log goes on.
        let path = scratch.path("log");
        fs::create_dir_all(format!("{path}.1/x")).unwrap();
        let mut log = open(&path, 3, 1);
        assert!(log.write(b"aaa").is_err());
        log.write(b"b").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "aaab");
        assert!(log.write(b"cc").is_err());
    }
}
