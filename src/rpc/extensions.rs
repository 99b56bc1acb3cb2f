//! What the namespaces remember from call to call. There is one of it, whichever server a call comes through and
//! whatever the namespaces are called.

use std::collections::BTreeMap;
use std::rc::Weak;

use super::cache::Cache;
use super::claims::Claims;
use super::waits::Looks;
use crate::daemon::Roster;
use crate::id::ProcId;

/// Program names of which the number of instances is remembered: more than anybody has, and a bound for those who make
/// up a new name each time. Beyond it the count of the first name in the alphabet begins anew; numbers in use are
/// skipped all the same.
const NAMES_MAX: usize = 100_000;

/// The state of all namespaces.
#[derive(Debug, Default)]
pub struct Extensions {
    /// What mutations that wait will change.
    pub(super) claims: Claims,
    /// The addition of many processes that is being made.
    pub(super) adding: Weak<()>,
    /// The store of supervisor_cache.
    pub(super) cache: Cache,
    pub(super) loaded: Loaded,
    /// Who was found to wait in vain.
    pub(super) looks: Looks,
    /// Sequences and policies, if any are asked for.
    #[cfg(feature = "fleet")]
    pub fleet: Option<Box<crate::fleet::Fleet>>,
}

/// Which programs supervisor_loader added, and how often.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// How often a program of that name was added.
    counts: BTreeMap<String, u64>,
    /// Processes, and the program each was added as. Some may be gone.
    processes: BTreeMap<ProcId, String>,
}

impl Loaded {
    /// How often a program of that name was added.
    pub(super) fn count(&self, program: &str) -> u64 {
        self.counts.get(program).copied().unwrap_or(0)
    }

    /// Notes that a program was added as this process.
    pub(super) fn add(&mut self, program: &str, process: Option<ProcId>, roster: &Roster) {
        if self.counts.len() == NAMES_MAX && !self.counts.contains_key(program) {
            self.counts.pop_first();
        }
        *self.counts.entry(program.to_string()).or_default() += 1;
        let Some(id) = process else { return };
        // Those that are gone are forgotten when they may be half of all, so that an addition costs the same in the
        // mean however many there are.
        if self.processes.len() >= 2 * roster.process_count() {
            self.processes.retain(|id, _| roster.process(*id).is_some());
        }
        self.processes.insert(id, program.to_string());
    }

    /// The processes that a program was added as.
    pub(super) fn processes_of(&self, program: &str) -> impl Iterator<Item = ProcId> {
        self.processes.iter().filter(move |(_, other)| *other == program).map(|(id, _)| *id)
    }
}
