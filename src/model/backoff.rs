//! A pause before the next attempt, which grows while attempts go on failing.

use std::time::Duration;

use crate::clock::Mono;

/// The first pause: long enough that a fault that stays costs next to nothing, short enough that one that passes is not
/// noticed.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often an attempt has failed, and when the next is due.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    /// The last pause; zero after a success.
    pause: Duration,
    until: Option<Mono>,
}

impl Backoff {
    /// An attempt has failed: the next is due after twice the last pause. Several failures at one moment are one.
    pub fn failed(&mut self, now: Mono) {
        if self.until.is_none_or(|until| until <= now) {
            self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            self.until = Some(now.after(self.pause));
        }
    }

    /// The next attempt is made; if it fails as well, the pause grows.
    pub fn attempt(&mut self) {
        self.until = None;
    }

    /// An attempt has succeeded.
    pub fn succeeded(&mut self) {
        *self = Backoff::default();
    }

    /// When the next attempt is due; `None` if nothing failed.
    pub fn deadline(&self) -> Option<Mono> {
        self.until
    }

    /// Whether an attempt may be made.
    pub fn is_due(&self, now: Mono) -> bool {
        self.until.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn the_pause_doubles_up_to_a_second_and_starts_anew() {
        let mut backoff = Backoff::default();
        assert!(backoff.is_due(Mono(0)) && backoff.deadline().is_none());
        let (mut now, mut pauses) = (Mono(7 * MS), Vec::new());
        for _ in 0..8 {
            backoff.failed(now);
            // Others that fail in the same moment change nothing.
            backoff.failed(now);
            let until = backoff.deadline().unwrap();
            assert!(!backoff.is_due(Mono(until.0 - 1)) && backoff.is_due(until));
            pauses.push((until.0 - now.0) / MS);
            now = until;
        }
        assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.attempt();
        backoff.failed(now);
        assert_eq!(backoff.deadline(), Some(Mono(now.0 + 1000 * MS)));
        backoff.succeeded();
        assert!(backoff.is_due(Mono(0)));
        backoff.failed(now);
        assert_eq!(backoff.deadline(), Some(Mono(now.0 + 20 * MS)));
    }
}
