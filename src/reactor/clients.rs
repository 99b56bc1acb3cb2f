//! The HTTP servers' sockets and their clients.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Token};

use super::token::{Source, Watched};
use crate::clock::Mono;
use crate::config::ServerAddress;
use crate::daemon::host::Standing;
use crate::id::{ConnId, IdMap};
use crate::sys::{fd, peer};

pub(super) enum ListenSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Buffers of input that are passed over before a connection is closed: more than a socket holds.
const DRAIN_ROUNDS: usize = 64;

/// How long a new connection is not closed for another one, so that its request has time to come.
const GRACE: Duration = Duration::from_secs(1);

/// Bytes of output that may be moved for every write to a slow client.
const MOVED_BYTES_MAX: usize = 256 * 1024;

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

struct Client {
    socket: Socket,
    token: Option<Token>,
    /// Whether it stands in the poll for writing too, which it does from its first full buffer on. From the start it
    /// would cost another wake-up for each answer: a unix socket is reported writable when its peer has read.
    waits_to_write: bool,
    /// Bytes at the front of its output that are written already.
    written: usize,
    /// How well it may claim to be kept.
    standing: Standing,
    /// When something last passed, in reads and writes of all clients.
    passed: u64,
    /// When it came in, for who has to go where there is no room.
    came: Mono,
}

impl Socket {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
        }
    }
}

impl Client {
    fn watch(&mut self, id: ConnId, interest: Interest, watched: &mut Watched) -> std::io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(stream) => watched.watch(stream, &mut self.token, Source::Conn(id), interest),
            Socket::Unix(stream) => watched.watch(stream, &mut self.token, Source::Conn(id), interest),
        }
    }
}

/// What came of accepting a client.
pub(super) enum Accepted {
    /// Its id and who it is.
    Client(ConnId, String),
    /// There was one; the next may be there.
    Gone,
    Nobody,
    /// Somebody may wait and cannot be accepted now.
    Failed,
    /// The same, for want of a descriptor.
    Short(std::io::Error),
}

/// What one read of a client brought.
pub(super) enum Read {
    /// So many bytes; more may be there if the buffer was filled.
    Bytes(usize),
    Nothing,
    /// It could not be read this time; that may pass.
    Failed,
    /// It sends no more, or is gone.
    End,
}

/// How a write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    All,
    /// The socket is full; it will be reported writable.
    Blocked,
    /// The client is gone.
    Gone,
}

/// All servers and clients.
#[derive(Default)]
pub(super) struct Clients {
    /// In the order of the configuration; one that could not listen has no socket.
    listeners: Vec<(ServerAddress, Option<ListenSocket>)>,
    clients: IdMap<ConnId, Client>,
    next: u64,
    /// Reads and writes so far.
    passes: u64,
}

impl Clients {
    /// Makes a place for the next server; answers which.
    pub(super) fn add_server(&mut self, address: ServerAddress) -> usize {
        self.listeners.push((address, None));
        self.last_server()
    }

    pub(super) fn last_server(&self) -> usize {
        self.listeners.len().saturating_sub(1)
    }

    /// The addresses at which servers listen.
    pub(super) fn servers(&self) -> impl Iterator<Item = &ServerAddress> {
        self.listeners.iter().filter(|(_, socket)| socket.is_some()).map(|(address, _)| address)
    }

    /// Gives a server its socket.
    pub(super) fn listen(
        &mut self,
        server: usize,
        mut listener: ListenSocket,
        watched: &mut Watched,
    ) -> std::io::Result<()> {
        // It stays for as long as the poll does, and so does its token.
        let (mut token, source) = (None, Source::Listener(server));
        match &mut listener {
            ListenSocket::Tcp(listener) => watched.watch(listener, &mut token, source, Interest::READABLE)?,
            ListenSocket::Unix(listener) => watched.watch(listener, &mut token, source, Interest::READABLE)?,
        }
        if let Some((_, socket)) = self.listeners.get_mut(server) {
            *socket = Some(listener);
        }
        Ok(())
    }

