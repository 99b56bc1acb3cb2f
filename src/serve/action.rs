//! Actions of the web page: calls of the main interface, one after another, then a redirection.

use std::collections::VecDeque;

use crate::clock::Mono;
use crate::fault::{Code, Fault};
use crate::rpc::{self, Context, Deferred, Done, Outcome};
use crate::web::action::{self, Action, ProcessVerb};
use crate::wire::value::Value;

/// An action under way.
pub(super) struct PageAction {
    action: Action,
    /// At which host the page is then; without one, where it is from here.
    pub(super) host: Option<String>,
    steps: VecDeque<(&'static str, Vec<Value>)>,
    current: Option<Deferred>,
    fault: Option<Fault>,
}

impl PageAction {
    /// An action of which nothing has happened yet.
    pub(super) fn new(action: Action, host: Option<String>) -> PageAction {
        let steps = match &action {
            Action::Refresh => vec![],
            Action::RestartAll => vec![("stopAllProcesses", vec![]), ("startAllProcesses", vec![])],
            Action::StopAll => vec![("stopAllProcesses", vec![])],
            Action::Process { verb, name } => {
                let call = |method| (method, vec![Value::from(name.clone())]);
                match verb {
                    ProcessVerb::Start => vec![call("startProcess")],
                    ProcessVerb::Stop => vec![call("stopProcess")],
                    ProcessVerb::Restart => vec![call("stopProcess"), call("startProcess")],
                    ProcessVerb::ClearLog => vec![call("clearProcessLogs")],
                }
            }
        };
        PageAction { action, host, steps: steps.into(), current: None, fault: None }
    }

    /// When it wants to be asked again.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.current.as_ref().and_then(Deferred::deadline)
    }

    /// Goes on until a step has to wait; true at the end.
    pub(super) fn advance(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            if let Some(deferred) = &mut self.current {
                let Some(done) = deferred.poll(context) else { return false };
                self.current = None;
                self.note(done);
            }
            let Some((method, params)) = self.steps.pop_front() else { return true };
            // The page acts on single processes: `group:*` is no name here.
            if let Action::Process { name, .. } = &self.action
                && context.daemon.roster.find_process(name).is_none()
            {
                self.note(Err(Code::BadName.with(name)));
                continue;
            }
            match rpc::call_main(context, method, &params) {
                Ok(Outcome::Now(answer)) => self.note(Ok(answer)),
                Ok(Outcome::Deferred(deferred)) => self.current = Some(deferred),
                Err(fault) => self.note(Err(fault)),
            }
        }
    }

    /// It is not asked any more.
    pub(super) fn give_up(&mut self, context: &mut Context<'_>) {
        if let Some(deferred) = &mut self.current {
            deferred.give_up(context);
        }
    }

    fn note(&mut self, done: Done) {
        if let Err(fault) = done {
            self.fault.get_or_insert(fault);
        }
    }

    /// What the page then says.
    pub(super) fn message(&self, ctime: &str) -> String {
        match (&self.action, &self.fault) {
            (Action::Process { name, .. }, Some(fault)) if fault.code == Code::BadName => action::no_such_process(name),
            // A restart is reported as done whatever came of it, and so are the actions on all processes.
            (Action::Process { verb: ProcessVerb::Restart, .. }, _) => self.action.done(ctime),
            (Action::Process { .. }, Some(fault)) => self.action.failed(fault),
            _ => self.action.done(ctime),
        }
    }
}
