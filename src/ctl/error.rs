//! What can go wrong while talking to a daemon, and the one line that says so.
//!
//! The line begins as the original's does (`error: <class 'X'>, <text>`, S-13), because scripts look for
//! `[Errno 111] Connection refused` or `<Fault 10: 'BAD_NAME'>` in it. Where the original goes on with a place in its
//! source, ours says what to do next.

use std::fmt;
use std::io;

use crate::errno;
use crate::fault::Code;
use crate::wire::pyrepr;

/// A failure of a call or of a command. Nothing is known about what the daemon did of a call that failed without
/// a [`Fault`](Error::Fault).
#[derive(Debug)]
pub enum Error {
    /// The daemon answered with a fault.
    Fault {
        /// `faultCode` of the answer.
        code: i64,
        /// `faultString` of the answer.
        text: String,
    },
    /// The answer's HTTP status was not 200.
    Status {
        code: u16,
        reason: String,
    },
    /// The system refused: connecting, writing, reading.
    Io {
        error: io::Error,
        url: String,
    },
    /// The server's name has no address.
    UnknownHost(String),
    /// The server's URL is neither `http://` nor `unix://` (S-8).
    UnknownProtocol(String),
    /// The port of an `http://` URL is no number within 0 to 65535.
    BadPort(String),
    /// The connection ended before an answer came.
    Closed(String),
    /// The server took the connection and says nothing.
    Silent(String),
    /// The answer is not XML-RPC, or not of the shape the method promises.
    BadAnswer(String),
    /// A result code that the command has no words for (S-30).
    UnknownResult {
        code: i64,
        name: String,
    },
    /// The command's words cannot be split (an open quote).
    BadWords(String),
    /// The words make no sense: what is printed before the command's help, if anything (S-26, S-44).
    Usage {
        /// What is wrong with them.
        message: Option<String>,
        /// The exit status; `None` where it is no failure (S-82).
        status: Option<i32>,
    },
    /// Standard input ended at a question.
    EndOfInput,
    Interrupted,
}

impl Error {
    /// Words that make no sense.
    pub fn usage(message: impl Into<String>, status: i32) -> Error {
        Error::Usage { message: Some(message.into()), status: Some(status) }
    }

    /// The fault's code, if this is a fault.
    pub fn fault(&self) -> Option<i64> {
        match self {
            Error::Fault { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether this is a fault with that code.
    pub fn is(&self, code: Code) -> bool {
        self.fault() == Some(code as i64)
    }

    /// The number of the system error, if it is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Io { error, .. } => error.raw_os_error(),
            _ => None,
        }
    }

    /// Whether the server is gone, or says nothing any more.
    pub fn is_end_of_connection(&self) -> bool {
        matches!(self, Error::Closed(_) | Error::Silent(_) | Error::Io { .. })
    }

    /// A fault's text, or the whole message.
    pub fn text(&self) -> String {
        match self {
            Error::Fault { text, .. } => text.clone(),
            other => other.to_string(),
        }
    }

    /// The class and the text of Python's exception, as the messages of streams have them (S-35):
    /// `<class 'ConnectionRefusedError'> ([Errno 111] Connection refused)`.
    pub fn class_and_text(&self) -> String {
        match self {
            Error::Io { error, .. } => match error.raw_os_error() {
                Some(number) => format!("<class '{}'> ([Errno {number}] {})", class(error), errno::text(number)),
                None => format!("<class 'OSError'> ({error})"),
            },
            Error::UnknownHost(_) => "<class 'socket.gaierror'> ([Errno -2] Name or service not known)".to_string(),
            other => other.to_string(),
        }
    }

    /// As Python prints a fault: `<Fault 10: 'BAD_NAME'>`; the message of another error.
    pub fn repr(&self) -> String {
        match self {
            Error::Fault { code, text } => format!("<Fault {code}: {}>", pyrepr::text(text)),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Fault { code, .. } => {
                write!(f, "<class 'xmlrpc.client.Fault'>, {}", self.repr())?;
                match advice_on_fault(*code) {
                    Some(advice) => write!(f, ": {advice}"),
                    None => Ok(()),
                }
            }
            Error::Status { code, reason } => {
                write!(
                    f,
                    "<class 'xmlrpc.client.ProtocolError'>, <ProtocolError for 127.0.0.1/RPC2: {code} {reason}>: {}",
                    advice_on_status(*code)
                )
            }
            Error::Io { error, url } => match error.raw_os_error() {
                Some(number) => write!(
                    f,
                    "<class '{}'>, [Errno {number}] {}: {}",
                    class(error),
                    errno::text(number),
                    advice_on_errno(number, url)
                ),
                // The only one without a number: a path that does not fit into a socket's address.
                None => write!(f, "<class 'OSError'>, AF_UNIX path too long: give a shorter path ({error}) than {url}"),
            },
            Error::UnknownHost(host) => write!(
                f,
                "<class 'socket.gaierror'>, [Errno -2] Name or service not known: the host '{host}' has no address; check serverurl (-s)"
            ),
            Error::UnknownProtocol(url) => write!(
                f,
                "<class 'ValueError'>, Unknown protocol for serverurl {url}: use http://host:port or unix:///path/to/socket"
            ),
            Error::BadPort(url) => {
                write!(f, "<class 'ValueError'>, Port could not be cast to integer value: check serverurl {url}")
            }
            Error::Closed(url) => write!(
                f,
                "<class 'http.client.RemoteDisconnected'>, Remote end closed connection without response: \
                 look into the log of the server at {url}"
            ),
            Error::Silent(url) => write!(
                f,
                "<class 'TimeoutError'>, timed out: {url} takes connections but does not answer; \
                 is that supervisord stopped (SIGSTOP), or does it hang?"
            ),
            Error::BadAnswer(what) => {
                write!(f, "<class 'xmlrpc.client.ResponseError'>, {what}: is serverurl that of a supervisord?")
            }
            Error::UnknownResult { code, name } => {
                write!(f, "<class 'ValueError'>, Unknown result code {code} for {name}")
            }
            Error::BadWords(why) => write!(f, "<class 'ValueError'>, {why}"),
            Error::Usage { message, .. } => f.write_str(message.as_deref().unwrap_or("wrong number of arguments")),
            Error::EndOfInput => f.write_str("<class 'EOFError'>, EOF when reading a line"),
            Error::Interrupted => f.write_str("<class 'KeyboardInterrupt'>, interrupted"),
        }
    }
}

/// The name Python gives a system error; scripts grep for some of them.
fn class(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "ConnectionRefusedError",
        io::ErrorKind::NotFound => "FileNotFoundError",
        io::ErrorKind::NotADirectory => "NotADirectoryError",
        io::ErrorKind::PermissionDenied => "PermissionError",
        io::ErrorKind::ConnectionReset => "ConnectionResetError",
        io::ErrorKind::BrokenPipe => "BrokenPipeError",
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "TimeoutError",
        _ => "OSError",
    }
}

