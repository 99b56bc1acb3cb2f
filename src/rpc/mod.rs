//! The method table of XML-RPC and its namespaces.
//!
//! A method is a row: name, signature, help and a function. Dispatch, `system.listMethods`, `methodHelp`,
//! `methodSignature` and the check of the number of parameters all read the rows; nothing is reflected. A namespace
//! is a file with its own slice. Which namespaces exist is the configuration's business ([`Registry`]).

#![forbid(unsafe_code)]

mod act;
mod adding;
pub(crate) mod budget;
mod cache;
mod changes;
pub(crate) mod claims;
mod clear;
mod configured;
mod control;
pub(crate) mod deferred;
mod details;
mod entry;
mod extensions;
#[cfg(feature = "fleet")]
pub(crate) mod fleet;
mod grace;
mod history;
mod info;
mod loader;
mod logs;
pub(crate) mod logtext;
mod method;
pub(crate) mod mutate;
mod order;
mod reload;
#[cfg(feature = "fleet")]
pub mod rest;
mod rolling;
mod stheno;
mod supervisor;
mod system;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod twiddler;
pub(crate) mod waits;
pub(crate) mod wish;

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use crate::clock::Now;
use crate::config::{Config, Interface, InterfaceKind};
use crate::daemon::change::Origin;
use crate::daemon::{Daemon, Host};
use crate::fault::{Code, Fault};
use crate::model::history::{Asker, Why};
use crate::state::SupervisorState;
use crate::wire::pyrepr;
use crate::wire::value::Value;
use crate::wire::xmlrpc;

use budget::Budget;
use logtext::LogText;

pub use deferred::Deferred;
pub use extensions::Extensions;
pub use logs::end as log_end;
pub use method::{Guard, Method};
pub use stheno::{VERSION, features};
pub use supervisor::SUPERVISOR_VERSION;

/// What a method has to work with.
pub struct Context<'a> {
    pub(crate) daemon: &'a mut Daemon,
    pub(crate) host: &'a mut dyn Host,
    pub(crate) now: Now,
    /// The methods there are.
    pub registry: &'a Registry,
    pub(crate) extensions: &'a mut Extensions,
    /// Who calls: `127.0.0.1:4711`, `uid 1000`.
    pub client: &'a str,
    /// The method called, in full.
    pub method: &'a str,
    /// What may still be done in this turn.
    pub budget: &'a mut Budget,
}

impl Context<'_> {
    /// Who asks, for the audit line.
    pub fn origin(&self) -> Origin {
        Origin { client: self.client.to_string(), method: self.method.to_string() }
    }

    /// The same for a call within this one.
    fn calling<'b>(&'b mut self, method: &'b str) -> Context<'b> {
        Context {
            daemon: &mut *self.daemon,
            host: &mut *self.host,
            now: self.now,
            registry: self.registry,
            extensions: &mut *self.extensions,
            client: self.client,
            method,
            budget: &mut *self.budget,
        }
    }
}

/// What a method answers.
pub enum Outcome {
    /// The answer is there.
    Now(Answer),
    /// It has to be waited for.
    Deferred(Deferred),
}

/// An answer on its way out.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A tree of values, encoded when it is written.
    Value(Value),
    /// A value that was written straight as XML, without a tree of values.
    Xml(Vec<u8>),
    /// A value with a long text of a log in it.
    Log(Box<LogAnswer>),
    /// The read of a log ends inside a character: status 500, as in the original.
    CutCharacter,
}

impl<V: Into<Value>> From<V> for Outcome {
    fn from(value: V) -> Outcome {
        Outcome::Now(Answer::Value(value.into()))
    }
}

/// A value as XML, of which a long text of a log is to be read piece by piece.
#[derive(Clone, Debug)]
pub struct LogAnswer {
    /// What comes before the text.
    pub before: Vec<u8>,
    pub(crate) text: LogText,
    /// What comes behind it.
    pub after: Vec<u8>,
}

