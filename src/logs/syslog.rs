//! A client of a syslog daemon: datagrams to /dev/log or wherever is configured (L-4, L-33, K-9).
//!
//! Shape of a message: `<14>Nov 21 02:58:23 tag: text`, as the C library's syslog(3) sends it; to another machine our own
//! name stands before the tag, as RFC 3164 has it. Nothing waits: without a daemon, or when its socket is full, the newest
//! 64 KiB of messages are kept and tried again with the next one, without a daemon at most once a second; those that are
//! lost are counted.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::config::{Env, Facility, Priority, SyslogAddress, SystemEnv};
use crate::sys::time;

/// Longest text of one message in bytes; RFC 5424 asks receivers for 2048 and daemons cut at 8192. The rest is cut.
const TEXT_MAX: usize = 8192;

/// Bytes of messages kept while nobody takes them, as of every other log.
const KEPT_MAX: usize = 64 * 1024;

/// Between two tries to find a daemon for what is kept. One that is only slow takes some of it with each message.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// What messages say of who sends them.
#[derive(Clone, Copy, Debug)]
pub struct Label<'a> {
    /// What kind of program.
    pub facility: Facility,
    /// How important it is.
    pub priority: Priority,
    pub(crate) tag: &'a str,
}

/// The client; connects when something is to be sent, and again when that fails.
#[derive(Debug)]
pub struct Syslog {
    address: SyslogAddress,
    /// Our own name with a blank, for another machine.
    host: String,
    socket: Option<Socket>,
    packet: Vec<u8>,
    /// The last message to another machine. That nobody listens there, the next one is told.
    last: Vec<u8>,
    /// Messages that could not be sent, oldest first.
    kept: VecDeque<Vec<u8>>,
    kept_bytes: usize,
    /// When that was tried last.
    tried: Mono,
    /// Somebody is there who only could take no more then.
    is_full: bool,
    /// Messages that there was no room for.
    lost: u64,
    /// The same, now that they can be told.
    restored: u64,
}

/// An open way to the daemon.
#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

/// What became of a message.
enum Sent {
    Yes,
    /// It could not be taken now: the socket is full.
    No,
    /// Its receiver has to take others first.
    Full,
    /// The one before this came to nobody, and so does this.
    Refused,
}

