//! Mutations that take their time: processes are stopped, waited for, and only then changed (`stheno.update` and its
//! kin). Plain data, asked after each turn, as every answer that waits.
//!
//! First everything that stands in the way is stopped, all at once; when nothing does any more, all changes are made, group
//! by group; then, where that was asked for, processes are restarted, at once or one after another. Up to the changes
//! no other call may change the same ([`Claims`](super::claims::Claims)).

use std::collections::{HashMap, VecDeque};

use super::claims::ClaimId;
use super::entry::ProcessRef;
use super::waits::{is_down, is_up};
use super::wish::{GroupVerb, Step, Wish};
use super::{Answer, Context, Done};
use crate::fault::{Code, Fault};
use crate::id::{GroupId, ProcId};
use crate::state::SupervisorState;
use crate::wire::value::Value;

/// What changing a group costs, beside the processes that come into it.
const STEP_US: u32 = 20;

/// A mutation under way.
pub struct Update {
    /// What it is to bring about; `None` once that is done.
    wish: Option<Wish>,
    /// What nobody else may change before that; `None` once given up.
    claim: Option<ClaimId>,
    /// What that takes, as it was last found out, and what is left of it once it is being made.
    steps: VecDeque<Step>,
    /// The change under way is not the file's, and its first fault is what is answered.
    is_single: bool,
    /// Groups whose processes are coming in.
    growing: Vec<GroupId>,
    /// Whether it was left to the next turn.
    is_interrupted: bool,
    /// Whether nothing else can have happened since.
    is_fresh: bool,
    /// The words for processes, by group and name, as it was when the call came: who is stopped for the change counts
    /// as restarted.
    words: HashMap<(String, String), &'static str>,
    /// Which processes are to be restarted afterwards.
    restart: Option<Restart>,
    restarts: Restarts,
    answer: Shape,
    report: Report,
}

/// What the call answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `true`, or the fault of the first change that could not be made.
    Boolean,
    /// `{added, changed, removed: [group], processes: [{group, name, action, status, description}]}`
    Report,
}

#[derive(Default)]
struct Report {
    added: Vec<Value>,
    changed: Vec<Value>,
    removed: Vec<Value>,
    processes: Vec<Value>,
    fault: Option<Fault>,
}

/// The running processes of a program whose children were made by older options.
pub struct Restart {
    pub program: String,
    pub groups: Vec<String>,
    /// One after another, each once the one before it is up.
    pub is_rolling: bool,
}

/// Processes to be restarted, batch by batch; within a batch all at once.
#[derive(Default)]
struct Restarts {
    batches: VecDeque<Vec<ProcId>>,
    current: Vec<(ProcId, Stage)>,
    has_failed: bool,
}

/// How far the restart of a process has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Stopping,
    Starting,
}

impl Update {
    /// A mutation of which nothing has happened yet. Faults: it is not possible, or another one is in its way.
    pub fn new(wish: Wish, answer: Shape, context: &mut Context<'_>) -> Result<Update, Fault> {
        let claims = wish.claims(context.daemon);
        let claim = context.extensions.claims.lay(claims, context.method)?;
        let steps = Update::plan(&wish, context).inspect_err(|_| context.extensions.claims.give_up(claim))?;
        let word = |step: &Step, process: &(String, &'static str)| ((step.group.clone(), process.0.clone()), process.1);
        let words = steps.iter().flat_map(|step| step.processes.iter().map(move |process| word(step, process)));
        Ok(Update {
            words: words.collect(),
            claim: Some(claim),
            is_single: !matches!(wish, Wish::Configured(_)),
            wish: Some(wish),
            steps: steps.into(),
            growing: Vec::new(),
            is_interrupted: false,
            is_fresh: true,
            restart: None,
            restarts: Restarts::default(),
            answer,
            report: Report::default(),
        })
    }

    /// What it takes. Faults: it is not possible.
    fn plan(wish: &Wish, context: &mut Context<'_>) -> Result<Vec<Step>, Fault> {
        let steps = wish.steps(context)?;
        // Nothing is stopped for a change that could not be kept in the end.
        let is_dynamic = !matches!(wish, Wish::Configured(_));
        let changes = || steps.iter().flat_map(|step| &step.changes);
        if is_dynamic && changes().any(|change| !context.daemon.obstacles(change).is_empty()) {
            context.daemon.rehearse(changes(), context.host)?;
        }
        Ok(steps)
    }

    /// Restarts these afterwards. One after another, it ends with the first that does not come up.
    pub fn restarting(mut self, restart: Restart) -> Update {
        self.restart = Some(restart);
        self
    }

    /// Goes on as far as it can; whatever it answers, its claims have ended then.
    pub fn advance(&mut self, context: &mut Context<'_>) -> Option<Done> {
        let done = self.proceed(context);
        if done.is_some() {
            self.give_up(context);
        }
        done
    }

    /// It restarts nothing any more.
    pub fn give_up(&mut self, context: &mut Context<'_>) {
        self.end_claims(context);
        self.restarts.left().for_each(|id| context.daemon.is_back(id));
    }

    fn end_claims(&mut self, context: &mut Context<'_>) {
        if let Some(claim) = self.claim.take() {
            context.extensions.claims.give_up(claim);
        }
    }

    fn proceed(&mut self, context: &mut Context<'_>) -> Option<Done> {
        if context.daemon.state() != SupervisorState::Running {
            return Some(Err(Code::ShutdownState.bare()));
        }
        match self.make(context) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(fault) => return Some(Err(fault)),
        }
        if let Some(restart) = self.restart.take() {
            self.restarts.batches = restart.batches(context);
            context.daemon.expect_back(self.restarts.batches.iter().flatten().copied());
        }
        if self.report.fault.is_none() && !self.restarts.advance(context, &mut self.report) {
            return None;
        }
        Some(match (self.answer, self.report.fault.take()) {
            (Shape::Boolean, Some(fault)) => Err(fault),
            (Shape::Boolean, None) => Ok(Answer::Value(true.into())),
            (Shape::Report, _) => Ok(Answer::Value(std::mem::take(&mut self.report).into_value())),
        })
    }

