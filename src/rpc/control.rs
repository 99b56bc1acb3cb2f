//! Starting, stopping and signalling by name, and writing to stdin.

use super::budget::{SIGNAL_US, START_US};
use super::deferred::Deferred;
use super::entry::ProcessRef;
use super::reload::{RELOAD, Reload};
use super::waits::{Bulk, BulkAction, Start, Stop};
use super::{Context, Done, Outcome, integer, scalar, text, wait};
use crate::clock::Mono;
use crate::config::RunType;
use crate::daemon::Named;
use crate::daemon::host::{CommandProblem, StdinProblem};
use crate::fault::{Code, Fault};
use crate::id::ProcId;
use crate::signal;
use crate::state::{ProcessState, SupervisorState};
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

/// Starts one process; says whether it is RUNNING already.
fn try_start(context: &mut Context<'_>, id: ProcId, name: &str) -> Result<bool, Fault> {
    #[cfg(feature = "fleet")]
    if context.daemon.is_disabled(id) {
        return Err(Code::Disabled.with(name));
    }
    if context.daemon.roster.process(id).is_some_and(|process| process.leaves) {
        return Err(Code::BadName.with(name));
    }
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
    context.daemon.roster.process(id).is_some_and(|process| !process.machine.runs().spawn_error().is_empty())
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

/// Process and group name, for an outcome.
fn entry(context: &Context<'_>, id: ProcId) -> Option<ProcessRef> {
    let process = context.daemon.roster.process(id)?;
    let group = context.daemon.roster.group(process.group)?;
    Some(ProcessRef::new(group.name(), &process.config.name))
}

/// Goes on with a call about several as far as this turn allows; the answer once nothing is waited for.
pub fn advance(bulk: &mut Bulk, context: &mut Context<'_>) -> Option<Done> {
    if bulk.has_acted() {
        return bulk.poll(context.daemon, context.now);
    }
    while !context.budget.is_spent() {
        // Nothing is begun any more once the end is.
        if bulk.action == BulkAction::Start && context.daemon.state() != SupervisorState::Running {
            bulk.give_up();
        }
        match bulk.next_process() {
            Some(id) => {
                act(bulk, id, context);
                if bulk.action == BulkAction::Start {
                    context.daemon.had_its_turn(id, context.now);
                }
            }
            None => return bulk.answered(),
        }
    }
    if bulk.has_acted() { bulk.answered() } else { None }
}

/// The rest of a call about several is not made.
pub fn give_up(bulk: &mut Bulk, context: &mut Context<'_>) {
    while let Some(id) = bulk.next_process() {
        if bulk.action == BulkAction::Start {
            context.daemon.had_its_turn(id, context.now);
        }
    }
}

/// Acts on one of several, unless it is in no state for it: then it is left out.
fn act(bulk: &mut Bulk, id: ProcId, context: &mut Context<'_>) {
    let state_before = state(context, id);
    let is_waiting = context.daemon.is_waiting(id);
    let returns = context.daemon.is_to_return(id);
    let (is_concerned, cost) = match bulk.action {
        BulkAction::Start => (!state_before.is_running(), START_US),
        BulkAction::Stop => (bulk.in_order || is_up(context, id) || is_waiting || returns, SIGNAL_US),
        BulkAction::Signal(_) => (state_before.is_signallable(), SIGNAL_US),
    };
    context.budget.spend(if is_concerned { cost } else { 1 });
    let Some(entry) = entry(context, id).filter(|_| is_concerned) else { return };
    let name = crate::namespec::join(&entry.group, &entry.name);
    let is_done = match &bulk.action {
        BulkAction::Start if context.daemon.wait_to_start(id, context.now) => Ok(false),
        BulkAction::Start => try_start(context, id, &name),
        // It is told when its turn comes.
        BulkAction::Stop if bulk.in_order && !is_waiting => Ok(state_before.is_stopped()),
        BulkAction::Stop => try_stop(context, id, &name).map(|()| state(context, id).is_stopped()),
        BulkAction::Signal(signal) => match try_signal(context, id, &name, signal) {
            Ok(()) => match Reload::begin(signal, id, context.daemon, context.now) {
                Some(reload) => return bulk.wait_for_reload(reload, entry),
                None => Ok(true),
            },
            Err(fault) => Err(fault),
        },
    };
    match is_done {
        Ok(false) if bulk.waits => {
            let process = context.daemon.roster.process(id);
            let in_place = matches!(bulk.action, BulkAction::Start)
                && process.is_some_and(|process| process.config.program.startsecs <= 0);
            bulk.wait_for(id, entry, in_place);
        }
        result => bulk.note(&entry, result.map(drop)),
    }
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
    Deferred::Bulk(Bulk::new(action, processes, waits)).begin(context)
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

/// Whether there is something to stop: it runs, or will again as soon as it is down.
fn is_up(context: &Context<'_>, id: ProcId) -> bool {
    let machine = context.daemon.roster.process(id).map(|process| &process.machine);
    machine.is_some_and(|machine| machine.state().is_running() || machine.is_coming_back())
}

fn try_stop(context: &mut Context<'_>, id: ProcId, name: &str) -> Result<(), Fault> {
    let was_to_return = context.daemon.keep_down(id);
    if !is_up(context, id) {
        let waited = context.daemon.give_up_wait(id, context.now);
        return if waited || was_to_return { Ok(()) } else { Err(Code::NotRunning.with(name)) };
    }
    context.daemon.stop_process(id, context.now, context.host).map_err(|text| Code::Failed.with(text))
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
    Deferred::Bulk(bulk).begin(context)
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
