//! An instance is lost: what ran there is given up, and who leads does what the rules say of that (V-132, V-133, V-420 to
//! V-427). It is done as soon as there is a Master, whoever that is then, also when the instance that was lost had led.

use std::collections::BTreeMap;

use super::Fleet;
use crate::clock::Now;
use crate::config::fleet::RunningFailure;
use crate::daemon::Daemon;
use crate::id::PeerId;
use crate::model::fleet::instance::{InstanceState, Trigger};
use crate::model::fleet::phase::{Phase, Wish};
use crate::model::fleet::status::ApplicationState;
use crate::model::fleet::view::{AppId, TaskId};

impl Fleet {
    /// An instance is lost.
    pub(super) fn lose(&mut self, peer: PeerId, now: Now) {
        let Some(member) = self.member(peer).filter(|_| peer != self.own) else { return };
        if matches!(member.state, InstanceState::Stopped | InstanceState::Isolated) {
            return;
        }
        self.meet(peer, Trigger::Lost);
        let fences = self.supvisors().is_some_and(|one| one.options.auto_fence);
        let is_fenced =
            fences && self.master.is_some() && (Phase::Election..=Phase::Conciliation).contains(&self.phase);
        self.meet(peer, Trigger::Buried { is_fenced });
        let reason = self.member(peer).map_or(String::new(), |one| format!("Supervisor {} lost", one.who.identifier));
        let lost = self.view.lose(peer, &reason, now.mono);
        self.lost.extend(lost);
        self.has_just_lost = true;
        self.commands.forget(peer);
        // What was being started there has failed as a start (V-396), and is not lost beside that.
        let started: Vec<TaskId> =
            self.targets.iter().filter(|(_, target)| target.peer == peer).map(|(task, _)| *task).collect();
        for task in started {
            self.lost.remove(&task);
            self.refused.insert(task);
        }
        if let Some(member) = self.member_mut(peer) {
            member.modes = Default::default();
            (member.is_telling, member.telling) = (false, None);
        }
    }

    /// Does what the rules say of processes that are lost, if this instance leads; forgets them if another one does.
    pub(super) fn cure_losses(&mut self, daemon: &mut Daemon, now: Now) {
        if self.lost.is_empty() || self.phase < Phase::Distribution || self.wish.is_some() || self.is_ending {
            return;
        }
        let lost = std::mem::take(&mut self.lost);
        if self.leads() {
            self.cure_lost(lost, daemon, now);
        }
    }

    /// The same, for processes that run nowhere any more.
    pub(super) fn cure_lost(&mut self, lost: impl IntoIterator<Item = TaskId>, daemon: &mut Daemon, now: Now) {
        let mut by_app: BTreeMap<AppId, Vec<(TaskId, RunningFailure)>> = BTreeMap::new();
        let planned = self.sequencer.starting();
        for id in lost {
            let Some(task) = self.view.task(id).filter(|task| !task.is_running()) else { continue };
            let app = task.app;
            let is_managed = self.applications.get(&app).is_some_and(|one| one.rules.managed);
            let Some(rules) = self.rules_of(id).filter(|_| is_managed) else { continue };
            let strategy = rules.running_failure;
            // What is planned anyway is started by that (V-396).
            if planned.contains(&id) {
                continue;
            }
            let name = self.view.namespec(id).unwrap_or_default();
            activity!(Warn, "{name} is lost: {}", strategy.name());
            by_app.entry(app).or_default().push((id, strategy));
        }
        for (app, tasks) in by_app {
            self.cure_application(app, &tasks, daemon, now);
        }
    }

    /// What follows for one application; the weightiest strategy decides (V-424).
    fn cure_application(&mut self, app: AppId, tasks: &[(TaskId, RunningFailure)], daemon: &mut Daemon, now: Now) {
        use RunningFailure::*;
        let has = |wanted: RunningFailure| tasks.iter().any(|(_, strategy)| *strategy == wanted);
        if has(Shutdown) || has(Restart) {
            return self.begin_end(if has(Shutdown) { Wish::Shutdown } else { Wish::Restart }, daemon);
        }
        if has(StopApplication) {
            return self.failures.note(app, StopApplication, now.mono);
        }
        let is_stopped = self.status(app).is_some_and(|status| status.state == ApplicationState::Stopped);
        let is_sequenced = |id: TaskId| self.rules_of(id).is_some_and(|rules| rules.start_sequence > 0);
        let is_whole = |(id, strategy): &(TaskId, RunningFailure)| {
            *strategy == RestartApplication || (*strategy == RestartProcess && is_stopped && is_sequenced(*id))
        };
        if tasks.iter().any(is_whole) {
            let ticket = self.sequencer.ticket();
            // No pause: the application has not failed, its instance has.
            return self.plan_restart(app, ticket, daemon);
        }
        let ticket = self.sequencer.ticket();
        let restarted = tasks.iter().filter(|(_, strategy)| *strategy == RestartProcess);
        let restarted: Vec<TaskId> = restarted.map(|(id, _)| *id).collect();
        self.plan_processes(&restarted, None, ticket, daemon);
    }
}
