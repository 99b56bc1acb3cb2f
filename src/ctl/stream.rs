//! Logs as they grow: `/logtail` and `/mainlogtail`.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use super::error::Error;
use super::session::Session;
use super::transport::{Server, Socket, Target};
use crate::sys::terminal::wait_readable;
use crate::wire::auth::basic_header;
use crate::wire::http::{ResponseReader, write_request};

/// Bytes asked for at once.
const READ_BYTES: usize = 16 << 10;

/// One log that is being followed.
pub struct Stream {
    /// URL and path, as messages name it.
    name: String,
    socket: Socket,
    reader: ResponseReader,
}

impl Stream {
    /// Connects and asks. Errors: the line for standard error (S-35).
    pub fn open(server: &Server, path: &str) -> Result<Stream, String> {
        Stream::open_with(server, path, &[])
    }

    /// The same with more headers.
    pub fn open_with(server: &Server, path: &str, more: &[(&str, &str)]) -> Result<Stream, String> {
        let name = format!("{}{path}", server.url);
        let failed = |error: Error| format!("{name} Cannot connect, error: {}", error.class_and_text());
        let target = Target::of(&server.url).map_err(failed)?;
        let mut socket = target.connect(&server.url).map_err(failed)?;
        let authorization =
            server.password.as_ref().map(|password| basic_header(server.username.as_deref().unwrap_or(""), password));
        let mut headers = vec![("Accept-Encoding", "identity"), ("Accept", "*/*"), ("User-Agent", "supervisorctl")];
        if let Some(authorization) = &authorization {
            headers.push(("Authorization", authorization));
        }
        headers.extend_from_slice(more);
        let mut request = Vec::new();
        write_request(&mut request, "GET", &quoted(path), &target.host(), &headers, None);
        socket.write_all(&request).map_err(|error| failed(Error::Io { error, url: server.url.clone() }))?;
        // A stream has no end, and no bound.
        Ok(Stream { name, socket, reader: ResponseReader::new("GET", u64::MAX) })
    }

    /// What to wait on.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads once and appends what came of the log; blocks if nothing is there. Whether there may be more. Errors:
    /// the line for standard error.
    pub fn read(&mut self, out: &mut Vec<u8>) -> Result<bool, String> {
        let mut chunk = [0; READ_BYTES];
        let count = match self.socket.read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => {
                let error = Error::Io { error, url: self.name.clone() };
                return Err(format!("{} Cannot connect, error: {}", self.name, error.class_and_text()));
            }
        };
        let start = out.len();
        self.reader
            .feed(&chunk[..count], out)
            .map_err(|error| format!("{} Cannot connect, error: not HTTP ({error})", self.name))?;
        match self.reader.head() {
            Some(head) if head.status != 200 => {
                out.truncate(start);
                Err(format!("{} Cannot read, status code {}", self.name, head.status))
            }
            _ => Ok(!self.reader.is_done()),
        }
    }
}

/// A path that the request line can hold: everything but what URLs are made of is percent-encoded.
fn quoted(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:*@!$&'()+,;=".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Prints a log as it grows, until Ctrl-C or the end of the stream (S-35). Trouble goes to standard error and does
/// not change the exit status.
pub fn follow(session: &mut Session, path: &str) {
    session.print_bare("==> Press Ctrl-C to exit <==");
    session.flush();
    session.catch_interrupts();
    let mut stream = match Stream::open(&session.options.server, path) {
        Ok(stream) => stream,
        Err(line) => return session.print_error(&line),
    };
    let mut bytes = Vec::new();
    loop {
        if was_interrupted(session, &[stream.fd()]).is_none() {
            session.print("");
            return;
        }
        let goes_on = stream.read(&mut bytes);
        let is_seen = session.write(&bytes) && session.flush();
        bytes.clear();
        match goes_on {
            Ok(true) if is_seen => {}
            Ok(goes_on) => {
                if let Some(name) = session.visited().filter(|_| !goes_on).map(str::to_string) {
                    session.print_error(&format!("{name}: the log has ended, with the instance or with the process"));
                    session.status = 4;
                }
                return;
            }
            Err(line) => return session.print_error(&line),
        }
    }
}

/// Waits for one of the descriptors; says which are ready, at least one. `None` after Ctrl-C.
pub fn was_interrupted(session: &Session, fds: &[BorrowedFd<'_>]) -> Option<Vec<bool>> {
    let mut all = fds.to_vec();
    all.extend(session.interrupts().map(|interrupts| interrupts.fd()));
    loop {
        let mut ready = wait_readable(&all, None).ok()?;
        if session.interrupts().is_some_and(|interrupts| interrupts.take()) {
            return None;
        }
        ready.truncate(fds.len());
        if ready.contains(&true) {
            return Some(ready);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_quoted() {
        let rows = [
            ("/logtail/web:a/stdout", "/logtail/web:a/stdout"),
            ("/logtail/a?b#c%/x", "/logtail/a%3Fb%23c%25/x"),
            ("/logtail/é", "/logtail/%C3%A9"),
        ];
        for (path, expected) in rows {
            assert_eq!(super::quoted(path), expected);
        }
    }
}
