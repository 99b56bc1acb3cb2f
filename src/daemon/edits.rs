//! Edits of the journal: what each change means in Supervisor's format.
//!
//! A program added gets a section of its own, `[program:x]`, under a name that nobody has, and a place in the `programs`
//! of its group. A program of the other files cannot be taken out of them, so it is laid over with `numprocs=0`. What
//! that cannot say (one of several processes, a whole group) stands in the journal's list of what is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::Daemon;
use super::change::{Addition, Change};
use crate::config::Group;
use crate::config::journal::{self, Journal, Members, Options};
use crate::wire::ini::Document;

/// Removed groups whose sections are remembered, for an addProcessGroup that brings them back. `update` removes and
/// adds one group after another, so one would do; a few more cost nothing.
const PARKED_MAX: usize = 64;

/// The part that a change edits, and that is put back if it cannot be written.
#[derive(Clone, Default)]
pub(super) struct Kept {
    pub(super) journal: Journal,
    /// By group: which section of the journal each process comes from. Removed ones stay while a process of the same
    /// section is left.
    made: BTreeMap<String, BTreeMap<String, Made>>,
    /// Sections of groups that removeProcessGroup dropped.
    parked: BTreeMap<String, Parked>,
}

#[derive(Clone)]
struct Made {
    section: String,
    removed: bool,
}

#[derive(Clone)]
struct Parked {
    members: Rc<Members>,
    sections: Vec<(String, Rc<Options>)>,
    made: BTreeMap<String, Made>,
}

/// A program's section, as options are set in it.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its whole name, `program:x`.
    pub name: String,
    /// What `%(program_name)s` means in options, if that is not the section's name.
    alias: Option<String>,
}

impl Section {
    /// The part after the colon.
    pub fn short(&self) -> &str {
        self.name.split_once(':').map_or("", |(_, short)| short)
    }
}

/// A group's name and the name of a process in it.
pub(super) type Target<'a> = (&'a str, &'a str);

/// What edits are made against.
pub(super) struct Scene<'a> {
    pub(super) base: &'a Document,
    pub(super) daemon: &'a Daemon,
    /// Whether there is a file; a group that the other files have then keeps its changes when it is taken up anew.
    pub(super) is_filed: bool,
}

impl Kept {
    /// What a file says, and what comes of it.
    pub(super) fn read(journal: Journal, base: &Document, groups: &[Rc<Group>]) -> Kept {
        let mut kept = Kept { journal, ..Kept::default() };
        for group in groups {
            let own = group.processes.iter().filter(|process| kept.is_own(base, &process.program));
            let made: BTreeMap<String, Made> = own
                .map(|process| (process.name.clone(), Made { section: process.program.clone(), removed: false }))
                .collect();
            if !made.is_empty() {
                kept.made.insert(group.name.clone(), made);
            }
        }
        kept
    }

    /// The section of the journal from which a process comes, without its `program:`.
    pub(super) fn made_by(&self, group: &str, process: &str) -> Option<&str> {
        self.made.get(group)?.get(process).map(|made| made.section.as_str())
    }

    /// All such sections of a group.
    pub(super) fn sections_of(&self, group: &str) -> impl Iterator<Item = &str> {
        let made = self.made.get(group).into_iter().flat_map(BTreeMap::values);
        made.filter(|made| !made.removed).map(|made| made.section.as_str())
    }

    /// Whether that process was removed from what its section makes.
    pub(super) fn is_gone(&self, base: &Document, section: &Section, group: &str, process: &str) -> bool {
        let own = self.is_own(base, section.short()).then_some(section.short());
        self.journal.gone.contains(&journal::gone(group, own, process))
    }

    /// Groups that were removed cannot be added again: a new configuration has come.
    pub(super) fn forget_parked(&mut self) {
        self.parked.clear();
    }

