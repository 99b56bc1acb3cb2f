//! What `stheno.getProcessInfo` tells beyond Supervisor's: how a process last ended, how often it was restarted, what it
//! uses, and the options in force.

use super::Context;
use crate::config::{Process, Program, Row, Show};
use crate::exit::ExitStatus;
use crate::id::ProcId;
use crate::model::health::Health;
use crate::state::ProcessState;
use crate::wire::value::Value;

/// What is known of a process, and with `options` the options in force: three quarters of all there is to say, which
/// pollers do not ask for.
pub(super) fn extended(context: &mut Context<'_>, id: ProcId, options: bool) -> Option<Value> {
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
    let is_expected = |exit: ExitStatus| {
        machine.state() == ProcessState::Stopped || process.config.program.exitcodes.0.contains(&exit.code())
    };
    let care = context.daemon.care_of(id);
    let unknown = Health::default();
    let health = care.map_or(&unknown, |care| care.health);
    let [waiting_for, depends_on] = super::order::details(context.daemon, id).map(|(name, value)| (name.into(), value));
    let next_start = context.daemon.next_start(id, context.now);
    let last_exit = Value::Struct(vec![
        ("status".into(), last.map_or(0, ExitStatus::code).into()),
        ("signal".into(), signal.into()),
        ("expected".into(), last.is_none_or(is_expected).into()),
        ("time".into(), info.stop.into()),
        ("reason".into(), last.map(ExitStatus::text).unwrap_or_default().into()),
    ]);
    let mut members = vec![
        ("name".into(), info.name.to_string().into()),
        ("group".into(), info.group.to_string().into()),
        ("program".into(), process.config.program.name.clone().into()),
        ("state".into(), info.state.code().into()),
        ("statename".into(), info.state.name().into()),
        ("description".into(), info.description.into()),
        ("pid".into(), info.pid.into()),
        ("start".into(), info.start.into()),
        ("stop".into(), info.stop.into()),
        ("now".into(), info.now.into()),
        ("spawnerr".into(), info.spawnerr.to_string().into()),
        ("exitstatus".into(), info.exitstatus.into()),
        ("exitsignal".into(), signal.into()),
        ("exitexpected".into(), last.is_none_or(is_expected).into()),
        ("reason".into(), last.map(ExitStatus::text).unwrap_or_default().into()),
        ("restarts".into(), i64::try_from(machine.runs().count().saturating_sub(1)).unwrap_or(i64::MAX).into()),
        waiting_for,
        depends_on,
        ("next_start".into(), next_start.into()),
        ("leftovers".into(), i64::try_from(context.daemon.leftovers_of(id)).unwrap_or(i64::MAX).into()),
        ("last_exit".into(), last_exit),
        ("ready".into(), (machine.state() == ProcessState::Running).into()),
        ("readiness".into(), process.config.ready.kind().into()),
        ("status_text".into(), care.map_or("", |care| care.status_text).to_string().into()),
        ("probe_text".into(), care.map_or("", |care| care.probe_text).to_string().into()),
        (
            "health".into(),
            Value::Struct(vec![
                ("state".into(), health.state.name().into()),
                ("reason".into(), health.reason.clone().into()),
                ("failures".into(), i64::from(health.failures).into()),
            ]),
        ),
        ("outdated".into(), (machine.pid().is_some() && process.is_outdated()).into()),
        ("cpu_seconds".into(), Value::Double(usage.cpu_ms as f64 / 1000.0)),
        ("rss_kib".into(), i64::try_from(usage.rss_bytes / 1024).unwrap_or(i64::MAX).into()),
        ("stdout_logfile".into(), info.stdout_logfile.to_string().into()),
        ("stderr_logfile".into(), info.stderr_logfile.to_string().into()),
    ];
    if options {
        members.push(("options".into(), options_in_force(&process.config)));
    }
    Some(Value::Struct(members))
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
