//! `stheno.*`: what goes beyond Supervisor. Reading, and applying what the files say, is always possible; what can
//! bring in a new command needs `[stheno] mutation=true`.

use std::rc::Rc;

use super::adding::New;
use super::deferred::Deferred;
use super::details::{self, Extent};
use super::method::row;
use super::mutate::{Restart, Shape, Update};
use super::wish::{GroupVerb, Wish};
use super::{
    Answer, Context, Guard, Method, Outcome, changes, configured, history, known_group, logs, supervisor, text,
    twiddler,
};
use crate::config::{Group, WhenDone, check};
use crate::daemon::change::Change;
use crate::fault::{Code, Fault};
use crate::id::ProcId;
use crate::wire::value::Value;
use crate::wire::xmlrpc::Writer;

/// The version of this package, as Cargo.toml has it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Options that decide which processes there are: they are not changed in passing.
const NAMING: [&str; 3] = ["numprocs", "numprocs_start", "process_name"];

/// Bytes of XML that one process takes in a list, about; so that a buffer grows once.
const LISTED_BYTES: usize = 1800;

/// The build features that are in.
pub fn features() -> Vec<&'static str> {
    let all = [
        ("ctl", cfg!(feature = "ctl")),
        ("line-editing", cfg!(feature = "line-editing")),
        ("applets", cfg!(feature = "applets")),
        ("page", cfg!(feature = "page")),
        ("gzip", cfg!(feature = "gzip")),
        ("fleet", cfg!(feature = "fleet")),
        ("zmq", cfg!(feature = "zmq")),
    ];
    all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect()
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
            "Give the same of all processes, sorted by group and name, but not the options in force, ready and last_exit, which \
             other members say too; what is empty, 0 or unknown of waiting_for, depends_on, next_start, leftovers, readiness, \
             status_text, probe_text and health is left out.",
            all_process_info,
        )
    },
    Method {
        guard: Guard::Open,
        ..row(
            "getHistory",
            &["array", "string"],
            &["name"],
            "Give the last changes of state of a process, the oldest first: when, to which state, and why: how it ended, what \
             went wrong, or who asked through which method.",
            history::of_process,
        )
    },
    Method {
        guard: Guard::Open,
        ..row(
            "getActivity",
            &["array"],
            &[],
            "Give what happened lately to all processes and to the daemon, the oldest first, in the same way.",
            history::of_all,
        )
    },
    Method {
        guard: Guard::Open,
        ..row(
            "getOptions",
            &["array", "string"],
            &["name"],
            "Give the options in force of a process, each with file and line where it stands in the files as they are now; \
             without a file it is a default.",
            changes::options,
        )
    },
    row(
        "getChanges",
        &["struct"],
        &[],
        "Give what reread and update would change, process by process and option by option, and how many processes would \
         start, stop and be restarted. Nothing is changed.",
        changes::all,
    ),
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
            "checkProcesses",
            &["array"],
            &[],
            "Name the processes that are not as they are configured, each with the reason. As configured is what is \
             RUNNING, has ended as expected, or is not to be started by itself.",
            configured::check_processes,
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
    Method {
        optional: 1,
        ..row(
            "rotateLogs",
            &["boolean", "array"],
            &["names"],
            "Begin new log files of these processes or groups, keeping the old ones as backups; without names those of all \
             and the activity log. An empty file stays.",
            logs::rotate,
        )
    }
    .noted(),
    row(
        "shutdown",
        &["boolean", "string"],
        &["how"],
        "Shut down, and then poweroff, reboot or halt the machine whose PID 1 supervisord is, whatever when_done says.",
        shutdown,
    )
    .noted(),
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
        ..row("addGroup", &["boolean", "string", "int"], &["name", "priority"], "Make an empty group.", add_group)
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
             were started with other options are restarted; with rolling, one after another, each once the one before \
             it is up; with never, they take the new options at their next start.",
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
    let id = context.daemon.roster.find_process(name).ok_or_else(|| Code::BadName.with(name))?;
    let mut xml = Vec::new();
    let written = details::write(&mut Writer::new(&mut xml), context, id, Extent::Whole);
    written.map(|()| Outcome::Now(Answer::Xml(xml))).ok_or_else(|| Code::BadName.with(name))
}

fn all_process_info(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let ids: Vec<ProcId> = context.daemon.roster.processes_by_name().map(|(id, _, _)| id).collect();
    let mut xml = Vec::with_capacity(ids.len() * LISTED_BYTES + 64);
    let mut writer = Writer::new(&mut xml);
    writer.begin_array();
    for id in ids {
        // Whoever is known by name is there.
        let _ = details::write(&mut writer, context, id, Extent::Listed);
    }
    writer.end_array();
    Ok(Outcome::Now(Answer::Xml(xml)))
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
    let config = supervisor::load(context)?;
    let comes_in = |group: &&Rc<Group>| {
        let active = context.daemon.roster.group_named(&group.name).and_then(|id| context.daemon.roster.group(id));
        active.is_none_or(|active| !active.config.same_as(group))
    };
    let checked = context.daemon.check_settings(config.groups.iter().filter(comes_in), context.host);
    checked.map_err(|text| Code::CantReread.with(text))?;
    let difference = supervisor::adopt(context, config);
    let daemon = &*context.daemon;
    let all = wanted.is_empty() || wanted.contains(&"all");
    let is_known = |name: &str| daemon.roster.group_named(name).is_some() || daemon.configured_group(name).is_some();
    if let Some(unknown) = wanted.iter().find(|name| !all && !is_known(name)) {
        return Err(Code::BadName.with(*unknown));
    }
    let all_names = [difference.removed, difference.changed, difference.added].concat();
    let names = all_names.into_iter().filter(|name| all || wanted.contains(&name.as_str())).collect();
    begin(Update::new(Wish::Configured(names), Shape::Report, context)?, context)
}

