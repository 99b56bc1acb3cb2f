//! What processes and their configurations look like to clients.

use std::borrow::Cow;
use std::rc::Rc;

use super::{Answer, Context, Outcome, text};
use crate::config::options::logfile_place;
use crate::config::{Group, LogFile, Process, Row, Show};
use crate::daemon::Daemon;
use crate::daemon::info::Info;
use crate::fault::{Code, Fault};
use crate::id::Channel;
use crate::wire::value::Value;
use crate::wire::xmlrpc::Writer;

/// Bytes of XML that one process takes, about; so that a buffer grows once.
const INFO_BYTES: usize = 1400;

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
    for (id, group, process) in daemon.roster.processes_by_name() {
        write_info(&mut writer, &daemon.info_of(id, group, process, context.now, context.host));
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
    ($writer:expr, $name:literal, bool $is:expr) => {
        $writer.encoded(if $is {
            concat!("<member>\n<name>", $name, "</name>\n<value><boolean>1</boolean></value>\n</member>\n").as_bytes()
        } else {
            concat!("<member>\n<name>", $name, "</name>\n<value><boolean>0</boolean></value>\n</member>\n").as_bytes()
        })
    };
}

pub(super) use member;

/// Who it is, its state and its times: what begins a struct about a process.
pub(super) fn write_state(writer: &mut Writer<'_>, info: &Info<'_>) {
    member!(writer, "name", str info.name);
    member!(writer, "group", str info.group);
    member!(writer, "start", int info.start);
    member!(writer, "stop", int info.stop);
    member!(writer, "now", int info.now);
    member!(writer, "state", int info.state.code());
    member!(writer, "statename", str info.state.name());
    member!(writer, "spawnerr", str info.spawnerr);
    member!(writer, "exitstatus", int info.exitstatus);
}

/// The 14 members that clients know; never more (DESIGN, rule 3).
fn write_info(writer: &mut Writer<'_>, info: &Info<'_>) {
    writer.begin_struct();
    write_state(writer, info);
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
    let mut rows: Vec<(&Rc<Group>, &Rc<Process>)> =
        daemon.config.groups.iter().flat_map(|group| group.processes.iter().map(move |p| (group, p))).collect();
    crate::sort::by(&mut rows, |a, b| a.1.name.cmp(&b.1.name));
    let infos = rows.into_iter().map(|(group, process)| config_info(daemon, group, process));
    Ok(Value::Array(infos.collect()).into())
}

/// How many members the original's struct has: [`OWN_PLACES`], and options whose rows say where they stand.
const CONFIG_MEMBERS: usize = 29;

/// Places of what is told besides options: `group`, `group_prio`, `inuse` and `name`.
const OWN_PLACES: [usize; 4] = [5, 6, 7, 9];

fn config_info(daemon: &Daemon, group: &Group, process: &Process) -> Value {
    let active = daemon.roster.group_named(&group.name).and_then(|id| daemon.roster.group(id));
    let mut members: Vec<(Cow<'static, str>, Value)> =
        (0..CONFIG_MEMBERS).map(|_| (Cow::Borrowed(""), Value::Nil)).collect();
    let own: [(&str, Value); OWN_PLACES.len()] = [
        ("group", group.name.clone().into()),
        ("group_prio", group.priority.into()),
        ("inuse", active.is_some().into()),
        ("name", process.name.clone().into()),
    ];
    for (place, (name, value)) in OWN_PLACES.into_iter().zip(own) {
        members[place] = (name.into(), value);
    }
    let put = &mut |row: &'static Row, value: &dyn Show| {
        if let Some((place, name)) = row.listed {
            members[place] = (name.into(), value.listed());
        }
    };
    process.program.show(put);
    process.show(put);
    // AUTO is resolved only if the process is active by the very configuration that is listed.
    let running = active.and_then(|active| active.process(&process.name)).and_then(|id| daemon.roster.process(id));
    if let Some(running) = running.filter(|running| running.config.program.revision == process.program.revision) {
        for channel in [Channel::Stdout, Channel::Stderr] {
            if let (LogFile::Auto, Some(path)) = (&process.log(channel).logfile, &running.output(channel).path) {
                members[logfile_place(channel)].1 = path.to_string().into();
            }
        }
    }
    Value::Struct(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Program;

    #[test]
    fn each_place_is_taken_once() {
        let rows = Program::ROWS.iter().chain(Process::ROWS);
        let mut places: Vec<usize> = rows.filter_map(|row| row.listed).map(|(place, _)| place).collect();
        places.extend(OWN_PLACES);
        places.sort_unstable();
        assert_eq!(places, (0..CONFIG_MEMBERS).collect::<Vec<_>>());
        for channel in [Channel::Stdout, Channel::Stderr] {
            let name = format!("{}_logfile", channel.name());
            let row = Process::ROWS.iter().find(|row| row.name == name).unwrap();
            assert_eq!(row.listed.map(|(place, _)| place), Some(logfile_place(channel)), "{name}");
        }
    }
}