    /// Notes a change. Errors: why no file could say it; the edits are then half done.
    pub(super) fn edit(&mut self, change: &Change, scene: &Scene<'_>) -> Result<(), String> {
        match change {
            Change::AddGroup(group) => self.restore(&group.name, scene),
            Change::RemoveGroup(name) if !is_base_group(scene.base, name) => self.park(name, scene.base),
            Change::RemoveGroup(name) if !scene.is_filed => self.purge(name, scene),
            Change::ReplaceGroup(group) if !scene.is_filed => self.purge(&group.name, scene),
            Change::RemoveGroup(_) | Change::ReplaceGroup(_) => {}
            Change::NewGroup { name, priority } => self.new_group(name, *priority, scene)?,
            Change::DropGroup(name) => self.drop_group(name, scene),
            Change::AddProgram(addition) => self.add_program(addition, scene)?,
            Change::RemoveProcess { group, process } => self.remove_process(group, process, scene),
            Change::RemoveProgram { group, program } => {
                for process in scene.daemon.processes_of_program(group, program) {
                    self.remove_process(group, &process, scene);
                }
            }
            Change::SetOptions { section, options, groups, whole, .. } => {
                self.set_options(section, options);
                for group in groups {
                    self.remake(section, group, *whole, scene.base);
                }
            }
        }
        Ok(())
    }

    /// A new, empty group: the programs that the files put into it make no processes.
    fn new_group(&mut self, name: &str, priority: i64, scene: &Scene<'_>) -> Result<(), String> {
        let base = scene.base;
        if !journal::is_plain(name) {
            return Err(format!("a group named '{name}' cannot be written to a file"));
        }
        let special = ["eventlistener:", "fcgi-program:"].map(|kind| base.section(&format!("{kind}{name}")).is_some());
        if special.contains(&true) && !is_listed(base, name) {
            return Err(format!("the configuration has a section for '{name}' that cannot be undone"));
        }
        self.parked.remove(name);
        self.journal.gone.remove(name);
        self.silence(name, scene);
        let programs = self.members(base, name, priority).programs;
        let programs = programs.into_iter().filter(|program| !self.is_own(base, program)).collect();
        self.journal.groups.insert(name.to_string(), Rc::new(Members { priority, programs }));
        Ok(())
    }

    /// Its processes stay gone, too, should a group of that name be made again.
    fn drop_group(&mut self, name: &str, scene: &Scene<'_>) {
        self.take_out(name, scene.base);
        if is_base_group(scene.base, name) {
            self.silence(name, scene);
            self.journal.gone.insert(name.to_string());
        }
    }

    /// Takes a group and the sections that are only its own out of the journal.
    fn take_out(&mut self, name: &str, base: &Document) -> Option<Parked> {
        let made = self.made.remove(name).unwrap_or_default();
        let members = self.journal.groups.remove(name)?;
        let mut sections = Vec::new();
        for program in members.programs.iter().filter(|program| base_section(base, program).is_none()) {
            self.journal.bring_back(name, Some(program));
            let name = format!("program:{program}");
            if let Some(options) = self.journal.sections.remove(&name) {
                sections.push((name, options));
            }
        }
        Some(Parked { members, sections, made })
    }

    /// removeProcessGroup of a group that only the journal has: it is out of the file, but can be added again.
    fn park(&mut self, name: &str, base: &Document) {
        if let Some(parked) = self.take_out(name, base) {
            if self.parked.len() == PARKED_MAX {
                self.parked.pop_first();
            }
            self.parked.insert(name.to_string(), parked);
        }
    }

    /// addProcessGroup: the group is as it was configured.
    fn restore(&mut self, name: &str, scene: &Scene<'_>) {
        if let Some(Parked { members, sections, made }) = self.parked.remove(name) {
            for (section, options) in sections {
                self.journal.sections.entry(section).or_insert(options);
            }
            self.journal.groups.insert(name.to_string(), members);
            self.made.insert(name.to_string(), made);
        }
        if self.journal.gone.remove(name) {
            self.purge(name, scene);
        }
    }

    /// A group is taken up as the other files have it.
    fn purge(&mut self, name: &str, scene: &Scene<'_>) {
        self.take_out(name, scene.base);
        self.journal.bring_back(name, None);
        for program in self.members(scene.base, name, 0).programs {
            if let Some(section) = base_section(scene.base, &program) {
                self.journal.sections.remove(&section);
            }
        }
    }

