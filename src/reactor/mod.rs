//! The mio loop: every polled descriptor and the clock.
//!
//! One wake-up is one turn. What is ready is sorted by kind and handed to the [`Service`] in the order of [`serve::turn`]. Readiness is edge-triggered: a source is read until it has nothing more, or stands on the
//! unfinished list and the next poll does not sleep. Each source has a byte budget a turn.

#![forbid(unsafe_code)]

mod children;
mod clients;
mod compressor;
mod datagrams;
mod exits;
mod helpers;
mod log_total;
mod manager;
mod remains;
mod servers;
mod system;
mod token;
mod traffic;
mod watchdog;

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::clock::{Mono, Now, earliest};
use crate::daemon::Host;
use crate::id::{Channel, ConnId, ProcId};
use crate::logs::{activity, stream};
use crate::model::backoff::Backoff;
use crate::serve::{self, Input, Inputs, Service};
use crate::state::SupervisorState;
use crate::sys::signals::{self, SignalPipe};
use crate::sys::{memory, time};

use children::Read;
use servers::Vacancies;
use token::Source;

pub use manager::Manager;
pub use servers::cannot_listen;
pub use system::System;
pub use watchdog::Watchdog;

/// Bytes of one read. A pipe holds 64 KiB, so one read usually empties it.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Bytes read from one child's channel in one turn; what is left waits for the next, so that a flood starves nobody.
/// Moving so much takes some 0.05 ms.
const OUTPUT_BYTES_PER_TURN: usize = 64 * 1024;

/// Bytes read from all clients in one turn; whose are left come first in the next. Moving so much, and finding out what
/// was asked, takes some 0.1 ms.
const CLIENT_BYTES_PER_TURN: usize = 256 * 1024;

/// Polls that fail in a row before the loop gives up, and the pause between two: what passes within a second ends
/// nothing, and what does not is no reason to turn without end.
const FAILED_POLLS_MAX: u32 = 100;
const FAILED_POLL_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// Events taken from one poll.
const EVENTS_PER_POLL: usize = 1024;

/// Time between reading a configuration and giving back the memory that only this has needed, so that starting and
/// its first questions are over. It is the one wake-up of an idle daemon, and comes once; again after [`TRIM_BYTES`].
const TRIM_TIME: Duration = Duration::from_secs(1);

/// Bytes to listeners and clients after which memory is given back as well: queues may have been long meanwhile.
const TRIM_BYTES: usize = 4 * 1024 * 1024;

/// The loop, its poll and what it watches.
pub struct Reactor {
    poll: Poll,
    system: System,
    signals: Option<SignalPipe>,
    vacancies: Vacancies,
    /// Who has started us and wants to be told how we are.
    manager: Option<Manager>,
    /// The board's, which resets it when we stand still.
    watchdog: Option<Watchdog>,
    /// Signals that arrived and were not handled yet.
    arrived: Vec<i32>,
    /// Sources that were not read to their end.
    unfinished: Vec<Source>,
    /// Sources that could not be read for a reason that may pass. No event will tell when it has.
    failed: Vec<Source>,
    /// When they are tried again.
    backoff: Backoff,
    /// Children are left to be reaped.
    reaping: bool,
    /// When memory is given back.
    trims_after_load_at: Option<Mono>,
    /// When memory that passing bytes have needed is given back.
    trims_at: Option<Mono>,
    /// Kept from turn to turn for its memory.
    ready: Ready,
    scratch: Vec<u8>,
    /// That of streams that logs go to, from the first slow reader on.
    streams_token: Option<Token>,
}

/// Why a source is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// It was reported. Should nothing be there all the same, it is looked at once more in the next turn: whoever is left
    /// out here is not reported again.
    Reported,
    /// The same, and its end has come, too.
    Ended,
    /// It was not read to its end in the turn before, or nothing was there.
    Left,
}

/// What is ready, by kind.
#[derive(Default)]
struct Ready {
    outputs: Vec<(ProcId, Channel)>,
    reports: Vec<ProcId>,
    listeners: Vec<(usize, Sign)>,
    /// Clients that have sent something.
    readable: Vec<(ConnId, Sign)>,
    writable: Vec<ConnId>,
    watches: bool,
    /// Other instances have sent something.
    datagrams: bool,
    /// Hooks, probes, and what children tell of themselves.
    helpers: Vec<Source>,
}

