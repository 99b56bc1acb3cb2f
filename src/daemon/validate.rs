//! Whether a change can be made, before anything is touched; and what would have to be stopped for it.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::change::{Addition, Change};
use super::order::called;
use super::{Daemon, Group, Proc};
use crate::config::depends;
use crate::config::{self, GroupKind};
use crate::fault::{Code, Fault};
use crate::id::ProcId;
use crate::wire::pyrepr;

impl Daemon {
    pub(super) fn validate(&self, change: &Change) -> Result<(), Fault> {
        match change {
            Change::AddGroup(group) => self.validate_absent(&group.name, group.processes.len()),
            Change::NewGroup { name, .. } => {
                validate_name(name)?;
                self.validate_absent(name, 0)
            }
            Change::RemoveGroup(name) | Change::DropGroup(name) => {
                let group = self.group_or_fault(name).map_err(|_| Code::BadName.with(name))?;
                if group.unstopped > 0 { Err(Code::StillRunning.with(name)) } else { Ok(()) }
            }
            Change::AddProgram(addition) => self.validate_addition(addition),
            Change::RemoveProcess { group, process } => {
                let active = self.group_or_fault(group)?;
                let id = active.process(process).ok_or_else(|| Code::BadName.with(process))?;
                self.validate_stopped(id)
            }
            Change::RemoveProgram { group, program } => {
                let active = self.group_or_fault(group)?;
                if !self.has_program(group, program) {
                    return Err(Code::BadName.with(program));
                }
                if active.unstopped == 0 {
                    return Ok(());
                }
                let mut processes = active.processes.iter().filter(|id| self.is_of_program(**id, program));
                processes.try_for_each(|id| self.validate_stopped(*id))
            }
            Change::ReplaceGroup(group) => {
                self.validate_room(group.processes.len())?;
                let new = group.by_name();
                self.validate_leaving(self.group_or_fault(&group.name)?, |found| stays_as_it_is(found, &new))
            }
            Change::SetOptions { groups, .. } => self.validate_names(groups).and(groups.iter().try_for_each(|group| {
                self.validate_room(group.processes.len())?;
                let new = group.by_name();
                let active = self.group_or_fault(&group.name)?;
                self.validate_leaving(active, |found| new.contains_key(found.config.name.as_str()))
            })),
        }
    }

    /// What processes depend on that come with new options is there, or comes with them. Those that are active may wait for what
    /// is gone.
    fn validate_names(&self, groups: &[Rc<config::Group>]) -> Result<(), Fault> {
        let mut coming = HashSet::new();
        for group in groups {
            group.processes.iter().for_each(|process| coming.extend(called(&group.name, process)));
        }
        for group in groups {
            let active = self.group_or_fault(&group.name)?;
            let new = group.processes.iter().filter(|process| active.process(&process.name).is_none());
            let mut items = new.flat_map(|process| &process.depends_on.0);
            let is_there = |name: &String| coming.contains(name) || self.roster.meant_by(name).is_some();
            if let Some(item) = items.find(|item| !is_there(&item.name)) {
                let text = format!("depends_on names '{}', which is no program or group", item.name);
                return Err(Code::IncorrectParameters.with(text));
            }
        }
        Ok(())
    }

    /// The processes that have to be stopped before a change can be made.
    pub fn obstacles(&self, change: &Change) -> Vec<ProcId> {
        match change {
            Change::AddGroup(_) | Change::NewGroup { .. } | Change::AddProgram(_) => Vec::new(),
            Change::RemoveGroup(name) | Change::DropGroup(name) => self.unstopped(name, |_| true),
            Change::RemoveProcess { group, process } => self.unstopped(group, |found| found.config.name == *process),
            Change::RemoveProgram { group, program } => {
                self.unstopped(group, |found| found.config.program.name == *program)
            }
            Change::ReplaceGroup(group) => {
                let new = group.by_name();
                self.unstopped(&group.name, |found| !stays_as_it_is(found, &new))
            }
            Change::SetOptions { groups, .. } => {
                let leaving = |group: &Rc<config::Group>| {
                    let new = group.by_name();
                    self.unstopped(&group.name, |found| !new.contains_key(found.config.name.as_str()))
                };
                groups.iter().flat_map(leaving).collect()
            }
        }
    }

    /// The processes of a group that are meant and not stopped.
    fn unstopped(&self, group: &str, is_meant: impl Fn(&Proc) -> bool) -> Vec<ProcId> {
        // Of those that are all stopped, which may be thousands, none is looked at.
        let active = self.group_or_fault(group).ok().filter(|group| group.unstopped > 0);
        let processes = active.map_or(&[][..], |group| &group.processes);
        let is_obstacle = |process: &Proc| !process.machine.state().is_stopped() && is_meant(process);
        processes.iter().copied().filter(|id| self.roster.process(*id).is_some_and(is_obstacle)).collect()
    }

    fn validate_absent(&self, name: &str, processes: usize) -> Result<(), Fault> {
        match self.roster.group_named(name) {
            Some(_) => Err(Code::AlreadyAdded.with(name)),
            None => self.validate_room(processes),
        }
    }

