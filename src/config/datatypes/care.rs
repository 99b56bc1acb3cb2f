//! Kinds of text that say how a process is looked after: when it is ready, whether it is well, what is run beside it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use super::{Datatype, Show, integer};
use crate::config::env::Env;
use crate::signal;
use crate::wire::value::Value;
use crate::wire::{pyrepr, words};

words! {
    /// `type` (O-5).
    RunType, "simple or oneshot" {
        /// It is to stay up.
        "simple" => Simple,
        /// It is to do something and end.
        "oneshot" => Oneshot,
    }
}

words! {
    /// `notify_access`: whose messages count (O-3).
    NotifyAccess, "main, group or all" {
        /// The child's alone.
        "main" => Main,
        /// Those of its process group.
        "group" => Group,
        /// Anybody's.
        "all" => All,
    }
}

words! {
    /// `hook_failure` (O-6).
    HookFailure, "ignore or fail" {
        /// A line in the log.
        "ignore" => Ignore,
        /// The start has failed.
        "fail" => Fail,
    }
}

words! {
    /// `memory_limit_of` (O-4).
    MemoryOf, "process or tree" {
        /// The child alone.
        "process" => Process,
        /// It and all below it.
        "tree" => Tree,
    }
}

words! {
    /// `memory_limit_action` (O-4).
    MemoryAction, "restart, stop or none" {
        /// It is stopped and started.
        "restart" => Restart,
        /// It is stopped.
        "stop" => Stop,
        /// A line in the log.
        "none" => None,
    }
}

/// Longest time that can be asked for: a year, beyond which nobody means it.
const SECONDS_MAX: f64 = 366.0 * 86_400.0;

/// A time in seconds, with a fraction if wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl Datatype for Seconds {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "seconds";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        seconds(text, 0.0, SECONDS_MAX)
            .map(Seconds)
            .ok_or_else(|| format!("expected a number of seconds, not {}", pyrepr::text(text)))
    }
}

/// The pause between two probes and what each may take: not so short that probing is all that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeTime(pub Duration);

impl Datatype for ProbeTime {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "seconds, 0.1 to 3600";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        seconds(text, 0.1, 3600.0)
            .map(ProbeTime)
            .ok_or_else(|| format!("expected {}, not {}", Self::KIND, pyrepr::text(text)))
    }
}

fn seconds(text: &str, least: f64, most: f64) -> Option<Duration> {
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| (least..=most).contains(seconds));
    seconds.map(Duration::from_secs_f64)
}

fn shown(time: Duration) -> Value {
    match time.subsec_nanos() {
        0 => i64::try_from(time.as_secs()).unwrap_or(i64::MAX).into(),
        _ => Value::Double(time.as_secs_f64()),
    }
}

impl Show for Seconds {
    fn shown(&self) -> Value {
        shown(self.0)
    }
}

impl Show for ProbeTime {
    fn shown(&self) -> Value {
        shown(self.0)
    }
}

/// How many results in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold(pub u32);

impl Datatype for Threshold {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "number from 1 on";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let number = integer(text).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
        number.map(Threshold).ok_or_else(|| format!("expected a {}, not {}", Self::KIND, pyrepr::text(text)))
    }
}

impl Show for Threshold {
    fn shown(&self) -> Value {
        i64::from(self.0).into()
    }
}

/// One step of stopping: a signal, and how long to wait for the end after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopStep {
    /// The signal's number.
    pub signal: i32,
    /// Seconds; `stopwaitsecs` where none are given.
    pub wait: Option<u32>,
}

/// `stopsignal`: signals that are sent one after the other, `TERM INT:30 QUIT` (O-6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopSignals(Rc<[StopStep]>);

/// Steps of one `stopsignal`. Nobody has more ways to end.
const STOP_STEPS_MAX: usize = 16;

