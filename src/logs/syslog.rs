//! A client of the local syslog daemon: datagrams to /dev/log, facility USER, priority INFO (L-4, L-33).
//!
//! Shape of a message: `<14>Nov 21 02:58:23 ident: text`, as the C library's syslog(3) sends it. Nothing waits:
//! without a daemon, or when its socket is full, the newest 64 KiB of messages are kept and tried again with the next
//! one, at most once a second; those that are lost are counted (K-9).

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::sys::time;

/// Where syslog daemons listen.
const DEV_LOG: &str = "/dev/log";

/// Facility USER (1), priority INFO (6).
const PRIORITY: u32 = 1 << 3 | 6;

/// Longest text of one message in bytes; RFC 5424 asks receivers for 2048 and daemons cut at 8192. The rest is cut.
const TEXT_MAX: usize = 8192;

/// Bytes of messages kept while nobody takes them, as of every other log.
const KEPT_MAX: usize = 64 * 1024;

/// Between two tries to send what is kept.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// The client; connects when something is to be sent, and again when that fails.
#[derive(Debug)]
pub struct Syslog {
    path: String,
    ident: String,
    socket: Option<UnixDatagram>,
    packet: Vec<u8>,
    /// Messages that could not be sent, oldest first.
    kept: VecDeque<Vec<u8>>,
    kept_bytes: usize,
    /// When that was tried last.
    tried: Mono,
    /// Messages that there was no room for.
    lost: u64,
    /// The same, now that they can be told.
    restored: u64,
}

impl Syslog {
    /// A client that names itself `ident`, the program's name.
    pub fn new(ident: &str) -> Syslog {
        Syslog::at(DEV_LOG, ident)
    }

    fn at(path: &str, ident: &str) -> Syslog {
        Syslog {
            path: path.to_string(),
            ident: ident.to_string(),
            socket: None,
            packet: Vec::new(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            tried: Mono(0),
            lost: 0,
            restored: 0,
        }
    }

    /// Sends each line of `text` as a message of its own that begins with `prefix`; trailing newlines are dropped.
    pub fn send(&mut self, now: Now, prefix: &[u8], text: &[u8]) {
        let at = time::local(now.wall.secs());
        let end = text.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
        for line in text[..end].split(|byte| *byte == b'\n') {
            self.packet.clear();
            let (month, ident) = (at.month_name(), &self.ident);
            // Writing to memory does not fail.
            let _ = write!(
                self.packet,
                "<{PRIORITY}>{month} {:2} {:02}:{:02}:{:02} {ident}: ",
                at.day, at.hour, at.minute, at.second
            );
            self.packet.extend_from_slice(prefix);
            self.packet.extend_from_slice(&line[..line.len().min(TEXT_MAX)]);
            self.send_packet(now.mono);
        }
    }

    /// Child output: each line of the chunk as `<process name> <line>` (L-33).
    pub fn send_output(&mut self, now: Now, process: &str, chunk: &[u8]) {
        let prefix = format!("{process} ");
        self.send(now, prefix.as_bytes(), chunk);
    }

    fn send_packet(&mut self, now: Mono) {
        if !self.kept.is_empty() {
            if now.since(self.tried) >= RETRY_TIME {
                self.tried = now;
                self.send_kept();
            }
            if !self.kept.is_empty() {
                return self.keep();
            }
        }
        if !send(&mut self.socket, &self.path, &self.packet) {
            self.tried = now;
            self.keep();
        }
    }

    fn send_kept(&mut self) {
        while let Some(packet) = self.kept.front() {
            if !send(&mut self.socket, &self.path, packet) {
                return;
            }
            self.kept_bytes -= packet.len();
            self.kept.pop_front();
        }
        self.restored += std::mem::take(&mut self.lost);
    }

    /// Keeps the message for later, and counts the oldest ones that there is no room for any more.
    fn keep(&mut self) {
        self.kept_bytes += self.packet.len();
        self.kept.push_back(self.packet.clone());
        while self.kept_bytes > KEPT_MAX
            && let Some(oldest) = self.kept.pop_front()
        {
            self.kept_bytes -= oldest.len();
            self.lost += 1;
        }
    }

    /// How many messages were lost, told once they can be sent again; 0 when there is nothing to tell.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.restored)
    }
}

