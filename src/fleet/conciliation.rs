//! Processes of managed applications that run on more than one instance, and what is done about them (V-430 to V-432).

use std::cmp::Reverse;

use super::Fleet;
use crate::clock::Now;
use crate::config::fleet::ConciliationStrategy;
use crate::daemon::Daemon;
use crate::id::PeerId;
use crate::model::fleet::phase::Phase;
use crate::model::fleet::sequencer::{Again, Stop};
use crate::model::fleet::view::TaskId;

impl Fleet {
    /// Processes of managed applications that run more than once.
    pub fn conflicts(&self) -> impl Iterator<Item = TaskId> {
        self.view.twice()
    }

    /// Who leads resolves conflicts as it is configured, each time that nothing is under way and some are left (V-431); says
    /// whether there was something to do.
    pub(super) fn conciliate_if_due(&mut self, daemon: &mut Daemon, now: Now) -> bool {
        if self.phase != Phase::Conciliation || !self.leads() || self.phase_facts(now.mono).is_anyone_busy {
            return false;
        }
        let strategy = self.supvisors().map(|one| one.options.conciliation_strategy);
        strategy.is_some_and(|strategy| self.conciliate(strategy, daemon, now))
    }

    /// Resolves the conflicts there are; says whether that is under way, and false if it is left to the user.
    pub fn conciliate(&mut self, strategy: ConciliationStrategy, daemon: &mut Daemon, now: Now) -> bool {
        let conflicts: Vec<TaskId> = self.conflicts().collect();
        if strategy == ConciliationStrategy::User {
            return false;
        }
        for id in &conflicts {
            let keeps = match strategy {
                ConciliationStrategy::Senicide => self.ages(*id, now).into_iter().min().map(|(_, peer)| peer),
                ConciliationStrategy::Infanticide => {
                    let oldest = self.ages(*id, now).into_iter().min_by_key(|(age, peer)| (Reverse(*age), *peer));
                    oldest.map(|(_, peer)| peer)
                }
                _ => None,
            };
            self.stop_but(*id, keeps, strategy, daemon);
        }
        if strategy == ConciliationStrategy::RunningFailure {
            self.lost_by_conciliation.extend(conflicts.iter().copied());
        }
        !conflicts.is_empty()
    }

    /// Stops a process everywhere but on one instance.
    fn stop_but(&mut self, id: TaskId, keeps: Option<PeerId>, strategy: ConciliationStrategy, daemon: &Daemon) {
        let Some(app) = self.view.task(id).map(|task| task.app) else { return };
        let stops: Vec<Stop> =
            self.stops_of_task(id, None, daemon).into_iter().filter(|stop| Some(stop.peer) != keeps).collect();
        let name = self.view.namespec(id).unwrap_or_default();
        activity!(Warn, "{name} runs more than once: {}", strategy.name());
        let again = (strategy == ConciliationStrategy::Restart).then(|| Again::Processes(None, vec![id]));
        let ticket = self.sequencer.ticket();
        self.sequencer.stop(app, 0, stops, again, ticket, ticket.0);
    }

    /// For how long a process has run on each instance where it does. Of equals the first of the list is kept (V-432).
    fn ages(&self, id: TaskId, now: Now) -> Vec<(u64, PeerId)> {
        let known = self.view.task(id).map_or(&[][..], |task| task.known());
        let running = known.iter().filter(|known| known.record.state.is_running());
        let clock = |peer: PeerId| self.member(peer).map_or(0, |member| member.clock(now));
        running.map(|known| (clock(known.peer).saturating_sub(known.record.started), known.peer)).collect()
    }

    /// What was stopped as if it were lost is looked at once it is (V-430, RUNNING_FAILURE).
    pub(super) fn cure_conciliated(&mut self, daemon: &mut Daemon, now: Now) {
        let is_stopped = |id: &TaskId| self.view.task(*id).is_none_or(|task| task.running().next().is_none());
        let (done, left) = std::mem::take(&mut self.lost_by_conciliation).into_iter().partition(is_stopped);
        self.lost_by_conciliation = left;
        let done: std::collections::BTreeSet<TaskId> = done;
        if !done.is_empty() {
            self.cure_lost(done, daemon, now);
        }
    }
}
