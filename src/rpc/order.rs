//! `stheno.*` about order (O-1, O-2, O-7, O-8): what depends on what, starts and stops that follow it, and which programs
//! start by themselves.

use super::budget::LOAD_US;
use super::control::{begin_in_order, begin_starts};
use super::method::row;
use super::rolling::Rolling;
use super::{Context, Deferred, Guard, Method, Outcome, wait};
use crate::config::dependency::Dependency;
use crate::daemon::reshape::Wanted;
use crate::daemon::{Daemon, Named};
use crate::fault::{Code, Fault};
use crate::id::ProcId;
use crate::wire::value::Value;

/// Edges that are given out. Ten thousand programs that wait for a group of ten thousand are a hundred million pairs.
const EDGES_MAX: usize = 100_000;

const NAMES: &[&str] = &["array", "array", "boolean"];

const fn about_names(
    name: &'static str,
    help: &'static str,
    call: fn(&mut Context<'_>, &[Value]) -> Result<Outcome, Fault>,
) -> Method {
    Method { optional: 1, ..row(name, NAMES, &["names", "wait"], help, call) }
}

pub const METHODS: &[Method] = &[
    Method {
        guard: Guard::Open,
        ..row(
            "getGraph",
            &["struct"],
            &[],
            "Give what depends on what: nodes, edges, tiers (who may start first, then, …), and stops (who is told to stop \
             first, then, …).",
            graph,
        )
    },
    Method {
        optional: 2,
        ..row(
            "startInOrder",
            &["array", "array", "boolean", "boolean"],
            &["names", "wait", "again"],
            "Start processes or groups, each as soon as what it depends on is as it needs it. With again=true they wait for each \
             other alone: what else is missing they were up without.",
            start_in_order,
        )
    },
    about_names(
        "startWithDependencies",
        "Start processes or groups and what they depend on and is not there yet, each in its turn.",
        start_with_dependencies,
    ),
    Method {
        optional: 2,
        ..row(
            "stopWithDependents",
            &["array", "array", "boolean", "boolean"],
            &["names", "wait", "waiting"],
            "Stop processes or groups after all that depend on them. With waiting=false those of the latter that only wait to be \
             started go on waiting.",
            stop_with_dependents,
        )
    },
    about_names(
        "stopOnly",
        "Stop processes or groups; what depends on them takes no notice until they are RUNNING again.",
        stop_only,
    ),
    Method {
        optional: 2,
        ..row(
            "restartRolling",
            &["array", "array", "int", "double"],
            &["names", "max_unavailable", "timeout"],
            "Restart processes or groups, so many at a time, the next when those are RUNNING. It ends with the first that \
             does not get there, in so many seconds if some are given. With 0 it is the least \
             rolling_max_unavailable of the programs.",
            restart_rolling,
        )
    },
    row(
        "setAutostart",
        &["boolean", "string", "boolean"],
        &["name", "autostart"],
        "Say whether a program is to be started by itself from now on, in place of its option autostart. It is kept in \
         dynamic_conf; nothing is started or stopped.",
        set_autostart,
    ),
];

/// The processes of the names of the first parameter, each once. Faults: BAD_NAME.
fn named(context: &Context<'_>, params: &[Value]) -> Result<Vec<ProcId>, Fault> {
    let Some(Value::Array(names)) = params.first() else { return Err(Code::IncorrectParameters.bare()) };
    let mut found = Vec::new();
    for name in names {
        let name = name.as_str().ok_or_else(|| Code::IncorrectParameters.bare())?;
        match context.daemon.roster.find(name) {
            Some(Named::Process(id)) => found.push(id),
            Some(Named::Group(id)) => found.extend(context.daemon.roster.members_by_priority(id)),
            None if name == "all" => found.extend(context.daemon.roster.processes_by_priority()),
            None => return Err(Code::BadName.with(name)),
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|id| seen.insert(*id));
    Ok(found)
}

fn start_in_order(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = named(context, params)?;
    if params.get(2) == Some(&Value::Bool(true)) {
        context.daemon.ask_to_start_again(&processes, context.now);
    }
    begin_starts(context, processes, wait(params, 1))
}

fn start_with_dependencies(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = named(context, params)?;
    let all = context.daemon.with_missing(&processes, context.now);
    begin_starts(context, all, wait(params, 1))
}

fn stop_with_dependents(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = named(context, params)?;
    let mut all = context.daemon.with_dependents(&processes, context.now);
    if params.get(2) == Some(&Value::Bool(false)) {
        let named: std::collections::BTreeSet<ProcId> = processes.into_iter().collect();
        all.retain(|id| named.contains(id) || !context.daemon.is_waiting(*id));
    }
    begin_in_order(context, all, wait(params, 1))
}

fn stop_only(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = named(context, params)?;
    for id in &processes {
        context.daemon.hush(*id);
    }
    begin_in_order(context, processes, wait(params, 1))
}

fn restart_rolling(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let processes = named(context, params)?;
    let at_a_time = match params.get(1) {
        None | Some(Value::Int(0)) => None,
        Some(Value::Int(number)) if *number > 0 => usize::try_from(*number).ok(),
        Some(_) => {
            return Err(
                Code::IncorrectParameters.with("max_unavailable is a number from 1 on, or 0 for that of the programs")
            );
        }
    };
    let timeout = match params.get(2) {
        None => None,
        Some(Value::Int(secs)) if *secs > 0 => Some(*secs as f64),
        Some(Value::Double(secs)) if *secs > 0.0 && *secs < 1e9 => Some(*secs),
        Some(_) => return Err(Code::IncorrectParameters.with("timeout is a number of seconds")),
    };
    let rolling = Rolling::new(processes, at_a_time, timeout.map(std::time::Duration::from_secs_f64), context)?;
    Deferred::Rolling(Box::new(rolling)).begin(context)
}

fn set_autostart(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = super::text(params, 0)?;
    let Some(Value::Bool(autostart)) = params.get(1) else { return Err(Code::IncorrectParameters.bare()) };
    let ids = match context.daemon.roster.find(name).ok_or_else(|| Code::BadName.with(name))? {
        Named::Process(id) => vec![id],
        Named::Group(id) => context.daemon.roster.members_by_priority(id),
    };
    if context.daemon.dynamic.path().is_none() {
        return Err(Code::Failed.with("no dynamic_conf is configured"));
    }
    let options = [("autostart".to_string(), autostart.to_string())];
    let mut programs = std::collections::BTreeSet::new();
    for id in ids {
        let Some((group, process)) = context.daemon.roster.member(id) else { continue };
        let (group, program) = (group.name().to_string(), process.config.program.name.clone());
        if !programs.insert((group.clone(), program.clone())) {
            continue;
        }
        context.extensions.claims.check(&group, Some(&program))?;
        let wanted = Wanted { program: &program, group: Some(&group), whole: false };
        context.budget.spend(LOAD_US);
        if let Some(change) = context.daemon.with_options(wanted, &options, context.host)? {
            let origin = context.origin();
            // It holds from the next start of the daemon on; who wants it at once says so.
            context.daemon.leave_down(&group, &program, !autostart);
            context.daemon.apply(&change, &origin, context.now, context.host)?;
        }
    }
    Ok(true.into())
}

/// `{nodes: [{name, state, waiting}], edges: [{from, to, condition}], tiers: [[name]], stops: [[name]], truncated}`
fn graph(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    context.daemon.refresh_graph(context.now);
    let daemon = &*context.daemon;
    let name = |id: ProcId| Value::from(daemon.roster.namespec(id).unwrap_or_default());
    let mut edges = Vec::new();
    let mut nodes = Vec::new();
    let mut is_cut = false;
    for (id, _, process) in daemon.roster.processes_by_name() {
        let of_startup = daemon.startup_obstacles(id);
        nodes.push(Value::Struct(vec![
            ("name".into(), name(id)),
            ("state".into(), process.machine.state().name().into()),
            ("waiting".into(), (daemon.is_waiting(id) || !of_startup.is_empty()).into()),
        ]));
        let present =
            daemon.needs_of(id).flat_map(|(item, on)| on.map(move |on| (item.condition.name().into(), name(on))));
        // What has been removed is no node.
        let absent = daemon.absent_of(id).map(|item| (item.condition.name().into(), Value::from(item.name.clone())));
        let of_startup = of_startup.into_iter().map(|(to, states, _)| (Value::from(states), to.into()));
        for (condition, to) in present.chain(absent).chain(of_startup) {
            if edges.len() == EDGES_MAX {
                is_cut = true;
                break;
            }
            edges.push(Value::Struct(vec![
                ("from".into(), name(id)),
                ("to".into(), to),
                ("condition".into(), condition),
            ]));
        }
    }
    let lists = |lists: Vec<Vec<ProcId>>| {
        let lists = lists.into_iter().map(|list| Value::Array(list.into_iter().map(name).collect()));
        Value::Array(lists.collect())
    };
    Ok(Value::Struct(vec![
        ("nodes".into(), Value::Array(nodes)),
        ("edges".into(), Value::Array(edges)),
        ("tiers".into(), lists(daemon.tiers())),
        ("stops".into(), lists(daemon.stop_plan())),
        ("truncated".into(), is_cut.into()),
    ])
    .into())
}

/// What `stheno.getProcessInfo` tells of order: `waiting_for: [{name, condition, state}]`, `depends_on: [{name, condition}]`.
pub(super) fn details(daemon: &Daemon, id: ProcId) -> [(&'static str, Value); 2] {
    let waiting = if daemon.is_waiting(id) { daemon.obstacles_of(id) } else { Vec::new() };
    let waiting = waiting.into_iter().map(|(name, condition, state)| (name, condition.to_string(), state));
    let waiting = waiting.chain(daemon.startup_obstacles(id)).map(|(name, condition, state)| {
        Value::Struct(vec![
            ("name".into(), name.into()),
            ("condition".into(), condition.into()),
            ("state".into(), state.into()),
        ])
    });
    let item = |item: &Dependency| {
        let members = [("name", Value::from(item.name.clone())), ("condition", item.condition.name().into())];
        Value::Struct(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    };
    let items = daemon.items_of(id).map(item).collect();
    [("waiting_for", Value::Array(waiting.collect())), ("depends_on", Value::Array(items))]
}
