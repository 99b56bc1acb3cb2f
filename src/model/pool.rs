//! An event listener pool: its queue, what its listeners are doing, and who gets the next event (E-40 to E-69).
//!
//! Events queue here when they happen and leave when a listener is both RUNNING and READY, oldest first, each to
//! the first such listener in configured order. The event stays with that listener until it answers: an accepted one
//! is done, any other ending (rejection, a broken protocol, the listener's exit) puts it back at the head, with its
//! serials.
//!
//! After a rejection the pool rests before it offers that event again, longer each time until one is accepted: a listener
//! that cannot do its work, because its mail server is down, say, would otherwise reject some ten thousand times a second.
//!
//! The pool knows nothing of descriptors or of process states. Whoever owns it asks [`Pool::next`] who is to be
//! written to, writes [`Pool::envelope`] to it, and says how that went:
//!
//! ```text
//! while let Some(listener) = pool.next(identifier, |id| is_running(id), &mut effects) {
//!     match write_stdin(listener, pool.envelope()) { Ok => pool.sent(&mut effects), EPIPE => pool.refused(&mut effects) }
//! }
//! ```

mod line;
mod verdict;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::{Mono, earliest};
use crate::config::datatypes::Length;
use crate::config::types::{Listener, ResultHandler};
use crate::eventtype::{EventMask, EventType};
use crate::id::ProcId;
use crate::model::backoff::Backoff;
use crate::model::counted::Counted;
use crate::model::event::{Event, Header, Serials};
use crate::wire::listener::{ListenerState, Protocol, Said};

pub use line::PoolLine;
use verdict::{Verdict, judge};

/// Events the queue holds while `buffer_hold_until_ready` holds them: enough for the start of a thousand programs
/// with a handful of events each, small enough not to matter in memory.
pub const HOLD_EVENTS_MAX: usize = 8192;

/// Bytes of events beyond `buffer_size` that the queue holds meanwhile. PROCESS_LOG events are as large as what a
/// child writes at a time, and [`HOLD_EVENTS_MAX`] of them would be half a gigabyte. Within `buffer_size` size does
/// not matter: that number is the user's own.
pub const HOLD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A pool in which nobody has taken or answered an event for so long is not waited for. Long enough for a listener that
/// has to wait for a processor.
pub const STALL_TIME: Duration = Duration::from_millis(25);

/// Room that the envelope keeps between events. One large event should not pin its size for ever.
const ENVELOPE_BYTES_KEPT: usize = 64 * 1024;

/// What the owner has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolEffect {
    /// Write to the activity log.
    Log(PoolLine),
    /// Write to the standard input of the process that an event was about; errors do not matter (E-48).
    WriteStdin {
        /// That process; it may be gone.
        process: ProcId,
        /// What follows `STDIN:` in the result, as it came.
        bytes: Vec<u8>,
    },
    /// Print on our own standard output; whole lines.
    Print(Vec<u8>),
    /// This listener broke the protocol and gets no more events until it is spawned anew (E-45).
    EnteredUnknown(ProcId),
}

/// An event of this pool, with its serials; they stay the same when it is delivered again (E-33).
#[derive(Clone, Debug)]
struct Queued {
    event: Rc<Event>,
    serial: u64,
    pool_serial: u64,
}

impl Queued {
    fn weight_if(&self, counts: bool) -> usize {
        if counts { self.event.weight() } else { 0 }
    }
}

/// A process of the pool.
#[derive(Clone, Debug)]
struct PoolListener {
    id: ProcId,
    name: Rc<str>,
    protocol: Protocol,
    /// Present exactly while BUSY.
    in_flight: Option<Queued>,
    /// It has said READY in this run.
    is_at_work: bool,
}

/// A pool of event listeners.
#[derive(Clone, Debug)]
pub struct Pool {
    name: Rc<str>,
    mask: EventMask,
    events_max: usize,
    handler: ResultHandler,
    extended_payload: bool,
    length: Length,
    /// No listener has been READY yet, or the queue is still longer than `events_max` since then.
    holding: bool,
    ever_ready: bool,
    serials: Serials,
    queue: VecDeque<Queued>,
    /// Weight of the events in the queue; counted only while holding.
    held_bytes: usize,
    /// In configured order. Pools are small; a search by id is cheaper than a map.
    members: Vec<PoolListener>,
    /// How many members are READY, so that a pool whose listeners are all busy costs nothing per event.
    ready: usize,
    /// Position of the first member not yet tried for the event at the head.
    candidate: usize,
    /// Since the last time that nobody could take an event, somebody could.
    tried: bool,
    /// When a listener last took an event or said something.
    moved: Mono,
    /// The event at the head, as it is being written.
    envelope: Vec<u8>,
    /// Events lost because the queue was full.
    dropped: u64,
    retry: Backoff,
    /// Lines about rejections; a listener that takes every other event makes thousands a second without any rest.
    rejections: Counted,
}

