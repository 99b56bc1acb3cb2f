//! One connection to the daemon: where it goes, what is asked over it, and the answers in order.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::error::Error;
use crate::sys::sockets::connect_unix;
use crate::sys::terminal::wait_readable;
use crate::wire::auth::basic_header;
use crate::wire::http::{ResponseReader, write_request};

/// The largest answer taken: a whole log read with `tail -0` is the only one that gets large.
const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// Bytes asked for at once.
const READ_BYTES: usize = 64 << 10;
/// How long a server may take to accept a connection, or to take in what is written to it. Both are the work of its
/// kernel, so this is for the network.
const CONNECT_WAIT: Duration = Duration::from_secs(20);
/// The port of an `http://` URL without one (S-8).
const DEFAULT_PORT: u16 = 80;

/// The daemon that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub url: String,
    /// For Basic authentication; sent only together with the password (S-15).
    pub username: Option<String>,
    /// The password in clear text, as the protocol wants it.
    pub password: Option<String>,
}

impl Server {
    /// Whether its files are those of this machine.
    pub fn is_local(&self) -> bool {
        match Target::of(&self.url) {
            Ok(Target::Unix(_)) => true,
            Ok(Target::Tcp { host, .. }) => {
                host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
            }
            Err(_) => false,
        }
    }
}

/// Where a URL points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A server that listens on a port: `http://host[:port]`.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        port: u16,
    },
    /// A server that listens on a socket file: `unix://path`.
    Unix(String),
}

impl Target {
    /// Reads a URL (S-8). What follows host and port is ignored, as the original ignores it.
    pub fn of(url: &str) -> Result<Target, Error> {
        if let Some(path) = url.strip_prefix("unix://") {
            return Ok(Target::Unix(path.to_string()));
        }
        let Some(rest) = url.strip_prefix("http://") else { return Err(Error::UnknownProtocol(url.to_string())) };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').unwrap_or("")),
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        let port = match port {
            "" => DEFAULT_PORT,
            digits => digits.parse().map_err(|_| Error::BadPort(url.to_string()))?,
        };
        Ok(Target::Tcp { host: host.to_ascii_lowercase(), port })
    }

    /// The value of the `Host` header.
    pub fn host(&self) -> String {
        match self {
            Target::Unix(_) => "localhost".to_string(),
            Target::Tcp { host, port } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                if *port == DEFAULT_PORT { host } else { format!("{host}:{port}") }
            }
        }
    }

    pub fn connect(&self, url: &str) -> Result<Socket, Error> {
        let failed = |error| Error::Io { error, url: url.to_string() };
        match self {
            Target::Unix(path) => connect_unix(path, CONNECT_WAIT).map(Socket::Unix).map_err(failed),
            Target::Tcp { host, port } => {
                let mut last = Error::UnknownHost(host.clone());
                for address in addresses(host, *port) {
                    match TcpStream::connect_timeout(&address, CONNECT_WAIT) {
                        Ok(stream) => {
                            // A request must not wait for the acknowledgement of the one before.
                            let _ = stream.set_nodelay(true);
                            return Ok(Socket::Tcp(stream));
                        }
                        Err(error) => last = failed(error),
                    }
                }
                Err(last)
            }
        }
    }
}

/// The addresses of a host. `localhost` and plain addresses do without the resolver: it costs more than the whole
/// command, and is not to be had in a static executable. IPv4 first, since that is what the daemon listens on.
pub fn addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    let known: Vec<IpAddr> = match host {
        "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        _ => host.parse().into_iter().collect(),
    };
    if known.is_empty() {
        let mut found: Vec<SocketAddr> = (host, port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
        crate::sort::by_key(&mut found, SocketAddr::is_ipv6);
        return found;
    }
    known.into_iter().map(|address| SocketAddr::new(address, port)).collect()
}

/// A connected socket of either kind.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Fails writes that a server which does not read holds up longer than this.
    fn limit_writing(&self, time: Duration) {
        // Without the limit a write waits, which is no reason not to try.
        let _ = match self {
            Socket::Tcp(stream) => stream.set_write_timeout(Some(time)),
            Socket::Unix(stream) => stream.set_write_timeout(Some(time)),
        };
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
        }
    }
}

/// A connection that requests are written to and answers are read from, in the same order.
pub struct Connection {
    socket: Socket,
    host: String,
    url: String,
    authorization: Option<String>,
    /// What has arrived behind the last answer.
    buffer: Vec<u8>,
    /// Whether an answer has come over it: one that was open before may be found closed by the server at any time.
    pub was_used: bool,
}

pub struct Answer {
    pub status: u16,
    pub reason: String,
    pub body: Vec<u8>,
    /// Whether the server keeps the connection.
    pub keep_alive: bool,
}

