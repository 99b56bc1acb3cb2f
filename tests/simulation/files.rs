//! The simulated files, and the rest of what the configuration asks of a system.

use std::collections::BTreeMap;
use std::io;

use stheno::config::Env;
use stheno::config::env::Account;

/// The main file of the configuration.
pub const MAIN_FILE: &str = "/etc/s.conf";

/// Bytes of a file; beyond it a log is begun anew, as when it is rotated.
const FILE_BYTES_MAX: usize = 100_000;

/// All files there are, by path.
#[derive(Default)]
pub struct Files {
    files: BTreeMap<String, (Vec<u8>, u64)>,
    inodes: u64,
    /// Reading the main file of the configuration fails.
    pub is_broken: bool,
}

impl Files {
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|(bytes, _)| bytes.as_slice())
    }

    pub fn inode(&self, path: &str) -> Option<u64> {
        self.files.get(path).map(|(_, inode)| *inode)
    }

    pub fn remove(&mut self, path: &str) {
        self.files.remove(path);
    }

    /// Puts a new file in the place of what there is.
    pub fn write(&mut self, path: &str, bytes: &[u8]) {
        self.inodes += 1;
        self.files.insert(path.to_string(), (bytes.to_vec(), self.inodes));
    }

    /// Appends to a log.
    pub fn append(&mut self, path: &str, bytes: &[u8]) {
        match self.files.get_mut(path) {
            Some((file, _)) if file.len() < FILE_BYTES_MAX => file.extend_from_slice(bytes),
            _ => self.write(path, bytes),
        }
    }
}

impl Env for Files {
    fn read_file(&self, path: &str) -> io::Result<Vec<u8>> {
        if self.is_broken && path == MAIN_FILE {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.get(path).map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &str) -> bool {
        self.is_dir(path) || self.files.contains_key(path)
    }

    fn is_dir(&self, path: &str) -> bool {
        ["/", "/etc", "/log", "/run", "/bin", "/tmp"].contains(&path)
    }

    fn is_writable_dir(&self, path: &str) -> bool {
        self.is_dir(path)
    }

    fn list_dir(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn cwd(&self) -> String {
        "/".to_string()
    }

    fn hostname(&self) -> String {
        "box".to_string()
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
