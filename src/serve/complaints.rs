//! Lines of the log that clients can cause as often as they like: each kind once a second at most, with a count.

use std::fmt::Display;

use crate::clock::{Mono, Now, earliest};
use crate::model::counted::{Counted, times};

/// What is complained of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Another site may have sent a browser, or it takes us for one.
    Browser,
    /// There is no room for a connection.
    Connection,
    /// A wrong name or password was given.
    Password,
    /// Calls that nobody waits for any more, and for which there is no room.
    Call,
}

/// All kinds, and what stands for those that no line has named in time.
const ALL: [(About, &str); 4] = [
    (About::Browser, "refused browsers"),
    (About::Connection, "closed new connections, for there are too many"),
    (About::Password, "wrong passwords"),
    (About::Call, "gave up calls whose clients are gone"),
];

/// How often there was something to complain of.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    counts: [Counted; ALL.len()],
}

impl Complaints {
    /// Writes a line, or counts.
    pub(super) fn note(&mut self, about: About, now: Now, line: impl Display) {
        if let Some(count) = self.counts[about as usize].note(now.mono) {
            activity!(Warn, "{line}{}", times(count));
        }
    }

    /// Writes what is left to be said.
    pub(super) fn catch_up(&mut self, now: Now) {
        for (counted, (_, text)) in self.counts.iter_mut().zip(ALL) {
            if let Some(count) = counted.due(now.mono) {
                activity!(Warn, "{text}{}", times(count));
            }
        }
    }

    /// When something is left to be said.
    pub(super) fn deadline(&self) -> Option<Mono> {
        earliest(&self.counts.each_ref().map(Counted::deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;

    fn at(millis: u64) -> Now {
        Now { mono: Mono(millis * 1_000_000), wall: Wall(0) }
    }

    /// (ms, what there is to complain of, when something is left to be said after it, in ms)
    #[test]
    fn each_kind_is_counted_for_itself() {
        let rows = [
            (0, About::Browser, None),
            (100, About::Browser, Some(1000)),
            (200, About::Password, Some(1000)),
            (300, About::Password, Some(1000)),
            (1000, About::Browser, Some(1200)),
            (1100, About::Connection, Some(1200)),
            (1150, About::Connection, Some(1200)),
        ];
        let mut complaints = Complaints::default();
        for (millis, about, deadline) in rows {
            complaints.note(about, at(millis), "line");
            assert_eq!(complaints.deadline(), deadline.map(|millis| at(millis).mono), "after {millis} ms");
        }
        complaints.catch_up(at(1200));
        assert_eq!(complaints.deadline(), Some(at(2100).mono), "what is not due waits");
        complaints.catch_up(at(2100));
        assert_eq!(complaints.deadline(), None);
        assert!(ALL.iter().enumerate().all(|(place, (about, _))| *about as usize == place));
    }
}