impl Connection {
    /// Connects to a URL; the credentials go with every request.
    pub fn open(server: &Server) -> Result<Connection, Error> {
        let target = Target::of(&server.url)?;
        let socket = target.connect(&server.url)?;
        socket.limit_writing(CONNECT_WAIT);
        let credentials = server.username.as_deref().zip(server.password.as_deref());
        Ok(Connection {
            socket,
            host: target.host(),
            url: server.url.clone(),
            authorization: credentials.map(|(username, password)| basic_header(username, password)),
            buffer: Vec::new(),
            was_used: false,
        })
    }

    /// Writes calls, all in one go.
    pub fn send<'a>(&mut self, bodies: impl Iterator<Item = &'a [u8]>) -> Result<(), Error> {
        let mut out = Vec::with_capacity(512);
        for body in bodies {
            let mut headers = vec![
                ("Accept-Encoding", "identity"),
                ("User-Agent", "supervisorctl"),
                ("Content-Type", "text/xml"),
                ("Accept", "text/xml"),
            ];
            if let Some(authorization) = &self.authorization {
                headers.push(("Authorization", authorization));
            }
            write_request(&mut out, "POST", "/RPC2", &self.host, &headers, Some(body));
        }
        self.socket.write_all(&out).map_err(|error| self.failed(error))
    }

    /// Reads the next answer; `None` if the server has closed the connection before any of it came. Fails with
    /// [`Error::Interrupted`] once `interrupt` can be read. After every `patience` without a byte `silence` is asked, and
    /// what it fails with ends the wait.
    pub fn receive(
        &mut self,
        interrupt: Option<BorrowedFd<'_>>,
        patience: Duration,
        silence: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<Option<Answer>, Error> {
        let mut reader = ResponseReader::new("POST", ANSWER_BYTES_MAX);
        let mut body = Vec::new();
        let mut chunk = vec![0; READ_BYTES];
        let bad = |error: crate::wire::http::HttpError| Error::BadAnswer(format!("not HTTP ({error})"));
        let mut is_begun = false;
        let mut last_byte = Instant::now();
        loop {
            if !self.buffer.is_empty() {
                is_begun = true;
                let used = reader.feed(&self.buffer, &mut body).map_err(bad)?;
                self.buffer.drain(..used);
            }
            if reader.is_done() {
                break;
            }
            let mut fds = vec![self.socket.as_fd()];
            fds.extend(interrupt);
            let left = patience.saturating_sub(last_byte.elapsed());
            let ready = wait_readable(&fds, Some(left)).map_err(|error| self.failed(error))?;
            if ready.get(1) == Some(&true) {
                return Err(Error::Interrupted);
            }
            if !ready[0] {
                if last_byte.elapsed() >= patience {
                    silence()?;
                    last_byte = Instant::now();
                }
                continue;
            }
            last_byte = Instant::now();
            match self.socket.read(&mut chunk) {
                Ok(0) if !is_begun => return Ok(None),
                Ok(0) => {
                    reader.end().map_err(|_| Error::Closed(self.url.clone()))?;
                    break;
                }
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !is_begun => return Ok(None),
                Err(error) => return Err(self.failed(error)),
            }
        }
        let Some(head) = reader.head() else { return Err(Error::Closed(self.url.clone())) };
        let (status, reason, keep_alive) = (head.status, head.reason.clone(), head.keep_alive);
        self.was_used = true;
        Ok(Some(Answer { status, reason, body, keep_alive }))
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::Io { error, url: self.url.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let tcp = |host: &str, port| Ok(Target::Tcp { host: host.to_string(), port });
        let rows = [
            ("unix:///tmp/s", Ok(Target::Unix("/tmp/s".to_string())), "localhost"),
            ("unix://s", Ok(Target::Unix("s".to_string())), "localhost"),
            ("http://Host", tcp("host", 80), "host"),
            ("http://h:9001", tcp("h", 9001), "h:9001"),
            ("http://h:9001/RPC2?x", tcp("h", 9001), "h:9001"),
            ("http://u:p@h:1", tcp("h", 1), "h:1"),
            ("http://[::1]:9001/", tcp("::1", 9001), "[::1]:9001"),
            ("http://[::1]", tcp("::1", 80), "[::1]"),
            ("http://h:x", Err("Port could not be cast"), ""),
            ("http://h:65536", Err("Port could not be cast"), ""),
            ("https://h", Err("Unknown protocol for serverurl https://h"), ""),
            ("http:h", Err("Unknown protocol for serverurl http:h"), ""),
        ];
        for (url, expected, host) in rows {
            match (Target::of(url), expected) {
                (Ok(target), Ok(expected)) => {
                    assert_eq!(target, expected, "{url}");
                    assert_eq!(target.host(), host, "{url}");
                }
                (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{url}: {error}"),
                (got, _) => panic!("{url}: {got:?}"),
            }
        }
    }
}