/// Whether a message was sent. Twice tried: a daemon that was restarted has a new socket under the same path.
fn send(socket: &mut Option<UnixDatagram>, path: &str, packet: &[u8]) -> bool {
    for _ in 0..2 {
        if socket.is_none() {
            *socket = connect(path);
        }
        let Some(open) = socket else { return false };
        match open.send(packet) {
            Ok(_) => return true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => *socket = None,
        }
    }
    false
}

fn connect(path: &str) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect(path).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;
    use crate::sys::scratch::Scratch;

    const NOW: Now = Now { mono: Mono(0), wall: Wall(0) };

    fn at(secs: u64) -> Now {
        Now { mono: Mono(secs * 1_000_000_000), ..NOW }
    }

    /// K-9: what nobody takes yet is kept, and what does not fit is counted.
    #[test]
    fn messages_wait_for_a_daemon_that_comes_late() {
        let scratch = Scratch::new("syslog-late");
        let path = scratch.path("log");
        let mut client = Syslog::at(&path, "s");
        client.send(at(1), b"", b"one\ntwo");
        let daemon = UnixDatagram::bind(&path).unwrap();
        client.send(at(1), b"", b"three");
        assert_eq!((received(&daemon).len(), client.take_lost()), (0, 0), "too early");
        client.send(at(2), b"", b"four");
        assert_eq!(received(&daemon), ["s: one", "s: two", "s: three", "s: four"]);
        assert_eq!(client.take_lost(), 0);

        // A socket that is full takes a few, the rest waits in order, and the oldest of the rest are lost.
        let text = "x".repeat(1000);
        for _ in 0..500 {
            client.send(at(3), b"", text.as_bytes());
        }
        let first = received(&daemon).len();
        client.send(at(4), b"", text.as_bytes());
        let mut later = received(&daemon).len();
        for secs in 5..40 {
            client.send(at(secs), b"", b"on");
            later += received(&daemon).len();
        }
        let lost = client.take_lost();
        assert!(lost > 0 && client.kept.is_empty() && client.kept_bytes == 0, "{lost}");
        assert_eq!(first + later + lost as usize, 501 + 35);
    }

    fn received(daemon: &UnixDatagram) -> Vec<String> {
        daemon.set_nonblocking(true).unwrap();
        let mut buffer = [0; 16384];
        let mut all = Vec::new();
        while let Ok(count) = daemon.recv(&mut buffer) {
            let packet = String::from_utf8(buffer[..count].to_vec()).unwrap();
            // `<14>Mmm dd hh:mm:ss ` and the rest.
            assert!(packet.starts_with("<14>") && packet.as_bytes()[19] == b' ', "{packet}");
            all.push(packet[20..].to_string());
        }
        all
    }

    #[test]
    fn each_line_is_a_message() {
        let scratch = Scratch::new("syslog");
        let path = scratch.path("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut client = Syslog::at(&path, "supervisord");
        let rows: &[(&str, &[&str])] = &[
            ("one", &["one"]),
            ("one\n", &["one"]),
            ("one\ntwo\n\n", &["one", "two"]),
            ("one\n\ntwo", &["one", "", "two"]),
            ("\n", &[""]),
        ];
        for (chunk, expected) in rows {
            client.send_output(NOW, "cat", chunk.as_bytes());
            let expected: Vec<_> = expected.iter().map(|line| format!("supervisord: cat {line}")).collect();
            assert_eq!(received(&daemon), expected, "{chunk:?}");
        }
        client.send(NOW, b"", &[b'x'; TEXT_MAX + 1]);
        assert_eq!(received(&daemon)[0].len(), "supervisord: ".len() + TEXT_MAX);
    }

    #[test]
    fn a_restarted_daemon_is_found_again() {
        let scratch = Scratch::new("syslog-restart");
        let path = scratch.path("log");
        let mut client = Syslog::at(&path, "s");
        client.send(NOW, b"", b"nobody hears");
        let first = UnixDatagram::bind(&path).unwrap();
        client.send(at(1), b"", b"one");
        assert_eq!(received(&first), ["s: nobody hears", "s: one"]);
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        client.send(NOW, b"", b"two");
        assert_eq!(received(&second), ["s: two"]);
    }
}
