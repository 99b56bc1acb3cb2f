//! Commands that do something (V-322 to V-342).

use super::table::{self, Width, cell, items, shown};
use super::{Error, Session, Value, ask, is_there, means_all, words};
use crate::level::Level;
use crate::namespec;

/// Names of the strategies, in the order of their numbers; in whatever build.
const STARTING: &[&str] = &["CONFIG", "LESS_LOADED", "MOST_LOADED", "LOCAL", "LESS_LOADED_NODE", "MOST_LOADED_NODE"];
const CONCILIATION: &[&str] = &["SENICIDE", "INFANTICIDE", "USER", "STOP", "RESTART", "RUNNING_FAILURE"];

/// Words that make no sense (V-302).
fn wrong<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::usage(text.into(), 2))
}

fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", names.join(", "))
}

/// Takes the strategy, the first word, off the words behind a command.
fn strategy(command: &str, arguments: &str, missing: &str) -> Result<(Value, Vec<String>), Error> {
    let mut words = words(arguments);
    if words.is_empty() {
        return wrong(format!("ERROR: {command} requires {missing}"));
    }
    let name = words.remove(0);
    match STARTING.iter().position(|known| *known == name) {
        Some(_) => Ok((name.into(), words)),
        None if command == "restart_process" => {
            wrong(format!("ERROR: unknown strategy={name}. use one of {}", listed(STARTING)))
        }
        None => wrong(format!("ERROR: unknown strategy for {command}. use one of {}", listed(STARTING))),
    }
}

/// The applications that are meant: those that are managed (V-346).
fn applications(session: &mut Session, names: &[String], verb: &str) -> Result<Option<Vec<String>>, Error> {
    let Some(answer) = ask(session, "get_all_applications_info", &[], None)? else { return Ok(None) };
    let all: Vec<(String, bool)> = items(answer)
        .iter()
        .map(|one| (cell(one, "application_name"), one.member("managed") == Some(&Value::Bool(true))))
        .collect();
    if means_all(names) {
        let mut managed: Vec<String> = all.into_iter().filter(|(_, managed)| *managed).map(|(name, _)| name).collect();
        crate::sort::ascending(&mut managed);
        return Ok(Some(managed));
    }
    let mut found = Vec::new();
    for name in names {
        match all.iter().find(|(known, _)| known == name) {
            Some((_, true)) => found.push(name.clone()),
            Some((_, false)) => session.print(&format!("{name}: IGNORED (unmanaged. use {verb} {name}:*)")),
            None => {
                session.print(&format!("{name}: ERROR (no such application)"));
                session.status = 2;
            }
        }
    }
    Ok(Some(found))
}

/// Does something to applications, one after another.
fn each_application(
    session: &mut Session,
    (method, verb, done): (&str, &str, &str),
    strategy: Option<Value>,
    names: &[String],
) -> Result<(), Error> {
    let Some(found) = applications(session, names, verb)? else { return Ok(()) };
    for name in found {
        let params: Vec<Value> = strategy.iter().cloned().chain([name.clone().into()]).collect();
        if let Some(result) = ask(session, method, &params, Some(&name))? {
            session.print(&format!("{name} {done}: {}", shown(&result)));
        }
    }
    Ok(())
}

pub fn start_application(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let (strategy, names) = strategy("start_application", arguments, "at least a strategy")?;
    each_application(session, ("start_application", "start", "started"), Some(strategy), &names)
}

pub fn restart_application(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let (strategy, names) = strategy("restart_application", arguments, "at least a strategy")?;
    each_application(session, ("restart_application", "restart", "restarted"), Some(strategy), &names)
}

pub fn stop_application(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    each_application(session, ("stop_application", "stop", "stopped"), None, &words(arguments))
}

/// Where processes would be started.
fn print_prediction(session: &mut Session, answer: Value) {
    let members = ["application_name", "process_name", "state", "running_identifiers", "forced_reason"];
    let lines: Vec<Vec<String>> =
        items(answer).iter().map(|one| members.iter().map(|member| cell(one, member)).collect()).collect();
    let columns = [
        ("Application", Width::Auto),
        ("Process", Width::Auto),
        ("State", Width::Fixed(12)),
        ("Supervisor", Width::Auto),
        ("Reason", Width::Free),
    ];
    table::print(session, &columns, &lines);
}

