//! What calls wait for: that what they began is over, and then that it is as it should be (V-204).

use super::{AppId, Code, Context, TaskId, Value, list};
use crate::model::fleet::sequencer::Ticket;
use crate::model::fleet::status::ApplicationState;
use crate::rpc::{Answer, Done};

/// A call that waits: for what it has begun, and then for what is to come of it.
pub struct Wait {
    /// What was begun: over when the sequencer has no job of it left.
    pub ticket: Ticket,
    /// What is to come of it.
    pub goal: Goal,
    /// What is answered then.
    pub answer: Value,
}

/// What is to come of it.
pub enum Goal {
    /// Nothing more than its end.
    End,
    /// That an application runs; its name.
    Up(AppId, String),
    /// That it is stopped.
    Down(AppId, String),
    /// That each of these processes runs.
    AreUp(Vec<TaskId>),
    /// That they are stopped.
    AreDown(Vec<TaskId>),
    /// That they are stopped on this instance.
    AreDownHere(Vec<TaskId>),
    /// That a program has no more processes than it is to have.
    Resized(String, Vec<TaskId>),
}

impl Wait {
    /// The answer, if it is there by now.
    pub fn poll(&self, context: &mut Context<'_>) -> Option<Done> {
        let Some(fleet) = context.extensions.fleet.as_deref() else { return Some(Err(Code::Failed.bare())) };
        if !fleet.is_over(self.ticket) {
            return None;
        }
        let is_state = |id: AppId, state| fleet.status(id).is_some_and(|status| status.state == state);
        let is_stopped = |id: &TaskId| fleet.shown(*id).is_stopped();
        let is_stopped_here = |id: &TaskId| {
            let known = fleet.view().task(*id).and_then(|task| task.on(fleet.own_id()));
            known.is_none_or(|known| known.record.state.is_stopped())
        };
        let others = |ids: &[TaskId], is_wrong: &dyn Fn(&TaskId) -> bool| {
            let names: Vec<String> =
                ids.iter().filter(|id| is_wrong(id)).filter_map(|id| fleet.view().namespec(*id)).collect();
            (!names.is_empty()).then(|| format!("processes={}", list(names.iter().map(String::as_str))))
        };
        if let Goal::Resized(program, ids) = &self.goal
            && ids.iter().all(&is_stopped_here)
            && !fleet.is_resized(program)
        {
            return None;
        }
        let fault = match &self.goal {
            Goal::End => None,
            Goal::Up(id, name) => (!is_state(*id, ApplicationState::Running)).then(|| Code::NotRunning.with(name)),
            Goal::Down(id, name) => (!is_state(*id, ApplicationState::Stopped)).then(|| Code::StillRunning.with(name)),
            Goal::AreUp(ids) => others(ids, &is_stopped).map(|text| Code::NotRunning.with(text)),
            Goal::AreDown(ids) => others(ids, &|id| !is_stopped(id)).map(|text| Code::StillRunning.with(text)),
            Goal::AreDownHere(ids) | Goal::Resized(_, ids) => {
                others(ids, &|id| !is_stopped_here(id)).map(|text| Code::StillRunning.with(text))
            }
        };
        Some(match fault {
            Some(fault) => Err(fault),
            None => Ok(Answer::Value(self.answer.clone())),
        })
    }
}
