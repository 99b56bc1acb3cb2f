//! Lines of the log that strangers can cause, or an instance gone mad: one for each address and minute, with a count.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use crate::clock::Mono;

/// Time between two lines about one address.
const EVERY: Duration = Duration::from_secs(60);

/// Addresses that are told apart. More complain together.
const ADDRESSES_MAX: usize = 64;

/// What somebody else says, as it may stand in a line of the log.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// What was said, of whom and when.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// When a line was written, and how much there was to complain of since.
    by_address: BTreeMap<String, (Mono, u64)>,
    /// How much there was in all.
    pub(super) count: u64,
}

impl Complaints {
    /// Whether a line is due for an address, and how many there would have been since the last.
    fn note(&mut self, address: &str, now: Mono) -> Option<u64> {
        self.count += 1;
        if let Some((at, since)) = self.by_address.get_mut(address) {
            *since += 1;
            if now.since(*at) < EVERY {
                return None;
            }
            let told = std::mem::take(since);
            *at = now;
            return Some(told);
        }
        if self.by_address.len() >= ADDRESSES_MAX {
            self.by_address.retain(|_, (at, _)| now.since(*at) < EVERY);
        }
        if self.by_address.len() >= ADDRESSES_MAX {
            return if address.is_empty() { None } else { self.note("", now) };
        }
        self.by_address.insert(address.to_string(), (now, 0));
        Some(1)
    }

    /// Writes a line, or counts. `peer` is an address, with a port or without.
    pub(super) fn tell(&mut self, peer: &str, now: Mono, text: impl Display) {
        let address = peer.rsplit_once(':').map_or(peer, |(address, _)| address);
        if let Some(times) = self.note(address, now) {
            let times = if times > 1 { format!(" ({times} times)") } else { String::new() };
            activity!(Warn, "fleet: {peer}: {text}{times}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_an_address_and_minute_and_not_without_end() {
        let at = |secs: u64| Mono(secs * 1_000_000_000);
        let mut complaints = Complaints::default();
        let rows = [
            ("a", 0, Some(1)),
            ("a", 1, None),
            ("b", 2, Some(1)),
            ("a", 59, None),
            ("a", 60, Some(3)),
            ("a", 61, None),
        ];
        for (address, secs, expected) in rows {
            assert_eq!(complaints.note(address, at(secs)), expected, "{address} at {secs}");
        }
        let lines = (0..1000).filter(|number| complaints.note(&number.to_string(), at(70)).is_some()).count();
        assert_eq!((lines, complaints.by_address.len(), complaints.count), (63, 64, 1006 + 937));
    }
}
