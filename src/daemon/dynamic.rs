//! What changes at run time mean for the file that keeps them.
//!
//! Each [`Change`] is turned into edits of a [`Journal`], which is laid over what the other files say, so that a load
//! yields the groups that the calls made. With `[stheno] dynamic_conf` the file is replaced before the change is carried
//! out: whoever got an answer finds its change after a crash, and a change that cannot be kept is refused. Without it
//! the journal lives in memory and dies with the daemon, as in Supervisor; without `[stheno]` there is none.
//!
//! How a change is said in Supervisor's format: a program added gets a section of its own, `[program:x]`, under a name
//! that nobody has, and a place in the `programs` of its group. A program of the other files cannot be taken out of
//! them, so it is laid over with `numprocs=0`. What that cannot say (one of several processes, a whole group) stands in
//! the journal's list of what is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::change::{Addition, Change};
use super::host::{Errno, Span};
use super::{Daemon, Host};
use crate::config::journal::{self, Base, Journal, Members, Options, Source};
use crate::config::{Config, Group};
use crate::wire::expand::{self, Names, Var};
use crate::wire::ini::Document;

/// Removed groups whose sections are remembered, for an addProcessGroup that brings them back. `update` removes and
/// adds one group after another, so one would do; a few more cost nothing.
const PARKED_MAX: usize = 64;

/// The journal, and how it stands with its file.
#[derive(Default)]
pub struct Dynamic {
    /// What the other files say; `None` when nothing is kept.
    base: Option<Rc<Document>>,
    /// `[stheno] dynamic_conf`.
    path: Option<String>,
    /// The bytes last read from the file or written to it; `None` when there was no file.
    known: Option<Rc<[u8]>>,
    /// Why the file was left out when it was last read; nothing is written while it stands.
    broken: Option<String>,
    kept: Kept,
}

/// The part that a change edits, and that is put back if it cannot be written.
#[derive(Clone, Default)]
struct Kept {
    journal: Journal,
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

impl Dynamic {
    /// Takes over what a load of the configuration found.
    pub(super) fn adopt(&mut self, config: &Config) {
        let path = config.stheno.as_ref().and_then(|stheno| stheno.dynamic_conf.clone());
        if path != self.path {
            self.known = None;
        }
        self.path = path;
        let Some(Base { document, journal }) = &config.base else {
            *self = Dynamic::default();
            return;
        };
        self.base = Some(document.clone());
        self.broken = None;
        self.kept.parked.clear();
        match journal {
            Source::Off => self.known = None,
            // With a file that somebody removed its changes are forgotten; in one that was never there those so far
            // will stand.
            Source::Absent => {
                if self.known.take().is_some() {
                    self.kept = Kept::default();
                }
            }
            Source::Read { journal, text } => {
                self.known = Some(text.clone());
                self.kept = Kept { journal: journal.clone(), ..Kept::default() };
                self.kept.find_made(document, &config.groups);
            }
            Source::Broken(reason) => self.broken = Some(reason.clone()),
        }
    }

    /// Where the changes are kept, if they are.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The text that keeps the changes; empty if nothing was changed. Errors: why it cannot be said.
    pub fn text(&self) -> Result<String, String> {
        if self.kept.journal.is_empty() { Ok(String::new()) } else { self.kept.journal.text() }
    }

    /// The section of the journal from which a process comes, without its `program:`.
    pub fn made_by(&self, group: &str, process: &str) -> Option<&str> {
        self.kept.made.get(group)?.get(process).map(|made| made.section.as_str())
    }

    /// Names of the journal's sections, without their `program:`, that processes of a group come from.
    pub fn sections_of(&self, group: &str) -> impl Iterator<Item = &str> {
        let made = self.kept.made.get(group).into_iter().flat_map(BTreeMap::values);
        made.filter(|made| !made.removed).map(|made| made.section.as_str())
    }

