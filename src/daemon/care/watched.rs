//! What is watched of each process, and the children beside them: data.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::agenda::Agenda;
use crate::clock::{Mono, earliest};
use crate::id::{IdMap, Pid, ProcId};
use crate::model::health::{Health, LineWatch};
use crate::model::hook::Hook;

/// What a child beside a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
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
    pub(super) purpose: Purpose,
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
pub(super) struct Watched {
    /// The child that all this is about.
    pub(super) pid: Option<Pid>,
    /// Whether that child is RUNNING.
    pub(super) runs: bool,
    pub(super) hook: Option<(Pid, Mono)>,
    pub(super) asked: Option<Asked>,
    /// It waits for its turn to be asked.
    pub(super) queued: bool,
    pub(super) next_probe: Option<Mono>,
    pub(super) watchdog: Option<(Duration, Mono)>,
    pub(super) memory_at: Option<Mono>,
    /// The last look found too much.
    pub(super) is_over: bool,
    pub(super) health: Health,
    pub(super) status_text: String,
    /// It has said that it reloads, and not yet that it is done.
    pub(super) reloads: bool,
    pub(super) lines: [LineWatch; 2],
    /// A message of somebody unknown was told of.
    pub(super) warned: bool,
}

impl Watched {
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
    pub(super) watched: IdMap<ProcId, Box<Watched>>,
    pub(super) helpers: IdMap<i32, Helper>,
    pub(super) agenda: Agenda,
    pub(super) probes: usize,
    /// Who waits to be asked, each at most once.
    pub(super) queue: VecDeque<ProcId>,
}

impl Care {
    /// When something is due; `None` is never.
    pub(in super::super) fn deadline(&self, now: Mono) -> Option<Mono> {
        self.agenda.next(now)
    }

    /// Whether hooks run.
    pub(in super::super) fn has_hooks(&self) -> bool {
        self.helpers.values().any(|helper| matches!(helper.purpose, Purpose::Hook(_)))
    }
}