pub fn test_start_application(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    const MISSING: &str = "one strategy and one application name";
    let (strategy, names) = strategy("test_start_application", arguments, MISSING)?;
    let Some(name) = names.first().cloned() else {
        return wrong(format!("ERROR: test_start_application requires {MISSING}"));
    };
    let Some(answer) = ask(session, "get_all_applications_info", &[], None)? else { return Ok(()) };
    let found = items(answer).into_iter().find(|one| cell(one, "application_name") == name);
    match found.as_ref().map(|one| one.member("managed") == Some(&Value::Bool(true))) {
        None => {
            session.print(&format!("ERROR: unknown application \"{name}\""));
            session.status = 2;
            return Ok(());
        }
        Some(false) => {
            return Err(Error::Usage { message: Some(format!("ERROR: {name} unmanaged")), status: None });
        }
        Some(true) => {}
    }
    if let Some(answer) = ask(session, "test_start_application", &[strategy, name.clone().into()], Some(&name))? {
        print_prediction(session, answer);
    }
    Ok(())
}

pub fn test_start_process(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    const MISSING: &str = "one strategy and one namespec";
    if words(arguments).len() < 2 {
        return wrong(format!("ERROR: test_start_process requires {MISSING}"));
    }
    let (strategy, names) = strategy("test_start_process", arguments, MISSING)?;
    let Some(name) = names.first().cloned() else {
        return wrong(format!("ERROR: test_start_process requires {MISSING}"));
    };
    if let Some(answer) = ask(session, "test_start_process", &[strategy, name.clone().into()], Some(&name))? {
        print_prediction(session, answer);
    }
    Ok(())
}

/// The processes that are meant, sorted; all of them, or of all those that run.
fn processes(session: &mut Session, names: Vec<String>, only_running: bool) -> Result<Vec<String>, Error> {
    let mut names = names;
    if means_all(&names) {
        let all = ask(session, "get_all_process_info", &[], None)?.map(items).unwrap_or_default();
        let is_running = |one: &&Value| ["STARTING", "RUNNING", "BACKOFF"].contains(&cell(one, "statename").as_str());
        let meant = all.iter().filter(|one| !only_running || is_running(one));
        names = meant.map(|one| namespec::join(&cell(one, "application_name"), &cell(one, "process_name"))).collect();
    }
    crate::sort::ascending(&mut names);
    Ok(names)
}

pub fn start_process(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let (strategy, names) = strategy("start_process", arguments, "at least a strategy")?;
    for name in processes(session, names, false)? {
        let params = [strategy.clone(), name.clone().into()];
        if let Some(result) = ask(session, "start_process", &params, Some(&name))? {
            session.print(&format!("{name} started: {}", shown(&result)));
        }
    }
    Ok(())
}

pub fn restart_process(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let (strategy, names) = strategy("restart_process", arguments, "a strategy and a program name")?;
    for name in processes(session, names, false)? {
        let params = [strategy.clone(), name.clone().into()];
        if let Some(result) = ask(session, "restart_process", &params, Some(&name))? {
            session.print(&format!("{name} restarted: {}", shown(&result)));
        }
    }
    Ok(())
}

pub fn stop_process(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    for name in processes(session, words(arguments), true)? {
        if ask(session, "stop_process", &[name.clone().into()], Some(&name))?.is_some() {
            session.print(&format!("{name} stopped"));
        }
    }
    Ok(())
}

pub fn start_any_process(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    const MISSING: &str = "a strategy and at least a regular expression";
    let (strategy, expressions) = strategy("start_any_process", arguments, MISSING)?;
    if expressions.is_empty() {
        return wrong(format!("ERROR: start_any_process requires {MISSING}"));
    }
    for expression in expressions {
        let params = [strategy.clone(), expression.clone().into()];
        if let Some(name) = ask(session, "start_any_process", &params, Some(&format!("\"{expression}\"")))? {
            session.print(&format!("{} started", shown(&name)));
        }
    }
    Ok(())
}

/// A first word, and the rest as one text.
fn with_arguments(command: &str, missing: &str, words: Vec<String>) -> Result<(String, Value), Error> {
    match words.split_first() {
        Some((name, rest)) if !rest.is_empty() => Ok((name.clone(), rest.join(" ").into())),
        _ => wrong(format!("ERROR: {command} requires {missing}")),
    }
}

