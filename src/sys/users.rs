//! Users and groups: looking them up, and becoming one.
//!
//! A static glibc must not call getpwnam and its like: they load a second C library that may not fit. A static build
//! therefore reads /etc/passwd and /etc/group itself, as musl would anyway.

use std::rc::Rc;

use nix::unistd::{Gid, Uid};

/// A user of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name, the first field of a line of /etc/passwd.
    pub name: String,
    /// Numeric user id, which two names may share.
    pub uid: u32,
    /// Numeric id of the primary group.
    pub gid: u32,
}

/// The user of this process (the real one).
pub fn current_uid() -> u32 {
    Uid::current().as_raw()
}

fn current_gid() -> u32 {
    Gid::current().as_raw()
}

/// The user of that number.
pub fn by_uid(uid: u32) -> Option<Account> {
    lookup::user_by_id(uid)
}

/// What a login shell would find, of the user of that number (K-5).
pub fn login(uid: u32) -> Option<Login> {
    lookup::login(uid)
}

/// A user's name, home and shell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Login {
    pub name: String,
    pub home: String,
    pub shell: String,
}

/// How a process becomes a user: all that has to be looked up, found out beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It is that user already, or none was asked for: nothing to do, also for those who are not root (P-53).
    Keep,
    /// The system calls to make.
    Become {
        /// Numeric user id, set last: afterwards the groups could no longer be.
        uid: u32,
        /// Numeric id of the primary group.
        gid: u32,
        /// The primary group, then all groups that list the user.
        groups: Vec<u32>,
    },
    /// It cannot be, and the child has to say so.
    Refuse {
        /// The user asked for.
        uid: u32,
        /// The text of C-152.
        reason: String,
    },
}

/// Texts of C-152 for the steps of a switch; the last is ours, for the original has a traceback there.
pub(super) const NO_GROUPS: &str = "Could not set groups of effective user";
pub(super) const NO_GROUP: &str = "Could not set group id of effective user";
pub(super) const NO_USER: &str = "Could not set user id of effective user";

/// Whom a process is to become. What is `None` is the user's, by its entry or, without one, that of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunAs {
    /// Numeric user id; `None` to stay who we are.
    pub uid: Option<u32>,
    /// Numeric id of the group.
    pub gid: Option<u32>,
    /// All groups besides it.
    pub groups: Option<Rc<[u32]>>,
}

impl Switch {
    /// What it takes. A user without an entry has no groups but the one, which is the daemon's if none is given (K-5).
    pub fn to(target: &RunAs) -> Switch {
        let RunAs { uid, gid, groups } = target;
        let current = current_uid();
        if gid.is_none() && groups.is_none() && uid.is_none_or(|uid| uid == current) {
            return Switch::Keep;
        }
        let uid = uid.unwrap_or(current);
        if current != 0 {
            if uid == current && groups.is_none() && *gid == Some(current_gid()) {
                return Switch::Keep;
            }
            return Switch::Refuse { uid, reason: "Can't drop privilege as nonroot user".to_string() };
        }
        let account = by_uid(uid);
        let gid = gid.or(account.as_ref().map(|account| account.gid)).unwrap_or_else(current_gid);
        let of_entry = || account.map_or_else(Vec::new, |account| lookup::groups_of(&Account { gid, ..account }));
        let groups = groups.as_ref().map_or_else(of_entry, |groups| groups.to_vec());
        Switch::Become { uid, gid, groups }
    }
}

/// Becomes a user for good (C-152). Nothing is done when that is the user already, and no group is asked for.
///
/// Errors: the text of C-152. The groups may have been changed by then; the caller ends.
pub fn drop_privileges(uid: u32, gid: Option<u32>) -> Result<(), String> {
    match Switch::to(&RunAs { uid: Some(uid), gid, groups: None }) {
        Switch::Keep => Ok(()),
        Switch::Refuse { reason, .. } => Err(reason),
        Switch::Become { uid, gid, groups } => {
            let groups: Vec<Gid> = groups.into_iter().map(Gid::from_raw).collect();
            nix::unistd::setgroups(&groups).map_err(|_| NO_GROUPS)?;
            nix::unistd::setgid(Gid::from_raw(gid)).map_err(|_| NO_GROUP)?;
            nix::unistd::setuid(Uid::from_raw(uid)).map_err(|_| NO_USER)?;
            Ok(())
        }
    }
}

/// Whether [`drop_privileges`] may try; the error is its reason.
pub fn may_become(uid: u32, gid: Option<u32>) -> Result<(), String> {
    match Switch::to(&RunAs { uid: Some(uid), gid, groups: None }) {
        Switch::Refuse { reason, .. } => Err(reason),
        Switch::Keep | Switch::Become { .. } => Ok(()),
    }
}

/// Through the C library, and so through whatever nsswitch.conf names.
#[cfg(not(target_feature = "crt-static"))]
mod lookup {
    use std::ffi::CString;

    use nix::unistd::{Gid, Uid, User};

    use super::{Account, Login};

    fn account(user: User) -> Account {
        Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }
    }

    pub fn user_by_id(uid: u32) -> Option<Account> {
        User::from_uid(Uid::from_raw(uid)).ok().flatten().map(account)
    }

    pub fn login(uid: u32) -> Option<Login> {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten()?;
        let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        Some(Login { name: user.name, home: text(user.dir), shell: text(user.shell) })
    }

    pub fn groups_of(account: &Account) -> Vec<u32> {
        let primary = Gid::from_raw(account.gid);
        let listed =
            CString::new(account.name.as_str()).ok().and_then(|name| nix::unistd::getgrouplist(&name, primary).ok());
        // The primary group comes first in getgrouplist's answer.
        listed.unwrap_or_else(|| vec![primary]).into_iter().map(Gid::as_raw).collect()
    }
}