    /// Makes the changes as soon as nothing stands in their way; says whether they are made. Each group is changed at once,
    /// and as many in a turn as it has time for.
    fn make(&mut self, context: &mut Context<'_>) -> Result<bool, Fault> {
        if let Some(wish) = &self.wish {
            if self.is_obstructed(&self.steps, context) {
                self.is_fresh = false;
                return Ok(false);
            }
            if !self.is_fresh {
                self.steps = wish.steps(context)?.into();
                if self.is_obstructed(&self.steps, context) {
                    return Ok(false);
                }
            }
            self.wish = None;
        }
        let mut is_first = true;
        while let Some(mut step) = self.steps.pop_front() {
            // One in any case: finding out what it takes may have been more than the turn's work.
            self.is_interrupted = !std::mem::take(&mut is_first) && context.budget.is_spent();
            // Somebody may have started one of them again since.
            if self.is_interrupted || self.is_obstructed([&step], context) {
                self.steps.push_front(step);
                return Ok(false);
            }
            for (name, word) in &mut step.processes {
                if let Some(first) = self.words.get(&(step.group.clone(), name.clone())) {
                    *word = first;
                }
            }
            context.budget.spend(STEP_US);
            self.report.make(step, context);
            self.growing.extend(context.daemon.take_begun());
            // Of a change at run time there is nothing to report but the fault: it is one, and it was not made.
            if self.is_single
                && let Some(fault) = self.report.fault.take()
            {
                return Err(fault);
            }
        }
        self.growing.retain(|group| context.daemon.grows(*group));
        self.is_interrupted = !self.growing.is_empty();
        if self.is_interrupted {
            return Ok(false);
        }
        self.end_claims(context);
        Ok(true)
    }

    /// Whether it waits for nothing but its next turn.
    pub fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }

    /// Stops what stands in the way; says whether something still does. Somebody may start a process again meanwhile:
    /// then it is stopped again.
    fn is_obstructed<'s>(&self, steps: impl IntoIterator<Item = &'s Step>, context: &mut Context<'_>) -> bool {
        let changes = steps.into_iter().flat_map(|step| &step.changes);
        let obstacles: Vec<ProcId> = changes.flat_map(|change| context.daemon.obstacles(change)).collect();
        for id in &obstacles {
            stop(context, *id);
        }
        obstacles.into_iter().any(|id| !is_down(context.daemon, id))
    }
}

impl Report {
    fn make(&mut self, step: Step, context: &mut Context<'_>) {
        let origin = context.origin();
        let result = step.changes.iter().enumerate().try_for_each(|(done, change)| {
            if done > 0 {
                // A group that is made anew has to be gone first.
                context.daemon.finish_group(&step.group, context.now, context.host);
            }
            context.daemon.apply(change, &origin, context.now, context.host)
        });
        for (name, action) in &step.processes {
            self.note(&ProcessRef::new(&step.group, name), action, result.clone());
        }
        let list = match step.verb {
            GroupVerb::Added => &mut self.added,
            GroupVerb::Changed => &mut self.changed,
            GroupVerb::Removed => &mut self.removed,
        };
        match result {
            Ok(()) => list.push(step.group.into()),
            Err(fault) => {
                // A group without processes would otherwise fail unseen.
                if step.processes.is_empty() {
                    self.note(&ProcessRef::new(&step.group, "*"), "failed", Err(fault.clone()));
                }
                self.fault.get_or_insert(fault);
            }
        }
    }

