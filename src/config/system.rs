//! The real [`Env`]: the file system, the environment and the user database of this machine.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::accounts;
use super::env::{Account, Env, Scarce, Stamp};

/// Longest configuration file read. The largest sane one (100 000 programs) has some 20 MB; anything longer is a
/// device or a mistake.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Symbolic links followed for one path, as many as Linux follows.
const LINKS_MAX: usize = 40;

/// Whether somebody is served by now, and must not be held up by a file.
static SERVES: AtomicBool = AtomicBool::new(false);

/// From here on only regular files are read: a pipe or a terminal may take for ever to say something, or have said it.
pub fn wait_for_no_file() {
    SERVES.store(true, Ordering::Relaxed);
}

/// The system this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnv;

impl Env for SystemEnv {
    fn read_file(&self, path: &str) -> io::Result<Vec<u8>> {
        let file = if SERVES.load(Ordering::Relaxed) { open_regular(path)? } else { File::open(path)? };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "configuration file too large"));
        }
        Ok(bytes)
    }

    fn exists(&self, path: &str) -> bool {
        std::fs::metadata(path).is_ok()
    }

    fn is_dir(&self, path: &str) -> bool {
        std::fs::metadata(path).is_ok_and(|entry| entry.is_dir())
    }

    fn is_file(&self, path: &str) -> bool {
        std::fs::metadata(path).is_ok_and(|entry| entry.is_file())
    }

    fn is_same_file(&self, one: &str, other: &str) -> bool {
        let identity = |path: &str| std::fs::metadata(path).ok().map(|entry| (entry.dev(), entry.ino()));
        one == other || identity(one).is_some_and(|known| identity(other) == Some(known))
    }

    fn stamp(&self, path: &str) -> Option<Stamp> {
        let entry = std::fs::metadata(path).ok()?;
        Some(Stamp(entry.ino(), entry.size(), entry.mtime(), entry.mtime_nsec()))
    }

    fn is_writable_dir(&self, path: &str) -> bool {
        use nix::unistd::{AccessFlags, access};
        self.is_dir(path) && access(path, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
    }

    fn has_home(&self, path: &str) -> bool {
        let mut path = PathBuf::from(path);
        for _ in 0..LINKS_MAX {
            let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
            let directory = directory.unwrap_or(Path::new("."));
            match std::fs::read_link(&path) {
                Ok(target) => path = directory.join(target),
                Err(_) => return directory.is_dir(),
            }
        }
        false
    }

    fn list_dir(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    fn cwd(&self) -> String {
        match std::env::current_dir() {
            Ok(path) => path.to_string_lossy().into_owned(),
            // The directory was removed under us; every relative path is lost anyway.
            Err(_) => "/".to_string(),
        }
    }

    fn hostname(&self) -> String {
        // uname(2) without unsafe code; /proc may be missing in a bare chroot.
        let text = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .or_else(|_| std::fs::read_to_string("/etc/hostname"))
            .unwrap_or_default();
        text.trim_end().to_string()
    }

    fn variables(&self) -> Vec<(String, String)> {
        std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect()
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn uid(&self) -> u32 {
        nix::unistd::getuid().as_raw()
    }

    fn user_by_name(&self, name: &str) -> Option<Account> {
        accounts::users(&database("/etc/passwd")).find(|user| user.name == name).or_else(|| service::user_by_name(name))
    }

    fn user_by_id(&self, uid: u32) -> Option<Account> {
        accounts::users(&database("/etc/passwd")).find(|user| user.uid == uid).or_else(|| service::user_by_id(uid))
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        let found = accounts::groups(&database("/etc/group")).find(|group| group.name == name);
        found.map(|group| group.gid).or_else(|| service::group_by_name(name))
    }

    #[cfg(feature = "fleet")]
    fn nics(&self) -> Vec<super::env::Nic> {
        use nix::net::if_::InterfaceFlags;
        let Ok(addresses) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
        let mut nics: Vec<super::env::Nic> = Vec::new();
        for one in addresses {
            let is_wanted =
                one.flags.contains(InterfaceFlags::IFF_UP) && !one.flags.contains(InterfaceFlags::IFF_LOOPBACK);
            let Some(address) = one.address.as_ref().and_then(|address| address.as_sockaddr_in()).filter(|_| is_wanted)
            else {
                continue;
            };
            let netmask = one.netmask.as_ref().and_then(|mask| mask.as_sockaddr_in()).map(|mask| mask.ip());
            if nics.iter().all(|known| known.name != one.interface_name) {
                let netmask = netmask.unwrap_or(std::net::Ipv4Addr::BROADCAST);
                nics.push(super::env::Nic { name: one.interface_name, address: address.ip(), netmask });
            }
        }
        nics
    }

    #[cfg(feature = "fleet")]
    fn hardware_address(&self) -> Option<String> {
        let first = self.nics().into_iter().next()?;
        let mut addresses = nix::ifaddrs::getifaddrs().ok()?.filter(|one| one.interface_name == first.name);
        let bytes = addresses.find_map(|one| one.address?.as_link_addr()?.addr())?;
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(digits.join(":"))
    }

    #[allow(clippy::unnecessary_cast, reason = "limits have 32 bits on some processors")]
    fn too_many(&self, what: Scarce, number: u64) -> Option<u64> {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let resource = match what {
            Scarce::Descriptors => Resource::RLIMIT_NOFILE,
            Scarce::Processes => Resource::RLIMIT_NPROC,
        };
        let (soft, hard) = getrlimit(resource).ok()?;
        // Limits have 32 bits on some processors, where more than those is none.
        let number = number.min(libc::rlim_t::MAX as u64) as libc::rlim_t;
        if number <= hard {
            return None;
        }
        // In a container root may be somebody who cannot raise it, and only trying tells.
        let is_raised = setrlimit(resource, soft, number).is_ok();
        if is_raised {
            let _ = setrlimit(resource, soft, hard);
        }
        (!is_raised).then_some(hard as u64)
    }

    fn group_exists(&self, gid: u32) -> bool {
        accounts::groups(&database("/etc/group")).any(|group| group.gid == gid) || service::group_exists(gid)
    }
}

/// Opens a regular file without waiting for anybody. Errors: `Unsupported` for anything else.
fn open_regular(path: &str) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "it is no regular file"));
    }
    Ok(file)
}

