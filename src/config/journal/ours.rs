//! The section of ours in the file of changes, for what Supervisor's format cannot say; Supervisor passes over it.
//!
//! ```text
//! [stheno:dynamic]
//! added_to=g:999                 groups of the files that were only added to, and their priorities
//! amended=program:w              sections that belong to the files
//! silenced=program:v             those that are here only to have no processes in Supervisor: numprocs=0
//! pruned=k                       groups that are here only to have fewer programs in Supervisor
//! names=g_p:p                    programs whose sections had to be called otherwise
//! removed=g:p:p_1                processes removed of programs that were added: group, program, process
//! gone_groups=h                  what is gone of the files
//! gone_programs=g:a
//! gone_processes=g:w:w_2
//! ```
//!
//! Names in it are written as in a URL where they hold more than letters, digits, `_`, `-` and `.`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Gone, Options, list};
use crate::wire::form;
use crate::wire::ini::Section;

pub(super) const OWN_SECTION: &str = "stheno:dynamic";

/// What stands in the section of ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ours {
    pub(super) added_to: BTreeMap<String, i64>,
    pub(super) amended: BTreeSet<String>,
    pub(super) silenced: BTreeSet<String>,
    pub(super) pruned: BTreeSet<String>,
    /// By section, without its `program:`.
    pub(super) names: BTreeMap<String, String>,
    pub(super) removed: BTreeSet<[String; 3]>,
    pub(super) gone: Gone,
}

impl Ours {
    pub(super) fn options(&self) -> Options {
        // Section names hold a colon already.
        let sections = |names: &BTreeSet<String>| -> Vec<String> {
            let encode = |name: &String| name.split_once(':').map(|(kind, name)| joined(&[kind, name]));
            names.iter().filter_map(encode).collect()
        };
        let lists = [
            ("added_to", self.added_to.iter().map(|(name, number)| joined(&[name, &number.to_string()])).collect()),
            ("amended", sections(&self.amended)),
            ("silenced", sections(&self.silenced)),
            ("pruned", self.pruned.iter().map(|name| joined(&[name])).collect()),
            ("names", self.names.iter().map(|(section, name)| joined(&[section, name])).collect()),
            ("removed", self.removed.iter().map(|names| joined(names)).collect()),
            ("gone_groups", self.gone.groups.iter().map(|name| joined(&[name])).collect()),
            ("gone_programs", self.gone.programs.iter().map(|names| joined(names)).collect()),
            ("gone_processes", self.gone.processes.iter().map(|names| joined(names)).collect()),
        ];
        let filled = lists.into_iter().filter(|(_, list): &(_, Vec<String>)| !list.is_empty());
        filled.map(|(key, list)| (key.to_string(), list.join(","))).collect()
    }

    /// Reads it. Errors: which entry is none.
    pub(super) fn read(section: &Section) -> Result<Ours, String> {
        let mut ours = Ours::default();
        for entry in &section.options {
            for item in list(&entry.value) {
                let wrong = || format!("[{OWN_SECTION}] has {item} in {}", entry.key);
                match (entry.key.as_str(), &parted(&item)[..]) {
                    ("added_to", [name, number]) => {
                        ours.added_to.insert(name.clone(), number.parse().map_err(|_| wrong())?);
                    }
                    ("amended", [kind, name]) => {
                        ours.amended.insert(format!("{kind}:{name}"));
                    }
                    ("silenced", [kind, name]) => {
                        ours.silenced.insert(format!("{kind}:{name}"));
                    }
                    ("pruned", [group]) => {
                        ours.pruned.insert(group.clone());
                    }
                    ("names", [section, name]) => {
                        ours.names.insert(section.clone(), name.clone());
                    }
                    ("removed", [group, program, process]) => {
                        ours.removed.insert([group, program, process].map(String::clone));
                    }
                    ("gone_groups", [group]) => {
                        ours.gone.groups.insert(group.clone());
                    }
                    ("gone_programs", [group, program]) => {
                        ours.gone.programs.insert([group, program].map(String::clone));
                    }
                    ("gone_processes", [group, program, process]) => {
                        ours.gone.processes.insert([group, program, process].map(String::clone));
                    }
                    _ => return Err(wrong()),
                }
            }
        }
        Ok(ours)
    }
}

/// Names, as the section of ours holds them.
fn joined(names: &[impl AsRef<str>]) -> String {
    let encoded: Vec<String> = names.iter().map(|name| form::quote(name.as_ref())).collect();
    encoded.join(":")
}

fn parted(item: &str) -> Vec<String> {
    item.split(':').map(form::unquote).collect()
}
