//! Starting, stopping and signalling by name, and writing to stdin.

use super::deferred::Deferred;
use super::entry::Entry;
use super::waits::{Action, Bulk, Start, Stop};
use super::{Context, Outcome, integer, scalar, text, wait};
use crate::clock::Mono;
use crate::config::RunType;
use crate::daemon::Target;
use crate::daemon::host::{CommandProblem, StdinProblem};
use crate::fault::{Code, Fault};
use crate::id::ProcId;
use crate::signal;
use crate::state::ProcessState;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// startProcess: the order of the checks is the original's, lookup faults first.
pub fn start_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    match context.daemon.roster.find(name).ok_or_else(|| Code::BadName.with(name))? {
        Target::Group(_) => start_group_named(context, crate::namespec::split(name).group, wait(params, 1)),
        Target::Process(id) => match try_start(context, id, name)? {
            true => Ok(true.into()),
            false if !wait(params, 1) => Ok(true.into()),
            false => Ok(Outcome::Deferred(Deferred::Start(Start { process: id, name: name.to_string() }))),
        },
    }
}

/// Starts one process; says whether it is RUNNING already.
fn try_start(context: &mut Context<'_>, id: ProcId, name: &str) -> Result<bool, Fault> {
    if let Err(problem) = context.daemon.find_command(id, context.host) {
        let code = if matches!(problem, CommandProblem::NotFound(_)) { Code::NoFile } else { Code::NotExecutable };
        return Err(code.with(problem.to_string()));
    }
    match state(context, id) {
        state if state.is_running() => return Err(Code::AlreadyStarted.with(name)),
        ProcessState::Unknown => return Err(Code::Failed.with(format!("{name} is in an unknown process state"))),
        _ => {}
    }
    context.daemon.start_process(id, context.now, context.host);
    if spawn_failed(context, id) {
        return Err(Code::SpawnError.with(name));
    }
    // The start has done nothing but say so (P-36). To answer true would be a lie, with or without waiting.
    if state(context, id) == ProcessState::Stopping {
        return Err(Code::AbnormalTermination.with(name));
    }
    context.daemon.transition(id, context.now, context.host);
    let is_oneshot =
        context.daemon.roster.process(id).is_some_and(|process| process.config.program.run_type == RunType::Oneshot);
    Ok(!is_oneshot && state(context, id) == ProcessState::Running)
}

fn state(context: &Context<'_>, id: ProcId) -> ProcessState {
    context.daemon.roster.process(id).map_or(ProcessState::Unknown, |process| process.machine.state())
}

fn spawn_failed(context: &Context<'_>, id: ProcId) -> bool {
    context.daemon.roster.process(id).is_some_and(|process| !process.machine.spawn_error().is_empty())
}

/// startProcessGroup.
pub fn start_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    start_group_named(context, &scalar(params, 0)?, wait(params, 1))
}

fn start_group_named(context: &mut Context<'_>, name: &str, wait: bool) -> Result<Outcome, Fault> {
    let processes = group_members(context, name)?;
    Ok(bulk_start(context, processes, wait))
}

/// startAllProcesses.
pub fn start_all(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = context.daemon.roster.processes_by_priority();
    Ok(bulk_start(context, processes, wait(params, 0)))
}

fn group_members(context: &Context<'_>, name: &str) -> Result<Vec<ProcId>, Fault> {
    let group = context.daemon.roster.group_named(name).ok_or_else(|| Code::BadName.with(name))?;
    Ok(context.daemon.roster.members_by_priority(group))
}

/// Process and group name, for an outcome.
fn entry(context: &Context<'_>, id: ProcId) -> Option<Entry> {
    let process = context.daemon.roster.process(id)?;
    let group = context.daemon.roster.group(process.group)?;
    Some(Entry::new(group.name(), &process.config.name))
}

/// Starts those that are not *running*; the others are left out.
fn bulk_start(context: &mut Context<'_>, processes: Vec<ProcId>, wait: bool) -> Outcome {
    let mut bulk = Bulk::new(Action::Start);
    for id in processes {
        if state(context, id).is_running() {
            continue;
        }
        let Some(entry) = entry(context, id) else { continue };
        let name = crate::namespec::join(&entry.group, &entry.name);
        match try_start(context, id, &name) {
            Ok(false) if wait => bulk.wait_for(id, entry),
            Ok(_) => bulk.note(&entry, Ok(())),
            Err(fault) => bulk.note(&entry, Err(fault)),
        }
    }
    bulk.into()
}

