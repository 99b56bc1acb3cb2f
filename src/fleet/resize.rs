//! Programs that get another number of processes (V-470 to V-474). Processes come at once; those that are too many go, the
//! last ones first, as soon as they are stopped.

use std::collections::BTreeSet;

use super::Fleet;
use crate::clock::Now;
use crate::daemon::change::Origin;
use crate::daemon::reshape::Wanted;
use crate::daemon::{Daemon, Host, Proc};
use crate::eventtype::EventType;
use crate::fault::Fault;
use crate::id::ProcId;

/// A number that is not reached yet.
#[derive(Clone, Debug)]
pub(super) struct Resize {
    number: i64,
    origin: Origin,
}

/// The place of a process among those of its program, from 0.
fn place(process: &Proc) -> i64 {
    process.config.number - process.config.program.numprocs_start
}

impl Fleet {
    /// Gives a program so many processes, as far as the surplus ones are stopped; answers those that are not.
    pub fn resize(
        &mut self,
        program: &str,
        number: i64,
        origin: Origin,
        daemon: &mut Daemon,
        now: Now,
        host: &mut dyn Host,
    ) -> Result<Vec<ProcId>, Fault> {
        self.resizes.remove(program);
        let left = surplus(daemon, program, number);
        let reachable = left.iter().filter_map(|id| daemon.roster.process(*id)).map(|process| place(process) + 1);
        let reachable = reachable.max().unwrap_or(number).max(number);
        let wanted = Wanted { program, group: None, whole: true };
        let options = [("numprocs".to_string(), reachable.to_string())];
        if let Some(change) = daemon.with_options(wanted, &options, host)? {
            let before = names_of(daemon, program);
            daemon.apply(&change, &origin, now, host)?;
            let after = names_of(daemon, program);
            for (kind, all, others) in
                [(EventType::ProcessRemoved, &before, &after), (EventType::ProcessAdded, &after, &before)]
            {
                all.difference(others).for_each(|(name, group)| daemon.announce_process(kind, name, group));
            }
        }
        if !left.is_empty() {
            self.resizes.insert(program.to_string(), Resize { number, origin });
        }
        // Rules of those that have come, and that those which are to go are not started again.
        self.refresh(daemon, now);
        Ok(left)
    }

    /// Whether a program has the number of processes that it was given last.
    pub fn is_resized(&self, program: &str) -> bool {
        !self.resizes.contains_key(program)
    }

    /// Takes out what has stopped meanwhile.
    pub(super) fn resize_further(&mut self, daemon: &mut Daemon, now: Now, host: &mut dyn Host) {
        let programs: Vec<String> = self.resizes.keys().cloned().collect();
        for program in programs {
            let Some(Resize { number, origin }) = self.resizes.get(&program).cloned() else { continue };
            if !surplus(daemon, &program, number).is_empty() {
                continue;
            }
            if let Err(fault) = self.resize(&program, number, origin, daemon, now, host) {
                activity!(Error, "{program} keeps its processes: {fault}");
            }
        }
    }

    /// Whether a process is to go once it has stopped.
    pub(super) fn is_leaving(&self, process: &Proc) -> bool {
        self.resizes.get(&process.config.program.name).is_some_and(|resize| place(process) >= resize.number)
    }
}

/// The processes of a program, each with its group.
pub(super) fn names_of(daemon: &Daemon, program: &str) -> BTreeSet<(String, String)> {
    let of_program = daemon.roster.processes().filter(|(_, process)| process.config.program.name == program);
    let named = of_program.filter_map(|(id, process)| {
        Some((process.config.name.clone(), daemon.roster.group_of(id)?.config.name.clone()))
    });
    named.collect()
}

/// Processes of a program beyond so many that are not stopped.
fn surplus(daemon: &Daemon, program: &str, number: i64) -> Vec<ProcId> {
    let is_surplus = |process: &Proc| {
        process.config.program.name == program && place(process) >= number && !process.machine.state().is_stopped()
    };
    daemon.roster.processes().filter(|(_, process)| is_surplus(process)).map(|(id, _)| id).collect()
}
