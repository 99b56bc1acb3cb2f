//! supervisor_twiddler: groups and processes come and go at run time.
//!
//! The rows of loader and grace that do the same are made of the functions here.

use super::adding::New;
use super::deferred::Deferred;
use super::{Context, Guard, Method, Outcome, integer, known_group, method, text};
use crate::daemon::change::Change;
use crate::fault::{Code, Fault};
use crate::level::Level;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// The version of these interfaces.
const API_VERSION: &str = "1.0";

/// A row; the extensions refuse calls while the daemon shuts down, but not while it restarts.
pub(super) const fn row(
    name: &'static str,
    signature: &'static [&'static str],
    params: &'static [&'static str],
    help: &'static str,
    call: fn(&mut Context<'_>, &[Value]) -> Result<Outcome, Fault>,
) -> Method {
    Method { guard: Guard::NotShutdown, ..method::row(name, signature, params, help, call) }
}

/// `getAPIVersion`. The documented type is not that of the answer, as in the original.
pub(super) const GET_API_VERSION: Method =
    row("getAPIVersion", &["int"], &[], "Give the version of this interface.", api_version);
/// Twiddler's names of all groups, `getGroupNames`.
pub(super) const GET_GROUP_NAMES: Method =
    row("getGroupNames", &["array"], &[], "Name the active groups, in the order they were added.", group_names);
/// Twiddler's line for the activity log, `log`.
pub(super) const LOG: Method = Method {
    optional: 1,
    ..row(
        "log",
        &["boolean", "string", "string|int"],
        &["message", "level"],
        "Write a message to the activity log. The level is CRIT, ERRO, WARN, INFO, DEBG, TRAC or BLAT, or its number; \
         INFO if none is given.",
        log,
    )
};
/// Twiddler's addition of a program to a group, `addProgramToGroup`.
pub(super) const ADD_PROGRAM: Method = row(
    "addProgramToGroup",
    &["boolean", "string", "string", "struct"],
    &["group", "program", "options"],
    "Add the processes of a program to an active group. The options are those of a program's section.",
    add_program,
);
/// Twiddler's removal of a process from its group, `removeProcessFromGroup`.
pub(super) const REMOVE_PROCESS: Method = row(
    "removeProcessFromGroup",
    &["boolean", "string", "string"],
    &["group", "process"],
    "Remove a stopped process from its group.",
    remove_process,
);

pub const METHODS: &[Method] = &[
    GET_API_VERSION,
    GET_GROUP_NAMES,
    LOG,
    row(
        "addGroup",
        &["boolean", "string", "int"],
        &["name", "priority"],
        "Make an empty group, to which programs can be added.",
        add_group,
    ),
    ADD_PROGRAM,
    Method { name: "addProcessToGroup", help: "The old name of addProgramToGroup.", ..ADD_PROGRAM },
    REMOVE_PROCESS,
];

fn api_version(_: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    Ok(API_VERSION.into())
}

fn group_names(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let names = context.daemon.roster.groups().map(|(_, group)| Value::from(group.name().to_string()));
    Ok(Value::Array(names.collect()).into())
}

fn log(_: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let message = text(params, 0)?;
    let level = match params.get(1) {
        None => Some(Level::Info),
        Some(Value::Str(tag)) => Level::from_tag(&tag.to_uppercase()),
        Some(Value::Int(number)) => Level::ALL.into_iter().find(|level| *level as i64 == *number),
        Some(_) => None,
    };
    let level = level.ok_or_else(|| Code::IncorrectParameters.bare())?;
    log::log!(target: level.tag(), level.facade(), "{message}");
    Ok(true.into())
}

pub(super) fn add_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let priority = if params.len() > 1 { integer(params, 1)? } else { super::PRIORITY };
    make_group(context, text(params, 0)?, priority)
}

pub(super) fn make_group(context: &mut Context<'_>, name: &str, priority: i64) -> Result<Outcome, Fault> {
    context.extensions.claims.check(name, None)?;
    let change = Change::NewGroup { name: name.to_string(), priority };
    let origin = context.origin();
    context.daemon.apply(&change, &origin, context.now, context.host)?;
    Ok(true.into())
}

pub(super) fn add_program(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (group, program) = (text(params, 0)?, text(params, 1)?);
    known_group(context, group)?;
    let options = options(params, 2)?;
    Deferred::add(context, New { group, create: None, program, instance: None, options }, |_| true.into())
}

pub(super) fn remove_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (group, process) = (text(params, 0)?, text(params, 1)?);
    let program = context.daemon.roster.program_of(group, process).map(str::to_string);
    if let Some(program) = program {
        context.extensions.claims.check(group, Some(&program))?;
    }
    let change = Change::RemoveProcess { group: group.to_string(), process: process.to_string() };
    let origin = context.origin();
    context.daemon.apply(&change, &origin, context.now, context.host)?;
    Ok(true.into())
}

/// The options of a program. Numbers and booleans count as if written as text; names are in lower case.
pub(super) fn options(params: &[Value], index: usize) -> Result<Vec<(String, String)>, Fault> {
    let Some(Value::Struct(members)) = params.get(index) else { return Err(Code::IncorrectParameters.bare()) };
    let mut options = Vec::with_capacity(members.len());
    for (name, value) in members {
        let text = match value {
            Value::Str(text) => text.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Double(number) => pyrepr::float(*number),
            _ => return Err(Code::IncorrectParameters.with(format!("option {name} is not a string"))),
        };
        options.push((name.to_lowercase().trim_end().to_string(), text));
    }
    Ok(options)
}
