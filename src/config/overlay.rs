//! Changes made at run time, laid over what the files say.
//!
//! The loader asks for that here ([`overlay`]), also to see what a change would bring, and says how a document is made
//! into a configuration ([`Interpret`]).
//! Options on top of those of a section are put into the document before it is looked at ([`amended`]); what was added
//! and what is gone is worked into the groups that came of it ([`Common::lay_over`]). One part that cannot hold, because
//! a directory is gone or the files have changed, is left out with a message and takes no other along.

use std::collections::HashSet;
use std::mem;
use std::rc::Rc;

use crate::wire::ini::{self, Document, Entry, Section};

use super::env::Env;
use super::error::ConfigError;
use super::groups::unique;
use super::journal::{Definition, Journal, JournalFile, Laid, Note, Options, Own};
use super::loaded::Config;
use super::options::Process;
use super::programs::Common;
use super::types::{Group, GroupKind};

/// What is laid over the files, and what comes of it.
pub(super) struct Layer<'a> {
    pub(super) journal: &'a Journal,
    /// What its sections are called in messages.
    pub(super) file: &'a str,
    pub(super) laid: Laid,
}

/// The document with options on top of those of its sections.
fn amended<'a>(
    base: &Document,
    amendments: impl IntoIterator<Item = (&'a String, &'a Rc<Options>)>,
    file: &str,
) -> Document {
    let mut document = base.clone();
    let file: Rc<str> = Rc::from(file);
    for (name, options) in amendments {
        let Some(section) = document.section_mut(name) else { continue };
        for (key, value) in options.iter() {
            section.set(Entry { key: key.clone(), value: value.clone(), file: Rc::clone(&file), line: 0 });
        }
    }
    document
}

impl Layer<'_> {
    /// Says of a part that it cannot hold.
    fn leave_out(&mut self, definition: Definition, error: String) {
        let what = match &definition {
            Definition::Files(section) => format!("The options set at run time for [{section}] are left out"),
            own => format!("The {own}, added at run time, is left out"),
        };
        self.laid.warnings.push(format!("{what}: {error}"));
        self.laid.left_out.push((definition, error));
    }
}

/// Makes a configuration of a document, with a layer over its groups.
pub(super) type Interpret<'i> = dyn FnMut(Document, &mut Layer<'_>) -> Result<Config, ConfigError> + 'i;

/// The configuration with changes laid over it. Errors: those of the files; what is wrong with a change is told in what
/// is laid.
pub(super) fn overlay(
    base: &Document,
    journal: &Journal,
    file: Option<&str>,
    interpret: &mut Interpret<'_>,
) -> Result<(Config, Laid), ConfigError> {
    let file = file.unwrap_or("changes at run time");
    let mut layer = Layer { journal, file, laid: Laid::default() };
    let (present, absent): (Vec<_>, Vec<_>) =
        journal.amended.iter().partition(|(name, _)| base.section(name).is_some());
    for (name, _) in absent {
        layer.leave_out(Definition::Files(name.clone()), "no file has that section any more".to_string());
    }
    let mut attempt = |amendments: &[(&String, &Rc<Options>)], layer: &mut Layer<'_>| {
        interpret(amended(base, amendments.iter().copied(), file), layer)
    };
    let fresh = layer.laid.clone();
    match attempt(&present, &mut layer) {
        Ok(config) => return Ok((config, layer.laid)),
        Err(error) if present.is_empty() => return Err(error),
        Err(_) => {}
    }
    // Either the files are wrong, or some of the options.
    attempt(&[], &mut layer)?;
    layer.laid = fresh;
    let mut good = Vec::new();
    for amendment in present {
        let mut alone = Layer { journal, file, laid: Laid::default() };
        match attempt(&[amendment], &mut alone) {
            Ok(_) => good.push(amendment),
            Err(error) => layer.leave_out(Definition::Files(amendment.0.clone()), error.to_string()),
        }
    }
    let config = attempt(&good, &mut layer)?;
    Ok((config, layer.laid))
}

/// Reads the file of changes, which is to be laid over these files; what there is to say about it is added.
pub(super) fn read_journal(
    path: Option<&str>,
    base: &Document,
    env: &dyn Env,
    warnings: &mut Vec<String>,
) -> JournalFile {
    let Some(path) = path else { return JournalFile::Off };
    if !env.exists(path) {
        if !env.has_home(path) {
            warnings.push(format!(
                "Changes made at run time cannot be kept in \"{path}\", and are refused: there is no directory for it"
            ));
        }
        return JournalFile::Absent;
    }
    // A pipe would be waited for.
    if !env.is_file(path) {
        return JournalFile::Broken("it is no regular file".to_string());
    }
    let mut read = || {
        let bytes = env.read_file(path).map_err(|error| format!("it cannot be read: {error}"))?;
        let (journal, mut said) = Journal::read(ini::decode(&bytes)?, path, base)?;
        warnings.append(&mut said);
        Ok(JournalFile::Read { journal, text: bytes.into() })
    };
    read().unwrap_or_else(JournalFile::Broken)
}

