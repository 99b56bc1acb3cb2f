//! Events: their payloads (E-2 to E-13) and the envelope in which a listener gets them (E-30 to E-33).
//!
//! An event is made when something happens and keeps what was true then (E-5). It is formatted once and shared by
//! all pools and redeliveries; the serials, which differ from pool to pool, are the envelope's.

use std::fmt::Write as _;

use crate::config::datatypes::Length;
use crate::eventtype::EventType;
use crate::id::{Channel, Pid, ProcId};
use crate::model::health::HealthChange;
use crate::signal;
use crate::state::ProcessState;
use crate::wire::decimal::push_decimal;
use crate::wire::pyrepr;

/// Serial numbers: from 0, wrapping to 0 after 2^63 − 1 (E-32).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Serials(u64);

impl Serials {
    /// The next number; two calls never give the same before it wraps.
    pub fn take(&mut self) -> u64 {
        let serial = self.0;
        self.0 = if serial == i64::MAX as u64 { 0 } else { serial + 1 };
        serial
    }
}

/// The process that an event is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The id by which a result handler finds the process again; it may be gone by then.
    pub id: ProcId,
    /// The process's own name, `processname:` in the payload.
    pub name: &'a str,
    /// The name of its group, `groupname:` in the payload.
    pub group: &'a str,
}

/// The state a process has entered, with what its payload tells (E-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Entered<'a> {
    /// `tries`: failures so far (E-4).
    Starting { tries: u32 },
    /// `pid`: the child that has outlived `startsecs`.
    Running { pid: Pid },
    /// `tries`: the counter, already incremented (E-4).
    Backoff { tries: u32, end: End<'a> },
    /// `pid`: the child that was signalled.
    Stopping { pid: Pid },
    /// `pid`, `None` after a stop in BACKOFF, shown as 0 (E-6).
    Stopped { pid: Option<Pid>, end: End<'a> },
    /// `expected`, 0 or 1: whether `exitcodes` lists the status; `pid` of the child that ended.
    Exited { expected: bool, pid: Pid, end: End<'a> },
    /// The payload ends with `from_state`: retries are used up.
    Fatal { end: End<'a> },
    /// The payload ends with `from_state`: a signal could not be delivered.
    Unknown,
}

/// How the last run ended; shown only where a pool has `extended_payload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End<'a> {
    /// Exit code; -1 if a signal ended it or it never ran.
    pub exitstatus: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why, one word: `exit`, `signal`, `stop`, `spawn`, …
    pub reason: &'a str,
}

impl Entered<'_> {
    fn state(&self) -> ProcessState {
        match self {
            Entered::Starting { .. } => ProcessState::Starting,
            Entered::Running { .. } => ProcessState::Running,
            Entered::Backoff { .. } => ProcessState::Backoff,
            Entered::Stopping { .. } => ProcessState::Stopping,
            Entered::Stopped { .. } => ProcessState::Stopped,
            Entered::Exited { .. } => ProcessState::Exited,
            Entered::Fatal { .. } => ProcessState::Fatal,
            Entered::Unknown => ProcessState::Unknown,
        }
    }
}

/// An event that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    kind: EventType,
    process: Option<ProcId>,
    /// The payload, and after it what `extended_payload` appends.
    text: String,
    /// Bytes of `text` that are the payload.
    plain_bytes: usize,
    /// Characters of the payload.
    plain_chars: usize,
}

impl Event {
    fn new(kind: EventType, process: Option<ProcId>, text: String) -> Event {
        let plain_chars = text.chars().count();
        Event { kind, process, plain_bytes: text.len(), plain_chars, text }
    }

