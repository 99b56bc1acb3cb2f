//! What calls added has to be there whatever becomes of the configuration file: at every moment a start would bring it
//! back, and a restart does.

use std::collections::BTreeSet;
use std::rc::Rc;

use stheno::config::journal::{Journal, JournalFile};
use stheno::config::{Config, GroupKind};
use stheno::daemon::Daemon;
use stheno::id::ProcId;
use stheno::wire::value::Value;

use crate::answers::Outcome;
use crate::clients::Call;

/// Processes that calls added and that are still there.
#[derive(Default)]
pub struct Kept {
    added: BTreeSet<ProcId>,
    /// Of an earlier run: group and process. They are looked for when the next one has begun.
    carried: Vec<(String, String)>,
}

impl Kept {
    /// Takes what came of a call.
    pub fn note(&mut self, call: &Call, outcome: &Outcome, daemon: &Daemon) {
        let Ok(value) = outcome else { return };
        let text = |index: usize| call.params.get(index).and_then(Value::as_str).unwrap_or_default();
        let program = match call.method {
            "stheno.addProgram" | "twiddler.addProgramToGroup" => text(1),
            // The answer is the name of the instance.
            "loader.addProgramToGroup" => value.as_str().unwrap_or_default(),
            _ => return,
        };
        // It may be gone again, or forgotten, if others came in between.
        if daemon.dynamic.journal().own(text(0), program).is_none() {
            return;
        }
        let Some(group) = daemon.roster.group_named(text(0)).and_then(|id| daemon.roster.group(id)) else { return };
        let is_new =
            |id: &&ProcId| daemon.roster.process(**id).is_some_and(|process| process.config.program.name == program);
        self.added.extend(group.processes.iter().filter(is_new));
    }

    /// Somebody has the daemon forget all changes.
    pub fn forget(&mut self) {
        self.added.clear();
    }

    /// Checks that the files, as they are now, would bring all of it back, and that they are understood as they were
    /// meant.
    pub fn check(&mut self, daemon: &Daemon, config: &Config) {
        let base = config.base.as_ref().expect("changes are kept");
        match &base.source {
            JournalFile::Read { journal, .. } => assert_eq!(meaning(journal), meaning(daemon.dynamic.journal())),
            source => assert!(daemon.dynamic.journal().is_empty(), "{source:?}"),
        }
        self.added.retain(|id| daemon.roster.process(*id).is_some());
        for id in &self.added {
            let (Some(group), Some(process)) = (daemon.roster.group_of(*id), daemon.roster.process(*id)) else {
                continue;
            };
            let name = &process.config.name;
            let Some(kept) = config.groups.iter().find(|kept| kept.name == group.name()) else {
                panic!("{}:{name} was added, and the group is in no file", group.name());
            };
            if kept.kind == GroupKind::Programs {
                let found = kept.processes.iter().find(|other| other.name == *name);
                let is_same = found.is_some_and(|found| process.config.same_as(found));
                assert!(is_same, "{}:{name} was added, and is kept as {found:#?}", group.name());
            }
        }
    }

    /// A run is over.
    pub fn carry(&mut self, daemon: &Daemon) {
        let names = |id: &ProcId| {
            let (group, process) = (daemon.roster.group_of(*id)?, daemon.roster.process(*id)?);
            Some((group.name().to_string(), process.config.name.clone()))
        };
        self.carried = std::mem::take(&mut self.added).iter().filter_map(names).collect();
    }

    /// The next one has begun.
    pub fn arrive(&mut self, daemon: &Daemon) {
        for (group, process) in std::mem::take(&mut self.carried) {
            let active = daemon.roster.group_named(&group).and_then(|id| daemon.roster.group(id));
            let active = active.unwrap_or_else(|| panic!("group {group} is lost"));
            // Of a pool or a FastCGI group nothing but what the files say can be a member.
            if active.config.kind == GroupKind::Programs {
                let id = active.process(&process).unwrap_or_else(|| panic!("{group}:{process} is lost"));
                self.added.insert(id);
            }
        }
    }
}

/// A journal without the options of programs, in whose texts names may stand for themselves once they were in a file.
fn meaning(journal: &Journal) -> Journal {
    let mut journal = journal.clone();
    for note in journal.groups.values_mut() {
        for own in &mut Rc::make_mut(note).programs {
            Rc::make_mut(own).options.clear();
        }
    }
    journal
}
