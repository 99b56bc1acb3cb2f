//! What there is to tell the others, and when.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::model::fleet::view::TaskId;
use crate::wire::fleet::report::{Item, Modes};

/// The time in which not more than some changes are told at once (F-61).
const GATHER: Duration = Duration::from_millis(100);

/// Changes that are told at once: what a few calls bring about is seen elsewhere before they are answered.
const AT_ONCE: u32 = 10;

/// What the others have not been told yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    /// The first things that have happened, in their order: states of processes, and the beginning and end of jobs.
    pub(super) steps: Vec<Item>,
    /// Processes of which the last state is to be told after that.
    pub(super) tasks: BTreeSet<TaskId>,
    /// What else there is to tell, after the processes.
    pub(super) items: Vec<Item>,
    /// How this instance saw the fleet when it said so last.
    pub(super) modes: Option<Modes>,
    /// Whether this instance started something, and stopped something, when that was looked at last.
    pub(super) jobs: (bool, bool),
    /// When something was told that began the present span, and how often since.
    pub(super) span: Option<(Mono, u32)>,
    /// Since when there is something to tell.
    pub(super) since: Option<Mono>,
}

impl Outbox {
    /// A process of this instance is another one than was told.
    pub fn changed(&mut self, task: TaskId, now: Now) {
        self.tasks.insert(task);
        self.since.get_or_insert(now.mono);
    }

    /// Whether what happens is told by itself, for it is one of the first; else it is merged with what follows.
    pub fn has_room(&self) -> bool {
        self.steps.len() < AT_ONCE as usize
    }

    /// Something has happened to a process of this instance, and is told by itself.
    pub fn stepped(&mut self, task: TaskId, item: Item, now: Now) {
        self.steps.push(item);
        self.tasks.remove(&task);
        self.since.get_or_insert(now.mono);
    }

    /// When something is to be told.
    pub fn deadline(&self) -> Option<Mono> {
        self.since.map(|since| self.not_before().map_or(since, |at| at.max(since)))
    }

    /// When something may be told again.
    fn not_before(&self) -> Option<Mono> {
        self.span.filter(|(_, count)| *count >= AT_ONCE).map(|(since, _)| since.after(GATHER))
    }

    /// The span after something is told.
    pub fn next_span(&self, now: Mono) -> Option<(Mono, u32)> {
        let current = self.span.filter(|(since, _)| now.since(*since) < GATHER);
        Some(current.map_or((now, 1), |(since, count)| (since, count + 1)))
    }
}
