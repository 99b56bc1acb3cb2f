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
    /// Wrong passwords.
    Password,
}

/// All kinds, and what stands for those that no line has named in time.
const ALL: [(About, &str); 3] = [
    (About::Browser, "refused browsers"),
    (About::Connection, "closed new connections, for there are too many"),
    (About::Password, "wrong passwords"),
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
