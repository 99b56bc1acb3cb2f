//! All logs together, within `log_total_max` (K-9): the oldest backups go first, whose they ever are; when there are none
//! left, the largest log begins anew.
//!
//! What is written is counted, and the files are looked at only when so much has come that they may be too many: some in
//! each turn, for there may be thousands. Without the option there is nothing of this.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;

use crate::logs::file::compressed;

/// What is left free after some files had to go, as a part of the whole: so much may come before the files are looked at again.
const SPARE_PART: u64 = 16;

/// Bytes that may come at least between two looks: a limit of some bytes must not make us look at each line.
const SPARE_BYTES_MIN: u64 = 64 * 1024;

/// Logs that are minded. More than there are processes on any machine; those beyond are rotated by their own limits.
const LOGS_MAX: usize = 16 * 1024;

/// Files that are looked at in one turn, about: two microseconds each, five where none is.
const LOOKS_PER_TURN: usize = 200;

/// Files that are removed in one turn, or emptied: some ten microseconds each, a millisecond where they are large.
const REMOVALS_PER_TURN: usize = 8;

/// The logs and the limit.
pub(super) struct LogTotal {
    max: u64,
    /// Bytes that have come since the last look began.
    came: u64,
    /// How many may before the next; unknown before the first.
    room: Option<u64>,
    /// Paths, and how many backups each may have. They stay known after a program has ended, for their files stay.
    logs: BTreeMap<Box<str>, u32>,
    work: Work,
}

/// What is under way.
enum Work {
    Nothing,
    /// The files are being looked at, log by log: those found, and the log that was the last.
    Looking(Vec<Found>, Option<Box<str>>),
    /// Files are being removed, the first of them next; bytes of all that are left, and the logs that begin anew if it must be.
    Removing {
        total: u64,
        backups: VecDeque<Found>,
        logs: VecDeque<Found>,
        /// Some backups have got another name since they were found: they are to be found again before a log begins anew.
        renamed: bool,
    },
}

/// A file of a log that is there.
struct Found {
    path: String,
    size: u64,
    /// When it was changed last, in seconds and nanoseconds.
    changed: (i64, i64),
    /// 0 for the log itself.
    number: u32,
    inode: u64,
}

impl Found {
    /// Whether its name still means it, and no other that was rotated meanwhile.
    fn is_there(&self) -> bool {
        look(self.path.clone(), self.number).is_some_and(|now| now.inode == self.inode)
    }
}

impl LogTotal {
    pub(super) fn new(max: u64) -> LogTotal {
        LogTotal { max, came: 0, room: None, logs: BTreeMap::new(), work: Work::Nothing }
    }

    /// A log is opened.
    pub(super) fn add(&mut self, path: &str, backups: u32) {
        if self.logs.len() < LOGS_MAX || self.logs.contains_key(path) {
            self.logs.insert(path.into(), backups);
        }
    }

    /// So much has been written.
    pub(super) fn count(&mut self, bytes: u64) {
        self.came += bytes;
    }

