//! Edits of the journal: what each change means for it.
//!
//! A program added stands in the note of its group. A program of the files cannot be taken out of them, so it stands on
//! the list of what is gone, and so does a process of it that was removed alone. How all that is said in Supervisor's
//! format is the business of the journal's text.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Roster;
use super::change::{Addition, Change};
use crate::config;
use crate::config::journal::value::EarlyNames;
use crate::config::journal::{self, Definition, Journal, Laid, Made, Note, Options, Own};
use crate::wire::ini::Document;

/// Removed groups that are remembered, for an addProcessGroup that brings them back. `update` removes and adds one group
/// after another, so one would do; a few more cost nothing.
const PARKED_MAX: usize = 64;

/// The part that a change edits, and that is put back if it cannot be written.
#[derive(Clone, Default)]
pub(super) struct Edits {
    pub(super) journal: Journal,
    /// Which program of the journal each of its processes comes from.
    made: Made,
    /// What was said of groups that removeProcessGroup dropped.
    parked: BTreeMap<String, Parked>,
}

#[derive(Clone)]
struct Parked {
    note: Rc<Note>,
    made: BTreeMap<String, String>,
}

/// What a change meets: what is active, and what is configured.
#[derive(Clone, Copy)]
pub(super) struct Present<'a> {
    pub(super) roster: &'a Roster,
    pub(super) configured: &'a [Rc<config::Group>],
}

/// What edits are made against.
pub(super) struct Scene<'a> {
    pub(super) base: &'a Document,
    /// What `%(here)s` means in options.
    pub(super) here: &'a str,
    pub(super) present: Present<'a>,
    /// Whether there is a file: what is in it is configured, whether or not it is active.
    pub(super) is_filed: bool,
}

impl Edits {
    /// What a file says, and what has come of it.
    pub(super) fn read(journal: Journal, laid: &Laid) -> Edits {
        Edits { journal, made: laid.made.clone(), parked: BTreeMap::new() }
    }

    /// The same journal has been laid over other files: groups that were removed cannot be added again.
    pub(super) fn lay_again(&mut self, laid: &Laid) {
        self.made.clone_from(&laid.made);
        self.parked.clear();
    }

    /// A new configuration has come, and the journal was not laid over it.
    pub(super) fn forget_parked(&mut self) {
        self.parked.clear();
    }

    /// What has the options of a program in a group, or in all; nothing, if there is no such program.
    pub(super) fn definitions(
        &self,
        base: &Document,
        roster: &Roster,
        program: &str,
        group: Option<&str>,
    ) -> Vec<Definition> {
        let is_meant = |name: &str| group.is_none_or(|group| group == name) && roster.group_named(name).is_some();
        let groups = self.journal.groups.keys().filter(|name| is_meant(name));
        let own = groups.filter(|name| self.journal.own(name, program).is_some());
        let mut definitions: Vec<Definition> =
            own.map(|group| Definition::Own { group: group.clone(), program: program.to_string() }).collect();
        let is_of_files = |name: &&str| is_meant(name) && self.is_of_files(base, name, program);
        if let Some(section) = journal::program_section(base, program)
            && journal::groups_of(base, program)
                .iter()
                .any(|name| is_of_files(name) && self.journal.own(name, program).is_none())
        {
            definitions.push(Definition::Files(section));
        }
        definitions
    }

    /// Whether the files have a program in that group, and it is not gone.
    fn is_of_files(&self, base: &Document, group: &str, program: &str) -> bool {
        !self.journal.hides(group)
            && !self.journal.gone.programs.contains(&[group, program].map(str::to_string))
            && journal::groups_of(base, program).contains(&group)
    }

    /// Whether a group has a program, be it without a process.
    pub(super) fn holds(&self, base: &Document, group: &str, program: &str) -> bool {
        self.journal.own(group, program).is_some() || self.is_of_files(base, group, program)
    }

