//! Answers that have to be waited for: plain data, asked after each turn.
//!
//! A client may go away meanwhile; the action goes on. A process may be removed meanwhile; its id then finds
//! nothing, which ends the wait.

use std::collections::BTreeMap;
use std::time::Duration;

use super::mutate::Update;
use super::{Answer, Context, Done, Outcome};
use crate::clock::{Mono, Now};
use crate::daemon::Daemon;
use crate::fault::{Code, Fault};
use crate::id::ProcId;
use crate::state::ProcessState;
use crate::wire::value::Value;
use crate::wire::xmlrpc::Writer;

/// Time between two lines `waiting for <name> to stop` (P-74).
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// Calls in one multicall; more is a mistake or an attack.
const CALLS_MAX: usize = 10_000;

/// An answer that is waited for.
pub enum Pending {
    /// A process to become RUNNING.
    Start(Start),
    /// A process to be stopped.
    Stop(Stop),
    /// Several processes to be started or stopped.
    Bulk(Bulk),
    /// The rest of a multicall.
    Multicall(Box<Multicall>),
    /// A mutation that has to stop or restart something first.
    Update(Box<Update>),
}

impl Pending {
    /// The answer, if it is there by now.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Option<Done> {
        match self {
            Pending::Start(start) => start.poll(context.daemon),
            Pending::Stop(stop) => stop.poll(context.daemon, context.now),
            Pending::Bulk(bulk) => bulk.poll(context.daemon, context.now),
            Pending::Multicall(multicall) => multicall.advance(context),
            Pending::Update(update) => update.advance(context),
        }
    }

    /// When to ask again although no process changed; `None` is never.
    pub fn deadline(&self) -> Option<Mono> {
        match self {
            Pending::Start(_) | Pending::Update(_) => None,
            Pending::Stop(stop) => Some(stop.report_at),
            Pending::Bulk(bulk) => bulk.deadline(),
            Pending::Multicall(multicall) => multicall.current.as_ref().and_then(Pending::deadline),
        }
    }
}

/// The wait of startProcess.
pub struct Start {
    /// The process.
    pub process: ProcId,
    /// Its name as the client gave it.
    pub name: String,
}

impl Start {
    fn poll(&self, daemon: &Daemon) -> Option<Done> {
        Some(match self.check(daemon)? {
            Ok(()) => Ok(Answer::Value(Value::Bool(true))),
            Err(code) => Err(code.with(&self.name)),
        })
    }

    fn check(&self, daemon: &Daemon) -> Option<Result<(), Code>> {
        let Some(process) = daemon.process(self.process) else { return Some(Err(Code::AbnormalTermination)) };
        let machine = &process.machine;
        if !machine.spawn_error().is_empty() {
            return Some(Err(Code::SpawnError));
        }
        match machine.state() {
            ProcessState::Running => Some(Ok(())),
            ProcessState::Starting => None,
            _ => Some(Err(Code::AbnormalTermination)),
        }
    }
}

/// The wait of stopProcess.
pub struct Stop {
    /// The process.
    pub process: ProcId,
    /// When the next line says that it is waited for.
    pub report_at: Mono,
}

impl Stop {
    fn poll(&mut self, daemon: &Daemon, now: Now) -> Option<Done> {
        let process = daemon.process(self.process).filter(|process| !process.machine.state().is_stopped());
        let Some(process) = process else { return Some(Ok(Answer::Value(Value::Bool(true)))) };
        if now.mono >= self.report_at {
            self.report_at = now.mono.after(REPORT_EVERY);
            activity!(Info, "waiting for {} to stop", process.program.name);
        }
        None
    }
}

/// What a bulk call does to its processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start.
    Start,
    /// Stop.
    Stop,
}

/// The wait of a bulk call: outcomes in the order in which they come.
pub struct Bulk {
    action: Action,
    waiting: BTreeMap<ProcId, Entry>,
    results: Vec<Value>,
    /// All have been looked at once; from then on only those that changed are.
    begun: bool,
    /// When the next lines say who is waited for.
    report_at: Mono,
}

/// Whose outcome it is.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Process name.
    pub name: String,
    /// Group name.
    pub group: String,
}

impl Entry {
    /// The names of an outcome.
    pub fn new(group: &str, name: &str) -> Entry {
        Entry { name: name.to_string(), group: group.to_string() }
    }

    /// `{name, group, status, description}`.
    pub fn outcome(&self, result: Result<(), Fault>) -> Value {
        let (status, description) = match result {
            Ok(()) => (Code::Success as i32, "OK".to_string()),
            Err(fault) => (fault.code as i32, fault.to_string()),
        };
        Value::Struct(vec![
            ("name".into(), self.name.clone().into()),
            ("group".into(), self.group.clone().into()),
            ("status".into(), status.into()),
            ("description".into(), description.into()),
        ])
    }
}

impl Bulk {
    /// A bulk call of which nothing has happened yet.
    pub fn new(action: Action) -> Bulk {
        Bulk { action, waiting: BTreeMap::new(), results: Vec::new(), begun: false, report_at: Mono(0) }
    }