impl Pool {
    /// An empty pool; members come with [`Pool::add_member`].
    pub fn new(name: &str, listener: &Listener) -> Pool {
        Pool {
            name: name.into(),
            mask: EventMask::of(listener.events.iter().filter_map(|name| EventType::parse(name))),
            events_max: listener.buffer_size.max(1),
            handler: listener.result_handler,
            extended_payload: listener.options.extended_payload,
            length: listener.options.length,
            holding: listener.options.buffer_hold_until_ready,
            ever_ready: false,
            serials: Serials::default(),
            queue: VecDeque::new(),
            held_bytes: 0,
            members: Vec::new(),
            ready: 0,
            candidate: 0,
            tried: false,
            moved: Mono::default(),
            envelope: Vec::new(),
            dropped: 0,
            retry: Backoff::default(),
            rejections: Counted::default(),
        }
    }

    /// What the pool subscribes to. An event that several of its names cover is still delivered once (E-66).
    pub fn mask(&self) -> EventMask {
        self.mask
    }

    /// Events waiting, not counting those that listeners are working on.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Events lost because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Events for which the queue has room; `None` if waiting for more is of no use: no listener is at work, or the queue
    /// is full and nobody has moved for [`STALL_TIME`].
    pub fn room(&self, now: Mono) -> Option<usize> {
        let room = self.events_max().saturating_sub(self.queue.len());
        let is_at_work = self.members.iter().any(|member| member.is_at_work);
        let moves = self.ready > 0 || now.since(self.moved) < STALL_TIME;
        (is_at_work && (room > 0 || moves)).then_some(room)
    }

    /// When [`Pool::wake`] has something to do: a rest is over, or rejections are to be named.
    pub fn wakes_at(&self) -> Option<Mono> {
        earliest(&[self.retry.deadline(), self.rejections.deadline()])
    }

    /// When the rest after a rejection is over; until then nothing is to be offered.
    pub fn rests_until(&self) -> Option<Mono> {
        self.retry.deadline()
    }

    /// Ends the rest if it is over, and names rejections that no line has named; whether a rest was over.
    pub fn wake(&mut self, now: Mono, out: &mut Vec<PoolEffect>) -> bool {
        if let Some(count) = self.rejections.due(now) {
            out.push(PoolEffect::Log(PoolLine::Rejected { listener: self.name.clone(), count }));
        }
        let is_over = self.retry.deadline().is_some_and(|until| until <= now);
        if is_over {
            self.retry.attempt();
        }
        is_over
    }

    /// A listener has just taken an event or said something.
    pub fn moved(&mut self, now: Mono) {
        self.moved = now;
    }

    /// Whether a listener is at work on an event.
    pub fn is_busy(&self) -> bool {
        self.members.iter().any(|member| member.in_flight.is_some())
    }

    /// Where a listener stands; `None` if it is no member.
    pub fn listener_state(&self, id: ProcId) -> Option<ListenerState> {
        self.members.iter().find(|member| member.id == id).map(|member| member.protocol.state())
    }

    /// Adds a process at the end of the configured order.
    pub fn add_member(&mut self, id: ProcId, name: &str) {
        let member =
            PoolListener { id, name: name.into(), protocol: Protocol::default(), in_flight: None, is_at_work: false };
        self.members.push(member);
    }

    /// Removes a process from a pool that stays. An event it had goes back into the queue.
    pub fn remove_member(&mut self, id: ProcId, out: &mut Vec<PoolEffect>) {
        self.exited(id, out);
        self.members.retain(|member| member.id != id);
        self.candidate = 0;
    }

