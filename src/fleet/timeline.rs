//! What has happened lately in the fleet, as this instance has seen it: a bounded ring, for whoever looks at a page.

use std::collections::VecDeque;

use super::Fleet;
use crate::clock::{Now, Wall};
use crate::id::PeerId;
use crate::model::fleet::instance::InstanceState;
use crate::model::fleet::phase::Phase;
use crate::model::fleet::view::TaskId;
use crate::state::ProcessState;

/// Moments that are kept: a day of a quiet fleet, some 100 kB.
pub const MOMENTS_MAX: usize = 500;

/// Of a name, of which others may make as much as they like.
const NAME_CHARS_MAX: usize = 256;

/// Characters of a reason that are kept.
const WHY_CHARS_MAX: usize = 120;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When, by the clock of this host.
    pub at: Wall,
    /// What has happened then.
    pub what: What,
}

/// What can happen in a fleet that people ask about later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum What {
    /// A process of an instance is in another state.
    Process { name: String, peer: PeerId, state: ProcessState, expected: bool, why: String },
    /// How it stands with an instance.
    Member(PeerId, InstanceState),
    /// The fleet is in another state.
    Phase(Phase),
    /// Another one leads, or nobody.
    Master(Option<PeerId>),
}

/// The last of them.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    moments: VecDeque<Moment>,
    /// How many there have been.
    count: u64,
    /// What was told last of each instance, of the fleet, and of who leads.
    members: Vec<InstanceState>,
    phase: Option<Phase>,
    master: Option<PeerId>,
}

impl Timeline {
    /// The number of the last one; 0 if nothing has happened.
    pub fn last(&self) -> u64 {
        self.count
    }

    /// Those behind a number, as far as they are kept, each with its own.
    pub fn since(&self, number: u64) -> impl Iterator<Item = (u64, &Moment)> {
        let first = self.count - self.moments.len() as u64;
        let known = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        (first + 1..).zip(&self.moments).skip(known)
    }

    fn push(&mut self, at: Wall, what: What) {
        if self.moments.len() == MOMENTS_MAX {
            self.moments.pop_front();
        }
        self.moments.push_back(Moment { at, what });
        self.count += 1;
    }
}

impl Fleet {
    /// What has happened lately.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// A process of an instance is in another state.
    pub(super) fn remember_process(&mut self, task: TaskId, peer: PeerId, now: Now) {
        if self.supvisors().is_none() {
            return;
        }
        let Some(record) = self.view.task(task).and_then(|known| known.on(peer)).map(|known| &known.record) else {
            return;
        };
        let what = What::Process {
            name: self.view.namespec(task).unwrap_or_default().chars().take(NAME_CHARS_MAX).collect(),
            peer,
            state: record.state,
            expected: record.expected,
            why: record.spawnerr.chars().take(WHY_CHARS_MAX).collect(),
        };
        self.timeline.push(now.wall, what);
    }

    /// Looks at the end of a turn at what has changed in the fleet as a whole.
    pub(super) fn remember_turn(&mut self, now: Now) {
        if self.supvisors().is_none() {
            return;
        }
        let timeline = &mut self.timeline;
        timeline.members.resize(self.members.len(), InstanceState::Stopped);
        for (at, member) in self.members.iter().enumerate() {
            if std::mem::replace(&mut timeline.members[at], member.state) != member.state {
                timeline.push(now.wall, What::Member(PeerId(u32::try_from(at).unwrap_or(0)), member.state));
            }
        }
        if timeline.phase.replace(self.phase) != Some(self.phase) {
            timeline.push(now.wall, What::Phase(self.phase));
        }
        if std::mem::replace(&mut timeline.master, self.master) != self.master {
            timeline.push(now.wall, What::Master(self.master));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_and_numbered() {
        let mut timeline = Timeline::default();
        let numbers = |timeline: &Timeline, since| timeline.since(since).map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!((timeline.last(), numbers(&timeline, 0)), (0, vec![]));
        (0..MOMENTS_MAX + 2).for_each(|_| timeline.push(Wall(0), What::Phase(Phase::Operation)));
        let last = timeline.last();
        assert_eq!(last, MOMENTS_MAX as u64 + 2);
        assert_eq!(numbers(&timeline, last - 2), [last - 1, last]);
        assert_eq!(numbers(&timeline, last), [] as [u64; 0]);
        assert_eq!(numbers(&timeline, 0).first(), Some(&3), "older ones are gone");
    }
}
