//! supervisorctl: one command, or a shell of them, against a daemon (statements S-1 to S-83).
//!
//! [`options`] says what is wanted; [`client`] calls and hears answers over a connection of [`transport`]; [`session`]
//! adds the exit status and what is printed. [`commands`] is the table of what can be asked, [`interpreter`] finds the row
//! of a line, [`hints`] help a person on. [`shell`] reads lines, with [`editor`] and [`complete`] on a terminal; [`stream`] follows logs.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal, Write};

use crate::config::system::SystemEnv;

pub(crate) mod client;
mod closest;
mod colour;
mod columns;
mod command;
mod commands;
#[cfg(feature = "line-editing")]
mod complete;
#[cfg(feature = "line-editing")]
mod editor;
pub(crate) mod error;
#[cfg(test)]
mod fake;
mod help;
mod hints;
#[cfg(feature = "fleet")]
mod hosts;
mod input;
mod interpreter;
mod lines;
mod options;
mod pretty;
mod printable;
mod session;
mod shell;
mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod transport;

pub use command::{Command, Owner};
pub use commands::COMMANDS;
pub use options::HELP;
#[cfg(feature = "fleet")]
pub use options::OF_SUPVISORS;

use input::Input;
use options::Stop;
use session::Session;

/// Room for what a command prints between two waits: the status of 200 processes in one write.
const OUTPUT_BYTES: usize = 32 << 10;

/// Runs supervisorctl. `args` begin with the program's name, which messages repeat and the search for a configuration
/// file starts from (C-1). The result is the exit status (section 5 of the reference).
pub fn run(args: Vec<OsString>) -> i32 {
    let args: Vec<String> = args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let (program, args) = match args.split_first() {
        Some((program, args)) => (program.as_str(), args),
        None => ("supervisorctl", &[][..]),
    };
    let options = match options::read(program, args, &SystemEnv) {
        Ok(options) => options,
        Err(Stop::Help(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            // Packages test the text of the original to the byte; people have a terminal.
            if io::stdout().is_terminal() {
                let _ = io::stdout().write_all(help::news().as_bytes());
            }
            return 0;
        }
        Err(Stop::Usage(message)) => {
            let _ = writeln!(io::stderr(), "Error: {message}\nFor help, use {program} -h");
            return 2;
        }
    };
    let command = options.words.join(" ");
    let is_shell = options.words.is_empty();
    let out = BufWriter::with_capacity(OUTPUT_BYTES, io::stdout());
    let mut session = Session::new(options, Input::stdin(), Box::new(out));
    session.is_on_terminal = io::stdout().is_terminal();
    session.gives_hints = session.is_on_terminal && io::stderr().is_terminal();
    session.colours = colour::wanted();
    if is_shell {
        shell::run(&mut session);
        session.flush();
        return 0;
    }
    if interpreter::run_line(&mut session, &command).is_err() {
        session.print("");
    }
    session.flush();
    session.status
}
