//! The line that each mutation leaves in the activity log: what, by whom, through which method.
//!
//! Names are quoted, so that none can forge a line; values of options are left out, for they may hold secrets.

use std::rc::Rc;

use super::Daemon;
use super::change::{Addition, Change, Origin};
use crate::config::Group;
use crate::config::journal::Definition;
use crate::wire::pyrepr::text as q;

impl Daemon {
    /// What a change that is about to be made changes.
    pub(super) fn describe(&self, change: &Change) -> String {
        match change {
            Change::AddGroup(group) => format!("add group {} ({} processes)", q(&group.name), group.processes.len()),
            Change::RemoveGroup(name) => format!("remove group {}", q(name)),
            Change::ReplaceGroup(group) => self.describe_replacement(group),
            Change::NewGroup { name, priority } => format!("make group {} with priority {priority}", q(name)),
            Change::DropGroup(name) => format!("drop group {}", q(name)),
            Change::AddProgram(Addition { group, processes, .. }) => {
                let names = processes.iter().map(|process| process.name.as_str());
                format!("add process {} to group {}", listed(names), q(group))
            }
            Change::RemoveProcess { group, process } => {
                format!("remove process {} from group {}", q(process), q(group))
            }
            Change::RemoveProgram { group, program } => {
                format!("remove program {} from group {}", q(program), q(group))
            }
            Change::SetOptions { definitions, options, groups, .. } => {
                let keys: Vec<&str> = options.iter().map(|(key, _)| key.as_str()).collect();
                let program = definitions.first().map_or("", Definition::program);
                let groups = listed(groups.iter().map(|group| group.name.as_str()));
                format!("set {} of program {} in group {groups}", q(&keys.join(", ")), q(program))
            }
        }
    }

    /// What becomes of the processes of a group.
    fn describe_replacement(&self, new: &Rc<Group>) -> String {
        let name = q(&new.name);
        let Some(active) = self.roster.group_named(&new.name).and_then(|id| self.roster.group(id)) else {
            return format!("replace group {name}");
        };
        let wanted = new.by_name();
        let added = new.processes.iter().map(|process| process.name.as_str());
        let added: Vec<&str> = added.filter(|name| active.process(name).is_none()).collect();
        let (mut replaced, mut removed) = (Vec::new(), Vec::new());
        for process in active.processes.iter().filter_map(|id| self.roster.process(*id)) {
            match wanted.get(process.config.name.as_str()) {
                None => removed.push(process.config.name.as_str()),
                Some(new) if !process.config.same_as(new) => replaced.push(process.config.name.as_str()),
                Some(_) => {}
            }
        }
        if replaced.is_empty() && removed.is_empty() && !added.is_empty() && active.config.priority == new.priority {
            return format!("add process {} to group {name}", listed(added.into_iter()));
        }
        let mut line = format!("replace group {name}");
        for (what, names) in [("added", added), ("replaced", replaced), ("removed", removed)] {
            if !names.is_empty() {
                line.push_str(&format!(", {what} {}", listed(names.into_iter())));
            }
        }
        line
    }

    /// Writes the line. The original says nothing of the changes that it knows (L-20), and scripts compare its log:
    /// without `[stheno]` they are not for everybody.
    pub(super) fn audit(&self, what: &str, origin: &Origin) {
        let Origin { client, method } = origin;
        if method.starts_with("supervisor.") && !self.dynamic.is_kept() {
            activity!(Debug, "{what}, asked for by {client} through {method}");
        } else {
            activity!(Info, "{what}, asked for by {client} through {method}");
        }
    }
}

/// Names in one list; the others are counted.
const LISTED_MAX: usize = 50;

fn listed<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let mut list = names.by_ref().take(LISTED_MAX).map(q).collect::<Vec<_>>().join(", ");
    let more = names.count();
    if more > 0 {
        list.push_str(&format!(" and {more} more"));
    }
    list
}
