//! By what a process is known to be ready or well: questions that have yes or no for an answer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Datatype, HelperCommand, Show, integer};
use crate::config::env::Env;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// A question that has yes or no for an answer. No name is ever resolved for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether somebody accepts connections.
    Tcp(SocketAddr),
    /// The same of a socket file.
    Unix(String),
    /// Whether a server answers with 200 to 399.
    Http {
        /// Where the server listens that is asked.
        address: SocketAddr,
        /// The value of the header `Host`, as the URL has it.
        host: String,
        /// What is asked for.
        path: String,
    },
    /// Whether a command ends with 0.
    Command(HelperCommand),
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

/// Reads `http://HOST[:PORT][/PATH]`; a host is a number or `localhost`, for nothing here resolves names.
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

/// A probe is a URL, `tcp://H:P` or a command, as in `liveness_check_script` (O-4).
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
        HelperCommand::parse(text, env).map(Probe::Command)
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
    /// It is when a probe has been answered well.
    Probe(Probe),
    /// It writes that text.
    Log(String),
}

/// The descriptor that `fd:env:NAME` stands for: the first that is free in a child.
const FD_OF_VARIABLE: i32 = 3;

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
            "command" => HelperCommand::parse(rest, env).map(|line| Ready::Probe(Probe::Command(line))).map_err(wrong),
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

#[cfg(test)]
mod tests {
    use super::super::super::fake::Fake;
    use super::*;

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
