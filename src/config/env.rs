//! What the configuration asks of the system, as one trait: tests and the simulation answer it themselves.
//!
//! Paths are text: a path that the configuration can name is UTF-8, because the file is.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;

use super::paths;

/// An entry of the user database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: String,
}

/// What a process may have only so many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scarce {
    /// Open files of this process (RLIMIT_NOFILE).
    Descriptors,
    /// Processes of its user.
    Processes,
}

/// What tells one content of a file or folder from another without reading it: its number, its size, and when it was
/// changed, in seconds and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp(pub(crate) u64, pub(crate) u64, pub(crate) i64, pub(crate) i64);

/// A file that was read or a folder that was searched for a configuration, and how it was then; `None` if it was not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    pub(crate) path: String,
    pub(crate) stamp: Option<Stamp>,
}

/// Of so many files and folders is noted how they were: while a page is open they are looked at every two seconds.
const LOOKED_MAX: usize = 256;

/// An interface of the network, with its address.
#[cfg(feature = "fleet")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its name on this machine, such as `eth0`.
    pub name: String,
    /// Its first address of IPv4.
    pub address: std::net::Ipv4Addr,
    /// The mask of its network.
    pub netmask: std::net::Ipv4Addr,
}

/// The system, as far as the configuration looks at it. Nothing here changes anything.
pub trait Env {
    /// The bytes of a file.
    fn read_file(&self, path: &str) -> io::Result<Vec<u8>>;
    /// Whether the path names something, following symbolic links.
    fn exists(&self, path: &str) -> bool;
    /// Whether the path names a directory, following symbolic links.
    fn is_dir(&self, path: &str) -> bool;
    /// Whether the path names a regular file, following symbolic links.
    fn is_file(&self, path: &str) -> bool {
        self.exists(path) && !self.is_dir(path)
    }
    /// Whether two paths name the same file, however they are spelt.
    fn is_same_file(&self, one: &str, other: &str) -> bool {
        let cwd = self.cwd();
        paths::absolute(&cwd, one) == paths::absolute(&cwd, other)
    }
    /// Whether the path is a directory in which a file can be made.
    fn is_writable_dir(&self, path: &str) -> bool;
    /// Whether there is a directory for a file that is not there yet; a symbolic link is followed.
    fn has_home(&self, path: &str) -> bool {
        let directory = path.rsplit_once('/').map_or(".", |(directory, _)| directory);
        self.is_dir(if directory.is_empty() { "/" } else { directory })
    }
    /// How a file or folder is now; `None` if it is not there, or that cannot be told.
    fn stamp(&self, _path: &str) -> Option<Stamp> {
        None
    }
    /// Names in a directory, without `.` and `..`, in any order; empty when it cannot be listed.
    fn list_dir(&self, path: &str) -> Vec<String>;
    /// The working directory, absolute.
    fn cwd(&self) -> String;
    /// The node name of uname (C-68).
    fn hostname(&self) -> String;
    /// The environment as it was given to this process, in its order.
    fn variables(&self) -> Vec<(String, String)>;
    /// The real user id of this process.
    fn uid(&self) -> u32;
    /// A user by login name.
    fn user_by_name(&self, name: &str) -> Option<Account>;
    /// A user by number.
    fn user_by_id(&self, uid: u32) -> Option<Account>;
    /// The number of a group.
    fn group_by_name(&self, name: &str) -> Option<u32>;
    /// Whether a group of that number exists.
    fn group_exists(&self, gid: u32) -> bool;
    /// The interfaces of the network that are up, loopback left out, each with an address of IPv4.
    #[cfg(feature = "fleet")]
    fn nics(&self) -> Vec<Nic> {
        Vec::new()
    }
    /// The address of the hardware of the first of them, as it is written: `02:00:00:00:01:0b`.
    #[cfg(feature = "fleet")]
    fn hardware_address(&self) -> Option<String> {
        None
    }
    /// The most that a daemon started here can have, if so many are too many.
    fn too_many(&self, _: Scarce, _number: u64) -> Option<u64> {
        None
    }

    /// Replaces a leading `~` or `~user`; an unknown user leaves the path as it is.
    fn expand_user(&self, path: &str) -> String {
        let Some(rest) = path.strip_prefix('~') else { return path.to_string() };
        let (user, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let home = if user.is_empty() {
            self.variable("HOME").or_else(|| self.user_by_id(self.uid()).map(|account| account.home))
        } else {
            self.user_by_name(user).map(|account| account.home)
        };
        match home {
            None => path.to_string(),
            Some(home) => match format!("{}{tail}", home.trim_end_matches('/')) {
                whole if whole.is_empty() => "/".to_string(),
                whole => whole,
            },
        }
    }

    /// One variable of the environment.
    fn variable(&self, name: &str) -> Option<String> {
        self.variables().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// Remembers answers for the time of one load: hundreds of programs ask for the same users and directories. A relative
/// path means the same in each load of a daemon, even after the first, when it has changed its own directory.
pub(super) struct Memo<'a> {
    env: &'a dyn Env,
    cwd: &'a str,
    dirs: RefCell<HashMap<String, bool>>,
    users: RefCell<HashMap<String, Option<Account>>>,
    ids: RefCell<HashMap<u32, Option<Account>>>,
    looked: RefCell<Vec<Looked>>,
}

impl<'a> Memo<'a> {
    pub(super) fn new(env: &'a dyn Env, cwd: &'a str) -> Memo<'a> {
        let (dirs, users, ids, looked) = Default::default();
        Memo { env, cwd, dirs, users, ids, looked }
    }

    /// What was read and searched.
    pub(super) fn looked(self) -> Vec<Looked> {
        self.looked.into_inner()
    }

    /// Notes how something is before it is read, so that what changes it meanwhile is not missed.
    fn note(&self, path: &str) {
        let mut looked = self.looked.borrow_mut();
        if looked.len() < LOOKED_MAX && !looked.iter().any(|it| it.path == path) {
            looked.push(Looked { path: path.to_string(), stamp: self.env.stamp(path) });
        }
    }
}

impl Memo<'_> {
    /// A path as the system takes it. An empty one names nothing, wherever that is.
    fn located<'p>(&self, path: &'p str) -> Cow<'p, str> {
        if path.is_empty() || path.starts_with('/') { path.into() } else { paths::join(self.cwd, path).into() }
    }
}

