//! Changes made at run time, by what they mean.
//!
//! A [`Journal`] knows groups, programs and options by the names that calls use, never by sections: which section a
//! program gets is decided when the [`text`] of the file is made (`[stheno] dynamic_conf`), against what the other files
//! say then. So they can be edited without taking the journal's ground away. Laying it over them is the business of
//! [`overlay`](super::overlay), what a call means for it that of `daemon::edits`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use super::datatypes::Datatype;
use super::env::Nowhere;
use super::program_default::PROGRAM_DEFAULT;
use super::types::Group;
use crate::wire::ini::{Document, Section};

mod ours;
mod text;
pub mod value;

/// Changes made at run time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// Groups that were made, and groups of the files with programs that were added.
    pub groups: BTreeMap<String, Rc<Note>>,
    /// Options on top of those of a section of the files, by its whole name (`program:x`).
    pub amended: BTreeMap<String, Rc<Options>>,
    /// What is gone although the files have it.
    pub gone: Gone,
}

/// Options in order: name in lower case, and text before expansion.
pub type Options = Vec<(String, String)>;

/// What there is to say of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Whether it was made at run time; what the files say of that name does not count then. Else it is theirs.
    pub is_made: bool,
    /// Its priority. Of a group of the files the one it had when something was last added, for the day when they have
    /// it no more.
    pub priority: i64,
    /// The programs that were added, in that order; each name once.
    pub programs: Vec<Rc<Own>>,
}

/// A program added at run time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    pub(crate) name: String,
    /// Its options, as a section would have them.
    pub options: Options,
    /// Processes of it that were removed one by one.
    pub gone: BTreeSet<String>,
}

/// What of the files is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Groups that were removed as a whole.
    pub groups: BTreeSet<String>,
    /// Programs: group and program.
    pub programs: BTreeSet<[String; 2]>,
    /// Single processes: group, program and process.
    pub processes: BTreeSet<[String; 3]>,
}

/// A program as something that has options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Definition {
    /// A section of the files, by its whole name; it holds for every group that lists it.
    Files(String),
    /// A program added at run time.
    Own {
        /// The group that it was added to.
        group: String,
        /// The name of the program in that group.
        program: String,
    },
}

/// What a configuration carries along so that changes can be made to it at run time; only with `[stheno]`.
#[derive(Clone, Debug)]
pub struct Base {
    /// What the files say, without the journal.
    pub document: Rc<Document>,
    /// `%(here)s` in options that a call gives: the directory of the main file.
    pub here: String,
    /// What has become of the journal's file.
    pub source: JournalFile,
    /// What has come of the journal.
    pub laid: Laid,
}

/// The journal's file at the moment of reading.
#[derive(Clone, Debug)]
pub enum JournalFile {
    /// None is configured: changes are gone at shutdown.
    Off,
    /// There is no file yet.
    Absent,
    /// It was read whole, and is what it says.
    Read {
        /// What it means, whatever has become of the files.
        journal: Journal,
        /// The bytes of the file as they were read.
        text: Rc<[u8]>,
    },
    /// It was left out, for this reason; nothing may be written over it.
    Broken(String),
}

/// Which program of the journal's own each process comes from: group, process, program.
pub type Made = BTreeMap<String, BTreeMap<String, String>>;

/// What comes of laying a journal over the files.
#[derive(Clone, Debug, Default)]
pub struct Laid {
    /// The processes that are the journal's own.
    pub made: Made,
    /// Parts that cannot hold now, and why. They stay in the journal: the reason may go away.
    pub left_out: Vec<(Definition, String)>,
    /// Processes of the files that another of the same name displaces: group, program, process.
    pub displaced: Vec<(String, String, String)>,
    /// What there is to say about all that, for the log.
    pub warnings: Vec<String>,
}

impl Journal {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.amended.is_empty() && self.gone == Gone::default()
    }

    /// A program added to a group at run time.
    pub fn own(&self, group: &str, program: &str) -> Option<&Own> {
        let note = self.groups.get(group)?;
        note.programs.iter().find(|own| own.name == program).map(Rc::as_ref)
    }

    /// The same, to be changed.
    pub fn own_mut(&mut self, group: &str, program: &str) -> Option<&mut Own> {
        let note = Rc::make_mut(self.groups.get_mut(group)?);
        note.programs.iter_mut().find(|own| own.name == program).map(Rc::make_mut)
    }

    /// Whether `depends_on` may name what is gone with this name, because a program got another number of processes: one of
    /// these groups has it, or it is that program's.
    pub fn renumbers(&self, name: &str, groups: &[Rc<Group>]) -> bool {
        let is_numbered = |options: &Options| options.iter().any(|(name, _)| name.starts_with("numprocs"));
        let head = name.split_once(':').map_or(name, |(group, _)| group);
        let own = || self.groups.values().flat_map(|note| &note.programs).filter(|own| is_numbered(&own.options));
        let amended = || self.amended.iter().filter(|(_, options)| is_numbered(options));
        let is_program = || {
            let mut of_files = amended().filter_map(|(section, _)| section.split_once(':'));
            of_files.any(|(_, program)| program == head) || own().any(|own| own.name == head)
        };
        let is_renumbered = own().next().is_some() || amended().next().is_some();
        is_renumbered && (groups.iter().any(|group| group.name == head) || is_program())
    }

    /// Whether what the files say of a group does not count.
    pub fn hides(&self, group: &str) -> bool {
        self.gone.groups.contains(group) || self.groups.get(group).is_some_and(|note| note.is_made)
    }

    /// Sets options of a program, those that it has already where they stand. That it starts by itself is not kept if it does so
    /// by the files anyway: who enables again what was disabled leaves it to them from then on.
    pub fn set_options(&mut self, definition: &Definition, options: &[(String, String)], base: &Document) {
        match definition {
            Definition::Files(section) => {
                let amended = Rc::make_mut(self.amended.entry(section.clone()).or_default());
                set_options(amended, options);
                let is_said = |name: &str| options.iter().any(|(key, _)| key == name);
                let is_enabled =
                    |key: &str, value: &str| key == AUTOSTART && is_said(key) && bool_of(value) == Some(true);
                amended.retain(|(key, value)| !is_enabled(key, value) || !starts_itself(base, section));
                if amended.is_empty() {
                    self.amended.remove(section);
                }
            }
            Definition::Own { group, program } => {
                if let Some(own) = self.own_mut(group, program) {
                    set_options(&mut own.options, options);
                }
            }
        }
    }

    /// Processes of a program that were removed one by one are there again.
    pub fn bring_back(&mut self, definition: &Definition) {
        match definition {
            Definition::Files(_) => self.gone.processes.retain(|[_, program, _]| program != definition.program()),
            Definition::Own { group, program } => {
                if let Some(own) = self.own_mut(group, program) {
                    own.gone.clear();
                }
            }
        }
    }
}