impl StopSignals {
    /// That signal alone.
    pub fn one(signal: i32) -> StopSignals {
        StopSignals(Rc::new([StopStep { signal, wait: None }]))
    }

    /// A step; `None` when there is nothing but SIGKILL left.
    pub fn step(&self, at: usize) -> Option<StopStep> {
        self.0.get(at).copied()
    }

    /// Whether it is one of them.
    pub fn contains(&self, signal: i32) -> bool {
        self.0.iter().any(|step| step.signal == signal)
    }

    fn first(&self) -> i32 {
        self.0.first().map_or(libc::SIGTERM, |step| step.signal)
    }
}

impl Datatype for StopSignals {
    const KIND: &'static str = "signal, or several";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let parts: Vec<&str> = text.split([' ', '\t', ',']).filter(|part| !part.is_empty()).collect();
        if parts.len() <= 1 && !text.contains(':') {
            return signal::parse(text).map(StopSignals::one);
        }
        if parts.len() > STOP_STEPS_MAX {
            return Err(format!("more than {STOP_STEPS_MAX} signals in {}", pyrepr::text(text)));
        }
        let step = |part: &&str| {
            let (name, wait) = match part.split_once(':') {
                None => (*part, None),
                Some((name, wait)) => {
                    let seconds = integer(wait).and_then(|wait| u32::try_from(wait).ok());
                    let wrong = || format!("expected whole seconds after the colon, not {}", pyrepr::text(part));
                    (name, Some(seconds.ok_or_else(wrong)?))
                }
            };
            Ok(StopStep { signal: signal::parse(name)?, wait })
        };
        let steps: Result<Vec<StopStep>, String> = parts.iter().map(step).collect();
        steps.map(|steps| StopSignals(steps.into()))
    }
}

impl Show for StopSignals {
    /// One signal is its number, as ever; several are as they are written.
    fn shown(&self) -> Value {
        if let [StopStep { signal, wait: None }] = *self.0 {
            return i64::from(signal).into();
        }
        let step = |step: &StopStep| {
            let name = signal::name(step.signal);
            let name = name.strip_prefix("SIG").unwrap_or(&name).to_string();
            step.wait.map_or(name.clone(), |wait| format!("{name}:{wait}"))
        };
        self.0.iter().map(step).collect::<Vec<_>>().join(" ").into()
    }

    fn listed(&self) -> Value {
        i64::from(self.first()).into()
    }
}

/// A command line that is run beside a program, without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(pub Rc<str>);

impl Datatype for CommandLine {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "command";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        match words::split(text) {
            Ok(argv) if argv.is_empty() => Err("the command is empty".to_string()),
            Ok(_) => Ok(CommandLine(text.into())),
            Err(error) => Err(format!("cannot parse the command {}: {error}", pyrepr::text(text))),
        }
    }
}

impl Show for CommandLine {
    fn shown(&self) -> Value {
        self.0.to_string().into()
    }
}

/// A question that has yes or no for an answer. No name is ever resolved for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether somebody accepts connections.
    Tcp(SocketAddr),
    /// The same of a socket file.
    Unix(String),
    /// Whether a server answers with 200 to 399.
    Http {
        /// Where it listens.
        address: SocketAddr,
        /// `Host:`, as written.
        host: String,
        /// What is asked for.
        path: String,
    },
    /// Whether a command ends with 0.
    Command(CommandLine),
}

/// An address of `HOST:PORT`, numeric or localhost.
fn address(text: &str, default_port: Option<u16>) -> Result<SocketAddr, String> {
    let wrong = || format!("{} is not HOST:PORT", pyrepr::text(text));
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?)
        }
        _ => (text, default_port.ok_or_else(wrong)?),
    };
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let ip = match inner {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None if host.eq_ignore_ascii_case("localhost") => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        None => host.parse().ok().map(IpAddr::V4),
    };
    let reason = "looking up a name could hold everything up";
    let ip = ip.ok_or_else(|| format!("host {} is neither a number nor localhost: {reason}", pyrepr::text(host)))?;
    Ok(SocketAddr::new(ip, port))
}

