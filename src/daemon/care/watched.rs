//! What is watched of each process, and the children beside them: data.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::agenda::Agenda;
use crate::clock::{Mono, earliest};
use crate::id::{IdMap, Pid, ProcId};
use crate::model::health::{Health, LineWatch};
use crate::model::hook::Hook;

/// Probes that are under way at a time; the others wait for their turn. Each may be a child.
const PROBES_MAX: usize = 16;

/// Commands for a change of health that run at a time. Each is a child, and where one thing fails others do.
pub(super) const ACTIONS_MAX: usize = 16;

/// After so long such a command is killed. It may be a cure that takes its time, but nobody would end one that hangs.
pub(super) const ACTION_TIME: Duration = Duration::from_secs(300);

/// What a child beside a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HelperKind {
    Hook(Hook),
    Probe,
    /// A command that answers to a change of health.
    Action,
    /// Nobody waits for it any more.
    Dropped,
}

/// A child beside a process.
#[derive(Clone, Debug)]
pub(super) struct Helper {
    pub(super) process: ProcId,
    pub(super) kind: HelperKind,
    /// The last line of what it wrote.
    pub(super) line: Vec<u8>,
}

/// A probe under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The child, if it is a command.
    pub(super) pid: Option<Pid>,
    pub(super) until: Mono,
}

/// What is watched of one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// The child that all this is about.
    pub(super) pid: Option<Pid>,
    /// Whether that child is RUNNING.
    pub(super) runs: bool,
    /// Since when, if it is.
    pub(super) running_since: Mono,
    pub(super) hook: Option<(Pid, Mono)>,
    pub(super) asked: Option<Asked>,
    /// It waits for its turn to be asked.
    pub(super) queued: bool,
    pub(super) next_probe: Option<Mono>,
    pub(super) watchdog: Option<(Duration, Mono)>,
    /// The period that it has asked for itself, before it was RUNNING.
    pub(super) period: Option<Duration>,
    pub(super) memory_at: Option<Mono>,
    /// The last look found too much.
    pub(super) is_over: bool,
    /// That it uses too much was told, and it has not used less since.
    pub(super) told_memory: bool,
    pub(super) health: Health,
    pub(super) status_text: String,
    /// What the last probe that was a command wrote last, or why a probe has failed.
    pub(super) probe_text: String,
    /// Which process it says it is by now.
    pub(super) main: Option<Pid>,
    /// Which one was refused last.
    pub(super) refused_main: Option<Pid>,
    /// It has said that it reloads, and not yet that it is done.
    pub(super) reloads: bool,
    /// When it began to reload, as it says itself.
    pub(super) reload_began: Option<Mono>,
    /// The error that it told of last.
    pub(super) errno: Option<i32>,
    pub(super) lines: [LineWatch; 2],
    /// A message of somebody unknown was told of.
    pub(super) warned: bool,
}

impl Watch {
    pub(super) fn deadline(&self) -> Option<Mono> {
        earliest(&[
            self.hook.map(|(_, until)| until),
            self.asked.map(|asked| asked.until),
            self.next_probe.filter(|_| self.asked.is_none() && !self.queued),
            self.watchdog.map(|(_, until)| until),
            self.memory_at,
        ])
    }
}

/// The commands for a change of health that run, and when they are killed; all may take as long, so that the first is due
/// first.
#[derive(Default)]
pub(super) struct Actions(VecDeque<(Mono, Pid)>);

impl Actions {
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= ACTIONS_MAX
    }

    pub(super) fn began(&mut self, pid: Pid, mono: Mono) {
        self.0.push_back((mono.after(ACTION_TIME), pid));
    }

    pub(super) fn ended(&mut self, pid: Pid) {
        self.0.retain(|(_, other)| *other != pid);
    }

    fn deadline(&self) -> Option<Mono> {
        self.0.front().map(|(until, _)| *until)
    }

    /// One that has run for too long.
    pub(super) fn take_late(&mut self, mono: Mono) -> Option<Pid> {
        let is_late = self.deadline().is_some_and(|until| until <= mono);
        if is_late { self.0.pop_front().map(|(_, pid)| pid) } else { None }
    }
}

/// All that is looked after.
#[derive(Default)]
pub struct Care {
    pub(super) watched: IdMap<ProcId, Box<Watch>>,
    pub(super) helpers: IdMap<i32, Helper>,
    pub(super) agenda: Agenda,
    pub(super) probes: usize,
    /// Who waits to be asked, each at most once.
    pub(super) queue: VecDeque<ProcId>,
    pub(super) actions: Actions,
}

impl Care {
    /// When something is due; `None` is never.
    pub(in super::super) fn deadline(&self, now: Mono) -> Option<Mono> {
        if self.can_ask() { Some(now) } else { earliest(&[self.agenda.next(now), self.actions.deadline()]) }
    }

    /// Whether somebody waits to be asked, and may be.
    pub(super) fn can_ask(&self) -> bool {
        self.probes < PROBES_MAX && !self.queue.is_empty()
    }

    /// Those whose hook runs.
    pub(in super::super) fn with_hooks(&self) -> impl Iterator<Item = ProcId> {
        self.watched.iter().filter(|(_, watched)| watched.hook.is_some()).map(|(id, _)| *id)
    }

    pub(in super::super) fn has_hooks(&self) -> bool {
        self.helpers.values().any(|helper| matches!(helper.kind, HelperKind::Hook(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_for_a_change_of_health_are_few_and_end() {
        let mut actions = Actions::default();
        let begin = Mono(5);
        for pid in 1..=ACTIONS_MAX {
            assert!(!actions.is_full(), "{pid}");
            actions.began(Pid(pid as i32), begin.after(Duration::from_secs(pid as u64)));
        }
        assert!(actions.is_full());
        actions.ended(Pid(1));
        assert!(!actions.is_full());
        let due = begin.after(Duration::from_secs(2)).after(ACTION_TIME);
        assert_eq!(actions.deadline(), Some(due));
        assert_eq!(
            (actions.take_late(begin), actions.take_late(due), actions.take_late(due)),
            (None, Some(Pid(2)), None)
        );
    }
}