/// The option that is given at run time and taken back (O-7).
const AUTOSTART: &str = "autostart";

fn bool_of(text: &str) -> Option<bool> {
    bool::parse(text, &Nowhere).ok()
}

/// Whether `autostart` is on by the files, as far as that can be told without expanding it.
fn starts_itself(base: &Document, section: &str) -> bool {
    let stand_in = || base.section(PROGRAM_DEFAULT).filter(|_| section.starts_with("program:"))?.get(AUTOSTART);
    let own = base.section(section).and_then(|section| section.get(AUTOSTART));
    let written = own.or_else(stand_in).or_else(|| base.defaults.get(AUTOSTART));
    written.is_none_or(|entry| bool_of(&entry.value) == Some(true))
}

/// Sets options; of those whose names no file could hold nobody reads any.
pub fn set_options(known: &mut Options, options: &[(String, String)]) {
    for (key, value) in options {
        let key = key.to_lowercase().trim_end().to_string();
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            continue;
        }
        match known.iter_mut().find(|(name, _)| *name == key) {
            Some(entry) => entry.1.clone_from(value),
            None => known.push((key, value.clone())),
        }
    }
}

impl Gone {
    /// Forgets what is gone in a group, but not that the group itself is.
    pub fn forget_in(&mut self, group: &str) {
        self.programs.retain(|[name, ..]| name != group);
        self.processes.retain(|[name, ..]| name != group);
    }

    /// Whether a process of the files is gone from its group.
    pub fn has(&self, group: &str, program: &str, process: &str) -> bool {
        // Most journals have nothing here.
        (!self.programs.is_empty() && self.programs.contains(&[group, program].map(str::to_string)))
            || (!self.processes.is_empty() && self.processes.contains(&[group, program, process].map(str::to_string)))
    }
}

impl Definition {
    pub(crate) fn program(&self) -> &str {
        match self {
            Definition::Files(section) => section.split_once(':').map_or("", |(_, name)| name.trim()),
            Definition::Own { program, .. } => program,
        }
    }
}

impl fmt::Display for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Definition::Files(section) => write!(f, "[{section}]"),
            Definition::Own { group, program } => write!(f, "program {program} of group {group}"),
        }
    }
}

/// What commas separate, without the blanks around it.
pub fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_string).collect()
}

/// Whether a name can stand in a section's header.
pub fn fits_header(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | ':'))
}

/// Whether it can stand in a list, too.
pub fn is_plain(name: &str) -> bool {
    fits_header(name) && !name.contains([',', '%']) && !name.starts_with([';', '#'])
}

/// The section of a program in the files.
pub fn program_section(base: &Document, program: &str) -> Option<String> {
    let names = ["program", "fcgi-program", "eventlistener"].map(|kind| format!("{kind}:{program}"));
    names.into_iter().find(|name| base.section(name).is_some())
}

/// The programs of a group as the files have it; `None` if they have no group of that name.
pub fn members(base: &Document, group: &str) -> Option<Vec<String>> {
    if let Some(section) = base.section(&format!("group:{group}")) {
        return Some(section.get("programs").map_or(Vec::new(), |entry| list(&entry.value)));
    }
    let is_group = match program_section(base, group) {
        Some(section) => section.starts_with("eventlistener:") || listing(base, group).next().is_none(),
        None => false,
    };
    is_group.then(|| vec![group.to_string()])
}

/// Names of the groups of the files that hold a program.
pub fn groups_of<'a>(base: &'a Document, program: &'a str) -> Vec<&'a str> {
    let mut groups: Vec<&str> = listing(base, program).collect();
    if groups.is_empty() && program_section(base, program).is_some() {
        groups.push(program);
    }
    groups
}

/// Names of the `[group:x]` that list a program.
fn listing<'a>(base: &'a Document, program: &'a str) -> impl Iterator<Item = &'a str> {
    let groups = base.sections.iter().filter_map(|section| Some((section.name.strip_prefix("group:")?, section)));
    let lists = move |section: &Section| {
        let programs = section.get("programs").map_or("", |entry| entry.value.as_str());
        programs.split(',').any(|name| name.trim() == program)
    };
    groups.filter(move |(_, section)| lists(section)).map(|(name, _)| name)
}

#[cfg(test)]
mod tests;
