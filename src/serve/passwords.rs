//! Wrong passwords: who has given several is slowed, by address, so that guessing takes for ever and nobody else waits.
//!
//! Whether a password is right is looked at only when the address has its turn; were wrong answers merely delayed, the
//! speed of the answer would tell. A connection that has given the right one is not concerned.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::id::ConnId;

/// Wrong passwords that an address may give before it is slowed: enough for typing errors, and for a script with an old
/// password to be noticed first.
const FREE: u32 = 10;

/// Between two looks at a password from an address that is slowed: ten thousand guesses take an hour and more.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest that a client waits for its turn; beyond it, it is told to come again. With the pause it bounds how many
/// wait.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// An address is forgiven when it has given no wrong password for so long.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// Addresses that are remembered; beyond it the one that was quiet longest is forgotten. Whoever has more addresses than
/// this is not held up by a table of any size.
const ADDRESSES_MAX: usize = 1024;

/// When the password of a client may be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Now,
    /// When its turn has come.
    At(Mono),
    /// Not in reasonable time.
    TooMany,
}

#[derive(Debug)]
struct Wrong {
    count: u32,
    last: Mono,
    /// When the next look is free.
    next: Mono,
}

/// Who has given wrong passwords, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Passwords {
    addresses: BTreeMap<IpAddr, Wrong>,
    waiting: BTreeSet<(Mono, ConnId)>,
}

impl Passwords {
    /// When the password of a client of that address may be looked at.
    pub(super) fn admission(&mut self, address: Option<IpAddr>, now: Now) -> Admission {
        let wrong = address.and_then(|address| self.addresses.get_mut(&network(address)));
        let Some(wrong) = wrong.filter(|wrong| wrong.count >= FREE && now.mono.since(wrong.last) < FORGIVEN_AFTER)
        else {
            return Admission::Now;
        };
        let at = wrong.next.max(now.mono);
        if at.since(now.mono) >= WAIT_MAX {
            return Admission::TooMany;
        }
        wrong.next = at.after(PAUSE);
        if at == now.mono { Admission::Now } else { Admission::At(at) }
    }

    /// An address has given a wrong password; whether it is slowed now.
    pub(super) fn wrong(&mut self, address: Option<IpAddr>, now: Now) -> bool {
        let Some(address) = address.map(network) else { return false };
        if self.addresses.len() >= ADDRESSES_MAX && !self.addresses.contains_key(&address) {
            let quiet = self.addresses.iter().min_by_key(|(_, wrong)| wrong.last).map(|(address, _)| *address);
            quiet.map(|quiet| self.addresses.remove(&quiet));
        }
        let new = Wrong { count: 0, last: now.mono, next: now.mono };
        let wrong = self.addresses.entry(address).or_insert(new);
        if now.mono.since(wrong.last) >= FORGIVEN_AFTER {
            wrong.count = 0;
        }
        wrong.count = wrong.count.saturating_add(1);
        wrong.last = now.mono;
        if wrong.count == FREE {
            wrong.next = now.mono.after(PAUSE);
        }
        wrong.count >= FREE
    }

    /// A connection waits for its turn.
    pub(super) fn wait(&mut self, id: ConnId, at: Mono) {
        self.waiting.insert((at, id));
    }

    /// The next connection whose turn has come; it may be gone.
    pub(super) fn next_due(&mut self, now: Now) -> Option<ConnId> {
        self.waiting.first().filter(|(at, _)| *at <= now.mono)?;
        self.waiting.pop_first().map(|(_, id)| id)
    }

    /// When somebody's turn comes.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.waiting.first().map(|(at, _)| *at)
    }
}

/// The address of a client as it is shown, `127.0.0.1:4711` or `[::1]:4711`; clients of a socket file have none.
pub(super) fn address(client: &str) -> Option<IpAddr> {
    client.parse::<std::net::SocketAddr>().ok().map(|address| address.ip())
}

/// What stands for an address: of IPv6 the network, for one machine has as many addresses there as it likes.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;

    fn at(ms: u64) -> Now {
        Now { mono: Mono(ms * 1_000_000), wall: Wall(0) }
    }

    #[test]
    fn who_guesses_gets_two_looks_a_second_and_others_wait_for_nothing() {
        let (one, other) = (address("10.0.0.1:1"), address("10.0.0.2:1"));
        let mut passwords = Passwords::default();
        for _ in 1..FREE {
            assert_eq!((passwords.admission(one, at(0)), passwords.wrong(one, at(0))), (Admission::Now, false));
        }
        assert_eq!((passwords.admission(one, at(0)), passwords.wrong(one, at(0))), (Admission::Now, true));
        assert_eq!(passwords.admission(one, at(0)), Admission::At(at(500).mono));
        assert_eq!(passwords.admission(one, at(0)), Admission::At(at(1000).mono));
        assert_eq!(
            (passwords.admission(other, at(0)), passwords.admission(None, at(0))),
            (Admission::Now, Admission::Now)
        );
        let waiting = (0..100).filter(|_| passwords.admission(one, at(0)) != Admission::TooMany).count();
        assert_eq!(waiting, 17, "no more wait than have their turn in time");
        assert_eq!(passwords.admission(one, at(30_000)), Admission::Now);
        assert_eq!(passwords.admission(one, at(30_001)), Admission::At(at(30_500).mono));
        assert_eq!(passwords.admission(one, at(60_000)), Admission::Now, "forgiven");
        assert!(!passwords.wrong(one, at(60_000)));
    }

    #[test]
    fn turns_come_in_order() {
        let mut passwords = Passwords::default();
        passwords.wait(ConnId(1), at(20).mono);
        passwords.wait(ConnId(2), at(10).mono);
        assert_eq!((passwords.deadline(), passwords.next_due(at(9))), (Some(at(10).mono), None));
        assert_eq!([0; 3].map(|_| passwords.next_due(at(20))), [Some(ConnId(2)), Some(ConnId(1)), None]);
    }

    #[test]
    fn the_table_is_bounded_and_a_network_is_one_address() {
        let mut passwords = Passwords::default();
        for number in 0..2 * ADDRESSES_MAX as u32 {
            passwords.wrong(Some(IpAddr::V4(number.into())), at(u64::from(number)));
        }
        assert_eq!(passwords.addresses.len(), ADDRESSES_MAX);
        assert!(passwords.addresses.contains_key(&IpAddr::V4((2 * ADDRESSES_MAX as u32 - 1).into())));
        let rows =
            [("[2001:db8::1:2]:5", "2001:db8::"), ("[::ffff:10.0.0.1]:5", "10.0.0.1"), ("10.0.0.1:5", "10.0.0.1")];
        for (client, expected) in rows {
            assert_eq!(address(client).map(network), expected.parse().ok(), "{client}");
        }
        assert_eq!(address("uid 1000"), None);
    }
}
