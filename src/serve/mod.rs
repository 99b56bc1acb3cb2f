//! The daemon and its connections side by side: routing, authentication, replies that wait.
//!
//! [`Service`] takes [`Input`]s and does the work of a turn. It holds no descriptor: bytes for a client are appended
//! to the connection's output, and the reactor, which alone writes, asks for those that have some
//! ([`Service::take_dirty`]).

#![forbid(unsafe_code)]

mod conn;
mod events;
mod follow;
mod route;
mod task;

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::clock::{Mono, Now, earliest};
use crate::config::{Config, Credentials, Server, ServerAddress};
use crate::daemon::{Daemon, Host};
use crate::exit::ExitStatus;
use crate::id::{Channel, ConnId, IdMap, Pid, ProcId};
use crate::model::event::Serials;
use crate::rpc::Registry;
use crate::signal;
use crate::state::SupervisorState;
use crate::sys::sockets;
use crate::wire::http::DateCache;
use crate::wire::xmlrpc::CallMemo;

pub use conn::Conn;
pub use route::{Handler, ROUTES};

/// Connections at one time. Beyond it the one that has been idle longest is closed for a new one.
pub const CONNECTIONS_MAX: usize = 512;

/// How many of them may be streams, of events or of logs that are followed. They are never idle, so without a bound of
/// their own nobody else would have room.
const STREAMS_MAX: usize = CONNECTIONS_MAX / 2;

/// What happens, as the reactor tells it.
#[derive(Debug)]
pub enum Input<'a> {
    /// A child wrote.
    Output {
        /// The child's slot.
        process: ProcId,
        /// On which channel.
        channel: Channel,
        /// What; never empty.
        bytes: &'a [u8],
    },
    /// A child's channel reached its end.
    OutputEnded {
        /// The child's slot.
        process: ProcId,
        /// Which channel.
        channel: Channel,
        /// The descriptor it had.
        fd: i32,
    },
    /// A child, ours or inherited, was reaped; its output came before.
    Exited {
        /// Its pid.
        pid: Pid,
        /// How it ended.
        status: ExitStatus,
    },
    /// A signal for the daemon itself.
    Signal(i32),
    /// A client has connected.
    Accepted {
        /// Its connection.
        conn: ConnId,
        /// Index of the server section.
        server: usize,
        /// `127.0.0.1:4711`, or who is at the other end of a unix socket: `uid 1000`.
        peer: String,
    },
    /// A client sent bytes.
    Received {
        /// Its connection.
        conn: ConnId,
        /// What; never empty.
        bytes: &'a [u8],
    },
    /// A file that a connection follows has changed.
    FileChanged {
        /// The connection.
        conn: ConnId,
    },
    /// All output of a connection has been written.
    Drained {
        /// The connection.
        conn: ConnId,
    },
    /// A client sends no more, or is gone.
    Hangup {
        /// Its connection.
        conn: ConnId,
    },
}

/// What a server on a unix socket has for a name.
pub const UNIX_SERVER_NAME: &str = "<unix domain socket>";

/// A server section, as far as its connections need it.
struct Site {
    credentials: Option<Credentials>,
    address: ServerAddress,
}

/// The daemon and its clients.
pub struct Service {
    /// The daemon.
    pub daemon: Daemon,
    registry: Registry,
    sites: Vec<Site>,
    /// Names under which browsers may address us (DESIGN: a foreign `Host` changes nothing).
    own_hosts: Vec<String>,
    conns: IdMap<ConnId, Conn>,
    /// Connections whose reply waits.
    waiting: BTreeSet<ConnId>,
    /// The replies that wait are to be asked again, in a turn that comes at once.
    unsettled: bool,
    /// What clients asked for that are gone.
    orphans: Vec<task::Orphan>,
    /// Connections that follow a log.
    followers: BTreeSet<ConnId>,
    /// Connections that receive events.
    streams: BTreeSet<ConnId>,
    /// Connections that have output, or are to be closed.
    dirty: Vec<ConnId>,
    /// Connections to be looked at when time has passed, each once; its own deadline may be later.
    timeouts: BTreeSet<(Mono, ConnId)>,
    memo: CallMemo,
    dates: DateCache,
}

impl Service {
    /// A service for a configuration; [`Daemon::begin`] is still to be called on its daemon.
    pub fn new(config: Config, serial: Serials) -> Service {
        let sites = config.servers.iter().map(Site::of).collect();
        let own_hosts = own_hosts(&config);
        Service {
            registry: Registry::new(&config),
            daemon: Daemon::new(config, serial),
            sites,
            own_hosts,
            conns: IdMap::default(),
            waiting: BTreeSet::new(),
            unsettled: false,
            orphans: Vec::new(),
            followers: BTreeSet::new(),
            streams: BTreeSet::new(),
            dirty: Vec::new(),
            timeouts: BTreeSet::new(),
            memo: CallMemo::new(),
            dates: DateCache::default(),
        }
    }

