//! The event bus: who wants which events, their serials, and the way of each to the pools of listeners and to the HTTP
//! streams.
//!
//! An event that nobody wants is not made and uses no serial (E-32). One that somebody wants is queued at once in every
//! pool that does, and kept until the end of the turn for the streams. Handing a pool's events to its listeners is the
//! daemon's work, for it writes to children: the bus says which pools may have something to hand out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use crate::clock::{Mono, Now};
use crate::eventtype::{EventMask, EventType};
use crate::id::GroupId;
use crate::model::backpressure::WaitsFor;
use crate::model::event::{Event, Serials};
use crate::model::pool::{Pool, PoolEffect, PoolLine};
use crate::model::tick::Ticks;

/// Events kept for the HTTP streams within one turn; beyond it the oldest are dropped, and the streams say so.
const STREAMED_MAX: usize = 4096;

/// An event for the HTTP streams.
#[derive(Clone, Debug)]
pub struct Streamed {
    pub serial: u64,
    pub event: Rc<Event>,
}

#[derive(Default)]
pub struct Bus {
    /// By the group whose processes are the listeners.
    pools: BTreeMap<GroupId, Pool>,
    /// Pools that may be able to dispatch, each once. There are few pools, and a set would allocate for each event.
    marked: Vec<GroupId>,
    /// Pools that rest after a rejection, or have something to say: when that is over, the earliest first.
    wakes: BTreeSet<(Mono, GroupId)>,
    /// The moment with which each of them stands there.
    moments: BTreeMap<GroupId, Mono>,
    /// What the HTTP streams want.
    stream_mask: EventMask,
    /// What they or at least one pool want.
    wanted: EventMask,
    /// Events for the HTTP streams, oldest first.
    streamed: VecDeque<Streamed>,
    /// How many of them were dropped because there were too many.
    streamed_lost: u64,
    /// Serial of the next event.
    serial: Serials,
    ticks: Ticks,
}

impl Bus {
    /// A bus that nobody listens to. `serial` continues that of an earlier run (P-122).
    pub fn new(serial: Serials) -> Bus {
        Bus { serial, ..Bus::default() }
    }

    /// The serial that the next event would get, to be carried over a reload.
    pub fn serial(&self) -> Serials {
        self.serial
    }

    /// Whether anybody wants events of this type.
    pub fn wants(&self, kind: EventType) -> bool {
        self.wanted.wants(kind)
    }

    /// What the HTTP streams want from now on.
    pub fn set_stream_mask(&mut self, mask: EventMask) {
        if mask == EventMask::NONE {
            // The next stream is not to begin with what the last one did not live to hear.
            self.take_streamed();
        }
        self.stream_mask = mask;
        self.refresh_wanted();
    }

    /// The events for the HTTP streams since the last call, and how many before them were dropped.
    pub fn take_streamed(&mut self) -> (VecDeque<Streamed>, u64) {
        (std::mem::take(&mut self.streamed), std::mem::take(&mut self.streamed_lost))
    }

    /// Queues an event in every pool that wants it and keeps it for the streams.
    pub(super) fn emit(&mut self, event: Event) {
        let kind = event.kind();
        if !self.wants(kind) {
            return;
        }
        let serial = self.serial.take();
        let event = Rc::new(event);
        if self.stream_mask.wants(kind) {
            if self.streamed.len() == STREAMED_MAX {
                self.streamed.pop_front();
                self.streamed_lost += 1;
            }
            self.streamed.push_back(Streamed { serial, event: event.clone() });
        }
        let mut effects = Vec::new();
        for (id, pool) in &mut self.pools {
            if pool.mask().wants(kind) {
                pool.offer(event.clone(), serial, &mut effects);
                mark(&mut self.marked, *id);
            }
        }
        log_lines(&effects);
    }

    /// Emits the TICK events that are due (E-20).
    pub(super) fn tick(&mut self, now: Now) {
        let mut due = Vec::new();
        self.ticks.turn(now.wall, self.wanted, &mut due);
        for event in due {
            self.emit(event);
        }
    }

    /// When the next TICK may be due; `None` while nobody subscribes.
    pub fn next_tick(&self, now: Now) -> Option<Mono> {
        self.ticks.sleep(now.wall, self.wanted).map(|sleep| now.mono.after(sleep))
    }

    /// Adds the pool of a group.
    pub(super) fn add_pool(&mut self, id: GroupId, pool: Pool) {
        self.pools.insert(id, pool);
        self.refresh_wanted();
    }

    /// Forgets the pool of a group, if it has one, and what is queued there.
    pub(super) fn remove_pool(&mut self, id: GroupId) {
        self.marked.retain(|pool| *pool != id);
        self.pools.remove(&id);
        self.note_wake(id);
        self.refresh_wanted();
    }