pub fn start_args(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let (name, more) = with_arguments("start_args", "a process name and extra arguments", words(arguments))?;
    if let Some(result) = ask(session, "start_args", &[name.clone().into(), more], Some(&name))? {
        session.print(&format!("{name} started: {}", shown(&result)));
    }
    Ok(())
}

pub fn start_process_args(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    const MISSING: &str = "a strategy, a program namespec and extra arguments";
    let (strategy, rest) = strategy("start_process_args", arguments, MISSING)?;
    let (name, more) = with_arguments("start_process_args", MISSING, rest)?;
    if let Some(result) = ask(session, "start_process", &[strategy, name.clone().into(), more], Some(&name))? {
        session.print(&format!("{name} started: {}", shown(&result)));
    }
    Ok(())
}

pub fn start_any_process_args(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    const MISSING: &str = "a strategy, a regular expression and extra arguments";
    let (strategy, rest) = strategy("start_any_process_args", arguments, MISSING)?;
    let (expression, more) = with_arguments("start_any_process_args", MISSING, rest)?;
    let params = [strategy, expression.clone().into(), more];
    if let Some(name) = ask(session, "start_any_process", &params, Some(&format!("\"{expression}\"")))? {
        session.print(&format!("{} started", shown(&name)));
    }
    Ok(())
}

