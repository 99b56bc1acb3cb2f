//! mstart, mstop, mrestart and serialrestart, as the plugins supervisor-wildcards and supervisor-serialrestart add
//! them.

use super::act::{start_names, stop_names};
use super::control;
use super::names::{array, matches, text};
use crate::config::glob;
use crate::ctl::error::Error;
use crate::ctl::options::Kind;
use crate::ctl::session::Session;
use crate::namespec;

pub fn mstart(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let names = matching(session, arguments)?;
    start_names(session, &names)
}

pub fn mstop(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let names = matching(session, arguments)?;
    stop_names(session, &names)
}

pub fn mrestart(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let names = matching(session, arguments)?;
    stop_names(session, &names)?;
    start_names(session, &names)
}

/// The processes that match one of the expressions. An expression is compared with the process's name alone, or
/// with `group:name` if the section sets `match_group`; `all` is every process.
fn matching(session: &mut Session, arguments: &str) -> Result<Vec<String>, Error> {
    let mut patterns: Vec<&str> = arguments.split_whitespace().collect();
    if patterns.contains(&"all") {
        patterns = vec!["*"];
    }
    let with_group = session.options.plugins.iter().any(|plugin| plugin.kind == Kind::Wildcards && plugin.match_group);
    let mut names = Vec::new();
    for info in array(session.call("supervisor.getAllProcessInfo", &[])?)? {
        let (group, process) = (text(&info, "group")?, text(&info, "name")?);
        let full = format!("{group}:{process}");
        let compared = if with_group { &full } else { process };
        if patterns.iter().any(|wanted| glob::matches(wanted, compared)) {
            names.push(full);
        }
    }
    if names.is_empty() {
        session.print("No process matched given expression.");
    }
    Ok(names)
}

/// `serialrestart name …`: each process is up again before the next one goes down.
pub fn serialrestart(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let patterns: Vec<&str> = arguments.split_whitespace().collect();
    if patterns.is_empty() {
        return Err(Error::usage("Error: serialrestart requires a process name", 1));
    }
    let mut known = Vec::new();
    for info in array(session.call("supervisor.getAllProcessInfo", &[])?)? {
        known.push((text(&info, "group")?.to_string(), text(&info, "name")?.to_string()));
    }
    let wants = |wanted: &str, group: &str, process: &str| wanted == "all" || matches(wanted, group, process);
    for wanted in &patterns {
        if *wanted != "all" && !known.iter().any(|(group, process)| wants(wanted, group, process)) {
            session.print(&format!("No such process {wanted}"));
            session.status = 1;
        }
    }
    for (group, process) in &known {
        if patterns.iter().any(|wanted| wants(wanted, group, process)) {
            control::restart(session, &namespec::join(group, process))?;
        }
    }
    Ok(())
}