    /// Notes a change. Errors: why no file could say it; the edits are then half done.
    pub(super) fn edit(&mut self, change: &Change, scene: &Scene<'_>) -> Result<(), String> {
        match change {
            // With a file nothing else is configured: added again, or after the next start, a group is as it was.
            Change::AddGroup(_) | Change::RemoveGroup(_) | Change::ReplaceGroup(_) if scene.is_filed => {}
            Change::AddGroup(group) => self.restore(&group.name, scene),
            Change::RemoveGroup(name) if self.is_only_ours(scene.base, name) => self.park(name),
            Change::RemoveGroup(name) => self.purge(name, scene.base),
            Change::ReplaceGroup(group) => self.purge(&group.name, scene.base),
            Change::NewGroup { name, priority } => self.new_group(name, *priority, scene.base)?,
            Change::DropGroup(name) => self.drop_group(name, scene.base),
            Change::AddProgram(addition) => self.add_program(addition, scene)?,
            Change::RemoveProcess { group, process } => self.remove_process(group, process, scene),
            Change::RemoveProgram { group, program } => self.remove_program(group, program, scene),
            Change::SetOptions { definitions, options, groups, made, whole, .. } => {
                let options = with_early_names(options, None, scene.here);
                for definition in definitions {
                    self.journal.set_options(definition, &options, scene.base);
                    if *whole {
                        self.journal.bring_back(definition);
                    }
                }
                for group in groups {
                    match made.get(&group.name) {
                        Some(processes) => self.made.insert(group.name.clone(), processes.clone()),
                        None => self.made.remove(&group.name),
                    };
                }
            }
        }
        Ok(())
    }

    /// Whether only the journal has a group.
    fn is_only_ours(&self, base: &Document, name: &str) -> bool {
        self.journal.groups.get(name).is_some_and(|note| note.is_made || journal::members(base, name).is_none())
    }

    /// A new, empty group, whatever the files say of that name.
    fn new_group(&mut self, name: &str, priority: i64, base: &Document) -> Result<(), String> {
        if !journal::fits_header(name) {
            return Err(format!("a group named '{name}' cannot be written to a file"));
        }
        let special =
            ["eventlistener:", "fcgi-program:"].iter().any(|kind| base.section(&format!("{kind}{name}")).is_some());
        if special && journal::groups_of(base, name).contains(&name) {
            return Err(format!("the configuration has a section for '{name}' that cannot be undone"));
        }
        self.drop_group(name, base);
        self.parked.remove(name);
        let note = Note { is_made: true, priority, programs: Vec::new() };
        self.journal.groups.insert(name.to_string(), Rc::new(note));
        Ok(())
    }

    /// A group is gone, and stays so although the files have it. If they got it only after it was made at run time,
    /// nobody has spoken of theirs yet, and it counts from now on.
    fn drop_group(&mut self, name: &str, base: &Document) {
        let was_made = self.journal.groups.remove(name).is_some_and(|note| note.is_made);
        self.made.remove(name);
        self.journal.gone.forget_in(name);
        if was_made && !self.journal.gone.groups.contains(name) {
            return;
        }
        if let Some(members) = journal::members(base, name) {
            self.journal.gone.groups.insert(name.to_string());
            for program in members {
                self.forget_options(base, &program);
            }
        }
    }

    /// Options of a program that no group holds any more are nobody's.
    fn forget_options(&mut self, base: &Document, program: &str) {
        if let Some(section) = journal::program_section(base, program)
            && self.journal.amended.contains_key(&section)
            && self.journal.is_gone_everywhere(base, program)
        {
            self.journal.amended.remove(&section);
        }
    }

    /// removeProcessGroup of a group that only the journal has: it can be added again before the next reread.
    fn park(&mut self, name: &str) {
        let Some(note) = self.journal.groups.remove(name) else { return };
        let made = self.made.remove(name).unwrap_or_default();
        if self.parked.len() == PARKED_MAX {
            self.parked.pop_first();
        }
        self.parked.insert(name.to_string(), Parked { note, made });
    }

    /// addProcessGroup: the group is as it was configured.
    fn restore(&mut self, name: &str, scene: &Scene<'_>) {
        if let Some(Parked { note, made }) = self.parked.remove(name) {
            self.journal.groups.insert(name.to_string(), note);
            self.made.insert(name.to_string(), made);
        } else if self.journal.gone.groups.remove(name) {
            self.purge(name, scene.base);
        }
    }

    /// A group is taken up as the files have it.
    fn purge(&mut self, name: &str, base: &Document) {
        self.journal.groups.remove(name);
        self.made.remove(name);
        self.journal.gone.forget_in(name);
        for program in journal::members(base, name).unwrap_or_default() {
            if let Some(section) = journal::program_section(base, &program) {
                self.journal.amended.remove(&section);
            }
        }
    }

