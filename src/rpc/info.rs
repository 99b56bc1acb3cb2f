//! What processes and their configurations look like to clients.

use std::rc::Rc;

use super::{Answer, Context, Outcome, text};
use crate::config::{Group, LogTarget, Program, Stream};
use crate::daemon::info::{Info, info};
use crate::daemon::{Daemon, Proc};
use crate::fault::{Code, Fault};
use crate::id::Channel;
use crate::wire::value::Value;
use crate::wire::xmlrpc::Writer;

/// Bytes of XML that one process takes, about; so that a buffer grows once.
const INFO_BYTES: usize = 1400;

/// getProcessInfo.
pub fn process_info(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let id = context.daemon.roster.find_process(name).ok_or_else(|| Code::BadName.with(name))?;
    let info = context.daemon.info(id, context.now, context.host).ok_or_else(|| Code::BadName.with(name))?;
    let mut xml = Vec::with_capacity(INFO_BYTES);
    write_info(&mut Writer::new(&mut xml), &info);
    Ok(Outcome::Now(Answer::Xml(xml)))
}

/// getAllProcessInfo, sorted by group name, then process name.
pub fn all_process_info(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let daemon = &*context.daemon;
    let mut xml = Vec::with_capacity(daemon.roster.process_count() * INFO_BYTES + 64);
    let mut writer = Writer::new(&mut xml);
    writer.begin_array();
    for (_, group, process) in daemon.roster.processes_by_name() {
        write_info(&mut writer, &info(group, process, context.now, context.host));
    }
    writer.end_array();
    Ok(Outcome::Now(Answer::Xml(xml)))
}

/// A member whose name stands in the source. Nearly all bytes of an answer about thousands of processes are such
/// templates; joined when the program is built, they are half as many pieces to copy.
macro_rules! member {
    ($writer:expr, $name:literal, str $text:expr) => {
        $writer.text_between(
            concat!("<member>\n<name>", $name, "</name>\n<value><string>"),
            $text,
            "</string></value>\n</member>\n",
        )
    };
    ($writer:expr, $name:literal, int $number:expr) => {
        $writer.int_between(
            concat!("<member>\n<name>", $name, "</name>\n<value><int>"),
            i64::from($number),
            "</int></value>\n</member>\n",
        )
    };
}

/// The 14 members that clients know; never more (DESIGN, rule 3).
fn write_info(writer: &mut Writer<'_>, info: &Info<'_>) {
    writer.begin_struct();
    member!(writer, "name", str info.name);
    member!(writer, "group", str info.group);
    member!(writer, "start", int info.start);
    member!(writer, "stop", int info.stop);
    member!(writer, "now", int info.now);
    member!(writer, "state", int info.state.code());
    member!(writer, "statename", str info.state.name());
    member!(writer, "spawnerr", str info.spawnerr);
    member!(writer, "exitstatus", int info.exitstatus);
    member!(writer, "logfile", str info.stdout_logfile);
    member!(writer, "stdout_logfile", str info.stdout_logfile);
    member!(writer, "stderr_logfile", str info.stderr_logfile);
    member!(writer, "pid", int info.pid);
    member!(writer, "description", str & info.description);
    writer.end_struct();
}

/// getAllConfigInfo, sorted by process name.
pub fn all_config_info(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let daemon = &*context.daemon;
    let mut rows: Vec<(&Rc<Group>, &Rc<Program>)> =
        daemon.config.groups.iter().flat_map(|group| group.processes.iter().map(move |p| (group, p))).collect();
    rows.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    let infos = rows.into_iter().map(|(group, program)| config_info(daemon, group, program));
    Ok(Value::Array(infos.collect()).into())
}

fn config_info(daemon: &Daemon, group: &Group, program: &Rc<Program>) -> Value {
    let active = daemon.roster.group_named(&group.name).and_then(|id| daemon.roster.group(id));
    let process = active.and_then(|active| active.process(&program.name)).and_then(|id| daemon.roster.process(id));
    // AUTO is resolved only in the very object that was activated.
    let process = process.filter(|process| Rc::ptr_eq(&process.program, program));
    // In the order of the original's struct.
    let mut members: Vec<(&'static str, Value)> = vec![
        ("autostart", program.autostart.into()),
        ("directory", or_none(program.directory.clone())),
        ("uid", program.user.as_ref().map_or("none".into(), |user| i64::from(user.uid).into())),
        ("command", program.command.clone().into()),
        ("exitcodes", Value::Array(program.exitcodes.iter().map(|code| Value::from(*code)).collect())),
        ("group", group.name.clone().into()),
        ("group_prio", group.priority.into()),
        ("inuse", active.is_some().into()),
        ("killasgroup", program.killasgroup.into()),
        ("name", program.name.clone().into()),
        ("process_prio", program.priority.into()),
        ("redirect_stderr", program.redirect_stderr.into()),
        ("startretries", program.startretries.into()),
        ("startsecs", program.startsecs.into()),
    ];
    stream(&mut members, Channel::Stdout, &program.stdout, process);
    members.push(("stopsignal", program.stopsignal.into()));
    members.push(("stopwaitsecs", program.stopwaitsecs.into()));
    stream(&mut members, Channel::Stderr, &program.stderr, process);
    members.push(("serverurl", or_none(program.serverurl.clone().filter(|_| !program.serverurl_auto))));
    Value::Struct(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn or_none(text: Option<String>) -> Value {
    text.map_or("none".into(), Value::from)
}

fn stream(members: &mut Vec<(&'static str, Value)>, channel: Channel, stream: &Stream, process: Option<&Proc>) {
    let names: [&'static str; 6] = match channel {
        Channel::Stdout => [
            "stdout_capture_maxbytes",
            "stdout_events_enabled",
            "stdout_logfile",
            "stdout_logfile_backups",
            "stdout_logfile_maxbytes",
            "stdout_syslog",
        ],
        Channel::Stderr => [
            "stderr_capture_maxbytes",
            "stderr_events_enabled",
            "stderr_logfile",
            "stderr_logfile_backups",
            "stderr_logfile_maxbytes",
            "stderr_syslog",
        ],
    };
    let logfile = match &stream.logfile {
        LogTarget::None => "none".to_string(),
        LogTarget::File(path) => path.clone(),
        LogTarget::Auto => {
            process.and_then(|process| process.output(channel).path.as_deref()).unwrap_or("auto").to_string()
        }
    };
    let values = [
        stream.capture_maxbytes.into(),
        stream.events_enabled.into(),
        logfile.into(),
        stream.backups.into(),
        stream.maxbytes.into(),
        stream.syslog.into(),
    ];
    members.extend(names.into_iter().zip(values));
}
