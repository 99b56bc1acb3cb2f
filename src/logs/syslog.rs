//! A client of the local syslog daemon: datagrams to /dev/log, facility USER, priority INFO (L-4, L-33).
//!
//! Shape of a message: `<14>Nov 21 02:58:23 ident: text`, as the C library's syslog(3) sends it. Nothing waits and
//! nothing is repeated: without a daemon, or when its socket is full, messages are lost.

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixDatagram;

use crate::clock::Wall;
use crate::sys::time;

/// Where syslog daemons listen.
const DEV_LOG: &str = "/dev/log";

/// Facility USER (1), priority INFO (6).
const PRIORITY: u32 = 1 << 3 | 6;

/// Longest text of one message in bytes; RFC 5424 asks receivers for 2048 and daemons cut at 8192. The rest is cut.
const TEXT_MAX: usize = 8192;

/// The client; connects when something is to be sent, and again when that fails.
#[derive(Debug)]
pub struct Syslog {
    path: String,
    ident: String,
    socket: Option<UnixDatagram>,
    packet: Vec<u8>,
}

impl Syslog {
    /// A client that names itself `ident`, the program's name.
    pub fn new(ident: &str) -> Syslog {
        Syslog::at(DEV_LOG, ident)
    }

    fn at(path: &str, ident: &str) -> Syslog {
        Syslog { path: path.to_string(), ident: ident.to_string(), socket: None, packet: Vec::new() }
    }

    /// Sends each line of `text` as a message of its own that begins with `prefix`; trailing newlines are dropped.
    pub fn send(&mut self, now: Wall, prefix: &[u8], text: &[u8]) {
        let at = time::local(now.secs());
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
            self.send_packet();
        }
    }

    /// Child output: each line of the chunk as `<process name> <line>` (L-33).
    pub fn send_output(&mut self, now: Wall, process: &str, chunk: &[u8]) {
        let prefix = format!("{process} ");
        self.send(now, prefix.as_bytes(), chunk);
    }

    fn send_packet(&mut self) {
        // Twice: a daemon that was restarted has a new socket under the same path.
        for _ in 0..2 {
            if self.socket.is_none() {
                self.socket = connect(&self.path);
            }
            let Some(socket) = &self.socket else { return };
            match socket.send(&self.packet) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => self.socket = None,
                _ => return,
            }
        }
    }
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
    use crate::sys::scratch::Scratch;

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
            client.send_output(Wall(0), "cat", chunk.as_bytes());
            let expected: Vec<_> = expected.iter().map(|line| format!("supervisord: cat {line}")).collect();
            assert_eq!(received(&daemon), expected, "{chunk:?}");
        }
        client.send(Wall(0), b"", &[b'x'; TEXT_MAX + 1]);
        assert_eq!(received(&daemon)[0].len(), "supervisord: ".len() + TEXT_MAX);
    }

    #[test]
    fn a_restarted_daemon_is_found_again() {
        let scratch = Scratch::new("syslog-restart");
        let path = scratch.path("log");
        let mut client = Syslog::at(&path, "s");
        client.send(Wall(0), b"", b"nobody hears");
        let first = UnixDatagram::bind(&path).unwrap();
        client.send(Wall(0), b"", b"one");
        assert_eq!(received(&first), ["s: one"]);
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        client.send(Wall(0), b"", b"two");
        assert_eq!(received(&second), ["s: two"]);
    }
}
