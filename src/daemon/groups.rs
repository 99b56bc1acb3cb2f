//! Active groups and their processes: the shapes, and finding one's way among them.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Daemon;
use crate::config::{self, GroupKind, Program};
use crate::id::{Channel, GroupId, LogId, Pid, ProcId, SocketId};
use crate::model::pool::Pool;
use crate::model::process::Process;
use crate::namespec;
use crate::wire::ansi::Stripper;
use crate::wire::capture::Capture;

/// An active group.
pub struct Group {
    /// Its configuration, as activated or last mutated.
    pub config: Rc<config::Group>,
    /// Its processes as they are listed in the configuration, then those added later: the order of automatic starts.
    pub processes: Vec<ProcId>,
    /// The same by name.
    pub(super) by_name: BTreeMap<Rc<str>, ProcId>,
    /// Processes in none of the *stopped* states.
    pub(super) unstopped: usize,
    /// The listeners' pool, for an `[eventlistener:x]`.
    pub(super) pool: Option<Pool>,
    /// The shared socket of an `[fcgi-program:x]`, while a process uses it (P-101).
    pub(super) socket: Option<SocketId>,
    /// How many processes use it.
    pub(super) socket_users: usize,
}

/// An active process.
pub struct Proc {
    /// The group it belongs to.
    pub group: GroupId,
    /// Its configuration.
    pub program: Rc<Program>,
    /// Its machine.
    pub machine: Process,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
    /// What its last child was made by.
    pub(super) launched: Option<Rc<Program>>,
    /// Whether it holds a share of its group's socket.
    pub(super) uses_socket: bool,
}

/// What becomes of one output channel.
#[derive(Default)]
pub struct Stream {
    /// Path of its log, AUTO resolved; `None` keeps nothing.
    pub path: Option<Rc<str>>,
    /// The open log, while there is a child.
    pub(super) log: Option<LogId>,
    /// Capture mode, where configured.
    pub(super) capture: Option<Box<Capture>>,
    /// Removes ANSI sequences, once there was one to remove.
    pub(super) stripper: Option<Box<Stripper>>,
}

impl Proc {
    /// Whether its child runs, or last ran, by another configuration than what it has got since.
    pub fn is_outdated(&self) -> bool {
        self.launched.as_ref().is_some_and(|launched| !launched.same_as(&self.program))
    }

    /// One of its channels.
    pub fn stream(&self, channel: Channel) -> &Stream {
        match channel {
            Channel::Stdout => &self.stdout,
            Channel::Stderr => &self.stderr,
        }
    }

    pub(super) fn stream_mut(&mut self, channel: Channel) -> &mut Stream {
        match channel {
            Channel::Stdout => &mut self.stdout,
            Channel::Stderr => &mut self.stderr,
        }
    }
}

impl Group {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Whether it is an event listener pool.
    pub fn is_pool(&self) -> bool {
        self.pool.is_some()
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

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One process.
    Process(ProcId),
    /// A whole group (`group:*`).
    Group(GroupId),
}

impl Daemon {
    /// The active group of that name.
    pub fn group_named(&self, name: &str) -> Option<GroupId> {
        self.group_ids.get(name).copied()
    }

    /// An active group.
    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(&id)
    }

    /// An active process.
    pub fn process(&self, id: ProcId) -> Option<&Proc> {
        self.processes.get(&id)
    }

    /// What a name stands for; `None` for an unknown one.
    pub fn find(&self, name: &str) -> Option<Target> {
        let spec = namespec::split(name);
        let id = self.group_named(spec.group)?;
        match spec.process {
            None => Some(Target::Group(id)),
            Some(process) => self.groups.get(&id)?.process(process).map(Target::Process),
        }
    }

    /// The process that a name stands for; a whole group is none.
    pub fn find_process(&self, name: &str) -> Option<ProcId> {
        match self.find(name) {
            Some(Target::Process(id)) => Some(id),
            _ => None,
        }
    }

    /// Active groups in the order they were added.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = (GroupId, &Group)> {
        self.groups.iter().map(|(id, group)| (*id, group))
    }

    /// Active groups by name.
    pub fn groups_by_name(&self) -> impl Iterator<Item = (GroupId, &Group)> {
        self.group_ids.values().filter_map(|id| self.groups.get(id).map(|group| (*id, group)))
    }

    /// Ids of active groups, ascending by priority; among equals the older one comes first (P-10, P-116).
    pub fn groups_by_priority(&self) -> Vec<GroupId> {
        let mut ids: Vec<GroupId> = self.groups.keys().copied().collect();
        ids.sort_by_key(|id| self.groups.get(id).map(|group| group.config.priority));
        ids
    }

    /// All processes, sorted by group name, then process name.
    pub fn processes_by_name(&self) -> impl Iterator<Item = (ProcId, &Group, &Proc)> {
        self.groups_by_name().flat_map(move |(_, group)| {
            group.by_name.values().filter_map(move |id| self.processes.get(id).map(|process| (*id, group, process)))
        })
    }

    /// All processes in the order in which calls start and stop them: ascending by priority of group, then of process.
    pub fn processes_by_priority(&self) -> Vec<ProcId> {
        self.groups_by_priority().into_iter().flat_map(|id| self.members_by_priority(id)).collect()
    }

    /// The processes of a group, ascending by priority; equals as they are listed.
    pub fn members_by_priority(&self, group: GroupId) -> Vec<ProcId> {
        let mut members = self.groups.get(&group).map(|group| group.processes.clone()).unwrap_or_default();
        members.sort_by_key(|id| self.processes.get(id).map(|process| process.program.priority));
        members
    }

    /// Number of active processes.
    pub fn process_count(&self) -> usize {
        self.processes.len()
    }

    /// The process that has this child.
    pub fn process_of(&self, pid: Pid) -> Option<ProcId> {
        self.pids.get(&pid.0).copied()
    }

    /// The group of a process.
    pub fn group_of(&self, id: ProcId) -> Option<&Group> {
        self.groups.get(&self.processes.get(&id)?.group)
    }

    /// `process` or `group:process`.
    pub fn namespec(&self, id: ProcId) -> Option<String> {
        let process = self.processes.get(&id)?;
        let group = self.groups.get(&process.group)?;
        Some(namespec::join(group.name(), &process.program.name))
    }

    /// Whether it is an event listener.
    pub fn is_listener(&self, id: ProcId) -> bool {
        self.group_of(id).is_some_and(|group| matches!(group.config.kind, GroupKind::Listener(_)))
    }
}