    fn note(&mut self, entry: &ProcessRef, action: &'static str, result: Result<(), Fault>) {
        let Value::Struct(mut members) = entry.outcome(result) else { return };
        members.push(("action".into(), action.into()));
        self.processes.push(Value::Struct(members));
    }

    fn into_value(self) -> Value {
        Value::Struct(vec![
            ("added".into(), Value::Array(self.added)),
            ("changed".into(), Value::Array(self.changed)),
            ("removed".into(), Value::Array(self.removed)),
            ("processes".into(), Value::Array(self.processes)),
        ])
    }
}

impl Restart {
    /// Them, in the order of their groups, as they are to be restarted.
    fn batches(self, context: &Context<'_>) -> VecDeque<Vec<ProcId>> {
        let daemon = &*context.daemon;
        let groups = self
            .groups
            .iter()
            .filter_map(|name| daemon.roster.group_named(name).and_then(|id| daemon.roster.group(id)));
        let is_due = |id: &ProcId| {
            daemon.roster.process(*id).is_some_and(|process| {
                let is_running = process.machine.state().is_running();
                process.config.program.name == self.program && is_running && process.is_outdated()
            })
        };
        let due: Vec<ProcId> = groups.flat_map(|group| group.processes.iter().copied().filter(is_due)).collect();
        if self.is_rolling { due.into_iter().map(|id| vec![id]).collect() } else { [due].into() }
    }
}

impl Restarts {
    /// Those that are still to be restarted.
    fn left(&self) -> impl Iterator<Item = ProcId> {
        self.current.iter().map(|(id, _)| *id).chain(self.batches.iter().flatten().copied())
    }

    /// Goes on as far as it can; says whether it is at its end.
    fn advance(&mut self, context: &mut Context<'_>, report: &mut Report) -> bool {
        loop {
            let current = std::mem::take(&mut self.current);
            for (id, stage) in current {
                if stage == Stage::Stopping && !context.daemon.is_expected_back(id) {
                    let fault = Code::Failed.with("not restarted, because it was stopped meanwhile");
                    self.note(context, id, report, Err(fault));
                    continue;
                }
                match self.step(context, id, stage) {
                    Ok(Some(stage)) => self.current.push((id, stage)),
                    Ok(None) => self.note(context, id, report, Ok(())),
                    Err(fault) => {
                        self.has_failed = true;
                        self.note(context, id, report, Err(fault));
                    }
                }
            }
            if !self.current.is_empty() {
                return false;
            }
            let Some(batch) = self.batches.pop_front() else { return true };
            if self.has_failed {
                for id in batch {
                    context.daemon.is_back(id);
                    let fault = Code::Failed.with("not restarted, because an earlier one did not come up");
                    self.note(context, id, report, Err(fault));
                }
                continue;
            }
            self.current = batch.into_iter().map(|id| (id, Stage::Stopping)).collect();
        }
    }

    /// Where a process stands next; `None` once it is up again.
    fn step(&self, context: &mut Context<'_>, id: ProcId, stage: Stage) -> Result<Option<Stage>, Fault> {
        if stage == Stage::Stopping {
            stop(context, id);
            if !is_down(context.daemon, id) {
                return Ok(Some(Stage::Stopping));
            }
            context.daemon.is_back(id);
            context.daemon.start_process(id, context.now, context.host);
            context.daemon.transition(id, context.now, context.host);
        }
        let name = || context.daemon.roster.process(id).map_or("", |process| &process.config.name);
        match is_up(context.daemon, id) {
            None => Ok(Some(Stage::Starting)),
            Some(Ok(())) => Ok(None),
            Some(Err(code)) => Err(code.with(name())),
        }
    }

    fn note(&self, context: &Context<'_>, id: ProcId, report: &mut Report, result: Result<(), Fault>) {
        let Some((group, process)) = context.daemon.roster.group_of(id).zip(context.daemon.roster.process(id)) else {
            return;
        };
        report.note(&ProcessRef::new(group.name(), &process.config.name), "restarted", result);
    }
}

fn stop(context: &mut Context<'_>, id: ProcId) {
    if context.daemon.roster.process(id).is_some_and(|process| process.machine.state().is_running()) {
        // A signal that cannot be delivered makes it UNKNOWN, which no change accepts: that is the answer then.
        let _ = context.daemon.stop_process(id, context.now, context.host);
    }
}
