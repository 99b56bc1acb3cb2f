//! Actions of the web page: calls of the main interface, one after another, then a redirection. And
//! all replies that wait, asked again after each turn.

use std::collections::VecDeque;

use super::conn::{Phase, Waiting, Work};
use super::{Peer, Service};
use crate::clock::{Mono, Now};
use crate::daemon::Host;
use crate::fault::{Code, Fault};
use crate::id::ConnId;
use crate::rpc::{self, Context, Done, Outcome, Pending};
use crate::web::action::{self, Action, Verb};
use crate::wire::value::Value;

/// Calls whose clients are gone and that are still under way. Each ends by itself.
const ORPHANS_MAX: usize = 1024;

/// A call whose client is gone.
pub(super) struct Orphan {
    pub(super) work: Work,
    peer: Peer,
}

/// An action under way.
pub(super) struct Task {
    action: Action,
    /// `Host` of the request, which the redirection follows.
    host: Option<String>,
    steps: VecDeque<(&'static str, Vec<Value>)>,
    current: Option<Pending>,
    fault: Option<Fault>,
}

impl Task {
    pub(super) fn new(action: Action, host: Option<&str>) -> Task {
        let steps = match &action {
            Action::Refresh => vec![],
            Action::RestartAll => vec![("stopAllProcesses", vec![]), ("startAllProcesses", vec![])],
            Action::StopAll => vec![("stopAllProcesses", vec![])],
            Action::Process { verb, name } => {
                let call = |method| (method, vec![Value::from(name.clone())]);
                match verb {
                    Verb::Start => vec![call("startProcess")],
                    Verb::Stop => vec![call("stopProcess")],
                    Verb::Restart => vec![call("stopProcess"), call("startProcess")],
                    Verb::ClearLog => vec![call("clearProcessLogs")],
                }
            }
        };
        Task { action, host: host.map(str::to_string), steps: steps.into(), current: None, fault: None }
    }

    fn deadline(&self) -> Option<Mono> {
        self.current.as_ref().and_then(Pending::deadline)
    }

    /// Goes on until a step has to wait; true at the end.
    fn advance(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            if let Some(pending) = &mut self.current {
                let Some(done) = pending.poll(context) else { return false };
                self.current = None;
                self.note(done);
            }
            let Some((method, params)) = self.steps.pop_front() else { return true };
            // The page acts on single processes: `group:*` is no name here.
            if let Action::Process { name, .. } = &self.action
                && context.daemon.find_process(name).is_none()
            {
                self.note(Err(Code::BadName.with(name)));
                continue;
            }
            match rpc::call_main(context, method, &params) {
                Ok(Outcome::Now(answer)) => self.note(Ok(answer)),
                Ok(Outcome::Later(pending)) => self.current = Some(pending),
                Err(fault) => self.note(Err(fault)),
            }
        }
    }

    fn note(&mut self, done: Done) {
        if let Err(fault) = done {
            self.fault.get_or_insert(fault);
        }
    }

    /// What the page then says.
    fn message(&self, ctime: &str) -> String {
        match (&self.action, &self.fault) {
            (Action::Process { name, .. }, Some(fault)) if fault.code == Code::BadName => action::no_such_process(name),
            // A restart is reported as done whatever came of it, and so are the actions on all processes.
            (Action::Process { verb: Verb::Restart, .. }, _) => self.action.done(ctime),
            (Action::Process { .. }, Some(fault)) => self.action.failed(fault),
            _ => self.action.done(ctime),
        }
    }
}

impl Service {
    /// Asks every reply that waits whether it can be given now.
    pub(super) fn answer_waiting(&mut self, now: Now, host: &mut dyn Host) {
        self.daemon.settle_touched();
        self.unsettled = false;
        for id in self.waiting.iter().copied().collect::<Vec<_>>() {
            self.answer_one(id, now, host);
        }
        if !self.orphans.is_empty() {
            self.advance_orphans(now, host);
        }
        // Some may have started or stopped what others wait for, who were asked before.
        self.unsettled |= self.daemon.has_touched();
    }

    /// Asks one reply; a reply given lets the connection go on with what it has sent meanwhile.
    pub(super) fn answer_one(&mut self, id: ConnId, now: Now, host: &mut dyn Host) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Phase::Waiting(mut waiting) = std::mem::replace(&mut conn.phase, Phase::Idle) else { return };
        let peer = conn.peer.clone();
        let method = waiting.work.method();
        let mut context = Context {
            daemon: &mut self.daemon,
            host: &mut *host,
            now,
            registry: &self.registry,
            peer: &peer,
            method: &method,
        };
        let reply_to = waiting.reply_to;
        match &mut waiting.work {
            Work::Call(pending, _) => match pending.poll(&mut context) {
                Some(done) => self.answer_call(id, reply_to, &done, now),
                None => return self.wait(id, *waiting),
            },
            Work::Task(task) => {
                if !task.advance(&mut context) {
                    return self.wait(id, *waiting);
                }
                let message = task.message(&host.local_ctime(now.wall.secs()));
                let host = task.host.clone().unwrap_or_else(|| {
                    let (name, port) = self.name_and_port(id);
                    format!("{name}:{port}")
                });
                let location = action::location(&host, &message);
                self.redirect(id, reply_to, &location, now);
            }
        }
        self.waiting.remove(&id);
        self.take_requests(id, now, host);
    }

    /// The client of a reply that waits is gone. What it asked for goes on all the same: single actions by
    /// themselves, what consists of several steps among the orphans.
    pub(super) fn abandon(&mut self, waiting: Waiting, peer: Peer) {
        if self.orphans.len() < ORPHANS_MAX {
            self.orphans.push(Orphan { work: waiting.work, peer });
        } else {
            activity!(
                Warn,
                "more than {ORPHANS_MAX} clients went away while they waited; the rest of a call is not made"
            );
        }
    }

    /// Goes on with what clients asked for that are gone.
    fn advance_orphans(&mut self, now: Now, host: &mut dyn Host) {
        let mut orphans = std::mem::take(&mut self.orphans);
        orphans.retain_mut(|orphan| {
            let method = orphan.work.method();
            let mut context = Context {
                daemon: &mut self.daemon,
                host: &mut *host,
                now,
                registry: &self.registry,
                peer: &orphan.peer,
                method: &method,
            };
            match &mut orphan.work {
                Work::Call(pending, _) => pending.poll(&mut context).is_none(),
                Work::Task(task) => !task.advance(&mut context),
            }
        });
        self.orphans = orphans;
    }
}

impl Work {
    /// Through which method it came, for the audit line.
    fn method(&self) -> String {
        match self {
            Work::Call(_, method) => method.clone(),
            Work::Task(_) => "web".to_string(),
        }
    }

    /// When it wants to be asked again.
    pub(super) fn deadline(&self) -> Option<Mono> {
        match self {
            Work::Call(pending, _) => pending.deadline(),
            Work::Task(task) => task.deadline(),
        }
    }
}
