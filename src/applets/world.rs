//! The seam between the applets and everything outside them.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::clock::Wall;
use crate::wire::pyrepr;
use crate::wire::value::Value;

use super::letter::Letter;
use super::url::Url;

/// What an applet can do and ask. Blocking: a listener has nothing else to do meanwhile.
pub trait World {
    /// Writes to standard error, which the daemon logs.
    fn say(&mut self, text: &str);
    /// Calls a method of the daemon.
    fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, CallError>;
    /// The time of the wall clock, for what people read.
    fn now(&mut self) -> Wall;
    fn pause(&mut self, span: Duration);
    /// Runs a command line in a shell, with `input` on its standard input; its standard output.
    fn shell(&mut self, command: &str, input: &str) -> String;
    /// Issues a GET request.
    fn get(&mut self, url: &Url, timeout: Duration) -> Result<Answer, GetError>;
    /// Hands a letter to an SMTP server; the error's text if that fails.
    fn submit(&mut self, letter: &Letter<'_>) -> Result<(), String>;
    /// The processes of the system with the memory they use; of one process only, if given.
    fn memory(&mut self, pid: Option<i64>) -> Vec<Memory>;
}

/// Why a call to the daemon gave no value. Displays as Python shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The daemon answered with a fault.
    Fault {
        /// `faultCode` of the answer.
        code: i64,
        /// `faultString` of the answer.
        text: String,
    },
    /// There was no answer, or none that can be read.
    Other(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Fault { code, text } => write!(f, "<Fault {code}: {}>", pyrepr::text(text)),
            CallError::Other(text) => f.write_str(text),
        }
    }
}

/// What a GET request brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status of the answer, such as 200.
    pub status: u16,
    /// The words after the status, such as `OK`.
    pub reason: String,
    /// As much as is read.
    pub body: Vec<u8>,
}

/// Why a GET request brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetError {
    /// Nobody listens there (yet).
    pub refused: bool,
    /// What to tell people.
    pub text: String,
}

/// A process of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub pid: i64,
    pub parent: i64,
    /// Resident set in bytes.
    pub rss_bytes: u64,
}

/// What the applets read of `supervisor.getAllProcessInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The name of the process within its group.
    pub name: String,
    /// The name of the group it is in.
    pub group: String,
    /// 0 when it does not run.
    pub pid: i64,
    /// The number of its state (P-1).
    pub state: i64,
}

impl Process {
    /// `name` if that is also the group's, else `group:name`.
    pub fn namespec(&self) -> String {
        crate::namespec::join(&self.group, &self.name)
    }

    /// Whether one of `names` is its name or its namespec.
    pub fn is_among(&self, names: &[String]) -> bool {
        let namespec = self.namespec();
        names.iter().any(|name| *name == self.name || *name == namespec)
    }
}

/// All processes of the daemon.
pub fn processes(world: &mut dyn World) -> Result<Vec<Process>, CallError> {
    let answer = world.call("supervisor.getAllProcessInfo", &[])?;
    let bad = || CallError::Other("the answer to supervisor.getAllProcessInfo is not as expected".to_string());
    let Value::Array(infos) = answer else { return Err(bad()) };
    let process = |info: &Value| {
        let text = |key| info.member(key).and_then(Value::as_str).map(str::to_string);
        Some(Process {
            name: text("name")?,
            group: text("group")?,
            pid: integer(info, "pid")?,
            state: integer(info, "state")?,
        })
    };
    infos.iter().map(process).collect::<Option<_>>().ok_or_else(bad)
}

/// A member that is an integer.
pub fn integer(info: &Value, key: &str) -> Option<i64> {
    match info.member(key)? {
        Value::Int(value) => Some(*value),
        _ => None,
    }
}

/// As Python shows an OSError: `[Errno 111] Connection refused`, `timed out`.
pub fn io_text(error: &io::Error) -> String {
    match (error.raw_os_error(), error.kind()) {
        (_, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => "timed out".to_string(),
        (Some(number), _) => format!("[Errno {number}] {}", crate::errno::text(number)),
        (None, _) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_pythons_words() {
        let rows = [
            (io::Error::from_raw_os_error(libc::ECONNREFUSED), "[Errno 111] Connection refused"),
            (io::Error::from_raw_os_error(libc::EAGAIN), "timed out"),
            (io::ErrorKind::TimedOut.into(), "timed out"),
        ];
        for (error, text) in rows {
            assert_eq!(io_text(&error), text);
        }
    }
}