impl Env for Memo<'_> {
    fn is_dir(&self, path: &str) -> bool {
        if let Some(known) = self.dirs.borrow().get(path) {
            return *known;
        }
        let answer = self.env.is_dir(&self.located(path));
        self.dirs.borrow_mut().insert(path.to_string(), answer);
        answer
    }

    fn user_by_name(&self, name: &str) -> Option<Account> {
        if let Some(known) = self.users.borrow().get(name) {
            return known.clone();
        }
        let answer = self.env.user_by_name(name);
        self.users.borrow_mut().insert(name.to_string(), answer.clone());
        answer
    }

    fn user_by_id(&self, uid: u32) -> Option<Account> {
        self.ids.borrow_mut().entry(uid).or_insert_with(|| self.env.user_by_id(uid)).clone()
    }

    fn read_file(&self, path: &str) -> io::Result<Vec<u8>> {
        let path = self.located(path);
        self.note(&path);
        self.env.read_file(&path)
    }

    fn exists(&self, path: &str) -> bool {
        self.env.exists(&self.located(path))
    }

    fn is_file(&self, path: &str) -> bool {
        self.env.is_file(&self.located(path))
    }

    fn is_same_file(&self, one: &str, other: &str) -> bool {
        self.env.is_same_file(&self.located(one), &self.located(other))
    }

    fn is_writable_dir(&self, path: &str) -> bool {
        self.env.is_writable_dir(&self.located(path))
    }

    fn stamp(&self, path: &str) -> Option<Stamp> {
        self.env.stamp(&self.located(path))
    }

    fn has_home(&self, path: &str) -> bool {
        self.env.has_home(&self.located(path))
    }

    fn list_dir(&self, path: &str) -> Vec<String> {
        let path = self.located(path);
        self.note(&path);
        self.env.list_dir(&path)
    }

    fn cwd(&self) -> String {
        self.cwd.to_string()
    }

    fn hostname(&self) -> String {
        self.env.hostname()
    }

    fn variables(&self) -> Vec<(String, String)> {
        self.env.variables()
    }

    fn uid(&self) -> u32 {
        self.env.uid()
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        self.env.group_by_name(name)
    }

    fn group_exists(&self, gid: u32) -> bool {
        self.env.group_exists(gid)
    }

    #[cfg(feature = "fleet")]
    fn nics(&self) -> Vec<Nic> {
        self.env.nics()
    }

    #[cfg(feature = "fleet")]
    fn hardware_address(&self) -> Option<String> {
        self.env.hardware_address()
    }

    fn too_many(&self, what: Scarce, number: u64) -> Option<u64> {
        self.env.too_many(what, number)
    }
}

/// A system in which there is nothing, for values that cannot depend on one.
pub(super) struct Nowhere;

impl Env for Nowhere {
    fn read_file(&self, _: &str) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn exists(&self, _: &str) -> bool {
        false
    }

    fn is_dir(&self, _: &str) -> bool {
        false
    }

    fn is_writable_dir(&self, _: &str) -> bool {
        false
    }

    fn list_dir(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn cwd(&self) -> String {
        "/".to_string()
    }

    fn hostname(&self) -> String {
        String::new()
    }

    fn variables(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn uid(&self) -> u32 {
        0
    }

    fn user_by_name(&self, _: &str) -> Option<Account> {
        None
    }

    fn user_by_id(&self, _: u32) -> Option<Account> {
        None
    }

    fn group_by_name(&self, _: &str) -> Option<u32> {
        None
    }

    fn group_exists(&self, _: u32) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn homes() {
        let mut env = Fake::new();
        env.set_variable("HOME", "/home/me/");
        let rows = [
            ("~", "/home/me"),
            ("~/x", "/home/me/x"),
            ("~nobody/x", "/nonexistent/x"),
            ("~nosuch/x", "~nosuch/x"),
            ("/a/~", "/a/~"),
            ("", ""),
        ];
        for (path, expected) in rows {
            assert_eq!(env.expand_user(path), expected, "{path:?}");
        }
        env.set_variable("HOME", "/");
        assert_eq!(env.expand_user("~"), "/");
    }
}
