//! What processes are like, and their rules (V-223 to V-230).

use std::borrow::Cow;

use super::{
    Code, Context, FROM_DISTRIBUTION, Fault, Fleet, Method, Outcome, PeerId, ProcId, TaskId, Value, all_processes,
    fleet, gate, instances_called, parts, processes, record, row, strings,
};
use crate::clock::Now;
use crate::daemon::Host;
use crate::daemon::info::uptime;
use crate::fleet::sequence::NO_PLACE;
use crate::fleet::view::seconds;
use crate::model::fleet::view::Known;
use crate::rpc::text;
use crate::state::ProcessState;
use crate::wire::fleet::report::Record;

/// The rows about processes, in the order of the manual.
pub const METHODS: &[Method] = &[
    row(
        "get_all_process_info",
        &["list[dict[str, Any]]"],
        &[],
        "Give the state of all processes over all instances.",
        all_info,
    ),
    row(
        "get_process_info",
        &["list[dict[str, Any]]", "str"],
        &["namespec"],
        "Give the state of a process over all instances, or of all of an application with application:*.",
        info,
    ),
    row("get_process_rules", &["list[dict[str, Any]]", "str"], &["namespec"], "Give the rules of processes.", rules),
    row(
        "get_conflicts",
        &["list[dict[str, Any]]"],
        &[],
        "Give the processes of managed applications that run more than once.",
        conflicts,
    ),
    row(
        "get_all_local_process_info",
        &["list[dict[str, Any]]"],
        &[],
        "Give what this instance knows of its processes.",
        all_local,
    ),
    row(
        "get_local_process_info",
        &["dict[str, Any]", "str"],
        &["namespec"],
        "Give what this instance knows of a process.",
        local,
    ),
    row(
        "get_all_inner_process_info",
        &["list[dict[str, Any]]", "str"],
        &["identifier"],
        "Give what is known of the processes of an instance.",
        all_inner,
    ),
    row(
        "get_inner_process_info",
        &["list[dict[str, Any]]", "str", "str"],
        &["identifier", "namespec"],
        "Give what is known of processes of an instance.",
        inner,
    ),
];

/// A process over all instances (V-205 PR).
fn described(fleet: &Fleet, id: TaskId, now: Now) -> Option<Value> {
    let task = fleet.view().task(id)?;
    let (group, name) = fleet.view().names(id)?;
    let shown = task.shown();
    let running = task.running().filter_map(|peer| Some(&fleet.member(peer)?.who.identifier));
    Some(record([
        ("application_name", group.to_string().into()),
        ("process_name", name.to_string().into()),
        ("now_monotonic", Value::Double(seconds(now.mono))),
        ("statecode", shown.code().into()),
        ("statename", shown.name().into()),
        ("expected_exit", task.expected().into()),
        ("last_event_mtime", Value::Double(seconds(task.last_change()))),
        ("identifiers", strings(running)),
        ("extra_args", fleet.extra_args(id).to_string().into()),
    ]))
}

fn described_all(context: &mut Context<'_>, ids: Vec<TaskId>) -> Result<Outcome, Fault> {
    let now = context.now;
    let fleet = fleet(context)?;
    Ok(Value::Array(ids.into_iter().filter_map(|id| described(fleet, id, now)).collect()).into())
}

fn all_info(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    gate(context, FROM_DISTRIBUTION)?;
    let ids = all_processes(fleet(context)?);
    described_all(context, ids)
}

fn info(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, FROM_DISTRIBUTION)?;
    let ids = processes(context, text(params, 0)?)?;
    described_all(context, ids)
}

fn conflicts(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    gate(context, FROM_DISTRIBUTION)?;
    let ids: Vec<TaskId> = fleet(context)?.conflicts().collect();
    described_all(context, ids)
}

