//! The journal as a configuration file in Supervisor's own format, and back.
//!
//! Supervisor 4.3.0 reads the file through `[include]`, after the others. A program added is a section `[program:x]`
//! that its `[group:g]` lists behind the members that the files give it and that are not gone; options on top of a
//! section of the files are the same section again; one of whose processes none is left has `numprocs=0`. What the format cannot say stands in a
//! section of ours ([`ours`](super::ours)). Options of a section that the files have no more are kept in
//! `[stheno:program:x]`, where they do no harm.

use std::collections::BTreeSet;
use std::rc::Rc;

use ini::{IniMap, iniwrites};

use super::ours::{OWN_SECTION, Ours};
use super::value::{EarlyNames, encode};
use super::{Journal, Note, Options, Own, groups_of, is_plain, list, members, program_section, set_options};
use crate::wire::ini::{Document, Section};

/// What a section of ours begins with.
const OWN_PREFIX: &str = "stheno:";
/// The sections that stand for programs.
const KINDS: [&str; 3] = ["program:", "fcgi-program:", "eventlistener:"];
/// Above everything. A file without it was written by hand, and need not end with [`TAIL`].
const HEAD: &str = "; Changes made at run time, written by supervisord. Stop it before editing, or reread afterwards;\n\
                    ; comments are not kept, and the last line must stay.\n\n";
/// Below everything: without it the file is torn.
const TAIL: &str = "; end of dynamic changes";

impl Journal {
    /// The text of the file, to be read after these files.
    ///
    /// Errors: a value that no file can hold. Names were looked at when they came.
    pub fn text(&self, base: &Document) -> Result<String, String> {
        let mut map = IniMap::default();
        let mut ours = Ours::default();
        let mut sections: Vec<(String, Options)> = Vec::new();
        let mut names = self.section_names(base).into_iter();
        let silenced = self.silenced(base);
        for (group, note) in &self.groups {
            let mut listed = self.members_left(base, group, &silenced);
            for (own, name) in note.programs.iter().zip(names.by_ref()) {
                sections.push((format!("program:{name}"), own_options(own, &name)));
                if name != own.name {
                    ours.names.insert(name.clone(), own.name.clone());
                }
                let removed = own.gone.iter().map(|process| [group, &own.name, process].map(String::clone));
                ours.removed.extend(removed);
                listed.push(name);
            }
            let mut options = vec![("programs".to_string(), listed.join(","))];
            if note.is_made {
                options.push(("priority".to_string(), note.priority.to_string()));
            } else {
                ours.added_to.insert(group.clone(), note.priority);
                options.extend(priority_in_files(base, group, note));
            }
            write(&mut map, format!("group:{group}"), &options)?;
        }
        for (name, options) in &sections {
            write(&mut map, name.clone(), options)?;
        }
        for group in self.pruned(base, &silenced) {
            let listed = self.members_left(base, group, &silenced).join(",");
            write(&mut map, format!("group:{group}"), &vec![("programs".to_string(), listed)])?;
            ours.pruned.insert(group.clone());
        }
        self.write_amended(base, silenced, &mut map, &mut ours)?;
        ours.gone.clone_from(&self.gone);
        write(&mut map, OWN_SECTION.to_string(), &ours.options())?;
        Ok(format!("{HEAD}{}\n{TAIL}\n", iniwrites!(map)))
    }

    /// What the sections of the programs are called that were added, in the order of groups and programs.
    fn section_names(&self, base: &Document) -> Vec<String> {
        let mut used = BTreeSet::new();
        let programs = self.groups.iter().flat_map(|(group, note)| note.programs.iter().map(move |own| (group, own)));
        let name = |(group, own): (&String, &Rc<Own>)| {
            let name = vacant(group, &own.name, base, &used);
            used.insert(name.clone());
            name
        };
        programs.map(name).collect()
    }

    /// Whether a text says all of this journal after these files, and nothing else.
    pub fn is_said_by(&self, text: &str, base: &Document) -> bool {
        let mut expected = self.clone();
        let mut names = self.section_names(base).into_iter();
        for note in expected.groups.values_mut().filter(|note| !note.programs.is_empty()) {
            // A section that is called otherwise has the program's name in its options.
            for (own, name) in Rc::make_mut(note).programs.iter_mut().zip(names.by_ref()) {
                let options = own_options(own, &name);
                Rc::make_mut(own).options = options;
            }
        }
        Journal::parse(text, "", base) == Ok(expected)
    }

