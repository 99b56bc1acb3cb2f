//! What a fleet adds to processes: who may not be started, with which arguments, and what has become of them since it looked.
//! Without one there is a null pointer for each process, and nothing is noted.

use super::Daemon;
use crate::id::ProcId;
use crate::model::process::Transition;
use crate::state::ProcessState;

/// Changes that are noted between two looks of the fleet, which looks in each turn. Beyond that it looks at all processes anew.
const NEWS_MAX: usize = 100_000;

/// What a fleet adds to a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Nobody starts it (V-460).
    pub is_disabled: bool,
    /// It is not started again by itself (V-85).
    pub stays_down: bool,
    /// It has been given up, or has exited unexpectedly, since it is known.
    pub has_crashed: bool,
    /// Appended to its command line (V-465).
    pub extra_args: String,
}

/// What the fleet is told of.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Changes of state since it looked.
    changes: Vec<(ProcId, Transition)>,
    /// Those whose wait for others has begun or ended without a change of state.
    waits: Vec<ProcId>,
    /// Processes have come, gone, or got another configuration, or more has changed than is noted.
    is_other_set: bool,
}

impl Daemon {
    /// From here on a fleet is told what happens.
    pub fn watch(&mut self) {
        self.news = Some(Box::new(News { is_other_set: true, ..News::default() }));
    }

    /// What has changed since the last call.
    pub fn take_changes(&mut self) -> Vec<(ProcId, Transition)> {
        self.news.as_mut().map_or(Vec::new(), |news| std::mem::take(&mut news.changes))
    }

    /// Processes whose wait has begun or ended since the last call.
    pub fn take_waits(&mut self) -> Vec<ProcId> {
        self.news.as_mut().map_or(Vec::new(), |news| std::mem::take(&mut news.waits))
    }

    /// Whether the set of processes is another one than at the last call.
    pub fn take_is_other_set(&mut self) -> bool {
        self.news.as_mut().is_some_and(|news| std::mem::take(&mut news.is_other_set))
    }

    /// Whether there is something to look at.
    pub fn has_news(&self) -> bool {
        self.news.as_ref().is_some_and(|news| !news.changes.is_empty() || !news.waits.is_empty() || news.is_other_set)
    }

    pub(super) fn note_change(&mut self, id: ProcId, change: &Transition) {
        let Some(news) = &mut self.news else { return };
        match news.changes.len() < NEWS_MAX {
            true => news.changes.push((id, *change)),
            false => news.is_other_set = true,
        }
    }

    pub(super) fn note_wait(&mut self, id: ProcId) {
        let Some(news) = &mut self.news else { return };
        match news.waits.len() < NEWS_MAX {
            true => news.waits.push(id),
            false => news.is_other_set = true,
        }
    }

    pub(super) fn note_set(&mut self) {
        if let Some(news) = &mut self.news {
            news.is_other_set = true;
        }
    }

    /// Changes what a fleet adds to a process.
    pub fn mark(&mut self, id: ProcId, change: impl FnOnce(&mut Marks)) {
        let Some(process) = self.roster.process_mut(id) else { return };
        let marks = process.marks.get_or_insert_default();
        change(marks);
        process.machine.never_restart(marks.is_disabled || marks.stays_down);
        if process.marks.as_deref() == Some(&Marks::default()) {
            process.marks = None;
        }
    }

    /// Whether nobody may start a process.
    pub fn is_disabled(&self, id: ProcId) -> bool {
        self.roster.process(id).is_some_and(|process| process.marks().is_disabled)
    }

    /// Whether a process is due whose first start nobody may make. That no run follows another its machine knows.
    pub(super) fn stays_down(&self, id: ProcId) -> bool {
        self.is_disabled(id)
            && self.roster.process(id).is_some_and(|process| process.machine.state() == ProcessState::Stopped)
    }

    /// Looks at autostart of a process anew, because it may be started again (V-460).
    pub fn reconsider(&mut self, id: ProcId, now: crate::clock::Now) {
        self.reschedule(id, now);
    }

    /// Whether a process is to be stopped and waits for others.
    pub fn is_to_stop(&self, id: ProcId) -> bool {
        let state = self.roster.process(id).map(|process| process.machine.state());
        self.order.stops.contains_key(&id) && state != Some(ProcessState::Stopping)
    }

    /// Has the end wait until the fleet has stopped what it stops in an order of its own.
    pub fn postpone_end(&mut self, is_postponed: bool) {
        self.shutdown.is_postponed = is_postponed;
    }
}
