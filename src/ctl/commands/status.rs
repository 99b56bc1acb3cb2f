//! status, pid, avail, check: what is, without changing anything.

use std::collections::{BTreeMap, HashMap};

use super::flags::refuse_unknown;
use super::names::{array, expand, expand_in, namespec_of, none, number, text};
use super::watch::{Choice, watch};

use crate::ctl::colour;
use crate::ctl::error::Error;
use crate::ctl::hints;
use crate::ctl::lines::{Line, table};
use crate::ctl::printable;
use crate::ctl::session::{Check, Session};
use crate::fault::Code;
use crate::namespec;
use crate::state::ProcessState;
use crate::sys::terminal::size;
use crate::wire::json;
use crate::wire::value::Value;

/// The narrowest the first column of `status` gets, and the blanks after the longest name (S-20).
const NAME_WIDTH_MIN: usize = 30;
const NAME_GAP: usize = 3;
/// How many processes `check` names: what runs health checks keeps a short line of each.
const CHECK_NAMES_MAX: usize = 3;

/// Literal words that say how `status` shows; anything else that begins with a dash is a name as ever.
const WAYS: [&str; 5] = ["--json", "--verbose", "--long", "--failed", "--watch"];

/// `status [--json|--verbose|--long|--watch] [--failed] [name …]` (S-19 to S-22).
pub fn status(session: &mut Session, arguments: &str) -> Result<(), Error> {
    if session.check()? != Check::Passed {
        session.status = 4;
        return Ok(());
    }
    let mut names: Vec<String> = arguments.split_whitespace().map(str::to_string).collect();
    let [is_json, is_verbose, is_long, is_failed, is_watch] = WAYS.map(|way| names.iter().any(|name| name == way));
    names.retain(|name| !WAYS.contains(&name.as_str()));
    refuse_unknown(session, ("status", &WAYS), &names, 4)?;
    if is_watch {
        return watch(session, &Choice { names, only_failed: is_failed });
    }
    let infos = array(session.call("supervisor.getAllProcessInfo", &[])?)?;
    // What the original's answers have no place for is asked for only where it is shown.
    let lines = if is_long || is_failed { known_lines(session)? } else { BTreeMap::new() };
    let (mut chosen, errors) = choose(&infos, names)?;
    if is_failed {
        let mut failed = Vec::new();
        for info in chosen {
            if lines.get(&namespec_of(info)?).is_some_and(|line| line.is_wrong) {
                failed.push(info);
            }
        }
        chosen = failed;
        session.status = if chosen.is_empty() { 0 } else { 3 };
    }
    for error in &errors {
        // What is piped as JSON stays JSON.
        if is_json {
            session.print_error(error)
        } else {
            session.print(error)
        }
        hints::no_such_process(session, error.split(": ERROR").next().unwrap_or_default());
        session.status = 4;
    }
    if is_json {
        session.print_bare(&json::write(&Value::Array(chosen.iter().map(|&info| info.clone()).collect())));
    } else if is_verbose {
        show_more(session, &chosen)?;
    } else if is_long {
        show_long(session, &chosen, &lines)?;
    } else {
        show(session, &chosen)?;
    }
    for info in &chosen {
        if state_of(info).is_some_and(ProcessState::is_stopped) {
            session.status = 3;
        }
    }
    Ok(())
}

/// The processes of these names, in the order given, and a line for each name that is none (S-21).
pub(super) fn choose(infos: &[Value], names: Vec<String>) -> Result<(Vec<&Value>, Vec<String>), Error> {
    if names.is_empty() || names.iter().any(|name| name == "all") {
        return Ok((infos.iter().collect(), Vec::new()));
    }
    let (mut chosen, mut errors) = (Vec::new(), Vec::new());
    for name in expand_in(infos, names)? {
        let spec = namespec::split(&name);
        let before = chosen.len();
        for info in infos {
            if text(info, "group")? == spec.group
                && spec.process.is_none_or(|process| text(info, "name").is_ok_and(|name| name == process))
            {
                chosen.push(info);
            }
        }
        if chosen.len() == before {
            errors.push(match spec.process {
                None => format!("{}: ERROR (no such group)", spec.group),
                Some(_) => format!("{name}: ERROR (no such process)"),
            });
        }
    }
    Ok((chosen, errors))
}

/// The table (S-20). Widths are in characters, as the original counts them.
fn show(session: &mut Session, infos: &[&Value]) -> Result<(), Error> {
    let mut lines = Vec::with_capacity(infos.len());
    let mut longest = 0;
    for info in infos {
        let name = namespec_of(info)?;
        longest = longest.max(name.chars().count());
        lines.push((name, text(info, "statename")?, text(info, "description")?));
    }
    let mark = session.mark().to_string();
    // Those of several instances stand below each other.
    let width = (longest.max(NAME_WIDTH_MIN) + NAME_GAP).saturating_sub(mark.chars().count()).max(longest + NAME_GAP);
    for (name, state, description) in lines {
        let line = format!("{name:<width$}{state:<10}{description}");
        match colour::of(state) {
            // Around the whole line, so that nothing stands between the words that people and programs look for.
            Some(colour) if session.colours => {
                session
                    .write(format!("\x1b[{colour}m{}\x1b[0m\n", printable::line(&format!("{mark}{line}"))).as_bytes());
            }
            _ => session.print(&line),
        }
    }
    Ok(())
}