fn dynamic(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let dynamic = &context.daemon.dynamic;
    let text = dynamic.text().map_err(|text| Code::Failed.with(text))?;
    let path = dynamic.path().unwrap_or_default().to_string();
    Ok(Value::Struct(vec![("path".into(), path.into()), ("text".into(), text.into())]).into())
}

fn shutdown(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let how = WhenDone::asked(text(params, 0)?)
        .ok_or_else(|| Code::IncorrectParameters.with("how is poweroff, reboot or halt"))?;
    let asked = context.daemon.request_machine_end(how, context.host);
    asked.map_err(|reason| Code::Failed.with(format!("cannot {}: {reason}", how.word())))?;
    activity!(Info, "{}, asked for by {} through {}", how.word(), context.client, context.method);
    Ok(true.into())
}

fn persist(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let dynamic = &mut context.daemon.dynamic;
    dynamic.persist(context.host).map_err(|text| Code::Failed.with(text))?;
    activity!(Info, "write changes at run time, asked for by {} through {}", context.client, context.method);
    Ok(context.daemon.dynamic.path().unwrap_or_default().to_string().into())
}

fn forget(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let dynamic = &mut context.daemon.dynamic;
    dynamic.forget(context.host).map_err(|text| Code::Failed.with(text))?;
    activity!(Info, "forget changes at run time, asked for by {} through {}", context.client, context.method);
    Ok(true.into())
}

fn add_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let priority = if params.len() > 1 { whole(params, 1)? } else { super::PRIORITY };
    twiddler::make_group(context, text(params, 0)?, priority)
}

/// A parameter that must be an integer and nothing that could be made one: nobody means half a process.
fn whole(params: &[Value], index: usize) -> Result<i64, Fault> {
    match params.get(index) {
        Some(Value::Int(number)) => Ok(*number),
        _ => Err(Code::IncorrectParameters.bare()),
    }
}

fn remove_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?.to_string();
    let stop = params.len() > 1 && super::wait(params, 1);
    let id = context.daemon.roster.group_named(&name).ok_or_else(|| Code::BadName.with(&name))?;
    if !stop && context.daemon.roster.group(id).is_some_and(|group| !group.is_stopped()) {
        return Err(Code::StillRunning.with(name));
    }
    let wish = Wish::Gone { change: Change::DropGroup(name.clone()), group: name, verb: GroupVerb::Removed };
    begin(Update::new(wish, Shape::Boolean, context)?, context)
}

fn add_program(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (group, program) = (text(params, 0)?, text(params, 1)?);
    known_group(context, group)?;
    let options = known_options(params, 2)?;
    let new = New { group, create: None, program, instance: None, options };
    Deferred::add(context, new, |names| Value::Array(names.into_iter().map(Value::from).collect()))
}

fn remove_program(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (group, program) = (text(params, 0)?.to_string(), text(params, 1)?.to_string());
    known_group(context, &group)?;
    if !context.daemon.has_program(&group, &program) {
        return Err(Code::BadName.with(program));
    }
    let change = Change::RemoveProgram { group: group.clone(), program };
    begin(Update::new(Wish::Gone { group, verb: GroupVerb::Changed, change }, Shape::Boolean, context)?, context)
}

/// Options of a program. In a file one that nobody reads is passed over, for plug-ins and other versions; a call that means
/// one is told.
fn known_options(params: &[Value], index: usize) -> Result<Vec<(String, String)>, Fault> {
    let options = twiddler::options(params, index)?;
    match check::unknown_option(options.iter().map(|(name, _)| name.as_str())) {
        Some(text) => Err(Code::IncorrectParameters.with(text)),
        None => Ok(options),
    }
}

fn update_program(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (group, program) = (text(params, 0)?, text(params, 1)?);
    known_group(context, group)?;
    let options = known_options(params, 2)?;
    if let Some((name, _)) = options.iter().find(|(name, _)| NAMING.contains(&name.as_str())) {
        return Err(
            Code::IncorrectParameters.with(format!("{name} decides which processes there are; see setNumprocs"))
        );
    }
    let restart = if params.len() > 3 { text(params, 3)? } else { "changed" };
    if !["never", "changed", "rolling"].contains(&restart) {
        return Err(Code::IncorrectParameters.with("restart is never, changed or rolling"));
    }
    let groups = context.daemon.groups_sharing(program, Some(group));
    let (program, group) = (program.to_string(), Some(group.to_string()));
    let after = Restart { program: program.clone(), groups, is_rolling: restart == "rolling" };
    let mut update = Update::new(Wish::Options { program, group, whole: false, options }, Shape::Report, context)?;
    if restart != "never" {
        update = update.restarting(after);
    }
    begin(update, context)
}

fn set_numprocs(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let program = text(params, 0)?;
    let number = whole(params, 1)?;
    if number < 0 {
        return Err(Code::BadArguments.bare());
    }
    let options = vec![("numprocs".to_string(), number.to_string())];
    let wish = Wish::Options { program: program.to_string(), group: None, whole: true, options };
    begin(Update::new(wish, Shape::Report, context)?, context)
}

/// A mutation goes on as far as it can; its answer may have to wait.
fn begin(update: Update, context: &mut Context<'_>) -> Result<Outcome, Fault> {
    Deferred::Update(Box::new(update)).begin(context)
}