/// Reads `http://HOST[:PORT][/PATH]`.
fn http(url: &str) -> Result<Probe, String> {
    let rest = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
            return Err("https is not spoken here: use http, tcp, or a command such as curl --fail".to_string());
        }
        _ => return Err(format!("{} is no http:// URL", pyrepr::text(url))),
    };
    if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(format!("{} is no http:// URL", pyrepr::text(url)));
    }
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
    Ok(Probe::Http { address: address(host, Some(80))?, host: host.to_string(), path })
}

/// Options of curl that the Go port reads beside a URL.
fn curl(text: &str) -> Option<String> {
    let url = text.split_whitespace().find(|word| word.starts_with("http://") || word.starts_with("https://"))?;
    (text.trim_start().starts_with('-') || text.trim_start().starts_with("http")).then(|| {
        format!("options beside the URL {} are not understood here: write a whole curl command", pyrepr::text(url))
    })
}

/// `liveness_check_script` (O-4).
impl Datatype for Probe {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "http://URL, tcp://HOST:PORT or a command";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("tcp://") {
            return address(rest, None).map(Probe::Tcp);
        }
        if let Some(path) = text.strip_prefix("unix://") {
            return socket_path(path).map(Probe::Unix);
        }
        if text.split_whitespace().count() > 1
            && let Some(problem) = curl(text)
        {
            return Err(problem);
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return http(text);
        }
        CommandLine::parse(text, env).map(Probe::Command)
    }
}

/// Longest path of a socket file that the system takes.
const SOCKET_PATH_MAX: usize = 107;

fn socket_path(path: &str) -> Result<String, String> {
    match path {
        "" => Err("the socket's path is empty".to_string()),
        _ if path.len() > SOCKET_PATH_MAX => {
            Err(format!("the socket's path is longer than {SOCKET_PATH_MAX} bytes: {}", pyrepr::text(path)))
        }
        _ => Ok(path.to_string()),
    }
}

impl Show for Probe {
    fn shown(&self) -> Value {
        match self {
            Probe::Tcp(address) => format!("tcp://{address}").into(),
            Probe::Unix(path) => format!("unix://{path}").into(),
            Probe::Http { host, path, .. } => format!("http://{host}{path}").into(),
            Probe::Command(command) => command.shown(),
        }
    }
}

/// `ready`: by what a program is known to be ready (O-3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It stays up for `startsecs`.
    Startsecs,
    /// It says READY=1, as programs say it to systemd.
    Notify,
    /// It writes a line feed to that descriptor.
    Fd(i32),
    /// It finds the descriptor's number in that variable.
    FdIn(String),
    /// Somebody asks.
    Probe(Probe),
    /// It writes that text.
    Log(String),
}

/// The descriptor that `fd:env:NAME` stands for: the first that is free in a child.
pub const FD_OF_VARIABLE: i32 = 3;

/// Longest text of `log:`, so that it fits into a line that is looked at.
const LOG_TEXT_MAX: usize = 1024;

impl Ready {
    /// What the line that tells of it calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Ready::Startsecs => "startsecs",
            Ready::Notify => "notify",
            Ready::Fd(_) | Ready::FdIn(_) => "fd",
            Ready::Probe(Probe::Tcp(_)) => "tcp",
            Ready::Probe(Probe::Unix(_)) => "unix",
            Ready::Probe(Probe::Http { .. }) => "http",
            Ready::Probe(Probe::Command(_)) => "command",
            Ready::Log(_) => "log",
        }
    }

    /// The descriptor at which the child finds the end of a pipe.
    pub fn descriptor(&self) -> Option<i32> {
        match self {
            Ready::Fd(number) => Some(*number),
            Ready::FdIn(_) => Some(FD_OF_VARIABLE),
            _ => None,
        }
    }
}

