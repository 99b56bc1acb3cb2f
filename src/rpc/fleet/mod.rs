//! The namespace of Supvisors (V-200 to V-265): methods by theme, each file with its rows.

#[cfg(test)]
mod alone;
mod applications;
mod control;
mod daemon;
mod instances;
mod processes;
mod programs;
pub mod publish;
#[cfg(test)]
mod several;
pub mod waits;

use super::{Context, Guard, Method, Outcome};
use crate::config::fleet::{ConciliationStrategy, StartingStrategy};
use crate::fault::{Code, Fault};
use crate::fleet::Fleet;
use crate::fleet::acts::Means;
use crate::id::{PeerId, ProcId};
use crate::model::fleet::phase::Phase;
use crate::model::fleet::view::{AppId, TaskId};
use crate::state::SupervisorState;
use crate::wire::pyrepr;
use crate::wire::value::{Value, record};

/// The rows of all themes, in the order of [`THEMES`].
pub const METHODS: &[&[Method]] = &[
    instances::METHODS,
    applications::METHODS,
    processes::METHODS,
    control::METHODS,
    programs::METHODS,
    daemon::METHODS,
];

/// What each of them is about.
pub const THEMES: &[&str] = &[
    "Those of Supvisors, with `[rpcinterface:supvisors]`: the fleet and its instances.",
    "Supvisors: applications.",
    "Supvisors: processes.",
    "Supvisors: starting and stopping.",
    "Supvisors: programs of this instance.",
    "Supvisors: the fleet as a whole.",
];

/// A row. Methods look at the state of the fleet, not at that of the daemon.
const fn row(
    name: &'static str,
    signature: &'static [&'static str],
    params: &'static [&'static str],
    help: &'static str,
    call: fn(&mut Context<'_>, &[Value]) -> Result<Outcome, Fault>,
) -> Method {
    Method { guard: Guard::Open, ..super::method::row(name, signature, params, help, call) }
}

/// The states in which queries about applications and processes are answered (V-116).
const FROM_DISTRIBUTION: &[Phase] =
    &[Phase::Distribution, Phase::Operation, Phase::Conciliation, Phase::Restarting, Phase::ShuttingDown];
/// Those in which something is started (V-117).
const OPERATING: &[Phase] = &[Phase::Operation];
/// Those in which something is stopped (V-118).
const STOPPING: &[Phase] = &[Phase::Operation, Phase::Conciliation];

/// The fleet. The namespace is there only with it.
fn fleet<'c>(context: &'c mut Context<'_>) -> Result<&'c mut Fleet, Fault> {
    context.extensions.fleet.as_deref_mut().ok_or_else(|| Code::UnknownMethod.bare())
}

/// The same, and what it works with.
macro_rules! parts {
    ($context:ident) => {{
        let fleet = $context.extensions.fleet.as_deref_mut().ok_or_else(|| crate::fault::Code::UnknownMethod.bare())?;
        (fleet, &mut *$context.daemon, $context.now, &mut *$context.host)
    }};
}
use parts;

/// The fleet, and what it carries wishes out with.
fn acting<'c>(context: &'c mut Context<'_>) -> Result<(&'c mut Fleet, Means<'c>), Fault> {
    let (fleet, daemon, now, host) = parts!(context);
    Ok((fleet, Means { daemon, now, host }))
}

/// Refuses in other states than these (V-120).
fn gate(context: &mut Context<'_>, phases: &[Phase]) -> Result<(), Fault> {
    // The end may have begun in this very turn: the fleet hears of it after all calls.
    let least = match context.daemon.state() {
        SupervisorState::Shutdown => Phase::ShuttingDown,
        SupervisorState::Restarting => Phase::Restarting,
        _ => Phase::Off,
    };
    let phase = fleet(context)?.phase().max(least);
    if phases.contains(&phase) {
        return Ok(());
    }
    let names = list(phases.iter().map(|phase| phase.name()));
    let name = phase.name();
    Err(Code::BadSupvisorsState.with(format!("invalid Supvisors state={name} - state expected in {names}")))
}

/// A list of names as Python shows it.
fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.map(pyrepr::text).collect();
    format!("[{}]", names.join(", "))
}

fn strings<'s>(texts: impl IntoIterator<Item = &'s String>) -> Value {
    Value::Array(texts.into_iter().map(|text| Value::from(text.clone())).collect())
}

/// What Python calls the type of a value.
fn class(value: Option<&Value>) -> &'static str {
    match value {
        Some(Value::Bool(_)) => "bool",
        Some(Value::Double(_)) => "float",
        Some(Value::Array(_)) => "list",
        Some(Value::Struct(_)) => "dict",
        _ => "NoneType",
    }
}

/// A value of an enumeration, by name or by number (V-202).
fn enumerated<T: Copy + 'static>(
    value: Option<&Value>,
    enumeration: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, Fault> {
    let wrong = |text: String| Code::IncorrectParameters.with(format!("invalid <enum '{enumeration}'> value={text}"));
    match value {
        Some(Value::Str(text)) => all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| {
            let names = list(all.iter().map(|one| name(*one)));
            wrong(format!("{text} - string expected in {names}"))
        }),
        Some(Value::Int(number)) => {
            let found = usize::try_from(*number).ok().and_then(|at| all.get(at)).copied();
            let numbers: Vec<String> = (0..all.len()).map(|number| number.to_string()).collect();
            found.ok_or_else(|| wrong(format!("{number} - integer expected in [{}]", numbers.join(", "))))
        }
        other => {
            let text = other.map_or("None".to_string(), pyrepr::value);
            Err(wrong(format!("{text} type=<class '{}'> - type string or integer expected", class(other))))
        }
    }
}

