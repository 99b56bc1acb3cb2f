//! The one path for every mutation of the set of groups and processes.
//!
//! Each is a [`Change`], and is applied by [`Daemon::apply`]. It validates before it touches anything, so a change
//! happens whole or not at all; it has the change kept in the file of dynamic changes before it carries it out; it emits
//! PROCESS_GROUP_ADDED and PROCESS_GROUP_REMOVED, and it leaves one audit line.

use std::collections::HashSet;
use std::rc::Rc;

use super::change::{Addition, Change, Origin};
use super::edits::Present;
use super::growth::Then;
use super::{Daemon, Host, Proc, sockets};
use crate::clock::Now;
use crate::config::{self, GroupKind, LogFile};
use crate::fault::{Code, Fault};
use crate::id::{Channel, GroupId, ProcId};
use crate::model::history::{Asker, What, Why};

impl Daemon {
    /// Applies one change, whole or not at all.
    ///
    /// Faults: ALREADY_ADDED for a group that is active, BAD_NAME for an unknown group, program or process or for a
    /// process name that is taken, STILL_RUNNING for what is not stopped, FAILED for what cannot be, or cannot be kept.
    pub fn apply(&mut self, change: &Change, origin: &Origin, now: Now, host: &mut dyn Host) -> Result<(), Fault> {
        if let Some(text) = change.groups().find_map(|name| self.is_under_change(name)) {
            return Err(Code::Failed.with(text));
        }
        self.validate(change)?;
        if let Change::AddGroup(group) = change {
            sockets::check(group, host).map_err(|text| Code::Failed.with(text))?;
        }
        self.keep(change, host)?;
        let what = self.describe(change);
        let asker = Rc::new(Asker { client: origin.client.clone(), method: origin.method.clone() });
        self.activity.note(now.wall, &what, Why::Asked(asker));
        self.carry_out(change, now, host);
        self.audit(&what, origin);
        Ok(())
    }

    /// Has a change kept in the file of dynamic changes, where there is one.
    fn keep(&mut self, change: &Change, host: &mut dyn Host) -> Result<(), Fault> {
        let present = Present { roster: &self.roster, configured: &self.config.groups };
        self.dynamic.keep(change, present, host).map_err(|text| Code::Failed.with(text))
    }