impl Common<'_> {
    /// Works what was added and what is gone into the groups of the files, which stay sorted (C-117).
    pub(super) fn lay_over(&mut self, layer: &mut Layer<'_>, groups: &mut Vec<Rc<Group>>) {
        let journal = layer.journal;
        for group in groups.iter().filter(|group| journal.hides(&group.name)) {
            // Not if the files' group was removed before: then nobody expects it.
            if !journal.gone.groups.contains(&group.name) {
                let name = &group.name;
                layer.laid.warnings.push(format!(
                    "The group {name} was made at run time, and what the files say of that name does not count before it \
                     is removed"
                ));
            }
        }
        groups.retain(|group| !journal.hides(&group.name));
        if !journal.gone.programs.is_empty() || !journal.gone.processes.is_empty() {
            for group in groups.iter_mut() {
                let is_gone =
                    |process: &Rc<Process>| journal.gone.has(&group.name, &process.program.name, &process.name);
                if group.processes.iter().any(is_gone) {
                    let processes = group.processes.iter().filter(|process| !is_gone(process)).cloned().collect();
                    Rc::make_mut(group).processes = processes;
                }
            }
        }
        for (name, note) in &journal.groups {
            match groups.iter_mut().find(|group| group.name == *name) {
                Some(group) if group.kind != GroupKind::Programs => {
                    for own in &note.programs {
                        let definition = Definition::Own { group: name.clone(), program: own.name.clone() };
                        layer.leave_out(definition, "the files have made the group one of another kind".to_string());
                    }
                }
                Some(group) => self.add_to(Rc::make_mut(group), note, layer),
                None => {
                    let (priority, kind) = (note.priority, GroupKind::Programs);
                    let (name, revision) = (name.clone(), self.revision);
                    let mut group = Group { name, revision, priority, kind, options: None, processes: Vec::new() };
                    self.add_to(&mut group, note, layer);
                    groups.push(Rc::new(group));
                }
            }
        }
        crate::sort::by(groups, |a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    }

    /// Adds the programs of a note to a group. Of processes with one name the last one counts, as everywhere (C-111).
    fn add_to(&mut self, group: &mut Group, note: &Note, layer: &mut Layer<'_>) {
        for own in &note.programs {
            match self.called_programs(own, &group.name, layer.file) {
                Ok(processes) => {
                    let made = layer.laid.made.entry(group.name.clone()).or_default();
                    made.extend(processes.iter().map(|process| (process.name.clone(), own.name.clone())));
                    group.processes.extend(processes);
                }
                Err(error) => {
                    let definition = Definition::Own { group: group.name.clone(), program: own.name.clone() };
                    layer.leave_out(definition, error.to_string());
                }
            }
        }
        let mut later = HashSet::new();
        for process in group.processes.iter().rev().filter(|process| !later.insert(process.name.as_str())) {
            let (group, program, name) = (&group.name, &process.program.name, &process.name);
            layer.laid.warnings.push(format!(
                "The process {name} of program {program} in group {group} is left out: a program that was added at run \
                 time has one of that name"
            ));
            layer.laid.displaced.push((group.clone(), program.clone(), name.clone()));
        }
        if later.len() < group.processes.len() {
            group.processes = unique(mem::take(&mut group.processes));
        }
    }

    /// The processes of a program that was added at run time. Its options are what a call gave: neither `[DEFAULT]` nor
    /// `[supervisord] environment` hold for them.
    fn called_programs(&mut self, own: &Own, group: &str, file: &str) -> Result<Vec<Rc<Process>>, ConfigError> {
        let section = section(&own.name, &own.options, file);
        let document = mem::replace(&mut self.document, self.nothing);
        let environment = mem::take(&mut self.environment);
        let environments = mem::take(&mut self.environments);
        let programs = self.programs(&section, group);
        (self.document, self.environment, self.environments) = (document, environment, environments);
        let mut programs = unique(programs?);
        programs.retain(|process| !own.gone.contains(&process.name));
        Ok(programs)
    }
}

/// A program's section, with options that stand in no file.
pub(super) fn section(program: &str, options: &[(String, String)], file: &str) -> Section {
    let file: Rc<str> = Rc::from(file);
    let mut section = Section::new(&format!("program:{program}"), Rc::clone(&file), 0);
    for (key, value) in options {
        let key = key.to_lowercase().trim_end().to_string();
        section.set(Entry { key, value: value.clone(), file: Rc::clone(&file), line: 0 });
    }
    section
}