/// What comes of a call in the end.
pub type Done = Result<Answer, Fault>;

/// Hands on a whole answer or fault as the pieces of a document.
pub fn with_document<T>(done: &Done, take: impl FnOnce(&[&[u8]]) -> T) -> T {
    let mut document = Vec::new();
    match done {
        Ok(Answer::Value(value)) => xmlrpc::write_response(&mut document, value),
        // Not put together first: an answer about thousands of processes takes megabytes.
        Ok(Answer::Xml(xml)) => {
            return take(&[xmlrpc::RESPONSE_BEGIN.as_bytes(), xml, xmlrpc::RESPONSE_END.as_bytes()]);
        }
        // Whoever answers has taken it piece by piece before.
        Ok(Answer::Log(_) | Answer::CutCharacter) => {}
        Err(fault) => xmlrpc::write_fault(&mut document, fault.code as i32, &fault.to_string()),
    }
    take(&[&document])
}

/// A namespace, or a part of one, as it is documented.
pub struct About {
    /// What methods' names begin with unless the file calls it otherwise.
    pub name: &'static str,
    /// When it is there, in words.
    pub about: &'static str,
    /// Its rows.
    pub methods: &'static [Method],
    there: There,
}

/// When a namespace is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum There {
    Always,
    /// Always, and listed with `[stheno]`.
    Unlisted,
    /// With `[stheno] mutation=true`.
    Mutating,
    /// With a section of that kind, by whose name it is called.
    With(InterfaceKind),
}

/// All namespaces there are, whatever a configuration asks for.
pub fn namespaces() -> Vec<About> {
    use InterfaceKind::*;
    const fn about(there: There, name: &'static str, about: &'static str, methods: &'static [Method]) -> About {
        About { name, about, methods, there }
    }
    let main = "Supervisor's own, there with `[rpcinterface:supervisor]`.";
    let own = "What goes beyond Supervisor. Always there, listed with `[stheno]`.";
    let order = "Order, and which programs start by themselves. Always there, listed with `[stheno]`.";
    let mutating = "Changes at run time, with `[stheno] mutation=true`.";
    #[allow(unused_mut)]
    let mut all = vec![
        about(There::With(Main), "supervisor", main, supervisor::METHODS),
        about(There::Always, "system", "What can be called, and several calls at once. Always there.", system::METHODS),
        about(There::Unlisted, "stheno", own, stheno::METHODS),
        about(There::Unlisted, "stheno", order, order::METHODS),
        about(There::Mutating, "stheno", mutating, stheno::MUTATING_METHODS),
        about(
            There::With(Twiddler),
            "twiddler",
            "Those of supervisor_twiddler, with `[rpcinterface:twiddler]`.",
            twiddler::METHODS,
        ),
        about(
            There::With(Loader),
            "loader",
            "Those of supervisor_loader, with `[rpcinterface:loader]`.",
            loader::METHODS,
        ),
        about(There::With(Grace), "grace", "Those of supervisor_grace, with `[rpcinterface:grace]`.", grace::METHODS),
        about(There::With(Cache), "cache", "Those of supervisor_cache, with `[rpcinterface:cache]`.", cache::METHODS),
    ];
    #[cfg(feature = "fleet")]
    all.extend(
        fleet::THEMES
            .iter()
            .zip(fleet::METHODS)
            .map(|(theme, methods)| about(There::With(Supvisors), "supvisors", theme, methods)),
    );
    all
}

/// The namespaces of a configuration.
pub struct Registry {
    namespaces: Vec<Namespace>,
    by_name: HashMap<String, (usize, usize)>,
}

struct Namespace {
    name: String,
    methods: &'static [Method],
    whitelist: Vec<String>,
    /// Whether `system.listMethods` shows it (DESIGN: `stheno` only with its section).
    listed: bool,
}

