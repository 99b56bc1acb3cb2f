//! Output that waits until listeners have room for the messages in it.
//!
//! A program can send messages (capture mode) many times faster than a listener takes the events that they become, and
//! a queue holds ten of them by default. So what has no room waits here, and its channel is not to be read meanwhile,
//! until listeners have answered. A listener must stop neither a program nor another listener, though: a pool that is
//! slower than others is soon waited for no more, and if all are too slow, the rest goes on as it is. What overflows is
//! lost.
//!
//! ```text
//! take ── all of it has room ──> goes on
//!   └── a rest waits ── advance: for PATIENCE_TIME the slowest pool counts, then the fastest, after WAIT_TIME nobody
//!                         └── all of it went on ──> the channel is among those to be read again
//! ```
//!
//! Who knows how much room there is passes an `offer`: it takes as many bytes as have room, and says how many.

use std::time::Duration;

use crate::clock::Mono;
use crate::id::{Channel, ProcId};
use crate::model::pool::STALL_TIME;

/// Longest time that the output of one read waits: enough for thousands of events. It slows down only a program that
/// sends messages and writes more than a whole pipe in that time; every other one finds room in its pipe.
const WAIT_TIME: Duration = Duration::from_millis(250);

/// How much of it is for the slowest pool.
const PATIENCE_TIME: Duration = Duration::from_millis(50);

/// Where output comes from.
pub type Outlet = (ProcId, Channel);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// That of every pool.
    SlowestPool,
    /// That of one pool at least: those that are slower lose what they have no room for.
    FastestPool,
    /// None: everything goes on.
    Nobody,
}

/// What waits; of each channel the rest of one read at most.
#[derive(Debug, Default)]
pub struct Backpressure {
    rests: Vec<Rest>,
    resumed: Vec<Outlet>,
}

#[derive(Debug)]
struct Rest {
    outlet: Outlet,
    bytes: Vec<u8>,
    /// How many of them have gone on.
    done: usize,
    since: Mono,
    /// When to look again although no listener has answered.
    look: Mono,
}

impl Rest {
    /// Offers what is left; whether something still is.
    fn offer(&mut self, waits_for: WaitsFor, offer: &mut impl FnMut(Outlet, &[u8], WaitsFor) -> usize) -> bool {
        self.done += offer(self.outlet, &self.bytes[self.done..], waits_for);
        self.done < self.bytes.len()
    }
}

impl Backpressure {
    /// Whether a channel has to wait, and is not to be read.
    pub fn is_paused(&self, outlet: Outlet) -> bool {
        self.rests.iter().any(|rest| rest.outlet == outlet)
    }

    /// When [`Backpressure::advance`] is to be called although no listener has answered.
    pub fn deadline(&self) -> Option<Mono> {
        self.rests.iter().map(|rest| rest.look).min()
    }

    /// Hands on what was read, as far as there is room; the rest waits. Who reads a channel that has to wait, because
    /// its program has ended, waits for nobody: what came first goes first.
    pub fn take(
        &mut self,
        outlet: Outlet,
        bytes: &[u8],
        now: Mono,
        mut offer: impl FnMut(Outlet, &[u8], WaitsFor) -> usize,
    ) {
        if !self.rests.is_empty() {
            self.release(|other| other == outlet, &mut offer);
        }
        let done = offer(outlet, bytes, WaitsFor::SlowestPool);
        if done < bytes.len() {
            let look = now.after(STALL_TIME);
            self.rests.push(Rest { outlet, bytes: bytes[done..].to_vec(), done: 0, since: now, look });
        }
    }

    /// Hands on what has room by now or has waited long enough.
    pub fn advance(&mut self, now: Mono, mut offer: impl FnMut(Outlet, &[u8], WaitsFor) -> usize) {
        let resumed = &mut self.resumed;
        self.rests.retain_mut(|rest| {
            let waits_for = match now.since(rest.since) {
                waited if waited < PATIENCE_TIME => WaitsFor::SlowestPool,
                waited if waited < WAIT_TIME => WaitsFor::FastestPool,
                _ => WaitsFor::Nobody,
            };
            let waits = rest.offer(waits_for, &mut offer);
            if !waits {
                resumed.push(rest.outlet);
            }
            rest.look = now.after(STALL_TIME).min(rest.since.after(WAIT_TIME));
            waits
        });
    }

    /// Hands on all that is left of a process that has ended.
    pub fn finish(&mut self, process: ProcId, mut offer: impl FnMut(Outlet, &[u8], WaitsFor) -> usize) {
        if !self.rests.is_empty() {
            self.release(|(other, _)| other == process, &mut offer);
        }
    }

    /// The channels of which nothing is left, since the last call: they are to be read again.
    pub fn take_resumed(&mut self) -> Vec<Outlet> {
        std::mem::take(&mut self.resumed)
    }