/// The same with two more lines for each process, of what the original's answers have no place for (O-8).
fn show_more(session: &mut Session, infos: &[&Value]) -> Result<(), Error> {
    let all = array(session.call("stheno.getAllProcessInfo", &[])?)?;
    let mut known: BTreeMap<String, &Value> = BTreeMap::new();
    for more in &all {
        known.insert(namespec_of(more)?, more);
    }
    for info in infos {
        show(session, &[info])?;
        let Some(more) = known.get(&namespec_of(info)?) else { continue };
        for line in super::order::verbose_lines(more)? {
            session.print(&line);
        }
    }
    Ok(())
}

/// What is known of all processes, by their names.
fn known_lines(session: &mut Session) -> Result<BTreeMap<String, Line>, Error> {
    let infos = array(session.call("stheno.getAllProcessInfo", &[])?)?;
    Ok(infos.iter().map(Line::of_info).map(|line| (line.name.clone(), line)).collect())
}

/// A table with figures and reasons; as wide as it gets, but on a terminal as wide as that.
fn show_long(session: &mut Session, infos: &[&Value], lines: &BTreeMap<String, Line>) -> Result<(), Error> {
    let mut shown = Vec::with_capacity(infos.len());
    for info in infos {
        shown.extend(lines.get(&namespec_of(info)?));
    }
    if shown.is_empty() {
        return Ok(());
    }
    let width = session.is_on_terminal.then(|| size().0);
    for (at, text) in table(&shown, width).into_iter().enumerate() {
        match at.checked_sub(1).and_then(|at| colour::of(&shown[at].state)) {
            Some(colour) if session.colours => {
                session.write(format!("\x1b[{colour}m{text}\x1b[0m\n").as_bytes());
            }
            _ => session.print(&text),
        }
    }
    Ok(())
}

fn state_of(info: &Value) -> Option<ProcessState> {
    let code = number(info, "state").ok()?;
    ProcessState::ALL.into_iter().find(|state| i64::from(state.code()) == code)
}

