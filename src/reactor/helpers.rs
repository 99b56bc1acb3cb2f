//! Descriptors of what is run and asked beside children: output of hooks and probes, notify sockets, ready pipes, and
//! connections that ask whether somebody answers.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::Reactor;
use super::token::{Source, Watched};
use crate::clock::Now;
use crate::config::Probe;
use crate::id::{IdMap, Pid, ProcId};
use crate::serve::{Input, Service};
use crate::sys::{fd, notify};
use crate::wire::notify::MESSAGE_BYTES_MAX;

/// Datagrams read of one child in one turn; the kernel keeps the others.
const DATAGRAMS_PER_TURN: usize = 64;

/// Bytes of an answer that are read: its first line is looked at.
const ANSWER_BYTES_MAX: usize = 1024;

/// Reads of one helper, or one ready pipe, in one turn.
const READS_PER_TURN: usize = 4;

/// A descriptor that is polled.
struct Polled {
    fd: OwnedFd,
    token: Option<Token>,
    /// Where a socket has a name in the file system.
    _name: Option<notify::BoundPath>,
}

/// A connection that asks.
struct Asking {
    stream: TcpStream,
    token: Option<Token>,
    /// What is still to be sent; `None` where being connected is the answer.
    request: Option<Vec<u8>>,
    answer: Vec<u8>,
}

#[derive(Default)]
pub(super) struct Helpers {
    outputs: IdMap<i32, Polled>,
    notify: IdMap<ProcId, Polled>,
    ready: IdMap<ProcId, Polled>,
    asking: IdMap<ProcId, Asking>,
}

fn add<K: std::hash::Hash + Eq>(
    map: &mut std::collections::HashMap<K, Polled, impl std::hash::BuildHasher>,
    key: K,
    (fd, name): (OwnedFd, Option<notify::BoundPath>),
    source: Source,
    watched: &mut Watched,
) -> io::Result<()> {
    let mut token = None;
    watched.watch(&mut SourceFd(&fd.as_raw_fd()), &mut token, source, Interest::READABLE)?;
    if let Some(old) = map.insert(key, Polled { fd, token, _name: name }) {
        watched.forget(old.token);
    }
    Ok(())
}

impl Helpers {
    /// Takes over the output of a helper.
    pub(super) fn add_output(&mut self, pid: Pid, fd: OwnedFd, watched: &mut Watched) -> io::Result<()> {
        add(&mut self.outputs, pid.0, (fd, None), Source::Helper(pid), watched)
    }

    /// Takes over a child's notify socket.
    pub(super) fn add_notify(&mut self, id: ProcId, socket: notify::Socket, watched: &mut Watched) -> io::Result<()> {
        add(&mut self.notify, id, (socket.fd, socket.name), Source::Notify(id), watched)
    }

    /// Takes over our end of a child's ready pipe.
    pub(super) fn add_ready(&mut self, id: ProcId, fd: OwnedFd, watched: &mut Watched) -> io::Result<()> {
        add(&mut self.ready, id, (fd, None), Source::ReadyPipe(id), watched)
    }

    /// Closes a helper's output.
    pub(super) fn close_output(&mut self, pid: Pid, watched: &mut Watched) {
        if let Some(old) = self.outputs.remove(&pid.0) {
            watched.forget(old.token);
        }
    }

    /// Closes what belongs to a child that has ended.
    pub(super) fn close_child(&mut self, id: ProcId, watched: &mut Watched) {
        for old in [self.notify.remove(&id), self.ready.remove(&id)].into_iter().flatten() {
            watched.forget(old.token);
        }
    }

    pub(super) fn end_probe(&mut self, id: ProcId, watched: &mut Watched) {
        if let Some(asking) = self.asking.remove(&id) {
            watched.forget(asking.token);
        }
    }

    /// Asks a question; `None` while the answer is on its way.
    pub(super) fn begin_probe(
        &mut self,
        id: ProcId,
        probe: &Probe,
        watched: &mut Watched,
    ) -> Option<Result<(), String>> {
        self.end_probe(id, watched);
        match self.try_begin(id, probe, watched) {
            Ok(answer) => answer,
            Err(error) => Some(Err(reason(&error))),
        }
    }

    fn try_begin(
        &mut self,
        id: ProcId,
        probe: &Probe,
        watched: &mut Watched,
    ) -> io::Result<Option<Result<(), String>>> {
        let (mut stream, request) = match probe {
            Probe::Tcp(address) => (TcpStream::connect(*address)?, None),
            // A unix socket is connected at once, or not at all.
            Probe::Unix(path) => return mio::net::UnixStream::connect(path).map(|_| Some(Ok(()))),
            Probe::Http { address, host, path } => {
                let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: supervisord\r\n\r\n");
                (TcpStream::connect(*address)?, Some(request.into_bytes()))
            }
            Probe::Command(_) => return Err(ErrorKind::Unsupported.into()),
        };
        let mut token = None;
        let interest = Interest::READABLE | Interest::WRITABLE;
        watched.watch(&mut stream, &mut token, Source::Probe(id), interest)?;
        self.asking.insert(id, Asking { stream, token, request, answer: Vec::new() });
        Ok(None)
    }

    /// Goes on with a question; its answer, once it is there.
    fn advance(&mut self, id: ProcId, watched: &mut Watched) -> Option<Result<(), String>> {
        let asking = self.asking.get_mut(&id)?;
        let result = asking.advance().transpose()?;
        self.end_probe(id, watched);
        Some(result.unwrap_or_else(|error| Err(reason(&error))))
    }
}

/// What people read: `connection refused`.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_string(),
        _ => crate::errno::text(crate::sys::errno_of(error)).to_lowercase(),
    }
}