    /// Whether there is something to do in this turn: the files are to be looked at, or have not been to the end.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.work, Work::Nothing) || self.room.is_none_or(|room| self.came > room)
    }

    /// Looks at files, or removes what is too much, as far as one turn goes; `begin_anew` empties a log. Answers the logs that
    /// had to begin anew.
    pub(super) fn work(&mut self, begin_anew: &mut dyn FnMut(&str) -> io::Result<()>) -> Vec<String> {
        let mut emptied = Vec::new();
        let work = match std::mem::replace(&mut self.work, Work::Nothing) {
            Work::Nothing if self.is_busy() => self.begin(),
            Work::Looking(found, last) => self.look(found, last),
            work => work,
        };
        // In the turn of the last look too: what is rotated in a later one has another name then.
        self.work = match work {
            Work::Removing { total, backups, logs, renamed } => {
                self.remove((total, backups, logs, renamed), begin_anew, &mut emptied)
            }
            work => work,
        };
        emptied
    }

    fn begin(&mut self) -> Work {
        self.came = 0;
        self.look(Vec::new(), None)
    }

    fn look(&mut self, mut found: Vec<Found>, mut last: Option<Box<str>>) -> Work {
        let after = last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut looks = 0;
        for (path, backups) in self.logs.range::<str, _>((after.as_ref().map(|path| &**path), Bound::Unbounded)) {
            let files = files_of(path, *backups);
            looks += 1 + 2 * files.len();
            found.extend(files);
            if looks >= LOOKS_PER_TURN {
                return Work::Looking(found, Some(path.clone()));
            }
        }
        let total = found.iter().map(|file| file.size).sum();
        if total <= self.max {
            return self.finish(total);
        }
        let (mut logs, mut backups): (Vec<Found>, Vec<Found>) = found.into_iter().partition(|file| file.number == 0);
        crate::sort::by_key(&mut backups, |file| (file.changed, Reverse(file.number)));
        crate::sort::by_key(&mut logs, |file| Reverse(file.size));
        Work::Removing { total, backups: backups.into(), logs: logs.into(), renamed: false }
    }

    fn remove(
        &mut self,
        (mut total, mut backups, mut logs, mut renamed): (u64, VecDeque<Found>, VecDeque<Found>, bool),
        begin_anew: &mut dyn FnMut(&str) -> io::Result<()>,
        emptied: &mut Vec<String>,
    ) -> Work {
        let goal = self.max - self.max / SPARE_PART;
        for _ in 0..REMOVALS_PER_TURN {
            if total <= goal {
                return self.finish(total);
            }
            if let Some(backup) = backups.pop_front() {
                if !backup.is_there() {
                    renamed = true;
                } else if fs::remove_file(&backup.path).is_ok() {
                    total -= backup.size;
                }
            } else if renamed {
                return self.begin();
            } else if let Some(log) = logs.pop_front() {
                if begin_anew(&log.path).is_ok() {
                    total -= log.size;
                    emptied.push(log.path);
                }
            } else {
                return self.finish(total);
            }
        }
        Work::Removing { total, backups, logs, renamed }
    }

    fn finish(&mut self, total: u64) -> Work {
        self.room = Some(self.max.saturating_sub(total).max(SPARE_BYTES_MIN));
        Work::Nothing
    }
}

/// The log of that path and its backups, as far as they are there. A number that is missing ends them, for they go from the
/// last on.
fn files_of(path: &str, backups: u32) -> Vec<Found> {
    let mut found: Vec<Found> = look(path.to_string(), 0).into_iter().collect();
    for number in 1..=backups {
        let plain = look(format!("{path}.{number}"), number);
        let packed = look(compressed(path, number), number);
        if plain.is_none() && packed.is_none() {
            break;
        }
        found.extend(plain.into_iter().chain(packed));
    }
    found
}

