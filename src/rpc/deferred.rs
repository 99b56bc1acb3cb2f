//! Deferred answers: plain data, asked after each turn. And multicalls, which may hold one within them.

use super::act;
use super::adding::{Adding, New};
use super::clear::ClearAll;
use super::mutate::Update;
use super::reload::Reload;
use super::rolling::Rolling;
use super::waits::{Bulk, Start, Stop};
use super::{Answer, Context, Done, LogAnswer, Outcome};
use crate::clock::Mono;
use crate::fault::{Code, Fault};
use crate::id::GroupId;
use crate::wire::value::Value;
use crate::wire::xmlrpc::Writer;

/// Calls in one multicall; more is a mistake or an attack.
const CALLS_MAX: usize = 10_000;

/// Bytes of the results of one multicall. Its whole answer is held, since what its calls find must be from the time when
/// they were made; the status of ten thousand processes takes ten megabytes.
const RESULTS_BYTES_MAX: usize = 12 * 1024 * 1024;

/// When work that was only interrupted goes on.
const AT_ONCE: Mono = Mono(0);

/// An answer that is waited for.
pub enum Deferred {
    /// A process to become RUNNING.
    Start(Start),
    /// A process to have reloaded; its name as the client gave it.
    Reload(Reload, String),
    /// A process to be stopped.
    Stop(Stop),
    /// Several processes to be started or stopped.
    Bulk(Box<Bulk>),
    /// The rest of a multicall.
    Multicall(Box<Multicall>),
    /// The logs of all processes to be emptied.
    ClearAll(ClearAll),
    /// A mutation that has to stop or restart something first.
    Update(Box<Update>),
    /// Processes to be restarted, some at a time.
    Rolling(Box<Rolling>),
    /// A program to be added, of which there are many processes.
    Addition(Box<Adding>),
    /// All processes of a group to have come in; what is answered then.
    Growth(GroupId, Answer),
    /// What the fleet has begun.
    #[cfg(feature = "fleet")]
    Fleet(Box<super::fleet::waits::Wait>),
}

impl Deferred {
    /// The answer at once, if nothing has to be waited for.
    pub fn begin(mut self, context: &mut Context<'_>) -> Result<Outcome, Fault> {
        match self.poll(context) {
            Some(done) => Ok(Outcome::Now(done?)),
            None => Ok(Outcome::Deferred(self)),
        }
    }

    /// What adding a program answers, at once if the turn has time for all of its processes.
    pub(super) fn add(
        context: &mut Context<'_>,
        new: New<'_>,
        answer: fn(Vec<String>) -> Value,
    ) -> Result<Outcome, Fault> {
        Deferred::Addition(Box::new(Adding::new(context, new, answer)?)).begin(context)
    }

    /// The answer, if it is there by now.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Option<Done> {
        match self {
            Deferred::Start(start) => start.poll(context.daemon),
            Deferred::Reload(reload, name) => match reload.poll(context.daemon, context.now)? {
                Ok(()) => Some(Ok(Answer::Value(Value::Bool(true)))),
                Err(code) => Some(Err(code.with(name.as_str()))),
            },
            Deferred::Stop(stop) => stop.poll(context.daemon, context.now),
            Deferred::Bulk(bulk) => act::advance(bulk, context),
            Deferred::Multicall(multicall) => multicall.advance(context),
            Deferred::ClearAll(clear) => clear.advance(context),
            Deferred::Update(update) => update.advance(context),
            Deferred::Rolling(rolling) => rolling.advance(context),
            Deferred::Addition(adding) => adding.advance(context),
            Deferred::Growth(group, _) if context.daemon.grows(*group) => None,
            Deferred::Growth(_, answer) => Some(Ok(answer.clone())),
            #[cfg(feature = "fleet")]
            Deferred::Fleet(wait) => wait.poll(context),
        }
    }

    /// Bytes that it holds, where clients decide how many.
    pub fn bytes(&self) -> usize {
        match self {
            Deferred::Multicall(multicall) => multicall.calls_bytes + multicall.results.capacity(),
            _ => 0,
        }
    }

    /// It is not asked any more: what it has taken for itself is free again, and what it has not begun is not done.
    pub fn give_up(&mut self, context: &mut Context<'_>) {
        match self {
            Deferred::Bulk(bulk) => act::give_up(bulk, context),
            Deferred::Multicall(multicall) => {
                if let Current::Answer(deferred) = &mut multicall.current {
                    deferred.give_up(context);
                }
            }
            Deferred::Update(update) => update.give_up(context),
            Deferred::Rolling(rolling) => rolling.give_up(context),
            Deferred::Addition(adding) => adding.give_up(context),
            // They only look.
            Deferred::Start(_)
            | Deferred::Stop(_)
            | Deferred::Reload(..)
            | Deferred::ClearAll(_)
            | Deferred::Growth(..) => {}
            // What it waits for is the fleet's, and goes on.
            #[cfg(feature = "fleet")]
            Deferred::Fleet(_) => {}
        }
    }

    /// No more is done than what is under way: the memory of the rest is free.
    pub fn forget_rest(&mut self) {
        if let Deferred::Multicall(multicall) = self {
            multicall.calls = Vec::new().into_iter();
            multicall.calls_bytes = 0;
            multicall.results = Vec::new();
        }
    }

    /// Its client is gone: what it does goes on, what it found is of no use.
    pub fn abandon(&mut self) {
        if let Deferred::Multicall(multicall) = self {
            multicall.is_unheard = true;
            multicall.forget_results();
        }
    }

    /// When to ask again although no process changed; `None` is never.
    pub fn deadline(&self) -> Option<Mono> {
        match self {
            Deferred::Start(_) => None,
            Deferred::Update(update) => update.is_interrupted().then_some(AT_ONCE),
            #[cfg(feature = "fleet")]
            Deferred::Fleet(_) => None,
            Deferred::Reload(reload, _) => reload.deadline(),
            Deferred::Stop(stop) => Some(stop.report_at),
            Deferred::Bulk(bulk) => bulk.deadline(),
            Deferred::Rolling(rolling) => rolling.deadline(),
            Deferred::Multicall(multicall) => multicall.deadline(),
            Deferred::ClearAll(_) | Deferred::Addition(_) | Deferred::Growth(..) => Some(AT_ONCE),
        }
    }
}

