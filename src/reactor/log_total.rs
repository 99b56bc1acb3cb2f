//! All logs together, within `log_total_max` (K-9): the oldest backups go first, whose they ever are; when there are none
//! left, the largest log begins anew.
//!
//! What is written is counted, and the files are looked at only when so much has come that they may be too many. Without the
//! option there is nothing of this.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use crate::logs::file::compressed;

/// What is left free after some files had to go, as a part of the whole: so much may come before the files are looked at again.
const SPARE_PART: u64 = 16;

/// Bytes that may come at least between two looks: a limit of some bytes must not make us look at each line.
const SPARE_BYTES_MIN: u64 = 64 * 1024;

/// Logs that are minded. More than there are processes on any machine; those beyond are rotated by their own limits.
const LOGS_MAX: usize = 16 * 1024;

/// The logs and the limit.
pub(super) struct LogTotal {
    max: u64,
    /// Bytes that may still come before the files are looked at.
    room: u64,
    /// Paths, and how many backups each may have. They stay known after a program has ended, for their files stay.
    logs: BTreeMap<Box<str>, u32>,
    is_due: bool,
}

/// A file of a log that is there.
struct Found {
    path: String,
    size: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
    /// 0 for the log itself.
    number: u32,
}

impl LogTotal {
    pub(super) fn new(max: u64) -> LogTotal {
        LogTotal { max, room: 0, logs: BTreeMap::new(), is_due: true }
    }

    /// A log is opened.
    pub(super) fn add(&mut self, path: &str, backups: u32) {
        if self.logs.len() < LOGS_MAX || self.logs.contains_key(path) {
            self.logs.insert(path.into(), backups);
        }
    }

    /// So much has been written.
    pub(super) fn count(&mut self, bytes: u64) {
        self.is_due |= bytes > self.room;
        self.room = self.room.saturating_sub(bytes);
    }

    /// Whether the files are to be looked at.
    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Looks at the files and removes what is too much; `begin_anew` empties a log. Answers the logs that had to begin anew.
    pub(super) fn make_room(&mut self, begin_anew: &mut dyn FnMut(&str) -> io::Result<()>) -> Vec<String> {
        self.is_due = false;
        let mut found: Vec<Found> = self.logs.iter().flat_map(|(path, backups)| files_of(path, *backups)).collect();
        let mut total: u64 = found.iter().map(|file| file.size).sum();
        let mut emptied = Vec::new();
        if total > self.max {
            let goal = self.max - self.max / SPARE_PART;
            found.sort_by_key(|file| (file.number == 0, file.changed, Reverse(file.number)));
            let backups = found.iter().filter(|file| file.number > 0);
            for file in backups {
                if total <= goal {
                    break;
                }
                if fs::remove_file(&file.path).is_ok() {
                    total -= file.size;
                }
            }
            let mut logs: Vec<&Found> = found.iter().filter(|file| file.number == 0).collect();
            logs.sort_by_key(|file| Reverse(file.size));
            for file in logs {
                if total <= goal {
                    break;
                }
                if begin_anew(&file.path).is_ok() {
                    total -= file.size;
                    emptied.push(file.path.clone());
                }
            }
        }
        self.room = self.max.saturating_sub(total).max(SPARE_BYTES_MIN);
        emptied
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
    Some(Found { path, size: metadata.len(), changed: (metadata.mtime(), metadata.mtime_nsec()), number })
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
            assert!(total.is_due());
            let begun = total.make_room(&mut |path| fs::write(path, ""));
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
    fn k_9_files_are_looked_at_when_enough_has_come() {
        let scratch = Scratch::new("log-room");
        make(&scratch.path("a"), 200_000, 0);
        let mut total = LogTotal::new(400_000);
        total.add(&scratch.path("a"), 1);
        assert!(total.make_room(&mut |_| unreachable!()).is_empty());
        total.count(200_000);
        assert!(!total.is_due());
        total.count(1);
        assert!(total.is_due());
        // What cannot be removed is tried again, but not at each line.
        total.max = 1000;
        let refused = |_: &str| Err(io::ErrorKind::PermissionDenied.into());
        assert!(total.make_room(&mut { refused }).is_empty());
        total.count(SPARE_BYTES_MIN);
        assert!(!total.is_due());
    }
}
