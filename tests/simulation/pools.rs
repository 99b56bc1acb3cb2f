//! What each pool of listeners has delivered, and whether it was right to (E-32, E-33, E-49, E-60 to E-65).

use std::collections::{BTreeMap, BTreeSet};

use stheno::id::{GroupId, ProcId};

/// The deliveries of all pools of a run.
#[derive(Default)]
pub struct Pools {
    pools: BTreeMap<GroupId, Track>,
    /// Which event a listener has: serial and pool serial.
    held: BTreeMap<ProcId, (u64, u64)>,
}

/// The deliveries of one pool.
#[derive(Default)]
struct Track {
    /// Least pool serial that was never delivered.
    next: u64,
    /// The serial of the newest event delivered.
    newest: Option<u64>,
    /// What was delivered: by pool serial the serial and a number for the content.
    delivered: BTreeMap<u64, (u64, u64)>,
    accepted: BTreeSet<u64>,
    /// Put back and not delivered again yet, the last one on top: that is the order in which they come back.
    returned: Vec<(u64, u64)>,
    /// Serials of events that overflowed before they were delivered at all.
    lost: Vec<u64>,
    /// What overflowed at first is not known.
    is_vague: bool,
}

impl Pools {
    /// An event was written to a listener.
    pub fn sent(&mut self, pool: GroupId, listener: ProcId, serial: u64, pool_serial: u64, content: u64) {
        let track = self.pools.entry(pool).or_default();
        let what = format!("event {serial} ({pool_serial} of its pool) to {listener:?}");
        let before = self.held.insert(listener, (serial, pool_serial));
        assert!(before.is_none(), "{what}, which has {before:?}");
        assert!(!track.accepted.contains(&pool_serial), "{what}: it was accepted before");
        if let Some(top) = track.returned.last() {
            assert_eq!(*top, (serial, pool_serial), "{what}: an event that was put back comes first");
        }
        if let Some(known) = track.delivered.get(&pool_serial) {
            assert_eq!(*known, (serial, content), "{what}: delivered again, it differs");
            let top = track.returned.pop();
            assert!(top.is_some(), "{what}: it was delivered before and nobody gave it back");
            return;
        }
        assert!(pool_serial >= track.next, "{what}: out of order");
        assert!(track.newest.is_none_or(|newest| newest < serial), "{what}: out of order");
        let gap = pool_serial - track.next;
        let lost = track.lost.iter().filter(|lost| **lost < serial).count() as u64;
        assert!(gap == lost || track.is_vague, "{what}: {gap} events left out, {lost} overflowed");
        track.is_vague = false;
        track.lost.retain(|lost| *lost > serial);
        track.next = pool_serial + 1;
        track.newest = Some(serial);
        track.delivered.insert(pool_serial, (serial, content));
    }

    /// A pool logged that it discards an event.
    pub fn discarded(&mut self, pool: GroupId, serial: u64) {
        let track = self.pools.entry(pool).or_default();
        let before = track.returned.len();
        track.returned.retain(|(other, _)| *other != serial);
        if track.returned.len() == before {
            track.lost.push(serial);
        }
    }

    /// A pool took the place of another of its name. The log does not say which of them discarded events meanwhile.
    pub fn replaced(&mut self, pool: GroupId) {
        let track = self.pools.entry(pool).or_default();
        track.lost.clear();
        track.is_vague = true;
    }

    /// A listener's answer was accepted.
    pub fn accepted(&mut self, pool: GroupId, listener: ProcId) {
        if let Some((_, pool_serial)) = self.held.remove(&listener) {
            self.pools.entry(pool).or_default().accepted.insert(pool_serial);
        }
    }

    /// A listener rejected its event, broke the protocol or ended; it may have had none.
    pub fn returned(&mut self, pool: GroupId, listener: ProcId) {
        if let Some(held) = self.held.remove(&listener) {
            self.pools.entry(pool).or_default().returned.push(held);
        }
    }
}