/// `pid [name …|all]` (S-23).
pub fn pid(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let names: Vec<String> = arguments.split_whitespace().map(str::to_string).collect();
    if names.is_empty() {
        match session.call("supervisor.getPID", &[])? {
            Value::Int(pid) => session.print(&pid.to_string()),
            _ => return Err(Error::BadAnswer("a number was expected".to_string())),
        }
    } else if names.iter().any(|name| name == "all") {
        for info in array(session.call("supervisor.getAllProcessInfo", &[])?)? {
            let pid = number(&info, "pid")?;
            session.print(&pid.to_string());
        }
    } else {
        for name in expand(session, names)? {
            match session.call("supervisor.getProcessInfo", &[Value::from(name.clone())]) {
                Ok(info) => {
                    let pid = number(&info, "pid")?;
                    session.print(&pid.to_string());
                    if pid == 0 {
                        session.status = 7;
                    }
                }
                Err(error) if error.is(Code::BadName) => {
                    session.print(&format!("No such process {name}"));
                    session.status = 1;
                    hints::no_such_process(session, &name);
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Lists what is configured, active or not: `avail [--json]` (S-40).
pub fn avail(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let is_json = arguments == "--json";
    if !is_json {
        none("avail", arguments)?;
    }
    let answer = match session.call("supervisor.getAllConfigInfo", &[]) {
        Err(error) if error.is(Code::ShutdownState) => {
            return session.complain("ERROR: supervisor shutting down");
        }
        answer => answer?,
    };
    if is_json {
        session.print(&json::write(&answer));
        return Ok(());
    }
    for info in array(answer)? {
        let name = namespec_of(&info)?;
        let use_ = if number(&info, "inuse")? != 0 { "in use" } else { "avail" };
        let start = if number(&info, "autostart")? != 0 { "auto" } else { "manual" };
        let priorities = format!("{}:{}", number(&info, "group_prio")?, number(&info, "process_prio")?);
        session.print(&format!("{name:<32} {use_:<9} {start:<9} {priorities}"));
    }
    Ok(())
}

/// `waiting for db, migrate` of the description of a process that waits (O-1); the states of what it waits for belong to
/// `status`.
fn wait_of(description: &str) -> Option<String> {
    let names = description.strip_prefix("Waiting ")?;
    let mut text = String::from("waiting ");
    let mut depth = 0_usize;
    for c in names.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => text.push(c),
            _ => {}
        }
    }
    Some(text.replace(" ,", ",").replace("  ", " ").trim_end().to_string())
}

/// Why processes are not as they are configured, by their groups and names.
type Reasons = HashMap<(String, String), String>;

/// What `check` asks of each process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Require {
    /// To be as it is configured: RUNNING, ended as expected, or not to be started by itself.
    AsConfigured,
    /// That processes are RUNNING is waited for.
    Running,
    /// Not to be FATAL or UNKNOWN.
    NotFatal,
}

impl Require {
    const ALL: [(&'static str, Require); 3] =
        [("as-configured", Require::AsConfigured), ("running", Require::Running), ("not-fatal", Require::NotFatal)];

    fn named(name: &str) -> Option<Require> {
        Require::ALL.iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
    }

    /// What is said when all are so.
    fn praise(self) -> &'static str {
        match self {
            Require::AsConfigured => "as configured",
            Require::Running => "running",
            Require::NotFatal => "not fatal",
        }
    }
}

/// `check [name …] [--require as-configured|running|not-fatal]`: one line, exit status 0 or 1, whatever goes wrong.
pub fn check(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let (mut names, mut require) = (Vec::new(), Some(Require::AsConfigured));
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        match (word, word.strip_prefix("--require=")) {
            ("--require", _) => require = Require::named(words.next().unwrap_or("")),
            (_, Some(value)) => require = Require::named(value),
            _ => names.push(word.to_string()),
        }
    }
    let Some(require) = require else {
        return Err(Error::usage("Error: check --require takes as-configured, running or not-fatal", 1));
    };
    session.limit_waiting();
    let asked = session.call("supervisor.getAllProcessInfo", &[]).and_then(array);
    let asked = asked.and_then(|infos| Ok((infos, otherwise(session, require)?)));
    let (infos, otherwise) = match asked {
        Ok(answers) => answers,
        Err(error) => {
            let reason = match error {
                Error::Status { code: 401, .. } => "Server requires authentication".to_string(),
                error => session.connection_trouble(&error).unwrap_or_else(|| error.to_string()),
            };
            return session.complain(&format!("FAILED: {reason}"));
        }
    };
    let (chosen, errors) = choose(&infos, names)?;
    let mut bad: Vec<String> = errors.iter().map(|line| line.replace(": ERROR (", " (")).collect();
    for info in &chosen {
        let state = state_of(info);
        let reason = match (require, &otherwise) {
            (Require::AsConfigured, Some(otherwise)) => {
                let key = (text(info, "group")?.to_string(), text(info, "name")?.to_string());
                otherwise.get(&key).map(|reason| wait_of(reason).unwrap_or_else(|| reason.clone()))
            }
            (require, _) => {
                let is_good = match require {
                    Require::NotFatal => !matches!(state, None | Some(ProcessState::Fatal | ProcessState::Unknown)),
                    _ => state == Some(ProcessState::Running),
                };
                let is_down = state == Some(ProcessState::Stopped);
                let wait = if is_down { wait_of(text(info, "description")?) } else { None };
                match wait {
                    _ if is_good => None,
                    None => Some(text(info, "statename")?.to_string()),
                    wait => wait,
                }
            }
        };
        if let Some(reason) = reason {
            bad.push(format!("{} {reason}", namespec_of(info)?));
        }
    }
    if bad.is_empty() {
        session.print(&format!("OK: {} {}", chosen.len(), require.praise()));
    } else {
        let more = bad.len().saturating_sub(CHECK_NAMES_MAX);
        if more > 1 {
            bad.truncate(CHECK_NAMES_MAX);
            bad.push(format!("and {more} more"));
        }
        session.print(&format!("FAILED: {}", bad.join(", ")));
        session.status = 1;
    }
    Ok(())
}

/// Processes that are not as configured, by group and name, and why; `None` where the daemon cannot tell (Supervisor), so
/// that each has to be RUNNING.
fn otherwise(session: &mut Session, require: Require) -> Result<Option<Reasons>, Error> {
    if require != Require::AsConfigured {
        return Ok(None);
    }
    let found = match session.call("stheno.checkProcesses", &[]) {
        Err(Error::Fault { code, .. }) if code == Code::UnknownMethod as i64 => return Ok(None),
        answer => answer.and_then(array)?,
    };
    let row = |row: &Value| {
        let key = (text(row, "group")?.to_string(), text(row, "name")?.to_string());
        Ok((key, text(row, "reason")?.to_string()))
    };
    found.iter().map(row).collect::<Result<_, Error>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_check_says_of_one_that_waits() {
        let rows = [
            ("Waiting for db (STARTING)", Some("waiting for db")),
            ("Waiting for db (STARTING), g:m (BACKOFF) and 5 more", Some("waiting for db, g:m and 5 more")),
            ("Waiting 5 s before the first start", Some("waiting 5 s before the first start")),
            ("Not started", None),
        ];
        for (description, expected) in rows {
            assert_eq!(wait_of(description).as_deref(), expected, "{description}");
        }
    }
}
