//! What `stheno.getProcessInfo` tells beyond Supervisor's: how a process last ended, how often it was restarted, what it
//! uses, and the options in force.

use super::Context;
use crate::config::{Autorestart, LogTarget, Program, Stream};
use crate::daemon::info::info;
use crate::exit::ExitStatus;
use crate::id::ProcId;
use crate::signal;
use crate::state::ProcessState;
use crate::wire::value::Value;

/// All that is known of a process.
pub(super) fn extended(context: &mut Context<'_>, id: ProcId) -> Option<Value> {
    let process = context.daemon.roster.process(id)?;
    let group = context.daemon.roster.group_of(id)?;
    let usage = process.machine.pid().and_then(|pid| context.host.usage(pid)).unwrap_or_default();
    let info = info(group, process, context.now, context.host);
    let machine = &process.machine;
    let last = machine.last_exit();
    let signal = match last {
        Some(ExitStatus::Signal { number, .. }) => number,
        _ => 0,
    };
    let is_expected =
        |exit: ExitStatus| machine.state() == ProcessState::Stopped || process.program.exitcodes.contains(&exit.code());
    Some(Value::Struct(vec![
        ("name".into(), info.name.to_string().into()),
        ("group".into(), info.group.to_string().into()),
        ("program".into(), process.program.program.clone().into()),
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
        ("restarts".into(), i64::try_from(machine.starts.saturating_sub(1)).unwrap_or(i64::MAX).into()),
        ("outdated".into(), (machine.pid().is_some() && process.is_outdated()).into()),
        ("cpu_seconds".into(), Value::Double(usage.cpu_ms as f64 / 1000.0)),
        ("rss_kib".into(), i64::try_from(usage.rss_bytes / 1024).unwrap_or(i64::MAX).into()),
        ("stdout_logfile".into(), info.stdout_logfile.to_string().into()),
        ("stderr_logfile".into(), info.stderr_logfile.to_string().into()),
        ("options".into(), options_in_force(&process.program)),
    ]))
}

/// A program's options, expanded. The environment is never given out (DESIGN, safety 7).
fn options_in_force(program: &Program) -> Value {
    let or_empty = |text: &Option<String>| Value::from(text.clone().unwrap_or_default());
    let autorestart = match program.autorestart {
        Autorestart::Always => "true",
        Autorestart::Unexpected => "unexpected",
        Autorestart::Never => "false",
    };
    let mut members: Vec<(&'static str, Value)> = vec![
        ("command", program.command.clone().into()),
        ("directory", or_empty(&program.directory)),
        ("umask", program.umask.map_or(String::new(), |umask| format!("{umask:03o}")).into()),
        ("user", program.user.as_ref().map_or(String::new(), |user| user.text.clone()).into()),
        ("priority", program.priority.into()),
        ("autostart", program.autostart.into()),
        ("autorestart", autorestart.into()),
        ("startsecs", program.startsecs.into()),
        ("startretries", program.startretries.into()),
        ("stopsignal", signal::name(program.stopsignal).to_string().into()),
        ("stopwaitsecs", program.stopwaitsecs.into()),
        ("stopasgroup", program.stopasgroup.into()),
        ("killasgroup", program.killasgroup.into()),
        ("exitcodes", Value::Array(program.exitcodes.iter().map(|code| Value::from(*code)).collect())),
        ("redirect_stderr", program.redirect_stderr.into()),
        ("serverurl", or_empty(&program.serverurl)),
    ];
    for (channel, stream) in [("stdout", &program.stdout), ("stderr", &program.stderr)] {
        members.extend(stream_options(channel, stream));
    }
    Value::Struct(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn stream_options(channel: &'static str, stream: &Stream) -> Vec<(&'static str, Value)> {
    let file = match &stream.logfile {
        LogTarget::None => "NONE".into(),
        LogTarget::Auto => "AUTO".into(),
        LogTarget::File(path) => path.clone().into(),
    };
    let names = match channel {
        "stdout" => [
            "stdout_logfile",
            "stdout_logfile_maxbytes",
            "stdout_logfile_backups",
            "stdout_capture_maxbytes",
            "stdout_events_enabled",
            "stdout_syslog",
        ],
        _ => [
            "stderr_logfile",
            "stderr_logfile_maxbytes",
            "stderr_logfile_backups",
            "stderr_capture_maxbytes",
            "stderr_events_enabled",
            "stderr_syslog",
        ],
    };
    let values = [
        file,
        stream.maxbytes.into(),
        stream.backups.into(),
        stream.capture_maxbytes.into(),
        stream.events_enabled.into(),
        stream.syslog.into(),
    ];
    names.into_iter().zip(values).collect()
}
