//! The fleet and its instances (V-210 to V-219).

use std::borrow::Cow;

use super::{Context, Fault, Fleet, Method, Outcome, Value, fleet, parts, record, row, strings};
use crate::clock::Now;
use crate::config::fleet::{Instance, Nic};
use crate::daemon::Daemon;
use crate::fault::Code;
use crate::fleet::view::seconds;
use crate::rpc::text;

/// The version of Supvisors that this is like.
const API_VERSION: &str = "0.19";

/// The rows.
pub const METHODS: &[Method] = &[
    row("get_api_version", &["string"], &[], "Give the version of this interface.", |_, _| Ok(API_VERSION.into())),
    row(
        "get_supvisors_state",
        &["struct"],
        &[],
        "Give the state of the fleet as this instance sees it; the jobs are those of all instances.",
        supvisors_state,
    ),
    row(
        "get_all_instances_state_modes",
        &["array"],
        &[],
        "Give the state of the fleet as each instance sees it.",
        all_state_modes,
    ),
    row(
        "get_instance_state_modes",
        &["array", "string"],
        &["identifier"],
        "Give the state of the fleet as the instances of that name see it.",
        state_modes,
    ),
    row("get_master_identifier", &["struct"], &[], "Say which instance decides; empty if none does.", master),
    row("get_strategies", &["struct"], &[], "Give the strategies of the configuration.", strategies),
    row(
        "get_statistics_status",
        &["struct"],
        &[],
        "Say what statistics are collected, and how many seconds there are between two samples.",
        statistics_status,
    ),
    row(
        "get_network_info",
        &["struct", "string"],
        &["identifier"],
        "Give the host and the interfaces of an instance.",
        network_info,
    ),
    row("get_all_instances_info", &["array"], &[], "Give the state of all instances.", all_instances),
    row(
        "get_instance_info",
        &["array", "string"],
        &["identifier"],
        "Give the state of the instances of that identifier, nick or stereotype.",
        instances,
    ),
];

/// What identifies an instance of which nothing is said otherwise.
fn names(fleet: &Fleet) -> (String, String) {
    fleet.own().map_or_else(Default::default, |own| (own.identifier.clone(), own.nick.clone()))
}

/// The state of the fleet as this instance sees it; its jobs as a list of instances or as truths (V-205 A).
pub fn state(fleet: &Fleet, now: Now, lists_jobs: bool) -> Value {
    let (identifier, nick) = names(fleet);
    let (starts, stops) = fleet.jobs();
    let jobs = |has_some: bool| match lists_jobs {
        true => strings(has_some.then_some(&identifier)),
        false => has_some.into(),
    };
    let (starting, stopping) = (jobs(starts), jobs(stops));
    let phase = fleet.phase();
    let supvisors = fleet.supvisors();
    let all = supvisors.map_or(&[][..], |one| &one.instances.all);
    let states = all.iter().map(|one| {
        let state = if one.identifier == identifier { "RUNNING" } else { "STOPPED" };
        (Cow::Owned(one.identifier.clone()), state.into())
    });
    let states = Value::Struct(states.collect());
    let master = if fleet.is_master() { identifier.clone() } else { String::new() };
    record([
        ("identifier", identifier.into()),
        ("nick_identifier", nick.into()),
        ("now_monotonic", Value::Double(seconds(now.mono))),
        ("fsm_statecode", phase.code().into()),
        ("fsm_statename", phase.name().into()),
        ("degraded_mode", fleet.is_degraded().into()),
        ("discovery_mode", supvisors.is_some_and(|one| one.options.multicast_group.is_some()).into()),
        ("master_identifier", master.into()),
        ("starting_jobs", starting),
        ("stopping_jobs", stopping),
        ("instance_states", states),
    ])
}

/// The same of an instance that nothing is known of.
fn unknown_state(instance: &Instance) -> Value {
    record([
        ("identifier", instance.identifier.clone().into()),
        ("nick_identifier", instance.nick.clone().into()),
        ("now_monotonic", Value::Double(0.0)),
        ("fsm_statecode", 0.into()),
        ("fsm_statename", "OFF".into()),
        ("degraded_mode", false.into()),
        ("discovery_mode", false.into()),
        ("master_identifier", "".into()),
        ("starting_jobs", false.into()),
        ("stopping_jobs", false.into()),
        ("instance_states", Value::Struct(Vec::new())),
    ])
}

fn supvisors_state(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let now = context.now;
    Ok(state(fleet(context)?, now, true).into())
}

/// All instances, sorted by their identifiers.
fn sorted(fleet: &Fleet) -> Vec<(Instance, bool)> {
    let Some(supvisors) = fleet.supvisors() else { return Vec::new() };
    let instances = &supvisors.instances;
    let mut all: Vec<(Instance, bool)> =
        instances.all.iter().enumerate().map(|(at, one)| (one.clone(), at == instances.own)).collect();
    all.sort_by(|(one, _), (other, _)| one.identifier.cmp(&other.identifier));
    all
}

/// Those of that name (V-203).
fn called(fleet: &Fleet, name: &str) -> Result<Vec<(Instance, bool)>, Fault> {
    let found: Vec<(Instance, bool)> =
        fleet.instances_called(name).into_iter().map(|(one, own)| (one.clone(), own)).collect();
    match found.is_empty() {
        true => Err(Code::BadName.with(format!("identifier={name} is unknown to Supvisors"))),
        false => Ok(found),
    }
}

