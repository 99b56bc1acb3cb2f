//! What calls about processes wait for: that one is up, that one is down, that all of several are.
//!
//! A client may go away meanwhile; the action goes on. A process may be removed meanwhile; its id then finds
//! nothing, which ends the wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::entry::ProcessRef;
use super::reload::Reload;
use super::{Answer, Done};
use crate::clock::{Mono, Now};
use crate::config::RunType;
use crate::daemon::Daemon;
use crate::fault::{Code, Fault};
use crate::id::ProcId;
use crate::state::ProcessState;
use crate::wire::value::Value;

/// Time between two lines `waiting for <name> to stop` (P-74).
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// Time between two looks whether a process that was started waits in vain. What fails is often repaired at once, and what is
/// about to be started by another call has its time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When a look is due that is wanted from now on: all look at the same moments, and share what is found.
fn next_look(now: Now) -> Mono {
    let every = LOOK_EVERY.as_nanos() as u64;
    Mono(now.mono.after(LOOK_EVERY).0.next_multiple_of(every))
}

/// Who waits in vain, as it was found last.
#[derive(Debug, Default)]
pub(super) struct Looks {
    at: Option<Mono>,
    in_vain: BTreeSet<ProcId>,
}

impl Looks {
    /// Who waits in vain now; looked for once in a turn, whoever asks.
    fn in_vain(&mut self, daemon: &Daemon, now: Now) -> &BTreeSet<ProcId> {
        if self.at.replace(now.mono) != Some(now.mono) {
            self.in_vain = daemon.waiting_in_vain();
        }
        &self.in_vain
    }
}

/// The wait of startProcess.
pub struct Start {
    pub process: ProcId,
    /// Its name as the client gave it.
    pub name: String,
}

impl Start {
    /// The answer, if it is there by now.
    pub fn poll(&self, daemon: &Daemon) -> Option<Done> {
        Some(match is_up(daemon, self.process)? {
            Ok(()) => Ok(Answer::Value(Value::Bool(true))),
            Err(code) => Err(code.with(&self.name)),
        })
    }
}

/// The same of a one-shot, which has started once it is done, and failed once it is given up (O-5).
fn is_done(state: ProcessState, is_well: bool) -> Option<Result<(), Code>> {
    use ProcessState::*;
    match state {
        Starting | Running | Backoff => None,
        Exited if is_well => Some(Ok(())),
        _ => Some(Err(Code::AbnormalTermination)),
    }
}

/// Whether a process that was started is up, or why it never will be; `None` as long as neither is known. One that was
/// removed meanwhile has ended.
pub(super) fn is_up(daemon: &Daemon, id: ProcId) -> Option<Result<(), Code>> {
    let Some(process) = daemon.roster.process(id) else { return Some(Err(Code::AbnormalTermination)) };
    if daemon.is_waiting(id) {
        return None;
    }
    if daemon.is_refused(id) {
        return Some(Err(Code::AbnormalTermination));
    }
    let machine = &process.machine;
    if process.config.program.run_type == RunType::Oneshot {
        return is_done(machine.state(), machine.runs().spawn_error().is_empty());
    }
    // It may have ended since.
    if machine.runs().came_up() {
        return Some(Ok(()));
    }
    if !machine.runs().spawn_error().is_empty() {
        return Some(Err(Code::SpawnError));
    }
    match machine.state() {
        ProcessState::Running => Some(Ok(())),
        ProcessState::Starting => None,
        _ => Some(Err(Code::AbnormalTermination)),
    }
}

/// Whether a process is down. One that was removed meanwhile is.
pub(super) fn is_down(daemon: &Daemon, id: ProcId) -> bool {
    daemon.roster.process(id).is_none_or(|process| process.machine.state().is_stopped())
}

/// The wait of stopProcess.
pub struct Stop {
    pub process: ProcId,
    /// When the next line says that it is waited for.
    pub report_at: Mono,
}

impl Stop {
    /// The answer, if it is there by now.
    pub fn poll(&mut self, daemon: &Daemon, now: Now) -> Option<Done> {
        if is_down(daemon, self.process) {
            return Some(Ok(Answer::Value(Value::Bool(true))));
        }
        if now.mono >= self.report_at {
            self.report_at = now.mono.after(REPORT_EVERY);
            let name = daemon.roster.process(self.process).map_or("", |process| &process.config.name);
            activity!(Info, "waiting for {name} to stop");
        }
        None
    }
}

/// What a bulk call does to its processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkAction {
    Start,
    Stop,
    /// Send the signal of this name, for which nobody waits.
    Signal(String),
}

/// The wait of a bulk call: outcomes in the order in which they come.
pub struct Bulk {
    pub action: BulkAction,
    /// Whether it is waited for.
    pub waits: bool,
    /// The daemon stops them in their order.
    pub in_order: bool,
    /// Those that have not had their turn yet.
    left: std::vec::IntoIter<ProcId>,
    waiting: BTreeMap<ProcId, ProcessRef>,
    results: Vec<Value>,
    /// Those that were told to reload and say when they have.
    reloads: Vec<(Reload, ProcessRef)>,
    /// Places among the results that are kept for processes whose programs will run in a moment.
    kept: BTreeMap<ProcId, usize>,
    /// All have been looked at once; from then on only those that changed are.
    begun: bool,
    /// When the next lines say who is waited for.
    report_at: Mono,
    /// When to look whether those that wait for others do so in vain; `None` if none of them waits.
    look_at: Option<Mono>,
}

