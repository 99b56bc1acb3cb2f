//! Who is there: active groups, their processes, and the ways to find them, by name, by id and by pid.
//!
//! Everything that can be found in two ways is put in and taken out here, so that the ways cannot differ: a process
//! stands in its group and under its name exactly while it has an id that finds it, and under a pid exactly while it has
//! a child. Ids are not used twice.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use super::groups::{Group, OutputChannel, Proc};
use crate::config::{self, GroupKind};
use crate::id::{GroupId, IdMap, Pid, ProcId};
use crate::model::history::History;
use crate::model::logs::arrival::Arrival;
use crate::model::process::{Process, Transition};
use crate::namespec;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// `group:process`, or a name that is its own group.
    Process(ProcId),
    /// A whole group (`group:*`).
    Group(GroupId),
}

/// The active groups and their processes.
#[derive(Default)]
pub struct Roster {
    groups: BTreeMap<GroupId, Group>,
    group_ids: BTreeMap<Rc<str>, GroupId>,
    /// Boxed, for what is moved when one comes or goes.
    processes: BTreeMap<ProcId, Box<Proc>>,
    pids: IdMap<i32, ProcId>,
    next_group: u32,
    next_process: u32,
}

impl Roster {
    /// The group of that name.
    pub fn group_named(&self, name: &str) -> Option<GroupId> {
        self.group_ids.get(name).copied()
    }