impl Syslog {
    /// A client of whoever listens there.
    pub fn new(address: &SyslogAddress) -> Syslog {
        let host = match address {
            SyslogAddress::Unix(_) => String::new(),
            SyslogAddress::Udp(_) => format!("{} ", SystemEnv.hostname()),
        };
        Syslog {
            address: address.clone(),
            host,
            socket: None,
            packet: Vec::new(),
            last: Vec::new(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            tried: Mono(0),
            is_full: false,
            lost: 0,
            restored: 0,
        }
    }

    /// Whether nothing waits for it.
    pub fn is_idle(&self) -> bool {
        self.kept.is_empty()
    }

    /// Sends each line of `text` as a message of its own that begins with `prefix`; trailing newlines are dropped.
    pub fn send(&mut self, now: Now, label: &Label<'_>, prefix: &[u8], text: &[u8]) {
        let code = u32::from(label.facility.0) << 3 | u32::from(label.priority.0);
        let at = time::local(now.wall.secs());
        let end = text.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
        for line in text[..end].split(|byte| *byte == b'\n') {
            self.packet.clear();
            let (month, host, tag) = (at.month_name(), &self.host, label.tag);
            // Writing to memory does not fail.
            let _ = write!(
                self.packet,
                "<{code}>{month} {:2} {:02}:{:02}:{:02} {host}{tag}: ",
                at.day, at.hour, at.minute, at.second
            );
            self.packet.extend_from_slice(prefix);
            self.packet.extend_from_slice(&line[..line.len().min(TEXT_MAX)]);
            self.send_packet(now.mono);
        }
    }

    /// Child output: each line of the chunk as `<process name> <line>` (L-33).
    pub fn send_output(&mut self, now: Now, label: &Label<'_>, process: &str, chunk: &[u8]) {
        let prefix = format!("{process} ");
        self.send(now, label, prefix.as_bytes(), chunk);
    }

    fn send_packet(&mut self, now: Mono) {
        if !self.kept.is_empty() && (self.is_full || now.since(self.tried) >= RETRY_TIME) {
            self.tried = now;
            self.send_kept();
        }
        if !self.kept.is_empty() {
            return self.keep();
        }
        match deliver(&mut self.socket, &self.address, &self.packet) {
            Sent::Yes if self.is_remote() => return self.last.clone_from(&self.packet),
            Sent::Yes => return,
            Sent::No => self.is_full = false,
            Sent::Full => self.is_full = true,
            Sent::Refused => self.take_back(),
        }
        self.tried = now;
        self.keep();
    }

    fn send_kept(&mut self) {
        self.is_full = false;
        while let Some(packet) = self.kept.front() {
            match deliver(&mut self.socket, &self.address, packet) {
                Sent::Yes => {
                    self.kept_bytes -= packet.len();
                    let packet = self.kept.pop_front();
                    if self.is_remote() {
                        self.last = packet.unwrap_or_default();
                    }
                }
                Sent::No => return,
                Sent::Full => {
                    self.is_full = true;
                    return;
                }
                Sent::Refused => return self.take_back(),
            }
        }
        self.restored += std::mem::take(&mut self.lost);
    }

    fn is_remote(&self) -> bool {
        matches!(self.address, SyslogAddress::Udp(_))
    }

    /// The last message came to nobody: it waits with the others.
    fn take_back(&mut self) {
        let last = std::mem::take(&mut self.last);
        if !last.is_empty() {
            self.kept_bytes += last.len();
            self.kept.push_front(last);
        }
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

    /// The end: what is kept is tried once more. How many messages were lost then.
    pub fn end(&mut self) -> u64 {
        self.send_kept();
        let left = std::mem::take(&mut self.kept).len() as u64;
        self.kept_bytes = 0;
        std::mem::take(&mut self.restored) + std::mem::take(&mut self.lost) + left
    }
}

/// Tries to send a message. Twice, if it fails: a daemon that was restarted has a new socket under the same path.
fn deliver(socket: &mut Option<Socket>, address: &SyslogAddress, packet: &[u8]) -> Sent {
    for _ in 0..2 {
        if socket.is_none() {
            *socket = Socket::open(address).ok();
        }
        let Some(open) = socket else { return Sent::No };
        match (open.send(packet), open) {
            (Ok(_), _) => return Sent::Yes,
            (Err(error), _) if error.kind() == ErrorKind::WouldBlock => return Sent::Full,
            (Err(error), Socket::Udp(_)) if error.kind() == ErrorKind::ConnectionRefused => return Sent::Refused,
            (Err(_), _) => *socket = None,
        }
    }
    Sent::No
}

impl Socket {
    fn open(address: &SyslogAddress) -> std::io::Result<Socket> {
        match address {
            SyslogAddress::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                socket.connect(path)?;
                Ok(Socket::Unix(socket))
            }
            SyslogAddress::Udp(address) => {
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.set_nonblocking(true)?;
                socket.connect(address)?;
                Ok(Socket::Udp(socket))
            }
        }
    }

    fn send(&self, packet: &[u8]) -> std::io::Result<usize> {
        match self {
            Socket::Unix(socket) => socket.send(packet),
            Socket::Udp(socket) => socket.send(packet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;
    use crate::sys::scratch::Scratch;

    const NOW: Now = Now { mono: Mono(0), wall: Wall(0) };

    const LABEL: Label<'static> = Label { facility: Facility(1), priority: Priority(6), tag: "s" };

    fn at_path(path: &str) -> Syslog {
        Syslog::new(&SyslogAddress::Unix(path.to_string()))
    }

    fn at(secs: u64) -> Now {
        Now { mono: Mono(secs * 1_000_000_000), ..NOW }
    }

    /// K-9: what nobody takes yet is kept, and what does not fit is counted.
    #[test]
    fn messages_wait_for_a_daemon_that_comes_late() {
        let scratch = Scratch::new("syslog-late");
        let path = scratch.path("log");
        let mut client = at_path(&path);
        client.send(at(1), &LABEL, b"", b"one\ntwo");
        let daemon = UnixDatagram::bind(&path).unwrap();
        client.send(at(1), &LABEL, b"", b"three");
        assert_eq!((received(&daemon).len(), client.take_lost()), (0, 0), "too early");
        client.send(at(2), &LABEL, b"", b"four");
        assert_eq!(received(&daemon), ["s: one", "s: two", "s: three", "s: four"]);
        assert_eq!(client.take_lost(), 0);

        // A socket that is full takes a few, the rest waits in order, and the oldest of the rest are lost.
        let text = "x".repeat(1000);
        for _ in 0..500 {
            client.send(at(3), &LABEL, b"", text.as_bytes());
        }
        let first = received(&daemon).len();
        client.send(at(4), &LABEL, b"", text.as_bytes());
        let mut later = received(&daemon).len();
        for secs in 5..40 {
            client.send(at(secs), &LABEL, b"", b"on");
            later += received(&daemon).len();
        }
        let lost = client.take_lost();
        assert!(lost > 0 && client.kept.is_empty() && client.kept_bytes == 0, "{lost}");
        assert_eq!(first + later + lost as usize, 501 + 35);
    }

    /// K-9: a burst that a receiver was too slow for costs what did not fit, and nothing of what comes later.
    #[test]
    fn a_burst_is_over_when_the_receiver_has_caught_up() {
        let scratch = Scratch::new("syslog-burst");
        let path = scratch.path("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut client = at_path(&path);
        let mut heard = Vec::new();
        for number in 0..3000 {
            client.send(at(1), &LABEL, b"", format!("burst {number:050}").as_bytes());
        }
        // All within the same second: the receiver takes what there is before each message.
        for number in 0..1000 {
            heard.extend(received(&daemon));
            client.send(at(1), &LABEL, b"", format!("steady {number}").as_bytes());
        }
        heard.extend(received(&daemon));
        let steady = heard.iter().filter(|text| text.contains("steady")).count();
        let lost = client.take_lost();
        assert_eq!((steady, heard.len() as u64 + lost), (1000, 4000));
        assert!(lost > 0 && client.end() == 0);
    }

    /// K-9: what nobody has taken at the end is counted.
    #[test]
    fn the_end_counts_what_is_left() {
        let scratch = Scratch::new("syslog-end");
        let path = scratch.path("log");
        let mut client = at_path(&path);
        for _ in 0..3000 {
            client.send(at(1), &LABEL, b"", &[b'x'; 100]);
        }
        assert_eq!((client.end(), client.end()), (3000, 0));
        client.send(at(2), &LABEL, b"", b"late");
        let daemon = UnixDatagram::bind(&path).unwrap();
        assert_eq!((client.end(), received(&daemon).len()), (0, 1));
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
        let mut client = at_path(&path);
        let rows: &[(&str, &[&str])] = &[
            ("one", &["one"]),
            ("one\n", &["one"]),
            ("one\ntwo\n\n", &["one", "two"]),
            ("one\n\ntwo", &["one", "", "two"]),
            ("\n", &[""]),
        ];
        for (chunk, expected) in rows {
            client.send_output(NOW, &LABEL, "cat", chunk.as_bytes());
            let expected: Vec<_> = expected.iter().map(|line| format!("s: cat {line}")).collect();
            assert_eq!(received(&daemon), expected, "{chunk:?}");
        }
        client.send(NOW, &LABEL, b"", &[b'x'; TEXT_MAX + 1]);
        assert_eq!(received(&daemon)[0].len(), "s: ".len() + TEXT_MAX);
    }

    #[test]
    fn a_restarted_daemon_is_found_again() {
        let scratch = Scratch::new("syslog-restart");
        let path = scratch.path("log");
        let mut client = at_path(&path);
        client.send(NOW, &LABEL, b"", b"nobody hears");
        let first = UnixDatagram::bind(&path).unwrap();
        client.send(at(1), &LABEL, b"", b"one");
        assert_eq!(received(&first), ["s: nobody hears", "s: one"]);
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        client.send(NOW, &LABEL, b"", b"two");
        assert_eq!(received(&second), ["s: two"]);
    }

    /// K-9: facility, priority and tag; another machine is told our name, and what it refused comes again.
    #[test]
    fn another_machine_hears_as_well() {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = daemon.local_addr().unwrap();
        let mut client = Syslog::new(&SyslogAddress::Udp(address));
        let label = Label { facility: Facility(16), priority: Priority(3), tag: "web" };
        let hear = |daemon: &UdpSocket| {
            daemon.set_nonblocking(true).unwrap();
            let mut buffer = [0; 1000];
            let mut all = Vec::new();
            while let Ok(count) = daemon.recv(&mut buffer) {
                all.push(String::from_utf8(buffer[..count].to_vec()).unwrap());
            }
            all
        };
        client.send(at(1), &label, b"", b"one");
        let heard = hear(&daemon);
        assert!(heard[0].starts_with("<131>"), "{heard:?}");
        assert!(heard[0].ends_with(&format!(" {} web: one", SystemEnv.hostname())), "{heard:?}");
        drop(daemon);
        for text in ["two", "three", "four"] {
            client.send(at(2), &label, b"", text.as_bytes());
        }
        client.send(at(3), &label, b"", b"five");
        let daemon = UdpSocket::bind(address).unwrap();
        client.send(at(4), &label, b"", b"six");
        let heard = hear(&daemon);
        let texts: Vec<_> = heard.iter().map(|text| text.rsplit(' ').next().unwrap()).collect();
        assert_eq!(texts, ["two", "three", "four", "five", "six"]);
        assert_eq!(client.take_lost(), 0);
    }
}