/// Users and groups from /etc/passwd and /etc/group, read anew at each question.
#[cfg(target_feature = "crt-static")]
mod lookup {
    use super::{Account, Login, tables};

    fn passwd() -> String {
        read("/etc/passwd")
    }

    fn groups() -> String {
        read("/etc/group")
    }

    fn read(path: &str) -> String {
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    pub fn user_by_id(uid: u32) -> Option<Account> {
        tables::accounts(&passwd()).find(|account| account.uid == uid)
    }

    pub fn login(uid: u32) -> Option<Login> {
        tables::login(&passwd(), uid)
    }

    pub fn groups_of(account: &Account) -> Vec<u32> {
        tables::groups_of(&groups(), account)
    }
}

/// The text of /etc/passwd and /etc/group.
#[cfg(any(test, target_feature = "crt-static"))]
mod tables {
    use super::{Account, Login};

    pub struct Group<'a> {
        pub name: &'a str,
        pub gid: u32,
        pub members: &'a str,
    }

    /// `name:password:uid:gid:…` lines; others are skipped.
    pub fn accounts(passwd: &str) -> impl Iterator<Item = Account> {
        passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            Some(Account { name: name.to_string(), uid: uid.parse().ok()?, gid: gid.parse().ok()? })
        })
    }

    /// The seven fields of a line are name, password, uid, gid, comment, home and shell.
    pub fn login(passwd: &str, uid: u32) -> Option<Login> {
        let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        fields.into_iter().find_map(|fields| match fields[..] {
            [name, _, number, _, _, home, shell] if number.parse() == Ok(uid) => {
                Some(Login { name: name.to_string(), home: home.to_string(), shell: shell.to_string() })
            }
            _ => None,
        })
    }

    /// `name:password:gid:member,member` lines; others are skipped.
    pub fn groups(group: &str) -> impl Iterator<Item = Group<'_>> {
        group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
            Some(Group { name, gid: gid.parse().ok()?, members: fields.next().unwrap_or("") })
        })
    }

    /// The primary group, then those that list the user.
    pub fn groups_of(group: &str, account: &Account) -> Vec<u32> {
        let mut all = vec![account.gid];
        for group in groups(group) {
            if group.members.split(',').any(|member| member == account.name) && !all.contains(&group.gid) {
                all.push(group.gid);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_its_number() {
        assert_eq!(by_uid(0), Some(Account { name: "root".to_string(), uid: 0, gid: 0 }));
        assert_eq!(by_uid(4_000_000_001), None);
    }

    #[test]
    fn tables_are_read() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n\n# note\nbad:x:one:1::\nann:x:1000:100::/home/ann:\n";
        let group = "root:x:0:\nusers:x:100:ann\nwheel:x:10:bob,ann\nann2:x:11:annie\nshort:x:12\n";
        let accounts: Vec<_> =
            tables::accounts(passwd).map(|account| (account.name, account.uid, account.gid)).collect();
        assert_eq!(accounts, [("root".to_string(), 0, 0), ("ann".to_string(), 1000, 100)]);
        let groups: Vec<_> = tables::groups(group).map(|group| (group.name, group.gid)).collect();
        assert_eq!(groups, [("root", 0), ("users", 100), ("wheel", 10), ("ann2", 11), ("short", 12)]);
        let ann = Account { name: "ann".to_string(), uid: 1000, gid: 100 };
        assert_eq!(tables::groups_of(group, &ann), [100, 10]);
        let passwd = format!("{passwd}bob:x:1001:100:B:/home/bob:/bin/bash\n");
        let bob = Login { name: "bob".to_string(), home: "/home/bob".to_string(), shell: "/bin/bash".to_string() };
        assert_eq!([tables::login(&passwd, 1001), tables::login(&passwd, 1002)], [Some(bob), None]);
        assert_eq!(login(0).map(|login| login.home), Some("/root".to_string()));
    }

    #[test]
    fn whom_a_process_becomes() {
        let to = |uid: Option<u32>, gid: Option<u32>, groups: Option<&[u32]>| {
            Switch::to(&RunAs { uid, gid, groups: groups.map(Rc::from) })
        };
        assert_eq!([to(None, None, None), to(Some(current_uid()), None, None)], [Switch::Keep, Switch::Keep]);
        assert_eq!(drop_privileges(current_uid(), None), Ok(()));
        if current_uid() != 0 {
            let reason = "Can't drop privilege as nonroot user".to_string();
            assert_eq!(to(Some(0), None, None), Switch::Refuse { uid: 0, reason });
            return;
        }
        let made = |uid, gid, groups: &[u32]| Switch::Become { uid, gid, groups: groups.to_vec() };
        let rows = [
            (to(Some(4_000_000_001), None, None), made(4_000_000_001, current_gid(), &[])),
            (to(Some(4_000_000_001), Some(23), None), made(4_000_000_001, 23, &[])),
            (to(Some(4_000_000_001), Some(23), Some(&[5, 6])), made(4_000_000_001, 23, &[5, 6])),
            (to(None, None, Some(&[5])), made(0, 0, &[5])),
            (to(Some(0), Some(0), Some(&[])), made(0, 0, &[])),
        ];
        for (got, expected) in rows {
            assert_eq!(got, expected);
        }
        // The user `daemon`, where there is one.
        if let Some(daemon) = by_uid(1) {
            assert_eq!(to(Some(daemon.uid), None, None), made(daemon.uid, daemon.gid, &[daemon.gid]));
            assert_eq!(to(Some(daemon.uid), Some(77), None), made(daemon.uid, 77, &[77]));
        }
    }
}