    /// An active group; `None` is one that is gone.
    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(&id)
    }

    /// An active process; `None` is one that is gone.
    pub fn process(&self, id: ProcId) -> Option<&Proc> {
        self.processes.get(&id).map(|process| &**process)
    }

    /// A process and its group.
    pub fn member(&self, id: ProcId) -> Option<(&Group, &Proc)> {
        let process = self.process(id)?;
        Some((self.groups.get(&process.group)?, process))
    }

    /// What a name stands for; `None` for an unknown one.
    pub fn find(&self, name: &str) -> Option<Named> {
        let spec = namespec::split(name);
        let id = self.group_named(spec.group)?;
        match spec.process {
            None => Some(Named::Group(id)),
            Some(process) => self.groups.get(&id)?.process(process).map(Named::Process),
        }
    }

    /// The process that a name stands for; a whole group is none.
    pub fn find_process(&self, name: &str) -> Option<ProcId> {
        match self.find(name) {
            Some(Named::Process(id)) => Some(id),
            _ => None,
        }
    }

    /// Groups in the order they were added.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = (GroupId, &Group)> {
        self.groups.iter().map(|(id, group)| (*id, group))
    }

    /// Groups with their ids, by name.
    pub fn groups_by_name(&self) -> impl Iterator<Item = (GroupId, &Group)> {
        self.group_ids.values().filter_map(|id| self.groups.get(id).map(|group| (*id, group)))
    }

    /// Ids of groups, ascending by priority; among equals the older one comes first (P-10, P-116).
    pub fn groups_by_priority(&self) -> Vec<GroupId> {
        let mut ids: Vec<GroupId> = self.groups.keys().copied().collect();
        crate::sort::by_key(&mut ids, |id| self.groups.get(id).map(|group| group.config.priority));
        ids
    }

    /// All processes, in the order they were added.
    pub fn processes(&self) -> impl Iterator<Item = (ProcId, &Proc)> {
        self.processes.iter().map(|(id, process)| (*id, &**process))
    }

    /// All processes after this one, in the order they were added.
    pub fn processes_after(&self, id: Option<ProcId>) -> impl Iterator<Item = (ProcId, &Proc)> {
        let begin = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.processes.range((begin, Bound::Unbounded)).map(|(id, process)| (*id, &**process))
    }

    /// All processes, sorted by group name, then process name.
    pub fn processes_by_name(&self) -> impl Iterator<Item = (ProcId, &Group, &Proc)> {
        self.groups_by_name().flat_map(move |(_, group)| {
            group.by_name.values().filter_map(move |id| self.process(*id).map(|process| (*id, group, process)))
        })
    }

    /// All processes in the order in which calls start and stop them: ascending by priority of group, then of process.
    pub fn processes_by_priority(&self) -> Vec<ProcId> {
        self.groups_by_priority().into_iter().flat_map(|id| self.members_by_priority(id)).collect()
    }

    /// The processes of a group, ascending by priority; equals as they are listed.
    pub fn members_by_priority(&self, group: GroupId) -> Vec<ProcId> {
        let mut members = self.groups.get(&group).map(|group| group.processes.clone()).unwrap_or_default();
        crate::sort::by_key(&mut members, |id| self.processes.get(id).map(|process| process.config.program.priority));
        members
    }

    /// The processes of a group as they are listed.
    pub fn members<'r>(&'r self, group: &'r Group) -> impl Iterator<Item = (ProcId, &'r Proc)> {
        group.processes.iter().filter_map(|id| self.process(*id).map(|process| (*id, process)))
    }

    /// How many groups there are.
    pub(super) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// How many processes all groups have together.
    pub fn process_count(&self) -> usize {
        self.processes.len()
    }

    /// The process that has this child.
    pub fn process_of(&self, pid: Pid) -> Option<ProcId> {
        self.pids.get(&pid.0).copied()
    }

    /// The group of a process.
    pub fn group_of(&self, id: ProcId) -> Option<&Group> {
        self.member(id).map(|(group, _)| group)
    }

    /// `process` or `group:process`.
    pub fn namespec(&self, id: ProcId) -> Option<String> {
        self.member(id).map(|(group, process)| namespec::join(group.name(), &process.config.name))
    }

    /// Whether it is an event listener.
    pub fn is_listener(&self, id: ProcId) -> bool {
        self.group_of(id).is_some_and(|group| matches!(group.config.kind, GroupKind::Listener(_)))
    }

    /// The processes that an item of `depends_on` means by that name (O-1); `None` is a name that nothing has. A program is looked
    /// for among all processes, for groups share programs.
    pub(super) fn meant_by(&self, name: &str) -> Option<Vec<ProcId>> {
        let members =
            |group: &str| self.group_named(group).and_then(|id| self.groups.get(&id)).map(|it| it.processes.clone());
        let of_group = |group: &str| members(group).filter(|members| !members.is_empty());
        match name.split_once(':') {
            Some((group, "*" | "")) => of_group(group),
            Some((group, process)) => Some(vec![self.group(self.group_named(group)?)?.process(process)?]),
            None => {
                let of_program = self.processes().filter(|(_, process)| process.config.program.name == name);
                let found: Vec<ProcId> = of_program.map(|(id, _)| id).collect();
                if found.is_empty() { of_group(name) } else { Some(found) }
            }
        }
    }

    /// The program of a process.
    pub fn program_of(&self, group: &str, process: &str) -> Option<&str> {
        let id = self.group(self.group_named(group)?)?.process(process)?;
        self.processes.get(&id).map(|process| process.config.program.name.as_str())
    }

    /// Names of the processes of a program in a group, as they are listed.
    pub fn processes_of_program(&self, group: &str, program: &str) -> Vec<String> {
        let Some(group) = self.group_named(group).and_then(|id| self.group(id)) else { return Vec::new() };
        let found = self.members(group).filter(|(_, process)| process.config.program.name == program);
        found.map(|(_, process)| process.config.name.clone()).collect()
    }

    /// Whether a group and so many processes can be added: ids can run out, after four thousand million processes.
    pub(super) fn has_room(&self, processes: usize) -> bool {
        let last = u32::try_from(processes).ok().and_then(|count| self.next_process.checked_add(count));
        last.and(self.next_group.checked_add(1)).is_some()
    }

    /// A group, to be changed.
    pub(super) fn group_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.groups.get_mut(&id)
    }

    /// A process, to be changed.
    pub(super) fn process_mut(&mut self, id: ProcId) -> Option<&mut Proc> {
        self.processes.get_mut(&id).map(|process| &mut **process)
    }

    /// A process and its group, to be changed.
    pub(super) fn member_mut(&mut self, id: ProcId) -> Option<(&mut Group, &mut Proc)> {
        let process = self.processes.get_mut(&id)?;
        Some((self.groups.get_mut(&process.group)?, process))
    }

    /// Adds a group without processes. Its name must be free.
    pub(super) fn add_group(&mut self, config: Rc<config::Group>) -> GroupId {
        debug_assert!(self.group_named(&config.name).is_none(), "{}", config.name);
        let id = GroupId(self.next_group);
        self.next_group += 1;
        self.group_ids.insert(config.name.as_str().into(), id);
        self.groups.insert(id, Group::new(config));
        id
    }

    /// Adds a process that was never started, as the last of its group.
    pub(super) fn add_process(&mut self, group: GroupId, config: Rc<config::Process>) -> Option<ProcId> {
        let active = self.groups.get_mut(&group)?;
        let id = ProcId(self.next_process);
        self.next_process += 1;
        active.by_name.insert(config.name.as_str().into(), id);
        active.processes.push(id);
        let namespec = namespec::join(active.name(), &config.name).into();
        let process = Proc {
            group,
            config,
            machine: Process::default(),
            stdout: OutputChannel::default(),
            stderr: OutputChannel::default(),
            arrival: Arrival::default(),
            launched: None,
            start_failure: 0,
            uses_socket: false,
            leaves: false,
            history: History::default(),
            #[cfg(feature = "fleet")]
            marks: None,
            namespec,
        };
        self.processes.insert(id, Box::new(process));
        Some(id)
    }

    /// Takes a group out with all its processes.
    pub(super) fn remove_group(&mut self, id: GroupId) {
        let Some(group) = self.groups.remove(&id) else { return };
        self.group_ids.remove(group.name());
        for id in group.processes {
            self.forget(id);
        }
    }

    /// Takes processes of one group out of it. One by one, its list would be gone through as often.
    pub(super) fn remove_processes(&mut self, group: GroupId, ids: &[ProcId]) {
        for id in ids {
            let Some(process) = self.forget(*id) else { continue };
            debug_assert_eq!(process.group, group, "{}", process.config.name);
            let Some(group) = self.groups.get_mut(&process.group) else { continue };
            group.by_name.remove(process.config.name.as_str());
            if !process.machine.state().is_stopped() {
                group.unstopped = group.unstopped.saturating_sub(1);
            }
        }
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        if let Some(group) = self.groups.get_mut(&group) {
            group.processes.retain(|id| ids.binary_search(id).is_err());
        }
    }

    fn forget(&mut self, id: ProcId) -> Option<Box<Proc>> {
        let process = self.processes.remove(&id)?;
        if let Some(pid) = process.machine.pid() {
            self.pids.remove(&pid.0);
        }
        Some(process)
    }

    /// A process has got a child.
    pub(super) fn add_child(&mut self, id: ProcId, pid: Pid) {
        self.pids.insert(pid.0, id);
    }

    /// A child was reaped; answers whose it was.
    pub(super) fn remove_child(&mut self, pid: Pid) -> Option<ProcId> {
        self.pids.remove(&pid.0)
    }

    /// A process has changed its state.
    pub(super) fn count(&mut self, id: ProcId, change: &Transition) {
        let Some((group, _)) = self.member_mut(id) else { return };
        match (change.from.is_stopped(), change.to.is_stopped()) {
            (true, false) => group.unstopped += 1,
            (false, true) => group.unstopped = group.unstopped.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Mono, Now, Wall};
    use crate::config::fake::Fake;
    use crate::model::process::{Effect, Trigger};
    use crate::state::SupervisorState;

    const TEXT: &str = "[supervisord]\n[program:a]\ncommand=a\npriority=2\nnumprocs=2\nprocess_name=a%(process_num)d\n\
                        [program:b]\ncommand=b\npriority=1\n[group:g]\nprograms=a,b\npriority=5\n\
                        [program:z]\ncommand=z\npriority=5\n[program:c]\ncommand=c\npriority=1\n";

    fn roster() -> Roster {
        let mut env = Fake::new();
        let mut roster = Roster::default();
        for group in env.loader(TEXT).load(&env).unwrap().groups {
            let id = roster.add_group(group.clone());
            for process in &group.processes {
                roster.add_process(id, process.clone());
            }
        }
        roster
    }

    /// Feeds the machine of a process and counts what comes of it.
    fn feed(roster: &mut Roster, id: ProcId, trigger: Trigger) {
        let process = roster.process_mut(id).unwrap();
        let config = process.config.clone();
        let mut effects = Vec::new();
        process.machine.step(
            trigger,
            &config,
            SupervisorState::Running,
            Now { mono: Mono(0), wall: Wall(0) },
            &mut effects,
        );
        for effect in effects {
            if let Effect::Changed(change) = effect {
                roster.count(id, &change);
            }
        }
    }

    fn names(roster: &Roster, ids: Vec<ProcId>) -> Vec<String> {
        ids.into_iter().filter_map(|id| roster.namespec(id)).collect()
    }

    /// Whether all ways lead to the same.
    fn check(roster: &Roster, what: &str) {
        for (id, group) in roster.groups() {
            assert_eq!(roster.group_named(group.name()), Some(id), "{what}");
            assert_eq!(group.by_name.len(), group.processes.len(), "{what}");
            let unstopped = roster.members(group).filter(|(_, process)| !process.machine.state().is_stopped());
            assert_eq!(group.unstopped, unstopped.count(), "{what}: {}", group.name());
            for (process, found) in roster.members(group) {
                assert_eq!((group.process(&found.config.name), found.group), (Some(process), id), "{what}");
            }
        }
        let listed: usize = roster.groups().map(|(_, group)| group.processes.len()).sum();
        assert_eq!((listed, roster.group_ids.len()), (roster.process_count(), roster.groups.len()), "{what}");
        let with_child = roster.processes().filter_map(|(id, process)| Some((process.machine.pid()?, id)));
        let pids: IdMap<i32, ProcId> = with_child.map(|(pid, id)| (pid.0, id)).collect();
        assert_eq!(roster.pids, pids, "{what}");
    }

    #[test]
    fn names_find_processes_and_groups() {
        let roster = roster();
        let rows = [
            ("g:a1", Some("g:a1")),
            ("g:b", Some("g:b")),
            ("z", Some("z")),
            ("z:z", Some("z")),
            ("g:c", None),
            ("a", None),
            ("", None),
        ];
        for (name, expected) in rows {
            let found = roster.find_process(name).and_then(|id| roster.namespec(id));
            assert_eq!(found.as_deref(), expected, "{name}");
        }
        assert_eq!(roster.find("g:*"), roster.group_named("g").map(Named::Group));
        assert_eq!(roster.find_process("g:*"), None);
        assert_eq!(roster.processes_of_program("g", "a"), ["a0", "a1"]);
        assert_eq!(roster.program_of("g", "a1"), Some("a"));
    }

    /// O-1: a group's process, a group, a program in whichever groups, in this order.
    #[test]
    fn what_an_item_means() {
        let mut roster = roster();
        let g = roster.group_named("g").unwrap();
        let config = roster.process(roster.find_process("z").unwrap()).unwrap().config.clone();
        roster.add_process(g, config).unwrap();
        let rows: [(&str, Option<&[&str]>); 9] = [
            ("g:a1", Some(&["g:a1"])),
            ("g:x", None),
            ("x:a1", None),
            ("g:*", Some(&["g:a0", "g:a1", "g:b", "g:z"])),
            ("g:", Some(&["g:a0", "g:a1", "g:b", "g:z"])),
            ("a", Some(&["g:a0", "g:a1"])),
            ("z", Some(&["g:z", "z"])),
            ("g", Some(&["g:a0", "g:a1", "g:b", "g:z"])),
            ("x", None),
        ];
        for (name, expected) in rows {
            let found = roster.meant_by(name).map(|ids| names(&roster, ids));
            let found = found.map(|mut names| {
                names.sort();
                names
            });
            let found = found.as_ref().map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{name}");
        }
        roster.remove_processes(g, &roster.members_by_priority(g));
        assert_eq!(roster.meant_by("g"), None, "a group without a process means nothing");
    }

    #[test]
    fn orders() {
        let roster = roster();
        let by_name: Vec<ProcId> = roster.processes_by_name().map(|(id, ..)| id).collect();
        assert_eq!(names(&roster, by_name), ["c", "g:a0", "g:a1", "g:b", "z"]);
        let groups: Vec<&str> =
            roster.groups_by_priority().into_iter().filter_map(|id| Some(roster.group(id)?.name())).collect();
        let place = |name| groups.iter().position(|group| *group == name);
        assert!(place("c") < place("g") && place("c") < place("z"), "{groups:?}");
        let members = roster.members_by_priority(roster.group_named("g").unwrap());
        assert_eq!(names(&roster, members), ["g:b", "g:a0", "g:a1"]);
    }

    #[test]
    fn what_goes_is_found_by_nothing() {
        let mut roster = roster();
        check(&roster, "new");
        let (a0, a1) = (roster.find_process("g:a0").unwrap(), roster.find_process("g:a1").unwrap());
        let config = roster.process(a0).unwrap().config.clone();
        for (id, pid) in [(a0, Pid(10)), (a1, Pid(11))] {
            feed(&mut roster, id, Trigger::Start);
            feed(&mut roster, id, Trigger::Spawned(pid));
            roster.add_child(id, pid);
        }
        check(&roster, "started");
        assert_eq!(roster.process_of(Pid(10)), Some(a0));
        let g = roster.group_named("g").unwrap();
        roster.remove_processes(g, &[a0]);
        check(&roster, "one removed");
        assert_eq!((roster.process_of(Pid(10)), roster.find("g:a0")), (None, None));
        let again = roster.add_process(g, config);
        assert!(again.is_some_and(|again| again.0 > a1.0), "ids are not used twice");
        check(&roster, "added again");
        let b = roster.find_process("g:b").unwrap();
        let a1_of = |roster: &Roster| roster.process_of(Pid(11));
        let mut less = roster.members_by_priority(g);
        less.retain(|id| *id != b);
        assert_eq!((less.len(), a1_of(&roster)), (2, Some(a1)));
        roster.remove_processes(g, &less);
        check(&roster, "all but one removed");
        assert_eq!((roster.find_process("g:b"), a1_of(&roster)), (Some(b), None));
        roster.remove_group(g);
        check(&roster, "its group removed");
        assert_eq!((roster.process_of(Pid(11)), roster.find("g:b"), roster.process_count()), (None, None, 2));
        roster.remove_group(GroupId(77));
        roster.remove_processes(g, &[a0]);
        check(&roster, "removed again");
    }

    #[test]
    fn ids_run_out_before_they_are_used_twice() {
        let mut roster = roster();
        assert!(roster.has_room(1000));
        roster.next_process = u32::MAX - 5;
        assert!(roster.has_room(5) && !roster.has_room(6));
        roster.next_group = u32::MAX;
        assert!(!roster.has_room(0));
    }
}
