//! What processes are like, and their rules (V-223 to V-230).

use std::borrow::Cow;

use super::{
    Code, Context, FROM_DISTRIBUTION, Fault, Method, Outcome, ProcId, Value, gate, parts, processes, record, row,
    strings,
};
use crate::fleet::sequence::NO_PLACE;
use crate::fleet::view::{seconds, was_expected};
use crate::rpc::text;
use crate::state::ProcessState;

/// The rows.
pub const METHODS: &[Method] = &[
    row("get_all_process_info", &["array"], &[], "Give the state of all processes over all instances.", all_info),
    row(
        "get_process_info",
        &["array", "string"],
        &["namespec"],
        "Give the state of a process over all instances, or of all of an application with application:*.",
        info,
    ),
    row("get_process_rules", &["array", "string"], &["namespec"], "Give the rules of processes.", rules),
    row(
        "get_conflicts",
        &["array"],
        &[],
        "Give the processes of managed applications that run more than once.",
        conflicts,
    ),
    row("get_all_local_process_info", &["array"], &[], "Give what this instance knows of its processes.", all_local),
    row(
        "get_local_process_info",
        &["struct", "string"],
        &["namespec"],
        "Give what this instance knows of a process.",
        local,
    ),
    row(
        "get_all_inner_process_info",
        &["array", "string"],
        &["identifier"],
        "Give what is known of the processes of an instance.",
        all_inner,
    ),
    row(
        "get_inner_process_info",
        &["array", "string", "string"],
        &["identifier", "namespec"],
        "Give what is known of processes of an instance.",
        inner,
    ),
];

/// All processes, by the names of their applications and their own.
fn all(context: &Context<'_>) -> Vec<ProcId> {
    context.daemon.roster.processes_by_name().map(|(id, ..)| id).collect()
}

/// A process over all instances (V-205 PR).
fn described(context: &mut Context<'_>, id: ProcId) -> Result<Value, Fault> {
    let (fleet, daemon, now, _) = parts!(context);
    let (group, process) = daemon.roster.member(id).ok_or_else(|| Code::BadName.bare())?;
    let shown = fleet.shown(daemon, id);
    let own = process.machine.state();
    let is_there = own.is_running() || own == ProcessState::Stopping;
    let identifier = fleet.own().map(|own| &own.identifier).filter(|_| is_there);
    Ok(record([
        ("application_name", group.name().to_string().into()),
        ("process_name", process.config.name.clone().into()),
        ("now_monotonic", Value::Double(seconds(now.mono))),
        ("statecode", shown.code().into()),
        ("statename", shown.name().into()),
        ("expected_exit", was_expected(process).into()),
        ("last_event_mtime", Value::Double(fleet.last_change(id))),
        ("identifiers", strings(identifier)),
        ("extra_args", process.marks().extra_args.clone().into()),
    ]))
}

fn described_all(context: &mut Context<'_>, ids: Vec<ProcId>) -> Result<Outcome, Fault> {
    let all: Result<Vec<Value>, Fault> = ids.into_iter().map(|id| described(context, id)).collect();
    Ok(Value::Array(all?).into())
}

fn all_info(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    gate(context, FROM_DISTRIBUTION)?;
    let ids = all(context);
    described_all(context, ids)
}

fn info(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, FROM_DISTRIBUTION)?;
    let ids = processes(context, text(params, 0)?)?;
    described_all(context, ids)
}

/// Alone nothing runs twice.
fn conflicts(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    gate(context, FROM_DISTRIBUTION)?;
    Ok(Value::Array(Vec::new()).into())
}

fn rules(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, FROM_DISTRIBUTION)?;
    let ids = processes(context, text(params, 0)?)?;
    let (fleet, daemon, ..) = parts!(context);
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        let Some((group, process)) = daemon.roster.member(id) else { continue };
        let Some(rules) = fleet.application(process.group).and_then(|one| one.processes.get(&id)) else { continue };
        all.push(record([
            ("application_name", group.name().to_string().into()),
            ("process_name", process.config.name.clone().into()),
            ("identifiers", strings(&fleet.identifiers_of_process(daemon, id))),
            ("start_sequence", rules.start_sequence.into()),
            ("stop_sequence", rules.stop_sequence.into()),
            ("required", rules.required.into()),
            ("wait_exit", rules.wait_exit.into()),
            ("expected_loading", rules.expected_loading.into()),
            ("starting_failure_strategy", rules.starting_failure.name().into()),
            ("running_failure_strategy", rules.running_failure.name().into()),
        ]));
    }
    Ok(Value::Array(all).into())
}

