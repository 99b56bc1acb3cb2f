//! The lines of `/etc/passwd` and `/etc/group`.
//!
//! Read here and not through the C library, because a static executable must not ask it: name service modules
//! would load a second C library into the process.

use super::env::Account;

/// A line of `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEntry {
    pub name: String,
    pub gid: u32,
    /// Login names of the users listed in it.
    pub members: Vec<String>,
}

/// The users of a passwd file. Shape of a line: `name:password:uid:gid:comment:home:shell`; others are skipped.
pub fn users(passwd: &str) -> impl Iterator<Item = Account> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1).unwrap_or_default();
        Some(Account { name: name.to_string(), uid, gid, home: home.to_string() })
    })
}

/// The groups of a group file. Shape of a line: `name:password:gid:member,member`; others are skipped.
pub fn groups(group: &str) -> impl Iterator<Item = GroupEntry> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = fields.nth(1)?.parse().ok()?;
        let members = fields.next().unwrap_or_default();
        let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_string).collect();
        Some(GroupEntry { name: name.to_string(), gid, members })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_entries_are_skipped() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n\n# note\n+::::::\nbad:x:y:0::/:\nnobody:x:65534:65533\n";
        let all: Vec<_> = users(passwd).map(|u| (u.name, u.uid, u.gid, u.home)).collect();
        assert_eq!(
            all,
            [("root".to_string(), 0, 0, "/root".to_string()), ("nobody".to_string(), 65534, 65533, String::new())]
        );
        let group = "root:x:0:\nadm:x:4:syslog,ubuntu\nshort:x\n";
        let all: Vec<_> = groups(group).map(|g| (g.name, g.gid, g.members.join(" "))).collect();
        assert_eq!(all, [("root".to_string(), 0, String::new()), ("adm".to_string(), 4, "syslog ubuntu".to_string())]);
    }
}
