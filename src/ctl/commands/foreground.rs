//! fg: a process as if it ran in this terminal (S-36).

use std::io::IsTerminal;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::names::{expand_one, number};

use crate::ctl::error::Error;
use crate::ctl::input::Line;
use crate::ctl::session::Session;
use crate::ctl::stream::{self, Stream};
use crate::fault::Code;
use crate::state::ProcessState;
use crate::sys::terminal::wait_readable;
use crate::wire::value::Value;

/// How long the process may take to say something to the last line of a piped input: 4.3.0 passes output on within a
/// second. Once it has begun, how long a silence ends it.
const LAST_WORDS_MAX: Duration = Duration::from_millis(1200);
const SILENCE: Duration = Duration::from_millis(200);

/// `fg name`: what the process prints is printed, what is typed is sent to it.
pub fn fg(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let mut words = arguments.split_whitespace();
    let Some(name) = words.next() else {
        return Err(Error::usage("ERROR: no process name supplied", 1));
    };
    if words.next().is_some() {
        return session.complain("ERROR: too many process names supplied");
    }
    let name = expand_one(session, name)?;
    let name = name.as_str();
    match is_running(session, name) {
        Ok(true) => {}
        Ok(false) => return session.complain("ERROR: process not running"),
        Err(error) if error.is(Code::BadName) => return session.complain("ERROR: bad process name supplied"),
        Err(error @ Error::Fault { .. }) => {
            session.print(&format!("ERROR: {}", error.repr()));
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    session.print("==> Press Ctrl-C to exit <==");
    session.flush();
    session.catch_interrupts();
    let mut streams = Vec::new();
    for channel in ["stdout", "stderr"] {
        match Stream::open(&session.options.server, &format!("/logtail/{name}/{channel}")) {
            Ok(stream) => streams.push(stream),
            Err(line) => session.print_error(&line),
        }
    }
    attend(session, name, &mut streams)?;
    session.print("Exiting foreground");
    Ok(())
}

fn is_running(session: &mut Session, name: &str) -> Result<bool, Error> {
    let info = session.call("supervisor.getProcessInfo", &[Value::from(name.to_string())])?;
    Ok(number(&info, "state")? == i64::from(ProcessState::Running.code()))
}

/// Passes output and input on until Ctrl-C, the end of the input, or the end of the process.
fn attend(session: &mut Session, name: &str, streams: &mut Vec<Stream>) -> Result<(), Error> {
    let mut has_sent = false;
    loop {
        // What the shell has read ahead was meant for the process.
        match session.input.buffered() {
            Line::Text(line) => {
                if !send(session, name, line)? {
                    return Ok(());
                }
                has_sent = true;
                continue;
            }
            Line::End => {
                // At a terminal, Ctrl-D means now.
                if has_sent && !std::io::stdin().is_terminal() {
                    hear_last_words(session, streams);
                }
                return Ok(());
            }
            Line::Partial => {}
        }
        let Some(input) = session.input.fd() else { continue };
        let mut fds: Vec<BorrowedFd<'_>> = vec![input];
        fds.extend(streams.iter().map(Stream::fd));
        let Some(ready) = stream::was_interrupted(session, &fds) else { return Ok(()) };
        print_ready(session, streams, &ready[1..]);
        if ready[0] {
            // An input that fails is at its end, which the next look at it says.
            let _ = session.input.read_more();
        }
    }
}

/// Prints what the ready streams have; one that has ended or fails is followed no longer.
fn print_ready(session: &mut Session, streams: &mut Vec<Stream>, ready: &[bool]) {
    let mut bytes = Vec::new();
    let mut at = 0;
    streams.retain_mut(|stream| {
        at += 1;
        if !ready[at - 1] {
            return true;
        }
        stream.read(&mut bytes).unwrap_or_else(|line| {
            session.print_error(&line);
            false
        })
    });
    session.write(&bytes);
    session.flush();
}

/// After the end of a piped input, what the process has to say to its last line is still shown.
fn hear_last_words(session: &mut Session, streams: &mut Vec<Stream>) {
    let end = Instant::now() + LAST_WORDS_MAX;
    let mut patience = LAST_WORDS_MAX;
    while !streams.is_empty() {
        let left = end.saturating_duration_since(Instant::now()).min(patience);
        let fds: Vec<BorrowedFd<'_>> = streams.iter().map(Stream::fd).collect();
        match wait_readable(&fds, Some(left)) {
            Ok(ready) if ready.contains(&true) => print_ready(session, streams, &ready),
            _ => return,
        }
        if left.is_zero() || session.interrupts().is_some_and(|interrupts| interrupts.take()) {
            return;
        }
        patience = SILENCE;
    }
}

/// Sends a line to the process; whether it is still there for the next one.
fn send(session: &mut Session, name: &str, line: String) -> Result<bool, Error> {
    let params = [Value::from(name.to_string()), Value::from(line + "\n")];
    match session.call("supervisor.sendProcessStdin", &params) {
        Ok(_) => {}
        Err(error) if error.is(Code::NotRunning) => {
            session.print("Process got killed");
            return Ok(false);
        }
        Err(error @ Error::Fault { .. }) => {
            session.print(&format!("ERROR: {}", error.repr()));
            return Ok(false);
        }
        Err(Error::Interrupted) => return Ok(false),
        Err(error) => return Err(error),
    }
    match is_running(session, name) {
        Err(Error::Interrupted) => return Ok(false),
        is_running => {
            if is_running? {
                return Ok(true);
            }
        }
    }
    session.print("Process got killed");
    Ok(false)
}