    /// Whether a text was written by us, whoever edited it since.
    pub fn is_ours(text: &[u8]) -> bool {
        text.starts_with(HEAD.as_bytes())
    }

    /// The programs of a group of the files that it has still. One that no group has any more is among them: it has no
    /// processes in Supervisor, but unlisted it would be a group of its own.
    fn members_left(&self, base: &Document, group: &str, silenced: &BTreeSet<String>) -> Vec<String> {
        let mut listed = members(base, group).unwrap_or_default();
        let is_gone =
            |program: &str| self.hides(group) || self.gone.programs.contains(&[group, program].map(str::to_string));
        let is_silenced = |program: &str| program_section(base, program).is_some_and(|name| silenced.contains(&name));
        listed.retain(|program| !is_gone(program) || is_silenced(program));
        listed
    }

    /// The groups of the files that have lost programs which groups beside them have still, and nothing more.
    fn pruned<'a>(&'a self, base: &Document, silenced: &BTreeSet<String>) -> BTreeSet<&'a String> {
        let losers = self.gone.groups.iter().chain(self.gone.programs.iter().map(|[group, _]| group));
        let is_pruned = |group: &&String| {
            let section = format!("group:{group}");
            let has_lost = || Some(self.members_left(base, group, silenced)) != members(base, group);
            !self.groups.contains_key(*group) && base.section(&section).is_some() && has_lost()
        };
        losers.filter(is_pruned).collect()
    }

    fn write_amended(
        &self,
        base: &Document,
        silenced: BTreeSet<String>,
        map: &mut IniMap,
        ours: &mut Ours,
    ) -> Result<(), String> {
        for (name, options) in &self.amended {
            if base.section(name).is_none() {
                write(map, format!("{OWN_PREFIX}{name}"), options)?;
                continue;
            }
            let mut options = Options::clone(options);
            if silenced.contains(name) {
                set_options(&mut options, &[("numprocs".to_string(), "0".to_string())]);
            }
            ours.amended.insert(name.clone());
            write(map, name.clone(), &options)?;
        }
        for name in silenced {
            if !ours.amended.contains(&name) {
                write(map, name.clone(), &vec![("numprocs".to_string(), "0".to_string())])?;
            }
            ours.silenced.insert(name);
        }
        Ok(())
    }

    /// Sections of the files of which every process is gone. To us that is said otherwise, to Supervisor it is not.
    fn silenced(&self, base: &Document) -> BTreeSet<String> {
        let hidden = self.gone.groups.iter().chain(self.groups.keys()).filter(|group| self.hides(group));
        let mut programs: BTreeSet<String> =
            hidden.flat_map(|group| members(base, group).unwrap_or_default()).collect();
        programs.extend(self.gone.programs.iter().map(|[_, program]| program.clone()));
        programs.retain(|program| self.is_gone_everywhere(base, program));
        programs.iter().filter_map(|program| program_section(base, program)).collect()
    }

    /// Whether no group of the files holds a program any more.
    pub fn is_gone_everywhere(&self, base: &Document, program: &str) -> bool {
        let is_gone =
            |group: &str| self.hides(group) || self.gone.programs.contains(&[group, program].map(str::to_string));
        groups_of(base, program).into_iter().all(is_gone)
    }

    /// The meaning of a text that is to be read after these files; an empty one counts as torn.
    ///
    /// Errors: why it cannot be understood; then it must be neither used nor overwritten.
    pub fn parse(text: &str, file: &str, base: &Document) -> Result<Journal, String> {
        Ok(Journal::read(text, file, base)?.0)
    }

    /// The same, and what there is to say about it.
    pub fn read(text: &str, file: &str, base: &Document) -> Result<(Journal, Vec<String>), String> {
        let is_whole = text.trim_end().lines().next_back() == Some(TAIL);
        if (text.starts_with(HEAD) || HEAD.starts_with(text)) && !is_whole {
            return Err(format!("its last line is not \"{TAIL}\": it is torn"));
        }
        let mut document = Document::default();
        document.read(text, file).map_err(|error| error.to_string())?;
        if !document.defaults.options.is_empty() {
            return Err("it has a section [DEFAULT]".to_string());
        }
        let reading = Reading::new(&document, base)?;
        let mut journal = Journal::default();
        let mut warnings = Vec::new();
        for section in &document.sections {
            let name = section.name.as_str();
            if let Some(group) = name.strip_prefix("group:") {
                if reading.ours.as_ref().is_some_and(|ours| ours.pruned.contains(group)) {
                    continue;
                }
                let note = reading.group(group, section)?;
                if note.is_made {
                    warnings.extend(reading.unknown(section));
                }
                journal.groups.insert(group.to_string(), Rc::new(note));
            } else if KINDS.iter().any(|kind| name.starts_with(kind)) {
                if !reading.is_own(section) {
                    reading.amend(&mut journal, section);
                }
            } else if let Some(kept) = name.strip_prefix(OWN_PREFIX).filter(|_| name != OWN_SECTION) {
                journal.amended.insert(kept.to_string(), Rc::new(options(section)));
            } else if name != OWN_SECTION {
                return Err(format!("it has a section [{name}], which no change at run time makes"));
            }
        }
        reading.add_unlisted(&mut journal)?;
        let Ours { removed, gone, .. } = reading.ours.unwrap_or_default();
        for [group, program, process] in removed {
            if let Some(own) = journal.own_mut(&group, &program) {
                own.gone.insert(process);
            }
        }
        journal.gone = gone;
        Ok((journal, warnings))
    }
}

