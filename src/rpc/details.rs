//! What `stheno.getProcessInfo` tells beyond Supervisor's: how a process last ended, how often it was restarted, what it
//! uses, and the options in force.
//!
//! `stheno.getAllProcessInfo` tells less, for it is asked again and again about hundreds: not the options, not what other
//! members say too (`ready`, which is the state RUNNING, and `last_exit`), and of what programs have to ask for (order, readiness,
//! health) only what is not empty, 0 or unknown. That is a third of it.

use std::borrow::Cow;

use super::Context;
use crate::config::{Process, Program, Ready, Row, Show};
use crate::exit::ExitStatus;
use crate::id::ProcId;
use crate::model::health::Health;
use crate::state::ProcessState;
use crate::wire::value::Value;

/// Members of a whole answer, about; so that the list grows once.
const MEMBERS: usize = 40;

/// How much is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Every member: a client may ask for any of them.
    Whole,
    /// What a list leaves of them.
    Listed,
}

type Members = Vec<(Cow<'static, str>, Value)>;

/// What is known of a process.
pub(super) fn extended(context: &mut Context<'_>, id: ProcId, extent: Extent) -> Option<Value> {
    let process = context.daemon.roster.process(id)?;
    let group = context.daemon.roster.group_of(id)?;
    let usage = process.machine.pid().and_then(|pid| context.host.usage(pid)).unwrap_or_default();
    let info = context.daemon.info_of(id, group, process, context.now, context.host);
    let machine = &process.machine;
    let last = machine.runs().last_exit();
    let signal = match last {
        Some(ExitStatus::Signal { number, .. }) => number,
        _ => 0,
    };
    let is_expected = last.is_none_or(|exit| {
        machine.state() == ProcessState::Stopped || process.config.program.exitcodes.0.contains(&exit.code())
    });
    let reason = last.map(ExitStatus::text).unwrap_or_default();
    let mut members: Members = Vec::with_capacity(MEMBERS);
    let mut put = |name: &'static str, value: Value| members.push((name.into(), value));
    put("name", info.name.to_string().into());
    put("group", info.group.to_string().into());
    put("program", process.config.program.name.clone().into());
    put("state", info.state.code().into());
    put("statename", info.state.name().into());
    put("description", info.description.into());
    put("pid", info.pid.into());
    put("start", info.start.into());
    put("stop", info.stop.into());
    put("now", info.now.into());
    put("spawnerr", info.spawnerr.to_string().into());
    put("exitstatus", info.exitstatus.into());
    put("exitsignal", signal.into());
    put("exitexpected", is_expected.into());
    put("reason", reason.clone().into());
    put("restarts", i64::try_from(machine.runs().count().saturating_sub(1)).unwrap_or(i64::MAX).into());
    put("outdated", (machine.pid().is_some() && process.is_outdated()).into());
    put("cpu_seconds", Value::Double(usage.cpu_ms as f64 / 1000.0));
    put("rss_kib", i64::try_from(usage.rss_bytes / 1024).unwrap_or(i64::MAX).into());
    put("stdout_logfile", info.stdout_logfile.to_string().into());
    put("stderr_logfile", info.stderr_logfile.to_string().into());
    if extent == Extent::Whole {
        let last_exit = Value::Struct(vec![
            ("status".into(), last.map_or(0, ExitStatus::code).into()),
            ("signal".into(), signal.into()),
            ("expected".into(), is_expected.into()),
            ("time".into(), info.stop.into()),
            ("reason".into(), reason.into()),
        ]);
        put("last_exit", last_exit);
        put("ready", (machine.state() == ProcessState::Running).into());
        put("options", options_in_force(&process.config));
    }
    put_what_is_asked_for(&mut members, context, id, extent)?;
    Some(Value::Struct(members))
}

/// What only programs have that ask for it.
fn put_what_is_asked_for(members: &mut Members, context: &Context<'_>, id: ProcId, extent: Extent) -> Option<()> {
    let daemon = &*context.daemon;
    let mut put = |name: &'static str, value: Value, is_usual: bool| {
        if extent == Extent::Whole || !is_usual {
            members.push((name.into(), value));
        }
    };
    for (name, value) in super::order::details(daemon, id) {
        let is_usual = matches!(&value, Value::Array(items) if items.is_empty());
        put(name, value, is_usual);
    }
    let next_start = daemon.next_start(id, context.now);
    put("next_start", next_start.into(), next_start == 0);
    let leftovers = daemon.leftovers_of(id);
    put("leftovers", i64::try_from(leftovers).unwrap_or(i64::MAX).into(), leftovers == 0);
    let ready = &daemon.roster.process(id)?.config.ready;
    put("readiness", ready.kind().into(), *ready == Ready::Startsecs);
    let care = daemon.care_of(id);
    for (name, text) in [
        ("status_text", care.map_or("", |care| care.status_text)),
        ("probe_text", care.map_or("", |care| care.probe_text)),
    ] {
        put(name, text.to_string().into(), text.is_empty());
    }
    let unknown = Health::default();
    let health = care.map_or(&unknown, |care| care.health);
    let told = Value::Struct(vec![
        ("state".into(), health.state.name().into()),
        ("reason".into(), health.reason.clone().into()),
        ("failures".into(), i64::from(health.failures).into()),
    ]);
    put("health", told, *health == unknown);
    Some(())
}

/// The options of a process and its program, expanded. The environment is never given out (DESIGN, safety 7): its row
/// only makes processes.
fn options_in_force(config: &Process) -> Value {
    let mut members = Vec::with_capacity(Program::ROWS.len() + Process::ROWS.len());
    let put = &mut |row: &'static Row, value: &dyn Show| members.push((row.name.into(), value.shown()));
    config.program.show(put);
    config.show(put);
    Value::Struct(members)
}
