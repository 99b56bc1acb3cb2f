//! What waits for the reader of a stream that several write to: whole lines, one writer's after the other's.
//!
//! As long as the reader keeps up, and nobody else writes, bytes go through as they come. A line that has begun on the
//! stream belongs to its writer until its end has come, so that no other text lands inside of it: others wait, up to
//! [`OPEN_TIME`], and if its end has not come then, a line feed closes it. What does not fit is dropped by whole lines,
//! and counted. In words:
//!
//! - *open*: a line has begun and its end has not come; it is somebody's, or *torn*: whoever comes next closes it.
//! - *parked*: what a writer has to wait with: behind another's open line, or the beginning of a line while bytes wait.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::{Mono, earliest};

/// Bytes that wait for a reader that does not keep up: as many again as a pipe holds.
pub const PENDING_MAX: usize = 64 * 1024;

/// Bytes that a line may go on by although there is no room, and that each writer may park.
const LINE_MAX: usize = 64 * 1024;

/// Bytes that wait of writers who may lose nothing. They are not read from meanwhile, so it is what their children wrote
/// before they ended, which is bounded by the reactor.
const WAITING_MAX: usize = 2 * 1024 * 1024;

/// How long others wait for the end of a line.
const OPEN_TIME: Duration = Duration::from_secs(1);

/// Who writes, for the life of one log.
pub type Writer = u64;

/// Whose line has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    No,
    By(Writer),
    Torn,
}

/// What a writer has parked.
#[derive(Debug, Default)]
struct Parked {
    bytes: Vec<u8>,
    /// Since when whole lines wait behind another's open line.
    since: Option<Mono>,
    /// What comes belongs to a line of which a part was dropped.
    skips: bool,
    /// It writes no more.
    is_gone: bool,
    /// It may lose nothing.
    is_patient: bool,
}

impl Parked {
    /// Adds what fits, in whole lines; says how many bytes are lost.
    fn add(&mut self, bytes: &[u8]) -> u64 {
        let room = if self.is_patient { WAITING_MAX } else { LINE_MAX }.saturating_sub(self.bytes.len());
        if bytes.len() <= room {
            self.bytes.extend_from_slice(bytes);
            return 0;
        }
        let fits = whole_lines(&bytes[..room]);
        self.bytes.extend_from_slice(&bytes[..fits]);
        // The beginning of a line whose end is lost goes with it.
        let whole = whole_lines(&self.bytes);
        let lost = bytes.len() - fits + self.bytes.len() - whole;
        self.bytes.truncate(whole);
        self.skips = !bytes.ends_with(b"\n");
        lost as u64
    }
}

/// The queue of one stream.
#[derive(Debug, Default)]
pub struct Queue {
    pending: Vec<u8>,
    open: Open,
    parked: BTreeMap<Writer, Parked>,
    pub(crate) lost: u64,
}

impl Queue {
    /// Whether this writer's bytes may go to the stream at once; then [`Queue::wrote`] is to be told.
    pub fn is_direct(&self, writer: Writer) -> bool {
        self.pending.is_empty() && self.parked.is_empty() && (self.open == Open::No || self.open == Open::By(writer))
    }

    /// Of bytes that could go at once so many went; the rest waits.
    pub fn wrote(&mut self, writer: Writer, bytes: &[u8], count: usize, may_lose: bool) {
        let (gone, rest) = bytes.split_at(count);
        if let Some(last) = gone.last() {
            self.open = if *last == b'\n' { Open::No } else { Open::By(writer) };
        }
        if !rest.is_empty() {
            self.keep(writer, rest, may_lose);
        }
    }