    /// The pool of a group.
    pub fn pool(&self, id: GroupId) -> Option<&Pool> {
        self.pools.get(&id)
    }

    /// The same, to be changed.
    pub(super) fn pool_mut(&mut self, id: GroupId) -> Option<&mut Pool> {
        self.pools.get_mut(&id)
    }

    /// A pool may have something to hand out.
    pub(super) fn mark(&mut self, id: GroupId) {
        mark(&mut self.marked, id);
    }

    /// The next of those pools, by id, after this one; it is not marked any more.
    pub(super) fn next_marked(&mut self, after: Option<GroupId>) -> Option<GroupId> {
        let marked = self.marked.iter().copied().enumerate();
        let (at, id) = marked.filter(|(_, id)| after.is_none_or(|after| *id > after)).min_by_key(|(_, id)| *id)?;
        self.marked.swap_remove(at);
        Some(id)
    }

    /// When the first pool that rests after a rejection goes on, or has to say something.
    pub fn next_retry(&self) -> Option<Mono> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// A pool has changed: when it wakes may have, too.
    pub(super) fn note_wake(&mut self, id: GroupId) {
        let at = self.pools.get(&id).and_then(Pool::wakes_at);
        let before = self.moments.get(&id).copied();
        if at == before {
            return;
        }
        if let Some(before) = before {
            self.wakes.remove(&(before, id));
            self.moments.remove(&id);
        }
        if let Some(at) = at {
            self.wakes.insert((at, id));
            self.moments.insert(id, at);
        }
    }

    /// Marks the pools whose rest is over, and lets them say what they have not said.
    pub(super) fn wake(&mut self, now: Mono) {
        while let Some(&(at, id)) = self.wakes.first().filter(|(at, _)| *at <= now) {
            let mut effects = Vec::new();
            if self.pools.get_mut(&id).is_some_and(|pool| pool.wake(now, &mut effects)) {
                mark(&mut self.marked, id);
            }
            log_lines(&effects);
            self.note_wake(id);
            // One that still wants to be woken then would be for ever.
            if self.wakes.contains(&(at, id)) {
                debug_assert!(false, "a pool that was woken is as it was before");
                self.wakes.remove(&(at, id));
                self.moments.remove(&id);
            }
        }
    }

    /// Whether a pool may have something to hand out.
    pub fn has_marked(&self) -> bool {
        !self.marked.is_empty()
    }

    /// For how many events of a type the pools that want it have room; `None` if none is to be waited for.
    pub fn room(&self, kind: EventType, waits_for: WaitsFor, now: Mono) -> Option<usize> {
        let pools = self.pools.values().filter(|pool| pool.mask().wants(kind));
        let rooms = pools.filter_map(|pool| pool.room(now));
        match waits_for {
            WaitsFor::SlowestPool => rooms.min(),
            WaitsFor::FastestPool => rooms.max(),
            WaitsFor::Nobody => None,
        }
    }

    fn refresh_wanted(&mut self) {
        self.wanted = self.pools.values().fold(self.stream_mask, |mask, pool| mask.union(pool.mask()));
    }
}

fn mark(marked: &mut Vec<GroupId>, id: GroupId) {
    if !marked.contains(&id) {
        marked.push(id);
    }
}

/// Writes the lines among these.
fn log_lines(effects: &[PoolEffect]) {
    for effect in effects {
        if let PoolEffect::Log(line) = effect {
            log_line(line);
        }
    }
}