    /// Sees that changes could be kept, before processes are stopped for them. Faults: FAILED.
    pub fn rehearse<'c>(
        &mut self,
        changes: impl Iterator<Item = &'c Change>,
        host: &mut dyn Host,
    ) -> Result<(), Fault> {
        let present = Present { roster: &self.roster, configured: &self.config.groups };
        self.dynamic.rehearse(changes, present, host).map_err(|text| Code::Failed.with(text))
    }

    fn carry_out(&mut self, change: &Change, now: Now, host: &mut dyn Host) {
        match change {
            Change::AddGroup(group) => self.activate(group.clone(), now, host),
            Change::RemoveGroup(name) => self.deactivate(name, now, host),
            Change::ReplaceGroup(group) => self.reshape(group, Differing::Replaced, now, host),
            Change::NewGroup { name, priority } => self.make_group(name, *priority, now, host),
            Change::DropGroup(name) => {
                self.config.groups.retain(|group| group.name != *name);
                self.deactivate(name, now, host);
            }
            Change::AddProgram(Addition { group, create, processes, .. }) => {
                if let (None, Some(priority)) = (self.roster.group_named(group), create) {
                    self.make_group(group, *priority, now, host);
                }
                let Some(id) = self.roster.group_named(group) else { return };
                let names: HashSet<&str> = processes.iter().map(|process| process.name.as_str()).collect();
                self.edit_config(id, |config| {
                    config.processes.retain(|other| !names.contains(other.name.as_str()));
                    config.processes.extend(processes.iter().cloned());
                });
                self.regroup(id, Vec::new(), processes.clone(), Then::Rest, now, host);
            }
            Change::RemoveProcess { group, process } => {
                self.remove_processes(group, |found| found.config.name == *process, now, host);
            }
            Change::RemoveProgram { group, program } => {
                self.remove_processes(group, |found| found.config.program.name == *program, now, host);
            }
            Change::SetOptions { groups, configured, .. } => {
                for group in groups {
                    self.reshape(group, Differing::TakenOver, now, host);
                }
                for group in configured {
                    if let Some(known) = self.config.groups.iter_mut().find(|known| known.name == group.name) {
                        known.clone_from(group);
                    }
                }
            }
        }
    }

    /// Makes a group and its processes active.
    pub(super) fn activate(&mut self, config: Rc<config::Group>, now: Now, host: &mut dyn Host) {
        let id = self.roster.add_group(config.clone());
        self.open_pool(id);
        self.regroup(id, Vec::new(), config.processes.clone(), Then::Announce, now, host);
    }

    /// An empty group that no file has; it counts as configured until the next reread.
    fn make_group(&mut self, name: &str, priority: i64, now: Now, host: &mut dyn Host) {
        let (name, revision, kind) = (name.to_string(), self.config.revision, GroupKind::Programs);
        let made = config::Group { name, revision, priority, kind, options: None, processes: Vec::new() };
        let made = Rc::new(made);
        self.config.groups.retain(|group| group.name != made.name);
        self.config.groups.push(made.clone());
        self.activate(made, now, host);
    }

    fn deactivate(&mut self, name: &str, now: Now, host: &mut dyn Host) {
        self.keep_auto_logs(name);
        let Some(id) = self.roster.group_named(name) else { return };
        let Some(group) = self.roster.group(id) else { return };
        let leaving = group.processes.clone();
        self.bus.remove_pool(id);
        self.regroup(id, leaving, Vec::new(), Then::Gone, now, host);
    }

    /// The AUTO logs of a group that goes become part of its configuration: added again before the next reread, it
    /// goes on writing to them (L-44).
    fn keep_auto_logs(&mut self, name: &str) {
        let Some(group) = self.roster.group_named(name).and_then(|id| self.roster.group(id)) else { return };
        let Some(at) = self.config.groups.iter().position(|other| group.config.is_the(other)) else { return };
        let mut kept = config::Group::clone(&group.config);
        for config in &mut kept.processes {
            for channel in [Channel::Stdout, Channel::Stderr] {
                if config.log(channel).logfile != LogFile::Auto {
                    continue;
                }
                let process = group.process(&config.name).and_then(|id| self.roster.process(id));
                if let Some(path) = process.and_then(|process| process.output(channel).path.as_ref()) {
                    Rc::make_mut(config).log_mut(channel).logfile = LogFile::Path(path.to_string());
                }
            }
        }
        self.config.groups[at] = Rc::new(kept);
    }

    /// Adds a process; when it is due is still to be entered in the agenda.
    pub(super) fn add_process(
        &mut self,
        group: GroupId,
        config: Rc<config::Process>,
        now: Now,
        host: &mut dyn Host,
    ) -> Option<ProcId> {
        let name = config.name.clone();
        let id = self.roster.add_process(group, config)?;
        if let Some(pool) = self.bus.pool_mut(group) {
            pool.add_member(id, &name);
        }
        for channel in [Channel::Stdout, Channel::Stderr] {
            self.resolve_log(id, channel, host);
        }
        self.remember_what(id, What::Made, now);
        self.note_order(id);
        self.mind_leftovers(id);
        self.mind_turnover(id, now, host);
        Some(id)
    }

    /// Takes processes out of an active group and of its configuration.
    fn remove_processes(&mut self, group: &str, is_meant: impl Fn(&Proc) -> bool, now: Now, host: &mut dyn Host) {
        let Some(id) = self.roster.group_named(group) else { return };
        let Some(active) = self.roster.group(id) else { return };
        let meant = self.roster.members(active).filter(|(_, process)| is_meant(process));
        let (ids, configs): (Vec<ProcId>, Vec<Rc<config::Process>>) =
            meant.map(|(id, process)| (id, process.config.clone())).unzip();
        let names: HashSet<&str> = configs.iter().map(|config| config.name.as_str()).collect();
        self.edit_config(id, |config| config.processes.retain(|process| !names.contains(process.name.as_str())));
        self.regroup(id, ids, Vec::new(), Then::Rest, now, host);
    }

    /// Takes some processes out of a group.
    pub(super) fn drop_processes(&mut self, group: GroupId, ids: &[ProcId], now: Now, host: &mut dyn Host) {
        for id in ids {
            self.leave_pool(*id, now, host);
            self.detach(*id, now, host);
        }
        self.roster.remove_processes(group, ids);
    }

    /// Lets go of all that a process has, before it is taken out of the roster.
    fn detach(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        self.remember_what(id, What::Gone, now);
        self.forget_started(id, now);
        self.close_logs(id, host);
        // One in state UNKNOWN may still hold its share.
        self.release_socket(id, host);
        self.agenda.forget(id);
        self.forget_care(id, host);
        self.forget_order(id);
        self.forget_remains(id, host);
        host.close_child(id);
        self.just_changed.push(id);
        #[cfg(feature = "fleet")]
        self.note_set();
    }

    /// Changes an active group's configuration. Where the group runs by the very configuration that is stated, that
    /// changes, too: it shows in getAllConfigInfo until the next reread, as in the original. Where changes are kept in
    /// a file, what is configured changes in any case: a group that is removed and added again is to be what the file
    /// says.
    fn edit_config(&mut self, id: GroupId, edit: impl Fn(&mut config::Group)) {
        let Some(group) = self.roster.group_mut(id) else { return };
        let configured = &mut self.config.groups;
        let at = configured.iter().position(|other| group.config.is_the(other));
        // Held twice it would have to be copied, once for each change of a group of any size.
        let shared = at.map(|at| configured.remove(at));
        drop(shared);
        edit(Rc::make_mut(&mut group.config));
        if let Some(at) = at {
            configured.insert(at, group.config.clone());
        } else if self.dynamic.path().is_some()
            && let Some(other) = configured.iter_mut().find(|other| other.name == group.config.name)
        {
            edit(Rc::make_mut(other));
        }
    }

    /// Brings an active group to a new configuration, leaving alone what is the same.
    fn reshape(&mut self, config: &Rc<config::Group>, differing: Differing, now: Now, host: &mut dyn Host) {
        let Some(id) = self.roster.group_named(&config.name) else { return };
        let Some(group) = self.roster.group(id) else { return };
        let wanted = config.by_name();
        let members = self.roster.members(group);
        let current: Vec<(ProcId, Rc<config::Process>)> =
            members.map(|(id, process)| (id, process.config.clone())).collect();
        // First, for what the group depends on its members do, who are looked at next.
        let Some(group) = self.roster.group_mut(id) else { return };
        group.config = config.clone();
        let mut leaving = Vec::new();
        let mut staying = HashSet::new();
        for (process, old) in &current {
            match wanted.get(old.name.as_str()) {
                Some(new) if differing == Differing::TakenOver || old.same_but_for_policy(new) => {
                    self.take_config(*process, new, now, host);
                    staying.insert(old.name.as_str());
                }
                _ => leaving.push(*process),
            }
        }
        let is_new = |process: &&Rc<config::Process>| !staying.contains(process.name.as_str());
        let new = config.processes.iter().filter(is_new).cloned().collect();
        self.regroup(id, leaving, new, Then::Order, now, host);
    }

    /// Gives a process another configuration, whatever it does. A log that is open stays until the child ends.
    fn take_config(&mut self, id: ProcId, config: &Rc<config::Process>, now: Now, host: &mut dyn Host) {
        let Some(process) = self.roster.process_mut(id) else { return };
        let old = std::mem::replace(&mut process.config, config.clone());
        for channel in [Channel::Stdout, Channel::Stderr] {
            let (old, new) = (old.log(channel), config.log(channel));
            let is_other = old.logfile != new.logfile && new.logfile != LogFile::Auto;
            if is_other || old.logfile_storage != new.logfile_storage {
                self.resolve_log(id, channel, host);
            }
        }
        self.remember_what(id, What::Made, now);
        self.note_order(id);
        self.look_at_wait_anew(id, &old, now);
        self.mind_leftovers(id);
        self.look_whether_idle(now);
        self.mind_turnover(id, now, host);
        self.reschedule(id, now);
        self.look_after_changed(id, &old, now, host);
    }
}

/// What becomes of processes whose new configuration differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Differing {
    /// They are stopped, and begin anew.
    Replaced,
    /// They go on, and run by it from their next start on.
    TakenOver,
}
