//! Starting, stopping and signalling by name, and writing to stdin.

use super::act::{state, try_signal, try_start, try_stop};
use super::deferred::Deferred;
use super::reload::Reload;
use super::waits::{Bulk, BulkAction, Start, Stop};
use super::{Context, Outcome, integer, scalar, text, wait};
use crate::clock::Mono;
use crate::daemon::Named;
use crate::daemon::host::StdinProblem;
use crate::fault::{Code, Fault};
use crate::id::ProcId;
use crate::state::ProcessState;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// startProcess: the order of the checks is the original's, lookup faults first.
pub fn start_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    match context.daemon.roster.find(name).ok_or_else(|| Code::BadName.with(name))? {
        Named::Group(_) => start_group_named(context, crate::namespec::split(name).group, wait(params, 1)),
        Named::Process(id) => match try_start(context, id, name)? {
            true => Ok(true.into()),
            false if !wait(params, 1) => Ok(true.into()),
            false => Ok(Outcome::Deferred(Deferred::Start(Start { process: id, name: name.to_string() }))),
        },
    }
}

pub fn start_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    start_group_named(context, &scalar(params, 0)?, wait(params, 1))
}

fn start_group_named(context: &mut Context<'_>, name: &str, wait: bool) -> Result<Outcome, Fault> {
    let processes = group_members(context, name)?;
    begin(context, BulkAction::Start, processes, wait)
}

pub fn start_all(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = context.daemon.roster.processes_by_priority();
    begin(context, BulkAction::Start, processes, wait(params, 0))
}

fn group_members(context: &Context<'_>, name: &str) -> Result<Vec<ProcId>, Fault> {
    let group = context.daemon.roster.group_named(name).ok_or_else(|| Code::BadName.with(name))?;
    Ok(context.daemon.roster.members_by_priority(group))
}

/// Starts several, each when it may.
pub(super) fn begin_starts(context: &mut Context<'_>, processes: Vec<ProcId>, waits: bool) -> Result<Outcome, Fault> {
    begin(context, BulkAction::Start, processes, waits)
}

/// A call about several, which goes on over as many turns as it takes.
fn begin(context: &mut Context<'_>, action: BulkAction, processes: Vec<ProcId>, waits: bool) -> Result<Outcome, Fault> {
    if action == BulkAction::Start {
        context.daemon.ask_to_start(&processes, context.now);
    }
    Deferred::Bulk(Box::new(Bulk::new(action, processes, waits))).begin(context)
}

pub fn stop_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    match context.daemon.roster.find(name).ok_or_else(|| Code::BadName.with(name))? {
        Named::Group(_) => stop_group_named(context, crate::namespec::split(name).group, wait(params, 1)),
        Named::Process(id) => {
            try_stop(context, id, name)?;
            if !wait(params, 1) || state(context, id).is_stopped() {
                return Ok(true.into());
            }
            Ok(Outcome::Deferred(Deferred::Stop(Stop { process: id, report_at: Mono(0) })))
        }
    }
}

pub fn stop_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    stop_group_named(context, &scalar(params, 0)?, wait(params, 1))
}

fn stop_group_named(context: &mut Context<'_>, name: &str, wait: bool) -> Result<Outcome, Fault> {
    let processes = group_members(context, name)?;
    begin(context, BulkAction::Stop, processes, wait)
}

/// stopAllProcesses: all at once, ascending, unlike the shutdown (P-80).
pub fn stop_all(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = context.daemon.roster.processes_by_priority();
    if context.daemon.stops_in_order() {
        return begin_in_order(context, processes, wait(params, 0));
    }
    begin(context, BulkAction::Stop, processes, wait(params, 0))
}

/// Stops several, each after those that depend on it (O-2).
pub(super) fn begin_in_order(context: &mut Context<'_>, processes: Vec<ProcId>, waits: bool) -> Result<Outcome, Fault> {
    // All at once: one that has its turn later holds up others that have it sooner.
    let mut processes = processes;
    processes.retain(|id| {
        let was_to_return = context.daemon.keep_down(*id);
        was_to_return || state(context, *id).is_running() || context.daemon.is_waiting(*id)
    });
    context.daemon.stop_in_order(&processes, context.now);
    let bulk = Bulk::new(BulkAction::Stop, processes, waits).in_order();
    Deferred::Bulk(Box::new(bulk)).begin(context)
}

pub fn signal_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let signal = signal_text(params, 1)?;
    match context.daemon.roster.find(name).ok_or_else(|| Code::BadName.with(name))? {
        Named::Group(_) => {
            let processes = group_members(context, crate::namespec::split(name).group)?;
            begin(context, BulkAction::Signal(signal), processes, false)
        }
        Named::Process(id) => {
            try_signal(context, id, name, &signal)?;
            match Reload::begin(&signal, id, context.daemon, context.now) {
                Some(reload) => Deferred::Reload(reload, name.to_string()).begin(context),
                None => Ok(true.into()),
            }
        }
    }
}

/// A signal's name or number, as a string or as what Python's int() takes.
fn signal_text(params: &[Value], index: usize) -> Result<String, Fault> {
    match params.get(index) {
        Some(Value::Str(text)) => Ok(text.to_string()),
        _ => Ok(integer(params, index)?.to_string()),
    }
}

pub fn signal_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = group_members(context, &scalar(params, 0)?)?;
    begin(context, BulkAction::Signal(signal_text(params, 1)?), processes, false)
}

pub fn signal_all(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = context.daemon.roster.processes_by_priority();
    begin(context, BulkAction::Signal(signal_text(params, 0)?), processes, false)
}

/// sendProcessStdin: whoever does not read does not hold it up.
pub fn send_stdin(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let chars = match params.get(1) {
        Some(Value::Str(text)) => text.as_bytes(),
        Some(other) if *other != Value::Nil => return Err(Code::IncorrectParameters.with(pyrepr::value(other))),
        _ => return Err(Code::IncorrectParameters.bare()),
    };
    let id = context.daemon.roster.find_process(name).ok_or_else(|| Code::BadName.with(name))?;
    let machine = context.daemon.roster.process(id).map(|process| &process.machine);
    let takes = machine.is_some_and(|machine| machine.pid().is_some() && machine.state() != ProcessState::Stopping);
    if !takes {
        return Err(Code::NotRunning.with(name));
    }
    match context.host.write_stdin(id, chars) {
        Ok(()) => Ok(true.into()),
        Err(StdinProblem::Closed) => Err(Code::NoFile.with(name)),
        Err(StdinProblem::Full) => {
            Err(Code::Failed.with(format!("{name} does not read its stdin, and the buffer for it is full")))
        }
    }
}
