//! shutdown, reload, version, open: the daemon as a whole, and which one (S-45 to S-48).

use super::names::none;
use super::status;
use crate::ctl::error::Error;
use crate::ctl::session::{Check, Session};
use crate::fault::Code;

/// `shutdown` (S-45); with `--poweroff`, `--reboot` or `--halt` the machine is what ends (K-2.8). A daemon that is already going down is no failure. Does not wait for the end.
pub fn shutdown(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let how = match arguments {
        "--poweroff" | "--reboot" | "--halt" => arguments.strip_prefix("--"),
        _ => None,
    };
    if how.is_none() {
        none("shutdown", arguments)?;
    }
    if !confirmed(session, "Really shut the remote supervisord process down y/N? ")? {
        return Ok(());
    }
    let called = match how {
        Some(how) => session.call("stheno.shutdown", &[how.to_string().into()]),
        None => session.call("supervisor.shutdown", &[]),
    };
    match called {
        Ok(_) => session.print("Shut down"),
        Err(error) if error.is(Code::ShutdownState) => session.print("ERROR: already shutting down"),
        // Not PID 1, or not allowed to.
        Err(error) if error.is(Code::Failed) => session.complain(&format!("ERROR: {}", error.text()))?,
        Err(error) => {
            session.status = 1;
            match session.connection_trouble(&error) {
                Some(trouble) => session.print(&format!("ERROR: {trouble} (already shut down?)")),
                None => return Err(error),
            }
        }
    }
    Ok(())
}

/// Has the daemon begin anew with its files as they are now, `reload` (S-46).
pub fn reload(session: &mut Session, arguments: &str) -> Result<(), Error> {
    none("reload", arguments)?;
    if !confirmed(session, "Really restart the remote supervisord process y/N? ")? {
        return Ok(());
    }
    match session.call("supervisor.restart", &[]) {
        Ok(_) => session.print("Restarted supervisord"),
        Err(error) if error.is(Code::ShutdownState) => {
            session.print("ERROR: already shutting down");
            session.status = 1;
        }
        // The file is wrong, and everything goes on.
        Err(error) if error.is(Code::CantReread) => {
            return session.complain(&format!("ERROR: {}", error.text()));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Asks in the shell (and with `-i`); a command given as arguments is meant.
fn confirmed(session: &mut Session, question: &str) -> Result<bool, Error> {
    if !session.options.is_interactive {
        return Ok(true);
    }
    let answer = session.ask(question)?;
    Ok(answer.starts_with(['y', 'Y']))
}

/// `version` (S-47): looks at its arguments before it checks the connection.
pub fn version(session: &mut Session, arguments: &str) -> Result<(), Error> {
    none("version", arguments)?;
    if session.check()? != Check::Passed {
        return Ok(());
    }
    match session.call("supervisor.getSupervisorVersion", &[])?.as_str() {
        Some(version) => session.print(version),
        None => return Err(Error::BadAnswer("a string was expected".to_string())),
    }
    Ok(())
}

/// `open url` (S-48): the session goes on with another server. Exit status 0 even if that one is down.
pub fn open(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let scheme = arguments.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("unix" | "http")) {
        return session.complain("ERROR: url must be http:// or unix://");
    }
    session.use_server(arguments);
    let before = session.status;
    status::status(session, "")?;
    session.status = before;
    Ok(())
}