    /// What is to be laid over the base so that the options of a program become these; `None` if nothing is kept or
    /// there is no such program. With `whole`, processes of the program's groups that were removed one by one are back.
    pub(super) fn with_options(
        &self,
        program: (&str, &[Target<'_>]),
        options: &[(String, String)],
        whole: bool,
    ) -> Option<(Rc<Document>, Journal, Section)> {
        let base = self.base.clone()?;
        let mut kept = self.kept.clone();
        let section = kept.section_of(&base, program.0, program.1)?;
        kept.set_options(&section, options);
        if whole {
            kept.journal.gone.retain(|name| !name.contains(':'));
        }
        Some((base, kept.journal, section))
    }

    /// Whether that process was removed from what its section makes.
    pub(super) fn is_gone(&self, section: &Section, group: &str, process: &str) -> bool {
        let Some(base) = &self.base else { return false };
        let own = self.kept.is_own(base, section.short()).then_some(section.short());
        self.kept.journal.gone.contains(&journal::gone(group, own, process))
    }

    /// Notes a change that is about to be made, in the file, too. The error is the text of the fault: nothing happened.
    pub(super) fn keep(&mut self, change: &Change, daemon: &Daemon, host: &mut dyn Host) -> Result<(), String> {
        let Some(base) = self.base.clone() else { return Ok(()) };
        let scene = Scene { base: &base, daemon, is_filed: self.path.is_some() };
        if self.path.is_none() {
            // What no file could say need not be said.
            let _ = self.kept.edit(change, &scene);
            return Ok(());
        }
        let before = self.kept.clone();
        let outcome = self
            .kept
            .edit(change, &scene)
            .and_then(|()| if self.kept.journal == before.journal { Ok(()) } else { self.write(host) });
        if outcome.is_err() {
            self.kept = before;
        }
        outcome
    }

    /// Writes the file again; the error is the text of the fault.
    pub fn persist(&mut self, host: &mut dyn Host) -> Result<(), String> {
        if self.path.is_none() {
            return Err("no dynamic_conf is configured in [stheno]".to_string());
        }
        self.write(host)
    }

    /// Forgets all changes: what was made goes on until it is removed or the daemon ends.
    pub fn forget(&mut self, host: &mut dyn Host) -> Result<(), String> {
        let before = std::mem::take(&mut self.kept);
        if self.path.is_some()
            && let Err(error) = self.write(host)
        {
            self.kept = before;
            return Err(error);
        }
        Ok(())
    }

    fn write(&mut self, host: &mut dyn Host) -> Result<(), String> {
        let Some(path) = &self.path else { return Ok(()) };
        if let Some(reason) = &self.broken {
            return Err(format!("{path} cannot be written before it is repaired or removed and read again: {reason}"));
        }
        let cannot = |error: Errno| format!("the change cannot be kept in {path}: {error}");
        let on_disk = match host.file_size(path) {
            Err(error) if error.0 == libc::ENOENT => None,
            Err(error) => return Err(cannot(error)),
            Ok(size) => Some(size),
        };
        if let Some(size) = on_disk {
            let is_ours = match &self.known {
                Some(known) if known.len() as u64 == size => {
                    *host.file_read(path, Span { offset: 0, length: size }).map_err(cannot)? == **known
                }
                _ => false,
            };
            if !is_ours {
                return Err(format!("{path} was changed by somebody else; it is not overwritten before it is reread"));
            }
        }
        let text = self.kept.journal.text()?;
        host.file_replace(path, text.as_bytes()).map_err(cannot)?;
        self.known = Some(text.into_bytes().into());
        Ok(())
    }
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
struct Scene<'a> {
    base: &'a Document,
    daemon: &'a Daemon,
    /// Whether there is a file; a group that the other files have then keeps its changes when it is taken up anew.
    is_filed: bool,
}

impl Kept {
    fn edit(&mut self, change: &Change, scene: &Scene<'_>) -> Result<(), String> {
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
    fn set_options(&mut self, section: &Section, options: &[(String, String)]) {
        let known = Rc::make_mut(self.journal.sections.entry(section.name.clone()).or_default());
        for (key, value) in options {
            // Nobody reads an option whose name no file could hold.
            let key = plain_key(key);
            if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
                continue;
            }
            let value = match &section.alias {
                Some(alias) => with_name(value, alias),
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
    fn section_of(&self, base: &Document, program: &str, processes: &[Target<'_>]) -> Option<Section> {
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

    /// Which processes of the groups come from sections of the journal's own.
    fn find_made(&mut self, base: &Document, groups: &[Rc<Group>]) {
        for group in groups {
            let own = group.processes.iter().filter(|process| self.is_own(base, &process.program));
            let made: BTreeMap<String, Made> = own
                .map(|process| (process.name.clone(), Made { section: process.program.clone(), removed: false }))
                .collect();
            if !made.is_empty() {
                self.made.insert(group.name.clone(), made);
            }
        }
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

/// A value in which the program's name stands for itself, because the section is called otherwise.
fn with_name(value: &str, program: &str) -> String {
    const START: &str = "%(program_name)";
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = conversion_length(rest);
        let (token, behind) = rest.split_at(length);
        match token.starts_with(START).then(|| expand::expand(token, &OneName(program))) {
            Some(Ok(text)) => out.push_str(&text.replace('%', "%%")),
            _ => out.push_str(token),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Bytes of the conversion that a text begins with: `%%`, or `%(name)02d` up to the letter.
fn conversion_length(text: &str) -> usize {
    let Some(close) = text.starts_with("%(").then(|| text.find(')')).flatten() else {
        return text.chars().take(2).map(char::len_utf8).sum();
    };
    let letter = text[close..].char_indices().find(|(_, c)| c.is_alphabetic());
    letter.map_or(text.len(), |(at, c)| close + at + c.len_utf8())
}

struct OneName<'a>(&'a str);

impl Names for OneName<'_> {
    fn get(&self, name: &str) -> Option<Var<'_>> {
        (name == "program_name").then_some(Var::Text(self.0))
    }

    fn all(&self) -> Vec<String> {
        vec!["program_name".to_string()]
    }
}
