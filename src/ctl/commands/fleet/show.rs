//! Commands that show something (V-310 to V-321).

use super::table::{self, Width, cell, items, shown};
use super::{Error, Session, Value, ask, is_there, means_all, words};
use crate::namespec;
use crate::sys::time;

/// The code of EXITED.
const EXITED: i64 = 100;

/// `HH:MM:SS` of a moment in local time; 0 for none.
fn clock(value: Option<&Value>) -> String {
    match value {
        Some(Value::Int(secs)) if *secs != 0 => {
            let text = time::ctime(*secs);
            text.split_whitespace().nth(3).unwrap_or_default().to_string()
        }
        _ => "0".to_string(),
    }
}

pub fn sversion(session: &mut Session, _: &str) -> Result<(), Error> {
    if is_there(session)?
        && let Some(version) = ask(session, "get_api_version", &[], None)?
    {
        session.print(&shown(&version));
    }
    Ok(())
}

pub fn sstate(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let names = words(arguments);
    let answer = match names.is_empty() {
        true => ask(session, "get_supvisors_state", &[], None)?.map(|state| Value::Array(vec![state])),
        false => ask(session, "get_all_instances_state_modes", &[], None)?,
    };
    let Some(answer) = answer else { return Ok(()) };
    let members = [
        "nick_identifier",
        "identifier",
        "fsm_statename",
        "degraded_mode",
        "discovery_mode",
        "master_identifier",
        "starting_jobs",
        "stopping_jobs",
    ];
    let columns = [
        ("Nickname", Width::Auto),
        ("Supvisors identifier", Width::Auto),
        ("State", Width::Fixed(16)),
        ("Degraded", Width::Fixed(10)),
        ("Discovery", Width::Fixed(11)),
        ("Master", Width::Auto),
        ("Starting", Width::Auto),
        ("Stopping", Width::Auto),
    ];
    let line = |state: &Value| members.iter().map(|member| cell(state, member)).collect();
    let lines: Vec<Vec<String>> = items(answer).iter().map(line).collect();
    table::print_of(session, &columns, &lines, |line| is_meant(&names, line));
    Ok(())
}

/// Whether a line is about an instance that is meant; nick and identifier come first.
fn is_meant(names: &[String], line: &[String]) -> bool {
    means_all(names) || line.iter().take(2).any(|cell| names.contains(cell))
}

pub fn master(session: &mut Session, _: &str) -> Result<(), Error> {
    if is_there(session)?
        && let Some(master) = ask(session, "get_master_identifier", &[], None)?
    {
        if master.member("identifier").is_some() {
            session.print(&format!("Nick identifier: {}", cell(&master, "nick_identifier")));
            session.print(&format!("Identifier:      {}", cell(&master, "identifier")));
        } else {
            session.print("No Supvisors Master");
        }
    }
    Ok(())
}

pub fn strategies(session: &mut Session, _: &str) -> Result<(), Error> {
    if is_there(session)?
        && let Some(found) = ask(session, "get_strategies", &[], None)?
    {
        session.print(&format!("Auto-fencing: {}", cell(&found, "auto-fencing")));
        session.print(&format!("Failure:      {}", cell(&found, "supvisors_failure")));
        session.print(&format!("Conciliation: {}", cell(&found, "conciliation")));
        session.print(&format!("Starting:     {}", cell(&found, "starting")));
    }
    Ok(())
}

pub fn stats_status(session: &mut Session, _: &str) -> Result<(), Error> {
    if is_there(session)?
        && let Some(found) = ask(session, "get_statistics_status", &[], None)?
    {
        session.print(&format!("Collecting Host statistics:    {}", cell(&found, "host_stats")));
        session.print(&format!("Collecting Process statistics: {}", cell(&found, "process_stats")));
        session.print(&format!("Collecting statistics period:  {}", cell(&found, "collecting_period")));
    }
    Ok(())
}