fn write(map: &mut IniMap, name: String, options: &Options) -> Result<(), String> {
    let encoded = options.iter().map(|(key, value)| match encode(value) {
        Some(value) => Ok((key.clone(), Some(value.into_owned()))),
        None => Err(format!("the value of {key} holds a carriage return, which no configuration file can hold")),
    });
    map.insert(name, encoded.collect::<Result<_, String>>()?);
    Ok(())
}

/// The options of a program in a section of that name.
fn own_options(own: &Own, section: &str) -> Options {
    if section == own.name {
        return own.options.clone();
    }
    let early = EarlyNames { program: Some(&own.name), here: None };
    let mut options = Options::new();
    if !own.options.iter().any(|(key, _)| key == "process_name") {
        options.push(("process_name".to_string(), own.name.replace('%', "%%")));
    }
    options.extend(own.options.iter().map(|(key, value)| (key.clone(), early.replace_in(value))));
    options
}

/// A name for a section that no section has.
fn vacant(group: &str, program: &str, base: &Document, used: &BTreeSet<String>) -> String {
    let is_free = |name: &str| is_plain(name) && !used.contains(name) && program_section(base, name).is_none();
    if is_free(program) {
        return program.to_string();
    }
    let is_usual = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let plain: String = format!("{group}_{program}").chars().map(|c| if is_usual(c) { c } else { '_' }).collect();
    if is_free(&plain) {
        return plain;
    }
    let mut numbered = (2u64..).map(|number| format!("{plain}_{number}"));
    numbered.find(|name| is_free(name)).unwrap_or(plain)
}

/// The priority that Supervisor is to give a group of the files: theirs. Where they have a section for it, it holds.
fn priority_in_files(base: &Document, group: &str, note: &Note) -> Option<(String, String)> {
    if base.section(&format!("group:{group}")).is_some() {
        return None;
    }
    let value = match program_section(base, group) {
        Some(section) => base.get(&section, "priority").map(|entry| entry.value.clone())?,
        None => note.priority.to_string(),
    };
    Some(("priority".to_string(), value))
}

fn options(section: &Section) -> Options {
    section.options.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
}

/// A file that is being read. One without the section of ours was written by hand, for Supervisor.
struct Reading<'a> {
    document: &'a Document,
    base: &'a Document,
    ours: Option<Ours>,
    /// The programs that its groups list.
    listed: BTreeSet<String>,
    /// Those of them that by the files are no members of that group.
    added: BTreeSet<String>,
}