fn states_of(fleet: &Fleet, all: Vec<(Instance, bool)>, now: Now) -> Value {
    Value::Array(
        all.iter().map(|(one, own)| if *own { state(fleet, now, false) } else { unknown_state(one) }).collect(),
    )
}

fn all_state_modes(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let now = context.now;
    let fleet = fleet(context)?;
    Ok(states_of(fleet, sorted(fleet), now).into())
}

fn state_modes(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let now = context.now;
    let name = text(params, 0)?;
    let fleet = fleet(context)?;
    Ok(states_of(fleet, called(fleet, name)?, now).into())
}

fn master(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let fleet = fleet(context)?;
    if !fleet.is_master() {
        return Ok(Value::Struct(Vec::new()).into());
    }
    let (identifier, nick) = names(fleet);
    Ok(record([("identifier", identifier.into()), ("nick_identifier", nick.into())]).into())
}

fn strategies(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let fleet = fleet(context)?;
    let options = fleet.supvisors().map(|one| &one.options).ok_or_else(|| Code::UnknownMethod.bare())?;
    Ok(record([
        ("auto-fencing", options.auto_fence.into()),
        ("starting", options.starting_strategy.name().into()),
        ("conciliation", options.conciliation_strategy.name().into()),
        ("supvisors_failure", options.supvisors_failure_strategy.name().into()),
    ])
    .into())
}

fn statistics_status(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let stats = fleet(context)?.stats;
    let period = if stats.is_exact { Value::Double(stats.period) } else { Value::Int(stats.period as i64) };
    Ok(record([
        ("host_stats", stats.host.into()),
        ("process_stats", stats.processes.into()),
        ("collecting_period", period),
    ])
    .into())
}

fn network_info(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let hostname = context.daemon.config.hostname.clone();
    let fleet = fleet(context)?;
    let found = called(fleet, name)?;
    let (Some((one, own)), Some(supvisors)) = (found.first(), fleet.supvisors()) else {
        return Err(Code::UnknownMethod.bare());
    };
    let mut stereotypes = supvisors.options.stereotypes.0.clone();
    stereotypes.sort();
    let mut members: Vec<(Cow<'static, str>, Value)> = vec![
        ("identifier".into(), one.identifier.clone().into()),
        ("nick_identifier".into(), one.nick.clone().into()),
        ("host_id".into(), one.host.clone().into()),
        ("http_port".into(), i64::from(one.port).into()),
        ("stereotypes".into(), if *own { strings(&stereotypes) } else { Value::Array(Vec::new()) }),
    ];
    if *own {
        let addresses = supvisors.nics.iter().map(|(nic, names)| (Cow::Owned(nic.name.clone()), address(nic, names)));
        let network = record([
            ("machine_id", supvisors.machine_id.clone().into()),
            ("fqdn", hostname.into()),
            ("addresses", Value::Struct(addresses.collect())),
        ]);
        members.push(("network".into(), network));
    }
    Ok(Value::Struct(members).into())
}

fn address(nic: &Nic, names: &[String]) -> Value {
    let address = nic.address.to_string();
    let host_name = names.first().cloned().unwrap_or_else(|| address.clone());
    record([
        ("host_name", host_name.into()),
        ("aliases", strings(names.iter().skip(1))),
        ("ipv4_addresses", strings([&address])),
        (
            "nic_info",
            record([
                ("nic_name", nic.name.clone().into()),
                ("ipv4_address", address.clone().into()),
                ("netmask", nic.netmask.to_string().into()),
            ]),
        ),
    ])
}

/// An instance (V-205 I).
fn info(fleet: &Fleet, daemon: &Daemon, (instance, own): &(Instance, bool), now: Now) -> Value {
    let (count, wall, mono) = if *own { fleet.last_tick(now) } else { (0, 0, 0.0) };
    let (code, name) = if *own { (3, "RUNNING") } else { (0, "STOPPED") };
    let wall = wall.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    record([
        ("identifier", instance.identifier.clone().into()),
        ("nick_identifier", instance.nick.clone().into()),
        ("node_name", instance.host.clone().into()),
        ("port", i64::from(instance.port).into()),
        ("statecode", code.into()),
        ("statename", name.into()),
        ("loading", if *own { fleet.load(daemon) } else { 0 }.into()),
        ("process_failure", (*own && fleet.has_failed_process(daemon)).into()),
        ("remote_sequence_counter", count.into()),
        ("remote_time", wall.into()),
        ("remote_mtime", Value::Double(mono)),
        ("local_sequence_counter", count.into()),
        ("local_time", wall.into()),
        ("local_mtime", Value::Double(mono)),
    ])
}

fn all_instances(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let (fleet, daemon, now, _) = parts!(context);
    Ok(Value::Array(sorted(fleet).iter().map(|one| info(fleet, daemon, one, now)).collect()).into())
}

fn instances(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let (fleet, daemon, now, _) = parts!(context);
    Ok(Value::Array(called(fleet, name)?.iter().map(|one| info(fleet, daemon, one, now)).collect()).into())
}