pub fn instance_status(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let Some(answer) = ask(session, "get_all_instances_info", &[], None)? else { return Ok(()) };
    let columns = [
        ("Nickname", Width::Auto),
        ("Supvisors identifier", Width::Auto),
        ("Host", Width::Auto),
        ("Port", Width::Fixed(7)),
        ("State", Width::Fixed(11)),
        ("Load", Width::Fixed(6)),
        ("Time", Width::Fixed(10)),
        ("Counter", Width::Fixed(9)),
        ("Processes", Width::Fixed(11)),
    ];
    let line = |info: &Value| {
        let has_failed = info.member("process_failure") == Some(&Value::Bool(true));
        vec![
            cell(info, "nick_identifier"),
            cell(info, "identifier"),
            cell(info, "node_name"),
            cell(info, "port"),
            cell(info, "statename"),
            format!("{}%", cell(info, "loading")),
            clock(info.member("remote_time")),
            cell(info, "remote_sequence_counter"),
            if has_failed { "error" } else { "ok" }.to_string(),
        ]
    };
    let lines: Vec<Vec<String>> = items(answer).iter().map(line).collect();
    let names = words(arguments);
    table::print_of(session, &columns, &lines, |line| is_meant(&names, line));
    Ok(())
}

pub fn application_info(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let Some(answer) = ask(session, "get_all_applications_info", &[], None)? else { return Ok(()) };
    let names = words(arguments);
    let all = items(answer);
    let members = ["application_name", "statename", "major_failure", "minor_failure"];
    let line = |info: &Value| members.iter().map(|member| cell(info, member)).collect();
    let lines: Vec<Vec<String>> = all.iter().map(line).collect();
    let columns = [
        ("Application", Width::Auto),
        ("State", Width::Fixed(10)),
        ("Major", Width::Fixed(7)),
        ("Minor", Width::Fixed(7)),
    ];
    let is_meant = |line: &[String]| means_all(&names) || line.first().is_some_and(|name| names.contains(name));
    table::print_of(session, &columns, &lines, is_meant);
    Ok(())
}

pub fn application_rules(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let mut names = words(arguments);
    if means_all(&names) {
        let answer = ask(session, "get_all_applications_info", &[], None)?;
        names = answer.map(items).unwrap_or_default().iter().map(|one| cell(one, "application_name")).collect();
    }
    let members = [
        "distribution",
        "identifiers",
        "start_sequence",
        "stop_sequence",
        "starting_strategy",
        "starting_failure_strategy",
        "running_failure_strategy",
    ];
    let mut lines = Vec::new();
    for name in names {
        let Some(rules) = ask(session, "get_application_rules", &[name.clone().into()], Some(&name))? else { continue };
        let is_managed = rules.member("managed") == Some(&Value::Bool(true));
        let mut line = vec![cell(&rules, "application_name"), cell(&rules, "managed")];
        let of = |member: &&str| if is_managed { cell(&rules, member) } else { "n/a".to_string() };
        line.extend(members.iter().map(of));
        lines.push(line);
    }
    if !lines.is_empty() {
        let columns = [
            ("Application", Width::Auto),
            ("Managed", Width::Fixed(9)),
            ("Distribution", Width::Fixed(17)),
            ("Supervisor", Width::Auto),
            ("Start", Width::Fixed(7)),
            ("Stop", Width::Fixed(7)),
            ("Starting", Width::Fixed(18)),
            ("Starting_Failure", Width::Fixed(18)),
            ("Running_Failure", Width::Free),
        ];
        table::print(session, &columns, &lines);
    }
    Ok(())
}

/// What a method says of all processes, or of those that are named, each by a call of its own.
fn of_processes(session: &mut Session, arguments: &str, all: Option<&str>, one: &str) -> Result<Vec<Value>, Error> {
    let mut names = words(arguments);
    if means_all(&names) {
        if let Some(all) = all {
            return Ok(ask(session, all, &[], None)?.map(items).unwrap_or_default());
        }
        let answer = ask(session, "get_all_applications_info", &[], None)?;
        let applications = answer.map(items).unwrap_or_default();
        names = applications.iter().map(|one| format!("{}:*", cell(one, "application_name"))).collect();
    }
    let mut found = Vec::new();
    for name in names {
        if let Some(answer) = ask(session, one, &[name.clone().into()], Some(&name))? {
            found.extend(items(answer));
        }
    }
    Ok(found)
}