    fn add_program(&mut self, addition: &Addition, scene: &Scene<'_>) -> Result<(), String> {
        let Addition { group, create, program, instance, options, processes } = addition;
        let active = scene.daemon.group_named(group).and_then(|id| scene.daemon.group(id));
        let priority = match (active, create) {
            (Some(active), _) => active.config.priority,
            (None, Some(priority)) => {
                self.new_group(group, *priority, scene)?;
                *priority
            }
            (None, None) => return Ok(()),
        };
        if !journal::is_plain(group) {
            return Err(format!("a group named '{group}' cannot be written to a file"));
        }
        let name = self.vacant(group, instance.as_ref().unwrap_or(program), scene.base);
        let alias = (name != *program).then(|| program.clone());
        let section = Section { name: format!("program:{name}"), alias };
        self.journal.sections.remove(&section.name);
        if section.alias.is_some() && !options.iter().any(|(key, _)| plain_key(key) == "process_name") {
            let name = ("process_name".to_string(), "%(program_name)s".to_string());
            self.set_options(&section, &[name]);
        }
        self.set_options(&section, options);
        let mut members = self.members(scene.base, group, priority);
        members.programs.push(name.clone());
        self.journal.groups.insert(group.clone(), Rc::new(members));
        let made = self.made.entry(group.clone()).or_default();
        for process in processes {
            made.insert(process.name.clone(), Made { section: name.clone(), removed: false });
        }
        Ok(())
    }

    fn remove_process(&mut self, group: &str, process: &str, scene: &Scene<'_>) {
        let base = scene.base;
        if let Some(made) = self.made.get_mut(group)
            && let Some(entry) = made.get_mut(process)
        {
            let section = entry.section.clone();
            entry.removed = true;
            if made.values().any(|other| other.section == section && !other.removed) {
                self.journal.gone.insert(journal::gone(group, Some(&section), process));
                return;
            }
            made.retain(|_, entry| entry.section != section);
            self.journal.bring_back(group, Some(&section));
            self.unlist(group, &section, base);
            return;
        }
        // A process of the other files, if they still have it.
        let Some(configured) = scene.daemon.configured_group(group) else { return };
        let Some(found) = configured.processes.iter().find(|program| program.name == process) else { return };
        let is_last = configured.processes.iter().filter(|program| program.program == found.program).count() == 1;
        match base_section(base, &found.program) {
            Some(section) if is_last && self.groups_listing(base, &found.program) <= 1 => {
                self.set_options(&Section { name: section, alias: None }, &[no_processes()]);
            }
            Some(_) => {
                self.journal.gone.insert(journal::gone(group, None, process));
            }
            None => {}
        }
    }

    /// Takes a section of the journal's own out of a group, and the group's line, if nothing is left to say with it.
    fn unlist(&mut self, group: &str, section: &str, base: &Document) {
        self.journal.sections.remove(&format!("program:{section}"));
        let Some(members) = self.journal.groups.get_mut(group) else { return };
        Rc::make_mut(members).programs.retain(|program| program != section);
        let said = base.section(&format!("group:{group}"));
        let is_said = said.is_some_and(|said| {
            let value = |key: &str, default| said.get(key).map_or(default, |entry| entry.value.as_str());
            journal::list(value("programs", "")) == members.programs
                && value("priority", "999") == members.priority.to_string()
        });
        if is_said {
            self.journal.groups.remove(group);
        }
    }