    /// PROCESS_STATE_x, shape `processname:… groupname:… from_state:…` and what belongs to the new state (E-2).
    pub fn process_state(subject: Subject<'_>, from: ProcessState, entered: Entered<'_>) -> Event {
        let mut text = format!("processname:{} groupname:{} from_state:{}", subject.name, subject.group, from.name());
        // Writing to a string cannot fail.
        let end = match entered {
            Entered::Starting { tries } => {
                let _ = write!(text, " tries:{tries}");
                None
            }
            Entered::Backoff { tries, end } => {
                let _ = write!(text, " tries:{tries}");
                Some(end)
            }
            Entered::Running { pid } | Entered::Stopping { pid } => {
                let _ = write!(text, " pid:{}", pid.0);
                None
            }
            Entered::Stopped { pid, end } => {
                let _ = write!(text, " pid:{}", pid.map_or(0, |pid| pid.0));
                Some(end)
            }
            Entered::Exited { expected, pid, end } => {
                let _ = write!(text, " expected:{} pid:{}", i32::from(expected), pid.0);
                Some(end)
            }
            Entered::Fatal { end } => Some(end),
            Entered::Unknown => None,
        };
        let mut event = Event::new(EventType::entering(entered.state()), Some(subject.id), text);
        if let Some(end) = end {
            let signal = end.signal.map_or_else(|| "-".to_string(), signal::name);
            // A signal without a name is `signal 35`; a blank would end the value.
            let signal = signal.replace(' ', "_");
            let _ = write!(event.text, " exitstatus:{} signal:{signal} reason:{}", end.exitstatus, end.reason);
        }
        event
    }

    /// STHENO_READY: a process is ready, and by what (O-3).
    pub fn ready(subject: Subject<'_>, pid: Pid, kind: &str) -> Event {
        let text = format!("processname:{} groupname:{} pid:{} by:{kind}", subject.name, subject.group, pid.0);
        Event::new(EventType::SthenoReady, Some(subject.id), text)
    }

    /// STHENO_WAITING, `processname:… groupname:… for:db, migrate` (O-8).
    pub fn waiting(subject: Subject<'_>, obstacles: &str) -> Event {
        let text = format!("processname:{} groupname:{} for:{obstacles}", subject.name, subject.group);
        Event::new(EventType::SthenoWaiting, Some(subject.id), text)
    }

    /// STHENO_HEALTH, `processname:… groupname:… from:healthy to:unhealthy reason:…` (O-4).
    pub fn health(subject: Subject<'_>, change: HealthChange, reason: &str) -> Event {
        let (from, to) = (change.from.name(), change.to.name());
        let text =
            format!("processname:{} groupname:{} from:{from} to:{to} reason:{reason}", subject.name, subject.group);
        Event::new(EventType::SthenoHealth, Some(subject.id), text)
    }

    /// PROCESS_LOG_x: one chunk of output (E-7).
    pub fn log(subject: Subject<'_>, pid: Pid, channel: Channel, data: &[u8]) -> Event {
        let kind = match channel {
            Channel::Stdout => EventType::ProcessLogStdout,
            Channel::Stderr => EventType::ProcessLogStderr,
        };
        let mut text = with_room(subject, data);
        let Subject { name, group, .. } = subject;
        let _ = writeln!(text, "processname:{name} groupname:{group} pid:{} channel:{}", pid.0, channel.name());
        push_data(&mut text, data);
        Event::new(kind, Some(subject.id), text)
    }

    /// PROCESS_COMMUNICATION_x: one captured message (E-8).
    pub fn communication(subject: Subject<'_>, pid: Pid, channel: Channel, data: &[u8]) -> Event {
        let kind = EventType::communication(channel);
        let mut text = with_room(subject, data);
        let Subject { name, group, .. } = subject;
        let _ = writeln!(text, "processname:{name} groupname:{group} pid:{}", pid.0);
        push_data(&mut text, data);
        Event::new(kind, Some(subject.id), text)
    }

    /// REMOTE_COMMUNICATION: what a client sent with sendRemoteCommEvent, any text (E-9).
    pub fn remote(kind: &str, data: &str) -> Event {
        Event::new(EventType::RemoteCommunication, None, format!("type:{kind}\n{data}"))
    }