fn starting_strategy(value: Option<&Value>) -> Result<StartingStrategy, Fault> {
    enumerated(value, "StartingStrategies", StartingStrategy::ALL, StartingStrategy::name)
}

fn conciliation_strategy(value: Option<&Value>) -> Result<ConciliationStrategy, Fault> {
    enumerated(value, "ConciliationStrategies", ConciliationStrategy::ALL, ConciliationStrategy::name)
}

/// The application of that name (V-203).
fn application(context: &mut Context<'_>, name: &str) -> Result<AppId, Fault> {
    let unknown = || Code::BadName.with(format!("application={name} unknown to Supvisors"));
    fleet(context)?.view().app_named(name).ok_or_else(unknown)
}

/// The application of that name, which has to be managed.
fn managed(context: &mut Context<'_>, name: &str) -> Result<AppId, Fault> {
    let id = application(context, name)?;
    let is_managed = fleet(context)?.application(id).is_some_and(|application| application.rules.managed);
    if is_managed { Ok(id) } else { Err(Code::NotManaged.with(name)) }
}

/// The processes that a namespec stands for: one, or with `group:*` all of an application, by their names (V-203).
fn processes(context: &mut Context<'_>, name: &str) -> Result<Vec<TaskId>, Fault> {
    let spec = crate::namespec::split(name);
    let id = application(context, spec.group)?;
    let Some(app) = fleet(context)?.view().app(id) else { return Ok(Vec::new()) };
    match spec.process {
        None => Ok(app.tasks.values().copied().collect()),
        Some(process) => match app.tasks.get(process) {
            Some(id) => Ok(vec![*id]),
            None => Err(Code::BadName.with(format!("process={process} unknown in application={}", spec.group))),
        },
    }
}

/// All processes, by the names of their applications and their own.
fn all_processes(fleet: &Fleet) -> Vec<TaskId> {
    fleet.view().apps().flat_map(|(_, app)| app.tasks.values().copied()).collect()
}

/// `group:process`, or one of them where both are the same (V-246).
fn namespec(context: &mut Context<'_>, id: TaskId) -> Result<String, Fault> {
    Ok(fleet(context)?.view().namespec(id).unwrap_or_default())
}

/// The instances that a name stands for (V-4, V-203).
fn instances_called(fleet: &Fleet, name: &str) -> Result<Vec<PeerId>, Fault> {
    let found = fleet.called(name);
    if found.is_empty() {
        return Err(Code::BadName.with(format!("identifier={name} is unknown to Supvisors")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-210 to V-258: each method, how many parameters it takes, and how many of them may be left out.
    #[rustfmt::skip]
    const NAMES: [(&str, usize, usize); 43] = [
        ("get_api_version", 0, 0), ("get_supvisors_state", 0, 0), ("get_all_instances_state_modes", 0, 0),
        ("get_instance_state_modes", 1, 0), ("get_master_identifier", 0, 0), ("get_strategies", 0, 0),
        ("get_statistics_status", 0, 0), ("get_network_info", 1, 0), ("get_all_instances_info", 0, 0),
        ("get_instance_info", 1, 0), ("get_all_applications_info", 0, 0), ("get_application_info", 1, 0),
        ("get_application_rules", 1, 0), ("get_all_process_info", 0, 0), ("get_process_info", 1, 0),
        ("get_process_rules", 1, 0), ("get_conflicts", 0, 0), ("get_all_local_process_info", 0, 0),
        ("get_local_process_info", 1, 0), ("get_all_inner_process_info", 1, 0), ("get_inner_process_info", 2, 0),
        ("start_application", 3, 1), ("stop_application", 2, 1), ("restart_application", 3, 1),
        ("test_start_application", 2, 0), ("start_process", 4, 2), ("start_any_process", 4, 2),
        ("stop_process", 2, 1), ("restart_process", 4, 2), ("test_start_process", 2, 0), ("start_args", 3, 1),
        ("update_numprocs", 4, 2), ("enable", 2, 1), ("disable", 2, 1), ("conciliate", 1, 0),
        ("restart_sequence", 1, 1), ("restart", 0, 0), ("shutdown", 0, 0), ("end_sync", 1, 1),
        ("change_log_level", 1, 0), ("enable_host_statistics", 1, 0), ("enable_process_statistics", 1, 0),
        ("update_collecting_period", 1, 0),
    ];

    #[test]
    fn each_method_has_its_row() {
        let mut expected = NAMES.to_vec();
        expected.sort_unstable();
        let rows = METHODS.iter().copied().flatten();
        let mut rows: Vec<(&str, usize, usize)> = rows.map(|row| (row.name, row.params.len(), row.optional)).collect();
        rows.sort_unstable();
        assert_eq!(rows, expected);
        for row in METHODS.iter().copied().flatten() {
            assert_eq!(row.signature.len(), row.params.len() + 1, "{}", row.name);
            assert!(row.help.ends_with('.'), "{}: {}", row.name, row.help);
        }
    }
}