    /// Sets options of a section, those that it has already where they stand.
    pub(super) fn set_options(&mut self, section: &Section, options: &[(String, String)]) {
        let known = Rc::make_mut(self.journal.sections.entry(section.name.clone()).or_default());
        for (key, value) in options {
            // Nobody reads an option whose name no file could hold.
            let key = plain_key(key);
            if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
                continue;
            }
            let value = match &section.alias {
                Some(alias) => journal::with_name(value, alias),
                None => value.clone(),
            };
            match known.iter_mut().find(|(name, _)| *name == key) {
                Some(entry) => entry.1 = value,
                None => known.push((key, value)),
            }
        }
    }

    /// The processes of a section are those that a group now has; with `whole`, none of them is gone.
    fn remake(&mut self, section: &Section, group: &Group, whole: bool, base: &Document) {
        let short = section.short();
        let name = section.alias.as_deref().unwrap_or(short);
        let processes = || group.processes.iter().filter(|process| process.program == name);
        let own = self.is_own(base, short).then_some(short);
        if whole {
            for process in processes() {
                self.journal.gone.remove(&journal::gone(&group.name, own, &process.name));
            }
        }
        if own.is_none() {
            return;
        }
        let made = self.made.entry(group.name.clone()).or_default();
        made.retain(|_, entry| entry.section != short || (entry.removed && !whole));
        for process in processes() {
            made.insert(process.name.clone(), Made { section: short.to_string(), removed: false });
        }
    }

    /// The section that a program comes from, of which these processes are active.
    pub(super) fn section_of(&self, base: &Document, program: &str, processes: &[Target<'_>]) -> Option<Section> {
        let made = |(group, process): &Target<'_>| self.made.get(*group)?.get(*process);
        if let Some(entry) = processes.iter().find_map(made) {
            let alias = (entry.section != program).then(|| program.to_string());
            return Some(Section { name: format!("program:{}", entry.section), alias });
        }
        let own = || self.is_own(base, program).then(|| format!("program:{program}"));
        base_section(base, program).or_else(own).map(|name| Section { name, alias: None })
    }

    /// Makes the programs that the other files put into a group have no processes there.
    fn silence(&mut self, group: &str, scene: &Scene<'_>) {
        let base = scene.base;
        for program in self.members(base, group, 0).programs {
            let Some(section) = base_section(base, &program) else { continue };
            if self.groups_listing(base, &program) <= 1 {
                self.set_options(&Section { name: section, alias: None }, &[no_processes()]);
            } else if let Some(configured) = scene.daemon.configured_group(group) {
                for process in configured.processes.iter().filter(|process| process.program == program) {
                    self.journal.gone.insert(journal::gone(group, None, &process.name));
                }
            }
        }
    }

    /// What a group consists of, in the journal or else in the other files.
    fn members(&self, base: &Document, group: &str, priority: i64) -> Members {
        if let Some(members) = self.journal.groups.get(group) {
            return Members { priority, ..(**members).clone() };
        }
        let programs = match base.section(&format!("group:{group}")) {
            Some(section) => section.get("programs").map_or(Vec::new(), |entry| journal::list(&entry.value)),
            None => base_section(base, group).map(|_| vec![group.to_string()]).unwrap_or_default(),
        };
        Members { priority, programs }
    }

    fn is_own(&self, base: &Document, program: &str) -> bool {
        base_section(base, program).is_none() && self.journal.sections.contains_key(&format!("program:{program}"))
    }

    /// In how many groups a program of the other files stands.
    fn groups_listing(&self, base: &Document, program: &str) -> usize {
        let groups: BTreeSet<&str> = base.sections.iter().filter_map(|s| s.name.strip_prefix("group:")).collect();
        let lists = |group: &&&str| self.members(base, group, 0).programs.iter().any(|listed| listed == program);
        groups.iter().filter(lists).count()
    }

    /// A name for a section that no section has.
    fn vacant(&self, group: &str, program: &str, base: &Document) -> String {
        let is_free = |name: &str| {
            journal::is_plain(name)
                && base_section(base, name).is_none()
                && !["program", "fcgi-program", "eventlistener"]
                    .iter()
                    .any(|kind| self.journal.sections.contains_key(&format!("{kind}:{name}")))
        };
        if is_free(program) {
            return program.to_string();
        }
        let plain: String =
            format!("{group}_{program}").chars().map(|c| if is_plain_char(c) { c } else { '_' }).collect();
        if is_free(&plain) {
            return plain;
        }
        let numbered = (2u64..).map(|number| format!("{plain}_{number}"));
        numbered.into_iter().find(|name| is_free(name)).unwrap_or(plain)
    }
}

/// An option's name as files spell it.
fn plain_key(key: &str) -> String {
    key.to_lowercase().trim_end().to_string()
}

fn is_plain_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn no_processes() -> (String, String) {
    ("numprocs".to_string(), "0".to_string())
}

/// The whole name of a program's section in the other files.
fn base_section(base: &Document, program: &str) -> Option<String> {
    let names = ["program", "fcgi-program", "eventlistener"].map(|kind| format!("{kind}:{program}"));
    names.into_iter().find(|name| base.section(name).is_some())
}

/// Whether the other files make a group of that name.
fn is_base_group(base: &Document, name: &str) -> bool {
    base.section(&format!("group:{name}")).is_some()
        || base.section(&format!("eventlistener:{name}")).is_some()
        || (base_section(base, name).is_some() && !is_listed(base, name))
}

/// Whether a group of the other files lists that program.
fn is_listed(base: &Document, program: &str) -> bool {
    let groups = base.sections.iter().filter(|section| section.name.starts_with("group:"));
    let mut programs = groups.filter_map(|section| section.get("programs"));
    programs.any(|entry| entry.value.split(',').any(|name| name.trim() == program))
}
