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

/// All that is looked after.
#[derive(Default)]
pub struct Care {
    pub(super) watched: IdMap<ProcId, Box<Watch>>,
    pub(super) helpers: IdMap<i32, Helper>,
    pub(super) agenda: Agenda,
    pub(super) probes: usize,
    /// Who waits to be asked, each at most once.
    pub(super) queue: VecDeque<ProcId>,
}

impl Care {
    /// When something is due; `None` is never.
    pub(in super::super) fn deadline(&self, now: Mono) -> Option<Mono> {
        if self.can_ask() { Some(now) } else { self.agenda.next(now) }
    }

    /// Whether somebody waits to be asked, and may be.
    pub(super) fn can_ask(&self) -> bool {
        self.probes < PROBES_MAX && !self.queue.is_empty()
    }

    pub(in super::super) fn has_hooks(&self) -> bool {
        self.helpers.values().any(|helper| matches!(helper.kind, HelperKind::Hook(_)))
    }
}
