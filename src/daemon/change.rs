//! A change of the set of groups and processes, as one value: what adds or removes (an update, an extension's call)
//! states what is to be, and [`Daemon::apply`](super::Daemon::apply) brings it about.

use std::rc::Rc;

use crate::config;
use crate::config::journal::{Definition, Made};

/// One mutation. The first three follow what is configured; the others go beyond it, and are kept as dynamic changes.
#[derive(Clone, Debug)]
pub enum Change {
    /// Activate a configured group with all its processes.
    AddGroup(Rc<config::Group>),
    /// Drop a group; all its processes must be stopped.
    RemoveGroup(String),
    /// Give an active group a new configuration. Processes whose configuration is the same keep running; those that
    /// differ or are gone must be stopped, and are replaced or dropped.
    ReplaceGroup(Rc<config::Group>),
    /// Make an empty group.
    NewGroup { name: String, priority: i64 },
    /// Drop a group for good, also from what is configured; all its processes must be stopped.
    DropGroup(String),
    /// Add the processes of a program to an active group.
    AddProgram(Addition),
    /// Drop one process of a group; it must be stopped.
    RemoveProcess { group: String, process: String },
    /// Drop all processes of a program of a group; they must be stopped.
    RemoveProgram { group: String, program: String },
    /// Change options of a program. Its processes take the new configuration without being stopped, and run by it from
    /// their next start on; new ones are added, and those that are gone must be stopped.
    SetOptions {
        /// What has the program's options.
        definitions: Vec<Definition>,
        /// The options that change.
        options: Vec<(String, String)>,
        /// The active groups that hold the program, as they become.
        groups: Vec<Rc<config::Group>>,
        /// The same groups as configured, as they become.
        configured: Vec<Rc<config::Group>>,
        /// Which processes of those groups are the journal's own then.
        made: Made,
        /// Processes of the program that were removed one by one are back.
        whole: bool,
    },
}

impl Change {
    /// Names of the groups that it changes.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        let (one, several) = match self {
            Change::AddGroup(group) | Change::ReplaceGroup(group) => (Some(group.name.as_str()), &[][..]),
            Change::RemoveGroup(name) | Change::DropGroup(name) | Change::NewGroup { name, .. } => {
                (Some(name.as_str()), &[][..])
            }
            Change::AddProgram(Addition { group, .. })
            | Change::RemoveProcess { group, .. }
            | Change::RemoveProgram { group, .. } => (Some(group.as_str()), &[][..]),
            Change::SetOptions { groups, .. } => (None, &groups[..]),
        };
        one.into_iter().chain(several.iter().map(|group| group.name.as_str()))
    }
}

/// A program to be added.
#[derive(Clone, Debug)]
pub struct Addition {
    pub group: String,
    /// Priority of the group, should it have to be made.
    pub create: Option<i64>,
    pub program: String,
    /// What this instance of it is called, where each is a program by itself.
    pub instance: Option<String>,
    /// Its options, as in a file.
    pub options: Vec<(String, String)>,
    /// What comes of them.
    pub processes: Vec<Rc<config::Process>>,
}

/// Who asked for a change, for the audit line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `127.0.0.1:4711`, `uid 1000`, or a part of the daemon itself.
    pub client: String,
    /// The method through which it came.
    pub method: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    #[test]
    fn which_groups_each_changes() {
        let text = "[supervisord]\n[program:a]\ncommand=a\n[program:b]\ncommand=b\n";
        let groups = Fake::new().load(text).unwrap().groups;
        let name = |name: &str| name.to_string();
        let addition = Addition {
            group: name("g"),
            create: None,
            program: name("p"),
            instance: None,
            options: Vec::new(),
            processes: Vec::new(),
        };
        let options = Change::SetOptions {
            definitions: Vec::new(),
            options: Vec::new(),
            groups: groups.clone(),
            configured: Vec::new(),
            made: Made::default(),
            whole: false,
        };
        let rows: [(Change, &[&str]); 9] = [
            (Change::AddGroup(groups[0].clone()), &["a"]),
            (Change::ReplaceGroup(groups[1].clone()), &["b"]),
            (Change::RemoveGroup(name("g")), &["g"]),
            (Change::DropGroup(name("g")), &["g"]),
            (Change::NewGroup { name: name("n"), priority: 1 }, &["n"]),
            (Change::AddProgram(addition), &["g"]),
            (Change::RemoveProcess { group: name("g"), process: name("x") }, &["g"]),
            (Change::RemoveProgram { group: name("g"), program: name("x") }, &["g"]),
            (options, &["a", "b"]),
        ];
        for (change, expected) in rows {
            assert_eq!(change.groups().collect::<Vec<_>>(), expected, "{change:?}");
        }
    }
}
