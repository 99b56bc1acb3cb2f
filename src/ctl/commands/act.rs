//! What start, stop, signal and clear do with names: one routine, one row for what each of them says (S-24 to S-30).

use super::names::{array, number, text};
use super::stopping::{self, Noted};
use crate::ctl::client::Call;
use crate::ctl::error::Error;
use crate::ctl::hints;
use crate::ctl::session::Session;
use crate::fault::Code;
use crate::namespec;
use crate::wire::value::Value;

/// What one of these commands calls and says.
pub(super) struct Action {
    /// The method for `all`, for a whole group and for one process.
    all: &'static str,
    /// `None`: the method for one process gets `group:*` as well, and answers BAD_NAME (S-29).
    group: Option<&'static str>,
    one: &'static str,
    /// What follows `name: ` when it worked.
    done: &'static str,
    /// The texts of the codes it knows (S-25).
    errors: &'static [(Code, &'static str)],
    /// FAILED prints the daemon's own text.
    failed_is_text: bool,
    /// The code that is no failure: the process was in the wished state before (S-27).
    harmless: Option<Code>,
    /// The code by which the daemon refuses a process that is STOPPING, and what is done once it no longer is.
    while_stopping: Option<(Code, Then)>,
    /// Exit status of an unknown group.
    bad_group: i32,
}

/// What is left to do when a stop that was under way is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Nothing: that was what was wished.
    Done,
    /// What the daemon has refused.
    Again,
}

const START: Action = Action {
    all: "supervisor.startAllProcesses",
    group: Some("supervisor.startProcessGroup"),
    one: "supervisor.startProcess",
    done: "started",
    errors: &[
        (Code::BadName, "no such process"),
        (Code::NoFile, "no such file"),
        (Code::NotExecutable, "file is not executable"),
        (Code::AlreadyStarted, "already started"),
        (Code::SpawnError, "spawn error"),
        (Code::AbnormalTermination, "abnormal termination"),
        (Code::Disabled, "disabled"),
    ],
    failed_is_text: false,
    harmless: Some(Code::AlreadyStarted),
    while_stopping: Some((Code::AbnormalTermination, Then::Again)),
    bad_group: 2,
};

pub(super) const STOP: Action = Action {
    all: "supervisor.stopAllProcesses",
    group: Some("supervisor.stopProcessGroup"),
    one: "supervisor.stopProcess",
    done: "stopped",
    errors: SIGNAL.errors,
    failed_is_text: true,
    harmless: Some(Code::NotRunning),
    while_stopping: Some((Code::NotRunning, Then::Done)),
    bad_group: 1,
};

pub(super) const SIGNAL: Action = Action {
    all: "supervisor.signalAllProcesses",
    group: Some("supervisor.signalProcessGroup"),
    one: "supervisor.signalProcess",
    done: "signalled",
    errors: &[
        (Code::BadName, "no such process"),
        (Code::BadSignal, "bad signal name"),
        (Code::NotRunning, "not running"),
        // Of a program that has ended while it reloaded.
        (Code::AbnormalTermination, "abnormal termination"),
    ],
    failed_is_text: true,
    harmless: None,
    while_stopping: None,
    bad_group: 1,
};

pub(super) const CLEAR: Action = Action {
    all: "supervisor.clearAllProcessLogs",
    group: None,
    one: "supervisor.clearProcessLogs",
    done: "cleared",
    errors: &[(Code::BadName, "no such process"), (Code::Failed, "failed")],
    failed_is_text: false,
    harmless: None,
    while_stopping: None,
    bad_group: 1,
};

/// `start` by names at hand.
pub(super) fn start_names(session: &mut Session, names: &[String]) -> Result<(), Error> {
    hints::slow_start(session, names);
    apply(session, &START, names, None)
}

/// `stop` by names at hand.
pub(super) fn stop_names(session: &mut Session, names: &[String]) -> Result<(), Error> {
    apply(session, &STOP, names, None)
}

/// What came of starts of several, in the order in which it came.
pub(super) fn print_results_of_start(session: &mut Session, results: &[Value]) -> Result<(), Error> {
    print_each(session, &START, &mut Noted::default(), results)
}

/// The same of stops.
pub(super) fn print_results_of_stop(session: &mut Session, results: &[Value]) -> Result<(), Error> {
    print_each(session, &STOP, &mut Noted::default(), results)
}

fn print_each(session: &mut Session, action: &Action, noted: &mut Noted, results: &[Value]) -> Result<(), Error> {
    for result in results {
        let name = super::names::namespec_of(result)?;
        print_result(session, action, noted, &name, number(result, "status")?, text(result, "description")?)?;
    }
    Ok(())
}

/// Does it to the names in the order given. The requests may travel together; what is printed is that of one
/// after the other.
pub(super) fn apply(
    session: &mut Session,
    action: &Action,
    names: &[String],
    signal: Option<&str>,
) -> Result<(), Error> {
    let params = |name: Option<&str>| -> Vec<Value> {
        [name, signal].into_iter().flatten().map(|text| Value::from(text.to_string())).collect()
    };
    if names.iter().any(|name| name == "all") {
        let results = array(session.call(action.all, &params(None))?)?;
        return print_results(session, action, &mut Noted::default(), None, &results);
    }
    for run in independent_runs(names) {
        let calls = run
            .iter()
            .map(|name| match (namespec::split(name).process, action.group) {
                (None, Some(method)) => Call::new(method, &params(Some(namespec::split(name).group))),
                _ => Call::new(action.one, &params(Some(name))),
            })
            .collect();
        let mut batch = session.batch(calls)?;
        let is_one = run.len() == 1 && namespec::split(&run[0]).process.is_some();
        let mut noted = if is_one { Noted::nobody() } else { Noted::default() };
        for name in run {
            let answer = session.answer(&mut batch);
            print_answer(session, action, &mut noted, name, answer)?;
        }
    }
    Ok(())
}