impl Asking {
    fn advance(&mut self) -> io::Result<Option<Result<(), String>>> {
        let stream = &mut self.stream;
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(None),
            Err(error) => return Err(error),
        }
        // Where nobody listens, a connection may get the very port that it asks for as its own, and meet itself.
        if stream.local_addr().ok() == stream.peer_addr().ok() {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let Some(request) = &mut self.request else { return Ok(Some(Ok(()))) };
        while !request.is_empty() {
            match stream.write(request) {
                Ok(count) => drop(request.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let mut buffer = [0; ANSWER_BYTES_MAX];
        loop {
            let room = ANSWER_BYTES_MAX - self.answer.len();
            match stream.read(&mut buffer[..room]) {
                Ok(0) => return Ok(Some(judge(&self.answer))),
                Ok(count) => {
                    self.answer.extend_from_slice(&buffer[..count]);
                    if self.answer.contains(&b'\n') || self.answer.len() >= ANSWER_BYTES_MAX {
                        return Ok(Some(judge(&self.answer)));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What an answer's first line says: 200 to 399 is yes.
fn judge(answer: &[u8]) -> Result<(), String> {
    let line = answer.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default();
    let status = line.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1));
    match status.and_then(|status| status.parse::<u16>().ok()) {
        Some(200..=399) => Ok(()),
        Some(status) => Err(format!("status {status}")),
        None => Err("no HTTP answer".to_string()),
    }
}

impl Reactor {
    /// Reads what helpers and children tell.
    pub(super) fn read_helpers(&mut self, sources: &mut Vec<Source>, service: &mut Service, now: Now) {
        for source in sources.drain(..) {
            match source {
                Source::Helper(pid) => self.read_helper(pid, service, now),
                Source::Notify(id) => self.read_notify(id, service, now),
                Source::ReadyPipe(id) => self.read_ready(id, service, now),
                Source::Probe(id) => {
                    let system = &mut self.system;
                    if let Some(result) = system.helpers.advance(id, &mut system.watched) {
                        service.handle(Input::Probed { process: id, result }, now, &mut self.system);
                    }
                }
                _ => {}
            }
        }
    }

    /// Reads what a helper wrote.
    pub(super) fn read_helper(&mut self, pid: Pid, service: &mut Service, now: Now) {
        for _ in 0..READS_PER_TURN {
            let Some(output) = self.system.helpers.outputs.get(&pid.0) else { return };
            match fd::retry(|| fd::read(output.fd.as_fd(), &mut self.scratch)) {
                Ok(0) => return self.system.helpers.close_output(pid, &mut self.system.watched),
                Ok(count) => {
                    let bytes = &self.scratch[..count];
                    service.handle(Input::HelperOutput { pid, bytes }, now, &mut self.system);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.system.helpers.close_output(pid, &mut self.system.watched),
            }
        }
        self.unfinished.push(Source::Helper(pid));
    }

    /// Reads what a child that has exited told last.
    pub(super) fn read_last_words(&mut self, id: ProcId, service: &mut Service, now: Now) {
        if self.system.helpers.notify.contains_key(&id) {
            self.read_notify(id, service, now);
        }
        if self.system.helpers.ready.contains_key(&id) {
            self.read_ready(id, service, now);
        }
    }

    fn read_notify(&mut self, id: ProcId, service: &mut Service, now: Now) {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        for _ in 0..DATAGRAMS_PER_TURN {
            let Some(socket) = self.system.helpers.notify.get(&id) else { return };
            match fd::retry(|| notify::receive(socket.fd.as_fd(), &mut buffer)) {
                Ok((count, sender)) => {
                    let bytes = &buffer[..count];
                    service.handle(Input::Notified { process: id, sender, bytes }, now, &mut self.system);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.try_later(Source::Notify(id), now),
            }
        }
        self.unfinished.push(Source::Notify(id));
    }

    fn read_ready(&mut self, id: ProcId, service: &mut Service, now: Now) {
        for _ in 0..READS_PER_TURN {
            let Some(pipe) = self.system.helpers.ready.get(&id) else { return };
            let mut buffer = [0; 512];
            let (is_over, has_said) = match fd::retry(|| fd::read(pipe.fd.as_fd(), &mut buffer)) {
                Ok(count) => (count == 0, buffer[..count].contains(&b'\n')),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => (true, false),
            };
            if is_over || has_said {
                let old = self.system.helpers.ready.remove(&id);
                self.system.watched.forget(old.and_then(|old| old.token));
            }
            if has_said {
                service.handle(Input::ReadyLine { process: id }, now, &mut self.system);
            }
        }
        if self.system.helpers.ready.contains_key(&id) {
            self.unfinished.push(Source::ReadyPipe(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let rows: &[(&[u8], Result<(), &str>)] = &[
            (b"HTTP/1.0 200 OK\r\n", Ok(())),
            (b"HTTP/1.1 204 No Content\r\n", Ok(())),
            (b"HTTP/1.1 399\n", Ok(())),
            (b"HTTP/1.1 400 Bad\r\n", Err("status 400")),
            (b"HTTP/1.1 503 x\r\n", Err("status 503")),
            (b"HTTP/1.1 100 x\r\n", Err("status 100")),
            (b"HTTP/1.1", Err("no HTTP answer")),
            (b"hello\n", Err("no HTTP answer")),
            (b"\xff\xfe", Err("no HTTP answer")),
            (b"", Err("no HTTP answer")),
        ];
        for (answer, expected) in rows {
            assert_eq!(judge(answer), expected.map_err(str::to_string), "{}", String::from_utf8_lossy(answer));
        }
    }
}
