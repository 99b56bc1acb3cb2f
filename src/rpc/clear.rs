//! clearAllProcessLogs: files are removed and made, some at a time.

use super::budget::CLEAR_US;
use super::entry::ProcessRef;
use super::{Answer, Context, Done};
use crate::fault::Code;
use crate::id::ProcId;
use crate::wire::value::Value;

/// The processes whose logs are still to be emptied, and the outcomes so far.
pub struct ClearAll {
    left: std::vec::IntoIter<ProcId>,
    outcomes: Vec<Value>,
}

impl ClearAll {
    /// Nothing of it has happened yet.
    pub fn new(processes: Vec<ProcId>) -> ClearAll {
        ClearAll { left: processes.into_iter(), outcomes: Vec::new() }
    }

    /// Goes on as far as this turn allows; the answer at the end.
    pub fn advance(&mut self, context: &mut Context<'_>) -> Option<Done> {
        while !context.budget.is_spent() {
            let Some(id) = self.left.next() else {
                return Some(Ok(Answer::Value(Value::Array(std::mem::take(&mut self.outcomes)))));
            };
            let Some(name) = context.daemon.roster.namespec(id) else { continue };
            context.budget.spend(CLEAR_US);
            let cleared = context.daemon.clear_logs(id, context.host).map_err(|_| Code::Failed.with(name));
            let Some((group, process)) = context.daemon.roster.group_of(id).zip(context.daemon.roster.process(id))
            else {
                continue;
            };
            self.outcomes.push(ProcessRef::new(group.name(), &process.config.name).outcome(cleared));
        }
        None
    }
}