    /// An outcome that is there at once.
    pub fn settle(&mut self, entry: &Entry, result: Result<(), Fault>) {
        self.results.push(entry.outcome(result));
    }

    /// A process that has to be waited for.
    pub fn wait_for(&mut self, process: ProcId, entry: Entry) {
        self.waiting.insert(process, entry);
    }

    /// The answer at once if nothing is waited for.
    pub fn outcome(self) -> Outcome {
        if self.waiting.is_empty() { Value::Array(self.results).into() } else { Outcome::Later(Pending::Bulk(self)) }
    }

    fn deadline(&self) -> Option<Mono> {
        match self.action {
            Action::Start => None,
            Action::Stop => Some(self.report_at),
        }
    }

    /// Whether nothing is waited for any more. Looks at the processes that changed, not at all: thousands may be
    /// waited for, over as many turns.
    pub fn poll(&mut self, daemon: &Daemon, now: Now) -> Option<Done> {
        let reports = self.action == Action::Stop && now.mono >= self.report_at;
        let looked_at: Vec<ProcId> = if std::mem::replace(&mut self.begun, true) && !reports {
            daemon.lately_touched().iter().copied().filter(|id| self.waiting.contains_key(id)).collect()
        } else {
            self.waiting.keys().copied().collect()
        };
        for id in looked_at {
            let Some(entry) = self.waiting.get(&id) else { continue };
            match self.check(id, entry, daemon) {
                Some(result) => {
                    self.results.push(entry.outcome(result));
                    self.waiting.remove(&id);
                }
                None if reports => activity!(Info, "waiting for {} to stop", entry.name),
                None => {}
            }
        }
        if reports {
            self.report_at = now.mono.after(REPORT_EVERY);
        }
        self.waiting.is_empty().then(|| Ok(Answer::Value(Value::Array(std::mem::take(&mut self.results)))))
    }

    /// The outcome for one process, if it is there by now.
    fn check(&self, id: ProcId, entry: &Entry, daemon: &Daemon) -> Option<Result<(), Fault>> {
        match self.action {
            Action::Start => {
                let start = Start { process: id, name: crate::namespec::join(&entry.group, &entry.name) };
                start.check(daemon).map(|result| result.map_err(|code| code.with(&start.name)))
            }
            Action::Stop => {
                let stopped = daemon.process(id).is_none_or(|process| process.machine.state().is_stopped());
                stopped.then_some(Ok(()))
            }
        }
    }
}

/// A multicall under way: calls run strictly one after another.
pub struct Multicall {
    calls: std::vec::IntoIter<Value>,
    current: Option<Pending>,
    /// The results so far, each a `<value>` element.
    results: Vec<u8>,
}

impl Multicall {
    /// A multicall of which nothing has happened yet.
    pub fn new(mut calls: Vec<Value>) -> Multicall {
        calls.truncate(CALLS_MAX);
        Multicall { calls: calls.into_iter(), current: None, results: Vec::new() }
    }

    /// Goes on until a call has to be waited for; the whole answer at the end.
    pub fn advance(&mut self, context: &mut Context<'_>) -> Option<Done> {
        loop {
            if let Some(pending) = &mut self.current {
                let done = pending.poll(context)?;
                self.current = None;
                self.push(done);
            }
            let Some(call) = self.calls.next() else {
                let mut xml = Vec::with_capacity(self.results.len() + 64);
                let mut writer = Writer::new(&mut xml);
                writer.begin_array();
                writer.encoded(&self.results);
                writer.end_array();
                return Some(Ok(Answer::Xml(xml)));
            };
            match one_call(context, &call) {
                Ok(Outcome::Now(answer)) => self.push(Ok(answer)),
                Ok(Outcome::Later(pending)) => self.current = Some(pending),
                Err(fault) => self.push(Err(fault)),
            }
        }
    }

    fn push(&mut self, done: Done) {
        let mut writer = Writer::new(&mut self.results);
        match done {
            Ok(Answer::Value(value)) => writer.value(&value),
            Ok(Answer::Xml(xml)) => writer.encoded(&xml),
            Err(fault) => {
                writer.begin_struct();
                writer.member_int("faultCode", fault.code as i64);
                writer.member_str("faultString", &fault.to_string());
                writer.end_struct();
            }
        }
    }
}

fn one_call(context: &mut Context<'_>, call: &Value) -> Result<Outcome, Fault> {
    let name = match call.member("methodName") {
        Some(Value::Str(name)) => name,
        _ => return Err(Code::IncorrectParameters.with("No methodName")),
    };
    if name == "system.multicall" {
        return Err(Code::IncorrectParameters.with("Recursive system.multicall forbidden"));
    }
    let none = Vec::new();
    let params = match call.member("params") {
        Some(Value::Array(params)) => params,
        None => &none,
        // What PHP makes of an empty array.
        Some(Value::Struct(members)) if members.is_empty() => &none,
        Some(_) => return Err(Code::IncorrectParameters.bare()),
    };
    let mut context = Context {
        daemon: &mut *context.daemon,
        host: &mut *context.host,
        now: context.now,
        registry: context.registry,
        peer: context.peer,
        method: name,
    };
    super::call(&mut context, name, params)
}
