//! The one path for every mutation of the set of groups and processes.
//!
//! Whatever adds or removes (an update, an extension's call, the file of dynamic changes) becomes a [`Change`] and is
//! applied by [`Daemon::apply`]. It validates before it touches anything, so a change happens whole or not at all;
//! it emits PROCESS_GROUP_ADDED and PROCESS_GROUP_REMOVED, and it leaves one audit line.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::{Daemon, Group, Host, Proc, Stream};
use crate::clock::Now;
use crate::config::{self, GroupKind, Program};
use crate::fault::{Code, Fault};
use crate::id::{GroupId, ProcId};
use crate::model::process::Process;

/// One mutation.
#[derive(Clone, Debug)]
pub enum Change {
    /// Activate a group with all its processes.
    AddGroup(Rc<config::Group>),
    /// Drop a group; all its processes must be stopped.
    RemoveGroup(String),
    /// Add processes to an active group; with `create`, make the group with that priority if it is missing.
    AddProcesses {
        /// Group's name.
        group: String,
        /// Priority of the group, should it have to be made.
        create: Option<i64>,
        /// The processes of one program.
        programs: Vec<Rc<Program>>,
    },
    /// Drop one process of a group; it must be stopped.
    RemoveProcess {
        /// Group's name.
        group: String,
        /// Process's name.
        process: String,
        /// Also in a state that is not *stopped*, as long as there is no child (grace checks neither).
        force: bool,
    },
    /// Give an active group a new configuration. Processes whose configuration is the same keep running; those that
    /// differ or are gone must be stopped, and are replaced or dropped.
    ReplaceGroup(Rc<config::Group>),
}

/// Who asked for a change, for the audit line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `127.0.0.1:4711`, `uid 1000`, or a part of the daemon itself.
    pub peer: String,
    /// The method through which it came.
    pub method: String,
}

impl fmt::Display for Change {
    /// What changes, as the audit line says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::AddGroup(group) => write!(f, "add group '{}' ({} processes)", group.name, group.processes.len()),
            Change::RemoveGroup(name) => write!(f, "remove group '{name}'"),
            Change::AddProcesses { group, programs, .. } => {
                let names: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
                write!(f, "add process '{}' to group '{group}'", names.join("', '"))
            }
            Change::RemoveProcess { group, process, .. } => {
                write!(f, "remove process '{process}' from group '{group}'")
            }
            Change::ReplaceGroup(group) => write!(f, "replace group '{}'", group.name),
        }
    }
}

impl Daemon {
    /// Applies one change, whole or not at all.
    ///
    /// Faults: ALREADY_ADDED for a group that is active, BAD_NAME for an unknown group or process or for a process
    /// name that is taken, STILL_RUNNING for what is not stopped.
    pub fn apply(&mut self, change: &Change, origin: &Origin, now: Now, host: &mut dyn Host) -> Result<(), Fault> {
        self.validate(change)?;
        match change {
            Change::AddGroup(group) => {
                self.check_socket(group, host).map_err(|text| Code::Failed.with(text))?;
                self.activate(group.clone(), now, host);
            }
            Change::RemoveGroup(name) => self.deactivate(name, host),
            Change::AddProcesses { group, create, programs } => {
                if let (None, Some(priority)) = (self.group_named(group), create) {
                    let kind = GroupKind::Programs;
                    let made = config::Group { name: group.clone(), priority: *priority, kind, processes: Vec::new() };
                    self.activate(Rc::new(made), now, host);
                }
                if let Some(id) = self.group_named(group) {
                    for program in programs {
                        self.add_process(id, program.clone(), now, host);
                    }
                    self.rewrite_group(id);
                }
            }
            Change::RemoveProcess { group, process, .. } => {
                if let Some(id) = self.group_named(group) {
                    self.drop_process(id, process, now, host);
                    self.rewrite_group(id);
                }
            }
            Change::ReplaceGroup(group) => self.replace(group, now, host),
        }
        // The original says nothing of the changes that it knows (L-20), and scripts compare its log.
        if origin.method.starts_with("supervisor.") {
            activity!(Debug, "{change}, asked for by {} through {}", origin.peer, origin.method);
        } else {
            activity!(Info, "{change}, asked for by {} through {}", origin.peer, origin.method);
        }
        Ok(())
    }

