//! The daemon and its connections side by side: routing, authentication, replies that wait.
//!
//! [`Service`] takes [`Input`]s and does the work of a turn. It holds no descriptor: bytes for a client are appended
//! to the connection's output, and the reactor, which alone writes, asks for those that have some
//! ([`Service::take_dirty`]).

#![forbid(unsafe_code)]

mod action;
mod clients;
mod complaints;
mod conn;
mod conns;
mod deferred;
mod events;
mod exchange;
mod feed;
#[cfg(feature = "fleet")]
mod fleet_live;
#[cfg(feature = "fleet")]
mod fleet_pages;
mod follow;
mod live;
#[cfg(feature = "gzip")]
mod packing;
mod pages;
mod part;
mod passwords;
#[cfg(feature = "fleet")]
mod peers;
#[cfg(feature = "fleet")]
mod published;
mod replies;
#[cfg(feature = "fleet")]
mod rest;
mod route;
mod scrape;
mod sites;
#[cfg(test)]
mod tests;
mod text;
mod turn;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::clock::{Mono, Now, earliest};
use crate::config::{Config, Loader};
use crate::daemon::{Daemon, Host};
use crate::exit::ExitStatus;
use crate::id::{Channel, ConnId, Pid, ProcId};
use crate::model::backpressure::{Backpressure, Outlet};
use crate::model::event::Serials;
use crate::model::histogram::Histogram;
use crate::model::history::Why;
use crate::model::pace::Pace;
use crate::rpc::budget::Budget;
use crate::rpc::{Extensions, Registry};
use crate::signal;
use crate::state::SupervisorState;
use crate::wire::http::DateCache;
use crate::wire::xmlrpc::CallMemo;

use complaints::Complaints;
use conn::Phase;
use conns::Connections;
use deferred::DeferredReplies;
use live::Live;
use passwords::Passwords;
use sites::Sites;

pub use route::{Handler, ROUTES};
pub use sites::UNIX_SERVER_NAME;
pub use turn::{Inputs, turn};

/// Turns in which requests are still answered once everything is stopped. Each takes some milliseconds at most; clients that
/// go on asking cannot hold the end up for longer.
const LAST_TURNS_MAX: usize = 64;

/// How far apart the same moment may come out that is told by the wall clock and shown by the other.
const CLOCKS_DIFFER: Duration = Duration::from_millis(5);