fn look(path: String, number: u32) -> Option<Found> {
    let metadata = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
    let changed = (metadata.mtime(), metadata.mtime_nsec());
    Some(Found { path, size: metadata.len(), changed, number, inode: metadata.ino() })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::sys::scratch::Scratch;

    /// Makes a file that was changed so many seconds ago.
    fn make(path: &str, size: usize, age: u64) {
        fs::write(path, vec![b'x'; size]).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }

    #[test]
    fn k_9_the_oldest_backups_go_first_then_the_largest_log() {
        // The limit in kilobytes; what is left of a (1 and backups of 2 each), b (3, with a packed backup of 1), c (4).
        let rows: [(u64, &[&str], &[&str]); 6] = [
            (100, &["a", "a.1", "a.2", "b", "b.1.gz", "c"], &[]),
            (13, &["a", "a.1", "a.2", "b", "b.1.gz", "c"], &[]),
            (12, &["a", "a.1", "b", "b.1.gz", "c"], &[]),
            (11, &["a", "a.1", "b", "c"], &[]),
            (9, &["a", "b", "c"], &[]),
            (7, &["a", "b", "c"], &["c"]),
        ];
        for (max, left, emptied) in rows {
            let scratch = Scratch::new("log-total");
            let path = |name: &str| scratch.path(name);
            for (name, size, age) in
                [("a", 1, 0), ("a.1", 2, 10), ("a.2", 2, 30), ("b", 3, 0), ("b.1.gz", 1, 20), ("c", 4, 100)]
            {
                make(&path(name), size * 1000, age);
            }
            make(&path("a.x"), 100_000, 1000);
            let mut total = LogTotal::new(max * 1000);
            for (name, backups) in [("a", 10), ("b", 2), ("c", 0)] {
                total.add(&path(name), backups);
            }
            assert!(total.is_busy());
            let mut begun = Vec::new();
            while total.is_busy() {
                begun.extend(total.work(&mut |path| fs::write(path, "")));
            }
            let mut names: Vec<String> = fs::read_dir(scratch.path(""))
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            names.retain(|name| name != "a.x");
            names.sort();
            assert_eq!(names, left, "{max}");
            assert_eq!(begun, emptied.iter().map(|name| path(name)).collect::<Vec<_>>(), "{max}");
        }
    }

    #[test]
    fn k_9_what_is_rotated_meanwhile_is_found_again() {
        let scratch = Scratch::new("log-renamed");
        let path = |number: usize| scratch.path(&format!("a.{number}"));
        let count = 2 * REMOVALS_PER_TURN;
        make(&scratch.path("a"), 0, 0);
        (1..=count).for_each(|number| make(&path(number), 1000, number as u64));
        let mut total = LogTotal::new(3200);
        total.add(&scratch.path("a"), count as u32);
        assert!(total.work(&mut |_| unreachable!()).is_empty());
        (1..=count - REMOVALS_PER_TURN).rev().for_each(|n| fs::rename(path(n), path(n + 1)).unwrap());
        make(&path(1), 1000, 0);
        while total.is_busy() {
            assert!(total.work(&mut |_| unreachable!()).is_empty());
        }
        // None is left behind a number that is missing.
        let left: Vec<usize> = (1..=count).filter(|number| fs::exists(path(*number)).unwrap()).collect();
        assert_eq!(left, [1, 2, 3]);
    }

    #[test]
    fn k_9_files_are_looked_at_when_enough_has_come() {
        let scratch = Scratch::new("log-room");
        make(&scratch.path("a"), 200_000, 0);
        let mut total = LogTotal::new(400_000);
        total.add(&scratch.path("a"), 1);
        assert!(total.work(&mut |_| unreachable!()).is_empty());
        total.count(200_000);
        assert!(!total.is_busy());
        total.count(1);
        assert!(total.is_busy());
        // What cannot be removed is tried again, but not at each line.
        total.max = 1000;
        let refused = |_: &str| Err(io::ErrorKind::PermissionDenied.into());
        while total.is_busy() {
            assert!(total.work(&mut { refused }).is_empty());
        }
        total.count(SPARE_BYTES_MIN);
        assert!(!total.is_busy());
    }

    #[test]
    fn thousands_are_looked_at_over_turns() {
        let scratch = Scratch::new("log-many");
        let mut total = LogTotal::new(1000);
        for number in 0..3 * LOOKS_PER_TURN {
            total.add(&scratch.path(&format!("log-{number}")), 1);
        }
        let last = scratch.path("log-99");
        make(&last, 2000, 0);
        make(&format!("{last}.1"), 2000, 0);
        let (mut turns, mut emptied) = (0, Vec::new());
        while total.is_busy() {
            // What comes meanwhile counts from the beginning of the look on.
            total.count(1);
            emptied.extend(total.work(&mut |path| fs::write(path, "")));
            turns += 1;
        }
        assert!(turns > 3, "{turns}");
        assert_eq!((emptied, total.came), (vec![last.clone()], turns - 1));
        assert!(!fs::exists(format!("{last}.1")).unwrap());
    }
}
