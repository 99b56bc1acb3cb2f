//! One line after another: which command it names, and what is said when that goes wrong.

use super::command::{Command, Flow, Run};
use super::commands::{self, COMMANDS};
use super::error::Error;
use super::help;
use super::hints;
#[cfg(feature = "fleet")]
use super::hosts;
use super::session::{Check, Session};

/// Runs one line of the shell, or the command of the arguments (S-5, S-6). What goes wrong is printed; the only
/// error is a Ctrl-C that ended it.
pub fn run_line(session: &mut Session, line: &str) -> Result<Flow, Error> {
    let line = line.trim();
    let asked;
    let line = match line.strip_prefix('?') {
        Some(topic) => {
            asked = format!("help {topic}");
            asked.trim_end()
        }
        None => line,
    };
    if line.is_empty() {
        return Ok(Flow::Continue);
    }
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(line.len());
    let (name, arguments) = (&line[..end], line[end..].trim());
    match name {
        "help" => {
            help::help(session, arguments);
            return Ok(Flow::Continue);
        }
        // What the original's shell makes of the end of input may also be typed.
        "EOF" => return Ok(leave(session)),
        _ => {}
    }
    let Some(command) = commands::find(name, &session.options.plugins) else {
        session.print(&format!("*** Unknown syntax: {line}"));
        hints::no_such_command(session, name, COMMANDS.iter().map(|command| command.name));
        session.status = 1;
        return Ok(Flow::Continue);
    };
    #[cfg(feature = "fleet")]
    if let Some(parts) = hosts::parts(session, command, arguments) {
        return hosts::run(session, command, parts, carry_out);
    }
    carry_out(session, command, arguments)
}

/// Carries a command out, and says what went wrong.
fn carry_out(session: &mut Session, command: &Command, arguments: &str) -> Result<Flow, Error> {
    loop {
        let error = match run(session, command, arguments) {
            Err(error) => error,
            flow => return flow,
        };
        let error = match error {
            Error::Interrupted => return Err(Error::Interrupted),
            Error::Usage { message, status } => {
                message.iter().for_each(|message| session.print(message));
                session.print_text(command.help);
                session.status = status.unwrap_or(session.status);
                return Ok(Flow::Continue);
            }
            Error::Status { code: 401, .. } => {
                session.print("Server requires authentication");
                if !session.options.is_interactive {
                    error
                } else {
                    match session.login() {
                        Ok(()) => continue,
                        Err(Error::Interrupted) => {
                            session.status = 1;
                            return Err(Error::Interrupted);
                        }
                        Err(error) => error,
                    }
                }
            }
            error => error,
        };
        match session.visited().filter(|_| error.is_end_of_connection()).map(str::to_string) {
            Some(name) => {
                session.print_bare(&format!("{name}: ERROR (the instance was lost while the command ran)"));
                session.status = 4;
            }
            None => {
                session.print(&format!("error: {error}"));
                session.status = 1;
            }
        }
        return Ok(Flow::Continue);
    }
}

fn run(session: &mut Session, command: &Command, arguments: &str) -> Result<Flow, Error> {
    if command.check && session.check()? == Check::Failed {
        return Ok(Flow::Continue);
    }
    match command.run {
        Run::Words(run) => run(session, arguments)?,
        Run::Table(run) => run(session, COMMANDS, arguments)?,
        Run::Leave => return Ok(leave(session)),
    }
    Ok(Flow::Continue)
}

/// `quit`, `exit`, end of input (S-68).
fn leave(session: &mut Session) -> Flow {
    session.print("");
    Flow::Leave
}
