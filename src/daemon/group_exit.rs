//! What the unexpected end of one of its members does to a group (`on_group_member_exit`, O-1).

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::{Daemon, Group, Host, Proc};
use crate::clock::{Mono, Now};
use crate::config::OnGroupMemberExit;
use crate::id::{GroupId, IdMap, ProcId};
use crate::model::process::Transition;
use crate::state::{ProcessState, SupervisorState};

/// A group is restarted so often within [`WINDOW`]; once more, and it is stopped.
const RESTARTS_MAX: usize = 5;

/// The time in which restarts of a group count.
const WINDOW: Duration = Duration::from_secs(60);

/// Groups that are being stopped, or were restarted lately.
#[derive(Default)]
pub(super) struct GroupExits {
    groups: IdMap<GroupId, Restarts>,
    /// Groups that are started when all their members are stopped.
    pending: Vec<Pending>,
}

/// A group that is to be started.
struct Pending {
    group: GroupId,
    /// Members that somebody had stopped, or has stopped since, and those that nobody had started.
    kept_down: BTreeSet<ProcId>,
}

/// The restarts of one group, oldest first; at most [`RESTARTS_MAX`].
#[derive(Default)]
struct Restarts(VecDeque<Mono>);

impl Restarts {
    /// Notes one; false if that would be one too many.
    fn take(&mut self, now: Mono) -> bool {
        while self.0.front().is_some_and(|at| now.since(*at) >= WINDOW) {
            self.0.pop_front();
        }
        let is_allowed = self.0.len() < RESTARTS_MAX;
        if is_allowed {
            self.0.push_back(now);
        }
        is_allowed
    }
}

impl Daemon {
    /// What follows for a group from the state that one of its members has entered.
    pub(super) fn member_entered(&mut self, id: ProcId, entered: &Transition, now: Now) {
        use ProcessState::*;
        let has_failed = entered.to == Fatal || (entered.to == Exited && !entered.expected);
        if !has_failed || self.state != SupervisorState::Running {
            return;
        }
        let Some((group, process)) = self.roster.member(id) else { return };
        let policy = group.config.options.as_ref().map(|options| options.on_group_member_exit);
        let (at, name) = (process.group, process.config.name.clone());
        let Some(policy @ (OnGroupMemberExit::StopGroup | OnGroupMemberExit::RestartGroup)) = policy else { return };
        if self.is_being_stopped(group, id) {
            return;
        }
        let group_name = group.name().to_string();
        // Those of groups that are gone are forgotten when they may be half of all.
        if self.group_exits.groups.len() > 2 * self.roster.group_count() {
            let roster = &self.roster;
            self.group_exits.groups.retain(|group, _| roster.group(*group).is_some());
        }
        let restarts = self.group_exits.groups.entry(at).or_default();
        let is_restart = policy == OnGroupMemberExit::RestartGroup && restarts.take(now.mono);
        let doing = if is_restart { "restarting" } else { "stopping" };
        activity!(Warn, "on_group_member_exit: {name} {}, {doing} group {group_name}", word(entered.to));
        if policy == OnGroupMemberExit::RestartGroup && !is_restart {
            let secs = WINDOW.as_secs();
            activity!(Warn, "group {group_name} was restarted {RESTARTS_MAX} times within {secs} seconds");
        }
        let others = self.roster.members_by_priority(at);
        // Nobody but the group starts it again.
        if let Some(process) = self.roster.process_mut(id) {
            process.machine.rest();
        }
        if is_restart && !self.group_exits.pending.iter().any(|pending| pending.group == at) {
            let is_kept_down = |other: &ProcId| *other != id && self.is_left_down(*other);
            let kept_down = others.iter().copied().filter(is_kept_down).collect();
            self.group_exits.pending.push(Pending { group: at, kept_down });
        }
        for other in &others {
            self.give_up_wait(*other, now);
        }
        self.stop_in_order(&others, now);
    }

    /// Whether the members of a group, but for one, are stopped or on the way there.
    fn is_being_stopped(&self, group: &Group, but: ProcId) -> bool {
        let others = || self.roster.members(group).filter(|(id, _)| *id != but);
        let is_going = |(id, process): (ProcId, &Proc)| {
            process.machine.state() == ProcessState::Stopping || self.order.stops.contains_key(&id)
        };
        others().any(is_going)
            && !others()
                .any(|(id, process)| process.machine.state().is_running() && !self.order.stops.contains_key(&id))
    }

    /// Whether a process is down, or on its way there, by somebody's will, and nothing but a command would start it again.
    fn is_left_down(&self, id: ProcId) -> bool {
        let Some(process) = self.roster.process(id) else { return true };
        let machine = &process.machine;
        let is_to_start = self.is_to_start(id) || self.is_to_return(id) || machine.is_coming_back();
        let is_down = match machine.state() {
            ProcessState::Stopping => true,
            ProcessState::Stopped => machine.deadline(&process.config, self.state).is_none(),
            ProcessState::Exited => machine.rests(),
            _ => self.order.stops.contains_key(&id),
        };
        is_down && !is_to_start
    }

    /// Whether a process is to be started with its group.
    pub(super) fn is_to_return_with_group(&self, id: ProcId) -> bool {
        let Some(process) = self.roster.process(id) else { return false };
        let is_its = |pending: &Pending| pending.group == process.group && !pending.kept_down.contains(&id);
        self.group_exits.pending.iter().any(is_its)
    }

    /// A process is not to be started with its group.
    pub(super) fn leave_out_of_restart(&mut self, id: ProcId) {
        let Some(process) = self.roster.process(id) else { return };
        for pending in self.group_exits.pending.iter_mut().filter(|pending| pending.group == process.group) {
            pending.kept_down.insert(id);
        }
    }

    /// Starts the groups that are to be restarted and are stopped by now.
    pub(super) fn restart_groups(&mut self, now: Now, host: &mut dyn Host) {
        if self.group_exits.pending.is_empty() {
            return;
        }
        if self.state != SupervisorState::Running {
            self.group_exits.pending.clear();
            return;
        }
        let roster = &self.roster;
        let is_stopped = |pending: &Pending| roster.group(pending.group).is_none_or(Group::is_stopped);
        let pending = std::mem::take(&mut self.group_exits.pending).into_iter();
        let (ready, pending): (Vec<Pending>, Vec<Pending>) = pending.partition(is_stopped);
        self.group_exits.pending = pending;
        for Pending { group, kept_down } in ready {
            let mut members = self.roster.members_by_priority(group);
            members.retain(|id| !kept_down.contains(id));
            self.ask_to_start(&members, now);
            for id in members {
                if !self.wait_to_start(id, now) {
                    self.start_process(id, now, host);
                }
                self.had_its_turn(id, now);
            }
        }
    }
}

fn word(state: ProcessState) -> &'static str {
    if state == ProcessState::Fatal { "gave up" } else { "exited unexpectedly" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_counted_in_a_window() {
        let mut restarts = Restarts::default();
        let second = |secs: u64| Mono(0).after(Duration::from_secs(secs));
        let taken: Vec<bool> = (0..7).map(|secs| restarts.take(second(secs))).collect();
        assert_eq!(taken, [true, true, true, true, true, false, false]);
        assert!(!restarts.take(second(59)));
        assert!(restarts.take(second(60)));
        assert!(!restarts.take(second(60)));
    }
}
