//! What is done to a process by a call, with the original's checks in their order, and to several of them over as
//! many turns as it takes.

use super::budget::{SIGNAL_US, START_US};
use super::entry::ProcessRef;
use super::reload::{RELOAD, Reload};
use super::waits::{Bulk, BulkAction};
use super::{Context, Done};
use crate::config::RunType;
use crate::daemon::host::CommandProblem;
use crate::fault::{Code, Fault};
use crate::id::ProcId;
use crate::signal;
use crate::state::{ProcessState, SupervisorState};

/// Starts one process; says whether it is RUNNING already.
pub(super) fn try_start(context: &mut Context<'_>, id: ProcId, name: &str) -> Result<bool, Fault> {
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

pub(super) fn state(context: &Context<'_>, id: ProcId) -> ProcessState {
    context.daemon.roster.process(id).map_or(ProcessState::Unknown, |process| process.machine.state())
}

fn spawn_failed(context: &Context<'_>, id: ProcId) -> bool {
    context.daemon.roster.process(id).is_some_and(|process| !process.machine.runs().spawn_error().is_empty())
}

/// Whether there is something to stop: it runs, or will again as soon as it is down.
fn is_up(context: &Context<'_>, id: ProcId) -> bool {
    let machine = context.daemon.roster.process(id).map(|process| &process.machine);
    machine.is_some_and(|machine| machine.state().is_running() || machine.is_coming_back())
}

pub(super) fn try_stop(context: &mut Context<'_>, id: ProcId, name: &str) -> Result<(), Fault> {
    let was_to_return = context.daemon.keep_down(id);
    if !is_up(context, id) {
        let waited = context.daemon.give_up_wait(id, context.now);
        return if waited || was_to_return { Ok(()) } else { Err(Code::NotRunning.with(name)) };
    }
    context.daemon.stop_process(id, context.now, context.host).map_err(|text| Code::Failed.with(text))
}

pub(super) fn try_signal(context: &mut Context<'_>, id: ProcId, name: &str, text: &str) -> Result<(), Fault> {
    let signal = match context.daemon.roster.process(id) {
        Some(process) if text == RELOAD => process.config.program.reloadsignal.0,
        _ => signal::parse(text).map_err(|_| Code::BadSignal.with(text))?,
    };
    if !state(context, id).is_signallable() {
        return Err(Code::NotRunning.with(name));
    }
    context.daemon.signal_process(id, signal, context.now, context.host).map_err(|text| Code::Failed.with(text))
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
        return bulk.poll(context.daemon, context.now, &mut context.extensions.looks);
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
