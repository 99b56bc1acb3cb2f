//! A log target that is not a regular file: a pipe, a FIFO, a terminal, a socket, a device.
//!
//! It is never rotated and never waited for. What the reader does not take at once is kept up to a bound; beyond it,
//! output is dropped and counted. The count is handed out once the reader takes bytes again.
//!
//! Standard output and error may be shared with others, so their flags are left alone: a description of our own is
//! opened where the system allows it, sockets are written to with MSG_DONTWAIT, and the rest is asked first.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::sys::fd;

/// Bytes kept for a reader that does not keep up: as many again as a pipe holds.
const PENDING_MAX: usize = 64 * 1024;

/// What a pipe that polls as writable takes without waiting.
const SHARED_WRITE_MAX: usize = 4096;

/// Symbolic links followed to find out whether a path means an inherited descriptor; the system gives up at 40.
const LINKS_MAX: usize = 8;

/// The stream, open, or a FIFO that nobody reads yet.
#[derive(Debug)]
pub struct StreamLog {
    target: Target,
    channel: Option<Channel>,
    pending: Vec<u8>,
    lost: u64,
    recovered: u64,
}

#[derive(Debug)]
enum Target {
    /// A descriptor that we were started with, as a path.
    Inherited(Box<str>),
    /// Something with a path of its own.
    Path(Box<str>),
}

#[derive(Debug)]
enum Channel {
    /// A description of our own: non-blocking, or a regular file, for which that means nothing.
    Own(OwnedFd),
    /// A socket, shared perhaps.
    Socket(OwnedFd),
    /// A blocking description that others may share.
    Shared(OwnedFd),
}

impl StreamLog {
    /// The stream of an inherited descriptor, such as 1. Closing the stream leaves it open.
    ///
    /// Errors: it is not open.
    pub fn inherited(number: RawFd) -> io::Result<StreamLog> {
        let copy = fd::duplicate_raw(number)?;
        let kind = File::from(copy.try_clone()?).metadata()?.file_type();
        let channel = if kind.is_socket() {
            Channel::Socket(copy)
        } else if kind.is_file() {
            // The copy and not a description of its own, for that has a position of its own: if standard output is
            // a file, both would write over each other.
            Channel::Own(copy)
        } else {
            match open_nonblocking(&format!("/proc/self/fd/{number}")) {
                Ok(own) => Channel::Own(own),
                // Opened by another user, as containers that drop privileges have it.
                Err(_) => Channel::Shared(copy),
            }
        };
        Ok(StreamLog::new(Target::Inherited(format!("/dev/fd/{number}").into()), Some(channel)))
    }

    /// What was opened under `path`, non-blocking, and is no regular file; `None` for a FIFO that nobody reads yet.
    pub(super) fn opened(path: &str, file: Option<File>) -> StreamLog {
        StreamLog::new(Target::Path(path.into()), file.map(|file| Channel::Own(file.into())))
    }

    fn new(target: Target, channel: Option<Channel>) -> StreamLog {
        StreamLog { target, channel, pending: Vec::new(), lost: 0, recovered: 0 }
    }

    /// The path it was opened under; `/dev/fd/1` for an inherited descriptor.
    pub fn path(&self) -> &str {
        match &self.target {
            Target::Inherited(path) | Target::Path(path) => path,
        }
    }

    /// Writes what goes without waiting, keeps what fits of the rest, drops and counts what remains.
    pub fn write(&mut self, bytes: &[u8]) {
        self.flush();
        let taken = if self.pending.is_empty() { self.push(bytes) } else { Some(0) };
        // A stream that fails, unlike one that is slow, keeps nothing: its reader may never come.
        let Some(taken) = taken else { return self.lost += bytes.len() as u64 };
        let rest = &bytes[taken..];
        let kept = rest.len().min(PENDING_MAX - self.pending.len());
        self.pending.extend_from_slice(&rest[..kept]);
        self.lost += (rest.len() - kept) as u64;
    }

