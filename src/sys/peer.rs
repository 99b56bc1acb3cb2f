//! What the system tells about other processes: who is at the other end of a unix socket, what a child uses.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::cerr;
use crate::id::Pid;

/// The process at the other end of a unix socket, when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The effective user id at the moment it connected.
    pub uid: u32,
    /// Its process id; 0 if that is not visible from here (another container).
    pub pid: i32,
}

/// Who connected to a unix socket, as the kernel noted it then; fails on any other socket.
pub fn of_socket(socket: BorrowedFd) -> io::Result<Peer> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut size = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the buffer is a ucred and `size` is its size.
    cerr(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut size,
        )
    })?;
    Ok(Peer { uid: credentials.uid, pid: credentials.pid })
}

/// What a process has used and uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
}

/// What a process uses now; `None` when it is gone or /proc is not there.
pub fn usage(pid: Pid) -> Option<Usage> {
    // One read instead of four, for it is asked of hundreds at once: the kernel gives the line whole.
    let mut line = [0; STAT_BYTES];
    let count = File::open(format!("/proc/{}/stat", pid.0)).and_then(|mut file| file.read(&mut line)).ok()?;
    let stat = String::from_utf8_lossy(&line[..count]);
    parse_stat(&stat, system_constant(libc::_SC_CLK_TCK)?, system_constant(libc::_SC_PAGESIZE)?)
}

/// More than the 52 fields of that line can take: 20 digits each, and a name.
const STAT_BYTES: usize = 1280;

/// The parent of a process; `None` when it is gone or /proc is not there.
pub fn parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.0)).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok().map(Pid)
}

/// Processes of one tree whose memory is added up. More of them are hardly meant, and looking takes time.
const TREE_MAX: usize = 1000;

/// Resident memory of a process and all below it, in bytes.
pub fn tree_memory(pid: Pid) -> Option<u64> {
    let mut sum = usage(pid)?.rss_bytes;
    let mut left = vec![pid.0];
    let mut seen = 1;
    while let Some(parent) = left.pop() {
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()) {
            if seen >= TREE_MAX {
                return Some(sum);
            }
            seen += 1;
            sum += usage(Pid(child)).map_or(0, |usage| usage.rss_bytes);
            left.push(child);
        }
    }
    Some(sum)
}

fn system_constant(name: libc::c_int) -> Option<u64> {
    // SAFETY: takes a number.
    u64::try_from(unsafe { libc::sysconf(name) }).ok().filter(|value| *value > 0)
}

/// Reads the line `pid (name) state ppid …`; the name may contain anything.
fn parse_stat(stat: &str, ticks_per_sec: u64, page_bytes: u64) -> Option<Usage> {
    let (_, after_name) = stat.rsplit_once(')')?;
    // The manual, proc_pid_stat(5), counts from 1 and includes pid and name: 14 and 15 are time, 24 is memory.
    let mut fields = after_name.split_ascii_whitespace().skip(14 - 3);
    let mut next = |skipped: usize| fields.nth(skipped)?.parse::<u64>().ok();
    let ticks = next(0)? + next(0)?;
    Some(Usage { cpu_ms: ticks * 1000 / ticks_per_sec, rss_bytes: next(24 - 16)? * page_bytes })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn stat_lines() {
        let tail = "S 1 2 3 0 -1 4194560 900 0 0 0 150 25 0 0 20 0 1 0 99 1000000 300 18446744073709551615";
        let expected = Some(Usage { cpu_ms: 1750, rss_bytes: 300 * 4096 });
        let rows = [
            (format!("7 (cat) {tail}\n"), expected),
            (format!("7 (a ) (b 1 2) {tail}"), expected),
            ("7 (cat) S 1 2".to_string(), None),
            (String::new(), None),
        ];
        for (line, expected) in rows {
            assert_eq!(parse_stat(&line, 100, 4096), expected, "{line}");
        }
    }

    #[test]
    fn of_this_process() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(usage(Pid(me)).unwrap().rss_bytes > 0);
        assert_eq!((usage(Pid(0x7fff_fff0)), parent(Pid(0x7fff_fff0))), (None, None));
        assert_eq!(parent(Pid(me)), i32::try_from(std::os::unix::process::parent_id()).ok().map(Pid));
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert_eq!(of_socket(ours.as_fd()).unwrap(), Peer { uid: crate::sys::users::current_uid(), pid: me });
    }
}
