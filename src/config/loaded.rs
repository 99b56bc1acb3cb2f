//! What one load of the configuration yields, all of it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use super::env::{Env, Looked};
use super::journal::Base;
use super::options::{Stheno, Supervisord};
use super::types::{Group, Interface, Server};
use super::values::Revision;

/// Everything that one load of the configuration yields.
#[derive(Clone, Debug)]
pub struct Config {
    /// The number of this load.
    pub revision: Revision,
    /// Node name of this machine.
    pub hostname: String,
    /// `[supervisord]`, overlaid by the command line.
    pub supervisord: Supervisord,
    /// `[stheno]`: what goes beyond Supervisor. `None` when the section is absent.
    pub stheno: Option<Stheno>,
    /// HTTP servers: all inet ones, then all unix ones (C-95).
    pub servers: Vec<Server>,
    /// `[rpcinterface:*]` in file order.
    pub interfaces: Vec<Interface>,
    /// Groups, ascending by (priority, name) (C-117).
    pub groups: Vec<Rc<Group>>,
    /// Messages for the log once it exists, INFO (C-46).
    pub infos: Vec<String>,
    /// Messages for the log once it exists, WARN (C-45, C-109).
    pub warnings: Vec<String>,
    /// What was looked at for it, and how it was; but the file of changes at run time, which is written by ourselves. Empty
    /// if no file was read.
    pub looked: Vec<Looked>,
    /// What changes at run time are made against; with `[stheno]` only.
    pub base: Option<Base>,
    /// Sequences and policies, if any are asked for.
    #[cfg(feature = "fleet")]
    pub fleet: Option<Rc<super::fleet::Fleet>>,
}

impl Config {
    /// Whether `[rpcinterface:supvisors]` asks for a fleet, with all the names that this brings.
    pub fn is_in_fleet(&self) -> bool {
        #[cfg(feature = "fleet")]
        return self.fleet.as_ref().is_some_and(|fleet| fleet.supvisors.is_some());
        #[cfg(not(feature = "fleet"))]
        false
    }

    /// What distinguishes the files as they are now from other ones; 0 while they are as they were when this was read.
    pub fn files_mark(&self, env: &dyn Env) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut is_other = false;
        for Looked { path, stamp } in &self.looked {
            let now = env.stamp(path);
            is_other |= now != *stamp;
            now.hash(&mut hasher);
        }
        if is_other { hasher.finish().max(1) } else { 0 }
    }
}