/// Cuts the names into runs in which no two concern the same process: only within such a run may one request be
/// under way while another is not yet answered, since `start a a` must print what the second start finds when the
/// first one is over.
fn independent_runs(names: &[String]) -> Vec<&[String]> {
    let overlaps = |a: &str, b: &str| {
        let (a, b) = (namespec::split(a), namespec::split(b));
        a.group == b.group && (a.process.is_none() || b.process.is_none() || a.process == b.process)
    };
    let mut runs = Vec::new();
    let mut start = 0;
    for at in 1..names.len() {
        if names[start..at].iter().any(|earlier| overlaps(earlier, &names[at])) {
            runs.push(&names[start..at]);
            start = at;
        }
    }
    if start < names.len() {
        runs.push(&names[start..]);
    }
    runs
}

fn print_answer(
    session: &mut Session,
    action: &Action,
    noted: &mut Noted,
    name: &str,
    answer: Result<Value, Error>,
) -> Result<(), Error> {
    let spec = namespec::split(name);
    if spec.process.is_none() && action.group.is_some() {
        return match answer {
            Err(error) if error.is(Code::BadName) => {
                session.print(&format!("{}: ERROR (no such group)", spec.group));
                session.status = action.bad_group;
                hints::no_such_process(session, name);
                Ok(())
            }
            answer => print_results(session, action, noted, Some(spec.group), &array(answer?)?),
        };
    }
    // `clear` does not know groups: the process is shown as the original shows what it does not have (S-29).
    let shown = namespec::join(spec.group, spec.process.unwrap_or("None"));
    match answer {
        Ok(_) => {
            session.print(&format!("{shown}: {}", action.done));
            Ok(())
        }
        Err(Error::Fault { code, text }) => print_result(session, action, noted, &shown, code, &text),
        Err(error) => Err(error),
    }
}

/// The outcomes for a group, or for all. A stop leaves out what is STOPPING already: that is waited for, and then stopped
/// like the others.
fn print_results(
    session: &mut Session,
    action: &Action,
    noted: &mut Noted,
    group: Option<&str>,
    results: &[Value],
) -> Result<(), Error> {
    print_each(session, action, noted, results)?;
    if matches!(action.while_stopping, Some((_, Then::Done))) {
        for name in stopping::outlast_all(session, group)? {
            session.print(&format!("{name}: {}", action.done));
        }
    }
    Ok(())
}

/// What came of one process. If it was refused because its stop is under way, what comes of it after that.
fn print_result(
    session: &mut Session,
    action: &Action,
    noted: &mut Noted,
    name: &str,
    code: i64,
    fault: &str,
) -> Result<(), Error> {
    if let Some((refusal, then)) = action.while_stopping
        && refusal as i64 == code
        && noted.outlast(session, name)?
    {
        let (code, fault) = match then {
            Then::Done => (Code::Success as i64, String::new()),
            Then::Again => match session.call_aside(action.one, &[Value::from(name.to_string())]) {
                Ok(_) => (Code::Success as i64, String::new()),
                Err(Error::Fault { code, text }) => (code, text),
                Err(error) => return Err(error),
            },
        };
        return print_outcome(session, action, name, code, &fault);
    }
    print_outcome(session, action, name, code, fault)
}

/// One line for one outcome, and the exit status: the last error decides, successes do not reset it (S-27).
fn print_outcome(session: &mut Session, action: &Action, name: &str, code: i64, fault: &str) -> Result<(), Error> {
    let is = |known: Code| known as i64 == code;
    // It was not started, and goes on waiting.
    let waits_for = fault.split_once(": waiting for ").filter(|_| is(Code::AbnormalTermination));
    let line = if is(Code::Success) {
        format!("{name}: {}", action.done)
    } else if let Some((_, obstacles)) = waits_for {
        format!("{name}: ERROR (waiting for {obstacles})")
    } else if action.failed_is_text && is(Code::Failed) {
        fault.to_string()
    } else {
        match action.errors.iter().find(|(known, _)| is(*known)) {
            // As Supvisors writes it (V-347).
            Some((Code::Disabled, text)) => format!("{name}: ERROR {text}"),
            Some((_, text)) => format!("{name}: ERROR ({text})"),
            None => return Err(Error::UnknownResult { code, name: name.to_string() }),
        }
    };
    session.print(&line);
    if !is(Code::Success) && !action.harmless.is_some_and(is) {
        let is_dead = [Code::SpawnError, Code::AbnormalTermination, Code::NotRunning].into_iter().any(is);
        session.status = if is_dead { 7 } else { 1 };
    }
    if is(Code::BadName) {
        hints::no_such_process(session, name);
    } else if waits_for.is_none() && (is(Code::SpawnError) || is(Code::AbnormalTermination)) {
        hints::failed_start(session, name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_independent_names_travel_together() {
        let rows: [(&[&str], &[usize]); 7] = [
            (&["a"], &[1]),
            (&["a", "b", "c"], &[3]),
            (&["a", "a"], &[1, 1]),
            (&["a", "b", "a", "b"], &[2, 2]),
            (&["g:a", "g:b"], &[2]),
            (&["g:a", "g:*", "h:*"], &[1, 2]),
            (&["ok:", "ok:*", "ok"], &[1, 1, 1]),
        ];
        for (names, expected) in rows {
            let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
            let lengths: Vec<usize> = independent_runs(&names).iter().map(|run| run.len()).collect();
            assert_eq!(lengths, expected, "{names:?}");
        }
    }
}