    /// The next waiting client of a server.
    pub(super) fn accept(&mut self, server: usize, now: Mono, watched: &mut Watched) -> Accepted {
        let Some((_, Some(listener))) = self.listeners.get(server) else { return Accepted::Nobody };
        let accepted = match listener {
            ListenSocket::Tcp(listener) => listener.accept().map(|(stream, address)| {
                // Without it an answer of several segments waits 40 ms for an acknowledgement.
                let _ = stream.set_nodelay(true);
                (Socket::Tcp(stream), address.to_string())
            }),
            ListenSocket::Unix(listener) => listener.accept().map(|(stream, _)| {
                let peer = peer::of_socket(stream.as_fd())
                    .map_or_else(|_| "unix socket".to_string(), |peer| format!("uid {}", peer.uid));
                (Socket::Unix(stream), peer)
            }),
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Accepted::Nobody,
            // It hung up before its turn came, or a signal came between.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {
                return Accepted::Gone;
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                return Accepted::Short(error);
            }
            Err(error) => {
                // The client stays in the backlog.
                activity!(Error, "cannot accept a client: {error}");
                return Accepted::Failed;
            }
        };
        self.passes += 1;
        let passed = self.passes;
        let id = ConnId(self.next);
        self.next += 1;
        let standing = Standing::Unproven;
        let mut client = Client { socket, token: None, waits_to_write: false, written: 0, standing, passed, came: now };
        if let Err(error) = client.watch(id, Interest::READABLE, watched) {
            activity!(Error, "cannot watch a client: {error}");
            return Accepted::Failed;
        }
        self.clients.insert(id, client);
        Accepted::Client(id, peer)
    }

    /// Begins to connect. It is read and written like a client; once it is there it is reported writable.
    pub(super) fn connect(&mut self, address: SocketAddr, watched: &mut Watched) -> std::io::Result<ConnId> {
        let stream = TcpStream::connect(address)?;
        // As with clients.
        let _ = stream.set_nodelay(true);
        let id = ConnId(self.next);
        self.next += 1;
        let (socket, standing) = (Socket::Tcp(stream), Standing::Served);
        let (passed, came) = (self.passes, Mono(0));
        let mut client = Client { socket, token: None, waits_to_write: true, written: 0, standing, passed, came };
        client.watch(id, Interest::READABLE | Interest::WRITABLE, watched)?;
        self.clients.insert(id, client);
        Ok(id)
    }

    /// Reads what a client sent.
    pub(super) fn read(&mut self, id: ConnId, buffer: &mut [u8]) -> Read {
        let Some(client) = self.clients.get_mut(&id) else { return Read::Nothing };
        self.passes += 1;
        client.passed = self.passes;
        match fd::retry(|| client.socket.read(buffer)) {
            Ok(0) => Read::End,
            Ok(bytes) => Read::Bytes(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Read::Nothing,
            Err(error) if fd::may_pass(&error) => Read::Failed,
            Err(_) => Read::End,
        }
    }

    /// Writes to a client, and takes what was written off the front of `output`. Of long output that is done when at
    /// least half of it is written, for the rest has to be moved: a client takes some 200 KiB at a time, and ten megabytes
    /// would be moved fifty times.
    pub(super) fn write(&mut self, id: ConnId, output: &mut Vec<u8>, watched: &mut Watched) -> Written {
        let Some(client) = self.clients.get_mut(&id) else { return Written::Gone };
        self.passes += 1;
        client.passed = self.passes;
        let mut done = client.written;
        let outcome = loop {
            if done == output.len() {
                break Written::All;
            }
            match client.socket.write(&output[done..]) {
                Ok(bytes) => done += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Written::Blocked,
                Err(_) => break Written::Gone,
            }
        };
        client.written = done;
        if output.len() - done <= MOVED_BYTES_MAX.max(done) {
            output.drain(..done);
            client.written = 0;
        }
        if outcome == Written::Blocked && !client.waits_to_write {
            // A socket that took more since is reported at once.
            client.waits_to_write = client.watch(id, Interest::READABLE | Interest::WRITABLE, watched).is_ok();
            return if client.waits_to_write { Written::Blocked } else { Written::Gone };
        }
        outcome
    }

    /// Takes in what a client has sent that nobody reads any more: closing with unread input would tear the connection
    /// down, and the client might lose the end of its reply.
    pub(super) fn drain(&mut self, id: ConnId, buffer: &mut [u8]) {
        for _ in 0..DRAIN_ROUNDS {
            match self.read(id, buffer) {
                Read::Bytes(count) if count == buffer.len() => {}
                _ => return,
            }
        }
    }

    /// A connection has another standing.
    pub(super) fn rank(&mut self, id: ConnId, standing: Standing) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.standing = standing;
        }
    }

    /// Closes so many connections, by their standing; among equals those on which nothing has passed for longest. The one
    /// that something passed on last is kept, for it may be what a child is made for.
    pub(super) fn make_room(&mut self, connections: usize, watched: &mut Watched) -> Vec<ConnId> {
        let mut all: Vec<_> = self.clients.iter().map(|(id, client)| (client.standing, client.passed, *id)).collect();
        let last = all.iter().max_by_key(|(_, passed, _)| *passed).map(|(_, _, id)| *id);
        all.retain(|(_, _, id)| Some(*id) != last);
        all.sort_unstable();
        let gone: Vec<ConnId> = all.into_iter().take(connections).map(|(_, _, id)| id).collect();
        for id in &gone {
            self.close(*id, watched);
        }
        gone
    }

    /// Closes a connection for one that waits: of those that have sent no request the oldest, then who has been idle
    /// longest. Nobody whose request or answer is under way, and nobody who has only just come.
    pub(super) fn make_room_for_client(&mut self, now: Mono, watched: &mut Watched) -> Option<ConnId> {
        let may_go = |client: &Client| client.standing <= Standing::Idle && now.since(client.came) >= GRACE;
        let ranked = self.clients.iter().filter(|(_, client)| may_go(client)).map(|(id, client)| {
            let passed = if client.standing == Standing::Unproven { 0 } else { client.passed };
            (client.standing, passed, *id)
        });
        let (_, _, id) = ranked.min()?;
        self.close(id, watched);
        Some(id)
    }

    pub(super) fn close(&mut self, id: ConnId, watched: &mut Watched) {
        if let Some(client) = self.clients.remove(&id) {
            watched.forget(client.token);
        }
    }
}
