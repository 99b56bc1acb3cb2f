//! The fleet and its instances (V-210 to V-219).

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Context, Fault, Fleet, Method, Outcome, PeerId, Value, fleet, instances_called, record, row, strings};
use crate::clock::Now;
use crate::fault::Code;
use crate::fleet::members::Member;
use crate::model::fleet::instance::InstanceState;
use crate::model::fleet::phase::Phase;
use crate::rpc::text;
use crate::wire::fleet::report::{Interface, Modes};

/// The version of Supvisors that this is like.
const API_VERSION: &str = "0.19";

/// The rows about the fleet's state and its instances, in the order of the manual.
pub const METHODS: &[Method] = &[
    row("get_api_version", &["str"], &[], "Give the version of this interface.", |_, _| Ok(API_VERSION.into())),
    row(
        "get_supvisors_state",
        &["dict[str, Any]"],
        &[],
        "Give the state of the fleet as this instance sees it; the jobs are those of all instances.",
        supvisors_state,
    ),
    row(
        "get_all_instances_state_modes",
        &["list[dict[str, Any]]"],
        &[],
        "Give the state of the fleet as each instance sees it.",
        all_state_modes,
    ),
    row(
        "get_instance_state_modes",
        &["list[dict[str, Any]]", "str"],
        &["identifier"],
        "Give the state of the fleet as the instances of that name see it.",
        state_modes,
    ),
    row("get_master_identifier", &["dict[str, Any]"], &[], "Say which instance decides; empty if none does.", master),
    row("get_strategies", &["dict[str, Any]"], &[], "Give the strategies of the configuration.", strategies),
    row(
        "get_statistics_status",
        &["dict[str, Any]"],
        &[],
        "Say what statistics are collected, and how many seconds there are between two samples.",
        statistics_status,
    ),
    row(
        "get_network_info",
        &["dict[str, Any]", "str"],
        &["identifier"],
        "Give the host and the interfaces of an instance.",
        network_info,
    ),
    row("get_all_instances_info", &["list[dict[str, Any]]"], &[], "Give the state of all instances.", all_instances),
    row(
        "get_instance_info",
        &["list[dict[str, Any]]", "str"],
        &["identifier"],
        "Give the state of the instances of that identifier, nick or stereotype.",
        instances,
    ),
];

/// The jobs of one instance as truths, or those of all as lists of instances.
enum Jobs {
    Own,
    All,
}

/// The state of the fleet as an instance sees it (V-205 A).
fn state(fleet: &Fleet, member: &Member, modes: &Modes, jobs: Jobs, now: Now) -> Value {
    let phase = Phase::of(modes.phase).unwrap_or(Phase::Off);
    let (starting, stopping) = match jobs {
        Jobs::Own => (modes.is_starting.into(), modes.is_stopping.into()),
        Jobs::All => {
            let (starting, stopping) = fleet.busy_members();
            let names = |peers: Vec<PeerId>| {
                strings(peers.into_iter().filter_map(|peer| Some(&fleet.member(peer)?.who.identifier)))
            };
            (names(starting), names(stopping))
        }
    };
    let states = modes.instances.iter().map(|(name, state)| {
        let state = InstanceState::of(*state).unwrap_or_default();
        (Cow::Owned(name.clone()), state.name().into())
    });
    record([
        ("identifier", member.who.identifier.clone().into()),
        ("nick_identifier", member.who.nick.clone().into()),
        ("now_monotonic", Value::Double(member.clock(now) as f64 / 1e9)),
        ("fsm_statecode", phase.code().into()),
        ("fsm_statename", phase.name().into()),
        ("degraded_mode", modes.is_degraded.into()),
        ("discovery_mode", modes.discovers.into()),
        ("master_identifier", modes.master.clone().into()),
        ("starting_jobs", starting),
        ("stopping_jobs", stopping),
        ("instance_states", Value::Struct(states.collect())),
    ])
}

fn supvisors_state(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let now = context.now;
    let fleet = fleet(context)?;
    let own = fleet.member(fleet.own_id()).ok_or_else(|| Code::UnknownMethod.bare())?;
    Ok(state(fleet, own, &fleet.own_modes(), Jobs::All, now).into())
}

/// All instances, sorted by their identifiers.
fn sorted(fleet: &Fleet) -> Vec<PeerId> {
    let mut all: Vec<(&String, PeerId)> =
        fleet.members().map(|(peer, member)| (&member.who.identifier, peer)).collect();
    all.sort();
    all.into_iter().map(|(_, peer)| peer).collect()
}

