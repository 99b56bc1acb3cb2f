//! Children: what they do once they are spawned, and how they take signals and events. They act by putting what will
//! happen on the agenda.

use stheno::config::types::ResultHandler;
use stheno::exit::ExitStatus;
use stheno::id::{Channel, LogId, ProcId};
use stheno::wire::capture;

use crate::agenda::{Agenda, Happening, MS, SECOND, Spoken};
use crate::helpers::READY_TEXT;
use crate::random::Random;

/// A child, alive or dead and not yet reaped.
pub struct Child {
    pub process: ProcId,
    pub name: String,
    pub command: String,
    /// The logs that were opened for it.
    pub logs: Vec<LogId>,
    /// When it comes to its program, or fails to.
    pub set_up_at: u64,
    /// It fails on the way, for want of this option or otherwise.
    pub failure: Option<Option<String>>,
    /// It has ended; its exit is being delivered.
    pub is_dead: bool,
    /// What was heard of it on each channel, since it began a line.
    pub heard: [Vec<u8>; 2],
    /// SIGKILL was sent to it.
    pub is_killed: bool,
    pub listener: Option<Listening>,
}

/// A listener's side of the protocol.
pub struct Listening {
    pub handler: ResultHandler,
    /// As it has it with its pool.
    pub counts_bytes: bool,
    /// It has said READY and got nothing since.
    pub is_ready: bool,
    /// The event it has: serial and pool serial.
    pub holding: Option<(u64, u64)>,
    /// An answer is on its way.
    pub is_answering: bool,
    /// It broke the protocol, so the daemon listens to it no more.
    pub is_broken: bool,
}

/// How a child ended by itself.
fn an_exit(random: &mut Random) -> ExitStatus {
    match random.below(6) {
        0 => ExitStatus::Signal { number: libc::SIGSEGV, core: random.one_in(2) },
        1 => ExitStatus::Code(1),
        2 => ExitStatus::Code(2),
        3 => ExitStatus::Code(127),
        _ => ExitStatus::Code(0),
    }
}

fn output(random: &mut Random) -> Vec<u8> {
    let texts: [&[u8]; 7] = [
        b"a line\n",
        b"two\nlines\n",
        b"half a line",
        b"\x1b[31mred\x1b[0m\n",
        b"\xff\xfe\n",
        "h\u{e9}llo\n".as_bytes(),
        b"\n",
    ];
    random.pick(&texts).to_vec()
}

impl Child {
    /// Takes what it wrote; whether it has written the line that makes it ready.
    pub fn hear(&mut self, channel: Channel, bytes: &[u8]) -> bool {
        let line = &mut self.heard[usize::from(channel == Channel::Stderr)];
        line.extend_from_slice(bytes);
        let Some(end) = line.iter().rposition(|byte| *byte == b'\n') else { return false };
        let whole: Vec<u8> = line.drain(..=end).collect();
        String::from_utf8_lossy(&whole).contains(READY_TEXT)
    }

    /// Begins its life.
    pub fn begin(&self, pid: i32, now: u64, random: &mut Random, agenda: &mut Agenda) {
        if self.failure.is_some() {
            return agenda.put(now, Happening::Exit { pid, status: ExitStatus::Code(127) });
        }
        let word = self.command.split(' ').next().unwrap_or_default();
        let exits_at = match word {
            "/bin/instant" => Some(now + *random.pick(&[0, 0, 1, MS])),
            "/bin/brief" => Some(now + random.below(3 * SECOND)),
            "/bin/long" => Some(now + random.between(3, 60) * SECOND),
            // On the very edges of startsecs.
            "/bin/moody" => match random.below(5) {
                0 => None,
                1 => Some(now),
                2 => Some(now + *random.pick(&[1, 3]) * SECOND + random.below(3) - 1),
                _ => Some(now + random.below(20 * SECOND)),
            },
            "/bin/mortal" => Some(now + random.below(30 * SECOND)),
            _ => None,
        };
        if self.listener.is_some() {
            self.say_ready(pid, now + random.below(2 * SECOND), random, agenda);
            if word == "/bin/breaker" && random.one_in(3) {
                let garbage =
                    Happening::output(pid, Channel::Stdout, b"garbage line\n".to_vec(), vec![Spoken::Garbage]);
                agenda.put(now + random.below(20 * SECOND), garbage);
            }
        }
        match word {
            "/bin/talker" => {
                for _ in 0..random.between(1, 8) {
                    self.print(pid, now + random.below(20 * SECOND), output(random), random, agenda);
                }
            }
            "/bin/flood" => {
                let mut at = now;
                for _ in 0..random.between(1, 10) {
                    at += random.below(200 * MS);
                    self.print(pid, at, vec![b'x'; random.between(1, 20_000) as usize], random, agenda);
                }
            }
            "/bin/capturer" => self.print_captured(pid, now, random, agenda),
            _ if random.one_in(3) => self.print(pid, now + random.below(SECOND), output(random), random, agenda),
            _ => {}
        }
        if random.one_in(20) && self.listener.is_none() {
            let ended = Happening::Ended { pid, channel: Channel::Stderr };
            agenda.put(now + random.below(5 * SECOND), ended);
        }
        if let Some(at) = exits_at {
            // The last words come with the exit itself.
            if self.listener.is_none() && random.one_in(2) {
                self.print(pid, at, output(random), random, agenda);
            }
            agenda.put(at, Happening::Exit { pid, status: an_exit(random) });
        }
    }