impl Registry {
    /// The namespaces that a configuration asks for, and those that are always there.
    pub fn new(config: &Config) -> Registry {
        let all = self::namespaces();
        let mut namespaces: Vec<Namespace> = Vec::new();
        for Interface { namespace: name, kind, whitelist, .. } in &config.interfaces {
            // Of two sections of one name the later one counts, as in the original.
            namespaces.retain(|namespace| namespace.name != *name);
            #[cfg(feature = "fleet")]
            if *kind == InterfaceKind::Supvisors && config.fleet.as_ref().is_none_or(|fleet| fleet.supvisors.is_none())
            {
                // It was refused, and has no effect.
                continue;
            }
            let parts = all.iter().filter(|part| part.there == There::With(*kind));
            namespaces.extend(parts.map(|part| Namespace {
                name: name.clone(),
                methods: part.methods,
                whitelist: whitelist.clone(),
                listed: true,
            }));
        }
        for part in &all {
            let (is_there, listed) = match part.there {
                There::Always => (true, true),
                There::Unlisted => (true, config.stheno.is_some()),
                There::Mutating => (config.stheno.as_ref().is_some_and(|stheno| stheno.mutation), true),
                There::With(_) => (false, false),
            };
            if is_there {
                let (name, methods) = (part.name.to_string(), part.methods);
                namespaces.push(Namespace { name, methods, whitelist: Vec::new(), listed });
            }
        }
        let mut by_name = HashMap::new();
        for (space, namespace) in namespaces.iter().enumerate() {
            for (row, method) in namespace.methods.iter().enumerate() {
                by_name.insert(format!("{}.{}", namespace.name, method.name), (space, row));
            }
        }
        Registry { namespaces, by_name }
    }

    /// The method of that full name.
    fn find(&self, name: &str) -> Option<(&Namespace, &'static Method)> {
        let (space, row) = self.by_name.get(name)?;
        let namespace = self.namespaces.get(*space)?;
        Some((namespace, namespace.methods.get(*row)?))
    }

    /// Names of all methods that are shown, sorted.
    fn names(&self) -> Vec<String> {
        let shown = |(name, (space, _)): (&String, &(usize, usize))| {
            self.namespaces.get(*space).is_some_and(|namespace| namespace.listed).then(|| name.clone())
        };
        let mut names: Vec<String> = self.by_name.iter().filter_map(shown).collect();
        crate::sort::ascending(&mut names);
        names
    }
}

/// Carries out one call.
pub fn call(context: &mut Context<'_>, method: &str, params: &[Value]) -> Result<Outcome, Fault> {
    activity!(Trace, "XML-RPC method called: {method}()");
    let registry = context.registry;
    let (namespace, row) = registry.find(method).ok_or_else(|| Code::UnknownMethod.bare())?;
    let most = row.params.len();
    if params.len() > most || params.len() + row.optional < most {
        return Err(Code::IncorrectParameters.bare());
    }
    check_state(context, row.guard)?;
    // Methods that no state forbids are not subject to the whitelist either.
    let is_guarded = row.guard != Guard::Open;
    if is_guarded && !namespace.whitelist.is_empty() && !namespace.whitelist.iter().any(|name| name == row.name) {
        return Err(Code::NotInWhitelist.with(row.name));
    }
    context.budget.spend(budget::CALL_US);
    // What an earlier one has begun, somebody else waits for.
    context.daemon.take_begun();
    let outcome = (row.call)(context, params)?;
    if row.is_noted {
        note(context, row.name, params.first().and_then(Value::as_str));
    }
    if let Outcome::Now(Answer::Xml(xml)) = &outcome {
        context.budget.spend_bytes(xml.len());
    }
    Ok(match (context.daemon.take_begun(), outcome) {
        // What is answered is not true before.
        (Some(group), Outcome::Now(answer)) => Outcome::Deferred(Deferred::Growth(group, answer)),
        (_, outcome) => outcome,
    })
}

