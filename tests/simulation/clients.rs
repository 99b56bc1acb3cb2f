//! Clients: what they ask, how they send it, and how they read the answers.

use std::collections::VecDeque;

use stheno::id::ConnId;
use stheno::wire::value::Value;
use stheno::wire::xmlrpc::encode_call;

use crate::configuration::{COMMANDS, GROUPS, option_list};
use crate::random::Random;
use crate::sequences::{self, Sequences};

/// One call of XML-RPC.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: &'static str,
    pub params: Vec<Value>,
}

/// What a client waits for.
#[derive(Clone, Debug)]
pub enum Asked {
    Call(Call),
    Multicall(Vec<Call>),
    /// A page or file: the statuses that may answer it.
    Page(&'static [u16]),
    /// A log or the events, for ever.
    Stream {
        is_events: bool,
    },
    /// Without the password.
    Unauthorized,
}

impl Asked {
    /// Whether nothing can follow it on its connection.
    pub fn is_last(&self) -> bool {
        matches!(self, Asked::Stream { .. } | Asked::Unauthorized)
    }
}

impl Asked {
    /// Whether it may start something, and be answered when that is up.
    pub fn starts(&self) -> bool {
        let is_start = |call: &Call| {
            let word = call.method.rsplit('.').next().unwrap_or_default();
            word.starts_with("start") || word.starts_with("update") || word == "setNumprocs"
        };
        match self {
            Asked::Call(call) => is_start(call),
            Asked::Multicall(calls) => calls.iter().any(is_start),
            Asked::Page(_) => true,
            Asked::Stream { .. } | Asked::Unauthorized => false,
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Request {
    pub asked: Asked,
    /// Bytes of it that were not sent yet.
    pub unsent: usize,
    /// When all of it had been sent.
    pub sent_at: u64,
}

/// A client.
pub struct Client {
    pub conn: Option<ConnId>,
    pub server: usize,
    /// Reads only now and then.
    pub is_slow: bool,
    /// Reads nothing at all of what it asks for.
    pub is_deaf: bool,
    /// It sends no more, or is gone altogether.
    pub has_hung_up: bool,
    pub is_gone: bool,
    /// Keeps its connection for another request.
    pub keeps_alive: bool,
    /// How many bytes it sends at a time.
    pub piece: u64,
    pub requests: VecDeque<Request>,
    /// What it has still to send.
    pub outbox: VecDeque<u8>,
    /// What came for it and was not understood yet.
    pub inbox: Vec<u8>,
    /// Bytes of the connection's output that stand in the inbox already.
    pub seen: usize,
    /// It receives a stream: of events, or of a log.
    pub stream: Option<bool>,
}

impl Client {
    pub fn new(random: &mut Random) -> Client {
        Client {
            conn: None,
            server: random.below(2) as usize,
            is_slow: random.one_in(6),
            is_deaf: random.one_in(20),
            has_hung_up: false,
            is_gone: false,
            keeps_alive: true,
            piece: *random.pick(&[1, 17, 100, 100_000, 100_000, 100_000]),
            requests: VecDeque::new(),
            outbox: VecDeque::new(),
            inbox: Vec::new(),
            seen: 0,
            stream: None,
        }
    }

    /// Its connection is gone; it may make another.
    pub fn disconnected(&mut self) {
        self.conn = None;
        self.has_hung_up = false;
        self.is_gone = false;
        self.keeps_alive = true;
        self.requests.clear();
        self.outbox.clear();
        self.inbox.clear();
        self.seen = 0;
        self.stream = None;
    }

    /// Writes a request into the outbox.
    pub fn ask(&mut self, asked: Asked, target: &str, body: Option<Vec<u8>>, random: &mut Random) {
        self.keeps_alive = !random.one_in(8);
        let version = if self.keeps_alive { "1.1" } else { "1.0" };
        let method = if body.is_some() { "POST" } else { "GET" };
        let mut text = format!("{method} {target} HTTP/{version}\r\nHost: localhost\r\n").into_bytes();
        if self.server == 1 && !matches!(asked, Asked::Unauthorized) {
            text.extend_from_slice(b"Authorization: Basic dTpw\r\n");
        }
        match body {
            None => text.extend_from_slice(b"\r\n"),
            Some(body) if self.keeps_alive && random.one_in(4) => {
                text.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                let half = random.between(1, body.len() as u64 - 1) as usize;
                for chunk in [&body[..half], &body[half..], &[]] {
                    text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    text.extend_from_slice(chunk);
                    text.extend_from_slice(b"\r\n");
                }
            }
            Some(body) => {
                if self.keeps_alive && random.one_in(10) {
                    text.extend_from_slice(b"Expect: 100-continue\r\n");
                }
                text.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
                text.extend_from_slice(&body);
            }
        }
        let unsent = text.len();
        self.outbox.extend(text);
        self.requests.push_back(Request { asked, unsent, sent_at: u64::MAX });
    }

    /// Takes the next piece out of the outbox.
    pub fn send(&mut self, now: u64) -> Vec<u8> {
        let count = self.outbox.len().min(self.piece as usize);
        let mut left = count;
        for request in &mut self.requests {
            let part = request.unsent.min(left);
            request.unsent -= part;
            left -= part;
            if request.unsent == 0 && part > 0 {
                request.sent_at = now;
            }
        }
        self.outbox.drain(..count).collect()
    }

    /// Whether a request with changes of the set of groups in several steps is under way.
    pub fn is_uncertain(&self) -> bool {
        self.requests.iter().any(|request| match &request.asked {
            Asked::Multicall(calls) => calls.iter().any(Call::changes_groups),
            // These stop what stands in their way, and act later.
            Asked::Call(call) => {
                call.changes_groups() && ["stheno.", "supvisors."].iter().any(|of| call.method.starts_with(of))
            }
            _ => false,
        })
    }

    /// The call that is its turn, if it changes a group: that may come and go over several turns before the answer is there.
    pub fn changing(&self) -> Option<&Call> {
        match self.requests.front().filter(|request| request.unsent == 0)?.asked {
            Asked::Call(ref call) => Some(call).filter(|call| call.changes_groups()),
            _ => None,
        }
    }
}

/// Methods that change which groups there are, or what the configuration says of them.
const CHANGING: &[&str] = &[
    "supervisor.addProcessGroup",
    "supervisor.removeProcessGroup",
    "supervisor.reloadConfig",
    "twiddler.addGroup",
    "twiddler.addProgramToGroup",
    "twiddler.removeProcessFromGroup",
    "loader.addProgramToGroup",
    "grace.UpdateNumprocs",
    "stheno.update",
    "stheno.addGroup",
    "stheno.removeGroup",
    "stheno.addProgram",
    "stheno.updateProgram",
    "stheno.removeProgram",
    "stheno.setNumprocs",
    "stheno.forget",
    "supvisors.update_numprocs",
];

impl Call {
    /// Whether it changes which groups there are, or what the configuration says of them.
    pub fn changes_groups(&self) -> bool {
        CHANGING.contains(&self.method)
    }

    /// The group that it is about, if it changes one.
    pub fn group(&self) -> Option<&str> {
        if self.changes_groups() { self.params.first()?.as_str() } else { None }
    }

    fn value(&self) -> Value {
        let params = Value::Array(self.params.clone());
        Value::Struct(vec![("methodName".into(), self.method.into()), ("params".into(), params)])
    }
}

/// What the client asks next: target and body.
pub fn request(
    names: &[String],
    sequences: Option<&Sequences>,
    random: &mut Random,
) -> (Asked, String, Option<Vec<u8>>) {
    if let Some(sequences) = sequences
        && (sequences.is_calm || random.one_in(2))
    {
        if random.one_in(30) {
            return (Asked::Stream { is_events: false }, "/fleet/events".to_string(), None);
        }
        let call = match sequences.is_calm && random.one_in(6) {
            true => {
                Call { method: random.word(&["supervisor.getAllProcessInfo", "supervisor.getState"]), params: vec![] }
            }
            false => sequences::call(names, sequences.is_calm, random),
        };
        let body = encode_call(call.method, &call.params);
        return (Asked::Call(call), "/RPC2".to_string(), Some(body));
    }
    let name = names.get(random.below(names.len() as u64) as usize).cloned().unwrap_or_else(|| "nobody".to_string());
    match random.below(40) {
        0 => (Asked::Stream { is_events: true }, "/events?types=EVENT".to_string(), None),
        1 => (Asked::Stream { is_events: false }, format!("/logtail/{name}/stderr"), None),
        2 => (Asked::Stream { is_events: false }, "/mainlogtail".to_string(), None),
        3 => (Asked::Page(&[200]), "/".to_string(), None),
        4 | 5 => {
            let action = random.pick(&["start", "stop", "restart", "clearlog", "refresh"]);
            (Asked::Page(&[301]), format!("/index.html?processname={name}&action={action}"), None)
        }
        6 => {
            let action = random.pick(&["restartall", "stopall"]);
            (Asked::Page(&[301]), format!("/?action={action}"), None)
        }
        7 => (Asked::Page(&[200]), format!("/tail.html?processname={name}&limit=100"), None),
        8 => (Asked::Page(&[404]), "/nothing/here".to_string(), None),
        9 => (Asked::Page(&[400]), "/RPC2".to_string(), Some(b"<no xml".to_vec())),
        10 => (Asked::Unauthorized, "/RPC2".to_string(), Some(encode_call("supervisor.getPID", &[]))),
        11..=14 => {
            let calls: Vec<Call> = (0..random.between(0, 5)).map(|_| call(names, random)).collect();
            let values = calls.iter().map(Call::value).collect();
            let body = encode_call("system.multicall", &[Value::Array(values)]);
            (Asked::Multicall(calls), "/RPC2".to_string(), Some(body))
        }
        _ => {
            let call = call(names, random);
            let body = encode_call(call.method, &call.params);
            (Asked::Call(call), "/RPC2".to_string(), Some(body))
        }
    }
}

/// A random call.
pub fn call(names: &[String], random: &mut Random) -> Call {
    let name = match random.below(12) {
        0 => "nobody".to_string(),
        1 => format!("{}:*", random.pick(GROUPS)),
        _ => names.get(random.below(names.len() as u64) as usize).cloned().unwrap_or_default(),
    };
    let group = random.pick(GROUPS).to_string();
    let wait = !random.one_in(3);
    let signal = random.pick(&["HUP", "TERM", "SIGKILL", "9", "0", "nonsense"]).to_string();
    let (method, params): (&'static str, Vec<Value>) = match random.below(74) {
        0..=5 => ("supervisor.startProcess", vec![name.into(), wait.into()]),
        6..=10 => ("supervisor.stopProcess", vec![name.into(), wait.into()]),
        11 => ("supervisor.startProcessGroup", vec![group.into(), wait.into()]),
        12 => ("supervisor.stopProcessGroup", vec![group.into(), wait.into()]),
        13 => ("supervisor.startAllProcesses", vec![wait.into()]),
        14 => ("supervisor.stopAllProcesses", vec![wait.into()]),
        15 | 16 => ("supervisor.signalProcess", vec![name.into(), signal.into()]),
        17 => ("supervisor.signalProcessGroup", vec![group.into(), signal.into()]),
        18 => ("supervisor.signalAllProcesses", vec![signal.into()]),
        19 => ("supervisor.clearProcessLogs", vec![name.into()]),
        20 => ("supervisor.clearAllProcessLogs", vec![]),
        21 => ("supervisor.tailProcessStdoutLog", vec![name.into(), Value::Int(0), Value::Int(100)]),
        22 => ("supervisor.readProcessStderrLog", vec![name.into(), Value::Int(-50), Value::Int(0)]),
        23 | 24 => ("supervisor.sendProcessStdin", vec![name.into(), "some words\n".into()]),
        25..=27 => ("supervisor.reloadConfig", vec![]),
        28..=30 => ("supervisor.addProcessGroup", vec![group.into()]),
        31..=33 => ("supervisor.removeProcessGroup", vec![group.into()]),
        34 | 35 => ("supervisor.getAllProcessInfo", vec![]),
        36 => ("supervisor.getProcessInfo", vec![name.into()]),
        37 => ("supervisor.getAllConfigInfo", vec![]),
        38 => ("supervisor.sendRemoteCommEvent", vec!["type".into(), "data".into()]),
        39 => ("supervisor.clearLog", vec![]),
        40 => ("supervisor.readLog", vec![Value::Int(0), Value::Int(100)]),
        41 => ("supervisor.getState", vec![]),
        42 => ("supervisor.nonsense", vec![]),
        43 => ("supervisor.startProcess", vec![]),
        44 | 45 => ("twiddler.addGroup", vec![group.into(), Value::Int(*random.pick(&[1, 999]))]),
        46..=48 => ("twiddler.addProgramToGroup", vec![group.into(), program(random), options(random)]),
        49 | 50 => ("loader.addProgramToGroup", vec![group.into(), program(random), options(random)]),
        51..=54 => {
            let (group, process) = name.split_once(':').unwrap_or((&name, &name));
            let (group, process) = (group.to_string(), process.to_string());
            ("twiddler.removeProcessFromGroup", vec![group.into(), process.into()])
        }
        55 | 56 => ("grace.UpdateNumprocs", vec![group.into()]),
        57 => ("twiddler.getGroupNames", vec![]),
        58 => ("cache.store", vec!["key".into(), "value".into()]),
        59 => ("twiddler.log", vec!["a message".into(), "INFO".into()]),
        60..=62 => ("stheno.update", vec![]),
        63 => ("stheno.update", vec![Value::Array(vec![group.into()])]),
        64 => ("stheno.addGroup", vec![group.into()]),
        65 => ("stheno.removeGroup", vec![group.into(), wait.into()]),
        66 => ("stheno.addProgram", vec![group.into(), program(random), options(random)]),
        67 | 68 => {
            let how = random.word(&["changed", "rolling", "never"]);
            let some = Value::Struct(vec![("startsecs".into(), "2".into()), ("exitcodes".into(), "1".into())]);
            ("stheno.updateProgram", vec![group.into(), any_program(names, random), some, how.into()])
        }
        69 => ("stheno.removeProgram", vec![group.into(), any_program(names, random)]),
        70 | 71 => ("stheno.setNumprocs", vec![any_program(names, random), Value::Int(random.between(0, 4) as i64)]),
        72 => (random.word(&["stheno.dynamic", "stheno.persist", "stheno.forget"]), vec![]),
        _ => (random.word(&["stheno.getVersion", "stheno.getAllProcessInfo"]), vec![]),
    };
    Call { method, params }
}

/// The name of a program to be added.
fn program(random: &mut Random) -> Value {
    (random.word(&["new", "newer", "newest"])).into()
}

/// The name of a program that may be there.
fn any_program(names: &[String], random: &mut Random) -> Value {
    if names.is_empty() || random.one_in(3) {
        return program(random);
    }
    let name = random.pick(names);
    let process = name.split_once(':').map_or(name.as_str(), |(_, process)| process);
    // Half of them are called as their section, the others have a number behind it.
    let section = process.rsplit_once('_').map_or(process, |(section, _)| section);
    random.pick(&[process, section]).to_string().into()
}

/// The options of a program to be added.
fn options(random: &mut Random) -> Value {
    let mut options = option_list(false, random);
    let command = if random.one_in(10) { "" } else { random.word(COMMANDS) };
    options.push(("command".to_string(), command.to_string()));
    if random.one_in(3) {
        options.push(("numprocs".to_string(), "2".to_string()));
        options.push(("process_name".to_string(), "%(program_name)s_%(process_num)d".to_string()));
    }
    Value::Struct(options.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
}

/// An answer of HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Chunks without end follow.
    pub is_stream: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Takes a whole answer off the front of what has come. Written apart from the daemon's own reader, so that both can
/// be wrong.
pub fn take_answer(inbox: &mut Vec<u8>) -> Option<Answer> {
    loop {
        let end = find(inbox, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&inbox[..end]).expect("heads are text").to_string();
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let words: Vec<&str> = first.splitn(3, ' ').collect();
        assert!(words.len() == 3 && words[0].starts_with("HTTP/1."), "status line {first:?}");
        let status: u16 = words[1].parse().expect("a number as status");
        if status == 100 {
            inbox.drain(..end + 4);
            continue;
        }
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("header {line:?}")))
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        let mut answer = Answer { status, headers, body: Vec::new(), is_stream: false };
        if let Some(length) = answer.header("Content-Length") {
            let length: usize = length.parse().expect("a number as length");
            if inbox.len() < end + 4 + length {
                return None;
            }
            answer.body = inbox[end + 4..end + 4 + length].to_vec();
            inbox.drain(..end + 4 + length);
        } else {
            answer.is_stream = true;
            inbox.drain(..end + 4);
        }
        return Some(answer);
    }
}

/// Takes a whole chunk off the front of a stream.
pub fn take_chunk(inbox: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = find(inbox, b"\r\n")?;
    let size = std::str::from_utf8(&inbox[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
    let size = size.unwrap_or_else(|| panic!("size of a chunk: {:?}", String::from_utf8_lossy(&inbox[..end])));
    if inbox.len() < end + 4 + size {
        return None;
    }
    let chunk = inbox[end + 2..end + 2 + size].to_vec();
    assert_eq!(&inbox[end + 2 + size..end + 4 + size], b"\r\n", "the end of a chunk");
    inbox.drain(..end + 4 + size);
    Some(chunk)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
