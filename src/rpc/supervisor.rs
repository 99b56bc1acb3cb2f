//! `supervisor.*`: the rows, and the methods about the daemon as a whole (X §4).

use super::budget::LOAD_US;
use super::method::row;
use super::{Context, Guard, Method, Outcome, control, info, logs, scalar};
use crate::config::{Config, diff};
use crate::daemon::change::Change;
use crate::fault::{Code, Fault};
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// A row whose last parameter `wait` may be left out.
const fn waiting(
    name: &'static str,
    signature: &'static [&'static str],
    params: &'static [&'static str],
    help: &'static str,
    call: fn(&mut Context<'_>, &[Value]) -> Result<Outcome, Fault>,
) -> Method {
    Method { optional: 1, ..row(name, signature, params, help, call) }
}

const STRING: &[&str] = &["string"];
const BOOLEAN: &[&str] = &["boolean"];
const ARRAY: &[&str] = &["array"];
const BOOLEAN_OF_NAME: &[&str] = &["boolean", "string"];
const READ: &[&str] = &["string", "string", "int", "int"];
const TAIL: &[&str] = &["array", "string", "int", "int"];
const SLICE: &[&str] = &["name", "offset", "length"];

/// The rows of `supervisor.*`.
pub const METHODS: &[Method] = &[
    row("getAPIVersion", STRING, &[], "Give the version of this interface.", api_version).returning("version"),
    row("getVersion", STRING, &[], "Give the version of this interface; the old name of getAPIVersion.", api_version)
        .returning("version"),
    row("getSupervisorVersion", STRING, &[], "Give the version of the supervisor package.", supervisor_version)
        .returning("version"),
    row("getIdentification", STRING, &[], "Give the configured identifier of this daemon.", identification)
        .returning("identifier"),
    row("getState", &["struct"], &[], "Give the state of the daemon: statecode and statename.", state)
        .returning("A struct of statecode and statename"),
    row("getPID", &["int"], &[], "Give the process id of the daemon.", pid).returning("PID"),
    row(
        "readLog",
        &["string", "int", "int"],
        &["offset", "length"],
        "Read bytes of the activity log. A negative offset with length 0 reads that many bytes from its end.",
        logs::read_main,
    ),
    row("readMainLog", &["string", "int", "int"], &["offset", "length"], "The old name of readLog.", logs::read_main),
    row("clearLog", BOOLEAN, &[], "Empty the activity log.", logs::clear_main).noted(),
    row("shutdown", BOOLEAN, &[], "Stop all processes, then end the daemon.", shutdown).noted(),
    row("restart", BOOLEAN, &[], "Stop all processes, then start the daemon over with its file read anew.", restart)
        .noted(),
    row(
        "reloadConfig",
        ARRAY,
        &[],
        "Read the configuration file anew, without acting on it. The answer is [[added, changed, removed]], each an \
         array of group names.",
        reload_config,
    )
    .noted(),
    row(
        "addProcessGroup",
        BOOLEAN_OF_NAME,
        &["name"],
        "Activate a configured group that is not active.",
        add_process_group,
    ),
    row(
        "removeProcessGroup",
        BOOLEAN_OF_NAME,
        &["name"],
        "Drop an active group whose processes are all stopped.",
        remove_process_group,
    ),
    waiting(
        "startProcess",
        &["boolean", "string", "boolean"],
        &["name", "wait"],
        "Start a process by its name or group:name, or all of group:*; unless wait is false, answer once it is up.",
        control::start_process,
    ),
    waiting(
        "startProcessGroup",
        &["array", "string", "boolean"],
        &["name", "wait"],
        "Start all processes of a group; the answer tells of each how it went.",
        control::start_group,
    ),
    waiting(
        "startAllProcesses",
        &["array", "boolean"],
        &["wait"],
        "Start all processes; the answer tells of each how it went.",
        control::start_all,
    ),
    waiting(
        "stopProcess",
        &["boolean", "string", "boolean"],
        &["name", "wait"],
        "Stop a process by its name or group:name, or all of group:*; unless wait is false, answer once it is gone.",
        control::stop_process,
    ),
    waiting(
        "stopProcessGroup",
        &["array", "string", "boolean"],
        &["name", "wait"],
        "Stop all processes of a group; the answer tells of each how it went.",
        control::stop_group,
    ),
    waiting(
        "stopAllProcesses",
        &["array", "boolean"],
        &["wait"],
        "Stop all processes; the answer tells of each how it went.",
        control::stop_all,
    ),
    row(
        "signalProcess",
        &["boolean", "string", "string"],
        &["name", "signal"],
        "Send a signal, by its name or number, to a process.",
        control::signal_process,
    )
    .noted()
    .returning(""),
    row(
        "signalProcessGroup",
        &["array", "string", "string"],
        &["name", "signal"],
        "Send a signal to all processes of a group; the answer tells of each how it went.",
        control::signal_group,
    )
    .noted()
    .returning(""),
    row(
        "signalAllProcesses",
        &["array", "string"],
        &["signal"],
        "Send a signal to all processes; the answer tells of each how it went.",
        control::signal_all,
    )
    .noted()
    .returning("An outcome for each process"),
    row("getAllConfigInfo", ARRAY, &[], "Give the options of every configured process.", info::all_config_info),
    row("getProcessInfo", &["struct", "string"], &["name"], "Give the status of a process.", info::process_info),
    row("getAllProcessInfo", ARRAY, &[], "Give the status of all processes.", info::all_process_info),
    row("readProcessStdoutLog", READ, SLICE, "Read bytes of a process's stdout log.", logs::read_stdout),
    row("readProcessLog", READ, SLICE, "The old name of readProcessStdoutLog.", logs::read_stdout),
    row("readProcessStderrLog", READ, SLICE, "Read bytes of a process's stderr log.", logs::read_stderr),
    row(
        "tailProcessStdoutLog",
        TAIL,
        SLICE,
        "Read the end of a process's stdout log: [bytes, offset, overflow]. Cheap to ask again and again with the \
         offset of the last answer.",
        logs::tail_stdout,
    ),
    row("tailProcessLog", TAIL, SLICE, "The old name of tailProcessStdoutLog.", logs::tail_stdout),
    row(
        "tailProcessStderrLog",
        TAIL,
        SLICE,
        "Read the end of a process's stderr log: [bytes, offset, overflow].",
        logs::tail_stderr,
    ),
    row("clearProcessLogs", BOOLEAN_OF_NAME, &["name"], "Empty and reopen the logs of a process.", logs::clear).noted(),
    row("clearProcessLog", BOOLEAN_OF_NAME, &["name"], "The old name of clearProcessLogs.", logs::clear).noted(),
    row(
        "clearAllProcessLogs",
        ARRAY,
        &[],
        "Empty and reopen the logs of all processes; the answer tells of each how it went.",
        logs::clear_all,
    )
    .noted(),
    row(
        "sendProcessStdin",
        &["boolean", "string", "string"],
        &["name", "chars"],
        "Write text to the stdin of a process.",
        control::send_stdin,
    )
    .noted(),
    Method {
        guard: Guard::Open,
        ..row(
            "sendRemoteCommEvent",
            &["boolean", "string", "string"],
            &["type", "data"],
            "Emit an event that listeners of REMOTE_COMMUNICATION receive.",
            send_remote_event,
        )
        .returning("Always true")
    },
];