impl Reactor {
    /// A loop that watches nothing yet.
    pub fn new() -> io::Result<Reactor> {
        let poll = Poll::new()?;
        let system = System::new(poll.registry().try_clone()?);
        Ok(Reactor {
            poll,
            system,
            signals: None,
            vacancies: Vacancies::default(),
            manager: None,
            watchdog: None,
            arrived: Vec::new(),
            unfinished: Vec::new(),
            failed: Vec::new(),
            backoff: Backoff::default(),
            reaping: true,
            trims_after_load_at: None,
            trims_at: None,
            ready: Ready::default(),
            scratch: vec![0; SCRATCH_BYTES],
            streams_token: None,
        })
    }

    /// The system, for what has to be done before the loop runs.
    pub fn system(&mut self) -> &mut System {
        &mut self.system
    }

    /// Catches the daemon's signals from now on.
    pub fn catch_signals(&mut self, signals: SignalPipe) -> io::Result<()> {
        let fd = std::os::fd::AsFd::as_fd(&signals).as_raw_fd();
        let mut token = None;
        self.system.watched.watch(&mut SourceFd(&fd), &mut token, Source::Signals, Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Keeps the board's watchdog quiet, from now on.
    pub fn pet(&mut self, watchdog: Option<Watchdog>) {
        self.watchdog = watchdog;
    }

    /// Tells a service manager how we are, from now on.
    pub fn tell(&mut self, manager: Option<Manager>) {
        self.manager = manager;
    }

    /// Runs until everything is stopped; answers whether to end or to start over. The signals and what the next run is made of are
    /// given back for the next run.
    pub fn run(mut self, service: &mut Service) -> io::Result<Ended> {
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        let mut now = self.wake();
        let mut failed_polls = 0;
        let state = loop {
            if let Some(state) = service.finished() {
                break state;
            }
            if let Some(rest) = service.take_rest().filter(|_| self.unfinished.is_empty()) {
                std::thread::sleep(rest);
            }
            match self.poll.poll(&mut events, self.timeout(service, now)) {
                Ok(()) => failed_polls = 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if failed_polls == FAILED_POLLS_MAX => return Err(error),
                // The first one is tried again at once.
                Err(_) => {
                    events.clear();
                    std::thread::sleep(FAILED_POLL_PAUSE * failed_polls.min(1));
                    failed_polls += 1;
                }
            }
            now = self.wake();
            self.fill_vacancies(now);
            self.sort(&events, now);
            serve::turn(&mut Turning { reactor: &mut self, service }, now);
            self.trim_memory(service, now);
            self.system.mind_log_total();
            if let Some(watchdog) = &mut self.watchdog {
                watchdog.look(service.daemon.lost_essential(), now);
            }
            if let Some(manager) = &mut self.manager {
                manager.tell(service.daemon.state(), service.daemon.is_starting(), now);
            }
            if let Some(turns) = service.turns() {
                turns.add(time::now().mono.since(now.mono));
            }
        };
        self.write_all(service, now);
        self.system.tell_losses();
        let late_sockets = self.vacancies.filled;
        Ok(Ended { state, signals: self.signals, watchdog: self.watchdog, late_sockets })
    }

    /// The time of this wake-up, for everybody.
    fn wake(&mut self) -> Now {
        let now = time::now();
        activity::set_now(now);
        self.system.now = now;
        self.system.patience = system::SET_UP_PATIENCE;
        self.system.table = None;
        now
    }

    fn timeout(&self, service: &mut Service, now: Now) -> Option<Duration> {
        // Asked in any case: a turn in which nothing is due is a quick one.
        let of_service = service.next_deadline(now);
        if !self.unfinished.is_empty() || self.reaping || signals::has_missed() || self.system.minds_log_total() {
            return Some(Duration::ZERO);
        }
        let streams = stream::deadline();
        let manager = self.manager.as_ref().and_then(Manager::deadline);
        let watchdog = self.watchdog.as_ref().and_then(Watchdog::deadline);
        let servers = self.vacancies.deadline();
        let ours = [self.trims_after_load_at, self.trims_at, self.backoff.deadline(), streams, manager, watchdog];
        earliest(&[of_service, earliest(&ours), servers]).map(|at| at.since(now.mono))
    }

    /// Gives memory back some time after a configuration was read. With ten programs that is two thirds of it.
    fn trim_memory(&mut self, service: &Service, now: Now) {
        if std::mem::take(&mut self.system.has_loaded) {
            self.trims_after_load_at = Some(now.mono.after(TRIM_TIME));
        }
        if self.trims_at.is_none() && self.system.moved_bytes >= TRIM_BYTES {
            self.trims_at = Some(now.mono.after(TRIM_TIME));
        }
        if self.trims_at.is_some_and(|at| at <= now.mono) {
            self.trims_at = None;
            self.system.moved_bytes = 0;
            memory::trim_heap();
        }
        if self.trims_after_load_at.is_some_and(|at| at <= now.mono) {
            self.trims_after_load_at = service.daemon.is_starting().then(|| now.mono.after(TRIM_TIME));
            if self.trims_after_load_at.is_none() {
                memory::trim_heap();
            }
        }
    }

    fn sort(&mut self, events: &Events, now: Now) {
        let ready = &mut self.ready;
        let mut has_signals = signals::has_missed();
        if self.backoff.is_due(now.mono) {
            if self.failed.is_empty() {
                // The last attempts have all succeeded.
                self.backoff.succeeded();
            }
            self.unfinished.append(&mut self.failed);
        }
        // What has waited comes before what is new.
        for source in self.unfinished.drain(..) {
            match source {
                Source::Output(id, channel) => ready.outputs.push((id, channel)),
                Source::Conn(id) => ready.readable.push((id, Sign::Left)),
                Source::Listener(index) => ready.listeners.push((index, Sign::Left)),
                Source::Datagrams => ready.datagrams = true,
                Source::Helper(_) | Source::Notify(_) | Source::ReadyPipe(_) => ready.helpers.push(source),
                _ => {}
            }
        }
        for event in events {
            let Some(source) = self.system.watched.source(event.token()) else { continue };
            match source {
                Source::Signals => has_signals = true,
                // What is to be tried later is, whatever else comes for it.
                Source::Listener(_) if self.failed.contains(&source) => {}
                Source::Listener(index) => ready.listeners.push((index, Sign::Reported)),
                Source::Conn(id) => {
                    if event.is_read_closed() || event.is_error() {
                        ready.readable.push((id, Sign::Ended));
                    } else if event.is_readable() {
                        ready.readable.push((id, Sign::Reported));
                    }
                    if event.is_writable() {
                        ready.writable.push(id);
                    }
                }
                Source::Output(id, channel) => ready.outputs.push((id, channel)),
                Source::Report(id) => ready.reports.push(id),
                Source::Stdin(id) => self.system.children.flush(id, &mut self.system.watched),
                Source::Streams => self.system.flush_streams(&mut self.unfinished),
                Source::Watches => ready.watches = true,
                Source::Datagrams => ready.datagrams = true,
                Source::Helper(_) | Source::Notify(_) | Source::ReadyPipe(_) | Source::Probe(_) => {
                    ready.helpers.push(source);
                }
            }
        }
        if has_signals && let Some(pipe) = &self.signals {
            pipe.drain(&mut self.arrived);
        }
    }

    /// Reads a child's channel until it is empty, has had its share of the turn, or has to wait.
    fn read_output(&mut self, id: ProcId, channel: Channel, service: &mut Service, now: Now) {
        let mut left = OUTPUT_BYTES_PER_TURN;
        while !service.is_paused((id, channel)) && !self.system.is_paused(id, channel) {
            match self.system.children.read(id, channel, &mut self.scratch, &mut self.system.watched) {
                Read::Bytes(count) => {
                    let bytes = &self.scratch[..count];
                    service.handle(Input::Output { process: id, channel, bytes }, now, &mut self.system);
                    // Less than asked for: the pipe is empty, and the next write is a new event.
                    if count < self.scratch.len() {
                        return;
                    }
                    left = left.saturating_sub(count);
                    if left == 0 {
                        self.unfinished.push(Source::Output(id, channel));
                        return;
                    }
                }
                Read::Nothing => return,
                Read::Failed => return self.try_later(Source::Output(id, channel), now),
                Read::End(fd) => {
                    service.handle(Input::OutputEnded { process: id, channel, fd }, now, &mut self.system);
                    return;
                }
            }
        }
    }

    /// A source could not be read for a reason that may pass. It is tried again after a pause, which grows while that goes
    /// on, so that it costs nothing meanwhile.
    fn try_later(&mut self, source: Source, now: Now) {
        self.backoff.failed(now.mono);
        if !self.failed.contains(&source) {
            self.failed.push(source);
        }
    }

    /// Has streams that logs go to polled while slow readers keep them full.
    fn watch_streams(&mut self, now: Now) {
        if stream::deadline().is_some_and(|at| at <= now.mono) {
            stream::expire(now.mono);
        }
        for fd in stream::pending() {
            let token = &mut self.streams_token;
            let _ = self.system.watched.watch(&mut SourceFd(&fd), token, Source::Streams, Interest::WRITABLE);
        }
    }
}

/// The loop and the service in a turn. What is ready is taken out as it is handed over, and its list kept for its memory.
struct Turning<'a> {
    reactor: &'a mut Reactor,
    service: &'a mut Service,
}

impl Inputs for Turning<'_> {
    fn with<R>(&mut self, work: impl FnOnce(&mut Service, &mut dyn Host) -> R) -> R {
        work(self.service, &mut self.reactor.system)
    }