    fn release(&mut self, is_due: impl Fn(Outlet) -> bool, offer: &mut impl FnMut(Outlet, &[u8], WaitsFor) -> usize) {
        self.rests.retain_mut(|rest| {
            if !is_due(rest.outlet) {
                return true;
            }
            let waits = rest.offer(WaitsFor::Nobody, offer);
            debug_assert!(!waits, "who waits for nobody takes all");
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const A: Outlet = (ProcId(1), Channel::Stdout);
    const B: Outlet = (ProcId(2), Channel::Stderr);

    /// Pools with so much room, and what went on.
    #[derive(Default)]
    struct Rig {
        slowest: usize,
        fastest: usize,
        gone: Vec<(Outlet, String)>,
        machine: Backpressure,
    }

    impl Rig {
        fn with(&mut self, work: impl FnOnce(&mut Backpressure, &mut dyn FnMut(Outlet, &[u8], WaitsFor) -> usize)) {
            let (slowest, fastest, gone) = (self.slowest, self.fastest, &mut self.gone);
            let mut offer = |outlet, bytes: &[u8], waits_for| {
                let room = match waits_for {
                    WaitsFor::SlowestPool => slowest,
                    WaitsFor::FastestPool => fastest,
                    WaitsFor::Nobody => bytes.len(),
                };
                let taken = room.min(bytes.len());
                if taken > 0 {
                    gone.push((outlet, String::from_utf8(bytes[..taken].to_vec()).unwrap()));
                }
                taken
            };
            work(&mut self.machine, &mut offer);
        }

        fn take(&mut self, at_ms: u64, outlet: Outlet, text: &str) {
            self.with(|machine, offer| machine.take(outlet, text.as_bytes(), Mono(at_ms * MS), offer));
        }

        fn advance(&mut self, at_ms: u64) -> Vec<(Outlet, String)> {
            self.with(|machine, offer| machine.advance(Mono(at_ms * MS), offer));
            std::mem::take(&mut self.gone)
        }
    }

    fn went(outlet: Outlet, text: &str) -> (Outlet, String) {
        (outlet, text.to_string())
    }

    #[test]
    fn what_has_room_goes_on_at_once() {
        let mut rig = Rig { slowest: 9, ..Rig::default() };
        rig.take(0, A, "abc");
        assert_eq!(rig.gone, [went(A, "abc")]);
        assert!(!rig.machine.is_paused(A) && rig.machine.deadline().is_none());
        assert_eq!(rig.machine.take_resumed(), []);
    }

    #[test]
    fn time_says_whose_room_counts() {
        // (when, room of the slowest pool, of the fastest, what goes on of "abcd" after "a" found room at 0 ms)
        let rows = [
            (0, 0, 9, ""),
            (1, 2, 9, "bc"),
            (49, 0, 9, ""),
            (50, 0, 2, "bc"),
            (249, 0, 0, ""),
            (250, 0, 0, "bcd"),
            (9999, 0, 0, "bcd"),
        ];
        for (at, slowest, fastest, expected) in rows {
            let mut rig = Rig { slowest: 1, ..Rig::default() };
            rig.take(0, A, "abcd");
            assert_eq!(std::mem::take(&mut rig.gone), [went(A, "a")], "{at}");
            (rig.slowest, rig.fastest) = (slowest, fastest);
            let gone = rig.advance(at);
            let expected: Vec<_> = (!expected.is_empty()).then(|| went(A, expected)).into_iter().collect();
            assert_eq!(gone, expected, "{at}");
            let is_over = gone.iter().any(|(_, text)| text.ends_with('d'));
            assert_eq!(rig.machine.is_paused(A), !is_over, "{at}");
            assert_eq!(rig.machine.take_resumed(), if is_over { vec![A] } else { vec![] }, "{at}");
        }
    }

    #[test]
    fn it_is_looked_at_until_the_time_is_up() {
        let mut rig = Rig::default();
        rig.take(0, A, "abc");
        rig.take(10, B, "xyz");
        let mut looks = Vec::new();
        while let Some(at) = rig.machine.deadline() {
            looks.push(at.0 / MS);
            rig.advance(at.0 / MS);
        }
        assert!(looks.is_sorted() && looks.len() < 40, "{looks:?}");
        assert_eq!((looks[0], looks[looks.len() - 1]), (25, 260));
        assert_eq!(rig.machine.take_resumed(), [A, B]);
    }

    #[test]
    fn the_end_of_a_process_waits_for_nobody() {
        let mut rig = Rig::default();
        rig.take(0, A, "abc");
        rig.take(0, B, "xyz");
        // What is read at its end comes after what waits, and may wait itself until the exit.
        rig.take(1, A, "def");
        assert_eq!(std::mem::take(&mut rig.gone), [went(A, "abc")]);
        rig.with(|machine, offer| machine.finish(A.0, offer));
        assert_eq!(std::mem::take(&mut rig.gone), [went(A, "def")]);
        assert!(!rig.machine.is_paused(A) && rig.machine.is_paused(B));
        // Nobody reads its channel any more.
        assert_eq!(rig.machine.take_resumed(), []);
    }

    #[test]
    fn each_channel_keeps_its_order() {
        let mut rig = Rig { slowest: 1, ..Rig::default() };
        rig.take(0, A, "abc");
        rig.take(0, B, "xyz");
        rig.advance(1);
        rig.take(2, A, "d");
        rig.slowest = 9;
        rig.advance(3);
        rig.gone.clear();
        let mut rig = Rig { slowest: 1, ..Rig::default() };
        for (at, text) in ["abc", "de", "f"].into_iter().enumerate() {
            rig.take(at as u64, A, text);
        }
        rig.with(|machine, offer| machine.finish(A.0, offer));
        let all: String = rig.gone.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(all, "abcdef");
    }
}
