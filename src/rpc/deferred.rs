//! Deferred answers: plain data, asked after each turn. And multicalls, which may hold one within them.

use super::mutate::Update;
use super::waits::{Bulk, Start, Stop};
use super::{Answer, Context, Done, Outcome};
use crate::clock::Mono;
use crate::fault::{Code, Fault};
use crate::wire::value::Value;
use crate::wire::xmlrpc::Writer;

/// Calls in one multicall; more is a mistake or an attack.
const CALLS_MAX: usize = 10_000;

/// An answer that is waited for.
pub enum Deferred {
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

impl Deferred {
    /// The answer at once, if nothing has to be waited for.
    pub fn begin(mut self, context: &mut Context<'_>) -> Result<Outcome, Fault> {
        match self.poll(context) {
            Some(done) => Ok(Outcome::Now(done?)),
            None => Ok(Outcome::Deferred(self)),
        }
    }

    /// The answer, if it is there by now.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Option<Done> {
        match self {
            Deferred::Start(start) => start.poll(context.daemon),
            Deferred::Stop(stop) => stop.poll(context.daemon, context.now),
            Deferred::Bulk(bulk) => bulk.poll(context.daemon, context.now),
            Deferred::Multicall(multicall) => multicall.advance(context),
            Deferred::Update(update) => update.advance(context),
        }
    }

    /// When to ask again although no process changed; `None` is never.
    pub fn deadline(&self) -> Option<Mono> {
        match self {
            Deferred::Start(_) | Deferred::Update(_) => None,
            Deferred::Stop(stop) => Some(stop.report_at),
            Deferred::Bulk(bulk) => bulk.deadline(),
            Deferred::Multicall(multicall) => multicall.current.as_ref().and_then(Deferred::deadline),
        }
    }
}

impl From<Bulk> for Outcome {
    /// The answer at once if nothing is waited for.
    fn from(bulk: Bulk) -> Outcome {
        bulk.answered().map_or_else(|bulk| Outcome::Deferred(Deferred::Bulk(bulk)), Outcome::from)
    }
}

/// A multicall under way: calls run strictly one after another.
pub struct Multicall {
    calls: std::vec::IntoIter<Value>,
    current: Option<Deferred>,
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
            if let Some(deferred) = &mut self.current {
                let done = deferred.poll(context)?;
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
                Ok(Outcome::Deferred(deferred)) => self.current = Some(deferred),
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
    super::call(&mut context.calling(name), name, params)
}
