//! What is due: deadlines of processes, and first starts.
//!
//! A process stands here at most once: as never started and to be started at once, as one that is looked at after those,
//! or with one moment. All are handed out in bounded shares, first starts in order of creation (P-5), deadlines earliest
//! first. Nothing here knows what is then to be done.

use std::collections::BTreeSet;

use crate::clock::{Mono, earliest};
use crate::id::{IdMap, ProcId};

/// First starts handed out in one turn. A spawn takes some 0.3 ms; between two shares clients are served, and who has ended
/// is started again.
pub const FIRST_STARTS_PER_TURN: usize = 4;

/// Deadlines handed out in one turn, so that a burst of them delays nobody.
const DEADLINES_PER_TURN: usize = 256;

/// When a process wants to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Not before something happens to it.
    Never,
    /// As soon as those created before it have been started.
    FirstStart,
    /// As soon as nobody waits for a first start: in the original all programs have been tried once before the first is
    /// given up.
    AfterFirstStarts,
    /// It is to be looked at by that moment.
    At(Mono),
}

/// The deadlines and first starts of all processes.
#[derive(Clone, Debug, Default)]
pub struct Agenda {
    first_starts: BTreeSet<ProcId>,
    after_first_starts: BTreeSet<ProcId>,
    /// When which process is due, the earliest first.
    deadlines: BTreeSet<(Mono, ProcId)>,
    /// The moment with which each process stands in `deadlines`.
    moments: IdMap<ProcId, Mono>,
}

impl Agenda {
    /// Says when a process is due, in place of what was said before. A moment in the past counts from `now`: it must
    /// not overtake those that have waited longer.
    pub fn set(&mut self, id: ProcId, due: Due, now: Mono) {
        let moment = match due {
            Due::At(at) => Some(at.max(now)),
            Due::Never | Due::FirstStart | Due::AfterFirstStarts => None,
        };
        if self.moments.get(&id).copied() != moment {
            self.forget_deadline(id);
            if let Some(at) = moment {
                self.moments.insert(id, at);
                self.deadlines.insert((at, id));
            }
        }
        if due == Due::FirstStart {
            self.first_starts.insert(id);
        } else if !self.first_starts.is_empty() {
            self.first_starts.remove(&id);
        }
        if due == Due::AfterFirstStarts {
            self.after_first_starts.insert(id);
        } else if !self.after_first_starts.is_empty() {
            self.after_first_starts.remove(&id);
        }
    }

    pub fn forget(&mut self, id: ProcId) {
        self.forget_deadline(id);
        self.first_starts.remove(&id);
        self.after_first_starts.remove(&id);
    }

    fn forget_deadline(&mut self, id: ProcId) {
        if let Some(at) = self.moments.remove(&id) {
            self.deadlines.remove(&(at, id));
        }
    }

    /// Forgets all processes for which `stays` does not hold.
    pub fn retain(&mut self, stays: impl Fn(ProcId) -> bool) {
        self.first_starts.retain(|id| stays(*id));
        self.after_first_starts.retain(|id| stays(*id));
        self.deadlines.retain(|(_, id)| stays(*id));
        self.moments.retain(|id, _| stays(*id));
    }

    /// Takes out what is due, as far as one turn goes: deadlines, then first starts.
    pub fn take_due(&mut self, now: Mono) -> Vec<ProcId> {
        let mut due = Vec::new();
        while due.len() < DEADLINES_PER_TURN
            && let Some(&(_, id)) = self.deadlines.first().filter(|(at, _)| *at <= now)
        {
            self.deadlines.pop_first();
            self.moments.remove(&id);
            due.push(id);
        }
        if self.first_starts.is_empty() {
            while due.len() < DEADLINES_PER_TURN
                && let Some(id) = self.after_first_starts.pop_first()
            {
                due.push(id);
            }
        }
        for _ in 0..FIRST_STARTS_PER_TURN {
            let Some(id) = self.first_starts.pop_first() else { break };
            due.push(id);
        }
        due
    }

    /// When [`Agenda::take_due`] has something to give; `None` is never.
    pub fn next(&self, now: Mono) -> Option<Mono> {
        let has_starts = !self.first_starts.is_empty() || !self.after_first_starts.is_empty();
        let start = has_starts.then_some(now);
        earliest(&[start, self.deadlines.first().map(|(at, _)| *at)])
    }