impl<'a> Reading<'a> {
    fn new(document: &'a Document, base: &'a Document) -> Result<Reading<'a>, String> {
        let ours = document.section(OWN_SECTION).map(Ours::read).transpose()?;
        let groups = document.sections.iter().filter(|section| section.name.starts_with("group:"));
        let (mut listed, mut added) = (BTreeSet::new(), BTreeSet::new());
        for section in groups {
            let theirs = members(base, &section.name["group:".len()..]).unwrap_or_default();
            for program in section.get("programs").map_or(Vec::new(), |entry| list(&entry.value)) {
                if !theirs.contains(&program) {
                    added.insert(program.clone());
                }
                listed.insert(program);
            }
        }
        Ok(Reading { document, base, ours, listed, added })
    }

    /// Whether a section is a program of the journal's own. In a file that was written by hand a section that the
    /// others have, too, goes on where they end, as in every file that is included, unless it is for a group of its own.
    fn is_own(&self, section: &Section) -> bool {
        let Some(program) = section.name.strip_prefix("program:") else { return false };
        if let Some(ours) = &self.ours {
            if ours.amended.contains(&section.name) || ours.silenced.contains(&section.name) {
                return false;
            }
            if self.listed.contains(program) {
                return true;
            }
        }
        (self.base.section(&section.name).is_none() || self.added.contains(program)) && section.get("command").is_some()
    }

    fn amend(&self, journal: &mut Journal, section: &Section) {
        let mut options = options(section);
        if self.ours.as_ref().is_some_and(|ours| ours.silenced.contains(&section.name)) {
            options.retain(|(key, _)| key != "numprocs");
            if options.is_empty() {
                return;
            }
        }
        journal.amended.insert(section.name.clone(), Rc::new(options));
    }

    fn group(&self, group: &str, section: &Section) -> Result<Note, String> {
        let theirs = members(self.base, group);
        let mut programs = Vec::new();
        for listed in section.get("programs").map_or(Vec::new(), |entry| list(&entry.value)) {
            match self.document.section(&format!("program:{listed}")).filter(|section| self.is_own(section)) {
                Some(own) => {
                    let own = self.own(own);
                    if programs.iter().all(|other: &Rc<Own>| other.name != own.name) {
                        programs.push(own);
                    }
                }
                // A member by the files.
                None if self.ours.is_some() || theirs.as_ref().is_some_and(|theirs| theirs.contains(&listed)) => {}
                None => return Err(format!("[{}] names {listed}, of which it has no section", section.name)),
            }
        }
        if let Some((is_made, priority)) = self.known_priority(group, theirs.is_some()) {
            return Ok(Note { is_made, priority, programs });
        }
        Ok(Note { is_made: true, priority: priority(section)?, programs })
    }

    /// What there is to say of a group made at run time that names programs which the file does not have: somebody
    /// edited it.
    fn unknown(&self, section: &Section) -> Option<String> {
        let mut names = section.get("programs").map_or(Vec::new(), |entry| list(&entry.value));
        names.retain(|name| !KINDS.iter().any(|kind| self.document.section(&format!("{kind}{name}")).is_some()));
        let names = (!names.is_empty()).then(|| names.join(", "))?;
        Some(format!("[{}] of the changes made at run time names {names}, of which it has no section", section.name))
    }

    /// What is known of a group that was not made at run time.
    fn known_priority(&self, group: &str, is_theirs: bool) -> Option<(bool, i64)> {
        match &self.ours {
            Some(ours) => ours.added_to.get(group).map(|priority| (false, *priority)),
            None => is_theirs.then_some((false, PRIORITY)),
        }
    }

    fn own(&self, section: &Section) -> Rc<Own> {
        let written = section.name.split_once(':').map_or("", |(_, name)| name);
        let name = self.ours.as_ref().and_then(|ours| ours.names.get(written)).map_or(written, String::as_str);
        Rc::new(Own { name: name.to_string(), options: options(section), gone: BTreeSet::new() })
    }

    /// Programs that no group lists are groups of their own.
    fn add_unlisted(&self, journal: &mut Journal) -> Result<(), String> {
        for section in self.document.sections.iter().filter(|section| self.is_own(section)) {
            let name = section.name.split_once(':').map_or("", |(_, name)| name);
            if self.listed.contains(name) {
                continue;
            }
            let is_made = members(self.base, name).is_none();
            let priority = priority(section)?;
            let note = journal
                .groups
                .entry(name.to_string())
                .or_insert_with(|| Rc::new(Note { is_made, priority, programs: Vec::new() }));
            Rc::make_mut(note).programs.push(self.own(section));
        }
        Ok(())
    }
}

/// The priority of a group for which none is given.
const PRIORITY: i64 = 999;

fn priority(section: &Section) -> Result<i64, String> {
    let Some(entry) = section.get("priority") else { return Ok(PRIORITY) };
    entry.value.parse().map_err(|_| format!("[{}] has no valid priority", section.name))
}