    fn outputs(&mut self, now: Now) {
        let mut outputs = std::mem::take(&mut self.reactor.ready.outputs);
        for (id, channel) in outputs.drain(..) {
            self.reactor.read_output(id, channel, self.service, now);
        }
        self.reactor.ready.outputs = outputs;
        if !self.reactor.ready.helpers.is_empty() {
            let mut helpers = std::mem::take(&mut self.reactor.ready.helpers);
            self.reactor.read_helpers(&mut helpers, self.service, now);
            self.reactor.ready.helpers = helpers;
        }
    }

    fn are_exits(&self) -> bool {
        let ready = &self.reactor.ready;
        let asks = ready.watches
            || ready.datagrams
            || !ready.reports.is_empty()
            || !ready.listeners.is_empty()
            || !ready.readable.is_empty();
        self.reactor.arrived == [libc::SIGCHLD] && !self.reactor.reaping && !asks
    }

    fn exits(&mut self, one: bool, now: Now) {
        self.reactor.reaping |= self.reactor.arrived.contains(&libc::SIGCHLD);
        if self.reactor.reaping {
            self.reactor.reap(one, self.service, now);
        }
    }

    fn reports(&mut self, now: Now) {
        for process in std::mem::take(&mut self.reactor.ready.reports) {
            self.service.handle(Input::SetUp { process }, now, &mut self.reactor.system);
        }
    }