    /// Ids are not used twice, so they can run out: after four thousand million processes.
    fn validate_room(&self, processes: usize) -> Result<(), Fault> {
        if self.roster.has_room(processes) {
            return Ok(());
        }
        Err(Code::Failed.with("no more processes can be added before a restart"))
    }

    fn validate_addition(&self, addition: &Addition) -> Result<(), Fault> {
        let Addition { group, create, program, instance, processes, .. } = addition;
        self.validate_room(processes.len())?;
        let Ok(active) = self.group_or_fault(group) else {
            return match create {
                Some(_) => validate_name(group),
                None => Err(Code::BadName.with(format!("group: {group}"))),
            };
        };
        // Its members are what its section says: they share a socket, or speak the protocol of listeners.
        let kind = match active.config.kind {
            GroupKind::Programs => None,
            GroupKind::Listener(_) => Some("an event listener pool"),
            GroupKind::Fcgi(_) => Some("a FastCGI group"),
        };
        if let Some(kind) = kind {
            return Err(Code::Failed.with(format!("group: {group} is {kind}, to which nothing can be added")));
        }
        // No file could give such a name, and it would break the lines of logs and listeners; `*` stands for all
        // processes of a group, so that nobody could name that one.
        let is_bad = |name: &str| name.is_empty() || name == "*" || name.contains(char::is_control);
        if let Some(bad) = processes.iter().find(|process| is_bad(&process.name)) {
            return Err(Code::IncorrectParameters.with(format!("invalid process name {}", pyrepr::text(&bad.name))));
        }
        if let Some(taken) = processes.iter().find(|process| active.process(&process.name).is_some()) {
            return Err(Code::BadName.with(&taken.name));
        }
        self.validate_order(group, processes)?;
        let name = instance.as_ref().unwrap_or(program);
        // Where changes are kept, a program can be named in later calls, and so only once.
        if self.dynamic.is_kept() && self.has_program(group, name) {
            return Err(Code::BadName.with(name));
        }
        Ok(())
    }

    /// What new processes depend on is there, and goes in no circle. Names of what was removed since are not theirs.
    fn validate_order(&self, group: &str, processes: &[Rc<config::Process>]) -> Result<(), Fault> {
        if !processes.iter().any(|process| !process.depends_on.0.is_empty()) && !self.stops_in_order() {
            return Ok(());
        }
        let of_group = self.group_or_fault(group).ok().and_then(|group| group.config.options.as_ref());
        let is_plain = of_group.is_none_or(|options| options.depends_on.0.is_empty());
        if is_plain && self.are_apart(group, processes) {
            return Ok(());
        }
        let (_, mut nodes) = self.order_nodes();
        let known = nodes.len();
        nodes.extend(processes.iter().map(|process| depends::Node {
            group,
            name: &process.name,
            program: &process.program.name,
            depends_on: &process.depends_on.0,
            group_depends_on: of_group.map_or(&[][..], |options| &options.depends_on.0),
        }));
        let resolved = depends::resolve_but_for(&nodes, |node, _| node < known);
        resolved.map(drop).map_err(|wrong| Code::IncorrectParameters.with(wrong.text))
    }

    fn validate_leaving(&self, active: &Group, stays: impl Fn(&Proc) -> bool) -> Result<(), Fault> {
        let processes =
            active.processes.iter().filter(|id| self.roster.process(**id).is_some_and(|found| !stays(found)));
        processes.into_iter().try_for_each(|id| self.validate_stopped(*id))
    }

    fn validate_stopped(&self, id: ProcId) -> Result<(), Fault> {
        let Some(process) = self.roster.process(id) else { return Ok(()) };
        let is_stopped = process.machine.pid().is_none() && process.machine.state().is_stopped();
        if is_stopped { Ok(()) } else { Err(Code::StillRunning.with(&process.config.name)) }
    }

    fn group_or_fault(&self, name: &str) -> Result<&Group, Fault> {
        let group = self.roster.group_named(name).and_then(|id| self.roster.group(id));
        group.ok_or_else(|| Code::BadName.with(format!("group: {name}")))
    }

    fn is_of_program(&self, id: ProcId, program: &str) -> bool {
        self.roster.process(id).is_some_and(|process| process.config.program.name == program)
    }

    /// Whether an active group has a program, be it without a process.
    pub fn has_program(&self, group: &str, program: &str) -> bool {
        let Ok(active) = self.group_or_fault(group) else { return false };
        active.processes.iter().any(|id| self.is_of_program(*id, program)) || self.dynamic.holds(group, program)
    }
}

/// Whether a process has the same configuration in the new ones of its group.
fn stays_as_it_is(process: &Proc, new: &HashMap<&str, &Rc<config::Process>>) -> bool {
    new.get(process.config.name.as_str()).is_some_and(|new| process.config.same_but_for_policy(new))
}

/// Groups that are made by a call have the names that a file could give them.
fn validate_name(name: &str) -> Result<(), Fault> {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | '/' | '[' | ']');
    if name.is_empty() || name.chars().any(is_bad) {
        return Err(Code::IncorrectParameters.with(format!("invalid group name {}", pyrepr::text(name))));
    }
    Ok(())
}