/// What this instance knows of a process (V-205 L), and with `inner` what it would tell others (M).
fn known(context: &mut Context<'_>, id: ProcId, is_inner: bool) -> Result<Value, Fault> {
    let (fleet, daemon, now, host) = parts!(context);
    let Some((_, process)) = daemon.roster.member(id) else { return Err(Code::BadName.bare()) };
    let info = daemon.info(id, now, host).ok_or_else(|| Code::BadName.bare())?;
    let machine = &process.machine;
    // A start that could not be tried shows here, too; one that had no place elsewhere does not (V-264).
    let forced = fleet.forced(id).filter(|forced| forced.state == ProcessState::Fatal && forced.reason != NO_PLACE);
    let state = forced.map_or(info.state, |forced| forced.state);
    let spawnerr = forced.map_or(info.spawnerr.to_string(), |forced| forced.reason.clone());
    let description = forced.map_or(info.description.clone(), |forced| forced.reason.clone());
    let stop_ago = (now.wall.secs() - machine.runs().stop_secs()).max(0) as f64;
    let stop_mono = if machine.runs().stop_secs() == 0 { 0.0 } else { (seconds(now.mono) - stop_ago).max(0.0) };
    let start_mono = machine.runs().started().map_or(0.0, seconds);
    let is_expected = if is_inner { was_expected(process) } else { spawnerr.is_empty() };
    let has_log = |path: &str| !path.is_empty();
    let program = &process.config.program;
    let mut members: Vec<(Cow<'static, str>, Value)> = vec![
        ("name".into(), info.name.to_string().into()),
        ("group".into(), info.group.to_string().into()),
        ("state".into(), state.code().into()),
        ("statename".into(), state.name().into()),
        ("start".into(), info.start.into()),
        ("stop".into(), info.stop.into()),
        ("now".into(), info.now.into()),
        ("pid".into(), info.pid.into()),
        ("description".into(), description.into()),
        ("spawnerr".into(), spawnerr.into()),
        ("expected".into(), is_expected.into()),
        ("start_monotonic".into(), Value::Double(start_mono)),
        ("stop_monotonic".into(), Value::Double(stop_mono)),
        ("now_monotonic".into(), Value::Double(seconds(now.mono))),
        ("extra_args".into(), process.marks().extra_args.clone().into()),
        ("startsecs".into(), program.startsecs.into()),
        ("stopwaitsecs".into(), program.stopwaitsecs.into()),
        ("process_index".into(), (process.config.number - program.numprocs_start).into()),
        ("program_name".into(), program.name.clone().into()),
        ("disabled".into(), process.marks().is_disabled.into()),
        ("has_stdout".into(), has_log(info.stdout_logfile).into()),
        ("has_stderr".into(), has_log(info.stderr_logfile).into()),
    ];
    if is_inner {
        let is_up = matches!(state, ProcessState::Running | ProcessState::Stopping);
        let uptime = if is_up { (info.now - info.start).max(0) } else { 0 };
        members.push(("local_mtime".into(), Value::Double(fleet.last_change(id))));
        members.push(("event_time".into(), Value::Double(fleet.last_change(id))));
        members.push(("uptime".into(), uptime.into()));
        members.push(("has_crashed".into(), process.marks().has_crashed.into()));
    }
    Ok(Value::Struct(members))
}

fn known_all(context: &mut Context<'_>, ids: Vec<ProcId>, is_inner: bool) -> Result<Outcome, Fault> {
    let all: Result<Vec<Value>, Fault> = ids.into_iter().map(|id| known(context, id, is_inner)).collect();
    Ok(Value::Array(all?).into())
}

fn all_local(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let ids = all(context);
    known_all(context, ids, false)
}

fn local(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let id = context.daemon.roster.find_process(name).ok_or_else(|| Code::BadName.with(name))?;
    Ok(known(context, id, false)?.into())
}

/// Whether an identifier stands for this instance; of others nothing is known.
fn is_own(context: &mut Context<'_>, name: &str) -> Result<bool, Fault> {
    let (fleet, ..) = parts!(context);
    let found = fleet.instances_called(name);
    if found.is_empty() {
        return Err(Code::BadName.with(format!("identifier={name} is unknown to Supvisors")));
    }
    Ok(found.iter().any(|(_, own)| *own))
}

fn all_inner(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let ids = if is_own(context, text(params, 0)?)? { all(context) } else { Vec::new() };
    known_all(context, ids, true)
}

fn inner(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (identifier, name) = (text(params, 0)?, text(params, 1)?);
    let own = is_own(context, identifier)?;
    let ids = processes(context, name)?;
    if !own && crate::namespec::split(name).process.is_some() {
        return Err(Code::Failed.with(format!("{name} unknown on {identifier}")));
    }
    known_all(context, if own { ids } else { Vec::new() }, true)
}
