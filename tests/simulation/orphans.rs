//! What children leave behind: processes of their groups, and such as left them, which go on when a child has ended.
//!
//! Nothing tells when an orphan ends; whoever asks finds it there or not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stheno::daemon::host::Remnant;
use stheno::id::Pid;

use crate::agenda::{MS, SECOND};
use crate::random::Random;

/// One that stays.
struct Orphan {
    member: Remnant,
    /// It ends when it is told to.
    obeys: bool,
    /// How long it takes to die of SIGKILL.
    dying: u64,
    ends_at: Option<u64>,
    killed_at: Option<u64>,
}

/// Those of one run.
struct Family {
    /// The names of its group and process.
    names: (String, String),
    cgroup: Option<String>,
    /// Whether they are somebody's affair: nobody's before the child has ended.
    is_minded: bool,
    orphans: Vec<Orphan>,
}

#[derive(Default)]
pub struct Orphans {
    /// By the child's pid.
    families: BTreeMap<i32, Family>,
    /// Groups that somebody has seen empty: their numbers may be others' by now.
    gone: BTreeSet<i32>,
    next: i32,
}

impl Orphan {
    fn lives(&self, now: u64) -> bool {
        self.ends_at.is_none_or(|at| now < at)
    }

    fn take(&mut self, signal: i32, now: u64) {
        let ends_at = match signal {
            libc::SIGKILL => {
                self.killed_at.get_or_insert(now);
                now + self.dying
            }
            _ if self.obeys => now,
            _ => return,
        };
        self.ends_at = Some(self.ends_at.map_or(ends_at, |at| at.min(ends_at)));
    }
}

impl Orphans {
    /// A child begins, and with it what it is going to leave behind. Those who left its group can be found if `is_seen`.
    pub fn begin(
        &mut self,
        pid: i32,
        names: (&str, &str),
        cgroup: Option<&str>,
        is_seen: bool,
        now: u64,
        random: &mut Random,
    ) {
        let count = if random.one_in(2) { random.between(1, 3) } else { 0 };
        let orphans = (0..count).map(|_| {
            self.next += 1;
            let own = 100_000 + self.next;
            let group = if is_seen && random.one_in(3) { own } else { pid };
            Orphan {
                member: Remnant { pid: Pid(own), group: Pid(group), started: 1 },
                obeys: !random.one_in(3),
                dying: *random.pick(&[0, 0, MS, 200 * MS, 5 * SECOND]),
                ends_at: random.one_in(4).then(|| now + random.below(30 * SECOND)),
                killed_at: None,
            }
        });
        let orphans = orphans.collect();
        let names = (names.0.to_string(), names.1.to_string());
        let family = Family { names, cgroup: cgroup.map(str::to_string), is_minded: false, orphans };
        self.families.insert(pid, family);
    }

    /// A child is about to be reaped, and the daemon minds what it leaves behind or not.
    pub fn ends(&mut self, pid: i32, is_minded: bool) {
        if let Some(family) = self.families.get_mut(&pid) {
            family.is_minded = is_minded;
        }
    }

    fn all(&self, now: u64, is_meant: impl Fn(i32, &Family, &Orphan) -> bool) -> Vec<Remnant> {
        let families = self.families.iter();
        let found = families.flat_map(|(pid, family)| family.orphans.iter().map(move |orphan| (*pid, family, orphan)));
        let found = found.filter(|(pid, family, orphan)| orphan.lives(now) && is_meant(*pid, family, orphan));
        found.map(|(.., orphan)| orphan.member).collect()
    }

    pub fn of_group(&self, group: Pid, now: u64) -> Vec<Remnant> {
        self.all(now, |_, _, orphan| orphan.member.group == group)
    }

    pub fn of_child(&self, child: Pid, now: u64) -> Vec<Remnant> {
        self.all(now, |pid, _, _| pid == child.0)
    }

    pub fn of_cgroup(&self, path: &str, now: u64) -> Vec<Remnant> {
        self.all(now, |_, family, _| family.cgroup.as_deref() == Some(path))
    }

    /// Somebody has seen that nobody is left in a group.
    pub fn note_empty(&mut self, group: Pid) {
        self.gone.insert(group.0);
    }

    pub fn signal_group(&mut self, group: Pid, signal: i32, now: u64) {
        assert!(!self.gone.contains(&group.0), "group {} was seen empty, and gets signal {signal}", group.0);
        self.signal(signal, now, |_, orphan| orphan.member.group == group);
    }

    pub fn signal_remnant(&mut self, member: Remnant, signal: i32, now: u64) {
        self.signal(signal, now, |_, orphan| orphan.member == member);
    }

    pub fn kill_cgroup(&mut self, path: &str, now: u64) {
        self.signal(libc::SIGKILL, now, |family, _| family.cgroup.as_deref() == Some(path));
    }

    fn signal(&mut self, signal: i32, now: u64, is_meant: impl Fn(&Family, &Orphan) -> bool) {
        for family in self.families.values_mut() {
            let mut orphans = std::mem::take(&mut family.orphans);
            orphans.iter_mut().filter(|orphan| is_meant(family, orphan)).for_each(|orphan| orphan.take(signal, now));
            family.orphans = orphans;
        }
    }

    /// Nobody is left who should be gone, of one process or of all, but who was killed and has not died of it for that long.
    pub fn check_gone(&self, names: Option<(&str, &str)>, patience: Duration, now: u64) {
        for (pid, family) in self.families.iter().filter(|(_, family)| family.is_minded) {
            let (group, process) = (family.names.0.as_str(), family.names.1.as_str());
            if names.is_some_and(|names| names != (group, process)) {
                continue;
            }
            for orphan in family.orphans.iter().filter(|orphan| orphan.lives(now)) {
                let has_waited = orphan.killed_at.is_some_and(|at| now >= at + patience.as_nanos() as u64);
                assert!(has_waited, "{group}:{process} has left {} behind in run {pid}", orphan.member.pid.0);
            }
        }
    }

    /// The run of the daemon is over.
    pub fn clear(&mut self) {
        self.families.clear();
        self.gone.clear();
    }
}