    fn print(&self, pid: i32, at: u64, bytes: Vec<u8>, random: &mut Random, agenda: &mut Agenda) {
        let channel = match self.listener {
            None if random.one_in(2) => Channel::Stdout,
            _ => Channel::Stderr,
        };
        agenda.put(at, Happening::output(pid, channel, bytes, Vec::new()));
    }

    /// Messages between tokens, all of it in pieces.
    fn print_captured(&self, pid: i32, now: u64, random: &mut Random, agenda: &mut Agenda) {
        let channel = *random.pick(&[Channel::Stdout, Channel::Stderr]);
        let mut text = b"before ".to_vec();
        for _ in 0..random.between(1, 3) {
            text.extend_from_slice(capture::BEGIN);
            text.extend(std::iter::repeat_n(b'm', random.below(100) as usize));
            // Sometimes the message is never ended.
            if !random.one_in(4) {
                text.extend_from_slice(capture::END);
            }
            text.extend_from_slice(b" between\n");
        }
        let mut at = now;
        let mut rest = &text[..];
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(random.between(1, 40).min(rest.len() as u64) as usize);
            at += random.below(SECOND);
            agenda.put(at, Happening::output(pid, channel, piece.to_vec(), Vec::new()));
            rest = left;
        }
    }

    /// Says READY, sometimes in pieces.
    fn say_ready(&self, pid: i32, at: u64, random: &mut Random, agenda: &mut Agenda) {
        self.say(pid, at, &[(b"READY\n", Spoken::Ready)], random, agenda);
    }

    /// Says something to the daemon, often in pieces; each part means something once it is whole.
    fn say(&self, pid: i32, at: u64, parts: &[(&[u8], Spoken)], random: &mut Random, agenda: &mut Agenda) {
        let text: Vec<u8> = parts.iter().flat_map(|(text, _)| text.iter().copied()).collect();
        let mut ends = vec![text.len()];
        if random.one_in(3) {
            ends.extend((0..random.between(1, 3)).map(|_| random.below(text.len() as u64) as usize));
        }
        ends.sort_unstable();
        let (mut at, mut start) = (at, 0);
        for end in ends {
            let mut part_end = 0;
            let mut spoken = Vec::new();
            for (text, what) in parts {
                part_end += text.len();
                if part_end > start && part_end <= end {
                    spoken.push(*what);
                }
            }
            if end > start {
                agenda.put(at, Happening::output(pid, Channel::Stdout, text[start..end].to_vec(), spoken));
                at += random.below(100 * MS);
            }
            start = end;
        }
    }

    /// Takes an event and decides what becomes of it.
    pub fn take_event(&mut self, pid: i32, event: &Envelope<'_>, now: u64, random: &mut Random, agenda: &mut Agenda) {
        let name = self.name.clone();
        let Some(listener) = &mut self.listener else { panic!("an event was written to {name}, which is no listener") };
        assert!(!listener.is_broken, "{name} broke the protocol and still gets events");
        assert!(listener.is_ready, "an event was written to {name}, which is not READY");
        assert!(listener.holding.is_none(), "{name} is BUSY and got a second event");
        listener.is_ready = false;
        listener.holding = Some((event.serial, event.pool_serial));
        let handler = listener.handler;
        let at = now + 1 + random.below(2 * SECOND);
        let word = self.command.split(' ').next().unwrap_or_default();
        let (result, spoken) = match word {
            "/bin/staller" if random.one_in(2) => return,
            "/bin/mortal" if random.one_in(3) => {
                if random.one_in(2) {
                    let half = Happening::output(pid, Channel::Stdout, b"RESULT 2\nO".to_vec(), Vec::new());
                    agenda.put(at, half);
                    self.expect_answer();
                }
                agenda.put(at + random.below(SECOND), Happening::Exit { pid, status: an_exit(random) });
                return;
            }
            "/bin/breaker" if random.one_in(3) => {
                let garbage =
                    Happening::output(pid, Channel::Stdout, b"garbage line\n".to_vec(), vec![Spoken::Garbage]);
                agenda.put(at, garbage);
                return;
            }
            "/bin/sulky" => (b"FAIL".to_vec(), Spoken::Rejected),
            "/bin/picky" if random.one_in(3) => (b"FAIL".to_vec(), Spoken::Rejected),
            _ => answer(handler, event, random),
        };
        self.expect_answer();
        let mut text = format!("RESULT {}\n", result.len()).into_bytes();
        text.extend_from_slice(&result);
        // The daemon stops listening to one whose answer its handler cannot take.
        if spoken == Spoken::Broken {
            self.say(pid, at, &[(&text, spoken)], random, agenda);
        } else if random.one_in(2) {
            self.say(pid, at, &[(&text, spoken), (b"READY\n", Spoken::Ready)], random, agenda);
        } else {
            self.say(pid, at, &[(&text, spoken)], random, agenda);
            self.say_ready(pid, at + SECOND, random, agenda);
        }
    }

    fn expect_answer(&mut self) {
        if let Some(listener) = &mut self.listener {
            listener.is_answering = true;
        }
    }

    /// Takes a signal.
    pub fn take_signal(&mut self, pid: i32, signal: i32, now: u64, random: &mut Random, agenda: &mut Agenda) {
        let word = self.command.split(' ').next().unwrap_or_default();
        let killed = ExitStatus::Signal { number: signal, core: false };
        let exit = |status| Happening::Exit { pid, status };
        match (word, signal) {
            // In a system call that cannot be interrupted.
            ("/bin/undead", libc::SIGKILL) if random.one_in(2) => {
                agenda.put(now + random.between(1, 25) * SECOND, exit(killed));
            }
            (_, libc::SIGKILL) => {
                self.is_killed = true;
                agenda.put(now + random.below(MS), exit(killed));
            }
            ("/bin/stubborn" | "/bin/undead", _) => {}
            (_, 0 | libc::SIGCONT | libc::SIGCHLD | libc::SIGWINCH) => {}
            _ => match random.below(5) {
                0 => agenda.put(now, exit(killed)),
                1 => agenda.put(now + random.below(3 * SECOND), exit(ExitStatus::Code(0))),
                2 => {
                    let at = now + random.below(8 * SECOND);
                    if self.listener.is_none() {
                        self.print(pid, at, b"farewell".to_vec(), random, agenda);
                    }
                    agenda.put(at, exit(ExitStatus::Code(*random.pick(&[0, 2, 3]))));
                }
                3 if random.one_in(3) => {}
                _ => agenda.put(now + random.below(500 * MS), exit(killed)),
            },
        }
    }
}

