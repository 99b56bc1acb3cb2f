//! New options for a program that is there: what its groups become.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use super::change::Change;
use super::edits::Section;
use super::{Daemon, Host, Proc};
use crate::config::{Group, Program};
use crate::fault::{Code, Fault};

/// Whose options change.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The program's name.
    pub program: &'a str,
    /// One group; `None` is every group that holds the program.
    pub group: Option<&'a str>,
    /// Processes of the program that were removed one by one come back.
    pub whole: bool,
}

impl Daemon {
    /// The change that gives a program these options on top of its own; `None` if that makes no difference to any
    /// process. Only what comes of the program changes in its groups: other differences between what is active and
    /// what is configured stay for an update.
    ///
    /// Faults: BAD_NAME for an unknown program or a process name that is taken, INCORRECT_PARAMETERS for options that
    /// cannot be.
    pub fn with_options(
        &self,
        subject: Subject<'_>,
        options: &[(String, String)],
        host: &mut dyn Host,
    ) -> Result<Option<Change>, Fault> {
        let unknown = || Code::BadName.with(subject.program);
        let is_meant = |group: &super::Group| subject.group.is_none_or(|name| name == group.name());
        let is_of = |process: &&Proc| process.program.program == subject.program;
        let mut active: Vec<(&super::Group, &Proc)> = Vec::new();
        for (_, group) in self.groups().filter(|(_, group)| is_meant(group)) {
            let processes = group.processes.iter().filter_map(|id| self.process(*id)).filter(is_of);
            active.extend(processes.map(|process| (group, process)));
        }
        let targets: Vec<_> = active.iter().map(|(group, p)| (group.name(), p.program.name.as_str())).collect();
        let laid = self.dynamic.with_options((subject.program, &targets), options, subject.whole);
        let (base, journal, section) = laid.ok_or_else(unknown)?;
        let preview = host.preview_config(&base, &journal).map_err(|text| Code::IncorrectParameters.with(text))?;

        let (mut groups, mut configured) = (Vec::new(), Vec::new());
        let mut differs = false;
        for (_, group) in self.groups().filter(|(_, group)| is_meant(group)) {
            let new = self.new_processes(&section, subject, group.name(), &preview.groups);
            let is_concerned = !new.is_empty() || active.iter().any(|(other, _)| other.name() == group.name());
            if is_concerned {
                let made = Rc::new(self.with_processes(&group.config, &section, &new, &preview.groups));
                // Of two sections, when the one that is active has been replaced in the files and not updated yet.
                let mut names = BTreeSet::new();
                if let Some(taken) = made.processes.iter().find(|program| !names.insert(program.name.as_str())) {
                    return Err(Code::BadName.with(&taken.name));
                }
                differs |= !group.config.same_as(&made);
                match self.configured_group(group.name()) {
                    Some(known) if Rc::ptr_eq(known, &group.config) => configured.push(made.clone()),
                    Some(known) => {
                        configured.push(Rc::new(self.with_processes(known, &section, &new, &preview.groups)));
                    }
                    None => {}
                }
                groups.push(made);
            }
        }
        if groups.is_empty() {
            return Err(unknown());
        }
        let change =
            || Change::SetOptions { section, options: options.to_vec(), groups, configured, whole: subject.whole };
        Ok(differs.then(change))
    }

    /// What the section makes in a group, by the name that its program has at run time.
    fn new_processes(
        &self,
        section: &Section,
        subject: Subject<'_>,
        group: &str,
        preview: &[Rc<Group>],
    ) -> Vec<Rc<Program>> {
        let Some(group) = preview.iter().find(|other| other.name == group) else { return Vec::new() };
        let ours = group.processes.iter().filter(|process| process.program == section.short());
        let ours = ours.filter(|process| subject.whole || !self.dynamic.is_gone(section, &group.name, &process.name));
        ours.map(|process| Rc::new(Program { program: subject.program.to_string(), ..(**process).clone() })).collect()
    }

    /// A group's configuration with other processes of one section, which stand where the preview has them.
    fn with_processes(&self, config: &Group, section: &Section, new: &[Rc<Program>], preview: &[Rc<Group>]) -> Group {
        let is_of_section = |program: &Program| match self.dynamic.made_by(&config.name, &program.name) {
            Some(made_by) => made_by == section.short(),
            None => program.program == section.short(),
        };
        let mut processes: Vec<_> =
            config.processes.iter().filter(|program| !is_of_section(program)).cloned().collect();
        let preview = preview.iter().find(|group| group.name == config.name);
        let listed = preview.map_or(&[][..], |group| &group.processes);
        let names: HashSet<&str> = new.iter().map(|process| process.name.as_str()).collect();
        let listed = listed.iter().map(|process| process.name.as_str());
        let before: HashSet<&str> = listed.take_while(|name| !names.contains(name)).collect();
        let at =
            processes.iter().rposition(|process| before.contains(process.name.as_str())).map_or(0, |last| last + 1);
        processes.splice(at..at, new.iter().cloned());
        Group { processes, ..config.clone() }
    }
}