/// A multicall under way: calls run strictly one after another, as many in a turn as it has time for.
pub struct Multicall {
    calls: std::vec::IntoIter<Value>,
    /// Bytes that the calls take, about.
    calls_bytes: usize,
    current: Current,
    /// The answer so far: the beginning of an array, and the results, each a `<value>` element.
    results: Vec<u8>,
    /// The results have become too long: no further call is made.
    is_full: bool,
    /// Nobody will hear the results.
    is_unheard: bool,
}

/// What the call that is under way waits for.
enum Current {
    Nothing,
    Answer(Deferred),
    /// The rest of a log's text; what it answers begins so far into the results.
    Text(Box<LogAnswer>, usize),
}

impl Multicall {
    /// A multicall of which nothing has happened yet.
    pub fn new(mut calls: Vec<Value>) -> Multicall {
        calls.truncate(CALLS_MAX);
        let calls_bytes = calls.iter().map(Value::bytes).sum();
        let calls = calls.into_iter();
        let mut results = Vec::new();
        Writer::new(&mut results).begin_array();
        Multicall { calls, calls_bytes, current: Current::Nothing, results, is_full: false, is_unheard: false }
    }

    fn deadline(&self) -> Option<Mono> {
        match &self.current {
            Current::Answer(deferred) => deferred.deadline(),
            Current::Nothing | Current::Text(..) => Some(AT_ONCE),
        }
    }

    /// Goes on until a call has to be waited for or the turn has no time left; the whole answer at the end.
    pub fn advance(&mut self, context: &mut Context<'_>) -> Option<Done> {
        loop {
            match std::mem::replace(&mut self.current, Current::Nothing) {
                Current::Nothing => {}
                Current::Answer(mut deferred) => match deferred.poll(context) {
                    Some(done) => self.take(done),
                    None => {
                        self.current = Current::Answer(deferred);
                        return None;
                    }
                },
                Current::Text(answer, start) => self.read(answer, start, context),
            }
            if context.budget.is_spent() {
                return None;
            }
            if !matches!(self.current, Current::Nothing) {
                continue;
            }
            let Some(call) = self.calls.next() else { return Some(Ok(self.answer())) };
            if self.is_full {
                context.budget.spend(1);
                self.push_fault(&too_long());
                continue;
            }
            // Also for what is none.
            context.budget.spend(1);
            match one_call(context, &call) {
                Ok(Outcome::Now(answer)) => self.take(Ok(answer)),
                Ok(Outcome::Deferred(deferred)) => self.current = Current::Answer(deferred),
                Err(fault) => self.take(Err(fault)),
            }
        }
    }

    fn answer(&mut self) -> Answer {
        Writer::new(&mut self.results).end_array();
        Answer::Xml(std::mem::take(&mut self.results))
    }

    /// Takes what came of a call.
    fn take(&mut self, done: Done) {
        let start = self.results.len();
        let mut writer = Writer::new(&mut self.results);
        match done {
            Ok(Answer::Value(value)) => writer.value(&value),
            Ok(Answer::Xml(xml)) => writer.encoded(&xml),
            Ok(Answer::Log(answer)) => {
                writer.encoded(&answer.before);
                self.current = Current::Text(answer, start);
            }
            Ok(Answer::CutCharacter) => self.push_fault(&Code::Failed.with("the read ends inside a character")),
            Err(fault) => self.push_fault(&fault),
        }
        self.bound(start);
    }

    /// Appends a piece of a log's text.
    fn read(&mut self, mut answer: Box<LogAnswer>, start: usize, context: &mut Context<'_>) {
        match answer.text.next(context.daemon, context.host) {
            Ok(Some(piece)) => {
                context.budget.spend_bytes(2 * piece.len());
                Writer::new(&mut self.results).text(&piece);
                self.current = Current::Text(answer, start);
            }
            Ok(None) => self.results.extend_from_slice(&answer.after),
            Err(_) => {
                self.results.truncate(start);
                self.push_fault(&Code::Failed.bare());
            }
        }
        self.bound(start);
    }

    /// In the place of a result that makes the answer too long stands a fault.
    fn bound(&mut self, start: usize) {
        if self.is_unheard {
            self.forget_results();
            return;
        }
        if self.results.len() > RESULTS_BYTES_MAX {
            self.results.truncate(start);
            self.current = Current::Nothing;
            self.is_full = true;
            self.push_fault(&too_long());
        }
    }

    fn forget_results(&mut self) {
        self.results = Vec::new();
        if let Current::Text(..) = self.current {
            self.current = Current::Nothing;
        }
    }

    fn push_fault(&mut self, fault: &Fault) {
        let mut writer = Writer::new(&mut self.results);
        writer.begin_struct();
        writer.member_int("faultCode", fault.code as i64);
        writer.member_str("faultString", &fault.to_string());
        writer.end_struct();
    }
}

fn too_long() -> Fault {
    Code::Failed.with(format!("the results of one multicall are longer than {} MiB", RESULTS_BYTES_MAX >> 20))
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
    super::call(&mut context.calling(name), name, params)
}