    /// SUPERVISOR_STATE_CHANGE_RUNNING, at the start of a run; the payload is empty (E-10).
    pub fn supervisor_running() -> Event {
        Event::new(EventType::SupervisorStateChangeRunning, None, String::new())
    }

    /// SUPERVISOR_STATE_CHANGE_STOPPING, when the end or a restart begins; the payload is empty (E-10).
    pub fn supervisor_stopping() -> Event {
        Event::new(EventType::SupervisorStateChangeStopping, None, String::new())
    }

    /// PROCESS_GROUP_ADDED; its payload ends in a newline (E-12).
    pub fn group_added(group: &str) -> Event {
        Event::new(EventType::ProcessGroupAdded, None, format!("groupname:{group}\n"))
    }

    /// PROCESS_GROUP_REMOVED; its payload ends in a newline (E-12).
    pub fn group_removed(group: &str) -> Event {
        Event::new(EventType::ProcessGroupRemoved, None, format!("groupname:{group}\n"))
    }

    /// PROCESS_ADDED and its siblings; a blank ends the payload (V-500).
    pub fn of_fleet(kind: EventType, name: &str, group: &str) -> Event {
        debug_assert!(kind.is_of_fleet() && kind.is_leaf());
        Event::new(kind, None, format!("processname:{name} groupname:{group} "))
    }

    /// TICK_n; `when` is seconds since the epoch, a multiple of n (E-11).
    pub fn tick(kind: EventType, when: u64) -> Event {
        debug_assert!(kind.is_a(EventType::Tick) && kind.is_leaf());
        Event::new(kind, None, format!("when:{when}"))
    }

    /// Its type, a leaf.
    pub fn kind(&self) -> EventType {
        self.kind
    }

    /// The process it is about, if it is about one.
    pub fn process(&self) -> Option<ProcId> {
        self.process
    }

    /// The payload of 4.3.0.
    pub fn payload(&self) -> &str {
        &self.text[..self.plain_bytes]
    }

    /// The payload with ` exitstatus:… signal:… reason:…` appended to those of PROCESS_STATE_EXITED, STOPPED, BACKOFF and FATAL.
    pub fn extended_payload(&self) -> &str {
        &self.text
    }

    /// About how much memory it takes.
    pub fn weight(&self) -> usize {
        size_of::<Event>() + self.text.capacity()
    }

    /// Appends what a listener reads: header line and payload, in one piece because both must reach it in one write.
    /// `len` counts characters, not bytes (E-31), unless the pool wants it otherwise.
    pub fn write_envelope(&self, header: &Header<'_>, out: &mut Vec<u8>) {
        let Header { server, serial, pool, pool_serial, extended, length } = header;
        let payload = if *extended { self.extended_payload() } else { self.payload() };
        let length = match length {
            // What is appended is ASCII.
            Length::Characters => self.plain_chars + payload.len() - self.plain_bytes,
            Length::Bytes => payload.len(),
        };
        // Each event goes through here; `fmt` would take six times as long.
        let push = |words: &[&str], out: &mut Vec<u8>| {
            words.iter().for_each(|word| out.extend_from_slice(word.as_bytes()));
        };
        push(&["ver:3.0 server:", server, " serial:"], out);
        push_decimal(out, *serial as i64);
        push(&[" pool:", pool, " poolserial:"], out);
        push_decimal(out, *pool_serial as i64);
        push(&[" eventname:", self.kind.name(), " len:"], out);
        push_decimal(out, length as i64);
        push(&["\n", payload], out);
    }
}

/// What the header line of an envelope tells besides the event (E-30).
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Identifier of the daemon.
    pub server: &'a str,
    /// Serial within the daemon.
    pub serial: u64,
    /// Name of the pool.
    pub pool: &'a str,
    /// Serial within the pool.
    pub pool_serial: u64,
    /// The payload is the extended one.
    pub extended: bool,
    /// What the number after `len` counts.
    pub length: Length,
}

/// A string that holds the payload without growing: the data, the names and the fixed words.
fn with_room(subject: Subject<'_>, data: &[u8]) -> String {
    String::with_capacity(64 + subject.name.len() + subject.group.len() + data.len())
}