    fn signals(&mut self, now: Now) {
        for signal in std::mem::take(&mut self.reactor.arrived) {
            self.service.handle(Input::Signal(signal), now, &mut self.reactor.system);
        }
    }

    fn file_changes(&mut self, now: Now) {
        if std::mem::take(&mut self.reactor.ready.watches) {
            for conn in self.reactor.system.changed_files() {
                self.service.handle(Input::FileChanged { conn }, now, &mut self.reactor.system);
            }
        }
    }

    fn requests(&mut self, now: Now) {
        if std::mem::take(&mut self.reactor.ready.datagrams) {
            self.reactor.read_datagrams(self.service, now);
        }
        let mut listeners = std::mem::take(&mut self.reactor.ready.listeners);
        for (index, sign) in listeners.drain(..) {
            self.reactor.accept(index, sign, self.service, now);
        }
        self.reactor.ready.listeners = listeners;
        let mut readable = std::mem::take(&mut self.reactor.ready.readable);
        let mut left = CLIENT_BYTES_PER_TURN;
        for (id, sign) in readable.drain(..) {
            self.reactor.read_client(id, sign, &mut left, self.service, now);
        }
        self.reactor.ready.readable = readable;
    }

    fn flush(&mut self, now: Now) {
        let mut writable = std::mem::take(&mut self.reactor.ready.writable);
        for id in writable.drain(..) {
            self.reactor.write(id, self.service, now);
        }
        self.reactor.ready.writable = writable;
        self.reactor.write_all(self.service, now);
        self.reactor.watch_streams(now);
        let resumed = self.service.take_resumed().into_iter();
        self.reactor.unfinished.extend(resumed.map(|(id, channel)| Source::Output(id, channel)));
    }
}

/// How a run ended.
pub struct Ended {
    pub state: SupervisorState,
    /// The signal pipe, for the next run.
    pub signals: Option<SignalPipe>,
    /// The board's watchdog, which is kept open.
    pub watchdog: Option<Watchdog>,
    /// Socket files of servers that have begun to listen while it ran.
    pub late_sockets: Vec<String>,
}
