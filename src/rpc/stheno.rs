//! `stheno.*`: what goes beyond Supervisor. Reading, and applying what the files say, is always possible; what can
//! bring in a new command needs `[stheno] mutation=true`.

use std::rc::Rc;

use super::mutate::{Shape, Step, Update, Verb};
use super::twiddler::New;
use super::{Context, Guard, Method, Outcome, integer, supervisor, text, twiddler};
use crate::config::{Autorestart, Group, LogTarget, Program, Stream};
use crate::daemon::change::Change;
use crate::daemon::info::info;
use crate::daemon::reshape::Subject;
use crate::daemon::{Proc, Target};
use crate::exit::ExitStatus;
use crate::fault::{Code, Fault};
use crate::id::ProcId;
use crate::signal;
use crate::state::ProcessState;
use crate::wire::value::Value;

/// Our own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Options that decide which processes there are: they are not changed in passing.
const NAMING: [&str; 3] = ["numprocs", "numprocs_start", "process_name"];

/// The build features that are in.
pub fn features() -> Vec<&'static str> {
    let all = [("line-editing", cfg!(feature = "line-editing")), ("applets", cfg!(feature = "applets"))];
    all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect()
}

const fn row(
    name: &'static str,
    signature: &'static [&'static str],
    params: &'static [&'static str],
    help: &'static str,
    call: fn(&mut Context<'_>, &[Value]) -> Result<Outcome, Fault>,
) -> Method {
    Method { guard: Guard::Running, ..twiddler::row(name, signature, params, help, call) }
}

/// The rows that are always there.
pub const METHODS: &[Method] = &[
    Method {
        guard: Guard::Open,
        ..row("getVersion", &["struct"], &[], "Give name, version and build features of this program.", version)
    },
    Method {
        guard: Guard::Open,
        ..row(
            "getProcessInfo",
            &["struct", "string"],
            &["name"],
            "Give the status of a process and more: how it last ended, how often it was restarted, what it uses, and \
             the options in force.",
            process_info,
        )
    },
    Method {
        guard: Guard::Open,
        ..row(
            "getAllProcessInfo",
            &["array"],
            &[],
            "Give the same of all processes, sorted by group and name.",
            all_process_info,
        )
    },
    Method {
        optional: 1,
        ..row(
            "update",
            &["struct", "array"],
            &["groups"],
            "Read the configuration anew and bring these groups, or all, to it. In a changed group only the processes \
             that differ are stopped and replaced. If anything is wrong with the file, nothing is changed.",
            update,
        )
    },
    Method {
        guard: Guard::Open,
        ..row(
            "dynamic",
            &["struct"],
            &[],
            "Give what was changed at run time: the path of the file that keeps it, empty without one, and its text.",
            dynamic,
        )
    },
    row("persist", &["string"], &[], "Write the file of changes at run time once more; answers its path.", persist),
    row(
        "forget",
        &["boolean"],
        &[],
        "Forget all changes at run time. What they made goes on; after the next start it is not there.",
        forget,
    ),
];

/// The rows with `[stheno] mutation=true`.
pub const MUTATING_METHODS: &[Method] = &[
    Method {
        optional: 1,
        ..row(
            "addGroup",
            &["boolean", "string", "int"],
            &["name", "priority"],
            "Make an empty group.",
            twiddler::add_group,
        )
    },
    Method {
        optional: 1,
        ..row(
            "removeGroup",
            &["boolean", "string", "boolean"],
            &["name", "stop"],
            "Remove a group for good. With stop, its processes are stopped first; otherwise they have to be.",
            remove_group,
        )
    },
    row(
        "addProgram",
        &["array", "string", "string", "struct"],
        &["group", "name", "options"],
        "Add a program to a group; answers the names of its processes. The options are those of a program's section.",
        add_program,
    ),
    Method {
        optional: 1,
        ..row(
            "updateProgram",
            &["struct", "string", "string", "struct", "string"],
            &["group", "name", "options", "restart"],
            "Change options of a program; the others stay. With restart changed, those of its running processes that \
             differ are restarted; with rolling, one after another, each once the one before it is up; with never, \
             they take the new options at their next start.",
            update_program,
        )
    },
    row(
        "removeProgram",
        &["boolean", "string", "string"],
        &["group", "name"],
        "Stop the processes of a program and remove it from its group.",
        remove_program,
    ),
    row(
        "setNumprocs",
        &["struct", "string", "int"],
        &["program", "number"],
        "Give a program more or fewer processes; those it keeps are not touched, surplus ones are stopped.",
        set_numprocs,
    ),
];

fn version(_: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let features = features().into_iter().map(Value::from).collect();
    Ok(Value::Struct(vec![
        ("name".into(), "stheno".into()),
        ("version".into(), VERSION.into()),
        ("supervisor".into(), supervisor::SUPERVISOR_VERSION.into()),
        ("features".into(), Value::Array(features)),
    ])
    .into())
}

fn process_info(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let id = context.daemon.find_process(name).ok_or_else(|| Code::BadName.with(name))?;
    Ok(extended(context, id).ok_or_else(|| Code::BadName.with(name))?.into())
}