    /// The process was spawned or has exited: a new run starts ACKNOWLEDGED, and an event that the old one had not
    /// answered goes back into the queue, also when part of an answer had come (E-49). Call it at the exit, after the
    /// last output; calling it again at the next spawn does no harm.
    pub fn exited(&mut self, id: ProcId, out: &mut Vec<PoolEffect>) {
        let Some(index) = self.index_of(id) else { return };
        let member = &mut self.members[index];
        if member.protocol.state() == ListenerState::Ready {
            self.ready -= 1;
        }
        member.protocol = Protocol::default();
        member.is_at_work = false;
        if let Some(queued) = member.in_flight.take() {
            self.put_back(queued, out);
        }
    }

    /// Queues an event that the pool subscribes to; `serial` is the daemon's. A full queue loses its oldest (E-63).
    pub fn offer(&mut self, event: Rc<Event>, serial: u64, out: &mut Vec<PoolEffect>) {
        debug_assert!(self.mask.wants(event.kind()));
        let queued = Queued { event, serial, pool_serial: self.serials.take() };
        self.make_room(&queued, out);
        self.held_bytes += queued.weight_if(self.holding);
        self.queue.push_back(queued);
    }

    /// The listener that is to be written [`Pool::envelope`] next: the first READY one for which `is_running` holds
    /// (E-61). `None` when nothing is queued or nobody can take it. Answer with [`Pool::sent`] or [`Pool::refused`].
    ///
    /// Worth calling when something was queued, a listener became READY, or one became RUNNING.
    pub fn next(
        &mut self,
        server: &str,
        is_running: impl Fn(ProcId) -> bool,
        out: &mut Vec<PoolEffect>,
    ) -> Option<ProcId> {
        let tried = std::mem::take(&mut self.tried);
        let Queued { event, serial, pool_serial } = self.queue.front()?;
        let fits = |member: &PoolListener| member.protocol.state() == ListenerState::Ready && is_running(member.id);
        let found = match self.ready {
            0 => None,
            _ => (self.candidate..self.members.len()).find(|index| fits(&self.members[*index])),
        };
        let Some(index) = found else {
            // Once somebody was READY, the original takes one event after another out and puts back the last (E-62).
            if tried {
                let (pool, queued, events_max) = (self.name.clone(), self.queue.len() - 1, self.events_max());
                out.push(PoolEffect::Log(PoolLine::Rebuffering { pool, serial: *serial, queued, events_max }));
            }
            self.candidate = 0;
            return None;
        };
        self.candidate = index;
        self.tried = true;
        self.envelope.clear();
        self.envelope.shrink_to(ENVELOPE_BYTES_KEPT);
        let (serial, pool_serial) = (*serial, *pool_serial);
        let (extended, length) = (self.extended_payload, self.length);
        let header = Header { server, serial, pool: &self.name, pool_serial, extended, length };
        event.write_envelope(&header, &mut self.envelope);
        Some(self.members[index].id)
    }

    /// The bytes for the listener that [`Pool::next`] named: header line and payload, to be written in one piece.
    pub fn envelope(&self) -> &[u8] {
        &self.envelope
    }

    /// The listener named by [`Pool::next`] has taken the envelope, or has its rest in an output buffer (E-67).
    pub fn sent(&mut self, out: &mut Vec<PoolEffect>) {
        let Some(member) = self.members.get_mut(std::mem::take(&mut self.candidate)) else { return };
        let Some(queued) = self.queue.pop_front() else { return };
        self.held_bytes -= queued.weight_if(self.holding);
        out.push(PoolEffect::Log(PoolLine::Sent { listener: member.name.clone(), serial: queued.serial }));
        member.in_flight = Some(queued);
        member.protocol.sent();
        self.ready -= 1;
        self.end_hold();
    }

    /// The pipe of the listener named by [`Pool::next`] is broken; the next one is tried for this event (E-62).
    pub fn refused(&mut self, out: &mut Vec<PoolEffect>) {
        let (Some(member), Some(queued)) = (self.members.get(self.candidate), self.queue.front()) else { return };
        out.push(PoolEffect::Log(PoolLine::BrokenPipe { listener: member.name.clone(), serial: queued.serial }));
        self.candidate += 1;
    }

