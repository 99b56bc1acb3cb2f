//! The mio loop: every polled descriptor and the clock.
//!
//! One wake-up is one turn. What is ready is sorted by kind and handed to the [`Service`] in an order that matters,
//! see [`Reactor::turn`]. Readiness is edge-triggered: a source is read until it has nothing more, or stands on the
//! unfinished list and the next poll does not sleep. Each source has a byte budget a turn.

#![forbid(unsafe_code)]

mod children;
mod clients;
mod exits;
mod held;
mod system;
mod token;

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll};

use crate::clock::{Mono, Now, earliest};
use crate::config::{Loader, Server, ServerAddress};
use crate::id::{Channel, ConnId, ProcId};
use crate::logs::activity;
use crate::serve::{Input, Service};
use crate::state::SupervisorState;
use crate::sys::signals::SignalPipe;
use crate::sys::sockets::{self, ListenError};
use crate::sys::{memory, time};

use children::Read;
use clients::{Listener, Written};
use held::Held;
use token::Source;

pub use system::System;

/// Bytes of one read. A pipe holds 64 KiB, so one read usually empties it.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Bytes read from one child's channel in one turn; what is left waits for the next, so that a flood starves nobody.
/// Moving so much takes some 0.05 ms.
const OUTPUT_BYTES_PER_TURN: usize = 64 * 1024;

/// Bytes read from one client in one turn.
const CLIENT_BYTES_PER_TURN: usize = 256 * 1024;

/// Clients accepted in one turn from one server.
const ACCEPTS_PER_TURN: usize = 64;

/// Events taken from one poll.
const EVENTS_PER_POLL: usize = 1024;

/// Rounds of writing to clients whose writing makes room for more, in one turn.
const FLUSH_ROUNDS: usize = 4;

/// Time between reading a configuration and giving back the memory that only this has needed, so that starting and
/// its first questions are over. It is the one wake-up of an idle daemon, and comes once; again after [`TRIM_BYTES`].
const SETTLING_TIME: Duration = Duration::from_secs(1);

/// Bytes to listeners and clients after which memory is given back as well: queues may have been long meanwhile.
const TRIM_BYTES: usize = 4 * 1024 * 1024;

/// Turns that follow each other so closely, each for a little output of the same child, are a flood of short lines.
const FLOOD_TURN_TIME: Duration = Duration::from_micros(150);

/// More than this in a turn is no small output.
const FLOOD_BYTES: usize = 16 * 1024;

/// Rest between two turns of such a flood, to which the system adds its slack of 50 us. By then there are 15 KiB to be
/// read instead of 3. Lines of 200 bytes took 1.4 times the processor time of `cat` without it, and take 0.8 times.
const FLOOD_REST: Duration = Duration::from_micros(5);

/// The loop, its poll and what it watches.
pub struct Reactor {
    poll: Poll,
    system: System,
    signals: Option<SignalPipe>,
    /// Signals that arrived and were not handled yet.
    arrived: Vec<i32>,
    /// Sources that were not read to their end.
    unfinished: Vec<Source>,
    /// Children are left to be reaped.
    reaping: bool,
    /// When memory is given back.
    settles_at: Option<Mono>,
    /// When memory that passing bytes have needed is given back.
    trims_at: Option<Mono>,
    /// The last turn, if a little output was all that it was for: whose, and when.
    trickle: Option<(ProcId, Channel, Mono)>,
    /// Messages that wait for listeners.
    held: Held,
    /// The next poll has time: short lines come faster than they are worth a turn each.
    rests: bool,
    /// Kept from turn to turn for its memory.
    ready: Ready,
    scratch: Vec<u8>,
}

/// What is ready, by kind.
#[derive(Default)]
struct Ready {
    outputs: Vec<(ProcId, Channel)>,
    signals: bool,
    listeners: Vec<usize>,
    readable: Vec<ConnId>,
    writable: Vec<ConnId>,
    watches: bool,
}

