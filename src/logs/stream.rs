//! A log target that is not a regular file: a pipe, a FIFO, a terminal, a socket, a device.
//!
//! It is never rotated and never waited for. What the reader does not take at once is kept up to a bound; beyond it,
//! whole lines are dropped and counted. The count is handed out once the reader takes bytes again. Several logs, the
//! activity log among them, may go to one stream: they share it, so that no line lands inside another's
//! ([`Queue`]).
//!
//! Standard output and error may be shared with others, so their flags are left alone: a description of our own is
//! opened where the system allows it, sockets are written to with MSG_DONTWAIT, and the rest is asked first.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::{Mono, earliest};
use crate::config::paths;
use crate::model::logs::queue::{PENDING_MAX, Queue, Writer};
use crate::sys::fd;

/// What a pipe that polls as writable takes without waiting.
const SHARED_WRITE_MAX: usize = 4096;

/// Symbolic links followed to find out whether a path means an inherited descriptor; the system gives up at 40.
const LINKS_MAX: usize = 8;

/// All streams that are open.
static STREAMS: Mutex<Vec<Arc<Mutex<LogStream>>>> = Mutex::new(Vec::new());

/// Whether bytes or lines wait somewhere, so that a turn without slow readers looks at no stream.
static ARE_WAITING: AtomicBool = AtomicBool::new(false);

/// The next writer. Some processors have no atomics of 64 bits.
static NEXT_WRITER: Mutex<u64> = Mutex::new(0);

/// A log's share in a stream.
#[derive(Debug)]
pub struct StreamLog {
    stream: Arc<Mutex<LogStream>>,
    path: Box<str>,
    writer: Writer,
}

/// The stream, open, or a FIFO that nobody reads yet.
#[derive(Debug)]
struct LogStream {
    target: LogPath,
    /// Device and inode: what goes to the same place is one stream.
    identity: Option<(u64, u64)>,
    channel: Option<OpenEnd>,
    queue: Queue,
    recovered: u64,
}

#[derive(Debug)]
enum LogPath {
    /// A descriptor that we were started with, as a path.
    Inherited(Box<str>),
    /// Something with a path of its own.
    Path(Box<str>),
}

#[derive(Debug)]
enum OpenEnd {
    /// A description of our own: non-blocking, or a regular file, for which that means nothing.
    Own(OwnedFd),
    /// A socket, shared perhaps.
    Socket(OwnedFd),
    /// A blocking description that others may share.
    Shared(OwnedFd),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Descriptors that are to be polled for writability; [`flush`] is to be called when they are.
pub fn pending() -> Vec<RawFd> {
    if !ARE_WAITING.load(Ordering::Relaxed) {
        return Vec::new();
    }
    let streams = lock(&STREAMS);
    streams.iter().map(|stream| lock(stream)).filter_map(|stream| stream.pending_fd()).collect()
}

/// Writes what is pending as far as it goes. Answers how much was lost where, once the reader has caught up.
pub fn flush() -> Vec<(String, u64)> {
    let mut told = Vec::new();
    for stream in lock(&STREAMS).iter() {
        let mut stream = lock(stream);
        stream.flush();
        let lost = std::mem::take(&mut stream.recovered);
        if lost > 0 {
            told.push((stream.path().to_string(), lost));
        }
    }
    forget_idle();
    told
}

/// When [`expire`] has something to do; `None` is never.
pub fn deadline() -> Option<Mono> {
    if !ARE_WAITING.load(Ordering::Relaxed) {
        return None;
    }
    let due: Vec<_> = lock(&STREAMS).iter().map(|stream| lock(stream).queue.due()).collect();
    earliest(&due)
}

/// Closes lines whose end others have waited for long enough.
pub fn expire(now: Mono) {
    for stream in lock(&STREAMS).iter() {
        let mut stream = lock(stream);
        stream.queue.expire(now);
        stream.flush();
    }
    forget_idle();
}

/// Forgets streams that nobody writes to and nothing waits for, and finds out whether anything waits.
fn forget_idle() {
    let mut streams = lock(&STREAMS);
    streams.retain(|stream| Arc::strong_count(stream) > 1 || lock(stream).is_waiting());
    let are_waiting = streams.iter().any(|stream| lock(stream).is_waiting());
    ARE_WAITING.store(are_waiting, Ordering::Relaxed);
}

impl StreamLog {
    /// The stream of an inherited descriptor, such as 1. Closing the stream leaves it open.
    ///
    /// Errors: it is not open.
    pub fn inherited(number: RawFd) -> io::Result<StreamLog> {
        let copy = fd::duplicate_raw(number)?;
        let metadata = File::from(copy.try_clone()?).metadata()?;
        let kind = metadata.file_type();
        let channel = if kind.is_socket() {
            OpenEnd::Socket(copy)
        } else if kind.is_file() {
            // The copy and not a description of its own, for that has a position of its own: if standard output is
            // a file, both would write over each other.
            OpenEnd::Own(copy)
        } else {
            match open_nonblocking(&format!("/proc/self/fd/{number}")) {
                Ok(own) => OpenEnd::Own(own),
                // Opened by another user, as containers that drop privileges have it.
                Err(_) => OpenEnd::Shared(copy),
            }
        };
        let identity = Some((metadata.dev(), metadata.ino()));
        Ok(StreamLog::new(LogPath::Inherited(format!("/dev/fd/{number}").into()), identity, Some(channel)))
    }