    /// Takes what a listener has written on its standard output.
    pub fn output(&mut self, id: ProcId, bytes: &[u8], out: &mut Vec<PoolEffect>) {
        let Some(index) = self.index_of(id) else { return };
        let mut input = bytes;
        loop {
            let member = &mut self.members[index];
            let from = member.protocol.state();
            let Some(said) = member.protocol.next(&mut input) else { return };
            match said {
                Said::Ready => {
                    self.ready += 1;
                    member.is_at_work = true;
                    self.ever_ready = true;
                    self.end_hold();
                }
                Said::Violation if from == ListenerState::Ready => self.ready -= 1,
                Said::Violation => {}
                Said::BadResultLine(line) => {
                    out.push(PoolEffect::Log(PoolLine::BadResultLine {
                        listener: member.name.clone(),
                        line: line.into_owned(),
                    }));
                }
                Said::Result(result) => {
                    let event = member.in_flight.as_ref().map(|queued| &*queued.event);
                    let verdict = judge(self.handler, event, &result, out);
                    let listener = member.name.clone();
                    let line = match verdict {
                        Verdict::Accepted => Some(PoolLine::Processed { listener }),
                        Verdict::Rejected => {
                            self.rejections.note(self.moved).map(|count| PoolLine::Rejected { listener, count })
                        }
                        Verdict::Error => Some(PoolLine::HandlerError { listener }),
                    };
                    out.extend(line.map(PoolEffect::Log));
                    match verdict {
                        Verdict::Accepted => {
                            member.in_flight = None;
                            self.retry.succeeded();
                        }
                        Verdict::Rejected => self.retry.failed(self.moved),
                        Verdict::Error => member.protocol.distrust(),
                    }
                }
            }
            self.state_changed(index, from, out);
        }
    }

    /// Reports that a member has left `from`, and takes back an event it still has without being BUSY.
    fn state_changed(&mut self, index: usize, from: ListenerState, out: &mut Vec<PoolEffect>) {
        let member = &mut self.members[index];
        let to = member.protocol.state();
        out.push(PoolEffect::Log(PoolLine::StateChanged { listener: member.name.clone(), from, to }));
        if to == ListenerState::Unknown {
            member.is_at_work = false;
            out.push(PoolEffect::Log(PoolLine::EnteredUnknown { listener: member.name.clone() }));
            out.push(PoolEffect::EnteredUnknown(member.id));
        }
        if let Some(queued) = member.in_flight.take() {
            self.put_back(queued, out);
        }
    }

    /// Puts an event back at the head of this pool's queue, and of no other (E-64, E-65).
    fn put_back(&mut self, queued: Queued, out: &mut Vec<PoolEffect>) {
        out.push(PoolEffect::Log(PoolLine::Rebuffering {
            pool: self.name.clone(),
            serial: queued.serial,
            queued: self.queue.len(),
            events_max: self.events_max(),
        }));
        self.make_room(&queued, out);
        self.held_bytes += queued.weight_if(self.holding);
        self.queue.push_front(queued);
        self.candidate = 0;
    }

    /// Discards the oldest event of a full queue. It is the same for an event put back (E-63).
    fn make_room(&mut self, next: &Queued, out: &mut Vec<PoolEffect>) {
        while self.is_full(next) {
            let Some(oldest) = self.queue.pop_front() else { return };
            self.held_bytes -= oldest.weight_if(self.holding);
            self.dropped += 1;
            out.push(PoolEffect::Log(PoolLine::Overflowed { pool: self.name.clone(), serial: oldest.serial }));
            self.candidate = 0;
        }
    }

    /// Whether the queue has no room for another event.
    fn is_full(&self, next: &Queued) -> bool {
        let too_heavy = || self.held_bytes + next.weight_if(self.holding) > HOLD_BYTES_MAX;
        self.queue.len() >= self.events_max() || (self.queue.len() >= self.events_max && too_heavy())
    }

    fn events_max(&self) -> usize {
        if self.holding { self.events_max.max(HOLD_EVENTS_MAX) } else { self.events_max }
    }

    /// Holding ends once a listener has been READY and what was held is down to an ordinary queue; were it to end at
    /// READY, the next event would discard what was kept for this moment.
    fn end_hold(&mut self) {
        if self.holding && self.ever_ready && self.queue.len() <= self.events_max {
            self.holding = false;
            self.held_bytes = 0;
            self.queue.shrink_to(self.events_max);
        }
    }

    fn index_of(&self, id: ProcId) -> Option<usize> {
        self.members.iter().position(|member| member.id == id)
    }
}

#[cfg(test)]
mod tests;