    fn validate(&self, change: &Change) -> Result<(), Fault> {
        match change {
            Change::AddGroup(group) => match self.group_named(&group.name) {
                Some(_) => Err(Code::AlreadyAdded.with(&group.name)),
                None => Ok(()),
            },
            Change::RemoveGroup(name) => {
                let group = self.group_or_fault(name).map_err(|_| Code::BadName.with(name))?;
                if group.unstopped > 0 { Err(Code::StillRunning.with(name)) } else { Ok(()) }
            }
            Change::AddProcesses { group, create, programs } => {
                let Ok(active) = self.group_or_fault(group) else {
                    return if create.is_some() { Ok(()) } else { Err(Code::BadName.with(format!("group: {group}"))) };
                };
                match programs.iter().find(|program| active.process(&program.name).is_some()) {
                    Some(taken) => Err(Code::BadName.with(&taken.name)),
                    None => Ok(()),
                }
            }
            Change::RemoveProcess { group, process, force } => {
                let active = self.group_or_fault(group)?;
                let Some(found) = active.process(process).and_then(|id| self.processes.get(&id)) else {
                    return Err(Code::BadName.with(process));
                };
                let machine = &found.machine;
                let busy = machine.pid().is_some() || (!force && !machine.state().is_stopped());
                if busy { Err(Code::StillRunning.with(process)) } else { Ok(()) }
            }
            Change::ReplaceGroup(group) => {
                let active = self.group_or_fault(&group.name)?;
                for id in &active.processes {
                    let Some(process) = self.processes.get(id) else { continue };
                    let stays = group.processes.iter().any(|program| program.same_as(&process.program));
                    if !stays && (process.machine.pid().is_some() || !process.machine.state().is_stopped()) {
                        return Err(Code::StillRunning.with(&process.program.name));
                    }
                }
                Ok(())
            }
        }
    }

    fn group_or_fault(&self, name: &str) -> Result<&Group, Fault> {
        let id = self.group_named(name).ok_or_else(|| Code::BadName.with(format!("group: {name}")))?;
        self.groups.get(&id).ok_or_else(|| Code::BadName.with(format!("group: {name}")))
    }

    /// Makes a group and its processes active.
    pub(super) fn activate(&mut self, config: Rc<config::Group>, now: Now, host: &mut dyn Host) {
        let id = GroupId(self.next_group);
        self.next_group += 1;
        self.group_ids.insert(config.name.as_str().into(), id);
        self.groups.insert(
            id,
            Group {
                config: config.clone(),
                processes: Vec::with_capacity(config.processes.len()),
                by_name: BTreeMap::new(),
                unstopped: 0,
                pool: None,
                socket: None,
                socket_users: 0,
            },
        );
        self.open_pool(id);
        for program in &config.processes {
            self.add_process(id, program.clone(), now, host);
        }
        self.announce_group(&config.name, true);
    }

    /// Opens and closes the socket of a FastCGI group once, so that a bad one is known at once (P-101).
    pub(super) fn check_socket(&self, group: &config::Group, host: &mut dyn Host) -> Result<(), String> {
        let GroupKind::Fcgi(socket) = &group.kind else { return Ok(()) };
        activity!(Info, "Creating socket {}", socket.url);
        let made = host
            .fcgi_open(socket)
            .map_err(|reason| format!("Could not create FastCGI socket {}: {reason}", socket.url))?;
        activity!(Info, "Closing socket {}", socket.url);
        host.fcgi_close(made);
        Ok(())
    }

