//! Strings in the form that execve takes them, and the environment of a child (P-58).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString, c_char};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// A string held a zero byte, which no argument and no variable can contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZeroByte;

impl fmt::Display for ZeroByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The words in which the original fails.
        f.write_str("embedded null byte")
    }
}

/// Zero-terminated strings in one block: two allocations however many they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CStrings {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl CStrings {
    /// An argument vector for execve, in the order of the words; fails on a zero byte, which would end a word early.
    pub fn from_words<W: AsRef<[u8]>>(words: &[W]) -> Result<CStrings, ZeroByte> {
        let mut all = CStrings::default();
        for word in words {
            all.push(&[word.as_ref()])?;
        }
        Ok(all)
    }

    /// Appends one string, given in parts.
    pub fn push(&mut self, parts: &[&[u8]]) -> Result<(), ZeroByte> {
        if parts.iter().any(|part| part.contains(&0)) {
            return Err(ZeroByte);
        }
        self.starts.push(self.bytes.len());
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.bytes.push(0);
        Ok(())
    }

    /// A copy with room for more strings of these lengths, each with its zero byte.
    fn with_room(&self, more: impl ExactSizeIterator<Item = usize>) -> CStrings {
        let mut starts = Vec::with_capacity(self.starts.len() + more.len());
        starts.extend_from_slice(&self.starts);
        let mut bytes = Vec::with_capacity(self.bytes.len() + more.sum::<usize>());
        bytes.extend_from_slice(&self.bytes);
        CStrings { bytes, starts }
    }

    /// The strings without their zero bytes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.starts.iter().skip(1).copied().chain([self.bytes.len()]);
        self.starts.iter().zip(ends).map(|(start, end)| &self.bytes[*start..end - 1])
    }

    /// Pointers to each string and a null one after the last; valid while `self` is not changed.
    pub(super) fn pointers(&self) -> Vec<*const c_char> {
        let mut pointers = Vec::with_capacity(self.starts.len() + 1);
        pointers.extend(self.starts.iter().map(|start| self.bytes[*start..].as_ptr().cast()));
        pointers.push(std::ptr::null());
        pointers
    }
}

/// What a service manager says to the daemon alone, once there is a socket to tell it anything (K-2.11): a child that
/// found it could say that we are ready.
const OF_SERVICE_MANAGER: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// The daemon's own environment, read once.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
    /// The same as a child gets it, for the many that change nothing of it.
    encoded: CStrings,
}

impl Environment {
    /// That of this process, as far as it is for children.
    pub fn inherited() -> Environment {
        Environment::for_children(std::env::vars_os().collect())
    }

    fn for_children(mut all: Vec<(OsString, OsString)>) -> Environment {
        if all.iter().any(|(key, _)| key == "NOTIFY_SOCKET") {
            all.retain(|(key, _)| !OF_SERVICE_MANAGER.iter().any(|name| key == name));
        }
        Environment::from_variables(all)
    }

    fn from_variables(variables: Vec<(OsString, OsString)>) -> Environment {
        let mut encoded = CStrings::default();
        for (key, value) in &variables {
            // A variable that has come to us holds no zero byte.
            let _ = encoded.push(&[key.as_bytes(), b"=", value.as_bytes()]);
        }
        Environment { variables, encoded }
    }