/// Remembers a call that shows in no state.
fn note(context: &mut Context<'_>, method: &str, subject: Option<&str>) {
    let text = subject.map_or(method.to_string(), |subject| format!("{method} {subject}"));
    let asker = Asker { client: context.client.to_string(), method: "XML-RPC".to_string() };
    context.daemon.activity.note(context.now.wall, &text, Why::Asked(Rc::new(asker)));
}

/// Calls a method of the main interface, whether or not it is configured.
pub fn call_main(context: &mut Context<'_>, method: &str, params: &[Value]) -> Result<Outcome, Fault> {
    let row = supervisor::METHODS.iter().find(|row| row.name == method).ok_or_else(|| Code::UnknownMethod.bare())?;
    check_state(context, row.guard)?;
    (row.call)(context, params)
}

fn check_state(context: &Context<'_>, guard: Guard) -> Result<(), Fault> {
    let state = context.daemon.state();
    let refused = match guard {
        Guard::Open => false,
        Guard::Running => state != SupervisorState::Running,
        Guard::NotShutdown => state == SupervisorState::Shutdown,
    };
    if refused { Err(Code::ShutdownState.bare()) } else { Ok(()) }
}

/// The text of `system.methodHelp`.
fn help_text(method: &Method) -> String {
    let mut text = format!("{}\n", method.help);
    for (name, kind) in method.params.iter().zip(method.signature.iter().skip(1)) {
        text.push_str(&format!("\n@param {kind} {name}"));
    }
    if let Some(kind) = method.signature.first() {
        text.push_str(format!("\n@return {kind} {}", method.returns).trim_end());
    }
    text
}

/// The priority of groups for which none is given.
const PRIORITY: i64 = 999;

/// A parameter that must be a string.
fn text(params: &[Value], index: usize) -> Result<&str, Fault> {
    params.get(index).and_then(Value::as_str).ok_or_else(|| Code::IncorrectParameters.bare())
}

/// Faults with BAD_NAME unless there is an active group of that name.
fn known_group(context: &Context<'_>, name: &str) -> Result<(), Fault> {
    match context.daemon.roster.group_named(name) {
        Some(_) => Ok(()),
        None => Err(Code::BadName.with(format!("group: {name}"))),
    }
}

/// A parameter that is used as a key: a string, or the text of a number, which names nothing.
fn scalar(params: &[Value], index: usize) -> Result<Cow<'_, str>, Fault> {
    match params.get(index) {
        Some(Value::Str(text)) => Ok(Cow::Borrowed(text)),
        None | Some(Value::Array(_) | Value::Struct(_)) => Err(Code::IncorrectParameters.bare()),
        Some(other) => Ok(Cow::Owned(pyrepr::value(other))),
    }
}

/// A parameter that must be an integer, or what Python makes one of.
fn integer(params: &[Value], index: usize) -> Result<i64, Fault> {
    match params.get(index) {
        Some(Value::Int(number)) => Ok(*number),
        Some(Value::Bool(value)) => Ok(i64::from(*value)),
        // As int() of Python takes them.
        Some(Value::Double(number)) if number.is_finite() => Ok(*number as i64),
        Some(Value::Str(text)) => text.trim().parse().map_err(|_| Code::IncorrectParameters.bare()),
        _ => Err(Code::IncorrectParameters.bare()),
    }
}

/// The optional last parameter `wait`: true unless something that Python takes for false is given.
fn wait(params: &[Value], index: usize) -> bool {
    match params.get(index) {
        None => true,
        Some(Value::Nil) => false,
        Some(Value::Bool(value)) => *value,
        Some(Value::Int(number)) => *number != 0,
        Some(Value::Double(number)) => *number != 0.0,
        Some(Value::Str(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Struct(members)) => !members.is_empty(),
        Some(Value::DateTime(_) | Value::Base64(_)) => true,
    }
}
