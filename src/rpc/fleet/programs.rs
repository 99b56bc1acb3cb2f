//! Programs of this instance: started with arguments, disabled and enabled, given another number of processes (V-249 to V-251).

use super::control::{answer, arguments};
use super::waits::Goal;
use super::{Code, Context, Fault, Method, OPERATING, Outcome, TaskId, Value, acting, gate, parts, row};
use crate::fleet::acts::Begun;
use crate::rpc::{Guard, check_state, control, text, wait};
use crate::wire::pyrepr;

/// The rows about programs of this instance, in the order of the manual.
pub const METHODS: &[Method] = &[
    Method {
        optional: 1,
        ..row(
            "start_args",
            &["bool", "str", "str", "bool"],
            &["namespec", "extra_args", "wait"],
            "Start a process of this instance with more arguments.",
            start_args,
        )
    },
    Method {
        optional: 2,
        ..row(
            "update_numprocs",
            &["bool", "str", "int", "bool", "bool"],
            &["program", "numprocs", "wait", "lazy"],
            "Give a program another number of processes. Of too many the last are stopped and removed; if it is lazy, only \
             when they stop by themselves.",
            update_numprocs,
        )
    },
    Method {
        optional: 1,
        ..row("enable", &["bool", "str", "bool"], &["program", "wait"], "Let a program be started again.", enable)
    },
    Method {
        optional: 1,
        ..row(
            "disable",
            &["bool", "str", "bool"],
            &["program", "wait"],
            "Stop a program and let nobody start it until it is enabled again, also after the next start of the daemon.",
            disable,
        )
    },
];

fn start_args(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    // As that of the method of Supervisor which it stands for.
    check_state(context, Guard::Running)?;
    let (name, arguments) = (text(params, 0)?, arguments(params, 1)?);
    super::processes(context, name)?;
    let unknown = || Code::BadName.with(format!("namespec={name} unknown to Supervisor"));
    let id = context.daemon.roster.find_process(name).ok_or_else(unknown)?;
    let (fleet, daemon, now, _) = parts!(context);
    let task = fleet.task_of(id).ok_or_else(unknown)?;
    fleet.set_arguments(task, arguments, daemon, now);
    let params = [Value::from(name.to_string()), wait(params, 2).into()];
    let started = control::start_process(context, &params);
    if let Err(fault) = &started
        && matches!(fault.code, Code::NoFile | Code::NotExecutable)
    {
        context.daemon.give_up_start(id, fault.to_string(), context.now, context.host);
    }
    started
}

/// The program of that name (V-203).
fn program<'p>(context: &Context<'_>, params: &'p [Value]) -> Result<&'p str, Fault> {
    let name = text(params, 0)?;
    match context.daemon.roster.processes().any(|(_, process)| process.config.program.name == name) {
        true => Ok(name),
        false => Err(Code::BadName.with(format!("program={name} unknown to Supvisors"))),
    }
}

fn enable(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    let name = program(context, params)?;
    let (fleet, daemon, now, host) = parts!(context);
    fleet.set_disabled(name, false, daemon, now, host);
    Ok(true.into())
}

fn disable(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    let name = program(context, params)?;
    let (fleet, daemon, now, host) = parts!(context);
    let ids: Vec<TaskId> = fleet.set_disabled(name, true, daemon, now, host);
    let (fleet, means) = acting(context)?;
    match fleet.stop_processes_here(&ids, means) {
        Begun::Nothing => Ok(true.into()),
        begun => answer(context, begun, Goal::AreDownHere(ids), wait(params, 1), || Code::Failed.bare(), true.into()),
    }
}

/// The number of processes, as Python's `int` makes it of what was given (V-470).
fn count(name: &str, value: Option<&Value>) -> Result<i64, Fault> {
    let number = match value {
        Some(Value::Int(number)) => Some(*number),
        Some(Value::Bool(truth)) => Some(i64::from(*truth)),
        Some(Value::Double(number)) if number.is_finite() => Some(*number as i64),
        Some(Value::Str(text)) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| *number > 0).ok_or_else(|| {
        let text = match value {
            Some(Value::Str(text)) => text.to_string(),
            Some(other) => pyrepr::value(other),
            None => String::new(),
        };
        Code::IncorrectParameters.with(format!("program={name} incorrect numprocs={text} - integer > 0 expected"))
    })
}

fn update_numprocs(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    let name = program(context, params)?;
    let number = count(name, params.get(1))?;
    let is_fixed = context.daemon.roster.processes().any(|(_, process)| {
        let program = &process.config.program;
        program.name == name && !program.process_name.0.contains("%(process_num)")
    });
    if is_fixed {
        return Err(Code::NotApplicable.with(format!("numprocs not applicable to program={name}")));
    }
    let origin = context.origin();
    let is_lazy = params.len() > 3 && wait(params, 3);
    let (fleet, daemon, now, host) = parts!(context);
    let left = fleet.resize(name, number, origin, daemon, now, host)?;
    if left.is_empty() || is_lazy {
        return Ok(true.into());
    }
    let left: Vec<TaskId> = left.into_iter().filter_map(|id| fleet.task_of(id)).collect();
    let (fleet, means) = acting(context)?;
    let begun = fleet.stop_processes_here(&left, means);
    let goal = Goal::Resized(name.to_string(), left);
    answer(context, begun, goal, wait(params, 2), || Code::Failed.bare(), true.into())
}
