//! What a form asks for, and the sentences that report what came of it.

use crate::fault::{Code, Fault};
use crate::wire::form::{Form, quote};

/// What the index page is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing but show the page again.
    Refresh,
    /// Stop all processes, then start all.
    RestartAll,
    StopAll,
    /// Something with one process.
    Process {
        verb: ProcessVerb,
        /// The name as sent, `process` or `group:process`.
        name: String,
    },
}

/// What can be done with one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ProcessVerb {
    Start,
    Stop,
    Restart,
    ClearLog,
}

impl Action {
    /// The action of a form: None without one, an error for one that does not exist or lacks its process, which is
    /// answered 500.
    pub fn of(form: &Form) -> Result<Option<Action>, UnknownAction> {
        let verb = match form.get("action") {
            None => return Ok(None),
            Some("refresh") => return Ok(Some(Action::Refresh)),
            Some("restartall") => return Ok(Some(Action::RestartAll)),
            Some("stopall") => return Ok(Some(Action::StopAll)),
            Some("start") => ProcessVerb::Start,
            Some("stop") => ProcessVerb::Stop,
            Some("restart") => ProcessVerb::Restart,
            Some("clearlog") => ProcessVerb::ClearLog,
            Some(_) => return Err(UnknownAction),
        };
        let name = form.get("processname").ok_or(UnknownAction)?.to_owned();
        Ok(Some(Action::Process { verb, name }))
    }

    /// Whether it changes anything, and so must not be done for another site.
    pub fn changes(&self) -> bool {
        *self != Action::Refresh
    }

    /// What is said when it is done. `ctime` is the local time, like `Sat Nov 21 02:58:33 2026`. A restart is reported
    /// as done whatever came of it, as in the original.
    pub fn done(&self, ctime: &str) -> String {
        match self {
            Action::Refresh => format!("Page refreshed at {ctime}"),
            Action::RestartAll => format!("All restarted at {ctime}"),
            Action::StopAll => format!("All stopped at {ctime}"),
            Action::Process { verb: ProcessVerb::Start, name } => format!("Process {name} started"),
            Action::Process { verb: ProcessVerb::Stop, name } => format!("Process {name} stopped"),
            Action::Process { verb: ProcessVerb::Restart, name } => format!("Process {name} restarted"),
            Action::Process { verb: ProcessVerb::ClearLog, name } => format!("Log for {name} cleared"),
        }
    }

    /// What is said when it failed with that fault.
    pub fn failed(&self, fault: &Fault) -> String {
        let Action::Process { verb: ProcessVerb::Start, name } = self else { return unexpected(fault) };
        let why = match fault.code {
            Code::NoFile => "no such file",
            Code::NotExecutable => "file not executable",
            Code::AlreadyStarted => "already started",
            Code::SpawnError => "spawn error",
            Code::AbnormalTermination => "abnormal termination",
            _ => &unexpected(fault),
        };
        format!("ERROR: Process {name}: {why}")
    }
}

/// An action that does not exist, or one that lacks its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAction;

/// What is said of a name that no process has.
pub fn no_such_process(name: &str) -> String {
    format!("No such process named {name}")
}

fn unexpected(fault: &Fault) -> String {
    format!("unexpected rpc fault [{}] {fault}", fault.code as i32)
}

/// What the tail page shows without a `processname`.
pub const NO_PROCESS_NAME: &str = "No process name found";

/// What the tail page shows instead of a log that cannot be read.
pub fn no_tail(name: &str, fault: &Fault) -> String {
    match fault.code {
        Code::NoFile => format!("No file for {name}"),
        _ => format!("ERROR: {}", unexpected(fault)),
    }
}

/// Where a finished action sends the browser: back to the page, which then shows the message. `host` is the
/// `Host` header, for servers behind a proxy, or the server's own `name:port`; without one it is said where that is from here.
pub fn location(host: Option<&str>, message: &str) -> String {
    let Some(host) = host else { return format!("index.html?message={}", quote(message)) };
    let host = host.strip_suffix(":80").unwrap_or(host);
    format!("http://{host}/?message={}", quote(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CTIME: &str = "Sat Nov 21 02:58:33 2026";

    fn action(query: &str) -> Action {
        Action::of(&Form::parse(query, b"")).expect("a known action").expect("an action")
    }

    #[test]
    fn actions_and_what_is_said_when_they_are_done() {
        let rows = [
            ("action=refresh", "Page refreshed at Sat Nov 21 02:58:33 2026", false),
            ("action=restartall", "All restarted at Sat Nov 21 02:58:33 2026", true),
            ("action=stopall&processname=x", "All stopped at Sat Nov 21 02:58:33 2026", true),
            ("processname=cat&action=start", "Process cat started", true),
            ("processname=g:a&action=stop", "Process g:a stopped", true),
            ("processname=g%3Aa&action=restart", "Process g:a restarted", true),
            ("processname=cat&action=clearlog", "Log for cat cleared", true),
        ];
        for (query, done, changes) in rows {
            assert_eq!((action(query).done(CTIME).as_str(), action(query).changes()), (done, changes), "{query}");
        }
        for query in ["", "processname=cat", "action=", "message=x"] {
            assert_eq!(Action::of(&Form::parse(query, b"")), Ok(None), "{query}");
        }
        for query in ["action=nope", "action=start", "action=start&processname=", "action=Start&processname=cat"] {
            assert_eq!(Action::of(&Form::parse(query, b"")), Err(UnknownAction), "{query}");
        }
    }

    #[test]
    fn what_is_said_of_failures() {
        let rows = [
            ("start", Code::NoFile.with("x"), "ERROR: Process cat: no such file"),
            ("start", Code::NotExecutable.with("x"), "ERROR: Process cat: file not executable"),
            ("start", Code::AlreadyStarted.with("cat"), "ERROR: Process cat: already started"),
            ("start", Code::SpawnError.with("cat"), "ERROR: Process cat: spawn error"),
            ("start", Code::AbnormalTermination.with("cat"), "ERROR: Process cat: abnormal termination"),
            ("start", Code::Failed.with("cat"), "ERROR: Process cat: unexpected rpc fault [30] FAILED: cat"),
            ("stop", Code::NotRunning.with("cat"), "unexpected rpc fault [70] NOT_RUNNING: cat"),
            ("stop", Code::NoFile.bare(), "unexpected rpc fault [20] NO_FILE"),
            ("clearlog", Code::Failed.with("cat"), "unexpected rpc fault [30] FAILED: cat"),
        ];
        for (verb, fault, expected) in rows {
            assert_eq!(action(&format!("processname=cat&action={verb}")).failed(&fault), expected);
        }
        assert_eq!(no_such_process("g:x"), "No such process named g:x");
        assert_eq!(no_tail("n", &Code::NoFile.with("/x")), "No file for n");
        assert_eq!(no_tail("zz", &Code::BadName.with("zz")), "ERROR: unexpected rpc fault [10] BAD_NAME: zz");
    }

    #[test]
    fn locations() {
        let rows = [
            (None, "index.html?message=a%20b"),
            (Some("localhost"), "http://localhost/?message=a%20b"),
            (Some("h:80"), "http://h/?message=a%20b"),
            (Some("h:8080"), "http://h:8080/?message=a%20b"),
            (Some("[::1]:80"), "http://[::1]/?message=a%20b"),
        ];
        for (host, expected) in rows {
            assert_eq!(location(host, "a b"), expected, "{host:?}");
        }
    }
}