    /// What was opened under `path`, non-blocking, and is no regular file; `None` for a FIFO that nobody reads yet.
    pub(super) fn opened(path: &str, file: Option<File>) -> StreamLog {
        let metadata = file.as_ref().and_then(|file| file.metadata().ok());
        let identity = metadata.map(|metadata| (metadata.dev(), metadata.ino()));
        StreamLog::new(LogPath::Path(path.into()), identity, file.map(|file| OpenEnd::Own(file.into())))
    }

    fn new(target: LogPath, identity: Option<(u64, u64)>, channel: Option<OpenEnd>) -> StreamLog {
        let mut next = lock(&NEXT_WRITER);
        let writer = *next;
        *next += 1;
        let (LogPath::Inherited(path) | LogPath::Path(path)) = &target;
        let path = path.clone();
        let mut streams = lock(&STREAMS);
        let known = streams.iter().find(|known| identity.is_some() && lock(known).identity == identity);
        let stream = match known {
            Some(known) => Arc::clone(known),
            None => {
                let made = LogStream { target, identity, channel, queue: Queue::default(), recovered: 0 };
                let made = Arc::new(Mutex::new(made));
                streams.push(Arc::clone(&made));
                made
            }
        };
        StreamLog { stream, path, writer }
    }

    /// The path it was opened under; `/dev/fd/1` for an inherited descriptor.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Writes what goes without waiting and keeps what fits of the rest. What remains is dropped and counted, unless
    /// nothing may be lost: then the caller is not to read on while [`StreamLog::is_pending`].
    pub fn write(&mut self, bytes: &[u8], may_lose: bool, now: Mono) {
        let mut stream = lock(&self.stream);
        if !stream.queue.is_direct(self.writer) {
            stream.flush();
        }
        if stream.queue.is_direct(self.writer) {
            match stream.push(bytes) {
                Some(taken) => {
                    if taken > 0 {
                        stream.recovered += stream.queue.take_lost();
                    }
                    stream.queue.wrote(self.writer, bytes, taken, may_lose);
                }
                // A stream that fails, unlike one that is slow, keeps nothing: its reader may never come.
                None => stream.queue.lose(bytes.len()),
            }
        } else {
            stream.queue.put(self.writer, bytes, may_lose, now);
            stream.flush();
        }
        if stream.is_waiting() {
            ARE_WAITING.store(true, Ordering::Relaxed);
        }
    }

    /// Whether bytes wait for the reader.
    pub fn is_pending(&self) -> bool {
        !lock(&self.stream).queue.pending().is_empty()
    }

    /// Whether the last line on the stream is ours and has no end yet.
    pub fn has_open_line(&self) -> bool {
        lock(&self.stream).queue.has_line_of(self.writer)
    }

    /// Bytes that were dropped before the reader came back, told once; 0 when there is nothing to tell.
    pub fn take_recovered(&mut self) -> u64 {
        std::mem::take(&mut lock(&self.stream).recovered)
    }

    /// Opens a path anew; an inherited descriptor stays (L-60).
    pub fn reopen(&mut self) {
        let mut stream = lock(&self.stream);
        if let LogPath::Path(path) = &stream.target
            && let Ok(own) = open_nonblocking(path)
        {
            stream.channel = Some(OpenEnd::Own(own));
        }
    }
}

impl Drop for StreamLog {
    fn drop(&mut self) {
        let mut stream = lock(&self.stream);
        stream.queue.close(self.writer);
        stream.flush();
        let is_waiting = stream.is_waiting();
        drop(stream);
        if is_waiting {
            ARE_WAITING.store(true, Ordering::Relaxed);
            return;
        }
        lock(&STREAMS).retain(|known| !Arc::ptr_eq(known, &self.stream) || Arc::strong_count(known) > 2);
    }
}

impl LogStream {
    fn path(&self) -> &str {
        match &self.target {
            LogPath::Inherited(path) | LogPath::Path(path) => path,
        }
    }

