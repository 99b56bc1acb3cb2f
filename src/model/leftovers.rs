//! What a run leaves behind when its main process has ended (K-4).
//!
//! In words: what is left is **told** to end, by the stop signal; who is still there after `killwaitsecs` is **killed**, and
//! waited for a moment longer. It is looked at every [`LOOK_EVERY`]; once nobody is there it is over, and the next run may
//! begin. What cannot be killed holds that up no longer than [`KILLED_WAIT`].
//!
//! The machine knows no process: its owner looks, and does what it says.

use std::time::Duration;

use crate::clock::Mono;

/// Time between two looks at what is left: short beside the start of a program, long beside what a look costs.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long what was killed is waited for. What a kernel does not let go by then, it will not soon.
pub const KILLED_WAIT: Duration = Duration::from_secs(1);

/// What is done after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterLook {
    /// They have time yet.
    Wait,
    /// They are to be killed now.
    Kill,
    /// Nobody waits any longer: for nobody is there, or for those who do not end.
    Over {
        /// Somebody does not end, and is left alone.
        is_left: bool,
    },
}

/// What is left of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leftovers {
    /// SIGKILL has been sent.
    is_killed: bool,
    /// When the time that they have is over.
    until: Mono,
    /// When they are looked at next.
    look_at: Mono,
}

impl Leftovers {
    /// They have got the stop signal just now, and have so long.
    pub fn told(wait: Duration, now: Mono) -> Leftovers {
        Leftovers { is_killed: false, until: now.after(wait), look_at: now.after(LOOK_EVERY.min(wait)) }
    }

    /// They have got SIGKILL just now.
    pub fn killed(now: Mono) -> Leftovers {
        Leftovers { is_killed: true, until: now.after(KILLED_WAIT), look_at: now.after(LOOK_EVERY) }
    }

    /// Whether SIGKILL has been sent.
    pub fn is_killed(&self) -> bool {
        self.is_killed
    }

    /// When the next look is due.
    pub fn deadline(&self) -> Mono {
        self.look_at
    }

    /// They were looked at.
    pub fn look(&mut self, is_left: bool, now: Mono) -> AfterLook {
        if !is_left {
            return AfterLook::Over { is_left };
        }
        match (now >= self.until, self.is_killed) {
            (true, true) => AfterLook::Over { is_left },
            (true, false) => {
                *self = Leftovers::killed(now);
                AfterLook::Kill
            }
            (false, _) => {
                self.look_at = now.after(LOOK_EVERY).min(self.until);
                AfterLook::Wait
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Looks whenever that is due; what was done, with the moment in milliseconds.
    fn life(mut left: Leftovers, ends_at: Option<u64>) -> Vec<(u64, AfterLook)> {
        let mut done = Vec::new();
        loop {
            let now = left.deadline();
            let next = left.look(ends_at.is_none_or(|at| now.0 < at * MS), now);
            if next != AfterLook::Wait {
                done.push((now.0 / MS, next));
            }
            if matches!(next, AfterLook::Over { .. }) {
                return done;
            }
            assert!(left.deadline() > now && left.deadline().since(now) <= LOOK_EVERY, "{left:?}");
        }
    }

    #[test]
    fn told_then_killed_then_left_alone() {
        use AfterLook::{Kill, Over};
        let second = Duration::from_secs;
        let gone = Over { is_left: false };
        let told = |secs| Leftovers::told(second(secs), Mono(0));
        let rows = [
            (told(2), Some(0), vec![(50, gone)]),
            (told(2), Some(120), vec![(150, gone)]),
            (told(2), Some(2010), vec![(2000, Kill), (2050, gone)]),
            (told(2), None, vec![(2000, Kill), (3000, Over { is_left: true })]),
            (told(0), Some(10), vec![(0, Kill), (50, gone)]),
            (Leftovers::killed(Mono(0)), Some(30), vec![(50, gone)]),
            (Leftovers::killed(Mono(0)), None, vec![(1000, Over { is_left: true })]),
        ];
        for (left, ends_at, expected) in rows {
            assert_eq!(life(left, ends_at), expected, "{left:?} {ends_at:?}");
        }
    }
}