/// The data, or its repr if it is not UTF-8 as a whole (E-13).
fn push_data(text: &mut String, data: &[u8]) {
    text.push_str(&pyrepr::utf8_or_undecodable(data));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProcessState::*;

    const CAT: Subject<'_> = Subject { id: ProcId(7), name: "cat", group: "pets" };
    const END: End<'_> = End { exitstatus: 3, signal: None, reason: "exit" };
    const PID: Pid = Pid(2766);

    fn row(event: Event) -> (&'static str, String, Option<ProcId>) {
        (event.kind().name(), event.payload().to_string(), event.process())
    }

    #[test]
    fn payloads() {
        let cat = Some(ProcId(7));
        let rows: Vec<(Event, &str, &str, Option<ProcId>)> = vec![
            (
                Event::process_state(CAT, Stopped, Entered::Starting { tries: 0 }),
                "PROCESS_STATE_STARTING",
                "processname:cat groupname:pets from_state:STOPPED tries:0",
                cat,
            ),
            (
                Event::process_state(CAT, Starting, Entered::Running { pid: PID }),
                "PROCESS_STATE_RUNNING",
                "processname:cat groupname:pets from_state:STARTING pid:2766",
                cat,
            ),
            (
                Event::process_state(CAT, Starting, Entered::Backoff { tries: 1, end: END }),
                "PROCESS_STATE_BACKOFF",
                "processname:cat groupname:pets from_state:STARTING tries:1",
                cat,
            ),
            (
                Event::process_state(CAT, Running, Entered::Stopping { pid: PID }),
                "PROCESS_STATE_STOPPING",
                "processname:cat groupname:pets from_state:RUNNING pid:2766",
                cat,
            ),
            (
                Event::process_state(CAT, Stopping, Entered::Stopped { pid: Some(PID), end: END }),
                "PROCESS_STATE_STOPPED",
                "processname:cat groupname:pets from_state:STOPPING pid:2766",
                cat,
            ),
            (
                Event::process_state(CAT, Backoff, Entered::Stopped { pid: None, end: END }),
                "PROCESS_STATE_STOPPED",
                "processname:cat groupname:pets from_state:BACKOFF pid:0",
                cat,
            ),
            (
                Event::process_state(CAT, Running, Entered::Exited { expected: false, pid: PID, end: END }),
                "PROCESS_STATE_EXITED",
                "processname:cat groupname:pets from_state:RUNNING expected:0 pid:2766",
                cat,
            ),
            (
                Event::process_state(CAT, Backoff, Entered::Fatal { end: END }),
                "PROCESS_STATE_FATAL",
                "processname:cat groupname:pets from_state:BACKOFF",
                cat,
            ),
            (
                Event::process_state(CAT, Stopping, Entered::Unknown),
                "PROCESS_STATE_UNKNOWN",
                "processname:cat groupname:pets from_state:STOPPING",
                cat,
            ),
            (
                Event::log(CAT, PID, Channel::Stdout, b"a\nb\n"),
                "PROCESS_LOG_STDOUT",
                "processname:cat groupname:pets pid:2766 channel:stdout\na\nb\n",
                cat,
            ),
            (
                Event::log(CAT, PID, Channel::Stderr, b"\x88\n"),
                "PROCESS_LOG_STDERR",
                "processname:cat groupname:pets pid:2766 channel:stderr\nUndecodable: b'\\x88\\n'",
                cat,
            ),
            (
                Event::communication(CAT, PID, Channel::Stdout, b""),
                "PROCESS_COMMUNICATION_STDOUT",
                "processname:cat groupname:pets pid:2766\n",
                cat,
            ),
            (
                Event::communication(CAT, PID, Channel::Stderr, b"hi"),
                "PROCESS_COMMUNICATION_STDERR",
                "processname:cat groupname:pets pid:2766\nhi",
                cat,
            ),
            (Event::remote("a b", "x\n:y"), "REMOTE_COMMUNICATION", "type:a b\nx\n:y", None),
            (Event::supervisor_running(), "SUPERVISOR_STATE_CHANGE_RUNNING", "", None),
            (Event::supervisor_stopping(), "SUPERVISOR_STATE_CHANGE_STOPPING", "", None),
            (Event::tick(EventType::Tick60, 120), "TICK_60", "when:120", None),
            (
                Event::of_fleet(EventType::ProcessAdded, "cat", "pets"),
                "PROCESS_ADDED",
                "processname:cat groupname:pets ",
                None,
            ),
            (Event::group_added("pets"), "PROCESS_GROUP_ADDED", "groupname:pets\n", None),
            (Event::group_removed("pets"), "PROCESS_GROUP_REMOVED", "groupname:pets\n", None),
        ];
        for (event, name, payload, process) in rows {
            assert_eq!(row(event), (name, payload.to_string(), process));
        }
    }

    #[test]
    fn the_extended_payload_tells_how_the_run_ended() {
        let killed = End { exitstatus: -1, signal: Some(9), reason: "signal" };
        let realtime = End { signal: Some(35), ..killed };
        let rows = [
            (Entered::Exited { expected: false, pid: PID, end: END }, " exitstatus:3 signal:- reason:exit"),
            (Entered::Stopped { pid: Some(PID), end: killed }, " exitstatus:-1 signal:SIGKILL reason:signal"),
            (Entered::Backoff { tries: 1, end: realtime }, " exitstatus:-1 signal:signal_35 reason:signal"),
            (Entered::Fatal { end: END }, " exitstatus:3 signal:- reason:exit"),
            (Entered::Running { pid: PID }, ""),
            (Entered::Unknown, ""),
        ];
        for (entered, tail) in rows {
            let event = Event::process_state(CAT, Running, entered);
            assert_eq!(event.extended_payload(), format!("{}{tail}", event.payload()), "{entered:?}");
        }
    }

    #[test]
    fn the_envelope_counts_characters_or_bytes() {
        let end = Entered::Fatal { end: END };
        let rows = [
            (Event::supervisor_running(), false, "SUPERVISOR_STATE_CHANGE_RUNNING len:0\n"),
            (Event::remote("t", "héllo"), false, "REMOTE_COMMUNICATION len:12\ntype:t\nhéllo"),
            (Event::remote("t", "héllo"), true, "REMOTE_COMMUNICATION len:12\ntype:t\nhéllo"),
            (
                Event::process_state(Subject { name: "é", group: "g", ..CAT }, Backoff, end),
                false,
                "PROCESS_STATE_FATAL len:44\nprocessname:é groupname:g from_state:BACKOFF",
            ),
            (
                Event::process_state(Subject { name: "é", group: "g", ..CAT }, Backoff, end),
                true,
                "PROCESS_STATE_FATAL len:78\nprocessname:é groupname:g from_state:BACKOFF exitstatus:3 signal:- reason:exit",
            ),
        ];
        for (event, extended, expected) in rows {
            for length in [Length::Characters, Length::Bytes] {
                let mut out = Vec::new();
                let header = Header { server: "s", serial: 21, pool: "p", pool_serial: 10, extended, length };
                event.write_envelope(&header, &mut out);
                let mut expected = format!("ver:3.0 server:s serial:21 pool:p poolserial:10 eventname:{expected}");
                if let (Length::Bytes, Some((before, rest))) = (length, expected.split_once("len:")) {
                    let (_, payload) = rest.split_once('\n').unwrap();
                    expected = format!("{before}len:{}\n{payload}", payload.len());
                }
                assert_eq!(String::from_utf8_lossy(&out), expected);
            }
        }
    }

    #[test]
    fn serials_wrap() {
        let mut serials = Serials::default();
        assert_eq!([serials.take(), serials.take()], [0, 1]);
        serials = Serials(i64::MAX as u64);
        assert_eq!([serials.take(), serials.take()], [i64::MAX as u64, 0]);
    }
}
