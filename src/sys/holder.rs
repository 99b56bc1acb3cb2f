//! Who listens where we want to: a hint for people. What /proc does not tell is not told.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::os::fd::AsFd;
use std::time::Duration;

use super::{peer, sockets};
use crate::config::ServerAddress;

/// A socket that listens, in /proc/net/tcp.
const LISTENS: &str = "0A";

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pid: i32,
    /// As the system has it, without its directory.
    command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holder { pid, command } = self;
        // Any process may call itself anything.
        let command: String = command.chars().filter(|c| !c.is_control()).collect();
        write!(f, "pid {pid} ({command})")
    }
}

/// Who listens at a place, if that can be seen by us. This looks at all processes: nothing for a daemon that is at work.
pub fn of(address: &ServerAddress) -> Option<Holder> {
    let pid = match address {
        // What /proc/net/unix shows is the name that the socket was bound to, which need not be where it is found.
        ServerAddress::Unix { path, .. } => {
            let stream = sockets::connect_unix(path, Duration::ZERO).ok()?;
            peer::of_socket(stream.as_fd()).ok()?.pid
        }
        ServerAddress::Inet { port, .. } => {
            let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
            let inodes: HashSet<&str> = tables.iter().flat_map(|table| listening(table, *port)).collect();
            with_socket(&inodes)?
        }
    };
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_string();
    Some(Holder { pid, command })
}

/// The inodes of the sockets that listen at a port, of a table such as /proc/net/tcp: lines `sl local_address rem_address
/// st tx:rx tr:when retrnsmt uid timeout inode …`, where an address is `0100007F:2329`.
fn listening(table: &str, port: u16) -> impl Iterator<Item = &str> {
    let port = format!(":{port:04X}");
    table.lines().filter_map(move |line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_it = words.get(1)?.ends_with(&port) && *words.get(3)? == LISTENS;
        words.get(9).copied().filter(|_| is_it)
    })
}

/// A process that has one of these sockets open.
fn with_socket(inodes: &HashSet<&str>) -> Option<i32> {
    let pids =
        fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.into_iter().find(|pid| {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        descriptors.flatten().any(|descriptor| {
            let target = fs::read_link(descriptor.path()).unwrap_or_default();
            let inode = target.to_str().and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']'));
            inode.is_some_and(|inode| inodes.contains(inode))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn sockets_that_listen_are_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                        0: 0100007F:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
                        1: 0100007F:2329 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
                        2: 0100007F:232A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n";
        assert_eq!(listening(table, 9001).collect::<Vec<&str>>(), ["4711"]);
        assert_eq!(listening(table, 0x2929).count(), 0);
    }

    #[test]
    fn we_are_found() {
        let scratch = Scratch::new("holder");
        let path = scratch.path("sock");
        let _unix = sockets::listen_unix(&path, 0o700, None).unwrap();
        let tcp = sockets::listen_inet("127.0.0.1", 0).unwrap();
        let port = tcp.local_addr().unwrap().port();
        let inet = ServerAddress::Inet { host: "127.0.0.1".to_string(), port };
        let us = std::process::id() as i32;
        for address in [inet, ServerAddress::Unix { path, mode: 0o700, owner: None }] {
            let found = of(&address).expect("a holder");
            assert_eq!(found.pid, us, "{address}");
        }
        drop(tcp);
        assert_eq!(of(&ServerAddress::Inet { host: String::new(), port }), None);
        let shown = Holder { pid: 7, command: "a\x1b[1m".to_string() }.to_string();
        assert_eq!(shown, "pid 7 (a[1m)");
    }
}