    /// Writes what is pending as far as it goes. To be called when the descriptor is writable again.
    pub fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        match self.push(&pending) {
            None => self.lost += pending.len() as u64,
            Some(taken) if taken == pending.len() => {}
            Some(taken) => {
                self.pending = pending;
                self.pending.drain(..taken);
            }
        }
    }

    /// How much of `bytes` went out at once; `None` when nothing can go out at all.
    fn push(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.write_once(&bytes[taken..]) {
                Ok(count) => {
                    taken += count;
                    self.recovered += std::mem::take(&mut self.lost);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(taken),
                Err(_) if taken > 0 => {
                    self.lost += (bytes.len() - taken) as u64;
                    return Some(bytes.len());
                }
                Err(_) => return None,
            }
        }
        Some(taken)
    }

    fn write_once(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let (None, Target::Path(path)) = (&self.channel, &self.target) {
            self.channel = Some(Channel::Own(open_nonblocking(path)?));
        }
        match &self.channel {
            None => Err(ErrorKind::NotConnected.into()),
            Some(Channel::Own(own)) => fd::write(own.as_fd(), bytes),
            Some(Channel::Socket(socket)) => fd::send_now(socket.as_fd(), bytes),
            Some(Channel::Shared(shared)) if !fd::is_writable_now(shared.as_fd()) => Err(ErrorKind::WouldBlock.into()),
            Some(Channel::Shared(shared)) => fd::write(shared.as_fd(), &bytes[..bytes.len().min(SHARED_WRITE_MAX)]),
        }
    }

    /// Whether bytes wait for the reader: then, and only then, its descriptor is worth polling for writability.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The descriptor to poll.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self.channel.as_ref()? {
            Channel::Own(fd) | Channel::Socket(fd) | Channel::Shared(fd) => Some(fd.as_fd()),
        }
    }

    /// Bytes that were dropped before the reader came back, told once; 0 when there is nothing to tell.
    pub fn take_recovered(&mut self) -> u64 {
        std::mem::take(&mut self.recovered)
    }

    /// Opens a path anew; an inherited descriptor stays (L-60).
    pub fn reopen(&mut self) {
        if let Target::Path(path) = &self.target {
            if let Ok(own) = open_nonblocking(path) {
                self.channel = Some(Channel::Own(own));
            }
        }
    }
}

/// A description of our own of something that exists.
fn open_nonblocking(path: &str) -> io::Result<OwnedFd> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    Ok(OpenOptions::new().append(true).custom_flags(flags).open(path)?.into())
}

/// The inherited descriptor that a path means, directly or through links: `/dev/stdout` is 1, `/proc/self/fd/7` is 7.
pub(super) fn inherited_number(path: &str) -> Option<RawFd> {
    let mut path = PathBuf::from(path);
    for _ in 0..LINKS_MAX {
        if let Some(number) = number_in(path.to_str()?) {
            return Some(number);
        }
        let link = std::fs::read_link(&path).ok()?;
        path = path.parent().unwrap_or(Path::new("/")).join(link);
    }
    None
}