    /// Whether processes wait for their first start.
    pub fn has_first_starts(&self) -> bool {
        !self.first_starts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(due: Vec<ProcId>) -> Vec<u32> {
        due.into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn the_last_word_about_a_process_counts() {
        use Due::{AfterFirstStarts, At, FirstStart, Never};
        // What is said of process 1 one after another, at moment 10; when something is due then, and what at moment 20.
        let rows: &[(&[Due], Option<u64>, &[u32])] = &[
            (&[], None, &[]),
            (&[Never], None, &[]),
            (&[At(Mono(15))], Some(15), &[1]),
            (&[At(Mono(20))], Some(20), &[1]),
            (&[At(Mono(21))], Some(21), &[]),
            (&[At(Mono(5))], Some(10), &[1]),
            (&[At(Mono(15)), At(Mono(25))], Some(25), &[]),
            (&[At(Mono(25)), At(Mono(15))], Some(15), &[1]),
            (&[At(Mono(15)), Never], None, &[]),
            (&[FirstStart], Some(10), &[1]),
            (&[FirstStart, At(Mono(30))], Some(30), &[]),
            (&[At(Mono(15)), FirstStart], Some(10), &[1]),
            (&[FirstStart, Never], None, &[]),
            (&[AfterFirstStarts], Some(10), &[1]),
            (&[At(Mono(15)), AfterFirstStarts, Never], None, &[]),
        ];
        for (said, next, due) in rows {
            let mut agenda = Agenda::default();
            for one in *said {
                agenda.set(ProcId(1), *one, Mono(10));
            }
            assert_eq!(agenda.next(Mono(10)), next.map(Mono), "{said:?}");
            assert_eq!(ids(agenda.take_due(Mono(20))), *due, "{said:?}");
            assert_eq!(ids(agenda.take_due(Mono(20))), [0; 0], "{said:?}: once");
            for one in *said {
                agenda.set(ProcId(1), *one, Mono(10));
            }
            agenda.forget(ProcId(1));
            assert_eq!((agenda.next(Mono(10)), agenda.moments.len()), (None, 0), "{said:?}: forgotten");
        }
    }

    #[test]
    fn earliest_deadlines_first_then_oldest_processes() {
        let mut agenda = Agenda::default();
        for (id, due) in [
            (5, Due::FirstStart),
            (1, Due::At(Mono(30))),
            (4, Due::FirstStart),
            (2, Due::At(Mono(20))),
            (3, Due::At(Mono(30))),
        ] {
            agenda.set(ProcId(id), due, Mono(0));
        }
        assert_eq!(ids(agenda.clone().take_due(Mono(30))), [2, 1, 3, 4, 5]);
        agenda.retain(|id| id.0 % 2 == 1);
        assert!(agenda.has_first_starts());
        assert_eq!(ids(agenda.take_due(Mono(30))), [1, 3, 5]);
        assert!(!agenda.has_first_starts());
    }

    #[test]
    fn all_are_tried_before_one_is_given_up() {
        let mut agenda = Agenda::default();
        agenda.set(ProcId(0), Due::AfterFirstStarts, Mono(0));
        for id in 1..=FIRST_STARTS_PER_TURN as u32 + 1 {
            agenda.set(ProcId(id), Due::FirstStart, Mono(0));
        }
        let turns = [(); 3].map(|()| ids(agenda.take_due(Mono(0))));
        let last = FIRST_STARTS_PER_TURN as u32 + 1;
        assert_eq!(turns, [(1..last).collect(), vec![last], vec![0]]);
        assert_eq!(agenda.next(Mono(0)), None);
    }

    #[test]
    fn a_burst_is_handed_out_in_shares() {
        let mut agenda = Agenda::default();
        for id in 0..1000 {
            agenda.set(ProcId(id), Due::At(Mono(1)), Mono(0));
            agenda.set(ProcId(1000 + id), Due::FirstStart, Mono(0));
        }
        let first = ids(agenda.take_due(Mono(1)));
        assert_eq!(first.len(), DEADLINES_PER_TURN + FIRST_STARTS_PER_TURN);
        assert_eq!(agenda.next(Mono(1)), Some(Mono(1)));
        let second = ids(agenda.take_due(Mono(1)));
        assert_eq!(second[0] as usize, DEADLINES_PER_TURN);
        assert_eq!(second[DEADLINES_PER_TURN] as usize, 1000 + FIRST_STARTS_PER_TURN);
    }
}