fn advice_on_errno(number: i32, url: &str) -> String {
    match number {
        libc::ECONNREFUSED => format!("nothing listens at {url}; is supervisord running?"),
        libc::ENOENT => format!("{url} does not exist; is supervisord running, and is this its serverurl?"),
        libc::EACCES | libc::EPERM => {
            format!("{url} may not be opened by this user; use sudo, or set chmod and chown in [unix_http_server]")
        }
        libc::ENOTDIR => format!("a part of {url} is a file where a directory is needed; check serverurl (-s)"),
        libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH => {
            format!("no way leads to {url}; check serverurl (-s), the network and its firewalls")
        }
        libc::EAGAIN => format!("{url} has not answered in time; look into the activity log of supervisord"),
        libc::EPIPE | libc::ECONNRESET => {
            format!("{url} hung up; look into the activity log of supervisord, and try again")
        }
        _ => format!("while talking to {url}; check serverurl (-s)"),
    }
}

fn advice_on_status(code: u16) -> &'static str {
    match code {
        401 => "give the username and password of the server section with -u and -p, or in [supervisorctl]",
        404 => "there is no XML-RPC here; is serverurl that of a supervisord?",
        _ => "look into the activity log of supervisord",
    }
}

fn advice_on_fault(code: i64) -> Option<&'static str> {
    match code {
        c if c == Code::ShutdownState as i64 => Some("supervisord is shutting down"),
        c if c == Code::UnknownMethod as i64 => Some("this supervisord does not have the method; is its section set?"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let url = || "unix:///s".to_string();
        let io = |number| Error::Io { error: io::Error::from_raw_os_error(number), url: url() };
        let rows = [
            (
                Error::Fault { code: 10, text: "BAD_NAME".into() },
                "<class 'xmlrpc.client.Fault'>, <Fault 10: 'BAD_NAME'>",
            ),
            (Error::Fault { code: 92, text: "a\nb".into() }, "<class 'xmlrpc.client.Fault'>, <Fault 92: 'a\\nb'>"),
            (io(libc::ECONNREFUSED), "<class 'ConnectionRefusedError'>, [Errno 111] Connection refused: "),
            (io(libc::ENOENT), "<class 'FileNotFoundError'>, [Errno 2] No such file or directory: "),
            (io(libc::EACCES), "<class 'PermissionError'>, [Errno 13] Permission denied: "),
            (Error::UnknownProtocol("x:y".into()), "<class 'ValueError'>, Unknown protocol for serverurl x:y: "),
            (
                Error::Status { code: 401, reason: "Unauthorized".into() },
                "<class 'xmlrpc.client.ProtocolError'>, <ProtocolError for 127.0.0.1/RPC2: 401 Unauthorized>: ",
            ),
        ];
        for (error, start) in rows {
            let line = error.to_string();
            assert!(line.starts_with(start), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }
}