/// Calls a method of each instance that runs, at its own address; one that is alone may have been reached by another one.
fn on_all(session: &mut Session, name: &str, method: &str, params: &[Value]) -> Result<(), Error> {
    let Some(answer) = ask(session, "get_all_instances_info", &[], None)? else { return Ok(()) };
    let is_up = |one: &&Value| ["CHECKED", "RUNNING"].contains(&cell(one, "statename").as_str());
    let all = items(answer);
    let url = |one: &Value| format!("http://{}:{}", cell(one, "node_name"), cell(one, "port"));
    let instances: Vec<(String, String)> =
        all.iter().filter(is_up).map(|one| (cell(one, "identifier"), url(one))).collect();
    if instances.is_empty() {
        session.print("ERROR: no running Supvisors instance");
    }
    let is_alone = all.len() == 1;
    for (identifier, url) in instances {
        let result = if is_alone { session.call(method, params) } else { session.call_at(&url, method, params) };
        match result {
            Ok(result) => session.print(&format!("{name} started on {identifier}: {}", shown(&result))),
            Err(Error::Fault { text, .. }) => session.complain(&format!("{name}: ERROR ({text})"))?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub fn all_start(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let Some(name) = words(arguments).into_iter().next() else {
        return wrong("ERROR: all_start requires a process name");
    };
    let params = [name.clone().into(), false.into()];
    on_all(session, &name, "supervisor.startProcess", &params)
}

pub fn all_start_args(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let (name, more) = with_arguments("all_start_args", "a process name and extra arguments", words(arguments))?;
    let params = [name.clone().into(), more, false.into()];
    on_all(session, &name, "supvisors.start_args", &params)
}

/// A command with the name of a program.
fn program(session: &mut Session, arguments: &str, (method, done): (&str, &str)) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let Some(name) = words(arguments).into_iter().next() else {
        return wrong(format!("ERROR: {method} requires a program name"));
    };
    if let Some(result) = ask(session, method, &[name.clone().into()], None)? {
        session.print(&format!("{name} {done}: {}", shown(&result)));
    }
    Ok(())
}

pub fn enable(session: &mut Session, arguments: &str) -> Result<(), Error> {
    program(session, arguments, ("enable", "enabled"))
}

pub fn disable(session: &mut Session, arguments: &str) -> Result<(), Error> {
    program(session, arguments, ("disable", "disabled"))
}

/// Gives a program another number of processes.
fn resize(session: &mut Session, arguments: &str, command: &str, more: &[Value]) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let words = words(arguments);
    let [name, number, ..] = &words[..] else {
        return wrong(format!("ERROR: {command} requires a program name and a numprocs values"));
    };
    let Some(number) = number.parse::<i64>().ok().filter(|number| *number > 0) else {
        return wrong("ERROR: numprocs must be a strictly positive integer");
    };
    let params: Vec<Value> = [name.clone().into(), number.into()].into_iter().chain(more.iter().cloned()).collect();
    if let Some(result) = ask(session, "update_numprocs", &params, None)? {
        session.print(&format!("{name} numprocs updated: {}", shown(&result)));
    }
    Ok(())
}

pub fn update_numprocs(session: &mut Session, arguments: &str) -> Result<(), Error> {
    resize(session, arguments, "update_numprocs", &[])
}

pub fn lazy_update_numprocs(session: &mut Session, arguments: &str) -> Result<(), Error> {
    resize(session, arguments, "lazy_update_numprocs", &[true.into(), true.into()])
}

pub fn conciliate(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let Some(name) = words(arguments).into_iter().next() else {
        return wrong("ERROR: conciliate requires a strategy");
    };
    if !CONCILIATION.contains(&name.as_str()) {
        return wrong(format!("ERROR: unknown strategy for conciliate. use one of {}", listed(CONCILIATION)));
    }
    plain(session, "conciliate", &[name.into()], "Conciliated")
}

/// A call, and its result behind some words.
fn plain(session: &mut Session, method: &str, params: &[Value], words: &str) -> Result<(), Error> {
    if let Some(result) = ask(session, method, params, None)? {
        session.print(&format!("{words}: {}", shown(&result)));
    }
    Ok(())
}

pub fn restart_sequence(session: &mut Session, _: &str) -> Result<(), Error> {
    if is_there(session)? { plain(session, "restart_sequence", &[], "Start sequence completed") } else { Ok(()) }
}

pub fn sreload(session: &mut Session, _: &str) -> Result<(), Error> {
    if is_there(session)? { plain(session, "restart", &[], "Restarted") } else { Ok(()) }
}

pub fn sshutdown(session: &mut Session, _: &str) -> Result<(), Error> {
    if is_there(session)? { plain(session, "shutdown", &[], "Shut down") } else { Ok(()) }
}

pub fn end_sync(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let words = words(arguments);
    if words.len() > 1 {
        return wrong("ERROR: end_sync optionally takes one single Supvisors identifier");
    }
    let params: Vec<Value> = words.into_iter().map(Value::from).collect();
    plain(session, "end_sync", &params, "End of Synchronization phase requested")
}

pub fn loglevel(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let Some(name) = words(arguments).into_iter().next() else { return wrong("ERROR: loglevel requires a level") };
    if !Level::ALL.iter().any(|level| level.config_name() == name.to_lowercase()) {
        return wrong("ERROR: unknown level for Logger");
    }
    plain(session, "change_log_level", &[name.into()], "Logger level changed")
}

/// Switches statistics: of the host, of processes, or both (V-341).
fn switch_stats(session: &mut Session, arguments: &str, is_on: bool) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let kinds: Vec<String> = words(arguments).iter().map(|word| word.to_lowercase()).collect();
    let mut strange = kinds.iter().filter(|kind| !["host", "process", "all"].contains(&kind.as_str()));
    if let Some(first) = strange.next() {
        for other in std::iter::once(first).chain(strange) {
            session.print(&format!("ERROR: invalid statistics type {other}"));
        }
        return Err(Error::Usage { message: None, status: Some(2) });
    }
    let done = if is_on { "enabled" } else { "disabled" };
    for (kind, method, name) in
        [("host", "enable_host_statistics", "Host"), ("process", "enable_process_statistics", "Process")]
    {
        if kinds.is_empty() || kinds.iter().any(|word| word == kind || word == "all") {
            plain(session, method, &[is_on.into()], &format!("{name} statistics {done}"))?;
        }
    }
    Ok(())
}

pub fn enable_stats(session: &mut Session, arguments: &str) -> Result<(), Error> {
    switch_stats(session, arguments, true)
}

pub fn disable_stats(session: &mut Session, arguments: &str) -> Result<(), Error> {
    switch_stats(session, arguments, false)
}

pub fn stats_period(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let Some(word) = words(arguments).into_iter().next() else { return wrong("ERROR: stats_period requires a period") };
    match word.parse::<f64>() {
        Ok(secs) if secs > 0.0 => {
            plain(session, "update_collecting_period", &[Value::Double(secs)], "Statistics period updated")
        }
        _ => wrong("ERROR: stats_period requires a strictly positive period"),
    }
}
