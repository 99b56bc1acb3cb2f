//! An [`Env`] made of tables, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::cmdline::CommandLine;
use super::env::{Account, Env, Scarce};
use super::error::ConfigError;
use super::load::Loader;
use super::loaded::Config;
use super::paths;

/// A machine with root (0), nobody (65534), daemon (1), the directories `/`, `/tmp`, `/etc`, and `/base` as the
/// working directory.
#[derive(Clone, Debug)]
pub struct Fake {
    /// Files by absolute path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Directories by absolute path.
    pub dirs: BTreeSet<String>,
    pub variables: BTreeMap<String, String>,
    pub cwd: String,
    pub uid: u32,
    /// The most descriptors and processes that there can be.
    pub most: u64,
    users: Vec<Account>,
}

impl Default for Fake {
    fn default() -> Fake {
        Fake::new()
    }
}

impl Fake {
    /// The machine described above.
    pub fn new() -> Fake {
        let account = |name: &str, uid, home: &str| Account { name: name.into(), uid, gid: uid, home: home.into() };
        Fake {
            files: BTreeMap::new(),
            dirs: ["/", "/tmp", "/etc", "/base"].map(String::from).into(),
            variables: BTreeMap::new(),
            cwd: "/base".to_string(),
            uid: 0,
            most: u64::MAX,
            users: vec![
                account("root", 0, "/root"),
                account("daemon", 1, "/usr/sbin"),
                account("nobody", 65534, "/nonexistent"),
            ],
        }
    }

    /// Puts a file there, and the directories above it.
    pub fn write(&mut self, path: &str, text: impl AsRef<[u8]>) {
        let path = paths::absolute(&self.cwd, path);
        let mut dir = paths::dirname(&path);
        while self.dirs.insert(dir.to_string()) {
            dir = paths::dirname(dir);
        }
        self.files.insert(path, text.as_ref().to_vec());
    }

    /// Sets a variable of the environment.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_string(), value.to_string());
    }

    /// Loads a text as the file `F` of the working directory.
    pub fn load(&mut self, text: &str) -> Result<Config, ConfigError> {
        self.loader(text).load(self)
    }

    /// A loader of a text as the file `F` of the working directory.
    pub fn loader(&mut self, text: &str) -> Loader {
        self.write("F", text);
        let command_line = CommandLine { configuration: Some("F".to_string()), ..CommandLine::default() };
        Loader::new("sd", command_line, self)
    }

    fn at(&self, path: &str) -> String {
        paths::absolute(&self.cwd, path)
    }
}

impl Env for Fake {
    fn read_file(&self, path: &str) -> io::Result<Vec<u8>> {
        self.files.get(&self.at(path)).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &str) -> bool {
        self.is_dir(path) || self.files.contains_key(&self.at(path))
    }

    fn is_dir(&self, path: &str) -> bool {
        !path.is_empty() && self.dirs.contains(&self.at(path))
    }

    fn is_writable_dir(&self, path: &str) -> bool {
        self.is_dir(path)
    }

    fn list_dir(&self, path: &str) -> Vec<String> {
        let path = self.at(path);
        let below = if path == "/" { path } else { format!("{path}/") };
        let all = self.files.keys().chain(&self.dirs);
        all.filter_map(|entry| entry.strip_prefix(&below))
            .filter(|name| !name.is_empty() && !name.contains('/'))
            .map(str::to_string)
            .collect()
    }

    fn cwd(&self) -> String {
        self.cwd.clone()
    }

    fn hostname(&self) -> String {
        "box".to_string()
    }

    fn variables(&self) -> Vec<(String, String)> {
        self.variables.clone().into_iter().collect()
    }

    fn uid(&self) -> u32 {
        self.uid
    }

    fn user_by_name(&self, name: &str) -> Option<Account> {
        self.users.iter().find(|user| user.name == name).cloned()
    }

    fn user_by_id(&self, uid: u32) -> Option<Account> {
        self.users.iter().find(|user| user.uid == uid).cloned()
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        self.user_by_name(name).map(|user| user.gid)
    }

    #[cfg(feature = "fleet")]
    fn nics(&self) -> Vec<super::env::Nic> {
        let (address, netmask) = ([10, 0, 0, 1].into(), [255, 255, 255, 0].into());
        vec![super::env::Nic { name: "eth0".to_string(), address, netmask }]
    }

    fn too_many(&self, _: Scarce, number: u64) -> Option<u64> {
        (number > self.most).then_some(self.most)
    }

    fn group_exists(&self, gid: u32) -> bool {
        self.users.iter().any(|user| user.gid == gid)
    }
}
