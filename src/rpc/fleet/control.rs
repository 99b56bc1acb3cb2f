//! Applications and processes are started and stopped (V-240 to V-248).

use super::waits::{Goal, Wait};
use super::{
    AppId, Code, Context, Fault, Method, OPERATING, Outcome, STOPPING, StartingStrategy, TaskId, Value, acting,
    all_processes, fleet, gate, managed, namespec, parts, processes, record, row, starting_strategy, strings,
};
use crate::fleet::acts::Begun;
use crate::fleet::sequence::NO_PLACE;
use crate::model::fleet::status::ApplicationState;
use crate::rpc::deferred::Deferred;
use crate::rpc::{text, wait};
use crate::state::ProcessState;

/// Bytes of more arguments, as many as a path may have. Each process keeps its own: ten thousand of them forty megabytes.
const EXTRA_ARGS_BYTES_MAX: usize = 4096;

/// The rows that start and stop, in the order of the manual.
pub const METHODS: &[Method] = &[
    Method {
        optional: 1,
        ..row(
            "start_application",
            &["bool", "StartingStrategies", "str", "bool"],
            &["strategy", "application", "wait"],
            "Start a managed application in its sequence.",
            start_application,
        )
    },
    Method {
        optional: 1,
        ..row(
            "stop_application",
            &["bool", "str", "bool"],
            &["application", "wait"],
            "Stop a managed application in its sequence.",
            stop_application,
        )
    },
    Method {
        optional: 1,
        ..row(
            "restart_application",
            &["bool", "StartingStrategies", "str", "bool"],
            &["strategy", "application", "wait"],
            "Stop a managed application, if it runs, and start it.",
            restart_application,
        )
    },
    row(
        "test_start_application",
        &["list[dict[str, Any]]", "StartingStrategies", "str"],
        &["strategy", "application"],
        "Say where the processes of an application would be started. Nothing is.",
        test_start_application,
    ),
    Method {
        optional: 2,
        ..row(
            "start_process",
            &["bool", "StartingStrategies", "str", "str", "bool"],
            &["strategy", "namespec", "extra_args", "wait"],
            "Start a process, or all of an application with application:*, with more arguments if there are any.",
            start_process,
        )
    },
    Method {
        optional: 2,
        ..row(
            "start_any_process",
            &["str", "StartingStrategies", "str", "str", "bool"],
            &["strategy", "regex", "extra_args", "wait"],
            "Start the first process that does not run, has a place, and in whose namespec the expression is found.",
            start_any_process,
        )
    },
    Method {
        optional: 1,
        ..row(
            "stop_process",
            &["bool", "str", "bool"],
            &["namespec", "wait"],
            "Stop a process, or all of an application with application:*, wherever it runs.",
            stop_process,
        )
    },
    Method {
        optional: 2,
        ..row(
            "restart_process",
            &["bool", "StartingStrategies", "str", "str", "bool"],
            &["strategy", "namespec", "extra_args", "wait"],
            "Stop a process, if it runs, and start it.",
            restart_process,
        )
    },
    row(
        "test_start_process",
        &["list[dict[str, Any]]", "StartingStrategies", "str"],
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

fn state_of(context: &mut Context<'_>, id: AppId) -> Result<Option<ApplicationState>, Fault> {
    Ok(fleet(context)?.status(id).map(|status| status.state))
}

fn start_application(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    let strategy = starting_strategy(params.first())?;
    let name = text(params, 1)?;
    let id = managed(context, name)?;
    if state_of(context, id)? != Some(ApplicationState::Stopped) {
        return Err(Code::AlreadyStarted.with(name));
    }
    let (fleet, means) = acting(context)?;
    let begun = fleet.start_application(id, Some(strategy), means);
    let failed = || Code::AbnormalTermination.with(format!("failed to start {name}"));
    answer(context, begun, Goal::Up(id, name.to_string()), wait(params, 2), failed, true.into())
}

fn stop_application(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, STOPPING)?;
    let name = text(params, 0)?;
    let id = managed(context, name)?;
    let (fleet, means) = acting(context)?;
    let begun = fleet.stop_application(id, means);
    let failed = || Code::NotRunning.with(format!("failed to stop {name}"));
    answer(context, begun, Goal::Down(id, name.to_string()), wait(params, 1), failed, true.into())
}

fn restart_application(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    let strategy = starting_strategy(params.first())?;
    let name = text(params, 1)?;
    let id = managed(context, name)?;
    let (fleet, means) = acting(context)?;
    let begun = fleet.restart_application(id, Some(strategy), means);
    let failed = || Code::AbnormalTermination.with(format!("failed to restart {name}"));
    answer(context, begun, Goal::Up(id, name.to_string()), wait(params, 2), failed, true.into())
}

/// Where processes would be started, as it is shown (V-205 T).
fn predicted(
    context: &mut Context<'_>,
    ids: &[TaskId],
    strategy: StartingStrategy,
    waits_for_exit: bool,
) -> Result<Outcome, Fault> {
    let fleet = fleet(context)?;
    let found = fleet.rehearse(ids, strategy);
    let mut all: Vec<(String, String, Value)> = Vec::with_capacity(found.len());
    for (id, place) in found {
        let Some((group, name)) = fleet.view().names(id) else { continue };
        let exits = waits_for_exit && fleet.rules_of(id).is_some_and(|rules| rules.wait_exit);
        let state = match (place, exits) {
            (None, _) => ProcessState::Fatal,
            (Some(_), true) => ProcessState::Exited,
            (Some(_), false) => ProcessState::Running,
        };
        let member = place.and_then(|place| fleet.member(place));
        let value = record([
            ("application_name", group.to_string().into()),
            ("process_name", name.to_string().into()),
            ("state", state.name().into()),
            ("forced_reason", if place.is_some() { "" } else { NO_PLACE }.into()),
            ("running_identifiers", strings(member.map(|member| &member.who.identifier))),
        ]);
        all.push((group.to_string(), name.to_string(), value));
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
    let application = fleet(context)?.application(id);
    let mut planned: Vec<(i64, TaskId)> = application.map_or(Vec::new(), |application| {
        let ranked = application.tasks.iter().map(|(id, rules)| (rules.start_sequence, *id));
        ranked.filter(|(rank, _)| *rank > 0).collect()
    });
    planned.sort_unstable();
    let ids: Vec<TaskId> = planned.into_iter().map(|(_, id)| id).collect();
    predicted(context, &ids, strategy, true)
}

/// Faults if one of them runs.
fn none_runs(context: &mut Context<'_>, ids: &[TaskId]) -> Result<(), Fault> {
    let fleet = fleet(context)?;
    let is_up = |id: &&TaskId| fleet.view().task(**id).is_some_and(|task| task.is_running());
    match ids.iter().find(is_up).copied() {
        Some(id) => Err(Code::AlreadyStarted.with(namespec(context, id)?)),
        None => Ok(()),
    }
}

/// Gives processes more arguments, or takes them away (V-465).
fn set_arguments(context: &mut Context<'_>, ids: &[TaskId], arguments: &str) -> Result<(), Fault> {
    let (fleet, daemon, now, _) = parts!(context);
    for id in ids {
        if fleet.extra_args(*id) != arguments {
            fleet.set_arguments(*id, arguments, daemon, now);
        }
    }
    Ok(())
}

/// The parameter at `index`, which may be left out, as more arguments for a command line; too long is a fault.
pub(super) fn arguments(params: &[Value], index: usize) -> Result<&str, Fault> {
    let arguments = if params.len() > index { text(params, index)? } else { "" };
    if arguments.len() > EXTRA_ARGS_BYTES_MAX {
        return Err(Code::IncorrectParameters.with(format!("extra_args of more than {EXTRA_ARGS_BYTES_MAX} bytes")));
    }
    Ok(arguments)
}

fn start_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    let strategy = starting_strategy(params.first())?;
    let name = text(params, 1)?;
    let ids = processes(context, name)?;
    none_runs(context, &ids)?;
    start(context, Wanted { name, ids, strategy }, arguments(params, 2)?, wait(params, 3), true.into())
}

/// Processes that are to be started, and under which name.
struct Wanted<'n> {
    name: &'n str,
    ids: Vec<TaskId>,
    strategy: StartingStrategy,
}

