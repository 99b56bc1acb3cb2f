//! What a mutation is to bring about, by names. What it takes is found out from the state of the daemon: once at the
//! call, and again when everything that stood in the way is stopped, because other calls came in between.

use std::rc::Rc;

use super::Context;
use super::budget::LOAD_US;
use super::claims::Claim;
use crate::config::{Group, Process};
use crate::daemon::change::Change;
use crate::daemon::reshape::Wanted;
use crate::daemon::{Daemon, Proc};
use crate::fault::Fault;

/// What is wished for.
pub enum Wish {
    /// These groups are to be as they are configured.
    Configured(Vec<String>),
    /// A program is to have these options on top of its own.
    Options {
        program: String,
        /// One group; `None` is every group that holds the program.
        group: Option<String>,
        /// Processes of the program that were removed one by one come back.
        whole: bool,
        options: Vec<(String, String)>,
    },
    /// Something of a group, or all of it, is to be gone.
    Gone {
        group: String,
        /// What is said of the group.
        verb: GroupVerb,
        /// What is changed, told by names alone.
        change: Change,
    },
}

/// Changes of one group that belong together: if one cannot be made, the others after it are not.
pub struct Step {
    pub group: String,
    /// What is said of the group.
    pub verb: GroupVerb,
    /// The changes, in the order in which they are made.
    pub changes: Vec<Change>,
    /// What happens to its processes: their names and a word for it.
    pub processes: Vec<(String, &'static str)>,
}

/// What happens to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum GroupVerb {
    Added,
    Changed,
    Removed,
}

impl Wish {
    /// What it changes, by names.
    pub fn claims(&self, daemon: &Daemon) -> Vec<Claim> {
        let whole = |group: &String| Claim { group: group.clone(), program: None };
        let part = |group: String, program: &String| Claim { group, program: Some(program.clone()) };
        match self {
            Wish::Configured(names) => names.iter().map(whole).collect(),
            Wish::Options { program, group, .. } => {
                let groups = daemon.groups_sharing(program, group.as_deref());
                groups.into_iter().map(|group| part(group, program)).collect()
            }
            Wish::Gone { group, change: Change::RemoveProgram { program, .. }, .. } => {
                vec![part(group.clone(), program)]
            }
            Wish::Gone { group, .. } => vec![whole(group)],
        }
    }

    /// What it takes now; nothing, if it is fulfilled.
    pub fn steps(&self, context: &mut Context<'_>) -> Result<Vec<Step>, Fault> {
        match self {
            Wish::Configured(names) => {
                let daemon = &*context.daemon;
                Ok(names.iter().filter_map(|name| configured_step(daemon, name)).collect())
            }
            Wish::Options { program, group, whole, options } => {
                let wanted = Wanted { program, group: group.as_deref(), whole: *whole };
                // All files and all changes are read to find that out.
                context.budget.spend(LOAD_US);
                let change = context.daemon.with_options(wanted, options, context.host)?;
                Ok(change.map_or(Vec::new(), |change| option_steps(context.daemon, change)))
            }
            Wish::Gone { group, verb, change } => {
                let changes = vec![change.clone()];
                Ok(vec![Step { group: group.clone(), verb: *verb, changes, processes: Vec::new() }])
            }
        }
    }
}

/// How a group becomes what is configured; `None` if it is that.
fn configured_step(daemon: &Daemon, name: &str) -> Option<Step> {
    let active = daemon.roster.group_named(name).and_then(|id| daemon.roster.group(id));
    let configured = daemon.configured_group(name);
    let step = |verb, changes, processes| Some(Step { group: name.to_string(), verb, changes, processes });
    match (active, configured) {
        (None, None) => None,
        (Some(_), None) => {
            let processes = names_of(daemon, name).into_iter().map(|name| (name, "removed")).collect();
            step(GroupVerb::Removed, vec![Change::RemoveGroup(name.to_string())], processes)
        }
        (None, Some(configured)) => {
            let processes = configured.processes.iter().map(|new| (new.name.clone(), "added")).collect();
            step(GroupVerb::Added, vec![Change::AddGroup(configured.clone())], processes)
        }
        (Some(active), Some(configured)) => {
            let is_same = Rc::ptr_eq(&active.config, configured) || active.config.same_as(configured);
            (!is_same).then(|| changed_step(daemon, active, configured))
        }
    }
}

fn changed_step(daemon: &Daemon, active: &crate::daemon::Group, configured: &Rc<Group>) -> Step {
    let group = configured.name.clone();
    // A pool's queue and a FastCGI socket belong to the group as a whole.
    let is_same_kind = active.config.kind == configured.kind;
    let changes = match is_same_kind {
        true => vec![Change::ReplaceGroup(configured.clone())],
        false => vec![Change::RemoveGroup(group.clone()), Change::AddGroup(configured.clone())],
    };
    let current: Vec<&Proc> = active.processes.iter().filter_map(|id| daemon.roster.process(*id)).collect();
    let wanted = configured.by_name();
    let mut processes = Vec::new();
    for process in current {
        let name = || process.config.name.clone();
        match wanted.get(process.config.name.as_str()) {
            None => processes.push((name(), "removed")),
            Some(new) if is_same_kind && process.config.same_as(new) => {}
            Some(new) if is_same_kind && process.config.same_but_for_policy(new) => processes.push((name(), "changed")),
            Some(_) if process.machine.state().is_stopped() => processes.push((name(), "changed")),
            Some(_) => processes.push((name(), "restarted")),
        }
    }
    let is_new = |new: &&Rc<Process>| active.process(&new.name).is_none();
    processes.extend(configured.processes.iter().filter(is_new).map(|new| (new.name.clone(), "added")));
    Step { group, verb: GroupVerb::Changed, changes, processes }
}

/// The steps of a change of options, one for each group.
fn option_steps(daemon: &Daemon, change: Change) -> Vec<Step> {
    let Change::SetOptions { groups, .. } = &change else { return Vec::new() };
    let mut steps: Vec<Step> = Vec::new();
    for group in groups {
        let mut processes = Vec::new();
        for new in &group.processes {
            let known =
                daemon.roster.group_named(&group.name).and_then(|id| daemon.roster.group(id)?.process(&new.name));
            match known.and_then(|id| daemon.roster.process(id)) {
                Some(process) if process.config.same_as(new) => {}
                Some(_) => processes.push((new.name.clone(), "changed")),
                None => processes.push((new.name.clone(), "added")),
            }
        }
        let new = group.by_name();
        let gone = names_of(daemon, &group.name).into_iter().filter(|name| !new.contains_key(name.as_str()));
        processes.extend(gone.map(|name| (name, "removed")));
        steps.push(Step { group: group.name.clone(), verb: GroupVerb::Changed, changes: Vec::new(), processes });
    }
    // One change covers all groups; those after the first are only reported.
    if let Some(first) = steps.first_mut() {
        first.changes.push(change);
    }
    steps
}

fn names_of(daemon: &Daemon, group: &str) -> Vec<String> {
    let group = daemon.roster.group_named(group).and_then(|id| daemon.roster.group(id));
    let processes = group.map_or(&[][..], |group| &group.processes);
    processes.iter().filter_map(|id| daemon.roster.process(*id)).map(|process| process.config.name.clone()).collect()
}