/// An answer that the handler accepts, or cannot take at all.
fn answer(handler: ResultHandler, event: &Envelope<'_>, random: &mut Random) -> (Vec<u8>, Spoken) {
    let is_about_process = event.payload.starts_with(b"processname:");
    match handler {
        ResultHandler::Default => (b"OK".to_vec(), Spoken::Accepted),
        ResultHandler::StdinWrite if random.one_in(2) => {
            (b"STDIN:hello\n".to_vec(), if is_about_process { Spoken::Accepted } else { Spoken::Broken })
        }
        ResultHandler::StdinWrite => (b"OK".to_vec(), Spoken::Accepted),
        ResultHandler::Stdout if event.name.starts_with("PROCESS_LOG") => (event.payload.to_vec(), Spoken::Accepted),
        ResultHandler::Stdout => (b"OK".to_vec(), Spoken::Broken),
    }
}

/// What a listener reads.
pub struct Envelope<'a> {
    pub serial: u64,
    pub pool: &'a str,
    pub pool_serial: u64,
    pub name: &'a str,
    pub payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads one; `None` if the bytes are something else.
    pub fn read(bytes: &'a [u8], counts_bytes: bool) -> Option<Envelope<'a>> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let header = std::str::from_utf8(&bytes[..end]).ok()?;
        let words: Vec<(&str, &str)> = header.split(' ').filter_map(|word| word.split_once(':')).collect();
        let keys: Vec<&str> = words.iter().map(|(key, _)| *key).collect();
        if keys != ["ver", "server", "serial", "pool", "poolserial", "eventname", "len"] {
            return None;
        }
        let payload = &bytes[end + 1..];
        let text = std::str::from_utf8(payload).expect("payloads are UTF-8");
        let length = if counts_bytes { text.len() } else { text.chars().count() };
        assert_eq!(words[6].1, length.to_string(), "the length of the payload of {header}");
        Some(Envelope {
            serial: words[2].1.parse().ok()?,
            pool: words[3].1,
            pool_serial: words[4].1.parse().ok()?,
            name: words[5].1,
            payload,
        })
    }
}
