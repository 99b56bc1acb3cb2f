//! What `stheno.getProcessInfo` tells beyond Supervisor's: how a process last ended, how often it was restarted, what it
//! uses, and the options in force.
//!
//! `stheno.getAllProcessInfo` tells less, for it is asked again and again about hundreds: not the options, not what other
//! members say too (`ready`, which is the state RUNNING, and `last_exit`), and of what programs have to ask for (order, readiness,
//! health) only what is not empty, 0 or unknown. That is a third of it.

use super::Context;
use super::info::{member, write_state};
use crate::clock::Now;
use crate::config::{Process, Program, Ready, Row, Show};
use crate::daemon::Daemon;
use crate::exit::ExitStatus;
use crate::id::ProcId;
use crate::model::health::Health;
use crate::state::ProcessState;
use crate::wire::value::Value;
use crate::wire::xmlrpc::Writer;

/// How much is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Every member: a client may ask for any of them.
    Whole,
    /// What a list leaves of them.
    Listed,
}

/// What is known of a process, written; `None` if it is gone.
pub(super) fn write(writer: &mut Writer<'_>, context: &mut Context<'_>, id: ProcId, extent: Extent) -> Option<()> {
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
    writer.begin_struct();
    write_state(writer, &info);
    member!(writer, "program", str & process.config.program.name);
    member!(writer, "description", str & info.description);
    member!(writer, "pid", int info.pid);
    member!(writer, "exitsignal", int signal);
    member!(writer, "exitexpected", bool is_expected);
    member!(writer, "reason", str & reason);
    writer.member_int("restarts", whole(machine.runs().count().saturating_sub(1)));
    member!(writer, "outdated", bool machine.pid().is_some() && process.is_outdated());
    writer.member_value("cpu_seconds", &Value::Double(usage.cpu_ms as f64 / 1000.0));
    writer.member_int("rss_kib", whole(usage.rss_bytes / 1024));
    member!(writer, "stdout_logfile", str info.stdout_logfile);
    member!(writer, "stderr_logfile", str info.stderr_logfile);
    if extent == Extent::Whole {
        let last_exit = Value::Struct(vec![
            ("status".into(), last.map_or(0, ExitStatus::code).into()),
            ("signal".into(), signal.into()),
            ("expected".into(), is_expected.into()),
            ("time".into(), info.stop.into()),
            ("reason".into(), reason.into()),
        ]);
        writer.member_value("last_exit", &last_exit);
        writer.member_value("ready", &(machine.state() == ProcessState::Running).into());
        writer.member_value("options", &options_in_force(&process.config));
    }
    write_what_is_asked_for(writer, context.daemon, id, context.now, extent);
    writer.end_struct();
    Some(())
}

/// A number as XML-RPC has it.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What only programs have that ask for it.
fn write_what_is_asked_for(writer: &mut Writer<'_>, daemon: &Daemon, id: ProcId, now: Now, extent: Extent) {
    let is_told = |is_usual: bool| extent == Extent::Whole || !is_usual;
    for (name, value) in super::order::details(daemon, id) {
        if is_told(matches!(&value, Value::Array(items) if items.is_empty())) {
            writer.member_value(name, &value);
        }
    }
    let next_start = daemon.next_start(id, now);
    let leftovers = i64::try_from(daemon.leftovers_of(id)).unwrap_or(i64::MAX);
    for (name, number) in [("next_start", next_start), ("leftovers", leftovers)] {
        if is_told(number == 0) {
            writer.member_int(name, number);
        }
    }
    if let Some(process) = daemon.roster.process(id)
        && is_told(process.config.ready == Ready::Startsecs)
    {
        writer.member_str("readiness", process.config.ready.kind());
    }
    let care = daemon.care_of(id);
    let said = care.map_or(["", ""], |care| [care.status_text, care.probe_text]);
    for (name, text) in ["status_text", "probe_text"].into_iter().zip(said) {
        if is_told(text.is_empty()) {
            writer.member_str(name, text);
        }
    }
    let unknown = Health::default();
    let health = care.map_or(&unknown, |care| care.health);
    if is_told(*health == unknown) {
        let told = Value::Struct(vec![
            ("state".into(), health.state.name().into()),
            ("reason".into(), health.reason.clone().into()),
            ("failures".into(), i64::from(health.failures).into()),
        ]);
        writer.member_value("health", &told);
    }
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
