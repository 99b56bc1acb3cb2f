//! What a command is: a row of the table in [`commands`](super::commands).

use super::error::Error;
use super::options::Kind;
use super::session::Session;

/// What completes a command's words (S-73).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completes {
    /// Nothing is completed after it.
    Nothing,
    /// Names of groups are completed.
    Groups,
    /// Names of processes, and `group:*`.
    Processes,
}

/// Which plugin a command belongs to: who lists it and who has help on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The default plugin: listed by `help`.
    Default,
    /// The default plugin, but not listed: what the original does not have.
    Unlisted,
    /// An extension's plugin. `always` says whether the command exists without the section too.
    Extension {
        /// The kind of extension that it belongs to.
        kind: Kind,
        /// Whether it is there without its section.
        always: bool,
    },
}

/// What carries a command out.
#[derive(Clone, Copy)]
pub enum Run {
    /// A function of the words behind the command's name.
    Words(fn(&mut Session, &str) -> Result<(), Error>),
    /// The same for what tells of the commands: it is given the table too.
    Table(fn(&mut Session, &[Command], &str) -> Result<(), Error>),
    /// The end of the shell.
    Leave,
}

/// One command of the prompt, as a row.
#[derive(Clone, Copy)]
pub struct Command {
    /// What people type to call it.
    pub name: &'static str,
    /// What `help <name>` prints, without the last newline (S-66, S-67).
    pub help: &'static str,
    /// Whether the connection is checked before anything else (S-10).
    pub check: bool,
    /// What its words are.
    pub completes: Completes,
    /// By whose help and plug-in it stands.
    pub owner: Owner,
    /// What is done when it is called.
    pub run: Run,
}

/// Whether the shell goes on after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next line is asked for.
    Continue,
    /// `quit`, `exit`, end of input.
    Leave,
}