fn all_process_info(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let ids: Vec<ProcId> = context.daemon.processes_by_name().map(|(id, _, _)| id).collect();
    let infos = ids.into_iter().filter_map(|id| extended(context, id)).collect();
    Ok(Value::Array(infos).into())
}

fn extended(context: &mut Context<'_>, id: ProcId) -> Option<Value> {
    let process = context.daemon.process(id)?;
    let group = context.daemon.group_of(id)?;
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

fn update(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let wanted = match params.first() {
        None => Vec::new(),
        Some(Value::Array(names)) => {
            let names = names.iter().map(|name| name.as_str().ok_or_else(|| Code::IncorrectParameters.bare()));
            names.collect::<Result<Vec<&str>, Fault>>()?
        }
        Some(_) => return Err(Code::IncorrectParameters.bare()),
    };
    let difference = supervisor::reread(context)?;
    let daemon = &*context.daemon;
    let all = wanted.is_empty() || wanted.contains(&"all");
    let is_known = |name: &str| daemon.group_named(name).is_some() || daemon.configured_group(name).is_some();
    if let Some(unknown) = wanted.iter().find(|name| !all && !is_known(name)) {
        return Err(Code::BadName.with(*unknown));
    }
    let is_wanted = |name: &&String| all || wanted.contains(&name.as_str());
    let mut steps = Vec::new();
    for name in difference.removed.iter().filter(is_wanted) {
        let processes = names_of(context, name).into_iter().map(|name| (name, "removed")).collect();
        let changes = vec![Change::RemoveGroup(name.clone())];
        steps.push(Step { group: name.clone(), verb: Verb::Removed, changes, processes });
    }
    for name in difference.changed.iter().filter(is_wanted) {
        let Some(configured) = daemon.configured_group(name) else { continue };
        steps.push(change_step(context, configured));
    }
    for name in difference.added.iter().filter(is_wanted) {
        let Some(configured) = daemon.configured_group(name) else { continue };
        let processes = configured.processes.iter().map(|program| (program.name.clone(), "added")).collect();
        let changes = vec![Change::AddGroup(configured.clone())];
        steps.push(Step { group: name.clone(), verb: Verb::Added, changes, processes });
    }
    Update::new(steps, Shape::Report).outcome(context)
}

/// How an active group becomes what is configured.
fn change_step(context: &Context<'_>, configured: &Rc<Group>) -> Step {
    let group = configured.name.clone();
    let active = context.daemon.group_named(&group).and_then(|id| context.daemon.group(id));
    // A pool's queue and a FastCGI socket belong to the group as a whole.
    let is_same_kind = active.is_some_and(|active| active.config.kind == configured.kind);
    let changes = match is_same_kind {
        true => vec![Change::ReplaceGroup(configured.clone())],
        false => vec![Change::RemoveGroup(group.clone()), Change::AddGroup(configured.clone())],
    };
    let mut processes = Vec::new();
    let current = active.map_or(&[][..], |active| &active.processes);
    let current: Vec<&Proc> = current.iter().filter_map(|id| context.daemon.process(*id)).collect();
    let wanted = configured.by_name();
    for process in &current {
        match wanted.get(process.program.name.as_str()) {
            None => processes.push((process.program.name.clone(), "removed")),
            Some(new) if is_same_kind && process.program.same_as(new) => {}
            Some(_) if process.machine.state().is_stopped() => {
                processes.push((process.program.name.clone(), "changed"))
            }
            Some(_) => processes.push((process.program.name.clone(), "restarted")),
        }
    }
    let is_new = |new: &&Rc<Program>| active.is_none_or(|active| active.process(&new.name).is_none());
    processes.extend(configured.processes.iter().filter(is_new).map(|new| (new.name.clone(), "added")));
    Step { group, verb: Verb::Changed, changes, processes }
}

fn names_of(context: &Context<'_>, group: &str) -> Vec<String> {
    let group = context.daemon.group_named(group).and_then(|id| context.daemon.group(id));
    let processes = group.map_or(&[][..], |group| &group.processes);
    processes.iter().filter_map(|id| context.daemon.process(*id)).map(|p| p.program.name.clone()).collect()
}

fn dynamic(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let dynamic = context.daemon.dynamic();
    let text = dynamic.text().map_err(|text| Code::Failed.with(text))?;
    let path = dynamic.path().unwrap_or_default().to_string();
    Ok(Value::Struct(vec![("path".into(), path.into()), ("text".into(), text.into())]).into())
}

fn persist(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let dynamic = context.daemon.dynamic_mut();
    dynamic.persist(context.host).map_err(|text| Code::Failed.with(text))?;
    activity!(Info, "write changes at run time, asked for by {} through {}", context.peer, context.method);
    Ok(context.daemon.dynamic().path().unwrap_or_default().to_string().into())
}

fn forget(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let dynamic = context.daemon.dynamic_mut();
    dynamic.forget(context.host).map_err(|text| Code::Failed.with(text))?;
    activity!(Info, "forget changes at run time, asked for by {} through {}", context.peer, context.method);
    Ok(true.into())
}

fn remove_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?.to_string();
    let stop = params.len() > 1 && super::wait(params, 1);
    let id = context.daemon.group_named(&name).ok_or_else(|| Code::BadName.with(&name))?;
    if !stop && context.daemon.group(id).is_some_and(|group| !group.is_stopped()) {
        return Err(Code::StillRunning.with(name));
    }
    let changes = vec![Change::DropGroup(name.clone())];
    let step = Step { group: name, verb: Verb::Removed, changes, processes: Vec::new() };
    Update::new(vec![step], Shape::Boolean).outcome(context)
}