fn rules(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, FROM_DISTRIBUTION)?;
    let ids = processes(context, text(params, 0)?)?;
    let fleet = fleet(context)?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        let Some((group, name)) = fleet.view().names(id) else { continue };
        let Some(rules) = fleet.rules_of(id) else { continue };
        all.push(record([
            ("application_name", group.to_string().into()),
            ("process_name", name.to_string().into()),
            ("identifiers", strings(&fleet.identifiers_of_task(id))),
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

/// What is said of a process beside its record: who says it, and at which time of both its clocks.
struct Told<'t> {
    group: &'t str,
    name: &'t str,
    /// Seconds since the epoch.
    now: i64,
    /// Nanoseconds of the clock that cannot be set.
    clock: u64,
    description: String,
}

/// What an instance knows of a process (V-205 L).
fn known(record: &Record, told: Told<'_>, is_expected: bool) -> Vec<(Cow<'static, str>, Value)> {
    let stop_ago = (told.now - record.stop).max(0) as f64;
    let clock = told.clock as f64 / 1e9;
    let stop_mono = if record.stop == 0 { 0.0 } else { (clock - stop_ago).max(0.0) };
    vec![
        ("name".into(), told.name.to_string().into()),
        ("group".into(), told.group.to_string().into()),
        ("state".into(), record.state.code().into()),
        ("statename".into(), record.state.name().into()),
        ("start".into(), record.start.into()),
        ("stop".into(), record.stop.into()),
        ("now".into(), told.now.into()),
        ("pid".into(), record.pid.into()),
        ("description".into(), told.description.into()),
        ("spawnerr".into(), record.spawnerr.clone().into()),
        ("expected".into(), is_expected.into()),
        ("start_monotonic".into(), Value::Double(record.started as f64 / 1e9)),
        ("stop_monotonic".into(), Value::Double(stop_mono)),
        ("now_monotonic".into(), Value::Double(clock)),
        ("extra_args".into(), record.extra_args.clone().into()),
        ("startsecs".into(), record.startsecs.into()),
        ("stopwaitsecs".into(), record.stopwaitsecs.into()),
        ("process_index".into(), record.index.into()),
        ("program_name".into(), record.program.clone().into()),
        ("disabled".into(), record.is_disabled.into()),
        ("has_stdout".into(), record.has_stdout.into()),
        ("has_stderr".into(), record.has_stderr.into()),
    ]
}

/// What this instance knows of one of its own processes.
fn known_here(context: &mut Context<'_>, id: ProcId) -> Result<Value, Fault> {
    let (fleet, daemon, now, host) = parts!(context);
    let missing = || Code::BadName.bare();
    let info = daemon.info(id, now, host).ok_or_else(missing)?;
    let task = fleet.task_of(id).ok_or_else(missing)?;
    let mut record = fleet.own_record(daemon, id, now).ok_or_else(missing)?;
    (record.state, record.start, record.stop) = (info.state, info.start, info.stop);
    let mut told =
        Told { group: info.group, name: info.name, now: info.now, clock: now.mono.0, description: info.description };
    // A start that could not be tried shows here, too; one that had no place elsewhere does not (V-264).
    let forced = fleet.view().task(task).and_then(|task| task.forced.as_ref());
    if let Some(forced) = forced.filter(|one| one.state == ProcessState::Fatal && one.reason != NO_PLACE) {
        (record.state, record.spawnerr) = (forced.state, forced.reason.clone());
        told.description.clone_from(&forced.reason);
    }
    let is_expected = record.spawnerr.is_empty();
    Ok(Value::Struct(known(&record, told, is_expected)))
}

/// What another one would show as its description.
fn description(record: &Record, name: &str, clock: u64, host: &mut dyn Host) -> String {
    match record.state {
        ProcessState::Running => {
            let secs = clock.saturating_sub(record.started) / 1_000_000_000;
            format!("pid {}, uptime {}", record.pid, uptime(i64::try_from(secs).unwrap_or(i64::MAX)))
        }
        ProcessState::Fatal | ProcessState::Backoff if record.spawnerr.is_empty() => {
            format!("unknown error (try \"tail {name}\")")
        }
        ProcessState::Fatal | ProcessState::Backoff => record.spawnerr.clone(),
        ProcessState::Stopped | ProcessState::Exited if record.started == 0 => "Not started".to_string(),
        ProcessState::Stopped | ProcessState::Exited => host.local_short(record.stop),
        ProcessState::Starting | ProcessState::Stopping | ProcessState::Unknown => String::new(),
    }
}

/// What is known here of a process of an instance (V-205 M).
fn known_there(fleet: &Fleet, id: TaskId, one: &Known, now: Now, host: &mut dyn Host) -> Option<Value> {
    let member = fleet.member(one.peer)?;
    let (group, name) = fleet.view().names(id)?;
    let clock = member.clock(now);
    let since_begin = member.about.as_ref().map_or(0, |about| clock.saturating_sub(about.began) / 1_000_000_000);
    let began = member.about.as_ref().map_or(0, |about| about.began_wall);
    let told = Told {
        group,
        name,
        now: began.saturating_add(i64::try_from(since_begin).unwrap_or(0)),
        clock,
        description: description(&one.record, name, clock, host),
    };
    let mut members = known(&one.record, told, one.record.expected);
    members.push(("local_mtime".into(), Value::Double(seconds(one.at))));
    members.push(("event_time".into(), Value::Double(one.record.changed as f64 / 1e9)));
    members.push(("uptime".into(), fleet.uptime(one, now).into()));
    members.push(("has_crashed".into(), one.record.has_crashed.into()));
    Some(Value::Struct(members))
}

fn all_local(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    // What was added in this very turn is known from the next one on.
    let ids: Vec<ProcId> = context.daemon.roster.processes_by_name().map(|(id, ..)| id).collect();
    let fleet = fleet(context)?;
    let ids: Vec<ProcId> = ids.into_iter().filter(|id| fleet.task_of(*id).is_some()).collect();
    let all: Result<Vec<Value>, Fault> = ids.into_iter().map(|id| known_here(context, id)).collect();
    Ok(Value::Array(all?).into())
}

fn local(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let id = context.daemon.roster.find_process(name).ok_or_else(|| Code::BadName.with(name))?;
    Ok(known_here(context, id)?.into())
}

/// What is known of processes of instances; what an instance does not have is left out.
fn known_all(context: &mut Context<'_>, peers: &[PeerId], ids: &[TaskId]) -> Result<Vec<Value>, Fault> {
    let (fleet, _, now, host) = parts!(context);
    let mut all = Vec::new();
    for peer in peers {
        for id in ids {
            let one = fleet.view().task(*id).and_then(|task| task.on(*peer));
            all.extend(one.and_then(|one| known_there(fleet, *id, one, now, host)));
        }
    }
    Ok(all)
}

fn all_inner(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let fleet = fleet(context)?;
    let peers = instances_called(fleet, text(params, 0)?)?;
    let ids = all_processes(fleet);
    Ok(Value::Array(known_all(context, &peers, &ids)?).into())
}

fn inner(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (identifier, name) = (text(params, 0)?, text(params, 1)?);
    let peers = instances_called(fleet(context)?, identifier)?;
    let ids = processes(context, name)?;
    let all = known_all(context, &peers, &ids)?;
    if all.is_empty() && crate::namespec::split(name).process.is_some() {
        return Err(Code::Failed.with(format!("{name} unknown on {identifier}")));
    }
    Ok(Value::Array(all).into())
}