/// stopProcess.
pub fn stop_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    match context.daemon.roster.find(name).ok_or_else(|| Code::BadName.with(name))? {
        Target::Group(_) => stop_group_named(context, crate::namespec::split(name).group, wait(params, 1)),
        Target::Process(id) => {
            try_stop(context, id, name)?;
            if !wait(params, 1) || state(context, id).is_stopped() {
                return Ok(true.into());
            }
            Ok(Outcome::Deferred(Deferred::Stop(Stop { process: id, report_at: Mono(0) })))
        }
    }
}

fn try_stop(context: &mut Context<'_>, id: ProcId, name: &str) -> Result<(), Fault> {
    if !state(context, id).is_running() {
        return Err(Code::NotRunning.with(name));
    }
    context.daemon.stop_process(id, context.now, context.host).map_err(|text| Code::Failed.with(text))
}

/// stopProcessGroup.
pub fn stop_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    stop_group_named(context, &scalar(params, 0)?, wait(params, 1))
}

fn stop_group_named(context: &mut Context<'_>, name: &str, wait: bool) -> Result<Outcome, Fault> {
    let processes = group_members(context, name)?;
    Ok(bulk_stop(context, processes, wait))
}

/// stopAllProcesses: all at once, ascending, unlike the shutdown (P-80).
pub fn stop_all(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = context.daemon.roster.processes_by_priority();
    Ok(bulk_stop(context, processes, wait(params, 0)))
}

fn bulk_stop(context: &mut Context<'_>, processes: Vec<ProcId>, wait: bool) -> Outcome {
    let mut bulk = Bulk::new(Action::Stop);
    for id in processes {
        if !state(context, id).is_running() {
            continue;
        }
        let Some(entry) = entry(context, id) else { continue };
        let name = crate::namespec::join(&entry.group, &entry.name);
        match try_stop(context, id, &name) {
            Ok(()) if wait && !state(context, id).is_stopped() => bulk.wait_for(id, entry),
            result => bulk.note(&entry, result),
        }
    }
    bulk.into()
}

/// signalProcess.
pub fn signal_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let signal = signal_text(params, 1)?;
    match context.daemon.roster.find(name).ok_or_else(|| Code::BadName.with(name))? {
        Target::Group(_) => {
            let processes = group_members(context, crate::namespec::split(name).group)?;
            Ok(bulk_signal(context, processes, &signal))
        }
        Target::Process(id) => {
            try_signal(context, id, name, &signal)?;
            Ok(true.into())
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

/// In the place of a signal: the one that the program reloads by (O-6).
const RELOAD: &str = "reloadsignal";

fn try_signal(context: &mut Context<'_>, id: ProcId, name: &str, text: &str) -> Result<(), Fault> {
    let signal = match context.daemon.roster.process(id) {
        Some(process) if text == RELOAD => process.config.program.reloadsignal.0,
        _ => signal::parse(text).map_err(|_| Code::BadSignal.with(text))?,
    };
    if !state(context, id).is_signallable() {
        return Err(Code::NotRunning.with(name));
    }
    context.daemon.signal_process(id, signal, context.now, context.host).map_err(|text| Code::Failed.with(text))
}

/// signalProcessGroup.
pub fn signal_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = group_members(context, &scalar(params, 0)?)?;
    Ok(bulk_signal(context, processes, &signal_text(params, 1)?))
}

/// signalAllProcesses.
pub fn signal_all(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = context.daemon.roster.processes_by_priority();
    Ok(bulk_signal(context, processes, &signal_text(params, 0)?))
}

/// Only *signallable* processes; a bad signal shows once per process, not as a fault.
fn bulk_signal(context: &mut Context<'_>, processes: Vec<ProcId>, signal: &str) -> Outcome {
    let mut results = Vec::new();
    for id in processes {
        if !state(context, id).is_signallable() {
            continue;
        }
        let Some(entry) = entry(context, id) else { continue };
        let name = crate::namespec::join(&entry.group, &entry.name);
        let result = try_signal(context, id, &name, signal);
        results.push(entry.outcome(result));
    }
    Value::Array(results).into()
}

/// sendProcessStdin.
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
