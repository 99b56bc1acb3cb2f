//! TICK events (E-20, E-21).
//!
//! Time is cut into slices of 5, 60 and 3600 seconds of the wall clock. When the slice is another than the last
//! one seen, one event is due, however many slices were missed and in whichever direction the clock went.

use std::time::Duration;

use crate::clock::Wall;
use crate::eventtype::{EventMask, EventType};
use crate::model::event::Event;

/// The periods in seconds, in the order in which their events are sent.
const PERIODS: [(EventType, u64); 3] = [(EventType::Tick5, 5), (EventType::Tick60, 60), (EventType::Tick3600, 3600)];

/// Longest sleep while somebody waits for a tick. Sleeping is by the monotonic clock, which knows nothing of a wall
/// clock that was set, nor of a suspended machine: this is how late the event after either may come.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The slices last seen.
#[derive(Clone, Debug, Default)]
pub struct Ticks {
    /// Start of the slice in seconds since the epoch, for each period; `None` while nobody subscribes, so that a
    /// later subscriber starts with a baseline and not with an event.
    last: [Option<u64>; 3],
}

impl Ticks {
    /// The events that are due, appended to `out`. `wanted` is what all pools together subscribe to. The first call
    /// for a period only sets the baseline.
    pub fn turn(&mut self, now: Wall, wanted: EventMask, out: &mut Vec<Event>) {
        let secs = now.0 / 1_000_000_000;
        for ((kind, period), last) in PERIODS.into_iter().zip(&mut self.last) {
            if !wanted.wants(kind) {
                *last = None;
                continue;
            }
            let slice = secs - secs % period;
            if last.replace(slice).is_some_and(|before| before != slice) {
                out.push(Event::tick(kind, slice));
            }
        }
    }

    /// How long one may sleep; `None` for ever, when nobody subscribes.
    pub fn sleep(&self, now: Wall, wanted: EventMask) -> Option<Duration> {
        let shortest = PERIODS.into_iter().filter(|(kind, _)| wanted.wants(*kind)).map(|(_, period)| period).min()?;
        // Every boundary of a longer period is one of the shorter ones.
        let period = Duration::from_secs(shortest).as_nanos() as u64;
        Some(Duration::from_nanos(period - now.0 % period).min(SLEEP_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Wall {
        Wall(secs * 1_000_000_000 + 500_000_000)
    }

    #[test]
    fn one_event_for_each_new_slice() {
        // (seconds, events)
        let rows: &[(u64, &[&str])] = &[
            (7203, &[]),
            (7204, &[]),
            (7205, &["TICK_5 when:7205"]),
            (7209, &[]),
            (7231, &["TICK_5 when:7230"]),
            (7260, &["TICK_5 when:7260", "TICK_60 when:7260"]),
            (10800, &["TICK_5 when:10800", "TICK_60 when:10800", "TICK_3600 when:10800"]),
            (99999, &["TICK_5 when:99995", "TICK_60 when:99960", "TICK_3600 when:97200"]),
            (99998, &[]),
            (99994, &["TICK_5 when:99990"]),
            (10, &["TICK_5 when:10", "TICK_60 when:0", "TICK_3600 when:0"]),
        ];
        let mut ticks = Ticks::default();
        for (secs, expected) in rows {
            let mut out = Vec::new();
            ticks.turn(at(*secs), EventMask::of([EventType::Tick]), &mut out);
            let got: Vec<String> =
                out.iter().map(|event| format!("{} {}", event.kind().name(), event.payload())).collect();
            assert_eq!(got, *expected, "at {secs}");
        }
    }

    #[test]
    fn a_late_subscriber_starts_with_a_baseline() {
        let mut ticks = Ticks::default();
        let mut out = Vec::new();
        ticks.turn(at(100), EventMask::of([EventType::Tick5]), &mut out);
        ticks.turn(at(200), EventMask::NONE, &mut out);
        ticks.turn(at(300), EventMask::of([EventType::Tick]), &mut out);
        assert!(out.is_empty());
        ticks.turn(at(305), EventMask::of([EventType::Tick]), &mut out);
        assert_eq!(out.len(), 1);
    }

    #[test]
    fn sleeps_until_the_next_slice() {
        let second = 1_000_000_000;
        let rows: &[(&[EventType], u64, Option<u64>)] = &[
            (&[], 3 * second, None),
            (&[EventType::ProcessState], 3 * second, None),
            (&[EventType::Tick5], 3 * second, Some(2 * second)),
            (&[EventType::Tick5], 5 * second, Some(5 * second)),
            (&[EventType::Tick5], 5 * second - 1, Some(1)),
            (&[EventType::Tick], 58 * second, Some(2 * second)),
            (&[EventType::Tick60], 58 * second, Some(2 * second)),
            (&[EventType::Tick3600], 58 * second, Some(60 * second)),
            (&[EventType::Tick3600], 3598 * second, Some(2 * second)),
        ];
        for (kinds, now, expected) in rows {
            let sleep = Ticks::default().sleep(Wall(*now), EventMask::of(kinds.iter().copied()));
            assert_eq!(sleep, expected.map(Duration::from_nanos), "{kinds:?} at {now}");
        }
    }
}