/// The version of the interface; clients refuse any other.
pub const API_VERSION: &str = "3.0";
/// The version of Supervisor that this daemon stands for.
pub const SUPERVISOR_VERSION: &str = "4.3.0";

fn api_version(_: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    Ok(API_VERSION.into())
}

fn supervisor_version(_: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    Ok(SUPERVISOR_VERSION.into())
}

fn identification(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    Ok(context.daemon.config.supervisord.identifier.clone().into())
}

fn state(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let state = context.daemon.state();
    let members = vec![("statecode".into(), state.code().into()), ("statename".into(), state.name().into())];
    Ok(Value::Struct(members).into())
}

fn pid(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    Ok(context.host.own_pid().into())
}

fn shutdown(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    context.daemon.request_shutdown();
    Ok(true.into())
}

fn restart(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    context.budget.spend(LOAD_US);
    context.daemon.request_restart(context.host).map_err(|text| Code::CantReread.with(text))?;
    Ok(true.into())
}

fn reload_config(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let difference = reread(context)?;
    let names = |names: Vec<String>| Value::Array(names.into_iter().map(Value::from).collect());
    let all = vec![names(difference.added), names(difference.changed), names(difference.removed)];
    Ok(Value::Array(vec![Value::Array(all)]).into())
}

/// Reads the file anew and says how it differs from what is active (P-110). What else there is to say about the file
/// is said when it is loaded at a start (L-20); of changes made at run time it is said here, too.
pub(super) fn reread(context: &mut Context<'_>) -> Result<diff::Difference, Fault> {
    let config = load(context)?;
    Ok(adopt(context, config))
}

/// What the files say now; nothing has come of it yet. Faults: CANT_REREAD.
pub(super) fn load(context: &mut Context<'_>) -> Result<Config, Fault> {
    context.budget.spend(LOAD_US);
    context.daemon.load_config(context.host).map_err(|text| Code::CantReread.with(text))
}

/// Takes it for what is configured, and says how it differs from what is active.
pub(super) fn adopt(context: &mut Context<'_>, config: Config) -> diff::Difference {
    for warning in config.base.iter().flat_map(|base| &base.laid.warnings) {
        activity!(Warn, "{warning}");
    }
    let daemon = &mut *context.daemon;
    daemon.set_config(config, context.host);
    let active = daemon.roster.groups().map(|(_, group)| &group.config);
    diff::difference(active, &daemon.config.groups)
}

fn add_process_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = scalar(params, 0)?;
    let group = context.daemon.configured_group(&name).cloned().ok_or_else(|| Code::BadName.with(&*name))?;
    let origin = context.origin();
    context.daemon.apply(&Change::AddGroup(group), &origin, context.now, context.host)?;
    Ok(true.into())
}

fn remove_process_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = scalar(params, 0)?;
    let origin = context.origin();
    context.daemon.apply(&Change::RemoveGroup(name.to_string()), &origin, context.now, context.host)?;
    Ok(true.into())
}

fn send_remote_event(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    // Of what is not a string the text that Python's str() makes.
    let shown = |value: Option<&Value>| match value {
        Some(Value::Str(text)) => text.to_string(),
        Some(other) => pyrepr::value(other),
        None => String::new(),
    };
    context.daemon.remote_event(&shown(params.first()), &shown(params.get(1)));
    Ok(true.into())
}
