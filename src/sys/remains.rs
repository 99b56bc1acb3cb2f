//! What is left of a child that has ended: the processes of its group, of the tree below it, of those that we adopted.
//!
//! All of it comes from /proc. A process is named by its pid together with the moment of its start, for a pid alone may
//! belong to somebody else a moment later.

use std::collections::{BTreeMap, BTreeSet};

use nix::errno::Errno;

use super::process;
use crate::id::Pid;

/// Entries of /proc that one look goes through. Twice as many processes as most kernels allow.
const PROCESSES_MAX: usize = 65_536;

/// Processes that one run may leave behind; more are not told one by one.
pub const REMNANTS_MAX: usize = 1024;

/// Bytes of an environment that are read: ours stand at its beginning.
const ENVIRONMENT_BYTES_MAX: u64 = 64 * 1024;

/// A living process that belongs to a run, found in /proc or a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remnant {
    /// Its number, which another may have later.
    pub pid: Pid,
    /// The number of its process group.
    pub group: Pid,
    /// When it started, in the kernel's ticks.
    pub started: u64,
}

/// A row of the process table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    member: Remnant,
    parent: i32,
    /// It has ended and was not reaped.
    is_dead: bool,
}

/// All processes, as they were when somebody looked.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Reads it; `None` without /proc.
    pub fn read() -> Option<Table> {
        let rows: Vec<Row> = pids()?.filter_map(row).collect();
        (!rows.is_empty()).then_some(Table { rows })
    }

    /// The living processes of a group.
    pub fn of_group(&self, group: Pid) -> Vec<Remnant> {
        let found = self.rows.iter().filter(|row| row.member.group == group && !row.is_dead);
        found.map(|row| row.member).take(REMNANTS_MAX).collect()
    }

    /// The living processes below one.
    pub fn below(&self, pid: Pid) -> Vec<Remnant> {
        self.trees(vec![pid.0], &BTreeSet::from([pid.0]))
    }

    /// The living processes below some; `but` are left out, and not gone through but as a root.
    fn trees(&self, mut roots: Vec<i32>, but: &BTreeSet<i32>) -> Vec<Remnant> {
        let mut children: BTreeMap<i32, Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            children.entry(row.parent).or_default().push(row);
        }
        let mut seen = but.clone();
        let mut found = Vec::new();
        while let Some(parent) = roots.pop() {
            for row in children.get(&parent).into_iter().flatten() {
                if found.len() < REMNANTS_MAX && seen.insert(row.member.pid.0) {
                    found.extend((!row.is_dead).then_some(row.member));
                    roots.push(row.member.pid.0);
                }
            }
        }
        found
    }

    /// What is left of a run whose group has this number: the group, those `known` that still live, those below them, and
    /// those that became our children and have its names in their environment, unless `is_ours` knows better.
    pub fn left_of(
        &self,
        group: Pid,
        known: &[Remnant],
        names: (&str, &str),
        is_ours: &dyn Fn(Pid) -> bool,
    ) -> Vec<Remnant> {
        let me = std::process::id() as i32;
        let is_known = |row: &&Row| known.contains(&row.member) && !row.is_dead;
        let is_adopted = |row: &&Row| {
            row.parent == me && !row.is_dead && !is_ours(row.member.pid) && has_names(row.member.pid, names)
        };
        let is_meant = |row: &&Row| row.member.group == group && !row.is_dead || is_known(row) || is_adopted(row);
        let mut left: Vec<Remnant> =
            self.rows.iter().filter(is_meant).map(|row| row.member).filter(|member| !is_ours(member.pid)).collect();
        left.truncate(REMNANTS_MAX);
        let roots: Vec<i32> = left.iter().map(|member| member.pid.0).collect();
        let seen = roots.iter().copied().chain([me]).collect();
        left.extend(self.trees(roots, &seen));
        left.retain(|member| !is_ours(member.pid));
        left.truncate(REMNANTS_MAX);
        left
    }
}

/// The living processes of a group; `None` if that cannot be known. Asks for the group of each process, which takes a
/// tenth of the time of reading what /proc says of it.
pub fn of_group(group: Pid) -> Option<Vec<Remnant>> {
    let mut found = Vec::new();
    let mut is_empty = true;
    for pid in pids()? {
        is_empty = false;
        if found.len() < REMNANTS_MAX && process::group_of(Pid(pid)) == Some(group) {
            found.extend(row(pid).filter(|row| !row.is_dead && row.member.group == group).map(|row| row.member));
        }
    }
    (!is_empty).then_some(found)
}

pub fn member(pid: i32) -> Option<Remnant> {
    row(pid).filter(|row| !row.is_dead).map(|row| row.member)
}

/// Whether nobody is in a group any more, not even one that has not been reaped.
pub fn is_group_empty(group: Pid) -> bool {
    process::kill_group(group, 0) == Err(libc::ESRCH)
}

fn is_alive(member: Remnant) -> bool {
    row(member.pid.0).is_some_and(|row| row.member.started == member.started && !row.is_dead)
}

/// Signals a process, and nobody else.
pub fn send(member: Remnant, signal: i32) {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, member.pid.0, 0) } as i32;
    if fd < 0 {
        // Kernels before 5.3 do not know it; there is a moment left then in which the pid may change hands.
        if Errno::last() != Errno::ESRCH && is_alive(member) {
            let _ = process::kill(member.pid, signal);
        }
        return;
    }
    // What the descriptor stands for was there when it was opened: it is who is meant if that is so now.
    if is_alive(member) {
        // SAFETY: plain numbers, and no information to go with the signal.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, std::ptr::null::<libc::siginfo_t>(), 0) };
    }
    // SAFETY: opened above, and used by nobody else.
    unsafe { libc::close(fd) };
}