pub fn sstatus(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let found = of_processes(session, arguments, Some("get_all_process_info"), "get_process_info")?;
    let line = |info: &Value| {
        let has_exited = info.member("statecode") == Some(&Value::Int(EXITED));
        let expected = if has_exited { cell(info, "expected_exit") } else { "n/a".to_string() };
        vec![
            cell(info, "application_name"),
            cell(info, "process_name"),
            cell(info, "statename"),
            expected,
            cell(info, "identifiers"),
        ]
    };
    let lines: Vec<Vec<String>> = found.iter().map(line).collect();
    if !lines.is_empty() {
        let columns = [
            ("Application", Width::Auto),
            ("Process", Width::Auto),
            ("State", Width::Fixed(12)),
            ("Expected", Width::Fixed(10)),
            ("Supervisor", Width::Free),
        ];
        table::print(session, &columns, &lines);
    }
    Ok(())
}

pub fn local_status(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let all = ask(session, "get_all_local_process_info", &[], None)?.map(items).unwrap_or_default();
    let names = words(arguments);
    let matches = |info: &Value, name: &String| {
        let spec = namespec::split(name);
        cell(info, "group") == spec.group && spec.process.is_none_or(|process| cell(info, "name") == process)
    };
    let found: Vec<&Value> = match means_all(&names) {
        true => all.iter().collect(),
        false => names.iter().flat_map(|name| all.iter().filter(move |info| matches(info, name))).collect(),
    };
    let line = |info: &&Value| {
        vec![
            cell(info, "group"),
            cell(info, "name"),
            cell(info, "disabled"),
            cell(info, "statename"),
            clock(info.member("start")),
            clock(info.member("now")),
            cell(info, "pid"),
            cell(info, "extra_args"),
        ]
    };
    let lines: Vec<Vec<String>> = found.iter().map(line).collect();
    if !lines.is_empty() {
        let columns = [
            ("Application", Width::Auto),
            ("Process", Width::Auto),
            ("Disabled", Width::Fixed(10)),
            ("State", Width::Fixed(12)),
            ("Start", Width::Fixed(12)),
            ("Now", Width::Fixed(12)),
            ("PID", Width::Fixed(8)),
            ("Extra args", Width::Free),
        ];
        table::print(session, &columns, &lines);
    }
    Ok(())
}

pub fn process_rules(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let found = of_processes(session, arguments, None, "get_process_rules")?;
    let line = |rules: &Value| {
        vec![
            cell(rules, "application_name"),
            cell(rules, "process_name"),
            cell(rules, "start_sequence"),
            cell(rules, "stop_sequence"),
            cell(rules, "required"),
            cell(rules, "wait_exit"),
            format!("{}%", cell(rules, "expected_loading")),
            cell(rules, "running_failure_strategy"),
            cell(rules, "identifiers"),
        ]
    };
    let lines: Vec<Vec<String>> = found.iter().map(line).collect();
    if !lines.is_empty() {
        let columns = [
            ("Application", Width::Auto),
            ("Process", Width::Auto),
            ("Start", Width::Fixed(7)),
            ("Stop", Width::Fixed(7)),
            ("Required", Width::Fixed(12)),
            ("WaitExit", Width::Fixed(12)),
            ("Loading", Width::Fixed(12)),
            ("Strategy", Width::Fixed(22)),
            ("Supervisor", Width::Free),
        ];
        table::print(session, &columns, &lines);
    }
    Ok(())
}

pub fn conflicts(session: &mut Session, _: &str) -> Result<(), Error> {
    if !is_there(session)? {
        return Ok(());
    }
    let found = ask(session, "get_conflicts", &[], None)?.map(items).unwrap_or_default();
    let members = ["application_name", "process_name", "statename", "identifiers"];
    let lines: Vec<Vec<String>> =
        found.iter().map(|one| members.iter().map(|member| cell(one, member)).collect()).collect();
    if !lines.is_empty() {
        let columns = [
            ("Application", Width::Auto),
            ("Process", Width::Auto),
            ("State", Width::Fixed(12)),
            ("Supervisor", Width::Free),
        ];
        table::print(session, &columns, &lines);
    }
    Ok(())
}