    fn add_program(&mut self, addition: &Addition, scene: &Scene<'_>) -> Result<(), String> {
        let Addition { group, create, program, instance, options, processes } = addition;
        if !journal::fits_header(group) {
            return Err(format!("a group named '{group}' cannot be written to a file"));
        }
        let active = scene.present.roster.group_named(group).and_then(|id| scene.present.roster.group(id));
        let priority = match (active, create) {
            (Some(active), _) => active.config.priority,
            (None, Some(priority)) => {
                self.new_group(group, *priority, scene.base)?;
                *priority
            }
            (None, None) => return Ok(()),
        };
        let name = instance.as_ref().unwrap_or(program);
        let mut own = Own { name: name.clone(), ..Own::default() };
        let alias = instance.as_ref().map(|_| program.as_str());
        journal::set_options(&mut own.options, &with_early_names(options, alias, scene.here));
        let theirs = Note { is_made: false, priority, programs: Vec::new() };
        let note = self.journal.groups.entry(group.clone()).or_insert_with(|| Rc::new(theirs));
        let note = Rc::make_mut(note);
        if !note.is_made {
            note.priority = priority;
        }
        note.programs.push(Rc::new(own));
        let made = self.made.entry(group.clone()).or_default();
        made.extend(processes.iter().map(|process| (process.name.clone(), name.clone())));
        Ok(())
    }

    fn remove_process(&mut self, group: &str, process: &str, scene: &Scene<'_>) {
        if let Some(made) = self.made.get_mut(group)
            && let Some(program) = made.remove(process)
        {
            if !made.values().any(|other| *other == program) {
                self.drop_own(group, &program, scene.base);
            } else if let Some(own) = self.journal.own_mut(group, &program) {
                own.gone.insert(process.to_string());
            }
            return;
        }
        // A process of the files, if they still have it.
        let Some(configured) = scene.present.configured.iter().find(|other| other.name == group) else { return };
        let Some(found) = configured.processes.iter().find(|found| found.name == process) else { return };
        let program = &found.program.name;
        if !self.is_of_files(scene.base, group, program) {
            return;
        }
        if configured.processes.iter().filter(|other| other.program.name == *program).count() == 1 {
            self.drop_theirs(group, program, scene.base);
        } else {
            let names = [group, program, process].map(str::to_string);
            self.journal.gone.processes.insert(names);
        }
    }

    fn remove_program(&mut self, group: &str, program: &str, scene: &Scene<'_>) {
        let is_own = self.journal.own(group, program).is_some();
        // Both have one of that name if the files got it later. Theirs is removed with it as far as it runs; else it
        // counts from now on.
        let is_made = |process: &String| self.made.get(group).is_some_and(|made| made.contains_key(process));
        let runs = || scene.present.roster.processes_of_program(group, program).iter().any(|process| !is_made(process));
        let is_filed = journal::groups_of(scene.base, program).contains(&group);
        let is_theirs_gone = is_filed && (!is_own || runs());
        if is_own {
            if let Some(made) = self.made.get_mut(group) {
                made.retain(|_, other| other != program);
            }
            self.drop_own(group, program, scene.base);
        }
        if is_theirs_gone && self.is_of_files(scene.base, group, program) {
            self.drop_theirs(group, program, scene.base);
        }
    }

    /// A program that was added is gone, and the note of its group, if nothing is left to say with it.
    fn drop_own(&mut self, group: &str, program: &str, base: &Document) {
        let Some(note) = self.journal.groups.get_mut(group) else { return };
        let note = Rc::make_mut(note);
        note.programs.retain(|own| own.name != program);
        if note.programs.is_empty() && !note.is_made {
            if journal::members(base, group).is_some() {
                self.journal.groups.remove(group);
            } else {
                // The files have it no more, and yet it is there: empty.
                note.is_made = true;
            }
        }
    }

    /// A program of the files is gone from a group.
    fn drop_theirs(&mut self, group: &str, program: &str, base: &Document) {
        self.journal.gone.processes.retain(|[name, other, _]| name != group || other != program);
        self.journal.gone.programs.insert([group, program].map(str::to_string));
        self.forget_options(base, program);
    }
}

/// Options in which names stand for themselves that would mean something else in the file of changes.
fn with_early_names(options: &[(String, String)], program: Option<&str>, here: &str) -> Options {
    let early = EarlyNames { program, here: Some(here) };
    options.iter().map(|(key, value)| (key.clone(), early.replace_in(value))).collect()
}