impl Datatype for Ready {
    const KIND: &'static str =
        "startsecs, notify, fd:N, tcp:HOST:PORT, unix:PATH, http://URL, command:COMMAND or log:TEXT";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let wrong = |why: String| format!("ready={text}: {why}");
        match text.trim() {
            "startsecs" => return Ok(Ready::Startsecs),
            "notify" => return Ok(Ready::Notify),
            _ => {}
        }
        let text = text.trim();
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "fd" => match rest.strip_prefix("env:") {
                Some(name) if is_variable(name) => Ok(Ready::FdIn(name.to_string())),
                Some(name) => Err(wrong(format!("{} is no name of a variable", pyrepr::text(name)))),
                None => match integer(rest) {
                    Some(number @ 3..=255) => Ok(Ready::Fd(number as i32)),
                    _ => Err(wrong("the descriptor is a number from 3 to 255".to_string())),
                },
            },
            "tcp" => address(rest.strip_prefix("//").unwrap_or(rest), None)
                .map(|address| Ready::Probe(Probe::Tcp(address)))
                .map_err(wrong),
            "unix" => socket_path(rest.strip_prefix("//").unwrap_or(rest))
                .map(|path| Ready::Probe(Probe::Unix(path)))
                .map_err(wrong),
            "http" | "https" => {
                // The URL itself, or behind one more `http:`.
                let url = if rest.starts_with("//") { text } else { rest };
                http(url).map(Ready::Probe).map_err(wrong)
            }
            "command" => CommandLine::parse(rest, env).map(|line| Ready::Probe(Probe::Command(line))).map_err(wrong),
            "log" if rest.is_empty() => Err(wrong("the text is empty".to_string())),
            "log" if rest.len() > LOG_TEXT_MAX => Err(wrong(format!("the text is longer than {LOG_TEXT_MAX} bytes"))),
            "log" => Ok(Ready::Log(rest.to_string())),
            _ => Err(format!("ready is {}, not {}", Self::KIND, pyrepr::text(text))),
        }
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Show for Ready {
    fn shown(&self) -> Value {
        match self {
            Ready::Startsecs => "startsecs".into(),
            Ready::Notify => "notify".into(),
            Ready::Fd(number) => format!("fd:{number}").into(),
            Ready::FdIn(name) => format!("fd:env:{name}").into(),
            Ready::Probe(Probe::Tcp(address)) => format!("tcp:{address}").into(),
            Ready::Probe(Probe::Unix(path)) => format!("unix:{path}").into(),
            Ready::Probe(probe @ Probe::Http { .. }) => probe.shown(),
            Ready::Probe(Probe::Command(command)) => format!("command:{}", command.0).into(),
            Ready::Log(text) => format!("log:{text}").into(),
        }
    }
}

/// `liveness_check_failure_action` (O-4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cure {
    /// It is stopped and started.
    Restart,
    /// It is stopped.
    Stop,
    /// Nothing.
    None,
    /// A command is run.
    Command(CommandLine),
}

impl Datatype for Cure {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "restart, stop, none or a command";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        match text.trim() {
            "restart" => Ok(Cure::Restart),
            "stop" => Ok(Cure::Stop),
            "none" => Ok(Cure::None),
            command => CommandLine::parse(command, env).map(Cure::Command),
        }
    }
}