fn start(
    context: &mut Context<'_>,
    Wanted { name, ids, strategy }: Wanted<'_>,
    arguments: &str,
    waits: bool,
    value: Value,
) -> Result<Outcome, Fault> {
    set_arguments(context, &ids, arguments)?;
    let (fleet, means) = acting(context)?;
    let begun = fleet.start_processes(&ids, strategy, means);
    let failed = || Code::AbnormalTermination.with(format!("failed to start {name}"));
    answer(context, begun, Goal::AreUp(ids), waits, failed, value)
}

fn start_any_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    let strategy = starting_strategy(params.first())?;
    let pattern = text(params, 1)?;
    let wrong = |error| Code::IncorrectParameters.with(format!("regex={pattern}: {error}"));
    let regex = crate::wire::pattern::pattern(pattern).map_err(wrong)?;
    let fleet = fleet(context)?;
    let is_meant = |id: &TaskId| {
        fleet.view().task(*id).is_some_and(|task| !task.is_running())
            && fleet.view().namespec(*id).is_some_and(|name| regex.is_match(&name))
    };
    let candidates: Vec<TaskId> = all_processes(fleet).into_iter().filter(is_meant).collect();
    let Some(id) = fleet.first_with_place(&candidates, strategy) else {
        return Err(Code::Failed.with(format!("no candidate process matching \"{pattern}\"")));
    };
    let name = namespec(context, id)?;
    let wanted = Wanted { name: &name, ids: vec![id], strategy };
    start(context, wanted, arguments(params, 2)?, wait(params, 3), name.clone().into())
}

fn stop_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, STOPPING)?;
    let name = text(params, 0)?;
    let ids = processes(context, name)?;
    let (fleet, means) = acting(context)?;
    let begun = fleet.stop_processes(&ids, means);
    let failed = || Code::NotRunning.with(format!("{name} already stopped"));
    answer(context, begun, Goal::AreDown(ids), wait(params, 1), failed, true.into())
}

fn restart_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    let strategy = starting_strategy(params.first())?;
    let name = text(params, 1)?;
    let ids = processes(context, name)?;
    set_arguments(context, &ids, arguments(params, 2)?)?;
    let (fleet, means) = acting(context)?;
    let begun = fleet.restart_processes(&ids, strategy, means);
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