    /// Takes bytes that cannot go at once.
    pub fn put(&mut self, writer: Writer, bytes: &[u8], may_lose: bool, now: Mono) {
        let mut parked = self.parked.remove(&writer).unwrap_or_default();
        parked.is_patient = !may_lose;
        let bytes = if parked.skips {
            let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            parked.skips = end.is_none();
            let (gone, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.lost += gone.len() as u64;
            rest
        } else {
            bytes
        };
        if parked.skips || matches!(self.open, Open::By(other) if other != writer) {
            if !bytes.is_empty() {
                parked.since = parked.since.or(Some(now));
                self.lost += parked.add(bytes);
            }
            self.parked.insert(writer, parked);
        } else if parked.bytes.is_empty() {
            self.keep(writer, bytes, may_lose);
        } else {
            parked.bytes.extend_from_slice(bytes);
            self.keep(writer, &parked.bytes, may_lose);
        }
        self.release();
    }

    /// Puts what may stand in the queue there, in whole lines; no other's line is open.
    fn keep(&mut self, writer: Writer, mut bytes: &[u8], may_lose: bool) {
        let pending_max = if may_lose { PENDING_MAX } else { WAITING_MAX };
        if self.open == Open::By(writer) {
            // A line that has begun is brought to its end, if that is within reason.
            let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
            let (line, rest) = bytes.split_at(end);
            if self.pending.len() + line.len() <= pending_max + LINE_MAX {
                self.pending.extend_from_slice(line);
                if line.ends_with(b"\n") {
                    self.open = Open::No;
                }
            } else {
                self.lost += line.len() as u64;
                self.open = Open::Torn;
                if !line.ends_with(b"\n") {
                    self.parked.entry(writer).or_default().skips = true;
                    return;
                }
            }
            bytes = rest;
        }
        let body = whole_lines(bytes);
        let room = pending_max.saturating_sub(self.pending.len());
        let fits = if body <= room { body } else { whole_lines(&bytes[..room]) };
        if fits > 0 {
            self.close_torn();
            self.pending.extend_from_slice(&bytes[..fits]);
        }
        self.lost += (body - fits) as u64;
        let begun = &bytes[body..];
        if begun.is_empty() {
            return;
        }
        let parked = self.parked.entry(writer).or_default();
        if begun.len() > LINE_MAX {
            self.lost += begun.len() as u64;
            parked.skips = true;
        } else {
            parked.bytes.extend_from_slice(begun);
        }
    }

    fn close_torn(&mut self) {
        if self.open == Open::Torn {
            self.pending.push(b'\n');
            self.open = Open::No;
        }
    }

    /// Lets go on whoever waited for another's line, and, when nothing waits for the reader, the beginnings of lines.
    fn release(&mut self) {
        while !matches!(self.open, Open::By(_)) {
            let is_empty = self.pending.is_empty();
            let may_go =
                |parked: &Parked| !parked.bytes.is_empty() && (is_empty || parked.since.is_some() || parked.is_gone);
            let Some(writer) = self.parked.iter().find(|(_, parked)| may_go(parked)).map(|(writer, _)| *writer) else {
                break;
            };
            let Some(mut parked) = self.parked.remove(&writer) else { break };
            if parked.is_gone && !parked.bytes.ends_with(b"\n") {
                parked.bytes.push(b'\n');
            }
            let body = whole_lines(&parked.bytes);
            if body > 0 {
                self.keep(writer, &parked.bytes, !parked.is_patient);
            } else if is_empty {
                self.close_torn();
                self.pending.extend_from_slice(&parked.bytes);
                self.open = Open::By(writer);
            } else {
                parked.since = None;
                self.parked.insert(writer, parked);
            }
        }
        self.parked.retain(|_, parked| !parked.bytes.is_empty() || parked.skips && !parked.is_gone);
    }

    /// A writer writes no more: its line, if it has begun one, is torn.
    pub fn close(&mut self, writer: Writer) {
        if self.open == Open::By(writer) {
            self.open = Open::Torn;
        }
        if let Some(parked) = self.parked.get_mut(&writer) {
            parked.is_gone = true;
        }
        self.release();
    }

    /// Whether the last that was written is the beginning of this writer's line.
    pub fn has_line_of(&self, writer: Writer) -> bool {
        self.open == Open::By(writer) || self.parked.get(&writer).is_some_and(|parked| !parked.bytes.is_empty())
    }

    /// Bytes that wait for the reader.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// The pending bytes, which are to be given back with [`Queue::sent`].
    pub fn take_pending(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// So many of the pending bytes went out.
    pub fn sent(&mut self, mut pending: Vec<u8>, count: usize) {
        pending.drain(..count.min(pending.len()));
        self.pending = pending;
        if self.pending.is_empty() {
            self.pending.shrink_to(PENDING_MAX);
            self.release();
        }
    }

    /// The stream takes nothing at all: these bytes, which were pending, are lost.
    pub fn fail(&mut self, pending: &[u8]) {
        self.lost += pending.len() as u64;
        self.open = Open::No;
        self.release();
    }

    /// Bytes that the caller could not write.
    pub fn lose(&mut self, count: usize) {
        self.lost += count as u64;
    }

    /// The number of lost bytes, told once.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// When an open line that others wait for is closed; `None` is never.
    pub fn due(&self) -> Option<Mono> {
        let Open::By(_) = self.open else { return None };
        let waiting: Vec<_> =
            self.parked.values().map(|parked| parked.since.map(|since| since.after(OPEN_TIME))).collect();
        earliest(&waiting)
    }

    /// Closes an open line whose time is over.
    pub fn expire(&mut self, now: Mono) {
        if self.due().is_some_and(|at| at <= now) {
            self.open = Open::Torn;
            self.release();
        }
    }
}

/// Bytes up to the end of the last whole line.
fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono(0);

    /// A stream that takes so many bytes at a time.
    struct Stream {
        queue: Queue,
        wire: Vec<u8>,
        takes: usize,
    }

    impl Stream {
        fn new(takes: usize) -> Stream {
            Stream { queue: Queue::default(), wire: Vec::new(), takes }
        }

        fn write(&mut self, writer: Writer, bytes: &[u8]) {
            if self.queue.is_direct(writer) {
                let count = bytes.len().min(self.takes);
                self.wire.extend_from_slice(&bytes[..count]);
                self.queue.wrote(writer, bytes, count, true);
            } else {
                self.queue.put(writer, bytes, true, NOW);
                self.drain(self.takes);
            }
        }

        fn drain(&mut self, mut takes: usize) {
            while takes > 0 && !self.queue.pending().is_empty() {
                let pending = self.queue.take_pending();
                let count = pending.len().min(takes);
                self.wire.extend_from_slice(&pending[..count]);
                self.queue.sent(pending, count);
                takes -= count;
            }
        }

        fn text(&self) -> String {
            String::from_utf8(self.wire.clone()).unwrap()
        }
    }

    #[test]
    fn lines_of_several_writers() {
        // (writes, what the reader sees at once, and after the time for open lines)
        type Row<'a> = (&'a [(Writer, &'a str)], &'a str, &'a str);
        let rows: &[Row] = &[
            (&[(1, "a\n"), (2, "b\n")], "a\nb\n", "a\nb\n"),
            (&[(1, "a"), (1, "b")], "ab", "ab"),
            (
                &[(1, "begun "), (2, "other\n"), (1, "ended\nnext")],
                "begun ended\nother\nnext",
                "begun ended\nother\nnext",
            ),
            (&[(1, "begun "), (2, "other\n"), (1, "ended\n")], "begun ended\nother\n", "begun ended\nother\n"),
            (&[(1, "prompt: "), (2, "other\n")], "prompt: ", "prompt: \nother\n"),
            (&[(1, "p"), (2, "q"), (1, "1\n")], "p1\nq", "p1\nq"),
            (&[(1, "p"), (2, "q"), (3, "r\n"), (1, "1\n"), (2, "2\n")], "p1\nr\nq2\n", "p1\nr\nq2\n"),
        ];
        for (writes, at_once, later) in rows {
            let mut stream = Stream::new(usize::MAX);
            for (writer, text) in *writes {
                stream.write(*writer, text.as_bytes());
            }
            assert_eq!(stream.text(), *at_once, "{writes:?}");
            while let Some(at) = stream.queue.due() {
                assert_eq!(at, NOW.after(OPEN_TIME), "{writes:?}");
                stream.queue.expire(at);
                stream.drain(usize::MAX);
            }
            assert_eq!(stream.text(), *later, "{writes:?}");
        }
    }

    #[test]
    fn a_writer_that_goes_leaves_a_line_that_the_next_closes() {
        let mut stream = Stream::new(usize::MAX);
        stream.write(1, b"half");
        stream.queue.close(1);
        stream.drain(usize::MAX);
        assert_eq!(stream.text(), "half");
        stream.write(2, b"whole\n");
        assert_eq!(stream.text(), "half\nwhole\n");
        // What it parked goes before.
        let mut stream = Stream::new(usize::MAX);
        stream.write(1, b"begun ");
        stream.write(2, b"held");
        stream.queue.close(2);
        stream.write(1, b"ended\n");
        assert_eq!(stream.text(), "begun ended\nheld\n");
    }

    /// Whatever the reader takes and however the bytes come, it sees whole lines, and all but the lost ones.
    #[test]
    fn a_slow_reader_sees_whole_lines() {
        for (takes, size) in [(0, 1000), (1, 1000), (100, 65_536), (333, 777), (50_000, 65_536), (700, 64)] {
            let mut stream = Stream::new(takes);
            let mut sent = 0;
            for round in 0..60 {
                let text: String = (0..100).map(|n| format!("line-{round}-{n}-{}\n", "x".repeat(90))).collect();
                for chunk in text.as_bytes().chunks(size) {
                    stream.write(1, chunk);
                    sent += chunk.len();
                }
                stream.write(2, b"daemon speaks\n");
                sent += 14;
                stream.drain(takes * 3);
            }
            stream.drain(usize::MAX);
            stream.queue.close(1);
            stream.drain(usize::MAX);
            let text = stream.text();
            let is_whole = |line: &str| {
                line == "daemon speaks" || line.starts_with("line-") && line.ends_with(&format!("-{}", "x".repeat(90)))
            };
            assert!(text.lines().all(is_whole), "{takes} {size}");
            assert!(text.ends_with('\n'));
            assert_eq!(text.len() as u64 + stream.queue.take_lost(), sent as u64, "{takes} {size}");
            assert!(text.len() >= PENDING_MAX / 2, "{takes} {size}: {}", text.len());
        }
    }

    #[test]
    fn all_is_bounded_and_nothing_of_a_waiting_writer_is_lost() {
        let mut queue = Queue::default();
        for _ in 0..100 {
            queue.put(1, &[b'x'; 50_000], true, NOW);
            queue.put(2, &[b'y'; 50_000], true, NOW);
        }
        let parked: usize = queue.parked.values().map(|parked| parked.bytes.len()).sum();
        assert!(queue.pending.len() + parked <= 4 * LINE_MAX, "{} {parked}", queue.pending.len());
        let mut queue = Queue::default();
        let line = b"l".repeat(999);
        for _ in 0..1000 {
            queue.put(1, &[&line[..], b"\n"].concat(), false, NOW);
        }
        assert_eq!((queue.pending().len(), queue.take_lost()), (1_000_000, 0));
    }
}