fn states_of(fleet: &Fleet, all: Vec<PeerId>, now: Now) -> Value {
    let of = |peer: PeerId| {
        let member = fleet.member(peer)?;
        let own = (peer == fleet.own_id()).then(|| fleet.own_modes());
        Some(state(fleet, member, own.as_ref().unwrap_or(&member.modes), Jobs::Own, now))
    };
    Value::Array(all.into_iter().filter_map(of).collect())
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
    Ok(states_of(fleet, instances_called(fleet, name)?, now).into())
}

fn master(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let Some(master) = fleet(context)?.master() else { return Ok(Value::Struct(Vec::new()).into()) };
    let (identifier, nick) = (master.who.identifier.clone(), master.who.nick.clone());
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
    let fleet = fleet(context)?;
    let found = instances_called(fleet, name)?;
    let Some(member) = found.first().and_then(|peer| fleet.member(*peer)) else {
        return Err(Code::UnknownMethod.bare());
    };
    let (who, about) = (&member.who, member.about.as_ref());
    let mut members: Vec<(Cow<'static, str>, Value)> = vec![
        ("identifier".into(), who.identifier.clone().into()),
        ("nick_identifier".into(), who.nick.clone().into()),
        ("host_id".into(), who.host.clone().into()),
        ("http_port".into(), i64::from(who.port).into()),
        ("stereotypes".into(), strings(about.into_iter().flat_map(|about| &about.stereotypes))),
    ];
    if let Some(about) = about {
        let addresses = about.interfaces.iter().map(|one| (Cow::Owned(one.name.clone()), address(one)));
        // What decides is the machine's own id (V-137); what clients know by this name is shown as they know it.
        let machine = if about.hardware.is_empty() { &about.machine } else { &about.hardware };
        let network = record([
            ("machine_id", machine.clone().into()),
            ("fqdn", about.hostname.clone().into()),
            ("addresses", Value::Struct(addresses.collect())),
        ]);
        members.push(("network".into(), network));
    }
    Ok(Value::Struct(members).into())
}

fn address(one: &Interface) -> Value {
    let host_name = one.names.first().unwrap_or(&one.address);
    record([
        ("host_name", host_name.clone().into()),
        ("aliases", strings(one.names.iter().skip(1))),
        ("ipv4_addresses", strings([&one.address])),
        (
            "nic_info",
            record([
                ("nic_name", one.name.clone().into()),
                ("ipv4_address", one.address.clone().into()),
                ("netmask", one.netmask.clone().into()),
            ]),
        ),
    ])
}

/// An instance (V-205 I). Its ticks are counted by its own clock, ours by this one's.
fn info(fleet: &Fleet, peer: PeerId, failing: &BTreeSet<PeerId>, now: Now) -> Option<Value> {
    let member = fleet.member(peer)?;
    let own = fleet.member(fleet.own_id())?;
    let is_known = member.about.is_some();
    let (count, wall, mono) = member.last_tick(now);
    let (local_count, local_wall, local_mono) = if is_known { own.last_tick(now) } else { (0, 0, 0.0) };
    let capped = |secs: i64| secs.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    Some(record([
        ("identifier", member.who.identifier.clone().into()),
        ("nick_identifier", member.who.nick.clone().into()),
        ("node_name", member.who.host.clone().into()),
        ("port", i64::from(member.who.port).into()),
        ("statecode", member.state.code().into()),
        ("statename", member.state.name().into()),
        ("loading", fleet.view().load(peer).into()),
        ("process_failure", failing.contains(&peer).into()),
        ("remote_sequence_counter", count.into()),
        ("remote_time", capped(wall).into()),
        ("remote_mtime", Value::Double(mono)),
        ("local_sequence_counter", local_count.into()),
        ("local_time", capped(local_wall).into()),
        ("local_mtime", Value::Double(local_mono)),
    ]))
}

fn infos(fleet: &Fleet, peers: Vec<PeerId>, now: Now) -> Value {
    let failing = fleet.members_with_failures();
    Value::Array(peers.into_iter().filter_map(|peer| info(fleet, peer, &failing, now)).collect())
}

fn all_instances(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let now = context.now;
    let fleet = fleet(context)?;
    Ok(infos(fleet, sorted(fleet), now).into())
}

fn instances(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let now = context.now;
    let fleet = fleet(context)?;
    let found = instances_called(fleet, name)?;
    Ok(infos(fleet, found, now).into())
}
