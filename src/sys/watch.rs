//! Noticing that files change, for whoever follows them: one inotify instance for all.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// What tells that a file grew, was truncated, or went with its name.
const OF_FILE: AddWatchFlags = AddWatchFlags::IN_MODIFY
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_DELETE_SELF);

/// What tells that a file of that name may be there anew.
const OF_FOLDER: AddWatchFlags = AddWatchFlags::IN_CREATE.union(AddWatchFlags::IN_MOVED_TO);

/// Files being watched; `K` says for whom.
#[derive(Debug)]
pub struct Watches<K> {
    inotify: Inotify,
    readers: BTreeMap<WatchKey, BTreeSet<K>>,
    watched: BTreeMap<K, Vec<WatchDescriptor>>,
}

/// A watch descriptor is only comparable; its debug form is its number.
type WatchKey = String;

fn key(watch: WatchDescriptor) -> WatchKey {
    format!("{watch:?}")
}

impl<K: Copy + Ord> Watches<K> {
    /// An instance that watches nothing.
    pub fn new() -> std::io::Result<Watches<K>> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        Ok(Watches { inotify, readers: BTreeMap::new(), watched: BTreeMap::new() })
    }

    /// Watches a file for somebody, in place of what was watched for him before. A file that is not there is watched
    /// for through its folder.
    pub fn watch(&mut self, reader: K, path: &str) {
        self.forget(reader);
        let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let added = [self.inotify.add_watch(Path::new(path), OF_FILE), self.inotify.add_watch(folder, OF_FOLDER)];
        let watches: Vec<WatchDescriptor> = added.into_iter().flatten().collect();
        for watch in &watches {
            self.readers.entry(key(*watch)).or_default().insert(reader);
        }
        self.watched.insert(reader, watches);
    }

    /// Watches nothing for somebody any more.
    pub fn forget(&mut self, reader: K) {
        for watch in self.watched.remove(&reader).unwrap_or_default() {
            let Some(readers) = self.readers.get_mut(&key(watch)) else { continue };
            readers.remove(&reader);
            if readers.is_empty() {
                self.readers.remove(&key(watch));
                // It is gone already if its file is.
                let _ = self.inotify.rm_watch(watch);
            }
        }
    }

    /// For whom something changed since the last call.
    pub fn changed(&mut self) -> BTreeSet<K> {
        let mut changed = BTreeSet::new();
        // More events than fit one read stand in the queue until WouldBlock.
        while let Ok(events) = self.inotify.read_events() {
            if events.is_empty() {
                break;
            }
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    changed.extend(self.watched.keys().copied());
                }
                if let Some(readers) = self.readers.get(&key(event.wd)) {
                    changed.extend(readers.iter().copied());
                }
            }
        }
        changed
    }
}

impl<K> AsFd for Watches<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn changes_are_noticed_by_those_who_watch() {
        let scratch = Scratch::new("watch");
        let (one, two) = (scratch.path("one"), scratch.path("two"));
        std::fs::write(&one, "a").unwrap();
        let mut watches = Watches::new().unwrap();
        watches.watch(1, &one);
        watches.watch(2, &one);
        watches.watch(3, &two);
        assert_eq!(watches.changed(), BTreeSet::new());
        std::fs::write(&one, "ab").unwrap();
        assert_eq!(watches.changed(), BTreeSet::from([1, 2]));
        watches.forget(2);
        std::fs::write(&one, "abc").unwrap();
        assert_eq!(watches.changed(), BTreeSet::from([1]));
        // A file that was not there yet shows through its folder, to all who watch something in it.
        std::fs::write(&two, "x").unwrap();
        assert!(watches.changed().contains(&3));
        watches.watch(3, &two);
        std::fs::remove_file(&two).unwrap();
        assert!(watches.changed().contains(&3));
    }
}
