//! New options for a program that is there: what its groups become.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use super::change::Change;
use super::{Daemon, Host};
use crate::config::journal::{Definition, Laid};
use crate::config::{Group, Process};
use crate::fault::{Code, Fault};

/// By so many processes one call may raise the number of a program's: what they are is found out at a stretch, in some five
/// milliseconds.
const MORE_MAX: usize = 1000;

#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub program: &'a str,
    /// One group; `None` is every group that holds the program. Options of a program of the files hold for all groups
    /// that list it, whichever is named.
    pub group: Option<&'a str>,
    /// Processes of the program that were removed one by one come back.
    pub whole: bool,
}

impl Daemon {
    /// The change that gives a program these options on top of its own; `None` if that makes no difference to any
    /// process, nor to what is kept of a program that has none. Only what comes of the program changes in its groups: other differences between what is active and
    /// what is configured stay for an update.
    ///
    /// Faults: BAD_NAME for an unknown program or a process name that is taken, INCORRECT_PARAMETERS for options that
    /// cannot be.
    pub fn with_options(
        &mut self,
        wanted: Wanted<'_>,
        options: &[(String, String)],
        host: &mut dyn Host,
    ) -> Result<Option<Change>, Fault> {
        let Wanted { program, group, whole } = wanted;
        let unknown = || Code::BadName.with(program);
        self.check_more(program, options)?;
        let draft = self.dynamic.draft(&self.roster, (program, group), options, whole).ok_or_else(unknown)?;
        let definitions = draft.definitions;
        let preview = self.preview_config(&draft.base, &draft.journal, host);
        let mut preview = preview.map_err(|text| Code::IncorrectParameters.with(text))?;
        let laid = preview.base.take().map(|base| base.laid).unwrap_or_default();
        if let Some((_, error)) = laid.left_out.iter().find(|(left_out, _)| definitions.contains(left_out)) {
            return Err(Code::IncorrectParameters.with(error));
        }

        let (mut groups, mut configured) = (Vec::new(), Vec::new());
        let mut differs = false;
        // A program without processes, maybe because it was left out, has options all the same.
        let mut is_empty = true;
        for group in self.concerned(&definitions, program) {
            let name = group.name();
            let listed = preview.groups.iter().find(|other| other.name == name);
            let listed = listed.map_or(&[][..], |group| &group.processes);
            let is_of_program = |process: &&Rc<Process>| process.program.name == program;
            if let Some(taken) = taken(&laid, name, program) {
                return Err(Code::BadName.with(taken));
            }
            let new: Vec<Rc<Process>> = listed.iter().filter(is_of_program).cloned().collect();
            let made = Rc::new(with_processes(&group.config, program, &new, listed));
            // Of another program, when the one that is active has been replaced in the files and not updated yet.
            let mut names = BTreeSet::new();
            if let Some(taken) = made.processes.iter().find(|process| !names.insert(process.name.as_str())) {
                return Err(Code::BadName.with(&taken.name));
            }
            differs |= !group.config.same_as(&made);
            is_empty &= !made.processes.iter().any(|process| is_of_program(&process));
            match self.configured_group(name) {
                Some(known) if group.config.is_the(known) => configured.push(made.clone()),
                Some(known) => configured.push(Rc::new(with_processes(known, program, &new, listed))),
                None => {}
            }
            groups.push(made);
        }
        if groups.is_empty() {
            return Err(unknown());
        }
        let options = options.to_vec();
        let change = || Change::SetOptions { definitions, options, groups, configured, made: laid.made, whole };
        let is_news = is_empty && draft.journal != *self.dynamic.journal();
        Ok((differs || is_news).then(change))
    }
}

impl Daemon {
    /// Refuses more processes than one call may add.
    fn check_more(&self, program: &str, options: &[(String, String)]) -> Result<(), Fault> {
        let wanted = options.iter().find(|(name, _)| name == "numprocs").and_then(|(_, text)| text.trim().parse().ok());
        let wanted: usize = wanted.unwrap_or(0);
        if wanted <= MORE_MAX {
            return Ok(());
        }
        let of_program = |group: &super::Group| {
            self.roster.members(group).filter(|(_, process)| process.config.program.name == program).count()
        };
        let there = self.roster.groups().map(|(_, group)| of_program(group)).max().unwrap_or(0);
        if wanted <= there + MORE_MAX {
            return Ok(());
        }
        let text =
            format!("numprocs: {wanted} are more than {MORE_MAX} beyond the {there} that there are; raise it in steps");
        Err(Code::IncorrectParameters.with(text))
    }

    /// Names of the active groups in which a program has its options from what has them in this group, or in all.
    pub fn groups_sharing(&self, program: &str, group: Option<&str>) -> Vec<String> {
        let definitions = self.dynamic.definitions(&self.roster, program, group);
        self.concerned(&definitions, program).map(|group| group.name().to_string()).collect()
    }

    /// The active groups that hold a program whose options these have.
    fn concerned<'a>(
        &'a self,
        definitions: &'a [Definition],
        program: &'a str,
    ) -> impl Iterator<Item = &'a super::Group> {
        let is_concerned = move |group: &&super::Group| {
            let name = group.name();
            let is_own = |definition: &Definition| matches!(definition, Definition::Own { group, .. } if group == name);
            let is_theirs = |definition: &Definition| matches!(definition, Definition::Files(_));
            match self.dynamic.journal().own(name, program) {
                Some(_) => definitions.iter().any(is_own),
                None => definitions.iter().any(is_theirs) && self.has_program(name, program),
            }
        };
        self.roster.groups().map(|(_, group)| group).filter(is_concerned)
    }
}

/// A process name for which this program and another of its group would stand.
fn taken<'l>(laid: &'l Laid, group: &str, program: &str) -> Option<&'l str> {
    let displaced = laid.displaced.iter().filter(|(name, ..)| name == group);
    let winner = |process: &String| laid.made.get(group).and_then(|made| made.get(process));
    let mut ours =
        displaced.filter(|(_, loser, process)| loser == program || winner(process).is_some_and(|w| w == program));
    ours.next().map(|(_, _, process)| process.as_str())
}

/// A group's configuration with other processes of one program, which stand where `listed` has them.
fn with_processes(config: &Group, program: &str, new: &[Rc<Process>], listed: &[Rc<Process>]) -> Group {
    let others = config.processes.iter().filter(|process| process.program.name != program);
    let mut processes: Vec<Rc<Process>> = others.cloned().collect();
    let names: HashSet<&str> = new.iter().map(|process| process.name.as_str()).collect();
    let listed = listed.iter().map(|process| process.name.as_str());
    let before: HashSet<&str> = listed.take_while(|name| !names.contains(name)).collect();
    let at = processes.iter().rposition(|process| before.contains(process.name.as_str())).map_or(0, |last| last + 1);
    processes.splice(at..at, new.iter().cloned());
    Group { processes, ..config.clone() }
}