impl Show for Cure {
    fn shown(&self) -> Value {
        match self {
            Cure::Restart => "restart".into(),
            Cure::Stop => "stop".into(),
            Cure::None => "none".into(),
            Cure::Command(command) => command.shown(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::Fake;
    use super::*;

    #[test]
    fn what_stops_a_process() {
        let one = |signal, wait| StopStep { signal, wait };
        let rows: &[(&str, &[StopStep], &str)] = &[
            ("TERM", &[one(15, None)], "15"),
            ("15", &[one(15, None)], "15"),
            ("TERM:1", &[one(15, Some(1))], "TERM:1"),
            ("TERM INT:30 QUIT", &[one(15, None), one(2, Some(30)), one(3, None)], "TERM INT:30 QUIT"),
            ("TERM:1, INT:0,\t9", &[one(15, Some(1)), one(2, Some(0)), one(9, None)], "TERM:1 INT:0 KILL"),
        ];
        for (text, steps, shown) in rows {
            let signals = StopSignals::parse(text, &Fake::new()).unwrap();
            assert_eq!(&*signals.0, *steps, "{text}");
            let got = match signals.shown() {
                Value::Str(text) => text.to_string(),
                Value::Int(number) => number.to_string(),
                other => panic!("{other:?}"),
            };
            assert_eq!(got, *shown);
            assert_eq!(signals.step(steps.len()), None);
        }
        for text in ["", "FOO", "TERM:x", "TERM FOO", "TERM:-1", "TERM:", &"INT ".repeat(17)] {
            assert!(StopSignals::parse(text, &Fake::new()).is_err(), "{text:?}");
        }
        assert_eq!(StopSignals::parse("FOO", &Fake::new()).unwrap_err(), "value 'FOO' is not a valid signal name");
    }

    #[test]
    fn by_what_a_program_is_ready() {
        let rows = [
            ("startsecs", "startsecs", "startsecs"),
            ("notify", "notify", "notify"),
            ("fd:3", "fd", "fd:3"),
            ("fd:255", "fd", "fd:255"),
            ("fd:env:READY", "fd", "fd:env:READY"),
            ("tcp:127.0.0.1:80", "tcp", "tcp:127.0.0.1:80"),
            ("tcp:localhost:80", "tcp", "tcp:127.0.0.1:80"),
            ("tcp:[::1]:80", "tcp", "tcp:[::1]:80"),
            ("unix:/run/x", "unix", "unix:/run/x"),
            ("http://127.0.0.1:8/h?a", "http", "http://127.0.0.1:8/h?a"),
            ("http:http://localhost", "http", "http://localhost/"),
            ("command:test -e '/a b'", "command", "command:test -e '/a b'"),
            ("log:server is up: now", "log", "log:server is up: now"),
        ];
        for (text, kind, shown) in rows {
            let ready = Ready::parse(text, &Fake::new()).unwrap();
            assert_eq!((ready.kind(), ready.shown()), (kind, Value::from(shown)), "{text}");
        }
        let wrong = [
            "",
            "soon",
            "fd:2",
            "fd:256",
            "fd:x",
            "fd:env:",
            "tcp:80",
            "tcp:example.org:80",
            "tcp:127.0.0.1:0",
            "unix:",
            "http:http://example.org/",
            "http:https://127.0.0.1/",
            "https://127.0.0.1/",
            "http://127.0.0.1/a b",
            "command:",
            "command:'",
            "log:",
        ];
        for text in wrong {
            let problem = Ready::parse(text, &Fake::new()).unwrap_err();
            assert!(problem.contains("ready"), "{text:?}: {problem}");
        }
    }

    #[test]
    fn by_what_a_program_is_well() {
        let rows = [
            ("http://127.0.0.1:8080/health", "http://127.0.0.1:8080/health"),
            ("tcp://localhost:5", "tcp://127.0.0.1:5"),
            ("/bin/sh -c 'test -e x'", "/bin/sh -c 'test -e x'"),
            ("curl --fail https://example.org", "curl --fail https://example.org"),
        ];
        for (text, shown) in rows {
            assert_eq!(Probe::parse(text, &Fake::new()).unwrap().shown(), Value::from(shown), "{text}");
        }
        for text in ["", "https://127.0.0.1/", "http://example.org/", "http://127.0.0.1/ -k", "-k http://127.0.0.1/"] {
            assert!(Probe::parse(text, &Fake::new()).is_err(), "{text:?}");
        }
    }
}