    fn deactivate(&mut self, name: &str, host: &mut dyn Host) {
        let Some(id) = self.group_ids.remove(name) else { return };
        let Some(group) = self.groups.get(&id) else { return };
        for process in group.processes.clone() {
            self.forget_process(process, host);
        }
        self.groups.remove(&id);
        self.close_pool(id);
        self.announce_group(name, false);
    }

    fn add_process(&mut self, group: GroupId, program: Rc<Program>, now: Now, host: &mut dyn Host) {
        let id = ProcId(self.next_process);
        let Some(active) = self.groups.get_mut(&group) else { return };
        self.next_process += 1;
        active.by_name.insert(program.name.as_str().into(), id);
        active.processes.push(id);
        if let Some(pool) = &mut active.pool {
            pool.add_member(id, &program.name);
        }
        self.processes.insert(
            id,
            Proc {
                group,
                program,
                machine: Process::default(),
                stdout: Stream::default(),
                stderr: Stream::default(),
                uses_socket: false,
                timer: None,
            },
        );
        self.resolve_logs(id, host);
        self.reschedule(id, now);
    }

    fn drop_process(&mut self, group: GroupId, name: &str, now: Now, host: &mut dyn Host) {
        let Some(id) = self.groups.get(&group).and_then(|group| group.process(name)) else { return };
        self.leave_pool(id, now, host);
        let Some(active) = self.groups.get_mut(&group) else { return };
        active.by_name.remove(name);
        active.processes.retain(|other| *other != id);
        let counted = self.processes.get(&id).is_some_and(|process| !process.machine.state().is_stopped());
        if counted {
            active.unstopped = active.unstopped.saturating_sub(1);
        }
        self.forget_process(id, host);
    }

    /// Takes a process out of everything that knows its id.
    fn forget_process(&mut self, id: ProcId, host: &mut dyn Host) {
        self.close_logs(id, host);
        let Some(process) = self.processes.remove(&id) else { return };
        if let Some(at) = process.timer {
            self.timers.remove(&(at, id));
        }
        self.starts.remove(&id);
        if let Some(pid) = process.machine.pid() {
            self.pids.remove(&pid.0);
        }
        host.close_child(id);
        self.touched.push(id);
    }

    /// Lets a group's configuration say what the group now consists of, in start order.
    fn rewrite_group(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let processes = &self.processes;
        let key = |id: &ProcId| processes.get(id).map(|process| (process.program.priority, &process.program.name));
        group.processes.sort_by(|a, b| key(a).cmp(&key(b)));
        let programs = group.processes.iter().filter_map(|id| processes.get(id)).map(|p| p.program.clone()).collect();
        group.config = Rc::new(config::Group { processes: programs, ..(*group.config).clone() });
    }

    /// Brings an active group to a new configuration, leaving alone what is the same.
    fn replace(&mut self, config: &Rc<config::Group>, now: Now, host: &mut dyn Host) {
        let Some(id) = self.group_named(&config.name) else { return };
        let Some(group) = self.groups.get(&id) else { return };
        let wanted: BTreeMap<&str, &Rc<Program>> = config.processes.iter().map(|p| (p.name.as_str(), p)).collect();
        let current: Vec<(ProcId, Rc<Program>)> = group
            .processes
            .iter()
            .filter_map(|id| self.processes.get(id).map(|process| (*id, process.program.clone())))
            .collect();
        for (process, program) in &current {
            match wanted.get(program.name.as_str()) {
                Some(new) if new.same_as(program) => {
                    if let Some(process) = self.processes.get_mut(process) {
                        process.program = (*new).clone();
                    }
                }
                _ => self.drop_process(id, &program.name, now, host),
            }
        }
        for program in &config.processes {
            let known = self.groups.get(&id).is_some_and(|group| group.process(&program.name).is_some());
            if !known {
                self.add_process(id, program.clone(), now, host);
            }
        }
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.processes = config.processes.iter().filter_map(|program| group.process(&program.name)).collect();
        group.config = config.clone();
    }
}
