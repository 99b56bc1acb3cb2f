//! What a path of the configuration opens: a rotating file or a stream.

use std::io;
use std::os::unix::fs::FileTypeExt;

use super::file::{self, RotatingFile};
use super::stream::{self, StreamLog};
use crate::clock::Mono;
use crate::config::paths;

/// A log that is open, whatever kind of file its path names.
#[derive(Debug)]
pub enum Sink {
    /// A regular file, which is rotated by size.
    File(RotatingFile),
    /// Anything else: never rotated, never waited for (L-57). Boxed, for there are thousands of files to a stream.
    Stream(Box<StreamLog>),
}

impl Sink {
    /// Opens `path`, creating a file where there is nothing. What is no regular file, and what names a descriptor
    /// that we were started with (`/dev/stdout`), becomes a stream.
    ///
    /// Errors: it cannot be opened; EISDIR for a directory, ENXIO for a socket's path.
    pub fn open(path: &str, maxbytes: u64, backups: u32) -> io::Result<Sink> {
        if let Some(number) = paths::descriptor(path).filter(|_| std::fs::symlink_metadata(path).is_err()) {
            // /dev or /proc is not mounted; a file of that name is not to be made.
            return Ok(Sink::Stream(Box::new(StreamLog::inherited(number)?)));
        }
        let opened = match file::open_unlinked(path) {
            // Only what is a link, as everything in /proc/self/fd is, can name a descriptor of ours; asking first
            // would cost each start of a program two more system calls.
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => match stream::inherited_number(path) {
                Some(number) => return Ok(Sink::Stream(Box::new(StreamLog::inherited(number)?))),
                None => file::open_to_append(path),
            },
            opened => opened,
        };
        match opened {
            Ok(opened) => {
                let metadata = opened.metadata()?;
                if metadata.is_file() {
                    Ok(Sink::File(RotatingFile::new(path, opened, metadata.len(), maxbytes, backups)))
                } else {
                    Ok(Sink::Stream(Box::new(StreamLog::opened(path, Some(opened)))))
                }
            }
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) && is_fifo(path) => {
                Ok(Sink::Stream(Box::new(StreamLog::opened(path, None))))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether `path` could be opened, as far as that can be told without leaving anything behind; a stream is not touched.
    pub fn try_open(path: &str) -> io::Result<()> {
        if paths::descriptor(path).is_some() || stream::inherited_number(path).is_some() {
            return Ok(());
        }
        match std::fs::metadata(path) {
            Ok(entry) if entry.is_dir() => Err(io::Error::from_raw_os_error(libc::EISDIR)),
            Ok(entry) if entry.is_file() => file::open_to_append(path).map(drop),
            Ok(_) => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            // A link to where nothing is yet.
            Err(_) if std::fs::symlink_metadata(path).is_ok() => Ok(()),
            Err(_) => {
                file::open_to_append(path)?;
                std::fs::remove_file(path)
            }
        }
    }

    /// The path it was opened under.
    pub fn path(&self) -> &str {
        match self {
            Sink::File(file) => file.path(),
            Sink::Stream(stream) => stream.path(),
        }
    }

    /// Writes a chunk; a stream of which nothing may be lost keeps all of it. Says whether there may be something to take
    /// with [`Sink::take_loss`] or [`Sink::take_backup`]. Errors: see [`RotatingFile::write`]; a stream has none.
    pub fn write(&mut self, bytes: &[u8], may_lose: bool, now: Mono) -> io::Result<bool> {
        match self {
            Sink::File(file) => file.write(bytes, now),
            Sink::Stream(stream) => {
                stream.write(bytes, may_lose, now);
                Ok(true)
            }
        }
    }

    /// Opens whatever the path means now (L-60). Errors: what was open stays in use.
    pub fn reopen(&mut self) -> io::Result<()> {
        match self {
            Sink::File(file) => file.reopen(),
            Sink::Stream(stream) => {
                stream.reopen();
                Ok(())
            }
        }
    }

    /// Deletes the file and begins a new one (L-62); nothing for a stream, whose path is not ours to delete.
    /// Errors: what was open stays in use.
    pub fn clear(&mut self) -> io::Result<()> {
        match self {
            Sink::File(file) => file.clear(),
            Sink::Stream(_) => Ok(()),
        }
    }

    /// Empties the file where it is; nothing for a stream.
    pub fn begin_anew(&mut self) -> io::Result<()> {
        match self {
            Sink::File(file) => file.begin_anew(),
            Sink::Stream(_) => Ok(()),
        }
    }

    /// Begins a new file; nothing for a stream. Whether that is done. Errors: see [`RotatingFile::rotate`].
    pub fn rotate(&mut self) -> io::Result<bool> {
        match self {
            Sink::File(file) => file.rotate(),
            Sink::Stream(_) => Ok(false),
        }
    }

    /// Whether there is a backup to be compressed, told once, and how many backups there may be.
    pub fn take_backup(&mut self) -> Option<u32> {
        match self {
            Sink::File(file) => file.take_backup(),
            Sink::Stream(_) => None,
        }
    }

    /// Whether bytes wait for a reader.
    pub fn is_pending(&self) -> bool {
        match self {
            Sink::File(_) => false,
            Sink::Stream(stream) => stream.is_pending(),
        }
    }

    /// What there is to say about lost bytes, once.
    pub fn take_loss(&mut self) -> Option<Loss> {
        match self {
            Sink::File(file) => file.take_restored().map(Loss::Outage),
            Sink::Stream(stream) => Some(stream.take_recovered()).filter(|lost| *lost > 0).map(Loss::Slow),
        }
    }
}

/// Bytes that a log has lost, now that it takes some again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// A stream's reader did not keep up.
    Slow(u64),
    /// A file could not be written; possibly nothing was lost.
    Outage(u64),
}

fn is_fifo(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn paths_are_told_apart() {
        let scratch = Scratch::new("sink");
        nix::unistd::mkfifo(scratch.path("fifo").as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("/dev/stdout", scratch.path("link")).unwrap();
        let listener = std::os::unix::net::UnixListener::bind(scratch.path("socket")).unwrap();
        let rows: &[(String, Result<bool, i32>)] = &[
            (scratch.path("new"), Ok(false)),
            (scratch.path("fifo"), Ok(true)),
            (scratch.path("link"), Ok(true)),
            ("/dev/null".to_string(), Ok(true)),
            ("/dev/stdout".to_string(), Ok(true)),
            (scratch.path(""), Err(libc::EISDIR)),
            (scratch.path("socket"), Err(libc::ENXIO)),
            (scratch.path("no/such"), Err(libc::ENOENT)),
        ];
        for (path, expected) in rows {
            let opened = Sink::open(path, 1, 1);
            let found =
                opened.map(|sink| matches!(sink, Sink::Stream(_))).map_err(|error| error.raw_os_error().unwrap());
            assert_eq!(&found, expected, "{path}");
        }
        drop(listener);
    }

    #[test]
    fn a_stream_is_neither_rotated_nor_deleted() {
        let scratch = Scratch::new("device");
        std::os::unix::fs::symlink("/dev/null", scratch.path("log")).unwrap();
        let mut sink = Sink::open(&scratch.path("log"), 1, 2).unwrap();
        sink.write(b"more than one byte", true, Mono(0)).unwrap();
        sink.clear().unwrap();
        sink.reopen().unwrap();
        assert_eq!(std::fs::read_dir(scratch.path("")).unwrap().count(), 1);
    }
}
