//! What is done with one application: the ranks of its processes, and what becomes of those whose turn it is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Again, COMMANDS_MAX, Command, Facts, Look, Start, Ticket};
use crate::clock::Mono;
use crate::config::fleet::StartingFailure;
use crate::id::PeerId;
use crate::model::fleet::view::{AppId, TaskId};
use crate::state::ProcessState;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Start,
    Stop,
}

/// A process in a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) process: TaskId,
    pub(super) ticket: Ticket,
    /// Of a start: `None` for a stop.
    pub(super) start: Option<Start>,
    /// Of a stop: where.
    pub(super) peer: Option<PeerId>,
    pub(super) stop_limit: Duration,
}

/// A process whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) item: Item,
    /// The state in which it was seen last, and since when.
    seen: Option<(ProcessState, Mono)>,
    /// When it is given up if it stays in that state.
    pub(super) due: Option<Mono>,
    /// Of a stop: the run that was seen being stopped.
    stopping: Option<u64>,
}

/// What is done with one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) application: AppId,
    pub(super) kind: Kind,
    pub(super) batch: u64,
    /// Among the applications of its batch.
    pub(super) rank: i64,
    /// Processes whose turn is to come.
    pub(super) planned: BTreeMap<i64, Vec<Item>>,
    pub(super) current: Vec<Running>,
    /// What is started afterwards.
    pub(super) again: Option<(Again, Vec<Ticket>)>,
    /// The application is to be stopped afterwards, because a start has failed.
    pub(super) has_failed: bool,
    /// Tickets of those that were planned and are not started because of that.
    pub(super) failed: Vec<Ticket>,
}

/// What has become of a process that was told to start or to stop.
enum Outcome {
    UnderWay,
    Done,
    Failed,
    TimedOut(ProcessState, &'static str),
}

impl Item {
    pub(super) fn start(start: Start, ticket: Ticket) -> Item {
        Item { process: start.process, ticket, start: Some(start), peer: None, stop_limit: Duration::ZERO }
    }
}

impl Job {
    pub(super) fn new(application: AppId, kind: Kind, batch: u64) -> Job {
        Job {
            application,
            kind,
            batch,
            rank: 0,
            planned: BTreeMap::new(),
            current: Vec::new(),
            again: None,
            has_failed: false,
            failed: Vec::new(),
        }
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.planned.values().flatten().chain(self.current.iter().map(|running| &running.item))
    }

    /// Takes out what is done, failed, or late.
    pub(super) fn look(&mut self, now: Mono, facts: &Look<'_>, commands: &mut Vec<Command>) {
        let mut current = std::mem::take(&mut self.current);
        current.retain_mut(|running| {
            let process = running.item.process;
            match running.look(now, facts(process, running.item.peer)) {
                Outcome::UnderWay => return true,
                Outcome::Done => {}
                Outcome::Failed => self.fail(&running.item),
                Outcome::TimedOut(shown, reason) => {
                    commands.push(Command::GiveUp { process, shown, reason });
                    self.fail(&running.item);
                }
            }
            false
        });
        self.current = current;
    }

    /// A start has failed (V-395).
    fn fail(&mut self, item: &Item) {
        let Some(start) = &item.start else { return };
        if start.on_failure == StartingFailure::Continue {
            return;
        }
        if start.on_failure == StartingFailure::Stop {
            self.has_failed = true;
            self.failed.push(item.ticket);
            self.failed.extend(self.planned.values().flatten().map(|item| item.ticket));
            self.failed.dedup();
        }
        self.planned.clear();
    }

    /// Begins the next rank with something to do in it, once nothing of the last one is under way; says whether there is one.
    pub(super) fn begin(&mut self, facts: &Look<'_>, commands: &mut Vec<Command>) -> bool {
        let is_free = self.current.is_empty();
        while self.current.is_empty() && commands.len() < COMMANDS_MAX {
            let next = match self.kind {
                Kind::Start => self.planned.pop_first(),
                Kind::Stop => self.planned.pop_last(),
            };
            let Some((_, items)) = next else { return false };
            for item in items {
                let Some(known) = facts(item.process, item.peer) else { continue };
                match (&item.start, item.peer) {
                    (Some(start), _) if known.state.is_stopped() => {
                        commands.push(Command::Start(item.process, start.strategy));
                    }
                    (None, Some(peer)) if !known.state.is_stopped() || known.is_pending => {
                        commands.push(Command::Stop(item.process, peer));
                    }
                    // One that starts already is waited for, as long as it is not clear what becomes of it.
                    (Some(_), _) if known.state.is_running() => {}
                    _ => continue,
                }
                self.current.push(Running { item, seen: None, due: None, stopping: None });
            }
        }
        is_free && !self.current.is_empty()
    }
}

impl Running {
    fn look(&mut self, now: Mono, facts: Option<Facts>) -> Outcome {
        // One that is no more is waited for no longer.
        let Some(facts) = facts else { return Outcome::Done };
        let since = match self.seen {
            Some((state, since)) if state == facts.state && !facts.is_pending => since,
            _ => now,
        };
        self.seen = Some((facts.state, since));
        if facts.state == ProcessState::Stopping {
            self.stopping.get_or_insert(facts.started);
        }
        let (outcome, limit) = match &self.item.start {
            Some(start) => starting(start, facts),
            // It has stopped and was started again before anybody looked.
            None if self.stopping.is_some_and(|run| run != facts.started) => (Outcome::Done, None),
            None => stopping(facts, self.item.stop_limit),
        };
        self.due = limit.filter(|_| !facts.is_pending).map(|limit| since.after(limit));
        match (outcome, self.due) {
            (Outcome::UnderWay, Some(due)) if due <= now => match &self.item.start {
                Some(_) if facts.state == ProcessState::Running => {
                    Outcome::TimedOut(ProcessState::Fatal, "process EXITED event not received in time")
                }
                Some(_) => Outcome::TimedOut(ProcessState::Fatal, "process RUNNING event not received in time"),
                None => Outcome::TimedOut(ProcessState::Stopped, "process STOPPED event not received in time"),
            },
            (outcome, _) => outcome,
        }
    }
}

/// What has become of a start (V-385), and how long it may be like that.
fn starting(start: &Start, facts: Facts) -> (Outcome, Option<Duration>) {
    use ProcessState::*;
    if facts.is_refused {
        return (Outcome::Failed, None);
    }
    if facts.is_pending {
        return (Outcome::UnderWay, None);
    }
    match facts.state {
        Starting => (Outcome::UnderWay, start.starting_limit),
        // The pause between two attempts has an end of its own.
        Backoff => (Outcome::UnderWay, None),
        Running if start.waits_for_exit => (Outcome::UnderWay, start.exit_limit),
        Running => (Outcome::Done, None),
        Exited if start.waits_for_exit && facts.expected => (Outcome::Done, None),
        Exited if !start.waits_for_exit && facts.came_up => (Outcome::Done, None),
        Exited | Fatal | Stopped | Stopping | Unknown => (Outcome::Failed, None),
    }
}

/// What has become of a stop (V-400), and how long it may be like that.
fn stopping(facts: Facts, limit: Duration) -> (Outcome, Option<Duration>) {
    if facts.state.is_stopped() && !facts.is_pending { (Outcome::Done, None) } else { (Outcome::UnderWay, Some(limit)) }
}
