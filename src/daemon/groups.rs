//! Active groups and their processes: the shapes.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::framing::LineFraming;
#[cfg(feature = "fleet")]
use super::marks::Marks;
use crate::config;
use crate::id::{Channel, GroupId, LogId, ProcId, SocketId};
use crate::model::history::History;
use crate::model::logs::arrival::Arrival;
use crate::model::logs::ring::Ring;
use crate::model::process::Process;
use crate::wire::ansi::Stripper;
use crate::wire::capture::Capture;

/// An active group. Which processes it has, and how many of them are not stopped, only the
/// [`Roster`](super::roster::Roster) changes.
pub struct Group {
    /// Its configuration, as activated or last mutated.
    pub config: Rc<config::Group>,
    /// Its processes as they are listed in the configuration, then those added later: the order of automatic starts.
    pub processes: Vec<ProcId>,
    /// The same by name.
    pub(super) by_name: BTreeMap<Rc<str>, ProcId>,
    /// Processes in none of the *stopped* states.
    pub(super) unstopped: usize,
    /// The shared socket of an `[fcgi-program:x]`, while a process uses it (P-101).
    pub(super) socket: Option<SocketId>,
    /// How many processes use it.
    pub(super) socket_users: usize,
}

/// A process of an active group: its configuration, machine and outputs.
pub struct Proc {
    /// The group it belongs to.
    pub group: GroupId,
    /// What it is configured as; from its next start on, if it runs.
    pub config: Rc<config::Process>,
    /// Its state, and what is known of its runs.
    pub machine: Process,
    pub(crate) stdout: OutputChannel,
    pub(crate) stderr: OutputChannel,
    /// In which order it wrote to their logs.
    pub arrival: Arrival,
    /// What its last child was made by.
    pub(super) launched: Option<Rc<config::Process>>,
    /// The status of a start that failed before there was a run (K-1).
    pub(super) start_failure: i32,
    /// Whether it holds a share of its group's socket.
    pub(super) uses_socket: bool,
    /// It is being taken out of its group, which takes some turns: nothing happens to it any more.
    pub leaves: bool,
    /// Its last changes of state.
    pub history: History,
    /// What a fleet adds to it.
    #[cfg(feature = "fleet")]
    pub(super) marks: Option<Box<Marks>>,
    /// Its name as people give it, for what is remembered of it.
    pub(super) namespec: Rc<str>,
}

/// What becomes of one output channel.
#[derive(Default)]
pub struct OutputChannel {
    /// Path of its log, AUTO resolved; `None` without a file.
    pub path: Option<Rc<str>>,
    /// Bytes that children have written to it in this run of the daemon.
    pub written: u64,
    /// The open log, while there is a child.
    pub(super) log: Option<LogId>,
    /// The log, if it is kept in memory, over all runs.
    pub(super) ring: Option<Box<Ring>>,
    /// Prefixes or JSON, where configured, while there is a child.
    pub(super) framing: Option<Box<LineFraming>>,
    /// Capture mode, where configured.
    pub(super) capture: Option<Box<Capture>>,
    /// Removes ANSI sequences, once there was one to remove.
    pub(super) stripper: Option<Box<Stripper>>,
}

impl Proc {
    /// Whether its child runs, or last ran, by another configuration than what it has got since.
    pub fn is_outdated(&self) -> bool {
        self.launched.as_ref().is_some_and(|launched| !launched.same_as(&self.config))
    }

    /// What a fleet adds to it.
    #[cfg(feature = "fleet")]
    pub fn marks(&self) -> &Marks {
        static NONE: Marks =
            Marks { is_disabled: false, stays_down: false, has_crashed: false, extra_args: String::new() };
        self.marks.as_deref().unwrap_or(&NONE)
    }

    /// One of its channels.
    pub fn output(&self, channel: Channel) -> &OutputChannel {
        match channel {
            Channel::Stdout => &self.stdout,
            Channel::Stderr => &self.stderr,
        }
    }

    pub(super) fn output_mut(&mut self, channel: Channel) -> &mut OutputChannel {
        match channel {
            Channel::Stdout => &mut self.stdout,
            Channel::Stderr => &mut self.stderr,
        }
    }
}

impl Group {
    pub(super) fn new(config: Rc<config::Group>) -> Group {
        Group {
            processes: Vec::with_capacity(config.processes.len()),
            config,
            by_name: BTreeMap::new(),
            unstopped: 0,
            socket: None,
            socket_users: 0,
        }
    }

    /// The name by which the roster finds it.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Whether all its processes are in one of the *stopped* states.
    pub fn is_stopped(&self) -> bool {
        self.unstopped == 0
    }

    /// The process of that name.
    pub fn process(&self, name: &str) -> Option<ProcId> {
        self.by_name.get(name).copied()
    }
}