/// Writes a pool's line to the activity log.
pub(super) fn log_line(line: &PoolLine) {
    let level = line.level();
    log::log!(target: level.tag(), level.facade(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;
    use crate::config::{GroupKind, fake::Fake};

    /// Pools of groups 0, 1, … that subscribe to these.
    fn bus(subscriptions: &[&str]) -> Bus {
        let mut env = Fake::new();
        let mut bus = Bus::new(Serials::default());
        for (id, events) in subscriptions.iter().enumerate() {
            let text = format!("[supervisord]\n[eventlistener:l]\ncommand=l\nevents={events}\nbuffer_size=2\n");
            let config = env.load(&text).unwrap();
            let GroupKind::Listener(listener) = &config.groups[0].kind else { panic!("no listener") };
            bus.add_pool(GroupId(id as u32), Pool::new("l", listener));
        }
        bus
    }

    #[test]
    fn an_event_goes_to_whoever_wants_it() {
        let subscriptions = ["REMOTE_COMMUNICATION", "EVENT", "TICK_5"];
        // Event, what streams want, which pools get it, whether a stream does, the next serial.
        let rows = [
            (Event::remote("a", "b"), EventMask::NONE, &[0, 1][..], false, 1),
            (Event::remote("a", "b"), EventMask::of([EventType::RemoteCommunication]), &[0, 1], true, 1),
            (Event::supervisor_running(), EventMask::of([EventType::RemoteCommunication]), &[1], false, 1),
            (Event::tick(EventType::Tick5, 5), EventMask::NONE, &[1, 2], false, 1),
        ];
        for (event, streams, pools, is_streamed, serial) in rows {
            let mut bus = bus(&subscriptions);
            let mut before = bus.serial();
            bus.set_stream_mask(streams);
            let row = format!("{event:?} {streams:?}");
            bus.emit(event);
            let mut got = Vec::new();
            while let Some(id) = bus.next_marked(got.last().map(|last| GroupId(*last))) {
                got.push(id.0);
                bus.mark(id);
            }
            assert_eq!(got, pools, "{row}: each once, although marked again");
            for id in got {
                assert_eq!(bus.next_marked(None), Some(GroupId(id)), "{row}");
            }
            assert!(!bus.has_marked(), "{row}");
            let queued = (0..3).filter(|id| bus.pool(GroupId(*id)).is_some_and(|pool| pool.queued() == 1));
            assert_eq!(queued.collect::<Vec<_>>(), pools, "{row}");
            assert_eq!(!bus.take_streamed().0.is_empty(), is_streamed, "{row}");
            assert_eq!(bus.serial().take() - before.take(), serial, "{row}");
        }
    }

    #[test]
    fn an_event_that_nobody_wants_uses_no_serial() {
        let mut bus = bus(&["TICK_5"]);
        let mut before = bus.serial();
        bus.emit(Event::supervisor_running());
        assert_eq!(bus.serial().take(), before.take());
        assert!(!bus.has_marked() && !bus.wants(EventType::SupervisorStateChangeRunning));
    }

    #[test]
    fn wishes_end_with_those_who_had_them() {
        let mut bus = bus(&["TICK_5", "REMOTE_COMMUNICATION"]);
        let now = Now { mono: Mono(0), wall: Wall(1) };
        let wishes = |bus: &Bus| [EventType::Tick5, EventType::RemoteCommunication].map(|kind| bus.wants(kind));
        assert_eq!((wishes(&bus), bus.next_tick(now).is_some()), ([true, true], true));
        bus.set_stream_mask(EventMask::of([EventType::Tick5]));
        bus.emit(Event::tick(EventType::Tick5, 5));
        bus.remove_pool(GroupId(0));
        assert_eq!((wishes(&bus), bus.has_marked()), ([true, true], false), "a stream still wants it");
        bus.set_stream_mask(EventMask::NONE);
        assert_eq!((wishes(&bus), bus.next_tick(now)), ([false, true], None));
        assert_eq!(bus.take_streamed().0.len(), 0, "no later stream hears what the last one did not");
        bus.remove_pool(GroupId(1));
        assert_eq!(wishes(&bus), [false, false]);
    }

    #[test]
    fn who_rests_wakes_in_order_and_once() {
        let mut bus = bus(&["REMOTE_COMMUNICATION"; 3]);
        let ms = |ms: u64| Mono(ms * 1_000_000);
        // Each of them rejects an event, the last one first.
        for (id, at) in [(2, 10), (0, 20), (1, 10)] {
            let pool = bus.pool_mut(GroupId(id)).unwrap();
            let listener = crate::id::ProcId(id);
            pool.add_member(listener, "l");
            pool.output(listener, b"READY\n", &mut Vec::new());
            pool.offer(Rc::new(Event::remote("a", "b")), 0, &mut Vec::new());
            assert!(pool.next("s", |_| true, &mut Vec::new()).is_some());
            pool.sent(&mut Vec::new());
            pool.moved(ms(at));
            pool.output(listener, b"RESULT 4\nFAIL", &mut Vec::new());
            bus.note_wake(GroupId(id));
        }
        assert_eq!(bus.next_retry(), Some(ms(30)));
        bus.wake(ms(29));
        assert!(!bus.has_marked());
        bus.wake(ms(30));
        assert_eq!([bus.next_marked(None), bus.next_marked(None)], [Some(GroupId(1)), Some(GroupId(2))]);
        assert_eq!(bus.next_retry(), Some(ms(40)));
        bus.remove_pool(GroupId(0));
        bus.wake(ms(40));
        assert!(!bus.has_marked() && bus.next_retry().is_none_or(|at| at > ms(40)));
    }

    #[test]
    fn streams_lose_the_oldest_and_hear_how_many() {
        let mut bus = Bus::default();
        bus.set_stream_mask(EventMask::of([EventType::Event]));
        for _ in 0..STREAMED_MAX + 3 {
            bus.emit(Event::supervisor_running());
        }
        let (streamed, lost) = bus.take_streamed();
        assert_eq!((streamed.len(), lost), (STREAMED_MAX, 3));
        assert_eq!(bus.take_streamed().1, 0);
    }
}
