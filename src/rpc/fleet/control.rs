//! Applications and processes are started and stopped (V-240 to V-248).

use super::waits::{Goal, Wait};
use super::{
    Code, Context, Fault, GroupId, Method, OPERATING, Outcome, ProcId, STOPPING, StartingStrategy, Value, fleet, gate,
    managed, namespec, parts, processes, record, row, starting_strategy, strings,
};
use crate::fleet::acts::Begun;
use crate::fleet::sequence::NO_PLACE;
use crate::model::fleet::status::ApplicationState;
use crate::rpc::deferred::Deferred;
use crate::rpc::{text, wait};
use crate::state::ProcessState;

/// Bytes of more arguments, as many as a path may have. Each process keeps its own: ten thousand of them forty megabytes.
const EXTRA_ARGS_BYTES_MAX: usize = 4096;

/// The rows.
pub const METHODS: &[Method] = &[
    Method {
        optional: 1,
        ..row(
            "start_application",
            &["boolean", "string|int", "string", "boolean"],
            &["strategy", "application", "wait"],
            "Start a managed application in its sequence.",
            start_application,
        )
    },
    Method {
        optional: 1,
        ..row(
            "stop_application",
            &["boolean", "string", "boolean"],
            &["application", "wait"],
            "Stop a managed application in its sequence.",
            stop_application,
        )
    },
    Method {
        optional: 1,
        ..row(
            "restart_application",
            &["boolean", "string|int", "string", "boolean"],
            &["strategy", "application", "wait"],
            "Stop a managed application, if it runs, and start it.",
            restart_application,
        )
    },
    row(
        "test_start_application",
        &["array", "string|int", "string"],
        &["strategy", "application"],
        "Say where the processes of an application would be started. Nothing is.",
        test_start_application,
    ),
    Method {
        optional: 2,
        ..row(
            "start_process",
            &["boolean", "string|int", "string", "string", "boolean"],
            &["strategy", "namespec", "extra_args", "wait"],
            "Start a process, or all of an application with application:*, with more arguments if there are any.",
            start_process,
        )
    },
    Method {
        optional: 2,
        ..row(
            "start_any_process",
            &["string", "string|int", "string", "string", "boolean"],
            &["strategy", "regex", "extra_args", "wait"],
            "Start the first process that does not run, has a place, and in whose namespec the expression is found.",
            start_any_process,
        )
    },
    Method {
        optional: 1,
        ..row(
            "stop_process",
            &["boolean", "string", "boolean"],
            &["namespec", "wait"],
            "Stop a process, or all of an application with application:*, wherever it runs.",
            stop_process,
        )
    },
    Method {
        optional: 2,
        ..row(
            "restart_process",
            &["boolean", "string|int", "string", "string", "boolean"],
            &["strategy", "namespec", "extra_args", "wait"],
            "Stop a process, if it runs, and start it.",
            restart_process,
        )
    },
    row(
        "test_start_process",
        &["array", "string|int", "string"],
        &["strategy", "namespec"],
        "Say where processes would be started. Nothing is.",
        test_start_process,
    ),
];

/// The answer once what was begun is over, or at once if nobody waits.
pub(super) fn answer(
    context: &mut Context<'_>,
    begun: Begun,
    goal: Goal,
    waits: bool,
    nothing: impl FnOnce() -> Fault,
    answer: Value,
) -> Result<Outcome, Fault> {
    match begun {
        Begun::Nothing => Err(nothing()),
        Begun::TooMuch => Err(Code::Failed.with("too much of that is under way already")),
        Begun::Something(_) if !waits => Ok(answer.into()),
        Begun::Something(ticket) => Deferred::Fleet(Box::new(Wait { ticket, goal, answer })).begin(context),
    }
}

fn state_of(context: &mut Context<'_>, id: GroupId) -> Result<Option<ApplicationState>, Fault> {
    let (fleet, daemon, ..) = parts!(context);
    Ok(fleet.status(daemon, id).map(|status| status.state))
}

