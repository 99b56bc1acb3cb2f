//! start, stop, restart, signal, clear: their words and flags (S-24 to S-30).

use super::act::{CLEAR, SIGNAL, STOP, apply, start_names, stop_names};
use super::flags::{Flags, refuse_unknown};
use super::names::{expand, words};
use super::order;
use crate::ctl::error::Error;
use crate::ctl::session::Session;

pub fn start(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let mut names = words(arguments);
    let known = ["--with-deps"];
    let flags = Flags::take(&mut names, &known)?;
    refuse_unknown(session, ("start", &known), &names, 2)?;
    if names.is_empty() {
        return Err(Error::usage("Error: start requires a process name", 2));
    }
    let names = expand(session, names)?;
    if flags.with_deps {
        return order::start_with_deps(session, &names);
    }
    start_names(session, &names)
}

pub fn stop(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let mut names = words(arguments);
    let known = ["--with-dependents"];
    let flags = Flags::take(&mut names, &known)?;
    refuse_unknown(session, ("stop", &known), &names, 1)?;
    let names = required_of(session, "stop", names)?;
    if flags.with_dependents {
        return order::stop_with_dependents(session, &names);
    }
    apply(session, &STOP, &names, None)
}

/// Stop, then start, with the same names; both print (S-28).
pub fn restart(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let mut names = words(arguments);
    let known = ["--with-dependents", "--only", "--rolling", "--max-unavailable", "--timeout"];
    let flags = Flags::take(&mut names, &known)?;
    refuse_unknown(session, ("restart", &known), &names, 1)?;
    let names = required_of(session, "restart", names)?;
    if flags.rolling {
        return order::restart_rolling(session, &names, &flags);
    }
    if flags.with_dependents {
        return order::restart_with_dependents(session, &names);
    }
    if flags.only {
        return order::restart_only(session, &names);
    }
    stop_names(session, &names)?;
    start_names(session, &names)
}

pub fn signal(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let mut names = words(arguments);
    if names.len() < 2 {
        return Err(Error::usage("Error: signal requires a signal name and a process name", 1));
    }
    let signal = names.remove(0);
    let names = expand(session, names)?;
    apply(session, &SIGNAL, &names, Some(&signal))
}

/// Every program by the signal that it reloads by, which the server knows.
pub fn hup(session: &mut Session, arguments: &str) -> Result<(), Error> {
    refuse_unknown(session, ("hup", &[]), &words(arguments), 1)?;
    let names = required(session, "hup", arguments)?;
    apply(session, &SIGNAL, &names, Some("reloadsignal"))
}

pub fn clear(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let names = required(session, "clear", arguments)?;
    apply(session, &CLEAR, &names, None)
}

/// The names of a command that needs one, patterns expanded (S-26).
fn required(session: &mut Session, command: &str, arguments: &str) -> Result<Vec<String>, Error> {
    required_of(session, command, words(arguments))
}

fn required_of(session: &mut Session, command: &str, names: Vec<String>) -> Result<Vec<String>, Error> {
    if names.is_empty() {
        return Err(Error::usage(format!("Error: {command} requires a process name"), 1));
    }
    expand(session, names)
}