impl Ready {
    /// The output that is ready, if it is all that is.
    fn only_output(&self) -> Option<(ProcId, Channel)> {
        match self.outputs[..] {
            [only] if !self.signals && self.asks_nothing() => Some(only),
            _ => None,
        }
    }

    /// Whether neither clients nor followed files have anything new.
    fn asks_nothing(&self) -> bool {
        !self.watches && self.listeners.is_empty() && self.readable.is_empty()
    }
}

impl Reactor {
    /// A loop that watches nothing yet.
    pub fn new(loader: Loader) -> io::Result<Reactor> {
        let poll = Poll::new()?;
        let system = System::new(poll.registry().try_clone()?, loader);
        Ok(Reactor {
            poll,
            system,
            signals: None,
            arrived: Vec::new(),
            unfinished: Vec::new(),
            reaping: true,
            settles_at: None,
            trims_at: None,
            trickle: None,
            held: Held::default(),
            rests: false,
            ready: Ready::default(),
            scratch: vec![0; SCRATCH_BYTES],
        })
    }

    /// The system, for what has to be done before the loop runs.
    pub fn system(&mut self) -> &mut System {
        &mut self.system
    }

    /// Opens a server; their order is that of the configuration.
    pub fn listen(&mut self, server: &Server) -> Result<(), ListenError> {
        let listener = match &server.address {
            ServerAddress::Inet { host, port } => {
                Listener::Tcp(mio::net::TcpListener::from_std(sockets::listen_inet(host, *port)?))
            }
            ServerAddress::Unix { path, mode, owner } => {
                Listener::Unix(mio::net::UnixListener::from_std(sockets::listen_unix(path, *mode, *owner)?))
            }
        };
        Ok(self.system.clients.listen(listener, &self.system.registry)?)
    }

