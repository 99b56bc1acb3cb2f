//! Collecting figures of all processes. What a process uses the system tells in some 15 us, so thousands of them are
//! asked about over several turns.

use crate::clock::Now;
use crate::daemon::{Daemon, Host};
use crate::id::ProcId;
use crate::web::metrics::{Figures, Format, PoolSample, Sample, write};
use crate::{model::histogram::Histogram, rpc};

/// Processes looked at in one turn: some 1.5 ms.
pub(super) const LOOKS_PER_TURN: usize = 100;

/// What answers `/metrics`, and keeps from one answer to the next.
#[derive(Default)]
pub(super) struct Scrape {
    pub(super) format: Format,
    left: Vec<ProcId>,
    samples: Vec<Sample>,
}

impl Scrape {
    /// Nothing is collected yet.
    pub(super) fn new(daemon: &Daemon, format: Format) -> Scrape {
        let mut left: Vec<ProcId> = daemon.roster.processes_by_name().map(|(id, _, _)| id).collect();
        left.reverse();
        Scrape { format, left, samples: Vec::new() }
    }

    /// Looks at some more processes; true when all are done.
    pub(super) fn advance(&mut self, daemon: &Daemon, now: Now, host: &mut dyn Host) -> bool {
        let looked_at = self.left.split_off(self.left.len().saturating_sub(LOOKS_PER_TURN));
        self.samples.extend(looked_at.into_iter().rev().filter_map(|id| sample(daemon, id, now, host)));
        self.left.is_empty()
    }

    /// The text of an answer: all families, each with its samples.
    pub(super) fn text(&self, daemon: &Daemon, connections: usize, turns: &Histogram, host: &mut dyn Host) -> String {
        let pools = daemon.roster.groups_by_name().filter_map(|(id, group)| {
            let pool = daemon.bus.pool(id)?;
            Some(PoolSample { name: group.name().to_string(), queued: pool.queued(), dropped: pool.dropped() })
        });
        let own = crate::id::Pid(host.own_pid());
        let figures = Figures {
            version: rpc::VERSION,
            supervisor: rpc::SUPERVISOR_VERSION,
            own: host.usage(own).map(|usage| (usage.cpu_ms, usage.rss_bytes)),
            processes: &self.samples,
            pools: &pools.collect::<Vec<_>>(),
            connections,
            turns,
        };
        write(&figures, self.format)
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.samples.len() * size_of::<Sample>() + self.left.len() * size_of::<ProcId>()
    }
}

fn sample(daemon: &Daemon, id: ProcId, now: Now, host: &mut dyn Host) -> Option<Sample> {
    let (group, process) = daemon.roster.member(id)?;
    let machine = &process.machine;
    Some(Sample {
        name: process.config.name.clone(),
        group: group.name().to_string(),
        state: machine.state(),
        exit_status: machine.runs().exit_status(),
        start: machine.runs().start_secs(now),
        restarts: machine.runs().count().saturating_sub(1),
        usage: machine.pid().and_then(|pid| host.usage(pid)).map(|usage| (usage.cpu_ms, usage.rss_bytes)),
        written: [process.stdout.written, process.stderr.written],
    })
}