/// The pids in /proc.
fn pids() -> Option<impl Iterator<Item = i32>> {
    let entries = std::fs::read_dir("/proc").ok()?;
    Some(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).take(PROCESSES_MAX))
}

/// What /proc says of a process.
fn row(pid: i32) -> Option<Row> {
    parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads the line `pid (name) state ppid pgrp …`; the name may contain anything.
fn parse(pid: i32, stat: &str) -> Option<Row> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = Pid(fields.next()?.parse().ok()?);
    // The 22nd of all, by the manual's count (proc_pid_stat(5)), of which pid, name and three more are gone.
    let started = fields.nth(16)?.parse().ok()?;
    let member = Remnant { pid: Pid(pid), group, started };
    Some(Row { member, parent, is_dead: matches!(state, "Z" | "X") })
}

/// Whether a process has been started for that group and process.
fn has_names(pid: Pid, (group, name): (&str, &str)) -> bool {
    use std::io::Read;
    let mut bytes = Vec::new();
    let Ok(file) = std::fs::File::open(format!("/proc/{}/environ", pid.0)) else { return false };
    if file.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut bytes).is_err() {
        return false;
    }
    names_both(&bytes, group, name)
}

fn names_both(environment: &[u8], group: &str, name: &str) -> bool {
    let has = |key: &str, value: &str| {
        let is_it = |variable: &[u8]| {
            variable.strip_prefix(key.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")) == Some(value.as_bytes())
        };
        environment.split(|byte| *byte == 0).any(is_it)
    };
    has("SUPERVISOR_GROUP_NAME", group) && has("SUPERVISOR_PROCESS_NAME", name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use super::*;

    fn member(pid: i32, group: i32) -> Remnant {
        Remnant { pid: Pid(pid), group: Pid(group), started: 5 }
    }

    fn table(rows: &[(i32, i32, i32, bool)]) -> Table {
        let rows = rows.iter().map(|(pid, parent, group, is_dead)| Row {
            member: member(*pid, *group),
            parent: *parent,
            is_dead: *is_dead,
        });
        Table { rows: rows.collect() }
    }

    #[test]
    fn stat_lines() {
        let tail = "1 2 3 0 -1 4194560 900 0 0 0 150 25 0 0 20 0 1 0 99 1000000 300";
        let expected = |is_dead| Some(Row { member: Remnant { started: 99, ..member(7, 2) }, parent: 1, is_dead });
        let rows = [
            (format!("7 (cat) S {tail}"), expected(false)),
            (format!("7 (a ) (b 1 2) Z {tail}"), expected(true)),
            ("7 (cat) S 1 2".to_string(), None),
            (String::new(), None),
        ];
        for (line, expected) in rows {
            assert_eq!(parse(7, &line), expected, "{line}");
        }
    }

    #[test]
    fn environments() {
        let rows: [(&[u8], bool); 4] = [
            (b"A=1\0SUPERVISOR_GROUP_NAME=g\0SUPERVISOR_PROCESS_NAME=p\0", true),
            (b"SUPERVISOR_GROUP_NAME=g\0SUPERVISOR_PROCESS_NAME=pp\0", false),
            (b"SUPERVISOR_GROUP_NAME=g\0", false),
            (b"", false),
        ];
        for (environment, expected) in rows {
            assert_eq!(names_both(environment, "g", "p"), expected, "{environment:?}");
        }
    }

    #[test]
    fn trees_and_groups() {
        let pids = |members: Vec<Remnant>| {
            let mut pids: Vec<i32> = members.into_iter().map(|member| member.pid.0).collect();
            pids.sort_unstable();
            pids
        };
        // 10 leads its group and has ended; 11 is of its group; 12 left it, and has 13 below; 20 is somebody else.
        let table = table(&[
            (10, 1, 10, true),
            (11, 1, 10, false),
            (12, 1, 12, false),
            (13, 12, 12, false),
            (14, 13, 12, true),
            (20, 1, 20, false),
        ]);
        assert_eq!(pids(table.below(Pid(12))), [13]);
        assert_eq!(pids(table.below(Pid(1))), [11, 12, 13, 20]);
        let nobody = |_| false;
        assert_eq!(pids(table.left_of(Pid(10), &[], ("", ""), &nobody)), [11]);
        assert_eq!(pids(table.left_of(Pid(10), &[member(12, 12)], ("", ""), &nobody)), [11, 12, 13]);
        let other = Remnant { started: 6, ..member(12, 12) };
        assert_eq!(pids(table.left_of(Pid(10), &[other], ("", ""), &nobody)), [11], "that pid has changed hands");
        assert_eq!(pids(table.left_of(Pid(10), &[member(12, 12)], ("", ""), &|pid| pid.0 == 13)), [11, 12]);
    }

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").process_group(0).spawn().unwrap()
    }

    #[test]
    fn real_processes() {
        let mut child = sleeper();
        let pid = Pid(child.id() as i32);
        let found = of_group(pid).unwrap();
        assert_eq!(found.iter().map(|member| member.pid).collect::<Vec<_>>(), [pid]);
        let table = Table::read().unwrap();
        assert!(table.below(Pid(std::process::id() as i32)).contains(&found[0]));
        assert!(is_alive(found[0]) && !is_group_empty(pid));
        send(Remnant { started: found[0].started + 1, ..found[0] }, libc::SIGKILL);
        assert!(is_alive(found[0]), "somebody else was meant");
        send(found[0], libc::SIGKILL);
        child.wait().unwrap();
        assert!(!is_alive(found[0]) && is_group_empty(pid));
        assert_eq!(of_group(pid), Some(Vec::new()));
    }
}