impl Bulk {
    /// A bulk call of which nothing has happened yet.
    pub fn new(action: BulkAction, processes: Vec<ProcId>, waits: bool) -> Bulk {
        let left = processes.into_iter();
        Bulk {
            action,
            waits,
            in_order: false,
            left,
            waiting: BTreeMap::new(),
            results: Vec::new(),
            kept: BTreeMap::new(),
            reloads: Vec::new(),
            begun: false,
            report_at: Mono(0),
            look_at: None,
        }
    }

    /// The same where the daemon stops them in their order.
    pub fn in_order(self) -> Bulk {
        Bulk { in_order: true, ..self }
    }

    /// An outcome that is there at once.
    pub fn note(&mut self, entry: &ProcessRef, result: Result<(), Fault>) {
        self.results.push(entry.outcome(result));
    }

    /// A process that has to be waited for. Its outcome stands `in_place` where it would be there at once if the system
    /// were quicker: with `startsecs=0` the original does not wait for the child to come to its program.
    pub fn wait_for(&mut self, process: ProcId, entry: ProcessRef, in_place: bool) {
        if in_place {
            self.kept.insert(process, self.results.len());
            self.results.push(Value::Nil);
        }
        self.waiting.insert(process, entry);
    }

    /// A process that says when it has reloaded.
    pub fn wait_for_reload(&mut self, reload: Reload, entry: ProcessRef) {
        self.reloads.push((reload, entry));
    }

    /// The next process to act on.
    pub fn next_process(&mut self) -> Option<ProcId> {
        self.left.next()
    }

    /// Whether all have had their turn.
    pub fn has_acted(&self) -> bool {
        self.left.len() == 0
    }

    /// No further process is acted on.
    pub fn give_up(&mut self) {
        self.left = Vec::new().into_iter();
    }

    /// The answer, if nobody is waited for at all.
    pub fn answered(&mut self) -> Option<Done> {
        (self.waiting.is_empty() && self.reloads.is_empty())
            .then(|| Ok(Answer::Value(Value::Array(std::mem::take(&mut self.results)))))
    }

    /// When to ask again although no process changed.
    pub fn deadline(&self) -> Option<Mono> {
        match self.action {
            // Some had their turn before others, and may have changed since.
            _ if !self.begun => Some(Mono(0)),
            BulkAction::Start => self.look_at,
            BulkAction::Signal(_) => self.reloads.iter().filter_map(|(reload, _)| reload.deadline()).min(),
            BulkAction::Stop => Some(self.report_at),
        }
    }

    /// The answer, if nothing is waited for any more. Looks at the processes that changed, not at all: thousands may be
    /// waited for, over as many turns.
    pub(super) fn poll(&mut self, daemon: &Daemon, now: Now, looks: &mut Looks) -> Option<Done> {
        let reports = self.action == BulkAction::Stop && now.mono >= self.report_at;
        let nobody = BTreeSet::new();
        let mut in_vain = &nobody;
        if self.look_at.take_if(|at| *at <= now.mono).is_some() {
            in_vain = looks.in_vain(daemon, now);
            if self.waiting.keys().any(|id| daemon.is_waiting(*id)) {
                self.look_at = Some(next_look(now));
            }
        }
        let looked_at: Vec<ProcId> = if std::mem::replace(&mut self.begun, true) && !reports {
            let concerned = daemon.recently_changed().iter().chain(in_vain).copied();
            concerned.filter(|id| self.waiting.contains_key(id)).collect()
        } else {
            self.waiting.keys().copied().collect()
        };
        for id in looked_at {
            let Some(entry) = self.waiting.get(&id) else { continue };
            let checked = match in_vain.contains(&id) {
                true => Some(Err(waits_in_vain(daemon, id, entry))),
                false => self.check(id, entry, daemon),
            };
            match checked {
                Some(result) => {
                    let outcome = entry.outcome(result);
                    match self.kept.remove(&id).and_then(|at| self.results.get_mut(at)) {
                        Some(place) => *place = outcome,
                        None => self.results.push(outcome),
                    }
                    self.waiting.remove(&id);
                }
                None if reports => activity!(Info, "waiting for {} to stop", entry.name),
                None if self.action == BulkAction::Start && daemon.is_waiting(id) => {
                    self.look_at.get_or_insert(next_look(now));
                }
                None => {}
            }
        }
        let results = &mut self.results;
        self.reloads.retain_mut(|(reload, entry)| {
            let Some(result) = reload.poll(daemon, now) else { return true };
            let name = || crate::namespec::join(&entry.group, &entry.name);
            results.push(entry.outcome(result.map_err(|code| code.with(name()))));
            false
        });
        if reports {
            self.report_at = now.mono.after(REPORT_EVERY);
        }
        self.answered()
    }

    /// The outcome for one process, if it is there by now.
    fn check(&self, id: ProcId, entry: &ProcessRef, daemon: &Daemon) -> Option<Result<(), Fault>> {
        match self.action {
            BulkAction::Signal(_) => Some(Ok(())),
            BulkAction::Start => {
                let fault = |code: Code| code.with(crate::namespec::join(&entry.group, &entry.name));
                is_up(daemon, id).map(|result| result.map_err(fault))
            }
            BulkAction::Stop => is_down(daemon, id).then_some(Ok(())),
        }
    }
}

/// The fault of a process that goes on waiting, for what nothing brings about by itself.
fn waits_in_vain(daemon: &Daemon, id: ProcId, entry: &ProcessRef) -> Fault {
    let name = crate::namespec::join(&entry.group, &entry.name);
    let obstacles = daemon.waiting_text(id).unwrap_or_default();
    Code::AbnormalTermination.with(format!("{name}: {}", obstacles.replacen('W', "w", 1)))
}