/// A user database file; comments in it need not be UTF-8.
fn database(path: &str) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Users who stand in no file (LDAP, systemd): only a dynamically linked executable may ask for them.
#[cfg(not(target_feature = "crt-static"))]
mod service {
    use super::Account;
    use nix::unistd::{Gid, Group, Uid, User};

    fn account(user: User) -> Account {
        let home = user.dir.to_string_lossy().into_owned();
        Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), home }
    }

    pub(super) fn user_by_name(name: &str) -> Option<Account> {
        User::from_name(name).ok().flatten().map(account)
    }

    pub(super) fn user_by_id(uid: u32) -> Option<Account> {
        User::from_uid(Uid::from_raw(uid)).ok().flatten().map(account)
    }

    pub(super) fn group_by_name(name: &str) -> Option<u32> {
        Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
    }

    pub(super) fn group_exists(gid: u32) -> bool {
        Group::from_gid(Gid::from_raw(gid)).ok().flatten().is_some()
    }
}

/// The files are all there is in a static executable.
#[cfg(target_feature = "crt-static")]
mod service {
    use super::Account;

    pub(super) fn user_by_name(_: &str) -> Option<Account> {
        None
    }

    pub(super) fn user_by_id(_: u32) -> Option<Account> {
        None
    }

    pub(super) fn group_by_name(_: &str) -> Option<u32> {
        None
    }

    pub(super) fn group_exists(_: u32) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_and_nobody_else_by_accident() {
        assert_eq!(SystemEnv.user_by_name("root").map(|user| user.uid), Some(0));
        assert_eq!(SystemEnv.user_by_id(0).map(|user| user.name), Some("root".to_string()));
        assert_eq!(SystemEnv.user_by_name("no such user"), None);
        assert_eq!(SystemEnv.group_by_name("root"), Some(0));
        assert!(SystemEnv.group_exists(0));
        assert!(!SystemEnv.group_exists(4_000_000_001));
    }

    #[test]
    fn the_file_system_is_seen() {
        assert!(SystemEnv.is_dir("/") && SystemEnv.exists("/"));
        assert!(!SystemEnv.exists("/no/such/path"));
        assert!(SystemEnv.list_dir("/").contains(&"etc".to_string()));
        assert!(SystemEnv.list_dir("/no/such/path").is_empty());
        assert!(SystemEnv.read_file("/").is_err());
        assert!(SystemEnv.cwd().starts_with('/'));
    }

    #[test]
    fn nothing_but_regular_files_is_opened_while_others_are_served() {
        let folder = std::env::temp_dir().join(format!("stheno-regular-{}", std::process::id()));
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        std::fs::create_dir_all(&folder).unwrap();
        nix::unistd::mkfifo(path("fifo").as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::fs::write(path("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        use io::ErrorKind::{NotFound, Unsupported};
        let rows = [
            ("fifo", Some(Unsupported)),
            ("file", None),
            ("link", None),
            ("", Some(Unsupported)),
            ("no", Some(NotFound)),
        ];
        let found = rows.map(|(name, _)| (name, open_regular(&path(name)).err().map(|error| error.kind())));
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, rows);
        assert_eq!(open_regular("/dev/null").err().map(|error| error.kind()), Some(Unsupported));
    }

    #[test]
    fn a_file_has_a_home_where_its_links_lead() {
        let folder = std::env::temp_dir().join(format!("stheno-home-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        for (link, target) in [("good", "sub/file"), ("chain", "good"), ("bad", "nowhere/file"), ("loop", "loop")] {
            std::os::unix::fs::symlink(target, folder.join(link)).unwrap();
        }
        let rows =
            [("file", true), ("good", true), ("chain", true), ("bad", false), ("loop", false), ("nowhere/x", false)];
        let found = rows.map(|(name, _)| (name, SystemEnv.has_home(&folder.join(name).to_string_lossy())));
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, rows);
    }
}