/// What happens, as the reactor tells it. `process`, `pid` and `conn` say whose it is; they may be gone.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Input<'a> {
    /// A child wrote on one of its channels.
    Output {
        process: ProcId,
        channel: Channel,
        /// What came, of which there is always something.
        bytes: &'a [u8],
    },
    /// A child's channel reached its end.
    OutputEnded {
        process: ProcId,
        channel: Channel,
        /// The descriptor it had.
        fd: i32,
    },
    /// A child, ours or inherited, was reaped; its output came before.
    Exited { pid: Pid, status: ExitStatus },
    /// A child that was on the way to its program when that was last asked may be there.
    SetUp { process: ProcId },
    /// A hook or a probe wrote.
    HelperOutput {
        pid: Pid,
        /// What came, of which there is always something.
        bytes: &'a [u8],
    },
    /// A child told something of itself.
    Notified {
        process: ProcId,
        /// Who sent it; pid 0 for somebody out of sight.
        sender: Pid,
        /// The whole datagram, in the format of sd_notify.
        bytes: &'a [u8],
    },
    /// A child wrote a line feed to its descriptor for that.
    ReadyLine { process: ProcId },
    /// A question has its answer.
    Probed {
        /// The process that it is about.
        process: ProcId,
        /// Yes, or why not.
        result: Result<(), String>,
    },
    /// A signal for the daemon itself.
    Signal(i32),
    /// A client has connected.
    Accepted {
        conn: ConnId,
        /// Index of the server section.
        server: usize,
        /// `127.0.0.1:4711`, or who is at the other end of a unix socket: `uid 1000`.
        client: String,
    },
    /// A client sent bytes.
    Received {
        conn: ConnId,
        /// What came, of which there is always something.
        bytes: &'a [u8],
    },
    /// A file that a connection follows has changed.
    FileChanged { conn: ConnId },
    /// All output of a connection has been written.
    Drained { conn: ConnId },
    /// A client sends no more, or is gone.
    Hangup { conn: ConnId },
    /// Another instance of the fleet, or anybody else, has sent a datagram.
    Datagram { from: SocketAddr, bytes: &'a [u8] },
    /// Somebody has said something to the group at which instances find each other.
    ToldGroup { from: SocketAddr, bytes: &'a [u8] },
    /// A name server answers.
    NameAnswer { from: SocketAddr, bytes: &'a [u8] },
}

/// The daemon and its clients.
pub struct Service {
    /// All that is decided; connections stand beside it.
    pub daemon: Daemon,
    registry: Registry,
    extensions: Extensions,
    sites: Sites,
    conns: Connections,
    deferred: DeferredReplies,
    /// What may still be done for clients in this turn.
    budget: Budget,
    /// Connections for whose requests or feeds the turn had no time left: they go on in the next, each in turn.
    unserved: VecDeque<ConnId>,
    /// Turns since everything was stopped.
    last_turns: usize,
    /// The deferred replies are to be asked again, in a turn that comes at once.
    asks_again: bool,
    passwords: Passwords,
    complaints: Complaints,
    memo: CallMemo,
    dates: DateCache,
    /// Output that waits for listeners.
    backpressure: Backpressure,
    pace: Pace,
    /// What is kept for pages that are open.
    live: Live,
    /// The same for pages of the fleet.
    #[cfg(feature = "fleet")]
    fleet_live: fleet_live::FleetLive,
    /// How long turns take, where somebody may ask.
    turns: Option<Histogram>,
    /// How long to rest before the next turn.
    rest: Option<Duration>,
    /// Nothing is to be done before that moment, for since it was found out nothing has happened but output that was
    /// written to a log. `None`: something has.
    idle_until: Option<Mono>,
}

impl Service {
    /// A service for a configuration; [`Daemon::begin`] is still to be called on its daemon.
    pub fn new(config: Config, loader: Loader, serial: Serials) -> Service {
        Service {
            registry: Registry::new(&config),
            extensions: Extensions::default(),
            sites: Sites::new(&config),
            live: Live::default(),
            #[cfg(feature = "fleet")]
            fleet_live: fleet_live::FleetLive::default(),
            turns: config.stheno.as_ref().is_some_and(|stheno| stheno.metrics).then(Histogram::default),
            daemon: Daemon::new(config, loader, serial),
            conns: Connections::default(),
            deferred: DeferredReplies::default(),
            budget: Budget::default(),
            unserved: VecDeque::new(),
            last_turns: 0,
            asks_again: false,
            passwords: Passwords::default(),
            complaints: Complaints::default(),
            memo: CallMemo::new(),
            dates: DateCache::default(),
            backpressure: Backpressure::default(),
            pace: Pace::default(),
            rest: None,
            idle_until: None,
        }
    }

    /// Begins with the fleet, if one is asked for; the groups are there by now.
    #[cfg(feature = "fleet")]
    pub fn begin_fleet(&mut self, now: Now, host: &mut dyn Host) {
        self.extensions.fleet = crate::fleet::Fleet::new(now, &mut self.daemon, host);
        if let Some(fleet) = &mut self.extensions.fleet {
            fleet.begin_network(now, host);
        }
    }

    /// No more than so many descriptors may be open, of which clients get what the processes leave.
    pub fn limit_descriptors(&mut self, descriptors: u64) {
        self.sites.limit_descriptors(usize::try_from(descriptors).unwrap_or(usize::MAX));
    }

    /// Takes one input. Inputs of a turn come in the order of the enum: output before exits before signals before
    /// requests (see [`turn()`], the order of a turn).
    pub fn handle(&mut self, input: Input<'_>, now: Now, host: &mut dyn Host) {
        if !matches!(input, Input::Output { .. } | Input::Drained { .. }) {
            self.pace.other();
        }
        if !matches!(input, Input::Output { .. }) {
            self.idle_until = None;
        }
        match input {
            Input::Output { .. } => self.take_output(&input, now, host),
            Input::OutputEnded { process, channel, fd } => {
                self.finish_output(process, now, host);
                self.daemon.output_ended(process, channel, fd);
            }
            Input::Exited { pid, status } => {
                if let Some(process) = self.daemon.roster.process_of(pid) {
                    self.finish_output(process, now, host);
                }
                self.daemon.exited(pid, status, now, host);
            }
            Input::SetUp { process } => self.daemon.set_up(process, now, host),
            Input::HelperOutput { pid, bytes } => self.daemon.helper_output(pid, bytes, host),
            Input::Notified { process, sender, bytes } => self.daemon.notified(process, sender, bytes, now, host),
            Input::ReadyLine { process } => self.daemon.ready_line(process, now, host),
            Input::Probed { process, result } => self.daemon.probed(process, result, now, host),
            Input::Signal(number) => self.signal(number, now, host),
            Input::Accepted { conn, server, client } => self.accept(conn, server, client, now, host),
            #[cfg(feature = "fleet")]
            Input::Received { conn, bytes } if self.peers_own(conn) => {
                self.with_peers(|peers| peers.received(conn, bytes, now, host));
            }
            #[cfg(feature = "fleet")]
            Input::Drained { conn } if self.peers_own(conn) => self.with_peers(|peers| peers.drained(conn)),
            #[cfg(feature = "fleet")]
            Input::Hangup { conn } if self.peers_own(conn) => self.with_peers(|peers| peers.ended(conn, now, host)),
            #[cfg(feature = "fleet")]
            Input::Datagram { from, bytes } => self.with_peers(|peers| peers.datagram(from, bytes, now, host)),
            #[cfg(feature = "fleet")]
            Input::ToldGroup { from, bytes } => self.with_peers(|peers| peers.told_group(from, bytes, now)),
            #[cfg(feature = "fleet")]
            Input::NameAnswer { from, bytes } => {
                self.with_peers(|peers| peers.name_answered(from, bytes, now, host));
            }
            #[cfg(not(feature = "fleet"))]
            Input::Datagram { .. } | Input::ToldGroup { .. } | Input::NameAnswer { .. } => {}
            Input::Received { conn, bytes } => self.receive(conn, bytes, now, host),
            Input::FileChanged { conn } => self.file_changed(conn, host),
            Input::Drained { conn } => self.drained(conn, now, host),
            Input::Hangup { conn } => self.hangup(conn, host),
        }
    }

    /// Whether a child's channel is not to be read now: listeners have no room for what it has sent already.
    pub fn is_paused(&self, outlet: Outlet) -> bool {
        self.backpressure.is_paused(outlet)
    }

    /// Channels to be read again, since the last call.
    pub fn take_resumed(&mut self) -> Vec<Outlet> {
        self.backpressure.take_resumed()
    }

    /// How long to rest before the next turn.
    pub fn take_rest(&mut self) -> Option<Duration> {
        self.rest.take()
    }

    /// What counts how long turns take, if that is asked for.
    pub fn turns(&mut self) -> Option<&mut Histogram> {
        self.turns.as_mut()
    }

    /// All that waits of a process that ends.
    fn finish_output(&mut self, process: ProcId, now: Now, host: &mut dyn Host) {
        let daemon = &mut self.daemon;
        self.backpressure
            .finish(process, |outlet, bytes, waits_for| daemon.offer_output(outlet, bytes, waits_for, now, host));
    }

    /// When the next turn is due at the latest; `None` is never. To be asked between turns.
    pub fn next_deadline(&mut self, now: Now) -> Option<Mono> {
        const NEVER: Mono = Mono(u64::MAX);
        let until = match self.idle_until {
            // The clock that ticks are told by may have been set.
            Some(until) => self.daemon.bus.next_tick(now).map_or(until, |tick| tick.min(until)),
            None => self.deadline(now).unwrap_or(NEVER),
        };
        debug_assert!(
            self.deadline(now).is_none_or(|at| at.after(CLOCKS_DIFFER) >= until),
            "something has become due that nobody told of"
        );
        self.idle_until = Some(until);
        (until < NEVER).then_some(until)
    }

    /// The same from what everybody says.
    fn deadline(&self, now: Now) -> Option<Mono> {
        if self.daemon.bus.has_marked() || self.asks_again || !self.unserved.is_empty() {
            return Some(now.mono);
        }
        earliest(&[
            self.daemon.next_deadline(now),
            self.backpressure.deadline(),
            self.deferred.deadline(),
            self.conns.deadline(),
            self.passwords.deadline(),
            self.complaints.deadline(),
            self.live.deadline(),
            #[cfg(feature = "fleet")]
            self.fleet_live.deadline(),
            #[cfg(feature = "fleet")]
            self.extensions.fleet.as_ref().and_then(|fleet| fleet.deadline(&self.daemon, now)),
        ])
    }

    /// Whether the run is over: everything is stopped and every client has its answer, unless it has asked more than
    /// a few turns can answer.
    pub fn finished(&self) -> Option<SupervisorState> {
        let is_served = self.unserved.is_empty() || self.last_turns >= LAST_TURNS_MAX;
        (self.daemon.finished() && !self.deferred.have_clients() && is_served).then(|| self.daemon.state())
    }

    /// Connections that have output or are to be closed, since the last call.
    pub fn take_dirty(&mut self) -> Vec<ConnId> {
        #[cfg(feature = "fleet")]
        return self.dirty_with_peers();
        #[cfg(not(feature = "fleet"))]
        self.conns.take_dirty()
    }

    /// A connection's output, for the reactor to write from and to shorten.
    pub fn output(&mut self, id: ConnId) -> Option<&mut Vec<u8>> {
        #[cfg(feature = "fleet")]
        if self.peers_own(id) {
            return self.peers_mut().and_then(|peers| peers.output(id));
        }
        self.conns.get_mut(id).map(|conn| &mut conn.output)
    }

    /// Whether a connection is to be closed once its output is written.
    pub fn closes(&self, id: ConnId) -> bool {
        #[cfg(feature = "fleet")]
        if self.peers_own(id) {
            return self.peers().is_some_and(|peers| peers.closes(id));
        }
        self.conns.get(id).is_none_or(|conn| conn.closing && !matches!(conn.phase, Phase::Deferred))
    }

    /// Whether a connection is still served.
    pub fn has_connection(&self, id: ConnId) -> bool {
        #[cfg(feature = "fleet")]
        if self.peers_own(id) {
            return true;
        }
        self.conns.get(id).is_some()
    }

    /// A connection was closed; what it asked for goes on.
    pub fn drop_connection(&mut self, id: ConnId, now: Now, host: &mut dyn Host) {
        self.idle_until = None;
        #[cfg(feature = "fleet")]
        if self.peers_own(id) {
            return self.with_peers(|peers| peers.ended(id, now, host));
        }
        let _ = now;
        self.forget(id, host);
    }

    /// What a signal to the daemon asks for (P-13, P-14).
    fn signal(&mut self, number: i32, now: Now, host: &mut dyn Host) {
        let name = signal::name(number);
        match number {
            _ if matches!(number, libc::SIGTERM | libc::SIGINT | libc::SIGQUIT)
                || self.daemon.is_shutdown_signal(number) =>
            {
                activity!(Warn, "received {name} indicating exit request");
                self.daemon.activity.note(now.wall, &format!("received {name}: exit"), Why::Itself);
                self.daemon.note_machine_signal(number);
                self.daemon.signal_shutdown(now, host);
            }
            libc::SIGHUP if self.daemon.state() == SupervisorState::Shutdown => {
                activity!(Warn, "ignored {name} indicating restart request (shutdown in progress)");
            }
            libc::SIGHUP => {
                activity!(Warn, "received {name} indicating restart request");
                self.daemon.activity.note(now.wall, &format!("received {name}: restart"), Why::Itself);
                // What is wrong has been logged.
                let _ = self.daemon.request_restart(host);
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