    /// Takes one input. Inputs of a turn come in the order of the enum: output before exits before signals before
    /// requests (see [`Service::turn`] for the rest of the order).
    pub fn handle(&mut self, input: Input<'_>, now: Now, host: &mut dyn Host) {
        match input {
            Input::Output { process, channel, bytes } => self.daemon.output(process, channel, bytes, now, host),
            Input::OutputEnded { process, channel, fd } => self.daemon.output_ended(process, channel, fd),
            Input::Exited { pid, status } => self.daemon.exited(pid, status, now, host),
            Input::Signal(number) => self.signal(number, host),
            Input::Accepted { conn, server, peer } => self.accept(conn, server, peer, now, host),
            Input::Received { conn, bytes } => self.receive(conn, bytes, now, host),
            Input::FileChanged { conn } => self.feed_follower(conn, host),
            Input::Drained { conn } => self.drained(conn, host),
            Input::Hangup { conn } => self.hangup(conn, host),
        }
    }

    /// The rest of a turn, after all inputs.
    pub fn turn(&mut self, now: Now, host: &mut dyn Host) {
        // Deadlines come after exits, so that a quick exit is never judged RUNNING, and after requests, so that a
        // start request and an automatic restart do not meet.
        self.daemon.deadlines(now, host);
        // After the exits of this turn, so that the next group is told to stop at once.
        self.daemon.shutdown_step(now, host);
        // Listeners hear of everything above in this very turn.
        self.daemon.dispatch(now, host);
        // Replies last: they see the states as the turn leaves them. What they start or stop is seen by the next
        // turn, which then comes at once.
        self.answer_waiting(now, host);
        self.expire(now, host);
        self.feed_streams();
        if self.finished().is_some() {
            self.end_streams();
        }
    }

    /// When the next turn is due at the latest; `None` is never.
    pub fn next_deadline(&self, now: Now) -> Option<Mono> {
        if self.daemon.has_busy_pools() || self.unsettled {
            return Some(now.mono);
        }
        let waiting = self.waiting.iter().filter_map(|id| self.conns.get(id)?.deadline_of_reply()).min();
        let timeout = self.timeouts.first().map(|(at, _)| *at);
        let orphan = self.orphans.iter().filter_map(|orphan| orphan.work.deadline()).min();
        earliest(&[self.daemon.next_deadline(now), waiting, orphan, timeout])
    }

    /// Whether the run is over: everything is stopped and every waiting client has its answer.
    pub fn finished(&self) -> Option<SupervisorState> {
        (self.daemon.finished() && self.waiting.is_empty()).then(|| self.daemon.state())
    }

    /// Connections that have output or are to be closed, since the last call.
    pub fn take_dirty(&mut self) -> Vec<ConnId> {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        dirty
    }

    /// A connection's output, for the reactor to write from and to shorten.
    pub fn output(&mut self, id: ConnId) -> Option<&mut Vec<u8>> {
        self.conns.get_mut(&id).map(|conn| &mut conn.output)
    }

    /// Whether a connection is to be closed once its output is written.
    pub fn closes(&self, id: ConnId) -> bool {
        self.conns.get(&id).is_none_or(|conn| conn.closing && !matches!(conn.phase, conn::Phase::Waiting(_)))
    }

    /// Whether a connection is still served.
    pub fn has_connection(&self, id: ConnId) -> bool {
        self.conns.contains_key(&id)
    }

    /// A connection was closed; what it asked for goes on.
    pub fn drop_connection(&mut self, id: ConnId, host: &mut dyn Host) {
        self.forget(id, host);
    }

    /// Number of connections.
    pub fn connection_count(&self) -> usize {
        self.conns.len()
    }

    /// What a signal to the daemon asks for (P-13, P-14).
    fn signal(&mut self, number: i32, host: &mut dyn Host) {
        let name = signal::name(number);
        match number {
            libc::SIGTERM | libc::SIGINT | libc::SIGQUIT => {
                activity!(Warn, "received {name} indicating exit request");
                self.daemon.request_shutdown();
            }
            libc::SIGHUP if self.daemon.state() == SupervisorState::Shutdown => {
                activity!(Warn, "ignored {name} indicating restart request (shutdown in progress)");
            }
            libc::SIGHUP => {
                activity!(Warn, "received {name} indicating restart request");
                self.daemon.request_restart();
            }
            libc::SIGCHLD => activity!(Debug, "received {name} indicating a child quit"),
            libc::SIGUSR2 => {
                activity!(Info, "received {name} indicating log reopen request");
                host.activity_reopen();
                self.daemon.reopen_logs(host);
            }
            _ => activity!(Blather, "received {name} indicating nothing"),
        }
    }
}

impl Site {
    fn of(server: &Server) -> Site {
        Site { credentials: server.credentials.clone(), address: server.address.clone() }
    }

    /// The name the server goes by, and its port (L-12). Redirections need them, which are too rare to remember it.
    fn name_and_port(&self) -> (String, String) {
        match &self.address {
            ServerAddress::Inet { host, port } => (sockets::server_name(host), port.to_string()),
            ServerAddress::Unix { path, .. } => (UNIX_SERVER_NAME.to_string(), path.clone()),
        }
    }
}

/// The names of this machine: as configured for its servers, as the system has it, and what `[stheno] hosts` adds.
fn own_hosts(config: &Config) -> Vec<String> {
    let servers = config.servers.iter().filter_map(|server| match &server.address {
        ServerAddress::Inet { host, .. } if !host.is_empty() => Some(host.clone()),
        _ => None,
    });
    let more = config.stheno.iter().flat_map(|stheno| stheno.hosts.iter().cloned());
    servers.chain([config.hostname.clone()]).chain(more).collect()
}

/// Peers are shown and kept; most connections come from few of them.
type Peer = Rc<str>;