    fn is_waiting(&self) -> bool {
        !self.queue.pending().is_empty() || self.queue.due().is_some()
    }

    fn pending_fd(&self) -> Option<RawFd> {
        let channel = self.channel.as_ref().filter(|_| !self.queue.pending().is_empty())?;
        let (OpenEnd::Own(fd) | OpenEnd::Socket(fd) | OpenEnd::Shared(fd)) = channel;
        Some(fd.as_raw_fd())
    }

    /// Writes what is pending as far as it goes.
    fn flush(&mut self) {
        while !self.queue.pending().is_empty() {
            let pending = self.queue.take_pending();
            match self.push(&pending) {
                None => self.queue.fail(&pending),
                Some(taken) => {
                    let is_all = taken == pending.len();
                    self.queue.sent(pending, taken);
                    if self.queue.pending().len() <= PENDING_MAX / 2 {
                        self.recovered += self.queue.take_lost();
                    }
                    if !is_all {
                        return;
                    }
                }
            }
        }
    }

    /// How much of `bytes` went out at once; `None` when nothing can go out at all.
    fn push(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.write_once(&bytes[taken..]) {
                Ok(count) => taken += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(taken),
                Err(_) if taken > 0 => {
                    self.queue.lose(bytes.len() - taken);
                    return Some(bytes.len());
                }
                Err(_) => return None,
            }
        }
        Some(taken)
    }

    fn write_once(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let (None, LogPath::Path(path)) = (&self.channel, &self.target) {
            self.channel = Some(OpenEnd::Own(open_nonblocking(path)?));
        }
        match &self.channel {
            None => Err(ErrorKind::NotConnected.into()),
            Some(OpenEnd::Own(own)) => fd::write(own.as_fd(), bytes),
            Some(OpenEnd::Socket(socket)) => fd::send_now(socket.as_fd(), bytes),
            Some(OpenEnd::Shared(shared)) if !fd::is_writable_now(shared.as_fd()) => Err(ErrorKind::WouldBlock.into()),
            Some(OpenEnd::Shared(shared)) => fd::write(shared.as_fd(), &bytes[..bytes.len().min(SHARED_WRITE_MAX)]),
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
        if let Some(number) = paths::descriptor(path.to_str()?) {
            return Some(number);
        }
        let link = std::fs::read_link(&path).ok()?;
        path = path.parent().unwrap_or(Path::new("/")).join(link);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::BorrowedFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::sys::scratch::Scratch;

    const NOW: Mono = Mono(0);

    impl StreamLog {
        fn say(&mut self, bytes: &[u8]) {
            self.write(bytes, true, NOW);
        }

        fn lost(&self) -> u64 {
            lock(&self.stream).queue.lost
        }

        fn flush(&self) {
            lock(&self.stream).flush();
        }
    }

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
        while stream.lost() == 0 {
            let line = format!("line {}\n", sent.len());
            stream.say(line.as_bytes());
            sent.extend_from_slice(line.as_bytes());
        }
        assert!(stream.is_pending());
        assert_eq!(stream.take_recovered(), 0);
        let lost = stream.lost();
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
        stream.say(b"on");
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
        let shared = OpenEnd::Shared(fd::duplicate(pipe.write.as_fd()).unwrap());
        flood(StreamLog::new(LogPath::Inherited("".into()), None, Some(shared)), pipe.read.as_fd());
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
        stream.say(b"lost");
        stream.say(b"lost");
        assert!(!stream.is_pending());
        assert_eq!((stream.lost(), stream.take_recovered()), (8, 0));
    }

    #[test]
    fn a_fifo_may_have_no_reader_yet() {
        let scratch = Scratch::new("fifo");
        let path = scratch.path("fifo");
        nix::unistd::mkfifo(path.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut stream = StreamLog::opened(&path, None);
        stream.say(b"early\n");
        let flags = libc::O_NONBLOCK;
        let mut reader = OpenOptions::new().read(true).custom_flags(flags).open(&path).unwrap();
        stream.say(b"heard\n");
        let mut text = [0; 64];
        let count = reader.read(&mut text).unwrap();
        assert_eq!(&text[..count], b"heard\n");
        assert_eq!(stream.take_recovered(), 6);
        drop(reader);
        stream.say(b"late\n");
        assert_eq!(stream.lost(), 5);
    }

    #[test]
    fn a_file_behind_standard_output_shares_its_position() {
        let scratch = Scratch::new("position");
        let file = File::create(scratch.path("out")).unwrap();
        let mut stream = StreamLog::inherited(file.as_raw_fd()).unwrap();
        stream.say(b"a");
        fd::write(file.as_fd(), b"b").unwrap();
        stream.say(b"c");
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
