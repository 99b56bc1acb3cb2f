//! What programs leave behind: found in the process table or in their cgroups, and ended.

use super::system::System;
use crate::daemon::host::{self, Remnant, Trail, Tree};
use crate::id::Pid;
use crate::sys::cgroup;
use crate::sys::remains::{self, Table};

impl System {
    /// The process table. With many children ending in one turn it is read once.
    fn table(&mut self) -> Option<&Table> {
        if self.table.is_none() {
            self.table = Table::read();
        }
        self.table.as_ref()
    }
}

impl host::Remains for System {
    fn descendants(&mut self, pid: Pid) -> Vec<Remnant> {
        self.table().map(|table| table.below(pid)).unwrap_or_default()
    }

    fn remains(&mut self, trail: &Trail<'_>) -> Option<Vec<Remnant>> {
        match (&trail.tree, trail.cgroup) {
            (_, Some(path)) => Some(cgroup::members(path)),
            (Some(Tree { known, names, is_ours }), None) => {
                self.table().map(|table| table.left_of(trail.group, known, *names, *is_ours))
            }
            (None, None) if remains::is_group_empty(trail.group) => Some(Vec::new()),
            (None, None) => match &self.table {
                Some(table) => Some(table.of_group(trail.group)),
                None => remains::of_group(trail.group),
            },
        }
    }

    fn is_group_empty(&mut self, group: Pid) -> bool {
        remains::is_group_empty(group)
    }

    fn signal_remnant(&mut self, member: Remnant, signal: i32) {
        remains::send(member, signal);
    }

    fn make_cgroup(&mut self, root: Option<&str>, name: &str) -> Result<String, String> {
        cgroup::make(root, name)
    }

    fn set_cgroup(&mut self, path: &str, values: &[(String, String)]) -> Result<(), String> {
        cgroup::set(path, values)
    }

    fn kill_cgroup(&mut self, path: &str) {
        cgroup::kill(path);
    }

    fn remove_cgroup(&mut self, path: &str) {
        cgroup::remove(path);
    }
}
