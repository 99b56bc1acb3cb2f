//! What there is to see of who depends on whom (O-8).

use super::Daemon;
use crate::clock::Now;
use crate::config::dependency::Dependency;
use crate::id::ProcId;

impl Daemon {
    /// Brings the graph up to date, for whoever looks at it.
    pub fn refresh_graph(&mut self, now: Now) {
        self.refresh_order(now);
    }

    /// What a process depends on: each item, and the processes that it means.
    pub fn needs_of(&self, id: ProcId) -> impl Iterator<Item = (&Dependency, impl Iterator<Item = ProcId>)> {
        self.order.gates.needs(id)
    }

    /// The items of a process whose names nothing has any more.
    pub fn absent_of(&self, id: ProcId) -> impl Iterator<Item = &Dependency> {
        self.order.gates.absent(id)
    }

    /// The items of a process and of its group.
    pub fn items_of(&self, id: ProcId) -> impl Iterator<Item = &Dependency> {
        let member = self.roster.member(id);
        let own = member.map_or(&[][..], |(_, process)| &process.config.depends_on.0);
        let of_group = member.and_then(|(group, _)| group.config.options.as_ref());
        own.iter().chain(of_group.map_or(&[][..], |options| &options.depends_on.0))
    }

    /// Who depends on nothing, then who depends on those alone, and so on.
    pub fn tiers(&self) -> Vec<Vec<ProcId>> {
        self.order.gates.tiers(self.roster.processes().map(|(id, _)| id))
    }

    /// Processes, and all that they depend on and is not as they need it; what is needed comes first.
    pub fn with_missing(&mut self, ids: &[ProcId], now: Now) -> Vec<ProcId> {
        self.refresh_order(now);
        let mut found = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for id in ids {
            if seen.insert(*id) {
                found.push(*id);
            }
        }
        let mut at = 0;
        while let Some(id) = found.get(at).copied() {
            at += 1;
            let missing = self.order.gates.obstacles(id).map(|obstacle| obstacle.process);
            found.extend(missing.filter(|id| seen.insert(*id)));
        }
        found.reverse();
        found
    }

    /// The stop of a process that follows does not concern what depends on it, until it is RUNNING again.
    pub fn hush(&mut self, id: ProcId) {
        if self.stops_in_order() {
            self.order.hushed.insert(id);
        }
    }

    /// When a process is started next without being asked, in seconds since the epoch; 0 if nothing is known of it.
    pub fn next_start(&self, id: ProcId, now: Now) -> i64 {
        let Some(process) = self.roster.process(id) else { return 0 };
        let machine = &process.machine;
        let at = match self.wait_ends(id) {
            Some(at) => Some(at),
            None if self.is_waiting(id) || machine.pid().is_some() => None,
            None => machine.deadline(&process.config, self.state()),
        };
        let Some(at) = at.filter(|_| machine.state() != crate::state::ProcessState::Fatal) else { return 0 };
        let ahead = i64::try_from(at.since(now.mono).as_secs()).unwrap_or(i64::MAX);
        now.wall.secs().saturating_add(ahead)
    }
}