    /// Catches the daemon's signals from now on.
    pub fn catch_signals(&mut self, signals: SignalPipe) -> io::Result<()> {
        let fd = std::os::fd::AsFd::as_fd(&signals).as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&fd), Source::Signals.token(), Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Runs until everything is stopped; answers whether to end or to start over. The signals and the loader are
    /// given back for the next run.
    pub fn run(mut self, service: &mut Service) -> io::Result<Ended> {
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        let mut now = self.wake();
        let state = loop {
            if let Some(state) = service.finished() {
                break state;
            }
            if std::mem::take(&mut self.rests) {
                std::thread::sleep(FLOOD_REST);
            }
            match self.poll.poll(&mut events, self.timeout(service, now)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            now = self.wake();
            self.sort(&events);
            self.turn(service, now);
            self.settle(service, now);
        };
        self.flush(service, now);
        Ok(Ended { state, signals: self.signals, loader: self.system.into_loader() })
    }

    /// The time of this wake-up, for everybody.
    fn wake(&mut self) -> Now {
        let now = time::now();
        activity::set_now(now.wall);
        self.system.now = now.wall;
        now
    }

    fn timeout(&self, service: &Service, now: Now) -> Option<Duration> {
        if !self.unfinished.is_empty() || self.reaping {
            return Some(Duration::ZERO);
        }
        let deadlines = [service.next_deadline(now), self.settles_at, self.trims_at, self.held.until()];
        earliest(&deadlines).map(|at| at.since(now.mono))
    }

    /// Gives memory back some time after a configuration was read. With ten programs that is two thirds of it.
    fn settle(&mut self, service: &Service, now: Now) {
        if std::mem::take(&mut self.system.has_loaded) {
            self.settles_at = Some(now.mono.after(SETTLING_TIME));
        }
        if self.trims_at.is_none() && self.system.moved_bytes >= TRIM_BYTES {
            self.trims_at = Some(now.mono.after(SETTLING_TIME));
        }
        if self.trims_at.is_some_and(|at| at <= now.mono) {
            self.trims_at = None;
            self.system.moved_bytes = 0;
            memory::trim_heap();
        }
        if self.settles_at.is_some_and(|at| at <= now.mono) {
            self.settles_at = service.daemon.is_starting().then(|| now.mono.after(SETTLING_TIME));
            if self.settles_at.is_none() {
                memory::trim_heap();
                memory::divide_code();
                memory::release_code();
            }
        }
    }

    fn sort(&mut self, events: &Events) {
        let ready = &mut self.ready;
        for event in events {
            match Source::of(event.token()) {
                Source::Signals => ready.signals = true,
                Source::Listener(index) => ready.listeners.push(index),
                Source::Conn(id) => {
                    if event.is_readable() || event.is_read_closed() || event.is_error() {
                        ready.readable.push(id);
                    }
                    if event.is_writable() {
                        ready.writable.push(id);
                    }
                }
                Source::Output(id, channel) => ready.outputs.push((id, channel)),
                Source::Stdin(id) => self.system.children.flush(id),
                Source::Log(id) => self.system.flush_log(id),
                Source::Activity => activity::flush(),
                Source::Watches => ready.watches = true,
            }
        }
        for source in self.unfinished.drain(..) {
            match source {
                Source::Output(id, channel) => ready.outputs.push((id, channel)),
                Source::Conn(id) => ready.readable.push(id),
                Source::Listener(index) => ready.listeners.push(index),
                _ => {}
            }
        }
    }

    /// One turn.
    fn turn(&mut self, service: &mut Service, now: Now) {
        let mut ready = std::mem::take(&mut self.ready);
        let only = ready.only_output();
        // Output before exits, so that last lines are never lost.
        let mut bytes = 0;
        for (id, channel) in ready.outputs.drain(..) {
            bytes += self.read_output(id, channel, service, now);
        }
        // After the answers that make room.
        self.held.go_on(service, now, &mut self.system, &mut self.unfinished);
        // A listener's little output is an answer, for which the next event waits.
        let trickle = only.filter(|(id, _)| bytes < FLOOD_BYTES && !service.daemon.roster.is_listener(*id));
        self.rests = self.is_flood(trickle, now);
        // Exits before requests and deadlines, so that nobody is told of a child that is gone, and a quick exit is
        // never judged RUNNING.
        let mut signals = Vec::new();
        if std::mem::take(&mut ready.signals)
            && let Some(pipe) = &self.signals
        {
            pipe.drain(&mut self.arrived);
            signals = std::mem::take(&mut self.arrived);
        }
        if signals == [libc::SIGCHLD] && !self.reaping && ready.asks_nothing() {
            self.replace_child(service, now);
        }
        if self.reaping || signals.contains(&libc::SIGCHLD) {
            self.reap(service, now);
        }
        for signal in signals {
            service.handle(Input::Signal(signal), now, &mut self.system);
        }
        if std::mem::take(&mut ready.watches) {
            for conn in self.system.changed_files() {
                service.handle(Input::FileChanged { conn }, now, &mut self.system);
            }
        }
        // Requests see what has happened so far.
        for index in ready.listeners.drain(..) {
            self.accept(index, service, now);
        }
        for id in ready.readable.drain(..) {
            self.read_client(id, service, now);
        }
        service.turn(now, &mut self.system);
        // Writing comes last: every answer of this turn leaves in one piece.
        for id in ready.writable.drain(..) {
            self.write(id, service, now);
        }
        self.ready = ready;
        self.flush(service, now);
        self.watch_activity();
    }

    /// Whether turns follow each other for a little output of one child alone.
    fn is_flood(&mut self, only: Option<(ProcId, Channel)>, now: Now) -> bool {
        let this = only.map(|(id, channel)| (id, channel, now.mono));
        match (std::mem::replace(&mut self.trickle, this), only) {
            (Some((id, channel, at)), Some(only)) => {
                only == (id, channel) && now.mono.since(at) < FLOOD_TURN_TIME && self.unfinished.is_empty()
            }
            _ => false,
        }
    }

    /// Reads a child's channel until it is empty, has had its share of the turn, or has to wait; answers how many bytes.
    fn read_output(&mut self, id: ProcId, channel: Channel, service: &mut Service, now: Now) -> usize {
        let mut done = 0;
        while !self.held.has(id, channel) {
            match self.system.children.read(id, channel, &mut self.scratch) {
                Read::Bytes(count) => {
                    let bytes = &self.scratch[..count];
                    self.held.pass((id, channel), bytes, service, now, &mut self.system);
                    // Less than asked for: the pipe is empty, and the next write is a new event.
                    done += count;
                    if count < self.scratch.len() {
                        return done;
                    }
                    if done >= OUTPUT_BYTES_PER_TURN {
                        self.unfinished.push(Source::Output(id, channel));
                        return done;
                    }
                }
                Read::Nothing => return done,
                Read::End(fd) => {
                    service.handle(Input::OutputEnded { process: id, channel, fd }, now, &mut self.system);
                    return done;
                }
            }
        }
        done
    }

    fn accept(&mut self, server: usize, service: &mut Service, now: Now) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some((conn, peer)) = self.system.clients.accept(server, &self.system.registry) else { return };
            service.handle(Input::Accepted { conn, server, peer }, now, &mut self.system);
            self.close_given_up();
        }
        self.unfinished.push(Source::Listener(server));
    }

    fn read_client(&mut self, id: ConnId, service: &mut Service, now: Now) {
        let mut left = CLIENT_BYTES_PER_TURN;
        loop {
            match self.system.clients.read(id, &mut self.scratch) {
                clients::Read::Bytes(count) => {
                    let bytes = &self.scratch[..count];
                    service.handle(Input::Received { conn: id, bytes }, now, &mut self.system);
                    // A short read means that the socket is empty, unless the end follows, which is an event of its
                    // own.
                    if count < self.scratch.len() {
                        return;
                    }
                    left = left.saturating_sub(count);
                    if left == 0 {
                        self.unfinished.push(Source::Conn(id));
                        return;
                    }
                }
                clients::Read::Nothing => return,
                clients::Read::End => {
                    service.handle(Input::Hangup { conn: id }, now, &mut self.system);
                    if !service.has_connection(id) {
                        self.system.clients.close(id);
                    }
                    return;
                }
            }
        }
    }

    /// Writes all output there is.
    fn flush(&mut self, service: &mut Service, now: Now) {
        for _ in 0..FLUSH_ROUNDS {
            let dirty = service.take_dirty();
            if dirty.is_empty() {
                break;
            }
            for id in dirty {
                self.write(id, service, now);
            }
        }
        self.close_given_up();
    }

    fn write(&mut self, id: ConnId, service: &mut Service, now: Now) {
        let Some(output) = service.output(id) else { return };
        let before = output.len();
        let written =
            if output.is_empty() { Written::All } else { self.system.clients.write(id, output, &self.system.registry) };
        self.system.moved_bytes += before - output.len();
        match written {
            Written::Blocked => {}
            Written::All if !service.closes(id) => {
                service.handle(Input::Drained { conn: id }, now, &mut self.system);
            }
            Written::All => {
                service.drop_connection(id, &mut self.system);
                self.system.clients.drain(id, &mut self.scratch);
                self.system.clients.close(id);
            }
            Written::Gone => {
                service.drop_connection(id, &mut self.system);
                self.system.clients.close(id);
            }
        }
    }

    fn close_given_up(&mut self) {
        for id in std::mem::take(&mut self.system.closed) {
            self.system.clients.close(id);
        }
    }

    /// Has our own log and stdout polled while a slow reader keeps them full.
    fn watch_activity(&mut self) {
        let pending = activity::pending();
        if pending.iter().all(Option::is_none) {
            return;
        }
        for fd in pending.into_iter().flatten() {
            let token = Source::Activity.token();
            let registry = self.poll.registry();
            let _ = registry
                .register(&mut SourceFd(&fd), token, Interest::WRITABLE)
                .or_else(|_| registry.reregister(&mut SourceFd(&fd), token, Interest::WRITABLE));
        }
    }
}

/// How a run ended.
pub struct Ended {
    /// SHUTDOWN or RESTARTING.
    pub state: SupervisorState,
    /// The signal pipe, for the next run.
    pub signals: Option<SignalPipe>,
    /// The loader, for the next run.
    pub loader: Loader,
}