fn add_program(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (group, program) = (text(params, 0)?, text(params, 1)?);
    if context.daemon.group_named(group).is_none() {
        return Err(Code::BadName.with(format!("group: {group}")));
    }
    let options = twiddler::options(params, 2)?;
    let names = twiddler::add(context, New { group, create: None, program, instance: None, options })?;
    Ok(Value::Array(names.into_iter().map(Value::from).collect()).into())
}

fn remove_program(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (group, program) = (text(params, 0)?.to_string(), text(params, 1)?.to_string());
    if context.daemon.group_named(&group).is_none() {
        return Err(Code::BadName.with(format!("group: {group}")));
    }
    if context.daemon.processes_of_program(&group, &program).is_empty() {
        return Err(Code::BadName.with(program));
    }
    let changes = vec![Change::RemoveProgram { group: group.clone(), program }];
    let step = Step { group, verb: Verb::Changed, changes, processes: Vec::new() };
    Update::new(vec![step], Shape::Boolean).outcome(context)
}

fn update_program(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (group, program) = (text(params, 0)?, text(params, 1)?);
    if context.daemon.group_named(group).is_none() {
        return Err(Code::BadName.with(format!("group: {group}")));
    }
    let options = twiddler::options(params, 2)?;
    if let Some((name, _)) = options.iter().find(|(name, _)| NAMING.contains(&name.as_str())) {
        return Err(
            Code::IncorrectParameters.with(format!("{name} decides which processes there are; see setNumprocs"))
        );
    }
    let restart = if params.len() > 3 { text(params, 3)? } else { "changed" };
    if !["never", "changed", "rolling"].contains(&restart) {
        return Err(Code::IncorrectParameters.with("restart is never, changed or rolling"));
    }
    let subject = Subject { program, group: Some(group), whole: false };
    let Some((steps, differing)) = set_options(context, subject, &options)? else {
        return Update::new(Vec::new(), Shape::Report).outcome(context);
    };
    let is_up = |id: &ProcId| context.daemon.process(*id).is_some_and(|p| p.machine.state().is_running());
    let running: Vec<ProcId> = differing.into_iter().filter(is_up).collect();
    let batches = match restart {
        "rolling" => running.into_iter().map(|id| vec![id]).collect(),
        "changed" => vec![running],
        _ => Vec::new(),
    };
    Update::new(steps, Shape::Report).restarting(batches).outcome(context)
}

fn set_numprocs(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let program = text(params, 0)?;
    let number = integer(params, 1)?;
    if number < 0 {
        return Err(Code::BadArguments.bare());
    }
    let subject = Subject { program, group: None, whole: true };
    let steps = match set_options(context, subject, &[("numprocs".to_string(), number.to_string())])? {
        Some((steps, _)) => steps,
        None => Vec::new(),
    };
    Update::new(steps, Shape::Report).outcome(context)
}

/// The steps that bring about a change of options, and the processes that it concerns.
type Differing = (Vec<Step>, Vec<ProcId>);

/// The steps that give a program other options, and the processes that then differ; `None` if none does.
fn set_options(
    context: &mut Context<'_>,
    subject: Subject<'_>,
    options: &[(String, String)],
) -> Result<Option<Differing>, Fault> {
    let Some(change) = context.daemon.with_options(subject, options, context.host)? else { return Ok(None) };
    let Change::SetOptions { groups, .. } = &change else { return Ok(None) };
    let daemon = &*context.daemon;
    let mut steps = Vec::new();
    let mut differing = Vec::new();
    for group in groups {
        let mut processes = Vec::new();
        for program in &group.processes {
            match daemon.find(&format!("{}:{}", group.name, program.name)) {
                Some(Target::Process(id)) => {
                    if daemon.process(id).is_some_and(|process| !process.program.same_as(program)) {
                        processes.push((program.name.clone(), "changed"));
                        differing.push(id);
                    }
                }
                _ => processes.push((program.name.clone(), "added")),
            }
        }
        let new = group.by_name();
        let gone = names_of(context, &group.name).into_iter().filter(|name| !new.contains_key(name.as_str()));
        processes.extend(gone.map(|name| (name, "removed")));
        steps.push(Step { group: group.name.clone(), verb: Verb::Changed, changes: Vec::new(), processes });
    }
    // One change covers all groups; those after the first are only reported.
    if let Some(first) = steps.first_mut() {
        first.changes.push(change);
    }
    Ok(Some((steps, differing)))
}