    /// The value of a variable.
    pub fn get(&self, key: &str) -> Option<&OsStr> {
        self.variables.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_os_str())
    }

    /// The environment of a child: what `is_inherited` lets through of ours, overlaid by `pairs`, of which a later one wins
    /// over an earlier (P-58). What is redefined keeps its place, as in the original. Shape: `KEY=value` strings.
    pub fn overlaid(&self, is_inherited: impl Fn(&[u8]) -> bool, pairs: &[Pair<'_>]) -> Result<CStrings, ZeroByte> {
        if let Some(all) = self.extended(&is_inherited, pairs) {
            return all;
        }
        // Files may bring thousands.
        let mut last: BTreeMap<&[u8], (&[u8], bool)> =
            pairs.iter().map(|(key, value)| (*key, (*value, false))).collect();
        let mut all = CStrings::default();
        for (key, value) in self.variables.iter().filter(|(key, _)| is_inherited(key.as_bytes())) {
            let value = match last.get_mut(key.as_bytes()) {
                Some((value, is_placed)) => {
                    *is_placed = true;
                    *value
                }
                None => value.as_bytes(),
            };
            all.push(&[key.as_bytes(), b"=", value])?;
        }
        for (key, _) in pairs {
            if let Some((value, is_placed @ false)) = last.get_mut(key) {
                *is_placed = true;
                all.push(&[*key, b"=", *value])?;
            }
        }
        Ok(all)
    }

    /// The same where `pairs` only add to what is ours, which is then copied in one piece; `None` if they do more.
    fn extended(&self, is_inherited: impl Fn(&[u8]) -> bool, pairs: &[Pair<'_>]) -> Option<Result<CStrings, ZeroByte>> {
        let is_new = |at: usize, key: &[u8]| {
            let is_same = |other: &[u8]| other.len() == key.len() && other == key;
            !pairs[..at].iter().any(|(other, _)| is_same(other))
                && !self.variables.iter().any(|(other, _)| is_same(other.as_bytes()))
        };
        if pairs.len() > FEW_PAIRS
            || !pairs.iter().enumerate().all(|(at, (key, _))| is_new(at, key))
            || !self.variables.iter().all(|(key, _)| is_inherited(key.as_bytes()))
        {
            return None;
        }
        let mut all = self.encoded.with_room(pairs.iter().map(|(key, value)| key.len() + value.len() + 2));
        Some(pairs.iter().try_for_each(|(key, value)| all.push(&[*key, b"=", *value])).map(|()| all))
    }
}

/// Variables that are compared with each of ours one by one; more are worth a tree.
const FEW_PAIRS: usize = 16;

/// A variable and its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_pairs_win_in_the_place_of_earlier_ones() {
        let own = Environment::from_variables(vec![("A".into(), "1".into()), ("B".into(), "2".into())]);
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
        let rows: &[Row] = &[
            (&[], &["A=1", "B=2"]),
            (&[("B", "3")], &["A=1", "B=3"]),
            (&[("C", "x"), ("D", "")], &["A=1", "B=2", "C=x", "D="]),
            (&[("C", "x"), ("C", "y")], &["A=1", "B=2", "C=y"]),
            (&[("C", "x"), ("A", ""), ("C", "y=z")], &["A=", "B=2", "C=y=z"]),
        ];
        for (pairs, expected) in rows {
            let pairs: Vec<Pair> = pairs.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes())).collect();
            let made = own.overlaid(|_| true, &pairs).unwrap();
            let made: Vec<_> = made.iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect();
            assert_eq!(&made, expected, "{pairs:?}");
        }
        for key in [b"A", b"C"] {
            assert_eq!(own.overlaid(|_| true, &[(key, b"1\x002")]), Err(ZeroByte));
        }
        let some = own.overlaid(|key| key == b"B", &[(b"A", b"3"), (b"C", b"")]).unwrap();
        assert_eq!(some.iter().collect::<Vec<_>>(), [b"B=2".as_slice(), b"A=3", b"C="], "K-7 environment_inherit");
        assert_eq!(own.get("B"), Some(OsStr::new("2")));
    }

    #[test]
    fn what_a_service_manager_says_is_for_the_daemon_alone() {
        let all = |keys: &[&str]| keys.iter().map(|key| (OsString::from(key), OsString::new())).collect::<Vec<_>>();
        let rows: [(&[&str], &[&str]); 2] = [
            (&["A", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "B"], &["A", "B"]),
            (&["A", "LISTEN_FDS", "WATCHDOG_USEC"], &["A", "LISTEN_FDS", "WATCHDOG_USEC"]),
        ];
        for (keys, expected) in rows {
            let kept: Vec<OsString> =
                Environment::for_children(all(keys)).variables.into_iter().map(|(key, _)| key).collect();
            assert_eq!(kept, expected, "{keys:?}");
        }
    }

    #[test]
    fn words_end_in_a_null_pointer() {
        let words = CStrings::from_words(&["echo", "", "a b"]).unwrap();
        assert_eq!(words.iter().collect::<Vec<_>>(), [b"echo".as_slice(), b"", b"a b"]);
        let pointers = words.pointers();
        assert_eq!(pointers.len(), 4);
        assert!(pointers[3].is_null());
        assert_eq!(CStrings::default().pointers().len(), 1);
        assert_eq!(CStrings::default().iter().count(), 0);
    }
}