fn start_application(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    starting_strategy(params.first())?;
    let name = text(params, 1)?;
    let id = managed(context, name)?;
    if state_of(context, id)? != Some(ApplicationState::Stopped) {
        return Err(Code::AlreadyStarted.with(name));
    }
    let (fleet, daemon, now, host) = parts!(context);
    let begun = fleet.start_application(id, daemon, now, host);
    let failed = || Code::AbnormalTermination.with(format!("failed to start {name}"));
    answer(context, begun, Goal::Up(id, name.to_string()), wait(params, 2), failed, true.into())
}

fn stop_application(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, STOPPING)?;
    let name = text(params, 0)?;
    let id = managed(context, name)?;
    let (fleet, daemon, now, host) = parts!(context);
    let begun = fleet.stop_application(id, daemon, now, host);
    let failed = || Code::NotRunning.with(format!("failed to stop {name}"));
    answer(context, begun, Goal::Down(id, name.to_string()), wait(params, 1), failed, true.into())
}

fn restart_application(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    starting_strategy(params.first())?;
    let name = text(params, 1)?;
    let id = managed(context, name)?;
    let (fleet, daemon, now, host) = parts!(context);
    let begun = fleet.restart_application(id, daemon, now, host);
    let failed = || Code::AbnormalTermination.with(format!("failed to restart {name}"));
    answer(context, begun, Goal::Up(id, name.to_string()), wait(params, 2), failed, true.into())
}

/// Where processes would be started, as it is shown (V-205 T).
fn predicted(
    context: &mut Context<'_>,
    ids: &[ProcId],
    strategy: StartingStrategy,
    waits_for_exit: bool,
) -> Result<Outcome, Fault> {
    let (fleet, daemon, ..) = parts!(context);
    let found = fleet.rehearse(daemon, ids, strategy);
    let own = fleet.own().map(|own| own.identifier.clone());
    let mut all: Vec<(String, String, Value)> = Vec::with_capacity(found.len());
    for (id, has_place) in found {
        let Some((group, process)) = daemon.roster.member(id) else { continue };
        let rules = fleet.application(process.group).and_then(|one| one.processes.get(&id));
        let exits = waits_for_exit && rules.is_some_and(|rules| rules.wait_exit);
        let state = match (has_place, exits) {
            (false, _) => ProcessState::Fatal,
            (true, true) => ProcessState::Exited,
            (true, false) => ProcessState::Running,
        };
        let identifier = own.as_ref().filter(|_| state == ProcessState::Running);
        let value = record([
            ("application_name", group.name().to_string().into()),
            ("process_name", process.config.name.clone().into()),
            ("state", state.name().into()),
            ("forced_reason", if has_place { "" } else { NO_PLACE }.into()),
            ("running_identifiers", strings(identifier)),
        ]);
        all.push((group.name().to_string(), process.config.name.clone(), value));
    }
    all.sort_by(|(group, name, _), (other, second, _)| (group, name).cmp(&(other, second)));
    Ok(Value::Array(all.into_iter().map(|(_, _, value)| value).collect()).into())
}

fn test_start_application(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    let strategy = starting_strategy(params.first())?;
    let name = text(params, 1)?;
    let id = managed(context, name)?;
    if state_of(context, id)? != Some(ApplicationState::Stopped) {
        return Err(Code::AlreadyStarted.with(name));
    }
    let application = fleet(context)?.application(id).cloned();
    let mut planned: Vec<(i64, ProcId)> = application.map_or(Vec::new(), |application| {
        let ranked = application.processes.iter().map(|(id, rules)| (rules.start_sequence, *id));
        ranked.filter(|(rank, _)| *rank > 0).collect()
    });
    planned.sort_unstable();
    let ids: Vec<ProcId> = planned.into_iter().map(|(_, id)| id).collect();
    predicted(context, &ids, strategy, true)
}

fn is_up(context: &Context<'_>, id: ProcId) -> bool {
    let state = context.daemon.roster.process(id).map(|process| process.machine.state());
    state.is_some_and(ProcessState::is_running)
}

/// Faults if one of them runs.
fn none_runs(context: &Context<'_>, ids: &[ProcId]) -> Result<(), Fault> {
    match ids.iter().find(|id| is_up(context, **id)) {
        Some(id) => Err(Code::AlreadyStarted.with(namespec(context, *id))),
        None => Ok(()),
    }
}

