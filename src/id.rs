//! Identifiers. None is reused within a run, so a stale one is an ordinary `None` at the lookup. What comes and goes by
//! itself is counted with 64 bits, which no run uses up; the daemon refuses what would use up the 32 of the others.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

/// A map by ids, or by other small numbers that nobody outside can choose. The standard library's hasher withstands chosen keys,
/// which takes ten times as long.
pub type IdMap<K, V> = HashMap<K, V, FxBuildHasher>;

/// A process slot: one `processname` of one active group, over all its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcId(pub u32);

/// The group that is active under this number; one removed and added again has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

/// A client's connection, for as long as it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// An open log of a child (a file or a stream), owned by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub u64);

/// An open FastCGI listening socket, owned by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// Another instance of the fleet: its place in the list of those that are known, which only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// A process id of the system; always positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub i32);

/// One of a child's two output channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Descriptor 1 (and 2 with `redirect_stderr`).
    Stdout,
    /// Descriptor 2; with `redirect_stderr` nothing arrives here.
    Stderr,
}

impl Channel {
    /// The name in payloads, log lines and options: `stdout` or `stderr`.
    pub fn name(self) -> &'static str {
        match self {
            Channel::Stdout => "stdout",
            Channel::Stderr => "stderr",
        }
    }
}