fn number_in(path: &str) -> Option<RawFd> {
    match path {
        "/dev/stdin" => Some(0),
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        _ => ["/dev/fd/", "/proc/self/fd/"].iter().find_map(|prefix| path.strip_prefix(prefix)?.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::sys::scratch::Scratch;

    /// Reads what is there now.
    fn read_now(fd: BorrowedFd) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 8192];
        while fd::wait_readable(fd, 0) {
            match fd::read(fd, &mut buffer).unwrap() {
                0 => break,
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
        all
    }

    /// Writes until bytes are lost, then reads everything: all but the lost must come, in order.
    fn flood(mut stream: StreamLog, reader: BorrowedFd) {
        let mut sent = Vec::new();
        while stream.lost == 0 {
            let line = format!("line {}\n", sent.len());
            stream.write(line.as_bytes());
            sent.extend_from_slice(line.as_bytes());
        }
        assert!(stream.is_pending());
        assert!(stream.fd().is_some());
        assert_eq!(stream.take_recovered(), 0);
        let lost = stream.lost;
        let mut received = Vec::new();
        while stream.is_pending() {
            received.extend(read_now(reader));
            stream.flush();
        }
        received.extend(read_now(reader));
        assert_eq!(received.len() as u64 + lost, sent.len() as u64);
        assert!(sent.starts_with(&received));
        assert_eq!(stream.take_recovered(), lost);
        assert_eq!(stream.take_recovered(), 0);
        stream.write(b"on");
        assert_eq!(read_now(reader), b"on");
    }

    #[test]
    fn a_full_pipe_is_not_waited_for() {
        let pipe = fd::pipe().unwrap();
        flood(StreamLog::inherited(pipe.write.as_raw_fd()).unwrap(), pipe.read.as_fd());
        // The flags of the shared description are as before.
        fd::write(pipe.write.as_fd(), b"x").unwrap();
    }

    #[test]
    fn a_shared_description_is_asked_before_each_write() {
        let pipe = fd::pipe().unwrap();
        let shared = Channel::Shared(fd::duplicate(pipe.write.as_fd()).unwrap());
        flood(StreamLog::new(Target::Inherited("".into()), Some(shared)), pipe.read.as_fd());
    }

    #[test]
    fn a_full_socket_is_not_waited_for() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        flood(StreamLog::inherited(ours.as_raw_fd()).unwrap(), theirs.as_fd());
    }

    #[test]
    fn a_reader_that_left_costs_its_output_only() {
        let pipe = fd::pipe().unwrap();
        let mut stream = StreamLog::inherited(pipe.write.as_raw_fd()).unwrap();
        drop(pipe.read);
        stream.write(b"lost");
        stream.write(b"lost");
        assert!(!stream.is_pending());
        assert_eq!((stream.lost, stream.take_recovered()), (8, 0));
    }

    #[test]
    fn a_fifo_may_have_no_reader_yet() {
        let scratch = Scratch::new("fifo");
        let path = scratch.path("fifo");
        nix::unistd::mkfifo(path.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut stream = StreamLog::opened(&path, None);
        stream.write(b"early\n");
        let flags = libc::O_NONBLOCK;
        let mut reader = OpenOptions::new().read(true).custom_flags(flags).open(&path).unwrap();
        stream.write(b"heard\n");
        let mut text = [0; 64];
        let count = reader.read(&mut text).unwrap();
        assert_eq!(&text[..count], b"heard\n");
        assert_eq!(stream.take_recovered(), 6);
        drop(reader);
        stream.write(b"late\n");
        assert_eq!(stream.lost, 5);
    }

    #[test]
    fn a_file_behind_standard_output_shares_its_position() {
        let scratch = Scratch::new("position");
        let file = File::create(scratch.path("out")).unwrap();
        let mut stream = StreamLog::inherited(file.as_raw_fd()).unwrap();
        stream.write(b"a");
        fd::write(file.as_fd(), b"b").unwrap();
        stream.write(b"c");
        assert_eq!(std::fs::read_to_string(scratch.path("out")).unwrap(), "abc");
    }

    #[test]
    fn paths_of_inherited_descriptors() {
        let scratch = Scratch::new("inherited");
        std::os::unix::fs::symlink("/dev/stderr", scratch.path("link")).unwrap();
        std::os::unix::fs::symlink("link", scratch.path("second")).unwrap();
        std::os::unix::fs::symlink("loop", scratch.path("loop")).unwrap();
        let rows = [
            ("/dev/stdout".to_string(), Some(1)),
            ("/dev/stderr".to_string(), Some(2)),
            ("/dev/fd/7".to_string(), Some(7)),
            ("/proc/self/fd/12".to_string(), Some(12)),
            ("/proc/self/fd/x".to_string(), None),
            ("/dev/null".to_string(), None),
            (scratch.path("link"), Some(2)),
            (scratch.path("second"), Some(2)),
            (scratch.path("loop"), None),
            (scratch.path("none"), None),
        ];
        for (path, expected) in rows {
            assert_eq!(inherited_number(&path), expected, "{path}");
        }
    }
}