/// Gives processes more arguments, or takes them away (V-465).
fn set_arguments(context: &mut Context<'_>, ids: &[ProcId], arguments: &str) {
    for id in ids {
        context.daemon.mark(*id, |marks| arguments.clone_into(&mut marks.extra_args));
    }
}

/// The optional arguments.
pub(super) fn arguments(params: &[Value], index: usize) -> Result<&str, Fault> {
    let arguments = if params.len() > index { text(params, index)? } else { "" };
    if arguments.len() > EXTRA_ARGS_BYTES_MAX {
        return Err(Code::IncorrectParameters.with(format!("extra_args of more than {EXTRA_ARGS_BYTES_MAX} bytes")));
    }
    Ok(arguments)
}

fn start_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    starting_strategy(params.first())?;
    let name = text(params, 1)?;
    let ids = processes(context, name)?;
    none_runs(context, &ids)?;
    start(context, name, ids, arguments(params, 2)?, wait(params, 3), true.into())
}

fn start(
    context: &mut Context<'_>,
    name: &str,
    ids: Vec<ProcId>,
    arguments: &str,
    waits: bool,
    value: Value,
) -> Result<Outcome, Fault> {
    set_arguments(context, &ids, arguments);
    let (fleet, daemon, now, host) = parts!(context);
    let begun = fleet.start_processes(&ids, daemon, now, host);
    let failed = || Code::AbnormalTermination.with(format!("failed to start {name}"));
    answer(context, begun, Goal::AreUp(ids), waits, failed, value)
}

fn start_any_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    let strategy = starting_strategy(params.first())?;
    let pattern = text(params, 1)?;
    let wrong = |error| Code::IncorrectParameters.with(format!("regex={pattern}: {error}"));
    let regex = crate::wire::pattern::pattern(pattern).map_err(wrong)?;
    let candidates: Vec<ProcId> = context
        .daemon
        .roster
        .processes_by_name()
        .filter(|(_, _, process)| process.machine.state().is_stopped())
        .map(|(id, ..)| id)
        .filter(|id| regex.is_match(&namespec(context, *id)))
        .collect();
    let (fleet, daemon, ..) = parts!(context);
    let found = candidates
        .into_iter()
        .find(|id| fleet.rehearse(daemon, &[*id], strategy).first().is_some_and(|(_, has_place)| *has_place));
    let Some(id) = found else {
        return Err(Code::Failed.with(format!("no candidate process matching \"{pattern}\"")));
    };
    let name = namespec(context, id);
    start(context, &name.clone(), vec![id], arguments(params, 2)?, wait(params, 3), name.into())
}

fn stop_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, STOPPING)?;
    let name = text(params, 0)?;
    let ids = processes(context, name)?;
    let (fleet, daemon, now, host) = parts!(context);
    let begun = fleet.stop_processes(&ids, daemon, now, host);
    let failed = || Code::NotRunning.with(format!("{name} already stopped"));
    answer(context, begun, Goal::AreDown(ids), wait(params, 1), failed, true.into())
}

fn restart_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    starting_strategy(params.first())?;
    let name = text(params, 1)?;
    let ids = processes(context, name)?;
    set_arguments(context, &ids, arguments(params, 2)?);
    let (fleet, daemon, now, host) = parts!(context);
    let begun = fleet.restart_processes(&ids, daemon, now, host);
    let failed = || Code::AbnormalTermination.with(format!("failed to restart {name}"));
    answer(context, begun, Goal::AreUp(ids), wait(params, 3), failed, true.into())
}

fn test_start_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    let strategy = starting_strategy(params.first())?;
    let ids = processes(context, text(params, 1)?)?;
    none_runs(context, &ids)?;
    predicted(context, &ids, strategy, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_an_end() {
        let of = |bytes: usize| [Value::from("-".repeat(bytes))];
        assert_eq!(arguments(&of(EXTRA_ARGS_BYTES_MAX), 0).map(str::len), Ok(EXTRA_ARGS_BYTES_MAX));
        assert_eq!(arguments(&[], 0), Ok(""));
        let fault = arguments(&of(EXTRA_ARGS_BYTES_MAX + 1), 0).unwrap_err();
        assert_eq!(fault.to_string(), "INCORRECT_PARAMETERS: extra_args of more than 4096 bytes");
    }
}
